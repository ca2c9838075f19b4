//! Values of Arrow columns as JSON.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{
    DataType, Float32Type, Float64Type, Int8Type, Int16Type, Int32Type, Int64Type, UInt8Type, UInt16Type, UInt32Type, UInt64Type,
};
use arrow::error::ArrowError;
use arrow::util::display::array_value_to_string;
use serde_json::{Map, Value};

/// The value of a row. A gap is null, and so is a number that JSON has no word for (NaN, infinity); what is no number, truth value, list or
/// struct is text.
///
/// # Errors
/// When a value can't be shown as text.
pub(crate) fn json_value(array: &dyn Array, row: usize) -> Result<Value, ArrowError> {
    if array.is_null(row) {
        return Ok(Value::Null);
    }
    Ok(match array.data_type() {
        DataType::Null => Value::Null,
        DataType::Boolean => Value::from(array.as_boolean().value(row)),
        DataType::Int8 => Value::from(array.as_primitive::<Int8Type>().value(row)),
        DataType::Int16 => Value::from(array.as_primitive::<Int16Type>().value(row)),
        DataType::Int32 => Value::from(array.as_primitive::<Int32Type>().value(row)),
        DataType::Int64 => Value::from(array.as_primitive::<Int64Type>().value(row)),
        DataType::UInt8 => Value::from(array.as_primitive::<UInt8Type>().value(row)),
        DataType::UInt16 => Value::from(array.as_primitive::<UInt16Type>().value(row)),
        DataType::UInt32 => Value::from(array.as_primitive::<UInt32Type>().value(row)),
        DataType::UInt64 => Value::from(array.as_primitive::<UInt64Type>().value(row)),
        DataType::Float32 => Value::from(f64::from(array.as_primitive::<Float32Type>().value(row))),
        DataType::Float64 => Value::from(array.as_primitive::<Float64Type>().value(row)),
        DataType::List(_) => list(array.as_list::<i32>().value(row).as_ref())?,
        DataType::LargeList(_) => list(array.as_list::<i64>().value(row).as_ref())?,
        DataType::FixedSizeList(..) => list(array.as_fixed_size_list().value(row).as_ref())?,
        DataType::Struct(fields) => {
            let inner = array.as_struct();
            let members = fields.iter().zip(inner.columns()).map(|(field, column)| Ok((field.name().clone(), json_value(column, row)?)));
            Value::Object(members.collect::<Result<Map<String, Value>, ArrowError>>()?)
        }
        // Half floats and decimals: numbers that are written as such.
        ty if ty.is_numeric() => {
            let text = array_value_to_string(array, row)?;
            text.parse::<f64>().map_or(Value::String(text), Value::from)
        }
        _ => Value::String(array_value_to_string(array, row)?),
    })
}

fn list(items: &dyn Array) -> Result<Value, ArrowError> {
    Ok(Value::Array((0..items.len()).map(|item| json_value(items, item)).collect::<Result<_, _>>()?))
}
