//! The analytic signal: amplitude and phase at every sample.

use super::fft::{Complex, RealFft};
use crate::ComputeError;
use crate::error::finite;

/// The signal with its Hilbert transform as imaginary part, by leaving out negative frequencies (Marple 1999; `scipy.signal.hilbert`). Its magnitude
/// is the envelope, its argument the phase.
///
/// The transform takes the signal as periodic: discard what lies within a few cycles of the ends. Only a narrow band has an amplitude and phase that
/// mean something, so filter first. Refuses no samples and values that are not finite.
pub fn analytic_signal(signal: &[f64]) -> Result<Vec<Complex<f64>>, ComputeError> {
    finite("analytic signal", signal)?;
    if signal.is_empty() {
        return Err(ComputeError::shape("analytic signal", "the signal has no samples"));
    }
    // The imaginary part is the real signal whose coefficients are turned by a quarter of a cycle, so one real transform back is enough.
    let fft = RealFft::new(signal.len());
    let mut turned = fft.forward(signal)?;
    turned.iter_mut().for_each(|value| *value = Complex::new(value.im, -value.re));
    let imaginary = fft.inverse(turned)?;
    Ok(signal.iter().zip(imaginary).map(|(real, imaginary)| Complex::new(*real, imaginary)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, close, normal_matrix};

    #[test]
    fn the_analytic_signal_is_that_of_scipy() {
        let Some(case) = Case::open("signal/filters") else { return };
        let (signal, expected) = (case.matrix("x"), case.complex("hilbert"));
        for channel in 0..signal.rows() {
            let found = analytic_signal(signal.row(channel)).unwrap();
            for (found, expected) in found.iter().zip(&expected[channel * signal.cols()..]) {
                close(found.re, expected.re, 1e-12);
                close(found.im, expected.im, 1e-8);
            }
        }
    }

    #[test]
    fn a_cosine_has_a_sine_beside_it_and_its_amplitude_as_envelope() {
        for n in [200, 201] {
            let phase = |at: usize| std::f64::consts::TAU * 10.0 * at as f64 / n as f64;
            let signal: Vec<f64> = (0..n).map(|at| 3.0 * phase(at).cos()).collect();
            for (at, value) in analytic_signal(&signal).unwrap().into_iter().enumerate() {
                close(value.im, 3.0 * phase(at).sin(), 1e-12);
                close(value.norm(), 3.0, 1e-12);
            }
        }
    }

    #[test]
    fn scaling_scales_the_envelope_and_leaves_the_phase() {
        let signal = normal_matrix(1, 1, 77).into_values();
        let doubled: Vec<f64> = signal.iter().map(|value| 2.0 * value).collect();
        for (one, two) in analytic_signal(&signal).unwrap().iter().zip(analytic_signal(&doubled).unwrap()) {
            close(two.norm(), 2.0 * one.norm(), 1e-12);
            close(two.arg(), one.arg(), 1e-12);
        }
        assert!(analytic_signal(&[]).is_err() && analytic_signal(&[1.0, f64::NAN]).is_err());
        assert_eq!(analytic_signal(&[2.0]).unwrap()[0], Complex::new(2.0, 0.0));
    }
}
