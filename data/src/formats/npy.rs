//! NumPy `.npy` arrays, format versions 1, 2 and 3.
//!
//! Reads booleans, integers, floats of 16, 32 and 64 bits, and fixed-length strings, in either byte order and either memory order; values
//! come back in **C order** (last axis fastest). Half floats become `f32`, which holds them exactly.
//!
//! Arrays of records with named fields are told by [`read_npy_records`], and their fields made of bytes by [`values_of`].
//!
//! Refused with a message: records within records, complex and date types; object arrays, because reading them means unpickling, and a pickle can run
//! any program; files shorter than their shape says, and files with bytes left over (several arrays saved into one file).
//! Memory in use is at most the array itself, for strings at most 40 bytes for each byte of the file.
//!
//! The layout is that of NEP 1 and of `numpy.lib.format`.

mod header;

use std::borrow::Cow;

use arrow::datatypes::{ArrowPrimitiveType, Float16Type};

use super::bytes::{ByteOrder, Stored, decode};
use super::error::{COPY_AGAIN, RAISE_LIMIT};
use super::limits::{Budget, Limits};
use super::{Format, FormatError, Place};
pub use header::{Field as NpyField, Header, Records as NpyRecords, Scalar};

/// An array out of a `.npy` file.
#[derive(Debug, Clone, PartialEq)]
pub struct NpyArray {
    /// Its shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// Its values in C order (last axis fastest), whatever the order in the file.
    pub data: NpyData,
}

/// The values of an array, in the type they have in the file.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants are named after their element type")]
pub enum NpyData {
    Bool(Vec<bool>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    I16(Vec<i16>),
    U16(Vec<u16>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    I64(Vec<i64>),
    U64(Vec<u64>),
    /// 32-bit floats, and 16-bit ones, which fit exactly.
    F32(Vec<f32>),
    F64(Vec<f64>),
    /// Strings without their padding (`S` and `U` types).
    Text(Vec<String>),
}

/// The largest integer up to which every integer is an `f64`.
const EXACT: u64 = 1 << 53;

impl NpyArray {
    /// The values as `f64`, C order: borrowed if they are, converted if not; true and false are 1 and 0.
    ///
    /// Refuses text, and 64-bit integers beyond 2⁵³, which `f64` can't hold.
    pub fn to_f64(&self) -> Result<Cow<'_, [f64]>, FormatError> {
        let refuse = |reason: &str, help: &str| Err(FormatError::new(Format::Npy, Place::File, reason, help));
        Ok(match &self.data {
            NpyData::F64(values) => Cow::Borrowed(values),
            NpyData::Bool(values) => values.iter().map(|value| f64::from(u8::from(*value))).collect(),
            NpyData::I8(values) => values.iter().map(|value| f64::from(*value)).collect(),
            NpyData::U8(values) => values.iter().map(|value| f64::from(*value)).collect(),
            NpyData::I16(values) => values.iter().map(|value| f64::from(*value)).collect(),
            NpyData::U16(values) => values.iter().map(|value| f64::from(*value)).collect(),
            NpyData::I32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            NpyData::U32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            NpyData::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            NpyData::I64(values) if values.iter().all(|value| value.unsigned_abs() <= EXACT) => {
                values.iter().map(|value| *value as f64).collect()
            }
            NpyData::U64(values) if values.iter().all(|value| *value <= EXACT) => values.iter().map(|value| *value as f64).collect(),
            NpyData::I64(_) | NpyData::U64(_) => {
                return refuse(
                    "the array has integers beyond 2^53, which 64-bit floats can't hold",
                    "subtract what they have in common, such as the first time, before they are saved",
                );
            }
            NpyData::Text(_) => return refuse("numbers are expected, this array holds text", "read it with `file(…)` and `ingest.table`"),
        })
    }

    /// The strings of a text array, C order.
    pub fn to_text(&self) -> Result<&[String], FormatError> {
        match &self.data {
            NpyData::Text(values) => Ok(values),
            _ => Err(FormatError::new(Format::Npy, Place::File, "text is expected, this array holds numbers", "use `to_f64`")),
        }
    }
}

/// Reads the header of an array out of the first bytes of its file.
///
/// # Errors
/// When it is damaged, cut short, or of a type that is not read.
pub fn read_npy_header(bytes: &[u8]) -> Result<Header, FormatError> {
    header::parse(bytes)
}

/// Reads the header of an array of records, which have named fields, out of the first bytes of its file; none for an array of single values.
///
/// # Errors
/// When it is damaged, cut short, or a field has a type that is not read.
pub fn read_npy_records(bytes: &[u8]) -> Result<Option<NpyRecords>, FormatError> {
    header::records(bytes)
}

/// What the header of a `.npy` file says, for readers that take its values by ranges.
#[derive(Debug, Clone, PartialEq)]
pub struct NpyHeader {
    /// The shape; empty for a scalar.
    pub shape: Vec<usize>,
    /// The type of one value: `bool`, `int8`, …, `uint64`, `float16`, `float32`, `float64`, `text`.
    pub element: &'static str,
    /// The order of a value's bytes.
    pub order: ByteOrder,
    /// Whether the first axis varies fastest.
    pub fortran_order: bool,
    /// Where the values begin.
    pub data_start: usize,
}

/// Reads the header alone: `bytes` are the file's first ones and need not hold values.
///
/// # Errors
/// As [`read_npy`], for what concerns the header.
pub fn read_npy_layout(bytes: &[u8]) -> Result<NpyHeader, FormatError> {
    let Header { scalar, order, fortran_order, shape, data_start } = header::parse(bytes)?;
    let element = match scalar {
        Scalar::Bool => "bool",
        Scalar::I8 => "int8",
        Scalar::U8 => "uint8",
        Scalar::I16 => "int16",
        Scalar::U16 => "uint16",
        Scalar::I32 => "int32",
        Scalar::U32 => "uint32",
        Scalar::I64 => "int64",
        Scalar::U64 => "uint64",
        Scalar::F16 => "float16",
        Scalar::F32 => "float32",
        Scalar::F64 => "float64",
        Scalar::Bytes(_) | Scalar::Unicode(_) => "text",
    };
    Ok(NpyHeader { shape, element, order, fortran_order, data_start })
}

/// Reads one array.
pub fn read_npy(bytes: &[u8], limits: &Limits) -> Result<NpyArray, FormatError> {
    read_with_budget(bytes, &mut Budget::new(limits.max_total_bytes))
}

/// Reads one array, charging `budget` for its values.
pub(super) fn read_with_budget(bytes: &[u8], budget: &mut Budget) -> Result<NpyArray, FormatError> {
    let Header { scalar, order, fortran_order, shape, data_start } = header::parse(bytes)?;
    let refuse = |reason: String, help: &str| FormatError::new(Format::Npy, Place::Byte(data_start as u64), reason, help);
    let count = if shape.contains(&0) { Some(0) } else { shape.iter().try_fold(1usize, |count, axis| count.checked_mul(*axis)) };
    let data = bytes.get(data_start..).unwrap_or_default();
    let needed = count.and_then(|count| Some((count, count.checked_mul(scalar.size())?)));
    let Some((count, needed)) = needed else {
        return Err(refuse(format!("the shape {shape:?} multiplies to more than a computer can count"), COPY_AGAIN));
    };
    if data.len() < needed {
        return Err(refuse(format!("the shape {shape:?} calls for {needed} bytes of values, {} are there", data.len()), COPY_AGAIN));
    }
    if data.len() > needed {
        let help = "save each array into its own file, or all into one .npz with `numpy.savez`";
        return Err(refuse(format!("{} bytes follow after the last value", data.len() - needed), help));
    }
    if scalar.size() == 0 && count > bytes.len() {
        return Err(refuse(format!("{count} empty strings are claimed"), COPY_AGAIN));
    }
    let mut charge =
        |bytes_each: usize| budget.charge((count as u64).saturating_mul(bytes_each as u64)).map_err(|reason| refuse(reason, RAISE_LIMIT));
    // A string takes its header and, on the heap, at least sixteen bytes.
    charge(match scalar {
        Scalar::Bytes(size) | Scalar::Unicode(size) => size_of::<String>() + 16 + size,
        Scalar::F16 => 4,
        other => other.size(),
    })?;
    if fortran_order && shape.len() > 1 {
        // The transposed copy lives beside the first one for a moment.
        charge(scalar.size().max(4))?;
    }
    let data = ordered(scalar, order, data, count, &shape, fortran_order);
    Ok(NpyArray { shape, data })
}

/// So many values that follow each other in `bytes`, such as those of one field of many records.
pub fn values_of(scalar: Scalar, order: ByteOrder, bytes: &[u8], count: usize) -> NpyData {
    ordered(scalar, order, bytes, count, &[count], false)
}

fn ordered(scalar: Scalar, order: ByteOrder, data: &[u8], count: usize, shape: &[usize], fortran_order: bool) -> NpyData {
    match scalar {
        Scalar::Bool => NpyData::Bool(in_c_order(decode(data, order, |value: u8| value != 0), shape, fortran_order)),
        Scalar::I8 => NpyData::I8(plain(data, order, shape, fortran_order)),
        Scalar::U8 => NpyData::U8(plain(data, order, shape, fortran_order)),
        Scalar::I16 => NpyData::I16(plain(data, order, shape, fortran_order)),
        Scalar::U16 => NpyData::U16(plain(data, order, shape, fortran_order)),
        Scalar::I32 => NpyData::I32(plain(data, order, shape, fortran_order)),
        Scalar::U32 => NpyData::U32(plain(data, order, shape, fortran_order)),
        Scalar::I64 => NpyData::I64(plain(data, order, shape, fortran_order)),
        Scalar::U64 => NpyData::U64(plain(data, order, shape, fortran_order)),
        Scalar::F32 => NpyData::F32(plain(data, order, shape, fortran_order)),
        Scalar::F64 => NpyData::F64(plain(data, order, shape, fortran_order)),
        Scalar::F16 => NpyData::F32(in_c_order(decode(data, order, half_to_single), shape, fortran_order)),
        Scalar::Bytes(size) => NpyData::Text(in_c_order(strings(data, size, count, latin_text), shape, fortran_order)),
        Scalar::Unicode(size) => {
            NpyData::Text(in_c_order(strings(data, size, count, |one| unicode_text(one, order)), shape, fortran_order))
        }
    }
}

fn plain<T: Stored>(data: &[u8], order: ByteOrder, shape: &[usize], fortran_order: bool) -> Vec<T> {
    in_c_order(decode(data, order, |value: T| value), shape, fortran_order)
}

fn half_to_single(bits: u16) -> f32 {
    <Float16Type as ArrowPrimitiveType>::Native::from_bits(bits).to_f32()
}

fn strings(data: &[u8], size: usize, count: usize, text: impl Fn(&[u8]) -> String) -> Vec<String> {
    if size == 0 { vec![String::new(); count] } else { data.chunks_exact(size).map(text).collect() }
}

/// Bytes up to the padding; UTF-8 if they are, Latin-1 if not.
fn latin_text(one: &[u8]) -> String {
    let end = one.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let used = one.get(..end).unwrap_or_default();
    std::str::from_utf8(used).map_or_else(|_| used.iter().map(|byte| char::from(*byte)).collect(), str::to_owned)
}

/// Four bytes a character, padded with zeros.
fn unicode_text(one: &[u8], order: ByteOrder) -> String {
    let codes = decode(one, order, |code: u32| code);
    let end = codes.iter().rposition(|code| *code != 0).map_or(0, |last| last + 1);
    codes.iter().take(end).map(|code| char::from_u32(*code).unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
}

/// Values in C order, from values in either.
fn in_c_order<T: Clone>(values: Vec<T>, shape: &[usize], fortran_order: bool) -> Vec<T> {
    if !fortran_order || shape.len() < 2 || values.is_empty() {
        return values;
    }
    // Walk the C order with an odometer and keep the matching Fortran position beside it.
    let mut strides = Vec::with_capacity(shape.len());
    let mut stride = 1usize;
    for axis in shape {
        strides.push(stride);
        stride = stride.saturating_mul(*axis);
    }
    let mut position = vec![0usize; shape.len()];
    let mut source = 0usize;
    let mut ordered = Vec::with_capacity(values.len());
    while let Some(value) = values.get(source) {
        ordered.push(value.clone());
        if ordered.len() == values.len() {
            break;
        }
        for ((place, length), stride) in position.iter_mut().zip(shape).zip(&strides).rev() {
            *place += 1;
            source += stride;
            if *place < *length {
                break;
            }
            source -= stride * *place;
            *place = 0;
        }
    }
    ordered
}

/// A `.npy` file (version 1, C order, `<f8`) of `values` in `shape`.
///
/// Refuses values that do not fill the shape.
pub fn write_npy_f64(shape: &[usize], values: &[f64]) -> Result<Vec<u8>, FormatError> {
    let count = shape.iter().try_fold(1usize, |count, axis| count.checked_mul(*axis));
    if count != Some(values.len()) {
        let reason = format!("{} values do not fill the shape {shape:?}", values.len());
        return Err(FormatError::new(Format::Npy, Place::File, reason, "give as many values as the axes multiply to"));
    }
    let axes: String = match shape {
        [only] => format!("{only},"),
        axes => axes.iter().map(usize::to_string).collect::<Vec<_>>().join(", "),
    };
    let dictionary = format!("{{'descr': '<f8', 'fortran_order': False, 'shape': ({axes}), }}");
    // Magic, version, length, dictionary, blanks and a line feed fill a multiple of 64 bytes, so that the values are aligned.
    let padded = (10 + dictionary.len() + 1).next_multiple_of(64);
    let Ok(header_bytes) = u16::try_from(padded - 10) else {
        let reason = format!("a header for {} axes does not fit", shape.len());
        return Err(FormatError::new(Format::Npy, Place::File, reason, "use fewer axes"));
    };
    let mut file = Vec::with_capacity(padded + 8 * values.len());
    file.extend_from_slice(b"\x93NUMPY\x01\x00");
    file.extend_from_slice(&header_bytes.to_le_bytes());
    file.extend_from_slice(dictionary.as_bytes());
    file.resize(padded - 1, b' ');
    file.push(b'\n');
    for value in values {
        file.extend_from_slice(&value.to_le_bytes());
    }
    Ok(file)
}
