//! Unfoldings of a three-way tensor times the Khatri–Rao product of two factors (MTTKRP; Kolda & Bader 2009, section 3.4).
//!
//! The Khatri–Rao product is made while it is read and never lies in memory. Several decompositions of one tensor are one product: their factors lie side by
//! side, `[size of the mode × (all components of all of them)]`, and the tensor is read once for all.

use super::super::{Buffer, Gpu, GpuError, Recording};
use super::product::{Plan, Shape, check, one, scheme};
use super::tile::{Operand, Pairing};

impl Recording<'_> {
    /// The product for `mode` of a row-major tensor of `shape`: `[size of the mode × components]`. `first` and `second` are the factors of the two other
    /// modes in their order.
    ///
    /// # Errors
    /// When sizes don't fit, or memory is short.
    pub fn mttkrp(
        &mut self,
        tensor: &Buffer,
        shape: [usize; 3],
        [first, second]: [&Buffer; 2],
        components: usize,
        mode: usize,
    ) -> Result<Buffer, GpuError> {
        let [i, j, k] = shape;
        // Size of the mode; sizes of the others; distances in memory of this mode and of the others; whether this mode's elements lie side by side.
        let (rows, others, strides, along) = match mode {
            0 => (i, [j, k], [j * k, k, 1], false),
            1 => (j, [i, k], [k, j * k, 1], false),
            2 => (k, [i, j], [1, j * k, k], true),
            _ => return Err(GpuError::shape("mttkrp", format!("there is no mode {mode} in a tensor of shape {shape:?}"))),
        };
        check("mttkrp", tensor.len(), &shape)?;
        check("mttkrp", first.len(), &[others[0], components])?;
        check("mttkrp", second.len(), &[others[1], components])?;
        let plan = Plan::new(1, rows, others[0] * others[1], components, false);
        let scheme = scheme(&plan, Operand::Unfolding { along }, Operand::KhatriRao, Pairing::Product, false);
        let [a_row, a_outer, a_inner] = strides.map(|stride| stride as u32);
        let shape = Shape { a_row, a_outer, a_inner, period: others[1].max(1) as u32, ..plan.shape() };
        self.tiled(&plan, &scheme, shape, &[tensor, first, second])
    }
}

impl Gpu {
    /// The product for `mode` of a row-major tensor: `[size of the mode × components]`. `first` and `second` are the row-major factors of the two other modes.
    ///
    /// # Errors
    /// When lengths don't fit, or the device fails.
    pub fn mttkrp(
        &self,
        tensor: &[f32],
        shape: [usize; 3],
        [first, second]: [&[f32]; 2],
        components: usize,
        mode: usize,
    ) -> Result<Vec<f32>, GpuError> {
        let (tensor, first, second) = (self.upload(tensor)?, self.upload(first)?, self.upload(second)?);
        let mut recording = self.record();
        let product = recording.mttkrp(&tensor, shape, [&first, &second], components, mode)?;
        one(recording.read(&[&product])?)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::device::testing;
    use crate::Matrix;
    use crate::gpu::kernels::tests::{normal, worst};
    use crate::tensor::{TensorRef, mttkrp};

    #[test]
    fn every_mode_equals_the_one_of_the_cpu() {
        let Some(gpu) = testing() else { return };
        for (shape, components) in [([5, 6, 7], 3), ([65, 30, 21], 6), ([1, 1, 1], 1), ([40, 9, 50], 37), ([3, 0, 2], 2), ([4, 3, 2], 0)] {
            let double = |values: &[f32]| values.iter().map(|value| f64::from(*value)).collect::<Vec<_>>();
            let values = normal(1, shape.iter().product());
            let factors: Vec<Vec<f32>> = shape.iter().enumerate().map(|(mode, size)| normal(2 + mode as u64, size * components)).collect();
            let exact = double(&values);
            let tensor = TensorRef::new(&shape, &exact).unwrap();
            let matrices: Vec<Matrix> =
                factors.iter().zip(shape).map(|(factor, size)| Matrix::new(size, components, double(factor)).unwrap()).collect();
            for mode in 0..3 {
                let others: Vec<&[f32]> = (0..3).filter(|other| *other != mode).map(|other| factors[other].as_slice()).collect();
                let found = gpu.mttkrp(&values, shape, [others[0], others[1]], components, mode).unwrap();
                let expected = mttkrp(tensor, &matrices, mode).unwrap();
                assert!(worst(&found, expected.values()) < 3e-4, "{shape:?} {components} {mode}");
            }
        }
        assert!(gpu.mttkrp(&[1.0], [1, 1, 1], [&[1.0], &[1.0]], 1, 3).unwrap_err().to_string().contains("no mode 3"));
        assert!(gpu.mttkrp(&[1.0], [1, 1, 2], [&[1.0], &[1.0]], 1, 0).is_err());
    }
}
