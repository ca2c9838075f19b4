//! Threads, interruptions, and several runs at once.

use crate::support::{Place, SMALL, published};
use std::process::Stdio;

#[test]
fn one_core_and_two_give_the_same_bytes() {
    let (one, two) = (Place::new(), Place::new());
    for (place, cores) in [(&one, "1"), (&two, "2")] {
        place.write("small.nf", SMALL);
        place.run(&["run", "small.nf", "--cores", cores]).exits(0);
    }
    assert_eq!(one.results(), two.results());
}

#[test]
#[cfg(unix)]
fn an_interrupted_run_keeps_what_is_done_and_says_so() {
    let undisturbed = Place::new();
    undisturbed.write("small.nf", SMALL);
    undisturbed.run(&["run", "small.nf"]).exits(0);
    let place = Place::new();
    // Enough draws that the run is still going when it is interrupted.
    place.write("small.nf", SMALL.replace("draws = 10", "draws = 100000"));
    let mut child = place.command().args(["run", "small.nf"]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
    while published(&place) < published(&undisturbed) && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    crate::support::said(output).exits(130).says("stopping").says("interrupted");
    place.run(&["runs"]).exits(0).says("interrupted");
    place.run(&["cache", "verify"]).exits(0);
    place.run(&["run", "small.nf", "--set", "draws=20"]).exits(0);
}

/// A pipeline of one slow program that notes each start in a file outside.
fn slow(place: &Place, seconds: &str) -> std::path::PathBuf {
    let starts = place.path().join("starts");
    let text = format!(
        "pipeline p\ninput sessions = ingest.simulate(trials_per_direction = 4, units = [6, 6, 6], communities = 2)\n\
         r = ingest.trials(sessions[\"sim1\"])\n\
         made = exec(\"echo x >> '{}'; sleep {seconds}; wc -c < {{{{ r }}}} > {{{{ out }}}}\", r = r) -> file(\"n\")\nreport rep {{ made }}\n",
        starts.display()
    );
    place.write("p.nf", text);
    starts
}

fn count_starts(path: &std::path::Path) -> usize {
    std::fs::read_to_string(path).map_or(0, |text| text.lines().count())
}

#[test]
fn what_several_processes_want_runs_once() {
    let place = Place::new();
    let starts = slow(&place, "0.4");
    let start = || place.unboxed().args(["run", "p.nf"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    for child in [start(), start(), start(), start()] {
        crate::support::said(child.wait_with_output().unwrap()).exits(0);
    }
    assert_eq!(count_starts(&starts), 1);
    assert_eq!(std::fs::read_dir(place.path().join("cache/claims")).unwrap().count(), 0);
}

#[test]
fn a_dead_owner_is_taken_over_and_the_wait_is_told() {
    let place = Place::new();
    // The second start is fast; a program works in `cache/scratch/PROCESS/NUMBER`.
    let starts = slow(&place, "$(( $(wc -l < ../../../../starts) > 1 ? 0 : 60 ))");
    let mut owner = place.unboxed().args(["run", "p.nf"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
    while count_starts(&starts) == 0 {
        std::thread::yield_now();
    }
    let mut waiter = place.unboxed().args(["run", "p.nf"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    // It says for whom it waits, before anything else happens.
    let mut said = [0; 11];
    std::io::Read::read_exact(waiter.stderr.as_mut().unwrap(), &mut said).unwrap();
    assert_eq!(&said, b"waiting for");
    assert_eq!(count_starts(&starts), 1);
    owner.kill().unwrap();
    owner.wait().unwrap();
    let killed = std::time::Instant::now();
    crate::support::said(waiter.wait_with_output().unwrap()).exits(0);
    assert!(killed.elapsed().as_secs() < 10, "the take-over took {:?}", killed.elapsed());
    assert_eq!(count_starts(&starts), 2);
}

#[test]
fn two_runs_at_once_share_a_cache() {
    let place = Place::new();
    place.write("small.nf", SMALL);
    let start = || place.command().args(["run", "small.nf"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let (one, two) = (start(), start());
    for child in [one, two] {
        crate::support::said(child.wait_with_output().unwrap()).exits(0);
    }
    place.run(&["cache", "verify"]).exits(0);
    place.run(&["run", "small.nf"]).exits(0).says("(0 tasks ran,");
}
