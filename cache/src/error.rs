//! What can go wrong with the cache, with the place and a remedy.

use std::io;
use std::path::{Path, PathBuf};

/// A failure of the cache.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum CacheError {
    /// The disk is full.
    #[error("the disk is full: {what} {}; free space with `neuroflow cache gc --keep SIZE`, with a smaller size than `neuroflow cache stats` shows, or set NEUROFLOW_CACHE to another disk", path.display())]
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
    /// Another process is in the way.
    #[error("{by} uses this cache and does not make room; try again when it has ended")]
    InUse {
        /// The process, in words.
        by: String,
    },
    /// The cache was written in a format that is not known.
    #[error(
        "the cache {} has format {found}, this neuroflow knows formats up to {}; use the neuroflow that wrote it, set NEUROFLOW_CACHE to another folder, or move this one aside: results are computed again",
        path.display(), crate::format::FORMAT
    )]
    Format {
        /// The cache's folder.
        path: PathBuf,
        /// The format that was found, in words.
        found: String,
    },
    /// The file that says the format was cut off.
    #[error(
        "the file `format` of the cache {} is empty or cut off, so what is in the cache can't be told; move the folder aside or remove it: results are computed again",
        path.display()
    )]
    CutFormat {
        /// The cache's folder.
        path: PathBuf,
    },
    /// What a run that is kept names can't be told, so nothing may be removed.
    #[error(
        "run {run} is to be kept, and {what}, so nothing is collected: `neuroflow cache unpin {run}` gives it up, or run its pipeline again"
    )]
    Unprotected {
        /// The run.
        run: String,
        /// What is wrong, in words.
        what: &'static str,
    },
    /// A run's record is there and is not what a run writes.
    #[error(
        "the record of run {run} can't be read ({reason}): `neuroflow cache verify` puts it aside when it is damaged, and running its pipeline again makes a new one"
    )]
    Record {
        /// The run.
        run: String,
        /// What is wrong with it.
        reason: serde_json::Error,
    },
    /// A variable of the environment has a value that is not understood.
    #[error("{name}={value} is not understood: {allowed}")]
    Setting {
        /// The variable.
        name: &'static str,
        /// Its value.
        value: String,
        /// What it may be, in words.
        allowed: &'static str,
    },
    /// A file changes faster than it can be read.
    #[error("{} changed again and again while it was read; wait until it is finished, or work on a copy", path.display())]
    Changing {
        /// The file.
        path: PathBuf,
    },
    /// An archive is not what `cache export` writes.
    #[error("{}: {reason}", path.display())]
    Archive {
        /// The archive.
        path: PathBuf,
        /// What is wrong with it.
        reason: String,
    },
    /// The remote cache's address or settings are wrong.
    #[error("the remote cache `{url}`: {reason}")]
    Remote {
        /// The address.
        url: String,
        /// What is wrong with it.
        reason: String,
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
