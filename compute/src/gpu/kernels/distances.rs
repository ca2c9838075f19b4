//! Squared Euclidean distances of all pairs of rows.
//!
//! Squares of differences are summed, not `‖x‖² + ‖y‖² − 2 x·y`, whose terms cancel in single precision when rows are near each other and far from zero.

use super::super::{Buffer, Gpu, GpuError, Recording};
use super::product::{View, check, one};
use super::tile::Pairing;

impl Recording<'_> {
    /// Squared distances of each row of `x` to each row of `y`: `[rows of x × rows of y]`.
    ///
    /// # Errors
    /// When sizes don't fit, or memory is short.
    pub fn squared_distances(&mut self, x: View<'_>, y: View<'_>) -> Result<Buffer, GpuError> {
        self.paired("distances", x, y.t(), 1, Pairing::SquaredDifference)
    }
}

impl Gpu {
    /// Squared distances of each row of `x` to each row of `y`, both row-major with `columns` columns: `[rows of x × rows of y]`.
    ///
    /// # Errors
    /// When lengths are no multiple of `columns`, or the device fails.
    pub fn squared_distances(&self, x: &[f32], y: &[f32], columns: usize) -> Result<Vec<f32>, GpuError> {
        let rows = |values: &[f32]| values.len().checked_div(columns).unwrap_or(0);
        check("distances", x.len(), &[rows(x), columns])?;
        check("distances", y.len(), &[rows(y), columns])?;
        let (left, right) = (self.upload(x)?, self.upload(y)?);
        let mut recording = self.record();
        let distances = recording.squared_distances(View::new(&left, rows(x), columns), View::new(&right, rows(y), columns))?;
        one(recording.read(&[&distances])?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::device::testing;
    use crate::gpu::kernels::tests::{normal, worst};

    #[test]
    fn distances_equal_the_definition_also_far_from_zero() {
        let Some(gpu) = testing() else { return };
        for (m, n, columns) in [(1, 1, 1), (67, 35, 9), (130, 70, 32), (3, 0, 4)] {
            let far = |values: Vec<f32>| values.into_iter().map(|value| value + 1000.0).collect::<Vec<_>>();
            let (x, y) = (far(normal(1, m * columns)), far(normal(2, n * columns)));
            let distance = |a: &[f32], b: &[f32]| a.iter().zip(b).map(|(a, b)| (f64::from(*a) - f64::from(*b)).powi(2)).sum::<f64>();
            let expected: Vec<f64> =
                x.chunks(columns).flat_map(|a| y.chunks(columns).map(|b| distance(a, b)).collect::<Vec<_>>()).collect();
            assert!(worst(&gpu.squared_distances(&x, &y, columns).unwrap(), &expected) < 1e-4);
        }
        let same = gpu.squared_distances(&[3.5, 1e6], &[3.5, 1e6], 1).unwrap();
        assert_eq!((same[0], same[3]), (0.0, 0.0));
        assert!(gpu.squared_distances(&[1.0; 3], &[1.0; 2], 2).is_err() && gpu.squared_distances(&[1.0], &[1.0], 0).is_err());
    }
}
