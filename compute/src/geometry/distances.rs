//! Dissimilarities of all pairs of rows, in rsatoolbox's conventions: squared distances are divided by the number of columns.

use rayon::prelude::*;

use super::strips::{Rows, lower_strips_within};
use crate::error::finite;
use crate::factor::Cholesky;
use crate::product::{gemm_nt, inner};
use crate::statistics::{mean, sum};
use crate::{ComputeError, Matrix};

/// The most rows whose triangle of dissimilarities is computed: 2³¹ pairs, 16 GiB.
pub const MOST_ROWS: usize = 65_536;

/// Products that are held at once, beside the triangle.
const STRIP_BYTES: usize = 256 << 20;

/// The place of the pair `row < column` in the upper triangle of `size` rows, row by row.
pub fn triangle_place(size: usize, row: usize, column: usize) -> usize {
    row * (2 * size - row - 1) / 2 + column - row - 1
}

/// 1 − Pearson's correlation of each pair of rows over the columns, 0–2. NaN for pairs with a row that is constant (it has no correlation).
///
/// # Errors
/// More than [`MOST_ROWS`] rows, values that are not finite.
pub fn correlation_distances(rows: &Matrix) -> Result<Vec<f64>, ComputeError> {
    angular("correlation distances", rows, true)
}

/// 1 − cosine of the angle between each pair of rows, 0–2. NaN for pairs with a row of zeros.
///
/// # Errors
/// As [`correlation_distances`].
pub fn cosine_distances(rows: &Matrix) -> Result<Vec<f64>, ComputeError> {
    angular("cosine distances", rows, false)
}

/// The mean over columns of the squared difference of each pair of rows.
///
/// Pairs that are nearly equal are taken by differences, so equal rows are at 0 exactly and the relative error stays below about 1e-9.
///
/// # Errors
/// As [`correlation_distances`].
pub fn euclidean_distances(rows: &Matrix) -> Result<Vec<f64>, ComputeError> {
    let operation = "euclidean distances";
    check(operation, rows)?;
    // Distances do not change when the mean row is taken off, and less is lost in differences of squares.
    let centred = without_mean_row(rows);
    let squares = squared_lengths(&centred);
    let divisor = centred.cols as f64;
    Ok(triangle_of(&centred, &centred, |a, b, product| {
        let both = squares[a] + squares[b];
        let distance = both - 2.0 * product;
        if distance > 1e-6 * both { distance / divisor } else { squared_difference(&centred, a, b) / divisor }
    }))
}

/// `δᵀ Σ⁻¹ δ / columns` of each pair of rows, `δ` their difference and `Σ` the covariance of the noise `[columns × columns]`.
///
/// # Errors
/// As [`correlation_distances`]; a covariance that is not positive definite or of another size.
pub fn mahalanobis_distances(rows: &Matrix, covariance: &Cholesky) -> Result<Vec<f64>, ComputeError> {
    check("mahalanobis distances", rows)?;
    euclidean_distances(&whitened(rows, covariance)?)
}

/// Cross-validated squared distances: `δ_mᵀ Σ⁻¹ δ_n / columns` averaged over ordered pairs of different folds `m ≠ n` (Walther et al. 2016).
/// Unbiased, so it is zero on average where there is no difference, and can be negative.
///
/// `folds` has for each fold the condition means `[condition × column]`; without a covariance, columns count alike. The same as leaving one fold
/// out in turn and comparing it with the mean of the others.
///
/// # Errors
/// As [`mahalanobis_distances`]; fewer than two folds, folds of different shape.
pub fn crossnobis_distances(folds: &[Matrix], covariance: Option<&Cholesky>) -> Result<Vec<f64>, ComputeError> {
    let whitened = whitened_folds(folds, &vec![covariance; folds.len()])?;
    let (conditions, columns) = whitened[0].shape();
    let count = whitened.len();
    // Σ_{m≠n} x_m·y_n = (Σ_m x_m)·(Σ_n y_n) − Σ_m x_m·y_m: one product of rows [Σ | x_1 … x_F] with rows [Σ | −x_1 … −x_F].
    let wide = (count + 1) * columns;
    let (mut left, mut right) = (Matrix::zeros(conditions, wide), Matrix::zeros(conditions, wide));
    for condition in 0..conditions {
        for (place, fold) in whitened.iter().enumerate() {
            for (column, &value) in fold.row(condition).iter().enumerate() {
                left[(condition, column)] += value;
                left[(condition, (place + 1) * columns + column)] = value;
                right[(condition, (place + 1) * columns + column)] = -value;
            }
        }
        let sums = left.row(condition)[..columns].to_vec();
        right.row_mut(condition)[..columns].copy_from_slice(&sums);
    }
    let (left, right) = (Rows::<f64>::of_rows(&left, None, 1.0), Rows::<f64>::of_rows(&right, None, 1.0));
    let own: Vec<f64> = left.values.chunks_exact(wide).zip(right.values.chunks_exact(wide)).map(|(x, y)| inner(x, y)).collect();
    let divisor = (count * (count - 1)) as f64 * columns as f64;
    Ok(triangle_of(&left, &right, |a, b, product| (own[a] + own[b] - 2.0 * product) / divisor))
}

/// As [`crossnobis_distances`] with a covariance of each fold: every pair of folds is whitened by the mean of its two covariances, as rsatoolbox
/// does with a list of precisions.
///
/// # Errors
/// As [`crossnobis_distances`]; another number of covariances than folds.
pub fn crossnobis_distances_by_pairs(folds: &[Matrix], covariances: &[Matrix]) -> Result<Vec<f64>, ComputeError> {
    let operation = "crossnobis distances";
    if covariances.len() != folds.len() {
        return Err(ComputeError::shape(
            operation,
            format!("{} folds and {} covariances; every fold has its own", folds.len(), covariances.len()),
        ));
    }
    let centred = whitened_folds(folds, &vec![None; folds.len()])?;
    let (conditions, columns) = centred[0].shape();
    let mut distances = vec![0.0; conditions * (conditions - 1) / 2];
    for second in 1..folds.len() {
        for first in 0..second {
            if covariances[first].shape() != covariances[second].shape() {
                return Err(ComputeError::shape(operation, "the folds' covariances are of different sizes"));
            }
            let middle = Matrix::from_fn(covariances[first].rows(), covariances[first].cols(), |row, col| {
                0.5 * (covariances[first][(row, col)] + covariances[second][(row, col)])
            });
            let factor = Cholesky::new(&middle)?;
            let products = gemm_nt(&whitened(&centred[first], &factor)?, &whitened(&centred[second], &factor)?)?;
            for row in 0..conditions {
                for column in row + 1..conditions {
                    distances[triangle_place(conditions, row, column)] +=
                        products[(row, row)] + products[(column, column)] - products[(row, column)] - products[(column, row)];
                }
            }
        }
    }
    let divisor = (folds.len() * (folds.len() - 1) / 2) as f64 * columns as f64;
    distances.iter_mut().for_each(|distance| *distance /= divisor);
    Ok(distances)
}

fn angular(operation: &'static str, rows: &Matrix, centre: bool) -> Result<Vec<f64>, ComputeError> {
    check(operation, rows)?;
    let (size, cols) = rows.shape();
    let mut values = vec![0.0; size * cols];
    let mut lengths = vec![0.0; size];
    if cols > 0 {
        values.par_chunks_mut(cols).zip(lengths.par_iter_mut()).enumerate().for_each(|(row, (target, length))| {
            *length = direction(rows.row(row), centre, target);
        });
    }
    let directions = Rows { rows: size, cols, values };
    Ok(triangle_of(&directions, &directions, |a, b, product| (1.0 - product / (lengths[a] * lengths[b])).clamp(0.0, 2.0)))
}

/// Writes the row, centred when asked, and gives its length; NaN for one without direction.
fn direction(row: &[f64], centre: bool, target: &mut [f64]) -> f64 {
    // Tested by value: after centring, rounding can make a constant look as if it varied.
    let first = row[0];
    let none = if centre { row.iter().all(|&value| value == first) } else { row.iter().all(|&value| value == 0.0) };
    if none {
        return f64::NAN;
    }
    let mut largest = 0.0f64;
    let offset = if centre { mean(row) } else { 0.0 };
    for (target, value) in target.iter_mut().zip(row) {
        *target = value - offset;
        largest = largest.max(target.abs());
    }
    // Tiny or huge values must neither vanish nor overflow when they are squared.
    if !(1e-100..1e100).contains(&largest) {
        if centre && !offset.is_finite() {
            // The sum overflowed: from scaled values.
            let scale = row.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            let scaled: Vec<f64> = row.iter().map(|value| value / scale).collect();
            let offset = mean(&scaled);
            target.iter_mut().zip(scaled).for_each(|(target, value)| *target = value - offset);
            largest = target.iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
        }
        target.iter_mut().for_each(|value| *value /= largest);
    }
    inner(target, target).sqrt()
}

/// `value(row, column, product)` of each pair, from strips of products.
fn triangle_of(left: &Rows<f64>, right: &Rows<f64>, value: impl Fn(usize, usize, f64) -> f64 + Sync) -> Vec<f64> {
    let size = left.rows;
    let mut triangle = vec![0.0; size * size.saturating_sub(1) / 2];
    let at_once = (STRIP_BYTES / 8 / size.max(1)).max(96) / 96 * 96;
    for start in (0..size).step_by(at_once) {
        let end = (start + at_once).min(size);
        let strips = lower_strips_within(left, right, start..end, |first, height, strip| (first, height, strip));
        let mut rest = triangle.as_mut_slice();
        let mut targets = Vec::with_capacity(end);
        for row in 0..end.min(size.saturating_sub(1)) {
            let (own, after) = rest.split_at_mut(size - row - 1);
            targets.push(own);
            rest = after;
        }
        targets.into_par_iter().enumerate().for_each(|(row, target)| {
            for (first, height, strip) in strips.iter().filter(|(first, height, _)| first + height > row + 1) {
                let part = &strip[row * height..(row + 1) * height];
                for column in (*first).max(row + 1)..first + height {
                    target[column - row - 1] = value(row, column, part[column - first]);
                }
            }
        });
    }
    triangle
}

fn check(operation: &'static str, rows: &Matrix) -> Result<(), ComputeError> {
    if rows.rows() > MOST_ROWS {
        return Err(ComputeError::shape(
            operation,
            format!("{} rows have more than 2³¹ pairs; at most {MOST_ROWS} rows are compared", rows.rows()),
        ));
    }
    finite(operation, rows.values())
}

fn without_mean_row(rows: &Matrix) -> Rows<f64> {
    let (size, cols) = rows.shape();
    let mut means = vec![0.0; cols];
    for row in rows.row_iter() {
        means.iter_mut().zip(row).for_each(|(mean, value)| *mean += value / size as f64);
    }
    let mut values = vec![0.0; size * cols];
    if cols > 0 {
        values.par_chunks_mut(cols).enumerate().for_each(|(row, target)| {
            target.iter_mut().zip(rows.row(row).iter().zip(&means)).for_each(|(target, (value, mean))| *target = value - mean);
        });
    }
    Rows { rows: size, cols, values }
}

fn squared_lengths(rows: &Rows<f64>) -> Vec<f64> {
    (0..rows.rows).into_par_iter().map(|row| &rows.values[row * rows.cols..(row + 1) * rows.cols]).map(|row| inner(row, row)).collect()
}

fn squared_difference(rows: &Rows<f64>, a: usize, b: usize) -> f64 {
    let row = |row: usize| &rows.values[row * rows.cols..(row + 1) * rows.cols];
    let squares: Vec<f64> = row(a).iter().zip(row(b)).map(|(x, y)| (x - y) * (x - y)).collect();
    sum(&squares)
}

/// Rows times `L⁻ᵀ`: in units of the noise.
fn whitened(rows: &Matrix, covariance: &Cholesky) -> Result<Matrix, ComputeError> {
    if covariance.size() != rows.cols() {
        let reason = format!("{} columns and a covariance of {}", rows.cols(), covariance.size());
        return Err(ComputeError::shape("noise normalisation", reason));
    }
    Ok(covariance.solve_lower(&rows.transposed())?.transposed())
}

/// The folds, each without its mean row (which no difference has) and whitened.
fn whitened_folds(folds: &[Matrix], covariances: &[Option<&Cholesky>]) -> Result<Vec<Matrix>, ComputeError> {
    let operation = "crossnobis distances";
    if folds.len() < 2 {
        return Err(ComputeError::shape(operation, format!("{} folds; cross-validation needs at least 2", folds.len())));
    }
    let shape = folds[0].shape();
    if shape.0 < 2 || shape.1 == 0 || folds.iter().any(|fold| fold.shape() != shape) {
        let shapes: Vec<String> = folds.iter().map(|fold| format!("{} × {}", fold.rows(), fold.cols())).collect();
        let reason = format!("folds of {}; all need the same conditions (2 at least) and columns", shapes.join(", "));
        return Err(ComputeError::shape(operation, reason));
    }
    folds
        .iter()
        .zip(covariances)
        .map(|(fold, covariance)| {
            check(operation, fold)?;
            let centred = without_mean_row(fold);
            let centred = Matrix::new(centred.rows, centred.cols, centred.values)?;
            match covariance {
                Some(covariance) => whitened(&centred, covariance),
                None => Ok(centred),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix, same_on_any_threads};
    use crate::statistics::pearson;

    /// Means of the rows of each condition, of those rows that count.
    fn means(rows: &Matrix, condition: &[usize], keep: impl Fn(usize) -> bool) -> Matrix {
        let mut levels = condition.to_vec();
        levels.sort_unstable();
        levels.dedup();
        Matrix::from_fn(levels.len(), rows.cols(), |level, column| {
            let members: Vec<usize> = (0..rows.rows()).filter(|&row| condition[row] == levels[level] && keep(row)).collect();
            members.iter().map(|&row| rows[(row, column)]).sum::<f64>() / members.len() as f64
        })
    }

    fn folds_of(rows: &Matrix, condition: &[usize], run: &[usize]) -> Vec<Matrix> {
        let mut runs = run.to_vec();
        runs.sort_unstable();
        runs.dedup();
        runs.iter().map(|fold| means(rows, condition, |row| run[row] == *fold)).collect()
    }

    fn covariance_of(precision: &Matrix) -> Cholesky {
        Cholesky::new(&Cholesky::new(precision).unwrap().inverse().unwrap()).unwrap()
    }

    #[test]
    fn distances_are_those_of_rsatoolbox() {
        if let Some(case) = Case::open("similarity/rdm") {
            let (rows, condition) = (case.matrix("measurements"), case.labels("condition"));
            let all = means(&rows, &condition, |_| true);
            let noise = covariance_of(&case.matrix("noise_precision"));
            all_close(&correlation_distances(&all).unwrap(), &case.array("correlation").1, 1e-12);
            all_close(&euclidean_distances(&all).unwrap(), &case.array("euclidean").1, 1e-12);
            all_close(&mahalanobis_distances(&all, &noise).unwrap(), &case.array("mahalanobis").1, 1e-10);
            let folds = folds_of(&rows, &condition, &case.labels("run"));
            all_close(&crossnobis_distances(&folds, Some(&noise)).unwrap(), &case.array("crossnobis").1, 1e-10);
        }
        if let Some(case) = Case::open("more/similarity/rdm_methods") {
            let (rows, condition) = (case.matrix("in_Z"), case.labels("in_condition"));
            let run = case.labels("in_run");
            let without_mean =
                |matrix: &Matrix| Matrix::from_fn(matrix.rows(), matrix.cols(), |row, col| matrix[(row, col)] - mean(matrix.row(row)));
            let all = means(&rows, &condition, |_| true);
            let noise = covariance_of(&case.matrix("in_precision"));
            let folds = folds_of(&rows, &condition, &run);
            let flat: Vec<Matrix> = folds.iter().map(without_mean).collect();
            let expected = |name: &str| case.array(name).1;
            all_close(&correlation_distances(&all).unwrap(), &expected("out_correlation"), 1e-9);
            all_close(&euclidean_distances(&all).unwrap(), &expected("out_euclidean"), 1e-9);
            all_close(&euclidean_distances(&without_mean(&all)).unwrap(), &expected("out_euclidean_rm"), 1e-9);
            all_close(&mahalanobis_distances(&all, &noise).unwrap(), &expected("out_mahalanobis"), 1e-9);
            all_close(&crossnobis_distances(&folds, Some(&noise)).unwrap(), &expected("out_crossnobis"), 1e-9);
            all_close(&crossnobis_distances(&folds, None).unwrap(), &expected("out_crossnobis_identity"), 1e-9);
            all_close(&crossnobis_distances(&flat, Some(&noise)).unwrap(), &expected("out_crossnobis_rm"), 1e-9);
            let (shape, precisions) = case.array("in_precision_per_run");
            let covariances: Vec<Matrix> = precisions
                .chunks_exact(shape[1] * shape[2])
                .map(|part| Cholesky::new(&Matrix::new(shape[1], shape[2], part.to_vec()).unwrap()).unwrap().inverse().unwrap())
                .collect();
            all_close(&crossnobis_distances_by_pairs(&folds, &covariances).unwrap(), &expected("out_crossnobis_per_run"), 1e-9);
        }
    }

    #[test]
    fn distances_are_those_of_the_definition_for_many_rows() {
        let rows = normal_matrix(1, 130, 40);
        let (correlation, euclidean, cosine) =
            (correlation_distances(&rows).unwrap(), euclidean_distances(&rows).unwrap(), cosine_distances(&rows).unwrap());
        for (a, b) in [(0, 1), (3, 127), (60, 61), (128, 129)] {
            let (x, y, place) = (rows.row(a), rows.row(b), triangle_place(130, a, b));
            close(correlation[place], 1.0 - pearson(x, y).unwrap(), 1e-13);
            close(euclidean[place], x.iter().zip(y).map(|(x, y)| (x - y).powi(2)).sum::<f64>() / 40.0, 1e-13);
            close(cosine[place], 1.0 - inner(x, y) / (inner(x, x) * inner(y, y)).sqrt(), 1e-13);
        }
    }

    #[test]
    fn equal_rows_are_at_zero_and_constant_rows_have_no_correlation() {
        let mut rows = normal_matrix(2, 5, 33).map(|value| value + 1e6);
        let copy = rows.row(1).to_vec();
        rows.row_mut(3).copy_from_slice(&copy);
        rows.row_mut(4).fill(0.1);
        assert_eq!(euclidean_distances(&rows).unwrap()[triangle_place(5, 1, 3)], 0.0);
        let correlation = correlation_distances(&rows).unwrap();
        close(correlation[triangle_place(5, 1, 3)], 0.0, 1e-12);
        assert!((0..4).all(|other| correlation[triangle_place(5, other, 4)].is_nan()));
        assert!(!cosine_distances(&rows).unwrap()[triangle_place(5, 0, 4)].is_nan());
        rows.row_mut(4).fill(0.0);
        assert!(cosine_distances(&rows).unwrap()[triangle_place(5, 0, 4)].is_nan());
    }

    #[test]
    fn strange_inputs_are_refused() {
        assert!(correlation_distances(&Matrix::new(1, 2, vec![1.0, f64::NAN]).unwrap()).is_err());
        assert!(correlation_distances(&Matrix::zeros(MOST_ROWS + 1, 0)).unwrap_err().to_string().contains("at most 65536 rows"));
        assert!(crossnobis_distances(&[Matrix::zeros(3, 2)], None).unwrap_err().to_string().contains("at least 2"));
        assert!(crossnobis_distances(&[Matrix::zeros(3, 2), Matrix::zeros(2, 2)], None).unwrap_err().to_string().contains("3 × 2, 2 × 2"));
        assert_eq!(correlation_distances(&Matrix::zeros(1, 3)).unwrap(), Vec::<f64>::new());
        let small = Cholesky::new(&Matrix::identity(2)).unwrap();
        assert!(mahalanobis_distances(&Matrix::zeros(3, 3), &small).is_err());
    }

    #[test]
    fn the_number_of_threads_does_not_change_a_bit() {
        let rows = normal_matrix(5, 210, 70);
        same_on_any_threads(|| correlation_distances(&rows).unwrap());
        same_on_any_threads(|| euclidean_distances(&rows).unwrap());
        let folds: Vec<Matrix> = (0..3).map(|fold| normal_matrix(10 + fold, 100, 12)).collect();
        same_on_any_threads(|| crossnobis_distances(&folds, None).unwrap());
    }

    proptest! {
        #[test]
        fn scaling_a_row_changes_no_angle_and_permuting_columns_changes_no_distance(seed: u64, scale in 1e-3f64..1e3, tiny in -250i32..250) {
            let rows = normal_matrix(seed, 6, 9);
            let scaled = Matrix::from_fn(6, 9, |row, col| rows[(row, col)] * if row == 2 { scale * 10f64.powi(tiny) } else { 1.0 });
            let (one, other) = (correlation_distances(&rows).unwrap(), correlation_distances(&scaled).unwrap());
            prop_assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-12));
            let order = crate::random::Stream::new(seed).permutation(9);
            let (one, other) = (euclidean_distances(&rows).unwrap(), euclidean_distances(&rows.take_columns(&order)).unwrap());
            prop_assert!(one.iter().zip(&other).all(|(a, b)| (a - b).abs() < 1e-12));
        }
    }
}
