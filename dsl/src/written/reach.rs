//! What of a used file a pipeline needs: the rest is left out, so that nothing runs and no input is looked for that nobody asked for.

use super::names::definitions;
use crate::ast::{Expr, ExprKind, Statement, StatementKind};
use std::collections::{HashMap, HashSet};

/// The statements of `used` that `own` needs, themselves or through each other, in their order.
pub(super) fn needed(used: Vec<Statement>, own: &[Statement]) -> Vec<Statement> {
    let mut by_name: HashMap<String, Vec<usize>> = HashMap::new();
    for (at, statement) in used.iter().enumerate() {
        let mut names = Vec::new();
        match &statement.kind {
            StatementKind::Param(name, ..) => names.push(format!("param.{}", name.text)),
            StatementKind::Fn(function) => names.push(function.name.text.clone()),
            _ => {
                let mut defined = Vec::new();
                definitions(statement, true, &mut defined);
                names.extend(defined.into_iter().map(|one| one.name));
            }
        }
        names.into_iter().for_each(|name| by_name.entry(name).or_default().push(at));
    }
    let mut wanted: Vec<String> = Vec::new();
    own.iter().for_each(|statement| mentions(statement, &mut wanted));
    let mut reached = HashSet::new();
    while let Some(name) = wanted.pop() {
        for &at in by_name.get(&name).into_iter().flatten() {
            if reached.insert(at) {
                mentions(&used[at], &mut wanted);
            }
        }
    }
    used.into_iter().enumerate().filter(|(at, _)| reached.contains(at)).map(|(_, statement)| statement).collect()
}

/// The names of used files in a statement.
fn mentions(statement: &Statement, names: &mut Vec<String>) {
    let mut entries = |entries: &[(crate::ast::Word, Expr)]| entries.iter().for_each(|(_, value)| mentioned(value, names));
    match &statement.kind {
        StatementKind::Param(_, _, value) => value.iter().for_each(|value| mentioned(value, names)),
        StatementKind::Input(_, alternatives) => alternatives.iter().for_each(|value| mentioned(value, names)),
        StatementKind::Step { call, with, .. } => {
            entries(with);
            mentioned(call, names);
        }
        StatementKind::For(_, list, body) => {
            mentioned(list, names);
            body.iter().for_each(|inner| mentions(inner, names));
        }
        StatementKind::If(condition, then, otherwise) => {
            mentioned(condition, names);
            then.iter().chain(otherwise).for_each(|inner| mentions(inner, names));
        }
        StatementKind::Sweep(_, settings, body) => {
            entries(settings);
            body.iter().for_each(|inner| mentions(inner, names));
        }
        StatementKind::Fn(function) => {
            function.params.iter().filter_map(|param| param.default.as_ref()).for_each(|value| mentioned(value, names));
            function.body.iter().for_each(|inner| mentions(inner, names));
            if let Some(value) = &function.value {
                mentioned(&value.call, names);
                value.with.iter().for_each(|(_, value)| mentioned(value, names));
            }
        }
        StatementKind::Expect(condition, ..) => mentioned(condition, names),
        StatementKind::Report(_, _, shown, _) => names.extend(shown.iter().map(|word| word.text.clone())),
        StatementKind::Pipeline(..) | StatementKind::Use(..) => {}
    }
}

fn mentioned(expr: &Expr, names: &mut Vec<String>) {
    match &expr.kind {
        ExprKind::Name(name) if name.contains('/') => names.push(name.clone()),
        ExprKind::Field(of, field) => match &of.kind {
            ExprKind::Name(object) if object == "param" => names.push(format!("param.{}", field.text)),
            _ => mentioned(of, names),
        },
        ExprKind::Text(text) => {
            for rest in text.split('{').skip(1) {
                names.extend(rest.split('}').next().map(|name| name.trim().to_owned()).filter(|name| name.contains('/')));
            }
        }
        ExprKind::Index(a, b) | ExprKind::Range(a, b) | ExprKind::Binary(_, a, b) => {
            [a, b].into_iter().for_each(|expr| mentioned(expr, names))
        }
        ExprKind::Steps(a, b, c) => [a, b, c].into_iter().for_each(|expr| mentioned(expr, names)),
        ExprKind::All(of) | ExprKind::Negative(of) | ExprKind::Not(of) => mentioned(of, names),
        ExprKind::List(items) => items.iter().for_each(|item| mentioned(item, names)),
        ExprKind::Call(callee, arguments) => {
            mentioned(callee, names);
            arguments.iter().for_each(|argument| mentioned(&argument.value, names));
        }
        _ => {}
    }
}
