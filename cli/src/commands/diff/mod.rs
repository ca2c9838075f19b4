//! `neuroflow diff`: which steps differ between two runs or revisions, why, and how every score moved.

mod page;

use super::Place;
use crate::arguments::history::Diff;
use crate::exit::{Exit, Failure};
use crate::meant::{self, Meant, NOW};
use crate::score_text;
use neuroflow_agent::escape_line;
use neuroflow_data::short_number;
use neuroflow_engine::difference::{Difference, Fate, ScoreDifference, StepDifference, Verdict};
use neuroflow_engine::git::text_diff;
use std::path::PathBuf;

/// The most members that are named one by one.
const MOST_NAMED: usize = 4;

pub(crate) fn diff(place: &Place, diff: &Diff) -> Result<Exit, Failure> {
    let mut session = place.session()?;
    // Each side may say for the other which pipeline is meant.
    let file_of = |word: &str| -> Option<PathBuf> {
        if word == NOW {
            return None;
        }
        meant::run(&session, word, diff.pipeline.as_deref()).ok()?.map(|record| meant::file_of(&record))
    };
    let file = diff.pipeline.clone().or_else(|| file_of(&diff.before)).or_else(|| file_of(&diff.after)).or_else(only_pipeline);
    let before = meant::side(&mut session, &diff.before, file.as_deref())?;
    let after = meant::side(&mut session, &diff.after, file.as_deref())?;
    let mut found = Difference::between(&before.side, &after.side);
    if !(before.is_known && after.is_known) {
        found.steps.clear();
    }
    if diff.json {
        let text = serde_json::to_string_pretty(&serde_json::json!({
            "before": before.title, "after": after.title, "settings": settings(&before, &after), "difference": found,
        }));
        println!("{}", text.map_err(Failure::could_not_start)?);
        return Ok(Exit::Done);
    }
    let told = told(&before, &after, &found);
    if let Some(out) = &diff.html {
        page::write(&session, (&before, &after), &found, &told, out)?;
        println!("what differs: {}", out.display());
        return Ok(Exit::Done);
    }
    // Names come from data, and a kept run from somebody else.
    print(&before, &after, &found, &told).lines().for_each(|line| println!("{}", escape_line(line)));
    Ok(Exit::Done)
}

/// The pipeline of this folder, when there is exactly one.
fn only_pipeline() -> Option<PathBuf> {
    let found = ["*.nf", "pipelines/*.nf"]
        .into_iter()
        .flat_map(|pattern| neuroflow_engine::folder::search(std::path::Path::new("."), pattern, &|_| true).unwrap_or_default());
    let all: Vec<String> = found.collect();
    match all.as_slice() {
        [only] => Some(only.into()),
        _ => None,
    }
}

/// What differs beside the tasks: version, parameters that were set, controls.
fn settings(before: &Meant, after: &Meant) -> Vec<String> {
    let mut told = Vec::new();
    let (Some(was), Some(is)) = (&before.record, &after.record) else { return told };
    if was.neuroflow != is.neuroflow {
        told.push(format!("neuroflow {} → {}", was.neuroflow, is.neuroflow));
    }
    if was.controls != is.controls {
        told.push(format!("controls {} → {}", if was.controls { "on" } else { "off" }, if is.controls { "on" } else { "off" }));
    }
    let names: std::collections::BTreeSet<&String> = was.set.keys().chain(is.set.keys()).collect();
    for name in names {
        let (old, new) = (was.set.get(name), is.set.get(name));
        if old != new {
            let shown = |value: Option<&String>| value.cloned().unwrap_or_else(|| "as written".into());
            told.push(format!("--set {name}: {} → {}", shown(old), shown(new)));
        }
    }
    told
}

/// What there is to say beside the steps.
struct Told {
    settings: Vec<String>,
    /// What is said when no step differs.
    none: &'static str,
    /// Scores that moved: name, and how.
    scores: Vec<(String, String)>,
    /// How many are as before.
    same: usize,
    /// How many are known only once their step has run.
    open: usize,
    /// Lines of the pipeline that differ, with those around them.
    lines: Vec<String>,
}

fn told(before: &Meant, after: &Meant, found: &Difference) -> Told {
    // What did not run yet has no score; it is not gone for that.
    let is_open = |score: &&ScoreDifference| match (&score.before, &score.after) {
        (Some(_), None) => after.record.is_none() && after.side.has_step(&score.step),
        (None, Some(_)) => before.record.is_none() && before.side.has_step(&score.step),
        _ => false,
    };
    let open = found.scores.iter().filter(is_open).count();
    let moved = found.scores.iter().filter(|score| score.verdict != Verdict::Same && !is_open(score));
    let scores: Vec<(String, String)> = moved.map(|score| (format!("{}.{}", score.step, score.metric), score_line(score))).collect();
    let lines =
        if before.text.is_empty() || after.text.is_empty() { String::new() } else { text_diff("pipeline", &before.text, &after.text) };
    Told {
        settings: settings(before, after),
        none: match (before.is_known && after.is_known, before.text == after.text) {
            (false, _) => "which steps differ can't be said; scores can be compared",
            (true, true) => "every step computes the same",
            (true, false) => "the files differ, but every step computes the same",
        },
        same: found.scores.len() - scores.len() - open,
        open,
        scores,
        lines: lines.lines().skip_while(|line| !line.starts_with("@@")).map(str::to_owned).collect(),
    }
}

fn print(before: &Meant, after: &Meant, found: &Difference, told: &Told) -> String {
    let mut text = format!("from  {}\nto    {}\n", before.title, after.title);
    for line in &told.settings {
        text += &format!("      {line}\n");
    }
    text.push('\n');
    if found.steps.is_empty() {
        text += &format!("{}\n", told.none);
    }
    let width = found.steps.iter().map(|step| step.step.chars().count()).max().unwrap_or(0);
    for step in &found.steps {
        let (members, lines) = step_texts(step);
        for (at, line) in lines.iter().enumerate() {
            let (head, tail) = if at == 0 { (step.step.as_str(), members.as_str()) } else { ("", "") };
            text += &format!("{head:<width$}  {line}{tail}\n");
        }
    }
    if !told.scores.is_empty() {
        text += "\nscores\n";
        let width = told.scores.iter().map(|(name, _)| name.chars().count()).max().unwrap_or(0);
        for (name, line) in &told.scores {
            text += &format!("  {name:<width$}  {line}\n");
        }
    }
    for (which, side) in [("first", &before.side), ("second", &after.side)] {
        if side.unasked() > 0 {
            text += &format!("{} steps were not asked for in the {which} run; of them nothing is said\n", side.unasked());
        }
    }
    if told.open > 0 {
        text += &format!("{} of {} scores can move; they are known once their steps have run\n", told.open, found.scores.len());
    }
    if told.same > 0 {
        text += &format!("{} of {} scores are as before\n", told.same, found.scores.len());
    }
    if found.scores.iter().any(|score| matches!(score.verdict, Verdict::Beyond { .. } | Verdict::Within { .. })) {
        text +=
            "± is half the interval; that of a difference is of two independent values, so that on the same data it is rather too wide\n";
    }
    if !told.lines.is_empty() {
        text += &format!("\n{}\n", told.lines.join("\n"));
    }
    text
}

/// Which members of a step are meant, and what is said of it.
fn step_texts(step: &StepDifference) -> (String, Vec<String>) {
    let members = match step.members.as_slice() {
        [] => String::new(),
        few if few.len() <= MOST_NAMED => format!(" ({})", few.join(", ")),
        many => format!(" ({} and {} more)", many[..2].join(", "), many.len() - 2),
    };
    let mut lines: Vec<String> = Vec::new();
    match &step.fate {
        Fate::Added => lines.push("added".into()),
        Fate::Removed => lines.push("removed".into()),
        Fate::Renamed { from } => lines.push(format!("the same as `{from}` before")),
        Fate::Changed => {
            lines.extend(step.causes.iter().cloned());
            if !step.after.is_empty() {
                lines.push(format!("follows {}", step.after.join(", ")));
            }
            if lines.is_empty() {
                lines.push("computes something else".into());
            }
        }
    }
    if step.same_result {
        lines.push("and gave the same bytes all the same".into());
    }
    (members, lines)
}

fn score_line(score: &ScoreDifference) -> String {
    match (&score.before, &score.after) {
        (Some(was), Some(is)) => {
            let difference = is.value - was.value;
            let sign = if difference > 0.0 { "+" } else { "" };
            let verdict = match score.verdict {
                Verdict::Within { half } => format!(" ±{}, within what resampling explains", short_number(half)),
                Verdict::Beyond { half } => format!(" ±{}, beyond what resampling explains", short_number(half)),
                _ => ", and no intervals to weigh it by".to_owned(),
            };
            format!("{} → {}   {sign}{}{verdict}", score_text::value(was), score_text::value(is), short_number(difference))
        }
        (None, Some(is)) => format!("new: {}", score_text::value(is)),
        (Some(was), None) => format!("gone: {}", score_text::value(was)),
        (None, None) => String::new(),
    }
}
