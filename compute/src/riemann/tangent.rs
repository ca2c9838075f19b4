//! The tangent space at a reference: covariances as vectors in which linear methods work.

use super::mean::roots;
use super::spectral::{Spectral, congruence, in_parts, require_covariances, require_positive};
use crate::{ComputeError, Matrix};

/// The map of covariances to the tangent space at a reference, usually the geometric mean of the training trials (Barachant et al. 2012, eq. 14).
#[derive(Debug, Clone)]
pub struct TangentSpace {
    whitener: Matrix,
}

impl TangentSpace {
    /// The tangent space at a positive definite reference. Refuses another one.
    pub fn at(reference: &Matrix) -> Result<TangentSpace, ComputeError> {
        let size = require_covariances("tangent space", &[reference])?;
        Ok(TangentSpace { whitener: roots(reference, &mut Spectral::new(size))?.1 })
    }

    /// The upper triangles of `log(R^−½ C R^−½)`, row by row, elements off the diagonal times √2, so that lengths are distances from the reference:
    /// `[trial × channels (channels + 1) / 2]`. Refuses matrices of another size or that are not positive definite.
    pub fn vectors(&self, covariances: &[&Matrix]) -> Result<Matrix, ComputeError> {
        let size = self.whitener.rows();
        let length = size * (size + 1) / 2;
        if covariances.is_empty() {
            return Ok(Matrix::zeros(0, length));
        }
        require_covariances("tangent space", &[std::slice::from_ref(&&self.whitener), covariances].concat())?;
        let parts = in_parts(covariances, |part, spectral, half, whole| {
            let mut vectors = Vec::with_capacity(part.len() * length);
            for matrix in part {
                congruence(&self.whitener, matrix, half, whole)?;
                spectral.decompose(whole, true)?;
                require_positive("tangent space", &spectral.values)?;
                whole.fill(0.0);
                spectral.add_function(f64::ln, whole)?;
                for row in 0..size {
                    vectors.push(whole[row * size + row]);
                    vectors.extend(whole[row * size + row + 1..(row + 1) * size].iter().map(|value| std::f64::consts::SQRT_2 * value));
                }
            }
            Ok(vectors)
        })?;
        Matrix::new(covariances.len(), length, parts.concat())
    }
}

#[cfg(test)]
mod tests {
    use super::super::CovarianceEstimator;
    use super::super::covariance::tests::{covariances, reference};
    use super::super::mean::tests::{random_covariances, refs};
    use super::super::{geometric_mean, riemannian_distance};
    use super::*;
    use crate::golden::{all_close, close, same_on_any_threads};

    #[test]
    fn vectors_are_those_of_pyriemann() {
        let Some((case, trials, _)) = reference() else { return };
        let all = covariances(&trials, CovarianceEstimator::OracleApproximating);
        let space = TangentSpace::at(&geometric_mean(&refs(&all), None).unwrap()).unwrap();
        all_close(space.vectors(&refs(&all)).unwrap().values(), case.matrix("tangent").values(), 1e-6);
    }

    #[test]
    fn lengths_are_distances_and_at_the_mean_vectors_add_up_to_nothing() {
        let matrices = random_covariances(1, 30, 5);
        let mean = geometric_mean(&refs(&matrices), None).unwrap();
        let vectors = TangentSpace::at(&mean).unwrap().vectors(&refs(&matrices)).unwrap();
        for (vector, matrix) in vectors.row_iter().zip(&matrices) {
            close(crate::product::inner(vector, vector).sqrt(), riemannian_distance(&mean, matrix).unwrap(), 1e-9);
        }
        (0..vectors.cols()).for_each(|column| close(vectors.column(column).iter().sum(), 0.0, 1e-7));
        same_on_any_threads(|| TangentSpace::at(&mean).unwrap().vectors(&refs(&matrices)).unwrap().into_values());
    }

    #[test]
    fn bad_input_is_refused() {
        let space = TangentSpace::at(&Matrix::identity(3)).unwrap();
        assert_eq!(space.vectors(&[]).unwrap().shape(), (0, 6));
        assert_eq!(space.vectors(&[&Matrix::identity(3)]).unwrap(), Matrix::zeros(1, 6));
        assert!(space.vectors(&[&Matrix::identity(2)]).is_err() && space.vectors(&[&Matrix::zeros(3, 3)]).is_err());
        assert!(TangentSpace::at(&Matrix::zeros(3, 3)).is_err());
    }
}
