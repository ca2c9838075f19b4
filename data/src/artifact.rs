//! The value that flows between steps, and its bytes.
//!
//! Typed artifacts are Arrow IPC files with one record batch. Everything that Arrow has no place for (kind, axes, units, sources, attributes)
//! stands as one JSON text under the schema metadata key `neuroflow`; field order and key order are fixed, so equal values have equal bytes.
//! A [`Kind::File`] is its bytes as they came; a [`Kind::Dir`] is a list of named byte strings.

use crate::axis::Axis;
use crate::columns;
use crate::error::DataError;
use crate::formats::{Limits, arrow_ipc};
use crate::kind::Kind;
use arrow::array::RecordBatch;
use arrow::buffer::Buffer;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::io::{self, Write};
use std::sync::Arc;

/// The schema metadata key under which the description stands.
pub const METADATA_KEY: &str = "neuroflow";

/// What is said about an artifact beside its columns.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Meta {
    /// The axes of the main tensor, first to last; empty for plain tables.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub axes: Vec<Axis>,
    /// The unit of the main tensor's values.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// Where the values come from when that must not be forgotten, such as `simulated: …`. Inherited by everything computed from them.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub sources: BTreeSet<String>,
    /// The stage that made it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_by: Option<String>,
    /// Further facts, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub attributes: BTreeMap<String, serde_json::Value>,
}

/// Named files, in the order of their names.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct FileTree {
    files: BTreeMap<String, Buffer>,
}

/// What an artifact is made of.
#[derive(Debug, Clone, PartialEq)]
pub enum Payload {
    /// Arrow columns.
    Batch(RecordBatch),
    /// Bytes as they came.
    Bytes(Buffer),
    /// Named files.
    Tree(FileTree),
}

/// One immutable value: a kind, columns or bytes, and what is said about them.
#[derive(Debug, Clone, PartialEq)]
pub struct Artifact {
    kind: Kind,
    payload: Payload,
    meta: Meta,
}

/// Conversion between an [`Artifact`] and the type that a stage works with.
pub trait Typed: Sized {
    /// The kind of artifact that this type is.
    const KIND: Kind;

    /// The artifact of this value.
    ///
    /// # Errors
    /// When a column can't be built, for example because a row is too long for Arrow.
    fn into_artifact(self) -> Result<Artifact, DataError>;

    /// The value of an artifact, sharing its memory.
    ///
    /// # Errors
    /// When the artifact is of another kind, or its columns or axes are not those of the type.
    fn from_artifact(artifact: &Artifact) -> Result<Self, DataError>;
}

#[derive(Serialize, Deserialize)]
struct Description {
    format: u32,
    kind: Kind,
    #[serde(flatten)]
    meta: Meta,
}

const FORMAT: u32 = 1;
const TREE_MAGIC: &[u8; 8] = b"NFTREE01";

impl FileTree {
    /// An empty tree.
    pub fn new() -> FileTree {
        FileTree::default()
    }

    /// Adds a file.
    ///
    /// # Errors
    /// When the name is empty, taken, or longer than 4096 bytes.
    pub fn insert(&mut self, name: impl Into<String>, bytes: Buffer) -> Result<(), DataError> {
        let name = name.into();
        if name.is_empty() || name.len() > 4096 {
            return Err(DataError::Invalid("a file's name in a directory has 1 to 4096 bytes".into()));
        }
        if self.files.contains_key(&name) {
            return Err(DataError::Invalid(format!("two files are named `{name}`")));
        }
        self.files.insert(name, bytes);
        Ok(())
    }

    /// A file's bytes.
    pub fn get(&self, name: &str) -> Option<&Buffer> {
        self.files.get(name)
    }

    /// All files, by name.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Buffer)> {
        self.files.iter().map(|(name, bytes)| (name.as_str(), bytes))
    }

    /// The number of files.
    pub fn len(&self) -> usize {
        self.files.len()
    }

    /// Whether there is no file.
    pub fn is_empty(&self) -> bool {
        self.files.is_empty()
    }

    fn encode_to(&self, into: &mut dyn Write) -> io::Result<()> {
        let mut head = TREE_MAGIC.to_vec();
        head.extend((self.files.len() as u64).to_le_bytes());
        for (name, content) in &self.files {
            head.extend((name.len() as u64).to_le_bytes());
            head.extend((content.len() as u64).to_le_bytes());
            head.extend(name.as_bytes());
        }
        into.write_all(&head)?;
        let mut at = head.len();
        for content in self.files.values() {
            // Contents begin at multiples of 64 bytes, so that Arrow files inside stay aligned.
            let begin = at.next_multiple_of(64);
            into.write_all(&[0; 64][..begin - at])?;
            into.write_all(content.as_slice())?;
            at = begin + content.len();
        }
        Ok(())
    }

    fn decode(buffer: &Buffer) -> Option<FileTree> {
        let bytes = buffer.as_slice();
        let number = |at: usize| bytes.get(at..at + 8).and_then(|b| b.try_into().ok()).map(u64::from_le_bytes);
        let count = usize::try_from(number(8)?).ok()?;
        let mut at = 16usize;
        let mut entries = Vec::new();
        for _ in 0..count {
            let name_length = usize::try_from(number(at)?).ok()?;
            let length = usize::try_from(number(at.checked_add(8)?)?).ok()?;
            let name_start = at.checked_add(16)?;
            let name_end = name_start.checked_add(name_length)?;
            let name = std::str::from_utf8(bytes.get(name_start..name_end)?).ok()?;
            entries.push((name.to_owned(), length));
            at = name_end;
        }
        let mut tree = FileTree::new();
        for (name, length) in entries {
            at = at.checked_next_multiple_of(64)?;
            let end = at.checked_add(length)?;
            if end > bytes.len() {
                return None;
            }
            tree.insert(name, buffer.slice_with_length(at, length)).ok()?;
            at = end;
        }
        (at == bytes.len()).then_some(tree)
    }
}

impl Artifact {
    /// An artifact of Arrow columns. Schema metadata of the batch is dropped: what matters belongs into `meta`.
    pub fn from_batch(kind: Kind, batch: RecordBatch, meta: Meta) -> Artifact {
        Artifact { kind, payload: Payload::Batch(without_schema_metadata(batch)), meta }
    }

    /// A file, as it came.
    pub fn from_bytes(bytes: Buffer) -> Artifact {
        Artifact { kind: Kind::File, payload: Payload::Bytes(bytes), meta: Meta::default() }
    }

    /// Named files.
    pub fn from_tree(tree: FileTree) -> Artifact {
        Artifact { kind: Kind::Dir, payload: Payload::Tree(tree), meta: Meta::default() }
    }

    /// What it is.
    pub fn kind(&self) -> Kind {
        self.kind
    }

    /// What it is made of.
    pub fn payload(&self) -> &Payload {
        &self.payload
    }

    /// What is said about it.
    pub fn meta(&self) -> &Meta {
        &self.meta
    }

    /// The same artifact with other words about it. Bytes and trees carry none, so theirs are dropped.
    #[must_use]
    pub fn with_meta(mut self, meta: Meta) -> Artifact {
        if matches!(self.payload, Payload::Batch(_)) {
            self.meta = meta;
        }
        self
    }

    /// The columns, when the artifact is of kind `expected`.
    ///
    /// # Errors
    /// [`DataError::WrongKind`].
    pub fn batch_of(&self, expected: Kind) -> Result<&RecordBatch, DataError> {
        match &self.payload {
            Payload::Batch(batch) if self.kind == expected => Ok(batch),
            _ => Err(DataError::WrongKind { expected, found: self.kind }),
        }
    }

    /// The bytes of a [`Kind::File`].
    ///
    /// # Errors
    /// [`DataError::WrongKind`].
    pub fn bytes(&self) -> Result<&Buffer, DataError> {
        match &self.payload {
            Payload::Bytes(bytes) => Ok(bytes),
            _ => Err(DataError::WrongKind { expected: Kind::File, found: self.kind }),
        }
    }

    /// The files of a [`Kind::Dir`].
    ///
    /// # Errors
    /// [`DataError::WrongKind`].
    pub fn tree(&self) -> Result<&FileTree, DataError> {
        match &self.payload {
            Payload::Tree(tree) => Ok(tree),
            _ => Err(DataError::WrongKind { expected: Kind::Dir, found: self.kind }),
        }
    }

    /// The bytes to store. Equal artifacts have equal bytes.
    ///
    /// # Errors
    /// When Arrow can't write the columns.
    pub fn encode(&self) -> Result<Vec<u8>, DataError> {
        let mut bytes = Vec::new();
        self.encode_to(&mut bytes).map_err(|error| DataError::Invalid(error.to_string()))?;
        Ok(bytes)
    }

    /// Writes what [`Artifact::encode`] gives, piece by piece: columns go out as they stand in memory, and no second copy is made.
    ///
    /// # Errors
    /// When Arrow can't write the columns, or the writer fails.
    pub fn encode_to(&self, into: &mut dyn Write) -> io::Result<()> {
        match &self.payload {
            Payload::Bytes(bytes) => into.write_all(bytes.as_slice()),
            Payload::Tree(tree) => tree.encode_to(into),
            Payload::Batch(batch) => {
                let description = Description { format: FORMAT, kind: self.kind, meta: self.meta.clone() };
                let text = serde_json::to_string(&description)?;
                let schema = batch.schema().as_ref().clone().with_metadata(HashMap::from([(METADATA_KEY.to_owned(), text)]));
                let described = RecordBatch::try_new_with_options(Arc::new(schema), batch.columns().to_vec(), &rows_of(batch));
                let described = described.map_err(io::Error::other)?;
                arrow_ipc::write_arrow_ipc_to(into, &described.schema(), std::slice::from_ref(&described)).map_err(io::Error::other)
            }
        }
    }

    /// The artifact that `bytes` were made from. Columns share the buffer's memory.
    ///
    /// # Errors
    /// When the bytes are not what [`Artifact::encode`] wrote for this kind.
    pub fn decode(kind: Kind, bytes: &Buffer) -> Result<Artifact, DataError> {
        match kind {
            Kind::File => Ok(Artifact::from_bytes(bytes.clone())),
            Kind::Dir => {
                let magic = bytes.as_slice().starts_with(TREE_MAGIC);
                let tree = if magic { FileTree::decode(bytes) } else { None };
                tree.map(Artifact::from_tree).ok_or_else(|| DataError::Decode("damaged directory listing".into()))
            }
            _ => {
                let artifact = Artifact::decode_described(bytes)?;
                if artifact.kind == kind { Ok(artifact) } else { Err(DataError::WrongKind { expected: kind, found: artifact.kind }) }
            }
        }
    }

    /// The artifact in an Arrow file written by [`Artifact::encode`], whatever its kind.
    ///
    /// # Errors
    /// When the bytes are not such a file.
    pub fn decode_described(bytes: &Buffer) -> Result<Artifact, DataError> {
        let damaged = |error: &dyn std::fmt::Display| DataError::Decode(error.to_string());
        let batches = arrow_ipc::read_arrow_ipc(bytes, &Limits::default()).map_err(|error| damaged(&error))?;
        let batch = batches.into_one().map_err(|error| damaged(&error))?;
        let schema = batch.schema();
        let text =
            schema.metadata().get(METADATA_KEY).ok_or_else(|| DataError::Decode("the Arrow file does not say what it holds".into()))?;
        let description: Description = serde_json::from_str(text).map_err(|error| DataError::Decode(error.to_string()))?;
        if description.format != FORMAT {
            return Err(DataError::Decode(format!("format {} is unknown to this version, which writes {FORMAT}", description.format)));
        }
        Ok(Artifact { kind: description.kind, payload: Payload::Batch(without_schema_metadata(batch)), meta: description.meta })
    }

    /// The column names, for messages; empty for bytes.
    pub fn column_names(&self) -> Vec<String> {
        match &self.payload {
            Payload::Batch(batch) => batch.schema().fields().iter().map(|field| field.name().clone()).collect(),
            _ => Vec::new(),
        }
    }

    /// A column of numbers; see [`columns::numbers`].
    ///
    /// # Errors
    /// When there is no such column or it is not numeric.
    pub fn numbers(&self, column: &str) -> Result<Vec<f64>, DataError> {
        match &self.payload {
            Payload::Batch(batch) => columns::numbers(batch, column),
            _ => Err(DataError::WrongKind { expected: Kind::Table, found: self.kind }),
        }
    }
}

fn rows_of(batch: &RecordBatch) -> arrow::array::RecordBatchOptions {
    arrow::array::RecordBatchOptions::new().with_row_count(Some(batch.num_rows()))
}

fn without_schema_metadata(batch: RecordBatch) -> RecordBatch {
    if batch.schema_ref().metadata().is_empty() {
        return batch;
    }
    let schema = batch.schema().as_ref().clone().with_metadata(HashMap::new());
    // The columns are unchanged, so this can only succeed; the original batch is an answer too.
    RecordBatch::try_new_with_options(Arc::new(schema), batch.columns().to_vec(), &rows_of(&batch)).unwrap_or(batch)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Axis, ControlResult, Coordinates, Rdm, Responses, Score, Scores, Table, Tensor};

    fn responses() -> Responses {
        let units = Axis::labels("unit", vec!["u1".into(), "u2".into()])
            .with_property("community", Coordinates::Labels(vec!["a".into(), "b".into()]));
        let axes = vec![Axis::count("trial", 3), units, Axis::numbers("bin", Some("s"), vec![-0.5, 0.0])];
        let values = Tensor::new(axes, Some("ΔF/F"), (0..12).map(f64::from).collect::<Vec<_>>()).unwrap();
        let trials = Table::from_columns(vec![columns::from_numbers("direction", vec![0.0, 45.0, 90.0])]).unwrap();
        let covariate_axes = vec![
            Axis::count("trial", 3),
            Axis::labels("covariate", vec!["speed".into()]),
            Axis::numbers("bin", Some("s"), vec![-0.5, 0.0]),
        ];
        let covariates = Tensor::new(covariate_axes, None, vec![0.5; 6]).unwrap();
        let mut responses = Responses::new("mouse", values, trials, Some(covariates)).unwrap();
        responses.sources.insert("simulated: test".into());
        responses
    }

    fn round_trip(artifact: &Artifact) -> Artifact {
        Artifact::decode(artifact.kind(), &Buffer::from_vec(artifact.encode().unwrap())).unwrap()
    }

    #[test]
    fn responses_come_back_from_their_bytes_with_axes_trials_and_sources() {
        let artifact = responses().into_artifact().unwrap();
        assert_eq!(Responses::from_artifact(&round_trip(&artifact)).unwrap(), responses());
        assert_eq!(artifact.encode().unwrap(), round_trip(&artifact).encode().unwrap());
    }

    #[test]
    fn rdms_and_scores_come_back_from_their_bytes() {
        let rdm = Rdm::from_triangles(vec!["V1".into()], Axis::count("condition", 3), "correlation", &[vec![0.1, 0.2, 0.3]]).unwrap();
        assert_eq!(Rdm::from_artifact(&round_trip(&rdm.clone().into_artifact().unwrap())).unwrap(), rdm);
        let mut score = Score::new("accuracy", 0.5, 128);
        score.controls.push(ControlResult::new("shuffle(column = \"direction\")", 0.5, vec![0.1, 0.6, 0.2]));
        let scores = Scores::new(vec![score]);
        assert_eq!(Scores::from_artifact(&round_trip(&scores.clone().into_artifact().unwrap())).unwrap(), scores);
        assert_eq!(scores.scores[0].controls[0].p, 0.5);
    }

    #[test]
    fn a_directory_comes_back_and_a_damaged_one_is_refused_at_every_length() {
        let mut tree = FileTree::new();
        tree.insert("b", Buffer::from(b"second".as_slice())).unwrap();
        tree.insert("a", Buffer::from(b"first".as_slice())).unwrap();
        assert!(tree.insert("a", Buffer::from(b"again".as_slice())).is_err());
        let bytes = Artifact::from_tree(tree.clone()).encode().unwrap();
        assert_eq!(Artifact::decode(Kind::Dir, &Buffer::from_vec(bytes.clone())).unwrap().tree().unwrap(), &tree);
        for length in 0..bytes.len() {
            assert!(Artifact::decode(Kind::Dir, &Buffer::from(&bytes[..length])).is_err(), "{length}");
        }
    }

    #[test]
    fn a_truncated_artifact_is_refused_at_every_length() {
        let bytes = responses().into_artifact().unwrap().encode().unwrap();
        for length in 0..bytes.len() {
            assert!(Artifact::decode(Kind::Responses, &Buffer::from(&bytes[..length])).is_err(), "{length}");
        }
    }

    #[test]
    fn decoded_columns_share_the_buffers_memory() {
        let bytes = Buffer::from_vec(responses().into_artifact().unwrap().encode().unwrap());
        let decoded = Responses::from_artifact(&Artifact::decode(Kind::Responses, &bytes).unwrap()).unwrap();
        let start = decoded.values().values().as_ptr() as usize;
        assert!((bytes.as_ptr() as usize..bytes.as_ptr() as usize + bytes.len()).contains(&start));
    }
}
