//! The class of a trial from the classes of the trials around it: what the order of stimuli alone gives away.

use crate::cross_validate::Predictions;
use crate::folds::Folds;
use crate::linear::largest;
use crate::split::Tests;

/// Predicts each trial by a vote of the `neighbours` training trials nearest in time, with weight 1/distance.
///
/// Trials at the same distance are taken in their order; a tie of votes goes to the class of the nearest trial among the tied, then to the first class.
/// Trials at the very same time weigh as if they were a millionth of the session apart.
pub(crate) fn predict(times: &[f64], labels: &[usize], n_classes: usize, folds: &Folds, neighbours: usize) -> Predictions {
    let (first, last) = times.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), &time| (low.min(time), high.max(time)));
    let least = ((last - first) * 1e-6).max(f64::MIN_POSITIVE);
    let mut order: Vec<usize> = (0..times.len()).collect();
    order.sort_by(|&a, &b| times[a].total_cmp(&times[b]).then(a.cmp(&b)));
    let mut predicted = vec![0; times.len()];
    for (place, &trial) in order.iter().enumerate() {
        let fold = folds.of_trial[trial];
        let distance = |other: usize| (times[other] - times[trial]).abs();
        let mut earlier = order[..place].iter().rev().copied().filter(|&other| folds.of_trial[other] != fold).peekable();
        let mut later = order[place + 1..].iter().copied().filter(|&other| folds.of_trial[other] != fold).peekable();
        let mut votes = vec![0.0; n_classes];
        for voter in 0..neighbours {
            let next = match (earlier.peek(), later.peek()) {
                (Some(&a), Some(&b)) if distance(b) < distance(a) => later.next(),
                (Some(_), _) => earlier.next(),
                (None, _) => later.next(),
            };
            let Some(other) = next else { break };
            // The nearest of equals wins by a hair that no other vote can make up.
            let tie = 1.0 - 1e-12 * voter as f64;
            votes[labels[other]] += tie / distance(other).max(least);
        }
        predicted[trial] = largest(&votes);
    }
    let tests = Tests { trials: labels.len(), shared: 0.0 };
    let tested = folds.of_trial.iter().copied().enumerate().collect();
    Predictions { n_classes, n_folds: folds.n_folds, tested, tests, truth: labels.to_vec(), predicted, scores: Vec::new() }
}
