//! Recordings: series of samples, the electrodes behind them, and a table of their channels.

use super::table::{Column, DYNAMIC, Sort};
use super::{CORE, HDMF, NwbWriter, clean, in_nwb};
use crate::write::hdf5::{Data, Element};
use arrow::array::{ArrayRef, Float64Array, Int64Array, StringArray};
use neuroflow_data::formats::FormatError;
use neuroflow_data::{Channel, Recording, Samples, Table};
use std::io::{Seek, Write};
use std::ops::Range;
use std::sync::Arc;

/// How a recording goes into a file.
#[derive(Debug, Clone, Copy, Default)]
pub struct Series<'s> {
    /// Its name; several series of it get numbers after it.
    pub name: &'s str,
    /// What it is, in words.
    pub about: &'s str,
    /// Whether it was computed: it then stands in `/processing/neuroflow`, otherwise in `/acquisition`.
    pub derived: bool,
    /// Where electrodes are: a column `name` or `channel` with names of channels, and any of `x`, `y`, `z` (as they stand), `location`, `group`.
    pub electrodes: Option<&'s Table>,
}

/// One row of the table of electrodes.
#[derive(Debug, Clone)]
pub(super) struct Electrode {
    channel: String,
    group: String,
    location: String,
    place: [f64; 3],
}

/// Roles whose channels are electrodes on or in a brain or body, in volts.
const ELECTRIC: [&str; 9] = ["eeg", "ecog", "seeg", "ieeg", "dbs", "lfp", "eog", "ecg", "emg"];

/// The table of electrodes. It became a type of its own in NWB 2.9.
const ELECTRODES: Sort = Sort { namespace: CORE, name: "ElectrodesTable", reserved: &[] };

const GROUPS: &str = "/general/extracellular_ephys";

/// What a unit of voltage is in volts.
fn volts(unit: &str) -> Option<f64> {
    match unit {
        "V" | "volt" | "volts" | "Volt" | "Volts" => Some(1.0),
        "mV" | "millivolt" | "millivolts" => Some(1e-3),
        "uV" | "µV" | "μV" | "microvolt" | "microvolts" => Some(1e-6),
        "nV" | "nanovolt" | "nanovolts" => Some(1e-9),
        _ => None,
    }
}

/// Channels that one series can hold.
struct Part {
    electric: Option<f64>,
    channels: Vec<usize>,
}

impl<W: Write + Seek> NwbWriter<W> {
    /// Writes a recording. Channels that were sampled at the same times, in one unit and on one scale, make a series `[time × channel]` with
    /// their stored samples: in volts an `ElectricalSeries` for electrodes, else a `TimeSeries` in the file's unit. `conversion` and `offset` say
    /// how samples become values, as [`Channel::gain`] and [`Channel::offset`] do; in an `ElectricalSeries` gains may differ and stand in
    /// `channel_conversion`. Recordings with pauses have a time for each sample, others a start and a rate. A table `NAME_channels` keeps each
    /// channel's name, role, unit and scale.
    ///
    /// # Errors
    /// When the name is taken, or the output can't be written.
    pub fn recording(&mut self, recording: &Recording, series: &Series<'_>) -> Result<(), FormatError> {
        let parts = parts(recording);
        let mut rows: Vec<Option<(String, i64)>> = vec![None; recording.len()];
        for (number, part) in parts.iter().enumerate() {
            let name = clean(series.name);
            let name = if parts.len() == 1 { name } else { format!("{name}_{}", number + 1) };
            let path = if series.derived { self.in_module(&name)? } else { format!("/acquisition/{name}") };
            self.series(&path, recording, part, series)?;
            for (column, &channel) in part.channels.iter().enumerate() {
                if let Some(row) = rows.get_mut(channel) {
                    *row = Some((path.clone(), column as i64));
                }
            }
        }
        let channels: Vec<&Channel> = recording.channels().collect();
        let texts = |of: &dyn Fn(&Channel) -> String| -> ArrayRef {
            Arc::new(StringArray::from_iter_values(channels.iter().map(|channel| of(channel))))
        };
        let numbers =
            |of: fn(&Channel) -> f64| -> ArrayRef { Arc::new(Float64Array::from_iter_values(channels.iter().map(|channel| of(channel)))) };
        let places: Vec<(String, i64)> = rows.into_iter().map(Option::unwrap_or_default).collect();
        let columns = vec![
            Column::new("channel", "the channel's name", texts(&|channel| channel.name.clone())),
            Column::new("role", "what it records, in the words of BIDS", texts(&|channel| channel.role.clone())),
            Column::new("unit", "the unit of its values", texts(&|channel| channel.unit.clone())),
            Column::new("rate", "samples a second", numbers(|channel| channel.rate)),
            Column::new("gain", "what a stored sample is multiplied by", numbers(|channel| channel.gain)),
            Column::new("offset", "what is added after that", numbers(|channel| channel.offset)),
            Column::new("series", "the series it stands in", Arc::new(StringArray::from_iter_values(places.iter().map(|(path, _)| path)))),
            Column::new(
                "position",
                "its position there, counted from 0",
                Arc::new(Int64Array::from_iter_values(places.iter().map(|place| place.1))),
            ),
        ];
        let path = self.in_module(&format!("{}_channels", series.name))?;
        let about = format!("the channels of the recording `{}`", series.name);
        self.dynamic_table(&path, &DYNAMIC, &about, channels.len(), columns, Vec::new())
    }

    fn series(&mut self, path: &str, recording: &Recording, part: &Part, series: &Series<'_>) -> Result<(), FormatError> {
        let members: Vec<(&Channel, &Samples)> = part.channels.iter().filter_map(|&position| recording.channel(position)).collect();
        let Some(&(first, samples)) = members.first() else { return Ok(()) };
        self.typed_group(path, CORE, if part.electric.is_some() { "ElectricalSeries" } else { "TimeSeries" })?;
        let about = if series.about.is_empty() { "signals" } else { series.about };
        self.text_attribute(path, "description", about)?;
        let names = members.iter().map(|(channel, _)| channel.name.as_str()).collect::<Vec<_>>().join(", ");
        let comments = if names.len() > 4000 { format!("{} channels", members.len()) } else { format!("channels: {names}") };
        self.text_attribute(path, "comments", &comments)?;
        self.data(path, &members, samples)?;
        let data = format!("{path}/data");
        let same = members.iter().all(|(channel, _)| channel.gain == first.gain);
        let gain = if same { first.gain } else { 1.0 };
        let scale = part.electric.unwrap_or(1.0);
        self.number_attribute(&data, "conversion", gain * scale)?;
        self.number_attribute(&data, "offset", first.offset * scale)?;
        self.number_attribute(&data, "resolution", -1.0)?;
        let unit = if part.electric.is_some() { "volts" } else { unit_or_none(&first.unit) };
        self.text_attribute(&data, "unit", unit)?;
        self.times(path, first, samples.len() as u64)?;
        if part.electric.is_none() {
            return Ok(());
        }
        if !same {
            let gains: Vec<f64> = members.iter().map(|(channel, _)| channel.gain).collect();
            let at = format!("{path}/channel_conversion");
            self.dataset(&at, &Data::F64(&gains), &[gains.len() as u64])?;
            self.attribute(&at, "axis", &Data::I32(&[1]), &[])?;
        }
        let start = self.electrodes.len() as i64;
        self.electrodes.extend(members.iter().map(|(channel, _)| electrode(channel, series.electrodes)));
        let region: Vec<i64> = (start..start + members.len() as i64).collect();
        let at = format!("{path}/electrodes");
        self.dataset(&at, &Data::I64(&region), &[region.len() as u64])?;
        self.typed(&at, HDMF, "DynamicTableRegion")?;
        self.text_attribute(&at, "description", "the electrodes of the channels, in their order")?;
        self.attribute(&at, "table", &Data::References(vec![&format!("{GROUPS}/electrodes")]), &[])
    }

    /// Writes stored samples `[time × channel]`.
    fn data(&mut self, path: &str, members: &[(&Channel, &Samples)], samples: &Samples) -> Result<(), FormatError> {
        let path = format!("{path}/data");
        let element = match samples {
            Samples::I16(_) => Element::I16,
            Samples::I32(_) => Element::I32,
            Samples::F32(_) => Element::F32,
            Samples::F64(_) => Element::F64,
        };
        let shape = [samples.len() as u64, members.len() as u64];
        let storage = self.storage(&shape, element);
        let mut rows = |rows: Range<u64>, into: &mut Vec<u8>| {
            let rows = rows.start as usize..rows.end as usize;
            into.resize(rows.len() * members.len() * element.size(), 0);
            for (column, (_, samples)) in members.iter().enumerate() {
                match samples {
                    Samples::I16(samples) => side_by_side(samples.get(rows.clone()), column, members.len(), i16::to_le_bytes, into),
                    Samples::I32(samples) => side_by_side(samples.get(rows.clone()), column, members.len(), i32::to_le_bytes, into),
                    Samples::F32(samples) => side_by_side(samples.get(rows.clone()), column, members.len(), f32::to_le_bytes, into),
                    Samples::F64(samples) => side_by_side(samples.get(rows.clone()), column, members.len(), f64::to_le_bytes, into),
                }
            }
            Ok(())
        };
        self.file.dataset_rows(&path, element, &shape, &storage, &mut rows).map_err(in_nwb)
    }

    /// Writes when samples were taken: a start and a rate, or a time for each where there are pauses.
    fn times(&mut self, path: &str, channel: &Channel, samples: u64) -> Result<(), FormatError> {
        if let [only] = channel.stretches.as_slice() {
            return self.regular_times(path, only.time, channel.rate);
        }
        let times: Vec<f64> = (0..samples).map(|sample| channel.time_of(sample)).collect();
        self.timestamps(path, &times)
    }

    /// Times that begin at `start` and go on at `rate`.
    pub(super) fn regular_times(&mut self, path: &str, start: f64, rate: f64) -> Result<(), FormatError> {
        let at = format!("{path}/starting_time");
        self.dataset(&at, &Data::F64(&[start]), &[])?;
        self.number_attribute(&at, "rate", rate)?;
        self.text_attribute(&at, "unit", "seconds")
    }

    /// A time for each sample.
    pub(super) fn timestamps(&mut self, path: &str, times: &[f64]) -> Result<(), FormatError> {
        let at = format!("{path}/timestamps");
        self.dataset(&at, &Data::F64(times), &[times.len() as u64])?;
        self.attribute(&at, "interval", &Data::I32(&[1]), &[])?;
        self.text_attribute(&at, "unit", "seconds")
    }

    /// Writes the electrodes of all recordings, their groups, and a device.
    pub(super) fn electrode_table(&mut self) -> Result<(), FormatError> {
        let electrodes = std::mem::take(&mut self.electrodes);
        if electrodes.is_empty() {
            return Ok(());
        }
        let unknown = || ("device".to_owned(), "the device that recorded the signals; its name is not known".to_owned());
        let (name, about) = self.facts.device.clone().unwrap_or_else(unknown);
        let device = self.device(&name, &about)?;
        let mut groups: Vec<&str> = electrodes.iter().map(|electrode| electrode.group.as_str()).collect();
        groups.sort_unstable();
        groups.dedup();
        for group in groups {
            let path = group_path(group);
            let of_group = || electrodes.iter().filter(|electrode| electrode.group == group);
            let location = of_group().next().map_or("unknown", |first| &first.location);
            let location = if of_group().all(|electrode| electrode.location == location) { location } else { "several" };
            self.typed_group(&path, CORE, "ElectrodeGroup")?;
            self.text_attribute(&path, "description", &format!("the electrodes of `{group}`"))?;
            self.text_attribute(&path, "location", location)?;
            self.file.soft_link(&format!("{path}/device"), &device).map_err(in_nwb)?;
        }
        let path = format!("{GROUPS}/electrodes");
        let texts = |of: fn(&Electrode) -> &str| -> ArrayRef { Arc::new(StringArray::from_iter_values(electrodes.iter().map(of))) };
        let mut columns = Vec::new();
        for (axis, name) in ["x", "y", "z"].into_iter().enumerate() {
            let places: Vec<f64> = electrodes.iter().map(|electrode| electrode.place.get(axis).copied().unwrap_or(f64::NAN)).collect();
            if places.iter().any(|place| !place.is_nan()) {
                columns.push(Column::new(
                    name,
                    format!("the {name} coordinate of the electrode"),
                    Arc::new(Float64Array::from(places)) as ArrayRef,
                ));
            }
        }
        columns.push(Column::new("location", "where the electrode is", texts(|electrode| &electrode.location)));
        columns.push(Column::new("group_name", "the name of the group it belongs to", texts(|electrode| &electrode.group)));
        columns.push(Column::new("channel_name", "the name of its channel", texts(|electrode| &electrode.channel)));
        let mut names: Vec<&str> = columns.iter().map(|column| column.name.as_str()).collect();
        names.push("group");
        // References are no Arrow column: this one is written by hand, beside the others.
        let names: Vec<String> = names.into_iter().map(str::to_owned).collect();
        self.table_with_groups(&path, &electrodes, columns, &names)
    }

    fn table_with_groups(
        &mut self,
        path: &str,
        electrodes: &[Electrode],
        columns: Vec<Column>,
        names: &[String],
    ) -> Result<(), FormatError> {
        let paths: Vec<String> = electrodes.iter().map(|electrode| group_path(&electrode.group)).collect();
        self.table_columns(path, &ELECTRODES, "the electrodes of all recordings in this file", electrodes.len(), &columns)?;
        let at = format!("{path}/group");
        self.dataset(&at, &Data::References(paths.iter().map(String::as_str).collect()), &[paths.len() as u64])?;
        self.typed(&at, HDMF, "VectorData")?;
        self.text_attribute(&at, "description", "the group it belongs to")?;
        self.attribute(path, "colnames", &Data::Texts(names.iter().map(String::as_str).collect()), &[names.len() as u64])
    }
}

fn group_path(group: &str) -> String {
    format!("{GROUPS}/{}", clean(group))
}

/// A unit, or the word for having none.
pub(super) fn unit_or_none(unit: &str) -> &str {
    if unit.is_empty() { "n.a." } else { unit }
}

/// Puts samples in a column of rows.
fn side_by_side<T: Copy, const N: usize>(samples: Option<&[T]>, column: usize, columns: usize, bytes: fn(T) -> [u8; N], into: &mut [u8]) {
    let places = into.as_chunks_mut::<N>().0.iter_mut().skip(column).step_by(columns.max(1));
    places.zip(samples.unwrap_or(&[])).for_each(|(place, sample)| *place = bytes(*sample));
}

/// What is known of the electrode behind a channel.
fn electrode(channel: &Channel, known: Option<&Table>) -> Electrode {
    let mut electrode =
        Electrode { channel: channel.name.clone(), group: clean(&channel.role), location: "unknown".into(), place: [f64::NAN; 3] };
    let Some(table) = known else { return electrode };
    let names = table.texts("name").or_else(|_| table.texts("channel")).unwrap_or_default();
    let Some(row) = names.iter().position(|name| *name == channel.name) else { return electrode };
    let text = |column: &str| table.texts(column).ok().and_then(|texts| texts.into_iter().nth(row)).filter(|text| !text.is_empty());
    if let Some(group) = text("group") {
        electrode.group = clean(&group);
    }
    if let Some(location) = text("location") {
        electrode.location = location;
    }
    for (place, axis) in electrode.place.iter_mut().zip(["x", "y", "z"]) {
        *place = table.numbers(axis).ok().and_then(|numbers| numbers.get(row).copied()).unwrap_or(f64::NAN);
    }
    electrode
}

/// Channels by the series that can hold them, in the order of their first channels.
fn parts(recording: &Recording) -> Vec<Part> {
    let mut parts: Vec<Part> = Vec::new();
    for position in 0..recording.len() {
        let Some((channel, samples)) = recording.channel(position) else { continue };
        let electric = volts(&channel.unit).filter(|_| ELECTRIC.contains(&channel.role.as_str()));
        let fits = |part: &&mut Part| {
            let Some((other, theirs)) = part.channels.first().and_then(|&first| recording.channel(first)) else { return false };
            let same = |one: f64, two: f64| one.to_bits() == two.to_bits();
            part.electric == electric
                && same(channel.rate, other.rate)
                && same(channel.offset, other.offset)
                && samples.len() == theirs.len()
                && channel.stretches == other.stretches
                && (electric.is_some() || (channel.unit == other.unit && same(channel.gain, other.gain)))
        };
        match parts.iter_mut().find(fits) {
            Some(part) => part.channels.push(position),
            None => parts.push(Part { electric, channels: vec![position] }),
        }
    }
    parts
}
