//! `neuroflow cache …` as a person uses it.

use crate::support::{Place, SMALL, said};

#[test]
fn a_pinned_run_outlives_a_collection() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    place.run(&["cache", "pin", "latest"]).exits(0).says("pinned");
    place.run(&["cache", "pin", "latest"]).exits(0).says("already");
    let pins = place.run(&["cache", "pins"]).exits(0).out;
    assert_eq!(pins.lines().count(), 1);
    place.run(&["cache", "gc", "--keep", "0B"]).exits(0).says("because runs are pinned");
    place.run(&["run", "small.nf"]).exits(0).says("(0 tasks ran,");
    place.run(&["cache", "unpin", pins.trim()]).exits(0).says("no longer");
    place.run(&["cache", "gc", "--keep", "0B"]).exits(0).says("0 B left");
    place.run(&["cache", "pin", "2031"]).exits(4).says("there is no run `2031`");
}

#[test]
fn a_collection_asks_for_a_size_or_an_age() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    let said = place.run(&["cache", "gc"]);
    assert!(said.code != 0 && said.err.contains("--keep") && said.err.contains("--older-than"), "{}", said.err);
    place.run(&["cache", "gc", "--older-than", "a while"]).exits(4).says("write it as `30d`");
    place.run(&["cache", "gc", "--older-than", "30d"]).exits(0).says("removed 0 objects");
    place.run(&["cache", "gc", "--older-than", "0s", "--dry-run"]).exits(0).says("would remove").says("computing what they hold took");
}

#[test]
fn a_run_moves_to_another_machine_and_runs_nothing_there() {
    let (one, two) = (Place::new(), Place::new());
    one.write("small.nf", SMALL);
    one.run(&["run", "small.nf"]).exits(0);
    one.run(&["cache", "export", "latest", "--out", "run.tar"]).exits(0).says("answers in run.tar");
    two.write("run.tar", std::fs::read(one.path().join("run.tar")).unwrap());
    two.run(&["cache", "import", "run.tar"]).exits(0).says("are in this cache");
    assert_eq!(one.results(), two.results());
    two.run(&["get", "tuning[\"sim1\"]", "-o", "tuning.csv"]).exits(0);
    two.run(&["cache", "verify"]).exits(0);
    two.write("small.nf", SMALL);
    // All but the simulated input, which no step made.
    two.run(&["run", "small.nf"]).exits(0).says("(0 tasks ran,");
    let mut bytes = std::fs::read(two.path().join("run.tar")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    two.write("run.tar", bytes);
    two.run(&["cache", "import", "run.tar"]).exits(4).says("run.tar");
}

#[test]
fn every_flipped_bit_is_found() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    let first = place.results();
    let mut files = Vec::new();
    for folder in ["objects", "segments"] {
        let mut folders = vec![place.path().join("cache").join(folder)];
        while let Some(next) = folders.pop() {
            for entry in std::fs::read_dir(next).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() { folders.push(path) } else { files.push(path) }
            }
        }
    }
    assert!(files.len() > 5);
    for (number, path) in files.iter().enumerate() {
        let whole = std::fs::read(path).unwrap();
        let mut flipped = whole.clone();
        let at = (number * 7919 + 13) % whole.len();
        flipped[at] ^= 1 << (number % 8);
        // Objects are read-only: the file is replaced.
        std::fs::remove_file(path).unwrap();
        std::fs::write(path, flipped).unwrap();
    }
    place.run(&["cache", "verify"]).exits(3).says("damaged");
    place.run(&["cache", "verify"]).exits(0);
    place.run(&["run", "small.nf"]).exits(0);
    assert_eq!(first, place.results());
}

#[test]
fn a_cache_of_a_newer_version_is_refused() {
    let place = Place::new();
    place.write("cache/format", "neuroflow cache 99\n");
    place.run(&["cache", "stats"]).exits(4).says("has format 99").says("NEUROFLOW_CACHE");
}

/// Spoils an object: its file, or its place in a segment, 64 bytes behind the beginning of its frame.
fn spoil(place: &Place, digest: &str) {
    let path = place.path().join("cache/objects").join(&digest[..2]).join(&digest[2..]);
    if let Ok(found) = path.metadata() {
        // Objects are read-only: the file is replaced.
        std::fs::remove_file(&path).unwrap();
        std::fs::write(&path, vec![0u8; found.len() as usize]).unwrap();
        return;
    }
    let key: Vec<u8> = (0..32).map(|at| u8::from_str_radix(&digest[2 * at..2 * at + 2], 16).unwrap()).collect();
    for entry in std::fs::read_dir(place.path().join("cache/segments")).unwrap() {
        let path = entry.unwrap().path();
        let mut bytes = std::fs::read(&path).unwrap();
        if path.extension().is_some_and(|ending| ending == "cold")
            && let Some(at) = bytes.windows(32).position(|window| window == key)
        {
            bytes[at + 40] ^= 1;
            std::fs::write(&path, bytes).unwrap();
        }
    }
}

#[test]
fn a_damaged_list_of_tasks_is_told_and_written_anew() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    // The second run computes nothing, so the next one has the same list.
    place.run(&["run", "small.nf"]).exits(0);
    let latest = std::fs::read_to_string(place.path().join("cache/runs/latest")).unwrap();
    let record = std::fs::read(place.path().join(format!("cache/runs/{latest}.json"))).unwrap();
    let record: serde_json::Value = serde_json::from_slice(&record).unwrap();
    place.run(&["cache", "pin", "latest"]).exits(0);
    spoil(&place, record["tasks"].as_str().unwrap());
    place.run(&["cache", "gc", "--keep", "0B"]).exits(4).says("nothing is collected").says("cache unpin");
    place.run(&["get", "tuning[\"sim1\"]", "-o", "x.csv"]).exits(4).says("the list of tasks of run").says("in quarantine");
    place.run(&["run", "small.nf"]).exits(0).says("(0 tasks ran,");
    place.run(&["get", "tuning[\"sim1\"]", "-o", "x.csv"]).exits(0);
    place.run(&["cache", "gc", "--keep", "0B"]).exits(0).says("because runs are pinned");
}

#[test]
fn a_damaged_input_is_made_anew() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    let first = place.results();
    // The largest object: the simulated sessions in one.
    let folders = std::fs::read_dir(place.path().join("cache/objects")).unwrap();
    let files = folders.flat_map(|folder| std::fs::read_dir(folder.unwrap().path()).unwrap());
    let largest = files.map(|file| file.unwrap().path()).max_by_key(|path| path.metadata().unwrap().len()).unwrap();
    let length = largest.metadata().unwrap().len() as usize;
    std::fs::remove_file(&largest).unwrap();
    std::fs::write(&largest, vec![0u8; length]).unwrap();
    place.run(&["run", "small.nf"]).exits(0);
    assert_eq!(first, place.results());
    place.run(&["cache", "stats"]).exits(0).says("1 objects in quarantine");
}

#[test]
fn settings_that_are_not_understood_are_refused() {
    let place = Place::new();
    for (name, allowed) in [("NEUROFLOW_LOCKS", "`system` or `lease`"), ("NEUROFLOW_LEASE_SECONDS", "from 0.1 to 86400")] {
        let refused = said(place.command().args(["cache", "stats"]).env(name, "foo").output().unwrap());
        refused.exits(4).says(&format!("{name}=foo")).says(allowed);
    }
}
