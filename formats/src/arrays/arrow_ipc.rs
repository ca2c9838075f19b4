//! Arrow IPC files as documents: the table `table`. Batches are looked at in place; only the columns and rows that are asked for are copied.

use crate::document::{Contents, Document, Item, Rows, What};
use crate::reading::{broken, buffer, columns_of, no_column};
use crate::source::Source;
use arrow::array::RecordBatch;
use arrow::compute::concat_batches;
use arrow::datatypes::SchemaRef;
use neuroflow_data::formats::arrow_ipc::ArrowFile;
use neuroflow_data::formats::{Format, FormatError, Limits};
use std::ops::Range;
use std::sync::Arc;

/// An opened Arrow IPC file: its footer and the lengths of its batches have been read.
#[derive(Debug)]
pub struct ArrowDocument {
    contents: Contents,
    rows: Arc<ArrowTable>,
}

/// Opens an Arrow IPC file.
///
/// # Errors
/// When the footer or the head of a batch is damaged.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<ArrowDocument, FormatError> {
    let file = ArrowFile::open(&buffer(&source, Format::ArrowIpc, limits)?, limits)?;
    let mut batches = Vec::new();
    for batch in file.read(Some(&[]))? {
        batches.push(batch?.num_rows() as u64);
    }
    let mut contents = Contents::new(Format::ArrowIpc, "");
    contents.facts.insert("batches".into(), batches.len().to_string());
    let table = ArrowTable { file, batches };
    let what = What::Table { rows: Some(table.count()), columns: columns_of(table.file.schema()) };
    contents.items.push(Item { path: "table".into(), what, about: String::new() });
    Ok(ArrowDocument { contents, rows: Arc::new(table) })
}

impl Document for ArrowDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        self.contents.path_of(path, "table", |what| what.word() == "table")?;
        Ok(Arc::<ArrowTable>::clone(&self.rows))
    }
}

/// The rows of an Arrow file.
#[derive(Debug)]
struct ArrowTable {
    file: ArrowFile,
    batches: Vec<u64>,
}

impl Rows for ArrowTable {
    fn schema(&self) -> SchemaRef {
        Arc::clone(self.file.schema())
    }

    fn count(&self) -> u64 {
        self.batches.iter().fold(0, |sum, rows| sum.saturating_add(*rows))
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let count = self.file.schema().fields().len();
        let schema = Arc::new(self.file.schema().project(columns).map_err(|_| no_column(Format::ArrowIpc, columns, count))?);
        let mut own: Vec<usize> = columns.to_vec();
        own.sort_unstable();
        own.dedup();
        let order: Vec<usize> = columns.iter().filter_map(|column| own.binary_search(column).ok()).collect();
        let mut taken = Vec::new();
        // Batches before the rows are not unpacked.
        let (mut first, mut before) = (0u64, 0);
        for end in self.batches.iter().scan(0u64, |end, own| {
            *end = end.saturating_add(*own);
            Some(*end)
        }) {
            if end > rows.start {
                break;
            }
            (first, before) = (end, before + 1);
        }
        for batch in self.file.read(Some(&own))?.without_first(before) {
            let batch = batch?;
            let end = first.saturating_add(batch.num_rows() as u64);
            if end > rows.start && first < rows.end {
                let from = rows.start.saturating_sub(first);
                let length = end.min(rows.end).saturating_sub(first).saturating_sub(from);
                let part = batch.slice(from as usize, length as usize);
                taken.push(part.project(&order).map_err(|error| broken(Format::ArrowIpc, error.to_string()))?);
            }
            first = end;
            if first >= rows.end {
                break;
            }
        }
        concat_batches(&schema, &taken).map_err(|error| broken(Format::ArrowIpc, error.to_string()))
    }
}
