//! A tree as a document: the table of its files, its tables, its events and its continuous recordings.

use super::{BidsFile, BidsTree, Dataset, file_of};
use crate::document::{Contents, Document, Item, Rows, Signals, What};
use crate::reading::columns_of;
use arrow::array::RecordBatch;
use arrow::datatypes::SchemaRef;
use neuroflow_data::Events;
use neuroflow_data::formats::{Format, FormatError};
use std::collections::{BTreeMap, BTreeSet};
use std::ops::Range;
use std::sync::Arc;

/// The path of the table of files.
const FILES: &str = "files";
/// How many values of an entity are listed in a fact.
const SHOWN: usize = 20;

/// What is in a tree, from its names and descriptions.
pub(super) fn contents(tree: &BidsTree) -> Contents {
    let top = tree.datasets.first();
    let said = |key: &str| top.and_then(|top| top.description.get(key)).and_then(|value| value.as_str()).unwrap_or("").to_owned();
    let mut contents = Contents::new(Format::Bids, said("BIDSVersion"));
    for (fact, key) in [("name", "Name"), ("license", "License"), ("doi", "DatasetDOI")] {
        if !said(key).trim().is_empty() {
            contents.facts.insert(fact.into(), said(key));
        }
    }
    contents.facts.insert("dataset_type".into(), top.map_or("raw", Dataset::kind).to_owned());
    let own: Vec<&BidsFile> = tree.files.iter().filter(|file| file.dataset.is_empty() && file.name.is_bids()).collect();
    for (fact, key) in [("subjects", "sub"), ("sessions", "ses"), ("tasks", "task")] {
        let values: BTreeSet<&str> = own.iter().filter_map(|file| file.name.get(key)).collect();
        if !values.is_empty() {
            let listed = values.iter().take(SHOWN).copied().collect::<Vec<_>>().join(", ");
            let more = if values.len() > SHOWN { format!(", … ({})", values.len()) } else { String::new() };
            contents.facts.insert(fact.into(), format!("{listed}{more}"));
        }
    }
    let mut kinds: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    for file in own.iter().filter(|file| !file.datatype.is_empty()) {
        *kinds.entry((&file.datatype, &file.name.suffix)).or_default() += 1;
    }
    let listed =
        kinds.iter().take(SHOWN).map(|((datatype, suffix), count)| format!("{count} {datatype}/{suffix}")).collect::<Vec<_>>().join(", ");
    if !listed.is_empty() {
        contents.facts.insert("holds".into(), listed);
    }
    let below: Vec<&str> = tree.datasets.iter().filter(|dataset| !dataset.path.is_empty()).map(|dataset| dataset.path.as_str()).collect();
    if !below.is_empty() {
        contents.facts.insert("datasets_below".into(), below.join(", "));
    }
    let columns = |batch: &RecordBatch| columns_of(&batch.schema());
    match tree.files() {
        Ok(files) => contents.items.push(Item {
            path: FILES.into(),
            what: What::Table { rows: Some(files.num_rows() as u64), columns: columns(&files) },
            about: "a row for each file: what its name says, and the participant's".into(),
        }),
        Err(error) => contents.notes.push(error.to_string()),
    }
    for file in &tree.files {
        let what = match (file.path.as_str(), file.name.extension.as_str()) {
            ("participants.tsv", _) => match &tree.participants {
                Ok(Some(batch)) => What::Table { rows: Some(batch.num_rows() as u64), columns: columns(batch) },
                _ => What::Table { rows: None, columns: Vec::new() },
            },
            (_, ".tsv") => What::Table { rows: None, columns: Vec::new() },
            _ if is_continuous(file) => What::Table { rows: None, columns: Vec::new() },
            _ => continue,
        };
        contents.items.push(Item { path: file.path.clone(), what, about: about(file).into() });
    }
    contents.notes.extend(tree.faults.iter().map(ToString::to_string));
    if tree.by_path.contains_key("dataset_description.json") {
        return contents;
    }
    contents.notes.push("there is no dataset_description.json at the top, so this may not be a BIDS dataset".into());
    contents
}

fn about(file: &BidsFile) -> &'static str {
    match file.name.suffix.as_str() {
        "events" => "events of the recordings that it applies to",
        "channels" => "channels of the recordings that it applies to",
        "electrodes" => "positions of electrodes",
        "scans" => "the recordings of a subject or session",
        "sessions" => "the sessions of a subject",
        "participants" => "the participants",
        "physio" => "a continuous recording of the body",
        "stim" => "a continuous recording of stimuli",
        "beh" => "behaviour",
        _ => "",
    }
}

/// Whether a file is a table without a line of names.
fn is_continuous(file: &BidsFile) -> bool {
    file.name.extension == ".tsv.gz" && matches!(file.name.suffix.as_str(), "physio" | "stim")
}

/// A table that is held.
#[derive(Debug)]
struct Held {
    batch: RecordBatch,
}

impl Rows for Held {
    fn schema(&self) -> SchemaRef {
        self.batch.schema()
    }

    fn count(&self) -> u64 {
        self.batch.num_rows() as u64
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let count = self.count();
        let start = rows.start.min(count);
        let length = rows.end.min(count).saturating_sub(start);
        let part =
            self.batch.project(columns).map_err(|error| super::fault(FILES, error.to_string(), "ask for columns that the table has"))?;
        Ok(part.slice(usize::try_from(start).unwrap_or(0), usize::try_from(length).unwrap_or(0)))
    }
}

impl Document for BidsTree {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn signals(&self, path: &str) -> Result<Box<dyn Signals + '_>, FormatError> {
        match self.file(path) {
            Ok(file) if is_continuous(file) => Ok(Box::new(self.continuous(path)?)),
            Ok(_) => {
                let reason = format!("`{}` is not read as a part of the tree", file_of(path).escape_debug());
                Err(super::fault(path, reason, "open the file itself with the reader of its format"))
            }
            Err(error) => Err(error),
        }
    }

    fn events(&self, path: &str) -> Result<Events, FormatError> {
        BidsTree::events(self, path)
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        if path.is_empty() || path == FILES {
            return Ok(Arc::new(Held { batch: self.files()? }));
        }
        let file = self.file(path)?;
        if is_continuous(file) {
            return Ok(Arc::new(self.continuous(path)?));
        }
        if path == "participants.tsv"
            && let Some(batch) = self.participants.clone()?
        {
            return Ok(Arc::new(Held { batch }));
        }
        Ok(Arc::new(Held { batch: self.table(path)? }))
    }
}
