//! Minimisation of smooth functions by limited-memory BFGS.
//!
//! Two-loop recursion (Nocedal & Wright 2006, algorithm 7.4) with a line search for the strong Wolfe conditions. Near the minimum, where differences of
//! values drown in rounding, the decrease condition gives way by a few units in the last place of the value (after Hager & Zhang 2005), so that gradients of 1e-8 and
//! less are reached. Everything runs in the order it is written: the same bytes each time.

use std::collections::VecDeque;

use crate::ComputeError;
use crate::product::inner;

/// When to stop, and how much to remember.
#[derive(Debug, Clone, PartialEq)]
pub struct Lbfgs {
    /// Pairs of steps and gradient changes that are kept.
    pub memory: usize,
    /// Stop when no component of the gradient is larger than this.
    pub gradient_tolerance: f64,
    /// Stop also when no component of the gradient is larger than this share of the largest at the start: for functions whose gradient has a known
    /// relative precision.
    pub gradient_share: f64,
    /// The relative precision of values, within which differences mean nothing.
    pub precision: f64,
    /// Stop when a step lowers the value by less than this fraction of it. 0 goes on for as long as the value falls.
    pub value_tolerance: f64,
    /// Most steps.
    pub iterations: usize,
}

impl Default for Lbfgs {
    /// Memory 10, gradient tolerance 1e-8, no share of the gradient, values of double precision, no value tolerance, 1000 iterations.
    fn default() -> Lbfgs {
        Lbfgs { memory: 10, gradient_tolerance: 1e-8, gradient_share: 0.0, precision: f64::EPSILON, value_tolerance: 0.0, iterations: 1000 }
    }
}

/// Why the minimisation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stop {
    /// The gradient is within its tolerance.
    Gradient,
    /// The value falls by less than its tolerance.
    Value,
    /// All iterations are used.
    Iterations,
    /// No step along the search direction makes the value smaller: the precision of the function is exhausted, or its gradient is wrong.
    LineSearch,
}

/// Where the minimisation ended.
#[derive(Debug, Clone, PartialEq)]
pub struct Minimum {
    /// The point.
    pub x: Vec<f64>,
    /// The value there.
    pub value: f64,
    /// Largest magnitude of a component of the gradient there.
    pub gradient_norm: f64,
    /// Steps taken.
    pub iterations: usize,
    /// Calls of the function.
    pub evaluations: usize,
    /// Why it ended.
    pub stop: Stop,
}

impl Minimum {
    /// Whether the gradient or the value met its tolerance.
    pub fn converged(&self) -> bool {
        matches!(self.stop, Stop::Gradient | Stop::Value)
    }
}

/// A point with its value and gradient.
#[derive(Clone)]
struct Point {
    x: Vec<f64>,
    value: f64,
    gradient: Vec<f64>,
}

/// A step that was taken.
struct Pair {
    step: Vec<f64>,
    change: Vec<f64>,
    /// 1 / (step · change)
    weight: f64,
}

impl Lbfgs {
    /// Minimises `objective` from `start`. `objective(x, gradient)` returns the value at `x` and writes its gradient.
    ///
    /// Steps into regions where the value is not finite are shortened. Refuses a start where value or gradient is not finite. An end without convergence is not an
    /// error: see [`Minimum::stop`].
    pub fn minimise(&self, start: Vec<f64>, mut objective: impl FnMut(&[f64], &mut [f64]) -> f64) -> Result<Minimum, ComputeError> {
        let mut evaluations = 0;
        let mut evaluate = |x: Vec<f64>| {
            evaluations += 1;
            let mut gradient = vec![0.0; x.len()];
            let value = objective(&x, &mut gradient);
            Point { x, value, gradient }
        };
        let mut here = evaluate(start);
        if !here.value.is_finite() || here.gradient.iter().any(|slope| !slope.is_finite()) {
            let reason = format!("value {} or its gradient is not finite at the start; begin elsewhere or check the data", here.value);
            return Err(ComputeError::value("minimisation", reason));
        }
        let mut pairs: VecDeque<Pair> = VecDeque::with_capacity(self.memory);
        let mut iterations = 0;
        let tolerance = self.gradient_tolerance.max(self.gradient_share * largest(&here.gradient));
        let stop = loop {
            if largest(&here.gradient) <= tolerance {
                break Stop::Gradient;
            }
            if iterations == self.iterations {
                break Stop::Iterations;
            }
            let direction = direction(&here.gradient, &pairs);
            let first = if pairs.is_empty() { (1.0 / inner(&here.gradient, &here.gradient).sqrt()).min(1.0) } else { 1.0 };
            let Some(next) = line_search(&here, &direction, first, self.precision, &mut evaluate) else {
                if pairs.is_empty() {
                    break Stop::LineSearch;
                }
                // What is remembered misleads: begin again with the steepest descent.
                pairs.clear();
                continue;
            };
            iterations += 1;
            let step: Vec<f64> = next.x.iter().zip(&here.x).map(|(next, here)| next - here).collect();
            let change: Vec<f64> = next.gradient.iter().zip(&here.gradient).map(|(next, here)| next - here).collect();
            let curvature = inner(&step, &change);
            if curvature > f64::EPSILON * inner(&change, &change) && self.memory > 0 {
                if pairs.len() == self.memory {
                    pairs.pop_front();
                }
                pairs.push_back(Pair { step, change, weight: 1.0 / curvature });
            }
            let fall = here.value - next.value;
            here = next;
            if self.value_tolerance > 0.0 && fall <= self.value_tolerance * here.value.abs().max(1.0) {
                break if largest(&here.gradient) <= tolerance { Stop::Gradient } else { Stop::Value };
            }
        };
        Ok(Minimum { gradient_norm: largest(&here.gradient), x: here.x, value: here.value, iterations, evaluations, stop })
    }
}

fn largest(gradient: &[f64]) -> f64 {
    gradient.iter().fold(0.0, |largest, slope| largest.max(slope.abs()))
}

/// Minus the gradient times the approximate inverse Hessian, by the two-loop recursion.
fn direction(gradient: &[f64], pairs: &VecDeque<Pair>) -> Vec<f64> {
    let mut direction: Vec<f64> = gradient.iter().map(|slope| -slope).collect();
    let mut shares = Vec::with_capacity(pairs.len());
    for pair in pairs.iter().rev() {
        let share = pair.weight * inner(&pair.step, &direction);
        add_scaled(&mut direction, -share, &pair.change);
        shares.push(share);
    }
    if let Some(last) = pairs.back() {
        let scale = 1.0 / (last.weight * inner(&last.change, &last.change));
        direction.iter_mut().for_each(|component| *component *= scale);
    }
    for (pair, share) in pairs.iter().zip(shares.into_iter().rev()) {
        let correction = share - pair.weight * inner(&pair.change, &direction);
        add_scaled(&mut direction, correction, &pair.step);
    }
    direction
}

fn add_scaled(target: &mut [f64], factor: f64, values: &[f64]) {
    target.iter_mut().zip(values).for_each(|(target, value)| *target += factor * value);
}

/// One end of the interval that holds an acceptable step.
#[derive(Clone, Copy)]
struct End {
    length: f64,
    value: f64,
    slope: f64,
}

/// A point along `direction` where the strong Wolfe conditions hold; `None` when there is none within the precision of the function.
fn line_search(here: &Point, direction: &[f64], first: f64, precision: f64, evaluate: &mut impl FnMut(Vec<f64>) -> Point) -> Option<Point> {
    const DECREASE: f64 = 1e-4;
    const CURVATURE: f64 = 0.9;
    const TRIALS: usize = 50;
    let start_slope = inner(&here.gradient, direction);
    if start_slope >= 0.0 || start_slope.is_nan() {
        return None;
    }
    // What rounding alone may add to a value.
    let noise = 8.0 * precision * here.value.abs();
    let mut low = End { length: 0.0, value: here.value, slope: start_slope };
    let mut high: Option<End> = None;
    let mut longer = 2.0 * first;
    let mut length = first;
    let mut best: Option<Point> = None;
    for _ in 0..TRIALS {
        let mut x = here.x.clone();
        add_scaled(&mut x, length, direction);
        if x == here.x {
            break;
        }
        let point = evaluate(x);
        let slope = inner(&point.gradient, direction);
        let end = End { length, value: point.value, slope };
        let finite = point.value.is_finite() && slope.is_finite();
        if !finite || point.value > here.value + DECREASE * length * start_slope + noise {
            high = Some(end);
        } else if slope.abs() <= CURVATURE * -start_slope {
            return Some(point);
        } else {
            if point.value < best.as_ref().map_or(here.value, |best| best.value) {
                best = Some(point);
            }
            if slope < 0.0 {
                longer = further(low, end);
                low = end;
            } else {
                high = Some(end);
            }
        }
        length = match high {
            None => longer,
            Some(high) if !(high.value.is_finite() && high.slope.is_finite()) => 0.5 * (low.length + high.length),
            Some(high) => between(low, high),
        };
    }
    // The conditions could not be met, but a smaller value was found.
    best
}

/// A step beyond two that were too short: where a line through their slopes is zero, from twice to ten times the longer one.
fn further(low: End, end: End) -> f64 {
    let zero = end.length - end.slope * (end.length - low.length) / (end.slope - low.slope);
    // Slopes that fall are none of a valley's.
    if end.slope > low.slope { zero.clamp(2.0 * end.length, 10.0 * end.length) } else { 10.0 * end.length }
}

/// The minimum of the cubic through both ends, kept a tenth of the interval away from them.
fn between(low: End, high: End) -> f64 {
    let width = high.length - low.length;
    let d1 = low.slope + high.slope - 3.0 * (high.value - low.value) / width;
    let square = d1 * d1 - low.slope * high.slope;
    let cubic = if square >= 0.0 {
        let d2 = square.sqrt();
        high.length - width * (high.slope + d2 - d1) / (high.slope - low.slope + 2.0 * d2)
    } else {
        f64::NAN
    };
    if cubic.is_nan() { low.length + 0.5 * width } else { cubic.clamp(low.length + 0.1 * width, high.length - 0.1 * width) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix};
    use crate::product::{gemm, gemm_nt, gemm_tn, gram};
    use crate::{Matrix, with_threads};

    #[test]
    fn the_minimum_of_a_quadratic_is_the_solution_of_its_equations() {
        let matrix = gram(&normal_matrix(1, 60, 20));
        let planted = normal_matrix(2, 20, 1);
        let right = gemm(&matrix, &planted).unwrap();
        let minimum = Lbfgs { gradient_tolerance: 1e-9, ..Lbfgs::default() }
            .minimise(vec![0.0; 20], |x, gradient| {
                let product = crate::product::matrix_vector(&matrix, x).unwrap();
                gradient.iter_mut().zip(&product).zip(right.values()).for_each(|((slope, product), right)| *slope = product - right);
                0.5 * inner(x, &product) - inner(x, right.values())
            })
            .unwrap();
        assert_eq!(minimum.stop, Stop::Gradient);
        all_close(&minimum.x, planted.values(), 1e-8);
    }

    #[test]
    fn the_banana_valley_is_followed_to_its_end() {
        let minimum = Lbfgs::default()
            .minimise(vec![-1.2, 1.0], |x, gradient| {
                let (a, b) = (1.0 - x[0], x[1] - x[0] * x[0]);
                gradient[0] = -2.0 * a - 400.0 * x[0] * b;
                gradient[1] = 200.0 * b;
                a * a + 100.0 * b * b
            })
            .unwrap();
        all_close(&minimum.x, &[1.0, 1.0], 1e-7);
        assert!(minimum.converged() && minimum.iterations < 60, "{minimum:?}");
    }

    #[test]
    fn steps_out_of_the_domain_are_shortened() {
        // −ln x + x, not finite for x ≤ 0; the minimum is at 1.
        let minimum = Lbfgs::default()
            .minimise(vec![1e-3], |x, gradient| {
                gradient[0] = 1.0 - 1.0 / x[0];
                if x[0] > 0.0 { x[0] - x[0].ln() } else { f64::NAN }
            })
            .unwrap();
        close(minimum.x[0], 1.0, 1e-8);
        assert!(Lbfgs::default().minimise(vec![-1.0], |x, _| x[0].ln()).unwrap_err().to_string().contains("not finite at the start"));
    }

    #[test]
    fn a_wrong_gradient_ends_in_the_line_search_and_not_in_a_loop() {
        let minimum = Lbfgs::default()
            .minimise(vec![1.0], |x, gradient| {
                gradient[0] = -1.0;
                x[0]
            })
            .unwrap();
        assert_eq!((minimum.stop, minimum.converged()), (Stop::LineSearch, false));
    }

    /// Value and gradient of the multinomial logistic loss `Σ −ln p + ‖W‖² / (2C)`, as scikit-learn has it; `x` is `[class × (feature, intercept)]`.
    fn logistic(samples: &Matrix, labels: &[usize], classes: usize, penalty: f64, x: &[f64], gradient: &mut [f64]) -> f64 {
        let width = samples.cols() + 1;
        let weights = Matrix::from_fn(classes, width - 1, |class, feature| x[class * width + feature]);
        let mut scores = gemm_nt(samples, &weights).unwrap();
        let mut value = 0.5 / penalty * inner(weights.values(), weights.values());
        for (row, &label) in labels.iter().enumerate() {
            let scores = scores.row_mut(row);
            scores.iter_mut().enumerate().for_each(|(class, score)| *score += x[class * width + width - 1]);
            let most = scores.iter().fold(f64::NEG_INFINITY, |most, &score| most.max(score));
            let total = scores.iter().map(|score| (score - most).exp()).sum::<f64>().ln() + most;
            value += total - scores[label];
            scores.iter_mut().for_each(|score| *score = (*score - total).exp());
            scores[label] -= 1.0;
        }
        let slopes = gemm_tn(&scores, samples).unwrap();
        for class in 0..classes {
            for feature in 0..width - 1 {
                gradient[class * width + feature] = slopes[(class, feature)] + weights[(class, feature)] / penalty;
            }
            gradient[class * width + width - 1] = scores.column(class).iter().sum();
        }
        value
    }

    #[test]
    fn multinomial_logistic_regression_reaches_its_gradient_and_matches_scikit_learn() {
        let Some(case) = Case::open("decode/logistic") else { return };
        let (samples, train) = (case.matrix("X"), case.labels("train"));
        let rows: Vec<usize> = (0..train.len()).filter(|&row| train[row] != 0).collect();
        let labels: Vec<usize> = rows.iter().map(|&row| case.labels("y")[row]).collect();
        let (samples, classes) = (samples.take_rows(&rows), 4);
        let width = samples.cols() + 1;
        let fit = || {
            Lbfgs::default()
                .minimise(vec![0.0; classes * width], |x, gradient| logistic(&samples, &labels, classes, 0.5, x, gradient))
                .unwrap()
        };
        let minimum = fit();
        assert!(minimum.stop == Stop::Gradient && minimum.gradient_norm <= 1e-8, "{minimum:?}");
        let coefficients = Matrix::from_fn(classes, width - 1, |class, feature| minimum.x[class * width + feature]);
        all_close(coefficients.values(), case.matrix("coef").values(), 1e-6);
        assert_eq!(with_threads(4, fit).unwrap(), minimum);
    }

    #[test]
    fn a_loss_of_planted_labels_reaches_its_gradient() {
        let samples = normal_matrix(5, 90, 6);
        let labels: Vec<usize> =
            samples.row_iter().map(|row| usize::from(row[0] > 0.3) + usize::from(row[0] > -0.5 && row[1] > 0.0)).collect();
        let minimum = Lbfgs::default().minimise(vec![0.0; 21], |x, gradient| logistic(&samples, &labels, 3, 1e3, x, gradient)).unwrap();
        assert!(minimum.gradient_norm <= 1e-8, "{minimum:?}");
    }
}
