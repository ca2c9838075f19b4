//! Nothing that a program started survives it, whatever it did to hide, and however neuroflow ended.

#![cfg(target_os = "linux")]

use crate::support::{Place, said};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

fn pipeline(command: &str, with: &str) -> String {
    format!("pipeline p\nmade = exec(\"\"\"{command}\"\"\") -> file(\"x\"){with}\nreport r {{ made }}\n")
}

/// The living processes that have a word among their arguments.
fn alive(word: &str) -> Vec<String> {
    let entries = std::fs::read_dir("/proc").unwrap().flatten();
    let processes = entries.filter(|entry| entry.file_name().to_string_lossy().bytes().all(|byte| byte.is_ascii_digit()));
    let has = |entry: &std::fs::DirEntry| {
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|argument| argument == word.as_bytes())
    };
    processes.filter(has).map(|entry| entry.file_name().to_string_lossy().into_owned()).collect()
}

/// Waits until something is so.
#[track_caller]
fn until(what: &str, is: impl Fn() -> bool) {
    let began = Instant::now();
    while !is() {
        assert!(began.elapsed() < Duration::from_secs(30), "not after 30 s: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// A word that no other process has among its arguments.
fn word(place: &Place) -> String {
    format!("word-{}", place.path().file_name().unwrap().to_string_lossy().trim_start_matches('.'))
}

/// A command that leaves a daemon behind: no environment, a session of its own, two generations, no output, deaf to every polite signal.
fn daemon(word: &str) -> String {
    format!(
        "env -i setsid sh -c 'setsid sh -c \"trap : TERM HUP INT QUIT; exec <&- >&- 2>&-; cd /; : > $PWD/dev/null; while :; do sleep 1; done\" {word} & \
         setsid nohup sh -c \"while :; do sleep 1; done\" {word} >/dev/null 2>&1 & sleep 0.05' & wait $!; "
    )
}

/// Whether a program of the place has written a file into its folder.
fn has_begun(place: &Place, file: &str) -> bool {
    let scratch = place.path().join("cache/scratch");
    let folders = |path: &Path| std::fs::read_dir(path).into_iter().flatten().flatten().map(|entry| entry.path()).collect::<Vec<_>>();
    folders(&scratch).iter().flat_map(|process| folders(process)).any(|folder| folder.join(file).exists())
}

fn start(place: &Place) -> Child {
    place.command().args(["run", "p.nf"]).stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap()
}

fn kill(signal: &str, process: u32) {
    assert!(Command::new("kill").args(["-s", signal, &process.to_string()]).status().unwrap().success());
}

#[test]
fn daemons_end_with_the_program_that_started_them() {
    for sandbox in ["best", "off"] {
        let place = Place::new();
        let word = word(&place);
        place.write("p.nf", pipeline(&format!("{} echo done > {{{{ out }}}}", daemon(&word)), ""));
        said(place.command().env("NEUROFLOW_SANDBOX", sandbox).args(["run", "p.nf"]).output().unwrap()).exits(0);
        assert_eq!(alive(&word), Vec::<String>::new());
        // And when it fails, and when its time is over.
        place.write("p.nf", pipeline(&format!("{} exit 1; echo > {{{{ out }}}}", daemon(&word)), ""));
        said(place.command().env("NEUROFLOW_SANDBOX", sandbox).args(["run", "p.nf"]).output().unwrap()).exits(3);
        assert_eq!(alive(&word), Vec::<String>::new());
        place.write(
            "p.nf",
            pipeline(&format!("{} trap : TERM; while :; do sleep 1; done; echo > {{{{ out }}}}", daemon(&word)), " with time = 500 ms"),
        );
        said(place.command().env("NEUROFLOW_SANDBOX", sandbox).args(["run", "p.nf"]).output().unwrap())
            .exits(3)
            .says("ran longer than 0.5 s");
        assert_eq!(alive(&word), Vec::<String>::new());
    }
}

#[test]
fn nothing_survives_a_killed_neuroflow_and_the_next_run_cleans_up() {
    let place = Place::new();
    let word = word(&place);
    let wait = format!("{} sh -c 'echo > begun; while :; do sleep 1; done' {word}; echo > {{{{ out }}}}", daemon(&word));
    place.write("p.nf", pipeline(&wait, ""));
    let mut run = start(&place);
    until("the program began", || has_begun(&place, "begun"));
    assert!(!alive(&word).is_empty());
    run.kill().unwrap();
    run.wait().unwrap();
    until("everything ended", || alive(&word).is_empty());
    place.write("p.nf", pipeline("echo > {{ out }}", ""));
    place.run(&["run", "p.nf"]).exits(0);
    assert_eq!(std::fs::read_dir(place.path().join("cache/scratch")).unwrap().count(), 0);
}

#[test]
fn nothing_survives_when_neuroflow_and_its_supervisors_are_killed_and_another_run_begins() {
    let place = Place::new();
    let word = word(&place);
    place.write("p.nf", pipeline(&format!("sh -c 'echo > begun; while :; do sleep 1; done' {word}; echo > {{{{ out }}}}"), ""));
    let mut run = start(&place);
    until("the program began", || has_begun(&place, "begun"));
    let parent = |process: &str| {
        let text = std::fs::read_to_string(format!("/proc/{process}/stat")).unwrap_or_default();
        text.rsplit(')').next().unwrap_or_default().split_whitespace().nth(1).unwrap_or_default().to_owned()
    };
    // From the program up to its supervisor, which is the child of neuroflow.
    let mut process = alive(&word).first().unwrap().clone();
    while parent(&process) != run.id().to_string() {
        process = parent(&process);
    }
    // Neuroflow can't take note any more while it is stopped.
    kill("STOP", run.id());
    kill("KILL", process.parse().unwrap());
    run.kill().unwrap();
    run.wait().unwrap();
    place.write("p.nf", pipeline("echo > {{ out }}", ""));
    place.run(&["run", "p.nf"]).exits(0);
    until("everything ended", || alive(&word).is_empty());
}

#[test]
fn a_supervisor_that_is_killed_fails_its_step_and_leaves_nothing() {
    let place = Place::new();
    let word = word(&place);
    // Without a sandbox a program can do even that to the process above it.
    place.write("p.nf", pipeline(&format!("sh -c 'while :; do sleep 1; done' {word} & kill -9 $PPID; sleep 60; echo > {{{{ out }}}}"), ""));
    let told = said(place.unboxed().args(["run", "p.nf"]).output().unwrap());
    told.exits(3).says("its supervisor ended");
    assert_eq!(alive(&word), Vec::<String>::new());
    // In a sandbox it can't.
    place.write("p.nf", pipeline("if kill -9 $PPID; then exit 1; fi; echo > {{ out }}", ""));
    place.run(&["run", "p.nf"]).exits(0);
}

#[test]
fn a_stopped_run_ends_its_programs() {
    let place = Place::new();
    let word = word(&place);
    place.write(
        "p.nf",
        pipeline(
            &format!("{} sh -c 'trap : INT TERM; echo > begun; while :; do sleep 1; done' {word}; echo > {{{{ out }}}}", daemon(&word)),
            "",
        ),
    );
    let run = start(&place);
    until("the program began", || has_begun(&place, "begun"));
    kill("INT", run.id());
    said(run.wait_with_output().unwrap()).exits(130);
    assert_eq!(alive(&word), Vec::<String>::new());
}

#[test]
fn a_program_that_starts_too_many_processes_is_stopped_with_all_of_them() {
    let place = Place::new();
    let word = word(&place);
    // Two to the power of nine at most, should it not be stopped; each in a group of its own.
    let bomb = format!(
        "f() {{ if test $1 -gt 0; then f $(($1 - 1)) & f $(($1 - 1)) & fi; exec setsid sh -c 'sleep 60; :' {word}; }}; f 9 & wait; echo > {{{{ out }}}}"
    );
    place.write("p.nf", pipeline(&bomb, ""));
    let mut command = place.command();
    said(command.env("NEUROFLOW_PROCESSES", "100").args(["run", "p.nf"]).output().unwrap())
        .exits(3)
        .says("processes at once, and may have 100");
    assert_eq!(alive(&word), Vec::<String>::new());
    assert_eq!(std::fs::read_dir(place.path().join("cache/scratch")).unwrap().count(), 0);
}

#[test]
fn a_program_that_prints_a_gigabyte_fills_nothing_and_is_not_slow() {
    let place = Place::new();
    place.write("p.nf", pipeline("echo the beginning; head -c 1000000000 /dev/zero; echo the end; echo > {{ out }}; exit 3", ""));
    let began = Instant::now();
    place.run(&["run", "p.nf"]).exits(3).says("the end");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
    assert_eq!(std::fs::read_dir(place.path().join("cache/scratch")).unwrap().count(), 0);
}

#[test]
fn a_program_that_closes_its_output_is_waited_for() {
    let place = Place::new();
    place.write("p.nf", pipeline("exec >&- 2>&-; sleep 0.3; echo late > {{ out }}", ""));
    place.run(&["run", "p.nf"]).exits(0);
    assert_eq!(place.run(&["get", "made", "-o", "-"]).exits(0).out, "late\n");
}
