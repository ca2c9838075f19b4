//! What a kernel refuses, and why.

use thiserror::Error;

/// A refusal of a numerical function. The text names the operation, what is wrong with its input, and what would be right.
#[derive(Debug, Clone, PartialEq, Error)]
#[non_exhaustive]
pub enum ComputeError {
    /// Sizes that don't fit together.
    #[error("{operation}: {reason}")]
    Shape {
        /// The operation.
        operation: &'static str,
        /// The sizes found, and what would fit.
        reason: String,
    },
    /// A NaN or an infinity where the method needs finite numbers.
    #[error("{operation}: value {position} of the input is {value}; the method needs finite numbers, so drop or fill the gaps first")]
    NotFinite {
        /// The operation.
        operation: &'static str,
        /// Row-major position of the first such value.
        position: usize,
        /// The value.
        value: f64,
    },
    /// A value outside the range that the method is defined for.
    #[error("{operation}: {reason}")]
    Value {
        /// The operation.
        operation: &'static str,
        /// The value found, and what would be right.
        reason: String,
    },
    /// A matrix that is not symmetric where the method needs a symmetric one.
    #[error("{operation}: the matrix is not symmetric: element ({row}, {column}) is {value}, element ({column}, {row}) is {mirrored}")]
    NotSymmetric {
        /// The operation.
        operation: &'static str,
        /// Row of the first differing element.
        row: usize,
        /// Column of the first differing element.
        column: usize,
        /// The element.
        value: f64,
        /// The element on the other side of the diagonal.
        mirrored: f64,
    },
    /// A matrix without a Cholesky factor.
    #[error(
        "cholesky: the {size} × {size} matrix is not positive definite: pivot {pivot} is not above zero; a column may be constant or a combination of others, shrink or regularise the matrix"
    )]
    NotPositiveDefinite {
        /// The first pivot that failed, counted from 0.
        pivot: usize,
        /// Size of the matrix.
        size: usize,
    },
    /// An iteration that came to no end.
    #[error("{operation}: no convergence on a {rows} × {columns} matrix")]
    NoConvergence {
        /// The operation.
        operation: &'static str,
        /// Rows of the matrix.
        rows: usize,
        /// Columns of the matrix.
        columns: usize,
    },
    /// The system gave no threads.
    #[error("could not start {threads} threads: {reason}")]
    Threads {
        /// The number asked for.
        threads: usize,
        /// The system's reason.
        reason: String,
    },
}

impl ComputeError {
    /// A [`ComputeError::Shape`].
    pub(crate) fn shape(operation: &'static str, reason: impl Into<String>) -> ComputeError {
        ComputeError::Shape { operation, reason: reason.into() }
    }

    /// A [`ComputeError::Value`].
    pub(crate) fn value(operation: &'static str, reason: impl Into<String>) -> ComputeError {
        ComputeError::Value { operation, reason: reason.into() }
    }
}

/// Refuses the first value that is not finite.
pub(crate) fn finite(operation: &'static str, values: &[f64]) -> Result<(), ComputeError> {
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(()),
        Some(position) => Err(ComputeError::NotFinite { operation, position, value: values[position] }),
    }
}

/// Refuses two lists of different length.
pub(crate) fn same_length(operation: &'static str, left: usize, right: usize) -> Result<(), ComputeError> {
    if left == right {
        Ok(())
    } else {
        Err(ComputeError::shape(operation, format!("{left} and {right} values; both sides need the same number")))
    }
}
