//! A figure's data one click away: a CSV file inside the page.

use crate::error::ReportError;
use base64::Engine as _;
use neuroflow_data::Artifact;
use neuroflow_data::export::{ExportFormat, export};

/// The address of the artifact's values as CSV.
pub(crate) fn csv_link(artifact: &Artifact) -> Result<String, ReportError> {
    let bytes = export(artifact, ExportFormat::Csv)?;
    Ok(format!("data:text/csv;base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes)))
}
