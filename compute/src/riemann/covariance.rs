//! One covariance of channels for each trial.

use rayon::prelude::*;

use crate::error::finite;
use crate::product::gram_of_rows;
use crate::statistics::{ledoit_wolf, mean, oracle_approximating};
use crate::{ComputeError, Matrix, MatrixRef};

/// How a trial's covariance is estimated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CovarianceEstimator {
    /// `X Xᵀ / n`, nothing taken off: for filtered signals, whose mean is zero. What MNE-Python's CSP uses.
    SecondMoment,
    /// The covariance around each channel's mean, divided by `n`.
    Sample,
    /// That of Ledoit & Wolf (2004): shrunk towards equal variances by the least expected error.
    LedoitWolf,
    /// The oracle approximating shrinkage of Chen et al. (2010).
    OracleApproximating,
}

/// The covariance `[channel × channel]` of each trial `[channel × sample]`, over the threads of the pool.
///
/// Refuses trials with different numbers of channels, trials without samples or channels, and values that are not finite.
pub fn trial_covariances(trials: &[MatrixRef<'_>], estimator: CovarianceEstimator) -> Result<Vec<Matrix>, ComputeError> {
    let channels = trials.first().map_or(0, |trial| trial.rows());
    if let Some(odd) = trials.iter().position(|trial| trial.rows() != channels || trial.rows() == 0 || trial.cols() == 0) {
        let reason =
            format!("trial {odd} is {:?}, trial 0 has {channels} channels; all have the same channels, and samples", trials[odd].shape());
        return Err(ComputeError::shape("covariance of trials", reason));
    }
    let each: Vec<Result<Matrix, ComputeError>> = trials.par_iter().map(|trial| covariance(*trial, estimator)).collect();
    each.into_iter().collect()
}

fn covariance(trial: MatrixRef<'_>, estimator: CovarianceEstimator) -> Result<Matrix, ComputeError> {
    let samples = trial.cols() as f64;
    match estimator {
        CovarianceEstimator::SecondMoment => {
            let gram = gram_of_rows(trial);
            // A value that is not finite shows in the sums of squares; only then is it looked for.
            if gram.values().iter().any(|value| !value.is_finite()) {
                finite("covariance of trials", trial.to_matrix().values())?;
                return Err(ComputeError::value("covariance of trials", "squares of the values are too large for a number"));
            }
            Ok(gram.map(|value| value / samples))
        }
        CovarianceEstimator::Sample => {
            let mut centred = trial.to_matrix();
            finite("covariance of trials", centred.values())?;
            for channel in 0..centred.rows() {
                let row = centred.row_mut(channel);
                let centre = mean(row);
                row.iter_mut().for_each(|value| *value -= centre);
            }
            Ok(gram_of_rows(&centred).map(|value| value / samples))
        }
        CovarianceEstimator::LedoitWolf => ledoit_wolf(&trial.t().to_matrix()).map(|shrunk| shrunk.covariance),
        CovarianceEstimator::OracleApproximating => oracle_approximating(&trial.t().to_matrix()).map(|shrunk| shrunk.covariance),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;
    use crate::golden::{Case, all_close, normal_matrix, same_on_any_threads};

    /// The trials of the reference case and their labels.
    pub(crate) fn reference() -> Option<(Case, Vec<Matrix>, Vec<usize>)> {
        let case = Case::open("signal/csp_riemann")?;
        let (shape, values) = case.array("epochs");
        let trials =
            values.chunks_exact(shape[1] * shape[2]).map(|trial| Matrix::new(shape[1], shape[2], trial.to_vec()).unwrap()).collect();
        let labels = case.labels("labels");
        Some((case, trials, labels))
    }

    pub(crate) fn covariances(trials: &[Matrix], estimator: CovarianceEstimator) -> Vec<Matrix> {
        trial_covariances(&trials.iter().map(Matrix::view).collect::<Vec<_>>(), estimator).unwrap()
    }

    #[test]
    fn estimates_are_those_of_pyriemann() {
        let Some((case, trials, _)) = reference() else { return };
        for (estimator, name) in [
            (CovarianceEstimator::Sample, "cov_scm"),
            (CovarianceEstimator::LedoitWolf, "cov_lwf"),
            (CovarianceEstimator::OracleApproximating, "cov_oas"),
        ] {
            let found: Vec<f64> = covariances(&trials, estimator).into_iter().flat_map(Matrix::into_values).collect();
            all_close(&found, &case.array(name).1, 1e-10);
        }
    }

    #[test]
    fn a_part_of_a_trial_is_taken_without_a_copy_and_an_offset_counts_only_for_the_second_moment() {
        let trial = normal_matrix(1, 3, 50);
        let columns: Vec<usize> = (10..40).collect();
        let part = trial_covariances(&[trial.view().column_range(10..40)], CovarianceEstimator::SecondMoment).unwrap();
        let copy = trial_covariances(&[trial.take_columns(&columns).view()], CovarianceEstimator::SecondMoment).unwrap();
        all_close(part[0].values(), copy[0].values(), 1e-14);
        let shifted = trial.clone().map(|value| value + 5.0);
        for (estimator, moves) in [(CovarianceEstimator::SecondMoment, true), (CovarianceEstimator::Sample, false)] {
            let [before, after] = [&trial, &shifted].map(|trial| trial_covariances(&[trial.view()], estimator).unwrap().remove(0));
            assert_eq!((after[(0, 1)] - before[(0, 1)]).abs() > 20.0, moves);
        }
    }

    #[test]
    fn bad_trials_are_refused_and_threads_change_nothing() {
        let trials: Vec<Matrix> = (0..40).map(|seed| normal_matrix(seed, 5, 60)).collect();
        for estimator in [
            CovarianceEstimator::SecondMoment,
            CovarianceEstimator::Sample,
            CovarianceEstimator::LedoitWolf,
            CovarianceEstimator::OracleApproximating,
        ] {
            same_on_any_threads(|| covariances(&trials, estimator).into_iter().flat_map(Matrix::into_values).collect());
            let (gap, empty) = (Matrix::zeros(2, 3).map(|_| f64::NAN), Matrix::zeros(2, 0));
            assert!(trial_covariances(&[gap.view()], estimator).is_err() && trial_covariances(&[empty.view()], estimator).is_err());
            assert!(trial_covariances(&[trials[0].view(), empty.view()], estimator).unwrap_err().to_string().contains("trial 1"));
            assert_eq!(trial_covariances(&[], estimator).unwrap(), Vec::<Matrix>::new());
        }
    }
}
