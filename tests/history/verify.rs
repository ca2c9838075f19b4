//! `verify`: what is stored, and what is computed again.

use super::Lab;
use crate::support::{Place, SMALL};

/// Where the record of the latest run is.
fn record_of(place: &Place) -> std::path::PathBuf {
    place.path().join(format!("cache/runs/{}.json", place.record()["id"].as_str().unwrap()))
}

#[test]
fn a_run_is_what_was_recorded_and_leaves_nothing_behind() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    // Another pipeline since; the run knows its own.
    place.write("small.nf", "pipeline other \"Another\"\n");
    let told = place.run(&["verify"]).exits(0).says("record: as it was written").says("0 damaged").says("the run is what was recorded");
    for (step, tasks) in [("responses", "3"), ("direction", "9"), ("tuning", "3")] {
        let line = told.out.lines().find(|line| line.starts_with(step)).unwrap();
        assert_eq!(line.split_whitespace().collect::<Vec<_>>(), [step, tasks, "same", "bytes"], "{}", told.out);
    }
    let left: Vec<_> = std::fs::read_dir(place.path().join("cache/scratch")).into_iter().flatten().collect();
    assert!(left.is_empty(), "{left:?}");
    place.run(&["verify", "latest", "--stored"]).exits(0).says("the run is what was recorded");
    place.run(&["verify", "2031"]).exits(4).says("there is no run `2031`");
    // Only what was asked for is computed again.
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf", "--until", "tuning", "--controls", "off"]).exits(0);
    let told = place.run(&["verify"]).exits(0);
    assert!(told.out.contains("tuning") && !told.out.contains("direction"), "{}", told.out);
}

#[test]
fn a_record_that_was_changed_is_found() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    let path = record_of(&place);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replacen("\"pipeline\":\"small\"", "\"pipeline\":\"Small\"", 1)).unwrap();
    place.run(&["verify", "--stored"]).exits(1).says("record: changed since it was written").says("the run is not what was recorded");
    // A better score than it had.
    let value = text.find("\"value\":0.").unwrap() + "\"value\":0.".len();
    let mut better = text.clone();
    better.replace_range(value..=value, if &text[value..=value] == "9" { "8" } else { "9" });
    std::fs::write(&path, better).unwrap();
    place.run(&["verify"]).exits(1).says("record: changed since it was written");
    std::fs::write(&path, &text[..text.len() / 2]).unwrap();
    place.run(&["verify"]).exits(1).says("record: changed since it was written").says("can't be read");
    std::fs::write(&path, &text).unwrap();
    place.run(&["verify"]).exits(0);
}

#[test]
fn an_object_that_was_changed_is_found_and_named() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    let record = place.record();
    let digest = record["results"]["responses[\"sim2\"]"]["responses"][1].as_str().unwrap().to_owned();
    let path = place.path().join("cache/objects").join(&digest[..2]).join(&digest[2..]);
    let mut bytes = std::fs::read(&path).unwrap();
    let last = bytes.len() - 9;
    bytes[last] ^= 1;
    std::fs::remove_file(&path).unwrap();
    std::fs::write(&path, bytes).unwrap();
    place.run(&["verify", "--stored"]).exits(1).says("1 damaged").says("damaged: responses of responses[\"sim2\"]");
    // Computed again, it is what was recorded; the damage is still told.
    place.run(&["verify"]).exits(1).says("1 damaged").says("same bytes");
}

#[test]
fn a_program_that_gives_something_else_each_time_is_found_with_its_place() {
    let place = Place::new();
    let text = "pipeline noisy \"A noisy one\"\nnoise = exec(\"echo x > {{ out }}; date +%N | sed 's/^0*//' >> {{ out }}\") -> table(\"noise.csv\")\n\
                words = exec(\"echo y > {{ out }}; echo 7 >> {{ out }}\") -> table(\"words.csv\")\nreport r { noise, words }\n";
    place.write("noisy.nf", text);
    place.run(&["run", "noisy.nf"]).exits(0);
    let told = place.run(&["verify"]).exits(1).says("differs (1 of 1)").says("column `x`").says("the run is not what was recorded");
    assert!(told.out.lines().any(|line| line.starts_with("words") && line.ends_with("same bytes")), "{}", told.out);
}

#[test]
fn results_of_stages_that_are_not_exact_are_held_to_their_tolerance() {
    let lab = Lab::new();
    lab.run(&["run", "lab.nf"]).exits(0);
    // All files of the run are gone: it has its own.
    for file in ["lab.nf", "parts/decoder.nf", "tools/total.sh", "data/weights.csv", "data/day-1.csv", "data/day-2.csv", "notes/one.txt"] {
        std::fs::remove_file(lab.folder.join(file)).unwrap();
    }
    let told = lab.run(&["verify"]).exits(0);
    for step in ["total", "noted", "rates", "decoder/direction"] {
        assert!(told.out.lines().any(|line| line.starts_with(step) && line.ends_with("same bytes")), "{step}: {}", told.out);
    }
}
