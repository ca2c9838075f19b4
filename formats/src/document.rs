//! What a file holds, whatever its format.

use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use neuroflow_data::formats::{Format, FormatError, Place};
use neuroflow_data::{Channel, Events, Graph, Recording, Samples, Spikes, Tensor};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::fmt::Debug;
use std::ops::Range;
use std::sync::Arc;

/// A file, or several that belong together, opened.
///
/// Items are asked for by the path that [`Contents`] gives. The empty path is the only item of its sort; when there are several, the error lists
/// them.
pub trait Document: Debug + Send + Sync {
    /// What is in it. Known from opening: nothing large is read for it.
    fn contents(&self) -> &Contents;

    /// A recording, to be read a channel at a time.
    ///
    /// # Errors
    /// When there is no such recording, or its bytes are damaged.
    fn signals(&self, path: &str) -> Result<Box<dyn Signals + '_>, FormatError> {
        Err(self.contents().none("recording", path))
    }

    /// Events: markers, annotations, or a table of intervals (`time` is its `start_time`, `duration` its length).
    ///
    /// # Errors
    /// When there are no such events, or their bytes are damaged.
    fn events(&self, path: &str) -> Result<Events, FormatError> {
        Err(self.contents().none("events", path))
    }

    /// Sorted units with their spike times.
    ///
    /// # Errors
    /// When there are no such spikes, or their bytes are damaged.
    fn spikes(&self, path: &str) -> Result<Spikes, FormatError> {
        Err(self.contents().none("spikes", path))
    }

    /// Rows of a table. Recordings, events and spikes have rows too: samples, events, units.
    ///
    /// # Errors
    /// When there is no such table, or its bytes are damaged.
    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        Err(self.contents().none("table", path))
    }

    /// A part of an array of numbers: a range for each axis, or nothing for all of it.
    ///
    /// # Errors
    /// When there is no such array, the ranges do not fit, or its bytes are damaged.
    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let _ = part;
        Err(self.contents().none("array", path))
    }

    /// The names of the recording's channels that were marked as bad.
    ///
    /// # Errors
    /// When what marks them is damaged.
    fn bad_channels(&self) -> Result<Vec<String>, FormatError> {
        Ok(Vec::new())
    }

    /// What belongs to an array, or a part of it, beside values and axes, as attributes of a result: where the voxels of an image lie ([`AFFINE`]). Nothing of
    /// what has no such thing.
    fn attributes(&self, path: &str, part: Option<&[Range<u64>]>) -> BTreeMap<String, Value> {
        let _ = (path, part);
        BTreeMap::new()
    }

    /// A graph; `weight` names the property of edges that is their weight, or is empty for the usual ones.
    ///
    /// # Errors
    /// When there is no graph, or it breaks a rule of [`Graph`].
    fn graph(&self, weight: &str) -> Result<Graph, FormatError> {
        let _ = weight;
        Err(self.contents().none("graph", ""))
    }
}

/// The attribute of an array that says where voxels lie: three or four rows of four numbers, from voxel to places in [`SPACE_UNIT`].
pub const AFFINE: &str = "affine";
/// The attribute of an array that says what its affine's places are counted in: `m`, `mm`, `µm`, or nothing where that is not known.
pub const SPACE_UNIT: &str = "space_unit";
/// The attribute of an array that says what space each of NIfTI's two forms leads to, the qform and the sform: two numbers as in [`SPACE`], 0 for a form that
/// is not there or leads elsewhere than the affine.
pub const FORMS: &str = "forms";
/// The attribute of an array that says what space its affine leads to, as NIfTI numbers them: 0 none that is known, 1 the scanner's, 2 that of another image,
/// 3 Talairach's, 4 MNI 152, 5 a template's.
pub const SPACE: &str = "space";
/// The attribute of an array that says how many seconds lie between volumes.
pub const REPETITION_TIME: &str = "repetition_time";

/// What is in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Contents {
    /// The format.
    pub format: Format,
    /// The format's version or variant as the file states it: `EDF+D`, `2.7.0`; empty when there is none.
    pub version: String,
    /// Facts about the whole: subject, session start, device. Texts as they stand in the file.
    pub facts: BTreeMap<String, String>,
    /// What is in it, groups before what they hold, in the file's order.
    pub items: Vec<Item>,
    /// The path of what is meant where several things of a sort are there and none is named; empty where one must be.
    pub meant: String,
    /// What was left out or looks odd, one sentence each.
    pub notes: Vec<String>,
    /// Rules that the file breaks, where something is left that can be read: it may be less than was recorded, or at other times.
    pub damage: Vec<FormatError>,
    /// Whether nothing says how many samples make a second, so that what has times is read only when the rate is given.
    pub lacks_rate: bool,
}

/// One thing in a file.
#[derive(Debug, Clone, PartialEq)]
pub struct Item {
    /// Its path, names joined by `/`; unique in the file.
    pub path: String,
    /// What it is.
    pub what: What,
    /// What the file says about it, in words; empty when it says nothing.
    pub about: String,
}

/// What a thing in a file is. Rates are in hertz, times in seconds on the file's clock.
#[derive(Debug, Clone, PartialEq)]
pub enum What {
    /// A group of things.
    Group,
    /// A single value, as text.
    Value(String),
    /// A text of many words or lines.
    Text {
        /// Its length in bytes.
        bytes: u64,
    },
    /// An array.
    Array {
        /// Its length along each axis, in the order in which [`Document::tensor`] has them.
        shape: Vec<u64>,
        /// What one element is: `float32`, `int16`, `text`, …
        element: String,
        /// The unit of its values; empty when unknown.
        unit: String,
        /// Names of the axes; empty when unknown.
        axes: Vec<String>,
    },
    /// A table.
    Table {
        /// The number of rows, where it is known without reading all.
        rows: Option<u64>,
        /// Names and types of its columns.
        columns: Vec<(String, String)>,
    },
    /// A recording.
    Recording {
        /// The number of channels.
        channels: usize,
        /// Samples of the longest channel.
        samples: u64,
        /// The highest sampling rate.
        rate: f64,
        /// First and last time.
        span: (f64, f64),
        /// The unit, when all channels share one; empty otherwise.
        unit: String,
    },
    /// Spikes.
    Spikes {
        /// The number of units.
        units: u64,
        /// The number of spikes.
        spikes: u64,
    },
    /// Events.
    Events {
        /// Their number.
        count: u64,
    },
    /// A picture.
    Picture {
        /// Pixels across.
        width: u32,
        /// Pixels down.
        height: u32,
        /// Colours a pixel has.
        channels: u32,
    },
    /// A graph.
    Graph {
        /// The number of nodes.
        nodes: u64,
        /// The number of edges.
        edges: u64,
        /// Whether edges have a direction.
        directed: bool,
    },
}

impl What {
    /// Whether it is a table or can be read as one, a row for each event, unit or sample.
    pub fn has_rows(&self) -> bool {
        matches!(self, What::Table { .. } | What::Recording { .. } | What::Spikes { .. } | What::Events { .. })
    }

    /// Whether it is an array of real numbers: texts, records, dates and complex numbers are none.
    pub fn is_of_numbers(&self) -> bool {
        let What::Array { element, .. } = self else { return false };
        // HDF5 has arrays in an element: `6 × float64`.
        let own = element.rsplit("× ").next().unwrap_or(element);
        ["int", "uint", "float", "bfloat"].iter().any(|word| own.strip_prefix(word).is_some_and(|bits| bits.parse::<u16>().is_ok()))
            || matches!(own, "bool" | "enum" | "number")
    }

    /// The word for it in messages.
    pub fn word(&self) -> &'static str {
        match self {
            What::Group => "group",
            What::Value(_) | What::Text { .. } => "text",
            What::Array { .. } => "array",
            What::Table { .. } => "table",
            What::Recording { .. } => "recording",
            What::Spikes { .. } => "spikes",
            What::Events { .. } => "events",
            What::Picture { .. } => "picture",
            What::Graph { .. } => "graph",
        }
    }

    /// Its numbers and names as JSON, keys by the names of the fields; null of a group.
    pub fn to_json(&self) -> Value {
        match self {
            What::Group => Value::Null,
            What::Value(value) => json!(value),
            What::Text { bytes } => json!({ "bytes": bytes }),
            What::Array { shape, element, unit, axes } => json!({ "shape": shape, "element": element, "unit": unit, "axes": axes }),
            What::Table { rows, columns } => json!({ "rows": rows, "columns": columns }),
            What::Recording { channels, samples, rate, span, unit } => {
                json!({ "channels": channels, "samples": samples, "rate": rate, "span": [span.0, span.1], "unit": unit })
            }
            What::Spikes { units, spikes } => json!({ "units": units, "spikes": spikes }),
            What::Events { count } => json!({ "count": count }),
            What::Picture { width, height, channels } => json!({ "width": width, "height": height, "channels": channels }),
            What::Graph { nodes, edges, directed } => json!({ "nodes": nodes, "edges": edges, "directed": directed }),
        }
    }
}

impl Contents {
    /// The contents of a file of a format, with nothing in it yet.
    pub fn new(format: Format, version: impl Into<String>) -> Contents {
        Contents {
            format,
            version: version.into(),
            facts: BTreeMap::new(),
            items: Vec::new(),
            meant: String::new(),
            notes: Vec::new(),
            damage: Vec::new(),
            lacks_rate: false,
        }
    }

    /// # Errors
    /// When nothing says how many samples make a second.
    pub(crate) fn with_rate(&self, path: &str) -> Result<(), FormatError> {
        if !self.lacks_rate {
            return Ok(());
        }
        let place = if path.is_empty() { Place::File } else { Place::Object { path: path.into(), byte: None } };
        let help = "give the rate in the step that reads it, as in `rate = 30 Hz`";
        Err(FormatError::new(self.format, place, "nothing says how many samples make a second", help))
    }

    /// Notes an error that leaves the rest of the file as it is: damage, or something that is not read.
    pub(crate) fn tell(&mut self, error: &FormatError) {
        if error.is_damage() {
            self.damage.push(error.clone());
        } else {
            self.notes.push(error.to_string());
        }
    }

    /// Whether the file is whole.
    ///
    /// # Errors
    /// The first rule that it breaks; how many more there are stands in the reason.
    pub fn whole(&self) -> Result<(), FormatError> {
        let Some(first) = self.damage.first() else { return Ok(()) };
        let mut error = first.clone();
        if self.damage.len() > 1 {
            let more = self.damage.len() - 1;
            error.reason.push_str(&format!(" (and {more} more, which `neuroflow inspect` lists)"));
        }
        Err(error)
    }

    /// The format with its version.
    pub fn format_and_version(&self) -> String {
        let (format, version) = (self.format.to_string(), self.version.as_str());
        if version.is_empty() || format.contains(version) {
            format
        } else if version.starts_with(|letter: char| letter.is_ascii_digit()) {
            format!("{format} {version}")
        } else {
            version.to_owned()
        }
    }

    /// An item by path.
    pub fn item(&self, path: &str) -> Option<&Item> {
        self.items.iter().find(|item| item.path == path)
    }

    /// The path that is meant by `path` among items that are `wanted`: itself, or the only one that ends with it, or, for the empty path, the only one, or the
    /// one that is [`Contents::meant`].
    ///
    /// # Errors
    /// When it names nothing, something else, or nothing is named and there is not exactly one.
    pub fn path_of<'c>(&'c self, path: &str, word: &str, wanted: impl Fn(&What) -> bool) -> Result<&'c str, FormatError> {
        let all: Vec<&Item> = self.items.iter().filter(|item| wanted(&item.what)).collect();
        match (path.trim_matches('/'), all.as_slice()) {
            ("", [only]) => Ok(&only.path),
            ("", several) if several.iter().any(|item| item.path == self.meant) => Ok(&self.meant),
            (path, all) => match all.iter().find(|item| item.path == path && !path.is_empty()) {
                Some(item) => Ok(&item.path),
                None => {
                    let paths: Vec<&str> = all.iter().map(|item| item.path.as_str()).collect();
                    short_names(&paths).get(path).copied().ok_or_else(|| self.none_of(word, path, &paths))
                }
            },
        }
    }

    /// The error for something that is not there or not meant clearly, with what is.
    pub fn none(&self, word: &str, path: &str) -> FormatError {
        let fits = |item: &&Item| item.what.word() == word;
        self.none_of(word, path, &self.items.iter().filter(fits).map(|item| item.path.as_str()).collect::<Vec<_>>())
    }

    fn none_of(&self, word: &str, path: &str, names: &[&str]) -> FormatError {
        let place = if path.is_empty() { Place::File } else { Place::Object { path: path.into(), byte: None } };
        let listed = some_of(names);
        let is_none = if matches!(word, "spikes" | "events") { "are no" } else { "is no" };
        let (reason, help) = match (self.item(path), names.is_empty()) {
            (Some(item), true) => {
                (format!("this is {}, not {}", article(item.what.word()), article(word)), format!("there {is_none} {word} in the file"))
            }
            (Some(item), false) => {
                (format!("this is {}, not {}", article(item.what.word()), article(word)), format!("name one of {listed}"))
            }
            (None, true) => (format!("there {is_none} {word} in the file"), "`neuroflow inspect` shows what is in it".into()),
            (None, false) if path.is_empty() => {
                (format!("several are there, so {} must be named", article(word)), format!("name one of {listed}"))
            }
            (None, false) => (format!("there {is_none} {word} of this name"), format!("there are {listed}")),
        };
        FormatError::new(self.format, place, reason, help)
    }
}

/// Paths by their last part, where it is that of one alone and no path itself: `trials` for `intervals/trials`.
pub fn short_names<'p>(paths: &[&'p str]) -> BTreeMap<&'p str, &'p str> {
    let mut by_last: BTreeMap<&str, Option<&str>> = BTreeMap::new();
    for path in paths {
        let last = path.rsplit('/').next().unwrap_or(path);
        by_last.entry(last).and_modify(|own| *own = None).or_insert(Some(path));
    }
    by_last.into_iter().filter_map(|(last, path)| Some((last, path.filter(|path| *path != last)?))).collect()
}

fn article(word: &str) -> String {
    match word {
        "spikes" | "events" => word.into(),
        _ if word.starts_with(['a', 'e', 'i', 'o', 'u']) => format!("an {word}"),
        _ => format!("a {word}"),
    }
}

/// The first names, quoted, and how many more there are.
fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 8;
    let listed = names.iter().take(SHOWN).map(|name| format!("`{}`", name.escape_debug())).collect::<Vec<_>>().join(", ");
    if names.len() > SHOWN { format!("{listed} and {} more", names.len() - SHOWN) } else { listed }
}

/// A recording in a file, read a channel at a time.
pub trait Signals {
    /// The channels, in the file's order.
    fn channels(&self) -> &[Channel];

    /// The number of samples of a channel.
    fn samples(&self, channel: usize) -> u64;

    /// Appends the values of a channel at `samples`, in its unit; the range is cut to what is there.
    ///
    /// # Errors
    /// When the bytes can't be had or are damaged.
    fn read(&self, channel: usize, samples: Range<u64>, into: &mut Vec<f64>) -> Result<(), FormatError>;

    /// All samples of a channel as they are stored. Every channel of a recording gives the same sort.
    ///
    /// # Errors
    /// When the bytes can't be had or are damaged.
    fn stored(&self, channel: usize) -> Result<Samples, FormatError>;

    /// Some channels as a recording, by position.
    ///
    /// # Errors
    /// When the bytes can't be had or are damaged, or the channels do not make a recording.
    fn recording(&self, format: Format, session: &str, channels: &[usize]) -> Result<Recording, FormatError> {
        let mut taken = Vec::with_capacity(channels.len());
        for &position in channels {
            if let Some(channel) = self.channels().get(position) {
                taken.push((channel.clone(), self.stored(position)?));
            }
        }
        Recording::new(session, taken).map_err(|error| FormatError::new(format, Place::File, error.to_string(), "choose other channels"))
    }
}

/// Rows that stand in a file, of which parts can be read.
pub trait Rows: Debug + Send + Sync {
    /// Names and types of the columns.
    fn schema(&self) -> SchemaRef;

    /// The number of rows.
    fn count(&self) -> u64;

    /// Some columns of some rows, in the order of `columns`.
    ///
    /// # Errors
    /// When the bytes can't be had or are damaged.
    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError>;

    /// The least and the greatest value of a column of numbers in `rows`, where they are known without reading: times of samples, for one.
    fn bounds(&self, column: usize, rows: Range<u64>) -> Option<(f64, f64)> {
        let _ = (column, rows);
        None
    }
}
