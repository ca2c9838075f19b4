//! Sums and moments.

/// Values added one after the other before halves are added pairwise.
const RUN: usize = 128;

/// The sum, pairwise: the error grows with the logarithm of the number of values. 0 for none.
pub fn sum(values: &[f64]) -> f64 {
    if values.len() > RUN {
        // The border is a multiple of the run length, so that all runs but the last are full.
        let (left, right) = values.split_at((values.len() / 2).next_multiple_of(RUN));
        return sum(left) + sum(right);
    }
    let mut lanes = [0.0; 8];
    let chunks = values.chunks_exact(8);
    let rest: f64 = chunks.remainder().iter().sum();
    for chunk in chunks {
        lanes.iter_mut().zip(chunk).for_each(|(lane, value)| *lane += value);
    }
    let [a, b, c, d, e, f, g, h] = lanes;
    ((a + b) + (c + d)) + ((e + f) + (g + h)) + rest
}

/// The arithmetic mean; NaN for no values.
pub fn mean(values: &[f64]) -> f64 {
    sum(values) / values.len() as f64
}

/// The mean of `(x − mean)^order`, with the number of values as divisor; NaN for no values.
pub fn central_moment(values: &[f64], order: i32) -> f64 {
    let centre = mean(values);
    let powers: Vec<f64> = values.iter().map(|value| (value - centre).powi(order)).collect();
    mean(&powers)
}

/// The variance with divisor `n − freedom` (0: of a population, 1: unbiased); NaN when `n ≤ freedom`. In two passes, with the correction of Chan, Golub & LeVeque (1983).
pub fn variance(values: &[f64], freedom: usize) -> f64 {
    if values.len() <= freedom {
        return f64::NAN;
    }
    let n = values.len() as f64;
    let centre = mean(values);
    let deviations: Vec<f64> = values.iter().map(|value| value - centre).collect();
    let slip = sum(&deviations);
    let squares: Vec<f64> = deviations.iter().map(|deviation| deviation * deviation).collect();
    (sum(&squares) - slip * slip / n) / (n - freedom as f64)
}

/// The square root of [`variance`].
pub fn standard_deviation(values: &[f64], freedom: usize) -> f64 {
    variance(values, freedom).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::close;

    #[test]
    fn sums_of_many_small_numbers_keep_their_digits() {
        // Adding one after the other loses six more digits here.
        close(sum(&vec![0.1; 1_000_003]), 100_000.3, 1e-15);
        assert_eq!(sum(&[]), 0.0);
        let numbers: Vec<f64> = (1..=1000).map(f64::from).collect();
        for n in [1, 7, 8, 9, 127, 128, 129, 255, 257, 1000] {
            assert_eq!(sum(&numbers[..n]), (n * (n + 1) / 2) as f64);
        }
    }

    #[test]
    fn moments_are_those_of_the_definition() {
        let values = [2.0, 4.0, 4.0, 4.0, 5.0, 5.0, 7.0, 9.0];
        assert_eq!((mean(&values), variance(&values, 0), standard_deviation(&values, 0)), (5.0, 4.0, 2.0));
        close(variance(&values, 1), 32.0 / 7.0, 1e-15);
        assert_eq!((central_moment(&values, 3), central_moment(&values, 4)), (5.25, 44.5));
        assert!(mean(&[]).is_nan() && variance(&[1.0], 1).is_nan());
    }

    #[test]
    fn a_large_offset_does_not_spoil_the_variance() {
        let values: Vec<f64> = [4.0, 7.0, 13.0, 16.0].iter().map(|value| value + 1e9).collect();
        assert_eq!(variance(&values, 1), 30.0);
    }
}
