//! What a model says about each stimulus.

use crate::artifact::{Artifact, Meta, Typed};
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use crate::table::Table;
use crate::tensor::{Tensor, VALUES};
use arrow::array::RecordBatch;
use std::sync::Arc;

/// Activations `[stimulus × feature]` with the stimuli's columns; the feature axis may have a `layer` property.
#[derive(Debug, Clone, PartialEq)]
pub struct Features {
    values: Tensor,
    stimuli: Table,
}

impl Features {
    /// Builds features: `values` is `[stimulus × feature]`, `stimuli` has a row for each stimulus.
    ///
    /// # Errors
    /// When axes or lengths do not fit.
    pub fn new(values: Tensor, stimuli: Table) -> Result<Features, DataError> {
        values.require_axes(&["stimulus", "feature"])?;
        let expected = values.axes()[0].len();
        if stimuli.rows() != expected {
            return Err(DataError::WrongLength { what: "stimulus table".into(), expected, found: stimuli.rows() });
        }
        if stimuli.column_names().iter().any(|name| name == VALUES) {
            return Err(DataError::Invalid(format!("a stimulus column can't be named `{VALUES}`")));
        }
        Ok(Features { values, stimuli })
    }

    /// The activations `[stimulus × feature]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// One row a stimulus.
    pub fn stimuli(&self) -> &Table {
        &self.stimuli
    }
}

impl Typed for Features {
    const KIND: Kind = Kind::Features;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        let mut pairs = vec![columns::tensor_column(VALUES, self.values.axes(), self.values.buffer())?];
        let batch = self.stimuli.batch();
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            pairs.push((field.as_ref().clone(), Arc::clone(array)));
        }
        let meta = Meta { axes: self.values.axes().to_vec(), unit: self.values.unit().map(str::to_owned), ..Meta::default() };
        Ok(Artifact::from_batch(Kind::Features, Table::from_columns(pairs)?.batch().clone(), meta))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Features, DataError> {
        let batch = artifact.batch_of(Kind::Features)?;
        let meta = artifact.meta();
        let values = Tensor::from_parts(meta.axes.clone(), meta.unit.clone(), columns::tensor_values(batch, VALUES)?)?;
        let keep: Vec<usize> = (0..batch.num_columns()).filter(|&column| batch.schema().field(column).name() != VALUES).collect();
        Features::new(values, Table::from_batch(RecordBatch::project(batch, &keep)?))
    }
}
