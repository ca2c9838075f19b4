//! What is in a file, as values that analyses start from: `ingest.recording`, `events`, `spikes`, `table`, `array`, `graph`.
//!
//! Each takes a file of any format that is known, or several that belong together, and a path where it holds more than one thing of the sort.

pub mod array;
pub mod events;
pub mod graph;
pub mod recording;
pub mod spikes;
pub mod table;

use neuroflow_data::{Artifact, Payload};
use neuroflow_formats::{Format, FormatError, Opened, Options, Place, Source};
use neuroflow_stage::params::{Either, Hertz};
use neuroflow_stage::{Inputs, StageError, words};
use std::sync::Arc;

/// What the manual says of the input of all these stages.
pub(crate) const FILE: &str =
    "A file, or several that belong together, as a reader gives them: `nwb(\"…\")`, `edf(\"…\")`, `brainvision(\"…\")`, ….";

words! {
    /// What the file says.
    pub enum Stated {
        /// As the file says.
        Stated = "stated" {},
    }
}

words! {
    /// What to do with a file that is damaged, and yet can be read in part.
    pub enum Damaged {
        /// Refuse it.
        Refuse = "refuse" {},
        /// Take what can be read.
        Accept = "accept" {},
    }
}

impl Default for Damaged {
    fn default() -> Damaged {
        Damaged::Refuse {}
    }
}

/// The rate in hertz, where the pipeline says it.
pub(crate) fn rate_of(given: &Either<Stated, Hertz>) -> Option<f64> {
    match given {
        Either::Left(_) => None,
        Either::Right(rate) => Some(rate.0),
    }
}

/// What a file does not say itself.
#[derive(Debug, Clone, Default)]
pub(crate) struct Unsaid {
    /// The reader of a text that does not say what it is.
    pub(crate) reader: Option<&'static str>,
    pub(crate) options: Options,
    pub(crate) damaged: Damaged,
}

/// The document that a stage is given.
///
/// # Errors
/// When its bytes are of no format that is known, or damaged: where something is left that can be read, unless that is to be taken.
pub(crate) fn document(inputs: &Inputs, unsaid: &Unsaid) -> Result<Opened, StageError> {
    let artifact: &Artifact = inputs.artifact("file").ok_or_else(|| StageError::Bug("input `file` was not given".into()))?;
    let opened = match artifact.payload() {
        Payload::Bytes(bytes) => {
            let source = Arc::new(bytes.clone());
            match neuroflow_formats::open(Arc::clone(&source) as Arc<dyn Source>, &unsaid.options) {
                Err(error) if error.format == Format::Unknown && unsaid.reader.is_some() && !bytes.is_empty() => {
                    neuroflow_formats::open_as(unsaid.reader, "", source, &unsaid.options)
                }
                opened => opened,
            }
        }
        Payload::Tree(tree) => neuroflow_formats::open_folder(Arc::new(tree.clone()), &unsaid.options),
        Payload::Batch(_) => return Err(StageError::Bug("a file was expected".into())),
    }
    .map_err(refused)?;
    if unsaid.damaged == (Damaged::Refuse {}) {
        opened.contents().whole().map_err(refused)?;
    }
    Ok(opened)
}

/// A reader's error as a refusal.
pub(crate) fn refused(error: FormatError) -> StageError {
    let FormatError { format, place, reason, help } = error;
    let format = if format == Format::Unknown { String::new() } else { format!("{format}: ") };
    let place = if place == Place::File { String::new() } else { format!("{place}: ") };
    StageError::refused_with_help(format!("{format}{place}{reason}"), help)
}
