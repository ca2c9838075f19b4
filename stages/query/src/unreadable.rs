//! Why a table has no rows to give, on its way through the engine, which hands it on as it is.

use datafusion::error::DataFusionError;
use neuroflow_data::formats::FormatError;
use std::fmt;

/// What is wrong with a table, and what to do about it.
#[derive(Debug)]
pub(crate) struct Unreadable {
    pub(crate) message: String,
    pub(crate) help: Option<String>,
}

impl fmt::Display for Unreadable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for Unreadable {}

impl From<Unreadable> for DataFusionError {
    fn from(error: Unreadable) -> DataFusionError {
        DataFusionError::External(Box::new(error))
    }
}

/// A file that is not what its beginning says.
pub(crate) fn damaged(error: FormatError) -> DataFusionError {
    Unreadable { message: error.to_string(), help: None }.into()
}

/// The error with the place in front, when it is one of a table: rows do not know whose they are, who asks them does.
pub(crate) fn within(place: &str, error: DataFusionError) -> DataFusionError {
    match error {
        DataFusionError::External(inner) => match inner.downcast::<Unreadable>() {
            Ok(inner) => Unreadable { message: format!("{place}: {}", inner.message), help: inner.help }.into(),
            Err(other) => DataFusionError::External(other),
        },
        other => other,
    }
}
