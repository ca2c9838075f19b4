//! Immutable content, named by its digest.
//!
//! Small objects stand in segments ([`crate::segments`]), larger ones in files of their own: `objects/ab/cdef…`, written to `tmp/`, made read-only, renamed. A
//! process that dies at any instant leaves nothing or the whole object. Nothing waits for the disk here; [`crate::commit`] does.

use crate::commit::Commit;
use crate::digest::Digest;
use crate::disk::{Disk, Stat};
use crate::error::CacheError;
use crate::runs::Runs;
use crate::segments::Segments;
use arrow::buffer::Buffer;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// Objects up to this size stand in segments: a file costs more than they do.
pub(crate) const SMALL: usize = 4096;

pub(crate) struct Objects {
    root: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) segments: Arc<Segments>,
    pub(crate) commit: Commit<Digest>,
    counter: AtomicU64,
    /// Folders known to exist.
    folders: Mutex<BTreeSet<PathBuf>>,
}

impl Objects {
    pub(crate) fn new(root: &Path, disk: Arc<dyn Disk>, segments: Arc<Segments>) -> Objects {
        let (counter, folders) = (AtomicU64::new(0), Mutex::default());
        Objects { root: root.to_path_buf(), disk, segments, commit: Commit::default(), counter, folders }
    }

    /// Where an object that has a file of its own is.
    pub(crate) fn path(&self, digest: &Digest) -> PathBuf {
        let name = digest.to_string();
        let (folder, rest) = name.split_at(2);
        self.root.join("objects").join(folder).join(rest)
    }

    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Digest, CacheError> {
        let digest = Digest::of_many(bytes);
        if bytes.len() <= SMALL {
            // Read, not only looked up: one that is damaged is not there, and is written again.
            if !self.get(&digest).is_ok_and(|found| found.is_some_and(|found| found.as_slice() == bytes)) {
                self.segments.put_object(&digest, bytes)?;
            }
            return Ok(digest);
        }
        // The same content is there already: nothing to do. Anything else under that name is damaged, and is replaced.
        let path = self.path(&digest);
        let is_there = self.disk.stat(&path).is_ok_and(|stat| stat.size == bytes.len() as u64)
            && self.disk.read(&path).is_ok_and(|found| found.as_slice() == bytes);
        if !is_there {
            let temporary = self.temporary();
            let written = self.disk.write_new(&temporary, bytes).map_err(|error| CacheError::io("writing", &temporary, error));
            self.publish(&temporary, &digest, written)?;
        }
        self.commit.note(digest);
        Ok(digest)
    }

    /// Makes a finished file an object, or removes it.
    pub(crate) fn publish(&self, temporary: &Path, digest: &Digest, written: Result<(), CacheError>) -> Result<(), CacheError> {
        let path = self.path(digest);
        let published = written.and_then(|()| {
            self.ensure_folder(path.parent().unwrap_or(&self.root))?;
            self.disk.set_read_only(temporary).map_err(|error| CacheError::io("protecting", temporary, error))?;
            self.disk.rename(temporary, &path).map_err(|error| CacheError::io("publishing", &path, error))
        });
        if published.is_err() {
            let _ = self.disk.remove(temporary);
        }
        published
    }

    pub(crate) fn temporary(&self) -> PathBuf {
        let number = self.counter.fetch_add(1, Ordering::Relaxed);
        self.root.join("tmp").join(format!("{}-{number}", self.segments.users.own_id()))
    }

    fn ensure_folder(&self, folder: &Path) -> Result<(), CacheError> {
        let mut known = self.folders.lock().unwrap_or_else(PoisonError::into_inner);
        if !known.contains(folder) {
            self.disk.create_dir_all(folder).map_err(|error| CacheError::io("making", folder, error))?;
            known.insert(folder.to_path_buf());
        }
        Ok(())
    }

    pub(crate) fn get(&self, digest: &Digest) -> Result<Option<Buffer>, CacheError> {
        if let Some(small) = self.segments.object(digest) {
            return Ok(Some(small));
        }
        let path = self.path(digest);
        match self.disk.read(&path) {
            Ok(buffer) => Ok(Some(buffer)),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(CacheError::io("reading", &path, error)),
        }
    }

    /// The size of an object; none when it is missing.
    pub(crate) fn size(&self, digest: &Digest) -> Option<u64> {
        self.segments.object_size(digest).or_else(|| self.disk.stat(&self.path(digest)).ok().map(|stat| stat.size))
    }

    /// Puts an object aside and serves it no more. `damaged` is what a small one was found to be.
    pub(crate) fn quarantine(&self, digest: &Digest, damaged: Option<&[u8]>) -> Result<(), CacheError> {
        let aside = self.aside(&digest.to_string())?;
        if let Some(bytes) = damaged.map(<[u8]>::to_vec).or_else(|| self.segments.as_found(digest)) {
            self.segments.deny(digest);
            self.disk.overwrite(&aside, &bytes).map_err(|error| CacheError::io("writing", &aside, error))?;
        }
        let path = self.path(digest);
        match self.disk.rename(&path, &aside) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(()),
            Err(error) => Err(CacheError::io("putting into quarantine", &path, error)),
        }
    }

    /// Puts a run's damaged record into quarantine.
    pub(crate) fn put_run_aside(&self, runs: &Runs, id: &str) -> Result<(), CacheError> {
        runs.put_aside(id, &self.aside(&format!("run-{id}.json"))?)
    }

    /// A path in the quarantine, whose folder is there then.
    fn aside(&self, name: &str) -> Result<PathBuf, CacheError> {
        let folder = self.root.join("quarantine");
        self.disk.create_dir_all(&folder).map_err(|error| CacheError::io("making", &folder, error))?;
        Ok(folder.join(name))
    }

    /// Every object that has a file of its own, with what is known about it, sorted by digest. Files that are not named like objects are passed over.
    pub(crate) fn files(&self) -> Result<Vec<(Digest, Stat)>, CacheError> {
        let root = self.root.join("objects");
        let listed = |path: &Path| self.disk.list(path).map_err(|error| CacheError::io("listing", path, error));
        let name = |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let mut all = Vec::new();
        for folder in listed(&root)? {
            for path in listed(&folder)? {
                if let (Ok(digest), Ok(stat)) = (format!("{}{}", name(&folder), name(&path)).parse(), self.disk.stat(&path)) {
                    all.push((digest, stat));
                }
            }
        }
        Ok(all)
    }

    pub(crate) fn remove(&self, digest: &Digest) -> Result<(), CacheError> {
        let path = self.path(digest);
        match self.disk.remove(&path) {
            Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(CacheError::io("removing", &path, error)),
            _ => Ok(()),
        }
    }

    /// Waits until objects are on the disk, with their names.
    pub(crate) fn sync(&self, digests: &[Digest]) -> Result<(), CacheError> {
        let mut folders = BTreeSet::new();
        for digest in digests {
            let path = self.path(digest);
            match self.disk.sync_file(&path) {
                Err(error) if error.kind() != std::io::ErrorKind::NotFound => return Err(CacheError::io("syncing", &path, error)),
                _ => folders.extend(path.parent().map(Path::to_path_buf)),
            }
        }
        folders.iter().try_for_each(|folder| self.disk.sync_dir(folder).map_err(|error| CacheError::io("syncing", folder, error)))
    }
}

impl crate::commit::Durable for Objects {
    type Object = Digest;
    type Extent = crate::own_segment::Extent;
    type Error = CacheError;

    fn extent(&self) -> Self::Extent {
        self.segments.own().extent()
    }

    fn sync_objects(&self, objects: &[Digest]) -> Result<(), CacheError> {
        self.sync(objects)
    }

    fn mark(&self, extent: &Self::Extent) -> Result<(), CacheError> {
        self.segments.commit(extent)
    }
}
