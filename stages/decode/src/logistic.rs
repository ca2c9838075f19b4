//! Logistic regression with an L2 penalty.
//!
//! The numbers are those of scikit-learn's `LogisticRegression(C)`: `½‖W‖² + C Σ loss` is least, the intercept is not penalised. More than two classes
//! share one softmax with a weight vector each; two classes share one sigmoid with a single weight vector, which halves the penalty of the
//! corresponding softmax.
//!
//! `strength = auto` searches 10⁻⁴ … 10⁴ in decades by the mean log loss of stratified folds inside the training trials; among equals the stronger
//! penalty wins. Each fit along the grid starts from the one before.

use crate::folds::Folds;
use crate::linear::LinearClassifier;
use crate::linear_fit::{Loss, Options, Problem};
use crate::target::count;
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_stage::{Auto, Context, StageError};

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
    let problem = Problem::new(Loss::Softmax, features, labels, n_classes, strength);
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
            let problem = Problem::new(Loss::Softmax, &train_features, &train_labels, n_classes, strength);
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::softmax;
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
