//! Running a plan: which task next, on how many cores, and what became of each.
//!
//! A task whose key is known is looked up first; only a miss runs. Because a key is made of the *contents* of its inputs, a step that ran again and
//! gave the same bytes stops the wave there. Among tasks that could run, the one with the longest way to the end of the plan goes first.

use crate::execute::execute;
use crate::plan::Plan;
use crate::program;
use crate::select::Wish;
use crate::task::{Source, Task, TaskId, Work};
use neuroflow_cache::{ActionOutput, ActionRecord, Cache, CacheError, Claim, Claimed, Digest};
use neuroflow_data::{Artifact, DataError, Kind, Scores, Typed};
use neuroflow_stage::{CancelToken, Context, Progress, Registry, StageError};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};
use tokio::sync::mpsc;

/// How a run may use the machine.
#[derive(Debug, Clone)]
pub struct RunOptions {
    /// Cores in all.
    pub cores: usize,
    /// Go on with tasks that do not depend on a failed one.
    pub keep_going: bool,
    /// Set to stop the run: running stages are asked to stop, nothing new begins, what was published stays.
    pub cancel: CancelToken,
    /// The run's id, noted beside every result.
    pub run_id: String,
}

/// Why a task gave nothing.
#[derive(Debug, Clone, PartialEq)]
pub enum Failure {
    /// The stage refused its inputs or parameters.
    Refused {
        /// What is wrong.
        message: String,
        /// What to do.
        help: Option<String>,
    },
    /// The world's fault: a full disk, an unreadable cache.
    World(String),
    /// Our fault.
    Bug(String),
}

/// What became of a task.
#[derive(Debug, Clone, PartialEq)]
pub enum State {
    /// Its result was in the cache.
    Cached {
        /// The run that made it.
        run: String,
    },
    /// It ran.
    Ran,
    /// It failed.
    Failed(Failure),
    /// It did not run because something that it needs failed, or because the run stopped.
    Skipped,
    /// Nobody asked for it.
    Unasked,
}

/// One output of a task.
#[derive(Debug, Clone, PartialEq)]
pub struct Output {
    /// Its content.
    pub digest: Digest,
    /// Its kind.
    pub kind: Kind,
    /// Its size in bytes.
    pub size: u64,
}

/// What became of a task, with its outputs.
#[derive(Debug, Clone, PartialEq)]
pub struct Outcome {
    /// What became of it.
    pub state: State,
    /// Its key, when that was known.
    pub key: Option<Digest>,
    /// Its outputs by name; empty unless it is done.
    pub outputs: BTreeMap<String, Output>,
    /// Milliseconds that it took, now or when its cached result was made.
    pub wall_ms: f64,
    /// Its scores, when it has any.
    pub scores: Option<Scores>,
}

/// Told what happens, while it happens.
pub trait Observer: Send + Sync {
    /// A task's result was found in the cache.
    fn cached(&self, _task: TaskId) {}
    /// A task waits for another process that computes the same; told once for each such process, when the wait is worth a word.
    fn waiting(&self, _task: TaskId, _owner: &str) {}
    /// A task begins.
    fn started(&self, _task: TaskId) {}
    /// A task has done `done` of `total` parts.
    fn progress(&self, _task: TaskId, _done: u64, _total: u64) {}
    /// A task is done, or failed.
    fn finished(&self, _task: TaskId, _outcome: &Outcome) {}
}

impl Observer for () {}

/// What became of a run.
#[derive(Debug, Clone, PartialEq)]
pub struct RunOutcome {
    /// For each task of the plan, what became of it.
    pub tasks: Vec<Outcome>,
    /// Whether the run was stopped before its end.
    pub cancelled: bool,
    /// Objects of the cache that were found damaged and put into quarantine; the run must be planned again.
    pub damaged: Vec<Digest>,
}

impl RunOutcome {
    /// Whether every task is done.
    pub fn is_complete(&self) -> bool {
        self.tasks.iter().all(|outcome| matches!(outcome.state, State::Cached { .. } | State::Ran | State::Unasked))
    }
}

enum Problem {
    Stage(StageError),
    Cache(CacheError),
    Damaged(Digest, DataError),
}

impl From<CacheError> for Problem {
    fn from(error: CacheError) -> Problem {
        Problem::Cache(error)
    }
}

struct Told {
    task: TaskId,
    observer: Arc<dyn Observer>,
}

impl Progress for Told {
    fn report(&self, done: u64, total: u64) {
        self.observer.progress(self.task, done, total);
    }
}

/// How often it is looked whether a task that another process works on is done.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a wait for another process is not worth a word.
const PATIENCE: Duration = Duration::from_secs(2);

/// Tasks that another process works on.
#[derive(Default)]
struct Held {
    since: BTreeMap<TaskId, Instant>,
    tasks: Vec<TaskId>,
    told: BTreeSet<String>,
}

impl Held {
    fn hold(&mut self, task: TaskId, owner: String, observer: &Arc<dyn Observer>) {
        let since = *self.since.entry(task).or_insert_with(Instant::now);
        self.tasks.push(task);
        if since.elapsed() > PATIENCE && self.told.insert(owner.clone()) {
            observer.waiting(task, &owner);
        }
    }
}

type Done = (TaskId, Result<Outcome, Problem>);

/// The folder of the cache in which programs work.
const SCRATCH: &str = "scratch";

/// Runs a plan to its end, to the first failure (unless `keep_going`), or until it is cancelled.
///
/// Everything that was finished is published in the cache, whatever happens to the rest.
pub async fn run(
    plan: &Plan,
    cache: &Arc<Cache>,
    registry: &Arc<Registry>,
    options: &RunOptions,
    observer: &Arc<dyn Observer>,
) -> RunOutcome {
    if plan.tasks.iter().any(|task| matches!(task.work, Work::Exec(_))) {
        program::sweep(&cache.root().join(SCRATCH));
    }
    let not_run = |task| {
        let state = if plan.wish(task) == Wish::Unasked { State::Unasked } else { State::Skipped };
        Outcome { state, key: None, outputs: BTreeMap::new(), wall_ms: 0.0, scores: None }
    };
    let mut outcomes: Vec<Outcome> = (0..plan.tasks.len()).map(not_run).collect();
    let mut missing: Vec<usize> = plan.tasks.iter().map(|task| task.needs().count()).collect();
    let mut followers: Vec<Vec<TaskId>> = vec![Vec::new(); plan.tasks.len()];
    // What is asked for needs nothing that is not, so tasks that nobody asked for are in nobody's way.
    for (id, task) in plan.tasks.iter().enumerate().filter(|(id, _)| plan.wish(*id) != Wish::Unasked) {
        task.needs().for_each(|needed| followers[needed].push(id));
    }
    let mut unlocked: Vec<TaskId> = (0..plan.tasks.len()).filter(|&id| missing[id] == 0 && plan.wish(id) != Wish::Unasked).collect();
    let mut waiting: BinaryHeap<(u64, std::cmp::Reverse<TaskId>)> = BinaryHeap::new();
    let mut keys: BTreeMap<TaskId, (Digest, Vec<Digest>)> = BTreeMap::new();
    let (sender, mut receiver) = mpsc::unbounded_channel::<Done>();
    let (mut free, mut running, mut stop) = (options.cores.max(1), 0usize, false);
    let (mut damaged, mut held, mut looked) = (Vec::new(), Held::default(), Instant::now());

    loop {
        // Tasks whose inputs are known: from the cache, or into the queue.
        while let Some(id) = unlocked.pop() {
            let task = &plan.tasks[id];
            let Some(contents) = contents_of(task, &outcomes) else { continue };
            let key = task.key(&contents);
            outcomes[id].key = Some(key);
            let from_cache = task.cached && plan.wish(id) != Wish::Again;
            match if from_cache { lookup(cache, &key, task) } else { Ok(None) } {
                Ok(Some(found)) => {
                    outcomes[id] = found;
                    observer.cached(id);
                    release(id, &followers, &mut missing, &mut unlocked);
                }
                Ok(None) if plan.wish(id) == Wish::FromCache => {
                    let message = "its result is not in the cache, and `--only` computes nothing but the steps that it names".into();
                    let help = Some("use `--until` instead, which computes what they need as well".into());
                    outcomes[id].state = State::Failed(Failure::Refused { message, help });
                    observer.finished(id, &outcomes[id]);
                    stop |= !options.keep_going;
                }
                Ok(None) => {
                    keys.insert(id, (key, contents));
                    waiting.push((plan.priority(id), std::cmp::Reverse(id)));
                }
                Err(error) => {
                    outcomes[id].state = State::Failed(Failure::World(error.to_string()));
                    observer.finished(id, &outcomes[id]);
                    stop |= !options.keep_going;
                }
            }
        }
        stop |= options.cancel.is_cancelled();
        // As many as the cores allow. A task that wants more cores than there are gets them all.
        while !stop && free > 0 {
            let Some(&(_, std::cmp::Reverse(id))) = waiting.peek() else { break };
            let cores = plan.tasks[id].cores.clamp(1, options.cores.max(1));
            if cores > free {
                break;
            }
            waiting.pop();
            let Some((key, contents)) = keys.remove(&id) else { continue };
            // What two processes want is computed by one; the other goes on with other tasks and looks again.
            let again = plan.wish(id) == Wish::Again;
            let claim = match if plan.tasks[id].cached { claimed(cache, &key, &plan.tasks[id], again) } else { Ok(Turn::Ours(None)) } {
                Ok(Turn::Ours(claim)) => claim,
                Ok(Turn::Theirs(owner)) => {
                    keys.insert(id, (key, contents));
                    held.hold(id, owner, observer);
                    continue;
                }
                Ok(Turn::Done(found)) => {
                    outcomes[id] = *found;
                    observer.cached(id);
                    release(id, &followers, &mut missing, &mut unlocked);
                    continue;
                }
                Err(error) => {
                    outcomes[id].state = State::Failed(Failure::World(error.to_string()));
                    observer.finished(id, &outcomes[id]);
                    stop |= !options.keep_going;
                    continue;
                }
            };
            free -= cores;
            running += 1;
            observer.started(id);
            let job = Job {
                task: plan.tasks[id].clone(),
                key,
                contents,
                claim,
                cache: Arc::clone(cache),
                registry: Arc::clone(registry),
                run_id: options.run_id.clone(),
                context: Context {
                    seed: 0,
                    threads: cores,
                    gpu: plan.tasks[id].gpu,
                    cancel: options.cancel.clone(),
                    progress: Arc::new(Told { task: id, observer: Arc::clone(observer) }),
                },
            };
            let sender = sender.clone();
            tokio::spawn(async move {
                let result = match tokio::task::spawn_blocking(move || job.run()).await {
                    Ok(result) => result,
                    Err(error) => Err(Problem::Stage(StageError::Bug(panic_message(error)))),
                };
                // The receiver lives as long as this loop; when it is gone, nobody waits for the answer.
                let _ = sender.send((id, result));
            });
        }
        if !stop && !unlocked.is_empty() {
            continue;
        }
        if running == 0 && (stop || held.tasks.is_empty()) {
            break;
        }
        let received = match held.tasks.is_empty() {
            true => receiver.recv().await,
            false => match tokio::time::timeout(LOOK_AGAIN, receiver.recv()).await {
                Ok(received) => received,
                Err(_) => {
                    held.tasks.drain(..).for_each(|id| waiting.push((plan.priority(id), std::cmp::Reverse(id))));
                    looked = Instant::now();
                    continue;
                }
            },
        };
        if looked.elapsed() > LOOK_AGAIN {
            held.tasks.drain(..).for_each(|id| waiting.push((plan.priority(id), std::cmp::Reverse(id))));
            looked = Instant::now();
        }
        let Some((id, result)) = received else { break };
        running -= 1;
        free += plan.tasks[id].cores.clamp(1, options.cores.max(1));
        match result {
            Ok(outcome) => {
                outcomes[id] = outcome;
                release(id, &followers, &mut missing, &mut unlocked);
            }
            Err(Problem::Stage(StageError::Cancelled)) => {}
            Err(problem) => {
                let failure = match problem {
                    Problem::Stage(StageError::Bug(message)) => Failure::Bug(message),
                    Problem::Stage(error) => Failure::Refused { help: error.help().map(str::to_owned), message: error.to_string() },
                    Problem::Cache(error) => Failure::World(error.to_string()),
                    Problem::Damaged(digest, error) => {
                        damaged.push(digest);
                        Failure::World(format!("object {digest} of the cache is damaged ({error}); it was put into quarantine"))
                    }
                };
                outcomes[id].state = State::Failed(failure);
                stop |= !options.keep_going;
            }
        }
        observer.finished(id, &outcomes[id]);
    }
    RunOutcome { tasks: outcomes, cancelled: options.cancel.is_cancelled(), damaged }
}

/// Whose turn it is to compute a key.
enum Turn {
    /// Ours; the claim is kept until the answer is recorded.
    Ours(Option<Claim>),
    /// Another process's.
    Theirs(String),
    /// Nobody's: another process has just recorded the answer.
    Done(Box<Outcome>),
}

/// Claims a task; `again` when its answer is not wanted from the cache.
fn claimed(cache: &Cache, key: &Digest, task: &Task, again: bool) -> Result<Turn, CacheError> {
    Ok(match cache.claim(key)? {
        Claimed::Other(owner) => Turn::Theirs(owner),
        Claimed::Mine(claim) if again => Turn::Ours(Some(claim)),
        Claimed::Mine(claim) => {
            // Whoever had the claim before recorded its answer before letting go.
            cache.refresh()?;
            match lookup(cache, key, task)? {
                Some(found) => Turn::Done(Box::new(found)),
                None => Turn::Ours(Some(claim)),
            }
        }
    })
}

fn release(id: TaskId, followers: &[Vec<TaskId>], missing: &mut [usize], unlocked: &mut Vec<TaskId>) {
    for &follower in &followers[id] {
        missing[follower] -= 1;
        if missing[follower] == 0 {
            unlocked.push(follower);
        }
    }
}

/// The content of each argument, when all are known.
fn contents_of(task: &Task, outcomes: &[Outcome]) -> Option<Vec<Digest>> {
    task.arguments
        .iter()
        .map(|argument| match &argument.source {
            Source::Content { digest, .. } => Some(*digest),
            Source::Task { task, output } => outcomes[*task].outputs.get(output).map(|output| output.digest),
        })
        .collect()
}

/// A task's cached result. A record that lacks a declared output counts as none.
pub(crate) fn lookup(cache: &Cache, key: &Digest, task: &Task) -> Result<Option<Outcome>, CacheError> {
    let Some(record) = cache.lookup(key)? else { return Ok(None) };
    let mut outputs = BTreeMap::new();
    for (name, kind) in &task.outputs {
        let Some(found) = record.outputs.iter().find(|output| &output.slot == name) else { return Ok(None) };
        outputs.insert(name.clone(), Output { digest: found.digest, kind: *kind, size: found.size });
    }
    let scores = record.summary.get("scores").and_then(|scores| serde_json::from_value(scores.clone()).ok()).map(Scores::new);
    Ok(Some(Outcome { state: State::Cached { run: record.run }, key: Some(*key), outputs, wall_ms: record.wall_ms, scores }))
}

/// Reads an artifact of the cache; a damaged one goes into quarantine.
///
/// # Errors
/// When the object is missing, unreadable or damaged, in words.
pub fn read_artifact(cache: &Cache, digest: &Digest, kind: Kind) -> Result<Artifact, String> {
    load(cache, digest, kind).map_err(|problem| match problem {
        Problem::Stage(error) => error.to_string(),
        Problem::Cache(error) => error.to_string(),
        Problem::Damaged(digest, error) => {
            format!("object {digest} of the cache is damaged ({error}); it was put into quarantine, run again")
        }
    })
}

fn load(cache: &Cache, digest: &Digest, kind: Kind) -> Result<Artifact, Problem> {
    let missing = || Problem::Damaged(*digest, DataError::Decode("it is missing".into()));
    let bytes = cache.get(digest)?.ok_or_else(missing)?;
    match Artifact::decode(kind, &bytes) {
        Ok(artifact) => Ok(artifact),
        Err(error) => {
            cache.quarantine(digest)?;
            Err(Problem::Damaged(*digest, error))
        }
    }
}

struct Job {
    task: Task,
    key: Digest,
    contents: Vec<Digest>,
    claim: Option<Claim>,
    cache: Arc<Cache>,
    registry: Arc<Registry>,
    run_id: String,
    context: Context,
}

impl Job {
    fn run(self) -> Result<Outcome, Problem> {
        let began = Instant::now();
        let started_unix_ms =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX));
        let mut values = Vec::with_capacity(self.contents.len());
        for (argument, digest) in self.task.arguments.iter().zip(&self.contents) {
            values.push(load(&self.cache, digest, argument.kind)?);
        }
        let mut log = None;
        let artifacts = match &self.task.work {
            Work::Exec(call) => {
                let scratch = self.cache.root().join(SCRATCH);
                let ended = program::run(call, &self.task.arguments, &values, &self.context, &scratch).map_err(Problem::Stage)?;
                if !ended.log.is_empty() {
                    log = Some(self.cache.put(&ended.log)?);
                }
                BTreeMap::from([(neuroflow_dsl::command::OUT.to_owned(), ended.output)])
            }
            _ => execute(&self.task, values, &self.registry, &self.context).map_err(Problem::Stage)?,
        };
        let mut outputs = BTreeMap::new();
        let mut scores = None;
        for (name, kind) in &self.task.outputs {
            let Some(artifact) = artifacts.get(name) else {
                return Err(Problem::Stage(StageError::Bug(format!("output `{name}` of `{}` is missing", self.task.label))));
            };
            if *kind == Kind::Scores {
                scores = Some(Scores::from_artifact(artifact).map_err(|error| Problem::Stage(error.into()))?);
            }
            let bytes = artifact.encode().map_err(|error| Problem::Stage(error.into()))?;
            let digest = self.cache.put(&bytes)?;
            outputs.insert(name.clone(), Output { digest, kind: *kind, size: bytes.len() as u64 });
        }
        let wall_ms = began.elapsed().as_secs_f64() * 1e3;
        let mut summary = serde_json::json!({ "task": self.task.label, "key": self.task.key_fields(&self.contents) });
        if let Some(scores) = &scores {
            summary["scores"] = serde_json::to_value(&scores.scores).unwrap_or_default();
        }
        if matches!(self.task.work, Work::Exec(_)) {
            summary["sandbox"] = "none".into();
        }
        if self.task.cached {
            let record = ActionRecord {
                stage: self.task.cost_name(),
                version: 1,
                outputs: outputs
                    .iter()
                    .map(|(slot, output)| ActionOutput { slot: slot.clone(), digest: output.digest, size: output.size })
                    .collect(),
                run: self.run_id.clone(),
                started_unix_ms,
                wall_ms,
                cpu_ms: None,
                log,
                summary,
            };
            self.cache.record(&self.key, &record)?;
        }
        // Let go only now, when others can read the answer.
        drop(self.claim);
        Ok(Outcome { state: State::Ran, key: Some(self.key), outputs, wall_ms, scores })
    }
}

fn panic_message(error: tokio::task::JoinError) -> String {
    match error.try_into_panic() {
        Ok(panic) => {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned()).or_else(|| panic.downcast_ref::<String>().cloned());
            text.unwrap_or_else(|| "a panic without a message".into())
        }
        Err(error) => error.to_string(),
    }
}
