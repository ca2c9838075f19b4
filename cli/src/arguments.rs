//! What can be typed after `neuroflow`.

pub mod history;

use clap::{Args, Parser, Subcommand, ValueEnum};
use neuroflow_data::export::ExportFormat;
use neuroflow_engine::program::SandboxWish;
use neuroflow_engine::select::Selection;
use neuroflow_formats::write::Form;
use std::path::PathBuf;

/// Typed, content-addressed pipelines for brain data: every score with its chance level and its control.
#[derive(Debug, Parser)]
#[command(name = "neuroflow", version, arg_required_else_help = true, disable_help_subcommand = true)]
pub struct Arguments {
    /// Where results are kept; default: NEUROFLOW_CACHE, or the user's cache folder.
    #[arg(long, global = true, value_name = "DIR")]
    pub cache_dir: Option<PathBuf>,
    /// Never use the network.
    #[arg(long, global = true)]
    pub offline: bool,
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Run a pipeline; what is known already is not run again.
    Run(Run),
    /// Find every mistake of a pipeline without running it.
    Check {
        /// The pipeline files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Set a parameter: `--set name=value`.
        #[arg(long, value_name = "NAME=VALUE")]
        set: Vec<String>,
        /// How mistakes are printed.
        #[arg(long, value_enum, default_value_t = MessageFormat::Text)]
        format: MessageFormat,
    },
    /// Lay a pipeline out in the one style.
    Fmt {
        /// The pipeline files.
        #[arg(required = true)]
        files: Vec<PathBuf>,
        /// Change nothing; fail when a file is not in the style.
        #[arg(long)]
        check: bool,
    },
    /// Draw a pipeline's steps.
    Graph {
        /// The pipeline file.
        file: PathBuf,
        /// The form of the drawing.
        #[arg(long = "as", value_enum, default_value_t = GraphFormat::Svg)]
        format: GraphFormat,
        /// Where to write it; default: the terminal.
        #[arg(short, long)]
        out: Option<PathBuf>,
    },
    /// The manual page of a stage, a control, or a topic.
    Doc {
        /// Its name, such as `decode.classify`.
        name: String,
    },
    /// All stages, one a line.
    Stages,
    /// Why a step would run, or which run gave its result.
    Explain(Explain),
    /// All runs, newest first.
    Runs {
        /// How many.
        #[arg(short, default_value_t = 20)]
        n: usize,
    },
    /// One run: scores, inputs, times.
    Show {
        /// Its id, the beginning of it, the name that it is kept under, or a revision that ran; `latest` for the latest one of the working tree, `newest` for
        /// the one that was recorded last.
        #[arg(default_value = "latest")]
        run: String,
        /// The whole record as JSON.
        #[arg(long)]
        json: bool,
    },
    /// What is in a file or folder of data, here or at an address: shapes, units, rates, missing values, and how to read it in a pipeline.
    Inspect(Inspect),
    /// Any result of any run, as a file.
    Get(Get),
    /// What differs between two runs or revisions: which steps, why, and how every score moved.
    Diff(history::Diff),
    /// The history of one result over commits.
    Log(history::Log),
    /// Scores as a table for a paper: runs or data sets side by side.
    Compare(history::Compare),
    /// Keep a run as a small text beside the pipelines (runs/NAME.json), for the repository, and pin its results.
    Keep(history::Keep),
    /// What to cite for a run: data, software, methods.
    Cite(history::Cite),
    /// Write a run as an RO-Crate, with its pipeline, results, scores and provenance, or as a derivative dataset of BIDS.
    Export(history::Export),
    /// Find the commit from which on a condition on scores holds. Exit codes: 0 one commit, 1 one of several, 2 a wrong condition, 4 nothing to look for.
    Bisect(Bisect),
    /// Compute a run again, apart from the cache, and compare. Exit codes: 0 all is as recorded, 1 something is not.
    Verify(Verify),
    /// Look after the cache.
    Cache {
        /// What to do with it.
        #[command(subcommand)]
        command: CacheCommand,
    },
    /// Data sets by name.
    Data {
        /// What to do with them.
        #[command(subcommand)]
        command: DataCommand,
    },
    /// Offer a change of a pipeline for approval: with what it changes, what would run, and what that costs. Nothing is changed.
    Propose(Propose),
    /// Talk about a pipeline with a language model, which can look, and propose changes that you decide on.
    Chat(Chat),
    /// Proposals: what waits for an answer, what was answered, and the proof of it.
    Agent {
        /// What to do.
        #[command(subcommand)]
        command: AgentCommand,
    },
    /// Serve the project to clients of the Model Context Protocol: they look, and propose; a person decides. Over standard input and output unless `--http`.
    Mcp(Mcp),
    /// Show on a page on this machine what runs, how scores went over runs, and proposals that wait.
    Serve(Serve),
    /// What this machine offers: cores, GPU adapters, cache, mirrors.
    Doctor,
    /// What the runs in this cache are doing, and what waits for what.
    Top {
        /// Say it once; otherwise it is shown anew every second until Ctrl-C.
        #[arg(long)]
        once: bool,
        /// As JSON; implies `--once`.
        #[arg(long)]
        json: bool,
    },
    /// Perform orders: the other end of `isolate = process` and of a cluster's jobs. Not for people.
    #[command(hide = true)]
    Worker {
        /// The orders of a job array; without it they come from standard input.
        #[arg(long, requires = "index")]
        manifest: Option<PathBuf>,
        /// Which element of the array.
        #[arg(long, requires = "manifest")]
        index: Option<usize>,
        /// The sandbox of programs, as the run has it.
        #[arg(long)]
        sandbox: Option<SandboxWish>,
        /// Processes that a program may have at once, as the run has it.
        #[arg(long)]
        processes: Option<u64>,
    },
}

/// `neuroflow run`.
#[derive(Debug, Args)]
pub struct Run {
    /// The pipeline file.
    #[arg(required_unless_present = "at")]
    pub file: Option<PathBuf>,
    /// Run it as it was at a git revision, or with the files that an earlier run had, by the run's id or the name that it is kept under. The working tree is
    /// not touched.
    #[arg(long, value_name = "REV|RUN")]
    pub at: Option<String>,
    /// Set a parameter: `--set name=value`.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// Say what would run, and why; run nothing.
    #[arg(long, visible_alias = "dry")]
    pub dry_run: bool,
    /// The number of cores; default: all.
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub cores: Option<u16>,
    /// Where steps run: a profile of neuroflow.toml.
    #[arg(long, value_name = "PROFILE")]
    pub on: Option<String>,
    /// The size of a named pool: `--pool licence=2`.
    #[arg(long, value_name = "NAME=N")]
    pub pool: Vec<String>,
    /// Write a timeline of the run, for chrome://tracing or Perfetto.
    #[arg(long, value_name = "FILE")]
    pub profile: Option<PathBuf>,
    /// Switch controls off, for drafts; recorded as such.
    #[arg(long, value_enum, default_value_t = Switch::On)]
    pub controls: Switch,
    /// Only this step and what it needs; `direction` or `direction["mouse"]`. May be given several times, as may the next three.
    #[arg(long, value_name = "STEP")]
    pub until: Vec<String>,
    /// Only this step; what it needs must be in the cache.
    #[arg(long, value_name = "STEP")]
    pub only: Vec<String>,
    /// Compute this step and all that follow from it again.
    #[arg(long, value_name = "STEP")]
    pub from: Vec<String>,
    /// Compute this step again; what follows runs again only if its result changes.
    #[arg(long, value_name = "STEP")]
    pub force: Vec<String>,
    /// Go on with steps that do not need a failed one.
    #[arg(long)]
    pub keep_going: bool,
    /// Where reports are written; default: `reports`, and with `--at` nowhere.
    #[arg(long, value_name = "DIR")]
    pub out: Option<PathBuf>,
    /// Write the figures of the reports there too, as SVG, PNG, CSV and JSON.
    #[arg(long, value_name = "DIR")]
    pub figures: Option<PathBuf>,
    /// Print only the result.
    #[arg(long, short)]
    pub quiet: bool,
    /// How mistakes are printed.
    #[arg(long, value_enum, default_value_t = MessageFormat::Text)]
    pub format: MessageFormat,
}

impl Run {
    /// A run of a file with nothing else said.
    pub(crate) fn of(file: &std::path::Path) -> Run {
        Run {
            file: Some(file.to_path_buf()),
            at: None,
            set: Vec::new(),
            dry_run: false,
            cores: None,
            on: None,
            pool: Vec::new(),
            profile: None,
            controls: Switch::On,
            until: Vec::new(),
            only: Vec::new(),
            from: Vec::new(),
            force: Vec::new(),
            keep_going: false,
            out: None,
            figures: None,
            quiet: false,
            format: MessageFormat::Text,
        }
    }

    /// The steps that are asked for.
    pub(crate) fn selection(&self) -> Selection {
        Selection { until: self.until.clone(), only: self.only.clone(), from: self.from.clone(), force: self.force.clone() }
    }
}

/// `neuroflow inspect`.
#[derive(Debug, Args)]
pub struct Inspect {
    /// A file, a folder, or an address: `https://…`, `s3://…`, `dandi:000021/…`, `openneuro:ds000117/…`.
    pub what: String,
    /// One thing in it, by its path: its values, and all of its channels or columns.
    pub item: Option<String>,
    /// The reader, where the first bytes do not say: `csv`, `spike_text`, …
    #[arg(long = "as", value_name = "READER")]
    pub reader: Option<String>,
    /// Ask a question of the tables in it: `select … from trials where …`. Paths with `/` stand in double quotes.
    #[arg(long, value_name = "QUERY", conflicts_with_all = ["html", "json", "item"])]
    pub sql: Option<String>,
    /// Where the answer of `--sql` is written, by its ending: `.csv`, `.parquet`, `.arrow`, `.json`, `.npy`; default: the terminal.
    #[arg(long, short, value_name = "FILE", requires = "sql")]
    pub out: Option<PathBuf>,
    /// Write a page with figures.
    #[arg(long, value_name = "FILE", conflicts_with = "json")]
    pub html: Option<PathBuf>,
    /// As JSON.
    #[arg(long)]
    pub json: bool,
    /// Read all of it, and say what is damaged.
    #[arg(long, conflicts_with_all = ["sql", "html", "json", "item"])]
    pub check: bool,
    /// How many rows of a table are shown.
    #[arg(long, default_value_t = 10, value_name = "N")]
    pub rows: usize,
}

/// `neuroflow bisect`.
#[derive(Debug, Args)]
pub struct Bisect {
    /// The pipeline file.
    pub file: PathBuf,
    /// The condition that should not hold, as after `expect`: `scene.accuracy < 0.5`.
    #[arg(long, value_name = "CONDITION")]
    pub bad: String,
    /// A commit at which it does not hold; default: none is known, and all of the history is searched.
    #[arg(long, value_name = "REV")]
    pub good: Option<String>,
    /// The newest commit that is searched, at which it holds.
    #[arg(long, value_name = "REV", default_value = "HEAD")]
    pub from: String,
    /// Set a parameter: `--set name=value`.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
    /// The number of cores; default: all.
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub cores: Option<u16>,
}

/// `neuroflow verify`.
#[derive(Debug, Args)]
pub struct Verify {
    /// The run: its id, the beginning of it, or `latest`.
    #[arg(default_value = "latest")]
    pub run: String,
    /// Only look at what is stored; compute nothing.
    #[arg(long)]
    pub stored: bool,
    /// The number of cores; default: all.
    #[arg(long, short = 'j', value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    pub cores: Option<u16>,
}

/// `neuroflow explain`.
#[derive(Debug, Args)]
pub struct Explain {
    /// The step, such as `direction["mrcuts28"]`, or the code of a mistake, such as `unit-mismatch`.
    pub what: String,
    /// The pipeline file; default: that of the latest run.
    #[arg(long)]
    pub file: Option<PathBuf>,
    /// Set a parameter: `--set name=value`.
    #[arg(long, value_name = "NAME=VALUE")]
    pub set: Vec<String>,
}

/// `neuroflow propose`.
#[derive(Debug, Args)]
pub struct Propose {
    /// A patch as `git diff` writes it, or a list of typed edits as JSON; `-` for standard input.
    pub file: PathBuf,
    /// The question that the change answers, in one sentence.
    #[arg(long, value_name = "TEXT")]
    pub because: Option<String>,
    /// What should hold after the run, as a condition: `direction.accuracy > 0.5`. May be given several times.
    #[arg(long, value_name = "CONDITION")]
    pub predict: Vec<String>,
    /// The pipeline that the change is about, when that is not plain.
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// How the card is printed.
    #[arg(long, value_enum, default_value_t = MessageFormat::Text)]
    pub format: MessageFormat,
}

/// `neuroflow mcp`.
#[derive(Debug, Args)]
pub struct Mcp {
    /// The pipeline that it is about; default: the only one of the folder.
    #[arg(long, value_name = "FILE")]
    pub pipeline: Option<PathBuf>,
    /// Serve over HTTP at this address of this machine, such as `127.0.0.1:8800`, with a token that is printed once.
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub http: Option<std::net::SocketAddr>,
    /// How many seconds a person may take with a form in the client; then the proposal waits on.
    #[arg(long, value_name = "SECONDS", default_value_t = 300, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub wait: u64,
}

/// `neuroflow serve`.
#[derive(Debug, Args)]
pub struct Serve {
    /// The port of this machine; 0 takes any that is free.
    #[arg(long, value_name = "PORT", default_value_t = 8799)]
    pub port: u16,
    /// Make a new link, and end the old one.
    #[arg(long)]
    pub new_link: bool,
}

/// `neuroflow chat`.
#[derive(Debug, Args)]
pub struct Chat {
    /// The pipeline file; the only one of the project unless given.
    pub file: Option<PathBuf>,
    /// Draft a pipeline from nothing but the data in this folder.
    #[arg(long)]
    pub new: bool,
    /// Ask once, print the answer, and end; what is proposed waits for `neuroflow agent review`.
    #[arg(long, value_name = "TEXT")]
    pub once: Option<String>,
    /// How the model is asked for calls: tools, object (held to a schema), words; tried out unless given.
    #[arg(long, value_name = "WAY")]
    pub way: Option<ModelWay>,
    /// Who speaks: terms are explained to a novice, and not to an expert.
    #[arg(long = "for", value_name = "WHO")]
    pub reader: Option<ReaderArgument>,
    /// Say again what was recorded in this folder; no model is asked.
    #[arg(long, value_name = "DIR", conflicts_with = "record")]
    pub replay: Option<PathBuf>,
    /// Record what the model answers, for `--replay`.
    #[arg(long, value_name = "DIR")]
    pub record: Option<PathBuf>,
}

/// Who a model speaks with.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ReaderArgument {
    /// Somebody who is new to this.
    Novice,
    /// Somebody who knows the field.
    Expert,
}

/// How a model is asked for calls.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum ModelWay {
    /// By its endpoint's own tools.
    Tools,
    /// By an object that is held to a schema.
    Object,
    /// In words.
    Words,
}

/// `neuroflow agent …`.
#[derive(Debug, Subcommand)]
pub enum AgentCommand {
    /// Show a proposal, and in a terminal ask what becomes of it.
    Review {
        /// Its id, or the beginning of it; without it, what waits.
        id: Option<String>,
        /// The form of the card.
        #[arg(long = "as", value_enum, default_value_t = CardFormat::Text)]
        r#as: CardFormat,
    },
    /// What was proposed, answered and done.
    Log {
        /// How many lines.
        #[arg(short, default_value_t = 40)]
        n: usize,
    },
    /// Prove that each commit of a proposal is what was approved, and that the ledger is whole.
    Verify {
        /// The commits, such as `main~10..`; all that lead here unless given.
        range: Option<String>,
    },
    /// How good predictions and estimates were.
    History,
    /// What a model is told about the project, without scores: the project, its data, the steps, or which results there are.
    Summarize {
        /// The pipeline; the only one of this folder unless given.
        pipeline: Option<PathBuf>,
        /// What of.
        #[arg(long, value_enum, default_value_t = SummaryOf::Project)]
        what: SummaryOf,
        /// 1 gives names, 2 gives calls and kinds, 3 gives everything that there is room for.
        #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u64).range(1..=3))]
        depth: u64,
    },
    /// Whether the model's endpoint answers, and how it can be asked.
    Doctor,
}

/// What `agent summarize` is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum SummaryOf {
    /// Pipelines, notes and proposals.
    Project,
    /// Inputs of the pipeline.
    Data,
    /// Steps and what they take.
    Dag,
    /// Runs, and which steps have scores.
    Results,
}

/// The form of a card.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum CardFormat {
    /// For a terminal.
    Text,
    /// Markdown.
    Markdown,
    /// A page.
    Html,
    /// For programs.
    Json,
}

/// `neuroflow get`.
#[derive(Debug, Args)]
pub struct Get {
    /// The step, with an output after a point when it is not the first: `direction["mrcuts28"].confusion`.
    pub what: String,
    /// The run.
    #[arg(long, default_value = "latest")]
    pub run: String,
    /// The file format: npy, csv, parquet, arrow, json, nwb, nifti, brainvision (.vhdr, with .vmrk and .eeg beside it), or the figure as svg or png; default: by the ending of the file's name.
    #[arg(long = "as", value_parser = clap::builder::ValueParser::new(|text: &str| text.parse::<FileForm>()))]
    pub format: Option<FileForm>,
    /// The file to write; `-` for the terminal.
    #[arg(short, long)]
    pub out: PathBuf,
}

/// The form of a file with a result.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileForm {
    /// Its values.
    Values(ExportFormat),
    /// A file of the field: NWB or NIfTI.
    OfTheField(Form),
    /// A recording as BrainVision: three files.
    BrainVision,
    /// Its figure, as SVG.
    Svg,
    /// Its figure, as PNG.
    Png,
}

impl std::str::FromStr for FileForm {
    type Err = String;

    fn from_str(text: &str) -> Result<FileForm, String> {
        match text {
            "svg" => Ok(FileForm::Svg),
            "png" => Ok(FileForm::Png),
            "brainvision" | "vhdr" => Ok(FileForm::BrainVision),
            "nwb" => Ok(FileForm::OfTheField(Form::Nwb)),
            "nifti" | "nii" => Ok(FileForm::OfTheField(Form::Nifti)),
            "nifti.gz" | "nii.gz" => Ok(FileForm::OfTheField(Form::NiftiGz)),
            other => other.parse().map(FileForm::Values).map_err(|told| format!("{told}, nwb, nifti, brainvision, svg, png")),
        }
    }
}

impl std::fmt::Display for FileForm {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            FileForm::Values(format) => write!(f, "{format}"),
            FileForm::OfTheField(form) => write!(f, "{form}"),
            FileForm::BrainVision => f.write_str("brainvision"),
            FileForm::Svg => f.write_str("svg"),
            FileForm::Png => f.write_str("png"),
        }
    }
}

/// `neuroflow cache …`.
#[derive(Debug, Subcommand)]
pub enum CacheCommand {
    /// Remove what was used least recently, by size or by age; what pinned runs and running processes use stays.
    #[command(group(clap::ArgGroup::new("what").required(true).multiple(true).args(["keep", "older_than"])))]
    Gc {
        /// The size to keep, such as `50GB`.
        #[arg(long, value_name = "SIZE")]
        keep: Option<String>,
        /// Remove what no run used for so long, such as `30d`.
        #[arg(long, value_name = "AGE")]
        older_than: Option<String>,
        /// Say what would be removed; remove nothing.
        #[arg(long)]
        dry_run: bool,
    },
    /// Read everything again and put what is damaged into quarantine.
    Verify,
    /// How large it is, and where.
    Stats,
    /// Keep all that a run names, whatever `gc` is asked for.
    Pin {
        /// Its id, the beginning of it, or `latest`.
        run: String,
    },
    /// Take a pin away.
    Unpin {
        /// Its id, the beginning of it, or `latest`.
        run: String,
    },
    /// The pinned runs.
    Pins,
    /// Write a run with everything it names to a file, for another cache.
    Export {
        /// Its id, the beginning of it, or `latest`.
        run: String,
        /// The file to write, a tar archive.
        #[arg(short, long, value_name = "FILE")]
        out: PathBuf,
    },
    /// Take in a file that `export` wrote.
    Import {
        /// The file.
        file: PathBuf,
    },
}

/// `neuroflow data …`.
#[derive(Debug, Subcommand)]
pub enum DataCommand {
    /// All data sets that pipelines may name.
    List,
    /// Get a data set into the cache.
    Get {
        /// Its name.
        name: String,
    },
    /// Check a data set in the cache against its digests.
    Verify {
        /// Its name.
        name: String,
    },
}

/// How mistakes are printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum MessageFormat {
    /// For people.
    Text,
    /// For programs.
    Json,
}

/// How a graph is drawn.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum GraphFormat {
    /// A picture.
    Svg,
    /// Mermaid, for Markdown.
    Mermaid,
    /// Graphviz.
    Dot,
}

/// On or off.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Switch {
    /// On.
    On,
    /// Off.
    Off,
}
