//! Self-contained HTML reports with SVG figures drawn from typed artifacts.
//!
//! A report is one file without scripts, fonts or pictures from elsewhere. What is drawn depends on the *kind* and *axes* of an artifact, never on
//! which stage made it: a `Tensor [true × predicted]` is a confusion matrix whoever computed it. Every figure has its data beside it as CSV.
//!
//! This crate knows artifacts and scores; it knows no engine, no cache and no clock. Equal input gives equal bytes.

mod colour;
mod csv_link;
mod error;
pub mod figures;
mod input;
mod page;
mod score_strip;
mod svg;

pub use error::ReportError;
pub use input::{DagNode, Expectation, Fact, Report, ShownArtifact, ShownStep, State};
pub use page::render;
