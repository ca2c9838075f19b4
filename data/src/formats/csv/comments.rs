//! Lines that begin with `#` above a table: what NumPy's `savetxt`, AFNI and many scripts write there.

use std::borrow::Cow;

use super::infer::{ColumnType, Numbers};
use super::{Decimal, Delimiter, HeaderRow, blanks, rows};

/// What stands below the lines at the top that begin with `#`; everything when there is nothing else.
pub(super) fn below(text: &[u8]) -> &[u8] {
    let mut rest = text;
    while rest.starts_with(b"#") {
        rest = rest.iter().position(|byte| *byte == b'\n').and_then(|end| rest.get(end + 1..)).unwrap_or_default();
    }
    if rest.trim_ascii().is_empty() { text } else { rest }
}

/// The text with those lines emptied, save that the last of them is the header where it has as many words as the first row below has fields, unless there is
/// none by what the caller knows. Lines are as many as before, so that messages name the right one.
///
/// A name may begin with `#` too: where no blank follows it and the line has as many fields as the rows, it belongs to the table.
pub(super) fn aside(text: Cow<'_, [u8]>, delimiter: Delimiter, header: HeaderRow) -> Cow<'_, [u8]> {
    let table = below(&text);
    let begin = text.len() - table.len();
    let fields = |line: &[u8]| match delimiter {
        Delimiter::Byte(byte) => first_row(line, byte),
        Delimiter::Blanks => first_row(&blanks::single(line), b' '),
        Delimiter::Sniffed => first_row(line, b','),
    };
    let wanted = fields(table).len();
    // A table with names of its own over numbers takes none from a comment.
    let mut lines = table.split(|byte| *byte == b'\n');
    let (one, two) = (fields(lines.next().unwrap_or_default()), fields(lines.next().unwrap_or_default()));
    let are_words = |row: &[Vec<u8>]| row.iter().all(|field| ColumnType::of(field, Numbers(Decimal::Point)) == ColumnType::Text);
    let is_named = are_words(&one) && !are_words(&two);
    let mut above: Vec<&[u8]> = text.get(..begin).unwrap_or_default().split_inclusive(|byte| *byte == b'\n').collect();
    let names = above.last().and_then(|line| line.get(1..)).map(<[u8]>::trim_ascii_start).filter(|line| {
        let names = fields(line);
        let is_word = |name: &Vec<u8>| {
            ColumnType::of(name, Numbers(Decimal::Point)) == ColumnType::Text && (wanted > 1 || !name.iter().any(u8::is_ascii_whitespace))
        };
        header != HeaderRow::Absent && !is_named && names.len() == wanted && names.iter().all(is_word)
    });
    if names.is_some() {
        above.pop();
    }
    let is_row = |line: &&[u8]| line.get(1).is_some_and(|next| !next.is_ascii_whitespace()) && wanted > 1 && fields(line).len() == wanted;
    if begin == 0 || above.iter().any(is_row) {
        return text;
    }
    let mut out = vec![b'\n'; above.len()];
    out.extend_from_slice(names.unwrap_or_default());
    // Where comments stand above, they may stand between rows and below them; in quotes a line may begin with anything.
    let is_plain = !table.contains(&b'"');
    for line in table.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(if is_plain && line.starts_with(b"#") && !is_row(&line) { b"\n" } else { line });
    }
    Cow::Owned(out)
}

/// The fields of the first row.
fn first_row(text: &[u8], delimiter: u8) -> Vec<Vec<u8>> {
    // One row is looked at: a text without an end of line is no reason to take all of it apart.
    let mut record = ::csv::ByteRecord::new();
    match rows(text, delimiter).read_byte_record(&mut record) {
        Ok(true) => record.iter().map(|field| field.trim_ascii().to_vec()).collect(),
        _ => Vec::new(),
    }
}
