//! Non-negative decomposition by multiplicative updates.
//!
//! Squared error: `F ← F ∗ [(W ∗ X)_(n) K] / [(W ∗ X̂)_(n) K]` (Lee & Seung 2001; Shashua & Hazan 2005 for tensors). Kullback–Leibler divergence, for counts:
//! `F ← F ∗ [(W ∗ X / X̂)_(n) K] / [W_(n) K]` (Chi & Kolda 2012 without their inner loop). `K` is the Khatri–Rao product of the other factors. The loss never grows. Slower than
//! HALS for squared error; the method for counts.

use super::{Decomposition, Entries, FLOOR, Loss, Stopping, balance, misfit, normalised, relative, start};
use crate::product::gemm;
use crate::random::Stream;
use crate::tensor::{TensorRef, hadamard_of_grams, mttkrp, reconstruct};
use crate::{ComputeError, Matrix};

/// Decomposes from one random start.
///
/// Refuses values that are negative or not finite (where they count), weights outside of 0 to 1, and a rank of 0. Data that are all zero have a loss of 0.
pub fn multiplicative(
    entries: Entries<'_>,
    rank: usize,
    loss: Loss,
    stopping: Stopping,
    mut stream: Stream,
) -> Result<Decomposition, ComputeError> {
    entries.check("multiplicative updates", rank)?;
    let squared = entries.squared_norm();
    let mut factors = start(entries.shape(), rank, squared, &mut stream)?;
    // What the loss is measured against: half the squared norm, or the sum.
    let scale = match loss {
        Loss::Frobenius => 0.5 * squared,
        Loss::KullbackLeibler => sum_of(entries),
    };
    if scale <= 0.0 {
        let zero = factors.iter().map(|factor| Matrix::from_fn(factor.rows(), rank, |_, _| FLOOR)).collect();
        return Ok(normalised(zero, 0.0, 0.0, 0));
    }
    let measure = |value: f64| match loss {
        Loss::Frobenius => (value / scale).max(0.0).sqrt(),
        Loss::KullbackLeibler => value / scale,
    };
    let known: Option<Vec<f64>> = match entries {
        Entries::Weighted(tensor, weights) => {
            let known = tensor.values().iter().zip(weights).map(|(value, weight)| if *weight > 0.0 { weight * value } else { 0.0 });
            Some(known.collect())
        }
        _ => None,
    };
    let mut before = f64::INFINITY;
    let mut sweeps = 0;
    while sweeps < stopping.sweeps {
        sweeps += 1;
        for mode in 0..factors.len() {
            let (up, down) = match loss {
                Loss::Frobenius => frobenius(entries, known.as_deref(), &factors, mode)?,
                Loss::KullbackLeibler => kullback_leibler(entries, known.as_deref(), &factors, mode)?,
            };
            let ratios = up.values().iter().zip(down.values());
            factors[mode].values_mut().iter_mut().zip(ratios).for_each(|(value, (up, down))| {
                *value = (*value * up / down.max(FLOOR)).max(FLOOR);
            });
        }
        balance(&mut factors);
        let now = measure(misfit(entries, &factors, loss)?.1);
        let done = (before - now).abs() < stopping.tolerance;
        before = now;
        if done {
            break;
        }
    }
    let (square, value) = misfit(entries, &factors, loss)?;
    Ok(normalised(factors, relative(square, squared), value, sweeps))
}

fn sum_of(entries: Entries<'_>) -> f64 {
    match entries {
        Entries::Dense(tensor) => tensor.values().iter().sum(),
        Entries::Weighted(tensor, weights) => {
            tensor.values().iter().zip(weights).filter(|(_, weight)| **weight > 0.0).map(|(value, weight)| value * weight).sum()
        }
        Entries::Sparse(tensor) => tensor.values().iter().sum(),
    }
}

/// Numerator and denominator for squared error. `known` is `W ∗ X`.
fn frobenius(entries: Entries<'_>, known: Option<&[f64]>, factors: &[Matrix], mode: usize) -> Result<(Matrix, Matrix), ComputeError> {
    let by_grams = || gemm(&factors[mode], &hadamard_of_grams(factors, Some(mode))?);
    match (entries, known) {
        (Entries::Weighted(tensor, weights), Some(known)) => {
            let up = mttkrp(TensorRef::new(tensor.shape(), known)?, factors, mode)?;
            let mut model = reconstruct(factors)?;
            model.iter_mut().zip(weights).for_each(|(model, weight)| *model *= weight);
            Ok((up, mttkrp(TensorRef::new(tensor.shape(), &model)?, factors, mode)?))
        }
        (Entries::Sparse(tensor), _) => Ok((tensor.mttkrp(factors, mode)?, by_grams()?)),
        (Entries::Dense(tensor) | Entries::Weighted(tensor, _), _) => Ok((mttkrp(tensor, factors, mode)?, by_grams()?)),
    }
}

/// Numerator and denominator for the Kullback–Leibler divergence. `known` is `W ∗ X`.
fn kullback_leibler(
    entries: Entries<'_>,
    known: Option<&[f64]>,
    factors: &[Matrix],
    mode: usize,
) -> Result<(Matrix, Matrix), ComputeError> {
    let (tensor, weights) = match entries {
        Entries::Sparse(tensor) => return Ok((tensor.ratios(factors)?.mttkrp(factors, mode)?, sums_of_others(factors, mode))),
        Entries::Dense(tensor) => (tensor, None),
        Entries::Weighted(tensor, weights) => (tensor, Some(weights)),
    };
    let mut ratios = reconstruct(factors)?;
    let known = known.unwrap_or(tensor.values());
    ratios.iter_mut().zip(known).for_each(|(model, known)| *model = known / model.max(FLOOR));
    let up = mttkrp(TensorRef::new(tensor.shape(), &ratios)?, factors, mode)?;
    let down = match weights {
        Some(weights) => mttkrp(TensorRef::new(tensor.shape(), weights)?, factors, mode)?,
        None => sums_of_others(factors, mode),
    };
    Ok((up, down))
}

/// The column sums of the Khatri–Rao product of the other factors, on every row.
fn sums_of_others(factors: &[Matrix], mode: usize) -> Matrix {
    let rank = factors[mode].cols();
    let mut product = vec![1.0; rank];
    for (other, factor) in factors.iter().enumerate() {
        if other != mode {
            let mut sums = vec![0.0; rank];
            factor.row_iter().for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
            product.iter_mut().zip(sums).for_each(|(product, sum)| *product *= sum);
        }
    }
    Matrix::from_fn(factors[mode].rows(), rank, |_, column| product[column])
}

#[cfg(test)]
mod tests {
    use super::super::{SparseTensor, factor_match};
    use super::*;

    fn planted(noise: u64) -> (Vec<usize>, Vec<f64>, Vec<Matrix>) {
        let mut stream = Stream::new(6);
        let shape = vec![14, 12, 10];
        let truth: Vec<Matrix> =
            shape.iter().map(|&size| Matrix::from_fn(size, 2, |row, r| if row % 2 == r { 1.0 + stream.uniform() } else { 0.05 })).collect();
        let mut counts = Stream::new(noise);
        let values = reconstruct(&truth).unwrap().into_iter().map(|mean| counts.poisson(mean) as f64).collect();
        (shape, values, truth)
    }

    #[test]
    fn counts_give_back_their_components_by_either_loss() {
        let (shape, values, truth) = planted(1);
        let tensor = TensorRef::new(&shape, &values).unwrap();
        let stopping = Stopping { sweeps: 400, tolerance: 1e-9 };
        for loss in [Loss::Frobenius, Loss::KullbackLeibler] {
            let runs = (0..3).map(|start| multiplicative(Entries::Dense(tensor), 2, loss, stopping, Stream::new(start)).unwrap());
            let best = runs.min_by(|a, b| a.loss.total_cmp(&b.loss)).unwrap();
            assert!(factor_match(&best.factors, &truth).unwrap() > 0.9, "{loss:?}: {}", factor_match(&best.factors, &truth).unwrap());
        }
    }

    #[test]
    fn the_loss_never_grows_and_weights_of_a_half_change_no_minimum() {
        let (shape, values, _) = planted(2);
        let tensor = TensorRef::new(&shape, &values).unwrap();
        let halves = vec![0.5; values.len()];
        for loss in [Loss::Frobenius, Loss::KullbackLeibler] {
            let of = |entries, sweeps| multiplicative(entries, 3, loss, Stopping { sweeps, tolerance: 0.0 }, Stream::new(4)).unwrap().loss;
            let losses: Vec<f64> = (1..12).map(|sweeps| of(Entries::Dense(tensor), sweeps)).collect();
            assert!(losses.windows(2).all(|pair| pair[1] <= pair[0] * (1.0 + 1e-12)), "{losses:?}");
            let weighted = of(Entries::Weighted(tensor, &halves), 60);
            assert!((2.0 * weighted - of(Entries::Dense(tensor), 60)).abs() < 0.05 * losses[10], "{loss:?}");
        }
    }

    #[test]
    fn sparse_and_dense_counts_are_the_same_data() {
        let (shape, values, _) = planted(3);
        let tensor = TensorRef::new(&shape, &values).unwrap();
        let sparse = SparseTensor::from_dense(tensor).unwrap();
        for loss in [Loss::Frobenius, Loss::KullbackLeibler] {
            let of = |entries| multiplicative(entries, 2, loss, Stopping { sweeps: 20, tolerance: 0.0 }, Stream::new(4)).unwrap();
            let (a, b) = (of(Entries::Dense(tensor)), of(Entries::Sparse(&sparse)));
            assert!((a.loss - b.loss).abs() < 1e-6 * a.loss && (a.relative_error - b.relative_error).abs() < 1e-8);
            assert!(factor_match(&a.factors, &b.factors).unwrap() > 1.0 - 1e-6);
        }
    }

    #[test]
    fn a_gap_may_be_anything_and_nothing_has_no_loss() {
        let (shape, mut values, truth) = planted(1);
        let mut weights = vec![1.0; values.len()];
        for place in (0..values.len()).step_by(7) {
            (values[place], weights[place]) = (f64::NAN, 0.0);
        }
        let tensor = TensorRef::new(&shape, &values).unwrap();
        let stopping = Stopping { sweeps: 300, tolerance: 1e-9 };
        let found = multiplicative(Entries::Weighted(tensor, &weights), 2, Loss::KullbackLeibler, stopping, Stream::new(2)).unwrap();
        assert!(factor_match(&found.factors, &truth).unwrap() > 0.9 && found.loss.is_finite());
        let nothing = [0.0; 8];
        let zero = TensorRef::new(&[2, 2, 2], &nothing).unwrap();
        let found = multiplicative(Entries::Dense(zero), 2, Loss::KullbackLeibler, stopping, Stream::new(2)).unwrap();
        assert_eq!((found.loss, found.relative_error), (0.0, 0.0));
    }
}
