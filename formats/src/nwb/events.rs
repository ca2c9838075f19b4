//! `TimeIntervals` and `AnnotationSeries` as events.

use super::series::{Series, Times, dataset_at};
use super::table::{Column, DynamicTable};
use super::{bad, of_nwb};
use crate::hdf5::tree::Tree;
use arrow::array::{Array, ArrayRef, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use neuroflow_data::formats::{Budget, COPY_AGAIN, FormatError};
use neuroflow_data::{Events, Table, columns};

/// Columns of texts that name what happened, when a table has several.
const LABELS: [&str; 6] = ["label", "trial_type", "stimulus", "stimulus_name", "condition", "event_type"];

/// Intervals as events: `time` is `start_time`, `duration` what passes until `stop_time`, `label` the one column of texts (or, of several, one that says so),
/// the table's name otherwise. All other plain columns are kept.
pub(super) fn intervals(tree: &Tree, table: &DynamicTable) -> Result<Events, FormatError> {
    let mut budget = tree.budget();
    let starts = numbers(tree, table, "start_time", &mut budget)?;
    let starts = starts.ok_or_else(|| bad(&table.path, "the intervals have no `start_time`", "see the table with `rows`"))?;
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
    made.map_err(|error| bad(&table.path, error.to_string(), "see the table with `rows`"))
}

/// Annotations as events without a duration.
pub(super) fn annotations(tree: &Tree, series: &Series) -> Result<Events, FormatError> {
    let mut budget = tree.budget();
    let dataset = series.dataset(tree)?;
    let labels = tree.texts(&series.path, dataset, &dataset.everything(), &mut budget).map_err(|error| of_nwb(error, &series.path))?;
    let labels = labels.ok_or_else(|| bad(&series.path, "the annotations are not texts", "see them with `rows`"))?;
    let times = match series.times {
        Times::Rate { rate, start } => (0..labels.len()).map(|row| start + row as f64 / rate).collect(),
        Times::Stamps(stamps) => {
            let stamps = dataset_at(tree, stamps, &series.path)?;
            let numbers =
                tree.numbers(&series.path, stamps, &stamps.everything(), &mut budget).map_err(|error| of_nwb(error, &series.path))?;
            numbers.unwrap_or_default()
        }
        Times::Unknown => return Err(bad(&series.path, "the annotations have no times", COPY_AGAIN)),
    };
    let durations = vec![None; times.len()];
    Events::new(times, durations, &labels).map_err(|error| bad(&series.path, error.to_string(), COPY_AGAIN))
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
