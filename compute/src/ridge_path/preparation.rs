//! How features are brought to one scale, learned on the training side.
//!
//! A feature that hardly varies where the fit is made has a tiny standard deviation; the sample where it does vary, divided by it, would stand at
//! thousands or millions and make its prediction by itself. A least deviation can not tell such a feature from one in small units. The range can: what
//! is held out is held to the range of the training samples, widened by itself on either side (winsorised, as in Tukey 1962, but by what training
//! shows alone), so a prediction reaches at most one range beyond what the fit has seen. Training samples are never changed, nor are held-out ones
//! that resemble them, whose predictions are those of scikit-learn's `StandardScaler` and `Ridge`.

use rayon::prelude::*;

use super::RidgeOptions;
use crate::Matrix;
use crate::geometry::centred::column_means;

/// Offset, scale and range of each feature.
#[derive(Debug, Clone)]
pub struct Preparation {
    /// What is taken off: the mean, or 0 without an intercept.
    pub(super) offset: Vec<f64>,
    /// What is divided by: the standard deviation (of divisor `n`), 1 for a constant feature or when features are not standardised.
    pub(super) scale: Vec<f64>,
    /// The least and largest value that is kept as it is; none when features are not standardised.
    kept: Option<Vec<(f64, f64)>>,
}

impl Preparation {
    /// Learned on `x [training sample × feature]`.
    pub fn of(x: &Matrix, options: RidgeOptions) -> Preparation {
        let features = x.cols();
        if !options.centres() {
            return Preparation { offset: vec![0.0; features], scale: vec![1.0; features], kept: None };
        }
        let offset = column_means(x);
        if !options.standardise {
            return Preparation { offset, scale: vec![1.0; features], kept: None };
        }
        let mut squares = vec![0.0; features];
        let mut ranges = vec![(f64::INFINITY, f64::NEG_INFINITY); features];
        for row in x.row_iter() {
            squares.iter_mut().zip(row.iter().zip(&offset)).for_each(|(sum, (value, mean))| *sum += (value - mean) * (value - mean));
            ranges.iter_mut().zip(row).for_each(|((low, high), &value)| (*low, *high) = (low.min(value), high.max(value)));
        }
        let floor = |mean: f64| (16.0 * f64::EPSILON * mean).powi(2);
        let scale = squares
            .iter()
            .zip(&offset)
            .map(|(sum, &mean)| {
                let variance = sum / x.rows() as f64;
                if variance > floor(mean) { variance.sqrt() } else { 1.0 }
            })
            .collect();
        let kept = ranges.into_iter().map(|(low, high)| (low - (high - low), high + (high - low))).collect();
        Preparation { offset, scale, kept: Some(kept) }
    }

    /// `x [sample × feature]`, held to the range, minus the offset, divided by the scale. Panics, as slices do, when it has other features.
    pub fn apply(&self, x: &Matrix) -> Matrix {
        let mut prepared = x.clone();
        prepared.values_mut().par_chunks_mut(self.offset.len().max(1)).for_each(|row| {
            if let Some(kept) = &self.kept {
                row.iter_mut().zip(kept).for_each(|(value, (low, high))| *value = value.max(*low).min(*high));
            }
            row.iter_mut().zip(self.offset.iter().zip(&self.scale)).for_each(|(value, (offset, scale))| *value = (*value - offset) / scale)
        });
        prepared
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_held_out_reaches_one_range_beyond_what_was_seen_and_no_further() {
        let train = Matrix::from_fn(5, 2, |row, col| [row as f64, 7.0][col]);
        let preparation = Preparation::of(&train, RidgeOptions { intercept: true, standardise: true });
        let deviation = 2f64.sqrt();
        let held_out = Matrix::from_fn(4, 2, |row, col| [[8.0, 9.0, -4.5, 3.0][row], [7.0, 7.5, 6.0, 7.0][row]][col]);
        let prepared = preparation.apply(&held_out);
        for (found, expected) in prepared.column(0).into_iter().zip([6.0, 6.0, -6.0, 1.0]) {
            assert!((found - expected / deviation).abs() < 1e-15, "{found}");
        }
        // A constant feature has nothing to say of values that it never had.
        assert_eq!(prepared.column(1), [0.0; 4]);
        let plain = Preparation::of(&train, RidgeOptions { intercept: true, standardise: false });
        assert_eq!(plain.apply(&held_out).column(0), [6.0, 7.0, -6.5, 1.0]);
    }
}
