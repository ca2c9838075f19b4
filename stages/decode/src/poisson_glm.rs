//! Poisson regression: the logarithm of the mean count is linear in the features.
//!
//! The problem of scikit-learn's `PoissonRegressor(alpha)`: mean over trials of (μ − y ln μ) + ½ α ‖w‖² is least, with μ = exp(x·w + b) and b free (McCullagh & Nelder 1989). It is
//! convex; L-BFGS starts from the best constant. `auto` takes the penalty of 10², 10¹·⁵, … 10⁻⁴ with the least deviance on folds inside the training trials;
//! among equals the larger wins.

use crate::folds::Folds;
use crate::spectral::numerical;
use neuroflow_compute::optimise::{Lbfgs, Stop};
use neuroflow_compute::product::gemm_into;
use neuroflow_compute::{Matrix, MatrixRef};
use neuroflow_data::random::Stream;
use neuroflow_stage::{Auto, Context, StageError};

/// The grid of an automatic penalty, the largest first.
fn grid() -> impl Iterator<Item = f64> {
    (0..13).map(|step| 10f64.powf(2.0 - 0.5 * f64::from(step)))
}

/// Inner fits choose between half decades, which needs no more than this.
const INNER_TOLERANCE: f64 = 1e-5;

/// How the fit is done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// Folds inside the training trials for an automatic penalty.
    pub(crate) inner: usize,
    /// The largest entry of the gradient at the end.
    pub(crate) tolerance: f64,
    /// The largest number of steps.
    pub(crate) steps: usize,
}

/// A fitted Poisson regression.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct PoissonGlm {
    pub(crate) weights: Vec<f64>,
    pub(crate) intercept: f64,
}

impl PoissonGlm {
    /// Fits counts `[trial]` on features `[trial × feature]`.
    ///
    /// # Errors
    /// When counts are negative or all 0, an automatic penalty has too few trials, the fit does not converge, or the work was cancelled.
    pub(crate) fn fit(
        features: &Matrix,
        counts: &[f64],
        penalty: &Auto<f64>,
        options: &Options,
        stream: &Stream,
        context: &Context,
    ) -> Result<PoissonGlm, StageError> {
        if let Some(trial) = counts.iter().position(|count| *count < 0.0) {
            return Err(StageError::refused_with_help(
                format!("`model = poisson` predicts counts, which are never negative; the target of a training trial is {}", counts[trial]),
                "use `model = ridge`, or a target of counts",
            ));
        }
        if counts.iter().all(|count| *count == 0.0) {
            return Err(StageError::refused_with_help(
                "the target is 0 in all training trials of a fold: its rate can't be fitted",
                "choose fewer folds, or a target with more counts",
            ));
        }
        let penalty = match penalty {
            Auto::Given(penalty) => *penalty,
            Auto::Auto => choose_penalty(features, counts, options, stream, context)?,
        };
        let start = constant(features.cols(), counts);
        let (weights, done) = minimise(features, counts, penalty, start, options.tolerance, options.steps, context)?;
        if !done {
            return Err(StageError::refused_with_help(
                format!("Poisson regression is not done after {} steps", options.steps),
                "scale the features (`scale = zscore`), penalise more, or allow more `steps` or a larger `tolerance`",
            ));
        }
        Ok(PoissonGlm::of(weights))
    }

    fn of(mut weights: Vec<f64>) -> PoissonGlm {
        let intercept = weights.pop().unwrap_or(0.0);
        PoissonGlm { weights, intercept }
    }

    /// The mean count of a trial.
    pub(crate) fn mean(&self, features: &[f64]) -> f64 {
        let score: f64 = features.iter().zip(&self.weights).map(|(value, weight)| value * weight).sum();
        // The exponent of the largest number there is.
        (score + self.intercept).clamp(-700.0, 700.0).exp()
    }
}

/// 2 Σ (y ln(y / μ) − y + μ) of one count.
pub(crate) fn deviance(count: f64, mean: f64) -> f64 {
    let log = if count > 0.0 { count * (count / mean).ln() } else { 0.0 };
    2.0 * (log - count + mean)
}

/// Weights of 0 and the logarithm of the mean count.
fn constant(n_features: usize, counts: &[f64]) -> Vec<f64> {
    let mean = counts.iter().sum::<f64>() / counts.len().max(1) as f64;
    let mut start = vec![0.0; n_features];
    start.push(mean.ln());
    start
}

fn choose_penalty(features: &Matrix, counts: &[f64], options: &Options, stream: &Stream, context: &Context) -> Result<f64, StageError> {
    let n_folds = options.inner.min(counts.len());
    if n_folds < 2 {
        return Err(StageError::refused_with_help("`penalty = auto` needs at least 2 training trials", "give a number"));
    }
    let folds = Folds::stratified(&vec![0; counts.len()], 1, n_folds, stream.split("penalty").seed());
    let mut deviances = vec![0.0; grid().count()];
    for fold in 0..n_folds {
        let (train, test) = (folds.train(fold), folds.test(fold));
        let own = features.take_rows(&train);
        let of_train: Vec<f64> = train.iter().map(|&trial| counts[trial]).collect();
        if of_train.iter().all(|count| *count == 0.0) {
            continue;
        }
        let mut start = constant(own.cols(), &of_train);
        for (sum, penalty) in deviances.iter_mut().zip(grid()) {
            context.cancel.check()?;
            let tolerance = options.tolerance.max(INNER_TOLERANCE);
            (start, _) = minimise(&own, &of_train, penalty, start, tolerance, options.steps, context)?;
            let fitted = PoissonGlm::of(start.clone());
            *sum += test.iter().map(|&trial| deviance(counts[trial], fitted.mean(features.row(trial)))).sum::<f64>();
        }
    }
    let best = (1..deviances.len()).fold(0, |best, place| if deviances[place] < deviances[best] { place } else { best });
    Ok(grid().nth(best).unwrap_or(1.0))
}

/// The weights and intercept at the minimum, and whether it was reached.
fn minimise(
    features: &Matrix,
    counts: &[f64],
    penalty: f64,
    start: Vec<f64>,
    tolerance: f64,
    steps: usize,
    context: &Context,
) -> Result<(Vec<f64>, bool), StageError> {
    let n_features = features.cols();
    let per_trial = 1.0 / counts.len().max(1) as f64;
    let mut scores = Matrix::zeros(counts.len(), 1);
    let mut slopes = Matrix::zeros(n_features, 1);
    let mut value = |point: &[f64], gradient: &mut [f64]| -> Result<f64, StageError> {
        let (weights, intercept) = point.split_at(n_features);
        gemm_into(features, MatrixRef::new(n_features, 1, weights).map_err(numerical)?, scores.values_mut()).map_err(numerical)?;
        let mut value = 0.5 * penalty * weights.iter().map(|weight| weight * weight).sum::<f64>();
        let mut of_intercept = 0.0;
        for (score, count) in scores.values_mut().iter_mut().zip(counts) {
            let linear = *score + intercept[0];
            let mean = linear.exp();
            value += per_trial * (mean - count * linear);
            *score = per_trial * (mean - count);
            of_intercept += *score;
        }
        gemm_into(features.t(), &scores, slopes.values_mut()).map_err(numerical)?;
        for ((slope, weight), data) in gradient.iter_mut().zip(weights).zip(slopes.values()) {
            *slope = penalty * weight + data;
        }
        gradient[n_features] = of_intercept;
        Ok(value)
    };
    let optimiser = Lbfgs { gradient_tolerance: tolerance, iterations: steps, ..Lbfgs::default() };
    let objective = |point: &[f64], gradient: &mut [f64]| {
        // A value that is not finite ends the search soon; whether the work was cancelled is asked below.
        if context.cancel.is_cancelled() { f64::NAN } else { value(point, gradient).unwrap_or(f64::NAN) }
    };
    let found = optimiser.minimise(start, objective);
    context.cancel.check()?;
    let found = found.map_err(numerical)?;
    // A search that ends for want of precision is as near as numbers of this size allow.
    Ok((found.x, found.stop != Stop::Iterations))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::all_close;

    const EXACT: Options = Options { inner: 4, tolerance: 1e-10, steps: 10_000 };

    fn planted(seed: u64, n: usize) -> (Matrix, Vec<f64>) {
        let mut stream = Stream::new(seed);
        let x = Matrix::from_fn(n, 3, |_, _| stream.normal());
        let y = x.row_iter().map(|row| stream.poisson((0.8 + 0.6 * row[0] - 0.4 * row[1]).exp()) as f64).collect();
        (x, y)
    }

    #[test]
    fn planted_weights_are_found_and_the_slope_at_the_answer_is_none() {
        let (x, y) = planted(3, 2000);
        let fitted = PoissonGlm::fit(&x, &y, &Auto::Given(1e-3), &EXACT, &Stream::new(0), &Context::quiet(0)).unwrap();
        all_close(&fitted.weights, &[0.6, -0.4, 0.0], 0.06);
        assert!((fitted.intercept - 0.8).abs() < 0.06);
        // ∂/∂w of the mean loss, independently.
        for feature in 0..3 {
            let data: f64 = x.row_iter().zip(&y).map(|(row, count)| (fitted.mean(row) - count) * row[feature]).sum::<f64>() / 2000.0;
            assert!((data + 1e-3 * fitted.weights[feature]).abs() < 1e-8);
        }
        let residual: f64 = x.row_iter().zip(&y).map(|(row, count)| fitted.mean(row) - count).sum();
        assert!(residual.abs() < 1e-5, "{residual}");
    }

    #[test]
    fn an_automatic_penalty_is_strong_where_there_is_nothing_to_learn() {
        let mut stream = Stream::new(2);
        let (x, signal) = planted(5, 80);
        let noise: Vec<f64> = (0..80).map(|_| stream.poisson(2.0) as f64).collect();
        let chosen = |counts: &[f64]| choose_penalty(&x, counts, &EXACT, &Stream::new(1), &Context::quiet(0)).unwrap();
        assert!(chosen(&noise) >= 30.0 * chosen(&signal), "{} {}", chosen(&noise), chosen(&signal));
    }

    #[test]
    fn deviance_is_zero_at_the_truth_and_impossible_targets_are_refused() {
        assert_eq!((deviance(3.0, 3.0), deviance(0.0, 2.0)), (0.0, 4.0));
        let fit = |counts: &[f64]| {
            let x = Matrix::from_fn(counts.len(), 1, |trial, _| trial as f64);
            PoissonGlm::fit(&x, counts, &Auto::Given(1.0), &EXACT, &Stream::new(0), &Context::quiet(0)).unwrap_err().to_string()
        };
        assert!(fit(&[1.0, -2.0]).contains("the target of a training trial is -2"));
        assert!(fit(&[0.0, 0.0]).contains("0 in all training trials"));
    }
}
