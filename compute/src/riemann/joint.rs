//! Approximate joint diagonalisation: one change of basis in which several covariances are as diagonal as they can be.

use crate::{ComputeError, Matrix};

const TOLERANCE: f64 = 1e-10;
/// Noise has no basis in which it is diagonal: from here on one is as good as the next.
const SWEEPS: usize = 50;

/// Rows `B` that make all `B C Bᵀ` as diagonal as possible, by Pham's criterion `Σ ln det diag(B C Bᵀ) − ln det(B C Bᵀ)`, minimised by sweeps over
/// pairs of rows (Pham 2001, SIAM J. Matrix Anal. Appl. 22:1136). Two positive definite matrices become diagonal exactly. The rows have no natural
/// scale or order.
///
/// Refuses no matrices, sizes that differ, and a matrix with a diagonal element that is not positive; ends with an error where a
/// step has no size. Ends after 50 sweeps at the latest: covariances that have nothing in common, as those of shuffled labels, go on moving a little for ever.
pub fn joint_diagonaliser(covariances: &[Matrix]) -> Result<Matrix, ComputeError> {
    let operation = "joint diagonalisation";
    let size = super::spectral::require_covariances(operation, &covariances.iter().collect::<Vec<_>>())?;
    let mut matrices = covariances.to_vec();
    if matrices.iter().any(|matrix| matrix.diagonal().iter().any(|value| *value <= 0.0)) {
        return Err(ComputeError::value(operation, "a channel has no variance in one of the covariances; leave it out"));
    }
    let n = matrices.len() as f64;
    let mut basis = Matrix::identity(size);
    for _ in 0..SWEEPS {
        let mut decrease = 0.0;
        for row in 1..size {
            for column in 0..row {
                // The criterion's slopes and curvatures for the pair.
                let mean = |of: &dyn Fn(&Matrix) -> f64| matrices.iter().map(of).sum::<f64>() / n;
                let slope_row = mean(&|matrix| matrix[(row, column)] / matrix[(row, row)]);
                let slope_column = mean(&|matrix| matrix[(row, column)] / matrix[(column, column)]);
                let curve_row = mean(&|matrix| matrix[(column, column)] / matrix[(row, row)]);
                let curve_column = mean(&|matrix| matrix[(row, row)] / matrix[(column, column)]);
                // Newton's step solves curve_row · h + g = slope_row and h + curve_column · g = slope_column; written by sum and difference, because
                // the determinant is small where the matrices are proportional.
                let curve = (curve_row * curve_column).sqrt();
                let ratio = (curve_column / curve_row).sqrt();
                let even = (ratio * slope_row + slope_column) / (curve + 1.0);
                let odd = (ratio * slope_row - slope_column) / (curve - 1.0).max(1e-9);
                let (step_row, step_column) = (even + odd, (even - odd) / ratio);
                decrease += 0.5 * (slope_row * step_row + slope_column * step_column);
                let scale = 1.0 + (1.0 - step_row * step_column).max(0.0).sqrt();
                let (from_column, from_row) = (-step_row / scale, -step_column / scale);
                for matrix in &mut matrices {
                    combine_rows(matrix, row, column, from_column, from_row);
                    for at in 0..size {
                        let (x, y) = (matrix[(at, row)], matrix[(at, column)]);
                        matrix[(at, row)] = x + from_column * y;
                        matrix[(at, column)] = y + from_row * x;
                    }
                }
                combine_rows(&mut basis, row, column, from_column, from_row);
            }
        }
        if !decrease.is_finite() {
            return Err(ComputeError::NoConvergence { operation, rows: size, columns: size });
        }
        if decrease.abs() <= TOLERANCE * (size * size) as f64 {
            break;
        }
    }
    Ok(basis)
}

/// Adds a multiple of each of two rows to the other, at once.
fn combine_rows(matrix: &mut Matrix, row: usize, column: usize, from_column: f64, from_row: f64) {
    for at in 0..matrix.cols() {
        let (x, y) = (matrix[(row, at)], matrix[(column, at)]);
        matrix[(row, at)] = x + from_column * y;
        matrix[(column, at)] = y + from_row * x;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::normal_matrix;
    use crate::product::{gemm, gemm_nt};

    /// How far from a scaled permutation a matrix is: 0 when each row has one element.
    fn mixing(matrix: &Matrix) -> f64 {
        matrix
            .row_iter()
            .map(|row| {
                let largest = row.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
                row.iter().map(|value| value.abs()).sum::<f64>() / largest - 1.0
            })
            .fold(0.0, f64::max)
    }

    #[test]
    fn planted_sources_are_found_from_any_number_of_mixtures() {
        for n in [2, 3, 6] {
            let unmix = normal_matrix(1, 5, 5);
            let matrices: Vec<Matrix> = (0..n)
                .map(|number| {
                    let powers = normal_matrix(10 + number, 1, 5).map(f64::exp);
                    let diagonal = Matrix::from_fn(5, 5, |row, column| if row == column { powers[(0, row)] } else { 0.0 });
                    let mut mixed = gemm_nt(&gemm(&unmix, &diagonal).unwrap(), &unmix).unwrap();
                    super::super::mean::symmetrise(&mut mixed);
                    mixed
                })
                .collect();
            let found = joint_diagonaliser(&matrices).unwrap();
            assert!(mixing(&gemm(&found, &unmix).unwrap()) < 1e-4, "{n}");
        }
    }

    #[test]
    fn what_has_no_common_basis_ends_with_a_finite_one() {
        let matrices: Vec<Matrix> = (0..8)
            .map(|number| {
                let samples = normal_matrix(20 + number, 30, 40);
                let mut covariance = gemm_nt(&samples, &samples).unwrap();
                super::super::mean::symmetrise(&mut covariance);
                covariance
            })
            .collect();
        let found = joint_diagonaliser(&matrices).unwrap();
        assert!(found.values().iter().all(|value| value.is_finite()));
        // It is a better basis than none: the criterion of Pham, up to the part that no basis changes.
        let criterion = |basis: &Matrix| -> f64 {
            let of = |matrix: &Matrix| {
                let changed = gemm_nt(&gemm(basis, matrix).unwrap(), basis).unwrap();
                changed.diagonal().iter().map(|value| value.ln()).sum::<f64>()
            };
            let volume = crate::factor::Cholesky::new(&gemm_nt(basis, basis).unwrap()).unwrap().log_determinant();
            matrices.iter().map(of).sum::<f64>() - matrices.len() as f64 * volume
        };
        assert!(criterion(&found) < criterion(&Matrix::identity(30)) - 1.0);
    }

    #[test]
    fn one_diagonal_or_empty_matrix_is_its_own_answer_and_bad_ones_are_refused() {
        assert_eq!(joint_diagonaliser(&[Matrix::identity(3), Matrix::identity(3)]).unwrap(), Matrix::identity(3));
        assert!(joint_diagonaliser(&[]).is_err() && joint_diagonaliser(&[Matrix::zeros(2, 2)]).is_err());
        assert!(joint_diagonaliser(&[Matrix::identity(2), Matrix::identity(3)]).is_err());
    }
}
