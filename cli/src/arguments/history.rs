//! What can be typed about runs that were: `diff`, `log`, `compare`.

use clap::{Args, ValueEnum};
use std::path::PathBuf;

/// `neuroflow diff`.
#[derive(Debug, Args)]
pub struct Diff {
    /// The first side: a run, a revision (its latest run), or `.` for the pipeline as it is now.
    #[arg(default_value = "latest")]
    pub before: String,
    /// The second side.
    #[arg(default_value = ".")]
    pub after: String,
    /// The pipeline file, when a revision has runs of several, or `.` is not the file of the other side.
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// Everything as JSON.
    #[arg(long)]
    pub json: bool,
    /// A page with the figures that differ side by side, written to this file.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub html: Option<PathBuf>,
}

/// `neuroflow log`.
#[derive(Debug, Args)]
pub struct Log {
    /// The step, with a member or a metric if wanted: `direction`, `direction["m1"]`, `direction.kappa`.
    pub step: String,
    /// The pipeline file, when several have such a step.
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// How many lines.
    #[arg(short, default_value_t = 40)]
    pub n: usize,
    /// Every run, and not only the latest of each commit.
    #[arg(long)]
    pub all: bool,
    /// As JSON, a line each.
    #[arg(long)]
    pub json: bool,
}

/// `neuroflow compare`.
#[derive(Debug, Args)]
pub struct Compare {
    /// Runs or revisions, one column each; with a single one, the members of its loops are the columns.
    #[arg(required = true)]
    pub runs: Vec<String>,
    /// Only these steps.
    #[arg(long, value_name = "STEP")]
    pub step: Vec<String>,
    /// Only these metrics; the first of each step unless given.
    #[arg(long, value_name = "METRIC")]
    pub metric: Vec<String>,
    /// The form of the table.
    #[arg(long = "as", value_enum, default_value_t = TableFormat::Text)]
    pub format: TableFormat,
    /// Where to write it; default: the terminal.
    #[arg(short, long)]
    pub out: Option<PathBuf>,
}

/// The form of a table.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum TableFormat {
    /// For a terminal.
    Text,
    /// Comma-separated values: a row for each score, with its interval, chance and control.
    Csv,
    /// A table in Markdown.
    Markdown,
    /// A `tabular` of LaTeX (with `booktabs`).
    Latex,
}

/// `neuroflow cite`.
#[derive(Debug, Args)]
pub struct Cite {
    /// The run, or a revision that ran.
    #[arg(default_value = "latest")]
    pub run: String,
    /// The form.
    #[arg(long = "as", value_enum, default_value_t = CitationFormat::Bibtex)]
    pub format: CitationFormat,
}

/// The form of citations.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CitationFormat {
    /// BibTeX.
    Bibtex,
    /// A CITATION.cff.
    Cff,
}

/// `neuroflow export`.
#[derive(Debug, Args)]
pub struct Export {
    /// The run, or a revision that ran.
    #[arg(default_value = "latest")]
    pub run: String,
    /// The folder to make.
    #[arg(short, long, value_name = "DIR")]
    pub out: PathBuf,
    /// The form.
    #[arg(long = "as", value_enum, default_value_t = ExportForm::RoCrate)]
    pub form: ExportForm,
    /// With everything that another machine needs to make the results again without a network: `cache.tar`, which carries the record as it was written, with
    /// the command line, and changes that were not committed.
    #[arg(long)]
    pub bundle: bool,
    /// Results up to this size are written, larger ones are only named, in MB.
    #[arg(long, value_name = "MB", default_value_t = 64)]
    pub largest_mb: u64,
    /// The licence of the results, as an address or a name.
    #[arg(long, default_value = "https://creativecommons.org/licenses/by/4.0/")]
    pub licence: String,
}

/// What a run is written as.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ExportForm {
    /// An RO-Crate: pipeline, results, scores, reports and provenance.
    RoCrate,
    /// A derivative dataset of BIDS: results by subject, called after the recordings of the BIDS trees that the run took.
    Bids,
}

/// `neuroflow keep`.
#[derive(Debug, Args)]
pub struct Keep {
    /// The run, or a revision that ran.
    #[arg(default_value = "latest")]
    pub run: String,
    /// The name that it is kept under; its id unless given.
    #[arg(long, value_name = "NAME")]
    pub tag: Option<String>,
    /// Why it is kept.
    #[arg(long, value_name = "TEXT")]
    pub note: Option<String>,
    /// What is kept here; nothing is done.
    #[arg(long)]
    pub list: bool,
}
