//! What a running stage may know of the world: a seed, a thread budget, a GPU policy, whom to tell about progress, and whether to stop.

use crate::error::StageError;
use serde::{Deserialize, Serialize};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a stage may, should or must use a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub enum GpuPolicy {
    /// CPU only.
    #[default]
    Never,
    /// A GPU when there is one and the work is large enough.
    Prefer,
    /// A GPU, or an error.
    Require,
}

/// A flag that says that the work is no longer wanted. Cheap to clone and to ask.
#[derive(Debug, Clone, Default)]
pub struct CancelToken {
    cancelled: Arc<AtomicBool>,
}

impl CancelToken {
    /// A token that is not cancelled.
    pub fn new() -> CancelToken {
        CancelToken::default()
    }

    /// Says that the work is no longer wanted.
    pub fn cancel(&self) {
        self.cancelled.store(true, Ordering::Relaxed);
    }

    /// Whether the work is no longer wanted.
    pub fn is_cancelled(&self) -> bool {
        self.cancelled.load(Ordering::Relaxed)
    }

    /// Stops a stage at a convenient place.
    ///
    /// # Errors
    /// [`StageError::Cancelled`] when the work is no longer wanted.
    pub fn check(&self) -> Result<(), StageError> {
        if self.is_cancelled() { Err(StageError::Cancelled) } else { Ok(()) }
    }
}

/// Whom a stage tells how far it is.
pub trait Progress: Send + Sync {
    /// `done` of `total` parts of equal size are done.
    fn report(&self, done: u64, total: u64);
}

impl Progress for () {
    fn report(&self, _done: u64, _total: u64) {}
}

/// A cluster that answers queries, and the folder that its machines share with this one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Cluster {
    /// Where its scheduler listens: `df://host:50050`.
    pub scheduler: String,
    /// A folder that this machine and the cluster's see under the same path; what is put there is removed after the query.
    pub shared: PathBuf,
}

/// What a running stage may know.
#[derive(Clone)]
pub struct Context {
    /// The seed: the only source of randomness. The same seed gives the same bytes.
    pub seed: u64,
    /// The number of threads that the stage may use. The result must not depend on it.
    pub threads: usize,
    /// The GPU policy.
    pub gpu: GpuPolicy,
    /// Asked between parts of the work.
    pub cancel: CancelToken,
    /// Told after parts of the work.
    pub progress: Arc<dyn Progress>,
    /// How much memory the work may take, in bytes; none when nobody said. The result must not depend on it.
    pub memory: Option<u64>,
    /// Where a stage may put what does not fit into memory; none when it must do without. Emptied when the task ends.
    pub scratch: Option<PathBuf>,
    /// The cluster that queries run on; none when they run here. The result must not depend on it.
    pub cluster: Option<Cluster>,
}

impl Context {
    /// A context with a seed, one thread, no GPU, and nobody listening: for tests and null draws.
    pub fn quiet(seed: u64) -> Context {
        Context {
            seed,
            threads: 1,
            gpu: GpuPolicy::Never,
            cancel: CancelToken::new(),
            progress: Arc::new(()),
            memory: None,
            scratch: None,
            cluster: None,
        }
    }

    /// A folder for what does not fit into memory, if there is one.
    pub fn spill_folder(&self) -> Option<&Path> {
        self.scratch.as_deref()
    }

    /// The same context with another seed.
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Context {
        Context { seed, ..self.clone() }
    }
}
