//! The contract of a stage: signature, typed parameters, context, scores and controls.
//!
//! A stage is one analysis: typed inputs, typed parameters and a [`Context`] in, typed outputs or a [`StageError`] out. Its declaration is data
//! ([`Signature`], [`ParamSpec`]), and everything else is derived from it: the checker's rules, `neuroflow doc`, hover text, the manual.
//!
//! This crate knows no concrete stage, no scheduling and no kernels.

pub mod call;
pub mod context;
pub mod control;
mod correction;
pub mod error;
pub mod manual;
pub mod params;
pub mod quantity;
pub mod registry;
pub mod signature;
pub mod value;

pub use call::{AnyStage, Draws, Inputs, Outputs, Stage};
pub use context::{CancelToken, Cluster, Context, GpuPolicy, Progress};
pub use control::Control;
pub use error::StageError;
pub use params::{Auto, ParamSpec, ParamType, Parameter, Params, Seconds, TimeWindow, Variant};
pub use quantity::{Dimension, Quantity};
pub use registry::{Registry, nearest};
pub use signature::{ControlSite, Exactness, InputSpec, OutputSpec, Signature, SiteAt};
pub use value::{Call, Value};
