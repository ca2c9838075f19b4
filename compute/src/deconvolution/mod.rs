//! Spikes from fluorescence: sparse non-negative deconvolution of an autoregressive trace.
//!
//! The model is `y = b + c + noise`, `c[t] = g₁ c[t−1] (+ g₂ c[t−2]) + s[t]` with `s ≥ 0`. Found are the `c` and `s` that minimise
//! `½ ‖y − b − c‖² + λ Σ s`, for a given `λ` or for that at which `‖y − b − c‖² = σ² T`: the problems of Friedrich, Zhou & Paninski (2017), "Fast online
//! deconvolution of calcium imaging data" (OASIS), and of Vogelstein et al. (2010) and Pnevmatikakis et al. (2016) before. Order 1 is solved by their pools of
//! adjacent violators, order 2 by an interior-point method with banded matrices; both are exact. The first sample of `c` is the calcium that was there
//! before, and is no spike.

mod estimate;
mod first_order;
mod second_order;

pub use estimate::{decay_coefficients, noise_from_spectrum};

use crate::ComputeError;
use crate::error::finite;

/// How calcium decays from one sample to the next.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Decay {
    /// `c[t] = g c[t−1] + s[t]`, with `g` between 0 and 1.
    First(f64),
    /// `c[t] = g₁ c[t−1] + g₂ c[t−2] + s[t]`, a stable sum of two exponentials.
    Second(f64, f64),
}

/// What the trace stands on.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Offset {
    /// A known baseline.
    Known(f64),
    /// The baseline that fits best, found together with the penalty; not below the smallest sample.
    Free,
}

/// How sparse the spikes are.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Sparsity {
    /// A penalty `λ` on the sum of spikes. Needs a known baseline. `least` is the smallest spike (order 1 only; 0 for none).
    Penalty {
        /// The penalty.
        lambda: f64,
        /// The smallest spike.
        least: f64,
    },
    /// The sparsest spikes that leave no more than this noise, a standard deviation.
    Noise(f64),
}

/// A deconvolved trace.
#[derive(Debug, Clone, PartialEq)]
pub struct Deconvolved {
    /// The strength of spikes by sample, in the unit of the trace; the first is 0.
    pub spikes: Vec<f64>,
    /// The calcium without the baseline.
    pub calcium: Vec<f64>,
    /// The baseline.
    pub baseline: f64,
    /// The penalty.
    pub penalty: f64,
}

const NAME: &str = "deconvolution";

/// Deconvolves a trace.
///
/// When the noise is larger than what no spike at all leaves, there are none, and the penalty is the smallest that makes it so. When it is smaller than
/// what the best fit leaves, the penalty is 0. Refuses traces of fewer than 3 samples, values that are not finite, coefficients of no stable decay, a
/// noise or penalty below 0, and a penalty without a known baseline.
pub fn deconvolve(trace: &[f64], decay: Decay, offset: Offset, sparsity: Sparsity) -> Result<Deconvolved, ComputeError> {
    finite(NAME, trace)?;
    if trace.len() < 3 {
        return Err(ComputeError::shape(NAME, format!("the trace has {} samples; at least 3 are needed", trace.len())));
    }
    check_decay(decay)?;
    match sparsity {
        Sparsity::Noise(noise) if !(noise >= 0.0 && noise.is_finite()) => {
            return Err(ComputeError::value(NAME, format!("the noise is {noise}; it is a standard deviation of 0 or more")));
        }
        Sparsity::Penalty { lambda, least } if !(lambda >= 0.0 && lambda.is_finite() && least >= 0.0 && least.is_finite()) => {
            return Err(ComputeError::value(NAME, format!("the penalty is {lambda}, the smallest spike {least}; both are 0 or more")));
        }
        Sparsity::Penalty { .. } if offset == Offset::Free => {
            return Err(ComputeError::value(
                NAME,
                "a penalty alone does not tell the baseline from slow calcium; give the baseline, such as 0",
            ));
        }
        Sparsity::Penalty { least, .. } if least > 0.0 && matches!(decay, Decay::Second(..)) => {
            return Err(ComputeError::value(NAME, "a smallest spike is known to decays of order 1 only"));
        }
        _ => {}
    }
    match decay {
        Decay::First(g) => Ok(first_order::solve(trace, g, offset, sparsity)),
        Decay::Second(first, second) => second_order::solve(trace, [first, second], offset, sparsity),
    }
}

fn check_decay(decay: Decay) -> Result<(), ComputeError> {
    let stable = match decay {
        Decay::First(g) => g > 0.0 && g < 1.0,
        // Both roots of z² − g₁ z − g₂ are real and lie from 0 to below 1.
        Decay::Second(first, second) => {
            first > 0.0 && second <= 0.0 && first + second < 1.0 && first * first + 4.0 * second >= 0.0 && first < 2.0
        }
    };
    if stable {
        return Ok(());
    }
    let reason = match decay {
        Decay::First(g) => format!("the decay from sample to sample is {g}; it lies between 0 and 1"),
        Decay::Second(first, second) => format!("the coefficients {first} and {second} are no sum of two decays"),
    };
    Err(ComputeError::value(NAME, reason))
}

/// The argument at which a function that does not fall reaches `target`, between `low` (below it) and `high` (at or above): the Illinois method, which
/// keeps a bracket, with bisection where it is slow. The function is asked at most 60 times.
fn rise_to(
    target: f64,
    (mut low, mut at_low): (f64, f64),
    (mut high, mut at_high): (f64, f64),
    mut function: impl FnMut(f64) -> f64,
) -> f64 {
    let mut kept = 0;
    for round in 0..60 {
        if at_high - target <= 1e-10 * target.abs() || high - low <= 1e-14 * high.abs().max(low.abs()) {
            return high;
        }
        let share = (target - at_low) / (at_high - at_low);
        let middle = if round % 6 == 5 || !(share > 0.0 && share < 1.0) { 0.5 * (low + high) } else { low + share * (high - low) };
        let value = function(middle);
        if value < target {
            (low, at_low) = (middle, value);
            if kept == 1 {
                at_high = target + 0.5 * (at_high - target);
            }
            kept = 1;
            if target - value <= 1e-10 * target.abs() {
                return middle;
            }
        } else {
            (high, at_high) = (middle, value);
            if kept == 2 {
                at_low = target - 0.5 * (target - at_low);
            }
            kept = 2;
        }
    }
    high
}

#[cfg(test)]
mod tests;
