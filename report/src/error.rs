//! Why a report could not be made.

/// Why a report could not be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// An artifact is not what its kind promises.
    #[error(transparent)]
    Data(#[from] neuroflow_data::DataError),
    /// The page's own template did not render: a mistake of ours.
    #[error("the report's template did not render: {0}")]
    Template(String),
    /// Data could not be packed.
    #[error("data of a figure could not be packed: {0}")]
    Packing(String),
    /// A figure could not be written as a picture.
    #[error("the figure as a picture: {0}")]
    Picture(String),
}
