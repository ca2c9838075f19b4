//! Order 2 by an interior-point method.
//!
//! Minimise `½ ‖c − z‖²` with `G c ≥ 0`, where `z` is the trace less baseline and penalty, and `G` has the diagonals `1, −g₁, −g₂`. Newton's method on the
//! optimality conditions with a falling barrier (Nocedal & Wright, Numerical Optimization, 2nd ed., ch. 16.6); its matrix `I + Gᵀ D G` has five diagonals, so a
//! step takes time in proportion to the samples.

use super::{Deconvolved, NAME, Offset, Sparsity, rise_to};
use crate::ComputeError;

/// More steps than any trace should need; each takes the gap to a tenth.
const MOST_STEPS: usize = 200;

pub(super) fn solve(values: &[f64], g: [f64; 2], offset: Offset, sparsity: Sparsity) -> Result<Deconvolved, ComputeError> {
    let n = values.len();
    let free = offset == Offset::Free;
    let known = if let Offset::Known(baseline) = offset { baseline } else { 0.0 };
    let rest = 1.0 - g[0] - g[1];
    // What a unit of penalty takes off each sample; with a free baseline the same everywhere, so that both are one shift.
    let share = |place: usize| match (free, n - place) {
        (false, 1) => 1.0,
        (false, 2) => 1.0 - g[0],
        _ => rest,
    };
    let shifted = |penalty: f64, baseline: f64| -> Vec<f64> {
        values.iter().enumerate().map(|(place, value)| value - baseline - penalty * share(place)).collect()
    };
    // The residual, with the best baseline when that is free, and the baseline.
    let judged = |calcium: &[f64]| -> (f64, f64) {
        let left = || values.iter().zip(calcium).map(|(value, calcium)| value - calcium);
        let baseline = if free { left().sum::<f64>() / n as f64 } else { known };
        (left().map(|left| (left - baseline) * (left - baseline)).sum(), baseline)
    };
    let finish = |(calcium, spikes): (Vec<f64>, Vec<f64>), shift: f64| -> Deconvolved {
        let (_, baseline) = judged(&calcium);
        let penalty = if free { ((shift - baseline) / rest).max(0.0) } else { shift };
        Deconvolved { spikes, calcium, baseline, penalty }
    };
    let noise = match sparsity {
        Sparsity::Penalty { lambda, .. } => return Ok(finish(nonnegative(&shifted(lambda, known), g)?, lambda)),
        Sparsity::Noise(noise) => noise,
    };
    let target = noise * noise * n as f64;
    // The number to find: the shift of both with a free baseline, else the penalty.
    let of = |shift: f64| if free { shifted(0.0, shift) } else { shifted(shift, known) };
    let (low, high) = if free {
        (values.iter().copied().fold(f64::INFINITY, f64::min), values.iter().copied().fold(f64::NEG_INFINITY, f64::max))
    } else {
        (0.0, most_penalty(values, g, known))
    };
    let best = nonnegative(&of(low), g)?;
    let least = judged(&best.0).0;
    if least >= target {
        // As for order 1, the baseline is not sought below every sample.
        return Ok(Deconvolved { calcium: best.0, spikes: best.1, baseline: if free { low } else { known }, penalty: 0.0 });
    }
    let none = (vec![0.0; n], vec![0.0; n]);
    let empty = judged(&none.0).0;
    if empty <= target {
        return Ok(finish(none, high));
    }
    let mut failed = None;
    let shift = rise_to(target, (low, least), (high, empty), |shift| match nonnegative(&of(shift), g) {
        Ok((calcium, _)) => judged(&calcium).0,
        Err(error) => {
            failed = Some(error);
            f64::INFINITY
        }
    });
    match failed {
        Some(error) => Err(error),
        None => Ok(finish(nonnegative(&of(shift), g)?, shift)),
    }
}

/// The smallest penalty that leaves no calcium: the largest product of what is above the baseline with a response that begins at any sample.
fn most_penalty(values: &[f64], g: [f64; 2], baseline: f64) -> f64 {
    let (mut next, mut after, mut most) = (0.0, 0.0, 0.0f64);
    for value in values.iter().rev() {
        let here = value - baseline + g[0] * next + g[1] * after;
        most = most.max(here);
        (next, after) = (here, next);
    }
    most
}

/// The calcium nearest to `z` among those without negative spikes, and its spikes, of which the first is not given.
fn nonnegative(z: &[f64], g: [f64; 2]) -> Result<(Vec<f64>, Vec<f64>), ComputeError> {
    let n = z.len();
    let size = (z.iter().map(|value| value * value).sum::<f64>() / n as f64).sqrt();
    if size == 0.0 {
        return Ok((vec![0.0; n], vec![0.0; n]));
    }
    let z: Vec<f64> = z.iter().map(|value| value / size).collect();
    let mut spikes = vec![0.1; n];
    let mut calcium = responses(&spikes, g);
    let mut duals = vec![0.1; n];
    for _ in 0..MOST_STEPS {
        let gap = spikes.iter().zip(&duals).map(|(spike, dual)| spike * dual).sum::<f64>() / n as f64;
        let dual_part = transposed(&duals, g);
        let infeasible = (0..n).map(|at| (calcium[at] - z[at] - dual_part[at]).abs()).fold(0.0, f64::max);
        // Rounding keeps the first condition from zero where weights are large: once the gap is closed, more steps bring nothing.
        if gap < 1e-13 && infeasible < 1e-9 || gap < 1e-16 {
            return Ok(settled(spikes, &duals, g, size));
        }
        let barrier = 0.1 * gap;
        let weights: Vec<f64> = duals.iter().zip(&spikes).map(|(dual, spike)| (dual / spike).min(1e14)).collect();
        let pulls: Vec<f64> = spikes.iter().map(|spike| barrier / spike).collect();
        let pulled = transposed(&pulls, g);
        let right: Vec<f64> = (0..n).map(|at| z[at] - calcium[at] + pulled[at]).collect();
        let Some(step) = solve_banded(&weights, g, right) else { break };
        let spike_step = innovations(&step, g);
        let dual_step: Vec<f64> = (0..n).map(|at| pulls[at] - duals[at] - weights[at] * spike_step[at]).collect();
        let reach = |values: &[f64], steps: &[f64]| {
            values.iter().zip(steps).filter(|(_, step)| **step < 0.0).map(|(value, step)| -value / step).fold(f64::INFINITY, f64::min)
        };
        // The dual condition is linear, so both sides take the same step.
        let length = (0.99 * reach(&spikes, &spike_step).min(reach(&duals, &dual_step))).min(1.0);
        for at in 0..n {
            calcium[at] += length * step[at];
            duals[at] += length * dual_step[at];
            spikes[at] = (spikes[at] + length * spike_step[at]).max(1e-40);
            duals[at] = duals[at].max(1e-40);
        }
    }
    // Rounding may end the steps early; what is left of the gap says whether that matters.
    let gap = spikes.iter().zip(&duals).map(|(spike, dual)| spike * dual).sum::<f64>() / n as f64;
    match gap < 1e-8 {
        true => Ok(settled(spikes, &duals, g, size)),
        false => Err(ComputeError::value(NAME, "the trace is too badly scaled to deconvolve")),
    }
}

/// Spikes that the barrier alone keeps from zero are none.
fn settled(spikes: Vec<f64>, duals: &[f64], g: [f64; 2], size: f64) -> (Vec<f64>, Vec<f64>) {
    let mut spikes: Vec<f64> = spikes.iter().zip(duals).map(|(spike, dual)| if spike > dual { spike * size } else { 0.0 }).collect();
    let calcium = responses(&spikes, g);
    if let Some(first) = spikes.first_mut() {
        *first = 0.0;
    }
    (calcium, spikes)
}

/// `G⁻¹ s`: the calcium of spikes.
fn responses(spikes: &[f64], g: [f64; 2]) -> Vec<f64> {
    let (mut before, mut earlier) = (0.0, 0.0);
    spikes
        .iter()
        .map(|spike| {
            let here = spike + g[0] * before + g[1] * earlier;
            (earlier, before) = (before, here);
            here
        })
        .collect()
}

/// `G c`: the spikes of calcium.
fn innovations(calcium: &[f64], g: [f64; 2]) -> Vec<f64> {
    let at = |place: usize, lag: usize| place.checked_sub(lag).map_or(0.0, |place| calcium[place]);
    (0..calcium.len()).map(|place| calcium[place] - g[0] * at(place, 1) - g[1] * at(place, 2)).collect()
}

/// `Gᵀ ν`.
fn transposed(values: &[f64], g: [f64; 2]) -> Vec<f64> {
    let at = |place: usize| values.get(place).copied().unwrap_or(0.0);
    (0..values.len()).map(|place| values[place] - g[0] * at(place + 1) - g[1] * at(place + 2)).collect()
}

/// The solution of `(I + Gᵀ D G) x = right` by a banded `L D Lᵀ`; none when a pivot is not positive.
fn solve_banded(weights: &[f64], g: [f64; 2], mut right: Vec<f64>) -> Option<Vec<f64>> {
    let n = weights.len();
    let weight = |place: usize| weights.get(place).copied().unwrap_or(0.0);
    let (mut pivots, mut first, mut second) = (vec![0.0; n], vec![0.0; n], vec![0.0; n]);
    for at in 0..n {
        let (w0, w1, w2) = (weight(at), weight(at + 1), weight(at + 2));
        // Column `at` of the matrix: the diagonal, and one and two below it.
        let mut diagonal = 1.0 + w0 + g[0] * g[0] * w1 + g[1] * g[1] * w2;
        let mut below = if at + 1 < n { -g[0] * w1 + g[0] * g[1] * w2 } else { 0.0 };
        let below_two = if at + 2 < n { -g[1] * w2 } else { 0.0 };
        if at >= 1 {
            diagonal -= first[at - 1] * first[at - 1] * pivots[at - 1];
            below -= second[at - 1] * first[at - 1] * pivots[at - 1];
        }
        if at >= 2 {
            diagonal -= second[at - 2] * second[at - 2] * pivots[at - 2];
        }
        if !(diagonal > 0.0 && diagonal.is_finite()) {
            return None;
        }
        pivots[at] = diagonal;
        first[at] = below / diagonal;
        second[at] = below_two / diagonal;
    }
    for at in 0..n {
        if at >= 1 {
            right[at] -= first[at - 1] * right[at - 1];
        }
        if at >= 2 {
            right[at] -= second[at - 2] * right[at - 2];
        }
    }
    for at in (0..n).rev() {
        right[at] /= pivots[at];
        if at + 1 < n {
            right[at] -= first[at] * right[at + 1];
        }
        if at + 2 < n {
            right[at] -= second[at] * right[at + 2];
        }
    }
    Some(right)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_banded_matrix_is_solved() {
        let (weights, g) = ([3.0, 0.5, 1e6, 2.0, 7.0, 0.1], [1.4, -0.45]);
        let x = [1.0, -2.0, 0.5, 3.0, 0.0, 4.0];
        let weighted: Vec<f64> = innovations(&x, g).iter().zip(&weights).map(|(spike, weight)| spike * weight).collect();
        let right: Vec<f64> = transposed(&weighted, g).iter().zip(&x).map(|(product, x)| product + x).collect();
        for (found, x) in solve_banded(&weights, g, right).unwrap().iter().zip(&x) {
            assert!((found - x).abs() < 1e-8, "{found} {x}");
        }
    }
}
