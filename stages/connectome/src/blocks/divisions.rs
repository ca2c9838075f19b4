//! In how many ways a number divides into parts.
//!
//! `q(n, k)`, the number of partitions of `n` into at most `k` parts: exact for small `n`; for large ones the asymptotic form of Szekeres, as in Peixoto 2017 (appendix A of
//! "Nonparametric Bayesian inference of the microcanonical stochastic block model"): `ln q ≈ f(u) − ln n + √n g(u)` with `u = k / √n`, or `C(n + k − 1, k − 1) / k!` for few parts.

use neuroflow_compute::statistics::{log_binomial, log_factorial};
use std::f64::consts::{LN_2, PI};
use std::sync::LazyLock;

/// Numbers up to which divisions are counted exactly.
const EXACT: usize = 512;

/// Steps of the tables of `f` and `g` over `ln u`.
const STEPS: usize = 4096;

/// The range of `ln u` that the tables cover; above, `f` and `g` are constant to rounding.
const RANGE: (f64, f64) = (-6.0, 3.5);

/// `ln q(n, k)`, the logarithm of the number of partitions of `n` into at most `k` parts; minus infinity when there is none. Relative error below 1 % from 513 on.
pub(crate) fn log_divisions(n: u64, k: u64) -> f64 {
    static COUNTED: LazyLock<Vec<f64>> = LazyLock::new(counted);
    static CURVES: LazyLock<Vec<(f64, f64)>> = LazyLock::new(curves);
    if n == 0 {
        return 0.0;
    }
    if k == 0 {
        return f64::NEG_INFINITY;
    }
    if k == 1 {
        return 0.0;
    }
    let k = k.min(n);
    if n <= EXACT as u64 {
        return COUNTED[n as usize * (EXACT + 1) + k as usize];
    }
    let root = (n as f64).sqrt();
    if (k as f64) < root.sqrt() {
        return log_binomial(n + k - 1, k - 1) - log_factorial(k);
    }
    let place = ((k as f64 / root).ln() - RANGE.0) / (RANGE.1 - RANGE.0) * STEPS as f64;
    let (f, g) = if place >= STEPS as f64 {
        (-(4.0 * 3f64.sqrt()).ln(), PI * (2f64 / 3.0).sqrt())
    } else {
        let at = place.max(0.0) as usize;
        let ((f, g), (next_f, next_g), share) = (CURVES[at], CURVES[at + 1], place.max(0.0) - at as f64);
        (f + share * (next_f - f), g + share * (next_g - g))
    };
    f - (n as f64).ln() + root * g
}

/// Logarithms of the exact numbers, by `n` and `k`.
fn counted() -> Vec<f64> {
    let width = EXACT + 1;
    let mut counts = vec![0.0; width * width];
    counts[..width].fill(1.0);
    for n in 1..width {
        for k in 1..width {
            // Either fewer than k parts, or one taken off each of k.
            counts[n * width + k] = counts[n * width + k - 1] + if n >= k { counts[(n - k) * width + k] } else { 0.0 };
        }
    }
    counts.into_iter().map(f64::ln).collect()
}

/// `f` and `g` at every step.
fn curves() -> Vec<(f64, f64)> {
    let at = |step: usize| {
        let u = (RANGE.0 + (RANGE.1 - RANGE.0) * step as f64 / STEPS as f64).exp();
        // v = u √Li₂(1 − e^−v), by iteration; it contracts by a half at worst.
        let mut v = u;
        for _ in 0..200 {
            let next = u * dilogarithm(-(-v).exp_m1()).sqrt();
            let settled = (next - v).abs() <= 1e-15 * next;
            v = next;
            if settled {
                break;
            }
        }
        let left = -(-v).exp();
        let f = v.ln() - 0.5 * (left * (1.0 + 0.5 * u * u)).ln_1p() - 1.5 * LN_2 - u.ln() - PI.ln();
        (f, 2.0 * v / u - u * left.ln_1p())
    };
    (0..=STEPS).map(at).collect()
}

/// `Li₂(x) = Σ xⁿ / n²` for `0 ≤ x ≤ 1`.
fn dilogarithm(x: f64) -> f64 {
    if x >= 1.0 {
        return PI * PI / 6.0;
    }
    if x > 0.5 {
        // Euler's reflection.
        return PI * PI / 6.0 - x.ln() * (-x).ln_1p() - dilogarithm(1.0 - x);
    }
    let (mut power, mut total) = (1.0, 0.0);
    for n in 1..64 {
        power *= x;
        total += power / f64::from(n * n);
    }
    total
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn small_numbers_are_those_of_the_tables() {
        // OEIS A000041 and A008284.
        for (n, k, ways) in [(5, 5, 7.0), (5, 2, 3.0), (10, 10, 42.0), (10, 3, 14.0), (100, 100, 190_569_292.0), (7, 1, 1.0), (0, 4, 1.0)] {
            assert!((log_divisions(n, k) - f64::ln(ways)).abs() < 1e-9, "{n} {k}");
        }
        assert!(log_divisions(3, 0) == f64::NEG_INFINITY && (log_divisions(5, 9) - 7f64.ln()).abs() < 1e-12);
    }

    #[test]
    fn large_numbers_are_near_those_of_the_recurrence() {
        let most = 3_000;
        let mut counts = vec![0.0f64; most + 1];
        counts[0] = 1.0;
        for k in 1..=most {
            for n in k..=most {
                counts[n] += counts[n - k];
            }
            if [2, 5, 9, 20, 60, 200, 1_000, 3_000].contains(&k) {
                for n in [600, 1_500, 3_000] {
                    let (exact, found) = (counts[n].ln(), log_divisions(n as u64, k as u64));
                    assert!((found - exact).abs() < 0.01 * exact + 0.05, "{n} {k}: {found} {exact}");
                }
            }
        }
        assert!((dilogarithm(0.5) - 0.582_240_526_465_012_3).abs() < 1e-14);
    }
}
