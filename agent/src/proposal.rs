//! A proposed edit, the approval that binds it, and the gate between them.

use neuroflow_engine::Digest;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// One replacement: bytes `span` of the file become `text`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Edit {
    /// The bytes to replace.
    pub span: Range<usize>,
    /// What stands there afterwards.
    pub text: String,
}

/// A proposed change of one pipeline file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Proposal {
    /// The file's content that the proposal was made for.
    pub base: Digest,
    /// The replacements, in the order of the file, not overlapping.
    pub edits: Vec<Edit>,
    /// Why, in the proposer's words.
    pub reason: String,
}

/// A person's yes to exactly one proposal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Approval {
    /// The digest of the proposal: see [`Proposal::digest`].
    pub proposal: Digest,
    /// Who said yes.
    pub by: String,
}

/// Why a proposal was not applied.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Refusal {
    /// The approval is of another proposal.
    #[error("the approval is of another proposal than this one; ask again")]
    NotApproved,
    /// The file changed since the proposal was made.
    #[error("the file changed since the proposal was made; propose again from what it says now")]
    Stale,
    /// An edit is not inside the file, or edits overlap.
    #[error("edit {0} does not fit the file")]
    BadEdit(usize),
    /// The edited text can't be parsed as a pipeline.
    #[error("the edited pipeline has a mistake of syntax: {0}")]
    Syntax(String),
}

impl Proposal {
    /// What an approval names: a digest of everything in the proposal.
    pub fn digest(&self) -> Digest {
        let mut bytes = self.base.as_bytes().to_vec();
        for edit in &self.edits {
            for number in [edit.span.start, edit.span.end, edit.text.len()] {
                bytes.extend((number as u64).to_le_bytes());
            }
            bytes.extend(edit.text.as_bytes());
        }
        bytes.extend(self.reason.as_bytes());
        Digest::of(&bytes)
    }
}

/// The text after an approved proposal.
///
/// # Errors
/// When the approval is of another proposal, the file is not the one that the proposal was made for, an edit does not fit, or the result is no pipeline.
pub fn apply(text: &str, proposal: &Proposal, approval: &Approval) -> Result<String, Refusal> {
    if approval.proposal != proposal.digest() {
        return Err(Refusal::NotApproved);
    }
    if Digest::of(text.as_bytes()) != proposal.base {
        return Err(Refusal::Stale);
    }
    let mut out = String::with_capacity(text.len());
    let mut at = 0;
    for (number, edit) in proposal.edits.iter().enumerate() {
        let before = if edit.span.start >= at && edit.span.end >= edit.span.start { text.get(at..edit.span.start) } else { None };
        let (Some(before), Some(_)) = (before, text.get(edit.span.clone())) else { return Err(Refusal::BadEdit(number)) };
        out.push_str(before);
        out.push_str(&edit.text);
        at = edit.span.end;
    }
    out.push_str(text.get(at..).unwrap_or_default());
    match neuroflow_dsl::parse(&out).diagnostics.first() {
        Some(mistake) => Err(Refusal::Syntax(mistake.message.clone())),
        None => Ok(out),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &str = "pipeline p\nparam folds = 8\n";

    fn proposal(span: Range<usize>, text: &str) -> Proposal {
        Proposal { base: Digest::of(TEXT.as_bytes()), edits: vec![Edit { span, text: text.into() }], reason: "fewer folds".into() }
    }

    fn approved(proposal: &Proposal) -> Approval {
        Approval { proposal: proposal.digest(), by: "a person".into() }
    }

    #[test]
    fn an_approved_edit_touches_only_what_it_names() {
        let proposal = proposal(25..26, "4");
        assert_eq!(apply(TEXT, &proposal, &approved(&proposal)).unwrap(), "pipeline p\nparam folds = 4\n");
    }

    #[test]
    fn an_approval_binds_exactly_one_proposal() {
        let (one, other) = (proposal(25..26, "4"), proposal(25..26, "5"));
        assert_eq!(apply(TEXT, &other, &approved(&one)), Err(Refusal::NotApproved));
    }

    #[test]
    fn a_file_that_changed_refuses_an_old_proposal() {
        let proposal = proposal(25..26, "4");
        assert_eq!(apply("pipeline p\nparam folds = 6\n", &proposal, &approved(&proposal)), Err(Refusal::Stale));
    }

    #[test]
    fn edits_that_do_not_fit_and_broken_results_are_refused() {
        for (span, text) in [(25..99, "4"), (Range { start: 9, end: 3 }, "4")] {
            let proposal = proposal(span, text);
            assert_eq!(apply(TEXT, &proposal, &approved(&proposal)), Err(Refusal::BadEdit(0)));
        }
        let proposal = proposal(25..26, "(");
        assert!(matches!(apply(TEXT, &proposal, &approved(&proposal)), Err(Refusal::Syntax(_))));
    }
}
