//! Kernels in WGSL, and the functions that record calls of them. Which variant runs follows from the sizes, never from the device, but for subgroups and half
//! precision, which are used where the device has them.
//!
//! Functions of [`super::Recording`] take and give arrays on the device. Functions of [`super::Gpu`] take and give slices of the host, and wait.

pub mod distances;
pub mod fold;
pub mod khatri_rao;
pub mod map;
pub mod mttkrp;
pub mod product;
pub mod softmax;
pub(crate) mod tile;

pub use map::{Binary, Unary};
pub use product::View;

#[cfg(test)]
pub(crate) mod tests {
    use neuroflow_data::random::Stream;

    /// Standard normal numbers from a seed.
    pub(crate) fn normal(seed: u64, count: usize) -> Vec<f32> {
        let mut stream = Stream::new(seed);
        (0..count).map(|_| stream.normal() as f32).collect()
    }

    /// The largest difference of two lists of one length.
    #[track_caller]
    pub(crate) fn worst(found: &[f32], expected: &[f64]) -> f64 {
        assert_eq!(found.len(), expected.len());
        found.iter().zip(expected).map(|(found, expected)| (f64::from(*found) - expected).abs()).fold(0.0, |worst, error| {
            // A NaN is the worst error of all.
            if error.is_nan() { f64::INFINITY } else { worst.max(error) }
        })
    }
}
