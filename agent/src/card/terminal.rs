//! The card in a terminal.

use super::Card;
use crate::diff::{Line, Mark};
use crate::escape::escape_line;
use crate::store::State;
use std::fmt::Write as _;

const RED: &str = "\u{1b}[31m";
const GREEN: &str = "\u{1b}[32m";
const YELLOW: &str = "\u{1b}[33m";
const BOLD: &str = "\u{1b}[1m";
const DIM: &str = "\u{1b}[2m";
const PLAIN: &str = "\u{1b}[0m";

/// The card as text, with colours when wanted.
pub fn terminal(card: &Card, colour: bool) -> String {
    let paint = |code: &str, text: String| if colour { format!("{code}{text}{PLAIN}") } else { text };
    let mut out = String::new();
    let intent = if card.intent.is_empty() { "no reason given".to_owned() } else { format!("\"{}\"", escape_line(&card.intent)) };
    let _ = writeln!(out, "{}  {intent}  by {}", paint(BOLD, format!("proposal {}", card.id.short())), escape_line(&card.by));
    if card.state != State::Offered {
        let _ = writeln!(out, "  {}", paint(YELLOW, format!("this proposal is {}", card.state.word())));
    }
    if let Some(moved) = &card.moved {
        let _ = writeln!(out, "  {}", paint(YELLOW, format!("stale: {}", escape_line(moved))));
    }
    for (position, file) in card.files.iter().enumerate() {
        let label = if position == 0 { "edits" } else { "" };
        let _ = writeln!(out, "  {label:<9} {}   +{} -{}", escape_line(&file.path), file.added, file.removed);
        for line in &file.lines {
            let _ = writeln!(out, "{}", of_diff(line, &paint));
        }
    }
    let mut row = |label: &str, texts: Vec<String>| {
        for (position, text) in texts.iter().enumerate() {
            let label = if position == 0 { label } else { "" };
            let _ = writeln!(out, "  {label:<9} {}", escape_line(text));
        }
    };
    if let Some(runs) = card.runs() {
        row("re-runs", std::iter::once(runs).chain(card.reasons().into_iter().map(|reason| format!("  {reason}"))).collect());
    }
    let moves = card.plan.as_ref().map(|plan| plan.moves.clone()).unwrap_or_default();
    if !moves.is_empty() {
        row("can move", vec![moves.join(", ")]);
    }
    row("predicts", card.predicted().collect());
    if card.plan.is_some() {
        row("cost", vec![card.costs()]);
    }
    if !card.proposal.origin.is_human() {
        row("read", vec![card.read()]);
    }
    row("again", card.again().into_iter().collect());
    for warning in &card.warnings {
        let _ = writeln!(out, "  {}", paint(YELLOW, format!("{:<9} {}", "look", escape_line(&warning.message))));
    }
    for path in &card.uncommitted {
        let _ = writeln!(
            out,
            "  {}",
            paint(YELLOW, format!("{:<9} {} has changes of your own that are not committed", "look", escape_line(path)))
        );
    }
    wrapped(&out)
}

/// How wide a card is.
const WIDTH: usize = 80;

/// Where a line goes on that was too long: further in than any label, so that nothing in a text can look like a line of the card.
const GOES_ON: &str = "               ↳ ";

/// Its columns; the arrow counts as two, as everything does that may.
const GOES_ON_WIDTH: usize = 18;

/// How near to the edge a space must be for a line to be broken there.
const NEAR: usize = 30;

/// Long lines in pieces, behind a space where one is near. A terminal would break them itself, at its own width, and begin each piece at the left edge, where
/// labels stand.
fn wrapped(card: &str) -> String {
    let mut out = String::with_capacity(card.len());
    for line in card.lines() {
        // Where the piece begins in `out`, its width, and the last space with the width up to it.
        let (mut column, mut space) = (0, None);
        let mut rest = line.chars();
        while let Some(letter) = rest.next() {
            if letter == '\u{1b}' {
                // A colour of ours, since no other is left; it takes no room.
                out.push(letter);
                for letter in rest.by_ref() {
                    out.push(letter);
                    if letter == 'm' {
                        break;
                    }
                }
                continue;
            }
            // Letters of two columns can't be told from others without a table; so each that may be one counts as two.
            let width = if u32::from(letter) < 0x1100 { 1 } else { 2 };
            if column + width > WIDTH {
                let (at, up_to) = space.take().filter(|(_, up_to)| *up_to + NEAR > WIDTH).unwrap_or((out.len(), column));
                out.insert_str(at, &format!("\n{GOES_ON}"));
                column = GOES_ON_WIDTH + column - up_to;
            }
            out.push(letter);
            column += width;
            if letter == ' ' {
                space = Some((out.len(), column));
            }
        }
        out.push('\n');
    }
    out
}

fn of_diff(line: &Line, paint: &dyn Fn(&str, String) -> String) -> String {
    let number = if line.number == 0 { String::new() } else { line.number.to_string() };
    let text = escape_line(&line.text);
    match line.mark {
        Mark::Same => format!("     {number:>5}  {text}"),
        Mark::Added => paint(GREEN, format!("   + {number:>5}  {text}")),
        Mark::Removed => paint(RED, format!("   - {number:>5}  {text}")),
        Mark::Gap => paint(DIM, "         …".to_owned()),
    }
}
