//! A pipeline and the files that it is run with: those of now, those of a revision, or those that an earlier run had.

use super::{check_with, read_pipeline, registry_with};
use crate::exit::Failure;
use crate::meant;
use neuroflow_cache::Cache;
use neuroflow_dsl::Checked;
use neuroflow_engine::Digest;
use neuroflow_engine::files::{ProjectFiles, Revision};
use neuroflow_engine::git::{GitError, short};
use neuroflow_engine::home;
use neuroflow_engine::latest::{LATEST, NEWEST};
use neuroflow_engine::record::RunRecord;
use neuroflow_engine::session::{RunInfo, Session};
use neuroflow_stage::Registry;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A pipeline with its files.
pub(crate) struct Source {
    /// The pipeline file as it was given: what a record calls it.
    pub(crate) file: PathBuf,
    /// What messages call it.
    pub(crate) shown: PathBuf,
    pub(crate) text: String,
    pub(crate) files: Arc<ProjectFiles>,
    /// Parameters that are set.
    pub(crate) set: Vec<(String, String)>,
    /// False when the run whose files these are had no controls.
    pub(crate) controls: bool,
}

impl Source {
    /// The files of now.
    pub(crate) fn now(file: &Path, set: Vec<(String, String)>) -> Result<Source, Failure> {
        let working = std::env::current_dir().map_err(Failure::could_not_start)?;
        let text = read_pipeline(file)?;
        let files = Arc::new(ProjectFiles::now(&working, file));
        Ok(Source { file: file.to_path_buf(), shown: file.to_path_buf(), text, files, set, controls: true })
    }

    /// What `--at` names: a run by its id or the name that it is kept under, or a revision as git understands it.
    pub(crate) fn at(session: &mut Session, at: &str, file: Option<&Path>, set: Vec<(String, String)>) -> Result<Source, Failure> {
        // The beginning of a commit's name may look like the beginning of an id.
        let (mut run, mut unknown) = (None, None);
        if is_run_id(at) || at == LATEST || at == NEWEST {
            match meant::cached(session, at)? {
                Ok(record) => run = Some(record),
                Err(told) => unknown = Some(Failure::could_not_start(told)),
            }
        }
        if run.is_none() {
            run = meant::kept(session, at)?.map(|known| known.record);
        }
        if let Some(record) = run {
            let caches = vec![Arc::clone(&session.cache)];
            return Source::of_run(session, &record, file, set, caches);
        }
        let Some(file) = file else {
            let failure = Failure::could_not_start(format!("`--at {at}` is a revision, and the pipeline is not named"));
            let help =
                format!("write `neuroflow run --at {at} PIPELINE`; only a run, by its id or the name that it is kept under, does without");
            return Err(unknown.unwrap_or_else(|| failure.with_help(help)));
        };
        let revision = Revision::open(file, at).map_err(|error| unknown.unwrap_or_else(|| told(error)))?;
        Source::at_revision(session, &revision, file, set)
    }

    /// The files of a revision. Data that git does not hold are those of a run at that revision.
    pub(crate) fn at_revision(
        session: &mut Session,
        revision: &Revision,
        file: &Path,
        set: Vec<(String, String)>,
    ) -> Result<Source, Failure> {
        let working = std::env::current_dir().map_err(Failure::could_not_start)?;
        let short = short(&revision.commit);
        let shown = PathBuf::from(format!("{short}:{}", revision.path_of(file).unwrap_or_else(|| file.display().to_string())));
        let files = ProjectFiles::at(revision, &working, file);
        let text = files.text().map_err(|error| match error.kind() {
            std::io::ErrorKind::NotFound => {
                let failure = Failure::could_not_start(format!("there is no file {} in {short}", file.display()));
                failure.with_help(format!("`git log --follow -- {}` says when it came, and what it was called", file.display()))
            }
            std::io::ErrorKind::InvalidData => Failure::could_not_start(format!("{} is not text (UTF-8)", shown.display())),
            _ => Failure::could_not_start(format!("{}: {error}", shown.display())),
        })?;
        let files = match session.run_at(&revision.commit, &Digest::of(text.as_bytes()), &set) {
            Some(record) => files.with_data_of(&record, vec![Arc::clone(&session.cache)]),
            None => files,
        };
        session.data = registry_with(files.project_file("data/registry.toml"))?;
        Ok(Source { file: file.to_path_buf(), shown, text, files: Arc::new(files), set, controls: true })
    }

    /// The files that a run had, found in `caches`; what is set now counts more than what was set then.
    pub(crate) fn of_run(
        session: &mut Session,
        record: &RunRecord,
        file: Option<&Path>,
        set: Vec<(String, String)>,
        caches: Vec<Arc<Cache>>,
    ) -> Result<Source, Failure> {
        if let Some(file) = file.filter(|file| *file != Path::new(&record.file) && *file != record.pipeline_file()) {
            let failure = Failure::could_not_start(format!("run {} is of {}, not of {}", record.id, record.file, file.display()));
            return Err(failure.with_help("leave the pipeline out: the run knows its own"));
        }
        let working = std::env::current_dir().map_err(Failure::could_not_start)?;
        let files = ProjectFiles::of_run(record, &working, caches);
        let shown = PathBuf::from(format!("{}:{}", record.id, record.file));
        let text = files.text().map_err(|error| Failure::could_not_start(format!("{}: {error}", shown.display())))?;
        session.data = registry_with(files.project_file("data/registry.toml"))?;
        let mut all: Vec<(String, String)> = record
            .set
            .iter()
            .filter(|(name, _)| !set.iter().any(|(of, _)| of == *name))
            .map(|(name, value)| (name.clone(), set_again(value)))
            .collect();
        all.extend(set);
        Ok(Source { file: record.pipeline_file(), shown, text, files: Arc::new(files), set: all, controls: record.controls })
    }

    /// Checks the pipeline.
    pub(crate) fn check(&self, registry: &Registry) -> Checked {
        check_with(&self.text, &self.set, registry, &self.files.for_checker())
    }

    /// Checks the pipeline with a line more.
    pub(crate) fn check_with_line(&self, line: &str, registry: &Registry) -> Checked {
        check_with(&format!("{}\n{line}\n", self.text), &self.set, registry, &self.files.for_checker())
    }

    /// What a record says of it.
    pub(crate) fn info(&self, checked: &Checked) -> RunInfo {
        RunInfo {
            file: self.file.clone(),
            text: self.text.clone(),
            used: checked.files.iter().map(|file| (file.path.clone(), file.text.clone())).collect(),
            command: std::env::args().collect(),
            set: self.set.clone(),
            version: env!("CARGO_PKG_VERSION").into(),
        }
    }
}

/// The value of a parameter as it was set: a path of the home folder, which a record tells with `~`, lies where it lies here.
fn set_again(value: &str) -> String {
    home::real(value).to_str().map_or_else(|| value.to_owned(), str::to_owned)
}

/// Whether a text is an id of a run, or the beginning of one: a date, and at least a digit of the time.
fn is_run_id(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() > 9 && bytes[..8].iter().all(u8::is_ascii_digit) && bytes[8] == b'-' && bytes[9].is_ascii_digit()
}

pub(crate) fn told(error: GitError) -> Failure {
    let failure = Failure::could_not_start(&error);
    match error.help {
        Some(help) => failure.with_help(help),
        None => failure,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_an_id_of_a_run_is_taken_for_one() {
        for id in ["20261130-070347-0a1b2c3", "20261130-0", "20261130-0703"] {
            assert!(is_run_id(id), "{id}");
        }
        for revision in ["main", "HEAD~3", "20261130", "20261130-", "20261130-release", "deadbeef00", "v1.2-3-gabc"] {
            assert!(!is_run_id(revision), "{revision}");
        }
    }
}
