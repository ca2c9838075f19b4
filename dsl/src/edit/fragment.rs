//! What an edit brings: pieces of the language that are whole by themselves.

use super::Refused;
use crate::parser::parse;
use crate::syntax::SyntaxKind::{self, *};
use crate::syntax::SyntaxNode;

/// The longest piece that an edit may bring, in bytes.
const LONGEST: usize = 20_000;

/// The longest title, message or comment, in bytes.
const LONGEST_WORDS: usize = 4000;

/// The longest name, in characters.
const LONGEST_NAME: usize = 64;

/// A value that stands behind `=`: one expression, without comments.
pub(super) fn value(text: &str) -> Result<&str, Refused> {
    let text = bounded(text)?;
    const BEFORE: &str = "x = f(k = ";
    let whole = format!("{BEFORE}{text})\n");
    let root = parsed(&whole, text)?;
    let is_whole = |node: &SyntaxNode| {
        let mut parts = node.descendants().filter(|part| part.kind() == Arg);
        let (first, list) = (parts.next(), node.descendants().find(|part| part.kind() == ArgList));
        let alone = list.is_some_and(|list| list.children().count() == 1);
        let value = first.and_then(|argument| argument.children().find(|child| child.kind() != Name));
        alone && value.is_some_and(|value| span(&value) == (BEFORE.len()..BEFORE.len() + text.len()))
    };
    match statements(&root).as_slice() {
        [only] if only.kind() == StepItem && is_whole(only) => Ok(text),
        _ => Err(Refused::new(format!("`{}` is not one value", shown(text)))),
    }
}

/// A piece that stands behind the beginning of a statement, such as `x = ` or `expect `, and fills it. Gives the statement.
pub(super) fn rest(before: &str, text: &str, kind: SyntaxKind) -> Result<SyntaxNode, Refused> {
    let text = bounded(text)?;
    let whole = format!("{before}{text}\n");
    let root = parsed(&whole, text)?;
    match statements(&root).as_slice() {
        [only] if only.kind() == kind && span(only) == (0..before.len() + text.len()) => Ok(only.clone()),
        _ => Err(Refused::new(format!("`{}` is more than was asked for, or less", shown(text)))),
    }
}

/// A name.
pub(super) fn name(text: &str) -> Result<&str, Refused> {
    let mut letters = text.chars();
    let first = letters.next().is_some_and(|first| first.is_ascii_alphabetic() || first == '_');
    let fits = first && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_') && text.len() <= LONGEST_NAME;
    if !fits || SyntaxKind::keyword(text).is_some() {
        let refused = Refused::new(format!("`{}` can't be a name", shown(text)));
        return Err(refused.help("a name is made of letters, digits and `_`, begins with no digit, and is no word of the language"));
    }
    Ok(text)
}

/// Words for people, such as a title: short enough to be read.
pub(super) fn words(text: &str) -> Result<&str, Refused> {
    match text.len() {
        length if length > LONGEST_WORDS => Err(Refused::new(format!("{length} bytes of words are too many; {LONGEST_WORDS} are allowed"))),
        _ => Ok(text),
    }
}

/// A text of a person's words in quotes.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 2);
    out.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => out.extend(['\\', letter]),
            '\n' => out.push_str("\\n"),
            '\t' => out.push_str("\\t"),
            _ if letter.is_control() => out.push_str(&format!("\\u{{{:x}}}", u32::from(letter))),
            _ => out.push(letter),
        }
    }
    out.push('"');
    out
}

/// The statements of a tree, outermost only.
fn statements(root: &SyntaxNode) -> Vec<SyntaxNode> {
    root.children().collect()
}

fn span(node: &SyntaxNode) -> std::ops::Range<usize> {
    let range = node.text_range();
    range.start().into()..range.end().into()
}

fn bounded(text: &str) -> Result<&str, Refused> {
    let text = text.trim();
    match text.len() {
        0 => Err(Refused::new("a value is missing")),
        length if length > LONGEST => Err(Refused::new(format!("a value of {length} bytes is too long; {LONGEST} are allowed"))),
        _ => Ok(text),
    }
}

fn parsed(whole: &str, text: &str) -> Result<SyntaxNode, Refused> {
    let parse = parse(whole);
    if let Some(mistake) = parse.diagnostics.first() {
        let help = mistake.help.first().cloned();
        return Err(Refused::new(format!("`{}`: {}", shown(text), mistake.message)).help_if(help));
    }
    let root = parse.root();
    if root.descendants_with_tokens().any(|element| element.kind() == Comment) {
        return Err(Refused::new(format!("`{}`: a value holds no comment", shown(text))).help("say it with the edit `comment`"));
    }
    Ok(root)
}

/// As much of a piece as a message needs.
fn shown(text: &str) -> String {
    const MOST: usize = 60;
    let line = text.split_whitespace().collect::<Vec<_>>().join(" ");
    match line.char_indices().nth(MOST) {
        Some((end, _)) => format!("{}…", &line[..end]),
        None => line,
    }
}
