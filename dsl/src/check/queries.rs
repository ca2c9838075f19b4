//! `sql` steps: the query, and the results that are its tables.

use super::blocks::Found;
use super::steps::{Called, Calls};
use super::{Checker, kinds};
use crate::ast::{Argument, Expr, ExprKind, Word};
use crate::diagnostics::Diagnostic;
use crate::evaluate::names_any;
use crate::pipeline::{Binding, StepDecl, Target};
use crate::query_text::{QUERY, STAGE, evaluate_query};
use neuroflow_data::Kind;
use neuroflow_stage::Value;

/// The output of a query.
const TABLE: &str = "table";
/// What can be a table, while no stage says so.
const TABLES: &[Kind] = &[Kind::Table, Kind::Scores, Kind::Events, Kind::Tensor];

impl Checker<'_> {
    pub(super) fn declare_query<'s>(&mut self, found: &Found<'s>, call: &'s Expr, with: &'s [(Word, Expr)], called: &mut Vec<Called<'s>>) {
        let ExprKind::Call(callee, arguments) = &call.kind else { return };
        let query = arguments.iter().find(|argument| argument.name.is_none()).map(|argument| &argument.value);
        let Some(query) = query.filter(|query| matches!(query.kind, ExprKind::Text(_))) else {
            let message = "`sql` takes the query first, as text in quotes";
            let told = Diagnostic::error("bad-query", call.span.clone(), message);
            self.tell(told.help("write `sql(\"select area, count(*) as n from units group by area\", units = step)`"));
            return;
        };
        self.pipeline.add_step(StepDecl {
            name: found.name.clone(),
            stage: STAGE.into(),
            program: None,
            sweep: None,
            block: found.block,
            bindings: Vec::new(),
            params: vec![(Word { text: QUERY.into(), span: callee.span.clone() }, query.clone())],
            with: Vec::new(),
            outputs: vec![(TABLE.to_owned(), Kind::Table)],
            metrics: Vec::new(),
            span: found.span.clone(),
        });
        called.push(Called { call, arguments, with, calls: Calls::Query });
    }

    /// The tables of a query.
    pub(super) fn query_arguments(&mut self, position: usize, call: &Expr, arguments: &[Argument]) {
        let allowed = self.signature(STAGE).and_then(|signature| signature.inputs.first().map(|input| input.kinds)).unwrap_or(TABLES);
        let block = self.pipeline.steps[position].block;
        let mut names: Vec<&Word> = Vec::new();
        for argument in arguments {
            let Some(name) = &argument.name else {
                if !matches!(argument.value.kind, ExprKind::Text(_)) {
                    let message = "results are given to a query by name: `table = step`";
                    self.tell(Diagnostic::error("bad-query", argument.value.span.clone(), message));
                }
                continue;
            };
            if names.iter().any(|known| known.text == name.text) {
                let message = format!("`{}` names two tables", name.text);
                self.tell(Diagnostic::error("duplicate-name", name.span.clone(), message));
                continue;
            }
            if !is_identifier(&name.text) {
                let message = format!("`{}` can't be the name of a table in SQL", name.text);
                let help = "letters without accents, digits and `_` make the name of a table";
                self.tell(Diagnostic::error("bad-query", name.span.clone(), message).help(help));
                continue;
            }
            names.push(name);
            let Some(reference) = self.reference(&argument.value) else { continue };
            let Some(kind) = self.kind_of(&reference) else { continue };
            if let Target::Step(step) = reference.target {
                self.used.insert(step);
            }
            if !allowed.contains(&kind) {
                let message = format!("a table of a query is {}, this is a {kind}", kinds(allowed));
                self.tell(Diagnostic::error("type-mismatch", argument.value.span.clone(), message).label(format!("a {kind}")));
                continue;
            }
            let shape = self.pipeline.shape(&reference, block);
            if !self.is_made(&reference, &shape) {
                continue;
            }
            let family = shape.is_family();
            self.pipeline.steps[position].bindings.push(Binding { slot: name.text.clone(), reference, kind, family });
        }
        self.query_text(position, call, &names);
    }

    /// Whether the query names each of its tables.
    fn query_text(&mut self, position: usize, call: &Expr, names: &[&Word]) {
        let Some((_, query)) = self.pipeline.steps[position].params.first() else { return };
        let (scope, unknown) = self.sample(self.pipeline.steps[position].block);
        let evaluated = evaluate_query(query, &scope);
        let uncertain = names_any(query, &unknown);
        let place = query.span.clone();
        match evaluated {
            Err(told) if told.code == "unknown-name" => self.tell(told.help("a brace in the query itself is doubled: `{{`")),
            Err(told) => self.tell(told),
            Ok(Value::Text(text)) if !uncertain => {
                if text.trim().is_empty() {
                    self.tell(Diagnostic::error("bad-query", place, "the query is empty"));
                    return;
                }
                for name in names.iter().filter(|name| !has_word(&text, &name.text)) {
                    let message = format!("the query does not use `{}`", name.text);
                    let told = Diagnostic::warning("bad-query", name.span.clone(), message);
                    self.tell(told.help(format!("write `from {}` in it, or leave it out", name.text)));
                }
                if names.is_empty() && (has_word(&text, "from") || has_word(&text, "FROM")) && !self.broken_within(&call.span) {
                    let message = "the query is given no tables";
                    self.tell(
                        Diagnostic::warning("bad-query", call.span.clone(), message).help("give it results: `sql(\"…\", name = step)`"),
                    );
                }
            }
            Ok(_) => {}
        }
    }
}

fn is_identifier(name: &str) -> bool {
    name.chars().all(|c| c.is_ascii_alphanumeric() || c == '_') && !name.starts_with(|c: char| c.is_ascii_digit())
}

/// Whether a word stands in a query, as it is written: names of tables and columns are what they are, capitals included.
fn has_word(text: &str, word: &str) -> bool {
    let mut words = text.split(|c: char| !(c.is_alphanumeric() || c == '_'));
    words.any(|one| one == word)
}
