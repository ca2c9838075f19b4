//! The artifact types on Arrow, their axes and units, and the file formats of the field.
//!
//! Everything that flows between two steps of a pipeline is an [`Artifact`]: one immutable value with a [`Kind`], named axes,
//! units and a note on where it comes from. Tabular and tensor artifacts are Arrow IPC files, readable by any Arrow library; tensors use
//! Arrow's `fixed_shape_tensor` extension type. Raw input files stay bytes.
//!
//! The typed views ([`Tensor`], [`Responses`], [`Scores`], …) convert to and from [`Artifact`] through [`Typed`]; a conversion checks axes and
//! columns, so a stage that has its typed input can rely on it.
//!
//! This crate knows no pipelines, no stages and no cache.

pub mod artifact;
pub mod axis;
pub mod columns;
pub mod communities;
pub mod error;
pub mod events;
pub mod export;
pub mod features;
pub mod formats;
pub mod graph;
mod json;
pub mod kind;
pub mod random;
pub mod rdm;
pub mod recording;
pub mod responses;
pub mod scores;
pub mod spikes;
pub mod table;
pub mod tensor;

pub use artifact::{Artifact, FileTree, Meta, Payload, Typed};
pub use axis::{Axis, Coordinates};
pub use communities::Communities;
pub use error::DataError;
pub use events::Events;
pub use features::Features;
pub use graph::{Edge, Graph};
pub use kind::Kind;
pub use rdm::Rdm;
pub use recording::{Channel, Recording, Samples, Stretch};
pub use responses::Responses;
pub use scores::{ControlResult, Correction, Interval, NullSummary, Score, Scores, short_number};
pub use spikes::Spikes;
pub use table::Table;
pub use tensor::Tensor;
