//! The project's own hooks. libgit2 does not run them, and a commit that leaves them out would be one that the project did not agree to.

use crate::commit::CommitError;
use git2::{Index, Repository, Tree};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

/// What a shell gives when Ctrl-C ended what it waited for.
const INTERRUPTED: i32 = 130;

fn hook(repository: &Repository, name: &str) -> Option<PathBuf> {
    let config = repository.config().ok()?;
    let folder = match config.get_path("core.hooksPath") {
        Ok(path) if path.is_absolute() => path,
        Ok(path) => repository.workdir()?.join(path),
        Err(_) => repository.commondir().join("hooks"),
    };
    let path = folder.join(name);
    #[cfg(unix)]
    {
        use std::os::unix::fs::PermissionsExt;
        let found = std::fs::metadata(&path).ok()?;
        (found.is_file() && found.permissions().mode() & 0o111 != 0).then_some(path)
    }
    #[cfg(not(unix))]
    path.is_file().then_some(path)
}

/// Runs a hook, when the project has it.
pub(crate) fn run(repository: &Repository, name: &str, arguments: &[&std::ffi::OsStr]) -> Result<(), CommitError> {
    run_with(repository, name, arguments, None)
}

/// Runs the hook `pre-commit` with an index of exactly what is to be committed, as `git commit -- FILES` does: what else is staged is not looked at.
/// What the hook changes in that index is not taken over, for a person approved the bytes as they are. It lies at `aside`, where the next command finds and
/// removes it when this one is ended in the middle.
pub(crate) fn before_commit(repository: &Repository, tree: &Tree<'_>, aside: &Path) -> Result<(), CommitError> {
    if hook(repository, "pre-commit").is_none() {
        return Ok(());
    }
    let path = aside.to_path_buf();
    clear(&path);
    let mut index = Index::open(&path)?;
    let done = index.read_tree(tree).and_then(|()| index.write()).map_err(CommitError::from);
    let done = done.and_then(|()| run_with(repository, "pre-commit", &[], Some(&path)));
    clear(&path);
    done
}

/// Removes an index that a hook looked at, and the lock of a git that was ended while it wrote there.
pub(crate) fn clear(aside: &Path) {
    let mut lock = aside.as_os_str().to_owned();
    lock.push(".lock");
    let _ = std::fs::remove_file(aside);
    let _ = std::fs::remove_file(lock);
}

fn run_with(repository: &Repository, name: &str, arguments: &[&std::ffi::OsStr], index: Option<&Path>) -> Result<(), CommitError> {
    let (Some(path), Some(workdir)) = (hook(repository, name), repository.workdir()) else { return Ok(()) };
    let mut command = Command::new(path);
    command.args(arguments).current_dir(workdir).env("GIT_DIR", repository.path());
    if let Some(index) = index {
        command.env("GIT_INDEX_FILE", index);
    }
    match heard(&mut command) {
        Ok((status, _)) if status.success() => Ok(()),
        // A person pressed Ctrl-C, most likely: nobody refused anything.
        Ok((status, _)) if matches!(status.code(), None | Some(INTERRUPTED)) => Err(CommitError::Stopped(name.to_owned())),
        Ok((_, said)) => Err(CommitError::Hook { name: name.to_owned(), said: crate::escape(&String::from_utf8_lossy(&said)) }),
        Err(error) => Err(CommitError::Hook { name: name.to_owned(), said: error.to_string() }),
    }
}

/// How much of what a hook says on each of its two ways is shown, in bytes.
const SHOWN: usize = 4000;

/// How long the last words of a hook that has ended are waited for.
const LAST_WORDS: Duration = Duration::from_millis(200);

/// Runs a hook: how it ended, and what it said. As with git, only the hook itself is waited for: what it started may go on, as a program that Ctrl-C did not
/// reach, and hold its output open.
fn heard(command: &mut Command) -> std::io::Result<(ExitStatus, Vec<u8>)> {
    let mut child = command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let out = child.stdout.take().map(|out| Box::new(out) as Box<dyn Read + Send>);
    let errors = child.stderr.take().map(|errors| Box::new(errors) as Box<dyn Read + Send>);
    let (tell, told) = mpsc::channel();
    for mut from in out.into_iter().chain(errors) {
        let tell = tell.clone();
        std::thread::spawn(move || {
            let (mut piece, mut left) = ([0; 4096], SHOWN);
            // To its end, or a hook that says more would wait for a reader.
            while let Ok(length @ 1..) = from.read(&mut piece) {
                let shown = length.min(left);
                left -= shown;
                let _ = tell.send(piece[..shown].to_vec());
            }
        });
    }
    drop(tell);
    let status = child.wait()?;
    let (ended, mut said) = (Instant::now(), Vec::new());
    while let Ok(piece) = told.recv_timeout(LAST_WORDS.saturating_sub(ended.elapsed())) {
        said.extend(piece);
    }
    Ok((status, said))
}

/// A commit's message as the hook `commit-msg` leaves it.
pub(crate) fn message(repository: &Repository, message: &str) -> Result<String, CommitError> {
    if hook(repository, "commit-msg").is_none() {
        return Ok(message.to_owned());
    }
    let path = repository.path().join("NEUROFLOW_EDITMSG");
    let told = |error: std::io::Error| CommitError::Hook { name: "commit-msg".into(), said: error.to_string() };
    std::fs::write(&path, message).map_err(told)?;
    let done = run(repository, "commit-msg", &[path.as_os_str()]);
    let changed = std::fs::read_to_string(&path).map_err(told);
    let _ = std::fs::remove_file(&path);
    done?;
    let changed = changed?;
    // A hook may say more, and may not take away what proves the approval.
    let ours = message.lines().filter(|line| line.starts_with("Neuroflow-"));
    match ours.into_iter().find(|line| {
        crate::commit::trailer(&changed, line.split(": ").next().unwrap_or(line)) != line.split_once(": ").map(|(_, said)| said.trim())
    }) {
        None => Ok(changed),
        Some(lost) => Err(CommitError::Hook {
            name: "commit-msg".into(),
            said: format!("it takes the line `{lost}` out of the message, or another one stands behind it"),
        }),
    }
}
