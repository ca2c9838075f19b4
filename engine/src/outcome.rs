//! What became of a task: as a worker reports it, and as a run remembers it.

use neuroflow_cache::Digest;
use neuroflow_data::{Kind, Score};
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// One output of a task.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Output {
    /// Its content.
    pub digest: Digest,
    /// Its kind.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
}

/// What a task took.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// Milliseconds from its beginning to its end.
    pub wall_ms: f64,
    /// Milliseconds of processor time, where it can be told from that of other tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ms: Option<f64>,
    /// The most resident memory in bytes, where it can be told from that of other tasks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub peak_bytes: Option<u64>,
    /// Where it ran: `here`, `worker`, or the name of an executor.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub executor: String,
    /// The machine that it ran on; empty for this one.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub host: String,
}

/// What a task gave. Its outputs are in the cache.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Done {
    /// The outputs, in the order in which the task declares them.
    pub outputs: Vec<Output>,
    /// Its scores, when it has any.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub scores: Option<Vec<Score>>,
    /// Whether it was computed, or found in the cache after all.
    pub computed: bool,
    /// What a person should know beside the result, such as a program that ran without a sandbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// How an attempt at a task ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Ending {
    /// It is done.
    Done(Done),
    /// The stage or program refused its inputs or parameters, or failed.
    Refused {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
        /// Whether another attempt may end otherwise: true for programs.
        again: bool,
    },
    /// The world's fault: a full disk, an unreadable cache.
    World(String),
    /// Our fault.
    Bug(String),
    /// It held more memory than it may, and was stopped alone. In bytes.
    OutOfMemory {
        /// What it may hold.
        limit: Option<u64>,
        /// What it held.
        peak: Option<u64>,
    },
    /// It ran longer than it may, in seconds, and was stopped alone.
    TimedOut {
        /// What it may take.
        limit: f64,
    },
    /// It was asked to stop.
    Cancelled,
    /// The process or machine that worked on it is gone; in words.
    Lost(String),
    /// An object of the cache is damaged, and was put into quarantine.
    Damaged(Digest, String),
}

/// Why a task gave nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The stage refused its inputs or parameters.
    Refused {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// The world's fault: a full disk, an unreadable cache.
    World(String),
    /// Our fault.
    Bug(String),
}

impl Failure {
    /// What is wrong.
    pub fn message(&self) -> &str {
        match self {
            Failure::Refused { message, .. } | Failure::World(message) | Failure::Bug(message) => message,
        }
    }
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Its result was in the cache.
    Cached {
        /// The run that made it.
        run: Arc<str>,
    },
    /// It ran.
    Ran,
    /// It failed.
    Failed(Box<Failure>),
    /// It did not run because something that it needs failed, or because the run stopped.
    Skipped,
    /// Nobody asked for it.
    Unasked,
}

/// What became of a task, with its outputs. Small: a run may hold millions.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What became of it.
    pub state: State,
    /// Its key, when that was known.
    pub key: Option<Digest>,
    /// Its outputs in the order in which the task declares them; empty unless it is done.
    pub outputs: Box<[Output]>,
    /// Milliseconds that it took, now or when its cached result was made.
    pub wall_ms: f32,
    /// Its scores, when it has any.
    pub scores: Option<Box<[Score]>>,
    /// What is only known of tasks that ran now.
    pub ran: Option<Box<Ran>>,
}

/// What is known of a task that ran now.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Ran {
    /// What it took.
    pub usage: Usage,
    /// How many attempts there were.
    pub attempts: u32,
    /// When it began and ended, in milliseconds from the beginning of the run.
    pub span_ms: (f64, f64),
    /// What a person should know beside the result.
    pub remarks: Vec<String>,
}

impl Outcome {
    /// A task that has not run.
    pub fn not_run(state: State) -> Outcome {
        Outcome { state, key: None, outputs: Box::default(), wall_ms: 0.0, scores: None, ran: None }
    }

    /// Whether its outputs are there.
    pub fn is_done(&self) -> bool {
        matches!(self.state, State::Cached { .. } | State::Ran)
    }
}
