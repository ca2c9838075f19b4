//! The numbers: CPU kernels and wgpu kernels behind one set of functions.
//!
//! * [`matrix`], [`product`], [`factor`]: dense real matrices in double precision, on faer's SIMD kernels.
//! * [`single`], [`mlp`]: products in single precision, and small networks that are trained with them.
//! * [`gpu`]: kernels and whole algorithms on a graphics card, through wgpu.
//! * [`statistics`]: moments, ranks, correlations, shrinkage, partition scores, assignment, p values.
//! * [`geometry`]: dissimilarities, likeness of representations, alignment of features.
//! * [`ridge_path`]: ridge regression of many targets for many penalties.
//! * [`nonnegative`]: non-negative decompositions of tensors.
//! * [`tensor`], [`optimise`]: tensors times Khatri–Rao products, and minimisation of smooth functions.
//! * [`signal`], [`riemann`]: filters, spectra, wavelets and coupling of sampled signals; covariances as points of a curved space.
//! * [`spiking`], [`deconvolution`]: statistics of spike trains; spikes from fluorescence.
//! * [`threads`], [`map`]: a pool with a fixed number of threads; files as read-only Arrow buffers.
//!
//! The crate promises that every function on the CPU gives the same bytes for any number of threads: work is cut into parts whose borders follow from
//! the shapes alone, and partial sums are added in the order of the parts. Another processor, with other vector instructions or caches, may differ in
//! the last bits. It refuses shapes that don't fit and values that are not finite where a method needs finite ones, with a [`ComputeError`]; nothing
//! is repaired in silence.
//!
//! It knows no files by name, no analyses, and no randomness without an explicit seed ([`random`]).

pub mod amplitudes;
pub mod deconvolution;
pub mod error;
pub mod factor;
pub mod geometry;
pub mod gpu;
pub mod map;
pub mod matrix;
pub mod mlp;
pub mod nonnegative;
pub mod optimise;
mod panels;
pub mod parallel;
pub mod product;
mod real;
pub mod ridge_path;
pub mod riemann;
pub mod signal;
pub mod single;
pub mod spiking;
pub mod statistics;
pub mod tensor;
pub mod threads;

#[cfg(test)]
mod golden;

pub use error::ComputeError;
pub use matrix::{Matrix, MatrixRef};
/// Seeded, splittable random streams whose values never change.
pub use neuroflow_data::random;
pub use threads::with_threads;
