//! Products of rows with rows, in strips: the symmetric half only, in single or double precision.

use faer::linalg::matmul;
use faer::{Accum, MatMut, MatRef, Par};
use rayon::prelude::*;

use crate::Matrix;
use crate::real::Real;

/// Rows, each contiguous: the layout in which products of rows with rows need least packing.
#[derive(Debug, Clone)]
pub(crate) struct Rows<T> {
    pub(crate) rows: usize,
    pub(crate) cols: usize,
    pub(crate) values: Vec<T>,
}

impl<T: Real> Rows<T> {
    /// The rows, each with `offsets[row]` taken off and then multiplied by `scale`.
    pub(crate) fn of_rows(matrix: &Matrix, offsets: Option<&[f64]>, scale: f64) -> Rows<T> {
        let cols = matrix.cols();
        let mut values = vec![T::default(); matrix.rows() * cols];
        if cols > 0 {
            values.par_chunks_mut(cols).enumerate().for_each(|(row, target)| {
                let offset = offsets.map_or(0.0, |offsets| offsets[row]);
                target.iter_mut().zip(matrix.row(row)).for_each(|(target, value)| *target = T::of((value - offset) * scale));
            });
        }
        Rows { rows: matrix.rows(), cols, values }
    }

    /// The columns as rows, each with `offsets[column]` taken off and then multiplied by `scale`. Copied by tiles.
    pub(crate) fn of_columns(matrix: &Matrix, offsets: &[f64], scale: f64) -> Rows<T> {
        const TILE: usize = 16;
        let (rows, cols) = matrix.shape();
        let mut values = vec![T::default(); rows * cols];
        if rows > 0 {
            values.par_chunks_mut(TILE * rows).enumerate().for_each(|(tile, targets)| {
                let first = tile * TILE;
                for start in (0..rows).step_by(64) {
                    for row in start..(start + 64).min(rows) {
                        let source = &matrix.row(row)[first..];
                        for (place, target) in targets.chunks_exact_mut(rows).enumerate() {
                            target[row] = T::of((source[place] - offsets[first + place]) * scale);
                        }
                    }
                }
            });
        }
        Rows { rows: cols, cols: rows, values }
    }

    /// Consecutive rows.
    fn part(&self, first: usize, end: usize) -> MatRef<'_, T> {
        MatRef::from_column_major_slice(&self.values[first * self.cols..end * self.cols], self.cols, end - first).transpose()
    }
}

/// Rows of one strip of the result: few strips of much work for small results too.
fn strip_rows(rows: usize) -> usize {
    if rows < 768 { 48 } else { 96 }
}

/// One strip: rows `first .. end` of the left side times rows `0 .. to` of the right side. `product[other * (end − first) + row − first]`.
fn strip<T: Real>(left: &Rows<T>, right: &Rows<T>, first: usize, end: usize, to: usize) -> Vec<T> {
    let mut product = vec![T::default(); (end - first) * to];
    if left.cols > 0 && !product.is_empty() {
        // The strip is the side that the kernel packs, so each row is packed once; the long side lies as the kernel reads it.
        let target = MatMut::from_column_major_slice_mut(&mut product, end - first, to);
        matmul::matmul(target, Accum::Replace, left.part(first, end), right.part(0, to).transpose(), T::of(1.0), Par::Seq);
    }
    product
}

/// Calls `take(first row, rows, strip)` for strips of the lower half of the symmetric product of `left` with `right` (row `r` with rows `0 ..= r`;
/// what a strip holds past its diagonal is symmetric too), in parallel; gives the answers in order.
pub(crate) fn lower_strips<T: Real, R: Send>(left: &Rows<T>, right: &Rows<T>, take: impl Fn(usize, usize, Vec<T>) -> R + Sync) -> Vec<R> {
    lower_strips_within(left, right, 0..left.rows, take)
}

/// As [`lower_strips`], for the strips of some rows only.
pub(crate) fn lower_strips_within<T: Real, R: Send>(
    left: &Rows<T>,
    right: &Rows<T>,
    within: std::ops::Range<usize>,
    take: impl Fn(usize, usize, Vec<T>) -> R + Sync,
) -> Vec<R> {
    let rows = strip_rows(left.rows);
    let starts: Vec<usize> = within.clone().step_by(rows).collect();
    starts
        .par_iter()
        .with_max_len(1)
        .map(|&first| {
            let end = (first + rows).min(within.end);
            take(first, end - first, strip(left, right, first, end, end))
        })
        .collect()
}

/// As [`lower_strips`], for all rows of `right` with each strip of `left`.
pub(crate) fn full_strips<T: Real, R: Send>(left: &Rows<T>, right: &Rows<T>, take: impl Fn(usize, usize, Vec<T>) -> R + Sync) -> Vec<R> {
    let rows = strip_rows(left.rows);
    let starts: Vec<usize> = (0..left.rows).step_by(rows).collect();
    starts
        .par_iter()
        .with_max_len(1)
        .map(|&first| {
            let end = (first + rows).min(left.rows);
            take(first, end - first, strip(left, right, first, end, right.rows))
        })
        .collect()
}

/// All products of rows with rows `[rows × rows]`, exactly symmetric.
pub(crate) fn gram<T: Real>(rows: &Rows<T>) -> Matrix {
    let size = rows.rows;
    let strips = lower_strips(rows, rows, |first, height, strip| (first, height, strip));
    let mut gram = Matrix::zeros(size, size);
    if size > 0 {
        gram.values_mut().par_chunks_mut(size).enumerate().for_each(|(row, target)| {
            for (first, height, strip) in &strips {
                if row < first + height {
                    let part = &strip[row * height..(row + 1) * height];
                    // Of the diagonal block only one half is taken, so that both sides are the same number.
                    let skip = row.saturating_sub(*first);
                    target[first + skip..first + height].iter_mut().zip(&part[skip..]).for_each(|(target, value)| *target = value.wide());
                }
            }
        });
    }
    mirror_upper(&mut gram);
    gram
}

/// All products of rows of `left` with rows of `right` `[left × right]`.
pub(crate) fn cross<T: Real>(left: &Rows<T>, right: &Rows<T>) -> Matrix {
    let strips = full_strips(left, right, |first, height, strip| (first, height, strip));
    let mut product = Matrix::zeros(left.rows, right.rows);
    for (first, height, strip) in strips {
        for row in 0..height {
            let target = product.row_mut(first + row);
            target.iter_mut().enumerate().for_each(|(other, target)| *target = strip[other * height + row].wide());
        }
    }
    product
}

/// Copies the upper triangle to the lower one, by tiles.
fn mirror_upper(matrix: &mut Matrix) {
    const TILE: usize = 32;
    let size = matrix.rows();
    for first_row in (0..size).step_by(TILE) {
        for first_col in (0..=first_row).step_by(TILE) {
            for row in first_row..(first_row + TILE).min(size) {
                for col in first_col..(first_col + TILE).min(row) {
                    matrix[(row, col)] = matrix[(col, row)];
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, normal_matrix, same_on_any_threads};
    use crate::product::{gemm_nt, gram_of_rows};

    #[test]
    fn strips_multiply_as_whole_products_do() {
        for (rows, others, cols) in [(1, 1, 1), (5, 3, 2), (47, 50, 30), (101, 97, 64), (800, 9, 7)] {
            let (a, b) = (normal_matrix(1, rows, cols), normal_matrix(2, others, cols));
            let (left, right) = (Rows::<f64>::of_rows(&a, None, 1.0), Rows::<f64>::of_rows(&b, None, 1.0));
            all_close(gram(&left).values(), gram_of_rows(&a).values(), 1e-12 * cols as f64);
            all_close(cross(&left, &right).values(), gemm_nt(&a, &b).unwrap().values(), 1e-12 * cols as f64);
            let single = Rows::<f32>::of_rows(&a, None, 1.0);
            all_close(gram(&single).values(), gram_of_rows(&a).values(), 1e-5 * cols as f64);
            let symmetric = gram(&left);
            assert_eq!(symmetric, symmetric.transposed());
        }
    }

    #[test]
    fn columns_become_rows_with_their_offsets_taken_off() {
        let matrix = normal_matrix(3, 130, 37);
        let offsets: Vec<f64> = (0..37).map(f64::from).collect();
        let rows = Rows::<f64>::of_columns(&matrix, &offsets, 2.0);
        assert_eq!((rows.rows, rows.cols), (37, 130));
        assert!((0..37).all(|col| (0..130).all(|row| rows.values[col * 130 + row] == (matrix[(row, col)] - offsets[col]) * 2.0)));
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let rows = Rows::<f64>::of_rows(&normal_matrix(4, 311, 45), None, 1.0);
        same_on_any_threads(|| gram(&rows).into_values());
        same_on_any_threads(|| cross(&rows, &rows).into_values());
    }
}
