//! MATLAB 5 `.mat` as a document, in MATLAB's order of indices: `tensor[i, j, k]` is MATLAB's `A(i+1, j+1, k+1)`.
//!
//! | value | item |
//! |---|---|
//! | numbers, truth values, sparse matrices | an array |
//! | text of one line | a value |
//! | text of several lines, a cell array of texts | a table with the column `text` |
//! | a struct | a group; a field is `D/neuron1` |
//! | cells, or a field of a struct array, all of one size | an array: the cells' axes, then the arrays', without those of length 1 |
//! | any other cell array | a group; the third cell is `D/3` |
//! | complex numbers, functions, objects | listed, not given |

mod outline;

use crate::document::{Contents, Document, Rows};
use crate::grid::{Element, Grid, Scale, tensor};
use crate::matlab::{Builder, Held, axes, sizes};
use crate::reading::{unique, whole};
use crate::source::Source;
use arrow::buffer::Buffer;
use neuroflow_data::Tensor;
use neuroflow_data::formats::bytes::{ByteOrder, number_at};
use neuroflow_data::formats::mat5::{MatClass, dense, inflate_variable, read_mat5};
use neuroflow_data::formats::{Budget, Format, FormatError, Limits, Place};
use outline::{HEADER, outline};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// An opened `.mat` file: names, sizes and classes have been read, numbers were skipped.
#[derive(Debug)]
pub struct Mat5Document {
    contents: Contents,
    source: Arc<dyn Source>,
    /// Where the elements of variables are, and the variable of every item that can be read.
    elements: Vec<(String, Range<usize>)>,
    owners: BTreeMap<String, usize>,
    /// The variable that was read last.
    last: Mutex<Option<(usize, Arc<BTreeMap<String, Held>>)>>,
    /// The matrix that was inflated last.
    inflated: Mutex<Option<(usize, Arc<Buffer>)>>,
    limits: Limits,
}

/// Opens a MATLAB 5 file. Its variables are inflated for it, but not held: sizes stand nowhere else. A variable is read when one of its items is
/// asked for.
///
/// # Errors
/// When the header, an element or a compressed variable is damaged, or values nest too deep.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<Mat5Document, FormatError> {
    let mut contents = Contents::new(Format::Mat5, "");
    let (mut elements, mut owners) = (Vec::new(), BTreeMap::new());
    {
        let bytes = whole(source.as_ref(), Format::Mat5, limits)?;
        // The header is checked by the reader of values, on a file that holds none.
        read_mat5(bytes.get(..HEADER).unwrap_or(&bytes), limits)?;
        let text = crate::reading::text(bytes.get(..116).unwrap_or_default()).trim_matches(['\0', ' ']).to_owned();
        if !text.is_empty() {
            contents.facts.insert("header".into(), text);
        }
        let mut taken = BTreeMap::new();
        for outlined in outline(&bytes, limits, &mut contents.notes)? {
            let path = unique(&outlined.name.replace('/', "_"), &mut taken);
            let mut builder = Builder::default();
            builder.add(&path, outlined.value, limits.max_depth);
            owners.extend(builder.held.into_keys().map(|own| (own, elements.len())));
            contents.items.append(&mut builder.items);
            contents.notes.append(&mut builder.notes);
            elements.push((path, outlined.element));
        }
    }
    Ok(Mat5Document { contents, source, elements, owners, last: Mutex::new(None), inflated: Mutex::new(None), limits: limits.clone() })
}

impl Mat5Document {
    /// A part of a variable that is a dense array of real numbers, read where they stand; none when it is anything else.
    fn dense(&self, number: usize, path: &str, part: Option<&[Range<u64>]>) -> Result<Option<Tensor>, FormatError> {
        let Some((_, element)) = self.elements.get(number).filter(|(own, _)| own == path) else { return Ok(None) };
        let bytes = whole(self.source.as_ref(), Format::Mat5, &self.limits)?;
        let order = outline::order(&bytes);
        let (Some(own), Some(first)) = (bytes.get(element.clone()), element.start.checked_add(8)) else { return Ok(None) };
        let own = own.get(8..).unwrap_or_default();
        let packed = number_at::<u32>(&bytes, element.start, order) == Some(15);
        let held = if packed { Some(self.inflated(number, own, first, order)?) } else { None };
        // Behind the tag of the matrix inside.
        let matrix = held.as_ref().map_or(own, |held| held.get(8..).unwrap_or_default());
        let Some(dense) = dense(matrix, order) else { return Ok(None) };
        let shape = sizes(&dense.dims);
        let element = match dense.stored {
            MatClass::Double => Element::F64,
            MatClass::Single => Element::F32,
            MatClass::Int8 => Element::I8,
            MatClass::UInt8 | MatClass::Logical => Element::U8,
            MatClass::Int16 => Element::I16,
            MatClass::UInt16 => Element::U16,
            MatClass::Int32 => Element::I32,
            MatClass::UInt32 => Element::U32,
            MatClass::Int64 | MatClass::UInt64 => return Ok(None),
        };
        let Some(axes_of) = Grid::column_major(&shape) else { return Ok(None) };
        let start = (dense.numbers.start + if packed { 8 } else { first }) as u64;
        let grid = Grid { element, order, start, axes: axes_of, scale: Scale::NONE };
        let (ranges, values) = match &held {
            Some(held) => grid.read(held.as_ref(), Format::Mat5, path, part, &self.limits)?,
            None => grid.read(self.source.as_ref(), Format::Mat5, path, part, &self.limits)?,
        };
        tensor(Format::Mat5, &axes(shape.len()), &ranges, "", values).map(Some)
    }

    /// A compressed matrix with its tag; the last one is kept.
    fn inflated(&self, number: usize, packed: &[u8], offset: usize, order: ByteOrder) -> Result<Arc<Buffer>, FormatError> {
        let mut last = self.inflated.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((own, held)) = last.as_ref()
            && *own == number
        {
            return Ok(Arc::clone(held));
        }
        *last = None;
        let mut budget = Budget::new(self.limits.max_total_bytes);
        let matrix = inflate_variable(packed, offset, order, &self.limits, &mut budget)?;
        let held = Arc::new(Buffer::from_vec(matrix));
        *last = Some((number, Arc::clone(&held)));
        Ok(held)
    }

    /// All that a variable holds; the last one is kept.
    fn variable(&self, number: usize) -> Result<Arc<BTreeMap<String, Held>>, FormatError> {
        let mut last = self.last.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((own, held)) = last.as_ref()
            && *own == number
        {
            return Ok(Arc::clone(held));
        }
        *last = None;
        let Some((path, element)) = self.elements.get(number) else { return Err(self.contents.none("array", "")) };
        let bytes = whole(self.source.as_ref(), Format::Mat5, &self.limits)?;
        // A file of this variable alone: the header, and its element.
        let header = bytes.get(..HEADER).unwrap_or_default();
        let own = [header, bytes.get(element.clone()).unwrap_or_default()].concat();
        let file = read_mat5(&own, &self.limits).map_err(|error| FormatError {
            place: match error.place {
                Place::Byte(byte) => Place::Byte(byte.saturating_sub(HEADER as u64).saturating_add(element.start as u64)),
                place => place,
            },
            ..error
        })?;
        let mut builder = Builder::default();
        for (_, value) in file.variables {
            builder.add(path, value, self.limits.max_depth);
        }
        let held = Arc::new(builder.held);
        *last = Some((number, Arc::clone(&held)));
        Ok(held)
    }
}

impl Document for Mat5Document {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let path = self.contents.path_of(path, "table", |what| what.word() == "table")?;
        let Some(number) = self.owners.get(path) else { return Err(self.contents.none("table", path)) };
        let held = self.variable(*number)?;
        held.get(path).and_then(|held| held.rows(Format::Mat5)).unwrap_or_else(|| Err(self.contents.none("table", path)))
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = self.contents.path_of(path, "array", |what| what.word() == "array")?;
        let Some(number) = self.owners.get(path) else { return Err(self.contents.none("array", path)) };
        if let Some(tensor) = self.dense(*number, path, part)? {
            return Ok(tensor);
        }
        let held = self.variable(*number)?;
        let held = held.get(path).ok_or_else(|| self.contents.none("array", path))?;
        held.tensor(Format::Mat5, path, part, &self.limits)
    }
}
