//! Files of named arrays and tables: NumPy, MATLAB 5, CSV, Parquet, Arrow, safetensors and ONNX, as documents.
//!
//! | format | door | items |
//! |---|---|---|
//! | `.npy` | [`npy::open`] | `array`, or a table `array` of text, or of records with named fields |
//! | `.npz` | [`npz::open`] | one for each member |
//! | MATLAB 5 `.mat` | [`mat5::open`] | variables; structs are groups, so a field is `D/neuron1` |
//! | CSV, plain or gzip | [`csv::open`] | the table `table` |
//! | Parquet, Arrow | [`parquet::open`], [`arrow_ipc::open`] | the table `table`, read by the columns and rows that are asked for |
//! | safetensors | [`safetensors::open`] | one for each tensor |
//! | ONNX | [`onnx::open`] | inputs, outputs, initialisers |

pub mod arrow_ipc;
pub mod csv;
pub mod mat5;
pub mod npy;
mod npy_records;
pub mod npz;
pub mod onnx;
pub mod parquet;
mod protobuf;
pub mod safetensors;
#[cfg(test)]
mod tests;
