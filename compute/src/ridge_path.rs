//! Ridge regression `argmin ‖Y − X W‖² + λ ‖W‖²` for many penalties λ and many targets at once.
//!
//! * [`RidgePath`]: one eigendecomposition, in the space of features or of samples, whichever is smaller, serves every penalty.
//! * [`KernelRidge`]: the same from a kernel, for weighted sums of kernels (banded ridge).
//! * [`cross_validate`], [`cross_validate_kernel`]: held-out scores of every fold, penalty and target. With more features than samples all folds
//!   share one Gram matrix: the residuals of a held-out block `f` are `(P_ff)⁻¹ (P Y)_f` with `P = (K + λ I)⁻¹`, less its part along the constant
//!   when there is an intercept, so that no fold is fitted by itself, and predictions are one product with the targets. With fewer features, folds
//!   share the Gram matrices of their blocks.
//!
//! Penalties are those of scikit-learn's `Ridge(alpha)`. Everything learned (means, scales, weights) is learned on the training side.

use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::cholesky::llt::factor::{LltParams, cholesky_in_place, cholesky_in_place_scratch};
use faer::linalg::cholesky::llt::inverse::{inverse, inverse_scratch};
use faer::linalg::matmul;
use faer::{Accum, MatMut, MatRef, Par, Spec};
use rayon::prelude::*;

use crate::error::finite;
use crate::factor::{Cholesky, symmetric_eigen};
use crate::geometry::Precision;
use crate::geometry::centred::column_means;
use crate::geometry::strips::{Real, Rows, gram};
use crate::product::{gemm, gemm_nt, gemm_tn};
use crate::{ComputeError, Matrix};

const OPERATION: &str = "ridge regression";

/// Targets whose predictions are held at once.
const TARGETS: usize = 192;

/// How features are prepared, on the training side.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RidgeOptions {
    /// Whether there is an intercept, which is not penalised.
    pub intercept: bool,
    /// Whether each feature is divided by its standard deviation (of divisor `n`); a constant feature is only centred. Means an intercept too.
    pub standardise: bool,
}

impl RidgeOptions {
    fn centres(self) -> bool {
        self.intercept || self.standardise
    }
}

/// A fit of all penalties.
#[derive(Debug, Clone)]
pub struct RidgePath {
    offset: Vec<f64>,
    scale: Vec<f64>,
    mean_target: Vec<f64>,
    /// `[feature × direction]`: takes prepared features to the directions in which the penalty acts by itself.
    basis: Matrix,
    /// The squared singular value of each direction.
    eigenvalues: Vec<f64>,
    /// `[direction × target]`
    projected: Matrix,
    cut: f64,
}

impl RidgePath {
    /// Decomposes `x [sample × feature]` and projects `y [sample × target]`.
    ///
    /// # Errors
    /// No samples, features or targets, rows that differ in number, values that are not finite.
    pub fn fit(x: &Matrix, y: &Matrix, options: RidgeOptions) -> Result<RidgePath, ComputeError> {
        check(x, y)?;
        let (samples, features) = x.shape();
        let (offset, scale) = preparation(x, options);
        let prepared = prepare(x, &offset, &scale);
        let mean_target = if options.centres() { column_means(y) } else { vec![0.0; y.cols()] };
        let targets = minus(y, &mean_target);
        let (basis, eigenvalues, projected) = if features <= samples {
            let eigen = symmetric_eigen(&gram(&Rows::<f64>::of_columns(&prepared, &vec![0.0; features], 1.0)))?;
            let projected = gemm_tn(&eigen.vectors, &gemm_tn(&prepared, &targets)?)?;
            (eigen.vectors, eigen.values, projected)
        } else {
            let eigen = symmetric_eigen(&gram(&Rows::<f64>::of_rows(&prepared, None, 1.0)))?;
            (gemm_tn(&prepared, &eigen.vectors)?, eigen.values, gemm_tn(&eigen.vectors, &targets)?)
        };
        let cut = cut(&eigenvalues, samples.max(features));
        Ok(RidgePath { offset, scale, mean_target, basis, eigenvalues, projected, cut })
    }

    /// Weights `[feature × target]` in units of the features as given, and intercepts, for a penalty of each target. With a penalty of 0,
    /// directions without variance have no weight (the solution of least norm).
    ///
    /// # Errors
    /// Another number of penalties than targets, one that is negative or not finite.
    pub fn coefficients(&self, penalties: &[f64]) -> Result<(Matrix, Vec<f64>), ComputeError> {
        let mut weights = gemm(&self.basis, &self.shrunk(penalties)?)?;
        for (feature, scale) in self.scale.iter().enumerate() {
            weights.row_mut(feature).iter_mut().for_each(|weight| *weight /= scale);
        }
        let mut intercepts = self.mean_target.clone();
        for (feature, offset) in self.offset.iter().enumerate() {
            intercepts.iter_mut().zip(weights.row(feature)).for_each(|(intercept, weight)| *intercept -= offset * weight);
        }
        Ok((weights, intercepts))
    }

    /// Predictions `[sample × target]` for `x [sample × feature]`, with a penalty of each target.
    ///
    /// # Errors
    /// As [`RidgePath::coefficients`]; another number of features, values that are not finite.
    pub fn predict(&self, x: &Matrix, penalties: &[f64]) -> Result<Matrix, ComputeError> {
        if x.cols() != self.offset.len() {
            return Err(ComputeError::shape(OPERATION, format!("{} features; the fit has {}", x.cols(), self.offset.len())));
        }
        finite(OPERATION, x.values())?;
        let directions = gemm(&prepare(x, &self.offset, &self.scale), &self.basis)?;
        let mut predicted = gemm(&directions, &self.shrunk(penalties)?)?;
        predicted.values_mut().chunks_exact_mut(self.mean_target.len()).for_each(|row| add(row, &self.mean_target));
        Ok(predicted)
    }

    fn shrunk(&self, penalties: &[f64]) -> Result<Matrix, ComputeError> {
        shrunk(&self.projected, &self.eigenvalues, self.cut, penalties)
    }
}

/// A fit of all penalties from a kernel.
#[derive(Debug, Clone)]
pub struct KernelRidge {
    centring: Option<KernelCentring>,
    mean_target: Vec<f64>,
    vectors: Matrix,
    eigenvalues: Vec<f64>,
    projected: Matrix,
    cut: f64,
}

impl KernelRidge {
    /// Decomposes a kernel `[sample × sample]` and projects `y [sample × target]`.
    ///
    /// # Errors
    /// A kernel that is not symmetric or of another size, values that are not finite.
    pub fn fit(kernel: &Matrix, y: &Matrix, intercept: bool) -> Result<KernelRidge, ComputeError> {
        check(kernel, y)?;
        let centring = intercept.then(|| KernelCentring::of(kernel));
        let centred = centring.as_ref().map_or_else(|| kernel.clone(), |centring| centring.inside(kernel));
        let mean_target = if intercept { column_means(y) } else { vec![0.0; y.cols()] };
        let eigen = symmetric_eigen(&centred)?;
        let projected = gemm_tn(&eigen.vectors, &minus(y, &mean_target))?;
        let cut = cut(&eigen.values, kernel.rows());
        Ok(KernelRidge { centring, mean_target, vectors: eigen.vectors, eigenvalues: eigen.values, projected, cut })
    }

    /// Predictions `[new sample × target]` from the kernel of new with training samples `[new sample × sample]`, with a penalty of each target.
    ///
    /// # Errors
    /// As [`RidgePath::predict`].
    pub fn predict(&self, kernel: &Matrix, penalties: &[f64]) -> Result<Matrix, ComputeError> {
        if kernel.cols() != self.vectors.rows() {
            return Err(ComputeError::shape(
                OPERATION,
                format!("a kernel with {} samples; the fit has {}", kernel.cols(), self.vectors.rows()),
            ));
        }
        finite(OPERATION, kernel.values())?;
        let centred = self.centring.as_ref().map_or_else(|| kernel.clone(), |centring| centring.outside(kernel));
        let directions = gemm(&centred, &self.vectors)?;
        let mut predicted = gemm(&directions, &shrunk(&self.projected, &self.eigenvalues, self.cut, penalties)?)?;
        predicted.values_mut().chunks_exact_mut(self.mean_target.len()).for_each(|row| add(row, &self.mean_target));
        Ok(predicted)
    }
}

/// Held-out scores of every fold, penalty and target.
#[derive(Debug, Clone, PartialEq)]
pub struct PathScores {
    n_folds: usize,
    n_penalties: usize,
    n_targets: usize,
    r: Vec<f64>,
    r2: Vec<f64>,
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
/// As [`RidgePath::fit`]; fewer than two folds, a fold without samples or with all of them, no penalty, one that is negative or not finite.
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
                let (offset, scale) = preparation(&sorted.take_rows(&plan.training(fold)), options);
                let kernel = gram(&Rows::<f64>::of_rows(&prepare(&sorted, &offset, &scale), None, 1.0));
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
            let (offset, scale) = preparation(&inside, options);
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
            let projected = gemm_tn(&eigen.vectors, &gemm_tn(&prepare(&inside, &offset, &scale), &minus(&targets, &mean_target))?)?;
            let outside = prepare(&x.take_rows(&plan.test(fold).collect::<Vec<_>>()), &offset, &scale);
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

/// What takes the mean of training samples off a kernel, in the space of its features.
#[derive(Debug, Clone)]
struct KernelCentring {
    /// The mean of each training sample's kernel with all.
    means: Vec<f64>,
    all: f64,
}

impl KernelCentring {
    fn of(kernel: &Matrix) -> KernelCentring {
        let n = kernel.rows() as f64;
        let means: Vec<f64> = kernel.row_iter().map(|row| crate::statistics::sum(row) / n).collect();
        let all = crate::statistics::sum(&means) / n;
        KernelCentring { means, all }
    }

    /// Of training with training samples, exactly symmetric.
    fn inside(&self, kernel: &Matrix) -> Matrix {
        Matrix::from_fn(kernel.rows(), kernel.cols(), |row, col| kernel[(row, col)] - (self.means[row] + self.means[col]) + self.all)
    }

    /// Of new with training samples.
    fn outside(&self, kernel: &Matrix) -> Matrix {
        let own: Vec<f64> = kernel.row_iter().map(|row| crate::statistics::sum(row) / row.len() as f64).collect();
        Matrix::from_fn(kernel.rows(), kernel.cols(), |row, col| kernel[(row, col)] - own[row] - self.means[col] + self.all)
    }
}

fn check(x: &Matrix, y: &Matrix) -> Result<(), ComputeError> {
    if x.rows() != y.rows() {
        return Err(ComputeError::shape(OPERATION, format!("{} samples of features and {} of targets", x.rows(), y.rows())));
    }
    if x.rows() == 0 || x.cols() == 0 || y.cols() == 0 {
        let reason = format!("{} samples of {} features and {} targets; at least one of each is needed", x.rows(), x.cols(), y.cols());
        return Err(ComputeError::shape(OPERATION, reason));
    }
    finite(OPERATION, x.values())?;
    finite(OPERATION, y.values())
}

fn check_penalties(penalties: &[f64]) -> Result<(), ComputeError> {
    match penalties.iter().find(|penalty| !(**penalty >= 0.0 && penalty.is_finite())) {
        Some(wrong) => Err(ComputeError::value(OPERATION, format!("a penalty of {wrong}; it is 0 or above, and finite"))),
        None => Ok(()),
    }
}

/// Offset and scale of each feature.
fn preparation(x: &Matrix, options: RidgeOptions) -> (Vec<f64>, Vec<f64>) {
    let features = x.cols();
    if !options.centres() {
        return (vec![0.0; features], vec![1.0; features]);
    }
    let offset = column_means(x);
    if !options.standardise {
        return (offset, vec![1.0; features]);
    }
    let mut squares = vec![0.0; features];
    for row in x.row_iter() {
        squares.iter_mut().zip(row.iter().zip(&offset)).for_each(|(sum, (value, mean))| *sum += (value - mean) * (value - mean));
    }
    let floor = |mean: f64| (16.0 * f64::EPSILON * mean).powi(2);
    let scale = squares
        .iter()
        .zip(&offset)
        .map(|(sum, &mean)| {
            let variance = sum / x.rows() as f64;
            if variance > floor(mean) { variance.sqrt() } else { 1.0 }
        })
        .collect();
    (offset, scale)
}

fn prepare(x: &Matrix, offset: &[f64], scale: &[f64]) -> Matrix {
    let mut prepared = x.clone();
    prepared.values_mut().par_chunks_mut(offset.len().max(1)).for_each(|row| {
        row.iter_mut().zip(offset.iter().zip(scale)).for_each(|(value, (offset, scale))| *value = (*value - offset) / scale)
    });
    prepared
}

fn minus(matrix: &Matrix, offset: &[f64]) -> Matrix {
    let mut less = matrix.clone();
    less.values_mut()
        .par_chunks_mut(offset.len().max(1))
        .for_each(|row| row.iter_mut().zip(offset).for_each(|(value, offset)| *value -= offset));
    less
}

fn add(to: &mut [f64], values: &[f64]) {
    to.iter_mut().zip(values).for_each(|(to, value)| *to += value);
}

/// Eigenvalues of at most this are directions without variance.
fn cut(eigenvalues: &[f64], size: usize) -> f64 {
    f64::EPSILON * size as f64 * eigenvalues.last().copied().unwrap_or(0.0).max(0.0)
}

/// `1 / (s + λ)`; 0 for a direction without variance that has no penalty.
fn shrinkage(eigenvalue: f64, penalty: f64, cut: f64) -> f64 {
    let eigenvalue = eigenvalue.max(0.0);
    if penalty == 0.0 && eigenvalue <= cut { 0.0 } else { 1.0 / (eigenvalue + penalty) }
}

fn shrunk(projected: &Matrix, eigenvalues: &[f64], cut: f64, penalties: &[f64]) -> Result<Matrix, ComputeError> {
    if penalties.len() != projected.cols() {
        return Err(ComputeError::shape(OPERATION, format!("{} penalties for {} targets", penalties.len(), projected.cols())));
    }
    check_penalties(penalties)?;
    Ok(Matrix::from_fn(projected.rows(), projected.cols(), |direction, target| {
        projected[(direction, target)] * shrinkage(eigenvalues[direction], penalties[target], cut)
    }))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix, same_on_any_threads};
    use crate::statistics::pearson;

    const PLAIN: RidgeOptions = RidgeOptions { intercept: true, standardise: false };

    #[test]
    fn features_of_very_different_sizes_are_no_obstacle() {
        let mut stream = crate::random::Stream::new(5);
        let x = Matrix::from_fn(60, 8, |_, col| 10f64.powi(col as i32 - 4) * (stream.normal() + 50.0));
        let y = Matrix::from_fn(60, 2, |row, target| 1e4 * x[(row, 0)] + target as f64 * 1e-3 * x[(row, 7)] + 0.1 * stream.normal());
        let fold: Vec<usize> = (0..60).map(|row| row * 5 / 60).collect();
        let options = RidgeOptions { intercept: true, standardise: true };
        let scores = cross_validate(&x, &y, &fold, &[1e-3, 1.0], options, Precision::Double).unwrap().mean(HeldOut::Explained);
        assert!(scores.values().iter().all(|r2| *r2 > 0.5), "{scores:?}");
    }

    #[test]
    fn weights_and_predictions_match_scikit_learn_for_tall_and_wide_inputs() {
        for name in ["decode/ridge_tall", "decode/ridge_wide"] {
            let Some(case) = Case::open(name) else { return };
            let (x, y, alphas, fold) = (case.matrix("X"), case.matrix("Y"), case.array("alphas").1, case.labels("fold"));
            let path = RidgePath::fit(&x, &y, PLAIN).unwrap();
            let (coefficients, intercepts) = (case.array("coef").1, case.array("intercept").1);
            let size = x.cols() * y.cols();
            for (place, &alpha) in alphas.iter().enumerate() {
                let (weights, own) = path.coefficients(&[alpha; 3]).unwrap();
                all_close(weights.transposed().values(), &coefficients[place * size..(place + 1) * size], 1e-7);
                all_close(&own, &intercepts[place * 3..(place + 1) * 3], 1e-7);
            }
            let n_folds = fold.iter().max().unwrap() + 1;
            let expected = case.array("cv_pred").1;
            for number in 0..n_folds {
                let side = |inside: bool| (0..x.rows()).filter(|&row| (fold[row] != number) == inside).collect::<Vec<_>>();
                let path = RidgePath::fit(&x.take_rows(&side(true)), &y.take_rows(&side(true)), PLAIN).unwrap();
                for (place, &alpha) in alphas.iter().enumerate() {
                    let predicted = path.predict(&x.take_rows(&side(false)), &[alpha; 3]).unwrap();
                    for (row, sample) in side(false).into_iter().enumerate() {
                        all_close(predicted.row(row), &expected[(place * x.rows() + sample) * 3..][..3], 1e-7);
                    }
                }
            }
        }
    }

    #[test]
    fn standardised_encoding_matches_scikit_learn() {
        let Some(case) = Case::open("more/similarity/ridge_encoding") else { return };
        let (x, y, fold) = (case.matrix("in_X"), case.matrix("in_Y"), case.labels("in_fold"));
        let options = RidgeOptions { intercept: true, standardise: true };
        let expected = case.matrix("out_pred");
        for number in 0..4 {
            let side = |inside: bool| (0..80).filter(|&row| (fold[row] != number) == inside).collect::<Vec<_>>();
            let path = RidgePath::fit(&x.take_rows(&side(true)), &y.take_rows(&side(true)), options).unwrap();
            let predicted = path.predict(&x.take_rows(&side(false)), &[10.0; 6]).unwrap();
            all_close(predicted.values(), expected.take_rows(&side(false)).values(), 1e-9);
        }
        let found = cross_validate(&x, &y, &fold, &[10.0], options, Precision::Double).unwrap();
        let r = case.matrix("out_pearson_fold");
        let single = cross_validate(&x, &y, &fold, &[10.0], options, Precision::Single).unwrap();
        for number in 0..4 {
            for target in 0..6 {
                close(found.of(number, 0, target, HeldOut::Correlation), r[(number, target)], 1e-9);
                close(single.of(number, 0, target, HeldOut::Correlation), r[(number, target)], 1e-5);
            }
        }
    }

    /// Scores of each fold fitted by itself.
    fn by_fold(x: &Matrix, y: &Matrix, fold: &[usize], penalties: &[f64], options: RidgeOptions) -> Vec<[f64; 2]> {
        let n_folds = fold.iter().max().unwrap() + 1;
        let mut scores = Vec::new();
        for number in 0..n_folds {
            let side = |inside: bool| (0..x.rows()).filter(|&row| (fold[row] != number) == inside).collect::<Vec<_>>();
            let path = RidgePath::fit(&x.take_rows(&side(true)), &y.take_rows(&side(true)), options).unwrap();
            for &penalty in penalties {
                let predicted = path.predict(&x.take_rows(&side(false)), &vec![penalty; y.cols()]).unwrap();
                let measured = y.take_rows(&side(false));
                for target in 0..y.cols() {
                    let (p, m) = (predicted.column(target), measured.column(target));
                    let middle = crate::statistics::mean(&m);
                    let squares = |values: Vec<f64>| values.iter().map(|value| value * value).sum::<f64>();
                    let left = squares(p.iter().zip(&m).map(|(p, m)| p - m).collect());
                    let all = squares(m.iter().map(|m| m - middle).collect());
                    scores.push([pearson(&p, &m).unwrap(), 1.0 - left / all]);
                }
            }
        }
        scores
    }

    fn problem(seed: u64, samples: usize, features: usize, targets: usize) -> (Matrix, Matrix, Vec<usize>) {
        let x = normal_matrix(seed, samples, features).map(|value| value + 0.7);
        let weights = normal_matrix(seed + 1, features, targets);
        let noise = normal_matrix(seed + 2, samples, targets);
        let signal = gemm(&x, &weights).unwrap();
        let y = Matrix::from_fn(samples, targets, |row, col| signal[(row, col)] + 2.0 * noise[(row, col)] + 5.0 * col as f64);
        let order = crate::random::Stream::new(seed).permutation(samples);
        let mut fold = vec![0; samples];
        order.into_iter().enumerate().for_each(|(place, sample)| fold[sample] = place % 4);
        (x, y, fold)
    }

    #[test]
    fn every_route_gives_the_scores_of_fitting_each_fold_by_itself() {
        let penalties = [0.3, 4.0, 100.0];
        for (samples, features) in [(30, 50), (31, 6), (40, 29)] {
            let (x, y, fold) = problem(3, samples, features, 5);
            for options in
                [PLAIN, RidgeOptions { intercept: false, standardise: false }, RidgeOptions { intercept: true, standardise: true }]
            {
                let expected = by_fold(&x, &y, &fold, &penalties, options);
                let found = cross_validate(&x, &y, &fold, &penalties, options, Precision::Double).unwrap();
                let single = cross_validate(&x, &y, &fold, &penalties, options, Precision::Single).unwrap();
                for (place, [r, r2]) in expected.iter().enumerate() {
                    close(found.r[place], *r, 1e-8);
                    close(found.r2[place], *r2, 1e-8);
                    close(single.r[place], *r, 1e-4);
                }
                if !options.standardise {
                    let kernel = gemm_nt(&x, &x).unwrap();
                    let found = cross_validate_kernel(&kernel, &y, &fold, &penalties, options.intercept, Precision::Double).unwrap();
                    expected.iter().enumerate().for_each(|(place, [r, _])| close(found.r[place], *r, 1e-7));
                }
            }
        }
    }

    #[test]
    fn without_a_penalty_the_least_norm_solution_is_found() {
        let (x, y, fold) = problem(8, 20, 30, 2);
        let expected = by_fold(&x, &y, &fold, &[0.0], PLAIN);
        let found = cross_validate(&x, &y, &fold, &[0.0], PLAIN, Precision::Double).unwrap();
        expected.iter().enumerate().for_each(|(place, [r, _])| close(found.r[place], *r, 1e-8));
        let (weights, _) =
            RidgePath::fit(&x, &y, RidgeOptions { intercept: false, standardise: false }).unwrap().coefficients(&[0.0; 2]).unwrap();
        let least = crate::factor::least_squares(&x, &y).unwrap().solution;
        all_close(weights.values(), least.values(), 1e-8);
    }

    #[test]
    fn a_kernel_of_features_predicts_as_the_features_do() {
        let (x, y, _) = problem(12, 30, 8, 3);
        let (train, test): (Vec<usize>, Vec<usize>) = ((0..22).collect(), (22..30).collect());
        let (inside, outside) = (x.take_rows(&train), x.take_rows(&test));
        for intercept in [true, false] {
            let options = RidgeOptions { intercept, standardise: false };
            let penalties = [0.5, 2.0, 30.0];
            let expected = RidgePath::fit(&inside, &y.take_rows(&train), options).unwrap().predict(&outside, &penalties).unwrap();
            let kernel = KernelRidge::fit(&gemm_nt(&inside, &inside).unwrap(), &y.take_rows(&train), intercept).unwrap();
            all_close(kernel.predict(&gemm_nt(&outside, &inside).unwrap(), &penalties).unwrap().values(), expected.values(), 1e-9);
        }
    }

    #[test]
    fn constants_score_zero_and_wrong_inputs_are_refused() {
        let (x, _, fold) = problem(4, 20, 30, 1);
        let y = Matrix::from_fn(20, 1, |_, _| 0.3);
        let found = cross_validate(&x, &y, &fold, &[1.0], PLAIN, Precision::Double).unwrap();
        assert_eq!((found.of(0, 0, 0, HeldOut::Correlation), found.of(0, 0, 0, HeldOut::Explained)), (0.0, 0.0));
        let refused =
            |fold: &[usize], penalties: &[f64]| cross_validate(&x, &y, fold, penalties, PLAIN, Precision::Double).unwrap_err().to_string();
        assert!(refused(&fold, &[]).contains("no penalty"));
        assert!(refused(&fold, &[-1.0]).contains("-1"));
        assert!(refused(&[0; 20], &[1.0]).contains("1 folds"));
        let mut gap = vec![0; 20];
        gap[3] = 2;
        assert!(refused(&gap, &[1.0]).contains("fold 1 has no samples"));
        assert!(refused(&fold[1..], &[1.0]).contains("19 samples"));
        let path = RidgePath::fit(&x, &y, PLAIN).unwrap();
        assert!(path.predict(&Matrix::zeros(2, 3), &[1.0]).is_err() && path.coefficients(&[1.0; 2]).is_err());
        assert!(RidgePath::fit(&x, &Matrix::zeros(19, 1), PLAIN).is_err());
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        for features in [60, 12] {
            let (x, y, fold) = problem(5, 50, features, 400);
            for precision in [Precision::Double, Precision::Single] {
                same_on_any_threads(|| cross_validate(&x, &y, &fold, &[0.1, 1.0, 10.0], PLAIN, precision).unwrap().r);
            }
        }
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(10))]
        #[test]
        fn permuting_samples_and_targets_permutes_the_scores(seed in 0u64..1000) {
            let (x, y, fold) = problem(seed, 24, 30, 3);
            let order = crate::random::Stream::new(seed).permutation(24);
            let moved: Vec<usize> = order.iter().map(|&sample| fold[sample]).collect();
            let one = cross_validate(&x, &y, &fold, &[1.0], PLAIN, Precision::Double).unwrap();
            let other = cross_validate(&x.take_rows(&order), &y.take_rows(&order).take_columns(&[2, 0, 1]), &moved, &[1.0], PLAIN, Precision::Double).unwrap();
            for fold in 0..4 {
                for target in 0..3 {
                    let (one, other) = (one.of(fold, 0, [2, 0, 1][target], HeldOut::Correlation), other.of(fold, 0, target, HeldOut::Correlation));
                    prop_assert!((one - other).abs() < 1e-9);
                }
            }
        }
    }
}
