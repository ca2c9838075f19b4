//! Inputs that change while they are read: what a run says that it took is what it computed with.

use super::knob;
use crate::support::Place;
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};

const PIPELINE: &str = "pipeline p\ninput data = file(\"data.bin\")\n\
    twice = exec(\"cat {{ data }} {{ data }} > {{ out }}\", data = data) -> file(\"twice\")\nreport r { twice }\n";

/// Two contents of the same size, so that only the bytes tell them apart; large enough that reading takes a while.
fn content(letter: u8) -> Vec<u8> {
    vec![letter; 4 << 20]
}

/// Runs while `change` goes on. Each result must be one of the two contents, whole, and the one whose digest the record names.
fn campaign(place: &Place, change: impl Fn(usize) + Sync) {
    place.write("p.nf", PIPELINE);
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0;
            while !over.load(Ordering::Relaxed) {
                change(number);
                number += 1;
            }
        });
        let mut pairs = BTreeSet::new();
        for round in 0..knob("NEUROFLOW_FAULT_ROUNDS", 4) {
            let said = place.run(&["run", "p.nf", "--quiet"]);
            if said.code != 0 {
                // A file that never stands still may be refused, in words.
                over.store(true, Ordering::Relaxed);
                panic!("round {round}: {}\n{}", said.out, said.err);
            }
            let record = place.record();
            let digest = record["inputs"][0]["members"][0][1].as_str().unwrap().to_owned();
            place.run(&["get", "twice", "-o", "twice.out"]).exits(0);
            let bytes = std::fs::read(place.path().join("twice.out")).unwrap();
            let letter = bytes[0];
            assert_eq!(bytes.len(), 8 << 20, "round {round}");
            assert!(bytes.iter().all(|byte| *byte == letter), "round {round}: a mixture of two contents was taken");
            assert_eq!(digest, neuroflow_cache::Digest::of(&content(letter)).to_string(), "round {round}");
            pairs.insert(digest);
        }
        over.store(true, Ordering::Relaxed);
        assert!(pairs.len() <= 2);
    });
}

fn replace(path: &Path, bytes: &[u8]) {
    let aside = path.with_extension("aside");
    std::fs::write(&aside, bytes).unwrap();
    std::fs::rename(&aside, path).unwrap();
}

#[test]
fn a_file_that_is_replaced_while_it_is_read_is_taken_whole() {
    let place = Place::new();
    let path = place.write("data.bin", content(b'a'));
    campaign(&place, |number| replace(&path, &content(if number % 2 == 0 { b'b' } else { b'a' })));
}

#[test]
#[cfg(unix)]
fn a_link_that_is_swapped_while_it_is_followed_gives_one_of_its_targets() {
    let place = Place::new();
    place.write("one", content(b'a'));
    place.write("two", content(b'b'));
    let link = place.path().join("data.bin");
    std::os::unix::fs::symlink("one", &link).unwrap();
    campaign(&place, |number| {
        let aside = link.with_extension("aside");
        let _ = std::fs::remove_file(&aside);
        std::os::unix::fs::symlink(if number % 2 == 0 { "two" } else { "one" }, &aside).unwrap();
        std::fs::rename(&aside, &link).unwrap();
    });
}

/// Written in place, a file has no moment in which it is whole; it is taken when it stands still for long enough to be read.
#[test]
fn a_file_that_is_edited_in_place_while_it_is_hashed_is_never_a_mixture() {
    use std::io::{Seek, SeekFrom, Write};
    let place = Place::new();
    place.write("p.nf", PIPELINE);
    let path = place.write("data.bin", content(b'a'));
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut file = std::fs::OpenOptions::new().write(true).open(&path).unwrap();
            let mut letter = b'a';
            while !over.load(Ordering::Relaxed) {
                letter = if letter == b'a' { b'b' } else { b'a' };
                file.seek(SeekFrom::Start(0)).unwrap();
                for part in content(letter).chunks(64 << 10) {
                    file.write_all(part).unwrap();
                }
            }
        });
        let mut codes = Vec::new();
        for _ in 0..knob("NEUROFLOW_FAULT_ROUNDS", 3) {
            let said = place.run(&["run", "p.nf", "--quiet"]);
            codes.push(said.code);
            if said.code == 0 {
                // What was taken may be any moment's bytes, but the result is made of just those.
                let record = place.record();
                place.run(&["get", "twice", "-o", "twice.out"]).exits(0);
                let bytes = std::fs::read(place.path().join("twice.out")).unwrap();
                let (one, two) = bytes.split_at(bytes.len() / 2);
                assert!(one == two, "the same input was read twice and differed");
                let digest = record["inputs"][0]["members"][0][1].as_str().unwrap();
                assert_eq!(digest, neuroflow_cache::Digest::of(one).to_string());
            } else {
                said.exits(4).says("data.bin");
            }
        }
        over.store(true, Ordering::Relaxed);
    });
    // When it stands still, it is taken as it is.
    std::fs::write(&path, content(b'c')).unwrap();
    place.run(&["run", "p.nf", "--quiet"]).exits(0);
    place.run(&["get", "twice", "-o", "twice.out"]).exits(0);
    assert!(std::fs::read(place.path().join("twice.out")).unwrap() == [content(b'c'), content(b'c')].concat());
}
