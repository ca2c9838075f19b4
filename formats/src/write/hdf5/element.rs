//! What one value is, and values to be written.

use super::bad;
use arrow::datatypes::ToByteSlice;
use neuroflow_data::formats::FormatError;

/// What one value of a dataset or attribute is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Element {
    /// 8 bits, signed.
    I8,
    /// 16 bits, signed.
    I16,
    /// 32 bits, signed.
    I32,
    /// 64 bits, signed.
    I64,
    /// 8 bits.
    U8,
    /// 16 bits.
    U16,
    /// 32 bits.
    U32,
    /// 64 bits.
    U64,
    /// Single precision.
    F32,
    /// Double precision.
    F64,
    /// A truth value: an enumeration of `FALSE` and `TRUE` on 8 bits, which h5py takes for `bool`.
    Bool,
    /// UTF-8 of any length, in the global heap.
    Text,
    /// UTF-8 in so many bytes (at least one), filled up with zeros.
    FixedText(u32),
    /// A reference to an object.
    Reference,
}

impl Element {
    /// Its bytes in a dataset.
    pub fn size(self) -> usize {
        match self {
            Element::I8 | Element::U8 | Element::Bool => 1,
            Element::I16 | Element::U16 => 2,
            Element::I32 | Element::U32 | Element::F32 => 4,
            Element::I64 | Element::U64 | Element::F64 | Element::Reference => 8,
            Element::Text => 16,
            Element::FixedText(width) => width as usize,
        }
    }

    /// The datatype message (specification, "IV.A.2.d. The Datatype Message"), in its first version.
    pub(super) fn datatype(self) -> Vec<u8> {
        const INTEGER: u8 = 0;
        const FLOAT: u8 = 1;
        const STRING: u8 = 3;
        const REFERENCE: u8 = 7;
        const ENUMERATION: u8 = 8;
        const VARIABLE: u8 = 9;
        let head = |class: u8, bits: [u8; 3], size: u32| {
            let mut bytes = vec![0x10 | class];
            bytes.extend(bits);
            bytes.extend(size.to_le_bytes());
            bytes
        };
        let integer = |signed: bool, size: u8| {
            let mut bytes = head(INTEGER, [u8::from(signed) << 3, 0, 0], u32::from(size));
            bytes.extend([0, 0, size * 8, 0]);
            bytes
        };
        match self {
            Element::I8 => integer(true, 1),
            Element::I16 => integer(true, 2),
            Element::I32 => integer(true, 4),
            Element::I64 => integer(true, 8),
            Element::U8 => integer(false, 1),
            Element::U16 => integer(false, 2),
            Element::U32 => integer(false, 4),
            Element::U64 => integer(false, 8),
            // The bits are: place of the sign, then offset, precision, place and size of exponent, place and size of mantissa, bias.
            Element::F32 => [head(FLOAT, [0x20, 31, 0], 4), vec![0, 0, 32, 0, 23, 8, 0, 23, 127, 0, 0, 0]].concat(),
            Element::F64 => [head(FLOAT, [0x20, 63, 0], 8), vec![0, 0, 64, 0, 52, 11, 0, 52, 0xff, 3, 0, 0]].concat(),
            Element::Bool => {
                let mut bytes = head(ENUMERATION, [2, 0, 0], 1);
                bytes.extend(integer(true, 1));
                // Names end in a zero and are filled up to a multiple of eight bytes.
                bytes.extend(b"FALSE\0\0\0TRUE\0\0\0\0");
                bytes.extend([0, 1]);
                bytes
            }
            Element::Text => [head(VARIABLE, [1, 1, 0], 16), integer(false, 1)].concat(),
            Element::FixedText(width) => head(STRING, [0x11, 0, 0], width),
            Element::Reference => head(REFERENCE, [0, 0, 0], 8),
        }
    }
}

/// Values to be written, in row-major order.
#[derive(Debug, Clone, PartialEq)]
pub enum Data<'a> {
    /// 8 bits, signed.
    I8(&'a [i8]),
    /// 16 bits, signed.
    I16(&'a [i16]),
    /// 32 bits, signed.
    I32(&'a [i32]),
    /// 64 bits, signed.
    I64(&'a [i64]),
    /// 8 bits.
    U8(&'a [u8]),
    /// 16 bits.
    U16(&'a [u16]),
    /// 32 bits.
    U32(&'a [u32]),
    /// 64 bits.
    U64(&'a [u64]),
    /// Single precision.
    F32(&'a [f32]),
    /// Double precision.
    F64(&'a [f64]),
    /// Truth values.
    Bools(&'a [bool]),
    /// One text.
    Text(&'a str),
    /// Texts, each of its own length.
    Texts(Vec<&'a str>),
    /// Texts in so many bytes each.
    FixedTexts(u32, Vec<&'a str>),
    /// Objects, by path. They need not be there yet, only when the file is finished.
    References(Vec<&'a str>),
}

impl Data<'_> {
    /// What one value is.
    pub fn element(&self) -> Element {
        match self {
            Data::I8(_) => Element::I8,
            Data::I16(_) => Element::I16,
            Data::I32(_) => Element::I32,
            Data::I64(_) => Element::I64,
            Data::U8(_) => Element::U8,
            Data::U16(_) => Element::U16,
            Data::U32(_) => Element::U32,
            Data::U64(_) => Element::U64,
            Data::F32(_) => Element::F32,
            Data::F64(_) => Element::F64,
            Data::Bools(_) => Element::Bool,
            Data::Text(_) | Data::Texts(_) => Element::Text,
            Data::FixedTexts(width, _) => Element::FixedText(*width),
            Data::References(_) => Element::Reference,
        }
    }

    /// The number of values.
    pub fn len(&self) -> usize {
        match self {
            Data::I8(values) => values.len(),
            Data::I16(values) => values.len(),
            Data::I32(values) => values.len(),
            Data::I64(values) => values.len(),
            Data::U8(values) => values.len(),
            Data::U16(values) => values.len(),
            Data::U32(values) => values.len(),
            Data::U64(values) => values.len(),
            Data::F32(values) => values.len(),
            Data::F64(values) => values.len(),
            Data::Bools(values) => values.len(),
            Data::Text(_) => 1,
            Data::Texts(texts) | Data::FixedTexts(_, texts) => texts.len(),
            Data::References(paths) => paths.len(),
        }
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The values as they stand in the file, where memory has them so already.
    pub(super) fn stored(&self) -> Option<&[u8]> {
        if cfg!(target_endian = "big") {
            return None;
        }
        Some(match self {
            Data::I8(values) => values.to_byte_slice(),
            Data::I16(values) => values.to_byte_slice(),
            Data::I32(values) => values.to_byte_slice(),
            Data::I64(values) => values.to_byte_slice(),
            Data::U8(values) => values,
            Data::U16(values) => values.to_byte_slice(),
            Data::U32(values) => values.to_byte_slice(),
            Data::U64(values) => values.to_byte_slice(),
            Data::F32(values) => values.to_byte_slice(),
            Data::F64(values) => values.to_byte_slice(),
            Data::Bools(_) | Data::Text(_) | Data::Texts(_) | Data::FixedTexts(..) | Data::References(_) => return None,
        })
    }

    /// Appends the values at `range` as they stand in the file. Texts of any length and references have no bytes of their own: nothing is
    /// appended.
    pub(super) fn bytes(&self, range: std::ops::Range<usize>, path: &str, into: &mut Vec<u8>) -> Result<(), FormatError> {
        macro_rules! numbers {
            ($values:expr) => {
                little_endian($values.get(range).unwrap_or(&[]), into, |value| value.to_le_bytes())
            };
        }
        match self {
            Data::I8(values) => numbers!(values),
            Data::I16(values) => numbers!(values),
            Data::I32(values) => numbers!(values),
            Data::I64(values) => numbers!(values),
            Data::U8(values) => into.extend_from_slice(values.get(range).unwrap_or(&[])),
            Data::U16(values) => numbers!(values),
            Data::U32(values) => numbers!(values),
            Data::U64(values) => numbers!(values),
            Data::F32(values) => numbers!(values),
            Data::F64(values) => numbers!(values),
            Data::Bools(values) => into.extend(values.get(range).unwrap_or(&[]).iter().map(|&value| u8::from(value))),
            Data::Text(_) | Data::Texts(_) | Data::References(_) => {}
            Data::FixedTexts(width, texts) => {
                let width = *width as usize;
                for text in texts.get(range).unwrap_or(&[]) {
                    if text.len() > width {
                        let reason = format!("`{}` has {} bytes, each text may have {width}", text.escape_debug(), text.len());
                        return Err(bad(path, reason, "give texts more bytes, or write them with a length of their own"));
                    }
                    into.extend_from_slice(text.as_bytes());
                    into.resize(into.len() + width - text.len(), 0);
                }
            }
        }
        Ok(())
    }
}

/// Appends numbers, least byte first.
pub(in crate::write) fn little_endian<T: Copy, const N: usize>(values: &[T], into: &mut Vec<u8>, bytes: impl Fn(T) -> [u8; N]) {
    let start = into.len();
    into.resize(start + values.len() * N, 0);
    for (place, value) in into.get_mut(start..).unwrap_or(&mut []).as_chunks_mut::<N>().0.iter_mut().zip(values) {
        *place = bytes(*value);
    }
}
