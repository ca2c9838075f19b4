//! Stratified folds, made once from labels and a seed, so that steps that are to be compared share them.
//!
//! The algorithm: the classes are gone through in their sorted order. The trials of a class, in the order of the session, are permuted by the stream
//! `seed / "folds" / class`, and dealt to the folds one by one, going on with the fold after the one that got the last trial of the class before. So
//! each fold has each class's share up to one trial, and fold sizes differ by at most one. A fold is tested on its own trials by a classifier that
//! saw all others.

use crate::place::Place;
use crate::target::Target;
use neuroflow_data::Responses;
use neuroflow_data::random::Stream;
use neuroflow_stage::StageError;

/// Which fold tests each trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Folds {
    /// The fold of each trial.
    pub(crate) of_trial: Vec<usize>,
    /// The number of folds.
    pub(crate) n_folds: usize,
}

impl Folds {
    /// Deals `labels` (classes `0 .. n_classes`) to `n_folds` folds.
    pub(crate) fn stratified(labels: &[usize], n_classes: usize, n_folds: usize, seed: u64) -> Folds {
        let stream = Stream::new(seed).split("folds");
        let mut of_trial = vec![0; labels.len()];
        let mut next = 0;
        for class in 0..n_classes {
            let members: Vec<usize> = (0..labels.len()).filter(|&trial| labels[trial] == class).collect();
            for member in stream.split_index(class as u64).permutation(members.len()) {
                of_trial[members[member]] = next % n_folds.max(1);
                next += 1;
            }
        }
        Folds { of_trial, n_folds }
    }

    /// Folds of a session's target, each with at least one trial of each class.
    ///
    /// # Errors
    /// When a class has fewer trials than there are folds: names the session, the class, the counts, and the largest number of folds that works.
    pub(crate) fn of_session(responses: &Responses, target: &Target, n_folds: usize, seed: u64) -> Result<Folds, StageError> {
        require_trials(responses, target, n_folds)?;
        Ok(Folds::stratified(&target.labels, target.n_classes(), n_folds, seed))
    }

    /// The trials that fold `fold` trains on.
    pub(crate) fn train(&self, fold: usize) -> Vec<usize> {
        (0..self.of_trial.len()).filter(|&trial| self.of_trial[trial] != fold).collect()
    }

    /// The trials that fold `fold` tests.
    pub(crate) fn test(&self, fold: usize) -> Vec<usize> {
        (0..self.of_trial.len()).filter(|&trial| self.of_trial[trial] == fold).collect()
    }
}

/// Refuses a target that has fewer trials of a class than folds.
fn require_trials(responses: &Responses, target: &Target, n_folds: usize) -> Result<(), StageError> {
    let counts = target.counts();
    let Some((rarest, &fewest)) = counts.iter().enumerate().min_by_key(|(_, count)| **count) else {
        return Err(StageError::Bug("a target without classes".into()));
    };
    if fewest >= n_folds && n_folds >= 2 {
        return Ok(());
    }
    let name = target.names().swap_remove(rarest);
    let lacking = counts.iter().filter(|count| **count < n_folds).count();
    let others = match lacking {
        0 | 1 => String::new(),
        _ => format!(" ({lacking} of {} classes have too few)", counts.len()),
    };
    let trials = if fewest == 1 { "1 trial".to_owned() } else { format!("{fewest} trials") };
    let message = format!(
        "{} has {} units, {} trials and {} classes of `{}`; class {name} has {trials}{others}: {n_folds} folds need at least {n_folds} trials of every class",
        Place(responses),
        responses.n_units(),
        responses.n_trials(),
        target.n_classes(),
        target.column,
    );
    let help = if fewest >= 2 {
        format!("at most `folds = {fewest}` works here")
    } else {
        format!("no number of folds works with a single trial of a class: leave class {name} out, or merge it with another")
    };
    Err(StageError::refused_with_help(message, help))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn every_trial_is_tested_once_and_classes_are_spread_evenly(
            labels in proptest::collection::vec(0usize..5, 10..120), n_folds in 2usize..9, seed: u64,
        ) {
            let folds = Folds::stratified(&labels, 5, n_folds, seed);
            let mut tested: Vec<usize> = (0..n_folds).flat_map(|fold| folds.test(fold)).collect();
            tested.sort_unstable();
            prop_assert!(tested.into_iter().eq(0..labels.len()));
            let spread = |count: &dyn Fn(usize) -> usize| {
                let counts: Vec<usize> = (0..n_folds).map(count).collect();
                counts.iter().max().unwrap() - counts.iter().min().unwrap()
            };
            prop_assert!(spread(&|fold| folds.test(fold).len()) <= 1);
            for class in 0..5 {
                prop_assert!(spread(&|fold| folds.test(fold).iter().filter(|&&trial| labels[trial] == class).count()) <= 1);
            }
            for fold in 0..n_folds {
                prop_assert_eq!(folds.train(fold).len() + folds.test(fold).len(), labels.len());
            }
        }
    }

    #[test]
    fn folds_never_change_for_a_seed_and_differ_between_seeds() {
        let labels = [0, 1, 0, 1, 0, 1, 0, 1];
        assert_eq!(Folds::stratified(&labels, 2, 2, 7), Folds::stratified(&labels, 2, 2, 7));
        let distinct: std::collections::BTreeSet<Vec<usize>> = (0..20).map(|seed| Folds::stratified(&labels, 2, 2, seed).of_trial).collect();
        assert!(distinct.len() > 5, "{}", distinct.len());
    }
}
