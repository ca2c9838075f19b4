//! What a thing in a file is, in words, numbers and a small picture.

use super::plot::{density, grouped, short, sparkline};
use neuroflow_formats::{Document, FormatError, Item, What};
use std::collections::BTreeMap;

/// Letters across a small picture.
const WIDTH: usize = 48;
/// Samples of a channel that are looked at: a stretch from its begin, middle and end when it has more.
const MOST_SAMPLES: u64 = 120_000;
/// Rows of a table and values of an array that are looked at.
const MOST_ROWS: u64 = 100_000;

/// A thing in a line.
pub(super) fn in_words(what: &What) -> String {
    let unit = |unit: &str| if unit.is_empty() { String::new() } else { format!(", {unit}") };
    match what {
        What::Group => "group".into(),
        What::Value(value) => super::plot::shortened(value, 90),
        What::Text { bytes } => format!("text, {bytes} B"),
        What::Array { shape, element, unit: of, axes } => {
            let lengths = shape.iter().map(|length| grouped(*length)).collect::<Vec<_>>().join(" × ");
            let named = if axes.is_empty() { String::new() } else { format!(" [{}]", axes.join(" × ")) };
            format!("array {lengths}{named} of {element}{}", unit(of))
        }
        What::Table { rows, columns } => {
            let named = |count: usize| if count == 1 { "1 column".to_owned() } else { format!("{} columns", grouped(count as u64)) };
            match (rows, columns.len()) {
                (Some(rows), count) => format!("table, {} rows × {}", grouped(*rows), named(count)),
                // Neither is known before it is read.
                (None, 0) => "table".into(),
                (None, count) => format!("table, {}", named(count)),
            }
        }
        What::Recording { channels, samples, rate, unit: of, .. } if !rate.is_finite() => {
            format!("recording, {channels} channels × {} samples at a rate that nothing says{}", grouped(*samples), unit(of))
        }
        What::Recording { channels, samples, rate, span: (start, end), unit: of } => format!(
            "recording, {channels} channels × {} samples at {} Hz, {} s to {} s{}",
            grouped(*samples),
            short(*rate),
            short(*start),
            short(*end),
            unit(of)
        ),
        What::Spikes { units, spikes } => format!("spikes, {} units, {} spikes", grouped(*units), grouped(*spikes)),
        What::Events { count } => format!("events, {}", grouped(*count)),
        What::Picture { width, height, channels } => format!("picture, {width} × {height} pixels, {channels} channels"),
        What::Graph { nodes, edges, directed } => {
            format!("graph, {} nodes, {} {}edges", grouped(*nodes), grouped(*edges), if *directed { "directed " } else { "" })
        }
    }
}

/// What was seen of a thing: lines below it.
pub(super) struct Looked {
    pub(super) lines: Vec<String>,
}

impl Looked {
    /// Looks at a thing; `most` is how many channels, units or columns are shown. What can't be read says so in a line.
    pub(super) fn at(document: &dyn Document, item: &Item, most: usize) -> Looked {
        let lines = match &item.what {
            // Without a rate there are no times to draw against, which a note says.
            What::Recording { .. } | What::Spikes { .. } if document.contents().lacks_rate => Ok(Vec::new()),
            What::Recording { .. } => recording(document, &item.path, most),
            What::Events { .. } => events(document, &item.path),
            What::Spikes { .. } => spikes(document, &item.path),
            What::Table { columns, .. } => table(document, &item.path, columns, most),
            // What is no number is shown by its rows.
            what @ What::Array { shape, .. } if most > 3 && (what.is_of_numbers() || document.rows(&item.path).is_err()) => {
                array(document, &item.path, shape)
            }
            _ => Ok(Vec::new()),
        };
        Looked { lines: lines.unwrap_or_else(|error| vec![format!("can't be read: {}: {}", error.place, error.reason)]) }
    }
}

/// What is not there among some values, and their span, in words.
fn numbers(values: &[f64], unit: &str) -> String {
    let missing = values.iter().filter(|value| value.is_nan()).count();
    let finite = || values.iter().copied().filter(|value| value.is_finite());
    let (least, greatest) = (finite().fold(f64::INFINITY, f64::min), finite().fold(f64::NEG_INFINITY, f64::max));
    let unit = if unit.is_empty() { String::new() } else { format!(" {unit}") };
    let span = if least <= greatest { format!("{} to {}{unit}", short(least), short(greatest)) } else { "no number".into() };
    let infinite = values.iter().filter(|value| value.is_infinite()).count();
    let count = |count: usize, word: &str| if count > 0 { format!(", {} {word}", grouped(count as u64)) } else { String::new() };
    format!("{span}{}{}", count(missing, "missing"), count(infinite, "infinite"))
}

fn recording(document: &dyn Document, path: &str, most: usize) -> Result<Vec<String>, FormatError> {
    let signals = document.signals(path)?;
    let channels = signals.channels();
    let shown = channels.iter().take(most);
    let width = shown.clone().map(|channel| channel.name.chars().count()).max().unwrap_or(0).min(24);
    let mut lines = Vec::new();
    for (position, channel) in shown.enumerate() {
        let samples = signals.samples(position);
        let mut values = Vec::new();
        let third = MOST_SAMPLES / 3;
        if samples <= MOST_SAMPLES {
            signals.read(position, 0..samples, &mut values)?;
        } else {
            for start in [0, samples / 2 - third / 2, samples - third] {
                signals.read(position, start..start + third, &mut values)?;
            }
        }
        let looked = if samples > MOST_SAMPLES { " (in a part)" } else { "" };
        let rate =
            if channels.iter().all(|other| other.rate == channel.rate) { String::new() } else { format!(", {} Hz", short(channel.rate)) };
        lines.push(format!(
            "{:<width$}  {:<WIDTH$}  {}{rate}{looked}",
            channel.name,
            sparkline(&values, WIDTH),
            numbers(&values, &channel.unit)
        ));
    }
    if let Some(more @ 1..) = channels.len().checked_sub(most) {
        lines.push(format!("and {more} more channels; name `{path}` to see them"));
    }
    let pauses = channels.iter().map(|channel| channel.stretches.len()).max().unwrap_or(1);
    if pauses > 1 {
        lines.push(format!("in {pauses} stretches, with pauses between them"));
    }
    Ok(lines)
}

fn events(document: &dyn Document, path: &str) -> Result<Vec<String>, FormatError> {
    let events = document.events(path)?;
    let mut counts: BTreeMap<String, usize> = BTreeMap::new();
    events.labels().into_iter().for_each(|label| *counts.entry(label).or_default() += 1);
    let mut counts: Vec<(String, usize)> = counts.into_iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
    let named = counts.iter().take(8).map(|(label, count)| format!("{} × {count}", super::plot::shortened(label, 32))).collect::<Vec<_>>();
    let more = if counts.len() > 8 { format!(" and {} more labels", counts.len() - 8) } else { String::new() };
    if events.is_empty() {
        return Ok(Vec::new());
    }
    let mut lines = vec![format!("{}{more}", named.join(", "))];
    let times = events.times();
    let (first, last) = (times.iter().copied().fold(f64::INFINITY, f64::min), times.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    if first < last {
        lines.push(format!("{}  {} s to {} s", density(&times, (first, last), WIDTH), short(first), short(last)));
    }
    let columns = events.table().column_names();
    if columns.len() > 3 {
        lines.push(format!("columns {}", columns.join(", ")));
    }
    Ok(lines)
}

fn spikes(document: &dyn Document, path: &str) -> Result<Vec<String>, FormatError> {
    let spikes = document.spikes(path)?;
    let times = spikes.all_times();
    let (first, last) = (times.iter().copied().fold(f64::INFINITY, f64::min), times.iter().copied().fold(f64::NEG_INFINITY, f64::max));
    let mut lines = Vec::new();
    if first < last {
        lines.push(format!("{}  {} s to {} s", density(times, (first, last), WIDTH), short(first), short(last)));
        let mut rates: Vec<f64> = (0..spikes.len()).map(|unit| spikes.times(unit).len() as f64 / (last - first)).collect();
        rates.sort_by(f64::total_cmp);
        let at = |share: f64| rates.get(((rates.len().saturating_sub(1)) as f64 * share).round() as usize).copied().unwrap_or(0.0);
        let silent = rates.iter().filter(|rate| **rate == 0.0).count();
        let silent = if silent > 0 { format!(", {silent} without a spike") } else { String::new() };
        let [least, middle, greatest] = [at(0.0), at(0.5), at(1.0)].map(short);
        lines.push(format!("rates {least} to {greatest} Hz, median {middle}{silent}"));
    }
    lines.push(format!("columns {}", spikes.units().column_names().join(", ")));
    Ok(lines)
}

fn table(document: &dyn Document, path: &str, columns: &[(String, String)], most: usize) -> Result<Vec<String>, FormatError> {
    let most = if most > 3 { 64 } else { 24 };
    let named = columns.iter().take(most).map(|(name, ty)| format!("{name} ({ty})")).collect::<Vec<_>>().join(", ");
    let more = if columns.len() > most { format!(" and {} more; `--json` has all", columns.len() - most) } else { String::new() };
    let mut lines = if named.is_empty() { Vec::new() } else { vec![format!("{named}{more}")] };
    let rows = document.rows(path)?;
    let looked = rows.count().min(MOST_ROWS / (columns.len() as u64).max(1));
    let all: Vec<usize> = (0..rows.schema().fields().len().min(64)).collect();
    let batch = rows.read(&all, 0..looked)?;
    let missing: Vec<String> = batch
        .schema()
        .fields()
        .iter()
        .zip(batch.columns())
        .filter_map(|(field, column)| {
            let gaps = neuroflow_data::columns::missing(column);
            (gaps > 0).then(|| format!("{} {}", field.name(), grouped(gaps as u64)))
        })
        .collect();
    if !missing.is_empty() {
        let of = if looked < rows.count() { format!(" in the first {} rows", grouped(looked)) } else { String::new() };
        lines.push(format!("missing: {}{of}", missing.join(", ")));
    }
    Ok(lines)
}

fn array(document: &dyn Document, path: &str, shape: &[u64]) -> Result<Vec<String>, FormatError> {
    let all = shape.iter().try_fold(1u64, |product, length| product.checked_mul(*length)).unwrap_or(u64::MAX);
    if all == 0 {
        return Ok(Vec::new());
    }
    // As many of the first axis as make up the values that are looked at.
    let row = all / shape.first().copied().unwrap_or(1).max(1);
    let rows = (MOST_ROWS * 10 / row.max(1)).clamp(1, shape.first().copied().unwrap_or(1).max(1));
    let part: Vec<std::ops::Range<u64>> =
        shape.iter().enumerate().map(|(axis, length)| 0..if axis == 0 { rows.min(*length) } else { *length }).collect();
    if row > MOST_ROWS * 10 {
        return Ok(vec!["too long along its later axes to be looked at".into()]);
    }
    let tensor = document.tensor(path, if shape.is_empty() { None } else { Some(&part) })?;
    let of = if rows < shape.first().copied().unwrap_or(0) {
        format!(" in the first {} of its first axis", grouped(rows))
    } else {
        String::new()
    };
    Ok(vec![format!("{}  {}{of}", sparkline(tensor.values(), WIDTH), numbers(tensor.values(), tensor.unit().unwrap_or_default()))])
}
