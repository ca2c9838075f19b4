//! The thin edge to the file system: one trait, the real one, and (in [`crate::faulty`]) one that fails on purpose.

use arrow::buffer::Buffer;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::time::UNIX_EPOCH;

/// What is known about a file without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// Size in bytes.
    pub size: u64,
    /// Last change of content, nanoseconds since 1970.
    pub mtime_ns: i64,
    /// Last change of content or attributes, nanoseconds since 1970; 0 where the system has none.
    pub ctime_ns: i64,
    /// The file's number; 0 where the system has none.
    pub inode: u64,
}

/// What the cache needs of a file system.
pub trait Disk: Send + Sync {
    /// A whole file, mapped or read.
    fn read(&self, path: &Path) -> io::Result<Buffer>;
    /// Writes a new file and waits until it is on the disk.
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Appends to a file (made when missing) in one write. Not waited for: what a lost power supply takes away is computed again.
    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Renames within a file system, replacing.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until a folder's entries are on the disk.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a file read-only.
    fn set_read_only(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder and those above it.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The paths in a folder, sorted; empty when the folder is missing.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// What is known about a file.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Nanoseconds since 1970.
    fn now_ns(&self) -> i64;
}

/// Maps an open file of a known length.
pub type Mapper = fn(&fs::File, u64) -> io::Result<Buffer>;

/// The real file system.
#[derive(Debug, Clone, Copy)]
pub struct OsDisk {
    mapper: Mapper,
}

impl OsDisk {
    /// Reads files into memory.
    pub fn new() -> OsDisk {
        OsDisk { mapper: read_whole }
    }

    /// Reads files by `mapper`, for example a memory map.
    pub fn with_mapper(mapper: Mapper) -> OsDisk {
        OsDisk { mapper }
    }
}

impl Default for OsDisk {
    fn default() -> OsDisk {
        OsDisk::new()
    }
}

fn read_whole(file: &fs::File, length: u64) -> io::Result<Buffer> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    io::BufReader::new(file).read_to_end(&mut bytes)?;
    Ok(Buffer::from_vec(bytes))
}

impl Disk for OsDisk {
    fn read(&self, path: &Path) -> io::Result<Buffer> {
        let file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        (self.mapper)(&file, length)
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_data()
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::OpenOptions::new().append(true).create(true).open(path)?.write_all(bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        fs::rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        // Folders can't be opened for this everywhere; where they can't, the rename is as durable as the system makes it.
        match fs::File::open(path) {
            Ok(folder) => folder.sync_all().or(Ok(())),
            Err(_) => Ok(()),
        }
    }

    fn set_read_only(&self, path: &Path) -> io::Result<()> {
        let mut permissions = fs::metadata(path)?.permissions();
        permissions.set_readonly(true);
        fs::set_permissions(path, permissions)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        fs::remove_file(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        fs::create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        let entries = match fs::read_dir(path) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(error),
        };
        let mut paths = entries.map(|entry| Ok(entry?.path())).collect::<io::Result<Vec<_>>>()?;
        paths.sort();
        Ok(paths)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        let metadata = fs::metadata(path)?;
        let since = |time: io::Result<std::time::SystemTime>| {
            time.ok().and_then(|time| time.duration_since(UNIX_EPOCH).ok()).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(0))
        };
        #[cfg(unix)]
        let (ctime_ns, inode) = {
            use std::os::unix::fs::MetadataExt;
            (metadata.ctime().saturating_mul(1_000_000_000).saturating_add(metadata.ctime_nsec()), metadata.ino())
        };
        #[cfg(not(unix))]
        let (ctime_ns, inode) = (0, 0);
        Ok(Stat { size: metadata.len(), mtime_ns: since(metadata.modified()), ctime_ns, inode })
    }

    fn now_ns(&self) -> i64 {
        std::time::SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }
}
