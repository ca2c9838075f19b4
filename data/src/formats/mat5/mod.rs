//! MATLAB 5 `.mat` files, as MATLAB writes them with `save -v6` and `save -v7`.
//!
//! Reads numeric, logical, character, sparse, struct and cell arrays, nested and compressed, in either byte order. Numbers keep the class
//! that MATLAB gave them (a `double` stored as bytes is a `double` again), and arrays keep MATLAB's order: **column-major**, first
//! dimension fastest. Function handles and class objects have no documented layout; they become [`MatValue::Skipped`] with a note.
//!
//! Refused with a message: MATLAB 4 and 7.3 files, data that end early or disagree with their dimensions, nesting deeper than
//! [`Limits::max_depth`], and anything that inflates beyond [`Limits`]. Beside the file, a reader holds one inflated variable at a time and the values: those of a
//! numeric array take what their class takes, and the worst a hostile file can do (names and cells of nothing) is 64 bytes for each
//! inflated byte.
//!
//! The layout is that of "MAT-File Format" (The MathWorks, R2019b), chapter 1; values were compared with SciPy's `loadmat`.

mod element;
mod matrix;
mod numbers;
mod value;

pub use matrix::{Dense, dense, numeric_class};
pub use numbers::MatNumbers;
pub use value::{MatClass, MatValue};

use super::bytes::{ByteOrder, number_at};
use super::error::{COPY_AGAIN, RAISE_LIMIT};
use super::inflate::{Wrapping, begin_of_zlib, inflate_likely};
use super::limits::{Budget, Limits};
use super::{Format, FormatError, Place};
use element::{Cursor, MI_COMPRESSED, MI_MATRIX};
use matrix::{MatrixReader, Named};

/// Bytes of text, subsystem offset, version and byte order before the first variable.
const HEADER_BYTES: usize = 128;

/// What a `.mat` file holds.
#[derive(Debug, Clone, PartialEq)]
pub struct MatFile {
    /// Names and values of the variables, in the file's order.
    pub variables: Vec<(String, MatValue)>,
    /// What was left out, one sentence each.
    pub notes: Vec<String>,
}

impl MatFile {
    /// The variable called `name`; the error lists the names that exist.
    pub fn get(&self, name: &str) -> Result<&MatValue, FormatError> {
        self.variables.iter().find(|(own, _)| own == name).map(|(_, value)| value).ok_or_else(|| {
            let names: Vec<&str> = self.variables.iter().map(|(own, _)| own.as_str()).collect();
            FormatError::new(
                Format::Mat5,
                Place::File,
                format!("there is no variable `{name}`"),
                format!("the file holds: {}", value::some_of(&names)),
            )
        })
    }
}

/// Reads all variables of a MATLAB 5 file.
pub fn read_mat5(bytes: &[u8], limits: &Limits) -> Result<MatFile, FormatError> {
    let order = read_header(bytes)?;
    let mut budget = Budget::new(limits.max_total_bytes);
    let mut file = MatFile { variables: Vec::new(), notes: Vec::new() };
    let mut cursor = Cursor::new(bytes, HEADER_BYTES, order);
    while let Some(element) = cursor.next_element().map_err(|problem| problem.at_top())? {
        // A compressed variable is inflated on its own and dropped as soon as it is decoded, so only one is held at a time.
        let inflated;
        let (matrix, first_byte) = match element.kind {
            MI_MATRIX => (element.data, element.offset as u64),
            MI_COMPRESSED => {
                inflated = inflate_variable(element.data, element.offset, order, limits, &mut budget)?;
                (inflated.get(8..).unwrap_or_default(), 8)
            }
            other => {
                return Err(FormatError::new(
                    Format::Mat5,
                    Place::Byte(element.offset as u64),
                    format!("a variable is expected here, found an element of type {other}"),
                    COPY_AGAIN,
                ));
            }
        };
        let compressed = element.kind == MI_COMPRESSED;
        let mut reader = MatrixReader { order, limits, budget: &mut budget, notes: &mut file.notes };
        let Named { name, value } = reader.variable(matrix, first_byte).map_err(|problem| {
            let inside = if compressed {
                format!(" (counted in the variable inflated from byte {} of the file)", element.offset)
            } else {
                String::new()
            };
            problem.into_error(&inside)
        })?;
        if compressed {
            budget.release(matrix.len() as u64 + 8);
        }
        if name.is_empty() {
            // MATLAB keeps the workspaces of function handles and objects in a variable without a name.
            file.notes.push("left out an unnamed variable (MATLAB's own data on functions and objects)".to_owned());
        } else {
            file.variables.push((name, value));
        }
    }
    Ok(file)
}

/// Checks the 128 bytes at the start and returns the byte order.
fn read_header(bytes: &[u8]) -> Result<ByteOrder, FormatError> {
    let refuse = |byte: u64, reason: &str, help: &str| Err(FormatError::new(Format::Mat5, Place::Byte(byte), reason, help));
    if bytes.starts_with(b"MATLAB 7.3") || bytes.get(..8) == Some(b"\x89HDF\r\n\x1a\n") || bytes.get(512..520) == Some(b"\x89HDF\r\n\x1a\n")
    {
        return refuse(
            0,
            "this is a MATLAB 7.3 file (HDF5 inside), which this reader does not read",
            "in MATLAB, load it and write it with `save -v7 file.mat`",
        );
    }
    if bytes.len() < HEADER_BYTES {
        return refuse(bytes.len() as u64, "the file ends inside its 128-byte header", COPY_AGAIN);
    }
    let order = match bytes.get(126..128) {
        Some(b"IM") => ByteOrder::Little,
        Some(b"MI") => ByteOrder::Big,
        _ if bytes.iter().take(4).any(|byte| *byte == 0) => {
            return refuse(
                0,
                "this looks like a MATLAB 4 file (it has no MATLAB 5 header)",
                "in MATLAB, load it and write it with `save -v7 file.mat`",
            );
        }
        _ => {
            return refuse(
                126,
                "the byte-order mark `MI` or `IM` is missing, so this is no MATLAB 5 file",
                "check that the path names a .mat file written with `save -v6` or `-v7`",
            );
        }
    };
    match number_at::<u16>(bytes, 124, order) {
        Some(0x0100) => Ok(order),
        Some(0x0200) => refuse(
            124,
            "this is a MATLAB 7.3 file (HDF5 inside), which this reader does not read",
            "in MATLAB, load it and write it with `save -v7 file.mat`",
        ),
        _ => refuse(124, "the header states a version other than 5", COPY_AGAIN),
    }
}

/// Inflates one `miCOMPRESSED` element to exactly the tag and data of the matrix in it. `offset` is where its data begin in the file.
///
/// # Errors
/// When they are damaged, hold no matrix, or more than the limits allow.
pub fn inflate_variable(
    data: &[u8],
    offset: usize,
    order: ByteOrder,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Vec<u8>, FormatError> {
    let refuse = |reason: String, help: &str| FormatError::new(Format::Mat5, Place::Byte(offset as u64), reason, help);
    let help = |reason: &str| if reason.contains("may hold") || reason.contains("allowed") { RAISE_LIMIT } else { COPY_AGAIN };
    // The tag says how much follows.
    let tag = begin_of_zlib(data, 8);
    let likely = number_at::<u32>(&tag, 4, order).map_or(u64::MAX, |size| u64::from(size) + 8);
    let matrix = inflate_likely(Wrapping::Zlib, data, likely, limits, budget).map_err(|reason| {
        let help = help(&reason);
        refuse(format!("a compressed variable can't be inflated: {reason}"), help)
    })?;
    let kind: Option<u32> = number_at(&matrix, 0, order);
    let size: Option<u32> = number_at(&matrix, 4, order);
    match (kind, size) {
        (Some(MI_MATRIX), Some(size)) if u64::from(size) + 8 <= matrix.len() as u64 => Ok(matrix),
        (Some(MI_MATRIX), Some(size)) => Err(refuse(
            format!("a compressed variable declares {size} bytes and inflates to {}", matrix.len().saturating_sub(8)),
            COPY_AGAIN,
        )),
        _ => Err(refuse("a compressed element holds no variable".to_owned(), COPY_AGAIN)),
    }
}
