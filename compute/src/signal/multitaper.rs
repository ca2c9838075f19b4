//! Multitaper spectra (Thomson 1982) with Slepian's tapers, as MNE-Python computes them.

use super::fft::{RealFft, frequencies};
use super::slepian::slepian;
use super::welch::Spectrum;
use crate::error::finite;
use crate::statistics::mean;
use crate::{ComputeError, Matrix};

/// Tapers below this share of energy inside the band leak.
const CONCENTRATED: f64 = 0.9;

/// A multitaper estimate for signals of one length: the mean over tapers, each with the share of its energy inside the band as weight
/// (`mne.time_frequency.psd_array_multitaper` with `normalization="full"`, `low_bias=True`, `adaptive=False`).
pub struct Multitaper {
    rate: f64,
    /// `[taper × sample]`.
    tapers: Matrix,
    /// One for each taper.
    weights: Vec<f64>,
    fft: RealFft,
}

impl Multitaper {
    /// For signals of `length` samples: power is smoothed over `bandwidth` hertz (the full width). Tapers are kept that have more than 0.9 of their
    /// energy in the band, at least the best.
    ///
    /// Refuses a bandwidth below one cycle over the signal's duration or of half the sampling rate and more.
    pub fn new(length: usize, rate: f64, bandwidth: f64) -> Result<Multitaper, ComputeError> {
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(ComputeError::value("multitaper", format!("the sampling rate is {rate} Hz; it must be a positive number")));
        }
        let half_bandwidth = bandwidth * length as f64 / (2.0 * rate);
        if !(half_bandwidth >= 0.5 && bandwidth < rate / 2.0) {
            let least = rate / length as f64;
            let reason = format!(
                "the bandwidth is {bandwidth} Hz; with {length} samples at {rate} Hz it lies from {least} Hz to below {} Hz",
                rate / 2.0
            );
            return Err(ComputeError::value("multitaper", reason));
        }
        let count = ((2.0 * half_bandwidth) as usize).clamp(1, length);
        // Tapers of one sample more, whose last is left out: periodic, as a transform takes its signal.
        let all = slepian(length + 1, half_bandwidth, count)?;
        let mut kept: Vec<usize> = (0..count).filter(|&taper| all.concentrations[taper] > CONCENTRATED).collect();
        if kept.is_empty() {
            kept.push(0);
        }
        let tapers = all.tapers.take_rows(&kept).take_columns(&(0..length).collect::<Vec<_>>());
        let weights = kept.iter().map(|&taper| all.concentrations[taper]).collect();
        Ok(Multitaper { rate, tapers, weights, fft: RealFft::new(length) })
    }

    /// The number of tapers.
    pub fn n_tapers(&self) -> usize {
        self.tapers.rows()
    }

    /// The frequencies of a spectrum, in hertz.
    pub fn frequencies(&self) -> Vec<f64> {
        frequencies(self.fft.length(), self.rate)
    }

    /// The power spectral density of a signal, its mean taken off. Refuses a signal of another length, and values that are not finite.
    pub fn spectrum(&self, signal: &[f64]) -> Result<Spectrum, ComputeError> {
        finite("multitaper", signal)?;
        if signal.len() != self.fft.length() {
            let reason = format!("the signal has {} samples, the tapers {}", signal.len(), self.fft.length());
            return Err(ComputeError::shape("multitaper", reason));
        }
        let centre = mean(signal);
        let mut density = vec![0.0; self.fft.length() / 2 + 1];
        for (taper, weight) in self.tapers.row_iter().zip(&self.weights) {
            let tapered: Vec<f64> = signal.iter().zip(taper).map(|(value, weight)| (value - centre) * weight).collect();
            density.iter_mut().zip(self.fft.forward(&tapered)?).for_each(|(sum, value)| *sum += weight * value.norm_sqr());
        }
        let scale = 1.0 / (self.rate * self.weights.iter().sum::<f64>());
        let last = density.len() - 1;
        let even = self.fft.length().is_multiple_of(2);
        for (place, value) in density.iter_mut().enumerate() {
            *value *= if place == 0 || (place == last && even) { scale } else { 2.0 * scale };
        }
        Ok(Spectrum { frequencies: self.frequencies(), density })
    }
}

#[cfg(test)]
mod tests {
    use super::super::band_power;
    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix};

    #[test]
    fn spectra_are_those_of_mne() {
        let Some(case) = Case::open("signal/spectra") else { return };
        let (signals, expected) = (case.matrix("x"), case.matrix("multitaper"));
        let multitaper = Multitaper::new(1200, 200.0, 4.0).unwrap();
        all_close(&multitaper.frequencies(), &case.array("multitaper_f").1, 1e-12);
        for channel in 0..signals.rows() {
            all_close(&multitaper.spectrum(signals.row(channel)).unwrap().density, expected.row(channel), 1e-8);
        }
    }

    #[test]
    fn noise_has_its_variance_and_varies_less_with_more_tapers() {
        let noise = normal_matrix(1, 1, 2000).into_values();
        let spread = |bandwidth: f64| {
            let multitaper = Multitaper::new(2000, 100.0, bandwidth).unwrap();
            let spectrum = multitaper.spectrum(&noise).unwrap();
            close(band_power(&spectrum, 0.0, f64::INFINITY), 1.0, 0.06);
            (multitaper.n_tapers(), crate::statistics::variance(&spectrum.density[100..900], 1))
        };
        let ((few, wide), (many, narrow)) = (spread(0.2), spread(2.0));
        assert!(few < many && narrow < wide / 5.0, "{few} {wide} {many} {narrow}");
    }

    #[test]
    fn a_sine_is_found_within_the_bandwidth() {
        let sine: Vec<f64> = (0..400).map(|at| (std::f64::consts::TAU * 20.0 * f64::from(at) / 200.0).sin()).collect();
        let spectrum = Multitaper::new(400, 200.0, 4.0).unwrap().spectrum(&sine).unwrap();
        close(band_power(&spectrum, 17.5, 22.6), 0.5, 0.02);
        assert!(band_power(&spectrum, 25.0, 100.0) < 1e-3);
    }

    #[test]
    fn impossible_bandwidths_and_lengths_are_refused() {
        assert!(Multitaper::new(100, 100.0, 0.9).err().unwrap().to_string().contains("from 1 Hz to below 50 Hz"));
        assert!(Multitaper::new(100, 100.0, 50.0).is_err() && Multitaper::new(0, 100.0, 4.0).is_err());
        assert!(Multitaper::new(100, f64::NAN, 4.0).is_err() && Multitaper::new(100, 100.0, f64::NAN).is_err());
        let multitaper = Multitaper::new(100, 100.0, 1.0).unwrap();
        assert_eq!(multitaper.n_tapers(), 1);
        assert!(multitaper.spectrum(&[0.0; 99]).is_err() && multitaper.spectrum(&[f64::NAN; 100]).is_err());
    }
}
