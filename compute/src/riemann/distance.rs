//! The affine-invariant distance between covariances, and the classifier that takes the nearest mean.

use super::mean::{geometric_mean, roots};
use super::spectral::{Spectral, congruence, in_parts, require_covariances, require_positive};
use crate::{ComputeError, Matrix};

/// `√Σ ln² λ` over the eigenvalues of `A⁻¹ B` (Förstner & Moonen 1999). Refuses sizes that differ and matrices that are not positive definite.
pub fn riemannian_distance(a: &Matrix, b: &Matrix) -> Result<f64, ComputeError> {
    let size = require_covariances("distance of covariances", &[a, b])?;
    let (_, whitener) = roots(a, &mut Spectral::new(size))?;
    Ok(distances(&[b], &whitener)?.first().map_or(0.0, |square| square.sqrt()))
}

/// Squared distances of covariances from the one that `whitener` makes the identity.
fn distances(covariances: &[&Matrix], whitener: &Matrix) -> Result<Vec<f64>, ComputeError> {
    let parts = in_parts(covariances, |part, spectral, half, whole| {
        part.iter()
            .map(|matrix| {
                congruence(whitener, matrix, half, whole)?;
                spectral.decompose(whole, false)?;
                require_positive("distance of covariances", &spectral.values)?;
                Ok(spectral.values.iter().map(|value| value.ln() * value.ln()).sum())
            })
            .collect::<Result<Vec<f64>, ComputeError>>()
    })?;
    Ok(parts.concat())
}

/// Minimum distance to the mean (Barachant et al. 2012): each class has its geometric mean, and a trial belongs to the nearest.
#[derive(Debug, Clone)]
pub struct MinimumDistance {
    whiteners: Vec<Matrix>,
    means: Vec<Matrix>,
}

impl MinimumDistance {
    /// The geometric mean of each class. `starts` are guesses, one a class, that only change how long it takes; the arithmetic means when there are
    /// none.
    ///
    /// Refuses a class without trials, and matrices that are not positive definite.
    pub fn fit(covariances: &[&Matrix], labels: &[usize], n_classes: usize, starts: &[Matrix]) -> Result<MinimumDistance, ComputeError> {
        crate::error::same_length("minimum distance", covariances.len(), labels.len())?;
        let means = (0..n_classes)
            .map(|class| {
                let members: Vec<&Matrix> =
                    covariances.iter().zip(labels).filter(|(_, label)| **label == class).map(|(matrix, _)| *matrix).collect();
                if members.is_empty() {
                    return Err(ComputeError::value("minimum distance", format!("class {class} has no trials")));
                }
                geometric_mean(&members, starts.get(class))
            })
            .collect::<Result<Vec<Matrix>, ComputeError>>()?;
        let whiteners =
            means.iter().map(|mean| Ok(roots(mean, &mut Spectral::new(mean.rows()))?.1)).collect::<Result<_, ComputeError>>()?;
        Ok(MinimumDistance { whiteners, means })
    }

    /// The mean of each class.
    pub fn means(&self) -> &[Matrix] {
        &self.means
    }

    /// Squared distances `[trial × class]`; the class of least distance is the answer. Refuses matrices of another size or that are not positive
    /// definite.
    pub fn squared_distances(&self, covariances: &[&Matrix]) -> Result<Matrix, ComputeError> {
        if let (Some(first), Some(_)) = (self.means.first(), covariances.first()) {
            require_covariances("minimum distance", &[std::slice::from_ref(&first), covariances].concat())?;
        }
        let by_class = self.whiteners.iter().map(|whitener| distances(covariances, whitener)).collect::<Result<Vec<_>, _>>()?;
        Ok(Matrix::from_fn(covariances.len(), self.means.len(), |trial, class| by_class[class][trial]))
    }
}

#[cfg(test)]
mod tests {
    use super::super::CovarianceEstimator;
    use super::super::covariance::tests::{covariances, reference};
    use super::super::mean::tests::{random_covariances, refs};
    use super::*;
    use crate::golden::{close, same_on_any_threads};
    use crate::product::{gemm, gemm_nt};

    #[test]
    fn the_nearest_mean_is_that_of_pyriemann() {
        let Some((case, trials, labels)) = reference() else { return };
        let all = covariances(&trials, CovarianceEstimator::OracleApproximating);
        let half = all.len() / 2;
        let fitted = MinimumDistance::fit(&refs(&all[..half]), &labels[..half], 2, &[]).unwrap();
        let found = fitted.squared_distances(&refs(&all[half..])).unwrap();
        let nearest: Vec<usize> = found.row_iter().map(|row| usize::from(row[1] < row[0])).collect();
        assert_eq!(nearest, case.labels("mdm_pred"));
    }

    #[test]
    fn the_distance_is_a_distance_that_mixing_does_not_change() {
        let matrices = random_covariances(1, 3, 5);
        let [a, b, c] = &matrices[..] else { panic!() };
        let distance = |x: &Matrix, y: &Matrix| riemannian_distance(x, y).unwrap();
        close(distance(a, a), 0.0, 1e-7);
        close(distance(a, b), distance(b, a), 1e-12);
        assert!(distance(a, c) < distance(a, b) + distance(b, c));
        let mixing = crate::golden::normal_matrix(9, 5, 5);
        let mixed = |matrix: &Matrix| {
            let mut mixed = gemm_nt(&gemm(&mixing, matrix).unwrap(), &mixing).unwrap();
            super::super::mean::symmetrise(&mut mixed);
            mixed
        };
        close(distance(&mixed(a), &mixed(b)), distance(a, b), 1e-8);
        // The distance of I and e I is √n.
        close(distance(&Matrix::identity(4), &Matrix::identity(4).map(|value| value * std::f64::consts::E)), 2.0, 1e-12);
    }

    #[test]
    fn bad_input_is_refused_and_threads_change_nothing() {
        let matrices = random_covariances(2, 60, 6);
        let labels: Vec<usize> = (0..60).map(|trial| trial % 3).collect();
        let fit = || MinimumDistance::fit(&refs(&matrices), &labels, 3, &[]).unwrap();
        same_on_any_threads(|| fit().squared_distances(&refs(&matrices)).unwrap().into_values());
        assert!(MinimumDistance::fit(&refs(&matrices), &labels, 4, &[]).unwrap_err().to_string().contains("class 3 has no trials"));
        assert!(MinimumDistance::fit(&refs(&matrices), &labels[1..], 3, &[]).is_err());
        assert!(fit().squared_distances(&[&Matrix::identity(5)]).is_err());
        assert_eq!(fit().squared_distances(&[]).unwrap().shape(), (0, 3));
        assert!(riemannian_distance(&Matrix::identity(3), &Matrix::zeros(3, 3)).is_err());
    }
}
