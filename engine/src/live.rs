//! What a run is doing right now, for `neuroflow top` and `neuroflow serve`: a small file in the cache, written twice a second, and removed when the run ends.
//!
//! The file stands beside a lock that the run holds: what a killed run left behind is known as such, and removed by whoever looks.

use crate::outcome::{Outcome, State};
use crate::plan::Plan;
use crate::schedule::Observer;
use crate::select::Wish;
use crate::task::TaskId;
use neuroflow_cache::{Digest, Presence};
use neuroflow_data::Kind;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

const FOLDER: &str = "live";
const EVERY: Duration = Duration::from_millis(500);
/// So many waiting tasks are named.
const NAMED: usize = 200;
/// So many lines of what happened are kept.
const LINES: usize = 200;
/// So many tasks that were done last are kept with what they gave.
const MADE: usize = 40;
/// The arrows of a larger graph nobody reads.
const MOST_ARROWS: usize = 100_000;

/// A task that runs.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveTask {
    /// What a person calls it.
    pub label: String,
    /// Its stage.
    pub stage: String,
    /// Seconds since it began.
    pub seconds: f64,
    /// Parts that are done, and all; none when it does not say.
    pub progress: Option<(u64, u64)>,
    /// Which tasks wait for it: some of them by name.
    pub awaited_by: Vec<String>,
    /// How many tasks wait for it.
    pub followers: usize,
}

/// A task that waits.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveWait {
    /// What a person calls it.
    pub label: String,
    /// What it waits for: tasks that run, another process, or room on the machine.
    pub on: Vec<String>,
}

/// A step of the pipeline, all its members together.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveStep {
    /// Its name.
    pub name: String,
    /// Its stage.
    pub stage: String,
    /// The positions of the steps that it needs.
    pub needs: Vec<usize>,
    /// How many members it has.
    pub members: usize,
    /// Its tasks, as far as they are known.
    pub tasks: usize,
    /// Those that ran.
    pub ran: usize,
    /// Those that were in the cache.
    pub cached: usize,
    /// Those that failed.
    pub failed: usize,
    /// Those that run now.
    pub running: usize,
    /// Milliseconds of those that ran.
    pub wall_ms: f64,
}

/// A task that was computed, with what it gave.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveMade {
    /// What a person calls it.
    pub label: String,
    /// Its key; what it printed is recorded there.
    pub key: Option<Digest>,
    /// Name, kind and content of its outputs.
    pub outputs: Vec<(String, Kind, Digest)>,
}

/// What a run is doing.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct LiveRun {
    /// The run's id.
    pub run: String,
    /// The pipeline.
    pub pipeline: String,
    /// The process.
    pub process: u32,
    /// Seconds since it began.
    pub seconds: f64,
    /// Tasks in all, as far as they are known.
    pub tasks: usize,
    /// Tasks that are done or were in the cache.
    pub done: usize,
    /// Tasks that failed.
    pub failed: usize,
    /// Tasks that could run but wait for room.
    pub queued: usize,
    /// Resident memory of the process in bytes, where it is known.
    pub memory: Option<u64>,
    /// Tasks that run.
    pub running: Vec<LiveTask>,
    /// Tasks that wait for these, or for another process.
    pub waiting: Vec<LiveWait>,
    /// The steps, each after those that it needs.
    #[serde(default)]
    pub steps: Vec<LiveStep>,
    /// What happened, the latest last.
    #[serde(default)]
    pub log: Vec<String>,
    /// Tasks that were computed, the latest last.
    #[serde(default)]
    pub made: Vec<LiveMade>,
}

/// The file in which a running program of a run tells what it has printed so far.
pub fn printed(cache: &Path, run: &str, label: &str) -> PathBuf {
    cache.join(FOLDER).join(format!("{run}.{}.printed", Digest::of(label.as_bytes()).short()))
}

/// Removes what a run told, but for the lock that it holds.
fn remove(folder: &Path, run: &str) {
    let of_run = format!("{run}.");
    for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
        let is_told = entry.file_name().to_str().is_some_and(|name| name.starts_with(&of_run) && !name.ends_with(".lock"));
        if is_told {
            let _ = std::fs::remove_file(entry.path());
        }
    }
}

/// Writes what a run is doing while it does it.
pub struct Live {
    path: PathBuf,
    /// Held while the run lives.
    _lock: Option<Presence>,
    began: Instant,
    state: Mutex<Now>,
}

struct Now {
    shown: LiveRun,
    running: HashMap<TaskId, (Instant, Option<(u64, u64)>)>,
    others: BTreeMap<TaskId, String>,
    written: Option<Instant>,
    /// By declaration: its place among the steps.
    places: HashMap<usize, usize>,
}

impl Now {
    fn step(&mut self, plan: &Plan, task: TaskId) -> Option<&mut LiveStep> {
        let decl = plan.instances().get(plan.step_of(task))?.decl;
        let place = *self.places.get(&decl)?;
        self.shown.steps.get_mut(place)
    }

    fn note(&mut self, began: Instant, line: &str) {
        if self.shown.log.len() >= LINES {
            self.shown.log.remove(0);
        }
        // A line that a program wrote may be long, and more than one.
        let line: String = line.lines().next().unwrap_or_default().chars().take(400).collect();
        self.shown.log.push(format!("{:.1} s  {line}", began.elapsed().as_secs_f64()));
    }

    /// The steps of a plan; what is known of them stays.
    fn steps_of(&mut self, plan: &Plan) {
        let before: HashMap<String, LiveStep> = self.shown.steps.drain(..).map(|step| (step.name.clone(), step)).collect();
        self.places.clear();
        for instance in plan.instances() {
            let place = *self.places.entry(instance.decl).or_insert(self.shown.steps.len());
            if place == self.shown.steps.len() {
                let known = before.get(&*instance.name).cloned().unwrap_or_default();
                let (name, stage) = (instance.name.to_string(), instance.stage.to_string());
                self.shown.steps.push(LiveStep { name, stage, members: 0, tasks: 0, needs: Vec::new(), running: 0, ..known });
            }
            if let Some(step) = self.shown.steps.get_mut(place) {
                step.members += 1;
            }
        }
        let place_of = |places: &HashMap<usize, usize>, task| places.get(&plan.instances().get(plan.step_of(task))?.decl).copied();
        for task in 0..plan.len() {
            let Some(place) = place_of(&self.places, task) else { continue };
            let mut needs = std::collections::BTreeSet::new();
            if task < MOST_ARROWS {
                plan.needs(task, |needed| needs.extend(place_of(&self.places, needed).filter(|needed| *needed != place)));
            }
            if let Some(step) = self.shown.steps.get_mut(place) {
                step.tasks += usize::from(plan.wish(task) != Wish::Unasked);
                needs.retain(|needed| !step.needs.contains(needed));
                step.needs.extend(needs);
            }
        }
    }
}

impl Live {
    /// Begins to tell about a run. Where the cache can't be written, nothing is told, and the run goes on.
    pub fn new(cache: &Path, run: &str, pipeline: &str) -> Live {
        let folder = cache.join(FOLDER);
        let _ = std::fs::create_dir_all(&folder);
        let lock = Presence::claim(&folder.join(format!("{run}.lock"))).ok().flatten();
        let shown = LiveRun { run: run.to_owned(), pipeline: pipeline.to_owned(), process: std::process::id(), ..LiveRun::default() };
        let now = Now { shown, running: HashMap::new(), others: BTreeMap::new(), written: None, places: HashMap::new() };
        Live { path: folder.join(format!("{run}.json")), _lock: lock, began: Instant::now(), state: Mutex::new(now) }
    }

    fn lock(&self) -> MutexGuard<'_, Now> {
        // A panic elsewhere must not end the telling.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn tell(&self, plan: &Plan, mut change: impl FnMut(&mut Now)) {
        let mut now = self.lock();
        change(&mut now);
        if now.written.is_some_and(|written| written.elapsed() < EVERY) {
            return;
        }
        now.written = Some(Instant::now());
        now.shown.seconds = self.began.elapsed().as_secs_f64();
        let mut watched = crate::process::Watched::of_self();
        watched.look();
        now.shown.memory = watched.held_bytes();
        let followers = followers_of(plan, &now.running);
        now.shown.running = now
            .running
            .iter()
            .map(|(task, (began, progress))| {
                let waiting = followers.get(task).map_or(&[][..], Vec::as_slice);
                LiveTask {
                    label: plan.label(*task),
                    stage: plan.cost_name(*task).to_owned(),
                    seconds: began.elapsed().as_secs_f64(),
                    progress: *progress,
                    awaited_by: waiting.iter().take(3).map(|task| plan.label(*task)).collect(),
                    followers: waiting.len(),
                }
            })
            .collect();
        now.shown.running.sort_by(|a, b| b.seconds.total_cmp(&a.seconds));
        now.shown.steps.iter_mut().for_each(|step| step.running = 0);
        for task in now.running.keys().copied().collect::<Vec<_>>() {
            if let Some(step) = now.step(plan, task) {
                step.running += 1;
            }
        }
        let mut waits: BTreeMap<TaskId, Vec<String>> = BTreeMap::new();
        for (task, waiting) in &followers {
            waiting.iter().take(NAMED).for_each(|waits_for| waits.entry(*waits_for).or_default().push(plan.label(*task)));
        }
        now.others.iter().for_each(|(task, owner)| waits.entry(*task).or_default().push(owner.clone()));
        now.shown.waiting = waits.into_iter().take(NAMED).map(|(task, on)| LiveWait { label: plan.label(task), on }).collect();
        // Beside and renamed: a reader never sees half a file. A full disk only means that nothing is told.
        let beside = self.path.with_extension("new");
        let written = serde_json::to_vec(&now.shown).map_err(std::io::Error::from).and_then(|bytes| std::fs::write(&beside, bytes));
        let _ = written.and_then(|()| std::fs::rename(&beside, &self.path));
    }
}

/// The tasks that wait directly for one that runs.
fn followers_of(plan: &Plan, running: &HashMap<TaskId, (Instant, Option<(u64, u64)>)>) -> HashMap<TaskId, Vec<TaskId>> {
    let mut followers: HashMap<TaskId, Vec<TaskId>> = HashMap::new();
    let Some(first) = running.keys().min() else { return followers };
    // In a large plan those that wait stand near; the whole is not looked through twice a second.
    for task in (*first..plan.len()).take(100_000) {
        plan.needs(task, |needed| {
            if running.contains_key(&needed) {
                let of = followers.entry(needed).or_default();
                if of.last() != Some(&task) {
                    of.push(task);
                }
            }
        });
    }
    followers
}

impl Drop for Live {
    fn drop(&mut self) {
        if let (Some(folder), Some(run)) = (self.path.parent(), self.path.file_stem()) {
            remove(folder, &run.to_string_lossy());
        }
        let _ = std::fs::remove_file(self.path.with_extension("lock"));
    }
}

impl Observer for Live {
    fn planned(&self, plan: &Plan) {
        let asked = (0..plan.len()).filter(|task| plan.wish(*task) != Wish::Unasked).count();
        self.tell(plan, |now| {
            now.shown.tasks = asked;
            now.steps_of(plan);
        });
    }

    fn cached(&self, plan: &Plan, task: TaskId) {
        self.tell(plan, |now| {
            now.shown.done += 1;
            now.others.remove(&task);
            if let Some(step) = now.step(plan, task) {
                step.cached += 1;
            }
        });
    }

    fn waiting(&self, plan: &Plan, task: TaskId, owner: &str) {
        self.tell(plan, |now| {
            now.others.insert(task, owner.to_owned());
        });
    }

    fn started(&self, plan: &Plan, task: TaskId) {
        self.tell(plan, |now| {
            now.others.remove(&task);
            now.running.insert(task, (Instant::now(), None));
        });
    }

    fn progress(&self, task: TaskId, done: u64, total: u64) {
        if let Some((_, progress)) = self.lock().running.get_mut(&task) {
            *progress = Some((done, total));
        }
    }

    fn retried(&self, plan: &Plan, task: TaskId, reason: &str) {
        self.tell(plan, |now| {
            now.running.remove(&task);
            now.note(self.began, &format!("{} is tried again: {reason}", plan.label(task)));
        });
    }

    fn finished(&self, plan: &Plan, task: TaskId, outcome: &Outcome) {
        self.tell(plan, |now| {
            now.running.remove(&task);
            if outcome.is_done() {
                now.shown.done += 1;
            } else {
                now.shown.failed += 1;
            }
            let (label, wall_ms) = (plan.label(task), f64::from(outcome.wall_ms));
            if let Some(step) = now.step(plan, task) {
                step.ran += usize::from(outcome.is_done());
                step.failed += usize::from(!outcome.is_done());
                step.wall_ms += wall_ms;
            }
            match &outcome.state {
                State::Failed(failure) => now.note(self.began, &format!("{label} failed: {}", failure.message())),
                _ => now.note(self.began, &format!("{label} ran in {:.2} s", wall_ms / 1e3)),
            }
            let outputs = plan.outputs(task).iter().zip(&outcome.outputs);
            let outputs = outputs.map(|((name, _), output)| (name.clone(), output.kind, output.digest)).collect();
            if now.shown.made.len() >= MADE {
                now.shown.made.remove(0);
            }
            now.shown.made.push(LiveMade { label, key: outcome.key, outputs });
        });
    }

    fn remark(&self, text: &str) {
        self.lock().note(self.began, text);
    }

    fn queued(&self, count: usize) {
        self.lock().shown.queued = count;
    }

    fn tick(&self, plan: &Plan) {
        self.tell(plan, |_| {});
    }
}

/// The runs that go on in a cache, oldest first. What killed runs left is removed.
pub fn live_runs(cache: &Path) -> Vec<LiveRun> {
    live_and_killed(cache).0
}

/// The runs that go on in a cache, oldest first, and those that ended without a word since somebody looked last. What these left is removed.
pub fn live_and_killed(cache: &Path) -> (Vec<LiveRun>, Vec<LiveRun>) {
    let folder = cache.join(FOLDER);
    let (mut runs, mut killed) = (Vec::new(), Vec::new());
    let read = |path: &Path| std::fs::read(path).ok().and_then(|bytes| serde_json::from_slice::<LiveRun>(&bytes).ok());
    for entry in std::fs::read_dir(&folder).into_iter().flatten().flatten() {
        let lock = entry.path();
        if lock.extension().is_none_or(|ending| ending != "lock") {
            continue;
        }
        let path = lock.with_extension("json");
        if Presence::inherit(&lock).is_some() {
            killed.extend(read(&path));
            remove(&folder, &lock.file_stem().unwrap_or_default().to_string_lossy());
            let _ = std::fs::remove_file(&lock);
            continue;
        }
        runs.extend(read(&path));
    }
    runs.sort_by(|a, b| a.run.cmp(&b.run));
    (runs, killed)
}
