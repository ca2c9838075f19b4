//! Draws of conditions, subjects and units, from a seeded stream.

use neuroflow_data::random::Stream;
use neuroflow_data::{ControlResult, Score};

/// `count` bootstrap draws of `n` things: how often each is drawn.
pub(crate) fn draws(count: usize, n: usize, stream: &Stream) -> Vec<Vec<u32>> {
    let mut stream = stream.clone();
    (0..count)
        .map(|_| {
            let mut multiplicity = vec![0; n];
            (0..n).for_each(|_| multiplicity[stream.below(n as u64) as usize] += 1);
            multiplicity
        })
        .collect()
}

/// `count` uniform permutations of `n` things.
pub(crate) fn permutations(count: usize, n: usize, stream: &Stream) -> Vec<Vec<usize>> {
    let mut stream = stream.clone();
    (0..count).map(|_| stream.permutation(n)).collect()
}

/// Gives a score the null of permuted `what`, which stands beside it as that of a control does: `permutation(conditions)`. The null is that of
/// `value`, and `shown` turns it, draw by draw, into the score's own terms. p is `(1 + b) / (1 + m)`; draws without a value count against the score, as
/// do those that rounding alone keeps below it. Without a null the score stays as it is.
pub(crate) fn permuted(score: &mut Score, what: &str, value: f64, null: &[Option<f64>], shown: impl Fn(f64) -> f64) {
    if null.is_empty() {
        return;
    }
    let at_least = null.iter().filter(|null| null.is_none_or(|null| null >= value - 1e-12)).count();
    let p = (1.0 + at_least as f64) / (1.0 + null.len() as f64);
    let draws = null.iter().map(|draw| draw.map_or(f64::NAN, &shown)).collect();
    score.controls.push(ControlResult { p, p_corrected: p, ..ControlResult::new(format!("permutation({what})"), score.value, draws) });
}
