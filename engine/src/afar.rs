//! Inputs from afar: an address instead of a path.
//!
//! A pipeline knows its inputs by their content, so a file from afar is fetched whole, once: which content an address had, with its entity tag and length, is
//! remembered beside it, and as long as the server tells the same nothing is fetched again. `neuroflow inspect` reads parts of it.

use neuroflow_remote::{Options, RemoteFile, Source, resolve};
use std::path::Path;

/// Bytes that are taken over at once.
const STRIDE: u64 = 8 << 20;

/// Whether a text is an address and no path.
pub fn is_address(text: &str) -> bool {
    ["https://", "http://", "s3://", "dandi:", "openneuro:"].iter().any(|begin| text.starts_with(begin))
}

/// How files from afar are read: blocks lie beside the cache. Addresses of archives can be replaced by mirrors, with the variables `NEUROFLOW_DANDI` and `NEUROFLOW_S3`.
///
/// # Errors
/// When a variable is not UTF-8, in words.
pub fn options(cache: &Path, offline: bool) -> Result<Options, String> {
    let mut options = Options { cache: Some(cache.join("afar")), offline, ..Options::default() };
    let variable = |name: &str| match std::env::var(name) {
        Ok(value) if !value.is_empty() => Ok(Some(value)),
        Err(std::env::VarError::NotUnicode(_)) => Err(format!("{name} is no text")),
        _ => Ok(None),
    };
    if let Some(dandi) = variable("NEUROFLOW_DANDI")? {
        options.dandi = dandi;
    }
    options.s3 = variable("NEUROFLOW_S3")?;
    Ok(options)
}

/// A file from afar, opened.
pub(crate) struct Afar {
    file: RemoteFile,
}

impl Afar {
    /// Opens the file at an address, without reading it.
    pub(crate) fn open(address: &str, options: &Options) -> Result<Afar, String> {
        let told = |error: neuroflow_remote::RemoteError| format!("{}: {}; {}", error.address, error.reason, error.help);
        let resolved = resolve(address, options).map_err(told)?;
        Ok(Afar { file: RemoteFile::open(&resolved, options).map_err(told)? })
    }

    /// What tells this content from others at the same address, when the server says it.
    pub(crate) fn version(&self) -> Option<String> {
        // A length alone would not do: two versions may share it.
        (!self.file.version().is_empty()).then(|| format!("{} {}", self.file.len(), self.file.version()))
    }

    /// Writes all of it.
    pub(crate) fn write_to(&self, into: &mut dyn std::io::Write) -> std::io::Result<()> {
        let mut at = 0;
        while at < self.file.len() {
            let end = (at + STRIDE).min(self.file.len());
            into.write_all(&self.file.bytes(at..end)?)?;
            at = end;
        }
        Ok(())
    }
}
