//! The device's memory, used again: buffers by size class.
//!
//! A buffer goes back to the pool when its last owner drops it. Recorded work owns the buffers that it uses until it is sent, and the queue does its work in order,
//! so a buffer may be taken again at once, even while the device still works with it.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};

/// What a buffer is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Use {
    /// Read and written by kernels.
    Kernels,
    /// Small parameters of kernels.
    Parameters,
    /// Read by the host.
    Host,
}

impl Use {
    fn flags(self) -> wgpu::BufferUsages {
        match self {
            Use::Kernels => wgpu::BufferUsages::STORAGE | wgpu::BufferUsages::COPY_SRC | wgpu::BufferUsages::COPY_DST,
            Use::Parameters => wgpu::BufferUsages::UNIFORM | wgpu::BufferUsages::COPY_DST,
            Use::Host => wgpu::BufferUsages::MAP_READ | wgpu::BufferUsages::COPY_DST,
        }
    }
}

/// Bytes of buffers that nobody uses and that are kept.
const IDLE_BYTES: u64 = 512 << 20;

/// Smallest size of a buffer.
const SMALLEST: u64 = 256;

/// Buffers that nobody uses.
#[derive(Default)]
pub(crate) struct Pool {
    idle: Mutex<Idle>,
}

#[derive(Default)]
struct Idle {
    buffers: HashMap<(Use, u64), Vec<wgpu::Buffer>>,
    bytes: u64,
    taken_again: u64,
}

/// A buffer that goes back to its pool.
pub(crate) struct Lease {
    pub(crate) raw: wgpu::Buffer,
    kind: Use,
    pool: Arc<Pool>,
    /// Whether it can be used again. A buffer whose content the host still waits for can't.
    pub(crate) whole: bool,
}

impl Drop for Lease {
    fn drop(&mut self) {
        if self.whole {
            self.pool.give(self.kind, self.raw.clone());
        }
    }
}

impl Pool {
    /// A buffer of at least `bytes`, its content undefined. `make` makes a new one of a given size.
    pub(crate) fn take<E>(
        self: &Arc<Pool>,
        kind: Use,
        bytes: u64,
        make: impl FnOnce(u64, wgpu::BufferUsages) -> Result<wgpu::Buffer, E>,
    ) -> Result<Lease, E> {
        let size = size_class(bytes);
        let kept = {
            let mut idle = self.idle();
            let kept = idle.buffers.get_mut(&(kind, size)).and_then(Vec::pop);
            if kept.is_some() {
                idle.bytes -= size;
                idle.taken_again += 1;
            }
            kept
        };
        let raw = match kept {
            Some(raw) => raw,
            None => make(size, kind.flags())?,
        };
        Ok(Lease { raw, kind, pool: Arc::clone(self), whole: kind != Use::Host })
    }

    /// Frees every buffer that nobody uses.
    pub(crate) fn clear(&self) {
        let mut idle = self.idle();
        idle.buffers.clear();
        idle.bytes = 0;
    }

    /// How often a buffer was used again, and bytes of those that nobody uses now.
    pub(crate) fn counts(&self) -> (u64, u64) {
        let idle = self.idle();
        (idle.taken_again, idle.bytes)
    }

    fn give(&self, kind: Use, raw: wgpu::Buffer) {
        let size = raw.size();
        let mut idle = self.idle();
        if idle.bytes + size <= IDLE_BYTES {
            idle.bytes += size;
            idle.buffers.entry((kind, size)).or_default().push(raw);
        }
    }

    fn idle(&self) -> std::sync::MutexGuard<'_, Idle> {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The size of the class of `bytes`: four classes for each power of two, so that at most a fifth of a buffer lies fallow.
pub(crate) fn size_class(bytes: u64) -> u64 {
    let bytes = bytes.max(SMALLEST);
    let step = (bytes.next_power_of_two() / 8).max(SMALLEST / 4);
    bytes.div_ceil(step) * step
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gpu::GpuError;
    use crate::gpu::device::testing;

    #[test]
    fn classes_hold_their_bytes_and_waste_little() {
        assert_eq!((size_class(0), size_class(1), size_class(256), size_class(257)), (256, 256, 256, 320));
        for bytes in (1..100_000u64).step_by(37) {
            let class = size_class(bytes);
            assert!(class >= bytes && class.is_multiple_of(64) && size_class(class) == class, "{bytes}: {class}");
            assert!(bytes < 512 || class * 4 <= bytes * 5, "{bytes}: {class}");
        }
    }

    #[test]
    fn a_buffer_that_was_given_back_is_taken_again() {
        let Some(gpu) = testing() else { return };
        let pool = Arc::new(Pool::default());
        let mut made = 0;
        let mut take = |bytes| {
            pool.take::<GpuError>(Use::Kernels, bytes, |size, usage| {
                made += 1;
                Ok(gpu.device.create_buffer(&wgpu::BufferDescriptor { label: None, size, usage, mapped_at_creation: false }))
            })
            .unwrap()
        };
        let first = take(1000);
        let second = take(1000);
        drop(first);
        assert_eq!(pool.counts(), (0, 1024));
        let third = take(1001);
        drop((second, third));
        assert_eq!(pool.counts(), (1, 2048));
        pool.clear();
        assert_eq!(pool.counts(), (1, 0));
        drop(take(5));
        assert_eq!(made, 3);
    }
}
