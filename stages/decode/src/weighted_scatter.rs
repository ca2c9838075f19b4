//! The covariance of linear discriminant analysis for many units: one symmetric product instead of one scatter for each class.
//!
//! Each estimator of this crate is Σ over classes of `weight · scatter + diagonal`. The weight of a class needs the size of its scatter ‖S‖² but not the scatter, and
//! ‖ZᵀZ‖ = ‖ZZᵀ‖ comes from the smaller of both. So the trials minus their class mean, times the root of their class' weight, are
//! laid under each other and multiplied once.

use crate::lda::{Estimator, Shrinkage, is_constant};
use crate::spectral::numerical;
use neuroflow_compute::Matrix;
use neuroflow_compute::parallel::map_in_order;
use neuroflow_compute::product::{gram, gram_of_rows};
use neuroflow_stage::StageError;
use neuroflow_stage::params::Either;

/// What a shrinkage intensity depends on: of centred trials Z with scatter S = ZᵀZ / n.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Spread {
    /// Trials.
    pub(crate) n: f64,
    /// Features.
    pub(crate) p: f64,
    /// Σ over trials of ‖z‖⁴.
    pub(crate) fourth: f64,
    /// ‖S‖².
    pub(crate) square_norm: f64,
    /// tr S.
    pub(crate) trace: f64,
}

impl Spread {
    /// λ of Ledoit & Wolf 2004, with scikit-learn's conventions; 0 when there is nothing to shrink.
    pub(crate) fn ledoit_wolf(self) -> f64 {
        let Spread { n, p, fourth, square_norm, trace } = self;
        let scale = trace / p;
        let beta = (fourth / n - square_norm) / (p * n);
        let delta = (square_norm - 2.0 * scale * trace + p * scale * scale) / p;
        let beta = beta.min(delta);
        if beta == 0.0 || delta == 0.0 || p == 1.0 { 0.0 } else { beta / delta }
    }

    /// λ of the oracle approximating shrinkage (Chen et al. 2010), with scikit-learn's correction of eq. 23.
    pub(crate) fn oracle_approximating(self) -> f64 {
        let Spread { n, p, square_norm, trace, .. } = self;
        let (mean_square, scale) = (square_norm / (p * p), trace / p);
        let denominator = (n + 1.0) * (mean_square - scale * scale / p);
        if p == 1.0 {
            0.0
        } else if denominator == 0.0 {
            1.0
        } else {
            ((mean_square + scale * scale) / denominator).min(1.0)
        }
    }
}

/// One class, ready to be laid under the others.
struct ClassPart {
    mean: Vec<f64>,
    /// Trials minus the mean, times the root of the class' weight `[trial × feature]`.
    rows: Matrix,
    /// What the class adds to the diagonal.
    diagonal: Vec<f64>,
}

/// The class means `[class × feature]` and the shrunk covariance `[feature × feature]`. Every class `0 .. n_classes` needs a trial.
///
/// # Errors
/// When sizes do not fit, which is a mistake of ours.
pub(crate) fn covariance(
    features: &Matrix,
    labels: &[usize],
    n_classes: usize,
    shrinkage: &Shrinkage,
) -> Result<(Matrix, Matrix), StageError> {
    let (n_trials, n_features) = features.shape();
    let mut members = vec![Vec::new(); n_classes];
    labels.iter().enumerate().for_each(|(trial, &label)| members[label].push(trial));
    let parts = map_in_order(n_classes, |class| part(features, &members[class], shrinkage));
    let mut means = Matrix::zeros(n_classes, n_features);
    let mut diagonal = vec![0.0; n_features];
    let mut rows = Vec::with_capacity(n_trials * n_features);
    for (class, part) in parts.into_iter().enumerate() {
        means.row_mut(class).copy_from_slice(&part.mean);
        diagonal.iter_mut().zip(&part.diagonal).for_each(|(sum, value)| *sum += value);
        rows.extend_from_slice(part.rows.values());
    }
    let rows = Matrix::new(n_trials, n_features, rows).map_err(numerical)?;
    let mut covariance = gram(&rows);
    if matches!(shrinkage, Either::Left(Estimator::Pooled {})) {
        let fourth = |inverse: &[f64]| rows.row_iter().map(|row| standardised_length(row, inverse).powi(2)).sum::<f64>();
        shrink_pooled(&mut covariance, n_trials, fourth);
    } else {
        diagonal.iter().enumerate().for_each(|(feature, value)| covariance[(feature, feature)] += value);
    }
    Ok((means, covariance))
}

/// Turns the pooled scatter within classes, Σ r rᵀ over the residuals of `n_trials`, into the covariance that [`Estimator::Pooled`] stands for.
///
/// `fourth(inverse)` gives Σ over trials of (Σ over features of r² · inverse)².
pub(crate) fn shrink_pooled(scatter: &mut Matrix, n_trials: usize, fourth: impl FnOnce(&[f64]) -> f64) {
    let (factor, diagonal) = pooled_weight(scatter, n_trials, fourth);
    scatter.values_mut().iter_mut().for_each(|value| *value *= factor);
    diagonal.iter().enumerate().for_each(|(feature, value)| scatter[(feature, feature)] += value);
}

/// What the pooled scatter counts in that covariance, and what is added to its diagonal; `fourth` as of [`shrink_pooled`].
pub(crate) fn pooled_weight(scatter: &Matrix, n_trials: usize, fourth: impl FnOnce(&[f64]) -> f64) -> (f64, Vec<f64>) {
    let (n, p) = (n_trials as f64, scatter.rows() as f64);
    let variance: Vec<f64> = scatter.diagonal().iter().map(|sum| sum / n).collect();
    let largest = variance.iter().copied().fold(0.0, f64::max);
    // Residuals have mean 0; what is far below every other variance is rounding.
    let square_scale: Vec<f64> = variance.iter().map(|&value| if value > largest * 1e-24 { value } else { 1.0 }).collect();
    let inverse: Vec<f64> = square_scale.iter().map(|square| 1.0 / square).collect();
    let mut square_norm = 0.0;
    for (row, scale) in scatter.row_iter().zip(&inverse) {
        square_norm += scale * row.iter().zip(&inverse).map(|(value, inverse)| value * value * inverse).sum::<f64>();
    }
    let trace: f64 = variance.iter().zip(&inverse).map(|(variance, inverse)| variance * inverse).sum();
    let spread = Spread { n, p, fourth: fourth(&inverse), square_norm: square_norm / (n * n), trace };
    let shrinkage = spread.ledoit_wolf();
    ((1.0 - shrinkage) / n, square_scale.iter().map(|square| shrinkage * (trace / p) * square).collect())
}

/// Σ over features of r² · inverse.
pub(crate) fn standardised_length(residual: &[f64], inverse: &[f64]) -> f64 {
    // Four sums, so that additions need not wait for one another.
    let mut lanes = [0.0; 4];
    let (mut values, mut scales) = (residual.chunks_exact(4), inverse.chunks_exact(4));
    for (value, scale) in (&mut values).zip(&mut scales) {
        for lane in 0..4 {
            lanes[lane] += value[lane] * value[lane] * scale[lane];
        }
    }
    let rest: f64 = values.remainder().iter().zip(scales.remainder()).map(|(value, scale)| value * value * scale).sum();
    (lanes[0] + lanes[1]) + (lanes[2] + lanes[3]) + rest
}

fn part(features: &Matrix, members: &[usize], shrinkage: &Shrinkage) -> ClassPart {
    let n = members.len() as f64;
    let mut rows = features.take_rows(members);
    let mut mean = vec![0.0; rows.cols()];
    rows.row_iter().for_each(|row| mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
    mean.iter_mut().for_each(|sum| *sum /= n);
    let mut variance = vec![0.0; rows.cols()];
    for trial in 0..rows.rows() {
        for ((value, mean), variance) in rows.row_mut(trial).iter_mut().zip(&mean).zip(&mut variance) {
            *value -= mean;
            *variance += *value * *value;
        }
    }
    variance.iter_mut().for_each(|sum| *sum /= n);
    let (weight, diagonal) = weigh(&rows, &variance, &mean, features.rows(), shrinkage);
    let root = weight.max(0.0).sqrt();
    rows.values_mut().iter_mut().for_each(|value| *value *= root);
    ClassPart { mean, rows, diagonal }
}

/// Of one class: what its scatter counts in the covariance, and what it adds to the diagonal.
///
/// `rows` are its trials minus their `mean`, `variance` is that of each feature, `n_trials` how many trials all classes have.
pub(crate) fn weigh(rows: &Matrix, variance: &[f64], mean: &[f64], n_trials: usize, shrinkage: &Shrinkage) -> (f64, Vec<f64>) {
    let (n, p) = (rows.rows() as f64, rows.cols() as f64);
    let n_trials = n_trials as f64;
    let prior = n / n_trials;
    let trace = |inverse: &[f64]| variance.iter().zip(inverse).map(|(variance, inverse)| variance * inverse).sum::<f64>();
    match shrinkage {
        // Pooled: what is shrunk is known when all classes are.
        Either::Left(Estimator::Pooled {}) => (1.0, vec![0.0; rows.cols()]),
        Either::Right(shrinkage) => {
            let scale = trace(&vec![1.0; rows.cols()]) / p;
            ((1.0 - shrinkage) / n_trials, vec![prior * shrinkage * scale; rows.cols()])
        }
        Either::Left(Estimator::Auto {}) => {
            let square_scale: Vec<f64> =
                variance.iter().zip(mean).map(|(&variance, &mean)| if is_constant(n, variance, mean) { 1.0 } else { variance }).collect();
            let inverse: Vec<f64> = square_scale.iter().map(|square| 1.0 / square).collect();
            let roots: Vec<f64> = inverse.iter().map(|inverse| inverse.sqrt()).collect();
            let mut standard = rows.clone();
            (0..standard.rows()).for_each(|trial| standard.row_mut(trial).iter_mut().zip(&roots).for_each(|(value, root)| *value *= root));
            let spread = spread(&standard, trace(&inverse));
            let shrinkage = spread.ledoit_wolf();
            let diagonal = square_scale.iter().map(|square| prior * shrinkage * (spread.trace / p) * square).collect();
            ((1.0 - shrinkage) / n_trials, diagonal)
        }
        Either::Left(Estimator::Oas {}) => {
            let spread = spread(rows, trace(&vec![1.0; rows.cols()]));
            let shrinkage = spread.oracle_approximating();
            ((1.0 - shrinkage) / n_trials, vec![prior * shrinkage * (spread.trace / p); rows.cols()])
        }
    }
}

/// The spread of centred trials.
fn spread(centred: &Matrix, trace: f64) -> Spread {
    let (n_trials, n_features) = centred.shape();
    let n = n_trials as f64;
    let small = if n_trials <= n_features { gram_of_rows(centred) } else { gram(centred) };
    let square_norm = small.values().iter().map(|value| value * value).sum::<f64>() / (n * n);
    let ones = vec![1.0; n_features];
    let fourth = centred.row_iter().map(|row| standardised_length(row, &ones).powi(2)).sum();
    Spread { n, p: n_features as f64, fourth, square_norm, trace }
}
