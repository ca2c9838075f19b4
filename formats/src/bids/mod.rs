//! BIDS trees: which files a dataset has, what their names say, and the metadata that belongs to each.
//!
//! [`open`] takes a [`Folder`] and looks at names only, but for `dataset_description.json`, `participants.tsv` and `.bidsignore`.
//! [`BidsTree::files`] is a table with a row for each file, [`BidsTree::select`] finds files by their entities, [`BidsTree::sidecar`] merges the
//! JSON files that apply to one, [`BidsTree::events`], [`BidsTree::channels`], [`BidsTree::electrodes`], [`BidsTree::coordsystem`] and
//! [`BidsTree::associated`] give what stands beside it, and [`BidsTree::validate`] says which rules of the specification the tree breaks.
//!
//! A tree may hold several datasets: the one at the top, and derivatives or sources below it, each with a `dataset_description.json` of its own.
//! Nothing is inherited from one by another.
//!
//! The rules are those of BIDS 1.10 (<https://bids-specification.readthedocs.io>).

mod associated;
mod document;
mod ignore;
mod inherit;
mod name;
mod physio;
mod rules;
mod run;
mod select;
mod tables;
mod tsv;
mod validate;

pub use associated::Associated;
pub use inherit::Sidecar;
pub use name::{DATATYPES, ENTITIES, Entity, Name, entity};
pub use run::{BidsRun, is_data, open_run};
pub use validate::{Finding, Severity};

use crate::document::Contents;
use crate::source::{Folder, Source};
use ignore::Ignore;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use serde_json::{Map, Value};
use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The most files of a tree.
const MOST_FILES: usize = 1 << 21;
/// The most metadata files of one suffix that are looked at in one folder, for each data file. No dataset comes near.
const MOST_BESIDE: usize = 4096;
/// The most bytes of a JSON file. Its values take many times its length in memory.
const MOST_JSON: u64 = 1 << 20;
/// The most columns of a table.
const MOST_COLUMNS: usize = 1 << 14;
/// Ends of folders that hold one recording or image in many files.
const FOLDER_FILES: &[&str] = &[".ds", ".mefd", ".zarr"];

/// A file of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BidsFile {
    /// Its path below the tree's folder; a folder that counts as one file ends in `/`.
    pub path: String,
    /// The folder of the dataset that it belongs to; empty for the one at the top.
    pub dataset: String,
    /// The datatype, when it stands in a folder of that name: `eeg`, `func`; empty otherwise.
    pub datatype: String,
    /// What its name says.
    pub name: Name,
}

/// A dataset of a tree.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// Its folder; empty for the one at the top.
    pub path: String,
    /// Its `dataset_description.json`; empty when there is none.
    pub description: Map<String, Value>,
}

impl Dataset {
    /// `raw`, `derivative` or `study`; `raw` when the description does not say (section "Dataset description").
    pub fn kind(&self) -> &str {
        self.description.get("DatasetType").and_then(Value::as_str).unwrap_or("raw")
    }

    /// Where a derived dataset comes from: the `URL`, `DOI` or `Version` of each of its `SourceDatasets`.
    pub fn sources(&self) -> Vec<String> {
        let listed = self.description.get("SourceDatasets").and_then(Value::as_array);
        let told = |source: &Value| ["URL", "DOI", "Version"].iter().find_map(|key| source.get(key)?.as_str().map(str::to_owned));
        listed.into_iter().flatten().filter_map(told).collect()
    }
}

/// A tree, opened.
#[derive(Debug)]
pub struct BidsTree {
    folder: Arc<dyn Folder>,
    limits: Limits,
    files: Vec<BidsFile>,
    /// Positions in `files`, by path.
    by_path: BTreeMap<String, usize>,
    /// Positions in `files`, by folder.
    by_folder: BTreeMap<String, Vec<usize>>,
    /// Positions of metadata in `files`, by folder, suffix and extension.
    metadata: BTreeMap<(String, String, String), Vec<usize>>,
    datasets: Vec<Dataset>,
    /// The participants of the dataset at the top, or why they can't be read.
    participants: Result<Option<arrow::array::RecordBatch>, FormatError>,
    ignore: Ignore,
    /// What was found wrong while opening.
    faults: Vec<FormatError>,
    contents: Contents,
}

/// Opens a tree: lists it, takes names apart, and reads the descriptions of its datasets and the participants.
///
/// A damaged description or table does not keep the tree from opening: it is in the notes of the contents, in [`BidsTree::validate`], and an error
/// when it is asked for.
///
/// # Errors
/// When the folder can't be listed, has no file, or more than two million.
pub fn open(folder: Arc<dyn Folder>, limits: &Limits) -> Result<BidsTree, FormatError> {
    let paths = folder.paths().map_err(|error| {
        FormatError::new(Format::Bids, Place::File, format!("the folder can't be listed: {error}"), "see that it is there and may be read")
    })?;
    if paths.is_empty() {
        return Err(FormatError::new(
            Format::Bids,
            Place::File,
            "the folder has no file",
            "name the folder that holds `dataset_description.json`",
        ));
    }
    if paths.len() > MOST_FILES {
        let reason = format!("the folder has {} files, at most {MOST_FILES} are looked at", paths.len());
        return Err(FormatError::new(Format::Bids, Place::File, reason, "name the folder of one dataset"));
    }
    let roots = roots(&paths);
    let mut files: Vec<BidsFile> = Vec::new();
    let mut taken = BTreeSet::new();
    for path in &paths {
        let path = whole_path(path);
        if !taken.insert(path.clone()) {
            continue;
        }
        let dataset = root_of(&roots, &path).to_owned();
        let parent = file_of(folder_of(&path));
        let datatype = if DATATYPES.contains(&parent) { parent.to_owned() } else { String::new() };
        files.push(BidsFile { name: Name::of(file_of(&path)), dataset, datatype, path });
    }
    let by_path = files.iter().enumerate().map(|(position, file)| (file.path.clone(), position)).collect();
    let mut by_folder: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    for (position, file) in files.iter().enumerate() {
        by_folder.entry(folder_of(&file.path).to_owned()).or_default().push(position);
    }
    let mut metadata: BTreeMap<(String, String, String), Vec<usize>> = BTreeMap::new();
    for (position, file) in files.iter().enumerate().filter(|(_, file)| inherit::is_metadata(&file.name)) {
        let key = (folder_of(&file.path).to_owned(), file.name.suffix.clone(), file.name.extension.clone());
        let beside = metadata.entry(key).or_default();
        if beside.len() < MOST_BESIDE {
            beside.push(position);
        }
    }
    let mut tree = BidsTree {
        folder,
        limits: limits.clone(),
        files,
        by_path,
        by_folder,
        metadata,
        datasets: Vec::new(),
        participants: Ok(None),
        ignore: Ignore::default(),
        faults: Vec::new(),
        contents: Contents::new(Format::Bids, ""),
    };
    tree.describe(&roots);
    Ok(tree)
}

impl BidsTree {
    /// Reads what opening needs.
    fn describe(&mut self, roots: &BTreeSet<String>) {
        for root in roots {
            let path = joined(root, "dataset_description.json");
            let description = match self.by_path.contains_key(&path).then(|| self.json(&path)) {
                Some(Ok(description)) => description,
                Some(Err(error)) => {
                    self.faults.push(error);
                    Map::new()
                }
                None => Map::new(),
            };
            self.datasets.push(Dataset { path: root.clone(), description });
        }
        match self.read_optional(".bidsignore", MOST_JSON) {
            Ok(Some(text)) => {
                let (ignore, faults) = Ignore::read(&text);
                self.ignore = ignore;
                self.faults.extend(faults);
            }
            Ok(None) => {}
            Err(error) => self.faults.push(error),
        }
        self.participants = self.read_participants();
        if let Err(error) = &self.participants {
            self.faults.push(error.clone());
        }
        self.contents = document::contents(self);
    }

    /// The datasets, the one at the top first.
    pub fn datasets(&self) -> &[Dataset] {
        &self.datasets
    }

    /// Every file, sorted by path.
    pub fn all(&self) -> &[BidsFile] {
        &self.files
    }

    /// A file by its path.
    ///
    /// # Errors
    /// When the tree has none of that path; the error names those that are like it.
    pub fn file(&self, path: &str) -> Result<&BidsFile, FormatError> {
        if let Some(file) = self.by_path.get(path).and_then(|position| self.files.get(*position)) {
            return Ok(file);
        }
        let name = file_of(path);
        let like = self.files.iter().find(|file| file_of(&file.path) == name);
        let help = match like {
            Some(file) => format!("there is `{}`", file.path.escape_debug()),
            None => "`tree.files()` lists what there is; paths begin at the tree's folder".into(),
        };
        Err(fault(path, "there is no such file in the tree", help))
    }

    /// The bytes of a file, wherever the tree's come from.
    ///
    /// # Errors
    /// When the tree has no such file, it is a folder, or it can't be opened.
    pub fn source(&self, path: &str) -> Result<Arc<dyn Source>, FormatError> {
        let file = self.file(path)?;
        let opened = self.folder.open(&file.path).map_err(|error| unreadable(path, &error))?;
        opened.ok_or_else(|| fault(path, "it is a folder, or is no longer there", "open one of the files in it"))
    }

    fn in_folder(&self, folder: &str) -> impl Iterator<Item = &BidsFile> {
        self.by_folder.get(folder).into_iter().flatten().filter_map(|position| self.files.get(*position))
    }

    /// Metadata files of a suffix and an extension in a folder.
    fn of_sort_in(&self, folder: &str, suffix: &str, extension: &str) -> impl Iterator<Item = &BidsFile> {
        let key = (folder.to_owned(), suffix.to_owned(), extension.to_owned());
        self.metadata.get(&key).into_iter().flatten().filter_map(|position| self.files.get(*position))
    }

    /// All bytes of a small file.
    fn read_optional(&self, path: &str, most: u64) -> Result<Option<Vec<u8>>, FormatError> {
        if self.by_path.contains_key(path) { self.read(path, most).map(Some) } else { Ok(None) }
    }

    fn read(&self, path: &str, most: u64) -> Result<Vec<u8>, FormatError> {
        let source = self.source(path)?;
        let length = source.len();
        if length > most {
            let reason = format!("the file has {length} bytes, at most {most} are read of its sort");
            return Err(fault(path, reason, "see that it is what its name says"));
        }
        source.bytes(0..length).map(Cow::into_owned).map_err(|error| unreadable(path, &error))
    }

    /// A JSON file that holds an object.
    fn json(&self, path: &str) -> Result<Map<String, Value>, FormatError> {
        let bytes = self.read(path, MOST_JSON)?;
        let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
        match serde_json::from_slice(bytes) {
            Ok(Value::Object(map)) => Ok(map),
            Ok(_) => {
                Err(fault(path, "it is not a JSON object (Key-value files (dictionaries))", "write the fields as `{\"name\": value}`"))
            }
            Err(error) => {
                let reason = format!("line {}, column {}: it is not JSON ({error})", error.line(), error.column());
                Err(fault(path, reason, "correct the file at that place"))
            }
        }
    }
}

/// The folders of datasets: the top, every folder with a description, and those right below `derivatives` and `sourcedata` that hold subjects.
fn roots(paths: &[String]) -> BTreeSet<String> {
    let mut roots = BTreeSet::from([String::new()]);
    for path in paths {
        if file_of(path) == "dataset_description.json" {
            roots.insert(folder_of(path).to_owned());
        }
        let mut parts = path.split('/');
        if let (Some(first @ ("derivatives" | "sourcedata")), Some(name), Some(below)) = (parts.next(), parts.next(), parts.next())
            && !name.starts_with("sub-")
            && below.starts_with("sub-")
        {
            roots.insert(format!("{first}/{name}"));
        }
    }
    roots
}

/// The innermost dataset that a path lies in.
fn root_of<'r>(roots: &'r BTreeSet<String>, path: &str) -> &'r str {
    let mut folder = folder_of(path);
    loop {
        if let Some(root) = roots.get(folder) {
            return root;
        }
        if folder.is_empty() {
            return "";
        }
        folder = folder_of(folder);
    }
}

/// The path of the file, or of the outermost folder in it that counts as one file, with a `/` at its end.
fn whole_path(path: &str) -> String {
    let mut datatype = "";
    let mut start = 0;
    for (at, _) in path.match_indices('/') {
        let part = path.get(start..at).unwrap_or("");
        let name = Name::of(part);
        // A folder of a BTi recording has the name of a file without extension.
        let bti = datatype == "meg" && name.suffix == "meg" && name.is_bids();
        if name.is_bids() && (bti || FOLDER_FILES.iter().any(|end| part.ends_with(end))) {
            return path.get(..=at).unwrap_or(path).to_owned();
        }
        datatype = part;
        start = at + 1;
    }
    path.to_owned()
}

/// The folder of a path; empty at the top. The `/` at the end of a folder that counts as a file belongs to its name.
fn folder_of(path: &str) -> &str {
    let path = path.strip_suffix('/').unwrap_or(path);
    path.rfind('/').and_then(|at| path.get(..at)).unwrap_or("")
}

/// The last part of a path.
fn file_of(path: &str) -> &str {
    let end = path.strip_suffix('/').unwrap_or(path);
    end.rfind('/').and_then(|at| path.get(at + 1..)).unwrap_or(path)
}

fn joined(folder: &str, file: &str) -> String {
    if folder.is_empty() { file.to_owned() } else { format!("{folder}/{file}") }
}

/// An error about a file of the tree.
fn fault(path: &str, reason: impl Into<String>, help: impl Into<String>) -> FormatError {
    FormatError::new(Format::Bids, Place::Object { path: path.escape_debug().to_string(), byte: None }, reason, help)
}

fn unreadable(path: &str, error: &std::io::Error) -> FormatError {
    let help =
        if error.kind() == std::io::ErrorKind::UnexpectedEof { COPY_AGAIN } else { "see that the file is still there and try again" };
    fault(path, format!("the bytes can't be read: {error}"), help)
}

#[cfg(test)]
mod tests;
