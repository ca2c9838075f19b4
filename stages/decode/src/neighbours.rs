//! k nearest neighbours: the classes of the training trials with the most similar activity vote.
//!
//! The numbers of scikit-learn's `KNeighborsClassifier(k)`: Euclidean distance, one vote each; a tie of votes goes to the first class. Training trials at
//! the same distance are taken in their order. `auto` takes the number with the most trials right in stratified folds inside the training
//! trials; among equals the larger one.

use crate::nested::{best, count_right};
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_stage::{Auto, Context, StageError};

/// The candidates of an automatic number, the smoothest first.
const CANDIDATES: [usize; 7] = [45, 25, 15, 9, 5, 3, 1];

/// Neighbours that vote.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Neighbours {
    /// `[trial × feature]`.
    train: Matrix,
    labels: Vec<usize>,
    k: usize,
}

impl Neighbours {
    /// Keeps all trials of `features`.
    ///
    /// # Errors
    /// When there are fewer trials than neighbours, or an automatic number has too few trials to choose.
    pub(crate) fn fit(
        features: &Matrix,
        labels: &[usize],
        n_classes: usize,
        (k, inner): (&Auto<usize>, usize),
        stream: &Stream,
        context: &Context,
    ) -> Result<Neighbours, StageError> {
        let k = match k {
            Auto::Given(k) if *k > labels.len() => {
                return Err(StageError::refused_with_help(
                    format!("`k = {k}` neighbours are more than the {} training trials", labels.len()),
                    format!("at most `k = {}` works here, or `k = auto`", labels.len()),
                ));
            }
            Auto::Given(k) => *k,
            Auto::Auto => choose(features, labels, n_classes, inner, stream, context)?,
        };
        Ok(Neighbours { train: features.clone(), labels: labels.to_vec(), k })
    }

    /// The share of votes of each class for one trial.
    pub(crate) fn decide(&self, features: &[f64], scores: &mut [f64]) {
        scores.fill(0.0);
        let nearest = nearest(&self.train, features, self.k);
        nearest.iter().for_each(|&trial| scores[self.labels[trial]] += 1.0);
        scores.iter_mut().for_each(|votes| *votes /= nearest.len().max(1) as f64);
    }
}

/// The `k` trials nearest to `features`, nearest first.
fn nearest(train: &Matrix, features: &[f64], k: usize) -> Vec<usize> {
    let mut distances: Vec<(f64, usize)> = train
        .row_iter()
        .enumerate()
        .map(|(trial, row)| (row.iter().zip(features).map(|(a, b)| (a - b) * (a - b)).sum::<f64>(), trial))
        .collect();
    let order = |a: &(f64, usize), b: &(f64, usize)| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1));
    let k = k.min(distances.len());
    if k > 0 && k < distances.len() {
        distances.select_nth_unstable_by(k - 1, order);
    }
    distances.truncate(k);
    distances.sort_unstable_by(order);
    distances.into_iter().map(|(_, trial)| trial).collect()
}

fn choose(
    features: &Matrix,
    labels: &[usize],
    n_classes: usize,
    inner: usize,
    stream: &Stream,
    context: &Context,
) -> Result<usize, StageError> {
    let right = count_right(features, labels, n_classes, (inner, CANDIDATES.len()), "k", stream, context, |fold, right| {
        for (row, &truth) in fold.test.row_iter().zip(&fold.test_labels) {
            let order = nearest(&fold.train, row, CANDIDATES[0]);
            for (right, &k) in right.iter_mut().zip(&CANDIDATES) {
                // A number beyond the trials of an inner fold is no candidate.
                let Some(voters) = order.get(..k) else { continue };
                let mut votes = vec![0usize; n_classes];
                voters.iter().for_each(|&trial| votes[fold.train_labels[trial]] += 1);
                *right += usize::from(best(&votes) == truth);
            }
        }
        Ok(())
    })?;
    Ok(CANDIDATES[best(&right)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::linear::largest;
    use crate::testing::{GoldenProblem, all_close, golden};

    fn ask(problem: &GoldenProblem, k: &Auto<usize>) -> (Vec<f64>, Vec<f64>) {
        let context = Context::quiet(0);
        let fitted = Neighbours::fit(&problem.train, &problem.labels, problem.n_classes, (k, 4), &Stream::new(1), &context).unwrap();
        let (mut shares, mut predicted) = (Vec::new(), Vec::new());
        for row in problem.test.row_iter() {
            let mut scores = vec![0.0; problem.n_classes];
            fitted.decide(row, &mut scores);
            predicted.push(largest(&scores) as f64);
            shares.extend(scores);
        }
        (shares, predicted)
    }

    #[test]
    fn votes_and_classes_are_those_of_scikit_learn() {
        let case = "more/decode/bayes_knn_svm";
        let Some(problem) = GoldenProblem::open(case, "in_X", "in_y", "in_test", 0.0) else { return };
        for k in [1, 4, 5] {
            let (shares, predicted) = ask(&problem, &Auto::Given(k));
            all_close(&shares, &golden(case, &format!("out_knn{k}_proba")).unwrap().1, 1e-12);
            assert_eq!(predicted, golden(case, &format!("out_knn{k}_pred")).unwrap().1);
        }
        let Some(problem) = GoldenProblem::open("decode/simple", "X", "y", "train", 1.0) else { return };
        assert_eq!(ask(&problem, &Auto::Given(5)).1, golden("decode/simple", "knn5_pred").unwrap().1);
    }

    #[test]
    fn an_automatic_number_is_large_in_noise_and_small_where_classes_are_islands() {
        let mut stream = Stream::new(3);
        // 30 islands of 4 trials, each of one class of two.
        let islands = Matrix::from_fn(120, 2, |trial, axis| (trial / 4 * [7, 13][axis] % 31) as f64 * 10.0 + stream.uniform());
        let labels: Vec<usize> = (0..120).map(|trial| trial / 4 % 2).collect();
        let chosen = |features: &Matrix| choose(features, &labels, 2, 4, &Stream::new(1), &Context::quiet(0)).unwrap();
        assert!(chosen(&islands) <= 3);
        let shifted = Matrix::from_fn(120, 2, |trial, _| 2.0 * stream.normal() + 2.0 * labels[trial] as f64);
        assert!(chosen(&shifted) >= 5);
    }

    #[test]
    fn more_neighbours_than_trials_are_refused() {
        let features = Matrix::zeros(3, 1);
        let stream = Stream::new(1);
        let error = Neighbours::fit(&features, &[0, 1, 1], 2, (&Auto::Given(4), 4), &stream, &Context::quiet(0)).unwrap_err();
        assert_eq!(error.to_string(), "`k = 4` neighbours are more than the 3 training trials");
    }
}
