//! Bubblewrap: a program in namespaces of its own, which see only what is bound into them. Used where the kernel has no Landlock.

use super::system;
use crate::program::job::{Allowed, Job};
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// The program, when it is installed and may make namespaces here.
pub(super) fn find() -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let program = std::env::split_paths(&path).map(|folder| folder.join("bwrap")).find(|path| path.is_file())?;
    let mut command = Command::new(&program);
    command.args(["--unshare-all", "--ro-bind", "/", "/", "true"]).stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
    command.status().is_ok_and(|status| status.success()).then_some(program)
}

/// The command line that runs a job's command within.
pub(super) fn command(program: &Path, job: &Job, allowed: &Allowed) -> Vec<OsString> {
    let mut line: Vec<OsString> = vec![program.into()];
    let mut push = |words: &[&dyn AsRef<std::ffi::OsStr>]| line.extend(words.iter().map(|word| word.as_ref().to_owned()));
    push(&[&"--die-with-parent", &"--unshare-user-try", &"--unshare-pid", &"--unshare-ipc", &"--unshare-uts", &"--unshare-cgroup-try"]);
    if !allowed.network {
        push(&[&"--unshare-net"]);
    }
    for path in system::folders().iter().filter(|path| !path.starts_with("/proc")) {
        // `/bin` is a link to `/usr/bin` on most machines, and stays one.
        match std::fs::read_link(path) {
            Ok(target) => push(&[&"--symlink", &target, path]),
            Err(_) => push(&[&"--ro-bind-try", path, path]),
        }
    }
    push(&[&"--proc", &"/proc", &"--dev", &"/dev", &"--perms", &"1777", &"--tmpfs", &"/tmp"]);
    for path in &allowed.reads {
        push(&[&"--ro-bind-try", path, path]);
    }
    push(&[&"--bind", &job.folder, &job.folder, &"--chdir", &job.folder, &"--"]);
    line.extend(job.command.iter().cloned());
    line
}
