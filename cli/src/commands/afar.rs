//! Files from afar, for commands that look into them.

use super::Place;
use crate::exit::Failure;
use crate::settings::Settings;
use neuroflow_engine::afar::{is_address, options};
use neuroflow_formats::{Folder, Source};
use neuroflow_remote::RemoteError;
use std::sync::Arc;

/// What stands at an address.
pub(crate) enum Afar {
    /// A file, and its name without folders.
    File(Arc<dyn Source>, String),
    /// Files below the address, and its last name.
    Folder(Arc<dyn Folder>, String),
}

/// What stands at an address, for a reader where one is named; none when the text is no address. A store of Zarr is a folder, with a slash behind its name
/// or without; DANDI keeps each as one asset, and says so.
pub(crate) fn open(place: &Place, what: &str, reader: Option<&str>) -> Result<Option<Afar>, Failure> {
    if !is_address(what) {
        return Ok(None);
    }
    let settings = Settings::read(place.cache.as_deref(), place.offline)?;
    let options = options(&settings.cache, settings.offline).map_err(Failure::could_not_start)?;
    let failed = |error: RemoteError| Failure::could_not_start(format!("{}: {}", error.address, error.reason)).with_help(error.help);
    let trimmed = what.split(['?', '#']).next().unwrap_or(what).trim_end_matches('/');
    let name = trimmed.rsplit('/').next().unwrap_or(trimmed).to_owned();
    let is_zarr = reader == Some("zarr") || name.to_ascii_lowercase().ends_with(".zarr");
    if what.ends_with('/') || (is_zarr && !what.starts_with("dandi:")) {
        let folder = neuroflow_remote::open_folder(what, &options).map_err(failed)?;
        return Ok(Some(Afar::Folder(Arc::new(folder), name)));
    }
    let file = neuroflow_remote::open(what, &options).map_err(failed)?;
    Ok(Some(Afar::File(Arc::new(file), name)))
}
