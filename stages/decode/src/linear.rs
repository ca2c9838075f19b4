//! A linear classifier: a score for each class, and probabilities from the scores.
//!
//! Linear discriminant analysis and logistic regression end in the same form, so that they are predicted with in the same way.

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
}

/// Scores to probabilities, in place, without overflow.
pub(crate) fn softmax(scores: &mut [f64]) {
    let largest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let mut total = 0.0;
    for score in scores.iter_mut() {
        *score = (*score - largest).exp();
        total += *score;
    }
    scores.iter_mut().for_each(|score| *score /= total);
}

/// The position of the largest value; the first among equals.
pub(crate) fn largest(values: &[f64]) -> usize {
    values.iter().enumerate().fold(0, |best, (position, value)| if *value > values[best] { position } else { best })
}
