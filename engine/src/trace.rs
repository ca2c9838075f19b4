//! A run as a timeline, in the trace format that Chrome and Perfetto open: a lane for each task that runs beside others, and counters.

use crate::outcome::{Outcome, State};
use crate::plan::Plan;
use crate::schedule::Observer;
use crate::task::TaskId;
use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

/// Listens to a run and remembers when what ran.
pub struct Trace {
    began: Instant,
    state: Mutex<Lanes>,
}

#[derive(Default)]
struct Lanes {
    events: Vec<serde_json::Value>,
    /// Task by lane; none for a free one.
    lanes: Vec<Option<TaskId>>,
    started: HashMap<TaskId, (usize, f64)>,
    cached: u64,
    queued: usize,
}

impl Trace {
    /// A trace that begins now.
    pub fn new() -> Trace {
        Trace { began: Instant::now(), state: Mutex::default() }
    }

    fn now_us(&self) -> f64 {
        self.began.elapsed().as_secs_f64() * 1e6
    }

    fn lock(&self) -> MutexGuard<'_, Lanes> {
        // A panic elsewhere must not lose the trace.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The trace as a JSON document.
    pub fn document(&self, pipeline: &str) -> serde_json::Value {
        let state = self.lock();
        let mut events = vec![serde_json::json!({ "name": "process_name", "ph": "M", "pid": 1, "args": { "name": pipeline } })];
        events.extend((0..state.lanes.len()).map(|lane| {
            serde_json::json!({ "name": "thread_name", "ph": "M", "pid": 1, "tid": lane + 1, "args": { "name": format!("lane {}", lane + 1) } })
        }));
        events.extend(state.events.iter().cloned());
        serde_json::json!({ "displayTimeUnit": "ms", "traceEvents": events, "otherData": { "cached": state.cached } })
    }

    fn end(&self, plan: &Plan, task: TaskId, outcome: Option<&Outcome>, reason: &str) {
        let now = self.now_us();
        let mut state = self.lock();
        let Some((lane, began)) = state.started.remove(&task) else { return };
        state.lanes[lane] = None;
        let mut args = serde_json::json!({ "stage": plan.cost_name(task) });
        if let Some(outcome) = outcome {
            if let Some(key) = outcome.key {
                args["key"] = key.to_string().into();
            }
            if let Some(ran) = &outcome.ran {
                args["usage"] = serde_json::to_value(&ran.usage).unwrap_or_default();
                args["attempts"] = ran.attempts.into();
            }
            if let State::Failed(failure) = &outcome.state {
                args["error"] = failure.message().into();
            }
        }
        if !reason.is_empty() {
            args["tried again"] = reason.into();
        }
        state.events.push(serde_json::json!({
            "name": plan.label(task), "cat": plan.cost_name(task), "ph": "X", "pid": 1, "tid": lane + 1, "ts": began, "dur": now - began, "args": args,
        }));
    }
}

impl Default for Trace {
    fn default() -> Trace {
        Trace::new()
    }
}

impl Observer for Trace {
    fn cached(&self, _plan: &Plan, _task: TaskId) {
        self.lock().cached += 1;
    }

    fn started(&self, _plan: &Plan, task: TaskId) {
        let now = self.now_us();
        let mut state = self.lock();
        let lane = state.lanes.iter().position(Option::is_none).unwrap_or_else(|| {
            state.lanes.push(None);
            state.lanes.len() - 1
        });
        state.lanes[lane] = Some(task);
        state.started.insert(task, (lane, now));
    }

    fn retried(&self, plan: &Plan, task: TaskId, reason: &str) {
        self.end(plan, task, None, reason);
    }

    fn finished(&self, plan: &Plan, task: TaskId, outcome: &Outcome) {
        self.end(plan, task, Some(outcome), "");
    }

    fn queued(&self, count: usize) {
        let now = self.now_us();
        let mut state = self.lock();
        if std::mem::replace(&mut state.queued, count) != count {
            state.events.push(serde_json::json!({ "name": "waiting", "ph": "C", "pid": 1, "ts": now, "args": { "tasks": count } }));
        }
    }
}
