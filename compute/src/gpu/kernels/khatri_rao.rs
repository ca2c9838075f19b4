//! Khatri–Rao products that lie in memory, for who needs them as such; [`super::mttkrp`] makes its own while it reads.

use super::super::{Buffer, GpuError, Recording};
use super::product::check;

impl Recording<'_> {
    /// Row `(i, j)` is the element-wise product of row `i` of `a` and row `j` of `b`, `j` running faster: `[rows of a · rows of b × columns]`, row-major.
    ///
    /// # Errors
    /// When sizes don't fit, or memory is short.
    pub fn khatri_rao(&mut self, a: &Buffer, b: &Buffer, [rows, others]: [usize; 2], columns: usize) -> Result<Buffer, GpuError> {
        check("Khatri–Rao product", a.len(), &[rows, columns])?;
        check("Khatri–Rao product", b.len(), &[others, columns])?;
        let gpu = self.gpu();
        let count = rows * others * columns;
        let product = gpu.empty(count)?;
        let kernel = gpu.kernel("Khatri–Rao", || include_str!("khatri_rao.wgsl").to_owned(), &[false, false, true])?;
        self.call_each(&kernel, &[count as u32, others as u32, columns as u32, 0], &[a, b, &product], count)?;
        Ok(product)
    }
}

#[cfg(test)]
mod tests {
    use super::super::super::device::testing;
    use crate::Matrix;
    use crate::gpu::kernels::tests::{normal, worst};

    #[test]
    fn rows_are_products_of_rows() {
        let Some(gpu) = testing() else { return };
        for (rows, others, columns) in [(1, 1, 1), (7, 5, 3), (300, 40, 2), (0, 2, 2)] {
            let (a, b) = (normal(1, rows * columns), normal(2, others * columns));
            let double = |values: &[f32], rows| Matrix::new(rows, columns, values.iter().map(|value| f64::from(*value)).collect()).unwrap();
            let expected = crate::product::khatri_rao(&double(&a, rows), &double(&b, others)).unwrap();
            let (a, b) = (gpu.upload(&a).unwrap(), gpu.upload(&b).unwrap());
            let mut recording = gpu.record();
            let product = recording.khatri_rao(&a, &b, [rows, others], columns).unwrap();
            assert!(recording.khatri_rao(&a, &b, [rows + 1, others], columns).is_err());
            assert!(worst(&recording.read(&[&product]).unwrap()[0], expected.values()) < 1e-5);
        }
    }
}
