//! Smoothing, and running extremes and quantiles of a signal.

use crate::ComputeError;
use crate::error::finite;
use crate::statistics::quantile_of_sorted;
use std::collections::VecDeque;

/// The signal smoothed by a Gaussian with a standard deviation in samples, cut at four of them and scaled to a sum of 1; beyond its ends the signal is
/// mirrored, the end sample included (`scipy.ndimage.gaussian_filter1d` with its defaults).
///
/// Refuses a deviation that is not positive or makes a kernel of more than two million samples, and values that are not finite.
pub fn gaussian_smoothed(signal: &[f64], deviation: f64) -> Result<Vec<f64>, ComputeError> {
    finite("smoothing", signal)?;
    if !(deviation > 0.0 && deviation <= 250_000.0) {
        return Err(ComputeError::value(
            "smoothing",
            format!("the standard deviation is {deviation} samples; it lies above 0 and up to 250 000"),
        ));
    }
    let radius = (4.0 * deviation + 0.5) as usize;
    let mut kernel: Vec<f64> = (0..=radius).map(|lag| (-0.5 / (deviation * deviation) * (lag * lag) as f64).exp()).collect();
    let sum = kernel.iter().rev().take(radius).sum::<f64>() * 2.0 + kernel.first().copied().unwrap_or(1.0);
    kernel.iter_mut().for_each(|weight| *weight /= sum);
    let n = signal.len();
    if n == 0 {
        return Ok(Vec::new());
    }
    // `padded[place + radius]` is the signal at `place`, mirrored as often as it takes.
    let period = 2 * n;
    let mirrored = |place: usize| {
        let within = (place + period * radius.div_ceil(period) - radius) % period;
        signal[if within < n { within } else { period - 1 - within }]
    };
    let padded: Vec<f64> = (0..n + 2 * radius).map(mirrored).collect();
    Ok((0..n)
        .map(|at| {
            let window = &padded[at..at + 2 * radius + 1];
            let pairs = window[..radius].iter().rev().zip(&window[radius + 1..]).zip(&kernel[1..]);
            window[radius] * kernel[0] + pairs.map(|((before, after), weight)| (before + after) * weight).sum::<f64>()
        })
        .collect())
}

/// The smallest value within `half` samples to each side, cut to what is there: a running minimum in linear time (van Herk's problem by a queue).
pub fn running_minimum(signal: &[f64], half: usize) -> Vec<f64> {
    let mut queue: VecDeque<usize> = VecDeque::new();
    let mut found = Vec::with_capacity(signal.len());
    let mut next = 0;
    for at in 0..signal.len() {
        while next < signal.len() && next <= at + half {
            while queue.back().is_some_and(|&last| signal[last] >= signal[next]) {
                queue.pop_back();
            }
            queue.push_back(next);
            next += 1;
        }
        while queue.front().is_some_and(|&first| first + half < at) {
            queue.pop_front();
        }
        found.push(queue.front().map_or(f64::NAN, |&first| signal[first]));
    }
    found
}

/// The largest value within `half` samples to each side, cut to what is there.
pub fn running_maximum(signal: &[f64], half: usize) -> Vec<f64> {
    let negative: Vec<f64> = signal.iter().map(|value| -value).collect();
    running_minimum(&negative, half).into_iter().map(|value| -value).collect()
}

/// The mean of the values within `half` samples to each side, cut to what is there.
pub fn running_mean(signal: &[f64], half: usize) -> Vec<f64> {
    let n = signal.len();
    // Sums from the signal's mean, so that a large offset costs no digits.
    let centre = if n == 0 { 0.0 } else { signal.iter().sum::<f64>() / n as f64 };
    let mut sums = Vec::with_capacity(n + 1);
    sums.push(0.0);
    for value in signal {
        sums.push(sums[sums.len() - 1] + (value - centre));
    }
    (0..n)
        .map(|at| {
            let (first, end) = (at.saturating_sub(half), (at + half + 1).min(n));
            centre + (sums[end] - sums[first]) / (end - first) as f64
        })
        .collect()
}

/// The `share`-quantile, by linear interpolation, of the values within `half` samples to each side, cut to what is there: pandas'
/// `rolling(2 · half + 1, center=True, min_periods=1).quantile(share)`.
///
/// Refuses a share outside of 0 to 1, and values that are not finite.
pub fn running_quantile(signal: &[f64], half: usize, share: f64) -> Result<Vec<f64>, ComputeError> {
    finite("running quantile", signal)?;
    if !(0.0..=1.0).contains(&share) {
        return Err(ComputeError::value("running quantile", format!("the share is {share}; it lies from 0 to 1")));
    }
    let mut sorted: Vec<f64> = Vec::with_capacity((2 * half + 1).min(signal.len()));
    let mut found = Vec::with_capacity(signal.len());
    let mut next = 0;
    for at in 0..signal.len() {
        while next < signal.len() && next <= at + half {
            let place = sorted.partition_point(|value| *value < signal[next]);
            sorted.insert(place, signal[next]);
            next += 1;
        }
        if at > half {
            let place = sorted.partition_point(|value| *value < signal[at - half - 1]);
            sorted.remove(place);
        }
        found.push(quantile_of_sorted(&sorted, share));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, normal_matrix};
    use crate::statistics::quantile;
    use proptest::prelude::*;

    const SIGNAL: [f64; 8] = [1.0, 0.0, 4.0, -2.0, 3.0, 7.0, 0.5, 2.0];

    #[test]
    fn a_gaussian_has_the_numbers_of_scipy_also_when_wider_than_the_signal() {
        // scipy 1.17.1: gaussian_filter1d(SIGNAL, 1.3) and gaussian_filter1d(SIGNAL, 5).
        all_close(&gaussian_smoothed(&SIGNAL, 1.3).unwrap(), &NARROW, 1e-13);
        all_close(&gaussian_smoothed(&SIGNAL, 5.0).unwrap(), &WIDE, 1e-13);
        assert_eq!(gaussian_smoothed(&[], 1.0).unwrap(), Vec::<f64>::new());
        assert!(gaussian_smoothed(&SIGNAL, 0.0).is_err() && gaussian_smoothed(&[f64::NAN], 1.0).is_err());
        let sum = |values: &[f64]| values.iter().sum::<f64>();
        assert!((sum(&gaussian_smoothed(&SIGNAL, 1.3).unwrap()) - sum(&SIGNAL)).abs() < 1e-12);
    }

    proptest! {
        #[test]
        fn running_values_are_those_of_each_window(seed in 0u64..500, n in 1usize..40, half in 0usize..50, share in 0.0f64..=1.0) {
            let signal: Vec<f64> = normal_matrix(seed, 1, n).into_values().iter().map(|value| (value * 4.0).round() / 2.0).collect();
            let window = |at: usize| &signal[at.saturating_sub(half)..(at + half + 1).min(n)];
            let (low, high, mean) = (running_minimum(&signal, half), running_maximum(&signal, half), running_mean(&signal, half));
            let quantiles = running_quantile(&signal, half, share).unwrap();
            for at in 0..n {
                let own = window(at);
                prop_assert_eq!(low[at], own.iter().copied().fold(f64::INFINITY, f64::min));
                prop_assert_eq!(high[at], own.iter().copied().fold(f64::NEG_INFINITY, f64::max));
                prop_assert!((mean[at] - own.iter().sum::<f64>() / own.len() as f64).abs() < 1e-12);
                prop_assert_eq!(quantiles[at], quantile(own, share));
            }
        }
    }

    const NARROW: [f64; 8] = [
        0.9584703153612916,
        1.1410911016238363,
        1.320598308677708,
        1.6826647595694808,
        2.5361749326831378,
        3.07849255551254,
        2.6760526476556397,
        2.1064553789163663,
    ];
    const WIDE: [f64; 8] = [
        1.7931088054703617,
        1.8153109201617859,
        1.8559663836665712,
        1.909080232253426,
        1.9663948478106807,
        2.0191681957544354,
        2.0595866932849756,
        2.081383921597766,
    ];
}
