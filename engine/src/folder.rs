//! Files of a folder: those that a pipeline uses, and those that a pattern names.

use crate::files::look::{Disk, Look, read_text};
use crate::files::tree::Tree;
use neuroflow_dsl::{Files, glob};
use std::collections::BTreeSet;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// How many folders a search looks into before it gives up.
const MOST_FOLDERS: usize = 100_000;

/// Paths of files below `root` that fit a pattern (see [`glob::matches`]) and are wanted; relative to `root`, with `/`, sorted.
///
/// Names are looked at part by part, so that nothing is listed that can't fit. Links to folders are followed where the pattern says how deep to go; `**`
/// does not follow them, since they could lead in circles.
///
/// # Errors
/// When a folder can't be listed, or there are too many, in words.
pub fn search(root: &Path, pattern: &str, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<String>, String> {
    search_in(&Disk, root, pattern, wanted)
}

/// As [`search`], wherever the files are.
pub(crate) fn search_in(look: &dyn Look, root: &Path, pattern: &str, wanted: &dyn Fn(&str) -> bool) -> Result<Vec<String>, String> {
    let mut parts: Vec<&str> = pattern.split('/').filter(|part| !part.is_empty() && *part != ".").collect();
    parts.dedup_by(|one, other| one == other && *one == "**");
    if parts.last() == Some(&"**") {
        parts.push("*");
    }
    let mut search = Search { look, root, pattern, wanted, found: Vec::new(), looked: 0 };
    search.below(String::new(), &parts)?;
    search.found.sort();
    search.found.dedup();
    Ok(search.found)
}

struct Search<'a> {
    look: &'a dyn Look,
    root: &'a Path,
    pattern: &'a str,
    wanted: &'a dyn Fn(&str) -> bool,
    found: Vec<String>,
    looked: usize,
}

impl Search<'_> {
    fn below(&mut self, folder: String, parts: &[&str]) -> Result<(), String> {
        let Some((part, rest)) = parts.split_first() else { return Ok(()) };
        if *part == "**" {
            self.below(folder.clone(), rest)?;
            for (name, is_folder, is_link) in self.list(&folder)? {
                if is_folder && !is_link && !name.starts_with('.') {
                    self.below(joined(&folder, &name), parts)?;
                }
            }
            return Ok(());
        }
        if !glob::is_pattern(part) {
            let path = joined(&folder, part);
            if rest.is_empty() {
                return self.take(path);
            }
            return self.below(path, rest);
        }
        for (name, is_folder, _) in self.list(&folder)? {
            if glob::matches(part, &name) {
                match rest.is_empty() {
                    true => self.take(joined(&folder, &name))?,
                    false if is_folder => self.below(joined(&folder, &name), rest)?,
                    false => {}
                }
            }
        }
        Ok(())
    }

    fn take(&mut self, path: String) -> Result<(), String> {
        let place = self.root.join(&path);
        match self.look.found(&place) {
            Ok(found) if found.is_file && (self.wanted)(&path) => self.found.push(path),
            // A link to a file that was never fetched must not make the family smaller without a word.
            Err(_) if self.look.is_link(&place) => {
                return Err(format!("{} is a link to something that is not there", place.display()));
            }
            Err(error) if error.kind() == ErrorKind::Other => return Err(format!("{}: {error}", place.display())),
            _ => {}
        }
        Ok(())
    }

    /// Name, whether it is a folder (behind a link too), whether it is a link.
    fn list(&mut self, folder: &str) -> Result<Vec<(String, bool, bool)>, String> {
        self.looked += 1;
        if self.looked > MOST_FOLDERS {
            return Err(format!("`{}` looks into more than {MOST_FOLDERS} folders; begin it with the name of one", self.pattern));
        }
        let place = self.root.join(folder);
        let entries = match self.look.list(&place) {
            Ok(entries) => entries,
            Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => return Ok(Vec::new()),
            Err(error) => return Err(format!("{}: {error}", place.display())),
        };
        let mut listed = Vec::new();
        for entry in entries {
            let Ok(name) = entry.name.into_string() else {
                return Err(format!("{}: a name in it is not UTF-8", place.display()));
            };
            listed.push((name, entry.is_folder, entry.is_link));
        }
        Ok(listed)
    }
}

fn joined(folder: &str, name: &str) -> String {
    if folder.is_empty() { name.to_owned() } else { format!("{folder}/{name}") }
}

/// A regular file below a folder, also behind links that stay in it.
pub(crate) fn file_below(look: &dyn Look, root: &Path, path: &str) -> Option<PathBuf> {
    let place = look.real(&root.join(path)).ok()?;
    (place.starts_with(look.real(root).ok()?) && look.found(&place).is_ok_and(|found| found.is_file)).then_some(place)
}

/// The files of an input's pattern, which may begin anywhere: label and place, sorted by label. The label is what the wildcards stand for: the path
/// without what the pattern says before the first of them and behind the last.
///
/// # Errors
/// As for [`search`].
pub(crate) fn members(look: &dyn Look, folder: &Path, pattern: &str) -> Result<Vec<(String, PathBuf)>, String> {
    let first = pattern.find(['*', '?']).unwrap_or(pattern.len());
    let (base, rest) = pattern.split_at(pattern[..first].rfind('/').map_or(0, |slash| slash + 1));
    let root = folder.join(base);
    let (start, end) = (first - base.len(), rest.rfind(['*', '?']).map_or(rest.len(), |last| last + 1));
    let (before, behind) = (&rest[..start], &rest[end..]);
    let label = |path: &str| {
        let label = path.strip_prefix(before).unwrap_or(path);
        label.strip_suffix(behind).unwrap_or(label).to_owned()
    };
    let paths = search_in(look, &root, rest, &|_| true)?;
    let mut members: Vec<(String, PathBuf)> = paths.iter().map(|path| (label(path), root.join(path))).collect();
    members.sort();
    Ok(members)
}

/// The folder of a pipeline file, as far as the checker may look into it. Links are followed by name only: a path that leads out of the folder is refused.
pub struct Folder {
    root: PathBuf,
    /// The files of then, when those of now are not meant.
    tree: Option<Arc<Tree>>,
    listed: Arc<Mutex<BTreeSet<String>>>,
}

impl Folder {
    /// The folder that a file is in.
    pub fn of(file: &Path) -> Folder {
        let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty());
        Folder { root: parent.unwrap_or(Path::new(".")).to_owned(), tree: None, listed: Arc::default() }
    }

    /// A folder of a tree; the names that patterns find are added to `listed`.
    pub(crate) fn listing(root: &Path, tree: Option<Arc<Tree>>, listed: &Arc<Mutex<BTreeSet<String>>>) -> Folder {
        Folder { root: root.to_owned(), tree, listed: Arc::clone(listed) }
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.root
    }

    fn look(&self) -> &dyn Look {
        match &self.tree {
            Some(tree) => tree.as_ref(),
            None => &Disk,
        }
    }
}

impl Files for Folder {
    fn read(&self, path: &str) -> Result<String, String> {
        let shown = self.root.join(path).display().to_string();
        let told = |error: std::io::Error| match error.kind() {
            ErrorKind::NotFound => format!("there is no file {shown}"),
            ErrorKind::InvalidData => format!("{shown} is not text (UTF-8)"),
            _ => format!("{shown}: {error}"),
        };
        let look = self.look();
        let place = look.real(&self.root.join(path)).map_err(told)?;
        if !place.starts_with(look.real(&self.root).map_err(told)?) {
            return Err(format!("{shown} is a link that leads out of the pipeline's folder"));
        }
        let text = read_text(look, &place).map_err(told)?;
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        let found = search_in(self.look(), &self.root, pattern, &|path| file_below(self.look(), &self.root, path).is_some())?;
        self.listed.lock().unwrap_or_else(PoisonError::into_inner).extend(found.iter().cloned());
        Ok(found)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn folder(paths: &[&str]) -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        for path in paths {
            let path = folder.path().join(path);
            std::fs::create_dir_all(path.parent().unwrap()).unwrap();
            std::fs::write(path, "").unwrap();
        }
        folder
    }

    #[test]
    fn what_is_found_is_what_fits() {
        let paths = ["a.csv", "b.txt", "x/a.csv", "x/y/c.csv", "x/.git/d.csv", ".hidden.csv", "x/y/z/e.csv"];
        let folder = folder(&paths);
        for pattern in
            ["*.csv", "**/*.csv", "x/*", "x/**", "x/*/?.csv", "x/.git/*", "./*.csv", "**/y/**/*.csv", "a.csv", "no/*.csv", "**", "*"]
        {
            let mut expected: Vec<&str> = paths.into_iter().filter(|path| glob::matches(pattern, path)).collect();
            expected.sort_unstable();
            assert_eq!(search(folder.path(), pattern, &|_| true).unwrap(), expected, "{pattern}");
        }
    }

    #[test]
    #[cfg(unix)]
    fn a_link_to_nothing_is_told() {
        let folder = folder(&["d/a.txt", "d/c.txt"]);
        std::os::unix::fs::symlink("/nowhere/at/all", folder.path().join("d/b.txt")).unwrap();
        assert!(search(folder.path(), "d/*.txt", &|_| true).unwrap_err().contains("d/b.txt is a link"));
        assert_eq!(search(folder.path(), "d/a*.txt", &|_| true).unwrap(), ["d/a.txt"]);
    }

    #[test]
    fn labels_are_what_the_wildcards_stand_for() {
        let folder = folder(&["in/3.txt", "in/10.txt", "in/x.csv", "m1/day-1/s.mat", "m2/day-2/s.mat", "other/s.mat"]);
        let labels = |pattern: &str| -> Vec<String> {
            members(&Disk, folder.path(), pattern).unwrap().into_iter().map(|(label, _)| label).collect()
        };
        assert_eq!(labels("in/*.txt"), ["10", "3"]);
        assert_eq!(labels("m*/day-*/s.mat"), ["1/day-1", "2/day-2"]);
        assert_eq!(labels("*/day-?/s.mat"), ["m1/day-1", "m2/day-2"]);
        assert_eq!(labels("./in/?.txt"), ["3"]);
        let absolute = format!("{}/in/*.txt", folder.path().display());
        assert_eq!(labels(&absolute), ["10", "3"]);
        assert_eq!(members(&Disk, folder.path(), &absolute).unwrap()[0].1, folder.path().join("in/10.txt"));
        assert_eq!(labels("nowhere/*.txt").len(), 0);
    }
}
