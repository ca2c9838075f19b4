//! Results that are in the cache: looked up by key, and read with damage noticed.

use crate::outcome::{Outcome, Output, State};
use crate::task::Task;
use crate::worker::Problem;
use arrow::buffer::Buffer;
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

/// Reads an artifact of the cache; a damaged one goes into quarantine. One that is whole stays where it is, whatever it was taken for.
///
/// # Errors
/// When the object is missing, unreadable or damaged, or of another kind, in words.
pub fn read_artifact(cache: &Cache, digest: &Digest, kind: Kind) -> Result<Artifact, String> {
    let bytes = whole(cache, digest).map_err(|problem| match problem {
        Problem::Stage(error) => error.to_string(),
        Problem::Cache(error) => error.to_string(),
        Problem::Ended(ending) => format!("{ending:?}"),
        Problem::Damaged(digest, error) => {
            format!("object {digest} of the cache is damaged ({error}); it was put into quarantine, run again")
        }
    })?;
    Artifact::decode(kind, &bytes).map_err(|error| format!("object {digest} of the cache is whole, and can't be read as a {kind}: {error}"))
}

/// Reads what a task needs. Bytes that can't be read as what the task that gave them declares go into quarantine as damaged ones do: whoever recorded them for
/// it was wrong, and they are made anew.
pub(crate) fn load(cache: &Cache, digest: &Digest, kind: Kind) -> Result<Artifact, Problem> {
    Artifact::decode(kind, &whole(cache, digest)?).or_else(|error| {
        cache.quarantine(digest)?;
        Err(Problem::Damaged(*digest, error))
    })
}

/// The bytes of an object, when they are those that it is named by.
fn whole(cache: &Cache, digest: &Digest) -> Result<Buffer, Problem> {
    let missing = || Problem::Damaged(*digest, DataError::Decode("it is missing".into()));
    let bytes = match cache.get(digest)? {
        Some(bytes) => bytes,
        // Another process may have published it since this one looked.
        None => {
            cache.refresh()?;
            cache.get(digest)?.ok_or_else(missing)?
        }
    };
    if cache.is_whole(digest, &bytes) {
        return Ok(bytes);
    }
    cache.quarantine(digest)?;
    Err(Problem::Damaged(*digest, DataError::Decode("its bytes are not those that it is named by".into())))
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_cache::OsDisk;
    use neuroflow_data::{Axis, Tensor, Typed};

    #[test]
    fn who_asks_for_another_kind_leaves_the_object_where_it_is() {
        let folder = tempfile::tempdir().unwrap();
        let cache = Cache::open(folder.path(), Arc::new(OsDisk::new())).unwrap();
        let tensor = Tensor::new(vec![Axis::count("unit", 2)], None, vec![1.0, 2.0]).unwrap();
        let digest = cache.put(&tensor.into_artifact().unwrap().encode().unwrap()).unwrap();
        let told = read_artifact(&cache, &digest, Kind::Spikes).unwrap_err();
        assert!(told.contains("is whole, and can't be read as a"), "{told}");
        assert!(read_artifact(&cache, &digest, Kind::Tensor).is_ok());
        // A task was promised another kind: whoever recorded this for it was wrong.
        assert!(matches!(load(&cache, &digest, Kind::Spikes), Err(Problem::Damaged(..))));
        assert!(!cache.contains(&digest));
    }
}
