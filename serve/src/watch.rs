//! What the page is told: runs that go on, runs that ended, and proposals. All of it is read anew; what never changes is read once.

use crate::figures::{Drawings, Result as OfStep, Shown};
use crate::reports::{Listed, listed, opens, page};
use crate::server::Options;
use neuroflow_agent::{Gate, State};
use neuroflow_data::Score;
use neuroflow_engine::live::{LiveRun, LiveStep, live_and_killed, printed};
use neuroflow_engine::record::{RunRecord, Status, results};
use neuroflow_engine::session::Session;
use neuroflow_loopback::Token;
use neuroflow_report::{DagNode, State as NodeState, graph};
use serde::Serialize;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// So many ended runs are listed.
const LISTED: usize = 20;
/// So far back the history of scores goes.
const LOOKED_BACK: usize = 100;
/// So many proposals are listed.
const PROPOSALS: usize = 50;
/// A larger graph is a table.
const MOST_NODES: usize = 150;
/// So many running tasks are asked what they print.
const MOST_PRINTING: usize = 20;
/// The longest part of a program's output that is shown, in bytes: its end.
const LONGEST_LOG: usize = 20_000;
/// A run that is neither alive nor recorded for so long ended without a word.
const PATIENCE: Duration = Duration::from_secs(20);

/// A run that ended, as far as the page shows it.
#[derive(Debug, Serialize)]
pub(crate) struct Ended {
    pub(crate) id: String,
    pub(crate) pipeline: String,
    file: String,
    status: Status,
    pub(crate) started: String,
    wall_ms: f64,
    ran: usize,
    cached: usize,
    failed: usize,
    failures: Vec<String>,
    remarks: Vec<String>,
    lines: Vec<(String, String)>,
    expects: Vec<(String, Option<bool>, String)>,
    at: Option<String>,
    reports: Vec<Listed>,
    /// The first score of each step.
    #[serde(skip)]
    pub(crate) scores: Vec<(String, Score)>,
}

/// A run that ended without a word: killed, or its machine lost power.
#[derive(Debug, Clone, Serialize)]
struct Killed {
    run: String,
    pipeline: String,
    process: u32,
    done: usize,
    tasks: usize,
    seconds: f64,
}

/// A proposal in the list.
#[derive(Debug, Serialize)]
struct Proposed {
    id: String,
    short: String,
    state: &'static str,
    at: String,
    intent: String,
}

#[derive(Serialize)]
struct Alive<'a> {
    #[serde(flatten)]
    run: &'a LiveRun,
    graph: Option<String>,
    /// Running programs that have printed something.
    printing: Vec<String>,
}

#[derive(Default)]
struct Seen {
    ended: HashMap<String, Arc<Ended>>,
    /// Runs that were alive when it was looked last, and when they were gone.
    alive: HashMap<String, (LiveRun, Option<Instant>)>,
    killed: Vec<Killed>,
}

pub(crate) struct Watch {
    options: Options,
    token: Arc<Token>,
    drawings: Drawings,
    seen: Mutex<Seen>,
}

impl Watch {
    pub(crate) fn new(options: Options, token: Arc<Token>) -> Watch {
        Watch { options, token, drawings: Drawings::default(), seen: Mutex::default() }
    }

    fn session(&self) -> &Session {
        &self.options.session
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        // A panic elsewhere must not blind the page.
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The project's gate, with the settings as they are now.
    pub(crate) fn gate(&self) -> Result<Gate, String> {
        (self.options.gate)()
    }

    /// Everything that changes by itself.
    pub(crate) fn state(&self) -> serde_json::Value {
        let (live, killed) = live_and_killed(self.session().cache.root());
        self.note(&live, killed);
        let runs = self.ended(LISTED);
        let killed: Vec<Killed> = self.seen().killed.iter().filter(|one| !runs.iter().any(|run| run.id == one.run)).cloned().collect();
        let root = self.session().cache.root();
        let prints = |run: &LiveRun, label: &str| printed(root, &run.run, label).exists();
        let printing = |run: &'_ LiveRun| {
            let labels = run.running.iter().take(MOST_PRINTING).filter(|task| prints(run, &task.label));
            labels.map(|task| task.label.clone()).collect::<Vec<_>>()
        };
        let alive: Vec<Alive<'_>> = live.iter().map(|run| Alive { run, graph: graph_of(&run.steps), printing: printing(run) }).collect();
        let (proposals, trouble) = match self.proposals() {
            Ok(proposals) => (proposals, None),
            Err(trouble) => (Vec::new(), Some(trouble)),
        };
        serde_json::json!({
            "project": self.options.project,
            "live": alive,
            "killed": killed,
            "runs": runs.iter().map(|run| &**run).collect::<Vec<_>>(),
            "proposals": proposals,
            "trouble": trouble,
        })
    }

    /// Remembers who was alive, and finds those that ended without a word.
    fn note(&self, live: &[LiveRun], killed: Vec<LiveRun>) {
        let recorded: HashSet<String> = self.session().cache.runs().unwrap_or_default().into_iter().take(LOOKED_BACK).collect();
        let mut seen = self.seen();
        let Seen { alive, killed: gone, .. } = &mut *seen;
        for run in killed {
            alive.remove(&run.run);
            gone.push(killed_of(&run));
        }
        for run in live {
            alive.insert(run.run.clone(), (run.clone(), None));
        }
        alive.retain(|id, (run, since)| {
            if live.iter().any(|live| live.run == *id) {
                return true;
            }
            // Between its last word and its record a run is neither.
            let silent = since.get_or_insert_with(Instant::now).elapsed() > PATIENCE;
            if silent && !recorded.contains(id) {
                gone.push(killed_of(run));
            }
            !silent && !recorded.contains(id)
        });
        gone.retain(|one| !recorded.contains(&one.run));
        let surplus = gone.len().saturating_sub(LISTED);
        gone.drain(..surplus);
    }

    /// The latest runs that ended, newest first.
    pub(crate) fn ended(&self, most: usize) -> Vec<Arc<Ended>> {
        let ids = self.session().cache.runs().unwrap_or_default();
        let mut runs = Vec::new();
        for id in ids.into_iter().take(most) {
            let known = self.seen().ended.get(&id).cloned();
            let run = known.or_else(|| {
                let run = Arc::new(ended_of(self.session().read(&id).ok()?, &self.token));
                self.seen().ended.insert(id, run.clone());
                Some(run)
            });
            runs.extend(run);
        }
        runs
    }

    /// The runs that the history of scores is about: a look back is not the latest point of it.
    pub(crate) fn looked_back(&self) -> Vec<Arc<Ended>> {
        let mut runs = self.ended(LOOKED_BACK);
        runs.retain(|run| run.at.is_none());
        runs
    }

    fn proposals(&self) -> Result<Vec<Proposed>, String> {
        let gate = &self.options.looking;
        let mut statuses = gate.statuses().map_err(|error| error.to_string())?;
        statuses.reverse();
        // Those that wait come first.
        statuses.sort_by_key(|status| status.state != State::Offered);
        let one = |status: neuroflow_agent::Status| Proposed {
            short: status.id.short().to_owned(),
            state: status.state.word(),
            at: status.at,
            intent: gate.store().proposal(&status.id).map(|proposal| neuroflow_agent::escape_line(&proposal.intent)).unwrap_or_default(),
            id: status.id.as_str().to_owned(),
        };
        Ok(statuses.into_iter().take(PROPOSALS).map(one).collect())
    }

    /// Figures of what a run made: of the latest results while it goes on, of its first steps when it ended.
    pub(crate) fn figures(&self, run: &str) -> Result<Vec<Shown>, String> {
        let (live, _) = live_and_killed(self.session().cache.root());
        if let Some(live) = live.iter().find(|live| live.run == run) {
            let made = live.made.iter().rev().flat_map(|made| {
                let outputs = made.outputs.iter().enumerate();
                outputs.map(|(at, (name, kind, digest))| (made.label.as_str(), name.as_str(), at == 0, *kind, *digest))
            });
            return Ok(self.drawings.of(self.session(), made));
        }
        let record = self.session().read(run).map_err(|error| error.to_string())?;
        let rows = self.session().rows(&record).map_err(|error| error.to_string())?;
        let firsts: HashMap<&str, &str> =
            rows.iter().filter_map(|row| Some((row.label.as_str(), row.outputs.first()?.0.as_str()))).collect();
        let results = results(&rows);
        let all = results.iter().flat_map(|(step, outputs)| {
            let first = firsts.get(step.as_str()).copied();
            outputs.iter().map(move |(name, (kind, digest))| -> OfStep<'_> { (step, name, first == Some(name), *kind, *digest) })
        });
        Ok(self.drawings.of(self.session(), all))
    }

    /// A report of a run, for who has its key.
    pub(crate) fn report(&self, run: &str, name: &str, shown: &str) -> Result<Vec<u8>, String> {
        if !opens(&self.token, run, name, shown) {
            return Err("the link of this report is not valid: open it from the page of `neuroflow serve`".into());
        }
        let record = self.session().read(run).map_err(|error| error.to_string())?;
        page(&record, name)
    }

    /// The end of what a task printed, or has printed so far, where it is a program that printed something.
    pub(crate) fn log(&self, run: &str, label: &str) -> Result<String, String> {
        let (live, _) = live_and_killed(self.session().cache.root());
        let live = live.iter().find(|live| live.run == run);
        if live.is_some_and(|live| live.running.iter().any(|task| task.label == label))
            && let Ok(bytes) = std::fs::read(printed(self.session().cache.root(), run, label))
        {
            return Ok(end_of(&bytes));
        }
        let key = match live {
            Some(live) => live.made.iter().rev().find(|made| made.label == label).and_then(|made| made.key),
            None => {
                let record = self.session().read(run).map_err(|error| error.to_string())?;
                let rows = self.session().rows(&record).map_err(|error| error.to_string())?;
                rows.into_iter().find(|row| row.label == label).and_then(|row| row.key)
            }
        };
        let cache = &self.session().cache;
        let log = key.and_then(|key| cache.recorded(&key)).and_then(|record| record.log);
        let Some(digest) = log else { return Err(format!("`{label}` printed nothing")) };
        let bytes = cache.get(&digest).map_err(|error| error.to_string())?;
        let bytes = bytes.ok_or_else(|| format!("what `{label}` printed is not in the cache any more"))?;
        Ok(end_of(&bytes))
    }
}

/// The end of what a program printed.
fn end_of(bytes: &[u8]) -> String {
    let begin = bytes.len().saturating_sub(LONGEST_LOG);
    String::from_utf8_lossy(bytes.get(begin..).unwrap_or_default()).into_owned()
}

fn killed_of(run: &LiveRun) -> Killed {
    Killed {
        run: run.run.clone(),
        pipeline: run.pipeline.clone(),
        process: run.process,
        done: run.done,
        tasks: run.tasks,
        seconds: run.seconds,
    }
}

fn ended_of(record: RunRecord, token: &Token) -> Ended {
    let first = |(step, scores): (&String, &Vec<Score>)| Some((step.clone(), scores.first()?.clone()));
    let line = |(step, scores): (&String, &Vec<Score>)| Some((step.clone(), scores.first()?.to_string()));
    let failures = record.ran.iter().filter_map(|ran| ran.error.as_ref().map(|error| format!("{}: {error}", ran.label)));
    Ended {
        lines: record.scores.iter().filter_map(line).collect(),
        scores: record.scores.iter().filter_map(first).collect(),
        failures: failures.take(20).collect(),
        expects: record.expects.iter().map(|expect| (expect.condition.clone(), expect.holds, expect.numbers.clone())).collect(),
        reports: listed(&record, token),
        ran: record.counts.ran,
        cached: record.counts.cached,
        failed: record.counts.failed,
        remarks: record.remarks,
        id: record.id,
        pipeline: record.pipeline,
        file: record.file,
        status: record.status,
        started: record.started,
        wall_ms: record.wall_ms,
        at: record.at,
    }
}

/// The graph of a run that goes on; none when it would be too large to be read.
fn graph_of(steps: &[LiveStep]) -> Option<String> {
    if steps.is_empty() || steps.len() > MOST_NODES {
        return None;
    }
    let node = |step: &LiveStep| {
        let done = step.ran + step.cached;
        DagNode {
            name: step.name.clone(),
            stage: step.stage.clone(),
            count: step.members,
            needs: step.needs.clone(),
            wall_ms: step.wall_ms,
            ran_cached: (step.ran, step.cached),
            state: match () {
                () if step.failed > 0 => NodeState::Failed,
                () if step.running > 0 => NodeState::Running,
                () if done < step.tasks => NodeState::Skipped,
                () if step.ran > 0 => NodeState::Ran,
                () => NodeState::Cached,
            },
            progress: (done < step.tasks).then(|| format!("{done} of {} done", step.tasks)),
        }
    };
    Some(graph(&steps.iter().map(node).collect::<Vec<_>>()).svg())
}
