//! Fourier transforms of real signals, on realfft.

use std::sync::Arc;

pub use realfft::num_complex::Complex;
use realfft::{ComplexToReal, RealFftPlanner, RealToComplex};

use crate::ComputeError;

/// The transform of one length and its inverse.
pub(super) struct RealFft {
    length: usize,
    forward: Arc<dyn RealToComplex<f64>>,
    inverse: Arc<dyn ComplexToReal<f64>>,
}

impl RealFft {
    /// The transform of `length ≥ 1` samples.
    pub(super) fn new(length: usize) -> RealFft {
        let mut planner = RealFftPlanner::new();
        RealFft { length, forward: planner.plan_fft_forward(length), inverse: planner.plan_fft_inverse(length) }
    }

    /// The number of samples.
    pub(super) fn length(&self) -> usize {
        self.length
    }

    /// The coefficients of frequencies 0, 1, … `length / 2` cycles; a shorter signal is followed by zeros.
    pub(super) fn forward(&self, signal: &[f64]) -> Result<Vec<Complex<f64>>, ComputeError> {
        let mut samples = vec![0.0; self.length];
        let given = signal.len().min(self.length);
        samples[..given].copy_from_slice(&signal[..given]);
        let mut spectrum = self.forward.make_output_vec();
        self.forward.process(&mut samples, &mut spectrum).map_err(refused)?;
        Ok(spectrum)
    }

    /// The real signal with these coefficients; the imaginary parts of those that have none in a real signal are left out.
    pub(super) fn inverse(&self, mut spectrum: Vec<Complex<f64>>) -> Result<Vec<f64>, ComputeError> {
        if let Some(first) = spectrum.first_mut() {
            first.im = 0.0;
        }
        if self.length.is_multiple_of(2)
            && let Some(last) = spectrum.last_mut()
        {
            last.im = 0.0;
        }
        let mut samples = self.inverse.make_output_vec();
        self.inverse.process(&mut spectrum, &mut samples).map_err(refused)?;
        let scale = 1.0 / self.length as f64;
        samples.iter_mut().for_each(|sample| *sample *= scale);
        Ok(samples)
    }
}

fn refused(error: realfft::FftError) -> ComputeError {
    ComputeError::shape("fourier transform", error.to_string())
}

/// The least length of at least `length` whose only prime factors are 2, 3 and 5: fast to transform.
pub(super) fn fast_length(length: usize) -> usize {
    let smooth = |mut number: usize| {
        for prime in [2, 3, 5] {
            while number.is_multiple_of(prime) {
                number /= prime;
            }
        }
        number == 1
    };
    (length.max(1)..).find(|&number| smooth(number)).unwrap_or(length)
}

/// The frequencies of the coefficients of a transform, in hertz.
pub(super) fn frequencies(length: usize, rate: f64) -> Vec<f64> {
    (0..length / 2 + 1).map(|cycle| cycle as f64 * rate / length as f64).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::all_close;

    #[test]
    fn the_inverse_gives_the_signal_back_for_even_odd_and_tiny_lengths() {
        for length in [1, 2, 3, 8, 15, 97, 360] {
            let signal: Vec<f64> = (0..length).map(|sample| ((sample * sample) as f64).sin()).collect();
            let fft = RealFft::new(length);
            all_close(&fft.inverse(fft.forward(&signal).unwrap()).unwrap(), &signal, 1e-13);
        }
    }

    #[test]
    fn fast_lengths_are_the_next_smooth_numbers() {
        assert_eq!([0, 1, 7, 11, 121, 1021].map(fast_length), [1, 1, 8, 12, 125, 1024]);
    }
}
