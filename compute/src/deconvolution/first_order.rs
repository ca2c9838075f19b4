//! Order 1 by pools of adjacent violators (Friedrich et al. 2017, algorithms 1 and 2).
//!
//! A pool is a stretch without spikes after its first sample: `c` starts at a value and decays. A pool whose value lies below what the pool before it has
//! decayed to is joined to it. For a larger penalty pools only join, so each penalty starts from the pools of a smaller one, and the residual follows
//! from the pools' sums: the samples are visited once.

use super::{Deconvolved, Offset, Sparsity, rise_to};

#[derive(Debug, Clone, Copy)]
struct Pool {
    /// `Σ gᵏ y`, over the samples of the pool.
    product: f64,
    /// `Σ g²ᵏ`.
    weight: f64,
    first: usize,
    length: usize,
}

/// What is taken off the trace: `baseline` at every sample, and what a penalty does.
#[derive(Clone, Copy)]
struct Shift {
    baseline: f64,
    penalty: f64,
}

struct Trace {
    g: f64,
    /// `g⁰, g¹, …`, as far as it is not zero.
    powers: Vec<f64>,
    n: usize,
    sum: f64,
    squares: f64,
    /// What was taken off before, so that sums keep their digits.
    centre: f64,
    /// The smallest spike.
    least: f64,
    /// Whether the last sample carries the whole penalty, as the sum of spikes has it, and not the share `1 − g` of it.
    exact_end: bool,
}

pub(super) fn solve(values: &[f64], g: f64, offset: Offset, sparsity: Sparsity) -> Deconvolved {
    let centre = values.iter().sum::<f64>() / values.len() as f64;
    let centred: Vec<f64> = values.iter().map(|value| value - centre).collect();
    let mut powers = vec![1.0];
    while powers.len() <= values.len() && powers[powers.len() - 1] > 1e-300 {
        powers.push(powers[powers.len() - 1] * g);
    }
    let trace = Trace {
        g,
        powers,
        n: values.len(),
        sum: centred.iter().sum(),
        squares: centred.iter().map(|value| value * value).sum(),
        centre,
        least: if let Sparsity::Penalty { least, .. } = sparsity { least } else { 0.0 },
        exact_end: matches!(offset, Offset::Known(_)),
    };
    let singles: Vec<Pool> =
        centred.iter().enumerate().map(|(first, &value)| Pool { product: value, weight: 1.0, first, length: 1 }).collect();
    let (shift, pools) = match (offset, sparsity) {
        (Offset::Known(baseline), Sparsity::Penalty { lambda, .. }) => {
            let shift = Shift { baseline: baseline - centre, penalty: lambda };
            (shift, trace.joined(&singles, shift))
        }
        (Offset::Known(baseline), Sparsity::Noise(noise)) => known(&trace, &singles, baseline - centre, noise),
        (Offset::Free, Sparsity::Noise(noise)) => free(&trace, &singles, noise),
        (Offset::Free, Sparsity::Penalty { .. }) => (Shift { baseline: 0.0, penalty: 0.0 }, Vec::new()),
    };
    trace.finish(&pools, shift)
}

/// The penalty at which the noise is left, above a known baseline.
fn known(trace: &Trace, singles: &[Pool], baseline: f64, noise: f64) -> (Shift, Vec<Pool>) {
    let target = noise * noise * trace.n as f64;
    let at = |penalty: f64| Shift { baseline, penalty };
    let mut pools = trace.joined(singles, at(0.0));
    let least = trace.residual(&pools, at(0.0));
    if least >= target {
        return (at(0.0), pools);
    }
    // The smallest penalty that leaves no calcium: no pool that starts at any sample is above zero.
    let mut most: f64 = 0.0;
    let mut tail = 0.0;
    for pool in singles.iter().rev() {
        let value = pool.product - baseline;
        tail = value + trace.g * tail;
        most = most.max(tail);
    }
    let empty = trace.residual(&trace.joined(&pools, at(most)), at(most));
    if empty <= target {
        return (at(most), trace.joined(&pools, at(most)));
    }
    let start = pools.clone();
    let mut reached = 0.0;
    let penalty = rise_to(target, (0.0, least), (most, empty), |penalty| {
        let from = if penalty >= reached { &pools } else { &start };
        let joined = trace.joined(from, at(penalty));
        let residual = trace.residual(&joined, at(penalty));
        if residual < target {
            (pools, reached) = (joined, penalty);
        }
        residual
    });
    let joined = trace.joined(&start, at(penalty));
    (at(penalty), joined)
}

/// Penalty and baseline at which the noise is left. Both are one shift of the trace, so there is one number to find: with the calcium of a shift, the
/// best baseline is the mean of what is left, and the rest of the shift is the penalty's.
fn free(trace: &Trace, singles: &[Pool], noise: f64) -> (Shift, Vec<Pool>) {
    let target = noise * noise * trace.n as f64;
    let of_shift = |pools: &[Pool], shift: f64| {
        let calcium = trace.sum_of_calcium(pools, Shift { baseline: shift, penalty: 0.0 });
        (trace.sum - calcium) / trace.n as f64
    };
    let residual = |pools: &[Pool], shift: f64| {
        let baseline = of_shift(pools, shift);
        trace.residual_of(pools, Shift { baseline: shift, penalty: 0.0 }, baseline)
    };
    let values = || singles.iter().map(|pool| pool.product);
    let (low, high) = (values().fold(f64::INFINITY, f64::min), values().fold(f64::NEG_INFINITY, f64::max));
    // A baseline below every sample would let calcium stand high and fall fast, and so explain any noise: it is not sought there.
    let mut pools = trace.joined(singles, Shift { baseline: low, penalty: 0.0 });
    let least = residual(&pools, low);
    let split = |pools: Vec<Pool>, shift: f64| {
        let baseline = of_shift(&pools, shift);
        let penalty = ((shift - baseline) / (1.0 - trace.g)).max(0.0);
        (Shift { baseline, penalty }, pools)
    };
    if least >= target {
        return (Shift { baseline: low, penalty: 0.0 }, pools);
    }
    let none = trace.joined(&pools, Shift { baseline: high, penalty: 0.0 });
    let empty = residual(&none, high);
    if empty <= target {
        return split(none, high);
    }
    let start = pools.clone();
    let mut reached = low;
    let shift = rise_to(target, (low, least), (high, empty), |shift| {
        let from = if shift >= reached { &pools } else { &start };
        let joined = trace.joined(from, Shift { baseline: shift, penalty: 0.0 });
        let found = residual(&joined, shift);
        if found < target {
            (pools, reached) = (joined, shift);
        }
        found
    });
    split(trace.joined(&start, Shift { baseline: shift, penalty: 0.0 }), shift)
}

impl Trace {
    fn power(&self, exponent: usize) -> f64 {
        self.powers.get(exponent).copied().unwrap_or(0.0)
    }

    /// Where a pool starts.
    fn value(&self, pool: &Pool, shift: Shift) -> f64 {
        let decayed = 1.0 - self.power(pool.length);
        let last = self.exact_end && pool.first + pool.length == self.n;
        let penalised = if last { 1.0 } else { decayed };
        (pool.product - shift.baseline * decayed / (1.0 - self.g) - shift.penalty * penalised) / pool.weight
    }

    /// The pools, joined where neighbours violate the order under a shift.
    fn joined(&self, pools: &[Pool], shift: Shift) -> Vec<Pool> {
        let mut stack: Vec<Pool> = Vec::with_capacity(pools.len());
        let mut values: Vec<f64> = Vec::with_capacity(pools.len());
        for pool in pools {
            let mut pool = *pool;
            let mut value = self.value(&pool, shift);
            while let (Some(before), Some(from)) = (stack.last(), values.last()) {
                let power = self.power(before.length);
                if from * power + self.least <= value {
                    break;
                }
                pool = Pool {
                    product: before.product + power * pool.product,
                    weight: before.weight + power * power * pool.weight,
                    first: before.first,
                    length: before.length + pool.length,
                };
                value = self.value(&pool, shift);
                stack.pop();
                values.pop();
            }
            stack.push(pool);
            values.push(value);
        }
        stack
    }

    fn sum_of_calcium(&self, pools: &[Pool], shift: Shift) -> f64 {
        pools.iter().map(|pool| self.value(pool, shift).max(0.0) * (1.0 - self.power(pool.length)) / (1.0 - self.g)).sum()
    }

    fn residual(&self, pools: &[Pool], shift: Shift) -> f64 {
        self.residual_of(pools, shift, shift.baseline)
    }

    /// `‖y − b − c‖²` for the calcium of pools under a shift.
    fn residual_of(&self, pools: &[Pool], shift: Shift, baseline: f64) -> f64 {
        let calcium: f64 = pools
            .iter()
            .map(|pool| {
                let value = self.value(pool, shift).max(0.0);
                let above = pool.product - baseline * (1.0 - self.power(pool.length)) / (1.0 - self.g);
                value * (value * pool.weight - 2.0 * above)
            })
            .sum();
        self.squares - 2.0 * baseline * self.sum + self.n as f64 * baseline * baseline + calcium
    }

    fn finish(&self, pools: &[Pool], shift: Shift) -> Deconvolved {
        // With a free baseline the pools were made under the shift of both together.
        let effective =
            if self.exact_end { shift } else { Shift { baseline: shift.baseline + shift.penalty * (1.0 - self.g), penalty: 0.0 } };
        let (mut calcium, mut spikes) = (Vec::with_capacity(self.n), vec![0.0; self.n]);
        for pool in pools {
            let value = self.value(pool, effective).max(0.0);
            let before = calcium.last().copied().unwrap_or(0.0);
            if pool.first > 0
                && let Some(spike) = spikes.get_mut(pool.first)
            {
                *spike = (value - self.g * before).max(0.0);
            }
            calcium.extend((0..pool.length).map(|lag| value * self.power(lag)));
        }
        Deconvolved { spikes, calcium, baseline: shift.baseline + self.centre, penalty: shift.penalty }
    }
}
