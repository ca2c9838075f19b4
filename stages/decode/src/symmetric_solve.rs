//! Solving with a covariance matrix, also with one that has no inverse.

use crate::spectral::numerical;
use neuroflow_compute::Matrix;
use neuroflow_compute::factor::{Cholesky, least_squares};
use neuroflow_stage::StageError;

/// The factor of a covariance that is far from singular, and its smallest pivot as a share of that feature's variance: none where it is below 10⁻⁸.
pub(crate) fn well_conditioned(covariance: &Matrix) -> Option<(Cholesky, f64)> {
    const FLOOR: f64 = 1e-8;
    let factor = Cholesky::new(covariance).ok()?;
    let shares = factor.pivots().into_iter().zip(covariance.diagonal()).map(|(pivot, variance)| pivot * pivot / variance);
    let least = shares.fold(f64::INFINITY, f64::min);
    (least > FLOOR).then_some((factor, least))
}

/// `covariance⁻¹ · right`, by Cholesky; where the covariance is singular up to rounding, the least-squares solution of least norm.
///
/// # Errors
/// When neither factorisation succeeds, which finite input does not reach.
pub(crate) fn solve(covariance: &Matrix, right: &Matrix) -> Result<Matrix, StageError> {
    if let Ok(factor) = Cholesky::new(covariance) {
        let size = covariance.rows();
        let lower = factor.lower();
        // A pivot that is rounding alone would give directions of no variance an enormous weight.
        let floor = 16.0 * size as f64 * f64::EPSILON;
        if (0..size).all(|place| lower[(place, place)].powi(2) > floor * covariance[(place, place)]) {
            return factor.solve(right).map_err(numerical);
        }
    }
    least_squares(covariance, right).map(|found| found.solution).map_err(numerical)
}
