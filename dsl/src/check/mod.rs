//! Everything that can be wrong without running, found without running.

mod arguments;
mod bindings;
mod blocks;
mod inputs;
mod policies;
mod programs;
mod promises;
pub(crate) mod queries;
mod results;
mod settings;
mod steps;
mod sweeps;

pub use programs::program_signature;

use crate::ast::{Expr, ExprKind, Statement, StatementKind, Word, statements};
use crate::diagnostics::{Diagnostic, sort};
use crate::evaluate::evaluate;
use crate::parser::parse;
use crate::pipeline::Pipeline;
use crate::used::{Files, NoFiles, Places, UsedFile};
use crate::written::{Promise, write_out};
use blocks::Contents;
use neuroflow_data::Kind;
use neuroflow_stage::{Registry, Signature, Value};
use programs::Templates;
use std::collections::{HashMap, HashSet};
use std::rc::Rc;

/// What a pipeline may name beside its own steps.
pub struct Catalogue<'a> {
    /// Stages.
    pub stages: &'a Registry,
    /// Readers of inputs: name and the kind that they give.
    pub readers: &'a [(&'a str, Kind)],
}

/// A pipeline and what is wrong with it. With errors among the diagnostics, the pipeline must not run.
#[derive(Debug, Clone)]
pub struct Checked {
    /// The pipeline, as far as it could be understood.
    pub pipeline: Pipeline,
    /// What is wrong, sorted by place.
    pub diagnostics: Vec<Diagnostic>,
    /// The files that it uses, with the texts that were checked.
    pub files: Vec<UsedFile>,
}

/// Checks the text of a pipeline that has no folder; see [`check_with`].
pub fn check(text: &str, set: &[(String, String)], catalogue: &Catalogue<'_>) -> Checked {
    check_with(text, set, catalogue, &NoFiles)
}

/// Checks a pipeline. `set` are values given for this run as `name`, `text`: each replaces a parameter's default. `files` is the folder of the pipeline.
pub fn check_with(text: &str, set: &[(String, String)], catalogue: &Catalogue<'_>, files: &dyn Files) -> Checked {
    let parsed = parse(text);
    let mut diagnostics = parsed.diagnostics.clone();
    let all = statements(&parsed.root(), &mut diagnostics);
    let mut places = Places::new(text);
    let written = write_out(all, files, &mut places, &mut diagnostics);
    let mut checker = Checker {
        catalogue,
        files,
        diagnostics,
        pipeline: Pipeline::beginning(places),
        signatures: HashMap::new(),
        seen: HashMap::new(),
        used: HashSet::new(),
        templates: Templates::default(),
    };
    for name in &written.defined {
        checker.define(name);
    }
    checker.run(&written.statements, set, &written.promises);
    let Checker { mut diagnostics, pipeline, .. } = checker;
    pipeline.places.settle(&mut diagnostics);
    sort(&mut diagnostics);
    let files = pipeline.places.files();
    Checked { pipeline, diagnostics, files }
}

struct Checker<'a> {
    catalogue: &'a Catalogue<'a>,
    files: &'a dyn Files,
    diagnostics: Vec<Diagnostic>,
    pipeline: Pipeline,
    /// Declarations of stages, asked for once.
    signatures: HashMap<String, Rc<Signature>>,
    /// Where each name was defined first.
    seen: HashMap<String, std::ops::Range<usize>>,
    /// Steps that something needs.
    used: HashSet<usize>,
    templates: Templates,
}

impl Checker<'_> {
    fn tell(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Whether a value within these bytes could not be read.
    fn broken_within(&self, span: &std::ops::Range<usize>) -> bool {
        let within = |place: &std::ops::Range<usize>| span.start <= place.start && place.start < span.end;
        self.diagnostics.iter().any(|told| ["syntax", "unknown-unit"].contains(&told.code) && within(&told.span))
    }

    fn define(&mut self, name: &Word) -> bool {
        if ["param", "gather", "sql", "exec"].contains(&name.text.as_str()) {
            let message = format!("`{}` has a meaning of its own and can't be a name", name.text);
            self.tell(Diagnostic::error("duplicate-name", name.span.clone(), message));
            return false;
        }
        match self.seen.get(&name.text).cloned() {
            Some(first) => {
                let message = format!("`{}` is defined twice", name.text);
                self.tell(Diagnostic::error("duplicate-name", name.span.clone(), message).label("again here").note(first, "first here"));
                false
            }
            None => {
                self.seen.insert(name.text.clone(), name.span.clone());
                true
            }
        }
    }

    fn run(&mut self, all: &[Statement], set: &[(String, String)], promises: &[Promise]) {
        self.header(all);
        self.params(all, set);
        let mut chosen: Vec<&Statement> = Vec::new();
        self.choose(all, 0, &mut chosen);
        for statement in &chosen {
            if let StatementKind::Input(name, alternatives) = &statement.kind {
                self.input(name, alternatives);
            }
        }
        let mut found = Contents::default();
        for statement in &chosen {
            self.find_steps(statement, 0, &mut found);
        }
        self.steps(&found, promises);
        self.cycles();
        for statement in &chosen {
            match &statement.kind {
                StatementKind::Expect(condition, message, written) => self.expectation(condition, message.as_ref(), written),
                StatementKind::Report(name, title, names, with) => self.report(name, title.as_ref(), names, with),
                _ => {}
            }
        }
        self.unused();
    }

    fn header(&mut self, all: &[Statement]) {
        let mut headers = all.iter().filter_map(|statement| match &statement.kind {
            StatementKind::Pipeline(name, title) => Some((name, title)),
            _ => None,
        });
        match headers.next() {
            Some((name, title)) => {
                self.pipeline.name.clone_from(&name.text);
                self.pipeline.title.clone_from(title);
            }
            None => {
                let missing = Diagnostic::error("no-pipeline", 0..0, "a pipeline file begins with `pipeline NAME`");
                self.tell(missing.help("write `pipeline my_analysis \"What it asks\"` in the first line"));
            }
        }
        if let Some((second, _)) = headers.next() {
            let message = "a file holds one pipeline";
            self.tell(Diagnostic::error("duplicate-name", second.span.clone(), message).label("a second `pipeline` line"));
        }
    }

    /// The statements that count: branches of an `if` on parameters whose condition holds, in place of the `if`. One that names scores or loop variables
    /// is decided later and stays.
    fn choose<'s>(&mut self, all: &'s [Statement], block: usize, chosen: &mut Vec<&'s Statement>) {
        for statement in all {
            match &statement.kind {
                StatementKind::If(condition, then, otherwise) if !self.is_decided_later(condition, block) => {
                    let value = evaluate(condition, &self.pipeline.scope());
                    match value {
                        Ok(Value::Bool(truth)) => self.choose(if truth { then } else { otherwise }, block, chosen),
                        Ok(other) => {
                            let message = format!("`if` needs true or false, this is {}", other.describe());
                            self.tell(Diagnostic::error("wrong-value", condition.span.clone(), message));
                        }
                        Err(diagnostic) => self.tell(diagnostic),
                    }
                }
                _ => chosen.push(statement),
            }
        }
    }

    fn signature(&mut self, stage: &str) -> Option<Rc<Signature>> {
        if let Some(known) = self.signatures.get(stage) {
            return Some(Rc::clone(known));
        }
        let signature = Rc::new(self.catalogue.stages.get(stage)?.signature());
        self.signatures.insert(stage.to_owned(), Rc::clone(&signature));
        Some(signature)
    }
}

/// `topic.stage` or `name`, when an expression is just that.
fn dotted(expr: &Expr) -> Option<String> {
    match &expr.kind {
        ExprKind::Name(name) => Some(name.clone()),
        ExprKind::Field(of, field) => Some(format!("{}.{}", dotted(of)?, field.text)),
        _ => None,
    }
}

fn kinds(kinds: &[Kind]) -> String {
    kinds.iter().map(|kind| format!("a {kind}")).collect::<Vec<_>>().join(" or ")
}
