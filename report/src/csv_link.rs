//! A figure's data one click away: a CSV file inside the page.

use crate::error::ReportError;
use base64::Engine as _;
use flate2::{Compression, GzBuilder};
use neuroflow_data::export::{ExportFormat, export};
use neuroflow_data::{Artifact, Payload};
use serde::Serialize;
use std::io::Write as _;

/// What is longer is compressed, in bytes: a page with many figures must open soon.
const LONG: usize = 16 << 10;

/// What has more bytes of values than this stays out of the page, which a browser must be able to open: half a million numbers.
const MOST: usize = 4 << 20;

/// A file inside the page.
#[derive(Debug, Clone, Serialize)]
pub(crate) struct Inside {
    /// What it is called when it is saved.
    pub(crate) file: String,
    /// Where it is.
    pub(crate) address: String,
}

/// The artifact's values as CSV under a name, compressed with gzip when they are many; none when they are too many for a page.
pub(crate) fn csv_link(artifact: &Artifact, name: &str) -> Result<Option<Inside>, ReportError> {
    if let Payload::Batch(batch) = artifact.payload()
        && batch.get_array_memory_size() > MOST
    {
        return Ok(None);
    }
    let bytes = export(artifact, ExportFormat::Csv)?;
    let encode = |kind: &str, bytes: &[u8]| format!("data:{kind};base64,{}", base64::engine::general_purpose::STANDARD.encode(bytes));
    if bytes.len() <= LONG {
        return Ok(Some(Inside { file: format!("{name}.csv"), address: encode("text/csv", &bytes) }));
    }
    // Without a time, so that equal values stay equal bytes.
    let mut packed = GzBuilder::new().mtime(0).write(Vec::new(), Compression::default());
    let packed = packed.write_all(&bytes).and_then(|()| packed.finish()).map_err(|error| ReportError::Packing(error.to_string()))?;
    Ok(Some(Inside { file: format!("{name}.csv.gz"), address: encode("application/gzip", &packed) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Axis, Tensor, Typed};

    fn tensor(length: usize) -> Artifact {
        let values: Vec<f64> = (0..length).map(|at| at as f64).collect();
        Tensor::new(vec![Axis::count("bin", length)], None, values).unwrap().into_artifact().unwrap()
    }

    #[test]
    fn long_data_is_compressed_and_is_the_same_when_it_is_unpacked() {
        let short = csv_link(&tensor(10), "x").unwrap().unwrap();
        assert!(short.file == "x.csv" && short.address.starts_with("data:text/csv;base64,"), "{short:?}");
        let (artifact, long) = (tensor(5000), csv_link(&tensor(5000), "x").unwrap().unwrap());
        let packed = long.address.strip_prefix("data:application/gzip;base64,").unwrap();
        let packed = base64::engine::general_purpose::STANDARD.decode(packed).unwrap();
        let mut unpacked = Vec::new();
        std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(packed.as_slice()), &mut unpacked).unwrap();
        assert_eq!((long.file.as_str(), unpacked), ("x.csv.gz", export(&artifact, ExportFormat::Csv).unwrap()));
        assert!(packed.len() < export(&artifact, ExportFormat::Csv).unwrap().len());
        assert!(csv_link(&tensor(1 << 20), "x").unwrap().is_none(), "8 MiB of numbers are not for a page");
        assert_eq!(csv_link(&artifact, "x").unwrap().unwrap().address, long.address);
    }
}
