//! Core consistency: whether the components of a decomposition stand on their own.

use super::Decomposition;
use crate::factor::thin_svd;
use crate::product::gemm;
use crate::tensor::TensorRef;
use crate::{ComputeError, Matrix};

/// The core consistency diagnostic of a three-way decomposition in percent (Bro & Kiers 2003, eq. 3): 100 when the tensor in the space of the factors is the
/// superdiagonal that the model claims, near 0 or below when components share what a Tucker core would say with cross terms, a sign of too many of them.
///
/// The core is `G = X ×₁ A⁺ ×₂ B⁺ ×₃ C⁺` with λ in the first factor, pseudo-inverses by the singular value decomposition. Always 100 at rank 1. Refuses other
/// than three modes and factors that don't fit.
pub fn core_consistency(tensor: TensorRef<'_>, found: &Decomposition) -> Result<f64, ComputeError> {
    let Ok(shape) = <[usize; 3]>::try_from(tensor.shape()) else {
        return Err(ComputeError::shape("core consistency", format!("{} modes; it is for three", tensor.shape().len())));
    };
    let rank = found.weights.len();
    let fits = found.factors.len() == 3 && found.factors.iter().zip(shape).all(|(factor, size)| factor.shape() == (size, rank));
    if !fits {
        return Err(ComputeError::shape("core consistency", format!("factors of rank {rank} don't fit a tensor of shape {shape:?}")));
    }
    if rank < 2 {
        return Ok(100.0);
    }
    let mut first = found.factors[0].clone();
    super::scale_columns(&mut first, &found.weights);
    let [a, b, c] = [pseudo_inverse(&first)?, pseudo_inverse(&found.factors[1])?, pseudo_inverse(&found.factors[2])?];
    // [i · j, k] · C⁺ᵀ, then A⁺ · [i, j · r], then B⁺ on each slice.
    let by_last = crate::MatrixRef::new(shape[0] * shape[1], shape[2], tensor.values())?;
    let last = gemm(by_last, c.t())?;
    let by_first = crate::MatrixRef::new(shape[0], shape[1] * rank, last.values())?;
    let both = gemm(&a, by_first)?;
    let mut distance = 0.0;
    for p in 0..rank {
        let slice = crate::MatrixRef::new(shape[1], rank, both.row(p))?;
        let core = gemm(&b, slice)?;
        for q in 0..rank {
            for r in 0..rank {
                let ideal = f64::from(p == q && q == r);
                distance += (core[(q, r)] - ideal) * (core[(q, r)] - ideal);
            }
        }
    }
    Ok(100.0 * (1.0 - distance / rank as f64))
}

/// `V Σ⁺ Uᵀ`, singular values below a rounding error of the largest left out.
fn pseudo_inverse(matrix: &Matrix) -> Result<Matrix, ComputeError> {
    let svd = thin_svd(matrix)?;
    let largest = svd.values.iter().copied().fold(0.0, f64::max);
    let least = largest * matrix.rows().max(matrix.cols()) as f64 * f64::EPSILON;
    let inverse: Vec<f64> = svd.values.iter().map(|value| if *value > least { 1.0 / value } else { 0.0 }).collect();
    let scaled = Matrix::from_fn(svd.u.rows(), svd.u.cols(), |row, column| svd.u[(row, column)] * inverse[column]);
    gemm(&svd.v, scaled.t())
}

#[cfg(test)]
mod tests {
    use super::super::{Entries, Hals, Stopping, hals};
    use super::*;
    use crate::random::Stream;
    use crate::tensor::reconstruct;

    #[test]
    fn the_planted_rank_is_consistent_and_a_higher_one_is_not() {
        let mut stream = Stream::new(3);
        let planted: Vec<Matrix> = [10, 9, 8].iter().map(|&size| Matrix::from_fn(size, 3, |_, _| stream.exponential())).collect();
        let values: Vec<f64> = reconstruct(&planted).unwrap().into_iter().map(|value| value + 0.05 * stream.uniform()).collect();
        let tensor = TensorRef::new(&[10, 9, 8], &values).unwrap();
        let consistency = |rank| {
            let stopping = Stopping { sweeps: 1000, tolerance: 1e-10 };
            let runs = (0..3).map(|start| hals(Entries::Dense(tensor), rank, Hals::default(), stopping, Stream::new(start)).unwrap());
            let best = runs.min_by(|a, b| a.relative_error.total_cmp(&b.relative_error)).unwrap();
            core_consistency(tensor, &best).unwrap()
        };
        assert_eq!(consistency(1), 100.0);
        assert!(consistency(3) > 95.0, "{}", consistency(3));
        assert!(consistency(5) < 50.0, "{}", consistency(5));
        let found = hals(Entries::Dense(tensor), 2, Hals::default(), Stopping { sweeps: 2, tolerance: 0.0 }, Stream::new(1)).unwrap();
        assert!(core_consistency(TensorRef::new(&[90, 8], &values).unwrap(), &found).is_err());
        assert!(core_consistency(TensorRef::new(&[9, 10, 8], &values).unwrap(), &found).is_err());
    }
}
