//! How strongly pairs of traces go together: in single precision for many units, given all others, at a lag, and beyond what slow changes explain.

use rayon::prelude::*;

use super::mean;
use crate::error::finite;
use crate::factor::Cholesky;
use crate::panels::{Vectors, gram};
use crate::product::{gemm_nt, mirror_lower};
use crate::{ComputeError, Matrix};

/// As [`super::correlation_of_rows`], with products and sums in single precision: about twice as fast, half the memory for the traces, an absolute error of some 1e-6.
///
/// Pearson correlations of all pairs of rows `[rows × rows]`, exactly symmetric, with ones on the diagonal; NaN in the row and column of a constant row. Means and
/// norms are taken in double precision. Memory beyond the input: twice the result, and some megabytes.
pub fn correlation_of_rows_single(matrix: &Matrix) -> Matrix {
    let size = matrix.rows();
    let standards: Vec<Option<Standard>> = (0..size).into_par_iter().map(|row| Standard::of(matrix.row(row))).collect();
    // A row that is too small or large to be squared is brought to size first.
    let extreme = standards.iter().flatten().any(|standard| !(1e-140..1e140).contains(&standard.largest));
    let sized = extreme.then(|| {
        let mut sized = matrix.clone();
        for (row, standard) in standards.iter().enumerate() {
            if let Some(Standard { centre, largest, .. }) = standard {
                sized.row_mut(row).iter_mut().for_each(|value| *value = (*value - centre) / largest);
            }
        }
        sized
    });
    let product = |matrix: &Matrix, standards: &[Option<Standard>]| {
        let centred = |row: usize| standards[row].as_ref().map_or((0.0, 0.0), |standard| (standard.centre, standard.factor));
        gram(&Vectors::of_rows(matrix, centred), |value| value.clamp(-1.0, 1.0))
    };
    let mut correlation = match &sized {
        Some(sized) => product(sized, &(0..size).into_par_iter().map(|row| Standard::of(sized.row(row))).collect::<Vec<_>>()),
        None => product(matrix, &standards),
    };
    for row in 0..size {
        correlation[(row, row)] = 1.0;
    }
    for row in (0..size).filter(|&row| standards[row].is_none()) {
        for other in 0..size {
            (correlation[(row, other)], correlation[(other, row)]) = (f64::NAN, f64::NAN);
        }
    }
    correlation
}

/// What brings a row to a mean of 0 and a length of 1: `(value − centre) · factor`.
struct Standard {
    centre: f64,
    /// The largest distance from the centre.
    largest: f64,
    factor: f64,
}

impl Standard {
    /// None for no values and for values that are all the same.
    fn of(values: &[f64]) -> Option<Standard> {
        let start = (0.0, f64::INFINITY, f64::NEG_INFINITY);
        let lanes = by_lanes(values, start, |(sum, low, high): (f64, f64, f64), value| {
            (sum + value, if value < low { value } else { low }, if value > high { value } else { high })
        });
        let sum: f64 = lanes.iter().map(|(sum, _, _)| sum).sum();
        let low = lanes.iter().fold(f64::INFINITY, |low, lane| low.min(lane.1));
        let high = lanes.iter().fold(f64::NEG_INFINITY, |high, lane| high.max(lane.2));
        if values.is_empty() || low == high {
            return None;
        }
        let centre = sum / values.len() as f64;
        let squares = by_lanes(values, 0.0, |sum, value| sum + (value - centre) * (value - centre));
        Some(Standard { centre, largest: (high - centre).max(centre - low), factor: 1.0 / squares.iter().sum::<f64>().sqrt() })
    }
}

/// A fold of every eighth value, the last fewer than eight values going to the first lanes: chains that don't wait for each other.
fn by_lanes<T: Copy>(values: &[f64], start: T, fold: impl Fn(T, f64) -> T) -> [T; 8] {
    let mut lanes = [start; 8];
    let (runs, rest) = values.as_chunks::<8>();
    for run in runs {
        lanes.iter_mut().zip(run).for_each(|(lane, value)| *lane = fold(*lane, *value));
    }
    lanes.iter_mut().zip(rest).for_each(|(lane, value)| *lane = fold(*lane, *value));
    lanes
}

/// Partial correlations `−P_ij / √(P_ii P_jj)` of a covariance or correlation matrix with inverse `P`: what two variables share that no other explains. Ones on
/// the diagonal, exactly symmetric.
///
/// Refuses a matrix that is not positive definite: fewer samples than variables, or a variable that others make up; shrink it first.
pub fn partial_correlation(covariance: &Matrix) -> Result<Matrix, ComputeError> {
    let precision = Cholesky::new(covariance)?.inverse()?;
    let size = precision.rows();
    // Rounding lets a singular matrix pass for one that is not: then a variable's variance is a tiny share of itself once the others are known.
    if let Some(made_up) =
        (0..size).find(|&i| (precision[(i, i)] * covariance[(i, i)]).is_nan() || precision[(i, i)] * covariance[(i, i)] > 1e12)
    {
        let reason = format!("variable {made_up} is a combination of the others; leave it out, or shrink the covariance");
        return Err(ComputeError::value("partial correlation", reason));
    }
    let roots: Vec<f64> = precision.diagonal().into_iter().map(f64::sqrt).collect();
    let mut partial =
        Matrix::from_fn(size, size, |i, j| if i == j { 1.0 } else { (-precision[(i, j)] / (roots[i] * roots[j])).clamp(-1.0, 1.0) });
    mirror_lower(&mut partial);
    Ok(partial)
}

/// Correlations at a lag `[rows × rows]`: entry (i, j) is the mean of `z_i(t) z_j(t + lag)` over all `t` of one trial, `z` standardised over the whole trace (standard deviation with
/// divisor n). A positive value at a positive lag says that `i` leads `j`. `lag` in samples, negative ones look back.
///
/// `traces [unit × (trial · bin)]` has trials of `bins` samples end to end; no product crosses a border of trials. Refuses values that are not finite, a length that is not whole
/// trials, and a lag that leaves nothing of a trial. NaN in the row and column of a constant unit.
pub fn lagged_correlation(traces: &Matrix, bins: usize, lag: isize) -> Result<Matrix, ComputeError> {
    check("lagged correlation", traces, bins, lag.unsigned_abs())?;
    let standard = standardised(traces);
    if lag < 0 {
        return Ok(pairs_at(&standard, &standard, bins, lag.unsigned_abs())?.transposed());
    }
    pairs_at(&standard, &standard, bins, lag.unsigned_abs())
}

/// Synchrony of spike counts beyond slow changes `[rows × rows]`, symmetric: coincidences within `window` bins (0 is the same bin), less those expected when each spike
/// of one train is moved at random within its interval of `jitter` bins, over the geometric mean of both spike numbers, and averaged over the two choices of the train that moves.
///
/// The expectation is exact, not sampled: moving spikes at random within an interval replaces their train by its mean there (interval jitter: Amarasingham, Harrison, Hatsopoulos &
/// Geman 2012). `counts [unit × (trial · bin)]` has trials of `bins` samples end to end; nothing crosses a border of trials. 0 with a unit without spikes. The diagonal is 0.
/// Refuses values that are negative or not finite, a length that is not whole trials, a window that leaves nothing of a trial, and a jitter below 2 bins, which moves nothing.
pub fn jittered_synchrony(counts: &Matrix, bins: usize, window: usize, jitter: usize) -> Result<Matrix, ComputeError> {
    check("jittered synchrony", counts, bins, window)?;
    if jitter < 2 {
        return Err(ComputeError::value(
            "jittered synchrony",
            format!("a jitter of {jitter} bins; at least 2 are needed to move anything"),
        ));
    }
    if let Some(value) = counts.values().iter().find(|value| **value < 0.0) {
        return Err(ComputeError::value("jittered synchrony", format!("a count of {value}; spike counts are at least 0")));
    }
    // What jitter leaves of a train: its deviations from the mean of each interval.
    let mut beyond = counts.clone();
    for trial in beyond.values_mut().chunks_exact_mut(bins) {
        for interval in trial.chunks_mut(jitter) {
            let expected = interval.iter().sum::<f64>() / interval.len() as f64;
            interval.iter_mut().for_each(|value| *value -= expected);
        }
    }
    let size = counts.rows();
    let mut total = Matrix::zeros(size, size);
    for lag in 0..=window {
        let ahead = shifted(counts, bins, lag);
        let forward = gemm_nt(&beyond, &ahead)?;
        let add =
            |total: &mut Matrix, part: &Matrix| total.values_mut().iter_mut().zip(part.values()).for_each(|(total, part)| *total += part);
        add(&mut total, &forward);
        if lag > 0 {
            let backward = gemm_nt(&shifted(&beyond, bins, lag), counts)?;
            add(&mut total, &backward);
        }
    }
    let spikes: Vec<f64> = counts.row_iter().map(|row| row.iter().sum()).collect();
    Ok(Matrix::from_fn(size, size, |i, j| {
        let scale = (spikes[i] * spikes[j]).sqrt();
        if i == j || scale == 0.0 { 0.0 } else { 0.5 * (total[(i, j)] + total[(j, i)]) / scale }
    }))
}

fn check(operation: &'static str, traces: &Matrix, bins: usize, lag: usize) -> Result<(), ComputeError> {
    finite(operation, traces.values())?;
    if bins == 0 || !traces.cols().is_multiple_of(bins) {
        return Err(ComputeError::shape(operation, format!("{} samples are not whole trials of {bins} bins", traces.cols())));
    }
    if lag >= bins {
        return Err(ComputeError::value(operation, format!("a lag of {lag} bins leaves nothing of trials of {bins}")));
    }
    Ok(())
}

/// Mean 0 and standard deviation 1 over each row; NaN when constant.
fn standardised(traces: &Matrix) -> Matrix {
    let mut standard = traces.clone();
    let length = traces.cols().max(1);
    for row in standard.values_mut().chunks_exact_mut(length) {
        let constant = row.iter().all(|value| *value == row[0]);
        let centre = mean(row);
        row.iter_mut().for_each(|value| *value -= centre);
        let deviation = (row.iter().map(|value| value * value).sum::<f64>() / length as f64).sqrt();
        row.iter_mut().for_each(|value| *value = if constant { f64::NAN } else { *value / deviation });
    }
    standard
}

/// Each trial moved forward by `lag` bins, zeros behind.
fn shifted(traces: &Matrix, bins: usize, lag: usize) -> Matrix {
    let mut moved = Matrix::zeros(traces.rows(), traces.cols());
    for (target, trial) in moved.values_mut().chunks_exact_mut(bins).zip(traces.values().chunks_exact(bins)) {
        target[..bins - lag].copy_from_slice(&trial[lag..]);
    }
    moved
}

/// The mean of `a_i(t) b_j(t + lag)` over what is inside of trials.
fn pairs_at(a: &Matrix, b: &Matrix, bins: usize, lag: usize) -> Result<Matrix, ComputeError> {
    let pairs = (a.cols() / bins * (bins - lag)) as f64;
    // A unit without a value must not spoil the others: zeros in the product, NaN in the result.
    let whole = |matrix: &Matrix| matrix.clone().map(|value| if value.is_nan() { 0.0 } else { value });
    let mut product = gemm_nt(&whole(a), &shifted(&whole(b), bins, lag))?.map(|value| value / pairs);
    let missing = |matrix: &Matrix, row: usize| matrix.row(row).first().is_none_or(|value| value.is_nan());
    for row in 0..a.rows() {
        for other in 0..b.rows() {
            if missing(a, row) || missing(b, other) {
                product[(row, other)] = f64::NAN;
            }
        }
    }
    Ok(product)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden::{Case, all_close, close, normal_matrix, same_on_any_threads};
    use crate::random::Stream;
    use crate::statistics::{correlation_of_rows, covariance};

    #[test]
    fn single_precision_has_six_digits_of_the_double_and_the_same_bits_on_any_threads() {
        let traces = normal_matrix(1, 300, 700);
        let single = correlation_of_rows_single(&traces);
        all_close(single.values(), correlation_of_rows(&traces).values(), 2e-6);
        assert_eq!(single, single.transposed());
        same_on_any_threads(|| correlation_of_rows_single(&traces).into_values());
        let mut constant = normal_matrix(2, 3, 20);
        constant.row_mut(1).fill(7.0);
        let found = correlation_of_rows_single(&constant);
        assert!(found[(0, 1)].is_nan() && found[(1, 1)].is_nan() && !found[(0, 2)].is_nan());
        assert!(correlation_of_rows_single(&Matrix::zeros(2, 0))[(0, 1)].is_nan());
        let mut extreme = traces.clone();
        extreme.row_mut(4).iter_mut().for_each(|value| *value *= 1e-200);
        extreme.row_mut(5).iter_mut().for_each(|value| *value *= 1e200);
        all_close(correlation_of_rows_single(&extreme).values(), single.values(), 2e-6);
    }

    #[test]
    fn partial_and_lagged_correlations_are_those_of_the_reference() {
        let Some(case) = Case::open("connectome/correlation") else { return };
        let traces = case.matrix("traces");
        let partial = partial_correlation(&covariance(&traces.transposed(), 1).unwrap()).unwrap();
        let (_, expected) = case.array("partial");
        let n = traces.rows();
        for at in (0..n * n).filter(|at| at / n != at % n) {
            close(partial.values()[at], expected[at], 1e-10);
        }
        let (shape, expected) = case.array("xcorr");
        for lag in -5isize..=5 {
            let found = lagged_correlation(&traces, traces.cols(), lag).unwrap();
            let slice = (lag + 5) as usize * shape[1] * shape[2];
            all_close(found.values(), &expected[slice..slice + shape[1] * shape[2]], 1e-10);
        }
    }

    #[test]
    fn a_chain_has_no_partial_correlation_between_its_ends() {
        let mut stream = Stream::new(3);
        let mut rows = vec![Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..20_000 {
            let first = stream.normal();
            let second = first + 0.5 * stream.normal();
            rows[0].push(first);
            rows[1].push(second);
            rows[2].push(second + 0.5 * stream.normal());
        }
        let traces = Matrix::from_rows(&rows).unwrap();
        let partial = partial_correlation(&correlation_of_rows(&traces)).unwrap();
        assert!(partial[(0, 2)].abs() < 0.03 && partial[(0, 1)] > 0.5 && correlation_of_rows(&traces)[(0, 2)] > 0.7);
        let twice = Matrix::from_rows(&[rows[0].clone(), rows[0].clone()]).unwrap();
        assert!(partial_correlation(&covariance(&twice.transposed(), 1).unwrap()).is_err());
    }

    #[test]
    fn lags_stay_inside_of_trials_and_tell_who_leads() {
        let mut stream = Stream::new(4);
        let bins = 50;
        let mut rows = vec![Vec::new(), Vec::new()];
        for _ in 0..40 {
            let trial: Vec<f64> = (0..bins + 2).map(|_| stream.normal()).collect();
            rows[0].extend_from_slice(&trial[2..]);
            rows[1].extend_from_slice(&trial[..bins]);
        }
        let traces = Matrix::from_rows(&rows).unwrap();
        let found = lagged_correlation(&traces, bins, 2).unwrap();
        assert!(found[(0, 1)] > 0.9 && found[(1, 0)].abs() < 0.1);
        let back = lagged_correlation(&traces, bins, -2).unwrap();
        close(back[(1, 0)], found[(0, 1)], 1e-12);
        assert!(lagged_correlation(&traces, 33, 1).unwrap_err().to_string().contains("not whole trials of 33 bins"));
        assert!(lagged_correlation(&traces, bins, 50).is_err() && lagged_correlation(&traces, 0, 0).is_err());
    }

    #[test]
    fn common_slow_rates_are_no_synchrony_and_common_spikes_are() {
        let mut stream = Stream::new(5);
        let (bins, trials) = (200, 60);
        let mut rows = vec![Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..trials {
            for bin in 0..bins {
                // All rates follow the same slow wave; the first two trains share some spikes.
                let rate = 0.1 * (1.0 + (bin as f64 / 30.0).sin());
                let shared = stream.poisson(0.3 * rate) as f64;
                rows[0].push(stream.poisson(rate) as f64 + shared);
                rows[1].push(stream.poisson(rate) as f64 + shared);
                rows[2].push(stream.poisson(1.3 * rate) as f64);
            }
        }
        let counts = Matrix::from_rows(&rows).unwrap();
        assert!(correlation_of_rows(&counts)[(0, 2)] > 0.05);
        let found = jittered_synchrony(&counts, bins, 0, 10).unwrap();
        assert!(found[(0, 1)] > 0.12 && found[(0, 2)].abs() < 0.04 && found[(1, 2)].abs() < 0.04, "{found:?}");
        assert_eq!((found[(0, 0)], found[(0, 1)]), (0.0, found[(1, 0)]));
        // Sampled jitter has the exact expectation as its mean.
        let mut sampled = 0.0;
        for _ in 0..300 {
            let mut moved = vec![0.0; trials * bins];
            for (at, count) in rows[0].iter().enumerate() {
                for _ in 0..*count as usize {
                    moved[at / 10 * 10 + stream.below(10) as usize] += 1.0;
                }
            }
            sampled += moved.iter().zip(&rows[1]).map(|(a, b)| a * b).sum::<f64>() / 300.0;
        }
        let mut expected = 0.0;
        for interval in 0..trials * bins / 10 {
            let own = interval * 10..(interval + 1) * 10;
            expected += rows[0][own.clone()].iter().sum::<f64>() / 10.0 * rows[1][own].iter().sum::<f64>();
        }
        assert!((sampled - expected).abs() < 0.02 * expected, "{sampled} {expected}");
        assert!(jittered_synchrony(&counts, bins, 0, 1).is_err());
        assert!(jittered_synchrony(&counts.map(|count| -count), bins, 0, 5).unwrap_err().to_string().contains("spike counts"));
    }
}
