//! Who works on what: a key is computed by one process at a time.
//!
//! A claim is an empty-handed promise: a file named by the key, locked by the system while its owner lives. A process that dies, however it dies, lets go
//! of its locks at once, so a claim needs no lease, no clock and nobody who unlocks it. Where the file system knows no locks (or lies about them) a claim
//! is always granted: then a task may run twice, and both give the same answer.

use crate::digest::Digest;
use crate::error::CacheError;
use std::fs::{File, TryLockError};
use std::io::{Read, Seek, Write};
use std::path::{Path, PathBuf};

/// The right to work on a key, until it is dropped.
#[derive(Debug)]
pub struct Claim {
    /// The locked file; none where there are no locks.
    held: Option<(File, PathBuf)>,
}

/// The answer to [`crate::Cache::claim`].
#[derive(Debug)]
pub enum Claimed {
    /// The key is ours to compute.
    Mine(Claim),
    /// Somebody works on it: the process, in words.
    Other(String),
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some((file, path)) = self.held.take() {
            // Removed while it is locked: whoever opened it meanwhile sees that its name is gone, and opens it anew.
            let _ = std::fs::remove_file(path);
            drop(file);
        }
    }
}

/// Claims `key` by a file in `folder`.
pub(crate) fn claim(folder: &Path, key: &Digest) -> Result<Claimed, CacheError> {
    let path = folder.join(key.to_string());
    loop {
        let opened = File::options().create(true).truncate(false).read(true).write(true).open(&path);
        let mut file = opened.map_err(|error| CacheError::io("claiming", &path, error))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                let mut owner = String::new();
                let _ = file.take(200).read_to_string(&mut owner);
                return Ok(Claimed::Other(if owner.is_empty() { "another process".into() } else { owner }));
            }
            Err(TryLockError::Error(_)) => return Ok(Claimed::Mine(Claim { held: None })),
        }
        if is_named(&file, &path) {
            // Only for a message to those who wait; a full disk does not matter here.
            let _ = file.set_len(0).and_then(|()| file.rewind()).and_then(|()| write!(file, "process {}", std::process::id()));
            return Ok(Claimed::Mine(Claim { held: Some((file, path)) }));
        }
    }
}

/// Removes a claim that a dead process left behind.
pub(crate) fn remove_dead(path: &Path) {
    let Ok(file) = File::options().write(true).open(path) else { return };
    if file.try_lock().is_ok() && is_named(&file, path) {
        drop(Claim { held: Some((file, path.to_path_buf())) });
    }
}

/// Whether the open file is still the one that its path names.
fn is_named(file: &File, path: &Path) -> bool {
    #[cfg(unix)]
    {
        use std::os::unix::fs::MetadataExt;
        let number = |metadata: &std::fs::Metadata| (metadata.dev(), metadata.ino());
        matches!((file.metadata(), std::fs::metadata(path)), (Ok(open), Ok(named)) if number(&open) == number(&named))
    }
    #[cfg(not(unix))]
    {
        // An open file can't be removed there.
        let _ = (file, path);
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::atomic::{AtomicU64, Ordering};

    #[test]
    fn a_key_has_one_owner_and_a_dropped_claim_leaves_nothing() {
        let folder = tempfile::tempdir().unwrap();
        let key = Digest::of(b"key");
        let Claimed::Mine(mine) = claim(folder.path(), &key).unwrap() else { panic!("nobody else is there") };
        match claim(folder.path(), &key).unwrap() {
            Claimed::Other(owner) => assert_eq!(owner, format!("process {}", std::process::id())),
            Claimed::Mine(_) => panic!("two owners"),
        }
        assert!(matches!(claim(folder.path(), &Digest::of(b"other")).unwrap(), Claimed::Mine(_)));
        drop(mine);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
        assert!(matches!(claim(folder.path(), &key).unwrap(), Claimed::Mine(_)));
    }

    #[test]
    fn what_a_dead_process_left_is_claimed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let key = Digest::of(b"key");
        let path = folder.path().join(key.to_string());
        std::fs::write(&path, "process 1").unwrap();
        assert!(matches!(claim(folder.path(), &key).unwrap(), Claimed::Mine(_)));
        std::fs::write(&path, "process 1").unwrap();
        remove_dead(&path);
        assert!(!path.exists());
        let Claimed::Mine(_mine) = claim(folder.path(), &key).unwrap() else { panic!("nobody else is there") };
        remove_dead(&path);
        assert!(path.exists(), "a living owner's claim was removed");
    }

    #[test]
    fn never_two_owners_while_claims_come_and_go() {
        let folder = tempfile::tempdir().unwrap();
        let (inside, granted) = (AtomicU64::new(0), AtomicU64::new(0));
        std::thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..2000 {
                        if let Claimed::Mine(_claim) = claim(folder.path(), &Digest::of(b"key")).unwrap() {
                            assert_eq!(inside.fetch_add(1, Ordering::SeqCst), 0, "two owners");
                            granted.fetch_add(1, Ordering::SeqCst);
                            inside.fetch_sub(1, Ordering::SeqCst);
                        }
                    }
                });
            }
        });
        assert!(granted.load(Ordering::SeqCst) > 0);
    }
}
