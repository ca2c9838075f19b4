//! Noise and decay of a trace, from the trace itself (Friedrich et al. 2017, following Pnevmatikakis et al. 2016).

use super::{Decay, NAME};
use crate::ComputeError;
use crate::factor::least_squares;
use crate::signal::Welch;
use crate::{Matrix, error::finite};

/// The standard deviation of white noise: from the spectrum above a quarter of the sampling rate, where calcium has no power. The mean
/// density (Welch's method, segments of 256 samples or the whole trace) between a quarter and half of the rate, as OASIS and CaImAn take it.
///
/// Refuses traces of fewer than 16 samples, and values that are not finite.
pub fn noise_from_spectrum(trace: &[f64]) -> Result<f64, ComputeError> {
    finite(NAME, trace)?;
    if trace.len() < 16 {
        return Err(ComputeError::shape(NAME, format!("the trace has {} samples; its noise needs at least 16", trace.len())));
    }
    let spectrum = Welch::new(trace.len().min(256), 1.0)?.spectrum(trace)?;
    let high: Vec<f64> = spectrum
        .frequencies
        .iter()
        .zip(&spectrum.density)
        .filter(|(frequency, _)| **frequency > 0.25 && **frequency < 0.5)
        .map(|(_, density)| 0.5 * density)
        .collect();
    Ok((high.iter().sum::<f64>() / high.len() as f64).sqrt())
}

/// The coefficients of decay from the autocovariance of a trace with known noise: least squares of the Yule–Walker equations over `10 + order` lags, the noise
/// taken off lag 0. Roots are made real, brought to 0.95 when above 1 and to 0.15 when below 0, and multiplied by `fudge` (below 1 it corrects the bias
/// towards slow decay that noise and overlapping responses cause; OASIS takes 0.98).
///
/// Refuses orders other than 1 and 2, traces of fewer than 32 samples or without variation, and values that are not finite.
pub fn decay_coefficients(trace: &[f64], order: usize, noise: f64, fudge: f64) -> Result<Decay, ComputeError> {
    finite(NAME, trace)?;
    if !(1..=2).contains(&order) {
        return Err(ComputeError::value(NAME, format!("the order is {order}; it is 1 or 2")));
    }
    if trace.len() < 32 {
        return Err(ComputeError::shape(NAME, format!("the trace has {} samples; its decay needs at least 32", trace.len())));
    }
    let n = trace.len();
    let mean = trace.iter().sum::<f64>() / n as f64;
    let centred: Vec<f64> = trace.iter().map(|value| value - mean).collect();
    let covariance = |lag: usize| centred.iter().zip(centred.get(lag..).unwrap_or(&[])).map(|(a, b)| a * b).sum::<f64>() / n as f64;
    let lags = 10 + order;
    let covariances: Vec<f64> = (0..=lags).map(covariance).collect();
    if covariances[0] <= 0.0 {
        return Err(ComputeError::value(NAME, "the trace does not vary, so it has no decay"));
    }
    let known =
        Matrix::from_fn(lags, order, |row, column| covariances[row.abs_diff(column)] - if row == column { noise * noise } else { 0.0 });
    let next = Matrix::from_fn(lags, 1, |row, _| covariances[row + 1]);
    let found = least_squares(&known, &next)?.solution.into_values();
    let sound = |root: f64| {
        if root > 1.0 {
            0.95
        } else if root < 0.0 {
            0.15
        } else {
            root
        }
    };
    // A root of 1 or 0 exactly is no decay either.
    let inside = |root: f64| (fudge * sound(root)).clamp(1e-6, 1.0 - 1e-9);
    Ok(match *found.as_slice() {
        [g] => Decay::First(inside(g)),
        [first, second] => {
            let discriminant = 0.25 * first * first + second;
            let spread = discriminant.max(0.0).sqrt();
            let (slow, fast) = (inside(0.5 * first + spread), inside(0.5 * first - spread));
            Decay::Second(slow + fast, -slow * fast)
        }
        _ => return Err(ComputeError::shape(NAME, "the order is neither 1 nor 2")),
    })
}
