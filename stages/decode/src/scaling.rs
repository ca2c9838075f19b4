//! Scaling of features, learned on training trials and applied to all.

use neuroflow_compute::Matrix;
use neuroflow_stage::words;

words! {
    /// Scaling of features before they are classified, learned on the training trials of each fold.
    pub enum Scale {
        /// As they are. Linear discriminant analysis does not need more.
        None = "none" {},
        /// To mean 0 and standard deviation 1 on the training trials (divided by n). A constant feature is only centred.
        ZScore = "zscore" {},
    }
}

/// A learned scaling.
pub(crate) struct Scaling {
    mean: Vec<f64>,
    inverse_sd: Vec<f64>,
}

impl Scaling {
    /// Learns mean and standard deviation of each feature.
    pub(crate) fn fit(features: &Matrix) -> Scaling {
        let n = features.rows().max(1) as f64;
        let mut mean = vec![0.0; features.cols()];
        let mut square = vec![0.0; features.cols()];
        for row in features.row_iter() {
            mean.iter_mut().zip(row).for_each(|(sum, value)| *sum += value / n);
        }
        for row in features.row_iter() {
            square.iter_mut().zip(row.iter().zip(&mean)).for_each(|(sum, (value, mean))| *sum += (value - mean).powi(2) / n);
        }
        // What rounding alone leaves of a constant is no variance.
        let floor = |mean: f64| (16.0 * f64::EPSILON * mean).powi(2);
        let inverse_sd = square.iter().zip(&mean).map(|(&square, &mean)| if square > floor(mean) { 1.0 / square.sqrt() } else { 1.0 }).collect();
        Scaling { mean, inverse_sd }
    }

    /// Scales in place.
    pub(crate) fn apply(&self, features: &mut Matrix) {
        for row in features.values_mut().chunks_exact_mut(self.mean.len().max(1)) {
            row.iter_mut().zip(self.mean.iter().zip(&self.inverse_sd)).for_each(|(value, (mean, inverse))| *value = (*value - mean) * inverse);
        }
    }
}
