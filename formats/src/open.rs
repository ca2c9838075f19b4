//! From bytes to a document: which format they are in, and its reader.
//!
//! A format is known by its first bytes, never by a file's name, for in a cache content has no name. What has no mark of its own (tables and lists as text) is read
//! as what it is called by whoever asks.

use crate::document::Document;
use crate::source::{Folder, Source, part};
use crate::spike_text::TimeUnit;
use crate::unread::unread;
use crate::{
    arrays, bids, brainvision, edf, eeglab, excel, fif, gdf, gifti, graphs, hdf5, idx, mat73, nifti, nwb, phy, picture, position_tracking,
};
use crate::{spike_text, suite2p, zarr};
use neuroflow_data::formats::csv::CsvOptions;
use neuroflow_data::formats::inflate::begin_of_gzip;
use neuroflow_data::formats::{Format, FormatError, Limits, Place};
use std::collections::BTreeSet;
use std::sync::Arc;

/// A document, shared.
pub type Opened = Arc<dyn Document>;

/// What a file does not say itself.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// How much a file may make its reader hold.
    pub limits: Limits,
    /// The sampling rate in hertz, of folders of Kilosort, Phy and suite2p.
    pub rate: Option<f64>,
    /// The unit of spike times in a text.
    pub time_unit: TimeUnit,
    /// How a table of text is cut into columns, and how numbers are written in it.
    pub table: CsvOptions,
}

/// A format that can be read.
#[derive(Debug, Clone, Copy)]
pub struct Reader {
    /// The word for it in a pipeline: `edf`.
    pub word: &'static str,
    /// What it reads, in a line.
    pub doc: &'static str,
    /// What its documents say that they are.
    pub formats: &'static [Format],
    /// How names of such files (of zarr, folders) end, in small letters; empty where names say nothing.
    pub endings: &'static [&'static str],
    /// Its files.
    pub files: Files,
}

/// What opens one file.
type OpenFile = fn(Arc<dyn Source>, &Options) -> Result<Opened, FormatError>;

/// What opens several files, from the path of the one that was named; the empty path is the folder itself.
type OpenFolder = fn(&Arc<dyn Folder>, &str, &Options) -> Result<Opened, FormatError>;

/// What a format's files are, and what opens them.
#[derive(Debug, Clone, Copy)]
pub enum Files {
    /// One file, and whether its first bytes are those of the format.
    One(OpenFile, fn(&Begin) -> bool),
    /// One file, which names others beside it, known by the ending of its name.
    Beside(OpenFolder),
    /// A folder, and whether the paths in it are those of the format.
    Folder(OpenFolder, fn(&BTreeSet<String>) -> bool),
}

/// The first bytes of a file; of a compressed one also those inside.
#[derive(Debug)]
pub struct Begin {
    bytes: Vec<u8>,
    inside: Option<Vec<u8>>,
}

/// So many bytes are looked at.
const LOOKED_AT: u64 = 4096;

impl Begin {
    fn of(source: &dyn Source) -> Result<Begin, FormatError> {
        let bytes = part(source, Format::Unknown, 0..source.len().min(LOOKED_AT))?.into_owned();
        let inside = bytes.starts_with(&[0x1f, 0x8b]).then(|| begin_of_gzip(&bytes, LOOKED_AT as usize));
        Ok(Begin { bytes, inside })
    }

    /// The first bytes of what is stored, whether compressed or not.
    fn stored(&self) -> &[u8] {
        self.inside.as_deref().unwrap_or(&self.bytes)
    }

    /// Whether these bytes stand at a place of the file.
    fn has(&self, at: usize, mark: &[u8]) -> bool {
        self.bytes.get(at..at.saturating_add(mark.len())) == Some(mark)
    }

    /// Whether these bytes stand at a place of what is stored.
    fn holds(&self, at: usize, mark: &[u8]) -> bool {
        self.stored().get(at..at.saturating_add(mark.len())) == Some(mark)
    }

    /// The begin as text, without space and comment lines before it; empty when it is no text.
    fn text(&self) -> &str {
        let stored = self.stored();
        let text = match std::str::from_utf8(stored) {
            Ok(text) => text,
            // The last letter may have been cut.
            Err(error) if error.valid_up_to() + 4 > stored.len() => std::str::from_utf8(&stored[..error.valid_up_to()]).unwrap_or_default(),
            Err(_) => "",
        };
        text.trim_start_matches('\u{feff}').trim_start()
    }

    /// The error for a format that is known and not read.
    fn unread(&self) -> Option<FormatError> {
        unread(self.stored()).map(|(reason, help)| FormatError::new(Format::Unknown, Place::Byte(0), reason, help))
    }

    fn is_hdf5(&self) -> bool {
        const MARK: &[u8] = b"\x89HDF\r\n\x1a\n";
        [0, 512, 1024, 2048].into_iter().any(|at| self.has(at, MARK))
    }

    fn is_mat73(&self) -> bool {
        self.is_hdf5() && self.has(0, b"MATLAB 7.3")
    }

    fn is_zip(&self) -> bool {
        self.has(0, b"PK\x03\x04") || self.has(0, b"PK\x05\x06")
    }

    /// The name of the first member of a zip archive.
    fn first_member(&self) -> &[u8] {
        let length = self.bytes.get(26..28).and_then(|two| two.try_into().ok()).map_or(0, u16::from_le_bytes);
        self.bytes.get(30..30 + usize::from(length)).unwrap_or_default()
    }

    fn is_npz(&self) -> bool {
        self.is_zip() && (self.has(0, b"PK\x05\x06") || self.first_member().ends_with(b".npy"))
    }

    fn is_nifti(&self) -> bool {
        self.holds(344, b"n+1\0") || self.holds(344, b"ni1\0") || self.holds(4, b"n+2\0\r\n\x1a\n") || self.holds(4, b"ni2\0\r\n\x1a\n")
    }

    fn is_idx(&self) -> bool {
        let of = |at: usize| self.stored().get(at).copied().unwrap_or(0xff);
        of(0) == 0 && of(1) == 0 && matches!(of(2), 0x08 | 0x09 | 0x0b | 0x0c | 0x0d | 0x0e) && (1..=8).contains(&of(3))
    }

    fn is_picture(&self) -> bool {
        [&b"\x89PNG\r\n\x1a\n"[..], b"\xff\xd8\xff", b"II*\0", b"MM\0*", b"II+\0", b"MM\0+"].into_iter().any(|mark| self.has(0, mark))
    }

    fn is_gml(&self) -> bool {
        let text = self.text();
        let is_word = |line: &str| line.trim_start().to_ascii_lowercase().starts_with("graph");
        text.lines().any(is_word) && text.contains('[')
    }

    fn is_safetensors(&self) -> bool {
        let length = self.bytes.get(..8).and_then(|eight| eight.try_into().ok()).map_or(0, u64::from_le_bytes);
        (2..=100_000_000).contains(&length) && self.has(8, b"{")
    }

    fn is_onnx(&self) -> bool {
        // The version of the representation, then the producer or the graph: a message of protocol buffers says no more of itself.
        self.has(0, &[0x08])
            && self.bytes.get(1).is_some_and(|version| (1..=20).contains(version))
            && matches!(self.bytes.get(2), Some(0x12 | 0x3a | 0x42))
    }
}

macro_rules! one {
    ($open:path) => {
        |source, options| Ok(Arc::new($open(source, &options.limits)?))
    };
}

macro_rules! several {
    ($open:path) => {
        |folder, path, options| Ok(Arc::new($open(folder, path, &options.limits)?))
    };
}

fn never(_: &Begin) -> bool {
    false
}

fn has(paths: &BTreeSet<String>, name: &str) -> bool {
    paths.iter().any(|path| path == name || path.strip_suffix(name).is_some_and(|before| before.ends_with('/')))
}

/// All formats, in the order in which they are tried.
pub const READERS: &[Reader] = &[
    Reader {
        word: "nwb",
        doc: "Neurodata Without Borders 2: units, trials, series, tables.",
        formats: &[Format::Nwb],
        endings: &["nwb"],
        files: Files::One(nwb_or_hdf5, |begin| begin.is_hdf5() && !begin.is_mat73()),
    },
    Reader {
        word: "hdf5",
        doc: "HDF5: groups and datasets.",
        formats: &[Format::Hdf5],
        endings: &["h5", "hdf5", "hdf"],
        files: Files::One(one!(hdf5::open), never),
    },
    Reader {
        word: "edf",
        doc: "EDF and EDF+: signals and annotations.",
        formats: &[Format::Edf],
        endings: &["edf"],
        files: Files::One(one!(edf::open), |begin| begin.has(0, b"0       ")),
    },
    Reader {
        word: "bdf",
        doc: "BDF and BDF+: signals, annotations and triggers.",
        formats: &[Format::Bdf],
        endings: &["bdf"],
        files: Files::One(one!(edf::open), |begin| begin.has(0, b"\xffBIOSEMI")),
    },
    Reader {
        word: "gdf",
        doc: "GDF: signals and events.",
        formats: &[Format::Gdf],
        endings: &["gdf"],
        files: Files::One(one!(gdf::open), |begin| begin.has(0, b"GDF ")),
    },
    Reader {
        word: "fif",
        doc: "FIF: raw signals or epochs, plain or gzip.",
        formats: &[Format::Fif],
        endings: &["fif", "fif.gz"],
        files: Files::One(one!(fif::open), |begin| begin.holds(0, &[0, 0, 0, 100])),
    },
    Reader {
        word: "brainvision",
        doc: "BrainVision: a header with its markers and samples.",
        formats: &[Format::BrainVision],
        endings: &["vhdr"],
        files: Files::Beside(several!(brainvision::open)),
    },
    Reader {
        word: "eeglab",
        doc: "EEGLAB sets, with their samples beside them or inside.",
        formats: &[Format::Eeglab],
        endings: &["set"],
        files: Files::Beside(several!(eeglab::open)),
    },
    Reader {
        word: "nifti",
        doc: "NIfTI-1 and NIfTI-2 volumes, plain or gzip.",
        formats: &[Format::Nifti],
        endings: &["nii", "nii.gz"],
        files: Files::One(one!(nifti::open), Begin::is_nifti),
    },
    Reader {
        word: "nifti_pair",
        doc: "NIfTI volumes as a header and an image file, plain or gzip.",
        formats: &[Format::Nifti],
        endings: &["hdr", "hdr.gz"],
        files: Files::Beside(several!(nifti::open_in)),
    },
    Reader {
        word: "gifti",
        doc: "GIFTI surfaces and what is measured on them, plain or gzip.",
        formats: &[Format::Gifti],
        endings: &["gii", "gii.gz"],
        files: Files::One(one!(gifti::open), |begin| begin.text().contains("<GIFTI")),
    },
    Reader {
        word: "mat",
        doc: "MATLAB files, 5 and 7.3.",
        formats: &[Format::Mat5, Format::Mat73],
        endings: &["mat"],
        files: Files::One(mat, |begin| begin.is_mat73() || begin.has(126, b"IM") || begin.has(126, b"MI")),
    },
    Reader {
        word: "npy",
        doc: "NumPy arrays.",
        formats: &[Format::Npy],
        endings: &["npy"],
        files: Files::One(one!(arrays::npy::open), |begin| begin.has(0, b"\x93NUMPY")),
    },
    Reader {
        word: "npz",
        doc: "NumPy archives.",
        formats: &[Format::Npz],
        endings: &["npz"],
        files: Files::One(one!(arrays::npz::open), Begin::is_npz),
    },
    Reader {
        word: "excel",
        doc: "Workbooks: .xlsx, .xlsb, .xls, .ods.",
        formats: &[Format::Excel],
        endings: &["xlsx", "xlsb", "xlsm", "xls", "ods"],
        files: Files::One(one!(excel::open), |begin| begin.is_zip() || begin.has(0, b"\xd0\xcf\x11\xe0")),
    },
    Reader {
        word: "parquet",
        doc: "Parquet tables.",
        formats: &[Format::Parquet],
        endings: &["parquet"],
        files: Files::One(one!(arrays::parquet::open), |begin| begin.has(0, b"PAR1")),
    },
    Reader {
        word: "arrow",
        doc: "Arrow IPC tables.",
        formats: &[Format::ArrowIpc],
        endings: &["arrow", "feather"],
        files: Files::One(one!(arrays::arrow_ipc::open), |begin| begin.has(0, b"ARROW1")),
    },
    Reader {
        word: "images",
        doc: "Pictures: PNG, JPEG, TIFF with one or many pages.",
        formats: &[Format::Picture],
        endings: &["png", "jpg", "jpeg", "tif", "tiff"],
        files: Files::One(one!(picture::open), Begin::is_picture),
    },
    Reader {
        word: "idx",
        doc: "IDX arrays, plain or gzip.",
        formats: &[Format::Idx],
        endings: &["idx", "idx1-ubyte", "idx3-ubyte"],
        files: Files::One(one!(idx::open), Begin::is_idx),
    },
    Reader {
        word: "safetensors",
        doc: "Weights of models as safetensors.",
        formats: &[Format::Safetensors],
        endings: &["safetensors"],
        files: Files::One(one!(arrays::safetensors::open), Begin::is_safetensors),
    },
    Reader {
        word: "onnx",
        doc: "Models as ONNX.",
        formats: &[Format::Onnx],
        endings: &["onnx"],
        files: Files::One(one!(arrays::onnx::open), Begin::is_onnx),
    },
    Reader {
        word: "position_tracking",
        doc: "Positions from video, as SpikeGadgets writes them.",
        formats: &[Format::PositionTracking],
        endings: &["videopositiontracking"],
        files: Files::One(one!(position_tracking::open), |begin| begin.has(0, b"<Start settings>")),
    },
    Reader {
        word: "graphml",
        doc: "Graphs as GraphML.",
        formats: &[Format::GraphMl],
        endings: &["graphml"],
        files: Files::One(one!(graphs::graphml::open), |begin| begin.text().contains("<graphml")),
    },
    Reader {
        word: "gml",
        doc: "Graphs as GML.",
        formats: &[Format::Gml],
        endings: &["gml"],
        files: Files::One(one!(graphs::gml::open), Begin::is_gml),
    },
    Reader {
        word: "edge_list",
        doc: "Graphs as lists of edges: source, target and weight in a line.",
        formats: &[Format::EdgeList],
        endings: &["edgelist"],
        files: Files::One(one!(graphs::edge_list::open), never),
    },
    Reader {
        word: "spike_text",
        doc: "Spike times as text: unit and time in a line, or blocks of times.",
        formats: &[Format::SpikeText],
        endings: &[],
        files: Files::One(|source, options| Ok(Arc::new(spike_text::open_with(source, options.time_unit, &options.limits)?)), never),
    },
    Reader {
        word: "csv",
        doc: "Tables as text, with commas, tabs, semicolons, spaces or aligned by blanks; plain or gzip.",
        formats: &[Format::Csv],
        endings: &["csv", "tsv", "csv.gz", "tsv.gz"],
        files: Files::One(|source, options| Ok(Arc::new(arrays::csv::open_with(source, &options.table, &options.limits)?)), never),
    },
    Reader {
        word: "bids",
        doc: "A BIDS tree, or the files of it that entities choose.",
        formats: &[Format::Bids],
        endings: &[],
        files: Files::Folder(
            |folder, _, options| bids::open_run(bids::open(Arc::clone(folder), &options.limits)?, options),
            |paths| paths.contains("dataset_description.json"),
        ),
    },
    Reader {
        word: "zarr",
        doc: "Zarr 2 and 3.",
        formats: &[Format::Zarr],
        endings: &["zarr"],
        files: Files::Folder(
            |folder, path, options| Ok(Arc::new(zarr::open(Arc::clone(folder), path, &options.limits)?)),
            |paths| ["zarr.json", ".zgroup", ".zarray"].into_iter().any(|name| paths.contains(name)),
        ),
    },
    Reader {
        word: "phy",
        doc: "Folders that Kilosort and Phy write.",
        formats: &[Format::Phy],
        endings: &[],
        files: Files::Folder(
            |folder, path, options| Ok(Arc::new(phy::open_with(folder, path, options.rate, &options.limits)?)),
            |paths| has(paths, "spike_times.npy"),
        ),
    },
    Reader {
        word: "suite2p",
        doc: "Folders that suite2p writes.",
        formats: &[Format::Suite2p],
        endings: &[],
        files: Files::Folder(
            |folder, path, options| Ok(Arc::new(suite2p::open_with(folder, path, options.rate, &options.limits)?)),
            |paths| has(paths, "F.npy") || has(paths, "spks.npy"),
        ),
    },
];

/// A file of HDF5 is one of NWB when it says so.
fn nwb_or_hdf5(source: Arc<dyn Source>, options: &Options) -> Result<Opened, FormatError> {
    let plain = hdf5::open(Arc::clone(&source), &options.limits)?;
    if plain.contents().item("@nwb_version").is_some() { Ok(Arc::new(nwb::open(source, &options.limits)?)) } else { Ok(Arc::new(plain)) }
}

fn mat(source: Arc<dyn Source>, options: &Options) -> Result<Opened, FormatError> {
    match Begin::of(source.as_ref())?.is_hdf5() {
        true => Ok(Arc::new(mat73::open(source, &options.limits)?)),
        false => Ok(Arc::new(arrays::mat5::open(source, &options.limits)?)),
    }
}

/// The document in a file, by its first bytes.
///
/// # Errors
/// When no format is known by these bytes, or the file is not what it begins as.
pub fn open(source: Arc<dyn Source>, options: &Options) -> Result<Opened, FormatError> {
    let begin = Begin::of(source.as_ref())?;
    for reader in READERS {
        if let Files::One(open, is) = &reader.files
            && is(&begin)
        {
            return open(source, options);
        }
    }
    if let Some(error) = begin.unread() {
        return Err(error);
    }
    let (reason, help) = match begin.text() {
        _ if begin.bytes.is_empty() => ("the file is empty", "copy or download it again"),
        "" => ("no format is known that begins like this", "name its reader; docs/formats.md lists them"),
        _ => ("this is a text, and does not say of what", "name its reader: `csv`, `spike_text` or `edge_list`"),
    };
    Err(FormatError::new(Format::Unknown, Place::Byte(0), reason, help))
}

/// The document in several files that belong together.
///
/// # Errors
/// When they are of no format that is known, or one is damaged.
pub fn open_folder(folder: Arc<dyn Folder>, options: &Options) -> Result<Opened, FormatError> {
    let paths = folder.paths().map_err(|error| {
        let reason = format!("the folder can't be listed: {error}");
        FormatError::new(Format::Unknown, Place::File, reason, "see that it is still there and can be read")
    })?;
    // A header that names others is known by its ending: that is how its format finds them.
    let headers: Vec<(&String, OpenFolder)> = paths
        .iter()
        .filter_map(|path| {
            READERS.iter().find_map(|reader| match reader.files {
                Files::Beside(open) if reader.ends(path) => Some((path, open)),
                _ => None,
            })
        })
        .collect();
    let all: BTreeSet<String> = paths.iter().cloned().collect();
    for reader in READERS {
        if let Files::Folder(open, is) = &reader.files
            && is(&all)
        {
            return open(&folder, "", options);
        }
    }
    match headers.as_slice() {
        [(path, open)] => open(&folder, path, options),
        [] => Err(FormatError::new(
            Format::Unknown,
            Place::File,
            "these files are of no format that is known as a folder",
            "name one of the files, or the reader",
        )),
        several => {
            let names = several.iter().take(4).map(|(path, _)| format!("`{path}`")).collect::<Vec<_>>().join(", ");
            let reason = format!("the folder holds {} recordings", several.len());
            Err(FormatError::new(Format::Unknown, Place::File, reason, format!("name one of them: {names}")))
        }
    }
}

impl Reader {
    /// How a name ends, as it stands there, when it is an ending of its files.
    pub fn ending<'n>(&self, name: &'n str) -> Option<&'n str> {
        let found = self.endings.iter().filter_map(|ending| {
            let at = name.len().checked_sub(ending.len()).filter(|at| name.is_char_boundary(*at))?;
            (name[at..].eq_ignore_ascii_case(ending) && name[..at].ends_with('.')).then(|| &name[at..])
        });
        found.max_by_key(|ending| ending.len())
    }

    fn ends(&self, name: &str) -> bool {
        self.ending(name).is_some()
    }
}

/// The reader of files that are called so, for a list of what may be there: what a file is, its first bytes say when it is opened.
pub fn reader_of_name(name: &str) -> Option<&'static Reader> {
    READERS.iter().find(|reader| !matches!(reader.files, Files::Folder(..)) && reader.ends(name))
}

/// The reader of a folder that is called so and holds these files and folders, by their names.
pub fn reader_of_folder(name: &str, names: &BTreeSet<String>) -> Option<&'static Reader> {
    READERS.iter().find(|reader| match reader.files {
        Files::Folder(_, is) => reader.ends(name) || is(names),
        _ => false,
    })
}

/// Whether a file of this name has others beside it, for a reader or by its ending.
pub fn is_beside(reader: Option<&str>, name: &str) -> bool {
    READERS.iter().any(|known| match known.files {
        Files::Beside(_) => reader.map_or_else(|| known.ends(name), |reader| reader == known.word),
        _ => false,
    })
}

/// The document in a file that is called `name`, for a reader, or by what the file says itself; a text by the ending of its name.
///
/// # Errors
/// As [`open`]; and when there is no such reader, or it reads several files.
pub fn open_as(reader: Option<&str>, name: &str, source: Arc<dyn Source>, options: &Options) -> Result<Opened, FormatError> {
    // A table of text has no mark of its own.
    let by_ending = || reader_of_name(name).map(|reader| reader.word).filter(|word| *word == "csv");
    let Some(word) = reader.or_else(by_ending) else { return open(source, options).map_err(|error| of_pair(error, name)) };
    match find(word)?.files {
        Files::One(open, _) => match Begin::of(source.as_ref())?.unread() {
            Some(error) => Err(error),
            None => open(source, options),
        },
        Files::Beside(..) | Files::Folder(..) => {
            let reason = format!("`{word}` reads several files, and this is one");
            Err(FormatError::new(Format::Unknown, Place::File, reason, "name the folder, or the header among the files"))
        }
    }
}

/// The same error, or the one for the voxels of a pair, which have no mark: their header has.
fn of_pair(error: FormatError, name: &str) -> FormatError {
    let name = name.to_lowercase();
    if error.format != Format::Unknown || !(name.ends_with(".img") || name.ends_with(".img.gz")) {
        return error;
    }
    let reason = "an `.img` holds the voxels of a pair of files, and does not say what they are";
    FormatError::new(
        Format::Unknown,
        Place::File,
        reason,
        "name the `.hdr` beside it; one of Analyze 7.5 is converted to NIfTI first, with `nibabel` or `fslchfiletype`",
    )
}

/// The document in several files, of which `named` was named; nothing stands for the folder.
///
/// # Errors
/// As [`open_folder`]; and when there is no such reader, or it reads one file.
pub fn open_folder_as(reader: Option<&str>, folder: Arc<dyn Folder>, named: &str, options: &Options) -> Result<Opened, FormatError> {
    let by_ending = || READERS.iter().find(|reader| matches!(reader.files, Files::Beside(_)) && reader.ends(named));
    let reader = match reader {
        Some(word) => Some(find(word)?),
        None => by_ending(),
    };
    match reader.map(|reader| (reader.word, reader.files)) {
        None => open_folder(folder, options),
        Some((_, Files::Beside(open) | Files::Folder(open, _))) => open(&folder, named, options),
        Some((word, Files::One(..))) => {
            let reason = format!("`{word}` reads one file, and this is a folder");
            Err(FormatError::new(Format::Unknown, Place::File, reason, "name a file in it"))
        }
    }
}

/// The word of the reader whose documents are of a format.
pub fn word_of(format: Format) -> Option<&'static str> {
    READERS.iter().find(|reader| reader.formats.contains(&format)).map(|reader| reader.word)
}

fn find(word: &str) -> Result<&'static Reader, FormatError> {
    READERS.iter().find(|reader| reader.word == word).ok_or_else(|| {
        let list = READERS.iter().map(|reader| reader.word).collect::<Vec<_>>().join(", ");
        FormatError::new(Format::Unknown, Place::File, format!("there is no reader `{word}`"), format!("there are {list}"))
    })
}
