//! A file written out before it is checked: the statements of used files stand among its own, functions stand where they are called, and a call inside a
//! call is a step of its own.
//!
//! All of it is substitution of names in the tree of statements. What a function or a used file defines gets a name with `/`, which nobody can write, so
//! that nothing of theirs can meet a name of the caller's; see `docs/adr/20261125-functions.md`.

mod functions;
mod names;
mod reach;
mod uses;

use crate::ast::{Argument, Expr, ExprKind, Function, Statement, StatementKind, Word};
use crate::diagnostics::Diagnostic;
use crate::used::{Files, Places};
use std::collections::{BTreeMap, HashSet};
use std::rc::Rc;

/// How deep functions may call each other, and files use each other.
const MOST_DEPTH: usize = 32;
/// How many statements functions may become.
const MOST_STATEMENTS: usize = 200_000;

/// An argument whose type was promised.
pub(crate) struct Promise {
    /// The step that the call became.
    pub(crate) step: String,
    pub(crate) value: Expr,
    pub(crate) ty: Word,
    pub(crate) function: String,
    pub(crate) argument: String,
}

/// A file written out.
#[derive(Default)]
pub(crate) struct Written {
    pub(crate) statements: Vec<Statement>,
    pub(crate) promises: Vec<Promise>,
    /// Names that are no steps: functions, used files, and calls that went wrong.
    pub(crate) defined: Vec<Word>,
}

/// A name as its author wrote it, without what was put before it.
pub(crate) fn short(name: &str) -> &str {
    name.rsplit('/').next().unwrap_or(name)
}

/// Whether a name was made of a used file's or a function's inside.
pub(crate) fn is_inner(name: &str) -> bool {
    name.contains('/')
}

pub(crate) fn write_out(all: Vec<Statement>, files: &dyn Files, places: &mut Places, diagnostics: &mut Vec<Diagnostic>) -> Written {
    let mut writer = Writer {
        files,
        places,
        diagnostics,
        functions: BTreeMap::new(),
        written: Written::default(),
        taken: HashSet::new(),
        calls: Vec::new(),
        count: 0,
    };
    let statements = writer.gathered(all);
    let statements = writer.block(statements);
    Written { statements, ..writer.written }
}

struct Writer<'a> {
    files: &'a dyn Files,
    places: &'a mut Places,
    diagnostics: &'a mut Vec<Diagnostic>,
    functions: BTreeMap<String, Rc<Function>>,
    written: Written,
    /// Names given to calls inside calls, and to what functions define.
    taken: HashSet<String>,
    /// The functions that are being written out, outermost first.
    calls: Vec<String>,
    /// Statements that came out of functions.
    count: usize,
}

impl Writer<'_> {
    fn tell(&mut self, diagnostic: Diagnostic) {
        self.diagnostics.push(diagnostic);
    }

    /// Statements with every call written out.
    fn block(&mut self, all: Vec<Statement>) -> Vec<Statement> {
        let mut out = Vec::with_capacity(all.len());
        for statement in all {
            let span = statement.span;
            let kind = match statement.kind {
                StatementKind::Step { name, call, gives, with, value } => {
                    self.step(Statement { kind: StatementKind::Step { name, call, gives, with, value }, span }, &mut out);
                    continue;
                }
                StatementKind::For(variable, list, body) => StatementKind::For(variable, list, self.block(body)),
                StatementKind::If(condition, then, otherwise) => StatementKind::If(condition, self.block(then), self.block(otherwise)),
                StatementKind::Sweep(name, settings, body) => StatementKind::Sweep(name, settings, self.block(body)),
                StatementKind::Fn(_) | StatementKind::Use(..) => continue,
                kind => kind,
            };
            out.push(Statement { kind, span });
        }
        out
    }

    /// A step as steps: with the calls inside its call, or with all of a function's body.
    fn step(&mut self, mut statement: Statement, out: &mut Vec<Statement>) {
        let StatementKind::Step { name, call, .. } = &mut statement.kind else { return };
        let ExprKind::Call(callee, arguments) = &mut call.kind else {
            out.push(statement);
            return;
        };
        let function = match &callee.kind {
            ExprKind::Name(called) => self.functions.get(called).map(Rc::clone),
            _ => None,
        };
        let takes_results_by_name = function.is_some() || takes_results_by_name(callee);
        let mut inner = Vec::new();
        for argument in arguments {
            if argument.name.is_none() || takes_results_by_name {
                self.hoist(&mut argument.value, &name.text, &mut inner);
            }
        }
        match function {
            Some(function) => self.inline(statement, &function, out),
            None => out.push(statement),
        }
        if !inner.is_empty() {
            let inner = self.block(inner);
            out.extend(inner);
        }
    }

    /// Takes a call out of an argument: it becomes a step of its own, named after the outer one.
    fn hoist(&mut self, expr: &mut Expr, parent: &str, out: &mut Vec<Statement>) {
        match &mut expr.kind {
            ExprKind::Field(of, _) if matches!(of.kind, ExprKind::Call(..)) => self.hoist(of, parent, out),
            ExprKind::Call(callee, arguments) if matches!(&callee.kind, ExprKind::Name(name) if name == "gather") => {
                for Argument { value, .. } in arguments {
                    self.hoist(value, parent, out);
                }
            }
            ExprKind::Call(callee, _) => {
                let Some(short) = self.step_name(callee) else { return };
                let text = self.free_name(&format!("{parent}/{short}"));
                let name = Word { text: text.clone(), span: callee.span.clone() };
                let call = Expr { kind: ExprKind::Name(text), span: expr.span.clone() };
                let call = std::mem::replace(expr, call);
                let kind = StatementKind::Step { name, call, gives: None, with: Vec::new(), value: None };
                out.push(Statement { kind, span: expr.span.clone() });
            }
            _ => {}
        }
    }

    fn free_name(&mut self, base: &str) -> String {
        let mut text = base.to_owned();
        for number in 2.. {
            if self.taken.insert(text.clone()) {
                break;
            }
            text = format!("{base}{number}");
        }
        text
    }

    /// The last word of the stage or function that a callee names; none when it makes a value, such as `lda(…)`.
    fn step_name(&self, callee: &Expr) -> Option<String> {
        match &callee.kind {
            ExprKind::Name(name) if self.functions.contains_key(name) || takes_results_by_name(callee) => Some(short(name).to_owned()),
            ExprKind::Field(_, field) => Some(field.text.clone()),
            _ => None,
        }
    }
}

#[cfg(test)]
mod tests;

/// Whether a callee is one whose keyword arguments are results.
fn takes_results_by_name(callee: &Expr) -> bool {
    matches!(&callee.kind, ExprKind::Name(name) if name == "exec" || name == "sql")
}
