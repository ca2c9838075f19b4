//! Attacks on the agent's gate: by a person's haste, by other processes, by a model that is the enemy, and by texts in the data that talk to the model.
//!
//! `NEUROFLOW_EVIL_ROUNDS` says how many sequences of calls the evil model makes; 250 unless set.

mod attacks;
mod cards;
mod clock;
mod conversation;
mod described;
mod evil;
mod field_files;
mod injections;
#[path = "../../data/tests/formats/mat5_bytes.rs"]
mod mat5_bytes;
mod outside;
mod records;
mod repository;
#[path = "../../data/tests/formats/small_files.rs"]
mod small_files;
mod terminal;

use crate::support::{Place, said};
use std::io::{Read, Write};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A small pipeline of stages, a query and a file.
const PIPELINE: &str = r#"pipeline small "A small one"

param draws = 10

input sessions = ingest.simulate(trials_per_direction = 8, units = [12, 10, 10], communities = 2)
input units    = csv("units.csv")

for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
  direction = decode.classify(responses, target = "direction", folds = 4)
    with control = shuffle("direction", n = param.draws), seed = 1
}
areas = sql("select area, count(*) as n from units group by area order by area", units = units)

expect min(direction[*].accuracy) >= 0   "a share"

report small_report { direction, areas }
"#;

const UNITS: &str = "unit,area\n1,V1\n2,LM\n3,V1\n";

/// The edit that most tests propose.
const FIVE_FOLDS: &str = r#"[{"op": "set_argument", "step": "direction", "key": "folds", "value": "5"}]"#;

/// A project in a repository of its own, with a first commit.
fn project() -> Place {
    let place = files();
    for arguments in [["init", "-q", "-b", "main", "."].as_slice(), &["add", "."], &["commit", "-q", "-m", "first"]] {
        git(&place, arguments);
    }
    place
}

/// The same without version control. It has a person: the settings of git are the place's own.
fn files() -> Place {
    let place = Place::of_a_person();
    place.write("small.nf", PIPELINE);
    place.write("units.csv", UNITS);
    place.write("other.txt", "one\n");
    place.write(".gitignore", "cache/\nreports/\nhome/\nproposed.json\n/.neuroflow/\n");
    place
}

/// The binary as Ada starts it.
fn neuroflow(place: &Place) -> Command {
    let mut command = place.command();
    command.env("HOME", place.path().join("home")).env("GIT_CONFIG_NOSYSTEM", "1").env("NO_COLOR", "1").env("USER", "ada");
    command.env_remove("VISUAL").env_remove("EDITOR");
    command
}

#[track_caller]
fn run(place: &Place, arguments: &[&str]) -> crate::support::Said {
    said(neuroflow(place).args(arguments).output().unwrap())
}

#[track_caller]
fn git(place: &Place, arguments: &[&str]) -> String {
    place.git(place.path(), arguments)
}

/// Proposes edits and gives the whole name.
#[track_caller]
fn propose(place: &Place, edits: &str, further: &[&str]) -> String {
    place.write("proposed.json", edits);
    let arguments = [&["propose", "proposed.json", "--format", "json"], further].concat();
    let told = run(place, &arguments).exits(0);
    let card: serde_json::Value = serde_json::from_str(&told.out).unwrap();
    card["id"].as_str().unwrap().to_owned()
}

fn text(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.path().join(name)).unwrap()
}

fn head(place: &Place) -> String {
    git(place, &["rev-parse", "HEAD"]).trim().to_owned()
}

/// The events of the ledger, in order.
fn events(place: &Place) -> Vec<String> {
    let text = std::fs::read_to_string(place.path().join(".neuroflow/agent/ledger.jsonl")).unwrap_or_default();
    let event = |line: &str| serde_json::from_str::<serde_json::Value>(line).unwrap()["event"].as_str().unwrap().to_owned();
    text.lines().map(event).collect()
}

/// The binary in a pseudo-terminal, which `script` opens.
pub(crate) struct Terminal {
    child: Child,
    seen: Arc<Mutex<String>>,
    /// How far what was seen has been waited for.
    at: usize,
}

impl Terminal {
    /// Starts the binary; none where there is no `script` of util-linux.
    pub(crate) fn start(place: &Place, arguments: &[&str], variables: &[(&str, &str)]) -> Option<Terminal> {
        let binary = neuroflow(place);
        let words: Vec<&str> = std::iter::once(binary.get_program().to_str().unwrap()).chain(arguments.iter().copied()).collect();
        Terminal::start_program(place, &words, variables)
    }

    /// Starts any program, with the binary's environment.
    fn start_program(place: &Place, words: &[&str], variables: &[(&str, &str)]) -> Option<Terminal> {
        let is_there =
            Command::new("script").arg("--version").output().is_ok_and(|output| output.stdout.starts_with(b"script from util-linux"));
        if !is_there {
            println!("skipped: there is no `script` of util-linux to open a terminal with");
            return None;
        }
        let binary = neuroflow(place);
        let quoted = |word: &str| format!("'{}'", word.replace('\'', "'\\''"));
        let words: Vec<String> = words.iter().map(|word| quoted(word)).collect();
        let mut command = Command::new("script");
        command.args(["-qefc", &format!("exec {}", words.join(" ")), "/dev/null"]).current_dir(place.path()).env("SHELL", "/bin/sh");
        for (name, value) in binary.get_envs() {
            match value {
                Some(value) => command.env(name, value),
                None => command.env_remove(name),
            };
        }
        command.envs(variables.iter().copied());
        let mut child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().unwrap();
        let seen = Arc::new(Mutex::new(String::new()));
        let (mut out, kept) = (child.stdout.take().unwrap(), seen.clone());
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(length @ 1..) = out.read(&mut piece) {
                kept.lock().unwrap().push_str(&String::from_utf8_lossy(&piece[..length]));
            }
        });
        Some(Terminal { child, seen, at: 0 })
    }

    fn seen(&self) -> String {
        self.seen.lock().unwrap().clone()
    }

    /// Waits until a text is shown behind what was waited for before.
    #[track_caller]
    pub(crate) fn wait(&mut self, text: &str) -> &mut Terminal {
        let began = Instant::now();
        loop {
            let seen = self.seen();
            if let Some(found) = seen.get(self.at..).and_then(|rest| rest.find(text)) {
                self.at += found + text.len();
                return self;
            }
            assert!(began.elapsed() < Duration::from_secs(120), "`{text}` was not shown:\n{seen}");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Types a line.
    #[track_caller]
    fn types(&mut self, line: &str) -> &mut Terminal {
        self.presses(&format!("{line}\n"))
    }

    /// Presses keys, without Enter.
    #[track_caller]
    fn presses(&mut self, keys: &str) -> &mut Terminal {
        let input = self.child.stdin.as_mut().unwrap();
        input.write_all(keys.as_bytes()).and_then(|()| input.flush()).unwrap();
        self
    }

    /// Says yes with a key, and types the beginning of the proposal's name.
    #[track_caller]
    fn approves(&mut self, key: &str, id: &str) -> &mut Terminal {
        self.wait("later [q]: ").types(key).wait("to say yes: ").types(&id[..8])
    }

    /// Waits for the end: the exit code, and all that was shown.
    #[track_caller]
    pub(crate) fn ends(mut self) -> (i32, String) {
        let began = Instant::now();
        loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                // What is left in the pipe.
                std::thread::sleep(Duration::from_millis(50));
                return (status.code().unwrap_or(-1), self.seen());
            }
            if began.elapsed() > Duration::from_secs(120) {
                let _ = self.child.kill();
                panic!("it does not end:\n{}", self.seen());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
    }
}

/// Approves a proposal without running it. False where no terminal can be opened.
#[track_caller]
fn approve(place: &Place, id: &str) -> bool {
    let Some(mut terminal) = Terminal::start(place, &["agent", "review", id], &[]) else { return false };
    terminal.approves("w", id).wait("applied to");
    assert_eq!(terminal.ends().0, 0);
    true
}
