//! Non-negative canonical polyadic decompositions: `X ≈ Σ_r λ_r a_r ∘ b_r ∘ …`, all factors ≥ 0.
//!
//! * [`mod@hals`]: hierarchical alternating least squares, with extrapolation; dense, with weights or gaps, or sparse.
//! * [`mod@multiplicative`]: multiplicative updates for squared error or for the Kullback–Leibler divergence of counts; dense, with weights, or sparse.
//! * [`mod@bounded`]: all factors at once by limited-memory quasi-Newton steps under the bound 0.
//! * [`matching`]: the factor match score; [`core_consistency()`]: whether the components of a rank suffice.
//!
//! Every function is a pure function of its inputs and a [`Stream`]: one stream for each start.

pub mod bounded;
pub mod core_consistency;
pub mod hals;
pub mod matching;
pub mod multiplicative;
pub mod sparse;

use rayon::prelude::*;

use crate::product::inner;
use crate::random::Stream;
use crate::real::Real;
use crate::tensor::{TensorRef, reconstruct};
use crate::{ComputeError, Matrix};

pub use bounded::bounded;
pub use core_consistency::core_consistency;
pub use hals::{Hals, hals, hals_single};
pub use matching::{Match, factor_match, match_components};
pub use multiplicative::multiplicative;
pub use sparse::SparseTensor;

/// No factor falls below this: a zero could never grow again, and its column would vanish.
pub const FLOOR: f64 = 1e-16;

/// What a decomposition makes small.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Loss {
    /// `½ Σ w (x − x̂)²`.
    Frobenius,
    /// `Σ w (x ln(x / x̂) − x + x̂)`: minus the log-likelihood of Poisson counts, up to what `x` alone decides (Chi & Kolda 2012).
    KullbackLeibler,
}

/// How long to iterate.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Stopping {
    /// The most sweeps over all modes.
    pub sweeps: usize,
    /// Stop when the relative error (for Kullback–Leibler, the loss over the sum of the data) changes less than this in a sweep.
    pub tolerance: f64,
}

/// The data of a decomposition.
#[derive(Debug, Clone, Copy)]
pub enum Entries<'a> {
    /// All values count the same.
    Dense(TensorRef<'a>),
    /// Each value has a weight from 0 (unknown) to 1, row-major as the values. A value of weight 0 may be anything, NaN included.
    Weighted(TensorRef<'a>, &'a [f64]),
    /// Values that are not listed are 0.
    Sparse(&'a SparseTensor),
}

/// A decomposition: columns of unit length, weights in descending order.
#[derive(Debug, Clone, PartialEq)]
pub struct Decomposition {
    /// One factor `[size of mode × rank]` a mode.
    pub factors: Vec<Matrix>,
    /// λ, one a component.
    pub weights: Vec<f64>,
    /// `‖X − X̂‖ / ‖X‖` over the entries that count, by their weights.
    pub relative_error: f64,
    /// The loss that was made small: see [`Loss`].
    pub loss: f64,
    /// Sweeps, or steps, that were made.
    pub sweeps: usize,
}

impl<'a> Entries<'a> {
    /// Sizes of the modes.
    pub fn shape(&self) -> &'a [usize] {
        match self {
            Entries::Dense(tensor) | Entries::Weighted(tensor, _) => tensor.shape(),
            Entries::Sparse(tensor) => tensor.shape(),
        }
    }

    /// Refuses weights that don't fit or are outside of 0 to 1, values that count and are negative or not finite, and ranks of 0.
    fn check(&self, operation: &'static str, rank: usize) -> Result<(), ComputeError> {
        check_rank(operation, rank)?;
        let (values, weights): (&[f64], Option<&[f64]>) = match self {
            Entries::Dense(tensor) => (tensor.values(), None),
            Entries::Weighted(tensor, weights) => {
                crate::error::same_length(operation, tensor.values().len(), weights.len())?;
                if let Some(weight) = weights.iter().find(|weight| !(0.0..=1.0).contains(*weight)) {
                    return Err(ComputeError::value(operation, format!("a weight of {weight}; weights are from 0 to 1")));
                }
                (tensor.values(), Some(weights))
            }
            Entries::Sparse(tensor) => (tensor.values(), None),
        };
        if weights.is_none() {
            return countable(operation, values);
        }
        for (position, value) in values.iter().enumerate() {
            if weights.is_none_or(|weights| weights[position] > 0.0) && !fits(*value) {
                return Err(misfitting(operation, position, *value));
            }
        }
        Ok(())
    }

    /// `Σ w x²`.
    fn squared_norm(&self) -> f64 {
        match self {
            Entries::Dense(tensor) => tensor.squared_norm(),
            Entries::Weighted(tensor, weights) => {
                let terms = tensor.values().iter().zip(*weights).filter(|(_, weight)| **weight > 0.0);
                terms.map(|(value, weight)| weight * value * value).sum()
            }
            Entries::Sparse(tensor) => tensor.squared_norm(),
        }
    }
}

fn check_rank(operation: &'static str, rank: usize) -> Result<(), ComputeError> {
    if rank > 0 { Ok(()) } else { Err(ComputeError::value(operation, "a rank of 0; at least 1 component is needed")) }
}

/// Whether a non-negative decomposition can have this value.
fn fits<T: Real>(value: T) -> bool {
    value >= T::default() && value < T::of(f64::INFINITY)
}

fn misfitting(operation: &'static str, position: usize, value: f64) -> ComputeError {
    if value.is_finite() {
        ComputeError::value(operation, format!("value {position} is {value}; a non-negative decomposition needs values of at least 0"))
    } else {
        ComputeError::NotFinite { operation, position, value }
    }
}

/// Refuses the first value that is negative or not finite.
fn countable<T: Real>(operation: &'static str, values: &[T]) -> Result<(), ComputeError> {
    // Whether there is any is quickly told; only then it is looked for.
    if values.par_chunks(1 << 14).all(|run| run.iter().fold(true, |all, value| all & fits(*value))) {
        return Ok(());
    }
    let found = values.iter().position(|value| !fits(*value));
    found.map_or(Ok(()), |position| Err(misfitting(operation, position, values[position].wide())))
}

/// Random factors whose model has the norm of the data, so that the first sweep does not spend itself on scale.
pub(crate) fn start(shape: &[usize], rank: usize, squared_norm: f64, stream: &mut Stream) -> Result<Vec<Matrix>, ComputeError> {
    let mut factors: Vec<Matrix> = shape.iter().map(|&size| Matrix::from_fn(size, rank, |_, _| stream.uniform() + 0.01)).collect();
    let size = crate::tensor::hadamard_of_grams(&factors, None)?.values().iter().sum::<f64>().max(0.0);
    if size > 0.0 && squared_norm > 0.0 {
        let factor = (squared_norm / size).powf(0.5 / shape.len() as f64);
        factors.iter_mut().for_each(|matrix| matrix.values_mut().iter_mut().for_each(|value| *value *= factor));
    }
    Ok(factors)
}

/// `Σ w (x − x̂)²` and the loss, of a model at every entry.
fn misfit(entries: Entries<'_>, factors: &[Matrix], loss: Loss) -> Result<(f64, f64), ComputeError> {
    let (tensor, weights) = match entries {
        Entries::Dense(tensor) => (tensor, None),
        Entries::Weighted(tensor, weights) => (tensor, Some(weights)),
        Entries::Sparse(tensor) => return tensor.misfit(factors, loss),
    };
    let model = reconstruct(factors)?;
    let (mut squares, mut divergence) = (Vec::new(), Vec::new());
    for (number, (values, model)) in tensor.values().chunks(1 << 12).zip(model.chunks(1 << 12)).enumerate() {
        let (mut square, mut kl) = (0.0, 0.0);
        for (place, (x, model)) in values.iter().zip(model).enumerate() {
            let weight = weights.map_or(1.0, |weights| weights[(number << 12) + place]);
            if weight > 0.0 {
                square += weight * (x - model) * (x - model);
                if loss == Loss::KullbackLeibler {
                    kl += weight * divergence_of(*x, *model);
                }
            }
        }
        squares.push(square);
        divergence.push(kl);
    }
    let square = crate::statistics::sum(&squares);
    Ok((square, if loss == Loss::Frobenius { 0.5 * square } else { crate::statistics::sum(&divergence) }))
}

/// `x ln(x / x̂) − x + x̂`.
fn divergence_of(x: f64, model: f64) -> f64 {
    let model = model.max(FLOOR);
    if x > 0.0 { x * (x / model).ln() - x + model } else { model }
}

fn column_norms(matrix: &Matrix) -> Vec<f64> {
    let mut squares = vec![0.0; matrix.cols()];
    for row in matrix.row_iter() {
        squares.iter_mut().zip(row).for_each(|(sum, value)| *sum += value * value);
    }
    squares.into_iter().map(f64::sqrt).collect()
}

fn scale_columns(matrix: &mut Matrix, scales: &[f64]) {
    let rank = scales.len().max(1);
    for row in matrix.values_mut().chunks_exact_mut(rank) {
        row.iter_mut().zip(scales).for_each(|(value, scale)| *value *= scale);
    }
}

/// Gives every mode an equal share of each component's size, so that no factor grows without bound.
fn balance(factors: &mut [Matrix]) {
    let norms: Vec<Vec<f64>> = factors.iter().map(column_norms).collect();
    let modes = factors.len() as f64;
    for (mode, factor) in factors.iter_mut().enumerate() {
        let scales: Vec<f64> = (0..factor.cols())
            .map(|r| {
                let log_mean = norms.iter().map(|norms| norms[r].max(f64::MIN_POSITIVE).ln()).sum::<f64>() / modes;
                (log_mean - norms[mode][r].max(f64::MIN_POSITIVE).ln()).exp()
            })
            .collect();
        scale_columns(factor, &scales);
    }
}

/// Unit-length columns, weights in descending order.
pub(crate) fn normalised(mut factors: Vec<Matrix>, relative_error: f64, loss: f64, sweeps: usize) -> Decomposition {
    let rank = factors.first().map_or(0, Matrix::cols);
    let mut weights = vec![1.0; rank];
    for factor in &mut factors {
        let norms = column_norms(factor);
        weights.iter_mut().zip(&norms).for_each(|(weight, norm)| *weight *= norm);
        let inverse: Vec<f64> = norms.iter().map(|norm| if *norm > 0.0 { 1.0 / norm } else { 1.0 }).collect();
        scale_columns(factor, &inverse);
    }
    let mut order: Vec<usize> = (0..rank).collect();
    order.sort_by(|&a, &b| weights[b].total_cmp(&weights[a]).then(a.cmp(&b)));
    let factors = factors.iter().map(|factor| factor.take_columns(&order)).collect();
    Decomposition { factors, weights: order.iter().map(|&column| weights[column]).collect(), relative_error, loss, sweeps }
}

/// `Σ x y` of two matrices.
fn overlap(left: &Matrix, right: &Matrix) -> f64 {
    inner(left.values(), right.values())
}

/// √ of a share of the squared norm; 0 for data that are all zero.
fn relative(square: f64, squared_norm: f64) -> f64 {
    if squared_norm > 0.0 { (square.max(0.0) / squared_norm).sqrt() } else { 0.0 }
}
