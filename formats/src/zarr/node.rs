//! The metadata of one array, of either version.

use super::chain::{Chain, Keys, Values};
use crate::packing::{Attribute, Packing};
use crate::reading::in_object;
use neuroflow_data::formats::bytes::ByteOrder;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits};
use serde_json::{Map, Value};

/// Attributes of a node.
pub(super) type Attributes = Map<String, Value>;

/// An array that can be read.
#[derive(Debug)]
pub(super) struct ArrayNode {
    /// The path in the hierarchy.
    pub path: String,
    pub shape: Vec<u64>,
    pub chunks: Vec<u64>,
    pub values: Values,
    pub fill: f64,
    pub chain: Chain,
    pub keys: Keys,
    pub axes: Vec<String>,
    pub unit: String,
    /// How the values are packed, where attributes say so.
    pub packing: Option<Packing>,
}

/// An error about the metadata of a node.
pub(super) fn refuse(path: &str, reason: impl Into<String>) -> FormatError {
    in_object(Format::Zarr, path, reason, COPY_AGAIN)
}

fn lengths(path: &str, name: &str, value: Option<&Value>) -> Result<Vec<u64>, FormatError> {
    let list = value.and_then(Value::as_array);
    let numbers: Option<Vec<u64>> = list.and_then(|list| list.iter().map(Value::as_u64).collect());
    match numbers {
        Some(numbers) if numbers.len() <= 64 => Ok(numbers),
        Some(numbers) => Err(refuse(path, format!("`{name}` has {} axes, at most 64 are read", numbers.len()))),
        None => Err(refuse(path, format!("`{name}` is no list of lengths"))),
    }
}

impl ArrayNode {
    /// Reads the metadata.
    pub fn parse(path: &str, metadata: &Map<String, Value>, attributes: &Attributes, limits: &Limits) -> Result<ArrayNode, FormatError> {
        let mut node = match metadata.get("zarr_format").and_then(Value::as_u64) {
            Some(2) => two(path, metadata),
            Some(3) => three(path, metadata, limits),
            _ => Err(refuse(path, "`zarr_format` is neither 2 nor 3")),
        }?;
        if node.shape.len() != node.chunks.len() {
            return Err(refuse(path, format!("the array has {} axes, its chunks have {}", node.shape.len(), node.chunks.len())));
        }
        if node.chunks.contains(&0) {
            return Err(refuse(path, "chunks have an axis of length 0"));
        }
        node.unit = ["units", "unit"].iter().find_map(|name| attributes.get(*name).and_then(Value::as_str)).unwrap_or_default().to_owned();
        if node.axes.is_empty()
            && let Some(Value::Array(names)) = attributes.get("_ARRAY_DIMENSIONS")
        {
            node.axes = names.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect();
        }
        let masks = (metadata.get("zarr_format").and_then(Value::as_u64) == Some(2)).then(|| masking(metadata, attributes)).flatten();
        node.packing = match &node.values {
            Values::Numbers(element) => Packing::of(element.name(), |name| match (name, masks) {
                ("_FillValue", Some(_)) => Some(Attribute::Numbers(vec![node.fill])),
                _ => Attribute::of_json(attributes.get(name)?),
            }),
            _ => None,
        };
        node.axes.truncate(node.shape.len());
        if node.axes.len() < node.shape.len() || node.axes.iter().any(String::is_empty) {
            node.axes.clear();
        }
        Ok(node)
    }
}

/// The fill value of version 2 where xarray keeps what it has as `_FillValue` in it. Other writers leave zero there, which is a value.
fn masking<'m>(metadata: &'m Map<String, Value>, attributes: &Attributes) -> Option<&'m Value> {
    let fill = metadata.get("fill_value").filter(|own| !own.is_null() && !own.is_boolean())?;
    let is_packed = ["scale_factor", "add_offset"].iter().any(|name| attributes.contains_key(*name));
    (attributes.contains_key("_ARRAY_DIMENSIONS") && (is_packed || fill.as_f64() != Some(0.0))).then_some(fill)
}

fn two(path: &str, metadata: &Map<String, Value>) -> Result<ArrayNode, FormatError> {
    let shape = lengths(path, "shape", metadata.get("shape"))?;
    let chunks = lengths(path, "chunks", metadata.get("chunks"))?;
    let (mut values, order) = match metadata.get("dtype") {
        Some(Value::String(dtype)) => {
            Values::of_dtype(dtype).ok_or_else(|| refuse(path, format!("the type `{}` is not known", dtype.escape_debug())))?
        }
        Some(Value::Array(_)) => (Values::Other("structure".into()), ByteOrder::Little),
        _ => return Err(refuse(path, "`dtype` is missing")),
    };
    let column_major = match metadata.get("order").and_then(Value::as_str) {
        Some("C") | None => false,
        Some("F") => true,
        Some(other) => return Err(refuse(path, format!("the order `{}` is neither C nor F", other.escape_debug()))),
    };
    let chain = Chain::two(path, metadata, &mut values, order, column_major)?;
    let separator = metadata.get("dimension_separator").and_then(Value::as_str).unwrap_or(".");
    let keys = Keys { lead: "", separator: separator_of(path, separator)? };
    let fill = fill(metadata.get("fill_value"), &values);
    Ok(ArrayNode { path: path.into(), shape, chunks, values, fill, chain, keys, axes: Vec::new(), unit: String::new(), packing: None })
}

fn three(path: &str, metadata: &Map<String, Value>, limits: &Limits) -> Result<ArrayNode, FormatError> {
    let shape = lengths(path, "shape", metadata.get("shape"))?;
    let configured = |name: &str| metadata.get(name).and_then(|own| own.get("configuration"));
    if metadata.get("chunk_grid").and_then(|grid| grid.get("name")).and_then(Value::as_str) != Some("regular") {
        return Err(refuse(path, "`chunk_grid` is not `regular`"));
    }
    let chunks = lengths(path, "chunk_shape", configured("chunk_grid").and_then(|grid| grid.get("chunk_shape")))?;
    let mut values = match metadata.get("data_type") {
        Some(Value::String(name)) => Values::of_name(name, None),
        Some(Value::Object(own)) => {
            let name = own.get("name").and_then(Value::as_str).unwrap_or_default();
            Values::of_name(name, own.get("configuration").and_then(|own| own.get("length_bytes")).and_then(Value::as_u64))
        }
        _ => return Err(refuse(path, "`data_type` is missing")),
    };
    if let Some(Value::Array(own)) = metadata.get("storage_transformers")
        && !own.is_empty()
    {
        return Err(refuse(path, "storage transformers are not read"));
    }
    let encoding = metadata.get("chunk_key_encoding");
    let separator = configured("chunk_key_encoding").and_then(|own| own.get("separator")).and_then(Value::as_str);
    let keys = match encoding.and_then(|own| own.get("name")).and_then(Value::as_str) {
        Some("default") | None => Keys { lead: "c", separator: separator_of(path, separator.unwrap_or("/"))? },
        Some("v2") => Keys { lead: "", separator: separator_of(path, separator.unwrap_or("."))? },
        Some(other) => return Err(refuse(path, format!("the encoding `{}` of chunk keys is not known", other.escape_debug()))),
    };
    let Some(Value::Array(codecs)) = metadata.get("codecs") else { return Err(refuse(path, "`codecs` are missing")) };
    let chain = Chain::three(path, codecs, &mut values, shape.len(), limits.max_depth.min(4))?;
    let axes = match metadata.get("dimension_names") {
        Some(Value::Array(names)) => names.iter().map(|name| name.as_str().unwrap_or_default().to_owned()).collect(),
        _ => Vec::new(),
    };
    let fill = fill(metadata.get("fill_value"), &values);
    Ok(ArrayNode { path: path.into(), shape, chunks, values, fill, chain, keys, axes, unit: String::new(), packing: None })
}

fn separator_of(path: &str, separator: &str) -> Result<char, FormatError> {
    match separator {
        "." => Ok('.'),
        "/" => Ok('/'),
        other => Err(refuse(path, format!("the separator `{}` is neither `.` nor `/`", other.escape_debug()))),
    }
}

/// The fill value as a number: words for what JSON lacks, and bits as `0x7fc00000`.
fn fill(value: Option<&Value>, values: &Values) -> f64 {
    match value {
        Some(Value::Number(number)) => number.as_f64().unwrap_or(0.0),
        Some(Value::Bool(truth)) => f64::from(u8::from(*truth)),
        Some(Value::String(text)) => match text.as_str() {
            "NaN" => f64::NAN,
            "Infinity" => f64::INFINITY,
            "-Infinity" => f64::NEG_INFINITY,
            other => other.strip_prefix("0x").and_then(|hex| u64::from_str_radix(hex, 16).ok()).map_or(0.0, |bits| values.of_bits(bits)),
        },
        _ => 0.0,
    }
}
