//! Proposals for pipeline edits and the approval that each one needs.
