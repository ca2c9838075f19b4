//! `neuroflow verify`: a run computed again, apart from the cache, and compared with what was recorded.

use super::Place;
use super::data::runtime;
use super::keep::in_short;
use super::run::{Job, Wish, options};
use super::source::Source;
use crate::arguments::{MessageFormat, Run, Verify};
use crate::exit::{Exit, Failure};
use crate::meant::{self, Known};
use neuroflow_cache::{Cache, CacheError, OpenOptions, OsDisk, Presence, RunState};
use neuroflow_dsl::diagnostics::has_errors;
use neuroflow_engine::kept::{self, Kept};
use neuroflow_engine::label;
use neuroflow_engine::latest::find_run;
use neuroflow_engine::record::{RunRecord, TaskRow};
use neuroflow_engine::schedule::{RunOptions, RunOutcome};
use neuroflow_engine::select::Selection;
use neuroflow_engine::session::{Clock, Prepared, Purpose, Session, SessionError};
use neuroflow_engine::verify::{Repeated, Verdict, objects, repeated, repeated_kept};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many results that differ, and so many objects, are named.
const MOST_NAMED: usize = 12;

pub(crate) fn verify(place: &Place, verify: &Verify) -> Result<Exit, Failure> {
    let session = place.session()?;
    let id = match find_run(&session.cache, &verify.run) {
        Ok(id) => id,
        Err(CacheError::NoSuchRun(_)) => match meant::run_or_kept(&session, &verify.run, None)? {
            None => return Err(Failure::could_not_start(format!("nothing ran at `{}` yet", verify.run))),
            Some(Known { record, kept: None }) => record.id,
            Some(Known { kept: Some((name, kept)), .. }) => return verify_kept(place, verify, session, &name, &kept),
        },
        Err(error) => return Err(Failure::could_not_start(error)),
    };
    println!("run {id}");
    let mut wrong = !is_record_whole(&session, &id)?;
    wrong |= !is_text_whole(&session, &id)?;
    let record = match session.read(&id) {
        Ok(record) => record,
        Err(error) => {
            println!("record: can't be read: {error}");
            return Ok(Exit::ExpectFailed);
        }
    };
    let rows = match session.rows(&record) {
        Ok(rows) => rows,
        Err(error @ (SessionError::Damaged { .. } | SessionError::Gone { .. })) => {
            println!("tasks: {error}");
            return Ok(Exit::ExpectFailed);
        }
        Err(error) => return Err(Failure::could_not_start(error)),
    };
    let found = objects(&session.cache, &record, &rows).map_err(Failure::could_not_start)?;
    wrong |= !found.damaged.is_empty();
    let gone = if found.gone.is_empty() { String::new() } else { format!(", {} removed since", found.gone.len()) };
    println!("objects: {} as their names say, {} damaged{gone}", found.whole, found.damaged.len());
    for (what, digest) in found.damaged.iter().take(MOST_NAMED) {
        println!("  damaged: {what} ({})", digest.short());
    }
    if !verify.stored {
        wrong |= !is_repeated(place, verify, session, &record, asked(&rows), |all| {
            repeated(&rows, all.then, all.now, all.prepared, all.outcome)
        })?;
    }
    Ok(told(wrong))
}

fn told(wrong: bool) -> Exit {
    println!("{}", if wrong { "the run is not what was recorded" } else { "the run is what was recorded" });
    if wrong { Exit::ExpectFailed } else { Exit::Done }
}

/// Whether what the project keeps of a run says what the cache's own record says; prints where it does not.
fn is_text_whole(session: &Session, id: &str) -> Result<bool, Failure> {
    let (all, wrong) = kept::all(Path::new("."));
    wrong.iter().for_each(|error| eprintln!("warning: {error}"));
    let Ok(record) = session.read(id) else { return Ok(true) };
    let mut whole = true;
    for (name, text) in all.iter().filter(|(_, text)| text.run.id == id) {
        let own = in_short(session, &Known { record: record.clone(), kept: None }, &text.note)?;
        // What was kept before results and methods were says less, and nothing wrong.
        let same_run = same(&text.run, &own.run) && (text.results.is_empty() || text.results == own.results);
        let found = if same_run { "says what the record says" } else { "says something else than the record" };
        println!("runs/{name}.json: {found}");
        whole &= same_run;
    }
    Ok(whole)
}

/// As texts, in which a number that is none is like another.
fn same(one: &RunRecord, other: &RunRecord) -> bool {
    serde_json::to_value(one).ok() == serde_json::to_value(other).ok()
}

/// A run that the project keeps and this cache does not have: what its steps gave is known by digest, and its scores are.
fn verify_kept(place: &Place, verify: &Verify, session: Session, name: &str, kept: &Kept) -> Result<Exit, Failure> {
    let record = &kept.run;
    println!("run {}, kept as {name}; its own record and objects are not in this cache", record.id);
    if verify.stored {
        let failure = Failure::could_not_start(format!("nothing of run {} is stored here", record.id));
        return Err(failure.with_help("without `--stored` it is computed again, and compared with what is kept of it"));
    }
    // Of a run of all that its pipeline says, all is computed: what is not kept of it is found so.
    let until = if record.counts.unasked == 0 { Vec::new() } else { kept.results.keys().cloned().collect() };
    let asked = Selection { until, ..Selection::default() };
    if kept.results.is_empty() && record.scores.is_empty() {
        println!("nothing is kept of its results and scores, so there is nothing to compare");
        return Ok(told(true));
    }
    let is_same = is_repeated(place, verify, session, record, asked, |all| repeated_kept(kept, all.now, all.prepared, all.outcome))?;
    Ok(told(!is_same))
}

/// A run computed again.
struct Again<'a> {
    /// Where the run was.
    then: &'a Session,
    /// Where it was computed again.
    now: &'a Session,
    prepared: &'a Prepared,
    outcome: &'a RunOutcome,
}

fn is_record_whole(session: &Session, id: &str) -> Result<bool, Failure> {
    let state = session.cache.run_state(id).map_err(Failure::could_not_start)?;
    println!(
        "record: {}",
        match state {
            RunState::AsWritten => "as it was written",
            RunState::Changed => "changed since it was written",
            RunState::Unnoted => "its digest was not noted, so a change of it would go unseen",
        }
    );
    Ok(state != RunState::Changed)
}

/// Computes the run again in a cache of its own, which is removed afterwards; prints what came of each step.
fn is_repeated(
    place: &Place,
    verify: &Verify,
    mut then: Session,
    record: &RunRecord,
    selection: Selection,
    compared: impl FnOnce(Again<'_>) -> Vec<Repeated>,
) -> Result<bool, Failure> {
    let cache = Arc::clone(&then.cache);
    let source = Source::of_run(&mut then, record, None, Vec::new(), vec![cache])?;
    let checked = source.check(&then.registry);
    if has_errors(&checked.diagnostics) {
        super::print_diagnostics(&source.shown, &source.text, &checked.diagnostics, MessageFormat::Text);
        return Ok(false);
    }
    let scratch = ScratchCache::new(then.cache.root())?;
    let now = Session {
        cache: Arc::new(scratch.open()?),
        registry: Arc::clone(&then.registry),
        data: then.data.clone(),
        sources: then.sources.clone(),
    };
    let (_, run_id) = Clock::start();
    let run = Run { cores: verify.cores, ..Run::of(&source.file) };
    let options = options(place, &run, run_id, now.cache.root())?;
    // The run's own machine is not asked for again: it is computed here.
    let options = RunOptions { executor: None, ..options };
    let wish = Wish { purpose: Purpose::Run, controls: source.controls, selection, format: MessageFormat::Text };
    let runtime = runtime()?;
    let job = Job { session: &now, source: &source, pipeline: &checked.pipeline, wish, options: &options, runtime: &runtime };
    let (prepared, outcome) = job.carried_out(true, None, |_| {})?;
    if outcome.cancelled {
        return Err(Failure { exit: Exit::Interrupted, message: "stopped before all was computed again".into(), help: None });
    }
    let mut same_inputs = true;
    for (input, before) in prepared.inputs.iter().zip(&record.inputs).filter(|(input, before)| input.members != before.members) {
        println!("input {}: {} gives something else than then", input.name, before.taken);
        same_inputs = false;
    }
    let all = compared(Again { then: &then, now: &now, prepared: &prepared, outcome: &outcome });
    drop(now);
    Ok(print(&all) && same_inputs)
}

/// The steps that the run was asked for.
fn asked(rows: &[TaskRow]) -> Selection {
    if rows.iter().all(|row| !row.unasked) {
        return Selection::default();
    }
    let until = rows.iter().filter(|row| !row.unasked && label::part(&row.label).is_none()).map(|row| row.label.clone()).collect();
    Selection { until, ..Selection::default() }
}

/// A line for each step; whether all is the same.
fn print(all: &[Repeated]) -> bool {
    let mut steps: Vec<(&str, Vec<&Repeated>)> = Vec::new();
    for one in all {
        let step = one.label.split(['[', ' ']).next().unwrap_or_default();
        match steps.iter_mut().find(|(name, _)| *name == step) {
            Some((_, of)) => of.push(one),
            None => steps.push((step, vec![one])),
        }
    }
    let width = steps.iter().map(|(step, _)| step.chars().count()).chain([4]).max().unwrap_or(4);
    println!("{:<width$}  {:>6}  verdict", "step", "tasks");
    let mut whole = true;
    for (step, of) in steps {
        println!("{step:<width$}  {:>6}  {}", of.len(), verdict_of(&of));
        let mut told: BTreeMap<&str, String> = BTreeMap::new();
        for one in of {
            match &one.verdict {
                Verdict::Differs { output, how } => told.insert(&one.label, format!("{output}: {how}")),
                Verdict::Missing { reason } => told.insert(&one.label, reason.clone()),
                _ => continue,
            };
        }
        whole &= told.is_empty();
        let more = told.len().saturating_sub(MOST_NAMED);
        for (label, how) in told.into_iter().take(MOST_NAMED) {
            println!("  {label}: {how}");
        }
        if more > 0 {
            println!("  and {more} more");
        }
    }
    whole
}

fn verdict_of(of: &[&Repeated]) -> String {
    let differ = of.iter().filter(|one| matches!(one.verdict, Verdict::Differs { .. })).count();
    let missing = of.iter().filter(|one| matches!(one.verdict, Verdict::Missing { .. })).count();
    match (differ, missing) {
        (0, 0) => {}
        (differ, 0) => return format!("differs ({differ} of {})", of.len()),
        (_, missing) => return format!("not computed ({missing} of {})", of.len()),
    }
    let within = of.iter().filter_map(|one| match one.verdict {
        Verdict::Within { tolerance, largest } => Some((tolerance, largest)),
        _ => None,
    });
    match within.reduce(|a, b| (a.0.max(b.0), a.1.max(b.1))) {
        Some((tolerance, largest)) => format!("within tolerance {tolerance:.0e} (largest difference {largest:.2e})"),
        None => "same bytes".into(),
    }
}

/// A cache below that of the run, removed when it is dropped, or by the next process when this one is killed.
struct ScratchCache {
    folder: PathBuf,
    lock: PathBuf,
    _held: Presence,
}

impl ScratchCache {
    fn new(cache: &Path) -> Result<ScratchCache, Failure> {
        let root = cache.join("scratch");
        let failed = |error: std::io::Error| Failure::could_not_start(format!("{}: {error}", root.display()));
        std::fs::create_dir_all(&root).map_err(failed)?;
        let folder = root.join(format!("verify-{}", std::process::id()));
        let lock = folder.with_extension("lock");
        let held = Presence::claim(&lock).map_err(failed)?;
        let held = held.ok_or_else(|| Failure::could_not_start(format!("{} belongs to another process", folder.display())))?;
        // Left by a dead process of the same number.
        let _ = std::fs::remove_dir_all(&folder);
        std::fs::create_dir_all(&folder).map_err(failed)?;
        let scratch = ScratchCache { folder, lock, _held: held };
        // Environments of programs are known by their locks, and making one may need the network.
        #[cfg(unix)]
        {
            let environments = cache.join("environments");
            if environments.is_dir() {
                let environments = environments.canonicalize().unwrap_or(environments);
                let _ = std::os::unix::fs::symlink(environments, scratch.folder.join("environments"));
            }
        }
        Ok(scratch)
    }

    fn open(&self) -> Result<Cache, Failure> {
        let disk = Arc::new(OsDisk::with_mapper(neuroflow_compute::map::map_file));
        let options = OpenOptions::from_environment().map_err(Failure::could_not_start)?;
        Cache::open_with(&self.folder, disk, options).map_err(Failure::could_not_start)
    }
}

impl Drop for ScratchCache {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.folder);
        let _ = std::fs::remove_file(&self.lock);
    }
}
