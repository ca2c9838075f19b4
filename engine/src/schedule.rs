//! Running a plan: which task next, on what, and what became of each.
//!
//! A task whose key is known is looked up first; only a miss runs. Because a key is made of the *contents* of its inputs, a step that ran again and
//! gave the same bytes stops the wave there. Among tasks that could run, the one with the longest way to the end of the plan goes first. Where the
//! pipeline waits for a result to know how it goes on, the plan grows while it runs.

use crate::cached::{lookup, read_artifact};
use crate::executor::{Capacity, Event, Executor, Local, Order, PROTOCOL, Report, Workers};
use crate::files::ProjectFiles;
use crate::outcome::{Ending, Failure, Outcome, Ran, State};
use crate::places::{HERE, Refusal, executor_of, has_pools};
use crate::plan::{Plan, PlanKnown};
use crate::program::{Equipment, ProgramOptions, Wishes};
use crate::ready::{Demand, Machine, Ready};
use crate::select::Wish;
use crate::task::{ExecCall, Task, TaskId};
use crate::tries::Tries;
use crate::worker::Tools;
use neuroflow_cache::{Cache, CacheError, Claim, Claimed, Digest};
use neuroflow_data::{Kind, Score, Table, Typed};
use neuroflow_dsl::{Diagnostic, Pipeline, Policies};
use neuroflow_stage::{CancelToken, Cluster, GpuPolicy, Registry, Value};
use std::collections::{BTreeMap, BTreeSet, BinaryHeap, HashMap};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::sync::mpsc;

/// How a run may use the machine.
#[derive(Clone)]
pub struct RunOptions {
    /// What may be used of this machine.
    pub machine: Machine,
    /// Go on with tasks that do not depend on a failed one.
    pub keep_going: bool,
    /// Set to stop the run: running stages are asked to stop, nothing new begins, what was published stays.
    pub cancel: CancelToken,
    /// The run's id, noted beside every result.
    pub run_id: String,
    /// Executors by name, beside this machine.
    pub executors: BTreeMap<String, Arc<dyn Executor>>,
    /// The executor of steps that name none; none for this machine.
    pub executor: Option<String>,
    /// How worker processes are started.
    pub worker: WorkerCommand,
    /// How programs are run.
    pub programs: ProgramOptions,
    /// The cluster that queries run on; none when they run where the task does.
    pub cluster: Option<Cluster>,
    /// Milliseconds of processor time that the calling thread has spent, with what others spent for it; none where that is not known.
    pub meter: Option<fn() -> f64>,
}

/// How a worker process is started.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct WorkerCommand {
    /// The program and its arguments.
    pub command: Vec<std::ffi::OsString>,
}

/// Told what happens, while it happens.
pub trait Observer: Send + Sync {
    /// There are these tasks; told at the beginning, and when the plan has grown.
    fn planned(&self, _plan: &Plan) {}
    /// A task's result was found in the cache.
    fn cached(&self, _plan: &Plan, _task: TaskId) {}
    /// A task waits for another process that computes the same; told once for each such process, when the wait is worth a word.
    fn waiting(&self, _plan: &Plan, _task: TaskId, _owner: &str) {}
    /// A task begins.
    fn started(&self, _plan: &Plan, _task: TaskId) {}
    /// A task has done `done` of `total` parts.
    fn progress(&self, _task: TaskId, _done: u64, _total: u64) {}
    /// An attempt at a task failed, and there will be another.
    fn retried(&self, _plan: &Plan, _task: TaskId, _reason: &str) {}
    /// A task is done, or failed.
    fn finished(&self, _plan: &Plan, _task: TaskId, _outcome: &Outcome) {}
    /// Something that a person should know.
    fn remark(&self, _text: &str) {}
    /// So many tasks could run but wait for resources.
    fn queued(&self, _count: usize) {}
    /// Some time has passed.
    fn tick(&self, _plan: &Plan) {}
}

/// Several who are told the same.
pub struct Observers(pub Vec<Arc<dyn Observer>>);

impl Observer for Observers {
    fn planned(&self, plan: &Plan) {
        self.0.iter().for_each(|one| one.planned(plan));
    }

    fn cached(&self, plan: &Plan, task: TaskId) {
        self.0.iter().for_each(|one| one.cached(plan, task));
    }

    fn waiting(&self, plan: &Plan, task: TaskId, owner: &str) {
        self.0.iter().for_each(|one| one.waiting(plan, task, owner));
    }

    fn started(&self, plan: &Plan, task: TaskId) {
        self.0.iter().for_each(|one| one.started(plan, task));
    }

    fn progress(&self, task: TaskId, done: u64, total: u64) {
        self.0.iter().for_each(|one| one.progress(task, done, total));
    }

    fn retried(&self, plan: &Plan, task: TaskId, reason: &str) {
        self.0.iter().for_each(|one| one.retried(plan, task, reason));
    }

    fn finished(&self, plan: &Plan, task: TaskId, outcome: &Outcome) {
        self.0.iter().for_each(|one| one.finished(plan, task, outcome));
    }

    fn remark(&self, text: &str) {
        self.0.iter().for_each(|one| one.remark(text));
    }

    fn queued(&self, count: usize) {
        self.0.iter().for_each(|one| one.queued(count));
    }

    fn tick(&self, plan: &Plan) {
        self.0.iter().for_each(|one| one.tick(plan));
    }
}

impl Observer for () {}

impl RunOptions {
    /// A run in this process alone, which ends at the first failure.
    pub fn here(machine: Machine, run_id: String) -> RunOptions {
        RunOptions {
            machine,
            keep_going: false,
            cancel: CancelToken::new(),
            run_id,
            executors: BTreeMap::new(),
            executor: None,
            worker: WorkerCommand::default(),
            programs: ProgramOptions::default(),
            meter: None,
            cluster: None,
        }
    }
}

/// What became of a run.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct RunOutcome {
    /// For each task of the plan, what became of it.
    pub tasks: Vec<Outcome>,
    /// Whether the run was stopped before its end.
    pub cancelled: bool,
    /// Objects of the cache that were found damaged and put into quarantine; the run must be planned again.
    pub damaged: Vec<Digest>,
    /// What was wrong with the pipeline, which showed only when results were there.
    pub mistakes: Vec<Diagnostic>,
    /// Whether all steps were planned: false when what they wait for failed.
    pub planned: bool,
    /// What a person should know, each once.
    pub remarks: BTreeSet<String>,
}

impl RunOutcome {
    /// Whether every task is done.
    pub fn is_complete(&self) -> bool {
        self.planned && self.mistakes.is_empty() && self.tasks.iter().all(|outcome| outcome.is_done() || outcome.state == State::Unasked)
    }
}

/// How often it is looked whether a task that another process works on is done.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// How long a wait for another process is not worth a word.
const PATIENCE: Duration = Duration::from_secs(2);
/// How often it is looked whether the run is to stop.
const TICK: Duration = Duration::from_millis(100);
/// After so many tasks that were in the cache, others get a turn: the person may have pressed Ctrl-C.
const BREATH: usize = 4096;

/// Tasks that another process works on.
#[derive(Default)]
struct Held {
    since: BTreeMap<TaskId, Instant>,
    tasks: Vec<(TaskId, Demand)>,
    told: BTreeSet<String>,
}

impl Held {
    fn hold(&mut self, task: TaskId, demand: Demand, owner: String, told: impl FnOnce(&str)) {
        let since = *self.since.entry(task).or_insert_with(Instant::now);
        self.tasks.push((task, demand));
        if since.elapsed() > PATIENCE && self.told.insert(owner.clone()) {
            told(&owner);
        }
    }
}

/// Where each task's followers are: a list in two arrays, which grows with the plan.
#[derive(Default)]
struct Followers {
    first: Vec<u32>,
    links: Vec<(u32, u32)>,
}

const END: u32 = u32::MAX;

impl Followers {
    fn add(&mut self, needed: TaskId, follower: TaskId) {
        let next = std::mem::replace(&mut self.first[needed], self.links.len() as u32);
        self.links.push((follower as u32, next));
    }

    fn of(&self, task: TaskId) -> impl Iterator<Item = TaskId> {
        let mut at = self.first[task];
        std::iter::from_fn(move || {
            let (follower, next) = *self.links.get(at as usize).filter(|_| at != END)?;
            at = next;
            Some(follower as usize)
        })
    }
}

/// A task that is being worked on.
struct Running {
    demand: Demand,
    /// Kept until the answer is recorded.
    claim: Option<Claim>,
    executor: usize,
    began: Instant,
}

/// A task that was tried before.
struct Tried {
    attempts: u32,
    tries: Tries,
}

/// Runs a plan to its end, to the first failure (unless `keep_going`), or until it is cancelled. The plan grows by what becomes known; programs find what
/// they need among `files`.
///
/// Everything that was finished is published in the cache, whatever happens to the rest.
pub async fn run(
    plan: &mut Plan,
    pipeline: &Pipeline,
    files: &ProjectFiles,
    cache: &Arc<Cache>,
    registry: &Arc<Registry>,
    options: &RunOptions,
    observer: &Arc<dyn Observer>,
) -> RunOutcome {
    let (sender, mut receiver) = mpsc::unbounded_channel();
    let mut run = Run::new(plan, pipeline, files, cache, registry, options, observer, sender);
    run.take_in(0);
    run.observer.planned(run.plan);
    let mut breath = 0;
    loop {
        // Tasks whose inputs are known: from the cache, or into the queue.
        run.prefetch();
        while let Some(task) = run.unlocked.pop() {
            run.look_up(task);
            breath += 1;
            if breath % BREATH == 0 {
                tokio::task::yield_now().await;
            }
            if run.unlocked.is_empty() {
                run.unlocked.append(&mut run.later);
                run.grow();
                run.prefetch();
            }
        }
        run.stop |= options.cancel.is_cancelled();
        run.begin();
        run.halt();
        run.unlocked.append(&mut run.later);
        if !run.stop && !run.unlocked.is_empty() {
            continue;
        }
        if run.running.is_empty() && (run.stop || run.held.tasks.is_empty() && run.delayed.is_empty() && run.ready.is_empty()) {
            break;
        }
        observer.queued(run.ready.len());
        match tokio::time::timeout(run.patience(), receiver.recv()).await {
            Ok(Some(event)) => {
                run.hear(event);
                // What else has happened meanwhile is heard before anything new begins.
                while let Ok(event) = receiver.try_recv() {
                    run.hear(event);
                }
            }
            Ok(None) => break,
            Err(_) => {}
        }
        run.unlocked.append(&mut run.later);
        run.wake();
        observer.tick(run.plan);
        if options.cancel.is_cancelled() {
            run.cancel();
        }
    }
    run.outcome.cancelled = options.cancel.is_cancelled();
    run.outcome.planned = run.plan.is_complete() || run.plan_is_unasked();
    run.outcome
}

struct Run<'a> {
    plan: &'a mut Plan,
    pipeline: &'a Pipeline,
    files: &'a ProjectFiles,
    cache: &'a Arc<Cache>,
    registry: &'a Arc<Registry>,
    options: &'a RunOptions,
    observer: &'a Arc<dyn Observer>,
    events: mpsc::UnboundedSender<Event>,
    /// This machine, its worker processes, and those of the options by name.
    executors: Vec<Arc<dyn Executor>>,
    names: BTreeMap<String, usize>,
    outcome: RunOutcome,
    missing: Vec<u32>,
    followers: Followers,
    unlocked: Vec<TaskId>,
    /// Those that are looked up in the next wave.
    later: Vec<TaskId>,
    ready: Ready,
    keys: HashMap<TaskId, (Digest, Vec<Digest>)>,
    running: HashMap<TaskId, Running>,
    tried: HashMap<TaskId, Tried>,
    delayed: BinaryHeap<std::cmp::Reverse<(Instant, TaskId)>>,
    held: Held,
    looked: Instant,
    began: Instant,
    waits_for: BTreeSet<usize>,
    /// Whether something that growth waits for has just been done.
    grows: bool,
    stop: bool,
    halted: bool,
    cancelled: bool,
    runs: HashMap<Arc<str>, Arc<str>>,
}

impl<'a> Run<'a> {
    fn new(
        plan: &'a mut Plan,
        pipeline: &'a Pipeline,
        files: &'a ProjectFiles,
        cache: &'a Arc<Cache>,
        registry: &'a Arc<Registry>,
        options: &'a RunOptions,
        observer: &'a Arc<dyn Observer>,
        events: mpsc::UnboundedSender<Event>,
    ) -> Run<'a> {
        let told = events.clone();
        // Nobody listens any more when the run has ended.
        let notice = move |line: &str| drop(told.send(Event::Remark(line.to_owned())));
        let tools = Tools::new(Arc::clone(cache), Arc::clone(registry), options.programs.clone(), options.meter, notice);
        let local = Local::new(Arc::new(tools), options.cancel.clone());
        let mut executors: Vec<Arc<dyn Executor>> = vec![Arc::new(local), Arc::new(Workers::new(options.worker.clone()))];
        let mut names = BTreeMap::new();
        for (name, executor) in &options.executors {
            names.insert(name.clone(), executors.len());
            executors.push(Arc::clone(executor));
        }
        let orders = executors.iter().map(|executor| match executor.capacity() {
            Capacity::Machine => None,
            Capacity::Orders(orders) => Some(orders),
        });
        let ready = Ready::new(options.machine.clone(), orders.collect());
        Run {
            plan,
            pipeline,
            files,
            cache,
            registry,
            options,
            observer,
            events,
            executors,
            names,
            outcome: RunOutcome::default(),
            missing: Vec::new(),
            followers: Followers::default(),
            unlocked: Vec::new(),
            later: Vec::new(),
            ready,
            keys: HashMap::new(),
            running: HashMap::new(),
            tried: HashMap::new(),
            delayed: BinaryHeap::new(),
            held: Held::default(),
            looked: Instant::now(),
            began: Instant::now(),
            waits_for: BTreeSet::new(),
            grows: false,
            stop: false,
            halted: false,
            cancelled: false,
            runs: HashMap::new(),
        }
    }

    /// Takes in the tasks of the plan from `first` on.
    fn take_in(&mut self, first: TaskId) {
        // What is new may need what nobody asked for before.
        for task in 0..first {
            if self.outcome.tasks[task].state == State::Unasked && self.plan.wish(task) != Wish::Unasked {
                self.outcome.tasks[task].state = State::Skipped;
                self.want(task);
            }
        }
        for task in first..self.plan.len() {
            let unasked = self.plan.wish(task) == Wish::Unasked;
            self.outcome.tasks.push(Outcome::not_run(if unasked { State::Unasked } else { State::Skipped }));
            self.followers.first.push(END);
            self.missing.push(0);
            // What is asked for needs nothing that is not, so tasks that nobody asked for are in nobody's way.
            if !unasked {
                self.want(task);
            }
        }
        // The first task on top.
        let added = self.unlocked.len();
        self.unlocked[..added].reverse();
        self.waits_for = self.plan.waits_for().clone();
    }

    /// Unlocks a task, or lets it follow what it needs.
    fn want(&mut self, task: TaskId) {
        let mut missing = 0;
        self.plan.needs(task, |needed| {
            if !self.outcome.tasks[needed].is_done() {
                missing += 1;
                self.followers.add(needed, task);
            }
        });
        self.missing[task] = missing;
        if missing == 0 {
            self.unlocked.push(task);
        }
    }

    /// Adds to the plan what has become known.
    fn grow(&mut self) {
        if !std::mem::take(&mut self.grows) || self.stop {
            return;
        }
        let found = Found { tasks: &self.outcome.tasks, cache: self.cache, files: self.files };
        match self.plan.grow(self.pipeline, self.registry, &found) {
            Ok(added) => {
                self.take_in(added.start);
                self.observer.planned(self.plan);
            }
            Err(crate::plan::PlanError::Pipeline(mistakes)) => {
                self.outcome.mistakes = mistakes;
                self.stop = true;
            }
            Err(error) => {
                self.outcome.mistakes.push(Diagnostic::error("wrong-value", 0..0, error.to_string()));
                self.stop = true;
            }
        }
    }

    /// Whether all that is still unknown follows from steps that nobody asked for.
    fn plan_is_unasked(&self) -> bool {
        self.waits_for.iter().all(|&step| self.plan.tasks_of(step).all(|task| self.plan.wish(task) == Wish::Unasked))
    }

    /// Asks a remote for the answers of all tasks that are about to be looked up, at once.
    fn prefetch(&mut self) {
        if self.unlocked.is_empty() || !self.cache.is_shared() {
            return;
        }
        let tasks = &self.outcome.tasks;
        let keys = self.unlocked.iter().filter_map(|&task| {
            let contents = self.plan.contents(task, |needed, output| tasks[needed].outputs.get(output).map(|output| output.digest))?;
            Some(self.plan.task(task).key(&contents))
        });
        // What can't be fetched at once is asked for one by one, and told there.
        let _ = self.cache.prefetch(&keys.collect::<Vec<_>>());
    }

    fn look_up(&mut self, task: TaskId) {
        let tasks = &self.outcome.tasks;
        let contents = self.plan.contents(task, |needed, output| tasks[needed].outputs.get(output).map(|output| output.digest));
        let Some(contents) = contents else { return };
        let complete = self.plan.task(task);
        let key = complete.key(&contents);
        self.outcome.tasks[task].key = Some(key);
        let wish = self.plan.wish(task);
        let from_cache = complete.cached && wish != Wish::Again;
        match if from_cache { lookup(self.cache, &key, &complete) } else { Ok(None) } {
            Ok(Some(found)) => self.found(task, found),
            Ok(None) if wish == Wish::FromCache => {
                let message = "its result is not in the cache, and `--only` computes nothing but the steps that it names".into();
                let help = Some("use `--until` instead, which computes what they need as well".into());
                self.fail(task, Failure::Refused { message, help });
            }
            Ok(None) => {
                self.keys.insert(task, (key, contents));
                self.enqueue(task);
            }
            Err(error) => self.fail(task, Failure::World(error.to_string())),
        }
    }

    fn found(&mut self, task: TaskId, mut found: Outcome) {
        // A run id is one text however many tasks it made.
        if let State::Cached { run } = &mut found.state {
            *run = Arc::clone(self.runs.entry(Arc::clone(run)).or_insert_with(|| Arc::clone(run)));
        }
        self.outcome.tasks[task] = found;
        self.observer.cached(self.plan, task);
        self.release(task);
    }

    fn fail(&mut self, task: TaskId, failure: Failure) {
        self.outcome.tasks[task].state = State::Failed(Box::new(failure));
        self.observer.finished(self.plan, task, &self.outcome.tasks[task]);
        self.stop |= !self.options.keep_going;
    }

    /// What waited for a task that is done may go on.
    fn release(&mut self, task: TaskId) {
        for follower in self.followers.of(task) {
            self.missing[follower] -= 1;
            if self.missing[follower] == 0 {
                // With a remote, what becomes known is asked for in waves and not one by one.
                if self.cache.is_shared() { self.later.push(follower) } else { self.unlocked.push(follower) }
            }
        }
        self.grows |= self.waits_for.contains(&self.plan.step_of(task));
    }

    fn enqueue(&mut self, task: TaskId) {
        let demand = self.demand(task);
        match demand {
            Ok(demand) => self.ready.push(task, self.plan.priority(task), demand),
            Err((message, help)) => self.fail(task, Failure::Refused { message, help: Some(help) }),
        }
    }

    /// What a task holds of the machine, and who runs it.
    fn demand(&self, task: TaskId) -> Result<Demand, Refusal> {
        let policies = &self.plan.instance(self.plan.step_of(task)).policies;
        if self.plan.is_join(task) {
            return Ok(Demand { cores: 1, ..Demand::default() });
        }
        let is_batch = self.plan.control_name(task).is_some();
        let program = self.plan.instance(self.plan.step_of(task)).program.is_some();
        let executor = executor_of(policies, program, self.options.executor.as_ref(), &self.names)?;
        has_pools(policies, &self.options.machine)?;
        let memory = self.memory(task).unwrap_or(0);
        Ok(self.ready.clamp(Demand {
            cores: if is_batch { 1 } else { policies.cores },
            memory,
            gpus: usize::from(policies.gpu != GpuPolicy::Never),
            pools: policies.pools.clone(),
            executor,
        }))
    }

    /// What a task may hold in its next attempt, in bytes.
    fn memory(&self, task: TaskId) -> Option<u64> {
        let first = self.plan.instance(self.plan.step_of(task)).policies.memory.map(|(first, _)| first);
        self.tried.get(&task).map_or(first, |tried| tried.tries.memory)
    }

    /// Begins as many tasks as fit.
    fn begin(&mut self) {
        let mut orders: BTreeMap<usize, Vec<(TaskId, Order)>> = BTreeMap::new();
        while !self.stop {
            let Some((task, demand)) = self.ready.pop() else { break };
            let Some((key, contents)) = self.keys.remove(&task) else {
                self.ready.release(&demand);
                continue;
            };
            let complete = self.plan.task(task);
            // What two processes want is computed by one; the other goes on with other tasks and looks again.
            let again = self.plan.wish(task) == Wish::Again;
            let turn = if complete.cached { claimed(self.cache, &key, &complete, again) } else { Ok(Turn::Ours(None)) };
            let claim = match turn {
                Ok(Turn::Ours(claim)) => claim,
                Ok(Turn::Theirs(owner)) => {
                    self.ready.release(&demand);
                    self.keys.insert(task, (key, contents));
                    let (plan, observer) = (&*self.plan, self.observer);
                    self.held.hold(task, demand, owner, |owner| observer.waiting(plan, task, owner));
                    continue;
                }
                Ok(Turn::Done(found)) => {
                    self.ready.release(&demand);
                    self.found(task, *found);
                    continue;
                }
                Err(error) => {
                    self.ready.release(&demand);
                    self.fail(task, Failure::World(error.to_string()));
                    continue;
                }
            };
            let policies = &self.plan.instance(self.plan.step_of(task)).policies;
            let order = Order {
                protocol: PROTOCOL,
                task: complete,
                key,
                contents,
                run_id: self.options.run_id.clone(),
                attempt: self.tried.get(&task).map_or(1, |tried| tried.attempts + 1),
                cores: demand.cores,
                memory: self.memory(task),
                time: policies.time,
                expected_ms: self.plan.expected_ms(task),
                cache: self.cache.root().to_path_buf(),
                cluster: self.options.cluster.clone(),
            };
            let executor = demand.executor;
            self.running.insert(task, Running { demand, claim, executor, began: Instant::now() });
            orders.entry(executor).or_default().push((task, order));
        }
        for (executor, orders) in orders {
            self.executors[executor].start(orders, self.events.clone());
        }
        if self.grows && self.unlocked.is_empty() {
            self.grow();
        }
    }

    fn hear(&mut self, event: Event) {
        match event {
            Event::Started(task) => {
                if let Some(running) = self.running.get_mut(&task) {
                    running.began = Instant::now();
                    self.observer.started(self.plan, task);
                }
            }
            Event::Progress(task, done, total) => self.observer.progress(task, done, total),
            Event::Remark(text) => self.remark(text),
            Event::Ended(task, report) => self.ended(task, *report),
        }
    }

    fn remark(&mut self, text: String) {
        if !self.outcome.remarks.contains(&text) {
            self.observer.remark(&text);
            self.outcome.remarks.insert(text);
        }
    }

    fn ended(&mut self, task: TaskId, report: Report) {
        let Some(running) = self.running.remove(&task) else { return };
        self.ready.release(&running.demand);
        let attempts = self.tried.get(&task).map_or(0, |tried| tried.attempts) + 1;
        let mut usage = report.usage;
        usage.executor = self.executors[running.executor].name().to_owned();
        let since = |at: Instant| at.saturating_duration_since(self.began).as_secs_f64() * 1e3;
        let span_ms = (since(running.began), since(Instant::now()));
        let ran = |remarks: Vec<String>| Ran { span_ms, usage: usage.clone(), attempts, remarks };
        // Let go only now, when others can read the answer.
        drop(running.claim);
        let key = Some(report.key);
        match report.ending {
            Ending::Done(done) => {
                self.tried.remove(&task);
                if running.executor != HERE {
                    // Workers know no remote.
                    if self.cache.refresh().is_ok() {
                        self.cache.share(&report.key);
                    }
                }
                let remarks = done.remarks.clone();
                self.outcome.tasks[task] = Outcome {
                    state: State::Ran,
                    key,
                    outputs: done.outputs.into(),
                    wall_ms: usage.wall_ms as f32,
                    scores: done.scores.map(Vec::into_boxed_slice),
                    ran: Some(Box::new(ran(done.remarks))),
                };
                remarks.into_iter().for_each(|remark| self.remark(remark));
                self.observer.finished(self.plan, task, &self.outcome.tasks[task]);
                self.release(task);
            }
            Ending::Cancelled => {}
            ending => {
                if let Some(pause) = self.another_attempt(task, &ending) {
                    self.observer.retried(self.plan, task, &reason(&ending));
                    self.delayed.push(std::cmp::Reverse((Instant::now() + pause, task)));
                    return;
                }
                let failure = self.failure(task, ending, attempts);
                self.outcome.tasks[task].key = key;
                self.outcome.tasks[task].ran = Some(Box::new(ran(Vec::new())));
                self.fail(task, failure);
            }
        }
    }

    /// How long until a task that failed is tried again; none when it has failed for good.
    fn another_attempt(&mut self, task: TaskId, ending: &Ending) -> Option<Duration> {
        if self.stop || self.options.cancel.is_cancelled() {
            return None;
        }
        let policies = &self.plan.instance(self.plan.step_of(task)).policies;
        let first = || Tried { attempts: 0, tries: Tries::new(policies.memory, policies.retries, policies.backoff) };
        let tried = self.tried.entry(task).or_insert_with(first);
        tried.attempts += 1;
        tried.tries.after(ending)
    }

    fn failure(&mut self, task: TaskId, ending: Ending, attempts: u32) -> Failure {
        // Behind the first line: what follows may be a program's own words.
        let tried = |message: String| match message.split_once('\n') {
            _ if attempts < 2 => message,
            Some((first, rest)) => format!("{first} ({attempts} attempts)\n{rest}"),
            None => format!("{message} ({attempts} attempts)"),
        };
        let refused = |message: String, help: &str| Failure::Refused { message: tried(message), help: Some(help.to_owned()) };
        match ending {
            Ending::Refused { message, help, .. } => {
                let (step, message) = (self.plan.step_of(task), tried(message));
                // A program's own words say what it read.
                let file = self.plan.instance(step).program.is_none().then(|| self.plan.file_read(step)).flatten();
                Failure::Refused { message: file.map_or_else(|| message.clone(), |file| format!("{file}: {message}")), help }
            }
            Ending::World(message) => Failure::World(message),
            Ending::Bug(message) => Failure::Bug(message),
            Ending::OutOfMemory { limit, peak } => {
                let held = peak.map_or(String::new(), |peak| format!(": it held {}", bytes(peak)));
                let may = limit.or(self.memory(task)).map_or(String::new(), |limit| format!(" and may hold {}", bytes(limit)));
                refused(
                    format!("it needed more memory than it may have, and was stopped{held}{may}"),
                    "give it more with `memory = …`; `memory = 4 GiB .. 16 GiB` lets it grow",
                )
            }
            Ending::TimedOut { limit } => refused(format!("it ran longer than {limit} s and was stopped"), "give it more with `time = …`"),
            Ending::Lost(reason) => refused(reason, "`retries = 1` tries it again"),
            Ending::Damaged(digest, error) => {
                self.outcome.damaged.push(digest);
                Failure::World(format!("object {digest} of the cache is damaged ({error}); it was put into quarantine"))
            }
            Ending::Done(_) | Ending::Cancelled => Failure::Bug("a task that did not fail failed".into()),
        }
    }

    /// How long to wait for news.
    fn patience(&self) -> Duration {
        let held = if self.held.tasks.is_empty() { TICK } else { LOOK_AGAIN };
        match self.delayed.peek() {
            Some(std::cmp::Reverse((at, _))) => held.min(at.saturating_duration_since(Instant::now())),
            None => held,
        }
    }

    /// Tasks that wait for another process, or for another attempt, get their turn.
    fn wake(&mut self) {
        if self.looked.elapsed() >= LOOK_AGAIN {
            self.looked = Instant::now();
            let held = std::mem::take(&mut self.held.tasks);
            held.into_iter().for_each(|(task, demand)| self.ready.push(task, self.plan.priority(task), demand));
        }
        while let Some(std::cmp::Reverse((at, task))) = self.delayed.peek().copied() {
            if at > Instant::now() {
                break;
            }
            self.delayed.pop();
            self.unlocked.push(task);
        }
    }

    /// Tells executors that nothing more is to begin, once.
    fn halt(&mut self) {
        if self.stop && !std::mem::replace(&mut self.halted, true) {
            self.executors.iter().for_each(|executor| executor.stop());
        }
    }

    fn cancel(&mut self) {
        self.stop = true;
        if !std::mem::replace(&mut self.cancelled, true) {
            self.executors.iter().for_each(|executor| executor.cancel());
        }
    }
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

/// What is known of results while a run goes on.
struct Found<'a> {
    tasks: &'a [Outcome],
    cache: &'a Cache,
    files: &'a ProjectFiles,
}

impl PlanKnown for Found<'_> {
    fn column(&self, task: TaskId, output: usize, column: &str) -> Option<Result<Vec<Value>, String>> {
        let output = self.tasks.get(task)?.outputs.get(output)?;
        Some(column_values(self.cache, &output.digest, output.kind, column))
    }

    fn scores(&self, task: TaskId) -> Option<Vec<Score>> {
        let outcome = self.tasks.get(task).filter(|outcome| outcome.is_done())?;
        Some(outcome.scores.as_deref().unwrap_or_default().to_vec())
    }

    fn equip(&self, call: &mut ExecCall, policies: &Policies) -> Result<(), String> {
        equip(self.files, self.cache, call, policies)
    }
}

/// Gives a program what its step says that it needs of the project's files.
pub(crate) fn equip(files: &ProjectFiles, cache: &Cache, call: &mut ExecCall, policies: &Policies) -> Result<(), String> {
    let wishes = Wishes { environment: policies.environment.as_deref(), scripts: &policies.scripts, reads: &policies.reads };
    Equipment::new(files, cache).equip(call, wishes)
}

/// The values of a column of a table, for a loop over it.
fn column_values(cache: &Cache, digest: &Digest, kind: Kind, column: &str) -> Result<Vec<Value>, String> {
    let artifact = read_artifact(cache, digest, kind)?;
    let table = Table::from_artifact(&artifact).map_err(|error| error.to_string())?;
    crate::members::values(table.batch(), column)
}

/// Why an attempt failed, on one line.
fn reason(ending: &Ending) -> String {
    match ending {
        Ending::Refused { message, .. } | Ending::Lost(message) => {
            let first = message.lines().next().unwrap_or_default();
            first.trim_end_matches(':').trim_end_matches("; it printed at last").to_owned()
        }
        Ending::TimedOut { limit } => format!("it ran longer than {limit} s"),
        Ending::OutOfMemory { limit: Some(limit), .. } => format!("it needed more memory than {}", bytes(*limit)),
        _ => String::new(),
    }
}

/// A size for people.
fn bytes(size: u64) -> String {
    match size as f64 / f64::from(1 << 20) {
        size if size < 1024.0 => format!("{size:.0} MiB"),
        size => format!("{:.1} GiB", size / 1024.0),
    }
}
