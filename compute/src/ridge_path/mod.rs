//! Ridge regression `argmin ‖Y − X W‖² + λ ‖W‖²` for many penalties λ and many targets at once.
//!
//! * [`RidgePath`]: one eigendecomposition, in the space of features or of samples, whichever is smaller, serves every penalty.
//! * [`KernelRidge`]: the same from a kernel, for weighted sums of kernels (banded ridge).
//! * [`cross_validate`], [`cross_validate_kernel`]: held-out scores of every fold, penalty and target. With more features than samples all folds
//!   share one Gram matrix: the residuals of a held-out block `f` are `(P_ff)⁻¹ (P Y)_f` with `P = (K + λ I)⁻¹`, less its part along the constant
//!   when there is an intercept, so that no fold is fitted by itself, and predictions are one product with the targets. With fewer features, folds
//!   share the Gram matrices of their blocks.
//!
//! Penalties are those of scikit-learn's `Ridge(alpha)`. Everything learned (means, scales, weights) is learned on the training side.

mod held_out;
mod preparation;

use rayon::prelude::*;

pub use held_out::{HeldOut, PathScores, cross_validate, cross_validate_kernel};
pub use preparation::Preparation;

use crate::error::finite;
use crate::factor::symmetric_eigen;
use crate::geometry::centred::column_means;
use crate::geometry::strips::{Rows, gram};
use crate::product::{gemm, gemm_tn};
use crate::{ComputeError, Matrix};

const OPERATION: &str = "ridge regression";

/// How features are prepared, on the training side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RidgeOptions {
    /// Whether there is an intercept, which is not penalised.
    pub intercept: bool,
    /// Whether each feature is divided by its standard deviation (of divisor `n`) and held to its range, as [`Preparation`] tells. Means an
    /// intercept too.
    pub standardise: bool,
}

impl RidgeOptions {
    fn centres(self) -> bool {
        self.intercept || self.standardise
    }
}

/// A fit of all penalties.
#[derive(Debug, Clone)]
pub struct RidgePath {
    preparation: Preparation,
    mean_target: Vec<f64>,
    /// `[feature × direction]`: takes prepared features to the directions in which the penalty acts by itself.
    basis: Matrix,
    /// The squared singular value of each direction.
    eigenvalues: Vec<f64>,
    /// `[direction × target]`
    projected: Matrix,
    cut: f64,
}

impl RidgePath {
    /// Decomposes `x [sample × feature]` and projects `y [sample × target]`.
    ///
    /// # Errors
    /// No samples, features or targets, rows that differ in number, values that are not finite.
    pub fn fit(x: &Matrix, y: &Matrix, options: RidgeOptions) -> Result<RidgePath, ComputeError> {
        check(x, y)?;
        let (samples, features) = x.shape();
        let preparation = Preparation::of(x, options);
        let prepared = preparation.apply(x);
        let mean_target = if options.centres() { column_means(y) } else { vec![0.0; y.cols()] };
        let targets = minus(y, &mean_target);
        let (basis, eigenvalues, projected) = if features <= samples {
            let eigen = symmetric_eigen(&gram(&Rows::<f64>::of_columns(&prepared, &vec![0.0; features], 1.0)))?;
            let projected = gemm_tn(&eigen.vectors, &gemm_tn(&prepared, &targets)?)?;
            (eigen.vectors, eigen.values, projected)
        } else {
            let eigen = symmetric_eigen(&gram(&Rows::<f64>::of_rows(&prepared, None, 1.0)))?;
            (gemm_tn(&prepared, &eigen.vectors)?, eigen.values, gemm_tn(&eigen.vectors, &targets)?)
        };
        let cut = cut(&eigenvalues, samples.max(features));
        Ok(RidgePath { preparation, mean_target, basis, eigenvalues, projected, cut })
    }

    /// Weights `[feature × target]` in units of the features as given, and intercepts, for a penalty of each target. With a penalty of 0,
    /// directions without variance have no weight (the solution of least norm). They give what [`RidgePath::predict`] does for features inside
    /// of the range that [`Preparation`] holds them to.
    ///
    /// # Errors
    /// Another number of penalties than targets, one that is negative or not finite.
    pub fn coefficients(&self, penalties: &[f64]) -> Result<(Matrix, Vec<f64>), ComputeError> {
        let mut weights = gemm(&self.basis, &self.shrunk(penalties)?)?;
        for (feature, scale) in self.preparation.scale.iter().enumerate() {
            weights.row_mut(feature).iter_mut().for_each(|weight| *weight /= scale);
        }
        let mut intercepts = self.mean_target.clone();
        for (feature, offset) in self.preparation.offset.iter().enumerate() {
            intercepts.iter_mut().zip(weights.row(feature)).for_each(|(intercept, weight)| *intercept -= offset * weight);
        }
        Ok((weights, intercepts))
    }

    /// Predictions `[sample × target]` for `x [sample × feature]`, with a penalty of each target.
    ///
    /// # Errors
    /// As [`RidgePath::coefficients`]; another number of features, values that are not finite.
    pub fn predict(&self, x: &Matrix, penalties: &[f64]) -> Result<Matrix, ComputeError> {
        if x.cols() != self.preparation.offset.len() {
            return Err(ComputeError::shape(OPERATION, format!("{} features; the fit has {}", x.cols(), self.preparation.offset.len())));
        }
        finite(OPERATION, x.values())?;
        let directions = gemm(&self.preparation.apply(x), &self.basis)?;
        let mut predicted = gemm(&directions, &self.shrunk(penalties)?)?;
        predicted.values_mut().chunks_exact_mut(self.mean_target.len()).for_each(|row| add(row, &self.mean_target));
        Ok(predicted)
    }

    fn shrunk(&self, penalties: &[f64]) -> Result<Matrix, ComputeError> {
        shrunk(&self.projected, &self.eigenvalues, self.cut, penalties)
    }
}

/// A fit of all penalties from a kernel.
#[derive(Debug, Clone)]
pub struct KernelRidge {
    centring: Option<KernelCentring>,
    mean_target: Vec<f64>,
    vectors: Matrix,
    eigenvalues: Vec<f64>,
    projected: Matrix,
    cut: f64,
}

impl KernelRidge {
    /// Decomposes a kernel `[sample × sample]` and projects `y [sample × target]`.
    ///
    /// # Errors
    /// A kernel that is not symmetric or of another size, values that are not finite.
    pub fn fit(kernel: &Matrix, y: &Matrix, intercept: bool) -> Result<KernelRidge, ComputeError> {
        check(kernel, y)?;
        let centring = intercept.then(|| KernelCentring::of(kernel));
        let centred = centring.as_ref().map_or_else(|| kernel.clone(), |centring| centring.inside(kernel));
        let mean_target = if intercept { column_means(y) } else { vec![0.0; y.cols()] };
        let eigen = symmetric_eigen(&centred)?;
        let projected = gemm_tn(&eigen.vectors, &minus(y, &mean_target))?;
        let cut = cut(&eigen.values, kernel.rows());
        Ok(KernelRidge { centring, mean_target, vectors: eigen.vectors, eigenvalues: eigen.values, projected, cut })
    }

    /// Predictions `[new sample × target]` from the kernel of new with training samples `[new sample × sample]`, with a penalty of each target.
    ///
    /// # Errors
    /// As [`RidgePath::predict`].
    pub fn predict(&self, kernel: &Matrix, penalties: &[f64]) -> Result<Matrix, ComputeError> {
        if kernel.cols() != self.vectors.rows() {
            return Err(ComputeError::shape(
                OPERATION,
                format!("a kernel with {} samples; the fit has {}", kernel.cols(), self.vectors.rows()),
            ));
        }
        finite(OPERATION, kernel.values())?;
        let centred = self.centring.as_ref().map_or_else(|| kernel.clone(), |centring| centring.outside(kernel));
        let directions = gemm(&centred, &self.vectors)?;
        let mut predicted = gemm(&directions, &shrunk(&self.projected, &self.eigenvalues, self.cut, penalties)?)?;
        predicted.values_mut().chunks_exact_mut(self.mean_target.len()).for_each(|row| add(row, &self.mean_target));
        Ok(predicted)
    }
}

/// What takes the mean of training samples off a kernel, in the space of its features.
#[derive(Debug, Clone)]
struct KernelCentring {
    /// The mean of each training sample's kernel with all.
    means: Vec<f64>,
    all: f64,
}

impl KernelCentring {
    fn of(kernel: &Matrix) -> KernelCentring {
        let n = kernel.rows() as f64;
        let means: Vec<f64> = kernel.row_iter().map(|row| crate::statistics::sum(row) / n).collect();
        let all = crate::statistics::sum(&means) / n;
        KernelCentring { means, all }
    }

    /// Of training with training samples, exactly symmetric.
    fn inside(&self, kernel: &Matrix) -> Matrix {
        Matrix::from_fn(kernel.rows(), kernel.cols(), |row, col| kernel[(row, col)] - (self.means[row] + self.means[col]) + self.all)
    }

    /// Of new with training samples.
    fn outside(&self, kernel: &Matrix) -> Matrix {
        let own: Vec<f64> = kernel.row_iter().map(|row| crate::statistics::sum(row) / row.len() as f64).collect();
        Matrix::from_fn(kernel.rows(), kernel.cols(), |row, col| kernel[(row, col)] - own[row] - self.means[col] + self.all)
    }
}

fn check(x: &Matrix, y: &Matrix) -> Result<(), ComputeError> {
    if x.rows() != y.rows() {
        return Err(ComputeError::shape(OPERATION, format!("{} samples of features and {} of targets", x.rows(), y.rows())));
    }
    if x.rows() == 0 || x.cols() == 0 || y.cols() == 0 {
        let reason = format!("{} samples of {} features and {} targets; at least one of each is needed", x.rows(), x.cols(), y.cols());
        return Err(ComputeError::shape(OPERATION, reason));
    }
    finite(OPERATION, x.values())?;
    finite(OPERATION, y.values())
}

fn check_penalties(penalties: &[f64]) -> Result<(), ComputeError> {
    match penalties.iter().find(|penalty| !(**penalty >= 0.0 && penalty.is_finite())) {
        Some(wrong) => Err(ComputeError::value(OPERATION, format!("a penalty of {wrong}; it is 0 or above, and finite"))),
        None => Ok(()),
    }
}

fn minus(matrix: &Matrix, offset: &[f64]) -> Matrix {
    let mut less = matrix.clone();
    less.values_mut()
        .par_chunks_mut(offset.len().max(1))
        .for_each(|row| row.iter_mut().zip(offset).for_each(|(value, offset)| *value -= offset));
    less
}

fn add(to: &mut [f64], values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
}

/// Eigenvalues of at most this are directions without variance.
fn cut(eigenvalues: &[f64], size: usize) -> f64 {
    f64::EPSILON * size as f64 * eigenvalues.last().copied().unwrap_or(0.0).max(0.0)
}

/// `1 / (s + λ)`; 0 for a direction without variance that has no penalty.
fn shrinkage(eigenvalue: f64, penalty: f64, cut: f64) -> f64 {
    let eigenvalue = eigenvalue.max(0.0);
    if penalty == 0.0 && eigenvalue <= cut { 0.0 } else { 1.0 / (eigenvalue + penalty) }
}

fn shrunk(projected: &Matrix, eigenvalues: &[f64], cut: f64, penalties: &[f64]) -> Result<Matrix, ComputeError> {
    if penalties.len() != projected.cols() {
        return Err(ComputeError::shape(OPERATION, format!("{} penalties for {} targets", penalties.len(), projected.cols())));
    }
    check_penalties(penalties)?;
    Ok(Matrix::from_fn(projected.rows(), projected.cols(), |direction, target| {
        projected[(direction, target)] * shrinkage(eigenvalues[direction], penalties[target], cut)
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::geometry::Precision;
    use crate::golden::{Case, all_close, close, normal_matrix, same_on_any_threads};
    use crate::product::gemm_nt;
    use crate::statistics::pearson;

    const PLAIN: RidgeOptions = RidgeOptions { intercept: true, standardise: false };

    #[test]
    fn features_of_very_different_sizes_are_no_obstacle() {
        let mut stream = crate::random::Stream::new(5);
        let x = Matrix::from_fn(60, 8, |_, col| 10f64.powi(col as i32 - 4) * (stream.normal() + 50.0));
        let y = Matrix::from_fn(60, 2, |row, target| 1e4 * x[(row, 0)] + target as f64 * 1e-3 * x[(row, 7)] + 0.1 * stream.normal());
        let fold: Vec<usize> = (0..60).map(|row| row * 5 / 60).collect();
        let options = RidgeOptions { intercept: true, standardise: true };
        let scores = cross_validate(&x, &y, &fold, &[1e-3, 1.0], options, Precision::Double).unwrap().mean(HeldOut::Explained);
        assert!(scores.values().iter().all(|r2| *r2 > 0.5), "{scores:?}");
    }

    #[test]
    fn weights_and_predictions_match_scikit_learn_for_tall_and_wide_inputs() {
        for name in ["decode/ridge_tall", "decode/ridge_wide"] {
            let Some(case) = Case::open(name) else { return };
            let (x, y, alphas, fold) = (case.matrix("X"), case.matrix("Y"), case.array("alphas").1, case.labels("fold"));
            let path = RidgePath::fit(&x, &y, PLAIN).unwrap();
            let (coefficients, intercepts) = (case.array("coef").1, case.array("intercept").1);
            let size = x.cols() * y.cols();
            for (place, &alpha) in alphas.iter().enumerate() {
                let (weights, own) = path.coefficients(&[alpha; 3]).unwrap();
                all_close(weights.transposed().values(), &coefficients[place * size..(place + 1) * size], 1e-7);
                all_close(&own, &intercepts[place * 3..(place + 1) * 3], 1e-7);
            }
            let n_folds = fold.iter().max().unwrap() + 1;
            let expected = case.array("cv_pred").1;
            for number in 0..n_folds {
                let side = |inside: bool| (0..x.rows()).filter(|&row| (fold[row] != number) == inside).collect::<Vec<_>>();
                let path = RidgePath::fit(&x.take_rows(&side(true)), &y.take_rows(&side(true)), PLAIN).unwrap();
                for (place, &alpha) in alphas.iter().enumerate() {
                    let predicted = path.predict(&x.take_rows(&side(false)), &[alpha; 3]).unwrap();
                    for (row, sample) in side(false).into_iter().enumerate() {
                        all_close(predicted.row(row), &expected[(place * x.rows() + sample) * 3..][..3], 1e-7);
                    }
                }
            }
        }
    }

    #[test]
    fn standardised_encoding_matches_scikit_learn() {
        let Some(case) = Case::open("more/similarity/ridge_encoding") else { return };
        let (x, y, fold) = (case.matrix("in_X"), case.matrix("in_Y"), case.labels("in_fold"));
        let options = RidgeOptions { intercept: true, standardise: true };
        let expected = case.matrix("out_pred");
        for number in 0..4 {
            let side = |inside: bool| (0..80).filter(|&row| (fold[row] != number) == inside).collect::<Vec<_>>();
            let path = RidgePath::fit(&x.take_rows(&side(true)), &y.take_rows(&side(true)), options).unwrap();
            let predicted = path.predict(&x.take_rows(&side(false)), &[10.0; 6]).unwrap();
            all_close(predicted.values(), expected.take_rows(&side(false)).values(), 1e-9);
        }
        let found = cross_validate(&x, &y, &fold, &[10.0], options, Precision::Double).unwrap();
        let r = case.matrix("out_pearson_fold");
        let single = cross_validate(&x, &y, &fold, &[10.0], options, Precision::Single).unwrap();
        for number in 0..4 {
            for target in 0..6 {
                close(found.of(number, 0, target, HeldOut::Correlation), r[(number, target)], 1e-9);
                close(single.of(number, 0, target, HeldOut::Correlation), r[(number, target)], 1e-5);
            }
        }
    }

    /// Scores of each fold fitted by itself.
    fn by_fold(x: &Matrix, y: &Matrix, fold: &[usize], penalties: &[f64], options: RidgeOptions) -> Vec<[f64; 2]> {
        let n_folds = fold.iter().max().unwrap() + 1;
        let mut scores = Vec::new();
        for number in 0..n_folds {
            let side = |inside: bool| (0..x.rows()).filter(|&row| (fold[row] != number) == inside).collect::<Vec<_>>();
            let path = RidgePath::fit(&x.take_rows(&side(true)), &y.take_rows(&side(true)), options).unwrap();
            for &penalty in penalties {
                let predicted = path.predict(&x.take_rows(&side(false)), &vec![penalty; y.cols()]).unwrap();
                let measured = y.take_rows(&side(false));
                for target in 0..y.cols() {
                    let (p, m) = (predicted.column(target), measured.column(target));
                    let middle = crate::statistics::mean(&m);
                    let squares = |values: Vec<f64>| values.iter().map(|value| value * value).sum::<f64>();
                    let left = squares(p.iter().zip(&m).map(|(p, m)| p - m).collect());
                    let all = squares(m.iter().map(|m| m - middle).collect());
                    scores.push([pearson(&p, &m).unwrap(), 1.0 - left / all]);
                }
            }
        }
        scores
    }

    fn problem(seed: u64, samples: usize, features: usize, targets: usize) -> (Matrix, Matrix, Vec<usize>) {
        let x = normal_matrix(seed, samples, features).map(|value| value + 0.7);
        let weights = normal_matrix(seed + 1, features, targets);
        let noise = normal_matrix(seed + 2, samples, targets);
        let signal = gemm(&x, &weights).unwrap();
        let y = Matrix::from_fn(samples, targets, |row, col| signal[(row, col)] + 2.0 * noise[(row, col)] + 5.0 * col as f64);
        let order = crate::random::Stream::new(seed).permutation(samples);
        let mut fold = vec![0; samples];
        order.into_iter().enumerate().for_each(|(place, sample)| fold[sample] = place % 4);
        (x, y, fold)
    }

    #[test]
    fn every_route_gives_the_scores_of_fitting_each_fold_by_itself() {
        let penalties = [0.3, 4.0, 100.0];
        for (samples, features) in [(30, 50), (31, 6), (40, 29)] {
            let (x, y, fold) = problem(3, samples, features, 5);
            for options in
                [PLAIN, RidgeOptions { intercept: false, standardise: false }, RidgeOptions { intercept: true, standardise: true }]
            {
                let expected = by_fold(&x, &y, &fold, &penalties, options);
                let found = cross_validate(&x, &y, &fold, &penalties, options, Precision::Double).unwrap();
                let single = cross_validate(&x, &y, &fold, &penalties, options, Precision::Single).unwrap();
                for (place, [r, r2]) in expected.iter().enumerate() {
                    close(found.r[place], *r, 1e-8);
                    close(found.r2[place], *r2, 1e-8);
                    close(single.r[place], *r, 1e-4);
                }
                if !options.standardise {
                    let kernel = gemm_nt(&x, &x).unwrap();
                    let found = cross_validate_kernel(&kernel, &y, &fold, &penalties, options.intercept, Precision::Double).unwrap();
                    expected.iter().enumerate().for_each(|(place, [r, _])| close(found.r[place], *r, 1e-7));
                }
            }
        }
    }

    #[test]
    fn without_a_penalty_the_least_norm_solution_is_found() {
        let (x, y, fold) = problem(8, 20, 30, 2);
        let expected = by_fold(&x, &y, &fold, &[0.0], PLAIN);
        let found = cross_validate(&x, &y, &fold, &[0.0], PLAIN, Precision::Double).unwrap();
        expected.iter().enumerate().for_each(|(place, [r, _])| close(found.r[place], *r, 1e-8));
        let (weights, _) =
            RidgePath::fit(&x, &y, RidgeOptions { intercept: false, standardise: false }).unwrap().coefficients(&[0.0; 2]).unwrap();
        let least = crate::factor::least_squares(&x, &y).unwrap().solution;
        all_close(weights.values(), least.values(), 1e-8);
    }

    #[test]
    fn a_kernel_of_features_predicts_as_the_features_do() {
        let (x, y, _) = problem(12, 30, 8, 3);
        let (train, test): (Vec<usize>, Vec<usize>) = ((0..22).collect(), (22..30).collect());
        let (inside, outside) = (x.take_rows(&train), x.take_rows(&test));
        for intercept in [true, false] {
            let options = RidgeOptions { intercept, standardise: false };
            let penalties = [0.5, 2.0, 30.0];
            let expected = RidgePath::fit(&inside, &y.take_rows(&train), options).unwrap().predict(&outside, &penalties).unwrap();
            let kernel = KernelRidge::fit(&gemm_nt(&inside, &inside).unwrap(), &y.take_rows(&train), intercept).unwrap();
            all_close(kernel.predict(&gemm_nt(&outside, &inside).unwrap(), &penalties).unwrap().values(), expected.values(), 1e-9);
        }
    }

    #[test]
    fn constants_score_zero_and_wrong_inputs_are_refused() {
        let (x, _, fold) = problem(4, 20, 30, 1);
        let y = Matrix::from_fn(20, 1, |_, _| 0.3);
        let found = cross_validate(&x, &y, &fold, &[1.0], PLAIN, Precision::Double).unwrap();
        assert_eq!((found.of(0, 0, 0, HeldOut::Correlation), found.of(0, 0, 0, HeldOut::Explained)), (0.0, 0.0));
        let refused =
            |fold: &[usize], penalties: &[f64]| cross_validate(&x, &y, fold, penalties, PLAIN, Precision::Double).unwrap_err().to_string();
        assert!(refused(&fold, &[]).contains("no penalty"));
        assert!(refused(&fold, &[-1.0]).contains("-1"));
        assert!(refused(&[0; 20], &[1.0]).contains("1 folds"));
        let mut gap = vec![0; 20];
        gap[3] = 2;
        assert!(refused(&gap, &[1.0]).contains("fold 1 has no samples"));
        assert!(refused(&fold[1..], &[1.0]).contains("19 samples"));
        let path = RidgePath::fit(&x, &y, PLAIN).unwrap();
        assert!(path.predict(&Matrix::zeros(2, 3), &[1.0]).is_err() && path.coefficients(&[1.0; 2]).is_err());
        assert!(RidgePath::fit(&x, &Matrix::zeros(19, 1), PLAIN).is_err());
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        for features in [60, 12] {
            let (x, y, fold) = problem(5, 50, features, 400);
            for precision in [Precision::Double, Precision::Single] {
                same_on_any_threads(|| cross_validate(&x, &y, &fold, &[0.1, 1.0, 10.0], PLAIN, precision).unwrap().r);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10))]
        #[test]
        fn permuting_samples_and_targets_permutes_the_scores(seed in 0u64..1000) {
            let (x, y, fold) = problem(seed, 24, 30, 3);
            let order = crate::random::Stream::new(seed).permutation(24);
            let moved: Vec<usize> = order.iter().map(|&sample| fold[sample]).collect();
            let one = cross_validate(&x, &y, &fold, &[1.0], PLAIN, Precision::Double).unwrap();
            let other = cross_validate(&x.take_rows(&order), &y.take_rows(&order).take_columns(&[2, 0, 1]), &moved, &[1.0], PLAIN, Precision::Double).unwrap();
            for fold in 0..4 {
                for target in 0..3 {
                    let (one, other) = (one.of(fold, 0, [2, 0, 1][target], HeldOut::Correlation), other.of(fold, 0, target, HeldOut::Correlation));
                    prop_assert!((one - other).abs() < 1e-9);
                }
            }
        }
    }
}
