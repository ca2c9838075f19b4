//! Rows: the samples of a recording with their times, and tables that are held whole.

use super::Series;
use crate::document::Rows;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use neuroflow_data::formats::{Format, FormatError, Place};
use neuroflow_data::{Channel, DataError, Table};
use std::ops::Range;
use std::sync::Arc;

/// A row for each sample: `time` in seconds, and a column for each channel of one rate.
#[derive(Debug)]
pub(super) struct SeriesRows {
    series: Arc<Series>,
    channels: Vec<usize>,
    samples: u64,
    schema: SchemaRef,
}

impl SeriesRows {
    pub(super) fn new(series: Arc<Series>, channels: Vec<usize>, samples: u64) -> SeriesRows {
        let mut names: Vec<String> = Vec::with_capacity(channels.len() + 1);
        names.push("time".into());
        names.extend(channels.iter().filter_map(|&channel| series.channel_list().get(channel)).map(|channel| channel.name.clone()));
        // A channel that is itself called `time` makes way for the column of times.
        let taken: std::collections::HashSet<String> = names.iter().cloned().collect();
        if let Some(own) = names.iter_mut().skip(1).find(|name| *name == "time") {
            while taken.contains(own.as_str()) {
                own.push('\'');
            }
        }
        let fields: Vec<Field> = names.into_iter().map(|name| Field::new(name, DataType::Float64, false)).collect();
        SeriesRows { series, channels, samples, schema: Arc::new(Schema::new(fields)) }
    }

    fn clock(&self) -> Option<&Channel> {
        self.series.channel_list().get(*self.channels.first()?)
    }
}

impl Rows for SeriesRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn count(&self) -> u64 {
        self.samples
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let rows = rows.start.min(self.samples)..rows.end.min(self.samples);
        let rows = rows.start.min(rows.end)..rows.end;
        let channels: Vec<usize> = columns.iter().filter_map(|column| self.channels.get(column.checked_sub(1)?)).copied().collect();
        let mut values = self.series.values(&channels, rows.clone())?.into_iter();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        for &column in columns {
            let own = match column.checked_sub(1) {
                None => self.clock().map(|clock| times(clock, &rows)).unwrap_or_default(),
                Some(_) => values.next().unwrap_or_default(),
            };
            arrays.push(Arc::new(Float64Array::from(own)));
        }
        batch(self.series.format, &self.schema, columns, arrays, rows.end - rows.start)
    }

    fn bounds(&self, column: usize, rows: Range<u64>) -> Option<(f64, f64)> {
        let (end, clock) = (rows.end.min(self.samples), self.clock()?);
        // Stretches may overlap where a recorder's clock was set back; then the ends of the range do not bound the times.
        let rising = clock.stretches.windows(2).all(|pair| match pair {
            [one, two] => one.time + (two.first - one.first).saturating_sub(1) as f64 / clock.rate <= two.time,
            _ => true,
        });
        (column == 0 && rows.start < end && rising).then(|| (clock.time_of(rows.start), clock.time_of(end - 1)))
    }
}

/// The times of samples in a range.
fn times(clock: &Channel, rows: &Range<u64>) -> Vec<f64> {
    let mut times = Vec::with_capacity(usize::try_from(rows.end - rows.start).unwrap_or(0));
    let mut place = clock.stretches.partition_point(|stretch| stretch.first <= rows.start).saturating_sub(1);
    let mut sample = rows.start;
    while sample < rows.end {
        let Some(stretch) = clock.stretches.get(place) else { break };
        let end = clock.stretches.get(place + 1).map_or(rows.end, |next| next.first.min(rows.end));
        times.extend((sample..end).map(|sample| stretch.time + (sample - stretch.first) as f64 / clock.rate));
        (sample, place) = (end.max(sample), place + 1);
    }
    times
}

/// A table that is held in memory.
#[derive(Debug)]
pub(crate) struct HeldRows {
    format: Format,
    batch: RecordBatch,
}

/// The rows of a table that is held in memory.
pub(crate) fn held(format: Format, table: &Table) -> Arc<dyn Rows> {
    Arc::new(HeldRows { format, batch: table.batch().clone() })
}

impl Rows for HeldRows {
    fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    fn count(&self) -> u64 {
        self.batch.num_rows() as u64
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let all = self.batch.num_rows();
        let end = usize::try_from(rows.end).unwrap_or(usize::MAX).min(all);
        let start = usize::try_from(rows.start).unwrap_or(usize::MAX).min(end);
        let slices = columns.iter().filter_map(|&column| self.batch.columns().get(column)).map(|array| array.slice(start, end - start));
        batch(self.format, &self.batch.schema(), columns, slices.collect(), (end - start) as u64)
    }
}

fn batch(format: Format, schema: &SchemaRef, columns: &[usize], arrays: Vec<ArrayRef>, rows: u64) -> Result<RecordBatch, FormatError> {
    let wrong = |reason: String| FormatError::new(format, Place::File, reason, "count columns from 0");
    if let Some(past) = columns.iter().find(|&&column| column >= schema.fields().len()) {
        return Err(wrong(format!("column {past} was asked for, the table has {}", schema.fields().len())));
    }
    let schema = Arc::new(schema.project(columns).map_err(|error| wrong(error.to_string()))?);
    let options = RecordBatchOptions::new().with_row_count(usize::try_from(rows).ok());
    RecordBatch::try_new_with_options(schema, arrays, &options).map_err(|error| wrong(error.to_string()))
}

/// A data error on the way to a table, as an error of the format.
pub(crate) fn unusable(format: Format, path: &str) -> impl Fn(DataError) -> FormatError {
    move |error| {
        FormatError::new(
            format,
            Place::Object { path: path.into(), byte: None },
            error.to_string(),
            "read it with another tool and report it",
        )
    }
}
