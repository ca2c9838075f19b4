//! GIFTI surfaces: points, triangles, and values on them.
//!
//! Every data array is an item under its intent: `pointset`, `triangle`, `shape`, `label`, `time series`, …, with a number where there are
//! several. The matrix from
//! a point set to another space is `pointset/transform`. The table of labels is `labels`: `key`, `label`, `red`, `green`, `blue`, `alpha`.
//! Metadata of the file are
//! facts, those of an array are its description.
//!
//! Data are text, Base64, or Base64 of zlib, in either byte order and either order of indices. Data in other files are refused. The layout is that of
//! "GIFTI Surface Data Format" 1.0 (2011); values are nibabel's.

mod parse;
#[cfg(test)]
mod tests;

use crate::document::{Contents, Document, Item, Rows, What};
use crate::grid::{Element, Grid, Named, Scale, ranges, tensor, wrong_part};
use crate::reading::{HeldRows, broken, in_object, plain};
use crate::source::Source;
use arrow::array::{ArrayRef, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::buffer::Buffer;
use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use neuroflow_data::Tensor;
use neuroflow_data::formats::inflate::{Wrapping, inflate};
use neuroflow_data::formats::{Budget, COPY_AGAIN, Format, FormatError, Limits};
use parse::{DataArray, Encoding, Label};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// An opened surface file: its XML has been walked, data were skipped.
#[derive(Debug)]
pub struct GiftiDocument {
    contents: Contents,
    source: Arc<dyn Source>,
    arrays: BTreeMap<String, DataArray>,
    labels: Vec<Label>,
    limits: Limits,
}

/// Opens a `.gii`, plain or gzip.
///
/// # Errors
/// When the XML is damaged, or an array says what can't be.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<GiftiDocument, FormatError> {
    let inflated = match plain(source.as_ref(), Format::Gifti, limits)? {
        std::borrow::Cow::Borrowed(_) if source.whole().is_some() => None,
        bytes => Some(Buffer::from_vec(bytes.into_owned())),
    };
    // A file that was inflated, or came from afar, is kept.
    let source: Arc<dyn Source> = inflated.map_or(source, |bytes| Arc::new(bytes));
    let parsed = parse::parse(source.whole().unwrap_or_default(), limits)?;
    let mut contents = Contents::new(Format::Gifti, parsed.version);
    contents.facts = parsed.facts;
    if parsed.stated.is_some_and(|stated| stated != parsed.arrays.len() as u64) {
        contents.notes.push(format!("{} arrays are stated, {} are there", parsed.stated.unwrap_or_default(), parsed.arrays.len()));
    }
    let mut arrays = BTreeMap::new();
    let mut taken = BTreeMap::new();
    for array in parsed.arrays {
        let path = crate::reading::unique(&array.intent, &mut taken);
        let axes = match (array.intent.as_str(), array.shape.len()) {
            ("pointset", 2) => vec!["vertex".into(), "coordinate".into()],
            ("triangle", 2) => vec!["triangle".into(), "corner".into()],
            (_, 1) => vec!["vertex".into()],
            _ => Vec::new(),
        };
        let unit = if array.intent == "pointset" { "mm" } else { "" };
        let what = What::Array { shape: array.shape.clone(), element: array.element.name().into(), unit: unit.into(), axes };
        contents.items.push(Item { path: path.clone(), what, about: array.about.clone() });
        if array.transform.is_some() {
            let axes = vec!["row".into(), "column".into()];
            let what = What::Array { shape: vec![4, 4], element: "float64".into(), unit: String::new(), axes };
            contents.items.push(Item { path: format!("{path}/transform"), what, about: array.spaces.clone() });
        }
        arrays.insert(path, array);
    }
    if !parsed.labels.is_empty() {
        let columns =
            [("key", "int64"), ("label", "text"), ("red", "float64"), ("green", "float64"), ("blue", "float64"), ("alpha", "float64")];
        let columns = columns.map(|(name, sort)| (name.to_owned(), sort.to_owned())).to_vec();
        let what = What::Table { rows: Some(parsed.labels.len() as u64), columns };
        contents.items.push(Item { path: "labels".into(), what, about: "names of label keys".into() });
    }
    Ok(GiftiDocument { contents, source, arrays, labels: parsed.labels, limits: limits.clone() })
}

impl GiftiDocument {
    /// The bytes of an array, row-major or column-major as it says.
    fn values(&self, path: &str, array: &DataArray, grid: &Grid) -> Result<Vec<u8>, FormatError> {
        let refuse = |reason: String| in_object(Format::Gifti, path, reason, COPY_AGAIN);
        let needed = grid.end().unwrap_or(u64::MAX);
        let text = crate::source::part(self.source.as_ref(), Format::Gifti, array.data.clone())?;
        let decoded = |text: &[u8]| {
            let packed: Vec<u8> = text.iter().copied().filter(|byte| !byte.is_ascii_whitespace()).collect();
            let lenient = GeneralPurposeConfig::new().with_decode_padding_mode(DecodePaddingMode::Indifferent);
            GeneralPurpose::new(&STANDARD, lenient).decode(packed).map_err(|error| refuse(format!("the data are no Base64 ({error})")))
        };
        let bytes = match array.encoding {
            Encoding::Base64 => decoded(&text)?,
            Encoding::Gzip => {
                let packed = decoded(&text)?;
                let mut budget = Budget::new(self.limits.max_total_bytes);
                inflate(Wrapping::Zlib, &packed, Some(needed), &self.limits, &mut budget).map_err(refuse)?
            }
            Encoding::Ascii => {
                let text = String::from_utf8_lossy(&text).into_owned();
                let mut bytes = Vec::new();
                for word in text.split_ascii_whitespace() {
                    let number: f64 = word.parse().map_err(|_| refuse(format!("`{}` is no number", word.escape_debug())))?;
                    match array.element {
                        Element::F32 => bytes.extend((number as f32).to_le_bytes()),
                        Element::F64 => bytes.extend(number.to_le_bytes()),
                        Element::U8 => bytes.push(number as u8),
                        Element::I8 => bytes.push(number as i8 as u8),
                        Element::I16 => bytes.extend((number as i16).to_le_bytes()),
                        Element::U16 => bytes.extend((number as u16).to_le_bytes()),
                        Element::U32 => bytes.extend((number as u32).to_le_bytes()),
                        Element::I64 => bytes.extend((number as i64).to_le_bytes()),
                        Element::U64 => bytes.extend((number as u64).to_le_bytes()),
                        _ => bytes.extend((number as i32).to_le_bytes()),
                    }
                }
                bytes
            }
            Encoding::External => {
                let help = "save the file with its data inside";
                return Err(in_object(Format::Gifti, path, "the data are in another file, which is not opened", help));
            }
        };
        if bytes.len() as u64 != needed {
            return Err(refuse(format!("the data have {} bytes, the shape {:?} calls for {needed}", bytes.len(), array.shape)));
        }
        Ok(bytes)
    }
}

impl Document for GiftiDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        self.contents.path_of(path, "table", |what| what.word() == "table")?;
        let colour = |place: usize| -> ArrayRef {
            Arc::new(self.labels.iter().map(|label| label.colour.get(place).copied().flatten()).collect::<Float64Array>())
        };
        let columns: [(&str, ArrayRef); 6] = [
            ("key", Arc::new(self.labels.iter().map(|label| label.key).collect::<Int64Array>())),
            ("label", Arc::new(StringArray::from_iter_values(self.labels.iter().map(|label| &label.name)))),
            ("red", colour(0)),
            ("green", colour(1)),
            ("blue", colour(2)),
            ("alpha", colour(3)),
        ];
        let columns = columns.into_iter().map(|(name, array)| (name, array, true));
        let batch = RecordBatch::try_from_iter_with_nullable(columns).map_err(|error| broken(Format::Gifti, error.to_string()))?;
        Ok(Arc::new(HeldRows { format: Format::Gifti, batch }))
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = self.contents.path_of(path, "array", |what| what.word() == "array")?;
        if let Some(owner) = path.strip_suffix("/transform")
            && let Some(matrix) = self.arrays.get(owner).and_then(|array| array.transform)
        {
            let ranges = ranges(&[4, 4], part).map_err(|reason| wrong_part(Format::Gifti, path, reason))?;
            let bytes: Vec<u8> = matrix.iter().flat_map(|value| value.to_le_bytes()).collect();
            let axes = Grid::row_major(&[4, 4]).unwrap_or_default();
            let grid = Grid {
                element: Element::F64,
                order: neuroflow_data::formats::bytes::ByteOrder::Little,
                start: 0,
                axes,
                scale: Scale::NONE,
            };
            let (_, values) = grid.read(&Buffer::from_vec(bytes), Format::Gifti, path, Some(&ranges), &self.limits)?;
            return tensor(Format::Gifti, &["row".into(), "column".into()], &ranges, "", values);
        }
        let Some(array) = self.arrays.get(path) else { return Err(self.contents.none("array", path)) };
        let axes = if array.column_major { Grid::column_major(&array.shape) } else { Grid::row_major(&array.shape) };
        let order = if array.encoding == Encoding::Ascii { neuroflow_data::formats::bytes::ByteOrder::Little } else { array.order };
        let grid = axes.map(|axes| Grid { element: array.element, order, start: 0, axes, scale: Scale::NONE });
        let Some(grid) = grid.filter(|grid| grid.end().is_some()) else {
            return Err(in_object(Format::Gifti, path, "the shape multiplies to more than can be counted", COPY_AGAIN));
        };
        let bytes = self.values(path, array, &grid)?;
        let (names, unit) = match self.contents.item(path).map(|item| &item.what) {
            Some(What::Array { axes, unit, .. }) => (axes.clone(), unit.clone()),
            _ => (Vec::new(), String::new()),
        };
        let named = Named { path: path.to_owned(), grid, axes: names, unit };
        named.tensor(&Buffer::from_vec(bytes), Format::Gifti, part, &self.limits)
    }
}
