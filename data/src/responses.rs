//! Trial-aligned population activity: what most analyses start from.

use crate::artifact::{Artifact, Meta, Typed};
use crate::axis::Axis;
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use crate::table::Table;
use crate::tensor::{Tensor, VALUES};
use arrow::array::{ArrayRef, RecordBatch};
use arrow::datatypes::Field;
use std::collections::BTreeSet;
use std::sync::Arc;

/// Activity `[trial × unit × bin]`, the trials' columns (stimulus, time in the session, …), and signals of the animal recorded beside it.
///
/// The `bin` axis has the time of each bin in seconds from stimulus onset. The `unit` axis may have properties such as a planted community.
#[derive(Debug, Clone, PartialEq)]
pub struct Responses {
    /// The session's name, for messages and family labels.
    pub session: String,
    values: Tensor,
    trials: Table,
    covariates: Option<Tensor>,
    /// See [`Meta::sources`].
    pub sources: BTreeSet<String>,
}

const COVARIATES: &str = "covariates";

impl Responses {
    /// Builds responses.
    ///
    /// `values` is `[trial × unit × bin]`; `trials` has a row for each trial; `covariates`, when there are any, is `[trial × covariate × bin]` with
    /// labels (`speed`, `pupil`) on its middle axis.
    ///
    /// # Errors
    /// When axes or lengths do not fit, the bin axis has no times, or a trial column is named like an internal one.
    pub fn new(session: impl Into<String>, values: Tensor, trials: Table, covariates: Option<Tensor>) -> Result<Responses, DataError> {
        values.require_axes(&["trial", "unit", "bin"])?;
        let n_trials = values.axes()[0].len();
        if trials.rows() != n_trials {
            return Err(DataError::WrongLength { what: "trial table".into(), expected: n_trials, found: trials.rows() });
        }
        if !matches!(values.axes()[2].coordinates, crate::Coordinates::Numbers(_)) {
            return Err(DataError::Invalid("the bin axis needs a time in seconds for each bin".into()));
        }
        if let Some(covariates) = &covariates {
            covariates.require_axes(&["trial", "covariate", "bin"])?;
            if covariates.axes()[0].len() != n_trials || covariates.axes()[2].len() != values.axes()[2].len() {
                return Err(DataError::Invalid("covariates need as many trials and bins as the responses".into()));
            }
        }
        if let Some(name) = trials.column_names().into_iter().find(|name| name == VALUES || name == COVARIATES) {
            return Err(DataError::Invalid(format!("a trial column can't be named `{name}`")));
        }
        Ok(Responses { session: session.into(), values, trials, covariates, sources: BTreeSet::new() })
    }

    /// The activity `[trial × unit × bin]`.
    pub fn values(&self) -> &Tensor {
        &self.values
    }

    /// One row a trial.
    pub fn trials(&self) -> &Table {
        &self.trials
    }

    /// Signals of the animal `[trial × covariate × bin]`.
    pub fn covariates(&self) -> Option<&Tensor> {
        self.covariates.as_ref()
    }

    /// The number of trials.
    pub fn n_trials(&self) -> usize {
        self.values.axes()[0].len()
    }

    /// The number of units.
    pub fn n_units(&self) -> usize {
        self.values.axes()[1].len()
    }

    /// The number of bins.
    pub fn n_bins(&self) -> usize {
        self.values.axes()[2].len()
    }

    /// The unit axis, with the units' properties.
    pub fn units(&self) -> &Axis {
        &self.values.axes()[1]
    }

    /// The time of each bin, in seconds from stimulus onset.
    pub fn bin_times(&self) -> &[f64] {
        match &self.values.axes()[2].coordinates {
            crate::Coordinates::Numbers(times) => times,
            _ => &[],
        }
    }

    /// The sampling rate in hertz, from the times of the bins: their number less one, divided by the time from the first to the last. A rate that is
    /// a whole number up to the rounding of the times is that number.
    ///
    /// # Errors
    /// When there are fewer than two bins, or their times are not evenly spaced to a thousandth of a step.
    pub fn sampling_rate(&self) -> Result<f64, DataError> {
        let times = self.bin_times();
        let (Some(first), Some(last), true) = (times.first(), times.last(), times.len() > 1) else {
            return Err(DataError::Invalid(format!("session `{}` has {} bins; a sampling rate needs two", self.session, times.len())));
        };
        let step = (last - first) / (times.len() - 1) as f64;
        let uneven = |pair: &[f64]| ((pair[1] - pair[0]) - step).abs().partial_cmp(&(1e-3 * step)) != Some(std::cmp::Ordering::Less);
        if let Some(bin) = times.windows(2).position(uneven) {
            return Err(DataError::Invalid(format!(
                "session `{}` has no sampling rate: its bins are not evenly spaced, bin {} lies at {} s and bin {} at {} s, the mean step is {step} s",
                self.session,
                bin,
                times[bin],
                bin + 1,
                times[bin + 1]
            )));
        }
        let (rate, whole) = (1.0 / step, (1.0 / step).round());
        Ok(if (rate - whole).abs() <= 1e-9 * rate { whole } else { rate })
    }

    /// The bins whose time lies in `[start, end)`, in seconds from onset.
    pub fn bins_within(&self, start: f64, end: f64) -> Vec<usize> {
        // Times come from decimal steps in files: a nanosecond of slack keeps 2.0 − ε out of a window that ends at 2.0.
        let slack = 1e-9;
        self.bin_times()
            .iter()
            .enumerate()
            .filter(|(_, time)| **time >= start - slack && **time < end - slack)
            .map(|(bin, _)| bin)
            .collect()
    }

    /// The activity of a unit in a trial, over bins.
    pub fn trace(&self, trial: usize, unit: usize) -> &[f64] {
        let bins = self.n_bins();
        self.values.row(trial).get(unit * bins..(unit + 1) * bins).unwrap_or(&[])
    }

    /// A signal of the animal by name, `[trial × bin]` row-major.
    pub fn covariate(&self, name: &str) -> Option<Vec<f64>> {
        let covariates = self.covariates.as_ref()?;
        let axis = &covariates.axes()[1];
        let position = (0..axis.len()).find(|&position| axis.coordinates.label(position) == name)?;
        let bins = self.n_bins();
        Some((0..self.n_trials()).flat_map(|trial| covariates.row(trial)[position * bins..(position + 1) * bins].iter().copied()).collect())
    }

    /// The same responses with other activity (for example filtered or scaled), on the same trials.
    ///
    /// # Errors
    /// As [`Responses::new`]; when the number of bins changed, covariates must be given to fit.
    pub fn with_values(&self, values: Tensor, covariates: Option<Tensor>) -> Result<Responses, DataError> {
        let mut next = Responses::new(self.session.clone(), values, self.trials.clone(), covariates)?;
        next.sources.clone_from(&self.sources);
        Ok(next)
    }

    /// The trials at `positions`, in that order (repeats allowed), with their columns and covariates.
    ///
    /// # Errors
    /// When a position is past the end.
    pub fn select_trials(&self, positions: &[usize]) -> Result<Responses, DataError> {
        let covariates = self.covariates.as_ref().map(|covariates| covariates.select_rows(positions)).transpose()?;
        let (values, trials) = (self.values.select_rows(positions)?, self.trials.select(positions)?);
        let mut next = Responses::new(self.session.clone(), values, trials, covariates)?;
        next.sources.clone_from(&self.sources);
        Ok(next)
    }

    /// The same responses with other trial columns.
    ///
    /// # Errors
    /// As [`Responses::new`].
    pub fn with_trials(&self, trials: Table) -> Result<Responses, DataError> {
        let mut next = Responses::new(self.session.clone(), self.values.clone(), trials, self.covariates.clone())?;
        next.sources.clone_from(&self.sources);
        Ok(next)
    }
}

impl Typed for Responses {
    const KIND: Kind = Kind::Responses;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        let (field, array) = columns::tensor_column(VALUES, self.values.axes(), self.values.buffer())?;
        let mut pairs: Vec<(Field, ArrayRef)> = vec![(field, array)];
        let mut meta = Meta { axes: self.values.axes().to_vec(), unit: self.values.unit().map(str::to_owned), ..Meta::default() };
        if let Some(covariates) = &self.covariates {
            pairs.push(columns::tensor_column(COVARIATES, covariates.axes(), covariates.buffer())?);
            meta.attributes.insert("covariate_axes".into(), to_json(covariates.axes())?);
        }
        let batch = self.trials.batch();
        for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
            pairs.push((field.as_ref().clone(), Arc::clone(array)));
        }
        meta.attributes.insert("session".into(), serde_json::Value::String(self.session));
        meta.sources = self.sources;
        Ok(Artifact::from_batch(Kind::Responses, Table::from_columns(pairs)?.batch().clone(), meta))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Responses, DataError> {
        let batch = artifact.batch_of(Kind::Responses)?;
        let meta = artifact.meta();
        let values = Tensor::from_parts(meta.axes.clone(), meta.unit.clone(), columns::tensor_values(batch, VALUES)?)?;
        let covariates = match meta.attributes.get("covariate_axes") {
            Some(axes) => {
                let axes: Vec<Axis> = serde_json::from_value(axes.clone()).map_err(|error| DataError::Decode(error.to_string()))?;
                Some(Tensor::from_parts(axes, None, columns::tensor_values(batch, COVARIATES)?)?)
            }
            None => None,
        };
        let keep: Vec<usize> = batch
            .schema()
            .fields()
            .iter()
            .enumerate()
            .filter(|(_, field)| field.name() != VALUES && field.name() != COVARIATES)
            .map(|(position, _)| position)
            .collect();
        let trials = Table::from_batch(RecordBatch::project(batch, &keep)?);
        let session = meta.attributes.get("session").and_then(|value| value.as_str()).unwrap_or_default();
        let mut responses = Responses::new(session, values, trials, covariates)?;
        responses.sources.clone_from(&meta.sources);
        Ok(responses)
    }
}

fn to_json<T: serde::Serialize + ?Sized>(value: &T) -> Result<serde_json::Value, DataError> {
    serde_json::to_value(value).map_err(|error| DataError::Invalid(error.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_trials_keep_their_columns_and_covariates() {
        let axes = |middle: &str| vec![Axis::count("trial", 3), Axis::count(middle, 1), Axis::numbers("bin", Some("s"), vec![0.0, 0.5])];
        let values = Tensor::new(axes("unit"), None, (0..6).map(f64::from).collect::<Vec<_>>()).unwrap();
        let covariates = Tensor::new(axes("covariate"), None, (10..16).map(f64::from).collect::<Vec<_>>()).unwrap();
        let trials = Table::from_columns(vec![columns::from_numbers("x", vec![7.0, 8.0, 9.0])]).unwrap();
        let all = Responses::new("s", values, trials, Some(covariates)).unwrap();
        let two = all.select_trials(&[2, 0]).unwrap();
        assert_eq!((two.n_trials(), two.trace(0, 0), two.trace(1, 0)), (2, [4.0, 5.0].as_slice(), [0.0, 1.0].as_slice()));
        assert_eq!(two.trials().numbers("x").unwrap(), [9.0, 7.0]);
        assert_eq!(two.covariates().unwrap().values(), [14.0, 15.0, 10.0, 11.0]);
        assert_eq!(all.select_trials(&[0, 1, 2]).unwrap(), all);
        assert!(all.select_trials(&[3]).is_err());
    }

    fn rate(times: Vec<f64>) -> Result<f64, DataError> {
        let axes = vec![Axis::count("trial", 0), Axis::count("unit", 1), Axis::numbers("bin", Some("s"), times)];
        Responses::new(
            "s",
            Tensor::new(axes, None, Vec::<f64>::new())?,
            Table::from_columns(vec![columns::from_numbers("x", Vec::new())])?,
            None,
        )?
        .sampling_rate()
    }

    #[test]
    fn the_sampling_rate_is_that_of_evenly_spaced_bins() {
        assert_eq!(rate((0..1001).map(|bin| -0.5 + 0.004 * f64::from(bin)).collect()).unwrap(), 250.0);
        assert_eq!(rate((0..7).map(|bin| f64::from(bin) / 16.0).collect()).unwrap(), 16.0);
        assert!((rate(vec![0.0, 0.03, 0.06]).unwrap() - 1.0 / 0.03).abs() < 1e-9);
        for times in [vec![], vec![0.0], vec![0.0, 0.1, 0.3], vec![0.1, 0.0], vec![0.0, 0.0], vec![0.0, f64::NAN]] {
            assert!(rate(times.clone()).is_err(), "{times:?}");
        }
    }
}
