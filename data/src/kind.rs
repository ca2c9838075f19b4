//! The kinds of artifact, the nouns of the language.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// What an artifact is. The name is the type's name in a pipeline file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
pub enum Kind {
    /// Rows and named columns.
    Table,
    /// Continuous signals `[channel × sample]` with a sampling rate.
    Recording,
    /// Spike times by unit.
    Spikes,
    /// Times with labels.
    Events,
    /// Trial-aligned activity `[trial × unit × bin]` with trial columns.
    Responses,
    /// A dense array with named axes.
    Tensor,
    /// Model activations `[stimulus × feature]`.
    Features,
    /// Representational dissimilarity matrices `[rdm × condition × condition]`.
    Rdm,
    /// Weighted edges between named nodes.
    Graph,
    /// A partition of named nodes.
    Communities,
    /// Fitted parameters.
    Model,
    /// Scores with chance level, interval and controls.
    Scores,
    /// A drawing.
    Figure,
    /// Pictures.
    Images,
    /// One file, as bytes.
    File,
    /// Several files under names.
    Dir,
}

impl Kind {
    /// Every kind, in the order of the language page.
    pub const ALL: [Kind; 16] = [
        Kind::Table,
        Kind::Recording,
        Kind::Spikes,
        Kind::Events,
        Kind::Responses,
        Kind::Tensor,
        Kind::Features,
        Kind::Rdm,
        Kind::Graph,
        Kind::Communities,
        Kind::Model,
        Kind::Scores,
        Kind::Figure,
        Kind::Images,
        Kind::File,
        Kind::Dir,
    ];

    /// The name in a pipeline file.
    pub fn name(self) -> &'static str {
        match self {
            Kind::Table => "Table",
            Kind::Recording => "Recording",
            Kind::Spikes => "Spikes",
            Kind::Events => "Events",
            Kind::Responses => "Responses",
            Kind::Tensor => "Tensor",
            Kind::Features => "Features",
            Kind::Rdm => "Rdm",
            Kind::Graph => "Graph",
            Kind::Communities => "Communities",
            Kind::Model => "Model",
            Kind::Scores => "Scores",
            Kind::Figure => "Figure",
            Kind::Images => "Images",
            Kind::File => "File",
            Kind::Dir => "Dir",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl FromStr for Kind {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Kind::ALL.into_iter().find(|kind| kind.name() == text).ok_or_else(|| format!("`{text}` is not a kind of artifact"))
    }
}
