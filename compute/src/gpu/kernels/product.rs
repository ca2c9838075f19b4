//! Products of matrices on the device: plain, batched, symmetric, and with one operand in half precision.
//!
//! The tile follows from the sizes: 128 × 64 sums a workgroup for large results, smaller ones for results that would not give every part of the device work, and the
//! inner dimension is split where the result alone is too small for that. Partial sums are added in their order.

use bytemuck::{Pod, Zeroable};

use super::super::{Buffer, Gpu, GpuError, Recording};
use super::tile::{DEPTH, Operand, Pairing, Scheme};

/// Workgroups below which a device has idle parts.
const ENOUGH_GROUPS: usize = 64;

/// Least inner indices of a split.
const LEAST_CHUNK: usize = 256;

/// Most splits of the inner dimension.
const MOST_SPLITS: usize = 64;

/// Bytes of the parts in which a large left matrix is sent, so that the next is on its way while one is multiplied.
const PANEL: usize = 64 << 20;

/// A matrix, or one matrix a batch, in an array on the device.
#[derive(Clone, Copy)]
pub struct View<'b> {
    pub(crate) buffer: &'b Buffer,
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) transposed: bool,
    /// Elements between the matrices of two batches; 0 when all batches share one.
    pub(crate) step: usize,
}

impl<'b> View<'b> {
    /// The row-major matrix of `rows × cols` that all batches share.
    pub fn new(buffer: &'b Buffer, rows: usize, cols: usize) -> View<'b> {
        View { buffer, rows, cols, transposed: false, step: 0 }
    }

    /// One row-major matrix of `rows × cols` for each batch, one after the other.
    pub fn batched(buffer: &'b Buffer, rows: usize, cols: usize) -> View<'b> {
        View { step: rows * cols, ..View::new(buffer, rows, cols) }
    }

    /// The transpose, without a copy.
    #[must_use]
    pub fn t(self) -> View<'b> {
        View { rows: self.cols, cols: self.rows, transposed: !self.transposed, ..self }
    }

    fn fits(self, batches: usize) -> bool {
        let size = self.rows.checked_mul(self.cols);
        let needed = if self.step == 0 { size } else { size.and_then(|size| size.checked_mul(batches)) };
        needed.is_some_and(|needed| needed <= self.buffer.len())
    }

    /// Distances of two rows and of two columns.
    fn strides(self) -> (usize, usize) {
        if self.transposed { (1, self.rows) } else { (self.cols, 1) }
    }

    /// The operand of a kernel. `inner_is_columns`: whether the inner dimension is that of the columns (as of a left matrix).
    pub(crate) fn operand(self, inner_is_columns: bool) -> Operand {
        let along = self.transposed == inner_is_columns;
        let side_by_side = if self.transposed { self.rows } else { self.cols };
        Operand::Matrix { along, fours: side_by_side.is_multiple_of(4) && self.step.is_multiple_of(4), half: self.buffer.is_half() }
    }
}

/// What all kernels made by [`Scheme`] get.
#[repr(C)]
#[derive(Debug, Clone, Copy, Default, Pod, Zeroable)]
pub(crate) struct Shape {
    pub(crate) m: u32,
    pub(crate) k: u32,
    pub(crate) n: u32,
    pub(crate) chunk: u32,
    pub(crate) splits: u32,
    pub(crate) first: u32,
    pub(crate) a_row: u32,
    pub(crate) a_inner: u32,
    pub(crate) a_outer: u32,
    pub(crate) a_batch: u32,
    pub(crate) b_column: u32,
    pub(crate) b_inner: u32,
    pub(crate) b_batch: u32,
    pub(crate) period: u32,
    pub(crate) unused: [u32; 2],
}

/// The sizes of a product and the choice that follows from them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Plan {
    pub(crate) m: usize,
    pub(crate) k: usize,
    pub(crate) n: usize,
    pub(crate) batches: usize,
    /// Sums a thread: rows and columns.
    pub(crate) sums: [usize; 2],
    pub(crate) splits: usize,
    pub(crate) chunk: usize,
}

impl Plan {
    /// The tile and the splits for these sizes.
    pub(crate) fn new(batches: usize, m: usize, k: usize, n: usize, symmetric: bool) -> Plan {
        // No larger than the result asks for.
        let fit = |extent: usize, most: usize| (extent.div_ceil(16).next_power_of_two()).clamp(1, most);
        let groups = |rows: usize, columns: usize| m.div_ceil(16 * rows) * n.div_ceil(16 * columns) * batches;
        let mut sums = [fit(m, 8), fit(n, 4)];
        if symmetric {
            sums = [sums[0].min(sums[1]); 2];
        }
        // A long inner dimension gives work by its splits, a short one by smaller tiles.
        while groups(sums[0], sums[1]) < ENOUGH_GROUPS && k < 2 * LEAST_CHUNK && sums[0] * sums[1] > 4 {
            let larger = usize::from(sums[1] > sums[0]);
            sums[larger] /= 2;
            if symmetric {
                sums[1 - larger] = sums[larger];
            }
        }
        let missing = ENOUGH_GROUPS.div_ceil(groups(sums[0], sums[1]).max(1));
        let splits = missing.min(k / LEAST_CHUNK).clamp(1, MOST_SPLITS);
        let chunk = k.div_ceil(splits).next_multiple_of(DEPTH).max(DEPTH);
        Plan { m, k, n, batches, sums, splits: k.div_ceil(chunk).max(1), chunk }
    }

    pub(crate) fn shape(&self) -> Shape {
        let small = |value: usize| value as u32;
        Shape {
            m: small(self.m),
            k: small(self.k),
            n: small(self.n),
            chunk: small(self.chunk),
            splits: small(self.splits),
            period: 1,
            ..Shape::default()
        }
    }
}

impl Recording<'_> {
    /// `A · B` for each of `batches` pairs of matrices: `[batch × rows of A × columns of B]`. A matrix without batches is shared by all.
    ///
    /// # Errors
    /// When sizes don't fit, or memory is short.
    pub fn product(&mut self, a: View<'_>, b: View<'_>, batches: usize) -> Result<Buffer, GpuError> {
        self.paired("product", a, b, batches, Pairing::Product)
    }

    /// `Aᵀ · A`, exactly symmetric, `[columns × columns]`: half the work of the product.
    ///
    /// # Errors
    /// When sizes don't fit, or memory is short.
    pub fn gram(&mut self, a: View<'_>) -> Result<Buffer, GpuError> {
        if !a.fits(1) {
            return Err(GpuError::shape("gram", format!("{} × {} from {} elements", a.rows, a.cols, a.buffer.len())));
        }
        let plan = Plan::new(1, a.cols, a.rows, a.cols, true);
        let (left, right) = (a.t(), a);
        let scheme = scheme(&plan, left.operand(true), right.operand(false), Pairing::Product, true);
        self.tiled(&plan, &scheme, strided(&plan, left, right), &[a.buffer, a.buffer])
    }

    pub(crate) fn paired(
        &mut self,
        operation: &'static str,
        a: View<'_>,
        b: View<'_>,
        batches: usize,
        pairing: Pairing,
    ) -> Result<Buffer, GpuError> {
        if a.cols != b.rows || !a.fits(batches) || !b.fits(batches) {
            let (left, right) = (a.buffer.len(), b.buffer.len());
            let sizes = format!("{} × {} and {} × {}", a.rows, a.cols, b.rows, b.cols);
            return Err(GpuError::shape(operation, format!("{batches} of {sizes} from {left} and {right} elements")));
        }
        let plan = Plan::new(batches, a.rows, a.cols, b.cols, false);
        let scheme = scheme(&plan, a.operand(true), b.operand(false), pairing, false);
        self.tiled(&plan, &scheme, strided(&plan, a, b), &[a.buffer, b.buffer])
    }

    /// Records the calls of a tiled kernel, and the sums of its splits.
    pub(crate) fn tiled(&mut self, plan: &Plan, scheme: &Scheme, shape: Shape, operands: &[&Buffer]) -> Result<Buffer, GpuError> {
        let of_one = plan.m * plan.n;
        let z = plan.batches * plan.splits;
        if of_one == 0 || plan.k == 0 || z == 0 {
            return self.zeros(of_one * plan.batches);
        }
        let longest = operands.iter().map(|operand| operand.len()).chain([of_one.saturating_mul(z), plan.k]).max().unwrap_or(0);
        if u32::try_from(longest).is_err() {
            let most = u64::from(u32::MAX);
            return Err(GpuError::TooLarge { what: "a product".into(), needed: longest as u64, most, unit: "elements" });
        }
        let gpu = self.gpu();
        let written: Vec<bool> = (0..=operands.len()).map(|place| place == operands.len()).collect();
        let kernel = gpu.kernel(&scheme.name(), || scheme.source(), &written)?;
        let result = gpu.empty(of_one * z)?;
        let buffers: Vec<&Buffer> = operands.iter().copied().chain([&result]).collect();
        let groups = [plan.n.div_ceil(16 * scheme.columns) as u32, plan.m.div_ceil(16 * scheme.rows) as u32];
        let most = gpu.most_groups() as usize;
        for first in (0..z).step_by(most) {
            let shape = Shape { first: first as u32, ..shape };
            self.call(&kernel, &shape, &buffers, [groups[0], groups[1], (z - first).min(most) as u32])?;
        }
        if plan.splits == 1 {
            return Ok(result);
        }
        self.sum_groups(&result, plan.batches, plan.splits, of_one)
    }
}

pub(crate) fn scheme(plan: &Plan, left: Operand, right: Operand, pairing: Pairing, symmetric: bool) -> Scheme {
    Scheme { rows: plan.sums[0], columns: plan.sums[1], left, right, pairing, symmetric }
}

fn strided(plan: &Plan, a: View<'_>, b: View<'_>) -> Shape {
    let (a_row, a_inner) = a.strides();
    let (b_inner, b_column) = b.strides();
    let [a_row, a_inner, b_inner, b_column, a_batch, b_batch] = [a_row, a_inner, b_inner, b_column, a.step, b.step].map(|step| step as u32);
    Shape { a_row, a_inner, b_inner, b_column, a_batch, b_batch, ..plan.shape() }
}

impl Gpu {
    /// `a [m × k] · b [k × n]`, row-major. A large left matrix is sent in parts, while those before it are multiplied.
    ///
    /// # Errors
    /// When lengths don't fit, or the device fails.
    pub fn matmul(&self, a: &[f32], b: &[f32], m: usize, k: usize, n: usize) -> Result<Vec<f32>, GpuError> {
        self.matmul_in_parts(a, b, [m, k, n], PANEL)
    }

    fn matmul_in_parts(&self, a: &[f32], b: &[f32], [m, k, n]: [usize; 3], panel: usize) -> Result<Vec<f32>, GpuError> {
        check("product", a.len(), &[m, k])?;
        check("product", b.len(), &[k, n])?;
        if m * k * n == 0 {
            return Ok(vec![0.0; m * n]);
        }
        let right = self.upload(b)?;
        let rows = (panel / (4 * k.max(n))).max(1).next_multiple_of(128).min(m);
        let mut values = Vec::with_capacity(m * n);
        let mut pending = std::collections::VecDeque::new();
        for part in a.chunks(rows * k) {
            let left = self.upload(part)?;
            let mut recording = self.record();
            let product = recording.product(View::new(&left, part.len() / k, k), View::new(&right, k, n), 1)?;
            pending.push_back(recording.read_later(&[&product])?);
            if pending.len() > 2 {
                take_first(&mut pending, &mut values)?;
            }
        }
        while !pending.is_empty() {
            take_first(&mut pending, &mut values)?;
        }
        Ok(values)
    }

    /// As many products `a [m × k] · b [k × n]` as there are batches, one after the other in all three.
    ///
    /// # Errors
    /// When lengths don't fit, or the device fails.
    pub fn batched_matmul(&self, a: &[f32], b: &[f32], batches: usize, m: usize, k: usize, n: usize) -> Result<Vec<f32>, GpuError> {
        check("batched product", a.len(), &[batches, m, k])?;
        check("batched product", b.len(), &[batches, k, n])?;
        let (left, right) = (self.upload(a)?, self.upload(b)?);
        let mut recording = self.record();
        let product = recording.product(View::batched(&left, m, k), View::batched(&right, k, n), batches)?;
        one(recording.read(&[&product])?)
    }

    /// `aᵀ · a` of a row-major matrix, exactly symmetric `[cols × cols]`.
    ///
    /// # Errors
    /// When lengths don't fit, or the device fails.
    pub fn gram(&self, a: &[f32], rows: usize, cols: usize) -> Result<Vec<f32>, GpuError> {
        check("gram", a.len(), &[rows, cols])?;
        let a = self.upload(a)?;
        let mut recording = self.record();
        let gram = recording.gram(View::new(&a, rows, cols))?;
        one(recording.read(&[&gram])?)
    }
}

fn take_first(pending: &mut std::collections::VecDeque<super::super::record::Pending<'_>>, values: &mut Vec<f32>) -> Result<(), GpuError> {
    if let Some(first) = pending.pop_front() {
        values.extend(one(first.wait()?)?);
    }
    Ok(())
}

/// Refuses a number of elements that does not fill a shape.
pub(crate) fn check(operation: &'static str, found: usize, shape: &[usize]) -> Result<(), GpuError> {
    if shape.iter().try_fold(1usize, |size, &extent| size.checked_mul(extent)) == Some(found) {
        return Ok(());
    }
    Err(GpuError::shape(operation, format!("{found} elements don't fill {shape:?}")))
}

/// The first of the arrays that were read.
pub(crate) fn one(arrays: Vec<Vec<f32>>) -> Result<Vec<f32>, GpuError> {
    arrays.into_iter().next().ok_or_else(|| GpuError::Failed("nothing was read back".into()))
}

#[cfg(test)]
mod tests {
    use super::super::super::device::{testing, testing_all};
    use super::*;
    use crate::gpu::kernels::tests::{normal, worst};

    /// The definition in double precision. Views are given as element functions.
    pub(crate) fn definition(m: usize, k: usize, n: usize, a: impl Fn(usize, usize) -> f32, b: impl Fn(usize, usize) -> f32) -> Vec<f64> {
        let element = |row, column| (0..k).map(|inner| f64::from(a(row, inner)) * f64::from(b(inner, column))).sum();
        (0..m).flat_map(|row| (0..n).map(move |column| (row, column))).map(|(row, column)| element(row, column)).collect()
    }

    #[test]
    fn products_equal_the_definition_for_sizes_that_fill_no_tile() {
        let Some(gpu) = testing() else { return };
        println!("on {}", gpu.adapter());
        let sizes =
            [(1, 1, 1), (16, 16, 16), (17, 33, 5), (3, 100, 40), (64, 56, 8), (130, 20, 68), (5, 1, 7), (33, 1100, 9), (200, 36, 132)];
        for (m, k, n) in sizes {
            let (a, b) = (normal(1, m * k), normal(2, k * n));
            let expected = definition(m, k, n, |row, inner| a[row * k + inner], |inner, column| b[inner * n + column]);
            let tolerance = 2e-6 * (k as f64).sqrt() + 1e-6;
            assert!(worst(&gpu.matmul(&a, &b, m, k, n).unwrap(), &expected) < tolerance, "{m} × {k} × {n}");
            // All four layouts of the same product.
            let turn = |x: &[f32], rows: usize, cols: usize| -> Vec<f32> {
                (0..cols).flat_map(|col| (0..rows).map(move |row| x[row * cols + col])).collect()
            };
            let (at, bt) = (gpu.upload(&turn(&a, m, k)).unwrap(), gpu.upload(&turn(&b, k, n)).unwrap());
            let (a, b) = (gpu.upload(&a).unwrap(), gpu.upload(&b).unwrap());
            let (a, b, at, bt) = (View::new(&a, m, k), View::new(&b, k, n), View::new(&at, k, m).t(), View::new(&bt, n, k).t());
            for (left, right) in [(a, bt), (at, b), (at, bt)] {
                let mut recording = gpu.record();
                let product = recording.product(left, right, 1).unwrap();
                let found = recording.read(&[&product]).unwrap();
                assert!(worst(&found[0], &expected) < tolerance, "{m} × {k} × {n}");
            }
        }
    }

    #[test]
    fn batches_are_as_many_products_and_may_share_a_matrix() {
        let Some(gpu) = testing() else { return };
        for (batches, m, k, n) in [(3, 5, 7, 4), (2, 40, 16, 36), (70, 1, 3, 1), (0, 2, 2, 2)] {
            let (a, b) = (normal(3, batches * m * k), normal(4, batches * k * n));
            let expected: Vec<f64> = (0..batches)
                .flat_map(|batch| {
                    let (a, b) = (&a[batch * m * k..], &b[batch * k * n..]);
                    definition(m, k, n, |row, inner| a[row * k + inner], |inner, column| b[inner * n + column])
                })
                .collect();
            assert!(worst(&gpu.batched_matmul(&a, &b, batches, m, k, n).unwrap(), &expected) < 1e-5);
        }
        let (a, b) = (normal(5, 6), normal(6, 2 * 12));
        let (left, right) = (gpu.upload(&a).unwrap(), gpu.upload(&b).unwrap());
        let mut recording = gpu.record();
        let product = recording.product(View::new(&left, 2, 3), View::batched(&right, 3, 4), 2).unwrap();
        let found = recording.read(&[&product]).unwrap();
        let second = definition(2, 3, 4, |row, inner| a[row * 3 + inner], |inner, column| b[12 + inner * 4 + column]);
        assert!(worst(&found[0][8..], &second) < 1e-5);
    }

    #[test]
    fn grams_are_exactly_symmetric() {
        let Some(gpu) = testing() else { return };
        for (rows, cols) in [(1, 1), (9, 70), (700, 12), (1300, 130), (40, 3), (0, 5), (5, 0)] {
            let a = normal(7, rows * cols);
            let found = gpu.gram(&a, rows, cols).unwrap();
            let expected = definition(cols, rows, cols, |row, inner| a[inner * cols + row], |inner, column| a[inner * cols + column]);
            assert!(worst(&found, &expected) < 2e-6 * (rows as f64).max(4.0), "{rows} × {cols}");
            assert!((0..cols * cols).all(|at| found[at].to_bits() == found[at % cols * cols + at / cols].to_bits()));
        }
    }

    #[test]
    fn half_precision_in_memory_agrees_to_its_rounding() {
        for gpu in testing_all() {
            let (m, k, n) = (68, 36, 20);
            let (a, b) = (normal(8, m * k), normal(9, k * n));
            let (left, right) = (gpu.upload(&a).unwrap(), gpu.upload(&b).unwrap());
            let mut recording = gpu.record();
            let Some(half) = recording.halved(&left).unwrap() else {
                assert!(!gpu.abilities().half);
                continue;
            };
            assert!(half.is_half() && gpu.abilities().half);
            let product = recording.product(View::new(&half, m, k), View::new(&right, k, n), 1).unwrap();
            let found = recording.read(&[&product]).unwrap();
            let expected = definition(m, k, n, |row, inner| a[row * k + inner], |inner, column| b[inner * n + column]);
            let error = worst(&found[0], &expected);
            // Eleven bits a factor, 36 of them.
            assert!(error < 0.02 && error > 1e-5, "{error}");
            assert!(gpu.record().read(&[&half]).is_err());
        }
    }

    #[test]
    fn a_matrix_that_is_sent_in_parts_gives_the_same_product() {
        let Some(gpu) = testing() else { return };
        let (m, k, n) = (300, 70, 3);
        let (a, b) = (normal(12, m * k), normal(13, k * n));
        let whole = gpu.matmul(&a, &b, m, k, n).unwrap();
        // Rows are sent 128 at a time. The tile may differ from that of the whole, the order of each sum does not.
        assert_eq!(gpu.matmul_in_parts(&a, &b, [m, k, n], 1).unwrap(), whole);
    }

    #[test]
    fn sizes_choose_tiles_and_splits() {
        let large = Plan::new(1, 4096, 4096, 4096, false);
        assert_eq!((large.sums, large.splits), ([8, 4], 1));
        assert_eq!(Plan::new(1, 10, 10, 10, false).sums, [1, 1]);
        let long = Plan::new(1, 20, 100_000, 16, false);
        assert_eq!((long.sums, long.splits), ([2, 1], 64));
        assert!(long.chunk * long.splits >= 100_000 && long.chunk.is_multiple_of(DEPTH));
        assert_eq!(Plan::new(1, 1000, 64, 1000, true).sums, [4, 4]);
    }

    #[test]
    fn the_same_product_gives_the_same_bytes_and_wrong_lengths_are_refused() {
        let Some(gpu) = testing() else { return };
        let (a, b) = (normal(10, 100 * 700), normal(11, 700 * 30));
        let once = gpu.matmul(&a, &b, 100, 700, 30).unwrap();
        assert!(once.iter().zip(gpu.matmul(&a, &b, 100, 700, 30).unwrap()).all(|(a, b)| a.to_bits() == b.to_bits()));
        let error = gpu.matmul(&[1.0], &[1.0], 2, 1, 1).unwrap_err();
        assert_eq!(error.to_string(), "product on the GPU: 1 elements don't fill [2, 1]");
        assert!(gpu.batched_matmul(&[1.0], &[1.0], 2, 1, 1, 1).is_err() && gpu.gram(&[1.0], 1, 2).is_err());
        assert_eq!(gpu.matmul(&[], &[], 2, 0, 3).unwrap(), [0.0; 6]);
    }
}
