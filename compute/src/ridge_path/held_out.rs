//! Held-out scores of every fold, penalty and target. With more features than samples all folds share one Gram matrix; with fewer, the Gram
//! matrices of their blocks.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltParams, cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::cholesky::llt::inverse::{inverse, inverse_scratch};
use faer::linalg::matmul;
use faer::{Accum, MatMut, MatRef, Par, Spec};
use rayon::prelude::*;

use super::{KernelCentring, OPERATION, Preparation, RidgeOptions, add, check, check_penalties, cut, minus, shrinkage};
use crate::factor::{Cholesky, symmetric_eigen};
use crate::geometry::Precision;
use crate::geometry::centred::column_means;
use crate::geometry::strips::{Rows, gram};
use crate::product::{gemm, gemm_nt, gemm_tn};
use crate::real::Real;
use crate::{ComputeError, Matrix};

/// Targets whose predictions are held at once.
const TARGETS: usize = 192;

/// Held-out scores of every fold, penalty and target.
#[derive(Debug, Clone, PartialEq)]
pub struct PathScores {
    n_folds: usize,
    n_penalties: usize,
    n_targets: usize,
    pub(super) r: Vec<f64>,
    pub(super) r2: Vec<f64>,
}

/// Which held-out score is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum HeldOut {
    /// Pearson's correlation of prediction and target; 0 where one of them is constant in the fold.
    Correlation,
    /// `1 − Σ (y − ŷ)² / Σ (y − mean)²` with the mean of the fold; 0 where the target is constant in it.
    Explained,
}

impl PathScores {
    /// The score of a fold, penalty and target, counted from 0. Panics, as slices do, outside of what there is.
    pub fn of(&self, fold: usize, penalty: usize, target: usize, score: HeldOut) -> f64 {
        self.list(score)[(fold * self.n_penalties + penalty) * self.n_targets + target]
    }

    /// The mean over folds `[penalty × target]`.
    pub fn mean(&self, score: HeldOut) -> Matrix {
        let list = self.list(score);
        let size = self.n_penalties * self.n_targets;
        let mut mean = Matrix::zeros(self.n_penalties, self.n_targets);
        for fold in list.chunks_exact(size.max(1)) {
            mean.values_mut().iter_mut().zip(fold).for_each(|(mean, value)| *mean += value / self.n_folds as f64);
        }
        mean
    }

    fn list(&self, score: HeldOut) -> &[f64] {
        match score {
            HeldOut::Correlation => &self.r,
            HeldOut::Explained => &self.r2,
        }
    }
}

/// Held-out scores by cross-validation of `x [sample × feature]` against `y [sample × target]`; `fold[sample]` names the fold (`0 .. n`) that tests
/// a sample.
///
/// `precision` is that of the products with the targets, where nearly all of the work is; everything before is in double precision.
///
/// # Errors
/// As [`RidgePath::fit`](super::RidgePath::fit); fewer than two folds, a fold without samples or with all of them, no penalty, one that is negative or not finite.
pub fn cross_validate(
    x: &Matrix,
    y: &Matrix,
    fold: &[usize],
    penalties: &[f64],
    options: RidgeOptions,
    precision: Precision,
) -> Result<PathScores, ComputeError> {
    check(x, y)?;
    let plan = Plan::of(fold, x.rows(), penalties)?;
    let sorted = x.take_rows(&plan.order);
    let route = if x.cols() < plan.least_training() {
        Route::Folds(primal_folds(&sorted, &y.take_rows(&plan.order), &plan, options)?)
    } else if options.standardise {
        let folds = (0..plan.n_folds())
            .map(|fold| {
                let preparation = Preparation::of(&sorted.take_rows(&plan.training(fold)), options);
                let kernel = gram(&Rows::<f64>::of_rows(&preparation.apply(&sorted), None, 1.0));
                dual_fold(&kernel, &plan, fold, true)
            })
            .collect::<Result<_, _>>()?;
        Route::Folds(folds)
    } else {
        // An intercept makes the fit blind to a shift of the features; a shift to their middle keeps digits.
        let offset = if options.intercept { column_means(&sorted) } else { vec![0.0; x.cols()] };
        dual_route(gram(&Rows::<f64>::of_rows(&minus(&sorted, &offset), None, 1.0)), &plan, options.intercept)?
    };
    score(&route, &y.take_rows(&plan.order), &plan, options.centres(), precision)
}

/// As [`cross_validate`], from a kernel `[sample × sample]`.
///
/// # Errors
/// As [`cross_validate`]; a kernel that is not symmetric.
pub fn cross_validate_kernel(
    kernel: &Matrix,
    y: &Matrix,
    fold: &[usize],
    penalties: &[f64],
    intercept: bool,
    precision: Precision,
) -> Result<PathScores, ComputeError> {
    check(kernel, y)?;
    if kernel.rows() != kernel.cols() {
        return Err(ComputeError::shape(OPERATION, format!("a kernel of {} × {}; it is square", kernel.rows(), kernel.cols())));
    }
    let plan = Plan::of(fold, kernel.rows(), penalties)?;
    let sorted = Matrix::from_fn(kernel.rows(), kernel.cols(), |row, col| kernel[(plan.order[row], plan.order[col])]);
    let sorted = if intercept { KernelCentring::of(&sorted).inside(&sorted) } else { sorted };
    let route = dual_route(sorted, &plan, intercept)?;
    score(&route, &y.take_rows(&plan.order), &plan, intercept, precision)
}

/// Samples in the order of their folds.
struct Plan {
    /// The sample at each place.
    order: Vec<usize>,
    /// Where each fold begins, and the end.
    starts: Vec<usize>,
    penalties: Vec<f64>,
}

impl Plan {
    fn of(fold: &[usize], samples: usize, penalties: &[f64]) -> Result<Plan, ComputeError> {
        if fold.len() != samples {
            return Err(ComputeError::shape(OPERATION, format!("folds of {} samples; there are {samples}", fold.len())));
        }
        check_penalties(penalties)?;
        if penalties.is_empty() {
            return Err(ComputeError::shape(OPERATION, "there is no penalty"));
        }
        let n_folds = fold.iter().max().map_or(0, |last| last + 1);
        if n_folds < 2 || n_folds > samples {
            return Err(ComputeError::shape(
                OPERATION,
                format!("{n_folds} folds of {samples} samples; at least 2 folds with a sample each are needed"),
            ));
        }
        let mut order: Vec<usize> = (0..samples).collect();
        order.sort_by_key(|&sample| fold[sample]);
        let mut starts = Vec::with_capacity(n_folds + 1);
        for number in 0..=n_folds {
            starts.push(order.partition_point(|&sample| fold[sample] < number));
        }
        if let Some(empty) = (0..n_folds).find(|&number| starts[number] == starts[number + 1]) {
            return Err(ComputeError::shape(OPERATION, format!("fold {empty} has no samples")));
        }
        Ok(Plan { order, starts, penalties: penalties.to_vec() })
    }

    fn n_folds(&self) -> usize {
        self.starts.len() - 1
    }

    fn test(&self, fold: usize) -> std::ops::Range<usize> {
        self.starts[fold]..self.starts[fold + 1]
    }

    fn training(&self, fold: usize) -> Vec<usize> {
        let test = self.test(fold);
        (0..test.start).chain(test.end..self.order.len()).collect()
    }

    fn least_training(&self) -> usize {
        (0..self.n_folds()).map(|fold| self.order.len() - self.test(fold).len()).min().unwrap_or(0)
    }
}

/// How the predictions of a fold are made.
enum Route {
    /// All folds from one kernel (centred when there is an intercept).
    Shared { kernel: Matrix, intercept: bool },
    /// Each fold from its own decomposition.
    Folds(Vec<FoldPath>),
}

/// One fold's decomposition.
struct FoldPath {
    /// Test samples in the directions in which the penalty acts by itself `[test sample × direction]`.
    test: Matrix,
    eigenvalues: Vec<f64>,
    cut: f64,
    /// What follows: training samples by direction (applied to the training targets), or the targets by direction already.
    then: Then,
}

enum Then {
    /// `[training sample × direction]`, and whether predictions are about the training mean.
    Samples(Matrix, bool),
    /// `[direction × target]`, and the training means of the targets.
    Targets(Matrix, Vec<f64>),
}

/// One kernel for all folds where that loses few digits, else a decomposition of each fold.
fn dual_route(kernel: Matrix, plan: &Plan, intercept: bool) -> Result<Route, ComputeError> {
    let trace = kernel.diagonal().iter().fold(0.0f64, |sum, value| sum + value.abs());
    let smallest = plan.penalties.iter().copied().fold(f64::INFINITY, f64::min);
    if smallest > 1e-9 * trace && trace.is_finite() {
        return Ok(Route::Shared { kernel, intercept });
    }
    let folds = (0..plan.n_folds()).map(|fold| dual_fold(&kernel, plan, fold, intercept)).collect::<Result<_, _>>()?;
    Ok(Route::Folds(folds))
}

fn dual_fold(kernel: &Matrix, plan: &Plan, fold: usize, intercept: bool) -> Result<FoldPath, ComputeError> {
    let training = plan.training(fold);
    let test: Vec<usize> = plan.test(fold).collect();
    let inside = kernel.take_rows(&training).take_columns(&training);
    let outside = kernel.take_rows(&test).take_columns(&training);
    let (inside, outside) = if intercept {
        let centring = KernelCentring::of(&inside);
        (centring.inside(&inside), centring.outside(&outside))
    } else {
        (inside, outside)
    };
    let eigen = symmetric_eigen(&inside)?;
    let cut = cut(&eigen.values, training.len());
    Ok(FoldPath { test: gemm(&outside, &eigen.vectors)?, eigenvalues: eigen.values, cut, then: Then::Samples(eigen.vectors, intercept) })
}

/// Folds in the space of features: Gram matrices of blocks are added to those of training sides.
fn primal_folds(x: &Matrix, y: &Matrix, plan: &Plan, options: RidgeOptions) -> Result<Vec<FoldPath>, ComputeError> {
    let features = x.cols();
    let middle = if options.centres() { column_means(x) } else { vec![0.0; features] };
    let x = minus(x, &middle);
    let blocks: Vec<Matrix> = (0..plan.n_folds())
        .map(|fold| gram(&Rows::<f64>::of_columns(&x.take_rows(&plan.test(fold).collect::<Vec<_>>()), &vec![0.0; features], 1.0)))
        .collect();
    (0..plan.n_folds())
        .map(|fold| {
            let training = plan.training(fold);
            let inside = x.take_rows(&training);
            let preparation = Preparation::of(&inside, options);
            let (offset, scale) = (&preparation.offset, &preparation.scale);
            let mut product = Matrix::zeros(features, features);
            for block in blocks.iter().enumerate().filter(|(other, _)| *other != fold).map(|(_, block)| block) {
                add(product.values_mut(), block.values());
            }
            let count = training.len() as f64;
            for row in 0..features {
                for (col, value) in product.row_mut(row).iter_mut().enumerate() {
                    // In this order of factors the matrix stays exactly symmetric.
                    *value = (*value - count * (offset[row] * offset[col])) / (scale[row] * scale[col]);
                }
            }
            let eigen = symmetric_eigen(&product)?;
            let cut = cut(&eigen.values, training.len());
            let targets = y.take_rows(&training);
            let mean_target = if options.centres() { column_means(&targets) } else { vec![0.0; y.cols()] };
            let projected = gemm_tn(&eigen.vectors, &gemm_tn(&preparation.apply(&inside), &minus(&targets, &mean_target))?)?;
            let outside = preparation.apply(&x.take_rows(&plan.test(fold).collect::<Vec<_>>()));
            Ok(FoldPath {
                test: gemm(&outside, &eigen.vectors)?,
                eigenvalues: eigen.values,
                cut,
                then: Then::Targets(projected, mean_target),
            })
        })
        .collect()
}

/// A linear map from what is at hand (training targets, or targets by direction) to predictions of a fold's test samples.
struct Smoother<T> {
    /// `[test sample × column]`, row by row.
    values: Vec<T>,
    columns: usize,
}

fn score(route: &Route, y: &Matrix, plan: &Plan, centres: bool, precision: Precision) -> Result<PathScores, ComputeError> {
    match precision {
        Precision::Double => score_in::<f64>(route, y, plan, centres),
        Precision::Single => score_in::<f32>(route, y, plan, centres),
    }
}

fn score_in<T: Real>(route: &Route, y: &Matrix, plan: &Plan, centres: bool) -> Result<PathScores, ComputeError> {
    let (samples, n_targets) = y.shape();
    // Scores are blind to a shift of a target and its predictions, and small numbers keep more digits.
    let middle = if centres { column_means(y) } else { vec![0.0; n_targets] };
    let rounded = |matrix: &Matrix, offset: &[f64]| -> Vec<T> {
        let mut values = vec![T::default(); matrix.values().len()];
        values.par_chunks_mut(offset.len().max(1)).enumerate().for_each(|(row, target)| {
            target.iter_mut().zip(matrix.row(row).iter().zip(offset)).for_each(|(target, (value, offset))| *target = T::of(value - offset));
        });
        values
    };
    let targets = rounded(y, &middle);
    let own: Vec<Option<Vec<T>>> = match route {
        Route::Shared { .. } => (0..plan.n_folds()).map(|_| None).collect(),
        Route::Folds(folds) => folds
            .iter()
            .map(|fold| match &fold.then {
                Then::Samples(..) => None,
                Then::Targets(projected, means) => {
                    let mut values = rounded(projected, &vec![0.0; n_targets]);
                    // One more direction, of the training mean.
                    values.extend(means.iter().zip(&middle).map(|(mean, middle)| T::of(mean - middle)));
                    Some(values)
                }
            })
            .collect(),
    };
    let n_penalties = plan.penalties.len();
    let size = n_penalties * n_targets;
    let mut found = PathScores {
        n_folds: plan.n_folds(),
        n_penalties,
        n_targets,
        r: vec![0.0; plan.n_folds() * size],
        r2: vec![0.0; plan.n_folds() * size],
    };
    // As many penalties at once as there are threads, because each takes an inverse of its own; the numbers do not depend on how many.
    let at_once = rayon::current_num_threads().clamp(1, n_penalties).min(((1usize << 30) / (samples * samples * 8).max(1)).max(1));
    let numbers: Vec<usize> = (0..n_penalties).collect();
    for group in numbers.chunks(at_once) {
        let smoothers: Vec<Vec<Smoother<T>>> =
            group.par_iter().with_max_len(1).map(|&penalty| smoothers(route, plan, plan.penalties[penalty])).collect::<Result<_, _>>()?;
        let blocks = n_targets.div_ceil(TARGETS);
        let tasks: Vec<(usize, usize, usize)> = (0..group.len())
            .flat_map(|place| (0..plan.n_folds()).flat_map(move |fold| (0..blocks).map(move |block| (place, fold, block))))
            .collect();
        let scores: Vec<Vec<[f64; 2]>> = tasks
            .par_iter()
            .with_max_len(1)
            .map(|&(place, fold, block)| {
                let first = block * TARGETS;
                let width = TARGETS.min(n_targets - first);
                let test = plan.test(fold);
                let smoother = &smoothers[place][fold];
                let predicted = match &own[fold] {
                    Some(own) => predict(smoother, &[(own, 0..smoother.columns)], n_targets, first, width),
                    None => predict(smoother, &[(&targets, 0..test.start), (&targets, test.end..samples)], n_targets, first, width),
                };
                compare(&predicted, &targets[test.start * n_targets..test.end * n_targets], n_targets, first, width)
            })
            .collect();
        for ((place, fold, block), scores) in tasks.into_iter().zip(scores) {
            let start = fold * size + group[place] * n_targets + block * TARGETS;
            for (offset, [r, r2]) in scores.into_iter().enumerate() {
                found.r[start + offset] = r;
                found.r2[start + offset] = r2;
            }
        }
    }
    Ok(found)
}

/// The maps of all folds for one penalty.
fn smoothers<T: Real>(route: &Route, plan: &Plan, penalty: f64) -> Result<Vec<Smoother<T>>, ComputeError> {
    match route {
        Route::Shared { kernel, intercept } => shared_smoothers(kernel, plan, penalty, *intercept),
        Route::Folds(folds) => folds.iter().map(|fold| fold_smoother(fold, penalty)).collect(),
    }
}

fn shared_smoothers<T: Real>(kernel: &Matrix, plan: &Plan, penalty: f64, intercept: bool) -> Result<Vec<Smoother<T>>, ComputeError> {
    let mut inverse = inverse_of(kernel, penalty)?;
    if intercept {
        // The part along the constant, which the intercept takes without penalty.
        let sums: Vec<f64> = inverse.row_iter().map(crate::statistics::sum).collect();
        let all = crate::statistics::sum(&sums);
        for (row, own) in sums.iter().enumerate() {
            let share = own / all;
            inverse.row_mut(row).iter_mut().zip(&sums).for_each(|(value, sum)| *value -= share * sum);
        }
    }
    (0..plan.n_folds())
        .map(|fold| {
            let (test, training) = (plan.test(fold), plan.training(fold));
            let rows = inverse.take_rows(&test.clone().collect::<Vec<_>>());
            let own = Matrix::from_fn(test.len(), test.len(), |row, col| {
                0.5 * (rows[(row, test.start + col)] + inverse[(test.start + col, test.start + row)])
            });
            // y_f − ŷ_f = (P_ff)⁻¹ (P Y)_f, so ŷ_f = −(P_ff)⁻¹ P_ft Y_t.
            let map = Cholesky::new(&own)?.solve(&rows.take_columns(&training))?;
            Ok(Smoother { values: map.values().iter().map(|value| T::of(-value)).collect(), columns: training.len() })
        })
        .collect()
}

fn fold_smoother<T: Real>(fold: &FoldPath, penalty: f64) -> Result<Smoother<T>, ComputeError> {
    let factors: Vec<f64> = fold.eigenvalues.iter().map(|&value| shrinkage(value, penalty, fold.cut)).collect();
    let mut scaled = fold.test.clone();
    scaled
        .values_mut()
        .chunks_exact_mut(factors.len().max(1))
        .for_each(|row| row.iter_mut().zip(&factors).for_each(|(value, factor)| *value *= factor));
    match &fold.then {
        Then::Targets(..) => {
            let columns = factors.len() + 1;
            let values = scaled.row_iter().flat_map(|row| row.iter().copied().chain([1.0]).map(T::of)).collect();
            Ok(Smoother { values, columns })
        }
        Then::Samples(vectors, intercept) => {
            let mut map = gemm_nt(&scaled, vectors)?;
            let columns = vectors.rows();
            if *intercept {
                // Applied to centred targets and put back on their mean.
                for row in map.values_mut().chunks_exact_mut(columns.max(1)) {
                    let shift = (1.0 - crate::statistics::sum(row)) / columns as f64;
                    row.iter_mut().for_each(|value| *value += shift);
                }
            }
            Ok(Smoother { values: map.values().iter().map(|&value| T::of(value)).collect(), columns })
        }
    }
}

/// `(K + λ I)⁻¹`.
fn inverse_of(kernel: &Matrix, penalty: f64) -> Result<Matrix, ComputeError> {
    let size = kernel.rows();
    // The matrix is symmetric, so its row-major bytes are its column-major bytes.
    let mut lower = kernel.values().to_vec();
    (0..size).for_each(|place| lower[place * (size + 1)] += penalty);
    let params = Spec::<LltParams, f64>::default();
    let mut memory = MemBuffer::new(cholesky_in_place_scratch::<f64>(size, Par::Seq, params).or(inverse_scratch::<f64>(size, Par::Seq)));
    let stack = MemStack::new(&mut memory);
    cholesky_in_place(MatMut::from_column_major_slice_mut(&mut lower, size, size), Default::default(), Par::Seq, stack, params).map_err(
        |_| ComputeError::value(OPERATION, format!("with a penalty of {penalty} the problem has no single solution; use a larger one")),
    )?;
    let mut found = Matrix::zeros(size, size);
    let target = MatMut::from_column_major_slice_mut(found.values_mut(), size, size);
    inverse(target, MatRef::from_column_major_slice(&lower, size, size), Par::Seq, stack);
    // The lower half of columns is the upper half of rows.
    for row in 0..size {
        for col in 0..row {
            found[(row, col)] = found[(col, row)];
        }
    }
    Ok(found)
}

/// Predictions of a block of targets `[test sample × target]`: the map's columns stand for stretches of rows of `parts`.
fn predict<T: Real>(
    smoother: &Smoother<T>,
    parts: &[(&Vec<T>, std::ops::Range<usize>)],
    n_targets: usize,
    first: usize,
    width: usize,
) -> Vec<T> {
    let rows = smoother.values.len() / smoother.columns.max(1);
    let mut predicted = vec![T::default(); rows * width];
    let mut column = 0;
    for (values, range) in parts.iter().filter(|(_, range)| !range.is_empty()) {
        let inner = range.len();
        // Targets side by side, as they lie, are the rows of the kernel's left side.
        let start = range.start * n_targets + first;
        let end = (range.end - 1) * n_targets + first + width;
        let stride = if inner == 1 { width } else { n_targets };
        let left = MatRef::from_column_major_slice_with_stride(&values[start..end], width, inner, stride);
        let used = (rows - 1) * smoother.columns + inner;
        let stride = if rows == 1 { inner } else { smoother.columns };
        let right = MatRef::from_column_major_slice_with_stride(&smoother.values[column..column + used], inner, rows, stride);
        let target = MatMut::from_column_major_slice_mut(&mut predicted, width, rows);
        matmul::matmul(target, if column == 0 { Accum::Replace } else { Accum::Add }, left, right, T::of(1.0), Par::Seq);
        column += inner;
    }
    predicted
}

/// Correlation and explained share of each target of a block.
fn compare<T: Real>(predicted: &[T], measured: &[T], n_targets: usize, first: usize, width: usize) -> Vec<[f64; 2]> {
    // Sums of ŷ, ŷ², y, y², ŷ y.
    let mut sums = vec![[0.0f64; 5]; width];
    let mut count = 0.0;
    for (predicted, measured) in predicted.chunks_exact(width).zip(measured.chunks_exact(n_targets)) {
        for (sums, (p, y)) in sums.iter_mut().zip(predicted.iter().zip(&measured[first..first + width])) {
            let (p, y) = (p.wide(), y.wide());
            sums[0] += p;
            sums[1] += p * p;
            sums[2] += y;
            sums[3] += y * y;
            sums[4] += p * y;
        }
        count += 1.0;
    }
    sums.into_iter()
        .map(|[p, pp, y, yy, py]| {
            let (vp, vy, c) = (pp - p * p / count, yy - y * y / count, py - p * y / count);
            // What rounding leaves of a constant is no variance.
            let rounding = if size_of::<T>() == 4 { 1e-10 } else { 1e-24 };
            let varies = |variance: f64, square: f64| variance > rounding * square;
            if !varies(vy, yy) {
                return [0.0, 0.0];
            }
            let r = if varies(vp, pp) { (c / (vp.sqrt() * vy.sqrt())).clamp(-1.0, 1.0) } else { 0.0 };
            [r, 1.0 - (yy - 2.0 * py + pp) / vy]
        })
        .collect()
}
