//! Folders that Kilosort and Phy write: spikes of sorted units.
//!
//! [`open`] gives these items:
//!
//! | path | what |
//! |---|---|
//! | `spikes` | a unit for each cluster that has spikes, named by its number, with the columns of all `cluster_*.tsv` and `.csv` |
//! | `each_spike` | a table with a row for each spike: `time`, `sample`, `cluster`, and `template` and `amplitude` where their files are there |
//! | `templates`, `channel_positions`, `channel_map` | arrays, where their files are there |
//!
//! Read are `spike_times.npy`, `spike_clusters.npy` (or `spike_templates.npy`, which sorting begins with), `amplitudes.npy` and the tables. The
//! sampling
//! rate comes from `params.py`, of which only lines `name = literal` are read and nothing is run, or is given to [`open_with`].
//!
//! The layout is that of "Using Phy with your data" in Phy's documentation.

mod each;
mod params;
mod units;

use crate::document::{Contents, Document, Item, Rows, What};
use crate::edf::schema_what;
use crate::npy_array::{self, NpyArray};
use crate::series::{held, unusable};
use crate::source::{Folder, Source, part};
use each::EachSpike;
use neuroflow_data::formats::npy::read_npy;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place, RAISE_LIMIT};
use neuroflow_data::{Axis, Spikes, Table, Tensor};
use std::ops::Range;
use std::sync::Arc;

const SPIKES: &str = "spikes";
const EACH: &str = "each_spike";
const ARRAYS: [(&str, &[&str]); 3] =
    [("templates", &["template", "time", "channel"]), ("channel_positions", &["channel", "coordinate"]), ("channel_map", &["channel"])];

/// A folder of sorted spikes, opened.
#[derive(Debug)]
pub struct PhyDocument {
    contents: Contents,
    spikes: Spikes,
    each: Arc<EachSpike>,
    arrays: Vec<(&'static str, NpyArray, &'static [&'static str])>,
    limits: Limits,
}

/// The folder and the path in it.
struct Site<'f> {
    folder: &'f Arc<dyn Folder>,
    path: &'f str,
}

impl Site<'_> {
    fn full(&self, name: &str) -> String {
        if self.path.is_empty() { name.to_owned() } else { format!("{}/{name}", self.path.trim_matches('/')) }
    }

    fn open(&self, name: &str) -> Result<Option<Arc<dyn Source>>, FormatError> {
        self.folder.open(&self.full(name)).map_err(|error| {
            FormatError::new(
                Format::Phy,
                Place::File,
                format!("`{name}` can't be opened: {error}"),
                "see that the file is still there and try again",
            )
        })
    }

    fn array(&self, name: &str) -> Result<Option<NpyArray>, FormatError> {
        let name = format!("{name}.npy");
        self.open(&name)?.map(|source| npy_array::open(source, Format::Phy, &name)).transpose()
    }

    /// An array with a value for each spike.
    fn per_spike(&self, name: &str, spikes: Option<u64>) -> Result<Option<NpyArray>, FormatError> {
        let Some(array) = self.array(name)? else { return Ok(None) };
        let single = array.shape.iter().filter(|&&axis| axis != 1).count() <= 1;
        if !single || spikes.is_some_and(|spikes| spikes != array.len()) {
            let reason = format!("a number for each spike is expected, the array is {:?}", array.shape);
            let place = Place::Member { name: format!("{name}.npy"), byte: array.data };
            return Err(FormatError::new(Format::Phy, place, reason, "keep the files of one sorting together"));
        }
        Ok(Some(array))
    }
}

/// Opens the folder at `path` in `folder` (empty for `folder` itself), with the sampling rate of its `params.py`.
///
/// # Errors
/// As [`open_with`].
pub fn open(folder: &Arc<dyn Folder>, path: &str, limits: &Limits) -> Result<PhyDocument, FormatError> {
    open_with(folder, path, None, limits)
}

/// Opens the folder at `path` in `folder`, with the sampling rate in hertz if it is given.
///
/// # Errors
/// When spike times or clusters are missing, damaged or of different numbers. Where the rate is neither given nor in `params.py`, spikes have no times
/// and are refused when they are asked for.
pub fn open_with(folder: &Arc<dyn Folder>, path: &str, rate: Option<f64>, limits: &Limits) -> Result<PhyDocument, FormatError> {
    let format = Format::Phy;
    let at = Site { folder, path };
    let missing = |what: &str, help: &str| FormatError::new(format, Place::File, format!("there is no {what} in the folder"), help);
    let mut contents = Contents::new(format, "");
    let mut is_named = false;
    if let Some(source) = at.open("params.py")? {
        if source.len() > 1 << 20 {
            return Err(FormatError::new(format, Place::File, "`params.py` has more than 1 MiB", "it should hold a few settings"));
        }
        let text = part(source.as_ref(), format, 0..source.len())?;
        is_named = text.split(|byte| *byte == b'\n').any(|line| line.trim_ascii_start().starts_with(b"sample_rate"));
        let (settings, left_out) = params::read(&text);
        contents.facts = settings;
        if left_out > 0 {
            contents.notes.push(format!("{left_out} lines of `params.py` are no plain settings and are left out; nothing in it is run"));
        }
    }
    let is_rate = |rate: &f64| rate.is_finite() && *rate > 0.0;
    let stated = contents.facts.get("sample_rate").and_then(|rate| rate.parse::<f64>().ok()).filter(is_rate);
    let rate = rate.filter(is_rate).or(stated);
    if is_named && stated.is_none() {
        let reason = "`sample_rate` in `params.py` is no rate in hertz";
        contents.damage.push(FormatError::new(format, Place::File, reason, "write it as a number, such as `sample_rate = 30000.0`"));
    }
    contents.lacks_rate = rate.is_none();
    let times =
        at.per_spike("spike_times", None)?.ok_or_else(|| missing("spike_times.npy", "name the folder that Kilosort or Phy wrote"))?;
    let count = times.len();
    let templates = at.per_spike("spike_templates", Some(count))?;
    let clusters = match at.per_spike("spike_clusters", Some(count))? {
        Some(clusters) => clusters,
        None => {
            contents.notes.push("there is no spike_clusters.npy; units are the templates of spike_templates.npy".into());
            let help = "name the folder that Kilosort or Phy wrote";
            templates.clone().ok_or_else(|| missing("spike_clusters.npy or spike_templates.npy", help))?
        }
    };
    // Samples, clusters and times are held at once while spikes are sorted by cluster.
    let held = count.saturating_mul(24);
    let justified = (times.source.len() + clusters.source.len()).saturating_mul(4).saturating_add(64 << 20);
    if held > justified || held > limits.max_total_bytes {
        let reason = format!("there are {count} spikes, too many for the memory allowed");
        return Err(FormatError::new(format, Place::File, reason, RAISE_LIMIT));
    }
    let mut arrays_of_spikes = vec![("sample", times.clone()), ("cluster", clusters.clone())];
    arrays_of_spikes.extend(templates.map(|templates| ("template", templates)));
    arrays_of_spikes.extend(at.per_spike("amplitudes", Some(count))?.map(|amplitudes| ("amplitude", amplitudes)));
    let (samples, clusters) = (times.numbers(format)?, clusters.numbers(format)?);
    let whole = |values: &[f64]| values.iter().all(|value| value.fract() == 0.0 && value.abs() < 9e15);
    if !whole(&clusters) || !whole(&samples) {
        return Err(FormatError::new(format, Place::File, "spike times and clusters must be whole numbers", COPY_AGAIN));
    }
    // Without a rate, times count samples, and nobody is given them.
    let sorted = units::group(&samples, &clusters, rate.unwrap_or(1.0));
    if sorted.mended > 0 {
        contents.notes.push(format!("the times of {} units were not in order and have been sorted", sorted.mended));
    }
    let table = units::table(&at_tables(&at, limits, &mut contents.notes)?, &sorted.clusters, &mut contents.notes);
    let table = table.map_err(unusable(format, SPIKES))?;
    let spikes = Spikes::new("", table, &sorted.ends, sorted.times).map_err(unusable(format, SPIKES))?;
    let each = Arc::new(EachSpike::new(arrays_of_spikes, rate, count));
    let what = What::Spikes { units: spikes.len() as u64, spikes: count };
    contents.items.push(Item { path: SPIKES.into(), what, about: "clusters and their spikes".into() });
    contents.items.push(Item { path: EACH.into(), what: schema_what(&each.schema(), count), about: "a row for each spike".into() });
    let mut arrays = Vec::new();
    for (name, axes) in ARRAYS {
        let Some(array) = at.array(name)? else { continue };
        let named = if axes.len() == array.shape.len() { axes.iter().map(|axis| (*axis).to_owned()).collect() } else { Vec::new() };
        let what = What::Array { shape: array.shape.clone(), element: array.element.name().into(), unit: String::new(), axes: named };
        contents.items.push(Item { path: name.into(), what, about: String::new() });
        arrays.push((name, array, axes));
    }
    if contents.lacks_rate {
        contents.notes.push("there is no `params.py` with `sample_rate`: spikes are counted in samples until the rate is given".into());
    }
    Ok(PhyDocument { contents, spikes, each, arrays, limits: limits.clone() })
}

/// The tables of clusters, by name.
fn at_tables(at: &Site<'_>, limits: &Limits, notes: &mut Vec<String>) -> Result<Vec<(String, Table)>, FormatError> {
    let all = at.folder.paths().map_err(|error| {
        FormatError::new(
            Format::Phy,
            Place::File,
            format!("the folder can't be listed: {error}"),
            "see that it is still there and try again",
        )
    })?;
    let mut tables = Vec::new();
    let start = at.full("cluster_");
    for path in all.iter().filter(|path| path.starts_with(&start) && !path.get(start.len()..).unwrap_or_default().contains('/')) {
        let name = path.rsplit('/').next().unwrap_or(path);
        if !name.ends_with(".tsv") && !name.ends_with(".csv") {
            continue;
        }
        let Some(source) = at.open(name)? else { continue };
        let bytes = part(source.as_ref(), Format::Phy, 0..source.len())?;
        // The first Phy wrote tabs into `cluster_groups.csv`.
        let header = bytes.split(|byte| *byte == b'\n').next().unwrap_or_default();
        let delimiter = if header.contains(&b'\t') || name.ends_with(".tsv") { b'\t' } else { b',' };
        match units::read(&bytes, delimiter, limits) {
            Ok(table) => tables.push((name.to_owned(), table)),
            Err(error) => notes.push(format!("`{name}` is left out: {}", error.reason)),
        }
    }
    Ok(tables)
}

impl Document for PhyDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn spikes(&self, path: &str) -> Result<Spikes, FormatError> {
        self.contents.path_of(path, SPIKES, |what| matches!(what, What::Spikes { .. }))?;
        self.contents.with_rate(path)?;
        Ok(self.spikes.clone())
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        match path {
            "" | SPIKES => Ok(held(Format::Phy, self.spikes.units())),
            EACH => Ok(Arc::clone(&self.each) as Arc<dyn Rows>),
            _ => Err(self.contents.none("table", path)),
        }
    }

    fn tensor(&self, path: &str, part_: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = self.contents.path_of(path, "array", |what| matches!(what, What::Array { .. }))?;
        let found = self.arrays.iter().find(|(name, _, _)| *name == path);
        let Some((_, array, names)) = found else { return Err(self.contents.none("array", path)) };
        let wrong = |reason: String| {
            FormatError::new(Format::Phy, Place::Object { path: path.into(), byte: None }, reason, "give a range within each axis")
        };
        let bytes = part(array.source.as_ref(), Format::Phy, 0..array.source.len())?;
        let read = read_npy(&bytes, &self.limits).map_err(|error| FormatError { format: Format::Phy, ..error })?;
        let values = read.to_f64().map_err(|error| FormatError { format: Format::Phy, ..error })?;
        let ranges: Vec<Range<u64>> = part_.map_or_else(|| array.shape.iter().map(|&length| 0..length).collect(), <[Range<u64>]>::to_vec);
        let fits = |(range, length): (&Range<u64>, &u64)| range.start <= range.end && range.end <= *length;
        if ranges.len() != array.shape.len() || ranges.is_empty() || !ranges.iter().zip(&array.shape).all(fits) {
            return Err(wrong(format!("the ranges {ranges:?} do not fit in {:?}", array.shape)));
        }
        let picked = pick(&values, &array.shape, &ranges);
        let name = |place: usize| {
            names.get(place).filter(|_| names.len() == array.shape.len()).map_or_else(|| format!("axis_{place}"), |name| (*name).into())
        };
        let length = |range: &Range<u64>| usize::try_from(range.end - range.start).unwrap_or(0);
        let axes = ranges.iter().enumerate().map(|(place, range)| Axis::count(name(place), length(range))).collect();
        Tensor::new(axes, None, picked).map_err(|error| wrong(error.to_string()))
    }
}

/// A part of an array in C order.
fn pick(values: &[f64], shape: &[u64], ranges: &[Range<u64>]) -> Vec<f64> {
    let (Some((length, inner)), Some((range, rest))) = (shape.split_first(), ranges.split_first()) else { return values.to_vec() };
    let step = values.len().checked_div(usize::try_from(*length).unwrap_or(0)).unwrap_or(0);
    let own = range.clone().filter_map(|place| {
        let from = usize::try_from(place).ok()?.checked_mul(step)?;
        values.get(from..from + step)
    });
    own.flat_map(|part| pick(part, inner, rest)).collect()
}
