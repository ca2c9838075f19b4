//! The events of a set: a struct array with `type`, `latency` and whatever else was stored.

use super::EVENTS;
use crate::series::unusable;
use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use neuroflow_data::formats::mat5::MatValue;
use neuroflow_data::formats::{Format, FormatError};
use neuroflow_data::{Events, Table, columns};

/// Reads the events. `cut` has the samples of an epoch and the time of its first sample, for sets with epochs.
pub(super) fn read(value: &MatValue, rate: f64, cut: Option<(u64, f64)>, notes: &mut Vec<String>) -> Result<Option<Events>, FormatError> {
    let MatValue::Struct { fields, .. } = value else { return Ok(None) };
    let field = |name: &str| fields.iter().find(|(own, _)| own == name).map(|(_, values)| values.as_slice());
    let Some(latencies) = field("latency") else { return Ok(None) };
    let number = |value: &MatValue| value.number().ok().filter(|number| number.is_finite());
    let kept: Vec<(usize, f64)> =
        latencies.iter().enumerate().filter_map(|(place, latency)| Some((place, number(latency)? - 1.0))).collect();
    if kept.len() < latencies.len() {
        notes.push(format!("{} events have no latency and are left out", latencies.len() - kept.len()));
    }
    let of = |values: Option<&[MatValue]>, place: usize| values.and_then(|values| values.get(place)).cloned();
    let word = |value: Option<MatValue>| -> String {
        match value {
            Some(value) => {
                value.text().map(str::to_owned).ok().or_else(|| number(&value).map(|number| number.to_string())).unwrap_or_default()
            }
            None => String::new(),
        }
    };
    let labels: Vec<String> = kept.iter().map(|(place, _)| word(of(field("type"), *place))).collect();
    let durations: Vec<Option<f64>> = kept
        .iter()
        .map(|(place, _)| of(field("duration"), *place).and_then(|value| number(&value)).map(|samples| samples / rate))
        .collect();
    let mut table: Vec<(Field, ArrayRef)> = vec![
        columns::from_numbers("time", kept.iter().map(|(_, latency)| latency / rate).collect()),
        columns::from_optional_numbers("duration", durations),
        columns::from_texts("label", &labels),
        columns::from_numbers("latency", kept.iter().map(|(_, latency)| latency + 1.0).collect()),
    ];
    if let Some((length, begin)) = cut {
        let length = length.max(1) as f64;
        // The epoch that the set names, or, when it names none, the one that the latency lies in.
        let epoch = |place: usize, latency: f64| {
            let named = of(field("epoch"), place).and_then(|value| number(&value)).filter(|epoch| *epoch >= 1.0);
            named.unwrap_or_else(|| (latency / length).floor() + 1.0)
        };
        let epochs: Vec<f64> = kept.iter().map(|(place, latency)| epoch(*place, *latency)).collect();
        let relative = kept.iter().zip(&epochs).map(|((_, latency), epoch)| begin + (latency - (epoch - 1.0) * length) / rate).collect();
        table.push(columns::from_integers("trial", epochs.iter().map(|epoch| (epoch - 1.0) as i64).collect()));
        table.push(columns::from_numbers("time_in_epoch", relative));
    }
    for (name, values) in fields {
        let taken = matches!(name.as_str(), "type" | "latency" | "duration") || table.iter().any(|(field, _)| field.name() == name);
        if taken {
            continue;
        }
        let own: Vec<Option<&MatValue>> = kept.iter().map(|(place, _)| values.get(*place)).collect();
        let empty = |value: &MatValue| value.dims().contains(&0);
        let numeric =
            own.iter().flatten().all(|value| empty(value) || (matches!(value, MatValue::Numeric { .. }) && value.number().is_ok()));
        let textual = own.iter().flatten().all(|value| empty(value) || value.text().is_ok() || value.number().is_ok());
        if numeric {
            table.push(columns::from_optional_numbers(name, own.iter().map(|value| value.and_then(number)).collect()));
        } else if textual {
            table.push(columns::from_texts(name, &own.iter().map(|value| word(value.cloned())).collect::<Vec<_>>()));
        } else {
            notes.push(format!("the events' field `{name}` holds neither numbers nor texts and is left out"));
        }
    }
    Table::from_columns(table).and_then(Events::from_table).map(Some).map_err(unusable(Format::Eeglab, EVENTS))
}

/// The event that each trial was cut around: the one nearest to its time 0. Empty when a trial has none.
pub(super) fn per_trial(events: &Events, trials: u64) -> Vec<String> {
    let (Ok(places), Ok(times)) = (events.table().integers("trial"), events.table().numbers("time_in_epoch")) else { return Vec::new() };
    let Ok(trials) = usize::try_from(trials) else { return Vec::new() };
    let mut nearest: std::collections::HashMap<usize, (f64, usize)> = std::collections::HashMap::new();
    for (row, (trial, time)) in places.iter().zip(&times).enumerate() {
        let Some(trial) = usize::try_from(*trial).ok().filter(|trial| *trial < trials) else { continue };
        let own = nearest.entry(trial).or_insert((f64::INFINITY, row));
        if time.abs() < own.0 {
            *own = (time.abs(), row);
        }
    }
    if nearest.len() < trials {
        return Vec::new();
    }
    let labels = events.labels();
    (0..trials).map(|trial| nearest.get(&trial).and_then(|(_, row)| labels.get(*row)).cloned().unwrap_or_default()).collect()
}
