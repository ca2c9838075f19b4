//! Pools with a fixed number of threads.
//!
//! Kernels of this crate split large work over the rayon pool they are called in. A caller that has a budget runs inside [`with_threads`]; the
//! results don't depend on the number.

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::{Mutex, OnceLock, PoisonError};

use rayon::{ThreadPool, ThreadPoolBuilder};

use crate::ComputeError;

/// Runs `work` in a rayon pool of `threads` threads (0 counts as 1), so that everything parallel inside stays within that number.
///
/// Two callers at once have a pool each: two tasks with a budget of one thread run side by side. Idle pools are kept for the next caller. Fails only
/// when the system starts no more threads.
pub fn with_threads<R: Send>(threads: usize, work: impl FnOnce() -> R + Send) -> Result<R, ComputeError> {
    let threads = threads.max(1);
    let idle = idle().lock().unwrap_or_else(PoisonError::into_inner).get_mut(&threads).and_then(Vec::pop);
    let (pool, before) = match idle {
        Some(pool) => pool,
        None => {
            let built =
                ThreadPoolBuilder::new().num_threads(threads).thread_name(move |thread| format!("compute-{threads}-{thread}")).build();
            (built.map_err(|error| ComputeError::Threads { threads, reason: error.to_string() })?, 0.0)
        }
    };
    // Should `work` panic, its pool is not given back; the next caller has a new one.
    let result = pool.install(work);
    let now: f64 = pool.broadcast(|_| spent_ms()).iter().sum();
    LENT.with(|lent| lent.set(lent.get() + now - before));
    self::idle().lock().unwrap_or_else(PoisonError::into_inner).entry(threads).or_default().push((pool, now));
    Ok(result)
}

thread_local! {
    /// Milliseconds of processor time that pools spent for this thread.
    static LENT: Cell<f64> = const { Cell::new(0.0) };
}

/// Milliseconds of processor time that the calling thread has spent, with what pools spent for it. The difference of two answers is what lay between
/// them.
pub fn spent_ms() -> f64 {
    #[cfg(unix)]
    let own = {
        let spent = rustix::time::clock_gettime(rustix::time::ClockId::ThreadCPUTime);
        spent.tv_sec as f64 * 1e3 + spent.tv_nsec as f64 / 1e6
    };
    #[cfg(not(unix))]
    let own = 0.0;
    own + LENT.with(Cell::get)
}

/// A pool, and the processor time of its threads when it was used last.
type Idle = (ThreadPool, f64);

/// Pools that nobody uses, by size. A panic while the lock is held leaves the map whole: pools are only ever taken or put.
fn idle() -> &'static Mutex<BTreeMap<usize, Vec<Idle>>> {
    static IDLE: OnceLock<Mutex<BTreeMap<usize, Vec<Idle>>>> = OnceLock::new();
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
    #[cfg(unix)]
    fn what_pools_spend_is_spent_by_who_asked() {
        let busy = || {
            let began = spent_ms();
            while spent_ms() - began < 20.0 {
                std::hint::black_box(0);
            }
        };
        let before = spent_ms();
        with_threads(2, || with_threads(1, busy).unwrap()).unwrap();
        assert!(spent_ms() - before >= 20.0, "{}", spent_ms() - before);
        let before = spent_ms();
        with_threads(2, || rayon::join(busy, busy)).unwrap();
        assert!(spent_ms() - before >= 40.0, "{}", spent_ms() - before);
        // Waiting spends nothing.
        let before = spent_ms();
        with_threads(1, || std::thread::sleep(std::time::Duration::from_millis(30))).unwrap();
        assert!(spent_ms() - before < 20.0, "{}", spent_ms() - before);
    }

    #[test]
    fn pools_nest() {
        let sum = with_threads(2, || with_threads(1, || with_threads(2, || 7).unwrap()).unwrap()).unwrap();
        assert_eq!(sum, 7);
    }
}
