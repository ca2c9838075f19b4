//! Each trial predicted by a classifier that did not see it.

use crate::confusion::Confusion;
use crate::folds::Folds;
use crate::model::{Model, most_probable};
use crate::scaling::Scale;
use neuroflow_compute::Matrix;
use neuroflow_data::Score;
use neuroflow_data::random::Stream;
use neuroflow_stage::{Context, StageError};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

/// What cross-validation gave for each trial.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Predictions {
    /// The number of classes.
    pub(crate) n_classes: usize,
    /// The true class.
    pub(crate) truth: Vec<usize>,
    /// The predicted class.
    pub(crate) predicted: Vec<usize>,
    /// The probability of each class `[trial × class]`; empty when the rule has none.
    pub(crate) probabilities: Vec<f64>,
    /// Who tested which trial.
    pub(crate) folds: Folds,
}

impl Predictions {
    /// The confusion of all trials.
    pub(crate) fn confusion(&self) -> Confusion {
        Confusion::of(self.n_classes, self.truth.iter().copied().zip(self.predicted.iter().copied()))
    }

    /// The confusion of each fold.
    pub(crate) fn fold_confusions(&self) -> Vec<Confusion> {
        (0..self.folds.n_folds)
            .map(|fold| Confusion::of(self.n_classes, self.folds.test(fold).into_iter().map(|trial| (self.truth[trial], self.predicted[trial]))))
            .collect()
    }

    /// The accuracy as a score of this name.
    pub(crate) fn accuracy_score(&self, metric: &str) -> Score {
        self.confusion().accuracy_score(metric, &self.fold_confusions())
    }
}

/// Fits `model` on the training side of each fold and predicts the tested side.
///
/// # Errors
/// When a fit fails, or the work was cancelled.
pub(crate) fn cross_validate(
    features: &Matrix,
    labels: &[usize],
    n_classes: usize,
    folds: &Folds,
    model: &Model,
    scale: &Scale,
    context: &Context,
) -> Result<Predictions, StageError> {
    let stream = Stream::new(context.seed).split("model");
    let one = |fold: usize| -> Result<(Vec<usize>, Vec<f64>), StageError> {
        let (train, test) = (folds.train(fold), folds.test(fold));
        let train_labels: Vec<usize> = train.iter().map(|&trial| labels[trial]).collect();
        let stream = stream.split_index(fold as u64);
        let fitted = model.fit(features.take_rows(&train), &train_labels, n_classes, scale, &stream, context)?;
        let probabilities = fitted.probabilities(features.take_rows(&test), n_classes);
        Ok((test, probabilities))
    };
    let threads = if model.is_heavy() { context.threads } else { 1 };
    let mut probabilities = vec![0.0; labels.len() * n_classes];
    for (test, of_test) in in_order(folds.n_folds, threads, context, one)? {
        for (trial, values) in test.into_iter().zip(of_test.chunks_exact(n_classes)) {
            probabilities[trial * n_classes..(trial + 1) * n_classes].copy_from_slice(values);
        }
    }
    let predicted = most_probable(&probabilities, n_classes);
    Ok(Predictions { n_classes, truth: labels.to_vec(), predicted, probabilities, folds: folds.clone() })
}

/// The results of `n` independent pieces of work in their order, on up to `threads` threads. Each piece depends on its number alone, so the results do
/// not depend on the number of threads.
fn in_order<T: Send>(
    n: usize,
    threads: usize,
    context: &Context,
    work: impl Fn(usize) -> Result<T, StageError> + Sync,
) -> Result<Vec<T>, StageError> {
    let next = AtomicUsize::new(0);
    let done = AtomicUsize::new(0);
    let results = Mutex::new((0..n).map(|_| None).collect::<Vec<Option<Result<T, StageError>>>>());
    let worker = || loop {
        let piece = next.fetch_add(1, Ordering::Relaxed);
        if piece >= n {
            break;
        }
        let result = context.cancel.check().and_then(|()| work(piece));
        let failed = result.is_err();
        results.lock().unwrap_or_else(PoisonError::into_inner)[piece] = Some(result);
        if failed {
            // What is already begun ends by itself; nothing new is begun.
            next.store(n, Ordering::Relaxed);
        }
        context.progress.report(done.fetch_add(1, Ordering::Relaxed) as u64 + 1, n as u64);
    };
    if threads <= 1 || n <= 1 {
        worker();
    } else {
        std::thread::scope(|scope| {
            (0..threads.min(n)).for_each(|_| {
                scope.spawn(worker);
            });
        });
    }
    let results = results.into_inner().unwrap_or_else(PoisonError::into_inner);
    let mut values = Vec::with_capacity(n);
    // The first error by number is the answer, whichever thread came to it first.
    for result in results {
        match result {
            Some(Ok(value)) => values.push(value),
            Some(Err(error)) => return Err(error),
            None => break,
        }
    }
    if values.len() == n { Ok(values) } else { Err(StageError::Bug("a fold has no result".into())) }
}
