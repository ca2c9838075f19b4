//! Singular values and least squares.

use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};
use faer::{MatMut, Par};

use super::sign_of_largest;
use crate::error::finite;
use crate::product::gemm;
use crate::{ComputeError, Matrix, MatrixRef};

/// `A = U diag(values) Vᵀ` with `k = min(rows, columns)` singular values.
#[derive(Debug, Clone, PartialEq)]
pub struct Svd {
    /// Left singular vectors as columns `[rows × k]`.
    pub u: Matrix,
    /// Singular values, descending.
    pub values: Vec<f64>,
    /// Right singular vectors as columns `[columns × k]`.
    pub v: Matrix,
}

/// The thin singular value decomposition.
pub fn thin_svd<'a>(matrix: impl Into<MatrixRef<'a>>) -> Result<Svd, ComputeError> {
    let matrix = matrix.into();
    let (rows, cols) = matrix.shape();
    let size = rows.min(cols);
    if size == 0 {
        return Ok(Svd { u: Matrix::zeros(rows, 0), values: Vec::new(), v: Matrix::zeros(cols, 0) });
    }
    // A dense copy, so that the layout of the view can't change a bit of the result.
    let copy = matrix.to_matrix();
    finite("singular values", copy.values())?;
    let thin = ComputeSvdVectors::Thin;
    let mut memory = MemBuffer::new(svd_scratch::<f64>(rows, cols, thin, thin, Par::Seq, Default::default()));
    let (mut u, mut values, mut v) = (vec![0.0; rows * size], vec![0.0; size], vec![0.0; cols * size]);
    svd(
        copy.view().faer(),
        DiagMut::from_slice_mut(&mut values),
        Some(MatMut::from_column_major_slice_mut(&mut u, rows, size)),
        Some(MatMut::from_column_major_slice_mut(&mut v, cols, size)),
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| ComputeError::NoConvergence { operation: "singular values", rows, columns: cols })?;
    for (left, right) in u.chunks_exact_mut(rows).zip(v.chunks_exact_mut(cols)) {
        let sign = sign_of_largest(right.iter().copied());
        left.iter_mut().chain(right).for_each(|component| *component *= sign);
    }
    Ok(Svd { u: Matrix::new(size, rows, u)?.transposed(), values, v: Matrix::new(size, cols, v)?.transposed() })
}

/// A solution of `min ‖A X − B‖`.
#[derive(Debug, Clone, PartialEq)]
pub struct LeastSquares {
    /// `X [columns of A × columns of B]`, of least norm among all that minimise.
    pub solution: Matrix,
    /// Number of singular values of `A` that count as not zero.
    pub rank: usize,
    /// Singular values of `A`, descending.
    pub singular_values: Vec<f64>,
}

/// The least-norm solution of `min ‖A X − B‖` by singular values; those of at most `ε · max(rows, columns)` times the largest count as zero, as in
/// `numpy.linalg.lstsq(rcond=None)`. Refuses matrices with different numbers of rows.
pub fn least_squares(a: &Matrix, b: &Matrix) -> Result<LeastSquares, ComputeError> {
    if a.rows() != b.rows() {
        return Err(ComputeError::shape(
            "least squares",
            format!("the sides have {} and {} rows; they must have the same", a.rows(), b.rows()),
        ));
    }
    finite("least squares", b.values())?;
    let Svd { u, values, v } = thin_svd(a)?;
    let cut = f64::EPSILON * a.rows().max(a.cols()) as f64 * values.first().copied().unwrap_or(0.0);
    let rank = values.iter().filter(|&&value| value > cut).count();
    let mut projected = gemm(u.t(), b)?;
    for (place, &value) in values.iter().enumerate() {
        let factor = if place < rank { 1.0 / value } else { 0.0 };
        projected.row_mut(place).iter_mut().for_each(|component| *component *= factor);
    }
    Ok(LeastSquares { solution: gemm(&v, &projected)?, rank, singular_values: values })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix, same_on_any_threads};
    use crate::product::{gemm_nt, gemm_tn, gram};

    #[test]
    fn the_factors_are_orthonormal_and_give_the_matrix_back() {
        for (rows, cols) in [(1, 1), (9, 4), (4, 9), (130, 7), (60, 60), (1, 5)] {
            let matrix = normal_matrix(1, rows, cols);
            let Svd { u, values, v } = thin_svd(&matrix).unwrap();
            let size = rows.min(cols);
            assert_eq!((u.shape(), values.len(), v.shape()), ((rows, size), size, (cols, size)));
            all_close(gram(&u).values(), Matrix::identity(size).values(), 1e-12);
            all_close(gram(&v).values(), Matrix::identity(size).values(), 1e-12);
            let scaled = Matrix::from_fn(rows, size, |row, col| u[(row, col)] * values[col]);
            all_close(gemm_nt(&scaled, &v).unwrap().values(), matrix.values(), 1e-12);
            assert!(values.is_sorted_by(|a, b| a >= b));
        }
    }

    #[test]
    fn singular_values_of_a_rotated_scaling_are_its_scales() {
        let (sine, cosine) = 0.7f64.sin_cos();
        let matrix = Matrix::new(2, 2, vec![3.0 * cosine, -0.5 * sine, 3.0 * sine, 0.5 * cosine]).unwrap();
        all_close(&thin_svd(&matrix).unwrap().values, &[3.0, 0.5], 1e-14);
    }

    #[test]
    fn least_squares_finds_planted_coefficients_and_the_least_norm() {
        let (a, planted) = (normal_matrix(2, 40, 6), normal_matrix(3, 6, 2));
        let fit = least_squares(&a, &gemm(&a, &planted).unwrap()).unwrap();
        all_close(fit.solution.values(), planted.values(), 1e-11);
        assert_eq!(fit.rank, 6);
        // Two equal columns share the coefficient.
        let doubled = Matrix::from_fn(5, 2, |row, _| row as f64);
        let fit = least_squares(&doubled, &Matrix::from_fn(5, 1, |row, _| 4.0 * row as f64)).unwrap();
        assert_eq!(fit.rank, 1);
        all_close(fit.solution.values(), &[2.0, 2.0], 1e-13);
        assert!(least_squares(&doubled, &Matrix::zeros(4, 1)).unwrap_err().to_string().contains("5 and 4 rows"));
    }

    #[test]
    fn procrustes_distance_and_canonical_correlations_match_numpy() {
        let Some(case) = Case::open("similarity/cka_cca") else { return };
        let centred = |name: &str| {
            let matrix = case.matrix(name);
            let means: Vec<f64> = (0..matrix.cols()).map(|col| crate::statistics::mean(&matrix.column(col))).collect();
            Matrix::from_fn(matrix.rows(), matrix.cols(), |row, col| matrix[(row, col)] - means[col])
        };
        let (a, b) = (centred("A"), centred("B"));
        let cross = gemm_tn(&thin_svd(&a).unwrap().u, &thin_svd(&b).unwrap().u).unwrap();
        all_close(&thin_svd(&cross).unwrap().values, &case.array("cca").1, 1e-9);
        let unit = |matrix: &Matrix| {
            let norm = matrix.values().iter().map(|value| value * value).sum::<f64>().sqrt();
            matrix.clone().map(|value| value / norm)
        };
        let nuclear: f64 = thin_svd(&gemm_tn(&unit(&a), &unit(&b)).unwrap()).unwrap().values.iter().sum();
        close(2.0 - 2.0 * nuclear, case.number("procrustes"), 1e-9);
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (a, b) = (normal_matrix(4, 260, 120), normal_matrix(5, 260, 7));
        same_on_any_threads(|| {
            let svd = thin_svd(&a).unwrap();
            [svd.u.into_values(), svd.values, svd.v.into_values()].concat()
        });
        same_on_any_threads(|| least_squares(&a, &b).unwrap().solution.into_values());
    }

    #[test]
    fn empty_matrices_have_no_singular_values_and_gaps_are_refused() {
        assert!(thin_svd(&Matrix::zeros(0, 3)).unwrap().values.is_empty());
        assert!(matches!(thin_svd(&Matrix::identity(3).map(|value| value.ln())), Err(ComputeError::NotFinite { .. })));
        assert_eq!(least_squares(&Matrix::zeros(3, 2), &Matrix::zeros(3, 1)).unwrap().rank, 0);
    }
}
