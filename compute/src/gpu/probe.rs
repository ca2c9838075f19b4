//! What a device reaches at best: bytes of its memory in a second, and multiply–adds in a second. For benchmarks.

use std::fmt::Write as _;
use std::time::Instant;

use super::kernels::Unary;
use super::kernels::tile::fill;
use super::{Gpu, GpuError, Recording};

/// Chains of multiply–adds that one thread has at a time, so that each step does not wait for the one before.
const CHAINS: usize = 8;

/// Steps of each chain that are written out.
const STEPS: usize = 32;

/// Workgroups of the arithmetic.
const GROUPS: u32 = 4096;

/// Bytes read and written in a second by copying `elements` numbers.
///
/// # Errors
/// When memory is short, or the device fails.
pub fn copied_bytes_a_second(gpu: &Gpu, elements: usize) -> Result<f64, GpuError> {
    let from = gpu.upload(&vec![1.0f32; elements])?;
    let mut recording = gpu.record();
    recording.map(&from, Unary::Linear { scale: 1.0, shift: 0.0 })?;
    Ok(8.0 * elements as f64 / seconds(gpu, recording)?)
}

/// Multiplications and additions in single precision in a second, without memory. `rounds` makes the work longer.
///
/// # Errors
/// When the device fails.
pub fn operations_a_second(gpu: &Gpu, rounds: u32) -> Result<f64, GpuError> {
    let source = || {
        let (mut start, mut steps) = (String::new(), String::new());
        for chain in 0..CHAINS {
            let _ = writeln!(start, "    var chain_{chain} = vec4<f32>(start + {chain}.0);");
        }
        for _ in 0..STEPS {
            for chain in 0..CHAINS {
                let _ = writeln!(steps, "        chain_{chain} = fma(chain_{chain}, factor, factor);");
            }
        }
        let sum = (0..CHAINS).map(|chain| format!("chain_{chain}")).collect::<Vec<_>>().join(" + ");
        fill(include_str!("kernels/probe.wgsl"), &[("start", start), ("steps", steps), ("sum", sum)])
    };
    let kernel = gpu.kernel("probe", source, &[true])?;
    let groups = GROUPS.min(gpu.most_groups());
    let kept = gpu.empty(groups as usize * 256)?;
    let mut recording = gpu.record();
    recording.call(&kernel, &[rounds, 0, 0, 0], &[&kept], [groups, 1, 1])?;
    let operations = 2.0 * 4.0 * (CHAINS * STEPS) as f64 * f64::from(rounds) * f64::from(groups) * 256.0;
    Ok(operations / seconds(gpu, recording)?)
}

/// By the device's clock where it has one.
fn seconds(gpu: &Gpu, recording: Recording<'_>) -> Result<f64, GpuError> {
    let begin = Instant::now();
    let told = gpu.seconds_of(recording)?;
    Ok(told.filter(|seconds| *seconds > 0.0).unwrap_or_else(|| begin.elapsed().as_secs_f64()))
}

#[cfg(test)]
mod tests {
    use super::super::device::testing;
    use super::*;

    #[test]
    fn a_device_reaches_something() {
        let Some(gpu) = testing() else { return };
        let (bytes, operations) = (copied_bytes_a_second(&gpu, 1 << 14).unwrap(), operations_a_second(&gpu, 1).unwrap());
        assert!(bytes > 1e6 && bytes < 1e15 && operations > 1e6 && operations < 1e16, "{bytes} {operations}");
    }
}
