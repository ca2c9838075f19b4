//! Everything that can be wrong without running, found without running.

mod arguments;
mod bindings;
mod inputs;
mod policies;
mod programs;
mod results;
mod settings;
mod steps;

pub(crate) use policies::controls_in;
pub use programs::program_signature;
pub(crate) use steps::shared_loops;

use crate::ast::{Expr, ExprKind, Statement, StatementKind, Word, statements};
use crate::diagnostics::{Diagnostic, sort};
use crate::evaluate::evaluate;
use crate::parser::parse;
use crate::pipeline::Pipeline;
use neuroflow_data::Kind;
use neuroflow_stage::{Registry, Value};
use std::collections::{BTreeMap, BTreeSet};

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
}

/// Checks a pipeline. `set` are values given for this run as `name`, `text`: each replaces a parameter's default.
pub fn check(text: &str, set: &[(String, String)], catalogue: &Catalogue<'_>) -> Checked {
    let parsed = parse(text);
    let mut checker = Checker {
        catalogue,
        diagnostics: parsed.diagnostics.clone(),
        pipeline: Pipeline::default(),
        seen: BTreeMap::new(),
        used: BTreeSet::new(),
        nested: BTreeMap::new(),
    };
    let root = parsed.root();
    let all = statements(&root, &mut checker.diagnostics);
    checker.run(&all, set);
    let mut diagnostics = checker.diagnostics;
    sort(&mut diagnostics);
    Checked { pipeline: checker.pipeline, diagnostics }
}

struct Checker<'a> {
    catalogue: &'a Catalogue<'a>,
    diagnostics: Vec<Diagnostic>,
    pipeline: Pipeline,
    /// Where each name was defined first.
    seen: BTreeMap<String, std::ops::Range<usize>>,
    /// Steps that something needs.
    used: BTreeSet<usize>,
    /// Steps written inside the call of another, by the place of their own call; none when it names no stage.
    nested: BTreeMap<(usize, usize), Option<usize>>,
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
        if name.text == "param" || name.text == "gather" {
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

    fn run(&mut self, all: &[Statement], set: &[(String, String)]) {
        self.header(all);
        self.params(all, set);
        let mut chosen: Vec<&Statement> = Vec::new();
        self.choose(all, &mut chosen);
        for statement in &chosen {
            if let StatementKind::Input(name, alternatives) = &statement.kind {
                self.input(name, alternatives);
            }
        }
        let mut found = Vec::new();
        for statement in &chosen {
            self.find_steps(statement, &mut Vec::new(), &mut found);
        }
        self.steps(&found);
        self.cycles();
        for statement in &chosen {
            match &statement.kind {
                StatementKind::Expect(condition, message, written) => self.expectation(condition, message.as_ref(), written),
                StatementKind::Report(name, title, names) => self.report(name, title.as_ref(), names),
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

    /// The statements that count: branches of `if` whose condition holds, in place of the `if`.
    fn choose<'s>(&mut self, all: &'s [Statement], chosen: &mut Vec<&'s Statement>) {
        for statement in all {
            match &statement.kind {
                StatementKind::If(condition, then, otherwise) => {
                    let value = evaluate(condition, &self.pipeline.scope());
                    match value {
                        Ok(Value::Bool(truth)) => self.choose(if truth { then } else { otherwise }, chosen),
                        Ok(other) => {
                            let message = format!("`if` needs true or false, this is {}", other.describe());
                            self.tell(Diagnostic::error("wrong-value", condition.span.clone(), message));
                        }
                        Err(diagnostic) => self.tell(diagnostic),
                    }
                }
                StatementKind::Later(word) => self.not_yet(word),
                _ => chosen.push(statement),
            }
        }
    }

    fn not_yet(&mut self, word: &Word) {
        let message = format!("`{}` isn't in this version", word.text);
        self.tell(Diagnostic::error("not-yet", word.span.clone(), message).help("docs/language.md says what this version runs"));
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
