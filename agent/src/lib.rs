//! Proposals for pipeline edits and the approval that each one needs.
//!
//! The gate stands here and knows no model of language: a proposal is text edits against one exact state of a file, an approval names the digest of one
//! exact proposal, and only the two together give new text. A proposal made against another state of the file is refused, and so is an approval of
//! another proposal. Nothing in this crate writes a file.

pub mod budget;
pub mod model;
mod proposal;
pub mod secret;

pub use proposal::{Approval, Edit, Proposal, Refusal, apply};
