//! How one sample is stored, and the loops that turn runs of them into numbers.

use neuroflow_data::formats::bytes::ByteOrder;

/// The number a sample is stored as.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Number {
    I8,
    U8,
    I16,
    U16,
    I24,
    U24,
    I32,
    U32,
    I64,
    U64,
    F32,
    F64,
}

/// The number and the order of its bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Element {
    pub number: Number,
    pub order: ByteOrder,
}

/// The sort of samples that holds a stored number exactly.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Sort {
    I16,
    I32,
    F32,
    F64,
}

impl Element {
    pub(crate) fn little(number: Number) -> Element {
        Element { number, order: ByteOrder::Little }
    }

    pub(crate) fn big(number: Number) -> Element {
        Element { number, order: ByteOrder::Big }
    }

    /// Bytes one sample takes.
    pub(crate) fn size(self) -> usize {
        match self.number {
            Number::I8 | Number::U8 => 1,
            Number::I16 | Number::U16 => 2,
            Number::I24 | Number::U24 => 3,
            Number::I32 | Number::U32 | Number::F32 => 4,
            Number::I64 | Number::U64 | Number::F64 => 8,
        }
    }

    /// The smallest sort of samples that holds it.
    pub(crate) fn sort(self) -> Sort {
        match self.number {
            Number::I8 | Number::U8 | Number::I16 => Sort::I16,
            Number::U16 | Number::I24 | Number::U24 | Number::I32 => Sort::I32,
            Number::F32 => Sort::F32,
            Number::U32 | Number::I64 | Number::U64 | Number::F64 => Sort::F64,
        }
    }

    /// Its name, as other tools write it.
    pub(crate) fn name(self) -> &'static str {
        match self.number {
            Number::I8 => "int8",
            Number::U8 => "uint8",
            Number::I16 => "int16",
            Number::U16 => "uint16",
            Number::I24 => "int24",
            Number::U24 => "uint24",
            Number::I32 => "int32",
            Number::U32 => "uint32",
            Number::I64 => "int64",
            Number::U64 => "uint64",
            Number::F32 => "float32",
            Number::F64 => "float64",
        }
    }
}

impl Sort {
    /// The smallest sort that holds both.
    pub(crate) fn with(self, other: Sort) -> Sort {
        match (self, other) {
            (one, two) if one == two => one,
            (Sort::I16, Sort::F32) | (Sort::F32, Sort::I16) => Sort::F32,
            (Sort::I16, Sort::I32) | (Sort::I32, Sort::I16) => Sort::I32,
            _ => Sort::F64,
        }
    }
}

/// What a stored number becomes.
pub(crate) trait Target: Copy + Send {
    fn of_signed(value: i64) -> Self;
    fn of_unsigned(value: u64) -> Self;
    fn of_single(value: f32) -> Self;
    fn of_double(value: f64) -> Self;
}

macro_rules! target {
    ($($number:ty),*) => {$(
        impl Target for $number {
            #[inline(always)]
            fn of_signed(value: i64) -> Self { value as $number }
            #[inline(always)]
            fn of_unsigned(value: u64) -> Self { value as $number }
            #[inline(always)]
            fn of_single(value: f32) -> Self { value as $number }
            #[inline(always)]
            fn of_double(value: f64) -> Self { value as $number }
        }
    )*};
}
target!(i16, i32, f32, f64);

/// Where a run of samples stands in a block of bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Run {
    /// The first sample's first byte.
    pub first: usize,
    /// Bytes from one sample to the next.
    pub stride: usize,
    /// The number of samples.
    pub count: usize,
}

/// Appends a run of samples. A run that is not in `bytes` whole is cut.
pub(crate) fn decode<T: Target>(element: Element, bytes: &[u8], run: Run, into: &mut Vec<T>) {
    use ByteOrder::{Big, Little};
    match (element.number, element.order) {
        (Number::I8, _) => each::<1, T>(bytes, run, into, |[byte]| T::of_signed(i64::from(byte as i8))),
        (Number::U8, _) => each::<1, T>(bytes, run, into, |[byte]| T::of_unsigned(u64::from(byte))),
        (Number::I16, Little) => each(bytes, run, into, |own| T::of_signed(i64::from(i16::from_le_bytes(own)))),
        (Number::I16, Big) => each(bytes, run, into, |own| T::of_signed(i64::from(i16::from_be_bytes(own)))),
        (Number::U16, Little) => each(bytes, run, into, |own| T::of_unsigned(u64::from(u16::from_le_bytes(own)))),
        (Number::U16, Big) => each(bytes, run, into, |own| T::of_unsigned(u64::from(u16::from_be_bytes(own)))),
        (Number::I24, Little) => each(bytes, run, into, |[a, b, c]| T::of_signed(i64::from(i32::from_le_bytes([0, a, b, c]) >> 8))),
        (Number::I24, Big) => each(bytes, run, into, |[a, b, c]| T::of_signed(i64::from(i32::from_le_bytes([0, c, b, a]) >> 8))),
        (Number::U24, Little) => each(bytes, run, into, |[a, b, c]| T::of_unsigned(u64::from(u32::from_le_bytes([a, b, c, 0])))),
        (Number::U24, Big) => each(bytes, run, into, |[a, b, c]| T::of_unsigned(u64::from(u32::from_le_bytes([c, b, a, 0])))),
        (Number::I32, Little) => each(bytes, run, into, |own| T::of_signed(i64::from(i32::from_le_bytes(own)))),
        (Number::I32, Big) => each(bytes, run, into, |own| T::of_signed(i64::from(i32::from_be_bytes(own)))),
        (Number::U32, Little) => each(bytes, run, into, |own| T::of_unsigned(u64::from(u32::from_le_bytes(own)))),
        (Number::U32, Big) => each(bytes, run, into, |own| T::of_unsigned(u64::from(u32::from_be_bytes(own)))),
        (Number::I64, Little) => each(bytes, run, into, |own| T::of_signed(i64::from_le_bytes(own))),
        (Number::I64, Big) => each(bytes, run, into, |own| T::of_signed(i64::from_be_bytes(own))),
        (Number::U64, Little) => each(bytes, run, into, |own| T::of_unsigned(u64::from_le_bytes(own))),
        (Number::U64, Big) => each(bytes, run, into, |own| T::of_unsigned(u64::from_be_bytes(own))),
        (Number::F32, Little) => each(bytes, run, into, |own| T::of_single(f32::from_le_bytes(own))),
        (Number::F32, Big) => each(bytes, run, into, |own| T::of_single(f32::from_be_bytes(own))),
        (Number::F64, Little) => each(bytes, run, into, |own| T::of_double(f64::from_le_bytes(own))),
        (Number::F64, Big) => each(bytes, run, into, |own| T::of_double(f64::from_be_bytes(own))),
    }
}

#[inline(always)]
fn each<const N: usize, T>(bytes: &[u8], run: Run, into: &mut Vec<T>, number: impl Fn([u8; N]) -> T) {
    let from = bytes.get(run.first..).unwrap_or_default();
    if run.stride == N {
        // Side by side: a straight copy that the compiler turns into wide instructions.
        let all = from.get(..run.count.saturating_mul(N)).unwrap_or(from);
        into.extend(all.as_chunks::<N>().0.iter().map(|own| number(*own)));
    } else {
        let stride = run.stride.max(1);
        into.extend(from.chunks(stride).take(run.count).filter_map(|step| step.first_chunk::<N>()).map(|own| number(*own)));
    }
}

/// Applies `value × gain + offset` in place.
pub(crate) fn scale(values: &mut [f64], gain: f64, offset: f64) {
    for value in values {
        *value = *value * gain + offset;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(number: Number, order: ByteOrder, bytes: &[u8], stride: usize) -> Vec<f64> {
        let element = Element { number, order };
        let mut into = Vec::new();
        decode(element, bytes, Run { first: 0, stride, count: bytes.len() / stride.max(1) + 1 }, &mut into);
        into
    }

    #[test]
    fn every_number_is_read_in_both_orders() {
        use ByteOrder::{Big, Little};
        use Number::*;
        let cases: [(Number, &[u8], f64); 12] = [
            (I8, &[0xfe], -2.0),
            (U8, &[0xfe], 254.0),
            (I16, &(-300i16).to_le_bytes(), -300.0),
            (U16, &60_000u16.to_le_bytes(), 60_000.0),
            (I24, &[0x00, 0x00, 0x80], -8_388_608.0),
            (U24, &[0x01, 0x00, 0x80], 8_388_609.0),
            (I32, &(-70_000i32).to_le_bytes(), -70_000.0),
            (U32, &4_000_000_000u32.to_le_bytes(), 4e9),
            (I64, &(-5_000_000_000i64).to_le_bytes(), -5e9),
            (U64, &5_000_000_000u64.to_le_bytes(), 5e9),
            (F32, &0.1f32.to_le_bytes(), f64::from(0.1f32)),
            (F64, &0.1f64.to_le_bytes(), 0.1),
        ];
        for (number, bytes, expected) in cases {
            let swapped: Vec<u8> = bytes.iter().rev().copied().collect();
            let size = Element::little(number).size();
            assert_eq!(bytes.len(), size);
            assert_eq!(read(number, Little, bytes, size), [expected], "{number:?}");
            assert_eq!(read(number, Big, &swapped, size), [expected], "{number:?} big");
            // Two samples with a byte between them, and a third that is cut.
            let mut apart = bytes.to_vec();
            apart.push(0x55);
            apart.extend_from_slice(bytes);
            apart.push(0x55);
            apart.extend_from_slice(&bytes[..size - 1]);
            assert_eq!(read(number, Little, &apart, size + 1), [expected, expected], "{number:?} apart");
        }
    }

    #[test]
    fn sorts_hold_what_they_join() {
        assert_eq!(Sort::I16.with(Sort::I32), Sort::I32);
        assert_eq!(Sort::I16.with(Sort::F32), Sort::F32);
        // A single has 24 bits of its own: 32-bit whole numbers do not fit.
        assert_eq!(Sort::I32.with(Sort::F32), Sort::F64);
        assert_eq!(Sort::F64.with(Sort::I16), Sort::F64);
    }
}
