//! What happened in a session: units with their spikes, and events.

use super::table::{Column, INTERVALS, UNITS, columns_of};
use super::{NwbWriter, bad, clean};
use arrow::array::{ArrayRef, FixedSizeListArray, Float64Array, LargeListArray};
use arrow::buffer::{OffsetBuffer, ScalarBuffer};
use arrow::datatypes::{DataType, Field};
use neuroflow_data::formats::FormatError;
use neuroflow_data::{Events, Spikes, Table};
use std::io::{Seek, Write};
use std::sync::Arc;

impl<W: Write + Seek> NwbWriter<W> {
    /// Writes spikes as `/units`: `spike_times` in seconds, `obs_intervals` when it is known when units were looked at, and every column of the
    /// units. Descriptions of columns stand under `description` in their fields' metadata.
    ///
    /// # Errors
    /// When the file has units already, or the output can't be written.
    pub fn spikes(&mut self, about: &str, spikes: &Spikes) -> Result<(), FormatError> {
        let path = "/units";
        let failed = |error: &dyn std::fmt::Display| bad(path, error.to_string(), "choose other units");
        let units = spikes.len();
        let item = || Arc::new(Field::new("item", DataType::Float64, false));
        let times = ScalarBuffer::from(spikes.all_times().to_vec());
        let offsets = OffsetBuffer::<i64>::from_lengths((0..units).map(|unit| spikes.times(unit).len()));
        let times =
            LargeListArray::try_new(item(), offsets, Arc::new(Float64Array::new(times, None)), None).map_err(|error| failed(&error))?;
        let mut own = vec![Column::new("spike_times", "the spike times for each unit in seconds", Arc::new(times) as ArrayRef)];
        if !spikes.observed.is_empty() {
            let pairs: Vec<f64> = spikes.observed.iter().flat_map(|&(begin, end)| [begin, end]).collect::<Vec<_>>().repeat(units);
            let pairs = FixedSizeListArray::try_new_with_length(
                item(),
                2,
                Arc::new(Float64Array::from(pairs)),
                None,
                spikes.observed.len() * units,
            );
            let pairs = pairs.map_err(|error| failed(&error))?;
            let offsets = OffsetBuffer::<i64>::from_lengths(std::iter::repeat_n(spikes.observed.len(), units));
            let field = Arc::new(Field::new("item", DataType::FixedSizeList(item(), 2), false));
            let lists = LargeListArray::try_new(field, offsets, Arc::new(pairs), None).map_err(|error| failed(&error))?;
            own.push(Column::new("obs_intervals", "the observation intervals for each unit", Arc::new(lists) as ArrayRef));
        }
        self.dynamic_table(path, &UNITS, about, units, own, columns_of(spikes.units().batch()))?;
        match self.facts.spike_resolution {
            Some(resolution) => self.number_attribute("/units/spike_times", "resolution", resolution),
            None => Ok(()),
        }
    }

    /// Writes events as `/intervals/NAME`: `start_time` is the event's time and `stop_time` its time and duration together, NaN where no
    /// duration is known: what has no known end is not given one. Every further column is kept.
    ///
    /// # Errors
    /// When the name is taken, or the output can't be written.
    pub fn events(&mut self, name: &str, about: &str, events: &Events) -> Result<(), FormatError> {
        let path = format!("/intervals/{}", clean(name));
        let table = events.table();
        let times = events.times();
        let durations = durations(table);
        let computed = match &durations {
            Some(durations) => times.iter().zip(durations).map(|(time, duration)| time + duration).collect(),
            None => vec![f64::NAN; times.len()],
        };
        // Events that were intervals already keep their ends to the last bit, which time and duration together may miss by rounding.
        let told = table.numbers("stop_time").ok();
        let stops = told.filter(|stops| durations.is_none() || near(stops, &computed)).unwrap_or(computed);
        let stop_about = match stops.iter().any(|stop| stop.is_nan()) {
            true => "Stop time of epoch, in seconds; NaN where no duration is known",
            false => "Stop time of epoch, in seconds",
        };
        let own = vec![
            Column::new("start_time", "Start time of epoch, in seconds", Arc::new(Float64Array::from(times.clone())) as ArrayRef),
            Column::new("stop_time", stop_about, Arc::new(Float64Array::from(stops.clone()))),
        ];
        let same = |column: &str, values: &[f64]| {
            let bits = |values: &[f64]| values.iter().map(|value| value.to_bits()).collect::<Vec<_>>();
            table.numbers(column).is_ok_and(|found| bits(&found) == bits(values))
        };
        let mut further = columns_of(table.batch());
        further.retain(|column| match column.name.as_str() {
            "time" => false,
            "duration" => durations.is_some(),
            "start_time" => !same("start_time", &times),
            "stop_time" => !same("stop_time", &stops),
            _ => true,
        });
        for column in &mut further {
            match column.name.as_str() {
                "duration" => column.about = "how long each event lasts, in seconds; NaN where it is not known".into(),
                "label" if column.about == "column `label`" => column.about = "what each event is".into(),
                _ => {}
            }
        }
        self.dynamic_table(&path, &INTERVALS, about, events.len(), own, further)
    }
}

/// Durations, when at least one is known.
fn durations(table: &Table) -> Option<Vec<f64>> {
    table.numbers("duration").ok().filter(|durations| durations.iter().any(|duration| !duration.is_nan()))
}

/// Whether numbers are the same up to rounding.
fn near(one: &[f64], two: &[f64]) -> bool {
    let same =
        |(one, two): (&f64, &f64)| (one - two).abs() <= 4.0 * f64::EPSILON * one.abs().max(two.abs()) || (one.is_nan() && two.is_nan());
    one.len() == two.len() && one.iter().zip(two).all(same)
}
