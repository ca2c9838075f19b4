//! Shrinkage linear discriminant analysis: one covariance for all classes, estimated with regard to how few trials there are.
//!
//! The numbers are those of scikit-learn 1.9, `LinearDiscriminantAnalysis(solver = "lsqr", shrinkage = "auto")`. With priors π from the training
//! trials, class means m and the covariance S, the score of a class is `x·S⁻¹m − ½ m·S⁻¹m + ln π`. S is the mean of the class covariances weighted by
//! π. With automatic shrinkage each class' covariance is that of Ledoit & Wolf (2004), estimated on units that are standardised within the class
//! and scaled back; a unit that is constant within a class is left at its own scale, as scikit-learn does. With a given shrinkage α it is
//! `(1 − α) S + α (trace S / units) I`. With `oas` each class' covariance is that of Chen et al. (2010), not standardised
//! (scikit-learn's `covariance_estimator = OAS()`). With `pooled` one covariance of all trials minus their class mean is shrunk by the lemma of Ledoit & Wolf, on
//! units standardised by it; it is steadier where classes have few trials, and does not change much when labels are permuted, so that null draws can reuse it.
//!
//! Few units are summed class by class; for many the covariance is one product (see `weighted_scatter`), equal up to rounding.
//!
//! Where S has no inverse (no shrinkage, more units than trials) its pseudo-inverse is used, which is the least-squares solution of least norm.

use crate::linear::LinearClassifier;
use crate::symmetric_solve::solve;
use crate::weighted_scatter::{self, Spread};
use neuroflow_compute::Matrix;
use neuroflow_stage::params::Either;
use neuroflow_stage::{StageError, words};

words! {
    /// How the shrinkage of a covariance is estimated.
    pub enum Estimator {
        /// Each class' covariance by the lemma of Ledoit & Wolf (2004), on units standardised within the class.
        Auto = "auto" {},
        /// Each class' covariance by oracle approximating shrinkage (Chen et al. 2010).
        Oas = "oas" {},
        /// One covariance of all trials minus their class mean, by the lemma of Ledoit & Wolf on standardised units.
        Pooled = "pooled" {},
    }
}

/// An estimator, or a share from 0 (not shrunk) to 1 (to equal variances).
pub type Shrinkage = Either<Estimator, f64>;

/// Multiply–adds of the scatter from which on one product costs less than a scatter for each class.
const LARGE: usize = 1 << 24;

/// Fits on all trials of `features`. Every class `0 .. n_classes` needs a trial.
///
/// # Errors
/// When the covariance can't be solved, which finite input does not reach.
pub(crate) fn fit(features: &Matrix, labels: &[usize], n_classes: usize, shrinkage: &Shrinkage) -> Result<LinearClassifier, StageError> {
    let n_features = features.cols();
    if is_large(features.rows(), n_features) || matches!(shrinkage, Either::Left(Estimator::Pooled {})) {
        let (means, covariance) = weighted_scatter::covariance(features, labels, n_classes, shrinkage)?;
        let log_priors = crate::target::count(labels, n_classes).iter().map(|&n| (n as f64 / labels.len() as f64).ln()).collect();
        let means = means.transposed();
        let weights = solve(&covariance, &means)?;
        return Ok(classifier(log_priors, &means, weights));
    }
    let mut covariance = Matrix::zeros(n_features, n_features);
    let mut means = Matrix::zeros(n_features, n_classes);
    let mut log_priors = Vec::with_capacity(n_classes);
    let mut class = ClassCovariance::new(n_features);
    for label in 0..n_classes {
        let members: Vec<usize> = (0..labels.len()).filter(|&trial| labels[trial] == label).collect();
        let prior = members.len() as f64 / labels.len() as f64;
        log_priors.push(prior.ln());
        class.estimate(features, &members);
        for (feature, mean) in class.mean.iter().enumerate() {
            means[(feature, label)] = *mean;
        }
        match shrinkage {
            Either::Left(Estimator::Oas {}) => class.add_shrunk(class.spread().oracle_approximating(), prior, covariance.values_mut()),
            Either::Left(_) => class.add_ledoit_wolf(prior, covariance.values_mut()),
            Either::Right(shrinkage) => class.add_shrunk(*shrinkage, prior, covariance.values_mut()),
        }
    }
    for row in 0..n_features {
        for column in 0..row {
            covariance[(row, column)] = covariance[(column, row)];
        }
    }
    let weights = solve(&covariance, &means)?;
    Ok(classifier(log_priors, &means, weights))
}

/// Whether a fit to so many trials and features is made as one product, which is also work enough to share between threads.
pub(crate) fn is_large(n_trials: usize, n_features: usize) -> bool {
    n_trials.saturating_mul(n_features).saturating_mul(n_features) >= LARGE
}

/// The rule with these `ln π`, class means and `S⁻¹` times them, both `[feature × class]`.
pub(crate) fn classifier(log_priors: Vec<f64>, means: &Matrix, weights: Matrix) -> LinearClassifier {
    let intercept = log_priors
        .into_iter()
        .enumerate()
        .map(|(label, log_prior)| {
            log_prior - 0.5 * (0..means.rows()).map(|feature| means[(feature, label)] * weights[(feature, label)]).sum::<f64>()
        })
        .collect();
    LinearClassifier { weights: weights.into_values(), intercept }
}

/// Whether a variance can't be told from rounding (Chan, Golub & LeVeque 1983; scikit-learn's `_is_constant_feature`).
pub(crate) fn is_constant(n: f64, variance: f64, mean: f64) -> bool {
    variance <= n * f64::EPSILON * variance + (n * mean * f64::EPSILON).powi(2)
}

/// How many features tell classes apart without varying within any: the rule divides by that variance, and gives them no weight.
pub(crate) fn steady_features(features: &Matrix, labels: &[usize], n_classes: usize) -> usize {
    let counts = crate::target::count(labels, n_classes);
    let is_steady = |feature: &usize| {
        let value = |trial: usize| features[(trial, *feature)];
        let mut means = vec![0.0; n_classes];
        labels.iter().enumerate().for_each(|(trial, &label)| means[label] += value(trial) / counts[label] as f64);
        let mut variances = vec![0.0; n_classes];
        labels
            .iter()
            .enumerate()
            .for_each(|(trial, &label)| variances[label] += (value(trial) - means[label]).powi(2) / counts[label] as f64);
        let within = (0..n_classes).all(|class| counts[class] == 0 || is_constant(counts[class] as f64, variances[class], means[class]));
        let present = || means.iter().zip(&counts).filter(|(_, count)| **count > 0).map(|(mean, _)| *mean);
        let (low, high) = (present().fold(f64::INFINITY, f64::min), present().fold(f64::NEG_INFINITY, f64::max));
        within && high - low > 1e-9 * low.abs().max(high.abs())
    };
    (0..features.cols()).filter(is_steady).count()
}

/// The mean and scatter of one class, with memory that is used again for the next class.
struct ClassCovariance {
    n_trials: usize,
    mean: Vec<f64>,
    /// The trials minus the mean `[trial × feature]`.
    centred: Vec<f64>,
    /// Σ over trials of x xᵀ `[feature × feature]`, of which only the upper triangle is filled.
    scatter: Vec<f64>,
}

impl ClassCovariance {
    fn new(n_features: usize) -> ClassCovariance {
        ClassCovariance { n_trials: 0, mean: vec![0.0; n_features], centred: Vec::new(), scatter: vec![0.0; n_features * n_features] }
    }

    fn estimate(&mut self, features: &Matrix, members: &[usize]) {
        let n_features = features.cols();
        self.n_trials = members.len();
        self.mean.fill(0.0);
        for &trial in members {
            self.mean.iter_mut().zip(features.row(trial)).for_each(|(mean, value)| *mean += value);
        }
        self.mean.iter_mut().for_each(|mean| *mean /= members.len() as f64);
        self.centred.clear();
        for &trial in members {
            self.centred.extend(features.row(trial).iter().zip(&self.mean).map(|(value, mean)| value - mean));
        }
        self.scatter.fill(0.0);
        // Four trials at a time: each number of the scatter is then loaded and stored once for four products.
        let four = n_features * 4;
        let mut rows = self.centred.chunks_exact(four.max(1));
        for block in &mut rows {
            let (a, rest) = block.split_at(n_features);
            let (b, rest) = rest.split_at(n_features);
            let (c, d) = rest.split_at(n_features);
            for feature in 0..n_features {
                let (wa, wb, wc, wd) = (a[feature], b[feature], c[feature], d[feature]);
                let row = &mut self.scatter[feature * n_features + feature..(feature + 1) * n_features];
                for ((((sum, xa), xb), xc), xd) in
                    row.iter_mut().zip(&a[feature..]).zip(&b[feature..]).zip(&c[feature..]).zip(&d[feature..])
                {
                    *sum += (wa * xa + wb * xb) + (wc * xc + wd * xd);
                }
            }
        }
        for trial in rows.remainder().chunks_exact(n_features.max(1)) {
            for feature in 0..n_features {
                let row = &mut self.scatter[feature * n_features + feature..(feature + 1) * n_features];
                row.iter_mut().zip(&trial[feature..]).for_each(|(sum, value)| *sum += trial[feature] * value);
            }
        }
    }

    /// Adds `prior · covariance`, shrunk towards its mean variance by a given share.
    fn add_shrunk(&self, shrinkage: f64, prior: f64, covariance: &mut [f64]) {
        let n_features = self.mean.len();
        let factor = prior * (1.0 - shrinkage) / self.n_trials as f64;
        covariance.iter_mut().zip(&self.scatter).for_each(|(sum, value)| *sum += factor * value);
        let trace: f64 = (0..n_features).map(|feature| self.scatter[feature * n_features + feature]).sum::<f64>() / self.n_trials as f64;
        for feature in 0..n_features {
            covariance[feature * n_features + feature] += prior * shrinkage * trace / n_features as f64;
        }
    }

    /// The spread of the class' trials, not standardised.
    fn spread(&self) -> Spread {
        let n_features = self.mean.len();
        let n = self.n_trials as f64;
        let diagonal = |feature: usize| self.scatter[feature * n_features + feature];
        let upper: f64 = self.scatter.iter().map(|value| value * value).sum();
        let square_norm = (2.0 * upper - (0..n_features).map(|feature| diagonal(feature).powi(2)).sum::<f64>()) / (n * n);
        let lengths = self.centred.chunks_exact(n_features.max(1)).map(|trial| trial.iter().map(|value| value * value).sum::<f64>());
        let trace = (0..n_features).map(diagonal).sum::<f64>() / n;
        Spread { n, p: n_features as f64, fourth: lengths.map(|length| length * length).sum(), square_norm, trace }
    }

    /// Adds `prior · covariance`, shrunk by the lemma of Ledoit & Wolf on standardised units.
    fn add_ledoit_wolf(&self, prior: f64, covariance: &mut [f64]) {
        let n_features = self.mean.len();
        let (n, p) = (self.n_trials as f64, n_features as f64);
        let variance: Vec<f64> = (0..n_features).map(|feature| self.scatter[feature * n_features + feature] / n).collect();
        let square_scale: Vec<f64> =
            variance.iter().zip(&self.mean).map(|(&variance, &mean)| if is_constant(n, variance, mean) { 1.0 } else { variance }).collect();
        let inverse: Vec<f64> = square_scale.iter().map(|square| 1.0 / square).collect();

        // Σ over units of the squared standardised value, squared and summed over trials: trace terms of β.
        let fourth: f64 = self
            .centred
            .chunks_exact(n_features.max(1))
            .map(|trial| trial.iter().zip(&inverse).map(|(value, inverse)| value * value * inverse).sum::<f64>().powi(2))
            .sum();
        // ‖standardised scatter‖²: by columns, so that additions need not wait for one another.
        let mut columns = vec![0.0; n_features];
        for feature in 0..n_features {
            let row = &self.scatter[feature * n_features + feature..(feature + 1) * n_features];
            let twice = 2.0 * inverse[feature];
            columns[feature..].iter_mut().zip(row).for_each(|(sum, value)| *sum += twice * value * value);
            columns[feature] -= inverse[feature] * row[0] * row[0];
        }
        let mut square_norm: f64 = columns.iter().zip(&inverse).map(|(sum, inverse)| sum * inverse).sum();
        square_norm /= n * n;
        let trace: f64 = variance.iter().zip(&inverse).map(|(variance, inverse)| variance * inverse).sum();
        let mean_variance = trace / p;
        let beta = (fourth / n - square_norm) / (p * n);
        let delta = (square_norm - 2.0 * mean_variance * trace + p * mean_variance * mean_variance) / p;
        let beta = beta.min(delta);
        // With one unit, or one trial, there is nothing to shrink.
        let shrinkage = if beta == 0.0 || delta == 0.0 || n_features == 1 { 0.0 } else { beta / delta }; // λ of Ledoit & Wolf 2004.

        let factor = prior * (1.0 - shrinkage) / n;
        covariance.iter_mut().zip(&self.scatter).for_each(|(sum, value)| *sum += factor * value);
        for feature in 0..n_features {
            covariance[feature * n_features + feature] += prior * shrinkage * mean_variance * square_scale[feature];
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::{largest, softmax};
    use crate::testing::{GoldenProblem, all_close, golden};
    use neuroflow_data::random::Stream;

    const AUTO: Shrinkage = Either::Left(Estimator::Auto {});

    /// Decision values `[trial × class]`, probabilities, predicted classes.
    fn ask(problem: &GoldenProblem, shrinkage: &Shrinkage) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
        let fitted = fit(&problem.train, &problem.labels, problem.n_classes, shrinkage).unwrap();
        let (mut decisions, mut probabilities, mut predicted) = (Vec::new(), Vec::new(), Vec::new());
        for row in problem.test.row_iter() {
            let mut scores = vec![0.0; problem.n_classes];
            fitted.decide(row, &mut scores);
            predicted.push(largest(&scores) as f64);
            decisions.extend_from_slice(&scores);
            softmax(&mut scores);
            probabilities.extend(scores);
        }
        (decisions, probabilities, predicted)
    }

    #[test]
    fn decisions_probabilities_and_classes_are_those_of_scikit_learn() {
        let Some(problem) = GoldenProblem::open("decode/lda", "X", "y", "train", 1.0) else { return };
        for (shrinkage, name) in [(AUTO, "auto"), (Either::Right(0.3), "s03")] {
            let (decisions, probabilities, predicted) = ask(&problem, &shrinkage);
            all_close(&decisions, &golden("decode/lda", &format!("decision_{name}")).unwrap().1, 1e-8);
            all_close(&probabilities, &golden("decode/lda", &format!("proba_{name}")).unwrap().1, 1e-8);
            assert_eq!(predicted, golden("decode/lda", &format!("pred_{name}")).unwrap().1);
        }
    }

    #[test]
    fn more_units_than_trials_and_unequal_classes_agree_with_scikit_learn_too() {
        for case in ["multi", "wide", "binary"] {
            let case = format!("more/decode/lda_shrink_{case}");
            let Some(problem) = GoldenProblem::open(&case, "in_X", "in_y", "in_test", 0.0) else { return };
            for (shrinkage, name) in [(AUTO, "lw"), (Either::Left(Estimator::Oas {}), "oas"), (Either::Right(0.3), "s03")] {
                let (decisions, probabilities, predicted) = ask(&problem, &shrinkage);
                // Two classes have one decision value there: the difference of ours.
                let decisions = match problem.n_classes {
                    2 => decisions.chunks(2).map(|pair| pair[1] - pair[0]).collect(),
                    _ => decisions,
                };
                all_close(&decisions, &golden(&case, &format!("out_decision_{name}")).unwrap().1, 1e-8);
                all_close(&probabilities, &golden(&case, &format!("out_proba_{name}")).unwrap().1, 1e-8);
                assert_eq!(predicted, golden(&case, &format!("out_pred_{name}")).unwrap().1);
            }
        }
    }

    #[test]
    fn a_constant_unit_changes_nothing_as_in_scikit_learn() {
        let Some((_, expected)) = golden("edge/behaviour", "lda_auto_pred_constant_unit") else { return };
        let mut problem = GoldenProblem::open("decode/lda", "X", "y", "train", 1.0).unwrap();
        // The recorded case sets unit 3 to 1.
        for matrix in [&mut problem.train, &mut problem.test] {
            (0..matrix.rows()).for_each(|trial| matrix[(trial, 3)] = 1.0);
        }
        assert_eq!(ask(&problem, &AUTO).2, expected);
    }

    #[test]
    fn a_hand_computed_problem_has_its_known_scores() {
        // One unit, classes at 0 ± 1 and 4 ± 1: variance 1, priors ½. Score of class c: x m − m²/2 + ln ½.
        let train = Matrix::new(4, 1, vec![-1.0, 1.0, 3.0, 5.0]).unwrap();
        for shrinkage in [AUTO, Either::Left(Estimator::Oas {}), Either::Left(Estimator::Pooled {}), Either::Right(0.0), Either::Right(1.0)]
        {
            let fitted = fit(&train, &[0, 0, 1, 1], 2, &shrinkage).unwrap();
            let mut scores = [0.0; 2];
            fitted.decide(&[3.0], &mut scores);
            all_close(&scores, &[0.5f64.ln(), 3.0 * 4.0 - 8.0 + 0.5f64.ln()], 1e-12);
        }
    }

    #[test]
    fn without_shrinkage_more_units_than_trials_have_a_finite_answer_of_least_norm() {
        let mut stream = Stream::new(5);
        let labels: Vec<usize> = (0..12).map(|trial| trial % 2).collect();
        let train = Matrix::from_fn(12, 30, |trial, unit| stream.normal() + if unit == 0 { 3.0 * labels[trial] as f64 } else { 0.0 });
        let fitted = fit(&train, &labels, 2, &Either::Right(0.0)).unwrap();
        assert!(fitted.weights.iter().chain(&fitted.intercept).all(|value| value.is_finite()));
        // Least norm: no part of the weights lies outside of the space that the trials span.
        let doubled = Matrix::from_fn(12, 60, |trial, unit| train[(trial, unit % 30)]);
        let twin = fit(&doubled, &labels, 2, &Either::Right(0.0)).unwrap();
        let halves: Vec<f64> = fitted.weights.iter().map(|weight| weight / 2.0).collect();
        all_close(&twin.weights[..60], &halves, 1e-6);
        all_close(&twin.weights[60..], &halves, 1e-6);
    }
    #[test]
    fn one_product_gives_the_covariance_of_class_by_class() {
        let mut stream = Stream::new(6);
        for (n_trials, n_features) in [(90, 20), (40, 25)] {
            let labels: Vec<usize> = (0..n_trials).map(|trial| trial * 7 % 3).collect();
            let features = Matrix::from_fn(n_trials, n_features, |trial, unit| match unit {
                3 => 2.0,
                _ => stream.normal() * (1.0 + unit as f64) + 2.0 * f64::from(labels[trial] == unit % 4) + 5.0,
            });
            for shrinkage in [AUTO, Either::Left(Estimator::Oas {}), Either::Right(0.2)] {
                let small = fit(&features, &labels, 3, &shrinkage).unwrap();
                let (means, covariance) = weighted_scatter::covariance(&features, &labels, 3, &shrinkage).unwrap();
                let means = means.transposed();
                let large = classifier(vec![(1.0f64 / 3.0).ln(); 3], &means, solve(&covariance, &means).unwrap());
                all_close(&large.weights, &small.weights, 1e-9);
            }
        }
    }

    #[test]
    fn pooled_shrinkage_is_that_of_ledoit_and_wolf_on_standardised_residuals() {
        let mut stream = Stream::new(9);
        let labels: Vec<usize> = (0..36).map(|trial| trial % 4).collect();
        let features = Matrix::from_fn(36, 12, |trial, unit| stream.normal() * (1.0 + unit as f64) + labels[trial] as f64);
        let (means, covariance) = weighted_scatter::covariance(&features, &labels, 4, &Either::Left(Estimator::Pooled {})).unwrap();
        // The same from residuals divided by their standard deviation, by the kernel for plain samples.
        let mut residuals = Matrix::from_fn(36, 12, |trial, unit| features[(trial, unit)] - means[(labels[trial], unit)]);
        let deviations: Vec<f64> =
            (0..12).map(|unit| (residuals.column(unit).iter().map(|value| value * value).sum::<f64>() / 36.0).sqrt()).collect();
        (0..36).for_each(|trial| residuals.row_mut(trial).iter_mut().zip(&deviations).for_each(|(value, sd)| *value /= sd));
        let shrunk = neuroflow_compute::statistics::ledoit_wolf(&residuals).unwrap();
        let expected = Matrix::from_fn(12, 12, |row, col| shrunk.covariance[(row, col)] * deviations[row] * deviations[col]);
        all_close(covariance.values(), expected.values(), 1e-10);
    }
}
