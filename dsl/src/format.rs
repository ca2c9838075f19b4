//! One style for pipeline files.
//!
//! The layout of lines is the author's; what is made even is what carries no meaning: spaces inside a line, indentation by nesting, blank lines (at most one),
//! the end of the file. Comments stay where they are. A file with a mistake of syntax is left as it is. Columns that an author aligned
//! (`=` of neighbouring statements, messages of `expect`, comments behind code) stay aligned.

use crate::parser::parse;
use crate::syntax::SyntaxKind::{self, *};
use crate::syntax::{SyntaxNode, SyntaxToken};

/// The text in the one style. Idempotent; never changes the meaning.
pub fn format(text: &str) -> String {
    let parsed = parse(text);
    // Where a statement ends is a guess after a mistake, and the guess hangs on indentation: a file that can't be parsed is left as it is.
    if !parsed.diagnostics.is_empty() {
        return text.to_owned();
    }
    let root = parsed.root();
    let mut out = String::with_capacity(text.len());
    let tokens: Vec<SyntaxToken> = root.descendants_with_tokens().filter_map(|element| element.into_token()).collect();
    let mut depth = 0usize;
    let mut line: Vec<&SyntaxToken> = Vec::new();
    let mut blank = true;
    // How deep the line that is being collected began.
    let mut begun = 0usize;
    let mut lines: Vec<(usize, Vec<&SyntaxToken>)> = Vec::new();
    for token in &tokens {
        if token.kind() == Newline {
            lines.push((begun, std::mem::take(&mut line)));
            begun = depth;
            continue;
        }
        line.push(token);
        match token.kind() {
            LeftParen | LeftBracket | LeftBrace => depth += 1,
            RightParen | RightBracket | RightBrace => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    lines.push((begun, line));
    for (depth, tokens) in lines {
        let meaningful: Vec<&SyntaxToken> = tokens.iter().copied().filter(|token| token.kind() != Space).collect();
        let Some(first) = meaningful.first() else {
            if !blank {
                out.push('\n');
                blank = true;
            }
            continue;
        };
        blank = false;
        if tokens.iter().any(|token| is_broken(token)) {
            tokens.iter().for_each(|token| out.push_str(token.text()));
            trim_line(&mut out);
            out.push('\n');
            continue;
        }
        let closes = matches!(first.kind(), RightParen | RightBracket | RightBrace);
        let depth = depth.saturating_sub(usize::from(closes)) + usize::from(is_continuation(first, &meaningful));
        out.push_str(&"  ".repeat(depth));
        let mut before: Option<&SyntaxToken> = None;
        let mut gap = 0usize;
        for token in &tokens {
            if token.kind() == Space {
                gap = token.text().chars().count();
                continue;
            }
            if let Some(before) = before {
                // An author's alignment before `=` of a statement and before a comment is kept; everything else has its one distance.
                let aligned = (token.kind() == Comment || (token.kind() == Equal && is_definition(token)) || is_message(token)) && gap > 1;
                let spaces = if aligned { gap } else { usize::from(space_between(before, token)) };
                out.push_str(&" ".repeat(spaces));
            }
            out.push_str(token.text());
            before = Some(token);
            gap = 0;
        }
        trim_line(&mut out);
        out.push('\n');
    }
    let end = out.trim_end_matches(['\n', ' ']).len();
    out.truncate(end);
    if !out.is_empty() {
        out.push('\n');
    }
    out
}

fn trim_line(out: &mut String) {
    let end = out.trim_end_matches([' ', '\t', '\r']).len();
    // Only blanks of this line: a newline before them stays.
    let keep = out[end..].rfind('\n').map_or(end, |newline| end + newline + 1);
    out.truncate(keep);
}

fn is_broken(token: &SyntaxToken) -> bool {
    matches!(token.kind(), Bad | BadText) || token.text().contains('\n') || token.parent_ancestors().any(|node| node.kind() == Error)
}

/// Whether the line goes on with a statement that began on a line above, outside of brackets: `with …`, `or …`, an operator.
fn is_continuation(first: &SyntaxToken, line: &[&SyntaxToken]) -> bool {
    let _ = line;
    let item = first.parent_ancestors().find(|node| is_statement(node.kind()));
    let Some(item) = item else { return false };
    let first_of_item = item.descendants_with_tokens().filter_map(|element| element.into_token()).find(|token| !token.kind().is_trivia());
    let begins = first_of_item.as_ref() == Some(first);
    let in_brackets = first
        .parent_ancestors()
        .take_while(|node| *node != item)
        .any(|node| matches!(node.kind(), ArgList | ListExpr | ParenExpr | Block | NameList | FnParams | SettingList));
    !begins
        && !in_brackets
        && !matches!(first.kind(), Comment | LeftBrace | RightBrace | RightParen | RightBracket)
        && !is_inside_report(first)
}

fn is_inside_report(token: &SyntaxToken) -> bool {
    // What a report is laid out with goes on behind it, as with a step.
    let within = |kind| token.parent_ancestors().any(|node| node.kind() == kind);
    within(ReportItem) && !within(WithClause) && token.kind() != Text
}

fn is_statement(kind: SyntaxKind) -> bool {
    matches!(
        kind,
        PipelineItem
            | ParamItem
            | InputItem
            | StepItem
            | ForItem
            | IfItem
            | ExpectItem
            | ReportItem
            | UseItem
            | FnItem
            | SweepItem
            | ValueItem
    )
}

/// Whether a text is the message of an `expect`.
fn is_message(token: &SyntaxToken) -> bool {
    token.kind() == Text && token.parent().is_some_and(|node| node.kind() == ExpectItem)
}

/// Whether an `=` stands between a statement's name and its value.
fn is_definition(token: &SyntaxToken) -> bool {
    token.parent().map(|node: SyntaxNode| node.kind()).is_some_and(|kind| matches!(kind, StepItem | InputItem | ParamItem))
}

fn space_between(before: &SyntaxToken, after: &SyntaxToken) -> bool {
    let parent = |token: &SyntaxToken| token.parent().map_or(File, |node| node.kind());
    match (before.kind(), after.kind()) {
        (_, Comment) => true,
        (_, Comma | RightParen | RightBracket | Colon) => false,
        (LeftParen | LeftBracket, _) => false,
        (Dot, _) | (_, Dot) => false,
        (Minus, _) if parent(before) == UnaryExpr => false,
        (_, LeftParen) => !matches!(parent(after), ArgList | FnParams),
        (_, LeftBracket) => parent(after) != IndexExpr,
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::ast;
    use proptest::prelude::*;

    const WHOLE: &str = concat!(include_str!("../../pipelines/mouse_v1.nf"), include_str!("../specs/everything.nf"));

    /// Statements without places.
    fn meaning(text: &str) -> String {
        let all = ast::statements(&parse(text).root(), &mut Vec::new());
        let shown = format!("{all:?}");
        let mut out = String::new();
        let mut rest = shown.as_str();
        while let Some(at) = rest.find("span: ") {
            out.push_str(&rest[..at]);
            rest =
                rest[at..].trim_start_matches(|c: char| c != '.').trim_start_matches('.').trim_start_matches(|c: char| c.is_ascii_digit());
        }
        out + rest
    }

    #[test]
    fn pipelines_in_the_style_stay_as_they_are() {
        for text in [include_str!("../../pipelines/mouse_v1.nf"), include_str!("../specs/everything.nf")] {
            assert_eq!(format(text), text);
        }
    }

    #[test]
    fn spaces_and_indentation_are_made_even_and_comments_stay() {
        let text = "pipeline   p\n\n\n\nfor x in [1,2]{\n# why\na=f.g( 1,k=- 2 )   # here\n      with seed=7\n}\nreport r{a}";
        let styled = format(text);
        assert_eq!(
            styled,
            "pipeline p\n\nfor x in [1, 2] {\n  # why\n  a = f.g(1, k = -2)   # here\n    with seed = 7\n}\nreport r { a }\n"
        );
        assert_eq!(format(&styled), styled);
    }

    proptest! {
        #[test]
        fn formatting_twice_is_formatting_once_and_keeps_the_meaning(
            spaces in prop::collection::vec(" {0,3}", 1..40),
            cut in 0usize..150,
        ) {
            // Every blank of the pipeline is replaced by some other number of blanks, at least one.
            let mut numbers = spaces.iter().cycle();
            let body: String = WHOLE.lines().skip(cut).map(|line| {
                let line = if line.trim_start().starts_with('#') || line.contains('"') { line.to_owned() } else {
                    line.split(' ').collect::<Vec<_>>().join(&format!(" {}", numbers.next().map_or("", |s| s.as_str())))
                };
                line + "\n"
            }).collect();
            let once = format(&body);
            prop_assert_eq!(format(&once), once.clone());
            prop_assert_eq!(meaning(&once), meaning(&body));
        }

        #[test]
        fn any_text_can_be_formatted_and_twice_is_once(text in "[ -~\n]{0,200}") {
            let once = format(&text);
            prop_assert_eq!(format(&once), once);
        }
    }
}
