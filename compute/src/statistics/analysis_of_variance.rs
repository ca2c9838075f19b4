//! One-way analysis of variance: F and its p value.
//!
//! F is the ratio of mean squares between and within groups (Fisher 1925). Its tail is a regularised incomplete beta function, by the continued
//! fraction of Didonato & Morris 1992 (ACM TOMS 18:360, eq. for `I_x(a, b)`), evaluated with Lentz's method; relative error below 1e-12.

use super::log_gamma;

/// Outcome of a one-way analysis of variance.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Anova {
    /// Mean square between groups over mean square within; none when nothing varies within groups.
    pub f: Option<f64>,
    /// Probability of such an F or a larger one when all groups have one mean; none when nothing varies at all or there are no degrees of freedom.
    pub p: Option<f64>,
}

/// Compares the means of groups of values; empty groups are passed over.
pub fn anova(groups: &[Vec<f64>]) -> Anova {
    let n: usize = groups.iter().map(Vec::len).sum();
    let k = groups.iter().filter(|group| !group.is_empty()).count();
    if k < 2 || n <= k {
        return Anova { f: None, p: None };
    }
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let grand = groups.iter().flatten().sum::<f64>() / n as f64;
    let (mut between, mut within, mut scale) = (0.0, 0.0, 0.0f64);
    for group in groups.iter().filter(|group| !group.is_empty()) {
        let own = mean(group);
        between += group.len() as f64 * (own - grand) * (own - grand);
        within += group.iter().map(|value| (value - own) * (value - own)).sum::<f64>();
        scale = group.iter().fold(scale, |scale, value| scale.max(value * value));
    }
    // Sums of squares below the rounding of the values are nothing but rounding.
    let rounding = n as f64 * scale * 1e-26;
    match (between > rounding, within > rounding) {
        (false, false) => Anova { f: None, p: None },
        (true, false) => Anova { f: None, p: Some(0.0) },
        _ => {
            let f = (between / (k - 1) as f64) / (within / (n - k) as f64);
            Anova { f: Some(f), p: Some(f_tail(f, k - 1, n - k)) }
        }
    }
}

/// Probability of an F of at least `f` with `d1` and `d2` degrees of freedom, both positive.
pub fn f_tail(f: f64, d1: usize, d2: usize) -> f64 {
    let (weighted, d2_number) = (d1 as f64 * f, d2 as f64);
    incomplete_beta(d2_number / (d2_number + weighted), weighted / (d2_number + weighted), d2, d1)
}

/// `I_x(a / 2, b / 2)` with `y = 1 − x` given beside `x`, so that neither loses digits near 1.
fn incomplete_beta(x: f64, y: f64, a: usize, b: usize) -> f64 {
    if x <= 0.0 {
        return 0.0;
    }
    if y <= 0.0 {
        return 1.0;
    }
    let (p, q) = (a as f64 / 2.0, b as f64 / 2.0);
    let front = (p * x.ln() + q * y.ln() + log_gamma(p + q) - log_gamma(p) - log_gamma(q)).exp();
    // The fraction converges fast on one side of the mean; the symmetry I_x(p, q) = 1 − I_y(q, p) serves the other.
    if x < (p + 1.0) / (p + q + 2.0) {
        (front * fraction(x, p, q) / p).clamp(0.0, 1.0)
    } else {
        (1.0 - front * fraction(y, q, p) / q).clamp(0.0, 1.0)
    }
}

fn fraction(x: f64, p: f64, q: f64) -> f64 {
    let guard = |value: f64| if value.abs() < 1e-300 { 1e-300 } else { value };
    let mut c = 1.0;
    let mut d = 1.0 / guard(1.0 - (p + q) * x / (p + 1.0));
    let mut result = d;
    // About sqrt(max(p, q)) terms are needed; the bound only ends what can't converge.
    for m in 1..10_000 {
        let m = f64::from(m);
        let even = m * (q - m) * x / ((p + 2.0 * m - 1.0) * (p + 2.0 * m));
        d = 1.0 / guard(1.0 + even * d);
        c = guard(1.0 + even / c);
        result *= d * c;
        let odd = -(p + m) * (p + q + m) * x / ((p + 2.0 * m) * (p + 2.0 * m + 1.0));
        d = 1.0 / guard(1.0 + odd * d);
        c = guard(1.0 + odd / c);
        let step = d * c;
        result *= step;
        if (step - 1.0).abs() < 1e-15 {
            break;
        }
    }
    result
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tails_are_those_of_scipy() {
        // scipy.stats.f.sf, SciPy 1.17.1.
        for (f, d1, d2, expected) in SCIPY_TAILS {
            let found = f_tail(f, d1, d2);
            assert!((found - expected).abs() <= 1e-11 * expected, "F({d1}, {d2}) at {f}: {found} and {expected}");
        }
    }

    const SCIPY_TAILS: [(f64, usize, usize, f64); 8] = [
        (1.0, 7, 120, 0.4347713566141058),
        (2.2, 7, 120, 0.03884303695871724),
        (35.0, 7, 120, 3.50084604263068e-26),
        (0.05, 7, 120, 0.9998205718805463),
        (4.1, 1, 9, 0.07354425082286813),
        (900.0, 3, 2, 0.001110083192878552),
        (1.3, 3, 3000, 0.2726779417957586),
        (0.7, 2, 1, 0.6454972243679028),
    ];

    #[test]
    fn an_analysis_of_variance_gives_scipys_numbers() {
        // scipy.stats.f_oneway, SciPy 1.17.1.
        let groups = [vec![1.0, 2.5, 3.0, 2.0], vec![2.0, 4.5, 3.5], vec![5.0, 4.0, 6.5, 5.5, 4.8]];
        let found = anova(&groups);
        assert!(
            (found.f.unwrap() - 10.77135578074795).abs() < 1e-12 && (found.p.unwrap() - 0.0040926738242423755).abs() < 1e-14,
            "{found:?}"
        );
    }

    #[test]
    fn without_variation_or_groups_there_is_no_f() {
        assert_eq!(anova(&[vec![0.1; 5], vec![0.1; 3]]), Anova { f: None, p: None });
        assert_eq!(anova(&[vec![0.1; 5], vec![0.2; 3]]), Anova { f: None, p: Some(0.0) });
        assert_eq!(anova(&[vec![1.0, 2.0]]), Anova { f: None, p: None });
        assert_eq!(anova(&[vec![1.0], vec![2.0]]), Anova { f: None, p: None });
    }
}
