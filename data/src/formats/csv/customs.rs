//! What programs write into tables of text beside the table: Excel's `sep=`, blanks before quotes, several lines of names.

use std::collections::BTreeSet;

/// The byte that a first line `sep=;` names, as Excel writes and reads it.
pub(super) fn separator(text: &[u8]) -> Option<u8> {
    let first = text.split(|byte| *byte == b'\n').next()?.trim_ascii_end();
    match first.strip_prefix(b"sep=").or_else(|| first.strip_prefix(b"SEP="))? {
        [byte] => Some(*byte),
        // The end of the line is trimmed above.
        [] if text.starts_with(b"sep=\t") => Some(b'\t'),
        _ => None,
    }
}

/// The text with an empty first line, so that lines keep their numbers.
pub(super) fn without_first_line(text: &[u8]) -> Vec<u8> {
    let end = text.iter().position(|byte| *byte == b'\n').unwrap_or(text.len());
    text.get(end..).unwrap_or_default().to_vec()
}

/// The text without the blanks between a comma and a quote: `1, "x, y"`.
pub(super) fn quotes_at_once(text: &[u8]) -> Vec<u8> {
    let mut out = Vec::with_capacity(text.len());
    let mut quoted = false;
    let mut blanks = 0usize;
    for &byte in text {
        if byte == b' ' && !quoted && (blanks > 0 || out.last() == Some(&b',')) {
            blanks += 1;
            continue;
        }
        if byte != b'"' {
            out.resize(out.len() + blanks, b' ');
        }
        blanks = 0;
        quoted ^= byte == b'"';
        out.push(byte);
    }
    out.resize(out.len() + blanks, b' ');
    out
}

/// Lines of names that a table may have, at most.
const MOST_LEVELS: usize = 8;

/// A table whose columns have names of several levels, a line each, with one line of names joined by `_`. Two programs write them: DeepLabCut, whose lines are
/// called `scorer`, (`individuals`,) `bodyparts` and `coords`, gives `frame`, `nose_x`, `nose_y`, `nose_likelihood`, …; pandas leaves a line below them empty, but
/// for the name of the rows.
pub(super) fn levels(text: &[u8]) -> Option<Vec<u8>> {
    let mut rest = text;
    let mut levels: Vec<Vec<&[u8]>> = Vec::new();
    let is_pose = text.starts_with(b"scorer,");
    let rows = loop {
        let end = rest.iter().position(|byte| *byte == b'\n').filter(|_| levels.len() < MOST_LEVELS)?;
        let fields: Vec<&[u8]> = rest.get(..end)?.trim_ascii_end().split(|byte| *byte == b',').collect();
        let level = *fields.first()?;
        if fields.len() < 2
            || fields.iter().any(|field| field.contains(&b'"'))
            || levels.first().is_some_and(|first| first.len() != fields.len())
        {
            return None;
        }
        rest = rest.get(end + 1..)?;
        let is_empty = fields.iter().skip(1).all(|field| field.is_empty());
        match level {
            _ if is_pose => {}
            name if is_empty && levels.len() > 1 => break name,
            name if !name.is_empty() && !is_empty => {}
            _ => return None,
        }
        match level {
            b"scorer" if is_pose && levels.is_empty() => {}
            b"individuals" | b"bodyparts" | b"coords" if is_pose && !levels.is_empty() => {}
            _ if is_pose => return None,
            _ => {}
        }
        levels.push(fields);
        if is_pose && level == b"coords" {
            break b"frame";
        }
    };
    let first = levels.first()?;
    // Names of the first level stand over several columns: otherwise the lines are rows, and one of them is empty.
    let mut seen = BTreeSet::new();
    if !is_pose && first.iter().skip(1).all(|own| seen.insert(*own)) {
        return None;
    }
    // One scorer names nothing.
    let is_one = is_pose && first.iter().skip(1).all(|own| first.get(1) == Some(own));
    let named = levels.get(usize::from(is_one)..)?;
    let mut out = vec![b'\n'; levels.len() - usize::from(is_pose)];
    out.extend_from_slice(rows);
    for column in 1..first.len() {
        out.push(b',');
        let parts: Vec<&[u8]> = named.iter().filter_map(|level| level.get(column).copied()).collect();
        out.extend_from_slice(&parts.join(&b'_'));
    }
    out.push(b'\n');
    out.extend_from_slice(rest);
    Some(out)
}
