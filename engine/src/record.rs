//! Run records: what ran, from which commit, with which inputs, for how long, and with which scores. Appended to the cache, never changed.

use crate::git::Revision;
use crate::schedule::{Failure, Outcome, State};
use crate::task::{Task, Work};
use neuroflow_cache::Digest;
use neuroflow_data::{Kind, Score};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Status {
    /// Everything is done and every `expect` holds.
    Done,
    /// Everything is done, and an `expect` does not hold.
    ExpectFailed,
    /// A step failed.
    Failed,
    /// Stopped by a person.
    Interrupted,
}

/// An input of the pipeline as it was found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct InputRecord {
    /// Its name in the pipeline.
    pub name: String,
    /// What was taken, in words: `data set park2024-v1-gratings`.
    pub taken: String,
    /// Alternatives before it that could not be had, and why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub passed_over: Vec<String>,
    /// Whether it is simulated.
    pub simulated: bool,
    /// Its parts: label and content.
    pub members: Vec<(String, Digest)>,
}

/// An output of a task in the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct OutputRecord {
    /// Its name.
    pub name: String,
    /// Its kind.
    pub kind: Kind,
    /// Its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// A task in the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRecord {
    /// What a person calls it.
    pub label: String,
    /// The step that it belongs to.
    pub step: String,
    /// What costs are remembered under.
    pub cost: String,
    /// The stage, for a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stage: Option<String>,
    /// The stage's version, for a call.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<u32>,
    /// Positions of the tasks that it needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<usize>,
    /// `ran`, `cached`, `failed`, `skipped`, or `unasked` when only other steps were asked for.
    pub state: String,
    /// For a cached one, the run that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// For a failed one, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// Its key.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// Milliseconds that it took when it ran.
    pub wall_ms: f64,
    /// Its outputs.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<OutputRecord>,
}

/// An `expect` and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectRecord {
    /// The condition as written.
    pub condition: String,
    /// The message as written.
    pub message: String,
    /// Whether it holds.
    pub holds: bool,
    /// The condition with the numbers filled in.
    pub numbers: String,
}

/// One run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunRecord {
    /// The run's id: time and a suffix, sortable.
    pub id: String,
    /// The pipeline's name.
    pub pipeline: String,
    /// The pipeline file, as given.
    pub file: String,
    /// Content of the pipeline file.
    pub source: Digest,
    /// The command line.
    pub command: Vec<String>,
    /// Parameters that were set for this run, as text.
    pub set: BTreeMap<String, String>,
    /// Version control, when there is any.
    pub revision: Option<Revision>,
    /// The working tree's difference from the commit, as an object.
    pub patch: Option<Digest>,
    /// neuroflow's version.
    pub neuroflow: String,
    /// The machine, in words: system and number of cores.
    pub machine: String,
    /// When it began, RFC 3339 in UTC.
    pub started: String,
    /// Milliseconds from beginning to end.
    pub wall_ms: f64,
    /// How it ended.
    pub status: Status,
    /// Whether controls were switched off.
    pub controls: bool,
    /// Inputs as they were found.
    pub inputs: Vec<InputRecord>,
    /// Every task.
    pub tasks: Vec<TaskRecord>,
    /// Scores by step label.
    pub scores: BTreeMap<String, Vec<Score>>,
    /// The result of each step: label → output → (kind, content).
    pub results: BTreeMap<String, BTreeMap<String, (Kind, Digest)>>,
    /// Expectations.
    pub expects: Vec<ExpectRecord>,
    /// Reports written: name and path.
    pub reports: Vec<(String, String)>,
}

impl TaskRecord {
    /// The record of a task and what became of it.
    pub fn new(task: &Task, outcome: &Outcome) -> TaskRecord {
        let (state, from, error) = match &outcome.state {
            State::Cached { run } => ("cached", Some(run.clone()).filter(|run| !run.is_empty()), None),
            State::Ran => ("ran", None, None),
            State::Skipped => ("skipped", None, None),
            State::Unasked => ("unasked", None, None),
            State::Failed(Failure::Refused { message, .. } | Failure::World(message) | Failure::Bug(message)) => {
                ("failed", None, Some(message.clone()))
            }
        };
        let call = match &task.work {
            Work::Call(call) => Some(call),
            _ => None,
        };
        let mut needs: Vec<usize> = task.needs().collect();
        needs.sort_unstable();
        needs.dedup();
        TaskRecord {
            label: task.label.clone(),
            step: task.step.clone(),
            cost: task.cost_name(),
            stage: call.map(|call| call.stage.clone()),
            version: call.map(|call| call.version),
            needs,
            state: state.to_owned(),
            from,
            error,
            key: outcome.key,
            wall_ms: outcome.wall_ms,
            outputs: outcome
                .outputs
                .iter()
                .map(|(name, output)| OutputRecord { name: name.clone(), kind: output.kind, digest: output.digest, size: output.size })
                .collect(),
        }
    }
}

impl RunRecord {
    /// Mean milliseconds by cost name over the tasks that were ever run, for estimates.
    pub fn costs(&self) -> BTreeMap<String, f64> {
        let mut sums: BTreeMap<String, (f64, f64)> = BTreeMap::new();
        for task in self.tasks.iter().filter(|task| task.state == "ran" || task.state == "cached") {
            let sum = sums.entry(task.cost.clone()).or_default();
            *sum = (sum.0 + task.wall_ms, sum.1 + 1.0);
        }
        sums.into_iter().map(|(name, (sum, count))| (name, sum / count)).collect()
    }

    /// How many tasks ran, were cached, failed, were skipped.
    pub fn counts(&self) -> (usize, usize, usize, usize) {
        let count = |state: &str| self.tasks.iter().filter(|task| task.state == state).count();
        (count("ran"), count("cached"), count("failed"), count("skipped"))
    }
}
