//! Linear support vector machines, one class against the rest.
//!
//! The problem of scikit-learn's `LinearSVC(C)`: for each class, ½(‖w‖² + b²) + C Σ max(0, 1 − y (x·w + b))² is least, with y = 1 for the class and −1 for the
//! others; two classes have one such problem.
//!
//! `strength = auto` searches 10⁻⁴ … 10² in decades by the trials right in stratified folds inside the training trials; among equals the stronger penalty
//! wins. Each fit along the grid starts from the one before.

use crate::linear::{LinearClassifier, largest};
use crate::linear_fit::{Loss, Options, Problem};
use crate::nested::{best, count_right};
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_stage::{Auto, Context, StageError};

/// The grid of an automatic strength, the strongest penalty first.
const STRENGTHS: [f64; 7] = [1e-4, 1e-3, 1e-2, 1e-1, 1.0, 1e1, 1e2];
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
    let problem = Problem::new(Loss::SquaredHinge, features, labels, n_classes, strength);
    let weights = problem.minimise(problem.start(), options.tolerance, options.steps, true, context)?;
    Ok(problem.classifier(&weights))
}

fn choose_strength(
    features: &Matrix,
    labels: &[usize],
    n_classes: usize,
    options: &Options,
    stream: &Stream,
    context: &Context,
) -> Result<f64, StageError> {
    let tolerance = options.tolerance.max(INNER_TOLERANCE);
    let sizes = (options.inner, STRENGTHS.len());
    let right = count_right(features, labels, n_classes, sizes, "strength", stream, context, |fold, right| {
        let mut start = None;
        for (right, strength) in right.iter_mut().zip(STRENGTHS) {
            let problem = Problem::new(Loss::SquaredHinge, &fold.train, &fold.train_labels, n_classes, strength);
            let weights = problem.minimise(start.unwrap_or_else(|| problem.start()), tolerance, options.steps, false, context)?;
            let classifier = problem.classifier(&weights);
            let mut scores = vec![0.0; n_classes];
            for (row, &truth) in fold.test.row_iter().zip(&fold.test_labels) {
                classifier.decide(row, &mut scores);
                *right += usize::from(largest(&scores) == truth);
            }
            start = Some(weights);
        }
        Ok(())
    })?;
    Ok(STRENGTHS[best(&right)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scaling::Scaling;
    use crate::testing::{GoldenProblem, all_close, golden, shared};

    const EXACT: Options = Options { inner: 4, tolerance: 1e-10, steps: 10_000 };

    fn fitted(features: &Matrix, labels: &[usize], n_classes: usize, strength: f64) -> LinearClassifier {
        fit(features, labels, n_classes, &Auto::Given(strength), &EXACT, &Stream::new(0), &Context::quiet(0)).unwrap()
    }

    fn accuracy(classifier: &LinearClassifier, features: &Matrix, labels: &[f64]) -> f64 {
        let mut scores = vec![0.0; classifier.intercept.len()];
        let right = features.row_iter().zip(labels).filter(|(row, truth)| {
            classifier.decide(row, &mut scores);
            largest(&scores) as f64 == **truth
        });
        right.count() as f64 / labels.len() as f64
    }

    fn test_labels(case: &str, y: &str, split: &str, train_is: f64) -> Vec<f64> {
        let (_, y) = golden(case, y).unwrap();
        let (_, split) = golden(case, split).unwrap();
        y.into_iter().zip(split).filter(|(_, part)| *part != train_is).map(|(y, _)| y).collect()
    }

    #[test]
    fn accuracies_are_those_of_scikit_learn() {
        let Some(problem) = GoldenProblem::open("decode/simple", "X", "y", "train", 1.0) else { return };
        let expected = |case: &str, pointer: &str| -> f64 {
            let text = std::fs::read_to_string(shared(&format!("golden/{case}/expected.json")).unwrap()).unwrap();
            serde_json::from_str::<serde_json::Value>(&text).unwrap().pointer(pointer).unwrap().as_f64().unwrap()
        };
        let classifier = fitted(&problem.train, &problem.labels, problem.n_classes, 0.1);
        let found = accuracy(&classifier, &problem.test, &test_labels("decode/simple", "y", "train", 1.0));
        assert!((found - expected("decode/simple", "/svm_accuracy")).abs() < 0.03, "{found}");

        let case = "more/decode/bayes_knn_svm";
        let mut problem = GoldenProblem::open(case, "in_X", "in_y", "in_test", 0.0).unwrap();
        let scaling = Scaling::fit(&problem.train);
        scaling.apply(&mut problem.train);
        scaling.apply(&mut problem.test);
        let classifier = fitted(&problem.train, &problem.labels, problem.n_classes, 0.1);
        let found = accuracy(&classifier, &problem.test, &test_labels(case, "in_y", "in_test", 0.0));
        assert!((found - expected(case, "/values/linear_svc_accuracy")).abs() < 0.05, "{found}");
    }

    #[test]
    fn the_optimum_has_no_slope_by_an_independent_gradient() {
        let mut stream = Stream::new(2);
        for n_classes in [2, 3] {
            let labels: Vec<usize> = (0..30).map(|trial| trial % n_classes).collect();
            let features = Matrix::from_fn(30, 4, |trial, unit| stream.normal() + if unit == labels[trial] { 1.0 } else { 0.0 });
            let found = fitted(&features, &labels, n_classes, 0.7);
            for class in 0..n_classes {
                // ∂/∂w of ½(w² + b²) + C Σ max(0, 1 − y f)².
                let weight = |feature: usize| found.weights[feature * n_classes + class];
                let mut slope: Vec<f64> = (0..4).map(weight).chain([found.intercept[class]]).collect();
                for (row, &label) in features.row_iter().zip(&labels) {
                    let sign = if label == class { 1.0 } else { -1.0 };
                    let score: f64 = (0..4).map(|feature| row[feature] * weight(feature)).sum::<f64>() + found.intercept[class];
                    let short = (1.0 - sign * score).max(0.0);
                    slope.iter_mut().zip(row.iter().chain([&1.0])).for_each(|(slope, value)| *slope -= 0.7 * 2.0 * sign * short * value);
                }
                all_close(&slope, &[0.0; 5], 1e-7);
            }
        }
    }

    #[test]
    fn an_automatic_strength_penalises_noise_more_than_signal() {
        let strength_for = |signal: f64| {
            let mut stream = Stream::new(4);
            let labels: Vec<usize> = (0..60).map(|trial| trial % 3).collect();
            let features = Matrix::from_fn(60, 20, |trial, unit| stream.normal() + if unit == labels[trial] { signal } else { 0.0 });
            let options = Options { tolerance: 1e-6, ..EXACT };
            choose_strength(&features, &labels, 3, &options, &Stream::new(1), &Context::quiet(0)).unwrap()
        };
        assert!(strength_for(3.0) <= 1.0 && strength_for(3.0) >= 1e-4);
        let (features, labels) = (Matrix::from_fn(5, 1, |trial, _| trial as f64), [0, 0, 0, 0, 1]);
        let error = fit(&features, &labels, 2, &Auto::Auto, &EXACT, &Stream::new(0), &Context::quiet(0)).unwrap_err();
        assert!(error.to_string().contains("`strength = auto` needs at least 2 training trials of every class, one class has 1"));
    }
}
