//! A table as it comes out of Parquet or Arrow IPC: one schema, some record batches.

use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use arrow::error::ArrowError;

/// The record batches of one file; all have `schema`.
#[derive(Debug, Clone, PartialEq)]
pub struct Batches {
    /// Names, types and metadata of the columns.
    pub schema: SchemaRef,
    /// The rows, in the file's order. May be empty.
    pub batches: Vec<RecordBatch>,
}

impl Batches {
    /// Rows in all batches.
    pub fn n_rows(&self) -> usize {
        self.batches.iter().map(RecordBatch::num_rows).sum()
    }

    /// All rows as one batch: without a copy if there is one batch, else copied together.
    pub fn into_one(mut self) -> Result<RecordBatch, ArrowError> {
        match (self.batches.len(), self.batches.pop()) {
            (1, Some(only)) => Ok(only),
            (_, None) => Ok(RecordBatch::new_empty(self.schema)),
            (_, Some(last)) => {
                self.batches.push(last);
                concat_batches(&self.schema, &self.batches)
            }
        }
    }
}
