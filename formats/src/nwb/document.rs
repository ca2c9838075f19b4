//! An NWB file as a document.

use super::contents::{self, Part};
use super::series::{Series, SeriesRows, SeriesSignals, as_table};
use super::table::TableRows;
use super::types::Types;
use super::{events, of_nwb, spikes};
use crate::document::{Contents, Document, Rows, Signals, What};
use crate::hdf5::document as hdf5;
use crate::hdf5::table::DatasetRows;
use crate::hdf5::tree::{Object, Sort, Tree};
use neuroflow_data::formats::{Format, FormatError, Place};
use neuroflow_data::{Events, Spikes, Tensor};
use std::collections::HashMap;
use std::ops::Range;
use std::sync::Arc;

/// An opened NWB file.
#[derive(Debug)]
pub struct NwbDocument {
    tree: Arc<Tree>,
    types: Types,
    parts: HashMap<u64, Part>,
    contents: Contents,
}

impl NwbDocument {
    pub(super) fn new(tree: Tree) -> Result<NwbDocument, FormatError> {
        let tree = Arc::new(tree);
        let version = tree.root().and_then(|root| tree.text(root, "nwb_version"));
        let refuse = |reason: String, help: &str| FormatError::new(Format::Nwb, Place::File, reason, help);
        let Some(version) = version else {
            let old = tree.find("nwb_version").and_then(|own| tree.single_text(own));
            return Err(match old {
                Some(old) => refuse(format!("this is NWB {old}, of which only version 2 is read"), "convert it with PyNWB or MatNWB"),
                None => refuse("the root group has no attribute `nwb_version`".into(), "read it as plain HDF5"),
            });
        };
        if version.starts_with("1.") || version.starts_with("NWB-1") {
            return Err(refuse(format!("this is NWB {version}, of which only version 2 is read"), "convert it with PyNWB or MatNWB"));
        }
        let mut contents = contents::empty(version);
        contents.notes.clone_from(&tree.notes);
        contents.damage.extend(tree.file.cut_short.clone());
        let types = Types::read(&tree, &mut contents.notes);
        let parts = contents::read(&tree, &types, &mut contents);
        Ok(NwbDocument { tree, types, parts, contents })
    }

    /// The unit of a series; empty for anything else, and where the file states none.
    pub fn unit(&self, path: &str) -> String {
        match self.find(path) {
            Some((_, Some(part))) => part.series().map(|series| series.unit.clone()).unwrap_or_default(),
            _ => String::new(),
        }
    }

    /// The object that a path names, and what it is in the schema.
    fn find(&self, path: &str) -> Option<(&Object, Option<&Part>)> {
        let object = self.tree.find(path.trim_matches('/'))?;
        Some((object, self.parts.get(&object.address)))
    }

    /// The series whose `data` a dataset is, with its group.
    fn series_of(&self, data: &Object) -> Option<(&Series, &Object)> {
        let (group, name) = data.path.rsplit_once('/')?;
        let (object, part) = self.find(group)?;
        Some((part?.series().filter(|series| name == "data" && series.numeric)?, object))
    }

    /// Values of a series in its unit.
    fn values(&self, series: &Series, group: &Object, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let dataset = series.dataset(&self.tree)?;
        let tensor = hdf5::tensor(&self.tree, group, dataset, part, &contents::axes(series), &series.unit, None);
        series.scaled(&self.tree, group, part, tensor.map_err(|error| of_nwb(error, &group.path))?)
    }

    /// The session's name, for messages.
    fn session(&self) -> String {
        let fact = |name: &str| self.contents.facts.get(name).cloned();
        fact("session_id").or_else(|| fact("identifier")).unwrap_or_default()
    }
}

impl Document for NwbDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn signals(&self, path: &str) -> Result<Box<dyn Signals + '_>, FormatError> {
        let path = self.contents.path_of(path, "recording", |what| matches!(what, What::Recording { .. }))?;
        let Some((_, Some(Part::Recording(series, _)))) = self.find(path) else { return Err(self.contents.none("recording", path)) };
        let clock = series.clock(&self.tree)?.ok_or_else(|| {
            let place = Place::Object { path: format!("/{path}"), byte: None };
            FormatError::new(Format::Nwb, place, "its timestamps are not regular, so it is no recording at a rate", as_table(path))
        })?;
        let channels = series.channels(&self.tree, &self.types, &clock)?;
        Ok(Box::new(SeriesSignals { tree: &self.tree, series: series.clone(), channels }))
    }

    fn events(&self, path: &str) -> Result<Events, FormatError> {
        let path = self.contents.path_of(path, "events", |what| matches!(what, What::Events { .. }))?;
        match self.find(path) {
            Some((_, Some(Part::Intervals(table)))) => events::intervals(&self.tree, table),
            Some((_, Some(Part::Annotations(series)))) => events::annotations(&self.tree, series),
            Some((_, Some(Part::Marks(series, _)))) => events::intervals_of_marks(&self.tree, series),
            _ => Err(self.contents.none("events", path)),
        }
    }

    fn spikes(&self, path: &str) -> Result<Spikes, FormatError> {
        let path = self.contents.path_of(path, "spikes", |what| matches!(what, What::Spikes { .. }))?;
        match self.find(path) {
            Some((_, Some(Part::Units(table, _)))) => spikes::spikes(&self.tree, table, &self.session()),
            _ => Err(self.contents.none("spikes", path)),
        }
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let path = match path.trim_matches('/') {
            "" => self.contents.path_of(path, "table", |what| matches!(what, What::Table { .. }))?,
            own if self.find(own).is_some() => own,
            own => self.contents.path_of(own, "table", What::has_rows)?,
        };
        match self.find(path) {
            Some((_, Some(Part::Recording(series, _) | Part::Series(series) | Part::Annotations(series) | Part::Marks(series, _)))) => {
                Ok(Arc::new(SeriesRows::new(&self.tree, &self.types, series.clone())?))
            }
            Some((_, Some(Part::Intervals(table) | Part::Units(table, _) | Part::Table(table)))) => {
                Ok(Arc::new(TableRows::new(&self.tree, table.clone())))
            }
            Some((object, None)) if matches!(object.sort, Sort::Dataset(_)) => {
                if let Some((series, _)) = self.series_of(object).filter(|(series, group)| series.has_gains(&self.tree, group)) {
                    return Err(super::bad(&object.path, "each of its channels has a gain of its own", &as_table(&series.path)));
                }
                Ok(Arc::new(DatasetRows::new(&self.tree, object).map_err(|error| of_nwb(error, &object.path))?))
            }
            _ => Err(self.contents.none("table", path)),
        }
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = if path.trim_matches('/').is_empty() {
            self.contents.path_of(path, "array", |what| matches!(what, What::Array { .. }))?
        } else {
            path
        };
        match self.find(path) {
            Some((object, Some(Part::Recording(series, _) | Part::Series(series) | Part::Marks(series, _)))) => {
                self.values(series, object, part)
            }
            Some((object, None)) => match &object.sort {
                Sort::Dataset(dataset) => match self.series_of(object) {
                    Some((series, group)) => self.values(series, group, part),
                    None => {
                        let (unit, packing) = (hdf5::unit(&self.tree, object), hdf5::packing(&self.tree, object));
                        let tensor = hdf5::tensor(&self.tree, object, dataset, part, &[], &unit, packing.as_ref());
                        tensor.map_err(|error| of_nwb(error, &object.path))
                    }
                },
                Sort::Unread(error) => Err(error.clone()),
                _ => Err(self.contents.none("array", path)),
            },
            _ => Err(self.contents.none("array", path)),
        }
    }
}
