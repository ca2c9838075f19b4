//! Whether data is sent while kernels run: what each takes alone, and what both take together.

use std::time::Instant;

use neuroflow_compute::gpu::kernels::View;
use neuroflow_compute::gpu::{Gpu, GpuError, Recording};

/// Tries of each; the shortest counts.
const TRIES: usize = 5;

/// The most products in a row.
const MOST: usize = 4096;

/// Seconds by the host's clock, until all is done.
pub(crate) struct Overlap {
    /// Bytes that are sent.
    pub(crate) bytes: usize,
    /// Products in a row, as many as take about as long as the sending.
    pub(crate) products: usize,
    /// Sending alone.
    pub(crate) upload: f64,
    /// The products alone.
    pub(crate) kernels: f64,
    /// The products, and the sending right after they were handed over.
    pub(crate) both: f64,
}

impl Overlap {
    /// The share of the shorter one that cost no time: 1 when it lay wholly beside the longer one, 0 when one came after the other, below 0 when they hindered each other.
    pub(crate) fn hidden(&self) -> f64 {
        (self.upload + self.kernels - self.both) / self.upload.min(self.kernels)
    }
}

/// Measures one device.
///
/// # Errors
/// When memory is short, or the device fails.
pub(crate) fn measure(gpu: &Gpu, large: bool) -> Result<Overlap, GpuError> {
    let (elements, size) = if large { (1 << 26, 2048) } else { (1 << 22, 128) };
    let elements = elements.min((gpu.largest_array() / 4) as usize);
    let values = vec![1.0f32; elements];
    let matrix = gpu.upload(&vec![1.0f32; size * size])?;
    let products = |count: usize| -> Result<Recording<'_>, GpuError> {
        let mut recording = gpu.record();
        for _ in 0..count {
            recording.product(View::new(&matrix, size, size), View::new(&matrix, size, size), 1)?;
        }
        Ok(recording)
    };
    let upload = || -> Result<(), GpuError> {
        // The memory comes back to the pool, so that only the first try pays for it.
        let sent = gpu.upload(&values)?;
        gpu.wait()?;
        drop(sent);
        Ok(())
    };
    let upload = shortest(upload)?;
    let one = shortest(|| timed(gpu, products(1)?))?;
    let count = ((upload / one) as usize).clamp(1, MOST);
    let kernels = shortest(|| timed(gpu, products(count)?))?;
    let both = shortest(|| {
        products(count)?.submit()?;
        let sent = gpu.upload(&values)?;
        gpu.wait()?;
        drop(sent);
        Ok(())
    })?;
    Ok(Overlap { bytes: 4 * elements, products: count, upload, kernels, both })
}

fn timed(gpu: &Gpu, recording: Recording<'_>) -> Result<(), GpuError> {
    recording.submit()?;
    gpu.wait()
}

/// The shortest of several tries, after one that warms up.
fn shortest(mut work: impl FnMut() -> Result<(), GpuError>) -> Result<f64, GpuError> {
    work()?;
    let mut best = f64::INFINITY;
    for _ in 0..TRIES {
        let begin = Instant::now();
        work()?;
        best = best.min(begin.elapsed().as_secs_f64());
    }
    Ok(best)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_a_share_of_the_shorter_one() {
        let of = |upload, kernels, both| Overlap { bytes: 4, products: 1, upload, kernels, both }.hidden();
        assert_eq!([of(1.0, 3.0, 3.0), of(3.0, 1.0, 4.0), of(2.0, 2.0, 3.0)], [1.0, 0.0, 0.5]);
        assert!(of(1.0, 1.0, 2.5) < 0.0);
    }

    #[test]
    fn a_device_takes_some_time_for_each() {
        let Ok(gpu) = Gpu::open(neuroflow_compute::gpu::Options::default()) else { return };
        let found = measure(&gpu, false).unwrap();
        assert!(found.upload > 0.0 && found.kernels > 0.0 && found.both >= 0.5 * found.upload.max(found.kernels), "{}", found.both);
    }
}
