//! Electrophysiology files: what is read from files built byte by byte, from real ones, and from damaged ones.

#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "tests")]

#[path = "../../../data/tests/formats/mat5_bytes.rs"]
mod mat5_bytes;

mod build;
mod damage;
mod edf;
mod others;
mod real;
mod sets;
