//! Events from channels that record the trigger inputs: an event is each sample at which the number on the inputs rises.
//!
//! | format | channels | the number |
//! |---|---|---|
//! | BDF | the status channel | bits 0 to 15 of a sample (BioSemi, "Which file format does BioSemi use?") |
//! | FIF | `STI101`; without it `STI 014`; without both all stimulus channels, one after the other | a sample's value without its fraction and sign |
//!
//! A number that is there from the first sample on is none. These are the events that MNE's `find_events` gives by default: where a FIF recording pauses the
//! inputs are at 0, and events of a channel that follow each other at once are refused, as they come of inputs that did not rise together.

use crate::document::{Contents, Item, What};
use crate::series::{Series, unusable};
use neuroflow_data::formats::{Format, FormatError, Place};
use neuroflow_data::{Channel, Events, Samples, Table, columns};
use std::sync::{Arc, OnceLock};

/// Where they stand.
pub(crate) const TRIGGERS: &str = "triggers";

/// The trigger inputs in the status channel of BDF.
const INPUTS: i32 = 0xffff;
/// Samples between events of a channel of FIF, at least.
const SHORTEST: i64 = 2;

/// Channels of triggers, and the events in them once they were asked for.
#[derive(Debug)]
pub(crate) struct Triggers {
    series: Arc<Series>,
    format: Format,
    channels: Vec<usize>,
    found: OnceLock<Events>,
}

/// A sample at which the number rose: its position on the measurement's clock or in the file, the number before and the number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Rise {
    sample: i64,
    before: i64,
    value: i64,
}

impl Triggers {
    /// The triggers of a recording; none when it has no channel of them.
    pub(crate) fn of(series: &Arc<Series>, format: Format) -> Option<Triggers> {
        let all = series.channel_list();
        let named = |name: &str| all.iter().position(|channel| channel.name == name).map(|only| vec![only]);
        let channels = match format {
            Format::Bdf => all.iter().position(|channel| is_status(&channel.name)).map(|only| vec![only]),
            _ => named("STI101").or_else(|| named("STI 014")).or_else(|| {
                let stimulus = (0..all.len()).filter(|&own| all.get(own).is_some_and(|channel| channel.role == "trig"));
                Some(stimulus.collect())
            }),
        };
        let channels = channels.filter(|channels| !channels.is_empty())?;
        Some(Triggers { series: Arc::clone(series), format, channels, found: OnceLock::new() })
    }

    /// What is listed of them.
    pub(crate) fn item(&self) -> Item {
        let columns = match self.format {
            Format::Bdf => &[("time", "float64"), ("duration", "float64"), ("label", "text"), ("value", "int64"), ("sample", "int64")][..],
            _ => &[
                ("time", "float64"),
                ("duration", "float64"),
                ("label", "text"),
                ("value", "int64"),
                ("previous", "int64"),
                ("sample", "int64"),
            ],
        };
        let columns = columns.iter().map(|&(name, kind)| (name.to_owned(), kind.to_owned())).collect();
        let about = match (self.format, self.channels.as_slice()) {
            (Format::Bdf, _) => "events from the status channel, found when they are asked for".to_owned(),
            (_, [only]) => {
                let name = self.series.channel_list().get(*only).map_or("", |channel| channel.name.as_str());
                format!("events from the channel `{}`, found when they are asked for", name.escape_debug())
            }
            (_, many) => format!("events from {} stimulus channels, found when they are asked for", many.len()),
        };
        Item { path: TRIGGERS.into(), what: What::Table { rows: None, columns }, about }
    }

    /// The events.
    pub(crate) fn events(&self) -> Result<&Events, FormatError> {
        if let Some(found) = self.found.get() {
            return Ok(found);
        }
        let found = if self.format == Format::Bdf { self.of_status() } else { self.of_stimulus() }?;
        Ok(self.found.get_or_init(|| found))
    }

    fn of_status(&self) -> Result<Events, FormatError> {
        let stored = self.series.all_stored(&self.channels)?;
        let samples: Vec<i32> = match stored.first() {
            Some(Samples::I32(samples)) => samples.to_vec(),
            Some(Samples::I16(samples)) => samples.iter().map(|&sample| i32::from(sample)).collect(),
            _ => {
                let reason = "the status channel does not hold whole numbers";
                return Err(FormatError::new(self.format, Place::File, reason, "read it as a signal"));
            }
        };
        let rises = rises(samples.iter().map(|sample| i64::from(sample & INPUTS)), &[]);
        let clock = self.channels.first().and_then(|&channel| self.series.channel_list().get(channel));
        let times = rises.iter().map(|rise| clock.map_or(0.0, |clock| clock.time_of(rise.sample.cast_unsigned()))).collect();
        self.table(times, &rises, false)
    }

    fn of_stimulus(&self) -> Result<Events, FormatError> {
        let mut all: Vec<Rise> = Vec::new();
        let mut rate = 1.0;
        for &number in &self.channels {
            let Some(channel) = self.series.channel_list().get(number) else { continue };
            let values = self.series.values(&[number], 0..self.series.len_of(number))?.pop().unwrap_or_default();
            let pauses: Vec<u64> = channel.stretches.iter().skip(1).map(|stretch| stretch.first).collect();
            let mut own = rises(values.iter().map(|value| (*value as i64).saturating_abs()), &pauses);
            own.iter_mut().for_each(|rise| rise.sample = on_clock(channel, rise.sample));
            let short = own.windows(2).filter(|pair| matches!(pair, [one, two] if two.sample - one.sample < SHORTEST)).count();
            if short > 0 {
                let name = channel.name.escape_debug();
                let reason =
                    format!("{short} events of the channel `{name}` follow the one before at once, so its inputs did not rise together");
                let place = Place::Object { path: TRIGGERS.into(), byte: None };
                let help = "find them with a least duration, as MNE's `find_events(min_duration = …)` does, and save them as a table";
                return Err(FormatError::new(self.format, place, reason, help));
            }
            all.extend(own);
            rate = channel.rate;
        }
        // What several channels say alike is said once.
        all.sort_unstable();
        all.dedup();
        self.table(all.iter().map(|rise| rise.sample as f64 / rate).collect(), &all, true)
    }

    fn table(&self, times: Vec<f64>, rises: &[Rise], previous: bool) -> Result<Events, FormatError> {
        let labels: Vec<String> = rises.iter().map(|rise| rise.value.to_string()).collect();
        let column = |of: fn(&Rise) -> i64| rises.iter().map(of).collect::<Vec<_>>();
        let mut table = vec![
            columns::from_numbers("time", times),
            columns::from_optional_numbers("duration", vec![None; rises.len()]),
            columns::from_texts("label", &labels),
            columns::from_integers("value", column(|rise| rise.value)),
        ];
        if previous {
            table.push(columns::from_integers("previous", column(|rise| rise.before)));
        }
        table.push(columns::from_integers("sample", column(|rise| rise.sample)));
        Table::from_columns(table).and_then(Events::from_table).map_err(unusable(self.format, TRIGGERS))
    }
}

/// The path of the events that are meant: itself, or for the empty path the only one among events that are listed and triggers.
pub(crate) fn meant<'p>(contents: &'p Contents, path: &'p str) -> Result<&'p str, FormatError> {
    if !path.is_empty() {
        return Ok(path);
    }
    let is_events = |item: &&Item| item.path == TRIGGERS || matches!(item.what, What::Events { .. });
    let all: Vec<&str> = contents.items.iter().filter(is_events).map(|item| item.path.as_str()).collect();
    match all.as_slice() {
        [only] => Ok(only),
        [] => Err(contents.none("events", path)),
        several => {
            let names = several.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
            let reason = "several are there, so events must be named";
            Err(FormatError::new(contents.format, Place::File, reason, format!("name one of {names}")))
        }
    }
}

/// Whether a channel holds the bits of the trigger inputs of BDF.
pub(crate) fn is_status(name: &str) -> bool {
    name.eq_ignore_ascii_case("status") || name.eq_ignore_ascii_case("trigger")
}

/// Where numbers rise. `pauses` are places before which the inputs were at 0.
fn rises(values: impl Iterator<Item = i64>, pauses: &[u64]) -> Vec<Rise> {
    let (mut found, mut pauses) = (Vec::new(), pauses.iter().peekable());
    let mut values = (0u64..).zip(values);
    let mut before = values.next().map_or(0, |(_, value)| value);
    for (place, value) in values {
        if pauses.next_if(|pause| **pause <= place).is_some() {
            before = 0;
        }
        if value > before {
            found.push(Rise { sample: place.cast_signed(), before, value });
        }
        before = value;
    }
    found
}

/// The number of a sample on the measurement's clock, which counts through pauses.
fn on_clock(channel: &Channel, place: i64) -> i64 {
    (channel.time_of(place.cast_unsigned()) * channel.rate).round() as i64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_that_rise_are_events_and_pauses_are_at_0() {
        let of = |values: &[i64], pauses: &[u64]| {
            rises(values.iter().copied(), pauses).iter().map(|rise| (rise.sample, rise.before, rise.value)).collect::<Vec<_>>()
        };
        assert_eq!(of(&[5, 5, 0, 1, 1, 3, 2, 2, 4], &[]), [(3, 0, 1), (5, 1, 3), (8, 2, 4)]);
        assert_eq!(of(&[0, 7, 7, 7, 7, 0], &[3]), [(1, 0, 7), (3, 0, 7)]);
        assert_eq!(of(&[], &[]), []);
        assert_eq!(of(&[9], &[1, 2]), []);
    }
}
