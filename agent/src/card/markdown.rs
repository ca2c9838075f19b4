//! The card as Markdown, for pull requests, notes and MCP clients.

use super::Card;
use crate::diff::Mark;
use crate::escape::escape_line;
use crate::store::State;
use std::fmt::Write as _;

/// The card as Markdown. Texts from outside stand in code, where nothing in them is a link or a picture.
pub fn markdown(card: &Card) -> String {
    let mut out = format!("### Proposal `{}`\n\n", card.id.short());
    if !card.intent.is_empty() {
        let _ = writeln!(out, "{}\n", code(&card.intent));
    }
    let _ = writeln!(
        out,
        "By {}; {}.\n",
        code(&card.by),
        if card.state == State::Offered { "waiting for a person" } else { card.state.word() }
    );
    if let Some(moved) = &card.moved {
        let _ = writeln!(out, "**Stale**: {}\n", code(moved));
    }
    for file in &card.files {
        let _ = writeln!(out, "{} +{} -{}\n\n````diff", code(&file.path), file.added, file.removed);
        for line in &file.lines {
            let mark = match line.mark {
                Mark::Same => ' ',
                Mark::Added => '+',
                Mark::Removed => '-',
                Mark::Gap => '@',
            };
            let _ = writeln!(out, "{mark}{}", escape_line(&line.text).replace("````", "` ` ` `"));
        }
        out.push_str("````\n\n");
    }
    let mut rows: Vec<(&str, String)> = Vec::new();
    rows.extend(card.runs().map(|runs| ("re-runs", runs)));
    rows.extend(card.reasons().into_iter().map(|reason| ("", reason)));
    if let Some(plan) = card.plan.as_ref().filter(|plan| !plan.moves.is_empty()) {
        rows.push(("can move", plan.moves.join(", ")));
    }
    rows.extend(card.predicted().map(|condition| ("predicts", condition)));
    if card.plan.is_some() {
        rows.push(("cost", card.costs()));
    }
    rows.push(("read", card.read()));
    rows.extend(card.again().map(|again| ("again", again)));
    rows.extend(card.warnings.iter().map(|warning| ("look", warning.message.clone())));
    rows.extend(card.uncommitted.iter().map(|path| ("look", format!("{path} has changes that are not committed"))));
    out.push_str("| | |\n|---|---|\n");
    for (label, text) in rows {
        let _ = writeln!(out, "| {label} | {} |", code(&text).replace('|', "\\|"));
    }
    out
}

/// A text in code: nothing in it has a meaning.
fn code(text: &str) -> String {
    format!("`{}`", escape_line(text).replace('`', "'"))
}
