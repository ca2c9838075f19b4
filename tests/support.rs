//! A folder, a cache of its own, and the binary.

use neuroflow_data::{Axis, Responses, Table, Tensor, Typed, columns};
use std::path::{Path, PathBuf};
use std::process::{Command, Output};
use tempfile::TempDir;

/// The folder of real recordings: `data` in the folder that NEUROFLOW_SHARED names, or beside the project; none, with a word about it, when it is not here.
pub fn shared_data() -> Option<PathBuf> {
    let beside = || concat!(env!("CARGO_MANIFEST_DIR"), "/../shared").into();
    let folder = std::env::var_os("NEUROFLOW_SHARED").map_or_else(beside, PathBuf::from).join("data");
    if !folder.is_dir() {
        println!("skipped: there is no folder {}", folder.display());
        return None;
    }
    Some(folder)
}

/// The programs of a Python environment with packages from PyPI; none, with a word about it, where they can't be had.
pub fn python(name: &str, requirements: &[&str]) -> Option<PathBuf> {
    let made = Command::new(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/python")).arg(name).args(requirements).output();
    match made {
        Ok(made) if made.status.success() => Some(String::from_utf8_lossy(&made.stdout).trim().into()),
        Ok(made) => {
            eprintln!("passed over: {}", String::from_utf8_lossy(&made.stderr).trim());
            None
        }
        Err(error) => {
            eprintln!("passed over: {error}");
            None
        }
    }
}

/// A working folder with a cache, removed at the end.
pub struct Place {
    folder: TempDir,
}

/// What a command printed, and how it ended.
pub struct Said {
    pub code: i32,
    pub out: String,
    pub err: String,
}

impl Said {
    /// Ends the test unless the exit code is `code`.
    #[track_caller]
    pub fn exits(self, code: i32) -> Said {
        assert_eq!(self.code, code, "stdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }

    /// Ends the test unless `text` was printed.
    #[track_caller]
    pub fn says(self, text: &str) -> Said {
        assert!(self.out.contains(text) || self.err.contains(text), "`{text}` is not in\nstdout:\n{}\nstderr:\n{}", self.out, self.err);
        self
    }
}

impl Place {
    pub fn new() -> Place {
        Place { folder: tempfile::tempdir().unwrap() }
    }

    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(&path, content).unwrap();
        path
    }

    pub fn command(&self) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_neuroflow"));
        command.current_dir(self.path());
        // Nothing of this machine's settings: no mirrors, no network, no configuration, another locale and time zone than most.
        command.env_remove("NEUROFLOW_MIRRORS").env("NEUROFLOW_OFFLINE", "1").env("NEUROFLOW_CACHE", self.path().join("cache"));
        command.env("XDG_CONFIG_HOME", self.path().join("config")).env("LC_ALL", "tr_TR.UTF-8").env("TZ", "Asia/Kathmandu");
        command
    }

    /// A command whose programs run without a sandbox: for pipelines that leave marks outside of their folders.
    pub fn unboxed(&self) -> Command {
        let mut command = self.command();
        command.env("NEUROFLOW_SANDBOX", "off");
        command
    }

    /// A command that may use the network, and asks the loopback address directly, whatever proxy this machine uses.
    pub fn online(&self, arguments: &[&str]) -> Command {
        let mut command = self.command();
        command.env("NEUROFLOW_OFFLINE", "0").env("NO_PROXY", "127.0.0.1").env("no_proxy", "127.0.0.1").args(arguments);
        command
    }

    #[track_caller]
    pub fn run(&self, arguments: &[&str]) -> Said {
        said(self.command().args(arguments).output().unwrap())
    }

    /// The record of the latest run.
    #[track_caller]
    pub fn record(&self) -> serde_json::Value {
        serde_json::from_str(&self.run(&["show", "--json"]).exits(0).out).unwrap()
    }

    /// The digest of every result of the latest run.
    #[track_caller]
    pub fn results(&self) -> serde_json::Value {
        self.record()["results"].clone()
    }

    /// A place that is a person's: Ada, whose settings of git lie in its `home`.
    pub fn of_a_person() -> Place {
        let place = Place::new();
        place.write("home/.gitconfig", "[user]\n\tname = Ada Test\n\temail = ada@example.org\n[commit]\n\tgpgsign = false\n");
        place
    }

    /// What git prints, as the place's person starts it in a folder.
    #[track_caller]
    pub fn git(&self, folder: &Path, arguments: &[&str]) -> String {
        let mut command = Command::new("git");
        command.args(arguments).current_dir(folder).env("HOME", self.path().join("home")).env("GIT_CONFIG_NOSYSTEM", "1");
        // The same history on every machine and every day.
        for name in ["GIT_AUTHOR_DATE", "GIT_COMMITTER_DATE"] {
            command.env(name, "2026-03-01T09:30:00+01:00");
        }
        let told = said(command.output().unwrap());
        assert_eq!(told.code, 0, "git {arguments:?}\n{}\n{}", told.out, told.err);
        told.out
    }
}

pub fn said(output: Output) -> Said {
    Said {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8_lossy(&output.stdout).into_owned(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

/// How many bytes a cache has published: in files of their own, and in segments.
pub fn published(place: &Place) -> u64 {
    let files = |path: PathBuf| std::fs::read_dir(path).into_iter().flatten().flatten();
    let objects = files(place.path().join("cache/objects")).flat_map(|folder| files(folder.path()));
    let segments = files(place.path().join("cache/segments"));
    objects.chain(segments).filter_map(|entry| entry.metadata().ok()).map(|metadata| metadata.len()).sum()
}

/// The bytes of a small session of three units: as many trials as asked, two directions in turn.
pub fn session_file(trials: usize, broken: bool) -> Vec<u8> {
    let axes = vec![
        Axis::count("trial", trials),
        Axis::labels("unit", vec!["u1".into(), "u2".into(), "u3".into()]),
        Axis::numbers("bin", Some("s"), vec![0.0, 0.5, 1.0]),
    ];
    let mut values: Vec<f64> = (0..trials * 9).map(|at| ((at * 7919) % 101) as f64 / 50.0).collect();
    if broken {
        values[13] = f64::NAN;
    }
    let directions = (0..trials).map(|trial| 45.0 * (trial % 2) as f64).collect();
    let table = Table::from_columns(vec![columns::from_numbers("direction", directions)]).unwrap();
    Responses::new("s1", Tensor::new(axes, None, values).unwrap(), table, None).unwrap().into_artifact().unwrap().encode().unwrap()
}

/// The text of a pipeline of the repository.
pub fn pipeline(name: &str) -> String {
    std::fs::read_to_string(format!("{}/pipelines/{name}", env!("CARGO_MANIFEST_DIR"))).unwrap()
}

/// A small pipeline on simulated data: fast, with a control, an expectation and a report.
pub const SMALL: &str = r#"pipeline small "A small one"

param draws = 10

input sessions = ingest.simulate(trials_per_direction = 8, units = [12, 10, 10], communities = 2)

for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
  direction = decode.classify(responses, target = "direction", folds = 4)
    with control = shuffle("direction", n = param.draws), seed = 1
  tuning = ingest.tuning(responses, by = "direction")
}

expect min(direction[*].accuracy) >= 0   "a share"

report small_report { direction, tuning }
"#;
