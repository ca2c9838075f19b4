//! One step on a few trials, aside: in a process of its own with a limit on memory and time, into a cache that nobody else reads.
//!
//! The trials are spread evenly over the session, and at most half of them are taken, so that what a trial shows is never more than a sample of what the
//! analysis holds out. Controls are not run: what comes out is no result.

use crate::cached::{lookup, read_artifact};
use crate::executor::{Event, Executor, Order, PROTOCOL, Workers};
use crate::label::step_name;
use crate::outcome::{Ending, Output};
use crate::plan::Plan;
use crate::schedule::WorkerCommand;
use crate::task::{TaskId, Work};
use neuroflow_cache::{Cache, Digest, OsDisk};
use neuroflow_data::{Artifact, DataError, Kind, Responses, Score, Typed};
use neuroflow_stage::Registry;
use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

/// What a trial may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Limits {
    /// The most trials of a session.
    pub trials: usize,
    /// Bytes of memory.
    pub memory: u64,
    /// Seconds.
    pub seconds: f64,
}

/// What came of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Tried {
    /// The step, with its member.
    pub label: String,
    /// For each session that was cut: its trials, and how many there are.
    pub taken: Vec<(usize, usize)>,
    /// The outputs by name.
    pub outputs: Vec<(String, Artifact)>,
    /// Its scores, when it has any; without controls.
    pub scores: Vec<Score>,
    /// How long it took.
    pub seconds: f64,
}

/// Why nothing came of it.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
pub enum TrialError {
    /// The plan has no such step.
    #[error("there is no step `{0}` in the plan, or it is not known before others have run")]
    NoStep(String),
    /// It is no call of a stage that computes here.
    #[error("`{0}` can't be tried aside: {1}")]
    Unfit(String, &'static str),
    /// What it takes is not there.
    #[error("what `{0}` takes is not computed yet: run the pipeline up to it first")]
    Missing(String),
    /// It failed; with advice where there is some.
    #[error("{0}")]
    Failed(String, Option<String>),
}

fn broken(error: impl std::fmt::Display) -> TrialError {
    TrialError::Failed(error.to_string(), None)
}

/// Runs a step of a plan on a few trials. `step` is its name, or its label with a member; of a loop's step without a member, the first is taken.
/// `worker` starts a worker on the cache that is made in `scratch`, an empty folder.
///
/// # Errors
/// See [`TrialError`].
pub async fn try_step(
    (plan, cache, registry): (&Plan, &Cache, &Registry),
    step: &str,
    worker: impl Fn(&Path) -> WorkerCommand,
    scratch: &Path,
    limits: Limits,
) -> Result<Tried, TrialError> {
    let fits = |at: &usize| {
        let label = plan.instances()[*at].label();
        label == step || step_name(&label) == step
    };
    let at = (0..plan.instances().len()).find(fits).ok_or_else(|| TrialError::NoStep(step.to_owned()))?;
    let id = plan.tasks_of(at).find(|task| !plan.is_join(*task)).ok_or_else(|| TrialError::NoStep(step.to_owned()))?;
    let task = plan.task(id);
    match &task.work {
        Work::Call(call) if registry.get(&call.stage).is_some_and(|stage| stage.signature().inputs.iter().all(|input| !input.open)) => {}
        Work::Call(_) => return Err(TrialError::Unfit(task.label, "it is a query")),
        _ => return Err(TrialError::Unfit(task.label, "it is a program, or no call")),
    }
    let contents = contents(plan, cache, id)?.ok_or_else(|| TrialError::Missing(task.label.clone()))?;

    let aside = Cache::open(scratch, Arc::new(OsDisk::new())).map_err(broken)?;
    let (mut cut, mut taken) = (Vec::with_capacity(contents.len()), Vec::new());
    for (argument, digest) in task.arguments.iter().zip(&contents) {
        let whole = read_artifact(cache, digest, argument.kind).map_err(broken)?;
        let few = few(whole, limits.trials, &mut taken).map_err(broken)?;
        cut.push(aside.put_written(|into| few.encode_to(into)).map_err(broken)?.0);
    }
    aside.flush();
    if taken.is_empty() {
        return Err(TrialError::Unfit(task.label, "what it takes has no trials, of which a few could be taken"));
    }
    if let Some((_, all)) = taken.iter().find(|(few, _)| *few == 0) {
        return Err(TrialError::Unfit(task.label, if *all == 0 { "there are no trials" } else { "there is a single trial" }));
    }

    let key = task.key(&cut);
    let order = Order {
        protocol: PROTOCOL,
        key,
        contents: cut,
        run_id: String::new(),
        attempt: 1,
        cores: std::thread::available_parallelism().map_or(1, usize::from),
        memory: Some(limits.memory),
        time: Some(limits.seconds),
        expected_ms: None,
        cache: scratch.to_owned(),
        cluster: None,
        task: task.clone(),
    };
    let workers = Workers::new(worker(scratch));
    let (events, mut told) = tokio::sync::mpsc::unbounded_channel();
    workers.start(vec![(id, order)], events);
    let report = loop {
        match told.recv().await {
            Some(Event::Ended(_, report)) => break report,
            Some(_) => {}
            None => return Err(broken("the worker process is gone")),
        }
    };
    let done = match report.ending {
        Ending::Done(done) => done,
        Ending::Refused { message, help, .. } => return Err(TrialError::Failed(message, help)),
        Ending::OutOfMemory { .. } => {
            return Err(broken(format!("it held more than {} MiB of memory, and was stopped", limits.memory >> 20)));
        }
        Ending::TimedOut { limit } => return Err(broken(format!("it took longer than {limit} s, and was stopped"))),
        Ending::Cancelled => return Err(broken("it was stopped")),
        Ending::World(message) | Ending::Bug(message) | Ending::Lost(message) | Ending::Damaged(_, message) => return Err(broken(message)),
    };
    let read = Cache::open(scratch, Arc::new(OsDisk::new())).map_err(broken)?;
    let outputs = task.outputs.iter().zip(&done.outputs);
    let outputs = outputs.map(|((name, kind), output)| Ok((name.clone(), read_artifact(&read, &output.digest, *kind).map_err(broken)?)));
    let outputs: Result<Vec<_>, TrialError> = outputs.collect();
    Ok(Tried {
        label: task.label.clone(),
        taken,
        outputs: outputs?,
        scores: done.scores.unwrap_or_default(),
        seconds: report.usage.wall_ms / 1e3,
    })
}

/// The contents of a task's arguments, where all are in the cache.
fn contents(plan: &Plan, cache: &Cache, task: TaskId) -> Result<Option<Vec<Digest>>, TrialError> {
    // Tasks stand behind those that they need.
    let (mut needed, mut open) = (BTreeSet::new(), vec![task]);
    while let Some(one) = open.pop() {
        plan.needs(one, |before| {
            if needed.insert(before) {
                open.push(before);
            }
        });
    }
    let mut known: BTreeMap<TaskId, Box<[Output]>> = BTreeMap::new();
    let of = |known: &BTreeMap<TaskId, Box<[Output]>>, one: TaskId| {
        plan.contents(one, |before, output| known.get(&before)?.get(output).map(|output| output.digest))
    };
    for one in needed {
        let Some(contents) = of(&known, one) else { continue };
        let before = plan.task(one);
        if let Some(found) = lookup(cache, &before.key(&contents), &before).map_err(broken)? {
            known.insert(one, found.outputs);
        }
    }
    Ok(of(&known, task))
}

/// An artifact with at most so many of its trials, and never more than half of them; others stay as they are.
fn few(artifact: Artifact, most: usize, taken: &mut Vec<(usize, usize)>) -> Result<Artifact, DataError> {
    if artifact.kind() != Kind::Responses {
        return Ok(artifact);
    }
    let responses = Responses::from_artifact(&artifact)?;
    let chosen = spread(responses.n_trials(), most);
    taken.push((chosen.len(), responses.n_trials()));
    responses.select_trials(&chosen)?.into_artifact()
}

/// Positions that are spread evenly over `n`: at most `most`, and at most every second one.
fn spread(n: usize, most: usize) -> Vec<usize> {
    let count = most.min(n / 2);
    (0..count).map(|one| one * n / count).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn few_trials_are_spread_and_at_most_half_of_them() {
        assert_eq!(spread(10, 100), [0, 2, 4, 6, 8]);
        assert_eq!(spread(10, 2), [0, 5]);
        assert_eq!(spread(9, 100), [0, 2, 4, 6]);
        assert_eq!((spread(0, 5), spread(1, 5)), (vec![], vec![]));
        for (n, most) in [(7, 3), (1000, 64), (5, 5)] {
            let chosen = spread(n, most);
            assert!(chosen.len() <= most && chosen.len() <= n / 2, "{n} {most}");
            assert!(chosen.windows(2).all(|pair| pair[0] < pair[1]) && chosen.iter().all(|&one| one < n));
        }
    }
}
