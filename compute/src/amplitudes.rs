//! Amplitudes of spikes: how far they stand out of the noise, and how many were too small to be found.

use crate::signal::gaussian_smoothed;
use crate::statistics::median;

/// Bins of the histogram, and the standard deviation in bins by which it is smoothed.
const BINS: usize = 500;
const SMOOTHING: f64 = 3.0;
/// Amplitudes per bin that make a histogram.
const LEAST: usize = 5;

/// The standard deviation of noise from the median of distances to the median, which spikes hardly move: that of a normal distribution. None without
/// values, or where one is not finite.
pub fn noise_level(values: &[f64]) -> Option<f64> {
    if values.is_empty() || values.iter().any(|value| !value.is_finite()) {
        return None;
    }
    let middle = median(values);
    let distances: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
    Some(median(&distances) / 0.674_489_750_196_081_7)
}

/// The share of spikes that were too small to be found, from amplitudes that are positive: the histogram falls off at its upper end as it would at its
/// lower one, had nothing been cut there (Hill et al. 2011, as in SpikeInterface's `amplitude_cutoff` with its defaults: 500 bins). From 0 to 0.5,
/// where 0.5 means at least a half; none with fewer than 2,500 amplitudes, or where they are all equal or not finite.
pub fn amplitude_cutoff(amplitudes: &[f64]) -> Option<f64> {
    let (low, high) = amplitudes.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
    let width = (high - low) / BINS as f64;
    if amplitudes.len() < BINS * LEAST || !(width.is_finite() && width > 0.0) || amplitudes.iter().any(|value| value.is_nan()) {
        return None;
    }
    let edge = |bin: usize| if bin == BINS { high } else { low + bin as f64 * width };
    let mut counts = vec![0.0; BINS];
    for value in amplitudes {
        // As NumPy's histogram: the last bin holds its upper edge, and a value that rounding put beside its bin is put into it.
        let mut bin = (((value - low) / (high - low) * BINS as f64) as usize).min(BINS - 1);
        if *value < edge(bin) {
            bin = bin.saturating_sub(1);
        } else if bin + 1 < BINS && *value >= edge(bin + 1) {
            bin += 1;
        }
        if let Some(count) = counts.get_mut(bin) {
            *count += 1.0;
        }
    }
    let total = amplitudes.len() as f64 * width;
    let density: Vec<f64> = counts.iter().map(|count| count / total).collect();
    let smooth = gaussian_smoothed(&density, SMOOTHING).ok()?;
    let lowest = smooth.first().copied()?;
    let mut peak = 0;
    for (bin, value) in smooth.iter().enumerate() {
        if smooth.get(peak).is_some_and(|best| value > best) {
            peak = bin;
        }
    }
    let mut mirror = (peak, f64::INFINITY);
    for (bin, value) in smooth.iter().enumerate().skip(peak) {
        if (value - lowest).abs() < mirror.1 {
            mirror = (bin, (value - lowest).abs());
        }
    }
    let missing = smooth.iter().skip(mirror.0).sum::<f64>() * width;
    Some(missing.min(0.5))
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Sums of twelve even numbers from a generator that both sides know: nearly normal, around 50 with a deviation of 10.
    fn nearly_normal(count: usize) -> Vec<f64> {
        let mut state = 7u64;
        let mut even = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 33) as f64 / f64::from(1u32 << 31)
        };
        (0..count).map(|_| 50.0 + 10.0 * ((0..12).fold(0.0, |sum, _| sum + even()) - 6.0)).collect()
    }

    #[test]
    fn what_was_cut_off_is_that_of_spike_interface() {
        // SpikeInterface 0.101's formula (`amplitude_cutoff`) in NumPy 2.4 and SciPy.
        let all = nearly_normal(4000);
        let close = |found: Option<f64>, expected: f64| {
            assert!(found.is_some_and(|found| (found - expected).abs() < 1e-12), "{found:?} {expected}")
        };
        close(amplitude_cutoff(&all), 6.474_680_702_993_407e-5);
        let cut: Vec<f64> = all.iter().copied().filter(|value| *value >= 40.0).collect();
        assert_eq!(cut.len(), 3405);
        close(amplitude_cutoff(&cut), 0.351_514_210_122_192_86);
        assert_eq!(amplitude_cutoff(&cut[..2499]), None);
        assert_eq!((amplitude_cutoff(&vec![3.0; 3000]), amplitude_cutoff(&[])), (None, None));
        assert_eq!(amplitude_cutoff(&[all, vec![f64::NAN]].concat()), None);
    }

    #[test]
    fn noise_is_not_moved_by_spikes() {
        assert!(noise_level(&[1.0, -2.0, 3.0, 10.0, 0.5, -0.25, 4.0]).is_some_and(|level| (level - 2.965_204_437_011_204).abs() < 1e-12));
        assert_eq!((noise_level(&[]), noise_level(&[1.0, f64::NAN])), (None, None));
    }
}
