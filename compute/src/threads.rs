//! Pools with a fixed number of threads.
//!
//! Kernels of this crate split large work over the rayon pool they are called in. A caller that has a budget runs inside [`with_threads`]; the results don't
//! depend on the number.

use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::ComputeError;

/// Runs `work` in a rayon pool of `threads` threads (0 counts as 1), so that everything parallel inside stays within that number.
///
/// Two callers at once have a pool each: two tasks with a budget of one thread run side by side. Idle pools are kept for the next caller. Fails only when the
/// system starts no more threads.
pub fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> Result<R, ComputeError> {
    let threads = threads.max(1);
    let idle = idle().lock().unwrap_or_else(PoisonError::into_inner).get_mut(&threads).and_then(Vec::pop);
    let pool = match idle {
        Some(pool) => pool,
        None => {
            let built =
                ThreadPoolBuilder::new().num_threads(threads).thread_name(move |thread| format!("compute-{threads}-{thread}")).build();
            built.map_err(|error| ComputeError::Threads { threads, reason: error.to_string() })?
        }
    };
    // Should `work` panic, its pool is not given back; the next caller has a new one.
    let result = pool.install(work);
    idle_again(threads, pool);
    Ok(result)
}

fn idle_again(threads: usize, pool: ThreadPool) {
    idle().lock().unwrap_or_else(PoisonError::into_inner).entry(threads).or_default().push(pool);
}

/// Pools that nobody uses, by size. A panic while the lock is held leaves the map whole: pools are only ever taken or put.
fn idle() -> &'static Mutex<BTreeMap<usize, Vec<ThreadPool>>> {
    static IDLE: OnceLock<Mutex<BTreeMap<usize, Vec<ThreadPool>>>> = OnceLock::new();
    IDLE.get_or_init(Mutex::default)
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
    fn two_callers_at_once_do_not_wait_for_each_other() {
        // Each waits inside for the other: with one pool of one thread between them, neither would come back.
        let meeting = std::sync::Barrier::new(2);
        std::thread::scope(|scope| {
            for _ in 0..2 {
                scope.spawn(|| with_threads(1, || meeting.wait()).unwrap());
            }
        });
    }

    #[test]
    fn pools_nest() {
        let sum = with_threads(2, || with_threads(1, || with_threads(2, || 7).unwrap()).unwrap()).unwrap();
        assert_eq!(sum, 7);
    }
}
