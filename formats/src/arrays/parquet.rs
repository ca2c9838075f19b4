//! Parquet as a document: the table `table`, of which the groups and columns that are asked for are read.

use crate::document::{Contents, Document, Item, Rows, What};
use crate::reading::{broken, buffer, columns_of, no_column};
use crate::source::Source;
use arrow::array::{Array, RecordBatch};
use arrow::compute::{cast, concat_batches};
use arrow::datatypes::{DataType, SchemaRef};
use neuroflow_data::formats::parquet_file::ParquetFile;
use neuroflow_data::formats::{Format, FormatError, Limits};
use std::ops::Range;
use std::sync::Arc;

/// An opened Parquet file: its footer has been read.
#[derive(Debug)]
pub struct ParquetDocument {
    contents: Contents,
    rows: Arc<ParquetTable>,
}

/// Opens a Parquet file.
///
/// # Errors
/// When the footer is damaged.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<ParquetDocument, FormatError> {
    let file = ParquetFile::open(&buffer(&source, Format::Parquet, limits)?, limits)?;
    let groups: Vec<u64> = (0..file.groups()).map(|group| file.rows(group) as u64).collect();
    let mut contents = Contents::new(Format::Parquet, "");
    let rows = groups.iter().fold(0u64, |sum, rows| sum.saturating_add(*rows));
    contents.facts.insert("row groups".into(), groups.len().to_string());
    let what = What::Table { rows: Some(rows), columns: columns_of(file.schema()) };
    contents.items.push(Item { path: "table".into(), what, about: String::new() });
    Ok(ParquetDocument { contents, rows: Arc::new(ParquetTable { file, groups }) })
}

impl Document for ParquetDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        self.contents.path_of(path, "table", |what| what.word() == "table")?;
        Ok(Arc::<ParquetTable>::clone(&self.rows))
    }
}

/// The rows of a Parquet file.
#[derive(Debug)]
struct ParquetTable {
    file: ParquetFile,
    groups: Vec<u64>,
}

impl Rows for ParquetTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.file.schema())
    }

    fn count(&self) -> u64 {
        self.groups.iter().fold(0, |sum, rows| sum.saturating_add(*rows))
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let count = self.file.schema().fields().len();
        let schema = self.file.schema().project(columns).map_err(|_| no_column(Format::Parquet, columns, count))?;
        let mut first = 0u64;
        let mut wanted = Vec::new();
        let mut skipped = None;
        for (group, length) in self.groups.iter().enumerate() {
            let end = first.saturating_add(*length);
            if end > rows.start && first < rows.end {
                skipped.get_or_insert(rows.start.saturating_sub(first));
                wanted.push(group);
            }
            first = end;
        }
        // The file gives columns in its own order, each once.
        let mut own: Vec<usize> = columns.to_vec();
        own.sort_unstable();
        own.dedup();
        let order: Vec<usize> = columns.iter().filter_map(|column| own.binary_search(column).ok()).collect();
        let mut taken = Vec::new();
        let mut skip = skipped.unwrap_or(0);
        let mut left = rows.end.min(self.count()).saturating_sub(rows.start);
        for batch in self.file.read(&own, &wanted)? {
            let batch = batch?;
            let length = batch.num_rows() as u64;
            let from = skip.min(length);
            skip -= from;
            let here = (length - from).min(left);
            left -= here;
            if here > 0 {
                let part = batch.slice(from as usize, here as usize);
                taken.push(part.project(&order).map_err(|error| broken(Format::Parquet, error.to_string()))?);
            }
            if left == 0 {
                break;
            }
        }
        let schema = taken.first().map_or(Arc::new(schema), RecordBatch::schema);
        concat_batches(&schema, &taken).map_err(|error| broken(Format::Parquet, error.to_string()))
    }

    fn bounds(&self, column: usize, rows: Range<u64>) -> Option<(f64, f64)> {
        let said = self.file.statistics(column)?;
        let number = |array: &dyn Array, group: usize| {
            let one = cast(&array.slice(group, 1), &DataType::Float64).ok()?;
            let one = one.as_any().downcast_ref::<arrow::array::Float64Array>()?;
            one.is_valid(0).then(|| one.value(0)).filter(|value| value.is_finite())
        };
        let numeric = self.file.schema().fields().get(column)?.data_type().is_numeric();
        let (mut first, mut least, mut most) = (0u64, f64::INFINITY, f64::NEG_INFINITY);
        for (group, length) in self.groups.iter().enumerate().filter(|_| numeric) {
            let end = first.saturating_add(*length);
            if end > rows.start && first < rows.end {
                least = least.min(number(said.smallest.as_ref(), group)?);
                most = most.max(number(said.largest.as_ref(), group)?);
            }
            first = end;
        }
        (least <= most).then_some((least, most))
    }
}
