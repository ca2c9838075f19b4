//! Reliability of a measurement from the agreement of its parts.

use crate::ComputeError;

/// The reliability of `parts` parts together when two of them correlate with `r`: `k r / (1 + (k − 1) r)` (Spearman 1910; Brown 1910). With 2 parts,
/// the reliability of the whole from its halves.
///
/// A negative `r` gives a negative value: halves that disagree by chance average to zero over many data sets only if they count as they are. Refuses
/// an `r` outside of −1 to 1, a number of parts that is not positive, and values at which the formula has a pole (`r = −1 / (k − 1)` and below).
pub fn spearman_brown(r: f64, parts: f64) -> Result<f64, ComputeError> {
    let refuse = |reason: String| Err(ComputeError::value("spearman-brown", reason));
    if !(-1.0..=1.0).contains(&r) {
        return refuse(format!("the correlation is {r}; it lies from −1 to 1"));
    }
    if !(parts > 0.0 && parts.is_finite()) {
        return refuse(format!("the number of parts is {parts}; it is positive"));
    }
    let divisor = 1.0 + (parts - 1.0) * r;
    if divisor <= 0.0 {
        return refuse(format!("with {parts} parts a correlation of {r} has no reliability: it must be above {}", -1.0 / (parts - 1.0)));
    }
    Ok(parts * r / divisor)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::close;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn lengthening_twice_is_lengthening_by_the_product(r in -0.1f64..1.0, first in 0.5f64..3.0, second in 0.5f64..3.0) {
            let once = spearman_brown(r, first * second).unwrap();
            let twice = spearman_brown(spearman_brown(r, first).unwrap(), second).unwrap();
            prop_assert!((once - twice).abs() < 1e-9);
        }
    }

    #[test]
    fn known_values_and_refusals() {
        close(spearman_brown(0.5, 2.0).unwrap(), 2.0 / 3.0, 1e-15);
        assert_eq!(
            (spearman_brown(0.3, 1.0).unwrap(), spearman_brown(1.0, 7.0).unwrap(), spearman_brown(0.0, 2.0).unwrap()),
            (0.3, 1.0, 0.0)
        );
        assert!(spearman_brown(-1.0, 2.0).unwrap_err().to_string().contains("above -1"));
        assert!(spearman_brown(1.1, 2.0).is_err() && spearman_brown(f64::NAN, 2.0).is_err() && spearman_brown(0.1, 0.0).is_err());
    }
}
