//! `TimeSeries` and what extends it: sampled values, with their unit, scale and times.

use super::clock::Clock;
use super::types::Types;
use super::{bad, of_nwb};
use crate::document::{Rows, Signals};
use crate::hdf5::dataset::Dataset;
use crate::hdf5::tree::{Object, Sort, Tree};
use crate::hdf5::values::{arrow_type, plain};
use crate::series::MOST_STRETCHES;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Place};
use neuroflow_data::{Channel, Recording, Samples, Tensor};
use std::collections::BTreeSet;
use std::ops::Range;
use std::sync::Arc;

/// Timestamps that are looked at on opening, to tell whether they are those of a recording.
const LOOKED_AT: u64 = 16 << 10;
/// Bytes of interleaved samples that are taken apart at once.
const BLOCK: u64 = 16 << 20;

/// When samples were taken.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Times {
    /// At a rate, from a first time.
    Rate { rate: f64, start: f64 },
    /// At the times in a dataset, by its header's address.
    Stamps(u64),
    /// The file does not say.
    Unknown,
}

/// A series, without its values.
#[derive(Debug, Clone)]
pub(super) struct Series {
    pub path: String,
    /// The header of the dataset `data`.
    data: u64,
    pub samples: u64,
    /// Values of a sample; 1 for a series of one axis.
    pub width: u64,
    /// Axes of `data`.
    pub axes: usize,
    pub times: Times,
    pub unit: String,
    conversion: f64,
    offset: f64,
    pub about: String,
    pub numeric: bool,
    /// How many timestamps there are, where the file has them.
    stamps: Option<u64>,
    /// What has a value for each sample beside `data`, such as `control` and the `confidence` of a pose.
    pub beside: Vec<Beside>,
}

/// A dataset with a value for each sample of a series.
#[derive(Debug, Clone)]
pub(super) struct Beside {
    pub name: String,
    /// Its header.
    data: u64,
    pub datatype: DataType,
}

/// Datasets that the schema gives series, and that are no values of samples.
const OWN: [&str; 11] = [
    "data",
    "timestamps",
    "starting_time",
    "channel_conversion",
    "electrodes",
    "rois",
    "features",
    "feature_units",
    "external_file",
    "starting_frame",
    "dimension",
];

/// The step that reads a thing as a table.
pub(super) fn as_table(path: &str) -> String {
    format!("`ingest.table(…, of = \"{}\")` has what stands there", path.escape_debug())
}

impl Series {
    /// What an object of type `TimeSeries` says of itself; `None` when it has no values.
    pub fn read(tree: &Tree, object: &Object) -> Option<Series> {
        let data = tree.child(object, "data")?;
        let Sort::Dataset(dataset) = &data.sort else { return None };
        let samples = *dataset.dims().first()?;
        let rate = tree.child(object, "starting_time");
        let rate = rate.and_then(|start| Some((tree.number(start, "rate")?, tree.single_number(start)?)));
        let stamps = tree.child(object, "timestamps").filter(|stamps| match &stamps.sort {
            Sort::Dataset(stamps) => stamps.dims().len() == 1 && stamps.datatype.is_number(),
            _ => false,
        });
        let times = match (rate, stamps) {
            (Some((rate, start)), _) if rate.is_finite() && rate > 0.0 && start.is_finite() => Times::Rate { rate, start },
            (_, Some(stamps)) => Times::Stamps(stamps.address),
            _ => Times::Unknown,
        };
        let count = match times {
            Times::Stamps(stamps) => dataset_at(tree, stamps, &object.path).ok().and_then(|stamps| stamps.dims().first().copied()),
            _ => None,
        };
        let beside = tree.children(object).filter_map(|(name, own)| match &own.sort {
            Sort::Dataset(beside) if !OWN.contains(&name) && beside.dims() == [samples] && samples > 0 => {
                Some(Beside { name: name.to_owned(), data: own.address, datatype: arrow_type(&beside.datatype) })
            }
            _ => None,
        });
        let finite = |name: &str, usual: f64| tree.number(data, name).filter(|number| number.is_finite()).unwrap_or(usual);
        let description = tree.text(object, "description").filter(|text| !text.is_empty() && text != "no description");
        Some(Series {
            path: object.path.clone(),
            data: data.address,
            samples,
            width: dataset.dims().iter().skip(1).fold(1u64, |product, dim| product.saturating_mul(*dim)),
            axes: dataset.dims().len(),
            times,
            unit: tree.text(data, "unit").unwrap_or_default(),
            conversion: finite("conversion", 1.0),
            offset: finite("offset", 0.0),
            about: description.or_else(|| tree.text(object, "comments").filter(|text| text != "no comments")).unwrap_or_default(),
            numeric: dataset.datatype.is_number(),
            stamps: count,
            beside: beside.filter(|own| !own.datatype.is_nested()).collect(),
        })
    }

    /// Why its samples have no times, where there are more or fewer timestamps than samples. Pictures in other files have no samples here.
    pub fn other_times(&self) -> Option<String> {
        let stamps = self.stamps.filter(|stamps| *stamps != self.samples && self.samples > 0)?;
        let turned = if self.axes == 2 && self.width == stamps { ": it may be transposed" } else { "" };
        Some(format!("the data has {} samples along its first axis and {stamps} timestamps{turned}", self.samples))
    }

    /// Whether a dataset of its group is to be listed: what extensions add, and `control`.
    pub fn has_beside(&self, object: &Object, name: &str) -> bool {
        !OWN.contains(&name) && matches!(&object.sort, Sort::Dataset(dataset) if !dataset.dims().is_empty())
    }

    /// Whether channels have gains of their own.
    pub fn has_gains(&self, tree: &Tree, object: &Object) -> bool {
        self.gains(tree, object).iter().any(|gain| *gain != self.conversion)
    }

    /// Stored values of a part of `data` as values in the series' unit.
    pub fn scaled(&self, tree: &Tree, object: &Object, part: Option<&[Range<u64>]>, tensor: Tensor) -> Result<Tensor, FormatError> {
        let gains = if self.axes == 2 { self.gains(tree, object) } else { vec![self.conversion] };
        if self.offset == 0.0 && gains.iter().all(|gain| *gain == 1.0) {
            return Ok(tensor);
        }
        // The gains of the channels that the part has, over and over.
        let range = part.filter(|_| self.axes == 2).and_then(|part| part.get(1)).map(|range| range.start as usize..range.end as usize);
        let own = range.and_then(|range| gains.get(range)).unwrap_or(&gains);
        let values: Vec<f64> = tensor.values().iter().zip(own.iter().cycle()).map(|(value, gain)| value * gain + self.offset).collect();
        Tensor::new(tensor.axes().to_vec(), tensor.unit(), values)
            .map_err(|error| bad(&self.path, error.to_string(), "ask for a part of it"))
    }

    pub fn dataset<'t>(&self, tree: &'t Tree) -> Result<&'t Dataset, FormatError> {
        dataset_at(tree, self.data, &self.path)
    }

    /// The clock, when timestamps look like those of a recording. Only some are read: the stretches are those among them.
    pub fn looks_regular(&self, tree: &Tree) -> Option<Clock> {
        let stamps = match self.times {
            Times::Rate { rate, start } => return Some(Clock::at_rate(rate, start, self.samples)),
            Times::Unknown => return None,
            Times::Stamps(stamps) => dataset_at(tree, stamps, &self.path).ok()?,
        };
        let count = *stamps.dims().first()?;
        if count != self.samples {
            return None;
        }
        let mut budget = tree.small_budget();
        let mut read = |range: Range<u64>| tree.numbers(&self.path, stamps, &[range], &mut budget).ok().flatten();
        let first = read(0..count.min(LOOKED_AT))?;
        let clock = Clock::of(&first)?;
        if count <= LOOKED_AT {
            return Some(clock);
        }
        let last = read(count - 1..count)?.first().copied().filter(|last| *last > clock.last)?;
        Some(Clock { last, ..clock })
    }

    /// The clock, with all timestamps looked at; `None` when they are not those of a recording.
    pub fn clock(&self, tree: &Tree) -> Result<Option<Clock>, FormatError> {
        let Times::Stamps(stamps) = self.times else { return Ok(self.looks_regular(tree)) };
        let stamps = dataset_at(tree, stamps, &self.path)?;
        let numbers =
            tree.numbers(&self.path, stamps, &stamps.everything(), &mut tree.budget()).map_err(|error| of_nwb(error, &self.path))?;
        let numbers = numbers.unwrap_or_default();
        Ok(if numbers.len() as u64 == self.samples { Clock::of(&numbers) } else { None })
    }

    /// The gain of each channel.
    fn gains(&self, tree: &Tree, object: &Object) -> Vec<f64> {
        let own = tree.child(object, "channel_conversion").and_then(|own| match &own.sort {
            Sort::Dataset(dataset) if dataset.dims() == [self.width] => {
                tree.numbers(&own.path, dataset, &dataset.everything(), &mut tree.budget()).ok().flatten()
            }
            _ => None,
        });
        match own {
            Some(own) => own.into_iter().map(|own| self.conversion * own).collect(),
            None => vec![self.conversion; usize::try_from(self.width).unwrap_or(0).min(tree.file.limits.max_columns)],
        }
    }

    /// A name for each channel: those of electrodes or regions of interest, axes of space, or the series' own name with a number from 1.
    fn names(&self, tree: &Tree, types: &Types, object: &Object) -> Vec<String> {
        let own = self.path.rsplit('/').next().unwrap_or_default();
        let regions = [("electrodes", "electrode"), ("rois", "roi")];
        let found = regions.iter().find_map(|(column, word)| region_names(tree, tree.child(object, column)?, self.width, word));
        if let Some(names) = found {
            return names;
        }
        match (self.axes, self.width) {
            (1, _) => vec![own.to_owned()],
            (_, width @ 1..=3) if types.of(tree, object, "SpatialSeries") => {
                ["x", "y", "z"].iter().take(width as usize).map(|axis| (*axis).to_owned()).collect()
            }
            (_, width) => (1..=width).map(|number| format!("{own}_{number}")).collect(),
        }
    }

    /// The channels of the series, which must have one or two axes of numbers.
    pub fn channels(&self, tree: &Tree, types: &Types, clock: &Clock) -> Result<Vec<Channel>, FormatError> {
        let limit = tree.file.limits.max_columns as u64;
        if !self.numeric || self.axes > 2 || self.width > limit {
            return Err(bad(
                &self.path,
                "its values are no channels of numbers",
                &format!("`ingest.array(…, of = \"{}\")` has them", self.path.escape_debug()),
            ));
        }
        let pauses = clock.stretches.len();
        if pauses.saturating_mul(usize::try_from(self.width).unwrap_or(usize::MAX)) > MOST_STRETCHES {
            return Err(bad(
                &self.path,
                format!("the recording pauses {} times in {} channels", pauses - 1, self.width),
                &as_table(&self.path),
            ));
        }
        let object = tree.find(&self.path).ok_or_else(|| bad(&self.path, "the series is gone", "open the file again"))?;
        let electric = types.of(tree, object, "ElectricalSeries");
        let (names, gains) = (self.names(tree, types, object), self.gains(tree, object));
        let channel = |(name, gain): (String, f64)| Channel {
            name,
            role: if electric { "ephys".into() } else { "misc".into() },
            unit: self.unit.clone(),
            rate: clock.rate,
            gain,
            offset: self.offset,
            stretches: clock.stretches.clone(),
        };
        Ok(names.into_iter().zip(gains).map(channel).collect())
    }

    /// The part of `data` with some channels of some samples.
    fn part(&self, samples: Range<u64>, channels: Range<u64>) -> Vec<Range<u64>> {
        let samples = samples.start.min(self.samples)..samples.end.min(self.samples).max(samples.start.min(self.samples));
        if self.axes == 1 { vec![samples] } else { vec![samples, channels] }
    }
}

pub(super) fn dataset_at<'t>(tree: &'t Tree, address: u64, path: &str) -> Result<&'t Dataset, FormatError> {
    match tree.at(address).map(|object| &object.sort) {
        Some(Sort::Dataset(dataset)) => Ok(dataset),
        Some(Sort::Unread(error)) => Err(of_nwb(error.clone(), path)),
        _ => Err(bad(path, "a dataset is missing", COPY_AGAIN)),
    }
}

/// Names of the rows of a table that a region names: of a column of names where the table has one, by `id` otherwise.
fn region_names(tree: &Tree, region: &Object, width: u64, word: &str) -> Option<Vec<String>> {
    let Sort::Dataset(dataset) = &region.sort else { return None };
    if dataset.dims() != [width] {
        return None;
    }
    let rows = tree.numbers(&region.path, dataset, &dataset.everything(), &mut tree.budget()).ok()??;
    let table = tree.attribute_objects(tree.attribute(region, "table")?).into_iter().next()??;
    let unique = |names: Vec<String>| {
        let seen: BTreeSet<&String> = names.iter().collect();
        if seen.len() == names.len() && names.iter().all(|name| !name.is_empty()) { Some(names) } else { None }
    };
    let chosen = |all: &[String]| -> Option<Vec<String>> { rows.iter().map(|row| all.get(*row as usize).cloned()).collect() };
    for column in ["channel_name", "label", "electrode_name", "name"] {
        let Some(own) = tree.child(table, column) else { continue };
        let Sort::Dataset(names) = &own.sort else { continue };
        if names.dims().len() == 1 && names.datatype.is_text() {
            let names = tree.texts(&own.path, names, &names.everything(), &mut tree.budget()).ok().flatten();
            if let Some(names) = names.as_deref().and_then(chosen).and_then(unique) {
                return Some(names);
            }
        }
    }
    let id = tree.child(table, "id")?;
    let Sort::Dataset(own) = &id.sort else { return None };
    let ids = tree.numbers(&id.path, own, &own.everything(), &mut tree.budget()).ok()??;
    let ids: Vec<String> = ids.iter().map(|id| format!("{word}{id}")).collect();
    unique(chosen(&ids)?)
}

/// The channels of a series.
pub(super) struct SeriesSignals<'t> {
    pub tree: &'t Tree,
    pub series: Series,
    pub channels: Vec<Channel>,
}

impl SeriesSignals<'_> {
    /// Stored samples of some channels, read once.
    fn several(&self, channels: &[usize]) -> Result<Vec<Samples>, FormatError> {
        let dataset = self.series.dataset(self.tree)?;
        let (Some(&least), Some(&most)) = (channels.iter().min(), channels.iter().max()) else { return Ok(Vec::new()) };
        let width = if self.series.axes == 1 { 1 } else { most + 1 - least };
        let size = dataset.datatype.size;
        let rows = (BLOCK / (width * size).max(1) as u64).max(1);
        let mut budget = self.tree.budget();
        let mut all: Vec<Samples> = Vec::new();
        let mut stored: Vec<Vec<u8>> = vec![Vec::new(); channels.len()];
        let mut done = 0;
        while done < self.series.samples {
            let own = rows.min(self.series.samples - done);
            let part = self.series.part(done..done + own, least as u64..most as u64 + 1);
            let mut block_budget = self.tree.budget();
            let bytes = dataset.read(&self.tree.file, &part, &mut block_budget).map_err(|error| of_nwb(error, &self.series.path))?;
            budget
                .charge(own.saturating_mul((size * channels.len()) as u64))
                .map_err(|reason| bad(&self.series.path, reason, "ask for fewer channels"))?;
            for (into, channel) in stored.iter_mut().zip(channels) {
                let from = if self.series.axes == 1 { 0 } else { channel - least };
                if width == 1 {
                    into.extend_from_slice(&bytes);
                } else {
                    into.extend(
                        bytes.chunks_exact(width * size).flat_map(|row| row.get(from * size..(from + 1) * size).unwrap_or_default()),
                    );
                }
            }
            done += own;
        }
        for bytes in stored {
            all.push(self.samples_of(dataset, &bytes)?);
        }
        Ok(all)
    }

    /// Stored bytes as samples: as they are where a recording has their type, in the next larger one otherwise.
    fn samples_of(&self, dataset: &Dataset, bytes: &[u8]) -> Result<Samples, FormatError> {
        let datatype = &dataset.datatype;
        let numbers = || -> Result<Vec<f64>, FormatError> {
            let elements = crate::hdf5::values::Elements::new(datatype, bytes, 0);
            let numbers = self.tree.values().numbers(datatype, elements, &mut self.tree.budget());
            Ok(numbers.map_err(|error| of_nwb(error, &self.series.path))?.unwrap_or_default())
        };
        Ok(match arrow_type(datatype) {
            DataType::Int16 => Samples::I16(plain::<i16>(datatype, bytes).unwrap_or_default().into()),
            DataType::Int8 | DataType::UInt8 | DataType::Boolean => {
                Samples::I16(numbers()?.into_iter().map(|number| number as i16).collect::<Vec<_>>().into())
            }
            DataType::Int32 => Samples::I32(plain::<i32>(datatype, bytes).unwrap_or_default().into()),
            DataType::UInt16 => Samples::I32(numbers()?.into_iter().map(|number| number as i32).collect::<Vec<_>>().into()),
            DataType::Float32 => Samples::F32(numbers()?.into_iter().map(|number| number as f32).collect::<Vec<_>>().into()),
            _ => Samples::F64(numbers()?.into()),
        })
    }
}

impl Signals for SeriesSignals<'_> {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn samples(&self, channel: usize) -> u64 {
        if channel < self.channels.len() { self.series.samples } else { 0 }
    }

    fn read(&self, channel: usize, samples: Range<u64>, into: &mut Vec<f64>) -> Result<(), FormatError> {
        let Some(own) = self.channels.get(channel) else { return Ok(()) };
        let dataset = self.series.dataset(self.tree)?;
        let part = self.series.part(samples, channel as u64..channel as u64 + 1);
        let numbers = self.tree.numbers(&self.series.path, dataset, &part, &mut self.tree.budget());
        let numbers = numbers.map_err(|error| of_nwb(error, &self.series.path))?.unwrap_or_default();
        into.extend(numbers.into_iter().map(|number| number * own.gain + own.offset));
        Ok(())
    }

    fn stored(&self, channel: usize) -> Result<Samples, FormatError> {
        self.several(&[channel])?.pop().ok_or_else(|| bad(&self.series.path, "there is no such channel", "ask for one of its channels"))
    }

    fn recording(&self, format: Format, session: &str, channels: &[usize]) -> Result<Recording, FormatError> {
        let channels: Vec<usize> = channels.iter().copied().filter(|channel| *channel < self.channels.len()).collect();
        let samples = self.several(&channels)?;
        let taken = channels.iter().filter_map(|channel| self.channels.get(*channel).cloned()).zip(samples).collect();
        Recording::new(session, taken).map_err(|error| FormatError::new(format, Place::File, error.to_string(), "choose other channels"))
    }
}

/// The samples of a series as rows: `time`, then a column for each channel, in the series' unit.
#[derive(Debug)]
pub(super) struct SeriesRows {
    tree: Arc<Tree>,
    series: Series,
    channels: Vec<Channel>,
    regular: Option<(f64, f64)>,
    /// Columns of times and values, before those of what stands beside.
    values: usize,
    schema: SchemaRef,
}

impl SeriesRows {
    pub fn new(tree: &Arc<Tree>, types: &Types, series: Series) -> Result<SeriesRows, FormatError> {
        if let Some(reason) = series.other_times() {
            let help = format!(
                "save it with time as its first axis, or take the values alone with `ingest.array(…, of = \"{}\")`",
                series.path.escape_debug()
            );
            return Err(bad(&series.path, reason, &help));
        }
        let regular = if let Times::Rate { rate, start } = series.times { Some((rate, start)) } else { None };
        let clock = regular.map_or_else(|| Clock::at_rate(1.0, 0.0, 0), |(rate, start)| Clock::at_rate(rate, start, series.samples));
        let channels = if series.numeric { series.channels(tree, types, &clock)? } else { Vec::new() };
        let mut fields = Vec::new();
        if series.times != Times::Unknown {
            fields.push(Field::new("time", DataType::Float64, false));
        }
        if series.numeric {
            // A channel that is called like the column of times keeps its name with a mark.
            let named = |name: &str| if name == "time" { "time_".to_owned() } else { name.to_owned() };
            fields.extend(channels.iter().map(|channel| Field::new(named(&channel.name), DataType::Float64, false)));
        } else {
            let dataset = series.dataset(tree)?;
            if series.axes != 1 {
                return Err(bad(&series.path, "its values are no columns", "ask for `data` below it"));
            }
            fields.push(Field::new("data", arrow_type(&dataset.datatype), false));
        }
        let values = fields.len();
        for own in &series.beside {
            let is_taken = fields.iter().any(|field| *field.name() == own.name);
            let name = if is_taken { format!("{}_", own.name) } else { own.name.clone() };
            fields.push(Field::new(name, own.datatype.clone(), false));
        }
        Ok(SeriesRows { tree: Arc::clone(tree), series, channels, regular, values, schema: Arc::new(Schema::new(fields)) })
    }

    fn times(&self, rows: Range<u64>) -> Result<Vec<f64>, FormatError> {
        match self.series.times {
            Times::Rate { rate, start } => Ok(rows.map(|row| start + row as f64 / rate).collect()),
            Times::Stamps(stamps) => {
                let stamps = dataset_at(&self.tree, stamps, &self.series.path)?;
                let numbers = self.tree.numbers(&self.series.path, stamps, &stamps.rows(rows.clone()), &mut self.tree.budget());
                let numbers = numbers.map_err(|error| of_nwb(error, &self.series.path))?.unwrap_or_default();
                if numbers.len() as u64 != rows.end - rows.start {
                    return Err(bad(&self.series.path, "there are fewer timestamps than samples", COPY_AGAIN));
                }
                Ok(numbers)
            }
            Times::Unknown => Ok(Vec::new()),
        }
    }

    /// A column of what stands beside the values.
    fn beside(&self, own: &Beside, rows: Range<u64>) -> Result<ArrayRef, FormatError> {
        let place = format!("{}/{}", self.series.path, own.name);
        let dataset = dataset_at(&self.tree, own.data, &place)?;
        let mut budget = self.tree.budget();
        let bytes = dataset.read(&self.tree.file, &dataset.rows(rows), &mut budget).map_err(|error| of_nwb(error, &place))?;
        let elements = crate::hdf5::values::Elements::new(&dataset.datatype, &bytes, 0);
        self.tree.values().column(&dataset.datatype, elements, &mut budget).map_err(|error| of_nwb(error, &place))
    }

    /// Columns of channels, all out of one reading of the samples between the first and the last of them.
    fn values(&self, channels: &[usize], rows: Range<u64>) -> Result<Vec<ArrayRef>, FormatError> {
        let (Some(&least), Some(&most)) = (channels.iter().min(), channels.iter().max()) else { return Ok(Vec::new()) };
        let dataset = self.series.dataset(&self.tree)?;
        let part = self.series.part(rows, least as u64..most as u64 + 1);
        if !self.series.numeric {
            let mut budget = self.tree.budget();
            let bytes = dataset.read(&self.tree.file, &part, &mut budget).map_err(|error| of_nwb(error, &self.series.path))?;
            let elements = crate::hdf5::values::Elements::new(&dataset.datatype, &bytes, 0);
            let column = self.tree.values().column(&dataset.datatype, elements, &mut budget);
            let column = column.map_err(|error| of_nwb(error, &self.series.path))?;
            return Ok(channels.iter().map(|_| Arc::clone(&column)).collect());
        }
        let numbers = self.tree.numbers(&self.series.path, dataset, &part, &mut self.tree.budget());
        let numbers = numbers.map_err(|error| of_nwb(error, &self.series.path))?.unwrap_or_default();
        let width = if self.series.axes == 1 { 1 } else { most + 1 - least };
        let column = |&channel: &usize| -> ArrayRef {
            let (gain, offset) = self.channels.get(channel).map_or((1.0, 0.0), |channel| (channel.gain, channel.offset));
            let own = numbers.iter().skip(if width == 1 { 0 } else { channel - least }).step_by(width);
            Arc::new(own.map(|number| number * gain + offset).collect::<Float64Array>())
        };
        Ok(channels.iter().map(column).collect())
    }
}

impl Rows for SeriesRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn count(&self) -> u64 {
        self.series.samples
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let rows = rows.start.min(self.count())..rows.end.min(self.count()).max(rows.start.min(self.count()));
        let lead = usize::from(self.series.times != Times::Unknown);
        let refuse = |error: arrow::error::ArrowError| bad(&self.series.path, error.to_string(), "ask for columns that are there");
        let schema = self.schema.project(columns).map_err(refuse)?;
        let channels: Vec<usize> =
            columns.iter().filter(|column| **column < self.values).filter_map(|column| column.checked_sub(lead)).collect();
        let mut values = self.values(&channels, rows.clone())?.into_iter();
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        for column in columns {
            let beside = column.checked_sub(self.values).and_then(|place| self.series.beside.get(place));
            match (column.checked_sub(lead), beside) {
                (_, Some(own)) => arrays.push(self.beside(own, rows.clone())?),
                (Some(_), None) => arrays.extend(values.next()),
                (None, None) => arrays.push(Arc::new(Float64Array::from(self.times(rows.clone())?))),
            }
        }
        let options = RecordBatchOptions::new().with_row_count(Some((rows.end - rows.start) as usize));
        RecordBatch::try_new_with_options(Arc::new(schema), arrays, &options).map_err(refuse)
    }

    fn bounds(&self, column: usize, rows: Range<u64>) -> Option<(f64, f64)> {
        let (rate, start) = self.regular.filter(|_| column == 0)?;
        let last = rows.end.min(self.count()).checked_sub(1).filter(|last| *last >= rows.start)?;
        Some((start + rows.start as f64 / rate, start + last as f64 / rate))
    }
}
