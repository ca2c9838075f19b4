//! Run records: what was run, in files of their own. They are small and outlive what they name.

use crate::digest::Digest;
use crate::disk::Disk;
use crate::error::CacheError;
use crate::objects::Objects;
use serde::de::{Deserialize, DeserializeOwned, DeserializeSeed, Deserializer, MapAccess, SeqAccess, Visitor};
use std::borrow::Cow;
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
        if name == "newest" {
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
pub(crate) fn named_by(record: Naming, objects: &Objects) -> Named {
    let mut named = Named { digests: record.digests, is_whole: true };
    let Some(tasks) = record.tasks else { return named };
    let digest = tasks.parse::<Digest>().ok();
    let text = digest.and_then(|digest| objects.get(&digest).ok().flatten().filter(|text| Digest::of_many(text) == digest));
    named.is_whole = text.is_some();
    if let Some(text) = text {
        let words = text.split(|byte| !byte.is_ascii_hexdigit()).filter(|word| word.len() == DIGITS);
        named.digests.extend(words.filter_map(|word| std::str::from_utf8(word).ok()?.parse::<Digest>().ok()));
    }
    named
}

/// What a record says of other things: read in passing, so that the record of a run of millions of tasks is never held as a document.
#[derive(Default)]
pub(crate) struct Naming {
    /// Every digest, wherever it stands.
    digests: Vec<Digest>,
    /// The name of the object of its tasks.
    tasks: Option<String>,
}

impl<'de> Deserialize<'de> for Naming {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Naming, D::Error> {
        let mut naming = Naming::default();
        Part { naming: &mut naming, depth: 0, is_tasks: false }.deserialize(from)?;
        Ok(naming)
    }
}

/// One value within a record.
struct Part<'a> {
    naming: &'a mut Naming,
    depth: usize,
    is_tasks: bool,
}

impl<'de> DeserializeSeed<'de> for Part<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, from: D) -> Result<(), D::Error> {
        from.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Part<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter.write_str("any value")
    }

    fn visit_str<E: serde::de::Error>(self, text: &str) -> Result<(), E> {
        self.naming.digests.extend(text.parse::<Digest>().ok());
        if self.is_tasks {
            self.naming.tasks = Some(text.to_owned());
        }
        Ok(())
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        while parts.next_element_seed(Part { naming: self.naming, depth: self.depth + 1, is_tasks: false })?.is_some() {}
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut parts: A) -> Result<(), A::Error> {
        while let Some(name) = parts.next_key::<Cow<str>>()? {
            let is_tasks = self.depth == 0 && name == TASKS;
            parts.next_value_seed(Part { naming: self.naming, depth: self.depth + 1, is_tasks })?;
        }
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_found_wherever_they_stand_and_the_tasks_only_at_the_top() {
        let digest = |number: u8| Digest::of(&[number]);
        let record = serde_json::json!({
            "a": [1, -2.5, null, true, { "b": digest(1).to_string(), "tasks": "not these" }],
            "text \" with an escape": [[digest(2).to_string()], "no digest"],
            "tasks": digest(3).to_string(),
        });
        let naming: Naming = serde_json::from_slice(record.to_string().as_bytes()).unwrap();
        let mut found = naming.digests.clone();
        found.sort_unstable();
        let mut all = vec![digest(1), digest(2), digest(3)];
        all.sort_unstable();
        assert_eq!(found, all);
        assert_eq!(naming.tasks, Some(digest(3).to_string()));
    }

    #[test]
    fn what_is_no_document_is_refused() {
        for text in [&b"{\"a\": [1, 2}"[..], b"{\"a\": \"\xff\"}", b"{} {}", b""] {
            assert!(serde_json::from_slice::<Naming>(text).is_err());
        }
    }
}
