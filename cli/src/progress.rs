//! What a person sees while a run goes on: a line for the whole with an honest estimate, and a bar for each running step.

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use neuroflow_engine::plan::Plan;
use neuroflow_engine::schedule::{Observer, Outcome, State};
use neuroflow_engine::select::Wish;
use neuroflow_engine::task::TaskId;
use std::collections::{BTreeMap, HashMap};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Bars on the terminal; nothing where standard error is not one.
pub struct Bars {
    screen: MultiProgress,
    whole: ProgressBar,
    tasks: Vec<(String, String)>,
    costs: BTreeMap<String, f64>,
    cores: f64,
    state: Mutex<Progress>,
}

#[derive(Default)]
struct Progress {
    bars: HashMap<TaskId, ProgressBar>,
    done: Vec<bool>,
    /// Milliseconds that tasks of a name took in this run: sum and number.
    seen: BTreeMap<String, (f64, f64)>,
}

impl Bars {
    /// Bars for a plan. `costs` are milliseconds by [`neuroflow_engine::task::Task::cost_name`] from earlier runs.
    pub fn new(plan: &Plan, costs: BTreeMap<String, f64>, cores: usize, quiet: bool) -> Bars {
        let screen = if quiet { MultiProgress::with_draw_target(indicatif::ProgressDrawTarget::hidden()) } else { MultiProgress::new() };
        let whole = screen.add(ProgressBar::new((0..plan.tasks.len()).filter(|task| plan.wish(*task) != Wish::Unasked).count() as u64));
        // The templates are constants; should one be refused, the default style is shown.
        if let Ok(style) = ProgressStyle::with_template("{bar:30} {pos} of {len} tasks{msg}") {
            whole.set_style(style);
        }
        let tasks = plan.tasks.iter().map(|task| (task.label.clone(), task.cost_name())).collect();
        let state = Mutex::new(Progress {
            done: (0..plan.tasks.len()).map(|task| plan.wish(task) == Wish::Unasked).collect(),
            ..Progress::default()
        });
        Bars { screen, whole, tasks, costs, cores: cores.max(1) as f64, state }
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

    /// The estimate counts only what is known: costs of this run before costs of earlier ones. Where too much is unknown, it says nothing.
    fn estimate(&self, state: &Progress) -> String {
        let mut rest = 0.0;
        let (mut unknown, mut left) = (0usize, 0usize);
        for (task, (_, cost)) in self.tasks.iter().enumerate().filter(|(task, _)| !state.done[*task]) {
            left += 1;
            let _ = task;
            match state.seen.get(cost).map(|(sum, count)| sum / count).or_else(|| self.costs.get(cost).copied()) {
                Some(ms) => rest += ms,
                None => unknown += 1,
            }
        }
        if left == 0 || unknown * 5 > left {
            return String::new();
        }
        let known = (left - unknown).max(1) as f64;
        let seconds = rest * left as f64 / known / self.cores / 1e3;
        match seconds {
            s if s < 1.0 => ", about a second left".into(),
            s if s < 90.0 => format!(", about {s:.0} s left"),
            s => format!(", about {:.0} min left", s / 60.0),
        }
    }

    fn step(&self, task: TaskId) {
        let mut state = self.lock();
        if let Some(done) = state.done.get_mut(task) {
            *done = true;
        }
        if let Some(bar) = state.bars.remove(&task) {
            bar.finish_and_clear();
        }
        let message = self.estimate(&state);
        drop(state);
        self.whole.inc(1);
        self.whole.set_message(message);
    }
}

impl Observer for Bars {
    fn cached(&self, task: TaskId) {
        self.step(task);
    }

    fn waiting(&self, task: TaskId, owner: &str) {
        let label = self.tasks.get(task).map_or("a task", |(label, _)| label);
        // Said beside the bars, and also where no bars are drawn.
        self.screen.suspend(|| eprintln!("waiting for {owner}, which computes {label} in the same cache"));
    }

    fn started(&self, task: TaskId) {
        let bar = self.screen.add(ProgressBar::new(0));
        if let Ok(style) = ProgressStyle::with_template("  {spinner} {elapsed:>4} {msg} {bar:16}") {
            bar.set_style(style);
        }
        bar.set_message(self.tasks.get(task).map_or_else(String::new, |(label, _)| label.clone()));
        bar.enable_steady_tick(Duration::from_millis(200));
        self.lock().bars.insert(task, bar);
    }

    fn progress(&self, task: TaskId, done: u64, total: u64) {
        if let Some(bar) = self.lock().bars.get(&task) {
            bar.set_length(total);
            bar.set_position(done);
        }
    }

    fn finished(&self, task: TaskId, outcome: &Outcome) {
        if outcome.state == State::Ran
            && let Some((_, cost)) = self.tasks.get(task)
        {
            let mut state = self.lock();
            let sum = state.seen.entry(cost.clone()).or_default();
            *sum = (sum.0 + outcome.wall_ms, sum.1 + 1.0);
        }
        self.step(task);
    }
}
