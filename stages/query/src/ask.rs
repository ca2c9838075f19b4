//! A query of the tables in a file, beside all pipelines.

use crate::document_rows::DocumentRows;
use crate::execute;
use crate::query::Unordered;
use crate::rows::{Named, Rows};
use neuroflow_data::Table;
use neuroflow_stage::{Context, StageError};
use std::collections::BTreeMap;
use std::sync::Arc;

/// The answer of a query to tables in files, by their names. Without `order by`, rows come as they stand in the file, so that a `limit` reads little.
///
/// # Errors
/// As the stage `query.sql`.
pub fn ask(tables: BTreeMap<String, Arc<dyn neuroflow_formats::Rows>>, query: &str, context: &Context) -> Result<Table, StageError> {
    let named = |(name, rows): (String, Arc<dyn neuroflow_formats::Rows>)| {
        let rows: Arc<dyn Rows> = Arc::new(Named::new(format!("table `{name}`"), Arc::new(DocumentRows::new(rows))));
        (name, rows)
    };
    execute::run(tables.into_iter().map(named).collect(), query.to_owned(), Unordered::AsRead, context)
}
