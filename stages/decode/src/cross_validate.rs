//! Each tested trial predicted by a classifier that did not see it.

use crate::confusion::Confusion;
use crate::model::{Model, most_probable};
use crate::scaling::Scale;
use crate::spectral::numerical;
use crate::split::{Split, Tests};
use crate::target::count;
use neuroflow_compute::parallel::map_in_order;
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::random::Stream;
use neuroflow_data::{Score, Scores};
use neuroflow_stage::{Context, StageError};
use std::sync::atomic::{AtomicUsize, Ordering};

/// What cross-validation gave for each tested trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Predictions {
    /// The number of classes.
    pub(crate) n_classes: usize,
    /// The number of folds.
    pub(crate) n_folds: usize,
    /// The trial and the fold that tested it, by trial and then by fold. With ordinary folds every trial stands here once.
    pub(crate) tested: Vec<(usize, usize)>,
    /// How far tests repeat each other.
    pub(crate) tests: Tests,
    /// The true class of each tested trial.
    pub(crate) truth: Vec<usize>,
    /// The predicted class of each tested trial.
    pub(crate) predicted: Vec<usize>,
    /// The score of each class `[tested × class]`, a probability where the rule has them; empty when the rule has none.
    pub(crate) scores: Vec<f64>,
}

impl Predictions {
    fn pairs(&self) -> impl Iterator<Item = (usize, usize)> + '_ {
        self.truth.iter().copied().zip(self.predicted.iter().copied())
    }

    /// The confusion of all tested trials.
    pub(crate) fn confusion(&self) -> Confusion {
        Confusion::of(self.n_classes, self.pairs())
    }

    /// The confusion of each fold.
    pub(crate) fn fold_confusions(&self) -> Vec<Confusion> {
        (0..self.n_folds)
            .map(|fold| {
                let of_fold = self.tested.iter().zip(self.pairs()).filter(|((_, tester), _)| *tester == fold);
                Confusion::of(self.n_classes, of_fold.map(|(_, pair)| pair))
            })
            .collect()
    }

    /// All scores of the classification, accuracy first.
    pub(crate) fn scores(&self) -> Scores {
        Scores::new(self.confusion().scores(&self.fold_confusions(), self.tests))
    }

    /// The accuracy as a score of this name.
    pub(crate) fn accuracy_score(&self, metric: &str) -> Score {
        self.confusion().accuracy_score(metric, &self.fold_confusions(), self.tests)
    }
}

/// Fits `model` on the training side of each fold and predicts the tested side.
///
/// A class without a training trial in a fold is never predicted there; its probability is 0, its score −∞ where scores are no probabilities. A fold
/// that trains on a single class predicts it.
///
/// # Errors
/// When a fit fails, or the work was cancelled.
pub(crate) fn cross_validate(
    features: &Matrix,
    labels: &[usize],
    n_classes: usize,
    split: &Split,
    model: &Model,
    scale: &Scale,
    context: &Context,
) -> Result<Predictions, StageError> {
    let stream = Stream::new(context.seed).split("model");
    let one = |fold: usize| -> Result<Vec<f64>, StageError> {
        let train_labels: Vec<usize> = split.train[fold].iter().map(|&trial| labels[trial]).collect();
        let stream = stream.split_index(fold as u64);
        let train = features.take_rows(&split.train[fold]);
        let learner = Learner::fit(model, train, &train_labels, n_classes, scale, &stream, context)?;
        Ok(learner.scores(features.take_rows(&split.test[fold])))
    };
    let threads = if model.is_heavy(features.rows(), features.cols()) { Some(context.threads) } else { None };
    let of_folds = in_order(split.n_folds(), threads, context, one)?;
    Ok(collect(split, labels, n_classes, &of_folds))
}

/// Lays the scores of each fold's tested trials `[tested × class]` into the order of [`Split::tested`].
pub(crate) fn collect(split: &Split, labels: &[usize], n_classes: usize, of_folds: &[Vec<f64>]) -> Predictions {
    let tested = split.tested();
    let mut next = vec![0; split.n_folds()];
    let mut scores = Vec::with_capacity(tested.len() * n_classes);
    // The tested trials of a fold are in the order of the session, so that each fold gives its rows one after the other.
    for &(_, fold) in &tested {
        scores.extend_from_slice(&of_folds[fold][next[fold]..next[fold] + n_classes]);
        next[fold] += n_classes;
    }
    let predicted = most_probable(&scores, n_classes);
    let truth = tested.iter().map(|&(trial, _)| labels[trial]).collect();
    Predictions { n_classes, n_folds: split.n_folds(), tested, tests: split.tests(), truth, predicted, scores }
}

/// A classifier that knows some of the classes.
pub(crate) struct Learner {
    fitted: Option<crate::model::Fitted>,
    /// The classes that it knows, in order.
    known: Vec<usize>,
    n_classes: usize,
    /// The score of a class that it does not know.
    lowest: f64,
}

impl Learner {
    /// Learns from all trials of `features`, of which some classes `0 .. n_classes` may have none.
    ///
    /// # Errors
    /// As [`Model::fit`].
    pub(crate) fn fit(
        model: &Model,
        features: Matrix,
        labels: &[usize],
        n_classes: usize,
        scale: &Scale,
        stream: &Stream,
        context: &Context,
    ) -> Result<Learner, StageError> {
        let counts = count(labels, n_classes);
        let known: Vec<usize> = (0..n_classes).filter(|&class| counts[class] > 0).collect();
        let lowest = if model.has_probabilities() { 0.0 } else { f64::NEG_INFINITY };
        let fitted = if known.len() == n_classes {
            Some(model.fit(features, labels, n_classes, scale, stream, context)?)
        } else if known.len() < 2 {
            None
        } else {
            let own: Vec<usize> = labels.iter().map(|label| known.partition_point(|class| class < label)).collect();
            Some(model.fit(features, &own, known.len(), scale, stream, context)?)
        };
        Ok(Learner { fitted, known, n_classes, lowest })
    }

    /// The score of each class `[trial × class]`.
    pub(crate) fn scores(&self, features: Matrix) -> Vec<f64> {
        let n_trials = features.rows();
        let own = match &self.fitted {
            Some(fitted) => fitted.scores(features, self.known.len()),
            None => vec![1.0; n_trials * self.known.len()],
        };
        if self.known.len() == self.n_classes {
            return own;
        }
        let mut scores = vec![self.lowest; n_trials * self.n_classes];
        for (row, own) in scores.chunks_exact_mut(self.n_classes.max(1)).zip(own.chunks_exact(self.known.len().max(1))) {
            self.known.iter().zip(own).for_each(|(&class, &score)| row[class] = score);
        }
        scores
    }
}

/// The results of `n` independent pieces of work in their order: on up to so many threads, or without any ado on this one. Each piece depends on its
/// number alone, so the results do not depend on the number of threads.
///
/// # Errors
/// The first error by number, whichever thread came to it first; or that the work was cancelled.
pub(crate) fn in_order<T: Send>(
    n: usize,
    threads: Option<usize>,
    context: &Context,
    work: impl Fn(usize) -> Result<T, StageError> + Sync,
) -> Result<Vec<T>, StageError> {
    let done = AtomicUsize::new(0);
    let failed = AtomicUsize::new(usize::MAX);
    let piece = |number: usize| -> Option<Result<T, StageError>> {
        // Nothing is begun after a failure, but what comes before it, whose error would be the first.
        if number > failed.load(Ordering::Relaxed) {
            return None;
        }
        let result = context.cancel.check().and_then(|()| work(number));
        if result.is_err() {
            failed.fetch_min(number, Ordering::Relaxed);
        }
        context.progress.report(done.fetch_add(1, Ordering::Relaxed) as u64 + 1, n as u64);
        Some(result)
    };
    let results = match threads {
        None => (0..n).map(piece).collect(),
        Some(threads) => with_threads(threads, || map_in_order(n, piece)).map_err(numerical)?,
    };
    let values: Vec<T> = results.into_iter().flatten().collect::<Result<_, _>>()?;
    if values.len() == n { Ok(values) } else { Err(StageError::Bug("a piece of work has no result".into())) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lda::Estimator;
    use crate::testing::golden;
    use neuroflow_stage::Auto;
    use neuroflow_stage::params::Either;

    #[test]
    fn predictions_of_recorded_folds_are_those_of_scikit_learns_pipelines() {
        let case = "more/decode/kfold";
        let Some((shape, values)) = golden(case, "in_X") else { return };
        let features = Matrix::new(shape[0], shape[1], values).unwrap();
        let labels: Vec<usize> = golden(case, "in_y").unwrap().1.into_iter().map(|label| label as usize).collect();
        let fold: Vec<usize> = golden(case, "in_fold").unwrap().1.into_iter().map(|fold| fold as usize).collect();
        let n_folds = fold.iter().max().unwrap() + 1;
        let split = Split::from(&crate::folds::Folds { of_trial: fold, n_folds });
        let models = [
            ("lda", Model::Lda { shrinkage: Either::Left(Estimator::Auto {}) }, 0),
            ("logistic", Model::Logistic { strength: Auto::Given(1.0), inner: 4, tolerance: 1e-10, steps: 100_000 }, 1),
            ("gnb", Model::Bayes { smoothing: 1e-9 }, 0),
            ("knn5", Model::Knn { k: Auto::Given(5), inner: 4 }, 0),
        ];
        for (name, model, differing) in models {
            let found = cross_validate(&features, &labels, 3, &split, &model, &Scale::ZScore {}, &Context::quiet(0)).unwrap();
            let expected = golden(case, &format!("out_pred_{name}")).unwrap().1;
            let wrong = found.predicted.iter().zip(expected).filter(|(found, expected)| **found as f64 != *expected).count();
            assert!(wrong <= differing, "{name}: {wrong} labels differ");
        }
    }

    #[test]
    fn the_first_failure_by_number_is_the_answer_on_any_number_of_threads() {
        for threads in [None, Some(1), Some(4)] {
            let error = in_order(40, threads, &Context::quiet(0), |number| {
                if number % 7 == 5 { Err(StageError::refused(format!("piece {number}"))) } else { Ok(number) }
            });
            assert_eq!(error.unwrap_err().to_string(), "piece 5");
        }
    }
}
