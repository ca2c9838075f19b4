//! Self-contained HTML reports with figures drawn from typed artifacts.
//!
//! A report is one file without fonts, pictures or scripts from elsewhere; its own script only shows, sorts, searches and marks what is there. What is drawn
//! depends on the *kind* and *axes* of an artifact, never on which stage made it: a `Tensor [true × predicted]` is a confusion matrix whoever computed it.
//! Every figure has its data beside it as CSV.
//!
//! This crate knows artifacts and scores; it knows no engine, no cache and no clock. Equal input gives equal bytes.

mod colour;
mod contents;
mod csv_link;
mod drawing;
mod error;
pub mod figures;
mod files;
mod input;
mod score_strip;
mod step;
mod template;

pub use contents::{contents, render};
pub use drawing::Drawing;
pub use error::ReportError;
pub use figures::dag::dag as graph;
pub use files::{FigureFile, figure_files};
pub use input::{DagNode, Expectation, Fact, Report, ShownArtifact, ShownStep, State, Work};
pub use template::{BUILT_IN, LONGEST_TEMPLATE, TemplateError, check_template, policy, render_with};
