//! Canonical correlations of two sets of features, and what is made of them: SVCCA and PWCCA.
//!
//! Two routes, chosen by the shapes and the condition of the data alone. Small or ill-conditioned problems go through orthonormal bases by singular
//! values, which loses nothing. Large ones go through the Gram matrices of standardised columns and their Cholesky factors: a third of the work;
//! the error of a correlation is about `ε κ²` with the condition number `κ` of the features, and where that could pass 1e-8 the first route is
//! taken after all.

use faer::MatMut;
use faer::Par;
use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::linalg::svd::{ComputeSvdVectors, svd, svd_scratch};

use super::centred::Centred;
use super::same_samples;
use super::strips::{Rows, cross, gram};
use crate::error::finite;
use crate::factor::{Cholesky, symmetric_eigen, thin_svd};
use crate::product::{gemm, gemm_tn};
use crate::statistics::{mean, sum};
use crate::{ComputeError, Matrix};

/// Columns from which on Gram matrices pay.
const LARGE: usize = 256;

/// Canonical correlations.
#[derive(Debug, Clone, PartialEq)]
pub struct Canonical {
    /// Descending, 0–1; as many as the smaller rank.
    pub correlations: Vec<f64>,
    /// The ranks of both sides.
    pub ranks: [usize; 2],
}

/// Canonical correlations after each side is reduced to its strongest directions (Raghu et al. 2017).
#[derive(Debug, Clone, PartialEq)]
pub struct Svcca {
    /// Descending, 0–1.
    pub correlations: Vec<f64>,
    /// The number of directions kept of each side.
    pub kept: [usize; 2],
}

impl Svcca {
    /// The mean correlation.
    pub fn mean(&self) -> f64 {
        mean(&self.correlations)
    }
}

/// The canonical correlations of `x [sample × feature]` and `y [sample × feature]`; none where a side is constant.
///
/// With as many features as samples they are 1 by construction: keep the sum of the ranks well below the number of samples.
///
/// # Errors
/// Rows that differ in number, fewer than 2 samples, values that are not finite.
pub fn canonical_correlations(x: &Matrix, y: &Matrix) -> Result<Option<Canonical>, ComputeError> {
    let operation = "canonical correlations";
    same_samples(operation, x, y)?;
    let (Some(x), Some(y)) = (Centred::of(operation, x)?, Centred::of(operation, y)?) else { return Ok(None) };
    let smallest = x.matrix().cols().min(y.matrix().cols());
    let tall = x.matrix().rows() > x.matrix().cols() + y.matrix().cols();
    if smallest >= LARGE
        && tall
        && let Some(correlations) = by_cholesky(&x, &y)?
    {
        let ranks = [x.matrix().cols(), y.matrix().cols()];
        return Ok(Some(Canonical { correlations, ranks }));
    }
    let (basis_x, basis_y) = (Basis::of(&x)?, Basis::of(&y)?);
    let correlations = bounded(singular_values(&gemm_tn(&basis_x.u, &basis_y.u)?)?);
    Ok(Some(Canonical { correlations, ranks: [basis_x.values.len(), basis_y.values.len()] }))
}

/// Canonical correlations of the fewest leading directions of each side that hold `share` of its variance; none where a side is constant.
///
/// # Errors
/// As [`canonical_correlations`]; a share outside of 0–1.
pub fn svcca(x: &Matrix, y: &Matrix, share: f64) -> Result<Option<Svcca>, ComputeError> {
    let operation = "svcca";
    same_samples(operation, x, y)?;
    if !(share > 0.0 && share <= 1.0) {
        return Err(ComputeError::value(operation, format!("the share of variance is {share}; it lies above 0 and up to 1")));
    }
    let (Some(x), Some(y)) = (Centred::of(operation, x)?, Centred::of(operation, y)?) else { return Ok(None) };
    let large = x.matrix().cols().min(y.matrix().cols()).min(x.matrix().rows()) >= LARGE;
    // Directions of little variance are not told apart by Gram matrices.
    if large && share <= 0.9999 && x.matrix().rows() >= x.matrix().cols().max(y.matrix().cols()) {
        let (columns_x, columns_y) = (x.columns::<f64>(), y.columns::<f64>());
        let (left, right) = rayon::join(|| leading(&columns_x, share), || leading(&columns_y, share));
        let (left, right) = (left?, right?);
        let kept = [left.cols(), right.cols()];
        let between = gemm(&gemm_tn(&left, &cross(&columns_x, &columns_y))?, &right)?;
        return Ok(Some(Svcca { correlations: bounded(singular_values(&between)?), kept }));
    }
    let (basis_x, basis_y) = (Basis::of(&x)?.leading(share), Basis::of(&y)?.leading(share));
    let kept = [basis_x.values.len(), basis_y.values.len()];
    Ok(Some(Svcca { correlations: bounded(singular_values(&gemm_tn(&basis_x.u, &basis_y.u)?)?), kept }))
}

/// The mean canonical correlation weighted by how much each canonical direction of `x` accounts for `x` (Morcos et al. 2018): weights `Σ_j |⟨h_i,
/// x_j⟩|` over the centred columns `x_j`, `h_i` the unit-norm canonical variates. Not symmetric. None where a side is constant.
///
/// # Errors
/// As [`canonical_correlations`].
pub fn pwcca(x: &Matrix, y: &Matrix) -> Result<Option<f64>, ComputeError> {
    let operation = "pwcca";
    same_samples(operation, x, y)?;
    let (Some(x), Some(y)) = (Centred::of(operation, x)?, Centred::of(operation, y)?) else { return Ok(None) };
    let (basis_x, basis_y) = (Basis::of(&x)?, Basis::of(&y)?);
    let between = thin_svd(&gemm_tn(&basis_x.u, &basis_y.u)?)?;
    // ⟨h_i, x_j⟩ = (Wᵀ S Vᵀ)_ij for the canonical variates U W and X = U S Vᵀ.
    let scaled = Matrix::from_fn(basis_x.values.len(), between.u.cols(), |row, col| between.u[(row, col)] * basis_x.values[row]);
    let loadings = gemm(scaled.t(), basis_x.v.t())?;
    let weights: Vec<f64> = loadings.row_iter().map(|row| sum(&row.iter().map(|value| value.abs()).collect::<Vec<_>>())).collect();
    let all = sum(&weights);
    let weighted: Vec<f64> = between.values.iter().zip(&weights).map(|(value, weight)| value.min(1.0) * weight).collect();
    Ok((all > 0.0).then(|| sum(&weighted) / all))
}

/// Singular values, descending.
///
/// Up to 256 rows or columns by bidiagonalisation. Above that as square roots of the eigenvalues of the smaller Gram matrix, with an absolute error
/// of about 1e-8 of the largest.
///
/// # Errors
/// Values that are not finite.
pub fn singular_values(matrix: &Matrix) -> Result<Vec<f64>, ComputeError> {
    finite("singular values", matrix.values())?;
    let (rows, cols) = matrix.shape();
    let size = rows.min(cols);
    if size == 0 {
        return Ok(Vec::new());
    }
    if size <= LARGE {
        return exact_singular_values(matrix);
    }
    let largest = matrix.values().iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return Ok(vec![0.0; size]);
    }
    let product = if cols <= rows {
        gram(&Rows::<f64>::of_columns(matrix, &vec![0.0; cols], 1.0 / largest))
    } else {
        gram(&Rows::<f64>::of_rows(matrix, None, 1.0 / largest))
    };
    let mut values = eigenvalues(&product)?;
    values.reverse();
    Ok(values.into_iter().map(|value| value.max(0.0).sqrt() * largest).collect())
}

fn exact_singular_values(matrix: &Matrix) -> Result<Vec<f64>, ComputeError> {
    let (rows, cols) = matrix.shape();
    let size = rows.min(cols);
    if size == 0 {
        return Ok(Vec::new());
    }
    let none = ComputeSvdVectors::No;
    let mut values = vec![0.0; size];
    let largest = matrix.values().iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    if largest == 0.0 {
        return Ok(values);
    }
    // Scaled, so that squares of huge values do not overflow.
    let scaled = matrix.clone().map(|value| value / largest);
    let mut memory = MemBuffer::new(svd_scratch::<f64>(rows, cols, none, none, Par::Seq, Default::default()));
    svd(
        scaled.view().faer(),
        DiagMut::from_slice_mut(&mut values),
        None::<MatMut<'_, f64>>,
        None::<MatMut<'_, f64>>,
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| ComputeError::NoConvergence { operation: "singular values", rows, columns: cols })?;
    values.iter_mut().for_each(|value| *value *= largest);
    Ok(values)
}

/// Eigenvalues of a symmetric matrix, ascending.
fn eigenvalues(matrix: &Matrix) -> Result<Vec<f64>, ComputeError> {
    let size = matrix.rows();
    let mut values = vec![0.0; size];
    let mut memory = MemBuffer::new(self_adjoint_evd_scratch::<f64>(size, ComputeEigenvectors::No, Par::Seq, Default::default()));
    self_adjoint_evd(
        matrix.view().faer(),
        DiagMut::from_slice_mut(&mut values),
        None::<MatMut<'_, f64>>,
        Par::Seq,
        MemStack::new(&mut memory),
        Default::default(),
    )
    .map_err(|_| ComputeError::NoConvergence { operation: "eigenvalues", rows: size, columns: size })?;
    Ok(values)
}

/// The sum of the singular values of `XᵀY`, in whichever space is smaller.
pub(super) fn nuclear_norm_of_cross(x: &Matrix, y: &Matrix) -> Result<f64, ComputeError> {
    let values = if x.rows() < x.cols().min(y.cols()) {
        // XᵀY = V_x S_x U_xᵀ U_y S_y V_yᵀ has the singular values of the middle four.
        let (left, right) = (thin_svd(x)?, thin_svd(y)?);
        let between = gemm_tn(&left.u, &right.u)?;
        exact_singular_values(&Matrix::from_fn(between.rows(), between.cols(), |row, col| {
            left.values[row] * between[(row, col)] * right.values[col]
        }))?
    } else {
        exact_singular_values(&gemm_tn(x, y)?)?
    };
    Ok(sum(&values))
}

/// An orthonormal basis of centred columns by singular values.
struct Basis {
    u: Matrix,
    values: Vec<f64>,
    v: Matrix,
}

impl Basis {
    /// Singular values of at most `ε · max(rows, columns)` of the largest count as zero.
    fn of(side: &Centred<'_>) -> Result<Basis, ComputeError> {
        let matrix = side.to_matrix();
        let found = thin_svd(&matrix)?;
        let cut = f64::EPSILON * matrix.rows().max(matrix.cols()) as f64 * found.values.first().copied().unwrap_or(0.0);
        let rank = found.values.iter().filter(|&&value| value > cut).count();
        Ok(Basis { u: found.u, values: found.values, v: found.v }.first(rank))
    }

    fn first(self, count: usize) -> Basis {
        let kept: Vec<usize> = (0..count.min(self.values.len())).collect();
        Basis { u: self.u.take_columns(&kept), v: self.v.take_columns(&kept), values: self.values[..kept.len()].to_vec() }
    }

    fn leading(self, share: f64) -> Basis {
        let squares: Vec<f64> = self.values.iter().map(|value| value * value).collect();
        let count = fewest(&squares, share);
        self.first(count)
    }
}

/// The fewest of descending variances that hold a share of their sum.
fn fewest(variances: &[f64], share: f64) -> usize {
    let all = sum(variances);
    let mut held = 0.0;
    for (count, variance) in variances.iter().enumerate() {
        held += variance;
        if held >= share * all {
            return count + 1;
        }
    }
    variances.len()
}

/// What takes centred columns to unit-norm leading directions: eigenvectors of the Gram matrix divided by the roots of their eigenvalues, `[column
/// × direction]`.
fn leading(columns: &Rows<f64>, share: f64) -> Result<Matrix, ComputeError> {
    let eigen = symmetric_eigen(&gram(columns))?;
    let size = eigen.values.len();
    let descending: Vec<f64> = eigen.values.iter().rev().map(|value| value.max(0.0)).collect();
    let kept = fewest(&descending, share);
    Ok(Matrix::from_fn(size, kept, |row, col| eigen.vectors[(row, size - 1 - col)] / descending[col].sqrt()))
}

/// Correlations by whitening with Cholesky factors of the Gram matrices; none where that could be inexact.
fn by_cholesky(x: &Centred<'_>, y: &Centred<'_>) -> Result<Option<Vec<f64>>, ComputeError> {
    let (columns_x, columns_y) = (x.columns::<f64>(), y.columns::<f64>());
    let factor = |columns: &Rows<f64>| standard_factor(gram(columns));
    let (left, right) = rayon::join(|| factor(&columns_x), || factor(&columns_y));
    let (Some((left, lengths_x)), Some((right, lengths_y))) = (left, right) else { return Ok(None) };
    let mut between = cross(&columns_x, &columns_y);
    for (row, values) in between.values_mut().chunks_exact_mut(lengths_y.len()).enumerate() {
        values.iter_mut().zip(&lengths_y).for_each(|(value, length)| *value /= lengths_x[row] * length);
    }
    let whitened = left.solve_lower(&between)?;
    let whitened = right.solve_lower(&whitened.transposed())?;
    Ok(Some(bounded(singular_values(&whitened)?)))
}

/// The factor of a Gram matrix of unit-norm columns, and the columns' lengths; none where it is singular or nearly so.
fn standard_factor(gram: Matrix) -> Option<(Cholesky, Vec<f64>)> {
    let lengths: Vec<f64> = gram.diagonal().into_iter().map(f64::sqrt).collect();
    if lengths.iter().any(|length| !(*length > 0.0 && length.is_finite())) {
        return None;
    }
    let standard = Matrix::from_fn(gram.rows(), gram.cols(), |row, col| gram[(row, col)] / (lengths[row] * lengths[col]));
    let factor = Cholesky::new(&standard).ok()?;
    // A small pivot is a small distance of a column from those before it: its square bounds what conditioning costs.
    let least = factor.lower().diagonal().into_iter().fold(f64::INFINITY, f64::min);
    (least * least > 1e-7).then_some((factor, lengths))
}

fn bounded(correlations: Vec<f64>) -> Vec<f64> {
    correlations.into_iter().map(|value| value.clamp(0.0, 1.0)).collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix, same_on_any_threads};

    #[test]
    fn correlations_match_numpy_and_scipy() {
        if let Some(case) = Case::open("similarity/cka_cca") {
            let (a, b) = (case.matrix("A"), case.matrix("B"));
            all_close(&canonical_correlations(&a, &b).unwrap().unwrap().correlations, &case.array("cca").1, 1e-9);
            close(svcca(&a, &b, 0.99).unwrap().unwrap().mean(), case.number("svcca"), 1e-9);
        }
        for name in ["small", "tall"] {
            let Some(case) = Case::open(&format!("more/similarity/subspace_{name}")) else { return };
            let (a, b, values) = (case.matrix("in_A"), case.matrix("in_B"), case.expected()["values"].clone());
            let expected = |key: &str| values[key].as_f64().unwrap();
            let found = canonical_correlations(&a, &b).unwrap().unwrap();
            all_close(&found.correlations, &case.array("out_cca").1, 1e-9);
            close(mean(&found.correlations), expected("cca_mean"), 1e-9);
            close(found.correlations.iter().map(|r| r * r).sum(), expected("cca_r2_sum"), 1e-9);
            close(pwcca(&a, &b).unwrap().unwrap(), expected("pwcca_A"), 1e-9);
            close(pwcca(&b, &a).unwrap().unwrap(), expected("pwcca_B"), 1e-9);
            let found = svcca(&a, &b, 0.99).unwrap().unwrap();
            close(found.mean(), expected("svcca"), 1e-9);
            let kept: Vec<usize> = values["svcca_kept"].as_array().unwrap().iter().map(|kept| kept.as_u64().unwrap() as usize).collect();
            assert_eq!(found.kept.to_vec(), kept);
        }
    }

    /// Two sets of features that share directions of known correlation.
    fn planted(seed: u64, rows: usize, cols: usize) -> (Matrix, Matrix) {
        let (shared, noise) = (normal_matrix(seed, rows, cols), normal_matrix(seed + 1, rows, cols));
        let other = Matrix::from_fn(rows, cols, |row, col| shared[(row, col)] + (0.2 + col as f64 * 0.02) * noise[(row, col)]);
        (shared, other)
    }

    #[test]
    fn both_routes_agree_where_columns_are_many() {
        let (x, y) = planted(1, 620, LARGE);
        let (x, y) = (Centred::of("test", &x).unwrap().unwrap(), Centred::of("test", &y).unwrap().unwrap());
        let exact = exact_singular_values(&gemm_tn(&Basis::of(&x).unwrap().u, &Basis::of(&y).unwrap().u).unwrap()).unwrap();
        all_close(&by_cholesky(&x, &y).unwrap().unwrap(), &exact, 1e-9);
        all_close(&by_cholesky(&x, &x).unwrap().unwrap(), &[1.0; LARGE], 1e-9);
        // A column twice is no case for the fast route.
        let twice = Matrix::from_fn(620, LARGE, |row, col| x.matrix()[(row, col.max(1))]);
        assert!(by_cholesky(&Centred::of("test", &twice).unwrap().unwrap(), &y).unwrap().is_none());
    }

    #[test]
    fn svcca_by_gram_matrices_is_svcca_by_singular_values() {
        let (x, y) = planted(9, 400, LARGE + 10);
        let fast = svcca(&x, &y, 0.9).unwrap().unwrap();
        let (x, y) = (Centred::of("test", &x).unwrap().unwrap(), Centred::of("test", &y).unwrap().unwrap());
        let (left, right) = (Basis::of(&x).unwrap().leading(0.9), Basis::of(&y).unwrap().leading(0.9));
        assert_eq!(fast.kept, [left.values.len(), right.values.len()]);
        let exact = exact_singular_values(&gemm_tn(&left.u, &right.u).unwrap()).unwrap();
        all_close(&fast.correlations, &exact, 1e-9);
    }

    #[test]
    fn singular_values_of_large_matrices_are_those_of_the_small_route() {
        let matrix = normal_matrix(4, LARGE + 20, LARGE + 3).map(|value| value * 1e180);
        all_close(&singular_values(&matrix).unwrap(), &exact_singular_values(&matrix).unwrap(), 1e-10);
        assert_eq!(singular_values(&Matrix::zeros(300, 300)).unwrap(), vec![0.0; 300]);
        assert!(singular_values(&Matrix::zeros(0, 3)).unwrap().is_empty());
    }

    #[test]
    fn constants_repeats_and_wide_inputs_have_their_known_values() {
        let x = normal_matrix(6, 40, 3);
        assert_eq!(canonical_correlations(&x, &Matrix::zeros(40, 2)).unwrap(), None);
        let twice = x.take_columns(&[0, 0, 1]);
        let found = canonical_correlations(&twice, &x).unwrap().unwrap();
        assert_eq!(found.ranks, [2, 3]);
        all_close(&found.correlations, &[1.0, 1.0], 1e-10);
        // As many features as samples: 1 by construction.
        let wide = canonical_correlations(&normal_matrix(7, 6, 9), &normal_matrix(8, 6, 9)).unwrap().unwrap();
        all_close(&wide.correlations, &[1.0; 5], 1e-9);
        assert!(svcca(&x, &x, 1.5).is_err() && canonical_correlations(&x, &normal_matrix(1, 39, 2)).is_err());
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (x, y) = planted(20, 600, LARGE);
        same_on_any_threads(|| canonical_correlations(&x, &y).unwrap().unwrap().correlations);
        same_on_any_threads(|| svcca(&x, &y, 0.95).unwrap().unwrap().correlations);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(12))]
        #[test]
        fn an_invertible_map_of_the_features_changes_no_correlation(seed: u64) {
            let (x, y) = (normal_matrix(seed, 50, 4), normal_matrix(seed.wrapping_add(1), 50, 6));
            let mixed = gemm(&x, &normal_matrix(seed.wrapping_add(2), 4, 4)).unwrap().map(|value| value + 5.0);
            let one = canonical_correlations(&x, &y).unwrap().unwrap().correlations;
            let other = canonical_correlations(&mixed, &y).unwrap().unwrap().correlations;
            prop_assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-7));
        }
    }
}
