//! One pipeline, from text to run record: find the inputs, unroll the loops, plan, run, decide what was expected, write it down.

use crate::cached::{load, lookup, read_artifact};
use crate::dataset::DataRegistry;
use crate::fetch::{self, OnProgress, Sources};
use crate::folder;
use crate::git;
use crate::outcome::Output;
use crate::plan::{InputContent, NothingKnown, Plan, PlanError};
use crate::readers::{self, READERS_VERSION, Reader};
use crate::record::{self, ExpectRecord, InputRecord, RunRecord, Status, TaskRow};
use crate::schedule::{self, Observer, RunOptions, RunOutcome};
use crate::select::Wish;
use crate::task::{StageCall, Task, Work};
use crate::worker::Problem;
use arrow::buffer::Buffer;
use neuroflow_cache::{ActionOutput, ActionRecord, Cache, Digest, KeyEncoder};
use neuroflow_data::{Artifact, Kind, Payload};
use neuroflow_dsl::pipeline::{Alternative, ExpectDecl, InputDecl, StepDecl, Target};
use neuroflow_dsl::{Diagnostic, Pipeline, StepInstance, condition, glob};
use neuroflow_stage::{Context, GpuPolicy, Registry};
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
    #[error("the tasks of run `{run}` were removed from the cache; run the pipeline again")]
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

/// An input with its content.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    record: InputRecord,
    /// The content as a whole.
    whole: Option<Digest>,
    /// The file as it came, when it can be read in parts.
    raw: Option<Digest>,
}

/// What a pipeline is prepared for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// To be run: inputs are kept as they are now.
    Run,
    /// Only to be planned: files are hashed, and copied only where something must be read in them.
    Plan,
}

/// What is wanted of the files of an input.
#[derive(Debug, Clone, Copy)]
struct Wanted {
    /// What the reader makes of the whole; without it, a file that can be read in parts is only opened.
    decoded: bool,
    /// The content itself, for steps that run.
    runs: bool,
}

/// What a file of an input is.
struct Content {
    /// What its reader made of it; none when it was only opened.
    whole: Option<Digest>,
    /// The file as it came, when it can be read in parts.
    raw: Option<Digest>,
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
    /// The folder of the pipeline, where programs find their scripts.
    pub folder: PathBuf,
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
    /// When an input can't be had (all that was tried is named), or a mistake shows that needs the inputs to be seen.
    pub async fn prepare(
        &self,
        pipeline: Pipeline,
        (working, folder): (&Path, &Path),
        purpose: Purpose,
        controls: bool,
        on_progress: OnProgress<'_>,
    ) -> Result<Prepared, SessionError> {
        let mut found = Vec::new();
        for (position, input) in pipeline.inputs.iter().enumerate() {
            let wanted = Wanted { decoded: !self.is_read_in_parts(&pipeline, position), runs: purpose == Purpose::Run };
            found.push(self.find(input, wanted, working, on_progress).await?);
        }
        // Also a run that goes no further has read the files.
        self.cache.save_stats()?;
        let contents = found.iter().map(|found| InputContent {
            whole: found.whole,
            raw: found.raw,
            members: found.record.members.iter().filter(|(label, _)| !label.is_empty()).cloned().collect(),
        });
        let mut plan = Plan::new(&pipeline, contents.collect(), controls);
        plan.grow(&pipeline, &self.registry, &NothingKnown { folder, cache: &self.cache })?;
        let last = self.newest(|run: &Estimated| run.pipeline == pipeline.name);
        plan.estimate(last.map(|run| run.costs).unwrap_or_default());
        let inputs = found.into_iter().map(|found| found.record).collect();
        Ok(Prepared { pipeline, plan, inputs, controls, folder: folder.to_path_buf() })
    }

    /// The latest run of a pipeline among the newest of all.
    pub fn latest_of(&self, pipeline: &str) -> Option<RunRecord> {
        self.newest(|run: &RunRecord| run.pipeline == pipeline)
    }

    fn newest<T: DeserializeOwned>(&self, fits: impl Fn(&T) -> bool) -> Option<T> {
        let ids = self.cache.runs().ok()?;
        ids.iter().take(LOOKED_BACK).filter_map(|id| self.cache.run(id).ok()).find(fits)
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

    /// The first alternative that can be had.
    async fn find(&self, input: &InputDecl, wanted: Wanted, folder: &Path, on_progress: OnProgress<'_>) -> Result<Found, SessionError> {
        let mut tried = Vec::new();
        for alternative in input.alternatives.iter().filter(|alternative| alternative.wanted) {
            match self.try_alternative(input, alternative, wanted, folder, on_progress).await? {
                Ok(mut found) => {
                    found.record.passed_over = tried;
                    return Ok(found);
                }
                Err(reason) => tried.push(reason),
            }
        }
        if tried.is_empty() {
            tried.push("no alternative is allowed by its `when`".into());
        }
        let is_data_set = input.alternatives.iter().any(|alternative| alternative.wanted && alternative.reader == "dataset");
        let help = match is_data_set {
            true => "put a copy into a mirror folder and set NEUROFLOW_MIRRORS to it, or allow the network".into(),
            false => format!("paths of inputs begin at the working folder, {}; mend the file, or name another", folder.display()),
        };
        Err(SessionError::Input { input: input.name.text.clone(), span: input.name.span.clone(), tried, help })
    }

    async fn try_alternative(
        &self,
        input: &InputDecl,
        alternative: &Alternative,
        wanted: Wanted,
        folder: &Path,
        on_progress: OnProgress<'_>,
    ) -> Result<Result<Found, String>, SessionError> {
        if alternative.is_stage {
            return again_if_damaged(|| self.simulate(input, alternative)).map(Ok);
        }
        let argument = match alternative.arguments.first() {
            Some(neuroflow_stage::Value::Text(text)) => text.clone(),
            _ => return Err(SessionError::Bug("a reader without its text".into())),
        };
        if alternative.reader == "dataset" {
            return self.dataset(input, &argument, on_progress).await;
        }
        let Some(reader) = readers::reader(&alternative.reader) else {
            return Err(SessionError::Bug(format!("no reader `{}`", alternative.reader)));
        };
        let mut record = found_record(input, format!("file {argument}"), false);
        if glob::is_pattern(&argument) {
            record.taken = format!("files {argument}");
            return match folder::members(folder, &argument) {
                Ok(files) if files.is_empty() => Ok(Err(format!("{}: no file fits", folder.join(&argument).display()))),
                Ok(files) => {
                    for (label, path) in files {
                        match again_if_damaged(|| self.read_file(reader, &path, Wanted { decoded: true, ..wanted }))? {
                            Ok(Content { whole: Some(digest), .. }) => record.members.push((label, digest)),
                            Ok(_) => return Err(SessionError::Bug("a file without content".into())),
                            Err(reason) => return Ok(Err(reason)),
                        }
                    }
                    Ok(Ok(Found { record, whole: None, raw: None }))
                }
                Err(reason) => Ok(Err(reason)),
            };
        }
        let path = folder.join(&argument);
        if path.is_dir() {
            return Ok(Err(format!("{} is a folder; a pattern names its files: `{}/*`", path.display(), argument.trim_end_matches('/'))));
        }
        if !path.is_file() {
            return Ok(Err(format!("{}: there is no such file", path.display())));
        }
        let read = || -> Result<Result<(Content, Vec<(String, Digest)>), String>, SessionError> {
            let content = match self.read_file(reader, &path, wanted)? {
                Ok(content) => content,
                Err(reason) => return Ok(Err(reason)),
            };
            let members = content.whole.map(|digest| self.members_of(&digest, reader.kind)).transpose()?;
            Ok(Ok((content, members.unwrap_or_default())))
        };
        let (Content { whole, raw }, members) = match again_if_damaged(read)? {
            Ok(read) => read,
            Err(reason) => return Ok(Err(reason)),
        };
        record.members =
            if members.is_empty() { whole.or(raw).map(|digest| (String::new(), digest)).into_iter().collect() } else { members };
        Ok(Ok(Found { record, whole, raw }))
    }

    /// A file in the cache, and what a reader makes of it; an error is what is wrong with the file, in words.
    fn read_file(&self, reader: &Reader, path: &Path, Wanted { decoded, runs }: Wanted) -> Result<Result<Content, String>, SessionError> {
        // What can't be read is the file's fault, and the next alternative may do; what can't be kept is the cache's.
        if let Err(error) = std::fs::File::open(path) {
            return Ok(Err(format!("{} can't be read: {error}", path.display())));
        }
        // Of what a step reads as it is, a plan needs the digest alone.
        let is_file = matches!(reader.kind, Kind::File);
        let (raw, _) = if is_file && !runs { self.cache.hash_file(path)? } else { self.cache.put_file(path)? };
        if is_file {
            return Ok(Ok(Content { whole: Some(raw), raw: None }));
        }
        // What is only opened is not read as a whole, so it is not compared with its digest here.
        let bytes = |whole: bool| -> Result<Buffer, SessionError> {
            match self.cache.get(&raw)? {
                Some(bytes) if !whole || self.cache.is_whole(&raw, &bytes) => Ok(bytes),
                None if !self.cache.was_damaged(&raw) => Err(SessionError::Bug("an input vanished from the cache".into())),
                _ => {
                    self.cache.quarantine(&raw)?;
                    Err(SessionError::Damaged { what: format!("the copy of {} in the cache", path.display()) })
                }
            }
        };
        let of_file = |text: String| format!("{}: {text}", path.display());
        let raw_in_parts = reader.in_parts.then_some(raw);
        if reader.in_parts && !decoded {
            return Ok(readers::open(reader, &bytes(false)?).map(|()| Content { whole: None, raw: raw_in_parts }).map_err(of_file));
        }
        let mut key = KeyEncoder::new();
        key.text("read");
        key.uint(READERS_VERSION);
        key.text(reader.name);
        key.digest(&raw);
        let key = key.finish();
        if let Some(output) = self.cache.lookup(&key)?.and_then(|record| record.outputs.into_iter().next()) {
            return Ok(Ok(Content { whole: Some(output.digest), raw: raw_in_parts }));
        }
        let artifact = match readers::read(reader, &bytes(true)?) {
            Ok(artifact) => artifact,
            Err(reason) => return Ok(Err(of_file(reason))),
        };
        let encoded = artifact.encode().map_err(|error| SessionError::Bug(error.to_string()))?;
        let digest = self.cache.put(&encoded)?;
        self.cache.record(&key, &record_of(reader.name, &[("out", digest, encoded.len() as u64)]))?;
        Ok(Ok(Content { whole: Some(digest), raw: raw_in_parts }))
    }

    async fn dataset(&self, input: &InputDecl, name: &str, on_progress: OnProgress<'_>) -> Result<Result<Found, String>, SessionError> {
        let Some(set) = self.data.get(name) else {
            let names: Vec<&str> = self.data.iter().map(|(name, _)| name).collect();
            let near =
                neuroflow_stage::nearest(name, names.iter().copied()).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
            return Ok(Err(format!("there is no data set `{name}`; `neuroflow data list` names them{near}")));
        };
        match fetch::fetch(&self.cache, name, set, &self.sources, on_progress).await {
            Ok(files) => {
                let mut record = found_record(input, format!("data set {name}"), false);
                record.members = files.into_iter().map(|file| (file.label, file.digest)).collect();
                Ok(Ok(Found { record, whole: None, raw: None }))
            }
            Err(fetch::FetchError::Cache(error)) => Err(error.into()),
            Err(error) => Ok(Err(error.to_string())),
        }
    }

    /// Runs a stage without inputs, through the cache.
    fn simulate(&self, input: &InputDecl, alternative: &Alternative) -> Result<Found, SessionError> {
        let stage =
            self.registry.get(&alternative.reader).ok_or_else(|| SessionError::Bug(format!("stage `{}` is gone", alternative.reader)))?;
        let signature = stage.signature();
        let wrong = |message: String| SessionError::Pipeline(vec![Diagnostic::error("wrong-value", alternative.span.clone(), message)]);
        let params = neuroflow_stage::params::fill(&signature.params, &alternative.named).map_err(wrong)?;
        let output = signature.outputs.first().ok_or_else(|| SessionError::Bug("a stage without outputs".into()))?;
        let call =
            StageCall { stage: Arc::from(alternative.reader.as_str()), version: signature.version, params: Arc::new(params), seed: 0 };
        let task = Task {
            label: input.name.text.clone(),
            step: input.name.text.clone(),
            work: Work::Call(call),
            arguments: Vec::new(),
            outputs: signature.outputs.iter().map(|output| (output.name.to_owned(), output.kind)).collect(),
            gpu: GpuPolicy::Never,
            cached: true,
        };
        let key = task.key(&[]);
        let digest = match lookup(&self.cache, &key, &task)? {
            Some(outcome) => outcome.outputs.first().map(|found| found.digest),
            None => {
                let made = crate::execute::execute(&task, Vec::new(), &self.registry, &Context::quiet(0));
                let made = made.map_err(|error| wrong(error.to_string()))?;
                let mut outputs = Vec::new();
                for (name, _) in &task.outputs {
                    let Some(artifact) = made.get(name) else { continue };
                    let bytes = artifact.encode().map_err(|error| SessionError::Bug(error.to_string()))?;
                    outputs.push((name.as_str(), self.cache.put(&bytes)?, bytes.len() as u64));
                }
                self.cache.record(&key, &record_of(&alternative.reader, &outputs))?;
                outputs.iter().find(|(name, _, _)| *name == output.name).map(|(_, digest, _)| *digest)
            }
        };
        let digest = digest.ok_or_else(|| SessionError::Bug(format!("`{}` gave nothing", alternative.reader)))?;
        let mut record = found_record(input, format!("simulated by `{}`", alternative.reader), true);
        let members = self.members_of(&digest, output.kind)?;
        record.members = if members.is_empty() { vec![(String::new(), digest)] } else { members };
        Ok(Found { record, whole: Some(digest), raw: None })
    }

    /// The files of a Dir, each as content of its own. A damaged one is in quarantine when this ends.
    fn members_of(&self, digest: &Digest, kind: Kind) -> Result<Vec<(String, Digest)>, SessionError> {
        if kind != Kind::Dir {
            return Ok(Vec::new());
        }
        let artifact = load(&self.cache, digest, kind).map_err(|problem| match problem {
            Problem::Damaged(digest, error) => SessionError::Damaged { what: format!("object {digest} of an input ({error})") },
            Problem::Cache(error) => SessionError::Cache(error),
            Problem::Stage(error) => SessionError::Bug(error.to_string()),
            Problem::Ended(ending) => SessionError::Bug(format!("{ending:?}")),
        })?;
        let Payload::Tree(tree) = artifact.payload() else { return Ok(Vec::new()) };
        tree.iter().map(|(name, bytes)| Ok((name.to_owned(), self.cache.put(bytes)?))).collect()
    }

    /// Runs a prepared pipeline; its plan grows by what becomes known. The record is written by [`Session::write`].
    pub async fn run(&self, prepared: &mut Prepared, options: &RunOptions, observer: &Arc<dyn Observer>) -> RunOutcome {
        schedule::run(&mut prepared.plan, &prepared.pipeline, &prepared.folder, &self.cache, &self.registry, options, observer).await
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
        let described = git::describe(&std::path::absolute(&info.file).unwrap_or_else(|_| info.file.clone()));
        let (revision, patch) = match described {
            Some((revision, patch)) => {
                let patch = if patch.is_empty() { None } else { Some(self.cache.put(&patch)?) };
                (Some(revision), patch)
            }
            None => (None, None),
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
        Ok(RunRecord {
            id: options.run_id.clone(),
            pipeline: prepared.pipeline.name.clone(),
            file: info.file.display().to_string(),
            source: self.cache.put(info.text.as_bytes())?,
            command: info.command.clone(),
            set: info.set.iter().cloned().collect(),
            revision,
            patch,
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
            remarks: outcome.remarks.iter().cloned().collect(),
            reports: Vec::new(),
        })
    }

    /// Writes a run record.
    ///
    /// # Errors
    /// When the cache refuses.
    pub fn write(&self, record: &RunRecord) -> Result<(), SessionError> {
        self.cache.append_run(&record.id, record)?;
        self.cache.save_stats()?;
        Ok(())
    }

    /// Reads a run record.
    ///
    /// # Errors
    /// When there is no such run, or its record is damaged.
    pub fn read(&self, run: &str) -> Result<RunRecord, SessionError> {
        let id = self.cache.find_run(run)?;
        Ok(self.cache.run(&id)?)
    }

    /// The tasks of a run.
    ///
    /// # Errors
    /// When they were removed from the cache, or are damaged: then they are in quarantine, and the same run writes them anew.
    pub fn rows(&self, record: &RunRecord) -> Result<Vec<TaskRow>, SessionError> {
        match self.cache.get(&record.tasks)? {
            Some(bytes) if self.cache.is_whole(&record.tasks, &bytes) => {
                // They are what was written, so what can't be read was written by another version.
                record::read_rows(&bytes)
                    .collect::<Result<_, _>>()
                    .map_err(|reason| SessionError::Bug(format!("the list of tasks of run `{}` can't be read: {reason}", record.id)))
            }
            None if !self.cache.was_damaged(&record.tasks) => Err(SessionError::Gone { run: record.id.clone() }),
            _ => {
                self.cache.quarantine(&record.tasks)?;
                Err(SessionError::Damaged { what: format!("the list of tasks of run `{}`", record.id) })
            }
        }
    }

    /// The keys that tasks had in a run, by label; empty when its tasks are no longer known.
    pub fn keys(&self, record: &RunRecord) -> HashMap<String, Digest> {
        let found = self.cache.get(&record.tasks).ok().flatten();
        let Some(bytes) = found.filter(|bytes| self.cache.is_whole(&record.tasks, bytes)) else { return HashMap::new() };
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

/// Once more when something was damaged: it is in quarantine now, and is made anew.
fn again_if_damaged<T>(attempt: impl Fn() -> Result<T, SessionError>) -> Result<T, SessionError> {
    match attempt() {
        Err(SessionError::Damaged { .. }) => attempt(),
        done => done,
    }
}

fn found_record(input: &InputDecl, taken: String, simulated: bool) -> InputRecord {
    InputRecord { name: input.name.text.clone(), taken, passed_over: Vec::new(), simulated, members: Vec::new() }
}

fn record_of(stage: &str, outputs: &[(&str, Digest, u64)]) -> ActionRecord {
    ActionRecord {
        stage: stage.to_owned(),
        version: 1,
        outputs: outputs
            .iter()
            .map(|(slot, digest, size)| ActionOutput { slot: (*slot).to_owned(), digest: *digest, size: *size })
            .collect(),
        run: String::new(),
        started_unix_ms: 0,
        wall_ms: 0.0,
        cpu_ms: None,
        peak_bytes: None,
        log: None,
        summary: serde_json::Value::Null,
    }
}

/// Where a step's output is after a run; none when it was not computed.
pub fn output_of<'o>(prepared: &Prepared, outcome: &'o RunOutcome, step: usize, output: &str) -> Option<&'o Output> {
    let (task, position) = prepared.plan.place(step, output)?;
    outcome.tasks.get(task)?.outputs.get(position)
}

fn scores_of(prepared: &Prepared, outcome: &RunOutcome, step: usize) -> Option<Vec<neuroflow_data::Score>> {
    // The join of the controls, when there is one, has the last word.
    let task = prepared.plan.tasks_of(step).last()?;
    outcome.tasks.get(task)?.scores.as_deref().map(<[_]>::to_vec)
}

/// What came of the last expectations of a pipeline in a run of the same steps: those that `further` has more than the pipeline that ran.
pub fn judge(prepared: &Prepared, outcome: &RunOutcome, further: &Pipeline) -> Vec<ExpectRecord> {
    decided(prepared, outcome, further.expects.get(prepared.pipeline.expects.len()..).unwrap_or_default())
}

fn expectations(prepared: &Prepared, outcome: &RunOutcome) -> Vec<ExpectRecord> {
    decided(prepared, outcome, &prepared.pipeline.expects)
}

fn decided(prepared: &Prepared, outcome: &RunOutcome, expects: &[ExpectDecl]) -> Vec<ExpectRecord> {
    let scores = |decl: usize| {
        let of = prepared.instances().iter().enumerate().filter(|(_, instance)| instance.decl == decl);
        of.filter_map(|(position, instance)| Some((instance.members.clone(), scores_of(prepared, outcome, position)?))).collect::<Vec<_>>()
    };
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
