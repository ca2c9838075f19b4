//! Why a step was computed in a run, or where its result came from: told afterwards, from what the cache recorded.

use crate::explain::differences;
use crate::outcome::State;
use crate::plan::Plan;
use crate::schedule::RunOutcome;
use crate::select::Wish;
use crate::task::TaskId;
use neuroflow_cache::{Cache, Digest};
use serde_json::Value;
use std::collections::HashMap;

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Became {
    /// A part of it ran, at least.
    Ran,
    /// All of it was in the cache.
    Cached,
    /// A part of it failed.
    Failed,
    /// It did not run.
    Skipped,
}

/// What became of a step, and why.
#[derive(Debug, Clone, PartialEq)]
pub struct Why {
    /// How it ended.
    pub became: Became,
    /// Milliseconds of its tasks that ran.
    pub wall_ms: f64,
    /// Why it ran, or which run made its result.
    pub reasons: Vec<String>,
    /// What its result is made with, by name: version, seed, parameters, the beginning of each input's digest.
    pub made_with: Vec<(String, String)>,
}

/// What became of a step in a run. `before` gives the keys that tasks had in the run before, by label.
pub fn why(plan: &Plan, outcome: &RunOutcome, cache: &Cache, before: &HashMap<String, Digest>, step: usize) -> Why {
    let tasks: Vec<TaskId> = plan.tasks_of(step).collect();
    let of = |task: &TaskId| outcome.tasks.get(*task);
    let (mut ran, mut failed, mut missing, mut wall_ms) = (None, None, false, 0.0);
    for task in &tasks {
        match of(task).map(|done| (&done.state, done.wall_ms)) {
            Some((State::Ran, ms)) => {
                // The call tells more than its null draws, and the join names them all.
                let is_told = *task == tasks[0] || plan.is_join(*task);
                ran = if is_told { ran.or(Some(*task)) } else { ran };
                wall_ms += f64::from(ms);
            }
            Some((State::Failed(failure), _)) => failed = failed.or(Some(failure.message().to_owned())),
            Some((State::Cached { .. }, _)) => {}
            Some((State::Skipped | State::Unasked, _)) | None => missing = true,
        }
    }
    let made = || tasks.iter().rev().find_map(|task| of(task).map(|done| &done.state));
    let (became, reasons) = match (failed, ran) {
        (Some(message), _) => (Became::Failed, vec![message]),
        (None, _) if missing => (Became::Skipped, Vec::new()),
        (None, Some(task)) => (Became::Ran, reasons(plan, outcome, cache, before, task)),
        (None, None) if wall_ms > 0.0 => (Became::Ran, vec!["null draws were missing".into()]),
        (None, None) => match made() {
            Some(State::Cached { run }) if !run.is_empty() => (Became::Cached, vec![format!("run {run} made it")]),
            _ => (Became::Cached, vec!["it was made before".into()]),
        },
    };
    let key = tasks.first().and_then(|task| of(task)?.key);
    let made_with = key.and_then(|key| cache.recorded(&key)).map(|record| flat(&record.summary["key"])).unwrap_or_default();
    Why { became, wall_ms, reasons, made_with }
}

fn reasons(plan: &Plan, outcome: &RunOutcome, cache: &Cache, before: &HashMap<String, Digest>, task: TaskId) -> Vec<String> {
    if plan.wish(task) == Wish::Again {
        return vec!["it was asked for again".into()];
    }
    let now = outcome.tasks.get(task).and_then(|done| done.key);
    let then = before.get(&plan.label(task));
    let (Some(now), Some(then)) = (now, then) else { return vec!["it has never run".into()] };
    if now == *then {
        return vec!["its result was not in the cache any more, or its cache is switched off".into()];
    }
    match (cache.recorded(then), cache.recorded(&now)) {
        (Some(then), Some(now)) => differences(&then.summary["key"], &now.summary["key"]),
        _ => vec!["its parameters or inputs changed".into()],
    }
}

/// The leaves of a key, each with the way to it.
fn flat(key: &Value) -> Vec<(String, String)> {
    let Value::Object(fields) = key else { return Vec::new() };
    let mut leaves = Vec::new();
    for (name, value) in fields {
        match value {
            // The stage stands beside the step's name already.
            _ if name == "stage" => {}
            Value::Object(inner) => leaves.extend(inner.iter().map(|(inner, value)| {
                let name = if name == "params" { inner.clone() } else { format!("{name}.{inner}") };
                (name, shown(value))
            })),
            other => leaves.push((name.clone(), shown(other))),
        }
    }
    leaves
}

fn shown(value: &Value) -> String {
    match value {
        Value::String(text) => text.parse::<Digest>().map_or_else(|_| text.clone(), |digest| digest.short()),
        other => other.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_leaves_of_a_key_are_told_by_name() {
        let digest = Digest::of(b"x");
        let key = serde_json::json!({
            "stage": "decode.classify", "version": 3, "seed": 7, "params": { "folds": "8" }, "inputs": { "responses": digest.to_string() },
        });
        let told = flat(&key);
        let expected = [("version", "3".to_owned()), ("seed", "7".into()), ("folds", "8".into()), ("inputs.responses", digest.short())];
        assert_eq!(told, expected.map(|(name, value)| (name.to_owned(), value)));
        assert!(flat(&Value::Null).is_empty());
    }
}
