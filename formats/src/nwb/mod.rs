//! Neurodata Without Borders 2: units, electrodes, intervals, recordings, images and tables, on HDF5.
//!
//! What an object is, its attribute `neurodata_type` says. Extensions are resolved through the namespaces that a file carries below `specifications`, so
//! that an extension of `TimeSeries` is read as one.
//!
//! | in the file | item | asked for with |
//! |---|---|---|
//! | `TimeSeries` with a rate, or with timestamps that are as regular as one between pauses | recording | `signals`, `rows`, `tensor` |
//! | other `TimeSeries` | table with a column `time`, or array when it has more than two axes | `rows`, `tensor` |
//! | `AnnotationSeries`, `IntervalSeries`, `TimeIntervals` | events | `events`, `rows` |
//! | `Units` with `spike_times` | spikes | `spikes`, `rows` |
//! | `DynamicTable` | table | `rows` |
//! | everything else | as in HDF5 | `tensor`, `rows` |
//!
//! Timestamps are those of a recording when they lie on lines of one rate, with at most one pause in ten of them, and none lies further than a tenth of a
//! sample from its line: so times that were rounded are no matter. The rate is the one that fits best. Rows keep the times as they stand in the file.
//!
//! What has a value for each sample beside `data` (`control`, `confidence` of a pose) is a column of the rows, and an item of its own.
//!
//! Values are `data × conversion × channel_conversion + offset`, as pynwb's `get_data_in_units` has them. Ragged columns of tables are lists, doubly ragged
//! ones lists of lists; references are paths, and those to parts of a series `path[from:to]`. Files that an `ImageSeries` names are told and never opened.
//!
//! Layout: "NWB Format Specification" 2.0 to 2.9 and "HDMF Common Specification". Compared with pynwb.

mod clock;
mod contents;
mod document;
mod events;
mod reference;
mod series;
mod spikes;
mod table;
mod types;

pub use document::NwbDocument;

use crate::hdf5::file::in_object;
use crate::hdf5::tree::Tree;
use crate::source::Source;
use neuroflow_data::formats::{Format, FormatError, Limits, Place};
use std::sync::Arc;

/// Opens an NWB file.
///
/// # Errors
/// When it is not HDF5, when its root has no `nwb_version` of 2, or when what describes the root group is damaged.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<NwbDocument, FormatError> {
    NwbDocument::new(Tree::open(source, limits)?)
}

/// The error for something in an NWB object that breaks the schema.
fn bad(path: &str, reason: impl Into<String>, help: &str) -> FormatError {
    FormatError::new(Format::Nwb, Place::Object { path: format!("/{path}"), byte: None }, reason, help)
}

/// An error of the container, as one of this format and object.
fn of_nwb(error: FormatError, path: &str) -> FormatError {
    let mut error = in_object(error, path);
    error.format = Format::Nwb;
    error
}
