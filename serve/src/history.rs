//! Each step's first score over runs.

use crate::watch::Ended;
use serde::Serialize;
use std::collections::BTreeMap;
use std::sync::Arc;

/// A score in a run.
#[derive(Debug, Serialize)]
struct Point {
    run: String,
    started: String,
    value: f64,
    low: Option<f64>,
    high: Option<f64>,
    uncontrolled: bool,
}

/// The scores of a step.
#[derive(Debug, Serialize)]
pub(crate) struct Line {
    pipeline: String,
    step: String,
    metric: String,
    points: Vec<Point>,
}

/// The lines of runs, which come newest first; the points of a line go forward in time.
pub(crate) fn lines(runs: &[Arc<Ended>]) -> Vec<Line> {
    let mut lines: BTreeMap<(&str, &str, &str), Vec<Point>> = BTreeMap::new();
    for run in runs.iter().rev() {
        for (step, score) in &run.scores {
            let points = lines.entry((run.pipeline.as_str(), step.as_str(), score.metric.as_str())).or_default();
            points.push(Point {
                run: run.id.clone(),
                started: run.started.clone(),
                value: score.value,
                low: score.interval.as_ref().map(|interval| interval.low),
                high: score.interval.as_ref().map(|interval| interval.high),
                uncontrolled: score.controls.is_empty(),
            });
        }
    }
    let line = |((pipeline, step, metric), points): ((&str, &str, &str), Vec<Point>)| Line {
        pipeline: pipeline.to_owned(),
        step: step.to_owned(),
        metric: metric.to_owned(),
        points,
    };
    let mut lines: Vec<Line> = lines.into_iter().map(line).collect();
    lines.sort_by_key(|line| line.points.last().is_some_and(|point| point.uncontrolled));
    lines
}
