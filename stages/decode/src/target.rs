//! What is to be predicted: the classes of a trial column.
//!
//! Numbers are sorted by value, text by its characters; a class is named as its value is printed (`45`, `left`). A trial without a value is refused,
//! never dropped in silence, because dropping trials changes the chance level.

use crate::place::Place;
use arrow::array::ArrayRef;
use arrow::datatypes::Field;
use neuroflow_data::{DataError, Responses, columns};
use neuroflow_stage::StageError;

/// A trial column as classes.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Target {
    /// The column's name.
    pub(crate) column: String,
    values: Values,
    /// The class of each trial, counted in the order of the sorted classes.
    pub(crate) labels: Vec<usize>,
}

#[derive(Debug, Clone, PartialEq)]
enum Values {
    Numbers(Vec<f64>),
    Texts(Vec<String>),
}

impl Target {
    /// Reads the classes of a session's column.
    ///
    /// # Errors
    /// When the column does not exist (those that exist are named), has gaps, or holds fewer than two classes.
    pub(crate) fn of(responses: &Responses, column: &str) -> Result<Target, StageError> {
        let target = Target::any(responses, column)?;
        if let [only] = target.names().as_slice() {
            return Err(StageError::refused_with_help(
                format!("{}: every trial has the same `{column}`, {only}: there is nothing to tell apart", Place(responses)),
                "choose a column with at least two classes",
            ));
        }
        Ok(target)
    }

    /// As [`Target::of`], but a single class will do.
    ///
    /// # Errors
    /// When the column does not exist, has gaps, or there is no trial.
    pub(crate) fn any(responses: &Responses, column: &str) -> Result<Target, StageError> {
        if responses.n_trials() == 0 {
            return Err(StageError::refused_with_help(
                format!("{} has no trials", Place(responses)),
                "look at the step that cut the recording into trials, or leave the session out",
            ));
        }
        let table = responses.trials();
        let gap = |trial: usize, missing: usize| {
            StageError::refused_with_help(
                format!("{}: `{column}` has no value in {missing} trials; the first is trial {trial}", Place(responses)),
                "leave those trials out, or fill the column, before this step",
            )
        };
        match table.numbers(column) {
            Ok(numbers) => {
                if let Some(trial) = numbers.iter().position(|number| !number.is_finite()) {
                    return Err(gap(trial, numbers.iter().filter(|number| !number.is_finite()).count()));
                }
                // −0 and 0 are the same stimulus.
                let numbers: Vec<f64> = numbers.into_iter().map(|number| number + 0.0).collect();
                let mut classes = numbers.clone();
                classes.sort_by(f64::total_cmp);
                classes.dedup();
                let labels = numbers.iter().map(|number| classes.partition_point(|class| class < number)).collect();
                Ok(Target { column: column.to_owned(), values: Values::Numbers(classes), labels })
            }
            Err(DataError::ColumnType { .. }) => {
                let texts = table.texts(column)?;
                if let Some(trial) = texts.iter().position(String::is_empty) {
                    return Err(gap(trial, texts.iter().filter(|text| text.is_empty()).count()));
                }
                let mut classes = texts.clone();
                classes.sort();
                classes.dedup();
                let labels = texts.iter().map(|text| classes.partition_point(|class| class < text)).collect();
                Ok(Target { column: column.to_owned(), values: Values::Texts(classes), labels })
            }
            Err(DataError::NoColumn { column, available }) => {
                let near = neuroflow_stage::nearest(&column, table.column_names().iter().map(String::as_str)).map(str::to_owned);
                let message = format!("{}: there is no trial column `{column}`; there are: {available}", Place(responses));
                Err(match near {
                    Some(near) => StageError::refused_with_help(message, format!("did you mean `{near}`?")),
                    None => StageError::refused(message),
                })
            }
            Err(other) => Err(other.into()),
        }
    }

    /// The number of classes.
    pub(crate) fn n_classes(&self) -> usize {
        match &self.values {
            Values::Numbers(numbers) => numbers.len(),
            Values::Texts(texts) => texts.len(),
        }
    }

    /// The classes' names, in order.
    pub(crate) fn names(&self) -> Vec<String> {
        match &self.values {
            Values::Numbers(numbers) => numbers.iter().map(f64::to_string).collect(),
            Values::Texts(texts) => texts.clone(),
        }
    }

    /// The number of trials of each class.
    pub(crate) fn counts(&self) -> Vec<usize> {
        count(&self.labels, self.n_classes())
    }

    /// A table column with the class value of each label, numbers as numbers.
    pub(crate) fn values_of(&self, name: &str, labels: &[usize]) -> (Field, ArrayRef) {
        match &self.values {
            Values::Numbers(numbers) => {
                let values = labels.iter().map(|&label| numbers.get(label).copied().unwrap_or(f64::NAN)).collect();
                columns::from_numbers(name, values)
            }
            Values::Texts(texts) => {
                let values: Vec<&str> = labels.iter().map(|&label| texts.get(label).map_or("", String::as_str)).collect();
                columns::from_texts(name, &values)
            }
        }
    }
}

/// How often each of `n_classes` labels occurs.
pub(crate) fn count(labels: &[usize], n_classes: usize) -> Vec<usize> {
    let mut counts = vec![0; n_classes];
    labels.iter().for_each(|&label| counts[label] += 1);
    counts
}
