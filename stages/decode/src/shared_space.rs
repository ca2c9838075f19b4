//! A space that animals share: each animal's condition means, turned so that the same conditions lie in the same places.
//!
//! Units of two animals do not correspond, but their conditions do. The condition means of an animal, centred over conditions, span a space of at most
//! conditions − 1 dimensions; its principal axes are the animal's own coordinates. Orthogonal Procrustes (Schönemann 1966) turns the coordinates of one
//! animal onto those of another, and iterating "turn everyone onto the mean, take the mean" gives a consensus of many (generalised Procrustes analysis,
//! Gower 1975). Coordinates are divided by their Frobenius norm, so that an animal with larger signals does not weigh more.

use crate::spectral::{eigen, nearest_rotation, numerical};
use neuroflow_compute::Matrix;
use neuroflow_compute::product::{gemm, gemm_tn, gram_of_rows};
use neuroflow_stage::StageError;

/// An animal's own coordinates: the principal axes of its condition means.
#[derive(Debug, Clone)]
pub(crate) struct OwnSpace {
    centre: Vec<f64>,
    /// `[unit × dimension]`, divided by the norm of the coordinates.
    basis: Matrix,
    /// The condition means in these coordinates `[condition × dimension]`, with Frobenius norm 1.
    pub(crate) conditions: Matrix,
}

/// The mean of the trials of each condition `[condition × unit]`. Every condition needs a trial in `trials`.
pub(crate) fn condition_means(features: &Matrix, labels: &[usize], trials: &[usize], n_classes: usize) -> Matrix {
    let mut means = Matrix::zeros(n_classes, features.cols());
    let mut counts = vec![0usize; n_classes];
    for &trial in trials {
        counts[labels[trial]] += 1;
        means.row_mut(labels[trial]).iter_mut().zip(features.row(trial)).for_each(|(sum, value)| *sum += value);
    }
    for (class, count) in counts.into_iter().enumerate() {
        means.row_mut(class).iter_mut().for_each(|sum| *sum /= count.max(1) as f64);
    }
    means
}

/// Subtracts the mean row from every row; gives the mean row.
pub(crate) fn centre_rows(matrix: &mut Matrix) -> Vec<f64> {
    let n = matrix.rows().max(1) as f64;
    let mut centre = vec![0.0; matrix.cols()];
    for row in matrix.row_iter() {
        centre.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / n);
    }
    for row in 0..matrix.rows() {
        matrix.row_mut(row).iter_mut().zip(&centre).for_each(|(value, centre)| *value -= centre);
    }
    centre
}

impl OwnSpace {
    /// The first `n_dimensions` principal axes of condition means `[condition × unit]`.
    ///
    /// # Errors
    /// When the decomposition fails, which finite input does not reach.
    pub(crate) fn of_means(mut means: Matrix, n_dimensions: usize) -> Result<OwnSpace, StageError> {
        let centre = centre_rows(&mut means);
        // There are fewer conditions than units, mostly: the axes come from the small matrix of products between conditions.
        let (variances, vectors) = eigen(&gram_of_rows(&means))?;
        let floor = variances.first().copied().unwrap_or(0.0).max(0.0) * 1e-12;
        let norm = variances.iter().take(n_dimensions).filter(|variance| **variance > floor).sum::<f64>().sqrt();
        // A dimension in which conditions do not differ has no axis: its coordinates stay 0.
        let length = |dimension: usize| match variances.get(dimension) {
            Some(variance) if *variance > floor => Some(variance.sqrt()),
            _ => None,
        };
        let n_classes = means.rows();
        let conditions =
            Matrix::from_fn(n_classes, n_dimensions, |condition, dimension| length(dimension).map_or(0.0, |length| vectors[(condition, dimension)] * length / norm));
        let weights =
            Matrix::from_fn(n_classes, n_dimensions, |condition, dimension| length(dimension).map_or(0.0, |length| vectors[(condition, dimension)] / (length * norm)));
        let basis = gemm_tn(&means, &weights).map_err(numerical)?;
        Ok(OwnSpace { centre, basis, conditions })
    }

    /// Trials in the shared space `[trial × dimension]`, given the rotation from this animal's coordinates to it.
    ///
    /// # Errors
    /// When sizes do not fit, which is a mistake of ours.
    pub(crate) fn project(&self, features: &Matrix, trials: &[usize], rotation: &Matrix) -> Result<Matrix, StageError> {
        let turned = gemm(&self.basis, rotation).map_err(numerical)?;
        let mut centred = features.take_rows(trials);
        for row in 0..centred.rows() {
            centred.row_mut(row).iter_mut().zip(&self.centre).for_each(|(value, centre)| *value -= centre);
        }
        gemm(&centred, &turned).map_err(numerical)
    }

    /// The rotation (reflections allowed) that brings this animal's conditions nearest to `reference` `[condition × dimension]`.
    ///
    /// # Errors
    /// When the decomposition fails, which finite input does not reach.
    pub(crate) fn rotation_onto(&self, reference: &Matrix) -> Result<Matrix, StageError> {
        nearest_rotation(&gemm_tn(&self.conditions, reference).map_err(numerical)?)
    }
}

/// The conditions' places in the space that some animals share `[condition × dimension]`.
///
/// # Errors
/// As [`OwnSpace::rotation_onto`].
pub(crate) fn consensus(spaces: &[&OwnSpace]) -> Result<Matrix, StageError> {
    const MOST_ROUNDS: usize = 100;
    const SETTLED: f64 = 1e-12;
    let Some(first) = spaces.first() else {
        return Err(StageError::Bug("a consensus of no animals".into()));
    };
    let mut reference = first.conditions.clone();
    for _ in 0..MOST_ROUNDS {
        let mut mean = Matrix::zeros(reference.rows(), reference.cols());
        for space in spaces {
            let turned = gemm(&space.conditions, &space.rotation_onto(&reference)?).map_err(numerical)?;
            mean.values_mut().iter_mut().zip(turned.values()).for_each(|(sum, value)| *sum += value / spaces.len() as f64);
        }
        let moved: f64 = mean.values().iter().zip(reference.values()).map(|(new, old)| (new - old).powi(2)).sum();
        reference = mean;
        if moved < SETTLED {
            break;
        }
    }
    Ok(reference)
}
