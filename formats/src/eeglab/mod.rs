//! EEGLAB: a `.set` file, which is a MATLAB file, with its samples inside or in a `.fdt` beside it.
//!
//! [`open`] gives these items:
//!
//! | path | what |
//! |---|---|
//! | `signals` | the recording of a continuous set |
//! | `epochs` | an array `[trial × channel × time]` of a set with epochs |
//! | `events` | `time`, `duration`, `label` (the event's type), and whatever further fields the events have |
//! | `channels` | a table of the channels with their places |
//!
//! Values are in `uV`, as EEGLAB means them. An event's time is that of its latency, which EEGLAB counts from 1 in samples and may give in parts
//! of one.
//! In sets with epochs, latencies go on from one epoch to the next; `time` does so too, and `time_in_epoch` is relative to the event the epoch was
//! cut around.
//!
//! The layout is that of EEGLAB's `eeg_checkset`; values were compared with MNE.

mod events;

use crate::document::{Contents, Item, What};
use crate::edf::table_what;
use crate::mat73::{is_mat73, read_mat73};
use crate::recorded::{CHANNELS, RecordedDocument, SIGNALS};
use crate::series::{Element, Epochs, Lane, Layout, Number, Section, Series, most_channels, unique, unusable};
use crate::source::{Folder, Source, inside};
use crate::text;
use arrow::buffer::Buffer;
use neuroflow_data::formats::bytes::ByteOrder;
use neuroflow_data::formats::mat5::{MatNumbers, MatValue, read_mat5};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use neuroflow_data::{Channel, Table, columns};
use std::sync::Arc;

const EPOCHS: &str = "epochs";
const EVENTS: &str = "events";

fn at(path: &str, reason: impl Into<String>, help: &str) -> FormatError {
    FormatError::new(Format::Eeglab, Place::Variable { path: path.into(), byte: None }, reason, help)
}

/// The fields of the set: those of a struct `EEG`, or the file's variables themselves.
struct Set {
    fields: Vec<(String, MatValue)>,
}

impl Set {
    fn get(&self, name: &str) -> Option<&MatValue> {
        self.fields.iter().find(|(own, _)| own == name).map(|(_, value)| value)
    }

    fn take(&mut self, name: &str) -> Option<MatValue> {
        let place = self.fields.iter().position(|(own, _)| own == name)?;
        Some(self.fields.swap_remove(place).1)
    }

    fn number(&self, name: &str) -> Option<f64> {
        self.get(name)?.number().ok().filter(|number| number.is_finite())
    }

    fn whole(&self, name: &str) -> Result<Option<u64>, FormatError> {
        let wrong = |number: f64| at(&format!("EEG.{name}"), format!("{number:?} is no count"), COPY_AGAIN);
        let number = self.get(name).and_then(|own| own.number().ok());
        number
            .map(|number| if number >= 0.0 && number.fract() == 0.0 && number < 9e15 { Ok(number as u64) } else { Err(wrong(number)) })
            .transpose()
    }
}

/// Opens the set that stands at `path` in `folder`. Reads the `.set`; of samples in a `.fdt` only the length is looked at.
///
/// # Errors
/// When there is no such file, it is no MATLAB 5 file or holds no set, names a file outside the folder or one that is not there, or its samples
/// are fewer
/// than it says.
pub fn open(folder: &Arc<dyn Folder>, path: &str, limits: &Limits) -> Result<RecordedDocument, FormatError> {
    let format = Format::Eeglab;
    let file =
        file(folder, path)?.ok_or_else(|| FormatError::new(format, Place::File, format!("there is no file `{path}`"), "check the path"))?;
    let mut notes = Vec::new();
    let mut set = read(&file, limits, &mut notes)?;
    let rate = set.number("srate").filter(|rate| *rate > 0.0);
    let rate = rate.ok_or_else(|| at("EEG.srate", "the set has no sampling rate", "set `EEG.srate` in EEGLAB and save it again"))?;
    let trials = set.whole("trials")?.unwrap_or(1).max(1);
    let data = set.take("data").ok_or_else(|| at("EEG.data", "the set has no data", COPY_AGAIN))?;
    let channels = set.whole("nbchan")?.ok_or_else(|| at("EEG.nbchan", "the set does not say how many channels it has", COPY_AGAIN))?;
    let points = set.whole("pnts")?.ok_or_else(|| at("EEG.pnts", "the set does not say how many samples it has", COPY_AGAIN))?;
    if channels == 0 || channels > most_channels(file.len()) {
        return Err(at("EEG.nbchan", format!("the set has {channels} channels"), COPY_AGAIN));
    }
    let samples = points.checked_mul(trials).ok_or_else(|| at("EEG.pnts", "the samples are too many to count", COPY_AGAIN))?;
    let (source, element, vectorized) = samples_of(folder, path, data, &mut notes)?;
    let size = element.size() as u64;
    let needed = samples.checked_mul(channels).and_then(|count| count.checked_mul(size));
    match needed {
        Some(needed) if needed <= source.len() => {
            if needed < source.len() {
                notes.push(format!("{} bytes follow after the last sample and are left out", source.len() - needed));
            }
        }
        _ => {
            let reason = format!(
                "{channels} channels of {points} samples in {trials} trials are stated, {} bytes of samples are there",
                source.len()
            );
            return Err(at("EEG.data", reason, COPY_AGAIN));
        }
    }
    let (all, table) = channels_of(&set, channels, rate, &mut notes)?;
    let stride = if vectorized { (samples * size, samples) } else { (size, 1) };
    let lane = |place: usize| Lane { element, offset: place as u64 * stride.0, count: stride.1, stride: size };
    let lanes = all.into_iter().enumerate().map(|(place, channel)| (lane(place), channel)).collect();
    let frames = if vectorized { 1 } else { samples };
    let frame_bytes = if vectorized { samples * channels * size } else { channels * size };
    let layout = Layout { sections: vec![Section { at: 0, frames }], frame_bytes };
    let series = Arc::new(Series::new(source, format, limits, layout, lanes)?);
    let begin = set.number("xmin").unwrap_or(0.0);
    let cut = (trials > 1).then_some((points, begin));
    let events = set.get("event").map(|own| events::read(own, rate, cut, &mut notes)).transpose()?.flatten();
    let mut contents = Contents::new(format, "");
    for (field, fact) in [
        ("setname", "name"),
        ("subject", "subject"),
        ("group", "group"),
        ("condition", "condition"),
        ("session", "session"),
        ("ref", "reference"),
        ("comments", "comments"),
    ] {
        let value = set
            .get(field)
            .and_then(|value| value.text().ok().map(str::to_owned).or_else(|| value.number().ok().map(|number| number.to_string())));
        if let Some(value) = value.filter(|value| !value.trim().is_empty()) {
            contents.facts.insert(fact.into(), value.trim().to_owned());
        }
    }
    let epochs = (trials > 1).then(|| {
        let labels = events.as_ref().map(|events| events::per_trial(events, trials)).unwrap_or_default();
        Epochs { series: Arc::clone(&series), trials, length: points, begin, rate, labels }
    });
    match &epochs {
        None => contents.items = series.items(SIGNALS, ""),
        Some(epochs) => {
            let axes = vec!["trial".into(), "channel".into(), "time".into()];
            let what = What::Array { shape: epochs.shape(), element: element.name().into(), unit: epochs.unit().into(), axes };
            contents.items.push(Item { path: EPOCHS.into(), what, about: String::new() });
        }
    }
    if let Some(events) = &events {
        contents.items.push(Item { path: EVENTS.into(), what: What::Events { count: events.len() as u64 }, about: String::new() });
    }
    let what = table_what(&table);
    contents.items.push(Item { path: CHANNELS.into(), what, about: "what the set says of each channel".into() });
    contents.notes = notes;
    let events = events.map(|events| (EVENTS, events)).into_iter().collect();
    let series = epochs.is_none().then_some(series);
    Ok(RecordedDocument { contents, series, epochs, events, triggers: None, channels: table })
}

fn file(folder: &Arc<dyn Folder>, path: &str) -> Result<Option<Arc<dyn Source>>, FormatError> {
    folder.open(path).map_err(|error| {
        let reason = format!("`{path}` can't be opened: {error}");
        FormatError::new(Format::Eeglab, Place::File, reason, "see that the file is still there and try again")
    })
}

fn read(file: &Arc<dyn Source>, limits: &Limits, notes: &mut Vec<String>) -> Result<Set, FormatError> {
    let start = crate::source::part(file.as_ref(), Format::Eeglab, 0..file.len().min(1024))?;
    let mat = if is_mat73(&start) {
        read_mat73(Arc::clone(file), limits)
    } else {
        read_mat5(&crate::source::part(file.as_ref(), Format::Eeglab, 0..file.len())?, limits)
    };
    let mat = mat.map_err(|error| FormatError { format: Format::Eeglab, ..error })?;
    notes.extend(mat.notes);
    let mut fields = mat.variables;
    // Older sets are a struct, newer ones keep its fields as variables. A set may also stand in the struct once more.
    for _ in 0..2 {
        let Some(place) = fields.iter().position(|(name, value)| name == "EEG" && matches!(value, MatValue::Struct { .. })) else { break };
        let (_, value) = fields.swap_remove(place);
        let MatValue::Struct { fields: own, dims } = value else { break };
        if dims.iter().product::<usize>() != 1 {
            return Err(at("EEG", format!("the file holds {} sets", dims.iter().product::<usize>()), "save each as a file of its own"));
        }
        fields = own.into_iter().filter_map(|(name, values)| Some((name, values.into_iter().next()?))).collect();
    }
    if fields.iter().any(|(name, _)| name == "ALLEEG") {
        return Err(at("ALLEEG", "the file holds several sets", "save each as a file of its own"));
    }
    Ok(Set { fields })
}

/// Where the samples are: the numbers in the set, or the file it names; and whether each channel stands on its own.
fn samples_of(
    folder: &Arc<dyn Folder>,
    path: &str,
    data: MatValue,
    notes: &mut Vec<String>,
) -> Result<(Arc<dyn Source>, Element, bool), FormatError> {
    let order = if cfg!(target_endian = "big") { ByteOrder::Big } else { ByteOrder::Little };
    let inline = |buffer: Buffer, number: Number| (Arc::new(buffer) as Arc<dyn Source>, Element { number, order }, false);
    match data {
        MatValue::Numeric { imaginary: Some(_), .. } => Err(at("EEG.data", "the samples are complex numbers", "save their real parts")),
        MatValue::Numeric { data, .. } => Ok(match data {
            MatNumbers::F64(values) => inline(Buffer::from_vec(values), Number::F64),
            MatNumbers::F32(values) => inline(Buffer::from_vec(values), Number::F32),
            MatNumbers::I8(values) => inline(Buffer::from_vec(values), Number::I8),
            MatNumbers::U8(values) => inline(Buffer::from_vec(values), Number::U8),
            MatNumbers::I16(values) => inline(Buffer::from_vec(values), Number::I16),
            MatNumbers::U16(values) => inline(Buffer::from_vec(values), Number::U16),
            MatNumbers::I32(values) => inline(Buffer::from_vec(values), Number::I32),
            MatNumbers::U32(values) => inline(Buffer::from_vec(values), Number::U32),
            MatNumbers::I64(values) => inline(Buffer::from_vec(values), Number::I64),
            MatNumbers::U64(values) => inline(Buffer::from_vec(values), Number::U64),
        }),
        MatValue::Char { .. } => {
            let named = data.text().map_err(|error| FormatError { format: Format::Eeglab, ..error.within("EEG.data") })?;
            let stem = path.rsplit_once('.').map_or(path, |(stem, _)| stem);
            let own = inside(path, named).ok_or_else(|| {
                at(
                    "EEG.data",
                    format!("the samples' file `{}` lies outside the folder", named.escape_debug()),
                    "keep .set and .fdt together and save the set again",
                )
            })?;
            let vectorized = named.to_ascii_lowercase().ends_with(".dat");
            let mut found = file(folder, &own)?;
            if found.is_none() && own != format!("{stem}.fdt") {
                found = file(folder, &format!("{stem}.fdt"))?;
                if found.is_some() {
                    notes.push(format!("`{named}` is not there; the .fdt that is called like the set is read in its place"));
                }
            }
            let source = found.ok_or_else(|| {
                at("EEG.data", format!("there is no file `{own}`, which holds the samples"), "keep .set and .fdt together")
            })?;
            Ok((source, Element::little(Number::F32), vectorized))
        }
        other => Err(at("EEG.data", format!("samples or the name of their file are expected, this is {}", other.describe()), COPY_AGAIN)),
    }
}

/// Channels with the names and places that `chanlocs` gives them.
fn channels_of(set: &Set, count: u64, rate: f64, notes: &mut Vec<String>) -> Result<(Vec<Channel>, Table), FormatError> {
    let count = usize::try_from(count).unwrap_or(0);
    let places = set.get("chanlocs");
    let field = |name: &str| places.and_then(|places| places.field_values(name).ok()).filter(|values| values.len() == count);
    let labels = field("labels");
    if labels.is_none() {
        notes.push("the set does not name its channels; they are called `EEG 000`, `EEG 001`, …".into());
    }
    let texts = |values: Option<&[MatValue]>| -> Vec<String> {
        let of = |place: usize| values.and_then(|values| values.get(place)?.text().ok()).map(|text| text.trim().to_owned());
        (0..count).map(|place| of(place).unwrap_or_default()).collect()
    };
    let mut names = texts(labels);
    for (place, name) in names.iter_mut().enumerate().filter(|(_, name)| name.is_empty()) {
        *name = format!("EEG {place:03}");
    }
    if unique(&mut names) {
        notes.push("several channels have one name; they are told apart by `-0`, `-1`, …".into());
    }
    let kinds = texts(field("type"));
    let channels: Vec<Channel> = names
        .iter()
        .zip(&kinds)
        .map(|(name, kind)| {
            let mut channel = Channel::new(name.clone(), "uV", rate);
            let role = text::role_of(kind, "uV");
            // What has no type is EEG, unless its name says otherwise.
            channel.role = match (role, text::role_of(name, "uV")) {
                ("misc", _) if kind.eq_ignore_ascii_case("misc") => "misc",
                ("misc", "misc") => "eeg",
                ("misc", named) => named,
                (typed, _) => typed,
            }
            .into();
            channel
        })
        .collect();
    let numbers = |name: &str| -> Vec<Option<f64>> {
        let values = field(name);
        (0..count).map(|place| values.and_then(|values| values.get(place)?.number().ok())).collect()
    };
    let roles: Vec<&str> = channels.iter().map(|channel| channel.role.as_str()).collect();
    let table = Table::from_columns(vec![
        columns::from_texts("channel", &names),
        columns::from_texts("role", &roles),
        columns::from_texts("type", &kinds),
        columns::from_optional_numbers("X", numbers("X")),
        columns::from_optional_numbers("Y", numbers("Y")),
        columns::from_optional_numbers("Z", numbers("Z")),
        columns::from_optional_numbers("theta", numbers("theta")),
        columns::from_optional_numbers("radius", numbers("radius")),
    ]);
    Ok((channels, table.map_err(unusable(Format::Eeglab, CHANNELS))?))
}
