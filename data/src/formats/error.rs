//! What a reader says when bytes are not what they claim: format, place, reason, remedy.

use std::fmt;

/// The file format that was being read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Format {
    /// None that is known.
    Unknown,
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
    /// HDF5.
    Hdf5,
    /// Neurodata Without Borders 2, on HDF5.
    Nwb,
    /// MATLAB 7.3 `.mat`, on HDF5.
    Mat73,
    /// EDF and EDF+.
    Edf,
    /// BDF and BDF+.
    Bdf,
    /// GDF.
    Gdf,
    /// BrainVision header, markers and data.
    BrainVision,
    /// EEGLAB `.set`.
    Eeglab,
    /// FIF, raw and epochs.
    Fif,
    /// NIfTI-1 and NIfTI-2.
    Nifti,
    /// GIFTI surfaces.
    Gifti,
    /// Zarr 2 and 3.
    Zarr,
    /// Excel workbooks.
    Excel,
    /// Spike times as text.
    SpikeText,
    /// Folders that Kilosort and Phy write.
    Phy,
    /// Folders that suite2p writes.
    Suite2p,
    /// IDX arrays, as of MNIST.
    Idx,
    /// PNG, JPEG and TIFF.
    Picture,
    /// GML graphs.
    Gml,
    /// GraphML graphs.
    GraphMl,
    /// Graphs as lists of edges.
    EdgeList,
    /// ONNX models.
    Onnx,
    /// safetensors.
    Safetensors,
    /// A BIDS tree.
    Bids,
    /// Positions from video, as SpikeGadgets writes them.
    PositionTracking,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Format::Unknown => "file",
            Format::Mat5 => "MATLAB 5 .mat",
            Format::Npy => "NumPy .npy",
            Format::Npz => "NumPy .npz",
            Format::Csv => "CSV",
            Format::Parquet => "Parquet",
            Format::ArrowIpc => "Arrow IPC",
            Format::Hdf5 => "HDF5",
            Format::Nwb => "NWB",
            Format::Mat73 => "MATLAB 7.3 .mat",
            Format::Edf => "EDF",
            Format::Bdf => "BDF",
            Format::Gdf => "GDF",
            Format::BrainVision => "BrainVision",
            Format::Eeglab => "EEGLAB .set",
            Format::Fif => "FIF",
            Format::Nifti => "NIfTI",
            Format::Gifti => "GIFTI",
            Format::Zarr => "Zarr",
            Format::Excel => "Excel",
            Format::SpikeText => "spike text",
            Format::Phy => "Kilosort/Phy folder",
            Format::Suite2p => "suite2p folder",
            Format::Idx => "IDX",
            Format::Picture => "picture",
            Format::Gml => "GML",
            Format::GraphMl => "GraphML",
            Format::EdgeList => "edge list",
            Format::Onnx => "ONNX",
            Format::Safetensors => "safetensors",
            Format::Bids => "BIDS",
            Format::PositionTracking => "videoPositionTracking",
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
    /// An object inside the file, such as `/units/spike_times`.
    Object {
        /// The path from the file's root.
        path: String,
        /// The byte, counted from 0 at the start of the file, where it is known.
        byte: Option<u64>,
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
            Place::Object { path, byte: Some(byte) } => write!(f, "object `{path}`, byte {byte}"),
            Place::Object { path, byte: None } => write!(f, "object `{path}`"),
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

    /// Whether the file is to blame: it is cut short or was changed on its way. Otherwise something was asked for that it has not, or that is not
    /// read.
    pub fn is_damage(&self) -> bool {
        self.help == COPY_AGAIN || self.help == OR_ACCEPT
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
pub const COPY_AGAIN: &str = "the file looks cut short or damaged: copy or download it again";

/// The remedy for damage that leaves something to read: the steps that read files take it when they are told to.
pub const OR_ACCEPT: &str =
    "copy or download the file again; where this is all there is, `damaged = accept` in the step that reads it takes what is left";

/// The remedy when a file asks for more memory than allowed.
pub const RAISE_LIMIT: &str = "if you trust this file, raise the reader's limits";
