//! How files are looked at, wherever they are.

use std::io;
use std::path::{Path, PathBuf};

/// What a path leads to, links followed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Found {
    pub(crate) is_file: bool,
    pub(crate) is_folder: bool,
    /// Whether it can be started by itself.
    pub(crate) is_executable: bool,
}

/// A name in a folder.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Listed {
    pub(crate) name: std::ffi::OsString,
    /// Whether it is a folder, behind a link too.
    pub(crate) is_folder: bool,
    pub(crate) is_link: bool,
}

/// Where files are looked at: a disk, or a tree of named contents.
pub(crate) trait Look: Send + Sync {
    /// What a path leads to.
    fn found(&self, path: &Path) -> io::Result<Found>;
    /// Whether the path itself is a link.
    fn is_link(&self, path: &Path) -> bool;
    /// The path without links.
    fn real(&self, path: &Path) -> io::Result<PathBuf>;
    /// What a file holds.
    fn read(&self, path: &Path) -> io::Result<Vec<u8>>;
    /// What is in a folder, in no order.
    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>>;
}

/// Whether a path leads to a regular file.
pub(crate) fn is_file(look: &dyn Look, path: &Path) -> bool {
    look.found(path).is_ok_and(|found| found.is_file)
}

/// The text of a file.
pub(crate) fn read_text(look: &dyn Look, path: &Path) -> io::Result<String> {
    String::from_utf8(look.read(path)?).map_err(|_| io::Error::from(io::ErrorKind::InvalidData))
}

/// The files of this machine as they are now.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Disk;

impl Look for Disk {
    fn found(&self, path: &Path) -> io::Result<Found> {
        let metadata = std::fs::metadata(path)?;
        #[cfg(unix)]
        let is_executable = {
            use std::os::unix::fs::PermissionsExt;
            metadata.permissions().mode() & 0o111 != 0
        };
        #[cfg(not(unix))]
        let is_executable = false;
        Ok(Found { is_file: metadata.is_file(), is_folder: metadata.is_dir(), is_executable })
    }

    fn is_link(&self, path: &Path) -> bool {
        path.symlink_metadata().is_ok_and(|found| found.is_symlink())
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        path.canonicalize()
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        std::fs::read(path)
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let listed = |entry: io::Result<std::fs::DirEntry>| {
            let entry = entry?;
            let kind = entry.file_type()?;
            let is_folder = kind.is_dir() || kind.is_symlink() && entry.path().is_dir();
            Ok(Listed { name: entry.file_name(), is_folder, is_link: kind.is_symlink() })
        };
        std::fs::read_dir(folder)?.map(listed).collect()
    }
}
