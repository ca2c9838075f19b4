//! Images, volumes, tables, graphs and arrays: real files, and every reader against damage.

#![allow(clippy::unwrap_used, reason = "helpers of tests")]

#[path = "volumes/damage.rs"]
mod damage;
#[path = "volumes/doors.rs"]
mod doors;
#[path = "volumes/real.rs"]
mod real;
#[path = "volumes/seeds.rs"]
mod seeds;
