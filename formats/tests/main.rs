//! The readers, from outside: files that are built byte by byte, files of the reference packages, real ones, and damaged ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

mod bids;
mod damaged;
mod ephys;
mod hdf5;
#[path = "../../data/tests/formats/mat5_bytes.rs"]
mod mat5_bytes;
mod reading;
#[path = "../../data/tests/formats/small_files.rs"]
mod small_files;
mod unread;
mod volumes;
