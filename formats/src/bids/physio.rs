//! Continuous recordings beside the data: `physio.tsv.gz` and `stim.tsv.gz` (BIDS 1.10, "Modality specific files: Physiological recordings").
//!
//! The table has no line of names: the JSON that applies to it gives `Columns`, `SamplingFrequency` and `StartTime`. Compressed text can't be
//! entered midway, so opening inflates it; reading then looks at the asked rows and columns alone.

use super::tsv::{missing, number};
use super::{BidsTree, MOST_COLUMNS, fault};
use crate::document::{Rows, Signals};
use arrow::array::{ArrayRef, Float64Array, Float64Builder, RecordBatch, RecordBatchOptions};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use neuroflow_data::formats::inflate::{Wrapping, inflate};
use neuroflow_data::formats::{Budget, FormatError};
use neuroflow_data::{Channel, Samples};
use serde_json::Value;
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Every so many rows it is kept where they begin.
const STRIDE: u64 = 256;

const NUMBERS: &str = "write numbers, or `n/a` where there is none, with a tab between columns";

/// A continuous recording, held as the text of its table.
///
/// Columns: `time` in seconds from the start of the data that it belongs to (`StartTime` + row / `SamplingFrequency`), then those of `Columns`, as
/// numbers (null for `n/a`).
#[derive(Debug)]
pub(super) struct Continuous {
    path: String,
    text: Buffer,
    /// Where every [`STRIDE`]th row begins.
    begins: Vec<usize>,
    count: u64,
    start: f64,
    schema: SchemaRef,
    channels: Vec<Channel>,
}

impl BidsTree {
    pub(super) fn continuous(&self, path: &str) -> Result<Continuous, FormatError> {
        let file = self.file(path)?;
        let sidecar = self.sidecar_of(file)?;
        let section = "Physiological recordings";
        let lacks = |field: &str| {
            fault(path, format!("its JSON does not give `{field}` ({section})"), format!("add `{field}` to the JSON of the same name"))
        };
        let rate = sidecar.number("SamplingFrequency").filter(|rate| *rate > 0.0).ok_or_else(|| lacks("SamplingFrequency"))?;
        let start = sidecar.number("StartTime").ok_or_else(|| lacks("StartTime"))?;
        let listed = sidecar.values.get("Columns").and_then(Value::as_array).ok_or_else(|| lacks("Columns"))?;
        let names: Vec<&str> = listed.iter().filter_map(Value::as_str).collect();
        let unique: BTreeSet<&&str> = names.iter().collect();
        if names.len() != listed.len() || names.is_empty() || unique.len() != names.len() || names.len() > MOST_COLUMNS {
            return Err(fault(
                path,
                format!("`Columns` in its JSON is not a list of different names ({section})"),
                "name each column once",
            ));
        }
        let compressed = self.read(path, self.limits.max_total_bytes)?;
        let text = if file.name.extension.ends_with(".gz") {
            let mut budget = Budget::new(self.limits.expansion(compressed.len() as u64));
            inflate(Wrapping::Gzip, &compressed, None, &self.limits, &mut budget)
                .map_err(|reason| fault(path, reason, "copy or download the file again, or raise the reader's limits if you trust it"))?
        } else {
            compressed
        };
        if std::str::from_utf8(&text).is_err() {
            return Err(fault(path, "the text is not UTF-8", "save the table as UTF-8"));
        }
        let text = Buffer::from_vec(text);
        let (mut begins, mut count, mut at) = (Vec::new(), 0u64, 0usize);
        while at < text.len() {
            if count.is_multiple_of(STRIDE) {
                begins.push(at);
            }
            count += 1;
            let rest = text.as_slice().get(at..).unwrap_or(&[]);
            at += memchr(rest).map_or(rest.len(), |end| end + 1);
        }
        let said = |name: &str, key: &str| {
            sidecar.values.get(name).and_then(|column| column.get(key)).and_then(Value::as_str).unwrap_or("").to_owned()
        };
        let mut fields = vec![Field::new("time", DataType::Float64, false).with_metadata([("unit".into(), "s".into())].into())];
        let mut channels = Vec::with_capacity(names.len());
        for name in &names {
            let unit = said(name, "Units");
            let metadata = [("unit", unit.clone()), ("description", said(name, "Description"))];
            let metadata = metadata.into_iter().filter(|(_, text)| !text.is_empty()).map(|(key, text)| (key.to_owned(), text)).collect();
            let clash = *name == "time";
            fields.push(Field::new(if clash { "physio_time" } else { name }, DataType::Float64, true).with_metadata(metadata));
            let mut channel = Channel::new(*name, unit, rate);
            if let Some(stretch) = channel.stretches.first_mut() {
                stretch.time = start;
            }
            channels.push(channel);
        }
        Ok(Continuous { path: path.to_owned(), text, begins, count, start, schema: Arc::new(Schema::new(fields)), channels })
    }
}

/// The place of the next end of line.
fn memchr(bytes: &[u8]) -> Option<usize> {
    bytes.iter().position(|byte| *byte == b'\n')
}

impl Continuous {
    pub(super) fn rate(&self) -> f64 {
        self.channels.first().map_or(1.0, |channel| channel.rate)
    }

    fn time(&self, row: u64) -> f64 {
        self.start + row as f64 / self.rate()
    }

    /// Calls `each` with the row and its text for rows in a range.
    fn lines(&self, rows: Range<u64>, mut each: impl FnMut(u64, &str) -> Result<(), FormatError>) -> Result<(), FormatError> {
        let rows = rows.start.min(self.count)..rows.end.min(self.count);
        let block = usize::try_from(rows.start / STRIDE).unwrap_or(usize::MAX);
        let Some(mut at) = self.begins.get(block).copied() else { return Ok(()) };
        let mut row = rows.start / STRIDE * STRIDE;
        while row < rows.end {
            let rest = self.text.as_slice().get(at..).unwrap_or(&[]);
            let end = memchr(rest).unwrap_or(rest.len());
            if row >= rows.start {
                let line = rest.get(..end).unwrap_or(&[]);
                each(row, std::str::from_utf8(line.strip_suffix(b"\r").unwrap_or(line)).unwrap_or(""))?;
            }
            at += end + 1;
            row += 1;
        }
        Ok(())
    }

    /// One column of values for each of `wanted`, counted from 0 in the file.
    fn values(&self, wanted: &[usize], rows: Range<u64>, mut put: impl FnMut(usize, Option<f64>)) -> Result<(), FormatError> {
        let total = self.channels.len();
        // For each column of the file, where it goes.
        let mut places: Vec<Vec<usize>> = vec![Vec::new(); total];
        for (place, column) in wanted.iter().enumerate() {
            if let Some(list) = places.get_mut(*column) {
                list.push(place);
            }
        }
        self.lines(rows, |row, line| {
            let mut found = 0;
            for (column, cell) in line.split('\t').enumerate() {
                found += 1;
                let Some(list) = places.get(column).filter(|list| !list.is_empty()) else { continue };
                let cell = cell.trim_matches(' ');
                let value = if missing(cell) {
                    None
                } else {
                    let Some(value) = number(cell) else {
                        let reason = format!(
                            "line {}, column {}: `{}` is not a number",
                            row + 1,
                            column + 1,
                            cell.chars().take(20).collect::<String>().escape_debug()
                        );
                        return Err(fault(&self.path, reason, NUMBERS));
                    };
                    Some(value)
                };
                list.iter().for_each(|place| put(*place, value));
            }
            if found != total {
                let reason = format!("line {} has {found} cells, `Columns` in the JSON has {total}", row + 1);
                return Err(fault(&self.path, reason, NUMBERS));
            }
            Ok(())
        })
    }
}

impl Rows for Continuous {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let rows = rows.start.min(self.count)..rows.end.min(self.count).max(rows.start.min(self.count));
        let told = |error: &dyn std::fmt::Display| fault(&self.path, error.to_string(), "ask for other columns");
        let schema = Arc::new(self.schema.project(columns).map_err(|error| told(&error))?);
        let wanted: Vec<usize> = columns.iter().filter_map(|column| column.checked_sub(1)).collect();
        let mut builders: Vec<Float64Builder> = wanted.iter().map(|_| Float64Builder::with_capacity(0)).collect();
        if !wanted.is_empty() {
            self.values(&wanted, rows.clone(), |place, value| {
                if let Some(builder) = builders.get_mut(place) {
                    builder.append_option(value);
                }
            })?;
        }
        let mut built = builders.iter_mut();
        let arrays: Vec<ArrayRef> = columns
            .iter()
            .filter_map(|column| match column {
                0 => Some(Arc::new(Float64Array::from_iter_values(rows.clone().map(|row| self.time(row)))) as ArrayRef),
                _ => built.next().map(|builder| Arc::new(builder.finish()) as ArrayRef),
            })
            .collect();
        let options = RecordBatchOptions::new().with_row_count(usize::try_from(rows.end - rows.start).ok());
        RecordBatch::try_new_with_options(schema, arrays, &options).map_err(|error| told(&error))
    }

    fn bounds(&self, column: usize, rows: Range<u64>) -> Option<(f64, f64)> {
        let end = rows.end.min(self.count);
        (column == 0 && rows.start < end).then(|| (self.time(rows.start), self.time(end - 1)))
    }
}

impl Signals for Continuous {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn samples(&self, _channel: usize) -> u64 {
        self.count
    }

    fn read(&self, channel: usize, samples: Range<u64>, into: &mut Vec<f64>) -> Result<(), FormatError> {
        if channel < self.channels.len() && samples.start < samples.end {
            self.values(&[channel], samples, |_, value| into.push(value.unwrap_or(f64::NAN)))?;
        }
        Ok(())
    }

    fn stored(&self, channel: usize) -> Result<Samples, FormatError> {
        let mut values = Vec::new();
        Signals::read(self, channel, 0..self.count, &mut values)?;
        Ok(Samples::F64(values.into()))
    }
}
