//! Prints the variables of MATLAB 7.3 files, as `tests/reference/mat73_values.py` does with the package mat73.

use arrow::buffer::Buffer;
use neuroflow_data::formats::mat5::MatValue;
use neuroflow_formats::Limits;
use neuroflow_formats::mat73::read_mat73;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};
use std::error::Error;
use std::sync::Arc;

fn hex(numbers: &[f64]) -> Value {
    let bytes: Vec<u8> = numbers.iter().flat_map(|number| number.to_le_bytes()).collect();
    Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

fn shown(value: &MatValue) -> Value {
    match value {
        MatValue::Numeric { data, imaginary, .. } => {
            let real = hex(&data.to_f64().unwrap_or_default());
            match imaginary {
                Some(imaginary) => json!([real, hex(&imaginary.to_f64().unwrap_or_default())]),
                None if data.is_empty() => "".into(),
                None => real,
            }
        }
        MatValue::Char { rows, .. } => match rows.as_slice() {
            [only] => only.clone().into(),
            [] => "".into(),
            rows => rows.to_vec().into(),
        },
        MatValue::Struct { fields, .. } => {
            let field = |(name, values): &(String, Vec<MatValue>)| {
                let own = if let [only] = values.as_slice() { shown(only) } else { values.iter().map(shown).collect() };
                (name.clone(), own)
            };
            Value::Object(fields.iter().map(field).collect())
        }
        MatValue::Cell { values, .. } => values.iter().map(shown).collect(),
        MatValue::Sparse { .. } => hex(&value.dense(&Limits::default()).unwrap_or_default()),
        MatValue::Skipped { class_name } => format!("({class_name})").into(),
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    for path in std::env::args().skip(1) {
        let file = read_mat73(Arc::new(Buffer::from_vec(std::fs::read(&path)?)), &Limits::default())?;
        for (name, value) in &file.variables {
            println!("{}", json!({"variable": name, "value": shown(value)}));
        }
        file.notes.iter().for_each(|note| eprintln!("{note}"));
    }
    Ok(())
}
