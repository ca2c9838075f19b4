//! Small tables, and questions to them.

use crate::sql::Sql;
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::{Field, Schema};
use neuroflow_data::{Artifact, Kind, Meta, Table, columns};
use neuroflow_stage::{AnyStage, Context, Inputs, StageError};
use std::sync::Arc;

/// A table of columns, which may have nulls.
pub(crate) fn table(columns: Vec<(&str, ArrayRef)>) -> Artifact {
    let fields: Vec<Field> = columns.iter().map(|(name, array)| Field::new(*name, array.data_type().clone(), true)).collect();
    let arrays = columns.into_iter().map(|(_, array)| array).collect();
    Artifact::from_batch(Kind::Table, RecordBatch::try_new(Arc::new(Schema::new(fields)), arrays).unwrap(), Meta::default())
}

/// Three units of two areas.
pub(crate) fn units() -> Artifact {
    let columns = vec![
        columns::from_texts("unit", &["u1", "u2", "u3"]),
        columns::from_texts("area", &["VISp", "VISl", "VISp"]),
        columns::from_numbers("rate", vec![1.5, 0.25, 4.0]),
        columns::from_integers("Spikes", vec![30, 5, 80]),
    ];
    Artifact::from_batch(Kind::Table, Table::from_columns(columns).unwrap().batch().clone(), Meta::default())
}

/// The answer of a query over tables.
pub(crate) fn ask(tables: &[(&str, &Artifact)], query: &str) -> Result<Artifact, StageError> {
    let labelled: Vec<(&str, &str, &Artifact)> = tables.iter().map(|(name, table)| (*name, "", *table)).collect();
    ask_with(&labelled, query, &Context::quiet(1))
}

/// The answer of a query over tables and members of families (slot, label, artifact).
pub(crate) fn ask_with(tables: &[(&str, &str, &Artifact)], query: &str, context: &Context) -> Result<Artifact, StageError> {
    let mut inputs = Inputs::new();
    for (name, label, table) in tables {
        inputs.push(name, label, (*table).clone());
    }
    let outputs = AnyStage::run(&Sql, &inputs, &[("query".to_owned(), query.into())].into(), context)?;
    Ok(outputs.get("table").unwrap().clone())
}

/// An answer as text: names and types, then the rows.
pub(crate) fn shown(answer: &Artifact) -> String {
    let batch = answer.batch_of(Kind::Table).unwrap();
    let types: Vec<String> = batch.schema().fields().iter().map(|field| format!("{}: {}", field.name(), field.data_type())).collect();
    let options = arrow::util::display::FormatOptions::default().with_null("null");
    let columns: Vec<_> =
        batch.columns().iter().map(|column| arrow::util::display::ArrayFormatter::try_new(column.as_ref(), &options).unwrap()).collect();
    let rows = (0..batch.num_rows()).map(|row| columns.iter().map(|column| column.value(row).to_string()).collect::<Vec<_>>().join(" | "));
    std::iter::once(types.join(", ")).chain(rows).collect::<Vec<_>>().join("\n")
}

/// What a refused query is told: the message, and the help behind `=`.
pub(crate) fn told(tables: &[(&str, &Artifact)], query: &str) -> String {
    match ask(tables, query) {
        Ok(answer) => panic!("`{query}` was answered: {}", shown(&answer)),
        Err(error) => format!("{error}{}", error.help().map(|help| format!("\n= {help}")).unwrap_or_default()),
    }
}
