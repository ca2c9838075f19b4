//! Tables and arrays that were computed.

use super::table::{Column, DYNAMIC, columns_of};
use super::{CORE, NwbWriter, bad, clean, recording::unit_or_none};
use crate::write::hdf5::Data;
use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use neuroflow_data::axis::describe;
use neuroflow_data::columns::tensor_column;
use neuroflow_data::formats::FormatError;
use neuroflow_data::{Artifact, Axis, Coordinates, Payload, Table, Tensor};
use std::io::{Seek, Write};
use std::sync::Arc;

/// The most axes that a column of a table, or the data of a series, may have.
const AXES: usize = 4;

impl<W: Write + Seek> NwbWriter<W> {
    /// Writes a table as `/processing/neuroflow/NAME`. Lists get an index, gaps in numbers become NaN, gaps in text are empty, and whatever else
    /// Arrow has is text. Descriptions of columns stand under `description` in their fields' metadata.
    ///
    /// # Errors
    /// When the name is taken, integers beyond 2^53 stand beside gaps, or the output can't be written.
    pub fn table(&mut self, name: &str, about: &str, table: &Table) -> Result<(), FormatError> {
        let path = self.in_module(name)?;
        self.dynamic_table(&path, &DYNAMIC, about, table.rows(), Vec::new(), columns_of(table.batch()))
    }

    /// Writes an array. When its first axis has times in seconds that rise, it is a `TimeSeries`. Otherwise it is a table whose rows are the
    /// positions of the first axis, with the column `values`; each further axis is a table `NAME_AXIS` of its own. An array of more than four
    /// axes stands in `/scratch`.
    ///
    /// # Errors
    /// When the name is taken, or the output can't be written.
    pub fn tensor(&mut self, name: &str, about: &str, tensor: &Tensor) -> Result<(), FormatError> {
        let shape: Vec<u64> = tensor.shape().into_iter().map(|length| length as u64).collect();
        let axes = tensor.axes();
        let about = with_axes(about, axes, tensor.unit());
        let Some((first, further)) = axes.split_first() else { return Ok(()) };
        if axes.len() > AXES {
            self.group("/scratch")?;
            let path = format!("/scratch/{}", clean(name));
            self.dataset(&path, &Data::F64(tensor.values()), &shape)?;
            self.typed(&path, CORE, "ScratchData")?;
            self.text_attribute(&path, "notes", &about)?;
            return axes.iter().enumerate().try_for_each(|(position, axis)| self.axis(name, position, axis));
        }
        match &first.coordinates {
            Coordinates::Numbers(times) if first.unit.as_deref() == Some("s") && rise(times) => {
                let path = self.in_module(name)?;
                self.typed_group(&path, CORE, "TimeSeries")?;
                self.text_attribute(&path, "description", &about)?;
                self.text_attribute(&path, "comments", "computed")?;
                let data = format!("{path}/data");
                self.dataset(&data, &Data::F64(tensor.values()), &shape)?;
                for (fact, number) in [("conversion", 1.0), ("offset", 0.0), ("resolution", -1.0)] {
                    self.number_attribute(&data, fact, number)?;
                }
                self.text_attribute(&data, "unit", unit_or_none(tensor.unit().unwrap_or_default()))?;
                match regular(times) {
                    Some((start, rate)) => self.regular_times(&path, start, rate)?,
                    None => self.timestamps(&path, times)?,
                }
            }
            _ => {
                let mut columns = axis_columns(first);
                let (field, values) =
                    tensor_column("values", axes, tensor.buffer()).map_err(|error| bad(name, error.to_string(), "cut it into parts"))?;
                columns.push(Column::new("values", with_axes("the values", axes, tensor.unit()), values).shaped(&field));
                let path = self.in_module(name)?;
                self.dynamic_table(&path, &DYNAMIC, &about, first.len(), Vec::new(), columns)?;
            }
        }
        further.iter().enumerate().try_for_each(|(position, axis)| self.axis(name, position + 1, axis))
    }

    /// Writes an axis as a table of its positions; not one that is only counted and has no properties, of which nothing is to be said.
    fn axis(&mut self, name: &str, position: usize, axis: &Axis) -> Result<(), FormatError> {
        if matches!(axis.coordinates, Coordinates::Count(_)) && axis.properties.is_empty() {
            return Ok(());
        }
        let mut path = self.in_module(&format!("{name}_{}", axis.name))?;
        if self.file.contains(&path) {
            // Two axes may have one name, as the conditions of a matrix have.
            path = format!("{path}_{position}");
        }
        let about = format!("the positions of axis {position} (counted from 0), `{}`, of `{name}`", axis.name);
        self.dynamic_table(&path, &DYNAMIC, &about, axis.len(), Vec::new(), axis_columns(axis))
    }

    /// Writes any artifact that is made of columns: a recording, spikes, events and arrays as what they are, everything else as a table with
    /// tables for its axes. What is said about it (kind, unit, sources, attributes) joins the provenance.
    ///
    /// # Errors
    /// When the artifact is bytes, its columns do not make what its kind says, the name is taken, or the output can't be written.
    pub fn artifact(&mut self, name: &str, artifact: &Artifact) -> Result<(), FormatError> {
        use neuroflow_data::{Events, Kind, Recording, Spikes, Typed};
        let failed = |error: neuroflow_data::DataError| bad(name, error.to_string(), "compute it again");
        let Payload::Batch(batch) = artifact.payload() else {
            let reason = format!("a {} is bytes, and NWB holds values", artifact.kind());
            return Err(bad(name, reason, "take a result of a step that reads it"));
        };
        let meta = artifact.meta();
        let mut about = format!("{} `{name}`", artifact.kind());
        if let Some(stage) = &meta.made_by {
            about.push_str(&format!(", made by `{stage}`"));
        }
        for source in &meta.sources {
            about.push_str(&format!("; {source}"));
        }
        match artifact.kind() {
            Kind::Recording => {
                let series = super::Series { name, about: &about, derived: true, electrodes: None };
                self.recording(&Recording::from_artifact(artifact).map_err(failed)?, &series)?;
            }
            Kind::Spikes => self.spikes(&about, &Spikes::from_artifact(artifact).map_err(failed)?)?,
            Kind::Events => self.events(name, &about, &Events::from_artifact(artifact).map_err(failed)?)?,
            Kind::Tensor => self.tensor(name, &about, &Tensor::from_artifact(artifact).map_err(failed)?)?,
            _ => {
                let about = with_axes(&about, &meta.axes, meta.unit.as_deref());
                let mut columns = columns_of(batch);
                let mut axes = meta.axes.as_slice();
                // Where the rows are the first axis, what is known of its positions stands beside them.
                if let Some((first, further)) = axes.split_first()
                    && columns.iter().any(|column| column.name == "values")
                    && first.len() == batch.num_rows()
                {
                    let known = axis_columns(first).into_iter().filter(|column| batch.column_by_name(&column.name).is_none());
                    columns.splice(0..0, known.collect::<Vec<_>>());
                    axes = further;
                }
                let rows = meta.axes.len() - axes.len();
                let path = self.in_module(name)?;
                self.dynamic_table(&path, &DYNAMIC, &about, batch.num_rows(), Vec::new(), columns)?;
                axes.iter().enumerate().try_for_each(|(position, axis)| self.axis(name, position + rows, axis))?;
            }
        }
        let mut said = vec![("kind", artifact.kind().to_string())];
        said.extend(meta.unit.iter().map(|unit| ("unit", unit.clone())));
        said.extend(meta.sources.iter().map(|source| ("source", source.clone())));
        said.extend(meta.made_by.iter().map(|stage| ("made_by", stage.clone())));
        let said = said.into_iter().map(|(fact, value)| (format!("{name}.{fact}"), value));
        self.facts.provenance.extend(said);
        for (key, value) in &meta.attributes {
            // Axes beside the main ones, as covariates have them, are tables as well.
            match serde_json::from_value::<Vec<Axis>>(value.clone()) {
                Ok(axes) if key.ends_with("_axes") => {
                    let new = |axis: &&Axis| meta.axes.iter().all(|main| main != *axis);
                    axes.iter()
                        .enumerate()
                        .filter(|(_, axis)| new(axis))
                        .try_for_each(|(position, axis)| self.axis(name, position, axis))?;
                }
                _ => flatten(format!("{name}.{key}"), value, &mut self.facts.provenance),
            }
        }
        Ok(())
    }
}

/// Facts out of JSON: a row for each value, lists of plain values in one.
fn flatten(fact: String, value: &serde_json::Value, into: &mut Vec<(String, String)>) {
    use serde_json::Value;
    match value {
        Value::Object(fields) => fields.iter().for_each(|(name, value)| flatten(format!("{fact}.{name}"), value, into)),
        Value::Array(values) if values.iter().any(|value| value.is_object() || value.is_array()) => {
            values.iter().enumerate().for_each(|(place, value)| flatten(format!("{fact}.{place}"), value, into));
        }
        Value::String(text) => into.push((fact, text.clone())),
        other => into.push((fact, other.to_string())),
    }
}

/// The columns that say where positions of an axis lie; none for an axis that is only counted.
fn axis_columns(axis: &Axis) -> Vec<Column> {
    let unit = axis.unit.as_ref().map(|unit| format!(", in {unit}")).unwrap_or_default();
    let own = match &axis.coordinates {
        Coordinates::Count(_) => None,
        known => Some(Column::new(axis.name.as_str(), format!("where each position of `{}` lies{unit}", axis.name), coordinates(known))),
    };
    let properties = axis.properties.iter().map(|(name, values)| {
        Column::new(name.as_str(), format!("property `{name}` of each position of `{}`", axis.name), coordinates(values))
    });
    own.into_iter().chain(properties).collect()
}

fn coordinates(of: &Coordinates) -> ArrayRef {
    match of {
        Coordinates::Count(length) => Arc::new(Int64Array::from_iter_values(0..*length as i64)),
        Coordinates::Numbers(numbers) => Arc::new(Float64Array::from(numbers.clone())),
        Coordinates::Labels(labels) => Arc::new(StringArray::from_iter_values(labels)),
    }
}

fn with_axes(about: &str, axes: &[Axis], unit: Option<&str>) -> String {
    let mut about = about.to_owned();
    if !axes.is_empty() {
        about.push_str(&format!(" [{}]", describe(axes)));
    }
    if let Some(unit) = unit {
        about.push_str(&format!(" in {unit}"));
    }
    about
}

fn rise(times: &[f64]) -> bool {
    times.iter().all(|time| time.is_finite()) && times.windows(2).all(|pair| matches!(pair, [one, two] if one < two))
}

/// Start and rate of times, when each is exactly what they give: `start + sample / rate`.
fn regular(times: &[f64]) -> Option<(f64, f64)> {
    let (&start, &last) = times.first().zip(times.last())?;
    let rate = (times.len().checked_sub(1).filter(|&steps| steps > 0)? as f64) / (last - start);
    let rates = [rate, rate.round()];
    let fits = |rate: &f64| {
        rate.is_finite()
            && *rate > 0.0
            && times.iter().enumerate().all(|(sample, time)| (start + sample as f64 / rate).to_bits() == time.to_bits())
    };
    rates.into_iter().find(fits).map(|rate| (start, rate))
}
