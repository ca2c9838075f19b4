//! A Parquet file of which some columns and some groups of rows are read.
//!
//! The footer is checked when the file is opened, the pages of a column chunk when it is read: what is not asked for is not looked at, so that a
//! file in mapped memory costs only the columns that a question needs.

use std::io::{Cursor, Read, Seek, SeekFrom};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use ::parquet::arrow::ProjectionMask;
use ::parquet::arrow::arrow_reader::statistics::StatisticsConverter;
use ::parquet::arrow::arrow_reader::{ArrowReaderMetadata, ArrowReaderOptions, ParquetRecordBatchReader, ParquetRecordBatchReaderBuilder};
use ::parquet::errors::ParquetError;
use ::parquet::file::metadata::{ColumnChunkMetaData, ParquetMetaData, ParquetMetaDataReader};
use ::parquet::file::reader::{ChunkReader, Length};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::buffer::Buffer;
use arrow::datatypes::SchemaRef;
use bytes::Bytes;

use super::border::within_border;
use super::error::{COPY_AGAIN, RAISE_LIMIT};
use super::limits::{Budget, Limits};
use super::parquet::{check_arrow_schema, check_chunks, check_footer, find_footer};
use super::{Format, FormatError, Place};

/// Rows decoded at a time; fewer where single values may be large.
const MOST_ROWS: u64 = 8192;

/// Bytes that one portion of rows may take at the worst.
const PORTION_BYTES: u64 = 64 << 20;

/// An opened Parquet file; nothing but its footer has been read.
#[derive(Debug, Clone)]
pub struct ParquetFile {
    bytes: Counted,
    described: ArrowReaderMetadata,
    footer_start: usize,
    limits: Limits,
}

/// What the groups of rows say of one column: an array each, with a value for each group, null where a group does not say.
#[derive(Debug, Clone)]
pub struct GroupStatistics {
    /// The smallest value, or something smaller.
    pub smallest: ArrayRef,
    /// The largest value, or something larger.
    pub largest: ArrayRef,
    /// The number of nulls, as `u64`.
    pub nulls: ArrayRef,
}

/// The rows of a choice of columns and groups, in portions.
pub struct ParquetRows {
    schema: SchemaRef,
    reader: ParquetRecordBatchReader,
    budget: Budget,
    rows: usize,
    failed: bool,
}

impl ParquetFile {
    /// Opens a file: checks and reads its footer.
    ///
    /// # Errors
    /// When the bytes are not a Parquet file, or the footer claims what can't be.
    pub fn open(buffer: &Buffer, limits: &Limits) -> Result<ParquetFile, FormatError> {
        let (footer, footer_start) = find_footer(buffer.as_slice())?;
        let in_footer = |reason: String| FormatError::new(Format::Parquet, Place::Byte(footer_start as u64), reason, COPY_AGAIN);
        check_footer(footer, footer_start, limits)?;
        let bytes = Counted { bytes: Bytes::from_owner(Shared(buffer.clone())), read: Arc::default() };
        let metadata = within_border(|| ParquetMetaDataReader::new().parse_and_finish(&bytes.bytes).map_err(|error| error.to_string()))
            .map_err(in_footer)?;
        check_arrow_schema(&metadata, footer.len(), limits).map_err(in_footer)?;
        let described = within_border(|| {
            ArrowReaderMetadata::try_new(Arc::new(metadata), ArrowReaderOptions::new()).map_err(|error| error.to_string())
        })
        .map_err(|reason| FormatError::new(Format::Parquet, Place::File, format!("after 0 rows: {reason}"), COPY_AGAIN))?;
        Ok(ParquetFile { bytes, described, footer_start, limits: limits.clone() })
    }

    /// Names and types of the columns.
    pub fn schema(&self) -> &SchemaRef {
        self.described.schema()
    }

    /// The number of groups of rows.
    pub fn groups(&self) -> usize {
        self.metadata().num_row_groups()
    }

    /// The number of rows in a group; 0 past the last.
    pub fn rows(&self, group: usize) -> usize {
        self.metadata().row_groups().get(group).and_then(|group| usize::try_from(group.num_rows()).ok()).unwrap_or(0)
    }

    /// What the groups say of a column; none for nested columns and where the file does not say.
    pub fn statistics(&self, column: usize) -> Option<GroupStatistics> {
        let name = self.schema().fields().get(column)?.name();
        let described = &self.described;
        // Old writers ordered text by signed bytes: what they say of it is worse than nothing.
        let old = |chunk: &ColumnChunkMetaData| chunk.statistics().is_some_and(|said| said.is_min_max_deprecated());
        if described.metadata().row_groups().iter().any(|group| group.columns().iter().any(old)) {
            return None;
        }
        within_border(|| {
            let converter = StatisticsConverter::try_new(name, described.schema(), described.parquet_schema());
            let converter = converter.map_err(|error| error.to_string())?;
            let groups = described.metadata().row_groups();
            let said = |error: ParquetError| error.to_string();
            Ok(GroupStatistics {
                smallest: converter.row_group_mins(groups).map_err(said)?,
                largest: converter.row_group_maxes(groups).map_err(said)?,
                nulls: Arc::new(converter.row_group_null_counts(groups).map_err(said)?),
            })
        })
        .ok()
    }

    /// The bytes of the file that have been read for rows so far.
    pub fn bytes_read(&self) -> u64 {
        self.bytes.read.load(Ordering::Relaxed)
    }

    /// The rows of the columns and groups at these positions (those past the end are left out), both in the file's order.
    ///
    /// # Errors
    /// When the chunks lie outside the file or claim to unfold to more than they may.
    pub fn read(&self, columns: &[usize], groups: &[usize]) -> Result<ParquetRows, FormatError> {
        let parquet_schema = self.described.parquet_schema();
        let mut groups: Vec<usize> = groups.iter().copied().filter(|group| *group < self.groups()).collect();
        groups.sort_unstable();
        groups.dedup();
        let wanted = |group: usize, leaf: usize| {
            groups.binary_search(&group).is_ok()
                && leaf < parquet_schema.num_columns()
                && columns.contains(&parquet_schema.get_column_root_idx(leaf))
        };
        let everything = self.bytes.bytes.as_ref();
        let largest = check_chunks(everything, self.footer_start, self.metadata(), &self.limits, &wanted)?;
        let portion = (PORTION_BYTES / largest.max(1)).clamp(1, MOST_ROWS) as usize;
        let known = columns.iter().copied().filter(|column| *column < self.schema().fields().len());
        let mask = ProjectionMask::roots(parquet_schema, known);
        let (bytes, described) = (self.bytes.clone(), self.described.clone());
        let reader = within_border(|| {
            let builder = ParquetRecordBatchReaderBuilder::new_with_metadata(bytes, described);
            let builder = builder.with_batch_size(portion).with_projection(mask).with_row_groups(groups);
            builder.build().map_err(|error| error.to_string())
        })
        .map_err(|reason| FormatError::new(Format::Parquet, Place::File, format!("after 0 rows: {reason}"), COPY_AGAIN))?;
        Ok(ParquetRows {
            schema: arrow::array::RecordBatchReader::schema(&reader),
            reader,
            budget: Budget::new(self.limits.expansion(everything.len() as u64)),
            rows: 0,
            failed: false,
        })
    }

    fn metadata(&self) -> &ParquetMetaData {
        self.described.metadata()
    }
}

impl ParquetRows {
    /// Names and types of the columns that are read.
    pub fn schema(&self) -> &SchemaRef {
        &self.schema
    }

    /// The next portion of rows, for a caller that lets go of it before the next: only what it holds counts against the limits.
    pub fn next_portion(&mut self) -> Option<Result<RecordBatch, FormatError>> {
        let batch = self.next()?;
        if let Ok(batch) = &batch {
            self.budget.release(batch.get_array_memory_size() as u64);
        }
        Some(batch)
    }
}

impl Iterator for ParquetRows {
    type Item = Result<RecordBatch, FormatError>;

    /// The next portion of rows, for a caller that keeps them all.
    fn next(&mut self) -> Option<Self::Item> {
        if self.failed {
            return None;
        }
        let (reader, budget) = (&mut self.reader, &mut self.budget);
        let next = within_border(|| {
            let Some(batch) = reader.next() else { return Ok(None) };
            let batch = batch.map_err(|error| error.to_string())?;
            budget.charge(batch.get_array_memory_size() as u64)?;
            Ok(Some(batch))
        });
        match next {
            Ok(batch) => {
                self.rows += batch.as_ref().map_or(0, RecordBatch::num_rows);
                batch.map(Ok)
            }
            Err(reason) => {
                self.failed = true;
                let help = if reason.contains("may hold") { RAISE_LIMIT } else { COPY_AGAIN };
                let rows = self.rows;
                Some(Err(FormatError::new(Format::Parquet, Place::File, format!("after {rows} rows: {reason}"), help)))
            }
        }
    }
}

/// The bytes of a file, and how many of them were read.
#[derive(Debug, Clone)]
struct Counted {
    bytes: Bytes,
    read: Arc<AtomicU64>,
}

impl Length for Counted {
    fn len(&self) -> u64 {
        self.bytes.len() as u64
    }
}

impl ChunkReader for Counted {
    type T = CountedRead;

    fn get_read(&self, start: u64) -> Result<CountedRead, ParquetError> {
        let mut inner = Cursor::new(self.bytes.clone());
        inner.seek(SeekFrom::Start(start))?;
        Ok(CountedRead { inner, read: Arc::clone(&self.read) })
    }

    fn get_bytes(&self, start: u64, length: usize) -> Result<Bytes, ParquetError> {
        let start = usize::try_from(start).ok();
        let end = start.and_then(|start| start.checked_add(length)).filter(|end| *end <= self.bytes.len());
        let (Some(start), Some(end)) = (start, end) else {
            return Err(ParquetError::EOF(format!("{length} bytes are asked for past the end of the file")));
        };
        self.read.fetch_add(length as u64, Ordering::Relaxed);
        Ok(self.bytes.slice(start..end))
    }
}

struct CountedRead {
    inner: Cursor<Bytes>,
    read: Arc<AtomicU64>,
}

impl Read for CountedRead {
    fn read(&mut self, into: &mut [u8]) -> std::io::Result<usize> {
        let count = self.inner.read(into)?;
        self.read.fetch_add(count as u64, Ordering::Relaxed);
        Ok(count)
    }
}

/// An Arrow buffer as the owner of `Bytes`, so that the file is not copied.
struct Shared(Buffer);

impl AsRef<[u8]> for Shared {
    fn as_ref(&self) -> &[u8] {
        self.0.as_slice()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Float64Array, Int64Array, StringArray};
    use arrow::datatypes::{DataType, Field, Schema};

    /// Three columns, `groups` groups of a thousand rows; `number` counts the rows, so each group has a range of its own.
    fn file(groups: usize) -> Buffer {
        let rows = groups * 1000;
        let schema = Arc::new(Schema::new(vec![
            Field::new("number", DataType::Int64, false),
            Field::new("noise", DataType::Float64, false),
            Field::new("text", DataType::Utf8, false),
        ]));
        let columns: Vec<ArrayRef> = vec![
            Arc::new(Int64Array::from_iter_values(0..rows as i64)),
            Arc::new(Float64Array::from_iter_values((0..rows).map(|row| ((row * 7919) as f64).sin()))),
            Arc::new(StringArray::from_iter_values((0..rows).map(|row| format!("a rather long text number {}", row * 7919)))),
        ];
        let batch = RecordBatch::try_new(Arc::clone(&schema), columns).unwrap();
        let properties = ::parquet::file::properties::WriterProperties::builder().set_max_row_group_row_count(Some(1000)).build();
        let mut bytes = Vec::new();
        let mut writer = ::parquet::arrow::ArrowWriter::try_new(&mut bytes, schema, Some(properties)).unwrap();
        writer.write(&batch).unwrap();
        writer.close().unwrap();
        Buffer::from_vec(bytes)
    }

    #[test]
    fn only_the_columns_and_groups_that_are_asked_for_are_read() {
        let bytes = file(10);
        let open = || ParquetFile::open(&bytes, &Limits::default()).unwrap();
        let read = |columns: &[usize], groups: &[usize]| {
            let file = open();
            let rows: Vec<RecordBatch> = file.read(columns, groups).unwrap().map(Result::unwrap).collect();
            (rows.iter().map(RecordBatch::num_rows).sum::<usize>(), file.bytes_read())
        };
        let (rows, everything) = read(&[0, 1, 2], &(0..10).collect::<Vec<_>>());
        assert_eq!(rows, 10_000);
        let (rows, one_column) = read(&[1], &(0..10).collect::<Vec<_>>());
        assert_eq!(rows, 10_000);
        let (rows, one_group) = read(&[1], &[7]);
        assert_eq!(rows, 1000);
        assert!(one_column < everything / 2 && one_group * 8 < one_column, "{everything} {one_column} {one_group}");
        assert_eq!(read(&[], &[3]), (1000, 0), "rows are counted without reading a column");
    }

    #[test]
    fn groups_tell_their_smallest_and_largest_values() {
        let file = ParquetFile::open(&file(3), &Limits::default()).unwrap();
        let statistics = file.statistics(0).unwrap();
        assert_eq!(statistics.smallest.as_ref(), &Int64Array::from(vec![0, 1000, 2000]));
        assert_eq!(statistics.largest.as_ref(), &Int64Array::from(vec![999, 1999, 2999]));
        assert!(file.statistics(9).is_none());
    }
}
