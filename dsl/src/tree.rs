//! The tree read from above: nodes and tokens with their places, without a way back to what is around them. A long file is read several times faster so than
//! through rowan's own nodes, each of which is made when it is looked at.

use crate::syntax::{Nf, SyntaxKind, SyntaxNode};
use rowan::{GreenNodeData, GreenTokenData, Language, NodeOrToken};
use std::borrow::Cow;
use std::ops::Range;

/// A node and where it begins.
#[derive(Clone, Copy)]
pub(crate) struct Node<'t> {
    green: &'t GreenNodeData,
    start: usize,
}

/// A token and where it begins.
#[derive(Clone, Copy)]
pub(crate) struct Leaf<'t> {
    green: &'t GreenTokenData,
    start: usize,
}

/// The plain tree below a node; keep it as long as it is read.
pub(crate) fn below(root: &SyntaxNode) -> (Cow<'_, GreenNodeData>, usize) {
    (root.green(), usize::from(root.text_range().start()))
}

impl<'t> Node<'t> {
    pub(crate) fn new(green: &'t GreenNodeData, start: usize) -> Node<'t> {
        Node { green, start }
    }

    pub(crate) fn kind(self) -> SyntaxKind {
        Nf::kind_from_raw(self.green.kind())
    }

    fn elements(self) -> impl Iterator<Item = NodeOrToken<Node<'t>, Leaf<'t>>> {
        self.green.children().scan(self.start, |at, element| {
            let start = *at;
            Some(match element {
                NodeOrToken::Node(green) => {
                    *at += usize::from(green.text_len());
                    NodeOrToken::Node(Node { green, start })
                }
                NodeOrToken::Token(green) => {
                    *at += usize::from(green.text_len());
                    NodeOrToken::Token(Leaf { green, start })
                }
            })
        })
    }

    /// The nodes right below.
    pub(crate) fn children(self) -> impl Iterator<Item = Node<'t>> {
        self.elements().filter_map(NodeOrToken::into_node)
    }

    /// The tokens right below.
    pub(crate) fn tokens(self) -> impl Iterator<Item = Leaf<'t>> {
        self.elements().filter_map(NodeOrToken::into_token)
    }

    /// The first node of a kind right below.
    pub(crate) fn child(self, kind: SyntaxKind) -> Option<Node<'t>> {
        self.children().find(|child| child.kind() == kind)
    }

    /// The first token of a kind right below.
    pub(crate) fn token(self, kind: SyntaxKind) -> Option<Leaf<'t>> {
        self.tokens().find(|token| token.kind() == kind)
    }

    pub(crate) fn text(self) -> String {
        self.green.to_string()
    }

    /// Its place without trivia at its ends.
    pub(crate) fn span(self) -> Range<usize> {
        let end = self.start + usize::from(self.green.text_len());
        let first = (self.start + trivia(self.green, false).0).min(end);
        first..end.saturating_sub(trivia(self.green, true).0).max(first)
    }
}

impl<'t> Leaf<'t> {
    pub(crate) fn kind(self) -> SyntaxKind {
        Nf::kind_from_raw(self.green.kind())
    }

    pub(crate) fn text(self) -> &'t str {
        self.green.text()
    }

    pub(crate) fn span(self) -> Range<usize> {
        self.start..self.start + self.text().len()
    }
}

/// How long the trivia at the beginning of a node are, or at its end; and whether there is nothing else in it.
fn trivia(node: &GreenNodeData, at_end: bool) -> (usize, bool) {
    let mut length = 0;
    let (mut forward, mut backward) = (node.children(), node.children().rev());
    while let Some(element) = if at_end { backward.next() } else { forward.next() } {
        let (own, all) = match element {
            NodeOrToken::Token(token) if Nf::kind_from_raw(token.kind()).is_trivia() => (usize::from(token.text_len()), true),
            NodeOrToken::Token(_) => (0, false),
            NodeOrToken::Node(inner) => trivia(inner, at_end),
        };
        length += own;
        if !all {
            return (length, false);
        }
    }
    (length, true)
}
