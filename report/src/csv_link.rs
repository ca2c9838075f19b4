//! A figure's data one click away: a CSV file inside the page.

use crate::error::ReportError;
use base64::Engine as _;
use flate2::{Compression, GzBuilder};
use neuroflow_data::Artifact;
use neuroflow_data::export::{ExportFormat, export};
use serde::Serialize;
use std::io::Write as _;

/// What is longer is compressed, in bytes: a page with many figures must open soon.
const LONG: usize = 16 << 10;

/// A file inside the page.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Inside {
    /// What it is called when it is saved.
    pub(crate) file: String,
    /// Where it is.
    pub(crate) address: String,
}

/// The artifact's values as CSV under a name, compressed with gzip when they are many.
pub(crate) fn csv_link(artifact: &Artifact, name: &str) -> Result<Inside, ReportError> {
    let bytes = export(artifact, ExportFormat::Csv)?;
    let encode = |kind: &str, bytes: &[u8]| format!("data:{kind};base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes));
    if bytes.len() <= LONG {
        return Ok(Inside { file: format!("{name}.csv"), address: encode("text/csv", &bytes) });
    }
    // Without a time, so that equal values stay equal bytes.
    let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    let packed = packed.write_all(&bytes).and_then(|()| packed.finish()).map_err(|error| ReportError::Packing(error.to_string()))?;
    Ok(Inside { file: format!("{name}.csv.gz"), address: encode("application/gzip", &packed) })
}
