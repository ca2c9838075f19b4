//! The files of the field, read natively: what is in them, and their recordings, spikes, events, tables and arrays.
//!
//! Each format has a room of its own and one door, a function from bytes (a [`Source`], or a [`Folder`] for formats of several files) to a
//! [`Document`]. A document tells its [`Contents`] without reading more than it must, and gives each of them as what it is: a recording a channel
//! at a time, events, spikes, rows of a table, an array.
//!
//! Every reader takes bytes that may come from anywhere and either answers or returns a [`FormatError`] with format, place, reason and remedy. None
//! panics, none loops on what the bytes say, and none holds more than four times the file's bytes and 64 MiB, but for values that were asked for
//! and are
//! really there. Nothing outside the given source or folder is ever opened.

pub mod arrays;
pub mod bids;
pub mod brainvision;
mod calibrated;
mod codecs;
pub mod disk;
mod document;
pub mod edf;
pub mod eeglab;
pub mod excel;
pub mod fif;
mod floats;
pub mod gdf;
pub mod gifti;
pub mod graphs;
mod grid;
pub mod hdf5;
pub mod idx;
mod lookup3;
pub mod mat73;
mod matlab;
pub mod nifti;
mod npy_array;
pub mod nwb;
mod open;
mod packing;
pub mod phy;
pub mod picture;
pub mod position_tracking;
mod reading;
mod recorded;
mod series;
pub mod source;
pub mod spike_text;
pub mod suite2p;
mod text;
mod through;
mod triggers;
mod unread;
pub mod write;
pub mod zarr;

pub use document::{Contents, Document, Item, Rows, Signals, What, short_names};
pub use neuroflow_data::formats::{Format, FormatError, Limits, Place};
pub use open::{Begin, Files, Opened, Options, READERS, Reader, is_beside, reader_of_folder, reader_of_name, word_of};
pub use open::{open, open_as, open_folder, open_folder_as};
pub use reading::type_word;
pub use recorded::RecordedDocument;
pub use source::{Folder, Source};
pub use through::read_through;
