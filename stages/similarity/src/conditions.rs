//! Rows grouped by condition.

use neuroflow_compute::Matrix;
use neuroflow_data::{Axis, Features, Kind, Responses, Table, Typed};
use neuroflow_stage::error::require_finite;
use neuroflow_stage::{Inputs, StageError, TimeWindow};

/// Observations `[row × channel]` and the condition of each row.
#[derive(Debug, Clone)]
pub(crate) struct Observations {
    pub(crate) name: String,
    pub(crate) rows: Matrix,
    /// For each row, the position of its condition on the axis.
    pub(crate) condition: Vec<usize>,
    pub(crate) axis: Axis,
    /// The rows' columns.
    pub(crate) table: Table,
}

impl Observations {
    /// Responses (the mean over a window) or features, whichever the slot holds.
    pub(crate) fn of(inputs: &Inputs, slot: &str, by: &str, window: &TimeWindow) -> Result<Observations, StageError> {
        match inputs.artifact(slot).map(neuroflow_data::Artifact::kind) {
            Some(Kind::Features) => {
                let features: Features = inputs.one(slot)?;
                require_finite("the features", features.values())?;
                let (rows, columns) = (features.values().axes()[0].len(), features.values().axes()[1].len());
                let matrix = Matrix::new(rows, columns, features.values().values().to_vec()).map_err(crate::failure::numerical)?;
                Observations::grouped("the features".into(), matrix, features.stimuli(), by)
            }
            _ => Observations::of_responses(
                &Responses::from_artifact(inputs.artifact(slot).ok_or_else(|| StageError::Bug(format!("input `{slot}` was not given")))?)?,
                by,
                window,
            ),
        }
    }

    /// Responses averaged over a window.
    pub(crate) fn of_responses(responses: &Responses, by: &str, window: &TimeWindow) -> Result<Observations, StageError> {
        let name = format!("session {}", responses.session);
        require_finite(&name, responses.values())?;
        let bins = responses.bins_within(window.start.0, window.end.0);
        if bins.is_empty() {
            let times = responses.bin_times();
            let (first, last) = (times.first().copied().unwrap_or(f64::NAN), times.last().copied().unwrap_or(f64::NAN));
            return Err(StageError::refused(format!(
                "{name}: no bin lies in {} s .. {} s; bins go from {first} s to {last} s",
                window.start.0, window.end.0
            )));
        }
        let mean = |trial: usize, unit: usize| {
            let trace = responses.trace(trial, unit);
            bins.iter().map(|&bin| trace[bin]).sum::<f64>() / bins.len() as f64
        };
        let matrix = Matrix::from_fn(responses.n_trials(), responses.n_units(), mean);
        Observations::grouped(name, matrix, responses.trials(), by)
    }

    fn grouped(name: String, rows: Matrix, table: &Table, by: &str) -> Result<Observations, StageError> {
        let (axis, condition) = match table.numbers(by) {
            Ok(values) => {
                if values.iter().any(|value| value.is_nan()) {
                    return Err(StageError::refused(format!("{name}: the column `{by}` has gaps")));
                }
                let mut known = values.clone();
                known.sort_by(f64::total_cmp);
                known.dedup();
                let condition = values.iter().map(|value| known.iter().position(|other| other == value).unwrap_or(0)).collect();
                let unit = matches!(by, "direction" | "orientation").then_some("deg");
                (Axis::numbers("condition", unit, known), condition)
            }
            Err(_) => {
                let values = table.texts(by)?;
                let mut known = values.clone();
                known.sort();
                known.dedup();
                let condition = values.iter().map(|value| known.iter().position(|other| other == value).unwrap_or(0)).collect();
                (Axis::labels("condition", known), condition)
            }
        };
        if axis.len() < 2 {
            return Err(StageError::refused(format!(
                "{name}: the column `{by}` has {} values; at least 2 conditions are needed",
                axis.len()
            )));
        }
        if rows.cols() == 0 {
            return Err(StageError::refused(format!("{name} has no units")));
        }
        Ok(Observations { name, rows, condition, axis, table: table.clone() })
    }

    /// The mean of each condition's rows, `[condition × channel]`; only rows in `keep` count.
    pub(crate) fn means(&self, keep: impl Fn(usize) -> bool) -> Matrix {
        let mut sums = Matrix::zeros(self.axis.len(), self.rows.cols());
        let mut counts = vec![0usize; self.axis.len()];
        let columns = self.rows.cols();
        for row in (0..self.condition.len()).filter(|&row| keep(row)) {
            let condition = self.condition[row];
            counts[condition] += 1;
            let values = self.rows.row(row);
            sums.values_mut()[condition * columns..(condition + 1) * columns].iter_mut().zip(values).for_each(|(sum, value)| *sum += value);
        }
        Matrix::from_fn(self.axis.len(), columns, |condition, column| sums.row(condition)[column] / counts[condition].max(1) as f64)
    }

    /// The rows of each condition.
    pub(crate) fn members(&self) -> Vec<Vec<usize>> {
        let mut members = vec![Vec::new(); self.axis.len()];
        self.condition.iter().enumerate().for_each(|(row, condition)| members[*condition].push(row));
        members
    }
}
