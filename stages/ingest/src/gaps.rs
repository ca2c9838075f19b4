//! Values that are not finite: refused with count and place, or left out with the whole trial or unit.
//!
//! Nothing is interpolated: a filled gap looks like data to every later step.

use crate::subset::{of_trials, of_units};
use neuroflow_data::{Responses, Tensor};
use neuroflow_stage::{StageError, words};

words! {
    /// What to do with values that are not finite (NaN, infinite).
    pub enum Gaps {
        /// Refuse the session, with the number of such values and the first place.
        Refuse = "refuse" {},
        /// Leave out every trial that has one, in any unit or signal of the animal.
        DropTrials = "drop_trials" {},
        /// Leave out every unit, and every signal of the animal, that has one in any trial.
        DropUnits = "drop_units" {},
    }
}

/// How a place is written: `(trace, trial)` in the words of the file.
pub(crate) trait Places {
    /// The trace of a unit or of a signal of the animal in a trial, all by position and name.
    fn trace(&self, name: &str, trial: usize) -> String;
}

/// The places of an Arrow file: names and counts from zero.
pub(crate) struct ByName;

impl Places for ByName {
    fn trace(&self, name: &str, trial: usize) -> String {
        format!("`{name}`, trial {trial} (counted from 0)")
    }
}

/// The session without gaps, or a refusal.
pub(crate) fn resolve(responses: Responses, gaps: &Gaps, places: &dyn Places) -> Result<Responses, StageError> {
    let in_traces = Found::of(responses.values());
    let in_signals = responses.covariates().map(Found::of).unwrap_or_default();
    if in_traces.count + in_signals.count == 0 {
        return Ok(responses);
    }
    let session = &responses.session;
    match gaps {
        Gaps::Refuse {} => {
            let (found, tensor, what) = match responses.covariates() {
                Some(covariates) if in_traces.count == 0 => (&in_signals, covariates, "the animal's signals have"),
                _ => (&in_traces, responses.values(), "the traces have"),
            };
            let (trial, row, bin) = found.first;
            let name = tensor.axes().get(1).map_or_else(String::new, |axis| axis.coordinates.label(row));
            let time = responses.bin_times().get(bin).copied().unwrap_or(f64::NAN);
            Err(StageError::refused_with_help(
                format!(
                    "session `{session}`: {what} {} values that are not finite, in {} of {} trials and {} of {} rows; the first is in {}, bin {bin} ({time} s)",
                    found.count,
                    found.trials.iter().filter(|gap| **gap).count(),
                    found.trials.len(),
                    found.rows.iter().filter(|gap| **gap).count(),
                    found.rows.len(),
                    places.trace(&name, trial),
                ),
                "leave them out with `gaps = drop_trials` or `gaps = drop_units`, or fill the gaps before this step",
            ))
        }
        Gaps::DropTrials {} => {
            let whole: Vec<usize> = (0..responses.n_trials())
                .filter(|&trial| !in_traces.trials.get(trial).unwrap_or(&false) && !in_signals.trials.get(trial).unwrap_or(&false))
                .collect();
            if whole.is_empty() {
                return Err(nothing_left(session, "trial", "try `gaps = drop_units`"));
            }
            Ok(of_trials(&responses, &whole)?)
        }
        Gaps::DropUnits {} => {
            let whole =
                |found: &Found| -> Vec<usize> { found.rows.iter().enumerate().filter(|(_, gap)| !**gap).map(|(row, _)| row).collect() };
            let units = whole(&in_traces);
            if units.is_empty() {
                return Err(nothing_left(session, "unit", "try `gaps = drop_trials`"));
            }
            Ok(of_units(&responses, &units, &whole(&in_signals))?)
        }
    }
}

fn nothing_left(session: &str, what: &str, help: &str) -> StageError {
    StageError::refused_with_help(
        format!("session `{session}`: every {what} has values that are not finite, so none is left"),
        format!("{help}, or fill the gaps before this step"),
    )
}

/// Where a tensor `[trial × row × bin]` has values that are not finite.
#[derive(Default)]
struct Found {
    count: usize,
    /// Trial, row and bin of the first one.
    first: (usize, usize, usize),
    trials: Vec<bool>,
    rows: Vec<bool>,
}

impl Found {
    fn of(tensor: &Tensor) -> Found {
        let &[n_trials, n_rows, n_bins] = tensor.shape().as_slice() else { return Found::default() };
        let mut found = Found { count: 0, first: (0, 0, 0), trials: vec![false; n_trials], rows: vec![false; n_rows] };
        if n_bins == 0 {
            return found;
        }
        for (position, trace) in tensor.values().chunks(n_bins).enumerate() {
            let Some(bin) = trace.iter().position(|value| !value.is_finite()) else { continue };
            let (trial, row) = (position / n_rows, position % n_rows);
            if found.count == 0 {
                found.first = (trial, row, bin);
            }
            found.count += trace.iter().filter(|value| !value.is_finite()).count();
            found.trials[trial] = true;
            found.rows[row] = true;
        }
        found
    }
}
