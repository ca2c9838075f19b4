//! Products of matrices in single precision, on faer's kernels: for networks, and as the twin of the products on the GPU.
//!
//! As in [`crate::product`], large products are cut into parts of the result, by rows or columns, whichever are more; the borders follow from the shapes alone, and each part is one
//! sequential kernel, so the number of threads does not change a bit of the result.

use faer::linalg::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::iter::{IndexedParallelIterator as _, ParallelIterator as _};

use crate::panels::{Vectors, gram};
use crate::product::for_each_chunk;
use crate::{ComputeError, Matrix};

/// Least rows or columns of the result in one part of a large product: the other matrix is prepared anew for each part.
const LEAST_PART: usize = 256;

/// Parts that a large product is cut into: enough for the threads of a large machine.
const PARTS: usize = 16;

/// Multiply–adds below which a product is one block: cutting costs more than it gains.
const SMALL_PRODUCT: usize = 1 << 21;

/// A row-major matrix of single precision in someone else's memory, or the transpose of such.
#[derive(Debug, Clone, Copy)]
pub struct SingleRef<'a> {
    values: &'a [f32],
    rows: usize,
    cols: usize,
    transposed: bool,
}

impl<'a> SingleRef<'a> {
    /// A view of row-major `values`; refuses a number of values other than `rows · cols`.
    pub fn new(rows: usize, cols: usize, values: &'a [f32]) -> Result<SingleRef<'a>, ComputeError> {
        if rows.checked_mul(cols) == Some(values.len()) {
            return Ok(SingleRef { values, rows, cols, transposed: false });
        }
        Err(ComputeError::shape("matrix", format!("{} values don't fill {rows} rows of {cols}", values.len())))
    }

    /// A view of values whose number is known to be right.
    pub(crate) fn of(values: &'a [f32], rows: usize, cols: usize) -> SingleRef<'a> {
        SingleRef { values, rows, cols, transposed: false }
    }

    /// Number of rows.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(self) -> usize {
        self.cols
    }

    /// A row of a matrix that is not transposed.
    pub(crate) fn row(self, row: usize) -> &'a [f32] {
        &self.values[row * self.cols..(row + 1) * self.cols]
    }

    /// The transpose, without a copy.
    #[must_use]
    pub fn t(self) -> SingleRef<'a> {
        SingleRef { rows: self.cols, cols: self.rows, transposed: !self.transposed, ..self }
    }

    /// The same memory as faer's view. The matrix must not be empty.
    fn faer(self) -> MatRef<'a, f32> {
        let (outer, inner) = if self.transposed { (self.cols, self.rows) } else { (self.rows, self.cols) };
        let view = MatRef::from_column_major_slice(self.values, inner, outer);
        if self.transposed { view } else { view.transpose() }
    }
}

/// `A · B`, row-major. Transposed views make the other products. Refuses inner sizes that differ.
pub fn gemm(a: SingleRef<'_>, b: SingleRef<'_>) -> Result<Vec<f32>, ComputeError> {
    let mut product = vec![0.0; a.rows * b.cols];
    gemm_into(a, b, &mut product)?;
    Ok(product)
}

/// `product = A · B`, row-major, into memory that is there already; what it held is overwritten. Refuses sizes that don't fit.
pub fn gemm_into(a: SingleRef<'_>, b: SingleRef<'_>, product: &mut [f32]) -> Result<(), ComputeError> {
    let size = a.rows.checked_mul(b.cols);
    if a.cols != b.rows || size != Some(product.len()) {
        let sizes = format!("{} × {} times {} × {} into {} values", a.rows, a.cols, b.rows, b.cols, product.len());
        return Err(ComputeError::shape("matrix product", sizes));
    }
    if product.is_empty() || a.cols == 0 {
        product.fill(0.0);
        return Ok(());
    }
    let work = a.rows.saturating_mul(b.cols).saturating_mul(a.cols);
    let (left, right, cols) = (a.faer(), b.faer(), b.cols);
    let part =
        |extent: usize| if work < SMALL_PRODUCT { extent } else { extent.div_ceil(PARTS).next_multiple_of(64).max(LEAST_PART).min(extent) };
    if a.rows >= cols {
        let rows = part(a.rows);
        for_each_chunk(product, rows * cols, |number, values| {
            let count = values.len() / cols;
            let target = MatMut::from_column_major_slice_mut(values, cols, count).transpose_mut();
            matmul::matmul(target, Accum::Replace, left.subrows(number * rows, count), right, 1.0, Par::Seq);
        });
        return Ok(());
    }
    let strips = cols.div_ceil(part(cols));
    let target = MatMut::from_column_major_slice_mut(product, cols, a.rows).transpose_mut();
    let strip = |(target, right): (MatMut<'_, f32>, MatRef<'_, f32>)| matmul::matmul(target, Accum::Replace, left, right, 1.0, Par::Seq);
    if strips == 1 {
        strip((target, right));
    } else {
        target.par_col_partition_mut(strips).zip(right.par_col_partition(strips)).for_each(strip);
    }
    Ok(())
}

/// `Σ_r f_r² x_r x_rᵀ` over some rows `x_r` of a matrix `[row × column]`, each with its factor `f_r`: the scatter of weighted rows around zero `[column × column]`, exactly symmetric.
///
/// Rows are multiplied as they are packed, so that no weighted copy is made. Products and their sums are of single precision: the error of an entry is about `1e-7 · √rows` of the
/// geometric mean of its two diagonal entries. Sums run in one order whatever the number of threads. No rows give zeros.
///
/// # Errors
/// As many factors as rows are needed, rows that there are, and a matrix that is not transposed.
pub fn weighted_scatter(x: SingleRef<'_>, rows: &[usize], factors: &[f32]) -> Result<Matrix, ComputeError> {
    const NAME: &str = "weighted scatter";
    if rows.len() != factors.len() {
        return Err(ComputeError::shape(NAME, format!("{} rows with {} factors; each row has one", rows.len(), factors.len())));
    }
    if x.transposed {
        return Err(ComputeError::shape(NAME, "the matrix is transposed; its rows lie apart"));
    }
    if let Some(row) = rows.iter().find(|row| **row >= x.rows) {
        return Err(ComputeError::shape(NAME, format!("there is no row {row} in a matrix of {} rows", x.rows)));
    }
    Ok(gram(&Vectors::of_single_columns(x, rows, factors), |value| value))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Stream;

    fn normal(seed: u64, count: usize) -> Vec<f32> {
        let mut stream = Stream::new(seed);
        (0..count).map(|_| stream.normal() as f32).collect()
    }

    fn turned(values: &[f32], rows: usize, cols: usize) -> Vec<f32> {
        (0..cols).flat_map(|col| (0..rows).map(move |row| values[row * cols + col])).collect()
    }

    #[test]
    fn products_equal_the_definition_for_all_layouts() {
        for (m, k, n) in [(1, 1, 1), (1, 7, 1), (5, 1, 3), (130, 17, 61), (257, 129, 130), (70, 129, 300), (1, 300, 9), (300, 300, 1)] {
            let (a, b) = (normal(1, m * k), normal(2, k * n));
            let (a_turned, b_turned) = (turned(&a, m, k), turned(&b, k, n));
            let expected: Vec<f64> = (0..m * n)
                .map(|at| (0..k).map(|inner| f64::from(a[at / n * k + inner]) * f64::from(b[inner * n + at % n])).sum())
                .collect();
            let lefts = [SingleRef::new(m, k, &a).unwrap(), SingleRef::new(k, m, &a_turned).unwrap().t()];
            let rights = [SingleRef::new(k, n, &b).unwrap(), SingleRef::new(n, k, &b_turned).unwrap().t()];
            for (left, right) in lefts.iter().flat_map(|left| rights.iter().map(move |right| (*left, *right))) {
                let found = gemm(left, right).unwrap();
                let worst = found.iter().zip(&expected).map(|(found, expected)| (f64::from(*found) - expected).abs()).fold(0.0, f64::max);
                assert!(worst < 1e-6 * (k as f64).max(4.0), "{m} × {k} × {n}: {worst}");
            }
        }
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        for (m, k, n) in [(523, 301, 211), (64, 301, 1000)] {
            let (a, b) = (normal(3, m * k), normal(4, k * n));
            let run = |threads| {
                let product = || gemm(SingleRef::new(m, k, &a).unwrap(), SingleRef::new(k, n, &b).unwrap()).unwrap();
                crate::with_threads(threads, product).unwrap()
            };
            let one = run(1);
            assert!([2, 4].into_iter().all(|threads| run(threads).iter().zip(&one).all(|(a, b)| a.to_bits() == b.to_bits())));
        }
    }

    #[test]
    fn a_weighted_scatter_is_that_in_double_precision_and_the_same_on_any_threads() {
        for (n, cols, some) in [(1, 1, 1), (40, 17, 25), (700, 33, 600), (1030, 100, 1030)] {
            let x = normal(5, n * cols);
            let rows: Vec<usize> = (0..some).map(|at| (at * 7 + 3) % n).collect();
            let factors: Vec<f32> = (0..some).map(|at| 0.1 + (at % 5) as f32).collect();
            let run = || weighted_scatter(SingleRef::new(n, cols, &x).unwrap(), &rows, &factors).unwrap();
            let found = run();
            let wide = |row: usize, col: usize| f64::from(x[row * cols + col]);
            let expected = Matrix::from_fn(cols, cols, |a, b| {
                rows.iter().zip(&factors).map(|(&row, factor)| f64::from(*factor).powi(2) * wide(row, a) * wide(row, b)).sum()
            });
            for (a, b) in (0..cols).flat_map(|a| (0..cols).map(move |b| (a, b))) {
                let size = (expected[(a, a)] * expected[(b, b)]).sqrt();
                assert!((found[(a, b)] - expected[(a, b)]).abs() <= 1e-6 * size, "{a} {b}");
            }
            assert_eq!(found, found.transposed());
            crate::golden::same_on_any_threads(|| run().into_values());
        }
    }

    #[test]
    fn a_weighted_scatter_of_no_rows_is_zero_and_wrong_sizes_are_refused() {
        let x = SingleRef::new(2, 3, &[1.0; 6]).unwrap();
        assert_eq!(weighted_scatter(x, &[], &[]).unwrap(), Matrix::zeros(3, 3));
        let message = |rows: &[usize], factors: &[f32]| weighted_scatter(x, rows, factors).unwrap_err().to_string();
        assert!(message(&[0], &[]).contains("1 rows with 0 factors"));
        assert!(message(&[2], &[1.0]).contains("no row 2"));
        assert!(weighted_scatter(x.t(), &[0], &[1.0]).unwrap_err().to_string().contains("transposed"));
    }

    #[test]
    fn empty_matrices_give_zeros_and_wrong_sizes_are_refused() {
        let empty = |rows, cols| SingleRef::new(rows, cols, &[]).unwrap();
        assert_eq!(gemm(empty(2, 0), empty(0, 3)).unwrap(), [0.0; 6]);
        assert!(gemm(empty(0, 4), SingleRef::new(4, 3, &[1.0; 12]).unwrap()).unwrap().is_empty());
        assert!(SingleRef::new(2, 3, &[1.0; 5]).unwrap_err().to_string().contains("5 values don't fill 2 rows of 3"));
        let two = SingleRef::new(1, 2, &[1.0; 2]).unwrap();
        assert!(gemm(two, two).is_err() && gemm_into(two, two.t(), &mut [0.0; 2]).is_err());
    }
}
