//! Filters of numcodecs that change numbers: differences, other types, scales and offsets, truth values as bits.
//!
//! They are undone with the arithmetic that NumPy does for numcodecs 0.16, so that values are equal to the last bit.

use super::chain::Values;
use crate::grid::Element;
use arrow::datatypes::{ArrowPrimitiveType, Float16Type};
use neuroflow_data::formats::bytes::{ByteOrder, decode};
use serde_json::Value;

type Half = <Float16Type as ArrowPrimitiveType>::Native;

/// A type of numbers in bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Number {
    pub element: Element,
    pub order: ByteOrder,
}

/// A filter on numbers.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Filter {
    /// What the array has.
    pub given: Number,
    /// What the filter makes of it.
    pub stored: Number,
    change: Change,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Change {
    /// Nothing, or another type; what was rounded stays so.
    Cast,
    /// Each number less the one before it.
    Delta,
    /// Less an offset, by a factor.
    Scale { scale: f64, offset: f64 },
    /// Eight truth values a byte, the first the highest bit, behind the number of bits that fill the last byte.
    Bits,
}

/// Numbers while they are worked on: whole ones as the low bits of 64, with their sign.
enum Numbers {
    Whole(Vec<u64>),
    Floats(Vec<f64>),
}

impl Filter {
    /// The filter of a name, when it is one of these; `given` is the type of what it is applied to, where that is known.
    pub fn named(name: &str, configuration: &Value, given: Option<Element>) -> Option<Filter> {
        let ty = |name: &str| configuration.get(name).and_then(Value::as_str).map(Number::named);
        let known = given.map(|element| Number { element, order: ByteOrder::Little });
        let bytes = |element: Element| Number { element, order: ByteOrder::Little };
        let number = |name: &str| configuration.get(name).and_then(Value::as_f64);
        let (dtype, astype) = match name {
            "astype" => ("decode_dtype", "encode_dtype"),
            _ => ("dtype", "astype"),
        };
        // A type that is given and not known is refused, and not passed over.
        let own = |name: &str, or: Option<Number>| ty(name).unwrap_or(or);
        let (change, given, stored) = match name {
            "packbits" => (Change::Bits, bytes(Element::Bool), bytes(Element::U8)),
            "bitround" => {
                let own = known.unwrap_or(bytes(Element::U8));
                (Change::Cast, own, own)
            }
            "astype" | "quantize" | "delta" | "fixedscaleoffset" => {
                let given = own(dtype, known)?;
                let stored = own(astype, Some(given))?;
                let change = match name {
                    "delta" => Change::Delta,
                    "fixedscaleoffset" => Change::Scale { scale: number("scale")?, offset: number("offset")? },
                    _ => Change::Cast,
                };
                (change, given, stored)
            }
            _ => return None,
        };
        let small = |number: Number| matches!(number.element, Element::F16 | Element::Bf16);
        let is_float = |number: Number| matches!(number.element, Element::F32 | Element::F64);
        let works = match change {
            Change::Bits => true,
            Change::Cast => given == stored || ![given, stored].iter().any(|own| own.element == Element::Bf16),
            // Sums and quotients in half precision round at each step in a way of their own.
            Change::Delta => !small(given) && !small(stored) && given.element != Element::Bool && (is_float(given) || !is_float(stored)),
            Change::Scale { .. } => !small(given) && !small(stored) && given.element != Element::Bool,
        };
        works.then_some(Filter { given, stored, change })
    }

    /// Whether numbers are changed one by one, whatever their order.
    pub fn is_of_each(&self) -> bool {
        matches!(self.change, Change::Cast | Change::Scale { .. })
    }

    /// Whether bytes stay as they are.
    fn is_nothing(&self) -> bool {
        self.change == Change::Cast && self.given == self.stored
    }

    /// Bytes that `bytes` before the filter are after it.
    pub fn after(&self, bytes: u64) -> u64 {
        match self.change {
            Change::Bits => bytes.div_ceil(8).saturating_add(1),
            _ => bytes.div_ceil(self.given.element.size()).saturating_mul(self.stored.element.size()),
        }
    }

    /// The bytes before the filter was applied, at most `most`; none where they are the same.
    pub fn undo(&self, bytes: &[u8], most: u64) -> Result<Option<Vec<u8>>, String> {
        if self.is_nothing() {
            return Ok(None);
        }
        let (size, wide) = (self.stored.element.size(), self.given.element.size());
        let held = match self.change {
            Change::Bits => (bytes.len() as u64).saturating_sub(1).saturating_mul(8),
            _ if !(bytes.len() as u64).is_multiple_of(size) => {
                return Err(format!("{} bytes are no numbers of {size} bytes, as its filter makes them", bytes.len()));
            }
            _ => (bytes.len() as u64 / size).saturating_mul(wide),
        };
        if held > most.saturating_add(8) {
            return Err(format!("its filter makes {held} bytes, more than the {most} of a chunk"));
        }
        match self.change {
            Change::Bits => unpacked(bytes).map(Some),
            Change::Cast => {
                let numbers = self.stored.numbers(bytes);
                let is_float = matches!(self.given.element, Element::F16 | Element::Bf16 | Element::F32 | Element::F64);
                let numbers = if is_float { Numbers::Floats(self.stored.floats(numbers)) } else { numbers };
                Ok(Some(self.given.bytes(numbers)))
            }
            Change::Delta => Ok(Some(self.given.bytes(self.summed(self.stored.numbers(bytes))))),
            Change::Scale { scale, offset } => {
                let numbers: Vec<f64> = match self.stored.numbers(bytes) {
                    Numbers::Floats(numbers) if self.stored.element == Element::F32 => {
                        numbers.into_iter().map(|number| f64::from(number as f32 / scale as f32 + offset as f32)).collect()
                    }
                    numbers => self.stored.floats(numbers).into_iter().map(|number| number / scale + offset).collect(),
                };
                Ok(Some(self.given.bytes(Numbers::Floats(numbers))))
            }
        }
    }

    /// Differences added up, in the type of the array.
    fn summed(&self, numbers: Numbers) -> Numbers {
        match (numbers, self.given.element) {
            (numbers, Element::F32) => {
                let mut sum = 0f32;
                // The first is taken as it is: zero and a negative zero would make another one.
                let add = |(place, number): (usize, f64)| {
                    sum = if place == 0 { number as f32 } else { sum + number as f32 };
                    f64::from(sum)
                };
                Numbers::Floats(self.stored.floats(numbers).into_iter().enumerate().map(add).collect())
            }
            (numbers, Element::F64) => {
                let mut sum = 0f64;
                let add = |(place, number): (usize, f64)| {
                    sum = if place == 0 { number } else { sum + number };
                    sum
                };
                Numbers::Floats(self.stored.floats(numbers).into_iter().enumerate().map(add).collect())
            }
            (Numbers::Whole(mut numbers), _) => {
                let mut sum = 0u64;
                for number in &mut numbers {
                    sum = sum.wrapping_add(*number);
                    *number = sum;
                }
                Numbers::Whole(numbers)
            }
            (numbers, _) => numbers,
        }
    }
}

impl Number {
    /// A type by NumPy's name for it, `<f4`, `f4` or `float32`.
    fn named(name: &str) -> Option<Number> {
        let of = |name: &str| match Values::of_dtype(name)? {
            (Values::Numbers(element), order) => Some(Number { element, order }),
            _ => None,
        };
        of(name)
            .or_else(|| of(&format!("<{name}")))
            .or_else(|| Element::named(name).map(|element| Number { element, order: ByteOrder::Little }))
    }

    fn is_unsigned(self) -> bool {
        matches!(self.element, Element::Bool | Element::U8 | Element::U16 | Element::U32 | Element::U64)
    }

    fn numbers(self, bytes: &[u8]) -> Numbers {
        let order = self.order;
        match self.element {
            Element::Bool | Element::U8 => Numbers::Whole(bytes.iter().map(|own| u64::from(*own)).collect()),
            Element::I8 => Numbers::Whole(decode(bytes, order, |own: i8| i64::from(own) as u64)),
            Element::U16 => Numbers::Whole(decode(bytes, order, |own: u16| u64::from(own))),
            Element::I16 => Numbers::Whole(decode(bytes, order, |own: i16| i64::from(own) as u64)),
            Element::U32 => Numbers::Whole(decode(bytes, order, |own: u32| u64::from(own))),
            Element::I32 => Numbers::Whole(decode(bytes, order, |own: i32| i64::from(own) as u64)),
            Element::U64 => Numbers::Whole(decode(bytes, order, |own: u64| own)),
            Element::I64 => Numbers::Whole(decode(bytes, order, |own: i64| own as u64)),
            Element::F16 => Numbers::Floats(decode(bytes, order, |own: u16| Half::from_bits(own).to_f64())),
            Element::Bf16 => Numbers::Floats(decode(bytes, order, |own: u16| f64::from(f32::from_bits(u32::from(own) << 16)))),
            Element::F32 => Numbers::Floats(decode(bytes, order, |own: f32| f64::from(own))),
            Element::F64 => Numbers::Floats(decode(bytes, order, |own: f64| own)),
        }
    }

    /// Numbers of this type in double precision.
    fn floats(self, numbers: Numbers) -> Vec<f64> {
        match numbers {
            Numbers::Floats(numbers) => numbers,
            Numbers::Whole(numbers) if self.is_unsigned() => numbers.into_iter().map(|own| own as f64).collect(),
            Numbers::Whole(numbers) => numbers.into_iter().map(|own| own as i64 as f64).collect(),
        }
    }

    /// Numbers in bytes of this type, as NumPy's `astype` makes them; whole ones of a type of whole ones.
    fn bytes(self, numbers: Numbers) -> Vec<u8> {
        let size = self.element.size() as usize;
        let mut out = Vec::with_capacity(size * numbers.len());
        let mut put = |bits: u64| {
            let bytes = bits.to_le_bytes();
            let own = bytes.get(..size).unwrap_or_default();
            match self.order {
                ByteOrder::Little => out.extend_from_slice(own),
                ByteOrder::Big => out.extend(own.iter().rev()),
            }
        };
        match (numbers, self.element) {
            (Numbers::Whole(numbers), Element::Bool) => numbers.into_iter().for_each(|own| put(u64::from(own != 0))),
            (Numbers::Whole(numbers), _) => numbers.into_iter().for_each(put),
            (Numbers::Floats(numbers), _) => numbers.into_iter().for_each(|own| put(self.bits(own))),
        }
        out
    }

    /// The bits of a number of this type.
    fn bits(self, number: f64) -> u64 {
        match self.element {
            Element::F64 => number.to_bits(),
            Element::F32 => u64::from((number as f32).to_bits()),
            Element::F16 => u64::from(Half::from_f64(number).to_bits()),
            Element::Bf16 => u64::from((number as f32).to_bits() >> 16),
            Element::Bool => u64::from(number != 0.0),
            _ if self.is_unsigned() => number as u64,
            _ => number as i64 as u64,
        }
    }
}

impl Numbers {
    fn len(&self) -> usize {
        match self {
            Numbers::Whole(numbers) => numbers.len(),
            Numbers::Floats(numbers) => numbers.len(),
        }
    }
}

/// Truth values out of bits.
fn unpacked(bytes: &[u8]) -> Result<Vec<u8>, String> {
    let (padded, bits) = bytes.split_first().ok_or("packed bits have no first byte")?;
    let mut out: Vec<u8> = bits.iter().flat_map(|byte| (0..8).rev().map(move |bit| byte >> bit & 1)).collect();
    let left = out.len().checked_sub(usize::from(*padded)).filter(|_| *padded < 8);
    out.truncate(left.ok_or_else(|| format!("packed bits have {padded} bits too many"))?);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn undone(name: &str, configuration: Value, bytes: &[u8]) -> Vec<u8> {
        let filter = Filter::named(name, &configuration, None).unwrap();
        filter.undo(bytes, 1000).unwrap().unwrap_or_else(|| bytes.to_vec())
    }

    fn singles(bits: &[u32]) -> Vec<u8> {
        bits.iter().flat_map(|bits| bits.to_le_bytes()).collect()
    }

    /// What numcodecs 0.16.6 gives back, rounding and all.
    #[test]
    fn numbers_are_those_of_numcodecs() {
        let stored = singles(&[0x3dcc_cccd, 0xc026_6666, 0x5015_02f9, 0xd015_02f9, 0xc070_0000, 0x40e3_3333]);
        let expected = singles(&[0x3dcc_cccd, 0xc020_0000, 0x5015_02f9, 0, 0xc070_0000, 0x4056_6666]);
        assert_eq!(undone("delta", json!({"dtype": "<f4"}), &stored), expected);
        let stored = singles(&[0xc53b_8000, 0xc53c_0000, 0x50df_8474, 0xc53a_d000, 0xc53b_8000, 0xc53a_3000]);
        let expected = singles(&[0, 0xc02a_ab00, 0x5015_02f9, 0x406a_ab00, 0, 0x40e0_0000]);
        assert_eq!(undone("fixedscaleoffset", json!({"scale": 3, "offset": 1000, "dtype": "<f4"}), &stored), expected);
        let scaled = json!({"scale": 7, "offset": 0.5, "dtype": "<f4", "astype": "<i2"});
        assert_eq!(undone("fixedscaleoffset", scaled, &[0xfd, 0xff, 0xeb, 0xff]), singles(&[0x3d92_4925, 0xc020_0000]));
        let halves = json!({"digits": 2, "dtype": "<f8", "astype": "<f2"});
        assert_eq!(undone("quantize", halves, &[0x00, 0x3c, 0x00, 0xc1]), [1f64.to_le_bytes(), (-2.5f64).to_le_bytes()].concat());
        assert_eq!(undone("packbits", json!({}), &[5, 0x9d, 0x60]), [1, 0, 0, 1, 1, 1, 0, 1, 0, 1, 1]);
        assert_eq!(undone("delta", json!({"dtype": "u1"}), &[0xfa, 9, 0xfc, 1]), [250, 3, 255, 0]);
        assert_eq!(undone("delta", json!({"dtype": ">i4", "astype": "|i1"}), &[0xff, 2]), [0xff, 0xff, 0xff, 0xff, 0, 0, 0, 1]);
        assert_eq!(undone("astype", json!({"encode_dtype": "uint8", "decode_dtype": "<f4"}), &[200]), 200f32.to_le_bytes());
        assert_eq!(undone("bitround", json!({"keepbits": 3}), &[1, 2, 3]), [1, 2, 3]);
    }

    #[test]
    fn sizes_before_and_after_agree() {
        let delta = Filter::named("delta", &json!({"dtype": "<i4", "astype": "|i1"}), None).unwrap();
        assert_eq!((delta.after(40), delta.after(41)), (10, 11));
        assert_eq!(Filter::named("packbits", &json!({}), None).unwrap().after(11), 3);
        assert!(Filter::named("delta", &json!({"dtype": "<f2"}), None).is_none());
        assert!(Filter::named("delta", &json!({}), None).is_none());
        assert!(Filter::named("delta", &json!({}), Some(Element::I16)).is_some());
    }
}
