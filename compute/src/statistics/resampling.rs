//! Resampling: p values from null distributions and bootstrap intervals from given indices.

use super::quantile_of_sorted;
use crate::ComputeError;

/// `p = (1 + #{null ≥ observed}) / (1 + m)` for `m` values of a null distribution (Phipson & Smyth 2010): never zero, and 1 without a null. Small when the observed value is large.
pub fn p_value(observed: f64, null: &[f64]) -> f64 {
    // A null value or an observation that is not a number counts against the observation.
    let at_least = null.iter().filter(|&&value| !matches!(value.partial_cmp(&observed), Some(std::cmp::Ordering::Less))).count();
    (1 + at_least) as f64 / (1 + null.len()) as f64
}

/// The percentile bootstrap interval of a statistic: `resamples` lists the drawn positions of each resample, drawn by the caller from a seeded stream.
///
/// `level` is the coverage, such as 0.95: the bounds are the `(1 ± level) / 2` quantiles with linear interpolation. Refuses no resamples, a position
/// outside of `values`, and a level outside of 0–1.
pub fn bootstrap_interval<R: AsRef<[usize]>>(
    values: &[f64],
    resamples: &[R],
    statistic: impl Fn(&[f64]) -> f64,
    level: f64,
) -> Result<(f64, f64), ComputeError> {
    let refuse = |reason: String| Err(ComputeError::value("bootstrap", reason));
    if resamples.is_empty() {
        return refuse("there are no resamples; at least one is needed".into());
    }
    if !(level > 0.0 && level < 1.0) {
        return refuse(format!("the level is {level}; it lies between 0 and 1, such as 0.95"));
    }
    let mut statistics = Vec::with_capacity(resamples.len());
    let mut drawn = Vec::with_capacity(values.len());
    for positions in resamples {
        drawn.clear();
        for &position in positions.as_ref() {
            match values.get(position) {
                Some(&value) => drawn.push(value),
                None => return refuse(format!("position {position} was drawn from {} values", values.len())),
            }
        }
        statistics.push(statistic(&drawn));
    }
    statistics.sort_unstable_by(f64::total_cmp);
    let tail = (1.0 - level) / 2.0;
    Ok((quantile_of_sorted(&statistics, tail), quantile_of_sorted(&statistics, 1.0 - tail)))
}

#[cfg(test)]
mod tests {
    use super::super::mean;
    use super::*;
    use crate::golden::{Case, all_close, close};

    #[test]
    fn p_values_and_intervals_match_the_references() {
        let Some(case) = Case::open("stats/multiple") else { return };
        let (observed, null) = (case.array("observed").1, case.matrix("null"));
        let p: Vec<f64> = observed.iter().zip(null.row_iter()).map(|(&observed, null)| p_value(observed, null)).collect();
        all_close(&p, &case.array("p").1, 1e-12);
        let differences = case.array("differences").1;
        let indices = case.labels("bootstrap_indices");
        let resamples: Vec<&[usize]> = indices.chunks_exact(differences.len()).collect();
        let (low, high) = bootstrap_interval(&differences, &resamples, mean, 0.95).unwrap();
        all_close(&[low, high], &case.array("bootstrap_mean_ci95").1, 1e-12);
    }

    #[test]
    fn p_is_never_zero_and_ties_count_against() {
        assert_eq!(p_value(3.0, &[1.0, 2.0, 3.0]), 0.5);
        assert_eq!((p_value(9.0, &[1.0; 199]), p_value(9.0, &[])), (1.0 / 200.0, 1.0));
        assert_eq!(p_value(f64::NAN, &[1.0]), 1.0);
    }

    #[test]
    fn an_interval_of_two_resamples_is_as_by_hand() {
        let (low, high) = bootstrap_interval(&[1.0, 5.0], &[[0, 0], [1, 1]], mean, 0.9).unwrap();
        close(low, 1.2, 1e-14);
        close(high, 4.8, 1e-14);
        let none: [[usize; 2]; 0] = [];
        assert!(bootstrap_interval(&[1.0], &none, mean, 0.9).is_err());
        assert!(bootstrap_interval(&[1.0], &[[1]], mean, 0.9).unwrap_err().to_string().contains("position 1"));
        assert!(bootstrap_interval(&[1.0], &[[0]], mean, 95.0).is_err());
    }
}
