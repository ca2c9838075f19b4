//! What is asked of a scheduler of jobs. SLURM answers through its commands; another scheduler is another implementation.

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

/// Equal jobs that are submitted at once. Element `i` runs the program with `--index i`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Array {
    /// A name that no other array has: letters, digits and `-`. By it the array is found when the answer to its submission was lost.
    pub tag: String,
    /// How many elements it has.
    pub elements: usize,
    /// How many of them may run at once.
    pub at_once: usize,
    /// What each element needs.
    pub needs: Needs,
    /// The folder that jobs run in and write their logs to: `INDEX.log`.
    pub folder: PathBuf,
    /// The program and its arguments, to which the index is added.
    pub command: Vec<OsString>,
}

/// What a job needs.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Needs {
    /// Cores on one node.
    pub cores: usize,
    /// Bytes of memory; none for the cluster's own rule.
    pub memory: Option<u64>,
    /// The time that it may take; none for the cluster's own rule.
    pub time: Option<Duration>,
    /// Whether it needs a GPU.
    pub gpu: bool,
}

/// The number of a job array, as the scheduler gave it.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub String);

/// One element of an array.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ElementId {
    /// The array.
    pub job: JobId,
    /// The element's index.
    pub index: usize,
}

/// Some elements of an array, or all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elements {
    /// All.
    All,
    /// These.
    Some(Vec<usize>),
}

/// What the scheduler says of a job.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum JobState {
    /// It waits, for this reason.
    Waiting(String),
    /// It runs.
    Running,
    /// It has ended.
    Ended(JobEnd),
}

/// How a job ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobEnd {
    /// With exit code 0.
    Completed,
    /// With another exit code, or by a signal.
    Failed,
    /// It held more memory than it asked for.
    OutOfMemory,
    /// It took more time than it asked for, or had to end at a time.
    TimedOut,
    /// Somebody cancelled it.
    Cancelled,
    /// Its node failed or did not start.
    NodeFailed,
    /// It had to make room for another job.
    Preempted,
}

/// One job of a list.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Seen {
    /// Its array's tag.
    pub tag: String,
    /// Which it is.
    pub element: ElementId,
    /// What it does.
    pub state: JobState,
    /// The node, when it has one.
    pub node: String,
}

/// What is remembered of a job that has ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Detail {
    /// What it does; a job that is still there may be remembered as well.
    pub state: JobState,
    /// How it ended, as the scheduler puts it: `exit code 3`, `signal 9`, `cancelled by 1000`. May be empty.
    pub words: String,
}

/// What a cluster allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// The most elements that an array may have.
    pub elements: usize,
}

/// Why a scheduler did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ClientError {
    /// It will not, however often it is asked.
    #[error("{0}")]
    Refused(String),
    /// It is not there now; whether it did what was asked is not known.
    #[error("{0}")]
    Away(String),
    /// It takes no more jobs for now.
    #[error("{0}")]
    Full(String),
}

/// A scheduler of jobs. Every call may take long, and none is made from where others wait.
pub trait ClusterClient: Send + Sync {
    /// Its name in messages: `SLURM`.
    fn name(&self) -> &str;

    /// What the cluster allows.
    ///
    /// # Errors
    /// When it is out of reach.
    fn limits(&self) -> Result<Limits, ClientError>;

    /// Submits an array.
    ///
    /// # Errors
    /// [`ClientError::Refused`] when it never will be taken. After [`ClientError::Away`] it may have been taken: look for its tag.
    fn submit(&self, array: &Array) -> Result<JobId, ClientError>;

    /// All jobs of this user that carry one of the tags: those that wait or run, and those that ended a short while ago.
    ///
    /// # Errors
    /// When it is out of reach.
    fn jobs(&self, tags: &[String]) -> Result<Vec<Seen>, ClientError>;

    /// What is remembered of jobs; those that are forgotten are not in the answer.
    ///
    /// # Errors
    /// When it is out of reach.
    fn details(&self, elements: &[ElementId]) -> Result<BTreeMap<ElementId, Detail>, ClientError>;

    /// Cancels arrays, whole or some of their elements. What is gone already is no error.
    ///
    /// # Errors
    /// When it is out of reach.
    fn cancel(&self, jobs: &[(JobId, Elements)]) -> Result<(), ClientError>;
}
