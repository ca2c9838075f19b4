//! Whether a run is what its record says: the record and what it names are as they were written, and what is computed again is the same.
//!
//! Results are compared byte by byte. Where a stage declares that it is not exact to the byte, or something that it was computed from is not, other bytes are
//! held to the tolerance that was declared: see [`Exactness`].

mod numbers;

pub use numbers::{Compared, compare, compare_scores};

use crate::kept::{self, Kept};
use crate::plan::Plan;
use crate::record::{ExpectRecord, Results, RunRecord, TaskRow, results_of, rows_now};
use crate::schedule::RunOutcome;
use crate::session::{Prepared, Session, expectations, scores_of};
use crate::task::{TaskId, Work};
use neuroflow_cache::{Cache, CacheError, Digest};
use neuroflow_data::{Kind, Score};
use neuroflow_stage::{Exactness, GpuPolicy, Registry};
use std::collections::{BTreeMap, HashMap};

/// What became of a task that was computed again.
#[derive(Debug, Clone, PartialEq)]
pub enum Verdict {
    /// The same bytes.
    Same,
    /// Other bytes, but the same numbers within the tolerance.
    Within {
        /// The tolerance, relative.
        tolerance: f64,
        /// The largest difference, relative.
        largest: f64,
    },
    /// Something else.
    Differs {
        /// The output.
        output: String,
        /// How, with the largest difference and its place where there are numbers.
        how: String,
    },
    /// It gave something then, and nothing now.
    Missing {
        /// Why.
        reason: String,
    },
}

/// A task of a run, and what became of it.
#[derive(Debug, Clone, PartialEq)]
pub struct Repeated {
    /// What a person calls it.
    pub label: String,
    /// What became of it.
    pub verdict: Verdict,
}

/// Objects that a run names, read again.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Objects {
    /// So many are what their names say.
    pub whole: usize,
    /// Those that are not, with what they belong to.
    pub damaged: Vec<(String, Digest)>,
    /// Those that are no longer there.
    pub gone: Vec<(String, Digest)>,
}

/// Reads every object that a run names.
///
/// # Errors
/// When the disk refuses.
pub fn objects(cache: &Cache, record: &RunRecord, rows: &[TaskRow]) -> Result<Objects, CacheError> {
    let mut named: BTreeMap<Digest, String> = BTreeMap::new();
    let mut name = |digest: Digest, what: String| {
        named.entry(digest).or_insert(what);
    };
    name(record.source, format!("the pipeline {}", record.file));
    name(record.tasks, "the list of tasks".into());
    record.patch.into_iter().for_each(|patch| name(patch, "the changes that were not committed".into()));
    record.used.iter().for_each(|(path, content)| name(*content, path.clone()));
    for kept in &record.kept {
        kept.content.into_iter().for_each(|content| name(content, kept.path.clone()));
    }
    for input in &record.inputs {
        input.files.iter().chain(&input.members).for_each(|(label, content)| name(*content, format!("input {}[{label}]", input.name)));
    }
    for row in rows {
        row.outputs.iter().for_each(|(output, _, content, _)| name(*content, format!("{} of {}", output, row.label)));
    }
    let mut found = Objects::default();
    for (digest, what) in named {
        match cache.get(&digest)? {
            // Not `is_whole`, which remembers what it has seen.
            Some(bytes) if Digest::of_many(&bytes) == digest => found.whole += 1,
            Some(_) => found.damaged.push((what, digest)),
            None if cache.was_damaged(&digest) => found.damaged.push((what, digest)),
            None => found.gone.push((what, digest)),
        }
    }
    Ok(found)
}

/// Compares what tasks gave then with what they gave now. `then` is the session of the run, `now` the one in which it was computed again.
pub fn repeated(rows: &[TaskRow], then: &Session, now: &Session, prepared: &Prepared, outcome: &RunOutcome) -> Vec<Repeated> {
    let plan = &prepared.plan;
    let places: HashMap<String, TaskId> = (0..plan.len()).map(|task| (plan.label(task), task)).collect();
    let tolerances = tolerances(plan, &now.registry);
    let mut all = Vec::new();
    for row in rows.iter().filter(|row| !row.outputs.is_empty()) {
        let verdict = match places.get(&row.label) {
            None => Verdict::Missing { reason: "the pipeline has no such task now".into() },
            Some(&task) => verdict(row, (then, now), &outcome.tasks[task], tolerances[task]),
        };
        all.push(Repeated { label: row.label.clone(), verdict });
    }
    all
}

/// As [`repeated`], of a run whose tasks this cache does not have: what the project keeps of it says what its steps gave, and which scores they had. Where the
/// bytes are others, scores are compared; of other results the numbers of then are not known.
pub fn repeated_kept(kept: &Kept, now: &Session, prepared: &Prepared, outcome: &RunOutcome) -> Vec<Repeated> {
    let plan = &prepared.plan;
    let tolerances = tolerances(plan, &now.registry);
    let mut of_steps: HashMap<String, Option<f64>> = HashMap::new();
    for (row, tolerance) in rows_now(plan, outcome).zip(&tolerances) {
        let Some(step) = row.step() else { continue };
        let widest = of_steps.entry(step.to_owned()).or_default();
        *widest = (*widest).into_iter().chain(*tolerance).reduce(f64::max);
    }
    let given = results_of(rows_now(plan, outcome));
    let instances = prepared.instances().iter().enumerate();
    let scores: BTreeMap<String, Vec<Score>> = instances
        .filter_map(|(step, instance)| {
            let mut scores = scores_of(prepared, outcome, step)?;
            kept::small_scores(&mut scores);
            Some((instance.label(), scores))
        })
        .collect();
    let before = kept.results();
    let scored = kept.run.scores.keys().filter(|step| !before.contains_key(*step));
    let steps = before.keys().chain(scored);
    // Of a run of some steps only those can be missed; of a whole one all.
    let is_whole = kept.run.counts.unasked == 0;
    let missed = scores.keys().filter(|step| is_whole && !kept.run.scores.contains_key(*step)).map(|step| Repeated {
        label: step.clone(),
        verdict: Verdict::Differs { output: "scores".into(), how: "there are none in what is kept".into() },
    });
    let mut all: Vec<Repeated> = missed.collect();
    // Expectations and how it ended follow from scores, and are held to them.
    let expects = expectations(prepared, outcome);
    for (was, is) in kept.run.expects.iter().zip(&expects).filter(|(was, is)| was.condition != is.condition || was.holds != is.holds) {
        let word = |one: &ExpectRecord| match one.holds {
            Some(true) => "holds",
            Some(false) => "does not hold",
            None => "is not decided",
        };
        let how = format!("`{}` {} in what is kept, and now `{}` {}", was.condition, word(was), is.condition, word(is));
        all.push(Repeated { label: "expect".into(), verdict: Verdict::Differs { output: "condition".into(), how } });
    }
    if kept.run.expects.len() != expects.len() {
        let how = format!("{} are kept, the pipeline has {}", kept.run.expects.len(), expects.len());
        all.push(Repeated { label: "expect".into(), verdict: Verdict::Differs { output: "conditions".into(), how } });
    }
    let told = steps.map(|step| {
        let tolerance = of_steps.get(step).copied().flatten();
        let verdict = match scores_verdict(kept.run.scores.get(step), scores.get(step), tolerance) {
            // Equal digests say more than equal scores.
            of_scores @ (Verdict::Same | Verdict::Within { .. }) => results_verdict(step, &before, &given, of_scores),
            other => other,
        };
        Repeated { label: step.clone(), verdict }
    });
    all.extend(told);
    all
}

/// What became of the scores of a step; the same where it had none.
fn scores_verdict(before: Option<&Vec<Score>>, after: Option<&Vec<Score>>, tolerance: Option<f64>) -> Verdict {
    let Some(before) = before else { return Verdict::Same };
    let Some(after) = after else { return Verdict::Missing { reason: "it was not computed".into() } };
    let differs = |how: String| Verdict::Differs { output: "scores".into(), how };
    match (compare_scores(before, after), tolerance) {
        (Compared::Numbers { largest: 0.0, .. }, _) => Verdict::Same,
        (Compared::Numbers { largest, .. }, Some(tolerance)) if largest <= tolerance => Verdict::Within { tolerance, largest },
        (Compared::Numbers { largest, at }, Some(tolerance)) => differs(beyond(largest, &at, tolerance)),
        (Compared::Numbers { largest, at }, None) => differs(format!("by {largest:.2e} at {at}")),
        (Compared::Otherwise(how), _) => differs(how),
    }
}

/// What became of the results of a step whose scores became `of_scores`.
fn results_verdict(step: &str, before: &Results, after: &Results, of_scores: Verdict) -> Verdict {
    let Some(before) = before.get(step) else { return of_scores };
    let Some(after) = after.get(step).filter(|outputs| !outputs.is_empty()) else {
        return Verdict::Missing { reason: "it was not computed".into() };
    };
    let mut whole = true;
    for (output, (kind, digest)) in before {
        match after.get(output) {
            Some((_, now)) if now == digest => {}
            None => return Verdict::Missing { reason: format!("there is no `{output}` now") },
            // Its numbers were compared.
            Some(_) if *kind == Kind::Scores => whole = false,
            Some(_) => {
                let how = "other bytes; the numbers of then are not in this cache".to_owned();
                return Verdict::Differs { output: output.clone(), how };
            }
        }
    }
    match of_scores {
        // Words beside the numbers differ.
        Verdict::Same if !whole => Verdict::Within { tolerance: 0.0, largest: 0.0 },
        of_scores => of_scores,
    }
}

fn beyond(largest: f64, at: &str, tolerance: f64) -> String {
    format!("by {largest:.2e} at {at}, and {tolerance:.0e} is allowed")
}

fn verdict(row: &TaskRow, (then, now): (&Session, &Session), outcome: &crate::outcome::Outcome, tolerance: Option<f64>) -> Verdict {
    if outcome.outputs.len() != row.outputs.len() {
        let reason = match &outcome.state {
            crate::outcome::State::Failed(failure) => format!("it failed: {}", failure.message()),
            _ => "it was not computed".to_owned(),
        };
        return Verdict::Missing { reason };
    }
    let mut largest: Option<f64> = None;
    for ((name, kind, before, _), after) in row.outputs.iter().zip(&outcome.outputs) {
        if *before == after.digest {
            continue;
        }
        let differs = |how: String| Verdict::Differs { output: name.clone(), how };
        let (before, after) = match (then.artifact(*kind, before), now.artifact(after.kind, &after.digest)) {
            (Ok(before), Ok(after)) => (before, after),
            (Err(reason), _) => return differs(format!("other bytes; the numbers of then can't be compared: {reason}")),
            (_, Err(reason)) => return differs(format!("other bytes; the numbers of now can't be compared: {reason}")),
        };
        match (compare(&before, &after), tolerance) {
            (Compared::Numbers { largest: found, .. }, Some(tolerance)) if found <= tolerance => {
                largest = Some(largest.map_or(found, |before| before.max(found)));
            }
            (Compared::Numbers { largest, at }, Some(tolerance)) => {
                return differs(beyond(largest, &at, tolerance));
            }
            (Compared::Numbers { largest, at }, None) => return differs(format!("by {largest:.2e} at {at}")),
            (Compared::Otherwise(how), _) => return differs(how),
        }
    }
    match (largest, tolerance) {
        (Some(largest), Some(tolerance)) => Verdict::Within { tolerance, largest },
        _ => Verdict::Same,
    }
}

/// For each task the tolerance that holds for its results: the widest that its own stages declare, or those of a task that it needs. None is exact.
fn tolerances(plan: &Plan, registry: &Registry) -> Vec<Option<f64>> {
    let of_stage = |stage: &str, gpu: GpuPolicy| match registry.get(stage).map(|stage| stage.signature().exactness) {
        Some(Exactness::Within(tolerance)) => Some(tolerance),
        Some(Exactness::OnGpu(tolerance)) if gpu != GpuPolicy::Never => Some(tolerance),
        _ => None,
    };
    let widest = |a: Option<f64>, b: Option<f64>| a.into_iter().chain(b).reduce(f64::max);
    let mut all: Vec<Option<f64>> = Vec::with_capacity(plan.len());
    for id in 0..plan.len() {
        let task = plan.task(id);
        let mut tolerance = match &task.work {
            Work::Call(call) => of_stage(&call.stage, task.gpu),
            Work::Nulls(batch) => batch.chain.iter().map(|link| of_stage(&link.call.stage, task.gpu)).fold(None, widest),
            Work::Exec(_) | Work::Join { .. } => None,
        };
        plan.needs(id, |needed| tolerance = widest(tolerance, all.get(needed).copied().flatten()));
        all.push(tolerance);
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::outcome::{Outcome, Output, State};
    use neuroflow_cache::OsDisk;
    use neuroflow_data::{Axis, Tensor, Typed};
    use std::sync::Arc;

    fn session(folder: &std::path::Path) -> Session {
        let cache = Arc::new(Cache::open(folder, Arc::new(OsDisk::new())).unwrap());
        Session { cache, registry: Arc::new(Registry::default()), data: Default::default(), sources: Default::default() }
    }

    /// A result in the cache of a session.
    fn put(session: &Session, value: f64) -> Digest {
        let tensor = Tensor::new(vec![Axis::count("unit", 2)], None, vec![1.0, value]).unwrap();
        session.cache.put(&tensor.into_artifact().unwrap().encode().unwrap()).unwrap()
    }

    #[test]
    fn other_bytes_are_the_same_only_within_a_tolerance_that_was_declared() {
        let (one, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (then, now) = (session(one.path()), session(other.path()));
        let row = |digest| TaskRow {
            label: "factors".into(),
            cost: "factors".into(),
            needs: Vec::new(),
            key: None,
            outputs: vec![("out".into(), Kind::Tensor, digest, 0)],
            joins: None,
            unasked: false,
        };
        let outcome = |digest| Outcome {
            state: State::Ran,
            key: None,
            outputs: Box::new([Output { digest, kind: Kind::Tensor, size: 0 }]),
            wall_ms: 0.0,
            scores: None,
            ran: None,
        };
        let (exact, near) = (put(&then, 2.0), put(&now, 2.0002));
        let of = |digest, tolerance| verdict(&row(exact), (&then, &now), &outcome(digest), tolerance);
        assert_eq!(of(exact, None), Verdict::Same);
        assert!(matches!(of(near, Some(1e-3)), Verdict::Within { largest, .. } if largest > 9e-5 && largest < 1.1e-4));
        assert!(
            matches!(of(near, Some(1e-5)), Verdict::Differs { how, .. } if how.contains("1e-5 is allowed") && how.contains("number 1"))
        );
        assert!(matches!(of(near, None), Verdict::Differs { output, .. } if output == "out"));
        let nothing = Outcome { outputs: Box::default(), state: State::Skipped, ..outcome(near) };
        assert!(matches!(verdict(&row(exact), (&then, &now), &nothing, None), Verdict::Missing { .. }));
    }
}
