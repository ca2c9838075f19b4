//! Electrophysiology files: what is read from files built byte by byte, from real ones, and from damaged ones.

use crate::mat5_bytes;

pub mod build;
mod damage;
mod edf;
mod others;
mod real;
mod sets;
