//! Non-negative decomposition by hierarchical alternating least squares, extrapolated.
//!
//! For each mode `U = MTTKRP`, `Γ = ∗ FᵀF` of the other modes, then column by column `F_r ← max(ε, F_r + (U_r − F Γ_r) / Γ_rr)` (Cichocki & Phan 2009), several
//! passes for one product (Gillis & Glineur 2012). Between sweeps the factors are extrapolated along their last change, and not when that made the error grow (after Ang,
//! Cohen, Gillis & Hien 2020). Weights and gaps: each sweep fits `W ∗ X + (1 − W) ∗ X̂`, which never raises the weighted error.

use rayon::prelude::*;

use super::{Decomposition, Entries, FLOOR, Loss, Stopping, balance, check_rank, countable, misfit, normalised, overlap, relative, start};
use crate::product::gemm;
use crate::random::Stream;
use crate::statistics::sum;
use crate::tensor::{DimensionTree, TensorRef, descend, hadamard_of_grams, mttkrp, reconstruct};
use crate::{ComputeError, Matrix};

/// How HALS works.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Hals {
    /// Extrapolate between sweeps.
    pub extrapolate: bool,
    /// The most passes over the columns of a factor for one product with the tensor. 1 is the classic method.
    pub passes: usize,
}

impl Default for Hals {
    /// Extrapolated, five passes.
    fn default() -> Hals {
        Hals { extrapolate: true, passes: 5 }
    }
}

/// Decomposes from one random start.
///
/// Refuses values that are negative or not finite (where they count), weights outside of 0 to 1, and a rank of 0. Data that are all zero have an error of 0.
pub fn hals(
    entries: Entries<'_>,
    rank: usize,
    method: Hals,
    stopping: Stopping,
    mut stream: Stream,
) -> Result<Decomposition, ComputeError> {
    entries.check("HALS", rank)?;
    let squared = entries.squared_norm();
    let factors = start(entries.shape(), rank, squared, &mut stream)?;
    match entries {
        Entries::Weighted(tensor, weights) => weighted(tensor, weights, factors, squared, method, stopping),
        Entries::Dense(tensor) if tensor.shape().len() == 3 => {
            fit(&mut Source::Tree(DimensionTree::new(tensor)?), factors, squared, method, stopping).map(finish(squared))
        }
        Entries::Dense(tensor) => fit(&mut Source::Dense(tensor), factors, squared, method, stopping).map(finish(squared)),
        Entries::Sparse(tensor) => fit(&mut Source::Sparse(tensor), factors, squared, method, stopping).map(finish(squared)),
    }
}

/// As [`hals`] for a whole tensor of three modes, which is held and contracted in single precision: half the memory and less than half the time.
///
/// Factors and what is solved for them stay in double precision. Each product has an error of some 1e-6 of its size, so that errors of the fit are told to about 1e-4 of themselves; small ones
/// (below [`SMALL`]) are taken from the differences of data and model in the end.
///
/// # Errors
/// As [`hals`]; a tensor of other than three modes.
pub fn hals_single(
    tensor: TensorRef<'_, f32>,
    rank: usize,
    method: Hals,
    stopping: Stopping,
    mut stream: Stream,
) -> Result<Decomposition, ComputeError> {
    check_rank("HALS", rank)?;
    countable("HALS", tensor.values())?;
    let tree = DimensionTree::new(tensor)?;
    let squared = tensor.squared_norm();
    let factors = start(tensor.shape(), rank, squared, &mut stream)?;
    let (factors, mut error, sweeps) = fit(&mut Source::Single(tree), factors, squared, method, stopping)?;
    if error < SMALL {
        error = relative(residual(tensor, &factors)?, squared);
    }
    Ok(finish(squared)((factors, error, sweeps)))
}

/// The relative error below which rounding in single precision would be seen in it.
pub const SMALL: f64 = 0.03;

/// `‖X − X̂‖²` of a tensor of three modes, slice by slice of the first.
fn residual(tensor: TensorRef<'_, f32>, factors: &[Matrix]) -> Result<f64, ComputeError> {
    let ([first, second, third], &[_, columns, depth]) = (factors, tensor.shape()) else {
        return Err(ComputeError::shape("HALS", format!("{} modes; single precision is for three", tensor.shape().len())));
    };
    let slices: Vec<(&[f64], &[f32])> = first.row_iter().zip(tensor.values().chunks((columns * depth).max(1))).collect();
    let squares = slices.par_iter().map(|(loads, values)| {
        let model = gemm(&Matrix::from_fn(columns, loads.len(), |row, r| loads[r] * second[(row, r)]), third.t())?;
        Ok(values.iter().zip(model.values()).map(|(value, model)| (f64::from(*value) - model).powi(2)).sum::<f64>())
    });
    Ok(sum(&squares.collect::<Result<Vec<f64>, ComputeError>>()?))
}

/// Where the products with the tensor come from.
enum Source<'a> {
    Tree(DimensionTree<'a>),
    Single(DimensionTree<'a, f32>),
    Dense(TensorRef<'a>),
    Sparse(&'a super::SparseTensor),
}

impl Source<'_> {
    fn product(&mut self, factors: &[Matrix], mode: usize) -> Result<Matrix, ComputeError> {
        match self {
            Source::Tree(tree) => tree.product(factors, mode),
            Source::Single(tree) => tree.product(factors, mode),
            Source::Dense(tensor) => mttkrp(*tensor, factors, mode),
            Source::Sparse(tensor) => tensor.mttkrp(factors, mode),
        }
    }

    fn changed(&mut self, mode: usize) {
        match self {
            Source::Tree(tree) => tree.changed(mode),
            Source::Single(tree) => tree.changed(mode),
            Source::Dense(_) | Source::Sparse(_) => {}
        }
    }
}

/// Factors, relative error, sweeps.
type Fit = (Vec<Matrix>, f64, usize);

fn finish(squared: f64) -> impl Fn(Fit) -> Decomposition {
    move |(factors, error, sweeps)| normalised(factors, error, 0.5 * error * error * squared, sweeps)
}

/// One plain update of every mode; gives `‖X − X̂‖²` of the result.
fn sweep(source: &mut Source<'_>, factors: &mut [Matrix], squared: f64, passes: usize) -> Result<f64, ComputeError> {
    let mut square = squared;
    for mode in 0..factors.len() {
        let product = source.product(factors, mode)?;
        let grams = hadamard_of_grams(factors, Some(mode))?;
        descend(&mut factors[mode], &product, &grams, FLOOR, passes)?;
        source.changed(mode);
        if mode + 1 == factors.len() {
            square = squared - 2.0 * overlap(&factors[mode], &product) + size_of(&factors[mode], &grams);
        }
    }
    Ok(square.max(0.0))
}

/// `‖X̂‖²` from a factor and the Gram matrices of the others.
fn size_of(factor: &Matrix, grams: &Matrix) -> f64 {
    overlap(&crate::product::gram(factor), grams)
}

fn fit(source: &mut Source<'_>, factors: Vec<Matrix>, squared: f64, method: Hals, stopping: Stopping) -> Result<Fit, ComputeError> {
    let mut error = f64::INFINITY;
    let mut sweeps = 0;
    let mut plain = factors;
    if !method.extrapolate {
        while sweeps < stopping.sweeps {
            sweeps += 1;
            let next = relative(sweep(source, &mut plain, squared, method.passes)?, squared);
            let done = (error - next).abs() < stopping.tolerance;
            error = next;
            if done {
                break;
            }
            // The factors' sizes drift apart slowly; a contraction that is held does not like to be rescaled, so seldom.
            if sweeps % 10 == 0 {
                balance(&mut plain);
                (0..plain.len()).for_each(|mode| source.changed(mode));
            }
        }
        return Ok((plain, error, sweeps));
    }
    // β and its bound, and how they grow and shrink (the paper's table 1).
    let (mut step, mut bound) = (0.5f64, 1.0f64);
    let (growth, bound_growth, shrinkage) = (1.05, 1.01, 1.5);
    let mut ahead = plain.clone();
    let last = plain.len() - 1;
    while sweeps < stopping.sweeps {
        sweeps += 1;
        let before = plain.clone();
        let mut square = squared;
        for mode in 0..=last {
            let product = source.product(&ahead, mode)?;
            let grams = hadamard_of_grams(&ahead, Some(mode))?;
            plain[mode] = ahead[mode].clone();
            descend(&mut plain[mode], &product, &grams, FLOOR, method.passes)?;
            if mode == last {
                square = squared - 2.0 * overlap(&plain[mode], &product) + size_of(&plain[mode], &grams);
            }
            let pairs = plain[mode].values().iter().zip(before[mode].values());
            let moved = pairs.map(|(now, before)| (now + step * (now - before)).max(FLOOR)).collect();
            ahead[mode] = Matrix::new(plain[mode].rows(), plain[mode].cols(), moved)?;
            source.changed(mode);
        }
        let next = relative(square, squared);
        let done = (error - next).abs() < stopping.tolerance;
        if next > error {
            // Too far: back to the factors before, and on from there more carefully. (The paper goes on from the new ones; those can be much worse.)
            bound = step;
            step /= shrinkage;
            ahead.clone_from(&before);
            plain = before;
            (0..=last).for_each(|mode| source.changed(mode));
            // The error there was not that of the plain factors, so the next sweep is not judged by it.
            error = f64::INFINITY;
            continue;
        }
        step = (step * growth).min(bound);
        bound = (bound * bound_growth).min(1.0);
        error = next;
        if done {
            break;
        }
    }
    // The error above mixes factors with extrapolated ones; one plain sweep ends at factors whose error is known.
    (0..=last).for_each(|mode| source.changed(mode));
    let square = sweep(source, &mut plain, squared, method.passes)?;
    Ok((plain, relative(square, squared), sweeps + 1))
}

/// Weights and gaps by filling in: see the module's page.
fn weighted(
    tensor: TensorRef<'_>,
    weights: &[f64],
    mut factors: Vec<Matrix>,
    squared: f64,
    method: Hals,
    stopping: Stopping,
) -> Result<Decomposition, ComputeError> {
    let mut filled = vec![0.0; tensor.values().len()];
    let partly: Vec<usize> = (0..weights.len()).filter(|&place| weights[place] < 1.0).collect();
    for ((filled, value), weight) in filled.iter_mut().zip(tensor.values()).zip(weights) {
        *filled = if *weight > 0.0 { *value } else { 0.0 };
    }
    let mut error = f64::INFINITY;
    let mut sweeps = 0;
    let mut before = factors.clone();
    let mut step = 0.5;
    while sweeps < stopping.sweeps {
        sweeps += 1;
        let model = values_at(&factors, tensor.shape(), &partly)?;
        for (&place, model) in partly.iter().zip(&model) {
            let weight = weights[place];
            filled[place] = if weight > 0.0 { weight * tensor.values()[place] + (1.0 - weight) * model } else { *model };
        }
        let whole = TensorRef::new(tensor.shape(), &filled)?;
        let mut source = if tensor.shape().len() == 3 { Source::Tree(DimensionTree::new(whole)?) } else { Source::Dense(whole) };
        let square = sweep(&mut source, &mut factors, whole.squared_norm(), method.passes)?;
        // ‖filled − X̂‖² bounds the weighted error from above; the weighted error itself, at the entries that are not whole:
        let model = values_at(&factors, tensor.shape(), &partly)?;
        let excess: f64 = partly
            .iter()
            .zip(&model)
            .map(|(&place, model)| {
                let weight = weights[place];
                let own = if weight > 0.0 { weight * (tensor.values()[place] - model).powi(2) } else { 0.0 };
                (filled[place] - model).powi(2) - own
            })
            .sum();
        let next = relative(square - excess, squared);
        let done = (error - next).abs() < stopping.tolerance;
        if method.extrapolate {
            // The same rule as without weights, on whole sweeps: a step along the last change, taken back when the error grew.
            step = if next > error { step / 1.5 } else { (step * 1.05f64).min(1.0) };
            let plain = factors.clone();
            if next <= error && !done {
                for (factor, before) in factors.iter_mut().zip(&before) {
                    let pairs = factor.values_mut().iter_mut().zip(before.values());
                    pairs.for_each(|(now, before)| *now = (*now + step * (*now - before)).max(FLOOR));
                }
            }
            before = plain;
        }
        error = next;
        if done {
            break;
        }
    }
    let factors = if method.extrapolate { before } else { factors };
    let (square, loss) = misfit(Entries::Weighted(tensor, weights), &factors, Loss::Frobenius)?;
    Ok(normalised(factors, relative(square, squared), loss, sweeps))
}

/// The model at some entries only; at all of them when they are many.
fn values_at(factors: &[Matrix], shape: &[usize], places: &[usize]) -> Result<Vec<f64>, ComputeError> {
    let all: usize = shape.iter().product();
    if places.len() * 8 > all {
        let model = reconstruct(factors)?;
        return Ok(places.iter().map(|&place| model[place]).collect());
    }
    let rank = factors.first().map_or(0, Matrix::cols);
    let mut product = vec![0.0; rank];
    Ok(places
        .iter()
        .map(|&place| {
            product.fill(1.0);
            let mut rest = place;
            for (factor, &size) in factors.iter().zip(shape).rev() {
                product.iter_mut().zip(factor.row(rest % size)).for_each(|(product, value)| *product *= value);
                rest /= size;
            }
            product.iter().sum()
        })
        .collect())
}

#[cfg(test)]
mod tests {
    use super::super::factor_match;
    use super::*;
    use crate::golden::{Case, same_on_any_threads};

    fn best(entries: Entries<'_>, rank: usize, method: Hals, restarts: u64) -> Decomposition {
        let stopping = Stopping { sweeps: 1500, tolerance: 1e-10 };
        let runs = (0..restarts).map(|restart| hals(entries, rank, method, stopping, Stream::new(1).split_index(restart)).unwrap());
        runs.min_by(|a, b| a.relative_error.total_cmp(&b.relative_error)).unwrap()
    }

    fn planted(shape: &[usize], rank: usize, seed: u64) -> (Vec<f64>, Vec<Matrix>) {
        let mut stream = Stream::new(seed);
        let factors: Vec<Matrix> = shape.iter().map(|&size| Matrix::from_fn(size, rank, |_, _| stream.exponential())).collect();
        (reconstruct(&factors).unwrap(), factors)
    }

    #[test]
    fn errors_and_factors_are_those_of_the_reference() {
        for (name, ranks, least_match) in [("ntf_easy", ["1", "2", "3", "5", "7"], 0.95), ("ntf_noisy", ["1", "3", "5", "7", "9"], 0.85)] {
            let Some(case) = Case::open(&format!("connectome/{name}")) else { return };
            let (shape, values) = case.array("X");
            let tensor = TensorRef::new(&shape, &values).unwrap();
            let planted_rank = case.number("planted_rank") as usize;
            for rank in ranks {
                let Some(expected) = case.nested("relative_error", rank) else { continue };
                let number: usize = rank.parse().unwrap();
                // Far above the planted rank what is left is noise with many minima: of TensorLy's own 12 starts the best is 0.00264 and the
                // worst 0.00280, and it takes as many starts to meet its best.
                let restarts = if number > planted_rank + 2 { 32 } else { 8 };
                let found = best(Entries::Dense(tensor), number, Hals::default(), restarts);
                assert!(found.relative_error <= expected * 1.005, "{name} rank {rank}: {} {expected}", found.relative_error);
                if number == planted_rank {
                    let truth: Vec<Matrix> = (0..3).map(|mode| case.matrix(&format!("planted_{mode}"))).collect();
                    let score = factor_match(&found.factors, &truth).unwrap();
                    assert!(score >= least_match, "{name}: {score}");
                }
            }
        }
    }

    #[test]
    fn every_form_of_the_method_finds_a_planted_tensor_and_tells_its_error() {
        for shape in [vec![8, 9, 7], vec![6, 11], vec![4, 5, 3, 6]] {
            let (values, truth) = planted(&shape, 2, 3);
            let tensor = TensorRef::new(&shape, &values).unwrap();
            for method in [Hals::default(), Hals { extrapolate: false, passes: 1 }] {
                let found = best(Entries::Dense(tensor), 2, method, 3);
                assert!(found.relative_error < 2e-3, "{shape:?} {method:?}: {}", found.relative_error);
                // A matrix has many decompositions, a tensor one.
                assert!(shape.len() < 3 || factor_match(&found.factors, &truth).unwrap() > 0.99);
                let mut scaled = found.factors.clone();
                super::super::scale_columns(&mut scaled[0], &found.weights);
                let (square, _) = misfit(Entries::Dense(tensor), &scaled, Loss::Frobenius).unwrap();
                assert!((relative(square, tensor.squared_norm()) - found.relative_error).abs() < 1e-7);
            }
        }
    }

    #[test]
    fn extrapolation_needs_fewer_sweeps_for_the_same_error() {
        // Components that are much alike make coordinate descent slow.
        let mut stream = Stream::new(5);
        let shape = [20, 18, 16];
        let factors: Vec<Matrix> = shape.iter().map(|&size| Matrix::from_fn(size, 3, |_, _| 1.0 + stream.uniform())).collect();
        let values = reconstruct(&factors).unwrap();
        let tensor = TensorRef::new(&shape, &values).unwrap();
        let error = |extrapolate| {
            let stopping = Stopping { sweeps: 50, tolerance: 0.0 };
            let runs = (0..4).map(|start| {
                hals(Entries::Dense(tensor), 3, Hals { extrapolate, passes: 5 }, stopping, Stream::new(2).split_index(start)).unwrap()
            });
            runs.map(|run| run.relative_error).sum::<f64>()
        };
        assert!(error(true) < 0.8 * error(false), "{} {}", error(true), error(false));
    }

    #[test]
    fn gaps_are_filled_by_what_the_rest_says() {
        let (values, truth) = planted(&[12, 10, 9], 2, 7);
        let mut stream = Stream::new(4);
        let weights: Vec<f64> = values.iter().map(|_| if stream.uniform() < 0.3 { 0.0 } else { 1.0 }).collect();
        let gappy: Vec<f64> = values.iter().zip(&weights).map(|(value, weight)| if *weight > 0.0 { *value } else { f64::NAN }).collect();
        let tensor = TensorRef::new(&[12, 10, 9], &gappy).unwrap();
        let found = best(Entries::Weighted(tensor, &weights), 2, Hals::default(), 3);
        assert!(factor_match(&found.factors, &truth).unwrap() > 0.99 && found.relative_error < 5e-3, "{}", found.relative_error);
        // Weights of one are no weights.
        let ones = vec![1.0; values.len()];
        let whole = TensorRef::new(&[12, 10, 9], &values).unwrap();
        let (a, b) = (best(Entries::Weighted(whole, &ones), 3, Hals::default(), 2), best(Entries::Dense(whole), 3, Hals::default(), 2));
        assert!((a.relative_error - b.relative_error).abs() < 2e-3, "{} {}", a.relative_error, b.relative_error);
    }

    #[test]
    fn units_in_another_order_have_their_loadings_in_that_order() {
        // Started from the same point, permuted rows stay permuted rows.
        let (values, _) = planted(&[6, 5, 4], 2, 11);
        let order = [3, 0, 5, 1, 4, 2];
        let permuted: Vec<f64> = order.iter().flat_map(|&unit| values[unit * 20..(unit + 1) * 20].to_vec()).collect();
        let a = best(Entries::Dense(TensorRef::new(&[6, 5, 4], &values).unwrap()), 2, Hals::default(), 4);
        let b = best(Entries::Dense(TensorRef::new(&[6, 5, 4], &permuted).unwrap()), 2, Hals::default(), 4);
        let moved = [a.factors[0].take_rows(&order), a.factors[1].clone(), a.factors[2].clone()];
        assert!(factor_match(&moved, &b.factors).unwrap() > 0.999);
    }

    #[test]
    fn single_precision_ends_where_double_does_and_tells_small_errors_truly() {
        let (shape, rank) = ([24, 17, 30], 3);
        let (clean, truth) = planted(&shape, rank, 9);
        let mut stream = Stream::new(6);
        for (noise, tolerance) in [(0.3, 1e-4), (0.0, 1e-3)] {
            let single: Vec<f32> = clean.iter().map(|value| (value + noise * stream.uniform()) as f32).collect();
            let values: Vec<f64> = single.iter().map(|value| f64::from(*value)).collect();
            let (narrow, wide) = (TensorRef::new(&shape, &single).unwrap(), TensorRef::new(&shape, &values).unwrap());
            assert!((narrow.squared_norm() / wide.squared_norm() - 1.0).abs() < 1e-6);
            let stopping = Stopping { sweeps: 300, tolerance: 1e-9 };
            for method in [Hals::default(), Hals { extrapolate: false, passes: 1 }] {
                let found = hals_single(narrow, rank, method, stopping, Stream::new(1)).unwrap();
                let double = hals(Entries::Dense(wide), rank, method, stopping, Stream::new(1)).unwrap();
                assert!(
                    (found.relative_error - double.relative_error).abs() < tolerance,
                    "{} {}",
                    found.relative_error,
                    double.relative_error
                );
                assert!(factor_match(&found.factors, &truth).unwrap() > 0.95);
                let mut scaled = found.factors.clone();
                super::super::scale_columns(&mut scaled[0], &found.weights);
                let (square, _) = misfit(Entries::Dense(wide), &scaled, Loss::Frobenius).unwrap();
                let direct = relative(square, wide.squared_norm());
                assert!((direct / found.relative_error - 1.0).abs() < 1e-4, "{direct} {}", found.relative_error);
            }
        }
        let of = |shape: &[usize], values: &[f32], rank| {
            hals_single(
                TensorRef::new(shape, values).unwrap(),
                rank,
                Hals::default(),
                Stopping { sweeps: 2, tolerance: 0.0 },
                Stream::new(1),
            )
        };
        assert!(of(&[2, 1, 1], &[1.0, -1.0], 1).unwrap_err().to_string().contains("value 1 is -1"));
        assert!(of(&[2, 1, 1], &[1.0, f32::NAN], 1).unwrap_err().to_string().contains("NaN"));
        assert!(of(&[2, 1, 1], &[1.0, 1.0], 0).unwrap_err().to_string().contains("rank of 0"));
        assert!(of(&[2, 1], &[1.0, 1.0], 1).unwrap_err().to_string().contains("three"));
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (values, _) = planted(&[60, 50, 40], 3, 1);
        let single: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        let stopping = Stopping { sweeps: 4, tolerance: 0.0 };
        same_on_any_threads(|| {
            let tensor = TensorRef::new(&[60, 50, 40], &values).unwrap();
            let found = hals(Entries::Dense(tensor), 3, Hals::default(), stopping, Stream::new(1)).unwrap();
            found.factors.into_iter().flat_map(Matrix::into_values).collect()
        });
        same_on_any_threads(|| {
            let tensor = TensorRef::new(&[60, 50, 40], &single).unwrap();
            let found = hals_single(tensor, 3, Hals::default(), stopping, Stream::new(1)).unwrap();
            found.factors.into_iter().flat_map(Matrix::into_values).chain([found.relative_error]).collect()
        });
    }

    #[test]
    fn what_cannot_be_decomposed_is_refused_and_zeros_are_explained() {
        let stopping = Stopping { sweeps: 5, tolerance: 0.0 };
        let of = |values: &[f64], rank| {
            hals(Entries::Dense(TensorRef::new(&[2, 2, 1], values).unwrap()), rank, Hals::default(), stopping, Stream::new(1))
        };
        assert!(of(&[1.0, -1.0, 0.0, 0.0], 1).unwrap_err().to_string().contains("value 1 is -1"));
        assert!(of(&[1.0, f64::NAN, 0.0, 0.0], 1).unwrap_err().to_string().contains("NaN"));
        assert!(of(&[1.0; 4], 0).unwrap_err().to_string().contains("rank of 0"));
        assert_eq!(of(&[0.0; 4], 2).unwrap().relative_error, 0.0);
        // More components than the tensor can need.
        assert!(of(&[1.0, 2.0, 3.0, 4.0], 5).unwrap().relative_error < 0.2);
        let tensor = TensorRef::new(&[2, 2, 1], &[1.0; 4]).unwrap();
        let refused = hals(Entries::Weighted(tensor, &[1.0, 2.0, 0.0, 0.0]), 1, Hals::default(), stopping, Stream::new(1)).unwrap_err();
        assert!(refused.to_string().contains("a weight of 2"));
    }
}
