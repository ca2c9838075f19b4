//! Permutation tests: how often chance alone gives a statistic as large.

use super::p_value;
use crate::error::{finite, same_length};
use crate::random::Stream;
use crate::{ComputeError, Matrix};

/// What a permutation test found.
#[derive(Debug, Clone, PartialEq)]
pub struct PermutationTest {
    /// The statistic of the data as they are.
    pub observed: f64,
    /// The statistic of each permutation.
    pub null: Vec<f64>,
    /// `(1 + b) / (1 + m)`, small when the observed statistic is large.
    pub p: f64,
}

/// Permutes labels: `statistic` is asked for the labels as they are and `permutations` times in random order. For a test of both sides give a
/// statistic that is large on both, such as a magnitude. Permutations are exact when labels are exchangeable if nothing depends on them. Refuses no
/// permutations.
pub fn permute_labels(
    labels: &[usize],
    permutations: usize,
    stream: &Stream,
    statistic: impl Fn(&[usize]) -> f64,
) -> Result<PermutationTest, ComputeError> {
    require_permutations(permutations)?;
    let observed = statistic(labels);
    let draw = |number: usize| {
        let order = stream.split_index(number as u64).permutation(labels.len());
        statistic(&order.into_iter().map(|place| labels[place]).collect::<Vec<_>>())
    };
    let null: Vec<f64> = (0..permutations).map(draw).collect();
    Ok(PermutationTest { observed, p: p_value(observed, &null), null })
}

/// Flips signs: `statistic` is asked for the differences as they are and `permutations` times with random signs. Exact when differences are symmetric
/// around zero if there is no effect. Refuses no permutations, and values that are not finite.
pub fn flip_signs(
    differences: &[f64],
    permutations: usize,
    stream: &Stream,
    statistic: impl Fn(&[f64]) -> f64,
) -> Result<PermutationTest, ComputeError> {
    require_permutations(permutations)?;
    finite("sign-flip test", differences)?;
    let observed = statistic(differences);
    let draw = |number: usize| {
        let signs = random_signs(differences.len(), &stream.split_index(number as u64));
        statistic(&differences.iter().zip(signs).map(|(value, sign)| sign * value).collect::<Vec<_>>())
    };
    let null: Vec<f64> = (0..permutations).map(draw).collect();
    Ok(PermutationTest { observed, p: p_value(observed, &null), null })
}

/// p values that hold the chance of any false discovery in a family of tests: each statistic against the largest of the family in each draw (Westfall
/// & Young 1993; Nichols & Holmes 2002), `(1 + #{max ≥ observed}) / (1 + m)`.
///
/// `null` is `[draw × test]`, with one draw for the whole family at once, so that dependence between tests is kept. A value of the null that is not a
/// number counts as the largest. Refuses a null with other tests, and an observed statistic that is not a number.
pub fn max_statistic(observed: &[f64], null: &Matrix) -> Result<Vec<f64>, ComputeError> {
    same_length("max-statistic", observed.len(), null.cols())?;
    if let Some(test) = observed.iter().position(|value| value.is_nan()) {
        return Err(ComputeError::value("max-statistic", format!("the statistic of test {test} is not a number")));
    }
    let largest =
        |row: &[f64]| row.iter().fold(f64::NEG_INFINITY, |largest, &value| if value.is_nan() { f64::INFINITY } else { largest.max(value) });
    let largest: Vec<f64> = null.row_iter().map(largest).collect();
    Ok(observed.iter().map(|&value| p_value(value, &largest)).collect())
}

pub(super) fn require_permutations(permutations: usize) -> Result<(), ComputeError> {
    if permutations > 0 {
        return Ok(());
    }
    Err(ComputeError::value("permutation test", "no permutations are asked for; p can't be below 1 / (1 + permutations), so 999 are usual"))
}

/// Signs, each + or − with equal chance.
pub(super) fn random_signs(n: usize, stream: &Stream) -> Vec<f64> {
    let mut stream = stream.clone();
    let mut bits = 0;
    (0..n)
        .map(|place| {
            if place % 64 == 0 {
                bits = stream.next_u64();
            }
            if bits >> (place % 64) & 1 == 0 { 1.0 } else { -1.0 }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::close;
    use crate::statistics::mean;

    #[test]
    fn an_effect_has_the_smallest_p_that_there_can_be_and_labels_are_only_permuted() {
        let labels: Vec<usize> = (0..20).map(|trial| trial % 2).collect();
        let values: Vec<f64> = labels.iter().map(|&label| 10.0 * label as f64).collect();
        let difference = |labels: &[usize]| {
            assert_eq!(labels.iter().sum::<usize>(), 10);
            values.iter().zip(labels).map(|(value, &label)| if label == 1 { *value } else { -value }).sum::<f64>()
        };
        let test = permute_labels(&labels, 99, &Stream::new(1), difference).unwrap();
        assert_eq!((test.observed, test.p, test.null.len()), (100.0, 0.01, 99));
        let test = flip_signs(&[1.0; 20], 99, &Stream::new(1), mean).unwrap();
        assert_eq!((test.observed, test.p), (1.0, 0.01));
        assert_eq!(test, flip_signs(&[1.0; 20], 99, &Stream::new(1), mean).unwrap());
    }

    #[test]
    fn signs_are_even_and_what_is_no_test_is_refused() {
        close(mean(&random_signs(100_000, &Stream::new(3))), 0.0, 0.015);
        assert!(permute_labels(&[0, 1], 0, &Stream::new(1), |_| 0.0).is_err());
        assert!(flip_signs(&[f64::NAN], 9, &Stream::new(1), mean).is_err() && flip_signs(&[1.0], 0, &Stream::new(1), mean).is_err());
    }

    #[test]
    fn the_largest_of_a_family_is_what_each_test_must_beat() {
        let null = Matrix::new(4, 2, vec![1.0, 0.0, 0.0, 3.0, 2.0, 2.5, f64::NAN, 0.0]).unwrap();
        assert_eq!(max_statistic(&[2.6, 9.0], &null).unwrap(), [3.0 / 5.0, 2.0 / 5.0]);
        assert!(max_statistic(&[1.0], &null).is_err() && max_statistic(&[f64::NAN, 1.0], &null).is_err());
        assert_eq!(max_statistic(&[1.0], &Matrix::zeros(0, 1)).unwrap(), [1.0]);
    }
}
