//! Immutable content, named by its digest: `objects/ab/cdef…`.
//!
//! Written to `tmp/`, synced, made read-only, renamed: a crash at any instant leaves nothing or the whole object.

use crate::digest::Digest;
use crate::disk::Disk;
use crate::error::CacheError;
use arrow::buffer::Buffer;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

pub(crate) struct Objects {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    counter: AtomicU64,
    /// Folders known to exist.
    folders: Mutex<BTreeSet<PathBuf>>,
}

impl Objects {
    pub(crate) fn new(root: &Path, disk: Arc<dyn Disk>) -> Objects {
        Objects { root: root.to_path_buf(), disk, counter: AtomicU64::new(0), folders: Mutex::new(BTreeSet::new()) }
    }

    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        let (folder, rest) = name.split_at(2);
        self.root.join("objects").join(folder).join(rest)
    }

    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest, CacheError> {
        let digest = Digest::of(bytes);
        let path = self.path(&digest);
        // The same content is there already: nothing to do. Another size means that the object is damaged, and it is replaced.
        if self.disk.stat(&path).is_ok_and(|stat| stat.size == bytes.len() as u64) {
            return Ok(digest);
        }
        let folder = path.parent().unwrap_or(&self.root).to_path_buf();
        self.ensure_folder(&folder)?;
        let temporary = self.temporary();
        let written = self.disk.write_synced(&temporary, bytes).map_err(|error| CacheError::io("writing", &temporary, error));
        let published = written.and_then(|()| {
            self.disk.set_read_only(&temporary).map_err(|error| CacheError::io("protecting", &temporary, error))?;
            self.disk.rename(&temporary, &path).map_err(|error| CacheError::io("publishing", &path, error))
        });
        if let Err(error) = published {
            let _ = self.disk.remove(&temporary);
            return Err(error);
        }
        self.disk.sync_dir(&folder).map_err(|error| CacheError::io("syncing", &folder, error))?;
        Ok(digest)
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        self.root.join("tmp").join(format!("{}-{:x}-{number}", std::process::id(), self.disk.now_ns()))
    }

    fn ensure_folder(&self, folder: &Path) -> Result<(), CacheError> {
        let mut known = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if known.contains(folder) {
            return Ok(());
        }
        self.disk.create_dir_all(folder).map_err(|error| CacheError::io("making", folder, error))?;
        known.insert(folder.to_path_buf());
        Ok(())
    }

    pub(crate) fn get(&self, digest: &Digest) -> Result<Option<Buffer>, CacheError> {
        let path = self.path(digest);
        match self.disk.read(&path) {
            Ok(buffer) => Ok(Some(buffer)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CacheError::io("reading", &path, error)),
        }
    }

    /// The size of an object; none when it is missing.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        self.disk.stat(&self.path(digest)).ok().map(|stat| stat.size)
    }

    pub(crate) fn quarantine(&self, digest: &Digest) -> Result<(), CacheError> {
        let folder = self.root.join("quarantine");
        self.disk.create_dir_all(&folder).map_err(|error| CacheError::io("making", &folder, error))?;
        let path = self.path(digest);
        match self.disk.rename(&path, &folder.join(digest.to_string())) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(CacheError::io("putting into quarantine", &path, error)),
        }
    }

    /// Every object with its size, sorted by digest. Files that are not named like objects are passed over.
    pub(crate) fn all(&self) -> Result<Vec<(Digest, u64)>, CacheError> {
        let root = self.root.join("objects");
        let listed = |path: &Path| self.disk.list(path).map_err(|error| CacheError::io("listing", path, error));
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut all = Vec::new();
        for folder in listed(&root)? {
            for path in listed(&folder)? {
                if let (Ok(digest), Ok(stat)) = (format!("{}{}", name(&folder), name(&path)).parse(), self.disk.stat(&path)) {
                    all.push((digest, stat.size));
                }
            }
        }
        Ok(all)
    }

    pub(crate) fn remove(&self, digest: &Digest) -> Result<(), CacheError> {
        let path = self.path(digest);
        self.disk.remove(&path).map_err(|error| CacheError::io("removing", &path, error))
    }
}
