//! Which run a word means: an id, the beginning of one, `latest`, or `newest`.
//!
//! A look back (`run --at`, and each commit that `bisect` tries) is recorded like any other run, and is not what a person calls the latest: it has the files
//! of then, and of a search only the steps that its condition names. Neither is a run of another project, which the same cache may have.

use neuroflow_cache::{Cache, CacheError, Digest};
use serde::Deserialize;
use std::path::{Path, PathBuf};

/// The latest run with the files of the working tree, of the project that the person is in.
pub const LATEST: &str = "latest";
/// The run that was recorded last, whatever it was made for.
pub const NEWEST: &str = "newest";

/// What of a record says whether its files were those of another time.
#[derive(Deserialize)]
struct Marked {
    #[serde(default)]
    at: Option<String>,
}

/// The full id of a run.
///
/// # Errors
/// When no run fits, or several do (they are named).
pub fn find_run(cache: &Cache, word: &str) -> Result<String, CacheError> {
    match word {
        LATEST => latest(cache),
        word => cache.find_run(word),
    }
}

/// What stands for a project beside records: a digest of where it lies. The project is the nearest folder above, or the folder itself, with
/// a `neuroflow.toml` or a repository; without one, the folder.
pub(crate) fn mark(folder: &Path) -> Digest {
    let folder = folder.canonicalize().unwrap_or_else(|_| folder.to_path_buf());
    let is_project = |folder: &&Path| folder.join("neuroflow.toml").is_file() || folder.join(".git").exists();
    let project = folder.ancestors().find(is_project).unwrap_or(&folder);
    Digest::of(format!("project {}", project.display()).as_bytes())
}

/// Where it is noted which projects a run belongs to: beside the records, for it is about this machine.
fn place(cache: &Cache, run: &str) -> PathBuf {
    cache.root().join("projects").join(run)
}

/// Notes the projects of a run: the one that it was started in, and the one of its pipeline. Where that can't be written, the run is one of any project.
pub(crate) fn note(cache: &Cache, run: &str, file: &Path) {
    let here = std::env::current_dir().unwrap_or_default();
    let file = here.join(file);
    let mut marks = vec![mark(&here), mark(file.parent().unwrap_or(&here))];
    marks.dedup();
    let text: String = marks.iter().map(|mark| format!("{mark}\n")).collect();
    let place = place(cache, run);
    let _ = place.parent().map_or(Ok(()), std::fs::create_dir_all).and_then(|()| std::fs::write(&place, text));
}

/// Whether a run may be one of a project. Of runs that came from elsewhere, or were made before that was noted, nothing is known.
pub(crate) fn is_here(cache: &Cache, run: &str, project: Option<&Digest>) -> bool {
    let Ok(text) = std::fs::read_to_string(place(cache, run)) else { return true };
    project.is_some_and(|project| text.lines().any(|line| line == project.to_string()))
}

fn latest(cache: &Cache) -> Result<String, CacheError> {
    let ids = cache.runs()?;
    let here = std::env::current_dir().map(|here| mark(&here)).ok();
    let mut others = None;
    for id in &ids {
        // A record that can't be read is somebody's latest run, and whoever asks for it is told so.
        let Ok(run) = cache.run::<Marked>(id) else { return Ok(id.clone()) };
        match is_here(cache, id, here.as_ref()) {
            true if run.at.is_none() => return Ok(id.clone()),
            true => {}
            false => others = others.or(Some(id)),
        }
    }
    Err(CacheError::NoSuchRun(match (ids.first(), others) {
        (None, _) => "there is no run yet; `neuroflow run` makes one".into(),
        (Some(id), Some(other)) => {
            format!(
                "no run of the working tree of this project is in the cache, which has runs of others: {other}; `{NEWEST}` names the last of all, {id}"
            )
        }
        (Some(id), None) => {
            format!("all runs have the files of another time (`run --at`, `bisect`); `{NEWEST}` names the last of them, {id}")
        }
    }))
}
