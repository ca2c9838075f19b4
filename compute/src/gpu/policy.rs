//! What `gpu = never`, `prefer` and `require` mean.
//!
//! * `never`: the CPU.
//! * `prefer`: a graphics card where there is one. When there is none, or it fails, is lost or full, the same work is done on the CPU, and the reason is kept.
//!   A program that plays a graphics card on the CPU is slower than the CPU's own kernels and does not count.
//! * `require`: a graphics card, or where there is none a program that plays one; a failure of it is an error.

use std::sync::Arc;

use super::{Adapter, Gpu, GpuError, Which};

/// Whether work runs on the GPU.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Policy {
    /// On the CPU.
    #[default]
    Never,
    /// On the GPU where that works, else on the CPU.
    Prefer,
    /// On the GPU, or not at all.
    Require,
}

/// Where work ran.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Place {
    /// On the CPU, as asked.
    Cpu,
    /// On the CPU, because the GPU gave nothing.
    CpuInstead(GpuError),
    /// On this adapter.
    Gpu(Adapter),
}

impl Policy {
    /// The device to use now: none for the CPU.
    ///
    /// # Errors
    /// Under `require`, when there is no device.
    pub fn device(self) -> Result<Option<Arc<Gpu>>, GpuError> {
        match self {
            Policy::Never => Ok(None),
            Policy::Prefer => Ok(Gpu::shared(Which::Hardware).ok()),
            Policy::Require => Gpu::shared(Which::Any).map(Some),
        }
    }
}

/// Does `work` on the device that the policy gives, and under `prefer` once more on the CPU when the device fails. `work` gets `None` for the CPU.
///
/// # Errors
/// What `work` fails with on the CPU or under `require`, and sizes that don't fit together anywhere.
pub fn by_policy<T>(policy: Policy, mut work: impl FnMut(Option<&Gpu>) -> Result<T, GpuError>) -> Result<(T, Place), GpuError> {
    let gpu = match policy {
        Policy::Never => return Ok((work(None)?, Place::Cpu)),
        Policy::Require => Gpu::shared(Which::Any),
        Policy::Prefer => Gpu::shared(Which::Hardware),
    };
    on(policy, gpu, &mut work)
}

fn on<T>(
    policy: Policy,
    gpu: Result<Arc<Gpu>, GpuError>,
    work: &mut impl FnMut(Option<&Gpu>) -> Result<T, GpuError>,
) -> Result<(T, Place), GpuError> {
    let done = gpu.and_then(|gpu| Ok((work(Some(&gpu))?, Place::Gpu(gpu.adapter().clone()))));
    match done {
        Err(error) if policy == Policy::Prefer && error.is_of_the_device() => Ok((work(None)?, Place::CpuInstead(error))),
        done => done,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn on_the_cpu(gpu: Option<&Gpu>) -> Result<bool, GpuError> {
        Ok(gpu.is_none())
    }

    #[test]
    fn without_a_device_prefer_falls_back_and_require_fails() {
        let none = || Err(GpuError::None("there is no adapter".into()));
        assert_eq!(by_policy(Policy::Never, on_the_cpu).unwrap(), (true, Place::Cpu));
        let (value, place) = on(Policy::Prefer, none(), &mut on_the_cpu).unwrap();
        assert!(value);
        assert_eq!(place, Place::CpuInstead(GpuError::None("there is no adapter".into())));
        assert_eq!(on(Policy::Require, none(), &mut on_the_cpu).unwrap_err().to_string(), "no GPU can be used: there is no adapter");
    }

    #[test]
    fn what_fails_on_the_device_is_done_on_the_cpu_under_prefer_alone() {
        let Some(gpu) = super::super::device::testing() else { return };
        let full = || GpuError::OutOfMemory("4 GiB".into());
        let mut work = |gpu: Option<&Gpu>| if gpu.is_some() { Err(full()) } else { Ok(7) };
        assert_eq!(on(Policy::Prefer, Ok(gpu.clone()), &mut work).unwrap(), (7, Place::CpuInstead(full())));
        assert_eq!(on(Policy::Require, Ok(gpu.clone()), &mut work).unwrap_err(), full());
        // A mistake stays one.
        let wrong = || GpuError::shape("product", "2 and 3");
        assert_eq!(on::<u8>(Policy::Prefer, Ok(gpu.clone()), &mut |_| Err(wrong())).unwrap_err(), wrong());
        assert_eq!(on(Policy::Require, Ok(gpu.clone()), &mut on_the_cpu).unwrap(), (false, Place::Gpu(gpu.adapter().clone())));
    }
}
