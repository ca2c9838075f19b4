//! Factorisations of matrices, on faer's sequential kernels: the same bytes whatever the number of threads.
//!
//! All refuse values that are not finite. Signs of eigenvectors and singular vectors, which no definition fixes, are chosen so that the component of
//! largest magnitude (the first of equals) is positive.

mod cholesky;
mod eigen;
mod svd;

pub use cholesky::Cholesky;
pub use eigen::{Eigen, generalised_eigen, pseudo_inverse_psd, symmetric_eigen, symmetric_function};
pub use svd::{LeastSquares, Svd, least_squares, thin_svd};

use crate::error::finite;
use crate::{ComputeError, Matrix};

/// Refuses a matrix that is not square, finite and symmetric up to rounding (1e-8 of its largest element).
pub(crate) fn symmetric(operation: &'static str, matrix: &Matrix) -> Result<(), ComputeError> {
    let (rows, cols) = matrix.shape();
    if rows != cols {
        return Err(ComputeError::shape(operation, format!("the matrix is {rows} × {cols}; it must be square")));
    }
    finite(operation, matrix.values())?;
    let largest = matrix.values().iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
    for row in 0..rows {
        for column in 0..row {
            let (value, mirrored) = (matrix[(row, column)], matrix[(column, row)]);
            if (value - mirrored).abs() > 1e-8 * largest {
                return Err(ComputeError::NotSymmetric { operation, row, column, value, mirrored });
            }
        }
    }
    Ok(())
}

/// −1 where the component of largest magnitude is negative, else 1.
fn sign_of_largest(components: impl Iterator<Item = f64>) -> f64 {
    let largest = components.fold(0.0f64, |largest, component| if component.abs() > largest.abs() { component } else { largest });
    if largest < 0.0 { -1.0 } else { 1.0 }
}
