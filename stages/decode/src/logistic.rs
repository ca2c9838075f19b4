//! Logistic regression with an L2 penalty.
//!
//! The numbers are those of scikit-learn's `LogisticRegression(C)`: `½‖W‖² + C Σ loss` is least, the intercept is not penalised. More than two classes
//! share one softmax with a weight vector each; two classes share one sigmoid with a single weight vector, which halves the penalty of the
//! corresponding softmax. The optimiser is L-BFGS, and the problem is strictly convex, so that the answer does not depend on the start.
//!
//! `strength = auto` searches 10⁻⁴ … 10⁴ in decades by the mean log loss of stratified folds inside the training trials; among equals the stronger
//! penalty wins. Each fit along the grid starts from the one before.

use crate::folds::Folds;
use crate::linear::{LinearClassifier, softmax};
use crate::spectral::numerical;
use crate::target::count;
use neuroflow_compute::optimise::{Lbfgs, Stop};
use neuroflow_compute::product::gemm_into;
use neuroflow_compute::{Matrix, MatrixRef};
use neuroflow_data::random::Stream;
use neuroflow_stage::{Auto, Context, StageError};

/// How the fit is done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// Folds inside the training trials for an automatic strength.
    pub(crate) inner: usize,
    /// The largest entry of the gradient of the mean loss at the end.
    pub(crate) tolerance: f64,
    /// The largest number of steps.
    pub(crate) steps: usize,
}

/// The grid of an automatic strength.
const STRENGTHS: [f64; 9] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2, 1e3, 1e4];
/// Inner fits choose between decades, which needs no more than this.
const INNER_TOLERANCE: f64 = 1e-4;

/// Fits on all trials of `features`. Every class `0 .. n_classes` needs a trial.
///
/// # Errors
/// When an automatic strength has too few trials to choose, the fit does not converge, or the work was cancelled.
pub(crate) fn fit(
    features: &Matrix,
    labels: &[usize],
    n_classes: usize,
    strength: &Auto<f64>,
    options: &Options,
    stream: &Stream,
    context: &Context,
) -> Result<LinearClassifier, StageError> {
    let strength = match strength {
        Auto::Given(strength) => *strength,
        Auto::Auto => choose_strength(features, labels, n_classes, options, stream, context)?,
    };
    let problem = Problem::new(features, labels, n_classes, strength);
    let weights = problem.minimise(problem.start(), options.tolerance, options.steps, true, context)?;
    Ok(problem.classifier(&weights))
}

/// The strength with the least log loss on trials that the inner fits did not see.
fn choose_strength(
    features: &Matrix,
    labels: &[usize],
    n_classes: usize,
    options: &Options,
    stream: &Stream,
    context: &Context,
) -> Result<f64, StageError> {
    let fewest = count(labels, n_classes).into_iter().min().unwrap_or(0);
    let n_folds = options.inner.min(fewest);
    if n_folds < 2 {
        return Err(StageError::refused_with_help(
            "`strength = auto` needs at least 2 training trials of every class, one class has 1",
            "give a number, such as `logistic(strength = 1)`, or use fewer classes",
        ));
    }
    let folds = Folds::stratified(labels, n_classes, n_folds, stream.split("strength").seed());
    let tolerance = options.tolerance.max(INNER_TOLERANCE);
    let mut losses = [0.0; STRENGTHS.len()];
    for fold in 0..n_folds {
        let (train, test) = (folds.train(fold), folds.test(fold));
        let train_features = features.take_rows(&train);
        let train_labels: Vec<usize> = train.iter().map(|&trial| labels[trial]).collect();
        let mut start = None;
        for (loss, strength) in losses.iter_mut().zip(STRENGTHS) {
            context.cancel.check()?;
            let problem = Problem::new(&train_features, &train_labels, n_classes, strength);
            let weights = problem.minimise(start.unwrap_or_else(|| problem.start()), tolerance, options.steps, false, context)?;
            let classifier = problem.classifier(&weights);
            let mut scores = vec![0.0; n_classes];
            for &trial in &test {
                classifier.decide(features.row(trial), &mut scores);
                *loss -= log_probability(&scores, labels[trial]);
            }
            start = Some(weights);
        }
    }
    let best = (1..STRENGTHS.len()).fold(0, |best, candidate| if losses[candidate] < losses[best] { candidate } else { best });
    Ok(STRENGTHS[best])
}

fn log_probability(scores: &[f64], class: usize) -> f64 {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    scores[class] - largest - scores.iter().map(|score| (score - largest).exp()).sum::<f64>().ln()
}

/// The function to be minimised: mean loss + penalty/2 · ‖W‖², with penalty = 1 / (strength · trials).
/// Its variables are weights `[(feature, intercept) × output]`, where two classes have one output and more have one each.
struct Problem<'a> {
    features: &'a Matrix,
    labels: &'a [usize],
    n_classes: usize,
    n_outputs: usize,
    penalty: f64,
}

impl<'a> Problem<'a> {
    fn new(features: &'a Matrix, labels: &'a [usize], n_classes: usize, strength: f64) -> Problem<'a> {
        let n_outputs = if n_classes == 2 { 1 } else { n_classes };
        let penalty = 1.0 / (strength * labels.len().max(1) as f64);
        Problem { features, labels, n_classes, n_outputs, penalty }
    }

    fn start(&self) -> Vec<f64> {
        vec![0.0; (self.features.cols() + 1) * self.n_outputs]
    }

    /// The weights at the minimum, or as near to it as `steps` lead when `exactly` is not asked for.
    fn minimise(&self, start: Vec<f64>, tolerance: f64, steps: usize, exactly: bool, context: &Context) -> Result<Vec<f64>, StageError> {
        let mut room =
            Room { scores: Matrix::zeros(self.labels.len(), self.n_outputs), slopes: Matrix::zeros(self.features.cols(), self.n_outputs) };
        let optimiser = Lbfgs { gradient_tolerance: tolerance, iterations: steps, ..Lbfgs::default() };
        let objective = |weights: &[f64], gradient: &mut [f64]| {
            // A value that is not finite ends the search soon; whether the work was cancelled is asked below.
            if context.cancel.is_cancelled() { f64::NAN } else { self.value(weights, gradient, &mut room).unwrap_or(f64::NAN) }
        };
        let found = optimiser.minimise(start, objective);
        context.cancel.check()?;
        let found = found.map_err(numerical)?;
        // A search that ends for want of precision is as near as numbers of this size allow.
        if exactly && found.stop == Stop::Iterations {
            return Err(StageError::refused_with_help(
                format!(
                    "logistic regression is not done after {steps} steps: the gradient is {:.1e}, {tolerance:.1e} is wanted",
                    found.gradient_norm
                ),
                "scale the features (`scale = zscore`), penalise more (a smaller `strength`), or allow more `steps` or a larger `tolerance`",
            ));
        }
        Ok(found.x)
    }

    /// The value at `weights`; its gradient goes into `gradient`. `room` is memory that is used again.
    fn value(&self, weights: &[f64], gradient: &mut [f64], room: &mut Room) -> Result<f64, StageError> {
        let (n_features, n_outputs) = (self.features.cols(), self.n_outputs);
        let (weights, intercept) = weights.split_at(n_features * n_outputs);
        let (slopes, intercept_slopes) = gradient.split_at_mut(n_features * n_outputs);
        let per_trial = 1.0 / self.labels.len().max(1) as f64;
        let mut value = 0.5 * self.penalty * weights.iter().map(|weight| weight * weight).sum::<f64>();
        gemm_into(self.features, MatrixRef::new(n_features, n_outputs, weights).map_err(numerical)?, &mut room.scores)
            .map_err(numerical)?;
        intercept_slopes.fill(0.0);
        for (trial, &label) in self.labels.iter().enumerate() {
            let scores = room.scores.row_mut(trial);
            scores.iter_mut().zip(intercept).for_each(|(score, intercept)| *score += intercept);
            value += per_trial * self.loss(scores, label);
            scores.iter_mut().for_each(|residual| *residual *= per_trial);
            intercept_slopes.iter_mut().zip(scores).for_each(|(slope, residual)| *slope += *residual);
        }
        gemm_into(self.features.t(), &room.scores, &mut room.slopes).map_err(numerical)?;
        for ((slope, weight), data) in slopes.iter_mut().zip(weights).zip(room.slopes.values()) {
            *slope = self.penalty * weight + data;
        }
        Ok(value)
    }

    /// The loss of one trial; its scores become the loss' slope by the scores.
    fn loss(&self, scores: &mut [f64], label: usize) -> f64 {
        if let [score] = scores {
            let signed = if label == 1 { -*score } else { *score };
            // ln(1 + eˢ) without overflow.
            let loss = signed.max(0.0) + (-signed.abs()).exp().ln_1p();
            *score = 1.0 / (1.0 + (-*score).exp()) - label as f64;
            return loss;
        }
        // The softmax and its logarithm from the same exponentials, which cost as much as a product here.
        let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let own = scores[label] - largest;
        let total = softmax(scores);
        scores[label] -= 1.0;
        total.ln() - own
    }

    /// The weights in the common form; one sigmoid becomes two classes of which the first has score 0.
    fn classifier(&self, weights: &[f64]) -> LinearClassifier {
        let (weights, intercept) = weights.split_at(self.features.cols() * self.n_outputs);
        if self.n_outputs == self.n_classes {
            return LinearClassifier { weights: weights.to_vec(), intercept: intercept.to_vec() };
        }
        let widen = |values: &[f64]| values.iter().flat_map(|&value| [0.0, value]).collect();
        LinearClassifier { weights: widen(weights), intercept: widen(intercept) }
    }
}

/// Memory for one evaluation.
struct Room {
    /// `[trial × output]`: scores, then the loss' slope by them.
    scores: Matrix,
    /// `[feature × output]`.
    slopes: Matrix,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{GoldenProblem, all_close, golden};

    const EXACT: Options = Options { inner: 4, tolerance: 1e-10, steps: 10_000 };

    fn probabilities(problem: &GoldenProblem, classifier: &LinearClassifier) -> Vec<f64> {
        let mut all = Vec::new();
        for row in problem.test.row_iter() {
            let mut scores = vec![0.0; problem.n_classes];
            classifier.decide(row, &mut scores);
            softmax(&mut scores);
            all.extend(scores);
        }
        all
    }

    fn fit_at(problem: &GoldenProblem, strength: f64) -> LinearClassifier {
        let stream = Stream::new(0);
        fit(&problem.train, &problem.labels, problem.n_classes, &Auto::Given(strength), &EXACT, &stream, &Context::quiet(0)).unwrap()
    }

    #[test]
    fn probabilities_and_weights_are_those_of_scikit_learn() {
        let Some(problem) = GoldenProblem::open("decode/logistic", "X", "y", "train", 1.0) else { return };
        let classifier = fit_at(&problem, 0.5);
        all_close(&probabilities(&problem, &classifier), &golden("decode/logistic", "proba").unwrap().1, 1e-6);
        all_close(&classifier.intercept, &golden("decode/logistic", "intercept").unwrap().1, 1e-5);
        let n_classes = problem.n_classes;
        let by_class: Vec<f64> =
            (0..n_classes).flat_map(|class| classifier.weights.iter().skip(class).step_by(n_classes).copied()).collect();
        all_close(&by_class, &golden("decode/logistic", "coef").unwrap().1, 1e-5);
    }

    #[test]
    fn two_classes_and_strengths_from_weak_to_strong_agree_with_scikit_learn() {
        for case in ["more/decode/logistic_multi", "more/decode/logistic_binary"] {
            let Some(problem) = GoldenProblem::open(case, "in_X", "in_y", "in_test", 0.0) else { return };
            let (_, strengths) = golden(case, "in_C").unwrap();
            let (shape, expected) = golden(case, "out_proba").unwrap();
            for (strength, expected) in strengths.into_iter().zip(expected.chunks(shape[1] * shape[2])) {
                all_close(&probabilities(&problem, &fit_at(&problem, strength)), expected, 1e-5);
            }
        }
    }

    #[test]
    fn the_gradient_is_the_slope_of_the_value() {
        let mut stream = Stream::new(2);
        for n_classes in [2, 3] {
            let features = Matrix::from_fn(12, 4, |_, _| stream.normal());
            let labels: Vec<usize> = (0..12).map(|trial| trial % n_classes).collect();
            let problem = Problem::new(&features, &labels, n_classes, 0.7);
            let mut room = Room { scores: Matrix::zeros(12, problem.n_outputs), slopes: Matrix::zeros(4, problem.n_outputs) };
            let point: Vec<f64> = problem.start().iter().map(|_| stream.normal()).collect();
            let mut gradient = vec![0.0; point.len()];
            problem.value(&point, &mut gradient, &mut room).unwrap();
            for place in 0..point.len() {
                let mut at = |by: f64| {
                    let mut moved = point.clone();
                    moved[place] += by;
                    problem.value(&moved, &mut vec![0.0; point.len()], &mut room).unwrap()
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((slope - gradient[place]).abs() < 1e-8, "{place}: {slope} {}", gradient[place]);
            }
        }
    }

    #[test]
    fn an_automatic_strength_penalises_noise_more_than_signal() {
        let strength_for = |signal: f64| {
            let mut stream = Stream::new(4);
            let labels: Vec<usize> = (0..60).map(|trial| trial % 3).collect();
            let features = Matrix::from_fn(60, 20, |trial, unit| stream.normal() + if unit == labels[trial] { signal } else { 0.0 });
            choose_strength(&features, &labels, 3, &EXACT, &Stream::new(1), &Context::quiet(0)).unwrap()
        };
        assert!(strength_for(0.0) <= 0.01 && strength_for(4.0) >= 0.1, "{} {}", strength_for(0.0), strength_for(4.0));
    }

    #[test]
    fn too_few_trials_to_choose_a_strength_and_too_few_steps_are_refused() {
        let features = Matrix::from_fn(5, 1, |trial, _| trial as f64);
        let fit = |labels: &[usize], strength: Auto<f64>, steps: usize| {
            let options = Options { steps, ..EXACT };
            fit(&features, labels, 2, &strength, &options, &Stream::new(0), &Context::quiet(0)).unwrap_err().to_string()
        };
        assert!(fit(&[0, 0, 0, 0, 1], Auto::Auto, 100).contains("at least 2 training trials of every class"));
        assert!(fit(&[0, 0, 0, 1, 1], Auto::Given(10.0), 1).contains("not done after 1 steps"));
    }
}
