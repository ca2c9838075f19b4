//! `neuroflow run`.

use super::data::{Downloads, runtime};
use super::runs::{print_expects, print_scores};
use super::source::Source;
use super::{Place, print_diagnostics, settings_of};
use crate::amounts::duration;
use crate::arguments::{MessageFormat, Run, Switch};
use crate::exit::{Exit, Failure};
use crate::progress::Bars;
use crate::project::{self, Profile, Project};
use neuroflow_compute::threads::spent_ms;
use neuroflow_dsl::Pipeline;
use neuroflow_dsl::diagnostics::has_errors;
use neuroflow_engine::executor::Executor;
use neuroflow_engine::executor::slurm::Slurm;
use neuroflow_engine::explain::{Verdict, preview};
use neuroflow_engine::live::Live;
use neuroflow_engine::outcome::{Failure as TaskFailure, State};
use neuroflow_engine::places;
use neuroflow_engine::plan::PlanError;
use neuroflow_engine::program::ProgramOptions;
use neuroflow_engine::record::{Counts, RunRecord, Status};
use neuroflow_engine::schedule::{Observer, Observers, RunOptions, RunOutcome, WorkerCommand};
use neuroflow_engine::select::Selection;
use neuroflow_engine::session::{Clock, Prepared, Purpose, Session, SessionError};
use neuroflow_engine::trace::Trace;
use neuroflow_stage::{CancelToken, Cluster};
use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How often a run is planned again because an object of the cache was found damaged.
const MOST_TRIES: usize = 3;

pub(crate) fn run(place: &Place, run: &Run) -> Result<Exit, Failure> {
    let (clock, run_id) = Clock::start();
    let set = settings_of(&run.set)?;
    let registry = crate::stages::registry();
    let mut opened = None;
    let source = match (&run.at, &run.file) {
        (Some(at), file) => Source::at(opened.insert(place.session()?), at, file.as_deref(), set)?,
        (None, Some(file)) => Source::now(file, set)?,
        (None, None) => return Err(Failure::could_not_start("the pipeline is not named").with_help("`neuroflow run PIPELINE`")),
    };
    let checked = source.check(&registry);
    if !checked.diagnostics.is_empty() {
        print_diagnostics(&source.shown, &source.text, &checked.diagnostics, run.format);
    }
    if has_errors(&checked.diagnostics) {
        return Err(Failure::printed(Exit::WrongPipeline));
    }
    let session = match opened {
        Some(session) => session,
        None => place.session()?,
    };
    let options = options(place, run, run_id, session.cache.root())?;
    let trace = run.profile.as_ref().map(|_| Arc::new(Trace::new()));
    let info = source.info(&checked);
    let purpose = if run.dry_run { Purpose::Plan } else { Purpose::Run };
    let controls = source.controls && run.controls == Switch::On;
    let runtime = runtime()?;
    let wish = Wish { purpose, controls, selection: run.selection(), format: run.format };
    let job = Job { session: &session, source: &source, pipeline: &checked.pipeline, wish, options: &options, runtime: &runtime };
    let begin = |prepared: &Prepared| {
        if !run.quiet {
            if let (Some(at), Some(commit)) = (&run.at, prepared.files.commit()) {
                println!("at {at}: commit {commit}");
            }
            introduce(prepared);
        }
    };
    if run.dry_run {
        let prepared = job.prepared()?;
        begin(&prepared);
        return dry(&session, &prepared);
    }
    let (prepared, outcome) = job.carried_out(run.quiet, trace.clone(), begin)?;
    if let (Some(trace), Some(path)) = (&trace, &run.profile) {
        write_trace(trace, &prepared.pipeline.name, path);
    }
    if !outcome.mistakes.is_empty() {
        print_diagnostics(&source.shown, &source.text, &outcome.mistakes, run.format);
    }
    let mut record = session.record(&prepared, &outcome, &info, &options, &clock).map_err(Failure::could_not_start)?;
    // A failed run has no report: what was published is there, and `get` gives it. A report that can't be written costs the run nothing else.
    let mut unreported = None;
    let out = run.out.clone().or_else(|| run.at.is_none().then(|| PathBuf::from("reports")));
    match out {
        Some(out) if outcome.is_complete() => {
            let places = crate::report::Places { pages: &out, figures: run.figures.as_deref() };
            match crate::report::write(&session, &prepared, &outcome, &record, &places) {
                Ok(written) => (record.reports, record.pages) = (written.paths, written.pages),
                Err(failure) => unreported = Some(failure),
            }
        }
        // A report of then does not take the place of the one of now.
        // What they would show is not all there.
        Some(_) if !prepared.pipeline.reports.is_empty() && !run.quiet => {
            println!("no report is written, since not all steps gave a result")
        }
        None if !prepared.pipeline.reports.is_empty() && !run.quiet => println!("no report is written; `--out DIR` says where to"),
        _ => {}
    }
    let written = session.write(&record);
    conclude(&prepared, &outcome, &record, run.quiet);
    // A run that could not be recorded is still a run: its results are published.
    if let Err(error) = written {
        eprintln!("warning: the run could not be recorded: {error}");
    }
    session.cache.finish_uploads(neuroflow_cache::UPLOAD_LIMIT);
    for warning in session.cache.take_warnings() {
        eprintln!("warning: {warning}");
    }
    if let (None, Some(file)) = (&run.at, &run.file) {
        predicted(place, file, &source.text, (&prepared, &outcome, &record));
    }
    if let Err(unknown) = prepared.plan.check_selection(&prepared.pipeline) {
        eprintln!("warning: {unknown} in this run");
    }
    match unreported {
        Some(failure) => Err(failure),
        None => exit_of(&outcome, record.status),
    }
}

/// What is wanted of a pipeline.
pub(super) struct Wish {
    pub(super) purpose: Purpose,
    pub(super) controls: bool,
    pub(super) selection: Selection,
    pub(super) format: MessageFormat,
}

/// A pipeline that is to be carried out.
pub(super) struct Job<'j> {
    pub(super) session: &'j Session,
    pub(super) source: &'j Source,
    pub(super) pipeline: &'j Pipeline,
    pub(super) wish: Wish,
    pub(super) options: &'j RunOptions,
    pub(super) runtime: &'j tokio::runtime::Runtime,
}

impl Job<'_> {
    /// The pipeline with its inputs, planned, and held to what the machine has.
    fn prepared(&self) -> Result<Prepared, Failure> {
        let Job { session, source, pipeline, wish, options, runtime } = self;
        let downloads = Downloads::new();
        let on_progress = |label: &str, done, total| downloads.report(label, done, total);
        let prepared = runtime.block_on(session.prepare_with(
            (*pipeline).clone(),
            Arc::clone(&source.files),
            wish.purpose,
            wish.controls,
            &on_progress,
        ));
        downloads.finish();
        let mut prepared = prepared.map_err(|error| failure(&source.shown, &source.text, error))?;
        prepared.plan.select(&wish.selection, &prepared.pipeline).map_err(|error| {
            let failure = Failure::could_not_start(&error);
            match error.near {
                Some(near) => failure.with_help(format!("did you mean `{near}`?")),
                None => failure,
            }
        })?;
        let executors = options.executors.keys().cloned();
        let wrong = places::check(&prepared.plan, &prepared.pipeline, &options.machine, options.executor.as_ref(), executors);
        if !wrong.is_empty() {
            print_diagnostics(&source.shown, &source.text, &wrong, wish.format);
            return Err(Failure::printed(Exit::WrongPipeline));
        }
        Ok(prepared)
    }

    /// Prepares and runs. When an object of the cache was found damaged it is in quarantine then, and all is planned again, so that what made it runs again.
    /// `begin` is told once, before the first try.
    pub(super) fn carried_out(
        &self,
        quiet: bool,
        trace: Option<Arc<Trace>>,
        begin: impl FnOnce(&Prepared),
    ) -> Result<(Prepared, RunOutcome), Failure> {
        let mut prepared = self.prepared()?;
        begin(&prepared);
        for _ in 1..MOST_TRIES {
            let outcome = self.runtime.block_on(watched(self.session, &mut prepared, self.options, quiet, trace.clone()));
            if outcome.damaged.is_empty() {
                return Ok((prepared, outcome));
            }
            prepared = self.prepared()?;
        }
        let outcome = self.runtime.block_on(watched(self.session, &mut prepared, self.options, quiet, trace));
        Ok((prepared, outcome))
    }
}

/// How the run may use the machine, from the command line and the project's settings.
pub(super) fn options(place: &Place, run: &Run, run_id: String, cache: &Path) -> Result<RunOptions, Failure> {
    let folder = std::env::current_dir().map_err(Failure::could_not_start)?;
    let mut project = Project::read(&folder)?;
    for one in &run.pool {
        let size = one.split_once('=').and_then(|(name, size)| Some((name.trim().to_owned(), size.trim().parse().ok()?)));
        let (name, size) = size.ok_or_else(|| Failure::could_not_start(format!("`--pool {one}`: write `--pool name=2`")))?;
        project.pools.insert(name, size);
    }
    let named = run.on.as_deref().or(project.default.as_deref());
    let local = match named {
        Some(name) => match project.profiles.get(name).map(|place| &place.profile) {
            Some(Profile::Local(profile)) => Some(profile),
            Some(Profile::Slurm(_)) => None,
            None if name == "local" => None,
            None => {
                let known: Vec<&str> = project.profiles.keys().map(String::as_str).chain(["local"]).collect();
                let failure = Failure::could_not_start(format!("there is no profile `{name}`"));
                return Err(failure.with_help(format!("neuroflow.toml sets them under `[profiles.NAME]`; there is {}", known.join(", "))));
            }
        },
        None => None,
    };
    let machine = project
        .machine(local, run.cores.map(usize::from))
        .map_err(|reason| Failure::could_not_start(format!("neuroflow.toml: {reason}")))?;
    let programs = place.settings()?.programs;
    let queries = project.queries(named);
    Ok(RunOptions {
        machine,
        keep_going: run.keep_going,
        cancel: CancelToken::new(),
        run_id,
        executors: clusters(&project, cache, &programs),
        executor: named
            .filter(|name| matches!(project.profiles.get(*name), Some(project::Place { profile: Profile::Slurm(_), .. })))
            .map(str::to_owned),
        worker: WorkerCommand::default(),
        programs,
        meter: Some(spent_ms),
        cluster: queries
            .scheduler
            .clone()
            .map(|scheduler| Cluster { scheduler, shared: queries.shared.clone().unwrap_or_else(|| cache.join("queries")) }),
    })
}

/// The clusters of the project, by the names of their profiles.
fn clusters(project: &Project, cache: &Path, programs: &ProgramOptions) -> BTreeMap<String, Arc<dyn Executor>> {
    let cluster = |(name, place): (&String, &project::Place)| match &place.profile {
        Profile::Slurm(settings) => {
            // On the nodes there is no running program to point to, only its file.
            let program = settings.program.clone().or_else(|| std::env::current_exe().ok());
            let cache = std::path::absolute(cache).unwrap_or_else(|_| cache.to_path_buf());
            let worker = worker_command(program, &cache, programs);
            Some((name.clone(), Arc::new(Slurm::new(name, (**settings).clone(), worker)) as Arc<dyn Executor>))
        }
        Profile::Local(_) => None,
    };
    project.profiles.iter().filter_map(cluster).collect()
}

/// A run whose timeline can't be written is still a run.
fn write_trace(trace: &Trace, pipeline: &str, path: &Path) {
    match std::fs::write(path, trace.document(pipeline).to_string()) {
        Ok(()) => println!("timeline: {}", path.display()),
        Err(error) => eprintln!("warning: the timeline {} can't be written: {error}", path.display()),
    }
}

/// What was predicted when changes of this pipeline were approved, beside what came. It costs the run nothing when it can't be said.
fn predicted(place: &Place, file: &Path, text: &str, (prepared, outcome, record): (&Prepared, &RunOutcome, &RunRecord)) {
    let Ok(root) = super::agent::root() else { return };
    if !neuroflow_agent::Store::of(&root).ledger().exists() {
        return;
    }
    let compared = super::agent::gate(place).and_then(|gate| {
        let pipeline = neuroflow_agent::path_below(&root, file).map_err(Failure::could_not_start)?;
        neuroflow_agent::compare(&gate, &pipeline, text, prepared, outcome, record).map_err(Failure::could_not_start)
    });
    match compared {
        Ok(all) => {
            for (id, judged) in &all {
                for one in judged {
                    let (condition, numbers) = (neuroflow_agent::escape_line(&one.condition), neuroflow_agent::escape_line(&one.told()));
                    println!("predicted by {}: {condition}: {} ({numbers})", id.short(), one.word());
                }
            }
        }
        Err(failure) => eprintln!("warning: predictions could not be compared: {}", failure.message),
    }
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
    for remark in prepared.files.remarks() {
        println!("note: {remark}");
    }
    if !prepared.controls {
        println!("Controls are switched off: every score of this run is uncontrolled.");
    }
}

fn dry(session: &Session, prepared: &Prepared) -> Result<Exit, Failure> {
    let last = session.latest_of(&prepared.pipeline.name);
    let before = last.map(|run| session.keys(&run)).unwrap_or_default();
    let verdicts = preview(&prepared.plan, &session.cache, &before).map_err(Failure::could_not_start)?;
    let count = |wanted: fn(&Verdict) -> bool| verdicts.iter().filter(|verdict| wanted(verdict)).count();
    let cached = count(|verdict| matches!(verdict, Verdict::Cached { .. }));
    let depends = count(|verdict| matches!(verdict, Verdict::Depends { .. }));
    let runs = count(|verdict| matches!(verdict, Verdict::WouldRun { .. }));
    let is_told = |verdict: &Verdict| matches!(verdict, Verdict::WouldRun { .. } | Verdict::Missing);
    super::explain::tell(&prepared.plan, verdicts.iter().enumerate().filter(|(_, verdict)| is_told(verdict)));
    for decl in prepared.plan.later(&prepared.pipeline) {
        println!("{decl}: known once the steps are done that its loop or condition asks");
    }
    println!("{runs} tasks would run, {depends} depend on what they give, {cached} are in the cache");
    Ok(Exit::Done)
}

/// Runs, and stops cleanly when the person presses Ctrl-C.
async fn watched(session: &Session, prepared: &mut Prepared, options: &RunOptions, quiet: bool, trace: Option<Arc<Trace>>) -> RunOutcome {
    let quiet = quiet || !std::io::stderr().is_terminal();
    let bars = Arc::new(Bars::new(options.machine.cores, quiet));
    let live = Live::new(session.cache.root(), &options.run_id, &prepared.pipeline.name);
    let mut observers: Vec<Arc<dyn Observer>> = vec![Arc::clone(&bars) as Arc<dyn Observer>, Arc::new(live)];
    observers.extend(trace.map(|trace| trace as Arc<dyn Observer>));
    let observer: Arc<dyn Observer> = Arc::new(Observers(observers));
    // Programs without a cache folder of their own find it by this.
    let mut options = options.clone();
    options.worker = worker_command(None, session.cache.root(), &options.programs);
    let running = session.run(prepared, &options, &observer);
    tokio::pin!(running);
    let outcome = tokio::select! {
        outcome = &mut running => outcome,
        () = asked_to_stop() => {
            eprintln!("stopping: what is done is kept, running steps are asked to stop");
            options.cancel.cancel();
            running.await
        }
    };
    bars.finish();
    outcome
}

/// Waits until a person presses Ctrl-C, or the system asks the program to end (SIGTERM: `timeout`, a service, a cluster's job).
async fn asked_to_stop() {
    #[cfg(unix)]
    {
        use tokio::signal::unix::{SignalKind, signal};
        if let Ok(mut terminate) = signal(SignalKind::terminate()) {
            tokio::select! {
                _ = terminate.recv() => {}
                _ = tokio::signal::ctrl_c() => {}
            }
            return;
        }
    }
    let _ = tokio::signal::ctrl_c().await;
}

/// The running program itself, also when its file was replaced meanwhile.
pub(crate) fn own_program() -> PathBuf {
    let own = Path::new("/proc/self/exe").exists().then(|| "/proc/self/exe".into());
    own.or_else(|| std::env::current_exe().ok()).unwrap_or_else(|| "neuroflow".into())
}

/// neuroflow as a worker on a cache, with programs run as they are run here; `program` when it is not the one that runs.
pub(super) fn worker_command(program: Option<PathBuf>, cache: &Path, programs: &ProgramOptions) -> WorkerCommand {
    let program = program.unwrap_or_else(own_program);
    let mut command = vec![program.into(), "worker".into(), "--cache-dir".into(), cache.into()];
    if programs.offline {
        command.push("--offline".into());
    }
    command.extend(["--sandbox".into(), programs.sandbox.to_string().into()]);
    command.extend(["--processes".into(), programs.processes.to_string().into()]);
    WorkerCommand { command }
}

fn conclude(prepared: &Prepared, outcome: &RunOutcome, record: &RunRecord, quiet: bool) {
    for (task, done) in outcome.tasks.iter().enumerate() {
        let State::Failed(failure) = &done.state else { continue };
        let label = prepared.plan.label(task);
        match failure.as_ref() {
            TaskFailure::Refused { message, help } => {
                eprintln!("error: step `{label}` failed: {message}");
                if let Some(help) = help {
                    eprintln!("  = help: {help}");
                }
            }
            TaskFailure::World(message) => eprintln!("error: step `{label}` failed: {message}"),
            TaskFailure::Bug(message) => {
                eprintln!("error: step `{label}` failed by a mistake in neuroflow: {message}");
                eprintln!("  please report it with the run's id, {}: {}/issues", record.id, env!("CARGO_PKG_REPOSITORY"));
            }
        }
    }
    if !quiet {
        print_scores(record);
    }
    print_expects(record);
    let Counts { ran, cached, failed, skipped, .. } = record.counts;
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
    let bug = outcome.tasks.iter().any(|task| matches!(&task.state, State::Failed(failure) if matches!(**failure, TaskFailure::Bug(_))));
    Ok(match status {
        _ if bug => Exit::Bug,
        _ if !outcome.mistakes.is_empty() => Exit::WrongPipeline,
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
        SessionError::Input { ref help, ref span, .. } => {
            let (line, column) = neuroflow_dsl::diagnostics::line_and_column(text, span.start.min(text.len()));
            Failure::could_not_start(format!("{}:{line}:{column}: {error}", file.display())).with_help(help.clone())
        }
        SessionError::Plan(PlanError::Pipeline(found)) => failure(file, text, SessionError::Pipeline(found)),
        SessionError::Plan(error) => Failure { exit: Exit::WrongPipeline, message: error.to_string(), help: None },
        SessionError::Cache(error) => Failure::could_not_start(error),
        error @ (SessionError::Gone { .. } | SessionError::Damaged { .. }) => Failure::could_not_start(error),
        SessionError::Bug(message) => {
            Failure { exit: Exit::Bug, message, help: Some(format!("please report it: {}/issues", env!("CARGO_PKG_REPOSITORY"))) }
        }
    }
}
