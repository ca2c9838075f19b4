//! Principal axes and nearest rotations, in the order and form that alignment uses.

use neuroflow_compute::factor::{symmetric_eigen, thin_svd};
use neuroflow_compute::product::{gemm, gemm_nt, gemm_tn, gram, gram_of_rows};
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

/// A matrix of centred rows in its own axes: X = U diag(s) Vᵀ, without axes of less than 10⁻⁶ of the longest.
pub(crate) struct Axes {
    /// U `[row × axis]`.
    pub(crate) left: Matrix,
    /// V `[column × axis]`.
    pub(crate) right: Matrix,
    /// s, the longest first.
    pub(crate) singular: Vec<f64>,
    /// The eigenvalues of the smaller matrix of products, before anything was left out.
    pub(crate) squares: Vec<f64>,
}

impl Axes {
    /// # Errors
    /// When the decomposition fails, which finite input does not reach.
    pub(crate) fn of(centred: &Matrix) -> Result<Axes, StageError> {
        // The smaller of the two matrices of products has all axes.
        let by_row = centred.rows() <= centred.cols();
        let (squares, vectors) = eigen(&if by_row { gram_of_rows(centred) } else { gram(centred) })?;
        let floor = squares.first().copied().unwrap_or(0.0).max(0.0) * 1e-12;
        let kept: Vec<usize> = (0..squares.len()).filter(|&axis| squares[axis] > floor).collect();
        let singular: Vec<f64> = kept.iter().map(|&axis| squares[axis].sqrt()).collect();
        let own = vectors.take_columns(&kept);
        let scaled = Matrix::from_fn(own.rows(), own.cols(), |row, axis| own[(row, axis)] / singular[axis]);
        let (left, right) = if by_row {
            let right = gemm_tn(centred, &scaled).map_err(numerical)?;
            (own, right)
        } else {
            (gemm(centred, &scaled).map_err(numerical)?, own)
        };
        Ok(Axes { left, right, singular, squares })
    }
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
