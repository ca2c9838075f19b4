//! Eigenvalues and eigenvectors of symmetric matrices, and what follows from them.

use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{MatMut, Par};

use super::{Cholesky, sign_of_largest, symmetric};
use crate::product::gemm;
use crate::{ComputeError, Matrix};

/// `A = V diag(values) Vᵀ`.
#[derive(Debug, Clone, PartialEq)]
pub struct Eigen {
    /// Eigenvalues, ascending.
    pub values: Vec<f64>,
    /// Eigenvectors as columns, in the order of the values, of unit length and mutually orthogonal.
    pub vectors: Matrix,
}

/// Eigenvalues and eigenvectors of a symmetric matrix.
pub fn symmetric_eigen(matrix: &Matrix) -> Result<Eigen, ComputeError> {
    symmetric("eigenvalues", matrix)?;
    let size = matrix.rows();
    let mut values = vec![0.0; size];
    if size == 0 {
        return Ok(Eigen { values, vectors: Matrix::zeros(0, 0) });
    }
    // Column-major, as faer likes it best: row `i` of this buffer is eigenvector `i`.
    let mut vectors = vec![0.0; size * size];
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<f64>(size, ComputeEigenvectors::Yes, Par::Seq, Default::default()));
    self_adjoint_evd(
        matrix.view().faer(),
        DiagMut::from_slice_mut(&mut values),
        Some(MatMut::from_column_major_slice_mut(&mut vectors, size, size)),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| ComputeError::NoConvergence { operation: "eigenvalues", rows: size, columns: size })?;
    for vector in vectors.chunks_exact_mut(size) {
        let sign = sign_of_largest(vector.iter().copied());
        vector.iter_mut().for_each(|component| *component *= sign);
    }
    Ok(Eigen { values, vectors: Matrix::new(size, size, vectors)?.transposed() })
}

/// `f(A) = V diag(f(values)) Vᵀ`, exactly symmetric: square root, logarithm, inverse square root of a symmetric matrix, and so on.
///
/// Refuses a function that is not finite at one of the eigenvalues, such as a logarithm at zero.
pub fn symmetric_function(matrix: &Matrix, function: impl Fn(f64) -> f64) -> Result<Matrix, ComputeError> {
    let eigen = symmetric_eigen(matrix)?;
    let changed: Vec<f64> = eigen.values.iter().map(|&value| function(value)).collect();
    if let Some(place) = changed.iter().position(|value| !value.is_finite()) {
        let reason = format!("the function is {} at eigenvalue {} ({place} from below)", changed[place], eigen.values[place]);
        return Err(ComputeError::value("function of a symmetric matrix", reason));
    }
    recompose(&eigen.vectors, &changed)
}

/// The Moore–Penrose inverse of a symmetric positive semi-definite matrix, and its rank.
///
/// Eigenvalues of at most `tolerance` times the largest count as zero. Refuses a matrix with an eigenvalue below `−tolerance` times the largest.
pub fn pseudo_inverse_psd(matrix: &Matrix, tolerance: f64) -> Result<(Matrix, usize), ComputeError> {
    let eigen = symmetric_eigen(matrix)?;
    let largest = eigen.values.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    let cut = tolerance * largest;
    if let Some(&least) = eigen.values.first()
        && least < -cut
    {
        let reason = format!("the matrix has the eigenvalue {least}; a positive semi-definite one has none below zero");
        return Err(ComputeError::value("pseudo-inverse", reason));
    }
    let inverse: Vec<f64> = eigen.values.iter().map(|&value| if value > cut { 1.0 / value } else { 0.0 }).collect();
    let rank = inverse.iter().filter(|&&value| value > 0.0).count();
    Ok((recompose(&eigen.vectors, &inverse)?, rank))
}

/// Solves `A v = λ B v` for symmetric `A` and positive definite `B`: values ascending, vectors with `vᵀ B v = 1` (not of unit length).
pub fn generalised_eigen(a: &Matrix, b: &Matrix) -> Result<Eigen, ComputeError> {
    symmetric("generalised eigenvalues", a)?;
    if a.shape() != b.shape() {
        let reason = format!("the matrices have {} and {} rows; they must be of one size", a.rows(), b.rows());
        return Err(ComputeError::shape("generalised eigenvalues", reason));
    }
    // C = L⁻¹ A L⁻ᵀ has the same eigenvalues; v = L⁻ᵀ u.
    let factor = Cholesky::new(b)?;
    let half = factor.solve_lower(a)?;
    let mut reduced = factor.solve_lower(&half.transposed())?;
    symmetrise(&mut reduced);
    let eigen = symmetric_eigen(&reduced)?;
    let mut vectors = factor.solve_lower_transposed(&eigen.vectors)?;
    for col in 0..vectors.cols() {
        if sign_of_largest((0..vectors.rows()).map(|row| vectors[(row, col)])) < 0.0 {
            (0..vectors.rows()).for_each(|row| vectors[(row, col)] *= -1.0);
        }
    }
    Ok(Eigen { values: eigen.values, vectors })
}

/// `V diag(values) Vᵀ`, made exactly symmetric.
fn recompose(vectors: &Matrix, values: &[f64]) -> Result<Matrix, ComputeError> {
    let scaled = Matrix::from_fn(vectors.rows(), vectors.cols(), |row, col| vectors[(row, col)] * values[col]);
    let mut product = gemm(&scaled, vectors.t())?;
    symmetrise(&mut product);
    Ok(product)
}

/// Replaces each pair across the diagonal by its mean.
fn symmetrise(matrix: &mut Matrix) {
    for row in 0..matrix.rows() {
        for col in 0..row {
            let mean = 0.5 * (matrix[(row, col)] + matrix[(col, row)]);
            matrix[(row, col)] = mean;
            matrix[(col, row)] = mean;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, close, normal_matrix, same_on_any_threads};
    use crate::product::{gram, gram_of_rows};

    /// The second difference matrix: eigenvalues 2 − 2 cos(πk / (n + 1)).
    fn second_difference(size: usize) -> Matrix {
        Matrix::from_fn(size, size, |row, col| if row == col { 2.0 } else { -f64::from(row.abs_diff(col) == 1) })
    }

    #[test]
    fn eigenvalues_of_the_second_difference_are_those_of_the_formula() {
        for size in [1, 2, 3, 50, 131] {
            let eigen = symmetric_eigen(&second_difference(size)).unwrap();
            let formula: Vec<f64> = (1..=size).map(|k| 2.0 - 2.0 * (std::f64::consts::PI * k as f64 / (size as f64 + 1.0)).cos()).collect();
            all_close(&eigen.values, &formula, 1e-13);
            all_close(gram(&eigen.vectors).values(), Matrix::identity(size).values(), 1e-12);
            all_close(recompose(&eigen.vectors, &eigen.values).unwrap().values(), second_difference(size).values(), 1e-12);
            assert!((0..size).all(|col| sign_of_largest(eigen.vectors.column(col).into_iter()) > 0.0));
        }
    }

    #[test]
    fn functions_of_matrices_invert_each_other() {
        let matrix = gram(&normal_matrix(1, 40, 12));
        let root = symmetric_function(&matrix, f64::sqrt).unwrap();
        all_close(gemm(&root, &root).unwrap().values(), matrix.values(), 1e-12);
        let back = symmetric_function(&symmetric_function(&matrix, f64::ln).unwrap(), f64::exp).unwrap();
        all_close(back.values(), matrix.values(), 1e-11);
        let error = symmetric_function(&Matrix::zeros(2, 2), f64::ln).unwrap_err();
        assert!(error.to_string().contains("-inf at eigenvalue 0"), "{error}");
    }

    #[test]
    fn the_pseudo_inverse_satisfies_the_penrose_conditions() {
        let matrix = gram_of_rows(&normal_matrix(2, 9, 4));
        let (inverse, rank) = pseudo_inverse_psd(&matrix, 1e-10).unwrap();
        assert_eq!(rank, 4);
        let product = gemm(&matrix, &inverse).unwrap();
        all_close(product.values(), product.transposed().values(), 1e-10);
        all_close(gemm(&product, &matrix).unwrap().values(), matrix.values(), 1e-10);
        all_close(gemm(&inverse, &product).unwrap().values(), inverse.values(), 1e-10);
        assert!(pseudo_inverse_psd(&Matrix::identity(2).map(|value| -value), 1e-10).is_err());
        assert_eq!(pseudo_inverse_psd(&Matrix::zeros(3, 3), 1e-10).unwrap(), (Matrix::zeros(3, 3), 0));
    }

    #[test]
    fn generalised_eigenvectors_satisfy_their_equation() {
        let (a, b) = (gram(&normal_matrix(3, 30, 7)), gram(&normal_matrix(4, 25, 7)));
        let eigen = generalised_eigen(&a, &b).unwrap();
        for (place, &value) in eigen.values.iter().enumerate() {
            let vector = Matrix::new(7, 1, eigen.vectors.column(place)).unwrap();
            let (left, right) = (gemm(&a, &vector).unwrap(), gemm(&b, &vector).unwrap());
            all_close(left.values(), right.clone().map(|component| value * component).values(), 1e-10);
            close(gemm(vector.t(), &right).unwrap()[(0, 0)], 1.0, 1e-10);
        }
        assert!(eigen.values.is_sorted());
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (a, b) = (gram(&normal_matrix(5, 300, 170)), gram(&normal_matrix(6, 300, 170)));
        let flat = |eigen: Eigen| [eigen.values, eigen.vectors.into_values()].concat();
        same_on_any_threads(|| flat(symmetric_eigen(&a).unwrap()));
        same_on_any_threads(|| flat(generalised_eigen(&a, &b).unwrap()));
        same_on_any_threads(|| symmetric_function(&a, f64::ln).unwrap().into_values());
        same_on_any_threads(|| pseudo_inverse_psd(&a, 1e-10).unwrap().0.into_values());
    }

    #[test]
    fn bad_matrices_are_refused() {
        assert!(symmetric_eigen(&Matrix::zeros(2, 3)).unwrap_err().to_string().contains("2 × 3"));
        let lopsided = Matrix::new(2, 2, vec![1.0, 2.0, 3.0, 4.0]).unwrap();
        assert!(symmetric_eigen(&lopsided).unwrap_err().to_string().contains("element (1, 0) is 3"));
        let gap = Matrix::new(2, 2, vec![1.0, f64::NAN, f64::NAN, 4.0]).unwrap();
        assert!(matches!(symmetric_eigen(&gap), Err(ComputeError::NotFinite { position: 1, .. })));
        assert_eq!(symmetric_eigen(&Matrix::zeros(0, 0)).unwrap().values, Vec::<f64>::new());
    }
}
