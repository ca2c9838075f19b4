//! A file read to its end, to see whether it is whole: nothing is kept.

use crate::document::{Document, Item, What};
use neuroflow_data::formats::{COPY_AGAIN, FormatError, Place};
use std::ops::Range;

/// Values of a channel or a table that are held at a time.
const AT_A_TIME: u64 = 1 << 20;

/// Values of an array that are held at a time: more, because a part of what is compressed costs as much as all of it.
const OF_AN_ARRAY: u64 = 1 << 26;

/// More values than any file holds: 8 TiB of numbers. What claims more would be read without an end, where missing chunks stand for one value.
const MOST_VALUES: u64 = 1 << 40;

/// Reads everything that is listed, a stretch at a time, and gives each rule that is broken: those that opening met, and the first of each item.
/// `progress` is told how many items are read, of how many.
pub fn read_through(document: &dyn Document, progress: &mut dyn FnMut(usize, usize)) -> Vec<FormatError> {
    let contents = document.contents();
    let mut broken = contents.damage.clone();
    for (done, item) in contents.items.iter().enumerate() {
        progress(done, contents.items.len());
        // What was never meant to be read, like a virtual data set, is no damage.
        if let Err(error) = through(document, item)
            && error.is_damage()
        {
            broken.push(named(error, &item.path));
        }
    }
    broken
}

/// The same error with the item, where it does not say which.
fn named(mut error: FormatError, path: &str) -> FormatError {
    match error.place {
        Place::File => error.place = Place::Object { path: path.to_owned(), byte: None },
        Place::Byte(byte) => error.place = Place::Object { path: path.to_owned(), byte: Some(byte) },
        _ => {}
    }
    error
}

fn through(document: &dyn Document, item: &Item) -> Result<(), FormatError> {
    let path = item.path.as_str();
    match &item.what {
        What::Group | What::Value(_) | What::Text { .. } => Ok(()),
        What::Array { shape, .. } if shape.iter().fold(1u64, |all, length| all.saturating_mul(*length)) > MOST_VALUES => {
            Err(claims(document, format!("the array claims to have {}", shape.iter().map(u64::to_string).collect::<Vec<_>>().join(" × "))))
        }
        What::Array { shape, .. } => match parts(shape).try_for_each(|part| document.tensor(path, Some(&part)).map(drop)) {
            // Texts and records are rows.
            Err(error) if !error.is_damage() => rows(document, path),
            read => read,
        },
        What::Picture { .. } => document.tensor(path, None).map(drop),
        What::Recording { .. } => {
            let signals = document.signals(path)?;
            let mut values = Vec::new();
            for channel in 0..signals.channels().len() {
                let samples = signals.samples(channel);
                let mut start = 0;
                while start < samples {
                    let end = start.saturating_add(AT_A_TIME).min(samples);
                    values.clear();
                    signals.read(channel, start..end, &mut values)?;
                    start = end;
                }
            }
            Ok(())
        }
        What::Spikes { .. } => document.spikes(path).map(drop),
        What::Events { .. } => document.events(path).map(drop),
        What::Graph { .. } => document.graph("").map(drop),
        What::Table { .. } => rows(document, path),
    }
}

fn claims(document: &dyn Document, reason: String) -> FormatError {
    FormatError::new(document.contents().format, Place::File, reason, COPY_AGAIN)
}

fn rows(document: &dyn Document, path: &str) -> Result<(), FormatError> {
    let rows = document.rows(path)?;
    let columns: Vec<usize> = (0..rows.schema().fields().len()).collect();
    let step = (AT_A_TIME / (columns.len() as u64).max(1)).max(1);
    let (mut start, count) = (0, rows.count());
    if count.saturating_mul(columns.len() as u64) > MOST_VALUES {
        return Err(claims(document, format!("the table claims to have {count} rows")));
    }
    while start < count {
        let end = start.saturating_add(step).min(count);
        rows.read(&columns, start..end)?;
        start = end;
    }
    Ok(())
}

/// An array in parts along its first axis, none of more than so many values unless one step along it has more.
fn parts(shape: &[u64]) -> impl Iterator<Item = Vec<Range<u64>>> {
    let below: u64 = shape.iter().skip(1).product::<u64>().max(1);
    let (length, step) = (shape.first().copied().unwrap_or(1), (OF_AN_ARRAY / below).max(1));
    let shape = shape.to_vec();
    let mut start = 0u64;
    std::iter::from_fn(move || {
        let end = start.saturating_add(step).min(length);
        let part =
            (start < length).then(|| shape.iter().enumerate().map(|(axis, all)| if axis == 0 { start..end } else { 0..*all }).collect());
        start = end;
        part
    })
}
