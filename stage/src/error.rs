//! What a stage answers when it can't give a result.

use neuroflow_data::DataError;

/// Why a stage gave no result, in the scientist's language.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum StageError {
    /// The inputs or parameters do not allow the analysis; says what is wrong and what would be right.
    #[error("{message}")]
    Refused {
        /// What is wrong, with the names and numbers involved.
        message: String,
        /// What to do about it.
        help: Option<String>,
    },
    /// An input is not what its type promises.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The run was cancelled.
    #[error("cancelled")]
    Cancelled,
    /// A mistake of ours.
    #[error("internal error: {0}")]
    Bug(String),
}

impl StageError {
    /// A refusal without advice.
    pub fn refused(message: impl Into<String>) -> StageError {
        StageError::Refused { message: message.into(), help: None }
    }

    /// A refusal with advice.
    pub fn refused_with_help(message: impl Into<String>, help: impl Into<String>) -> StageError {
        StageError::Refused { message: message.into(), help: Some(help.into()) }
    }

    /// The advice, when there is any.
    pub fn help(&self) -> Option<&str> {
        match self {
            StageError::Refused { help, .. } => help.as_deref(),
            _ => None,
        }
    }
}

/// Refuses values that are not finite, with their number and the first place, in the words of the axes.
///
/// # Errors
/// [`StageError::Refused`] when a value of `tensor` is NaN or infinite.
pub fn require_finite(what: &str, tensor: &neuroflow_data::Tensor) -> Result<(), StageError> {
    let Some((count, place)) = tensor.non_finite() else { return Ok(()) };
    let place = tensor
        .axes()
        .iter()
        .zip(place)
        .map(|(axis, position)| match &axis.coordinates {
            neuroflow_data::Coordinates::Labels(_) => format!("{} {}", axis.name, axis.coordinates.label(position)),
            _ => format!("{} {position}", axis.name),
        })
        .collect::<Vec<_>>()
        .join(", ");
    Err(StageError::refused_with_help(
        format!("{what} has {count} values that are not finite; the first is at {place}"),
        "leave out the trials or units with gaps, or fill the gaps, before this step",
    ))
}
