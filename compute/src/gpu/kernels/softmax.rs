//! Softmax of each row: exponentials over their sum, the largest element taken away first so that none overflows.

use bytemuck::{Pod, Zeroable};

use super::super::{Buffer, Gpu, GpuError, Recording};
use super::fold::Threads;
use super::product::{check, one};
use super::tile::fill;

/// Columns up to which one thread does a row.
const FEW_COLUMNS: usize = 64;

#[repr(C)]
#[derive(Clone, Copy, Pod, Zeroable)]
struct Parameters([u32; 4]);

impl Recording<'_> {
    /// The softmax of each row of a row-major matrix. A row with a NaN, or of minus infinities alone, gives NaNs.
    ///
    /// # Errors
    /// When sizes don't fit, or memory is short.
    pub fn softmax_rows(&mut self, x: &Buffer, rows: usize, columns: usize) -> Result<Buffer, GpuError> {
        check("softmax", x.len(), &[rows, columns])?;
        let gpu = self.gpu();
        let shares = gpu.empty(x.len())?;
        if x.is_empty() {
            return Ok(shares);
        }
        let parameters = Parameters([rows as u32, columns as u32, 0, 0]);
        let own = |value: &str| value.to_owned();
        let common = || own(include_str!("combine.wgsl"));
        if columns <= FEW_COLUMNS {
            let source = || fill(include_str!("softmax_short.wgsl"), &[("functions", common())]);
            let kernel = gpu.kernel("softmax of few", source, &[false, true])?;
            self.call_each(&kernel, &parameters, &[x, &shares], rows)?;
        } else {
            let source = || {
                let threads = Threads::of(gpu);
                // Both functions use the same memory, one after the other.
                let sums = threads.combine("added").replace("fn of_all", "fn sum_of_all");
                let sums = sums.replace("var<workgroup> parts: array<f32, 256>;", "");
                let values = [
                    ("functions", common() + &threads.combine("larger")),
                    ("second_functions", sums),
                    ("builtins", own(threads.builtins)),
                    ("lane", own(threads.lane)),
                ];
                fill(include_str!("softmax.wgsl"), &values)
            };
            let kernel = gpu.kernel("softmax", source, &[false, true])?;
            self.call_groups(&kernel, &parameters, &[x, &shares], rows)?;
        }
        Ok(shares)
    }
}

impl Gpu {
    /// The softmax of each row of a row-major matrix.
    ///
    /// # Errors
    /// When lengths don't fit, or the device fails.
    pub fn softmax_rows(&self, x: &[f32], rows: usize, columns: usize) -> Result<Vec<f32>, GpuError> {
        let x = self.upload(x)?;
        let mut recording = self.record();
        let shares = recording.softmax_rows(&x, rows, columns)?;
        one(recording.read(&[&shares])?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::device::testing_all;
    use crate::gpu::kernels::tests::{normal, worst};

    #[test]
    fn rows_equal_the_definition_and_huge_values_do_not_overflow() {
        for gpu in testing_all() {
            for (rows, columns) in [(1, 1), (300, 10), (7, 64), (7, 65), (5, 1000), (0, 3), (3, 0)] {
                for scale in [1.0, 300.0] {
                    let x: Vec<f32> = normal(1, rows * columns).iter().map(|value| scale * value).collect();
                    let softmax = |row: &[f32]| {
                        let most = row.iter().copied().fold(f32::NEG_INFINITY, f32::max);
                        let shares: Vec<f64> = row.iter().map(|value| (f64::from(*value) - f64::from(most)).exp()).collect();
                        let total: f64 = shares.iter().sum();
                        shares.into_iter().map(|share| share / total).collect::<Vec<_>>()
                    };
                    let expected: Vec<f64> = x.chunks(columns.max(1)).flat_map(softmax).collect();
                    let found = gpu.softmax_rows(&x, rows, columns).unwrap();
                    assert!(worst(&found, &expected) < 1e-5 * f64::from(scale), "{rows} × {columns}");
                }
            }
            let gap = gpu.softmax_rows(&[1.0, f32::NAN, 2.0, 3.0], 2, 2).unwrap();
            assert!(gap[0].is_nan() && gap[1].is_nan() && (gap[2] + gap[3] - 1.0).abs() < 1e-6);
            let closed = gpu.softmax_rows(&[0.0, f32::NEG_INFINITY], 1, 2).unwrap();
            assert_eq!(closed, [1.0, 0.0]);
            assert!(gpu.softmax_rows(&[1.0], 1, 2).is_err());
        }
    }
}
