//! Plan, schedule, execute, record: tasks, digests and resources, and no neuroscience.
//!
//! A pipeline's inputs become content, its steps become tasks, and each task has a key made of what it computes and of the content of its inputs. A key that
//! was answered before is not asked again. See `ARCHITECTURE.md`, "The life of a run".

pub mod afar;
pub mod bisect;
mod cached;
mod chain;
pub mod cost;
pub mod dataset;
pub mod delta;
pub mod difference;
pub mod execute;
pub mod executor;
pub mod explain;
pub mod fetch;
pub mod files;
pub mod folder;
pub mod foreseen;
pub mod git;
pub mod home;
mod inputs;
pub mod kept;
pub mod label;
pub mod latest;
pub mod live;
mod members;
pub mod outcome;
pub mod places;
pub mod plan;
mod process;
pub mod program;
pub mod readers;
pub mod ready;
pub mod record;
pub mod schedule;
pub mod select;
pub mod session;
mod shared;
pub mod task;
pub mod trace;
pub mod trial;
mod tries;
pub mod verify;
pub mod why;
pub mod worker;

pub use cached::read_artifact;
pub use neuroflow_cache::Digest;
