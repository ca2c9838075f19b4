//! Another name for a step, an input or a parameter.

use super::fragment;
use super::place::{name_of, span};
use super::{Refused, Splice, View};
use crate::syntax::SyntaxKind::*;
use crate::syntax::{SyntaxNode, SyntaxToken};

pub(super) fn rename(view: &View<'_>, from: &str, to: &str) -> Result<Vec<Splice>, Refused> {
    let to = fragment::name(to)?;
    let item = view.named(&[StepItem, InputItem, ParamItem], "step, input or parameter", from)?;
    let named = |kind| matches!(kind, StepItem | InputItem | ParamItem | ForItem | FnParam | FnItem | SweepItem | UseItem | WithEntry);
    let holds = |name: &'_ str| {
        let name = name.to_owned();
        view.root.descendants().filter(move |node| named(node.kind()) && name_of(node).as_ref() == Some(&name))
    };
    let in_settings = |node: &SyntaxNode| node.parent().is_some_and(|parent| parent.kind() == SettingList);
    // A policy's key is no name of anything; a setting of a sweep is.
    let meant = |node: &SyntaxNode| node.kind() != WithEntry || in_settings(node);
    if holds(to).any(|node| meant(&node)) {
        return Err(Refused::new(format!("the file uses the name `{to}` already")));
    }
    if holds(from).filter(meant).count() > 1 {
        return Err(Refused::new(format!("`{from}` names more than one thing here")).help("rename it by hand"));
    }
    if item.kind() == StepItem && item.ancestors().any(|around| around.kind() == FnItem) {
        return Err(Refused::new(format!("`{from}` stands in a function")).help("rename it by hand"));
    }
    let is_param = item.kind() == ParamItem;
    let mut splices = Vec::new();
    for token in view.root.descendants_with_tokens().filter_map(|element| element.into_token()) {
        let Some(parent) = token.parent() else { continue };
        if token.kind() == Text && is_param {
            // A parameter is filled in where a text names it.
            for (at, _) in token.text().match_indices(&format!("{{param.{from}}}")) {
                let start = usize::from(token.text_range().start()) + at + "{param.".len();
                splices.push(Splice { span: start..start + from.len(), new: to.to_owned() });
            }
            continue;
        }
        if token.text() != from || !token.kind().is_word() {
            continue;
        }
        let fits = match parent.kind() {
            Name => parent.parent().is_some_and(|holder| holder == item || holder.kind() == NameList),
            NameRef => !is_param,
            // `param.name`; everything else behind a point is an output or a metric.
            FieldExpr => is_param && parent.first_child().is_some_and(|of| of.text() == "param") && is_last_word(&parent, &token),
            _ => false,
        };
        if fits {
            let range = token.text_range();
            splices.push(Splice { span: range.start().into()..range.end().into(), new: to.to_owned() });
        }
    }
    if splices.is_empty() {
        return Err(Refused::new(format!("`{from}` could not be renamed at {:?}", span(&item))));
    }
    Ok(splices)
}

fn is_last_word(field: &SyntaxNode, token: &SyntaxToken) -> bool {
    field.children_with_tokens().filter_map(|element| element.into_token()).filter(|other| other.kind().is_word()).last().as_ref()
        == Some(token)
}
