//! Linear classifiers by the least penalised loss: what logistic regression and support vector machines share.
//!
//! The problems are strictly convex with a continuous slope, so L-BFGS finds the one answer from any start. All classes are minimised together, which makes two
//! matrix products of a step.

use crate::linear::LinearClassifier;
use crate::spectral::numerical;
use neuroflow_compute::optimise::{Lbfgs, Minimum, Stop};
use neuroflow_compute::product::gemm_into;
use neuroflow_compute::single::{self, SingleRef};
use neuroflow_compute::{ComputeError, Matrix, MatrixRef};
use neuroflow_stage::{Context, StageError};
use std::borrow::Cow;
use std::ops::{AddAssign, Mul};

/// Products of so many numbers and more are done in single precision first.
const WORTH_SINGLE: usize = 1 << 21;
/// From this tolerance on single precision is tried. A finer one would begin anew in double precision, far into the search and without what it learned.
const COARSE: f64 = 1e-5;
/// A search in single precision ends where the gradient has become this share of its first size: rounding is well below that.
const SINGLE_SHARE: f64 = 1e-4;

/// What is to be small for a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Loss {
    /// The negative logarithm of the probability of its class: softmax over the scores of several classes, sigmoid of the one score of two. The
    /// intercept is not penalised.
    Softmax,
    /// Σ max(0, 1 − y score)² with y = 1 for its class and −1 for the others; two classes have one score. The intercept is penalised as a weight.
    SquaredHinge,
}

/// How the fit is done.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Options {
    /// Folds inside the training trials for an automatic strength.
    pub(crate) inner: usize,
    /// The largest entry of the gradient of the mean loss at the end.
    pub(crate) tolerance: f64,
    /// The largest number of steps.
    pub(crate) steps: usize,
}

/// How far single precision led.
enum Approach {
    /// To the minimum, as exactly as was asked.
    Done(Vec<f64>),
    Near(Vec<f64>),
}

/// The function to be minimised: mean loss + penalty/2 · ‖W‖², with penalty = 1 / (strength · trials).
/// Its variables are weights `[(feature, intercept) × output]`, where two classes have one output and more have one each.
pub(crate) struct Problem<'a> {
    loss: Loss,
    features: &'a Matrix,
    labels: &'a [usize],
    n_classes: usize,
    n_outputs: usize,
    penalty: f64,
}

impl<'a> Problem<'a> {
    /// Of trials `[trial × feature]`; every class `0 .. n_classes` needs one.
    pub(crate) fn new(loss: Loss, features: &'a Matrix, labels: &'a [usize], n_classes: usize, strength: f64) -> Problem<'a> {
        let n_outputs = if n_classes == 2 { 1 } else { n_classes };
        let penalty = 1.0 / (strength * labels.len().max(1) as f64);
        Problem { loss, features, labels, n_classes, n_outputs, penalty }
    }

    /// No weights.
    pub(crate) fn start(&self) -> Vec<f64> {
        vec![0.0; (self.features.cols() + 1) * self.n_outputs]
    }

    /// The weights at the minimum, or as near to it as `steps` lead when `exactly` is not asked for. A large problem with a coarse tolerance is searched
    /// in single precision, at half the cost, and in double precision only if that can't tell the end.
    ///
    /// # Errors
    /// When `exactly` is asked for and `steps` don't suffice, when values are not finite, or the work was cancelled.
    pub(crate) fn minimise(
        &self,
        start: Vec<f64>,
        tolerance: f64,
        steps: usize,
        exactly: bool,
        context: &Context,
    ) -> Result<Vec<f64>, StageError> {
        let size = self.labels.len().saturating_mul(self.features.cols()).saturating_mul(self.n_outputs);
        let start = if size < WORTH_SINGLE || tolerance < COARSE {
            start
        } else {
            match self.approach(start, tolerance, steps, context)? {
                Approach::Done(weights) => return Ok(weights),
                Approach::Near(weights) => weights,
            }
        };
        let optimiser = Lbfgs { gradient_tolerance: tolerance, iterations: steps, ..Lbfgs::default() };
        let (found, _) = self.search::<f64>(start, &optimiser, context)?;
        let found = found.map_err(numerical)?;
        // A search that ends for want of precision is as near as numbers of this size allow.
        if exactly && found.stop == Stop::Iterations {
            return Err(StageError::refused_with_help(
                format!(
                    "{} is not done after {steps} steps: the gradient is {:.1e}, {tolerance:.1e} is wanted",
                    match self.loss {
                        Loss::Softmax => "logistic regression",
                        Loss::SquaredHinge => "the support vector machine",
                    },
                    found.gradient_norm
                ),
                "scale the features (`scale = zscore`), penalise more (a smaller `strength`), or allow more `steps` or a larger `tolerance`",
            ));
        }
        Ok(found.x)
    }

    /// The search in single precision; where numbers are too large for that, its end is the start.
    fn approach(&self, start: Vec<f64>, tolerance: f64, steps: usize, context: &Context) -> Result<Approach, StageError> {
        let optimiser = Lbfgs {
            gradient_tolerance: tolerance,
            gradient_share: SINGLE_SHARE,
            precision: f32::EPSILON.into(),
            iterations: steps,
            ..Lbfgs::default()
        };
        let (found, first) = self.search::<f32>(start.clone(), &optimiser, context)?;
        if let Ok(f) = &found {
            eprintln!("APP {} {:?} {:e} of {first:e}", f.evaluations, f.stop, f.gradient_norm);
        }
        Ok(match found {
            Ok(found) if found.gradient_norm <= tolerance && tolerance >= SINGLE_SHARE * first => Approach::Done(found.x),
            Ok(found) => Approach::Near(found.x),
            Err(_) => Approach::Near(start),
        })
    }

    /// What the optimiser found, or refused; and the largest magnitude of a component of the gradient at the start.
    ///
    /// # Errors
    /// When the work was cancelled.
    fn search<T: Number>(
        &self,
        start: Vec<f64>,
        optimiser: &Lbfgs,
        context: &Context,
    ) -> Result<(Result<Minimum, ComputeError>, f64), StageError> {
        let data = Data::<T>::of(self.features);
        let mut room = Room::of(self);
        let mut first = None;
        let objective = |weights: &[f64], gradient: &mut [f64]| {
            // A value that is not finite ends the search soon; whether the work was cancelled is asked below.
            if context.cancel.is_cancelled() {
                return f64::NAN;
            }
            let value = self.value(&data, weights, gradient, &mut room).unwrap_or(f64::NAN);
            first.get_or_insert_with(|| gradient.iter().fold(0.0f64, |largest, slope| largest.max(slope.abs())));
            value
        };
        let found = optimiser.minimise(start, objective);
        context.cancel.check()?;
        Ok((found, first.unwrap_or(0.0)))
    }

    /// The value at `weights`; its gradient goes into `gradient`. `room` is memory that is used again.
    fn value<T: Number>(&self, data: &Data<'_, T>, weights: &[f64], gradient: &mut [f64], room: &mut Room<T>) -> Result<f64, ComputeError> {
        let (n_features, n_outputs, n_trials) = (self.features.cols(), self.n_outputs, self.labels.len());
        let (weights, intercept) = weights.split_at(n_features * n_outputs);
        let (slopes, intercept_slopes) = gradient.split_at_mut(n_features * n_outputs);
        let per_trial = 1.0 / n_trials.max(1) as f64;
        let mut value = 0.5 * self.penalty * weights.iter().map(|weight| weight * weight).sum::<f64>();
        room.weights.iter_mut().zip(weights).for_each(|(to, weight)| *to = T::of(*weight));
        room.intercept.iter_mut().zip(intercept).for_each(|(to, weight)| *to = T::of(*weight));
        T::product(&data.features, [n_trials, n_features], &room.weights, n_outputs, &mut room.scores)?;
        intercept_slopes.fill(0.0);
        for (scores, &label) in room.scores.chunks_exact_mut(n_outputs).zip(self.labels) {
            scores.iter_mut().zip(&room.intercept).for_each(|(score, intercept)| *score += *intercept);
            value += per_trial
                * match self.loss {
                    Loss::Softmax => T::softmax_loss(scores, label),
                    Loss::SquaredHinge => T::hinge_loss(scores, label),
                };
            scores.iter_mut().for_each(|residual| *residual = *residual * T::of(per_trial));
            intercept_slopes.iter_mut().zip(scores).for_each(|(slope, residual)| *slope += residual.wide());
        }
        T::product(&data.turned, [n_features, n_trials], &room.scores, n_outputs, &mut room.slopes)?;
        for ((slope, weight), data) in slopes.iter_mut().zip(weights).zip(&room.slopes) {
            *slope = self.penalty * weight + data.wide();
        }
        if self.loss == Loss::SquaredHinge {
            value += 0.5 * self.penalty * intercept.iter().map(|weight| weight * weight).sum::<f64>();
            intercept_slopes.iter_mut().zip(intercept).for_each(|(slope, weight)| *slope += self.penalty * weight);
        }
        Ok(value)
    }

    /// The weights in the common form. One sigmoid becomes two classes of which the first has score 0, one hyperplane two with opposite scores.
    pub(crate) fn classifier(&self, weights: &[f64]) -> LinearClassifier {
        let (weights, intercept) = weights.split_at(self.features.cols() * self.n_outputs);
        if self.n_outputs == self.n_classes {
            return LinearClassifier { weights: weights.to_vec(), intercept: intercept.to_vec() };
        }
        let first = match self.loss {
            Loss::Softmax => 0.0,
            Loss::SquaredHinge => -1.0,
        };
        let widen = |values: &[f64]| values.iter().flat_map(|&value| [first * value, value]).collect();
        LinearClassifier { weights: widen(weights), intercept: widen(intercept) }
    }
}

/// The features of a problem in the precision of its search.
struct Data<'a, T: Number> {
    /// `[trial × feature]`
    features: Cow<'a, [T]>,
    /// `[feature × trial]`, for the gradient: a product runs along the rows of its left side, and would turn them anew at every step.
    turned: Vec<T>,
}

impl<'a, T: Number> Data<'a, T> {
    fn of(features: &'a Matrix) -> Data<'a, T> {
        Data { features: T::all(features.values()), turned: T::all(features.transposed().values()).into_owned() }
    }
}

/// Memory for one evaluation.
struct Room<T> {
    /// `[feature × output]`
    weights: Vec<T>,
    /// One for each output.
    intercept: Vec<T>,
    /// `[trial × output]`: scores, then the loss' slope by them.
    scores: Vec<T>,
    /// `[feature × output]`.
    slopes: Vec<T>,
}

impl<T: Number> Room<T> {
    fn of(problem: &Problem<'_>) -> Room<T> {
        let (n_features, n_outputs) = (problem.features.cols(), problem.n_outputs);
        let zeros = |length: usize| vec![T::of(0.0); length];
        Room {
            weights: zeros(n_features * n_outputs),
            intercept: zeros(n_outputs),
            scores: zeros(problem.labels.len() * n_outputs),
            slopes: zeros(n_features * n_outputs),
        }
    }
}

/// The two precisions of a search.
trait Number: Copy + AddAssign + Mul<Output = Self> {
    fn of(value: f64) -> Self;
    fn all(values: &[f64]) -> Cow<'_, [Self]>;
    fn wide(self) -> f64;
    /// `left [rows × inner] · right [inner × columns]`, all row-major, into `product`.
    fn product(left: &[Self], shape: [usize; 2], right: &[Self], columns: usize, product: &mut [Self]) -> Result<(), ComputeError>;
    /// [`Loss::Softmax`] of one trial; its scores become the loss' slope by the scores.
    fn softmax_loss(scores: &mut [Self], label: usize) -> f64;
    /// [`Loss::SquaredHinge`], likewise.
    fn hinge_loss(scores: &mut [Self], label: usize) -> f64;
}

/// [`Number`] for a kind of float and its product.
macro_rules! number {
    ($float:ty, $all:expr, |$left:ident, $rows:ident, $inner:ident, $right:ident, $columns:ident, $product:ident| $multiply:expr) => {
        impl Number for $float {
            #[allow(clippy::unnecessary_cast, reason = "one of the two is the same type")]
            fn of(value: f64) -> $float {
                value as $float
            }

            fn all(values: &[f64]) -> Cow<'_, [$float]> {
                $all(values)
            }

            fn wide(self) -> f64 {
                f64::from(self)
            }

            fn product(
                $left: &[$float],
                [$rows, $inner]: [usize; 2],
                $right: &[$float],
                $columns: usize,
                $product: &mut [$float],
            ) -> Result<(), ComputeError> {
                $multiply
            }

            fn softmax_loss(scores: &mut [$float], label: usize) -> f64 {
                if let [score] = scores {
                    let signed = if label == 1 { -*score } else { *score };
                    // ln(1 + eˢ) without overflow.
                    let loss = signed.max(0.0) + (-signed.abs()).exp().ln_1p();
                    *score = 1.0 / (1.0 + (-*score).exp()) - label as $float;
                    return f64::from(loss);
                }
                // The softmax and its logarithm from the same exponentials, which cost as much as a product here.
                let largest = scores.iter().copied().fold(<$float>::NEG_INFINITY, <$float>::max);
                let own = scores[label] - largest;
                let mut total = 0.0;
                for score in scores.iter_mut() {
                    *score = (*score - largest).exp();
                    total += *score;
                }
                scores.iter_mut().for_each(|score| *score /= total);
                scores[label] -= 1.0;
                f64::from(total.ln() - own)
            }

            fn hinge_loss(scores: &mut [$float], label: usize) -> f64 {
                let own = if scores.len() == 1 { label.checked_sub(1) } else { Some(label) };
                let mut loss = 0.0;
                for (output, score) in scores.iter_mut().enumerate() {
                    let sign = if own == Some(output) { 1.0 } else { -1.0 };
                    let short = (1.0 - sign * *score).max(0.0);
                    loss += short * short;
                    *score = -2.0 * sign * short;
                }
                f64::from(loss)
            }
        }
    };
}

number!(f64, Cow::Borrowed, |left, rows, inner, right, columns, product| gemm_into(
    MatrixRef::new(rows, inner, left)?,
    MatrixRef::new(inner, columns, right)?,
    product
));
number!(f32, |values: &[f64]| values.iter().map(|value| f32::of(*value)).collect(), |left, rows, inner, right, columns, product| {
    single::gemm_into(SingleRef::new(rows, inner, left)?, SingleRef::new(inner, columns, right)?, product)
});

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::random::Stream;

    #[test]
    fn the_gradient_is_the_slope_of_the_value() {
        let mut stream = Stream::new(2);
        for (loss, n_classes) in [Loss::Softmax, Loss::SquaredHinge].into_iter().flat_map(|loss| [(loss, 2), (loss, 3)]) {
            let features = Matrix::from_fn(12, 4, |_, _| stream.normal());
            let labels: Vec<usize> = (0..12).map(|trial| trial % n_classes).collect();
            let problem = Problem::new(loss, &features, &labels, n_classes, 0.7);
            let (data, mut room) = (Data::<f64>::of(&features), Room::of(&problem));
            let point: Vec<f64> = problem.start().iter().map(|_| stream.normal()).collect();
            let mut gradient = vec![0.0; point.len()];
            problem.value(&data, &point, &mut gradient, &mut room).unwrap();
            for place in 0..point.len() {
                let mut at = |by: f64| {
                    let mut moved = point.clone();
                    moved[place] += by;
                    problem.value(&data, &moved, &mut vec![0.0; point.len()], &mut room).unwrap()
                };
                let slope = (at(1e-5) - at(-1e-5)) / 2e-5;
                assert!((slope - gradient[place]).abs() < 1e-8, "{place}: {slope} {}", gradient[place]);
            }
        }
    }

    #[test]
    fn a_coarse_search_in_single_precision_ends_where_a_double_one_does() {
        let cases = [Loss::Softmax, Loss::SquaredHinge].into_iter().flat_map(|loss| [2, 5].map(|n_classes| (loss, n_classes)));
        for (loss, n_classes) in cases {
            for size in [1.0, 100.0, 1e60] {
                let mut stream = Stream::new(6);
                let labels: Vec<usize> = (0..400).map(|trial| trial % n_classes).collect();
                let features =
                    Matrix::from_fn(400, 1200, |trial, unit| size * (stream.normal() + if unit == labels[trial] { 2.0 } else { 0.0 }));
                let problem = Problem::new(loss, &features, &labels, n_classes, 1e-2 / (size * size));
                let context = Context::quiet(0);
                let tolerance = 1e-3 * size;
                let Approach::Done(single) = problem.approach(problem.start(), tolerance, 1000, &context).unwrap() else {
                    assert!(size == 1e60, "single precision can tell so large a gradient");
                    continue;
                };
                let optimiser = Lbfgs { gradient_tolerance: tolerance, ..Lbfgs::default() };
                let double = problem.search::<f64>(problem.start(), &optimiser, &context).unwrap().0.unwrap();
                let mut gradient = single.clone();
                problem.value(&Data::<f64>::of(&features), &single, &mut gradient, &mut Room::of(&problem)).unwrap();
                assert!(gradient.iter().all(|slope| slope.abs() <= 1.05 * tolerance));
                let largest = double.x.iter().fold(0.0f64, |largest, weight| largest.max(weight.abs()));
                let apart = single.iter().zip(&double.x).map(|(one, other)| (one - other).abs()).fold(0.0, f64::max);
                assert!(apart < 0.1 * largest, "{loss:?} {n_classes} {size}: {apart} of {largest}");
            }
        }
    }
}
