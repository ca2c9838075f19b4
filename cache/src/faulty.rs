//! A disk that fails on purpose, for tests: a full disk, a torn write, a process that is killed between two operations.

use crate::disk::{Disk, Stat};
use arrow::buffer::Buffer;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// What goes wrong at the chosen operation.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// That one operation fails as on a full disk; a write leaves its first half behind.
    DiskFull,
    /// That operation and all after it fail, as if the process had been killed; a write leaves its first half behind.
    Killed,
}

/// Wraps a disk and fails at the n-th operation that changes something.
pub struct FaultyDisk {
    inner: Arc<dyn Disk>,
    fault: Fault,
    at: u64,
    done: AtomicU64,
}

impl FaultyDisk {
    /// Fails at the operation with number `at`, counted from 0.
    pub fn new(inner: Arc<dyn Disk>, fault: Fault, at: u64) -> FaultyDisk {
        FaultyDisk { inner, fault, at, done: AtomicU64::new(0) }
    }

    /// How many operations that change something were asked for.
    pub fn operations(&self) -> u64 {
        self.done.load(Ordering::SeqCst)
    }

    fn step(&self) -> Result<(), io::Error> {
        let number = self.done.fetch_add(1, Ordering::SeqCst);
        match self.fault {
            Fault::DiskFull if number == self.at => Err(io::Error::from(io::ErrorKind::StorageFull)),
            Fault::Killed if number >= self.at => Err(io::Error::other("killed")),
            _ => Ok(()),
        }
    }

    fn at_fault(&self) -> bool {
        self.done.load(Ordering::SeqCst) == self.at + 1
    }
}

impl Disk for FaultyDisk {
    fn read(&self, path: &Path) -> io::Result<Buffer> {
        self.inner.read(path)
    }

    fn write_synced(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step().inspect_err(|_| {
            if self.at_fault() {
                let _ = self.inner.write_synced(path, &bytes[..bytes.len() / 2]);
            }
        })?;
        self.inner.write_synced(path, bytes)
    }

    fn append(&self, path: &Path, bytes: &[u8]) -> io::Result<()> {
        self.step().inspect_err(|_| {
            if self.at_fault() {
                let _ = self.inner.append(path, &bytes[..bytes.len() / 2]);
            }
        })?;
        self.inner.append(path, bytes)
    }

    fn rename(&self, from: &Path, to: &Path) -> io::Result<()> {
        self.step()?;
        self.inner.rename(from, to)
    }

    fn sync_dir(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.inner.sync_dir(path)
    }

    fn set_read_only(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.inner.set_read_only(path)
    }

    fn remove(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.inner.remove(path)
    }

    fn create_dir_all(&self, path: &Path) -> io::Result<()> {
        self.step()?;
        self.inner.create_dir_all(path)
    }

    fn list(&self, path: &Path) -> io::Result<Vec<PathBuf>> {
        self.inner.list(path)
    }

    fn stat(&self, path: &Path) -> io::Result<Stat> {
        self.inner.stat(path)
    }

    fn now_ns(&self) -> i64 {
        self.inner.now_ns()
    }
}
