//! Times with labels: stimuli, cues, annotations, markers.

use crate::artifact::{Artifact, Meta, Typed};
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use crate::table::Table;
use std::collections::BTreeSet;

/// A row for each event: `time` (seconds on the recording's clock), `duration` (seconds, empty when it has none or the file does not say), `label`, and
/// whatever further columns the file has.
#[derive(Debug, Clone, PartialEq)]
pub struct Events {
    table: Table,
    /// See [`Meta::sources`].
    pub sources: BTreeSet<String>,
}

impl Events {
    /// Events from their columns.
    ///
    /// # Errors
    /// When lengths differ.
    pub fn new(times: Vec<f64>, durations: Vec<Option<f64>>, labels: &[String]) -> Result<Events, DataError> {
        let columns = vec![
            columns::from_numbers("time", times),
            columns::from_optional_numbers("duration", durations),
            columns::from_texts("label", labels),
        ];
        Events::from_table(Table::from_columns(columns)?)
    }

    /// Events from a table that has the columns `time` and `label`.
    ///
    /// # Errors
    /// When one of them is missing, or a time is not finite.
    pub fn from_table(table: Table) -> Result<Events, DataError> {
        let times = table.numbers("time")?;
        table.texts("label")?;
        match times.iter().position(|time| !time.is_finite()) {
            Some(row) => Err(DataError::Invalid(format!("event {row} (counted from 0) has no finite time"))),
            None => Ok(Events { table, sources: BTreeSet::new() }),
        }
    }

    /// All columns.
    pub fn table(&self) -> &Table {
        &self.table
    }

    /// The number of events.
    pub fn len(&self) -> usize {
        self.table.rows()
    }

    /// Whether there is none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The time of each event, in seconds.
    pub fn times(&self) -> Vec<f64> {
        self.table.numbers("time").unwrap_or_default()
    }

    /// The label of each event.
    pub fn labels(&self) -> Vec<String> {
        self.table.texts("label").unwrap_or_default()
    }
}

impl Typed for Events {
    const KIND: Kind = Kind::Events;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        let meta = Meta { sources: self.sources, ..Meta::default() };
        Ok(Artifact::from_batch(Kind::Events, self.table.batch().clone(), meta))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Events, DataError> {
        let mut events = Events::from_table(Table::from_batch(artifact.batch_of(Kind::Events)?.clone()))?;
        events.sources.clone_from(&artifact.meta().sources);
        Ok(events)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn events_come_back_and_need_their_times() {
        let events = Events::new(vec![0.5, 2.0], vec![None, Some(1.0)], &["T0".into(), "T1".into()]).unwrap();
        assert_eq!(Events::from_artifact(&events.clone().into_artifact().unwrap()).unwrap(), events);
        assert_eq!(
            Events::new(vec![f64::NAN], vec![None], &["a".into()]).unwrap_err().to_string(),
            "event 0 (counted from 0) has no finite time"
        );
    }
}
