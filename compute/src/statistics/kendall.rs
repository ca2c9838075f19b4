//! Kendall's rank correlation in `O(n log n)` (Knight 1966).

use crate::ComputeError;
use crate::error::same_length;

/// τ-a: concordant minus discordant pairs over all pairs; ties count as neither. NaN for fewer than two values.
pub fn kendall_tau_a(x: &[f64], y: &[f64]) -> Result<f64, ComputeError> {
    let pairs = Pairs::count(x, y)?;
    Ok(pairs.score() / pairs.all as f64)
}

/// τ-b: corrected for ties on either side; NaN when a side is constant.
pub fn kendall_tau_b(x: &[f64], y: &[f64]) -> Result<f64, ComputeError> {
    let pairs = Pairs::count(x, y)?;
    let untied = |ties: u64| (pairs.all - ties) as f64;
    Ok((pairs.score() / untied(pairs.tied_x).sqrt() / untied(pairs.tied_y).sqrt()).clamp(-1.0, 1.0))
}

/// Numbers of pairs.
struct Pairs {
    all: u64,
    tied_x: u64,
    tied_y: u64,
    tied_both: u64,
    discordant: u64,
}

impl Pairs {
    fn count(x: &[f64], y: &[f64]) -> Result<Pairs, ComputeError> {
        same_length("kendall correlation", x.len(), y.len())?;
        let pairs = |n: usize| (n as u64) * (n as u64).saturating_sub(1) / 2;
        // Adding zero makes −0 and 0 one value for the total order.
        let mut points: Vec<(f64, f64)> = x.iter().zip(y).map(|(x, y)| (x + 0.0, y + 0.0)).collect();
        points.sort_unstable_by(|a, b| a.0.total_cmp(&b.0).then(a.1.total_cmp(&b.1)));
        let tied_x = points.chunk_by(|a, b| a.0 == b.0).map(|ties| pairs(ties.len())).sum();
        let tied_both = points.chunk_by(|a, b| a == b).map(|ties| pairs(ties.len())).sum();
        let mut heights: Vec<f64> = points.iter().map(|point| point.1).collect();
        let discordant = inversions(&mut heights, &mut vec![0.0; points.len()]);
        let tied_y = heights.chunk_by(|a, b| a == b).map(|ties| pairs(ties.len())).sum();
        Ok(Pairs { all: pairs(x.len()), tied_x, tied_y, tied_both, discordant })
    }

    /// Concordant minus discordant pairs.
    fn score(&self) -> f64 {
        let unequal = (self.all + self.tied_both) as i128 - (self.tied_x + self.tied_y) as i128;
        (unequal - 2 * i128::from(self.discordant)) as f64
    }
}

/// Sorts by merging and counts the pairs that stood in the wrong order.
fn inversions(values: &mut [f64], space: &mut [f64]) -> u64 {
    let half = values.len() / 2;
    if half == 0 {
        return 0;
    }
    let mut count = inversions(&mut values[..half], space) + inversions(&mut values[half..], space);
    let (mut left, mut right) = (0, half);
    for target in &mut space[..values.len()] {
        let take_left = right == values.len() || (left < half && values[left] <= values[right]);
        let source = if take_left { &mut left } else { &mut right };
        *target = values[*source];
        *source += 1;
        if !take_left {
            count += (half - left) as u64;
        }
    }
    values.copy_from_slice(&space[..values.len()]);
    count
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::golden::{Case, close};

    #[test]
    fn taus_match_rsatoolbox_with_and_without_ties() {
        let Some(case) = Case::open("similarity/compare") else { return };
        let (a, b) = (case.matrix("a"), case.matrix("b"));
        let rounded = |row: &[f64]| row.iter().map(|value| (value * 10.0).round_ties_even() / 10.0).collect::<Vec<_>>();
        for row in 0..a.rows() {
            for other in 0..b.rows() {
                let place = (row, other);
                close(kendall_tau_a(a.row(row), b.row(other)).unwrap(), case.matrix("tau-a")[place], 1e-12);
                close(kendall_tau_b(a.row(row), b.row(other)).unwrap(), case.matrix("kendall")[place], 1e-12);
                let (x, y) = (rounded(a.row(row)), rounded(b.row(other)));
                close(kendall_tau_a(&x, &y).unwrap(), case.matrix("tau-a_ties")[place], 1e-12);
                close(kendall_tau_b(&x, &y).unwrap(), case.matrix("kendall_ties")[place], 1e-12);
            }
        }
    }

    #[test]
    fn ends_and_edges_have_their_known_values() {
        let line = [1.0, 2.0, 3.0, 4.0];
        assert_eq!(kendall_tau_a(&line, &line).unwrap(), 1.0);
        assert_eq!(kendall_tau_b(&line, &[4.0, 3.0, 2.0, 1.0]).unwrap(), -1.0);
        assert_eq!(kendall_tau_a(&line, &[1.0, 1.0, 2.0, 2.0]).unwrap(), 4.0 / 6.0);
        assert!(kendall_tau_b(&line, &[1.0; 4]).unwrap().is_nan() && kendall_tau_a(&[1.0], &[1.0]).unwrap().is_nan());
        assert_eq!(kendall_tau_a(&line, &[1.0; 4]).unwrap(), 0.0);
        assert!(kendall_tau_a(&line, &[1.0]).is_err());
    }

    proptest! {
        #[test]
        fn counting_by_merging_equals_counting_all_pairs(points in prop::collection::vec((-3i32..4, -3i32..4), 2..40)) {
            let (x, y): (Vec<f64>, Vec<f64>) = points.iter().map(|&(x, y)| (f64::from(x), f64::from(y))).unzip();
            let mut score = 0;
            for (place, a) in points.iter().enumerate() {
                score += points[..place].iter().map(|b| (a.0 - b.0).signum() * (a.1 - b.1).signum()).sum::<i32>();
            }
            let all = (points.len() * (points.len() - 1) / 2) as f64;
            prop_assert!((kendall_tau_a(&x, &y).unwrap() - f64::from(score) / all).abs() < 1e-15);
        }
    }
}
