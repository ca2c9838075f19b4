//! What tasks will cost, as far as earlier runs tell. Never a guess: what has no history is unknown, and said to be.

use crate::plan::Plan;
use crate::record::RunRecord;
use crate::session::Session;
use crate::task::TaskId;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeSet, HashMap};

/// How many runs are looked at.
const LOOKED_BACK: usize = 30;

/// Runs of more tasks than this are not read for their costs.
const MOST_TASKS: usize = 100_000;

/// What some tasks will cost.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct CostEstimate {
    /// Seconds of the tasks one after the other: the sum of medians of earlier times.
    pub seconds: f64,
    /// The same with the time that nine of ten earlier tasks kept.
    pub seconds_90: f64,
    /// The most memory that one of them held, in bytes, where it is known.
    pub peak_bytes: Option<u64>,
    /// How many tasks the numbers are for.
    pub known: usize,
    /// How many tasks have no history.
    pub unknown: usize,
    /// The stages of those.
    pub unknown_stages: Vec<String>,
}

/// What a kind of task took before.
#[derive(Default)]
struct Taken {
    wall_ms: Vec<f64>,
    peak_bytes: Option<u64>,
}

impl Taken {
    fn add(&mut self, wall_ms: f64, peak_bytes: Option<u64>) {
        self.wall_ms.push(wall_ms);
        self.peak_bytes = self.peak_bytes.max(peak_bytes);
    }

    /// A quantile of the times, which are sorted: the smallest that so much of them keep.
    fn quantile(&self, share: f64) -> f64 {
        let place = (share * self.wall_ms.len() as f64).ceil() as usize;
        self.wall_ms.get(place.saturating_sub(1)).copied().unwrap_or(0.0)
    }
}

/// What tasks of a plan will cost, from what the same task took in earlier runs, else from what tasks of the same stage took.
pub fn estimate(session: &Session, plan: &Plan, tasks: &[TaskId]) -> CostEstimate {
    let mut records = Vec::new();
    if !tasks.is_empty() {
        let ids = session.cache.runs().unwrap_or_default();
        let is_meant = |record: &RunRecord| !record.ran.is_empty() && record.ran.len() <= MOST_TASKS && record.counts.cached <= MOST_TASKS;
        records.extend(ids.iter().take(LOOKED_BACK).filter_map(|id| session.read(id).ok()).filter(is_meant));
    }
    let by_label = sorted(of_labels(&records));
    // What all tasks of a run were is long to read, and not asked when each has a time of its own.
    let is_each_known = tasks.iter().all(|task| by_label.contains_key(plan.label(*task).as_str()));
    let by_stage = if is_each_known { HashMap::new() } else { sorted(of_stages(session, &records)) };
    let mut estimate = CostEstimate::default();
    let mut unknown = BTreeSet::new();
    for task in tasks {
        let stage = plan.cost_name(*task);
        let Some(taken) = by_label.get(plan.label(*task).as_str()).or_else(|| by_stage.get(stage)) else {
            estimate.unknown += 1;
            unknown.insert(stage.to_owned());
            continue;
        };
        estimate.known += 1;
        estimate.seconds += taken.quantile(0.5) / 1e3;
        estimate.seconds_90 += taken.quantile(0.9) / 1e3;
        estimate.peak_bytes = estimate.peak_bytes.max(taken.peak_bytes);
    }
    estimate.unknown_stages = unknown.into_iter().collect();
    estimate
}

/// What tasks took, by their labels.
fn of_labels(records: &[RunRecord]) -> HashMap<&str, Taken> {
    let mut all: HashMap<&str, Taken> = HashMap::new();
    for ran in records.iter().flat_map(|record| &record.ran).filter(|ran| ran.state == "ran") {
        all.entry(&ran.label).or_default().add(ran.usage.wall_ms, ran.usage.peak_bytes);
    }
    all
}

/// What tasks took, by their stages.
fn of_stages(session: &Session, records: &[RunRecord]) -> HashMap<String, Taken> {
    let mut all: HashMap<String, Taken> = HashMap::new();
    for record in records {
        let Ok(rows) = session.rows(record) else { continue };
        for ran in record.ran.iter().filter(|ran| ran.state == "ran") {
            if let Some(row) = rows.get(ran.task) {
                all.entry(row.cost.clone()).or_default().add(ran.usage.wall_ms, ran.usage.peak_bytes);
            }
        }
    }
    all
}

fn sorted<K: Eq + std::hash::Hash>(mut all: HashMap<K, Taken>) -> HashMap<K, Taken> {
    all.values_mut().for_each(|taken| taken.wall_ms.sort_unstable_by(f64::total_cmp));
    all
}
