//! Covariances shrunk towards a multiple of the identity, with scikit-learn's conventions: data are centred, the covariance is divided by `n`.

use super::correlation::centred_columns;
use super::sum;
use crate::error::finite;
use crate::product::gram;
use crate::{ComputeError, Matrix};

/// A shrunk covariance `(1 − shrinkage) S + shrinkage · (tr S / p) · I`.
#[derive(Debug, Clone, PartialEq)]
pub struct Shrunk {
    /// The shrunk covariance `[columns × columns]`.
    pub covariance: Matrix,
    /// The weight of the identity, 0–1.
    pub shrinkage: f64,
}

/// The shrinkage of least expected error (Ledoit & Wolf 2004, "A well-conditioned estimator for large-dimensional covariance matrices"), as `sklearn.covariance.ledoit_wolf`.
///
/// `samples [n × p]`. Refuses no samples or columns, and values that are not finite.
pub fn ledoit_wolf(samples: &Matrix) -> Result<Shrunk, ComputeError> {
    let (centred, empirical) = empirical("ledoit-wolf shrinkage", samples)?;
    let (n, p) = (samples.rows() as f64, samples.cols() as f64);
    let scale = trace(&empirical) / p; // μ
    // Σ over samples of ‖x‖⁴, which is Σ over pairs of columns of Σ x_i² x_j².
    let fourth: Vec<f64> = centred.row_iter().map(|row| crate::product::inner(row, row).powi(2)).collect();
    let squares: Vec<f64> = empirical.values().iter().map(|value| value * value).collect();
    let squared_norm = sum(&squares);
    let error = (sum(&fourth) / n - squared_norm) / (p * n); // β
    let spread = (squared_norm - 2.0 * scale * trace(&empirical) + p * scale * scale) / p; // δ
    let error = error.min(spread);
    // One column is its own variance: nothing to shrink towards.
    let shrinkage = if samples.cols() == 1 || error == 0.0 { 0.0 } else { error / spread };
    Ok(shrink(empirical, shrinkage, scale))
}

/// The oracle approximating shrinkage for Gaussian data (Chen, Wiesel, Eldar & Hero 2010, with scikit-learn's correction of eq. 23), as `sklearn.covariance.oas`.
///
/// `samples [n × p]`. Refuses no samples or columns, and values that are not finite.
pub fn oracle_approximating(samples: &Matrix) -> Result<Shrunk, ComputeError> {
    let (_, empirical) = empirical("oracle approximating shrinkage", samples)?;
    let (n, p) = (samples.rows() as f64, samples.cols() as f64);
    let scale = trace(&empirical) / p; // μ
    let squares: Vec<f64> = empirical.values().iter().map(|value| value * value).collect();
    let mean_square = sum(&squares) / (p * p); // α
    let numerator = mean_square + scale * scale;
    let denominator = (n + 1.0) * (mean_square - scale * scale / p);
    let shrinkage = match samples.cols() {
        1 => 0.0,
        _ if denominator == 0.0 => 1.0,
        _ => (numerator / denominator).min(1.0),
    };
    Ok(shrink(empirical, shrinkage, scale))
}

/// Centred samples and their covariance divided by `n`.
fn empirical(operation: &'static str, samples: &Matrix) -> Result<(Matrix, Matrix), ComputeError> {
    let (rows, cols) = samples.shape();
    if rows == 0 || cols == 0 {
        return Err(ComputeError::shape(operation, format!("{rows} samples of {cols} values; at least one of each is needed")));
    }
    finite(operation, samples.values())?;
    let centred = centred_columns(samples);
    let covariance = gram(&centred).map(|value| value / rows as f64);
    Ok((centred, covariance))
}

fn trace(matrix: &Matrix) -> f64 {
    sum(&matrix.diagonal())
}

fn shrink(empirical: Matrix, shrinkage: f64, scale: f64) -> Shrunk {
    let mut covariance = empirical.map(|value| (1.0 - shrinkage) * value);
    for place in 0..covariance.rows() {
        covariance[(place, place)] += shrinkage * scale;
    }
    Shrunk { covariance, shrinkage }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix, same_on_any_threads};

    #[test]
    fn both_estimators_match_scikit_learn() {
        let Some(case) = Case::open("decode/shrinkage") else { return };
        let samples = case.matrix("X");
        let shrunk = ledoit_wolf(&samples).unwrap();
        close(shrunk.shrinkage, case.number("lw_shrinkage"), 1e-12);
        all_close(shrunk.covariance.values(), case.matrix("lw_cov").values(), 1e-10);
        let shrunk = oracle_approximating(&samples).unwrap();
        close(shrunk.shrinkage, case.number("oas_shrinkage"), 1e-12);
        all_close(shrunk.covariance.values(), case.matrix("oas_cov").values(), 1e-10);
    }

    #[test]
    fn the_trace_is_kept_and_few_samples_are_shrunk_more() {
        let few = normal_matrix(1, 8, 20);
        let many = Matrix::from_fn(4000, 3, {
            let mut stream = crate::random::Stream::new(2);
            move |_, col| stream.normal() * [1.0, 5.0, 20.0][col]
        });
        for estimator in [ledoit_wolf, oracle_approximating] {
            let (few_shrunk, many_shrunk) = (estimator(&few).unwrap(), estimator(&many).unwrap());
            assert!(few_shrunk.shrinkage > 0.5 && many_shrunk.shrinkage < 0.01);
            close(trace(&few_shrunk.covariance), trace(&empirical("", &few).unwrap().1), 1e-12);
        }
    }

    #[test]
    fn edges_are_values_or_refusals_and_never_nan() {
        for estimator in [ledoit_wolf, oracle_approximating] {
            let column = Matrix::new(3, 1, vec![1.0, 2.0, 3.0]).unwrap();
            assert_eq!(estimator(&column).unwrap().shrinkage, 0.0);
            close(estimator(&column).unwrap().covariance[(0, 0)], 2.0 / 3.0, 1e-15);
            for constant in [Matrix::zeros(4, 3), Matrix::zeros(1, 3)] {
                let shrunk = estimator(&constant).unwrap();
                assert!((0.0..=1.0).contains(&shrunk.shrinkage));
                assert_eq!(shrunk.covariance, Matrix::zeros(3, 3));
            }
            assert!(estimator(&Matrix::zeros(0, 3)).unwrap_err().to_string().contains("0 samples of 3 values"));
            assert!(estimator(&column.clone().map(|value| value / 0.0)).is_err());
        }
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let samples = normal_matrix(3, 200, 150);
        same_on_any_threads(|| ledoit_wolf(&samples).unwrap().covariance.into_values());
        same_on_any_threads(|| oracle_approximating(&samples).unwrap().covariance.into_values());
    }
}
