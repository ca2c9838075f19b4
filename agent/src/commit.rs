//! Approved changes as commits. The person is the author; only the files of the proposal are in the commit, whatever else is being worked on.

use crate::hooks;
use crate::proposal::{Origin, Proposal, ProposalId};
use crate::review::{Approval, Level};
use git2::build::TreeUpdateBuilder;
use git2::{Commit, FileMode, Repository, Signature};
use neuroflow_engine::Digest;
use std::path::{Path, PathBuf};

/// Where proposals travel with the repository.
pub(crate) const REFS: &str = "refs/neuroflow/proposals/";

/// Why a commit was not made.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Git refused.
    #[error("git: {}", .0.message())]
    Git(#[from] git2::Error),
    /// Nobody can be named as the author.
    #[error("git does not know who you are; set user.name and user.email")]
    Nobody,
    /// A hook of the project refused.
    #[error("the hook `{name}` refused the commit:\n{said}")]
    Hook {
        /// Which.
        name: String,
        /// What it said.
        said: String,
    },
    /// A signature is needed and could not be made.
    #[error("the commit can't be signed: {0}")]
    Signature(String),
}

fn repository(root: &Path) -> Option<Repository> {
    let repository = Repository::discover(root).ok()?;
    repository.workdir()?;
    Some(repository)
}

/// A path of the project as one of the repository.
fn in_repository(repository: &Repository, root: &Path, path: &str) -> Option<PathBuf> {
    let workdir = repository.workdir()?.canonicalize().ok()?;
    Some(root.canonicalize().ok()?.strip_prefix(workdir).ok()?.join(path))
}

/// Files, of those given, that differ from the last commit or are in none.
pub(crate) fn uncommitted(root: &Path, paths: &[&str]) -> Vec<String> {
    let Some(repository) = repository(root) else { return Vec::new() };
    let head = repository.head().ok().and_then(|head| head.peel_to_tree().ok());
    let differs = |path: &&&str| {
        let Ok(now) = std::fs::read(root.join(path)) else { return false };
        let Some(place) = in_repository(&repository, root, path) else { return false };
        if repository.status_should_ignore(&place).unwrap_or(false) {
            return false;
        }
        let known = head.as_ref().and_then(|tree| tree.get_path(&place).ok()).and_then(|entry| repository.find_blob(entry.id()).ok());
        known.is_none_or(|blob| blob.content() != now)
    };
    paths.iter().filter(differs).map(|path| (*path).to_owned()).collect()
}

/// Commits what a person changed in some files, before a proposal changes them too.
pub(crate) fn own(root: &Path, paths: &[String], id: &ProposalId) -> Result<(), CommitError> {
    let Some(repository) = repository(root).filter(|_| !paths.is_empty()) else { return Ok(()) };
    let mut files = Vec::new();
    for path in paths {
        let text = std::fs::read(root.join(path)).map_err(|error| git2::Error::from_str(&format!("{path}: {error}")))?;
        files.push((path.as_str(), text));
    }
    let message = format!("{}: changes before proposal {}\n", paths.join(", "), id.short());
    write(&repository, root, &files, &message, false)?;
    Ok(())
}

/// Commits an approved change. Gives the commit; none where there is no version control.
pub(crate) fn commit(
    root: &Path,
    proposal: &Proposal,
    approval: &Approval,
    texts: &[(String, String)],
    transcript: Option<&str>,
    ledger: &Digest,
) -> Result<Option<String>, CommitError> {
    let Some(repository) = repository(root) else {
        return if approval.level() == Level::Signed {
            Err(CommitError::Signature("there is no repository, so there is nothing to sign".into()))
        } else {
            Ok(None)
        };
    };
    let id = proposal.id();
    let files: Vec<(&str, Vec<u8>)> = texts.iter().map(|(path, text)| (path.as_str(), text.as_bytes().to_vec())).collect();
    let message = message(proposal, approval, ledger);
    // The proposal and its conversation travel with the repository. They are there before the commit that names them: a commit without them proves nothing,
    // and they without a commit claim nothing.
    let mut tree = repository.treebuilder(None)?;
    tree.insert("proposal.json", repository.blob(proposal.encode().as_bytes())?, FileMode::Blob.into())?;
    if let Some(transcript) = transcript {
        tree.insert("transcript.jsonl", repository.blob(transcript.as_bytes())?, FileMode::Blob.into())?;
    }
    let tree = tree.write()?;
    repository.reference(&format!("{REFS}{id}"), tree, true, "proposal")?;
    Ok(Some(write(&repository, root, &files, &message, approval.level() == Level::Signed)?))
}

fn message(proposal: &Proposal, approval: &Approval, ledger: &Digest) -> String {
    let name = proposal.pipeline.rsplit('/').next().unwrap_or(&proposal.pipeline);
    // What begins like a trailer of ours would be read as one.
    let said = one_line(&proposal.intent);
    let intent = if said.starts_with("Neuroflow-") { format!("\"{said}\"") } else { said };
    let subject =
        format!("{}: {}", name.strip_suffix(".nf").unwrap_or(name), if intent.is_empty() { "an approved change" } else { &intent });
    let short: String = subject.chars().take(72).collect();
    let mut message = format!("{short}\n\n");
    if short != subject {
        message += &format!("{intent}\n\n");
    }
    for condition in &proposal.predictions {
        message += &format!("Predicts {}\n", one_line(condition));
    }
    if !proposal.predictions.is_empty() {
        message.push('\n');
    }
    message += &format!("Neuroflow-Proposal: {}\n", proposal.id());
    if let Some(plan) = proposal.plan_digest() {
        message += &format!("Neuroflow-Plan: b3-{plan}\n");
    }
    if let Some(transcript) = proposal.transcript {
        message += &format!("Neuroflow-Transcript: b3-{transcript}\n");
    }
    if !matches!(proposal.origin, Origin::Human) {
        message += &format!("Neuroflow-Model: {}\n", one_line(&proposal.origin.to_string()));
    }
    let edited = if proposal.parent.is_some() { "yes" } else { "no" };
    message += &format!("Neuroflow-Approval: {}; edited={edited}\nNeuroflow-Ledger: b3-{ledger}\n", approval.level().word());
    message
}

fn one_line(text: &str) -> String {
    crate::escape_line(&text.split_whitespace().collect::<Vec<_>>().join(" "))
}

/// A commit on the branch that is checked out, of some files alone. The index of other files stays as it is.
fn write(repository: &Repository, root: &Path, files: &[(&str, Vec<u8>)], message: &str, signed: bool) -> Result<String, CommitError> {
    let person = repository.signature().map_err(|_| CommitError::Nobody)?;
    let parent = match repository.head() {
        Ok(head) => Some(head.peel_to_commit()?),
        Err(error) if matches!(error.code(), git2::ErrorCode::UnbornBranch | git2::ErrorCode::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let mut update = TreeUpdateBuilder::new();
    let mut places = Vec::new();
    for (path, bytes) in files {
        let place = in_repository(repository, root, path)
            .ok_or_else(|| git2::Error::from_str(&format!("{path} lies outside of the repository")))?;
        let known = parent.as_ref().and_then(|parent| parent.tree().ok()?.get_path(&place).ok());
        let mode = if known.is_some_and(|entry| entry.filemode() == i32::from(FileMode::BlobExecutable)) {
            FileMode::BlobExecutable
        } else {
            FileMode::Blob
        };
        update.upsert(place.as_path(), repository.blob(bytes)?, mode);
        places.push(place);
    }
    let base = match &parent {
        Some(parent) => parent.tree()?,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let tree = repository.find_tree(update.create_updated(repository, &base)?)?;
    // Another git at work holds the index; then the branch must not move, or the index would seem to take the change back.
    let mut index = repository.index()?;
    index.write()?;
    hooks::before_commit(repository, &tree)?;
    let message = hooks::message(repository, message)?;
    let parents: Vec<&Commit<'_>> = parent.iter().collect();
    let commit = if signed {
        sign(repository, &person, &message, &tree, &parents)?
    } else {
        repository.commit(Some("HEAD"), &person, &person, &message, &tree, &parents)?
    };
    // The commit stands; what is said of the index afterwards must not make it look undone.
    let _ = index.read(true);
    let _ = places.iter().try_for_each(|place| index.add_path(place)).and_then(|()| index.write());
    let _ = hooks::run(repository, "post-commit", &[]);
    Ok(commit.to_string())
}

/// A commit with the person's own signature, as git makes it (`gpg.format = ssh`, `user.signingkey`).
fn sign(
    repository: &Repository,
    person: &Signature<'_>,
    message: &str,
    tree: &git2::Tree<'_>,
    parents: &[&Commit<'_>],
) -> Result<git2::Oid, CommitError> {
    let buffer = repository.commit_create_buffer(person, person, message, tree, parents)?;
    let content = std::str::from_utf8(&buffer).map_err(|_| CommitError::Signature("the commit is no text".into()))?;
    let signature = crate::sign::sign(repository, content).map_err(CommitError::Signature)?;
    let commit = repository.commit_signed(content, &signature, None)?;
    let head = repository.find_reference("HEAD")?;
    let name = match head.symbolic_target() {
        Ok(Some(target)) => target.to_owned(),
        _ => "HEAD".to_owned(),
    };
    let subject = message.lines().next().unwrap_or_default();
    repository.reference(&name, commit, true, &format!("commit: {subject}"))?;
    Ok(commit)
}

/// The value of a trailer of a commit's message. The last one counts: everything that a proposal brings stands before our own.
pub(crate) fn trailer<'m>(message: &'m str, key: &str) -> Option<&'m str> {
    message.lines().rev().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).map(str::trim)
}

/// The commit of a proposal among the latest of the branch that is checked out.
pub(crate) fn find(root: &Path, id: &ProposalId) -> Option<String> {
    const LOOKED_BACK: usize = 200;
    let repository = repository(root)?;
    let mut walk = repository.revwalk().ok()?;
    walk.push_head().ok()?;
    walk.flatten().take(LOOKED_BACK).find_map(|oid| {
        let commit = repository.find_commit(oid).ok()?;
        let message = commit.message().ok()?;
        (trailer(message, "Neuroflow-Proposal") == Some(id.as_str())).then(|| oid.to_string())
    })
}
