//! Arrow IPC files (Feather 2), read without copying: columns point into the buffer they were read from.
//!
//! The decoder of the arrow crate trusts offsets and lengths in places, so everything in the footer and in the head of each batch is
//! checked here first: blocks and buffers lie inside the file and do not overlap, counts are not negative, the schema is no larger than
//! its bytes justify. The values themselves (offsets, UTF-8, dictionary keys) are validated by the arrow crate. What still makes it
//! panic becomes an error.
//!
//! Buffers that are packed with LZ4 or Zstandard are unpacked by the arrow crate, once the heads of their blocks have shown that they can hold what they claim
//! and no more.
//!
//! Refused with a message: the stream format, the other byte order. Memory in use beside the buffer is at most a copy of the columns that are not aligned or
//! are packed, and 64 bytes for each byte of the schema.

use std::io::Write;
use std::sync::Arc;

use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use arrow::ipc::convert::fb_to_schema;
use arrow::ipc::reader::FileDecoder;
use arrow::ipc::writer::FileWriter;
use arrow::ipc::{Block, BodyCompressionMethod, CompressionType, MessageHeader, MetadataVersion, root_as_footer, root_as_message};

use super::batches::Batches;
use super::border::within_border;
use super::bytes::{ByteOrder, number_at};
use super::error::{COPY_AGAIN, RAISE_LIMIT};
use super::frames::{Most, lz4, zstd};
use super::limits::{Budget, Limits};
use super::{Format, FormatError, Place};

const MAGIC: &[u8] = b"ARROW1";

/// Reads all batches of an Arrow IPC file. The columns share `buffer`; nothing is copied unless a column is badly aligned.
pub fn read_arrow_ipc(buffer: &Buffer, limits: &Limits) -> Result<Batches, FormatError> {
    let file = ArrowFile::open(buffer, limits)?;
    // All of it is held together.
    let mut rows = file.read(None)?;
    rows.held = Held::Together;
    let batches = rows.collect::<Result<_, _>>()?;
    Ok(Batches { schema: file.schema, batches })
}

/// An opened Arrow IPC file; nothing but its footer has been read.
#[derive(Debug, Clone)]
pub struct ArrowFile {
    buffer: Buffer,
    schema: SchemaRef,
    version: MetadataVersion,
    dictionaries: Vec<Block>,
    records: Vec<Block>,
    limits: Limits,
}

/// The batches of an Arrow IPC file, one after the other.
pub struct ArrowRows {
    file: ArrowFile,
    decoder: FileDecoder,
    next: usize,
    /// What unpacked buffers may take.
    budget: Budget,
    held: Held,
}

/// Which batches are held at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Held {
    /// None: no column is read.
    Nothing,
    /// One after the other.
    One,
    /// All.
    Together,
}

impl ArrowFile {
    /// Opens a file: checks and reads its footer.
    ///
    /// # Errors
    /// When the bytes are not an Arrow IPC file, or the footer claims what can't be.
    pub fn open(buffer: &Buffer, limits: &Limits) -> Result<ArrowFile, FormatError> {
        let bytes = buffer.as_slice();
        let footer_bytes = find_footer(bytes)?;
        let footer_start = (bytes.len() - 10 - footer_bytes.len()) as u64;
        let in_footer = |reason: String| FormatError::new(Format::ArrowIpc, Place::Byte(footer_start), reason, COPY_AGAIN);
        let footer = root_as_footer(footer_bytes).map_err(|error| in_footer(format!("the footer is damaged ({error})")))?;
        let described = footer.schema().ok_or_else(|| in_footer("the footer has no schema".to_owned()))?;
        if !described.endianness().equals_to_target_endianness() {
            let help = "write the file again on this machine";
            return Err(FormatError::new(Format::ArrowIpc, Place::Byte(footer_start), "the numbers have the other byte order", help));
        }
        check_schema(&described, footer_bytes.len(), limits).map_err(in_footer)?;
        let schema: SchemaRef = within_border(|| Ok(Arc::new(fb_to_schema(described)))).map_err(in_footer)?;

        let dictionaries: Vec<Block> = footer.dictionaries().iter().flatten().copied().collect();
        let records: Vec<Block> = footer.recordBatches().iter().flatten().copied().collect();
        let claimed = dictionaries.iter().chain(&records).try_fold(0u64, |sum, block| sum.checked_add(block_length(block)?));
        if claimed.is_none_or(|claimed| claimed > bytes.len() as u64) {
            return Err(in_footer("the batches claim more bytes than the file has, so they overlap".to_owned()));
        }
        Ok(ArrowFile { buffer: buffer.clone(), schema, version: footer.version(), dictionaries, records, limits: limits.clone() })
    }

    /// Names and types of the columns.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The number of batches.
    pub fn batches(&self) -> usize {
        self.records.len()
    }

    /// The batches with the columns at `columns`, in that order, or with all columns. The values of other columns are not looked at.
    ///
    /// # Errors
    /// When a dictionary is damaged, or there is no such column.
    pub fn read(&self, columns: Option<&[usize]>) -> Result<ArrowRows, FormatError> {
        let mut decoder = FileDecoder::new(Arc::clone(&self.schema), self.version);
        if let Some(columns) = columns {
            if let Some(past) = columns.iter().find(|column| **column >= self.schema.fields().len()) {
                return Err(FormatError::new(Format::ArrowIpc, Place::File, format!("there is no column {past}"), COPY_AGAIN));
            }
            decoder = decoder.with_projection(columns.to_vec());
        }
        let held = if columns.is_some_and(<[usize]>::is_empty) { Held::Nothing } else { Held::One };
        let mut budget = Budget::new(self.limits.expansion(self.buffer.len() as u64));
        for block in &self.dictionaries {
            let data = checked_block(&self.buffer, block, MessageHeader::DictionaryBatch, &self.limits, &mut budget)?;
            within_border(|| decoder.read_dictionary(block, &data).map_err(|error| error.to_string()))
                .map_err(|reason| at_block(block, reason))?;
        }
        Ok(ArrowRows { file: self.clone(), decoder, next: 0, budget, held })
    }
}

impl ArrowRows {
    /// Leaves out so many batches; nothing of them is read.
    #[must_use]
    pub fn without_first(mut self, batches: usize) -> ArrowRows {
        self.next = self.next.saturating_add(batches);
        self
    }
}

impl Iterator for ArrowRows {
    type Item = Result<RecordBatch, FormatError>;

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let block = self.file.records.get(self.next)?;
            self.next += 1;
            let mut own = if self.held == Held::Nothing { Budget::new(u64::MAX) } else { self.budget.clone() };
            let data = match checked_block(&self.file.buffer, block, MessageHeader::RecordBatch, &self.file.limits, &mut own) {
                Ok(data) => data,
                Err(error) => return Some(Err(error)),
            };
            if self.held == Held::Together {
                self.budget = own;
            }
            let read = within_border(|| self.decoder.read_record_batch(block, &data).map_err(|error| error.to_string()));
            match read {
                Ok(Some(batch)) => return Some(Ok(batch)),
                Ok(None) => {}
                Err(reason) => return Some(Err(at_block(block, reason))),
            }
        }
    }
}

/// The bytes of the footer, between the batches and the length at the end.
fn find_footer(bytes: &[u8]) -> Result<&[u8], FormatError> {
    let refuse = |byte: usize, reason: &str, help: &str| FormatError::new(Format::ArrowIpc, Place::Byte(byte as u64), reason, help);
    if !bytes.starts_with(MAGIC) {
        if bytes.starts_with(&[0xff, 0xff, 0xff, 0xff]) {
            return Err(refuse(
                0,
                "this is an Arrow stream, not an Arrow file",
                "write it with a file writer (`pyarrow.ipc.new_file`, `write_feather`)",
            ));
        }
        return Err(refuse(0, "the file does not begin with Arrow's mark", "check that the path names an Arrow IPC or Feather 2 file"));
    }
    let tail = bytes.len().checked_sub(10).filter(|tail| *tail >= 8 && bytes.get(tail + 4..) == Some(MAGIC));
    let tail = tail.ok_or_else(|| refuse(bytes.len(), "Arrow's mark is missing at the end", COPY_AGAIN))?;
    let length: Option<usize> = number_at::<i32>(bytes, tail, ByteOrder::Little).and_then(|length| usize::try_from(length).ok());
    let start = length.and_then(|length| tail.checked_sub(length)).filter(|start| *start >= 8);
    start.and_then(|start| bytes.get(start..tail)).ok_or_else(|| refuse(tail, "the footer claims more bytes than the file has", COPY_AGAIN))
}

/// Refuses a schema that unfolds to far more than its bytes: tables of a flatbuffer may be shared, so that a few bytes name a million fields.
pub(super) fn check_schema(schema: &arrow::ipc::Schema<'_>, schema_bytes: usize, limits: &Limits) -> Result<(), String> {
    let mut left = (schema_bytes as u64).saturating_mul(64).saturating_add(64 * 1024);
    let mut spend = |bytes: usize| match left.checked_sub(bytes as u64) {
        Some(rest) => {
            left = rest;
            Ok(())
        }
        None => Err("the schema unfolds to far more than its bytes".to_owned()),
    };
    let mut pairs = |metadata: Option<arrow::ipc::KeyValue<'_>>| {
        let pair = metadata.map_or(0, |pair| 64 + pair.key().map_or(0, str::len) + pair.value().map_or(0, str::len));
        spend(pair)
    };
    for pair in schema.custom_metadata().iter().flatten() {
        pairs(Some(pair))?;
    }
    let mut waiting: Vec<arrow::ipc::Field<'_>> = schema.fields().iter().flatten().collect();
    if waiting.len() > limits.max_columns {
        return Err(format!("the table has {} columns, at most {} are read", waiting.len(), limits.max_columns));
    }
    while let Some(field) = waiting.pop() {
        spend(256 + field.name().map_or(0, str::len))?;
        for pair in field.custom_metadata().iter().flatten() {
            spend(64 + pair.key().map_or(0, str::len) + pair.value().map_or(0, str::len))?;
        }
        for child in field.children().iter().flatten() {
            // Children are paid for before they wait, so the list can't grow past the allowance.
            spend(64)?;
            waiting.push(child);
        }
    }
    Ok(())
}

/// Bytes of a block, or `None` if a length is negative.
fn block_length(block: &Block) -> Option<u64> {
    let head = u64::try_from(block.metaDataLength()).ok()?;
    let body = u64::try_from(block.bodyLength()).ok()?;
    u64::try_from(block.offset()).ok()?;
    head.checked_add(body)
}

fn at_block(block: &Block, reason: String) -> FormatError {
    FormatError::new(Format::ArrowIpc, Place::Byte(u64::try_from(block.offset()).unwrap_or(0)), reason, COPY_AGAIN)
}

/// The bytes of a block, once everything that its head claims has been checked against them.
fn checked_block(
    buffer: &Buffer,
    block: &Block,
    wanted: MessageHeader,
    limits: &Limits,
    budget: &mut Budget,
) -> Result<Buffer, FormatError> {
    let refuse = |reason: &str| at_block(block, reason.to_owned());
    let outside = || refuse("a batch lies outside the file");
    let offset = usize::try_from(block.offset()).map_err(|_| outside())?;
    let length = block_length(block).and_then(|length| usize::try_from(length).ok()).ok_or_else(outside)?;
    let end = offset.checked_add(length).filter(|end| *end <= buffer.len()).ok_or_else(outside)?;
    let head_length = usize::try_from(block.metaDataLength()).map_err(|_| outside())?;
    let data = buffer.slice_with_length(offset, end - offset);
    let head = data.get(..head_length).unwrap_or_default();
    // Files before Arrow 0.15 have no continuation mark in front of the length.
    let skip = if head.starts_with(&[0xff, 0xff, 0xff, 0xff]) { 8 } else { 4 };
    let message = root_as_message(head.get(skip..).unwrap_or_default())
        .map_err(|error| refuse(&format!("the head of a batch is damaged ({error})")))?;
    if message.header_type() != wanted {
        return Err(refuse("a block holds another kind of message than the footer says"));
    }
    let batch = match wanted {
        MessageHeader::DictionaryBatch => message.header_as_dictionary_batch().and_then(|dictionary| dictionary.data()),
        _ => message.header_as_record_batch(),
    };
    let batch = batch.ok_or_else(|| refuse("a batch has no values"))?;
    let packing = match batch.compression().map(|packed| (packed.method(), packed.codec())) {
        None => None,
        Some((BodyCompressionMethod::BUFFER, CompressionType::LZ4_FRAME)) => Some(Packing::Lz4),
        Some((BodyCompressionMethod::BUFFER, CompressionType::ZSTD)) => Some(Packing::Zstd),
        Some(_) => {
            let (place, reason) = (Place::Byte(offset as u64), "the columns are packed with something else than LZ4 or Zstandard");
            let help = "write the file without compression (`write_feather(…, compression=\"uncompressed\")`)";
            return Err(FormatError::new(Format::ArrowIpc, place, reason, help));
        }
    };
    let body = (data.len() - head.len()) as u64;
    let mut claimed = 0u64;
    for part in batch.buffers().iter().flatten() {
        let (start, length) = (u64::try_from(part.offset()), u64::try_from(part.length()));
        let (Ok(start), Ok(length)) = (start, length) else {
            return Err(refuse("a column has a negative place or length"));
        };
        if start.checked_add(length).is_none_or(|end| end > body) {
            return Err(refuse("a column lies outside its batch"));
        }
        claimed = claimed.saturating_add(length);
        if let Some(packing) = packing {
            let from = head_length.saturating_add(usize::try_from(start).unwrap_or(usize::MAX));
            let packed = data.get(from..from.saturating_add(usize::try_from(length).unwrap_or(usize::MAX))).unwrap_or_default();
            let unpacked = unpacked(packing, packed).map_err(refuse)?;
            budget
                .charge(unpacked)
                .map_err(|reason| FormatError::new(Format::ArrowIpc, Place::Byte(offset as u64), reason, RAISE_LIMIT))?;
        }
    }
    if claimed > body {
        return Err(refuse("the columns claim more bytes than their batch has, so they overlap"));
    }
    // A column of nulls takes no bytes, so its length can only be held against what memory a table may take at all.
    let most = i64::try_from(limits.max_total_bytes).unwrap_or(i64::MAX);
    let counts = batch.nodes().into_iter().flatten().map(|node| (node.length(), node.null_count())).chain([(batch.length(), 0)]);
    for (length, nulls) in counts {
        if length < 0 || nulls < 0 || nulls > length {
            return Err(refuse("a column has a negative length, or more nulls than values"));
        }
        if length > most {
            return Err(FormatError::new(
                Format::ArrowIpc,
                Place::Byte(offset as u64),
                format!("a batch claims {length} rows"),
                RAISE_LIMIT,
            ));
        }
    }
    Ok(data)
}

/// How buffers are packed.
#[derive(Debug, Clone, Copy)]
enum Packing {
    Lz4,
    Zstd,
}

/// The bytes that a packed buffer unpacks to, once its blocks have been held against what it claims. Before the packed bytes stands their length, or -1 when the
/// rest is plain; an empty buffer is nothing.
fn unpacked(packing: Packing, buffer: &[u8]) -> Result<u64, &'static str> {
    if buffer.is_empty() {
        return Ok(0);
    }
    let claim = number_at::<i64>(buffer, 0, ByteOrder::Little).ok_or("a packed column does not say its length")?;
    let packed = buffer.get(8..).unwrap_or_default();
    match (claim, u64::try_from(claim)) {
        (-1 | 0, _) => Ok(0),
        (_, Err(_)) => Err("a packed column has a negative length"),
        (_, Ok(claim)) => {
            let most = match packing {
                Packing::Lz4 => lz4(packed),
                Packing::Zstd => zstd(packed),
            };
            let Most { bytes, block } = most.ok_or("a packed column is no whole frame of blocks")?;
            if claim > bytes {
                return Err("a packed column claims more bytes than its blocks can hold");
            }
            // Only the arrow crate's reader of LZ4 goes on behind what is claimed: all blocks but the last are to be full.
            if matches!(packing, Packing::Lz4) && bytes - claim > block {
                return Err("the blocks of a packed column can hold more bytes than it claims");
            }
            Ok(claim)
        }
    }
}

/// Writes `batches`, which all have `schema`, as an Arrow IPC file with buffers aligned to 64 bytes.
///
/// # Errors
/// When a batch has another schema.
pub fn write_arrow_ipc(schema: &SchemaRef, batches: &[RecordBatch]) -> Result<Vec<u8>, FormatError> {
    let mut bytes = Vec::new();
    write_arrow_ipc_to(&mut bytes, schema, batches)?;
    Ok(bytes)
}

/// Writes what [`write_arrow_ipc`] gives, piece by piece.
///
/// # Errors
/// When a batch has another schema, or the writer fails.
pub fn write_arrow_ipc_to(into: &mut dyn Write, schema: &SchemaRef, batches: &[RecordBatch]) -> Result<(), FormatError> {
    let problem = |error: arrow::error::ArrowError| {
        FormatError::new(Format::ArrowIpc, Place::File, error.to_string(), "give batches that all have the schema of the file")
    };
    let mut writer = FileWriter::try_new(into, schema).map_err(problem)?;
    for batch in batches {
        writer.write(batch).map_err(problem)?;
    }
    writer.finish().map_err(problem)
}
