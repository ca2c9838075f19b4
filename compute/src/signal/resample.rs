//! Other sampling rates: by a ratio of whole numbers, or every so-manieth sample.

use super::butterworth::{Band, chebyshev_lowpass};
use super::fir::windowed;
use crate::ComputeError;
use crate::error::finite;

/// The most that a rate may be multiplied or divided by; the filter has twenty times as many coefficients.
const MOST: usize = 100_000;

/// The signal at `up / down` times its rate: the result is sampled at `down / up` of the old interval, from the same first sample
/// (`scipy.signal.resample_poly` with its defaults).
///
/// Between the samples stands zero, a Kaiser window (β = 5) of the ideal low-pass fills in, 10 samples of the lower rate to each side. Beyond its
/// ends the signal counts as zero, so take its mean off first. The result has `⌈n · up / down⌉` samples. Refuses ratios of zero or beyond 100 000,
/// and values that are not finite.
pub fn resample_poly(signal: &[f64], up: usize, down: usize) -> Result<Vec<f64>, ComputeError> {
    finite("resampling", signal)?;
    if !(1..=MOST).contains(&up) || !(1..=MOST).contains(&down) {
        return Err(ComputeError::value("resampling", format!("the ratio is {up} to {down}; both numbers lie from 1 to {MOST}")));
    }
    let common = greatest_common_divisor(up, down);
    let (up, down) = (up / common, down / common);
    if up == 1 && down == 1 {
        return Ok(signal.to_vec());
    }
    let slower = up.max(down);
    let half = 10 * slower;
    let length = 2 * half + 1;
    let kaiser = |place: usize| {
        let part = (place as f64 - half as f64) / half as f64;
        bessel_i0(5.0 * (1.0 - part * part).max(0.0).sqrt()) / bessel_i0(5.0)
    };
    let filter: Vec<f64> =
        windowed(length, half as f64, Band::Low(0.5 / slower as f64), 1.0, kaiser).into_iter().map(|value| value * up as f64).collect();
    let resampled = (signal.len() * up).div_ceil(down);
    // y[m] = Σ_k h[k] u[m · down + half − k], where u has the signal at every `up`-th place: only those are visited.
    let value = |sample: usize| {
        let centre = sample * down + half;
        let last = (centre / up).min(signal.len() - 1);
        let first = centre.saturating_sub(length - 1).div_ceil(up);
        (first..=last).map(|place| filter[centre - place * up] * signal[place]).sum::<f64>()
    };
    Ok((0..resampled).map(value).collect())
}

/// Every `factor`-th sample after a Chebyshev low-pass of order 8 at 0.8 of the new half rate, forwards and backwards (`scipy.signal.decimate` with
/// its defaults).
///
/// Refuses a factor of 0, a signal of no more than 27 samples, and values that are not finite.
pub fn decimate(signal: &[f64], factor: usize) -> Result<Vec<f64>, ComputeError> {
    match factor {
        0 => Err(ComputeError::value("decimation", "the factor is 0; it is at least 1")),
        1 => finite("decimation", signal).map(|()| signal.to_vec()),
        _ => {
            let filtered = chebyshev_lowpass(8, 0.05, 0.4 / factor as f64, 1.0)?.zero_phase(signal)?;
            Ok(filtered.into_iter().step_by(factor).collect())
        }
    }
}

fn greatest_common_divisor(a: usize, b: usize) -> usize {
    if b == 0 { a } else { greatest_common_divisor(b, a % b) }
}

/// The modified Bessel function I₀: Σ (x/2)²ᵏ / k!².
fn bessel_i0(x: f64) -> f64 {
    let quarter = x * x / 4.0;
    let (mut term, mut sum) = (1.0, 1.0);
    for k in 1..200 {
        term *= quarter / f64::from(k * k);
        sum += term;
        if term < 1e-17 * sum {
            break;
        }
    }
    sum
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close, normal_matrix};
    use proptest::prelude::*;

    #[test]
    fn both_match_scipy() {
        let Some(case) = Case::open("signal/filters") else { return };
        let (signal, half, second) = (case.matrix("x"), case.matrix("resample_half"), case.matrix("decimate2"));
        for channel in 0..signal.rows() {
            all_close(&resample_poly(signal.row(channel), 1, 2).unwrap(), half.row(channel), 1e-8);
            all_close(&decimate(signal.row(channel), 2).unwrap(), second.row(channel), 1e-8);
        }
    }

    #[test]
    fn a_ratio_of_whole_numbers_matches_scipy() {
        // scipy 1.17.1: resample_poly([1, 3, -2, 5, 4, 0, 2], 3, 2) and (…, 2, 3).
        let signal = [1.0, 3.0, -2.0, 5.0, 4.0, 0.0, 2.0];
        all_close(&resample_poly(&signal, 3, 2).unwrap(), &UP, 1e-12);
        all_close(&resample_poly(&signal, 4, 6).unwrap(), &DOWN, 1e-12);
    }

    const UP: [f64; 11] = [
        1.000_606_173_553_777_7,
        3.497_181_029_589_041_8,
        1.103_743_398_809_660_5,
        -2.001_212_347_107_554_5,
        2.005_998_994_713_112_7,
        6.588_882_645_254_380_5,
        4.002_424_694_215_109,
        0.157_416_054_457_904_63,
        0.772_118_178_759_518_2,
        2.001_212_347_107_554_5,
        0.770_956_277_512_762_1,
    ];
    const DOWN: [f64; 5] =
        [1.986_165_335_592_409, 0.135_670_710_528_704_66, 3.483_983_339_764_759_7, 2.617_542_181_638_387_3, 0.558_356_523_045_379_5];

    proptest! {
        #[test]
        fn lengths_and_common_factors_are_as_promised(n in 1usize..60, up in 1usize..7, down in 1usize..7, common in 1usize..4) {
            let signal = normal_matrix(3, 1, n).into_values();
            let found = resample_poly(&signal, up, down).unwrap();
            prop_assert_eq!(found.len(), (n * up).div_ceil(down));
            prop_assert_eq!(resample_poly(&signal, up * common, down * common).unwrap(), found);
        }
    }

    #[test]
    fn a_sine_stays_the_same_sine() {
        let sine = |rate: f64, n: usize| (0..n).map(|at| (std::f64::consts::TAU * 5.0 * at as f64 / rate).sin()).collect::<Vec<_>>();
        let found = resample_poly(&sine(200.0, 800), 5, 4).unwrap();
        all_close(&found[100..900], &sine(250.0, 1000)[100..900], 2e-3);
    }

    #[test]
    fn edges_are_answers_or_refusals() {
        assert_eq!(resample_poly(&[], 3, 2).unwrap(), Vec::<f64>::new());
        assert_eq!(resample_poly(&[1.0, 2.0], 4, 4).unwrap(), [1.0, 2.0]);
        assert!(resample_poly(&[1.0], 0, 1).is_err() && resample_poly(&[1.0], 1, 200_000).is_err());
        assert!(resample_poly(&[f64::NAN], 1, 2).is_err());
        assert!(decimate(&[0.0; 27], 2).is_err() && decimate(&[0.0; 40], 0).is_err());
        assert_eq!(decimate(&[1.0, 5.0], 1).unwrap(), [1.0, 5.0]);
    }
}
