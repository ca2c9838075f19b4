//! Columns without any value, as columns of fractions that are null throughout: what a query asks of a column (a sum, a product) needs a type.
//!
//! A family settles this later than its members: beside a member that has values, a column without any takes on their type.

use crate::rows::{Portions, Rows, Wanted, batch_of};
use arrow::array::new_null_array;
use arrow::datatypes::{DataType, Schema, SchemaRef};
use datafusion::error::DataFusionError;
use datafusion::physical_expr::utils::collect_columns;
use std::sync::Arc;

/// Rows of which some columns have no value.
#[derive(Debug)]
struct Filled {
    rows: Arc<dyn Rows>,
    schema: SchemaRef,
}

/// The rows without columns of type Null.
pub(crate) fn filled(rows: Arc<dyn Rows>) -> Arc<dyn Rows> {
    if rows.schema().fields().iter().all(|field| field.data_type() != &DataType::Null) {
        return rows;
    }
    let fields = rows.schema().fields().iter().map(|field| match field.data_type() {
        DataType::Null => field.as_ref().clone().with_data_type(DataType::Float64).with_nullable(true),
        _ => field.as_ref().clone(),
    });
    let schema = Arc::new(Schema::new(fields.collect::<Vec<_>>()));
    Arc::new(Filled { rows, schema })
}

impl Rows for Filled {
    fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    fn count(&self) -> Option<usize> {
        self.rows.count()
    }

    fn narrows(&self) -> bool {
        self.rows.narrows()
    }

    fn read(&self, wanted: &Wanted) -> Result<Portions, DataFusionError> {
        // The rows do not know these columns with this type; conditions on them are asked by the query.
        let own = self.rows.schema();
        let known = |column: usize| own.fields().get(column).is_some_and(|field| field.data_type() != &DataType::Null);
        let conditions = wanted.conditions.iter().filter(|condition| collect_columns(condition).iter().all(|column| known(column.index())));
        let wanted = Wanted { columns: wanted.columns.clone(), conditions: conditions.cloned().collect() };
        let schema: SchemaRef = Arc::new(self.schema.project(&wanted.columns)?);
        Ok(Box::new(self.rows.read(&wanted)?.map(move |batch| {
            let batch = batch?;
            let columns = batch.columns().iter().map(|column| match column.data_type() {
                DataType::Null => new_null_array(&DataType::Float64, column.len()),
                _ => Arc::clone(column),
            });
            Ok(batch_of(&schema, columns.collect(), batch.num_rows())?)
        })))
    }
}
