//! What differs between two runs, and why: steps that came, went or compute something else, each with its own cause, and how the scores moved.
//!
//! A step that computes something else only because what it takes is another one has no cause of its own; it is named behind the steps that have.

use crate::explain::{batches_together, compare};
use crate::label::{self, step_name};
use crate::record::{InputRecord, RunRecord, TaskRow};
use neuroflow_cache::{Cache, Digest};
use neuroflow_data::Score;
use serde::Serialize;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// One side: what was computed, from what, and with which scores.
pub struct Side {
    /// The inputs, as they were found.
    pub inputs: Vec<InputRecord>,
    /// Scores by step label.
    pub scores: BTreeMap<String, Vec<Score>>,
    /// Steps that nobody asked for: what they would have computed is not known.
    unasked: BTreeSet<String>,
    rows: Vec<Row>,
    /// The rows of each step: its label, its own call, and the join of its controls.
    steps: BTreeMap<String, Rows>,
}

/// A task as far as it matters here.
pub(crate) struct Row {
    pub(crate) label: String,
    pub(crate) joins: Option<String>,
    pub(crate) key: Option<Digest>,
    /// What the key is made of; null when that is no longer known.
    pub(crate) fields: Value,
    pub(crate) outputs: Vec<Digest>,
    pub(crate) needs: Vec<usize>,
}

#[derive(Default, Clone, Copy)]
struct Rows {
    call: Option<usize>,
    join: Option<usize>,
}

impl Side {
    /// A run, from its record and its rows.
    pub fn of(cache: &Cache, record: &RunRecord, rows: Vec<TaskRow>) -> Side {
        let read = |row: TaskRow| Row {
            fields: row.key.and_then(|key| cache.recorded(&key)).map_or(Value::Null, |known| known.summary["key"].clone()),
            label: row.label,
            joins: row.joins,
            key: row.key,
            outputs: row.outputs.into_iter().map(|(_, _, digest, _)| digest).collect(),
            needs: row.needs,
        };
        let unasked = rows.iter().filter(|row| row.unasked).map(|row| row.label.clone()).collect();
        // Positions stay what they are: rows name those that they need by them.
        let side = Side::new(record.inputs.clone(), record.scores.clone(), rows.into_iter().map(read).collect());
        Side { unasked, ..side }
    }

    pub(crate) fn new(inputs: Vec<InputRecord>, scores: BTreeMap<String, Vec<Score>>, rows: Vec<Row>) -> Side {
        let mut steps: BTreeMap<String, Rows> = BTreeMap::new();
        for (at, row) in rows.iter().enumerate() {
            match &row.joins {
                Some(step) => steps.entry(step.clone()).or_default().join = Some(at),
                // Null draws have a label of their own, behind their step's.
                None if label::part(&row.label).is_some() => {}
                None => steps.entry(row.label.clone()).or_default().call = Some(at),
            }
        }
        Side { inputs, scores, unasked: BTreeSet::new(), rows, steps }
    }

    /// How many steps nobody asked for.
    pub fn unasked(&self) -> usize {
        self.unasked.iter().filter(|label| self.steps.contains_key(*label)).count()
    }

    /// Whether there is such a step.
    pub fn has_step(&self, step: &str) -> bool {
        self.steps.contains_key(step)
    }

    /// The keys of a step's tasks.
    fn keys(&self, step: &str) -> Vec<Option<Digest>> {
        let Some(rows) = self.steps.get(step) else { return Vec::new() };
        [rows.call, rows.join].into_iter().flatten().map(|at| self.rows[at].key).collect()
    }

    /// The contents that a step gave.
    fn outputs(&self, step: &str) -> Vec<&[Digest]> {
        let Some(rows) = self.steps.get(step) else { return Vec::new() };
        [rows.call, rows.join].into_iter().flatten().map(|at| self.rows[at].outputs.as_slice()).collect()
    }

    /// The steps whose results a step takes.
    fn takes(&self, step: &str) -> BTreeSet<&str> {
        let rows = self.steps.get(step).copied().unwrap_or_default();
        let needs = [rows.call, rows.join].into_iter().flatten().flat_map(|at| self.rows[at].needs.iter());
        let labels = needs.filter_map(|at| self.rows.get(*at)).map(|row| row.joins.as_deref().unwrap_or(&row.label));
        labels.map(label::step).filter(|label| *label != step).collect()
    }
}

/// What became of a step.
#[derive(Debug, Clone, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Fate {
    /// It is not in the first run.
    Added,
    /// It is not in the second run.
    Removed,
    /// It computes the same under another name.
    Renamed {
        /// The name in the first run.
        from: String,
    },
    /// It computes something else.
    Changed,
}

/// Steps with one fate for the same reasons: one, or members of one loop.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct StepDifference {
    /// The step.
    pub step: String,
    /// Its members, when they are not all of them.
    pub members: Vec<String>,
    /// What became of it.
    pub fate: Fate,
    /// Causes of its own: `folds: 4 → 5`, `input sessions["m1"]: other bytes`.
    pub causes: Vec<String>,
    /// Steps that it takes and that differ.
    pub after: Vec<String>,
    /// Whether it gave the same bytes all the same.
    pub same_result: bool,
}

/// How a score moved.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct ScoreDifference {
    /// The step with its member.
    pub step: String,
    /// The metric.
    pub metric: String,
    /// Before; none when it is new.
    pub before: Option<Score>,
    /// Afterwards; none when it is gone.
    pub after: Option<Score>,
    /// What is to be thought of it.
    pub verdict: Verdict,
}

/// Whether a difference of scores is more than resampling explains.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Verdict {
    /// The same value.
    Same,
    /// The interval of the difference holds zero.
    Within {
        /// Half the width of the difference's interval.
        half: f64,
    },
    /// The interval of the difference does not hold zero.
    Beyond {
        /// Half the width of the difference's interval.
        half: f64,
    },
    /// There is only one of the two.
    Alone,
    /// It can't be said, for want of intervals at the same level.
    Unknown,
}

/// Everything that differs.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Difference {
    /// Steps with causes of their own, or that came and went.
    pub steps: Vec<StepDifference>,
    /// Scores that there are on either side, in the order of their names.
    pub scores: Vec<ScoreDifference>,
}

impl Difference {
    /// Whether nothing that is computed differs.
    pub fn is_none(&self) -> bool {
        self.steps.is_empty() && self.scores.iter().all(|score| score.verdict == Verdict::Same)
    }

    /// What differs from `before` to `after`.
    pub fn between(before: &Side, after: &Side) -> Difference {
        Difference { steps: steps(before, after), scores: scores(before, after) }
    }
}

fn steps(before: &Side, after: &Side) -> Vec<StepDifference> {
    // Of a run of some steps nothing is said about the others.
    let is_unasked = |step: &str| before.unasked.contains(step) || after.unasked.contains(step);
    let gone: BTreeMap<Vec<Option<Digest>>, &str> = before
        .steps
        .keys()
        .filter(|step| !after.steps.contains_key(*step))
        .map(|step| (before.keys(step), step.as_str()))
        .filter(|(keys, _)| keys.iter().all(Option::is_some))
        .collect();
    let mut renamed = BTreeSet::new();
    let mut found = Vec::new();
    let differs = |step: &str| !is_unasked(step) && before.steps.contains_key(step) && before.keys(step) != after.keys(step);
    let changes: BTreeSet<&str> = after.steps.keys().map(String::as_str).filter(|step| differs(step)).collect();
    for step in after.steps.keys() {
        if !before.steps.contains_key(step) {
            let from = gone.get(&after.keys(step)).copied();
            let fate = match from {
                Some(from) => {
                    renamed.insert(from);
                    Fate::Renamed { from: step_name(from).to_owned() }
                }
                None => Fate::Added,
            };
            found.push((step.as_str(), fate, Vec::new(), Vec::new(), false));
        } else if changes.contains(step.as_str()) {
            let causes = causes(before, after, step);
            let behind = after.takes(step).into_iter().filter(|taken| {
                changes.contains(taken) && before.outputs(taken) != after.outputs(taken) || !before.steps.contains_key(*taken)
            });
            let behind: BTreeSet<String> = behind.map(|taken| step_name(taken).to_owned()).collect();
            let same = !after.outputs(step).concat().is_empty() && before.outputs(step) == after.outputs(step);
            found.push((step.as_str(), Fate::Changed, causes, behind.into_iter().collect(), same));
        }
    }
    for step in before.steps.keys() {
        if !after.steps.contains_key(step) && !renamed.contains(step.as_str()) {
            found.push((step.as_str(), Fate::Removed, Vec::new(), Vec::new(), false));
        }
    }
    // Members of one loop that changed for the same reasons are one line.
    let mut grouped: Vec<StepDifference> = Vec::new();
    let mut places: HashMap<(String, Fate, Vec<String>, Vec<String>, bool), usize> = HashMap::new();
    let position = |step: &str| after.steps.get(step).and_then(|rows| rows.call).unwrap_or(usize::MAX);
    found.sort_by_cached_key(|(step, ..)| (position(step), (*step).to_owned()));
    for (step, fate, causes, behind, same) in found {
        let name = step_name(step).to_owned();
        let group = (name.clone(), fate.clone(), causes.clone(), behind.clone(), same);
        let place = *places.entry(group).or_insert_with(|| {
            grouped.push(StepDifference { step: name, members: Vec::new(), fate, causes, after: behind, same_result: same });
            grouped.len() - 1
        });
        let group = &mut grouped[place];
        match &step[group.step.len()..] {
            "" => {}
            member => group.members.push(member.to_owned()),
        }
    }
    let count = |side: &Side| {
        let mut counts: HashMap<String, usize> = HashMap::new();
        side.steps.keys().for_each(|label| *counts.entry(step_name(label).to_owned()).or_default() += 1);
        counts
    };
    let (were, are) = (count(before), count(after));
    for group in &mut grouped {
        let all = if group.fate == Fate::Removed { &were } else { &are };
        if all.get(&group.step) == Some(&group.members.len()) {
            group.members.clear();
        }
    }
    grouped
}

/// Why a step computes something else, as far as the reason lies with itself or with an input of the pipeline.
fn causes(before: &Side, after: &Side, step: &str) -> Vec<String> {
    let (Some(was), Some(is)) = (before.steps.get(step), after.steps.get(step)) else { return Vec::new() };
    let mut causes: Vec<String> = Vec::new();
    let call_differs = was.call.zip(is.call).is_some_and(|(was, is)| before.rows[was].key != after.rows[is].key);
    for (was, is) in [(was.call, is.call), (was.join, is.join)] {
        match (was, is) {
            (Some(was), Some(is)) => {
                let (was, is) = (&before.rows[was], &after.rows[is]);
                if was.key == is.key {
                    continue;
                }
                if was.fields.is_null() || is.fields.is_null() {
                    let nothing = if was.outputs.is_empty() { was.fields.is_null() } else { is.outputs.is_empty() && is.fields.is_null() };
                    causes.push(match nothing {
                        true => "it gave nothing on one side: it failed or was not run, so what it was computed from was not kept".into(),
                        false => "what it was computed from is no longer known: its record was removed from the cache".into(),
                    });
                    continue;
                }
                let mut differences = Vec::new();
                compare("", &was.fields, &is.fields, &mut differences);
                let stage = is.fields["stage"].as_str().unwrap_or("the stage");
                // Null draws of another call, or by another control, are other ones, of course.
                if call_differs || differences.iter().any(|one| one.starts_with("join[")) {
                    differences.retain(|one| !one.starts_with("inputs.nulls[") || one.contains("nothing"));
                }
                let told =
                    batches_together(differences).into_iter().filter_map(|one| cause(before, after, stage, &was.fields, &is.fields, one));
                let draws = |side: &Side| {
                    let controls = side.scores.get(step)?.iter().flat_map(|score| &score.controls);
                    controls.map(|control| control.draws()).max()
                };
                causes.extend(told.map(|cause| match (draws(before), draws(after)) {
                    (Some(was), Some(is)) if was != is && cause.starts_with("batches of null draws") => format!("null draws: {was} → {is}"),
                    _ => cause,
                }));
            }
            (None, Some(_)) => causes.push("it has controls now".into()),
            (Some(_), None) => causes.push("it has no controls any more".into()),
            (None, None) => {}
        }
    }
    causes.dedup();
    causes
}

/// A difference of keys in words; none for what a step takes from another step, which is not its own cause.
fn cause(before: &Side, after: &Side, stage: &str, was: &Value, is: &Value, difference: String) -> Option<String> {
    let path = difference.split(": ").next().unwrap_or_default();
    if path == "version" {
        return Some(difference.replacen("version", &format!("version of {stage}"), 1));
    }
    if let Some(file) = path.strip_prefix("scripts.").or_else(|| path.strip_prefix("environment.")) {
        let what = if path.starts_with("scripts") { "script" } else { "environment" };
        return Some(match difference.contains("nothing") {
            true => format!("{what} {}", difference.split_once('.').map_or("", |(_, rest)| rest)),
            false => format!("{what} {file}: other bytes"),
        });
    }
    if path == "scripts" || path == "environment" {
        return Some(format!("its {path}: {}", difference.split_once(": ").map_or("", |(_, rest)| rest)));
    }
    if path.starts_with("join[") {
        return Some(format!("control: {}", difference.split_once(": ").map_or("", |(_, rest)| rest)));
    }
    let Some(slot) = path.strip_prefix("inputs.") else { return Some(difference) };
    let digest = |fields: &Value| fields["inputs"][slot].as_str().and_then(|text| text.parse::<Digest>().ok());
    let of = |side: &Side, digest: Option<Digest>| {
        let digest = digest?;
        let members = side.inputs.iter().flat_map(|input| input.members.iter().map(move |(label, content)| (input, label, content)));
        members.filter(|(_, _, content)| **content == digest).map(|(input, label, _)| (input.name.clone(), label.clone())).next()
    };
    let named = |(name, label): (String, String)| if label.is_empty() { name } else { format!("{name}[{label:?}]") };
    match (of(before, digest(was)), of(after, digest(is))) {
        (Some(was), Some(is)) if was == is => Some(format!("input {}: other bytes", named(is))),
        (Some(was), Some(is)) => Some(format!("its `{slot}`: input {} → input {}", named(was), named(is))),
        (Some(was), None) => Some(format!("its `{slot}` is no longer input {}", named(was))),
        (None, Some(is)) => Some(format!("its `{slot}` is input {} now", named(is))),
        (None, None) => None,
    }
}

fn scores(before: &Side, after: &Side) -> Vec<ScoreDifference> {
    let steps: BTreeSet<&String> = before.scores.keys().chain(after.scores.keys()).collect();
    let mut found = Vec::new();
    for step in steps {
        let (was, is) = (before.scores.get(step).map_or(&[][..], Vec::as_slice), after.scores.get(step).map_or(&[][..], Vec::as_slice));
        let gone = was.iter().filter(|score| !is.iter().any(|one| one.metric == score.metric));
        for score in is.iter().chain(gone) {
            let of = |side: &[Score]| side.iter().find(|one| one.metric == score.metric).cloned();
            let (was, is) = (of(was), of(is));
            let verdict = match (&was, &is) {
                (Some(was), Some(is)) => verdict(was, is),
                _ => Verdict::Alone,
            };
            found.push(ScoreDifference { step: step.clone(), metric: score.metric.clone(), before: was, after: is, verdict });
        }
    }
    found
}

/// The interval of a difference of two independent values is as wide as the two sides of a right angle make it. Values from the same data lean on each
/// other, and their difference is then known better than that: what is called beyond is beyond, what is called within may not be.
fn verdict(was: &Score, is: &Score) -> Verdict {
    if was.value == is.value || was.value.is_nan() && is.value.is_nan() {
        return Verdict::Same;
    }
    let half = |score: &Score| score.interval.as_ref().map(|interval| (interval.half(), interval.level));
    match (half(was), half(is)) {
        (Some((a, level)), Some((b, other))) if level == other && a.is_finite() && b.is_finite() => {
            let half = a.hypot(b);
            if (is.value - was.value).abs() > half { Verdict::Beyond { half } } else { Verdict::Within { half } }
        }
        _ => Verdict::Unknown,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::Interval;
    use serde_json::json;

    fn row(label: &str, fields: Value, output: &str, needs: &[usize]) -> Row {
        let key = Digest::of(fields.to_string().as_bytes());
        Row {
            label: label.into(),
            joins: None,
            key: Some(key),
            fields,
            outputs: vec![Digest::of(output.as_bytes())],
            needs: needs.to_vec(),
        }
    }

    fn call(folds: u32, input: &str) -> Value {
        json!({ "stage": "decode.classify", "version": 1, "seed": 0, "params": { "folds": folds.to_string() },
                "inputs": { "responses": Digest::of(input.as_bytes()).to_string() } })
    }

    fn input(content: &str) -> InputRecord {
        let members = vec![("m1".to_owned(), Digest::of(content.as_bytes()))];
        InputRecord { name: "sessions".into(), taken: String::new(), passed_over: Vec::new(), simulated: false, members, files: Vec::new() }
    }

    fn side(content: &str, result: &str, folds: u32) -> Side {
        let read = json!({ "stage": "ingest.trials", "version": 1, "seed": 0, "params": {}, "inputs": { "session": Digest::of(content.as_bytes()).to_string() } });
        let rows = vec![row("responses", read, result, &[]), row("direction", call(folds, result), &format!("{result}{folds}"), &[0])];
        Side::new(vec![input(content)], BTreeMap::new(), rows)
    }

    #[test]
    fn a_cause_is_named_once_and_what_follows_stands_behind_it() {
        let difference = Difference::between(&side("a", "ra", 4), &side("a", "ra", 5));
        assert_eq!(difference.steps.len(), 1);
        assert_eq!(
            (difference.steps[0].step.as_str(), difference.steps[0].causes.as_slice()),
            ("direction", &["folds: 4 → 5".to_owned()][..])
        );
        let difference = Difference::between(&side("a", "ra", 4), &side("b", "rb", 4));
        assert_eq!(difference.steps[0].causes, ["input sessions[\"m1\"]: other bytes"]);
        assert_eq!((difference.steps[1].causes.len(), difference.steps[1].after.as_slice()), (0, &["responses".to_owned()][..]));
        // Other bytes that gave the same result stop there.
        let difference = Difference::between(&side("a", "ra", 4), &side("b", "ra", 4));
        assert_eq!((difference.steps.len(), difference.steps[0].same_result), (1, true));
        assert!(Difference::between(&side("a", "ra", 4), &side("a", "ra", 4)).is_none());
    }

    #[test]
    fn a_step_under_another_name_is_renamed_and_members_stand_together() {
        let with = |name: &str, folds: u32| {
            let rows = ["m1", "m2", "m3"].map(|member| row(&format!("{name}[{member:?}]"), call(folds, member), member, &[]));
            Side::new(Vec::new(), BTreeMap::new(), rows.into())
        };
        let difference = Difference::between(&with("a", 4), &with("b", 4));
        assert_eq!(difference.steps.len(), 1);
        assert_eq!((&difference.steps[0].fate, difference.steps[0].step.as_str()), (&Fate::Renamed { from: "a".into() }, "b"));
        let difference = Difference::between(&with("a", 4), &with("a", 5));
        assert_eq!((difference.steps.len(), difference.steps[0].members.len(), difference.steps[0].causes.len()), (1, 0, 1));
        let difference = Difference::between(&with("a", 4), &with("b", 5));
        let fates: Vec<&Fate> = difference.steps.iter().map(|step| &step.fate).collect();
        assert_eq!(fates, [&Fate::Added, &Fate::Removed]);
    }

    #[test]
    fn a_difference_is_beyond_resampling_when_its_interval_leaves_zero_out() {
        let score = |value: f64, half: f64| {
            let interval = Interval { low: value - half, high: value + half, level: 0.95, method: "folds".into() };
            Score { interval: Some(interval), ..Score::new("accuracy", value, 100) }
        };
        assert_eq!(verdict(&score(0.5, 0.03), &score(0.5, 0.1)), Verdict::Same);
        assert!(matches!(verdict(&score(0.5, 0.03), &score(0.56, 0.04)), Verdict::Beyond { half } if (half - 0.05).abs() < 1e-12));
        assert!(matches!(verdict(&score(0.5, 0.03), &score(0.54, 0.04)), Verdict::Within { .. }));
        assert_eq!(verdict(&Score::new("a", 0.5, 1), &score(0.54, 0.04)), Verdict::Unknown);
    }
}
