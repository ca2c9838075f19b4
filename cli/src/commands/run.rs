//! `neuroflow run`.

use super::data::{Downloads, runtime};
use super::runs::{print_expects, print_scores};
use super::{Place, check_text, duration, print_diagnostics, read_pipeline, settings_of};
use crate::arguments::{MessageFormat, Run, Switch};
use crate::exit::{Exit, Failure};
use crate::progress::Bars;
use neuroflow_dsl::diagnostics::has_errors;
use neuroflow_engine::explain::{Verdict, preview};
use neuroflow_engine::record::{RunRecord, Status};
use neuroflow_engine::schedule::{Failure as TaskFailure, Observer, RunOptions, RunOutcome, State};
use neuroflow_engine::session::{Clock, Prepared, RunInfo, Session, SessionError};
use neuroflow_stage::CancelToken;
use std::io::IsTerminal;
use std::path::Path;
use std::sync::Arc;

/// How often a run is planned again because an object of the cache was found damaged.
const MOST_TRIES: usize = 3;

pub(crate) fn run(place: &Place, run: &Run) -> Result<Exit, Failure> {
    let (clock, run_id) = Clock::start();
    let text = read_pipeline(&run.file)?;
    let set = settings_of(&run.set)?;
    let registry = crate::stages::registry();
    let checked = check_text(&text, &set, &registry);
    if !checked.diagnostics.is_empty() {
        print_diagnostics(&run.file, &text, &checked.diagnostics, run.format);
    }
    if has_errors(&checked.diagnostics) {
        return Err(Failure::printed(Exit::WrongPipeline));
    }
    let session = place.session()?;
    let cores = run.cores.map_or_else(|| std::thread::available_parallelism().map_or(1, usize::from), usize::from);
    let options = RunOptions { cores, keep_going: run.keep_going, cancel: CancelToken::new(), run_id };
    let info = RunInfo {
        file: run.file.clone(),
        text: text.clone(),
        command: std::env::args().collect(),
        set,
        version: env!("CARGO_PKG_VERSION").into(),
    };
    let folder = std::env::current_dir().map_err(Failure::could_not_start)?;
    let runtime = runtime()?;
    for attempt in 1.. {
        let downloads = Downloads::new();
        let on_progress = |label: &str, done, total| downloads.report(label, done, total);
        let prepared = runtime.block_on(session.prepare(checked.pipeline.clone(), &folder, run.controls == Switch::On, &on_progress));
        downloads.finish();
        let mut prepared = prepared.map_err(|error| failure(&run.file, &text, error))?;
        prepared.plan.select(&run.selection()).map_err(|error| {
            let failure = Failure::could_not_start(&error);
            match error.near {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure,
            }
        })?;
        if attempt == 1 && !run.quiet {
            introduce(&prepared);
        }
        if run.dry_run {
            return dry(&session, &prepared);
        }
        let outcome = runtime.block_on(watched(&session, &prepared, &options, run.quiet));
        if !outcome.damaged.is_empty() && attempt < MOST_TRIES {
            // The damaged objects are in quarantine: planned again, what made them runs again.
            continue;
        }
        let mut record = session.record(&prepared, &outcome, &info, &options, &clock).map_err(Failure::could_not_start)?;
        // A failed run has no report: what was published is there, and `get` gives it.
        if outcome.is_complete() {
            record.reports = crate::report::write(&session, &prepared, &outcome, &record, &run.out)?;
        }
        let written = session.write(&record);
        conclude(&prepared, &outcome, &record, run.quiet);
        // A run that could not be recorded is still a run: its results are published.
        if let Err(error) = written {
            eprintln!("warning: the run could not be recorded: {error}");
        }
        return exit_of(&outcome, record.status);
    }
    Err(Failure::could_not_start("the cache is damaged again and again; `neuroflow cache verify` reads all of it"))
}

/// What stands above everything: what the data are.
fn introduce(prepared: &Prepared) {
    for input in &prepared.inputs {
        if input.simulated {
            println!("SIMULATED DATA: `{}` is {}, not a recording.", input.name, input.taken);
        }
    }
    for input in prepared.inputs.iter().filter(|input| !input.simulated) {
        println!("{}: {}", input.name, input.taken);
    }
    for input in &prepared.inputs {
        for reason in &input.passed_over {
            println!("  passed over: {}", reason.replace('\n', "\n  "));
        }
    }
    if !prepared.controls {
        println!("Controls are switched off: every score of this run is uncontrolled.");
    }
}

fn dry(session: &Session, prepared: &Prepared) -> Result<Exit, Failure> {
    let last = session.read("latest").ok().filter(|run| run.pipeline == prepared.pipeline.name);
    let verdicts = preview(&prepared.plan, &session.cache, last.as_ref()).map_err(Failure::could_not_start)?;
    let count = |wanted: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| wanted(verdict)).count();
    let cached = count(|verdict| matches!(verdict, Verdict::Cached { .. }));
    let depends = count(|verdict| matches!(verdict, Verdict::Depends { .. }));
    let runs = count(|verdict| matches!(verdict, Verdict::WouldRun { .. }));
    let is_told = |verdict: &Verdict| matches!(verdict, Verdict::WouldRun { .. } | Verdict::Missing);
    let told = prepared.plan.tasks.iter().zip(&verdicts).filter(|(_, verdict)| is_told(verdict));
    super::explain::tell(told);
    println!("{runs} tasks would run, {depends} depend on what they give, {cached} are in the cache");
    Ok(Exit::Done)
}

/// Runs, and stops cleanly when the person presses Ctrl-C.
async fn watched(session: &Session, prepared: &Prepared, options: &RunOptions, quiet: bool) -> RunOutcome {
    let quiet = quiet || !std::io::stderr().is_terminal();
    let bars = Arc::new(Bars::new(&prepared.plan, prepared.costs.clone(), options.cores, quiet));
    let observer: Arc<dyn Observer> = Arc::clone(&bars) as Arc<dyn Observer>;
    let running = session.run(prepared, options, &observer);
    tokio::pin!(running);
    let outcome = tokio::select! {
        outcome = &mut running => outcome,
        signal = tokio::signal::ctrl_c() => {
            if signal.is_ok() {
                eprintln!("stopping: what is done is kept, running steps are asked to stop");
                options.cancel.cancel();
            }
            running.await
        }
    };
    bars.finish();
    outcome
}

fn conclude(prepared: &Prepared, outcome: &RunOutcome, record: &RunRecord, quiet: bool) {
    for (task, done) in prepared.plan.tasks.iter().zip(&outcome.tasks) {
        match &done.state {
            State::Failed(TaskFailure::Refused { message, help }) => {
                eprintln!("error: step `{}` failed: {message}", task.label);
                if let Some(help) = help {
                    eprintln!("  = help: {help}");
                }
            }
            State::Failed(TaskFailure::World(message)) => eprintln!("error: step `{}` failed: {message}", task.label),
            State::Failed(TaskFailure::Bug(message)) => {
                eprintln!("error: step `{}` failed by a mistake in neuroflow: {message}", task.label);
                eprintln!("  please report it with the run's id, {}: {}/issues", record.id, env!("CARGO_PKG_REPOSITORY"));
            }
            _ => {}
        }
    }
    if !quiet {
        print_scores(record);
    }
    print_expects(record);
    let (ran, cached, failed, skipped) = record.counts();
    let rest = if failed + skipped > 0 { format!(", {failed} failed, {skipped} not run") } else { String::new() };
    println!(
        "run {}: {} in {} ({ran} tasks ran, {cached} cached{rest})",
        record.id,
        super::runs::word(record.status),
        duration(record.wall_ms)
    );
    for (_, path) in &record.reports {
        println!("report: {path}");
    }
}

fn exit_of(outcome: &RunOutcome, status: Status) -> Result<Exit, Failure> {
    let bug = outcome.tasks.iter().any(|task| matches!(task.state, State::Failed(TaskFailure::Bug(_))));
    Ok(match status {
        _ if bug => Exit::Bug,
        Status::Done => Exit::Done,
        Status::ExpectFailed => Exit::ExpectFailed,
        Status::Failed => Exit::StepFailed,
        Status::Interrupted => Exit::Interrupted,
    })
}

/// A session's error as the end of the program.
pub(crate) fn failure(file: &Path, text: &str, error: SessionError) -> Failure {
    match error {
        SessionError::Pipeline(found) => {
            print_diagnostics(file, text, &found, MessageFormat::Text);
            Failure::printed(Exit::WrongPipeline)
        }
        SessionError::Plan(error) => Failure { exit: Exit::WrongPipeline, message: error.to_string(), help: None },
        SessionError::Input { ref help, .. } => Failure::could_not_start(&error).with_help(help.clone()),
        SessionError::Cache(error) => Failure::could_not_start(error),
        SessionError::Bug(message) => {
            Failure { exit: Exit::Bug, message, help: Some(format!("please report it: {}/issues", env!("CARGO_PKG_REPOSITORY"))) }
        }
    }
}
