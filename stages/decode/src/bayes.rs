//! Naive Bayes: units are taken as independent of each other within a class.
//!
//! * Gaussian: the numbers of scikit-learn's `GaussianNB()`. Variances have divisor n; to each a share `smoothing` of the largest variance of a feature over
//!   all training trials is added. A feature that is constant over all training trials, when nothing is added to it, says nothing and is left out.
//! * Poisson (Zhang et al. 1998, J Neurophysiol 79:1017): with λ the mean count of a class, the score of a class is Σ x ln λ − Σ λ + ln prior, which is
//!   linear in the counts. A unit that is silent in all training trials of a class would forbid the class at its first spike; its mean there is taken as
//!   `floor` divided by the number of training trials.

use crate::linear::LinearClassifier;
use neuroflow_compute::Matrix;
use neuroflow_stage::StageError;

/// Gaussian naive Bayes that has learned.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct GaussianBayes {
    /// `[class × feature]`.
    mean: Matrix,
    /// `[class × feature]`; 0 for a feature that is left out.
    inverse_variance: Matrix,
    /// ln prior − ½ Σ ln 2πσ².
    constant: Vec<f64>,
}

impl GaussianBayes {
    /// Learns from all trials. Every class `0 .. n_classes` needs a trial.
    pub(crate) fn fit(features: &Matrix, labels: &[usize], n_classes: usize, smoothing: f64) -> GaussianBayes {
        let n_features = features.cols();
        let everyone: Vec<usize> = (0..features.rows()).collect();
        let (_, total) = moments(features, &everyone);
        let added = smoothing * total.iter().copied().fold(0.0, f64::max);
        let (mut mean, mut inverse_variance) = (Matrix::zeros(n_classes, n_features), Matrix::zeros(n_classes, n_features));
        let mut constant = Vec::with_capacity(n_classes);
        for class in 0..n_classes {
            let members: Vec<usize> = (0..labels.len()).filter(|&trial| labels[trial] == class).collect();
            let (of_class, variance) = moments(features, &members);
            let mut log_density = (members.len() as f64 / labels.len() as f64).ln();
            for (place, variance) in variance.into_iter().enumerate() {
                let variance = variance + added;
                if variance > 0.0 {
                    inverse_variance[(class, place)] = 1.0 / variance;
                    log_density -= 0.5 * (std::f64::consts::TAU * variance).ln();
                }
            }
            mean.row_mut(class).copy_from_slice(&of_class);
            constant.push(log_density);
        }
        GaussianBayes { mean, inverse_variance, constant }
    }

    /// ln p(x, class) for each class of one trial.
    pub(crate) fn decide(&self, features: &[f64], scores: &mut [f64]) {
        for (class, score) in scores.iter_mut().enumerate() {
            let distance: f64 = features
                .iter()
                .zip(self.mean.row(class).iter().zip(self.inverse_variance.row(class)))
                .map(|(value, (mean, inverse))| (value - mean).powi(2) * inverse)
                .sum();
            *score = self.constant[class] - 0.5 * distance;
        }
    }
}

/// Mean and variance (divisor n) of each feature over some trials.
fn moments(features: &Matrix, trials: &[usize]) -> (Vec<f64>, Vec<f64>) {
    let n = trials.len().max(1) as f64;
    let (mut mean, mut variance) = (vec![0.0; features.cols()], vec![0.0; features.cols()]);
    for &trial in trials {
        mean.iter_mut().zip(features.row(trial)).for_each(|(sum, value)| *sum += value);
    }
    mean.iter_mut().for_each(|sum| *sum /= n);
    for &trial in trials {
        variance.iter_mut().zip(features.row(trial).iter().zip(&mean)).for_each(|(sum, (value, mean))| *sum += (value - mean).powi(2) / n);
    }
    (mean, variance)
}

/// Fits Poisson naive Bayes to counts. Every class `0 .. n_classes` needs a trial.
///
/// # Errors
/// When a count is negative: says how many are, and the least.
pub(crate) fn fit_poisson(features: &Matrix, labels: &[usize], n_classes: usize, floor: f64) -> Result<LinearClassifier, StageError> {
    let (n_trials, n_features) = features.shape();
    let negative = features.values().iter().filter(|value| **value < 0.0).count();
    if negative > 0 {
        let least = features.values().iter().copied().fold(f64::INFINITY, f64::min);
        return Err(StageError::refused_with_help(
            format!("`model = poisson` needs spike counts, which are never negative: {negative} training values are, the least is {least}"),
            "give it spikes with `features = sum` and `scale = none`, or use another model, such as `bayes`",
        ));
    }
    let counts = crate::target::count(labels, n_classes);
    let mut rates = Matrix::zeros(n_classes, n_features);
    for (row, &label) in features.row_iter().zip(labels) {
        rates.row_mut(label).iter_mut().zip(row).for_each(|(sum, value)| *sum += value);
    }
    let silent = floor / n_trials.max(1) as f64;
    let mut weights = Matrix::zeros(n_features, n_classes);
    let mut intercept = Vec::with_capacity(n_classes);
    for (class, &count) in counts.iter().enumerate() {
        let mut total = 0.0;
        for (feature, sum) in rates.row(class).iter().enumerate() {
            let rate = if *sum > 0.0 { sum / count as f64 } else { silent };
            weights[(feature, class)] = rate.ln();
            total += rate;
        }
        intercept.push((count as f64 / n_trials as f64).ln() - total);
    }
    Ok(LinearClassifier { weights: weights.into_values(), intercept })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{largest, softmax};
    use crate::testing::{GoldenProblem, all_close, golden};
    use neuroflow_data::random::Stream;

    #[test]
    fn gaussian_joint_densities_and_probabilities_are_those_of_scikit_learn() {
        let Some(problem) = GoldenProblem::open("more/decode/bayes_knn_svm", "in_X", "in_y", "in_test", 0.0) else { return };
        let fitted = GaussianBayes::fit(&problem.train, &problem.labels, problem.n_classes, 1e-9);
        let (mut joint, mut probabilities, mut predicted) = (Vec::new(), Vec::new(), Vec::new());
        for row in problem.test.row_iter() {
            let mut scores = vec![0.0; problem.n_classes];
            fitted.decide(row, &mut scores);
            joint.extend_from_slice(&scores);
            predicted.push(largest(&scores) as f64);
            softmax(&mut scores);
            probabilities.extend(scores);
        }
        let expected = |name: &str| golden("more/decode/bayes_knn_svm", name).unwrap().1;
        all_close(&joint, &expected("out_nb_joint_log"), 1e-8);
        all_close(&probabilities, &expected("out_nb_proba"), 1e-8);
        assert_eq!(predicted, expected("out_nb_pred"));
        let Some(problem) = GoldenProblem::open("decode/simple", "X", "y", "train", 1.0) else { return };
        let fitted = GaussianBayes::fit(&problem.train, &problem.labels, problem.n_classes, 1e-9);
        let predicted = problem.test.row_iter().map(|row| {
            let mut scores = vec![0.0; problem.n_classes];
            fitted.decide(row, &mut scores);
            largest(&scores) as f64
        });
        assert_eq!(predicted.collect::<Vec<_>>(), golden("decode/simple", "nb_pred").unwrap().1);
    }

    #[test]
    fn poisson_probabilities_are_those_of_the_formula() {
        let case = "more/decode/poisson_bayes";
        let Some(problem) = GoldenProblem::open(case, "in_counts", "in_y", "in_test", 0.0) else { return };
        let fitted = fit_poisson(&problem.train, &problem.labels, problem.n_classes, 0.5).unwrap();
        let (_, expected) = golden(case, "out_proba").unwrap();
        let mut probabilities = Vec::new();
        for row in problem.test.row_iter() {
            let mut scores = vec![0.0; problem.n_classes];
            fitted.decide(row, &mut scores);
            softmax(&mut scores);
            probabilities.extend(scores);
        }
        all_close(&probabilities, &expected, 1e-9);
    }

    #[test]
    fn a_silent_unit_does_not_forbid_a_class_and_constants_say_nothing() {
        let counts = Matrix::new(4, 2, vec![0.0, 3.0, 0.0, 4.0, 5.0, 3.0, 6.0, 4.0]).unwrap();
        let fitted = fit_poisson(&counts, &[0, 0, 1, 1], 2, 0.5).unwrap();
        let mut scores = [0.0; 2];
        fitted.decide(&[1.0, 3.0], &mut scores);
        // ln p up to a common term: λ = 1/8 against 11/2.
        let difference = (0.125f64.ln() - 0.125) - (5.5f64.ln() - 5.5);
        all_close(&[scores[0] - scores[1]], &[difference], 1e-12);
        let constant = Matrix::from_fn(4, 3, |_, _| 2.5);
        let fitted = GaussianBayes::fit(&constant, &[0, 0, 0, 1], 2, 1e-9);
        let mut scores = [0.0; 2];
        fitted.decide(&[9.0, 9.0, 9.0], &mut scores);
        all_close(&scores, &[0.75f64.ln(), 0.25f64.ln()], 1e-15);
    }

    #[test]
    fn negative_counts_are_refused_with_their_number() {
        let mut stream = Stream::new(1);
        let values = Matrix::from_fn(6, 2, |trial, unit| if (trial, unit) == (2, 1) { -1.5 } else { stream.poisson(3.0) as f64 });
        let message = fit_poisson(&values, &[0, 1, 0, 1, 0, 1], 2, 0.5).unwrap_err().to_string();
        assert!(message.contains("1 training values are, the least is -1.5"), "{message}");
    }
}
