//! What can go wrong with the cache, with the place and a remedy.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The disk is full.
    #[error("the disk is full: {what} {}; free space with `neuroflow cache gc --keep 10GB`, or set NEUROFLOW_CACHE to another disk", path.display())]
    DiskFull {
        /// What was being done.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// Writing is not allowed.
    #[error("no permission: {what} {}; set NEUROFLOW_CACHE to a folder that can be written", path.display())]
    NoPermission {
        /// What was being done.
        what: &'static str,
        /// Where.
        path: PathBuf,
    },
    /// Any other failure of the disk.
    #[error("{what} {}: {source}", path.display())]
    Io {
        /// What was being done.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// A run was asked for that does not exist, or not only once.
    #[error("{0}")]
    NoSuchRun(String),
    /// A record can't be written as JSON: a mistake of ours.
    #[error("a record can't be written: {0}")]
    Encode(#[from] serde_json::Error),
}

impl CacheError {
    pub(crate) fn io(what: &'static str, path: &Path, source: io::Error) -> CacheError {
        let path = path.to_path_buf();
        match source.kind() {
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => CacheError::DiskFull { what, path },
            io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => CacheError::NoPermission { what, path },
            _ => CacheError::Io { what, path, source },
        }
    }
}
