//! Pins: runs whose objects are never collected. An empty file `pins/RUN` each.

use crate::disk::Disk;
use crate::error::CacheError;
use std::path::{Path, PathBuf};
use std::sync::Arc;

pub(crate) struct Pins {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Pins {
    pub(crate) fn new(root: &Path, disk: Arc<dyn Disk>) -> Pins {
        Pins { folder: root.join("pins"), disk }
    }

    /// Pins a run; gives whether it was not pinned before.
    pub(crate) fn pin(&self, run: &str) -> Result<bool, CacheError> {
        self.disk.create_dir_all(&self.folder).map_err(|error| CacheError::io("making", &self.folder, error))?;
        let path = self.folder.join(run);
        match self.disk.write_synced(&path, b"") {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(CacheError::io("writing", &path, error)),
        }
    }

    /// Gives whether the run was pinned.
    pub(crate) fn unpin(&self, run: &str) -> Result<bool, CacheError> {
        let path = self.folder.join(run);
        match self.disk.remove(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(CacheError::io("removing", &path, error)),
        }
    }

    /// The pinned runs, sorted.
    pub(crate) fn list(&self) -> Result<Vec<String>, CacheError> {
        let paths = self.disk.list(&self.folder).map_err(|error| CacheError::io("listing", &self.folder, error))?;
        Ok(paths.iter().filter_map(|path| Some(path.file_name()?.to_str()?.to_owned())).collect())
    }
}
