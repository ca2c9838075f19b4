//! The codecs of an array, one after the other, and what a chunk is at their end.

use super::codecs::{Codec, Place, Sum};
use super::filters::Filter;
use super::node::refuse;
use crate::grid::Element;
use arrow::datatypes::{ArrowPrimitiveType, Float16Type};
use neuroflow_data::formats::FormatError;
use neuroflow_data::formats::bytes::ByteOrder;
use serde_json::{Map, Value};

/// What the values of an array are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Values {
    Numbers(Element),
    /// Text of so many bytes, four for a character when `wide`.
    Fixed {
        bytes: usize,
        wide: bool,
    },
    /// Text of any length.
    Variable,
    /// Something that is listed and not read.
    Other(String),
}

impl Values {
    pub fn name(&self) -> String {
        match self {
            Values::Numbers(element) => element.name().to_owned(),
            Values::Fixed { .. } | Values::Variable => "text".to_owned(),
            Values::Other(name) => name.clone(),
        }
    }

    /// Bytes of one value; `None` where they differ or are not known.
    pub fn size(&self) -> Option<u64> {
        match self {
            Values::Numbers(element) => Some(element.size()),
            Values::Fixed { bytes, .. } => Some(*bytes as u64),
            Values::Variable | Values::Other(_) => None,
        }
    }

    /// A type of NumPy, such as `<f8`, and its byte order.
    pub fn of_dtype(dtype: &str) -> Option<(Values, ByteOrder)> {
        let order = if dtype.starts_with('>') { ByteOrder::Big } else { ByteOrder::Little };
        let rest = dtype.strip_prefix(['<', '>', '|', '='])?;
        let kind = rest.chars().next()?;
        let size = rest.get(1..)?;
        let element = match (kind, size) {
            ('b', "1") => Element::Bool,
            ('i', "1") => Element::I8,
            ('i', "2") => Element::I16,
            ('i', "4") => Element::I32,
            ('i', "8") => Element::I64,
            ('u', "1") => Element::U8,
            ('u', "2") => Element::U16,
            ('u', "4") => Element::U32,
            ('u', "8") => Element::U64,
            ('f', "2") => Element::F16,
            ('f', "4") => Element::F32,
            ('f', "8") => Element::F64,
            ('S', size) => return Some((Values::Fixed { bytes: size.parse().ok()?, wide: false }, order)),
            ('U', size) => return Some((Values::Fixed { bytes: size.parse::<usize>().ok()?.checked_mul(4)?, wide: true }, order)),
            ('O', _) => return Some((Values::Other("object".into()), order)),
            ('c', _) => return Some((Values::Other(format!("complex {rest}")), order)),
            ('M' | 'm', _) => return Some((Values::Other(format!("date {rest}")), order)),
            ('V', _) => return Some((Values::Other(format!("bytes {rest}")), order)),
            _ => return None,
        };
        Some((Values::Numbers(element), order))
    }

    /// A type of version 3.
    pub fn of_name(name: &str, length: Option<u64>) -> Values {
        match (name, length.and_then(|length| usize::try_from(length).ok())) {
            ("string", _) => Values::Variable,
            ("fixed_length_utf32", Some(bytes)) if bytes % 4 == 0 => Values::Fixed { bytes, wide: true },
            ("null_terminated_bytes" | "fixed_length_ascii", Some(bytes)) => Values::Fixed { bytes, wide: false },
            _ => Element::named(name).map_or_else(|| Values::Other(name.to_owned()), Values::Numbers),
        }
    }

    /// A fill value given by its bits.
    pub fn of_bits(&self, bits: u64) -> f64 {
        match self {
            Values::Numbers(Element::F16) => <Float16Type as ArrowPrimitiveType>::Native::from_bits(bits as u16).to_f64(),
            Values::Numbers(Element::Bf16) => f64::from(f32::from_bits((bits as u32) << 16)),
            Values::Numbers(Element::F32) => f64::from(f32::from_bits(bits as u32)),
            Values::Numbers(Element::F64) => f64::from_bits(bits),
            _ => bits as f64,
        }
    }
}

/// How keys of chunks are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Keys {
    pub lead: &'static str,
    pub separator: char,
}

impl Keys {
    /// The key of the chunk at a place of the grid.
    pub fn key(self, place: &[u64]) -> String {
        let mut key = self.lead.to_owned();
        for number in place {
            if !key.is_empty() {
                key.push(self.separator);
            }
            key.push_str(&number.to_string());
        }
        // An array without axes has one chunk, `0` in version 2 and `c` in version 3.
        if key.is_empty() { "0".to_owned() } else { key }
    }

    /// The place of a key in a grid of so many axes.
    pub fn place(self, key: &str, axes: usize) -> Option<Vec<u64>> {
        let rest = if self.lead.is_empty() { key } else { key.strip_prefix(self.lead)?.strip_prefix(self.separator)? };
        let place: Option<Vec<u64>> = rest.split(self.separator).map(|number| number.parse().ok()).collect();
        place.filter(|place| place.len() == axes && self.key(place) == key)
    }
}

/// A shard: inner chunks behind an index.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Shards {
    pub chunks: Vec<u64>,
    pub inner: Box<Chain>,
    /// Codecs on the bytes of the index.
    pub index: Vec<Codec>,
    pub index_order: ByteOrder,
    pub index_at_end: bool,
}

/// What the bytes of a chunk are.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Layout {
    /// Values one after the other.
    Plain,
    /// Inner chunks.
    Shards(Shards),
}

/// All codecs of an array.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Chain {
    pub order: ByteOrder,
    /// For every axis as it is stored, the axis of the array; the last varies fastest.
    pub axes: Vec<usize>,
    pub layout: Layout,
    /// Codecs on bytes, in the order in which they were applied.
    pub bytes: Vec<Codec>,
}

impl Chain {
    /// The codecs of version 2: filters, then a compressor.
    pub fn two(
        path: &str,
        metadata: &Map<String, Value>,
        values: &mut Values,
        order: ByteOrder,
        column_major: bool,
    ) -> Result<Chain, FormatError> {
        let count = metadata.get("shape").and_then(Value::as_array).map_or(0, Vec::len);
        let mut bytes = Vec::new();
        let filters = metadata.get("filters").and_then(Value::as_array).cloned().unwrap_or_default();
        let compressor = metadata.get("compressor").cloned().filter(|own| !own.is_null());
        for own in filters.iter().chain(&compressor) {
            let id = own.get("id").and_then(Value::as_str).unwrap_or_default();
            if id == "vlen-utf8" && bytes.is_empty() {
                *values = Values::Variable;
                continue;
            }
            match Codec::named(id, own) {
                Some(codec) => bytes.push(codec),
                None => {
                    *values = Values::Other(format!("{} by the codec `{}`", values.name(), id.escape_debug()));
                }
            }
        }
        if count > 64 {
            return Err(refuse(path, "the array has more than 64 axes"));
        }
        let axes = if column_major { (0..count).rev().collect() } else { (0..count).collect() };
        Ok(Chain { order, axes, layout: Layout::Plain, bytes })
    }

    /// The codecs of version 3.
    pub fn three(path: &str, codecs: &[Value], values: &mut Values, count: usize, depth: usize) -> Result<Chain, FormatError> {
        let mut chain = Chain { order: ByteOrder::Little, axes: (0..count).collect(), layout: Layout::Plain, bytes: Vec::new() };
        let mut in_bytes = false;
        // Filters on numbers, and the type behind the last of them.
        let mut filters: Vec<Filter> = Vec::new();
        for codec in codecs {
            let (name, configuration) = match codec {
                Value::String(name) => (name.as_str(), &Value::Null),
                own => (own.get("name").and_then(Value::as_str).unwrap_or_default(), own.get("configuration").unwrap_or(&Value::Null)),
            };
            match (name, in_bytes) {
                ("transpose", false) => chain.axes = transposed(path, &chain.axes, configuration)?,
                ("bytes" | "endian", false) => {
                    in_bytes = true;
                    let big = configuration.get("endian").and_then(Value::as_str) == Some("big");
                    let order = if big { ByteOrder::Big } else { ByteOrder::Little };
                    // Differences and bits are of numbers in an order, which a transposition before them or behind them changes.
                    if !chain.axes.is_sorted() && filters.iter().any(|filter| !filter.is_of_each()) {
                        *values = Values::Other(format!("{} by differences or bits of a transposed array", values.name()));
                    }
                    match filters.last_mut() {
                        Some(last) => last.stored.order = order,
                        None => chain.order = order,
                    }
                    chain.bytes.extend(filters.drain(..).map(Codec::Numbers));
                }
                (name, false) if name.starts_with("numcodecs.") => {
                    let now = match (filters.last(), &*values) {
                        (Some(last), _) => Some(last.stored.element),
                        (None, Values::Numbers(element)) => Some(*element),
                        _ => None,
                    };
                    let filter = name.strip_prefix("numcodecs.").and_then(|name| Filter::named(name, configuration, now));
                    match filter.filter(|filter| Some(filter.given.element) == now) {
                        Some(mut filter) => {
                            // Between filters there are numbers and no bytes yet.
                            (filter.given.order, filter.stored.order) = (ByteOrder::Little, ByteOrder::Little);
                            filters.push(filter);
                        }
                        None => *values = Values::Other(format!("{} by the codec `{}`", values.name(), name.escape_debug())),
                    }
                }
                ("vlen-utf8", false) => {
                    in_bytes = true;
                    *values = Values::Variable;
                }
                ("sharding_indexed", false) => {
                    in_bytes = true;
                    chain.layout = Layout::Shards(shards(path, configuration, values, count, depth)?);
                }
                (_, true) => match Codec::named(name.strip_prefix("numcodecs.").unwrap_or(name), configuration) {
                    Some(codec) => chain.bytes.push(codec),
                    None => *values = Values::Other(format!("{} by the codec `{}`", values.name(), name.escape_debug())),
                },
                _ => *values = Values::Other(format!("{} by the codec `{}`", values.name(), name.escape_debug())),
            }
        }
        if !filters.is_empty() {
            *values = Values::Other(format!("{} by filters before shards or texts", values.name()));
        }
        if !in_bytes && !matches!(values, Values::Other(_)) {
            return Err(refuse(path, "no codec makes bytes of the array"));
        }
        Ok(chain)
    }
}

/// Axes after a transposition.
fn transposed(path: &str, axes: &[usize], configuration: &Value) -> Result<Vec<usize>, FormatError> {
    let wrong = || refuse(path, "the order of `transpose` is no permutation of the axes");
    let order: Vec<usize> = match configuration.get("order") {
        Some(Value::Array(order)) => {
            let order: Option<Vec<usize>> = order.iter().map(|axis| axis.as_u64().and_then(|axis| usize::try_from(axis).ok())).collect();
            order.ok_or_else(wrong)?
        }
        // Words of an early draft.
        Some(Value::String(word)) if word == "F" => (0..axes.len()).rev().collect(),
        Some(Value::String(word)) if word == "C" => (0..axes.len()).collect(),
        _ => return Err(wrong()),
    };
    let mut sorted = order.clone();
    sorted.sort_unstable();
    if sorted != (0..axes.len()).collect::<Vec<usize>>() {
        return Err(wrong());
    }
    Ok(order.iter().filter_map(|axis| axes.get(*axis).copied()).collect())
}

fn shards(path: &str, configuration: &Value, values: &mut Values, count: usize, depth: usize) -> Result<Shards, FormatError> {
    if depth == 0 {
        return Err(refuse(path, "shards nest too deep"));
    }
    let list = |name: &str| configuration.get(name).and_then(Value::as_array);
    let chunks: Option<Vec<u64>> =
        list("chunk_shape").and_then(|list| list.iter().map(|length| length.as_u64().filter(|own| *own > 0)).collect());
    let (Some(chunks), Some(inner)) = (chunks.filter(|chunks| chunks.len() == count), list("codecs")) else {
        return Err(refuse(path, "a shard has no `chunk_shape` of its axes, or no `codecs`"));
    };
    let inner = Box::new(Chain::three(path, inner, values, count, depth - 1)?);
    let mut own = Values::Numbers(Element::U64);
    let index = match list("index_codecs") {
        Some(codecs) => Chain::three(path, codecs, &mut own, count + 1, 0)?,
        None => return Err(refuse(path, "a shard has no `index_codecs`")),
    };
    let index_at_end = match configuration.get("index_location").and_then(Value::as_str) {
        Some("end") | None => true,
        Some("start") => false,
        Some(_) => return Err(refuse(path, "the index of a shard is neither at its `start` nor at its `end`")),
    };
    if own != Values::Numbers(Element::U64) || index.bytes.iter().any(|codec| *codec != Codec::Check(Sum::Crc32c, Place::Behind)) {
        return Err(refuse(path, "the index of a shard has codecs other than `bytes` and `crc32c`"));
    }
    Ok(Shards { chunks, inner, index: index.bytes, index_order: index.order, index_at_end })
}
