//! Parquet and Arrow files as they came, of which a query reads only the columns and the groups of rows that it needs.

use crate::portion::portions;
use crate::rows::{Portions, Rows, Wanted, batch_of, unique_names};
use crate::unreadable::damaged;
use arrow::array::{Array, ArrayRef, BooleanArray, RecordBatch, UInt64Array, new_null_array};
use arrow::datatypes::SchemaRef;
use datafusion::common::pruning::PruningStatistics;
use datafusion::common::{Column, ScalarValue};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::utils::conjunction;
use datafusion::physical_optimizer::pruning::PruningPredicateBuilder;
use neuroflow_data::formats::arrow_ipc::ArrowFile;
use neuroflow_data::formats::parquet_file::{GroupStatistics, ParquetFile};
use std::collections::{HashMap, HashSet};
use std::sync::Arc;

/// A Parquet file.
#[derive(Debug)]
pub(crate) struct ParquetRows {
    file: ParquetFile,
    schema: SchemaRef,
}

/// An Arrow IPC file.
#[derive(Debug)]
pub(crate) struct ArrowRows {
    file: ArrowFile,
    schema: SchemaRef,
}

impl ParquetRows {
    pub(crate) fn new(file: ParquetFile) -> ParquetRows {
        let schema = unique_names(file.schema());
        ParquetRows { file, schema }
    }

    /// The groups in which a row may hold to all conditions.
    fn groups(&self, wanted: &Wanted) -> Vec<usize> {
        let all = || (0..self.file.groups()).collect();
        if wanted.conditions.is_empty() {
            return all();
        }
        let builder = PruningPredicateBuilder::new().with_file_schema(Arc::clone(&self.schema));
        let Ok(predicate) = builder.try_build(conjunction(wanted.conditions.iter().cloned())) else { return all() };
        let said = Said::of(&self.file, &self.schema, &predicate_columns(wanted));
        match predicate.prune(&said) {
            Ok(keep) => keep.into_iter().enumerate().filter(|(_, keep)| *keep).map(|(group, _)| group).collect(),
            Err(_) => all(),
        }
    }
}

fn predicate_columns(wanted: &Wanted) -> HashSet<usize> {
    let columns = wanted.conditions.iter().flat_map(datafusion::physical_expr::utils::collect_columns);
    columns.map(|column| column.index()).collect()
}

impl Rows for ParquetRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn count(&self) -> Option<usize> {
        (0..self.file.groups()).try_fold(0usize, |sum, group| sum.checked_add(self.file.rows(group)))
    }

    fn narrows(&self) -> bool {
        true
    }

    fn read(&self, wanted: &Wanted) -> Result<Portions, DataFusionError> {
        let mut rows = self.file.read(&wanted.columns, &self.groups(wanted)).map_err(damaged)?;
        let schema: SchemaRef = Arc::new(self.schema.project(&wanted.columns)?);
        // The reader gives columns in the file's order.
        let mut sorted = wanted.columns.clone();
        sorted.sort_unstable();
        sorted.dedup();
        let order: Vec<usize> = wanted.columns.iter().filter_map(|column| sorted.binary_search(column).ok()).collect();
        Ok(Box::new(std::iter::from_fn(move || {
            let batch = rows.next_portion()?;
            Some(batch.map_err(damaged).and_then(|batch| {
                let columns = order.iter().map(|&position| Arc::clone(batch.column(position))).collect();
                Ok(batch_of(&schema, columns, batch.num_rows())?)
            }))
        })))
    }
}

impl ArrowRows {
    pub(crate) fn new(file: ArrowFile) -> ArrowRows {
        let schema = unique_names(file.schema());
        ArrowRows { file, schema }
    }
}

impl Rows for ArrowRows {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn count(&self) -> Option<usize> {
        None
    }

    fn narrows(&self) -> bool {
        false
    }

    fn read(&self, wanted: &Wanted) -> Result<Portions, DataFusionError> {
        let schema: SchemaRef = Arc::new(self.schema.project(&wanted.columns)?);
        let batches = self.file.read(Some(&wanted.columns)).map_err(damaged)?;
        Ok(Box::new(batches.flat_map(move |batch| -> Portions {
            let batch = batch.map_err(damaged).and_then(|batch: RecordBatch| {
                let rows = batch.num_rows();
                Ok(batch_of(&schema, batch.columns().to_vec(), rows)?)
            });
            match batch {
                Ok(batch) => Box::new(portions(batch).map(Ok)),
                Err(error) => Box::new(std::iter::once(Err(error))),
            }
        })))
    }
}

/// What the groups of a Parquet file say of the columns that conditions ask for.
struct Said {
    columns: HashMap<String, GroupStatistics>,
    rows: ArrayRef,
}

impl Said {
    fn of(file: &ParquetFile, schema: &SchemaRef, asked: &HashSet<usize>) -> Said {
        let columns = asked.iter().filter_map(|&column| Some((schema.fields().get(column)?.name().clone(), file.statistics(column)?)));
        let rows = UInt64Array::from_iter_values((0..file.groups()).map(|group| file.rows(group) as u64));
        Said { columns: columns.collect(), rows: Arc::new(rows) }
    }
}

impl PruningStatistics for Said {
    fn min_values(&self, column: &Column) -> Option<ArrayRef> {
        Some(Arc::clone(&self.columns.get(column.name())?.smallest))
    }

    fn max_values(&self, column: &Column) -> Option<ArrayRef> {
        let largest = &self.columns.get(column.name())?.largest;
        // Files leave NaN out of their statistics, and in a query NaN is larger than any number: of fractions, only the smallest is told.
        match largest.data_type().is_floating() {
            true => Some(new_null_array(largest.data_type(), largest.len())),
            false => Some(Arc::clone(largest)),
        }
    }

    fn num_containers(&self) -> usize {
        self.rows.len()
    }

    fn null_counts(&self, column: &Column) -> Option<ArrayRef> {
        Some(Arc::clone(&self.columns.get(column.name())?.nulls))
    }

    fn row_counts(&self) -> Option<ArrayRef> {
        Some(Arc::clone(&self.rows))
    }

    fn contained(&self, _column: &Column, _values: &HashSet<ScalarValue>) -> Option<BooleanArray> {
        None
    }
}
