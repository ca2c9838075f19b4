//! Two results as numbers: how far they are apart, and where.

use arrow::array::{Array, AsArray};
use arrow::datatypes::{DataType, Float32Type, Float64Type};
use neuroflow_data::{Artifact, Kind, Payload, Score, Scores, Typed};

/// A number smaller than this share of the largest of its column is measured against that share: what should be 0 is never quite 0.
const SMALL: f64 = 1e-3;

/// How two results that are not the same bytes differ.
#[derive(Debug, Clone, PartialEq)]
pub enum Compared {
    /// By numbers alone; the largest difference, relative, and where it is.
    Numbers {
        /// |a − b| / max(|a|, |b|, m / 1000), where m is the largest number of the column or list; 0 when only what is said beside the numbers differs, infinite when only one of both is a number.
        largest: f64,
        /// Its place.
        at: String,
    },
    /// By something else, in words.
    Otherwise(String),
}

/// Compares two results.
pub fn compare(before: &Artifact, after: &Artifact) -> Compared {
    if before.kind() != after.kind() {
        return Compared::Otherwise(format!("a {} has become a {}", before.kind(), after.kind()));
    }
    if before.kind() == Kind::Scores {
        return scores(before, after);
    }
    let (one, other) = match (before.payload(), after.payload()) {
        (Payload::Batch(one), Payload::Batch(other)) => (one, other),
        (Payload::Bytes(one), Payload::Bytes(other)) => {
            let at = one.iter().zip(other.iter()).position(|(a, b)| a != b).unwrap_or(one.len().min(other.len()));
            return Compared::Otherwise(format!("other bytes from byte {at} on ({} then, {} now)", one.len(), other.len()));
        }
        _ => return Compared::Otherwise("other files".into()),
    };
    if before.meta().axes != after.meta().axes || before.meta().unit != after.meta().unit {
        return Compared::Otherwise("other axes or units".into());
    }
    if one.num_rows() != other.num_rows() {
        return Compared::Otherwise(format!("{} rows have become {}", one.num_rows(), other.num_rows()));
    }
    let names = |batch: &arrow::array::RecordBatch| batch.schema().fields().iter().map(|field| field.name().clone()).collect::<Vec<_>>();
    if names(one) != names(other) {
        return Compared::Otherwise("other columns".into());
    }
    let mut apart = Apart::default();
    for (name, (a, b)) in names(one).iter().zip(one.columns().iter().zip(other.columns())) {
        if let Err(how) = apart.column(name, a, b) {
            return Compared::Otherwise(how);
        }
    }
    apart.told()
}

/// Scores by their numbers; notes say where and how something was computed, which may well differ.
fn scores(before: &Artifact, after: &Artifact) -> Compared {
    let values = |artifact: &Artifact| Scores::from_artifact(artifact).map(|scores| scores.scores).map_err(|error| error.to_string());
    match values(before).and_then(|before| Ok((before, values(after)?))) {
        Ok((before, after)) => compare_scores(&before, &after),
        Err(how) => Compared::Otherwise(how),
    }
}

/// Compares scores as they stand in records.
pub fn compare_scores(before: &[Score], after: &[Score]) -> Compared {
    let value = |scores: &[Score]| serde_json::to_value(scores).map_err(|error| error.to_string());
    let mut apart = Apart::default();
    let walked =
        value(before).and_then(|before| Ok((before, value(after)?))).and_then(|(before, after)| apart.json("", &before, &after, 0.0));
    match walked {
        Ok(()) => apart.told(),
        Err(how) => Compared::Otherwise(how),
    }
}

/// The largest difference so far.
#[derive(Debug, Default)]
struct Apart {
    largest: f64,
    at: String,
}

impl Apart {
    fn told(self) -> Compared {
        let at = if self.at.is_empty() { "no number; what is said beside them differs".to_owned() } else { self.at };
        Compared::Numbers { largest: self.largest, at }
    }

    fn take(&mut self, difference: f64, at: impl FnOnce() -> String) {
        if difference > self.largest {
            (self.largest, self.at) = (difference, at());
        }
    }

    fn column(&mut self, name: &str, a: &dyn Array, b: &dyn Array) -> Result<(), String> {
        let other = || format!("column `{name}` holds something else");
        if a.data_type() != b.data_type() || a.len() != b.len() || a.nulls() != b.nulls() {
            return Err(other());
        }
        match a.data_type() {
            DataType::Float64 => self.numbers(name, a.as_primitive::<Float64Type>().values(), b.as_primitive::<Float64Type>().values()),
            DataType::Float32 => {
                let wide = |array: &dyn Array| {
                    array.as_primitive::<Float32Type>().values().iter().map(|value| f64::from(*value)).collect::<Vec<_>>()
                };
                self.numbers(name, &wide(a), &wide(b));
            }
            DataType::FixedSizeList(..) => return self.column(name, a.as_fixed_size_list().values(), b.as_fixed_size_list().values()),
            DataType::List(_) => {
                let (a, b) = (a.as_list::<i32>(), b.as_list::<i32>());
                if a.value_offsets() != b.value_offsets() {
                    return Err(other());
                }
                return self.column(name, a.values(), b.values());
            }
            DataType::LargeList(_) => {
                let (a, b) = (a.as_list::<i64>(), b.as_list::<i64>());
                if a.value_offsets() != b.value_offsets() {
                    return Err(other());
                }
                return self.column(name, a.values(), b.values());
            }
            DataType::Struct(fields) => {
                let (a, b) = (a.as_struct(), b.as_struct());
                for (field, (a, b)) in fields.iter().zip(a.columns().iter().zip(b.columns())) {
                    self.column(&format!("{name}.{}", field.name()), a, b)?;
                }
            }
            _ if a.to_data() != b.to_data() => return Err(other()),
            _ => {}
        }
        Ok(())
    }

    fn numbers(&mut self, name: &str, a: &[f64], b: &[f64]) {
        let top = a.iter().chain(b).filter(|value| value.is_finite()).fold(0.0f64, |top, value| top.max(value.abs()));
        for (position, (a, b)) in a.iter().zip(b).enumerate() {
            self.take(relative(*a, *b, top), || format!("number {position} of column `{name}` ({a} then, {b} now)"));
        }
    }

    /// `top` is the largest of the numbers beside which these stand.
    fn json(&mut self, path: &str, a: &serde_json::Value, b: &serde_json::Value, top: f64) -> Result<(), String> {
        use serde_json::Value::{Array, Number, Object};
        match (a, b) {
            (Number(one), Number(other)) => {
                let (one, other) = (one.as_f64().unwrap_or(f64::NAN), other.as_f64().unwrap_or(f64::NAN));
                self.take(relative(one, other, top.max(one.abs()).max(other.abs())), || format!("{path} ({one} then, {other} now)"));
            }
            (Array(one), Array(other)) if one.len() == other.len() => {
                let top = largest(one.iter().chain(other));
                for (position, (one, other)) in one.iter().zip(other).enumerate() {
                    let name = one.get("metric").and_then(|metric| metric.as_str()).map_or_else(|| position.to_string(), str::to_owned);
                    self.json(&joined(path, &name), one, other, top)?;
                }
            }
            (Object(one), Object(other)) => {
                let top = largest(one.values().chain(other.values()));
                let names: std::collections::BTreeSet<&String> = one.keys().chain(other.keys()).filter(|name| *name != "notes").collect();
                for name in names {
                    match (one.get(name), other.get(name)) {
                        (Some(one), Some(other)) => self.json(&joined(path, name), one, other, top)?,
                        _ => return Err(format!("{} is only there once", joined(path, name))),
                    }
                }
            }
            (one, other) if one == other => {}
            _ => return Err(format!("{path} was {a}, and is {b}")),
        }
        Ok(())
    }
}

/// The largest of the numbers that are measured; counts are whole.
fn largest<'v>(values: impl Iterator<Item = &'v serde_json::Value>) -> f64 {
    let measured = values.filter(|value| value.is_f64()).filter_map(serde_json::Value::as_f64);
    measured.fold(0.0, |top, value| top.max(value.abs()))
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}

/// How far two numbers are apart, relative to the larger of them; `top` is the largest of their column.
fn relative(a: f64, b: f64, top: f64) -> f64 {
    // The same also when both are infinite.
    if a == b || a.is_nan() && b.is_nan() {
        return 0.0;
    }
    let apart = (a - b).abs() / a.abs().max(b.abs()).max(SMALL * top);
    if apart.is_nan() { f64::INFINITY } else { apart }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Axis, Tensor, columns};

    fn tensor(values: &[f64]) -> Artifact {
        Tensor::new(vec![Axis::count("unit", values.len())], None, values.to_vec()).unwrap().into_artifact().unwrap()
    }

    #[test]
    fn the_largest_difference_is_found_with_its_place() {
        let Compared::Numbers { largest, at } = compare(&tensor(&[1.0, 2.0, 0.0]), &tensor(&[1.0, 2.002, 1e-9])) else { panic!() };
        assert!((largest - 0.002 / 2.002).abs() < 1e-12 && at.starts_with("number 1 of"), "{largest} {at}");
        // What is nearly nothing beside its column is no large difference.
        let Compared::Numbers { largest, .. } = compare(&tensor(&[1.0, 0.0]), &tensor(&[1.0, 1e-12])) else { panic!() };
        assert!(largest < 1e-8);
        let Compared::Numbers { largest, .. } = compare(&tensor(&[1.0]), &tensor(&[f64::NAN])) else { panic!() };
        assert!(largest.is_infinite());
        assert!(matches!(compare(&tensor(&[1.0]), &tensor(&[1.0, 2.0])), Compared::Otherwise(_)));
    }

    #[test]
    fn texts_and_files_are_the_same_or_not() {
        let table = |words: &[&str]| {
            neuroflow_data::Table::from_columns(vec![columns::from_texts("word", words)]).unwrap().into_artifact().unwrap()
        };
        assert!(matches!(compare(&table(&["a", "b"]), &table(&["a", "c"])), Compared::Otherwise(how) if how.contains("`word`")));
        let file = |bytes: &[u8]| Artifact::from_bytes(bytes.to_vec().into());
        assert!(matches!(compare(&file(b"abc"), &file(b"abd")), Compared::Otherwise(how) if how.contains("byte 2")));
    }

    #[test]
    fn notes_of_scores_may_differ_and_numbers_are_named_by_their_metric() {
        let scores = |value: f64, note: &str| {
            let score = Score { notes: vec![note.to_owned()], ..Score::new("accuracy", value, 8) };
            Scores::new(vec![score]).into_artifact().unwrap()
        };
        let Compared::Numbers { largest, .. } = compare(&scores(0.5, "here"), &scores(0.5, "there")) else { panic!() };
        assert!(largest == 0.0);
        let Compared::Numbers { largest, at } = compare(&scores(0.5, "here"), &scores(0.25, "here")) else { panic!() };
        assert!(largest == 0.5 && at.starts_with("accuracy.value"), "{at}");
    }
}
