//! What the stages that cut trials around events share: which events, which of them are kept, and what is said of the others.

use crate::condition::rows_where;
use neuroflow_data::{Coordinates, DataError, Events, Table, columns};
use neuroflow_stage::{StageError, words};

words! {
    /// What to do with events whose window leaves the time that was recorded.
    pub enum Edges {
        /// Refuse, with their number and the first of them.
        Refuse = "refuse" {},
        /// Leave those trials out; the output `dropped` lists them.
        Drop = "drop" {},
    }
}

/// Events to cut around.
pub(crate) struct Chosen {
    /// The rows of the events.
    pub(crate) rows: Vec<usize>,
    /// Their times in seconds.
    pub(crate) times: Vec<f64>,
}

/// The events that have one of `labels` (any when there are none) and fit `condition`.
pub(crate) fn choose(events: &Events, labels: &[String], condition: &str) -> Result<Chosen, StageError> {
    let (all_labels, all_times) = (events.labels(), events.times());
    if let Some(missing) = labels.iter().find(|label| !all_labels.contains(label)) {
        let mut there = all_labels.clone();
        there.sort();
        there.dedup();
        let list = there.iter().take(8).map(|label| format!("`{label}`")).collect::<Vec<_>>().join(", ");
        let more = if there.len() > 8 { ", …" } else { "" };
        return Err(StageError::refused_with_help(
            format!("no event has the label `{missing}`; the labels of the {} events are {list}{more}", events.len()),
            "give `label` as it stands in the events",
        ));
    }
    let mut rows = rows_where(events.table(), condition, "the events")?;
    rows.retain(|&row| labels.is_empty() || all_labels.get(row).is_some_and(|label| labels.contains(label)));
    if rows.is_empty() {
        return Err(StageError::refused_with_help(
            format!("none of the {} events is chosen", events.len()),
            "loosen `label` and `where`, or give other events",
        ));
    }
    let times = rows.iter().filter_map(|&row| all_times.get(row).copied()).collect();
    Ok(Chosen { rows, times })
}

/// The trials that were left out, and why.
#[derive(Default)]
pub(crate) struct Dropped {
    rows: Vec<usize>,
    reasons: Vec<&'static str>,
    details: Vec<String>,
}

impl Dropped {
    pub(crate) fn push(&mut self, row: usize, reason: &'static str, detail: impl Into<String>) {
        self.rows.push(row);
        self.reasons.push(reason);
        self.details.push(detail.into());
    }

    pub(crate) fn len(&self) -> usize {
        self.rows.len()
    }

    /// The first event that was left out, counted from 0.
    pub(crate) fn first_row(&self) -> usize {
        self.rows.first().copied().unwrap_or(0)
    }

    /// What is said of it.
    pub(crate) fn first_detail(&self) -> &str {
        self.details.first().map_or("", String::as_str)
    }

    /// How many were left out for each reason: `3 window, 1 peak_to_peak`.
    pub(crate) fn counts(&self) -> String {
        let mut reasons = self.reasons.clone();
        reasons.sort_unstable();
        reasons.dedup();
        let count = |reason: &&str| self.reasons.iter().filter(|other| other == &reason).count();
        reasons.iter().map(|reason| format!("{} {reason}", count(reason))).collect::<Vec<_>>().join(", ")
    }

    /// A row for each: `event` (its row), `time`, `label`, `reason`, `detail`.
    pub(crate) fn table(&self, events: &Events) -> Result<Table, DataError> {
        // In the order of the events, whatever was looked at first.
        let mut order: Vec<usize> = (0..self.rows.len()).collect();
        order.sort_by_key(|&place| self.rows.get(place));
        let of = |place: usize| self.rows.get(place).copied().unwrap_or(0);
        let (times, labels) = (events.times(), events.labels());
        Table::from_columns(vec![
            columns::from_integers("event", order.iter().map(|&place| i64::try_from(of(place)).unwrap_or(i64::MAX)).collect()),
            columns::from_numbers("time", order.iter().map(|&place| times.get(of(place)).copied().unwrap_or(f64::NAN)).collect()),
            columns::from_texts(
                "label",
                &order.iter().map(|&place| labels.get(of(place)).cloned().unwrap_or_default()).collect::<Vec<_>>(),
            ),
            columns::from_texts("reason", &order.iter().map(|&place| self.reasons.get(place).copied().unwrap_or("")).collect::<Vec<_>>()),
            columns::from_texts(
                "detail",
                &order.iter().map(|&place| self.details.get(place).map_or("", String::as_str)).collect::<Vec<_>>(),
            ),
        ])
    }

    /// A refusal when no trial is left.
    pub(crate) fn some_left(&self, kept: usize) -> Result<(), StageError> {
        if kept > 0 {
            return Ok(());
        }
        Err(StageError::refused_with_help(
            format!("none of {} trials is left: {}", self.len(), self.counts()),
            "use a shorter window, other limits, or other events",
        ))
    }
}

/// The columns of the kept events, and `trial`, which counts them from 0 where the events have no such column.
pub(crate) fn trial_columns(events: &Events, rows: &[usize]) -> Result<Table, DataError> {
    let table = events.table().select(rows)?;
    if table.column_names().iter().any(|name| name == "trial") {
        return Ok(table);
    }
    let (field, array) = columns::from_integers("trial", (0..rows.len()).map(|trial| i64::try_from(trial).unwrap_or(i64::MAX)).collect());
    table.with_column(field, array)
}

/// The columns of a table as properties of an axis: numbers as numbers, all else as text. `name` is the column that labels the axis already.
pub(crate) fn properties(table: &Table, name: &str) -> Vec<(String, Coordinates)> {
    let column = |column: String| {
        let values = match table.numbers(&column) {
            Ok(numbers) => Coordinates::Numbers(numbers),
            Err(_) => Coordinates::Labels(table.texts(&column).ok()?),
        };
        Some((column, values))
    };
    table.column_names().into_iter().filter(|column| column != name).filter_map(column).collect()
}
