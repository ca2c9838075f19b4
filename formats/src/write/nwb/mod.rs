//! A writer of NWB 2 files: recordings, spikes, events, tables and arrays, with the session's facts and where the values come from.
//!
//! | here | in the file |
//! |---|---|
//! | [`Spikes`](neuroflow_data::Spikes) | `/units` |
//! | [`Events`](neuroflow_data::Events) | `/intervals/NAME`, `TimeIntervals` |
//! | [`Recording`](neuroflow_data::Recording) | `ElectricalSeries` and `TimeSeries`, with a table of channels in `/processing/neuroflow` |
//! | [`Table`](neuroflow_data::Table) | `/processing/neuroflow/NAME`, `DynamicTable` |
//! | [`Tensor`](neuroflow_data::Tensor) over time | `/processing/neuroflow/NAME`, `TimeSeries` |
//! | other arrays | a `DynamicTable` whose rows are the first axis, and one for each further axis; of more than four axes `/scratch/NAME` |
//! | provenance | `/processing/neuroflow/provenance`, `/general/source_script`, `/general/was_generated_by` |
//!
//! Layout: NWB schema 2.11.0 and HDMF common schema 1.10.0. Nothing is taken from a clock or from chance, and each `object_id` is made of the
//! file's identifier and the object's path: equal calls give equal bytes.

mod arrays;
mod facts;
mod recording;
mod session;
mod table;
#[cfg(test)]
mod tests;

use super::hdf5::{Data, Element, Hdf5Writer, Storage};
use crate::lookup3::lookup3;
pub use facts::{Facts, GENERAL, SUBJECT, is_moment};
use neuroflow_data::formats::{Format, FormatError, Place};
pub use recording::Series;
use std::io::{Seek, Write};

/// The schema that files keep to.
pub const SCHEMA: &str = "2.11.0";

const CORE: &str = "core";
const HDMF: &str = "hdmf-common";
/// The processing module for what was computed here.
const MODULE: &str = "/processing/neuroflow";

/// An error at an object.
fn bad(path: &str, reason: impl Into<String>, help: impl Into<String>) -> FormatError {
    FormatError::new(Format::Nwb, Place::Object { path: path.into(), byte: None }, reason, help)
}

/// An error of the HDF5 file as one of the NWB file.
fn in_nwb(error: FormatError) -> FormatError {
    FormatError { format: Format::Nwb, ..error }
}

/// A name without what HDF5 and HDMF refuse in names.
pub(super) fn clean(name: &str) -> String {
    let clean: String = name.chars().map(|sign| if matches!(sign, '/' | ':') || sign.is_control() { '_' } else { sign }).collect();
    match clean.as_str() {
        "" => "unnamed".into(),
        "." | ".." => clean.replace('.', "_"),
        _ => clean,
    }
}

/// An NWB file that is being written.
#[derive(Debug)]
pub struct NwbWriter<W> {
    file: Hdf5Writer<W>,
    facts: Facts,
    electrodes: Vec<recording::Electrode>,
    packed: bool,
}

impl<W: Write + Seek> NwbWriter<W> {
    /// Begins a file with its facts. Values of more than a chunk are shuffled and deflated.
    ///
    /// # Errors
    /// As [`Facts::check`], and when the output can't be written.
    pub fn new(out: W, facts: &Facts) -> Result<NwbWriter<W>, FormatError> {
        facts.check()?;
        let file = Hdf5Writer::new(out).map_err(in_nwb)?;
        let mut writer = NwbWriter { file, facts: facts.clone(), electrodes: Vec::new(), packed: true };
        writer.top(facts)?;
        Ok(writer)
    }

    /// Whether values of more than a chunk are shuffled and deflated: they are, unless this is told otherwise.
    #[must_use]
    pub fn packed(mut self, packed: bool) -> NwbWriter<W> {
        self.packed = packed;
        self
    }

    /// The top of the file: what NWB wants in every file.
    fn top(&mut self, facts: &Facts) -> Result<(), FormatError> {
        self.typed("/", CORE, "NWBFile")?;
        self.text_attribute("/", "nwb_version", SCHEMA)?;
        for group in ["/acquisition", "/analysis", "/general", "/processing", "/stimulus/presentation", "/stimulus/templates"] {
            self.group(group)?;
        }
        self.text("/session_description", &facts.session_description)?;
        self.text("/identifier", &facts.identifier)?;
        self.text("/session_start_time", &facts.session_start_time)?;
        self.text("/timestamps_reference_time", facts.timestamps_reference_time.as_ref().unwrap_or(&facts.session_start_time))?;
        self.texts("/file_create_date", std::slice::from_ref(&facts.file_create_date))?;
        for (path, texts) in [
            ("/general/experimenter", &facts.experimenter),
            ("/general/keywords", &facts.keywords),
            ("/general/related_publications", &facts.related_publications),
        ] {
            if !texts.is_empty() {
                self.texts(path, texts)?;
            }
        }
        for (name, text) in &facts.general {
            self.text(&format!("/general/{name}"), text)?;
        }
        if !facts.subject.is_empty() {
            self.typed_group("/general/subject", CORE, "Subject")?;
            for (name, text) in &facts.subject {
                self.text(&format!("/general/subject/{name}"), text)?;
            }
            if facts.subject.contains_key("age") {
                self.text_attribute("/general/subject/age", "reference", "birth")?;
            }
        }
        if let Some((name, text)) = &facts.script {
            self.text("/general/source_script", text)?;
            self.text_attribute("/general/source_script", "file_name", name)?;
        }
        if !facts.generated_by.is_empty() {
            let flat = facts.generated_by.iter().flat_map(|(name, version)| [name.as_str(), version.as_str()]).collect();
            self.dataset("/general/was_generated_by", &Data::Texts(flat), &[facts.generated_by.len() as u64, 2])?;
        }
        if let Some((name, about)) = &facts.device {
            self.device(name, about)?;
        }
        Ok(())
    }

    /// A device, by its path.
    fn device(&mut self, name: &str, about: &str) -> Result<String, FormatError> {
        let path = format!("/general/devices/{}", clean(name));
        if !self.file.contains(&path) {
            self.typed_group(&path, CORE, "Device")?;
            self.text_attribute(&path, "description", about)?;
        }
        Ok(path)
    }

    /// Writes what waited and gives the output back.
    ///
    /// # Errors
    /// When the output can't be written.
    pub fn finish(mut self) -> Result<W, FormatError> {
        self.electrode_table()?;
        self.provenance()?;
        self.file.finish().map_err(in_nwb)
    }

    /// The table of where the values come from.
    fn provenance(&mut self) -> Result<(), FormatError> {
        let facts = std::mem::take(&mut self.facts.provenance);
        if facts.is_empty() {
            return Ok(());
        }
        let texts = |of: fn(&(String, String)) -> &str| -> arrow::array::ArrayRef {
            std::sync::Arc::new(arrow::array::StringArray::from_iter_values(facts.iter().map(of)))
        };
        let columns = vec![
            table::Column::new("fact", "what is said", texts(|(fact, _)| fact)),
            table::Column::new("value", "what it is", texts(|(_, value)| value)),
        ];
        let path = self.in_module("provenance")?;
        self.dynamic_table(&path, &table::DYNAMIC, "where the values in this file come from", facts.len(), columns, Vec::new())
    }

    /// A path in the processing module, which is made when it is not there.
    fn in_module(&mut self, name: &str) -> Result<String, FormatError> {
        if !self.file.contains(MODULE) {
            self.typed_group(MODULE, CORE, "ProcessingModule")?;
            self.text_attribute(MODULE, "description", "values that neuroflow read or computed")?;
        }
        Ok(format!("{MODULE}/{}", clean(name)))
    }

    fn storage(&self, shape: &[u64], element: Element) -> Storage {
        if self.packed { Storage::packed(shape, element.size()) } else { Storage::plain() }
    }

    fn group(&mut self, path: &str) -> Result<(), FormatError> {
        self.file.group(path).map_err(in_nwb)
    }

    fn attribute(&mut self, path: &str, name: &str, data: &Data<'_>, shape: &[u64]) -> Result<(), FormatError> {
        self.file.attribute(path, name, data, shape).map_err(in_nwb)
    }

    fn text_attribute(&mut self, path: &str, name: &str, text: &str) -> Result<(), FormatError> {
        self.attribute(path, name, &Data::Text(text), &[])
    }

    fn number_attribute(&mut self, path: &str, name: &str, number: f64) -> Result<(), FormatError> {
        self.attribute(path, name, &Data::F64(&[number]), &[])
    }

    fn text(&mut self, path: &str, text: &str) -> Result<(), FormatError> {
        self.dataset(path, &Data::Text(text), &[])
    }

    fn texts(&mut self, path: &str, texts: &[String]) -> Result<(), FormatError> {
        self.dataset(path, &Data::Texts(texts.iter().map(String::as_str).collect()), &[texts.len() as u64])
    }

    /// A group of a type. One that is there is an error: each thing has a place of its own.
    fn typed_group(&mut self, path: &str, namespace: &str, name: &str) -> Result<(), FormatError> {
        if self.file.contains(path) {
            return Err(bad(path, "it is there already", "choose another name"));
        }
        self.group(path)?;
        self.typed(path, namespace, name)
    }

    /// Gives an object its type and its id.
    fn typed(&mut self, path: &str, namespace: &str, name: &str) -> Result<(), FormatError> {
        let id = object_id(&self.facts.identifier, path);
        self.text_attribute(path, "namespace", namespace)?;
        self.text_attribute(path, "neurodata_type", name)?;
        self.text_attribute(path, "object_id", &id)
    }
}

/// A UUID (version 8, "custom") of a file's identifier and a path in it.
fn object_id(identifier: &str, path: &str) -> String {
    let named = format!("neuroflow\0{identifier}\0{path}");
    let [a, b, c, d] = [1, 2, 3, 4].map(|seed| lookup3(named.as_bytes(), seed));
    format!("{a:08x}-{:04x}-8{:03x}-{:04x}-{:04x}{d:08x}", b >> 16, b & 0x0fff, (c >> 16) & 0x3fff | 0x8000, c & 0xffff)
}
