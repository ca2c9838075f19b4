//! Runs of then: at a git revision, with the files of an earlier run, the commit that did it, and whether a run is what was recorded.

mod bisect;
mod repositories;
mod revisions;
mod verify;

use crate::support::{Place, Said, said};
use std::path::{Path, PathBuf};
use std::process::Command;

/// A small pipeline with a part of its own for each way in which files are named: a used file, a script, a list of files, data.
const PIPELINE: &str = r#"pipeline lab "A lab"

use "parts/decoder.nf" as decoder with noise = 0.2

input weights = csv("data/weights.csv")
input days    = csv("data/day-*.csv")

total = exec("sh tools/total.sh {{ weights | csv }} {{ out }}", weights = weights) -> table("total.csv")
for note in glob("notes/*.txt") {
  noted = exec("echo name > {{ out }}; echo {{ note }} >> {{ out }}", note = note) -> table("noted.csv")
}
for day in days {
  rates = sql("select avg(rate) as rate from day", day = days[day])
}

report lab_report { total, noted, rates, decoder.direction }
"#;

/// The used file: a score that falls with the noise.
const DECODER: &str = r#"pipeline decoder "Is direction decoded?"

param noise = 1.0

input sessions = ingest.simulate(trials_per_direction = 4, units = [8, 4, 4], communities = 2, noise = param.noise)

responses = ingest.trials(sessions["sim1"])
direction = decode.classify(responses, target = "direction", folds = 2)

report decoder_report { direction }
"#;

const TOTAL: &str =
    "#!/bin/sh\n# Adds up the second column.\necho total > \"$2\"\nawk -F, 'NR > 1 { sum += $2 } END { print sum }' \"$1\" >> \"$2\"\n";

/// A folder with a repository in `lab`, whose person is the place's own, and a cache beside it.
struct Lab {
    place: Place,
    /// Where the repository is.
    folder: PathBuf,
}

impl Lab {
    /// Without a commit.
    fn empty() -> Lab {
        Lab::in_folder("lab")
    }

    fn in_folder(name: &str) -> Lab {
        let place = Place::of_a_person();
        let folder = place.path().join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let lab = Lab { place, folder };
        lab.git(&["init", "-q", "-b", "main", "."]);
        lab
    }

    /// With the pipeline and all its files in a first commit.
    fn new() -> Lab {
        Lab::filled(Lab::empty())
    }

    fn filled(lab: Lab) -> Lab {
        lab.write("lab.nf", PIPELINE);
        lab.write("parts/decoder.nf", DECODER);
        lab.write("tools/total.sh", TOTAL);
        lab.write("data/weights.csv", "unit,weight\n1,3\n2,4\n");
        lab.write("data/day-1.csv", "rate\n1.5\n2.5\n");
        lab.write("data/day-2.csv", "rate\n3.5\n");
        lab.write("notes/one.txt", "one\n");
        lab.write(".gitignore", "reports/\nprivate/\n");
        lab.commit("first");
        lab
    }

    fn write(&self, name: &str, content: impl AsRef<[u8]>) {
        let path = self.folder.join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, content).unwrap();
    }

    fn read(&self, name: &str) -> String {
        std::fs::read_to_string(self.folder.join(name)).unwrap()
    }

    /// Writes a file with some text replaced, which must be there.
    #[track_caller]
    fn replace(&self, name: &str, from: &str, to: &str) {
        let text = self.read(name);
        assert!(text.contains(from), "{name}: {text}");
        self.write(name, text.replace(from, to));
    }

    #[track_caller]
    fn git(&self, arguments: &[&str]) -> String {
        self.place.git(&self.folder, arguments)
    }

    /// Commits everything; gives the commit.
    #[track_caller]
    fn commit(&self, subject: &str) -> String {
        self.git(&["add", "-A"]);
        self.git(&["commit", "-q", "--allow-empty", "-m", subject]);
        self.git(&["rev-parse", "HEAD"]).trim().to_owned()
    }

    #[track_caller]
    fn run(&self, arguments: &[&str]) -> Said {
        self.run_in(&self.folder, arguments)
    }

    #[track_caller]
    fn run_in(&self, folder: &Path, arguments: &[&str]) -> Said {
        said(self.command(folder).args(arguments).output().unwrap())
    }

    fn command(&self, folder: &Path) -> Command {
        let mut command = self.place.command();
        command.current_dir(folder).env("HOME", self.place.path().join("home")).env("GIT_CONFIG_NOSYSTEM", "1");
        command
    }

    /// The record of the run that was recorded last in the place's own cache.
    #[track_caller]
    fn record(&self) -> serde_json::Value {
        record(&self.run(&["show", "newest", "--json"]))
    }

    /// What each file of the working tree is, but for what git keeps: name, content, and when it was changed.
    fn files(&self) -> Vec<(PathBuf, Vec<u8>, std::time::SystemTime)> {
        let (mut files, mut folders) = (Vec::new(), vec![self.folder.clone()]);
        while let Some(folder) = folders.pop() {
            for entry in std::fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                match path.is_dir() {
                    true if path.ends_with(".git") => {}
                    true => folders.push(path),
                    false => files.push((path.clone(), std::fs::read(&path).unwrap(), path.metadata().unwrap().modified().unwrap())),
                }
            }
        }
        files.sort();
        files
    }
}

#[track_caller]
fn record(shown: &Said) -> serde_json::Value {
    assert_eq!(shown.code, 0, "{}", shown.err);
    serde_json::from_str(&shown.out).unwrap()
}

/// What must be the same in two runs of the same: results of steps, and what inputs were.
fn essence(record: &serde_json::Value) -> serde_json::Value {
    let inputs: Vec<&serde_json::Value> = record["inputs"].as_array().unwrap().iter().map(|input| &input["members"]).collect();
    serde_json::json!({ "results": record["results"], "inputs": inputs, "scores": record["scores"] })
}

/// The words of a command line, as a shell has them.
fn words(line: &str) -> Vec<String> {
    let (mut words, mut word, mut quoted) = (Vec::new(), String::new(), false);
    for c in line.chars() {
        match c {
            '\'' => quoted = !quoted,
            ' ' if !quoted => words.push(std::mem::take(&mut word)),
            c => word.push(c),
        }
    }
    words.push(word);
    words
}

#[test]
fn the_commands_of_the_page_are_understood() {
    use clap::Parser;
    let page = std::fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/history.md")).unwrap();
    let blocks = page.split("```sh\n").skip(1).filter_map(|rest| rest.split("```").next());
    let lines: Vec<&str> = blocks.flat_map(str::lines).collect();
    assert!(lines.len() >= 6, "{lines:?}");
    for line in lines {
        if let Err(error) = neuroflow_cli::arguments::Arguments::try_parse_from(words(line)) {
            panic!("{line}: {error}");
        }
    }
}
