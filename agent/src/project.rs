//! A project as the gate sees it: its folder, its settings, and what a change of its pipelines would do. Nothing here writes a file of the project.

use crate::guard::{self, Warning};
use crate::proposal::{Draft, FORMAT, FileChange, How, Origin, Proposal, Seen};
use crate::secret::Scanner;
use crate::settings::Settings;
use neuroflow_dsl::diagnostics::has_errors;
use neuroflow_dsl::edit::EditError;
use neuroflow_dsl::{Catalogue, Checked, Diagnostic, Files, Pipeline};
use neuroflow_engine::cost::{self, CostEstimate};
use neuroflow_engine::delta::{PlanDelta, known_steps};
use neuroflow_engine::folder::Folder;
use neuroflow_engine::readers;
use neuroflow_engine::schedule::WorkerCommand;
use neuroflow_engine::session::{Prepared, Purpose, Session, SessionError};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most predictions of a proposal.
const MOST_PREDICTIONS: usize = 20;

/// The longest intent or prediction, in bytes: a sentence that a person reads.
const LONGEST_SENTENCE: usize = 2000;

/// The longest note or pipeline, in bytes.
const LONGEST: u64 = 4 << 20;

/// A project.
#[derive(Clone)]
pub struct Project {
    /// Its folder, where neuroflow.toml lies and paths of inputs begin.
    pub root: PathBuf,
    /// Stages, cache and data.
    pub session: Arc<Session>,
    /// What is set for the agent.
    pub settings: Settings,
    /// The file with the person's own settings, which is looked into again before each yes.
    pub own: Option<PathBuf>,
    /// What starts a process that performs orders on a cache; none where nothing can be tried.
    pub worker: Option<fn(&Path) -> WorkerCommand>,
}

/// Why a change can't be offered.
#[derive(Debug, thiserror::Error)]
pub enum Wrong {
    /// An edit does not fit.
    #[error("{0}")]
    Edit(#[from] EditError),
    /// The pipeline would be wrong.
    #[error("the changed pipeline has {} mistakes", .found.len())]
    Mistakes {
        /// The file.
        file: String,
        /// Its text with the change.
        text: String,
        /// The mistakes.
        found: Vec<Diagnostic>,
    },
    /// A prediction can't be decided.
    #[error("the prediction `{condition}` can't be decided: {reason}")]
    Prediction {
        /// As written.
        condition: String,
        /// Why not.
        reason: String,
    },
    /// It asks for something that a model may not propose.
    #[error("this may not be proposed: {}", .0.iter().map(|one| one.message.as_str()).collect::<Vec<_>>().join("; "))]
    Forbidden(Vec<Warning>),
    /// It could not be planned.
    #[error("the plan can't be made: {0}")]
    Plan(String),
    /// A file that can't be changed in this way.
    #[error("{0}")]
    File(String),
    /// It changes nothing.
    #[error("it changes nothing")]
    Nothing,
}

/// A pipeline with its plan.
pub struct Planned {
    /// What the file says.
    pub text: String,
    /// What would run.
    pub prepared: Prepared,
}

/// The folder of a pipeline with some files as they would be.
struct Overlay<'a> {
    folder: Folder,
    /// The pipeline's folder as a path from the project's.
    below: String,
    changed: &'a BTreeMap<String, String>,
}

impl Files for Overlay<'_> {
    fn read(&self, path: &str) -> Result<String, String> {
        match self.changed.get(&format!("{}{path}", self.below)) {
            Some(text) => Ok(text.clone()),
            None => self.folder.read(path),
        }
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        self.folder.glob(pattern)
    }
}

impl Project {
    /// Where a file of the project lies.
    ///
    /// # Errors
    /// When the path leaves the project, is hidden, or is no pipeline and no note.
    pub fn place(&self, path: &str) -> Result<PathBuf, Wrong> {
        let refuse = |why: &str| Err(Wrong::File(format!("{}: {why}", crate::escape_line(path))));
        let parts: Vec<&str> = path.split('/').collect();
        if path.starts_with('/') || path.contains(['\\', '\0', ':']) || parts.iter().any(|part| part.is_empty() || *part == "..") {
            return refuse("a path of the project is meant, with `/`");
        }
        if parts.iter().any(|part| part.starts_with('.')) {
            return refuse("hidden files can't be changed");
        }
        let is_note = parts.first() == Some(&"knowledge") && path.ends_with(".md");
        if !is_note && !path.ends_with(".nf") {
            return refuse("only pipelines (.nf) and notes (knowledge/*.md) can be changed");
        }
        let place = self.root.join(path);
        // A link must not lead to somebody else's file.
        let mut around = place.as_path();
        while let Some(outer) = around.parent() {
            if around.symlink_metadata().is_ok_and(|found| found.is_symlink()) {
                return refuse("it lies behind a link");
            }
            if outer == self.root {
                break;
            }
            around = outer;
        }
        Ok(place)
    }

    /// The project's folder as a path of its repository, with `/` behind it: how git names its files. Empty for the whole of a repository, and for none.
    pub fn below(&self) -> String {
        crate::commit::below(&self.root)
    }

    /// What a file says; none when there is none.
    ///
    /// # Errors
    /// When it can't be read, or is no text.
    pub fn read(&self, path: &str) -> Result<Option<String>, Wrong> {
        let place = self.place(path)?;
        match std::fs::metadata(&place) {
            Ok(found) if found.len() > LONGEST => return Err(Wrong::File(format!("{path} is too long: {} bytes", found.len()))),
            Ok(_) => {}
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(Wrong::File(format!("{path}: {error}"))),
        }
        std::fs::read_to_string(&place).map(Some).map_err(|error| Wrong::File(format!("{path}: {error}")))
    }

    /// The project's pipelines, as paths from its folder.
    pub fn pipelines(&self) -> Vec<String> {
        neuroflow_engine::folder::search(&self.root, "**/*.nf", &|path| !path.starts_with("target/")).unwrap_or_default()
    }

    /// Checks what a pipeline says, or would say with some files changed.
    pub fn check(&self, path: &str, text: &str, changed: &BTreeMap<String, String>) -> Checked {
        let readers = readers::catalogue();
        let catalogue = Catalogue { stages: &self.session.registry, readers: &readers };
        let below = path.rfind('/').map_or(String::new(), |end| path[..=end].to_owned());
        neuroflow_dsl::check_with(text, &[], &catalogue, &Overlay { folder: Folder::of(&self.root.join(path)), below, changed })
    }

    /// Plans a checked pipeline. Inputs are looked at here only; nothing is fetched.
    ///
    /// # Errors
    /// When an input can't be had, or a mistake shows that needs the inputs to be seen.
    pub async fn plan(&self, path: &str, text: &str, pipeline: Pipeline) -> Result<Planned, Wrong> {
        let folder = Folder::of(&self.root.join(path));
        let prepared = self.session.prepare(pipeline, (&self.root, folder.path()), Purpose::Plan, true, &|_, _, _| {}).await;
        let prepared = prepared.map_err(|error| match error {
            SessionError::Pipeline(found) => Wrong::Mistakes { file: path.to_owned(), text: text.to_owned(), found },
            SessionError::Plan(neuroflow_engine::plan::PlanError::Pipeline(found)) => {
                Wrong::Mistakes { file: path.to_owned(), text: text.to_owned(), found }
            }
            other => Wrong::Plan(other.to_string()),
        })?;
        Ok(Planned { text: text.to_owned(), prepared })
    }

    /// The plan of a pipeline as it is now; none when there is no such file, or it is wrong.
    pub async fn plan_now(&self, path: &str) -> Result<Option<Planned>, Wrong> {
        let Some(text) = self.read(path)? else { return Ok(None) };
        let checked = self.check(path, &text, &BTreeMap::new());
        if has_errors(&checked.diagnostics) {
            return Ok(None);
        }
        Ok(self.plan(path, &text, checked.pipeline).await.ok())
    }

    /// Checks a draft and works out what it would do.
    ///
    /// # Errors
    /// Everything for which it can't be offered to a person; see [`Wrong`].
    pub async fn propose(&self, draft: Draft) -> Result<Proposal, Wrong> {
        within_limits(&draft.intent, &draft.predictions)?;
        let (mut files, mut changed, mut befores) = (Vec::new(), BTreeMap::new(), BTreeMap::new());
        for (path, how) in &draft.files {
            if matches!(how, How::Whole(_)) && !path.starts_with("knowledge/") {
                return Err(Wrong::File(format!("{path}: only a note is written as a whole")));
            }
            if !draft.origin.is_human() && matches!(how, How::Changes(_)) {
                return Err(Wrong::File(format!("{path}: a pipeline is changed by edits")));
            }
            let before = self.read(path)?;
            if *how == How::Gone && (before.is_none() || !draft.origin.is_human()) {
                return Err(not_removed(path, before.is_some()));
            }
            let (file, after) = FileChange::new(path, before.as_deref(), how)?;
            if before.as_deref() == Some(after.as_str()) && !file.is_gone() {
                continue;
            }
            if !file.is_gone() {
                changed.insert(path.clone(), after);
            }
            files.push(file);
            befores.insert(path.clone(), before);
        }
        if files.is_empty() {
            return Err(Wrong::Nothing);
        }
        let subject = Subject {
            pipeline: &draft.pipeline,
            files: &files,
            changed: &changed,
            befores: &befores,
            predictions: &draft.predictions,
            seen: &draft.seen,
            origin: &draft.origin,
        };
        let Consequences { plan, cost, warnings, known } = self.consequences(&subject).await?;
        // A model is told of what its words must not hold, and says it otherwise; a person's are kept without it, as in the ledger.
        let intent = if draft.origin.is_human() { Scanner::of_this_process().redact(&draft.intent) } else { draft.intent };
        Ok(Proposal {
            format: FORMAT,
            pipeline: draft.pipeline,
            files,
            intent,
            predictions: draft.predictions,
            known,
            plan,
            cost,
            warnings,
            seen: draft.seen,
            origin: draft.origin,
            transcript: draft.transcript,
            parent: draft.parent,
            earlier: 0,
        })
    }

    /// The pipeline with a prediction as its last expectation, to be decided after a run.
    ///
    /// # Errors
    /// When the condition is no condition on scores of this pipeline.
    pub fn predicted(&self, path: &str, text: &str, condition: &str, changed: &BTreeMap<String, String>) -> Result<Pipeline, Wrong> {
        let refuse = |reason: String| Wrong::Prediction { condition: condition.to_owned(), reason };
        let added = neuroflow_dsl::edit::expected(text, condition).map_err(|error| refuse(error.message))?;
        let checked = self.check(path, &added, changed);
        match checked.diagnostics.iter().find(|one| one.severity == neuroflow_dsl::Severity::Error) {
            Some(mistake) => Err(refuse(mistake.message.clone())),
            None => Ok(checked.pipeline),
        }
    }

    /// Whether predictions are conditions on scores of a pipeline: all at once, and one by one only to say which is not.
    fn decidable(&self, path: &str, text: &str, conditions: &[String], changed: &BTreeMap<String, String>) -> Result<(), Wrong> {
        let added = |text: String, condition: &String| neuroflow_dsl::edit::expected(&text, condition).ok();
        let all = conditions.iter().try_fold(text.to_owned(), added);
        let is_each = conditions.is_empty() || all.is_some_and(|all| !has_errors(&self.check(path, &all, changed).diagnostics));
        if is_each {
            return Ok(());
        }
        conditions.iter().try_for_each(|condition| self.predicted(path, text, condition, changed).map(drop))
    }

    /// A proposal as it would be made now, from the files that it was made for and its changes alone: what it says of its own consequences is not believed.
    ///
    /// # Errors
    /// When it could not be offered any more; see [`Wrong`].
    pub(crate) async fn again(&self, proposal: &Proposal) -> Result<Proposal, Wrong> {
        within_limits(&proposal.intent, &proposal.predictions)?;
        let (mut changed, mut befores) = (BTreeMap::new(), BTreeMap::new());
        for file in &proposal.files {
            let before = self.read(&file.path)?;
            let text = before.as_deref().unwrap_or_default();
            if !file.edits.is_empty() && neuroflow_dsl::edit::apply(text, &file.edits)?.changes != file.changes {
                return Err(Wrong::File(format!("{}: its typed edits give another change than it would make", file.path)));
            }
            if file.edits.is_empty() && file.path.ends_with(".nf") && !proposal.origin.is_human() {
                return Err(Wrong::File(format!("{}: a pipeline is changed by edits", file.path)));
            }
            if file.is_gone() && (before.is_none() || !proposal.origin.is_human()) {
                return Err(not_removed(&file.path, before.is_some()));
            }
            changed.extend(file.made(text)?.map(|after| (file.path.clone(), after)));
            befores.insert(file.path.clone(), before);
        }
        let subject = Subject {
            pipeline: &proposal.pipeline,
            files: &proposal.files,
            changed: &changed,
            befores: &befores,
            predictions: &proposal.predictions,
            seen: &proposal.seen,
            origin: &proposal.origin,
        };
        // Whether results were known when something was predicted is no question of now.
        let Consequences { plan, cost, warnings, known: _ } = self.consequences(&subject).await?;
        Ok(Proposal { plan, cost, warnings, ..proposal.clone() })
    }

    async fn consequences(&self, subject: &Subject<'_>) -> Result<Consequences, Wrong> {
        let Subject { pipeline: path, files, changed, befores, predictions, seen, origin } = *subject;
        let mut found = Consequences { plan: None, cost: CostEstimate::default(), warnings: seen_at_once(files), known: Vec::new() };
        if !files.iter().any(|file| file.path.ends_with(".nf")) {
            return Ok(found);
        }
        self.unused(files, changed)?;
        if files.iter().any(|file| file.path == path && file.is_gone()) {
            // Without its pipeline there is nothing to plan, or to predict.
            return match predictions.first() {
                Some(condition) => Err(Wrong::Prediction { condition: condition.clone(), reason: format!("{path} is removed") }),
                None => Ok(found),
            };
        }
        let text = match changed.get(path) {
            Some(text) => text.clone(),
            None => self.read(path)?.ok_or_else(|| Wrong::File(format!("there is no pipeline {path}")))?,
        };
        let checked = self.check(path, &text, changed);
        if has_errors(&checked.diagnostics) {
            return Err(Wrong::Mistakes { file: path.to_owned(), text, found: checked.diagnostics });
        }
        let was_text = match befores.get(path) {
            Some(was) => was.clone(),
            None => self.read(path)?,
        };
        let was = was_text.as_ref().map(|was| self.check(path, was, &BTreeMap::new())).filter(|was| !has_errors(&was.diagnostics));
        let tainted = !seen.free_text.is_empty();
        let compared = guard::compare(was.as_ref().map(|was| &was.pipeline), &checked.pipeline, &self.root, &self.settings, tainted);
        if !origin.is_human() {
            let forbidden: Vec<Warning> = compared.iter().filter(|one| one.forbidden).cloned().collect();
            if !forbidden.is_empty() {
                return Err(Wrong::Forbidden(forbidden));
            }
        }
        found.warnings.extend(compared);
        self.decidable(path, &text, predictions, changed)?;
        let before = match was_text.zip(was) {
            Some((text, was)) => self.plan(path, &text, was.pipeline).await.ok(),
            None => None,
        };
        let after = self.plan(path, &text, checked.pipeline).await?;
        let (delta, running) = PlanDelta::between(before.as_ref().map(|before| &before.prepared), &after.prepared, &self.session.cache)
            .map_err(|error| Wrong::Plan(error.to_string()))?;
        found.cost = cost::estimate(&self.session, &after.prepared.plan, &running);
        found.plan = Some(delta);
        if !predictions.is_empty() {
            let known = known_steps(&after.prepared, &self.session.cache).map_err(|error| Wrong::Plan(error.to_string()))?;
            let steps: BTreeSet<&str> = after.prepared.pipeline.steps.iter().map(|step| step.name.text.as_str()).collect();
            // What is compared with a result that is not there yet is not known either.
            let is_known = |condition: &&String| {
                let words = condition.split(|letter: char| !(letter.is_ascii_alphanumeric() || letter == '_'));
                let mut named = words.filter(|word| steps.contains(word)).peekable();
                named.peek().is_some() && named.all(|step| known.contains(step))
            };
            found.known = predictions.iter().filter(is_known).cloned().collect();
        }
        Ok(found)
    }

    /// Refuses to remove a file that a pipeline still uses.
    fn unused(&self, files: &[FileChange], changed: &BTreeMap<String, String>) -> Result<(), Wrong> {
        let gone: Vec<&str> =
            files.iter().filter(|file| file.is_gone() && file.path.ends_with(".nf")).map(|file| file.path.as_str()).collect();
        if gone.is_empty() {
            return Ok(());
        }
        for path in self.pipelines().into_iter().filter(|path| !gone.contains(&path.as_str())) {
            let text = match changed.get(&path) {
                Some(text) => Some(text.clone()),
                None => self.read(&path)?,
            };
            let folder = path.rfind('/').map_or("", |end| &path[..=end]);
            let used = self.check(&path, &text.unwrap_or_default(), changed).files;
            if let Some(used) = used.iter().map(|used| format!("{folder}{}", used.path)).find(|used| gone.contains(&used.as_str())) {
                return Err(Wrong::File(format!("{used} can't be removed: {path} uses it")));
            }
        }
        Ok(())
    }

    /// What of a change in the past was to be looked at twice, from the texts of that time alone: `before` are the pipelines as they were. None when they do
    /// not check with the stages of today.
    pub(crate) fn warned(&self, proposal: &Proposal, before: &BTreeMap<String, String>) -> Option<Vec<Warning>> {
        let mut after = before.clone();
        for file in &proposal.files {
            match file.made(before.get(&file.path).map_or("", String::as_str)).ok()? {
                Some(text) => drop(after.insert(file.path.clone(), text)),
                None => drop(after.remove(&file.path)),
            }
        }
        let path = &proposal.pipeline;
        let mut found = seen_at_once(&proposal.files);
        if let Some(text) = after.get(path) {
            let checked = self.check(path, text, &after);
            if has_errors(&checked.diagnostics) {
                return None;
            }
            let was = before.get(path).map(|was| self.check(path, was, before)).filter(|was| !has_errors(&was.diagnostics));
            let tainted = !proposal.seen.free_text.is_empty();
            // Where links of today lead says nothing of then.
            let nowhere = Path::new("");
            found.extend(guard::compare(was.as_ref().map(|was| &was.pipeline), &checked.pipeline, nowhere, &self.settings, tainted));
        }
        Some(found)
    }
}

/// A change whose consequences are worked out.
struct Subject<'a> {
    pipeline: &'a str,
    files: &'a [FileChange],
    /// The texts of the files with the change.
    changed: &'a BTreeMap<String, String>,
    /// Their texts without it.
    befores: &'a BTreeMap<String, Option<String>>,
    predictions: &'a [String],
    seen: &'a Seen,
    origin: &'a Origin,
}

/// What a change does, as it is worked out here.
struct Consequences {
    plan: Option<PlanDelta>,
    cost: CostEstimate,
    warnings: Vec<Warning>,
    /// Predictions whose results are there.
    known: Vec<String>,
}

/// Whether a person can be expected to read it.
fn within_limits(intent: &str, predictions: &[String]) -> Result<(), Wrong> {
    if predictions.len() > MOST_PREDICTIONS {
        return Err(Wrong::File(format!("{} predictions are too many; {MOST_PREDICTIONS} are allowed", predictions.len())));
    }
    let long = [("the intent", intent)].into_iter().chain(predictions.iter().map(|one| ("a prediction", one.as_str())));
    if let Some((what, text)) = long.into_iter().find(|(_, text)| text.len() > LONGEST_SENTENCE) {
        return Err(Wrong::File(format!("{what} of {} bytes is too long to be read; {LONGEST_SENTENCE} are allowed", text.len())));
    }
    Ok(())
}

/// Why a file is not removed: it is not there, or who asks may not.
fn not_removed(path: &str, is_there: bool) -> Wrong {
    Wrong::File(format!("{path}: {}", if is_there { "only a person removes a file" } else { "it is not there" }))
}

/// What is to be looked at twice in the files themselves.
fn seen_at_once(files: &[FileChange]) -> Vec<Warning> {
    let told = |file: &FileChange| Warning::new("removed", format!("{} is removed", file.path));
    let gone = files.iter().filter(|file| file.is_gone()).map(told);
    letters(files).into_iter().chain(gone).collect()
}

/// Letters that may be other ones than they seem.
fn letters(files: &[FileChange]) -> Vec<Warning> {
    let brings = |file: &&FileChange| file.changes.iter().any(|change| !crate::is_plain(&change.new));
    let told = |file: &FileChange| {
        Warning::new("letters", format!("{}: the change has letters outside of ASCII; some look like others", file.path))
    };
    files.iter().filter(brings).map(told).collect()
}

/// A path from the project's folder, with `/`, for a file as a person names it.
///
/// # Errors
/// When it lies outside of the folder.
pub fn path_below(root: &Path, file: &Path) -> Result<String, Wrong> {
    let told = || Wrong::File(format!("{} lies outside of the project's folder", file.display()));
    let mut absolute = PathBuf::new();
    for part in std::path::absolute(file).map_err(|_| told())?.components() {
        match part {
            // From a folder of the project `../x.nf` is meant as it is written; what lies behind a link is refused anyway.
            std::path::Component::ParentDir => drop(absolute.pop()),
            part => absolute.push(part),
        }
    }
    let below = absolute.strip_prefix(root).map_err(|_| told())?;
    let parts: Option<Vec<&str>> = below.components().map(|part| part.as_os_str().to_str()).collect();
    parts.map(|parts| parts.join("/")).ok_or_else(told)
}
