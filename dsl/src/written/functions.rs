//! `fn`: what may stand in one, and its body in the place of a call.

use super::names::{Defined, Meaning, Names, definitions};
use super::{MOST_DEPTH, MOST_STATEMENTS, Promise, Writer, short};
use crate::ast::{Argument, Expr, ExprKind, Function, Span, Statement, StatementKind, Word};
use crate::diagnostics::Diagnostic;
use neuroflow_data::Kind;
use neuroflow_stage::nearest;
use std::collections::BTreeSet;

/// How large an argument may be, in parts and letters: each call may double what it is given.
const MOST_SIZE: usize = 100_000;
/// How deep an argument may be nested.
const MOST_NESTED: usize = 1000;

/// Types that an argument of a function may have beside the kinds of results.
pub(crate) const VALUE_TYPES: [&str; 6] = ["Text", "Number", "Integer", "Bool", "Duration", "Frequency"];

impl Writer<'_> {
    pub(super) fn check_function(&mut self, function: &Function) {
        let mut names = BTreeSet::new();
        for param in &function.params {
            if !names.insert(&param.name.text) {
                let message = format!("`{}` has two arguments `{}`", short(&function.name.text), param.name.text);
                self.tell(Diagnostic::error("duplicate-name", param.name.span.clone(), message));
            }
            let Some(ty) = &param.ty else { continue };
            let plain = ty.text.trim_start_matches('[').trim_end_matches(']');
            let known = || Kind::ALL.into_iter().map(Kind::name).chain(VALUE_TYPES);
            if !known().any(|name| name == plain) {
                let near = nearest(plain, known()).map(|near| format!("did you mean `{near}`?"));
                let message = format!("`{}` is no type: there are {}", ty.text, known().collect::<Vec<_>>().join(", "));
                self.tell(Diagnostic::error("bad-function", ty.span.clone(), message).help_if(near));
            }
        }
        self.check_body(&function.body);
        if function.value.is_none() {
            let message = format!("the function `{}` has no value", short(&function.name.text));
            let help = "its last line is its value: a call, or the name of one of its steps";
            self.tell(Diagnostic::error("bad-function", function.name.span.clone(), message).help(help));
        }
    }

    fn check_body(&mut self, body: &[Statement]) {
        for inner in body {
            match &inner.kind {
                StatementKind::Step { .. } => {}
                StatementKind::For(_, _, body) | StatementKind::Sweep(_, _, body) => self.check_body(body),
                StatementKind::If(_, then, otherwise) => {
                    self.check_body(then);
                    self.check_body(otherwise);
                }
                _ => {
                    let message = "only steps, loops, branches and sweeps stand in a function";
                    self.tell(Diagnostic::error("bad-function", inner.span.clone(), message).help("move this line out of the braces"));
                }
            }
        }
    }

    /// The body of a function in the place of a call. A call that goes wrong defines its name all the same, so that what follows is not wrong as well.
    pub(super) fn inline(&mut self, statement: Statement, function: &Function, out: &mut Vec<Statement>) {
        let StatementKind::Step { name, .. } = &statement.kind else { return };
        let name = name.clone();
        match self.body_of(statement, function) {
            Some(body) => {
                self.calls.push(function.name.text.clone());
                let body = self.block(body);
                self.calls.pop();
                out.extend(body);
            }
            None => self.written.defined.push(name),
        }
    }

    fn body_of(&mut self, statement: Statement, function: &Function) -> Option<Vec<Statement>> {
        let StatementKind::Step { name, call, gives, with, value } = statement.kind else { return None };
        let ExprKind::Call(callee, arguments) = call.kind else { return None };
        let own_name = &function.name.text;
        if let Some(told) = self.too_deep(own_name, callee.span.clone()) {
            self.tell(told);
            return None;
        }
        if let Some(gives) = &gives {
            let told = Diagnostic::error("bad-exec", gives.span.clone(), "`->` names the file that an `exec` step writes");
            self.tell(told.help("remove `->` and what follows it"));
        }
        let mut names = Names::new("", 0);
        if !self.bind(&name, &call.span, arguments, function, &mut names) {
            return None;
        }
        let written = function.value.as_ref()?;
        let mut locals: Vec<Defined> = Vec::new();
        function.body.iter().for_each(|statement| definitions(statement, false, &mut locals));
        // The step that the value names is the step that was called for.
        let (result, output) = match &written.call.kind {
            ExprKind::Name(name) => (Some(name.clone()), None),
            ExprKind::Field(of, field) => match &of.kind {
                ExprKind::Name(name) => (Some(name.clone()), Some(field.clone())),
                _ => (None, None),
            },
            _ => (None, None),
        };
        for local in locals {
            let text = if result.as_ref() == Some(&local.name) && !local.is_variable {
                name.text.clone()
            } else {
                self.free_name(&format!("{}/{}", name.text, local.name))
            };
            let meaning = if local.is_variable { Meaning::Variable(text) } else { Meaning::Result(text) };
            names.meanings.insert(local.name, meaning);
        }
        let mut body: Vec<Statement> = function.body.iter().map(|inner| names.statement(inner, self.diagnostics)).collect();
        let renamed = names.value(written, self.diagnostics);
        let policies = |own: Vec<(Word, Expr)>| {
            let kept = own.into_iter().filter(|(key, _)| !with.iter().any(|(given, _)| given.text == key.text));
            kept.chain(with.iter().cloned()).collect::<Vec<_>>()
        };
        if let ExprKind::Call(..) = written.call.kind {
            let kind = StatementKind::Step { name, call: renamed.call, gives: renamed.gives, with: policies(renamed.with), value };
            body.push(Statement { kind, span: statement.span });
        } else {
            let mut found = body.iter_mut().filter_map(|inner| match &mut inner.kind {
                StatementKind::Step { name: own, with, value, .. } if own.text == name.text => Some((own, Some((with, value)))),
                StatementKind::Sweep(own, ..) if own.text == name.text => Some((own, None)),
                _ => None,
            });
            let Some((own, step)) = found.next() else {
                let message = format!("the value of `{}` must be a call, or one of its own steps outside of braces", short(own_name));
                let told = Diagnostic::error("bad-function", written.call.span.clone(), message);
                self.tell(told.help("a family becomes one value by `gather(…)` in a call"));
                return None;
            };
            own.span = name.span;
            if let Some((own_with, own_value)) = step {
                let own = std::mem::take(own_with);
                *own_with = policies(own.into_iter().chain(renamed.with).collect());
                *own_value = output.or(value).or(own_value.take());
            }
        }
        self.count += body.len();
        if self.count > MOST_STATEMENTS {
            if self.count - body.len() <= MOST_STATEMENTS {
                let message = format!("written out, the functions of this file are more than {MOST_STATEMENTS} statements");
                self.tell(Diagnostic::error("bad-function", callee.span, message).help("use loops instead of calls"));
            }
            return None;
        }
        Some(body)
    }

    /// What to say when a function contains itself.
    fn too_deep(&self, called: &String, place: Span) -> Option<Diagnostic> {
        let begin = self.calls.iter().position(|outer| outer == called);
        if begin.is_none() && self.calls.len() < MOST_DEPTH {
            return None;
        }
        let way = self.calls[begin.unwrap_or(0)..].iter().chain([called]).map(|name| short(name)).collect::<Vec<_>>().join(" → ");
        let message = match begin {
            Some(_) => format!("`{}` calls itself: {way}", short(called)),
            None => format!("functions call each other more than {MOST_DEPTH} deep: {way}"),
        };
        let help = "a function is written out where it is called, so it can't contain itself; use a loop";
        Some(Diagnostic::error("bad-function", place, message).help(help))
    }

    /// Arguments by position and by name.
    fn bind(
        &mut self,
        step: &Word,
        call: &std::ops::Range<usize>,
        arguments: Vec<Argument>,
        function: &Function,
        names: &mut Names,
    ) -> bool {
        let mut fine = true;
        let mut positional = function.params.iter();
        let own_name = short(&function.name.text);
        let list = || match function.params.as_slice() {
            [] => "it takes none".to_owned(),
            params => format!("it has {}", params.iter().map(|param| format!("`{}`", param.name.text)).collect::<Vec<_>>().join(", ")),
        };
        for Argument { name, value } in arguments {
            let param = match &name {
                None => positional.next(),
                Some(key) => function.params.iter().find(|param| param.name.text == key.text),
            };
            let Some(param) = param else {
                let told = match &name {
                    Some(key) => {
                        let known = function.params.iter().map(|param| param.name.text.as_str());
                        let near = nearest(&key.text, known).map(|near| format!("did you mean `{near}`?"));
                        let message = format!("`{own_name}` has no argument `{}`; {}", key.text, list());
                        Diagnostic::error("bad-function", key.span.clone(), message).help_if(near)
                    }
                    None => {
                        let message = format!("`{own_name}` takes {} arguments; {}", function.params.len(), list());
                        Diagnostic::error("bad-function", value.span.clone(), message)
                    }
                };
                self.tell(told);
                fine = false;
                continue;
            };
            if names.meanings.contains_key(&param.name.text) {
                let message = format!("`{}` is given twice", param.name.text);
                self.tell(Diagnostic::error("duplicate-name", value.span.clone(), message));
                fine = false;
                continue;
            }
            let (size, depth) = extent(&value);
            if size > MOST_SIZE || depth > MOST_NESTED {
                let message = format!("what `{}` stands for has grown too large to be written out", param.name.text);
                self.tell(
                    Diagnostic::error("bad-function", value.span.clone(), message).help("make it a step or a `param`, and give its name"),
                );
                fine = false;
            }
            self.promise(step, &param.name.text, param.ty.as_ref(), &value, own_name);
            names.meanings.insert(param.name.text.clone(), Meaning::Value(value));
        }
        for param in &function.params {
            if names.meanings.contains_key(&param.name.text) {
                continue;
            }
            match &param.default {
                Some(default) => {
                    self.promise(step, &param.name.text, param.ty.as_ref(), default, own_name);
                    names.meanings.insert(param.name.text.clone(), Meaning::Value(default.clone()));
                }
                None => {
                    let message = format!("`{own_name}` needs the argument `{}`", param.name.text);
                    self.tell(Diagnostic::error("bad-function", call.clone(), message).note(param.name.span.clone(), "declared here"));
                    fine = false;
                }
            }
        }
        fine
    }

    fn promise(&mut self, step: &Word, argument: &str, ty: Option<&Word>, value: &Expr, function: &str) {
        let Some(ty) = ty else { return };
        let (step, argument, function) = (step.text.clone(), argument.to_owned(), function.to_owned());
        self.written.promises.push(Promise { step, value: value.clone(), ty: ty.clone(), function, argument });
    }
}

/// How many parts and letters an expression has, and how deep they are nested.
fn extent(expr: &Expr) -> (usize, usize) {
    let below: Vec<&Expr> = match &expr.kind {
        ExprKind::Field(of, _) | ExprKind::All(of) | ExprKind::Negative(of) | ExprKind::Not(of) => vec![of],
        ExprKind::Index(a, b) | ExprKind::Range(a, b) | ExprKind::Binary(_, a, b) => vec![a, b],
        ExprKind::Steps(a, b, c) => vec![a, b, c],
        ExprKind::List(items) => items.iter().collect(),
        ExprKind::Call(_, arguments) => arguments.iter().map(|argument| &argument.value).collect(),
        ExprKind::Text(text) => return (1 + text.len(), 1),
        _ => return (1, 1),
    };
    let parts = below.into_iter().map(extent);
    parts.fold((1, 1), |(size, depth), (more, deeper)| (size.saturating_add(more), depth.max(deeper + 1)))
}
