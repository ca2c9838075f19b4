//! Whether the file system's locks can be relied on.
//!
//! On a local disk they can: a lock ends with its process. On network file systems they may not be there, be granted to everybody, or be known to one machine only;
//! there, leases are used ([`crate::lease`]). The choice is made when a cache is opened: by `NEUROFLOW_LOCKS` (`system` or `lease`), else by the kind of the
//! file system, else by trying whether a locked file can be locked again.

use crate::disk::{Disk, Lock};
use std::path::Path;

/// What keeps two processes from doing the same work.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Locks {
    /// Locks of the system.
    System,
    /// Leases: files with the owner's name and a beat.
    Lease,
}

/// File systems that several machines share.
const SHARED: &[&str] =
    &["nfs", "nfs4", "cifs", "smb3", "lustre", "gpfs", "beegfs", "ceph", "glusterfs", "fuse.glusterfs", "fuse.sshfs", "9p", "afs"];

impl Locks {
    /// The locks that a word names, as `NEUROFLOW_LOCKS` does; none for another word.
    pub(crate) fn named(word: &str) -> Option<Locks> {
        match word {
            "system" => Some(Locks::System),
            "lease" => Some(Locks::Lease),
            _ => None,
        }
    }

    /// What fits a folder.
    pub(crate) fn probe(root: &Path, disk: &dyn Disk) -> Locks {
        let mounts = std::fs::read_to_string("/proc/self/mounts").unwrap_or_default();
        let path = std::path::absolute(root).unwrap_or_else(|_| root.to_path_buf());
        if kind_of(&mounts, &path).is_some_and(|kind| SHARED.contains(&kind)) {
            return Locks::Lease;
        }
        // Two open files, one lock: the second must be refused.
        let probe = root.join(format!("probe-{}-{:x}", std::process::id(), disk.now_ns()));
        let first = disk.lock(&probe, Lock::Exclusive, false);
        let second = disk.lock(&probe, Lock::Exclusive, false);
        let excludes = matches!((&first, &second), (Ok(Some(_)), Ok(None)));
        let _ = disk.remove(&probe);
        if excludes { Locks::System } else { Locks::Lease }
    }
}

/// The kind of the file system that holds `path`, from the system's list of mounts: the last of those whose place is the longest beginning of it.
fn kind_of<'a>(mounts: &'a str, path: &Path) -> Option<&'a str> {
    let mut best: Option<(usize, &str)> = None;
    for line in mounts.lines() {
        let mut words = line.split(' ').skip(1);
        let (Some(place), Some(kind)) = (words.next(), words.next()) else { continue };
        let place = place.replace("\\040", " ");
        if path.starts_with(&place) && best.is_none_or(|(length, _)| place.len() >= length) {
            best = Some((place.len(), kind));
        }
    }
    best.map(|(_, kind)| kind)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_kind_of_a_file_system_is_that_of_the_nearest_mount() {
        let mounts = "disk / ext4 rw 0 0\nserver:/home /home nfs4 rw 0 0\nmem /home/a\\040b tmpfs rw 0 0\n";
        let kind = |path: &str| kind_of(mounts, Path::new(path));
        assert_eq!(
            (kind("/var/x"), kind("/home/c"), kind("/home/a b/c"), kind("/homes")),
            (Some("ext4"), Some("nfs4"), Some("tmpfs"), Some("ext4"))
        );
        assert_eq!(kind_of("", Path::new("/x")), None);
    }

    #[test]
    fn locks_of_a_local_disk_are_found_to_work() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(Locks::probe(folder.path(), &crate::OsDisk::new()), Locks::System);
        assert_eq!(std::fs::read_dir(folder.path()).unwrap().count(), 0);
    }
}
