//! Tables as text: comma, tab, semicolon, space or several blanks between fields, quotes as in RFC 4180, plain or gzip, UTF-8 or UTF-16 with its mark.
//!
//! Lines that begin with `#` or `%` above the table are comments, and the last of them names the columns where it has as many words as the rows have
//! fields; so is what follows a `#` behind rows of numbers.
//!
//! Column types come from all rows, not from a sample: `true`/`false` → Boolean, integers → Int64, other numbers → Float64, the rest → Utf8.
//! Integers with leading zeros (`007`) or beyond 64 bits stay text, since they are names. Empty fields and `NA`, `N/A`, `NaN`, `null` (any
//! case) are nulls; a column without any value is of type Null, which goes together with every other. Blanks around numbers are ignored, in
//! text they are kept.
//!
//! Refused: rows of different lengths, text in another encoding, quotes that never close, columns with the name of another, each with its line.
//! Memory in use is at most 1 KiB a column and 32 bytes for each byte of text.

mod blanks;
mod comments;
mod customs;
mod infer;
mod write;

pub use write::write_csv;

use std::borrow::Cow;
use std::sync::Arc;

use ::csv::{ByteRecord, Reader, ReaderBuilder};
use arrow::array::{ArrayRef, BooleanBuilder, Float64Builder, Int64Builder, NullArray, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{DataType, Field, Schema};

use super::error::{COPY_AGAIN, RAISE_LIMIT};
use super::inflate::{Wrapping, inflate};
use super::limits::{Budget, Limits};
use super::{Format, FormatError, Place};
use infer::{ColumnType, Numbers, Shape};

/// What stands between two fields.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Delimiter {
    /// The one of tab, semicolon, comma and space that gives all of the first rows the same number of fields; blanks where spaces stand side by side or at
    /// the ends of lines, and comma if none does.
    #[default]
    Sniffed,
    /// This byte, for example `b','`.
    Byte(u8),
    /// As many spaces and tabs as there are, as text has them whose columns are aligned; those at the ends of a line are none.
    Blanks,
}

/// Whether the first row names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum HeaderRow {
    /// It does, unless one of its fields is a number or a truth value, which can't be a name, or all columns are text and one has its first word once more,
    /// as a list without a header does. A table without rows has a header. A column without a name, as that of an index, is called by its place.
    #[default]
    Guessed,
    /// It does.
    Present,
    /// It does not; columns are called `column_1`, `column_2`, ….
    Absent,
}

/// What stands between the whole part of a number and its fraction.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Decimal {
    /// A point: `1.5`.
    #[default]
    Point,
    /// A comma: `1,5`, as programs write it where people do.
    Comma,
}

/// How to read a table.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CsvOptions {
    /// What stands between two fields.
    pub delimiter: Delimiter,
    /// Whether the first row names the columns.
    pub header: HeaderRow,
    /// How numbers are written.
    pub decimal: Decimal,
}

/// Reads a table, inflating it first if it is gzip.
pub fn read_csv(bytes: &[u8], options: &CsvOptions, limits: &Limits) -> Result<RecordBatch, FormatError> {
    let mut budget = Budget::new(limits.max_total_bytes);
    if !bytes.starts_with(&[0x1f, 0x8b]) {
        return read_text(bytes, options, limits, &mut budget);
    }
    let text = inflate(Wrapping::Gzip, bytes, None, limits, &mut budget).map_err(|reason| {
        let help = if reason.contains("allowed") || reason.contains("may hold") { RAISE_LIMIT } else { COPY_AGAIN };
        FormatError::new(Format::Csv, Place::File, format!("the gzip data can't be inflated: {reason}"), help)
    })?;
    read_text(&text, options, limits, &mut budget)
}

fn read_text(text: &[u8], options: &CsvOptions, limits: &Limits, budget: &mut Budget) -> Result<RecordBatch, FormatError> {
    let mut charge = |bytes: u64| budget.charge(bytes).map_err(|reason| FormatError::new(Format::Csv, Place::File, reason, RAISE_LIMIT));
    let mut text = Cow::Borrowed(text.strip_prefix(b"\xef\xbb\xbf").unwrap_or(text));
    let wide: Option<fn([u8; 2]) -> u16> = match *text {
        [0xff, 0xfe, ..] => Some(u16::from_le_bytes),
        [0xfe, 0xff, ..] => Some(u16::from_be_bytes),
        _ => None,
    };
    if let Some(unit) = wide {
        charge(3 * text.len() as u64)?;
        text = Cow::Owned(narrow(text.get(2..).unwrap_or_default(), unit)?);
    }
    if let Some(without) = comments::behind(&text, options.decimal) {
        charge(text.len() as u64)?;
        text = Cow::Owned(without);
    }
    if let Some(plain) = customs::levels(&text) {
        charge(plain.len() as u64)?;
        text = Cow::Owned(plain);
    }
    let told = customs::separator(&text).filter(|_| options.delimiter == Delimiter::Sniffed);
    if told.is_some() {
        charge(text.len() as u64)?;
        text = Cow::Owned(customs::without_first_line(&text));
    }
    if options.delimiter == Delimiter::Sniffed && told.is_none() && infer::only_without_blanks(&text, options.decimal) {
        charge(text.len() as u64)?;
        text = Cow::Owned(customs::quotes_at_once(&text));
    }
    let delimiter = match (options.delimiter, told) {
        (_, Some(byte)) => Delimiter::Byte(byte),
        (Delimiter::Sniffed, None) => infer::delimiter(comments::below(&text), options.decimal),
        (told, None) => told,
    };
    if comments::mark(&text).is_some() {
        charge(text.len() as u64)?;
        text = comments::aside(text, delimiter, options.header);
    }
    let delimiter = match delimiter {
        Delimiter::Byte(byte) => byte,
        Delimiter::Sniffed => b',',
        Delimiter::Blanks => {
            charge(text.len() as u64)?;
            text = Cow::Owned(blanks::single(&text));
            b' '
        }
    };
    let numbers = Numbers(options.decimal);
    let shape = infer::shape(&text, delimiter, options.header, numbers, limits)?;
    charge((shape.names.len() as u64).saturating_mul(1024))?;
    fill(&text, delimiter, shape, numbers, budget)
}

/// UTF-16, which Excel and E-Prime write, as UTF-8.
fn narrow(wide: &[u8], unit: fn([u8; 2]) -> u16) -> Result<Vec<u8>, FormatError> {
    let broken = |line: u64| at(line, None, "the text is UTF-16 with a broken character", "save the table as UTF-8");
    let (units, rest) = wide.as_chunks::<2>();
    let mut text = String::with_capacity(wide.len() / 2);
    let mut line = 1;
    for character in char::decode_utf16(units.iter().map(|pair| unit(*pair))) {
        let character = character.map_err(|_| broken(line))?;
        line += u64::from(character == '\n');
        text.push(character);
    }
    if rest.is_empty() { Ok(text.into_bytes()) } else { Err(broken(line)) }
}

/// The reader that all passes share. Rows may differ in length here; the first pass refuses them with a better message.
fn rows(text: &[u8], delimiter: u8) -> Reader<&[u8]> {
    ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(text)
}

/// The line a record of `text` begins at, counted from 1. Where empty lines stand before it, its position is that of the first of them.
fn line_of(text: &[u8], record: &ByteRecord) -> u64 {
    let Some(position) = record.position() else { return 1 };
    let from = usize::try_from(position.byte()).unwrap_or(usize::MAX);
    let empty = text.get(from..).unwrap_or_default().iter().take_while(|byte| matches!(byte, b'\n' | b'\r'));
    position.line() + empty.filter(|byte| **byte == b'\n').count() as u64
}

fn at(line: u64, field: Option<usize>, reason: impl Into<String>, help: &str) -> FormatError {
    FormatError::new(Format::Csv, Place::Line { line, field: field.map(|field| field as u64 + 1) }, reason, help)
}

/// A column while it grows.
enum Column {
    /// How many rows there are, none with a value.
    Null(usize),
    Boolean(BooleanBuilder),
    Int64(Int64Builder),
    Float64(Float64Builder),
    Utf8(StringBuilder),
}

impl Column {
    /// With room for as many rows as the first pass has counted.
    fn new(kind: ColumnType, n_rows: usize) -> Column {
        match kind {
            ColumnType::Boolean => Column::Boolean(BooleanBuilder::with_capacity(n_rows)),
            ColumnType::Integer => Column::Int64(Int64Builder::with_capacity(n_rows)),
            ColumnType::Unknown => Column::Null(0),
            ColumnType::Number => Column::Float64(Float64Builder::with_capacity(n_rows)),
            ColumnType::Text => Column::Utf8(StringBuilder::with_capacity(n_rows, 0)),
        }
    }

    /// Appends a field; the first pass has made sure that it parses.
    fn append(&mut self, field: &[u8], numbers: Numbers) -> Result<(), &'static str> {
        const LATER: &str = "the field no longer has the type of its column";
        if infer::is_null(field) {
            match self {
                Column::Null(rows) => *rows += 1,
                Column::Boolean(builder) => builder.append_null(),
                Column::Int64(builder) => builder.append_null(),
                Column::Float64(builder) => builder.append_null(),
                Column::Utf8(builder) => builder.append_null(),
            }
            return Ok(());
        }
        match self {
            Column::Null(_) => return Err(LATER),
            Column::Boolean(builder) => builder.append_value(infer::boolean(field).ok_or(LATER)?),
            Column::Int64(builder) => builder.append_value(infer::integer(field).ok_or(LATER)?),
            Column::Float64(builder) => builder.append_value(numbers.number(field).ok_or(LATER)?),
            Column::Utf8(builder) => {
                let text = std::str::from_utf8(field).map_err(|_| "the text is not UTF-8")?;
                // Arrow counts the bytes of a text column in 31 bits and asserts it.
                if builder.values_slice().len().saturating_add(text.len()) > i32::MAX as usize {
                    return Err("the column holds more than 2 GiB of text");
                }
                builder.append_value(text);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> (DataType, ArrayRef) {
        match self {
            Column::Null(rows) => (DataType::Null, Arc::new(NullArray::new(*rows))),
            Column::Boolean(builder) => (DataType::Boolean, Arc::new(builder.finish())),
            Column::Int64(builder) => (DataType::Int64, Arc::new(builder.finish())),
            Column::Float64(builder) => (DataType::Float64, Arc::new(builder.finish())),
            Column::Utf8(builder) => (DataType::Utf8, Arc::new(builder.finish())),
        }
    }
}

/// The second pass: all rows into typed columns.
fn fill(text: &[u8], delimiter: u8, shape: Shape, numbers: Numbers, budget: &mut Budget) -> Result<RecordBatch, FormatError> {
    let Shape { names, types, has_header, n_rows } = shape;
    // A value takes eight bytes and a bit; text doubles its room while it grows.
    let values = (n_rows as u64).saturating_mul(names.len() as u64).saturating_mul(9);
    budget
        .charge(values.saturating_add(2 * text.len() as u64))
        .map_err(|reason| FormatError::new(Format::Csv, Place::File, reason, RAISE_LIMIT))?;
    let mut columns: Vec<Column> = types.iter().map(|kind| Column::new(*kind, n_rows)).collect();
    let mut reader = rows(text, delimiter);
    let mut record = ByteRecord::new();
    let mut skip = has_header;
    while reader.read_byte_record(&mut record).map_err(|error| infer::unreadable(&error))? {
        if std::mem::take(&mut skip) {
            continue;
        }
        for (position, (column, field)) in columns.iter_mut().zip(&record).enumerate() {
            column.append(field, numbers).map_err(|reason| {
                at(line_of(text, &record), Some(position), reason, "save the table as UTF-8, in several files if it is large")
            })?;
        }
    }
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = names
        .into_iter()
        .zip(&mut columns)
        .map(|(name, column)| {
            let (kind, array) = column.finish();
            (Field::new(name, kind, true), array)
        })
        .unzip();
    let options = RecordBatchOptions::new().with_row_count(Some(n_rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options)
        .map_err(|error| FormatError::new(Format::Csv, Place::File, error.to_string(), COPY_AGAIN))
}
