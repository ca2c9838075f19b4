//! Morlet wavelets: power and phase over time and frequency, as MNE-Python computes them.

use std::f64::consts::PI;

use super::fft::{Complex, RealFft, fast_length};
use crate::error::finite;
use crate::{ComputeError, Matrix};

/// A wavelet: `cycles` oscillations under a Gaussian, cut at five of its standard deviations, with a mean of zero and a norm of √2
/// (`mne.time_frequency.morlet`).
#[derive(Debug, Clone, PartialEq)]
pub struct Morlet {
    samples: Vec<Complex<f64>>,
}

impl Morlet {
    /// The wavelet of a frequency in hertz; the Gaussian's standard deviation is `cycles / (2π frequency)` seconds. More cycles resolve frequencies
    /// better and times worse.
    ///
    /// Refuses a frequency outside of 0 to half the sampling rate, and cycles that are not positive.
    pub fn new(frequency: f64, cycles: f64, rate: f64) -> Result<Morlet, ComputeError> {
        if !(rate > 0.0 && rate.is_finite() && frequency > 0.0 && frequency < rate / 2.0) {
            let reason = format!("the frequency is {frequency} Hz; it lies between 0 Hz and half the sampling rate, {} Hz", rate / 2.0);
            return Err(ComputeError::value("wavelet", reason));
        }
        if !(cycles > 0.0 && cycles <= 1e6) {
            return Err(ComputeError::value("wavelet", format!("a wavelet of {cycles} cycles; the number is positive, such as 7")));
        }
        let deviation = cycles / (2.0 * PI * frequency);
        let half = (5.0 * deviation * rate).ceil().max(1.0) as usize - 1;
        // Without it a constant would have power: the admissibility condition.
        let offset = (-2.0 * (PI * frequency * deviation).powi(2)).exp();
        let mut samples: Vec<Complex<f64>> = (0..2 * half + 1)
            .map(|place| {
                let time = (place as f64 - half as f64) / rate;
                (Complex::cis(2.0 * PI * frequency * time) - offset) * (-time * time / (2.0 * deviation * deviation)).exp()
            })
            .collect();
        let norm = samples.iter().map(Complex::norm_sqr).sum::<f64>().sqrt() * 0.5f64.sqrt();
        if norm == 0.0 {
            return Err(ComputeError::value("wavelet", format!("{cycles} cycles of {frequency} Hz are shorter than a sample")));
        }
        samples.iter_mut().for_each(|sample| *sample /= norm);
        Ok(Morlet { samples })
    }

    /// The wavelet's samples, an odd number, the middle one at time 0.
    pub fn samples(&self) -> &[Complex<f64>] {
        &self.samples
    }
}

/// The convolution of a signal with each wavelet, of the signal's length: `result[wavelet][sample]`. Beyond its ends the signal counts as zero: what
/// lies within half a wavelet of an end is not to be read.
///
/// Refuses a wavelet that is longer than the signal, and values that are not finite.
pub fn morlet_transform(signal: &[f64], wavelets: &[Morlet]) -> Result<Vec<Vec<Complex<f64>>>, ComputeError> {
    finite("wavelet transform", signal)?;
    let longest = wavelets.iter().map(|wavelet| wavelet.samples.len()).max().unwrap_or(0);
    if longest > signal.len() {
        let reason = format!("a wavelet has {longest} samples, the signal {}; use fewer cycles or a higher frequency", signal.len());
        return Err(ComputeError::shape("wavelet transform", reason));
    }
    let fft = RealFft::new(fast_length(signal.len() + longest));
    let spectrum = fft.forward(signal)?;
    let convolved = |part: Vec<f64>| {
        let product = fft.forward(&part)?.iter().zip(&spectrum).map(|(gain, value)| gain * value).collect();
        fft.inverse(product)
    };
    wavelets
        .iter()
        .map(|wavelet| {
            let real = convolved(wavelet.samples.iter().map(|sample| sample.re).collect())?;
            let imaginary = convolved(wavelet.samples.iter().map(|sample| sample.im).collect())?;
            let half = wavelet.samples.len() / 2;
            Ok((half..half + signal.len()).map(|at| Complex::new(real[at], imaginary[at])).collect())
        })
        .collect()
}

/// The power of [`morlet_transform`], `[wavelet × sample]`, in the squared unit of the signal.
pub fn morlet_power(signal: &[f64], wavelets: &[Morlet]) -> Result<Matrix, ComputeError> {
    let transform = morlet_transform(signal, wavelets)?;
    let values = transform.iter().flatten().map(Complex::norm_sqr).collect();
    Matrix::new(wavelets.len(), signal.len(), values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close, close};

    #[test]
    fn power_is_that_of_mne() {
        let Some(case) = Case::open("signal/spectra") else { return };
        let signals = case.matrix("x");
        let (shape, expected) = case.array("morlet");
        let wavelets: Vec<Morlet> = [8.0, 10.0, 20.0, 40.0].map(|frequency| Morlet::new(frequency, 5.0, 200.0).unwrap()).into();
        for (channel, expected) in expected.chunks_exact(shape[1] * shape[2]).enumerate() {
            all_close(morlet_power(signals.row(channel), &wavelets).unwrap().values(), expected, 1e-8);
        }
    }

    #[test]
    fn a_wavelet_has_no_mean_and_a_norm_of_root_two() {
        for (frequency, cycles) in [(3.0, 1.5), (10.0, 7.0), (40.0, 3.0)] {
            let wavelet = Morlet::new(frequency, cycles, 200.0).unwrap();
            let sum: Complex<f64> = wavelet.samples().iter().sum();
            close(wavelet.samples().iter().map(Complex::norm_sqr).sum(), 2.0, 1e-12);
            assert!(sum.norm() < 1e-3, "{sum}");
            assert!(wavelet.samples().len() % 2 == 1);
        }
    }

    #[test]
    fn a_burst_is_found_where_and_as_fast_as_it_is() {
        let signal: Vec<f64> =
            (0..600).map(|at| if (250..350).contains(&at) { (2.0 * PI * 20.0 * f64::from(at) / 200.0).sin() } else { 0.0 }).collect();
        let wavelets: Vec<Morlet> = [10.0, 20.0, 40.0].map(|frequency| Morlet::new(frequency, 7.0, 200.0).unwrap()).into();
        let power = morlet_power(&signal, &wavelets).unwrap();
        assert!(power[(1, 300)] > 20.0 * power[(0, 300)] && power[(1, 300)] > 20.0 * power[(2, 300)]);
        assert!(power[(1, 300)] > 1e6 * power[(1, 100)]);
    }

    #[test]
    fn impossible_wavelets_are_refused() {
        assert!(Morlet::new(0.0, 7.0, 200.0).is_err() && Morlet::new(100.0, 7.0, 200.0).is_err() && Morlet::new(10.0, 0.0, 200.0).is_err());
        assert!(Morlet::new(f64::NAN, 7.0, 200.0).is_err() && Morlet::new(10.0, f64::INFINITY, 200.0).is_err());
        let long = Morlet::new(1.0, 7.0, 200.0).unwrap();
        assert!(morlet_power(&[0.0; 100], &[long]).unwrap_err().to_string().contains("use fewer cycles"));
        assert_eq!(morlet_power(&[0.0; 10], &[]).unwrap().shape(), (0, 10));
        assert!(morlet_power(&[f64::NAN; 10], &[]).is_err());
    }
}
