//! `neuroflow log`: the history of one result over commits.

use super::Place;
use crate::arguments::history::Log;
use crate::exit::{Exit, Failure};
use crate::score_text;
use neuroflow_agent::escape_line;
use neuroflow_data::Score;
use neuroflow_engine::git::{Committed, Revision, commits, places};
use neuroflow_engine::kept;
use neuroflow_engine::label;
use neuroflow_engine::record::RunRecord;
use std::collections::{BTreeMap, HashSet};
use std::path::Path;

/// A result of a run.
struct Point {
    run: RunRecord,
    score: Score,
    commit: Option<Committed>,
    /// Its place in the history, the newest first.
    place: Option<usize>,
}

impl Point {
    /// When the commit was written; without one, when the run began.
    fn when(&self) -> i64 {
        let began = || self.run.started.parse::<jiff::Timestamp>().map_or(0, jiff::Timestamp::as_second);
        self.commit.as_ref().map_or_else(began, |commit| commit.when.0)
    }

    fn id(&self) -> String {
        self.run.revision.as_ref().map_or_else(String::new, |at| format!("{}{}", at.commit, if at.dirty { "+" } else { "" }))
    }
}

pub(crate) fn log(place: &Place, log: &Log) -> Result<Exit, Failure> {
    let session = place.session()?;
    let ids = session.cache.runs().map_err(Failure::could_not_start)?;
    let asked = log.step.as_str();
    let mut history: BTreeMap<String, Vec<Point>> = BTreeMap::new();
    let (mut seen, mut known) = (HashSet::new(), Vec::<String>::new());
    // Runs that the project keeps, and that this cache does not have.
    let (kept, wrong) = kept::all(Path::new("."));
    wrong.iter().for_each(|error| eprintln!("warning: {error}"));
    let others = kept.into_values().map(|kept| kept.run).filter(|run| !ids.contains(&run.id));
    let mut others: Vec<RunRecord> = others.collect();
    others.sort_by(|a, b| b.id.cmp(&a.id));
    for run in ids.iter().filter_map(|id| session.read(id).ok()).chain(others) {
        if log.pipeline.as_deref().is_some_and(|file| !is_file(&run, file)) {
            continue;
        }
        let fitting: Vec<(String, Score)> = run
            .scores
            .iter()
            .flat_map(|(step, scores)| {
                let headline = scores.first().map(|score| score.metric.clone());
                scores.iter().map(move |score| (step, score, headline.as_deref() == Some(score.metric.as_str()))).collect::<Vec<_>>()
            })
            .filter(|(step, score, is_headline)| {
                let name = label::step_name(step);
                let whole = format!("{step}.{}", score.metric);
                (*is_headline && (asked == step.as_str() || asked == name)) || asked == whole || asked == format!("{name}.{}", score.metric)
            })
            .map(|(step, score, _)| (format!("{}: {step}.{}", run.pipeline, score.metric), score.clone()))
            .collect();
        if known.len() < 200 {
            known.extend(run.scores.keys().map(|step| label::step_name(step).to_owned()));
        }
        for (name, score) in fitting {
            let point = Point { run: run.clone(), score, commit: None, place: None };
            // Runs are read newest first: of a commit the first is the latest.
            if log.all || point.id().is_empty() || seen.insert((name.clone(), point.id())) {
                history.entry(name).or_default().push(point);
            }
        }
    }
    if history.is_empty() {
        let failure = Failure::could_not_start(format!("no run has a score of `{}`", escape_line(asked)));
        return Err(match neuroflow_stage::nearest(asked, known.iter().map(String::as_str)) {
            Some(near) => failure.with_help(format!("did you mean `{near}`?")),
            None => failure.with_help("`neuroflow show` lists the scores of the latest run"),
        });
    }
    for (name, mut points) in history {
        let mut found = Vec::new();
        for point in &points {
            found.extend(point.run.revision.as_ref().map(|at| at.commit.clone()));
        }
        let file = points.first().map(|point| point.run.file.clone()).unwrap_or_default();
        let (commits, places) = (commits(Path::new(&file), &found), places(Path::new(&file), &found));
        for point in &mut points {
            let at = point.run.revision.as_ref();
            point.commit = at.and_then(|at| commits.get(&at.commit).cloned());
            point.place = at.and_then(|at| places.get(&at.commit).copied());
        }
        in_order(&mut points);
        if log.json {
            points.iter().take(log.n).for_each(|point| println!("{}", as_json(&name, point)));
            continue;
        }
        let values: Vec<f64> = points.iter().rev().map(|point| point.score.value).collect();
        println!("{}   {}", escape_line(&name), sparkline(&values));
        for point in points.iter().take(log.n) {
            println!("  {}", line(point));
        }
        if points.len() > log.n {
            println!("  and {} earlier (`-n` shows more)", points.len() - log.n);
        }
    }
    Ok(Exit::Done)
}

/// The newest first: commits as history has them, changes that no commit has before the commit that they were made to. What has no place in it stands where its
/// date belongs.
fn in_order(points: &mut Vec<Point>) {
    let (mut placed, mut others): (Vec<Point>, Vec<Point>) = std::mem::take(points).into_iter().partition(|point| point.place.is_some());
    let is_dirty = |point: &Point| point.run.revision.as_ref().is_some_and(|at| at.dirty);
    placed.sort_by(|a, b| (a.place, !is_dirty(a), &b.run.id).cmp(&(b.place, !is_dirty(b), &a.run.id)));
    others.sort_by(|a, b| (b.when(), &b.run.id).cmp(&(a.when(), &a.run.id)));
    for other in others {
        let at = placed.iter().position(|point| point.when() < other.when()).unwrap_or(placed.len());
        placed.insert(at, other);
    }
    *points = placed;
}

fn is_file(run: &RunRecord, file: &Path) -> bool {
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    absolute(&run.pipeline_file()) == absolute(file)
}

fn line(point: &Point) -> String {
    let date = match &point.commit {
        Some(commit) => commit.written().get(..10).unwrap_or_default().to_owned(),
        None => point.run.started.get(..10).unwrap_or_default().to_owned(),
    };
    let at = point.run.revision.as_ref().map_or_else(|| point.run.id.clone(), Revision::marked);
    let (value, control) = (score_text::value(&point.score), score_text::control(&point.score));
    let by = point.commit.as_ref().map_or(String::new(), |commit| {
        format!("{}  {}", escape_line(commit.author.split(" <").next().unwrap_or(&commit.author)), escape_line(&commit.subject))
    });
    format!("{date}  {at:<11}  {value:<14}  {control:<12}  {by}").trim_end().to_owned()
}

fn as_json(name: &str, point: &Point) -> String {
    serde_json::json!({
        "score": name, "run": point.run.id, "value": point.score.value, "interval": point.score.interval,
        "commit": point.run.revision.as_ref().map(|at| &at.commit), "dirty": point.run.revision.as_ref().map(|at| at.dirty),
        "author": point.commit.as_ref().map(|commit| &commit.author), "subject": point.commit.as_ref().map(|commit| &commit.subject),
        "written": point.commit.as_ref().map(Committed::written), "started": point.run.started,
        "p": point.score.controls.first().map(|control| control.p),
    })
    .to_string()
}

/// The most bars of a line.
const MOST_BARS: usize = 60;

/// Values as bars, the oldest first; the latest ones, when there are many.
fn sparkline(values: &[f64]) -> String {
    const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
    let shown = &values[values.len().saturating_sub(MOST_BARS)..];
    let finite = || shown.iter().copied().filter(|value| value.is_finite());
    let (low, high) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let bar = |value: &f64| match value.is_finite() {
        true if high > low => BARS[(((value - low) / (high - low)) * 7.0).round().clamp(0.0, 7.0) as usize],
        true => BARS[3],
        false => '·',
    };
    shown.iter().map(bar).collect()
}

#[cfg(test)]
mod tests {
    use super::sparkline;

    #[test]
    fn bars_go_from_the_least_to_the_largest_and_gaps_are_seen() {
        assert_eq!(sparkline(&[0.0, 0.5, 1.0]), "▁▅█");
        assert_eq!(sparkline(&[0.2, f64::NAN, 0.2]), "▄·▄");
        assert_eq!(sparkline(&[]), "");
        assert_eq!(sparkline(&(0..100).map(f64::from).collect::<Vec<_>>()).chars().count(), 60);
    }
}
