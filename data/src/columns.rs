//! Arrow columns: building and reading the column types that artifacts use.

use crate::axis::Axis;
use crate::error::DataError;
use crate::json::json_value;
use arrow::array::{Array, ArrayRef, AsArray, BooleanArray, FixedSizeListArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::buffer::ScalarBuffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float32Type, Float64Type, Int64Type};
use arrow::util::display::array_value_to_string;
use std::collections::HashMap;
use std::sync::Arc;

/// A column with one row for each position of `axes[0]`; the other axes become a `fixed_shape_tensor`.
///
/// # Errors
/// When Arrow refuses the lengths.
pub fn tensor_column(name: &str, axes: &[Axis], values: &ScalarBuffer<f64>) -> Result<(Field, ArrayRef), DataError> {
    let flat = Float64Array::new(values.clone(), None);
    let inner = axes.get(1..).unwrap_or(&[]);
    if inner.is_empty() {
        return Ok((Field::new(name, DataType::Float64, false), Arc::new(flat)));
    }
    let size = inner.iter().map(Axis::len).product::<usize>();
    let size = i32::try_from(size).map_err(|_| DataError::Invalid(format!("column `{name}`: a row of {size} values is too long")))?;
    let item = Arc::new(Field::new("item", DataType::Float64, false));
    let rows = axes.first().map_or(0, Axis::len);
    let list = FixedSizeListArray::try_new_with_length(Arc::clone(&item), size, Arc::new(flat), None, rows)?;
    let extension = serde_json::json!({
        "shape": inner.iter().map(Axis::len).collect::<Vec<_>>(),
        "dim_names": inner.iter().map(|axis| axis.name.as_str()).collect::<Vec<_>>(),
    });
    let metadata = HashMap::from([
        ("ARROW:extension:name".to_owned(), "arrow.fixed_shape_tensor".to_owned()),
        ("ARROW:extension:metadata".to_owned(), extension.to_string()),
    ]);
    Ok((Field::new(name, DataType::FixedSizeList(item, size), false).with_metadata(metadata), Arc::new(list)))
}

/// The values of a column made by [`tensor_column`], without copying.
///
/// # Errors
/// When the column is missing, has gaps, or holds something else than `f64`.
pub fn tensor_values(batch: &RecordBatch, name: &str) -> Result<ScalarBuffer<f64>, DataError> {
    let array = column(batch, name)?;
    let wrong =
        |found: &DataType| DataError::ColumnType { column: name.to_owned(), expected: "numbers without gaps", found: found.to_string() };
    if array.null_count() > 0 {
        return Err(wrong(&DataType::Null));
    }
    match array.data_type() {
        DataType::Float64 => Ok(array.as_primitive::<Float64Type>().values().clone()),
        DataType::FixedSizeList(_, size) => {
            let list = array.as_fixed_size_list();
            let inner = list.values();
            if inner.data_type() != &DataType::Float64 || inner.null_count() > 0 {
                return Err(wrong(array.data_type()));
            }
            let size = usize::try_from(*size).unwrap_or(0);
            let start = usize::try_from(list.value_offset(0)).unwrap_or(0);
            Ok(inner.as_primitive::<Float64Type>().values().slice(start, list.len() * size))
        }
        other => Err(wrong(other)),
    }
}

/// A column by name.
///
/// # Errors
/// [`DataError::NoColumn`] with the names that exist.
pub fn column<'a>(batch: &'a RecordBatch, name: &str) -> Result<&'a ArrayRef, DataError> {
    batch.column_by_name(name).ok_or_else(|| {
        let available = batch.schema().fields().iter().map(|field| format!("`{}`", field.name())).collect::<Vec<_>>().join(", ");
        DataError::NoColumn { column: name.to_owned(), available }
    })
}

/// A column of numbers as `f64` (integers and booleans are converted); gaps become NaN, and a column without any value is all gaps.
///
/// # Errors
/// When the column is missing or is not numeric.
pub fn numbers(batch: &RecordBatch, name: &str) -> Result<Vec<f64>, DataError> {
    let array = column(batch, name)?;
    if !(array.data_type().is_numeric() || matches!(array.data_type(), DataType::Boolean | DataType::Null)) {
        return Err(DataError::ColumnType { column: name.to_owned(), expected: "numbers", found: array.data_type().to_string() });
    }
    let array = cast(array, &DataType::Float64)?;
    Ok(array.as_primitive::<Float64Type>().iter().map(|value| value.unwrap_or(f64::NAN)).collect())
}

/// A column of whole numbers.
///
/// # Errors
/// When the column is missing, has gaps, or is not made of whole numbers.
pub fn integers(batch: &RecordBatch, name: &str) -> Result<Vec<i64>, DataError> {
    let array = column(batch, name)?;
    if !array.data_type().is_integer() || array.null_count() > 0 {
        return Err(DataError::ColumnType { column: name.to_owned(), expected: "whole numbers", found: array.data_type().to_string() });
    }
    let array = cast(array, &DataType::Int64)?;
    Ok(array.as_primitive::<Int64Type>().values().to_vec())
}

/// A column as text: text as it is, numbers as printed, lists as JSON; gaps become empty.
///
/// # Errors
/// When the column is missing or can't be shown as text.
pub fn texts(batch: &RecordBatch, name: &str) -> Result<Vec<String>, DataError> {
    let array = column(batch, name)?;
    if array.data_type() == &DataType::Utf8 {
        return Ok(array.as_string::<i32>().iter().map(|value| value.unwrap_or("").to_owned()).collect());
    }
    let shown = |row| match array.data_type() {
        _ if array.is_null(row) => Ok(String::new()),
        nested if nested.is_nested() => Ok(json_value(array, row)?.to_string()),
        _ => Ok(array_value_to_string(array, row)?),
    };
    (0..array.len()).map(shown).collect()
}

/// A column of numbers without gaps.
pub fn from_numbers(name: &str, values: Vec<f64>) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Float64, false), Arc::new(Float64Array::from(values)))
}

/// A column of numbers in which `None` is a gap.
pub fn from_optional_numbers(name: &str, values: Vec<Option<f64>>) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Float64, true), Arc::new(Float64Array::from(values)))
}

/// A column of whole numbers.
pub fn from_integers(name: &str, values: Vec<i64>) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Int64, false), Arc::new(Int64Array::from(values)))
}

/// A column of text.
pub fn from_texts<T: AsRef<str>>(name: &str, values: &[T]) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Utf8, false), Arc::new(StringArray::from_iter_values(values.iter())))
}

/// The number of rows of a column in which nothing stands: nulls, and numbers that are NaN.
pub fn missing(column: &ArrayRef) -> usize {
    let is_nan = |value: Option<f64>| value.is_some_and(f64::is_nan);
    column.null_count()
        + match column.data_type() {
            DataType::Float64 => column.as_primitive::<Float64Type>().iter().filter(|value| is_nan(*value)).count(),
            DataType::Float32 => column.as_primitive::<Float32Type>().iter().filter(|value| is_nan(value.map(f64::from))).count(),
            _ => 0,
        }
}

/// A column of truth values.
pub fn from_booleans(name: &str, values: Vec<bool>) -> (Field, ArrayRef) {
    (Field::new(name, DataType::Boolean, false), Arc::new(BooleanArray::from(values)))
}
