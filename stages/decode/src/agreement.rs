//! How well predicted numbers agree with measured ones, against the training mean.
//!
//! Both are taken as deviations from the mean of the training trials that made the prediction. A decoder that always answers that mean then scores 0 exactly;
//! with deviations from the mean of the tested trials it would score below 0, because the mean of some trials lies on the other side of the mean of the
//! others.

use neuroflow_data::{Interval, Score};

use crate::confusion::around;

/// Sums over predictions.
#[derive(Debug, Clone, Copy, Default, PartialEq)]
pub(crate) struct Agreement {
    n: usize,
    /// Σ y².
    truth: f64,
    /// Σ ŷ².
    predicted: f64,
    /// Σ y ŷ.
    both: f64,
    /// Σ (y − ŷ)².
    error: f64,
    /// Σ of squares before the mean was taken off: the size of which rounding is a share.
    size: f64,
}

/// Predictions that deviate from the mean by less than this share of the values, in squares, are the mean and rounding.
const ROUNDING: f64 = 1e-26;

impl Agreement {
    /// Adds one prediction; `baseline` is the training mean.
    pub(crate) fn add(&mut self, truth: f64, predicted: f64, baseline: f64) {
        let (y, guess) = (truth - baseline, predicted - baseline);
        self.n += 1;
        self.truth += y * y;
        self.predicted += guess * guess;
        self.both += y * guess;
        self.error += (y - guess).powi(2);
        self.size += truth * truth + baseline * baseline;
    }

    /// Adds the sums of another.
    pub(crate) fn merge(&mut self, other: Agreement) {
        self.n += other.n;
        self.truth += other.truth;
        self.predicted += other.predicted;
        self.both += other.both;
        self.error += other.error;
        self.size += other.size;
    }

    /// The number of predictions.
    pub(crate) fn n(&self) -> usize {
        self.n
    }

    /// The correlation of the deviations; 0 when one side has none.
    pub(crate) fn r(&self) -> f64 {
        let scale = (self.truth * self.predicted).sqrt();
        if self.predicted > ROUNDING * self.size && scale > 0.0 && scale.is_finite() { (self.both / scale).clamp(-1.0, 1.0) } else { 0.0 }
    }

    /// 1 − Σ(y − ŷ)² / Σ(y − mean)²; 0 when nothing deviates from the mean.
    pub(crate) fn r2(&self) -> f64 {
        let r2 = 1.0 - self.error / self.truth;
        if self.truth > 0.0 && r2.is_finite() { r2 } else { 0.0 }
    }
}

/// A score over folds whose chance level is 0: its value over all, its values in folds, and the interval that they show ([`around`]). `n` counts what
/// tests of several folds have in common once.
pub(crate) fn over_folds(metric: impl Into<String>, value: f64, folds: Vec<f64>, shared: f64, n: usize) -> Score {
    let interval = around(value, &folds, shared, "folds").map(|interval| Interval { high: interval.high.min(1.0), ..interval });
    Score { chance: Some(0.0), interval, folds, ..Score::new(metric, value, n) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_training_mean_scores_nothing_and_the_truth_scores_one() {
        let (mut mean, mut exact, mut wrong) = (Agreement::default(), Agreement::default(), Agreement::default());
        for y in [1.0, 2.0, 6.0] {
            mean.add(y, 2.5, 2.5);
            exact.add(y, y, 2.5);
            wrong.add(y, 5.0 - y, 2.5);
        }
        assert_eq!((mean.r(), mean.r2()), (0.0, 0.0));
        assert_eq!((exact.r(), exact.r2()), (1.0, 1.0));
        assert_eq!((wrong.r(), wrong.r2()), (-1.0, -3.0));
        assert_eq!(Agreement::default().r2(), 0.0);
        let mut rounded = Agreement::default();
        [1.0, 2.0, 6.0].into_iter().for_each(|y| rounded.add(y, 2.5 + 1e-15 * y, 2.5));
        assert_eq!(rounded.r(), 0.0);
        exact.merge(wrong);
        assert_eq!((exact.n(), exact.r(), exact.r2()), (6, 0.0, -1.0));
    }
}
