//! Digests of files that were read before, so that unchanged ones are not read again.
//!
//! A file counts as unchanged when path, size, times and number are the same, and when it was hashed clearly later than it was last changed: a file that
//! changes within the clock's granularity of its hashing keeps its times, so it is hashed again (the "racy git" rule). A hashing that lies in the future, by a clock
//! that was set back since, counts for nothing either.
//!
//! The file `stat.bin` is `NFSTAT2` and a zero, the number of entries in eight bytes, the entries (the path's length in four bytes, the path, size, two times, number,
//! time of hashing in eight bytes each, the digest) and the BLAKE3 of all that. It is read when it is first needed.

use crate::digest::Digest;
use crate::disk::{Disk, Stat};
use crate::error::CacheError;
use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// Coarser than the time stamps of any file system in use (FAT has two seconds).
const GRANULARITY_NS: i64 = 2_000_000_000;
/// Entries that were last used longer ago than this are forgotten.
const KEEP_NS: i64 = 180 * 86_400_000_000_000;
const MAGIC: &[u8; 8] = b"NFSTAT2\0";
const FIXED: usize = 5 * 8 + 32;

/// What was known about a file when it was hashed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    pub(crate) stat: Stat,
    pub(crate) hashed_ns: i64,
    pub(crate) digest: Digest,
}

type Entries = HashMap<PathBuf, Entry>;

#[derive(Default)]
struct State {
    /// None before it was read.
    entries: Option<Entries>,
    /// What this process learnt.
    learnt: Entries,
}

pub(crate) struct StatCache {
    path: PathBuf,
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
}

impl StatCache {
    pub(crate) fn new(root: &Path, disk: Arc<dyn Disk>) -> StatCache {
        StatCache { path: root.join("stat.bin"), disk, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// A damaged or missing file only means that files are read again.
    fn load(&self) -> Entries {
        self.disk.read(&self.path).ok().and_then(|bytes| read(&bytes)).unwrap_or_default()
    }

    pub(crate) fn known(&self, path: &Path, stat: &Stat) -> Option<Digest> {
        let mut state = self.lock();
        let State { entries, learnt } = &mut *state;
        let entry = learnt.get(path).or_else(|| entries.get_or_insert_with(|| self.load()).get(path))?;
        let racy =
            entry.hashed_ns < stat.mtime_ns.max(stat.ctime_ns).saturating_add(GRANULARITY_NS) || entry.hashed_ns > self.disk.now_ns();
        (entry.stat == *stat && !racy).then_some(entry.digest)
    }

    /// Keeps what a file was hashed to. `hashed_ns` is the time before its first byte was read.
    pub(crate) fn learn(&self, path: &Path, stat: &Stat, hashed_ns: i64, digest: Digest) {
        self.lock().learnt.insert(path.to_path_buf(), Entry { stat: *stat, hashed_ns, digest });
    }

    /// Adds what this process learnt to what others have saved meanwhile.
    pub(crate) fn save(&self, temporary: &Path) -> Result<(), CacheError> {
        let mut state = self.lock();
        if state.learnt.is_empty() {
            return Ok(());
        }
        let mut entries = self.load();
        entries.extend(state.learnt.iter().map(|(path, entry)| (path.clone(), *entry)));
        let oldest = self.disk.now_ns().saturating_sub(KEEP_NS);
        entries.retain(|_, entry| entry.hashed_ns >= oldest);
        let bytes = write(&entries);
        let written = self.disk.write_synced(temporary, &bytes).map_err(|error| CacheError::io("writing", temporary, error));
        let published =
            written.and_then(|()| self.disk.rename(temporary, &self.path).map_err(|error| CacheError::io("publishing", &self.path, error)));
        if published.is_err() {
            let _ = self.disk.remove(temporary);
            return published;
        }
        (state.entries, state.learnt) = (Some(entries), Entries::new());
        Ok(())
    }
}

/// The file of these entries.
pub(crate) fn write(entries: &Entries) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(16 + entries.len() * (FIXED + 80));
    bytes.extend(MAGIC);
    bytes.extend((entries.len() as u64).to_le_bytes());
    for (path, entry) in entries {
        let path = path.as_os_str().as_encoded_bytes();
        bytes.extend(u32::try_from(path.len()).unwrap_or(u32::MAX).to_le_bytes());
        bytes.extend(path);
        let Stat { size, mtime_ns, ctime_ns, inode } = entry.stat;
        [size.to_le_bytes(), mtime_ns.to_le_bytes(), ctime_ns.to_le_bytes(), inode.to_le_bytes(), entry.hashed_ns.to_le_bytes()]
            .iter()
            .for_each(|number| bytes.extend(number));
        bytes.extend(entry.digest.as_bytes());
    }
    bytes.extend(Digest::of_many(&bytes).as_bytes());
    bytes
}

/// Reads a file of entries; none when it is anything else.
pub(crate) fn read(bytes: &[u8]) -> Option<Entries> {
    let body = bytes.len().checked_sub(32)?;
    let (body, check) = bytes.split_at(body);
    let mut left = body.strip_prefix(MAGIC)?;
    if Digest::of_many(body).as_bytes() != check {
        return None;
    }
    let mut take = |length: usize| {
        let (taken, rest) = left.split_at_checked(length)?;
        left = rest;
        Some(taken)
    };
    let number = |bytes: &[u8]| Some(u64::from_le_bytes(bytes.try_into().ok()?));
    let count = usize::try_from(number(take(8)?)?).ok()?;
    let mut entries = Entries::with_capacity(count.min(body.len() / FIXED));
    for _ in 0..count {
        let length = u32::from_le_bytes(take(4)?.try_into().ok()?);
        let path = path_of(take(length as usize)?)?;
        let mut next = || number(take(8)?);
        let (size, mtime_ns, ctime_ns, inode, hashed_ns) =
            (next()?, next()?.cast_signed(), next()?.cast_signed(), next()?, next()?.cast_signed());
        let digest = Digest::from_bytes(take(32)?.try_into().ok()?);
        entries.insert(path, Entry { stat: Stat { size, mtime_ns, ctime_ns, inode }, hashed_ns, digest });
    }
    left.is_empty().then_some(entries)
}

#[cfg(unix)]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    use std::os::unix::ffi::OsStrExt;
    Some(PathBuf::from(std::ffi::OsStr::from_bytes(bytes)))
}

#[cfg(not(unix))]
fn path_of(bytes: &[u8]) -> Option<PathBuf> {
    Some(PathBuf::from(std::str::from_utf8(bytes).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn entries_read_back_and_anything_else_is_refused(
            paths in prop::collection::hash_set("[a-z/]{0,12}", 0..8), numbers in any::<[i64; 3]>(), at in any::<prop::sample::Index>(), bit in 0..8u32,
        ) {
            let stat = Stat { size: 7, mtime_ns: numbers[0], ctime_ns: numbers[1], inode: 9 };
            let entry = |path: &String| (PathBuf::from(path), Entry { stat, hashed_ns: numbers[2], digest: Digest::of(path.as_bytes()) });
            let entries: Entries = paths.iter().map(entry).collect();
            let mut bytes = write(&entries);
            prop_assert_eq!(read(&bytes).unwrap(), entries);
            let at = at.index(bytes.len());
            prop_assert!(read(&bytes[..at]).is_none());
            bytes[at] ^= 1 << bit;
            prop_assert!(read(&bytes).is_none());
        }
    }
}
