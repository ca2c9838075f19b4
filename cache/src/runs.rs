//! Run records: what was run, in files of their own. They are small and outlive what they name.

use crate::digest::Digest;
use crate::disk::Disk;
use crate::error::CacheError;
use crate::objects::Objects;
use serde::de::DeserializeOwned;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The file that names the run that was recorded last.
const LATEST: &str = "latest";

pub(crate) struct Runs {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
}

impl Runs {
    pub(crate) fn open(root: &Path, disk: Arc<dyn Disk>) -> Result<Runs, CacheError> {
        let folder = root.join("runs");
        disk.create_dir_all(&folder).map_err(|error| CacheError::io("making", &folder, error))?;
        Ok(Runs { folder, disk })
    }

    pub(crate) fn path(&self, id: &str) -> PathBuf {
        self.folder.join(format!("{id}.json"))
    }

    /// Publishes a record that stands in a temporary file's name; nothing of it is there when this fails.
    pub(crate) fn append(&self, id: &str, temporary: &Path, bytes: &[u8]) -> Result<(), CacheError> {
        let path = self.path(id);
        let written = self.disk.write_synced(temporary, bytes).map_err(|error| CacheError::io("writing", temporary, error));
        let published =
            written.and_then(|()| self.disk.rename(temporary, &path).map_err(|error| CacheError::io("publishing", &path, error)));
        if published.is_err() {
            let _ = self.disk.remove(temporary);
            return published;
        }
        // Without this note the newest by its name is taken for the latest, which is wrong only when the clock was set back.
        let noted = self.disk.write_new(temporary, id.as_bytes()).and_then(|()| self.disk.rename(temporary, &self.folder.join(LATEST)));
        if noted.is_err() {
            let _ = self.disk.remove(temporary);
        }
        Ok(())
    }

    /// The run that was recorded last, whatever the clock says.
    fn latest(&self) -> Option<String> {
        let bytes = self.disk.read(&self.folder.join(LATEST)).ok()?;
        let id = std::str::from_utf8(&bytes).ok()?.to_owned();
        let is_id = !id.is_empty() && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-');
        (is_id && self.disk.stat(&self.path(&id)).is_ok()).then_some(id)
    }

    /// All ids: the latest first, then the others, newest first.
    pub(crate) fn ids(&self) -> Result<Vec<String>, CacheError> {
        let paths = self.disk.list(&self.folder).map_err(|error| CacheError::io("listing", &self.folder, error))?;
        let ids = paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        let mut ids: Vec<String> = ids.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        if let Some(position) = self.latest().and_then(|latest| ids.iter().position(|id| *id == latest)) {
            ids[..=position].rotate_right(1);
        }
        Ok(ids)
    }

    pub(crate) fn find(&self, name: &str) -> Result<String, CacheError> {
        let ids = self.ids()?;
        if name == "latest" {
            return ids.into_iter().next().ok_or_else(|| CacheError::NoSuchRun("there is no run yet; `neuroflow run` makes one".into()));
        }
        if let Some(exact) = ids.iter().find(|id| *id == name) {
            return Ok(exact.clone());
        }
        let fitting: Vec<&String> = ids.iter().filter(|id| id.starts_with(name)).collect();
        match fitting.as_slice() {
            [one] => Ok((*one).clone()),
            [] => Err(CacheError::NoSuchRun(format!("there is no run `{name}`; `neuroflow runs` lists them"))),
            several => {
                let names = several.iter().take(5).map(|id| format!("`{id}`")).collect::<Vec<_>>().join(", ");
                Err(CacheError::NoSuchRun(format!("`{name}` may be {names}; give more of it")))
            }
        }
    }

    pub(crate) fn bytes(&self, id: &str) -> Result<Vec<u8>, CacheError> {
        let path = self.path(id);
        self.disk.read(&path).map(|bytes| bytes.as_slice().to_vec()).map_err(|error| CacheError::io("reading", &path, error))
    }

    /// A record, or only what of it is asked for.
    pub(crate) fn read<T: DeserializeOwned>(&self, id: &str) -> Result<T, CacheError> {
        let path = self.path(id);
        let bytes = self.disk.read(&path).map_err(|error| CacheError::io("reading", &path, error))?;
        serde_json::from_slice(&bytes).map_err(|reason| CacheError::Record { run: id.to_owned(), reason })
    }

    /// Puts a damaged record aside under another name: the run is known no more.
    pub(crate) fn put_aside(&self, id: &str, aside: &Path) -> Result<(), CacheError> {
        let path = self.path(id);
        self.disk.rename(&path, aside).map_err(|error| CacheError::io("putting into quarantine", &path, error))
    }

    /// When a run was recorded, nanoseconds since 1970.
    pub(crate) fn recorded_ns(&self, id: &str) -> i64 {
        self.disk.stat(&self.path(id)).map_or(0, |stat| stat.mtime_ns)
    }
}

/// The member of a run's record that names an object whose text belongs to the record: its tasks, too many for the record itself.
const TASKS: &str = "tasks";
/// The length of a digest as text.
const DIGITS: usize = 64;

/// What a run names.
pub(crate) struct Named {
    /// Keys and objects.
    pub(crate) digests: Vec<Digest>,
    /// False when the object of its tasks is missing or damaged: then the run names more than is known.
    pub(crate) is_whole: bool,
}

/// Every digest that a run's record names, in itself or in the object of its tasks. Of that object nothing is believed unless it is what its name says.
pub(crate) fn named_by(record: &serde_json::Value, objects: &Objects) -> Named {
    let mut named = Named { digests: Vec::new(), is_whole: true };
    digests_in(record, &mut named.digests);
    let Some(tasks) = record.get(TASKS).and_then(serde_json::Value::as_str) else { return named };
    let digest = tasks.parse::<Digest>().ok();
    let text = digest.and_then(|digest| objects.get(&digest).ok().flatten().filter(|text| Digest::of_many(text) == digest));
    named.is_whole = text.is_some();
    if let Some(text) = text {
        let words = text.split(|byte| !byte.is_ascii_hexdigit()).filter(|word| word.len() == DIGITS);
        named.digests.extend(words.filter_map(|word| std::str::from_utf8(word).ok()?.parse::<Digest>().ok()));
    }
    named
}

/// Every digest in a document, wherever it stands.
fn digests_in(value: &serde_json::Value, found: &mut Vec<Digest>) {
    match value {
        serde_json::Value::String(text) => found.extend(text.parse::<Digest>().ok()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| digests_in(value, found)),
        serde_json::Value::Object(values) => values.values().for_each(|value| digests_in(value, found)),
        _ => {}
    }
}
