//! Whether whoever made a file still lives: the file is locked as long as its process lives, and says which process that is.
//!
//! Both, because neither is enough. Locks may be missing, or granted to everybody, on network file systems; and of a process of another machine nothing is known
//! from here. What is another machine's is left alone, and taken for over only when it is old.

use crate::machine::{Identity, Life};
use std::fs::{File, TryLockError};
use std::io::{self, Read, Seek, Write};
use std::path::Path;
use std::time::{Duration, SystemTime};

/// Another machine's file that was made longer ago is over: no run takes so long.
const OLD: Duration = Duration::from_secs(30 * 86_400);

/// A file that says that this process lives. Dropped, it says so no more; the file stays.
#[derive(Debug)]
pub struct Presence {
    _file: File,
}

impl Presence {
    /// Makes the file, or takes it over from a process that is gone; none while its process lives, or may live.
    ///
    /// # Errors
    /// When the disk refuses. Where there are no locks, the file's text alone counts, which is no error.
    pub fn claim(path: &Path) -> io::Result<Option<Presence>> {
        let mut file = File::options().create(true).truncate(false).read(true).write(true).open(path)?;
        if !is_free(&mut file) {
            return Ok(None);
        }
        file.rewind()?;
        file.set_len(0)?;
        file.write_all(Identity::own("").write().as_bytes())?;
        Ok(Some(Presence { _file: file }))
    }

    /// Takes over a file that is there; none while its process lives, or may live, and when there is no such file.
    pub fn inherit(path: &Path) -> Option<Presence> {
        let found = path.metadata().ok()?;
        // Whoever made it has not written yet. To try its lock would take it away from them, and to remove it would hide them.
        if found.len() == 0 && is_young(&found) {
            return None;
        }
        Presence::claim(path).ok().flatten()
    }
}

/// Takes the lock, and reads who had it before.
fn is_free(file: &mut File) -> bool {
    let locked = match file.try_lock() {
        Ok(()) => true,
        Err(TryLockError::WouldBlock) => return false,
        Err(TryLockError::Error(_)) => false,
    };
    let mut bytes = Vec::new();
    if file.take(8192).read_to_end(&mut bytes).is_err() {
        return false;
    }
    if bytes.is_empty() {
        // New, or made by somebody who has not written yet; a lock tells these apart.
        return locked || file.metadata().is_ok_and(|found| is_young(&found));
    }
    let Some(owner) = Identity::read(&bytes) else { return locked };
    match owner.life() {
        Life::Alive => owner.pid == std::process::id() && locked,
        Life::Dead => true,
        Life::Unknown if owner.host == Identity::own("").host => locked,
        Life::Unknown => {
            let made = file.metadata().and_then(|found| found.modified()).ok();
            locked && made.and_then(|at| SystemTime::now().duration_since(at).ok()).is_some_and(|age| age > OLD)
        }
    }
}

fn is_young(found: &std::fs::Metadata) -> bool {
    found.modified().is_ok_and(|at| at.elapsed().is_ok_and(|age| age < BEGINNING))
}

/// An empty file that is younger was made just now.
const BEGINNING: Duration = Duration::from_secs(1);

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_lives_keeps_it_and_who_is_gone_does_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        assert!(Presence::inherit(&path).is_none());
        let first = Presence::claim(&path).unwrap().unwrap();
        assert!(Presence::claim(&path).unwrap().is_none());
        drop(first);
        drop(Presence::inherit(&path).unwrap());
        // A process of this machine that is gone, and one of another machine, of which nothing is known.
        let own = Identity::own("");
        std::fs::write(&path, Identity { start: own.start + 1, ..own.clone() }.write()).unwrap();
        assert!(Presence::inherit(&path).is_some());
        std::fs::write(&path, Identity { host: "elsewhere".into(), ..own.clone() }.write()).unwrap();
        assert!(Presence::inherit(&path).is_none());
        let old = SystemTime::now() - OLD - Duration::from_secs(1);
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        assert!(Presence::inherit(&path).is_some());
        // One that was made just now is its maker's, who has not written yet; left empty for longer, it is nobody's.
        std::fs::write(&path, "").unwrap();
        assert!(Presence::inherit(&path).is_none());
        File::options().write(true).open(&path).unwrap().set_modified(old).unwrap();
        assert!(Presence::inherit(&path).is_some());
        // What no version of ours wrote is anybody's who has the lock.
        std::fs::write(&path, "something").unwrap();
        assert!(Presence::inherit(&path).is_some());
    }

    #[test]
    #[cfg(target_os = "linux")]
    fn a_process_that_lives_keeps_it_also_where_everybody_is_granted_the_lock() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x.lock");
        let mut child = std::process::Command::new("sleep").arg("60").spawn().unwrap();
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", child.id())).unwrap();
        let start = stat.rsplit_once(')').unwrap().1.split_ascii_whitespace().nth(19).unwrap().parse().unwrap();
        std::fs::write(&path, Identity { pid: child.id(), start, ..Identity::own("") }.write()).unwrap();
        assert!(Presence::inherit(&path).is_none());
        child.kill().unwrap();
        child.wait().unwrap();
        assert!(Presence::inherit(&path).is_some());
    }
}
