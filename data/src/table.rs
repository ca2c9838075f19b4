//! Rows and named columns.

use crate::artifact::{Artifact, Meta, Typed};
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use arrow::array::{ArrayRef, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Field, Schema};
use std::sync::Arc;

/// A table: one Arrow record batch.
#[derive(Debug, Clone, PartialEq)]
pub struct Table {
    batch: RecordBatch,
}

impl Table {
    /// A table from columns of equal length.
    ///
    /// # Errors
    /// When lengths differ.
    pub fn from_columns(columns: Vec<(Field, ArrayRef)>) -> Result<Table, DataError> {
        let rows = columns.first().map_or(0, |(_, array)| array.len());
        let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = columns.into_iter().unzip();
        let options = RecordBatchOptions::new().with_row_count(Some(rows));
        Ok(Table { batch: RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)? })
    }

    /// A table from a record batch.
    pub fn from_batch(batch: RecordBatch) -> Table {
        Table { batch }
    }

    /// The record batch.
    pub fn batch(&self) -> &RecordBatch {
        &self.batch
    }

    /// The number of rows.
    pub fn rows(&self) -> usize {
        self.batch.num_rows()
    }

    /// The column names, in order.
    pub fn column_names(&self) -> Vec<String> {
        self.batch.schema().fields().iter().map(|field| field.name().clone()).collect()
    }

    /// See [`columns::numbers`].
    ///
    /// # Errors
    /// When the column is missing or not numeric.
    pub fn numbers(&self, name: &str) -> Result<Vec<f64>, DataError> {
        columns::numbers(&self.batch, name)
    }

    /// See [`columns::integers`].
    ///
    /// # Errors
    /// When the column is missing or not made of whole numbers.
    pub fn integers(&self, name: &str) -> Result<Vec<i64>, DataError> {
        columns::integers(&self.batch, name)
    }

    /// See [`columns::texts`].
    ///
    /// # Errors
    /// When the column is missing.
    pub fn texts(&self, name: &str) -> Result<Vec<String>, DataError> {
        columns::texts(&self.batch, name)
    }

    /// The rows at `positions`, in that order (repeats allowed).
    ///
    /// # Errors
    /// When a position is past the end.
    pub fn select(&self, positions: &[usize]) -> Result<Table, DataError> {
        if let Some(past) = positions.iter().find(|&&position| position >= self.rows()) {
            return Err(DataError::Invalid(format!("row {past} of a table of {} rows", self.rows())));
        }
        let indices = arrow::array::UInt64Array::from_iter_values(positions.iter().map(|&position| position as u64));
        Ok(Table { batch: arrow::compute::take_record_batch(&self.batch, &indices)? })
    }

    /// The same table with a column replaced (same name) or added.
    ///
    /// # Errors
    /// When the length differs.
    pub fn with_column(&self, field: Field, array: ArrayRef) -> Result<Table, DataError> {
        let schema = self.batch.schema();
        let mut pairs: Vec<(Field, ArrayRef)> =
            schema.fields().iter().zip(self.batch.columns()).map(|(field, array)| (field.as_ref().clone(), Arc::clone(array))).collect();
        match pairs.iter_mut().find(|(existing, _)| existing.name() == field.name()) {
            Some(pair) => *pair = (field, array),
            None => pairs.push((field, array)),
        }
        Table::from_columns(pairs)
    }
}

impl Typed for Table {
    const KIND: Kind = Kind::Table;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        Ok(Artifact::from_batch(Kind::Table, self.batch, Meta::default()))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Table, DataError> {
        Ok(Table { batch: artifact.batch_of(Kind::Table)?.clone() })
    }
}
