//! The logarithm of the gamma function, of factorials and of binomial coefficients.

use std::f64::consts::PI;
use std::sync::LazyLock;

/// Factorials up to this number are looked up.
const TABLE: usize = 1 << 15;

/// `ln Γ(x)` for `x > 0`; infinity at 0, NaN below.
///
/// Stirling's series from 10 on, below that the recurrence and a series around 1 and 2; the relative error is a few units in the last place, also near the zeros at 1 and 2.
pub fn log_gamma(x: f64) -> f64 {
    if x.is_nan() || x < 0.0 {
        return f64::NAN;
    }
    if x == 0.0 || x.is_infinite() {
        return f64::INFINITY;
    }
    if x < 0.5 {
        return near_one_or_two(x + 1.0) - x.ln();
    }
    if x >= 10.0 {
        return stirling(x);
    }
    // Downwards to between 1.5 and 2.5: all terms are positive, nothing cancels.
    let (mut lowered, mut product) = (x, 1.0);
    while lowered > 2.5 {
        lowered -= 1.0;
        product *= lowered;
    }
    near_one_or_two(lowered) + product.ln()
}

/// `ln Γ(1 + z) = −ln(1 + z) + z (1 − γ) + Σ_{k ≥ 2} (ζ(k) − 1) (−z)ᵏ / k` for `|z| ≤ ½` (Abramowitz & Stegun 6.1.33), for `x` from 0.5 to 2.5.
fn near_one_or_two(x: f64) -> f64 {
    // Around 2 the term −ln(1 + z) drops out, because Γ(2 + z) = (1 + z) Γ(1 + z).
    let (z, around_two) = if x < 1.5 { (x - 1.0, false) } else { (x - 2.0, true) };
    let (mut power, mut series) = (-z, 0.0);
    for (place, zeta_minus_one) in ZETA_MINUS_ONE.iter().enumerate() {
        power *= -z;
        series += zeta_minus_one * power / (place as f64 + 2.0);
    }
    let two = z * (1.0 - 0.577_215_664_901_532_9) + series;
    if around_two { two } else { two - z.ln_1p() }
}

/// ζ(k) − 1 for k = 2, 3, …
static ZETA_MINUS_ONE: LazyLock<[f64; 48]> = LazyLock::new(|| {
    std::array::from_fn(|place| {
        let k = place as i32 + 2;
        // Euler–Maclaurin with the first 19 terms summed: ∫ + ½ + Σ B₂ⱼ / (2j)! · k (k + 1) … (k + 2j − 2) · n^(1 − k − 2j).
        const BERNOULLI: [f64; 4] = [1.0 / 12.0, -1.0 / 720.0, 1.0 / 30_240.0, -1.0 / 1_209_600.0];
        let (n, order) = (20.0f64, f64::from(k));
        let head: f64 = (2..20).rev().map(|term| f64::from(term).powi(-k)).sum();
        let mut tail = n.powi(1 - k) / (order - 1.0) + 0.5 * n.powi(-k);
        let mut rising = order;
        for (place, coefficient) in BERNOULLI.iter().enumerate() {
            let place = place as i32;
            tail += coefficient * rising * n.powi(-k - 1 - 2 * place);
            rising *= (order + 1.0 + 2.0 * f64::from(place)) * (order + 2.0 + 2.0 * f64::from(place));
        }
        head + tail
    })
});

/// Stirling's series for `x ≥ 10`.
fn stirling(x: f64) -> f64 {
    const TERMS: [f64; 8] =
        [1.0 / 12.0, -1.0 / 360.0, 1.0 / 1260.0, -1.0 / 1680.0, 1.0 / 1188.0, -691.0 / 360_360.0, 1.0 / 156.0, -3617.0 / 122_400.0];
    let square = 1.0 / (x * x);
    let series = TERMS.iter().rev().fold(0.0, |series, term| series * square + term) / x;
    (x - 0.5) * x.ln() - x + 0.5 * (2.0 * PI).ln() + series
}

/// `ln n!`, from a table for small `n`.
#[inline]
pub fn log_factorial(n: u64) -> f64 {
    static LOGS: LazyLock<Vec<f64>> = LazyLock::new(|| (0..TABLE).map(|n| log_gamma(n as f64 + 1.0)).collect());
    match usize::try_from(n).ok().and_then(|n| LOGS.get(n)) {
        Some(&log) => log,
        None => log_gamma(n as f64 + 1.0),
    }
}

/// `ln (n choose k)`; minus infinity when `k > n`.
pub fn log_binomial(n: u64, k: u64) -> f64 {
    if k > n { f64::NEG_INFINITY } else { log_factorial(n) - log_factorial(k) - log_factorial(n - k) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::close;

    #[test]
    fn known_values_are_met() {
        close(log_gamma(0.5), PI.sqrt().ln(), 1e-15);
        close(log_gamma(1.5), (PI.sqrt() / 2.0).ln(), 1e-15);
        close(log_gamma(10.5), 13.940_625_219_403_763, 1e-15);
        close(log_gamma(0.1), 2.252_712_651_734_206, 1e-15);
        // 1e6: scipy.special.gammaln.
        close(log_gamma(1e6), 12_815_504.569_147_611, 1e-15);
        assert_eq!((log_gamma(1.0), log_gamma(2.0)), (0.0, 0.0));
        assert!(log_gamma(-1.0).is_nan() && log_gamma(0.0) == f64::INFINITY);
    }

    #[test]
    fn relative_precision_holds_at_the_zeros() {
        // ln Γ(1 + z) ≈ −γ z + π² z² / 12.
        let z = 1e-6;
        let expected = -0.577_215_664_901_532_9 * z + PI * PI / 12.0 * z * z;
        let found = log_gamma(1.0 + z);
        assert!(((found - expected) / expected).abs() < 1e-9, "{found} {expected}");
    }

    #[test]
    fn the_recurrence_holds_across_the_borders_of_the_methods() {
        for step in 1..400 {
            let x = f64::from(step) * 0.037;
            let (left, right) = (log_gamma(x + 1.0), log_gamma(x) + x.ln());
            assert!((left - right).abs() < 4e-15 * right.abs().max(1.0), "{x}: {left} {right}");
        }
    }

    #[test]
    fn factorials_and_binomials_are_exact_where_they_can_be() {
        let mut factorial = 1.0f64;
        for n in 1..=20u64 {
            factorial *= n as f64;
            close(log_factorial(n), factorial.ln(), 1e-15);
        }
        assert_eq!(log_factorial(0), 0.0);
        close(log_factorial(5000) - log_factorial(4999), 5000f64.ln(), 1e-10);
        close(log_binomial(10, 3), 120f64.ln(), 1e-14);
        assert_eq!((log_binomial(3, 4), log_binomial(7, 7)), (f64::NEG_INFINITY, 0.0));
    }
}
