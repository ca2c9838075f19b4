//! The pipeline language: text to lossless tree to checked pipeline.
//!
//! ```text
//! text ─ lexer ─► tokens ─ parser ─► lossless tree ─ ast ─► statements ─ written ─► statements without functions ─ check ─► Pipeline ─ expand ─► steps
//! ```
//!
//! Parsing can't fail: every text has a tree, and printing the tree gives the text back byte for byte. What is wrong is told as [`Diagnostic`]s, all of
//! it at once, sorted by place. Nothing here reads files, knows tasks or computes digests; of stages it knows signatures.

pub mod ast;
pub mod check;
pub mod command;
pub mod condition;
pub mod diagnostics;
pub mod edit;
pub mod evaluate;
pub mod expand;
pub mod explanations;
pub mod format;
pub mod glob;
pub mod graph;
mod lexer;
mod parser;
pub mod pipeline;
pub mod policy;
mod query_text;
pub mod syntax;
#[cfg(test)]
mod testing;
mod tree;
pub mod used;
mod written;

pub use check::{Catalogue, Checked, check, check_with};
pub use diagnostics::{Diagnostic, Severity};
pub use expand::{Expansion, Known, StepInstance};
pub use parser::{Parse, parse};
pub use pipeline::Pipeline;
pub use policy::Policies;
pub use used::{Files, NoFiles, UsedFile};
