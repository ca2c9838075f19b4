//! The document of formats whose files are one recording, or its trials: signals, lists of events, and a table of channels.

use crate::document::{Contents, Document, Rows, Signals, What};
use crate::series::{Epochs, Series, held};
use crate::triggers::{TRIGGERS, Triggers, meant};
use arrow::array::{Array, BooleanArray};
use neuroflow_data::formats::FormatError;
use neuroflow_data::{Events, Table, Tensor};
use std::ops::Range;
use std::sync::Arc;

/// Where the continuous signals stand, and the table of channels.
pub(crate) const SIGNALS: &str = "signals";
pub(crate) const CHANNELS: &str = "channels";

/// A recording, opened.
#[derive(Debug)]
pub struct RecordedDocument {
    pub(crate) contents: Contents,
    /// The continuous signals, unless there are only epochs.
    pub(crate) series: Option<Arc<Series>>,
    pub(crate) epochs: Option<Epochs>,
    /// Events by their paths.
    pub(crate) events: Vec<(&'static str, Events)>,
    /// Events that are found in the signals when they are asked for.
    pub(crate) triggers: Option<Triggers>,
    pub(crate) channels: Table,
}

impl RecordedDocument {
    fn events_at(&self, path: &str) -> Option<&Events> {
        self.events.iter().find(|(own, _)| *own == path).map(|(_, events)| events)
    }
}

impl Document for RecordedDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn signals(&self, path: &str) -> Result<Box<dyn Signals + '_>, FormatError> {
        self.contents.path_of(path, "recording", |what| matches!(what, What::Recording { .. }))?;
        self.series.as_deref().map(|series| Box::new(series) as Box<dyn Signals>).ok_or_else(|| self.contents.none("recording", path))
    }

    fn events(&self, path: &str) -> Result<Events, FormatError> {
        let path = meant(&self.contents, path)?;
        if let (TRIGGERS, Some(triggers)) = (path, &self.triggers) {
            return triggers.events().cloned();
        }
        let own = self.contents.path_of(path, "events", |what| matches!(what, What::Events { .. }))?;
        self.events_at(own).cloned().ok_or_else(|| self.contents.none("events", path))
    }

    fn bad_channels(&self) -> Result<Vec<String>, FormatError> {
        let (Ok(names), Some(bad)) = (self.channels.texts("channel"), self.channels.batch().column_by_name("bad")) else {
            return Ok(Vec::new());
        };
        let bad = bad.as_any().downcast_ref::<BooleanArray>();
        let is_bad = |row: usize| bad.is_some_and(|bad| row < bad.len() && bad.is_valid(row) && bad.value(row));
        Ok(names.into_iter().enumerate().filter(|(row, _)| is_bad(*row)).map(|(_, name)| name).collect())
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let path = if path.is_empty() && self.series.is_some() { SIGNALS } else { path };
        let format = self.contents.format;
        if let (TRIGGERS, Some(triggers)) = (path, &self.triggers) {
            return Ok(held(format, triggers.events()?.table()));
        }
        match self.events_at(path) {
            Some(events) => Ok(held(format, events.table())),
            None if path == CHANNELS && self.channels.rows() > 0 => Ok(held(format, &self.channels)),
            None => self.series.as_ref().and_then(|series| series.rows(SIGNALS, path)).ok_or_else(|| self.contents.none("table", path)),
        }
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = self.contents.path_of(path, "array", |what| matches!(what, What::Array { .. }))?;
        self.epochs.as_ref().ok_or_else(|| self.contents.none("array", path))?.tensor(self.contents.format, path, part)
    }
}
