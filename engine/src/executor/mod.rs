//! Where tasks run: in this process, in worker processes, or on a cluster. All take the same orders and give the same reports.

mod local;
pub mod slurm;
mod workers;

pub use local::Local;
pub use workers::Workers;

use crate::outcome::{Ending, Usage};
use crate::task::{Task, TaskId};
use neuroflow_cache::Digest;
use neuroflow_stage::Cluster;
use serde::{Deserialize, Serialize};
use std::path::PathBuf;
use tokio::sync::mpsc::UnboundedSender;

/// The version of orders and reports. A worker refuses what it was not made for.
pub const PROTOCOL: u32 = 1;

/// What is to be done. Together with the cache it says everything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// [`PROTOCOL`].
    pub protocol: u32,
    /// The task.
    pub task: Task,
    /// Its key.
    pub key: Digest,
    /// The content of each of its arguments.
    pub contents: Vec<Digest>,
    /// The run, noted beside the result.
    pub run_id: String,
    /// Which attempt this is, from 1.
    pub attempt: u32,
    /// Cores that it may use.
    pub cores: usize,
    /// Bytes of memory that it may hold; none for no limit.
    pub memory: Option<u64>,
    /// Seconds that it may take; none for no limit.
    pub time: Option<f64>,
    /// Milliseconds that such tasks took before, for grouping short ones.
    pub expected_ms: Option<f64>,
    /// The cache's folder.
    pub cache: PathBuf,
    /// The cluster that queries run on; none when they run where the task does.
    pub cluster: Option<Cluster>,
}

/// What became of an order. What it gave is published in the cache before this is said.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Report {
    /// The order's key.
    pub key: Digest,
    /// How it ended.
    pub ending: Ending,
    /// What it took.
    pub usage: Usage,
}

/// What happens to orders.
#[derive(Debug, Clone, PartialEq)]
pub enum Event {
    /// It begins.
    Started(TaskId),
    /// `done` of `total` parts are done.
    Progress(TaskId, u64, u64),
    /// It has ended; said exactly once for each order.
    Ended(TaskId, Box<Report>),
    /// Something that a person should know, said once.
    Remark(String),
}

/// How much an executor takes at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Capacity {
    /// What fits into this machine.
    Machine,
    /// So many orders; resources are the cluster's business.
    Orders(usize),
}

/// A place where tasks run.
pub trait Executor: Send + Sync {
    /// Its name in records and messages.
    fn name(&self) -> &str;

    /// How much it takes at once.
    fn capacity(&self) -> Capacity;

    /// Begins orders; each is answered exactly once by [`Event::Ended`]. Does not block for long.
    fn start(&self, orders: Vec<(TaskId, Order)>, events: UnboundedSender<Event>);

    /// Begins nothing more: orders that have not begun are answered by [`Ending::Cancelled`], those that have go on. Only executors that hold orders
    /// back have something to do.
    fn stop(&self) {}

    /// Stops everything that runs; each is answered by [`Ending::Cancelled`].
    fn cancel(&self);
}
