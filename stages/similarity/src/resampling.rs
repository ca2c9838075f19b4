//! Draws of conditions, subjects and units, from a seeded stream.

use neuroflow_data::random::Stream;

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

/// `(1 + b) / (1 + m)` for values of a null distribution, those that are not defined counting against; none without a null.
pub(crate) fn p_over(value: f64, null: &[Option<f64>]) -> Option<f64> {
    let at_least = null.iter().filter(|null| null.is_none_or(|null| null >= value - 1e-12)).count();
    (!null.is_empty()).then(|| (1.0 + at_least as f64) / (1.0 + null.len() as f64))
}
