//! Approved changes as commits. The person is the author; only the files of the proposal are in the commit, whatever else is being worked on.

use crate::hooks;
use crate::proposal::{Origin, Proposal, ProposalId};
use crate::review::{Approval, Level};
use crate::secret::{Finding, Scanner};
use git2::build::TreeUpdateBuilder;
use git2::{Commit, ErrorCode, FileMode, IndexEntry, ObjectType, Oid, Repository, RepositoryState, Signature, Time};
use neuroflow_engine::Digest;
use std::io::Write;
use std::path::{Path, PathBuf};

/// Where proposals travel with the repository.
pub(crate) const REFS: &str = "refs/neuroflow/proposals/";

/// Why a commit was not made.
#[derive(Debug, thiserror::Error)]
pub enum CommitError {
    /// Git refused.
    #[error("git: {}", .0.message())]
    Git(#[from] git2::Error),
    /// There is a repository, and it can't be opened. What lies in it is not taken for a project without one. See [`CommitError::help`].
    #[error("there is a git repository here that can't be opened: {}", .0.message())]
    Unopened(git2::Error),
    /// Git is in the middle of something else.
    #[error("git is in the middle of {0}; end it or give it up first (`git status` says how)")]
    Busy(&'static str),
    /// Somebody else made a commit meanwhile.
    #[error("the branch moved while the commit was made: another commit came first, and it stays")]
    Moved,
    /// Something else is staged than what the file says; a commit of the file would drop it.
    #[error("{} has other changes staged than the file says; commit or unstage them first (`git restore --staged`)", .0.join(", "))]
    Staged(Vec<String>),
    /// No commit can hold it.
    #[error("{} is ignored by git, so that no commit would hold the change; take it out of .gitignore, or `git add -f` it", .0.join(", "))]
    Ignored(Vec<String>),
    /// Nobody can be named as the author.
    #[error("git does not know who you are; set user.name and user.email")]
    Nobody,
    /// A variable for git can't be read.
    #[error("{0} can't be read: write it as `2026-11-30T12:00:00+01:00`, or as seconds and zone, `1796036400 +0100`")]
    Date(String),
    /// A hook of the project refused.
    #[error("the hook `{name}` refused the commit:\n{said}")]
    Hook {
        /// Which.
        name: String,
        /// What it said.
        said: String,
    },
    /// A hook of the project was ended from outside.
    #[error("the hook `{0}` was stopped before it agreed, so there is no commit, and all is as before")]
    Stopped(String),
    /// What would be committed holds a key, or the home folder where a model wrote it.
    #[error("the proposal can't be committed: {0}")]
    Secret(Finding),
    /// A signature is needed and could not be made.
    #[error("the commit can't be signed: {0}")]
    Signature(String),
}

impl CommitError {
    /// What to do about it, where that is not said already.
    pub fn help(&self) -> Option<&'static str> {
        match self {
            CommitError::Unopened(error) if error.code() == ErrorCode::Owner => Some(
                "it belongs to somebody else; when you trust them, `git config --global --add safe.directory FOLDER` with the folder that `git status` names",
            ),
            CommitError::Unopened(_) => Some(
                "repositories of git's usual form are read (SHA-1, references as files); one of another form (sha256, reftable) can be cloned into one, and \
                 `git status` says whether it is damaged",
            ),
            _ => None,
        }
    }
}

/// The repository that the project lies in; none where there is no version control.
fn repository(root: &Path) -> Result<Option<Repository>, CommitError> {
    match Repository::discover(root) {
        Ok(repository) => Ok(Some(repository).filter(|found| found.workdir().is_some())),
        // What only looks like none, as a work tree whose repository was moved, is told with git's reason.
        Err(error) if error.code() == ErrorCode::NotFound && !root.ancestors().any(|folder| folder.join(".git").exists()) => Ok(None),
        Err(error) => Err(CommitError::Unopened(error)),
    }
}

/// The repository, opened to be looked at: what git makes objects of, to compare contents, stays in memory. Nothing is written before an approval.
fn only_looked_at(root: &Path) -> Result<Option<Repository>, CommitError> {
    /// Before the folder of loose objects and packs, whose places are 1 and 2.
    const FIRST: i32 = 1000;
    let Some(repository) = repository(root)? else { return Ok(None) };
    repository.odb()?.add_new_mempack_backend(FIRST)?;
    Ok(Some(repository))
}

/// A path of the project as one of the repository.
fn in_repository(repository: &Repository, root: &Path, path: &str) -> Option<PathBuf> {
    let workdir = repository.workdir()?.canonicalize().ok()?;
    Some(root.canonicalize().ok()?.strip_prefix(workdir).ok()?.join(path))
}

/// A project's folder as a path of its repository, with `/` behind it.
pub(crate) fn below(root: &Path) -> String {
    let place = repository(root).ok().flatten().and_then(|repository| in_repository(&repository, root, ""));
    let parts: Vec<String> =
        place.iter().flat_map(|place| place.components()).map(|part| part.as_os_str().to_string_lossy().into()).collect();
    parts.iter().map(|part| format!("{part}/")).collect()
}

/// The content of a file as git keeps it: with the line ends that the attributes of its path ask for.
fn blob(repository: &Repository, place: &Path, bytes: &[u8]) -> Result<Oid, CommitError> {
    let mut writer = repository.blob_writer(Some(place))?;
    writer.write_all(bytes).map_err(|error| git2::Error::from_str(&error.to_string()))?;
    Ok(writer.commit()?)
}

/// A file of the project as git knows it.
struct Known {
    path: String,
    /// In the last commit.
    committed: Option<Oid>,
    /// In the index.
    staged: Option<Oid>,
    /// In the folder.
    now: Option<Oid>,
    is_ignored: bool,
}

/// What git knows of files, in a repository that is [`only_looked_at`].
fn known(repository: &Repository, root: &Path, paths: &[&str]) -> Result<Vec<Known>, CommitError> {
    let head = repository.head().ok().and_then(|head| head.peel_to_tree().ok());
    let mut index = repository.index()?;
    index.read(false)?;
    let mut all = Vec::new();
    for path in paths {
        let Some(place) = in_repository(repository, root, path) else { continue };
        let committed = head.as_ref().and_then(|tree| tree.get_path(&place).ok()).map(|entry| entry.id());
        // What is only to be added one day (`git add -N`) has no content yet.
        let is_content = |entry: &IndexEntry| entry.flags_extended & git2::IndexEntryExtendedFlag::INTENT_TO_ADD.bits() == 0;
        let staged = index.get_path(&place, 0).filter(is_content).map(|entry| entry.id);
        let now = match std::fs::read(root.join(path)) {
            Ok(bytes) => {
                let plain = Oid::hash_object(ObjectType::Blob, &bytes)?;
                let is_known = [committed, staged].contains(&Some(plain));
                // With the line ends that git would keep.
                Some(if is_known { plain } else { repository.blob_path(&root.join(path))? })
            }
            Err(_) => None,
        };
        // What git follows already is followed whatever is ignored.
        let is_ignored = committed.is_none() && staged.is_none() && repository.status_should_ignore(&place)?;
        all.push(Known { path: (*path).to_owned(), committed, staged, now, is_ignored });
    }
    Ok(all)
}

/// Files, of those given, that differ from the last commit or are in none.
pub(crate) fn uncommitted(root: &Path, paths: &[&str]) -> Result<Vec<String>, CommitError> {
    let Some(repository) = only_looked_at(root)? else { return Ok(Vec::new()) };
    let differs = |file: &Known| !file.is_ignored && file.now.is_some() && file.now != file.committed;
    Ok(known(&repository, root, paths)?.into_iter().filter(differs).map(|file| file.path).collect())
}

/// Whether git follows a file, so that it came with the repository.
pub(crate) fn is_followed(root: &Path, file: &Path) -> bool {
    let Ok(Some(repository)) = repository(root) else { return false };
    let path = file.strip_prefix(root).ok().and_then(Path::to_str);
    let place = path.and_then(|path| in_repository(&repository, root, path));
    place.is_some_and(|place| repository.index().is_ok_and(|index| index.get_path(&place, 0).is_some()))
}

/// Whether a commit of some files can be made as things are.
///
/// # Errors
/// When it can't, before anything is changed.
pub(crate) fn ready(root: &Path, paths: &[&str]) -> Result<(), CommitError> {
    let Some(repository) = only_looked_at(root)? else { return Ok(()) };
    let busy = match repository.state() {
        RepositoryState::Clean => None,
        RepositoryState::Merge => Some("a merge"),
        RepositoryState::Revert | RepositoryState::RevertSequence => Some("a revert"),
        RepositoryState::CherryPick | RepositoryState::CherryPickSequence => Some("a cherry-pick"),
        RepositoryState::Bisect => Some("a bisect"),
        RepositoryState::Rebase | RepositoryState::RebaseInteractive | RepositoryState::RebaseMerge => Some("a rebase"),
        RepositoryState::ApplyMailbox | RepositoryState::ApplyMailboxOrRebase => Some("applying patches (`git am`)"),
    };
    if let Some(busy) = busy {
        return Err(CommitError::Busy(busy));
    }
    let files = known(&repository, root, paths)?;
    let named = |is: &dyn Fn(&Known) -> bool| files.iter().filter(|file| is(file)).map(|file| file.path.clone()).collect::<Vec<_>>();
    let ignored = named(&|file| file.is_ignored);
    if !ignored.is_empty() {
        return Err(CommitError::Ignored(ignored));
    }
    let staged = named(&|file| file.staged != file.committed && file.staged != file.now);
    if staged.is_empty() { Ok(()) } else { Err(CommitError::Staged(staged)) }
}

/// A person's own commit that was made before a proposal's, and what the branch and the index were.
pub(crate) struct Own {
    repository: Repository,
    made: Oid,
    before: Option<Oid>,
    entries: Vec<(PathBuf, Option<IndexEntry>)>,
}

impl Own {
    /// Takes the commit back, if nothing came behind it: the files keep their text, and it is uncommitted again.
    pub(crate) fn take_back(self) {
        let name = branch(&self.repository);
        let is_last = self.repository.refname_to_id("HEAD").is_ok_and(|last| last == self.made);
        let Some(name) = name.ok().filter(|_| is_last) else { return };
        let moved = match self.before {
            Some(before) => self.repository.reference_matching(&name, before, true, self.made, "neuroflow: taken back").map(drop),
            None => self.repository.find_reference(&name).and_then(|mut found| found.delete()),
        };
        if moved.is_err() {
            return;
        }
        let Ok(mut index) = self.repository.index() else { return };
        let _ = index.read(true);
        for (place, entry) in &self.entries {
            let _ = match entry {
                Some(entry) => index.add(entry),
                None => index.remove_path(place),
            };
        }
        let _ = index.write();
    }
}

/// Commits what a person changed in some files, before a proposal changes them too. `aside` is a place for what hooks look at.
pub(crate) fn own(root: &Path, paths: &[String], id: &ProposalId, aside: &Path) -> Result<Option<Own>, CommitError> {
    let Some(repository) = repository(root)?.filter(|_| !paths.is_empty()) else { return Ok(None) };
    let (mut files, mut entries) = (Vec::new(), Vec::new());
    let index = repository.index()?;
    for path in paths {
        let text = std::fs::read(root.join(path)).map_err(|error| git2::Error::from_str(&format!("{path}: {error}")))?;
        files.push((path.as_str(), Some(text)));
        if let Some(place) = in_repository(&repository, root, path) {
            entries.push((place.clone(), index.get_path(&place, 0)));
        }
    }
    let message = format!("{}: changes before proposal {}\n", paths.join(", "), id.short());
    let before = repository.refname_to_id("HEAD").ok();
    let made = write(&repository, root, &files, &message, false, aside)?;
    drop(index);
    Ok(Some(Own { repository, made, before, entries }))
}

/// Commits an approved change. Gives the commit; none where there is no version control.
pub(crate) fn commit(
    root: &Path,
    proposal: &Proposal,
    approval: &Approval,
    texts: &[(String, Option<String>)],
    transcript: Option<&str>,
    ledger: &Digest,
    aside: &Path,
) -> Result<Option<String>, CommitError> {
    let Some(repository) = repository(root)? else {
        return if approval.level() == Level::Signed {
            Err(CommitError::Signature("there is no repository, so there is nothing to sign".into()))
        } else {
            Ok(None)
        };
    };
    let (id, scanner) = (proposal.id(), Scanner::of_this_process());
    // It may have been kept before its key was known here, or by somebody else.
    if let Some(found) = proposal.secret(&scanner) {
        return Err(CommitError::Secret(found));
    }
    let transcript = transcript.filter(|text| scanner.key_in(text.as_bytes()).is_none());
    let bytes = |text: &Option<String>| text.as_ref().map(|text| text.as_bytes().to_vec());
    let files: Vec<Changed<'_>> = texts.iter().map(|(path, text)| (path.as_str(), bytes(text))).collect();
    let message = scanner.redact(&message(proposal, approval, ledger));
    // The proposal and its conversation travel with the repository. They are there before the commit that names them: a commit without them proves nothing,
    // and they without a commit claim nothing.
    let mut tree = repository.treebuilder(None)?;
    tree.insert("proposal.json", repository.blob(proposal.encode().as_bytes())?, FileMode::Blob.into())?;
    if let Some(transcript) = transcript {
        tree.insert("transcript.jsonl", repository.blob(transcript.as_bytes())?, FileMode::Blob.into())?;
    }
    let tree = tree.write()?;
    repository.reference(&format!("{REFS}{id}"), tree, true, "proposal")?;
    Ok(Some(write(&repository, root, &files, &message, approval.level() == Level::Signed, aside)?.to_string()))
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

/// Who makes a commit, as git has it: its own variables go before the settings.
fn person(repository: &Repository, part: &str) -> Result<Signature<'static>, CommitError> {
    let variable = |what: &str| std::env::var(format!("GIT_{part}_{what}")).ok().filter(|said| !said.trim().is_empty());
    let config = repository.config()?.snapshot()?;
    let setting = |what: &str| {
        let own = config.get_str(&format!("{}.{what}", part.to_ascii_lowercase())).ok();
        own.or_else(|| config.get_str(&format!("user.{what}")).ok()).map(str::to_owned)
    };
    let (name, mail) = (variable("NAME").or_else(|| setting("name")), variable("EMAIL").or_else(|| setting("email")));
    let (Some(name), Some(mail)) = (name, mail) else { return repository.signature().map_err(|_| CommitError::Nobody) };
    let made = match variable("DATE") {
        Some(date) => {
            let time = time(&date).ok_or_else(|| CommitError::Date(format!("GIT_{part}_DATE (`{}`)", crate::escape_line(&date))))?;
            Signature::new(&name, &mail, &time)
        }
        None => Signature::now(&name, &mail),
    };
    made.map_err(|_| CommitError::Nobody)
}

/// A time as `1796036400 +0100`, or as a date and time with its zone.
fn time(said: &str) -> Option<Time> {
    let said = said.trim();
    let raw = said.strip_prefix('@').unwrap_or(said).split_once(' ').and_then(|(seconds, zone)| {
        let (sign, digits) = (if zone.starts_with('-') { -1 } else { 1 }, zone.strip_prefix(['+', '-'])?);
        let digits = Some(digits).filter(|digits| digits.len() == 4)?.parse::<i32>().ok()?;
        Some(Time::new(seconds.parse().ok()?, sign * (digits / 100 * 60 + digits % 100)))
    });
    raw.or_else(|| {
        if let Ok(zoned) = jiff::fmt::rfc2822::parse(said) {
            return Some(Time::new(zoned.timestamp().as_second(), zoned.offset().seconds() / 60));
        }
        let at: jiff::Timestamp = said.parse().ok()?;
        let zone = jiff::fmt::temporal::Pieces::parse(said).ok()?.to_numeric_offset()?;
        Some(Time::new(at.as_second(), zone.seconds() / 60))
    })
}

/// The reference that a commit moves: the branch that is checked out, or HEAD itself.
fn branch(repository: &Repository) -> Result<String, CommitError> {
    let head = repository.find_reference("HEAD")?;
    Ok(match head.symbolic_target() {
        Ok(Some(target)) => target.to_owned(),
        _ => "HEAD".to_owned(),
    })
}

/// A file of a commit: its path in the project and its content; none for one that is removed.
type Changed<'f> = (&'f str, Option<Vec<u8>>);

/// A commit on the branch that is checked out, of some files alone. The index of other files stays as it is.
fn write(
    repository: &Repository,
    root: &Path,
    files: &[Changed<'_>],
    message: &str,
    signed: bool,
    aside: &Path,
) -> Result<Oid, CommitError> {
    let (author, committer) = (person(repository, "AUTHOR")?, person(repository, "COMMITTER")?);
    let parent = match repository.head() {
        Ok(head) => Some(head.peel_to_commit()?),
        Err(error) if matches!(error.code(), ErrorCode::UnbornBranch | ErrorCode::NotFound) => None,
        Err(error) => return Err(error.into()),
    };
    let mut update = TreeUpdateBuilder::new();
    let mut places = Vec::new();
    for (path, bytes) in files {
        let place = in_repository(repository, root, path)
            .ok_or_else(|| git2::Error::from_str(&format!("{path} lies outside of the repository")))?;
        let Some(bytes) = bytes else {
            update.remove(place.as_path());
            places.push((place, true));
            continue;
        };
        let known = parent.as_ref().and_then(|parent| parent.tree().ok()?.get_path(&place).ok());
        let mode = if known.is_some_and(|entry| entry.filemode() == i32::from(FileMode::BlobExecutable)) {
            FileMode::BlobExecutable
        } else {
            FileMode::Blob
        };
        update.upsert(place.as_path(), blob(repository, &place, bytes)?, mode);
        places.push((place, false));
    }
    let base = match &parent {
        Some(parent) => parent.tree()?,
        None => repository.find_tree(repository.treebuilder(None)?.write()?)?,
    };
    let tree = repository.find_tree(update.create_updated(repository, &base)?)?;
    // Another git at work holds the index; then the branch must not move, or the index would seem to take the change back.
    let mut index = repository.index()?;
    index.write()?;
    hooks::before_commit(repository, &tree, aside)?;
    let message = hooks::message(repository, message)?;
    let parents: Vec<&Commit<'_>> = parent.iter().collect();
    let buffer = repository.commit_create_buffer(&author, &committer, &message, &tree, &parents)?;
    let content = std::str::from_utf8(&buffer).map_err(|_| CommitError::Signature("the commit is no text".into()))?;
    // A person who has all commits signed has this one signed too, whatever the approval needs.
    let is_always = repository.config()?.snapshot()?.get_bool("commit.gpgsign").unwrap_or(false);
    let signature = match signed || is_always {
        true => Some(crate::sign::sign(repository, content, signed, &committer).map_err(CommitError::Signature)?),
        false => None,
    };
    let commit = match &signature {
        Some(signature) => repository.commit_signed(content, signature, None)?,
        None => repository.odb()?.write(ObjectType::Commit, &buffer)?,
    };
    // Hooks and a key that wants a touch take their time. What was committed meanwhile must not be lost: the branch moves only from where it was.
    let (name, said) = (branch(repository)?, format!("commit: {}", message.lines().next().unwrap_or_default()));
    let moved = match &parent {
        Some(parent) => repository.reference_matching(&name, commit, true, parent.id(), &said),
        None => repository.reference(&name, commit, false, &said),
    };
    moved.map_err(|error| match error.code() {
        ErrorCode::Modified | ErrorCode::Exists | ErrorCode::NotFound => CommitError::Moved,
        _ => error.into(),
    })?;
    // The commit stands; what is said of the index afterwards must not make it look undone.
    let _ = index.read(true);
    let staged = |(place, is_gone): &(PathBuf, bool)| if *is_gone { index.remove_path(place) } else { index.add_path(place) };
    let _ = places.iter().try_for_each(staged).and_then(|()| index.write());
    let _ = hooks::run(repository, "post-commit", &[]);
    Ok(commit)
}

/// The value of a trailer of a commit's message. The last one counts: everything that a proposal brings stands before our own.
pub(crate) fn trailer<'m>(message: &'m str, key: &str) -> Option<&'m str> {
    message.lines().rev().find_map(|line| line.strip_prefix(key)?.strip_prefix(": ")).map(str::trim)
}

/// The commit of a proposal among the latest of the branch that is checked out.
///
/// # Errors
/// When there is a repository that can't be opened.
pub(crate) fn find(root: &Path, id: &ProposalId) -> Result<Option<String>, CommitError> {
    const LOOKED_BACK: usize = 200;
    let Some(repository) = repository(root)? else { return Ok(None) };
    let mut walk = repository.revwalk()?;
    // Nothing is committed yet.
    if walk.push_head().is_err() {
        return Ok(None);
    }
    Ok(walk.flatten().take(LOOKED_BACK).find_map(|oid| {
        let commit = repository.find_commit(oid).ok()?;
        let message = commit.message().ok()?;
        (trailer(message, "Neuroflow-Proposal") == Some(id.as_str())).then(|| oid.to_string())
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_read_as_git_writes_them() {
        for said in ["1796036400 +0130", "@1796036400 +0130", "2026-11-30T12:30:00+01:30", "Mon, 30 Nov 2026 12:30:00 +0130"] {
            let time = time(said).unwrap();
            assert_eq!((time.seconds(), time.offset_minutes()), (1_796_036_400, 90), "{said}");
        }
        assert_eq!(time("1796036400 -0100").unwrap().offset_minutes(), -60);
        assert!(["yesterday", "", "1796036400", "x +0100"].iter().all(|said| time(said).is_none()));
    }
}
