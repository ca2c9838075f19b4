//! Run records: what ran, from which commit, with which inputs, for how long, and with which scores. Appended to the cache, never changed.

use crate::git::Revision;
use crate::outcome::{Outcome, State, Usage};
use crate::plan::Plan;
use crate::schedule::RunOutcome;
use crate::task::TaskId;
use crate::{home, label};
use neuroflow_cache::Digest;
use neuroflow_data::{Kind, Score};
use serde::{Deserialize, Serialize};
use std::borrow::Borrow;
use std::collections::BTreeMap;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

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
    /// The files that it was read from as they came: label (empty for a single one) and content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub files: Vec<(String, Digest)>,
}

/// A file of the project that a run read beside the pipeline, what that uses, and inputs: a script, a lock of an environment, a name in a list.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptFile {
    /// Its path from the pipeline's folder.
    pub path: String,
    /// What it held; none when only its name was listed.
    pub content: Option<Digest>,
    /// Whether it can be started by itself.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub executable: bool,
}

/// A task of a run: what it was, and what it gave. The rows of a run are one object, a JSON document a line; a run that computed nothing new gives the same
/// object as the one before.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TaskRow {
    /// What a person calls it.
    pub label: String,
    /// What costs are remembered under: the stage, for a call.
    pub cost: String,
    /// Positions of the tasks that it needed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub needs: Vec<usize>,
    /// Its key, when that was known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Digest>,
    /// Its outputs: name, kind, content, size in bytes; empty when it gave nothing. The first is the default.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<(String, Kind, Digest, u64)>,
    /// For the join of a step's controls, the step: its scores are the step's result.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub joins: Option<String>,
    /// Whether nobody asked for it.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub unasked: bool,
}

/// A task that this run computed, or failed to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RanRecord {
    /// Its position among the rows.
    pub task: usize,
    /// What a person calls it.
    pub label: String,
    /// `ran` or `failed`.
    pub state: String,
    /// For a failed one, why.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// When it began, in milliseconds from the beginning of the run.
    pub began_ms: f64,
    /// What it took.
    #[serde(flatten)]
    pub usage: Usage,
    /// How often it was tried.
    pub attempts: u32,
    /// What a person should know beside the result.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
}

/// How many tasks ended how.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Computed by this run.
    pub ran: usize,
    /// Found in the cache.
    pub cached: usize,
    /// Failed.
    pub failed: usize,
    /// Not run because something failed or the run stopped.
    pub skipped: usize,
    /// Not asked for.
    pub unasked: usize,
}

/// An `expect` and what came of it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ExpectRecord {
    /// The condition as written.
    pub condition: String,
    /// The message as written.
    pub message: String,
    /// Whether it holds; none when the run ended before that could be said.
    pub holds: Option<bool>,
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
    /// What `--at` named, when the files were those of a revision or of an earlier run: the revision as it was asked for, or the run's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub at: Option<String>,
    /// Files that the pipeline uses: path and content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub used: Vec<(String, Digest)>,
    /// Other files of the project that the run read.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub kept: Vec<KeptFile>,
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
    /// How many tasks ended how.
    pub counts: Counts,
    /// Mean milliseconds by cost name, of this run's tasks and of those whose results it found.
    pub costs: BTreeMap<String, f64>,
    /// Every task: an object with a [`TaskRow`] a line. Everything that it names belongs to the run.
    pub tasks: Digest,
    /// The tasks that ran now.
    pub ran: Vec<RanRecord>,
    /// Scores by step label.
    pub scores: BTreeMap<String, Vec<Score>>,
    /// Expectations.
    pub expects: Vec<ExpectRecord>,
    /// What a person should know, such as programs that ran without a sandbox.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub remarks: Vec<String>,
    /// Reports written: name and path.
    pub reports: Vec<(String, String)>,
    /// The pages of these reports, by their bytes: a page of that name may be another one by now.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub pages: Vec<(String, Digest)>,
}

impl RunRecord {
    /// Where the pipeline file is, as far as this machine's home folder is the one that the record means.
    pub fn pipeline_file(&self) -> PathBuf {
        home::real(&self.file)
    }

    /// The record as it is kept and shown: no path of this machine's home folder stands in it but in the pipeline's own words. The program is called by its
    /// name, paths of the home folder begin with `~`.
    pub(crate) fn without_home(mut self) -> RunRecord {
        if let Some(program) = self.command.first_mut()
            && let Some(name) = Path::new(program.as_str()).file_name()
        {
            *program = name.to_string_lossy().into_owned();
        }
        let texts = self.command.iter_mut().chain([&mut self.file]).chain(self.set.values_mut());
        let texts = texts.chain(self.inputs.iter_mut().flat_map(|input| input.passed_over.iter_mut().chain([&mut input.taken])));
        let texts = texts.chain(self.ran.iter_mut().flat_map(|ran| ran.error.iter_mut().chain(&mut ran.remarks)));
        let texts = texts.chain(&mut self.remarks).chain(self.reports.iter_mut().map(|(_, path)| path));
        texts.for_each(|text| *text = home::told(text));
        self
    }

    /// The record for other machines: without the command line, the machine, what was not found there, and folders in which files lay.
    #[must_use]
    pub fn without_machine(&self) -> RunRecord {
        let name = |path: &str| Path::new(path).file_name().map_or_else(String::new, |name| name.to_string_lossy().into_owned());
        let mut record = self.clone().without_home();
        record.command.clear();
        record.machine.clear();
        record.remarks.clear();
        record.inputs.iter_mut().for_each(|input| input.passed_over.clear());
        if record.file.starts_with("~/") || Path::new(&record.file).is_absolute() {
            record.file = name(&record.file);
        }
        record.reports.iter_mut().for_each(|(_, path)| *path = name(path));
        record
    }
}

/// The result of each step: label → output → (kind, content).
pub type Results = BTreeMap<String, BTreeMap<String, (Kind, Digest)>>;

impl TaskRow {
    fn new(plan: &Plan, task: TaskId, outcome: &Outcome) -> TaskRow {
        let mut needs = Vec::new();
        plan.needs(task, |needed| needs.push(needed));
        needs.sort_unstable();
        needs.dedup();
        let outputs = plan.outputs(task).iter().zip(&outcome.outputs);
        TaskRow {
            label: plan.label(task),
            cost: plan.cost_name(task).to_owned(),
            needs,
            key: outcome.key,
            outputs: outputs.map(|((name, _), output)| (name.clone(), output.kind, output.digest, output.size)).collect(),
            joins: plan.is_join(task).then(|| plan.instance(plan.step_of(task)).label()),
            unasked: outcome.state == State::Unasked,
        }
    }

    /// The step whose result this is; none for null draws.
    pub(crate) fn step(&self) -> Option<&str> {
        match &self.joins {
            Some(step) => Some(step),
            None if label::part(&self.label).is_some() => None,
            None => Some(&self.label),
        }
    }
}

/// Writes the rows of a run, one after the other: of millions of tasks there is never a text as a whole.
pub(crate) fn write_rows(plan: &Plan, outcome: &RunOutcome, into: &mut dyn Write) -> io::Result<()> {
    let mut into = io::BufWriter::with_capacity(1 << 18, into);
    for (task, outcome) in outcome.tasks.iter().enumerate() {
        serde_json::to_writer(&mut into, &TaskRow::new(plan, task, outcome))?;
        into.write_all(b"\n")?;
    }
    into.flush()
}

/// Reads the rows of a run; a line that can't be read ends them with a reason.
pub(crate) fn read_rows(bytes: &[u8]) -> impl Iterator<Item = Result<TaskRow, String>> {
    let lines = bytes.split(|byte| *byte == b'\n').filter(|line| !line.is_empty());
    lines.map(|line| serde_json::from_slice(line).map_err(|error| error.to_string()))
}

/// The result of each step, from the rows.
pub fn results(rows: &[TaskRow]) -> Results {
    results_of(rows.iter())
}

/// The rows of a run that has just ended, as they would be written.
pub(crate) fn rows_now(plan: &Plan, outcome: &RunOutcome) -> impl Iterator<Item = TaskRow> {
    outcome.tasks.iter().enumerate().map(|(task, outcome)| TaskRow::new(plan, task, outcome))
}

/// As [`results`], of rows that come one after the other.
pub(crate) fn results_of<R: Borrow<TaskRow>>(rows: impl Iterator<Item = R>) -> Results {
    let mut results = Results::new();
    for row in rows {
        let row = row.borrow();
        let Some(step) = row.step() else { continue };
        let outputs = row.outputs.iter().map(|(name, kind, digest, _)| (name.clone(), (*kind, *digest)));
        // A join stands behind the call, and its scores take the place of the call's.
        match &row.joins {
            Some(_) => {
                let scores = row.outputs.first().map(|(_, _, digest, _)| *digest);
                let of_step = results.entry(step.to_owned()).or_default();
                if let (Some(digest), Some((_, place))) = (scores, of_step.values_mut().find(|(kind, _)| *kind == Kind::Scores)) {
                    *place = digest;
                }
            }
            None => {
                results.entry(step.to_owned()).or_default().extend(outputs);
            }
        }
    }
    results
}

/// The tasks that ran now, how many ended how, and what they cost.
pub(crate) fn summary(plan: &Plan, outcome: &RunOutcome) -> (Vec<RanRecord>, Counts, BTreeMap<String, f64>) {
    let mut ran = Vec::new();
    let mut counts = Counts::default();
    let mut sums: BTreeMap<&str, (f64, f64)> = BTreeMap::new();
    for (task, outcome) in outcome.tasks.iter().enumerate() {
        let count = match &outcome.state {
            State::Ran => &mut counts.ran,
            State::Cached { .. } => &mut counts.cached,
            State::Failed(_) => &mut counts.failed,
            State::Skipped => &mut counts.skipped,
            State::Unasked => &mut counts.unasked,
        };
        *count += 1;
        if outcome.is_done() {
            let sum = sums.entry(plan.cost_name(task)).or_default();
            *sum = (sum.0 + f64::from(outcome.wall_ms), sum.1 + 1.0);
        }
        let (state, error) = match &outcome.state {
            State::Ran => ("ran", None),
            State::Failed(failure) => ("failed", Some(failure.message().to_owned())),
            _ => continue,
        };
        let known = outcome.ran.as_deref().cloned().unwrap_or_default();
        ran.push(RanRecord {
            task,
            label: plan.label(task),
            state: state.to_owned(),
            error,
            began_ms: known.span_ms.0,
            usage: known.usage,
            attempts: known.attempts,
            remarks: known.remarks,
        });
    }
    let costs = sums.into_iter().map(|(name, (sum, count))| (name.to_owned(), sum / count)).collect();
    (ran, counts, costs)
}
