//! Dense real matrices: owned and row-major, and views that can be transposed for free.

use std::ops::{Index, IndexMut, Range};

use faer::MatRef;

use crate::ComputeError;

/// A real matrix, row-major, in double precision.
#[derive(Debug, Clone, PartialEq)]
pub struct Matrix {
    rows: usize,
    cols: usize,
    values: Vec<f64>,
}

impl Matrix {
    /// The matrix of row-major `values`; refuses a number of values other than `rows · cols`.
    pub fn new(rows: usize, cols: usize, values: Vec<f64>) -> Result<Matrix, ComputeError> {
        check_length(rows, cols, values.len())?;
        Ok(Matrix { rows, cols, values })
    }

    /// A matrix of zeros.
    pub fn zeros(rows: usize, cols: usize) -> Matrix {
        Matrix { rows, cols, values: vec![0.0; rows * cols] }
    }

    /// The identity.
    pub fn identity(size: usize) -> Matrix {
        Matrix::from_fn(size, size, |row, col| f64::from(row == col))
    }

    /// The matrix whose elements are `element(row, column)`, asked for row by row.
    pub fn from_fn(rows: usize, cols: usize, mut element: impl FnMut(usize, usize) -> f64) -> Matrix {
        let mut values = Vec::with_capacity(rows * cols);
        for row in 0..rows {
            values.extend((0..cols).map(|col| element(row, col)));
        }
        Matrix { rows, cols, values }
    }

    /// The matrix of these rows; refuses rows of different lengths.
    pub fn from_rows<R: AsRef<[f64]>>(rows: &[R]) -> Result<Matrix, ComputeError> {
        let cols = rows.first().map_or(0, |row| row.as_ref().len());
        let mut values = Vec::with_capacity(rows.len() * cols);
        for (number, row) in rows.iter().enumerate() {
            let row = row.as_ref();
            if row.len() != cols {
                return Err(ComputeError::shape("matrix", format!("row {number} has {} values, row 0 has {cols}", row.len())));
            }
            values.extend_from_slice(row);
        }
        Ok(Matrix { rows: rows.len(), cols, values })
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(&self) -> usize {
        self.cols
    }

    /// Rows and columns.
    pub fn shape(&self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// All values, row-major.
    pub fn values(&self) -> &[f64] {
        &self.values
    }

    /// All values, row-major, to change.
    pub fn values_mut(&mut self) -> &mut [f64] {
        &mut self.values
    }

    /// Gives the values away, row-major.
    pub fn into_values(self) -> Vec<f64> {
        self.values
    }

    /// A row. Panics, as slices do, when there is no such row.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.values[row * self.cols..(row + 1) * self.cols]
    }

    /// A row to change. Panics, as slices do, when there is no such row.
    pub fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.values[row * self.cols..(row + 1) * self.cols]
    }

    /// The rows in order.
    pub fn row_iter(&self) -> impl ExactSizeIterator<Item = &[f64]> + '_ {
        (0..self.rows).map(|row| self.row(row))
    }

    /// A copy of a column. Panics, as slices do, when there is no such column.
    pub fn column(&self, col: usize) -> Vec<f64> {
        (0..self.rows).map(|row| self[(row, col)]).collect()
    }

    /// The diagonal.
    pub fn diagonal(&self) -> Vec<f64> {
        (0..self.rows.min(self.cols)).map(|place| self[(place, place)]).collect()
    }

    /// A view of the whole.
    pub fn view(&self) -> MatrixRef<'_> {
        MatrixRef { values: &self.values, rows: self.rows, cols: self.cols, stride: self.cols, transposed: false }
    }

    /// A transposed view, without a copy.
    pub fn t(&self) -> MatrixRef<'_> {
        self.view().t()
    }

    /// A transposed copy.
    pub fn transposed(&self) -> Matrix {
        self.t().to_matrix()
    }

    /// A copy of these rows, in this order, repeats allowed. Panics, as slices do, when there is no such row.
    pub fn take_rows(&self, rows: &[usize]) -> Matrix {
        let mut values = Vec::with_capacity(rows.len() * self.cols);
        rows.iter().for_each(|&row| values.extend_from_slice(self.row(row)));
        Matrix { rows: rows.len(), cols: self.cols, values }
    }

    /// A copy of these columns, in this order, repeats allowed. Panics, as slices do, when there is no such column.
    pub fn take_columns(&self, cols: &[usize]) -> Matrix {
        Matrix::from_fn(self.rows, cols.len(), |row, place| self[(row, cols[place])])
    }

    /// The matrix with every value changed by `change`.
    #[must_use]
    pub fn map(mut self, change: impl Fn(f64) -> f64) -> Matrix {
        self.values.iter_mut().for_each(|value| *value = change(*value));
        self
    }
}

impl Index<(usize, usize)> for Matrix {
    type Output = f64;

    fn index(&self, (row, col): (usize, usize)) -> &f64 {
        debug_assert!(col < self.cols);
        &self.values[row * self.cols + col]
    }
}

impl IndexMut<(usize, usize)> for Matrix {
    fn index_mut(&mut self, (row, col): (usize, usize)) -> &mut f64 {
        debug_assert!(col < self.cols);
        &mut self.values[row * self.cols + col]
    }
}

/// A view of a matrix in someone else's memory: row-major with a stride, or the transpose of such.
#[derive(Debug, Clone, Copy)]
pub struct MatrixRef<'a> {
    values: &'a [f64],
    rows: usize,
    cols: usize,
    /// Distance between rows in memory (between columns when transposed).
    stride: usize,
    transposed: bool,
}

impl<'a> MatrixRef<'a> {
    /// A view of row-major `values`; refuses a number of values other than `rows · cols`.
    pub fn new(rows: usize, cols: usize, values: &'a [f64]) -> Result<MatrixRef<'a>, ComputeError> {
        check_length(rows, cols, values.len())?;
        Ok(MatrixRef { values, rows, cols, stride: cols, transposed: false })
    }

    /// Number of rows.
    pub fn rows(self) -> usize {
        self.rows
    }

    /// Number of columns.
    pub fn cols(self) -> usize {
        self.cols
    }

    /// Rows and columns.
    pub fn shape(self) -> (usize, usize) {
        (self.rows, self.cols)
    }

    /// The transpose, without a copy.
    #[must_use]
    pub fn t(self) -> MatrixRef<'a> {
        MatrixRef { rows: self.cols, cols: self.rows, transposed: !self.transposed, ..self }
    }

    /// An element. Panics, as slices do, outside of the matrix.
    pub fn get(self, row: usize, col: usize) -> f64 {
        debug_assert!(row < self.rows && col < self.cols);
        if self.transposed { self.values[col * self.stride + row] } else { self.values[row * self.stride + col] }
    }

    /// The rows of a range, without a copy. Panics, as slices do, outside of the matrix.
    #[must_use]
    pub fn row_range(self, range: Range<usize>) -> MatrixRef<'a> {
        assert!(range.start <= range.end && range.end <= self.rows, "rows {range:?} of {}", self.rows);
        let start = if self.transposed { range.start } else { range.start * self.stride };
        let values = self.values.get(start..).unwrap_or_default();
        MatrixRef { values, rows: range.len(), ..self }
    }

    /// The columns of a range, without a copy. Panics, as slices do, outside of the matrix.
    #[must_use]
    pub fn column_range(self, range: Range<usize>) -> MatrixRef<'a> {
        self.t().row_range(range).t()
    }

    /// An owned, row-major copy.
    pub fn to_matrix(self) -> Matrix {
        if self.transposed {
            return self.transposed_copy();
        }
        let mut values = Vec::with_capacity(self.rows * self.cols);
        (0..self.rows).for_each(|row| values.extend_from_slice(&self.values[row * self.stride..][..self.cols]));
        Matrix { rows: self.rows, cols: self.cols, values }
    }

    /// Copies by square tiles, so that neither side runs through memory in long jumps.
    fn transposed_copy(self) -> Matrix {
        const TILE: usize = 32;
        let mut copy = Matrix::zeros(self.rows, self.cols);
        for first_row in (0..self.rows).step_by(TILE) {
            for first_col in (0..self.cols).step_by(TILE) {
                for row in first_row..(first_row + TILE).min(self.rows) {
                    for col in first_col..(first_col + TILE).min(self.cols) {
                        copy.values[row * self.cols + col] = self.values[col * self.stride + row];
                    }
                }
            }
        }
        copy
    }

    /// All values in row-major order when they lie so in memory, without gaps.
    pub fn contiguous(self) -> Option<&'a [f64]> {
        let dense = !self.transposed && (self.stride == self.cols || self.rows <= 1);
        if dense { self.values.get(..self.rows * self.cols) } else { None }
    }

    /// Whether the elements of a column, not those of a row, lie side by side in memory.
    pub(crate) fn runs_down_columns(self) -> bool {
        self.transposed && self.rows > 1 && self.cols > 1
    }

    /// The same memory as faer's view. The matrix must not be empty.
    pub(crate) fn faer(self) -> MatRef<'a, f64> {
        let (outer, inner) = if self.transposed { (self.cols, self.rows) } else { (self.rows, self.cols) };
        debug_assert!(outer > 0 && inner > 0);
        let used = (outer - 1) * self.stride + inner;
        // With a single row any stride is right, and faer asks that columns don't overlap.
        let stride = if outer == 1 { inner } else { self.stride };
        let view = MatRef::from_column_major_slice_with_stride(&self.values[..used], inner, outer, stride);
        if self.transposed { view } else { view.transpose() }
    }
}

impl<'a> From<&'a Matrix> for MatrixRef<'a> {
    fn from(matrix: &'a Matrix) -> MatrixRef<'a> {
        matrix.view()
    }
}

fn check_length(rows: usize, cols: usize, values: usize) -> Result<(), ComputeError> {
    if rows.checked_mul(cols) == Some(values) {
        return Ok(());
    }
    Err(ComputeError::shape("matrix", format!("{values} values don't fill {rows} rows of {cols}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn views_see_the_same_elements_as_copies() {
        let matrix = Matrix::from_fn(37, 45, |row, col| (row * 100 + col) as f64);
        let part = matrix.view().row_range(3..20).column_range(5..44);
        assert_eq!(part.shape(), (17, 39));
        assert_eq!(part.get(2, 4), 509.0);
        assert_eq!(part.t().to_matrix(), part.to_matrix().transposed());
        assert_eq!(part.t().t().to_matrix(), part.to_matrix());
        assert_eq!((part.contiguous(), matrix.view().row_range(2..4).contiguous().map(<[f64]>::len)), (None, Some(90)));
        for row in 0..17 {
            for col in 0..39 {
                assert_eq!((part.get(row, col), part.faer()[(row, col)]), (part.t().get(col, row), part.t().faer()[(col, row)]));
            }
        }
    }

    #[test]
    fn wrong_numbers_of_values_are_refused() {
        assert!(Matrix::new(2, 3, vec![0.0; 5]).unwrap_err().to_string().contains("5 values don't fill 2 rows of 3"));
        assert!(MatrixRef::new(usize::MAX, 2, &[]).is_err());
        assert!(Matrix::from_rows(&[vec![1.0], vec![1.0, 2.0]]).unwrap_err().to_string().contains("row 1 has 2 values"));
        assert_eq!(Matrix::from_rows::<Vec<f64>>(&[]).unwrap().shape(), (0, 0));
    }
}
