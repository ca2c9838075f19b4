//! Dense arrays with named axes.
//!
//! Values are `f64`, row-major (the last axis varies fastest). A tensor that was read from a file shares the file's memory.

use crate::artifact::{Artifact, Meta, Typed};
use crate::axis::{Axis, describe};
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use arrow::array::RecordBatch;
use arrow::buffer::ScalarBuffer;
use arrow::datatypes::Schema;
use std::sync::Arc;

/// A dense array `[axis 0 × axis 1 × …]` of at least one axis.
#[derive(Debug, Clone, PartialEq)]
pub struct Tensor {
    axes: Vec<Axis>,
    unit: Option<String>,
    values: ScalarBuffer<f64>,
}

/// The column that holds a tensor's values, one row for each position of the first axis.
pub(crate) const VALUES: &str = "values";

impl Tensor {
    /// A tensor from row-major values.
    ///
    /// # Errors
    /// When there is no axis, when the number of values is not the product of the axes' lengths, or when an axis property has another length than its axis.
    pub fn new(axes: Vec<Axis>, unit: Option<&str>, values: impl Into<ScalarBuffer<f64>>) -> Result<Tensor, DataError> {
        Tensor::from_parts(axes, unit.map(str::to_owned), values.into())
    }

    pub(crate) fn from_parts(axes: Vec<Axis>, unit: Option<String>, values: ScalarBuffer<f64>) -> Result<Tensor, DataError> {
        if axes.is_empty() {
            return Err(DataError::Invalid("a tensor needs at least one axis".into()));
        }
        let expected = axes
            .iter()
            .try_fold(1usize, |product, axis| product.checked_mul(axis.len()))
            .ok_or_else(|| DataError::Invalid("the product of the axes' lengths is too large".into()))?;
        if values.len() != expected {
            return Err(DataError::WrongLength { what: format!("tensor [{}]", describe(&axes)), expected, found: values.len() });
        }
        for axis in &axes {
            for (name, property) in &axis.properties {
                if property.len() != axis.len() {
                    let what = format!("property `{name}` of axis `{}`", axis.name);
                    return Err(DataError::WrongLength { what, expected: axis.len(), found: property.len() });
                }
            }
        }
        Ok(Tensor { axes, unit, values })
    }

    /// The axes, first to last.
    pub fn axes(&self) -> &[Axis] {
        &self.axes
    }

    /// Replaces an axis by one of the same length (new name, coordinates or properties).
    ///
    /// # Errors
    /// When the position or the length does not fit.
    pub fn with_axis(self, position: usize, axis: Axis) -> Result<Tensor, DataError> {
        let mut axes = self.axes;
        match axes.get_mut(position) {
            Some(place) => *place = axis,
            None => return Err(DataError::Invalid(format!("there is no axis {position}"))),
        }
        Tensor::from_parts(axes, self.unit, self.values)
    }

    /// An axis by name, with its position.
    pub fn axis(&self, name: &str) -> Option<(usize, &Axis)> {
        self.axes.iter().enumerate().find(|(_, axis)| axis.name == name)
    }

    /// The length of every axis.
    pub fn shape(&self) -> Vec<usize> {
        self.axes.iter().map(Axis::len).collect()
    }

    /// The unit of the values, such as `ΔF/F`; none when they have none.
    pub fn unit(&self) -> Option<&str> {
        self.unit.as_deref()
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// The shared buffer of values.
    pub fn buffer(&self) -> &ScalarBuffer<f64> {
        &self.values
    }

    /// The number of values in one position of the first axis.
    pub fn row_length(&self) -> usize {
        self.axes.iter().skip(1).map(Axis::len).product()
    }

    /// The values at one position of the first axis; empty when the position is past the end.
    pub fn row(&self, position: usize) -> &[f64] {
        let length = self.row_length();
        self.values.get(position * length..(position + 1) * length).unwrap_or(&[])
    }

    /// The rows of the first axis at `positions`, in that order (repeats allowed).
    ///
    /// # Errors
    /// When a position is past the end.
    pub fn select_rows(&self, positions: &[usize]) -> Result<Tensor, DataError> {
        let rows = &self.axes[0];
        if let Some(past) = positions.iter().find(|&&position| position >= rows.len()) {
            return Err(DataError::Invalid(format!("position {past} of axis `{}` with {} positions", rows.name, rows.len())));
        }
        let values: Vec<f64> = positions.iter().flat_map(|&position| self.row(position).iter().copied()).collect();
        let axes = std::iter::once(rows.select(positions)).chain(self.axes[1..].iter().cloned()).collect();
        Tensor::from_parts(axes, self.unit.clone(), values.into())
    }

    /// Refuses other axes than `names`.
    ///
    /// # Errors
    /// [`DataError::WrongAxes`] with both lists.
    pub fn require_axes(&self, names: &[&str]) -> Result<(), DataError> {
        if self.axes.len() == names.len() && self.axes.iter().zip(names).all(|(axis, name)| axis.name == *name) {
            Ok(())
        } else {
            Err(DataError::WrongAxes { expected: names.join(" × "), found: describe(&self.axes) })
        }
    }

    /// The number of values that are not finite, and where the first one is (a position along each axis).
    pub fn non_finite(&self) -> Option<(usize, Vec<usize>)> {
        let first = self.values.iter().position(|value| !value.is_finite())?;
        let count = self.values.iter().filter(|value| !value.is_finite()).count();
        let mut rest = first;
        let mut place = vec![0; self.axes.len()];
        for (position, axis) in self.axes.iter().enumerate().rev() {
            place[position] = rest % axis.len();
            rest /= axis.len();
        }
        Some((count, place))
    }
}

impl Typed for Tensor {
    const KIND: Kind = Kind::Tensor;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        let (field, array) = columns::tensor_column(VALUES, &self.axes, &self.values)?;
        let batch = RecordBatch::try_new(Arc::new(Schema::new(vec![field])), vec![array])?;
        let meta = Meta { axes: self.axes, unit: self.unit, ..Meta::default() };
        Ok(Artifact::from_batch(Kind::Tensor, batch, meta))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Tensor, DataError> {
        let batch = artifact.batch_of(Kind::Tensor)?;
        let values = columns::tensor_values(batch, VALUES)?;
        Tensor::from_parts(artifact.meta().axes.clone(), artifact.meta().unit.clone(), values)
    }
}
