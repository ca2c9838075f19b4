//! From predicted classes to scores: accuracy, balanced accuracy, Cohen's κ, each with what guessing gives and an interval.
//!
//! * Accuracy: the share of trials that are predicted right, with Wilson's interval over trials (Wilson 1927), which stays inside 0 to 1 and does not
//!   shrink to nothing when every trial is right. Guessing gives the share of the largest class. Where several folds test a trial, as draws of
//!   `fewshot` do, the accuracy is over all tests and the interval counts the trial once: tests of one trial repeat each other.
//! * Balanced accuracy: the mean over classes of the share predicted right; guessing gives 1/classes. κ: agreement beyond that of independent labels
//!   with the same marginals (Cohen 1960); guessing gives 0. Their intervals are the value ± t·SD/√folds over the folds' values, with Student's t
//!   for folds − 1 degrees of freedom. Folds share training trials, so this interval is a description, not a test: the test is the control. Where
//!   folds share tested trials too, 1/√folds becomes √(1/folds + tested/trained) (Nadeau & Bengio 2003, Machine Learning 52:239), without which more
//!   draws of the same trials would make it as narrow as one likes.

use crate::split::Tests;
use neuroflow_data::{Axis, DataError, Interval, Score, Tensor};

/// Counts of trials `[true × predicted]`.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Confusion {
    n_classes: usize,
    counts: Vec<usize>,
}

impl Confusion {
    /// Counts pairs of true and predicted classes.
    pub(crate) fn of(n_classes: usize, pairs: impl IntoIterator<Item = (usize, usize)>) -> Confusion {
        let mut counts = vec![0; n_classes * n_classes];
        pairs.into_iter().for_each(|(truth, predicted)| counts[truth * n_classes + predicted] += 1);
        Confusion { n_classes, counts }
    }

    fn row(&self, truth: usize) -> &[usize] {
        &self.counts[truth * self.n_classes..(truth + 1) * self.n_classes]
    }

    fn correct(&self) -> usize {
        (0..self.n_classes).map(|class| self.row(class)[class]).sum()
    }

    /// The number of tests of a trial.
    pub(crate) fn n_trials(&self) -> usize {
        self.counts.iter().sum()
    }

    /// The share of trials predicted right; 0 without trials.
    pub(crate) fn accuracy(&self) -> f64 {
        self.correct() as f64 / self.n_trials().max(1) as f64
    }

    /// The mean over the classes that occur of the share predicted right.
    pub(crate) fn balanced_accuracy(&self) -> f64 {
        let shares: Vec<f64> = (0..self.n_classes)
            .filter_map(|class| match self.row(class).iter().sum::<usize>() {
                0 => None,
                total => Some(self.row(class)[class] as f64 / total as f64),
            })
            .collect();
        shares.iter().sum::<f64>() / shares.len().max(1) as f64
    }

    /// Cohen's κ; 0 where it is not defined (a single class, always predicted).
    pub(crate) fn kappa(&self) -> f64 {
        let n = self.n_trials().max(1) as f64;
        let by_chance: f64 = (0..self.n_classes)
            .map(|class| {
                let predicted: usize = (0..self.n_classes).map(|truth| self.row(truth)[class]).sum();
                self.row(class).iter().sum::<usize>() as f64 / n * (predicted as f64 / n)
            })
            .sum();
        if by_chance < 1.0 { (self.accuracy() - by_chance) / (1.0 - by_chance) } else { 0.0 }
    }

    /// The share of the largest class: the accuracy of always guessing it.
    pub(crate) fn largest_share(&self) -> f64 {
        let largest = (0..self.n_classes).map(|class| self.row(class).iter().sum::<usize>()).max().unwrap_or(0);
        largest as f64 / self.n_trials().max(1) as f64
    }

    /// The counts as a tensor `[true × predicted]` with the classes' names.
    ///
    /// # Errors
    /// When the names are not as many as the classes.
    pub(crate) fn tensor(&self, names: &[String]) -> Result<Tensor, DataError> {
        let axes = vec![Axis::labels("true", names.to_vec()), Axis::labels("predicted", names.to_vec())];
        Tensor::new(axes, Some("trials"), self.counts.iter().map(|&count| count as f64).collect::<Vec<_>>())
    }

    /// The accuracy as a score under the name `metric`, with its values in the folds.
    pub(crate) fn accuracy_score(&self, metric: &str, folds: &[Confusion], tests: Tests) -> Score {
        Score {
            chance: Some(self.largest_share()),
            interval: Some(wilson(self.accuracy(), tests.trials)),
            n_classes: Some(self.n_classes as u64),
            folds: folds.iter().map(Confusion::accuracy).collect(),
            ..Score::new(metric, self.accuracy(), tests.trials)
        }
    }

    /// All scores of a classification, accuracy first.
    pub(crate) fn scores(&self, folds: &[Confusion], tests: Tests) -> Vec<Score> {
        let over_folds = |metric: &str, value: f64, chance: f64, of: fn(&Confusion) -> f64, low: f64| {
            let values: Vec<f64> = folds.iter().map(of).collect();
            Score {
                chance: Some(chance),
                interval: around(value, &values, tests.shared, "folds").map(|interval| Interval {
                    low: interval.low.max(low),
                    high: interval.high.min(1.0),
                    ..interval
                }),
                n_classes: Some(self.n_classes as u64),
                folds: values,
                ..Score::new(metric, value, tests.trials)
            }
        };
        vec![
            self.accuracy_score("accuracy", folds, tests),
            over_folds(
                "balanced_accuracy",
                self.balanced_accuracy(),
                1.0 / self.n_classes.max(1) as f64,
                Confusion::balanced_accuracy,
                0.0,
            ),
            over_folds("kappa", self.kappa(), 0.0, Confusion::kappa, -1.0),
        ]
    }
}

/// Wilson's 95 % interval of a share of so many trials.
pub(crate) fn wilson(share: f64, trials: usize) -> Interval {
    const Z: f64 = 1.959_963_984_540_054;
    let n = trials.max(1) as f64;
    let centre = (share + Z * Z / (2.0 * n)) / (1.0 + Z * Z / n);
    let half = Z / (1.0 + Z * Z / n) * (share * (1.0 - share) / n + Z * Z / (4.0 * n * n)).sqrt();
    // At the ends rounding must not leave the share outside of its own interval.
    let low = if share <= 0.0 { 0.0 } else { (centre - half).clamp(0.0, share) };
    let high = if share >= 1.0 { 1.0 } else { (centre + half).clamp(share, 1.0) };
    Interval { low, high, level: 0.95, method: "wilson over trials".into() }
}

/// `value ± t·SD·√(1/n + shared)` over repeated values, `shared` as in [`Tests`]; none for fewer than two.
pub(crate) fn around(value: f64, values: &[f64], shared: f64, method: &str) -> Option<Interval> {
    let n = values.len() as f64;
    if values.len() < 2 {
        return None;
    }
    let mean = values.iter().sum::<f64>() / n;
    let sd = (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / (n - 1.0)).sqrt();
    let wide = student_t(values.len() - 1) * sd;
    let half = if shared > 0.0 { wide * (1.0 / n + shared).sqrt() } else { wide / n.sqrt() };
    let method = if shared > 0.0 { format!("{method} that test the same trials") } else { method.into() };
    Some(Interval { low: value - half, high: value + half, level: 0.95, method })
}

/// The 97.5 % quantile of Student's t; above 30 degrees of freedom by two terms of its expansion around the normal quantile (error < 0.001).
fn student_t(degrees: usize) -> f64 {
    const TABLE: [f64; 30] = [
        12.706_205, 4.302_653, 3.182_446, 2.776_445, 2.570_582, 2.446_912, 2.364_624, 2.306_004, 2.262_157, 2.228_139, 2.200_985,
        2.178_813, 2.160_369, 2.144_787, 2.131_450, 2.119_905, 2.109_816, 2.100_922, 2.093_024, 2.085_963, 2.079_614, 2.073_873, 2.068_658,
        2.063_899, 2.059_539, 2.055_529, 2.051_831, 2.048_407, 2.045_230, 2.042_272,
    ];
    const Z: f64 = 1.959_963_984_540_054;
    match degrees.checked_sub(1).and_then(|row| TABLE.get(row)) {
        Some(quantile) => *quantile,
        None => {
            let n = degrees.max(1) as f64;
            Z + (Z.powi(3) + Z) / (4.0 * n) + (5.0 * Z.powi(5) + 16.0 * Z.powi(3) + 3.0 * Z) / (96.0 * n * n)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, shared};

    #[test]
    fn counts_balanced_accuracy_and_kappa_are_those_of_scikit_learn() {
        for (case, truth, predicted, confusion, prefix) in [
            ("decode/metrics", "true", "pred", "confusion", ""),
            ("more/decode/label_scores", "in_truth", "in_pred", "out_confusion", "values"),
        ] {
            let Some((_, truth)) = golden(case, truth) else { return };
            let (_, predicted) = golden(case, predicted).unwrap();
            let (shape, expected) = golden(case, confusion).unwrap();
            let found = Confusion::of(shape[0], truth.iter().zip(&predicted).map(|(a, b)| (*a as usize, *b as usize)));
            assert_eq!(found.counts.iter().map(|&count| count as f64).collect::<Vec<_>>(), expected);
            let text = std::fs::read_to_string(shared(&format!("golden/{case}/expected.json")).unwrap()).unwrap();
            let json: serde_json::Value = serde_json::from_str(&text).unwrap();
            let values = if prefix.is_empty() { &json } else { &json[prefix] };
            assert!((found.balanced_accuracy() - values["balanced_accuracy"].as_f64().unwrap()).abs() < 1e-12);
            assert!((found.kappa() - values["kappa"].as_f64().unwrap()).abs() < 1e-12);
        }
    }

    #[test]
    fn a_hand_computed_table_has_its_known_scores() {
        // 3 of 4 of class 0, 1 of 2 of class 1: κ = (4/6 − 20/36) / (1 − 20/36).
        let confusion = Confusion::of(2, [(0, 0), (0, 0), (0, 0), (0, 1), (1, 1), (1, 0)]);
        assert!((confusion.accuracy() - 4.0 / 6.0).abs() < 1e-15);
        assert!((confusion.balanced_accuracy() - 0.625).abs() < 1e-15);
        assert!((confusion.kappa() - 0.25).abs() < 1e-15);
        assert!((confusion.largest_share() - 4.0 / 6.0).abs() < 1e-15);
        assert_eq!(Confusion::of(1, [(0, 0)]).kappa(), 0.0);
    }

    #[test]
    fn wilson_is_the_textbook_interval_and_stays_inside() {
        let interval = wilson(104.0 / 128.0, 128);
        assert!((interval.low - 0.736).abs() < 5e-4 && (interval.high - 0.871).abs() < 5e-4, "{interval:?}");
        assert_eq!(wilson(1.0, 10).high, 1.0);
        assert!(wilson(1.0, 10).low < 0.73 && wilson(0.0, 10).high > 0.27);
    }

    #[test]
    fn an_interval_over_two_values_uses_students_t_and_one_value_has_none() {
        let interval = around(0.5, &[0.4, 0.6], 0.0, "animals").unwrap();
        assert!((interval.high - 0.5 - 12.706_205 * 0.1).abs() < 1e-9);
        assert!(around(0.5, &[0.5], 0.0, "animals").is_none());
        assert!((student_t(31) - 2.0395).abs() < 1e-3 && (student_t(200) - 1.9719).abs() < 1e-4);
    }
}
