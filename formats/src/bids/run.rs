//! One recording of a tree, with what the tree says of it: events, channels and electrodes from the tables that apply, facts from its sidecar.

use super::{BidsFile, BidsTree, file_of};
use crate::document::{Contents, Document, Item, Rows, Signals, What};
use crate::open::{Opened, Options, is_beside, open_as, open_folder_as};
use crate::reading::columns_of;
use neuroflow_data::formats::{Format, FormatError};
use neuroflow_data::{Channel, Events, Graph, Samples, Spikes, Tensor};
use serde_json::Value;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

const EVENTS: &str = "events";
const CHANNELS: &str = "channels";
const ELECTRODES: &str = "electrodes";

/// Extensions of files that hold recordings or images.
const DATA: &[&str] = &[".edf", ".bdf", ".vhdr", ".set", ".fif", ".nwb", ".nii", ".nii.gz", ".gii"];

/// Whether a file holds a recording or an image, and is not about one.
pub fn is_data(file: &BidsFile) -> bool {
    file.name.is_bids() && DATA.contains(&file.name.extension.as_str())
}

/// A recording of a tree, opened.
#[derive(Debug)]
pub struct BidsRun {
    tree: BidsTree,
    path: String,
    inner: Opened,
    contents: Contents,
    /// When the first sample is, on the recording's clock.
    start: f64,
}

/// Opens the only recording of a tree; the tree itself when it has none or several.
///
/// # Errors
/// When the tree can't be opened, or the recording in it is damaged.
pub fn open_run(tree: BidsTree, options: &Options) -> Result<Opened, FormatError> {
    let data: Vec<String> =
        tree.all().iter().filter(|file| is_data(file) && file.dataset.is_empty()).map(|file| file.path.clone()).collect();
    let [path] = data.as_slice() else { return Ok(Arc::new(tree)) };
    let inner = match is_beside(None, path) {
        true => open_folder_as(None, Arc::clone(&tree.folder), path, options),
        false => open_as(None, file_of(path), tree.source(path)?, options),
    }?;
    let mut contents = inner.contents().clone();
    contents.version = format!("{} in BIDS {}", contents.format, tree.contents().version).trim_end().to_owned();
    contents.format = Format::Bids;
    let file = tree.file(path)?;
    contents.facts.insert("file".into(), path.clone());
    contents.facts.extend(file.name.entities.iter().map(|(entity, value)| (format!("entity {entity}"), value.clone())));
    let sidecar = tree.sidecar(path)?;
    for (field, value) in &sidecar.values {
        let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
        contents.facts.insert(field.clone(), text);
    }
    // A table of events that can't be used is none that is not there: the file's own events are no stand-in for it.
    let count = match (tree.events(path), tree.associated(path)?.into_iter().find(|other| other.what == EVENTS)) {
        (Ok(events), _) => Some(events.len() as u64),
        (Err(error), Some(own)) => {
            // The recording itself is whole.
            contents.notes.push(error.to_string());
            Some(tree.rows(&own.path).map_or(0, |rows| rows.count()))
        }
        (Err(_), None) => None,
    };
    if let Some(count) = count {
        contents.items.retain(|item| item.path != EVENTS);
        contents.items.push(Item { path: EVENTS.into(), what: What::Events { count }, about: "from events.tsv".to_owned() });
    }
    for (name, table) in [(CHANNELS, tree.channels(path)), (ELECTRODES, tree.electrodes(path, None))] {
        if let Ok(table) = table {
            let schema = table.batch().schema();
            let columns = columns_of(&schema);
            contents.items.retain(|item| item.path != name);
            let what = What::Table { rows: Some(table.rows() as u64), columns };
            contents.items.push(Item { path: name.into(), what, about: format!("from {name}.tsv") });
        }
    }
    let begins = contents.items.iter().find_map(|item| match item.what {
        What::Recording { span, .. } => Some((span.0, has_pauses(inner.as_ref(), &item.path))),
        _ => None,
    });
    let (start, has_pauses) = begins.unwrap_or_default();
    if has_pauses && count.is_some() {
        let note = "the recording has pauses: onsets in events.tsv count from its first sample on in real time, pauses included";
        contents.notes.push(note.to_owned());
    }
    Ok(Arc::new(BidsRun { path: path.clone(), inner, contents, start, tree }))
}

fn has_pauses(document: &dyn Document, path: &str) -> bool {
    document.signals(path).is_ok_and(|signals| signals.channels().iter().any(|channel| channel.stretches.len() > 1))
}

impl BidsRun {
    fn has(&self, path: &str) -> bool {
        self.contents.item(path).is_some_and(|item| item.about == format!("from {path}.tsv"))
    }
}

impl Document for BidsRun {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn signals(&self, path: &str) -> Result<Box<dyn Signals + '_>, FormatError> {
        let inner = self.inner.signals(path)?;
        let mut channels = inner.channels().to_vec();
        if self.has(CHANNELS) {
            self.tree.describe_channels(&self.path, &mut channels)?;
        }
        Ok(Box::new(Described { inner, channels }))
    }

    /// The table of events that applies counts for the recording; what the file has of its own is asked for by its path.
    fn events(&self, path: &str) -> Result<Events, FormatError> {
        match path.trim_matches('/') {
            "" | EVENTS if self.has(EVENTS) => self.tree.events_from(&self.path, self.start),
            path => self.inner.events(path),
        }
    }

    fn bad_channels(&self) -> Result<Vec<String>, FormatError> {
        if !self.has(CHANNELS) {
            return self.inner.bad_channels();
        }
        let mut channels = self.inner.signals("")?.channels().to_vec();
        self.tree.describe_channels(&self.path, &mut channels)
    }

    fn spikes(&self, path: &str) -> Result<Spikes, FormatError> {
        self.inner.spikes(path)
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        let own = |suffix: &str| -> Result<Arc<dyn Rows>, FormatError> {
            let wanted = self.tree.associated(&self.path)?.into_iter().find(|other| other.what == suffix);
            let path = wanted.map(|other| other.path).ok_or_else(|| self.contents.none("table", suffix))?;
            self.tree.rows(&path)
        };
        match path.trim_matches('/') {
            path @ (EVENTS | CHANNELS | ELECTRODES) if self.has(path) => own(path),
            path => self.inner.rows(path),
        }
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        self.inner.tensor(path, part)
    }

    fn attributes(&self, path: &str, part: Option<&[Range<u64>]>) -> BTreeMap<String, Value> {
        self.inner.attributes(path, part)
    }

    fn graph(&self, weight: &str) -> Result<Graph, FormatError> {
        self.inner.graph(weight)
    }
}

/// A recording whose channels are described elsewhere.
struct Described<'a> {
    inner: Box<dyn Signals + 'a>,
    channels: Vec<Channel>,
}

impl Signals for Described<'_> {
    fn channels(&self) -> &[Channel] {
        &self.channels
    }

    fn samples(&self, channel: usize) -> u64 {
        self.inner.samples(channel)
    }

    fn read(&self, channel: usize, samples: Range<u64>, into: &mut Vec<f64>) -> Result<(), FormatError> {
        self.inner.read(channel, samples, into)
    }

    fn stored(&self, channel: usize) -> Result<Samples, FormatError> {
        self.inner.stored(channel)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Folder, Limits};
    use arrow::buffer::Buffer;
    use neuroflow_data::FileTree;

    const HEADER: &str = "Brain Vision Data Exchange Header File Version 1.0\n[Common Infos]\nDataFile=sub-01_task-rest_eeg.eeg\n\
        MarkerFile=sub-01_task-rest_eeg.vmrk\nDataFormat=BINARY\nDataOrientation=MULTIPLEXED\nNumberOfChannels=2\nSamplingInterval=10000\n\
        [Binary Infos]\nBinaryFormat=INT_16\n[Channel Infos]\nCh1=C3,,0.5,µV\nCh2=E1,,0.5,µV\n";

    const EVENTS_TSV: &[u8] = b"onset\tduration\ttrial_type\n0.01\t0\tgo\n0.02\tn/a\tstop\n";

    fn tree(events: Option<&[u8]>) -> FileTree {
        let mut tree = FileTree::new();
        let mut add = |path: &str, text: &[u8]| tree.insert(path, Buffer::from_vec(text.to_vec())).unwrap();
        add("dataset_description.json", br#"{"Name": "a set", "BIDSVersion": "1.9.0"}"#);
        add("task-rest_eeg.json", br#"{"TaskName": "rest", "PowerLineFrequency": 50}"#);
        add("sub-01/eeg/sub-01_task-rest_eeg.vhdr", HEADER.as_bytes());
        add(
            "sub-01/eeg/sub-01_task-rest_eeg.vmrk",
            b"Brain Vision Data Exchange Marker File, Version 1.0\n[Marker Infos]\nMk1=Stimulus,S  1,3,1,0\n",
        );
        add("sub-01/eeg/sub-01_task-rest_eeg.eeg", &[1, 0, 2, 0, 3, 0, 4, 0]);
        add("sub-01/eeg/sub-01_task-rest_channels.tsv", b"name\ttype\tunits\tstatus\nC3\tEEG\tuV\tgood\nE1\tVEOG\tuV\tbad\n");
        if let Some(events) = events {
            add("sub-01/eeg/sub-01_task-rest_events.tsv", events);
        }
        tree
    }

    fn run(events: bool) -> Opened {
        with_events(events.then_some(EVENTS_TSV))
    }

    fn with_events(events: Option<&[u8]>) -> Opened {
        let folder: Arc<dyn Folder> = Arc::new(tree(events));
        open_run(super::super::open(folder, &Limits::default()).unwrap(), &Options::default()).unwrap()
    }

    #[test]
    fn a_table_of_events_that_cant_be_used_is_told_and_its_rows_are_left() {
        let run = with_events(Some(b"onset\tduration\ttrial_type\n0.01\t0\tgo\nn/a\t0\tstop\n"));
        let told = run.contents().notes.join("\n");
        assert!(told.contains("_events.tsv") && told.contains("line 3: the onset is `n/a`"), "{told}");
        assert!(run.events("").unwrap_err().to_string().contains("line 3"), "the markers of the file are no stand-in");
        assert_eq!(run.rows("events").unwrap().count(), 2);
    }

    #[test]
    fn a_recording_knows_what_its_tree_says() {
        let run = run(true);
        assert_eq!(run.contents().facts["PowerLineFrequency"], "50");
        assert_eq!(run.contents().facts["entity sub"], "01");
        assert_eq!(run.events("").unwrap().labels(), ["go", "stop"]);
        let signals = run.signals("").unwrap();
        assert_eq!(signals.channels().iter().map(|channel| channel.role.as_str()).collect::<Vec<_>>(), ["eeg", "veog"]);
        let mut values = Vec::new();
        signals.read(1, 0..2, &mut values).unwrap();
        assert_eq!(values, [1.0, 2.0]);
        assert_eq!(run.rows(CHANNELS).unwrap().count(), 2);
    }

    #[test]
    fn without_a_table_of_events_the_files_own_count() {
        assert_eq!(run(false).events("").unwrap().len(), 1);
    }
}
