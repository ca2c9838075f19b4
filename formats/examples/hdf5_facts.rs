//! Prints a JSON line for each dataset of HDF5 files: shape, unit, and a digest of all values. `tests/reference/hdf5.py` prints the same with h5py.

use arrow::array::{Array, ArrayRef, AsArray, RecordBatch};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use neuroflow_formats::hdf5;
use neuroflow_formats::{Document, Limits, What};
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;
use std::error::Error;
use std::sync::Arc;

fn hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

fn of_numbers(numbers: &[f64]) -> String {
    hex(&numbers.iter().flat_map(|number| number.to_le_bytes()).collect::<Vec<u8>>())
}

/// The values of columns, row by row, lists flattened.
fn digest(batch: &RecordBatch) -> Result<String, Box<dyn Error>> {
    if batch.num_columns() > 1 && batch.column(0).data_type().is_nested() && !matches!(batch.column(0).data_type(), DataType::Struct(_)) {
        let mut numbers = Vec::new();
        for row in 0..batch.num_rows() {
            for column in batch.columns() {
                let own = cast(&column.as_list::<i64>().value(row), &DataType::Float64)?;
                numbers.extend_from_slice(own.as_primitive::<Float64Type>().values());
            }
        }
        return Ok(of_numbers(&numbers));
    }
    let flat = |array: &ArrayRef| -> ArrayRef {
        match array.data_type() {
            DataType::LargeList(_) => Arc::clone(array.as_list::<i64>().values()),
            DataType::FixedSizeList(..) => Arc::clone(array.as_fixed_size_list().values()),
            _ => Arc::clone(array),
        }
    };
    let columns: Vec<ArrayRef> = batch.columns().iter().map(flat).collect();
    let rows = columns.first().map_or(0, |column| column.len());
    match columns.first().map(|column| column.data_type().clone()) {
        Some(DataType::Utf8) => {
            let texts = |row: usize| columns.iter().map(move |column| column.as_string::<i32>().value(row).to_owned());
            Ok(hex((0..rows).flat_map(texts).collect::<Vec<_>>().join("\n").as_bytes()))
        }
        Some(DataType::Binary) => {
            Ok(hex(&(0..rows).flat_map(|row| columns[0].as_binary::<i32>().value(row).to_vec()).collect::<Vec<u8>>()))
        }
        Some(DataType::Struct(_)) => {
            let both = columns[0].as_struct();
            let columns = both.columns().iter().map(|column| cast(column, &DataType::Float64)).collect::<Result<Vec<_>, _>>()?;
            let value = |row: usize| columns.iter().map(move |column| column.as_primitive::<Float64Type>().value(row));
            Ok(of_numbers(&(0..rows).flat_map(value).collect::<Vec<f64>>()))
        }
        _ => {
            let columns = columns.iter().map(|column| cast(column, &DataType::Float64)).collect::<Result<Vec<_>, _>>()?;
            let value = |row: usize| columns.iter().map(move |column| column.as_primitive::<Float64Type>().value(row));
            Ok(of_numbers(&(0..rows).flat_map(value).collect::<Vec<f64>>()))
        }
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    for path in std::env::args().skip(1) {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let document = hdf5::open(Arc::new(Buffer::from_vec(std::fs::read(&path)?)), &Limits::default())?;
        for note in &document.contents().notes {
            eprintln!("{name}: {note}");
        }
        for item in &document.contents().items {
            let facts = |shape: &[u64], unit: &str, member: &str, sha256: String| -> Result<(), Box<dyn Error>> {
                let line: BTreeMap<&str, serde_json::Value> = [
                    ("file", name.clone().into()),
                    ("item", item.path.clone().into()),
                    ("shape", shape.to_vec().into()),
                    ("unit", unit.into()),
                    ("member", member.into()),
                    ("sha256", sha256.into()),
                ]
                .into();
                println!("{}", serde_json::to_string(&line)?);
                Ok(())
            };
            match &item.what {
                What::Array { shape, unit, .. } => {
                    let own = match document.tensor(&item.path, None) {
                        Ok(tensor) if !matches!(&item.what, What::Array { element, .. } if element == "enum") => {
                            of_numbers(tensor.values())
                        }
                        _ => {
                            let rows = document.rows(&item.path)?;
                            let all: Vec<usize> = (0..rows.schema().fields().len()).collect();
                            digest(&rows.read(&all, 0..rows.count())?)?
                        }
                    };
                    facts(shape, unit, "", own)?;
                }
                What::Table { rows: Some(count), columns } => {
                    let rows = document.rows(&item.path)?;
                    let complex = columns.len() == 2 && columns[0].0 == "r" && columns[1].0 == "i";
                    if complex {
                        let batch = rows.read(&[0, 1], 0..*count)?;
                        facts(&[*count], "", "", digest(&batch)?)?;
                        continue;
                    }
                    for (place, (column, kind)) in columns.iter().enumerate() {
                        if !kind.starts_with("Struct") {
                            facts(&[*count], "", column, digest(&rows.read(&[place], 0..*count)?)?)?;
                        }
                    }
                }
                _ => {}
            }
        }
    }
    Ok(())
}
