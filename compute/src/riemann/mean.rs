//! Means of covariances.

use super::spectral::{Spectral, congruence, in_parts, require_covariances, require_positive};
use crate::{ComputeError, Matrix};

/// The norm of the mean logarithm at which the search for the mean is over; dimensionless.
const TOLERANCE: f64 = 1e-9;
const ITERATIONS: usize = 100;

/// The arithmetic mean, element by element. Refuses no matrices, and sizes that differ.
pub fn euclidean_mean(covariances: &[&Matrix]) -> Result<Matrix, ComputeError> {
    let Some(first) = covariances.first() else { return Err(ComputeError::shape("mean covariance", "there are no covariances")) };
    let mut mean = Matrix::zeros(first.rows(), first.cols());
    for matrix in covariances {
        if matrix.shape() != first.shape() {
            let reason = format!("a matrix is {:?}, the first {:?}", matrix.shape(), first.shape());
            return Err(ComputeError::shape("mean covariance", reason));
        }
        mean.values_mut().iter_mut().zip(matrix.values()).for_each(|(sum, value)| *sum += value);
    }
    Ok(mean.map(|value| value / covariances.len() as f64))
}

/// `exp` of the mean logarithm (Arsigny et al. 2007): not affine-invariant, in one pass. Refuses matrices that are not positive definite.
pub fn log_euclidean_mean(covariances: &[&Matrix]) -> Result<Matrix, ComputeError> {
    let size = require_covariances("log-Euclidean mean", covariances)?;
    let logarithms = in_parts(covariances, |part, spectral, _, _| {
        let mut sum = Matrix::zeros(size, size);
        for matrix in part {
            spectral.decompose(matrix.values(), true)?;
            require_positive("log-Euclidean mean", &spectral.values)?;
            spectral.add_function(f64::ln, sum.values_mut())?;
        }
        Ok(sum)
    })?;
    function_of(&average(logarithms, covariances.len()), f64::exp)
}

/// The affine-invariant mean (of least summed squared distance; Fréchet, Karcher): unique, by the fixed-point iteration `X ← X^½ exp(mean log(X^−½ C X^−½)) X^½`
/// (Fletcher & Joshi 2004), halving the step where it does not come nearer. `start` only changes how long it takes; the arithmetic mean without it.
///
/// Refuses no matrices, matrices that are not symmetric and positive definite, and ends with an error after 100 steps.
pub fn geometric_mean(covariances: &[&Matrix], start: Option<&Matrix>) -> Result<Matrix, ComputeError> {
    let operation = "geometric mean of covariances";
    let size = require_covariances(operation, covariances)?;
    let mut mean = match start {
        Some(start) => {
            require_covariances(operation, &[start, covariances[0]])?;
            start.clone()
        }
        None => euclidean_mean(covariances)?,
    };
    let mut spectral = Spectral::new(size);
    let (mut step, mut before) = (1.0, f64::INFINITY);
    for _ in 0..ITERATIONS {
        let (root, whitener) = roots(&mean, &mut spectral)?;
        let logarithm = mean_logarithm(covariances, &whitener)?;
        let norm = crate::product::inner(logarithm.values(), logarithm.values()).sqrt();
        if norm >= before {
            step *= 0.5;
        }
        before = norm;
        spectral.decompose(logarithm.values(), true)?;
        let mut change = Matrix::zeros(size, size);
        spectral.add_function(|value| (step * value).exp(), change.values_mut())?;
        let mut half = vec![0.0; size * size];
        congruence(&root, &change, &mut half, mean.values_mut())?;
        symmetrise(&mut mean);
        // The last step was taken too: what remains is smaller by another factor.
        if norm <= TOLERANCE {
            return Ok(mean);
        }
    }
    Err(ComputeError::NoConvergence { operation, rows: size, columns: size })
}

/// The mean of `log(W C W)`.
pub(super) fn mean_logarithm(covariances: &[&Matrix], whitener: &Matrix) -> Result<Matrix, ComputeError> {
    let size = whitener.rows();
    let logarithms = in_parts(covariances, |part, spectral, half, whole| {
        let mut sum = Matrix::zeros(size, size);
        for matrix in part {
            congruence(whitener, matrix, half, whole)?;
            spectral.decompose(whole, true)?;
            require_positive("geometric mean of covariances", &spectral.values)?;
            spectral.add_function(f64::ln, sum.values_mut())?;
        }
        Ok(sum)
    })?;
    Ok(average(logarithms, covariances.len()))
}

/// `X^½` and `X^−½`.
pub(super) fn roots(matrix: &Matrix, spectral: &mut Spectral) -> Result<(Matrix, Matrix), ComputeError> {
    let size = matrix.rows();
    spectral.decompose(matrix.values(), true)?;
    require_positive("square root of a covariance", &spectral.values)?;
    let (mut root, mut whitener) = (Matrix::zeros(size, size), Matrix::zeros(size, size));
    spectral.add_function(f64::sqrt, root.values_mut())?;
    spectral.add_function(|value| 1.0 / value.sqrt(), whitener.values_mut())?;
    symmetrise(&mut root);
    symmetrise(&mut whitener);
    Ok((root, whitener))
}

/// The sum of the parts, in their order, divided by `n` and made exactly symmetric.
fn average(parts: Vec<Matrix>, n: usize) -> Matrix {
    let mut parts = parts.into_iter();
    let Some(mut sum) = parts.next() else { return Matrix::zeros(0, 0) };
    for part in parts {
        sum.values_mut().iter_mut().zip(part.values()).for_each(|(sum, value)| *sum += value);
    }
    let mut mean = sum.map(|value| value / n as f64);
    symmetrise(&mut mean);
    mean
}

fn function_of(matrix: &Matrix, function: impl Fn(f64) -> f64) -> Result<Matrix, ComputeError> {
    let size = matrix.rows();
    let (mut spectral, mut result) = (Spectral::new(size), Matrix::zeros(size, size));
    spectral.decompose(matrix.values(), true)?;
    spectral.add_function(function, result.values_mut())?;
    symmetrise(&mut result);
    Ok(result)
}

/// Replaces each pair across the diagonal by its mean.
pub(super) fn symmetrise(matrix: &mut Matrix) {
    for row in 0..matrix.rows() {
        for column in 0..row {
            let mean = 0.5 * (matrix[(row, column)] + matrix[(column, row)]);
            matrix[(row, column)] = mean;
            matrix[(column, row)] = mean;
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::super::CovarianceEstimator;
    use super::super::covariance::tests::{covariances, reference};
    use super::*;
    use crate::golden::{all_close, normal_matrix, same_on_any_threads};
    use crate::product::{gemm, gemm_nt, gram_of_rows};
    use proptest::prelude::*;

    /// Positive definite matrices from a seed.
    pub(crate) fn random_covariances(seed: u64, n: usize, size: usize) -> Vec<Matrix> {
        (0..n as u64)
            .map(|number| gram_of_rows(&normal_matrix(1000 * seed + number, size, 2 * size + 3)).map(|value| value / 9.0))
            .collect()
    }

    pub(crate) fn refs(matrices: &[Matrix]) -> Vec<&Matrix> {
        matrices.iter().collect()
    }

    #[test]
    fn means_are_those_of_pyriemann() {
        let Some((case, trials, _)) = reference() else { return };
        let shrunk = covariances(&trials, CovarianceEstimator::OracleApproximating);
        all_close(geometric_mean(&refs(&shrunk), None).unwrap().values(), case.matrix("riemann_mean").values(), 1e-7);
        // pyriemann 0.12: mean_logeuclid of the same matrices, first row. What the case stores under that name is the other mean again.
        let expected = [13.727_869_22, 5.813_262_11, 6.477_540_40, -11.673_865_34, 10.818_206_90, -0.940_135_80];
        all_close(log_euclidean_mean(&refs(&shrunk)).unwrap().row(0), &expected, 1e-8);
    }

    #[test]
    fn of_two_matrices_the_mean_is_the_middle_of_the_geodesic() {
        let pair = random_covariances(1, 2, 4);
        let mut spectral = Spectral::new(4);
        let (root, whitener) = roots(&pair[0], &mut spectral).unwrap();
        let inside = gemm(&gemm(&whitener, &pair[1]).unwrap(), &whitener).unwrap();
        let middle = function_of(&inside, f64::sqrt).unwrap();
        let expected = gemm(&gemm(&root, &middle).unwrap(), &root).unwrap();
        all_close(geometric_mean(&refs(&pair), None).unwrap().values(), expected.values(), 1e-9);
    }

    #[test]
    fn of_commuting_matrices_both_means_are_those_of_the_diagonals() {
        let diagonal = |values: [f64; 3]| Matrix::from_fn(3, 3, |row, column| if row == column { values[row] } else { 0.0 });
        let matrices = [diagonal([1.0, 4.0, 9.0]), diagonal([100.0, 1.0, 1.0]), diagonal([10.0, 2.0, 3.0])];
        let expected = diagonal([10.0, 2.0, 3.0]);
        all_close(geometric_mean(&refs(&matrices), None).unwrap().values(), expected.values(), 1e-9);
        all_close(log_euclidean_mean(&refs(&matrices)).unwrap().values(), expected.values(), 1e-12);
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(20))]
        #[test]
        fn mixing_channels_mixes_the_mean_and_order_does_not_matter(seed in 0u64..1000) {
            let matrices = random_covariances(seed, 7, 4);
            let mixing = normal_matrix(seed + 5000, 4, 4);
            let mixed: Vec<Matrix> = matrices.iter().rev()
                .map(|matrix| { let mut mixed = gemm_nt(&gemm(&mixing, matrix).unwrap(), &mixing).unwrap(); symmetrise(&mut mixed); mixed })
                .collect();
            let mean = geometric_mean(&refs(&matrices), None).unwrap();
            let expected = gemm_nt(&gemm(&mixing, &mean).unwrap(), &mixing).unwrap();
            let found = geometric_mean(&refs(&mixed), None).unwrap();
            let scale = expected.values().iter().fold(0.0f64, |scale, value| scale.max(value.abs()));
            for (found, expected) in found.values().iter().zip(expected.values()) {
                prop_assert!((found - expected).abs() < 1e-7 * scale);
            }
        }
    }

    #[test]
    fn the_start_scale_and_threads_do_not_matter() {
        let matrices = random_covariances(3, 50, 8);
        let mean = geometric_mean(&refs(&matrices), None).unwrap();
        all_close(geometric_mean(&refs(&matrices), Some(&matrices[7])).unwrap().values(), mean.values(), 1e-9);
        let tiny: Vec<Matrix> = matrices.iter().map(|matrix| matrix.clone().map(|value| value * 1e-12)).collect();
        let back = geometric_mean(&refs(&tiny), None).unwrap().map(|value| value * 1e12);
        all_close(back.values(), mean.values(), 1e-9);
        same_on_any_threads(|| geometric_mean(&refs(&matrices), None).unwrap().into_values());
        same_on_any_threads(|| log_euclidean_mean(&refs(&matrices)).unwrap().into_values());
    }

    #[test]
    fn singular_odd_and_missing_matrices_are_refused() {
        let singular = gram_of_rows(&normal_matrix(1, 5, 3));
        let means: [fn(&[&Matrix]) -> Result<Matrix, ComputeError>; 2] = [|matrices| geometric_mean(matrices, None), log_euclidean_mean];
        for mean in means {
            assert!(mean(&[&singular]).unwrap_err().to_string().contains("5 channels is not positive definite"));
            assert!(mean(&[]).is_err() && mean(&[&Matrix::identity(2), &Matrix::identity(3)]).is_err());
            assert!(mean(&[&Matrix::identity(2).map(|_| f64::NAN)]).is_err());
            all_close(mean(&[&Matrix::identity(3)]).unwrap().values(), Matrix::identity(3).values(), 1e-12);
        }
        assert!(euclidean_mean(&[]).is_err() && euclidean_mean(&[&Matrix::identity(2), &Matrix::identity(3)]).is_err());
    }
}
