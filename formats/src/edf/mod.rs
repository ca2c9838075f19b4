//! EDF, EDF+, BDF and BDF+: recordings of physiology as data records of whole numbers.
//!
//! [`open`] gives these items:
//!
//! | path | what |
//! |---|---|
//! | `signals` | the recording: a channel for each signal, each at its own rate; as a table, `time` and the channels of the highest rate |
//! | `signals@100Hz`, … | a table for each further rate |
//! | `annotations` | the annotations of EDF+ and BDF+: onset, duration, text, and `channel` where one names its channel |
//! | `triggers` | events from the status channel of BDF, each with its `value`; found when they are asked for |
//! | `channels` | a table of what the header says of each signal |
//!
//! Times are seconds after the start that the header states; in EDF+ the first record may begin a fraction of a second later, and the records of the
//! discontinuous variants (`EDF+D`, `BDF+D`) begin where their first annotation says. Values are `digital × gain + offset` in the signal's unit, with
//! `gain = (physical maximum − physical minimum) / (digital maximum − digital minimum)` and `offset = physical minimum − digital minimum × gain`;
//! these are
//! MNE's values bit for bit, and pyEDFlib's, which computes them in another order, to within 3 units in the last place of the range's larger end. The
//! status channel of BDF holds bits, which are not scaled.
//!
//! The layout is that of Kemp et al. 1992 and of "EDF+ specification" (edfplus.info), for BDF that of BioSemi. As MNE does, a number of records that
//! disagrees with the length of the file is taken from the file; this and other oddities are told in the notes.

mod header;
mod tal;

use crate::calibrated::{Signal, channel_columns};
use crate::document::{Contents, Document, Item, Rows, Signals, What};
use crate::recorded::{CHANNELS, SIGNALS};
use crate::series::{Element, Lane, Layout, MOST_STRETCHES, Number, Section, Series, held, unique, unusable};
use crate::source::Source;
use crate::triggers::{TRIGGERS, Triggers, is_status, meant};
use header::Header;
use neuroflow_data::formats::{Format, FormatError, Limits, OR_ACCEPT, Place, RAISE_LIMIT};
use neuroflow_data::{Channel, Events, Stretch, Table, columns};
use std::collections::HashMap;
use std::sync::Arc;

const ANNOTATIONS: &str = "annotations";

/// An EDF or BDF file, opened.
#[derive(Debug)]
pub struct EdfDocument {
    contents: Contents,
    series: Arc<Series>,
    annotations: Option<Events>,
    triggers: Option<Triggers>,
    channels: Table,
}

/// Opens an EDF, EDF+, BDF or BDF+ file. Reads the header and the annotation channels.
///
/// # Errors
/// When the header is not that of one of these formats or is damaged, with the byte at fault, or when there are more annotations than the file
/// justifies.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<EdfDocument, FormatError> {
    let Header { format, variant, data, records, duration, signals, facts, mut notes, mut damage } = header::read(source.as_ref())?;
    let mut contents = Contents::new(format, variant.clone());
    contents.facts = facts;
    let size = if format == Format::Bdf { 3u64 } else { 2 };
    let element = Element::little(if format == Format::Bdf { Number::I24 } else { Number::I16 });
    let record_bytes = signals.iter().try_fold(0u64, |sum, signal| sum.checked_add(signal.samples.checked_mul(size)?));
    let Some(record_bytes) = record_bytes else {
        return Err(FormatError::new(format, Place::Byte(256), "the samples of a data record are too many to count", "see the header"));
    };
    let there = source.len().saturating_sub(data);
    let frames = there.checked_div(record_bytes).unwrap_or(0);
    match records {
        Some(stated) if stated > frames => damage.push(FormatError::new(
            format,
            Place::Byte(source.len()),
            format!("the file ends in data record {}, the header (byte 236) counts {stated}; {frames} are read", frames + 1),
            OR_ACCEPT,
        )),
        Some(stated) if stated < frames => {
            notes.push(format!("the header counts {stated} data records, the file holds {frames}, which are read"));
        }
        None => notes.push(format!("the header does not count the data records (-1); the file holds {frames}")),
        Some(_) => {}
    }
    match there.checked_rem(record_bytes) {
        Some(rest) if rest > 0 && damage.is_empty() => notes.push(format!("{rest} bytes after the last whole data record are left out")),
        None if there > 0 => notes.push(format!("{there} bytes follow the header, but no signal has samples")),
        _ => {}
    }
    let seconds = if duration == 0.0 { 1.0 } else { duration };
    let mut lanes: Vec<(Lane, Channel)> = Vec::new();
    let mut told: Vec<&Signal> = Vec::new();
    let mut lists: Vec<Lane> = Vec::new();
    let mut offset = 0;
    for signal in &signals {
        let lane = Lane { element, offset, count: signal.samples, stride: size };
        offset += signal.samples * size;
        if signal.is_annotations() {
            lists.push(lane);
        } else if signal.samples == 0 {
            notes.push(format!("signal `{}` has no samples and is left out", signal.label));
        } else {
            let (mut channel, unscaled) = signal.channel(seconds);
            notes.extend(unscaled.map(|reason| format!("signal {reason}")));
            if format == Format::Bdf && is_status(&channel.name) {
                // Bits, not volts: as in MNE, its values are the stored numbers.
                (channel.gain, channel.offset) = (1.0, 0.0);
                channel.unit.clear();
            }
            lanes.push((lane, channel));
            told.push(signal);
        }
    }
    if duration == 0.0 && !lanes.is_empty() {
        notes.push("the header says that a data record lasts 0 s; 1 s is taken, as MNE does".into());
    }
    let mut names: Vec<String> = lanes.iter().map(|(_, channel)| channel.name.clone()).collect();
    if unique(&mut names) {
        notes.push("several signals have one label; they are told apart by `-0`, `-1`, …".into());
        lanes.iter_mut().zip(&names).for_each(|((_, channel), name)| channel.name.clone_from(name));
    }
    // The lists are read through a recording of their own, because the channels' stretches come from them.
    let sections = vec![Section { at: data, frames }];
    let layout = Layout { sections, frame_bytes: record_bytes };
    let bare = Series::new(Arc::clone(&source), format, limits, layout.clone(), Vec::new())?;
    let found = Annotations::read(&bare, format, &lists, &names, source.len())?;
    let listed = |reason: String| FormatError::new(format, Place::Object { path: ANNOTATIONS.into(), byte: None }, reason, OR_ACCEPT);
    if found.unread > 0 {
        damage.push(listed(format!("{} pieces of the annotation channels are no annotations and are left out", found.unread)));
    }
    let apart = variant.ends_with('D');
    if apart && lists.is_empty() {
        let reason =
            format!("{variant} keeps the time of each data record in an annotation channel, and there is none; time is counted on");
        damage.push(listed(reason));
    }
    let begins = stretches(&found.begins, seconds, apart && !lists.is_empty(), fastest(&lanes), &mut |reason| damage.push(listed(reason)));
    if begins.len().saturating_mul(lanes.len()) > MOST_STRETCHES {
        let reason = format!("the records stand apart {} times in {} channels", begins.len(), lanes.len());
        return Err(FormatError::new(format, Place::File, reason, "store the recording without pauses, as EDF+C"));
    }
    for (lane, channel) in &mut lanes {
        channel.stretches = begins.iter().map(|(frame, time)| Stretch { first: frame * lane.count, time: *time }).collect();
    }
    let table = Table::from_columns(channel_columns(&lanes, &told)).map_err(unusable(format, CHANNELS))?;
    let series = Arc::new(Series::new(source, format, limits, layout, lanes)?);
    contents.items = series.items(SIGNALS, "");
    let annotations = (!lists.is_empty()).then(|| found.events(format)).transpose()?;
    if let Some(events) = &annotations {
        contents.items.push(Item { path: ANNOTATIONS.into(), what: What::Events { count: events.len() as u64 }, about: String::new() });
    }
    let triggers = if format == Format::Bdf { Triggers::of(&series, format) } else { None };
    contents.items.extend(triggers.as_ref().map(Triggers::item));
    if table.rows() > 0 {
        let what = table_what(&table);
        contents.items.push(Item { path: CHANNELS.into(), what, about: "what the header says of each signal".into() });
    }
    (contents.notes, contents.damage) = (notes, damage);
    Ok(EdfDocument { contents, series, annotations, triggers, channels: table })
}

/// A table as an item.
pub(crate) fn table_what(table: &Table) -> What {
    schema_what(&table.batch().schema(), table.rows() as u64)
}

/// A table of so many rows as an item.
pub(crate) fn schema_what(schema: &arrow::datatypes::Schema, rows: u64) -> What {
    let columns = schema.fields().iter().map(|field| (field.name().clone(), type_name(field.data_type())));
    What::Table { rows: Some(rows), columns: columns.collect() }
}

/// A column's type in the words that items use.
fn type_name(kind: &arrow::datatypes::DataType) -> String {
    match kind {
        arrow::datatypes::DataType::Utf8 => "text".into(),
        other => other.to_string().to_lowercase(),
    }
}

/// The highest rate.
fn fastest(lanes: &[(Lane, Channel)]) -> f64 {
    lanes.iter().map(|(_, channel)| channel.rate).fold(1.0, f64::max)
}

/// Where stretches begin: a record and its time. One, unless the records of a discontinuous file stand apart by more than half a sample.
fn stretches(begins: &[Option<f64>], seconds: f64, apart: bool, rate: f64, damaged: &mut dyn FnMut(String)) -> Vec<(u64, f64)> {
    let first = begins.first().copied().flatten().unwrap_or(0.0);
    let mut all = vec![(0u64, first)];
    if !apart {
        return all;
    }
    let (mut last, mut expected, mut untimed, mut back) = (first, first + seconds, 0u64, 0u64);
    for (record, begin) in begins.iter().enumerate().skip(1) {
        match begin {
            None => untimed += 1,
            Some(begin) if (begin - expected).abs() * rate <= 0.5 => {}
            Some(begin) if *begin <= last => back += 1,
            Some(begin) => {
                all.push((record as u64, *begin));
            }
        }
        // Counted on from the stretch's begin, so that rounding does not add up.
        let (frame, time) = all.last().copied().unwrap_or((0, first));
        expected = time + (record as u64 + 1 - frame) as f64 * seconds;
        last = last.max(expected - seconds);
    }
    if untimed > 0 {
        damaged(format!("{untimed} data records do not say when they begin; they are taken to follow the one before"));
    }
    if back > 0 {
        damaged(format!("{back} data records say that they begin before the one ahead of them; they are taken to follow it"));
    }
    all
}

/// What the annotation channels hold. A text that comes often is held once.
#[derive(Default)]
struct Annotations {
    begins: Vec<Option<f64>>,
    times: Vec<f64>,
    durations: Vec<Option<f64>>,
    labels: Vec<u32>,
    owners: Vec<Option<u32>>,
    texts: Vec<String>,
    known: HashMap<String, u32>,
    unread: usize,
}

impl Annotations {
    fn read(series: &Series, format: Format, lanes: &[Lane], channels: &[String], file_bytes: u64) -> Result<Annotations, FormatError> {
        let mut found = Annotations::default();
        if lanes.is_empty() {
            return Ok(found);
        }
        // What a reader may hold for opening a file.
        let mut left = file_bytes.saturating_mul(3).saturating_add(48 << 20);
        series.each_lane(lanes, |frame, lane, bytes| {
            let (lists, unread) = tal::lists(bytes);
            found.unread += unread;
            let keeps_time = lane == 0;
            if keeps_time {
                let first = lists.first().filter(|list| list.texts.first().is_some_and(|text| text.is_empty()));
                found.begins.push(first.map(|list| list.onset));
            }
            for list in lists {
                for text in list.texts.iter().filter(|text| !text.is_empty()) {
                    let (label, channel) = tal::label(text, channels);
                    let taken = 64 + 4 * text.len() as u64;
                    left = left.checked_sub(taken).ok_or_else(|| {
                        let place = Place::Object { path: ANNOTATIONS.into(), byte: None };
                        let reason =
                            format!("by data record {frame} there are more annotations than a file of {file_bytes} bytes may make");
                        FormatError::new(format, place, reason, RAISE_LIMIT)
                    })?;
                    let label = found.text(label);
                    let owner = channel.map(|channel| found.text(channel));
                    found.times.push(list.onset);
                    found.durations.push(list.duration);
                    found.labels.push(label);
                    found.owners.push(owner);
                }
            }
            Ok(())
        })?;
        Ok(found)
    }

    fn text(&mut self, text: String) -> u32 {
        if let Some(&known) = self.known.get(&text) {
            return known;
        }
        let place = u32::try_from(self.texts.len()).unwrap_or(u32::MAX);
        self.texts.push(text.clone());
        self.known.insert(text, place);
        place
    }

    fn events(self, format: Format) -> Result<Events, FormatError> {
        let of = |place: u32| self.texts.get(place as usize).map_or("", String::as_str);
        let labels: Vec<&str> = self.labels.iter().map(|&place| of(place)).collect();
        let mut table = vec![
            columns::from_numbers("time", self.times),
            columns::from_optional_numbers("duration", self.durations),
            columns::from_texts("label", &labels),
        ];
        if self.owners.iter().any(Option::is_some) {
            let owners: Vec<&str> = self.owners.iter().map(|owner| owner.map_or("", of)).collect();
            table.push(columns::from_texts("channel", &owners));
        }
        Table::from_columns(table).and_then(Events::from_table).map_err(unusable(format, ANNOTATIONS))
    }
}

impl EdfDocument {
    fn triggers(&self) -> Result<&Events, FormatError> {
        self.triggers.as_ref().ok_or_else(|| self.contents.none("events", TRIGGERS))?.events()
    }
}

impl Document for EdfDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn signals(&self, path: &str) -> Result<Box<dyn Signals + '_>, FormatError> {
        self.contents.path_of(path, "recording", |what| matches!(what, What::Recording { .. }))?;
        Ok(Box::new(self.series.as_ref()))
    }

    fn events(&self, path: &str) -> Result<Events, FormatError> {
        match (meant(&self.contents, path)?, &self.annotations) {
            (ANNOTATIONS, Some(events)) => Ok(events.clone()),
            (TRIGGERS, _) => self.triggers().cloned(),
            _ => Err(self.contents.none("events", path)),
        }
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let path = if path.is_empty() { SIGNALS } else { path };
        let format = self.contents.format;
        match (path, &self.annotations) {
            (ANNOTATIONS, Some(events)) => Ok(held(format, events.table())),
            (TRIGGERS, _) => Ok(held(format, self.triggers()?.table())),
            (CHANNELS, _) if self.channels.rows() > 0 => Ok(held(format, &self.channels)),
            _ => self.series.rows(SIGNALS, path).ok_or_else(|| self.contents.none("table", path)),
        }
    }
}
