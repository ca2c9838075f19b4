//! What a person sees while a run goes on: a line for the whole with an honest estimate, and a bar for each running step.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use neuroflow_engine::outcome::{Outcome, State};
use neuroflow_engine::plan::Plan;
use neuroflow_engine::schedule::Observer;
use neuroflow_engine::select::Wish;
use neuroflow_engine::task::TaskId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// How often the line for the whole is drawn anew.
const DRAW: Duration = Duration::from_millis(50);
/// More bars than this are no help.
const MOST_BARS: usize = 24;

/// Bars on the terminal; nothing where standard error is not one.
pub struct Bars {
    screen: MultiProgress,
    whole: ProgressBar,
    cores: f64,
    state: Mutex<Progress>,
}

/// Tasks of one name.
#[derive(Default)]
struct Kind {
    left: usize,
    /// Milliseconds that such tasks took in this run: sum and number.
    seen: (f64, f64),
    /// Milliseconds in earlier runs.
    before: Option<f64>,
}

#[derive(Default)]
struct Progress {
    bars: HashMap<TaskId, ProgressBar>,
    kinds: BTreeMap<String, Kind>,
    planned: usize,
    done: u64,
    queued: usize,
    drawn: Option<Instant>,
}

impl Bars {
    /// Bars for a run on so many cores.
    pub fn new(cores: usize, quiet: bool) -> Bars {
        let screen = if quiet { MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden()) } else { MultiProgress::new() };
        let whole = screen.add(ProgressBar::new(0));
        // The templates are constants; should one be refused, the default style is shown.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} tasks{msg}") {
            whole.set_style(style);
        }
        Bars { screen, whole, cores: cores.max(1) as f64, state: Mutex::default() }
    }

    /// Takes the bars away.
    pub fn finish(&self) {
        self.whole.finish_and_clear();
        let _ = self.screen.clear();
    }

    fn lock(&self) -> MutexGuard<'_, Progress> {
        // A panic elsewhere must not hide the progress of the rest.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn step(&self, plan: &Plan, task: TaskId, wall_ms: Option<f64>) {
        let mut state = self.lock();
        let kind = state.kinds.entry(plan.cost_name(task).to_owned()).or_default();
        kind.left = kind.left.saturating_sub(1);
        if let Some(ms) = wall_ms {
            kind.seen = (kind.seen.0 + ms, kind.seen.1 + 1.0);
        }
        state.done += 1;
        if let Some(bar) = state.bars.remove(&task) {
            bar.finish_and_clear();
        }
        if state.drawn.is_none_or(|drawn| drawn.elapsed() > DRAW) {
            state.drawn = Some(Instant::now());
            self.whole.set_position(state.done);
            let waiting = if state.queued > 0 { format!(", {} wait for room", state.queued) } else { String::new() };
            self.whole.set_message(format!("{waiting}{}", estimate(&state, self.cores)));
        }
    }
}

/// The estimate counts only what is known: costs of this run before costs of earlier ones. Where too much is unknown, it says nothing.
fn estimate(state: &Progress, cores: f64) -> String {
    let (mut rest, mut unknown, mut left) = (0.0, 0usize, 0usize);
    for kind in state.kinds.values() {
        left += kind.left;
        match if kind.seen.1 > 0.0 { Some(kind.seen.0 / kind.seen.1) } else { kind.before } {
            Some(ms) => rest += ms * kind.left as f64,
            None => unknown += kind.left,
        }
    }
    if left == 0 || unknown * 5 > left {
        return String::new();
    }
    let known = (left - unknown).max(1) as f64;
    match rest * left as f64 / known / cores / 1e3 {
        s if s < 1.0 => ", about a second left".into(),
        s if s < 90.0 => format!(", about {s:.0} s left"),
        s => format!(", about {:.0} min left", s / 60.0),
    }
}

impl Observer for Bars {
    fn planned(&self, plan: &Plan) {
        let mut state = self.lock();
        for task in state.planned..plan.len() {
            if plan.wish(task) == Wish::Unasked {
                continue;
            }
            let before = plan.expected_ms(task);
            let kind = state.kinds.entry(plan.cost_name(task).to_owned()).or_default();
            kind.left += 1;
            kind.before = before;
        }
        state.planned = plan.len();
        let left: usize = state.kinds.values().map(|kind| kind.left).sum();
        self.whole.set_length(state.done + left as u64);
    }

    fn cached(&self, plan: &Plan, task: TaskId) {
        self.step(plan, task, None);
    }

    fn waiting(&self, plan: &Plan, task: TaskId, owner: &str) {
        // Said beside the bars, and also where no bars are drawn.
        self.screen.suspend(|| eprintln!("waiting for {owner}, which computes {} in the same cache", plan.label(task)));
    }

    fn started(&self, plan: &Plan, task: TaskId) {
        let mut state = self.lock();
        if state.bars.len() >= MOST_BARS || self.whole.is_hidden() {
            return;
        }
        let bar = self.screen.add(ProgressBar::new(0));
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {elapsed:>4} {msg} {bar:16}") {
            bar.set_style(style);
        }
        bar.set_message(plan.label(task));
        bar.enable_steady_tick(Duration::from_millis(200));
        state.bars.insert(task, bar);
    }

    fn progress(&self, task: TaskId, done: u64, total: u64) {
        if let Some(bar) = self.lock().bars.get(&task) {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    fn retried(&self, plan: &Plan, task: TaskId, reason: &str) {
        if let Some(bar) = self.lock().bars.remove(&task) {
            bar.finish_and_clear();
        }
        let reason = reason.lines().next().unwrap_or_default();
        self.screen.suspend(|| eprintln!("{} is tried again: {reason}", plan.label(task)));
    }

    fn finished(&self, plan: &Plan, task: TaskId, outcome: &Outcome) {
        self.step(plan, task, (outcome.state == State::Ran).then_some(f64::from(outcome.wall_ms)));
    }

    fn remark(&self, text: &str) {
        self.screen.suspend(|| eprintln!("note: {text}"));
    }

    fn queued(&self, count: usize) {
        self.lock().queued = count;
    }
}
