//! Zarr, versions 2 and 3, in a folder of files.
//!
//! Arrays and groups are items under their paths, attributes are facts of the root and descriptions of the others. `tensor(path, part)` reads the
//! chunks
//! that the part touches, and of a shard only the inner chunks. Chunks that are not there have the fill value. Arrays of text are tables with one
//! column `value`.
//!
//! | | read |
//! |---|---|
//! | metadata | `.zarray`, `.zgroup`, `.zattrs`, `.zmetadata`; `zarr.json`, with or without consolidated metadata |
//! | types | truth values, whole numbers, floats of 16, 32 and 64 bits and bfloat16; text of fixed length and of variable length |
//! | orders | C and F; `transpose` |
//! | codecs | `bytes`, `gzip`, `zlib`, `zstd`, `lz4`, `bz2`, `blosc`, `shuffle`, `crc32c`, `crc32`, `adler32`, `fletcher32`, `jenkins_lookup3`, `sharding_indexed`, `vlen-utf8` |
//! | filters | `delta`, `fixedscaleoffset`, `quantize`, `astype`, `packbits`, `bitround`; in version 3 all of numcodecs under their names `numcodecs.…` |
//! | in blosc | blosclz, lz4, lz4hc, zlib, zstd; shuffled by bytes or bits |
//! | keys | both separators, with and without the leading `c` |
//!
//! Axes have the names of `dimension_names`, or of xarray's `_ARRAY_DIMENSIONS`; the attribute `units` is the unit. Values that attributes pack, as those of
//! CF do, are unpacked. Listed and not read: complex numbers, structures, dates. The layouts are those of the Zarr storage specification 2 and of the Zarr core specification 3.0 with its codecs.

mod chain;
mod codecs;
mod filters;
mod node;
mod read;
#[cfg(test)]
mod tests;

use crate::document::{Contents, Document, Item, Rows, What};
use crate::reading::{HeldRows, broken, in_object, shortened};
use crate::source::{Folder, Source};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use chain::Values;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place, RAISE_LIMIT};
use neuroflow_data::{Axis, Tensor};
use node::{ArrayNode, Attributes};
use serde_json::{Map, Value};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The longest metadata that are read: those of one node, or consolidated ones.
const LONGEST: u64 = 16 << 20;

/// An opened hierarchy: its metadata have been read.
#[derive(Debug)]
pub struct ZarrDocument {
    contents: Contents,
    folder: Arc<dyn Folder>,
    root: String,
    arrays: BTreeMap<String, ArrayNode>,
    limits: Limits,
}

/// Opens the hierarchy, or the single array, at `path` in a folder; the empty path is the folder itself.
///
/// # Errors
/// When there are no metadata, or they are damaged.
pub fn open(folder: Arc<dyn Folder>, path: &str, limits: &Limits) -> Result<ZarrDocument, FormatError> {
    let root = path.trim_matches('/').to_owned();
    if root.split('/').any(|part| part == "..") {
        let help = "name a path inside of the folder";
        return Err(in_object(Format::Zarr, &root, "the path leads out of the folder", help));
    }
    let mut reader = Metadata { folder: folder.as_ref(), root: &root, nodes: BTreeMap::new(), notes: Vec::new(), version: 0 };
    reader.read()?;
    let Metadata { nodes, notes, version, .. } = reader;
    let mut contents = Contents::new(Format::Zarr, if version == 2 { "2" } else { "3" });
    contents.notes = notes;
    let mut arrays = BTreeMap::new();
    for (path, node) in nodes {
        if path.is_empty() {
            for (name, value) in &node.attributes {
                contents.facts.insert(name.clone(), shortened(&plain(value), 1000));
            }
        }
        let Some(metadata) = node.array else {
            if !path.is_empty() {
                contents.items.push(Item { path, what: What::Group, about: described(&node.attributes) });
            }
            continue;
        };
        let shown = if path.is_empty() { "array".to_owned() } else { path.clone() };
        let array = ArrayNode::parse(&path, &metadata, &node.attributes, limits)?;
        let count = array.shape.iter().try_fold(1u64, |count, length| count.checked_mul(*length));
        let what = match &array.values {
            Values::Numbers(_) | Values::Other(_) => {
                What::Array { shape: array.shape.clone(), element: array.values.name(), unit: array.unit.clone(), axes: array.axes.clone() }
            }
            Values::Fixed { .. } | Values::Variable => What::Table { rows: count, columns: vec![("value".into(), "text".into())] },
        };
        let about = described(&node.attributes);
        let about = array.packing.as_ref().map_or(about.clone(), |packing| packing.told(&about));
        contents.items.push(Item { path: shown.clone(), what, about });
        arrays.insert(shown, array);
    }
    Ok(ZarrDocument { contents, folder, root, arrays, limits: limits.clone() })
}

/// An attribute as text.
fn plain(value: &Value) -> String {
    value.as_str().map_or_else(|| value.to_string(), str::to_owned)
}

/// Attributes of a node, in words.
fn described(attributes: &Attributes) -> String {
    let said = ["description", "long_name", "title"].iter().find_map(|name| attributes.get(*name).and_then(Value::as_str));
    if let Some(said) = said {
        return shortened(said, 400);
    }
    let shown = attributes.iter().filter(|(name, _)| !name.starts_with('_')).take(12);
    let listed: Vec<String> = shown.map(|(name, value)| format!("{name}: {}", shortened(&plain(value), 80))).collect();
    listed.join("; ")
}

/// A node, as its metadata say.
#[derive(Debug, Default)]
struct Node {
    array: Option<Map<String, Value>>,
    attributes: Attributes,
}

/// Gathers the metadata of all nodes.
struct Metadata<'f> {
    folder: &'f dyn Folder,
    root: &'f str,
    nodes: BTreeMap<String, Node>,
    notes: Vec<String>,
    version: u8,
}

impl Metadata<'_> {
    fn key(&self, path: &str) -> String {
        if self.root.is_empty() { path.to_owned() } else { format!("{}/{path}", self.root) }
    }

    /// The object in a file of JSON; `None` when there is no such file.
    fn json(&self, path: &str) -> Result<Option<Map<String, Value>>, FormatError> {
        let key = self.key(path);
        let source = match self.folder.open(&key) {
            Ok(Some(source)) => source,
            Ok(None) => return Ok(None),
            Err(error) => {
                return Err(in_object(Format::Zarr, &key, format!("the file can't be opened ({error})"), "see that it is still there"));
            }
        };
        if source.len() > LONGEST {
            return Err(in_object(Format::Zarr, &key, format!("metadata of {} bytes are too long", source.len()), RAISE_LIMIT));
        }
        let bytes = crate::source::part(source.as_ref(), Format::Zarr, 0..source.len())?;
        match serde_json::from_slice(&lenient(&bytes)) {
            Ok(Value::Object(object)) => Ok(Some(object)),
            Ok(_) => Err(in_object(Format::Zarr, &key, "the metadata are no JSON object", COPY_AGAIN)),
            Err(error) => Err(in_object(Format::Zarr, &key, format!("the metadata are no JSON ({error})"), COPY_AGAIN)),
        }
    }

    fn read(&mut self) -> Result<(), FormatError> {
        if let Some(root) = self.json("zarr.json")? {
            self.version = 3;
            let consolidated = root.get("consolidated_metadata").and_then(|all| all.get("metadata")).and_then(Value::as_object).cloned();
            let is_array = self.add_three("", root)?;
            if let Some(consolidated) = consolidated {
                for (path, node) in consolidated {
                    let Value::Object(node) = node else { continue };
                    self.add_three(path.trim_matches('/'), node)?;
                }
                return Ok(());
            }
            return if is_array { Ok(()) } else { self.listed() };
        }
        if let Some(all) = self.json(".zmetadata")? {
            self.version = 2;
            let Some(Value::Object(entries)) = all.get("metadata") else {
                return Err(in_object(Format::Zarr, &self.key(".zmetadata"), "`metadata` is missing", COPY_AGAIN));
            };
            for (key, value) in entries {
                let Value::Object(value) = value else { continue };
                self.add_two(key, value.clone());
            }
            return Ok(());
        }
        for name in [".zgroup", ".zarray", ".zattrs"] {
            if let Some(own) = self.json(name)? {
                self.version = 2;
                self.add_two(name, own);
            }
        }
        if self.version == 0 {
            let help = "name the folder that holds `zarr.json`, `.zgroup` or `.zarray`";
            return Err(FormatError::new(Format::Zarr, Place::File, "the folder has no metadata of Zarr", help));
        }
        if self.nodes.get("").is_some_and(|root| root.array.is_some()) {
            return Ok(());
        }
        self.listed()
    }

    /// Finds all nodes by listing the folder.
    fn listed(&mut self) -> Result<(), FormatError> {
        let paths = self.folder.paths().map_err(|error| broken(Format::Zarr, format!("the folder can't be listed ({error})")))?;
        let prefix = if self.root.is_empty() { String::new() } else { format!("{}/", self.root) };
        for path in paths {
            let Some(own) = path.strip_prefix(&prefix) else { continue };
            let Some((parent, name)) = own.rsplit_once('/') else { continue };
            match (self.version, name) {
                (3, "zarr.json") => {
                    if let Some(node) = self.json(own)? {
                        self.add_three(parent, node)?;
                    }
                }
                (2, ".zarray" | ".zgroup" | ".zattrs") => {
                    if let Some(node) = self.json(own)? {
                        self.add_two(own, node);
                    }
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Adds a node of version 3; true when it is an array.
    fn add_three(&mut self, path: &str, mut metadata: Map<String, Value>) -> Result<bool, FormatError> {
        let attributes = match metadata.remove("attributes") {
            Some(Value::Object(attributes)) => attributes,
            _ => Map::new(),
        };
        let is_array = match metadata.get("node_type").and_then(Value::as_str) {
            Some("array") => true,
            Some("group") => false,
            _ => return Err(in_object(Format::Zarr, path, "`node_type` is neither `array` nor `group`", COPY_AGAIN)),
        };
        let _ = self.nodes.insert(path.to_owned(), Node { array: is_array.then_some(metadata), attributes });
        Ok(is_array)
    }

    /// Adds a file of version 2 by its path.
    fn add_two(&mut self, key: &str, value: Map<String, Value>) {
        let (parent, name) = key.rsplit_once('/').unwrap_or(("", key));
        let node = self.nodes.entry(parent.trim_matches('/').to_owned()).or_default();
        match name {
            ".zarray" => node.array = Some(value),
            ".zattrs" => node.attributes = value,
            _ => {}
        }
    }
}

/// JSON as Python writes it: `NaN`, `Infinity` and `-Infinity` outside of texts become texts.
fn lenient(bytes: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    let mut quoted = false;
    while let Some((first, after)) = rest.split_first() {
        if quoted && *first == b'\\' {
            out.push(*first);
            out.extend(after.first());
            rest = after.get(1..).unwrap_or_default();
            continue;
        }
        quoted ^= *first == b'"';
        let word = [&b"NaN"[..], b"-Infinity", b"Infinity"].into_iter().find(|word| !quoted && rest.starts_with(word));
        match word {
            Some(word) => {
                out.push(b'"');
                out.extend_from_slice(word);
                out.push(b'"');
                rest = rest.get(word.len()..).unwrap_or_default();
            }
            None => {
                out.push(*first);
                rest = after;
            }
        }
    }
    out
}

impl ZarrDocument {
    fn array<'d>(&'d self, path: &'d str, word: &str) -> Result<(&'d str, &'d ArrayNode), FormatError> {
        let path = self.contents.path_of(path, word, |what| what.word() == word)?;
        match self.arrays.get(path) {
            Some(array) => Ok((path, array)),
            None => Err(self.contents.none(word, path)),
        }
    }

    /// Where the chunks of an array are.
    fn prefix(&self, path: &str, array: &ArrayNode) -> String {
        let own = if array.path.is_empty() { String::new() } else { format!("{path}/") };
        if self.root.is_empty() { own } else { format!("{}/{own}", self.root) }
    }

    /// Keys of chunks that are there, for arrays of far more chunks than files.
    fn keys(&self, prefix: &str) -> Result<BTreeSet<String>, FormatError> {
        let paths = self.folder.paths().map_err(|error| broken(Format::Zarr, format!("the folder can't be listed ({error})")))?;
        Ok(paths.into_iter().filter_map(|path| path.strip_prefix(prefix).map(str::to_owned)).collect())
    }

    fn chunk(&self, path: &str, key: &str) -> Result<Option<Arc<dyn Source>>, FormatError> {
        self.folder.open(key).map_err(|error| {
            in_object(
                Format::Zarr,
                path,
                format!("the chunk `{key}` can't be opened ({error})"),
                "see that the file is still there and try again",
            )
        })
    }
}

impl Document for ZarrDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let (path, array) = self.array(path, "table")?;
        let texts = read::texts(self, path, array)?;
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(texts));
        let batch = RecordBatch::try_from_iter([("value", column)]).map_err(|error| broken(Format::Zarr, error.to_string()))?;
        Ok(Arc::new(HeldRows { format: Format::Zarr, batch }))
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let (path, array) = self.array(path, "array")?;
        let (ranges, mut values) = read::numbers(self, path, array, part)?;
        if let Some(packing) = &array.packing {
            packing.undo(&mut values);
        }
        let mut axes: Vec<Axis> = ranges
            .iter()
            .enumerate()
            .map(|(axis, range)| {
                let name = array.axes.get(axis).cloned().unwrap_or_else(|| format!("axis {}", axis + 1));
                Axis::count(name, usize::try_from(range.end - range.start).unwrap_or_default())
            })
            .collect();
        if axes.is_empty() {
            axes.push(Axis::count("value", 1));
        }
        Tensor::new(axes, (!array.unit.is_empty()).then_some(array.unit.as_str()), values)
            .map_err(|error| broken(Format::Zarr, error.to_string()))
    }
}
