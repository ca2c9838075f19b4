//! Cells as columns of a table.

use super::Header;
use super::cells::Cell;
use crate::reading::unique;
use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, NullArray, RecordBatch, RecordBatchOptions, StringArray};
use arrow::datatypes::{Field, Schema};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The numbers among the cells; truth values are 1 and 0.
pub(super) fn numbers(cells: &[(u32, u32, Cell)]) -> Vec<(u32, u32, f64)> {
    let number = |cell: &Cell| match cell {
        Cell::Number(value) => Some(*value),
        Cell::Truth(value) => Some(f64::from(u8::from(*value))),
        Cell::Text(_) | Cell::Date(_) => None,
    };
    cells.iter().filter_map(|(row, column, cell)| Some((*row, *column, number(cell)?))).collect()
}

/// The letters of a column, from 0: A, …, Z, AA.
pub(super) fn letters(column: usize) -> String {
    let mut letters = Vec::new();
    let mut rest = column + 1;
    while rest > 0 {
        rest -= 1;
        letters.push(char::from(b'A' + (rest % 26) as u8));
        rest /= 26;
    }
    letters.iter().rev().collect()
}

/// The row of the header, when there is one.
fn header_row(cells: &[(u32, u32, Cell)], height: usize, width: usize, header: Header) -> Option<usize> {
    match header {
        Header::Absent => None,
        Header::Row(row) => usize::try_from(row).ok().and_then(|row| row.checked_sub(1)).filter(|row| *row < height),
        Header::Guessed => {
            let mut named = vec![false; width];
            let mut below = vec![false; width];
            // Columns below whose name there are no texts.
            let mut plain = vec![true; width];
            let mut others = false;
            let mut names = BTreeSet::new();
            let mut differ = true;
            for (row, column, cell) in cells {
                let column = *column as usize;
                match (*row, cell) {
                    (0, Cell::Text(name)) => {
                        differ &= names.insert(name.as_str());
                        named.get_mut(column).map(|own| *own = true)
                    }
                    (0, _) => {
                        others = true;
                        None
                    }
                    (_, Cell::Text(_)) => {
                        if let Some(own) = plain.get_mut(column) {
                            *own = false;
                        }
                        below.get_mut(column).map(|own| *own = true)
                    }
                    _ => below.get_mut(column).map(|own| *own = true),
                };
            }
            let columns = || named.iter().zip(&below).zip(&plain);
            let all = !others && columns().enumerate().all(|(place, ((named, below), _))| *named || !*below || place == 0);
            // A word over nothing but numbers names them, whatever stands beside it: years, or nothing.
            let over_numbers = differ && columns().any(|((named, below), plain)| *named && *below && *plain);
            ((all || over_numbers) && height > 1 && named.iter().any(|named| *named)).then_some(0)
        }
    }
}

/// The table of `height` × `width` cells.
pub(super) fn table(cells: Vec<(u32, u32, Cell)>, height: usize, width: usize, header: Header) -> Result<RecordBatch, String> {
    if let Header::Row(row) = header
        && (row == 0 || row as usize > height)
    {
        return Err(format!("row {row} is to name the columns, the sheet has {height} rows"));
    }
    let named = header_row(&cells, height, width, header);
    let first = named.map_or(0, |row| row + 1);
    let mut names: Vec<Option<String>> = vec![None; width];
    let mut columns: Vec<Vec<(usize, Cell)>> = vec![Vec::new(); width];
    for (row, column, cell) in cells {
        let (row, column) = (row as usize, column as usize);
        if Some(row) == named {
            if let Some(name) = names.get_mut(column) {
                *name = Some(plain(&cell).trim().to_owned());
            }
        } else if row >= first
            && let Some(own) = columns.get_mut(column)
        {
            own.push((row - first, cell));
        }
    }
    let rows = height.saturating_sub(first);
    let mut taken = BTreeMap::new();
    let mut fields = Vec::with_capacity(width);
    let mut arrays = Vec::with_capacity(width);
    for (place, (cells, name)) in columns.into_iter().zip(names).enumerate() {
        let array = column(rows, cells);
        let name = name.filter(|name| !name.is_empty()).unwrap_or_else(|| letters(place));
        fields.push(Field::new(unique(&name, &mut taken), array.data_type().clone(), true));
        arrays.push(array);
    }
    let options = RecordBatchOptions::new().with_row_count(Some(rows));
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(|error| error.to_string())
}

/// A cell as text. Whole numbers are written without a point.
fn plain(cell: &Cell) -> String {
    match cell {
        Cell::Number(value) => value.to_string(),
        Cell::Truth(value) => value.to_string(),
        Cell::Text(value) | Cell::Date(value) => value.clone(),
    }
}

fn column(rows: usize, cells: Vec<(usize, Cell)>) -> ArrayRef {
    /// Whole numbers up to here are exact.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let all = |sort: fn(&Cell) -> bool| cells.iter().all(|(_, cell)| sort(cell));
    if cells.is_empty() {
        return Arc::new(NullArray::new(rows));
    }
    if all(|cell| matches!(cell, Cell::Number(value) if value.fract() == 0.0 && value.abs() <= EXACT)) {
        return Arc::new(Int64Array::from(spread(rows, cells, |cell| if let Cell::Number(own) = cell { Some(own as i64) } else { None })));
    }
    if all(|cell| matches!(cell, Cell::Number(_))) {
        return Arc::new(Float64Array::from(spread(rows, cells, |cell| if let Cell::Number(own) = cell { Some(own) } else { None })));
    }
    if all(|cell| matches!(cell, Cell::Truth(_))) {
        return Arc::new(BooleanArray::from(spread(rows, cells, |cell| if let Cell::Truth(own) = cell { Some(own) } else { None })));
    }
    Arc::new(StringArray::from(spread(rows, cells, |cell| Some(plain(&cell)))))
}

fn spread<T: Clone>(rows: usize, cells: Vec<(usize, Cell)>, value: impl Fn(Cell) -> Option<T>) -> Vec<Option<T>> {
    let mut column = vec![None; rows];
    for (row, cell) in cells {
        if let Some(place) = column.get_mut(row) {
            *place = value(cell);
        }
    }
    column
}
