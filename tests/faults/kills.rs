//! Killed at any moment, the next run goes on where the last was: with the same results, and without computing again what was published.

use super::{knob, mixed};
use crate::support::{Place, published};
use serde_json::Value;
use std::process::Stdio;

/// Whose results the cache can answer: the labels of tasks that a dry run does not list as missing.
fn cached(place: &Place) -> u64 {
    let said = place.run(&["run", "mixed.nf", "--dry"]).exits(0);
    let end = said.out.lines().last().unwrap().to_owned();
    end.rsplit(' ').nth(4).and_then(|number| number.parse().ok()).unwrap_or_else(|| panic!("{end}"))
}

#[test]
fn killed_at_any_moment_the_next_run_goes_on() {
    let undisturbed = mixed();
    undisturbed.run(&["run", "mixed.nf"]).exits(0);
    let (expected, total) = (undisturbed.results(), published(&undisturbed));
    // Some are the same question, and answered once.
    let tasks = counts(&undisturbed)["ran"].as_u64().unwrap() + counts(&undisturbed)["cached"].as_u64().unwrap();
    let kills = knob("NEUROFLOW_KILLS", 3);
    let mut went_on = 0;
    for kill in 0..kills {
        let place = mixed();
        // Each kill waits for another number of published bytes, spread over the whole run.
        let after = total * (kill + 1) / (kills + 1);
        let mut child = place.command().args(["run", "mixed.nf"]).stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        while published(&place) < after && child.try_wait().unwrap().is_none() {
            std::thread::yield_now();
        }
        // SIGKILL on Unix: no handler runs.
        let _ = child.kill();
        child.wait().unwrap();
        place.run(&["cache", "verify"]).exits(0);
        let known = cached(&place);
        place.run(&["run", "mixed.nf"]).exits(0);
        assert_eq!(expected, place.results(), "kill {kill} after {after} bytes");
        let counts = counts(&place);
        let (ran, taken) = (counts["ran"].as_u64().unwrap(), counts["cached"].as_u64().unwrap());
        assert_eq!(ran + taken, tasks, "kill {kill}");
        // What a dry run can't know yet may be there as well.
        assert!(taken >= known, "kill {kill}: {known} results were published, {taken} were taken");
        went_on += taken.min(1);
    }
    assert!(went_on > 0, "no kill came when something was published");
}

fn counts(place: &Place) -> Value {
    place.record()["counts"].clone()
}
