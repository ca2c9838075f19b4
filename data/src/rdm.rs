//! Representational dissimilarity matrices.

use crate::artifact::{Artifact, Meta, Typed};
use crate::axis::{Axis, Coordinates};
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use crate::table::Table;
use crate::tensor::{Tensor, VALUES};

/// One or more dissimilarity matrices over the same conditions, `[rdm × condition × condition]`, symmetric with a zero diagonal.
///
/// Several matrices stand side by side when there are several layers, or halves of the trials.
#[derive(Debug, Clone, PartialEq)]
pub struct Rdm {
    values: Tensor,
    /// How the dissimilarity was computed, such as `correlation`.
    pub measure: String,
}

impl Rdm {
    /// Builds RDMs from upper triangles.
    ///
    /// `names` labels the matrices; `conditions` is the condition axis; `triangles` has for each matrix the `n(n−1)/2` dissimilarities of its upper triangle, row by row.
    ///
    /// # Errors
    /// When lengths do not fit.
    pub fn from_triangles(names: Vec<String>, conditions: Axis, measure: &str, triangles: &[Vec<f64>]) -> Result<Rdm, DataError> {
        let n = conditions.len();
        if names.len() != triangles.len() {
            return Err(DataError::WrongLength { what: "names of RDMs".into(), expected: triangles.len(), found: names.len() });
        }
        let mut values = vec![0.0; names.len() * n * n];
        for (matrix, triangle) in triangles.iter().enumerate() {
            if triangle.len() != n * n.saturating_sub(1) / 2 {
                let what = format!("upper triangle of RDM `{}`", names[matrix]);
                return Err(DataError::WrongLength { what, expected: n * n.saturating_sub(1) / 2, found: triangle.len() });
            }
            let mut pair = 0;
            for row in 0..n {
                for column in row + 1..n {
                    values[matrix * n * n + row * n + column] = triangle[pair];
                    values[matrix * n * n + column * n + row] = triangle[pair];
                    pair += 1;
                }
            }
        }
        let axes = vec![Axis::labels("rdm", names), conditions.clone(), conditions];
        Ok(Rdm { values: Tensor::new(axes, None, values)?, measure: measure.to_owned() })
    }

    /// The matrices `[rdm × condition × condition]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// The number of matrices.
    pub fn len(&self) -> usize {
        self.values.axes()[0].len()
    }

    /// Whether there is no matrix.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The name of a matrix.
    pub fn name(&self, rdm: usize) -> String {
        self.values.axes()[0].coordinates.label(rdm)
    }

    /// The condition axis.
    pub fn conditions(&self) -> &Axis {
        &self.values.axes()[1]
    }

    /// The names of the conditions.
    pub fn condition_names(&self) -> Vec<String> {
        let coordinates: &Coordinates = &self.conditions().coordinates;
        (0..coordinates.len()).map(|condition| coordinates.label(condition)).collect()
    }

    /// The upper triangle of a matrix, row by row, without the diagonal.
    pub fn triangle(&self, rdm: usize) -> Vec<f64> {
        let n = self.conditions().len();
        let matrix = self.values.row(rdm);
        if matrix.is_empty() {
            return Vec::new();
        }
        (0..n).flat_map(|row| matrix[row * n + row + 1..(row + 1) * n].iter().copied()).collect()
    }
}

impl Typed for Rdm {
    const KIND: Kind = Kind::Rdm;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        let names: Vec<String> = (0..self.len()).map(|rdm| self.name(rdm)).collect();
        let pairs = vec![columns::from_texts("rdm", &names), columns::tensor_column(VALUES, self.values.axes(), self.values.buffer())?];
        let mut meta = Meta { axes: self.values.axes().to_vec(), ..Meta::default() };
        meta.attributes.insert("measure".into(), serde_json::Value::String(self.measure));
        Ok(Artifact::from_batch(Kind::Rdm, Table::from_columns(pairs)?.batch().clone(), meta))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Rdm, DataError> {
        let batch = artifact.batch_of(Kind::Rdm)?;
        let meta = artifact.meta();
        let values = Tensor::from_parts(meta.axes.clone(), None, columns::tensor_values(batch, VALUES)?)?;
        values.require_axes(&["rdm", "condition", "condition"])?;
        let measure = meta.attributes.get("measure").and_then(|value| value.as_str()).unwrap_or_default().to_owned();
        Ok(Rdm { values, measure })
    }
}
