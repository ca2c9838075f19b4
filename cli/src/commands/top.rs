//! `neuroflow top`: what the runs in a cache are doing, and what waits for what.

use super::Place;
use crate::amounts::bytes;
use crate::exit::{Exit, Failure};
use neuroflow_engine::live::{LiveRun, live_runs};
use std::fmt::Write as _;
use std::io::{IsTerminal, Write};
use std::time::Duration;

/// Lines of tasks that a run gets on the screen.
const SHOWN: usize = 12;

pub(crate) fn top(place: &Place, once: bool, json: bool) -> Result<Exit, Failure> {
    let cache = place.settings()?.cache;
    if json {
        let runs = serde_json::to_string_pretty(&live_runs(&cache)).map_err(Failure::could_not_start)?;
        println!("{runs}");
        return Ok(Exit::Done);
    }
    let terminal = std::io::stdout().is_terminal();
    loop {
        let shown = show(&live_runs(&cache));
        if once || !terminal {
            print!("{shown}");
            return Ok(Exit::Done);
        }
        // Home, the new lines, and nothing of the old ones below.
        print!("\x1b[H\x1b[2J{shown}");
        std::io::stdout().flush().map_err(Failure::could_not_start)?;
        std::thread::sleep(Duration::from_secs(1));
    }
}

fn show(runs: &[LiveRun]) -> String {
    if runs.is_empty() {
        return "nothing runs in this cache\n".into();
    }
    let mut text = String::new();
    for run in runs {
        let memory = run.memory.map_or_else(String::new, |held| format!(", {}", bytes(held)));
        let failed = if run.failed > 0 { format!(", {} failed", run.failed) } else { String::new() };
        let _ = writeln!(
            text,
            "{} ({}, process {}{memory}): {:.0} s, {} of {} tasks done{failed}, {} wait for room",
            run.pipeline, run.run, run.process, run.seconds, run.done, run.tasks, run.queued
        );
        for task in run.running.iter().take(SHOWN) {
            let part = task.progress.map_or_else(String::new, |(done, total)| format!(", {done} of {total}"));
            let awaited = match task.followers {
                0 => String::new(),
                n if n > task.awaited_by.len() => {
                    format!("; {} and {} more wait for it", task.awaited_by.join(", "), n - task.awaited_by.len())
                }
                _ => format!("; {} waits for it", task.awaited_by.join(", ")),
            };
            let _ = writeln!(text, "  runs {:>6.1} s{part}  {} [{}]{awaited}", task.seconds, task.label, task.stage);
        }
        for wait in run.waiting.iter().filter(|wait| wait.on.iter().any(|on| on.starts_with("process "))).take(SHOWN) {
            let _ = writeln!(text, "  waits            {}: {}", wait.label, wait.on.join(", "));
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_engine::live::{LiveTask, LiveWait};

    #[test]
    fn it_says_what_runs_and_what_waits_for_what() {
        let run = LiveRun {
            run: "r1".into(),
            pipeline: "mouse".into(),
            process: 7,
            seconds: 12.0,
            tasks: 10,
            done: 4,
            queued: 2,
            running: vec![LiveTask {
                label: "motifs".into(),
                stage: "connectome.ntf".into(),
                seconds: 3.25,
                progress: Some((1, 6)),
                awaited_by: vec!["communities".into()],
                followers: 1,
            }],
            waiting: vec![LiveWait { label: "tuning".into(), on: vec!["process 99".into()] }],
            ..LiveRun::default()
        };
        let shown = show(&[run]);
        assert!(shown.contains("mouse (r1, process 7): 12 s, 4 of 10 tasks done, 2 wait for room"), "{shown}");
        assert!(shown.contains("3.2 s, 1 of 6  motifs [connectome.ntf]; communities waits for it"), "{shown}");
        assert!(shown.contains("tuning: process 99"), "{shown}");
        assert_eq!(show(&[]), "nothing runs in this cache\n");
    }
}
