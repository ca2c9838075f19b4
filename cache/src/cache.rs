//! The cache as a whole: objects, actions, runs, the stat cache, the remote, and their upkeep.

use crate::archive::Moved;
use crate::claims::{Claimed, Claims};
use crate::digest::Digest;
use crate::disk::Disk;
use crate::error::CacheError;
use crate::format::{self, Found};
use crate::gate::{Gate, Inside};
use crate::gc::{Collector, GcReport, GcWish};
use crate::keeper::Keeper;
use crate::locks::Locks;
use crate::objects::{Objects, SMALL};
use crate::pins::Pins;
use crate::record::{ActionOutput, ActionRecord, Brief};
use crate::remote::Remote;
use crate::runs::Runs;
use crate::segments::Segments;
use crate::shared::Shared;
use crate::stat_cache::StatCache;
use crate::users::{Patience, Users};
use crate::verify::{RunState, VerifyReport};
use crate::{legacy, merge, recover};
use arrow::buffer::Buffer;
use serde::Serialize;
use serde::de::DeserializeOwned;
use std::collections::HashSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

/// A cache in a folder. Several processes may use one at once.
pub struct Cache {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    users: Arc<Users>,
    objects: Arc<Objects>,
    claims: Claims,
    gate: Arc<Gate>,
    stats: StatCache,
    runs: Runs,
    pins: Pins,
    warnings: Arc<Mutex<Vec<String>>>,
    /// Other machines' results, when there is a remote.
    shared: Option<Shared>,
    /// None when what it does is left to the end.
    keeper: Option<Keeper>,
    /// Objects whose bytes this process wrote or has looked at.
    trusted: Mutex<HashSet<Digest>>,
}

/// How a cache is opened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OpenOptions {
    /// What keeps two processes from doing the same work; found out when it is not said.
    pub locks: Option<Locks>,
    /// How long others are waited for where locks can't be relied on.
    pub patience: Patience,
    /// Sync and let go in the background; else only when the cache is flushed or closed.
    pub background: bool,
}

impl Default for OpenOptions {
    fn default() -> OpenOptions {
        OpenOptions { locks: None, patience: Patience::default(), background: true }
    }
}

impl OpenOptions {
    /// As the environment says: `NEUROFLOW_LOCKS` is `system` or `lease`, `NEUROFLOW_LEASE_SECONDS` a number. What is not set or empty is as by default.
    ///
    /// # Errors
    /// When one of them has another value.
    pub fn from_environment() -> Result<OpenOptions, CacheError> {
        let variable = |name: &str| std::env::var_os(name).map(|text| text.to_string_lossy().into_owned()).unwrap_or_default();
        OpenOptions::of_texts(&variable("NEUROFLOW_LOCKS"), &variable("NEUROFLOW_LEASE_SECONDS"))
    }

    fn of_texts(locks: &str, seconds: &str) -> Result<OpenOptions, CacheError> {
        let refused = |name, value: &str, allowed| CacheError::Setting { name, value: value.to_owned(), allowed };
        let mut options = OpenOptions::default();
        if !locks.is_empty() {
            let found = Locks::named(locks);
            options.locks = Some(found.ok_or_else(|| refused("NEUROFLOW_LOCKS", locks, "it may be `system` or `lease`"))?);
        }
        if !seconds.is_empty() {
            let found = seconds.parse().ok().filter(|seconds: &f64| (0.1..=86_400.0).contains(seconds));
            let wrong = || refused("NEUROFLOW_LEASE_SECONDS", seconds, "it may be a number of seconds from 0.1 to 86400");
            options.patience = Patience(std::time::Duration::from_secs_f64(found.ok_or_else(wrong)?));
        }
        Ok(options)
    }
}

/// What is in a cache.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct CacheStats {
    /// Where it is.
    pub root: PathBuf,
    /// The number of objects.
    pub objects: usize,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
    /// The number of answered keys.
    pub actions: usize,
    /// The number of runs.
    pub runs: usize,
    /// The number of objects in quarantine.
    pub quarantined: usize,
}

/// How long closing a cache waits for uploads.
pub const UPLOAD_LIMIT: std::time::Duration = std::time::Duration::from_secs(30);

const A_DAY_NS: i64 = 86_400_000_000_000;

impl Cache {
    /// Opens the cache in a folder, which is made when it is missing. The environment is not asked: [`OpenOptions::from_environment`] does that.
    ///
    /// # Errors
    /// When the folder can't be made, read or written, or has a format that is not known.
    pub fn open(root: &Path, disk: Arc<dyn Disk>) -> Result<Cache, CacheError> {
        Cache::open_with(root, disk, OpenOptions::default())
    }

    /// Opens the cache in a folder, with a say in how.
    ///
    /// # Errors
    /// When the folder can't be made, read or written, or has a format that is not known.
    pub fn open_with(root: &Path, disk: Arc<dyn Disk>, options: OpenOptions) -> Result<Cache, CacheError> {
        for folder in ["objects", "tmp"] {
            let folder = root.join(folder);
            disk.create_dir_all(&folder).map_err(|error| CacheError::io("making", &folder, error))?;
        }
        let mut found = format::look(root, disk.as_ref())?;
        let mut alone = None;
        if matches!(found, Found::First) {
            // Another process may have brought it to the present format while this one waited.
            alone = format::lock(root, disk.as_ref());
            found = format::look(root, disk.as_ref())?;
        }
        let locks = options.locks.unwrap_or_else(|| Locks::probe(root, disk.as_ref()));
        let users = Arc::new(Users::open(root, Arc::clone(&disk), locks, options.patience)?);
        let segments = Arc::new(Segments::open(root, Arc::clone(&disk), Arc::clone(&users))?);
        let objects = Arc::new(Objects::new(root, Arc::clone(&disk), Arc::clone(&segments)));
        let gate = Arc::new(Gate::new(root, Arc::clone(&disk), Arc::clone(&users)));
        let warnings = Arc::new(Mutex::new(Vec::new()));
        let stats = StatCache::new(root, Arc::clone(&disk));
        if matches!(found, Found::First) {
            legacy::migrate(root, disk.as_ref(), &objects, &stats)?;
        }
        drop(alone);
        let mut cache = Cache {
            claims: Claims::open(root, Arc::clone(&disk), Arc::clone(&users))?,
            runs: Runs::open(root, Arc::clone(&disk))?,
            pins: Pins::new(root, Arc::clone(&disk)),
            root: root.to_path_buf(),
            disk,
            users,
            objects,
            gate,
            stats,
            warnings,
            shared: None,
            keeper: None,
            trusted: Mutex::default(),
        };
        cache.clean_leftovers()?;
        cache.wait_for_collector()?;
        let wrong = recover::recover(&cache.objects)?;
        if wrong > 0 {
            cache.warn(format!("{wrong} objects did not reach the disk before the machine lost power; they are computed again"));
        }
        merge::merge_if_many(&segments)?;
        if options.background {
            cache.keeper = Some(cache.start_keeper());
        }
        Ok(cache)
    }

    fn start_keeper(&self) -> Keeper {
        let (objects, gate, users) = (Arc::clone(&self.objects), Arc::clone(&self.gate), Arc::clone(&self.users));
        let warnings = Arc::clone(&self.warnings);
        let tick = move || {
            if let Err(error) = objects.commit.run(objects.as_ref()) {
                warnings.lock().unwrap_or_else(PoisonError::into_inner).push(sync_warning(&error));
            }
            gate.pause();
        };
        let beats = (self.users.locks == Locks::Lease).then(|| self.users.patience());
        Keeper::start(beats, tick, move || users.beat())
    }

    /// Shares results with other machines through a remote: answers that are not here are fetched, and new ones are uploaded when its mode says so.
    #[must_use]
    pub fn with_remote(mut self, remote: Remote) -> Cache {
        self.shared = Some(Shared::new(remote, Arc::clone(&self.objects), Arc::clone(&self.warnings)));
        self
    }

    /// Whether there is a remote.
    pub fn is_shared(&self) -> bool {
        self.shared.is_some()
    }

    /// Fetches what the remote knows of many keys at once, so that looking them up one by one does not wait for each. Without a remote nothing happens.
    ///
    /// # Errors
    /// When the local disk refuses. A remote that fails is a warning.
    pub fn prefetch(&self, keys: &[Digest]) -> Result<(), CacheError> {
        let Some(shared) = &self.shared else { return Ok(()) };
        let _inside = self.inside()?;
        let unknown: Vec<Digest> =
            keys.iter().filter(|key| self.objects.segments.brief(key, |brief| self.are_there(&brief.outputs)).is_none()).copied().collect();
        shared.fetch_all(&unknown)
    }

    /// Waits until new results are uploaded, at most so long; how many are left out is a warning. Closing the cache does the same with [`UPLOAD_LIMIT`].
    pub fn finish_uploads(&self, limit: std::time::Duration) {
        if let Some(shared) = &self.shared {
            shared.finish(limit);
        }
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
    }

    /// What keeps two processes from doing the same work here.
    pub fn locks(&self) -> Locks {
        self.users.locks
    }

    fn warn(&self, warning: String) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(warning);
    }

    /// What went wrong without failing anything since this was last asked, for people.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Files that a killed process left half-written are removed a day later.
    fn clean_leftovers(&self) -> Result<(), CacheError> {
        let folder = self.root.join("tmp");
        for path in self.disk.list(&folder).map_err(|error| CacheError::io("listing", &folder, error))? {
            let old = self.disk.stat(&path).is_ok_and(|stat| stat.mtime_ns < self.disk.now_ns() - A_DAY_NS);
            if old {
                let _ = self.disk.remove(&path);
            }
        }
        self.claims.clean()
    }

    /// Where there are only leases, a collector and other processes exclude each other: each shows itself before it looks for the other.
    fn wait_for_collector(&self) -> Result<(), CacheError> {
        if self.users.locks == Locks::System {
            return Ok(());
        }
        let began = self.disk.elapsed();
        loop {
            match self.claims.claim_name(COLLECTOR)? {
                Claimed::Mine(_) => return Ok(()),
                Claimed::Other(by) if self.disk.elapsed().saturating_sub(began) > 10 * self.users.patience().0 => {
                    return Err(CacheError::InUse { by });
                }
                Claimed::Other(_) => std::thread::sleep(self.users.patience().beat()),
            }
        }
    }

    fn ring(&self) {
        if let Some(keeper) = &self.keeper {
            keeper.ring();
        }
    }

    /// Inside the gate: what is found now is there until this process ends.
    fn inside(&self) -> Result<Inside<'_>, CacheError> {
        let inside = self.gate.enter()?;
        if inside.is_changed {
            self.objects.segments.refresh_now()?;
        }
        self.ring();
        Ok(inside)
    }

    /// A folder for partial downloads, kept between processes.
    ///
    /// # Errors
    /// When it can't be made.
    pub fn scratch_dir(&self) -> Result<PathBuf, CacheError> {
        let folder = self.root.join("downloads");
        self.disk.create_dir_all(&folder).map_err(|error| CacheError::io("making", &folder, error))?;
        Ok(folder)
    }

    /// Publishes bytes as an object.
    ///
    /// # Errors
    /// When the disk refuses; then nothing is published.
    pub fn put(&self, bytes: &[u8]) -> Result<Digest, CacheError> {
        let inside = self.inside()?;
        let digest = self.objects.put(bytes)?;
        inside.uses([digest]);
        self.trust(digest, bytes.len() as u64);
        Ok(digest)
    }

    /// Publishes what `write` writes, piece by piece; gives its digest and size. What is large is never in memory as a whole.
    ///
    /// # Errors
    /// When the disk refuses, or `write` fails; then nothing is published.
    pub fn put_written(&self, write: impl FnOnce(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<(Digest, u64), CacheError> {
        let inside = self.inside()?;
        let (digest, size) = crate::writing::put_written(&self.objects, write)?;
        inside.uses([digest]);
        self.trust(digest, size);
        Ok((digest, size))
    }

    /// Whether bytes are those that an object is named by. Large ones are looked at once by each process.
    pub fn is_whole(&self, digest: &Digest, bytes: &[u8]) -> bool {
        if bytes.len() > SMALL && self.trusted.lock().unwrap_or_else(PoisonError::into_inner).contains(digest) {
            return true;
        }
        let is_whole = Digest::of_many(bytes) == *digest;
        if is_whole {
            self.trust(*digest, bytes.len() as u64);
        }
        is_whole
    }

    fn trust(&self, digest: Digest, size: u64) {
        if size > SMALL as u64 {
            self.trusted.lock().unwrap_or_else(PoisonError::into_inner).insert(digest);
        }
    }

    /// Publishes a file's content as an object; gives its digest and size.
    ///
    /// # Errors
    /// When the file can't be read or changes all the time, or the disk refuses.
    pub fn put_file(&self, path: &Path) -> Result<(Digest, u64), CacheError> {
        let inside = self.inside()?;
        let (digest, size) = crate::input::put_file(&self.objects, &self.stats, path)?;
        inside.uses([digest]);
        Ok((digest, size))
    }

    /// Publishes what `write` writes whenever it is called. What is there already is not stored again, unless it is damaged: then that goes into quarantine.
    ///
    /// # Errors
    /// When the disk refuses, or `write` fails; then nothing is published.
    pub fn put_repeatable(&self, write: impl Fn(&mut dyn std::io::Write) -> std::io::Result<()>) -> Result<(Digest, u64), CacheError> {
        let hashed = crate::writing::hash_written(&write);
        let (digest, size) = hashed.map_err(|error| CacheError::io("writing", &self.root, error))?;
        let inside = self.inside()?;
        if self.objects.size(&digest) == Some(size) {
            inside.uses([digest]);
            // What can't be read is written anew, like what is wrong.
            let found = self.objects.get(&digest).ok().flatten();
            if found.as_ref().is_some_and(|found| self.is_whole(&digest, found)) {
                return Ok((digest, size));
            }
            if found.is_some() || self.was_damaged(&digest) {
                self.quarantine(&digest)?;
            }
        }
        drop(inside);
        self.put_written(write)
    }

    /// The digest and size of a file's content, which is not published. Not read when it is known not to have changed.
    ///
    /// # Errors
    /// When the file can't be read or changes all the time.
    pub fn hash_file(&self, path: &Path) -> Result<(Digest, u64), CacheError> {
        crate::input::hash_file(self.disk.as_ref(), &self.stats, path)
    }

    /// An object's bytes; none when it is missing.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn get(&self, digest: &Digest) -> Result<Option<Buffer>, CacheError> {
        let found = self.objects.get(digest)?;
        match &self.shared {
            Some(shared) if found.is_none() && shared.fetch_object(digest)? => self.objects.get(digest),
            _ => Ok(found),
        }
    }

    /// An object that is what it is named by; none when it is not there, or is damaged.
    ///
    /// # Errors
    /// When the disk or the remote refuses.
    pub fn get_whole(&self, digest: &Digest) -> Result<Option<Buffer>, CacheError> {
        Ok(self.get(digest)?.filter(|bytes| self.is_whole(digest, bytes)))
    }

    /// Whether an object is there.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.objects.size(digest).is_some()
    }

    /// Moves an object that was found damaged away, so that it is computed again and never served.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn quarantine(&self, digest: &Digest) -> Result<(), CacheError> {
        self.trusted.lock().unwrap_or_else(PoisonError::into_inner).remove(digest);
        self.objects.quarantine(digest, None)
    }

    /// Whether this process found an object damaged that stands in a segment, and nobody has put it again: it is missing, and was not removed.
    pub fn was_damaged(&self, digest: &Digest) -> bool {
        self.objects.segments.is_denied(digest)
    }

    /// The answer to a key, when every output is there in its full size.
    ///
    /// # Errors
    /// When the cache is being collected and does not come free.
    pub fn lookup(&self, key: &Digest) -> Result<Option<ActionRecord>, CacheError> {
        let inside = self.inside()?;
        let look = || self.objects.segments.record(key, |record| self.are_there(&record.outputs));
        let found = self.or_fetched(key, look)?;
        if let Some(record) = &found {
            inside.uses(record.outputs.iter().map(|output| output.digest).chain(record.log));
        }
        Ok(found)
    }

    /// The part of the answer to a key that planning needs, when every output is there in its full size. Much cheaper than [`Cache::lookup`].
    ///
    /// # Errors
    /// When the cache is being collected and does not come free.
    pub fn lookup_brief(&self, key: &Digest) -> Result<Option<Brief>, CacheError> {
        let inside = self.inside()?;
        let look = || self.objects.segments.brief(key, |brief| self.are_there(&brief.outputs));
        let found = self.or_fetched(key, look)?;
        if let Some(brief) = &found {
            inside.uses(brief.outputs.iter().map(|output| output.digest));
        }
        Ok(found)
    }

    /// What is found here, or after it was fetched.
    fn or_fetched<T>(&self, key: &Digest, look: impl Fn() -> Option<T>) -> Result<Option<T>, CacheError> {
        let found = look();
        match &self.shared {
            Some(shared) if found.is_none() && shared.fetch(key)? => Ok(look()),
            _ => Ok(found),
        }
    }

    fn are_there(&self, outputs: &[ActionOutput]) -> bool {
        outputs.iter().all(|output| self.objects.size(&output.digest) == Some(output.size))
    }

    /// What was recorded for a key, whether or not its outputs are still there.
    pub fn recorded(&self, key: &Digest) -> Option<ActionRecord> {
        self.objects.segments.record(key, |_| true)
    }

    /// Records the answer to a key, for a remote too. Its outputs must have been put before.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn record(&self, key: &Digest, record: &ActionRecord) -> Result<(), CacheError> {
        self.record_here(key, record)?;
        if let Some(shared) = &self.shared {
            shared.upload(key);
        }
        Ok(())
    }

    /// Uploads an answer that another process of this run recorded here, when there is a remote that takes it.
    pub fn share(&self, key: &Digest) {
        if let Some(shared) = &self.shared {
            shared.upload(key);
        }
    }

    /// Records the answer to a key for this cache alone: nothing is uploaded. Its outputs must have been put before.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn record_here(&self, key: &Digest, record: &ActionRecord) -> Result<(), CacheError> {
        self.objects.segments.put_record(key, record)?;
        self.ring();
        Ok(())
    }

    /// Claims a key, so that no other process works on it meanwhile. A process that dies lets go: at once where locks can be relied on or the process was on this
    /// machine, else when it has shown no sign of life for a while.
    ///
    /// # Errors
    /// When the claim's file can't be made.
    pub fn claim(&self, key: &Digest) -> Result<Claimed, CacheError> {
        self.claims.claim(key)
    }

    /// Takes in what other processes recorded meanwhile.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn refresh(&self) -> Result<(), CacheError> {
        self.objects.segments.refresh()
    }

    /// Writes what is known about files; done by the caller when a run ends.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save_stats(&self) -> Result<(), CacheError> {
        self.stats.save(&self.objects.temporary())
    }

    /// Waits until everything that was published is on the disk. When the disk refuses, that is a warning: the results are there, and are checked after a loss of power.
    pub fn flush(&self) {
        if let Err(error) = self.objects.commit.run(self.objects.as_ref()) {
            self.warn(sync_warning(&error));
        }
    }

    /// Appends a run record, when everything that it names is on the disk.
    ///
    /// # Errors
    /// When the disk refuses; then there is no record, and no part of one.
    pub fn append_run(&self, id: &str, record: &impl Serialize) -> Result<(), CacheError> {
        self.append_run_bytes(id, &serde_json::to_vec(record)?)
    }

    pub(crate) fn append_run_bytes(&self, id: &str, bytes: &[u8]) -> Result<(), CacheError> {
        self.flush();
        self.runs.append(id, &self.objects.temporary(), bytes)?;
        // Without this note the record is there, and a later change of it goes unseen.
        self.objects.segments.put_run(&Digest::of(id.as_bytes()), &Digest::of(bytes))
    }

    /// The ids of all runs, newest first.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn runs(&self) -> Result<Vec<String>, CacheError> {
        self.runs.ids()
    }

    /// The full id of a run, from the beginning of it or `newest`, which is the one that was recorded last.
    ///
    /// # Errors
    /// When no run fits, or several do (they are named).
    pub fn find_run(&self, name: &str) -> Result<String, CacheError> {
        self.runs.find(name)
    }

    /// A run record, or only what of it is asked for: a run may name millions of tasks.
    ///
    /// # Errors
    /// When it is missing or damaged, or has not what is asked for.
    pub fn run<T: DeserializeOwned>(&self, id: &str) -> Result<T, CacheError> {
        self.runs.read(id)
    }

    /// Whether a run's record is what was written.
    ///
    /// # Errors
    /// When there is no such run, or the disk refuses.
    pub fn run_state(&self, id: &str) -> Result<RunState, CacheError> {
        crate::verify::run_state(&self.objects, &self.runs, id)
    }

    /// Pins a run: its objects are never collected. Gives whether it was not pinned before.
    ///
    /// # Errors
    /// When there is no such run, or the disk refuses.
    pub fn pin(&self, run: &str) -> Result<bool, CacheError> {
        self.pins.pin(&self.runs.find(run)?)
    }

    /// Takes a pin away. Gives whether there was one.
    ///
    /// # Errors
    /// When there is no such run, or the disk refuses.
    pub fn unpin(&self, run: &str) -> Result<bool, CacheError> {
        let pinned = self.pins.list()?;
        // A run whose record is gone may still be pinned.
        let id = if pinned.iter().any(|id| id == run) { run.to_owned() } else { self.runs.find(run)? };
        self.pins.unpin(&id)
    }

    /// The pinned runs.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn pins(&self) -> Result<Vec<String>, CacheError> {
        self.pins.list()
    }

    /// Writes a run and everything it names to a file, for another cache.
    ///
    /// # Errors
    /// When there is no such run, or the disk refuses.
    pub fn export(&self, run: &str, path: &Path) -> Result<Moved, CacheError> {
        crate::archive::export(&self.objects, &self.runs, &self.runs.find(run)?, path)
    }

    /// Takes in a file that [`Cache::export`] wrote. Nothing of it is believed that does not prove itself.
    ///
    /// # Errors
    /// When the file is not such a file, is damaged or cut off (what is wrong is said), or the disk refuses.
    pub fn import(&self, path: &Path) -> Result<Moved, CacheError> {
        // Nothing is collected meanwhile: what the records name stays until they are there.
        let _inside = self.inside()?;
        let publish = |id: &str, bytes: &[u8]| self.append_run_bytes(id, bytes);
        crate::archive::Import { objects: &self.objects, runs: &self.runs, publish: &publish }.import(path)
    }

    /// Reads everything again; damaged objects go into quarantine, damaged records are taken out.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn verify(&self) -> Result<VerifyReport, CacheError> {
        crate::verify::verify(&self.objects, &self.runs)
    }

    /// How large it is.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn stats(&self) -> Result<CacheStats, CacheError> {
        let files = self.objects.files()?;
        let (small, small_bytes) = self.objects.segments.small();
        let quarantine = self.root.join("quarantine");
        Ok(CacheStats {
            root: self.root.clone(),
            objects: files.len() + small,
            bytes: files.iter().map(|(_, stat)| stat.size).sum::<u64>() + small_bytes,
            actions: self.objects.segments.len(),
            runs: self.runs()?.len(),
            quarantined: self.disk.list(&quarantine).map_err(|error| CacheError::io("listing", &quarantine, error))?.len(),
        })
    }

    /// Removes objects until at most `keep` bytes are left; [`Cache::collect`] has more to choose from.
    ///
    /// # Errors
    /// When another process does not make room, or the disk refuses.
    pub fn gc(&self, keep: u64, pinned: &[String], dry_run: bool) -> Result<GcReport, CacheError> {
        self.collect(&GcWish { keep: Some(keep), pinned: pinned.to_vec(), dry_run, ..GcWish::default() })
    }

    /// Removes the least valuable objects. Safe beside other processes: what they use stays.
    ///
    /// # Errors
    /// When another process does not make room, or the disk refuses.
    pub fn collect(&self, wish: &GcWish) -> Result<GcReport, CacheError> {
        let _claim = match self.users.locks {
            Locks::System => None,
            Locks::Lease => match self.claims.claim_name(COLLECTOR)? {
                Claimed::Mine(claim) => Some(claim),
                Claimed::Other(by) => return Err(CacheError::InUse { by }),
            },
        };
        let mut wish = wish.clone();
        wish.pinned.extend(self.pins.list()?);
        Collector { objects: &self.objects, runs: &self.runs, gate: &self.gate }.collect(&wish)
    }
}

/// Who collects, where there are only leases.
const COLLECTOR: &str = "collector";

fn sync_warning(error: &CacheError) -> String {
    format!("results are published, but the disk did not confirm them ({error}); they are checked if this machine loses power")
}

impl Drop for Cache {
    fn drop(&mut self) {
        self.finish_uploads(UPLOAD_LIMIT);
        self.shared.take();
        self.keeper.take();
        self.flush();
        self.gate.pause();
        self.objects.segments.close();
        self.users.close();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_environment_says_is_taken_or_refused() {
        let options = OpenOptions::of_texts("lease", "0.5").unwrap();
        assert_eq!((options.locks, options.patience.0.as_millis()), (Some(Locks::Lease), 500));
        assert_eq!(OpenOptions::of_texts("", "").unwrap(), OpenOptions::default());
        for (locks, seconds, said) in
            [("foo", "", "NEUROFLOW_LOCKS=foo"), ("", "foo", "NEUROFLOW_LEASE_SECONDS=foo"), ("", "0", "from 0.1"), ("", "NaN", "86400")]
        {
            let error = OpenOptions::of_texts(locks, seconds).unwrap_err().to_string();
            assert!(error.contains(said), "{error}");
        }
    }
}
