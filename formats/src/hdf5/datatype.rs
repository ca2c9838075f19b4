//! Datatypes: what one element of a dataset or an attribute is.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", IV.A.2.d "The Datatype Message".

use super::cursor::Cursor;
use super::file::{bad, unread};
use neuroflow_data::formats::FormatError;
use neuroflow_data::formats::bytes::ByteOrder;

/// How deep datatypes may nest.
const MAX_DEPTH: usize = 16;

/// What one element is.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Datatype {
    /// Bytes that an element takes in a dataset.
    pub size: usize,
    pub class: Class,
}

/// Classes of datatypes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Class {
    /// Whole numbers, and fields of bits, which are read as unsigned ones.
    Integer { order: ByteOrder, signed: bool, offset: u16, precision: u16 },
    /// Floating point.
    Float { order: ByteOrder, layout: FloatLayout },
    /// Text of a fixed size.
    Text { padding: Padding },
    /// Bytes without meaning to HDF5.
    Opaque,
    /// Named members.
    Compound(Vec<Member>),
    /// An address of an object.
    Reference(Reference),
    /// Named numbers.
    Enum { base: Box<Datatype>, members: Vec<(String, Vec<u8>)> },
    /// A list of any length.
    List(Box<Datatype>),
    /// Text of any length.
    ListText,
    /// An array of a fixed shape.
    Array { dims: Vec<u64>, base: Box<Datatype> },
}

/// A member of a compound.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Member {
    pub name: String,
    pub offset: usize,
    pub datatype: Datatype,
}

/// How a text fills its size.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Padding {
    /// It ends at the first zero byte.
    Ended,
    /// Zero bytes follow it.
    Zeros,
    /// Blanks follow it.
    Blanks,
}

/// What a reference names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Reference {
    /// An object, by address.
    Object,
    /// A part of a dataset, by a heap's object.
    Region,
    /// The references of HDF5 1.12, which carry their own kind.
    Tagged,
}

/// Where the parts of a floating-point number stand in its bits.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct FloatLayout {
    pub size: u8,
    pub sign: u8,
    pub exponent_at: u8,
    pub exponent_bits: u8,
    pub mantissa_at: u8,
    pub mantissa_bits: u8,
    pub bias: u32,
    /// Whether a leading 1 is implied.
    pub implied: bool,
}

impl FloatLayout {
    /// IEEE 754 of 16, 32 or 64 bits, the sizes that have a fast path.
    pub fn ieee(size: u8) -> Option<FloatLayout> {
        let (sign, exponent_at, exponent_bits, bias) = match size {
            2 => (15, 10, 5, 15),
            4 => (31, 23, 8, 127),
            8 => (63, 52, 11, 1023),
            _ => return None,
        };
        Some(FloatLayout { size, sign, exponent_at, exponent_bits, mantissa_at: 0, mantissa_bits: exponent_at, bias, implied: true })
    }

    /// Whether this is plain IEEE 754 of its size.
    pub fn is_ieee(&self) -> bool {
        FloatLayout::ieee(self.size) == Some(*self)
    }

    /// The number whose bits are `bits`, the least significant first.
    pub fn number(&self, bits: u128) -> f64 {
        let field = |at: u8, count: u8| -> u128 {
            let mask = if count >= 128 { u128::MAX } else { (1u128 << count) - 1 };
            bits.checked_shr(u32::from(at)).unwrap_or(0) & mask
        };
        let negative = field(self.sign, 1) == 1;
        let exponent = field(self.exponent_at, self.exponent_bits) as u64;
        let mantissa = field(self.mantissa_at, self.mantissa_bits);
        let greatest = if self.exponent_bits >= 64 { u64::MAX } else { (1u64 << self.exponent_bits) - 1 };
        let magnitude = if exponent == greatest && self.implied {
            if mantissa == 0 { f64::INFINITY } else { f64::NAN }
        } else if exponent == greatest && mantissa.checked_shl(1).is_some_and(|rest| field_below(rest, self.mantissa_bits) == 0) {
            f64::INFINITY
        } else {
            let (whole, power) = match (self.implied, exponent) {
                (true, 0) => (mantissa, 1),
                (true, _) => (mantissa | 1u128.checked_shl(u32::from(self.mantissa_bits)).unwrap_or(0), exponent as i64),
                // Without an implied bit, the mantissa's own first bit stands before the point.
                (false, _) => (mantissa, exponent as i64 + 1),
            };
            let shift = power.saturating_sub(i64::from(self.bias)).saturating_sub(i64::from(self.mantissa_bits));
            scaled(whole, shift)
        };
        if negative { -magnitude } else { magnitude }
    }
}

fn field_below(bits: u128, count: u8) -> u128 {
    if count >= 128 { bits } else { bits & ((1u128 << count) - 1) }
}

/// `whole × 2^shift`, rounded once.
fn scaled(whole: u128, shift: i64) -> f64 {
    if whole == 0 || shift < -4000 {
        return 0.0;
    }
    if shift > 4000 {
        return f64::INFINITY;
    }
    // 53 bits are exact. Longer ones are rounded by the conversion, before the scaling by powers of two, which is exact but for subnormals.
    let (mut value, mut left) = (whole as f64, shift as i32);
    while left > 0 {
        let step = left.min(1000);
        value *= 2f64.powi(step);
        left -= step;
    }
    while left < 0 {
        let step = left.max(-1000);
        value *= 2f64.powi(step);
        left -= step;
    }
    value
}

/// Whether members are a real and an imaginary part, as h5py and others write complex numbers.
fn is_complex(members: &[Member]) -> bool {
    let [real, imaginary] = members else { return false };
    let named = matches!((real.name.as_str(), imaginary.name.as_str()), ("r", "i") | ("real", "imag") | ("re", "im"));
    named && matches!(real.datatype.class, Class::Float { .. }) && real.datatype == imaginary.datatype
}

impl Datatype {
    /// A short word for one element: `float64`, `int16`, `text`, `bool`, `compound`, …
    pub fn word(&self) -> String {
        match &self.class {
            Class::Integer { signed, .. } => format!("{}int{}", if *signed { "" } else { "u" }, self.size.saturating_mul(8)),
            Class::Float { .. } => format!("float{}", self.size.saturating_mul(8)),
            Class::Text { .. } | Class::ListText => "text".into(),
            Class::Opaque => "bytes".into(),
            Class::Compound(members) if is_complex(members) => format!("complex{}", self.size.saturating_mul(8)),
            Class::Compound(_) => "compound".into(),
            Class::Reference(_) => "reference".into(),
            Class::Enum { .. } if self.is_bool() => "bool".into(),
            Class::Enum { .. } => "enum".into(),
            Class::List(base) => format!("list of {}", base.word()),
            Class::Array { base, dims } => {
                let dims: Vec<String> = dims.iter().map(u64::to_string).collect();
                format!("{} × {}", dims.join(" × "), base.word())
            }
        }
    }

    /// Whether this is the enumeration of FALSE and TRUE that h5py makes of truth values.
    pub fn is_bool(&self) -> bool {
        match &self.class {
            Class::Enum { members, base } if base.size == 1 => {
                let named = |name: &str, value: u8| members.iter().any(|(own, bytes)| own == name && bytes.as_slice() == [value]);
                members.len() == 2 && named("FALSE", 0) && named("TRUE", 1)
            }
            _ => false,
        }
    }

    /// Whether an element is one number (or truth value, or named number).
    pub fn is_number(&self) -> bool {
        matches!(self.class, Class::Integer { .. } | Class::Float { .. }) || self.is_bool()
    }

    /// Whether an element is a text.
    pub fn is_text(&self) -> bool {
        matches!(self.class, Class::Text { .. } | Class::ListText)
    }

    /// Roughly the bytes that this takes in memory.
    pub fn held(&self) -> u64 {
        64 + match &self.class {
            Class::Compound(members) => members.iter().map(|member| 48 + member.name.len() as u64 + member.datatype.held()).sum(),
            Class::Enum { base, members } => {
                base.held() + members.iter().map(|(name, value)| 64 + name.len() as u64 + value.len() as u64).sum::<u64>()
            }
            Class::List(base) => base.held(),
            Class::Array { dims, base } => base.held() + 8 * dims.len() as u64,
            _ => 0,
        }
    }
}

/// Reads a datatype.
pub(super) fn read(cursor: &mut Cursor<'_>) -> Result<Datatype, FormatError> {
    nested(cursor, 0)
}

fn nested(cursor: &mut Cursor<'_>, depth: usize) -> Result<Datatype, FormatError> {
    let at = cursor.here();
    if depth > MAX_DEPTH {
        return Err(bad(at, format!("a datatype nests deeper than {MAX_DEPTH}")));
    }
    let first = cursor.u8()?;
    let (version, class) = (first >> 4, first & 0x0f);
    let bits = cursor.uint(3)? as u32;
    let size = cursor.u32()? as usize;
    if !(1..=5).contains(&version) {
        return Err(bad(at, format!("a datatype of version {version}")));
    }
    if size == 0 {
        return Err(bad(at, "a datatype of no bytes"));
    }
    let order = if bits & 1 == 0 { ByteOrder::Little } else { ByteOrder::Big };
    let class = match class {
        0 | 4 => {
            let (offset, precision) = (cursor.u16()?, cursor.u16()?);
            if size > 16 || usize::from(offset) + usize::from(precision) > size * 8 || precision == 0 {
                return Err(bad(at, format!("a whole number of {precision} bits at bit {offset} in {size} bytes")));
            }
            Class::Integer { order, signed: class == 0 && bits & 8 != 0, offset, precision }
        }
        1 => Class::Float { order, layout: float(cursor, bits, size, at)? },
        2 => {
            cursor.skip(2)?;
            Class::Opaque
        }
        3 => Class::Text {
            padding: match bits & 0x0f {
                0 => Padding::Ended,
                1 => Padding::Zeros,
                2 => Padding::Blanks,
                other => return Err(bad(at, format!("a text with padding {other}"))),
            },
        },
        5 => {
            cursor.skip((bits & 0xff) as usize)?;
            Class::Opaque
        }
        6 => Class::Compound(members(cursor, (bits & 0xffff) as usize, version, size, depth)?),
        7 => Class::Reference(match bits & 0x0f {
            0 => Reference::Object,
            1 => Reference::Region,
            2..=4 => Reference::Tagged,
            other => return Err(bad(at, format!("a reference of kind {other}"))),
        }),
        8 => {
            let base = nested(cursor, depth + 1)?;
            if !matches!(base.class, Class::Integer { .. }) || base.size != size {
                return Err(bad(at, "an enumeration of something else than whole numbers of its size"));
            }
            let count = (bits & 0xffff) as usize;
            let names = (0..count).map(|_| cursor.name(version < 3)).collect::<Result<Vec<_>, _>>()?;
            let values = names.into_iter().map(|name| Ok((name, cursor.take(size)?.to_vec())));
            Class::Enum { members: values.collect::<Result<_, FormatError>>()?, base: Box::new(base) }
        }
        9 if bits & 0x0f == 1 => {
            nested(cursor, depth + 1)?;
            Class::ListText
        }
        9 => Class::List(Box::new(nested(cursor, depth + 1)?)),
        10 => {
            let count = usize::from(cursor.u8()?);
            cursor.skip(if version < 3 { 3 } else { 0 })?;
            let dims = (0..count).map(|_| cursor.u32().map(u64::from)).collect::<Result<Vec<_>, _>>()?;
            cursor.skip(if version < 3 { 4 * count } else { 0 })?;
            array(dims, nested(cursor, depth + 1)?, size, at)?
        }
        // Two numbers, the real one first (HDF5 2.0).
        11 => array(vec![2], nested(cursor, depth + 1)?, size, at)?,
        other => return Err(unread(at, format!("datatypes of class {other} are not read"), "rewrite the file with an older HDF5")),
    };
    if matches!(class, Class::List(_) | Class::ListText) && size < 8 {
        return Err(bad(at, format!("a list whose place takes {size} bytes")));
    }
    Ok(Datatype { size, class })
}

fn array(dims: Vec<u64>, base: Datatype, size: usize, at: u64) -> Result<Class, FormatError> {
    let product = dims.iter().try_fold(base.size as u64, |product, dim| product.checked_mul(*dim));
    if product != Some(size as u64) {
        return Err(bad(at, format!("an array of {dims:?} elements of {} bytes does not take {size} bytes", base.size)));
    }
    Ok(Class::Array { dims, base: Box::new(base) })
}

fn float(cursor: &mut Cursor<'_>, bits: u32, size: usize, at: u64) -> Result<FloatLayout, FormatError> {
    cursor.skip(4)?;
    let mut byte = || cursor.u8();
    let (exponent_at, exponent_bits, mantissa_at, mantissa_bits) = (byte()?, byte()?, byte()?, byte()?);
    let bias = cursor.u32()?;
    if bits & 0x40 != 0 {
        return Err(unread(at, "floating-point numbers in the VAX order are not read", "rewrite the dataset as IEEE numbers"));
    }
    let sign = ((bits >> 8) & 0xff) as u8;
    let fits = |from: u8, count: u8| usize::from(from) + usize::from(count) <= size * 8;
    if size > 16 || !fits(sign, 1) || !fits(exponent_at, exponent_bits) || !fits(mantissa_at, mantissa_bits) || exponent_bits > 32 {
        return Err(bad(at, format!("a floating-point number whose parts do not fit in {size} bytes")));
    }
    Ok(FloatLayout { size: size as u8, sign, exponent_at, exponent_bits, mantissa_at, mantissa_bits, bias, implied: (bits >> 4) & 3 == 2 })
}

fn members(cursor: &mut Cursor<'_>, count: usize, version: u8, size: usize, depth: usize) -> Result<Vec<Member>, FormatError> {
    let mut members = Vec::new();
    // The bytes that an offset takes since version 3: as many as the compound's size needs.
    let width = 1 + (size.max(1).ilog2() / 8) as usize;
    for _ in 0..count {
        let at = cursor.here();
        let name = cursor.name(version < 3)?;
        let offset = if version < 3 { cursor.u32()? as usize } else { cursor.uint(width)? as usize };
        let mut dims = Vec::new();
        if version == 1 {
            let rank = usize::from(cursor.u8()?);
            cursor.skip(3 + 4 + 4)?;
            let all = (0..4).map(|_| cursor.u32().map(u64::from)).collect::<Result<Vec<_>, _>>()?;
            dims = all.get(..rank).ok_or_else(|| bad(at, format!("a member with {rank} axes")))?.to_vec();
        }
        let mut datatype = nested(cursor, depth + 1)?;
        if !dims.is_empty() {
            let whole = dims.iter().try_fold(datatype.size as u64, |product, dim| product.checked_mul(*dim));
            let whole = whole.and_then(|whole| usize::try_from(whole).ok()).ok_or_else(|| bad(at, "a member that is too large"))?;
            datatype = Datatype { size: whole, class: Class::Array { dims, base: Box::new(datatype) } };
        }
        if offset.checked_add(datatype.size).is_none_or(|end| end > size) {
            return Err(bad(at, format!("member `{}` reaches past the {size} bytes of its compound", name.escape_debug())));
        }
        members.push(Member { name, offset, datatype });
    }
    Ok(members)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_any_layout_equal_the_machine_s() {
        for bits in
            [0u64, 1, 0x3ff0_0000_0000_0000, 0x7fef_ffff_ffff_ffff, 0x7ff0_0000_0000_0000, 0x8010_0000_0000_0001, 0xc005_bf0a_8b14_5769]
        {
            let ours = FloatLayout::ieee(8).unwrap().number(u128::from(bits));
            assert_eq!(ours.to_bits(), f64::from_bits(bits).to_bits(), "{bits:#x}");
        }
        for bits in [0u32, 1, 0x3f80_0000, 0x7f7f_ffff, 0xff80_0000, 0x0000_ffff] {
            assert_eq!(FloatLayout::ieee(4).unwrap().number(u128::from(bits)), f64::from(f32::from_bits(bits)));
        }
        let half = |bits: u16| FloatLayout::ieee(2).unwrap().number(u128::from(bits));
        assert_eq!((half(0x3c00), half(0x0001), half(0xfbff)), (1.0, 2f64.powi(-24), -65504.0));
        // x86's 80 bits have no implied bit: 1.5 is 0x3fff_c000_0000_0000_0000.
        let long = FloatLayout {
            size: 16,
            sign: 79,
            exponent_at: 64,
            exponent_bits: 15,
            mantissa_at: 0,
            mantissa_bits: 64,
            bias: 16383,
            implied: false,
        };
        assert_eq!(long.number(0x3fff_c000_0000_0000_0000), 1.5);
        assert_eq!(long.number(0xbffe_8000_0000_0000_0000), -0.5);
        assert_eq!(long.number(0x7fff_8000_0000_0000_0000), f64::INFINITY);
    }
}
