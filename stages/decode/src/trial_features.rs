//! One row of numbers for each trial, `[trial × feature]`: what a classifier sees.

use crate::place::Place;
use crate::spectral::numerical;
use neuroflow_compute::Matrix;
use neuroflow_data::Responses;
use neuroflow_stage::{Seconds, StageError, TimeWindow, Value, words};

words! {
    /// What a classifier sees of a trial.
    pub enum Features {
        /// Each unit's mean over the window: a rate code.
        Mean = "mean" {},
        /// Each unit's sum over the window: a spike count, where bins hold spikes.
        Sum = "sum" {},
        /// Each unit's mean in consecutive parts of the window: a coarse time course. A last part that is shorter than the width is averaged on its own.
        Bins = "bins" {
            /// The width of a part.
            width: Seconds = Value::seconds(0.25);
        },
        /// Every bin of every unit in the window.
        Flatten = "flatten" {},
    }
}

/// The activity of all units in a window, `[trial × (unit, part)]`.
///
/// # Errors
/// When the window holds no bin, or a part of it holds none.
pub(crate) fn of_units(responses: &Responses, window: &TimeWindow, features: &Features) -> Result<Matrix, StageError> {
    let parts = parts(responses, window, features)?;
    let (n_trials, n_units) = (responses.n_trials(), responses.n_units());
    let mut values = Vec::with_capacity(n_trials * n_units * parts.len());
    for trial in 0..n_trials {
        for unit in 0..n_units {
            let trace = responses.trace(trial, unit);
            match features {
                Features::Sum {} => values.extend(parts.iter().map(|bins| bins.iter().filter_map(|&bin| trace.get(bin)).sum::<f64>())),
                _ => values.extend(parts.iter().map(|bins| mean_at(trace, bins))),
            }
        }
    }
    Matrix::new(n_trials, n_units * parts.len(), values).map_err(numerical)
}

/// The bins of a window, or an error that says what the session covers.
///
/// # Errors
/// When there is none.
pub(crate) fn bins_in(responses: &Responses, window: &TimeWindow) -> Result<Vec<usize>, StageError> {
    let bins = responses.bins_within(window.start.0, window.end.0);
    if !bins.is_empty() {
        return Ok(bins);
    }
    let times = responses.bin_times();
    let covered = match (times.first(), times.last()) {
        (Some(first), Some(last)) => format!("its {} bins lie from {first} s to {last} s", times.len()),
        _ => "it has no bins".to_owned(),
    };
    Err(StageError::refused_with_help(
        format!("{} has no bins in {} s .. {} s from stimulus onset; {covered}", Place(responses), window.start.0, window.end.0),
        "choose a window inside the recorded time, or cut the trials wider when they are made",
    ))
}

/// The mean of a trace over some bins.
pub(crate) fn mean_at(trace: &[f64], bins: &[usize]) -> f64 {
    bins.iter().filter_map(|&bin| trace.get(bin)).sum::<f64>() / bins.len() as f64
}

/// The bins that are averaged into one feature of a unit, for each such feature.
fn parts(responses: &Responses, window: &TimeWindow, features: &Features) -> Result<Vec<Vec<usize>>, StageError> {
    let bins = bins_in(responses, window)?;
    match features {
        Features::Mean {} | Features::Sum {} => Ok(vec![bins]),
        Features::Flatten {} => Ok(bins.into_iter().map(|bin| vec![bin]).collect()),
        Features::Bins { width } => {
            let span = window.end.0 - window.start.0;
            if !(width.0 > 0.0 && width.0.is_finite()) {
                return Err(StageError::refused_with_help(
                    format!("`bins(width = {} s)` is not a positive duration", width.0),
                    "give a width such as `250 ms`",
                ));
            }
            // A nanosecond of slack, as for windows: 0.75 / 0.25 must be 3 whatever the last bit says.
            let n_parts = (((span - 1e-9) / width.0).floor() as usize).saturating_add(1);
            let times = responses.bin_times();
            if n_parts > bins.len() {
                return Err(StageError::refused_with_help(
                    format!(
                        "{}: parts of {} s cut the window into {n_parts}, but it holds only {} bins, so that parts would be empty",
                        Place(responses),
                        width.0,
                        bins.len()
                    ),
                    "choose a wider `width`, or `features = flatten` for every bin",
                ));
            }
            let mut parts = vec![Vec::new(); n_parts];
            for bin in bins {
                let part = ((times[bin] - window.start.0 + 1e-9) / width.0).floor().max(0.0) as usize;
                parts[part.min(n_parts - 1)].push(bin);
            }
            if let Some(empty) = parts.iter().position(Vec::is_empty) {
                return Err(StageError::refused_with_help(
                    format!("{}: part {} of the window (of {} s each) holds no bin", Place(responses), empty + 1, width.0),
                    "choose a wider `width`, or a window inside the recorded time",
                ));
            }
            Ok(parts)
        }
    }
}
