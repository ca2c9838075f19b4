//! The values of a `.mat` file and how to ask for their parts.

use std::borrow::Cow;

use super::super::limits::Limits;
use super::super::{Format, FormatError, Place};
use super::numbers::MatNumbers;

/// MATLAB's class of a numeric array.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[allow(missing_docs, reason = "the variants are named as in MATLAB")]
pub enum MatClass {
    Double,
    Single,
    Int8,
    UInt8,
    Int16,
    UInt16,
    Int32,
    UInt32,
    Int64,
    UInt64,
    /// True and false, as 1 and 0.
    Logical,
}

impl MatClass {
    /// Bytes that a number of it takes.
    pub(super) fn bytes(self) -> usize {
        match self {
            MatClass::Int8 | MatClass::UInt8 | MatClass::Logical => 1,
            MatClass::Int16 | MatClass::UInt16 => 2,
            MatClass::Int32 | MatClass::UInt32 | MatClass::Single => 4,
            MatClass::Int64 | MatClass::UInt64 | MatClass::Double => 8,
        }
    }

    /// Whether each of its values is one of `other` as well, and is one of double precision.
    pub(super) fn is_within(self, other: MatClass) -> bool {
        use MatClass::{Double, Int8, Int16, Int32, Logical, Single, UInt8, UInt16, UInt32};
        match other {
            Double => matches!(self, Double | Single | Int8 | UInt8 | Int16 | UInt16 | Int32 | UInt32),
            Single => matches!(self, Single | Int8 | UInt8 | Int16 | UInt16),
            Int32 => matches!(self, Int8 | UInt8 | Int16 | UInt16 | Int32),
            UInt32 => matches!(self, UInt8 | UInt16 | UInt32),
            Int16 => matches!(self, Int8 | UInt8 | Int16),
            UInt16 => matches!(self, UInt8 | UInt16),
            Int8 => self == Int8,
            UInt8 | Logical => self == UInt8,
            MatClass::Int64 | MatClass::UInt64 => false,
        }
    }
}

/// A value in a `.mat` file. Every `dims` is MATLAB's `size`, and every list is column-major (first dimension fastest).
#[derive(Debug, Clone, PartialEq)]
pub enum MatValue {
    /// A dense numeric or logical array.
    Numeric {
        /// Its `size`.
        dims: Vec<usize>,
        /// Its class.
        class: MatClass,
        /// The real parts.
        data: MatNumbers,
        /// The imaginary parts of a complex array, as many as the real ones.
        imaginary: Option<MatNumbers>,
    },
    /// A character array.
    Char {
        /// Its `size`, in characters.
        dims: Vec<usize>,
        /// One string a row (padding blanks kept); none if the array is empty.
        rows: Vec<String>,
    },
    /// A struct array.
    Struct {
        /// Its `size`; `[1, 1]` for a plain struct.
        dims: Vec<usize>,
        /// Each field with its value in every element of the array.
        fields: Vec<(String, Vec<MatValue>)>,
    },
    /// A cell array.
    Cell {
        /// Its `size`.
        dims: Vec<usize>,
        /// The cells.
        values: Vec<MatValue>,
    },
    /// A sparse matrix in compressed columns.
    Sparse {
        /// Rows and columns.
        dims: [usize; 2],
        /// The row, from 0, of each stored entry.
        rows: Vec<u32>,
        /// Where each column's entries begin in `rows`; one more than there are columns.
        column_starts: Vec<usize>,
        /// The stored entries.
        data: Vec<f64>,
        /// Their imaginary parts.
        imaginary: Option<Vec<f64>>,
        /// True for a sparse logical matrix.
        logical: bool,
    },
    /// A function handle or object, which is not read.
    Skipped {
        /// What it is, such as `function handle`.
        class_name: String,
    },
}

impl MatValue {
    /// MATLAB's `size`; empty for a skipped value.
    pub fn dims(&self) -> &[usize] {
        match self {
            MatValue::Numeric { dims, .. } | MatValue::Char { dims, .. } | MatValue::Struct { dims, .. } | MatValue::Cell { dims, .. } => {
                dims
            }
            MatValue::Sparse { dims, .. } => dims,
            MatValue::Skipped { .. } => &[],
        }
    }

    /// What this is, in words: `a 1×128 cell array`.
    pub fn describe(&self) -> String {
        let what = match self {
            MatValue::Numeric { class, imaginary, .. } => {
                format!("{}{} array", if imaginary.is_some() { "complex " } else { "" }, format!("{class:?}").to_lowercase())
            }
            MatValue::Char { .. } => "char array".to_owned(),
            MatValue::Struct { .. } => "struct array".to_owned(),
            MatValue::Cell { .. } => "cell array".to_owned(),
            MatValue::Sparse { .. } => "sparse matrix".to_owned(),
            MatValue::Skipped { class_name } => return format!("a {class_name} (not read)"),
        };
        let size: Vec<String> = self.dims().iter().map(usize::to_string).collect();
        format!("a {} {what}", size.join("×"))
    }

    /// The field `name` of a plain (1×1) struct. For struct arrays use [`MatValue::field_values`].
    pub fn field(&self, name: &str) -> Result<&MatValue, FormatError> {
        match self.field_values(name)? {
            [only] => Ok(only),
            values => Err(self
                .is_not(&format!("the field `{name}` of one struct"), &format!("it has {} elements, ask for one of them", values.len()))),
        }
    }

    /// The field `name` in every element of a struct array.
    pub fn field_values(&self, name: &str) -> Result<&[MatValue], FormatError> {
        let MatValue::Struct { fields, .. } = self else {
            return Err(self.is_not(&format!("a struct with the field `{name}`"), "look at the variable in MATLAB with `whos`"));
        };
        fields.iter().find(|(own, _)| own == name).map(|(_, values)| values.as_slice()).ok_or_else(|| {
            let names: Vec<&str> = fields.iter().map(|(own, _)| own.as_str()).collect();
            self.is_not(&format!("a struct with the field `{name}`"), &format!("its fields are: {}", some_of(&names)))
        })
    }

    /// All cells of a cell array.
    pub fn cells(&self) -> Result<&[MatValue], FormatError> {
        match self {
            MatValue::Cell { values, .. } => Ok(values),
            _ => Err(self.is_not("a cell array", "look at the variable in MATLAB with `whos`")),
        }
    }

    /// The cell at `position`, counted from 0 in column-major order.
    pub fn cell(&self, position: usize) -> Result<&MatValue, FormatError> {
        let cells = self.cells()?;
        cells
            .get(position)
            .ok_or_else(|| self.is_not(&format!("a cell array with a cell {{{}}}", position + 1), &format!("it has {} cells", cells.len())))
    }

    /// The real parts of a dense numeric array as `f64`, column-major: borrowed for class `double`, converted for the others.
    ///
    /// Refuses 64-bit integers beyond 2⁵³, which `f64` can't hold, and complex arrays, whose imaginary part would be lost.
    pub fn numbers(&self) -> Result<Cow<'_, [f64]>, FormatError> {
        match self {
            MatValue::Numeric { data, imaginary: None, .. } => data.to_f64().ok_or_else(|| {
                self.is_not(
                    "an array of numbers that 64-bit floats can hold",
                    "it has integers beyond 2^53: subtract what they have in common, such as the first time, before they are saved",
                )
            }),
            MatValue::Numeric { imaginary: Some(_), .. } => {
                Err(self.is_not("an array of real numbers", "save its `real`, `imag` or `abs`"))
            }
            MatValue::Sparse { .. } => Err(self.is_not("a dense array", "save `full(…)` of it")),
            _ => Err(self.is_not("a numeric array", "look at the variable in MATLAB with `whos`")),
        }
    }

    /// The one number of a 1×1 array.
    pub fn number(&self) -> Result<f64, FormatError> {
        match self.numbers()?.as_ref() {
            [only] => Ok(*only),
            _ => Err(self.is_not("one number", "take the whole array")),
        }
    }

    /// The text of a character array of one row; an empty array is the empty text.
    pub fn text(&self) -> Result<&str, FormatError> {
        match self {
            MatValue::Char { rows, .. } => match rows.as_slice() {
                [] => Ok(""),
                [only] => Ok(only),
                _ => Err(self.is_not("one line of text", "use its rows")),
            },
            _ => Err(self.is_not("text", "look at the variable in MATLAB with `whos`")),
        }
    }

    /// The real parts of a sparse matrix as a dense one, column-major, if `limits` allow that many numbers.
    pub fn dense(&self, limits: &Limits) -> Result<Vec<f64>, FormatError> {
        let MatValue::Sparse { dims: [n_rows, n_columns], rows, column_starts, data, imaginary: None, .. } = self else {
            return Err(self.is_not("a sparse matrix of real numbers", "save its `real`, `imag` or `abs`"));
        };
        let count = n_rows.checked_mul(*n_columns).filter(|count| (*count as u64).saturating_mul(8) <= limits.max_total_bytes);
        let Some(count) = count else {
            return Err(self.is_not("a matrix small enough to be dense", "work with its entries, or raise the reader's limits"));
        };
        let mut dense = vec![0.0; count];
        for (column, bounds) in column_starts.windows(2).enumerate() {
            let &[from, to] = bounds else { continue };
            for (row, value) in rows.get(from..to).unwrap_or_default().iter().zip(data.get(from..to).unwrap_or_default()) {
                if let Some(place) = dense.get_mut(column * n_rows + *row as usize) {
                    *place = *value;
                }
            }
        }
        Ok(dense)
    }

    fn is_not(&self, wanted: &str, help: &str) -> FormatError {
        FormatError::new(Format::Mat5, Place::File, format!("{wanted} is expected, this is {}", self.describe()), help)
    }
}

/// The first names of a list, for a message.
pub(super) fn some_of(names: &[&str]) -> String {
    const SHOWN: usize = 12;
    match names.len() {
        0 => "nothing".to_owned(),
        n if n <= SHOWN => names.join(", "),
        n => format!("{} and {} more", names.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", "), n - SHOWN),
    }
}
