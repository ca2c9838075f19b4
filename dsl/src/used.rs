//! Files that a pipeline uses, and how mistakes in them are told in the file that uses them.

use crate::diagnostics::{Diagnostic, line_and_column};
use std::ops::Range;

/// The folder of a pipeline, as far as the checker may look into it. Paths are relative to it, with `/`.
pub trait Files {
    /// The text of a file.
    ///
    /// # Errors
    /// Why it can't be read, in words that name the path.
    fn read(&self, path: &str) -> Result<String, String>;

    /// The files that a pattern such as `data/*.csv` names, sorted; see [`crate::glob::matches`].
    ///
    /// # Errors
    /// Why the folder can't be searched, in words.
    fn glob(&self, pattern: &str) -> Result<Vec<String>, String>;
}

/// For a text that has no folder.
pub struct NoFiles;

impl Files for NoFiles {
    fn read(&self, path: &str) -> Result<String, String> {
        Err(format!("`{path}` can't be read: this text has no folder"))
    }

    fn glob(&self, pattern: &str) -> Result<Vec<String>, String> {
        Err(format!("`{pattern}` can't be searched: this text has no folder"))
    }
}

/// A file that a pipeline uses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UsedFile {
    /// Its path from the pipeline's folder.
    pub path: String,
    /// Its text.
    pub text: String,
}

/// Whether a path stays below the folder that it begins at, whatever the machine.
pub(crate) fn stays_below(path: &str) -> bool {
    let absolute = path.starts_with(['/', '\\', '~']) || path.as_bytes().get(1) == Some(&b':');
    !path.is_empty() && !absolute && !path.contains('\0') && path.split(['/', '\\']).all(|part| part != "..")
}

/// Places of all texts in one row: the pipeline's own first, then each used file's. A place says by itself in which text it is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Places {
    /// Where the next text begins.
    end: usize,
    files: Vec<Placed>,
}

#[derive(Debug, Clone)]
struct Placed {
    file: UsedFile,
    start: usize,
    /// The path in the `use` that names it.
    named: Range<usize>,
}

impl Places {
    pub(crate) fn new(text: &str) -> Places {
        Places { end: text.len() + 1, files: Vec::new() }
    }

    /// Adds a text; gives where it begins.
    pub(crate) fn add(&mut self, file: UsedFile, named: Range<usize>) -> usize {
        let start = self.end;
        self.end += file.text.len() + 1;
        self.files.push(Placed { file, start, named });
        start
    }

    /// The used files, each once.
    pub(crate) fn files(&self) -> Vec<UsedFile> {
        let mut files: Vec<UsedFile> = Vec::new();
        for placed in &self.files {
            if !files.contains(&placed.file) {
                files.push(placed.file.clone());
            }
        }
        files
    }

    fn of(&self, place: usize) -> Option<&Placed> {
        self.files.iter().rev().find(|placed| placed.start <= place)
    }

    /// Whether a place is in a used file.
    pub(crate) fn is_elsewhere(&self, place: usize) -> bool {
        self.of(place).is_some()
    }

    /// Moves mistakes in used files to the `use` that names the file, and says where they are.
    pub(crate) fn settle(&self, diagnostics: &mut [Diagnostic]) {
        for diagnostic in diagnostics {
            if let Some(placed) = self.of(diagnostic.span.start) {
                let (line, column) = line_and_column(&placed.file.text, diagnostic.span.start - placed.start);
                diagnostic.message = format!("{}:{line}:{column}: {}", placed.file.path, diagnostic.message);
                diagnostic.span = self.outermost(placed);
                diagnostic.label = "in this file".into();
            }
            diagnostic.notes.retain(|note| !self.is_elsewhere(note.span.start));
        }
    }

    fn outermost(&self, placed: &Placed) -> Range<usize> {
        match self.of(placed.named.start) {
            Some(outer) => self.outermost(outer),
            None => placed.named.clone(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_paths_below_the_folder_stay_below_it() {
        for path in ["a.nf", "common/a.nf", "a..b/c.nf", "./a.nf"] {
            assert!(stays_below(path), "{path}");
        }
        for path in ["", "/a.nf", "../a.nf", "a/../../b.nf", "~/a.nf", "C:\\a.nf", "\\\\host\\a", "a\\..\\b", "a\0"] {
            assert!(!stays_below(path), "{path}");
        }
    }
}
