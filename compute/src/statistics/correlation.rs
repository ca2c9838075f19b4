//! Correlations, covariances and distances.

use super::{average_ranks, mean, sum};
use crate::error::same_length;
use crate::product::{for_each_chunk, gram, gram_of_rows, inner, mirror_lower};
use crate::{ComputeError, Matrix};

/// Pearson's correlation; NaN when a side is constant or has fewer than two values. Refuses lists of different length.
pub fn pearson(x: &[f64], y: &[f64]) -> Result<f64, ComputeError> {
    same_length("correlation", x.len(), y.len())?;
    Ok(match (standardised(x), standardised(y)) {
        (Some(x), Some(y)) => inner(&x, &y).clamp(-1.0, 1.0),
        _ => f64::NAN,
    })
}

/// Spearman's rank correlation: Pearson's of the average ranks; NaN when a side is constant. Refuses lists of different length.
pub fn spearman(x: &[f64], y: &[f64]) -> Result<f64, ComputeError> {
    same_length("rank correlation", x.len(), y.len())?;
    pearson(&average_ranks(x), &average_ranks(y))
}

/// Pearson correlations of all pairs of rows `[rows × rows]`, exactly symmetric, with ones on the diagonal; NaN in the row and column of a constant row.
pub fn correlation_of_rows(matrix: &Matrix) -> Matrix {
    let cols = matrix.cols();
    let mut standard = Matrix::zeros(matrix.rows(), cols);
    let mut constant = Vec::new();
    for row in 0..matrix.rows() {
        match standardised(matrix.row(row)) {
            Some(values) => standard.row_mut(row).copy_from_slice(&values),
            None => constant.push(row),
        }
    }
    let mut correlation = gram_of_rows(&standard).map(|value| value.clamp(-1.0, 1.0));
    for row in 0..matrix.rows() {
        correlation[(row, row)] = 1.0;
    }
    for &row in &constant {
        for other in 0..matrix.rows() {
            correlation[(row, other)] = f64::NAN;
            correlation[(other, row)] = f64::NAN;
        }
    }
    correlation
}

/// The covariance of the columns `[columns × columns]` over the rows, with divisor `n − freedom`. Refuses `n ≤ freedom` rows.
pub fn covariance(matrix: &Matrix, freedom: usize) -> Result<Matrix, ComputeError> {
    if matrix.rows() <= freedom {
        return Err(ComputeError::shape("covariance", format!("{} rows; more than {freedom} are needed", matrix.rows())));
    }
    let divisor = (matrix.rows() - freedom) as f64;
    Ok(gram(&centred_columns(matrix)).map(|value| value / divisor))
}

/// Squared Euclidean distances of all pairs of rows `[rows × rows]`, exactly symmetric, by differences: equal rows are at 0 exactly.
pub fn squared_distances(matrix: &Matrix) -> Matrix {
    let size = matrix.rows();
    let mut distances = Matrix::zeros(size, size);
    if size == 0 {
        return distances;
    }
    let row_block = if size * size * matrix.cols() < 1 << 18 { size } else { 16 };
    for_each_chunk(distances.values_mut(), row_block * size, |number, values| {
        for (offset, target) in values.chunks_exact_mut(size).enumerate() {
            let row = number * row_block + offset;
            for (other, distance) in target.iter_mut().enumerate().take(row) {
                *distance = squared_distance(matrix.row(row), matrix.row(other));
            }
        }
    });
    mirror_lower(&mut distances);
    distances
}

/// The matrix with the mean of each column taken off.
pub(super) fn centred_columns(matrix: &Matrix) -> Matrix {
    let mut centred = matrix.clone();
    for col in 0..matrix.cols() {
        let centre = mean(&matrix.column(col));
        (0..matrix.rows()).for_each(|row| centred[(row, col)] -= centre);
    }
    centred
}

/// Centred and of unit length; `None` when constant.
fn standardised(values: &[f64]) -> Option<Vec<f64>> {
    // Tested by value: after centring, rounding can make a constant look as if it varied.
    if values.windows(2).all(|pair| pair[0] == pair[1]) {
        return None;
    }
    let centre = mean(values);
    let mut deviations: Vec<f64> = values.iter().map(|value| value - centre).collect();
    // Scaled before squaring, so that tiny or huge values neither vanish nor overflow.
    let scale = deviations.iter().fold(0.0f64, |largest, deviation| largest.max(deviation.abs()));
    deviations.iter_mut().for_each(|deviation| *deviation /= scale);
    let norm = inner(&deviations, &deviations).sqrt();
    deviations.iter_mut().for_each(|deviation| *deviation /= norm);
    Some(deviations)
}

fn squared_distance(x: &[f64], y: &[f64]) -> f64 {
    const RUN: usize = 512;
    let run = |x: &[f64], y: &[f64]| {
        let mut lanes = [0.0; 8];
        let (xs, ys) = (x.chunks_exact(8), y.chunks_exact(8));
        let rest: f64 = xs.remainder().iter().zip(ys.remainder()).map(|(x, y)| (x - y) * (x - y)).sum();
        for (x, y) in xs.zip(ys) {
            for lane in 0..8 {
                lanes[lane] += (x[lane] - y[lane]) * (x[lane] - y[lane]);
            }
        }
        sum(&lanes) + rest
    };
    x.chunks(RUN).zip(y.chunks(RUN)).map(|(x, y)| run(x, y)).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix, same_on_any_threads};

    #[test]
    fn correlations_match_rsatoolbox_and_numpy() {
        if let Some(case) = Case::open("similarity/compare") {
            let (a, b) = (case.matrix("a"), case.matrix("b"));
            let (pearsons, spearmans) = (case.matrix("corr"), case.matrix("spearman"));
            for row in 0..a.rows() {
                for other in 0..b.rows() {
                    close(pearson(a.row(row), b.row(other)).unwrap(), pearsons[(row, other)], 1e-10);
                    close(spearman(a.row(row), b.row(other)).unwrap(), spearmans[(row, other)], 1e-10);
                }
            }
        }
        if let Some(case) = Case::open("connectome/correlation") {
            all_close(correlation_of_rows(&case.matrix("traces")).values(), case.array("pearson").1.as_slice(), 1e-12);
        }
    }

    #[test]
    fn a_line_correlates_with_itself_and_a_constant_with_nothing() {
        let line: Vec<f64> = (0..50).map(f64::from).collect();
        let falling: Vec<f64> = line.iter().map(|value| 3.0 - 2.0 * value).collect();
        let curved: Vec<f64> = line.iter().map(|value| value.exp()).collect();
        assert_eq!((pearson(&line, &falling).unwrap(), spearman(&line, &curved).unwrap()), (-1.0, 1.0));
        assert!(pearson(&line, &[0.1; 50]).unwrap().is_nan() && pearson(&[1.0], &[2.0]).unwrap().is_nan());
        assert!(pearson(&line, &[1.0]).is_err());
        let tiny: Vec<f64> = line.iter().map(|value| value * 1e-200).collect();
        close(pearson(&line, &tiny).unwrap(), 1.0, 1e-14);
    }

    #[test]
    fn a_constant_row_has_no_correlations() {
        let mut matrix = normal_matrix(1, 4, 30);
        matrix.row_mut(2).fill(0.1);
        let correlation = correlation_of_rows(&matrix);
        assert!((0..4).all(|other| correlation[(2, other)].is_nan() && correlation[(other, 2)].is_nan()));
        assert_eq!((correlation[(0, 0)], correlation[(1, 3)]), (1.0, correlation[(3, 1)]));
        close(correlation[(1, 3)], pearson(matrix.row(1), matrix.row(3)).unwrap(), 1e-14);
    }

    #[test]
    fn covariances_and_distances_are_those_of_the_definition() {
        let matrix = normal_matrix(2, 40, 1030);
        let few = matrix.take_columns(&[0, 1, 2]);
        let covariance = covariance(&few, 1).unwrap();
        close(covariance[(1, 1)], super::super::variance(&few.column(1), 1), 1e-14);
        let correlation = correlation_of_rows(&few.transposed());
        close(covariance[(0, 2)] / (covariance[(0, 0)] * covariance[(2, 2)]).sqrt(), correlation[(0, 2)], 1e-14);
        let distances = squared_distances(&matrix);
        let direct: f64 = matrix.row(3).iter().zip(matrix.row(17)).map(|(x, y)| (x - y).powi(2)).sum();
        close(distances[(3, 17)], direct, 1e-13);
        assert_eq!((distances[(5, 5)], distances[(17, 3)]), (0.0, distances[(3, 17)]));
        assert!(super::covariance(&Matrix::zeros(1, 2), 1).is_err());
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let matrix = normal_matrix(3, 300, 111);
        same_on_any_threads(|| correlation_of_rows(&matrix).into_values());
        same_on_any_threads(|| squared_distances(&matrix).into_values());
        same_on_any_threads(|| covariance(&matrix, 0).unwrap().into_values());
    }
}
