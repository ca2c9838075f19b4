//! How long the device itself was at work, without the host and the way to it.

use super::pool::Use;
use super::{Gpu, GpuError, Recording};

impl Gpu {
    /// Sends all steps, waits, and gives the seconds between begin and end of the work on the device; `None` where the device does not tell.
    ///
    /// The recording must hold calls of kernels alone, without copies.
    ///
    /// # Errors
    /// When the device fails or is lost.
    pub fn seconds_of(&self, recording: Recording<'_>) -> Result<Option<f64>, GpuError> {
        if !self.abilities().timestamps {
            let sent = recording.submit()?;
            self.wait_for(Some(sent))?;
            return Ok(None);
        }
        let query_set = self.guarded(|| {
            self.device.create_query_set(&wgpu::QuerySetDescriptor { label: None, ty: wgpu::QueryType::Timestamp, count: 2 })
        })?;
        let resolved = self.guarded(|| {
            let usage = wgpu::BufferUsages::QUERY_RESOLVE | wgpu::BufferUsages::COPY_SRC;
            self.device.create_buffer(&wgpu::BufferDescriptor { label: None, size: 256, usage, mapped_at_creation: false })
        })?;
        let host = self.memory(Use::Host, 16)?;
        let sent = recording.send(Some(&query_set), |encoder| {
            encoder.resolve_query_set(&query_set, 0..2, &resolved, 0);
            encoder.copy_buffer_to_buffer(&resolved, 0, &host.raw, 0, 16);
        })?;
        self.guarded(|| host.raw.map_async(wgpu::MapMode::Read, 0..16, |_| ()))?;
        self.wait_for(Some(sent))?;
        let view = host.raw.get_mapped_range(0..16).map_err(|error| GpuError::Failed(error.to_string()))?;
        let times: Vec<u64> = bytemuck::pod_collect_to_vec(&view);
        let [begin, end] = times.as_slice() else { return Ok(None) };
        Ok(Some(end.saturating_sub(*begin) as f64 * f64::from(self.queue.get_timestamp_period()) * 1e-9))
    }
}

#[cfg(test)]
mod tests {
    use super::super::device::testing;
    use super::super::kernels::View;

    #[test]
    fn longer_work_takes_longer() {
        let Some(gpu) = testing() else { return };
        if !gpu.abilities().timestamps {
            return;
        }
        let seconds = |size: usize| {
            let x = gpu.upload(&vec![1.0f32; size * size]).unwrap();
            let record = || {
                let mut recording = gpu.record();
                recording.product(View::new(&x, size, size), View::new(&x, size, size), 1).unwrap();
                recording
            };
            // The first call compiles.
            gpu.seconds_of(record()).unwrap();
            gpu.seconds_of(record()).unwrap().unwrap()
        };
        let (short, long) = (seconds(16), seconds(200));
        assert!(short >= 0.0 && long > 0.0 && long < 60.0, "{short} {long}");
    }
}
