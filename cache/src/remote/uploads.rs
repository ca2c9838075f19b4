//! Uploads in the background: keys wait in a bounded queue, a few threads take them.
//!
//! Only the key waits: record and objects are read when their turn comes, so a long queue costs little. When the queue is full, or time runs out at the end
//! of a run, results are left out and the number is told; the next run that needs them on this machine does not upload them again.

use crate::digest::Digest;
use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// So many keys may wait.
const MOST_WAITING: usize = 100_000;
const THREADS: usize = 4;

#[derive(Default)]
struct State {
    waiting: VecDeque<Digest>,
    working: usize,
    left_out: usize,
    stopped: bool,
}

#[derive(Default)]
struct Queue {
    state: Mutex<State>,
    changed: Condvar,
}

impl Queue {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The next key; none when there is nothing more to do.
    fn next(&self) -> Option<Digest> {
        let state = self.lock();
        let mut state =
            self.changed.wait_while(state, |state| state.waiting.is_empty() && !state.stopped).unwrap_or_else(PoisonError::into_inner);
        let key = state.waiting.pop_front().filter(|_| !state.stopped)?;
        state.working += 1;
        Some(key)
    }

    fn done(&self) {
        self.lock().working -= 1;
        self.changed.notify_all();
    }
}

pub(crate) struct Uploads {
    queue: Arc<Queue>,
    threads: Vec<JoinHandle<()>>,
}

impl Uploads {
    /// Calls `upload` for each key.
    pub(crate) fn start(upload: impl Fn(&Digest) + Send + Sync + 'static) -> Uploads {
        let queue = Arc::new(Queue::default());
        let upload = Arc::new(upload);
        let thread = |_| {
            let (queue, upload) = (Arc::clone(&queue), Arc::clone(&upload));
            let work = move || {
                while let Some(key) = queue.next() {
                    upload(&key);
                    queue.done();
                }
            };
            std::thread::Builder::new().name("cache upload".into()).spawn(work).ok()
        };
        Uploads { threads: (0..THREADS).filter_map(thread).collect(), queue }
    }

    /// Uploads a key's answer some time.
    pub(crate) fn push(&self, key: Digest) {
        let mut state = self.queue.lock();
        if state.waiting.len() >= MOST_WAITING || self.threads.is_empty() {
            state.left_out += 1;
            return;
        }
        state.waiting.push_back(key);
        self.queue.changed.notify_one();
    }

    /// Waits until everything is uploaded, at most so long; gives how many answers were left out.
    pub(crate) fn finish(&self, limit: Duration) -> usize {
        let until = Instant::now() + limit;
        let mut state = self.queue.lock();
        while !(state.waiting.is_empty() && state.working == 0) {
            let Some(left) = until.checked_duration_since(Instant::now()).filter(|left| !left.is_zero()) else { break };
            state = self.queue.changed.wait_timeout(state, left).unwrap_or_else(PoisonError::into_inner).0;
        }
        let left = state.waiting.len() + state.working + state.left_out;
        state.waiting.clear();
        state.left_out = 0;
        left
    }
}

impl Drop for Uploads {
    fn drop(&mut self) {
        self.queue.lock().stopped = true;
        self.queue.changed.notify_all();
        // A thread in the middle of a request ends with it, or with the store's runtime; nobody waits for that.
        self.threads.clear();
    }
}
