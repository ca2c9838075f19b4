//! Matrices with more cells than a page has room for, as means over blocks of them.

use crate::error::ReportError;
use neuroflow_data::Tensor;

/// So many rows or columns are drawn as they are.
const MOST: usize = 512;

/// A smaller matrix for a large one.
pub(super) struct Shrunk {
    /// Means of the finite values of each block; NaN where there is none. Axes have the first position of each block.
    pub(super) matrix: Tensor,
    /// Rows and columns of a block.
    pub(super) block: (usize, usize),
}

impl Shrunk {
    /// What is said of it behind a caption.
    pub(super) fn note(&self) -> String {
        format!("; each cell is the mean of {} × {}", self.block.0, self.block.1)
    }
}

/// A matrix `[rows × columns]` made small enough to be drawn; none when it is.
pub(super) fn shrunk(matrix: &Tensor) -> Result<Option<Shrunk>, ReportError> {
    let [rows, columns] = matrix.axes() else { return Ok(None) };
    let block = (rows.len().div_ceil(MOST), columns.len().div_ceil(MOST));
    if block.0 <= 1 && block.1 <= 1 {
        return Ok(None);
    }
    let firsts = |length: usize, block: usize| (0..length).step_by(block.max(1)).collect::<Vec<_>>();
    let (down, across) = (firsts(rows.len(), block.0), firsts(columns.len(), block.1));
    let mut values = Vec::with_capacity(down.len() * across.len());
    for &row in &down {
        for &column in &across {
            let (mut sum, mut count) = (0.0, 0usize);
            for position in row..rows.len().min(row + block.0.max(1)) {
                let cells = matrix.row(position).get(column..columns.len().min(column + block.1.max(1))).unwrap_or_default();
                for value in cells.iter().filter(|value| value.is_finite()) {
                    sum += value;
                    count += 1;
                }
            }
            values.push(if count == 0 { f64::NAN } else { sum / count as f64 });
        }
    }
    let matrix = Tensor::new(vec![rows.select(&down), columns.select(&across)], matrix.unit(), values)?;
    Ok(Some(Shrunk { matrix, block: (block.0.max(1), block.1.max(1)) }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::Axis;

    #[test]
    fn a_large_matrix_becomes_means_of_blocks_and_a_small_one_stays() {
        let matrix = |rows: usize, columns: usize, value: fn(usize) -> f64| {
            let axes = vec![Axis::count("x", rows), Axis::count("y", columns)];
            Tensor::new(axes, None, (0..rows * columns).map(value).collect::<Vec<_>>()).unwrap()
        };
        assert!(shrunk(&matrix(512, 3, |at| at as f64)).unwrap().is_none());
        let small = shrunk(&matrix(3, 1025, |at| if at % 1025 == 0 { f64::NAN } else { (at % 1025) as f64 })).unwrap().unwrap();
        assert_eq!((small.block, small.matrix.shape()), ((1, 3), vec![3, 342]));
        assert_eq!(small.matrix.row(2)[..2], [1.5, 4.0]);
        assert_eq!(small.matrix.row(0)[341], 1023.5);
        assert_eq!(small.note(), "; each cell is the mean of 1 × 3");
    }
}
