//! The columns and axes that every session of this topic has, recorded or simulated.

use neuroflow_data::{Axis, DataError, Table, Tensor, columns};

/// The trial table: `direction` (deg), `orientation` (deg, direction modulo 180), `trial` (from 0) and `time` (s).
///
/// `time` counts from the session's start as if trials followed each other without a pause, because session files do not hold the pauses. When the
/// duration of a trial is not known, it is the trial's index.
pub(crate) fn trial_table(directions: &[f64], trial_seconds: Option<f64>) -> Result<Table, DataError> {
    let orientations = directions.iter().map(|direction| direction.rem_euclid(180.0)).collect();
    let times = (0..directions.len()).map(|trial| trial as f64 * trial_seconds.unwrap_or(1.0)).collect();
    let trials = (0..directions.len()).map(|trial| i64::try_from(trial).unwrap_or(i64::MAX)).collect();
    Table::from_columns(vec![
        columns::from_numbers("direction", directions.to_vec()),
        columns::from_numbers("orientation", orientations),
        columns::from_integers("trial", trials),
        columns::from_numbers("time", times),
    ])
}

/// The bin axis, in seconds from stimulus onset.
pub(crate) fn bin_axis(times: Vec<f64>) -> Axis {
    Axis::numbers("bin", Some("s"), times)
}

/// Signals of the animal as `[trial × covariate × bin]`, from one row-major `[trial × bin]` array each; none when there are no signals.
pub(crate) fn covariates(signals: Vec<(String, Vec<f64>)>, n_trials: usize, bin_times: &[f64]) -> Result<Option<Tensor>, DataError> {
    if signals.is_empty() {
        return Ok(None);
    }
    let n_bins = bin_times.len();
    let mut values = Vec::with_capacity(signals.len() * n_trials * n_bins);
    for trial in 0..n_trials {
        for (_, signal) in &signals {
            values.extend_from_slice(signal.get(trial * n_bins..(trial + 1) * n_bins).unwrap_or(&[]));
        }
    }
    let names = signals.into_iter().map(|(name, _)| name).collect();
    let axes = vec![Axis::count("trial", n_trials), Axis::labels("covariate", names), bin_axis(bin_times.to_vec())];
    Tensor::new(axes, None, values).map(Some)
}
