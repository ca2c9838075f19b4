//! Kernel ridge regression with a Gaussian kernel: a number that is a smooth function of the activity, not a weighted sum of it.
//!
//! `k(x, y) = exp(−‖x − y‖² / 2w²)`, kernel and targets centred on the training trials (scikit-learn's `KernelCenterer` and `KernelRidge(alpha = λ)`), so that
//! the intercept is not penalised. Width and penalty are chosen on folds inside the training trials, for each target by itself: widths of ½, 1, 2 and 4
//! times the median distance of training trials, penalties of whole decades 10⁻⁴ … 10² (Schölkopf & Smola 2002, Learning with Kernels).

use crate::spectral::numerical;
use neuroflow_compute::Matrix;
use neuroflow_compute::geometry::Precision;
use neuroflow_compute::ridge_path::{HeldOut, KernelRidge, cross_validate_kernel};
use neuroflow_compute::statistics::{median, squared_distances};
use neuroflow_data::random::Stream;
use neuroflow_stage::{Auto, StageError};

/// Automatic widths, in median distances.
const WIDTHS: [f64; 4] = [0.5, 1.0, 2.0, 4.0];
/// Folds inside the training trials.
const INNER: usize = 5;

/// How a kernel regression is set.
#[derive(Debug, Clone)]
pub(crate) struct Options<'a> {
    /// w, in median distances of the training trials.
    pub(crate) width: &'a Auto<f64>,
    /// λ.
    pub(crate) penalty: &'a Auto<f64>,
}

/// Predictions `[test trial × target]` of a regression that learned `targets [training trial × target]` from `train [training trial × feature]`.
///
/// Where all training trials are alike nothing is learned: each target's mean is predicted. With fewer training trials than two folds need, the
/// widest kernel and the largest penalty are taken.
///
/// # Errors
/// When distances between trials pass the largest number, or a decomposition fails, which finite input does not reach.
pub(crate) fn predict(
    train: &Matrix,
    targets: &Matrix,
    test: &Matrix,
    options: &Options<'_>,
    stream: &Stream,
) -> Result<Matrix, StageError> {
    let (n, n_targets) = targets.shape();
    let distances = squared_distances(train);
    let pairs: Vec<f64> = (0..n).flat_map(|a| (0..a).map(move |b| (a, b))).map(|pair| distances[pair].sqrt()).collect();
    let unit = if pairs.is_empty() { 0.0 } else { median(&pairs) };
    // Half of the trials alike: the mean distance still tells how far the others are.
    let unit = if unit > 0.0 { unit } else { pairs.iter().sum::<f64>() / pairs.len().max(1) as f64 };
    if !unit.is_finite() {
        return Err(StageError::refused_with_help(
            "the distances between trials pass the largest number, so there is no kernel of them",
            "bring the activity to a smaller scale first, as by `ingest.zscore`",
        ));
    }
    if unit == 0.0 {
        let means: Vec<f64> = (0..n_targets).map(|target| targets.column(target).iter().sum::<f64>() / n.max(1) as f64).collect();
        return Ok(Matrix::from_fn(test.rows(), n_targets, |_, target| means[target]));
    }
    let outside = Matrix::from_fn(test.rows(), n, |row, trial| {
        test.row(row).iter().zip(train.row(trial)).map(|(a, b)| (a - b) * (a - b)).sum::<f64>()
    });
    let widths = match options.width {
        Auto::Given(width) => vec![*width],
        Auto::Auto => WIDTHS.to_vec(),
    };
    let penalties: Vec<f64> = match options.penalty {
        Auto::Given(penalty) => vec![*penalty],
        // The largest first: among equals it wins.
        Auto::Auto => (0..7).map(|step| 10f64.powi(2 - step)).collect(),
    };
    let kernel = |distances: &Matrix, width: f64| distances.clone().map(|square| (-square / (2.0 * (width * unit).powi(2))).exp());
    let mut predicted = Matrix::zeros(test.rows(), n_targets);
    let chosen = chosen(&distances, targets, &widths, &penalties, &kernel, stream)?;
    for (place, &width) in widths.iter().enumerate() {
        let own: Vec<usize> = (0..n_targets).filter(|&target| chosen[target].0 == place).collect();
        if own.is_empty() {
            continue;
        }
        let of_targets: Vec<f64> = own.iter().map(|&target| penalties[chosen[target].1]).collect();
        let part = KernelRidge::fit(&kernel(&distances, width), &targets.take_columns(&own), true)
            .and_then(|fit| fit.predict(&kernel(&outside, width), &of_targets))
            .map_err(numerical)?;
        for row in 0..test.rows() {
            own.iter().enumerate().for_each(|(column, &target)| predicted[(row, target)] = part[(row, column)]);
        }
    }
    Ok(predicted)
}

/// Of each target, the width and the penalty that explain most of what is held out.
fn chosen(
    distances: &Matrix,
    targets: &Matrix,
    widths: &[f64],
    penalties: &[f64],
    kernel: &impl Fn(&Matrix, f64) -> Matrix,
    stream: &Stream,
) -> Result<Vec<(usize, usize)>, StageError> {
    let (n, n_targets) = targets.shape();
    let folds = INNER.min(n / 2);
    if widths.len() * penalties.len() == 1 {
        return Ok(vec![(0, 0); n_targets]);
    }
    if folds < 2 {
        return Ok(vec![(widths.len() - 1, 0); n_targets]);
    }
    let mut fold = vec![0; n];
    stream.clone().permutation(n).into_iter().enumerate().for_each(|(place, trial)| fold[trial] = place % folds);
    let mut best = vec![(f64::NEG_INFINITY, (widths.len() - 1, 0)); n_targets];
    for (place, &width) in widths.iter().enumerate() {
        let scores = cross_validate_kernel(&kernel(distances, width), targets, &fold, penalties, true, Precision::Double);
        let means = scores.map_err(numerical)?.mean(HeldOut::Explained);
        for (target, best) in best.iter_mut().enumerate() {
            for penalty in 0..penalties.len() {
                if means[(penalty, target)] > best.0 {
                    *best = (means[(penalty, target)], (place, penalty));
                }
            }
        }
    }
    Ok(best.into_iter().map(|(_, chosen)| chosen).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn trials(n: usize, seed: u64) -> Matrix {
        let mut stream = Stream::new(seed);
        Matrix::from_fn(n, 3, |_, _| stream.normal())
    }

    fn correlation(found: &Matrix, truth: &Matrix) -> f64 {
        neuroflow_compute::statistics::pearson(&found.column(0), &truth.column(0)).unwrap()
    }

    #[test]
    fn predictions_are_those_of_scikit_learn() {
        // KernelCenterer, then KernelRidge(alpha=0.3, kernel="precomputed") on centred targets; w is the median distance, scikit-learn 1.9.1.
        let x = Matrix::from_fn(12, 2, |trial, unit| ((trial * (unit + 2)) as f64 * 0.7).sin() + 0.1 * trial as f64);
        let y = Matrix::from_fn(12, 1, |trial, _| (trial as f64 * 0.4).cos() * 2.0 + 5.0);
        let test = Matrix::from_fn(3, 2, |trial, unit| 0.3 * trial as f64 - 0.2 * unit as f64);
        let options = Options { width: &Auto::Given(1.0), penalty: &Auto::Given(0.3) };
        let found = predict(&x, &y, &test, &options, &Stream::new(1)).unwrap();
        for (found, expected) in found.values().iter().zip(EXPECTED) {
            assert!((found - expected).abs() < 1e-9, "{found} {expected}");
        }
    }

    const EXPECTED: [f64; 3] = [5.353184096037726, 5.190575436886013, 4.91013236008231];

    #[test]
    fn a_smooth_function_is_found_that_no_weighted_sum_is() {
        let square = |x: &Matrix| Matrix::from_fn(x.rows(), 1, |trial, _| x[(trial, 0)].powi(2) + (2.0 * x[(trial, 1)]).sin());
        let (train, test) = (trials(200, 1), trials(60, 2));
        let auto = Options { width: &Auto::Auto, penalty: &Auto::Auto };
        let found = predict(&train, &square(&train), &test, &auto, &Stream::new(1)).unwrap();
        let r = correlation(&found, &square(&test));
        assert!(r > 0.85, "{r}");
        // On noise nothing is found, and the prediction stays near the mean.
        let mut stream = Stream::new(9);
        let noise = Matrix::from_fn(200, 1, |_, _| stream.normal());
        let found = predict(&train, &noise, &test, &auto, &Stream::new(1)).unwrap();
        assert!(found.values().iter().all(|value| value.abs() < 0.6));
    }

    #[test]
    fn targets_do_not_know_of_each_other_and_degenerate_trials_give_the_mean() {
        let (train, test) = (trials(40, 3), trials(5, 4));
        let targets = Matrix::from_fn(40, 2, |trial, target| if target == 0 { train[(trial, 0)] } else { train[(trial, 1)].powi(2) });
        let auto = Options { width: &Auto::Auto, penalty: &Auto::Auto };
        let both = predict(&train, &targets, &test, &auto, &Stream::new(1)).unwrap();
        for target in 0..2 {
            let alone = predict(&train, &targets.take_columns(&[target]), &test, &auto, &Stream::new(1)).unwrap();
            assert!(both.column(target).iter().zip(alone.values()).all(|(both, alone)| (both - alone).abs() < 1e-9));
        }
        let flat = predict(&Matrix::zeros(4, 3), &targets.take_rows(&[0, 1, 2, 3]), &test, &auto, &Stream::new(1)).unwrap();
        let mean = (0..4).map(|trial| targets[(trial, 0)]).sum::<f64>() / 4.0;
        assert!(flat.column(0).iter().all(|value| (value - mean).abs() < 1e-12));
        let few = predict(&trials(3, 5), &targets.take_rows(&[0, 1, 2]), &test, &auto, &Stream::new(1)).unwrap();
        assert!(few.values().iter().all(|value| value.is_finite()));
        let one = predict(&trials(1, 5), &targets.take_rows(&[0]), &test, &auto, &Stream::new(1)).unwrap();
        assert!(one.column(0).iter().all(|value| *value == targets[(0, 0)]));
    }
}
