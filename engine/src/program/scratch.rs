//! Empty folders for programs: one folder a process, with one lock, and in it one for each program.
//!
//! A folder that a program left as it found it, once what it wrote was removed, is used again: making folders is the dearest part of starting a small program.

use super::Ending;
use neuroflow_cache::Presence;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

/// The folder for temporary files, in that of a program.
pub(super) const TEMPORARY: &str = "tmp";

/// The folder of this process, removed when it is dropped, or by the next process when this one was killed.
pub(super) struct Scratch {
    path: PathBuf,
    lock: PathBuf,
    number: AtomicU64,
    idle: Idle,
    _held: Presence,
}

/// Folders that are empty again.
type Idle = Arc<Mutex<Vec<PathBuf>>>;

impl Scratch {
    /// A folder below `root`, after what dead processes left there was removed.
    ///
    /// # Errors
    /// When the disk refuses, in words.
    pub(super) fn new(root: &Path) -> Result<Scratch, String> {
        static NUMBER: AtomicU64 = AtomicU64::new(0);
        make(root)?;
        sweep(root);
        loop {
            let name = format!("{}-{}", std::process::id(), NUMBER.fetch_add(1, Ordering::Relaxed));
            let (path, lock) = (root.join(&name), root.join(format!("{name}.lock")));
            // Another machine's process may have the same number, on a shared disk.
            let Some(held) = Presence::claim(&lock).map_err(|error| disk("making", &lock, &error))? else { continue };
            // Left by a dead process of the same number.
            let _ = std::fs::remove_dir_all(&path);
            make(&path)?;
            return Ok(Scratch { path, lock, number: AtomicU64::new(0), idle: Idle::default(), _held: held });
        }
    }

    /// An empty folder, but for an empty `tmp`.
    ///
    /// # Errors
    /// When the disk refuses.
    pub(super) fn folder(&self) -> Result<Folder, Ending> {
        let idle = Arc::clone(&self.idle);
        if let Some(path) = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop() {
            return Ok(Folder { path, once: false, idle });
        }
        // A name is never used for two folders: sandboxes know folders by what they are, and not by their names.
        let path = self.path.join(self.number.fetch_add(1, Ordering::Relaxed).to_string());
        let made = std::fs::create_dir(&path).and_then(|()| std::fs::create_dir(path.join(TEMPORARY)));
        made.map_err(|error| Ending::World(disk("making", &path, &error)))?;
        Ok(Folder { path, once: false, idle })
    }

    /// The variable that all programs of this process have in their environment.
    pub(super) fn mark(&self) -> String {
        mark_of(&self.path)
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        remove(&self.path);
        let _ = std::fs::remove_file(&self.lock);
    }
}

/// The folder of one program; emptied or removed when it is dropped.
pub(crate) struct Folder {
    pub(crate) path: PathBuf,
    /// Whether it is used only once, because something may be left that writes into it.
    pub(super) once: bool,
    idle: Idle,
}

impl Drop for Folder {
    fn drop(&mut self) {
        if !self.once && is_empty_again(&self.path).unwrap_or(false) {
            self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(std::mem::take(&mut self.path));
        } else {
            remove(&self.path);
        }
    }
}

/// Removes what a program wrote; whether the folder is then as it was made. Whoever changed its mode, or has put something else into the place of `tmp`, gets
/// no second use of it.
fn is_empty_again(folder: &Path) -> std::io::Result<bool> {
    let temporary = folder.join(TEMPORARY);
    let (own, inner) = (std::fs::symlink_metadata(folder)?, std::fs::symlink_metadata(&temporary)?);
    if !inner.is_dir() || inner.permissions() != own.permissions() || own.permissions().readonly() {
        return Ok(false);
    }
    for entry in std::fs::read_dir(folder)?.chain(std::fs::read_dir(&temporary)?) {
        let entry = entry?;
        let path = entry.path();
        if path == temporary {
            continue;
        }
        if entry.file_type()?.is_dir() { std::fs::remove_dir_all(&path)? } else { std::fs::remove_file(&path)? }
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        // As everything here is made; what only a program sets is not kept.
        if own.permissions().mode() & 0o7700 != 0o700 {
            return Ok(false);
        }
    }
    Ok(true)
}

/// The name and value of the variable by which programs of a scratch folder are found.
fn mark_of(scratch: &Path) -> String {
    format!("{}={}", super::MARK, scratch.display())
}

/// Removes the folders of processes that were killed, after whatever may still run in them.
fn sweep(root: &Path) {
    for entry in std::fs::read_dir(root).into_iter().flatten().flatten() {
        let lock = entry.path();
        if lock.extension().is_none_or(|ending| ending != "lock") {
            continue;
        }
        // Held until the folder is gone, so that nobody begins in it meanwhile.
        if let Some(_held) = Presence::inherit(&lock) {
            let folder = lock.with_extension("");
            #[cfg(target_os = "linux")]
            if folder.exists() {
                super::processes::end_marked(&mark_of(&folder));
            }
            super::environment::remove_left(&folder);
            remove(&folder);
            let _ = std::fs::remove_file(&lock);
        }
    }
}

/// Removes a folder and everything in it, also folders that a program has made unreadable.
fn remove(folder: &Path) {
    if std::fs::remove_dir_all(folder).is_ok() || !folder.exists() {
        return;
    }
    open_up(folder);
    let _ = std::fs::remove_dir_all(folder);
}

fn open_up(folder: &Path) {
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let _ = std::fs::set_permissions(folder, std::fs::Permissions::from_mode(0o700));
    }
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
            open_up(&entry.path());
        }
    }
}

fn make(folder: &Path) -> Result<(), String> {
    std::fs::create_dir_all(folder).map_err(|error| disk("making", folder, &error))
}

/// What the disk said, for a person.
pub(super) fn disk(doing: &str, path: &Path, error: &std::io::Error) -> String {
    format!("{doing} {}: {error}", path.display())
}
