//! Action records: the answer to a key.
//!
//! Each process appends to a segment file of its own; all segments together are the store, and the last record of a key counts. A record stands in a
//! frame with its length and a checksum. A frame that is cut off or damaged ends its segment for the reader, never for the store: what it held is
//! computed again. Many segments are merged into one when the store is opened.

use crate::digest::Digest;
use crate::disk::Disk;
use crate::error::CacheError;
use arrow::buffer::Buffer;
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// One output of an action.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ActionOutput {
    /// The output's name.
    pub slot: String,
    /// Its content.
    pub digest: Digest,
    /// Its size in bytes.
    pub size: u64,
}

/// What an action gave, and what it cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ActionRecord {
    /// What kind of work it was, for statistics.
    pub stage: String,
    /// The version of that work.
    pub version: u32,
    /// Its outputs.
    pub outputs: Vec<ActionOutput>,
    /// The run that did it.
    pub run: String,
    /// When it began, milliseconds since 1970.
    pub started_unix_ms: i64,
    /// Milliseconds that it took.
    pub wall_ms: f64,
    /// Milliseconds of processor time, where that is known.
    pub cpu_ms: Option<f64>,
    /// Its log, as an object.
    pub log: Option<Digest>,
    /// What made the key, in words, and whatever else the caller wants beside the result.
    pub summary: serde_json::Value,
}

const MAGIC: &[u8; 4] = b"NFA1";
const HEADER: usize = 4 + 4 + 32 + 8;
const MOST_SEGMENTS: usize = 64;

struct Place {
    segment: usize,
    start: usize,
    length: usize,
}

#[derive(Default)]
struct State {
    /// Where this process appends. A new one after a failed append: what stands behind a torn frame can't be read.
    own_segment: PathBuf,
    /// How many segments this process began.
    begun: u64,
    segments: Vec<(PathBuf, Buffer)>,
    index: HashMap<Digest, Place>,
    /// Records of this process.
    own: HashMap<Digest, ActionRecord>,
}

pub(crate) struct Actions {
    folder: PathBuf,
    disk: Arc<dyn Disk>,
    state: Mutex<State>,
}

impl Actions {
    pub(crate) fn open(root: &Path, disk: Arc<dyn Disk>) -> Result<Actions, CacheError> {
        let folder = root.join("actions");
        disk.create_dir_all(&folder).map_err(|error| CacheError::io("making", &folder, error))?;
        let actions = Actions { folder, disk, state: Mutex::new(State::default()) };
        actions.begin_segment(&mut actions.lock());
        actions.refresh()?;
        actions.compact()?;
        Ok(actions)
    }

    fn begin_segment(&self, state: &mut State) {
        state.begun += 1;
        state.own_segment = self.folder.join(format!("{}-{:x}-{}.log", std::process::id(), self.disk.now_ns(), state.begun));
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // The state is consistent between any two statements that could panic, so a poisoned lock is still good.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what other processes appended.
    pub(crate) fn refresh(&self) -> Result<(), CacheError> {
        let paths = self.disk.list(&self.folder).map_err(|error| CacheError::io("listing", &self.folder, error))?;
        let mut state = self.lock();
        let own = state.own_segment.clone();
        for path in paths.into_iter().filter(|path| path.extension().is_some_and(|ending| ending == "log") && *path != own) {
            let known = state.segments.iter().position(|(known, _)| *known == path);
            let size = self.disk.stat(&path).map(|stat| stat.size);
            if known.is_some_and(|known| size.as_ref().is_ok_and(|size| *size == state.segments[known].1.len() as u64)) {
                continue;
            }
            // A segment that was merged away between listing and reading is not missed: its records are in the merged one.
            let Ok(bytes) = self.disk.read(&path) else { continue };
            let segment = known.unwrap_or(state.segments.len());
            for (key, start, length) in frames(&bytes) {
                state.index.insert(key, Place { segment, start, length });
            }
            match known {
                Some(known) => state.segments[known].1 = bytes,
                None => state.segments.push((path, bytes)),
            }
        }
        Ok(())
    }

    pub(crate) fn get(&self, key: &Digest) -> Option<ActionRecord> {
        let state = self.lock();
        if let Some(record) = state.own.get(key) {
            return Some(record.clone());
        }
        let place = state.index.get(key)?;
        let bytes = state.segments.get(place.segment)?.1.as_slice();
        parse(bytes.get(place.start..place.start.checked_add(place.length)?)?)
    }

    pub(crate) fn put(&self, key: &Digest, record: &ActionRecord) -> Result<(), CacheError> {
        let bytes = frame(key, record)?;
        let mut state = self.lock();
        if let Err(error) = self.disk.append(&state.own_segment, &bytes) {
            let failed = CacheError::io("appending to", &state.own_segment, error);
            self.begin_segment(&mut state);
            return Err(failed);
        }
        state.own.insert(*key, record.clone());
        Ok(())
    }

    pub(crate) fn len(&self) -> usize {
        let state = self.lock();
        state.index.len() + state.own.keys().filter(|key| !state.index.contains_key(key)).count()
    }

    /// Every key with its outputs.
    pub(crate) fn all(&self) -> Vec<(Digest, ActionRecord)> {
        let keys: Vec<Digest> = {
            let state = self.lock();
            let mut keys: Vec<Digest> = state.index.keys().chain(state.own.keys()).copied().collect();
            keys.sort_unstable();
            keys.dedup();
            keys
        };
        keys.into_iter().filter_map(|key| Some((key, self.get(&key)?))).collect()
    }

    /// Merges many segments into one. Readers that hold the old ones are not disturbed; a process that goes on appending to a removed segment makes it anew.
    fn compact(&self) -> Result<(), CacheError> {
        if self.lock().segments.len() <= MOST_SEGMENTS {
            return Ok(());
        }
        let records: BTreeMap<Digest, ActionRecord> = self.all().into_iter().collect();
        let mut bytes = Vec::new();
        for (key, record) in &records {
            bytes.extend(frame(key, record)?);
        }
        let merged = self.folder.join(format!("merged-{:x}-{}.log", self.disk.now_ns(), std::process::id()));
        let temporary = merged.with_extension("tmp");
        self.disk.write_synced(&temporary, &bytes).map_err(|error| CacheError::io("writing", &temporary, error))?;
        self.disk.rename(&temporary, &merged).map_err(|error| CacheError::io("publishing", &merged, error))?;
        let old: Vec<(PathBuf, u64)> = self.lock().segments.iter().map(|(path, bytes)| (path.clone(), bytes.len() as u64)).collect();
        for (path, size) in old {
            // One that grew meanwhile stays: it holds what was not merged.
            if self.disk.stat(&path).is_ok_and(|stat| stat.size == size) {
                let _ = self.disk.remove(&path);
            }
        }
        self.refresh()
    }
}

fn frame(key: &Digest, record: &ActionRecord) -> Result<Vec<u8>, CacheError> {
    let payload = serde_json::to_vec(record)?;
    let length = u32::try_from(payload.len())
        .map_err(|_| CacheError::io("appending", Path::new("actions"), std::io::Error::other("record too long")))?;
    let mut bytes = Vec::with_capacity(HEADER + payload.len());
    bytes.extend(MAGIC);
    bytes.extend(length.to_le_bytes());
    bytes.extend(key.as_bytes());
    bytes.extend(checksum(key, &payload));
    bytes.extend(payload);
    Ok(bytes)
}

fn checksum(key: &Digest, payload: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(key.as_bytes());
    hasher.update(payload);
    let mut short = [0; 8];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    short
}

/// Key, start and length of each whole frame, up to the first that is cut off.
fn frames(bytes: &[u8]) -> Vec<(Digest, usize, usize)> {
    let mut frames = Vec::new();
    let mut at = 0usize;
    while let Some(header) = bytes.get(at..at + HEADER) {
        let length: [u8; 4] = header[4..8].try_into().unwrap_or_default();
        let total = HEADER + u32::from_le_bytes(length) as usize;
        if &header[..4] != MAGIC || bytes.len() - at < total {
            break;
        }
        let mut key = [0; 32];
        key.copy_from_slice(&header[8..40]);
        frames.push((Digest::from_bytes(key), at, total));
        at += total;
    }
    frames
}

/// The record in a frame; none when it is damaged.
fn parse(frame: &[u8]) -> Option<ActionRecord> {
    let header = frame.get(..HEADER)?;
    let payload = frame.get(HEADER..)?;
    let mut key = [0; 32];
    key.copy_from_slice(&header[8..40]);
    if checksum(&Digest::from_bytes(key), payload) != header[40..48] {
        return None;
    }
    serde_json::from_slice(payload).ok()
}
