//! Edits that bring or take whole statements.

use super::calls::without;
use super::fragment::{self, quoted};
use super::place::{expressions, name_of, span};
use super::{Refused, Splice, View};
use crate::syntax::SyntaxKind::{self, *};
use crate::syntax::SyntaxNode;

pub(super) fn begin(view: &View<'_>, name: &str, title: &str) -> Result<Vec<Splice>, Refused> {
    let name = fragment::name(name)?;
    if view.root.children().next().is_some() {
        return Err(Refused::new("the file is not empty").help("a pipeline is begun once"));
    }
    let mut line = format!("pipeline {name}");
    if !title.is_empty() {
        line += &format!(" {}", quoted(fragment::words(title)?));
    }
    Ok(vec![at_end(view, &line)])
}

pub(super) fn add_input(view: &View<'_>, name: &str, value: &str) -> Result<Vec<Splice>, Refused> {
    let name = unused(view, name)?;
    let before = format!("input {name} = ");
    fragment::rest(&before, value, InputItem)?;
    let new = format!("{before}{}", value.trim());
    Ok(vec![behind_declarations(view, &[InputItem, ParamItem, UseItem, PipelineItem], &new)])
}

pub(super) fn set_input(view: &View<'_>, name: &str, value: &str) -> Result<Vec<Splice>, Refused> {
    let item = view.named(&[InputItem], "input", name)?;
    fragment::rest(&format!("input {name} = "), value, InputItem)?;
    let parts: Vec<SyntaxNode> = expressions(&item).collect();
    let (Some(first), Some(last)) = (parts.first(), parts.last()) else { return Err(Refused::new(format!("`{name}` has no source"))) };
    Ok(vec![Splice { span: span(first).start..span(last).end, new: value.trim().to_owned() }])
}

pub(super) fn set_param(view: &View<'_>, name: &str, value: &str) -> Result<Vec<Splice>, Refused> {
    let value = fragment::value(value)?;
    if let Ok(item) = view.named(&[ParamItem], "parameter", name) {
        return Ok(vec![match expressions(&item).next() {
            Some(known) => Splice { span: span(&known), new: value.to_owned() },
            None => Splice::insert(span(&item).end, format!(" = {value}")),
        }]);
    }
    let name = unused(view, name)?;
    Ok(vec![behind_declarations(view, &[ParamItem, UseItem, PipelineItem], &format!("param {name} = {value}"))])
}

pub(super) fn insert_step(view: &View<'_>, name: &str, call: &str, after: &str, outside: bool) -> Result<Vec<Splice>, Refused> {
    let name = unused(view, name)?;
    let piece = fragment::rest(&format!("{name} = "), call, StepItem)?;
    let call = call.trim();
    // Policies stand on a line of their own, as in the style, where the line would be long.
    let with = piece.children().find(|child| child.kind() == WithClause).map(|with| span(&with).start - name.len() - " = ".len());
    let is_long = name.len() + call.len() > 80 && !call.contains('\n');
    let policies = with.filter(|_| is_long).map(|at| (call[..at].trim_end(), &call[at..]));
    let mut anchor = match after {
        "" => view.all(StepItem).filter(|step| !step.ancestors().any(|around| around.kind() == FnItem)).last(),
        _ => Some(view.named(&[StepItem, InputItem, ParamItem, UseItem, SweepItem], "step or input", after)?),
    };
    if outside {
        let around = anchor.as_ref().and_then(|anchor| {
            let is_braces = |node: &SyntaxNode| matches!(node.kind(), ForItem | IfItem | SweepItem | FnItem);
            anchor.ancestors().skip(1).find(is_braces).or_else(|| is_braces(anchor).then(|| anchor.clone()))
        });
        anchor = Some(around.ok_or_else(|| Refused::new(format!("no loop, branch or sweep stands around `{after}`")))?);
    }
    let Some(anchor) = anchor.or_else(|| view.root.children().filter(|node| is_declaration(node.kind())).last()) else {
        return Ok(vec![at_end(view, &format!("{name} = {call}"))]);
    };
    let place = span(&anchor);
    let name = aligned(view, &anchor, name);
    if !view.ends_line(place.end) {
        // On one line with what follows, such as a closing brace.
        return Ok(vec![Splice::insert(place.end, format!(" {name} = {call}"))]);
    }
    let indentation = view.indentation(place.start);
    let call = policies.map_or_else(|| call.to_owned(), |(call, with)| format!("{call}\n{indentation}  {with}"));
    let blank = if outside || is_declaration(anchor.kind()) { "\n" } else { "" };
    Ok(vec![Splice::insert(view.line_end(place.end), format!("\n{blank}{indentation}{name} = {call}"))])
}

/// A name with blanks behind it when the `=` of the statement before stands further right than it must.
fn aligned(view: &View<'_>, anchor: &SyntaxNode, name: &str) -> String {
    let text = &view.text[span(anchor)];
    let line = text.lines().next().unwrap_or_default();
    match (anchor.kind(), line.find('=')) {
        (StepItem, Some(column)) if line[..column].ends_with("  ") && name.len() < column => format!("{name:<width$}", width = column - 1),
        _ => name.to_owned(),
    }
}

fn is_declaration(kind: SyntaxKind) -> bool {
    matches!(kind, PipelineItem | ParamItem | InputItem | UseItem)
}

pub(super) fn remove_step(view: &View<'_>, name: &str) -> Result<Vec<Splice>, Refused> {
    let item = view.step(name)?;
    let mut splices = vec![Splice { span: view.lines(&item), new: String::new() }];
    for list in view.all(NameList) {
        let entry = list.children().find(|entry| entry.text().to_string().trim() == name);
        splices.extend(entry.map(|entry| without(&list, &entry)));
    }
    Ok(splices)
}

pub(super) fn add_expect(view: &View<'_>, condition: &str, message: &str) -> Result<Vec<Splice>, Refused> {
    let piece = fragment::rest("expect ", condition, ExpectItem)?;
    if piece.children_with_tokens().filter_map(|element| element.into_token()).any(|token| token.kind() == Text) {
        return Err(Refused::new("the condition brings its own message").help("say it in `message`"));
    }
    let mut line = format!("expect {}", condition.trim());
    if !message.is_empty() {
        line += &format!(" {}", quoted(fragment::words(message)?));
    }
    if let Some(last) = view.last_outer(ExpectItem).filter(|last| view.ends_line(span(last).end)) {
        return Ok(vec![Splice::insert(view.line_end(span(&last).end), format!("\n{line}"))]);
    }
    match view.root.children().find(|node| node.kind() == ReportItem).filter(|report| view.begins_line(span(report).start)) {
        Some(report) => Ok(vec![Splice::insert(view.line_start(span(&report).start), format!("{line}\n\n"))]),
        None => Ok(vec![at_end(view, &format!("\n{line}"))]),
    }
}

pub(super) fn remove_expect(view: &View<'_>, condition: &str) -> Result<Vec<Splice>, Refused> {
    let bare = |text: &str| text.split_whitespace().collect::<String>();
    let fits = |node: &SyntaxNode| expressions(node).next().is_some_and(|known| bare(&known.text().to_string()) == bare(condition));
    let item = view.all(ExpectItem).find(fits);
    let item = item.ok_or_else(|| Refused::new("the file has no such expectation").help("write the condition as it stands in the file"))?;
    Ok(vec![Splice { span: view.lines(&item), new: String::new() }])
}

pub(super) fn add_report(view: &View<'_>, name: &str, title: &str, items: &str) -> Result<Vec<Splice>, Refused> {
    let name = fragment::name(name)?;
    let items: Vec<&str> = items.split(',').map(str::trim).filter(|item| !item.is_empty()).collect();
    if items.is_empty() {
        return Err(Refused::new("a report shows at least one step"));
    }
    fragment::rest("report x ", &format!("{{ {} }}", items.join(", ")), ReportItem)?;
    let known = view.all(ReportItem).find(|report| name_of(report).as_deref() == Some(name));
    let Some(report) = known else {
        let title = if title.is_empty() { String::new() } else { format!(" {}", quoted(fragment::words(title)?)) };
        return Ok(vec![at_end(view, &format!("\nreport {name}{title} {{ {} }}", items.join(", ")))]);
    };
    let list = report.children().find(|child| child.kind() == NameList);
    let list = list.ok_or_else(|| Refused::new(format!("`{name}` has no list of steps")))?;
    let shown: Vec<String> = list.children().map(|entry| entry.text().to_string().trim().to_owned()).collect();
    let new: Vec<&str> = items.into_iter().filter(|item| !shown.iter().any(|known| known == item)).collect();
    if new.is_empty() {
        return Err(Refused::new(format!("`{name}` shows these steps already")));
    }
    Ok(vec![match list.children().last() {
        Some(last) => Splice::insert(span(&last).end, format!(", {}", new.join(", "))),
        None => Splice { span: span(&list), new: format!("{{ {} }}", new.join(", ")) },
    }])
}

pub(super) fn comment(view: &View<'_>, step: &str, text: &str) -> Result<Vec<Splice>, Refused> {
    let item = view.named(&[StepItem, InputItem, ParamItem], "step", step)?;
    let start = span(&item).start;
    if !view.begins_line(start) {
        return Err(Refused::new(format!("`{step}` does not begin a line, so nothing can be said above it")));
    }
    let indentation = view.indentation(start);
    let clean = |line: &str| line.chars().filter(|letter| !letter.is_control()).collect::<String>();
    let lines: Vec<String> = fragment::words(text)?.lines().map(clean).filter(|line| !line.trim().is_empty()).collect();
    if lines.is_empty() {
        return Err(Refused::new("the comment says nothing"));
    }
    let new = lines.iter().map(|line| format!("{indentation}# {}\n", line.trim())).collect();
    Ok(vec![Splice::insert(view.line_start(start), new)])
}

/// A name that nothing in the file has yet.
fn unused<'n>(view: &View<'_>, name: &'n str) -> Result<&'n str, Refused> {
    let name = fragment::name(name)?;
    let holders = |kind| matches!(kind, StepItem | InputItem | ParamItem | ForItem | FnItem | SweepItem | UseItem);
    if view.root.descendants().any(|node| holders(node.kind()) && name_of(&node).as_deref() == Some(name)) {
        return Err(Refused::new(format!("the file uses the name `{name}` already")));
    }
    Ok(name)
}

/// A line of its own behind the last statement of the first kind that the file has.
fn behind_declarations(view: &View<'_>, kinds: &[SyntaxKind], line: &str) -> Splice {
    for (position, kind) in kinds.iter().enumerate() {
        let Some(last) = view.last_outer(*kind) else { continue };
        let end = span(&last).end;
        if !view.ends_line(end) {
            return Splice::insert(end, format!("\n{line}\n"));
        }
        // A first parameter or input begins a paragraph.
        let blank = if position == 0 { "" } else { "\n" };
        return Splice::insert(view.line_end(end), format!("\n{blank}{line}"));
    }
    Splice::insert(0, format!("{line}\n"))
}

/// A line at the end of the file.
fn at_end(view: &View<'_>, line: &str) -> Splice {
    let end = view.text.trim_end_matches(['\n', ' ', '\t']).len();
    // A comment at the end has no newline of its own.
    let line = if end == 0 { line.trim_start_matches('\n') } else { line };
    let before = if end == 0 { "" } else { "\n" };
    Splice { span: end..view.text.len(), new: format!("{before}{line}\n") }
}
