//! BrainVision: a header (`.vhdr`), markers (`.vmrk`) and samples (`.eeg`), which belong together.
//!
//! [`open`] gives these items: `signals`, the recording; `markers`, the events, labelled `type/description`, with `type`, `description`, `sample`
//! and,
//! where a marker belongs to one channel, `channel`; and `channels`, a table of what the header says of each channel.
//!
//! Values are `stored × resolution` in the channel's unit, which is `µV` where the header says nothing. Times are seconds after the first sample.
//! Where
//! later segments have dates that lie behind the samples before them, the recording has pauses, and times are those of the clock.
//!
//! Read are `BINARY` (`INT_16`, `INT_32`, `UINT_16`, `IEEE_FLOAT_32`, `IEEE_FLOAT_64`, in either byte order) and `ASCII` data, both `MULTIPLEXED` and
//! `VECTORIZED`. The layout is that of "BrainVision Core Data Format 1.0" (Brain Products, 2018). The files that the header names must lie in the
//! folder.

mod ascii;
mod ini;
mod markers;

use crate::document::{Contents, Item, What};
use crate::edf::table_what;
use crate::recorded::{CHANNELS, RecordedDocument, SIGNALS};
use crate::series::{Element, Lane, Layout, MOST_STRETCHES, Number, Section, Series, most_channels, unique, unusable};
use crate::source::{Folder, Source, inside};
use crate::text;
use ini::{Entry, Ini};
use neuroflow_data::formats::bytes::ByteOrder;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, OR_ACCEPT, Place};
use neuroflow_data::{Channel, Table, columns};
use std::sync::Arc;

const MARKERS: &str = "markers";

/// Which goes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Orientation {
    /// All channels of one sample, then those of the next.
    Multiplexed,
    /// All samples of one channel, then those of the next.
    Vectorized,
}

/// Opens the recording whose header stands at `path` in `folder`. Reads header and markers; samples only if they are text.
///
/// # Errors
/// When there is no such header, it lacks what it must have, names a file outside the folder or one that is not there, or disagrees with the samples.
pub fn open(folder: &Arc<dyn Folder>, path: &str, limits: &Limits) -> Result<RecordedDocument, FormatError> {
    let format = Format::BrainVision;
    let missing =
        |path: &str| FormatError::new(format, Place::File, format!("there is no file `{path}`"), "keep .vhdr, .vmrk and .eeg together");
    let header_file = file(folder, path)?.ok_or_else(|| missing(path))?;
    let header = Ini::read(&header_file)?;
    let Some(version) = header.version("header") else {
        let reason = "the first line is not that of a BrainVision header, version 1.0 or 2.0";
        return Err(FormatError::new(format, Place::Line { line: 1, field: None }, reason, "check that the path names a .vhdr file"));
    };
    let mut contents = Contents::new(format, version);
    let (mut notes, mut damage) = (Vec::new(), Vec::new());
    let common = |key: &str| header.get("common infos", key);
    let need = |key: &str| common(key).ok_or_else(|| lacks(key, "Common Infos"));
    let source_bytes = header_file.len();
    let count = need("NumberOfChannels")?;
    let channels = count.value.parse::<usize>().ok().filter(|count| *count > 0 && *count as u64 <= most_channels(source_bytes));
    let channels =
        channels.ok_or_else(|| count.wrong(format!("`{}` is no number of channels", count.value), "correct `NumberOfChannels`"))?;
    let interval = need("SamplingInterval")?;
    let rate = text::number(interval.value).map(|interval| 1e6 / interval).filter(|rate| rate.is_finite() && *rate > 0.0);
    let rate =
        rate.ok_or_else(|| interval.wrong(format!("`{}` is no interval", interval.value), "give `SamplingInterval` in microseconds"))?;
    if let Some(kind) = common("DataType").filter(|kind| !kind.value.eq_ignore_ascii_case("TIMEDOMAIN")) {
        return Err(kind.wrong(format!("data of type `{}` are not read", kind.value), "export the data in the time domain"));
    }
    let orientation = match common("DataOrientation").map(|entry| (entry, entry.value.to_ascii_uppercase())) {
        None => Orientation::Multiplexed,
        Some((_, word)) if word == "MULTIPLEXED" => Orientation::Multiplexed,
        Some((_, word)) if word == "VECTORIZED" => Orientation::Vectorized,
        Some((entry, word)) => return Err(entry.wrong(format!("the orientation `{word}` is not known"), "use MULTIPLEXED or VECTORIZED")),
    };
    let points = common("DataPoints").and_then(|entry| entry.value.parse::<u64>().ok());
    let samples = sibling(folder, path, need("DataFile")?, &["eeg", "dat", "avg"], &mut notes)?;
    let samples = samples.ok_or_else(|| missing(need("DataFile").map_or("", |entry| entry.value)))?;
    let (source, element, length) = match common("DataFormat").map_or("BINARY", |entry| entry.value).to_ascii_uppercase().as_str() {
        "BINARY" => {
            let element = binary(&header)?;
            let bytes = (channels as u64).saturating_mul(element.size() as u64);
            let there = samples.len() / bytes;
            let length = match (orientation, points) {
                (Orientation::Vectorized, Some(points)) if points > there => {
                    let reason = format!("{channels} channels of {points} samples are stated, {} bytes are there", samples.len());
                    return Err(FormatError::new(format, Place::Byte(samples.len()), reason, COPY_AGAIN));
                }
                (Orientation::Vectorized, Some(points)) => points,
                _ => there,
            };
            if let Some(points) = points.filter(|points| *points > length) {
                let reason = format!("the header states {points} samples of {channels} channels, the file of samples ends after {length}");
                damage.push(FormatError::new(format, Place::Byte(samples.len()), reason, OR_ACCEPT));
            } else if let Some(points) = points.filter(|points| *points != length) {
                notes.push(format!("the header states {points} samples, the file holds {length}, which are read"));
            } else if samples.len() != length * bytes {
                notes.push(format!("{} bytes after the last sample are left out", samples.len() - length * bytes));
            }
            (samples, element, length)
        }
        "ASCII" => {
            let bytes = crate::source::part(samples.as_ref(), format, 0..samples.len())?;
            let (buffer, length) = ascii::read(&bytes, &header, orientation, channels, limits)?;
            let order = if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };
            (Arc::new(buffer) as Arc<dyn Source>, Element { number: Number::F64, order }, length)
        }
        other => {
            let reason = format!("the data format `{other}` is neither BINARY nor ASCII");
            return Err(FormatError::new(format, Place::File, reason, "correct `DataFormat` in the header"));
        }
    };
    let (mut all, references) = channel_infos(&header, channels, rate, &mut notes, &mut damage);
    let markers = match common("MarkerFile") {
        None => None,
        Some(entry) => {
            let found = sibling(folder, path, entry, &["vmrk", "amrk"], &mut notes)?;
            if found.is_none() {
                let reason = format!("the file of markers, `{}`, is not there", entry.value.escape_debug());
                let help = "put it beside the header, or take the samples alone with `damaged = accept`";
                damage.push(FormatError::new(format, Place::File, reason, help));
            }
            found
        }
    };
    let markers = markers.map(|source| Ini::read(&source)).transpose()?;
    if markers.as_ref().is_some_and(|markers| markers.version("marker").is_none()) {
        notes.push("the first line of the marker file is not that of version 1.0 or 2.0; it is read all the same".into());
    }
    let markers = markers.map(|ini| markers::read(&ini, &mut damage));
    if let Some(markers) = &markers {
        let stretches = markers::stretches(markers, rate, length, &mut notes);
        if stretches.len().saturating_mul(channels) > MOST_STRETCHES {
            let reason = format!("{} segments of {channels} channels are separated by pauses", stretches.len());
            return Err(FormatError::new(format, Place::File, reason, "export the recording in parts"));
        }
        all.iter_mut().for_each(|channel| channel.stretches.clone_from(&stretches));
        if let Some(start) = markers::start(markers) {
            contents.facts.insert("start".into(), start);
        }
    }
    let table = channel_table(&all, &references).map_err(unusable(format, CHANNELS))?;
    let size = element.size() as u64;
    let (layout, stride) = match orientation {
        Orientation::Multiplexed => {
            (Layout { sections: vec![Section { at: 0, frames: length }], frame_bytes: channels as u64 * size }, (size, 1))
        }
        Orientation::Vectorized => {
            let frame_bytes = length * channels as u64 * size;
            (Layout { sections: vec![Section { at: 0, frames: 1 }], frame_bytes }, (length * size, length))
        }
    };
    let names: Vec<String> = all.iter().map(|channel| channel.name.clone()).collect();
    let lane = |place: usize| Lane { element, offset: place as u64 * stride.0, count: stride.1, stride: size };
    let lanes = all.into_iter().enumerate().map(|(place, channel)| (lane(place), channel)).collect();
    let series = Arc::new(Series::new(source, format, limits, layout, lanes)?);
    contents.items = series.items(SIGNALS, "");
    let clock = series.channel_list().first();
    let markers = markers.zip(clock).map(|(markers, clock)| markers::events(&markers, clock, &names)).transpose()?;
    if let Some(events) = &markers {
        contents.items.push(Item { path: MARKERS.into(), what: What::Events { count: events.len() as u64 }, about: String::new() });
    }
    let about = "what the header says of each channel".into();
    contents.items.push(Item { path: CHANNELS.into(), what: table_what(&table), about });
    (contents.notes, contents.damage) = (notes, damage);
    let events = markers.map(|markers| (MARKERS, markers)).into_iter().collect();
    Ok(RecordedDocument { contents, series: Some(series), epochs: None, events, triggers: None, channels: table })
}

fn lacks(key: &str, section: &str) -> FormatError {
    FormatError::new(
        Format::BrainVision,
        Place::File,
        format!("the header lacks `{key}` in [{section}]"),
        "add it, or export the recording again",
    )
}

fn file(folder: &Arc<dyn Folder>, path: &str) -> Result<Option<Arc<dyn Source>>, FormatError> {
    folder.open(path).map_err(|error| {
        let reason = format!("`{path}` can't be opened: {error}");
        FormatError::new(Format::BrainVision, Place::File, reason, "see that the file is still there and try again")
    })
}

/// The file that an entry of the header names, or, when a recording was renamed, the one that is called like the header.
fn sibling(
    folder: &Arc<dyn Folder>,
    header: &str,
    entry: Entry<'_>,
    endings: &[&str],
    notes: &mut Vec<String>,
) -> Result<Option<Arc<dyn Source>>, FormatError> {
    let stem = header.rsplit_once('.').map_or(header, |(stem, _)| stem);
    let base = stem.rsplit('/').next().unwrap_or(stem);
    let named = entry.value.replace("$b", base);
    let Some(path) = inside(header, &named) else {
        let reason = format!("`{}={}` leads out of the folder", entry.key, entry.value.escape_debug());
        return Err(entry.wrong(reason, "name a file in the header's folder; nothing outside it is opened"));
    };
    if let Some(found) = file(folder, &path)? {
        return Ok(Some(found));
    }
    for ending in endings {
        let path = format!("{stem}.{ending}");
        if let Some(found) = file(folder, &path)? {
            notes.push(format!("`{named}` is not there; `{base}.{ending}` is read in its place"));
            return Ok(Some(found));
        }
    }
    Ok(None)
}

fn binary(header: &Ini) -> Result<Element, FormatError> {
    let entry = header.get("binary infos", "BinaryFormat").ok_or_else(|| lacks("BinaryFormat", "Binary Infos"))?;
    let number = match entry.value.to_ascii_uppercase().as_str() {
        "INT_16" => Number::I16,
        "UINT_16" => Number::U16,
        "INT_32" => Number::I32,
        "IEEE_FLOAT_32" => Number::F32,
        "IEEE_FLOAT_64" => Number::F64,
        other => return Err(entry.wrong(format!("samples of type `{other}` are not read"), "export them as INT_16 or IEEE_FLOAT_32")),
    };
    let big = header.get("binary infos", "UseBigEndianOrder").is_some_and(|entry| entry.value.eq_ignore_ascii_case("yes"));
    Ok(Element { number, order: if big { ByteOrder::Big } else { ByteOrder::Little } })
}

/// Channels in the order of their numbers, and the reference of each.
fn channel_infos(
    header: &Ini,
    count: usize,
    rate: f64,
    notes: &mut Vec<String>,
    damage: &mut Vec<FormatError>,
) -> (Vec<Channel>, Vec<String>) {
    let mut channels: Vec<Option<(Channel, String)>> = vec![None; count];
    for entry in header.section("channel infos") {
        let place = entry.key.get(2..).and_then(|number| number.parse::<usize>().ok()).and_then(|number| number.checked_sub(1));
        let Some(slot) = place.and_then(|place| channels.get_mut(place)) else {
            notes.push(format!("line {}: `{}` is beyond the {count} channels and is left out", entry.line, entry.key.escape_debug()));
            continue;
        };
        let mut fields = entry.value.split(',');
        let name = fields.next().unwrap_or_default().replace("\\1", ",");
        let reference = fields.next().unwrap_or_default().replace("\\1", ",");
        let resolution = fields.next().unwrap_or_default().trim();
        let unit = fields.next().map(str::trim).filter(|unit| !unit.is_empty()).unwrap_or("µV");
        let mut channel = Channel::new(name, unit, rate);
        channel.role = text::role_of(&channel.name, unit).into();
        match text::number(resolution).filter(|gain| *gain != 0.0) {
            Some(gain) => channel.gain = gain,
            None if resolution.is_empty() => {}
            None => {
                let reason = format!("channel `{}` has the resolution `{}`; 1 is taken", channel.name, resolution.escape_debug());
                damage.push(entry.wrong(reason, OR_ACCEPT));
            }
        }
        *slot = Some((channel, reference));
    }
    let absent = channels.iter().filter(|channel| channel.is_none()).count();
    if absent > 0 {
        let reason = format!("{absent} of {count} channels are not described in [Channel Infos]; their values are the stored numbers");
        damage.push(FormatError::new(Format::BrainVision, Place::Object { path: CHANNELS.into(), byte: None }, reason, OR_ACCEPT));
    }
    let named = |(place, slot): (usize, Option<(Channel, String)>)| {
        slot.unwrap_or_else(|| (Channel::new(format!("Ch{}", place + 1), "", rate), String::new()))
    };
    let (mut channels, references): (Vec<Channel>, Vec<String>) = channels.into_iter().enumerate().map(named).unzip();
    let mut names: Vec<String> = channels.iter().map(|channel| channel.name.clone()).collect();
    if unique(&mut names) {
        notes.push("several channels have one name; they are told apart by `-0`, `-1`, …".into());
        channels.iter_mut().zip(names).for_each(|(channel, name)| channel.name = name);
    }
    (channels, references)
}

fn channel_table(channels: &[Channel], references: &[String]) -> Result<Table, neuroflow_data::DataError> {
    let of = |text: fn(&Channel) -> &str| channels.iter().map(text).collect::<Vec<_>>();
    Table::from_columns(vec![
        columns::from_texts("channel", &of(|channel| &channel.name)),
        columns::from_texts("role", &of(|channel| &channel.role)),
        columns::from_texts("unit", &of(|channel| &channel.unit)),
        columns::from_texts("reference", references),
        columns::from_numbers("resolution", channels.iter().map(|channel| channel.gain).collect()),
    ])
}
