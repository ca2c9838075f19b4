//! Who works on what: a key is computed by one process at a time.
//!
//! Where locks can be relied on, a claim is a file named by the key, locked by the system while its owner lives. A process that dies, however it dies, lets go of
//! its locks at once, so such a claim needs no lease, no clock and nobody who unlocks it. Elsewhere it is a [`crate::lease`]. Either way a claim only saves
//! work: two owners would give the same answer twice.

use crate::digest::Digest;
use crate::disk::{Disk, Held, Lock};
use crate::error::CacheError;
use crate::lease::{self, Ledger, Taken};
use crate::locks::Locks;
use crate::machine::Identity;
use crate::users::{Users, words};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The right to work on a key, until it is dropped.
pub struct Claim {
    kind: ClaimKind,
}

enum ClaimKind {
    Locked { disk: Arc<dyn Disk>, path: PathBuf, held: Option<Box<dyn Held>> },
    Leased { ledger: Folder, number: u64 },
}

impl std::fmt::Debug for Claim {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.kind {
            ClaimKind::Locked { path, .. } => write!(f, "Claim({})", path.display()),
            ClaimKind::Leased { ledger, number } => write!(f, "Claim({}, {number})", ledger.folder.display()),
        }
    }
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
        match &mut self.kind {
            ClaimKind::Locked { disk, path, held } => {
                // Removed while it is locked: whoever opened it meanwhile sees that its name is gone, and opens it anew.
                let _ = disk.remove(path);
                held.take();
            }
            // When this fails, others wait until this process ends.
            ClaimKind::Leased { ledger, number } => drop(lease::release(ledger, *number)),
        }
    }
}

/// Where processes say what they work on.
pub(crate) struct Claims {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    users: Arc<Users>,
}

impl Claims {
    pub(crate) fn open(root: &Path, disk: Arc<dyn Disk>, users: Arc<Users>) -> Result<Claims, CacheError> {
        let folder = root.join("claims");
        disk.create_dir_all(&folder).map_err(|error| CacheError::io("making", &folder, error))?;
        Ok(Claims { folder, disk, users })
    }

    pub(crate) fn claim(&self, key: &Digest) -> Result<Claimed, CacheError> {
        self.claim_name(&key.to_string())
    }

    /// Claims a thing by its name.
    pub(crate) fn claim_name(&self, name: &str) -> Result<Claimed, CacheError> {
        match self.users.locks {
            Locks::System => {
                let path = self.folder.join(name);
                self.lock(&path).map_err(|error| CacheError::io("claiming", &path, error))
            }
            Locks::Lease => {
                let ledger = Folder { folder: self.folder.join(format!("{name}.d")), disk: Arc::clone(&self.disk) };
                self.lease(&ledger, name).map_err(|error| CacheError::io("claiming", &ledger.folder, error))
            }
        }
    }

    fn lock(&self, path: &Path) -> io::Result<Claimed> {
        match self.disk.lock(path, Lock::Exclusive, false)? {
            Some(held) => {
                // Only for a message to those who wait; a full disk does not matter here.
                let _ = self.disk.overwrite(path, format!("process {}", std::process::id()).as_bytes());
                Ok(Claimed::Mine(Claim {
                    kind: ClaimKind::Locked { disk: Arc::clone(&self.disk), path: path.to_path_buf(), held: Some(held) },
                }))
            }
            None => {
                let owner = self
                    .disk
                    .read(path)
                    .map(|bytes| String::from_utf8_lossy(&bytes[..bytes.len().min(200)]).into_owned())
                    .unwrap_or_default();
                Ok(Claimed::Other(if owner.is_empty() { "another process".into() } else { owner }))
            }
        }
    }

    fn lease(&self, ledger: &Folder, name: &str) -> io::Result<Claimed> {
        self.disk.create_dir_all(&ledger.folder)?;
        let own = self.users.identity().write();
        let taken = lease::take(ledger, own.as_bytes(), |number, lease| self.users.is_lease_dead(&format!("{name} {number}"), lease))?;
        Ok(match taken {
            Taken::Mine(number) => {
                let ledger = Folder { folder: ledger.folder.clone(), disk: Arc::clone(&self.disk) };
                Claimed::Mine(Claim { kind: ClaimKind::Leased { ledger, number } })
            }
            Taken::Other(lease) => {
                Claimed::Other(Identity::read(&lease).map_or_else(|| "another process".into(), |identity| words(&identity)))
            }
        })
    }

    /// Removes what dead processes left behind, and leases that ended more than a day ago. What can't be removed is in nobody's way.
    pub(crate) fn clean(&self) -> Result<(), CacheError> {
        let listed = self.disk.list(&self.folder).map_err(|error| CacheError::io("listing", &self.folder, error))?;
        for path in listed {
            if path.extension().is_some_and(|ending| ending == "d") {
                self.clean_ledger(Folder { folder: path, disk: Arc::clone(&self.disk) });
            } else if let Ok(Some(held)) = self.disk.lock(&path, Lock::Exclusive, false) {
                drop(Claim { kind: ClaimKind::Locked { disk: Arc::clone(&self.disk), path, held: Some(held) } });
            }
        }
        Ok(())
    }

    fn clean_ledger(&self, ledger: Folder) {
        const A_DAY_NS: i64 = 86_400_000_000_000;
        let numbers = ledger.numbers().unwrap_or_default();
        let path = |number: &u64| ledger.folder.join(number.to_string());
        let is_old = |number: &u64| self.disk.stat(&path(number)).is_ok_and(|stat| stat.mtime_ns < self.disk.now_ns() - A_DAY_NS);
        let ended =
            numbers.iter().max().is_some_and(|top| ledger.read(*top).is_ok_and(|lease| lease.is_some_and(|lease| lease == lease::FREE)));
        if ended && numbers.iter().all(is_old) {
            numbers.iter().for_each(|number| drop(ledger.remove(*number)));
            let _ = self.disk.remove_dir(&ledger.folder);
        }
    }
}

/// A ledger as a folder of files named by numbers.
struct Folder {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Ledger for Folder {
    fn numbers(&self) -> io::Result<Vec<u64>> {
        let paths = self.disk.list(&self.folder)?;
        Ok(paths.iter().filter_map(|path| path.file_name()?.to_str()?.parse().ok()).collect())
    }

    fn create(&self, number: u64, content: &[u8]) -> io::Result<bool> {
        match self.disk.write_new(&self.folder.join(number.to_string()), content) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(false),
            Err(error) => Err(error),
        }
    }

    fn read(&self, number: u64) -> io::Result<Option<Vec<u8>>> {
        match self.disk.read(&self.folder.join(number.to_string())) {
            Ok(bytes) => Ok(Some(bytes.as_slice().to_vec())),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(error) => Err(error),
        }
    }

    fn remove(&self, number: u64) -> io::Result<()> {
        match self.disk.remove(&self.folder.join(number.to_string())) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            removed => removed,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::OsDisk;
    use crate::users::Patience;
    use std::sync::atomic::{AtomicU64, Ordering};
    use std::time::Duration;

    fn claims(root: &Path, locks: Locks) -> Claims {
        let disk: Arc<dyn Disk> = Arc::new(OsDisk::new());
        let users = Users::open(root, Arc::clone(&disk), locks, Patience(Duration::from_millis(200))).unwrap();
        Claims::open(root, disk, Arc::new(users)).unwrap()
    }

    const BOTH: [Locks; 2] = [Locks::System, Locks::Lease];

    #[test]
    fn a_key_has_one_owner_and_a_dropped_claim_is_free() {
        for locks in BOTH {
            let folder = tempfile::tempdir().unwrap();
            let (one, two) = (claims(folder.path(), locks), claims(folder.path(), locks));
            let key = Digest::of(b"key");
            let Claimed::Mine(mine) = one.claim(&key).unwrap() else { panic!("nobody else is there") };
            match two.claim(&key).unwrap() {
                Claimed::Other(owner) => assert_eq!(owner, format!("process {}", std::process::id())),
                Claimed::Mine(_) => panic!("two owners"),
            }
            assert!(matches!(two.claim(&Digest::of(b"other")).unwrap(), Claimed::Mine(_)));
            drop(mine);
            assert!(matches!(two.claim(&key).unwrap(), Claimed::Mine(_)));
        }
    }

    #[test]
    fn what_a_dead_process_left_is_claimed_and_removed() {
        let folder = tempfile::tempdir().unwrap();
        let claims = claims(folder.path(), Locks::System);
        let key = Digest::of(b"key");
        let path = folder.path().join("claims").join(key.to_string());
        std::fs::write(&path, "process 1").unwrap();
        assert!(matches!(claims.claim(&key).unwrap(), Claimed::Mine(_)));
        std::fs::write(&path, "process 1").unwrap();
        claims.clean().unwrap();
        assert!(!path.exists());
        let Claimed::Mine(_mine) = claims.claim(&key).unwrap() else { panic!("nobody else is there") };
        claims.clean().unwrap();
        assert!(path.exists(), "a living owner's claim was removed");
    }

    /// A lease of somebody else, as it lies in the folder.
    fn leave_lease(root: &Path, key: &Digest, identity: &Identity) {
        let ledger = root.join("claims").join(format!("{key}.d"));
        std::fs::create_dir_all(&ledger).unwrap();
        std::fs::write(ledger.join("7"), identity.write()).unwrap();
    }

    #[test]
    fn a_lease_of_a_dead_process_or_of_an_earlier_one_with_our_number_is_taken_over_at_once() {
        let folder = tempfile::tempdir().unwrap();
        let claims = claims(folder.path(), Locks::Lease);
        let own = Identity::own("gone");
        for dead in [
            Identity { start: own.start + 1, ..own.clone() },
            Identity { boot: "before".into(), ..own.clone() },
            Identity { pid: u32::MAX, ..own.clone() },
        ] {
            let key = Digest::of(dead.write().as_bytes());
            leave_lease(folder.path(), &key, &dead);
            assert!(matches!(claims.claim(&key).unwrap(), Claimed::Mine(_)), "{dead:?}");
        }
    }

    #[test]
    fn a_lease_of_another_machine_is_taken_over_when_its_beat_stands_still_and_not_before() {
        let folder = tempfile::tempdir().unwrap();
        let claims = claims(folder.path(), Locks::Lease);
        let key = Digest::of(b"key");
        let far = Identity { host: "far away".into(), ..Identity::own("far") };
        leave_lease(folder.path(), &key, &far);
        let beat = folder.path().join("users/far.beat");
        let began = std::time::Instant::now();
        let mut beats = 0;
        // While it beats it is waited for, longer than our patience.
        while began.elapsed() < Duration::from_millis(500) {
            std::fs::write(&beat, format!("{beats}")).unwrap();
            beats += 1;
            match claims.claim(&key).unwrap() {
                Claimed::Other(owner) => assert!(owner.ends_with("on far"), "{owner}"),
                Claimed::Mine(_) => panic!("taken from a living process"),
            }
        }
        let stopped = std::time::Instant::now();
        while matches!(claims.claim(&key).unwrap(), Claimed::Other(_)) {
            assert!(stopped.elapsed() < Duration::from_secs(20), "never taken over");
            std::thread::yield_now();
        }
        assert!(stopped.elapsed() >= Duration::from_millis(150), "taken over too soon");
    }

    #[test]
    fn never_two_owners_while_claims_come_and_go() {
        for locks in BOTH {
            let folder = tempfile::tempdir().unwrap();
            let (inside, granted) = (AtomicU64::new(0), AtomicU64::new(0));
            let claims = claims(folder.path(), locks);
            std::thread::scope(|scope| {
                for _ in 0..4 {
                    scope.spawn(|| {
                        for _ in 0..500 {
                            if let Claimed::Mine(_claim) = claims.claim(&Digest::of(b"key")).unwrap() {
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
}
