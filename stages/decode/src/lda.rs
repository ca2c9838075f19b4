//! Shrinkage linear discriminant analysis: one covariance for all classes, estimated with regard to how few trials there are.
//!
//! The numbers are those of scikit-learn 1.9, `LinearDiscriminantAnalysis(solver = "lsqr", shrinkage = "auto")`. With priors π from the training
//! trials, class means m and the covariance S, the score of a class is `x·S⁻¹m − ½ m·S⁻¹m + ln π`. S is the mean of the class covariances weighted by
//! π. With automatic shrinkage each class' covariance is that of Ledoit & Wolf (2004), estimated on units that are standardised within the class
//! and scaled back; a unit that is constant within a class is left at its own scale, as scikit-learn does. With a given shrinkage α it is
//! `(1 − α) S + α (trace S / units) I`.
//!
//! Where S has no inverse (no shrinkage, more units than trials) its pseudo-inverse is used, which is the least-squares solution of least norm.

use crate::linear::LinearClassifier;
use crate::symmetric_solve::solve;
use neuroflow_compute::Matrix;
use neuroflow_stage::{Auto, StageError};

/// Fits on all trials of `features`. Every class `0 .. n_classes` needs a trial.
///
/// # Errors
/// When the covariance can't be solved, which finite input does not reach.
pub(crate) fn fit(
    features: &Matrix,
    labels: &[usize],
    n_classes: usize,
    shrinkage: &Auto<f64>,
) -> Result<LinearClassifier, StageError> {
    let n_features = features.cols();
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
            Auto::Auto => class.add_ledoit_wolf(prior, covariance.values_mut()),
            Auto::Given(shrinkage) => class.add_shrunk(*shrinkage, prior, covariance.values_mut()),
        }
    }
    for row in 0..n_features {
        for column in 0..row {
            covariance[(row, column)] = covariance[(column, row)];
        }
    }
    let weights = solve(&covariance, &means)?;
    let intercept = (0..n_classes)
        .map(|label| log_priors[label] - 0.5 * (0..n_features).map(|feature| means[(feature, label)] * weights[(feature, label)]).sum::<f64>())
        .collect();
    Ok(LinearClassifier { weights: weights.into_values(), intercept })
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
                for ((((sum, xa), xb), xc), xd) in row.iter_mut().zip(&a[feature..]).zip(&b[feature..]).zip(&c[feature..]).zip(&d[feature..]) {
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

    /// Adds `prior · covariance`, shrunk by the lemma of Ledoit & Wolf on standardised units.
    fn add_ledoit_wolf(&self, prior: f64, covariance: &mut [f64]) {
        let n_features = self.mean.len();
        let (n, p) = (self.n_trials as f64, n_features as f64);
        let variance: Vec<f64> = (0..n_features).map(|feature| self.scatter[feature * n_features + feature] / n).collect();
        // Below these bounds rounding can't be told from variance (Chan, Golub & LeVeque 1983; scikit-learn's `_is_constant_feature`).
        let constant = |variance: f64, mean: f64| variance <= n * f64::EPSILON * variance + (n * mean * f64::EPSILON).powi(2);
        let square_scale: Vec<f64> =
            variance.iter().zip(&self.mean).map(|(&variance, &mean)| if constant(variance, mean) { 1.0 } else { variance }).collect();
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

    /// Decision values `[trial × class]`, probabilities, predicted classes.
    fn ask(problem: &GoldenProblem, shrinkage: &Auto<f64>) -> (Vec<f64>, Vec<f64>, Vec<f64>) {
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
        for (shrinkage, name) in [(Auto::Auto, "auto"), (Auto::Given(0.3), "s03")] {
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
            for (shrinkage, name) in [(Auto::Auto, "lw"), (Auto::Given(0.3), "s03")] {
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
        assert_eq!(ask(&problem, &Auto::Auto).2, expected);
    }

    #[test]
    fn a_hand_computed_problem_has_its_known_scores() {
        // One unit, classes at 0 ± 1 and 4 ± 1: variance 1, priors ½. Score of class c: x m − m²/2 + ln ½.
        let train = Matrix::new(4, 1, vec![-1.0, 1.0, 3.0, 5.0]).unwrap();
        for shrinkage in [Auto::Auto, Auto::Given(0.0), Auto::Given(1.0)] {
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
        let fitted = fit(&train, &labels, 2, &Auto::Given(0.0)).unwrap();
        assert!(fitted.weights.iter().chain(&fitted.intercept).all(|value| value.is_finite()));
        // Least norm: no part of the weights lies outside of the space that the trials span.
        let doubled = Matrix::from_fn(12, 60, |trial, unit| train[(trial, unit % 30)]);
        let twin = fit(&doubled, &labels, 2, &Auto::Given(0.0)).unwrap();
        let halves: Vec<f64> = fitted.weights.iter().map(|weight| weight / 2.0).collect();
        all_close(&twin.weights[..60], &halves, 1e-6);
        all_close(&twin.weights[60..], &halves, 1e-6);
    }
}
