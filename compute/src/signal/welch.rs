//! Spectra by Welch's method: the mean over overlapping segments under a window.

use std::f64::consts::PI;

use super::fft::{Complex, RealFft, frequencies};
use crate::error::finite;
use crate::product::for_each_chunk;
use crate::statistics::mean;
use crate::{ComputeError, Matrix};

/// Power by frequency.
#[derive(Debug, Clone, PartialEq)]
pub struct Spectrum {
    /// Frequencies in hertz, from 0 to half the sampling rate.
    pub frequencies: Vec<f64>,
    /// Power spectral density in the squared unit of the signal per hertz, one-sided.
    pub density: Vec<f64>,
}

/// Welch's method (1967) with a periodic Hann window, segments that overlap by half, and each segment's mean taken off: the defaults of
/// `scipy.signal.welch`.
pub struct Welch {
    rate: f64,
    window: Vec<f64>,
    fft: RealFft,
}

impl Welch {
    /// For segments of `length ≥ 2` samples at a sampling rate. Refuses shorter segments and a rate that is not positive.
    pub fn new(length: usize, rate: f64) -> Result<Welch, ComputeError> {
        if length < 2 {
            return Err(ComputeError::value("welch", format!("segments of {length} samples; at least 2 are needed")));
        }
        if !(rate > 0.0 && rate.is_finite()) {
            return Err(ComputeError::value("welch", format!("the sampling rate is {rate} Hz; it must be a positive number")));
        }
        let window = (0..length).map(|place| 0.5 - 0.5 * (2.0 * PI * place as f64 / length as f64).cos()).collect();
        Ok(Welch { rate, window, fft: RealFft::new(length) })
    }

    /// The frequencies of a spectrum, in hertz.
    pub fn frequencies(&self) -> Vec<f64> {
        frequencies(self.fft.length(), self.rate)
    }

    /// The power spectral density of a signal. Refuses a signal that is shorter than a segment, and values that are not finite.
    pub fn spectrum(&self, signal: &[f64]) -> Result<Spectrum, ComputeError> {
        let segments = self.segments(signal)?;
        let mut density = vec![0.0; self.fft.length() / 2 + 1];
        for segment in &segments {
            density.iter_mut().zip(segment).for_each(|(sum, value)| *sum += value.norm_sqr());
        }
        let squares: Vec<f64> = self.window.iter().map(|weight| weight * weight).collect();
        let scale = 1.0 / (self.rate * crate::statistics::sum(&squares) * segments.len() as f64);
        let last = density.len() - 1;
        let even = self.fft.length().is_multiple_of(2);
        for (place, value) in density.iter_mut().enumerate() {
            // The power of a negative frequency counts with the positive one; 0 Hz and half the rate have none.
            *value *= if place == 0 || (place == last && even) { scale } else { 2.0 * scale };
        }
        Ok(Spectrum { frequencies: self.frequencies(), density })
    }

    /// The coefficients of every segment.
    fn segments(&self, signal: &[f64]) -> Result<Vec<Vec<Complex<f64>>>, ComputeError> {
        finite("welch", signal)?;
        let length = self.fft.length();
        if signal.len() < length {
            let reason = format!("the signal has {} samples, a segment {length}; use shorter segments", signal.len());
            return Err(ComputeError::shape("welch", reason));
        }
        let step = length - length / 2;
        (0..=(signal.len() - length) / step)
            .map(|number| {
                let segment = &signal[number * step..number * step + length];
                let centre = mean(segment);
                let tapered: Vec<f64> = segment.iter().zip(&self.window).map(|(value, weight)| (value - centre) * weight).collect();
                self.fft.forward(&tapered)
            })
            .collect()
    }
}

/// Magnitude-squared coherence `|S_xy|² / (S_xx S_yy)` of all pairs of channels, for each frequency a symmetric matrix `[channel × channel]` with
/// ones on its diagonal. `trials` have `[channel × sample]`; spectra are averaged over the segments of all of them. With one trial as
/// `scipy.signal.coherence`.
///
/// With a single segment in all the coherence is 1 whatever the signals, so that is refused; so are trials of other shapes than the first, and values
/// that are not finite. Where a channel has no power at a frequency, its coherences there are 0.
pub fn coherence(trials: &[Matrix], welch: &Welch) -> Result<Vec<Matrix>, ComputeError> {
    let Some(first) = trials.first() else { return Err(ComputeError::shape("coherence", "there are no trials")) };
    let channels = first.rows();
    let n_frequencies = welch.fft.length() / 2 + 1;
    // Coefficients by frequency: [frequency][channel × segment], so that each frequency is one small problem.
    let mut by_channel: Vec<Vec<Vec<Complex<f64>>>> = vec![Vec::new(); channels];
    for (number, trial) in trials.iter().enumerate() {
        if trial.shape() != first.shape() {
            let reason =
                format!("trial {number} is {:?}, trial 0 is {:?}; all need the same channels and samples", trial.shape(), first.shape());
            return Err(ComputeError::shape("coherence", reason));
        }
        for (channel, signal) in trial.row_iter().enumerate() {
            by_channel[channel].extend(welch.segments(signal)?);
        }
    }
    let segments = by_channel.first().map_or(0, Vec::len);
    if channels > 0 && segments < 2 {
        return Err(ComputeError::value(
            "coherence",
            "there is 1 segment, whose coherence is 1 by definition; use shorter segments or more trials",
        ));
    }
    let size = channels * channels;
    let mut all = vec![0.0; n_frequencies * size];
    if size == 0 {
        return Ok(vec![Matrix::zeros(0, 0); n_frequencies]);
    }
    for_each_chunk(&mut all, size, |frequency, values| {
        let power: Vec<f64> =
            by_channel.iter().map(|segments| segments.iter().map(|segment| segment[frequency].norm_sqr()).sum()).collect();
        for row in 0..channels {
            values[row * channels + row] = 1.0;
            for column in 0..row {
                let pairs = by_channel[row].iter().zip(&by_channel[column]);
                let cross: Complex<f64> = pairs.map(|(x, y)| x[frequency] * y[frequency].conj()).sum();
                let product = power[row] * power[column];
                let value = if product > 0.0 { (cross.norm_sqr() / product).min(1.0) } else { 0.0 };
                values[row * channels + column] = value;
                values[column * channels + row] = value;
            }
        }
    });
    all.chunks_exact(size).map(|values| Matrix::new(channels, channels, values.to_vec())).collect()
}

/// The power within `[low, high)` hertz: the sum of the density times the distance of frequencies, in the squared unit of the signal. 0 when no
/// frequency lies in the band.
pub fn band_power(spectrum: &Spectrum, low: f64, high: f64) -> f64 {
    let distance = match spectrum.frequencies.as_slice() {
        [first, second, ..] => second - first,
        _ => 0.0,
    };
    let inside = spectrum.frequencies.iter().zip(&spectrum.density).filter(|(frequency, _)| **frequency >= low && **frequency < high);
    inside.map(|(_, density)| density).sum::<f64>() * distance
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix, same_on_any_threads};

    #[test]
    fn spectra_and_coherence_match_scipy() {
        let Some(case) = Case::open("signal/spectra") else { return };
        let signals = case.matrix("x");
        let welch = Welch::new(256, 200.0).unwrap();
        all_close(&welch.frequencies(), &case.array("welch_f").1, 1e-12);
        let expected = case.matrix("welch");
        for channel in 0..signals.rows() {
            all_close(&welch.spectrum(signals.row(channel)).unwrap().density, expected.row(channel), 1e-10);
        }
        let found: Vec<f64> = coherence(&[signals], &welch).unwrap().iter().map(|matrix| matrix[(0, 1)]).collect();
        all_close(&found, &case.array("coherence01").1, 1e-8);
    }

    #[test]
    fn the_power_of_two_sines_lies_in_their_bands() {
        // Appendix A, oracle 6: shares of the bands 1, 4, 8, 12, 30, 80 Hz.
        let sine = |frequency: f64, at: f64| (2.0 * PI * frequency * at / 200.0).sin();
        let signal: Vec<f64> = (0..400).map(|at| sine(10.0, f64::from(at)) + 0.5 * sine(40.0, f64::from(at))).collect();
        let spectrum = Welch::new(400, 200.0).unwrap().spectrum(&signal).unwrap();
        let bands = [1.0, 4.0, 8.0, 12.0, 30.0, 80.0];
        let powers: Vec<f64> = bands.windows(2).map(|band| band_power(&spectrum, band[0], band[1])).collect();
        let shares: Vec<f64> = powers.iter().map(|power| power / powers.iter().sum::<f64>()).collect();
        all_close(&shares, &[0.0, 0.0, 0.8, 0.0, 0.2], 1e-9);
        // The power of a sine is half its squared amplitude.
        close(powers[2], 0.5, 1e-9);
    }

    #[test]
    fn white_noise_has_its_variance_as_the_sum_of_its_spectrum() {
        let noise = normal_matrix(1, 1, 20_000).into_values();
        for length in [128, 129] {
            let spectrum = Welch::new(length, 100.0).unwrap().spectrum(&noise).unwrap();
            close(band_power(&spectrum, 0.0, f64::INFINITY), 1.0, 0.03);
        }
    }

    #[test]
    fn coherence_is_high_for_a_common_signal_low_without_and_blind_to_gain() {
        let noise = normal_matrix(2, 3, 4000);
        let mut signals = noise.clone();
        for at in 0..4000 {
            signals[(1, at)] = -7.0 * noise[(0, at)] + 0.7 * noise[(1, at)];
        }
        let welch = Welch::new(64, 100.0).unwrap();
        let found = coherence(&[signals.clone()], &welch).unwrap();
        // Apart from 0 Hz, which the segments' means take out.
        for matrix in &found[1..32] {
            assert!(matrix[(0, 1)] > 0.9 && matrix[(0, 2)] < 0.15 && matrix[(2, 1)] == matrix[(1, 2)] && matrix[(2, 2)] == 1.0);
        }
        let split: Vec<Matrix> = (0..10).map(|part| signals.take_columns(&(part * 400..(part + 1) * 400).collect::<Vec<_>>())).collect();
        close(coherence(&split, &welch).unwrap()[9][(0, 1)], found[9][(0, 1)], 0.02);
        same_on_any_threads(|| coherence(&split, &welch).unwrap().into_iter().flat_map(Matrix::into_values).collect());
    }

    #[test]
    fn edges_are_answers_or_refusals() {
        let welch = Welch::new(64, 100.0).unwrap();
        assert!(Welch::new(1, 100.0).is_err() && Welch::new(64, 0.0).is_err());
        assert!(welch.spectrum(&[0.0; 63]).unwrap_err().to_string().contains("63 samples, a segment 64"));
        assert!(welch.spectrum(&[f64::NAN; 64]).is_err());
        assert!(coherence(&[Matrix::zeros(2, 64)], &welch).unwrap_err().to_string().contains("1 segment"));
        assert!(coherence(&[], &welch).is_err() && coherence(&[Matrix::zeros(2, 200), Matrix::zeros(3, 200)], &welch).is_err());
        assert_eq!(coherence(&[Matrix::zeros(2, 200)], &welch).unwrap()[3][(0, 1)], 0.0);
        assert!(welch.spectrum(&[5.0; 90]).unwrap().density.iter().all(|value| value.abs() < 1e-25));
    }
}
