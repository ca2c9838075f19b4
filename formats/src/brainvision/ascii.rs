//! Samples as text (`DataFormat=ASCII`).

use super::Orientation;
use super::ini::Ini;
use arrow::buffer::Buffer;
use neuroflow_data::formats::{Format, FormatError, Limits, Place, RAISE_LIMIT};

/// The samples of all channels as 64-bit floats, in the file's orientation, and how many samples each channel has.
pub(super) fn read(
    bytes: &[u8],
    ini: &Ini,
    orientation: Orientation,
    channels: usize,
    limits: &Limits,
) -> Result<(Buffer, u64), FormatError> {
    let number = |key: &str| ini.get("ascii infos", key).and_then(|entry| entry.value.parse::<usize>().ok()).unwrap_or(0);
    let (skip_lines, skip_columns) = (number("SkipLines"), number("SkipColumns"));
    let comma = ini.get("ascii infos", "DecimalSymbol").is_some_and(|entry| entry.value == ",");
    let separates = |letter: char| letter.is_ascii_whitespace() || letter == ';' || (letter == ',' && !comma);
    let text = std::str::from_utf8(bytes).map_err(|error| {
        let place = Place::Byte(error.valid_up_to() as u64);
        FormatError::new(Format::BrainVision, place, "the samples are said to be text and are not", "see `DataFormat` in the header")
    })?;
    let wrong = |line: usize, field: Option<usize>, reason: String, help: &str| {
        let place = Place::Line { line: line as u64 + 1, field: field.map(|field| field as u64 + 1) };
        FormatError::new(Format::BrainVision, place, reason, help)
    };
    let mut values: Vec<f64> = Vec::new();
    let mut rows = 0;
    let mut length = None;
    for (line, row) in text.lines().enumerate().skip(skip_lines).filter(|(_, row)| !row.trim().is_empty()) {
        let before = values.len();
        for (field, word) in row.split(separates).filter(|word| !word.is_empty()).enumerate().skip(skip_columns) {
            let parsed = if comma { word.replace(',', ".").parse() } else { word.parse() };
            values.push(parsed.map_err(|_| {
                wrong(line, Some(field), format!("`{}` is no number", word.escape_debug()), "see `SkipColumns` and `DecimalSymbol`")
            })?);
            if values.len() as u64 * 8 > limits.max_total_bytes {
                return Err(wrong(line, Some(field), "the samples take more memory than allowed".into(), RAISE_LIMIT));
            }
        }
        let own = values.len() - before;
        let expected = if orientation == Orientation::Multiplexed { channels } else { *length.get_or_insert(own) };
        if own != expected {
            return Err(wrong(
                line,
                None,
                format!("the line has {own} samples, {expected} are expected"),
                "see `SkipColumns` in the header",
            ));
        }
        rows += 1;
    }
    let samples = match orientation {
        Orientation::Multiplexed => rows,
        Orientation::Vectorized if rows == channels => length.unwrap_or(0),
        Orientation::Vectorized => {
            let reason = format!("there are lines for {rows} channels, the header has {channels}");
            return Err(FormatError::new(Format::BrainVision, Place::File, reason, "see `SkipLines` in the header"));
        }
    };
    Ok((Buffer::from_vec(values), samples as u64))
}
