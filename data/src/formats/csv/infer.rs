//! The first pass over a table: delimiter, header, names, types and whether all rows agree.

use std::collections::BTreeSet;

use ::csv::ByteRecord;

use super::super::error::{COPY_AGAIN, RAISE_LIMIT};
use super::super::limits::Limits;
use super::super::{Format, FormatError, Place};
use super::{Decimal, Delimiter, HeaderRow, at, blanks, line_of, rows};

/// Text and rows that are looked at to find the delimiter.
const SNIFFED_BYTES: usize = 64 * 1024;
const SNIFFED_ROWS: usize = 100;

/// The type of a column, from the narrowest to the widest. Each takes in the ones before it, save that booleans and numbers meet in text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum ColumnType {
    /// Nothing but nulls so far.
    Unknown,
    Boolean,
    Integer,
    Number,
    Text,
}

impl ColumnType {
    pub(super) fn of(field: &[u8], numbers: Numbers) -> ColumnType {
        if is_null(field) {
            ColumnType::Unknown
        } else if boolean(field).is_some() {
            ColumnType::Boolean
        } else if integer(field).is_some() {
            ColumnType::Integer
        } else if numbers.number(field).is_some() {
            ColumnType::Number
        } else {
            ColumnType::Text
        }
    }

    fn joined(self, other: ColumnType) -> ColumnType {
        use ColumnType::{Integer, Number, Text, Unknown};
        match (self, other) {
            (same, new) if same == new => same,
            (Unknown, known) | (known, Unknown) => known,
            (Integer | Number, Integer | Number) => Number,
            _ => Text,
        }
    }

    fn is_numeric(self) -> bool {
        matches!(self, ColumnType::Integer | ColumnType::Number)
    }
}

/// What the first pass found.
pub(super) struct Shape {
    pub names: Vec<String>,
    pub types: Vec<ColumnType>,
    pub has_header: bool,
    /// Rows without the header.
    pub n_rows: usize,
}

/// True for a field that stands for a missing value.
pub(super) fn is_null(field: &[u8]) -> bool {
    let field = field.trim_ascii();
    // As spreadsheets, pandas and C on Windows write them.
    const EXACT: [&[u8]; 9] = [b"#N/A", b"#NA", b"<NA>", b"None", b"-nan", b"1.#IND", b"-1.#IND", b"1.#QNAN", b"-1.#QNAN"];
    let is_word = || [&b"na"[..], b"n/a", b"nan", b"null"].iter().any(|word| field.eq_ignore_ascii_case(word));
    field.is_empty() || is_word() || EXACT.contains(&field)
}

/// `true` or `false`, any case.
pub(super) fn boolean(field: &[u8]) -> Option<bool> {
    let field = field.trim_ascii();
    if field.eq_ignore_ascii_case(b"true") {
        Some(true)
    } else if field.eq_ignore_ascii_case(b"false") {
        Some(false)
    } else {
        None
    }
}

/// A 64-bit integer without leading zeros.
pub(super) fn integer(field: &[u8]) -> Option<i64> {
    let field = field.trim_ascii();
    if is_padded(field) {
        return None;
    }
    std::str::from_utf8(field).ok()?.parse().ok()
}

/// How numbers are written.
#[derive(Debug, Clone, Copy)]
pub(super) struct Numbers(pub Decimal);

impl Numbers {
    /// A number; digits alone that `integer` refused are a name.
    pub(super) fn number(self, field: &[u8]) -> Option<f64> {
        let field = field.trim_ascii();
        let digits = field.strip_prefix(b"-").or(field.strip_prefix(b"+")).unwrap_or(field);
        if digits.iter().all(u8::is_ascii_digit) {
            return integer(field).map(|integer| integer as f64);
        }
        let text = std::str::from_utf8(field).ok()?;
        match self.0 {
            Decimal::Point => text.parse().ok(),
            // Points may group digits where commas begin the fraction: which of them is meant nobody can tell.
            Decimal::Comma if text.contains('.') => None,
            Decimal::Comma => text.replacen(',', ".", 1).parse().ok(),
        }
    }
}

fn is_padded(field: &[u8]) -> bool {
    let digits = field.strip_prefix(b"-").or(field.strip_prefix(b"+")).unwrap_or(field);
    digits.len() > 1 && digits.first() == Some(&b'0')
}

/// The delimiter that cuts all of the first rows into the same number of fields, more than one.
pub(super) fn delimiter(text: &[u8], decimal: Decimal) -> Delimiter {
    let sample = sample(text);
    // Tab and semicolon first: a table that uses them may have decimal commas. Space last: words are full of them.
    let candidates = b"\t;,|".iter().copied().filter(|candidate| *candidate != b',' || decimal == Decimal::Point);
    let found = candidates.clone().find(|candidate| agree(sample, *candidate));
    // `1,5 2,5`: commas within numbers agree too.
    let are_fractions = || found == Some(b',') && holds_fractions(&blanks::single(sample));
    match found {
        Some(byte) if !are_fractions() => return Delimiter::Byte(byte),
        _ => {}
    }
    // Columns that are aligned have several blanks between them, or before the first: one space at a time would find empty fields there.
    let single = blanks::single(sample);
    if agree(&single, b' ') {
        return if single == sample { Delimiter::Byte(b' ') } else { Delimiter::Blanks };
    }
    if agree(sample, b' ') {
        return Delimiter::Byte(b' ');
    }
    // Rows differ: the delimiter that the first line has most of is the one to complain about, or blanks between numbers.
    let first_line = sample.split(|byte| *byte == b'\n').next().unwrap_or_default();
    let count = |candidate: u8| first_line.iter().filter(|byte| **byte == candidate).count();
    let most = candidates.max_by_key(|candidate| (count(*candidate), *candidate == b',')).filter(|candidate| count(*candidate) > 0);
    let numbers = Numbers(decimal);
    let words = blanks::single(first_line);
    let are_numbers = words.contains(&b' ') && words.split(|byte| *byte == b' ').all(|word| numbers.number(word).is_some());
    match (most, decimal) {
        (Some(byte), _) => Delimiter::Byte(byte),
        _ if are_numbers => Delimiter::Blanks,
        // One column.
        (None, Decimal::Point) => Delimiter::Byte(b','),
        (None, Decimal::Comma) => Delimiter::Byte(b';'),
    }
}

/// Whether commas cut the first rows into the same number of fields only when blanks before quotes are left out.
pub(super) fn only_without_blanks(text: &[u8], decimal: Decimal) -> bool {
    let sample = sample(text);
    let has_any = sample.windows(3).any(|own| own == b", \"");
    has_any && decimal == Decimal::Point && !agree(sample, b',') && agree(&super::customs::quotes_at_once(sample), b',')
}

/// The first rows, whole ones.
fn sample(text: &[u8]) -> &[u8] {
    let sample = text.get(..SNIFFED_BYTES).unwrap_or(text);
    if sample.len() == text.len() {
        return text;
    }
    // The last row of the sample is cut somewhere.
    let end = sample.iter().rposition(|byte| *byte == b'\n').map_or(sample.len(), |last| last + 1);
    sample.get(..end).unwrap_or(sample)
}

/// Whether a delimiter cuts all of the first rows into the same number of fields, more than one.
fn agree(sample: &[u8], delimiter: u8) -> bool {
    let mut reader = rows(sample, delimiter);
    let mut record = ByteRecord::new();
    let mut expected = None;
    let mut above_names = false;
    for row in 0..SNIFFED_ROWS {
        match reader.read_byte_record(&mut record) {
            Ok(true) if record.len() > 1 && *expected.get_or_insert(record.len()) == record.len() => {}
            // A header may leave out the column of row names.
            Ok(true) if row == 1 && expected == Some(record.len() - 1) && above_names => expected = Some(record.len()),
            Ok(false) => break,
            _ => return false,
        }
        above_names = row == 0 && are_words(&record);
    }
    expected.is_some()
}

/// Whether spaces cut all of the first rows into several fields, each a number, some with a comma before their fraction.
fn holds_fractions(single: &[u8]) -> bool {
    let numbers = Numbers(Decimal::Comma);
    // Behind `1,` stands a blank because the next field begins.
    let is_whole = |field: &[u8]| !field.starts_with(b",") && !field.ends_with(b",");
    let is_number = |field: &[u8]| is_whole(field) && (numbers.number(field).is_some() || is_null(field));
    let mut records = rows(single, b' ').into_byte_records().skip(1).take(SNIFFED_ROWS).peekable();
    let some = records.peek().is_some();
    some && agree(single, b' ') && records.all(|row| row.is_ok_and(|row| row.len() > 1 && row.iter().all(is_number)))
}

/// Whether all fields are words, as names of columns are.
fn are_words(record: &ByteRecord) -> bool {
    record.iter().all(|field| ColumnType::of(field, Numbers(Decimal::Point)) == ColumnType::Text)
}

/// Reads all rows once: lengths, types, names.
pub(super) fn shape(text: &[u8], delimiter: u8, header: HeaderRow, numbers: Numbers, limits: &Limits) -> Result<Shape, FormatError> {
    let mut reader = rows(text, delimiter);
    let mut first = ByteRecord::new();
    if !reader.read_byte_record(&mut first).map_err(|error| unreadable(&error))? {
        return Err(FormatError::new(Format::Csv, Place::File, "the table is empty", COPY_AGAIN));
    }
    if header != HeaderRow::Absent && are_words(&first) && leaves_out_row_names(text, delimiter, first.len()) {
        let position = first.position().cloned();
        first = std::iter::once(&b""[..]).chain(&first).collect();
        first.set_position(position);
    }
    let n_columns = first.len();
    if n_columns > limits.max_columns {
        return Err(at(1, None, format!("the table has {n_columns} columns, at most {} are read", limits.max_columns), RAISE_LIMIT));
    }
    let mut types = vec![ColumnType::Unknown; n_columns];
    let mut repeats_first = false;
    let mut n_rows = 0usize;
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| unreadable(&error))? {
        if record.len() != n_columns {
            let reason = format!("this row has {} fields, the rows above have {n_columns}", record.len());
            let help = if record.len() > n_columns {
                "put text that holds the delimiter in double quotes, or name another delimiter"
            } else {
                "fill in the missing fields, or name another delimiter"
            };
            return Err(at(line_of(text, &record), None, reason, help));
        }
        for ((kind, field), word) in types.iter_mut().zip(&record).zip(&first) {
            if *kind != ColumnType::Text {
                *kind = kind.joined(ColumnType::of(field, numbers));
            }
            repeats_first |= field == word && !is_null(field);
        }
        n_rows += 1;
    }
    check_quotes(text)?;
    let has_header = match header {
        HeaderRow::Present => true,
        HeaderRow::Absent => false,
        HeaderRow::Guessed => looks_like_header(&first, &types, repeats_first, n_rows, numbers),
    };
    let names = if has_header { names_of(text, &first)? } else { (1..=n_columns).map(|column| format!("column_{column}")).collect() };
    if !has_header {
        for (kind, field) in types.iter_mut().zip(&first) {
            *kind = kind.joined(ColumnType::of(field, numbers));
        }
        n_rows += 1;
    }
    Ok(Shape { names, types, has_header, n_rows })
}

/// Whether all rows below the first have a field more than that, and begin with what R's `write.table` writes there without a name: names of rows, which are
/// words or count from 1. Otherwise it is the last field that has no name, or is none, and nobody can tell which column is which.
fn leaves_out_row_names(text: &[u8], delimiter: u8, names: usize) -> bool {
    let mut below = (1i64..).zip(rows(text, delimiter).into_byte_records().skip(1)).peekable();
    let is_name =
        |number: i64, name: &[u8]| ColumnType::of(name, Numbers(Decimal::Point)) == ColumnType::Text || integer(name) == Some(number);
    let (mut ends, some) = (false, below.peek().is_some());
    let all = below.all(|(number, row)| {
        row.is_ok_and(|row| {
            ends |= row.get(names).is_some_and(|last| !last.is_empty());
            row.len() == names + 1 && row.get(0).is_some_and(|name| is_name(number, name))
        })
    });
    some && all && ends
}

fn looks_like_header(first: &ByteRecord, types: &[ColumnType], repeats_first: bool, n_rows: usize, numbers: Numbers) -> bool {
    // A number with a decimal comma is none as long as nobody says so, and no name either.
    // Nor is one with zeros before it, which is an identifier.
    let is_number = |field: &[u8]| {
        let own = field.trim_ascii();
        Numbers(Decimal::Comma).number(own).is_some() || !own.is_empty() && own.iter().all(u8::is_ascii_digit)
    };
    let all_words =
        first.iter().all(|field| matches!(ColumnType::of(field, numbers), ColumnType::Text | ColumnType::Unknown) && !is_number(field));
    if !all_words {
        return n_rows > 0 && numbers_are_names(first, types, repeats_first, numbers);
    }
    let some_word = first.iter().any(|field| ColumnType::of(field, numbers) == ColumnType::Text);
    let numbers_below = types.iter().any(|kind| kind.is_numeric() || *kind == ColumnType::Boolean);
    some_word && (numbers_below || n_rows == 0 || !repeats_first)
}

/// Whether a first row with numbers in it names columns all the same, as `time,1,2,3` and the `,0,1,2` of pandas do: all its fields differ, and a word stands
/// over numbers; or nothing but the first is empty or what names of rows are called, and the others are counted.
fn numbers_are_names(first: &ByteRecord, types: &[ColumnType], repeats_first: bool, numbers: Numbers) -> bool {
    const ROWS: [&str; 14] = [
        "subject",
        "participant",
        "participant_id",
        "subject_id",
        "id",
        "name",
        "unit",
        "neuron",
        "channel",
        "electrode",
        "roi",
        "region",
        "label",
        "condition",
    ];
    let mut seen = BTreeSet::new();
    if !first.iter().all(|field| seen.insert(field.trim_ascii())) {
        return false;
    }
    let is_name = |field: &[u8]| ColumnType::of(field, numbers) == ColumnType::Text && field.iter().any(u8::is_ascii_alphabetic);
    // `1,234` and `<0.1` are numbers of some sort, and the row is one of data.
    let is_other = |field: &[u8]| ColumnType::of(field, numbers) == ColumnType::Text && !is_name(field);
    let over_numbers = first.iter().zip(types).any(|(field, below)| is_name(field) && below.is_numeric());
    if over_numbers && !first.iter().any(is_other) {
        return true;
    }
    let counted: Option<Vec<i64>> = first.iter().skip(1).map(integer).collect();
    let is_counted = counted.is_some_and(|own| own.windows(2).all(|pair| matches!(pair, [one, two] if two.checked_sub(*one) == Some(1))));
    let corner = first.get(0).unwrap_or_default().trim_ascii();
    let is_corner = corner.is_empty() || ROWS.iter().any(|row| corner.eq_ignore_ascii_case(row.as_bytes()));
    // What pandas writes of a table without names.
    let is_plain_index = corner.is_empty() && first.get(1).and_then(integer) == Some(0);
    is_counted
        && first.len() > 1
        && is_corner
        && (is_plain_index || !repeats_first)
        && types.first().is_some_and(|below| *below != ColumnType::Unknown)
}

fn names_of(text: &[u8], first: &ByteRecord) -> Result<Vec<String>, FormatError> {
    let mut seen = BTreeSet::new();
    let mut names = Vec::with_capacity(first.len());
    for (column, field) in first.iter().enumerate() {
        let name = match std::str::from_utf8(field.trim_ascii()) {
            Ok("") => format!("column_{}", column + 1),
            Ok(name) => name.to_owned(),
            Err(_) => return Err(at(line_of(text, first), Some(column), "the column name is not UTF-8", "save the table as UTF-8")),
        };
        if !seen.insert(name.clone()) {
            let help = "the first row of a table names its columns: give each a name of its own";
            return Err(at(line_of(text, first), Some(column), format!("column `{name}` stands twice in the header"), help));
        }
        names.push(name);
    }
    Ok(names)
}

/// A quote that never closes swallows the rest of the table without a word from the parser; an odd number of quotes gives it away.
fn check_quotes(text: &[u8]) -> Result<(), FormatError> {
    let mut last_line = 1u64;
    let mut line = 1u64;
    let mut quotes = 0usize;
    for byte in text {
        match byte {
            b'\n' => line += 1,
            b'"' => {
                quotes += 1;
                if !quotes.is_multiple_of(2) {
                    last_line = line;
                }
            }
            _ => {}
        }
    }
    if quotes.is_multiple_of(2) {
        return Ok(());
    }
    Err(at(
        last_line,
        None,
        "a double quote opens here or above and never closes",
        "close it, or write a quote inside a quoted field twice",
    ))
}

/// An error of the parser itself.
pub(super) fn unreadable(error: &::csv::Error) -> FormatError {
    let line = error.position().map_or(1, ::csv::Position::line);
    at(line, None, format!("the row can't be read ({error})"), COPY_AGAIN)
}
