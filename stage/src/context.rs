//! What a running stage may know of the world: a seed, a thread budget, a GPU policy, whom to tell about progress, and whether to stop.

use crate::error::StageError;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// Whether a stage may, should or must use a GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
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
}

impl Context {
    /// A context with a seed, one thread, no GPU, and nobody listening: for tests and null draws.
    pub fn quiet(seed: u64) -> Context {
        Context { seed, threads: 1, gpu: GpuPolicy::Never, cancel: CancelToken::new(), progress: Arc::new(()) }
    }

    /// The same context with another seed.
    #[must_use]
    pub fn with_seed(&self, seed: u64) -> Context {
        Context { seed, ..self.clone() }
    }
}
