//! What steps may hold of the machine, what happens to those that take more, and what is tried again.

use crate::support::Place;
use std::time::{Duration, Instant};

#[test]
fn a_program_that_fails_twice_is_tried_three_times_with_growing_pauses() {
    let place = Place::new();
    let count = place.write("count", "");
    let text = format!(
        "pipeline p\na = exec(\"echo x >> {0}; test $(wc -l < {0}) -ge 3; echo done > {{{{ out }}}}\") -> file(\"x\")\n  with retries = 2, backoff = 100 ms\nreport r {{ a }}\n",
        count.display()
    );
    place.write("p.nf", &text);
    let began = Instant::now();
    let output = place.command().env("NEUROFLOW_SANDBOX", "off").args(["run", "p.nf"]).output().unwrap();
    crate::support::said(output).exits(0).says("is tried again").says("note: programs run without a sandbox");
    assert!(began.elapsed() >= Duration::from_millis(300), "{:?}", began.elapsed());
    let record = place.record();
    assert_eq!(record["ran"][0]["attempts"], 3);
    assert!(record["ran"][0]["cpu_ms"].as_f64().is_some());
}

/// Holds so many mebibytes for half a second.
fn holding(mebibytes: u32, with: &str) -> String {
    format!(
        "pipeline p\na = exec(\"python3 -c 'import time; held = bytearray(b\\\"x\\\") * ({mebibytes} << 20); time.sleep(0.5)'; echo done > {{{{ out }}}}\") -> file(\"x\")\n  with {with}\nreport r {{ a }}\n"
    )
}

#[test]
fn a_program_that_runs_out_of_memory_is_stopped_or_given_more() {
    let place = Place::new();
    place.write("p.nf", holding(300, "memory = 100 MiB"));
    place
        .run(&["run", "p.nf"])
        .exits(3)
        .says("needed more memory than it may have")
        .says("may hold 100 MiB")
        .says("memory = 4 GiB .. 16 GiB");
    place.write("p.nf", holding(300, "memory = 100 MiB .. 1 GiB"));
    place.run(&["run", "p.nf"]).exits(0).says("it needed more memory than 100 MiB");
}

#[test]
fn a_pool_of_one_is_never_held_by_two() {
    let place = Place::new();
    let log = place.write("log", "");
    let text = format!(
        "pipeline p\nfor i in 0 .. 6 {{\n  a = exec(\"echo + >> {0}; sleep 0.05; echo - >> {0}; echo {{{{ i }}}} > {{{{ out }}}}\", i = i) -> file(\"x\")\n    with pool = licence\n}}\nreport r {{ a }}\n",
        log.display()
    );
    place.write("p.nf", text);
    let run = |arguments: &[&str]| {
        let output = place.command().env("NEUROFLOW_SANDBOX", "off").args(["run", "p.nf", "-j", "4"]).args(arguments).output().unwrap();
        crate::support::said(output)
    };
    run(&[]).exits(2).says("there is no pool `licence`").says("--pool licence=1");
    run(&["--pool", "licence=1"]).exits(0);
    assert_eq!(std::fs::read_to_string(&log).unwrap(), "+\n-\n".repeat(6));
}

const ISOLATED: &str = r#"pipeline isolated
input sessions = ingest.simulate(trials_per_direction = 8, units = [12, 10, 10], communities = 2)
for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
    with isolate = process
  direction = decode.classify(responses, target = "direction", folds = 4)
    with control = shuffle("direction", n = 20), seed = 1, isolate = process
}
report r { direction }
"#;

#[test]
fn a_stage_in_a_process_of_its_own_gives_the_same_bytes() {
    let (here, there) = (Place::new(), Place::new());
    here.write("p.nf", ISOLATED.replace(", isolate = process", "").replace("    with isolate = process\n", ""));
    here.run(&["run", "p.nf"]).exits(0);
    there.write("p.nf", ISOLATED);
    there.run(&["run", "p.nf"]).exits(0);
    assert_eq!(here.results(), there.results());
    let record = there.record();
    let ran = record["ran"].as_array().unwrap();
    let isolated = ran.iter().filter(|task| task["executor"] == "worker").count();
    assert!(isolated >= 3 * (1 + 1 + 2), "{isolated}");
    assert!(ran.iter().filter(|task| task["executor"] == "worker").all(|task| task["peak_bytes"].as_u64() > Some(1 << 20)));
}

#[test]
fn a_worker_that_dies_fails_its_task_and_not_the_run() {
    let place = Place::new();
    // Many draws, so that the worker is at work when it is killed.
    place.write("p.nf", ISOLATED.replace("n = 20", "n = 100000"));
    let mut child = place
        .command()
        .args(["run", "p.nf", "--keep-going", "-j", "2"])
        .stdout(std::process::Stdio::piped())
        .stderr(std::process::Stdio::piped())
        .spawn()
        .unwrap();
    let pattern = place.path().join("cache").display().to_string();
    let workers = || {
        let listed = std::process::Command::new("pgrep").args(["-f", &format!("worker --cache-dir {pattern}")]).output().unwrap();
        String::from_utf8(listed.stdout).unwrap().split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    };
    // Until a batch of draws is recorded, a worker is not at work on draws.
    let busy = || place.run(&["top", "--once"]).out.contains("shuffle");
    while !busy() && child.try_wait().unwrap().is_none() {
        std::thread::yield_now();
    }
    for worker in workers() {
        std::process::Command::new("kill").args(["-SEGV", &worker]).status().unwrap();
    }
    std::process::Command::new("kill").args(["-INT", &child.id().to_string()]).status().unwrap();
    let output = child.wait_with_output().unwrap();
    let said = crate::support::said(output);
    assert!(said.code == 130 || said.code == 3, "{}\n{}", said.out, said.err);
    said.says("interrupted");
    assert!(workers().is_empty(), "a worker outlived its run");
    place.run(&["cache", "verify"]).exits(0);
}

#[test]
fn a_timeline_names_what_ran_and_when() {
    let place = Place::new();
    place.write(
        "p.nf",
        "pipeline p\nfor i in 0 .. 3 {\n  a = exec(\"echo {{ i }} > {{ out }}\", i = i) -> file(\"x\")\n}\nreport r { a }\n",
    );
    place.run(&["run", "p.nf", "--profile", "trace.json"]).exits(0).says("timeline: trace.json");
    let trace: serde_json::Value = serde_json::from_str(&std::fs::read_to_string(place.path().join("trace.json")).unwrap()).unwrap();
    let spans: Vec<&serde_json::Value> = trace["traceEvents"].as_array().unwrap().iter().filter(|event| event["ph"] == "X").collect();
    assert_eq!(spans.len(), 3);
    assert!(spans.iter().all(|span| span["dur"].as_f64().unwrap() > 0.0 && span["args"]["stage"] == "exec"));
    place.run(&["top", "--once"]).exits(0).says("nothing runs in this cache");
}

#[test]
fn a_project_says_how_much_of_the_machine_is_used() {
    let place = Place::new();
    place.write("p.nf", "pipeline p\na = exec(\"echo $NEUROFLOW_CORES > {{ out }}\") -> file(\"x\") with cores = 64\nreport r { a }\n");
    place.write("neuroflow.toml", "default = \"small\"\n[profiles.small]\nkind = \"local\"\ncores = 3\n");
    place.run(&["run", "p.nf"]).exits(0);
    assert_eq!(place.run(&["get", "a", "-o", "-"]).out.trim(), "3");
    place.run(&["run", "p.nf", "--on", "far"]).exits(4).says("there is no profile `far`").says("small");
    place.write("neuroflow.toml", "[profils.small]\n");
    place.run(&["run", "p.nf"]).exits(4).says("neuroflow.toml").says("profils");
}
