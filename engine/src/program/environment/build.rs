//! Making an environment once, by the tools that are installed.

use super::container::{Container, Runtime};
use super::{EnvironmentKind, requirements};
use crate::program::job::{End, Job};
use crate::program::sandbox::system;
use crate::program::scratch::disk;
use crate::program::{Ending, Programs};
use crate::task::LockedEnvironment;
use neuroflow_cache::{Claimed, Digest, KeyEncoder};
use neuroflow_stage::{CancelToken, StageError};
use std::collections::BTreeMap;
use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Duration;

/// The folder of environments, below the cache.
const FOLDER: &str = "environments";
/// The file that says that an environment is whole.
const READY: &str = "ready";
/// Where packages are, in the folder of an environment.
const PREFIX: &str = "prefix";
/// How often it is looked whether another process has made an environment.
const LOOK: Duration = Duration::from_millis(50);
/// Lines of a failed installer that a message shows.
const SHOWN_LINES: usize = 15;

/// An environment that can be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::program) struct Ready {
    /// What is recorded about it: the name of its folder.
    pub(in crate::program) name: String,
    /// Folders of its programs, put in front of `PATH`.
    pub(in crate::program) programs: Vec<PathBuf>,
    /// What must be readable to use it.
    pub(in crate::program) reads: Vec<PathBuf>,
    /// Its folder of packages.
    pub(in crate::program) prefix: PathBuf,
    /// How a command is run in it, when it is an image.
    pub(in crate::program) container: Option<Container>,
}

/// Environments that this process has seen to be there.
#[derive(Default)]
pub(in crate::program) struct Environments {
    ready: Mutex<BTreeMap<Digest, Ready>>,
}

/// The Python that environments build on.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Python {
    program: PathBuf,
    described: String,
}

impl Environments {
    /// The environment of a lock, made when it is not there.
    ///
    /// # Errors
    /// When it can't be made, with the installer's last words.
    pub(in crate::program) fn ready(&self, locked: &LockedEnvironment, programs: &Programs, cancel: &CancelToken) -> Result<Ready, Ending> {
        let refused = |message: String, help: String| Ending::Refused(StageError::refused_with_help(message, help));
        let tool =
            Tool::choose(locked).map_err(|help| refused(format!("the environment `{}` can't be made here", locked.written), help))?;
        let name = name_of(locked, &tool);
        let known = |ready: &Environments| ready.ready.lock().unwrap_or_else(PoisonError::into_inner).get(&name).cloned();
        if let Some(ready) = known(self) {
            return Ok(ready);
        }
        let root = programs.cache.root().join(FOLDER);
        let folder = root.join(name.to_string());
        std::fs::create_dir_all(&root).map_err(|error| Ending::World(disk("making", &root, &error)))?;
        let ready = loop {
            if let Some(ready) = used(&folder, locked.kind, &tool, &name) {
                break ready;
            }
            match programs.cache.claim(&name).map_err(|error| Ending::World(error.to_string()))? {
                Claimed::Mine(claim) => {
                    // Whoever had the claim before may have made it.
                    if used(&folder, locked.kind, &tool, &name).is_none() {
                        build(locked, &tool, &folder, programs, cancel)?;
                    }
                    drop(claim);
                }
                Claimed::Other(_) => {
                    if cancel.is_cancelled() {
                        return Err(Ending::Cancelled);
                    }
                    std::thread::sleep(LOOK);
                }
            }
        };
        self.ready.lock().unwrap_or_else(PoisonError::into_inner).insert(name, ready.clone());
        Ok(ready)
    }
}

/// What makes and uses an environment.
enum Tool {
    Uv { program: PathBuf, python: Python },
    Pip { python: Python },
    Conda(PathBuf),
    Image(Runtime),
}

impl Tool {
    /// The tool for a lock; what to install when there is none.
    fn choose(locked: &LockedEnvironment) -> Result<Tool, String> {
        let on_path = |names: &[&str]| names.iter().find_map(|name| program(name));
        match locked.kind {
            EnvironmentKind::Requirements | EnvironmentKind::Pylock => {
                let python = python().ok_or("install Python 3 with its `venv` module, and see that `python3` is on PATH")?;
                Ok(match program("uv") {
                    Some(program) => Tool::Uv { program, python },
                    None => Tool::Pip { python },
                })
            }
            EnvironmentKind::UvLock => {
                let help = "a `uv.lock` is read by uv: install it, or write `uv export --format requirements-txt > requirements.txt` and name that";
                let program = program("uv").ok_or(help)?;
                Ok(Tool::Uv { program, python: python().unwrap_or(Python { program: "python3".into(), described: String::new() }) })
            }
            EnvironmentKind::CondaExplicit => on_path(&["micromamba", "mamba", "conda"])
                .map(Tool::Conda)
                .ok_or_else(|| "install micromamba, mamba or conda, and see that it is on PATH".to_owned()),
            EnvironmentKind::Image | EnvironmentKind::ImageFile => Runtime::find(locked.kind).map(Tool::Image),
        }
    }

    /// What of it decides what an environment holds.
    fn described(&self) -> String {
        match self {
            Tool::Uv { python, .. } | Tool::Pip { python } => format!("python {} {}", python.program.display(), python.described),
            Tool::Conda(_) => "conda".into(),
            Tool::Image(runtime) => runtime.name().into(),
        }
    }
}

/// The name of an environment's folder: its lock, what it is built on, and this platform.
fn name_of(locked: &LockedEnvironment, tool: &Tool) -> Digest {
    let mut key = KeyEncoder::new();
    key.text("environment");
    [locked.kind.name(), std::env::consts::OS, std::env::consts::ARCH, &tool.described()].into_iter().for_each(|text| key.text(text));
    key.map(locked.files.len());
    for (name, content) in &locked.files {
        key.text(name);
        key.digest(content);
    }
    key.finish()
}

/// An environment that is whole, as it is used.
fn used(folder: &Path, kind: EnvironmentKind, tool: &Tool, name: &Digest) -> Option<Ready> {
    let note = std::fs::read_to_string(folder.join(READY)).ok()?;
    let prefix = folder.join(PREFIX);
    let mut ready =
        Ready { name: name.to_string(), programs: Vec::new(), reads: vec![folder.to_path_buf()], prefix: prefix.clone(), container: None };
    if let Tool::Image(runtime) = tool {
        ready.container = Some(runtime.container(note.trim(), &folder.join("image.sif")));
        return Some(ready);
    }
    let programs = prefix.join("bin");
    let python = programs.join("python");
    // The Python that it builds on can have been removed.
    if kind != EnvironmentKind::CondaExplicit && !python.exists() {
        return None;
    }
    ready.reads.extend(system::installation(&python));
    ready.programs.push(programs);
    Some(ready)
}

fn build(locked: &LockedEnvironment, tool: &Tool, folder: &Path, programs: &Programs, cancel: &CancelToken) -> Result<(), Ending> {
    let world = |doing: &str, path: &Path, error: std::io::Error| Ending::World(disk(doing, path, &error));
    programs.tell(&format!("making the environment `{}`; this is done once", locked.written));
    // What a killed process left half done.
    if folder.exists() {
        std::fs::remove_dir_all(folder).map_err(|error| world("removing", folder, error))?;
    }
    std::fs::create_dir_all(folder).map_err(|error| world("making", folder, error))?;
    let mut texts = BTreeMap::new();
    for (name, content) in &locked.files {
        let path = folder.join(name);
        let content = programs.cache.get(content).map_err(|error| Ending::World(error.to_string()))?;
        let content =
            content.ok_or_else(|| Ending::World(format!("the lock `{}` is no longer in the cache; run again", locked.written)))?;
        std::fs::write(&path, &content).map_err(|error| world("writing", &path, error))?;
        texts.insert(name.as_str(), String::from_utf8_lossy(&content).into_owned());
    }
    let installer = Installer { locked, folder, programs, cancel };
    let note = match (tool, locked.kind) {
        (Tool::Image(runtime), _) => {
            let reference = texts.get("image").map(|text| text.trim().to_owned()).unwrap_or_default();
            if let Some(command) = runtime.fetch(&reference).filter(|_| !runtime.has(&reference)) {
                installer.needs_network()?;
                installer.run(&command, &[])?;
            }
            reference
        }
        (Tool::Conda(program), _) => {
            let offline = if programs.options.offline { Some("--offline") } else { None };
            let words = ["create", "--yes", "--prefix", PREFIX, "--file", "explicit.txt"];
            installer.run(&command(program, words.into_iter().chain(offline)), &[])?;
            program.display().to_string()
        }
        (Tool::Uv { program, .. }, EnvironmentKind::UvLock) => {
            let offline = if programs.options.offline { Some("--offline") } else { None };
            let words = ["sync", "--frozen", "--no-install-project", "--no-dev"];
            let variables = [("UV_PROJECT_ENVIRONMENT", folder.join(PREFIX).into_os_string())];
            installer.run(&command(program, words.into_iter().chain(offline)), &variables)?;
            "uv".into()
        }
        (Tool::Uv { python, .. } | Tool::Pip { python }, kind) => {
            if kind == EnvironmentKind::Pylock {
                let list = requirements::from_pylock(texts.get("pylock.toml").map_or("", String::as_str));
                let list = list.map_err(|reason| Ending::Refused(StageError::refused(reason)))?;
                let path = folder.join("requirements.txt");
                std::fs::write(&path, list.as_bytes()).map_err(|error| world("writing", &path, error))?;
                texts.insert("requirements.txt", list);
            }
            let pinned = requirements::check(texts.get("requirements.txt").map_or("", String::as_str));
            let pinned = pinned.map_err(|reason| Ending::Refused(StageError::refused(format!("`{}`, {reason}", locked.written))))?;
            if !pinned.no_index {
                installer.needs_network()?;
            }
            let hashes = if pinned.hashes { Some("--require-hashes") } else { None };
            match tool {
                Tool::Uv { program, .. } => {
                    let python = python.program.to_string_lossy();
                    installer.run(&command(program, ["venv", "--python", &*python, PREFIX]), &[])?;
                    let words = ["pip", "install", "--python", "prefix/bin/python", "--no-deps", "-r", "requirements.txt"];
                    installer.run(&command(program, words.into_iter().chain(hashes)), &[])?;
                    installer.run(&command(program, ["pip", "check", "--python", "prefix/bin/python"]), &[])?;
                }
                _ => {
                    installer.run(&command(&python.program, ["-m", "venv", PREFIX]), &[])?;
                    let own = folder.join("prefix/bin/python");
                    let words =
                        ["-m", "pip", "install", "--no-input", "--disable-pip-version-check", "--no-deps", "-r", "requirements.txt"];
                    installer.run(&command(&own, words.into_iter().chain(hashes)), &[])?;
                    // A lock that lacks a package that another needs is no lock.
                    installer.run(&command(&own, ["-m", "pip", "check"]), &[])?;
                }
            }
            python.described.clone()
        }
    };
    let (aside, ready) = (folder.join("ready.new"), folder.join(READY));
    std::fs::write(&aside, note).and_then(|()| std::fs::rename(&aside, &ready)).map_err(|error| world("writing", &ready, error))
}

struct Installer<'a> {
    locked: &'a LockedEnvironment,
    folder: &'a Path,
    programs: &'a Programs,
    cancel: &'a CancelToken,
}

impl Installer<'_> {
    fn needs_network(&self) -> Result<(), Ending> {
        if !self.programs.options.offline {
            return Ok(());
        }
        let message =
            format!("the environment `{}` is not made yet, and that needs the network, which is switched off", self.locked.written);
        Err(Ending::Refused(StageError::refused_with_help(
            message,
            "run once without `--offline`; afterwards it is used without the network",
        )))
    }

    /// Runs an installer, which is the user's own: with the user's settings, and without a sandbox.
    fn run(&self, command: &[OsString], variables: &[(&str, OsString)]) -> Result<(), Ending> {
        let mut all: Vec<(String, OsString)> =
            std::env::vars_os().filter_map(|(name, value)| Some((name.into_string().ok()?, value))).collect();
        // What an active environment sets is meant for that one.
        all.retain(|(name, _)| {
            !["PYTHONPATH", "PYTHONHOME", "VIRTUAL_ENV", "CONDA_PREFIX", "PIP_USER", "PIP_TARGET"].contains(&name.as_str())
        });
        all.extend(variables.iter().map(|(name, value)| ((*name).to_owned(), value.clone())));
        let mark = self.programs.mark(&mut all);
        let job = Job {
            command: command.to_vec(),
            folder: self.folder.into(),
            variables: all,
            landlock: None,
            time: None,
            memory: None,
            processes: self.programs.options.processes,
            mark,
            printed: None,
        };
        let (report, log) = self.programs.supervised(&job, self.cancel);
        let printed = String::from_utf8_lossy(&log);
        let lines: Vec<&str> = printed.lines().collect();
        let tail = lines[lines.len().saturating_sub(SHOWN_LINES)..].join("\n    ");
        let words: Vec<String> = command.iter().map(|word| word.to_string_lossy().into_owned()).collect();
        let help = format!("the installer was: {}", words.join(" "));
        let failed = |reason: &str| {
            let message = format!("the environment `{}` can't be made: {reason}; it printed at last:\n    {tail}", self.locked.written);
            Err(Ending::Refused(StageError::refused_with_help(message, help.clone())))
        };
        match report.end {
            End::Status(0) => Ok(()),
            End::Cancelled => Err(Ending::Cancelled),
            End::NotStarted(reason) => failed(&reason),
            _ => failed("the installer failed"),
        }
    }
}

fn command<'w>(program: &Path, words: impl IntoIterator<Item = &'w str>) -> Vec<OsString> {
    std::iter::once(program.into()).chain(words.into_iter().map(OsString::from)).collect()
}

/// A program on `PATH`.
pub(super) fn program(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file() && crate::program::scripts::is_executable(path))
}

/// The Python on `PATH`, asked once a process. What it says of itself counts, for the program on `PATH` can be a script that chooses one.
fn python() -> Option<Python> {
    static FOUND: OnceLock<Option<Python>> = OnceLock::new();
    FOUND
        .get_or_init(|| {
            let asked = "import sys, platform; print(sys.executable); print(platform.python_implementation(), sys.version.split()[0], platform.machine(), \
                         *platform.libc_ver())";
            let said = std::process::Command::new(program("python3")?).args(["-I", "-c", asked]).output().ok()?;
            let text = String::from_utf8(said.stdout).ok().filter(|_| said.status.success())?;
            let (program, described) = text.trim().split_once('\n')?;
            Some(Python { program: PathBuf::from(program), described: described.trim().to_owned() })
        })
        .clone()
}
