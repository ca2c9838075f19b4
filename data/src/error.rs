//! What can be wrong with a value: one enum for the whole crate, in the words of the person who made the value.

/// An artifact that is not what it should be.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The artifact is of another kind than the one asked for.
    #[error("expected a {expected}, got a {found}")]
    WrongKind {
        /// The kind that was asked for.
        expected: crate::Kind,
        /// The kind that is there.
        found: crate::Kind,
    },
    /// The axes are not those that the type promises.
    #[error("expected axes [{expected}], found [{found}]")]
    WrongAxes {
        /// Axis names that were asked for, joined by ` × `.
        expected: String,
        /// Axis names that are there, joined by ` × `.
        found: String,
    },
    /// Lengths that should agree do not.
    #[error("{what}: expected {expected} values, found {found}")]
    WrongLength {
        /// What was counted.
        what: String,
        /// The number that was needed.
        expected: usize,
        /// The number that was found.
        found: usize,
    },
    /// A column is missing; the names that exist are listed.
    #[error("there is no column `{column}`; there are: {available}")]
    NoColumn {
        /// The column that was asked for.
        column: String,
        /// The columns that exist.
        available: String,
    },
    /// A column has another type than the one asked for.
    #[error("column `{column}` holds {found}, {expected} is needed")]
    ColumnType {
        /// The column.
        column: String,
        /// What is needed.
        expected: &'static str,
        /// What is there.
        found: String,
    },
    /// Bytes that are not an artifact of this format.
    #[error("these bytes are not a neuroflow artifact: {0}")]
    Decode(String),
    /// A value breaks a rule of its type.
    #[error("{0}")]
    Invalid(String),
    /// Arrow refused.
    #[error("arrow: {0}")]
    Arrow(#[from] arrow::error::ArrowError),
}
