//! A row for each spike, read from the arrays by ranges.

use crate::document::Rows;
use crate::npy_array::NpyArray;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use neuroflow_data::formats::{Format, FormatError, Place};
use std::ops::Range;
use std::sync::Arc;

/// `time`, and a column for each array.
#[derive(Debug)]
pub(super) struct EachSpike {
    arrays: Vec<(&'static str, NpyArray)>,
    rate: Option<f64>,
    count: u64,
    schema: SchemaRef,
}

impl EachSpike {
    /// `arrays` have `count` values each; the first has the samples of the spikes. Without a rate there is no column of times.
    pub(super) fn new(arrays: Vec<(&'static str, NpyArray)>, rate: Option<f64>, count: u64) -> EachSpike {
        let kind = |name: &str| if is_whole(name) { DataType::Int64 } else { DataType::Float64 };
        let mut fields: Vec<Field> = rate.iter().map(|_| Field::new("time", DataType::Float64, false)).collect();
        fields.extend(arrays.iter().map(|(name, _)| Field::new(*name, kind(name), false)));
        EachSpike { arrays, rate, count, schema: Arc::new(Schema::new(fields)) }
    }
}

fn is_whole(name: &str) -> bool {
    name != "amplitude"
}

impl Rows for EachSpike {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let wrong = |reason: String| FormatError::new(Format::Phy, Place::File, reason, "count columns from 0");
        let schema = Arc::new(self.schema.project(columns).map_err(|error| wrong(error.to_string()))?);
        let end = rows.end.min(self.count);
        let rows = rows.start.min(end)..end;
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        for &column in columns {
            let place = column.checked_sub(usize::from(self.rate.is_some()));
            let Some((name, array)) = self.arrays.get(place.unwrap_or_default()) else { continue };
            let values = array.some(Format::Phy, rows.clone())?;
            arrays.push(match (place, self.rate) {
                (None, Some(rate)) => Arc::new(Float64Array::from_iter_values(values.into_iter().map(|sample| sample / rate))),
                _ if is_whole(name) => Arc::new(Int64Array::from_iter_values(values.into_iter().map(|value| value as i64))),
                _ => Arc::new(Float64Array::from(values)),
            });
        }
        let options = RecordBatchOptions::new().with_row_count(usize::try_from(rows.end - rows.start).ok());
        RecordBatch::try_new_with_options(schema, arrays, &options).map_err(|error| wrong(error.to_string()))
    }
}
