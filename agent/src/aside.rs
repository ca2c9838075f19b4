//! Work that reads much and waits for nothing, such as a plan that looks at all of an input: beside whoever waits for it, and not for ever.

use std::future::Future;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::oneshot;

/// How long somebody waits for a look or a plan.
pub(crate) const PATIENCE: Duration = Duration::from_secs(120);

/// The most pieces of work that go on although nobody waits for them; with more, a model that asks again and again would have all of the machine.
const MOST: usize = 4;

static LEFT: AtomicUsize = AtomicUsize::new(0);

/// Why there is no result.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Late {
    /// It takes longer than anybody waits. It goes on.
    #[error("it takes longer than {} s, because there is much data to read; it goes on: ask again in some minutes, when more of it is known", .0.as_secs())]
    Slow(Duration),
    /// Too much is under way that nobody waits for.
    #[error("{MOST} looks that nobody waits for any more are still under way; ask again when they are done")]
    Busy,
}

/// Does something on a thread of its own, so that who waits can be stopped at once. When nobody waits any more it ends where it next waits for something
/// itself; when it only takes too long, it goes on, and what it found out about the data is kept.
///
/// # Errors
/// When it takes longer than `patience`, or too much is under way that nobody waits for.
pub(crate) async fn aside<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static, patience: Duration) -> Result<T, Late> {
    if Handle::try_current().is_ok() && LEFT.load(Ordering::Relaxed) >= MOST {
        return Err(Late::Busy);
    }
    waited_for(work, patience).await
}

/// The same for what a person asked for and may stop: it is waited for until it is there, and is never too much.
///
/// # Errors
/// When the program ends.
pub(crate) async fn until_stopped<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> Result<T, Late> {
    waited_for(work, Duration::MAX).await
}

async fn waited_for<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static, patience: Duration) -> Result<T, Late> {
    let Ok(handle) = Handle::try_current() else { return Ok(work.await) };
    let mut waiting = Waiting { is_over: Arc::default(), has_result: false };
    let working = Working(waiting.is_over.clone());
    let (goes_on, is_waited_for) = oneshot::channel::<()>();
    let task = tokio::task::spawn_blocking(move || {
        let _working = working;
        handle.block_on(async move {
            let nobody_waits = async {
                if is_waited_for.await.is_ok() {
                    std::future::pending::<()>().await;
                }
            };
            tokio::select! {
                done = work => Some(done),
                () = nobody_waits => None,
            }
        })
    });
    let ended = tokio::time::timeout(patience, task).await;
    waiting.has_result = ended.is_ok();
    match ended {
        Ok(Ok(Some(done))) => Ok(done),
        // A mistake of ours is one here too.
        Ok(Err(error)) if error.is_panic() => std::panic::resume_unwind(error.into_panic()),
        Ok(_) => Err(Late::Busy),
        Err(_) => {
            let _ = goes_on.send(());
            Err(Late::Slow(patience))
        }
    }
}

/// Who waits. Work is left when they go before it is over: whichever of the two comes second knows that, by what it finds in the flag.
struct Waiting {
    is_over: Arc<AtomicBool>,
    has_result: bool,
}

impl Drop for Waiting {
    fn drop(&mut self) {
        if !self.has_result {
            LEFT.fetch_add(1, Ordering::Relaxed);
            if self.is_over.swap(true, Ordering::AcqRel) {
                LEFT.fetch_sub(1, Ordering::Relaxed);
            }
        }
    }
}

/// The work itself.
struct Working(Arc<AtomicBool>);

impl Drop for Working {
    fn drop(&mut self) {
        if self.0.swap(true, Ordering::AcqRel) {
            LEFT.fetch_sub(1, Ordering::Relaxed);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::time::Instant;

    #[tokio::test]
    async fn who_waits_is_free_at_once_whatever_the_work_does() {
        let began = Instant::now();
        let slow = || async {
            std::thread::sleep(Duration::from_secs(2));
            7
        };
        // Stopped from outside, as by Ctrl-C.
        tokio::select! {
            _ = aside(slow(), PATIENCE) => panic!("it was not stopped"),
            () = tokio::time::sleep(Duration::from_millis(20)) => {}
        }
        let patience = Duration::from_millis(20);
        assert_eq!(aside(slow(), patience).await, Err(Late::Slow(patience)));
        assert!(began.elapsed() < Duration::from_secs(1) && LEFT.load(Ordering::Relaxed) == 2);
        assert_eq!(aside(async { 7 }, PATIENCE).await, Ok(7));
        assert_eq!(until_stopped(async { 7 }).await, Ok(7));
    }
}
