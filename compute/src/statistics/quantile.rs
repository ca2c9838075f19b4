//! Quantiles with linear interpolation.

/// The `fraction` quantile, interpolated linearly between the two nearest order statistics (numpy's `method="linear"`, Hyndman & Fan's type 7). `fraction` is
/// clamped to 0–1; NaN for no values.
pub fn quantile(values: &[f64], fraction: f64) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_unstable_by(f64::total_cmp);
    quantile_of_sorted(&sorted, fraction)
}

/// [`quantile`] of values that are in ascending order already.
pub fn quantile_of_sorted(sorted: &[f64], fraction: f64) -> f64 {
    let Some(last) = sorted.len().checked_sub(1) else { return f64::NAN };
    let place = fraction.clamp(0.0, 1.0) * last as f64;
    let below = place.floor();
    let part = place - below;
    let low = sorted[(below as usize).min(last)];
    let high = sorted[(below as usize + 1).min(last)];
    // As numpy does, from the nearer side, so that the result is monotone in the fraction.
    if part < 0.5 { low + (high - low) * part } else { high - (high - low) * (1.0 - part) }
}

/// The median; NaN for no values.
pub fn median(values: &[f64]) -> f64 {
    quantile(values, 0.5)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn quantiles_are_those_of_numpy() {
        let values = [15.0, 50.0, 20.0, 40.0, 35.0];
        // np.quantile([15, 50, 20, 40, 35], [0, 0.05, 0.3, 0.4, 0.5, 0.95, 1])
        for (fraction, expected) in [(0.0, 15.0), (0.05, 16.0), (0.3, 23.0), (0.4, 29.0), (0.5, 35.0), (0.95, 48.0), (1.0, 50.0)] {
            assert!((quantile(&values, fraction) - expected).abs() < 1e-13, "{fraction}");
        }
        assert_eq!(median(&[4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!((median(&[7.0]), quantile(&[7.0], 1.0), quantile(&values, 7.0)), (7.0, 7.0, 50.0));
        assert!(median(&[]).is_nan());
    }
}
