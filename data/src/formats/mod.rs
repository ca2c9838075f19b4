//! The field's file formats, as pure functions from bytes to values.
//!
//! Every reader takes bytes that may come from anywhere and either returns the values or a [`FormatError`] with the format, the place
//! (byte, variable such as `D.neuron3{17}`, archive member, line and column), the reason and a remedy. No reader panics, and none reserves
//! memory on the word of a header: what it holds is bounded by [`Limits`] and by the bytes that are really there.
//!
//! | format | read | write |
//! |---|---|---|
//! | MATLAB 5 `.mat` (`save -v6`, `-v7`) | [`mat5::read_mat5`] | no |
//! | NumPy `.npy` | [`npy::read_npy`] | [`npy::write_npy_f64`] |
//! | NumPy `.npz` | [`npz::read_npz`] | no |
//! | CSV, plain or gzip | [`csv::read_csv`] | [`csv::write_csv`] |
//! | Parquet | [`parquet::read_parquet`] | [`parquet::write_parquet`] |
//! | Arrow IPC file | [`arrow_ipc::read_arrow_ipc`] | [`arrow_ipc::write_arrow_ipc`] |
//!
//! The formats of recordings stand in the crate `formats`, on the same errors, limits and ways to read numbers.
//!
//! Nothing here opens a file, and nothing knows artifacts, stages or a cache.

pub mod arrow_ipc;
mod batches;
mod border;
pub mod bytes;
pub mod csv;
mod error;
mod frames;
pub mod inflate;
mod limits;
pub mod mat5;
pub mod npy;
pub mod npz;
pub mod parquet;
pub mod parquet_file;
mod thrift;
pub mod zip_directory;

pub use batches::Batches;
pub use border::{panics_become_errors, within_border};
pub use error::{COPY_AGAIN, Format, FormatError, OR_ACCEPT, Place, RAISE_LIMIT};
pub use limits::{Budget, Limits};
