//! Prints a JSON line for each series and each column of a table of NWB files. `tests/reference/nwb.py` prints the same with pynwb.

use arrow::array::{Array, ArrayRef, AsArray};
use arrow::buffer::Buffer;
use arrow::compute::cast;
use arrow::datatypes::{DataType, Float64Type};
use neuroflow_formats::nwb;
use neuroflow_formats::{Document, Limits, Rows, What};
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

/// The values below all lists.
fn flat(array: &ArrayRef) -> ArrayRef {
    match array.data_type() {
        DataType::LargeList(_) => flat(array.as_list::<i64>().values()),
        DataType::FixedSizeList(..) => flat(array.as_fixed_size_list().values()),
        _ => Arc::clone(array),
    }
}

fn digest(array: &ArrayRef) -> Result<String, Box<dyn Error>> {
    let array = flat(array);
    match array.data_type() {
        DataType::Utf8 => Ok(hex(array.as_string::<i32>().iter().map(Option::unwrap_or_default).collect::<Vec<_>>().join("\n").as_bytes())),
        DataType::Struct(_) => {
            let list = |column: &ArrayRef| -> String {
                let shown = |row: usize| {
                    let text = arrow::util::display::array_value_to_string(column, row).unwrap_or_default();
                    if column.data_type() == &DataType::Utf8 { format!("'{text}'") } else { text }
                };
                format!("[{}]", (0..column.len()).map(shown).collect::<Vec<_>>().join(", "))
            };
            Ok(hex(array.as_struct().columns().iter().map(list).collect::<Vec<_>>().join("\n").as_bytes()))
        }
        _ => Ok(of_numbers(cast(&array, &DataType::Float64)?.as_primitive::<Float64Type>().values())),
    }
}

/// Columns side by side, row-major.
fn matrix(rows: &dyn Rows, columns: &[usize]) -> Result<String, Box<dyn Error>> {
    let batch = rows.read(columns, 0..rows.count())?;
    if let [only] = batch.columns() {
        return digest(only);
    }
    let columns: Vec<&[f64]> = batch.columns().iter().map(|column| column.as_primitive::<Float64Type>().values().as_ref()).collect();
    Ok(of_numbers(&(0..batch.num_rows()).flat_map(|row| columns.iter().map(move |column| column[row])).collect::<Vec<f64>>()))
}

fn main() -> Result<(), Box<dyn Error>> {
    let show = std::env::var_os("SHOW").is_some();
    for path in std::env::args().skip(1) {
        let name = path.rsplit('/').next().unwrap_or_default().to_owned();
        let document = nwb::open(Arc::new(Buffer::from_vec(std::fs::read(&path)?)), &Limits::default())?;
        let contents = document.contents();
        if show {
            println!("{name}: NWB {}", contents.version);
            contents.facts.iter().for_each(|(name, value)| println!("  fact {name}: {value}"));
            contents.notes.iter().for_each(|note| println!("  note {note}"));
            contents.items.iter().for_each(|item| println!("  {} = {:?} # {}", item.path, item.what, item.about));
            continue;
        }
        let facts = |item: &str, shape: &[u64], unit: &str, column: &str, sha256: String| -> Result<(), Box<dyn Error>> {
            let line: BTreeMap<&str, serde_json::Value> = [
                ("file", name.clone().into()),
                ("item", item.into()),
                ("shape", shape.to_vec().into()),
                ("unit", unit.into()),
                ("column", column.into()),
                ("sha256", sha256.into()),
            ]
            .into();
            println!("{}", serde_json::to_string(&line)?);
            Ok(())
        };
        for item in contents.items.iter().filter(|item| !item.about.starts_with("the same as")) {
            let plain = matches!(item.what, What::Array { .. } | What::Value(_) | What::Text { .. } | What::Group | What::Picture { .. });
            if plain {
                continue;
            }
            let rows = document.rows(&item.path)?;
            let schema = rows.schema();
            let first = schema.fields().first().map(|field| field.name().clone()).unwrap_or_default();
            if first == "time" {
                // A series: its shape is that of the stored values.
                let shape: Vec<u64> = match document.tensor(&item.path, None) {
                    Ok(tensor) => tensor.shape().iter().map(|length| *length as u64).collect(),
                    Err(_) => vec![rows.count()],
                };
                let unit = document.unit(&item.path);
                let columns: Vec<usize> = (1..schema.fields().len()).collect();
                facts(&item.path, &shape, &unit, "data", matrix(rows.as_ref(), &columns)?)?;
                facts(&item.path, &shape, &unit, "time", matrix(rows.as_ref(), &[0])?)?;
                if let What::Recording { .. } = item.what {
                    let signals = document.signals(&item.path)?;
                    let all: Vec<usize> = (0..signals.channels().len()).collect();
                    let recording = signals.recording(neuroflow_formats::Format::Nwb, "", &all)?;
                    let mut values = Vec::new();
                    let each: Vec<Vec<f64>> = all.iter().map(|&channel| recording.values(channel, 0..usize::MAX)).collect();
                    for sample in 0..rows.count() as usize {
                        values.extend(each.iter().map(|channel| channel[sample]));
                    }
                    assert_eq!(of_numbers(&values), matrix(rows.as_ref(), &columns)?, "{}", item.path);
                    for channel in all {
                        let mut one = Vec::new();
                        signals.read(channel, 0..u64::MAX, &mut one)?;
                        assert_eq!(one, each[channel]);
                    }
                }
            } else {
                for (place, field) in schema.fields().iter().enumerate() {
                    let batch = rows.read(&[place], 0..rows.count())?;
                    facts(&item.path, &[rows.count()], "", field.name(), digest(batch.column(0))?)?;
                }
            }
            if let What::Spikes { units, .. } = item.what {
                let spikes = document.spikes(&item.path)?;
                let names = spikes.names();
                for unit in (0..names.len()).step_by((names.len() / 5).max(1)) {
                    facts(&item.path, &[units], "seconds", &format!("spikes of {}", names[unit]), of_numbers(spikes.times(unit)))?;
                }
            }
            if let What::Events { count } = item.what {
                assert_eq!(document.events(&item.path)?.len() as u64, count);
            }
        }
    }
    Ok(())
}
