//! Events from the status channel of BDF: bits 0 to 15 of a sample are the trigger inputs (BioSemi, "Which file format does BioSemi use?").

use crate::series::{Series, unusable};
use neuroflow_data::formats::{Format, FormatError, Place};
use neuroflow_data::{Events, Samples, Table, columns};

/// The trigger inputs.
const INPUTS: i32 = 0xffff;

/// An event for each sample at which the number on the trigger inputs rises; a number that is there from the first sample on is none.
pub(super) fn read(series: &Series, format: Format, channel: usize) -> Result<Events, FormatError> {
    let stored = series.all_stored(&[channel])?;
    let samples: Vec<i32> = match stored.first() {
        Some(Samples::I32(samples)) => samples.to_vec(),
        Some(Samples::I16(samples)) => samples.iter().map(|&sample| i32::from(sample)).collect(),
        _ => {
            let reason = "the status channel does not hold whole numbers";
            return Err(FormatError::new(format, Place::File, reason, "read it as a signal"));
        }
    };
    let Some(clock) = series.channel_list().get(channel) else { return empty(format) };
    let (mut times, mut places, mut values) = (Vec::new(), Vec::new(), Vec::new());
    let mut steps = samples.iter().map(|sample| sample & INPUTS).enumerate();
    let mut before = steps.next().map_or(0, |(_, value)| value);
    for (place, value) in steps {
        if value > before {
            times.push(clock.time_of(place as u64));
            places.push(place as i64);
            values.push(i64::from(value));
        }
        before = value;
    }
    table(format, times, places, values)
}

fn empty(format: Format) -> Result<Events, FormatError> {
    table(format, Vec::new(), Vec::new(), Vec::new())
}

fn table(format: Format, times: Vec<f64>, places: Vec<i64>, values: Vec<i64>) -> Result<Events, FormatError> {
    let labels: Vec<String> = values.iter().map(i64::to_string).collect();
    let durations = vec![None; times.len()];
    let table = Table::from_columns(vec![
        columns::from_numbers("time", times),
        columns::from_optional_numbers("duration", durations),
        columns::from_texts("label", &labels),
        columns::from_integers("value", values),
        columns::from_integers("sample", places),
    ]);
    table.and_then(Events::from_table).map_err(unusable(format, "triggers"))
}
