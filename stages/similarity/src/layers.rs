//! Tables of scores, one for each layer of a model.

use neuroflow_data::Table;
use neuroflow_stage::{Inputs, StageError};

/// A layer's table and its name.
pub(crate) struct LayerTable {
    pub(crate) name: String,
    pub(crate) table: Table,
}

impl LayerTable {
    /// All layers of a slot, in the order given; two at least.
    pub(crate) fn all(inputs: &Inputs, slot: &str) -> Result<Vec<LayerTable>, StageError> {
        let layers: Vec<LayerTable> = inputs
            .many::<Table>(slot)?
            .into_iter()
            .enumerate()
            .map(|(place, (label, table))| LayerTable {
                name: if label.is_empty() { format!("layer {}", place + 1) } else { label },
                table,
            })
            .collect();
        if layers.len() < 2 {
            return Err(StageError::refused_with_help(
                format!("{} layer is given; an order needs at least 2", layers.len()),
                "give the tables of a loop over layers, such as `encoding[*].regions`",
            ));
        }
        Ok(layers)
    }
}

/// The mean score of each name, in the order of first appearance.
pub(crate) fn mean_by(layer: &LayerTable, names: &str, scores: &str) -> Result<Vec<(String, f64)>, StageError> {
    let (names, scores) = (layer.table.texts(names)?, finite(layer, scores)?);
    let mut means: Vec<(String, f64, f64)> = Vec::new();
    for (name, score) in names.into_iter().zip(scores) {
        match means.iter_mut().find(|(known, ..)| *known == name) {
            Some((_, sum, count)) => {
                *sum += score;
                *count += 1.0;
            }
            None => means.push((name, score, 1.0)),
        }
    }
    require_rows(layer, means.len())?;
    Ok(means.into_iter().map(|(name, sum, count)| (name, sum / count)).collect())
}

/// The mean score at each time, times ascending.
pub(crate) fn mean_by_time(layer: &LayerTable, times: &str, scores: &str) -> Result<Vec<(f64, f64)>, StageError> {
    let mut rows: Vec<(f64, f64)> = finite(layer, times)?.into_iter().zip(finite(layer, scores)?).collect();
    rows.sort_by(|a, b| a.0.total_cmp(&b.0));
    require_rows(layer, rows.len())?;
    Ok(rows.chunk_by(|a, b| a.0 == b.0).map(|same| (same[0].0, same.iter().map(|row| row.1).sum::<f64>() / same.len() as f64)).collect())
}

fn finite(layer: &LayerTable, column: &str) -> Result<Vec<f64>, StageError> {
    let values = layer.table.numbers(column)?;
    match values.iter().position(|value| !value.is_finite()) {
        None => Ok(values),
        Some(row) => Err(StageError::refused(format!(
            "{}: row {row} of `{column}` (counted from 0) is {}",
            layer.name,
            if values[row].is_nan() { "a gap" } else { "infinite" }
        ))),
    }
}

fn require_rows(layer: &LayerTable, rows: usize) -> Result<(), StageError> {
    if rows > 0 { Ok(()) } else { Err(StageError::refused(format!("the table of {} has no rows", layer.name))) }
}
