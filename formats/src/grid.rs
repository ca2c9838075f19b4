//! Arrays of numbers as they lie in a file, and the way from there to row-major values: any part, either byte order, any order of axes.

use crate::document::{Item, What};
use crate::floats::Floats;
use crate::source::{Source, part as part_of_source};
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::{ArrowPrimitiveType, Float16Type};
use neuroflow_data::formats::bytes::{ByteOrder, Stored};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place, RAISE_LIMIT};
use neuroflow_data::{Axis, Tensor};
use rayon::prelude::*;
use std::io::Read;
use std::ops::Range;

/// What one number is in the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Element {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    Bf16,
    F32,
    F64,
}

impl Element {
    /// Bytes one number takes.
    pub fn size(self) -> u64 {
        match self {
            Element::Bool | Element::I8 | Element::U8 => 1,
            Element::I16 | Element::U16 | Element::F16 | Element::Bf16 => 2,
            Element::I32 | Element::U32 | Element::F32 => 4,
            Element::I64 | Element::U64 | Element::F64 => 8,
        }
    }

    /// The name that contents show.
    pub fn name(self) -> &'static str {
        match self {
            Element::Bool => "bool",
            Element::I8 => "int8",
            Element::U8 => "uint8",
            Element::I16 => "int16",
            Element::U16 => "uint16",
            Element::I32 => "int32",
            Element::U32 => "uint32",
            Element::I64 => "int64",
            Element::U64 => "uint64",
            Element::F16 => "float16",
            Element::Bf16 => "bfloat16",
            Element::F32 => "float32",
            Element::F64 => "float64",
        }
    }

    /// The element of a name such as `float32`.
    pub fn named(name: &str) -> Option<Element> {
        use Element::{Bf16, Bool, F16, F32, F64, I8, I16, I32, I64, U8, U16, U32, U64};
        [Bool, I8, U8, I16, U16, I32, U32, I64, U64, F16, Bf16, F32, F64].into_iter().find(|element| element.name() == name)
    }
}

/// Whole numbers and bits as the float they stand for.
trait Value: Stored + Send + Sync {
    fn float(self) -> f64;
}
macro_rules! value {
    ($($number:ty),*) => {$(impl Value for $number { #[inline] fn float(self) -> f64 { self as f64 } })*};
}
value!(u8, i8, u16, i16, u32, i32, u64, i64, f32, f64);

#[inline]
pub(crate) fn half(bits: u16) -> f64 {
    <Float16Type as ArrowPrimitiveType>::Native::from_bits(bits).to_f64()
}

#[inline]
pub(crate) fn brain(bits: u16) -> f64 {
    f64::from(f32::from_bits(u32::from(bits) << 16))
}

/// What is done to every value: nothing, or a factor and then a summand, each only where it changes something.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Scale {
    pub slope: f64,
    pub inter: f64,
}

impl Scale {
    /// Values as they are.
    pub const NONE: Scale = Scale { slope: 1.0, inter: 0.0 };
}

/// An axis: its length, and how many numbers lie from one position to the next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Step {
    pub len: u64,
    pub stride: u64,
}

/// An array in a file.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Grid {
    pub element: Element,
    pub order: ByteOrder,
    /// The byte of its first number.
    pub start: u64,
    /// Axes in the order in which values are given.
    pub axes: Vec<Step>,
    pub scale: Scale,
}

/// An axis of a part, with its step in the output.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Walk {
    len: usize,
    from: usize,
    to: usize,
}

impl Grid {
    /// Axes whose last varies fastest; `None` when the product is not countable.
    pub fn row_major(shape: &[u64]) -> Option<Vec<Step>> {
        let mut axes = Vec::with_capacity(shape.len());
        let mut stride = 1u64;
        for &len in shape.iter().rev() {
            axes.push(Step { len, stride });
            stride = stride.checked_mul(len.max(1))?;
        }
        axes.reverse();
        Some(axes)
    }

    /// Axes whose first varies fastest; `None` when the product is not countable.
    pub fn column_major(shape: &[u64]) -> Option<Vec<Step>> {
        let mut axes = Vec::with_capacity(shape.len());
        let mut stride = 1u64;
        for &len in shape {
            axes.push(Step { len, stride });
            stride = stride.checked_mul(len.max(1))?;
        }
        Some(axes)
    }

    /// The lengths of the axes.
    pub fn shape(&self) -> Vec<u64> {
        self.axes.iter().map(|axis| axis.len).collect()
    }

    /// The byte after the last number; `None` when it can't be counted.
    pub fn end(&self) -> Option<u64> {
        let count = self.axes.iter().try_fold(1u64, |count, axis| count.checked_mul(axis.len))?;
        self.start.checked_add(count.checked_mul(self.element.size())?)
    }

    /// Reads a part from a file.
    pub fn read(
        &self,
        source: &dyn Source,
        format: Format,
        path: &str,
        part: Option<&[Range<u64>]>,
        limits: &Limits,
    ) -> Result<(Vec<Range<u64>>, Floats), FormatError> {
        let ranges = ranges(&self.shape(), part).map_err(|reason| wrong_part(format, path, reason))?;
        let count = self.count(&ranges, format, path, limits)?;
        if count == 0 {
            return Ok((ranges, Floats::zeros(0)));
        }
        let first = self.offset(&ranges, false);
        let last = self.offset(&ranges, true);
        let span = first.zip(last).and_then(|(first, last)| {
            let byte = |number: u64| number.checked_mul(self.element.size()).and_then(|byte| byte.checked_add(self.start));
            Some(byte(first)?..byte(last.checked_add(1)?)?)
        });
        let Some(span) = span.filter(|span| span.end <= source.len()) else {
            let reason = format!("the values reach beyond the end of the file, which has {} bytes", source.len());
            return Err(FormatError::new(format, Place::Object { path: path.into(), byte: Some(self.start) }, reason, COPY_AGAIN));
        };
        let walks = walks(&self.axes, &ranges);
        let mut out = Floats::zeros(count);
        self.read_walks(source, format, span.start, &walks, &mut out)?;
        Ok((ranges, out))
    }

    /// The number of values in a part, if they may be held.
    fn count(&self, ranges: &[Range<u64>], format: Format, path: &str, limits: &Limits) -> Result<usize, FormatError> {
        let count = ranges.iter().try_fold(1u64, |count, range| count.checked_mul(range.end - range.start));
        match count.filter(|count| count.saturating_mul(8) <= limits.max_total_bytes) {
            Some(count) => Ok(usize::try_from(count).unwrap_or(usize::MAX)),
            None => {
                let reason = format!("the values asked for take more than the {} bytes that may be held", limits.max_total_bytes);
                let help = "ask for a part of the array, or raise the reader's limits";
                Err(FormatError::new(format, Place::Object { path: path.into(), byte: None }, reason, help))
            }
        }
    }

    /// The number of the first or the last value of a part, counted in the file.
    fn offset(&self, ranges: &[Range<u64>], last: bool) -> Option<u64> {
        self.axes.iter().zip(ranges).try_fold(0u64, |sum, (axis, range)| {
            let position = if last { range.end.checked_sub(1)? } else { range.start };
            sum.checked_add(position.checked_mul(axis.stride)?)
        })
    }

    /// Reads blocks that are worth one request each: all at once where the bytes stand in memory, else no more than 32 MiB, of which a quarter is
    /// wanted.
    fn read_walks(&self, source: &dyn Source, format: Format, start: u64, walks: &[Walk], out: &mut [f64]) -> Result<(), FormatError> {
        const BLOCK: u64 = 32 << 20;
        let numbers = 1 + walks.iter().map(|walk| (walk.len as u64 - 1).saturating_mul(walk.from as u64)).sum::<u64>();
        let wanted = walks.iter().map(|walk| walk.len as u64).product::<u64>();
        let bytes = numbers.saturating_mul(self.element.size());
        let dense = wanted >= numbers / 4 && bytes <= BLOCK;
        let slowest = walks.iter().enumerate().filter(|(_, walk)| walk.len > 1).max_by_key(|(_, walk)| walk.from);
        match slowest {
            Some((position, walk)) if source.whole().is_none() && !dense && bytes > 1 << 16 => {
                // Several positions of the slowest axis at a time, as many as make one block.
                let inner: u64 = walks
                    .iter()
                    .enumerate()
                    .filter(|(other, _)| *other != position)
                    .map(|(_, walk)| (walk.len as u64 - 1).saturating_mul(walk.from as u64))
                    .sum::<u64>()
                    + 1;
                let room = (BLOCK / self.element.size()).saturating_sub(inner) / walk.from.max(1) as u64;
                let packed = inner.saturating_mul(4) >= walk.from as u64;
                let step = if packed { usize::try_from(room).unwrap_or(walk.len).clamp(1, walk.len) } else { 1 };
                for from in (0..walk.len).step_by(step) {
                    let mut some = walks.to_vec();
                    if let Some(own) = some.get_mut(position) {
                        own.len = step.min(walk.len - from);
                    }
                    let first = start + (from * walk.from) as u64 * self.element.size();
                    let rest = out.get_mut(from * walk.to..).unwrap_or_default();
                    self.read_walks(source, format, first, &some, rest)?;
                }
                Ok(())
            }
            _ => {
                let block = part_of_source(source, format, start..start.saturating_add(bytes))?;
                self.scatter(&block, walks, out);
                Ok(())
            }
        }
    }

    /// Reads a part out of a stream that stands at `start`, in slabs of the slowest axis; the rest after the part is left.
    ///
    /// `compressed` bytes justify no more values than deflate can make of them.
    pub fn read_stream(
        &self,
        stream: &mut dyn Read,
        compressed: u64,
        format: Format,
        path: &str,
        part: Option<&[Range<u64>]>,
        limits: &Limits,
    ) -> Result<(Vec<Range<u64>>, Floats), FormatError> {
        const SLAB: usize = 16 << 20;
        let ranges = ranges(&self.shape(), part).map_err(|reason| wrong_part(format, path, reason))?;
        let count = self.count(&ranges, format, path, limits)?;
        let claimed = self.end().unwrap_or(u64::MAX);
        if claimed > compressed.saturating_mul(limits.max_inflation) || claimed > limits.expansion(compressed).saturating_add(1 << 20) {
            let reason = format!("{compressed} compressed bytes claim to hold {claimed}, which is more than allowed");
            return Err(FormatError::new(format, Place::File, reason, RAISE_LIMIT));
        }
        if count == 0 {
            return Ok((ranges, Floats::zeros(0)));
        }
        let mut out = Floats::zeros(count);
        let mut walks = walks(&self.axes, &ranges);
        // The slowest axis is walked here; what lies inside of one position is a block.
        let slowest = self
            .axes
            .iter()
            .enumerate()
            .max_by_key(|(place, axis)| (axis.stride, axis.len > 1, usize::MAX - place))
            .map(|(place, _)| place);
        let Some(slowest) = slowest else { return Ok((ranges, out)) };
        let (Some(axis), Some(range)) = (self.axes.get(slowest), ranges.get(slowest).cloned()) else { return Ok((ranges, out)) };
        let size = self.element.size() as usize;
        let block = usize::try_from(axis.stride).unwrap_or(usize::MAX).saturating_mul(size);
        let broken = |byte: u64, error: &std::io::Error| {
            let reason = format!("the compressed data break off or are damaged ({error})");
            FormatError::new(format, Place::Object { path: path.into(), byte: Some(byte) }, reason, COPY_AGAIN)
        };
        let skipped = range.start.saturating_mul(block as u64);
        let passed = std::io::copy(&mut stream.take(skipped), &mut std::io::sink()).map_err(|error| broken(self.start, &error))?;
        let mut at = self.start.saturating_add(passed);
        let inside: u64 = self
            .axes
            .iter()
            .zip(&ranges)
            .enumerate()
            .filter(|(place, _)| *place != slowest)
            .map(|(_, (axis, range))| range.start * axis.stride)
            .sum();
        let inside = usize::try_from(inside).unwrap_or(usize::MAX).saturating_mul(size);
        let total = usize::try_from(range.end - range.start).unwrap_or(usize::MAX);
        let at_once = (SLAB / block.max(1)).clamp(1, total.max(1));
        let to = walks.get(slowest).map_or(0, |walk| walk.to);
        let mut slab = Vec::new();
        let mut done = 0usize;
        while done < total {
            let now = at_once.min(total - done);
            slab.clear();
            let wanted = block.saturating_mul(now) as u64;
            // Grows as bytes arrive: a short stream never makes a long buffer.
            let got = stream.take(wanted).read_to_end(&mut slab).map_err(|error| broken(at, &error))? as u64;
            if got < wanted {
                let reason = format!("the values end {} bytes early", wanted - got);
                return Err(FormatError::new(format, Place::Object { path: path.into(), byte: Some(at + got) }, reason, COPY_AGAIN));
            }
            at += got;
            if let Some(walk) = walks.get_mut(slowest) {
                walk.len = now;
            }
            let into = out.get_mut(done * to..).unwrap_or_default();
            self.scatter(slab.get(inside..).unwrap_or_default(), &walks, into);
            done += now;
        }
        Ok((ranges, out))
    }

    /// Values out of bytes that begin with the part's first number.
    fn scatter(&self, bytes: &[u8], walks: &[Walk], out: &mut [f64]) {
        let order = self.order;
        let scale = self.scale;
        match self.element {
            Element::Bool => scatter_as::<u8>(bytes, walks, order, scale, out, |bits| f64::from(u8::from(bits != 0))),
            Element::I8 => scatter_as::<i8>(bytes, walks, order, scale, out, Value::float),
            Element::U8 => scatter_as::<u8>(bytes, walks, order, scale, out, Value::float),
            Element::I16 => scatter_as::<i16>(bytes, walks, order, scale, out, Value::float),
            Element::U16 => scatter_as::<u16>(bytes, walks, order, scale, out, Value::float),
            Element::I32 => scatter_as::<i32>(bytes, walks, order, scale, out, Value::float),
            Element::U32 => scatter_as::<u32>(bytes, walks, order, scale, out, Value::float),
            Element::I64 => scatter_as::<i64>(bytes, walks, order, scale, out, Value::float),
            Element::U64 => scatter_as::<u64>(bytes, walks, order, scale, out, Value::float),
            Element::F16 => scatter_as::<u16>(bytes, walks, order, scale, out, half),
            Element::Bf16 => scatter_as::<u16>(bytes, walks, order, scale, out, brain),
            Element::F32 => scatter_as::<f32>(bytes, walks, order, scale, out, Value::float),
            Element::F64 => scatter_as::<f64>(bytes, walks, order, scale, out, Value::float),
        }
    }

    /// Values of a part out of bytes that hold the whole array, into an output whose steps are `to`: for chunks of larger arrays.
    pub fn scatter_part(&self, bytes: &[u8], ranges: &[Range<u64>], to: &[usize], out: &mut [f64]) {
        let Some(first) = self.offset(ranges, false).and_then(|first| first.checked_mul(self.element.size())) else { return };
        let bytes = usize::try_from(first).ok().and_then(|first| bytes.get(first..)).unwrap_or_default();
        let walks: Vec<Walk> = self
            .axes
            .iter()
            .zip(ranges)
            .zip(to)
            .map(|((axis, range), to)| Walk { len: (range.end - range.start) as usize, from: axis.stride as usize, to: *to })
            .collect();
        if walks.iter().all(|walk| walk.len > 0) {
            self.scatter(bytes, &walks, out);
        }
    }
}

/// Column-major numbers in memory as row-major values of a part.
pub(crate) fn turned(values: &[f64], shape: &[u64], ranges: &[Range<u64>]) -> Floats {
    let order = if cfg!(target_endian = "little") { ByteOrder::Little } else { ByteOrder::Big };
    let Some(axes) = Grid::column_major(shape) else { return Floats::zeros(0) };
    let grid = Grid { element: Element::F64, order, start: 0, axes, scale: Scale::NONE };
    let steps = output_steps(ranges);
    let count = ranges.iter().map(|range| usize::try_from(range.end - range.start).unwrap_or(usize::MAX)).fold(1, usize::saturating_mul);
    if count > values.len() {
        return Floats::zeros(0);
    }
    let mut out = Floats::zeros(count);
    grid.scatter_part(bytemuck::cast_slice(values), ranges, &steps, &mut out);
    out
}

/// A tensor of a part: named axes that count, or one axis `value` where the array is a single number.
pub(crate) fn tensor(
    format: Format,
    names: &[String],
    ranges: &[Range<u64>],
    unit: &str,
    values: impl Into<ScalarBuffer<f64>>,
) -> Result<Tensor, FormatError> {
    let named = |axis: usize| names.get(axis).cloned().unwrap_or_else(|| format!("axis {}", axis + 1));
    let length = |range: &Range<u64>| usize::try_from(range.end - range.start).unwrap_or_default();
    let mut axes: Vec<Axis> = ranges.iter().enumerate().map(|(axis, range)| Axis::count(named(axis), length(range))).collect();
    if axes.is_empty() {
        axes.push(Axis::count("value", 1));
    }
    Tensor::new(axes, (!unit.is_empty()).then_some(unit), values)
        .map_err(|error| FormatError::new(format, Place::File, error.to_string(), COPY_AGAIN))
}

/// An array of a file under its path, with names of its axes where they are known.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Named {
    pub path: String,
    pub grid: Grid,
    pub axes: Vec<String>,
    pub unit: String,
}

impl Named {
    /// The item that contents list.
    pub fn item(&self, about: &str) -> Item {
        let what = What::Array {
            shape: self.grid.shape(),
            element: self.grid.element.name().into(),
            unit: self.unit.clone(),
            axes: self.axes.clone(),
        };
        Item { path: self.path.clone(), what, about: about.to_owned() }
    }

    /// A part of it.
    pub fn tensor(&self, source: &dyn Source, format: Format, part: Option<&[Range<u64>]>, limits: &Limits) -> Result<Tensor, FormatError> {
        let (ranges, values) = self.grid.read(source, format, &self.path, part, limits)?;
        tensor(format, &self.axes, &ranges, &self.unit, values)
    }
}

/// The ranges of a part, whole where nothing is said, or why they do not fit.
pub(crate) fn ranges(shape: &[u64], part: Option<&[Range<u64>]>) -> Result<Vec<Range<u64>>, String> {
    let Some(part) = part else { return Ok(shape.iter().map(|len| 0..*len).collect()) };
    if part.len() != shape.len() {
        return Err(format!("{} ranges were asked for, the array has {} axes", part.len(), shape.len()));
    }
    for (axis, (range, len)) in part.iter().zip(shape).enumerate() {
        if range.start > range.end || range.end > *len {
            return Err(format!("the range {}..{} does not fit axis {axis}, which has {len} positions", range.start, range.end));
        }
    }
    Ok(part.to_vec())
}

/// The error for ranges that do not fit.
pub(crate) fn wrong_part(format: Format, path: &str, reason: String) -> FormatError {
    FormatError::new(format, Place::Object { path: path.into(), byte: None }, reason, "give each axis a range inside of its length")
}

/// Steps of row-major output for lengths.
pub(crate) fn output_steps(ranges: &[Range<u64>]) -> Vec<usize> {
    let mut steps = Vec::with_capacity(ranges.len());
    let mut step = 1usize;
    for range in ranges.iter().rev() {
        steps.push(step);
        step = step.saturating_mul(usize::try_from(range.end - range.start).unwrap_or(usize::MAX).max(1));
    }
    steps.reverse();
    steps
}

fn walks(axes: &[Step], ranges: &[Range<u64>]) -> Vec<Walk> {
    let steps = output_steps(ranges);
    let length = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
    axes.iter()
        .zip(ranges)
        .zip(steps)
        .map(|((axis, range), to)| Walk { len: length(range.end - range.start), from: length(axis.stride), to })
        .collect()
}

/// The fewest axes that say the same: those of one position are left out, those that follow each other on both sides are one.
fn simplified(walks: &[Walk]) -> Vec<Walk> {
    let mut left: Vec<Walk> = walks.iter().filter(|walk| walk.len > 1).copied().collect();
    left.sort_by_key(|walk| std::cmp::Reverse(walk.to));
    let mut joined: Vec<Walk> = Vec::new();
    for walk in left {
        match joined.last_mut() {
            Some(last) if last.from == walk.len * walk.from && last.to == walk.len * walk.to => {
                *last = Walk { len: last.len * walk.len, from: walk.from, to: walk.to };
            }
            _ => joined.push(walk),
        }
    }
    joined
}

/// Walks the part on as many threads as it is worth: slices of the outermost axis of the output.
fn scatter_as<S: Stored + Send + Sync>(
    bytes: &[u8],
    walks: &[Walk],
    order: ByteOrder,
    scale: Scale,
    out: &mut [f64],
    float: impl Fn(S) -> f64 + Copy + Send + Sync,
) {
    const WORTH: usize = 1 << 17;
    let walks = simplified(walks);
    let count: usize = walks.iter().map(|walk| walk.len).product();
    let run = |bytes: &[u8], walks: &[Walk], out: &mut [f64]| match (order, scale) {
        (ByteOrder::Little, Scale { slope: 1.0, inter: 0.0 }) => {
            walk_all::<S>(bytes, walks, out, |one| float(S::from_bytes(one, ByteOrder::Little)));
        }
        (ByteOrder::Big, Scale { slope: 1.0, inter: 0.0 }) => {
            walk_all::<S>(bytes, walks, out, |one| float(S::from_bytes(one, ByteOrder::Big)));
        }
        (ByteOrder::Little, Scale { slope, inter: 0.0 }) => {
            walk_all::<S>(bytes, walks, out, |one| float(S::from_bytes(one, ByteOrder::Little)) * slope);
        }
        (ByteOrder::Little, Scale { slope, inter }) => {
            walk_all::<S>(bytes, walks, out, |one| float(S::from_bytes(one, ByteOrder::Little)) * slope + inter);
        }
        (ByteOrder::Big, Scale { slope, inter: 0.0 }) => {
            walk_all::<S>(bytes, walks, out, |one| float(S::from_bytes(one, ByteOrder::Big)) * slope);
        }
        (ByteOrder::Big, Scale { slope, inter }) => {
            walk_all::<S>(bytes, walks, out, |one| float(S::from_bytes(one, ByteOrder::Big)) * slope + inter);
        }
    };
    let threads = rayon::current_num_threads();
    match walks.first() {
        Some(first) if count >= WORTH && threads > 1 && first.len > 1 => {
            let step = first.len.div_ceil(threads).max(1);
            out.par_chunks_mut(step * first.to).enumerate().for_each(|(slice, out)| {
                let from = slice * step;
                let mut own = walks.clone();
                match own.first_mut() {
                    Some(walk) if from < first.len => walk.len = step.min(first.len - from),
                    _ => return,
                }
                run(bytes.get(from * first.from * S::SIZE..).unwrap_or_default(), &own, out);
            });
        }
        _ => run(bytes, &walks, out),
    }
}

/// Positions along the edge of a tile: 64 × 64 floats fit the first cache.
const TILE: usize = 64;

/// Walks all but the fastest axes of file and output, and copies runs or turns tiles inside.
///
/// Tiles across are the outermost loop, and the other axes go by their steps in the file: so each line of a tile goes on where the one before it
/// ended, and
/// the machine reads ahead.
fn walk_all<S: Stored>(bytes: &[u8], walks: &[Walk], out: &mut [f64], value: impl Fn(&[u8]) -> f64 + Copy) {
    let fastest_out = walks.iter().enumerate().min_by_key(|(_, walk)| walk.to).map(|(place, _)| place);
    let fastest_in = walks.iter().enumerate().min_by_key(|(_, walk)| walk.from).map(|(place, _)| place);
    let (Some(across), Some(along)) = (fastest_out, fastest_in) else {
        // One single value.
        if let (Some(one), Some(place)) = (bytes.get(..S::SIZE), out.first_mut()) {
            *place = value(one);
        }
        return;
    };
    let mut outer: Vec<Walk> =
        walks.iter().enumerate().filter(|(place, _)| *place != across && *place != along).map(|(_, walk)| *walk).collect();
    outer.sort_by_key(|walk| std::cmp::Reverse(walk.from));
    let (Some(across), Some(along)) = (walks.get(across).copied(), walks.get(along).copied()) else { return };
    if across == along {
        return each_place(&outer, |from, to| {
            run_of::<S>(bytes.get(from * S::SIZE..).unwrap_or_default(), along, out.get_mut(to..).unwrap_or_default(), value);
        });
    }
    let mut tile = vec![0.0; TILE * (TILE + 1)];
    for first in (0..across.len).step_by(TILE) {
        let rows = Walk { len: TILE.min(across.len - first), ..across };
        each_place(&outer, |from, to| {
            let bytes = bytes.get((from + first * across.from) * S::SIZE..).unwrap_or_default();
            turn::<S>(bytes, along, rows, out.get_mut(to + first * across.to..).unwrap_or_default(), &mut tile, value);
        });
    }
}

/// Calls for every place of some axes, with its steps in the file and in the output; the last axis goes fastest.
fn each_place(outer: &[Walk], mut call: impl FnMut(usize, usize)) {
    let mut position = vec![0usize; outer.len()];
    let (mut from, mut to) = (0usize, 0usize);
    loop {
        call(from, to);
        let mut turned = true;
        for (place, walk) in position.iter_mut().zip(outer).rev() {
            *place += 1;
            from += walk.from;
            to += walk.to;
            if *place < walk.len {
                turned = false;
                break;
            }
            from -= walk.from * walk.len;
            to -= walk.to * walk.len;
            *place = 0;
        }
        if turned {
            return;
        }
    }
}

/// One run along an axis that is fastest on both sides.
fn run_of<S: Stored>(bytes: &[u8], walk: Walk, out: &mut [f64], value: impl Fn(&[u8]) -> f64) {
    if walk.to == 1 && walk.from == 1 {
        let out = out.get_mut(..walk.len).unwrap_or_default();
        for (place, one) in out.iter_mut().zip(bytes.chunks_exact(S::SIZE)) {
            *place = value(one);
        }
        return;
    }
    let spaced = bytes.chunks(walk.from.max(1) * S::SIZE).take(walk.len);
    for (place, block) in out.iter_mut().step_by(walk.to.max(1)).zip(spaced) {
        if let Some(one) = block.get(..S::SIZE) {
            *place = value(one);
        }
    }
}

/// A strip, as high as a tile, of a plane whose fastest axis in the file (`along`) is not the output's (`across`): read along the one, written
/// along the other.
fn turn<S: Stored>(bytes: &[u8], along: Walk, across: Walk, out: &mut [f64], tile: &mut [f64], value: impl Fn(&[u8]) -> f64 + Copy) {
    for start in (0..along.len).step_by(TILE) {
        let columns = TILE.min(along.len - start);
        for (row, line) in tile.chunks_exact_mut(TILE + 1).take(across.len).enumerate() {
            let from = (row * across.from + start * along.from) * S::SIZE;
            let line = line.get_mut(..columns).unwrap_or_default();
            run_of::<S>(bytes.get(from..).unwrap_or_default(), Walk { len: columns, from: along.from, to: 1 }, line, value);
        }
        for column in 0..columns {
            let line = tile.get(column..).unwrap_or_default();
            let into = out.get_mut((start + column) * along.to..).unwrap_or_default();
            if across.to == 1 {
                let into = into.get_mut(..across.len).unwrap_or_default();
                for (place, number) in into.iter_mut().zip(line.iter().step_by(TILE + 1)) {
                    *place = *number;
                }
                continue;
            }
            for (place, number) in into.iter_mut().step_by(across.to.max(1)).zip(line.iter().step_by(TILE + 1)).take(across.len) {
                *place = *number;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::buffer::Buffer;

    /// A source that is not in memory, so that blocks are asked for.
    #[derive(Debug)]
    struct Far(Vec<u8>);
    impl Source for Far {
        fn len(&self) -> u64 {
            self.0.len() as u64
        }
        fn bytes(&self, range: Range<u64>) -> std::io::Result<std::borrow::Cow<'_, [u8]>> {
            let part = self.0.get(range.start as usize..range.end as usize);
            part.map(|part| part.to_vec().into()).ok_or_else(|| crate::source::beyond(&range, self.len()))
        }
    }

    /// The plain way: every index by its strides.
    fn plainly(numbers: &[i16], axes: &[Step], ranges: &[Range<u64>]) -> Vec<f64> {
        let mut offsets = vec![0u64];
        for (axis, range) in axes.iter().zip(ranges) {
            offsets = offsets.iter().flat_map(|offset| range.clone().map(move |place| offset + place * axis.stride)).collect();
        }
        offsets.iter().map(|offset| f64::from(numbers[*offset as usize]) * 0.5 + 3.0).collect()
    }

    #[test]
    fn every_order_of_axes_and_every_part_comes_out_row_major() {
        let shape = [70u64, 3, 65, 2];
        let count: u64 = shape.iter().product();
        let numbers: Vec<i16> = (0..count).map(|place| (place * 7919 % 65536) as u16 as i16).collect();
        let swapped = Step { len: 70, stride: 3 };
        let orders = [
            Grid::row_major(&shape).unwrap(),
            Grid::column_major(&shape).unwrap(),
            vec![swapped, Step { len: 3, stride: 1 }, Step { len: 65, stride: 420 }, Step { len: 2, stride: 210 }],
        ];
        let parts: [[Range<u64>; 4]; 5] = [
            [0..70, 0..3, 0..65, 0..2],
            [5..6, 0..3, 0..65, 1..2],
            [1..69, 1..2, 3..65, 0..2],
            [0..70, 0..1, 64..65, 0..1],
            [0..0, 0..3, 0..65, 0..2],
        ];
        for order in [ByteOrder::Little, ByteOrder::Big] {
            let mut bytes = vec![9u8; 6];
            for number in &numbers {
                bytes.extend(if order == ByteOrder::Little { number.to_le_bytes() } else { number.to_be_bytes() });
            }
            for axes in &orders {
                let grid = Grid { element: Element::I16, order, start: 6, axes: axes.clone(), scale: Scale { slope: 0.5, inter: 3.0 } };
                for part in &parts {
                    let expected = plainly(&numbers, axes, part);
                    let limits = Limits::default();
                    let near: &dyn Source = &Buffer::from_vec(bytes.clone());
                    for source in [near, &Far(bytes.clone())] {
                        assert_eq!(grid.read(source, Format::Npy, "a", Some(part), &limits).unwrap().1[..], expected[..]);
                    }
                    let streamed = grid.read_stream(&mut &bytes[6..], 1 << 20, Format::Npy, "a", Some(part), &limits).unwrap();
                    assert_eq!(streamed.1[..], expected[..]);
                }
            }
        }
    }

    #[test]
    fn parts_that_do_not_fit_and_short_files_are_errors() {
        let grid =
            Grid { element: Element::F64, order: ByteOrder::Little, start: 0, axes: Grid::row_major(&[4, 2]).unwrap(), scale: Scale::NONE };
        let source = Buffer::from_vec(vec![0u8; 63]);
        let limits = Limits::default();
        let error = |part: Option<&[Range<u64>]>| grid.read(&source, Format::Npy, "a", part, &limits).unwrap_err().to_string();
        assert!(error(None).contains("object `a`, byte 0: the values reach beyond the end"), "{}", error(None));
        assert!(error(Some(&[0..5, 0..2])).contains("the range 0..5 does not fit axis 0"));
        assert!(error(Some(&[0..4, 0..1, 0..1])).contains("3 ranges were asked for"));
        assert_eq!(grid.read(&source, Format::Npy, "a", Some(&[0..3, 0..2]), &limits).unwrap().1[..], [0.0; 6]);
        let small = Limits { max_total_bytes: 16, ..Limits::default() };
        assert!(grid.read(&source, Format::Npy, "a", Some(&[0..3, 0..2]), &small).unwrap_err().to_string().contains("may be held"));
        assert_eq!(Grid::row_major(&[u64::MAX, 3]), None);
        let stream = grid.read_stream(&mut &[0u8; 20][..], 1 << 20, Format::Npy, "a", None, &limits).unwrap_err().to_string();
        assert!(stream.contains("end 44 bytes early"), "{stream}");
    }

    #[test]
    fn every_element_is_its_number() {
        let one = |element: Element, bytes: &[u8]| {
            let grid = Grid { element, order: ByteOrder::Big, start: 0, axes: Grid::row_major(&[1]).unwrap(), scale: Scale::NONE };
            grid.read(&Buffer::from_vec(bytes.to_vec()), Format::Npy, "a", None, &Limits::default()).unwrap().1[0]
        };
        assert_eq!(one(Element::Bool, &[7]), 1.0);
        assert_eq!(one(Element::I8, &[0xff]), -1.0);
        assert_eq!(one(Element::F16, &[0x3e, 0x00]), 1.5);
        assert_eq!(one(Element::Bf16, &[0xc0, 0x20]), -2.5);
        assert_eq!(one(Element::F32, &1.1f32.to_be_bytes()), f64::from(1.1f32));
        assert_eq!(one(Element::I64, &i64::MIN.to_be_bytes()), i64::MIN as f64);
        for name in ["uint64", "float16", "bool"] {
            assert_eq!(Element::named(name).unwrap().name(), name);
        }
    }
}
