//! The gate between those who use objects and the one who removes some.
//!
//! Who looks for an object is inside the gate while it looks, and writes down that it uses the object before it leaves. The collector goes in alone: it reads what
//! everybody wrote down, and removes nothing of that. So an object is either found and kept, or removed and not found; there is no time to be measured and no age to
//! be guessed. Entering costs two system calls, so a process stays inside for a while and leaves when it writes down a batch, at the latest after
//! [`crate::keeper::TICK`].
//!
//! Two locks make it fair: newcomers pass the *turn* first, which the collector holds while it waits for those inside.

use crate::digest::Digest;
use crate::disk::{Appender, Disk, Held, Lock};
use crate::error::CacheError;
use crate::locks::Locks;
use crate::users::Users;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// So many uses are written down at once.
const BATCH: usize = 4096;
/// How long the collector waits for those inside.
const MOST_WAIT: Duration = Duration::from_secs(5);

pub(crate) struct Gate {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    users: Arc<Users>,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    /// Held while anybody of this process is inside.
    held: Option<Box<dyn Held>>,
    inside: usize,
    /// Uses that are not written down yet: the first eight bytes of each digest.
    fresh: Vec<u8>,
    notes: Option<Box<dyn Appender>>,
    /// What the collector left behind when it was last in.
    generation: Option<Vec<u8>>,
}

/// Being inside.
pub(crate) struct Inside<'a> {
    gate: &'a Gate,
    /// Something was removed since this process was last inside.
    pub(crate) is_changed: bool,
}

impl Drop for Inside<'_> {
    fn drop(&mut self) {
        let mut state = self.gate.lock();
        state.inside -= 1;
        if state.fresh.len() >= BATCH * 8 {
            self.gate.leave(&mut state);
        }
    }
}

impl Inside<'_> {
    /// Writes down that an object is used by this process.
    pub(crate) fn uses(&self, objects: impl IntoIterator<Item = Digest>) {
        let mut state = self.gate.lock();
        objects.into_iter().for_each(|object| state.fresh.extend(object.prefix().to_le_bytes()));
    }
}

impl Gate {
    pub(crate) fn new(root: &Path, disk: Arc<dyn Disk>, users: Arc<Users>) -> Gate {
        Gate { root: root.to_path_buf(), disk, users, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.root.join(name)
    }

    /// Goes in. Waits only while objects are being removed.
    pub(crate) fn enter(&self) -> Result<Inside<'_>, CacheError> {
        let mut state = self.lock();
        let mut is_changed = false;
        if state.held.is_none() && self.users.locks == Locks::System {
            let failed = |name: &str, error| CacheError::io("entering", &self.path(name), error);
            let turn = self.disk.lock(&self.path("gate.turn"), Lock::Shared, true).map_err(|error| failed("gate.turn", error))?;
            state.held = self.disk.lock(&self.path("gate"), Lock::Shared, true).map_err(|error| failed("gate", error))?;
            drop(turn);
            let generation = self.disk.read(&self.path("generation")).map(|bytes| bytes.as_slice().to_vec()).unwrap_or_default();
            is_changed = state.generation.as_ref().is_some_and(|known| *known != generation);
            state.generation = Some(generation);
        }
        state.inside += 1;
        Ok(Inside { gate: self, is_changed })
    }

    /// Writes down what is used and goes out, unless somebody is still looking.
    pub(crate) fn pause(&self) {
        self.leave(&mut self.lock());
    }

    fn leave(&self, state: &mut State) {
        if state.inside > 0 {
            return;
        }
        if !state.fresh.is_empty() {
            if state.notes.is_none() {
                state.notes = self.disk.appender(&self.users.uses_path(self.users.own_id())).ok();
            }
            let fresh = std::mem::take(&mut state.fresh);
            let written = state.notes.as_mut().map(|notes| notes.append(&fresh));
            if !matches!(written, Some(Ok(()))) {
                // What can't be written down would not be kept: this process stays inside, and nothing is collected meanwhile.
                state.fresh = fresh;
                state.notes = None;
                return;
            }
        }
        state.held = None;
    }

    /// Goes in alone. With leases instead of locks, only when nobody else uses the cache.
    pub(crate) fn enter_alone(&self) -> Result<Alone<'_>, CacheError> {
        let failed = |error| CacheError::io("collecting in", &self.root, error);
        self.pause();
        if self.users.locks == Locks::Lease {
            return match self.users.others()?.first() {
                Some(other) => Err(CacheError::InUse { by: self.users.in_words(other) }),
                None => Ok(Alone { gate: self, _held: None, _turn: None }),
            };
        }
        let mut turn = None;
        let held = self.wait(|| {
            if turn.is_none() {
                turn = self.disk.lock(&self.path("gate.turn"), Lock::Exclusive, false)?;
            }
            if turn.is_none() { Ok(None) } else { self.disk.lock(&self.path("gate"), Lock::Exclusive, false) }
        });
        match held.map_err(failed)? {
            Some(held) => Ok(Alone { gate: self, _held: Some(held), _turn: turn }),
            None => {
                let others = self.users.others()?;
                Err(CacheError::InUse { by: others.first().map_or_else(|| "another process".into(), |id| self.users.in_words(id)) })
            }
        }
    }

    /// Tries again and again, for as long as the collector waits.
    fn wait<T>(&self, mut attempt: impl FnMut() -> std::io::Result<Option<T>>) -> std::io::Result<Option<T>> {
        let began = self.disk.elapsed();
        loop {
            if let Some(got) = attempt()? {
                return Ok(Some(got));
            }
            if self.disk.elapsed().saturating_sub(began) > MOST_WAIT {
                return Ok(None);
            }
            std::thread::sleep(Duration::from_millis(2));
        }
    }
}

/// Being alone inside: nobody looks for an object meanwhile.
pub(crate) struct Alone<'a> {
    gate: &'a Gate,
    _held: Option<Box<dyn Held>>,
    _turn: Option<Box<dyn Held>>,
}

impl Alone<'_> {
    /// What living processes use: the first eight bytes of each digest.
    pub(crate) fn in_use(&self) -> Result<HashSet<u64>, CacheError> {
        let mut used = HashSet::new();
        for id in self.gate.users.ids()? {
            if !self.gate.users.is_alive(&id) {
                continue;
            }
            let path = self.gate.users.uses_path(&id);
            match self.gate.disk.read(&path) {
                Ok(bytes) => used.extend(bytes.chunks_exact(8).filter_map(|use_| Some(u64::from_le_bytes(use_.try_into().ok()?)))),
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => return Err(CacheError::io("reading", &path, error)),
            }
        }
        Ok(used)
    }

    /// Tells everybody that something was removed.
    pub(crate) fn changed(&self) -> Result<(), CacheError> {
        let path = self.gate.path("generation");
        let generation = format!("{:x} {}", self.gate.disk.now_ns(), self.gate.users.own_id());
        self.gate.disk.overwrite(&path, generation.as_bytes()).map_err(|error| CacheError::io("writing", &path, error))
    }
}
