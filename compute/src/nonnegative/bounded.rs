//! Non-negative decomposition of all factors at once, by limited-memory quasi-Newton steps under the bound 0.
//!
//! Each step leaves the components that rest on the bound and want below it where they are; the free ones move along the L-BFGS direction of their own gradient
//! (two-metric projection: Bertsekas 1982; with limited memory as in Kim, Sra & Dhillon 2010), projected on the bound and shortened until the loss falls enough (Armijo). It
//! solves the problem of L-BFGS-B (Byrd, Lu, Nocedal & Zhu 1995) with a simpler choice of the free components. Useful where HALS zigzags, with weights, and for the
//! Kullback–Leibler divergence.

use std::collections::VecDeque;

use super::{Decomposition, Entries, FLOOR, Loss, Stopping, balance, divergence_of, misfit, normalised, overlap, relative, start};
use crate::product::inner;
use crate::random::Stream;
use crate::tensor::{DimensionTree, TensorRef, hadamard_of_grams, mttkrp, reconstruct};
use crate::{ComputeError, Matrix};

/// Pairs of steps and changes of the gradient that are remembered.
const MEMORY: usize = 10;

/// Decomposes from one random start; `stopping.sweeps` counts steps.
///
/// Refuses values that are negative or not finite (where they count), weights outside of 0 to 1, a rank of 0, and sparse data with the Kullback–Leibler
/// divergence (its gradient needs the model at every zero only through sums, which multiplicative updates use).
pub fn bounded(
    entries: Entries<'_>,
    rank: usize,
    loss: Loss,
    stopping: Stopping,
    mut stream: Stream,
) -> Result<Decomposition, ComputeError> {
    entries.check("bounded minimisation", rank)?;
    if matches!(entries, Entries::Sparse(_)) && loss == Loss::KullbackLeibler {
        return Err(ComputeError::value(
            "bounded minimisation",
            "sparse data with the Kullback–Leibler divergence; use multiplicative updates",
        ));
    }
    let squared = entries.squared_norm();
    let mut factors = start(entries.shape(), rank, squared, &mut stream)?;
    if squared <= 0.0 {
        return Ok(normalised(factors.iter().map(|factor| Matrix::zeros(factor.rows(), rank)).collect(), 0.0, 0.0, 0));
    }
    balance(&mut factors);
    // In units of the data's size, so that tolerances mean the same for any data.
    let scale = match (loss, entries) {
        (Loss::Frobenius, _) | (_, Entries::Sparse(_)) => 0.5 * squared,
        (_, Entries::Dense(tensor)) => tensor.values().iter().sum(),
        (_, Entries::Weighted(tensor, weights)) => {
            tensor.values().iter().zip(weights).filter(|(_, weight)| **weight > 0.0).map(|(value, weight)| value * weight).sum()
        }
    };
    let shape = entries.shape().to_vec();
    let evaluate = |x: &[f64]| -> Result<(f64, Vec<f64>), ComputeError> {
        let factors = unpacked(x, &shape, rank)?;
        let (value, slopes) = value_and_slopes(entries, &factors, loss, squared)?;
        let gradient = slopes.iter().flat_map(|slopes| slopes.values().iter().map(|slope| slope / scale)).collect();
        Ok((value / scale, gradient))
    };
    let mut x: Vec<f64> = factors.iter().flat_map(|factor| factor.values().iter().copied()).collect();
    let (mut value, mut gradient) = evaluate(&x)?;
    let mut pairs: VecDeque<(Vec<f64>, Vec<f64>, f64)> = VecDeque::with_capacity(MEMORY);
    let mut steps = 0;
    while steps < stopping.sweeps {
        let free: Vec<bool> = x.iter().zip(&gradient).map(|(x, slope)| *x > 1e-12 || *slope < 0.0).collect();
        let slope: Vec<f64> = gradient.iter().zip(&free).map(|(slope, free)| if *free { *slope } else { 0.0 }).collect();
        if slope.iter().all(|slope| slope.abs() < 1e-14) {
            break;
        }
        let mut direction = two_loops(&slope, &pairs, &free);
        if inner(&direction, &slope) >= 0.0 {
            pairs.clear();
            direction = slope.iter().map(|slope| -slope).collect();
        }
        let mut length = if pairs.is_empty() { 1.0 / inner(&slope, &slope).sqrt().max(1.0) } else { 1.0 };
        let mut next = None;
        for _ in 0..40 {
            let trial: Vec<f64> = x.iter().zip(&direction).map(|(x, d)| (x + length * d).max(0.0)).collect();
            let expected: f64 = trial.iter().zip(&x).zip(&gradient).map(|((trial, x), slope)| (trial - x) * slope).sum();
            let (found, slopes) = evaluate(&trial)?;
            if found.is_finite() && found <= value + 1e-4 * expected.min(0.0) && found < value {
                next = Some((trial, found, slopes));
                break;
            }
            length *= 0.5;
        }
        let Some((trial, found, slopes)) = next else {
            if pairs.is_empty() {
                break;
            }
            // What is remembered misleads: once more with the gradient alone.
            pairs.clear();
            continue;
        };
        steps += 1;
        let step: Vec<f64> = trial.iter().zip(&x).map(|(now, before)| now - before).collect();
        let change: Vec<f64> = slopes.iter().zip(&gradient).map(|(now, before)| now - before).collect();
        let curvature = inner(&step, &change);
        if curvature > 1e-12 * inner(&change, &change) {
            if pairs.len() == MEMORY {
                pairs.pop_front();
            }
            pairs.push_back((step, change, 1.0 / curvature));
        }
        let measure = |value: f64| if loss == Loss::Frobenius { value.max(0.0).sqrt() } else { value };
        let fall = measure(value) - measure(found);
        (x, value, gradient) = (trial, found, slopes);
        if fall < stopping.tolerance {
            break;
        }
    }
    let factors = unpacked(&x, &shape, rank)?;
    let (square, value) = misfit(entries, &factors, loss)?;
    Ok(normalised(factors, relative(square, squared), value, steps))
}

fn unpacked(x: &[f64], shape: &[usize], rank: usize) -> Result<Vec<Matrix>, ComputeError> {
    let mut rest = x;
    shape
        .iter()
        .map(|&size| {
            let (own, after) = rest.split_at(size * rank);
            rest = after;
            Matrix::new(size, rank, own.to_vec())
        })
        .collect()
}

/// The loss and its slope along every factor.
fn value_and_slopes(entries: Entries<'_>, factors: &[Matrix], loss: Loss, squared: f64) -> Result<(f64, Vec<Matrix>), ComputeError> {
    let weighted = matches!(entries, Entries::Weighted(..));
    if loss == Loss::Frobenius && !weighted {
        let products = all_products(entries, factors)?;
        let mut slopes = Vec::with_capacity(factors.len());
        let mut value = 0.0;
        for (mode, product) in products.into_iter().enumerate() {
            let model = crate::product::gemm(&factors[mode], &hadamard_of_grams(factors, Some(mode))?)?;
            if mode == 0 {
                value = 0.5 * squared - overlap(&factors[0], &product) + 0.5 * overlap(&factors[0], &model);
            }
            let values = model.values().iter().zip(product.values()).map(|(model, product)| model - product).collect();
            slopes.push(Matrix::new(product.rows(), product.cols(), values)?);
        }
        return Ok((value.max(0.0), slopes));
    }
    let (tensor, weights) = match entries {
        Entries::Weighted(tensor, weights) => (tensor, Some(weights)),
        Entries::Dense(tensor) => (tensor, None),
        Entries::Sparse(_) => return Err(ComputeError::value("bounded minimisation", "sparse data need the plain squared error")),
    };
    let mut residual = reconstruct(factors)?;
    let mut sums = Vec::with_capacity(residual.len() >> 12);
    for (number, (residual, values)) in residual.chunks_mut(1 << 12).zip(tensor.values().chunks(1 << 12)).enumerate() {
        let mut sum = 0.0;
        for (place, (model, x)) in residual.iter_mut().zip(values).enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[(number << 12) + place]);
            if weight <= 0.0 {
                *model = 0.0;
            } else if loss == Loss::Frobenius {
                *model -= x;
                sum += 0.5 * weight * *model * *model;
                *model *= weight;
            } else {
                let floored = model.max(FLOOR.sqrt());
                sum += weight * divergence_of(*x, floored);
                *model = weight * (1.0 - x / floored);
            }
        }
        sums.push(sum);
    }
    let slopes = all_products(Entries::Dense(TensorRef::new(tensor.shape(), &residual)?), factors)?;
    Ok((crate::statistics::sum(&sums), slopes))
}

/// The product with the tensor for every mode.
fn all_products(entries: Entries<'_>, factors: &[Matrix]) -> Result<Vec<Matrix>, ComputeError> {
    match entries {
        Entries::Sparse(tensor) => (0..factors.len()).map(|mode| tensor.mttkrp(factors, mode)).collect(),
        Entries::Dense(tensor) | Entries::Weighted(tensor, _) if factors.len() == 3 => {
            let mut tree = DimensionTree::new(tensor)?;
            (0..3).map(|mode| tree.product(factors, mode)).collect()
        }
        Entries::Dense(tensor) | Entries::Weighted(tensor, _) => (0..factors.len()).map(|mode| mttkrp(tensor, factors, mode)).collect(),
    }
}

/// Minus the gradient times the approximate inverse Hessian of the free components (Nocedal & Wright 2006, algorithm 7.4).
fn two_loops(slope: &[f64], pairs: &VecDeque<(Vec<f64>, Vec<f64>, f64)>, free: &[bool]) -> Vec<f64> {
    let add = |target: &mut [f64], factor: f64, values: &[f64]| {
        target.iter_mut().zip(values).for_each(|(target, value)| *target += factor * value);
    };
    let mut direction: Vec<f64> = slope.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for (step, change, weight) in pairs.iter().rev() {
        let share = weight * inner(step, &direction);
        add(&mut direction, -share, change);
        shares.push(share);
    }
    if let Some((_, change, weight)) = pairs.back() {
        let scale = 1.0 / (weight * inner(change, change));
        direction.iter_mut().for_each(|component| *component *= scale);
    }
    for ((step, change, weight), share) in pairs.iter().zip(shares.into_iter().rev()) {
        let correction = share - weight * inner(change, &direction);
        add(&mut direction, correction, step);
    }
    direction.iter_mut().zip(free).for_each(|(component, free)| *component = if *free { *component } else { 0.0 });
    direction
}

#[cfg(test)]
mod tests {
    use super::super::{Hals, factor_match, hals};
    use super::*;

    fn planted(shape: &[usize], rank: usize) -> (Vec<f64>, Vec<Matrix>) {
        let mut stream = Stream::new(8);
        let factors: Vec<Matrix> = shape.iter().map(|&size| Matrix::from_fn(size, rank, |_, _| stream.exponential())).collect();
        let values = reconstruct(&factors).unwrap().into_iter().map(|value| value + 0.1 * stream.uniform()).collect();
        (values, factors)
    }

    fn best(entries: Entries<'_>, rank: usize, loss: Loss) -> Decomposition {
        let stopping = Stopping { sweeps: 400, tolerance: 1e-10 };
        let runs = (0..4).map(|start| bounded(entries, rank, loss, stopping, Stream::new(3).split_index(start)).unwrap());
        runs.min_by(|a, b| a.loss.total_cmp(&b.loss)).unwrap()
    }

    #[test]
    fn it_ends_where_coordinate_descent_ends() {
        for shape in [vec![10, 9, 8], vec![5, 4, 6, 3]] {
            let (values, truth) = planted(&shape, 3);
            let tensor = TensorRef::new(&shape, &values).unwrap();
            let found = best(Entries::Dense(tensor), 3, Loss::Frobenius);
            let stopping = Stopping { sweeps: 2000, tolerance: 1e-12 };
            let other = (0..4)
                .map(|start| hals(Entries::Dense(tensor), 3, Hals::default(), stopping, Stream::new(start)).unwrap().relative_error)
                .fold(f64::INFINITY, f64::min);
            assert!(found.relative_error < other * 1.01 + 1e-4, "{shape:?}: {} {other}", found.relative_error);
            assert!(factor_match(&found.factors, &truth).unwrap() > 0.97);
            assert!(found.factors.iter().all(|factor| factor.values().iter().all(|value| *value >= 0.0)));
        }
    }

    #[test]
    fn slopes_are_those_of_differences() {
        let shape = [4, 3, 5];
        let (values, _) = planted(&shape, 2);
        let tensor = TensorRef::new(&shape, &values).unwrap();
        let weights: Vec<f64> = (0..60).map(|place| f64::from(place % 3) / 2.0).collect();
        let factors = start(&shape, 2, tensor.squared_norm(), &mut Stream::new(1)).unwrap();
        for (entries, loss) in [
            (Entries::Dense(tensor), Loss::Frobenius),
            (Entries::Weighted(tensor, &weights), Loss::Frobenius),
            (Entries::Dense(tensor), Loss::KullbackLeibler),
            (Entries::Weighted(tensor, &weights), Loss::KullbackLeibler),
        ] {
            let at = |factors: &[Matrix]| value_and_slopes(entries, factors, loss, entries.squared_norm()).unwrap();
            let (_, slopes) = at(&factors);
            for mode in 0..3 {
                let mut moved = factors.clone();
                moved[mode][(1, 1)] += 1e-6;
                let above = at(&moved).0;
                moved[mode][(1, 1)] -= 2e-6;
                let difference = (above - at(&moved).0) / 2e-6;
                assert!((difference - slopes[mode][(1, 1)]).abs() < 1e-4 * difference.abs().max(1.0), "{loss:?} {mode}");
            }
        }
    }

    #[test]
    fn gaps_and_counts_are_understood() {
        let (mut values, truth) = planted(&[10, 9, 8], 2);
        let mut weights = vec![1.0; values.len()];
        for place in (0..values.len()).step_by(5) {
            (values[place], weights[place]) = (f64::NAN, 0.0);
        }
        let tensor = TensorRef::new(&[10, 9, 8], &values).unwrap();
        for loss in [Loss::Frobenius, Loss::KullbackLeibler] {
            let found = best(Entries::Weighted(tensor, &weights), 2, loss);
            assert!(factor_match(&found.factors, &truth).unwrap() > 0.97, "{loss:?}");
        }
        let zero = TensorRef::new(&[2, 2], &[0.0; 4]).unwrap();
        let stopping = Stopping { sweeps: 3, tolerance: 0.0 };
        assert_eq!(bounded(Entries::Dense(zero), 1, Loss::Frobenius, stopping, Stream::new(1)).unwrap().loss, 0.0);
        let sparse = super::super::SparseTensor::from_events(&[2, 2], [vec![0, 1]]).unwrap();
        assert!(bounded(Entries::Sparse(&sparse), 1, Loss::KullbackLeibler, stopping, Stream::new(1)).is_err());
    }
}
