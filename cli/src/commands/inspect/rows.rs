//! Rows of a file in a terminal: the first ones, or the answer of a query.

use super::Opened;
use super::plot::shortened;
use crate::exit::{Exit, Failure};
use arrow::array::RecordBatch;
use arrow::util::display::{ArrayFormatter, FormatOptions};
use neuroflow_agent::escape_line;
use neuroflow_data::export::{ExportFormat, export};
use neuroflow_data::{Table, Typed};
use neuroflow_formats::{FormatError, Item, Rows, What};
use neuroflow_query::ask;
use neuroflow_stage::{Context, StageError};
use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

/// Letters of a value, and columns, at most.
const WIDEST: usize = 28;
const MOST_COLUMNS: usize = 12;
/// Rows of an answer that are printed.
const MOST_ROWS: usize = 200;

/// The first rows of a thing that has rows.
pub(super) fn head(opened: &Opened, item: &Item, count: usize) -> Result<(), Failure> {
    let failed = |error: FormatError| super::told(&opened.name, error);
    let rows = match &item.what {
        _ if count == 0 => return Ok(()),
        what if what.has_rows() => opened.document.rows(&item.path).map_err(failed)?,
        // Texts and records in an array; that others can't be read was told above.
        what @ What::Array { .. } if !what.is_of_numbers() => match opened.document.rows(&item.path) {
            Ok(rows) => rows,
            Err(_) => return Ok(()),
        },
        _ => return Ok(()),
    };
    let columns: Vec<usize> = (0..rows.schema().fields().len().min(MOST_COLUMNS)).collect();
    let batch = rows.read(&columns, 0..rows.count().min(count as u64)).map_err(failed)?;
    println!();
    print(&batch);
    if let Some(more @ 1..) = rows.schema().fields().len().checked_sub(columns.len()) {
        println!("and {more} more columns");
    }
    Ok(())
}

/// The tables of a file by the names that a query may use: whole paths, and the last part where it is the only one of its name.
fn tables(opened: &Opened) -> Result<BTreeMap<String, Arc<dyn Rows>>, Failure> {
    let document = opened.document.as_ref();
    let mut tables = BTreeMap::new();
    for path in neuroflow_query::table_paths(document) {
        tables.insert(path.clone(), document.rows(&path).map_err(|error| super::told(&opened.name, error))?);
    }
    let paths: Vec<String> = tables.keys().cloned().collect();
    for (last, path) in neuroflow_formats::short_names(&paths.iter().map(String::as_str).collect::<Vec<_>>()) {
        if let (false, Some(rows)) = (tables.contains_key(last), tables.get(path).map(Arc::clone)) {
            tables.insert(last.to_owned(), rows);
        }
    }
    Ok(tables)
}

/// Answers a query.
pub(super) fn answer(opened: &Opened, query: &str, out: Option<&Path>) -> Result<Exit, Failure> {
    let answer = ask(tables(opened)?, query, &Context::quiet(0)).map_err(|error| match error {
        StageError::Refused { message, help } => Failure { help, ..Failure::could_not_start(message) },
        other => Failure::could_not_start(other),
    })?;
    let Some(out) = out else {
        print(answer.batch());
        return Ok(Exit::Done);
    };
    let ending = out.extension().and_then(|ending| ending.to_str()).unwrap_or_default();
    let format: ExportFormat = ending.parse().map_err(|error: String| Failure::could_not_start(format!("{}: {error}", out.display())))?;
    let artifact = Table::from_batch(answer.batch().clone()).into_artifact().map_err(Failure::could_not_start)?;
    let bytes = export(&artifact, format).map_err(Failure::could_not_start)?;
    std::fs::write(out, bytes).map_err(|error| Failure::could_not_start(format!("{}: {error}", out.display())))?;
    println!("{} rows in {}", answer.rows(), out.display());
    Ok(Exit::Done)
}

/// Rows in columns.
fn print(batch: &RecordBatch) {
    let options = FormatOptions::new().with_null("·");
    let shown = batch.num_rows().min(MOST_ROWS);
    let mut columns: Vec<(Vec<String>, bool)> = Vec::new();
    for (field, array) in batch.schema().fields().iter().zip(batch.columns()) {
        let mut cells = vec![escape_line(&shortened(field.name(), WIDEST))];
        let formatter = ArrayFormatter::try_new(array, &options);
        cells.extend((0..shown).map(|row| match &formatter {
            Ok(formatter) => escape_line(&shortened(&formatter.value(row).to_string(), WIDEST)),
            Err(_) => "?".into(),
        }));
        columns.push((cells, field.data_type().is_numeric()));
    }
    let widths: Vec<usize> = columns.iter().map(|(cells, _)| cells.iter().map(|cell| cell.chars().count()).max().unwrap_or(0)).collect();
    for row in 0..=shown {
        let line = columns.iter().zip(&widths).map(|((cells, is_number), &width)| match (cells.get(row), is_number) {
            (Some(cell), true) => format!("{cell:>width$}"),
            (Some(cell), false) => format!("{cell:<width$}"),
            (None, _) => String::new(),
        });
        println!("{}", line.collect::<Vec<_>>().join("  ").trim_end());
    }
    if let Some(more @ 1..) = batch.num_rows().checked_sub(shown) {
        println!("and {more} more rows; `-o FILE.csv` writes all");
    }
}
