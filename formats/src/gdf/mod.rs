//! GDF, the general data format for biosignals, versions 1 and 2.
//!
//! [`open`] gives these items: `signals`, the recording, with a table `signals@100Hz` for each further rate; `events`, the event table, labelled
//! with the
//! event's code, with `code`, `sample`, `channel` and duration where the file has them; and `channels`, a table of what the header says of each
//! channel.
//!
//! Times are seconds after the first sample. Values are `stored × gain + offset`, as in EDF. Each channel may have its own type of number. The
//! unit is
//! what the header says: a text in version 1, a code (ISO 11073-10101) in version 2, of which the common ones become texts and others `code 1234`.
//!
//! The layout is that of Schlögl, "GDF - A general dataformat for biosignals", versions 1.25 and 2.51.

mod events;
mod header;

use crate::document::{Contents, Document, Item, Rows, Signals, What};
use crate::edf::table_what;
use crate::series::{Element, Lane, Layout, Number, Section, Series, held, unique, unusable};
use crate::source::Source;
use crate::text;
use header::{Header, Signal};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, OR_ACCEPT, Place};
use neuroflow_data::{Channel, Events, Table, columns};
use std::sync::Arc;

const SIGNALS: &str = "signals";
const EVENTS: &str = "events";
const CHANNELS: &str = "channels";

/// A GDF file, opened.
#[derive(Debug)]
pub struct GdfDocument {
    contents: Contents,
    series: Arc<Series>,
    events: Option<Events>,
    channels: Table,
}

/// Opens a GDF file. Reads the header and the event table.
///
/// # Errors
/// When the header is not that of GDF or is damaged, a channel has a type of number that is not read, or the event table does not fit in the file.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<GdfDocument, FormatError> {
    let Header { version, data, records, duration, signals, facts, mut notes, mut damage } = header::read(source.as_ref())?;
    let mut contents = Contents::new(Format::Gdf, format!("{version:.2}"));
    contents.facts = facts;
    let mut lanes: Vec<(Lane, Channel)> = Vec::new();
    let mut told: Vec<&Signal> = Vec::new();
    let mut offset = 0u64;
    for (place, signal) in signals.iter().enumerate() {
        let element = element(signal, place)?;
        let size = element.size() as u64;
        let lane = Lane { element, offset, count: signal.samples, stride: size };
        offset += signal.samples * size;
        if signal.samples == 0 {
            // Such a channel stands for samples that are kept in the event table.
            notes.push(format!("channel `{}` has no samples of its own and is left out", signal.label));
        } else {
            lanes.push((lane, channel(signal, duration, &mut notes, &mut damage)));
            told.push(signal);
        }
    }
    let there = source.len().saturating_sub(data);
    let whole = there.checked_div(offset).unwrap_or(0);
    let frames = match records {
        Some(stated) if stated <= whole || offset == 0 => stated,
        Some(stated) => {
            let reason = format!(
                "the file ends in data record {}, the header (byte 236) counts {stated}; {whole} are read, and no events",
                whole + 1
            );
            damage.push(FormatError::new(Format::Gdf, Place::Byte(source.len()), reason, OR_ACCEPT));
            whole
        }
        None => {
            notes.push(format!("the header does not count the data records; the file holds {whole}"));
            whole
        }
    };
    let complete = records.is_some_and(|stated| stated == frames);
    let mut names: Vec<String> = lanes.iter().map(|(_, channel)| channel.name.clone()).collect();
    if unique(&mut names) {
        notes.push("several channels have one label; they are told apart by `-0`, `-1`, …".into());
        lanes.iter_mut().zip(&names).for_each(|((_, channel), name)| channel.name.clone_from(name));
    }
    let table = channel_table(&lanes, &told).map_err(unusable(Format::Gdf, CHANNELS))?;
    let layout = Layout { sections: vec![Section { at: data, frames: if offset == 0 { 0 } else { frames } }], frame_bytes: offset };
    let end = frames.checked_mul(offset).and_then(|bytes| bytes.checked_add(data)).unwrap_or(source.len());
    let rate = lanes.iter().map(|(_, channel)| channel.rate).fold(0.0, f64::max);
    let labels: Vec<String> = signals.iter().map(|signal| signal.label.clone()).collect();
    let events = if complete { events::read(source.as_ref(), end, version, rate, &labels, &mut notes)? } else { None };
    let series = Arc::new(Series::new(source, Format::Gdf, limits, layout, lanes)?);
    contents.items = series.items(SIGNALS, "");
    if let Some(events) = &events {
        contents.items.push(Item { path: EVENTS.into(), what: What::Events { count: events.len() as u64 }, about: String::new() });
    }
    if table.rows() > 0 {
        let about = "what the header says of each channel".into();
        contents.items.push(Item { path: CHANNELS.into(), what: table_what(&table), about });
    }
    (contents.notes, contents.damage) = (notes, damage);
    Ok(GdfDocument { contents, series, events, channels: table })
}

/// The type codes of the specification, table 5.
fn element(signal: &Signal, place: usize) -> Result<Element, FormatError> {
    let number = match signal.kind {
        1 => Number::I8,
        0 | 2 => Number::U8,
        3 => Number::I16,
        4 => Number::U16,
        5 => Number::I32,
        6 => Number::U32,
        7 => Number::I64,
        8 => Number::U64,
        16 => Number::F32,
        17 => Number::F64,
        279 => Number::I24,
        535 => Number::U24,
        other => {
            let reason = format!("channel {} (`{}`) has samples of type {other}, which is not read", place + 1, signal.label);
            return Err(FormatError::new(Format::Gdf, Place::File, reason, COPY_AGAIN));
        }
    };
    Ok(Element::little(number))
}

fn channel(signal: &Signal, duration: f64, notes: &mut Vec<String>, damage: &mut Vec<FormatError>) -> Channel {
    let mut channel = Channel::new(signal.label.clone(), signal.unit.clone(), signal.samples as f64 / duration);
    channel.role = text::role_of(&signal.label, &signal.unit).into();
    let ((low, high), (first, last)) = (signal.physical, signal.digital);
    let gain = (high - low) / (last - first);
    let offset = low - first * gain;
    if gain.is_finite() && gain != 0.0 && offset.is_finite() {
        (channel.gain, channel.offset) = (gain, offset);
    } else {
        let reason = format!(
            "channel `{}` has no scale (physical {low} to {high}, digital {first} to {last}); its values are the stored numbers",
            signal.label
        );
        // Equal limits are how some recorders say that there is no scale; limits that are no numbers say nothing.
        if [low, high, first, last].iter().all(|limit| limit.is_finite()) {
            notes.push(reason);
        } else {
            damage.push(FormatError::new(Format::Gdf, Place::Object { path: SIGNALS.into(), byte: None }, reason, OR_ACCEPT));
        }
    }
    channel
}

fn channel_table(lanes: &[(Lane, Channel)], signals: &[&Signal]) -> Result<Table, neuroflow_data::DataError> {
    let of = |text: fn(&Signal) -> &str| signals.iter().map(|signal| text(signal)).collect::<Vec<_>>();
    let numbers = |number: fn(&Signal) -> f64| signals.iter().map(|signal| number(signal)).collect::<Vec<_>>();
    let names: Vec<&str> = lanes.iter().map(|(_, channel)| channel.name.as_str()).collect();
    let roles: Vec<&str> = lanes.iter().map(|(_, channel)| channel.role.as_str()).collect();
    let elements: Vec<&str> = lanes.iter().map(|(lane, _)| lane.element.name()).collect();
    Table::from_columns(vec![
        columns::from_texts("channel", &names),
        columns::from_texts("role", &roles),
        columns::from_texts("unit", &of(|signal| &signal.unit)),
        columns::from_numbers("rate", lanes.iter().map(|(_, channel)| channel.rate).collect()),
        columns::from_texts("element", &elements),
        columns::from_texts("transducer", &of(|signal| &signal.transducer)),
        columns::from_texts("prefilter", &of(|signal| &signal.prefilter)),
        columns::from_numbers("physical_minimum", numbers(|signal| signal.physical.0)),
        columns::from_numbers("physical_maximum", numbers(|signal| signal.physical.1)),
        columns::from_numbers("digital_minimum", numbers(|signal| signal.digital.0)),
        columns::from_numbers("digital_maximum", numbers(|signal| signal.digital.1)),
    ])
}

impl Document for GdfDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn signals(&self, path: &str) -> Result<Box<dyn Signals + '_>, FormatError> {
        self.contents.path_of(path, "recording", |what| matches!(what, What::Recording { .. }))?;
        Ok(Box::new(self.series.as_ref()))
    }

    fn events(&self, path: &str) -> Result<Events, FormatError> {
        self.contents.path_of(path, "events", |what| matches!(what, What::Events { .. }))?;
        self.events.clone().ok_or_else(|| self.contents.none("events", path))
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let path = if path.is_empty() { SIGNALS } else { path };
        match (path, &self.events) {
            (EVENTS, Some(events)) => Ok(held(Format::Gdf, events.table())),
            (CHANNELS, _) if self.channels.rows() > 0 => Ok(held(Format::Gdf, &self.channels)),
            _ => self.series.rows(SIGNALS, path).ok_or_else(|| self.contents.none("table", path)),
        }
    }
}
