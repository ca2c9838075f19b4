//! Clocks that people set: forward, back, and to years that are not yet.

#![cfg(unix)]

use crate::support::{Place, Said, said};
use std::process::Command;

/// Runs neuroflow under another clock; none where `faketime` is not installed.
pub(crate) fn at(place: &Place, neuroflow: Command, when: &str, arguments: &[&str]) -> Option<Said> {
    let mut command = Command::new("faketime");
    command
        .current_dir(place.path())
        .env("NO_FAKE_STAT", "1")
        .env("DONT_FAKE_MONOTONIC", "1")
        .args(["-f", when])
        .arg(neuroflow.get_program())
        .args(arguments);
    for (name, value) in neuroflow.get_envs() {
        match value {
            Some(value) => command.env(name, value),
            None => command.env_remove(name),
        };
    }
    match command.output() {
        Ok(output) => Some(said(output)),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            println!("skipped: there is no `faketime` here (Debian: faketime)");
            None
        }
        Err(error) => panic!("{error}"),
    }
}

#[test]
fn a_clock_that_jumps_makes_nothing_run_again_and_nothing_stale() {
    let place = Place::new();
    place.write(
        "p.nf",
        "pipeline p\ninput data = csv(\"data.csv\")\nall = sql(\"select sum(x) as s from data\", data = data)\nreport r { all }\n",
    );
    place.write("data.csv", "x\n1\n2\n");
    let Some(first) = at(&place, place.command(), "+0", &["run", "p.nf"]) else { return };
    first.exits(0).says("(1 tasks ran, 0 cached)");
    for (round, when) in ["+3y", "-3y", "-1h", "+1d", "-20y", "+0"].into_iter().enumerate() {
        // Nothing changed: nothing runs, whatever the clock says.
        at(&place, place.command(), when, &["run", "p.nf"]).unwrap().exits(0).says("(0 tasks ran, 1 cached)");
        // A change of the same size, right after, and with a time that is older than the last one.
        let path = place.write("data.csv", format!("x\n{}\n2\n", 3 + round));
        let file = std::fs::File::options().write(true).open(&path).unwrap();
        file.set_modified(std::time::SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1_000_000_000 - round as u64)).unwrap();
        at(&place, place.command(), when, &["run", "p.nf"]).unwrap().exits(0).says("(1 tasks ran, 0 cached)");
        let shown = at(&place, place.command(), when, &["get", "all", "-o", "-", "--as", "csv"]).unwrap().exits(0);
        assert!(shown.out.contains(&format!("{}", 5 + round)), "{}", shown.out);
        // A collection by age takes nothing that was just used for old.
        at(&place, place.command(), when, &["cache", "gc", "--older-than", "1d"]).unwrap().exits(0);
        at(&place, place.command(), when, &["cache", "verify"]).unwrap().exits(0);
        at(&place, place.command(), when, &["run", "p.nf"]).unwrap().exits(0);
    }
    // Whichever run was last on the wall, results can be asked for.
    at(&place, place.command(), "+0", &["runs"]).unwrap().exits(0);
}
