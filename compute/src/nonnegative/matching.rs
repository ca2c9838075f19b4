//! Which components of two decompositions belong together, and how alike they are.

use super::column_norms;
use crate::product::gemm_tn;
use crate::statistics::assign;
use crate::{ComputeError, Matrix};

/// A pairing of the components of two decompositions.
#[derive(Debug, Clone, PartialEq)]
pub struct Match {
    /// The mean over components of the product of the cosines of all modes: 1 when both are the same, 0 when nothing overlaps. Components without a partner count as 0.
    pub score: f64,
    /// For each component of the first its partner in the second; none when the second has fewer.
    pub partners: Vec<Option<usize>>,
    /// For each component of the first the product of cosines with its partner; 0 without one.
    pub cosines: Vec<f64>,
}

/// Pairs components so that the mean of the products of cosines over modes is largest (factor match score without weights: Acar, Dunlavy, Kolda & Mørup 2011, section 4.1;
/// pairing by the Hungarian method).
///
/// `a` and `b` have one factor `[size × rank]` a mode. Refuses different numbers of modes or sizes; ranks may differ. No components on either side match
/// with a score of 1.
pub fn match_components(a: &[Matrix], b: &[Matrix]) -> Result<Match, ComputeError> {
    let (rank, columns) = (a.first().map_or(0, Matrix::cols), b.first().map_or(0, Matrix::cols));
    let fits = a.len() == b.len() && a.iter().zip(b).all(|(a, b)| a.rows() == b.rows() && a.cols() == rank && b.cols() == columns);
    if !fits {
        let sizes = |factors: &[Matrix]| factors.iter().map(Matrix::shape).collect::<Vec<_>>();
        return Err(ComputeError::shape("factor match", format!("factors of sizes {:?} and {:?}", sizes(a), sizes(b))));
    }
    if rank == 0 || columns == 0 {
        let score = if rank == columns { 1.0 } else { 0.0 };
        return Ok(Match { score, partners: vec![None; rank], cosines: vec![0.0; rank] });
    }
    let mut products = Matrix::from_fn(rank, columns, |_, _| 1.0);
    for (left, right) in a.iter().zip(b) {
        let (left_norms, right_norms) = (column_norms(left), column_norms(right));
        let inner = gemm_tn(left, right)?;
        for i in 0..rank {
            for j in 0..columns {
                let norms = left_norms[i] * right_norms[j];
                products[(i, j)] *= if norms > 0.0 { inner[(i, j)] / norms } else { 0.0 };
            }
        }
    }
    let partners = assign(&Matrix::from_fn(rank, columns, |i, j| -products[(i, j)]))?.columns;
    let cosines: Vec<f64> = partners.iter().enumerate().map(|(i, partner)| partner.map_or(0.0, |j| products[(i, j)])).collect();
    Ok(Match { score: cosines.iter().sum::<f64>() / rank.max(columns) as f64, partners, cosines })
}

/// The score of [`match_components`].
pub fn factor_match(a: &[Matrix], b: &[Matrix]) -> Result<f64, ComputeError> {
    match_components(a, b).map(|found| found.score)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{close, normal_matrix};

    #[test]
    fn permuted_and_scaled_components_are_the_same_and_missing_ones_cost() {
        let factors: Vec<Matrix> = [7, 5, 6].iter().map(|&size| normal_matrix(size as u64, size, 3).map(f64::abs)).collect();
        let mut other: Vec<Matrix> = factors.iter().map(|factor| factor.take_columns(&[2, 0, 1])).collect();
        super::super::scale_columns(&mut other[1], &[2.0, 0.1, 7.0]);
        let found = match_components(&factors, &other).unwrap();
        close(found.score, 1.0, 1e-12);
        assert_eq!(found.partners, [Some(1), Some(2), Some(0)]);
        let fewer: Vec<Matrix> = factors.iter().map(|factor| factor.take_columns(&[1])).collect();
        close(factor_match(&factors, &fewer).unwrap(), 1.0 / 3.0, 1e-12);
        close(factor_match(&fewer, &factors).unwrap(), 1.0 / 3.0, 1e-12);
        assert_eq!(match_components(&factors, &fewer).unwrap().partners, [None, Some(0), None]);
        assert!(factor_match(&factors, &factors[..2]).is_err());
        // A column of zeros has no direction.
        close(factor_match(&[Matrix::zeros(4, 1)], &[normal_matrix(1, 4, 1)]).unwrap(), 0.0, 1e-15);
    }
}
