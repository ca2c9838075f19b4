//! The worker's side: an order is performed, its result published, and a report given. The same code runs in process, in a worker process and on a node
//! of a cluster.

use crate::cached::load;
use crate::execute::execute;
use crate::executor::{Order, PROTOCOL, Report};
use crate::live;
use crate::outcome::{Done, Ending, Output, Usage};
use crate::program::{self, ProgramOptions, Programs};
use crate::task::Work;
use neuroflow_cache::{ActionOutput, ActionRecord, Cache, CacheError, Digest};
use neuroflow_data::{DataError, Kind, Scores, Typed};
use neuroflow_stage::{CancelToken, Context, Progress, Registry, Signature, StageError};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io::{BufRead, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

/// What a worker process says, one JSON document a line.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub enum Message {
    /// So many of so many parts are done.
    Progress(u64, u64),
    /// The order has ended.
    Ended(Box<Report>),
}

/// What a stage is told of an order.
pub(crate) fn context_of(order: &Order, cancel: CancelToken, progress: Arc<dyn Progress>) -> Context {
    Context {
        threads: order.cores,
        gpu: order.task.gpu,
        cancel,
        progress,
        memory: order.memory,
        cluster: order.cluster.clone(),
        ..Context::quiet(0)
    }
}

struct Written;

impl Progress for Written {
    fn report(&self, done: u64, total: u64) {
        say(&Message::Progress(done, total));
    }
}

/// One line, whole: several threads may report.
fn say(message: &Message) {
    let Ok(mut line) = serde_json::to_vec(message) else { return };
    line.push(b'\n');
    let mut output = std::io::stdout().lock();
    // Nobody listens when the run is gone; the input ends then as well.
    let _ = output.write_all(&line).and_then(|()| output.flush());
}

/// Serves orders from standard input, a JSON document a line, until it ends. The end of the input ends the process at once: whoever gave the order is gone.
///
/// # Errors
/// When an order can't be read.
pub fn serve(tools: &Tools) -> Result<(), String> {
    let (sender, orders) = mpsc::channel::<String>();
    let busy = Arc::new(AtomicBool::new(false));
    let performing = Arc::clone(&busy);
    std::thread::spawn(move || {
        for line in std::io::stdin().lock().lines() {
            let Ok(line) = line else { break };
            if sender.send(line).is_err() {
                return;
            }
        }
        // Nobody waits for what is being computed. A worker that does nothing ends in order.
        if performing.load(Ordering::SeqCst) {
            std::process::exit(0);
        }
    });
    for line in orders {
        busy.store(true, Ordering::SeqCst);
        let order: Order = serde_json::from_str(&line).map_err(|error| format!("an order can't be read: {error}"))?;
        let context = context_of(&order, CancelToken::new(), Arc::new(Written));
        let report = perform(&order, tools, &context);
        // Before the answer is given, what it names is on the disk: the run's record may say so.
        tools.cache.flush();
        busy.store(false, Ordering::SeqCst);
        say(&Message::Ended(Box::new(report)));
    }
    Ok(())
}

/// Why an order gave nothing.
pub(crate) enum Problem {
    Stage(StageError),
    Cache(CacheError),
    Damaged(Digest, DataError),
    Ended(Ending),
}

impl From<CacheError> for Problem {
    fn from(error: CacheError) -> Problem {
        Problem::Cache(error)
    }
}

impl From<program::Ending> for Problem {
    fn from(ending: program::Ending) -> Problem {
        let refused = |error: StageError, again: bool| match error {
            StageError::Cancelled => Ending::Cancelled,
            StageError::Bug(message) => Ending::Bug(message),
            error => Ending::Refused { help: error.help().map(str::to_owned), message: error.to_string(), again },
        };
        Problem::Ended(match ending {
            program::Ending::Failed(error) => refused(error, true),
            program::Ending::Refused(error) => refused(error, false),
            program::Ending::OutOfMemory { limit, peak } => Ending::OutOfMemory { limit: Some(limit), peak: Some(peak) },
            program::Ending::TimedOut { seconds } => Ending::TimedOut { limit: seconds },
            program::Ending::World(message) => Ending::World(message),
            program::Ending::Cancelled => Ending::Cancelled,
        })
    }
}

impl From<StageError> for Problem {
    fn from(error: StageError) -> Problem {
        Problem::Stage(error)
    }
}

/// What a worker works with.
pub struct Tools {
    pub(crate) cache: Arc<Cache>,
    pub(crate) registry: Arc<Registry>,
    pub(crate) programs: Programs,
    /// Milliseconds of processor time that the calling thread has spent, with what others spent for it.
    pub(crate) meter: Option<fn() -> f64>,
}

impl Tools {
    /// Tools on a cache. `meter` tells how much processor time the calling thread has spent so far. `notice` is told what a person should know about programs.
    pub fn new(
        cache: Arc<Cache>,
        registry: Arc<Registry>,
        options: ProgramOptions,
        meter: Option<fn() -> f64>,
        notice: impl Fn(&str) + Send + Sync + 'static,
    ) -> Tools {
        Tools { programs: Programs::new(Arc::clone(&cache), options, notice), cache, registry, meter }
    }
}

/// Performs an order. A panic of a stage becomes a report of a bug.
pub fn perform(order: &Order, tools: &Tools, context: &Context) -> Report {
    let began = Instant::now();
    let mut usage = Usage::default();
    let attempt = || -> Result<Done, Problem> {
        if order.protocol != PROTOCOL {
            let message = format!("this worker understands orders of version {PROTOCOL}, not {}", order.protocol);
            return Err(StageError::refused_with_help(message, "let all machines use the same neuroflow").into());
        }
        compute(order, tools, context, &mut usage)
    };
    let ending = match std::panic::catch_unwind(std::panic::AssertUnwindSafe(attempt)) {
        Ok(Ok(done)) => Ending::Done(done),
        Ok(Err(problem)) => ending_of(problem),
        Err(panic) => Ending::Bug(panic_message(panic.as_ref())),
    };
    usage.wall_ms = began.elapsed().as_secs_f64() * 1e3;
    Report { key: order.key, ending, usage }
}

fn ending_of(problem: Problem) -> Ending {
    match problem {
        Problem::Stage(StageError::Cancelled) => Ending::Cancelled,
        Problem::Stage(StageError::Bug(message)) => Ending::Bug(message),
        Problem::Stage(error) => Ending::Refused { help: error.help().map(str::to_owned), message: error.to_string(), again: false },
        Problem::Ended(ending) => ending,
        Problem::Cache(error) => Ending::World(error.to_string()),
        Problem::Damaged(digest, error) => Ending::Damaged(digest, error.to_string()),
    }
}

fn compute(order: &Order, tools: &Tools, context: &Context, usage: &mut Usage) -> Result<Done, Problem> {
    let (began, cache) = (Instant::now(), &tools.cache);
    let started = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
    let task = &order.task;
    let mut values = Vec::with_capacity(order.contents.len());
    for (argument, digest) in task.arguments.iter().zip(&order.contents) {
        values.push(load(cache, digest, argument.kind)?);
    }
    let before = tools.meter.map(|meter| meter());
    let mut log = None;
    let mut summary = serde_json::json!({ "task": task.label, "key": task.key_fields(&order.contents) });
    let artifacts = match &task.work {
        Work::Exec(call) => {
            let printed = live::printed(cache.root(), &order.run_id, &task.label);
            let ended = tools.programs.run(call, &task.arguments, &values, context, order.memory, Some(&printed))?;
            if !ended.log.is_empty() {
                log = Some(cache.put(&ended.log)?);
            }
            (usage.cpu_ms, usage.peak_bytes) = (ended.cpu_ms, ended.peak_bytes);
            summary["sandbox"] = ended.sandbox;
            if let Some(environment) = ended.environment {
                summary["environment"] = environment.into();
            }
            BTreeMap::from([(neuroflow_dsl::command::OUT.to_owned(), ended.output)])
        }
        Work::Call(call) if tools.registry.get(&call.stage).is_some_and(|stage| may_be_large(&stage.signature())) => {
            let folder = tools.programs.folder()?;
            execute(task, values, &tools.registry, &Context { scratch: Some(folder.path.clone()), ..context.clone() })?
        }
        _ => execute(task, values, &tools.registry, context)?,
    };
    // Of a program it is known what it took itself.
    let spent = tools.meter.zip(before).map(|(meter, before)| meter() - before);
    usage.cpu_ms = usage.cpu_ms.or(spent);
    let mut outputs = Vec::with_capacity(task.outputs.len());
    let mut scores = None;
    for (name, kind) in &task.outputs {
        let Some(artifact) = artifacts.get(name) else {
            return Err(StageError::Bug(format!("output `{name}` of `{}` is missing", task.label)).into());
        };
        if *kind == Kind::Scores {
            scores = Some(Scores::from_artifact(artifact).map_err(StageError::from)?.scores);
        }
        let (digest, size) = cache.put_written(|into| artifact.encode_to(into))?;
        outputs.push(Output { digest, kind: *kind, size });
    }
    if let Some(scores) = &scores {
        summary["scores"] = serde_json::to_value(scores).unwrap_or_default();
    }
    if task.cached {
        let slots = task.outputs.iter().zip(&outputs);
        let record = ActionRecord {
            stage: task.cost_name(),
            version: 1,
            outputs: slots
                .map(|((slot, _), output)| ActionOutput { slot: slot.clone(), digest: output.digest, size: output.size })
                .collect(),
            run: order.run_id.clone(),
            started_unix_ms: started,
            wall_ms: began.elapsed().as_secs_f64() * 1e3,
            cpu_ms: usage.cpu_ms,
            peak_bytes: usage.peak_bytes,
            log,
            summary,
        };
        cache.record(&order.key, &record)?;
    }
    Ok(Done { outputs, scores, computed: true, remarks: Vec::new() })
}

/// What a panic said.
pub(crate) fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
    text.unwrap_or_else(|| "a panic without a message".into())
}

/// Whether a stage takes in tables of any size, or gives recordings: what does not fit into memory is put into a folder of its own.
fn may_be_large(signature: &Signature) -> bool {
    signature.inputs.iter().any(|input| input.open) || signature.outputs.iter().any(|output| output.kind == Kind::Recording)
}
