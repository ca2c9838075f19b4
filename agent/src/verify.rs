//! Proof, a year later: each commit of a proposal is made again from its parent, and must give the same bytes.

use crate::commit::{REFS, trailer};
use crate::guard::Warning;
use crate::ledger::{Event, Ledger, heads};
use crate::project::Project;
use crate::proposal::{Proposal, ProposalId};
use crate::review::{self, Level};
use crate::settings::Settings;
use crate::store::Store;
use git2::{Commit, Repository};
use neuroflow_engine::Digest;
use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::Path;

/// What was found about a commit, or about the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The commit; empty for the ledger.
    pub commit: String,
    /// Its first line, or the ledger.
    pub subject: String,
    /// The proposal, where the commit names one.
    pub proposal: Option<String>,
    /// What does not hold; empty when all does.
    pub wrong: Vec<String>,
}

/// Checks the commits of a range (`REV..`, `A..B`, or a single revision for all before it) and the ledger, when there is one. The project's stages say what
/// was to be looked at twice.
///
/// # Errors
/// When there is no repository, or the range names nothing.
pub fn verify(project: &Project, range: Option<&str>) -> Result<Vec<Finding>, String> {
    let root = project.root.as_path();
    let told = |error: git2::Error| format!("git: {}", error.message());
    let mut found = Vec::new();
    let store = Store::of(root);
    if store.ledger().exists() {
        let wrong = Ledger::read(&store.ledger()).err().map(|error| error.to_string());
        found.push(Finding { commit: String::new(), subject: "the ledger".into(), proposal: None, wrong: wrong.into_iter().collect() });
    }
    let repository = Repository::discover(root).map_err(|error| match error.code() {
        git2::ErrorCode::NotFound => "there is no repository here".to_owned(),
        _ => format!("there is a git repository here that can't be opened: {}", error.message()),
    })?;
    let mut walk = repository.revwalk().map_err(told)?;
    // By descent, not by time: a clock may have been set back between two commits.
    walk.set_sorting(git2::Sort::TOPOLOGICAL).map_err(told)?;
    match range {
        Some(range) if range.contains("..") => {
            let range = if range.ends_with("..") { format!("{range}HEAD") } else { range.to_owned() };
            walk.push_range(&range).map_err(told)?;
        }
        Some(one) => {
            walk.push(repository.revparse_single(one).and_then(|found| found.peel_to_commit()).map_err(told)?.id()).map_err(told)?
        }
        None if repository.head().is_err() => return Ok(found),
        None => walk.push_head().map_err(told)?,
    }
    let ledger = Known::read(&store);
    let first = first_uses(&repository, range).map_err(told)?;
    for oid in walk {
        let commit = repository.find_commit(oid.map_err(told)?).map_err(told)?;
        let message = commit.message().unwrap_or_default().to_owned();
        let Some(id) = trailer(&message, "Neuroflow-Proposal") else { continue };
        let mut wrong = check(&repository, project, &store, &commit, &message, id, ledger.as_ref());
        if let Some(before) = first.get(id).filter(|before| **before != commit.id()) {
            wrong.push(format!("its proposal was used before, by commit {:.10}; an approval is for one use", before.to_string()));
        }
        let subject = message.lines().next().unwrap_or_default().to_owned();
        found.push(Finding { commit: oid_text(&commit), subject, proposal: Some(id.to_owned()), wrong });
    }
    Ok(found)
}

/// The first commit of each proposal, among everything that the end of a range comes from: a use before the range counts too.
fn first_uses(repository: &Repository, range: Option<&str>) -> Result<HashMap<String, git2::Oid>, git2::Error> {
    let mut walk = repository.revwalk()?;
    walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::REVERSE)?;
    let end = range.map(|range| range.rsplit("..").next().unwrap_or(range)).filter(|end| !end.is_empty());
    walk.push(repository.revparse_single(end.unwrap_or("HEAD"))?.peel_to_commit()?.id())?;
    let mut first = HashMap::new();
    for oid in walk {
        let oid = oid?;
        let commit = repository.find_commit(oid)?;
        if let Some(id) = trailer(commit.message().unwrap_or_default(), "Neuroflow-Proposal") {
            first.entry(id.to_owned()).or_insert(oid);
        }
    }
    Ok(first)
}

fn oid_text(commit: &Commit<'_>) -> String {
    commit.id().to_string()
}

/// What the ledger here says, when there is one that holds.
struct Known {
    heads: HashSet<Digest>,
    applied: HashSet<ProposalId>,
}

impl Known {
    fn read(store: &Store) -> Option<Known> {
        if !store.ledger().exists() {
            return None;
        }
        let entries = Ledger::read(&store.ledger()).ok()?;
        let applied = entries.into_iter().filter(|entry| entry.event == Event::Applied).filter_map(|entry| entry.proposal).collect();
        Some(Known { heads: heads(&store.ledger()), applied })
    }
}

fn check(
    repository: &Repository,
    project: &Project,
    store: &Store,
    commit: &Commit<'_>,
    message: &str,
    id: &str,
    ledger: Option<&Known>,
) -> Vec<String> {
    let (root, mut wrong) = (project.root.as_path(), Vec::new());
    let Some(id) = ProposalId::parse(id) else { return vec!["the trailer names no proposal".into()] };
    let mut proposal = match proposal_of(repository, store, &id) {
        Ok(proposal) => proposal,
        Err(reason) => return vec![reason],
    };
    match same_bytes(repository, root, commit, &proposal) {
        Ok(()) => wrong.extend(hidden(repository, project, commit, &mut proposal)),
        Err(reason) => wrong.push(reason),
    }
    let plan = proposal.plan_digest().map(|plan| format!("b3-{plan}"));
    if trailer(message, "Neuroflow-Plan") != plan.as_deref() {
        wrong.push("the plan is not the proposal's".into());
    }
    let level = trailer(message, "Neuroflow-Approval").and_then(|line| level(line.split(';').next().unwrap_or(line).trim()));
    match level {
        None => wrong.push("it names no approval".into()),
        Some(level) => {
            match settings_of(repository, root, commit) {
                Ok(settings) => {
                    let needed = review::needed(&proposal, &settings);
                    if level < needed {
                        wrong.push(format!("it was approved by {}, and {} was needed", level.word(), needed.word()));
                    }
                }
                // What was asked for can't be told, so nobody can say that it was kept.
                Err(reason) => wrong.push(reason),
            }
            if level == Level::Signed
                && let Err(reason) = signature(repository, commit)
            {
                wrong.push(reason);
            }
        }
    }
    if let Some(ledger) = ledger {
        let head = trailer(message, "Neuroflow-Ledger").and_then(|line| line.strip_prefix("b3-")?.parse::<Digest>().ok());
        if head.is_none_or(|head| !ledger.heads.contains(&head)) {
            wrong.push("the ledger no longer has the line of this approval: its end was cut, or it is of another clone".into());
        } else if !ledger.applied.contains(&id) {
            wrong.push("the ledger does not say that it was applied".into());
        }
    }
    wrong
}

fn level(word: &str) -> Option<Level> {
    [Level::Client, Level::Terminal, Level::Signed].into_iter().find(|level| level.word() == word)
}

/// The proposal as it travels with the repository, else as it is kept here.
fn proposal_of(repository: &Repository, store: &Store, id: &ProposalId) -> Result<Proposal, String> {
    let tree = repository.find_reference(&format!("{REFS}{id}")).and_then(|found| found.peel(git2::ObjectType::Tree));
    let blob = tree.ok().and_then(|tree| repository.find_blob(tree.as_tree()?.get_name("proposal.json")?.id()).ok());
    let Some(blob) = blob else {
        return store.proposal(id).map_err(|_| {
            "its proposal is not here: fetch refs/neuroflow/* (`git fetch REMOTE 'refs/neuroflow/*:refs/neuroflow/*'`)".to_owned()
        });
    };
    let text = std::str::from_utf8(blob.content()).map_err(|_| "its proposal is no text".to_owned())?;
    let proposal = Proposal::decode(text)?;
    if proposal.id() == *id { Ok(proposal) } else { Err("its proposal was changed after it was made".into()) }
}

/// Whether the proposal, applied to the parent, gives the commit, and the commit nothing else.
fn same_bytes(repository: &Repository, root: &Path, commit: &Commit<'_>, proposal: &Proposal) -> Result<(), String> {
    let told = |error: git2::Error| format!("git: {}", error.message());
    let (parent, tree) = (commit.parent(0).ok().map(|parent| parent.tree()).transpose().map_err(told)?, commit.tree().map_err(told)?);
    let below = below(repository, root);
    let read = |tree: &git2::Tree<'_>, path: &str| {
        let entry = tree.get_path(&below.join(path)).ok()?;
        Some(repository.find_blob(entry.id()).ok()?.content().to_vec())
    };
    for file in &proposal.files {
        let before = parent.as_ref().and_then(|parent| read(parent, &file.path));
        // Git may keep a file with other line ends than it has in the folder, for which the proposal was made (`text eol=crlf`).
        let is_base = |before: &Option<Vec<u8>>| before.as_deref().map(Digest::of) == file.base;
        let turned = before.clone().map(|bytes| with_crlf(&bytes));
        let (before, is_turned) = match (is_base(&before), is_base(&turned)) {
            (true, _) => (before, false),
            (false, true) => (turned, true),
            (false, false) => return Err(format!("{} was another one before the commit than the proposal was made for", file.path)),
        };
        let before = String::from_utf8(before.unwrap_or_default()).map_err(|_| format!("{} is no text", file.path))?;
        let made = file.made(&before).map_err(|error| format!("{}: {error}", file.path))?;
        let committed = read(&tree, &file.path).map(|bytes| if is_turned { with_crlf(&bytes) } else { bytes });
        if committed.as_deref() != made.as_ref().map(String::as_bytes) {
            return Err(format!("{}: the commit has other bytes than the proposal gives", file.path));
        }
    }
    let diff = repository.diff_tree_to_tree(parent.as_ref(), Some(&tree), None).map_err(told)?;
    for delta in diff.deltas() {
        let path = delta.new_file().path().or_else(|| delta.old_file().path()).unwrap_or(Path::new(""));
        if !proposal.files.iter().any(|file| below.join(&file.path) == path) {
            return Err(format!("the commit changes {} too, which is not in the proposal", path.display()));
        }
    }
    Ok(())
}

/// What a person should have looked at twice and the proposal does not say. It is added to the proposal, so that the level is judged by all of it.
///
/// Kinds are counted: another version may say the same in other words.
fn hidden(repository: &Repository, project: &Project, commit: &Commit<'_>, proposal: &mut Proposal) -> Option<String> {
    let before = pipelines_before(repository, &project.root, commit, proposal);
    let found = project.warned(proposal, &before)?;
    let mut hidden: Vec<Warning> = Vec::new();
    for warning in &found {
        let count = |all: &[Warning]| all.iter().filter(|one| one.kind == warning.kind).count();
        let is_said = proposal.warnings.iter().any(|one| one.message == warning.message);
        if !is_said && count(&hidden) + count(&proposal.warnings) < count(&found) {
            hidden.push(warning.clone());
        }
    }
    let first = hidden.first().map(|warning| format!("its card did not show what is to be looked at twice: {}", warning.message));
    proposal.warnings.extend(hidden);
    first
}

/// The pipelines of the project before a commit, as they were in the folder.
fn pipelines_before(repository: &Repository, root: &Path, commit: &Commit<'_>, proposal: &Proposal) -> BTreeMap<String, String> {
    let mut all = BTreeMap::new();
    let Some(tree) = commit.parent(0).ok().and_then(|parent| parent.tree().ok()) else { return all };
    let below = below(repository, root);
    let _ = tree.walk(git2::TreeWalkMode::PreOrder, |folder, entry| {
        let path = entry.name().ok().map(|name| Path::new(folder).join(name));
        let path = path.as_deref().and_then(|path| path.strip_prefix(&below).ok()?.to_str());
        let is_meant = |path: &&str| path.ends_with(".nf") || proposal.files.iter().any(|file| file.path == **path);
        if let Some(path) = path.filter(is_meant)
            && let Ok(blob) = repository.find_blob(entry.id())
        {
            let base = proposal.files.iter().find(|file| file.path == path).and_then(|file| file.base);
            let bytes = blob.content().to_vec();
            let is_turned = base.is_some_and(|base| base != Digest::of(&bytes));
            let bytes = if is_turned { with_crlf(&bytes) } else { bytes };
            all.extend(String::from_utf8(bytes).ok().map(|text| (path.to_owned(), text)));
        }
        git2::TreeWalkResult::Ok
    });
    all
}

/// A text whose lines end in `\n`, with `\r\n` instead.
fn with_crlf(bytes: &[u8]) -> Vec<u8> {
    let mut turned = Vec::with_capacity(bytes.len());
    for (at, byte) in bytes.iter().enumerate() {
        if *byte == b'\n' && at.checked_sub(1).and_then(|before| bytes.get(before)) != Some(&b'\r') {
            turned.push(b'\r');
        }
        turned.push(*byte);
    }
    turned
}

/// The project's folder as a path of the repository.
fn below(repository: &Repository, root: &Path) -> std::path::PathBuf {
    let workdir = repository.workdir().and_then(|workdir| workdir.canonicalize().ok());
    let root = root.canonicalize().ok();
    root.zip(workdir).and_then(|(root, workdir)| root.strip_prefix(workdir).map(Path::to_path_buf).ok()).unwrap_or_default()
}

/// What was set for the agent before the commit.
fn settings_of(repository: &Repository, root: &Path, commit: &Commit<'_>) -> Result<Settings, String> {
    let parent = commit.parent(0).ok().and_then(|parent| parent.tree().ok());
    let entry = parent.and_then(|tree| tree.get_path(&below(repository, root).join("neuroflow.toml")).ok());
    let Some(blob) = entry.and_then(|entry| repository.find_blob(entry.id()).ok()) else { return Ok(Settings::default()) };
    let text = std::str::from_utf8(blob.content()).map_err(|_| "neuroflow.toml before the commit is no text".to_owned())?;
    Settings::parse(text).map_err(|error| format!("neuroflow.toml before the commit can't be read: {error}"))
}

fn signature(repository: &Repository, commit: &Commit<'_>) -> Result<(), String> {
    let (signature, text) = repository.extract_signature(&commit.id(), None).map_err(|_| "it is not signed".to_owned())?;
    let as_text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).map_err(|_| "its signature is no text".to_owned());
    crate::sign::verify(repository, &as_text(&text)?, &as_text(&signature)?).map(|_| ())
}
