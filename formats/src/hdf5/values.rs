//! Stored elements as numbers, texts, and columns of a table.

use super::cursor::Cursor;
use super::datatype::{Class, Datatype, FloatLayout, Padding, Reference};
use super::file::{File, bad, too_much};
use super::heap;
use arrow::array::{
    ArrayRef, BinaryArray, BooleanArray, FixedSizeListArray, Float32Array, Float64Array, Int8Array, Int16Array, Int32Array, Int64Array,
    LargeListArray, StringArray, StructArray, UInt8Array, UInt16Array, UInt32Array, UInt64Array,
};
use arrow::buffer::OffsetBuffer;
use arrow::datatypes::{DataType, Field, Fields};
use neuroflow_data::formats::bytes::{ByteOrder, Stored, decode};
use neuroflow_data::formats::{Budget, FormatError};
use std::borrow::Cow;
use std::collections::HashMap;
use std::sync::Arc;

/// What reading values needs beside the bytes: the file for lists and texts, the names of objects for references.
#[derive(Clone, Copy)]
pub(crate) struct Values<'f> {
    pub file: &'f File,
    /// Paths of objects by address.
    pub paths: &'f HashMap<u64, String>,
}

/// Elements of one type, each `stride` bytes after the one before.
#[derive(Clone, Copy)]
pub(crate) struct Elements<'b> {
    bytes: &'b [u8],
    stride: usize,
    offset: usize,
    /// Where the first byte stands in the file, roughly, for messages.
    at: u64,
}

impl<'b> Elements<'b> {
    /// Elements that follow each other.
    pub fn new(datatype: &Datatype, bytes: &'b [u8], at: u64) -> Elements<'b> {
        Elements { bytes, stride: datatype.size.max(1), offset: 0, at }
    }

    /// Rows of `width` bytes each; [`Elements::member`] gives their columns.
    pub fn rows(bytes: &'b [u8], width: usize) -> Elements<'b> {
        Elements { bytes, stride: width.max(1), offset: 0, at: 0 }
    }

    /// What stands `offset` bytes into each element.
    pub fn member(self, offset: usize) -> Elements<'b> {
        Elements { offset: self.offset + offset, ..self }
    }

    fn count(&self) -> usize {
        self.bytes.len() / self.stride
    }

    fn each(&self, size: usize) -> impl ExactSizeIterator<Item = &'b [u8]> + use<'b> {
        let offset = self.offset;
        self.bytes.chunks_exact(self.stride).map(move |one| one.get(offset..offset + size).unwrap_or_default())
    }

    /// The bytes of all elements, one after the other.
    fn packed(&self, size: usize) -> Cow<'b, [u8]> {
        if self.offset == 0 && self.stride == size {
            return Cow::Borrowed(self.bytes.get(..self.count() * self.stride).unwrap_or_default());
        }
        let mut packed = Vec::with_capacity(self.count() * size);
        self.each(size).for_each(|one| packed.extend_from_slice(one));
        Cow::Owned(packed)
    }
}

/// A whole number as its bits say: shifted, cut to its precision, and with its sign.
fn integer(bytes: &[u8], order: ByteOrder, signed: bool, offset: u16, precision: u16) -> i128 {
    let raw = bits(bytes, order) >> offset.min(127);
    let precision = u32::from(precision);
    if precision >= 128 {
        return raw as i128;
    }
    let cut = raw & ((1u128 << precision) - 1);
    if signed && precision > 0 && cut >> (precision - 1) & 1 == 1 { cut as i128 - (1i128 << precision) } else { cut as i128 }
}

fn bits(bytes: &[u8], order: ByteOrder) -> u128 {
    let join = |number: u128, byte: &u8| (number << 8) | u128::from(*byte);
    match order {
        ByteOrder::Little => bytes.iter().rev().fold(0, join),
        ByteOrder::Big => bytes.iter().fold(0, join),
    }
}

impl Values<'_> {
    /// All elements as 64-bit floating point, as NumPy's `astype(float64)` has them; `None` when they are not numbers.
    pub fn numbers(&self, datatype: &Datatype, elements: Elements<'_>, budget: &mut Budget) -> Result<Option<Vec<f64>>, FormatError> {
        let charge = |budget: &mut Budget, count: usize| {
            budget.charge((count as u64).saturating_mul(8)).map_err(|reason| too_much(elements.at, reason))
        };
        Ok(match &datatype.class {
            Class::Integer { order, signed, offset, precision } => {
                charge(budget, elements.count())?;
                let packed = elements.packed(datatype.size);
                let plain = *offset == 0 && usize::from(*precision) == datatype.size * 8;
                Some(match (datatype.size, signed) {
                    (1, true) if plain => decode(&packed, *order, |number: i8| f64::from(number)),
                    (1, false) if plain => decode(&packed, *order, |number: u8| f64::from(number)),
                    (2, true) if plain => decode(&packed, *order, |number: i16| f64::from(number)),
                    (2, false) if plain => decode(&packed, *order, |number: u16| f64::from(number)),
                    (4, true) if plain => decode(&packed, *order, |number: i32| f64::from(number)),
                    (4, false) if plain => decode(&packed, *order, |number: u32| f64::from(number)),
                    (8, true) if plain => decode(&packed, *order, |number: i64| number as f64),
                    (8, false) if plain => decode(&packed, *order, |number: u64| number as f64),
                    _ => packed.chunks_exact(datatype.size).map(|one| integer(one, *order, *signed, *offset, *precision) as f64).collect(),
                })
            }
            Class::Float { order, layout } => {
                charge(budget, elements.count())?;
                let packed = elements.packed(datatype.size);
                Some(match (datatype.size, layout.is_ieee()) {
                    // What the machine has as well is copied.
                    (8, true) if *order == ByteOrder::Little && cfg!(target_endian = "little") => {
                        let mut numbers = vec![0f64; packed.len() / 8];
                        let room: &mut [u8] = bytemuck::cast_slice_mut(&mut numbers);
                        if let Some(bytes) = packed.get(..room.len()) {
                            room.copy_from_slice(bytes);
                        }
                        numbers
                    }
                    (8, true) => decode(&packed, *order, |number: f64| number),
                    (4, true) => decode(&packed, *order, |number: f32| f64::from(number)),
                    _ => packed.chunks_exact(datatype.size).map(|one| layout.number(bits(one, *order))).collect(),
                })
            }
            Class::Enum { base, .. } => return self.numbers(base, elements, budget),
            Class::Array { base, .. } => {
                let packed = elements.packed(datatype.size);
                return self.numbers(base, Elements { bytes: &packed, stride: base.size, offset: 0, at: elements.at }, budget);
            }
            _ => None,
        })
    }

    /// All elements as text; `None` when they are not texts.
    pub fn texts(&self, datatype: &Datatype, elements: Elements<'_>, budget: &mut Budget) -> Result<Option<Vec<String>>, FormatError> {
        let mut texts = Vec::new();
        for one in elements.each(datatype.size) {
            let text = match &datatype.class {
                Class::Text { padding } => fixed_text(one, *padding),
                Class::ListText => {
                    let (bytes, _) = self.list(one, 1, elements.at, budget)?;
                    let own = bytes.split(|byte| *byte == 0).next().unwrap_or_default();
                    String::from_utf8_lossy(own).into_owned()
                }
                Class::Reference(sort) => self.reference(one, *sort, elements.at)?,
                Class::Enum { members, .. } => match members.iter().find(|(_, value)| value == one) {
                    Some((name, _)) => name.clone(),
                    None => format!(
                        "{}",
                        self.numbers(datatype, Elements::new(datatype, one, elements.at), budget)?
                            .unwrap_or_default()
                            .first()
                            .copied()
                            .unwrap_or(0.0)
                    ),
                },
                _ => return Ok(None),
            };
            budget.charge(24 + text.len() as u64).map_err(|reason| too_much(elements.at, reason))?;
            texts.push(text);
        }
        Ok(Some(texts))
    }

    /// Lists of single characters as texts, as MATLAB stores the names of fields; `None` when they are something else.
    pub fn character_lists(&self, datatype: &Datatype, elements: Elements<'_>, budget: &mut Budget) -> Option<Vec<String>> {
        let Class::List(base) = &datatype.class else { return self.texts(datatype, elements, budget).ok()? };
        if base.size != 1 {
            return None;
        }
        let one = |one: &[u8]| self.list(one, 1, elements.at, budget).ok().map(|(bytes, _)| String::from_utf8_lossy(&bytes).into_owned());
        elements.each(datatype.size).map(one).collect()
    }

    /// The bytes of a list of elements of `size` bytes, and where they stand.
    fn list(&self, place: &[u8], size: usize, at: u64, budget: &mut Budget) -> Result<(Cow<'_, [u8]>, u64), FormatError> {
        let mut cursor = Cursor::new(place, at);
        let count = u64::from(cursor.u32()?);
        let address = cursor.address(self.file.offsets)?;
        let number = cursor.u32()?;
        let (Some(address), true) = (address.filter(|address| *address != 0), count > 0) else { return Ok((Cow::Borrowed(&[]), at)) };
        let (data, length) = heap::global(self.file, address, number, at)?;
        let wanted = count.saturating_mul(size as u64);
        if wanted > length {
            return Err(bad(at, format!("a list of {count} elements of {size} bytes in an object of {length}")));
        }
        budget.charge(wanted).map_err(|reason| too_much(at, reason))?;
        Ok((self.file.read(data, wanted)?, self.file.byte(data)))
    }

    /// The address that a reference holds; `None` for an empty one.
    pub fn address(&self, bytes: &[u8], sort: Reference, at: u64) -> Result<Option<u64>, FormatError> {
        let mut cursor = Cursor::new(bytes, at);
        let address = match sort {
            Reference::Object => cursor.address(self.file.offsets)?,
            Reference::Region => {
                let heap = cursor.address(self.file.offsets)?;
                let number = cursor.u32()?;
                match heap.filter(|heap| *heap != 0) {
                    None => None,
                    Some(heap) => {
                        let (data, length) = heap::global(self.file, heap, number, at)?;
                        let bytes = self.file.read(data, length.min(self.file.offsets as u64))?;
                        Cursor::new(&bytes, self.file.byte(data)).address(self.file.offsets)?
                    }
                }
            }
            Reference::Tagged => {
                cursor.skip(2)?;
                let size = usize::from(cursor.u8()?);
                if (1..=8).contains(&size) { cursor.address(size)? } else { None }
            }
        };
        Ok(address.filter(|address| *address != 0))
    }

    fn reference(&self, bytes: &[u8], sort: Reference, at: u64) -> Result<String, FormatError> {
        let address = self.address(bytes, sort, at)?;
        Ok(address.and_then(|address| self.paths.get(&address)).map(|path| format!("/{path}")).unwrap_or_default())
    }

    /// The elements as a column of a table: numbers in their own type, truth values, texts (also for references and enumerations), lists, and structs
    /// for nested compounds.
    pub fn column(&self, datatype: &Datatype, elements: Elements<'_>, budget: &mut Budget) -> Result<ArrayRef, FormatError> {
        let packed = || elements.packed(datatype.size);
        let charge = |budget: &mut Budget, bytes: usize| budget.charge(bytes as u64).map_err(|reason| too_much(elements.at, reason));
        macro_rules! plain {
            ($array:ident, $number:ty, $order:expr) => {{
                charge(budget, elements.count().saturating_mul(size_of::<$number>()))?;
                Arc::new($array::from(decode(&packed(), $order, |number: $number| number))) as ArrayRef
            }};
        }
        Ok(match &datatype.class {
            Class::Integer { order, signed, offset, precision } => {
                let whole = *offset == 0 && usize::from(*precision) == datatype.size * 8;
                match (datatype.size, signed) {
                    (1, true) if whole => plain!(Int8Array, i8, *order),
                    (1, false) if whole => plain!(UInt8Array, u8, *order),
                    (2, true) if whole => plain!(Int16Array, i16, *order),
                    (2, false) if whole => plain!(UInt16Array, u16, *order),
                    (4, true) if whole => plain!(Int32Array, i32, *order),
                    (4, false) if whole => plain!(UInt32Array, u32, *order),
                    (8, true) if whole => plain!(Int64Array, i64, *order),
                    (8, false) if whole => plain!(UInt64Array, u64, *order),
                    (0..=8, true) => {
                        charge(budget, elements.count().saturating_mul(8))?;
                        let numbers = elements.each(datatype.size).map(|one| integer(one, *order, true, *offset, *precision) as i64);
                        Arc::new(numbers.collect::<Int64Array>())
                    }
                    (0..=8, false) => {
                        charge(budget, elements.count().saturating_mul(8))?;
                        let numbers = elements.each(datatype.size).map(|one| integer(one, *order, false, *offset, *precision) as u64);
                        Arc::new(numbers.collect::<UInt64Array>())
                    }
                    _ => self.as_numbers(datatype, elements, budget)?,
                }
            }
            Class::Float { order, layout } => match (datatype.size, layout.is_ieee()) {
                (8, true) => plain!(Float64Array, f64, *order),
                (4, true) => plain!(Float32Array, f32, *order),
                (2, true) => {
                    charge(budget, elements.count().saturating_mul(4))?;
                    Arc::new(elements.each(2).map(|one| layout.number(bits(one, *order)) as f32).collect::<Float32Array>())
                }
                _ => self.as_numbers(datatype, elements, budget)?,
            },
            Class::Enum { .. } if datatype.is_bool() => {
                charge(budget, elements.count())?;
                Arc::new(BooleanArray::from(elements.each(1).map(|one| one.first().is_some_and(|byte| *byte != 0)).collect::<Vec<bool>>()))
            }
            Class::Text { .. } | Class::ListText | Class::Reference(_) | Class::Enum { .. } => {
                let texts = self.texts(datatype, elements, budget)?.unwrap_or_default();
                if texts.iter().map(String::len).sum::<usize>() > i32::MAX as usize {
                    return Err(too_much(elements.at, "a column of texts of more than 2 GiB: read fewer rows at once"));
                }
                Arc::new(StringArray::from_iter_values(texts))
            }
            Class::Opaque => {
                charge(budget, elements.count().saturating_mul(datatype.size + 4))?;
                if elements.count().saturating_mul(datatype.size) > i32::MAX as usize {
                    return Err(too_much(elements.at, "a column of more than 2 GiB: read fewer rows at once"));
                }
                Arc::new(BinaryArray::from_iter_values(elements.each(datatype.size)))
            }
            Class::Compound(members) => {
                let mut columns = Vec::with_capacity(members.len());
                for member in members {
                    let own = Elements { offset: elements.offset + member.offset, ..elements };
                    columns.push(self.column(&member.datatype, own, budget)?);
                }
                let DataType::Struct(fields) = arrow_type(datatype) else { return Err(bad(elements.at, "a compound without members")) };
                let array = StructArray::try_new_with_length(fields, columns, None, elements.count());
                Arc::new(array.map_err(|error| bad(elements.at, error.to_string()))?)
            }
            Class::List(base) => {
                let mut all = Vec::new();
                let mut lengths = Vec::with_capacity(elements.count());
                for one in elements.each(datatype.size) {
                    let (bytes, _) = self.list(one, base.size, elements.at, budget)?;
                    lengths.push(bytes.len() / base.size.max(1));
                    all.extend_from_slice(&bytes);
                }
                let values = self.column(base, Elements::new(base, &all, elements.at), budget)?;
                let array = LargeListArray::try_new(item(base), OffsetBuffer::from_lengths(lengths), values, None);
                Arc::new(array.map_err(|error| bad(elements.at, error.to_string()))?)
            }
            Class::Array { base, .. } => {
                let packed = packed();
                let values = self.column(base, Elements::new(base, &packed, elements.at), budget)?;
                let size =
                    i32::try_from(datatype.size / base.size.max(1)).map_err(|_| bad(elements.at, "an array element that is too large"))?;
                let array = FixedSizeListArray::try_new_with_length(item(base), size, values, None, elements.count());
                Arc::new(array.map_err(|error| bad(elements.at, error.to_string()))?)
            }
        })
    }

    fn as_numbers(&self, datatype: &Datatype, elements: Elements<'_>, budget: &mut Budget) -> Result<ArrayRef, FormatError> {
        Ok(Arc::new(Float64Array::from(self.numbers(datatype, elements, budget)?.unwrap_or_default())))
    }
}

fn fixed_text(bytes: &[u8], padding: Padding) -> String {
    let own = match padding {
        Padding::Ended => bytes.split(|byte| *byte == 0).next().unwrap_or_default(),
        Padding::Zeros => {
            let end = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
            bytes.get(..end).unwrap_or_default()
        }
        Padding::Blanks => {
            let end = bytes.iter().rposition(|byte| *byte != b' ').map_or(0, |last| last + 1);
            bytes.get(..end).unwrap_or_default()
        }
    };
    String::from_utf8_lossy(own).into_owned()
}

fn item(base: &Datatype) -> Arc<Field> {
    Arc::new(Field::new("item", arrow_type(base), false))
}

/// The type of the column that [`Values::column`] makes.
pub(crate) fn arrow_type(datatype: &Datatype) -> DataType {
    match &datatype.class {
        Class::Integer { signed, offset, precision, .. } => {
            let whole = *offset == 0 && usize::from(*precision) == datatype.size * 8;
            match (datatype.size, signed) {
                (1, true) if whole => DataType::Int8,
                (1, false) if whole => DataType::UInt8,
                (2, true) if whole => DataType::Int16,
                (2, false) if whole => DataType::UInt16,
                (4, true) if whole => DataType::Int32,
                (4, false) if whole => DataType::UInt32,
                (0..=8, true) => DataType::Int64,
                (0..=8, false) => DataType::UInt64,
                _ => DataType::Float64,
            }
        }
        Class::Float { layout, .. } => match layout {
            FloatLayout { size: 2 | 4, .. } if layout.is_ieee() => DataType::Float32,
            _ => DataType::Float64,
        },
        Class::Enum { .. } if datatype.is_bool() => DataType::Boolean,
        Class::Text { .. } | Class::ListText | Class::Reference(_) | Class::Enum { .. } => DataType::Utf8,
        Class::Opaque => DataType::Binary,
        Class::Compound(members) => {
            DataType::Struct(members.iter().map(|member| Field::new(&member.name, arrow_type(&member.datatype), false)).collect::<Fields>())
        }
        Class::List(base) => DataType::LargeList(item(base)),
        Class::Array { base, .. } => {
            DataType::FixedSizeList(item(base), i32::try_from(datatype.size / base.size.max(1)).unwrap_or(i32::MAX))
        }
    }
}

/// Plain numbers of one stored type, for those who keep them as they are.
pub(crate) fn plain<S: Stored>(datatype: &Datatype, bytes: &[u8]) -> Option<Vec<S>> {
    let order = match &datatype.class {
        Class::Integer { order, offset: 0, precision, .. } if usize::from(*precision) == datatype.size * 8 => *order,
        Class::Float { order, layout } if layout.is_ieee() => *order,
        _ => return None,
    };
    (datatype.size == S::SIZE).then(|| decode(bytes, order, |number: S| number))
}
