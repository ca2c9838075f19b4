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

use crate::document::{Contents, Document, Item, Rows, What};
use crate::grid::{Element, Grid, Scale, ranges, tensor, turned, wrong_part};
use crate::reading::{HeldRows, broken, in_object, shortened, unique, whole};
use crate::source::Source;
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use arrow::buffer::Buffer;
use neuroflow_data::Tensor;
use neuroflow_data::formats::bytes::{ByteOrder, number_at};
use neuroflow_data::formats::mat5::{MatClass, MatValue, dense, inflate_variable, read_mat5};
use neuroflow_data::formats::{Budget, Format, FormatError, Limits, Place};
use outline::{HEADER, outline};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::{Arc, Mutex};

/// Items that are listed at most of one variable; what lies deeper is noted.
const MOST_ITEMS: usize = 100_000;

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

/// What an item is made of.
#[derive(Debug)]
enum Held {
    /// One array.
    One(MatValue),
    /// Arrays of one size in the cells of another, first axis fastest.
    Cells(Vec<u64>, Vec<u64>, Vec<MatValue>),
    /// Lines of text.
    Lines(Vec<String>),
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

/// The word for a class.
fn word(class: MatClass) -> &'static str {
    match class {
        MatClass::Double => "float64",
        MatClass::Single => "float32",
        MatClass::Int8 => "int8",
        MatClass::UInt8 => "uint8",
        MatClass::Int16 => "int16",
        MatClass::UInt16 => "uint16",
        MatClass::Int32 => "int32",
        MatClass::UInt32 => "uint32",
        MatClass::Int64 => "int64",
        MatClass::UInt64 => "uint64",
        MatClass::Logical => "bool",
    }
}

/// Lengths without those that are 1; one of them stays where all are.
fn squeezed(dims: &[usize]) -> Vec<u64> {
    dims.iter().filter(|length| **length != 1).map(|length| *length as u64).collect()
}

fn sizes(dims: &[usize]) -> Vec<u64> {
    dims.iter().map(|length| *length as u64).collect()
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

/// Turns values into items. The same is done with values without numbers, to list them, and with values, to read them.
#[derive(Debug, Default)]
struct Builder {
    items: Vec<Item>,
    held: BTreeMap<String, Held>,
    notes: Vec<String>,
    taken: BTreeMap<String, u64>,
}

impl Builder {
    fn item(&mut self, path: &str, what: What, about: String) {
        self.items.push(Item { path: path.to_owned(), what, about });
    }

    fn add(&mut self, path: &str, value: MatValue, depth: usize) {
        if self.items.len() >= MOST_ITEMS || depth == 0 {
            if self.notes.is_empty() {
                let root = path.split('/').next().unwrap_or_default();
                self.notes.push(format!("the variable `{root}` holds more than is listed"));
            }
            return;
        }
        let path = unique(path, &mut self.taken);
        match value {
            MatValue::Numeric { ref dims, class, ref imaginary, .. } => {
                let element = if imaginary.is_some() { format!("complex {}", word(class)) } else { word(class).to_owned() };
                let what = What::Array { shape: sizes(dims), element, unit: String::new(), axes: axes(dims.len()) };
                self.item(&path, what, String::new());
                self.held.insert(path, Held::One(value));
            }
            MatValue::Sparse { dims, logical, ref imaginary, .. } => {
                let element = match (logical, imaginary.is_some()) {
                    (true, _) => "bool",
                    (_, true) => "complex float64",
                    _ => "float64",
                };
                let what = What::Array { shape: sizes(&dims), element: element.into(), unit: String::new(), axes: axes(2) };
                self.item(&path, what, "sparse".into());
                self.held.insert(path, Held::One(value));
            }
            MatValue::Char { mut rows, .. } => match rows.len() {
                0 => self.item(&path, What::Value(String::new()), String::new()),
                1 => {
                    let text = rows.pop().unwrap_or_default();
                    if text.len() > 200 {
                        self.item(&path, What::Text { bytes: text.len() as u64 }, shortened(&text, 80));
                    } else {
                        self.item(&path, What::Value(text), String::new());
                    }
                }
                _ => self.lines(path, rows),
            },
            MatValue::Struct { dims, fields } => {
                let about = if dims.iter().all(|length| *length == 1) { String::new() } else { format!("struct array {dims:?}") };
                self.item(&path, What::Group, about);
                for (name, mut values) in fields {
                    let own = format!("{path}/{name}");
                    if let [_] = values.as_slice() {
                        let Some(value) = values.pop() else { continue };
                        self.add(&own, value, depth - 1);
                    } else {
                        self.cells(&own, &dims, values, depth - 1);
                    }
                }
            }
            MatValue::Cell { dims, values } => {
                // The path is found anew for what the cells turn out to be.
                self.taken.remove(&path);
                self.cells(&path, &dims, values, depth);
            }
            MatValue::Skipped { class_name } => self.item(&path, What::Value(format!("{class_name} (not read)")), String::new()),
        }
    }

    fn lines(&mut self, path: String, lines: Vec<String>) {
        let what = What::Table { rows: Some(lines.len() as u64), columns: vec![("text".into(), "text".into())] };
        self.item(&path, what, String::new());
        self.held.insert(path, Held::Lines(lines));
    }

    /// Values in cells: texts, arrays of one size, or anything.
    fn cells(&mut self, path: &str, dims: &[usize], values: Vec<MatValue>, depth: usize) {
        let is_text = |value: &MatValue| matches!(value, MatValue::Char { rows, .. } if rows.len() <= 1);
        if !values.is_empty() && values.iter().all(is_text) {
            let lines = values.into_iter().map(|value| match value {
                MatValue::Char { mut rows, .. } => rows.pop().unwrap_or_default(),
                _ => String::new(),
            });
            let path = unique(path, &mut self.taken);
            return self.lines(path, lines.collect());
        }
        let size = match values.first() {
            Some(MatValue::Numeric { dims, class, imaginary: None, .. }) => Some((dims.clone(), *class)),
            _ => None,
        };
        let alike = |value: &MatValue| match (value, &size) {
            (MatValue::Numeric { dims, imaginary: None, .. }, Some((own, _))) => dims == own,
            _ => false,
        };
        let path = unique(path, &mut self.taken);
        if let Some((inner, class)) = size.as_ref().filter(|_| values.len() > 1 && values.iter().all(alike)) {
            let (outer, inner) = (squeezed(dims), squeezed(inner));
            let shape: Vec<u64> = outer.iter().chain(&inner).copied().collect();
            // Classes may differ, as of a matrix of zeros and ones among others.
            let one = values.iter().all(|value| matches!(value, MatValue::Numeric { class: own, .. } if own == class));
            let element = if one { word(*class) } else { "float64" };
            let what = What::Array { shape, element: element.into(), unit: String::new(), axes: Vec::new() };
            self.item(&path, what, format!("{} cells", values.len()));
            self.held.insert(path, Held::Cells(outer, inner, values));
            return;
        }
        self.item(&path, What::Group, format!("cells {dims:?}"));
        for (place, value) in values.into_iter().enumerate() {
            self.add(&format!("{path}/{}", place + 1), value, depth.saturating_sub(1));
        }
    }
}

fn axes(count: usize) -> Vec<String> {
    if count == 2 { vec!["row".into(), "column".into()] } else { (1..=count).map(|axis| format!("axis {axis}")).collect() }
}

impl Document for Mat5Document {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let path = self.contents.path_of(path, "table", |what| what.word() == "table")?;
        let Some(number) = self.owners.get(path) else { return Err(self.contents.none("table", path)) };
        let held = self.variable(*number)?;
        let Some(Held::Lines(lines)) = held.get(path) else { return Err(self.contents.none("table", path)) };
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(lines));
        let batch = RecordBatch::try_from_iter([("text", column)]).map_err(|error| broken(Format::Mat5, error.to_string()))?;
        Ok(Arc::new(HeldRows { format: Format::Mat5, batch }))
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = self.contents.path_of(path, "array", |what| what.word() == "array")?;
        let fits = |shape: &[u64]| ranges(shape, part).map_err(|reason| wrong_part(Format::Mat5, path, reason));
        let Some(number) = self.owners.get(path) else { return Err(self.contents.none("array", path)) };
        if let Some(tensor) = self.dense(*number, path, part)? {
            return Ok(tensor);
        }
        let held = self.variable(*number)?;
        match held.get(path) {
            Some(Held::One(value)) => {
                let shape = sizes(value.dims());
                let ranges = fits(&shape)?;
                let within = |error: FormatError| error.within(path);
                let values = match value {
                    MatValue::Sparse { .. } => turned(&value.dense(&self.limits).map_err(within)?, &shape, &ranges),
                    _ => turned(&value.numbers().map_err(within)?, &shape, &ranges),
                };
                tensor(Format::Mat5, &axes(shape.len()), &ranges, "", values)
            }
            Some(Held::Cells(outer, inner, cells)) => {
                let shape: Vec<u64> = outer.iter().chain(inner).copied().collect();
                let ranges = fits(&shape)?;
                // Column-major in both parts together: cells follow each other as their slowest axes do.
                let mut values = Vec::new();
                for cell in cells {
                    values.extend_from_slice(&cell.numbers().map_err(|error| error.within(path))?);
                }
                let (before, after) = ranges.split_at(outer.len().min(ranges.len()));
                let turned_shape: Vec<u64> = inner.iter().chain(outer).copied().collect();
                let turned_ranges: Vec<Range<u64>> = after.iter().chain(before).cloned().collect();
                // First the whole as [inner, outer] row-major, then its two halves change places.
                let rows = turned(&values, &turned_shape, &turned_ranges);
                let width: usize = before.iter().map(|range| (range.end - range.start) as usize).product();
                let height: usize = after.iter().map(|range| (range.end - range.start) as usize).product();
                let swapped = turned(&rows, &[width as u64, height as u64], &[0..width as u64, 0..height as u64]);
                tensor(Format::Mat5, &[], &ranges, "", swapped)
            }
            _ => Err(in_object(Format::Mat5, path, "there are no numbers here", "look at it in MATLAB with `whos`")),
        }
    }
}
