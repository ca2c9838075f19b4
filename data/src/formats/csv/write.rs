//! A record batch as CSV text.

use arrow::array::{Array, AsArray, RecordBatch};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use arrow::util::display::{ArrayFormatter, FormatOptions};

use super::super::{Format, FormatError, Place};
use crate::json::json_value;

/// Writes the field of one column in a given row.
type Cell<'c> = Box<dyn Fn(usize) -> Result<String, FormatError> + 'c>;

/// Writes `batch` with a header row, commas and line feeds.
///
/// Floats are written with the fewest digits that read back to the same bits (`0.1`, `1.0`, `1e300`); nulls are empty fields. A NaN is
/// written as `NaN`, which [`read_csv`](super::read_csv) takes for a missing value. Lists and structs are written as JSON.
pub fn write_csv(batch: &RecordBatch) -> Result<Vec<u8>, FormatError> {
    let schema = batch.schema();
    let mut cells: Vec<Cell<'_>> = Vec::with_capacity(batch.num_columns());
    for (field, column) in schema.fields().iter().zip(batch.columns()) {
        cells.push(match column.data_type() {
            DataType::Float64 => {
                let values = column.as_primitive::<Float64Type>();
                Box::new(move |row| Ok(if values.is_null(row) { String::new() } else { format!("{:?}", values.value(row)) }))
            }
            DataType::Float32 => {
                let values = column.as_primitive::<Float32Type>();
                Box::new(move |row| Ok(if values.is_null(row) { String::new() } else { format!("{:?}", values.value(row)) }))
            }
            nested if nested.is_nested() => Box::new(move |row| match json_value(column, row) {
                _ if column.is_null(row) => Ok(String::new()),
                Ok(value) => Ok(value.to_string()),
                Err(error) => Err(at(field.name(), error.to_string(), "export it as Parquet or Arrow")),
            }),
            _ => {
                let options = FormatOptions::new().with_display_error(false);
                let formatter = ArrayFormatter::try_new(column.as_ref(), &options.with_null(""))
                    .map_err(|error| at(field.name(), error.to_string(), "export it as Parquet or Arrow"))?;
                Box::new(move |row| {
                    formatter
                        .value(row)
                        .try_to_string()
                        .map_err(|error| at(field.name(), error.to_string(), "export it as Parquet or Arrow"))
                })
            }
        });
    }
    let mut writer = ::csv::Writer::from_writer(Vec::new());
    let problem =
        |error: ::csv::Error| FormatError::new(Format::Csv, Place::File, error.to_string(), "export the table as Parquet or Arrow");
    writer.write_record(schema.fields().iter().map(|field| field.name().as_bytes())).map_err(problem)?;
    for row in 0..batch.num_rows() {
        for cell in &cells {
            writer.write_field(cell(row)?).map_err(problem)?;
        }
        writer.write_record(None::<&[u8]>).map_err(problem)?;
    }
    writer
        .into_inner()
        .map_err(|error| FormatError::new(Format::Csv, Place::File, error.to_string(), "export the table as Parquet or Arrow"))
}

fn at(column: &str, reason: String, help: &str) -> FormatError {
    FormatError::new(Format::Csv, Place::Column(column.to_owned()), reason, help)
}
