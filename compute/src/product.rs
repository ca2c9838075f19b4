//! Products of matrices, on faer's kernels.
//!
//! Large products are cut into blocks of rows of the result; the borders follow from the shapes alone and each block is one sequential kernel, so the
//! number of threads does not change a bit of the result.

use faer::linalg::matmul::{self, dot};
use faer::{Accum, ColRef, Conj, MatMut, Par};
use rayon::prelude::*;

use crate::error::same_length;
use crate::{ComputeError, Matrix, MatrixRef};

/// Rows of the result in one block.
const BLOCK_ROWS: usize = 128;

/// Multiply–adds below which a product is one block: cutting costs more than it gains.
const SMALL_PRODUCT: usize = 1 << 20;

/// `A · B`. Transposed views make the other products: `gemm(a.t(), &b)` is `Aᵀ · B`. Refuses inner sizes that differ.
pub fn gemm<'a, 'b>(a: impl Into<MatrixRef<'a>>, b: impl Into<MatrixRef<'b>>) -> Result<Matrix, ComputeError> {
    let (a, b) = (a.into(), b.into());
    let mut product = Matrix::zeros(a.rows(), b.cols());
    gemm_into(a, b, product.values_mut())?;
    Ok(product)
}

/// `Aᵀ · B`. Refuses matrices with different numbers of rows.
pub fn gemm_tn<'a, 'b>(a: impl Into<MatrixRef<'a>>, b: impl Into<MatrixRef<'b>>) -> Result<Matrix, ComputeError> {
    gemm(a.into().t(), b.into())
}

/// `A · Bᵀ`. Refuses matrices with different numbers of columns.
pub fn gemm_nt<'a, 'b>(a: impl Into<MatrixRef<'a>>, b: impl Into<MatrixRef<'b>>) -> Result<Matrix, ComputeError> {
    gemm(a.into(), b.into().t())
}

/// `product = A · B` into memory that is there already; what it held is overwritten.
pub fn gemm_into<'a, 'b>(a: impl Into<MatrixRef<'a>>, b: impl Into<MatrixRef<'b>>, product: &mut [f64]) -> Result<(), ComputeError> {
    let (a, b) = (a.into(), b.into());
    let cols = b.cols();
    if a.cols() != b.rows() || a.rows().checked_mul(cols) != Some(product.len()) {
        let sizes = format!("{} × {} times {} × {cols} into {} values", a.rows(), a.cols(), b.rows(), product.len());
        return Err(ComputeError::shape("matrix product", sizes));
    }
    if product.is_empty() || a.cols() == 0 {
        product.fill(0.0);
        return Ok(());
    }
    let rows = block_rows(a.rows(), b.cols(), a.cols());
    let block = |number: usize, values: &mut [f64]| {
        let first = number * rows;
        multiply(a.row_range(first..first + values.len() / cols), b, values);
    };
    for_each_chunk(product, rows * cols, block);
    Ok(())
}

/// `Aᵀ · A`, exactly symmetric `[columns × columns]`: about half the work of [`gemm_tn`].
pub fn gram<'a>(a: impl Into<MatrixRef<'a>>) -> Matrix {
    gram_of_rows(a.into().t())
}

/// `A · Aᵀ`, exactly symmetric `[rows × rows]`: about half the work of [`gemm_nt`].
pub fn gram_of_rows<'a>(a: impl Into<MatrixRef<'a>>) -> Matrix {
    let a = a.into();
    let size = a.rows();
    let mut gram = Matrix::zeros(size, size);
    if size == 0 || a.cols() == 0 {
        return gram;
    }
    // Blocks of the lower triangle: each block of rows is multiplied only with the rows up to its own end.
    let rows = block_rows(size, size, a.cols());
    let block = |number: usize, values: &mut [f64]| {
        let (first, end) = (number * rows, number * rows + values.len() / size);
        let target = MatMut::from_column_major_slice_mut(values, size, end - first).transpose_mut();
        let target = target.submatrix_mut(0, 0, end - first, end);
        multiply_into(a.row_range(first..end), a.row_range(0..end).t(), target);
    };
    for_each_chunk(gram.values_mut(), rows * size, block);
    mirror_lower(&mut gram);
    gram
}

/// `A · B` for each pair of two lists of matrices, in their order; the pairs are shared out over the threads. Refuses lists of different length and inner sizes that
/// differ.
pub fn batched_gemm(a: &[MatrixRef<'_>], b: &[MatrixRef<'_>]) -> Result<Vec<Matrix>, ComputeError> {
    same_length("batched product", a.len(), b.len())?;
    a.par_iter().zip(b).map(|(a, b)| gemm(*a, *b)).collect()
}

/// The Khatri–Rao product of matrices with one number of columns: row `(i, j)` is the element-wise product of row `i` of `a` and row `j` of `b`, `j` running
/// faster. Refuses different numbers of columns.
pub fn khatri_rao<'a, 'b>(a: impl Into<MatrixRef<'a>>, b: impl Into<MatrixRef<'b>>) -> Result<Matrix, ComputeError> {
    let (a, b) = (a.into().to_matrix(), b.into().to_matrix());
    if a.cols() != b.cols() {
        return Err(ComputeError::shape("Khatri–Rao product", format!("{} and {} columns; both need the same number", a.cols(), b.cols())));
    }
    let mut product = Matrix::zeros(a.rows() * b.rows(), a.cols());
    let block = b.values().len();
    if block == 0 {
        return Ok(product);
    }
    // Rows of `a` so that a chunk is worth a thread's while.
    let rows = (SMALL_PRODUCT / 64).div_ceil(block);
    for_each_chunk(product.values_mut(), rows * block, |number, values| {
        for (offset, values) in values.chunks_exact_mut(block).enumerate() {
            let left = a.row(number * rows + offset);
            for (row, right) in values.chunks_exact_mut(left.len()).zip(b.row_iter()) {
                row.iter_mut().zip(left).zip(right).for_each(|((value, x), y)| *value = x * y);
            }
        }
    });
    Ok(product)
}

/// The softmax of each row: exponentials over their sum, the largest element taken away first so that none overflows. A row with a NaN, or of minus infinities
/// alone, gives NaNs.
pub fn softmax_rows<'a>(scores: impl Into<MatrixRef<'a>>) -> Matrix {
    let mut shares = scores.into().to_matrix();
    let cols = shares.cols();
    if cols == 0 {
        return shares;
    }
    let rows = (SMALL_PRODUCT / 64).div_ceil(cols);
    for_each_chunk(shares.values_mut(), rows * cols, |_, values| {
        for row in values.chunks_exact_mut(cols) {
            let most = row.iter().copied().fold(f64::NEG_INFINITY, f64::max);
            row.iter_mut().for_each(|value| *value = (*value - most).exp());
            let total: f64 = row.iter().sum();
            row.iter_mut().for_each(|value| *value /= total);
        }
    });
    shares
}

/// Copies the lower triangle of a square matrix to the upper one, by tiles.
pub(crate) fn mirror_lower(matrix: &mut Matrix) {
    const TILE: usize = 32;
    let size = matrix.rows();
    for first_row in (0..size).step_by(TILE) {
        for first_col in (0..=first_row).step_by(TILE) {
            for row in first_row..(first_row + TILE).min(size) {
                for col in first_col..(first_col + TILE).min(row) {
                    matrix[(col, row)] = matrix[(row, col)];
                }
            }
        }
    }
}

/// `A · x`. Refuses a vector whose length is not the number of columns.
pub fn matrix_vector<'a>(a: impl Into<MatrixRef<'a>>, x: &[f64]) -> Result<Vec<f64>, ComputeError> {
    gemm(a.into(), MatrixRef::new(x.len(), 1, x)?).map(Matrix::into_values)
}

/// `Σ x y`, with vector instructions. Refuses vectors of different lengths.
pub fn dot(x: &[f64], y: &[f64]) -> Result<f64, ComputeError> {
    same_length("dot product", x.len(), y.len())?;
    Ok(inner(x, y))
}

/// [`dot()`] of two slices that are known to be of one length.
pub(crate) fn inner(x: &[f64], y: &[f64]) -> f64 {
    debug_assert_eq!(x.len(), y.len());
    dot::inner_prod(ColRef::from_slice(x).transpose(), Conj::No, ColRef::from_slice(y), Conj::No)
}

/// One sequential product into row-major `values` of `a.rows() × b.cols()`. Nothing is empty.
pub(crate) fn multiply(a: MatrixRef<'_>, b: MatrixRef<'_>, values: &mut [f64]) {
    let target = MatMut::from_column_major_slice_mut(values, b.cols(), a.rows()).transpose_mut();
    multiply_into(a, b, target);
}

/// As [`multiply`], added to what `values` hold.
pub(crate) fn multiply_add_to(a: MatrixRef<'_>, b: MatrixRef<'_>, values: &mut [f64]) {
    let target = MatMut::from_column_major_slice_mut(values, b.cols(), a.rows()).transpose_mut();
    matmul::matmul(target, Accum::Add, a.faer(), b.faer(), 1.0, Par::Seq);
}

/// One sequential product into faer's view. Nothing is empty.
fn multiply_into(a: MatrixRef<'_>, b: MatrixRef<'_>, target: MatMut<'_, f64>) {
    // The kernel is about half as fast when its left side runs down columns; from some width of the result on a copy by tiles costs less.
    let copy = if a.runs_down_columns() && b.cols() >= 32 { Some(a.to_matrix()) } else { None };
    let a = copy.as_ref().map_or(a, Matrix::view);
    matmul::matmul(target, Accum::Replace, a.faer(), b.faer(), 1.0, Par::Seq);
}

/// Rows of one block; the whole when the product is small.
fn block_rows(rows: usize, cols: usize, inner: usize) -> usize {
    if rows.saturating_mul(cols).saturating_mul(inner) < SMALL_PRODUCT { rows } else { BLOCK_ROWS.min(rows) }
}

/// Calls `work(number, chunk)` for each chunk, over the threads of the current pool where there are several chunks.
pub(crate) fn for_each_chunk<T: Send>(values: &mut [T], length: usize, work: impl Fn(usize, &mut [T]) + Sync) {
    if values.len() <= length {
        work(0, values);
    } else {
        values.par_chunks_mut(length).enumerate().for_each(|(number, chunk)| work(number, chunk));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, normal_matrix, same_on_any_threads};

    fn schoolbook(a: MatrixRef<'_>, b: MatrixRef<'_>) -> Matrix {
        Matrix::from_fn(a.rows(), b.cols(), |row, col| (0..a.cols()).map(|k| a.get(row, k) * b.get(k, col)).sum())
    }

    #[test]
    fn products_equal_the_definition_for_all_layouts() {
        for (rows, inner, cols) in [(1, 1, 1), (1, 7, 1), (5, 1, 3), (3, 40, 2), (130, 17, 61), (257, 129, 33), (1, 300, 9), (300, 300, 1)]
        {
            let (a, b) = (normal_matrix(1, rows, inner), normal_matrix(2, inner, cols));
            let expected = schoolbook(a.view(), b.view());
            let tolerance = 1e-12 * (inner as f64);
            all_close(gemm(&a, &b).unwrap().values(), expected.values(), tolerance);
            all_close(gemm_tn(&a.transposed(), &b).unwrap().values(), expected.values(), tolerance);
            all_close(gemm_nt(&a, &b.transposed()).unwrap().values(), expected.values(), tolerance);
            all_close(gram(&a).values(), schoolbook(a.t(), a.view()).values(), 1e-12 * rows as f64);
            all_close(gram_of_rows(&a).values(), schoolbook(a.view(), a.t()).values(), tolerance);
            all_close(&matrix_vector(&a, &b.column(0)).unwrap(), &expected.column(0), tolerance);
        }
    }

    #[test]
    fn parts_of_matrices_multiply_like_their_copies() {
        let (a, b) = (normal_matrix(3, 40, 50), normal_matrix(4, 60, 70));
        let (part, other) = (a.view().column_range(7..33), b.view().row_range(30..56).column_range(1..2));
        all_close(gemm(part, other).unwrap().values(), schoolbook(part, other).values(), 1e-12);
        let row = a.view().row_range(39..40).column_range(40..50);
        all_close(gemm(row, row.t()).unwrap().values(), schoolbook(row, row.t()).values(), 1e-12);
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let (a, b) = (normal_matrix(5, 523, 301), normal_matrix(6, 301, 211));
        same_on_any_threads(|| gemm(&a, &b).unwrap().into_values());
        same_on_any_threads(|| gemm_tn(&b, a.t()).unwrap().into_values());
        same_on_any_threads(|| gram(&a).into_values());
        same_on_any_threads(|| gram_of_rows(&a).into_values());
        same_on_any_threads(|| matrix_vector(&a, &b.column(0)).unwrap());
    }

    #[test]
    fn the_place_in_memory_does_not_change_a_bit() {
        let x = normal_matrix(7, 1, 1003).into_values();
        let y = normal_matrix(8, 1, 1003).into_values();
        let expected = dot(&x, &y).unwrap();
        for shift in 1..9 {
            let (mut x_moved, mut y_moved) = (vec![0.0; shift], vec![0.0; 2 * shift]);
            x_moved.extend_from_slice(&x);
            y_moved.extend_from_slice(&y);
            assert_eq!(dot(&x_moved[shift..], &y_moved[2 * shift..]).unwrap().to_bits(), expected.to_bits());
        }
    }

    #[test]
    fn batches_khatri_rao_products_and_softmax_equal_their_definitions() {
        let matrices: Vec<Matrix> = (0..5).map(|seed| normal_matrix(seed, 3 + seed as usize, 4)).collect();
        let (left, right): (Vec<_>, Vec<_>) = (matrices.iter().map(Matrix::view).collect(), matrices.iter().map(Matrix::t).collect());
        for (found, matrix) in batched_gemm(&left, &right).unwrap().iter().zip(&matrices) {
            all_close(found.values(), schoolbook(matrix.view(), matrix.t()).values(), 1e-12);
        }
        assert!(batched_gemm(&left, &right[1..]).is_err() && batched_gemm(&left[1..2], &left[..1]).is_err());
        for (rows, others, cols) in [(1, 1, 1), (7, 5, 3), (300, 90, 4), (0, 3, 2), (3, 0, 2), (3, 2, 0)] {
            let (a, b) = (normal_matrix(1, rows, cols), normal_matrix(2, others, cols));
            let expected = Matrix::from_fn(rows * others, cols, |row, col| a[(row / others, col)] * b[(row % others, col)]);
            assert_eq!(khatri_rao(&a, &b).unwrap(), expected);
        }
        assert!(khatri_rao(&Matrix::zeros(1, 2), &Matrix::zeros(1, 3)).unwrap_err().to_string().contains("2 and 3 columns"));
        let scores = normal_matrix(3, 2000, 9).map(|value| 5.0 * value);
        let shares = softmax_rows(&scores);
        for (row, scores) in shares.row_iter().zip(scores.row_iter()) {
            assert!((row.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!((row[0] / row[1] / (scores[0] - scores[1]).exp() - 1.0).abs() < 1e-9);
        }
        let huge = Matrix::from_rows(&[[1000.0, -1000.0, 1000.0]]).unwrap();
        assert_eq!(softmax_rows(&huge).values(), [0.5, 0.0, 0.5]);
        assert!(softmax_rows(&Matrix::from_fn(1, 2, |_, col| if col == 0 { f64::NAN } else { 1.0 })).values().iter().all(|x| x.is_nan()));
        assert_eq!(softmax_rows(&Matrix::zeros(3, 0)).shape(), (3, 0));
        same_on_any_threads(|| softmax_rows(&scores).into_values());
    }

    #[test]
    fn gram_matrices_are_exactly_symmetric() {
        let gram = gram_of_rows(&normal_matrix(9, 300, 41));
        assert_eq!(gram, gram.transposed());
    }

    #[test]
    fn empty_matrices_give_zeros_and_wrong_sizes_are_refused() {
        assert_eq!(gemm(&Matrix::zeros(2, 0), &Matrix::zeros(0, 3)).unwrap(), Matrix::zeros(2, 3));
        assert_eq!(gemm(&Matrix::zeros(0, 4), &Matrix::zeros(4, 3)).unwrap().shape(), (0, 3));
        assert_eq!(gram(&Matrix::zeros(0, 2)), Matrix::zeros(2, 2));
        assert_eq!(gram(&Matrix::zeros(2, 0)).shape(), (0, 0));
        assert_eq!(dot(&[], &[]).unwrap(), 0.0);
        let error = gemm(&Matrix::zeros(2, 3), &Matrix::zeros(2, 3)).unwrap_err();
        assert_eq!(error.to_string(), "matrix product: 2 × 3 times 2 × 3 into 6 values");
        assert!(dot(&[1.0], &[]).is_err());
    }
}
