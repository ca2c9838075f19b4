//! Dissimilarities between condition means, as rsatoolbox computes them: squared distances are divided by the number of channels.

use crate::failure::numerical;
use neuroflow_compute::Matrix;
use neuroflow_compute::factor::Cholesky;
use neuroflow_compute::geometry::{correlation_distances, cosine_distances, euclidean_distances};
use neuroflow_compute::statistics::ledoit_wolf;
use neuroflow_stage::StageError;

/// 1 − Pearson correlation over channels. A condition that does not vary over channels has no correlation.
pub(crate) fn correlation(means: &Matrix) -> Result<Vec<f64>, StageError> {
    let none = "a condition's mean is the same in all units: it has no correlation; use `measure = euclidean`";
    defined(correlation_distances(means).map_err(numerical)?, none)
}

/// 1 − cosine of the angle. A condition without activity has no direction.
pub(crate) fn cosine(means: &Matrix) -> Result<Vec<f64>, StageError> {
    let none = "a condition's mean is zero in all units: it has no direction; use `measure = euclidean`";
    defined(cosine_distances(means).map_err(numerical)?, none)
}

/// Mean squared difference over channels.
pub(crate) fn euclidean(means: &Matrix) -> Result<Vec<f64>, StageError> {
    let huge = "the squared distances pass the largest number; bring the responses to a smaller scale first";
    defined(euclidean_distances(means).map_err(numerical)?, huge)
}

/// The covariance of the noise from residuals `[row × channel]`, shrunk after Ledoit & Wolf.
pub(crate) fn noise_covariance(residuals: &Matrix) -> Result<Matrix, StageError> {
    Ok(ledoit_wolf(residuals).map_err(numerical)?.covariance)
}

/// Its Cholesky factor.
pub(crate) fn noise_factor(residuals: &Matrix) -> Result<Cholesky, StageError> {
    Cholesky::new(&noise_covariance(residuals)?).map_err(numerical)
}

/// Refuses what is not defined.
pub(crate) fn defined(values: Vec<f64>, otherwise: &str) -> Result<Vec<f64>, StageError> {
    if values.iter().all(|value| value.is_finite()) { Ok(values) } else { Err(StageError::refused(otherwise)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use neuroflow_compute::geometry::mahalanobis_distances;

    #[test]
    fn dissimilarities_are_those_of_rsatoolbox() {
        let Some((shape, values)) = golden::array("rdm", "measurements") else { return };
        let rows = Matrix::new(shape[0], shape[1], values).unwrap();
        let list = |name: &str| golden::array("rdm", name).unwrap().1;
        let condition = list("condition");
        let mut conditions = condition.clone();
        conditions.sort_by(f64::total_cmp);
        conditions.dedup();
        let all = Matrix::from_fn(conditions.len(), shape[1], |c, column| {
            let rows_of: Vec<usize> = (0..shape[0]).filter(|&row| condition[row] == conditions[c]).collect();
            rows_of.iter().map(|&row| rows.row(row)[column]).sum::<f64>() / rows_of.len() as f64
        });
        let precision = Matrix::new(shape[1], shape[1], list("noise_precision")).unwrap();
        let noise = Cholesky::new(&Cholesky::new(&precision).unwrap().inverse().unwrap()).unwrap();
        for (name, found) in [
            ("correlation", correlation(&all).unwrap()),
            ("euclidean", euclidean(&all).unwrap()),
            ("mahalanobis", mahalanobis_distances(&all, &noise).unwrap()),
        ] {
            let expected = list(name);
            assert_eq!(found.len(), expected.len());
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-10, "{name}: {worst}");
        }
        assert!(correlation(&Matrix::zeros(3, 4)).unwrap_err().to_string().contains("euclidean"));
        assert!(cosine(&Matrix::zeros(3, 4)).is_err());
    }
}
