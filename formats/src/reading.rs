//! What readers of whole files share: their bytes, inflated if need be, and rows that stand in memory.

use crate::document::Rows;
use crate::source::{Source, part};
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, SchemaRef};
use neuroflow_data::formats::inflate::{Wrapping, inflate};
use neuroflow_data::formats::{Budget, COPY_AGAIN, Format, FormatError, Limits, Place, RAISE_LIMIT};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;

/// Whether bytes begin like a gzip file.
pub(crate) fn is_gzip(bytes: &[u8]) -> bool {
    bytes.starts_with(&[0x1f, 0x8b])
}

/// An error about the whole file.
pub(crate) fn broken(format: Format, reason: impl Into<String>) -> FormatError {
    FormatError::new(format, Place::File, reason, COPY_AGAIN)
}

/// An error at a byte of the file.
pub(crate) fn at_byte(format: Format, byte: u64, reason: impl Into<String>) -> FormatError {
    FormatError::new(format, Place::Byte(byte), reason, COPY_AGAIN)
}

/// An error about a thing in the file.
pub(crate) fn in_object(format: Format, path: &str, reason: impl Into<String>, help: &str) -> FormatError {
    FormatError::new(format, Place::Object { path: path.to_owned(), byte: None }, reason, help)
}

/// The first bytes of the file, at most `most`.
pub(crate) fn head<'s>(source: &'s dyn Source, format: Format, most: u64) -> Result<Cow<'s, [u8]>, FormatError> {
    part(source, format, 0..source.len().min(most))
}

/// All bytes of the file.
pub(crate) fn whole<'s>(source: &'s dyn Source, format: Format, limits: &Limits) -> Result<Cow<'s, [u8]>, FormatError> {
    let len = source.len();
    if len > limits.max_total_bytes {
        let reason = format!("the file has {len} bytes, at most {} may be held", limits.max_total_bytes);
        return Err(FormatError::new(format, Place::File, reason, RAISE_LIMIT));
    }
    part(source, format, 0..len)
}

/// All bytes of the file, inflated if they are gzip.
pub(crate) fn plain<'s>(source: &'s dyn Source, format: Format, limits: &Limits) -> Result<Cow<'s, [u8]>, FormatError> {
    let bytes = whole(source, format, limits)?;
    if !is_gzip(&bytes) {
        return Ok(bytes);
    }
    let mut budget = Budget::new(limits.expansion(bytes.len() as u64));
    inflate(Wrapping::Gzip, &bytes, None, limits, &mut budget).map(Cow::Owned).map_err(|reason| inflating(format, reason))
}

/// The source, or what it holds when it is gzip: then all of it is held, within what a file of its size may make a reader hold.
pub(crate) fn inflated(source: Arc<dyn Source>, format: Format, limits: &Limits) -> Result<Arc<dyn Source>, FormatError> {
    if !is_gzip(&head(source.as_ref(), format, 2)?) {
        return Ok(source);
    }
    Ok(Arc::new(Buffer::from_vec(plain(source.as_ref(), format, limits)?.into_owned())))
}

/// The error for compressed bytes that can't be had, with the remedy that fits.
pub(crate) fn inflating(format: Format, reason: String) -> FormatError {
    let help = if reason.contains("may hold") || reason.contains("allowed") { RAISE_LIMIT } else { COPY_AGAIN };
    FormatError::new(format, Place::File, reason, help)
}

/// Text in UTF-8, without a byte-order mark. Bytes that are none are taken as Latin-1.
pub(crate) fn text(bytes: &[u8]) -> Cow<'_, str> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => Cow::Owned(bytes.iter().map(|byte| char::from(*byte)).collect()),
    }
}

/// The bytes of a file as an Arrow buffer: shared when they stand in memory, read otherwise.
pub(crate) fn buffer(source: &Arc<dyn Source>, format: Format, limits: &Limits) -> Result<Buffer, FormatError> {
    struct Shared(Arc<dyn Source>);
    impl AsRef<[u8]> for Shared {
        fn as_ref(&self) -> &[u8] {
            self.0.whole().unwrap_or_default()
        }
    }
    if source.whole().is_some() {
        return Ok(Buffer::from(bytes::Bytes::from_owner(Shared(Arc::clone(source)))));
    }
    Ok(Buffer::from_vec(whole(source.as_ref(), format, limits)?.into_owned()))
}

/// The type of a column in a few words: `text`, `int64`, `list of float64`, `6 × float64`. Names of what is inside stand in brackets, as everything does that a
/// file made up.
pub fn type_word(data_type: &DataType) -> String {
    match data_type {
        DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View => "text".into(),
        DataType::Boolean => "bool".into(),
        DataType::Binary | DataType::LargeBinary | DataType::BinaryView | DataType::FixedSizeBinary(_) => "bytes".into(),
        DataType::Timestamp(..) => "timestamp".into(),
        DataType::Date32 | DataType::Date64 => "date".into(),
        DataType::Time32(_) | DataType::Time64(_) => "time".into(),
        DataType::Duration(_) | DataType::Interval(_) => "duration".into(),
        DataType::List(item) | DataType::LargeList(item) | DataType::ListView(item) | DataType::LargeListView(item) => {
            format!("list of {}", type_word(item.data_type()))
        }
        DataType::FixedSizeList(item, size) => format!("{size} × {}", type_word(item.data_type())),
        DataType::Dictionary(_, value) => type_word(value),
        DataType::Struct(fields) => {
            let named = fields.iter().take(8).map(|field| field.name().as_str()).collect::<Vec<_>>().join(", ");
            format!("struct ({named}{})", if fields.len() > 8 { ", …" } else { "" })
        }
        other => other.to_string().to_lowercase(),
    }
}

/// Names and types of the columns of a schema.
pub(crate) fn columns_of(schema: &SchemaRef) -> Vec<(String, String)> {
    schema.fields().iter().map(|field| (field.name().clone(), type_word(field.data_type()))).collect()
}

/// Rows that stand in memory.
#[derive(Debug)]
pub(crate) struct HeldRows {
    pub format: Format,
    pub batch: RecordBatch,
}

/// The range cut to what is there, as positions in memory.
pub(crate) fn cut(rows: &Range<u64>, count: usize) -> (usize, usize) {
    let place = |row: u64| usize::try_from(row).unwrap_or(usize::MAX).min(count);
    let start = place(rows.start);
    (start, place(rows.end).saturating_sub(start))
}

impl Rows for HeldRows {
    fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    fn count(&self) -> u64 {
        self.batch.num_rows() as u64
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let chosen = self.batch.project(columns).map_err(|_| no_column(self.format, columns, self.batch.num_columns()))?;
        let (start, length) = cut(&rows, chosen.num_rows());
        Ok(chosen.slice(start, length))
    }
}

/// The error for a column that is not there.
pub(crate) fn no_column(format: Format, columns: &[usize], count: usize) -> FormatError {
    let past = columns.iter().find(|column| **column >= count).copied().unwrap_or_default();
    FormatError::new(format, Place::File, format!("there is no column {past}, the table has {count}"), "ask for columns that are there")
}

/// A path that no other item has: the name itself, or with a number behind it.
pub(crate) fn unique(name: &str, taken: &mut std::collections::BTreeMap<String, u64>) -> String {
    let name = name.trim_matches('/');
    let name = if name.is_empty() { "unnamed" } else { name };
    let mut path = name.to_owned();
    while let Some(count) = taken.get_mut(&path) {
        *count += 1;
        path = format!("{name}_{count}");
    }
    taken.insert(path.clone(), 1);
    path
}

/// The first `most` characters of a text, for facts and messages.
pub(crate) fn shortened(text: &str, most: usize) -> String {
    match text.char_indices().nth(most) {
        Some((end, _)) => format!("{}…", text.get(..end).unwrap_or_default()),
        None => text.to_owned(),
    }
}

/// The bytes of a file as a stream, asked for a mebibyte at a time.
pub(crate) struct Stream<'s> {
    source: &'s dyn Source,
    at: u64,
    block: Cow<'s, [u8]>,
    used: usize,
}

impl<'s> Stream<'s> {
    /// A stream over all bytes of the file.
    pub fn new(source: &'s dyn Source) -> Stream<'s> {
        Stream { source, at: 0, block: Cow::Borrowed(&[]), used: 0 }
    }
}

impl std::io::BufRead for Stream<'_> {
    fn fill_buf(&mut self) -> std::io::Result<&[u8]> {
        const BLOCK: u64 = 1 << 20;
        if self.used >= self.block.len() && self.at < self.source.len() {
            let end = self.source.len().min(self.at.saturating_add(BLOCK));
            self.block = self.source.bytes(self.at..end)?;
            if self.block.is_empty() {
                return Err(std::io::ErrorKind::UnexpectedEof.into());
            }
            self.at = self.at.saturating_add(self.block.len() as u64);
            self.used = 0;
        }
        Ok(self.block.get(self.used..).unwrap_or_default())
    }

    fn consume(&mut self, amount: usize) {
        self.used = self.used.saturating_add(amount);
    }
}

impl std::io::Read for Stream<'_> {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let have = std::io::BufRead::fill_buf(self)?;
        let count = have.len().min(into.len());
        if let (Some(into), Some(have)) = (into.get_mut(..count), have.get(..count)) {
            into.copy_from_slice(have);
        }
        std::io::BufRead::consume(self, count);
        Ok(count)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::datatypes::{Field, TimeUnit};

    #[test]
    fn types_of_columns_are_told_in_few_words() {
        let item = |of: DataType| Arc::new(Field::new("item", of, false));
        let pair = DataType::Struct(vec![Field::new("a", DataType::Float32, false), Field::new("b", DataType::Utf8, true)].into());
        let told = [
            (DataType::Utf8, "text"),
            (DataType::Int64, "int64"),
            (DataType::Boolean, "bool"),
            (DataType::FixedSizeList(item(DataType::Float64), 6), "6 × float64"),
            (DataType::LargeList(item(pair.clone())), "list of struct (a, b)"),
            (DataType::Dictionary(Box::new(DataType::Int8), Box::new(DataType::LargeUtf8)), "text"),
            (DataType::Timestamp(TimeUnit::Nanosecond, Some("UTC".into())), "timestamp"),
            (pair, "struct (a, b)"),
        ];
        for (of, word) in told {
            assert_eq!(type_word(&of), word);
        }
    }
}
