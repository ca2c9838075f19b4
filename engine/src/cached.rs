//! Results that are in the cache: looked up by key, and read with damage noticed.

use crate::outcome::{Outcome, Output, State};
use crate::task::Task;
use crate::worker::Problem;
use neuroflow_cache::{Cache, CacheError, Digest};
use neuroflow_data::{Artifact, DataError, Kind, Score};
use std::sync::Arc;

/// A task's cached result. A record that lacks a declared output counts as none.
pub(crate) fn lookup(cache: &Cache, key: &Digest, task: &Task) -> Result<Option<Outcome>, CacheError> {
    let Some(found) = cache.lookup_brief(key)? else { return Ok(None) };
    let mut outputs = Vec::with_capacity(found.outputs.len());
    for (name, kind) in &task.outputs {
        let Some(output) = found.outputs.iter().find(|output| output.slot == *name) else { return Ok(None) };
        outputs.push(Output { digest: output.digest, kind: *kind, size: output.size });
    }
    let scores = found.scores.and_then(|scores| serde_json::from_value::<Vec<Score>>(scores).ok());
    Ok(Some(Outcome {
        state: State::Cached { run: Arc::from(found.run) },
        key: Some(*key),
        outputs: outputs.into(),
        wall_ms: found.wall_ms as f32,
        scores: scores.map(Vec::into_boxed_slice),
        ran: None,
    }))
}

/// Reads an artifact of the cache; a damaged one goes into quarantine.
///
/// # Errors
/// When the object is missing, unreadable or damaged, in words.
pub fn read_artifact(cache: &Cache, digest: &Digest, kind: Kind) -> Result<Artifact, String> {
    load(cache, digest, kind).map_err(|problem| match problem {
        Problem::Stage(error) => error.to_string(),
        Problem::Cache(error) => error.to_string(),
        Problem::Ended(ending) => format!("{ending:?}"),
        Problem::Damaged(digest, error) => {
            format!("object {digest} of the cache is damaged ({error}); it was put into quarantine, run again")
        }
    })
}

pub(crate) fn load(cache: &Cache, digest: &Digest, kind: Kind) -> Result<Artifact, Problem> {
    let missing = || Problem::Damaged(*digest, DataError::Decode("it is missing".into()));
    let bytes = match cache.get(digest)? {
        Some(bytes) => bytes,
        // Another process may have published it since this one looked.
        None => {
            cache.refresh()?;
            cache.get(digest)?.ok_or_else(missing)?
        }
    };
    let decoded = match cache.is_whole(digest, &bytes) {
        true => Artifact::decode(kind, &bytes),
        false => Err(DataError::Decode("its bytes are not those that it is named by".into())),
    };
    match decoded {
        Ok(artifact) => Ok(artifact),
        Err(error) => {
            cache.quarantine(digest)?;
            Err(Problem::Damaged(*digest, error))
        }
    }
}
