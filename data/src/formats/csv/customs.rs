//! What programs write into tables of text beside the table: Excel's `sep=`, blanks before quotes, the three lines of names of DeepLabCut.

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

/// A table of poses of DeepLabCut, whose first lines name scorer, body part and coordinate of each column (and whose animal it is), with one line of names:
/// `frame`, `nose_x`, `nose_y`, `nose_likelihood`, …
pub(super) fn poses(text: &[u8]) -> Option<Vec<u8>> {
    let mut rest = text.strip_prefix(b"scorer,").map(|_| text)?;
    let mut levels: Vec<Vec<&[u8]>> = Vec::new();
    loop {
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let fields: Vec<&[u8]> = rest.get(..end)?.trim_ascii_end().split(|byte| *byte == b',').collect();
        let level = *fields.first()?;
        if levels.first().is_some_and(|first| first.len() != fields.len()) {
            return None;
        }
        rest = rest.get(end + 1..)?;
        match level {
            b"scorer" if levels.is_empty() => {}
            b"individuals" | b"bodyparts" | b"coords" if !levels.is_empty() => {}
            _ => return None,
        }
        levels.push(fields);
        if level == b"coords" {
            break;
        }
    }
    // One scorer names nothing.
    let scorers = levels.first()?;
    let is_one = scorers.iter().skip(1).all(|own| scorers.get(1) == Some(own));
    let named = levels.get(usize::from(is_one)..)?;
    let mut out = vec![b'\n'; levels.len() - 1];
    out.extend_from_slice(b"frame");
    for column in 1..scorers.len() {
        out.push(b',');
        let parts: Vec<&[u8]> = named.iter().filter_map(|level| level.get(column).copied()).collect();
        out.extend_from_slice(&parts.join(&b'_'));
    }
    out.push(b'\n');
    out.extend_from_slice(rest);
    Some(out)
}
