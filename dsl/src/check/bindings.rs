//! What flows into a step: whether it is there, of the right kind, and one value or a family as the stage wants it.

use super::{Checker, dotted, kinds};
use crate::ast::{Argument, Expr, ExprKind};
use crate::condition::loops_in_words;
use crate::diagnostics::Diagnostic;
use crate::pipeline::{Binding, DataRef, InputDecl, Shape, Target};
use crate::written::is_inner;
use neuroflow_data::Kind;
use neuroflow_stage::{Signature, nearest};
use std::ops::Range;

impl Checker<'_> {
    pub(super) fn bindings(&mut self, position: usize, call: &Range<usize>, arguments: &[Argument], signature: &Signature) {
        let positional: Vec<&Expr> = arguments.iter().filter(|argument| argument.name.is_none()).map(|argument| &argument.value).collect();
        let required = signature.inputs.iter().filter(|input| !input.optional).count();
        if positional.len() < required && !self.broken_within(call) {
            let missing = &signature.inputs[positional.len()];
            let message = format!("`{}` needs `{}`: {}", signature.name, missing.name, kinds(missing.kinds));
            self.tell(Diagnostic::error("missing-input", call.clone(), message).help(missing.doc));
        }
        if let Some(extra) = positional.get(signature.inputs.len()) {
            let message = format!("`{}` takes {} inputs", signature.name, signature.inputs.len());
            self.tell(Diagnostic::error("type-mismatch", extra.span.clone(), message).help("values are given by name: `key = value`"));
        }
        for (expr, input) in positional.iter().zip(&signature.inputs) {
            let Some(reference) = self.reference(expr) else { continue };
            let Some(kind) = self.kind_of(&reference) else { continue };
            if !input.kinds.contains(&kind) {
                let message = format!("`{}` of `{}` takes {}, this is a {kind}", input.name, signature.name, kinds(input.kinds));
                // What reads a table or an array at once leaves no file to the step.
                let is_read = matches!(reference.target, Target::Input(_)) && input.kinds.contains(&Kind::File);
                let help = is_read.then(|| format!("`file(\"…\")` gives `{}` the file itself", signature.name));
                self.tell(Diagnostic::error("type-mismatch", expr.span.clone(), message).label(format!("a {kind}")).help_if(help));
                continue;
            }
            if let Target::Step(step) = reference.target {
                self.used.insert(step);
            }
            let shape = self.pipeline.shape(&reference, self.pipeline.steps[position].block);
            if self.is_made(&reference, &shape) {
                self.check_family(&reference, &shape, input.many, input.name);
            }
            let family = shape.is_family();
            self.pipeline.steps[position].bindings.push(Binding { slot: input.name.to_owned(), reference, kind, family });
        }
    }

    /// What a positional argument refers to.
    pub(super) fn reference(&mut self, expr: &Expr) -> Option<DataRef> {
        if let ExprKind::Call(callee, arguments) = &expr.kind
            && dotted(callee).as_deref() == Some("gather")
        {
            let [argument] = arguments.as_slice() else {
                self.tell(Diagnostic::error("wrong-value", expr.span.clone(), "`gather` takes one family of steps"));
                return None;
            };
            let inner = self.reference(&argument.value)?;
            return Some(DataRef { gather: true, span: expr.span.clone(), ..inner });
        }
        let mut indices = Vec::new();
        let mut output = None;
        let mut at = expr;
        let name = loop {
            match &at.kind {
                ExprKind::Name(name) => break name,
                ExprKind::Field(of, field) if output.is_none() && indices.is_empty() => {
                    output = Some(field.clone());
                    at = of;
                }
                ExprKind::Index(of, index) => {
                    indices.push(Some(index.as_ref().clone()));
                    at = of;
                }
                ExprKind::All(of) => {
                    indices.push(None);
                    at = of;
                }
                _ => {
                    let message = "a step or an input is expected here";
                    self.tell(
                        Diagnostic::error("type-mismatch", expr.span.clone(), message).help("values are given by name: `key = value`"),
                    );
                    return None;
                }
            }
        };
        indices.reverse();
        let target = self.pipeline.step(name).map(Target::Step).or_else(|| self.pipeline.input(name).map(Target::Input));
        let Some(target) = target else {
            // A name that is defined but broken was told of already.
            if !self.seen.contains_key(name) {
                let names = self.seen.keys().map(String::as_str).filter(|name| !is_inner(name));
                let near = nearest(name, names).map(|near| format!("did you mean `{near}`?"));
                let message = format!("there is no step or input `{name}`");
                self.tell(Diagnostic::error("unknown-name", at.span.clone(), message).help_if(near));
            } else if self.pipeline.params.contains_key(name) {
                let message = format!("`{name}` is a parameter; a step or an input is expected here");
                self.tell(Diagnostic::error("type-mismatch", at.span.clone(), message).help(format!("write `key = param.{name}`")));
            }
            return None;
        };
        let loops = match target {
            Target::Step(step) => self.pipeline.loops(step),
            Target::Input(_) => 1,
        };
        if indices.len() > loops {
            let message = format!("`{name}` stands in {}, and has no member with {} labels", loops_in_words(loops), indices.len());
            self.tell(Diagnostic::error("family-needs-index", expr.span.clone(), message));
            return None;
        }
        Some(DataRef { target, indices, output, gather: false, span: expr.span.clone() })
    }

    pub(super) fn kind_of(&mut self, reference: &DataRef) -> Option<Kind> {
        match reference.target {
            Target::Input(input) => {
                let InputDecl { kind, members, .. } = self.pipeline.inputs[input];
                if let Some(output) = &reference.output {
                    self.tell(Diagnostic::error(
                        "unknown-name",
                        output.span.clone(),
                        format!("a {kind} input has no output `{}`", output.text),
                    ));
                    return None;
                }
                Some(if kind == Kind::Dir && (reference.gather || !reference.indices.is_empty()) { members } else { kind })
            }
            Target::Step(step) => {
                let step = &self.pipeline.steps[step];
                let Some(output) = &reference.output else { return step.outputs.first().map(|(_, kind)| *kind) };
                let found = step.outputs.iter().find(|(name, _)| *name == output.text).map(|(_, kind)| *kind);
                if found.is_none() {
                    let list = step.outputs.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                    let near = nearest(&output.text, step.outputs.iter().map(|(name, _)| name.as_str()))
                        .map(|near| format!("did you mean `{near}`?"));
                    let message = format!("`{}` has no output `{}`; it has {list}", step.name.text, output.text);
                    self.tell(Diagnostic::error("unknown-name", output.span.clone(), message).help_if(near));
                }
                found
            }
        }
    }

    /// Whether a result is sure to be there, so that one value can be taken.
    pub(super) fn is_made(&mut self, reference: &DataRef, shape: &Shape) -> bool {
        if !shape.conditional || shape.is_family() {
            return true;
        }
        let name = self.name_of(reference);
        let message = format!("`{name}` is made only when the condition around it allows");
        let told = Diagnostic::error("maybe-missing", reference.span.clone(), message);
        self.tell(told.help(format!("use it inside the same braces, or take what there is of it with `gather({name})`")));
        false
    }

    fn name_of(&self, reference: &DataRef) -> String {
        match reference.target {
            Target::Input(input) => self.pipeline.inputs[input].name.text.clone(),
            Target::Step(step) => self.pipeline.steps[step].name.text.clone(),
        }
    }

    /// Whether one value stands where one is wanted, and a family where a family is.
    fn check_family(&mut self, reference: &DataRef, shape: &Shape, many: bool, slot: &str) {
        let name = self.name_of(reference);
        if !many && shape.is_family() {
            let message = format!("`{slot}` takes one value, `{name}` is a family");
            let told = Diagnostic::error("family-needs-index", reference.span.clone(), message);
            self.tell(told.help(format!("take one member, `{name}[\"…\"]`, or use it inside the same loop")));
        }
        if many && !shape.is_family() {
            let message = format!("`{slot}` takes a family, `{name}` is one value here");
            self.tell(
                Diagnostic::error("family-needs-index", reference.span.clone(), message)
                    .help(format!("write `gather({name})` outside of the loop")),
            );
        }
    }
}
