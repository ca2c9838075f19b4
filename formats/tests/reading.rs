//! What tests of damage share: bytes as a source, small limits, everything in a document read, and numbers that are the same on each run.

use arrow::buffer::Buffer;
use neuroflow_formats::{Document, FormatError, Limits, Source, What};
use std::sync::Arc;

pub fn source(bytes: impl Into<Vec<u8>>) -> Arc<dyn Source> {
    Arc::new(Buffer::from_vec(bytes.into()))
}

/// Limits that a small file has no reason to reach.
pub fn limits() -> Limits {
    Limits { max_total_bytes: 64 << 20, free_bytes: 16 << 20, ..Limits::default() }
}

/// The rules that a document breaks, in words.
pub fn damage(document: &dyn Document) -> Vec<String> {
    document.contents().damage.iter().map(|error| error.reason.clone()).collect()
}

/// What came of reading everything.
#[derive(Debug, Default)]
pub struct Read {
    pub answers: usize,
    pub errors: Vec<FormatError>,
}

impl Read {
    fn note<T>(&mut self, result: Result<T, FormatError>) -> Option<T> {
        match result {
            Ok(value) => {
                self.answers += 1;
                Some(value)
            }
            Err(error) => {
                check(&error);
                self.errors.push(error);
                None
            }
        }
    }
}

/// An error has a format, a place, a reason and a remedy.
pub fn check(error: &FormatError) {
    let text = error.to_string();
    assert!(text.starts_with(&format!("{}: ", error.format)), "{text}");
    assert!(!error.reason.is_empty() && !error.help.is_empty() && text.contains("; "), "{text}");
}

/// Asks a document for all that it lists, and beyond its ends.
pub fn read_all(document: &dyn Document) -> Read {
    let mut read = Read::default();
    let contents = document.contents();
    for item in contents.items.iter().take(200) {
        let path = item.path.as_str();
        match &item.what {
            What::Array { .. } | What::Picture { .. } => drop(read.note(document.tensor(path, None))),
            What::Spikes { .. } => drop(read.note(document.spikes(path))),
            What::Events { .. } => drop(read.note(document.events(path))),
            What::Graph { .. } => drop(read.note(document.graph("weight"))),
            What::Recording { .. } => {
                let Some(signals) = read.note(document.signals(path)) else { continue };
                let channels: Vec<usize> = (0..signals.channels().len().min(64)).collect();
                for channel in &channels {
                    read.note(signals.read(*channel, 1..u64::MAX, &mut Vec::new()));
                    read.note(signals.stored(*channel));
                }
                // Only as much as is known to fit: a recording takes whole channels.
                read.note(signals.recording(contents.format, "", &channels[..channels.len().min(4)]));
            }
            _ => {}
        }
        if matches!(item.what, What::Group | What::Value(_) | What::Text { .. } | What::Graph { .. }) {
            continue;
        }
        match document.rows(path) {
            Ok(rows) => {
                let columns: Vec<usize> = (0..rows.schema().fields().len().min(64)).collect();
                read.note(rows.read(&columns, 0..rows.count().saturating_mul(2)));
                read.note(rows.read(&columns, 1..2));
                let _ = rows.bounds(0, 0..rows.count());
            }
            // Not everything has rows; that is no damage.
            Err(error) => check(&error),
        }
    }
    read
}

/// xorshift64*: the same numbers on every machine.
pub struct Dice(pub u64);

impl Dice {
    pub fn roll(&mut self, sides: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_f491_4f6c_dd1d) >> 33) as usize % sides.max(1)
    }
}
