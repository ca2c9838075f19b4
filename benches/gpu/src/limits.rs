//! The limits of a device as it reaches them itself: a copy for its memory, multiply–adds in registers for its arithmetic.

use neuroflow_compute::gpu::probe;
use neuroflow_compute::gpu::{Gpu, GpuError};

/// What a device reaches.
pub(crate) struct Limits {
    /// Bytes read and written in a second.
    pub(crate) bytes: f64,
    /// Multiplications and additions in single precision in a second.
    pub(crate) operations: f64,
}

/// The best of several tries.
pub(crate) fn measure(gpu: &Gpu, large: bool) -> Result<Limits, GpuError> {
    let (elements, rounds, tries) = if large { (1 << 26, 4096, 10) } else { (1 << 22, 64, 3) };
    let elements = elements.min((gpu.largest_array() / 4) as usize);
    let best = |mut one: Box<dyn FnMut() -> Result<f64, GpuError> + '_>| -> Result<f64, GpuError> {
        one()?;
        let mut best = 0.0f64;
        for _ in 0..tries {
            best = best.max(one()?);
        }
        Ok(best)
    };
    let bytes = best(Box::new(|| probe::copied_bytes_a_second(gpu, elements)))?;
    let operations = best(Box::new(|| probe::operations_a_second(gpu, rounds)))?;
    Ok(Limits { bytes, operations })
}
