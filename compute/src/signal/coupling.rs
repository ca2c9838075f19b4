//! Coupling of phases between channels, from analytic signals or from Fourier coefficients of trials.
//!
//! All functions take observations `z = real + i · imaginary` as two matrices `[channel × observation]` and give a symmetric matrix `[channel ×
//! channel]`. An observation is a sample of the analytic signal in a band, or the coefficient of one frequency in one trial.

use crate::error::finite;
use crate::product::{for_each_chunk, gemm_nt, inner, mirror_lower};
use crate::{ComputeError, Matrix};

/// The phase-locking value `|mean exp i(φ_a − φ_b)|` (Lachaux et al. 1999): 1 for a constant difference of phases, 0 for none. Ones on the diagonal.
///
/// A source that reaches two channels at once locks their phases; [`imaginary_coherence`] and [`weighted_phase_lag`] don't count what has no lag. n
/// observations without any coupling give about `1 / √n`. Refuses other shapes, no observations, values that are not finite, and an observation of
/// amplitude zero, which has no phase.
pub fn phase_locking(real: &Matrix, imaginary: &Matrix) -> Result<Matrix, ComputeError> {
    check("phase locking", real, imaginary)?;
    let (mut cosine, mut sine) = (real.clone(), imaginary.clone());
    let columns = real.cols();
    for (place, (cosine, sine)) in cosine.values_mut().iter_mut().zip(sine.values_mut()).enumerate() {
        let amplitude = cosine.hypot(*sine);
        if amplitude == 0.0 {
            let reason =
                format!("channel {} has no amplitude in observation {}, so it has no phase there", place / columns, place % columns);
            return Err(ComputeError::value("phase locking", reason));
        }
        *cosine /= amplitude;
        *sine /= amplitude;
    }
    let (mut locking, turned) = hermitian(&cosine, &sine)?;
    let n = columns as f64;
    locking.values_mut().iter_mut().zip(turned.values()).for_each(|(real, imaginary)| *real = (real.hypot(*imaginary) / n).min(1.0));
    for channel in 0..locking.rows() {
        locking[(channel, channel)] = 1.0;
    }
    mirror_lower(&mut locking);
    Ok(locking)
}

/// The magnitude of the imaginary part of coherency, `|Im S_ab| / √(S_aa S_bb)` (Nolte et al. 2004), from 0 to 1: what two channels share at a lag.
/// Zeros on the diagonal, and for a channel without power.
///
/// Refuses other shapes, no observations, and values that are not finite.
pub fn imaginary_coherence(real: &Matrix, imaginary: &Matrix) -> Result<Matrix, ComputeError> {
    check("imaginary coherence", real, imaginary)?;
    let (_, mut cross) = hermitian(real, imaginary)?;
    let power: Vec<f64> =
        real.row_iter().zip(imaginary.row_iter()).map(|(real, imaginary)| inner(real, real) + inner(imaginary, imaginary)).collect();
    for row in 0..cross.rows() {
        for column in 0..=row {
            let scale = power[row].sqrt() * power[column].sqrt();
            let defined = row != column && scale > 0.0;
            cross[(row, column)] = if defined { (cross[(row, column)].abs() / scale).min(1.0) } else { 0.0 };
        }
    }
    mirror_lower(&mut cross);
    Ok(cross)
}

/// The weighted phase-lag index `|Σ Im S_ab| / Σ |Im S_ab|` (Vinck et al. 2011), from 0 to 1: how consistently one channel leads, each observation
/// weighted by its distance from zero lag. Zeros on the diagonal, and for pairs that never have a lag.
///
/// Few observations give large values by chance. Refuses other shapes, no observations, and values that are not finite.
pub fn weighted_phase_lag(real: &Matrix, imaginary: &Matrix) -> Result<Matrix, ComputeError> {
    check("weighted phase lag", real, imaginary)?;
    let channels = real.rows();
    let mut index = Matrix::zeros(channels, channels);
    if channels == 0 {
        return Ok(index);
    }
    for_each_chunk(index.values_mut(), channels, |row, values| {
        for (column, value) in values.iter_mut().enumerate().take(row) {
            let (sum, magnitude) = imaginary_sums(real.row(row), imaginary.row(row), real.row(column), imaginary.row(column));
            *value = if magnitude > 0.0 { (sum.abs() / magnitude).min(1.0) } else { 0.0 };
        }
    });
    mirror_lower(&mut index);
    Ok(index)
}

/// `Σ Im(x ȳ)` and `Σ |Im(x ȳ)|`. An imaginary part that is rounding alone, as of two equal signals, counts as zero.
fn imaginary_sums(x_real: &[f64], x_imaginary: &[f64], y_real: &[f64], y_imaginary: &[f64]) -> (f64, f64) {
    let (mut sum, mut magnitude) = ([0.0; 4], [0.0; 4]);
    for (at, ((a, b), (c, d))) in x_real.iter().zip(x_imaginary).zip(y_real.iter().zip(y_imaginary)).enumerate() {
        let (left, right) = (b * c, a * d);
        let part = left - right;
        let part = if part.abs() <= 4.0 * f64::EPSILON * left.abs().max(right.abs()) { 0.0 } else { part };
        sum[at % 4] += part;
        magnitude[at % 4] += part.abs();
    }
    (crate::statistics::sum(&sum), crate::statistics::sum(&magnitude))
}

/// Real and imaginary part of `Z Zᴴ`.
fn hermitian(real: &Matrix, imaginary: &Matrix) -> Result<(Matrix, Matrix), ComputeError> {
    let mut even = gemm_nt(real, real)?;
    even.values_mut().iter_mut().zip(gemm_nt(imaginary, imaginary)?.values()).for_each(|(sum, value)| *sum += value);
    let mut odd = gemm_nt(imaginary, real)?;
    odd.values_mut().iter_mut().zip(gemm_nt(real, imaginary)?.values()).for_each(|(sum, value)| *sum -= value);
    Ok((even, odd))
}

fn check(operation: &'static str, real: &Matrix, imaginary: &Matrix) -> Result<(), ComputeError> {
    if real.shape() != imaginary.shape() {
        let reason =
            format!("real parts are {:?}, imaginary parts {:?}; both are [channel × observation]", real.shape(), imaginary.shape());
        return Err(ComputeError::shape(operation, reason));
    }
    if real.cols() == 0 {
        return Err(ComputeError::shape(operation, "there are no observations"));
    }
    finite(operation, real.values())?;
    finite(operation, imaginary.values())
}

#[cfg(test)]
mod tests {
    use super::super::{Band, analytic_signal, butterworth};
    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix, same_on_any_threads};
    use proptest::prelude::*;

    /// Real and imaginary parts of the analytic signals of rows.
    fn analytic(signals: &Matrix) -> (Matrix, Matrix) {
        let values: Vec<_> = signals.row_iter().map(|row| analytic_signal(row).unwrap()).collect();
        let part = |of: fn(&super::super::Complex<f64>) -> f64| {
            Matrix::from_fn(signals.rows(), signals.cols(), |row, column| of(&values[row][column]))
        };
        (part(|value| value.re), part(|value| value.im))
    }

    #[test]
    fn phase_locking_in_a_band_matches_scipy() {
        let Some(case) = Case::open("signal/plv") else { return };
        let filter = butterworth(4, Band::Pass(8.0, 12.0), 200.0).unwrap();
        let rows: Vec<Vec<f64>> = case.matrix("x").row_iter().map(|row| filter.zero_phase(row).unwrap()).collect();
        let (real, imaginary) = analytic(&Matrix::from_rows(&rows).unwrap());
        all_close(phase_locking(&real, &imaginary).unwrap().values(), case.matrix("plv").values(), 1e-9);
    }

    /// Two channels whose phases differ by `lag` on average, with jitter, and a third one of its own.
    fn lagged(lag: f64, jitter: f64, n: usize) -> (Matrix, Matrix) {
        let mut stream = crate::random::Stream::new(4);
        let (mut real, mut imaginary) = (Matrix::zeros(3, n), Matrix::zeros(3, n));
        for at in 0..n {
            let phase = std::f64::consts::TAU * stream.uniform();
            let phases = [phase, phase - lag + jitter * stream.normal(), std::f64::consts::TAU * stream.uniform()];
            for (channel, phase) in phases.into_iter().enumerate() {
                let amplitude = 0.5 + stream.uniform();
                real[(channel, at)] = amplitude * phase.cos();
                imaginary[(channel, at)] = amplitude * phase.sin();
            }
        }
        (real, imaginary)
    }

    #[test]
    fn a_constant_lag_locks_and_only_a_lag_counts_for_the_lagged_measures() {
        // Appendix A, oracle 6: two sines of one frequency with a constant lag have a value of 1.
        let sine =
            |lag: f64| (0..400).map(move |at| (std::f64::consts::TAU * 10.0 * f64::from(at) / 200.0 - lag).sin()).collect::<Vec<_>>();
        let (real, imaginary) = analytic(&Matrix::from_rows(&[sine(0.0), sine(0.7)]).unwrap());
        close(phase_locking(&real, &imaginary).unwrap()[(0, 1)], 1.0, 1e-12);
        close(imaginary_coherence(&real, &imaginary).unwrap()[(0, 1)], 0.7f64.sin(), 1e-9);
        close(weighted_phase_lag(&real, &imaginary).unwrap()[(1, 0)], 1.0, 1e-12);

        let (real, imaginary) = lagged(0.0, 0.3, 4000);
        assert!(phase_locking(&real, &imaginary).unwrap()[(0, 1)] > 0.9);
        assert!(imaginary_coherence(&real, &imaginary).unwrap()[(0, 1)] < 0.05);
        assert!(weighted_phase_lag(&real, &imaginary).unwrap()[(0, 1)] < 0.1);
        let (real, imaginary) = lagged(1.0, 0.3, 4000);
        assert!(weighted_phase_lag(&real, &imaginary).unwrap()[(0, 1)] > 0.95);
        assert!(weighted_phase_lag(&real, &imaginary).unwrap()[(0, 2)] < 0.1);
        assert!(phase_locking(&real, &imaginary).unwrap()[(0, 2)] < 0.05);
        // A signal and itself, or its double, have no lag at all.
        let twin = |matrix: &Matrix| Matrix::from_rows(&[matrix.row(0), matrix.row(0)]).unwrap();
        assert_eq!(weighted_phase_lag(&twin(&real), &twin(&imaginary)).unwrap(), Matrix::zeros(2, 2));
    }

    proptest! {
        #[test]
        fn permuting_channels_permutes_and_gain_changes_nothing(seed in 0u64..1000, gain in 0.1f64..10.0) {
            let (real, imaginary) = (normal_matrix(seed, 4, 50), normal_matrix(seed + 1, 4, 50));
            let order = crate::random::Stream::new(seed).permutation(4);
            let changed = |matrix: &Matrix| matrix.take_rows(&order).map(|value| gain * value);
            for measure in [phase_locking, imaginary_coherence, weighted_phase_lag] {
                let (plain, permuted) = (measure(&real, &imaginary).unwrap(), measure(&changed(&real), &changed(&imaginary)).unwrap());
                for row in 0..4 {
                    for column in 0..4 {
                        prop_assert!((permuted[(row, column)] - plain[(order[row], order[column])]).abs() < 1e-12);
                        prop_assert!((0.0..=1.0).contains(&plain[(row, column)]) && plain[(row, column)] == plain[(column, row)]);
                    }
                }
            }
        }
    }

    #[test]
    fn bad_observations_are_refused_and_threads_change_nothing() {
        let (real, imaginary) = (normal_matrix(1, 40, 900), normal_matrix(2, 40, 900));
        for measure in [phase_locking, imaginary_coherence, weighted_phase_lag] {
            same_on_any_threads(|| measure(&real, &imaginary).unwrap().into_values());
            assert!(measure(&real, &Matrix::zeros(40, 899)).is_err() && measure(&Matrix::zeros(3, 0), &Matrix::zeros(3, 0)).is_err());
            assert!(measure(&Matrix::zeros(1, 1).map(|_| f64::NAN), &Matrix::zeros(1, 1)).is_err());
            assert_eq!(measure(&Matrix::zeros(0, 5), &Matrix::zeros(0, 5)).unwrap().shape(), (0, 0));
        }
        let silent = Matrix::from_fn(2, 3, |row, column| f64::from((row, column) != (1, 2)));
        let message = phase_locking(&silent, &Matrix::zeros(2, 3)).unwrap_err().to_string();
        assert!(message.contains("channel 1 has no amplitude in observation 2"), "{message}");
        assert_eq!(imaginary_coherence(&Matrix::zeros(2, 3), &Matrix::zeros(2, 3)).unwrap(), Matrix::zeros(2, 2));
    }
}
