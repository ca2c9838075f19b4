//! The event table behind the data records.

use super::EVENTS;
use crate::series::unusable;
use crate::source::{Source, part};
use neuroflow_data::formats::bytes::{ByteOrder, decode, number_at};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Place, RAISE_LIMIT};
use neuroflow_data::{Events, Table, columns};
use std::collections::HashMap;

/// In a table with durations, an event of this type is a sample of a channel without equal steps, and the duration holds its value.
const SPARSE: u16 = 0x7fff;

/// Reads the table that begins at `at`; `None` when there is none.
pub(super) fn read(
    source: &dyn Source,
    at: u64,
    version: f64,
    fastest: f64,
    channels: &[String],
    notes: &mut Vec<String>,
) -> Result<Option<Events>, FormatError> {
    if source.len().saturating_sub(at) < 8 {
        return Ok(None);
    }
    let head = part(source, Format::Gdf, at..at + 8)?;
    let byte = |place: usize| head.get(place).copied().unwrap_or(0);
    let three = u32::from_le_bytes([byte(1), byte(2), byte(3), 0]);
    let (mode, count, stated) = if version < 1.94 {
        (byte(0), number_at::<u32>(&head, 4, ByteOrder::Little).unwrap_or(0), f64::from(three))
    } else {
        (byte(0), three, f64::from(number_at::<f32>(&head, 4, ByteOrder::Little).unwrap_or(0.0)))
    };
    let long = match mode {
        1 | 5 => false,
        3 | 7 => true,
        0 => return Ok(None),
        other => {
            notes.push(format!("{} bytes after the data records are no event table (mode {other}) and are left out", source.len() - at));
            return Ok(None);
        }
    };
    let each = if long { 12u64 } else { 6 };
    let bytes = u64::from(count) * each;
    if at + 8 + bytes > source.len() {
        let reason = format!("an event table of {count} events takes {bytes} bytes, {} are there", source.len() - at - 8);
        return Err(FormatError::new(Format::Gdf, Place::Byte(at + 4), reason, COPY_AGAIN));
    }
    if u64::from(count) * 80 > source.len().saturating_mul(4).saturating_add(64 << 20) {
        let reason = format!("{count} events are more than a file of {} bytes may make", source.len());
        return Err(FormatError::new(Format::Gdf, Place::Byte(at), reason, RAISE_LIMIT));
    }
    let table = part(source, Format::Gdf, at + 8..at + 8 + bytes)?;
    let count = count as usize;
    let column = |before: usize, size: usize| table.get(before * count..(before + size) * count).unwrap_or_default();
    let places = decode(column(0, 4), ByteOrder::Little, |place: u32| i64::from(place) - 1);
    let codes = decode(column(4, 2), ByteOrder::Little, |code: u16| code);
    let owners = decode(if long { column(6, 2) } else { &[] }, ByteOrder::Little, |channel: u16| channel);
    let lengths = decode(if long { column(8, 4) } else { &[] }, ByteOrder::Little, |length: u32| length);
    let rate = if stated.is_finite() && stated > 0.0 { stated } else { fastest };
    if !(rate.is_finite() && rate > 0.0) {
        notes.push("the event table has no sampling rate, so that its events have no times; they are left out".into());
        return Ok(None);
    }
    let sparse = codes.iter().filter(|code| **code == SPARSE).count();
    if sparse > 0 {
        notes.push(format!("{sparse} events are single samples of a channel without equal steps; their values are not read"));
    }
    let duration = |place: usize| lengths.get(place).filter(|_| codes.get(place) != Some(&SPARSE)).map(|&length| f64::from(length) / rate);
    let known: HashMap<u16, String> = codes.iter().map(|&code| (code, code.to_string())).collect();
    let labels: Vec<&str> = codes.iter().map(|code| known.get(code).map_or("", String::as_str)).collect();
    let mut all = vec![
        columns::from_numbers("time", places.iter().map(|&place| place as f64 / rate).collect()),
        columns::from_optional_numbers("duration", (0..count).map(duration).collect()),
        columns::from_texts("label", &labels),
        columns::from_integers("code", codes.iter().map(|&code| i64::from(code)).collect()),
        columns::from_integers("sample", places),
    ];
    if owners.iter().any(|&owner| owner > 0) {
        let name = |owner: &u16| usize::from(*owner).checked_sub(1).and_then(|place| channels.get(place)).map_or("", String::as_str);
        all.push(columns::from_texts("channel", &owners.iter().map(name).collect::<Vec<_>>()));
    }
    Table::from_columns(all).and_then(Events::from_table).map(Some).map_err(unusable(Format::Gdf, EVENTS))
}
