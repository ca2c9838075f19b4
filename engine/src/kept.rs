//! Runs that a project keeps beside its pipelines, as small texts that version control holds and merges: `runs/NAME.json`. A clone then knows the scores of
//! runs that its cache never saw.
//!
//! Each run is a file of its own, so two people who keep runs never touch the same lines. What is about one machine or one moment (the command line, times of
//! tasks, where reports were written) is left out, and of null draws their number, mean and deviation stay.

use crate::record::{Results, RunRecord, TaskRow, results};
use neuroflow_cache::Digest;
use neuroflow_data::{Kind, NullSummary, Score};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

/// The folder below the project's.
pub const FOLDER: &str = "runs";

/// The longest file that is read.
const LONGEST: u64 = 64 << 20;

/// A run that is kept.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// The version of this form.
    pub format: u32,
    /// Why it is kept, in a person's words.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub note: String,
    /// The run.
    pub run: RunRecord,
    /// What its steps gave; empty when no cache at hand knew that, as of runs that were kept before results were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub results: BTreeMap<String, Vec<KeptResult>>,
    /// What its methods are cited for: keys of a bibliography.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub methods: Vec<String>,
    /// Programs that were started, by step.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub programs: BTreeMap<String, String>,
}

/// A result of a step of a run that is kept.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptResult {
    /// The output; the first of a step is its default.
    pub output: String,
    /// What it is.
    pub kind: Kind,
    /// Its bytes.
    pub content: Digest,
}

impl Kept {
    /// What is kept of a record, with nothing yet of its results and methods.
    pub fn of(record: &RunRecord, note: &str) -> Kept {
        let (results, methods, programs) = (BTreeMap::new(), Vec::new(), BTreeMap::new());
        Kept { format: 1, note: note.to_owned(), run: small(record), results, methods, programs }
    }

    /// What its steps gave, by output.
    pub fn results(&self) -> Results {
        let outputs = |of: &[KeptResult]| of.iter().map(|one| (one.output.clone(), (one.kind, one.content))).collect();
        self.results.iter().map(|(step, of)| (step.clone(), outputs(of))).collect()
    }
}

/// What of results is kept, in the order of the steps' outputs.
pub fn small_results(rows: &[TaskRow]) -> BTreeMap<String, Vec<KeptResult>> {
    let mut all = BTreeMap::new();
    for (step, mut outputs) in results(rows).into_iter().filter(|(_, outputs)| !outputs.is_empty()) {
        let row = rows.iter().find(|row| row.label == step);
        let first = row.iter().flat_map(|row| &row.outputs).filter_map(|(name, ..)| outputs.remove_entry(name)).collect::<Vec<_>>();
        let ordered = first.into_iter().chain(outputs);
        all.insert(step, ordered.map(|(output, (kind, content))| KeptResult { output, kind, content }).collect());
    }
    all
}

/// Why a run is not kept, or can't be read.
#[derive(Debug, thiserror::Error)]
pub enum KeptError {
    /// A name that is no name of a file.
    #[error("`{0}` can't be the name of a run: letters, digits, `-`, `_` and `.` are allowed, at most 80, and no `.` at the beginning")]
    Name(String),
    /// The name is taken by another run.
    #[error("{0} keeps another run already: {1}")]
    Taken(PathBuf, String),
    /// Several runs that are kept have ids that begin so.
    #[error("the ids of several kept runs begin with `{0}`: {1}")]
    Several(String, String),
    /// The file can't be written or read.
    #[error("{0}: {1}")]
    File(PathBuf, io::Error),
    /// The file is no run that was kept.
    #[error("{0} is no run that was kept: {1}")]
    Form(PathBuf, String),
}

/// Whether a text can name a run that is kept.
fn is_name(name: &str) -> bool {
    let fits = |letter: u8| letter.is_ascii_alphanumeric() || matches!(letter, b'-' | b'_' | b'.');
    !name.is_empty() && name.len() <= 80 && !name.starts_with('.') && name.bytes().all(fits)
}

/// Where a run of this name is kept.
///
/// # Errors
/// [`KeptError::Name`].
fn place(root: &Path, name: &str) -> Result<PathBuf, KeptError> {
    match is_name(name) {
        true => Ok(root.join(FOLDER).join(format!("{name}.json"))),
        false => Err(KeptError::Name(name.to_owned())),
    }
}

/// What of a record is kept.
fn small(record: &RunRecord) -> RunRecord {
    let mut small = RunRecord {
        ran: Vec::new(),
        reports: Vec::new(),
        pages: Vec::new(),
        costs: BTreeMap::new(),
        wall_ms: 0.0,
        ..record.without_machine()
    };
    small.scores.values_mut().for_each(|scores| small_scores(scores));
    small
}

/// What of scores is kept: of null draws their number, mean and deviation.
pub(crate) fn small_scores(scores: &mut [Score]) {
    for control in scores.iter_mut().flat_map(|score| score.controls.iter_mut()) {
        if control.summary.is_none() {
            control.summary = Some(NullSummary { draws: control.draws() as u64, mean: control.mean(), sd: control.sd() });
            control.null.clear();
        }
    }
}

/// Keeps a run under a name. Gives the file; keeping the same run again changes only its note.
///
/// # Errors
/// See [`KeptError`].
pub fn keep(root: &Path, name: &str, mut kept: Kept) -> Result<PathBuf, KeptError> {
    let path = place(root, name)?;
    if path.exists() {
        let known = read(&path)?;
        if known.run.id != kept.run.id {
            return Err(KeptError::Taken(path, known.run.id));
        }
        if kept.results.is_empty() {
            // Whoever kept it first knew more than this cache does.
            kept = Kept { note: kept.note, run: kept.run, ..known };
        }
    }
    let mut text = serde_json::to_string_pretty(&kept).map_err(|error| KeptError::Form(path.clone(), error.to_string()))?;
    text.push('\n');
    let failed = |error| KeptError::File(path.clone(), error);
    std::fs::create_dir_all(root.join(FOLDER)).map_err(failed)?;
    let aside = root.join(FOLDER).join(format!(".{name}.{}.new", std::process::id()));
    std::fs::write(&aside, text).and_then(|()| std::fs::rename(&aside, &path)).map_err(|error| {
        let _ = std::fs::remove_file(&aside);
        KeptError::File(path.clone(), error)
    })?;
    Ok(path)
}

fn read(path: &Path) -> Result<Kept, KeptError> {
    let failed = |error| KeptError::File(path.to_path_buf(), error);
    if std::fs::metadata(path).map_err(failed)?.len() > LONGEST {
        return Err(KeptError::Form(path.to_path_buf(), "it is too long".into()));
    }
    let text = std::fs::read_to_string(path).map_err(failed)?;
    let kept: Kept = serde_json::from_str(&text).map_err(|error| KeptError::Form(path.to_path_buf(), error.to_string()))?;
    let is_id = kept.run.id.len() <= 40 && kept.run.id.bytes().all(|letter| letter.is_ascii_alphanumeric() || letter == b'-');
    if !is_id {
        return Err(KeptError::Form(path.to_path_buf(), "its `id` is none of a run".into()));
    }
    match kept.format {
        1 => Ok(kept),
        other => Err(KeptError::Form(path.to_path_buf(), format!("it has form {other}, this is for form 1: a newer neuroflow wrote it"))),
    }
}

/// All runs that are kept, by name; those that can't be read, with why.
pub fn all(root: &Path) -> (BTreeMap<String, Kept>, Vec<KeptError>) {
    let (mut found, mut wrong) = (BTreeMap::new(), Vec::new());
    for entry in std::fs::read_dir(root.join(FOLDER)).into_iter().flatten().flatten() {
        let path = entry.path();
        let name = path.file_name().and_then(|name| name.to_str()).and_then(|name| name.strip_suffix(".json")).map(str::to_owned);
        let Some(name) = name.filter(|name| is_name(name)) else { continue };
        match read(&path) {
            Ok(kept) => {
                found.insert(name, kept);
            }
            Err(error) => wrong.push(error),
        }
    }
    (found, wrong)
}

/// A run that is kept, by its name or the beginning of its id; with its name.
///
/// # Errors
/// When its file can't be read, or several runs begin so.
pub fn find(root: &Path, word: &str) -> Result<Option<(String, Kept)>, KeptError> {
    if is_name(word) && place(root, word)?.is_file() {
        return read(&place(root, word)?).map(|kept| Some((word.to_owned(), kept)));
    }
    let is_meant = |kept: &Kept| word.len() >= 10 && kept.run.id.starts_with(word);
    let mut found: Vec<(String, Kept)> = all(root).0.into_iter().filter(|(_, kept)| is_meant(kept)).collect();
    // One run may be kept under two names.
    found.dedup_by(|a, b| a.1.run.id == b.1.run.id);
    if found.len() > 1 {
        let names = found.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
        return Err(KeptError::Several(word.to_owned(), names));
    }
    Ok(found.pop())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_can_not_lead_out_of_the_folder() {
        for name in ["", ".hidden", "../x", "a/b", "a\\b", "ä", &"x".repeat(81)] {
            assert!(matches!(place(Path::new("."), name), Err(KeptError::Name(_))), "{name}");
        }
        assert_eq!(place(Path::new("p"), "paper-v1.2").unwrap(), Path::new("p/runs/paper-v1.2.json"));
    }
}
