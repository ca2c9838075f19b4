//! One pipeline, from text to run record: find the inputs, unroll the loops, plan, run, decide what was expected, write it down.

use crate::cached::read_artifact;
use crate::dataset::DataRegistry;
use crate::fetch::{OnProgress, Sources};
use crate::files::ProjectFiles;
use crate::git::{self, Revision};
use crate::home;
use crate::inputs::Wanted;
use crate::latest::{self, find_run};
use crate::outcome::Output;
use crate::plan::{InputContent, NothingKnown, Plan, PlanError};
use crate::record::{self, ExpectRecord, InputRecord, KeptFile, RunRecord, Status, TaskRow};
use crate::schedule::{self, Observer, RunOptions, RunOutcome};
use crate::select::Wish;
use neuroflow_cache::{Cache, Digest};
use neuroflow_data::{Artifact, Kind, Score};
use neuroflow_dsl::pipeline::{ExpectDecl, Members, StepDecl, Target};
use neuroflow_dsl::{Diagnostic, Pipeline, StepInstance, condition};
use neuroflow_stage::Registry;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// How many runs are looked at for the latest of a pipeline.
const LOOKED_BACK: usize = 30;

/// What a plan needs to know of an earlier run. Of what ran in it, which may be millions of tasks, nothing is held.
#[derive(Deserialize)]
struct Estimated {
    pipeline: String,
    costs: BTreeMap<String, f64>,
}

/// What is asked of a run to know whether it was made at a commit.
#[derive(Deserialize)]
struct AtCommit {
    source: Digest,
    #[serde(default)]
    set: BTreeMap<String, String>,
    #[serde(default)]
    at: Option<String>,
    revision: Option<Revision>,
}

/// What a session works with.
pub struct Session {
    /// The cache.
    pub cache: Arc<Cache>,
    /// The stages.
    pub registry: Arc<Registry>,
    /// The data sets.
    pub data: DataRegistry,
    /// Where data sets may come from.
    pub sources: Sources,
}

/// Why a pipeline could not be prepared.
#[derive(Debug, thiserror::Error)]
pub enum SessionError {
    /// The pipeline is wrong, which shows only now that its inputs are known.
    #[error("the pipeline is wrong")]
    Pipeline(Vec<Diagnostic>),
    /// A control can't take hold.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An input can't be had.
    #[error("input `{input}` can't be had:\n{}", tried.join("\n"))]
    Input {
        /// The input.
        input: String,
        /// Its place in the pipeline.
        span: std::ops::Range<usize>,
        /// Each alternative, and what was wrong.
        tried: Vec<String>,
        /// What to do.
        help: String,
    },
    /// The cache refused.
    #[error(transparent)]
    Cache(#[from] neuroflow_cache::CacheError),
    /// What a run did is no longer in the cache.
    #[error("the tasks of run `{run}` are not in this cache: they were removed, or it was made elsewhere; run the pipeline again")]
    Gone {
        /// The run.
        run: String,
    },
    /// What is in the cache is not what was put there.
    #[error("{what} was damaged and is in quarantine; run the pipeline again, which writes it anew")]
    Damaged {
        /// What was damaged, in words.
        what: String,
    },
    /// A mistake of ours.
    #[error("{0}")]
    Bug(String),
}

/// What a pipeline is prepared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be run: inputs are kept as they are now.
    Run,
    /// Only to be planned: files are hashed, and copied only where something must be read in them.
    Plan,
}

/// A pipeline with everything known that can be known before it runs.
pub struct Prepared {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Its steps and tasks, as far as they are known.
    pub plan: Plan,
    /// Its inputs as they were found.
    pub inputs: Vec<InputRecord>,
    /// Whether controls are on.
    pub controls: bool,
    /// The files that it was prepared with, and that programs are given.
    pub files: Arc<ProjectFiles>,
}

/// What is known about a run beside its tasks, for the record.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// The pipeline file.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
    /// Files that it uses: path and text.
    pub used: Vec<(String, String)>,
    /// The command line.
    pub command: Vec<String>,
    /// Parameters that were set.
    pub set: Vec<(String, String)>,
    /// neuroflow's version.
    pub version: String,
}

impl Prepared {
    /// Its single steps, as far as they are known.
    pub fn instances(&self) -> &[StepInstance] {
        self.plan.instances()
    }

    /// Whether the results of a step (a position in [`Prepared::instances`]) are asked for.
    pub fn is_asked(&self, step: usize) -> bool {
        self.plan.tasks_of(step).all(|task| self.plan.wish(task) != Wish::Unasked)
    }
}

impl Session {
    /// Finds the inputs, whose paths begin at `working`, unrolls loops and plans. `folder` is the pipeline's own, in which programs find their scripts.
    ///
    /// # Errors
    /// As for [`Session::prepare_with`].
    pub async fn prepare(
        &self,
        pipeline: Pipeline,
        (working, folder): (&Path, &Path),
        purpose: Purpose,
        controls: bool,
        on_progress: OnProgress<'_>,
    ) -> Result<Prepared, SessionError> {
        let files = Arc::new(ProjectFiles::now(working, &folder.join("pipeline")));
        self.prepare_with(pipeline, files, purpose, controls, on_progress).await
    }

    /// Finds the inputs among the files of a project, unrolls loops and plans.
    ///
    /// # Errors
    /// When an input can't be had (all that was tried is named), or a mistake shows that needs the inputs to be seen.
    pub async fn prepare_with(
        &self,
        pipeline: Pipeline,
        files: Arc<ProjectFiles>,
        purpose: Purpose,
        controls: bool,
        on_progress: OnProgress<'_>,
    ) -> Result<Prepared, SessionError> {
        let mut found = Vec::new();
        for (position, input) in pipeline.inputs.iter().enumerate() {
            let wanted = Wanted { decoded: !self.is_read_in_parts(&pipeline, position), runs: purpose == Purpose::Run };
            found.push(self.find(input, wanted, &files, on_progress).await?);
        }
        // Also a run that goes no further has read the files.
        self.cache.save_stats()?;
        let contents = found.iter().map(|found| InputContent {
            taken: found.record.taken.clone(),
            whole: found.whole,
            raw: found.raw,
            members: found.record.members.iter().filter(|(label, _)| !label.is_empty()).cloned().collect(),
        });
        let mut plan = Plan::new(&pipeline, contents.collect(), controls);
        plan.grow(&pipeline, &self.registry, &NothingKnown { files: &files, cache: &self.cache })?;
        let last = self.newest(|run: &Estimated| run.pipeline == pipeline.name);
        plan.estimate(last.map(|run| run.costs).unwrap_or_default());
        let inputs = found.into_iter().map(|found| found.record).collect();
        Ok(Prepared { pipeline, plan, inputs, controls, files })
    }

    /// The latest run of a pipeline with the files of the working tree of this project, among the newest of all.
    pub fn latest_of(&self, pipeline: &str) -> Option<RunRecord> {
        let here = std::env::current_dir().map(|here| latest::mark(&here)).ok();
        self.newest(|run: &RunRecord| run.pipeline == pipeline && run.at.is_none() && latest::is_here(&self.cache, &run.id, here.as_ref()))
    }

    /// The newest run that fits; of the oldest ones of a long history nothing is known.
    pub fn newest<T: DeserializeOwned>(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let ids = self.cache.runs().ok()?;
        ids.iter().take(LOOKED_BACK).filter_map(|id| self.cache.run(id).ok()).find(fits)
    }

    /// The runs that fit, the newest first, among all that the cache has.
    pub fn all_that<T: DeserializeOwned>(&self, fits: impl Fn(&T) -> bool) -> Vec<T> {
        let ids = self.cache.runs().unwrap_or_default();
        ids.iter().filter_map(|id| self.cache.run(id).ok()).filter(fits).collect()
    }

    /// Whether all that takes an input reads only what it needs of the file.
    fn is_read_in_parts(&self, pipeline: &Pipeline, input: usize) -> bool {
        let takes = |step: &StepDecl| {
            let bindings = step.bindings.iter().filter(|binding| binding.reference.target == Target::Input(input));
            let stage = self.registry.get(&step.stage).map(|stage| stage.signature());
            bindings.map(|binding| stage.as_ref().is_some_and(|stage| stage.reads_files(&binding.slot))).collect::<Vec<_>>()
        };
        let takers: Vec<bool> = pipeline.steps.iter().flat_map(takes).collect();
        !takers.is_empty() && takers.iter().all(|in_parts| *in_parts)
    }

    /// Runs a prepared pipeline; its plan grows by what becomes known. The record is written by [`Session::write`].
    pub async fn run(&self, prepared: &mut Prepared, options: &RunOptions, observer: &Arc<dyn Observer>) -> RunOutcome {
        schedule::run(&mut prepared.plan, &prepared.pipeline, &prepared.files, &self.cache, &self.registry, options, observer).await
    }

    /// What there is to say about a run.
    ///
    /// # Errors
    /// When the cache refuses the pipeline's text or the tree's difference.
    pub fn record(
        &self,
        prepared: &Prepared,
        outcome: &RunOutcome,
        info: &RunInfo,
        options: &RunOptions,
        clock: &Clock,
    ) -> Result<RunRecord, SessionError> {
        let kept = prepared.files.kept();
        let (at, (revision, patch)) = match prepared.files.recorded.clone() {
            Some(recorded) => (Some(recorded.at), (recorded.revision, recorded.patch)),
            None => (None, self.describe(prepared, info, &kept)?),
        };
        let expects = expectations(prepared, outcome);
        let status = match (outcome.cancelled, outcome.is_complete(), expects.iter().all(|expect| expect.holds == Some(true))) {
            (true, false, _) => Status::Interrupted,
            (_, false, _) => Status::Failed,
            (_, true, false) => Status::ExpectFailed,
            (_, true, true) => Status::Done,
        };
        let steps = prepared.instances().iter().enumerate();
        let scores = steps.filter_map(|(step, instance)| Some((instance.label(), scores_of(prepared, outcome, step)?))).collect();
        let (ran, counts, costs) = record::summary(&prepared.plan, outcome);
        let (tasks, _) = self.cache.put_repeatable(|into| record::write_rows(&prepared.plan, outcome, into))?;
        let mut used = Vec::new();
        for (path, text) in &info.used {
            used.push((path.clone(), self.cache.put(text.as_bytes())?));
        }
        let remarks = outcome.remarks.iter().cloned().chain(prepared.files.remarks());
        let record = RunRecord {
            id: options.run_id.clone(),
            pipeline: prepared.pipeline.name.clone(),
            file: info.file.display().to_string(),
            source: self.cache.put(info.text.as_bytes())?,
            command: info.command.clone(),
            set: info.set.iter().cloned().collect(),
            revision,
            patch,
            at,
            used,
            neuroflow: info.version.clone(),
            machine: format!("{} {}, {} cores", std::env::consts::OS, std::env::consts::ARCH, options.machine.cores),
            started: clock.started.clone(),
            wall_ms: clock.began.elapsed().as_secs_f64() * 1e3,
            status,
            controls: prepared.controls,
            inputs: prepared.inputs.clone(),
            counts,
            costs,
            tasks,
            ran,
            scores,
            expects,
            kept,
            remarks: remarks.collect(),
            reports: Vec::new(),
            pages: Vec::new(),
        };
        Ok(record.without_home())
    }

    /// What version control says about the files of now; the difference from the commit is kept as an object.
    fn describe(&self, prepared: &Prepared, info: &RunInfo, kept: &[KeptFile]) -> Result<(Option<Revision>, Option<Digest>), SessionError> {
        let file = std::path::absolute(&info.file).unwrap_or_else(|_| info.file.clone());
        let folder = prepared.files.folder();
        let read = info.used.iter().map(|(path, _)| folder.join(path)).chain(kept.iter().map(|kept| folder.join(&kept.path)));
        let read: Vec<PathBuf> = read.collect();
        let Some((revision, patch)) = git::describe(&file, read.iter().map(PathBuf::as_path)) else { return Ok((None, None)) };
        let patch = if patch.is_empty() { None } else { Some(self.cache.put(&patch)?) };
        Ok((Some(revision), patch))
    }

    /// The newest run of this very pipeline with these settings at a commit without changes: the one whose data a run at that commit is to have. One that was
    /// made of a working tree knows better what was there than one that was made later with `--at`.
    pub fn run_at(&self, commit: &str, source: &Digest, set: &[(String, String)]) -> Option<RunRecord> {
        let set: BTreeMap<String, String> = set.iter().map(|(name, value)| (name.clone(), home::told(value))).collect();
        let fits = |run: &AtCommit| {
            let clean = run.revision.as_ref().is_some_and(|revision| revision.commit == commit && !revision.dirty);
            clean && run.source == *source && run.set == set
        };
        let mut later = None;
        for id in self.cache.runs().ok()? {
            let Some(run) = self.cache.run::<AtCommit>(&id).ok().filter(fits) else { continue };
            match run.at {
                None => return self.cache.run(&id).ok(),
                Some(_) => later = later.or(Some(id)),
            }
        }
        self.cache.run(&later?).ok()
    }

    /// Writes a run record.
    ///
    /// # Errors
    /// When the cache refuses.
    pub fn write(&self, record: &RunRecord) -> Result<(), SessionError> {
        self.cache.append_run(&record.id, &record.clone().without_home())?;
        latest::note(&self.cache, &record.id, &record.pipeline_file());
        self.cache.save_stats()?;
        Ok(())
    }

    /// Reads a run record, by a word of [`find_run`].
    ///
    /// # Errors
    /// When there is no such run, or its record is damaged.
    pub fn read(&self, run: &str) -> Result<RunRecord, SessionError> {
        let id = find_run(&self.cache, run)?;
        Ok(self.cache.run(&id)?)
    }

    /// The tasks of a run.
    ///
    /// # Errors
    /// When they were removed from the cache, or are damaged: then they are in quarantine, and the same run writes them anew.
    pub fn rows(&self, record: &RunRecord) -> Result<Vec<TaskRow>, SessionError> {
        match self.cache.get_whole(&record.tasks)? {
            Some(bytes) => {
                // They are what was written, so what can't be read was written by another version.
                record::read_rows(&bytes)
                    .collect::<Result<_, _>>()
                    .map_err(|reason| SessionError::Bug(format!("the list of tasks of run `{}` can't be read: {reason}", record.id)))
            }
            None if !self.cache.was_damaged(&record.tasks) && !self.cache.contains(&record.tasks) => {
                Err(SessionError::Gone { run: record.id.clone() })
            }
            _ => {
                self.cache.quarantine(&record.tasks)?;
                Err(SessionError::Damaged { what: format!("the list of tasks of run `{}`", record.id) })
            }
        }
    }

    /// The keys that tasks had in a run, by label; empty when its tasks are no longer known.
    pub fn keys(&self, record: &RunRecord) -> HashMap<String, Digest> {
        let Some(bytes) = self.cache.get_whole(&record.tasks).ok().flatten() else { return HashMap::new() };
        record::read_rows(&bytes).map_while(Result::ok).filter_map(|row| Some((row.label, row.key?))).collect()
    }

    /// The value of a step's output in a run.
    ///
    /// # Errors
    /// When the object is missing or damaged, in words.
    pub fn artifact(&self, kind: Kind, digest: &Digest) -> Result<Artifact, String> {
        read_artifact(&self.cache, digest, kind)
    }
}

/// When a run began.
#[derive(Debug, Clone)]
pub struct Clock {
    /// RFC 3339, in UTC.
    pub started: String,
    /// For durations.
    pub began: std::time::Instant,
}

impl Clock {
    /// Now, and a run id made of it: sortable, and different for two runs of the same second.
    pub fn start() -> (Clock, String) {
        let now = jiff::Timestamp::now();
        // Microseconds before the process, so that ids sort by time even within a second.
        let micros = now.subsec_nanosecond() / 1000;
        let id = format!("{}-{micros:05x}{:02x}", now.strftime("%Y%m%d-%H%M%S"), std::process::id() & 0xff);
        (Clock { started: now.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(), began: std::time::Instant::now() }, id)
    }
}

/// Where a step's output is after a run; none when it was not computed.
pub fn output_of<'o>(prepared: &Prepared, outcome: &'o RunOutcome, step: usize, output: &str) -> Option<&'o Output> {
    let (task, position) = prepared.plan.place(step, output)?;
    outcome.tasks.get(task)?.outputs.get(position)
}

/// The scores of a step after a run, with those of its controls.
pub(crate) fn scores_of(prepared: &Prepared, outcome: &RunOutcome, step: usize) -> Option<Vec<Score>> {
    // The join of the controls, when there is one, has the last word.
    let task = prepared.plan.tasks_of(step).last()?;
    outcome.tasks.get(task)?.scores.as_deref().map(<[_]>::to_vec)
}

/// What came of the last expectations of a pipeline in a run of the same steps: those that `further` has more than the pipeline that ran.
pub fn judge(prepared: &Prepared, outcome: &RunOutcome, further: &Pipeline) -> Vec<ExpectRecord> {
    decided(prepared, outcome, further.expects.get(prepared.pipeline.expects.len()..).unwrap_or_default())
}

/// What came of all expectations of a pipeline.
pub(crate) fn expectations(prepared: &Prepared, outcome: &RunOutcome) -> Vec<ExpectRecord> {
    decided(prepared, outcome, &prepared.pipeline.expects)
}

/// The scores of a step's members.
fn member_scores(prepared: &Prepared, outcome: &RunOutcome, decl: usize) -> Vec<(Members, Vec<Score>)> {
    let of = prepared.instances().iter().enumerate().filter(|(_, instance)| instance.decl == decl);
    of.filter_map(|(position, instance)| Some((instance.members.clone(), scores_of(prepared, outcome, position)?))).collect()
}

/// Whether a condition holds on the scores of a run, which must have made all of the steps that it names.
///
/// # Errors
/// Why that can't be said, such as a score that is not there, in words.
pub fn decide(prepared: &Prepared, outcome: &RunOutcome, expect: &ExpectDecl) -> Result<condition::Outcome, String> {
    condition::decide(&expect.condition, &prepared.pipeline, &|decl| member_scores(prepared, outcome, decl))
}

fn decided(prepared: &Prepared, outcome: &RunOutcome, expects: &[ExpectDecl]) -> Vec<ExpectRecord> {
    let scores = |decl: usize| member_scores(prepared, outcome, decl);
    // In a run that ended early, a step without scores is not one whose branch was not taken.
    let missing = |expect: &ExpectDecl| {
        let without = |decl: &&usize| {
            let (made, scored) = (prepared.instances().iter().filter(|instance| instance.decl == **decl).count(), scores(**decl).len());
            made == 0 || scored < made
        };
        let name = |decl: &usize| prepared.pipeline.steps[*decl].name.text.clone();
        (!outcome.is_complete()).then(|| expect.steps.iter().find(without).map(name)).flatten()
    };
    let decide = |expect: &ExpectDecl| {
        let (holds, numbers) = match missing(expect) {
            Some(step) => (None, format!("the run ended before all of `{step}` was made")),
            None => match condition::decide(&expect.condition, &prepared.pipeline, &scores) {
                Ok(decided) => (Some(decided.holds), decided.numbers),
                Err(reason) => (Some(false), format!("can't be decided: {reason}")),
            },
        };
        ExpectRecord { condition: expect.written.clone(), message: expect.message.clone().unwrap_or_default(), holds, numbers }
    };
    // Of steps that nobody asked for, nothing is expected.
    let asked = |expect: &&ExpectDecl| {
        prepared
            .instances()
            .iter()
            .enumerate()
            .filter(|(_, instance)| expect.steps.contains(&instance.decl))
            .all(|(step, _)| prepared.is_asked(step))
    };
    expects.iter().filter(asked).map(decide).collect()
}
