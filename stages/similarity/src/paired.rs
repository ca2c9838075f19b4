//! Two sets of features over the same samples.

use crate::conditions::Observations;
use crate::resampling::permutations;
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_stage::{Context, Inputs, StageError, TimeWindow, words};

words! {
    /// What a sample is.
    pub enum Samples {
        /// A condition: rows of one condition are averaged.
        Conditions = "conditions" {},
        /// A row of the first input; rows of the second input are averaged by condition, and each sample has those of its condition.
        Rows = "rows" {},
    }
}

/// Two sets of features over the conditions that both have.
pub(crate) struct Paired {
    /// What the first and the second input are called in messages.
    pub(crate) names: [String; 2],
    /// `[sample × feature]`
    pub(crate) x: Matrix,
    /// `[sample × feature]`
    pub(crate) y: Matrix,
    /// The condition of each sample.
    pub(crate) condition: Vec<usize>,
    /// The names of the common conditions.
    pub(crate) conditions: Vec<String>,
}

impl Paired {
    /// Pairs two slots by the column `by`.
    pub(crate) fn of(inputs: &Inputs, slots: [&str; 2], by: &str, window: &TimeWindow, samples: &Samples) -> Result<Paired, StageError> {
        let left = Observations::of(inputs, slots[0], by, window)?;
        let right = Observations::of(inputs, slots[1], by, window)?;
        Paired::of_observations(&left, &right, samples)
    }

    pub(crate) fn of_observations(left: &Observations, right: &Observations, samples: &Samples) -> Result<Paired, StageError> {
        let labels = |of: &Observations| (0..of.axis.len()).map(|at| of.axis.coordinates.label(at)).collect::<Vec<String>>();
        let (own, other) = (labels(left), labels(right));
        let conditions: Vec<String> = own.iter().filter(|name| other.contains(name)).cloned().collect();
        if conditions.len() < 2 {
            return Err(StageError::refused_with_help(
                format!("{} and {} have {} conditions in common; at least 2 are needed", left.name, right.name, conditions.len()),
                "both need the column that names the condition, with the same values",
            ));
        }
        let place = |list: &[String], name: &String| list.iter().position(|other| other == name).unwrap_or(0);
        let right_means = right.means(|_| true);
        let theirs: Vec<usize> = conditions.iter().map(|name| place(&other, name)).collect();
        let (x, condition) = match samples {
            Samples::Conditions {} => {
                let mine: Vec<usize> = conditions.iter().map(|name| place(&own, name)).collect();
                (left.means(|_| true).take_rows(&mine), (0..conditions.len()).collect())
            }
            Samples::Rows {} => {
                let known: Vec<Option<usize>> = own.iter().map(|name| conditions.iter().position(|other| other == name)).collect();
                let kept: Vec<usize> = (0..left.condition.len()).filter(|&row| known[left.condition[row]].is_some()).collect();
                (left.rows.take_rows(&kept), kept.iter().filter_map(|&row| known[left.condition[row]]).collect::<Vec<_>>())
            }
        };
        let y = right_means.take_rows(&condition.iter().map(|&condition| theirs[condition]).collect::<Vec<_>>());
        Ok(Paired { names: [left.name.clone(), right.name.clone()], x, y, condition, conditions })
    }

    /// The number of samples.
    pub(crate) fn len(&self) -> usize {
        self.condition.len()
    }

    /// The features of the second input with conditions permuted.
    fn permuted(&self, order: &[usize]) -> Matrix {
        let first: Vec<usize> =
            (0..self.conditions.len()).map(|condition| self.condition.iter().position(|&other| other == condition).unwrap_or(0)).collect();
        self.y.take_rows(&self.condition.iter().map(|&condition| first[order[condition]]).collect::<Vec<_>>())
    }

    /// A value over permutations of the conditions between the two sides.
    ///
    /// # Errors
    /// What `of` answers, or that the work was cancelled.
    pub(crate) fn null(
        &self,
        count: usize,
        context: &Context,
        mut of: impl FnMut(&Matrix, &Matrix) -> Result<Option<f64>, StageError>,
    ) -> Result<Vec<Option<f64>>, StageError> {
        let mut null = Vec::with_capacity(count);
        for order in permutations(count, self.conditions.len(), &Stream::new(context.seed).split("permutation")) {
            context.cancel.check()?;
            null.push(of(&self.x, &self.permuted(&order))?);
        }
        Ok(null)
    }

    /// The refusal of a side that does not vary.
    pub(crate) fn constant(&self, what: &str) -> StageError {
        StageError::refused(format!(
            "{} or {} does not vary over the {} samples, or too little to tell it from noise: {what}",
            self.names[0],
            self.names[1],
            self.len()
        ))
    }
}
