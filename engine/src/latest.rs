//! Which run a word means: an id, the beginning of one, `latest`, or `newest`.
//!
//! A look back (`run --at`, and each commit that `bisect` tries) is recorded like any other run, and is not what a person calls the latest: it has the files
//! of then, and of a search only the steps that its condition names.

use neuroflow_cache::{Cache, CacheError};
use serde::Deserialize;

/// The latest run with the files of the working tree.
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

fn latest(cache: &Cache) -> Result<String, CacheError> {
    let ids = cache.runs()?;
    // A record that can't be read is somebody's latest run, and whoever asks for it is told so.
    let is_of_now = |id: &&String| cache.run::<Marked>(id).map_or(true, |run| run.at.is_none());
    if let Some(id) = ids.iter().find(is_of_now) {
        return Ok(id.clone());
    }
    Err(CacheError::NoSuchRun(match ids.first() {
        None => "there is no run yet; `neuroflow run` makes one".into(),
        Some(id) => format!("all runs have the files of another time (`run --at`, `bisect`); `{NEWEST}` names the last of them, {id}"),
    }))
}
