//! A tree of named contents that stands where a folder of the disk stands: the files of a revision, or those that a run had read.
//!
//! Names are known at once, contents are fetched when they are asked for. Links are followed within the tree; one that leads out of it leads nowhere.

use super::look::{Found, Listed, Look};
use neuroflow_cache::{Cache, Digest};
use std::collections::BTreeMap;
use std::io;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

/// So many links are followed on the way to one file.
const MOST_LINKS: usize = 40;

/// Where contents of a tree are fetched from.
pub(crate) trait Contents: Send + Sync {
    /// The bytes of a content of this place, by its number.
    fn bytes(&self, number: usize, path: &str) -> io::Result<Vec<u8>>;
}

/// One name of a tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Entry {
    /// A file whose content the tree's [`Contents`] have under a number.
    File { number: usize, is_executable: bool },
    /// A file whose content is an object of a cache.
    Object { content: Digest, is_executable: bool },
    /// A name that was only listed; its content is not known.
    Name,
    /// A link.
    Link(String),
    /// Something whose files are not here; the reason says what to do.
    Closed(String),
}

/// Named contents.
pub(crate) struct Tree {
    /// Where its top stands on the disk; nothing there is looked at.
    root: PathBuf,
    /// Entries by path from the top, with `/`.
    entries: BTreeMap<String, Entry>,
    contents: Option<Arc<dyn Contents>>,
    /// Where objects are.
    caches: Vec<Arc<Cache>>,
}

/// What a path leads to.
enum Node<'t> {
    File(String, &'t Entry),
    Folder(String),
}

impl Tree {
    pub(crate) fn new(
        root: PathBuf,
        entries: BTreeMap<String, Entry>,
        contents: Option<Arc<dyn Contents>>,
        caches: Vec<Arc<Cache>>,
    ) -> Tree {
        Tree { root, entries, contents, caches }
    }

    /// A path from the top, with `/`; none when it leads out.
    pub(crate) fn path_of(&self, path: &Path) -> Option<String> {
        let path = plain(&if path.is_absolute() { path.to_path_buf() } else { self.root.join(path) });
        let mut parts = Vec::new();
        for part in path.strip_prefix(&self.root).ok()?.components() {
            parts.push(part.as_os_str().to_str()?);
        }
        Some(parts.join("/"))
    }

    fn is_folder(&self, path: &str) -> bool {
        path.is_empty() || self.below(path).next().is_some()
    }

    /// What stands below a folder: the rest of the path, and the entry.
    fn below<'t>(&'t self, folder: &str) -> impl Iterator<Item = (&'t str, &'t Entry)> + use<'t> {
        let prefix = if folder.is_empty() { String::new() } else { format!("{folder}/") };
        let length = prefix.len();
        let all = self.entries.range(prefix.clone()..).take_while(move |(path, _)| path.starts_with(&prefix));
        all.map(move |(path, entry)| (&path[length..], entry))
    }

    fn node(&self, path: &Path) -> io::Result<Node<'_>> {
        let missing = || io::Error::from(io::ErrorKind::NotFound);
        let path = self.path_of(path).ok_or_else(missing)?;
        let mut rest: Vec<String> = path.split('/').filter(|part| !part.is_empty()).rev().map(str::to_owned).collect();
        let (mut here, mut links) = (Vec::<String>::new(), 0);
        while let Some(part) = rest.pop() {
            match part.as_str() {
                "" | "." => continue,
                ".." => {
                    here.pop().ok_or_else(leads_out)?;
                    continue;
                }
                _ => here.push(part),
            }
            let at = here.join("/");
            match self.entries.get(&at) {
                Some(Entry::Link(target)) => {
                    links += 1;
                    if links > MOST_LINKS {
                        return Err(io::Error::other("the links on its way go in circles"));
                    }
                    if target.starts_with('/') {
                        return Err(leads_out());
                    }
                    here.pop();
                    rest.extend(target.split('/').rev().map(str::to_owned));
                }
                Some(Entry::Closed(reason)) => return Err(io::Error::other(reason.clone())),
                Some(entry) if rest.iter().all(|part| part.is_empty() || part == ".") => return Ok(Node::File(at, entry)),
                Some(_) => return Err(missing()),
                None if self.is_folder(&at) => {}
                None => return Err(missing()),
            }
        }
        Ok(Node::Folder(here.join("/")))
    }
}

impl Look for Tree {
    fn found(&self, path: &Path) -> io::Result<Found> {
        Ok(match self.node(path)? {
            Node::File(_, entry) => {
                let is_executable = matches!(entry, Entry::File { is_executable: true, .. } | Entry::Object { is_executable: true, .. });
                Found { is_file: true, is_folder: false, is_executable }
            }
            Node::Folder(_) => Found { is_file: false, is_folder: true, is_executable: false },
        })
    }

    fn is_link(&self, path: &Path) -> bool {
        self.path_of(path).is_some_and(|path| matches!(self.entries.get(&path), Some(Entry::Link(_))))
    }

    fn real(&self, path: &Path) -> io::Result<PathBuf> {
        Ok(match self.node(path)? {
            Node::File(path, _) | Node::Folder(path) => self.root.join(path),
        })
    }

    fn read(&self, path: &Path) -> io::Result<Vec<u8>> {
        let (path, entry) = match self.node(path)? {
            Node::File(path, entry) => (path, entry),
            Node::Folder(_) => return Err(io::Error::from(io::ErrorKind::IsADirectory)),
        };
        match (entry, &self.contents) {
            (Entry::File { number, .. }, Some(contents)) => contents.bytes(*number, &path),
            (Entry::Object { content, .. }, _) => object(&self.caches, content),
            _ => Err(io::Error::other("only its name was recorded, not what it holds")),
        }
    }

    fn list(&self, folder: &Path) -> io::Result<Vec<Listed>> {
        let at = match self.node(folder)? {
            Node::Folder(path) => path,
            Node::File(..) => return Err(io::Error::from(io::ErrorKind::NotADirectory)),
        };
        let mut listed: Vec<Listed> = Vec::new();
        for (rest, entry) in self.below(&at) {
            let (name, is_below) = rest.split_once('/').map_or((rest, false), |(name, _)| (name, true));
            if listed.last().is_some_and(|last| last.name == *name) {
                continue;
            }
            let is_link = !is_below && matches!(entry, Entry::Link(_));
            let is_folder = is_below || is_link && self.found(&self.root.join(&at).join(name)).is_ok_and(|found| found.is_folder);
            listed.push(Listed { name: name.into(), is_folder, is_link });
        }
        Ok(listed)
    }
}

/// The bytes of an object that one of the caches has, whole.
pub(crate) fn object(caches: &[Arc<Cache>], content: &Digest) -> io::Result<Vec<u8>> {
    for cache in caches {
        if let Some(bytes) = cache.get_whole(content).map_err(|error| io::Error::other(error.to_string()))? {
            return Ok(bytes.to_vec());
        }
    }
    Err(io::Error::other(format!("its content, {}, is no longer in the cache", content.short())))
}

fn leads_out() -> io::Error {
    io::Error::other("it is a link that leads out of the tree, where nothing of then is known")
}

/// A path without `.` and `..`, by its letters alone.
pub(crate) fn plain(path: &Path) -> PathBuf {
    let mut plain = PathBuf::new();
    for part in path.components() {
        match part {
            Component::CurDir => {}
            Component::ParentDir => {
                plain.pop();
            }
            other => plain.push(other),
        }
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    struct Numbers;

    impl Contents for Numbers {
        fn bytes(&self, number: usize, _: &str) -> io::Result<Vec<u8>> {
            Ok(number.to_string().into_bytes())
        }
    }

    fn tree() -> Tree {
        let file = |number| Entry::File { number, is_executable: number == 2 };
        let link = |target: &str| Entry::Link(target.to_owned());
        let entries = [
            ("a.nf", file(1)),
            ("run.sh", file(2)),
            ("data/x.csv", file(3)),
            ("data/deep/y.csv", file(4)),
            ("data-2/z.csv", file(5)),
            ("way", link("data/deep")),
            ("data/deep/up.nf", link("../../a.nf")),
            ("round", link("round")),
            ("out", link("../../etc/passwd")),
            ("far", link("/etc/passwd")),
            ("sub", Entry::Closed("is a submodule".into())),
        ];
        let entries = entries.into_iter().map(|(path, entry)| (path.to_owned(), entry)).collect();
        Tree::new("/lab".into(), entries, Some(Arc::new(Numbers)), Vec::new())
    }

    #[test]
    fn files_are_found_behind_links_and_nothing_is_found_outside() {
        let tree = tree();
        let read = |path: &str| tree.read(Path::new(path)).map(|bytes| String::from_utf8(bytes).unwrap());
        assert_eq!(read("/lab/a.nf").unwrap(), "1");
        assert_eq!(read("/lab/data/../a.nf").unwrap(), "1");
        assert_eq!(read("/lab/way/y.csv").unwrap(), "4");
        assert_eq!(read("/lab/way/up.nf").unwrap(), "1");
        assert_eq!(tree.real(Path::new("/lab/way/up.nf")).unwrap(), Path::new("/lab/a.nf"));
        for (path, said) in [("/lab/out", "leads out"), ("/lab/far", "leads out"), ("/lab/round", "circles"), ("/lab/sub/x", "a submodule")]
        {
            assert!(read(path).unwrap_err().to_string().contains(said), "{path}");
        }
        for path in ["/lab/b.nf", "/elsewhere/a.nf", "/lab/a.nf/b", "/lab/../lab2/a.nf"] {
            assert_eq!(read(path).unwrap_err().kind(), io::ErrorKind::NotFound, "{path}");
        }
        let found = |path: &str| tree.found(Path::new(path)).unwrap();
        assert!(found("/lab/run.sh").is_executable && !found("/lab/a.nf").is_executable);
        assert!(found("/lab").is_folder && found("/lab/way").is_folder && found("/lab/data").is_folder);
    }

    #[test]
    fn a_folder_lists_each_name_once() {
        let names = |path: &str| -> Vec<String> {
            tree().list(Path::new(path)).unwrap().into_iter().map(|listed| listed.name.into_string().unwrap()).collect()
        };
        assert_eq!(names("/lab"), ["a.nf", "data-2", "data", "far", "out", "round", "run.sh", "sub", "way"]);
        assert_eq!(names("/lab/data"), ["deep", "x.csv"]);
        assert_eq!(names("/lab/way"), ["up.nf", "y.csv"]);
    }
}
