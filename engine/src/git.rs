//! What the version control says: revisions by name, lines of commits, and the state of the working tree that a pipeline lies in.

use git2::{Commit, ErrorCode, Oid, Repository};
use serde::{Deserialize, Serialize};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};

/// The state of the repository that a pipeline lies in.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Revision {
    /// The commit checked out, 40 hexadecimal digits.
    pub commit: String,
    /// The branch, when one is checked out.
    pub branch: Option<String>,
    /// Whether tracked files differ from the commit, or the run read files of the project that the commit does not have.
    pub dirty: bool,
    /// The pipeline file from the top of the repository, with `/`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
}

impl Revision {
    /// The beginning of the commit, for people.
    pub fn short(&self) -> &str {
        short(&self.commit)
    }

    /// The same with a `+` behind it when the run had changes that no commit has.
    pub fn marked(&self) -> String {
        format!("{}{}", self.short(), if self.dirty { "+" } else { "" })
    }
}

/// The beginning of an id, for people. A record may say anything in its place.
pub fn short(id: &str) -> &str {
    id.get(..10).unwrap_or(id)
}

/// Why something of the history can't be had: what, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{message}")]
pub struct GitError {
    /// What is wrong.
    pub message: String,
    /// What to do.
    pub help: Option<String>,
}

impl GitError {
    pub(crate) fn new(message: impl Into<String>, help: impl Into<String>) -> GitError {
        GitError { message: message.into(), help: Some(help.into()) }
    }
}

impl From<git2::Error> for GitError {
    fn from(error: git2::Error) -> GitError {
        GitError { message: format!("git: {}", error.message()), help: None }
    }
}

/// A path with its folders as they really are, as far as they are there.
pub(crate) fn nearest_folder(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_path_buf());
    for folder in path.ancestors().skip(1) {
        if let Ok(real) = folder.canonicalize() {
            return path.strip_prefix(folder).map_or_else(|_| path.clone(), |rest| real.join(rest));
        }
    }
    path
}

/// The repository that a file lies in, whether or not there is such a file.
pub(crate) fn discover(file: &Path) -> Result<Repository, GitError> {
    let place = nearest_folder(file);
    let folder = place.ancestors().skip(1).find(|folder| folder.is_dir()).unwrap_or(Path::new("."));
    Repository::discover(folder).map_err(|error| match error.code() {
        ErrorCode::NotFound => GitError::new(
            format!("{} is under no version control that is known: no git repository around it", file.display()),
            "revisions are of git; `git init` begins a repository",
        ),
        ErrorCode::Owner => GitError::new(
            format!("the repository around {} belongs to somebody else: {}", file.display(), error.message()),
            "if you trust it: `git config --global --add safe.directory FOLDER`",
        ),
        _ => error.into(),
    })
}

/// The top of the working folder, or the repository's own folder when it is bare.
pub(crate) fn root_of(repository: &Repository) -> PathBuf {
    let root = repository.workdir().unwrap_or(repository.path());
    root.canonicalize().unwrap_or_else(|_| root.to_path_buf())
}

/// The commit that a text means, as git understands it.
pub(crate) fn commit_of<'r>(repository: &'r Repository, asked: &str) -> Result<Commit<'r>, GitError> {
    // `is_empty` looks at the name of the first branch, too.
    if repository.references()?.next().is_none() && repository.head().is_err() {
        return Err(GitError::new("the repository has no commit yet", "`git commit` makes one; a revision is a commit"));
    }
    let found = repository.revparse_single(asked).map_err(|error| match error.code() {
        ErrorCode::Ambiguous => GitError::new(format!("`{asked}` may be several objects of this repository"), "give more of its digits"),
        _ if asked.contains("..") => GitError::new(format!("`{asked}` is a range"), "name one commit"),
        ErrorCode::NotFound | ErrorCode::InvalidSpec => unknown(repository, asked),
        _ => GitError::new(format!("`{asked}` is no revision: {}", error.message()), "name a commit, a branch or a tag"),
    })?;
    let kind = found.kind().map_or("something else", |kind| kind.str());
    found.peel_to_commit().map_err(|_| GitError::new(format!("`{asked}` is a {kind}, not a commit"), "name a commit, a branch or a tag"))
}

fn unknown(repository: &Repository, asked: &str) -> GitError {
    let is_id = asked.len() >= 4 && asked.bytes().all(|byte| byte.is_ascii_hexdigit());
    let message = format!("there is no revision `{asked}` in this repository");
    if repository.is_shallow() {
        return GitError::new(message, "this clone is shallow: `git fetch --unshallow` brings the rest of the history");
    }
    if is_id {
        return GitError::new(
            message,
            "a commit that no branch has any more is removed in time; where it is still known, `git fetch REMOTE COMMIT` brings it",
        );
    }
    let mut names: Vec<String> = Vec::new();
    for reference in repository.references().into_iter().flatten().flatten() {
        names.extend(reference.shorthand().ok().map(str::to_owned));
    }
    match neuroflow_stage::nearest(asked, names.iter().map(String::as_str)) {
        Some(near) => GitError::new(message, format!("did you mean `{near}`?")),
        None => GitError::new(message, "`git log --oneline --all` lists commits, `git branch -a` and `git tag` their names"),
    }
}

/// The commits that have a tag in the repository that a folder lies in, with the tag's name; empty where there is no repository.
pub fn tagged(folder: &Path) -> HashMap<String, String> {
    let mut tagged = HashMap::new();
    let Ok(repository) = Repository::discover(folder) else { return tagged };
    let Ok(references) = repository.references_glob("refs/tags/*") else { return tagged };
    for reference in references.flatten() {
        if let (Ok(commit), Ok(name)) = (reference.peel_to_commit(), reference.shorthand()) {
            tagged.insert(commit.id().to_string(), name.to_owned());
        }
    }
    tagged
}

/// A commit of a line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Committed {
    /// Its id, 40 hexadecimal digits.
    pub id: String,
    /// Its first parent.
    pub parent: Option<String>,
    /// Its first line.
    pub subject: String,
    /// Who wrote it: `name <address>`, as git has it.
    pub author: String,
    /// When it was written, seconds since 1970, and the author's minutes from UTC.
    pub when: (i64, i32),
}

impl Committed {
    /// When it was written, as the author's clock had it: `2026-03-01 09:30:00 +0100`.
    pub fn written(&self) -> String {
        let offset = jiff::tz::Offset::from_seconds(self.when.1.saturating_mul(60)).unwrap_or(jiff::tz::Offset::UTC);
        let written = jiff::Timestamp::from_second(self.when.0).map(|at| at.to_zoned(offset.to_time_zone()));
        written.map_or_else(|_| format!("{} s", self.when.0), |at| at.strftime("%Y-%m-%d %H:%M:%S %z").to_string())
    }

    /// The beginning of its id, for people.
    pub fn short(&self) -> &str {
        short(&self.id)
    }
}

/// Commits in a row, each the first parent of the next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Line {
    /// Oldest first.
    pub commits: Vec<Committed>,
    /// Whether the history goes on before the first, but not in this clone.
    pub is_cut: bool,
}

/// The commits from behind `good` (or from the first one on) to `newest`, along first parents: a merge counts as one commit, which brings what it merges.
///
/// # Errors
/// When a revision is unknown, or `good` does not lie on the line.
pub fn line(file: &Path, newest: &str, good: Option<&str>) -> Result<Line, GitError> {
    let repository = discover(file)?;
    let mut next = Some(commit_of(&repository, newest)?);
    let good = good.map(|good| commit_of(&repository, good).map(|commit| (good, commit.id()))).transpose()?;
    // Where a shallow clone ends.
    let ends = std::fs::read_to_string(repository.commondir().join("shallow")).unwrap_or_default();
    let (mut commits, mut seen, mut is_cut, mut met) = (Vec::new(), HashSet::<Oid>::new(), false, false);
    while let Some(commit) = next {
        if good.is_some_and(|(_, good)| good == commit.id()) {
            met = true;
            break;
        }
        if !seen.insert(commit.id()) {
            break;
        }
        next = commit.parent(0).ok();
        is_cut = next.is_none() && (commit.parent_count() > 0 || ends.contains(&commit.id().to_string()));
        commits.push(committed(&commit));
    }
    if let (Some((asked, _)), false) = (good, met) {
        let help = match repository.is_shallow() {
            true => "this clone is shallow: `git fetch --unshallow` brings the rest of the history",
            false => "the line goes along first parents; name a commit that `git log --first-parent` lists",
        };
        return Err(GitError::new(format!("`{asked}` does not lie on the line of commits that leads to `{newest}`"), help));
    }
    commits.reverse();
    Ok(Line { commits, is_cut: is_cut && !met })
}

/// Commits by their ids, as far as they are in the repository that a file lies in.
pub fn commits(file: &Path, ids: &[String]) -> HashMap<String, Committed> {
    let Ok(repository) = discover(file) else { return HashMap::new() };
    let found =
        ids.iter().filter_map(|id| repository.find_commit(Oid::from_str(id).ok()?).ok().map(|commit| (id.clone(), committed(&commit))));
    found.collect()
}

/// The places of commits in the history of the repository that a file lies in, the newest first: a commit stands before those that it came from, whatever their
/// dates say.
pub fn places(file: &Path, ids: &[String]) -> HashMap<String, usize> {
    let walked = || -> Result<HashMap<String, usize>, GitError> {
        let repository = discover(file)?;
        let mut walk = repository.revwalk()?;
        walk.set_sorting(git2::Sort::TOPOLOGICAL | git2::Sort::TIME)?;
        let mut wanted: HashSet<Oid> = HashSet::new();
        for id in ids {
            if let Ok(commit) = Oid::from_str(id).and_then(|id| repository.find_commit(id)) {
                walk.push(commit.id())?;
                wanted.insert(commit.id());
            }
        }
        let mut found = HashMap::new();
        for (place, id) in walk.enumerate() {
            let id = id?;
            if wanted.remove(&id) {
                found.insert(id.to_string(), place);
            }
            if wanted.is_empty() {
                break;
            }
        }
        Ok(found)
    };
    // Of a history that can't be walked (a shallow clone's) dates are left.
    walked().unwrap_or_default()
}

fn committed(commit: &Commit<'_>) -> Committed {
    let author = commit.author();
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Committed {
        id: commit.id().to_string(),
        parent: commit.parent_id(0).ok().map(|id| id.to_string()),
        subject: commit.summary_bytes().map(text).unwrap_or_default(),
        author: format!("{} <{}>", text(author.name_bytes()), text(author.email_bytes())),
        when: (author.when().seconds(), author.when().offset_minutes()),
    }
}

/// The files that a commit changed against its first parent, by path from the top of the repository.
///
/// # Errors
/// When the commit or its parent can't be read.
pub fn changed_by(file: &Path, commit: &str) -> Result<Vec<String>, GitError> {
    let repository = discover(file)?;
    let commit = commit_of(&repository, commit)?;
    let before = commit.parent(0).ok().and_then(|parent| parent.tree().ok());
    let diff = repository.diff_tree_to_tree(before.as_ref(), Some(&commit.tree()?), None)?;
    let paths =
        diff.deltas().filter_map(|delta| delta.new_file().path().or(delta.old_file().path()).map(|path| path.display().to_string()));
    Ok(paths.collect())
}

/// Two texts of a file as lines that went and came, in the form of `git diff`; empty when they are the same.
pub fn text_diff(path: &str, before: &str, after: &str) -> String {
    let mut text = String::new();
    let patch = git2::Patch::from_buffers(before.as_bytes(), Some(path.as_ref()), after.as_bytes(), Some(path.as_ref()), None);
    let Ok(mut patch) = patch else { return text };
    let _ = patch.print(&mut |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            text.push(line.origin());
        }
        text.push_str(&String::from_utf8_lossy(line.content()));
        true
    });
    text
}

/// The state of the working tree that a pipeline lies in, and its difference from the commit as a patch (empty when no tracked file differs). `read` are
/// the files of the project that were read beside the pipeline.
///
/// Answers none when the pipeline lies in no repository, or in one without a commit: that is allowed, and recorded as such.
pub fn describe<'p>(path: &'p Path, read: impl Iterator<Item = &'p Path>) -> Option<(Revision, Vec<u8>)> {
    let repository = Repository::discover(path.parent().unwrap_or(path)).ok()?;
    let head = repository.head().ok()?;
    let commit = head.peel_to_commit().ok()?;
    let branch = head.shorthand().ok().filter(|_| head.is_branch()).map(str::to_owned);
    let tree = commit.tree().ok()?;
    let diff = repository.diff_tree_to_workdir_with_index(Some(&tree), None).ok()?;
    let mut patch = Vec::new();
    diff.print(git2::DiffFormat::Patch, |_, _, line| {
        if matches!(line.origin(), '+' | '-' | ' ') {
            patch.push(line.origin() as u8);
        }
        patch.extend_from_slice(line.content());
        true
    })
    .ok()?;
    let root = root_of(&repository);
    let below = |path: &Path| nearest_folder(path).strip_prefix(&root).map(Path::to_path_buf).ok();
    // What a submodule has is not in this tree, and what it changed is in the patch.
    let in_submodule = |path: &Path| {
        path.ancestors().skip(1).any(|above| tree.get_path(above).is_ok_and(|found| found.kind() == Some(git2::ObjectType::Commit)))
    };
    let is_known = |path: &Path| tree.get_path(path).is_ok() || in_submodule(path) || repository.is_path_ignored(path).unwrap_or(false);
    let is_new = |path: &Path| below(path).is_some_and(|path| !is_known(&path));
    let dirty = !patch.is_empty() || std::iter::once(path).chain(read).any(is_new);
    let file = below(path).and_then(|path| slashed(&path));
    Some((Revision { commit: commit.id().to_string(), branch, dirty, file }, patch))
}

fn slashed(path: &Path) -> Option<String> {
    let parts: Option<Vec<&str>> = path.components().map(|part| part.as_os_str().to_str()).collect();
    Some(parts?.join("/"))
}

/// Whether git ignores a path of the working tree that a file lies in; a path elsewhere is none of its business, and counts as ignored.
pub(crate) fn is_ignored(repository: &Repository, path: &Path) -> bool {
    match nearest_folder(path).strip_prefix(root_of(repository)) {
        Ok(below) => repository.is_path_ignored(below).unwrap_or(false),
        Err(_) => true,
    }
}
