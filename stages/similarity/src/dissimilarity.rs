//! Dissimilarities between condition means, as rsatoolbox computes them: squared distances are divided by the number of channels.

use crate::failure::numerical;
use neuroflow_compute::Matrix;
use neuroflow_compute::factor::Cholesky;
use neuroflow_compute::statistics::{ledoit_wolf, pearson};
use neuroflow_stage::StageError;

/// 1 − Pearson correlation over channels. A condition that does not vary over channels has no correlation.
pub(crate) fn correlation(means: &Matrix) -> Result<Vec<f64>, StageError> {
    pairs(means.rows(), |a, b| {
        let r = pearson(means.row(a), means.row(b)).map_err(numerical)?;
        if r.is_nan() {
            Err(StageError::refused("a condition's mean is the same in all units: it has no correlation; use `measure = euclidean`"))
        } else {
            Ok(1.0 - r)
        }
    })
}

/// Mean squared difference over channels.
pub(crate) fn euclidean(means: &Matrix) -> Result<Vec<f64>, StageError> {
    pairs(means.rows(), |a, b| Ok(squared(means.row(a), means.row(b)) / means.cols() as f64))
}

fn squared(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(x, y)| (x - y).powi(2)).sum()
}

/// `δᵀ P δ / channels`, with the noise precision `P`.
pub(crate) fn mahalanobis(means: &Matrix, precision: &Matrix) -> Result<Vec<f64>, StageError> {
    pairs(means.rows(), |a, b| {
        let delta: Vec<f64> = means.row(a).iter().zip(means.row(b)).map(|(x, y)| x - y).collect();
        Ok(quadratic(&delta, &delta, precision) / means.cols() as f64)
    })
}

/// Cross-validated: `δ_mᵀ P δ_n / channels` averaged over ordered pairs of different folds; unbiased, so it can be negative.
pub(crate) fn crossnobis(folds: &[Matrix], precision: Option<&Matrix>) -> Result<Vec<f64>, StageError> {
    let Some(first) = folds.first().filter(|_| folds.len() > 1) else {
        return Err(StageError::refused("crossnobis needs at least 2 folds"));
    };
    let channels = first.cols() as f64;
    pairs(first.rows(), |a, b| {
        let deltas: Vec<Vec<f64>> = folds.iter().map(|fold| fold.row(a).iter().zip(fold.row(b)).map(|(x, y)| x - y).collect()).collect();
        let mut sum = 0.0;
        for (m, left) in deltas.iter().enumerate() {
            for (_, right) in deltas.iter().enumerate().filter(|(n, _)| *n != m) {
                sum += match precision {
                    Some(precision) => quadratic(left, right, precision),
                    None => left.iter().zip(right).map(|(x, y)| x * y).sum(),
                };
            }
        }
        Ok(sum / (folds.len() * (folds.len() - 1)) as f64 / channels)
    })
}

fn quadratic(left: &[f64], right: &[f64], matrix: &Matrix) -> f64 {
    left.iter().enumerate().map(|(row, x)| x * matrix.row(row).iter().zip(right).map(|(m, y)| m * y).sum::<f64>()).sum()
}

/// The inverse of the residuals' covariance, shrunk after Ledoit & Wolf.
pub(crate) fn noise_precision(residuals: &Matrix) -> Result<Matrix, StageError> {
    let shrunk = ledoit_wolf(residuals).map_err(numerical)?;
    Cholesky::new(&shrunk.covariance).and_then(|factor| factor.inverse()).map_err(numerical)
}

fn pairs(n: usize, mut of: impl FnMut(usize, usize) -> Result<f64, StageError>) -> Result<Vec<f64>, StageError> {
    let mut values = Vec::with_capacity(n * n.saturating_sub(1) / 2);
    for a in 0..n {
        for b in a + 1..n {
            values.push(of(a, b)?);
        }
    }
    Ok(values)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;

    #[test]
    fn dissimilarities_are_those_of_rsatoolbox() {
        let Some((shape, values)) = golden::array("rdm", "measurements") else { return };
        let rows = Matrix::new(shape[0], shape[1], values).unwrap();
        let list = |name: &str| golden::array("rdm", name).unwrap().1;
        let (condition, run) = (list("condition"), list("run"));
        let levels = |values: &[f64]| {
            let mut levels = values.to_vec();
            levels.sort_by(f64::total_cmp);
            levels.dedup();
            levels
        };
        let conditions = levels(&condition);
        let means = |keep: &dyn Fn(usize) -> bool| {
            Matrix::from_fn(conditions.len(), shape[1], |c, column| {
                let rows_of: Vec<usize> = (0..shape[0]).filter(|&row| condition[row] == conditions[c] && keep(row)).collect();
                rows_of.iter().map(|&row| rows.row(row)[column]).sum::<f64>() / rows_of.len() as f64
            })
        };
        let all = means(&|_| true);
        let precision = Matrix::new(shape[1], shape[1], list("noise_precision")).unwrap();
        let folds: Vec<Matrix> = levels(&run).iter().map(|fold| means(&|row| run[row] == *fold)).collect();
        for (name, found) in [
            ("correlation", correlation(&all).unwrap()),
            ("euclidean", euclidean(&all).unwrap()),
            ("mahalanobis", mahalanobis(&all, &precision).unwrap()),
            ("crossnobis", crossnobis(&folds, Some(&precision)).unwrap()),
        ] {
            let expected = list(name);
            assert_eq!(found.len(), expected.len());
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-10, "{name}: {worst}");
        }
    }
}
