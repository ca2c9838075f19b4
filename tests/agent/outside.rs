//! The oracle: what a look from outside must find unchanged, whatever was called.

use super::events;
use crate::support::Place;
use neuroflow_agent::{Project, Settings};
use neuroflow_cache::{Cache, OpenOptions, OsDisk};
use neuroflow_engine::dataset::DataRegistry;
use neuroflow_engine::fetch::Sources;
use neuroflow_engine::session::Session;
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// What nobody may be told: the content of a file outside of the project.
pub const CANARY: &str = "CANARY_7f3a91";

/// A project, a folder outside of it, and what both were.
pub struct Outside {
    pub place: Place,
    pub beyond: Place,
    before: BTreeMap<String, String>,
    ledger: Vec<u8>,
}

impl Outside {
    /// Takes a project, with links in it that lead out, and remembers everything.
    pub fn of(place: Place) -> Outside {
        let beyond = Place::new();
        beyond.write("secret.txt", format!("{CANARY}\n"));
        beyond.write("secret.csv", format!("{CANARY},b\n1,2\n"));
        #[cfg(unix)]
        for link in ["linked", "data/inner"] {
            let link = place.path().join(link);
            std::fs::create_dir_all(link.parent().unwrap()).unwrap();
            std::os::unix::fs::symlink(beyond.path(), link).unwrap();
        }
        let mut outside = Outside { place, beyond, before: BTreeMap::new(), ledger: Vec::new() };
        outside.remember();
        outside
    }

    /// Remembers everything as it is now.
    pub fn remember(&mut self) {
        self.before = self.now();
        self.ledger = std::fs::read(self.place.path().join(".neuroflow/agent/ledger.jsonl")).unwrap_or_default();
    }

    fn now(&self) -> BTreeMap<String, String> {
        let mut all = BTreeMap::new();
        look(self.place.path(), "project", &mut all);
        look(self.beyond.path(), "beyond", &mut all);
        all
    }

    /// Ends the test unless all is as it was: every file of the project and beyond, git's refs and index among them, and the beginning of the ledger, which
    /// has further lines of the desk's alone.
    #[track_caller]
    pub fn is_unchanged(&self, after: &str) {
        let now = self.now();
        for (path, was) in &self.before {
            assert_eq!(now.get(path), Some(was), "{path} changed after {after}");
        }
        for path in now.keys() {
            assert!(self.before.contains_key(path), "{path} is new after {after}");
        }
        let ledger = std::fs::read(self.place.path().join(".neuroflow/agent/ledger.jsonl")).unwrap_or_default();
        assert!(ledger.starts_with(&self.ledger), "the ledger's beginning changed after {after}");
        let lines = self.ledger.iter().filter(|byte| **byte == b'\n').count();
        for event in events(&self.place).iter().skip(lines) {
            assert!(["offered", "withdrawn", "looked"].contains(&event.as_str()), "{event} after {after}");
        }
    }

    /// Ends the test when a reply says what nobody may be told.
    #[track_caller]
    pub fn tells_nothing(&self, reply: &str, after: &str) {
        let home = std::env::var("HOME").map(|home| format!("{home}/")).unwrap_or_else(|_| CANARY.into());
        let path = std::env::var("PATH").unwrap_or_else(|_| CANARY.into());
        let places = [self.place.path().to_str().unwrap(), self.beyond.path().to_str().unwrap()];
        for secret in [CANARY, home.as_str(), path.as_str()].into_iter().chain(places) {
            assert!(!reply.contains(secret), "`{secret}` is told after {after}:\n{reply}");
        }
    }

    /// The project as the gate sees it, in this process.
    pub fn project(&self, settings: Settings) -> Project {
        project(self.place.path(), settings)
    }
}

/// A project in this process.
pub fn project(root: &Path, settings: Settings) -> Project {
    let disk = Arc::new(OsDisk::with_mapper(neuroflow_compute::map::map_file));
    let cache = Cache::open_with(&root.join("cache"), disk, OpenOptions::default()).unwrap();
    let known = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/data/registry.toml")).unwrap();
    let session = Session {
        cache: Arc::new(cache),
        registry: Arc::new(neuroflow_cli::stages::registry()),
        data: DataRegistry::parse(&known).unwrap(),
        sources: Sources { mirrors: Vec::new(), offline: true },
    };
    Project { root: root.to_path_buf(), session: Arc::new(session), settings, own: None, worker: None }
}

/// Every file and link below a folder with its content, but for the agent's own folder and the cache.
fn look(folder: &Path, name: &str, all: &mut BTreeMap<String, String>) {
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let part = entry.file_name().to_string_lossy().into_owned();
        let (path, name) = (entry.path(), format!("{name}/{part}"));
        if part == ".neuroflow" || part == "cache" {
            continue;
        }
        let kind = entry.file_type().unwrap();
        if kind.is_symlink() {
            all.insert(name, format!("a link to {}", std::fs::read_link(&path).unwrap().display()));
        } else if kind.is_dir() {
            all.insert(name.clone(), "a folder".into());
            look(&path, &name, all);
        } else {
            let bytes = std::fs::read(&path).unwrap();
            all.insert(name, neuroflow_cache::Digest::of(&bytes).to_string());
        }
    }
}
