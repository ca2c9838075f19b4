//! Readers of inputs: a file's bytes become a typed artifact.
//!
//! `file`, `mat` and the formats of the field leave the bytes as they are, for stages that read them and queries that read parts of them; the others make
//! tables and tensors. What a reader makes is cached under the file's content, like any other result.

use neuroflow_data::formats::arrow_ipc::ArrowFile;
use neuroflow_data::formats::parquet_file::ParquetFile;
use neuroflow_data::formats::{Limits, arrow_ipc, csv, npy, npz, parquet};
use neuroflow_data::{Artifact, Axis, FileTree, Kind, Payload, Table, Tensor, Typed};
use neuroflow_formats::{Files, Folder, FormatError, Opened, Source};
use std::io;
use std::sync::{Arc, Mutex, PoisonError};

use arrow::buffer::Buffer;

/// A reader that a pipeline may name.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reader {
    /// Its name in the language.
    pub name: &'static str,
    /// The kind of artifact that it makes.
    pub kind: Kind,
    /// What it reads, in a line.
    pub doc: &'static str,
    /// Whether parts of such a file can be read without the rest; queries are given the file itself.
    pub in_parts: bool,
    /// Which files it reads.
    pub takes: Takes,
}

/// Which files a reader reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Takes {
    /// One file, or one of each that a pattern names.
    File,
    /// One file, and those that it names beside it.
    Beside,
    /// A folder.
    Folder,
}

/// The readers that are not of the crate of formats, in reading order. `dataset` is not among them: it names several files.
const OWN: &[Reader] = &[
    Reader { name: "file", kind: Kind::File, doc: "A file's bytes, for a stage that reads them.", in_parts: false, takes: Takes::File },
    Reader { name: "mat", kind: Kind::File, doc: "A MATLAB 5 file, for a stage that reads it.", in_parts: false, takes: Takes::File },
    Reader {
        name: "npy",
        kind: Kind::Tensor,
        doc: "A NumPy array of numbers; axes are named axis_0, axis_1, ….",
        in_parts: false,
        takes: Takes::File,
    },
    Reader { name: "npz", kind: Kind::Dir, doc: "The arrays of numbers of a NumPy archive, by name.", in_parts: false, takes: Takes::File },
    Reader {
        name: "csv",
        kind: Kind::Table,
        doc: "A table in text, whose first line names the columns; plain or gzip.",
        in_parts: false,
        takes: Takes::File,
    },
    Reader { name: "parquet", kind: Kind::Table, doc: "A Parquet table.", in_parts: true, takes: Takes::File },
    Reader { name: "arrow", kind: Kind::Table, doc: "An Arrow IPC table.", in_parts: true, takes: Takes::File },
];

/// Every reader of files, in reading order.
pub fn all() -> impl Iterator<Item = Reader> {
    let of_the_field = neuroflow_formats::READERS.iter().filter(|reader| !OWN.iter().any(|own| own.name == reader.word));
    let of_the_field = of_the_field.map(|reader| {
        let (kind, takes) = match reader.files {
            Files::One(..) => (Kind::File, Takes::File),
            Files::Beside(..) => (Kind::Dir, Takes::Beside),
            Files::Folder(..) => (Kind::Dir, Takes::Folder),
        };
        Reader { name: reader.word, kind, doc: reader.doc, in_parts: false, takes }
    });
    OWN.iter().copied().chain(of_the_field)
}

/// Name and kind of everything that reads an input, for the checker: the readers of files, and `dataset`.
pub fn catalogue() -> Vec<(&'static str, Kind)> {
    all().map(|reader| (reader.name, reader.kind)).chain([("dataset", Kind::Dir)]).collect()
}

/// The version of what readers make; raised when it changes.
pub const READERS_VERSION: u64 = 4;

/// A reader by name.
pub fn reader(name: &str) -> Option<Reader> {
    all().find(|reader| reader.name == name)
}

/// Looks whether a file, or a folder of them, is what its reader reads: its beginning, and what that names.
///
/// # Errors
/// What is wrong with it, with the place.
pub fn begins_well(reader: &Reader, artifact: &Artifact, named: &str) -> Result<(), String> {
    if OWN.iter().any(|own| own.name == reader.name) {
        return Ok(());
    }
    document(reader, artifact, named).map_or(Ok(()), |opened| opened.map(|_| ()).map_err(|error| error.to_string()))
}

/// What is in a file, or a folder of them, that an input holds; none of what is no file. `named` is the file that the input names, where it is known; a folder
/// has none.
pub fn document(reader: &Reader, artifact: &Artifact, named: &str) -> Option<Result<Opened, FormatError>> {
    let (options, takes) = (neuroflow_formats::Options::default(), reader.takes);
    let reader = Some(reader.name).filter(|name| *name != "file");
    match artifact.payload() {
        // The header among them is known by its ending.
        Payload::Tree(tree) if takes == Takes::Beside && named.is_empty() => {
            Some(neuroflow_formats::open_folder(Arc::new(tree.clone()), &options))
        }
        Payload::Bytes(bytes) => Some(neuroflow_formats::open_as(reader, named, Arc::new(bytes.clone()), &options)),
        Payload::Tree(tree) => Some(neuroflow_formats::open_folder_as(reader, Arc::new(tree.clone()), named, &options)),
        Payload::Batch(_) => None,
    }
}

/// The artifact in a file's bytes.
///
/// # Errors
/// What is wrong with the file, with the place.
pub fn read(reader: &Reader, bytes: &Buffer) -> Result<Artifact, String> {
    let limits = Limits::default();
    let said = |error: &dyn std::fmt::Display| error.to_string();
    match reader.name {
        "npy" => tensor(&npy::read_npy(bytes, &limits).map_err(|error| said(&error))?),
        "npz" => {
            let mut tree = FileTree::new();
            // One array that is no array of numbers is no reason to be without the others.
            let others = "`file(…)` with `ingest.array(…, of = \"…\")` reads one array of the archive, whatever the others are";
            let archive = npz::read_npz(bytes, &limits).map_err(|error| format!("{error}; {others}"))?;
            // Labels beside the data are no tensors; `ingest.table` or a program has them.
            for (name, array) in archive.arrays.into_iter().filter(|(_, array)| !matches!(array.data, npy::NpyData::Text(_))) {
                let encoded = tensor(&array)?.encode().map_err(|error| said(&error))?;
                tree.insert(name, Buffer::from_vec(encoded)).map_err(|error| said(&error))?;
            }
            Ok(Artifact::from_tree(tree))
        }
        "csv" => table(csv::read_csv(bytes, &csv::CsvOptions::default(), &limits).map_err(|error| said(&error))?),
        "parquet" => {
            let batches = parquet::read_parquet(bytes, &limits).map_err(|error| said(&error))?;
            table(batches.into_one().map_err(|error| said(&error))?)
        }
        "arrow" => {
            let batches = arrow_ipc::read_arrow_ipc(bytes, &limits).map_err(|error| said(&error))?;
            table(batches.into_one().map_err(|error| said(&error))?)
        }
        _ => Ok(Artifact::from_bytes(bytes.clone())),
    }
}

/// The names of files that a reader asks for when it opens `named` among some files, and that are not there.
pub fn asked_for(reader: &Reader, there: &FileTree, named: &str) -> Vec<String> {
    let asking = Arc::new(Asking { there: there.clone(), asked: Mutex::default() });
    let folder: Arc<dyn Folder> = Arc::clone(&asking) as Arc<dyn Folder>;
    // What is wrong with the files is told when all of them are there.
    let _ = neuroflow_formats::open_folder_as(Some(reader.name), folder, named, &neuroflow_formats::Options::default());
    let asked = asking.asked.lock().unwrap_or_else(PoisonError::into_inner);
    asked.clone()
}

/// Some files, and the names of those that were asked for and are not among them.
#[derive(Debug)]
struct Asking {
    there: FileTree,
    asked: Mutex<Vec<String>>,
}

impl Folder for Asking {
    fn paths(&self) -> io::Result<Vec<String>> {
        self.there.paths()
    }

    fn open(&self, path: &str) -> io::Result<Option<Arc<dyn Source>>> {
        let found = Folder::open(&self.there, path)?;
        if found.is_none() {
            self.asked.lock().unwrap_or_else(PoisonError::into_inner).push(path.to_owned());
        }
        Ok(found)
    }
}

/// Looks whether a file that is read in parts can be opened.
///
/// # Errors
/// What is wrong with its beginning or end, with the place.
pub fn open(reader: &Reader, bytes: &Buffer) -> Result<(), String> {
    let limits = Limits::default();
    match reader.name {
        "parquet" => ParquetFile::open(bytes, &limits).map(|_| ()).map_err(|error| error.to_string()),
        "arrow" => ArrowFile::open(bytes, &limits).map(|_| ()).map_err(|error| error.to_string()),
        _ => Ok(()),
    }
}

fn table(batch: arrow::array::RecordBatch) -> Result<Artifact, String> {
    Table::from_batch(batch).into_artifact().map_err(|error| error.to_string())
}

fn tensor(array: &npy::NpyArray) -> Result<Artifact, String> {
    let values = array.to_f64().map_err(|error| error.to_string())?;
    let shape: &[usize] = if array.shape.is_empty() { &[1] } else { &array.shape };
    let axes = shape.iter().enumerate().map(|(axis, length)| Axis::count(format!("axis_{axis}"), *length)).collect();
    Tensor::new(axes, None, values.into_owned()).and_then(Typed::into_artifact).map_err(|error| error.to_string())
}
