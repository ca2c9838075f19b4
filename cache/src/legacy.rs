//! Format 1, read once.
//!
//! Records stood in `actions/*.log`, in frames of `NFA1`, a length of four bytes, the key, eight bytes of a checksum over key and payload, and the record as JSON; digests of
//! files in `stat.json`. Objects and runs are the same in both formats. A crash while moving leaves the old files, which are then read again.

use crate::digest::Digest;
use crate::disk::{Disk, Lock, Stat};
use crate::error::CacheError;
use crate::format;
use crate::objects::Objects;
use crate::record::ActionRecord;
use crate::stat_cache::StatCache;
use serde::Deserialize;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

const MAGIC: &[u8; 4] = b"NFA1";
const HEADER: usize = 4 + 4 + 32 + 8;

#[derive(Deserialize)]
struct OldEntry {
    size: u64,
    mtime_ns: i64,
    ctime_ns: i64,
    inode: u64,
    hashed_ns: i64,
    digest: Digest,
}

/// Brings the records of format 1 into the present format.
pub(crate) fn migrate(root: &Path, disk: &dyn Disk, objects: &Objects, stats: &StatCache) -> Result<(), CacheError> {
    // A process of that time holds this lock for as long as it runs.
    let in_use = root.join("in-use");
    let held = disk.lock(&in_use, Lock::Exclusive, false).map_err(|error| CacheError::io("locking", &in_use, error))?;
    if held.is_none() {
        return Err(CacheError::InUse { by: "a neuroflow of an earlier version".into() });
    }
    let folder = root.join("actions");
    let logs: Vec<PathBuf> = disk.list(&folder).map_err(|error| CacheError::io("listing", &folder, error))?;
    for log in logs.iter().filter(|path| path.extension().is_some_and(|ending| ending == "log")) {
        let bytes = disk.read(log).map_err(|error| CacheError::io("reading", log, error))?;
        for (key, record) in frames(&bytes) {
            // Nothing says whether its outputs reached the disk; what is there is looked at when it is used.
            objects.segments.put_record(&key, &record)?;
        }
    }
    let old = root.join("stat.json");
    if let Some(entries) = disk.read(&old).ok().and_then(|bytes| serde_json::from_slice::<BTreeMap<PathBuf, OldEntry>>(&bytes).ok()) {
        for (path, OldEntry { size, mtime_ns, ctime_ns, inode, hashed_ns, digest }) in entries {
            stats.learn(&path, &Stat { size, mtime_ns, ctime_ns, inode }, hashed_ns, digest);
        }
        stats.save(&objects.temporary())?;
    }
    objects.commit.run(objects)?;
    format::mark(root, disk)?;
    for path in logs.iter().chain([&old]) {
        let _ = disk.remove(path);
    }
    let _ = disk.remove_dir(&folder);
    let _ = disk.remove(&in_use);
    Ok(())
}

/// The records of a log, up to the first frame that is cut off; damaged ones are left out.
pub(crate) fn frames(bytes: &[u8]) -> Vec<(Digest, ActionRecord)> {
    let mut records = Vec::new();
    let mut at = 0usize;
    while let Some(header) = bytes.get(at..at + HEADER) {
        let length = u32::from_le_bytes([header[4], header[5], header[6], header[7]]) as usize;
        let Some(payload) = bytes.get(at + HEADER..at + HEADER + length).filter(|_| &header[..4] == MAGIC) else { break };
        let mut key = [0; 32];
        key.copy_from_slice(&header[8..40]);
        let mut hasher = blake3::Hasher::new();
        hasher.update(&key);
        hasher.update(payload);
        if hasher.finalize().as_bytes()[..8] == header[40..48]
            && let Ok(record) = serde_json::from_slice(payload)
        {
            records.push((Digest::from_bytes(key), record));
        }
        at += HEADER + length;
    }
    records
}
