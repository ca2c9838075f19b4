//! The files of a git revision, read from the object database; the working tree is not looked at.
//!
//! Submodules are opened at the commit that the revision names, where their repositories are here. A pointer of Git LFS gives the content that it points to,
//! when that is here. What is missing is said when it is asked for, and not before: most pipelines need little of a repository.

use super::tree::{Contents, Entry, Tree};
use crate::git::{GitError, nearest_folder};
use git2::{ObjectType, Oid, Repository};
use sha2::{Digest as _, Sha256};
use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// Submodules within submodules are followed so deep.
const MOST_SUBMODULES: usize = 8;
/// A pointer of Git LFS is shorter than this.
const LONGEST_POINTER: usize = 1024;
const POINTER: &[u8] = b"version https://git-lfs.github.com/spec/v1\n";

const LINK: i32 = 0o120_000;
const EXECUTABLE: i32 = 0o100_755;

/// A revision of the repository that a file lies in.
pub struct Revision {
    /// As it was asked for.
    pub asked: String,
    /// The commit, 40 hexadecimal digits.
    pub commit: String,
    /// The top of the working folder, or of the repository when that is bare.
    pub root: PathBuf,
    pub(crate) tree: Arc<Tree>,
}

/// The repositories that a tree's contents are in.
struct Odb {
    repositories: Mutex<Vec<Repository>>,
    /// For each number, the repository and the blob.
    blobs: Vec<(usize, Oid)>,
}

impl Revision {
    /// A revision of the repository that `file` lies in, whether or not there is such a file now.
    ///
    /// # Errors
    /// When there is no repository, or no such revision in it; says what to do.
    pub fn open(file: &Path, asked: &str) -> Result<Revision, GitError> {
        let repository = crate::git::discover(file)?;
        let commit = crate::git::commit_of(&repository, asked)?;
        let (id, tree) = (commit.id().to_string(), commit.tree_id());
        drop(commit);
        Revision::of_tree(repository, asked, id, tree)
    }

    fn of_tree(repository: Repository, asked: &str, commit: String, tree: Oid) -> Result<Revision, GitError> {
        let root = crate::git::root_of(&repository);
        let mut read = Read { repositories: vec![repository], blobs: Vec::new(), entries: BTreeMap::new() };
        read.tree(0, tree, "", 0)?;
        let Read { repositories, blobs, entries } = read;
        let odb: Arc<dyn Contents> = Arc::new(Odb { repositories: Mutex::new(repositories), blobs });
        let tree = Arc::new(Tree::new(root.clone(), entries, Some(odb), Vec::new()));
        Ok(Revision { asked: asked.to_owned(), commit, root, tree })
    }

    /// The text of a file, which may lie anywhere in the working folder now; none when the revision has no such text.
    pub fn text(&self, file: &Path) -> Option<String> {
        super::look::read_text(self.tree.as_ref(), &nearest_folder(file)).ok()
    }

    /// A path of this machine as one from the top of the repository, with `/`; none when it lies elsewhere.
    pub fn path_of(&self, path: &Path) -> Option<String> {
        self.tree.path_of(&nearest_folder(path))
    }
}

/// Names of a tree as they are read.
struct Read {
    repositories: Vec<Repository>,
    blobs: Vec<(usize, Oid)>,
    entries: BTreeMap<String, Entry>,
}

impl Read {
    fn tree(&mut self, repository: usize, tree: Oid, above: &str, depth: usize) -> Result<(), GitError> {
        let mut inner = Vec::new();
        {
            let tree = self.repositories[repository].find_tree(tree)?;
            for entry in &tree {
                // A pipeline is text, and can name nothing that is none.
                let Ok(name) = entry.name() else { continue };
                let path = if above.is_empty() { name.to_owned() } else { format!("{above}/{name}") };
                inner.push((path, entry.kind(), entry.id(), entry.filemode()));
            }
        }
        for (path, kind, id, mode) in inner {
            match kind {
                Some(ObjectType::Tree) => self.tree(repository, id, &path, depth)?,
                Some(ObjectType::Blob) if mode == LINK => {
                    let target = self.repositories[repository].find_blob(id)?.content().to_vec();
                    self.entries.insert(path, Entry::Link(String::from_utf8_lossy(&target).into_owned()));
                }
                Some(ObjectType::Blob) => {
                    let number = self.blobs.len();
                    self.blobs.push((repository, id));
                    self.entries.insert(path, Entry::File { number, is_executable: mode == EXECUTABLE });
                }
                Some(ObjectType::Commit) => self.submodule(repository, id, path, depth)?,
                _ => {}
            }
        }
        Ok(())
    }

    /// The files of a submodule at the commit that is named; when they are not here, whoever asks for one is told.
    fn submodule(&mut self, outer: usize, commit: Oid, path: String, depth: usize) -> Result<(), GitError> {
        let found = if depth < MOST_SUBMODULES { self.open_submodule(outer, &path) } else { None };
        let tree = found.as_ref().and_then(|found| Some(found.find_commit(commit).ok()?.tree_id()));
        match (found, tree) {
            (Some(found), Some(tree)) => {
                self.repositories.push(found);
                self.tree(self.repositories.len() - 1, tree, &path, depth + 1)
            }
            (found, _) => {
                let short = &commit.to_string()[..10];
                let missing = if found.is_some() { format!("commit {short} of it") } else { "its repository".to_owned() };
                let remedy = format!("`git submodule update --init '{path}'` fetches it");
                self.entries.insert(path.clone(), Entry::Closed(format!("`{path}` is a submodule, and {missing} is not here; {remedy}")));
                Ok(())
            }
        }
    }

    fn open_submodule(&self, outer: usize, path: &str) -> Option<Repository> {
        let repository = self.repositories.get(outer)?;
        // Within a submodule, its own path counts.
        let root = crate::git::root_of(self.repositories.first()?);
        let own = crate::git::root_of(repository);
        let own_path = root.join(path).strip_prefix(&own).ok()?.to_str()?.to_owned();
        if let Ok(found) = repository.find_submodule(&own_path)
            && let Ok(found) = found.open()
        {
            return Some(found);
        }
        // One that is not checked out now is still kept by its name, which is its path unless somebody chose another.
        Repository::open_bare(repository.commondir().join("modules").join(&own_path)).ok()
    }
}

impl Contents for Odb {
    fn bytes(&self, number: usize, path: &str) -> io::Result<Vec<u8>> {
        let Some((repository, blob)) = self.blobs.get(number) else { return Err(io::ErrorKind::NotFound.into()) };
        let repositories = self.repositories.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(repository) = repositories.get(*repository) else { return Err(io::ErrorKind::NotFound.into()) };
        let found = repository.find_blob(*blob).map_err(|error| {
            let told =
                format!("its content is not in this repository ({}); in a partial clone, `git fetch --refetch` brings it", error.message());
            io::Error::other(told)
        })?;
        let content = found.content();
        match pointer(content) {
            Some((sha256, size)) => large_file(repository, path, &sha256, size),
            None => Ok(content.to_vec()),
        }
    }
}

/// What is wrong with a file of the working tree that is only a pointer of Git LFS; none of any other file, or one that can't be read.
pub(crate) fn unfetched(path: &Path) -> Option<String> {
    let is_short = std::fs::metadata(path).is_ok_and(|about| about.is_file() && about.len() <= LONGEST_POINTER as u64);
    let (_, size) = pointer(&std::fs::read(path).ok().filter(|_| is_short)?)?;
    Some(format!(
        "it is a pointer of Git LFS, and its content ({size} bytes) was not fetched; `git lfs pull --include '{}'` brings it",
        path.file_name().unwrap_or_default().to_string_lossy()
    ))
}

/// The SHA-256 and the size in a pointer of Git LFS; none when it is something else.
fn pointer(content: &[u8]) -> Option<(String, u64)> {
    if content.len() > LONGEST_POINTER || !content.starts_with(POINTER) {
        return None;
    }
    let text = std::str::from_utf8(content).ok()?;
    let of = |name: &str| text.lines().find_map(|line| line.strip_prefix(name));
    let sha256 = of("oid sha256:").filter(|digits| digits.len() == 64 && digits.bytes().all(|digit| digit.is_ascii_hexdigit()))?;
    Some((sha256.to_owned(), of("size ")?.parse().ok()?))
}

/// What a pointer of Git LFS points to, from the store that Git LFS has beside the objects.
fn large_file(repository: &Repository, path: &str, sha256: &str, size: u64) -> io::Result<Vec<u8>> {
    let place = repository.commondir().join("lfs/objects").join(&sha256[..2]).join(&sha256[2..4]).join(sha256);
    let missing = |why: &str| {
        io::Error::other(format!(
            "it is kept by Git LFS, and its content ({size} bytes, SHA-256 {}…) {why}; `git lfs fetch --all --include '{path}'` brings it",
            &sha256[..10]
        ))
    };
    let bytes = std::fs::read(&place).map_err(|_| missing("is not here"))?;
    let found = Sha256::digest(&bytes).iter().fold(String::with_capacity(64), |text, byte| text + &format!("{byte:02x}"));
    if bytes.len() as u64 != size || found != sha256.to_ascii_lowercase() {
        return Err(missing("is damaged here"));
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_pointer_is_taken_for_one() {
        let digits = "ab".repeat(32);
        let text = format!("version https://git-lfs.github.com/spec/v1\noid sha256:{digits}\nsize 12\n");
        assert_eq!(pointer(text.as_bytes()), Some((digits.clone(), 12)));
        for wrong in
            [text.replace("ab", "zz"), text.replace("size 12", "size x"), text.replace("v1", "v2"), format!("{text}{}", "x".repeat(2000))]
        {
            assert_eq!(pointer(wrong.as_bytes()), None, "{wrong}");
        }
    }
}
