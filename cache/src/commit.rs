//! Group commit: many results wait for the disk together.
//!
//! Publishing an object or a record does not wait for the disk: a process that dies takes nothing with it, because the system has it all. A machine that dies does, so
//! now and then everything is synced at once, objects before records, and a mark in the segment says how far. After a loss of power, what stands behind the last
//! mark is looked at before it is believed ([`crate::recover`]).
//!
//! The order that makes the mark true: an object is noted before a record names it; a commit first takes the segment's extent and then the notes, so that the notes cover
//! every record within the extent; and commits come one after the other, so that none marks what another is still syncing.

//!
//! The order is model-checked: `models/` compiles this file with locks of its own and tries who may run between any two steps.

use crate::sync::{Mutex, MutexGuard};
use std::sync::PoisonError;

/// What a commit makes durable.
pub(crate) trait Durable {
    /// An object's name.
    type Object: Ord;
    /// How far the segment reached at some time.
    type Extent;
    /// Why the disk refused.
    type Error;
    fn extent(&self) -> Self::Extent;
    fn sync_objects(&self, objects: &[Self::Object]) -> Result<(), Self::Error>;
    /// Syncs the segment up to an extent and marks it.
    fn mark(&self, extent: &Self::Extent) -> Result<(), Self::Error>;
}

pub(crate) struct Commit<Object> {
    /// Objects in files of their own that may not be on the disk yet.
    noted: Mutex<Vec<Object>>,
    /// Held while committing. True when a sync failed: what the system then did with the bytes is not known, so nothing is marked any more.
    failed: Mutex<bool>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl<Object> Default for Commit<Object> {
    fn default() -> Commit<Object> {
        Commit { noted: Mutex::new(Vec::new()), failed: Mutex::new(false) }
    }
}

impl<Object: Ord> Commit<Object> {
    /// Notes an object that a record is about to name.
    pub(crate) fn note(&self, object: Object) {
        lock(&self.noted).push(object);
    }

    /// Waits until everything that was published before is on the disk.
    ///
    /// # Errors
    /// When the disk refuses to sync; results stay usable, and are checked before they are used after a loss of power.
    pub(crate) fn run<D: Durable<Object = Object>>(&self, durable: &D) -> Result<(), D::Error> {
        let mut failed = lock(&self.failed);
        let extent = durable.extent();
        let mut objects = std::mem::take(&mut *lock(&self.noted));
        if *failed {
            return Ok(());
        }
        objects.sort_unstable();
        objects.dedup();
        let done = durable.sync_objects(&objects).and_then(|()| durable.mark(&extent));
        *failed = done.is_err();
        done
    }
}
