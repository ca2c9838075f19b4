//! Values of MATLAB as things in a document, alike for its files of version 5 and of version 7.3.

use crate::document::{Item, Rows, What};
use crate::grid::{ranges, tensor, turned, wrong_part};
use crate::reading::{HeldRows, broken, in_object, shortened, unique};
use arrow::array::{ArrayRef, RecordBatch, StringArray};
use neuroflow_data::Tensor;
use neuroflow_data::formats::mat5::{MatClass, MatValue};
use neuroflow_data::formats::{Format, FormatError, Limits};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Items that are listed at most of one variable; what lies deeper is noted.
const MOST_ITEMS: usize = 100_000;

/// What an item is made of.
#[derive(Debug)]
pub(crate) enum Held {
    /// One array.
    One(MatValue),
    /// Arrays of one size in the cells of another, first axis fastest.
    Cells(Vec<u64>, Vec<u64>, Vec<MatValue>),
    /// Lines of text.
    Lines(Vec<String>),
}

impl Held {
    /// A part of the numbers, in MATLAB's order of indices.
    pub fn tensor(&self, format: Format, path: &str, part: Option<&[Range<u64>]>, limits: &Limits) -> Result<Tensor, FormatError> {
        let fits = |shape: &[u64]| ranges(shape, part).map_err(|reason| wrong_part(format, path, reason));
        let within = |error: FormatError| FormatError { format, ..error }.within(path);
        match self {
            Held::One(value) => {
                let shape = sizes(value.dims());
                let ranges = fits(&shape)?;
                let values = match value {
                    MatValue::Sparse { .. } => turned(&value.dense(limits).map_err(within)?, &shape, &ranges),
                    _ => turned(&value.numbers().map_err(within)?, &shape, &ranges),
                };
                tensor(format, &axes(shape.len()), &ranges, "", values)
            }
            Held::Cells(outer, inner, cells) => {
                let shape: Vec<u64> = outer.iter().chain(inner).copied().collect();
                let ranges = fits(&shape)?;
                // Column-major in both parts together: cells follow each other as their slowest axes do.
                let mut values = Vec::new();
                for cell in cells {
                    values.extend_from_slice(&cell.numbers().map_err(within)?);
                }
                let (before, after) = ranges.split_at(outer.len().min(ranges.len()));
                let turned_shape: Vec<u64> = inner.iter().chain(outer).copied().collect();
                let turned_ranges: Vec<Range<u64>> = after.iter().chain(before).cloned().collect();
                // First the whole as [inner, outer] row-major, then its two halves change places.
                let rows = turned(&values, &turned_shape, &turned_ranges);
                let width: usize = before.iter().map(|range| (range.end - range.start) as usize).product();
                let height: usize = after.iter().map(|range| (range.end - range.start) as usize).product();
                let swapped = turned(&rows, &[width as u64, height as u64], &[0..width as u64, 0..height as u64]);
                tensor(format, &[], &ranges, "", swapped)
            }
            Held::Lines(_) => Err(in_object(format, path, "there are no numbers here", "look at it in MATLAB with `whos`")),
        }
    }

    /// The lines of a text as a table; none of anything else.
    pub fn rows(&self, format: Format) -> Option<Result<Arc<dyn Rows>, FormatError>> {
        let Held::Lines(lines) = self else { return None };
        let column: ArrayRef = Arc::new(StringArray::from_iter_values(lines));
        let batch = RecordBatch::try_from_iter([("text", column)]).map_err(|error| broken(format, error.to_string()));
        Some(batch.map(|batch| Arc::new(HeldRows { format, batch }) as Arc<dyn Rows>))
    }
}

/// Turns values into items. The same is done with values without numbers, to list them, and with values, to read them.
#[derive(Debug, Default)]
pub(crate) struct Builder {
    pub items: Vec<Item>,
    pub held: BTreeMap<String, Held>,
    pub notes: Vec<String>,
    taken: BTreeMap<String, u64>,
}

impl Builder {
    fn item(&mut self, path: &str, what: What, about: String) {
        self.items.push(Item { path: path.to_owned(), what, about });
    }

    /// Adds a value and what is in it, at most `depth` deep.
    pub fn add(&mut self, path: &str, value: MatValue, depth: usize) {
        if self.items.len() >= MOST_ITEMS || depth == 0 {
            if self.notes.is_empty() {
                let root = path.split('/').next().unwrap_or_default();
                self.notes.push(format!("the variable `{root}` holds more than is listed"));
            }
            return;
        }
        let path = unique(path, &mut self.taken);
        match value {
            MatValue::Numeric { ref dims, class, ref data, ref imaginary } => {
                let about = if data.len() == 1 && imaginary.is_none() { data.text(0).unwrap_or_default() } else { String::new() };
                let element = if imaginary.is_some() { format!("complex {}", word(class)) } else { word(class).to_owned() };
                let what = What::Array { shape: sizes(dims), element, unit: String::new(), axes: axes(dims.len()) };
                self.item(&path, what, about);
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
    pub fn cells(&mut self, path: &str, dims: &[usize], values: Vec<MatValue>, depth: usize) {
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

pub(crate) fn sizes(dims: &[usize]) -> Vec<u64> {
    dims.iter().map(|length| *length as u64).collect()
}

/// Names of the axes of an array.
pub(crate) fn axes(count: usize) -> Vec<String> {
    if count == 2 { vec!["row".into(), "column".into()] } else { (1..=count).map(|axis| format!("axis {axis}")).collect() }
}
