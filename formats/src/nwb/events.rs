//! `TimeIntervals`, `AnnotationSeries` and `IntervalSeries` as events.

use super::series::{Series, Times, as_table, dataset_at};
use super::table::{Column, DynamicTable};
use super::{bad, of_nwb};
use crate::hdf5::tree::Tree;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use neuroflow_data::formats::{Budget, COPY_AGAIN, FormatError};
use neuroflow_data::{Events, Table, columns};
use std::collections::HashMap;

/// Columns of texts that name what happened, when a table has several.
const LABELS: [&str; 6] = ["label", "trial_type", "stimulus", "stimulus_name", "condition", "event_type"];

/// Intervals as events: `time` is `start_time`, `duration` what passes until `stop_time`, `label` the one column of texts (or, of several, one that says so),
/// the table's name otherwise. All other plain columns are kept.
pub(super) fn intervals(tree: &Tree, table: &DynamicTable) -> Result<Events, FormatError> {
    let mut budget = tree.budget();
    let starts = numbers(tree, table, "start_time", &mut budget)?;
    let starts = starts.ok_or_else(|| bad(&table.path, "the intervals have no `start_time`", &as_table(&table.path)))?;
    let stops = numbers(tree, table, "stop_time", &mut budget)?;
    let durations = match &stops {
        Some(stops) => starts.iter().zip(stops).map(|(start, stop)| Some(stop - start).filter(|length| length.is_finite())).collect(),
        None => vec![None; starts.len()],
    };
    let texts: Vec<&Column> = table.columns.iter().filter(|column| column.datatype == DataType::Utf8).collect();
    let named = LABELS.iter().find_map(|name| texts.iter().find(|column| column.name == *name));
    let label = match texts.as_slice() {
        [only] => Some(*only),
        _ => named.copied(),
    };
    let labels = match label {
        Some(column) => texts_of(&table.values(tree, column, 0..table.count, &mut budget)?),
        None => vec![table.path.rsplit('/').next().unwrap_or_default().to_owned(); starts.len()],
    };
    let mut all = vec![
        columns::from_numbers("time", starts),
        columns::from_optional_numbers("duration", durations),
        columns::from_texts("label", &labels),
    ];
    for column in table.columns.iter().filter(|column| column.is_scalar() && column.name != "start_time") {
        if column.name == "label" && label.is_some_and(|label| label.name == column.name) {
            continue;
        }
        let taken = matches!(column.name.as_str(), "time" | "duration" | "label");
        let name = if taken { format!("{}_", column.name) } else { column.name.clone() };
        let values = table.values(tree, column, 0..table.count, &mut budget)?;
        all.push((Field::new(name, values.data_type().clone(), false), values));
    }
    let made = Table::from_columns(all).and_then(Events::from_table);
    made.map_err(|error| bad(&table.path, error.to_string(), &as_table(&table.path)))
}

/// Annotations as events without a duration.
pub(super) fn annotations(tree: &Tree, series: &Series) -> Result<Events, FormatError> {
    let mut budget = tree.budget();
    let dataset = series.dataset(tree)?;
    let labels = tree.texts(&series.path, dataset, &dataset.everything(), &mut budget).map_err(|error| of_nwb(error, &series.path))?;
    let labels = labels.ok_or_else(|| bad(&series.path, "the annotations are not texts", &as_table(&series.path)))?;
    let times = times_of(tree, series, labels.len(), &mut budget)?;
    let durations = vec![None; times.len()];
    Events::new(times, durations, &labels).map_err(|error| bad(&series.path, error.to_string(), COPY_AGAIN))
}

/// The times of all samples of a series.
fn times_of(tree: &Tree, series: &Series, count: usize, budget: &mut Budget) -> Result<Vec<f64>, FormatError> {
    match series.times {
        Times::Rate { rate, start } => Ok((0..count).map(|row| start + row as f64 / rate).collect()),
        Times::Stamps(stamps) => {
            let stamps = dataset_at(tree, stamps, &series.path)?;
            let numbers = tree.numbers(&series.path, stamps, &stamps.everything(), budget).map_err(|error| of_nwb(error, &series.path))?;
            Ok(numbers.unwrap_or_default())
        }
        Times::Unknown => Err(bad(&series.path, "the samples have no times", "correct the file: give them `timestamps`")),
    }
}

/// An interval between two marks: the samples where it begins and ends, and its sort.
pub(super) struct Marked {
    begin: usize,
    end: Option<usize>,
    sort: i64,
}

/// The intervals of an `IntervalSeries`: the number of a sort, above zero, begins one, and the same number below zero ends it. One that is not ended
/// has no end.
pub(super) fn marked(tree: &Tree, series: &Series) -> Result<Vec<Marked>, FormatError> {
    let dataset = series.dataset(tree)?;
    let marks =
        tree.numbers(&series.path, dataset, &dataset.everything(), &mut tree.budget()).map_err(|error| of_nwb(error, &series.path))?;
    let mut all: Vec<Marked> = Vec::new();
    // Where the interval of a sort stands that has begun and not ended.
    let mut begun: HashMap<i64, usize> = HashMap::new();
    for (sample, mark) in marks.unwrap_or_default().into_iter().enumerate() {
        let sort = mark.abs() as i64;
        let wrong = if mark == 0.0 || mark.fract() != 0.0 || mark.is_nan() {
            "neither begins nor ends an interval"
        } else if mark > 0.0 {
            match begun.insert(sort, all.len()) {
                None => {
                    all.push(Marked { begin: sample, end: None, sort });
                    continue;
                }
                Some(_) => "begins an interval of a sort that has begun and not ended",
            }
        } else {
            match begun.remove(&sort).and_then(|place| all.get_mut(place)) {
                Some(own) => {
                    own.end = Some(sample);
                    continue;
                }
                None => "ends an interval that has not begun",
            }
        };
        return Err(bad(&series.path, format!("mark {} of {mark} {wrong}", sample + 1), &as_table(&series.path)));
    }
    Ok(all)
}

/// The intervals of an `IntervalSeries` as events; `label` is their sort.
pub(super) fn intervals_of_marks(tree: &Tree, series: &Series) -> Result<Events, FormatError> {
    let marked = marked(tree, series)?;
    let times = times_of(tree, series, usize::try_from(series.samples).unwrap_or(usize::MAX), &mut tree.budget())?;
    let time = |sample: usize| times.get(sample).copied().unwrap_or(f64::NAN);
    let begins = marked.iter().map(|own| time(own.begin)).collect();
    let durations = marked.iter().map(|own| own.end.map(|end| time(end) - time(own.begin)).filter(|length| length.is_finite())).collect();
    let labels: Vec<String> = marked.iter().map(|own| own.sort.to_string()).collect();
    Events::new(begins, durations, &labels).map_err(|error| bad(&series.path, error.to_string(), &as_table(&series.path)))
}

fn numbers(tree: &Tree, table: &DynamicTable, name: &str, budget: &mut Budget) -> Result<Option<Vec<f64>>, FormatError> {
    let Some(column) = table.column(name) else { return Ok(None) };
    let values = table.values(tree, column, 0..table.count, budget)?;
    let values =
        cast(&values, &DataType::Float64).map_err(|_| bad(&table.path, format!("`{name}` is not a column of numbers"), COPY_AGAIN))?;
    Ok(values.as_primitive_opt::<Float64Type>().map(|numbers| numbers.values().to_vec()))
}

fn texts_of(values: &ArrayRef) -> Vec<String> {
    values.as_string_opt::<i32>().map(|texts| texts.iter().map(|text| text.unwrap_or_default().to_owned()).collect()).unwrap_or_default()
}
