//! The members of a loop over a column: its values, without the rows that have none.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::compute::{CastOptions, cast_with_options};
use arrow::datatypes::{DataType, Float64Type, Int64Type};
use neuroflow_stage::Value;

/// The values of a column, in the order of its rows. Nulls and NaN are no values.
///
/// # Errors
/// When there is no such column, or its values can't be members, in words.
pub(crate) fn values(batch: &RecordBatch, column: &str) -> Result<Vec<Value>, String> {
    let Some(array) = batch.column_by_name(column) else {
        let names: Vec<String> = batch.schema().fields().iter().map(|field| format!("`{}`", field.name())).collect();
        return Err(format!("there is no column `{column}`; there are {}", names.join(", ")));
    };
    let wanted = match array.data_type() {
        DataType::Null => return Ok(Vec::new()),
        DataType::Boolean => DataType::Boolean,
        kind if kind.is_integer() => DataType::Int64,
        kind if kind.is_floating() || matches!(kind, DataType::Decimal128(..) | DataType::Decimal256(..)) => DataType::Float64,
        DataType::Dictionary(_, value) if value.is_integer() => DataType::Int64,
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View | DataType::Dictionary(..) => DataType::Utf8,
        other => return Err(format!("column `{column}` holds {other}; a loop goes over numbers, texts or truth values")),
    };
    let options = CastOptions { safe: false, ..CastOptions::default() };
    let cast = cast_with_options(array, &wanted, &options).map_err(|error| format!("column `{column}`: {error}"))?;
    let rows = (0..cast.len()).filter(|row| cast.is_valid(*row));
    Ok(match wanted {
        DataType::Boolean => rows.map(|row| Value::Bool(cast.as_boolean().value(row))).collect(),
        DataType::Int64 => rows.map(|row| Value::Int(cast.as_primitive::<Int64Type>().value(row))).collect(),
        DataType::Float64 => {
            let numbers = rows.map(|row| cast.as_primitive::<Float64Type>().value(row));
            numbers.filter(|number| !number.is_nan()).map(Value::Number).collect()
        }
        _ => rows.map(|row| Value::Text(cast.as_string::<i32>().value(row).to_owned())).collect(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, NullArray, StringArray, UInt64Array};
    use std::sync::Arc;

    #[test]
    fn every_value_is_what_it_was_and_what_is_missing_is_left_out() {
        let columns: Vec<(&str, ArrayRef)> = vec![
            ("n", Arc::new(Int64Array::from(vec![Some(1), None, Some(9_007_199_254_740_993)]))),
            ("b", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None]))),
            ("t", Arc::new(StringArray::from(vec![None, Some("V1"), Some("")]))),
            ("x", Arc::new(Float64Array::from(vec![Some(0.5), Some(f64::NAN), None]))),
            ("none", Arc::new(NullArray::new(3))),
            ("large", Arc::new(UInt64Array::from(vec![1, 2, u64::MAX]))),
        ];
        let batch = RecordBatch::try_from_iter(columns).unwrap();
        assert_eq!(values(&batch, "n").unwrap(), [Value::Int(1), Value::Int(9_007_199_254_740_993)]);
        assert_eq!(values(&batch, "b").unwrap(), [Value::Bool(true), Value::Bool(false)]);
        assert_eq!(values(&batch, "t").unwrap(), [Value::Text("V1".into()), Value::Text(String::new())]);
        assert_eq!(values(&batch, "x").unwrap(), [Value::Number(0.5)]);
        assert_eq!(values(&batch, "none").unwrap(), []);
        assert!(values(&batch, "large").unwrap_err().contains("`large`"));
        assert!(values(&batch, "m").unwrap_err().contains("there are `n`"));
    }
}
