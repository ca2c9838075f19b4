//! Spikes by cluster, and what the tables say of clusters.

use arrow::array::{Array, ArrayRef, RecordBatch};
use arrow::compute::{concat, take};
use arrow::datatypes::{DataType, Field};
use neuroflow_data::formats::csv::{CsvOptions, Delimiter, HeaderRow, read_csv};
use neuroflow_data::formats::{FormatError, Limits};
use neuroflow_data::{DataError, Table, columns};
use std::collections::{BTreeMap, HashMap};

/// Columns times clusters of a table that is joined.
const MOST_CELLS: u64 = 1 << 20;

/// Spikes sorted by cluster.
pub(super) struct Grouped {
    pub clusters: Vec<i64>,
    pub ends: Vec<usize>,
    pub times: Vec<f64>,
    /// Units whose times had to be sorted.
    pub mended: usize,
}

pub(super) fn group(samples: &[f64], clusters: &[f64], rate: f64) -> Grouped {
    let mut counts: BTreeMap<i64, usize> = BTreeMap::new();
    for cluster in clusters {
        *counts.entry(*cluster as i64).or_default() += 1;
    }
    let mut next: HashMap<i64, usize> = HashMap::with_capacity(counts.len());
    let (mut ends, mut total) = (Vec::with_capacity(counts.len()), 0);
    for (cluster, count) in &counts {
        next.insert(*cluster, total);
        total += count;
        ends.push(total);
    }
    let mut times = vec![0.0; total];
    for (sample, cluster) in samples.iter().zip(clusters) {
        if let Some(slot) = next.get_mut(&(*cluster as i64)) {
            if let Some(time) = times.get_mut(*slot) {
                *time = sample / rate;
            }
            *slot += 1;
        }
    }
    let (mut begin, mut mended) = (0, 0);
    for &end in &ends {
        if let Some(own) = times.get_mut(begin..end)
            && !own.is_sorted()
        {
            own.sort_unstable_by(f64::total_cmp);
            mended += 1;
        }
        begin = end;
    }
    Grouped { clusters: counts.into_keys().collect(), ends, times, mended }
}

/// A table of clusters, whose first line names its columns.
pub(super) fn read(bytes: &[u8], delimiter: u8, limits: &Limits) -> Result<Table, FormatError> {
    // A table of clusters is small; its numbers and texts take a little more in memory than in the file.
    let limits =
        Limits { max_total_bytes: limits.max_total_bytes.min(48 << 20), max_columns: limits.max_columns.min(4096), ..limits.clone() };
    let options = CsvOptions { delimiter: Delimiter::Byte(delimiter), header: HeaderRow::Present, ..CsvOptions::default() };
    read_csv(bytes, &options, &limits).map(Table::from_batch)
}

/// A row for each cluster, with the columns of all tables; of columns of one name, the first with values is kept.
pub(super) fn table(tables: &[(String, Table)], clusters: &[i64], notes: &mut Vec<String>) -> Result<Table, DataError> {
    let names: Vec<String> = clusters.iter().map(i64::to_string).collect();
    let mut all: Vec<(Field, ArrayRef)> = vec![columns::from_texts("unit", &names)];
    for (name, table) in tables {
        let key = table.column_names().into_iter().find(|column| matches!(column.as_str(), "cluster_id" | "id"));
        let ids = key.as_ref().and_then(|key| table.integers(key).ok());
        let (Some(key), Some(ids)) = (key, ids) else {
            notes.push(format!("`{name}` is left out: it has no column `cluster_id` or `id` of whole numbers"));
            continue;
        };
        let rows: HashMap<i64, usize> = ids.iter().enumerate().map(|(row, id)| (*id, row)).collect();
        let silent = rows.keys().filter(|id| clusters.binary_search(id).is_err()).count();
        if silent > 0 {
            notes.push(format!("`{name}` has {silent} clusters without spikes, which are left out"));
        }
        if (table.batch().num_columns() as u64).saturating_mul(clusters.len() as u64) > MOST_CELLS {
            notes.push(format!(
                "`{name}` is left out: {} columns for {} clusters are too many",
                table.batch().num_columns(),
                clusters.len()
            ));
            continue;
        }
        for (field, array) in joined(table.batch(), &rows, clusters)? {
            let taken = *field.name() == key
                || matches!(field.name().as_str(), "unit" | "spike_times")
                || all.iter().any(|(own, _)| own.name() == field.name());
            if !taken && array.data_type() != &DataType::Null {
                all.push((field, array));
            }
        }
    }
    Table::from_columns(all)
}

/// The columns of a table with a row for each cluster; without a row in the table, the values are missing.
fn joined(batch: &RecordBatch, rows: &HashMap<i64, usize>, clusters: &[i64]) -> Result<Vec<(Field, ArrayRef)>, DataError> {
    let places: Vec<Option<u64>> = clusters.iter().map(|cluster| rows.get(cluster).map(|&row| row as u64)).collect();
    let places = arrow::array::UInt64Array::from(places);
    let schema = batch.schema();
    let mut all = Vec::with_capacity(batch.num_columns());
    for (field, array) in schema.fields().iter().zip(batch.columns()) {
        let taken = if array.is_empty() {
            concat(&[arrow::array::new_null_array(array.data_type(), clusters.len()).as_ref()])?
        } else {
            take(array, &places, None)?
        };
        all.push((Field::new(field.name(), taken.data_type().clone(), true), taken));
    }
    Ok(all)
}
