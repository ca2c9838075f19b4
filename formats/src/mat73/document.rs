//! A MATLAB 7.3 file as a document.

use super::value::{class_name, class_of, size_of};
use super::{bad, of_mat};
use crate::document::{Contents, Document, Item, What};
use crate::floats::Floats;
use crate::grid::turned;
use crate::hdf5::datatype::Class;
use crate::hdf5::document::shown;
use crate::hdf5::tree::{Object, Sort, Tree, join};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError};
use neuroflow_data::{Axis, Tensor};
use std::ops::Range;

/// Characters of a text that are told among the contents.
const SHORT: u64 = 1000;

/// An opened MATLAB 7.3 file: variables, and fields of structs below them, `session/rate`.
#[derive(Debug)]
pub struct Mat73Document {
    tree: Tree,
    contents: Contents,
}

impl Mat73Document {
    pub(super) fn new(tree: Tree) -> Mat73Document {
        let text = tree.file.user_block().map(|bytes| String::from_utf8_lossy(bytes.get(..116).unwrap_or_default()).trim().to_owned());
        let mut contents = Contents::new(Format::Mat73, "7.3");
        contents.notes.clone_from(&tree.notes);
        contents.damage.extend(tree.file.cut_short.clone());
        if let Some(text) = text.ok().filter(|text| text.starts_with("MATLAB")) {
            contents.facts.insert("header".into(), text);
        }
        let mut waiting: Vec<(String, &Object)> = Vec::new();
        let below = |path: &str, object| -> Vec<(String, &Object)> {
            let own = tree.children(object).filter(|(name, _)| !path.is_empty() || !name.starts_with('#'));
            own.map(|(name, child)| (join(path, name), child)).collect()
        };
        if let Some(root) = tree.root() {
            waiting.extend(below("", root).into_iter().rev());
        }
        while let Some((path, object)) = waiting.pop() {
            if let Sort::Unread(error) = &object.sort {
                contents.tell(error);
            }
            let class = class_name(&tree, object);
            let sparse = tree.attribute(object, "MATLAB_sparse").is_some();
            contents.items.push(Item {
                path: path.clone(),
                what: what(&tree, object, &class),
                about: if sparse { "sparse".into() } else { class },
            });
            // Links that lead back up are told once, under their first path.
            if matches!(object.sort, Sort::Group(_)) && !sparse && object.path == path {
                waiting.extend(below(&path, object).into_iter().rev());
            }
        }
        Mat73Document { tree, contents }
    }
}

fn what(tree: &Tree, object: &Object, class: &str) -> What {
    let Sort::Dataset(dataset) = &object.sort else { return What::Group };
    if tree.number(object, "MATLAB_empty").is_some_and(|empty| empty != 0.0) {
        return What::Value(String::new());
    }
    let codes = || tree.numbers(&object.path, dataset, &dataset.everything(), &mut tree.small_budget()).ok().flatten();
    match class {
        "char" if dataset.datatype.is_number() && dataset.count() <= SHORT && size_of(dataset).first() == Some(&1) => {
            let units: Vec<u16> = codes().unwrap_or_default().into_iter().map(|code| code as u16).collect();
            What::Value(shown(String::from_utf16_lossy(&units)))
        }
        "char" => What::Text { bytes: dataset.count() },
        _ if class_of(class).is_some() && dataset.count() == 1 && dataset.datatype.is_number() => {
            What::Value(codes().and_then(|numbers| numbers.first().map(f64::to_string)).unwrap_or_default())
        }
        _ => What::Array { shape: size_of(dataset), element: class.to_owned(), unit: String::new(), axes: Vec::new() },
    }
}

impl Document for Mat73Document {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = if path.is_empty() { self.contents.path_of(path, "array", |what| matches!(what, What::Array { .. }))? } else { path };
        let object = self.tree.find(path).ok_or_else(|| self.contents.none("array", path))?;
        let Sort::Dataset(dataset) = &object.sort else { return Err(self.contents.none("array", path)) };
        if class_of(&class_name(&self.tree, object)).is_none() || matches!(dataset.datatype.class, Class::Compound(_)) {
            return Err(bad(path, "this is no array of real numbers", "read it with the variables"));
        }
        let size = size_of(dataset);
        let whole: Vec<Range<u64>> = size.iter().map(|length| 0..*length).collect();
        let part = part.unwrap_or(&whole);
        // MATLAB's last axis is HDF5's first one. Axes that only MATLAB has are of length one.
        let stored: Vec<Range<u64>> = part.iter().take(dataset.dims().len()).rev().cloned().collect();
        let numbers = self.tree.many_numbers(path, dataset, &stored, &mut self.tree.budget()).map_err(of_mat)?;
        let numbers = numbers.unwrap_or_else(|| Floats::zeros(0));
        let lengths: Vec<usize> = part.iter().map(|range| usize::try_from(range.end.saturating_sub(range.start)).unwrap_or(0)).collect();
        let axes = lengths.iter().enumerate().map(|(axis, length)| Axis::count(format!("axis_{axis}"), *length)).collect();
        Tensor::new(axes, None, in_rows(numbers, part)).map_err(|error| bad(path, error.to_string(), COPY_AGAIN))
    }
}

/// Column-major numbers of a part in row-major order.
fn in_rows(numbers: Floats, part: &[Range<u64>]) -> Floats {
    let lengths: Vec<u64> = part.iter().map(|range| range.end.saturating_sub(range.start)).collect();
    if lengths.iter().filter(|length| **length > 1).count() <= 1 {
        return numbers;
    }
    let whole: Vec<Range<u64>> = lengths.iter().map(|length| 0..*length).collect();
    turned(&numbers, &lengths, &whole)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn order_is_turned() {
        // [1 2 3; 4 5 6] in MATLAB's order.
        let rows = |numbers: Vec<f64>, part: &[Range<u64>]| in_rows(numbers.into(), part).to_vec();
        assert_eq!(rows(vec![1.0, 4.0, 2.0, 5.0, 3.0, 6.0], &[4..6, 0..3]), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(rows(vec![1.0, 2.0], &[0..1, 0..2]), [1.0, 2.0]);
    }
}
