//! The thin edge to the file system: one trait, the real one, and (in [`crate::faulty`]) one that fails on purpose.
//!
//! Everything that the cache does to files, locks and clocks goes through here; nothing else in this crate opens a file.

use arrow::buffer::Buffer;
use std::fs;
use std::io::{self, Read, Seek, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, UNIX_EPOCH};

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

/// How a file is locked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Lock {
    /// By one alone.
    Exclusive,
    /// By any number that share it.
    Shared,
}

/// A lock, held until it is dropped. The system lets go of it when its process dies.
pub trait Held: Send + Sync {}

/// An open file at whose end bytes are added.
pub trait Appender: Send + Sync {
    /// Adds bytes in one write. Not waited for: [`Appender::sync`] is.
    fn append(&mut self, bytes: &[u8]) -> io::Result<()>;
    /// Waits until everything is on the disk.
    fn sync(&mut self) -> io::Result<()>;
}

/// An open file that is read.
pub trait Source: Read + Send + Sync {
    /// Reads what stands at a place, wherever other reads have come to. Gives the number of bytes; 0 at the end of the file.
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize>;
    /// What is known about the very file that is open, whatever its path names by now.
    fn stat(&self) -> io::Result<Stat>;
}

/// What the cache needs of a file system and of the clocks.
pub trait Disk: Send + Sync {
    /// A whole file that nobody changes, mapped or read.
    fn read(&self, path: &Path) -> io::Result<Buffer>;
    /// What a file has behind its first `from` bytes just now, in memory: never mapped, since others may append to it meanwhile.
    fn read_from(&self, path: &Path, from: u64) -> io::Result<Vec<u8>>;
    /// Opens a file that may change meanwhile.
    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>>;
    /// Writes a new file; fails when there is one. Not waited for.
    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Writes a new file and waits until it is on the disk.
    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Writes a file in place, new or not. Not waited for, not whole after a crash: only for what may be lost.
    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()>;
    /// Opens a file (made when missing) for appending.
    fn appender(&self, path: &Path) -> io::Result<Box<dyn Appender>>;
    /// Copies a file to a new one, without copying bytes where the file system can. Gives what was known about the open source before and after.
    fn copy(&self, from: &Path, to: &Path) -> io::Result<(Stat, Stat)>;
    /// Waits until a file's content is on the disk.
    fn sync_file(&self, path: &Path) -> io::Result<()>;
    /// Renames within a file system, replacing.
    fn rename(&self, from: &Path, to: &Path) -> io::Result<()>;
    /// Waits until a folder's entries are on the disk.
    fn sync_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a file read-only.
    fn set_read_only(&self, path: &Path) -> io::Result<()>;
    /// Removes a file.
    fn remove(&self, path: &Path) -> io::Result<()>;
    /// Removes an empty folder.
    fn remove_dir(&self, path: &Path) -> io::Result<()>;
    /// Makes a folder and those above it.
    fn create_dir_all(&self, path: &Path) -> io::Result<()>;
    /// The paths in a folder, sorted; empty when the folder is missing.
    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>>;
    /// What is known about a file.
    fn stat(&self, path: &Path) -> io::Result<Stat>;
    /// Locks a file (made when missing); none when another holds it and `wait` is false. The lock is on the file that the path names when this returns.
    fn lock(&self, path: &Path, lock: Lock, wait: bool) -> io::Result<Option<Box<dyn Held>>>;
    /// Nanoseconds since 1970, by a clock that people set.
    fn now_ns(&self) -> i64;
    /// Time by a clock that nobody sets, from any beginning.
    fn elapsed(&self) -> Duration;
}

/// Maps an open file of a known length.
pub type Mapper = fn(&fs::File, u64) -> io::Result<Buffer>;

/// The real file system.
#[derive(Debug, Clone, Copy)]
pub struct OsDisk {
    mapper: Mapper,
    began: std::time::Instant,
}

impl OsDisk {
    /// Reads files into memory.
    pub fn new() -> OsDisk {
        OsDisk::with_mapper(read_whole)
    }

    /// Reads files by `mapper`, for example a memory map.
    pub fn with_mapper(mapper: Mapper) -> OsDisk {
        OsDisk { mapper, began: std::time::Instant::now() }
    }
}

impl Default for OsDisk {
    fn default() -> OsDisk {
        OsDisk::new()
    }
}

fn read_whole(file: &fs::File, length: u64) -> io::Result<Buffer> {
    let mut bytes = Vec::with_capacity(usize::try_from(length).unwrap_or(0));
    file.take(length).read_to_end(&mut bytes)?;
    Ok(Buffer::from_vec(bytes))
}

struct OsAppender(fs::File);

impl Appender for OsAppender {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.0.write_all(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.0.sync_data()
    }
}

struct OsSource(fs::File);

impl Read for OsSource {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.0.read(into)
    }
}

impl Source for OsSource {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        #[cfg(unix)]
        return std::os::unix::fs::FileExt::read_at(&self.0, into, at);
        #[cfg(windows)]
        return std::os::windows::fs::FileExt::seek_read(&self.0, into, at);
    }

    fn stat(&self) -> io::Result<Stat> {
        Ok(stat_of(&self.0.metadata()?))
    }
}

/// The open file; closing it lets go of the lock.
struct OsHeld(#[expect(dead_code, reason = "held for its lock")] fs::File);

impl Held for OsHeld {}

impl Disk for OsDisk {
    fn read(&self, path: &Path) -> io::Result<Buffer> {
        let file = fs::File::open(path)?;
        let length = file.metadata()?.len();
        (self.mapper)(&file, length)
    }

    fn read_from(&self, path: &Path, from: u64) -> io::Result<Vec<u8>> {
        let mut file = fs::File::open(path)?;
        let left = file.metadata()?.len().saturating_sub(from);
        file.seek(io::SeekFrom::Start(from))?;
        let mut bytes = Vec::with_capacity(usize::try_from(left).unwrap_or(0));
        // No more than was there: what is appended meanwhile is read the next time.
        file.take(left).read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        Ok(Box::new(OsSource(fs::File::open(path)?)))
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::OpenOptions::new().write(true).create_new(true).open(path)?.write_all(bytes)
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        let mut file = fs::OpenOptions::new().write(true).create_new(true).open(path)?;
        file.write_all(bytes)?;
        file.sync_data()
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        fs::write(path, bytes)
    }

    fn appender(&self, path: &Path) -> io::Result<Box<dyn Appender>> {
        Ok(Box::new(OsAppender(fs::OpenOptions::new().append(true).create(true).open(path)?)))
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<(Stat, Stat)> {
        let mut source = fs::File::open(from)?;
        let before = stat_of(&source.metadata()?);
        let mut target = fs::OpenOptions::new().write(true).create_new(true).open(to)?;
        // The standard library asks the system to share or copy the bytes (`copy_file_range`) before it copies them itself.
        io::copy(&mut source, &mut target)?;
        Ok((before, stat_of(&source.metadata()?)))
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        fs::File::open(path)?.sync_data()
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

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        fs::remove_dir(path)
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
        Ok(stat_of(&fs::metadata(path)?))
    }

    fn lock(&self, path: &Path, lock: Lock, wait: bool) -> io::Result<Option<Box<dyn Held>>> {
        loop {
            let file = fs::OpenOptions::new().create(true).truncate(false).read(true).write(true).open(path)?;
            let taken = match (lock, wait) {
                (Lock::Exclusive, true) => file.lock(),
                (Lock::Shared, true) => file.lock_shared(),
                (Lock::Exclusive, false) => file.try_lock().map_err(io::Error::from),
                (Lock::Shared, false) => file.try_lock_shared().map_err(io::Error::from),
            };
            match taken {
                Ok(()) if is_named(&file, path) => return Ok(Some(Box::new(OsHeld(file)))),
                // Removed between opening and locking: the lock is on a file that nobody finds any more.
                Ok(()) => {}
                Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(None),
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    fn now_ns(&self) -> i64 {
        std::time::SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
    }

    fn elapsed(&self) -> Duration {
        self.began.elapsed()
    }
}

/// Whether the open file is still the one that its path names.
fn is_named(file: &fs::File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let number = |metadata: &fs::Metadata| (metadata.dev(), metadata.ino());
        matches!((file.metadata(), fs::metadata(path)), (Ok(open), Ok(named)) if number(&open) == number(&named))
    }
    #[cfg(not(unix))]
    {
        // An open file can't be removed there.
        let _ = (file, path);
        true
    }
}

fn stat_of(metadata: &fs::Metadata) -> Stat {
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
    Stat { size: metadata.len(), mtime_ns: since(metadata.modified()), ctime_ns, inode }
}
