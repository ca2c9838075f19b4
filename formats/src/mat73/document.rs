//! A MATLAB 7.3 file as a document: the same things as those of a file of version 5, under the same paths.

use super::value::{Found, class_name, class_of, find, outline, read, size_of, stored};
use super::{bad, of_mat};
use crate::document::{Contents, Document, Rows, What};
use crate::floats::Floats;
use crate::grid::{ranges, tensor, turned, wrong_part};
use crate::hdf5::dataset::Dataset;
use crate::hdf5::datatype::Class;
use crate::hdf5::file::in_object;
use crate::hdf5::tree::{Object, Sort, Tree};
use crate::matlab::{Builder, Held, axes};
use neuroflow_data::Tensor;
use neuroflow_data::formats::mat5::{MatClass, MatValue};
use neuroflow_data::formats::{Budget, COPY_AGAIN, Format, FormatError};
use std::ops::Range;
use std::sync::Arc;

/// An opened MATLAB 7.3 file: variables, fields of structs below them, `session/rate`, and cells by their number, `trials/3`.
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
        // The file and a little, for what is known of values and for texts.
        let most = tree.file.len().saturating_add(16 << 20).min(tree.file.limits.max_total_bytes);
        let (mut budget, mut notes) = (Budget::new(most), Vec::new());
        let variables = tree.root().into_iter().flat_map(|root| tree.children(root)).filter(|(name, _)| !name.starts_with('#'));
        for (name, object) in variables {
            let mut broken = Vec::new();
            let value = outline(&tree, object, name, &mut budget, &mut notes, &mut broken);
            let mut builder = Builder::default();
            match value {
                Ok(value) => builder.add(name, value, tree.file.limits.max_depth),
                Err(error) => {
                    builder.add(name, MatValue::Skipped { class_name: "variable".into() }, 1);
                    broken.push(error);
                }
            }
            broken.iter().for_each(|error| contents.tell(error));
            contents.items.append(&mut builder.items);
            notes.append(&mut builder.notes);
        }
        contents.notes.append(&mut notes);
        Mat73Document { tree, contents }
    }

    /// What an item is made of, read for it alone.
    fn held(&self, found: &Found<'_>, path: &str) -> Result<Option<Held>, FormatError> {
        let mut builder = Builder::default();
        builder.add(path, read(&self.tree, found, path)?, self.tree.file.limits.max_depth);
        Ok(builder.held.remove(path))
    }

    /// A part of a dense array of real numbers that the machine has in double precision; none of anything else.
    fn dense(&self, object: &Object, path: &str, part: Option<&[Range<u64>]>) -> Result<Option<Tensor>, FormatError> {
        let Sort::Dataset(dataset) = &object.sort else { return Ok(None) };
        let Some(class) = class_of(&class_name(&self.tree, object)) else { return Ok(None) };
        let empty = self.tree.number(object, "MATLAB_empty").is_some_and(|empty| empty != 0.0);
        if empty || matches!(dataset.datatype.class, Class::Compound(_)) {
            return Ok(None);
        }
        let size = size_of(dataset);
        let part = ranges(&size, part).map_err(|reason| wrong_part(Format::Mat73, path, reason))?;
        let numbers = in_rows(self.numbers(dataset, class, path, &part)?, &part);
        tensor(Format::Mat73, &axes(size.len()), &part, "", numbers).map(Some)
    }

    /// The numbers of a part as they lie in the file, the first of MATLAB's axes fastest.
    fn numbers(&self, dataset: &Dataset, class: MatClass, path: &str, part: &[Range<u64>]) -> Result<Floats, FormatError> {
        // MATLAB's last axis is HDF5's first one. Axes that only MATLAB has are of length one.
        let there: Vec<Range<u64>> = part.iter().take(dataset.dims().len()).rev().cloned().collect();
        let mut budget = self.tree.budget();
        if matches!(class, MatClass::Int64 | MatClass::UInt64) {
            let bytes = dataset.read(&self.tree.file, &there, &mut budget).map_err(|error| of_mat(in_object(error, path)))?;
            if let Some(data) = stored(&dataset.datatype, class, &bytes) {
                // Those that double precision can't hold are refused.
                let value = MatValue::Numeric { dims: lengths(part), class, data, imaginary: None };
                let numbers = value.numbers().map_err(|error| of_mat(error.within(path)))?;
                return Ok(numbers.into_owned().into());
            }
        }
        let numbers = self.tree.many_numbers(path, dataset, &there, &mut budget).map_err(of_mat)?;
        numbers.ok_or_else(|| bad(path, format!("{} are no numbers", dataset.datatype.word()), COPY_AGAIN))
    }
}

fn lengths(part: &[Range<u64>]) -> Vec<usize> {
    part.iter().map(|range| usize::try_from(range.end - range.start).unwrap_or(usize::MAX)).collect()
}

impl Document for Mat73Document {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let path = self.contents.path_of(path, "table", |what| what.word() == "table")?;
        let none = || self.contents.none("table", path);
        let found = find(&self.tree, path)?.ok_or_else(none)?;
        self.held(&found, path)?.and_then(|held| held.rows(Format::Mat73)).unwrap_or_else(|| Err(none()))
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = self.contents.path_of(path, "array", |what| matches!(what, What::Array { .. }))?;
        let none = || self.contents.none("array", path);
        let found = find(&self.tree, path)?.ok_or_else(none)?;
        if let Found::One(object) = &found
            && let Some(tensor) = self.dense(object, path, part)?
        {
            return Ok(tensor);
        }
        self.held(&found, path)?.ok_or_else(none)?.tensor(Format::Mat73, path, part, &self.tree.file.limits)
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
