//! Common spatial patterns: filters over channels whose power differs most between classes.

use super::joint::joint_diagonaliser;
use super::mean::{euclidean_mean, symmetrise};
use super::spectral::require_covariances;
use crate::factor::symmetric_eigen;
use crate::product::{gemm, gemm_nt, inner};
use crate::{ComputeError, Matrix};

/// Directions with less than this share of the largest variance are no directions of the data.
const RANK_TOLERANCE: f64 = 1e-10;

/// Spatial filters (Koles, Lazar & Zhou 1990; Ramoser, Müller-Gerking & Pfurtscheller 2000), as MNE-Python's `CSP` with its defaults.
///
/// Two classes: the generalised eigenvectors of `C₁ w = μ (C₁ + C₂) w`, those with μ farthest from ½ first. More classes: approximate joint
/// diagonalisation, filters in the order of their mutual information with the class (Grosse-Wentrup & Buss 2008). Where channels are combinations of
/// others, as after an average reference, filters lie in the space that they span.
#[derive(Debug, Clone, PartialEq)]
pub struct CommonSpatialPatterns {
    /// `[component × channel]`.
    pub filters: Matrix,
}

impl CommonSpatialPatterns {
    /// At most `components` filters, no more than the rank of the data, from the mean covariance of each class and the weight of each, its number of
    /// trials.
    ///
    /// Refuses fewer than two classes, no components, sizes that differ, matrices that are not symmetric, and classes without any variance.
    pub fn fit(class_covariances: &[Matrix], weights: &[f64], components: usize) -> Result<CommonSpatialPatterns, ComputeError> {
        let operation = "common spatial patterns";
        require_covariances(operation, &class_covariances.iter().collect::<Vec<_>>())?;
        crate::error::same_length(operation, class_covariances.len(), weights.len())?;
        if class_covariances.len() < 2 || components == 0 {
            let reason = format!("{} classes and {components} components; at least 2 and 1 are needed", class_covariances.len());
            return Err(ComputeError::value(operation, reason));
        }
        if !weights.iter().all(|weight| *weight > 0.0 && weight.is_finite()) {
            return Err(ComputeError::value(operation, "a class has no trials"));
        }
        let (span, inside) = inside_span(operation, class_covariances)?;
        let filters = match &inside[..] {
            [first, _] => two_classes(first)?,
            _ => many_classes(&inside, weights)?,
        };
        let kept = filters.take_rows(&(0..filters.rows().min(components)).collect::<Vec<_>>());
        Ok(CommonSpatialPatterns { filters: gemm_nt(&kept, &span)? })
    }

    /// The logarithm of each component's power, `ln wᵀ C w` `[trial × component]`, from the trials' covariances. A power of zero counts as the least
    /// positive number. Refuses other sizes.
    pub fn log_power(&self, covariances: &[&Matrix]) -> Result<Matrix, ComputeError> {
        let mut features = Vec::with_capacity(covariances.len() * self.filters.rows());
        for covariance in covariances {
            let projected = gemm(&self.filters, *covariance)?;
            let power = self.filters.row_iter().zip(projected.row_iter()).map(|(filter, projected)| inner(filter, projected));
            features.extend(power.map(|power| power.max(f64::MIN_POSITIVE).ln()));
        }
        Matrix::new(covariances.len(), self.filters.rows(), features)
    }
}

/// A basis `[channel × rank]` in which the sum of the matrices is the identity, and the matrices in it.
fn inside_span(operation: &'static str, matrices: &[Matrix]) -> Result<(Matrix, Vec<Matrix>), ComputeError> {
    let mean = euclidean_mean(&matrices.iter().collect::<Vec<_>>())?;
    let eigen = symmetric_eigen(&mean.map(|value| value * matrices.len() as f64))?;
    let largest = eigen.values.last().copied().unwrap_or(0.0);
    let kept: Vec<usize> = (0..eigen.values.len()).filter(|&place| eigen.values[place] > RANK_TOLERANCE * largest).collect();
    if kept.is_empty() {
        return Err(ComputeError::value(operation, "no channel has any variance"));
    }
    let vectors = eigen.vectors.take_columns(&kept);
    let span = Matrix::from_fn(vectors.rows(), kept.len(), |row, column| vectors[(row, column)] / eigen.values[kept[column]].sqrt());
    let inside = matrices
        .iter()
        .map(|matrix| {
            let mut inside = gemm(&gemm(span.t(), matrix)?, &span)?;
            symmetrise(&mut inside);
            Ok(inside)
        })
        .collect::<Result<_, ComputeError>>()?;
    Ok((span, inside))
}

/// Rows in the order of `|μ − ½|`, largest first: where the sum is the identity, μ are the eigenvalues of the first class' matrix.
fn two_classes(first: &Matrix) -> Result<Matrix, ComputeError> {
    let eigen = symmetric_eigen(first)?;
    let mut order: Vec<usize> = (0..eigen.values.len()).collect();
    order.sort_by(|&a, &b| (eigen.values[b] - 0.5).abs().total_cmp(&(eigen.values[a] - 0.5).abs()));
    Ok(eigen.vectors.take_columns(&order).transposed())
}

/// Rows in the order of mutual information, scaled to a mean power of 1 over the classes by their weights.
fn many_classes(inside: &[Matrix], weights: &[f64]) -> Result<Matrix, ComputeError> {
    let mut rows = joint_diagonaliser(inside)?;
    let total: f64 = weights.iter().sum();
    let power = |row: &[f64], matrix: &Matrix| {
        Ok::<f64, ComputeError>(inner(row, gemm(matrix, crate::MatrixRef::new(row.len(), 1, row)?)?.values()))
    };
    let mut information = Vec::with_capacity(rows.rows());
    for place in 0..rows.rows() {
        let powers = inside.iter().map(|matrix| power(rows.row(place), matrix)).collect::<Result<Vec<f64>, _>>()?;
        let mean: f64 = powers.iter().zip(weights).map(|(power, weight)| power * weight / total).sum();
        rows.row_mut(place).iter_mut().for_each(|value| *value /= mean.sqrt());
        let shares = || powers.iter().zip(weights).map(|(power, weight)| (power / mean, weight / total));
        let logarithm: f64 = shares().map(|(power, share)| share * power.sqrt().ln()).sum();
        let square: f64 = shares().map(|(power, share)| share * (power * power - 1.0)).sum();
        information.push(-(logarithm + 3.0 / 16.0 * square * square));
    }
    let mut order: Vec<usize> = (0..rows.rows()).collect();
    order.sort_by(|&a, &b| information[b].total_cmp(&information[a]));
    Ok(rows.take_rows(&order))
}

#[cfg(test)]
mod tests {
    use super::super::CovarianceEstimator;
    use super::super::covariance::tests::{covariances, reference};
    use super::super::mean::tests::refs;
    use super::*;
    use crate::golden::{all_close, close, normal_matrix};

    fn class_means(all: &[Matrix], labels: &[usize], n_classes: usize) -> (Vec<Matrix>, Vec<f64>) {
        (0..n_classes)
            .map(|class| {
                let members: Vec<&Matrix> =
                    all.iter().zip(labels).filter(|(_, label)| **label == class).map(|(matrix, _)| matrix).collect();
                (euclidean_mean(&members).unwrap(), members.len() as f64)
            })
            .unzip()
    }

    #[test]
    fn filters_and_features_are_those_of_mne() {
        let Some((case, trials, labels)) = reference() else { return };
        let all = covariances(&trials, CovarianceEstimator::SecondMoment);
        // MNE divides a class' sum of squares by one less than its number of samples.
        let (mut means, weights) = class_means(&all, &labels, 2);
        for (mean, weight) in means.iter_mut().zip(&weights) {
            let samples = weight * trials[0].cols() as f64;
            *mean = mean.clone().map(|value| value * samples / (samples - 1.0));
        }
        let fitted = CommonSpatialPatterns::fit(&means, &weights, 4).unwrap();
        let expected = case.matrix("csp_filters");
        for (filter, expected) in fitted.filters.row_iter().zip(expected.row_iter()) {
            let sign = inner(filter, expected).signum();
            all_close(&filter.iter().map(|value| sign * value).collect::<Vec<_>>(), expected, 1e-6);
        }
        all_close(fitted.log_power(&refs(&all)).unwrap().values(), case.matrix("csp_features").values(), 1e-6);
    }

    /// Covariances of three classes: in class c, source c is strong.
    fn planted(channels: usize) -> (Matrix, Vec<Matrix>) {
        let mixing = normal_matrix(3, channels, channels);
        let classes = (0..3)
            .map(|class| {
                let power = Matrix::from_fn(channels, channels, |row, column| {
                    if row != column {
                        0.0
                    } else if row == class {
                        6.0
                    } else {
                        1.0
                    }
                });
                let mut mixed = gemm_nt(&gemm(&mixing, &power).unwrap(), &mixing).unwrap();
                symmetrise(&mut mixed);
                mixed
            })
            .collect();
        (mixing, classes)
    }

    #[test]
    fn planted_sources_of_three_classes_are_the_first_filters() {
        let (mixing, classes) = planted(6);
        let fitted = CommonSpatialPatterns::fit(&classes, &[20.0, 20.0, 20.0], 3).unwrap();
        let response = gemm(&fitted.filters, &mixing).unwrap();
        let mut found: Vec<usize> =
            response.row_iter().map(|row| (0..6).max_by(|&a, &b| row[a].abs().total_cmp(&row[b].abs())).unwrap()).collect();
        found.sort_unstable();
        assert_eq!(found, [0, 1, 2]);
        // The mean power of each filter over the classes is 1.
        let mean = euclidean_mean(&refs(&classes)).unwrap();
        fitted.log_power(&[&mean]).unwrap().values().iter().for_each(|power| close(*power, 0.0, 1e-9));
    }

    #[test]
    fn an_average_reference_costs_a_component_and_nothing_else() {
        let (_, classes) = planted(5);
        let reference = Matrix::from_fn(5, 5, |row, column| f64::from(row == column) - 0.2);
        let referenced: Vec<Matrix> = classes
            .iter()
            .map(|matrix| {
                let mut referenced = gemm(&gemm(&reference, matrix).unwrap(), &reference).unwrap();
                symmetrise(&mut referenced);
                referenced
            })
            .collect();
        for n in [2, 3] {
            let fitted = CommonSpatialPatterns::fit(&referenced[..n], &[1.0; 3][..n], 9).unwrap();
            assert_eq!(fitted.filters.shape(), (4, 5));
            assert!(fitted.filters.values().iter().all(|value| value.is_finite()));
            fitted.filters.row_iter().for_each(|filter| close(filter.iter().sum(), 0.0, 1e-6));
        }
    }

    #[test]
    fn what_is_no_problem_is_refused() {
        let one = Matrix::identity(3);
        let pair = [one.clone(), one.clone()];
        assert!(CommonSpatialPatterns::fit(&pair[..1], &[1.0], 2).is_err() && CommonSpatialPatterns::fit(&pair, &[1.0, 1.0], 0).is_err());
        assert!(CommonSpatialPatterns::fit(&pair, &[1.0, 0.0], 2).is_err() && CommonSpatialPatterns::fit(&pair, &[1.0], 2).is_err());
        let nothing = [Matrix::zeros(3, 3), Matrix::zeros(3, 3)];
        assert!(CommonSpatialPatterns::fit(&nothing, &[1.0, 1.0], 2).unwrap_err().to_string().contains("no channel has any variance"));
        let fitted = CommonSpatialPatterns::fit(&pair, &[1.0, 1.0], 2).unwrap();
        assert!(fitted.log_power(&[&Matrix::identity(4)]).is_err());
        assert!(fitted.log_power(&[&Matrix::zeros(3, 3)]).unwrap().values().iter().all(|value| value.is_finite()));
    }
}
