//! Arrays in `.npy` files, read by ranges.

use crate::series::{Element, Number};
use crate::source::{Source, part};
use neuroflow_data::formats::npy::{NpyHeader, read_npy_layout};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Place};
use std::ops::Range;
use std::sync::Arc;

/// A header of more bytes is none: NumPy pads it to a few hundred.
const MOST_HEADER: u64 = 64 << 10;

/// An array whose values are all there.
#[derive(Debug, Clone)]
pub(crate) struct NpyArray {
    pub source: Arc<dyn Source>,
    pub element: Element,
    pub shape: Vec<u64>,
    pub data: u64,
    pub fortran: bool,
}

/// Opens the array in `source`, which stands at `path`.
pub(crate) fn open(source: Arc<dyn Source>, format: Format, path: &str) -> Result<NpyArray, FormatError> {
    let wrong = |byte: u64, reason: String, help: &str| FormatError::new(format, Place::Member { name: path.into(), byte }, reason, help);
    let head = part(source.as_ref(), format, 0..source.len().min(MOST_HEADER))?;
    let header = read_npy_layout(&head).map_err(|error| {
        let byte = if let Place::Byte(byte) = error.place { byte } else { 0 };
        wrong(byte, error.reason, &error.help)
    })?;
    let NpyHeader { shape, element, order, fortran_order, data_start } = header;
    let number = match element {
        "bool" | "uint8" => Number::U8,
        "int8" => Number::I8,
        "int16" => Number::I16,
        "uint16" => Number::U16,
        "int32" => Number::I32,
        "uint32" => Number::U32,
        "int64" => Number::I64,
        "uint64" => Number::U64,
        "float32" => Number::F32,
        "float64" => Number::F64,
        other => {
            return Err(wrong(data_start as u64, format!("values of type {other} are not expected here"), "save the array as numbers"));
        }
    };
    let element = Element { number, order };
    let shape: Vec<u64> = shape.into_iter().map(|axis| axis as u64).collect();
    let needed = shape.iter().try_fold(element.size() as u64, |bytes, axis| bytes.checked_mul(*axis));
    let data = data_start as u64;
    match needed.and_then(|needed| needed.checked_add(data)) {
        Some(end) if end <= source.len() => {}
        _ => return Err(wrong(data, format!("the shape {shape:?} calls for more values than are there"), COPY_AGAIN)),
    }
    drop(head);
    Ok(NpyArray { source, element, shape, data, fortran: fortran_order })
}

impl NpyArray {
    /// The number of values.
    pub(crate) fn len(&self) -> u64 {
        self.shape.iter().product()
    }

    /// All values as `f64`, in the file's order.
    pub(crate) fn numbers(&self, format: Format) -> Result<Vec<f64>, FormatError> {
        self.some(format, 0..self.len())
    }

    /// Values as `f64`, in the file's order, cut to what is there.
    pub(crate) fn some(&self, format: Format, values: Range<u64>) -> Result<Vec<f64>, FormatError> {
        let (end, size) = (values.end.min(self.len()), self.element.size() as u64);
        let start = values.start.min(end);
        let bytes = part(self.source.as_ref(), format, self.data + start * size..self.data + end * size)?;
        let run = crate::series::Run { first: 0, stride: self.element.size(), count: usize::try_from(end - start).unwrap_or(0) };
        let mut values = Vec::with_capacity(run.count);
        crate::series::decode(self.element, &bytes, run, &mut values);
        Ok(values)
    }
}
