//! Plan, schedule, execute, record: tasks, digests and resources, and no neuroscience.
//!
//! A pipeline's inputs become content, its steps become tasks, and each task has a key made of what it computes and of the content of its inputs. A key that
//! was answered before is not asked again. See `ARCHITECTURE.md`, "The life of a run".

pub mod dataset;
pub mod execute;
pub mod explain;
pub mod fetch;
pub mod git;
pub mod plan;
mod program;
pub mod readers;
pub mod record;
pub mod schedule;
pub mod select;
pub mod session;
pub mod task;

pub use neuroflow_cache::Digest;
