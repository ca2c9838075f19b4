//! A disk that fails on purpose, for tests: a full disk, a torn write, a bad sector, a process that is killed between two operations, a clock that jumps.

use crate::disk::{Appender, Disk, Held, Lock, Source, Stat};
use arrow::buffer::Buffer;
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

/// What goes wrong at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// That one operation fails as on a full disk, if it writes; a write leaves its first half behind.
    DiskFull,
    /// That one operation fails as on a disk with bad sectors; a write leaves its first half behind.
    BadSector,
    /// That one operation is not allowed.
    Denied,
    /// That operation and all after it fail, as if the process had been killed; a write leaves its first half behind.
    Killed,
}

/// Counts operations and says which one fails.
struct Plan {
    fault: Fault,
    at: u64,
    done: AtomicU64,
    clock_ns: AtomicI64,
}

/// What became of an operation.
enum Step {
    Works,
    /// It fails, and it is the chosen one.
    Fails(io::Error),
    /// It fails because the process is dead.
    Dead(io::Error),
}

impl Plan {
    fn step(&self, writes: bool) -> Step {
        let number = self.done.fetch_add(1, Ordering::SeqCst);
        let chosen = number == self.at;
        match self.fault {
            Fault::DiskFull if chosen && writes => Step::Fails(io::Error::from(io::ErrorKind::StorageFull)),
            Fault::BadSector if chosen => Step::Fails(io::Error::other("bad sector")),
            Fault::Denied if chosen => Step::Fails(io::Error::from(io::ErrorKind::PermissionDenied)),
            Fault::Killed if chosen => Step::Fails(io::Error::other("killed")),
            Fault::Killed if number > self.at => Step::Dead(io::Error::other("killed")),
            _ => Step::Works,
        }
    }

    fn plain(&self, writes: bool) -> io::Result<()> {
        match self.step(writes) {
            Step::Works => Ok(()),
            Step::Fails(error) | Step::Dead(error) => Err(error),
        }
    }

    /// A write: when it is the chosen one, `half` is written before it fails, unless it was forbidden from the start.
    fn write(&self, half: impl FnOnce()) -> io::Result<()> {
        match self.step(true) {
            Step::Works => Ok(()),
            Step::Fails(error) => {
                if self.fault != Fault::Denied {
                    half();
                }
                Err(error)
            }
            Step::Dead(error) => Err(error),
        }
    }
}

/// Wraps a disk and fails at the n-th operation.
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    plan: Arc<Plan>,
}

impl FaultyDisk {
    /// Fails at the operation with number `at`, counted from 0.
    pub fn new(inner: Arc<dyn Disk>, fault: Fault, at: u64) -> FaultyDisk {
        let plan = Plan { fault, at, done: AtomicU64::new(0), clock_ns: AtomicI64::new(0) };
        FaultyDisk { inner, plan: Arc::new(plan) }
    }

    /// How many operations were asked for.
    pub fn operations(&self) -> u64 {
        self.plan.done.load(Ordering::SeqCst)
    }

    /// Sets the clock that people set: so many nanoseconds beside the true time.
    pub fn set_clock(&self, offset_ns: i64) {
        self.plan.clock_ns.store(offset_ns, Ordering::SeqCst);
    }
}

struct FaultyAppender {
    inner: Box<dyn Appender>,
    plan: Arc<Plan>,
}

impl Appender for FaultyAppender {
    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let FaultyAppender { inner, plan } = self;
        plan.write(|| {
            let _ = inner.append(&bytes[..bytes.len() / 2]);
        })?;
        inner.append(bytes)
    }

    fn sync(&mut self) -> io::Result<()> {
        self.plan.plain(true)?;
        self.inner.sync()
    }
}

struct FaultySource {
    inner: Box<dyn Source>,
    plan: Arc<Plan>,
}

impl Read for FaultySource {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        self.plan.plain(false)?;
        self.inner.read(into)
    }
}

impl Source for FaultySource {
    fn read_at(&self, into: &mut [u8], at: u64) -> io::Result<usize> {
        self.plan.plain(false)?;
        self.inner.read_at(into, at)
    }

    fn stat(&self) -> io::Result<Stat> {
        self.plan.plain(false)?;
        self.inner.stat()
    }
}

impl Disk for FaultyDisk {
    fn read(&self, path: &Path) -> io::Result<Buffer> {
        self.plan.plain(false)?;
        self.inner.read(path)
    }

    fn read_from(&self, path: &Path, from: u64) -> io::Result<Vec<u8>> {
        self.plan.plain(false)?;
        self.inner.read_from(path, from)
    }

    fn open(&self, path: &Path) -> io::Result<Box<dyn Source>> {
        self.plan.plain(false)?;
        Ok(Box::new(FaultySource { inner: self.inner.open(path)?, plan: Arc::clone(&self.plan) }))
    }

    fn write_new(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.plan.write(|| drop(self.inner.write_new(path, &bytes[..bytes.len() / 2])))?;
        self.inner.write_new(path, bytes)
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.plan.write(|| drop(self.inner.write_new(path, &bytes[..bytes.len() / 2])))?;
        self.inner.write_synced(path, bytes)
    }

    fn overwrite(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.plan.write(|| drop(self.inner.overwrite(path, &bytes[..bytes.len() / 2])))?;
        self.inner.overwrite(path, bytes)
    }

    fn appender(&self, path: &Path) -> io::Result<Box<dyn Appender>> {
        self.plan.plain(true)?;
        Ok(Box::new(FaultyAppender { inner: self.inner.appender(path)?, plan: Arc::clone(&self.plan) }))
    }

    fn copy(&self, from: &Path, to: &Path) -> io::Result<(Stat, Stat)> {
        let half = || {
            let bytes = self.inner.read(from).map(|bytes| bytes.as_slice()[..bytes.len() / 2].to_vec());
            let _ = bytes.and_then(|bytes| self.inner.write_new(to, &bytes));
        };
        self.plan.write(half)?;
        self.inner.copy(from, to)
    }

    fn sync_file(&self, path: &Path) -> io::Result<()> {
        self.plan.plain(true)?;
        self.inner.sync_file(path)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.plan.plain(true)?;
        self.inner.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.plain(true)?;
        self.inner.sync_dir(path)
    }

    fn set_read_only(&self, path: &Path) -> io::Result<()> {
        self.plan.plain(true)?;
        self.inner.set_read_only(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.plan.plain(true)?;
        self.inner.remove(path)
    }

    fn remove_dir(&self, path: &Path) -> io::Result<()> {
        self.plan.plain(true)?;
        self.inner.remove_dir(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.plan.plain(true)?;
        self.inner.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.plan.plain(false)?;
        self.inner.list(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.plan.plain(false)?;
        self.inner.stat(path)
    }

    fn lock(&self, path: &Path, lock: Lock, wait: bool) -> io::Result<Option<Box<dyn Held>>> {
        self.plan.plain(true)?;
        self.inner.lock(path, lock, wait)
    }

    fn now_ns(&self) -> i64 {
        self.inner.now_ns().saturating_add(self.plan.clock_ns.load(Ordering::SeqCst))
    }

    fn elapsed(&self) -> Duration {
        self.inner.elapsed()
    }
}
