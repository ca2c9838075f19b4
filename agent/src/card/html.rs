//! The card as HTML, whole by itself.

use super::Card;
use crate::diff::Mark;
use crate::escape::escape_line;
use crate::store::State;
use std::fmt::Write as _;

const STYLE: &str = "body{font:15px/1.5 system-ui,sans-serif;max-width:60rem;margin:2rem auto;padding:0 1rem;color:#1c1e21;background:#fff}\
h1{font-size:1.2rem}pre{border:1px solid #d0d4d9;border-radius:6px;padding:.6rem 0;overflow-x:auto;font:13px/1.5 ui-monospace,monospace}\
pre span{display:block;padding:0 .8rem;white-space:pre}.added{background:#e3f5e6}.removed{background:#fdE8e8}.gap{color:#666}\
table{border-collapse:collapse;width:100%}th{text-align:left;vertical-align:top;width:6.5rem;font-weight:600}td,th{padding:.25rem .5rem;border-top:1px solid #e6e8eb}\
.look{color:#8a4b00;font-weight:600}.by{color:#5a6068}\
@media(prefers-color-scheme:dark){body{color:#e4e6e9;background:#16181b}pre{border-color:#3a3e44}.added{background:#153d22}.removed{background:#4a1d1f}\
.gap,.by{color:#a0a6ad}td,th{border-color:#33373c}.look{color:#f0b060}}";

/// The card as a page.
pub fn html(card: &Card) -> String {
    let mut out = format!(
        "<!doctype html>\n<html lang=\"en\"><head><meta charset=\"utf-8\"><meta name=\"viewport\" content=\"width=device-width\">\
         <title>Proposal {id}</title><style>{STYLE}</style></head><body>\n<h1>Proposal {id}</h1>\n",
        id = text(card.id.short())
    );
    let state = if card.state == State::Offered { "waiting for a person" } else { card.state.word() };
    let _ = writeln!(out, "<p>{}</p>\n<p class=\"by\">by {}; {}</p>", text(&card.intent), text(&card.by), text(state));
    for file in &card.files {
        let _ = write!(out, "<p><code>{}</code> +{} -{}</p>\n<pre>", text(&file.path), file.added, file.removed);
        for line in &file.lines {
            let (class, mark) = match line.mark {
                Mark::Same => ("same", " "),
                Mark::Added => ("added", "+"),
                Mark::Removed => ("removed", "-"),
                Mark::Gap => ("gap", "…"),
            };
            let number = if line.number == 0 { String::new() } else { line.number.to_string() };
            let _ = write!(out, "<span class=\"{class}\">{mark} {number:>4}  {}</span>", text(&line.text));
        }
        out.push_str("</pre>\n");
    }
    out.push_str("<table>\n");
    let mut row = |label: &str, said: &str, class: &str| {
        let _ = writeln!(out, "<tr><th scope=\"row\">{label}</th><td class=\"{class}\">{}</td></tr>", text(said));
    };
    if let Some(moved) = &card.moved {
        row("stale", moved, "look");
    }
    if let Some(runs) = card.runs() {
        row("re-runs", &runs, "");
    }
    card.reasons().iter().for_each(|reason| row("", reason, ""));
    if let Some(plan) = card.plan.as_ref().filter(|plan| !plan.moves.is_empty()) {
        row("can move", &plan.moves.join(", "), "");
    }
    card.predicted().for_each(|condition| row("predicts", &condition, ""));
    if card.plan.is_some() {
        row("cost", &card.costs(), "");
    }
    row("read", &card.read(), if card.free_text.is_empty() { "" } else { "look" });
    card.again().iter().for_each(|again| row("again", again, ""));
    card.warnings.iter().for_each(|warning| row("look", &warning.message, "look"));
    card.uncommitted.iter().for_each(|path| row("look", &format!("{path} has changes that are not committed"), "look"));
    out.push_str("</table>\n</body></html>\n");
    out
}

fn text(said: &str) -> String {
    escape_line(said).replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;").replace('"', "&quot;")
}
