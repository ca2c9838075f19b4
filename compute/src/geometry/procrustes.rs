//! The orthogonal Procrustes distance: how far two sets of features remain apart after the best rotation.

use super::canonical::nuclear_norm_of_cross;
use super::centred::Centred;
use super::same_samples;
use crate::statistics::sum;
use crate::{ComputeError, Matrix};

/// Two sets of features after the best rotation of one onto the other.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Procrustes {
    /// The nuclear norm of `XᵀY` with both sides centred and of unit Frobenius norm, 0–1: 1 when a rotation and a scale make them equal.
    pub similarity: f64,
    /// `2 − 2 · similarity`: the squared distance of the unit-norm sides after rotation, 0–2.
    pub distance: f64,
    /// `arccos(similarity)`, radians, 0–π/2: a metric (Williams et al. 2021).
    pub angle: f64,
}

/// The Procrustes similarity, distance and angle of `x [sample × feature]` and `y [sample × feature]`; none where a side is constant.
///
/// `scipy.spatial.procrustes` reports another number, `1 − similarity²`.
///
/// # Errors
/// Rows that differ in number, fewer than 2 samples, values that are not finite.
pub fn procrustes(x: &Matrix, y: &Matrix) -> Result<Option<Procrustes>, ComputeError> {
    let operation = "procrustes distance";
    same_samples(operation, x, y)?;
    let (Some(x), Some(y)) = (Centred::of(operation, x)?, Centred::of(operation, y)?) else { return Ok(None) };
    let norm = |side: &Centred<'_>| sum(&side.squared_rows()).sqrt();
    let (norm_x, norm_y) = (norm(&x), norm(&y));
    let similarity = (nuclear_norm_of_cross(&x.to_matrix(), &y.to_matrix())? / (norm_x * norm_y)).clamp(0.0, 1.0);
    Ok(Some(Procrustes { similarity, distance: 2.0 - 2.0 * similarity, angle: similarity.acos() }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::factor::thin_svd;
    use crate::golden::{Case, close, normal_matrix, same_on_any_threads};
    use crate::product::gemm;

    #[test]
    fn distances_match_numpy_for_tall_wide_and_small_inputs() {
        if let Some(case) = Case::open("similarity/cka_cca") {
            close(procrustes(&case.matrix("A"), &case.matrix("B")).unwrap().unwrap().distance, case.number("procrustes"), 1e-9);
        }
        for name in ["small", "tall", "wide"] {
            let Some(case) = Case::open(&format!("more/similarity/subspace_{name}")) else { return };
            let found = procrustes(&case.matrix("in_A"), &case.matrix("in_B")).unwrap().unwrap();
            close(found.distance, case.expected()["values"]["procrustes"].as_f64().unwrap(), 1e-9);
            close(found.angle, case.expected()["values"]["procrustes_angular"].as_f64().unwrap(), 1e-9);
        }
    }

    #[test]
    fn a_rotation_and_a_scale_are_no_distance_and_constants_have_none() {
        let x = normal_matrix(1, 30, 5);
        let rotation = thin_svd(&normal_matrix(2, 5, 5)).unwrap().u;
        let turned = gemm(&x, &rotation).unwrap().map(|value| 1e200 * (2.5 * value - 1.0));
        let found = procrustes(&x, &turned).unwrap().unwrap();
        close(found.similarity, 1.0, 1e-12);
        assert!(found.distance < 1e-12);
        assert_eq!(procrustes(&x, &Matrix::zeros(30, 2)).unwrap(), None);
        assert!(procrustes(&x, &Matrix::zeros(29, 2)).is_err());
        same_on_any_threads(|| vec![procrustes(&x, &normal_matrix(3, 30, 90)).unwrap().unwrap().angle]);
    }
}
