//! Filters of finite length by the window method, as `scipy.signal.firwin`.

use std::f64::consts::PI;

use super::butterworth::Band;
use super::fft::{RealFft, fast_length};
use super::sections::point_reflected;
use crate::ComputeError;
use crate::error::finite;

/// The coefficients of a symmetric filter of an odd length: the ideal filter under a Hamming window, scaled to a gain of 1 in the middle of what
/// passes (at 0 Hz for `Low` and `Stop`, at half the sampling rate for `High`), as `scipy.signal.firwin` with its defaults. Its edges are where the
/// amplitude is halved.
///
/// Refuses an even length, a length below 3, and edges outside of 0 to half the sampling rate.
pub fn fir_window(length: usize, band: Band, rate: f64) -> Result<Vec<f64>, ComputeError> {
    band.check("fir filter", rate)?;
    if length < 3 || length.is_multiple_of(2) {
        return Err(ComputeError::value("fir filter", format!("the length is {length}; it is odd and at least 3")));
    }
    let half = (length - 1) as f64 / 2.0;
    let hamming = |place: usize| 0.54 - 0.46 * (2.0 * PI * place as f64 / (length - 1) as f64).cos();
    Ok(windowed(length, half, band, rate, hamming))
}

/// The ideal filter under any window, scaled.
pub(super) fn windowed(length: usize, half: f64, band: Band, rate: f64, window: impl Fn(usize) -> f64) -> Vec<f64> {
    // Pass bands as shares of half the sampling rate, and where the gain is set to 1.
    let share = |edge: f64| 2.0 * edge / rate;
    let (bands, centre): (Vec<(f64, f64)>, f64) = match band {
        Band::Low(edge) => (vec![(0.0, share(edge))], 0.0),
        Band::High(edge) => (vec![(share(edge), 1.0)], 1.0),
        Band::Pass(low, high) => (vec![(share(low), share(high))], 0.5 * (share(low) + share(high))),
        Band::Stop(low, high) => (vec![(0.0, share(low)), (share(high), 1.0)], 0.0),
    };
    let ideal = |lag: f64| bands.iter().map(|(low, high)| high * sinc(high * lag) - low * sinc(low * lag)).sum::<f64>();
    let mut filter: Vec<f64> = (0..length).map(|place| ideal(place as f64 - half) * window(place)).collect();
    let gain: f64 = filter.iter().enumerate().map(|(place, value)| value * (PI * (place as f64 - half) * centre).cos()).sum();
    filter.iter_mut().for_each(|value| *value /= gain);
    filter
}

/// `sin(πx) / (πx)`.
pub(super) fn sinc(x: f64) -> f64 {
    if x == 0.0 { 1.0 } else { (PI * x).sin() / (PI * x) }
}

/// The signal through a symmetric filter of odd length, its delay taken off: no shift of phase, one pass. The signal is continued at both ends by its
/// point reflection, half a filter long.
///
/// Refuses a filter of even length or that is not symmetric, a signal of no more samples than half the filter, and values that are not finite.
pub fn zero_phase_fir(filter: &[f64], signal: &[f64]) -> Result<Vec<f64>, ComputeError> {
    finite("fir filter", filter)?;
    finite("fir filter", signal)?;
    let half = filter.len() / 2;
    let symmetric =
        filter.iter().zip(filter.iter().rev()).all(|(left, right)| (left - right).abs() <= 1e-12 * left.abs().max(right.abs()).max(1e-3));
    if filter.len().is_multiple_of(2) || !symmetric {
        let reason = format!("a filter of {} coefficients without delay must be of odd length and symmetric", filter.len());
        return Err(ComputeError::value("fir filter", reason));
    }
    let padded = point_reflected(signal, half)?;
    let fft = RealFft::new(fast_length(padded.len() + filter.len() - 1));
    let mut spectrum = fft.forward(&padded)?;
    spectrum.iter_mut().zip(fft.forward(filter)?).for_each(|(value, gain)| *value *= gain);
    let filtered = fft.inverse(spectrum)?;
    Ok(filtered[2 * half..2 * half + signal.len()].to_vec())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, normal_matrix};

    #[test]
    fn coefficients_are_those_of_scipy() {
        // scipy 1.17.1: firwin(7, …, fs=100).
        for (band, expected) in
            [(Band::Low(10.0), LOW), (Band::High(30.0), HIGH), (Band::Pass(10.0, 30.0), PASS), (Band::Stop(10.0, 30.0), STOP)]
        {
            let found = fir_window(7, band, 100.0).unwrap();
            all_close(&found[..4], &expected, 1e-12);
            assert!(found.iter().zip(found.iter().rev()).all(|(left, right)| (left - right).abs() < 1e-15));
        }
    }

    const LOW: [f64; 4] = [0.013_496_923_634_082_036, 0.078_450_868_623_101_79, 0.240_862_474_239_630_8, 0.334_379_467_006_370_67];
    const HIGH: [f64; 4] = [0.005_457_371_000_672_005, 0.031_720_968_941_405_91, -0.254_972_364_809_815_55, 0.437_528_074_498_900_85];
    const PASS: [f64; 4] = [-0.021_806_150_123_243_835, -0.126_748_247_591_354_58, 0.148_640_812_223_296_28, 0.667_768_861_250_122];
    const STOP: [f64; 4] = [0.021_773_914_651_333_902, 0.126_560_878_910_878_06, -0.148_421_080_326_560_07, 1.000_172_573_528_696_2];

    #[test]
    fn the_product_of_spectra_is_the_sum_of_products_and_the_middle_is_not_shifted() {
        let signal = normal_matrix(1, 1, 50).into_values();
        let filter = fir_window(11, Band::Pass(10.0, 30.0), 100.0).unwrap();
        let found = zero_phase_fir(&filter, &signal).unwrap();
        for at in 5..45 {
            let direct: f64 = (0..11).map(|tap| filter[tap] * signal[at + 5 - tap]).sum();
            assert!((found[at] - direct).abs() < 1e-12);
        }
        // A line is its own point reflection, so a low-pass gives it back up to the ends.
        let line: Vec<f64> = (0..50).map(|at| 2.0 * f64::from(at) - 7.0).collect();
        all_close(&zero_phase_fir(&fir_window(11, Band::Low(10.0), 100.0).unwrap(), &line).unwrap(), &line, 1e-12);
    }

    #[test]
    fn what_is_no_filter_is_refused() {
        assert!(fir_window(8, Band::Low(10.0), 100.0).is_err() && fir_window(1, Band::Low(10.0), 100.0).is_err());
        assert!(fir_window(7, Band::Low(60.0), 100.0).is_err());
        assert!(zero_phase_fir(&[1.0, 2.0, 3.0], &[0.0; 9]).unwrap_err().to_string().contains("symmetric"));
        assert!(zero_phase_fir(&[0.5, 0.5], &[0.0; 9]).is_err() && zero_phase_fir(&[], &[0.0; 9]).is_err());
        assert!(zero_phase_fir(&[0.25, 0.5, 0.25], &[1.0]).unwrap_err().to_string().contains("needs more than 1"));
        assert!(zero_phase_fir(&[0.25, 0.5, 0.25], &[1.0, f64::INFINITY]).is_err());
    }
}
