//! Pools with a fixed number of threads.
//!
//! Kernels of this crate split large work over the rayon pool they are called in. A caller that has a budget runs inside [`with_threads`]; the results don't
//! depend on the number.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::ComputeError;

/// Runs `work` in a rayon pool of `threads` threads (0 counts as 1), so that everything parallel inside stays within that number.
///
/// Pools are kept and shared by all callers who ask for the same number. Fails only when the system starts no more threads.
pub fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> Result<R, ComputeError> {
    Ok(pool(threads.max(1))?.install(work))
}

/// The kept pool of this size.
fn pool(threads: usize) -> Result<Arc<ThreadPool>, ComputeError> {
    static POOLS: OnceLock<Mutex<BTreeMap<usize, Arc<ThreadPool>>>> = OnceLock::new();
    // A panic while the lock is held leaves the map whole: entries are only ever added complete.
    let mut pools = POOLS.get_or_init(Mutex::default).lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(pool) = pools.get(&threads) {
        return Ok(Arc::clone(pool));
    }
    let built = ThreadPoolBuilder::new().num_threads(threads).thread_name(move |thread| format!("compute-{threads}-{thread}")).build();
    let pool = Arc::new(built.map_err(|error| ComputeError::Threads { threads, reason: error.to_string() })?);
    pools.insert(threads, Arc::clone(&pool));
    Ok(pool)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_pool_has_the_number_asked_for_and_zero_counts_as_one() {
        for (asked, got) in [(0, 1), (1, 1), (3, 3)] {
            assert_eq!(with_threads(asked, rayon::current_num_threads).unwrap(), got);
        }
    }

    #[test]
    fn pools_nest() {
        let sum = with_threads(2, || with_threads(1, || with_threads(2, || 7).unwrap()).unwrap()).unwrap();
        assert_eq!(sum, 7);
    }
}
