//! Tables as text, as a document: the table `table`, with the types that all its rows together say.

use crate::document::{Contents, Document, Item, Rows, What};
use crate::reading::{HeldRows, columns_of, whole};
use crate::source::Source;
use neuroflow_data::formats::csv::{CsvOptions, read_csv};
use neuroflow_data::formats::{Format, FormatError, Limits};
use std::sync::Arc;

/// An opened table of text.
#[derive(Debug)]
pub struct CsvDocument {
    contents: Contents,
    rows: Arc<HeldRows>,
}

/// Opens a table, plain or gzip, with delimiter and header as they are found.
///
/// # Errors
/// As [`read_csv`].
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<CsvDocument, FormatError> {
    open_with(source, &CsvOptions::default(), limits)
}

/// Opens a table, plain or gzip, with a delimiter and a header row as told.
///
/// # Errors
/// As [`read_csv`].
pub fn open_with(source: Arc<dyn Source>, options: &CsvOptions, limits: &Limits) -> Result<CsvDocument, FormatError> {
    // A column type needs all rows, so the text is read to its end; it is let go of again.
    let batch = read_csv(&whole(source.as_ref(), Format::Csv, limits)?, options, limits)?;
    let mut contents = Contents::new(Format::Csv, "");
    let what = What::Table { rows: Some(batch.num_rows() as u64), columns: columns_of(&batch.schema()) };
    contents.items.push(Item { path: "table".into(), what, about: String::new() });
    Ok(CsvDocument { contents, rows: Arc::new(HeldRows { format: Format::Csv, batch }) })
}

impl Document for CsvDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        self.contents.path_of(path, "table", |what| what.word() == "table")?;
        Ok(Arc::<HeldRows>::clone(&self.rows))
    }
}
