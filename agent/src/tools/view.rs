//! The project as a tool sees it.

use crate::ledger::{Entry, Event, Ledger};
use crate::project::{Planned, Project, Wrong};
use crate::proposal::{Exposure, Proposal};
use crate::settings::Settings;
use crate::store::{Status, Store, states};
use neuroflow_dsl::Checked;
use neuroflow_dsl::diagnostics::has_errors;
use neuroflow_dsl::edit::Edit;
use neuroflow_engine::latest::LATEST;
use neuroflow_engine::record::{Results, RunRecord, results};
use neuroflow_engine::schedule::WorkerCommand;
use neuroflow_engine::session::Session;
use neuroflow_formats::disk::open_path;
use neuroflow_formats::{Opened, Options};
use std::collections::BTreeMap;
use std::path::Path;

/// So far back runs are looked for.
const LOOKED_BACK: usize = 200;

/// A project, to be looked at. It has no method that changes anything.
pub struct View<'a> {
    project: &'a Project,
    pipeline: &'a str,
    exposure: Exposure,
}

impl<'a> View<'a> {
    /// One pipeline of a project, with as much of the data as may be shown.
    pub fn new(project: &'a Project, pipeline: &'a str, exposure: Exposure) -> View<'a> {
        View { project, pipeline, exposure }
    }

    /// The pipeline's path.
    pub fn pipeline(&self) -> &str {
        self.pipeline
    }

    /// What of the data may be shown.
    pub fn exposure(&self) -> Exposure {
        self.exposure
    }

    /// What is set.
    pub fn settings(&self) -> &Settings {
        &self.project.settings
    }

    pub(crate) fn session(&self) -> &Session {
        &self.project.session
    }

    /// What starts a process for trials on a cache of their own; none where there can't be one.
    pub(crate) fn worker(&self) -> Option<fn(&Path) -> WorkerCommand> {
        self.project.worker
    }

    /// The pipelines of the project.
    pub fn pipelines(&self) -> Vec<String> {
        self.project.pipelines()
    }

    /// What a file says; none when there is none.
    ///
    /// # Errors
    /// When it is not one that may be read.
    pub fn read(&self, path: &str) -> Result<Option<String>, Wrong> {
        self.project.read(path)
    }

    /// Paths of all files of the project's folder; nothing hidden, and nothing below links to folders.
    pub fn paths(&self) -> Vec<String> {
        neuroflow_engine::folder::search(&self.project.root, "**/*", &|path| !path.starts_with("target/")).unwrap_or_default()
    }

    /// The size of a file, where it lies in the project's folder itself.
    pub fn size(&self, path: &str) -> Option<u64> {
        let about = std::fs::metadata(self.project.root.join(path)).ok()?;
        self.is_own(path).then_some(about.len())
    }

    /// Whether a file lies in the project's folder itself, hidden in no folder, and behind no link that leads out.
    fn is_own(&self, path: &str) -> bool {
        let is_plain = path.split('/').all(|part| !part.starts_with('.'));
        let real = self.project.root.join(path).canonicalize().ok().zip(self.project.root.canonicalize().ok());
        is_plain && real.is_some_and(|(real, root)| real.starts_with(root))
    }

    /// What is in a file of [`View::paths`], or a folder of them, for a reader or by its own mark. Parts are read when they are asked for.
    ///
    /// # Errors
    /// When it can't be read, in words without the place of the project.
    pub(crate) fn open(&self, path: &str, reader: Option<&str>) -> Result<Opened, String> {
        if path != "." && !self.is_own(path) {
            return Err("it lies outside of the project".into());
        }
        let opened = open_path(&self.project.root.join(path), reader, &Options::default());
        opened.map(|found| found.document).map_err(|error| error.to_string())
    }

    /// The notes of the project, by path.
    pub fn notes(&self) -> Vec<String> {
        neuroflow_engine::folder::search(&self.project.root, "knowledge/**/*.md", &|_| true).unwrap_or_default()
    }

    /// The pipeline checked as it stands; none when there is no such file.
    pub fn checked(&self) -> Option<(String, Checked)> {
        let text = self.project.read(self.pipeline).ok()??;
        let checked = self.project.check(self.pipeline, &text, &BTreeMap::new());
        Some((text, checked))
    }

    /// The pipeline planned as it stands; none when it is wrong, or not there.
    pub async fn planned(&self) -> Option<Planned> {
        self.project.plan_now(self.pipeline).await.ok()?
    }

    /// The pipeline planned as it would be with some edits.
    ///
    /// # Errors
    /// When they do not fit, or it would be wrong.
    pub async fn planned_with(&self, text: &str, edits: &[Edit]) -> Result<Planned, Wrong> {
        let text = if edits.is_empty() { text.to_owned() } else { neuroflow_dsl::edit::apply(text, edits)?.text };
        let checked = self.project.check(self.pipeline, &text, &BTreeMap::new());
        if has_errors(&checked.diagnostics) {
            return Err(Wrong::Mistakes { file: self.pipeline.to_owned(), text, found: checked.diagnostics });
        }
        self.project.plan(self.pipeline, &text, checked.pipeline).await
    }

    /// Checks a condition on scores of the pipeline.
    ///
    /// # Errors
    /// When it is none.
    pub fn is_condition(&self, text: &str, condition: &str) -> Result<(), Wrong> {
        self.project.predicted(self.pipeline, text, condition, &BTreeMap::new()).map(|_| ())
    }

    /// The latest runs of the pipeline, the newest first.
    pub fn runs(&self, most: usize) -> Vec<RunRecord> {
        self.newest_first().take(most).collect()
    }

    fn newest_first(&self) -> impl Iterator<Item = RunRecord> + '_ {
        let name = self.checked().map(|(_, checked)| checked.pipeline.name).unwrap_or_default();
        let ids = self.session().cache.runs().unwrap_or_default();
        let records = ids.into_iter().take(LOOKED_BACK).filter_map(|id| self.session().read(&id).ok());
        records.filter(move |run| run.pipeline == name)
    }

    /// A run of the pipeline by the beginning of its id.
    pub fn run(&self, id: &str) -> Option<RunRecord> {
        if id.is_empty() || id == LATEST {
            // A look back is not what the latest run found.
            return self.newest_first().find(|run| run.at.is_none());
        }
        // A cache may be shared with other projects; what their pipelines found is not told.
        let name = self.checked().map(|(_, checked)| checked.pipeline.name).unwrap_or_default();
        self.session().read(id).ok().filter(|run| run.pipeline == name)
    }

    /// The results of a run by step.
    pub fn results(&self, run: &RunRecord) -> Results {
        self.session().rows(run).map(|rows| results(&rows)).unwrap_or_default()
    }

    /// The ledger's lines.
    pub fn ledger(&self) -> Vec<Entry> {
        Ledger::read(&Store::of(&self.project.root).ledger()).unwrap_or_default()
    }

    /// Proposals and where they stand.
    pub fn proposals(&self) -> Vec<(Status, Option<Proposal>)> {
        let store = Store::of(&self.project.root);
        states(&self.ledger()).into_iter().map(|status| (status.clone(), store.proposal(&status.id).ok())).collect()
    }

    /// Whether something was predicted about a step before: then its scores may be looked at.
    pub fn is_predicted(&self, step: &str) -> bool {
        let names =
            |condition: &str| condition.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_')).any(|word| word == step);
        let in_proposals = self
            .proposals()
            .iter()
            .filter_map(|(_, proposal)| proposal.as_ref())
            .flat_map(|proposal| proposal.predictions.clone())
            .any(|one| names(&one));
        in_proposals || self.ledger().iter().any(|entry| entry.event == Event::Looked && entry.detail["step"] == step)
    }
}
