//! Edits of a step's call and of its policies.

use super::fragment;
use super::place::{expressions, name_of, span};
use super::{Refused, Splice, View};
use crate::syntax::SyntaxKind::*;
use crate::syntax::SyntaxNode;
use neuroflow_stage::nearest;

pub(super) fn set_argument(view: &View<'_>, step: &str, key: &str, value: &str) -> Result<Vec<Splice>, Refused> {
    let value = fragment::value(value)?;
    let path = path(key)?;
    set_in(&call_of(view, step)?, &path, value).map(|splice| vec![splice])
}

fn path(key: &str) -> Result<Vec<&str>, Refused> {
    key.split('.').map(argument_name).collect()
}

/// Words of the language may be names of arguments.
fn argument_name(key: &str) -> Result<&str, Refused> {
    if crate::syntax::SyntaxKind::keyword(key).is_some() { Ok(key) } else { fragment::name(key) }
}

fn set_in(call: &SyntaxNode, path: &[&str], value: &str) -> Result<Splice, Refused> {
    let Some((key, rest)) = path.split_first() else { return Err(Refused::new("an argument's name is missing")) };
    let list = arguments_of(call)?;
    let known = argument(&list, key);
    if let (Some(argument), false) = (&known, rest.is_empty()) {
        let inner = value_of(argument)?;
        return match inner.kind() {
            CallExpr => set_in(&inner, rest, value),
            NameRef => Ok(Splice::insert(span(&inner).end, format!("({})", nested(rest, value)))),
            _ => Err(Refused::new(format!("`{key}` is not a call, so it has no argument `{}`", rest.join(".")))),
        };
    }
    match known {
        Some(argument) => Ok(Splice { span: span(&value_of(&argument)?), new: value.to_owned() }),
        None if !rest.is_empty() => {
            Err(Refused::new(format!("the call has no argument `{key}`")).help(format!("set `{key}` as a whole first")))
        }
        None => Ok(append(&list, &format!("{key} = {value}"))),
    }
}

fn nested(path: &[&str], value: &str) -> String {
    match path {
        [last] => format!("{last} = {value}"),
        [first, rest @ ..] => format!("{first}({})", nested(rest, value)),
        [] => value.to_owned(),
    }
}

pub(super) fn unset_argument(view: &View<'_>, step: &str, key: &str) -> Result<Vec<Splice>, Refused> {
    let mut call = call_of(view, step)?;
    let path = path(key)?;
    for (position, part) in path.iter().enumerate() {
        let list = arguments_of(&call)?;
        let Some(argument) = argument(&list, part) else {
            let names: Vec<String> = list.children().filter_map(|argument| name_of(&argument)).collect();
            let near = nearest(part, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
            return Err(Refused::new(format!("the call has no argument `{part}`")).help_if(near));
        };
        if position + 1 == path.len() {
            return Ok(vec![without(&list, &argument)]);
        }
        call = value_of(&argument)?;
    }
    Err(Refused::new("an argument's name is missing"))
}

pub(super) fn replace_call(view: &View<'_>, step: &str, call: &str) -> Result<Vec<Splice>, Refused> {
    let node = view.step(step)?;
    let before = format!("{step} = ");
    let piece = fragment::rest(&before, call, StepItem)?;
    let parts: Vec<SyntaxNode> = expressions(&node).collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return Err(Refused::new(format!("`{step}` has no call"))) };
    // What the call brings replaces what is there: a program what it gives, policies the policies.
    let brings_with = piece.children().any(|child| child.kind() == WithClause);
    let end = match node.children().find(|child| child.kind() == WithClause) {
        Some(with) if brings_with => span(&with).end,
        _ => span(last).end,
    };
    Ok(vec![Splice { span: span(first).start..end, new: call.trim().to_owned() }])
}

pub(super) fn set_policy(view: &View<'_>, step: &str, key: &str, value: &str) -> Result<Vec<Splice>, Refused> {
    let (node, value, key) = (view.step(step)?, fragment::value(value)?, argument_name(key)?);
    let Some(clause) = node.children().find(|child| child.kind() == WithClause) else {
        let indentation = view.indentation(span(&node).start);
        let new = format!("\n{indentation}  with {key} = {value}");
        return Ok(vec![Splice::insert(span(&node).end, new)]);
    };
    let entry = clause.children().find(|entry| name_of(entry).as_deref() == Some(key));
    Ok(vec![match entry {
        Some(entry) => Splice { span: span(&value_of(&entry)?), new: value.to_owned() },
        None => Splice::insert(span(&clause).end, format!(", {key} = {value}")),
    }])
}

pub(super) fn unset_policy(view: &View<'_>, step: &str, key: &str) -> Result<Vec<Splice>, Refused> {
    let node = view.step(step)?;
    let clause = node.children().find(|child| child.kind() == WithClause);
    let entry = clause.as_ref().and_then(|clause| clause.children().find(|entry| name_of(entry).as_deref() == Some(key)));
    let (Some(clause), Some(entry)) = (clause, entry) else { return Err(Refused::new(format!("`{step}` has no policy `{key}`"))) };
    if clause.children().filter(|child| child.kind() == WithEntry).count() == 1 {
        let start = view.text[..span(&clause).start].trim_end().len();
        return Ok(vec![Splice { span: start..span(&clause).end, new: String::new() }]);
    }
    Ok(vec![without(&clause, &entry)])
}

pub(super) fn add_control(view: &View<'_>, step: &str, call: &str) -> Result<Vec<Splice>, Refused> {
    let (node, call) = (view.step(step)?, fragment::value(call)?);
    let clause = node.children().find(|child| child.kind() == WithClause);
    let entry = clause.and_then(|clause| clause.children().find(|entry| name_of(entry).as_deref() == Some("control")));
    let Some(entry) = entry else { return set_policy(view, step, "control", call) };
    let value = value_of(&entry)?;
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    let known: Vec<SyntaxNode> = if value.kind() == ListExpr { value.children().collect() } else { vec![value.clone()] };
    if known.iter().any(|one| bare(&one.text().to_string()) == bare(call)) {
        return Err(Refused::new(format!("`{step}` has this control already")));
    }
    Ok(match (value.kind(), known.last()) {
        (ListExpr, Some(last)) => vec![Splice::insert(span(last).end, format!(", {call}"))],
        (ListExpr, None) => vec![Splice { span: span(&value), new: format!("[{call}]") }],
        _ => vec![Splice::insert(span(&value).start, "[".into()), Splice::insert(span(&value).end, format!(", {call}]"))],
    })
}

fn call_of(view: &View<'_>, step: &str) -> Result<SyntaxNode, Refused> {
    let node = view.step(step)?;
    expressions(&node).find(|part| part.kind() == CallExpr).ok_or_else(|| Refused::new(format!("`{step}` has no call")))
}

fn arguments_of(call: &SyntaxNode) -> Result<SyntaxNode, Refused> {
    call.children().find(|child| child.kind() == ArgList).ok_or_else(|| Refused::new("it is not a call, so it has no arguments"))
}

fn argument(list: &SyntaxNode, key: &str) -> Option<SyntaxNode> {
    list.children().find(|argument| argument.kind() == Arg && name_of(argument).as_deref() == Some(key))
}

fn value_of(node: &SyntaxNode) -> Result<SyntaxNode, Refused> {
    expressions(node).next().ok_or_else(|| Refused::new("a value is missing in the file"))
}

/// One more entry behind the last of a list in brackets.
fn append(list: &SyntaxNode, new: &str) -> Splice {
    let Some(last) = list.children().filter(|child| child.kind() == Arg).last() else {
        // Behind the opening bracket.
        return Splice::insert(span(list).start + 1, new.to_owned());
    };
    let comma = list.children_with_tokens().filter_map(|element| element.into_token()).filter(|token| token.kind() == Comma).last();
    let end = span(&last).end;
    match comma.map(|comma| usize::from(comma.text_range().end())).filter(|comma| *comma > end) {
        Some(comma) => Splice::insert(comma, format!(" {new}")),
        None => Splice::insert(end, format!(", {new}")),
    }
}

/// A list without one of its entries, and without the comma and the blanks that belong to it.
pub(super) fn without(list: &SyntaxNode, entry: &SyntaxNode) -> Splice {
    let entries: Vec<SyntaxNode> = list.children().filter(|child| child.kind() == entry.kind()).collect();
    let position = entries.iter().position(|other| other == entry).unwrap_or(0);
    let own = span(entry);
    let whole = match (position.checked_sub(1).and_then(|before| entries.get(before)), entries.get(position + 1)) {
        (Some(before), _) => span(before).end..own.end,
        (None, Some(next)) => own.start..span(next).start,
        (None, None) => own,
    };
    Splice { span: whole, new: String::new() }
}
