//! Features with their column means taken off and brought to a common scale, without a copy until a layout is asked for.

use std::borrow::Cow;

use rayon::prelude::*;

use super::strips::Rows;
use crate::error::finite;
use crate::panels::Vectors;
use crate::real::Real;
use crate::{ComputeError, Matrix};

/// Rows that are gone through at once.
const CHUNK: usize = 128;

/// A matrix with column means and a scale that are applied when it is laid out.
pub(crate) struct Centred<'a> {
    matrix: Cow<'a, Matrix>,
    means: Vec<f64>,
    /// What makes the largest deviation 1.
    scale: f64,
}

impl<'a> Centred<'a> {
    /// None where every column is constant.
    ///
    /// # Errors
    /// Values that are not finite.
    pub(crate) fn of(operation: &'static str, matrix: &'a Matrix) -> Result<Option<Centred<'a>>, ComputeError> {
        Centred::from(operation, Cow::Borrowed(matrix))
    }

    fn from(operation: &'static str, matrix: Cow<'a, Matrix>) -> Result<Option<Centred<'a>>, ComputeError> {
        let (rows, cols) = matrix.shape();
        if rows == 0 || cols == 0 {
            return Ok(None);
        }
        let Columns { means, lows, highs } = Columns::of(&matrix);
        // A sum is finite only when all that it adds is.
        if means.iter().any(|mean| !mean.is_finite()) {
            finite(operation, matrix.values())?;
            let largest = lows.iter().chain(&highs).fold(0.0f64, |largest, value| largest.max(value.abs()));
            return Centred::from(operation, Cow::Owned(matrix.into_owned().map(|value| value / largest)));
        }
        // Rounding keeps order, so the largest distance is that of the lowest or the highest value.
        let distances = means.iter().zip(lows.iter().zip(&highs)).map(|(mean, (low, high))| (high - mean).max(mean - low));
        let largest = distances.fold(0.0, f64::max);
        let centre = means.iter().fold(0.0f64, |largest, mean| largest.max(mean.abs()));
        // Near rounding it is decided by the values themselves.
        if largest == 0.0 || (largest <= 1e-12 * centre && (1..rows).all(|row| matrix.row(row) == matrix.row(0))) {
            return Ok(None);
        }
        if !(1e-290..1e290).contains(&largest) {
            return Centred::from(operation, Cow::Owned(matrix.into_owned().map(|value| value / largest)));
        }
        Ok(Some(Centred { matrix, means, scale: 1.0 / largest }))
    }

    /// The matrix that is centred: the one given, or a multiple of it where its values were extreme.
    pub(crate) fn matrix(&self) -> &Matrix {
        &self.matrix
    }

    /// What centred values are multiplied by.
    pub(crate) fn scale(&self) -> f64 {
        self.scale
    }

    /// The same with another scale.
    pub(crate) fn with_scale(self, scale: f64) -> Centred<'a> {
        Centred { scale, ..self }
    }

    /// The columns as contiguous rows `[column × row]`.
    pub(crate) fn columns<T: Real>(&self) -> Rows<T> {
        Rows::of_columns(&self.matrix, &self.means, self.scale)
    }

    /// The columns, to be packed in single precision.
    pub(crate) fn column_vectors(&self) -> Vectors<'_> {
        Vectors::of_columns(&self.matrix, &self.means, self.scale)
    }

    /// The rows, contiguous.
    pub(crate) fn rows<T: Real>(&self) -> Rows<T> {
        let cols = self.matrix.cols();
        let mut values = vec![T::default(); self.matrix.rows() * cols];
        values.par_chunks_mut(cols.max(1)).enumerate().for_each(|(row, target)| {
            let source = self.matrix.row(row).iter().zip(&self.means);
            target.iter_mut().zip(source).for_each(|(target, (value, mean))| *target = T::of((value - mean) * self.scale));
        });
        Rows { rows: self.matrix.rows(), cols, values }
    }

    /// The centred and scaled matrix.
    pub(crate) fn to_matrix(&self) -> Matrix {
        let (rows, cols) = self.matrix.shape();
        let mut centred = Matrix::zeros(rows, cols);
        centred.values_mut().copy_from_slice(&self.rows::<f64>().values);
        centred
    }

    /// The squared length of each centred and scaled row.
    pub(crate) fn squared_rows(&self) -> Vec<f64> {
        (0..self.matrix.rows())
            .into_par_iter()
            .map(|row| {
                let deviations: Vec<f64> =
                    self.matrix.row(row).iter().zip(&self.means).map(|(value, mean)| (value - mean) * self.scale).collect();
                crate::product::inner(&deviations, &deviations)
            })
            .collect()
    }
}

/// What one pass over a matrix tells of each column.
struct Columns {
    means: Vec<f64>,
    lows: Vec<f64>,
    highs: Vec<f64>,
}

impl Columns {
    /// Sums by chunks of rows. The matrix has columns.
    fn of(matrix: &Matrix) -> Columns {
        let (rows, cols) = matrix.shape();
        let empty = || Columns { means: vec![0.0; cols], lows: vec![f64::INFINITY; cols], highs: vec![f64::NEG_INFINITY; cols] };
        let chunk = |chunk: &[f64]| {
            let Columns { means: mut sums, mut lows, mut highs } = empty();
            for row in chunk.chunks_exact(cols) {
                let columns = sums.iter_mut().zip(lows.iter_mut().zip(&mut highs));
                for (value, (sum, (low, high))) in row.iter().zip(columns) {
                    *sum += value;
                    *low = if *value < *low { *value } else { *low };
                    *high = if *value > *high { *value } else { *high };
                }
            }
            Columns { means: sums, lows, highs }
        };
        let chunks: Vec<Columns> = matrix.values().par_chunks(CHUNK * cols).map(chunk).collect();
        let mut all = empty();
        for chunk in chunks {
            all.means.iter_mut().zip(chunk.means).for_each(|(mean, sum)| *mean += sum);
            all.lows.iter_mut().zip(chunk.lows).for_each(|(low, other)| *low = low.min(other));
            all.highs.iter_mut().zip(chunk.highs).for_each(|(high, other)| *high = high.max(other));
        }
        all.means.iter_mut().for_each(|mean| *mean /= rows as f64);
        all
    }
}

/// The mean of each column, summed by chunks of rows.
pub(crate) fn column_means(matrix: &Matrix) -> Vec<f64> {
    let (rows, cols) = matrix.shape();
    let chunks: Vec<Vec<f64>> = matrix
        .values()
        .par_chunks((CHUNK * cols).max(1))
        .map(|chunk| {
            let mut sums = vec![0.0; cols];
            chunk.chunks_exact(cols).for_each(|row| sums.iter_mut().zip(row).for_each(|(sum, value)| *sum += value));
            sums
        })
        .collect();
    let mut means = vec![0.0; cols];
    for sums in chunks {
        means.iter_mut().zip(sums).for_each(|(mean, sum)| *mean += sum);
    }
    means.iter_mut().for_each(|mean| *mean /= rows as f64);
    means
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{all_close, normal_matrix};

    #[test]
    fn columns_are_centred_and_scaled_whatever_their_size() {
        let matrix = normal_matrix(1, 300, 7);
        for size in [1.0, 1e-300, 1e300, 1e-305] {
            let scaled = matrix.clone().map(|value| value * size);
            let centred = Centred::of("test", &scaled).unwrap().unwrap();
            let expected = Centred::of("test", &matrix).unwrap().unwrap().to_matrix();
            all_close(centred.to_matrix().values(), expected.values(), 1e-10);
            assert!(expected.values().iter().any(|value| value.abs() == 1.0));
            assert!(crate::statistics::mean(&centred.to_matrix().column(3)).abs() < 1e-10);
        }
        assert!(Centred::of("test", &Matrix::zeros(5, 3)).unwrap().is_none());
        assert!(Centred::of("test", &Matrix::from_fn(5, 3, |_, col| 0.1 * col as f64)).unwrap().is_none());
        assert!(Centred::of("test", &Matrix::new(1, 1, vec![f64::INFINITY]).unwrap()).is_err());
    }
}
