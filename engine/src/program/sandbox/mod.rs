//! What keeps a program from the rest of the disk and from the network: Landlock where the kernel has it, bubblewrap where that is installed.
//!
//! A program may read its own folder, what it declared, and the machine's programs and libraries; it may write its own folder. It may not read the home
//! folder, the cache, the folder of the pipeline, or anybody's keys. What was used is part of each record.

#[cfg(target_os = "linux")]
mod bubblewrap;
#[cfg(target_os = "linux")]
pub(super) mod landlock;
pub(super) mod system;

use super::job::{Allowed, Job};
use std::fmt;
use std::path::Path;
use std::str::FromStr;

/// Which sandbox is wanted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum SandboxWish {
    /// The best that there is, or none.
    #[default]
    Best,
    /// The best that there is, or an error.
    Require,
    /// Landlock, or an error.
    Landlock,
    /// Bubblewrap, or an error.
    Bubblewrap,
    /// None.
    Off,
}

impl FromStr for SandboxWish {
    type Err = String;

    fn from_str(word: &str) -> Result<SandboxWish, String> {
        Ok(match word {
            "best" | "on" => SandboxWish::Best,
            "require" => SandboxWish::Require,
            "landlock" => SandboxWish::Landlock,
            "bubblewrap" => SandboxWish::Bubblewrap,
            "off" => SandboxWish::Off,
            _ => return Err(format!("`{word}` is no sandbox; there are `best`, `require`, `landlock`, `bubblewrap` and `off`")),
        })
    }
}

impl fmt::Display for SandboxWish {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            SandboxWish::Best => "best",
            SandboxWish::Require => "require",
            SandboxWish::Landlock => "landlock",
            SandboxWish::Bubblewrap => "bubblewrap",
            SandboxWish::Off => "off",
        })
    }
}

/// The sandbox of a run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Sandbox {
    /// Landlock, of a version.
    Landlock(i32),
    /// Bubblewrap: the path of its program.
    #[cfg_attr(not(target_os = "linux"), expect(dead_code, reason = "there is none elsewhere"))]
    Bubblewrap(std::path::PathBuf),
    /// None, and why.
    None(String),
}

/// The version of Landlock that refuses connections.
const KEEPS_FROM_NETWORK: i32 = 4;

impl Sandbox {
    /// The sandbox that is to be used.
    ///
    /// # Errors
    /// When the one that is wanted can't be had; says what to do.
    pub(super) fn choose(wish: SandboxWish) -> Result<Sandbox, String> {
        let landlock = || landlock_version().map(Sandbox::Landlock);
        let none = |reason: &str| Sandbox::None(reason.to_owned());
        let missing = "neither Landlock (a kernel of 5.13 or later that has it switched on) nor bubblewrap (`bwrap`) is there";
        match wish {
            SandboxWish::Off => Ok(none("switched off")),
            SandboxWish::Best => Ok(landlock().or_else(bubblewrap).unwrap_or_else(|| none(missing))),
            SandboxWish::Require => landlock().or_else(bubblewrap).ok_or_else(|| missing.to_owned()),
            SandboxWish::Landlock => landlock().ok_or_else(|| "this kernel has no Landlock, or has it switched off".to_owned()),
            SandboxWish::Bubblewrap => bubblewrap().ok_or_else(|| "bubblewrap (`bwrap`) is not installed, or may not be used".to_owned()),
        }
    }

    /// Puts a job into it.
    pub(super) fn enclose(&self, mut job: Job, allowed: Allowed) -> Job {
        match self {
            Sandbox::Landlock(_) => job.landlock = Some(allowed),
            #[cfg(target_os = "linux")]
            Sandbox::Bubblewrap(program) => job.command = bubblewrap::command(program, &job, &allowed),
            #[cfg(not(target_os = "linux"))]
            Sandbox::Bubblewrap(_) => {}
            Sandbox::None(_) => {}
        }
        job
    }

    /// What is recorded about it.
    pub(super) fn described(&self, network: bool) -> serde_json::Value {
        let word = |kept: bool| if kept && !network { "refused" } else { "allowed" };
        match self {
            Sandbox::Landlock(version) => {
                serde_json::json!({ "kind": "landlock", "abi": version, "network": word(*version >= KEEPS_FROM_NETWORK) })
            }
            Sandbox::Bubblewrap(_) => serde_json::json!({ "kind": "bubblewrap", "network": word(true) }),
            Sandbox::None(reason) => serde_json::json!({ "kind": "none", "reason": reason, "network": "allowed" }),
        }
    }

    /// Whether it keeps a program from the network.
    pub(super) fn keeps_from_network(&self) -> bool {
        match self {
            Sandbox::Landlock(version) => *version >= KEEPS_FROM_NETWORK,
            Sandbox::Bubblewrap(_) => true,
            Sandbox::None(_) => false,
        }
    }
}

#[cfg(target_os = "linux")]
fn landlock_version() -> Option<i32> {
    landlock::version()
}

#[cfg(not(target_os = "linux"))]
fn landlock_version() -> Option<i32> {
    None
}

#[cfg(target_os = "linux")]
fn bubblewrap() -> Option<Sandbox> {
    bubblewrap::find().map(Sandbox::Bubblewrap)
}

#[cfg(not(target_os = "linux"))]
fn bubblewrap() -> Option<Sandbox> {
    None
}

/// What a failed program's words say about the sandbox, for a person: the paths that it was refused, or the network.
pub(super) fn explained(printed: &str, sandbox: &Sandbox, allowed: &Allowed, folder: &Path) -> Option<String> {
    if matches!(sandbox, Sandbox::None(_)) {
        return None;
    }
    // Where files are hidden rather than refused, they seem not to be there.
    let refused = |line: &&str| match sandbox {
        Sandbox::Bubblewrap(_) => line.contains("No such file") || line.contains("Read-only file system"),
        _ => line.contains("ermission denied") || line.contains("[Errno 13]"),
    };
    let lines: Vec<&str> = printed.lines().filter(refused).collect();
    let readable = system::readable(allowed);
    let is_kept = |path: &&str| {
        let path = Path::new(path);
        path.exists() && !path.starts_with(folder) && !readable.iter().any(|readable| path.starts_with(readable))
    };
    let mut paths: Vec<&str> = lines.iter().flat_map(|line| paths_in(line)).filter(is_kept).collect();
    paths.sort_unstable();
    paths.dedup();
    paths.truncate(4);
    if !paths.is_empty() {
        let named = paths.iter().map(|path| format!("`{path}`")).collect::<Vec<_>>().join(", ");
        return Some(format!(
            "the sandbox kept it from {named}: a program may read its inputs, its scripts and the system's programs, and write into its own folder; \
             give the file as an input, or name it in `with reads = [\"…\"]`"
        ));
    }
    let network = ["onnect", "ocket", "resolve", "URL", "network", "Network"];
    let unreachable = |line: &&str| network.iter().any(|word| line.contains(word)) || line.contains("[Errno 13]");
    let kept = sandbox.keeps_from_network() && !allowed.network;
    if kept
        && (lines.iter().any(unreachable) || ["Could not resolve host", "Network is unreachable"].iter().any(|said| printed.contains(said)))
    {
        return Some("the sandbox keeps it from the network; allow that with `with network = on`".to_owned());
    }
    None
}

/// Absolute paths that a line names.
fn paths_in(line: &str) -> impl Iterator<Item = &str> {
    let ends = |c: char| c.is_whitespace() || "'\"`‘’“”(),;<>".contains(c);
    line.split(ends).map(|word| word.trim_end_matches([':', '.'])).filter(|word| word.starts_with('/') && word.len() > 1)
}
