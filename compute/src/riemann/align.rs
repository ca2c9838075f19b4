//! Euclidean alignment: recordings of different sessions or people brought to one mean covariance.

use super::mean::{euclidean_mean, roots, symmetrise};
use super::spectral::{Spectral, require_covariances};
use crate::product::gemm;
use crate::{ComputeError, Matrix, MatrixRef};

/// `X̃ = R̄^−½ X` with the mean covariance `R̄` of a recording's trials (He & Wu 2020, eq. 9–10): after it the mean covariance is the identity. Needs
/// no labels.
#[derive(Debug, Clone, PartialEq)]
pub struct EuclideanAlignment {
    whitener: Matrix,
}

impl EuclideanAlignment {
    /// Learns from the covariances of a recording's trials. Refuses no trials, and a mean that is not positive definite.
    pub fn fit(covariances: &[&Matrix]) -> Result<EuclideanAlignment, ComputeError> {
        let size = require_covariances("alignment", covariances)?;
        let (_, whitener) = roots(&euclidean_mean(covariances)?, &mut Spectral::new(size))?;
        Ok(EuclideanAlignment { whitener })
    }

    /// The covariance of an aligned trial. Refuses another size.
    pub fn covariance(&self, covariance: &Matrix) -> Result<Matrix, ComputeError> {
        let mut aligned = gemm(&gemm(&self.whitener, covariance)?, &self.whitener)?;
        symmetrise(&mut aligned);
        Ok(aligned)
    }

    /// An aligned trial `[channel × sample]`. Refuses another number of channels.
    pub fn trial(&self, trial: MatrixRef<'_>) -> Result<Matrix, ComputeError> {
        gemm(&self.whitener, trial)
    }
}

#[cfg(test)]
mod tests {
    use super::super::mean::tests::{random_covariances, refs};
    use super::*;
    use crate::golden::{all_close, normal_matrix};
    use crate::product::gram_of_rows;

    #[test]
    fn aligned_trials_have_the_identity_as_their_mean_and_both_ways_agree() {
        let trials: Vec<Matrix> = (0..20).map(|seed| gemm(&normal_matrix(99, 4, 4), &normal_matrix(seed, 4, 50)).unwrap()).collect();
        let covariances: Vec<Matrix> = trials.iter().map(gram_of_rows).collect();
        let alignment = EuclideanAlignment::fit(&refs(&covariances)).unwrap();
        let aligned: Vec<Matrix> = covariances.iter().map(|covariance| alignment.covariance(covariance).unwrap()).collect();
        all_close(euclidean_mean(&refs(&aligned)).unwrap().values(), Matrix::identity(4).values(), 1e-10);
        all_close(gram_of_rows(&alignment.trial(trials[3].view()).unwrap()).values(), aligned[3].values(), 1e-10);
    }

    #[test]
    fn bad_input_is_refused() {
        assert!(EuclideanAlignment::fit(&[]).is_err() && EuclideanAlignment::fit(&[&Matrix::zeros(2, 2)]).is_err());
        let alignment = EuclideanAlignment::fit(&refs(&random_covariances(1, 5, 3))).unwrap();
        assert!(alignment.covariance(&Matrix::identity(2)).is_err() && alignment.trial(Matrix::zeros(2, 5).view()).is_err());
    }
}
