//! Values out of chunks and shards.

use super::ZarrDocument;
use super::chain::{Chain, Layout, Shards, Values};
use super::codecs::Codec;
use super::node::ArrayNode;
use crate::floats::Floats;
use crate::grid::{Element, Grid, Scale, Step, output_steps, ranges, wrong_part};
use crate::reading::in_object;
use crate::source::Source;
use arrow::buffer::Buffer;
use neuroflow_data::formats::bytes::{ByteOrder, number_at};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, RAISE_LIMIT};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Chunks that are decoded at a time, each by a thread.
const AT_ONCE: usize = 16;

/// From here on the chunks that are there are listed, instead of asking for each that could be.
const MANY: u64 = 4096;

/// The part of a chunk that is wanted, and where it goes.
struct Wanted {
    key: String,
    /// Ranges in the chunk.
    inside: Vec<Range<u64>>,
    /// The first value's place in the output.
    offset: usize,
}

/// Numbers of a part.
pub(super) fn numbers(
    document: &ZarrDocument,
    path: &str,
    array: &ArrayNode,
    part: Option<&[Range<u64>]>,
) -> Result<(Vec<Range<u64>>, Floats), FormatError> {
    let limits = &document.limits;
    let Values::Numbers(element) = array.values else {
        let name = array.values.name();
        let help = remedy(&name);
        return Err(in_object(Format::Zarr, path, format!("the values are {name}, which is not read as numbers"), help));
    };
    let ranges = ranges(&array.shape, part).map_err(|reason| wrong_part(Format::Zarr, path, reason))?;
    let count = ranges.iter().try_fold(1u64, |count, range| count.checked_mul(range.end - range.start));
    let Some(count) = count.filter(|count| count.saturating_mul(8) <= limits.max_total_bytes) else {
        let reason = format!("the values asked for take more than the {} bytes that may be held", limits.max_total_bytes);
        return Err(in_object(Format::Zarr, path, reason, "ask for a part of the array, or raise the reader's limits"));
    };
    let mut out = Floats::zeros(usize::try_from(count).unwrap_or_default());
    if array.fill.to_bits() != 0 {
        out.fill(array.fill);
    }
    if count == 0 {
        return Ok((ranges, out));
    }
    let steps = output_steps(&ranges);
    let wanted = wanted(document, path, array, &ranges, &steps)?;
    let reader = Chunks { path, element, limits, fill: array.fill };
    for some in wanted.chunks(AT_ONCE) {
        let decoded: Result<Vec<Option<Piece>>, FormatError> = some
            .par_iter()
            .map(|one| match document.chunk(path, &one.key)? {
                Some(source) => reader.piece(&array.chain, &one.key, &source, &array.chunks, &one.inside).map(Some),
                None => Ok(None),
            })
            .collect();
        for (one, piece) in some.iter().zip(decoded?) {
            let into = out.get_mut(one.offset..).unwrap_or_default();
            match piece {
                Some(Piece::Whole(bytes, grid)) => grid.scatter_part(&bytes, &one.inside, &steps, into),
                Some(Piece::Values(values)) => {
                    let shape: Vec<u64> = one.inside.iter().map(|range| range.end - range.start).collect();
                    let all: Vec<Range<u64>> = shape.iter().map(|length| 0..*length).collect();
                    let own = native(Grid::row_major(&shape).unwrap_or_default());
                    own.scatter_part(bytemuck::cast_slice(&values), &all, &steps, into);
                }
                None => {}
            }
        }
    }
    Ok((ranges, out))
}

/// What to do about values that are no numbers here.
fn remedy(name: &str) -> &'static str {
    let has = |words: &[&str]| words.iter().any(|word| name.contains(word));
    if has(&["datetime", "date M"]) {
        "save them as numbers: in NumPy, `times.astype(\"datetime64[us]\").astype(\"int64\")` are microseconds since 1970"
    } else if has(&["timedelta", "date m"]) {
        "save them as numbers: in NumPy, `durations / numpy.timedelta64(1, \"s\")` are seconds"
    } else if name.starts_with("complex") {
        "save `real` and `imag`, or `abs`, of the array"
    } else if has(&["struct"]) {
        "save each of its fields as an array"
    } else if has(&["categorize"]) {
        "save the words as text, or their codes as an array of integers"
    } else if has(&["vlen-array"]) {
        "save all values in one array, and the length of each list in another"
    } else if has(&["json", "vlen-bytes", "object", "bytes", "pickle"]) {
        "save texts with the codec vlen-utf8, and numbers as an array of numbers"
    } else {
        "save the array with the codec gzip, zstd or blosc"
    }
}

/// Floats in memory.
fn native(axes: Vec<Step>) -> Grid {
    let order = if cfg!(target_endian = "little") { ByteOrder::Little } else { ByteOrder::Big };
    Grid { element: Element::F64, order, start: 0, axes, scale: Scale::NONE }
}

/// The chunks that a part touches.
fn wanted(
    document: &ZarrDocument,
    path: &str,
    array: &ArrayNode,
    ranges: &[Range<u64>],
    steps: &[usize],
) -> Result<Vec<Wanted>, FormatError> {
    let prefix = document.prefix(path, array);
    let grid: Vec<Range<u64>> =
        ranges.iter().zip(&array.chunks).map(|(range, chunk)| range.start / chunk..range.end.div_ceil(*chunk)).collect();
    let one = |place: &[u64]| {
        let mut offset = 0usize;
        let mut inside = Vec::with_capacity(place.len());
        for (((number, chunk), range), step) in place.iter().zip(&array.chunks).zip(ranges).zip(steps) {
            let first = number * chunk;
            let from = range.start.max(first);
            let to = range.end.min(first.saturating_add(*chunk));
            offset += (from - range.start) as usize * step;
            inside.push(from - first..to.max(from) - first);
        }
        Wanted { key: format!("{prefix}{}", array.keys.key(place)), inside, offset }
    };
    let touched = grid.iter().fold(1u64, |count, range| count.saturating_mul(range.end - range.start));
    if touched > MANY {
        let keys = document.keys(&prefix)?;
        let places = keys.iter().filter_map(|key| array.keys.place(key, ranges.len()));
        return Ok(places
            .filter(|place| place.iter().zip(&grid).all(|(number, range)| range.contains(number)))
            .map(|place| one(&place))
            .collect());
    }
    let mut places = vec![Vec::new()];
    for range in &grid {
        places =
            places.iter().flat_map(|place: &Vec<u64>| range.clone().map(move |number| [place.as_slice(), &[number]].concat())).collect();
    }
    Ok(places.iter().map(|place| one(place)).collect())
}

/// A chunk that has been decoded.
enum Piece {
    /// All of its bytes, and how values lie in them.
    Whole(Vec<u8>, Grid),
    /// The values of the part, row-major.
    Values(Vec<f64>),
}

/// What is the same for all chunks of an array.
struct Chunks<'a> {
    path: &'a str,
    element: Element,
    limits: &'a Limits,
    fill: f64,
}

impl Chunks<'_> {
    fn refuse(&self, key: &str, reason: &str) -> FormatError {
        let help = if reason.contains("allowed") || reason.contains("may hold") { RAISE_LIMIT } else { COPY_AGAIN };
        in_object(Format::Zarr, self.path, format!("chunk `{key}`: {reason}"), help)
    }

    /// The values of a chunk in memory, as its codecs order them.
    fn grid(&self, chain: &Chain, shape: &[u64]) -> Option<Grid> {
        let stored: Vec<u64> = chain.axes.iter().filter_map(|axis| shape.get(*axis).copied()).collect();
        let mut axes = vec![Step { len: 1, stride: 1 }; shape.len()];
        for (step, axis) in Grid::row_major(&stored)?.into_iter().zip(&chain.axes) {
            *axes.get_mut(*axis)? = step;
        }
        Some(Grid { element: self.element, order: chain.order, start: 0, axes, scale: Scale::NONE }).filter(|grid| grid.end().is_some())
    }

    /// Decodes what is wanted of a chunk.
    fn piece(
        &self,
        chain: &Chain,
        key: &str,
        source: &Arc<dyn Source>,
        shape: &[u64],
        inside: &[Range<u64>],
    ) -> Result<Piece, FormatError> {
        let grid = self.grid(chain, shape).ok_or_else(|| self.refuse(key, "it has more values than can be counted"))?;
        match &chain.layout {
            Layout::Plain => {
                let bytes = decoded(chain, source.as_ref(), grid.end().unwrap_or(u64::MAX), self.limits)
                    .map_err(|reason| self.refuse(key, &reason))?;
                if bytes.len() as u64 != grid.end().unwrap_or(u64::MAX) {
                    let reason =
                        format!("it holds {} bytes, its shape {shape:?} calls for {}", bytes.len(), grid.end().unwrap_or(u64::MAX));
                    return Err(self.refuse(key, &reason));
                }
                Ok(Piece::Whole(bytes.into_owned(), grid))
            }
            Layout::Shards(shards) => {
                let own: Arc<dyn Source> = if chain.bytes.is_empty() {
                    Arc::clone(source)
                } else {
                    let most = self.limits.expansion(source.len());
                    let bytes = decoded(chain, source.as_ref(), most, self.limits).map_err(|reason| self.refuse(key, &reason))?;
                    Arc::new(Buffer::from_vec(bytes.into_owned()))
                };
                // Axes that were turned before the shard was made are turned for its inner chunks.
                let turned = |all: &[u64]| chain.axes.iter().filter_map(|axis| all.get(*axis).copied()).collect::<Vec<u64>>();
                let stored: Vec<Range<u64>> = chain.axes.iter().filter_map(|axis| inside.get(*axis).cloned()).collect();
                let values = self.shard(shards, key, &own, &turned(shape), &stored)?;
                let lengths: Vec<u64> = stored.iter().map(|range| range.end - range.start).collect();
                let mut axes = vec![Step { len: 1, stride: 1 }; shape.len()];
                for (step, axis) in Grid::row_major(&lengths).unwrap_or_default().into_iter().zip(&chain.axes) {
                    if let Some(own) = axes.get_mut(*axis) {
                        *own = step;
                    }
                }
                if chain.axes.is_sorted() {
                    return Ok(Piece::Values(values));
                }
                let ordered = native(axes);
                let all: Vec<Range<u64>> = ordered.shape().iter().map(|length| 0..*length).collect();
                let mut out = vec![0.0; values.len()];
                ordered.scatter_part(bytemuck::cast_slice(&values), &all, &output_steps(&all), &mut out);
                Ok(Piece::Values(out))
            }
        }
    }

    /// The values of a part of a shard, row-major, out of the inner chunks that it touches.
    fn shard(
        &self,
        shards: &Shards,
        key: &str,
        source: &Arc<dyn Source>,
        shape: &[u64],
        inside: &[Range<u64>],
    ) -> Result<Vec<f64>, FormatError> {
        let refuse = |reason: &str| self.refuse(key, reason);
        let counts: Option<Vec<u64>> =
            shape.iter().zip(&shards.chunks).map(|(length, chunk)| (length % chunk == 0).then(|| length / chunk)).collect();
        let counts = counts.ok_or_else(|| refuse("the inner chunks do not fill the shard"))?;
        let number = counts.iter().try_fold(1u64, |count, length| count.checked_mul(*length));
        let bytes = number.and_then(|number| number.checked_mul(16)?.checked_add(4 * shards.index.len() as u64));
        let bytes = bytes.filter(|bytes| *bytes <= source.len()).ok_or_else(|| refuse("its index does not fit into it"))?;
        let place = if shards.index_at_end { source.len() - bytes..source.len() } else { 0..bytes };
        let mut index = crate::source::part(source.as_ref(), Format::Zarr, place)?;
        for codec in shards.index.iter().rev() {
            index = codec.undo(index, bytes, self.limits).map_err(|reason| refuse(&format!("its index: {reason}")))?;
        }
        let lengths: Vec<u64> = inside.iter().map(|range| range.end - range.start).collect();
        let all = lengths.iter().fold(1u64, |count, length| count.saturating_mul(*length));
        let mut out = vec![self.fill; usize::try_from(all).unwrap_or_default()];
        let steps = output_steps(&lengths.iter().map(|length| 0..*length).collect::<Vec<_>>());
        let touched: Vec<Range<u64>> =
            inside.iter().zip(&shards.chunks).map(|(range, chunk)| range.start / chunk..range.end.div_ceil(*chunk)).collect();
        let mut place: Vec<u64> = touched.iter().map(|range| range.start).collect();
        loop {
            let linear = place.iter().zip(&counts).fold(0u64, |sum, (number, count)| sum * count + number) as usize;
            let at = |offset: usize| number_at::<u64>(&index, 16 * linear + offset, shards.index_order);
            let (Some(start), Some(length)) = (at(0), at(8)) else { return Err(refuse("its index is cut short")) };
            if (start, length) != (u64::MAX, u64::MAX) {
                let end = start.checked_add(length).filter(|end| *end <= source.len());
                let end = end.ok_or_else(|| refuse("an inner chunk lies outside of the shard"))?;
                let mut offset = 0usize;
                let mut own = Vec::with_capacity(place.len());
                for (((number, chunk), range), step) in place.iter().zip(&shards.chunks).zip(inside).zip(&steps) {
                    let first = number * chunk;
                    let from = range.start.max(first);
                    let to = range.end.min(first + chunk).max(from);
                    offset += (from - range.start) as usize * step;
                    own.push(from - first..to - first);
                }
                let inner: Arc<dyn Source> = Arc::new(Window { source: Arc::clone(source), start, end });
                let into = out.get_mut(offset..).unwrap_or_default();
                match self.piece(&shards.inner, key, &inner, &shards.chunks, &own)? {
                    Piece::Whole(bytes, grid) => grid.scatter_part(&bytes, &own, &steps, into),
                    Piece::Values(values) => {
                        let shape: Vec<u64> = own.iter().map(|range| range.end - range.start).collect();
                        let all: Vec<Range<u64>> = shape.iter().map(|length| 0..*length).collect();
                        native(Grid::row_major(&shape).unwrap_or_default()).scatter_part(bytemuck::cast_slice(&values), &all, &steps, into);
                    }
                }
            }
            let mut done = true;
            for (number, range) in place.iter_mut().zip(&touched).rev() {
                *number += 1;
                if *number < range.end {
                    done = false;
                    break;
                }
                *number = range.start;
            }
            if done {
                return Ok(out);
            }
        }
    }
}

/// A part of a file as a file.
#[derive(Debug)]
struct Window {
    source: Arc<dyn Source>,
    start: u64,
    end: u64,
}

impl Source for Window {
    fn len(&self) -> u64 {
        self.end - self.start
    }

    fn bytes(&self, range: Range<u64>) -> std::io::Result<Cow<'_, [u8]>> {
        let end = self.start.checked_add(range.end).filter(|end| *end <= self.end && range.start <= range.end);
        match end {
            Some(end) => self.source.bytes(self.start + range.start..end),
            None => Err(crate::source::beyond(&range, self.len())),
        }
    }
}

/// The bytes of a chunk with all codecs on bytes undone.
fn decoded<'s>(chain: &Chain, source: &'s dyn Source, most: u64, limits: &Limits) -> Result<Cow<'s, [u8]>, String> {
    // What a file of this length may become, however large its chunks claim to be.
    let most = most.min(limits.expansion(source.len()));
    let mut bytes = source.bytes(0..source.len()).map_err(|error| format!("it can't be read ({error})"))?;
    // What there is before each codec.
    let mut before = Vec::with_capacity(chain.bytes.len());
    let mut size = most;
    for codec in &chain.bytes {
        before.push(size);
        size = codec.after(size);
    }
    for ((place, codec), most) in chain.bytes.iter().enumerate().zip(before).rev() {
        // Each codec further out adds a checksum or a header at most.
        let slack = 64u64.saturating_mul(place as u64).saturating_add(if matches!(codec, Codec::Check(..)) { 4 } else { 0 });
        bytes = codec.undo(bytes, most.saturating_add(most / 128).saturating_add(slack), limits)?;
    }
    Ok(bytes)
}

/// Text of all chunks, row-major.
pub(super) fn texts(document: &ZarrDocument, path: &str, array: &ArrayNode) -> Result<Vec<String>, FormatError> {
    let limits = &document.limits;
    let refuse = |reason: String| in_object(Format::Zarr, path, reason, COPY_AGAIN);
    let count = array.shape.iter().try_fold(1u64, |count, length| count.checked_mul(*length));
    let count = count.filter(|count| count.saturating_mul(size_of::<String>() as u64) <= limits.max_total_bytes);
    let Some(count) = count else { return Err(in_object(Format::Zarr, path, "there are more texts than may be held", RAISE_LIMIT)) };
    if matches!(array.chain.layout, Layout::Shards(_)) {
        return Err(in_object(Format::Zarr, path, "text in shards is not read", "save it without shards"));
    }
    let ranges: Vec<Range<u64>> = array.shape.iter().map(|length| 0..*length).collect();
    let steps = output_steps(&ranges);
    let mut out = vec![String::new(); usize::try_from(count).unwrap_or_default()];
    if count == 0 {
        return Ok(out);
    }
    for one in wanted(document, path, array, &ranges, &steps)? {
        let Some(source) = document.chunk(path, &one.key)? else { continue };
        let number = array.chunks.iter().fold(1u64, |count, length| count.saturating_mul(*length));
        let most = array.values.size().map_or(limits.expansion(source.len()), |size| number.saturating_mul(size));
        let bytes =
            decoded(&array.chain, source.as_ref(), most, limits).map_err(|reason| refuse(format!("chunk `{}`: {reason}", one.key)))?;
        let own = match &array.values {
            Values::Fixed { bytes: size, wide } => fixed(&bytes, *size, *wide, array.chain.order),
            _ => variable(&bytes).ok_or_else(|| refuse(format!("chunk `{}`: its texts are cut short", one.key)))?,
        };
        if own.len() as u64 != number {
            return Err(refuse(format!("chunk `{}` holds {} texts, its shape calls for {number}", one.key, own.len())));
        }
        // Positions of the texts by the order of the chunk, counted as numbers would be.
        let chunks = Chunks { path, element: Element::U8, limits, fill: 0.0 };
        let Some(grid) = chunks.grid(&array.chain, &array.chunks) else { continue };
        let mut place: Vec<u64> = one.inside.iter().map(|range| range.start).collect();
        loop {
            let from: u64 = place.iter().zip(&grid.axes).map(|(place, axis)| place * axis.stride).sum();
            let to: usize =
                place.iter().zip(&one.inside).zip(&steps).map(|((place, range), step)| (place - range.start) as usize * step).sum();
            if let (Some(into), Some(text)) = (out.get_mut(one.offset + to), own.get(from as usize)) {
                into.clone_from(text);
            }
            let mut done = true;
            for (number, range) in place.iter_mut().zip(&one.inside).rev() {
                *number += 1;
                if *number < range.end {
                    done = false;
                    break;
                }
                *number = range.start;
            }
            if done {
                break;
            }
        }
    }
    Ok(out)
}

/// Texts of one length, without their padding.
fn fixed(bytes: &[u8], size: usize, wide: bool, order: ByteOrder) -> Vec<String> {
    let one = |bytes: &[u8]| {
        if wide {
            let codes = neuroflow_data::formats::bytes::decode(bytes, order, |code: u32| code);
            let text: String = codes.into_iter().map(|code| char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)).collect();
            return text.trim_end_matches('\0').to_owned();
        }
        crate::reading::text(bytes).trim_end_matches('\0').to_owned()
    };
    if size == 0 { Vec::new() } else { bytes.chunks_exact(size).map(one).collect() }
}

/// Texts behind their number and each behind its length.
fn variable(bytes: &[u8]) -> Option<Vec<String>> {
    let (count, mut rest) = bytes.split_first_chunk::<4>()?;
    let count = u32::from_le_bytes(*count) as usize;
    if count > rest.len() / 4 {
        return None;
    }
    let mut texts = Vec::with_capacity(count);
    for _ in 0..count {
        let (length, after) = rest.split_first_chunk::<4>()?;
        let length = u32::from_le_bytes(*length) as usize;
        texts.push(String::from_utf8_lossy(after.get(..length)?).into_owned());
        rest = after.get(length..)?;
    }
    Some(texts)
}
