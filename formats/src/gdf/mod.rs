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

use crate::calibrated::{Signal, channel_columns};
use crate::document::{Contents, Item, What};
use crate::edf::table_what;
use crate::recorded::{CHANNELS, RecordedDocument, SIGNALS};
use crate::series::{Element, Lane, Layout, Number, Section, Series, unique, unusable};
use crate::source::Source;
use header::Header;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, OR_ACCEPT, Place};
use neuroflow_data::{Channel, Table, columns};
use std::sync::Arc;

const EVENTS: &str = "events";

/// Opens a GDF file. Reads the header and the event table.
///
/// # Errors
/// When the header is not that of GDF or is damaged, a channel has a type of number that is not read, or the event table does not fit in the file.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<RecordedDocument, FormatError> {
    let Header { version, data, records, duration, signals, facts, mut notes, mut damage } = header::read(source.as_ref())?;
    let mut contents = Contents::new(Format::Gdf, format!("{version:.2}"));
    contents.facts = facts;
    let mut lanes: Vec<(Lane, Channel)> = Vec::new();
    let mut told: Vec<&Signal> = Vec::new();
    let mut offset = 0u64;
    for (place, (signal, kind)) in signals.iter().enumerate() {
        let element = element(*kind, &signal.label, place)?;
        let size = element.size() as u64;
        let lane = Lane { element, offset, count: signal.samples, stride: size };
        offset += signal.samples * size;
        if signal.samples == 0 {
            // Such a channel stands for samples that are kept in the event table.
            notes.push(format!("channel `{}` has no samples of its own and is left out", signal.label));
        } else {
            let (channel, unscaled) = signal.channel(duration);
            if let Some(reason) = unscaled.map(|reason| format!("channel {reason}")) {
                let ((low, high), (first, last)) = (signal.physical, signal.digital);
                // Equal limits are how some recorders say that there is no scale; limits that are no numbers say nothing.
                if [low, high, first, last].iter().all(|limit| limit.is_finite()) {
                    notes.push(reason);
                } else {
                    damage.push(FormatError::new(Format::Gdf, Place::Object { path: SIGNALS.into(), byte: None }, reason, OR_ACCEPT));
                }
            }
            lanes.push((lane, channel));
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
    let mut described = channel_columns(&lanes, &told);
    described.insert(4, columns::from_texts("element", &lanes.iter().map(|(lane, _)| lane.element.name()).collect::<Vec<_>>()));
    let table = Table::from_columns(described).map_err(unusable(Format::Gdf, CHANNELS))?;
    let layout = Layout { sections: vec![Section { at: data, frames: if offset == 0 { 0 } else { frames } }], frame_bytes: offset };
    let end = frames.checked_mul(offset).and_then(|bytes| bytes.checked_add(data)).unwrap_or(source.len());
    let rate = lanes.iter().map(|(_, channel)| channel.rate).fold(0.0, f64::max);
    let labels: Vec<String> = signals.iter().map(|(signal, _)| signal.label.clone()).collect();
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
    let events = events.map(|events| (EVENTS, events)).into_iter().collect();
    Ok(RecordedDocument { contents, series: Some(series), epochs: None, events, triggers: None, channels: table })
}

/// The type codes of the specification, table 5.
fn element(kind: u32, label: &str, place: usize) -> Result<Element, FormatError> {
    let number = match kind {
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
            let reason = format!("channel {} (`{}`) has samples of type {other}, which is not read", place + 1, label);
            return Err(FormatError::new(Format::Gdf, Place::File, reason, COPY_AGAIN));
        }
    };
    Ok(Element::little(number))
}
