//! Lines that begin with `#` or `%` above a table, and `#` behind its numbers: what NumPy's `savetxt`, MATLAB, AFNI, FreeSurfer and many scripts
//! write there.

use std::borrow::Cow;

use super::infer::{ColumnType, Numbers};
use super::{Decimal, Delimiter, HeaderRow, blanks, rows};

/// What begins the comments of a text: the first of its bytes that is no end of a line, where that is one that can.
pub(super) fn mark(text: &[u8]) -> Option<u8> {
    text.trim_ascii_start().first().copied().filter(|byte| b"#%".contains(byte))
}

/// What stands below the lines at the top that are empty or begin with the mark of comments; everything when there is nothing else.
pub(super) fn below(text: &[u8]) -> &[u8] {
    let Some(mark) = mark(text) else { return text };
    let mut rest = text;
    let is_above = |line: &[u8]| line.first() == Some(&mark) || line.trim_ascii().is_empty();
    while let Some(end) = rest.iter().position(|byte| *byte == b'\n').filter(|end| rest.get(..*end).is_some_and(is_above)) {
        rest = rest.get(end + 1..).unwrap_or_default();
    }
    if rest.trim_ascii().is_empty() || rest.first() == Some(&mark) { text } else { rest }
}

/// The text without what follows a `#` behind numbers, where all lines hold nothing but numbers before it, save a first one of words. A colour such as
/// `#ff0000` in every row is a column.
pub(super) fn behind(text: &[u8], decimal: Decimal) -> Option<Vec<u8>> {
    let table = below(text);
    let begin = text.len() - table.len();
    let is_noted = |line: &[u8]| !line.starts_with(b"#") && line.contains(&b'#');
    if table.contains(&b'"') || !table.split(|byte| *byte == b'\n').any(is_noted) {
        return None;
    }
    let before = |line: &[u8]| line.iter().position(|byte| *byte == b'#').map_or(line.len(), |end| end);
    let is_between = |byte: &u8| b" \t;".contains(byte) || (*byte == b',' && decimal == Decimal::Point);
    let (mut first, mut is_apart, mut in_all) = (true, true, true);
    for line in table.split(|byte| *byte == b'\n') {
        let own = line.get(..before(line)).unwrap_or_default().trim_ascii();
        let mut fields = own.split(is_between).filter(|field| !field.is_empty());
        let is_numbers = fields.all(|field| !matches!(ColumnType::of(field, Numbers(decimal)), ColumnType::Text | ColumnType::Boolean));
        // Names of columns have no `#` behind them that would not be part of one.
        if !is_numbers && (!first || line.contains(&b'#')) {
            return None;
        }
        first &= own.is_empty();
        match line.get(before(line)..) {
            Some([_, next, ..]) => is_apart &= next.is_ascii_whitespace(),
            Some([]) => in_all &= own.is_empty() || !is_numbers,
            _ => {}
        }
        // Behind a comma or a tab a field begins.
        if line.get(..before(line)).is_some_and(|own| own.len() < line.len() && own.last().is_some_and(|last| b",;\t".contains(last))) {
            return None;
        }
    }
    if !is_apart && in_all {
        return None;
    }
    let mut out = text.get(..begin).unwrap_or_default().to_vec();
    for line in table.split_inclusive(|byte| *byte == b'\n') {
        let end = before(line);
        if line.starts_with(b"#") || end == line.len() {
            out.extend_from_slice(line);
        } else {
            // A note goes with the blanks before it, which would be a field.
            out.extend_from_slice(line.get(..end).unwrap_or_default().trim_ascii_end());
            out.extend(line.ends_with(b"\n").then_some(b'\n'));
        }
    }
    Some(out)
}

/// The text with those lines emptied, save that the last of them is the header where it has as many words as the first row below has fields, unless there is
/// none by what the caller knows. Lines are as many as before, so that messages name the right one.
///
/// A name may begin with the mark too: where no blank follows it and the line has as many fields as the rows, it belongs to the table.
pub(super) fn aside(text: Cow<'_, [u8]>, delimiter: Delimiter, header: HeaderRow) -> Cow<'_, [u8]> {
    let Some(mark) = mark(&text) else { return text };
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
    while above.len() > 1 && above.last().is_some_and(|line| line.trim_ascii().is_empty()) {
        above.pop();
    }
    // A percent sign right before a word belongs to it.
    let is_apart = |line: &&[u8]| mark != b'%' || line.first().is_some_and(u8::is_ascii_whitespace);
    let last = above.last().and_then(|line| line.get(1..)).filter(is_apart).map(<[u8]>::trim_ascii_start);
    // FreeSurfer says first that these are names.
    let last = last.map(|line| line.strip_prefix(b"ColHeaders ").map_or(line, <[u8]>::trim_ascii_start));
    // Names may stand between blanks over rows with commas.
    let spaced = |line| match delimiter {
        Delimiter::Byte(byte) if wanted > 1 && fields(line).len() == 1 => {
            Cow::Owned(blanks::single(line).into_iter().map(|own| if own == b' ' { byte } else { own }).collect())
        }
        _ => Cow::Borrowed(line),
    };
    let names = last.map(spaced).filter(|line: &Cow<'_, [u8]>| {
        let names = fields(line);
        let is_word = |name: &Vec<u8>| {
            ColumnType::of(name, Numbers(Decimal::Point)) == ColumnType::Text && (wanted > 1 || !name.iter().any(u8::is_ascii_whitespace))
        };
        header != HeaderRow::Absent && !is_named && names.len() == wanted && names.iter().all(is_word)
    });
    if names.is_some() {
        above.pop();
    }
    let is_one = |line: &[u8]| mark == b'%' && !line.trim_ascii().iter().any(u8::is_ascii_whitespace);
    let is_row = |line: &&[u8]| {
        let is_name = line.get(1).is_some_and(|next| !next.is_ascii_whitespace());
        is_name && (wanted > 1 || is_one(line)) && fields(line).len() == wanted
    };
    if begin == 0 || above.iter().any(is_row) {
        return text;
    }
    let mut out =
        vec![b'\n'; text.get(..begin).unwrap_or_default().iter().filter(|byte| **byte == b'\n').count() - usize::from(names.is_some())];
    out.extend_from_slice(names.as_deref().unwrap_or_default());
    // Where comments stand above, they may stand between rows and below them; in quotes a line may begin with anything.
    let is_plain = !table.contains(&b'"');
    for line in table.split_inclusive(|byte| *byte == b'\n') {
        out.extend_from_slice(if is_plain && line.first() == Some(&mark) && !is_row(&line) { b"\n" } else { line });
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
