//! Sample entropy: how unpredictable a signal is from its own recent past.

use crate::ComputeError;
use crate::error::finite;

/// `−ln(A / B)` (Richman & Moorman 2000): `B` counts the pairs of different stretches of `length` samples that lie within `tolerance` of each other
/// in every sample, `A` those whose next sample does too. `n − length` stretches are compared for both, and none with itself. `tolerance` is in the
/// signal's unit; 0.2 standard deviations are usual, with a length of 2.
///
/// `None` when no stretch is like another, or none stays so: the signal is too short, or the tolerance too narrow, to tell. Refuses a length of 0,
/// fewer than `length + 2` samples, a tolerance that is not positive, and values that are not finite. Takes time with the square of the number of
/// samples.
pub fn sample_entropy(signal: &[f64], length: usize, tolerance: f64) -> Result<Option<f64>, ComputeError> {
    finite("sample entropy", signal)?;
    if length == 0 || signal.len() < length + 2 {
        let reason = format!("{} samples for stretches of {length}; the stretch has at least 1 sample, the signal 2 more", signal.len());
        return Err(ComputeError::shape("sample entropy", reason));
    }
    if !(tolerance > 0.0 && tolerance.is_finite()) {
        return Err(ComputeError::value("sample entropy", format!("the tolerance is {tolerance}; it must be above zero, such as 0.2 SD")));
    }
    let (mut alike, mut stay) = (0u64, 0u64);
    // Stretches at the same distance are compared in one sweep: `run` samples in a row have been alike.
    for distance in 1..signal.len() - length {
        let mut run = 0;
        for (at, (x, y)) in signal.iter().zip(&signal[distance..]).enumerate() {
            // A run that ends here holds a stretch that starts `length − 1` samples before; one that goes on, a stretch with its next sample.
            run = if (x - y).abs() <= tolerance { run + 1 } else { 0 };
            stay += u64::from(run > length);
            // The last stretch has no next sample and is not compared.
            alike += u64::from(run >= length && at + distance + 1 < signal.len());
        }
    }
    Ok(if stay == 0 { None } else { Some((alike as f64 / stay as f64).ln()) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{close, normal_matrix};
    use crate::statistics::standard_deviation;

    /// The reference's generator: `x ← (1103515245 x + 12345) mod 2³¹`.
    fn reference_values(seed: u64, n: usize) -> Vec<f64> {
        let mut state = seed;
        (0..n)
            .map(|_| {
                state = (1_103_515_245 * state + 12_345) % (1 << 31);
                state as f64 / (1u64 << 31) as f64
            })
            .collect()
    }

    #[test]
    fn the_entropy_is_that_of_the_reference_and_of_the_definition() {
        // Appendix A, oracle 6.
        let signal = reference_values(7, 200);
        close(sample_entropy(&signal, 2, 0.2 * standard_deviation(&signal, 0)).unwrap().unwrap(), 2.447_166_321_8, 1e-10);
        for length in 1..4 {
            let signal = normal_matrix(length as u64, 1, 60).into_values();
            let count = |size: usize| {
                let alike = |a: usize, b: usize| (0..size).all(|at| (signal[a + at] - signal[b + at]).abs() <= 0.7);
                (0..60 - length).flat_map(|a| (0..a).map(move |b| (a, b))).filter(|&(a, b)| alike(a, b)).count() as f64
            };
            close(sample_entropy(&signal, length, 0.7).unwrap().unwrap(), -(count(length + 1) / count(length)).ln(), 1e-14);
        }
    }

    #[test]
    fn noise_is_less_predictable_than_a_sine_and_scale_does_not_matter() {
        let sine: Vec<f64> = (0..500).map(|at| (f64::from(at) * 0.1).sin()).collect();
        let noise = normal_matrix(1, 1, 500).into_values();
        let entropy = |signal: &[f64]| sample_entropy(signal, 2, 0.2 * standard_deviation(signal, 0)).unwrap().unwrap();
        assert!(entropy(&sine) < 0.3 && entropy(&noise) > 1.8);
        close(entropy(&noise.iter().map(|value| 3.0 + 1e6 * value).collect::<Vec<_>>()), entropy(&noise), 1e-12);
    }

    #[test]
    fn edges_are_answers_or_refusals() {
        assert_eq!(sample_entropy(&[1.0; 30], 2, 0.1).unwrap(), Some(0.0));
        assert_eq!(sample_entropy(&[1.0, 20.0, 300.0, 4000.0, 5.0], 2, 0.1).unwrap(), None);
        assert!(sample_entropy(&[1.0; 3], 2, 0.1).is_err() && sample_entropy(&[1.0; 9], 0, 0.1).is_err());
        assert!(sample_entropy(&[1.0; 9], 2, 0.0).is_err() && sample_entropy(&[f64::NAN; 9], 2, 0.1).is_err());
    }
}
