//! Digests of files that were read before, so that unchanged ones are not read again.
//!
//! A file counts as unchanged when path, size, times and number are the same, and when it was hashed clearly later than it was last changed: a file that
//! changes within the clock's granularity of its hashing keeps its times, so it is hashed again (the "racy git" rule).

use crate::digest::Digest;
use crate::disk::{Disk, Stat};
use crate::error::CacheError;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Coarser than the time stamps of any file system in use (FAT has two seconds).
const GRANULARITY_NS: i64 = 2_000_000_000;

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Entry {
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    inode: u64,
    hashed_ns: i64,
    digest: Digest,
}

pub(crate) struct StatCache {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    entries: Mutex<(BTreeMap<PathBuf, Entry>, bool)>,
}

impl StatCache {
    pub(crate) fn open(root: &Path, disk: Arc<dyn Disk>) -> StatCache {
        let path = root.join("stat.json");
        // A damaged or missing stat cache only means that files are read again.
        let entries = disk.read(&path).ok().and_then(|bytes| serde_json::from_slice(&bytes).ok()).unwrap_or_default();
        StatCache { path, disk, entries: Mutex::new((entries, false)) }
    }

    pub(crate) fn known(&self, path: &Path, stat: &Stat) -> Option<Digest> {
        let entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        let entry = entries.0.get(path)?;
        let same = (entry.size, entry.mtime_ns, entry.ctime_ns, entry.inode) == (stat.size, stat.mtime_ns, stat.ctime_ns, stat.inode);
        let racy = entry.hashed_ns < stat.mtime_ns.max(stat.ctime_ns).saturating_add(GRANULARITY_NS);
        (same && !racy).then_some(entry.digest)
    }

    pub(crate) fn learn(&self, path: &Path, stat: &Stat, digest: Digest) {
        let hashed_ns = self.disk.now_ns();
        let entry = Entry { size: stat.size, mtime_ns: stat.mtime_ns, ctime_ns: stat.ctime_ns, inode: stat.inode, hashed_ns, digest };
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        entries.0.insert(path.to_path_buf(), entry);
        entries.1 = true;
    }

    pub(crate) fn save(&self, temporary: &Path) -> Result<(), CacheError> {
        let mut entries = self.entries.lock().unwrap_or_else(PoisonError::into_inner);
        if !entries.1 {
            return Ok(());
        }
        let bytes = serde_json::to_vec(&entries.0)?;
        self.disk.write_synced(temporary, &bytes).map_err(|error| CacheError::io("writing", temporary, error))?;
        self.disk.rename(temporary, &self.path).map_err(|error| CacheError::io("publishing", &self.path, error))?;
        entries.1 = false;
        Ok(())
    }
}
