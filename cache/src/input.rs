//! Files of the user as content: hashed once, stored as they were hashed.
//!
//! A file of the user may change at any time, so it is never mapped. A small one is read once; a large one is copied into the store (shared, where the file system can)
//! and the private copy is hashed. Either way what is stored is what was hashed, and both belong to the file that was open, whatever its path names by
//! then. When that file changed meanwhile, it is read again.

use crate::digest::Digest;
use crate::disk::{Disk, Stat};
use crate::error::CacheError;
use crate::objects::Objects;
use crate::stat_cache::StatCache;
use crate::tree_hash;
use std::io::Read;
use std::path::Path;

/// Files up to this size are read into memory.
const READ_UP_TO: u64 = 1 << 20;
/// How often a file is read again because it changed while it was read.
const MOST_TRIES: usize = 5;

/// Publishes a file's content; gives its digest and size.
pub(crate) fn put_file(objects: &Objects, stats: &StatCache, path: &Path) -> Result<(Digest, u64), CacheError> {
    let disk = objects.disk.as_ref();
    let path = std::path::absolute(path).map_err(|error| CacheError::io("finding", path, error))?;
    let failed = |error| CacheError::io("reading", &path, error);
    let stat = disk.stat(&path).map_err(failed)?;
    if let Some(digest) = stats.known(&path, &stat)
        && objects.size(&digest) == Some(stat.size)
    {
        return Ok((digest, stat.size));
    }
    for _ in 0..MOST_TRIES {
        let began_ns = disk.now_ns();
        let put = if stat.size <= READ_UP_TO { put_small(objects, &path)? } else { put_large(objects, &path)? };
        if let Some((digest, stat)) = put {
            stats.learn(&path, &stat, began_ns, digest);
            return Ok((digest, stat.size));
        }
    }
    Err(CacheError::Changing { path })
}

/// Whether an open file held the same content all the while between two looks at it.
///
/// Another file that takes its name changes no byte of the one that is open, only its time of change (it has one name less).
fn stood_still(disk: &dyn Disk, path: &Path, before: &Stat, after: &Stat) -> bool {
    let lost_its_name = || match disk.stat(path) {
        Ok(now) => now.inode != before.inode,
        Err(error) => error.kind() == std::io::ErrorKind::NotFound,
    };
    before == after || (Stat { ctime_ns: before.ctime_ns, ..*after } == *before && lost_its_name())
}

/// Reads and publishes; nothing when the file changed meanwhile.
fn put_small(objects: &Objects, path: &Path) -> Result<Option<(Digest, Stat)>, CacheError> {
    let failed = |error| CacheError::io("reading", path, error);
    let mut source = objects.disk.open(path).map_err(failed)?;
    let before = source.stat().map_err(failed)?;
    let mut bytes = Vec::with_capacity(usize::try_from(before.size).unwrap_or(0).min(READ_UP_TO as usize));
    // One byte more than there should be, so that a file that grows is seen to.
    source.by_ref().take(before.size.saturating_add(1)).read_to_end(&mut bytes).map_err(failed)?;
    let after = source.stat().map_err(failed)?;
    if bytes.len() as u64 != before.size || !stood_still(objects.disk.as_ref(), path, &before, &after) {
        return Ok(None);
    }
    Ok(Some((objects.put(&bytes)?, before)))
}

/// Copies, hashes the copy and publishes it; nothing when the file changed meanwhile.
fn put_large(objects: &Objects, path: &Path) -> Result<Option<(Digest, Stat)>, CacheError> {
    let disk = objects.disk.as_ref();
    let temporary = objects.temporary();
    let copied = copy_and_hash(disk, path, &temporary);
    let (digest, before, after, size) = match copied {
        Ok(copied) => copied,
        Err(error) => {
            let _ = disk.remove(&temporary);
            return Err(error);
        }
    };
    if size != before.size || !stood_still(disk, path, &before, &after) {
        let _ = disk.remove(&temporary);
        return Ok(None);
    }
    objects.publish(&temporary, &digest, Ok(()))?;
    objects.commit.note(digest);
    Ok(Some((digest, before)))
}

/// The copy's digest, how the file looked before and after, and the size of the copy.
fn copy_and_hash(disk: &dyn Disk, path: &Path, temporary: &Path) -> Result<(Digest, Stat, Stat, u64), CacheError> {
    let (before, after) = disk.copy(path, temporary).map_err(|error| CacheError::io("copying", path, error))?;
    let copy = disk.read(temporary).map_err(|error| CacheError::io("reading", temporary, error))?;
    Ok((Digest::of_many(&copy), before, after, copy.len() as u64))
}

/// The digest and size of a file's content, without publishing it.
pub(crate) fn hash_file(disk: &dyn Disk, stats: &StatCache, path: &Path) -> Result<(Digest, u64), CacheError> {
    let path = std::path::absolute(path).map_err(|error| CacheError::io("finding", path, error))?;
    let failed = |error| CacheError::io("reading", &path, error);
    let stat = disk.stat(&path).map_err(failed)?;
    if let Some(digest) = stats.known(&path, &stat) {
        return Ok((digest, stat.size));
    }
    for _ in 0..MOST_TRIES {
        let began_ns = disk.now_ns();
        let source = disk.open(&path).map_err(failed)?;
        let before = source.stat().map_err(failed)?;
        let digest = tree_hash::of_source(source.as_ref(), before.size).map_err(failed)?;
        if let Some(digest) = digest
            && stood_still(disk, &path, &before, &source.stat().map_err(failed)?)
        {
            stats.learn(&path, &before, began_ns, digest);
            return Ok((digest, before.size));
        }
    }
    Err(CacheError::Changing { path })
}
