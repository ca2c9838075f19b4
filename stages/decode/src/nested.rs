//! Choosing a hyper-parameter inside the training trials.
//!
//! Whatever is chosen is chosen by stratified folds that see training trials only, so that the tested trials of the outer fold have no say in it.

use crate::folds::Folds;
use crate::target::count;
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_stage::{Context, StageError};

/// One fold inside the training trials.
pub(crate) struct InnerFold {
    /// `[trial × feature]`.
    pub(crate) train: Matrix,
    pub(crate) train_labels: Vec<usize>,
    /// `[trial × feature]`.
    pub(crate) test: Matrix,
    pub(crate) test_labels: Vec<usize>,
}

/// The number of trials that each candidate predicts right, summed over stratified folds inside the training trials.
///
/// `ask(fold, right)` adds its numbers to `right`, one for each candidate. `what` is the parameter as written, for the refusal.
///
/// # Errors
/// When a class has a single training trial, `ask` fails, or the work was cancelled.
pub(crate) fn count_right(
    features: &Matrix,
    labels: &[usize],
    n_classes: usize,
    (inner, n_candidates): (usize, usize),
    what: &str,
    stream: &Stream,
    context: &Context,
    mut ask: impl FnMut(&InnerFold, &mut [usize]) -> Result<(), StageError>,
) -> Result<Vec<usize>, StageError> {
    let fewest = count(labels, n_classes).into_iter().min().unwrap_or(0);
    let n_folds = inner.min(fewest);
    if n_folds < 2 {
        return Err(StageError::refused_with_help(
            format!("`{what} = auto` needs at least 2 training trials of every class, one class has {fewest}"),
            format!("give `{what}` a number, or use fewer classes"),
        ));
    }
    let folds = Folds::stratified(labels, n_classes, n_folds, stream.split(what).seed());
    let mut right = vec![0; n_candidates];
    for fold in 0..n_folds {
        context.cancel.check()?;
        let (train, test) = (folds.train(fold), folds.test(fold));
        let labels_of = |trials: &[usize]| trials.iter().map(|&trial| labels[trial]).collect();
        let fold = InnerFold {
            train: features.take_rows(&train),
            train_labels: labels_of(&train),
            test: features.take_rows(&test),
            test_labels: labels_of(&test),
        };
        ask(&fold, &mut right)?;
    }
    Ok(right)
}

/// The position of the largest count; the first among equals, so that candidates are listed from the plainest on.
pub(crate) fn best(right: &[usize]) -> usize {
    right.iter().enumerate().fold(0, |best, (place, count)| if *count > right[best] { place } else { best })
}
