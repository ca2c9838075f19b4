//! The readers of `neuroflow_data::formats`: own small files, real files, and files that are damaged or hostile.
#![allow(clippy::unwrap_used, reason = "a test that can not open its file has failed")]

mod damage;
mod mat5;
mod mat5_bytes;
mod numpy;
mod shared;
mod small_files;
mod tables;
