//! MATLAB 7.3 `.mat` files, which are HDF5 behind a block of text.
//!
//! [`read_mat73`] gives the same values as [`neuroflow_data::formats::mat5::read_mat5`], so that whoever reads `.mat` files need not know which they are:
//! numeric, logical and character arrays, complex and sparse ones, cells, structs and arrays of structs, empty arrays. Arrays keep MATLAB's `size` and its
//! order, column-major. Strings, function handles, tables and objects of classes have no documented layout; they become
//! [`MatValue::Skipped`](neuroflow_data::formats::mat5::MatValue::Skipped) with a note.
//!
//! [`open`] gives a document for looking, with the same things under the same paths as that of a file of version 5
//! ([`crate::arrays::mat5`]): fields of structs, cells by their number, cells of one size as one array, sparse matrices as dense ones. Only what is
//! asked for is read, and of dense arrays only a part.
//!
//! MATLAB documents no layout for these files. What is read here is what its own files have: attributes `MATLAB_class`, `MATLAB_empty`, `MATLAB_fields`,
//! `MATLAB_sparse`, references of cells into `#refs#`. Values were compared with the package mat73.

mod document;
mod value;

pub use document::Mat73Document;

use crate::hdf5::tree::Tree;
use crate::source::Source;
use neuroflow_data::formats::mat5::MatFile;
use neuroflow_data::formats::{Format, FormatError, Limits, Place};
use std::sync::Arc;

/// Opens a MATLAB 7.3 file for looking.
///
/// # Errors
/// When it is not HDF5, or what describes its root is damaged.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<Mat73Document, FormatError> {
    Ok(Mat73Document::new(Tree::open(source, limits).map_err(of_mat)?))
}

/// Reads all variables of a MATLAB 7.3 file.
///
/// # Errors
/// When it is not HDF5, or a variable is damaged, nests deeper than [`Limits::max_depth`], or holds more than the limits allow.
pub fn read_mat73(source: Arc<dyn Source>, limits: &Limits) -> Result<MatFile, FormatError> {
    value::read_all(&Tree::open(source, limits).map_err(of_mat)?)
}

/// Whether bytes are the begin of a MATLAB 7.3 file: its text, or HDF5 behind a block of 512 bytes.
pub fn is_mat73(head: &[u8]) -> bool {
    head.starts_with(b"MATLAB 7.3 MAT-file") || head.get(512..520) == Some(crate::hdf5::file::SIGNATURE)
}

fn of_mat(mut error: FormatError) -> FormatError {
    error.format = Format::Mat73;
    error
}

fn bad(path: &str, reason: impl Into<String>, help: &str) -> FormatError {
    FormatError::new(Format::Mat73, Place::Variable { path: path.to_owned(), byte: None }, reason, help)
}
