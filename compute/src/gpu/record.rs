//! Work for the device: recorded step by step, sent at once, and read back once.

use std::collections::HashMap;
use std::sync::Arc;
use std::sync::mpsc;

use bytemuck::Pod;

use super::device::{Kernel, PARAMETERS};
use super::pool::{Lease, Use};
use super::{Gpu, GpuError};

/// Bytes that are handed to the driver at a time, so that the device copies one piece while the next is written.
const PIECE: usize = 16 << 20;

/// An array on the device. Copies of the handle are the same array; the last one gives the memory back to the pool.
#[derive(Clone)]
pub struct Buffer {
    lease: Arc<Lease>,
    len: usize,
    /// Bytes of an element.
    width: usize,
}

impl Buffer {
    /// Number of elements.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether it has no element.
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Whether elements are kept in half precision.
    pub fn is_half(&self) -> bool {
        self.width == 2
    }

    /// Bytes, padded so that four elements can be read at a time anywhere.
    fn bytes(&self) -> u64 {
        padded(self.len * self.width)
    }

    pub(crate) fn raw(&self) -> &wgpu::Buffer {
        &self.lease.raw
    }
}

fn padded(bytes: usize) -> u64 {
    (bytes.max(1) as u64).next_multiple_of(16)
}

enum Step {
    Call {
        kernel: Arc<Kernel>,
        buffers: Vec<Buffer>,
        parameters: u32,
        groups: [u32; 3],
    },
    Clear(Buffer),
    /// As many elements as `to` has.
    Copy {
        from: Buffer,
        to: Buffer,
    },
}

/// Steps that are done in their order once they are sent.
pub struct Recording<'g> {
    gpu: &'g Gpu,
    steps: Vec<Step>,
    parameters: Vec<u8>,
    /// Where parameters that were recorded before lie: most calls of an iteration have the same ones.
    known: HashMap<[u8; PARAMETERS as usize], u32>,
}

/// Results on their way to the host.
pub struct Pending<'g> {
    gpu: &'g Gpu,
    submission: wgpu::SubmissionIndex,
    host: Lease,
    mapped: mpsc::Receiver<Result<(), wgpu::BufferAsyncError>>,
    /// Start and number of elements of each array.
    parts: Vec<(u64, usize)>,
    /// Bytes of all of them.
    total: u64,
}

impl Gpu {
    /// A recording without steps.
    pub fn record(&self) -> Recording<'_> {
        Recording { gpu: self, steps: Vec::new(), parameters: Vec::new(), known: HashMap::new() }
    }

    /// A copy of `values` on the device. The copy runs while the host goes on.
    ///
    /// # Errors
    /// When memory is short, or the device fails.
    pub fn upload<T: Pod>(&self, values: &[T]) -> Result<Buffer, GpuError> {
        let buffer = self.array(values.len(), size_of::<T>())?;
        let bytes: &[u8] = bytemuck::cast_slice(values);
        self.guarded(|| {
            for (number, piece) in bytes.chunks(PIECE).enumerate() {
                self.queue.write_buffer(buffer.raw(), (number * PIECE) as u64, piece);
                if bytes.len() > PIECE {
                    self.queue.submit([]);
                }
            }
        })?;
        Ok(buffer)
    }

    /// An array whose content is undefined.
    ///
    /// # Errors
    /// When memory is short.
    pub fn empty(&self, len: usize) -> Result<Buffer, GpuError> {
        self.array(len, 4)
    }

    /// As [`Gpu::empty`], with elements of half precision.
    pub(crate) fn empty_half(&self, len: usize) -> Result<Buffer, GpuError> {
        self.array(len, 2)
    }

    fn array(&self, len: usize, width: usize) -> Result<Buffer, GpuError> {
        let bytes = len.checked_mul(width).map_or(u64::MAX, padded);
        Ok(Buffer { lease: Arc::new(self.memory(Use::Kernels, bytes)?), len, width })
    }
}

impl<'g> Recording<'g> {
    /// The device that the steps are for.
    pub fn gpu(&self) -> &'g Gpu {
        self.gpu
    }

    /// Number of steps so far.
    pub fn len(&self) -> usize {
        self.steps.len()
    }

    /// Whether there is no step yet.
    pub fn is_empty(&self) -> bool {
        self.steps.is_empty()
    }

    /// Records a call of a kernel on as many workgroups. `parameters` have at most 64 bytes.
    pub(crate) fn call<P: Pod>(
        &mut self,
        kernel: &Arc<Kernel>,
        parameters: &P,
        buffers: &[&Buffer],
        groups: [u32; 3],
    ) -> Result<(), GpuError> {
        debug_assert_eq!(buffers.len(), kernel.buffers, "{}", kernel.name);
        let most = self.gpu.most_groups();
        if let Some(&needed) = groups.iter().find(|groups| **groups > most) {
            let what = "a kernel".to_owned();
            return Err(GpuError::TooLarge { what, needed: u64::from(needed), most: u64::from(most), unit: "workgroups" });
        }
        if groups.contains(&0) {
            return Ok(());
        }
        let mut block = [0; PARAMETERS as usize];
        let bytes = bytemuck::bytes_of(parameters);
        block[..bytes.len()].copy_from_slice(bytes);
        let step = self.gpu.parameter_step() as usize;
        let stored = &mut self.parameters;
        let place = *self.known.entry(block).or_insert_with(|| {
            let place = stored.len();
            stored.extend_from_slice(&block);
            stored.resize(place + step, 0);
            place as u32
        });
        let buffers = buffers.iter().map(|buffer| (*buffer).clone()).collect();
        self.steps.push(Step::Call { kernel: Arc::clone(kernel), buffers, parameters: place, groups });
        Ok(())
    }

    /// As [`Recording::call`] for kernels that give each of `threads` an element, 256 in a workgroup.
    pub(crate) fn call_each<P: Pod>(
        &mut self,
        kernel: &Arc<Kernel>,
        parameters: &P,
        buffers: &[&Buffer],
        threads: usize,
    ) -> Result<(), GpuError> {
        self.call_groups(kernel, parameters, buffers, threads.div_ceil(256))
    }

    /// As [`Recording::call`] for kernels that number workgroups through two directions.
    pub(crate) fn call_groups<P: Pod>(
        &mut self,
        kernel: &Arc<Kernel>,
        parameters: &P,
        buffers: &[&Buffer],
        groups: usize,
    ) -> Result<(), GpuError> {
        let across = groups.min(self.gpu.most_groups() as usize).max(1);
        let down = u32::try_from(groups.div_ceil(across)).unwrap_or(u32::MAX);
        self.call(kernel, parameters, buffers, [across as u32 * u32::from(groups > 0), down, 1])
    }

    /// Records that an array is set to zeros.
    pub fn clear(&mut self, buffer: &Buffer) {
        self.steps.push(Step::Clear(buffer.clone()));
    }

    /// An array of zeros.
    ///
    /// # Errors
    /// When memory is short.
    pub fn zeros(&mut self, len: usize) -> Result<Buffer, GpuError> {
        let buffer = self.gpu.empty(len)?;
        self.clear(&buffer);
        Ok(buffer)
    }

    /// Records a copy of a whole array into another of the same length.
    ///
    /// # Errors
    /// When lengths differ.
    pub fn copy(&mut self, from: &Buffer, to: &Buffer) -> Result<(), GpuError> {
        if from.len != to.len || from.width != to.width {
            return Err(GpuError::shape("copy", format!("{} elements into {}", from.len, to.len)));
        }
        self.steps.push(Step::Copy { from: from.clone(), to: to.clone() });
        Ok(())
    }

    /// A copy of the first `len` elements of an array of single precision.
    ///
    /// # Errors
    /// When it has fewer, or memory is short.
    pub(crate) fn first_of(&mut self, from: &Buffer, len: usize) -> Result<Buffer, GpuError> {
        if from.len < len || from.width != 4 {
            return Err(GpuError::shape("copy", format!("{len} of {} elements", from.len)));
        }
        let to = self.gpu.empty(len)?;
        self.steps.push(Step::Copy { from: from.clone(), to: to.clone() });
        Ok(to)
    }

    /// Sends all steps; does not wait.
    ///
    /// # Errors
    /// When the device fails or is lost.
    pub fn submit(self) -> Result<wgpu::SubmissionIndex, GpuError> {
        self.send(None, |_| ())
    }

    /// Sends all steps, waits, and reads arrays of single precision back.
    ///
    /// # Errors
    /// When the device fails or is lost.
    pub fn read(self, arrays: &[&Buffer]) -> Result<Vec<Vec<f32>>, GpuError> {
        self.read_later(arrays)?.wait()
    }

    /// Sends all steps and asks for arrays of single precision; does not wait.
    ///
    /// # Errors
    /// When the device fails or is lost.
    pub fn read_later(self, arrays: &[&Buffer]) -> Result<Pending<'g>, GpuError> {
        let gpu = self.gpu;
        let mut parts = Vec::with_capacity(arrays.len());
        let mut total: u64 = 0;
        for array in arrays {
            if array.width != 4 {
                return Err(GpuError::shape("reading", "an array of half precision; copy it to single precision first"));
            }
            parts.push((total, array.len));
            total += array.bytes();
        }
        let total = total.max(16);
        let host = gpu.memory(Use::Host, total)?;
        let submission = self.send(None, |encoder| {
            for (array, (start, _)) in arrays.iter().zip(&parts) {
                encoder.copy_buffer_to_buffer(array.raw(), 0, &host.raw, *start, array.bytes());
            }
        })?;
        let (tell, mapped) = mpsc::channel();
        gpu.guarded(|| {
            host.raw.map_async(wgpu::MapMode::Read, 0..total, move |answer| {
                // Nobody listens any more when the wait was given up.
                let _ = tell.send(answer);
            });
        })?;
        Ok(Pending { gpu, submission, host, mapped, parts, total })
    }

    /// Sends all steps, then what `more` records. With a query set, its first two places get the times of begin and end.
    pub(crate) fn send(
        self,
        times: Option<&wgpu::QuerySet>,
        more: impl FnOnce(&mut wgpu::CommandEncoder),
    ) -> Result<wgpu::SubmissionIndex, GpuError> {
        let gpu = self.gpu;
        let uniform = gpu.memory(Use::Parameters, (self.parameters.len() as u64).max(PARAMETERS))?;
        gpu.guarded(|| {
            if !self.parameters.is_empty() {
                gpu.queue.write_buffer(&uniform.raw, 0, &self.parameters);
            }
            let mut encoder = gpu.device.create_command_encoder(&wgpu::CommandEncoderDescriptor::default());
            self.encode(&uniform.raw, times, &mut encoder);
            more(&mut encoder);
            gpu.queue.submit([encoder.finish()])
        })
    }

    fn encode(&self, uniform: &wgpu::Buffer, times: Option<&wgpu::QuerySet>, encoder: &mut wgpu::CommandEncoder) {
        let mut binds: HashMap<Vec<usize>, wgpu::BindGroup> = HashMap::new();
        let mut place = 0;
        while place < self.steps.len() {
            match &self.steps[place] {
                Step::Clear(buffer) => encoder.clear_buffer(buffer.raw(), 0, Some(buffer.bytes())),
                Step::Copy { from, to } => encoder.copy_buffer_to_buffer(from.raw(), 0, to.raw(), 0, to.bytes().min(from.bytes())),
                Step::Call { .. } => {
                    let calls = self.steps[place..].iter().take_while(|step| matches!(step, Step::Call { .. })).count();
                    let timestamp_writes = times.map(|query_set| wgpu::ComputePassTimestampWrites {
                        query_set,
                        beginning_of_pass_write_index: (place == 0).then_some(0),
                        end_of_pass_write_index: (place + calls == self.steps.len()).then_some(1),
                    });
                    let timestamp_writes =
                        timestamp_writes.filter(|writes| writes.beginning_of_pass_write_index.or(writes.end_of_pass_write_index).is_some());
                    let mut pass = encoder.begin_compute_pass(&wgpu::ComputePassDescriptor { label: None, timestamp_writes });
                    for step in &self.steps[place..place + calls] {
                        self.encode_call(step, uniform, &mut binds, &mut pass);
                    }
                    place += calls;
                    continue;
                }
            }
            place += 1;
        }
    }

    fn encode_call(
        &self,
        step: &Step,
        uniform: &wgpu::Buffer,
        binds: &mut HashMap<Vec<usize>, wgpu::BindGroup>,
        pass: &mut wgpu::ComputePass<'_>,
    ) {
        let Step::Call { kernel, buffers, parameters, groups } = step else { return };
        // The same kernel on the same arrays needs no new binding. Arrays and kernels live as long as the recording, so places in memory tell them apart.
        let lengths = buffers.iter().map(|buffer| buffer.len);
        let key = std::iter::once(Arc::as_ptr(kernel) as usize)
            .chain(buffers.iter().map(|buffer| Arc::as_ptr(&buffer.lease) as usize))
            .chain(lengths)
            .collect();
        let bind = binds.entry(key).or_insert_with(|| {
            let range = |buffer, size| wgpu::BindingResource::Buffer(wgpu::BufferBinding { buffer, offset: 0, size });
            let first = wgpu::BindGroupEntry { binding: 0, resource: range(uniform, wgpu::BufferSize::new(PARAMETERS)) };
            let others = buffers.iter().enumerate().map(|(place, buffer)| wgpu::BindGroupEntry {
                binding: place as u32 + 1,
                resource: range(buffer.raw(), wgpu::BufferSize::new(buffer.bytes())),
            });
            let entries: Vec<_> = std::iter::once(first).chain(others).collect();
            self.gpu.device.create_bind_group(&wgpu::BindGroupDescriptor {
                label: Some(&kernel.name),
                layout: &kernel.layout,
                entries: &entries,
            })
        });
        pass.set_pipeline(&kernel.pipeline);
        pass.set_bind_group(0, &*bind, &[*parameters]);
        pass.dispatch_workgroups(groups[0], groups[1], groups[2]);
    }
}

impl Pending<'_> {
    /// Waits for the arrays.
    ///
    /// # Errors
    /// When the device fails or is lost.
    pub fn wait(mut self) -> Result<Vec<Vec<f32>>, GpuError> {
        self.gpu.wait_for(Some(self.submission.clone()))?;
        let answer = self.mapped.recv().map_err(|_| GpuError::Failed("a result was never mapped".into()))?;
        answer.map_err(|error| GpuError::Failed(error.to_string()))?;
        let mut arrays = Vec::with_capacity(self.parts.len());
        {
            let view = self.host.raw.get_mapped_range(0..self.total).map_err(|error| GpuError::Failed(error.to_string()))?;
            for (start, len) in &self.parts {
                let start = *start as usize;
                arrays.push(bytemuck::pod_collect_to_vec(&view[start..start + len * 4]));
            }
        }
        self.host.raw.unmap();
        self.host.whole = true;
        Ok(arrays)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::device::testing;

    #[test]
    fn what_is_uploaded_is_read_back_and_memory_is_used_again() {
        let Some(gpu) = testing() else { return };
        let values: Vec<f32> = (0..1003).map(|value| value as f32).collect();
        let (first, second) = (gpu.upload(&values).unwrap(), gpu.upload(&values[..5]).unwrap());
        let mut recording = gpu.record();
        let zeros = recording.zeros(7).unwrap();
        let copy = gpu.empty(5).unwrap();
        recording.copy(&second, &copy).unwrap();
        assert!(recording.copy(&first, &copy).is_err());
        let read = recording.read(&[&copy, &first, &zeros]).unwrap();
        assert_eq!(read, [values[..5].to_vec(), values.clone(), vec![0.0; 7]]);
        drop((first, second, copy, zeros));
        let before = gpu.pool_counts().0;
        drop(gpu.upload(&values).unwrap());
        assert!(gpu.pool_counts().0 > before);
    }

    #[test]
    fn an_empty_array_is_an_array() {
        let Some(gpu) = testing() else { return };
        let empty = gpu.upload::<f32>(&[]).unwrap();
        assert!(empty.is_empty());
        assert_eq!(gpu.record().read(&[&empty]).unwrap(), [Vec::<f32>::new()]);
    }

    #[test]
    fn several_results_can_be_on_their_way() {
        let Some(gpu) = testing() else { return };
        let arrays: Vec<Buffer> = (0..4).map(|number| gpu.upload(&[number as f32; 3]).unwrap()).collect();
        let pending: Vec<_> = arrays.iter().map(|array| gpu.record().read_later(&[array]).unwrap()).collect();
        for (number, pending) in pending.into_iter().enumerate().rev() {
            assert_eq!(pending.wait().unwrap(), [[number as f32; 3]]);
        }
    }

    #[test]
    fn workgroups_are_numbered_through_two_directions() {
        let Some(gpu) = testing() else { return };
        let source = "@group(0) @binding(0) var<uniform> p: vec4<u32>;
@group(0) @binding(1) var<storage, read_write> out: array<f32>;
@compute @workgroup_size(1)
fn main(@builtin(workgroup_id) group: vec3<u32>, @builtin(num_workgroups) groups: vec3<u32>) {
    let place = group.y * groups.x + group.x;
    if (place < p.x) { out[place] = f32(place); }
}";
        let kernel = gpu.kernel("places", || source.into(), &[true]).unwrap();
        let count = gpu.most_groups() as usize + 1000;
        let out = gpu.empty(count).unwrap();
        let mut recording = gpu.record();
        recording.call_groups(&kernel, &[count as u32, 0, 0, 0], &[&out], count).unwrap();
        let found = recording.read(&[&out]).unwrap();
        assert!(found[0].iter().enumerate().all(|(place, value)| *value == place as f32));
    }

    #[test]
    fn more_workgroups_than_the_device_takes_are_refused() {
        let Some(gpu) = testing() else { return };
        let source = "@group(0) @binding(0) var<uniform> p: vec4<u32>; @compute @workgroup_size(1) fn main() { _ = p; }";
        let kernel = gpu.kernel("nothing", || source.into(), &[]).unwrap();
        let error = gpu.record().call(&kernel, &[0u32; 4], &[], [1, u32::MAX, 1]).unwrap_err();
        assert!(error.to_string().contains("workgroups"), "{error}");
    }
}
