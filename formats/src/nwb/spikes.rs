//! `Units`: sorted units with their spike times.

use super::series::dataset_at;
use super::table::DynamicTable;
use super::{bad, of_nwb};
use crate::hdf5::tree::Tree;
use arrow::array::{Array, AsArray};
use arrow::compute::cast;
use arrow::datatypes::{DataType, Field, Float64Type};
use neuroflow_data::formats::{COPY_AGAIN, FormatError};
use neuroflow_data::{Spikes, Table, columns};
use std::sync::Arc;

/// The units of a table with their spikes. `unit` is the table's `id`; further columns are those that have one plain value for a unit. Times that fall
/// within a unit are sorted, for the schema does not ask for their order.
pub(super) fn spikes(tree: &Tree, table: &DynamicTable, session: &str) -> Result<Spikes, FormatError> {
    let refuse = |error: neuroflow_data::DataError| bad(&table.path, error.to_string(), "see the table with `rows`");
    let path = format!("{}/spike_times", table.path);
    let column = table.column("spike_times").filter(|column| column.indexes.len() == 1);
    let column = column.ok_or_else(|| bad(&table.path, "the units have no ragged column `spike_times`", "see the table with `rows`"))?;
    let mut budget = tree.budget();
    let number_of = |address: u64, budget: &mut _| -> Result<Vec<f64>, FormatError> {
        let dataset = dataset_at(tree, address, &path)?;
        let numbers = tree.numbers(&path, dataset, &dataset.everything(), budget).map_err(|error| of_nwb(error, &path))?;
        numbers.ok_or_else(|| bad(&path, "these are not numbers", COPY_AGAIN))
    };
    let mut times = number_of(column.data, &mut budget)?;
    let index = column.indexes.first().copied().unwrap_or(column.data);
    let ends: Vec<usize> = number_of(index, &mut budget)?.into_iter().map(|end| end as usize).collect();
    let mut start = 0;
    for &end in &ends {
        let own = if start <= end { times.get_mut(start..end) } else { None };
        let own = own.ok_or_else(|| bad(&path, "the index of spike times falls or points past their end", COPY_AGAIN))?;
        if own.windows(2).any(|pair| matches!(pair, [one, next] if one > next)) {
            own.sort_by(f64::total_cmp);
        }
        start = end;
    }
    times.truncate(start);
    let mut known = Vec::new();
    for column in table.columns.iter().filter(|column| column.is_scalar()) {
        let values = table.values(tree, column, 0..table.count, &mut budget)?;
        if column.name == "id" {
            let names = cast(&values, &DataType::Utf8).map_err(|error| bad(&table.path, error.to_string(), COPY_AGAIN))?;
            known.insert(0, (Field::new("unit", DataType::Utf8, false), names));
            continue;
        }
        // A column that is called like ours keeps its values under a name with a mark.
        let taken = matches!(column.name.as_str(), "unit" | "spike_times");
        let name = if taken { format!("{}_", column.name) } else { column.name.clone() };
        known.push((Field::new(name, values.data_type().clone(), false), values));
    }
    if known.first().is_none_or(|(field, _)| field.name() != "unit") {
        let names: Vec<String> = (0..ends.len()).map(|unit| unit.to_string()).collect();
        known.insert(0, columns::from_texts("unit", &names));
    }
    let units = Table::from_columns(known).map_err(refuse)?;
    let mut spikes = Spikes::new(session, units, &ends, times).map_err(refuse)?;
    spikes.observed = observed(tree, table)?;
    Ok(spikes)
}

/// The intervals in which units were looked at, when all units have the same ones.
fn observed(tree: &Tree, table: &DynamicTable) -> Result<Vec<(f64, f64)>, FormatError> {
    let Some(column) = table.column("obs_intervals") else { return Ok(Vec::new()) };
    let values = table.values(tree, column, 0..table.count, &mut tree.budget())?;
    let Some(lists) = values.as_list_opt::<i64>() else { return Ok(Vec::new()) };
    let mut all: Option<Vec<(f64, f64)>> = None;
    for unit in 0..lists.len() {
        let own = lists.value(unit);
        let Some(pairs) = own.as_fixed_size_list_opt().filter(|pairs| pairs.value_length() == 2) else { return Ok(Vec::new()) };
        let Ok(numbers) = cast(pairs.values(), &DataType::Float64) else { return Ok(Vec::new()) };
        let numbers = Arc::clone(&numbers);
        let from = usize::try_from(pairs.value_offset(0)).unwrap_or(0);
        let numbers =
            numbers.as_primitive::<Float64Type>().values().get(from..from + 2 * pairs.len()).map(<[f64]>::to_vec).unwrap_or_default();
        let own: Vec<(f64, f64)> = numbers.chunks_exact(2).filter_map(|pair| Some((*pair.first()?, *pair.last()?))).collect();
        match &all {
            Some(known) if *known != own => return Ok(Vec::new()),
            Some(_) => {}
            None => all = Some(own),
        }
    }
    Ok(all.unwrap_or_default())
}
