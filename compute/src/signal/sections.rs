//! Filters as second-order sections, and running them forwards, or forwards and backwards so that nothing is delayed.

use crate::ComputeError;
use crate::error::finite;

/// A recursive filter as a cascade of sections `[b₀ b₁ b₂ 1 a₁ a₂]`, the form in which high orders keep their digits.
#[derive(Debug, Clone, PartialEq)]
pub struct Sections {
    rows: Vec<[f64; 6]>,
}

impl Sections {
    /// Sections whose fourth coefficient is 1.
    pub(super) fn new(rows: Vec<[f64; 6]>) -> Sections {
        Sections { rows }
    }

    /// The sections, each as `[b₀ b₁ b₂ 1 a₁ a₂]`.
    pub fn rows(&self) -> &[[f64; 6]] {
        &self.rows
    }

    /// The signal through the filter once, from rest: causal, with the filter's delay (`scipy.signal.sosfilt`). Refuses values that are not finite.
    pub fn forward(&self, signal: &[f64]) -> Result<Vec<f64>, ComputeError> {
        finite("filter", signal)?;
        let mut filtered = signal.to_vec();
        self.run(&mut filtered, &mut vec![[0.0; 2]; self.rows.len()]);
        Ok(filtered)
    }

    /// The number of samples that [`Sections::zero_phase`] adds at each end, and must be exceeded by the signal.
    pub fn padding(&self) -> usize {
        // SciPy's rule: three times the length of the filter, where coefficients that are zero at the end don't count.
        let missing = |place: usize| self.rows.iter().filter(|row| row[place] == 0.0).count();
        3 * (2 * self.rows.len() + 1 - missing(2).min(missing(5)))
    }

    /// The signal through the filter forwards and then backwards: no delay, twice the order (`scipy.signal.sosfiltfilt` with its defaults).
    ///
    /// The signal is continued at both ends by its point reflection, [`Sections::padding`] samples long, and the filter starts in the steady state of
    /// the first sample. Refuses a signal of no more samples than that, and values that are not finite.
    pub fn zero_phase(&self, signal: &[f64]) -> Result<Vec<f64>, ComputeError> {
        finite("filter", signal)?;
        let edge = self.padding();
        let mut padded = point_reflected(signal, edge)?;
        let steady = self.steady_state();
        for _ in 0..2 {
            let start = padded.first().copied().unwrap_or(0.0);
            let mut state: Vec<[f64; 2]> = steady.iter().map(|[first, second]| [first * start, second * start]).collect();
            self.run(&mut padded, &mut state);
            padded.reverse();
        }
        padded.truncate(padded.len() - edge);
        padded.drain(..edge);
        Ok(padded)
    }

    /// Direct form II, transposed.
    fn run(&self, samples: &mut [f64], state: &mut [[f64; 2]]) {
        for sample in samples {
            let mut value = *sample;
            for ([b0, b1, b2, _, a1, a2], [first, second]) in self.rows.iter().zip(state.iter_mut()) {
                let out = b0 * value + *first;
                *first = b1 * value - a1 * out + *second;
                *second = b2 * value - a2 * out;
                value = out;
            }
            *sample = value;
        }
    }

    /// The state of each section when the input has always been 1.
    fn steady_state(&self) -> Vec<[f64; 2]> {
        let mut input = 1.0;
        self.rows
            .iter()
            .map(|[b0, b1, b2, _, a1, a2]| {
                let out = input * (b0 + b1 + b2) / (1.0 + a1 + a2);
                let second = b2 * input - a2 * out;
                let first = b1 * input - a1 * out + second;
                input = out;
                [first, second]
            })
            .collect()
    }
}

/// The signal continued by `edge` samples at both ends, each reflected in the end point. Refuses a signal of no more than `edge` samples.
pub(super) fn point_reflected(signal: &[f64], edge: usize) -> Result<Vec<f64>, ComputeError> {
    let (n, Some(first), Some(last)) = (signal.len(), signal.first(), signal.last()) else {
        return Err(ComputeError::shape("filter", "the signal has no samples"));
    };
    if n <= edge {
        let reason = format!("the signal has {n} samples; this filter needs more than {edge}, so use a longer signal or a lower order");
        return Err(ComputeError::shape("filter", reason));
    }
    let mut padded = Vec::with_capacity(n + 2 * edge);
    padded.extend((1..=edge).rev().map(|place| 2.0 * first - signal[place]));
    padded.extend_from_slice(signal);
    padded.extend((1..=edge).map(|place| 2.0 * last - signal[n - 1 - place]));
    Ok(padded)
}

#[cfg(test)]
mod tests {
    use super::super::{Band, butterworth};
    use crate::golden::{all_close, normal_matrix};
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn filtering_is_linear_and_does_not_tell_past_from_future(seed in 0u64..1000, order in 1usize..6, scale in -5.0f64..5.0) {
            let filter = butterworth(order, Band::Pass(5.0, 20.0), 100.0).unwrap();
            let signals = normal_matrix(seed, 2, 90);
            let sum: Vec<f64> = signals.row(0).iter().zip(signals.row(1)).map(|(x, y)| x + scale * y).collect();
            let apart = [0, 1].map(|row| filter.zero_phase(signals.row(row)).unwrap());
            let together = filter.zero_phase(&sum).unwrap();
            for (at, value) in together.iter().enumerate() {
                prop_assert!((value - apart[0][at] - scale * apart[1][at]).abs() < 1e-9);
            }
        }
    }

    #[test]
    fn a_slow_sine_is_kept_without_delay_and_a_fast_one_is_removed() {
        let filter = butterworth(4, Band::Low(10.0), 200.0).unwrap();
        let sine =
            |frequency: f64| (0..800).map(|at| (std::f64::consts::TAU * frequency * f64::from(at) / 200.0).sin()).collect::<Vec<_>>();
        let slow = sine(2.0);
        let kept = filter.zero_phase(&slow).unwrap();
        all_close(&kept[100..700], &slow[100..700], 1e-4);
        assert!(filter.zero_phase(&sine(60.0)).unwrap()[100..700].iter().all(|value| value.abs() < 1e-4));
        // Once only, it comes late.
        assert!(filter.forward(&slow).unwrap()[100..700].iter().zip(&slow[100..700]).any(|(once, slow)| (once - slow).abs() > 0.1));
    }

    #[test]
    fn a_constant_passes_a_low_pass_and_nothing_of_it_a_high_pass() {
        for order in 1..6 {
            let constant = [3.5; 60];
            all_close(&butterworth(order, Band::Low(9.0), 100.0).unwrap().zero_phase(&constant).unwrap(), &constant, 1e-12);
            all_close(&butterworth(order, Band::High(9.0), 100.0).unwrap().zero_phase(&constant).unwrap(), &[0.0; 60], 1e-12);
        }
    }

    #[test]
    fn short_signals_and_gaps_are_refused() {
        let filter = butterworth(4, Band::Pass(8.0, 30.0), 200.0).unwrap();
        assert_eq!(filter.padding(), 27);
        assert!(filter.zero_phase(&[0.0; 27]).unwrap_err().to_string().contains("27 samples; this filter needs more than 27"));
        assert!(filter.zero_phase(&[0.0; 28]).is_ok() && filter.zero_phase(&[]).is_err());
        // An odd order has a section with one pole, which needs one sample less: as in SciPy.
        assert_eq!(butterworth(3, Band::Low(8.0), 200.0).unwrap().padding(), 12);
        let mut gap = vec![0.0; 60];
        gap[7] = f64::NAN;
        assert!(filter.zero_phase(&gap).unwrap_err().to_string().contains("value 7"));
        assert!(filter.forward(&gap).is_err());
    }
}
