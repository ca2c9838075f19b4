//! What is in a file as a page with figures: the same page that a report is.

use super::Opened;
use super::look::{Looked, in_words};
use crate::amounts::bytes;
use crate::exit::Failure;
use neuroflow_agent::escape_page;
use neuroflow_data::{Artifact, Axis, Table, Tensor, Typed};
use neuroflow_formats::{Document, FormatError, Item, What};
use neuroflow_report::{Fact, Report, ShownArtifact, ShownStep, render};
use std::path::Path;

/// Things that get a section.
const MOST_ITEMS: usize = 200;
/// Rows of a table, channels of a recording, and points of each, on the page.
const MOST_ROWS: u64 = 500;
const MOST_CHANNELS: usize = 64;
const POINTS: u64 = 400;
/// Values of an array that is drawn whole.
const MOST_VALUES: u64 = 250_000;

pub(super) fn write(opened: &Opened, out: &Path) -> Result<(), Failure> {
    let contents = opened.document.contents();
    let fact = |name: &str, value: String| Fact { name: name.into(), value };
    let mut facts = vec![fact("format", contents.format_and_version())];
    facts.extend(opened.size.map(|size| fact("size", bytes(size))));
    facts.extend(contents.facts.iter().map(|(name, value)| fact(name, value.clone())));
    let shown = contents.items.iter().filter(|item| !matches!(item.what, What::Group)).take(MOST_ITEMS);
    let steps = shown.map(|item| step(opened.document.as_ref(), item)).collect();
    let report = Report {
        title: opened.name.clone(),
        notices: contents.damage.iter().map(ToString::to_string).chain(contents.notes.iter().cloned()).collect(),
        facts,
        dag: Vec::new(),
        work: Vec::new(),
        work_left_out: 0,
        expectations: Vec::new(),
        steps,
    };
    let page = render(&report).map_err(Failure::could_not_start)?;
    std::fs::write(out, escape_page(&page)).map_err(|error| Failure::could_not_start(format!("{}: {error}", out.display())))
}

fn step(document: &dyn Document, item: &Item) -> ShownStep {
    let about = if item.about.is_empty() { String::new() } else { format!(". {}", item.about) };
    let drawn = match &item.what {
        What::Recording { .. } => recording(document, &item.path),
        What::Table { .. } | What::Spikes { .. } | What::Events { .. } => table(document, &item.path),
        What::Array { shape, .. } => array(document, &item.path, shape),
        _ => Ok(None),
    };
    let (artifacts, mut elsewhere) = match drawn {
        Ok(artifact) => (artifact.map(|artifact| ShownArtifact { output: "values".into(), artifact }).into_iter().collect(), Vec::new()),
        Err(error) => (Vec::new(), vec![format!("can't be read: {}: {}", error.place, error.reason)]),
    };
    elsewhere.extend(Looked::at(document, item, 16).lines);
    ShownStep {
        name: item.path.clone(),
        member: None,
        stage: item.what.word().into(),
        summary: format!("{}{about}", in_words(&item.what)),
        artifacts,
        elsewhere,
    }
}

fn failed(document: &dyn Document, error: impl std::fmt::Display) -> FormatError {
    FormatError::new(document.contents().format, neuroflow_formats::Place::File, error.to_string(), "report this: it is a mistake of ours")
}

/// Channels over time, each point the mean of its part.
fn recording(document: &dyn Document, path: &str) -> Result<Option<Artifact>, FormatError> {
    let signals = document.signals(path)?;
    // One rate at a time fits one axis of time; the most frequent samples are those that are asked for.
    let Some(fastest) = signals.channels().iter().map(|channel| channel.rate).max_by(f64::total_cmp) else { return Ok(None) };
    let chosen: Vec<usize> =
        (0..signals.channels().len()).filter(|&at| signals.channels()[at].rate == fastest).take(MOST_CHANNELS).collect();
    let Some(&first) = chosen.first() else { return Ok(None) };
    let samples = chosen.iter().map(|&channel| signals.samples(channel)).min().unwrap_or(0);
    let points = POINTS.min(samples);
    if points == 0 {
        return Ok(None);
    }
    let mut values = Vec::with_capacity(chosen.len() * points as usize);
    let (mut names, mut part) = (Vec::new(), Vec::new());
    for &channel in &chosen {
        names.push(signals.channels()[channel].name.clone());
        for point in 0..points {
            let (start, end) = (point * samples / points, (point + 1) * samples / points);
            part.clear();
            // Of a long part, its begin says enough for a picture.
            signals.read(channel, start..end.min(start + 256), &mut part)?;
            values.push(part.iter().sum::<f64>() / part.len().max(1) as f64);
        }
    }
    let line = &signals.channels()[first];
    let times = (0..points).map(|point| line.time_of(point * samples / points)).collect();
    let axes = vec![Axis::labels("channel", names), Axis::numbers("time", Some("s"), times)];
    let unit = if line.unit.is_empty() { None } else { Some(line.unit.as_str()) };
    let tensor = Tensor::new(axes, unit, values).and_then(Typed::into_artifact).map_err(|error| failed(document, error))?;
    Ok(Some(tensor))
}

fn table(document: &dyn Document, path: &str) -> Result<Option<Artifact>, FormatError> {
    let rows = document.rows(path)?;
    let columns: Vec<usize> = (0..rows.schema().fields().len().min(64)).collect();
    let batch = rows.read(&columns, 0..rows.count().min(MOST_ROWS))?;
    Table::from_batch(batch).into_artifact().map(Some).map_err(|error| failed(document, error))
}

/// An array of one or two axes that is not too large.
fn array(document: &dyn Document, path: &str, shape: &[u64]) -> Result<Option<Artifact>, FormatError> {
    let count = shape.iter().try_fold(1u64, |product, length| product.checked_mul(*length)).unwrap_or(u64::MAX);
    if shape.len() > 2 || count > MOST_VALUES || count == 0 {
        return Ok(None);
    }
    // What is no array of numbers is told in words.
    let Ok(tensor) = document.tensor(path, None) else { return Ok(None) };
    tensor.into_artifact().map(Some).map_err(|error| failed(document, error))
}
