//! Results as tables: a few plain column types, and the same bytes for the same values.
//!
//! | in a query | in the table |
//! |---|---|
//! | whole numbers of any width | `Int64` |
//! | fractions of any width, decimals, columns of nothing but nulls | `Float64` |
//! | text, also as dictionary or view | `Utf8` |
//! | bytes, also as view | `Binary` |
//! | truth values, dates, times, timestamps, durations, lists | as they are |
//!
//! Structs, maps and unions are refused: their fields can be chosen one by one.

use crate::problem::{listed, refused};
use arrow::array::{Array, ArrayRef, RecordBatch, make_array};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use arrow::row::{RowConverter, SortField};
use neuroflow_data::{DataError, Table};
use neuroflow_stage::StageError;
use std::collections::BTreeSet;
use std::sync::Arc;

/// The type that a column of a query has in a table.
///
/// # Errors
/// For structs, maps and unions; says what to do.
fn plain_type(name: &str, ty: &DataType) -> Result<DataType, StageError> {
    Ok(match ty {
        ty if ty.is_integer() => DataType::Int64,
        ty if ty.is_floating() => DataType::Float64,
        DataType::Null | DataType::Decimal32(..) | DataType::Decimal64(..) | DataType::Decimal128(..) | DataType::Decimal256(..) => {
            DataType::Float64
        }
        DataType::LargeUtf8 | DataType::Utf8View => DataType::Utf8,
        DataType::LargeBinary | DataType::BinaryView => DataType::Binary,
        DataType::Date64 => DataType::Date32,
        DataType::Dictionary(_, values) => plain_type(name, values)?,
        DataType::RunEndEncoded(_, values) => plain_type(name, values.data_type())?,
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            DataType::List(Arc::new(Field::new("item", plain_type(name, item.data_type())?, true)))
        }
        DataType::FixedSizeList(item, size) => {
            DataType::FixedSizeList(Arc::new(Field::new("item", plain_type(name, item.data_type())?, true)), *size)
        }
        DataType::Struct(_) | DataType::Map(..) | DataType::Union(..) => {
            let help = format!("choose what is in it, `{name}['field']`, or spread lists with `unnest`");
            return Err(refused(None, &format!("column `{name}` of the result is nested, a table has plain columns"), Some(help)));
        }
        other => other.clone(),
    })
}

/// Names and types of a result as a table.
///
/// # Errors
/// When two columns have one name, or a column is nested.
pub(crate) fn plain_schema(schema: &Schema) -> Result<SchemaRef, StageError> {
    let mut seen = BTreeSet::new();
    let twice: BTreeSet<&String> = schema.fields().iter().map(|field| field.name()).filter(|name| !seen.insert(*name)).collect();
    if !twice.is_empty() {
        let names: Vec<String> = twice.into_iter().cloned().collect();
        let help = "name them apart with `as`, join `using (…)` the column that both have, or leave one out";
        return Err(refused(None, &format!("several columns of the result are named {}", listed(&names)), Some(help.into())));
    }
    let field = |field: &Arc<Field>| Ok(Field::new(field.name(), plain_type(field.name(), field.data_type())?, true));
    Ok(Arc::new(Schema::new(schema.fields().iter().map(field).collect::<Result<Vec<_>, StageError>>()?)))
}

/// A portion of the result with the table's types.
///
/// # Errors
/// When a whole number is too large for the table.
pub(crate) fn plain_batch(batch: &RecordBatch, schema: &SchemaRef) -> Result<RecordBatch, StageError> {
    let columns = batch.columns().iter().zip(schema.fields()).map(|(array, field)| plain_array(array, field));
    let columns = columns.collect::<Result<Vec<_>, _>>()?;
    Ok(crate::rows::batch_of(schema, columns, batch.num_rows()).map_err(DataError::from)?)
}

fn plain_array(array: &ArrayRef, field: &Field) -> Result<ArrayRef, StageError> {
    if array.data_type() == field.data_type() {
        return Ok(Arc::clone(array));
    }
    let nulls = array.logical_null_count();
    let plain = cast(array, field.data_type()).map_err(|error| refused(None, &format!("column `{}`: {error}", field.name()), None))?;
    if plain.logical_null_count() != nulls {
        let help = "cast it to `double` or to text";
        let message = format!("column `{}` has whole numbers that are too large for a table", field.name());
        return Err(refused(None, &message, Some(help.into())));
    }
    Ok(plain)
}

/// One table of all portions. What stands in memory under a null is not part of a value, so it is made alike.
///
/// # Errors
/// When a column has more text than Arrow's offsets reach.
pub(crate) fn table(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Table, StageError> {
    for (position, field) in schema.fields().iter().enumerate() {
        let bytes: usize = batches.iter().map(|batch| batch.column(position).get_buffer_memory_size()).sum();
        let has_offsets = matches!(field.data_type(), DataType::Utf8 | DataType::Binary | DataType::List(_));
        if has_offsets && bytes > i32::MAX as usize {
            let help = "let the query choose fewer rows, or shorten the text (`left(name, 100)`)";
            return Err(refused(None, &format!("column `{}` of the result has more than 2 GiB", field.name()), Some(help.into())));
        }
    }
    let together = concat_batches(schema, batches).map_err(DataError::from)?;
    let mut pairs = Vec::with_capacity(schema.fields().len());
    for (field, array) in schema.fields().iter().zip(together.columns()) {
        let array = alike(array).map_err(DataError::from)?;
        pairs.push((Field::new(field.name(), array.data_type().clone(), array.null_count() > 0), array));
    }
    Ok(Table::from_columns(pairs)?)
}

/// An array whose bytes are a function of its values.
fn alike(array: &ArrayRef) -> Result<ArrayRef, arrow::error::ArrowError> {
    if array.null_count() > 0 || array.data_type().is_nested() {
        let converter = RowConverter::new(vec![SortField::new(array.data_type().clone())])?;
        let rows = converter.convert_columns(std::slice::from_ref(array))?;
        let mut again = converter.convert_rows(&rows)?;
        if let Some(again) = again.pop() {
            return Ok(again);
        }
    }
    match array.nulls() {
        // A mask that masks nothing.
        Some(_) if array.null_count() == 0 => Ok(make_array(array.to_data().into_builder().nulls(None).build()?)),
        _ => Ok(Arc::clone(array)),
    }
}
