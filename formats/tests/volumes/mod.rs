//! Images, volumes, tables, graphs and arrays: real files, and every reader against damage.

mod damage;
mod doors;
mod real;
pub mod seeds;
mod stacks;
