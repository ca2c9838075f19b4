//! An animal's own linear map into the shared space, fitted by ridge regression on a few of its trials.
//!
//! The target of a trial is the place of its condition in the shared space. The penalty is `penalty · ‖X‖²/units` with X the centred trials; `auto`
//! takes the one of a grid of half decades, 10⁻³ … 10³, with the least squared error when each calibration trial is left out in turn, which
//! has a closed form (Allen 1974; hat matrix with a free intercept).

use crate::shared_space::centre_rows;
use crate::spectral::{Axes, numerical};
use neuroflow_compute::Matrix;
use neuroflow_compute::product::{gemm, gemm_tn};
use neuroflow_stage::{Auto, StageError};

/// Calibration trials in the axes in which ridge regression is a division: X = U diag(s) Vᵀ.
pub(crate) struct Calibration {
    trials: Vec<usize>,
    centre: Vec<f64>,
    /// U `[trial × axis]`.
    left: Matrix,
    /// V `[unit × axis]`.
    right: Matrix,
    /// s.
    singular: Vec<f64>,
    /// ‖X‖² / units.
    unit_variance: f64,
}

impl Calibration {
    /// Decomposes the calibration trials.
    ///
    /// # Errors
    /// When the decomposition fails, which finite input does not reach.
    pub(crate) fn of(features: &Matrix, trials: Vec<usize>) -> Result<Calibration, StageError> {
        let mut centred = features.take_rows(&trials);
        let centre = centre_rows(&mut centred);
        let Axes { left, right, singular, squares } = Axes::of(&centred)?;
        let unit_variance = squares.iter().sum::<f64>() / features.cols().max(1) as f64;
        Ok(Calibration { trials, centre, left, right, singular, unit_variance })
    }

    /// The map whose targets are the places of the calibration trials' conditions, `places [condition × dimension]`.
    ///
    /// # Errors
    /// When sizes do not fit, which is a mistake of ours.
    pub(crate) fn fit(&self, labels: &[usize], places: &Matrix, penalty: &Auto<f64>) -> Result<Adaptor, StageError> {
        let conditions: Vec<usize> = self.trials.iter().map(|&trial| labels[trial]).collect();
        let mut targets = places.take_rows(&conditions);
        let offset = centre_rows(&mut targets);
        let projected = gemm_tn(&self.left, &targets).map_err(numerical)?;
        let penalty = match penalty {
            Auto::Given(penalty) => penalty * self.unit_variance,
            Auto::Auto => {
                let mut best = (f64::INFINITY, self.unit_variance);
                for step in 0..13 {
                    let penalty = 10f64.powf(-3.0 + 0.5 * f64::from(step)) * self.unit_variance;
                    let error = self.left_out_error(penalty, &targets, &projected)?;
                    // The larger penalty wins among equals.
                    if error <= best.0 {
                        best = (error, penalty);
                    }
                }
                best.1
            }
        };
        let shrunk = Matrix::from_fn(projected.rows(), projected.cols(), |axis, dimension| {
            let length = self.singular[axis];
            projected[(axis, dimension)] * length / (length * length + penalty)
        });
        Ok(Adaptor { centre: self.centre.clone(), weights: gemm(&self.right, &shrunk).map_err(numerical)?, offset })
    }

    /// The squared error of each calibration trial when it is left out, summed.
    fn left_out_error(&self, penalty: f64, targets: &Matrix, projected: &Matrix) -> Result<f64, StageError> {
        let kept: Vec<f64> = self.singular.iter().map(|length| length * length / (length * length + penalty)).collect();
        let shrunk = Matrix::from_fn(projected.rows(), projected.cols(), |axis, dimension| projected[(axis, dimension)] * kept[axis]);
        let fitted = gemm(&self.left, &shrunk).map_err(numerical)?;
        let mut error = 0.0;
        for (trial, left) in self.left.row_iter().enumerate() {
            let leverage = 1.0 / self.trials.len() as f64 + left.iter().zip(&kept).map(|(value, kept)| value * value * kept).sum::<f64>();
            // A trial that its own fit depends on alone says nothing about the penalty, and must not divide by zero.
            let free = (1.0 - leverage).max(1e-9);
            error +=
                targets.row(trial).iter().zip(fitted.row(trial)).map(|(target, fitted)| ((target - fitted) / free).powi(2)).sum::<f64>();
        }
        Ok(error)
    }
}

/// A linear map units → shared space.
pub(crate) struct Adaptor {
    centre: Vec<f64>,
    /// `[unit × dimension]`.
    weights: Matrix,
    offset: Vec<f64>,
}

impl Adaptor {
    /// Trials in the shared space `[trial × dimension]`.
    ///
    /// # Errors
    /// When sizes do not fit, which is a mistake of ours.
    pub(crate) fn map(&self, features: &Matrix, trials: &[usize]) -> Result<Matrix, StageError> {
        let mut centred = features.take_rows(trials);
        for row in 0..centred.rows() {
            centred.row_mut(row).iter_mut().zip(&self.centre).for_each(|(value, centre)| *value -= centre);
        }
        let mut mapped = gemm(&centred, &self.weights).map_err(numerical)?;
        for row in 0..mapped.rows() {
            mapped.row_mut(row).iter_mut().zip(&self.offset).for_each(|(value, offset)| *value += offset);
        }
        Ok(mapped)
    }
}
