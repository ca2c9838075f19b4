//! Any artifact as a file that other programs read.

use crate::artifact::{Artifact, Payload, Typed};
use crate::axis::{Axis, Coordinates};
use crate::columns;
use crate::error::DataError;
use crate::formats::{csv, npy, parquet};
use crate::json::json_value;
use crate::kind::Kind;
use crate::recording::{Channel, Recording};
use crate::table::Table;
use crate::tensor::{Tensor, VALUES};
use arrow::datatypes::DataType;
use std::fmt;
use std::str::FromStr;

/// A file format for exports.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportFormat {
    /// NumPy: the main tensor, a recording's values `[channel × sample]` in the channels' units, or a table's numeric columns `[row × column]`.
    Npy,
    /// Comma-separated text: a table as it is, its lists as JSON; a tensor as one row a value, with a column for each axis.
    Csv,
    /// Parquet: columns as they are stored.
    Parquet,
    /// Arrow IPC: the stored file itself.
    Arrow,
    /// JSON: description and columns; a gap is null.
    Json,
}

impl ExportFormat {
    /// Every format.
    pub const ALL: [ExportFormat; 5] =
        [ExportFormat::Npy, ExportFormat::Csv, ExportFormat::Parquet, ExportFormat::Arrow, ExportFormat::Json];

    /// The word for it, which is also the file ending.
    pub fn name(self) -> &'static str {
        match self {
            ExportFormat::Npy => "npy",
            ExportFormat::Csv => "csv",
            ExportFormat::Parquet => "parquet",
            ExportFormat::Arrow => "arrow",
            ExportFormat::Json => "json",
        }
    }
}

impl fmt::Display for ExportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for ExportFormat {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let all = ExportFormat::ALL.map(ExportFormat::name).join(", ");
        ExportFormat::ALL.into_iter().find(|format| format.name() == text).ok_or_else(|| format!("`{text}` is not one of {all}"))
    }
}

/// The bytes of a file with the artifact in it. Files and directories are given as they are, whatever the format.
///
/// # Errors
/// When the format can't hold the artifact, such as text columns in `npy`.
pub fn export(artifact: &Artifact, format: ExportFormat) -> Result<Vec<u8>, DataError> {
    let Payload::Batch(batch) = artifact.payload() else { return artifact.encode() };
    let failed = |error: &dyn fmt::Display| DataError::Invalid(format!("can't write {format}: {error}"));
    match format {
        ExportFormat::Arrow => artifact.encode(),
        ExportFormat::Parquet => parquet::write_parquet(&batch.schema(), std::slice::from_ref(batch)).map_err(|error| failed(&error)),
        ExportFormat::Csv => csv::write_csv(tidy(artifact)?.batch()).map_err(|error| failed(&error)),
        ExportFormat::Npy => {
            let (shape, values) = numbers(artifact)?;
            npy::write_npy_f64(&shape, &values).map_err(|error| failed(&error))
        }
        ExportFormat::Json => {
            let table = tidy(artifact)?;
            let mut columns = serde_json::Map::new();
            for (field, array) in table.batch().schema().fields().iter().zip(table.batch().columns()) {
                let values = (0..array.len()).map(|row| json_value(array, row)).collect::<Result<Vec<_>, _>>()?;
                columns.insert(field.name().clone(), values.into());
            }
            let value = serde_json::json!({ "kind": artifact.kind(), "about": artifact.meta(), "columns": columns });
            serde_json::to_vec_pretty(&value).map_err(|error| failed(&error))
        }
    }
}

/// The artifact as a plain table: tensors have one row a value and a column for each axis, recordings a row for each sample with its `time` and a column for each
/// channel in its unit, everything else is as it is.
///
/// # Errors
/// When the artifact is bytes, or its axes do not fit its columns.
pub fn tidy(artifact: &Artifact) -> Result<Table, DataError> {
    let Payload::Batch(batch) = artifact.payload() else {
        return Err(DataError::WrongKind { expected: Kind::Table, found: artifact.kind() });
    };
    if artifact.kind() == Kind::Recording {
        return samples_by_time(&Recording::from_artifact(artifact)?);
    }
    if !is_tensor(artifact) {
        return Ok(Table::from_batch(batch.clone()));
    }
    let axes = &artifact.meta().axes;
    let values = columns::tensor_values(batch, VALUES)?;
    let tensor = Tensor::from_parts(axes.clone(), None, values)?;
    let total = tensor.values().len();
    let mut pairs = Vec::new();
    let (mut repeat, mut seen) = (total, Vec::new());
    for axis in axes {
        repeat /= axis.len().max(1);
        let position = |row: usize| (row / repeat.max(1)) % axis.len().max(1);
        // Two axes of one name (a matrix of conditions) become `condition` and `condition_2`.
        seen.push(axis.name.as_str());
        let count = seen.iter().filter(|name| **name == axis.name).count();
        let name = if count > 1 { format!("{}_{count}", axis.name) } else { axis.name.clone() };
        pairs.push(axis_column(&name, axis, total, position));
    }
    pairs.push(columns::from_numbers("value", tensor.values().to_vec()));
    Table::from_columns(pairs)
}

fn axis_column(
    name: &str,
    axis: &Axis,
    rows: usize,
    position: impl Fn(usize) -> usize,
) -> (arrow::datatypes::Field, arrow::array::ArrayRef) {
    match &axis.coordinates {
        Coordinates::Count(_) => columns::from_integers(name, (0..rows).map(|row| position(row) as i64).collect()),
        Coordinates::Numbers(numbers) => columns::from_numbers(name, (0..rows).map(|row| numbers[position(row)]).collect()),
        Coordinates::Labels(labels) => {
            let texts: Vec<&str> = (0..rows).map(|row| labels[position(row)].as_str()).collect();
            columns::from_texts(name, &texts)
        }
    }
}

/// How many samples all channels have, at the same times.
fn common_length(recording: &Recording) -> Result<usize, DataError> {
    let mut channels = (0..recording.len()).filter_map(|place| recording.channel(place));
    let Some((first, samples)) = channels.next() else { return Ok(0) };
    match channels.find(|(own, other)| own.rate != first.rate || own.stretches != first.stretches || other.len() != samples.len()) {
        None => Ok(samples.len()),
        Some((other, _)) => Err(DataError::Invalid(format!(
            "channels `{}` and `{}` have other samples, at {} Hz and {} Hz, which no row can hold: choose channels of one rate, or use parquet, arrow or nwb",
            first.name, other.name, first.rate, other.rate
        ))),
    }
}

fn samples_by_time(recording: &Recording) -> Result<Table, DataError> {
    let count = common_length(recording)?;
    let time = |channel: &Channel| (0..count as u64).map(|sample| channel.time_of(sample)).collect::<Vec<f64>>();
    let mut columns: Vec<_> = recording.channel(0).map(|(channel, _)| columns::from_numbers("time", time(channel))).into_iter().collect();
    for (place, channel) in recording.channels().enumerate() {
        // A channel may be called `time` as well.
        let name = if channel.name == "time" { "channel time" } else { &channel.name };
        columns.push(columns::from_numbers(name, recording.values(place, 0..count)));
    }
    Table::from_columns(columns)
}

fn is_tensor(artifact: &Artifact) -> bool {
    artifact.column_names().iter().any(|name| name == VALUES) && !artifact.meta().axes.is_empty()
}

fn numbers(artifact: &Artifact) -> Result<(Vec<usize>, Vec<f64>), DataError> {
    let Payload::Batch(batch) = artifact.payload() else {
        return Err(DataError::WrongKind { expected: Kind::Tensor, found: artifact.kind() });
    };
    if artifact.kind() == Kind::Recording {
        let recording = Recording::from_artifact(artifact)?;
        let count = common_length(&recording)?;
        let values = (0..recording.len()).flat_map(|place| recording.values(place, 0..count)).collect();
        return Ok((vec![recording.len(), count], values));
    }
    if is_tensor(artifact) {
        let shape = artifact.meta().axes.iter().map(Axis::len).collect();
        return Ok((shape, columns::tensor_values(batch, VALUES)?.to_vec()));
    }
    let schema = batch.schema();
    let names: Vec<&String> = schema
        .fields()
        .iter()
        .filter(|field| field.data_type().is_numeric() || matches!(field.data_type(), DataType::Boolean | DataType::Null))
        .map(|field| field.name())
        .collect();
    if names.is_empty() {
        return Err(DataError::Invalid("npy holds numbers, and no column is numeric; use csv, parquet, arrow or json".into()));
    }
    let columns = names.iter().map(|name| columns::numbers(batch, name)).collect::<Result<Vec<_>, _>>()?;
    let rows = batch.num_rows();
    let values = (0..rows).flat_map(|row| columns.iter().map(move |column| column[row])).collect();
    Ok((vec![rows, names.len()], values))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Typed;
    use arrow::array::{ArrayRef, BooleanArray, Int64Array, ListArray, NullArray, RecordBatch, StringArray};
    use arrow::datatypes::Int64Type;
    use std::sync::Arc;

    fn matrix() -> Artifact {
        let axes = vec![Axis::labels("unit", vec!["a".into(), "b".into()]), Axis::numbers("bin", Some("s"), vec![0.0, 0.5, 1.0])];
        Tensor::new(axes, None, vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap().into_artifact().unwrap()
    }

    #[test]
    fn a_recording_becomes_values_in_its_units() {
        use crate::recording::{Samples, Stretch};
        let channel = |name: &str, gain: f64| Channel {
            gain,
            offset: 1.0,
            stretches: vec![Stretch { first: 0, time: 0.0 }, Stretch { first: 2, time: 5.0 }],
            ..Channel::new(name, "uV", 10.0)
        };
        let stored = |own: [i16; 3]| Samples::I16(own.to_vec().into());
        let of = |other: Channel| Recording::new("r", vec![(channel("Cz", 0.5), stored([2, 4, 6])), (other, stored([1, 2, 3]))]).unwrap();
        let artifact = of(channel("time", 2.0)).into_artifact().unwrap();
        let text = String::from_utf8(export(&artifact, ExportFormat::Csv).unwrap()).unwrap();
        assert_eq!(text, "time,Cz,channel time\n0.0,2.0,3.0\n0.1,3.0,5.0\n5.0,4.0,7.0\n");
        let (shape, values) = numbers(&artifact).unwrap();
        assert_eq!((shape, values), (vec![2, 3], vec![2.0, 3.0, 4.0, 3.0, 5.0, 7.0]));
        let uneven = of(Channel { rate: 20.0, ..channel("b", 1.0) }).into_artifact().unwrap();
        assert!(export(&uneven, ExportFormat::Npy).unwrap_err().to_string().contains("at 10 Hz and 20 Hz, which no row can hold"));
    }

    #[test]
    fn a_tensor_becomes_one_row_a_value_in_csv() {
        let text = String::from_utf8(export(&matrix(), ExportFormat::Csv).unwrap()).unwrap();
        assert_eq!(text.lines().take(3).collect::<Vec<_>>(), ["unit,bin,value", "a,0.0,1.0", "a,0.5,2.0"]);
        assert_eq!(text.lines().count(), 7);
    }

    #[test]
    fn a_tensor_keeps_its_shape_in_npy() {
        let bytes = export(&matrix(), ExportFormat::Npy).unwrap();
        let array = npy::read_npy(&bytes, &crate::formats::Limits::default()).unwrap();
        assert_eq!(array.shape, [2, 3]);
        assert_eq!(array.to_f64().unwrap().as_ref(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    }

    #[test]
    fn lists_are_json_in_csv_and_gaps_are_null_in_json() {
        let lists = ListArray::from_iter_primitive::<Int64Type, _, _>([Some(vec![Some(1), None]), None]);
        let columns: Vec<(&str, ArrayRef, bool)> = vec![
            ("area", Arc::new(Int64Array::from(vec![Some(3), None])), true),
            ("ok", Arc::new(BooleanArray::from(vec![None, Some(false)])), true),
            ("word", Arc::new(StringArray::from(vec![Some("a"), None])), true),
            ("ids", Arc::new(lists), true),
            ("none", Arc::new(NullArray::new(2)), true),
        ];
        let table = Table::from_batch(RecordBatch::try_from_iter_with_nullable(columns).unwrap());
        assert_eq!(table.texts("ids").unwrap(), ["[1,null]", ""]);
        let table = table.into_artifact().unwrap();
        let text = String::from_utf8(export(&table, ExportFormat::Csv).unwrap()).unwrap();
        assert_eq!(text, "area,ok,word,ids,none\n3,,a,\"[1,null]\",\n,false,,,\n");
        let json: serde_json::Value = serde_json::from_slice(&export(&table, ExportFormat::Json).unwrap()).unwrap();
        let expected = serde_json::json!({
            "area": [3, null], "ok": [null, false], "word": ["a", null], "ids": [[1, null], null], "none": [null, null],
        });
        assert_eq!(json["columns"], expected);
    }

    #[test]
    fn every_format_takes_a_table_and_npy_says_when_nothing_is_numeric() {
        let table = Table::from_columns(vec![columns::from_texts("name", &["x"])]).unwrap().into_artifact().unwrap();
        for format in [ExportFormat::Csv, ExportFormat::Parquet, ExportFormat::Arrow, ExportFormat::Json] {
            assert!(!export(&table, format).unwrap().is_empty());
        }
        assert!(export(&table, ExportFormat::Npy).unwrap_err().to_string().contains("no column is numeric"));
    }
}
