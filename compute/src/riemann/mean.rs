//! Means of covariances.

use rayon::prelude::*;

use super::spectral::{PART, Spectral, congruence, in_parts, require_covariances, require_positive};
use crate::product::{inner, multiply, multiply_add_to};
use crate::{ComputeError, Matrix, MatrixRef};

/// The norm of the mean logarithm at which one more step ends the search: what is left after it is about the square of this. Dimensionless.
const TOLERANCE: f64 = 3e-5;
const ITERATIONS: usize = 100;
const OPERATION: &str = "geometric mean of covariances";

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
    function_of(&average(logarithms.iter(), covariances.len()), f64::exp)
}

/// The affine-invariant mean (of least summed squared distance; Fréchet, Karcher), which is unique, by Newton's method: `X ← X^½ exp(S) X^½`, where
/// `S` makes the mean of `log(X^−½ C X^−½)` zero to first order (Ferreira, Xavier, Costeira & Barroso 2013). `start` only changes how long it takes;
/// the arithmetic mean without it.
///
/// Refuses no matrices, matrices that are not symmetric and positive definite, and ends with an error after 100 steps.
pub fn geometric_mean(covariances: &[&Matrix], start: Option<&Matrix>) -> Result<Matrix, ComputeError> {
    require_covariances(OPERATION, covariances)?;
    let start = match start {
        Some(start) => {
            require_covariances(OPERATION, &[start, covariances[0]])?;
            start.clone()
        }
        None => euclidean_mean(covariances)?,
    };
    search(covariances, start, None)
}

/// Newton's method from `mean`; `first` is the slope there where it is known.
fn search(covariances: &[&Matrix], mut mean: Matrix, mut first: Option<Slope>) -> Result<Matrix, ComputeError> {
    let size = mean.rows();
    let mut spectral = Spectral::new(size);
    for _ in 0..ITERATIONS {
        let (root, whitener) = roots(&mean, &mut spectral)?;
        let slope = match first.take() {
            Some(slope) => slope,
            None => Slope::at(covariances, &whitener)?,
        };
        let norm = inner(slope.logarithm.values(), slope.logarithm.values()).sqrt();
        let step = slope.newton_step(norm)?;
        spectral.decompose(step.values(), true)?;
        let mut change = Matrix::zeros(size, size);
        spectral.add_function(f64::exp, change.values_mut())?;
        let mut half = vec![0.0; size * size];
        congruence(&root, &change, &mut half, mean.values_mut())?;
        symmetrise(&mut mean);
        if norm <= TOLERANCE {
            return Ok(mean);
        }
    }
    Err(ComputeError::NoConvergence { operation: OPERATION, rows: size, columns: size })
}

/// Covariances seen from their own mean: the search for the mean of some of them starts there, with its first step prepared for all. Folds of a
/// cross-validation differ in a few trials and share most of the work.
#[derive(Debug, Clone)]
pub struct SharedStart {
    mean: Matrix,
    /// Of each covariance; empty when that would take more than [`MOST_KEPT`] bytes.
    seen: Vec<Part>,
}

/// The most bytes that a [`SharedStart`] holds.
const MOST_KEPT: usize = 256 << 20;

impl SharedStart {
    /// Refuses what [`geometric_mean`] refuses.
    pub fn around(covariances: &[&Matrix]) -> Result<SharedStart, ComputeError> {
        let mean = geometric_mean(covariances, None)?;
        let size = mean.rows();
        let bytes = 3 * size * size * size_of::<f64>();
        if covariances.len().saturating_mul(bytes) > MOST_KEPT {
            return Ok(SharedStart { mean, seen: Vec::new() });
        }
        let (_, whitener) = roots(&mean, &mut Spectral::new(size))?;
        let parts = in_parts(covariances, |part, spectral, half, whole| {
            let one = |matrix: &&Matrix| {
                let mut seen = Part::new(size);
                seen.take(matrix, &whitener, spectral, half, whole)?;
                Ok(seen)
            };
            part.iter().map(one).collect::<Result<Vec<Part>, ComputeError>>()
        })?;
        Ok(SharedStart { mean, seen: parts.into_iter().flatten().collect() })
    }

    /// The [`geometric_mean`] of those of `covariances`, which this start was made of, at the places `members`.
    ///
    /// Refuses no members, and places beyond the end.
    pub fn geometric_mean(&self, covariances: &[&Matrix], members: &[usize]) -> Result<Matrix, ComputeError> {
        let of = |&place: &usize| {
            let reason = || format!("covariance {place} is asked for; there are {}", covariances.len());
            covariances.get(place).copied().ok_or_else(|| ComputeError::shape(OPERATION, reason()))
        };
        let chosen = members.iter().map(of).collect::<Result<Vec<&Matrix>, ComputeError>>()?;
        require_covariances(OPERATION, &[&chosen[..], &[&self.mean]].concat())?;
        if chosen.is_empty() {
            return Err(ComputeError::shape(OPERATION, "there are no covariances"));
        }
        let seen = members.iter().map(|&place| self.seen.get(place)).collect::<Option<Vec<&Part>>>();
        search(&chosen, self.mean.clone(), seen.map(|seen| Slope::of(&seen)))
    }
}

/// The mean logarithm of whitened covariances, and how it changes when the whitener does.
struct Slope {
    /// The mean of `log(W C W)`.
    logarithm: Matrix,
    n: usize,
    parts: Vec<Part>,
}

/// A part of the covariances.
#[derive(Debug, Clone)]
struct Part {
    /// The sum of their logarithms.
    sum: Matrix,
    /// Eigenvectors of each, as rows.
    vectors: Vec<f64>,
    /// Of each, for every pair of eigenvalues λ, μ: `(δ/2) coth(δ/2)` with `δ = ln λ − ln μ`, at least 1.
    curvatures: Vec<f64>,
}

impl Part {
    fn new(size: usize) -> Part {
        Part { sum: Matrix::zeros(size, size), vectors: Vec::new(), curvatures: Vec::new() }
    }

    /// Adds a covariance; `half` and `whole` are room.
    fn take(
        &mut self,
        matrix: &Matrix,
        whitener: &Matrix,
        spectral: &mut Spectral,
        half: &mut [f64],
        whole: &mut [f64],
    ) -> Result<(), ComputeError> {
        let size = whitener.rows();
        congruence(whitener, matrix, half, whole)?;
        spectral.decompose(whole, true)?;
        require_positive(OPERATION, &spectral.values)?;
        spectral.add_function(f64::ln, self.sum.values_mut())?;
        self.vectors.extend_from_slice(&spectral.vectors);
        let start = self.curvatures.len();
        self.curvatures.resize(start + size * size, 1.0);
        let curvatures = &mut self.curvatures[start..];
        let logarithms: Vec<f64> = spectral.values.iter().map(|value| value.ln()).collect();
        for row in 0..size {
            for column in 0..row {
                let pair = [(spectral.values[row], logarithms[row]), (spectral.values[column], logarithms[column])];
                let curvature = curvature(pair);
                curvatures[row * size + column] = curvature;
                curvatures[column * size + row] = curvature;
            }
        }
        Ok(())
    }
}

impl Slope {
    fn at(covariances: &[&Matrix], whitener: &Matrix) -> Result<Slope, ComputeError> {
        let parts = in_parts(covariances, |part, spectral, half, whole| {
            let mut found = Part::new(whitener.rows());
            part.iter().try_for_each(|matrix| found.take(matrix, whitener, spectral, half, whole))?;
            Ok(found)
        })?;
        let logarithm = average(parts.iter().map(|part| &part.sum), covariances.len());
        Ok(Slope { logarithm, n: covariances.len(), parts })
    }

    /// From covariances that were seen one by one.
    fn of(seen: &[&Part]) -> Slope {
        let together = |part: &[&Part]| {
            let mut found = Part::new(part[0].sum.rows());
            for one in part {
                add(&mut found.sum, 1.0, &one.sum);
                found.vectors.extend_from_slice(&one.vectors);
                found.curvatures.extend_from_slice(&one.curvatures);
            }
            found
        };
        let parts: Vec<Part> = seen.chunks(PART).map(together).collect();
        Slope { logarithm: average(parts.iter().map(|part| &part.sum), seen.len()), n: seen.len(), parts }
    }

    /// The change of the mean logarithm for a step in direction `step`: the mean of `V (h ∘ Vᵀ S V) Vᵀ`, symmetric and positive definite in `S`.
    fn along(&self, step: &Matrix) -> Result<Matrix, ComputeError> {
        let size = step.rows();
        let one = |part: &Part| -> Result<Matrix, ComputeError> {
            let (mut half, mut whole, mut sum) = (vec![0.0; size * size], vec![0.0; size * size], Matrix::zeros(size, size));
            for (vectors, curvatures) in part.vectors.chunks_exact(size * size).zip(part.curvatures.chunks_exact(size * size)) {
                let vectors = MatrixRef::new(size, size, vectors)?;
                multiply(vectors, step.view(), &mut half);
                multiply(MatrixRef::new(size, size, &half)?, vectors.t(), &mut whole);
                whole.iter_mut().zip(curvatures).for_each(|(value, curvature)| *value *= curvature);
                multiply(MatrixRef::new(size, size, &whole)?, vectors, &mut half);
                multiply_add_to(vectors.t(), MatrixRef::new(size, size, &half)?, sum.values_mut());
            }
            Ok(sum)
        };
        let parts = self.parts.par_iter().map(one).collect::<Vec<_>>().into_iter().collect::<Result<Vec<Matrix>, ComputeError>>()?;
        Ok(average(parts.iter(), self.n))
    }

    /// Newton's step by conjugate gradients, as exactly as the distance from the mean makes worth while.
    fn newton_step(&self, norm: f64) -> Result<Matrix, ComputeError> {
        let size = self.logarithm.rows();
        let mut step = Matrix::zeros(size, size);
        let mut rest = self.logarithm.clone();
        let mut direction = rest.clone();
        let mut square = norm * norm;
        let wanted = (norm * norm.min(0.1)).max(1e-9);
        for _ in 0..50 {
            if size == 0 || square.sqrt() <= wanted {
                break;
            }
            let along = self.along(&direction)?;
            let length = square / inner(direction.values(), along.values());
            add(&mut step, length, &direction);
            add(&mut rest, -length, &along);
            let before = std::mem::replace(&mut square, inner(rest.values(), rest.values()));
            let mut next = rest.clone();
            add(&mut next, square / before, &direction);
            direction = next;
        }
        Ok(step)
    }
}

/// `(δ/2) coth(δ/2)` of the difference δ of the logarithms of two eigenvalues, each given with its logarithm: `(δ/2) (λ + μ) / (λ − μ)`.
fn curvature([(first, first_logarithm), (second, second_logarithm)]: [(f64, f64); 2]) -> f64 {
    let half = 0.5 * (first_logarithm - second_logarithm);
    // Near equal eigenvalues the quotient loses its digits; the series is exact there.
    if half.abs() < 1e-3 { 1.0 + half * half / 3.0 } else { half * (first + second) / (first - second) }
}

/// Adds a multiple of a matrix.
fn add(target: &mut Matrix, factor: f64, matrix: &Matrix) {
    target.values_mut().iter_mut().zip(matrix.values()).for_each(|(sum, value)| *sum += factor * value);
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
fn average<'a>(mut parts: impl Iterator<Item = &'a Matrix>, n: usize) -> Matrix {
    let Some(mut sum) = parts.next().cloned() else { return Matrix::zeros(0, 0) };
    parts.for_each(|part| add(&mut sum, 1.0, part));
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
    fn means_from_a_shared_start_are_those_from_anywhere() {
        let all = random_covariances(7, 40, 6);
        let all = refs(&all);
        let start = SharedStart::around(&all).unwrap();
        for members in [(0..40).collect::<Vec<usize>>(), (3..30).collect(), vec![5, 1, 20]] {
            let chosen: Vec<&Matrix> = members.iter().map(|&place| all[place]).collect();
            let found = start.geometric_mean(&all, &members).unwrap();
            all_close(found.values(), geometric_mean(&chosen, None).unwrap().values(), 1e-8);
            let bare = SharedStart { seen: Vec::new(), ..start.clone() };
            all_close(bare.geometric_mean(&all, &members).unwrap().values(), found.values(), 1e-8);
        }
        same_on_any_threads(|| SharedStart::around(&all).unwrap().geometric_mean(&all, &[1, 2, 3]).unwrap().into_values());
        assert!(start.geometric_mean(&all, &[40]).unwrap_err().to_string().contains("covariance 40"));
        assert!(start.geometric_mean(&all, &[]).is_err());
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
        all_close(geometric_mean(&refs(&matrices), Some(&matrices[7])).unwrap().values(), mean.values(), 1e-8);
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
