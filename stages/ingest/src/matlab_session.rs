//! Calcium imaging sessions in MATLAB files, as Park et al. 2024 publish them (surlab/Park_et_al, `sample-data/glm`).
//!
//! | variable | what |
//! |---|---|
//! | `D.neuron1`, `D.neuron2`, … | cell arrays with a trace of the unit for each trial, bins × 1 |
//! | `D.speed`, `D.pupil_zscore` | running speed and pupil size, likewise; either may be missing |
//! | `TE.direction` | direction of motion of each trial's grating, in degrees |
//! | `TE.nTrials`, `TE.dt` | number of trials and seconds between bins; optional, and checked against the rest |
//! | `t` | time of each bin in seconds from stimulus onset |
//!
//! Refuses, with the path of the variable: missing variables, other classes, lengths that disagree, times that do not rise. Gaps in traces are let
//! through; [`crate::gaps`] deals with them.

use crate::gaps::Places;
use crate::session_columns::{bin_axis, covariates, trial_table};
use neuroflow_data::formats::mat5::{MatFile, MatValue, read_mat5};
use neuroflow_data::formats::{FormatError, Limits, Place};
use neuroflow_data::{Axis, Responses, Tensor};
use neuroflow_stage::StageError;

/// The animal's signals: the field of `D` and the covariate's name.
const SIGNALS: [(&str, &str); 2] = [("speed", "speed"), ("pupil_zscore", "pupil")];

/// What the file must look like, for messages.
const SHAPE: &str = "a session file has the struct `D` with cell arrays `neuron1`, `neuron2`, … (one trace a trial), the struct `TE` with `direction`, and the times `t`";

/// The places of such a file, as MATLAB counts them: `D.neuron3{17}`.
pub(crate) struct MatlabPaths;

impl Places for MatlabPaths {
    fn trace(&self, name: &str, trial: usize) -> String {
        let field = SIGNALS.iter().find(|(_, covariate)| *covariate == name).map_or(name, |(field, _)| field);
        format!("`{}`", trace_path(field, trial))
    }
}

fn trace_path(field: &str, trial: usize) -> String {
    format!("D.{field}{{{}}}", trial + 1)
}

/// Reads a session. The session is called `name`.
pub(crate) fn read(bytes: &[u8], name: &str) -> Result<Responses, StageError> {
    let file = read_mat5(bytes, &Limits::default()).map_err(|error| refuse(error, ""))?;
    let recording = variable(&file, "D")?;
    let times = times(&file)?;
    let directions = directions(&file)?;
    if directions.is_empty() {
        return Err(StageError::refused_with_help("`TE.direction` is empty: the session has no trials", SHAPE));
    }
    let units = unit_fields(recording)?;
    check_design(&file, &directions, &times)?;

    let (n_trials, n_units, n_bins) = (directions.len(), units.len(), times.len());
    // Cells come unit by unit; responses are laid out trial by trial.
    let mut values = vec![0.0; n_trials * n_units * n_bins];
    for (unit, field) in units.iter().enumerate() {
        let cells = traces(recording, field, n_trials)?;
        for (trial, cell) in cells.iter().enumerate() {
            let start = (trial * n_units + unit) * n_bins;
            copy_trace(cell, field, trial, values.get_mut(start..start + n_bins).unwrap_or(&mut []))?;
        }
    }
    let mut signals = Vec::new();
    for (field, covariate) in SIGNALS {
        if !has_field(recording, field) {
            continue;
        }
        let mut signal = vec![0.0; n_trials * n_bins];
        for (trial, (cell, place)) in traces(recording, field, n_trials)?.iter().zip(signal.chunks_mut(n_bins)).enumerate() {
            copy_trace(cell, field, trial, place)?;
        }
        signals.push((covariate.to_owned(), signal));
    }

    let trial_seconds = bin_seconds(&times).map(|seconds| seconds * n_bins as f64);
    let table = trial_table(&directions, trial_seconds)?;
    let animal = covariates(signals, n_trials, &times)?;
    let axes = vec![Axis::count("trial", n_trials), Axis::labels("unit", units), bin_axis(times)];
    Ok(Responses::new(name, Tensor::new(axes, None, values)?, table, animal)?)
}

/// A reader's error as a refusal; `path` is where the value stands, when the reader could not know it.
fn refuse(error: FormatError, path: &str) -> StageError {
    let error = if path.is_empty() { error } else { error.within(path) };
    let message = match &error.place {
        Place::Variable { path, byte: None } => format!("`{path}`: {}", error.reason),
        place => format!("{}: {place}: {}", error.format, error.reason),
    };
    StageError::refused_with_help(message, error.help)
}

fn variable<'a>(file: &'a MatFile, name: &str) -> Result<&'a MatValue, StageError> {
    file.get(name).map_err(|error| StageError::refused_with_help(format!("{}; {}", error.reason, error.help), SHAPE))
}

fn has_field(value: &MatValue, name: &str) -> bool {
    matches!(value, MatValue::Struct { fields, .. } if fields.iter().any(|(own, _)| own == name))
}

/// Times of bins, in seconds: finite and rising.
fn times(file: &MatFile) -> Result<Vec<f64>, StageError> {
    let times = variable(file, "t")?.numbers().map_err(|error| refuse(error, "t"))?.into_owned();
    if times.is_empty() {
        return Err(StageError::refused_with_help("`t` is empty: there are no bins", SHAPE));
    }
    if let Some(bin) = times.iter().position(|time| !time.is_finite()) {
        return Err(StageError::refused(format!("`t({})` is not finite: each bin needs a time in seconds", bin + 1)));
    }
    if let Some(bin) = times.windows(2).position(|pair| matches!(pair, [a, b] if a >= b)) {
        return Err(StageError::refused_with_help(
            format!("`t({})` is not later than `t({})`", bin + 2, bin + 1),
            "times of bins must rise, in seconds from stimulus onset",
        ));
    }
    Ok(times)
}

fn bin_seconds(times: &[f64]) -> Option<f64> {
    match times {
        [first, .., last] => Some((last - first) / (times.len() - 1) as f64),
        _ => None,
    }
}

/// Direction of each trial, in degrees.
fn directions(file: &MatFile) -> Result<Vec<f64>, StageError> {
    let design = variable(file, "TE")?;
    let field = design.field("direction").map_err(|error| refuse(error, "TE"))?;
    let directions = field.numbers().map_err(|error| refuse(error, "TE.direction"))?.into_owned();
    match directions.iter().position(|direction| !direction.is_finite()) {
        Some(trial) => Err(StageError::refused_with_help(
            format!("`TE.direction({})` is not finite", trial + 1),
            "each trial needs a direction in degrees; remove trials without one from the file",
        )),
        None => Ok(directions),
    }
}

/// `nTrials` and `dt` say again what `direction` and `t` say; when they disagree, one of them is wrong and nobody can know which.
fn check_design(file: &MatFile, directions: &[f64], times: &[f64]) -> Result<(), StageError> {
    let design = variable(file, "TE")?;
    let number = |name: &str| -> Result<Option<f64>, StageError> {
        if !has_field(design, name) {
            return Ok(None);
        }
        let path = format!("TE.{name}");
        let value = design.field(name).map_err(|error| refuse(error, "TE"))?;
        value.number().map(Some).map_err(|error| refuse(error, &path))
    };
    if let Some(count) = number("nTrials")?
        && count != directions.len() as f64
    {
        return Err(StageError::refused(format!("`TE.nTrials` is {count}, `TE.direction` has {} trials", directions.len())));
    }
    if let (Some(dt), Some(seconds)) = (number("dt")?, bin_seconds(times))
        && (dt.is_nan() || (dt - seconds).abs() > 1e-6 * seconds)
    {
        return Err(StageError::refused(format!("`TE.dt` is {dt} s, the bins of `t` are {seconds} s apart")));
    }
    Ok(())
}

/// The fields `neuron1`, `neuron2`, …, in the order of their numbers.
fn unit_fields(recording: &MatValue) -> Result<Vec<String>, StageError> {
    let MatValue::Struct { fields, .. } = recording else {
        return Err(StageError::refused_with_help(format!("`D` is {}", recording.describe()), SHAPE));
    };
    let number = |name: &str| name.strip_prefix("neuron").and_then(|digits| digits.parse::<u64>().ok());
    let mut units: Vec<(u64, &String)> = fields.iter().filter_map(|(name, _)| Some((number(name)?, name))).collect();
    units.sort();
    if units.is_empty() {
        let names = fields.iter().take(8).map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(StageError::refused_with_help(
            format!("`D` has no fields `neuron1`, `neuron2`, …; its first fields are {names}"),
            SHAPE,
        ));
    }
    Ok(units.into_iter().map(|(_, name)| name.clone()).collect())
}

/// One cell for each trial.
fn traces<'a>(recording: &'a MatValue, field: &str, n_trials: usize) -> Result<&'a [MatValue], StageError> {
    let path = format!("D.{field}");
    let cells = recording.field(field).and_then(MatValue::cells).map_err(|error| refuse(error, &path))?;
    if cells.len() == n_trials {
        Ok(cells)
    } else {
        Err(StageError::refused_with_help(
            format!("`{path}` has {} cells, `TE.direction` has {n_trials} trials", cells.len()),
            "each unit and signal needs one trace a trial",
        ))
    }
}

fn copy_trace(cell: &MatValue, field: &str, trial: usize, place: &mut [f64]) -> Result<(), StageError> {
    let trace = cell.numbers().map_err(|error| refuse(error, &trace_path(field, trial)))?;
    if trace.len() == place.len() {
        place.copy_from_slice(&trace);
        Ok(())
    } else {
        Err(StageError::refused_with_help(
            format!("`{}` has {} bins, `t` has {}", trace_path(field, trial), trace.len(), place.len()),
            "every trace needs as many bins as there are times",
        ))
    }
}
