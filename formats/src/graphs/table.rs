//! Attributes of nodes and edges, gathered into columns.

use arrow::array::{ArrayRef, BooleanArray, Float64Array, Int64Array, StringArray};
use std::collections::HashMap;
use std::sync::Arc;

/// A value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Attribute {
    Whole(i64),
    Real(f64),
    Truth(bool),
    Text(String),
}

impl std::fmt::Display for Attribute {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Attribute::Whole(value) => write!(f, "{value}"),
            Attribute::Real(value) => write!(f, "{value}"),
            Attribute::Truth(value) => write!(f, "{value}"),
            Attribute::Text(value) => f.write_str(value),
        }
    }
}

/// Columns of attributes, each with the rows that have it.
#[derive(Debug, Default)]
pub(crate) struct Attributes {
    places: HashMap<String, usize>,
    columns: Vec<(String, Vec<(usize, Attribute)>)>,
}

impl Attributes {
    /// Sets the attribute of a row. A second value of the same name is written behind the first.
    pub fn set(&mut self, row: usize, name: &str, value: Attribute) {
        let place = match self.places.get(name) {
            Some(place) => *place,
            None => {
                self.columns.push((name.to_owned(), Vec::new()));
                self.places.insert(name.to_owned(), self.columns.len() - 1);
                self.columns.len() - 1
            }
        };
        let Some((_, cells)) = self.columns.get_mut(place) else { return };
        match cells.last_mut() {
            Some((last, own)) if *last == row => *own = Attribute::Text(format!("{own}, {value}")),
            _ => cells.push((row, value)),
        }
    }

    /// The number of columns.
    pub fn count(&self) -> usize {
        self.columns.len()
    }

    /// All columns: whole numbers, numbers, truth values, or text where they are mixed. A name that is taken gets a line behind it.
    pub fn columns(self, rows: usize, taken: &[&str]) -> Vec<(String, ArrayRef)> {
        self.columns
            .into_iter()
            .map(|(name, cells)| {
                let name = if taken.contains(&name.as_str()) { format!("{name}_") } else { name };
                (name, column(rows, cells))
            })
            .collect()
    }
}

fn column(rows: usize, cells: Vec<(usize, Attribute)>) -> ArrayRef {
    let all = |sort: fn(&Attribute) -> bool| cells.iter().all(|(_, value)| sort(value));
    if all(|value| matches!(value, Attribute::Whole(_))) {
        return Arc::new(Int64Array::from(spread(rows, cells, |value| if let Attribute::Whole(own) = value { Some(own) } else { None })));
    }
    if all(|value| matches!(value, Attribute::Truth(_))) {
        return Arc::new(BooleanArray::from(spread(rows, cells, |value| if let Attribute::Truth(own) = value { Some(own) } else { None })));
    }
    if all(|value| matches!(value, Attribute::Whole(_) | Attribute::Real(_))) {
        return Arc::new(Float64Array::from(spread(rows, cells, |value| match value {
            Attribute::Whole(own) => Some(own as f64),
            Attribute::Real(own) => Some(own),
            _ => None,
        })));
    }
    Arc::new(StringArray::from(spread(rows, cells, |value| Some(value.to_string()))))
}

fn spread<T: Clone>(rows: usize, cells: Vec<(usize, Attribute)>, value: impl Fn(Attribute) -> Option<T>) -> Vec<Option<T>> {
    let mut column = vec![None; rows];
    for (row, cell) in cells {
        if let Some(place) = column.get_mut(row) {
            *place = value(cell);
        }
    }
    column
}

/// A column of text.
pub(super) fn texts<'t>(values: impl Iterator<Item = Option<&'t str>>) -> ArrayRef {
    Arc::new(values.collect::<StringArray>())
}
