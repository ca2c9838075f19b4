//! One pipeline, from text to run record: find the inputs, unroll the loops, plan, run, decide what was expected, write it down.

use crate::dataset::DataRegistry;
use crate::fetch::{self, OnProgress, Sources};
use crate::git;
use crate::plan::{From, Plan, PlanError, Step, StepInput};
use crate::readers::{self, READERS_VERSION};
use crate::record::{ExpectRecord, InputRecord, RunRecord, Status, TaskRecord};
use crate::schedule::{self, Observer, Output, RunOptions, RunOutcome};
use crate::select::Wish;
use crate::task::{ExecCall, StageCall, Task, Work};
use neuroflow_cache::{ActionOutput, ActionRecord, Cache, Digest, KeyEncoder};
use neuroflow_data::{Artifact, Kind, Payload};
use neuroflow_dsl::pipeline::{Alternative, InputDecl};
use neuroflow_dsl::{Diagnostic, Pipeline, StepInstance, condition, expand};
use neuroflow_stage::{Context, GpuPolicy, Registry};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;

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
        /// Each alternative, and what was wrong.
        tried: Vec<String>,
        /// What to do.
        help: String,
    },
    /// The cache refused.
    #[error(transparent)]
    Cache(#[from] neuroflow_cache::CacheError),
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
}

/// A pipeline with everything known that can be known before it runs.
pub struct Prepared {
    /// The pipeline.
    pub pipeline: Pipeline,
    /// Its single steps.
    pub instances: Vec<StepInstance>,
    /// Its tasks.
    pub plan: Plan,
    /// Its inputs as they were found.
    pub inputs: Vec<InputRecord>,
    /// What earlier runs took, in milliseconds by task.
    pub costs: BTreeMap<String, f64>,
    /// Whether controls are on.
    pub controls: bool,
}

/// What is known about a run beside its tasks, for the record.
#[derive(Debug, Clone)]
pub struct RunInfo {
    /// The pipeline file.
    pub file: PathBuf,
    /// Its text.
    pub text: String,
    /// The command line.
    pub command: Vec<String>,
    /// Parameters that were set.
    pub set: Vec<(String, String)>,
    /// neuroflow's version.
    pub version: String,
}

impl Prepared {
    /// Whether the results of a step (a position in `instances`) are asked for.
    pub fn is_asked(&self, step: usize) -> bool {
        let tasks = self.plan.results.get(step).into_iter().flat_map(BTreeMap::values);
        tasks.into_iter().all(|(task, _)| self.plan.wish(*task) != Wish::Unasked)
    }
}

impl Session {
    /// Finds the inputs, unrolls loops and plans.
    ///
    /// # Errors
    /// When an input can't be had (all that was tried is named), or a mistake shows that needs the inputs to be seen.
    pub async fn prepare(
        &self,
        pipeline: Pipeline,
        folder: &Path,
        controls: bool,
        on_progress: OnProgress<'_>,
    ) -> Result<Prepared, SessionError> {
        let mut found = Vec::new();
        for input in &pipeline.inputs {
            found.push(self.find(input, folder, on_progress).await?);
        }
        let members = |input: usize| found[input].record.members.iter().map(|(label, _)| label.clone()).collect::<Vec<_>>();
        let instances = expand(&pipeline, &self.registry, &members).map_err(SessionError::Pipeline)?;
        let steps = instances.iter().map(|instance| step_of(instance, &pipeline, &found)).collect::<Result<Vec<_>, _>>()?;
        let mut plan = Plan::new(&steps, &self.registry, controls)?;
        let costs = self.costs();
        plan.estimate(&costs);
        let inputs = found.into_iter().map(|found| found.record).collect();
        Ok(Prepared { pipeline, instances, plan, inputs, costs, controls })
    }

    /// What tasks took in the latest run.
    fn costs(&self) -> BTreeMap<String, f64> {
        let latest = self.cache.find_run("latest").ok().and_then(|id| self.cache.run(&id).ok());
        latest.and_then(|record| serde_json::from_value::<RunRecord>(record).ok()).map(|record| record.costs()).unwrap_or_default()
    }

    /// The first alternative that can be had.
    async fn find(&self, input: &InputDecl, folder: &Path, on_progress: OnProgress<'_>) -> Result<Found, SessionError> {
        let mut tried = Vec::new();
        for alternative in input.alternatives.iter().filter(|alternative| alternative.wanted) {
            match self.try_alternative(input, alternative, folder, on_progress).await? {
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
        let help = "put a copy into a mirror folder and set NEUROFLOW_MIRRORS to it, or allow the network".into();
        Err(SessionError::Input { input: input.name.text.clone(), tried, help })
    }

    async fn try_alternative(
        &self,
        input: &InputDecl,
        alternative: &Alternative,
        folder: &Path,
        on_progress: OnProgress<'_>,
    ) -> Result<Result<Found, String>, SessionError> {
        if alternative.is_stage {
            return self.simulate(input, alternative).map(Ok);
        }
        let argument = match alternative.arguments.first() {
            Some(neuroflow_stage::Value::Text(text)) => text.clone(),
            _ => return Err(SessionError::Bug("a reader without its text".into())),
        };
        if alternative.reader == "dataset" {
            return self.dataset(input, &argument, on_progress).await;
        }
        let path = folder.join(&argument);
        if !path.is_file() {
            return Ok(Err(format!("{}: there is no such file", path.display())));
        }
        let Some(reader) = readers::reader(&alternative.reader) else {
            return Err(SessionError::Bug(format!("no reader `{}`", alternative.reader)));
        };
        let (raw, size) = self.cache.put_file(&path)?;
        let read = |text: String| format!("{}: {text}", path.display());
        let (digest, members) = if matches!(reader.kind, Kind::File) {
            (raw, Vec::new())
        } else {
            let mut key = KeyEncoder::new();
            key.text("read");
            key.uint(READERS_VERSION);
            key.text(reader.name);
            key.digest(&raw);
            let key = key.finish();
            let digest = match self.cache.lookup(&key)? {
                Some(record) => record.outputs.first().map(|output| output.digest).unwrap_or(raw),
                None => {
                    let bytes = self.cache.get(&raw)?.ok_or_else(|| SessionError::Bug("an input vanished from the cache".into()))?;
                    let artifact = match readers::read(reader, &bytes) {
                        Ok(artifact) => artifact,
                        Err(reason) => return Ok(Err(read(reason))),
                    };
                    let bytes = artifact.encode().map_err(|error| SessionError::Bug(error.to_string()))?;
                    let digest = self.cache.put(&bytes)?;
                    let _ = size;
                    self.cache.record(&key, &record_of(reader.name, &[("out", digest, bytes.len() as u64)]))?;
                    digest
                }
            };
            (digest, self.members_of(&digest, reader.kind)?)
        };
        let mut record = found_record(input, format!("file {argument}"), false);
        record.members = if members.is_empty() { vec![(String::new(), digest)] } else { members };
        Ok(Ok(Found { record, whole: Some(digest) }))
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
                Ok(Ok(Found { record, whole: None }))
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
        let call = StageCall { stage: alternative.reader.clone(), version: signature.version, params, seed: 0 };
        let task = Task {
            label: input.name.text.clone(),
            step: input.name.text.clone(),
            work: Work::Call(call),
            arguments: Vec::new(),
            outputs: signature.outputs.iter().map(|output| (output.name.to_owned(), output.kind)).collect(),
            cores: 1,
            gpu: GpuPolicy::Never,
            cached: true,
        };
        let key = task.key(&[]);
        let digest = match schedule::lookup(&self.cache, &key, &task)? {
            Some(outcome) => outcome.outputs.get(output.name).map(|found| found.digest),
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
        Ok(Found { record, whole: Some(digest) })
    }

    /// The files of a Dir, each as content of its own.
    fn members_of(&self, digest: &Digest, kind: Kind) -> Result<Vec<(String, Digest)>, SessionError> {
        if kind != Kind::Dir {
            return Ok(Vec::new());
        }
        let artifact = schedule::read_artifact(&self.cache, digest, kind).map_err(SessionError::Bug)?;
        let Payload::Tree(tree) = artifact.payload() else { return Ok(Vec::new()) };
        tree.iter().map(|(name, bytes)| Ok((name.to_owned(), self.cache.put(bytes)?))).collect()
    }

    /// Runs a prepared pipeline and writes its record. The record is complete but for the reports, which the caller adds before [`Session::write`].
    pub async fn run(&self, prepared: &Prepared, options: &RunOptions, observer: &Arc<dyn Observer>) -> RunOutcome {
        schedule::run(&prepared.plan, &self.cache, &self.registry, options, observer).await
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
        let status = match (outcome.cancelled, outcome.is_complete(), expects.iter().all(|expect| expect.holds)) {
            (true, false, _) => Status::Interrupted,
            (_, false, _) => Status::Failed,
            (_, true, false) => Status::ExpectFailed,
            (_, true, true) => Status::Done,
        };
        let mut results = BTreeMap::new();
        let mut scores = BTreeMap::new();
        for (position, instance) in prepared.instances.iter().enumerate() {
            let outputs: BTreeMap<String, (Kind, Digest)> = prepared.plan.results[position]
                .keys()
                .filter_map(|name| Some((name.clone(), output_of(prepared, outcome, position, name)?)))
                .map(|(name, output)| (name, (output.kind, output.digest)))
                .collect();
            results.insert(instance.label(), outputs);
            if let Some(found) = scores_of(prepared, outcome, position) {
                scores.insert(instance.label(), found);
            }
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
            neuroflow: info.version.clone(),
            machine: format!("{} {}, {} cores", std::env::consts::OS, std::env::consts::ARCH, options.cores),
            started: clock.started.clone(),
            wall_ms: clock.began.elapsed().as_secs_f64() * 1e3,
            status,
            controls: prepared.controls,
            inputs: prepared.inputs.clone(),
            tasks: prepared.plan.tasks.iter().zip(&outcome.tasks).map(|(task, outcome)| TaskRecord::new(task, outcome)).collect(),
            scores,
            results,
            expects,
            reports: Vec::new(),
        })
    }

    /// Writes a run record.
    ///
    /// # Errors
    /// When the cache refuses.
    pub fn write(&self, record: &RunRecord) -> Result<(), SessionError> {
        let value = serde_json::to_value(record).map_err(|error| SessionError::Bug(error.to_string()))?;
        self.cache.append_run(&record.id, &value)?;
        self.cache.save_stats()?;
        Ok(())
    }

    /// Reads a run record.
    ///
    /// # Errors
    /// When there is no such run, or its record is damaged.
    pub fn read(&self, run: &str) -> Result<RunRecord, SessionError> {
        let id = self.cache.find_run(run)?;
        serde_json::from_value(self.cache.run(&id)?)
            .map_err(|error| SessionError::Bug(format!("the record of run `{id}` is damaged: {error}")))
    }

    /// The value of a step's output in a run.
    ///
    /// # Errors
    /// When the object is missing or damaged, in words.
    pub fn artifact(&self, kind: Kind, digest: &Digest) -> Result<Artifact, String> {
        schedule::read_artifact(&self.cache, digest, kind)
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
        log: None,
        summary: serde_json::Value::Null,
    }
}

fn step_of(instance: &StepInstance, pipeline: &Pipeline, found: &[Found]) -> Result<Step, SessionError> {
    let inputs = instance
        .inputs
        .iter()
        .map(|input| {
            let from = match &input.source {
                expand::Source::Step { step, output } => From::Step { step: *step, output: output.clone() },
                expand::Source::Input { input, member } => {
                    let content = match member {
                        Some(member) => found[*input].record.members.iter().find(|(label, _)| label == member).map(|(_, digest)| *digest),
                        None => found[*input].whole,
                    };
                    let name = &pipeline.inputs[*input].name;
                    From::Content(content.ok_or_else(|| {
                        let message = format!("`{}` is used as a whole here; name one of its files, `{}[\"…\"]`", name.text, name.text);
                        SessionError::Pipeline(vec![Diagnostic::error("type-mismatch", name.span.clone(), message)])
                    })?)
                }
            };
            Ok(StepInput { slot: input.slot.clone(), label: input.label.clone(), kind: input.kind, from })
        })
        .collect::<Result<Vec<_>, SessionError>>()?;
    Ok(Step {
        label: instance.label(),
        stage: instance.stage.clone(),
        program: program_of(instance, pipeline),
        params: instance.params.clone(),
        inputs,
        seed: instance.seed,
        controls: instance.controls.clone(),
        cores: instance.cores,
        gpu: instance.gpu,
        cached: instance.cached,
    })
}

fn program_of(instance: &StepInstance, pipeline: &Pipeline) -> Option<(ExecCall, Kind)> {
    let program = instance.program.as_ref()?;
    let kind = pipeline.steps.get(instance.decl)?.outputs.first()?.1;
    let call = ExecCall {
        template: program.template.clone(),
        file: program.file.clone(),
        reader: program.reader.clone(),
        params: instance.params.clone(),
        seed: instance.seed,
        time: instance.time,
        retries: instance.retries,
    };
    Some((call, kind))
}

/// Where a step's output is after a run; none when it was not computed.
pub fn output_of<'o>(prepared: &Prepared, outcome: &'o RunOutcome, step: usize, output: &str) -> Option<&'o Output> {
    let (task, name) = prepared.plan.results.get(step)?.get(output)?;
    outcome.tasks.get(*task)?.outputs.get(name)
}

fn scores_of(prepared: &Prepared, outcome: &RunOutcome, step: usize) -> Option<Vec<neuroflow_data::Score>> {
    prepared.plan.results.get(step)?.values().find_map(|(task, name)| {
        let done = outcome.tasks.get(*task)?;
        let is_scores = done.outputs.get(name).is_some_and(|output| output.kind == Kind::Scores);
        done.scores.as_ref().filter(|_| is_scores).map(|scores| scores.scores.clone())
    })
}

fn expectations(prepared: &Prepared, outcome: &RunOutcome) -> Vec<ExpectRecord> {
    let scores = |decl: usize| {
        let of = prepared.instances.iter().enumerate().filter(|(_, instance)| instance.decl == decl);
        of.filter_map(|(position, instance)| Some((instance.members.clone(), scores_of(prepared, outcome, position)?))).collect::<Vec<_>>()
    };
    let decide = |expect: &neuroflow_dsl::pipeline::ExpectDecl| {
        let decided = condition::decide(&expect.condition, &prepared.pipeline, &scores);
        let (holds, numbers) = match decided {
            Ok(decided) => (decided.holds, decided.numbers),
            Err(reason) => (false, format!("can't be decided: {reason}")),
        };
        ExpectRecord { condition: expect.written.clone(), message: expect.message.clone().unwrap_or_default(), holds, numbers }
    };
    // Of steps that nobody asked for, nothing is expected.
    let asked = |expect: &&neuroflow_dsl::pipeline::ExpectDecl| {
        let (_, steps) = condition::check(&expect.condition, &prepared.pipeline, &[]);
        prepared
            .instances
            .iter()
            .enumerate()
            .filter(|(_, instance)| steps.contains(&instance.decl))
            .all(|(step, _)| prepared.is_asked(step))
    };
    prepared.pipeline.expects.iter().filter(asked).map(decide).collect()
}
