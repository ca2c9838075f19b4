//! HDF5, the container of NWB, MATLAB 7.3 and much else.
//!
//! Everything that describes a file is read on opening: groups with their links, datasets with shape and type, attributes. Values are read when they are
//! asked for, and of chunked datasets only the chunks that a part touches.
//!
//! * Superblocks 0 to 3, at byte 0 or behind a user block; object headers of both versions; symbol tables, link messages, and links and attributes in
//!   fractal heaps; soft links. Links to other files are told, never followed.
//! * Whole numbers and floating point of any size, order and layout up to 16 bytes, bit fields, texts, opaque bytes, compounds, references,
//!   enumerations, lists, arrays, committed types.
//! * Values in the header, in one piece, in chunks with any of the six indexes, or in other datasets of the same file (virtual datasets; those made of
//!   other files, and those that grow with their sources, are refused); the filters deflate, shuffle, fletcher32, scale-offset, szip, LZF, LZ4,
//!   Zstandard, bzip2, Blosc and bitshuffle. Other filters (nbit, zfp, …) are refused by name.
//! * Checksums are checked wherever the format has them.
//!
//! The layout is that of "HDF5 File Format Specification Version 3.0" (The HDF Group). Values were compared with h5py.

mod arrays;
mod attribute;
mod btree1;
mod btree2;
pub(crate) mod checksum;
mod chunks;
mod cursor;
pub(crate) mod dataset;
pub(crate) mod datatype;
pub(crate) mod document;
pub(crate) mod file;
mod filters;
mod fractal;
pub(crate) mod group;
mod header;
mod heap;
mod lzf;
pub(crate) mod message;
mod scale_offset;
mod selection;
mod szip;
pub(crate) mod table;
pub(crate) mod tree;
pub(crate) mod values;
mod virtual_dataset;

pub use document::Hdf5Document;

use crate::source::Source;
use neuroflow_data::formats::{FormatError, Limits};
use std::sync::Arc;

/// Opens an HDF5 file: reads its superblock and the headers of all objects.
///
/// # Errors
/// When it is not an HDF5 file, or what describes the root group is damaged. Objects that can't be read are notes in the document's contents.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<Hdf5Document, FormatError> {
    Hdf5Document::new(tree::Tree::open(source, limits)?)
}
