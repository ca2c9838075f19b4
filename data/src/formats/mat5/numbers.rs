//! The numbers of an array in the type that MATLAB's class calls for.

use std::borrow::Cow;

use super::super::bytes::{ByteOrder, Stored, charge_values, decode};
use super::super::limits::Budget;
use super::element::{Element, MI_DOUBLE, MI_INT8, MI_INT16, MI_INT32, MI_INT64, MI_SINGLE, MI_UINT8, MI_UINT16, MI_UINT32, MI_UINT64};
use super::value::MatClass;

/// The numbers of an array, column-major, in the type of the array's class.
#[derive(Debug, Clone, PartialEq)]
#[allow(missing_docs, reason = "the variants are named after their element type")]
pub enum MatNumbers {
    F64(Vec<f64>),
    F32(Vec<f32>),
    I8(Vec<i8>),
    U8(Vec<u8>),
    I16(Vec<i16>),
    U16(Vec<u16>),
    I32(Vec<i32>),
    U32(Vec<u32>),
    I64(Vec<i64>),
    U64(Vec<u64>),
}

/// The largest integer up to which every integer is an `f64`.
const EXACT: u64 = 1 << 53;

macro_rules! each {
    ($numbers:expr, $values:ident => $body:expr) => {
        match $numbers {
            MatNumbers::F64($values) => $body,
            MatNumbers::F32($values) => $body,
            MatNumbers::I8($values) => $body,
            MatNumbers::U8($values) => $body,
            MatNumbers::I16($values) => $body,
            MatNumbers::U16($values) => $body,
            MatNumbers::I32($values) => $body,
            MatNumbers::U32($values) => $body,
            MatNumbers::I64($values) => $body,
            MatNumbers::U64($values) => $body,
        }
    };
}

impl MatNumbers {
    /// How many numbers there are.
    pub fn len(&self) -> usize {
        each!(self, values => values.len())
    }

    /// True if there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// One number in digits, as exact as it is stored; none past the end.
    pub fn text(&self, position: usize) -> Option<String> {
        each!(self, values => values.get(position).map(ToString::to_string))
    }

    /// The numbers as `f64`: borrowed if they are, converted if not. `None` if a 64-bit integer has no exact `f64`.
    pub fn to_f64(&self) -> Option<Cow<'_, [f64]>> {
        Some(match self {
            MatNumbers::F64(values) => Cow::Borrowed(values),
            MatNumbers::F32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            MatNumbers::I8(values) => values.iter().map(|value| f64::from(*value)).collect(),
            MatNumbers::U8(values) => values.iter().map(|value| f64::from(*value)).collect(),
            MatNumbers::I16(values) => values.iter().map(|value| f64::from(*value)).collect(),
            MatNumbers::U16(values) => values.iter().map(|value| f64::from(*value)).collect(),
            MatNumbers::I32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            MatNumbers::U32(values) => values.iter().map(|value| f64::from(*value)).collect(),
            MatNumbers::I64(values) if values.iter().all(|value| value.unsigned_abs() <= EXACT) => {
                values.iter().map(|value| *value as f64).collect()
            }
            MatNumbers::U64(values) if values.iter().all(|value| *value <= EXACT) => values.iter().map(|value| *value as f64).collect(),
            MatNumbers::I64(_) | MatNumbers::U64(_) => return None,
        })
    }

    /// Decodes `element` into the type of `class`, whatever type it is stored in. MATLAB stores numbers in the smallest type that holds
    /// them all, so the conversion is exact in files it wrote.
    pub(super) fn decode(element: &Element<'_>, class: MatClass, order: ByteOrder, budget: &mut Budget) -> Result<MatNumbers, String> {
        Ok(match class {
            MatClass::Double => MatNumbers::F64(converted(element, order, budget)?),
            MatClass::Single => MatNumbers::F32(converted(element, order, budget)?),
            MatClass::Int8 => MatNumbers::I8(converted(element, order, budget)?),
            MatClass::UInt8 | MatClass::Logical => MatNumbers::U8(converted(element, order, budget)?),
            MatClass::Int16 => MatNumbers::I16(converted(element, order, budget)?),
            MatClass::UInt16 => MatNumbers::U16(converted(element, order, budget)?),
            MatClass::Int32 => MatNumbers::I32(converted(element, order, budget)?),
            MatClass::UInt32 => MatNumbers::U32(converted(element, order, budget)?),
            MatClass::Int64 => MatNumbers::I64(converted(element, order, budget)?),
            MatClass::UInt64 => MatNumbers::U64(converted(element, order, budget)?),
        })
    }
}

/// The class of numbers that are stored as a type.
pub(super) fn stored_as(kind: u32) -> Option<MatClass> {
    Some(match kind {
        MI_DOUBLE => MatClass::Double,
        MI_SINGLE => MatClass::Single,
        MI_INT8 => MatClass::Int8,
        MI_UINT8 => MatClass::UInt8,
        MI_INT16 => MatClass::Int16,
        MI_UINT16 => MatClass::UInt16,
        MI_INT32 => MatClass::Int32,
        MI_UINT32 => MatClass::UInt32,
        MI_INT64 => MatClass::Int64,
        MI_UINT64 => MatClass::UInt64,
        _ => return None,
    })
}

/// A number that any stored number can be turned into.
pub(super) trait Target: Sized {
    fn of_i64(value: i64) -> Self;
    fn of_u64(value: u64) -> Self;
    fn of_f64(value: f64) -> Self;
}

macro_rules! target {
    ($($number:ty),*) => {$(
        impl Target for $number {
            #[inline]
            fn of_i64(value: i64) -> Self { value as $number }
            #[inline]
            fn of_u64(value: u64) -> Self { value as $number }
            #[inline]
            fn of_f64(value: f64) -> Self { value as $number }
        }
    )*};
}
target!(f64, f32, i8, u8, i16, u16, i32, u32, i64, u64);

/// All numbers of `element` as `T`, charged to `budget` before they are held.
pub(super) fn converted<T: Target>(element: &Element<'_>, order: ByteOrder, budget: &mut Budget) -> Result<Vec<T>, String> {
    fn all<S: Stored, T>(element: &Element<'_>, order: ByteOrder, budget: &mut Budget, into: impl Fn(S) -> T) -> Result<Vec<T>, String> {
        if !element.data.len().is_multiple_of(S::SIZE) {
            return Err(format!("{} bytes are no whole count of {}-byte numbers", element.data.len(), S::SIZE));
        }
        charge_values::<T>(budget, element.data.len() / S::SIZE)?;
        Ok(decode(element.data, order, into))
    }
    match element.kind {
        MI_DOUBLE => all(element, order, budget, |value: f64| T::of_f64(value)),
        MI_SINGLE => all(element, order, budget, |value: f32| T::of_f64(f64::from(value))),
        MI_INT8 => all(element, order, budget, |value: i8| T::of_i64(i64::from(value))),
        MI_UINT8 => all(element, order, budget, |value: u8| T::of_u64(u64::from(value))),
        MI_INT16 => all(element, order, budget, |value: i16| T::of_i64(i64::from(value))),
        MI_UINT16 => all(element, order, budget, |value: u16| T::of_u64(u64::from(value))),
        MI_INT32 => all(element, order, budget, |value: i32| T::of_i64(i64::from(value))),
        MI_UINT32 => all(element, order, budget, |value: u32| T::of_u64(u64::from(value))),
        MI_INT64 => all(element, order, budget, |value: i64| T::of_i64(value)),
        MI_UINT64 => all(element, order, budget, |value: u64| T::of_u64(value)),
        other => Err(format!("numbers are expected, found an element of type {other}")),
    }
}
