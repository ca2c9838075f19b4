//! The files of a project as a run sees them: those of the working folder, those of a git revision, or those that an earlier run had.
//!
//! Everything that a pipeline names is opened here and nowhere else: its text, files that it uses, lists of files, scripts, locks of environments, and
//! data. So a run at a revision is the same run with other files, and the working tree is neither changed nor, for code, looked at.
//!
//! Data need not lie in the repository. What an earlier run of the same pipeline at the same revision had is found again by its digest: in the cache, in the
//! revision, or on the disk.

pub(crate) mod look;
mod revision;
pub(crate) mod tree;

pub use revision::Revision;
pub(crate) use revision::unfetched;

use crate::folder::Folder;
use crate::git;
use crate::record::{InputRecord, KeptFile, RunRecord};
use look::{Disk, Look};
use neuroflow_cache::{Cache, Digest};
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use tree::{Entry, Tree};

/// The files of a project.
pub struct ProjectFiles {
    /// Where paths of inputs begin.
    working: PathBuf,
    /// The pipeline file.
    file: PathBuf,
    /// The pipeline's folder.
    folder: PathBuf,
    /// The files of then, when those of now are not meant.
    tree: Option<Arc<Tree>>,
    /// What a record says of the version control, when that is not the working tree.
    pub(crate) recorded: Option<Recorded>,
    earlier: Option<Earlier>,
    kept: Mutex<BTreeMap<String, KeptFile>>,
    listed: Arc<Mutex<BTreeSet<String>>>,
    remarks: Mutex<BTreeSet<String>>,
}

/// What the record of a run with files of then says of them.
#[derive(Debug, Clone)]
pub(crate) struct Recorded {
    /// What was asked for: a revision, or the id of a run.
    pub(crate) at: String,
    pub(crate) revision: Option<git::Revision>,
    pub(crate) patch: Option<Digest>,
}

/// What a run had, for another that is to have the same.
pub(crate) struct Earlier {
    pub(crate) run: String,
    /// Whether all files are those of the run, and not only its data.
    is_whole: bool,
    inputs: Vec<InputRecord>,
    /// Caches in which contents are looked for.
    pub(crate) caches: Vec<Arc<Cache>>,
    /// The commit's files, beside those of the run.
    tree: Option<Arc<Tree>>,
}

impl ProjectFiles {
    /// The files as they are now. Paths of inputs begin at `working`.
    pub fn now(working: &Path, file: &Path) -> ProjectFiles {
        let folder = Folder::of(file).path().to_path_buf();
        ProjectFiles {
            working: working.to_path_buf(),
            file: file.to_path_buf(),
            folder,
            tree: None,
            recorded: None,
            earlier: None,
            kept: Mutex::default(),
            listed: Arc::default(),
            remarks: Mutex::default(),
        }
    }

    /// The files of a revision. `file` is where the pipeline would lie in the working folder of its repository (in a bare one, below the repository itself).
    pub fn at(revision: &Revision, working: &Path, file: &Path) -> ProjectFiles {
        let file = git::nearest_folder(file);
        let of_commit = git::Revision {
            commit: revision.commit.clone(),
            branch: None,
            dirty: false,
            file: revision.tree.path_of(&file).filter(|path| !path.is_empty()),
        };
        let recorded = Recorded { at: revision.asked.clone(), revision: Some(of_commit), patch: None };
        let working = working.canonicalize().unwrap_or_else(|_| working.to_path_buf());
        ProjectFiles { tree: Some(Arc::clone(&revision.tree)), recorded: Some(recorded), ..ProjectFiles::now(&working, &file) }
    }

    /// The files that a run had, whatever they are now and whether or not they were ever committed. Contents are looked for in `caches`, and those that are
    /// gone from there in the commit that the run was made at.
    pub fn of_run(record: &RunRecord, working: &Path, caches: Vec<Arc<Cache>>) -> ProjectFiles {
        let file = git::nearest_folder(&working.join(record.pipeline_file()));
        let base = ProjectFiles::now(working, &file);
        let root = file.ancestors().last().unwrap_or(Path::new("/")).to_path_buf();
        let commit = record.revision.as_ref().and_then(|revision| Revision::open(&file, &revision.commit).ok());
        let committed = |path: &Path| commit.as_ref().and_then(|commit| commit.tree.read(path).ok());
        let mut entries = BTreeMap::new();
        let mut add = |path: PathBuf, content: Option<Digest>, is_executable: bool| {
            let entry = match content {
                Some(content) => {
                    // What the cache has lost, the commit may still have.
                    let is_gone = !caches.iter().any(|cache| cache.contains(&content));
                    if let (true, Some(bytes), Some(cache)) = (is_gone, committed(&path), caches.first())
                        && Digest::of(&bytes) == content
                    {
                        let _ = cache.put(&bytes);
                    }
                    Entry::Object { content, is_executable }
                }
                None => Entry::Name,
            };
            let path = tree::plain(&path);
            if let Some(path) = path.strip_prefix(&root).ok().and_then(Path::to_str) {
                entries.insert(path.to_owned(), entry);
            }
        };
        add(file.clone(), Some(record.source), false);
        for (path, content) in &record.used {
            add(base.folder.join(path), Some(*content), false);
        }
        for kept in &record.kept {
            add(base.folder.join(&kept.path), kept.content, kept.executable);
        }
        let tree = Arc::new(Tree::new(root, entries, None, caches.clone()));
        let earlier = Earlier {
            run: record.id.clone(),
            is_whole: true,
            inputs: record.inputs.clone(),
            caches,
            tree: commit.map(|commit| Arc::clone(&commit.tree)),
        };
        let recorded = Recorded { at: record.id.clone(), revision: record.revision.clone(), patch: record.patch };
        ProjectFiles { tree: Some(tree), recorded: Some(recorded), earlier: Some(earlier), ..base }
    }

    /// The same files, with data as a run at the same revision had them.
    #[must_use]
    pub fn with_data_of(self, record: &RunRecord, caches: Vec<Arc<Cache>>) -> ProjectFiles {
        let earlier = Earlier { run: record.id.clone(), is_whole: false, inputs: record.inputs.clone(), caches, tree: None };
        ProjectFiles { earlier: Some(earlier), ..self }
    }

    /// The commit that a record names for these files, unless they are those of now.
    pub fn commit(&self) -> Option<&str> {
        self.recorded.as_ref()?.revision.as_ref().map(|revision| revision.commit.as_str())
    }

    /// The pipeline file: as it was given, or where it would lie.
    pub fn file(&self) -> &Path {
        &self.file
    }

    /// The pipeline's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Where paths of inputs begin.
    pub(crate) fn working(&self) -> &Path {
        &self.working
    }

    /// Whether they are the files of another time.
    pub fn is_of_then(&self) -> bool {
        self.tree.is_some()
    }

    /// The pipeline's folder, for the checker.
    pub fn for_checker(&self) -> Folder {
        Folder::listing(&self.folder, self.tree.clone(), &self.listed)
    }

    /// The pipeline's text.
    ///
    /// # Errors
    /// When there is no such file, it is no text, or its content is not here.
    pub fn text(&self) -> std::io::Result<String> {
        let text = look::read_text(self.look(), &self.file)?;
        // Some editors begin a file with a mark that says nothing.
        Ok(text.strip_prefix('\u{feff}').map(str::to_owned).unwrap_or(text))
    }

    /// The text of a file of the project, by its path from the working folder; none when it has no such text.
    pub fn project_file(&self, path: &str) -> Option<String> {
        let place = self.working.join(path);
        let of_then = self.trees().find_map(|tree| look::read_text(tree.as_ref(), &place).ok());
        // Of a run it is not known whether it had such a file; of a revision it is.
        let of_run = self.earlier.as_ref().is_some_and(|earlier| earlier.is_whole);
        let now = || if self.tree.is_none() || of_run { std::fs::read_to_string(&place).ok() } else { None };
        of_then.or_else(now)
    }

    /// The files of the project.
    pub(crate) fn look(&self) -> &dyn Look {
        match &self.tree {
            Some(tree) => tree.as_ref(),
            None => &Disk,
        }
    }

    /// The files among which a path is: what lies outside of a repository is only there now.
    pub(crate) fn look_at(&self, path: &Path) -> &dyn Look {
        match &self.tree {
            Some(tree) if tree.path_of(path).is_some() => tree.as_ref(),
            Some(_) => {
                self.remark(format!("{} lies outside of the repository and is taken as it is now", path.display()));
                &Disk
            }
            None => &Disk,
        }
    }

    /// A file of the pipeline in the cache.
    ///
    /// # Errors
    /// When it can't be read or kept, in words.
    pub(crate) fn put(&self, cache: &Cache, path: &Path) -> Result<Digest, String> {
        match &self.tree {
            Some(tree) if tree.path_of(path).is_some() => {
                let bytes = tree.read(path).map_err(|error| format!("{}: {error}", path.display()))?;
                cache.put(&bytes).map_err(|error| error.to_string())
            }
            _ => cache.put_file(path).map(|(digest, _)| digest).map_err(|error| error.to_string()),
        }
    }

    /// Notes a file that a program is given; `path` is from the pipeline's folder.
    pub(crate) fn keep(&self, path: &str, content: Digest, executable: bool) {
        let kept = KeptFile { path: path.to_owned(), content: Some(content), executable };
        self.kept.lock().unwrap_or_else(PoisonError::into_inner).insert(path.to_owned(), kept);
    }

    /// What programs were given and lists named, sorted by path.
    pub(crate) fn kept(&self) -> Vec<KeptFile> {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for path in self.listed.lock().unwrap_or_else(PoisonError::into_inner).iter() {
            kept.entry(path.clone()).or_insert_with(|| KeptFile { path: path.clone(), content: None, executable: false });
        }
        kept.into_values().collect()
    }

    /// Adds what a person should know.
    pub(crate) fn remark(&self, remark: String) {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).insert(remark);
    }

    /// What a person should know about where files came from.
    pub fn remarks(&self) -> Vec<String> {
        self.remarks.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }

    /// The run whose data this run is to have, and the caches in which they are looked for.
    pub(crate) fn earlier(&self) -> Option<&Earlier> {
        self.earlier.as_ref()
    }

    /// What that run had as an input.
    pub(crate) fn earlier_input(&self, name: &str) -> Option<&InputRecord> {
        self.earlier.as_ref()?.inputs.iter().find(|input| input.name == name)
    }

    /// The trees that data may lie in: the revision's, or the one of an earlier run's commit.
    pub(crate) fn trees(&self) -> impl Iterator<Item = &Arc<Tree>> {
        self.tree.iter().chain(self.earlier.iter().flat_map(|earlier| &earlier.tree))
    }

    /// For each file of the disk, whether it may stand for data of a revision that does not have it: what git ignores, and what lies elsewhere.
    pub(crate) fn is_loose(&self, paths: &[PathBuf]) -> Vec<bool> {
        match git::discover(&self.file) {
            Ok(repository) => paths.iter().map(|path| git::is_ignored(&repository, path)).collect(),
            Err(_) => vec![false; paths.len()],
        }
    }
}
