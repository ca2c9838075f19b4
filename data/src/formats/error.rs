//! What a reader says when bytes are not what they claim: format, place, reason, remedy.

use std::fmt;

/// The file format that was being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// MATLAB 5 `.mat`.
    Mat5,
    /// NumPy `.npy`.
    Npy,
    /// NumPy `.npz`.
    Npz,
    /// Comma (or tab, semicolon, space) separated text.
    Csv,
    /// Apache Parquet.
    Parquet,
    /// Arrow IPC file, also known as Feather 2.
    ArrowIpc,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Mat5 => "MATLAB 5 .mat",
            Format::Npy => "NumPy .npy",
            Format::Npz => "NumPy .npz",
            Format::Csv => "CSV",
            Format::Parquet => "Parquet",
            Format::ArrowIpc => "Arrow IPC",
        })
    }
}

/// Where in the file something is wrong.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// The file as a whole.
    File,
    /// A byte, counted from 0 at the start of the file.
    Byte(u64),
    /// A part of a variable, such as `D.neuron3{17}` (cells and elements counted from 1, as MATLAB does).
    Variable {
        /// The path from the variable's name down to the part.
        path: String,
        /// The byte, counted from 0 in the file, or in the inflated variable if it is compressed; `None` when the value itself is asked for
        /// something it is not.
        byte: Option<u64>,
    },
    /// A member of an archive.
    Member {
        /// The member's name.
        name: String,
        /// The byte, counted from 0 in the member after inflating.
        byte: u64,
    },
    /// A line of text.
    Line {
        /// The line, counted from 1.
        line: u64,
        /// The field in the line, counted from 1.
        field: Option<u64>,
    },
    /// A column of a table, by name.
    Column(String),
}

impl fmt::Display for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Place::File => f.write_str("the file"),
            Place::Byte(byte) => write!(f, "byte {byte}"),
            Place::Variable { path, byte: Some(byte) } => write!(f, "variable `{path}`, byte {byte}"),
            Place::Variable { path, byte: None } => write!(f, "variable `{path}`"),
            Place::Member { name, byte } => write!(f, "member `{name}`, byte {byte}"),
            Place::Line { line, field: Some(field) } => write!(f, "line {line}, field {field}"),
            Place::Line { line, field: None } => write!(f, "line {line}"),
            Place::Column(name) => write!(f, "column `{name}`"),
        }
    }
}

/// Bytes that can't be read as the format they claim, or a value asked for something it is not.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{format}: {place}: {reason}; {help}")]
pub struct FormatError {
    /// The format that was being read.
    pub format: Format,
    /// Where in the file.
    pub place: Place,
    /// What is wrong, lower case, in the words of the format.
    pub reason: String,
    /// What to do about it.
    pub help: String,
}

impl FormatError {
    /// An error with all four parts.
    pub fn new(format: Format, place: Place, reason: impl Into<String>, help: impl Into<String>) -> FormatError {
        FormatError { format, place, reason: reason.into(), help: help.into() }
    }

    /// The same error about a value of a `.mat` file, with the path that led to it: values do not know where they stand, who asks does.
    ///
    /// `session.get("TE")?.field("direction").map_err(|error| error.within("TE"))`
    pub fn within(mut self, path: impl Into<String>) -> FormatError {
        if self.place == Place::File {
            self.place = Place::Variable { path: path.into(), byte: None };
        }
        self
    }
}

/// The remedy for bytes that are not all there or not as they were written.
pub(super) const COPY_AGAIN: &str = "the file looks cut short or damaged: copy or download it again";

/// The remedy when a file asks for more memory than allowed.
pub(super) const RAISE_LIMIT: &str = "if you trust this file, raise the reader's limits";
