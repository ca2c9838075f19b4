//! safetensors as a document: one array for each tensor, of which parts are read from their bytes alone. The `__metadata__` are facts.
//!
//! The layout is that of the README of `huggingface/safetensors`: eight bytes of length, a header in JSON, and the values, little-endian and
//! row-major.

use crate::document::{Contents, Document, Item, What};
use crate::grid::{Element, Grid, Named, Scale};
use crate::reading::{at_byte, shortened};
use crate::source::{Source, part as part_of};
use neuroflow_data::Tensor;
use neuroflow_data::formats::bytes::{ByteOrder, number_at};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use serde::Deserialize;
use serde::de::{MapAccess, Visitor};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// The longest header, as in the reference library.
const LONGEST: u64 = 100_000_000;

/// An opened safetensors file: its header has been read.
#[derive(Debug)]
pub struct SafetensorsDocument {
    contents: Contents,
    source: Arc<dyn Source>,
    arrays: BTreeMap<String, Grid>,
    limits: Limits,
}

/// What the header says of a tensor.
#[derive(Debug, Deserialize)]
struct Entry {
    dtype: String,
    shape: Vec<u64>,
    data_offsets: (u64, u64),
}

/// The header: tensors in the file's order, and metadata.
#[derive(Debug, Default)]
struct Header {
    tensors: Vec<(String, Entry)>,
    metadata: BTreeMap<String, String>,
}

impl<'de> Deserialize<'de> for Header {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Header, D::Error> {
        struct Entries;
        impl<'de> Visitor<'de> for Entries {
            type Value = Header;
            fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                formatter.write_str("an object of tensors")
            }
            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Header, A::Error> {
                let mut header = Header::default();
                while let Some(name) = map.next_key::<String>()? {
                    if name == "__metadata__" {
                        header.metadata = map.next_value()?;
                    } else {
                        header.tensors.push((name, map.next_value()?));
                    }
                }
                Ok(header)
            }
        }
        deserializer.deserialize_map(Entries)
    }
}

/// Opens a safetensors file.
///
/// # Errors
/// When the header is damaged, or tensors do not fit their bytes, overlap, or stand twice.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<SafetensorsDocument, FormatError> {
    let length: Option<u64> = number_at(&part_of(source.as_ref(), Format::Safetensors, 0..8)?, 0, ByteOrder::Little);
    let length = length.unwrap_or_default();
    if length > LONGEST || length.saturating_add(8) > source.len() {
        return Err(at_byte(Format::Safetensors, 0, format!("the header claims {length} bytes, the file has {}", source.len())));
    }
    let data = 8 + length;
    let header: Header = serde_json::from_slice(&part_of(source.as_ref(), Format::Safetensors, 8..data)?)
        .map_err(|error| at_byte(Format::Safetensors, 8, format!("the header is no JSON of tensors ({error})")))?;
    let mut contents = Contents::new(Format::Safetensors, "");
    for (name, value) in &header.metadata {
        contents.facts.insert(name.clone(), shortened(value, 1000));
    }
    let mut arrays = BTreeMap::new();
    let mut spans = Vec::with_capacity(header.tensors.len());
    let mut values = 0u64;
    for (name, entry) in header.tensors {
        let refuse = |reason: String| {
            let place = Place::Object { path: name.clone(), byte: data.checked_add(entry.data_offsets.0) };
            FormatError::new(Format::Safetensors, place, reason, COPY_AGAIN)
        };
        let (start, end) = entry.data_offsets;
        let bytes = end.checked_sub(start).filter(|_| end <= source.len() - data);
        let Some(bytes) = bytes else {
            return Err(refuse(format!("its bytes {start} to {end} are not in the file, which has {} for values", source.len() - data)));
        };
        let count = entry.shape.iter().try_fold(1u64, |count, length| count.checked_mul(*length));
        let element = element(&entry.dtype);
        let size = element.map(Element::size).or(other_size(&entry.dtype));
        let needed = count.zip(size).and_then(|(count, size)| count.checked_mul(size));
        if size.is_some() && needed != Some(bytes) {
            return Err(refuse(format!("the shape {:?} of {} does not fill its {bytes} bytes", entry.shape, entry.dtype)));
        }
        values = values.saturating_add(count.unwrap_or(0));
        spans.push((start, end));
        let grid = element.and_then(|element| {
            let axes = Grid::row_major(&entry.shape)?;
            Some(Grid { element, order: ByteOrder::Little, start: data.checked_add(start)?, axes, scale: Scale::NONE })
        });
        let word = element.map_or_else(|| entry.dtype.to_lowercase(), |element| element.name().to_owned());
        let what = What::Array { shape: entry.shape, element: word, unit: String::new(), axes: Vec::new() };
        if let Some(grid) = grid
            && arrays.insert(name.clone(), grid).is_some()
        {
            let place = Place::Object { path: name, byte: None };
            return Err(FormatError::new(Format::Safetensors, place, "the tensor stands twice in the header", COPY_AGAIN));
        }
        contents.items.push(Item { path: name, what, about: String::new() });
    }
    spans.sort_unstable();
    if spans.windows(2).any(|pair| matches!(pair, [(_, end), (start, next)] if start < end && start < next)) {
        return Err(at_byte(Format::Safetensors, 8, "tensors overlap each other"));
    }
    contents.facts.insert("tensors".into(), spans.len().to_string());
    contents.facts.insert("values".into(), values.to_string());
    Ok(SafetensorsDocument { contents, source, arrays, limits: limits.clone() })
}

fn element(dtype: &str) -> Option<Element> {
    Some(match dtype {
        "BOOL" => Element::Bool,
        "U8" => Element::U8,
        "I8" => Element::I8,
        "I16" => Element::I16,
        "U16" => Element::U16,
        "I32" => Element::I32,
        "U32" => Element::U32,
        "I64" => Element::I64,
        "U64" => Element::U64,
        "F16" => Element::F16,
        "BF16" => Element::Bf16,
        "F32" => Element::F32,
        "F64" => Element::F64,
        _ => return None,
    })
}

/// Bytes of types that are listed and not read.
fn other_size(dtype: &str) -> Option<u64> {
    match dtype {
        "F8_E4M3" | "F8_E5M2" | "F8_E8M0" => Some(1),
        "C64" => Some(8),
        _ => None,
    }
}

impl Document for SafetensorsDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        // Names may have slashes anywhere, so they are taken as they are before anything else is tried.
        let name =
            if self.arrays.contains_key(path) { path } else { self.contents.path_of(path, "array", |what| what.word() == "array")? };
        let Some(grid) = self.arrays.get(name) else {
            let place = Place::Object { path: name.into(), byte: None };
            let help = "save it as float32";
            return Err(FormatError::new(Format::Safetensors, place, "values of this type are not read as numbers", help));
        };
        let named = Named { path: name.into(), grid: grid.clone(), axes: Vec::new(), unit: String::new() };
        named.tensor(self.source.as_ref(), Format::Safetensors, part, &self.limits)
    }
}
