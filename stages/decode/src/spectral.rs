//! Principal axes and nearest rotations, in the order and form that alignment uses.

use neuroflow_compute::factor::{symmetric_eigen, thin_svd};
use neuroflow_compute::product::gemm_nt;
use neuroflow_compute::{ComputeError, Matrix};
use neuroflow_stage::StageError;

/// A numerical refusal, which finite and checked input does not reach short of overflow.
pub(crate) fn numerical(error: ComputeError) -> StageError {
    StageError::refused_with_help(error.to_string(), "look for values of extreme size in the activity")
}

/// Eigenvalues of a symmetric matrix, largest first, and the eigenvectors as columns in that order.
///
/// # Errors
/// When the matrix has values that are not finite.
pub(crate) fn eigen(matrix: &Matrix) -> Result<(Vec<f64>, Matrix), StageError> {
    let found = symmetric_eigen(matrix).map_err(numerical)?;
    let order: Vec<usize> = (0..found.values.len()).rev().collect();
    Ok((order.iter().map(|&place| found.values[place]).collect(), found.vectors.take_columns(&order)))
}

/// The orthogonal matrix nearest to `matrix`: `U Vᵀ` of its singular value decomposition. It is the `R` for which `‖A R − B‖` is least when
/// `matrix = Aᵀ B` (Schönemann 1966).
///
/// # Errors
/// When the matrix has values that are not finite.
pub(crate) fn nearest_rotation(matrix: &Matrix) -> Result<Matrix, StageError> {
    let found = thin_svd(matrix).map_err(numerical)?;
    gemm_nt(&found.u, &found.v).map_err(numerical)
}
