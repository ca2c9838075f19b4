//! The Cholesky factor of a symmetric positive definite matrix.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltError, LltParams, cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::triangular_solve::{solve_lower_triangular_in_place, solve_upper_triangular_in_place};
use faer::{MatMut, MatRef, Par, Spec};

use super::symmetric;
use crate::statistics::sum;
use crate::{ComputeError, Matrix};

/// `A = L Lᵀ` with `L` lower triangular.
///
/// Nothing is ever added to the diagonal: a matrix that is not positive definite is refused, with the pivot that failed.
#[derive(Debug, Clone)]
pub struct Cholesky {
    size: usize,
    /// Column-major; above the diagonal stands what was there before.
    lower: Vec<f64>,
}

impl Cholesky {
    /// Factorises a symmetric positive definite matrix.
    pub fn new(matrix: &Matrix) -> Result<Cholesky, ComputeError> {
        symmetric("cholesky", matrix)?;
        let size = matrix.rows();
        // The matrix is symmetric, so its row-major bytes are its column-major bytes.
        let mut lower = matrix.values().to_vec();
        if size > 0 {
            let params = Spec::<LltParams, f64>::default();
            let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(size, Par::Seq, params));
            let target = MatMut::from_column_major_slice_mut(&mut lower, size, size);
            cholesky_in_place(target, Default::default(), Par::Seq, MemStack::new(&mut memory), params)
                .map_err(|LltError::NonPositivePivot { index }| ComputeError::NotPositiveDefinite { pivot: index, size })?;
        }
        Ok(Cholesky { size, lower })
    }

    /// Number of rows and columns.
    pub fn size(&self) -> usize {
        self.size
    }

    /// The factor `L`, with zeros above the diagonal.
    pub fn lower(&self) -> Matrix {
        Matrix::from_fn(self.size, self.size, |row, col| if col <= row { self.lower[col * self.size + row] } else { 0.0 })
    }

    /// The diagonal of the factor `L`, all above zero.
    pub fn pivots(&self) -> Vec<f64> {
        (0..self.size).map(|place| self.lower[place * (self.size + 1)]).collect()
    }

    /// `A⁻¹ B`. Refuses a `B` with another number of rows.
    pub fn solve(&self, b: &Matrix) -> Result<Matrix, ComputeError> {
        self.solve_lower_transposed(&self.solve_lower(b)?)
    }

    /// `A⁻¹ b` for a vector.
    pub fn solve_vector(&self, b: &[f64]) -> Result<Vec<f64>, ComputeError> {
        self.solve(&Matrix::new(b.len(), 1, b.to_vec())?).map(Matrix::into_values)
    }

    /// `L⁻¹ B`: whitens the columns of `B`.
    pub fn solve_lower(&self, b: &Matrix) -> Result<Matrix, ComputeError> {
        self.solve_triangle(b, |lower, target| solve_lower_triangular_in_place(lower, target, Par::Seq))
    }

    /// `L⁻ᵀ B`.
    pub fn solve_lower_transposed(&self, b: &Matrix) -> Result<Matrix, ComputeError> {
        self.solve_triangle(b, |lower, target| solve_upper_triangular_in_place(lower.transpose(), target, Par::Seq))
    }

    /// `A⁻¹`, exactly symmetric.
    pub fn inverse(&self) -> Result<Matrix, ComputeError> {
        Ok(crate::product::gram(&self.solve_lower(&Matrix::identity(self.size))?))
    }

    /// `ln det A`.
    pub fn log_determinant(&self) -> f64 {
        let logs: Vec<f64> = self.pivots().into_iter().map(f64::ln).collect();
        2.0 * sum(&logs)
    }

    fn solve_triangle(&self, b: &Matrix, solve: impl FnOnce(MatRef<'_, f64>, MatMut<'_, f64>)) -> Result<Matrix, ComputeError> {
        let (rows, cols) = b.shape();
        if rows != self.size {
            let reason = format!("the right side has {rows} rows, the matrix {}", self.size);
            return Err(ComputeError::shape("cholesky solve", reason));
        }
        let mut solution = b.clone();
        if rows > 0 && cols > 0 {
            let lower = MatRef::from_column_major_slice(&self.lower, self.size, self.size);
            solve(lower, MatMut::from_column_major_slice_mut(solution.values_mut(), cols, rows).transpose_mut());
        }
        Ok(solution)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, close, normal_matrix, same_on_any_threads};
    use crate::product::{gemm, gemm_nt, gram, gram_of_rows};

    #[test]
    fn a_known_factor_is_found() {
        let matrix = Matrix::new(3, 3, vec![4.0, 12.0, -16.0, 12.0, 37.0, -43.0, -16.0, -43.0, 98.0]).unwrap();
        let factor = Cholesky::new(&matrix).unwrap();
        all_close(factor.lower().values(), &[2.0, 0.0, 0.0, 6.0, 1.0, 0.0, -8.0, 5.0, 3.0], 1e-14);
        close(factor.log_determinant(), 36f64.ln(), 1e-14);
        all_close(&factor.solve_vector(&[-20.0, -43.0, 192.0]).unwrap(), &[1.0, 2.0, 3.0], 1e-12);
    }

    #[test]
    fn solutions_satisfy_their_equations() {
        for size in [1, 5, 64, 150] {
            let matrix = gram(&normal_matrix(1, 2 * size + 3, size));
            let factor = Cholesky::new(&matrix).unwrap();
            all_close(gemm_nt(&factor.lower(), &factor.lower()).unwrap().values(), matrix.values(), 1e-11);
            let b = normal_matrix(2, size, 4);
            all_close(gemm(&matrix, &factor.solve(&b).unwrap()).unwrap().values(), b.values(), 1e-9);
            all_close(gemm(&matrix, &factor.inverse().unwrap()).unwrap().values(), Matrix::identity(size).values(), 1e-9);
        }
    }

    #[test]
    fn the_failing_pivot_is_named_and_nothing_is_added_to_the_diagonal() {
        let mut matrix = Matrix::identity(5);
        matrix[(3, 3)] = -1.0;
        assert_eq!(Cholesky::new(&matrix).unwrap_err(), ComputeError::NotPositiveDefinite { pivot: 3, size: 5 });
        matrix[(3, 3)] = 0.0;
        assert_eq!(Cholesky::new(&matrix).unwrap_err(), ComputeError::NotPositiveDefinite { pivot: 3, size: 5 });
        assert!(Cholesky::new(&Matrix::new(2, 2, vec![1.0, 1.0, 1.0, 1.0]).unwrap()).is_err());
        assert!(Cholesky::new(&gram_of_rows(&Matrix::from_fn(40, 3, |row, col| (row + col) as f64))).is_err());
        assert!(matches!(Cholesky::new(&Matrix::identity(2).map(|value| value / 0.0)), Err(ComputeError::NotFinite { .. })));
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (matrix, b) = (gram(&normal_matrix(3, 400, 210)), normal_matrix(4, 210, 50));
        same_on_any_threads(|| Cholesky::new(&matrix).unwrap().lower().into_values());
        same_on_any_threads(|| Cholesky::new(&matrix).unwrap().solve(&b).unwrap().into_values());
        same_on_any_threads(|| Cholesky::new(&matrix).unwrap().inverse().unwrap().into_values());
    }

    #[test]
    fn empty_systems_have_empty_solutions() {
        let factor = Cholesky::new(&Matrix::zeros(0, 0)).unwrap();
        assert_eq!((factor.log_determinant(), factor.solve(&Matrix::zeros(0, 2)).unwrap().shape()), (0.0, (0, 2)));
        assert!(factor.solve(&Matrix::zeros(1, 2)).is_err());
    }
}
