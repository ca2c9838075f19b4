//! What a program is given beside its inputs: scripts, an environment, and what it may read. Found when a pipeline is planned, because it is part of keys.

use super::environment::{self, FoundFile};
use super::scripts;
use crate::files::ProjectFiles;
use crate::task::{ExecCall, LockedEnvironment, Script};
use neuroflow_cache::{Cache, Digest};
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What a step says about its program with `with`.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Wishes<'a> {
    /// `env = "…"`: the lock of its environment.
    pub environment: Option<&'a str>,
    /// `scripts = ["…"]`: patterns of files that it is given.
    pub scripts: &'a [String],
    /// `reads = ["…"]`: files and folders that it may read where they are.
    pub reads: &'a [String],
}

/// Equips the programs of a pipeline; the same wish is looked up once, for a family of steps has the same.
pub struct Equipment<'a> {
    files: &'a ProjectFiles,
    cache: &'a Cache,
    scripts: BTreeMap<(String, String, Vec<String>), Vec<Script>>,
    environments: BTreeMap<String, LockedEnvironment>,
}

impl<'a> Equipment<'a> {
    /// Equipment from the pipeline's folder of a project; contents are put into the cache.
    pub fn new(files: &'a ProjectFiles, cache: &'a Cache) -> Equipment<'a> {
        Equipment { files, cache, scripts: BTreeMap::new(), environments: BTreeMap::new() }
    }

    /// Gives a call what its step wishes.
    ///
    /// # Errors
    /// When something is not there, leads out of the pipeline's folder, or is not locked; says what to do.
    pub fn equip(&mut self, call: &mut ExecCall, wishes: Wishes<'_>) -> Result<(), String> {
        let folder = self.files.folder();
        call.home = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
        let wish = (call.template.clone(), call.file.clone(), wishes.scripts.to_vec());
        call.scripts = match self.scripts.get(&wish) {
            Some(known) => known.clone(),
            None => {
                let mut found = Vec::new();
                let look = self.files.look();
                for (path, place) in scripts::find(look, folder, &call.template, wishes.scripts, &call.file)? {
                    let executable = look.found(&place).is_ok_and(|found| found.is_executable);
                    let content = self.put(&place)?;
                    self.files.keep(&path, content, executable);
                    found.push(Script { path, content, executable });
                }
                self.scripts.insert(wish, found.clone());
                found
            }
        };
        call.environment = match wishes.environment {
            Some(written) => Some(self.environment(written)?),
            None => None,
        };
        call.reads = wishes.reads.iter().map(|written| self.readable(written)).collect::<Result<_, _>>()?;
        Ok(())
    }

    fn environment(&mut self, written: &str) -> Result<LockedEnvironment, String> {
        if let Some(known) = self.environments.get(written) {
            return Ok(known.clone());
        }
        let found = environment::find(self.files.look_at(&self.files.folder().join(written)), self.files.folder(), written)?;
        let mut files = Vec::new();
        for (name, file) in found.files {
            let content = match file {
                FoundFile::Path(path) => {
                    let content = self.put(&path)?;
                    self.files.keep(&path.strip_prefix(self.files.folder()).unwrap_or(&path).display().to_string(), content, false);
                    content
                }
                FoundFile::Text(text) => self.cache.put(text.as_bytes()).map_err(|error| error.to_string())?,
            };
            files.push((name, content));
        }
        let locked = LockedEnvironment { written: written.to_owned(), kind: found.kind, files };
        self.environments.insert(written.to_owned(), locked.clone());
        Ok(locked)
    }

    fn put(&self, path: &Path) -> Result<Digest, String> {
        self.files.put(self.cache, path)
    }

    /// A path of `reads`, as it is on this machine.
    fn readable(&self, written: &str) -> Result<PathBuf, String> {
        let path = match written.strip_prefix("~/").and_then(|rest| Some(std::env::home_dir()?.join(rest))) {
            Some(path) => path,
            None => self.files.folder().join(written),
        };
        let real = path.canonicalize().map_err(|error| format!("`{written}` in `reads` can't be had: {error}"))?;
        // A program reads it where it is, so there is only the one of now.
        if self.files.is_of_then() {
            self.files.remark(format!("`{written}` in `reads` is read as it is now"));
        }
        // Opening a folder opens what is below it, so the whole disk is not a thing to ask for by accident.
        if real.parent().is_none() {
            return Err("`reads = [\"/\"]` opens the whole disk; name what the program needs".into());
        }
        Ok(real)
    }
}
