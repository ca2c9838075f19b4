//! NumPy `.npy` as a document: one array, of which parts are read from their bytes alone. Text is a table with one column `value`, and
//! records with named fields are one with a column for each.

use super::npy_records::RecordRows;
use crate::document::{Contents, Document, Item, Rows, What};
use crate::grid::{Element, Grid, Named, Scale};
use crate::reading::{HeldRows, head, whole};
use crate::source::Source;
use arrow::array::{RecordBatch, StringArray};
use arrow::datatypes::{DataType, Field, Schema};
use neuroflow_data::Tensor;
use neuroflow_data::formats::npy::{Header, NpyArray, Scalar, read_npy, read_npy_header, read_npy_records};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use std::ops::Range;
use std::sync::Arc;

/// An opened `.npy` file: its header has been read.
#[derive(Debug)]
pub struct NpyDocument {
    contents: Contents,
    source: Arc<dyn Source>,
    array: Option<Named>,
    records: Option<RecordRows>,
    limits: Limits,
}

/// The grid of a header; `None` for text, or when the shape can't be counted.
pub(super) fn grid(header: &Header) -> Option<Grid> {
    let element = match header.scalar {
        Scalar::Bool => Element::Bool,
        Scalar::I8 => Element::I8,
        Scalar::U8 => Element::U8,
        Scalar::I16 => Element::I16,
        Scalar::U16 => Element::U16,
        Scalar::I32 => Element::I32,
        Scalar::U32 => Element::U32,
        Scalar::I64 => Element::I64,
        Scalar::U64 => Element::U64,
        Scalar::F16 => Element::F16,
        Scalar::F32 => Element::F32,
        Scalar::F64 => Element::F64,
        Scalar::Bytes(_) | Scalar::Unicode(_) => return None,
    };
    let shape: Vec<u64> = header.shape.iter().map(|length| *length as u64).collect();
    let axes = if header.fortran_order { Grid::column_major(&shape) } else { Grid::row_major(&shape) }?;
    Some(Grid { element, order: header.order, start: header.data_start as u64, axes, scale: Scale::NONE })
        .filter(|grid| grid.end().is_some())
}

/// The item for an array under a path.
pub(super) fn item(path: &str, header: &Header) -> Item {
    let rows = header.shape.iter().try_fold(1u64, |count, length| count.checked_mul(*length as u64));
    let what = match header.scalar {
        Scalar::Bytes(_) | Scalar::Unicode(_) => What::Table { rows, columns: vec![("value".into(), "text".into())] },
        _ => What::Array {
            shape: header.shape.iter().map(|length| *length as u64).collect(),
            element: grid(header).map_or("number", |grid| grid.element.name()).into(),
            unit: String::new(),
            axes: Vec::new(),
        },
    };
    let about = match what {
        What::Table { .. } => format!("text, shape {:?}", header.shape),
        _ => String::new(),
    };
    Item { path: path.into(), what, about }
}

/// The rows of an array of text.
pub(super) fn text_rows(format: Format, array: &NpyArray) -> Result<Arc<dyn Rows>, FormatError> {
    let values = StringArray::from_iter_values(array.to_text()?);
    let schema = Schema::new(vec![Field::new("value", DataType::Utf8, false)]);
    let batch = RecordBatch::try_new(Arc::new(schema), vec![Arc::new(values)]);
    let batch = batch.map_err(|error| FormatError::new(format, Place::File, error.to_string(), COPY_AGAIN))?;
    Ok(Arc::new(HeldRows { format, batch }))
}

/// Opens a `.npy` file.
///
/// # Errors
/// When its header is damaged or its type is not read.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<NpyDocument, FormatError> {
    /// Longer than any header but those of thousands of fields.
    const HEADER: u64 = 1 << 18;
    let begin = head(source.as_ref(), Format::Npy, HEADER)?;
    let mut contents = Contents::new(Format::Npy, "");
    if let Some(records) = read_npy_records(&begin)? {
        let rows = RecordRows::open(Arc::clone(&source), records, limits)?;
        contents.items.push(rows.item("array"));
        drop(begin);
        return Ok(NpyDocument { contents, source, array: None, records: Some(rows), limits: limits.clone() });
    }
    let header = read_npy_header(&begin)?;
    drop(begin);
    contents.items.push(item("array", &header));
    let text = matches!(header.scalar, Scalar::Bytes(_) | Scalar::Unicode(_));
    let array = grid(&header).map(|grid| Named { path: "array".into(), grid, axes: Vec::new(), unit: String::new() });
    let start = Place::Byte(header.data_start as u64);
    match array.as_ref().and_then(|array| array.grid.end()) {
        Some(end) if end != source.len() => {
            let reason = format!("the shape {:?} calls for a file of {end} bytes, it has {}", header.shape, source.len());
            return Err(FormatError::new(Format::Npy, start, reason, COPY_AGAIN));
        }
        None if !text => {
            let reason = format!("the shape {:?} multiplies to more than a computer can count", header.shape);
            return Err(FormatError::new(Format::Npy, start, reason, COPY_AGAIN));
        }
        _ => {}
    }
    if header.fortran_order {
        contents.facts.insert("memory order".into(), "first axis fastest".into());
    }
    Ok(NpyDocument { contents, source, array, records: None, limits: limits.clone() })
}

impl Document for NpyDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        self.contents.path_of(path, "table", |what| what.word() == "table")?;
        if let Some(records) = &self.records {
            return Ok(Arc::new(records.clone()));
        }
        text_rows(Format::Npy, &read_npy(&whole(self.source.as_ref(), Format::Npy, &self.limits)?, &self.limits)?)
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        self.contents.path_of(path, "array", |what| what.word() == "array")?;
        match &self.array {
            Some(array) => array.tensor(self.source.as_ref(), Format::Npy, part, &self.limits),
            None => Err(self.contents.none("array", path)),
        }
    }
}
