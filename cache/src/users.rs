//! Which processes use the cache.
//!
//! Each has a file `users/ID`. Where locks can be relied on it is locked for as long as the process lives, and the system lets go of it whatever happens. Elsewhere it
//! holds a lease ([`Identity`]) and `users/ID.beat` a number that the owner raises every now and then. A process of this machine is dead when its number is
//! gone or belongs to a later one; one of another machine when its beat has not moved for [`Patience`], measured by the clock of whoever waits: two machines'
//! clocks are never compared.

use crate::disk::{Disk, Held, Lock};
use crate::error::CacheError;
use crate::locks::Locks;
use crate::machine::{Identity, Life};
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

/// How often a process shows that it lives, and how long others wait for that before they take it for dead.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience(pub Duration);

impl Default for Patience {
    fn default() -> Patience {
        Patience(Duration::from_secs(20))
    }
}

impl Patience {
    /// The time between two beats: several fit into the time that others wait.
    pub(crate) fn beat(self) -> Duration {
        self.0 / 8
    }
}

/// Counts the caches that this process has opened.
static OPENED: AtomicU64 = AtomicU64::new(0);

pub(crate) struct Users {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    pub(crate) locks: Locks,
    identity: Identity,
    patience: Patience,
    /// Kept for its lock.
    held: Mutex<Option<Box<dyn Held>>>,
    beats: AtomicU64,
    /// What was last seen of others, and when it was first seen.
    seen: Mutex<HashMap<String, (Vec<u8>, Duration)>>,
}

impl Users {
    /// Registers this process.
    pub(crate) fn open(root: &Path, disk: Arc<dyn Disk>, locks: Locks, patience: Patience) -> Result<Users, CacheError> {
        let folder = root.join("users");
        disk.create_dir_all(&folder).map_err(|error| CacheError::io("making", &folder, error))?;
        let id = format!("{}-{:x}-{}", std::process::id(), disk.now_ns(), OPENED.fetch_add(1, Ordering::Relaxed));
        let path = folder.join(&id);
        let failed = |error| CacheError::io("registering at", &path, error);
        let identity = Identity::own(&id);
        let held = match locks {
            Locks::System => disk.lock(&path, Lock::Exclusive, true).map_err(failed)?,
            Locks::Lease => None,
        };
        // Under a lock the text is only for people; without one it is the lease.
        let written = disk.overwrite(&path, identity.write().as_bytes());
        if locks == Locks::Lease {
            written.map_err(failed)?;
        }
        let users =
            Users { folder, disk, locks, identity, patience, held: Mutex::new(held), beats: AtomicU64::new(0), seen: Mutex::default() };
        users.beat();
        users.clean();
        Ok(users)
    }

    pub(crate) fn own_id(&self) -> &str {
        &self.identity.user
    }

    pub(crate) fn boot(&self) -> &str {
        &self.identity.boot
    }

    pub(crate) fn identity(&self) -> &Identity {
        &self.identity
    }

    pub(crate) fn patience(&self) -> Patience {
        self.patience
    }

    /// Where a process notes the objects that it uses.
    pub(crate) fn uses_path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.uses"))
    }

    fn beat_path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.beat"))
    }

    /// Shows that this process lives. When it can't be written, others may take this process for dead, and do its work as well.
    pub(crate) fn beat(&self) {
        if self.locks == Locks::Lease {
            let beat = self.beats.fetch_add(1, Ordering::Relaxed);
            let _ = self.disk.overwrite(&self.beat_path(self.own_id()), beat.to_string().as_bytes());
        }
    }

    /// Whether a process lives. One that can't be told is taken for living.
    pub(crate) fn is_alive(&self, id: &str) -> bool {
        if id == self.own_id() {
            return true;
        }
        let path = self.folder.join(id);
        match self.locks {
            Locks::System => self.disk.stat(&path).is_ok() && !matches!(self.disk.lock(&path, Lock::Exclusive, false), Ok(Some(_))),
            Locks::Lease => match self.disk.read(&path) {
                Ok(lease) => !self.is_lease_dead(&format!("user {id}"), &lease),
                Err(error) => error.kind() != std::io::ErrorKind::NotFound,
            },
        }
    }

    /// Whether the owner of a lease is dead. `name` tells leases apart between calls.
    pub(crate) fn is_lease_dead(&self, name: &str, lease: &[u8]) -> bool {
        let identity = Identity::read(lease);
        match identity.as_ref().map_or(Life::Unknown, Identity::life) {
            Life::Dead => true,
            // A process that was stopped lives, but its work has to go on.
            Life::Alive | Life::Unknown => {
                let beat = identity.and_then(|identity| self.disk.read(&self.beat_path(&identity.user)).ok());
                let sign = beat.map_or_else(|| lease.to_vec(), |beat| beat.as_slice().to_vec());
                self.is_still(name, sign)
            }
        }
    }

    /// Whether a sign of life has not changed for as long as our patience, while we looked.
    fn is_still(&self, name: &str, sign: Vec<u8>) -> bool {
        let now = self.disk.elapsed();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        match seen.get(name) {
            Some((last, since)) if *last == sign => now.saturating_sub(*since) > self.patience.0,
            _ => {
                seen.insert(name.to_owned(), (sign, now));
                false
            }
        }
    }

    /// The ids of all processes that are registered.
    pub(crate) fn ids(&self) -> Result<Vec<String>, CacheError> {
        let paths = self.disk.list(&self.folder).map_err(|error| CacheError::io("listing", &self.folder, error))?;
        let ids = paths.iter().filter(|path| path.extension().is_none());
        Ok(ids.filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }

    /// The other living processes.
    pub(crate) fn others(&self) -> Result<Vec<String>, CacheError> {
        Ok(self.ids()?.into_iter().filter(|id| id != self.own_id() && self.is_alive(id)).collect())
    }

    /// How a person would find a process.
    pub(crate) fn in_words(&self, id: &str) -> String {
        let identity = self.disk.read(&self.folder.join(id)).ok().and_then(|lease| Identity::read(&lease));
        identity.map_or_else(|| "another process".into(), |identity| words(&identity))
    }

    /// Removes what dead processes left. What can't be removed is in nobody's way.
    fn clean(&self) {
        for id in self.ids().unwrap_or_default() {
            if !self.is_alive(&id) {
                self.remove(&id);
            }
        }
    }

    fn remove(&self, id: &str) {
        let _ = self.disk.remove(&self.uses_path(id));
        let _ = self.disk.remove(&self.beat_path(id));
        let _ = self.disk.remove(&self.folder.join(id));
    }

    /// Takes this process off the list.
    pub(crate) fn close(&self) {
        self.remove(self.own_id());
        self.held.lock().unwrap_or_else(PoisonError::into_inner).take();
    }
}

/// A process for people.
pub(crate) fn words(identity: &Identity) -> String {
    let here = Identity::own("").host == identity.host;
    let host = identity.host.split(' ').next().unwrap_or_default();
    if here || host.is_empty() { format!("process {}", identity.pid) } else { format!("process {} on {host}", identity.pid) }
}
