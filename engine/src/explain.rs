//! Why a task would run, or where its result comes from.

use crate::cached::lookup;
use crate::outcome::{Outcome, Output, State};
use crate::plan::Plan;
use crate::select::Wish;
use crate::task::{Task, TaskId};
use neuroflow_cache::{Cache, CacheError, Digest};
use serde_json::Value;
use std::collections::HashMap;
use std::sync::Arc;

/// What a plan would do with a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The result is there; this run made it.
    Cached {
        /// The run's id; empty when it is not known.
        run: Arc<str>,
    },
    /// It would run, for these reasons.
    WouldRun {
        /// Reasons, such as `folds: 8 → 10`.
        because: Vec<String>,
    },
    /// It is not computed because only other steps were asked for, and its result is needed but not there.
    Missing,
    /// Nobody asked for it.
    Unasked,
    /// It depends on what other tasks give.
    Depends {
        /// The tasks that would run first.
        on: Vec<TaskId>,
    },
}

/// What a run would do, task by task, without running anything. `before` gives the keys that tasks had in the latest run, by label.
///
/// # Errors
/// When the cache can't be read.
pub fn preview(plan: &Plan, cache: &Cache, before: &HashMap<String, Digest>) -> Result<Vec<Verdict>, CacheError> {
    let mut known: Vec<Box<[Output]>> = Vec::with_capacity(plan.len());
    let mut verdicts = Vec::with_capacity(plan.len());
    for id in 0..plan.len() {
        if plan.wish(id) == Wish::Unasked {
            verdicts.push(Verdict::Unasked);
            known.push(Box::default());
            continue;
        }
        let contents = plan.contents(id, |needed, output| known[needed].get(output).map(|output| output.digest));
        let Some(contents) = contents else {
            let mut on = Vec::new();
            plan.needs(id, |needed| {
                if known[needed].is_empty() {
                    on.push(needed);
                }
            });
            on.dedup();
            verdicts.push(Verdict::Depends { on });
            known.push(Box::default());
            continue;
        };
        let task = plan.task(id);
        let key = task.key(&contents);
        let again = plan.wish(id) == Wish::Again;
        let found = if task.cached && !again { lookup(cache, &key, &task)? } else { None };
        let verdict = match &found {
            Some(Outcome { state: State::Cached { run }, .. }) => Verdict::Cached { run: Arc::clone(run) },
            Some(_) => Verdict::Cached { run: Arc::from("") },
            None if plan.wish(id) == Wish::FromCache => Verdict::Missing,
            None if again => Verdict::WouldRun { because: vec!["it is asked for again".into()] },
            None => Verdict::WouldRun { because: reasons(&task, &contents, &key, cache, before.get(&task.label)) },
        };
        verdicts.push(verdict);
        known.push(found.map(|found| found.outputs).unwrap_or_default());
    }
    Ok(verdicts)
}

fn reasons(task: &Task, contents: &[Digest], key: &Digest, cache: &Cache, before: Option<&Digest>) -> Vec<String> {
    if !task.cached {
        return vec!["its cache is switched off".into()];
    }
    if cache.recorded(key).is_some() {
        return vec!["its result was removed from the cache".into()];
    }
    let Some(record) = before.and_then(|key| cache.recorded(key)) else { return vec!["it has never run".into()] };
    differences(&record.summary["key"], &task.key_fields(contents))
}

/// What differs between two keys, each in a few words.
pub(crate) fn differences(before: &Value, now: &Value) -> Vec<String> {
    let mut differences = Vec::new();
    compare("", before, now, &mut differences);
    let differences = batches_together(differences);
    if differences.is_empty() { vec!["its key was made differently before".into()] } else { differences }
}

/// Batches of null draws that came, went or changed are one reason.
pub(crate) fn batches_together(differences: Vec<String>) -> Vec<String> {
    let (batches, mut differences): (Vec<String>, Vec<String>) = differences.into_iter().partition(|one| one.starts_with("inputs.nulls["));
    if !batches.is_empty() {
        let gone = batches.iter().filter(|one| one.ends_with("→ nothing")).count();
        let new = batches.iter().filter(|one| one.contains(": nothing →")).count();
        let parts = [(new, "more"), (gone, "fewer"), (batches.len() - new - gone, "other")];
        let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        differences.push(format!("batches of null draws: {}", parts.join(", ")));
    }
    differences
}

/// The leaves that differ, as `path: before → now`.
pub(crate) fn compare(path: &str, before: &Value, now: &Value, differences: &mut Vec<String>) {
    if before == now {
        return;
    }
    if let (Value::Object(a), Value::Object(b)) = (before, now) {
        let mut names: Vec<&String> = a.keys().chain(b.keys()).collect();
        names.sort();
        names.dedup();
        for name in names {
            // `params.folds` is `folds` for a person; `inputs.responses` stays, to tell content from value.
            let inner = if path.is_empty() && name == "params" {
                String::new()
            } else if path.is_empty() {
                name.clone()
            } else {
                format!("{path}.{name}")
            };
            compare(&inner, a.get(name).unwrap_or(&Value::Null), b.get(name).unwrap_or(&Value::Null), differences);
        }
        return;
    }
    if let (Value::Array(a), Value::Array(b)) = (before, now)
        && a.len() == b.len()
    {
        for (position, (a, b)) in a.iter().zip(b).enumerate() {
            compare(&format!("{path}[{position}]"), a, b, differences);
        }
        return;
    }
    let shown = |value: &Value| match value {
        Value::Null => "nothing".to_owned(),
        Value::String(text) => text.parse::<Digest>().map_or_else(|_| text.clone(), |digest| digest.short()),
        other => other.to_string(),
    };
    differences.push(format!("{path}: {} → {}", shown(before), shown(now)));
}
