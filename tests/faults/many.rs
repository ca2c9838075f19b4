//! Many processes, one cache: work is done once, nothing is damaged, whoever dies and whoever collects.

#![cfg(unix)]

use super::knob;
use crate::support::{Place, said};
use std::path::PathBuf;
use std::process::{Child, Stdio};

const PROCESSES: usize = 8;
const STEPS: usize = 3;

/// A pipeline of programs that note each start in a file outside; the parameter makes them new.
fn prepare() -> (Place, PathBuf) {
    let place = Place::new();
    let starts = place.path().join("starts");
    let mut text = "pipeline p\nparam round = 0\n".to_owned();
    for step in 0..STEPS {
        let before = if step == 0 { String::new() } else { format!(", before = s{}", step - 1) };
        let read = if step == 0 { "" } else { "cat {{ before }};" };
        text += &format!(
            "s{step} = exec(\"echo s{step} {{{{ round }}}} >> '{}'; ({read} echo s{step} {{{{ round }}}}) > {{{{ out }}}}\", round = param.round{before}) -> file(\"n\")\n",
            starts.display()
        );
    }
    text += &format!("report r {{ s{} }}\n", STEPS - 1);
    place.write("p.nf", text);
    (place, starts)
}

fn start(place: &Place, round: u64, locks: &str) -> Child {
    let mut command = place.unboxed();
    command.args(["run", "p.nf", "--cores", "1", "--set", &format!("round={round}")]).env("NEUROFLOW_LOCKS", locks);
    command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Rounds of many processes that want the same; in every third one of them is killed, in every fourth the cache is collected meanwhile.
fn campaign(locks: &str, rounds: u64) {
    let (place, starts) = prepare();
    for round in 0..rounds {
        let mut children: Vec<Child> = (0..PROCESSES).map(|_| start(&place, round, locks)).collect();
        let killed = round % 3 == 2;
        if killed {
            let mut child = children.remove(0);
            let _ = child.kill();
            child.wait().unwrap();
        }
        if round % 4 == 3 {
            let mut command = place.command();
            let collected = said(command.args(["cache", "gc", "--keep", "0B"]).env("NEUROFLOW_LOCKS", locks).output().unwrap());
            // Where there are only leases, a collector does not work beside others.
            assert!(collected.code == 0 || locks == "lease" && collected.err.contains("try again when it has ended"), "{}", collected.err);
        }
        for child in children {
            said(child.wait_with_output().unwrap()).exits(0);
        }
        let log = std::fs::read_to_string(&starts).unwrap();
        for step in 0..STEPS {
            let line = format!("s{step} {round}");
            let count = log.lines().filter(|found| *found == line).count();
            // Two who want a result at the moment when it is collected compute it again; so does whoever takes over from the dead.
            let most = 1 + usize::from(killed) + if round % 4 == 3 { PROCESSES } else { 0 };
            assert!((1..=most).contains(&count), "`{line}` ran {count} times");
        }
    }
    place.run(&["cache", "verify"]).exits(0);
    if locks == "system" {
        assert_eq!(std::fs::read_dir(place.path().join("cache/claims")).unwrap().count(), 0);
    }
    assert_eq!(std::fs::read_dir(place.path().join("cache/users")).unwrap().count(), 0, "a process did not sign off");
}

#[test]
fn eight_processes_do_everything_once() {
    campaign("system", knob("NEUROFLOW_FAULT_ROUNDS", 6));
}

#[test]
fn eight_processes_do_everything_once_where_locks_lie() {
    campaign("lease", knob("NEUROFLOW_FAULT_ROUNDS", 4));
}

/// A process that is stopped, not killed, is waited for as long as it may be thought alive; then its work is done by another, and it may go on later.
#[test]
fn where_locks_lie_a_stopped_process_is_taken_over_and_may_wake_up() {
    let place = Place::new();
    let starts = place.path().join("starts");
    let text = format!(
        "pipeline p\ns = exec(\"echo x >> '{}'; [ $(wc -l < '{0}') -gt 1 ] || sleep 60; echo done > {{{{ out }}}}\") -> file(\"n\")\nreport r {{ s }}\n",
        starts.display()
    );
    place.write("p.nf", text);
    let run = || {
        let mut command = place.unboxed();
        command.args(["run", "p.nf"]).env("NEUROFLOW_LOCKS", "lease").env("NEUROFLOW_LEASE_SECONDS", "4");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let signal = |name: &str, child: &Child| {
        assert!(std::process::Command::new("kill").args([name, &child.id().to_string()]).status().unwrap().success())
    };
    let mut stopped = run();
    while std::fs::read_to_string(&starts).unwrap_or_default().is_empty() {
        assert!(stopped.try_wait().unwrap().is_none(), "it ended before it began");
        std::thread::yield_now();
    }
    signal("-STOP", &stopped);
    let began = std::time::Instant::now();
    said(run().wait_with_output().unwrap()).exits(0).says("waiting for");
    assert!(began.elapsed().as_secs_f64() >= 3.5, "a living process was not waited for");
    assert_eq!(std::fs::read_to_string(&starts).unwrap().lines().count(), 2);
    signal("-CONT", &stopped);
    signal("-INT", &stopped);
    said(stopped.wait_with_output().unwrap()).exits(130);
    place.run(&["cache", "verify"]).exits(0);
    let again = place.run(&["run", "p.nf"]).exits(0);
    assert!(again.out.contains("(0 tasks ran,"), "{}", again.out);
}

/// A killed owner on this machine is dead at once: nobody waits for its beat.
#[test]
fn where_locks_lie_a_killed_process_is_taken_over_at_once() {
    let place = Place::new();
    let starts = place.path().join("starts");
    let text = format!(
        "pipeline p\ns = exec(\"echo x >> '{}'; [ $(wc -l < '{0}') -gt 1 ] || sleep 60; echo done > {{{{ out }}}}\") -> file(\"n\")\nreport r {{ s }}\n",
        starts.display()
    );
    place.write("p.nf", text);
    let run = || {
        let mut command = place.unboxed();
        command.args(["run", "p.nf"]).env("NEUROFLOW_LOCKS", "lease").env("NEUROFLOW_LEASE_SECONDS", "3600");
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    };
    let mut owner = run();
    while std::fs::read_to_string(&starts).unwrap_or_default().is_empty() {
        assert!(owner.try_wait().unwrap().is_none(), "it ended before it began");
        std::thread::yield_now();
    }
    owner.kill().unwrap();
    owner.wait().unwrap();
    let began = std::time::Instant::now();
    said(run().wait_with_output().unwrap()).exits(0);
    assert!(began.elapsed().as_secs() < 30, "the take-over took {:?}", began.elapsed());
}
