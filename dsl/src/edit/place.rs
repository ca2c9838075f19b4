//! Where things stand in a file.

use super::{Refused, View};
use crate::syntax::SyntaxKind::{self, *};
use crate::syntax::SyntaxNode;
use neuroflow_stage::nearest;
use std::ops::Range;

impl View<'_> {
    /// All statements of a kind, in braces too, in the order of the file.
    pub(super) fn all(&self, kind: SyntaxKind) -> impl Iterator<Item = SyntaxNode> {
        self.root.descendants().filter(move |node| node.kind() == kind)
    }

    /// The last statement of a kind that stands in no braces.
    pub(super) fn last_outer(&self, kind: SyntaxKind) -> Option<SyntaxNode> {
        self.root.children().filter(|node| node.kind() == kind).last()
    }

    /// A step by name.
    pub(super) fn step(&self, name: &str) -> Result<SyntaxNode, Refused> {
        self.named(&[StepItem], "step", name)
    }

    /// The only statement of some kinds that has a name.
    pub(super) fn named(&self, kinds: &[SyntaxKind], what: &str, name: &str) -> Result<SyntaxNode, Refused> {
        let of_kind = || self.root.descendants().filter(|node| kinds.contains(&node.kind()));
        let mut found = of_kind().filter(|node| name_of(node).as_deref() == Some(name));
        match (found.next(), found.next()) {
            (Some(one), None) => Ok(one),
            (Some(_), Some(_)) => Err(Refused::new(format!("the file has more than one {what} `{name}`")).help("edit it by hand")),
            (None, _) => {
                let names: Vec<String> = of_kind().filter_map(|node| name_of(&node)).collect();
                let near = nearest(name, names.iter().map(String::as_str)).map(|near| format!("did you mean `{near}`?"));
                Err(Refused::new(format!("the file has no {what} `{name}`")).help_if(near))
            }
        }
    }

    /// Where the line begins that a place is in.
    pub(super) fn line_start(&self, at: usize) -> usize {
        self.text[..at].rfind('\n').map_or(0, |newline| newline + 1)
    }

    /// Where the line ends that a place is in, before its newline.
    pub(super) fn line_end(&self, at: usize) -> usize {
        self.text[at..].find('\n').map_or(self.text.len(), |newline| at + newline)
    }

    /// The blanks at the beginning of a statement's line.
    pub(super) fn indentation(&self, at: usize) -> &str {
        let line = &self.text[self.line_start(at)..];
        &line[..line.len() - line.trim_start_matches([' ', '\t']).len()]
    }

    /// Whether nothing but blanks stands before a place on its line.
    pub(super) fn begins_line(&self, at: usize) -> bool {
        self.text[self.line_start(at)..at].trim().is_empty()
    }

    /// Whether nothing but blanks and a comment stands behind a place on its line.
    pub(super) fn ends_line(&self, at: usize) -> bool {
        let rest = self.text[at..self.line_end(at)].trim_start();
        rest.is_empty() || rest.starts_with('#')
    }

    /// A statement with its whole lines, when it has them for itself; else the statement and the blanks before it.
    pub(super) fn lines(&self, node: &SyntaxNode) -> Range<usize> {
        let span = span(node);
        if self.begins_line(span.start) && self.ends_line(span.end) {
            let end = self.line_end(span.end);
            return self.line_start(span.start)..(end + 1).min(self.text.len());
        }
        let before = self.text[..span.start].trim_end_matches([' ', '\t']).len();
        before..span.end
    }
}

/// The bytes of a node.
pub(super) fn span(node: &SyntaxNode) -> Range<usize> {
    let range = node.text_range();
    range.start().into()..range.end().into()
}

/// The name of a statement, an argument or an entry.
pub(super) fn name_of(node: &SyntaxNode) -> Option<String> {
    let name = node.children().find(|child| child.kind() == Name)?;
    name.children_with_tokens()
        .filter_map(|element| element.into_token())
        .find(|token| token.kind().is_word())
        .map(|token| token.text().to_owned())
}

/// The expressions right below a statement, an argument or an entry.
pub(super) fn expressions(node: &SyntaxNode) -> impl Iterator<Item = SyntaxNode> {
    node.children().filter(|child| {
        matches!(
            child.kind(),
            Literal | Quantity | NameRef | FieldExpr | IndexExpr | CallExpr | ListExpr | ParenExpr | UnaryExpr | BinaryExpr | RangeExpr
        )
    })
}
