//! Parquet files, with the columns' Arrow types when an Arrow library wrote them.
//!
//! The decoder of the parquet crate sizes its buffers by what the footer and the heads of pages say. Both are therefore walked here
//! first: lists and nesting are held against the bytes there are, chunks and pages must lie inside the file and not overlap, and what
//! all pages together claim to unfold to must stay below [`Limits::expansion`]. Rows are then decoded in portions, whose memory is
//! counted as they come. What still makes the decoder panic becomes an error.
//!
//! Refused with a message: encrypted files, footers written apart from the data. Memory in use is at most [`Limits::expansion`] twice over
//! (pages and columns) and 1 KiB for each byte of the footer.

use std::collections::BTreeMap;
use std::sync::Arc;

use ::parquet::arrow::ArrowWriter;
use ::parquet::basic::{Compression, ZstdLevel};
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData};
use ::parquet::file::properties::WriterProperties;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::root_as_message;

use super::arrow_ipc::check_schema;
use super::batches::Batches;
use super::bytes::{ByteOrder, number_at};
use super::error::{COPY_AGAIN, RAISE_LIMIT};
use super::limits::{Budget, Limits};
use super::parquet_file::ParquetFile;
use super::thrift::{Event, walk_struct};
use super::{Format, FormatError, Place};

const MAGIC: &[u8] = b"PAR1";

/// Reads all rows of a Parquet file.
pub fn read_parquet(buffer: &Buffer, limits: &Limits) -> Result<Batches, FormatError> {
    let file = ParquetFile::open(buffer, limits)?;
    let columns: Vec<usize> = (0..file.schema().fields().len()).collect();
    let groups: Vec<usize> = (0..file.groups()).collect();
    let rows = file.read(&columns, &groups)?;
    let schema = SchemaRef::clone(rows.schema());
    Ok(Batches { schema, batches: rows.collect::<Result<_, _>>()? })
}

/// The footer and where it begins.
pub(super) fn find_footer(bytes: &[u8]) -> Result<(&[u8], usize), FormatError> {
    let refuse = |byte: usize, reason: &str, help: &str| FormatError::new(Format::Parquet, Place::Byte(byte as u64), reason, help);
    if bytes.starts_with(b"PARE") || bytes.ends_with(b"PARE") {
        return Err(refuse(0, "the file is encrypted", "write it without encryption"));
    }
    if !bytes.starts_with(MAGIC) {
        return Err(refuse(0, "the file does not begin with Parquet's mark", "check that the path names a Parquet file"));
    }
    let tail = bytes.len().checked_sub(8).filter(|tail| *tail >= 4 && bytes.ends_with(MAGIC));
    let tail = tail.ok_or_else(|| refuse(bytes.len(), "Parquet's mark is missing at the end", COPY_AGAIN))?;
    let length = number_at::<u32>(bytes, tail, ByteOrder::Little).and_then(|length| usize::try_from(length).ok());
    let start = length.and_then(|length| tail.checked_sub(length)).filter(|start| *start >= 4);
    let footer = start.and_then(|start| Some((bytes.get(start..tail)?, start)));
    footer.ok_or_else(|| refuse(tail, "the footer claims more bytes than the file has", COPY_AGAIN))
}

/// Walks the footer: sizes of lists, and the nesting of the schema, which the decoder follows by recursion.
pub(super) fn check_footer(footer: &[u8], footer_start: usize, limits: &Limits) -> Result<(), FormatError> {
    let mut children: Option<i64> = None;
    // Children still to come at each open level of the schema.
    let mut open: Vec<i64> = Vec::new();
    let mut n_elements = 0usize;
    let walked = walk_struct(footer, &mut |path, event| {
        match (path, event) {
            ([2, 5], Event::Integer(count)) => children = Some(count),
            ([2], Event::End) => {
                n_elements += 1;
                let count = children.take().unwrap_or(0);
                if count < 0 {
                    return Err("a group of the schema has a negative number of columns".to_owned());
                }
                if let Some(last) = open.last_mut() {
                    *last -= 1;
                }
                if count > 0 {
                    open.push(count);
                }
                while open.last() == Some(&0) {
                    open.pop();
                }
                if open.len() > limits.max_depth {
                    return Err(format!("the columns nest deeper than {}", limits.max_depth));
                }
                if n_elements > limits.max_columns.saturating_add(1) {
                    return Err(format!("the table has more than {} columns", limits.max_columns));
                }
            }
            _ => {}
        }
        Ok(())
    });
    walked.map(|_| ()).map_err(|(byte, reason)| {
        FormatError::new(Format::Parquet, Place::Byte((footer_start + byte) as u64), format!("the footer is damaged: {reason}"), COPY_AGAIN)
    })
}

/// Checks the Arrow schema that Arrow libraries keep in the footer, since the decoder unfolds it.
pub(super) fn check_arrow_schema(metadata: &ParquetMetaData, footer_bytes: usize, limits: &Limits) -> Result<(), String> {
    let pairs = metadata.file_metadata().key_value_metadata();
    for encoded in pairs.into_iter().flatten().filter(|pair| pair.key == "ARROW:schema").filter_map(|pair| pair.value.as_deref()) {
        let Some(message) = from_base64(encoded) else {
            return Err("the Arrow schema in the footer is not base64".to_owned());
        };
        let inner = if message.starts_with(&[0xff, 0xff, 0xff, 0xff]) { message.get(8..) } else { message.get(4..) };
        // What is no message, or no schema, the decoder refuses by itself.
        if let Some(schema) =
            [inner, Some(message.as_slice())].into_iter().flatten().find_map(|bytes| root_as_message(bytes).ok()?.header_as_schema())
        {
            check_schema(&schema, footer_bytes, limits)?;
        }
    }
    Ok(())
}

/// Standard base64 with or without padding.
fn from_base64(text: &str) -> Option<Vec<u8>> {
    let mut bytes = Vec::with_capacity(text.len() / 4 * 3 + 3);
    let (mut bits, mut n_bits) = (0u32, 0u32);
    for character in text.trim_end_matches('=').bytes() {
        let value = match character {
            b'A'..=b'Z' => character - b'A',
            b'a'..=b'z' => character - b'a' + 26,
            b'0'..=b'9' => character - b'0' + 52,
            b'+' => 62,
            b'/' => 63,
            _ => return None,
        };
        bits = (bits << 6) | u32::from(value);
        n_bits += 6;
        if n_bits >= 8 {
            n_bits -= 8;
            bytes.push((bits >> n_bits) as u8);
            bits &= (1 << n_bits) - 1;
        }
    }
    Some(bytes)
}

/// Checks where chunks lie, and where the pages of the chunks that are wanted (by group and leaf column) lie and what they claim to unfold to. Returns a
/// bound on the bytes of one value.
pub(super) fn check_chunks(
    bytes: &[u8],
    footer_start: usize,
    metadata: &ParquetMetaData,
    limits: &Limits,
    wanted: &dyn Fn(usize, usize) -> bool,
) -> Result<u64, FormatError> {
    let refuse = |place: Place, reason: String, help: &str| FormatError::new(Format::Parquet, place, reason, help);
    let allowed = limits.expansion(bytes.len() as u64);
    let mut budget = Budget::new(allowed);
    let mut ranges: BTreeMap<u64, u64> = BTreeMap::new();
    let mut largest = 1u64;
    for (number, group) in metadata.row_groups().iter().enumerate() {
        if group.num_rows() < 0 {
            return Err(refuse(Place::Byte(footer_start as u64), "a group has a negative number of rows".to_owned(), COPY_AGAIN));
        }
        // Rows can be counted without reading a column, so their number is held against what memory a table may take at all.
        if u64::try_from(group.num_rows()).is_ok_and(|rows| rows > limits.max_total_bytes) {
            return Err(refuse(Place::Byte(footer_start as u64), format!("a group claims {} rows", group.num_rows()), RAISE_LIMIT));
        }
        for (leaf, chunk) in group.columns().iter().enumerate() {
            let column = || Place::Column(chunk.column_path().string());
            let (start, end) = chunk_range(chunk, footer_start as u64)
                .ok_or_else(|| refuse(column(), "its values lie outside the file".to_owned(), COPY_AGAIN))?;
            if end > start && ranges.insert(start, end).is_some() {
                return Err(refuse(column(), "its values overlap with another column's".to_owned(), COPY_AGAIN));
            }
            if !wanted(number, leaf) {
                continue;
            }
            let data = usize::try_from(start)
                .ok()
                .zip(usize::try_from(end).ok())
                .and_then(|(start, end)| bytes.get(start..end))
                .unwrap_or_default();
            let page = check_pages(data, &mut budget).map_err(|(byte, reason)| {
                let help = if reason.contains("may hold") { RAISE_LIMIT } else { COPY_AGAIN };
                refuse(column(), format!("at byte {}: {reason}", start + byte as u64), help)
            })?;
            largest = largest.max(page);
        }
    }
    if ranges.iter().zip(ranges.keys().skip(1)).any(|((_, end), next)| end > next) {
        return Err(refuse(Place::Byte(footer_start as u64), "the values of two columns overlap".to_owned(), COPY_AGAIN));
    }
    Ok(largest)
}

/// Where a chunk begins and ends, if that is between the mark and the footer.
fn chunk_range(chunk: &ColumnChunkMetaData, footer_start: u64) -> Option<(u64, u64)> {
    let data = u64::try_from(chunk.data_page_offset()).ok()?;
    let start = match chunk.dictionary_page_offset() {
        Some(dictionary) => u64::try_from(dictionary).ok()?,
        None => data,
    };
    let end = start.checked_add(u64::try_from(chunk.compressed_size()).ok()?)?;
    let inside = chunk.num_values() >= 0 && (end == start || (start >= 4 && end <= footer_start));
    inside.then_some((start, end))
}

/// Walks the pages of a chunk and charges what they claim to unfold to. Returns the size of the dictionary, which bounds one repeated value.
fn check_pages(data: &[u8], budget: &mut Budget) -> Result<u64, (usize, String)> {
    let mut position = 0usize;
    let mut dictionary = 1u64;
    while let Some(rest) = data.get(position..).filter(|rest| !rest.is_empty()) {
        let (mut unfolded, mut stored, mut values, mut is_dictionary) = (-1i64, -1i64, 0i64, false);
        let head = walk_struct(rest, &mut |path, event| {
            match (path, event) {
                ([2], Event::Integer(bytes)) => unfolded = bytes,
                ([3], Event::Integer(bytes)) => stored = bytes,
                ([5 | 7 | 8, 1], Event::Integer(count)) => values = count,
                ([7], Event::End) => is_dictionary = true,
                _ => {}
            }
            Ok(())
        });
        let head = head.map_err(|(byte, reason)| (position + byte, format!("the head of a page is damaged: {reason}")))?;
        let sizes = (usize::try_from(stored), u64::try_from(unfolded), u64::try_from(values));
        let (Ok(stored), Ok(unfolded), Ok(values)) = sizes else {
            return Err((position, "a page has a negative size".to_owned()));
        };
        let end = position.checked_add(head).and_then(|start| start.checked_add(stored)).filter(|end| *end <= data.len());
        let end = end.ok_or_else(|| (position, format!("a page claims {stored} bytes, {} are left", data.len() - position - head)))?;
        // Run lengths may make many values of few bytes: count eight bytes for each.
        budget.charge(unfolded.max(values.saturating_mul(8))).map_err(|reason| (position, reason))?;
        if is_dictionary {
            dictionary = dictionary.max(unfolded);
        }
        position = end;
    }
    Ok(dictionary)
}

/// Writes `batches`, which all have `schema`, as a Parquet file compressed with zstd.
pub fn write_parquet(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, FormatError> {
    let problem = |error: ::parquet::errors::ParquetError| {
        FormatError::new(Format::Parquet, Place::File, error.to_string(), "give batches that all have the schema of the file")
    };
    let level = ZstdLevel::try_new(3).map_err(problem)?;
    // The default names the crate's version, which would change the bytes with every upgrade.
    let properties = WriterProperties::builder().set_compression(Compression::ZSTD(level)).set_created_by("neuroflow".to_owned()).build();
    let mut file = Vec::new();
    let mut writer = ArrowWriter::try_new(&mut file, Arc::clone(schema), Some(properties)).map_err(problem)?;
    for batch in batches {
        writer.write(batch).map_err(problem)?;
    }
    writer.close().map_err(problem)?;
    Ok(file)
}
