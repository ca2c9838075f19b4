//! What a change of a pipeline means: which tasks it brings, changes and takes away, and which of them would run.
//!
//! Two plans are compared by what their tasks compute, down to the contents of the pipeline's inputs, whether or not anything ran. So a renamed step is no
//! change at all, and a changed one changes what follows from it. A result that turns out equal after all stops there when it is run.

use crate::explain::{Verdict, compare, preview};
use crate::plan::Plan;
use crate::session::Prepared;
use crate::task::TaskId;
use neuroflow_cache::{Cache, CacheError, Digest, KeyEncoder};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};

/// What a change does to some tasks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// They were not there before.
    New,
    /// They compute something else.
    Changed,
    /// They are no longer there.
    Gone,
}

/// Tasks of one step with one fate: its calls, or the null draws of one of its controls.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DeltaRow {
    /// The step, with its member: `direction["mrcuts28"]`.
    pub step: String,
    /// The control whose draws they are; `controls` for the join; empty for the step's own call.
    pub part: String,
    /// What becomes of them.
    pub fate: Fate,
    /// How many.
    pub tasks: usize,
    /// How many of them would run; the results of the others are in the cache.
    pub runs: usize,
    /// Why, for changed ones.
    pub because: Vec<String>,
}

/// What a change of a pipeline does to its plan.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlanDelta {
    /// Everything that is new, changed or gone, in the order of the plan.
    pub rows: Vec<DeltaRow>,
    /// Tasks afterwards, as far as they are known.
    pub tasks: usize,
    /// Tasks that stay as they are and whose results are in the cache.
    pub cached: usize,
    /// Tasks that stay as they are and have not run yet.
    pub pending: usize,
    /// Steps whose scores may be other ones afterwards.
    pub moves: Vec<String>,
    /// Steps of which nothing is known before others have run.
    pub later: Vec<String>,
    /// Everything that the plan afterwards computes, as one number: the same pipeline on the same inputs has the same.
    pub digest: Digest,
}

impl PlanDelta {
    /// How many tasks have a fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.rows.iter().filter(|row| row.fate == fate).map(|row| row.tasks).sum()
    }

    /// How many new and changed tasks would run.
    pub fn runs(&self) -> usize {
        self.rows.iter().map(|row| row.runs).sum()
    }

    /// Compares two plans; without `before`, everything is new. The second value are the tasks of `after` that would run.
    ///
    /// # Errors
    /// When the cache can't be read.
    pub fn between(before: Option<&Prepared>, after: &Prepared, cache: &Cache) -> Result<(PlanDelta, Vec<TaskId>), CacheError> {
        let (was, now) = (before.map(|before| computed(&before.plan)).unwrap_or_default(), computed(&after.plan));
        let known: HashMap<String, TaskId> =
            before.iter().flat_map(|before| (0..was.len()).map(|task| (before.plan.label(task), task))).collect();
        // A task that computes what another one computed is not new, whatever it is called now.
        let computes: HashSet<Digest> = was.iter().map(|computed| computed.key).collect();
        let verdicts = preview(&after.plan, cache, &HashMap::new())?;
        let mut rows = Rows::default();
        let (mut cached, mut pending, mut running) = (0, 0, Vec::new());
        let (mut moved, mut labels, mut still) = (BTreeMap::new(), HashSet::new(), HashSet::new());
        let mut key = KeyEncoder::new();
        for (task, now) in now.iter().enumerate() {
            let label = after.plan.label(task);
            key.text(&label);
            key.digest(&now.key);
            still.insert(now.key);
            let runs = matches!(verdicts[task], Verdict::WouldRun { .. } | Verdict::Depends { .. });
            let of_label = known.get(&label).and_then(|old| Some((*old, was.get(*old)?)));
            let fate = match of_label {
                Some((_, was)) if was.key == now.key => None,
                Some(_) => Some(Fate::Changed),
                None if computes.contains(&now.key) => None,
                None => Some(Fate::New),
            };
            labels.insert(label);
            let Some(fate) = fate else {
                cached += usize::from(!runs);
                pending += usize::from(runs);
                continue;
            };
            if runs {
                running.push(task);
            }
            let because = || match (of_label, before) {
                (Some((old, was)), Some(before)) => reasons((&before.plan, old, was), (&after.plan, task, now)),
                _ => Vec::new(),
            };
            let step = after.plan.step_of(task);
            if after.plan.declared_of(step).is_some_and(|declared| declared.scores.is_some()) {
                let decl = after.plan.instances()[step].decl;
                moved.insert(decl, after.pipeline.steps.get(decl).map(|step| step.name.text.clone()).unwrap_or_default());
            }
            rows.add(&after.plan, task, fate, runs, because);
        }
        if let Some(before) = before {
            for (task, was) in was.iter().enumerate() {
                if !still.contains(&was.key) && !labels.contains(&before.plan.label(task)) {
                    rows.add(&before.plan, task, Fate::Gone, false, Vec::new);
                }
            }
        }
        let later: Vec<String> = after.plan.later(&after.pipeline).into_iter().map(str::to_owned).collect();
        key.list(later.len());
        later.iter().for_each(|step| key.text(step));
        let delta = PlanDelta {
            rows: rows.rows,
            tasks: after.plan.len(),
            cached,
            pending,
            moves: moved.into_values().collect(),
            later,
            digest: key.finish(),
        };
        Ok((delta, running))
    }
}

/// Steps of a plan with a result of their own call in the cache already; draws of controls are no results.
///
/// # Errors
/// When the cache can't be read.
pub fn known_steps(prepared: &Prepared, cache: &Cache) -> Result<BTreeSet<String>, CacheError> {
    let plan = &prepared.plan;
    let verdicts = preview(plan, cache, &HashMap::new())?;
    let is_known = |task: &TaskId| {
        matches!(verdicts.get(*task), Some(Verdict::Cached { .. })) && !plan.is_join(*task) && plan.control_name(*task).is_none()
    };
    let name = |task: TaskId| crate::label::step_name(&plan.instance(plan.step_of(task)).label()).to_owned();
    Ok((0..plan.len()).filter(is_known).map(name).collect())
}

/// What a task computes.
struct Computed {
    key: Digest,
    contents: Vec<Digest>,
}

/// What each task computes. In the place of contents that are not known before it runs stands what gives them.
fn computed(plan: &Plan) -> Vec<Computed> {
    let mut all: Vec<Computed> = Vec::with_capacity(plan.len());
    for task in 0..plan.len() {
        let of = |needed: TaskId, output: usize| Some(in_place_of(&all.get(needed)?.key, output));
        let contents = plan.contents(task, of).unwrap_or_default();
        all.push(Computed { key: plan.task(task).key(&contents), contents });
    }
    all
}

/// What stands in the place of an output's content that is not known before its task runs: what gives it.
pub(crate) fn in_place_of(key: &Digest, output: usize) -> Digest {
    let mut encoder = KeyEncoder::new();
    encoder.text("output");
    encoder.digest(key);
    encoder.uint(output as u64);
    encoder.finish()
}

/// In words, why a task computes something else.
fn reasons(before: (&Plan, TaskId, &Computed), after: (&Plan, TaskId, &Computed)) -> Vec<String> {
    let fields = |(plan, task, computed): (&Plan, TaskId, &Computed)| plan.task(task).key_fields(&computed.contents);
    let mut differences = Vec::new();
    compare("", &fields(before), &fields(after), &mut differences);
    // The digests of inputs tell a person nothing.
    let mut told: Vec<String> = differences
        .into_iter()
        .map(|one| match one.strip_prefix("inputs.").and_then(|rest| rest.split_once(": ")) {
            Some((name, _)) if name.starts_with("nulls[") => "its null draws".to_owned(),
            Some((name, _)) => format!("its input `{name}`"),
            None => one,
        })
        .collect();
    told.dedup();
    told
}

/// Rows, those of one step and part together.
#[derive(Default)]
struct Rows {
    rows: Vec<DeltaRow>,
    places: HashMap<(String, String, Fate), usize>,
}

impl Rows {
    /// Adds a task. Why is asked for the first one of a row alone: draws of a control are many, and each says all of its chain.
    fn add(&mut self, plan: &Plan, task: TaskId, fate: Fate, runs: bool, because: impl FnOnce() -> Vec<String>) {
        let step = plan.instance(plan.step_of(task)).label();
        let part = if plan.is_join(task) { "controls".to_owned() } else { plan.control_name(task).unwrap_or_default().to_owned() };
        let place = *self.places.entry((step.clone(), part.clone(), fate)).or_insert_with(|| {
            self.rows.push(DeltaRow { step, part, fate, tasks: 0, runs: 0, because: because() });
            self.rows.len() - 1
        });
        let row = &mut self.rows[place];
        row.tasks += 1;
        row.runs += usize::from(runs);
    }
}
