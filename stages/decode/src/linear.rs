//! A linear classifier: a score for each class, and probabilities from the scores.
//!
//! Linear discriminant analysis and logistic regression end in the same form, so that they are predicted with in the same way.

use neuroflow_compute::product::gemm;
use neuroflow_compute::{Matrix, MatrixRef};

/// Multiply–adds from which on the scores of many trials cost less as one product.
const LARGE: usize = 1 << 20;

/// Scores `x · weights + intercept`, one for each class; probabilities are their softmax.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct LinearClassifier {
    /// `[feature × class]`, row-major.
    pub(crate) weights: Vec<f64>,
    /// One for each class.
    pub(crate) intercept: Vec<f64>,
}

impl LinearClassifier {
    /// The score of each class for one trial.
    pub(crate) fn decide(&self, features: &[f64], scores: &mut [f64]) {
        scores.copy_from_slice(&self.intercept);
        for (value, weights) in features.iter().zip(self.weights.chunks_exact(self.intercept.len())) {
            scores.iter_mut().zip(weights).for_each(|(score, weight)| *score += value * weight);
        }
    }

    /// The scores of many trials `[trial × class]`.
    pub(crate) fn decide_all(&self, features: &Matrix) -> Vec<f64> {
        let n_classes = self.intercept.len();
        let (n_trials, n_features) = features.shape();
        let product = match MatrixRef::new(n_features, n_classes, &self.weights) {
            Ok(weights) if n_trials * n_features * n_classes >= LARGE => gemm(features, weights).ok(),
            _ => None,
        };
        if let Some(product) = product {
            let mut scores = product.into_values();
            for trial in scores.chunks_exact_mut(n_classes) {
                trial.iter_mut().zip(&self.intercept).for_each(|(score, intercept)| *score += intercept);
            }
            return scores;
        }
        let mut scores = vec![0.0; n_trials * n_classes];
        for (trial, scores) in scores.chunks_exact_mut(n_classes.max(1)).enumerate() {
            self.decide(features.row(trial), scores);
        }
        scores
    }
}

/// Scores to probabilities, in place, without overflow. Gives Σ exp(score − largest score).
pub(crate) fn softmax(scores: &mut [f64]) -> f64 {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        total += *score;
    }
    scores.iter_mut().for_each(|score| *score /= total);
    total
}

/// The position of the largest value; the first among equals.
pub(crate) fn largest(values: &[f64]) -> usize {
    values.iter().enumerate().fold(0, |best, (position, value)| if *value > values[best] { position } else { best })
}
