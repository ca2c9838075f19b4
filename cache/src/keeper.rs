//! A thread that does what can wait: commits, goes out of the gate, shows that this process lives.
//!
//! It sleeps until there is something to do, then lets a little more come together. Nothing depends on it being quick; whoever needs a result on the disk
//! commits themself.

use crate::users::Patience;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;

/// So long things come together before they are done.
pub(crate) const TICK: Duration = Duration::from_millis(100);

#[derive(Default)]
struct State {
    wanted: bool,
    stopped: bool,
}

#[derive(Default)]
struct Bell {
    state: Mutex<State>,
    rung: Condvar,
}

impl Bell {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The thread; it ends when this is dropped.
pub(crate) struct Keeper {
    bell: Arc<Bell>,
    thread: Option<JoinHandle<()>>,
}

impl Keeper {
    /// Calls `tick` a little after each ring, and `beat` as often as others expect it, when they do. Without a thread, when the system has none left,
    /// the same is done when the cache is closed.
    pub(crate) fn start(beats: Option<Patience>, tick: impl Fn() + Send + 'static, beat: impl Fn() + Send + 'static) -> Keeper {
        let bell = Arc::new(Bell::default());
        let heard = Arc::clone(&bell);
        let thread = std::thread::Builder::new().name("cache keeper".into()).spawn(move || {
            let rest = |limit: Option<Duration>, until: &dyn Fn(&State) -> bool| {
                let state = heard.lock();
                match limit {
                    Some(limit) => drop(heard.rung.wait_timeout_while(state, limit, |state| !until(state))),
                    None => drop(heard.rung.wait_while(state, |state| !until(state))),
                }
            };
            while !heard.lock().stopped {
                rest(beats.map(Patience::beat), &|state| state.wanted || state.stopped);
                beat();
                if heard.lock().wanted {
                    rest(Some(TICK), &|state| state.stopped);
                    heard.lock().wanted = false;
                    tick();
                }
            }
        });
        Keeper { bell, thread: thread.ok() }
    }

    /// Says that there is something to do.
    pub(crate) fn ring(&self) {
        let mut state = self.bell.lock();
        if !state.wanted {
            state.wanted = true;
            self.bell.rung.notify_all();
        }
    }
}

impl Drop for Keeper {
    fn drop(&mut self) {
        self.bell.lock().stopped = true;
        self.bell.rung.notify_all();
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}
