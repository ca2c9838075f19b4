//! Why a task would run, or where its result comes from.

use crate::plan::Plan;
use crate::record::RunRecord;
use crate::schedule::{Outcome, State, lookup};
use crate::select::Wish;
use crate::task::{Source, Task};
use neuroflow_cache::{Cache, CacheError, Digest};
use serde_json::Value;
use std::collections::BTreeMap;

/// What a plan would do with a task.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// The result is there; this run made it.
    Cached {
        /// The run's id; empty when it is not known.
        run: String,
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
        on: Vec<String>,
    },
}

/// What a run would do, task by task, without running anything.
///
/// # Errors
/// When the cache can't be read.
pub fn preview(plan: &Plan, cache: &Cache, last: Option<&RunRecord>) -> Result<Vec<Verdict>, CacheError> {
    let mut known: Vec<Option<Outcome>> = Vec::with_capacity(plan.tasks.len());
    let mut verdicts = Vec::with_capacity(plan.tasks.len());
    let before: BTreeMap<&str, Digest> =
        last.iter().flat_map(|run| run.tasks.iter()).filter_map(|task| Some((task.label.as_str(), task.key?))).collect();
    for (id, task) in plan.tasks.iter().enumerate() {
        if plan.wish(id) == Wish::Unasked {
            verdicts.push(Verdict::Unasked);
            known.push(None);
            continue;
        }
        let contents: Option<Vec<Digest>> = task
            .arguments
            .iter()
            .map(|argument| match &argument.source {
                Source::Content { digest, .. } => Some(*digest),
                Source::Task { task, output } => known[*task].as_ref()?.outputs.get(output).map(|output| output.digest),
            })
            .collect();
        let Some(contents) = contents else {
            let mut on: Vec<String> =
                task.needs().filter(|&needed| known[needed].is_none()).map(|needed| plan.tasks[needed].label.clone()).collect();
            on.dedup();
            verdicts.push(Verdict::Depends { on });
            known.push(None);
            continue;
        };
        let key = task.key(&contents);
        let again = plan.wish(id) == Wish::Again;
        match if task.cached && !again { lookup(cache, &key, task)? } else { None } {
            Some(outcome) => {
                let run = match &outcome.state {
                    State::Cached { run } => run.clone(),
                    _ => String::new(),
                };
                verdicts.push(Verdict::Cached { run });
                known.push(Some(outcome));
            }
            None if plan.wish(id) == Wish::FromCache => {
                verdicts.push(Verdict::Missing);
                known.push(None);
            }
            None if again => {
                verdicts.push(Verdict::WouldRun { because: vec!["it is asked for again".into()] });
                known.push(None);
            }
            None => {
                verdicts.push(Verdict::WouldRun { because: reasons(task, &contents, &key, cache, before.get(task.label.as_str())) });
                known.push(None);
            }
        }
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
    let mut differences = Vec::new();
    compare("", &record.summary["key"], &task.key_fields(contents), &mut differences);
    // Batches of null draws that came, went or changed are one reason.
    let (batches, mut differences): (Vec<String>, Vec<String>) = differences.into_iter().partition(|one| one.starts_with("inputs.nulls["));
    if !batches.is_empty() {
        let gone = batches.iter().filter(|one| one.ends_with("→ nothing")).count();
        let new = batches.iter().filter(|one| one.contains(": nothing →")).count();
        let parts = [(new, "more"), (gone, "fewer"), (batches.len() - new - gone, "other")];
        let parts: Vec<String> = parts.iter().filter(|(count, _)| *count > 0).map(|(count, word)| format!("{count} {word}")).collect();
        differences.push(format!("batches of null draws: {}", parts.join(", ")));
    }
    if differences.is_empty() { vec!["its key was made differently before".into()] } else { differences }
}

/// The leaves that differ, as `path: before → now`.
fn compare(path: &str, before: &Value, now: &Value, differences: &mut Vec<String>) {
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
