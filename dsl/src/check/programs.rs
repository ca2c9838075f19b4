//! `exec` steps: the template, what it is given, and the file that it writes.

use super::blocks::Found;
use super::steps::{Called, Calls};
use super::{Checker, dotted};
use crate::ast::{Argument, Expr, ExprKind, Word};
use crate::command;
use crate::diagnostics::Diagnostic;
use crate::pipeline::{Binding, Program, StepDecl, Target};
use neuroflow_data::Kind;
use neuroflow_stage::{Exactness, OutputSpec, Signature, nearest};
use std::collections::HashMap;
use std::sync::Arc;

/// Whether a step runs a program.
pub(super) fn is_program(call: &Expr) -> bool {
    matches!(&call.kind, ExprKind::Call(callee, _) if matches!(&callee.kind, ExprKind::Name(name) if name == "exec"))
}

/// The signature of a program that gives one output of a kind.
pub fn program_signature(kind: Kind) -> Signature {
    Signature {
        name: "exec",
        version: 1,
        summary: "Runs a program.",
        doc: "",
        inputs: Vec::new(),
        outputs: vec![OutputSpec::new(command::OUT, kind, "", "What the program wrote.")],
        params: Vec::new(),
        metrics: &[],
        sites: Vec::new(),
        transductive: false,
        exactness: Exactness::Bitwise,
    }
}

/// The names in templates, each of which is read once.
#[derive(Default)]
pub(super) struct Templates {
    reader: Option<command::Reader>,
    known: HashMap<String, Result<Vec<String>, String>>,
}

impl Templates {
    fn names(&mut self, template: &str) -> Result<Vec<String>, String> {
        if let Some(known) = self.known.get(template) {
            return known.clone();
        }
        let names = self.reader.get_or_insert_default().names(template);
        self.known.insert(template.to_owned(), names.clone());
        names
    }
}

impl Checker<'_> {
    pub(super) fn declare_program<'s>(
        &mut self,
        found: &Found<'s>,
        call: &'s Expr,
        gives: Option<&Expr>,
        with: &'s [(Word, Expr)],
        called: &mut Vec<Called<'s>>,
    ) {
        let ExprKind::Call(_, arguments) = &call.kind else { return };
        let Some((reader, file, kind)) = self.gives(call, gives) else { return };
        let template = arguments.iter().find(|argument| argument.name.is_none()).map(|argument| &argument.value);
        let Some(Expr { kind: ExprKind::Text(template), .. }) = template else {
            let message = "`exec` takes the command first, as text in quotes";
            self.tell(
                Diagnostic::error("bad-exec", call.span.clone(), message)
                    .help("write `exec(\"program {{ input }} {{ out }}\", input = step)`"),
            );
            return;
        };
        self.pipeline.add_step(StepDecl {
            name: found.name.clone(),
            stage: "exec".into(),
            program: Some(Arc::new(Program { template: template.clone(), reader, file })),
            sweep: None,
            block: found.block,
            bindings: Vec::new(),
            params: Vec::new(),
            with: Vec::new(),
            outputs: vec![(command::OUT.to_owned(), kind)],
            metrics: Vec::new(),
            span: found.span.clone(),
        });
        called.push(Called { call, arguments, with, calls: Calls::Program(kind) });
    }

    /// `-> table("file.csv")`: reader, file and kind.
    fn gives(&mut self, call: &Expr, gives: Option<&Expr>) -> Option<(String, String, Kind)> {
        let Some(gives) = gives else {
            let message = "an `exec` step says which file it writes";
            let help = "write `exec(…) -> csv(\"result.csv\")`, and `{{ out }}` in the command where that path goes";
            self.tell(Diagnostic::error("bad-exec", call.span.clone(), message).help(help));
            return None;
        };
        let (reader, file) = match &gives.kind {
            ExprKind::Call(callee, arguments) => match (dotted(callee), arguments.as_slice()) {
                (Some(reader), [Argument { name: None, value: Expr { kind: ExprKind::Text(file), .. } }]) => (reader, file.clone()),
                _ => (String::new(), String::new()),
            },
            _ => (String::new(), String::new()),
        };
        if file.is_empty() {
            let message = "what a program writes is named as `reader(\"file\")`";
            self.tell(
                Diagnostic::error("bad-exec", gives.span.clone(), message)
                    .help("for example `-> csv(\"result.csv\")` or `-> file(\"model.bin\")`"),
            );
            return None;
        }
        if file.starts_with('.') || file.contains(['/', '\\', '\0']) {
            let message = format!("`{file}` must be a plain file name: a program writes into its own empty folder");
            self.tell(Diagnostic::error("bad-exec", gives.span.clone(), message));
            return None;
        }
        let ending = file.rsplit('.').next().unwrap_or_default().to_owned();
        // `table` is what the file's ending says.
        let reader = if reader == "table" { ending } else { reader };
        let readers = self.catalogue.readers.iter().filter(|known| known.0 != "dataset" && known.0 != "npz");
        let Some(kind) = readers.clone().find(|known| known.0 == reader).map(|known| known.1) else {
            let list = readers.clone().map(|known| format!("`{}`", known.0)).collect::<Vec<_>>().join(", ");
            let near = nearest(&reader, readers.map(|known| known.0)).map(|near| format!("did you mean `{near}`?"));
            let message = format!("`{reader}` reads no output of a program; there are {list}, and `table` by the file's ending");
            self.tell(Diagnostic::error("bad-exec", gives.span.clone(), message).help_if(near));
            return None;
        };
        Some((reader, file, kind))
    }

    /// What a program is given: results by their names, and values.
    pub(super) fn program_arguments(&mut self, position: usize, call: &Expr, arguments: &[Argument]) {
        let block = self.pipeline.steps[position].block;
        let mut names: Vec<Word> = Vec::new();
        for argument in arguments {
            let Some(name) = &argument.name else {
                if !matches!(argument.value.kind, ExprKind::Text(_)) {
                    let message = "results are given to a program by name: `name = step`";
                    self.tell(Diagnostic::error("bad-exec", argument.value.span.clone(), message));
                }
                continue;
            };
            if [command::OUT, command::SEED].contains(&name.text.as_str()) || names.iter().any(|known| known.text == name.text) {
                let message = format!("`{}` has a meaning already in this command", name.text);
                self.tell(Diagnostic::error("duplicate-name", name.span.clone(), message));
                continue;
            }
            names.push(name.clone());
            if self.names_a_result(&argument.value) {
                let Some(reference) = self.reference(&argument.value) else { continue };
                let Some(kind) = self.kind_of(&reference) else { continue };
                if let Target::Step(step) = reference.target {
                    self.used.insert(step);
                }
                let shape = self.pipeline.shape(&reference, block);
                if self.is_made(&reference, &shape) {
                    let family = shape.is_family();
                    self.pipeline.steps[position].bindings.push(Binding { slot: name.text.clone(), reference, kind, family });
                }
            } else {
                match self.sampled(&argument.value, block) {
                    Some(Err(told)) => self.tell(told),
                    _ => self.pipeline.steps[position].params.push((name.clone(), argument.value.clone())),
                }
            }
        }
        let Some(template) = self.pipeline.steps[position].program.as_ref().map(|program| program.template.clone()) else { return };
        let place =
            arguments.iter().find(|argument| argument.name.is_none()).map_or(call.span.clone(), |argument| argument.value.span.clone());
        let used = self.templates.names(&template);
        match used {
            Err(reason) => self.tell(Diagnostic::error("bad-exec", place, format!("the command can't be read: {reason}"))),
            Ok(used) => {
                let known = || names.iter().map(|name| name.text.as_str()).chain([command::OUT, command::SEED]);
                for name in used.iter().filter(|name| !known().any(|known| known == name.as_str())) {
                    let near = nearest(name, known()).map(|near| format!("did you mean `{near}`?"));
                    let message = format!("the command uses `{name}`, which it is not given");
                    let help = near.unwrap_or_else(|| format!("give it: `exec(…, {name} = …)`"));
                    self.tell(Diagnostic::error("bad-exec", place.clone(), message).help(help));
                }
                for name in names.iter().filter(|name| !used.contains(&name.text)) {
                    let message = format!("the command does not use `{}`", name.text);
                    self.tell(
                        Diagnostic::warning("bad-exec", name.span.clone(), message)
                            .help(format!("write `{{{{ {} }}}}` in it, or leave it out", name.text)),
                    );
                }
                if !used.iter().any(|name| name == command::OUT) && !template.contains(&self.output_file(position)) {
                    let message = format!("the command never writes `{}`", self.output_file(position));
                    self.tell(Diagnostic::error("bad-exec", place, message).help("write `{{ out }}` where the path of its output goes"));
                }
            }
        }
    }

    fn output_file(&self, position: usize) -> String {
        self.pipeline.steps[position].program.as_ref().map(|program| program.file.clone()).unwrap_or_default()
    }

    /// Whether an argument names a step or an input, and not a value.
    fn names_a_result(&self, expr: &Expr) -> bool {
        match &expr.kind {
            ExprKind::Name(name) => self.seen.contains_key(name) && !self.pipeline.params.contains_key(name),
            ExprKind::Field(of, _) | ExprKind::Index(of, _) | ExprKind::All(of) => self.names_a_result(of),
            ExprKind::Call(callee, _) => dotted(callee).as_deref() == Some("gather"),
            _ => false,
        }
    }
}
