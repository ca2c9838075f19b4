//! The local cache beside a remote one: what is fetched, checked and kept, and what is uploaded.

use crate::archive::{read_record, write_record};
use crate::digest::Digest;
use crate::error::CacheError;
use crate::objects::{Objects, SMALL};
use crate::record::ActionRecord;
use crate::remote::{Map, NotGiven, PIECE, REMEMBER_MISSING, Remote, RemoteMode, Uploads};
use bytes::Bytes;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// Records larger than this are nobody's.
const MOST_RECORD: u64 = 64 << 20;
/// So many requests are made at once.
const AT_ONCE: usize = 16;

/// A remote as one cache uses it.
pub(crate) struct Shared {
    here: Arc<Here>,
    uploads: Option<Uploads>,
}

/// What the threads that upload share with the others.
struct Here {
    remote: Remote,
    objects: Arc<Objects>,
    warnings: Arc<Mutex<Vec<String>>>,
    /// Keys that the remote did not have, and when that was.
    missing: Mutex<HashMap<Digest, Duration>>,
    /// Keys and objects that the remote has and that are wrong or lack something: they are written again.
    broken: Mutex<HashSet<Digest>>,
    /// Objects that the remote was seen to have.
    known: Mutex<HashSet<Digest>>,
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

impl Shared {
    pub(crate) fn new(remote: Remote, objects: Arc<Objects>, warnings: Arc<Mutex<Vec<String>>>) -> Shared {
        let writes = remote.mode() == RemoteMode::Write;
        let here =
            Arc::new(Here { remote, objects, warnings, missing: Mutex::default(), broken: Mutex::default(), known: Mutex::default() });
        let uploading = Arc::clone(&here);
        Shared { uploads: writes.then(|| Uploads::start(move |key| uploading.upload(key))), here }
    }

    /// Fetches the answer to a key with all its outputs; gives whether it is in the local cache now.
    pub(crate) fn fetch(&self, key: &Digest) -> Result<bool, CacheError> {
        self.here.fetch(key)
    }

    /// Fetches the answers to many keys at once.
    pub(crate) fn fetch_all(&self, keys: &[Digest]) -> Result<(), CacheError> {
        let next = std::sync::atomic::AtomicUsize::new(0);
        let failed = Mutex::new(None);
        let work = || {
            while let Some(key) = keys.get(next.fetch_add(1, std::sync::atomic::Ordering::Relaxed)) {
                if self.here.remote.store.is_off() {
                    return;
                }
                if let Err(error) = self.here.fetch(key) {
                    *lock(&failed) = Some(error);
                    return;
                }
            }
        };
        std::thread::scope(|scope| (0..AT_ONCE.min(keys.len())).for_each(|_| drop(scope.spawn(work))));
        failed.into_inner().unwrap_or_else(PoisonError::into_inner).map_or(Ok(()), Err)
    }

    /// Fetches one object whose size is not known.
    pub(crate) fn fetch_object(&self, digest: &Digest) -> Result<bool, CacheError> {
        match self.here.remote.store.length(Map::Objects, digest) {
            Ok(size) => self.here.object(digest, size),
            Err(reason) => {
                self.here.tell(reason);
                Ok(false)
            }
        }
    }

    /// Uploads the answer to a key some time.
    pub(crate) fn upload(&self, key: &Digest) {
        if let Some(uploads) = self.uploads.as_ref().filter(|_| !self.here.remote.store.is_off()) {
            uploads.push(*key);
        }
    }

    /// Waits for uploads, at most so long.
    pub(crate) fn finish(&self, limit: Duration) {
        let left = self.uploads.as_ref().map_or(0, |uploads| uploads.finish(limit));
        // When the remote is off, that was told.
        if left > 0 && !self.here.remote.store.is_off() {
            self.here.warn(format!(
                "{left} results were not uploaded to {} in time; other machines compute them again",
                self.here.remote.store.url()
            ));
        }
    }
}

impl Here {
    fn warn(&self, warning: String) {
        lock(&self.warnings).push(warning);
    }

    fn tell(&self, reason: NotGiven) {
        if let NotGiven::Failed(Some(reason)) = reason {
            let url = self.remote.store.url();
            self.warn(format!("the remote cache {url} is not used for the rest of this run: {reason}; nothing else is affected"));
        }
    }

    /// What was wrong is told once for each, and written again when this machine has it right.
    fn broken(&self, digest: &Digest, what: &str) {
        if lock(&self.broken).insert(*digest) {
            self.warn(format!("{what} {digest} of the remote cache {} is damaged; it was refused", self.remote.store.url()));
        }
    }

    fn fetch(&self, key: &Digest) -> Result<bool, CacheError> {
        let now = self.objects.disk.elapsed();
        if lock(&self.missing).get(key).is_some_and(|then| now.saturating_sub(*then) < REMEMBER_MISSING) {
            return Ok(false);
        }
        let bytes = match self.remote.store.get(Map::Actions, key, 0, MOST_RECORD) {
            Ok(bytes) => bytes,
            Err(reason) => {
                if matches!(reason, NotGiven::Missing) {
                    lock(&self.missing).insert(*key, now);
                }
                self.tell(reason);
                return Ok(false);
            }
        };
        let Some((record, head, summary)) = read_record(key, &bytes) else {
            self.broken(key, "record");
            return Ok(false);
        };
        for output in &record.outputs {
            if self.objects.size(&output.digest) != Some(output.size) && !self.object(&output.digest, output.size)? {
                // Objects may be removed by age; a record without them is replaced.
                lock(&self.broken).insert(*key);
                lock(&self.missing).insert(*key, now);
                return Ok(false);
            }
        }
        if let Some(log) = record.log.filter(|log| self.objects.size(log).is_none()) {
            // A result without its log is still a result.
            if let Ok(size) = self.remote.store.length(Map::Objects, &log) {
                self.object(&log, size)?;
            }
        }
        self.objects.segments.append(key, head, summary)?;
        Ok(true)
    }

    /// Fetches an object into the local cache; false when the remote does not have it as it should be.
    fn object(&self, digest: &Digest, size: u64) -> Result<bool, CacheError> {
        if size <= SMALL as u64 {
            return Ok(match self.remote.store.get(Map::Objects, digest, 0, size) {
                Ok(bytes) if bytes.len() as u64 == size && Digest::of(&bytes) == *digest => {
                    self.objects.put(&bytes)?;
                    true
                }
                Ok(_) => {
                    self.broken(digest, "object");
                    false
                }
                Err(reason) => {
                    self.tell(reason);
                    false
                }
            });
        }
        let temporary = self.objects.temporary();
        let fetched = self.pieces(digest, size, &temporary);
        if !matches!(fetched, Ok(true)) {
            let _ = self.objects.disk.remove(&temporary);
            return fetched;
        }
        self.objects.publish(&temporary, digest, Ok(()))?;
        self.objects.commit.note(*digest);
        Ok(true)
    }

    /// Writes an object's pieces to a file; true when all of it is what its digest says.
    fn pieces(&self, digest: &Digest, size: u64, to: &std::path::Path) -> Result<bool, CacheError> {
        let failed = |error| CacheError::io("writing", to, error);
        let mut file = self.objects.disk.appender(to).map_err(failed)?;
        let (mut hasher, mut at) = (blake3::Hasher::new(), 0);
        while at < size {
            let wanted = PIECE.min(size - at);
            // The first request may give all of it.
            let piece = match self.remote.store.get(Map::Objects, digest, at, if at == 0 { size.min(PIECE) } else { wanted }) {
                Ok(piece) => piece,
                Err(reason) => {
                    self.tell(reason);
                    return Ok(false);
                }
            };
            let is_last = at + wanted == size;
            let whole = piece.len() as u64 == wanted || (at == 0 && !is_last && piece.len() as u64 > wanted);
            if !whole {
                self.broken(digest, "object");
                return Ok(false);
            }
            let piece = &piece[..usize::try_from(wanted).unwrap_or(piece.len()).min(piece.len())];
            hasher.update(piece);
            file.append(piece).map_err(failed)?;
            at += wanted;
        }
        if hasher.finalize().as_bytes() != digest.as_bytes() {
            self.broken(digest, "object");
            return Ok(false);
        }
        Ok(true)
    }

    /// Uploads objects, then the record.
    fn upload(&self, key: &Digest) {
        let Some((record, head, summary)) = self.objects.segments.raw(key) else { return };
        if self.remote.store.is_off() || !self.upload_objects(&record) {
            return;
        }
        let create = !lock(&self.broken).contains(key);
        match self.remote.store.put(Map::Actions, key, write_record(key, &head, &summary).into(), create) {
            Ok(()) => drop((lock(&self.broken).remove(key), lock(&self.missing).remove(key))),
            Err(reason) => self.tell(reason),
        }
    }

    fn upload_objects(&self, record: &ActionRecord) -> bool {
        let named = record.outputs.iter().map(|output| output.digest).chain(record.log);
        named.into_iter().all(|digest| lock(&self.known).contains(&digest) || self.upload_object(&digest))
    }

    fn upload_object(&self, digest: &Digest) -> bool {
        let Ok(Some(bytes)) = self.objects.get(digest) else { return false };
        // A damaged object must not leave this machine.
        if Digest::of_many(&bytes) != *digest {
            return false;
        }
        let create = !lock(&self.broken).contains(digest);
        let is_there = create
            && bytes.len() > 1 << 20
            && matches!(self.remote.store.length(Map::Objects, digest), Ok(size) if size == bytes.len() as u64);
        let put = if is_there { Ok(()) } else { self.remote.store.put(Map::Objects, digest, Bytes::copy_from_slice(&bytes), create) };
        match put {
            Ok(()) => {
                lock(&self.known).insert(*digest);
                lock(&self.broken).remove(digest);
                true
            }
            Err(reason) => {
                self.tell(reason);
                false
            }
        }
    }
}
