//! Functions of many small symmetric matrices, with memory that is used again.

use faer::diag::DiagMut;
use faer::dyn_stack::{MemBuffer, MemStack};
use faer::linalg::evd::{ComputeEigenvectors, self_adjoint_evd, self_adjoint_evd_scratch};
use faer::{MatMut, Par};
use rayon::prelude::*;

use crate::product::{multiply, multiply_add_to};
use crate::{ComputeError, Matrix, MatrixRef};

/// Matrices in one part of the work: the border between what is added first and later follows from it, whatever the number of threads.
pub(super) const PART: usize = 16;

/// Eigenvalues and eigenvectors of matrices of one size.
pub(super) struct Spectral {
    size: usize,
    /// Ascending.
    pub(super) values: Vec<f64>,
    /// Row `i` is eigenvector `i`.
    pub(super) vectors: Vec<f64>,
    half: Vec<f64>,
    memory: MemBuffer,
}

impl Spectral {
    pub(super) fn new(size: usize) -> Spectral {
        let memory = MemBuffer::new(self_adjoint_evd_scratch::<f64>(size.max(1), ComputeEigenvectors::Yes, Par::Seq, Default::default()));
        Spectral { size, values: vec![0.0; size], vectors: vec![0.0; size * size], half: vec![0.0; size * size], memory }
    }

    /// Eigenvalues, and vectors when they are asked for, of a symmetric matrix whose lower triangle counts.
    pub(super) fn decompose(&mut self, matrix: &[f64], with_vectors: bool) -> Result<(), ComputeError> {
        let size = self.size;
        if size == 0 {
            return Ok(());
        }
        let vectors = with_vectors.then(|| MatMut::from_column_major_slice_mut(&mut self.vectors, size, size));
        self_adjoint_evd(
            MatrixRef::new(size, size, matrix)?.faer(),
            DiagMut::from_slice_mut(&mut self.values),
            vectors,
            Par::Seq,
            MemStack::new(&mut self.memory),
            Default::default(),
        )
        .map_err(|_| ComputeError::NoConvergence { operation: "eigenvalues", rows: size, columns: size })
    }

    /// Adds `V diag(f(values)) Vᵀ` to `target`.
    pub(super) fn add_function(&mut self, function: impl Fn(f64) -> f64, target: &mut [f64]) -> Result<(), ComputeError> {
        if self.size == 0 {
            return Ok(());
        }
        let (size, half) = (self.size, &mut self.half);
        for ((scaled, vector), value) in half.chunks_exact_mut(size).zip(self.vectors.chunks_exact(size)).zip(&self.values) {
            let factor = function(*value);
            scaled.iter_mut().zip(vector).for_each(|(scaled, component)| *scaled = factor * component);
        }
        let (scaled, vectors) = (MatrixRef::new(size, size, half)?, MatrixRef::new(size, size, &self.vectors)?);
        multiply_add_to(scaled.t(), vectors, target);
        Ok(())
    }
}

/// `W C W` for a symmetric `W`, into `target`; `half` is room of the same size.
pub(super) fn congruence(whitener: &Matrix, covariance: &Matrix, half: &mut [f64], target: &mut [f64]) -> Result<(), ComputeError> {
    let size = whitener.rows();
    if size == 0 {
        return Ok(());
    }
    multiply(whitener.view(), covariance.view(), half);
    multiply(MatrixRef::new(size, size, half)?, whitener.view(), target);
    Ok(())
}

/// Calls `work` for each matrix in parts, with a decomposition and room for each part, over the threads of the pool; the answers are in the order of
/// the parts.
pub(super) fn in_parts<T: Send>(
    covariances: &[&Matrix],
    work: impl Fn(&[&Matrix], &mut Spectral, &mut [f64], &mut [f64]) -> Result<T, ComputeError> + Sync,
) -> Result<Vec<T>, ComputeError> {
    let size = covariances.first().map_or(0, |matrix| matrix.rows());
    let one = |part: &[&Matrix]| {
        let (mut spectral, mut half, mut whole) = (Spectral::new(size), vec![0.0; size * size], vec![0.0; size * size]);
        work(part, &mut spectral, &mut half, &mut whole)
    };
    // All are worked on before the first error by order is the answer, whichever thread came to it first.
    let parts: Vec<Result<T, ComputeError>> = covariances.par_chunks(PART).map(one).collect();
    parts.into_iter().collect()
}

/// Refuses an eigenvalue that is not above what rounding leaves of the largest; the values ascend.
pub(super) fn require_positive(operation: &'static str, values: &[f64]) -> Result<(), ComputeError> {
    let (Some(&least), Some(&largest)) = (values.first(), values.last()) else { return Ok(()) };
    if least > values.len() as f64 * f64::EPSILON * largest && largest.is_finite() {
        return Ok(());
    }
    let reason = format!(
        "a covariance of {} channels is not positive definite: its eigenvalues lie from {least:.3e} to {largest:.3e}; \
         use more samples, shrink it, or leave out channels that are combinations of others",
        values.len()
    );
    Err(ComputeError::value(operation, reason))
}

/// Refuses matrices that are not square, of one size, finite and symmetric, and no matrices at all; gives the size.
pub(super) fn require_covariances(operation: &'static str, covariances: &[&Matrix]) -> Result<usize, ComputeError> {
    let Some(first) = covariances.first() else { return Err(ComputeError::shape(operation, "there are no covariances")) };
    for matrix in covariances {
        if matrix.shape() != (first.rows(), first.rows()) {
            let reason = format!(
                "a matrix is {} × {}, the first has {} rows; all are square and of one size",
                matrix.rows(),
                matrix.cols(),
                first.rows()
            );
            return Err(ComputeError::shape(operation, reason));
        }
        crate::factor::symmetric(operation, matrix)?;
    }
    Ok(first.rows())
}
