//! A disk that takes no more: a message, nothing lost, and the next run goes on.

#![cfg(unix)]

use crate::support::{Place, SMALL, said};
use std::process::Command;

/// What an undisturbed run gives.
fn undisturbed() -> serde_json::Value {
    let place = Place::new();
    place.write("small.nf", SMALL);
    place.run(&["run", "small.nf"]).exits(0);
    place.results()
}

/// The place's environment for another program that starts neuroflow.
fn through(place: &Place, program: &str, script: &str) -> Command {
    let neuroflow = place.command();
    let mut command = Command::new(program);
    command.current_dir(place.path());
    if program == "unshare" {
        command.args(["--user", "--map-root-user", "--mount", "sh"]);
    }
    command.args(["-c", script]).env("NEUROFLOW", neuroflow.get_program());
    for (name, value) in neuroflow.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    command
}

#[test]
fn files_that_may_not_grow_fail_the_step_and_the_next_run_goes_on() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    // No file above 16 KiB may be written: the sessions do not fit, smaller results do.
    let script = "ulimit -f 32; trap '' XFSZ; exec \"$NEUROFLOW\" run small.nf";
    let told = said(through(&place, "sh", script).output().unwrap());
    assert!([3, 4].contains(&told.code), "{}\n{}", told.out, told.err);
    told.says("File too large");
    place.run(&["cache", "verify"]).exits(0);
    place.run(&["run", "small.nf"]).exits(0);
    assert_eq!(undisturbed(), place.results());
}

#[test]
fn a_full_disk_fails_the_step_and_what_was_published_stays() {
    let expected = undisturbed();
    let mut filled = 0;
    for kib in [16, 200, 400, 600] {
        let place = Place::new();
        place.write("small.nf", SMALL);
        std::fs::create_dir(place.path().join("cache")).unwrap();
        // A file system of its own, filled by the run. What it holds is copied out before it is gone.
        let script = format!(
            "mount -t tmpfs -o size={kib}k tmpfs cache || exit 99\n\
             \"$NEUROFLOW\" run small.nf; code=$?\n\
             \"$NEUROFLOW\" cache verify >verify.txt 2>&1 || exit 98\n\
             cp -a cache copy; exit $code"
        );
        let Ok(output) = through(&place, "unshare", &script).output() else {
            println!("skipped: there is no `unshare` here");
            return;
        };
        let told = said(output);
        if told.code == 99 || told.err.contains("unshare") {
            println!("skipped: no file system can be mounted here: {}", told.err);
            return;
        }
        if told.code != 0 {
            filled += 1;
            assert!([3, 4].contains(&told.code), "{kib} KiB: {}\n{}\n{}", told.code, told.out, told.err);
            told.says("the disk is full");
        }
        std::fs::remove_dir(place.path().join("cache")).unwrap();
        std::fs::rename(place.path().join("copy"), place.path().join("cache")).unwrap();
        place.run(&["run", "small.nf"]).exits(0);
        assert_eq!(expected, place.results(), "{kib} KiB");
    }
    assert!(filled >= 2, "the disks were not filled");
}
