//! Rows that a query reads, a portion at a time. Where they stand (columns in memory, a tensor, a mapped file) is no business of the query's.

use crate::portion::portions;
use crate::unreadable::within;
use arrow::array::{RecordBatch, RecordBatchOptions};
use arrow::datatypes::{Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::PhysicalExpr;
use std::fmt::Debug;
use std::sync::Arc;

/// Rows in a portion.
pub(crate) const PORTION: usize = 8192;

/// Portions of rows, one after the other.
pub(crate) type Portions = Box<dyn Iterator<Item = Result<RecordBatch, DataFusionError>> + Send>;

/// What a query wants of some rows.
#[derive(Debug, Clone, Default)]
pub(crate) struct Wanted {
    /// The columns, by position, in the order in which they are to come.
    pub(crate) columns: Vec<usize>,
    /// Conditions on the rows, over all columns. Rows that break one may come or not: the query asks again.
    pub(crate) conditions: Vec<Arc<dyn PhysicalExpr>>,
}

/// Rows with named columns.
pub(crate) trait Rows: Debug + Send + Sync {
    /// Names and types of the columns. Names are unique.
    fn schema(&self) -> &SchemaRef;

    /// The number of rows, when it is known without reading.
    fn count(&self) -> Option<usize>;

    /// Whether conditions can spare work.
    fn narrows(&self) -> bool;

    /// The wanted columns, always in the same order of rows.
    ///
    /// # Errors
    /// When the bytes behind the rows are damaged.
    fn read(&self, wanted: &Wanted) -> Result<Portions, DataFusionError>;
}

/// Columns that stand in memory, shared with whatever they came from.
#[derive(Debug)]
pub(crate) struct Columns {
    batch: RecordBatch,
}

impl Columns {
    pub(crate) fn new(batch: RecordBatch) -> Columns {
        Columns { batch: with_unique_names(batch) }
    }
}

impl Rows for Columns {
    fn schema(&self) -> &SchemaRef {
        self.batch.schema_ref()
    }

    fn count(&self) -> Option<usize> {
        Some(self.batch.num_rows())
    }

    fn narrows(&self) -> bool {
        false
    }

    fn read(&self, wanted: &Wanted) -> Result<Portions, DataFusionError> {
        let batch = self.batch.project(&wanted.columns)?;
        Ok(Box::new(portions(batch).map(Ok)))
    }
}

/// Rows under a name, which stands before what is wrong with them.
#[derive(Debug)]
pub(crate) struct Named {
    place: String,
    rows: Arc<dyn Rows>,
}

impl Named {
    /// `place` says whose the rows are: `` table `units` ``.
    pub(crate) fn new(place: String, rows: Arc<dyn Rows>) -> Named {
        Named { place, rows }
    }
}

impl Rows for Named {
    fn schema(&self) -> &SchemaRef {
        self.rows.schema()
    }

    fn count(&self) -> Option<usize> {
        self.rows.count()
    }

    fn narrows(&self) -> bool {
        self.rows.narrows()
    }

    fn read(&self, wanted: &Wanted) -> Result<Portions, DataFusionError> {
        let portions = self.rows.read(wanted).map_err(|error| within(&self.place, error))?;
        let place = self.place.clone();
        Ok(Box::new(portions.map(move |batch| batch.map_err(|error| within(&place, error)))))
    }
}

/// A batch of some columns that knows its number of rows even when there is no column.
pub(crate) fn batch_of(
    schema: &SchemaRef,
    columns: Vec<arrow::array::ArrayRef>,
    rows: usize,
) -> Result<RecordBatch, arrow::error::ArrowError> {
    RecordBatch::try_new_with_options(Arc::clone(schema), columns, &RecordBatchOptions::new().with_row_count(Some(rows)))
}

/// A name that is not taken: itself, or with `_2`, `_3`, … behind it.
pub(crate) fn free_name(name: &str, taken: &dyn Fn(&str) -> bool) -> String {
    if !taken(name) {
        return name.to_owned();
    }
    let mut number = 2u64;
    loop {
        let next = format!("{name}_{number}");
        if !taken(&next) {
            return next;
        }
        number += 1;
    }
}

/// The batch with columns of one name told apart, and without notes on fields, which are not for queries.
fn with_unique_names(batch: RecordBatch) -> RecordBatch {
    let schema = unique_names(batch.schema_ref());
    batch_of(&schema, batch.columns().to_vec(), batch.num_rows()).unwrap_or(batch)
}

/// The schema with columns of one name told apart, and without notes.
pub(crate) fn unique_names(schema: &Schema) -> SchemaRef {
    let mut fields: Vec<arrow::datatypes::Field> = Vec::with_capacity(schema.fields().len());
    let mut names: std::collections::HashSet<String> = std::collections::HashSet::new();
    for field in schema.fields() {
        let name = free_name(field.name(), &|name| names.contains(name));
        names.insert(name.clone());
        fields.push(field.as_ref().clone().with_name(name).with_metadata(std::collections::HashMap::new()));
    }
    Arc::new(Schema::new(fields))
}
