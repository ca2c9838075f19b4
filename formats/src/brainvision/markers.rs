//! Markers: `Mk3=Stimulus,S  1,1234,1,0`.

use super::ini::{Entry, Ini};
use crate::series::unusable;
use crate::text;
use neuroflow_data::formats::{Format, FormatError, OR_ACCEPT};
use neuroflow_data::{Channel, Events, Stretch, Table, columns};

/// One marker. Positions are counted from 0 here, from 1 in the file.
#[derive(Debug, Clone)]
pub(super) struct Marker {
    pub kind: String,
    pub description: String,
    pub position: u64,
    pub size: Option<u64>,
    /// 0 for all channels.
    pub channel: u64,
    /// As it stands in the file: year to microseconds, 20 digits.
    pub date: String,
}

/// Reads the marker section; lines that are no markers are told.
pub(super) fn read(ini: &Ini, damage: &mut Vec<FormatError>) -> Vec<Marker> {
    let mut markers = Vec::new();
    let mut unread: Option<(Entry<'_>, u64)> = None;
    for entry in ini.section("marker infos") {
        match marker(entry.value) {
            Some(marker) => markers.push(marker),
            None => unread = Some(unread.map_or((entry, 1), |(first, count)| (first, count + 1))),
        }
    }
    if let Some((first, count)) = unread {
        let more = if count > 1 { format!(" (one of {count} such lines)") } else { String::new() };
        let reason = format!("`{}={}` is no marker and is left out{more}", first.key.escape_debug(), first.value.escape_debug());
        damage.push(first.wrong(reason, OR_ACCEPT));
    }
    markers
}

fn marker(value: &str) -> Option<Marker> {
    let mut fields = value.split(',');
    let comma = |field: &str| field.replace("\\1", ",");
    let (kind, description) = (comma(fields.next()?), comma(fields.next()?));
    let position = fields.next()?.trim().parse::<u64>().ok()?.checked_sub(1)?;
    let size = fields.next().and_then(|size| size.trim().parse().ok());
    let channel = fields.next().and_then(|channel| channel.trim().parse().ok()).unwrap_or(0);
    Some(Marker { kind, description, position, size, channel, date: fields.next().unwrap_or_default().trim().to_owned() })
}

/// Seconds since 1970 of a marker's date.
fn seconds(date: &str) -> Option<f64> {
    let digits = |range: std::ops::Range<usize>| date.get(range)?.parse::<u32>().ok();
    if date.len() != 20 || !date.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let (year, month, day) = (digits(0..4)?, digits(4..6)?, digits(6..8)?);
    let (hour, minute, second, micros) = (digits(8..10)?, digits(10..12)?, digits(12..14)?, digits(14..20)?);
    text::instant(i64::from(year), month, day, hour, minute, f64::from(second))?;
    let days = text::days(i64::from(year), month, day) as f64;
    // Microseconds since 1970 are below 2⁵³ until the year 2255.
    Some(days * 86_400.0 + f64::from(hour * 3600 + minute * 60 + second) + f64::from(micros) / 1e6)
}

/// When the first segment began, as the file has it.
pub(super) fn start(markers: &[Marker]) -> Option<String> {
    markers.iter().filter(|marker| marker.kind == "New Segment").find_map(|marker| text::since_1970(seconds(&marker.date)?))
}

/// The stretches that segments with dates make, when the recording paused between them.
pub(super) fn stretches(markers: &[Marker], rate: f64, samples: u64, notes: &mut Vec<String>) -> Vec<Stretch> {
    let mut all = vec![Stretch { first: 0, time: 0.0 }];
    let mut segments = markers.iter().filter(|marker| marker.kind == "New Segment");
    let Some(begin) = segments.next().filter(|first| first.position == 0).and_then(|first| seconds(&first.date)) else { return all };
    let mut unused = 0;
    for segment in segments {
        let Some(last) = all.last().copied() else { break };
        if segment.position <= last.first || segment.position >= samples {
            unused += 1;
            continue;
        }
        let expected = last.time + (segment.position - last.first) as f64 / rate;
        match seconds(&segment.date).map(|date| date - begin) {
            // Clocks run apart a little, so that less than a sample is no pause.
            Some(time) if time - expected > 1.0 / rate => all.push(Stretch { first: segment.position, time }),
            Some(time) if expected - time > 1.0 / rate => unused += 1,
            _ => {}
        }
    }
    if unused > 0 {
        notes.push(format!("{unused} segments have a place or date that does not follow the segment before; time is counted on there"));
    }
    all
}

/// Markers as events: the label is `type/description`, as in MNE.
pub(super) fn events(markers: &[Marker], clock: &Channel, names: &[String]) -> Result<Events, FormatError> {
    let of = |text: fn(&Marker) -> &str| markers.iter().map(text).collect::<Vec<_>>();
    let labels: Vec<String> = markers.iter().map(|marker| format!("{}/{}", marker.kind, marker.description)).collect();
    let channel = |marker: &Marker| marker.channel.checked_sub(1).and_then(|place| names.get(usize::try_from(place).ok()?));
    let mut table = vec![
        columns::from_numbers("time", markers.iter().map(|marker| clock.time_of(marker.position)).collect()),
        columns::from_optional_numbers("duration", markers.iter().map(|marker| marker.size.map(|size| size as f64 / clock.rate)).collect()),
        columns::from_texts("label", &labels),
        columns::from_texts("type", &of(|marker| &marker.kind)),
        columns::from_texts("description", &of(|marker| &marker.description)),
        columns::from_integers("sample", markers.iter().map(|marker| i64::try_from(marker.position).unwrap_or(i64::MAX)).collect()),
    ];
    if markers.iter().any(|marker| marker.channel > 0) {
        let owners: Vec<&str> = markers.iter().map(|marker| channel(marker).map_or("", String::as_str)).collect();
        table.push(columns::from_texts("channel", &owners));
    }
    Table::from_columns(table).and_then(Events::from_table).map_err(unusable(Format::BrainVision, super::MARKERS))
}
