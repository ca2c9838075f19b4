//! Matrices: flags, dimensions, name, then whatever their class calls for.

use super::super::bytes::{ByteOrder, charge_values, number_at};
use super::super::error::{COPY_AGAIN, RAISE_LIMIT};
use super::super::limits::{Budget, Limits};
use super::element::{Cursor, Element, MI_INT8, MI_INT32, MI_MATRIX, MI_UINT8, MI_UINT16, MI_UINT32, MI_UTF8, MI_UTF16, MI_UTF32, Problem};
use super::numbers::{MatNumbers, converted, stored_as};
use super::value::{MatClass, MatValue};
use std::ops::Range;

const FLAG_LOGICAL: u32 = 0x0200;
const FLAG_COMPLEX: u32 = 0x0800;

/// MATLAB never writes more; the format has no limit.
const MOST_DIMENSIONS: usize = 256;

/// Elements to reserve room for before they have been seen: the dimensions of nested cells may claim the same bytes over and over.
const MOST_RESERVED: usize = 256;

/// The class of a dense array of numbers, by the class number and the flags of its header; none when it is another sort of array.
pub fn numeric_class(class: u32, bits: u32) -> Option<MatClass> {
    Some(match class {
        6 => MatClass::Double,
        7 => MatClass::Single,
        8 => MatClass::Int8,
        9 if bits & FLAG_LOGICAL != 0 => MatClass::Logical,
        9 => MatClass::UInt8,
        10 => MatClass::Int16,
        11 => MatClass::UInt16,
        12 => MatClass::Int32,
        13 => MatClass::UInt32,
        14 => MatClass::Int64,
        15 => MatClass::UInt64,
        _ => return None,
    })
}

/// A variable that is a dense array of real numbers, whose numbers can be read where they stand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dense {
    /// Its dimensions; the first varies fastest.
    pub dims: Vec<usize>,
    /// The type that its numbers are stored as, in which each has the value that it has in the array's class.
    pub stored: MatClass,
    /// Where its numbers stand in the matrix.
    pub numbers: Range<usize>,
}

/// A matrix (the data of its element) that is one; none when it is anything else, 64-bit integers included, or is not whole.
pub fn dense(matrix: &[u8], order: ByteOrder) -> Option<Dense> {
    let (limits, mut budget, mut notes) = (Limits::default(), Budget::new(0), Vec::new());
    let mut cursor = Cursor::within(matrix, 0, order);
    let flags = cursor.next_element().ok()??;
    let bits: u32 = number_at(flags.data, 0, order).filter(|_| flags.kind == MI_UINT32)?;
    let class = numeric_class(bits & 0xff, bits).filter(|_| bits & FLAG_COMPLEX == 0)?;
    let reader = MatrixReader { order, limits: &limits, budget: &mut budget, notes: &mut notes };
    let dims = reader.dimensions(&mut cursor).ok()?;
    cursor.next_element().ok()??;
    let element = cursor.next_element().ok()??;
    let stored = stored_as(element.kind)?;
    let fits = element.data.len() == count_of(&dims).checked_mul(stored.bytes())? && stored.is_within(class);
    fits.then(|| Dense { dims, stored, numbers: element.offset..element.offset + element.data.len() })
}

/// Reads matrices, charging what it holds.
pub(super) struct MatrixReader<'r> {
    pub order: ByteOrder,
    pub limits: &'r Limits,
    pub budget: &'r mut Budget,
    pub notes: &'r mut Vec<String>,
}

/// A value with the name in its own header; empty inside structs and cells.
pub(super) struct Named {
    pub name: String,
    pub value: MatValue,
}

impl MatrixReader<'_> {
    /// A variable: the data of a `miMATRIX` element that begin at byte `base`.
    pub(super) fn variable(&mut self, data: &[u8], base: u64) -> Result<Named, Problem> {
        let base = usize::try_from(base).unwrap_or(usize::MAX);
        self.matrix(data, base, 0)
    }

    fn matrix(&mut self, data: &[u8], base: usize, depth: usize) -> Result<Named, Problem> {
        if data.is_empty() {
            // An element of a cell or struct that was never assigned.
            let value = MatValue::Numeric { dims: vec![0, 0], class: MatClass::Double, data: MatNumbers::F64(Vec::new()), imaginary: None };
            return Ok(Named { name: String::new(), value });
        }
        if depth > self.limits.max_depth {
            let reason = format!("structs and cells nest deeper than {}", self.limits.max_depth);
            return Err(Problem::new(base as u64, reason, RAISE_LIMIT));
        }
        let mut cursor = Cursor::within(data, base, self.order);
        let flags = cursor.expect("the array flags")?;
        let bits: u32 = match (flags.kind, number_at(flags.data, 0, self.order)) {
            (MI_UINT32, Some(bits)) => bits,
            _ => return Err(Problem::new(flags.offset as u64, "the array flags are missing", COPY_AGAIN)),
        };
        let class = bits & 0xff;
        if class == 17 {
            return self.opaque(&mut cursor);
        }
        let dims = self.dimensions(&mut cursor)?;
        let name_element = cursor.expect("the name of an array")?;
        let name = self.text_of_name(&name_element)?;
        let value = self.contents(&mut cursor, class, bits, dims, depth);
        match value {
            Ok(value) => Ok(Named { name, value }),
            Err(problem) => Err(if depth == 0 { problem.inside(&name) } else { problem }),
        }
    }

    fn contents(&mut self, cursor: &mut Cursor<'_>, class: u32, bits: u32, dims: Vec<usize>, depth: usize) -> Result<MatValue, Problem> {
        let numeric = match class {
            1 => return self.cell(cursor, dims, depth),
            2 => return self.structure(cursor, dims, depth),
            3 => return self.object(cursor),
            4 => return self.characters(cursor, dims),
            5 => return self.sparse(cursor, dims, bits),
            16 => {
                self.notes.push("left out a function handle".to_owned());
                return Ok(MatValue::Skipped { class_name: "function handle".to_owned() });
            }
            class => numeric_class(class, bits).ok_or_else(|| {
                Problem::new(cursor.byte(), format!("an array has the class number {class}, 1 to 17 are known"), COPY_AGAIN)
            })?,
        };
        let count = count_of(&dims);
        let data = self.part(cursor, numeric, count, "the numbers")?;
        let imaginary = match bits & FLAG_COMPLEX {
            0 => None,
            _ => Some(self.part(cursor, numeric, count, "the imaginary parts")?),
        };
        Ok(MatValue::Numeric { dims, class: numeric, data, imaginary })
    }

    /// The real or imaginary parts of a dense array of `count` elements.
    fn part(&mut self, cursor: &mut Cursor<'_>, class: MatClass, count: usize, what: &str) -> Result<MatNumbers, Problem> {
        let element = cursor.expect(what)?;
        let numbers = MatNumbers::decode(&element, class, self.order, self.budget).map_err(|reason| at(&element, reason))?;
        match numbers.len() {
            found if found == count => Ok(numbers),
            found => Err(at(&element, format!("the dimensions call for {count} numbers, there are {found}"))),
        }
    }

    fn dimensions(&self, cursor: &mut Cursor<'_>) -> Result<Vec<usize>, Problem> {
        let element = cursor.expect("the dimensions")?;
        if element.kind != MI_INT32 || !element.data.len().is_multiple_of(4) || !(8..=4 * MOST_DIMENSIONS).contains(&element.data.len()) {
            return Err(at(&element, "the dimensions are expected here, two or more 32-bit integers"));
        }
        let dims: Vec<usize> =
            super::super::bytes::decode(element.data, self.order, |value: i32| usize::try_from(value).unwrap_or(usize::MAX));
        let count = dims.iter().try_fold(1usize, |count, dim| if count == 0 { Some(0) } else { count.checked_mul(*dim) });
        if dims.contains(&usize::MAX) {
            return Err(at(&element, "a dimension is negative"));
        }
        if count.is_none() && !dims.contains(&0) {
            return Err(at(&element, "the dimensions multiply to more than a computer can count"));
        }
        Ok(dims)
    }

    fn text_of_name(&self, element: &Element<'_>) -> Result<String, Problem> {
        match element.kind {
            MI_INT8 | MI_UINT8 | MI_UTF8 => Ok(String::from_utf8_lossy(until_zero(element.data)).into_owned()),
            other => Err(at(element, format!("a name is expected here, found an element of type {other}"))),
        }
    }

    /// The next element, which must be a matrix, at one level further in.
    fn nested(&mut self, cursor: &mut Cursor<'_>, what: &str, depth: usize) -> Result<MatValue, Problem> {
        let element = cursor.expect(what)?;
        if element.kind != MI_MATRIX {
            return Err(at(&element, format!("{what} should be an array, found an element of type {}", element.kind)));
        }
        self.budget.charge(size_of::<MatValue>() as u64 + 16).map_err(|reason| at_limit(&element, reason))?;
        Ok(self.matrix(element.data, element.offset, depth + 1)?.value)
    }

    fn cell(&mut self, cursor: &mut Cursor<'_>, dims: Vec<usize>, depth: usize) -> Result<MatValue, Problem> {
        let count = count_of(&dims);
        let mut values = Vec::with_capacity(count.min(MOST_RESERVED));
        for position in 0..count {
            values.push(self.nested(cursor, "a cell", depth).map_err(|problem| problem.inside(format_args!("{{{}}}", position + 1)))?);
        }
        Ok(MatValue::Cell { dims, values })
    }

    fn structure(&mut self, cursor: &mut Cursor<'_>, dims: Vec<usize>, depth: usize) -> Result<MatValue, Problem> {
        let length_element = cursor.expect("the length of the field names")?;
        let length = number_at::<i32>(length_element.data, 0, self.order).and_then(|length| usize::try_from(length).ok());
        let names_element = cursor.expect("the field names")?;
        let names: Vec<String> = match length {
            _ if names_element.data.is_empty() => Vec::new(),
            Some(length) if length > 0 && names_element.data.len().is_multiple_of(length) => {
                charge_values::<(String, Vec<MatValue>)>(self.budget, names_element.data.len() / length)
                    .map_err(|reason| at_limit(&names_element, reason))?;
                names_element.data.chunks_exact(length).map(|name| String::from_utf8_lossy(until_zero(name)).into_owned()).collect()
            }
            _ => return Err(at(&names_element, "the field names do not have the length they declare")),
        };
        let count = count_of(&dims);
        let reserved = count.min(MOST_RESERVED / names.len().max(1));
        let mut fields: Vec<(String, Vec<MatValue>)> = names.into_iter().map(|name| (name, Vec::with_capacity(reserved))).collect();
        // A struct without fields has nothing to read, whatever its dimensions claim.
        let elements = if fields.is_empty() { 0 } else { count };
        for element in 0..elements {
            for (name, values) in &mut fields {
                let value = self.nested(cursor, "the value of a field", depth).map_err(|problem| {
                    let part = if count == 1 { format!(".{name}") } else { format!("({}).{name}", element + 1) };
                    problem.inside(part)
                })?;
                values.push(value);
            }
        }
        Ok(MatValue::Struct { dims, fields })
    }

    fn characters(&mut self, cursor: &mut Cursor<'_>, dims: Vec<usize>) -> Result<MatValue, Problem> {
        let count = count_of(&dims);
        if count == 0 {
            return Ok(MatValue::Char { dims, rows: Vec::new() });
        }
        let element = cursor.expect("the characters")?;
        // A `char` takes four bytes, and so does the worst case of its place in a row.
        self.budget.charge((element.data.len() as u64).saturating_mul(8)).map_err(|reason| at_limit(&element, reason))?;
        let characters: Vec<char> = match element.kind {
            MI_UTF8 | MI_INT8 | MI_UINT8 => match std::str::from_utf8(element.data) {
                Ok(text) => text.chars().collect(),
                // Before Unicode MATLAB wrote the bytes of Latin-1, whose characters have the numbers of Unicode.
                Err(_) => element.data.iter().map(|byte| char::from(*byte)).collect(),
            },
            MI_UTF16 | MI_UINT16 => {
                let units = super::super::bytes::decode(element.data, self.order, |unit: u16| unit);
                char::decode_utf16(units).map(|character| character.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
            }
            MI_UTF32 => super::super::bytes::decode(element.data, self.order, |code: u32| {
                char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER)
            }),
            other => return Err(at(&element, format!("characters are expected, found an element of type {other}"))),
        };
        let n_rows = dims.first().copied().unwrap_or(1);
        if n_rows == 1 {
            // The dimensions count UTF-16 units, of which one character may take two.
            let units: usize = characters.iter().map(|character| character.len_utf16()).sum();
            if count != characters.len() && count != units && count != element.data.len() {
                return Err(at(&element, format!("the dimensions call for {count} characters, there are {}", characters.len())));
            }
            return Ok(MatValue::Char { dims, rows: vec![characters.into_iter().collect()] });
        }
        if count != characters.len() {
            return Err(at(&element, format!("the dimensions call for {count} characters, there are {}", characters.len())));
        }
        charge_values::<String>(self.budget, n_rows).map_err(|reason| at_limit(&element, reason))?;
        let rows = (0..n_rows).map(|row| characters.iter().skip(row).step_by(n_rows).collect()).collect();
        Ok(MatValue::Char { dims, rows })
    }

    fn sparse(&mut self, cursor: &mut Cursor<'_>, dims: Vec<usize>, bits: u32) -> Result<MatValue, Problem> {
        let (order, &[n_rows, n_columns]) = (self.order, dims.as_slice()) else {
            return Err(Problem::new(cursor.byte(), "a sparse matrix has two dimensions", COPY_AGAIN));
        };
        let rows_element = cursor.expect("the row numbers")?;
        let rows: Vec<u32> = converted(&rows_element, order, self.budget).map_err(|reason| at(&rows_element, reason))?;
        let starts_element = cursor.expect("the column starts")?;
        let starts: Vec<u64> = converted(&starts_element, order, self.budget).map_err(|reason| at(&starts_element, reason))?;
        let column_starts: Vec<usize> = starts.into_iter().map(|start| usize::try_from(start).unwrap_or(usize::MAX)).collect();
        let entries = column_starts.last().copied().unwrap_or(0);
        let ordered = column_starts.windows(2).all(|pair| pair.first() <= pair.last());
        if Some(column_starts.len()) != n_columns.checked_add(1) || column_starts.first() != Some(&0) || !ordered || entries > rows.len() {
            return Err(at(
                &starts_element,
                "the column starts of a sparse matrix should rise from 0 to the number of entries, one for each column and one more",
            ));
        }
        let mut part = |what: &str| -> Result<Vec<f64>, Problem> {
            let element = cursor.expect(what)?;
            let mut data: Vec<f64> = converted(&element, order, self.budget).map_err(|reason| at(&element, reason))?;
            if data.len() < entries {
                return Err(at(&element, format!("a sparse matrix with {entries} entries holds {} numbers", data.len())));
            }
            data.truncate(entries);
            Ok(data)
        };
        let data = part("the entries")?;
        let imaginary = if bits & FLAG_COMPLEX == 0 { None } else { Some(part("the imaginary parts")?) };
        let mut rows = rows;
        rows.truncate(entries);
        if rows.iter().any(|row| *row as usize >= n_rows) {
            return Err(at(&rows_element, format!("a sparse matrix of {n_rows} rows has an entry in a row beyond them")));
        }
        Ok(MatValue::Sparse { dims: [n_rows, n_columns], rows, column_starts, data, imaginary, logical: bits & FLAG_LOGICAL != 0 })
    }

    /// An object of an old-style class: its class name follows, then the fields, which mean nothing without the class.
    fn object(&mut self, cursor: &mut Cursor<'_>) -> Result<MatValue, Problem> {
        let element = cursor.expect("the class name of an object")?;
        let class_name = format!("{} object", self.text_of_name(&element)?);
        self.notes.push(format!("left out a {class_name}; save its contents as a struct to have them"));
        Ok(MatValue::Skipped { class_name })
    }

    /// A value of a class defined with `classdef` (also `string`, `table`, `datetime`): name, type system, class name, then private data.
    fn opaque(&mut self, cursor: &mut Cursor<'_>) -> Result<Named, Problem> {
        let name_element = cursor.expect("the name of an object")?;
        let name = self.text_of_name(&name_element)?;
        let mut class = String::new();
        for what in ["the type system of an object", "the class name of an object"] {
            let element = cursor.expect(what)?;
            class = self.text_of_name(&element)?;
        }
        self.notes.push(format!("left out `{name}`, a {class} object; save its contents as a struct, cell or char array to have them"));
        Ok(Named { name, value: MatValue::Skipped { class_name: format!("{class} object") } })
    }
}

/// The product of the dimensions, which `dimensions` has checked.
fn count_of(dims: &[usize]) -> usize {
    if dims.contains(&0) { 0 } else { dims.iter().fold(1, |count: usize, dim| count.saturating_mul(*dim)) }
}

fn until_zero(bytes: &[u8]) -> &[u8] {
    bytes.split(|byte| *byte == 0).next().unwrap_or_default()
}

fn at(element: &Element<'_>, reason: impl Into<String>) -> Problem {
    let reason = reason.into();
    if reason.contains("may hold in memory") { at_limit(element, reason) } else { Problem::new(element.offset as u64, reason, COPY_AGAIN) }
}

fn at_limit(element: &Element<'_>, reason: String) -> Problem {
    Problem::new(element.offset as u64, reason, RAISE_LIMIT)
}
