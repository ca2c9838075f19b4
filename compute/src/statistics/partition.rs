//! How alike two partitions of the same things are, with scikit-learn's conventions.

use std::collections::BTreeMap;

use super::{log_factorial, sum};
use crate::ComputeError;
use crate::error::same_length;

/// How often each pair of labels occurs together, and each label on its own.
#[derive(Debug, Clone)]
pub struct Contingency {
    /// Counts of the pairs that occur, in the order of the labels: (index of the left label, index of the right label, count).
    pub cells: Vec<(usize, usize, u64)>,
    /// Counts of the labels on the left, ascending by label.
    pub left: Vec<u64>,
    /// Counts of the labels on the right, ascending by label.
    pub right: Vec<u64>,
    /// Number of things.
    pub n: u64,
}

impl Contingency {
    /// Counts two lists of labels; any numbers may serve as labels. Refuses lists of different length.
    pub fn new(left: &[usize], right: &[usize]) -> Result<Contingency, ComputeError> {
        same_length("comparison of partitions", left.len(), right.len())?;
        let index = |labels: &[usize]| {
            let mut counts = BTreeMap::new();
            labels.iter().for_each(|label| *counts.entry(*label).or_insert(0u64) += 1);
            let places: BTreeMap<usize, usize> = counts.keys().enumerate().map(|(place, label)| (*label, place)).collect();
            (places, counts.into_values().collect::<Vec<u64>>())
        };
        let ((left_places, left_counts), (right_places, right_counts)) = (index(left), index(right));
        let mut cells = BTreeMap::new();
        for (a, b) in left.iter().zip(right) {
            *cells.entry((left_places[a], right_places[b])).or_insert(0u64) += 1;
        }
        let cells = cells.into_iter().map(|((a, b), count)| (a, b, count)).collect();
        Ok(Contingency { cells, left: left_counts, right: right_counts, n: left.len() as u64 })
    }

    /// Mutual information in nats.
    pub fn mutual_information(&self) -> f64 {
        let n = self.n as f64;
        let term = |&(a, b, count): &(usize, usize, u64)| {
            let share = count as f64 / n;
            share * ((count as f64).ln() + n.ln() - (self.left[a] as f64).ln() - (self.right[b] as f64).ln())
        };
        let information = sum(&self.cells.iter().map(term).collect::<Vec<_>>());
        if information.abs() < f64::EPSILON { 0.0 } else { information.max(0.0) }
    }

    /// Entropies in nats of the left and the right partition.
    pub fn entropies(&self) -> (f64, f64) {
        let n = self.n as f64;
        let entropy =
            |counts: &[u64]| -sum(&counts.iter().map(|&count| count as f64 / n * ((count as f64).ln() - n.ln())).collect::<Vec<_>>());
        (entropy(&self.left), entropy(&self.right))
    }

    /// The mutual information expected of random partitions with the same sizes (Vinh, Epps & Bailey 2010, eq. 24a).
    pub fn expected_mutual_information(&self) -> f64 {
        let n = self.n;
        let n_float = n as f64;
        let mut terms = Vec::new();
        for &a in &self.left {
            for &b in &self.right {
                let constant = log_factorial(a) + log_factorial(b) + log_factorial(n - a) + log_factorial(n - b) - log_factorial(n);
                for both in (a + b).saturating_sub(n).max(1)..=a.min(b) {
                    let log_chance = constant
                        - log_factorial(both)
                        - log_factorial(a - both)
                        - log_factorial(b - both)
                        - log_factorial(n + both - a - b);
                    let information = (n_float * both as f64).ln() - (a as f64).ln() - (b as f64).ln();
                    terms.push(both as f64 / n_float * information * log_chance.exp());
                }
            }
        }
        sum(&terms)
    }

    /// Whether both sides are one block, or all things are apart on both: the two are then equal.
    fn trivially_equal(&self) -> bool {
        let (left, right) = (self.left.len() as u64, self.right.len() as u64);
        left == right && (left <= 1 || left == self.n)
    }
}

/// Normalised mutual information, 0–1, by the arithmetic mean of the entropies; 1 when both sides are a single block. Refuses lists of different length.
pub fn normalised_mutual_information(left: &[usize], right: &[usize]) -> Result<f64, ComputeError> {
    let table = Contingency::new(left, right)?;
    if table.left.len() == table.right.len() && table.left.len() <= 1 {
        return Ok(1.0);
    }
    let information = table.mutual_information();
    if information == 0.0 {
        return Ok(0.0);
    }
    let (left, right) = table.entropies();
    Ok((information / (0.5 * (left + right))).min(1.0))
}

/// The Rand index corrected for chance (Hubert & Arabie 1985): 1 for equal partitions, 0 expected of random ones. Refuses lists of different length.
pub fn adjusted_rand_index(left: &[usize], right: &[usize]) -> Result<f64, ComputeError> {
    let table = Contingency::new(left, right)?;
    let squares = |counts: &[u64]| counts.iter().map(|&count| u128::from(count) * u128::from(count)).sum::<u128>() as f64;
    let n = table.n as f64;
    let both = table.cells.iter().map(|cell| u128::from(cell.2) * u128::from(cell.2)).sum::<u128>() as f64;
    let (left, right) = (squares(&table.left), squares(&table.right));
    // Ordered pairs: together on both sides, only right, only left, apart on both.
    let (together, only_right, only_left) = (both - n, right - both, left - both);
    let apart = n * n - only_right - only_left - both;
    if only_left == 0.0 && only_right == 0.0 {
        return Ok(1.0);
    }
    let (agree, differ) = (together * apart, only_left * only_right);
    Ok(2.0 * (agree - differ) / ((together + only_left) * (only_left + apart) + (together + only_right) * (only_right + apart)))
}

/// Mutual information corrected for chance and normalised by the arithmetic mean of the entropies (Vinh, Epps & Bailey 2010). Refuses lists of different length.
pub fn adjusted_mutual_information(left: &[usize], right: &[usize]) -> Result<f64, ComputeError> {
    let table = Contingency::new(left, right)?;
    if table.trivially_equal() {
        return Ok(1.0);
    }
    if table.left.len() <= 1 || table.right.len() <= 1 {
        // One block tells nothing: information and expectation are both zero.
        return Ok(0.0);
    }
    let expected = table.expected_mutual_information();
    let (left, right) = table.entropies();
    let range = 0.5 * (left + right) - expected;
    let range = if range < 0.0 { range.min(-f64::EPSILON) } else { range.max(f64::EPSILON) };
    Ok((table.mutual_information() - expected) / range)
}

/// Element-centric similarity, 0–1 (Gates, Wood, Hetrick & Ahn 2019): the mean over things of how alike their blocks on both sides are, `|A ∩ B| / max(|A|, |B|)`, which is what
/// the walks of the paper come to for partitions without overlap, whatever their restart. Not biased towards many or unequal blocks; 1 for nothing. Refuses lists of different length.
pub fn element_centric_similarity(left: &[usize], right: &[usize]) -> Result<f64, ComputeError> {
    let table = Contingency::new(left, right)?;
    if table.n == 0 {
        return Ok(1.0);
    }
    let terms = table.cells.iter().map(|&(a, b, count)| (count * count) as f64 / table.left[a].max(table.right[b]) as f64);
    Ok((sum(&terms.collect::<Vec<_>>()) / table.n as f64).min(1.0))
}

/// Variation of information in nats (Meilă 2007): what each side tells that the other does not; 0 for equal partitions, `ln n` at most; a metric. Refuses lists of
/// different length.
pub fn variation_of_information(left: &[usize], right: &[usize]) -> Result<f64, ComputeError> {
    let table = Contingency::new(left, right)?;
    if table.n == 0 {
        return Ok(0.0);
    }
    let n = table.n as f64;
    let terms = table.cells.iter().map(|&(a, b, count)| {
        let (both, a, b) = (count as f64, table.left[a] as f64, table.right[b] as f64);
        both / n * ((a / both).ln() + (b / both).ln())
    });
    Ok(sum(&terms.collect::<Vec<_>>()).max(0.0))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::golden::{Case, close};

    #[test]
    fn all_three_scores_match_scikit_learn() {
        let Some(case) = Case::open("connectome/partition_scores") else { return };
        let (a, b) = (case.labels("a"), case.labels("b"));
        close(normalised_mutual_information(&a, &b).unwrap(), case.number("nmi"), 1e-12);
        close(adjusted_rand_index(&a, &b).unwrap(), case.number("ari"), 1e-12);
        close(adjusted_mutual_information(&a, &b).unwrap(), case.number("ami"), 1e-10);
    }

    #[test]
    fn equal_independent_and_single_partitions_have_their_known_scores() {
        let scores = |a: &[usize], b: &[usize]| {
            [normalised_mutual_information, adjusted_rand_index, adjusted_mutual_information].map(|score| score(a, b).unwrap())
        };
        for score in scores(&[0, 0, 1, 1], &[5, 5, 2, 2]) {
            close(score, 1.0, 1e-12);
        }
        assert_eq!(scores(&[0, 0, 0], &[4, 4, 4]), [1.0; 3]);
        assert_eq!(scores(&[], &[]), [1.0; 3]);
        assert_eq!(scores(&[0, 0, 0, 0], &[0, 1, 2, 3]), [0.0; 3]);
        let [nmi, ari, ami] = scores(&[0, 0, 1, 1], &[0, 1, 0, 1]);
        close(nmi, 0.0, 1e-15);
        // scikit-learn 1.9: adjusted_rand_score and adjusted_mutual_info_score of these labels are both −0.5.
        close(ari, -0.5, 1e-12);
        close(ami, -0.5, 1e-12);
        assert!(adjusted_rand_index(&[0], &[0, 1]).is_err());
    }

    #[test]
    fn element_centric_similarity_is_that_of_the_walks() {
        // Four things in one block against two blocks of two: each walk of the first is spread over 4, of the second over 2, 2 in common.
        close(element_centric_similarity(&[0, 0, 0, 0], &[0, 0, 1, 1]).unwrap(), 0.5, 1e-15);
        close(element_centric_similarity(&[0, 1, 2], &[2, 0, 1]).unwrap(), 1.0, 1e-15);
        // By the definition, with restart 0.9: 1 − Σ|p − q| / (2 · 0.9), averaged over things.
        let (a, b) = ([0, 0, 0, 1, 1, 2, 2, 2], [0, 0, 1, 1, 1, 1, 2, 2]);
        let walk = |labels: &[usize], i: usize, j: usize| {
            let size = labels.iter().filter(|label| **label == labels[i]).count() as f64;
            f64::from(u8::from(i == j)) * 0.1 + if labels[i] == labels[j] { 0.9 / size } else { 0.0 }
        };
        let direct: f64 =
            (0..8).map(|i| 1.0 - (0..8).map(|j| (walk(&a, i, j) - walk(&b, i, j)).abs()).sum::<f64>() / 1.8).sum::<f64>() / 8.0;
        close(element_centric_similarity(&a, &b).unwrap(), direct, 1e-12);
        assert_eq!(element_centric_similarity(&[], &[]).unwrap(), 1.0);
        assert!(element_centric_similarity(&[1], &[]).is_err());
    }

    #[test]
    fn variation_of_information_is_a_distance() {
        close(variation_of_information(&[0, 0, 1, 1], &[0, 1, 0, 1]).unwrap(), 2.0 * 2f64.ln(), 1e-12);
        assert_eq!((variation_of_information(&[3, 3, 1], &[0, 0, 2]).unwrap(), variation_of_information(&[], &[]).unwrap()), (0.0, 0.0));
        let (a, b, c) = ([0, 0, 1, 1, 2, 2], [0, 1, 1, 1, 2, 0], [0, 0, 0, 1, 1, 1]);
        let distance = |x: &[usize], y: &[usize]| variation_of_information(x, y).unwrap();
        assert!(distance(&a, &c) <= distance(&a, &b) + distance(&b, &c) + 1e-12);
        let table = Contingency::new(&a, &b).unwrap();
        let (left, right) = table.entropies();
        close(distance(&a, &b), left + right - 2.0 * table.mutual_information(), 1e-12);
        assert!(variation_of_information(&[1], &[]).is_err());
    }

    proptest! {
        #[test]
        fn scores_do_not_depend_on_names_or_sides(pairs in prop::collection::vec((0usize..4, 0usize..4), 2..30)) {
            let (a, b): (Vec<_>, Vec<_>) = pairs.into_iter().unzip();
            let renamed: Vec<usize> = a.iter().map(|label| 100 - 7 * label).collect();
            for score in [normalised_mutual_information, adjusted_rand_index, adjusted_mutual_information, element_centric_similarity] {
                let value = score(&a, &b).unwrap();
                prop_assert!((value - score(&b, &a).unwrap()).abs() < 1e-9);
                prop_assert!((value - score(&renamed, &b).unwrap()).abs() < 1e-9);
                prop_assert!(value <= 1.0 + 1e-9);
            }
        }
    }
}
