//! The cache as a whole: objects, actions, runs, the stat cache, and their upkeep.

use crate::actions::{ActionRecord, Actions};
use crate::digest::Digest;
use crate::disk::Disk;
use crate::error::CacheError;
use crate::objects::Objects;
use crate::stat_cache::StatCache;
use arrow::buffer::Buffer;
use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// A cache in a folder. Several processes may use one at once.
pub struct Cache {
    root: PathBuf,
    disk: Arc<dyn Disk>,
    objects: Objects,
    actions: Actions,
    stats: StatCache,
    /// Held shared while the cache is open, so that nothing is collected that a running process needs. The system lets go of it when a process dies.
    in_use: Option<File>,
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

/// What [`Cache::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Objects that are what their name says.
    pub good: usize,
    /// Objects that were not, now in quarantine.
    pub damaged: Vec<Digest>,
}

/// What [`Cache::gc`] did, or would do.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Objects removed.
    pub removed: usize,
    /// Bytes freed.
    pub freed: u64,
    /// Bytes kept.
    pub kept: u64,
    /// Bytes that are kept although they are over the limit, because they are pinned.
    pub pinned: u64,
}

/// Where processes say what they work on.
const CLAIMS: &str = "claims";

const A_DAY_NS: i64 = 86_400_000_000_000;

impl Cache {
    /// Opens the cache in a folder, which is made when it is missing.
    ///
    /// # Errors
    /// When the folder can't be made, read or written.
    pub fn open(root: &Path, disk: Arc<dyn Disk>) -> Result<Cache, CacheError> {
        for folder in ["objects", "tmp", "runs", CLAIMS] {
            let folder = root.join(folder);
            disk.create_dir_all(&folder).map_err(|error| CacheError::io("making", &folder, error))?;
        }
        let cache = Cache {
            objects: Objects::new(root, Arc::clone(&disk)),
            actions: Actions::open(root, Arc::clone(&disk))?,
            stats: StatCache::open(root, Arc::clone(&disk)),
            in_use: lock_file(root).filter(|file| file.lock_shared().is_ok()),
            root: root.to_path_buf(),
            disk,
        };
        cache.clean_leftovers()?;
        Ok(cache)
    }

    /// Where it is.
    pub fn root(&self) -> &Path {
        &self.root
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
        let folder = self.root.join(CLAIMS);
        let claims = self.disk.list(&folder).map_err(|error| CacheError::io("listing", &folder, error))?;
        claims.iter().for_each(|path| crate::claims::remove_dead(path));
        Ok(())
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
        self.objects.put(bytes)
    }

    /// Publishes a file's content as an object; gives its digest and size.
    ///
    /// # Errors
    /// When the file can't be read or the disk refuses.
    pub fn put_file(&self, path: &Path) -> Result<(Digest, u64), CacheError> {
        let path = std::path::absolute(path).map_err(|error| CacheError::io("finding", path, error))?;
        let stat = self.disk.stat(&path).map_err(|error| CacheError::io("reading", &path, error))?;
        if let Some(digest) = self.stats.known(&path, &stat)
            && self.objects.size(&digest) == Some(stat.size)
        {
            return Ok((digest, stat.size));
        }
        let bytes = self.disk.read(&path).map_err(|error| CacheError::io("reading", &path, error))?;
        let digest = self.objects.put(&bytes)?;
        self.stats.learn(&path, &stat, digest);
        Ok((digest, bytes.len() as u64))
    }

    /// An object's bytes; none when it is missing.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn get(&self, digest: &Digest) -> Result<Option<Buffer>, CacheError> {
        self.objects.get(digest)
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
        self.objects.quarantine(digest)
    }

    /// The answer to a key, when every output is there in its full size.
    ///
    /// # Errors
    /// Does not fail today; a remote store may.
    pub fn lookup(&self, key: &Digest) -> Result<Option<ActionRecord>, CacheError> {
        let whole = |record: &ActionRecord| record.outputs.iter().all(|output| self.objects.size(&output.digest) == Some(output.size));
        Ok(self.actions.get(key).filter(whole))
    }

    /// What was recorded for a key, whether or not its outputs are still there.
    pub fn recorded(&self, key: &Digest) -> Option<ActionRecord> {
        self.actions.get(key)
    }

    /// Records the answer to a key. Its outputs must have been put before.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn record(&self, key: &Digest, record: &ActionRecord) -> Result<(), CacheError> {
        self.actions.put(key, record)
    }

    /// Claims a key, so that no other process works on it meanwhile. A process that dies lets go at once.
    ///
    /// # Errors
    /// When the claim's file can't be made.
    pub fn claim(&self, key: &Digest) -> Result<crate::claims::Claimed, CacheError> {
        crate::claims::claim(&self.root.join(CLAIMS), key)
    }

    /// Takes in what other processes recorded meanwhile.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn refresh(&self) -> Result<(), CacheError> {
        self.actions.refresh()
    }

    /// Writes what is known about files; done by the caller when a run ends.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn save_stats(&self) -> Result<(), CacheError> {
        self.stats.save(&self.objects.temporary())
    }

    /// Appends a run record.
    ///
    /// # Errors
    /// When the disk refuses; then there is no record, and no part of one.
    pub fn append_run(&self, id: &str, record: &serde_json::Value) -> Result<(), CacheError> {
        let temporary = self.objects.temporary();
        let path = self.root.join("runs").join(format!("{id}.json"));
        self.disk.write_synced(&temporary, &serde_json::to_vec(record)?).map_err(|error| CacheError::io("writing", &temporary, error))?;
        self.disk.rename(&temporary, &path).map_err(|error| CacheError::io("publishing", &path, error))
    }

    /// The ids of all runs, newest first.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn runs(&self) -> Result<Vec<String>, CacheError> {
        let folder = self.root.join("runs");
        let paths = self.disk.list(&folder).map_err(|error| CacheError::io("listing", &folder, error))?;
        let ids = paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "json"));
        let mut ids: Vec<String> = ids.filter_map(|path| Some(path.file_stem()?.to_string_lossy().into_owned())).collect();
        ids.sort_unstable_by(|a, b| b.cmp(a));
        Ok(ids)
    }

    /// The full id of a run, from the beginning of it or `latest`.
    ///
    /// # Errors
    /// When no run fits, or several do (they are named).
    pub fn find_run(&self, name: &str) -> Result<String, CacheError> {
        let ids = self.runs()?;
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

    /// A run record.
    ///
    /// # Errors
    /// When it is missing or damaged.
    pub fn run(&self, id: &str) -> Result<serde_json::Value, CacheError> {
        let path = self.root.join("runs").join(format!("{id}.json"));
        let bytes = self.disk.read(&path).map_err(|error| CacheError::io("reading", &path, error))?;
        serde_json::from_slice(&bytes).map_err(|error| CacheError::io("reading", &path, std::io::Error::other(error.to_string())))
    }

    /// Reads every object again; damaged ones go into quarantine.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn verify(&self) -> Result<VerifyReport, CacheError> {
        let mut report = VerifyReport::default();
        for (digest, _) in self.objects.all()? {
            let Some(bytes) = self.objects.get(&digest)? else { continue };
            if Digest::of(&bytes) == digest {
                report.good += 1;
            } else {
                self.objects.quarantine(&digest)?;
                report.damaged.push(digest);
            }
        }
        Ok(report)
    }

    /// How large it is.
    ///
    /// # Errors
    /// When the disk refuses.
    pub fn stats(&self) -> Result<CacheStats, CacheError> {
        let objects = self.objects.all()?;
        let quarantine = self.root.join("quarantine");
        Ok(CacheStats {
            root: self.root.clone(),
            objects: objects.len(),
            bytes: objects.iter().map(|(_, size)| size).sum(),
            actions: self.actions.len(),
            runs: self.runs()?.len(),
            quarantined: self.disk.list(&quarantine).map_err(|error| CacheError::io("listing", &quarantine, error))?.len(),
        })
    }

    /// Removes objects until at most `keep` bytes are left: those first that no run names, then those of the oldest runs. What a run in `pinned` names stays.
    ///
    /// # Errors
    /// When another process uses the cache, or the disk refuses.
    pub fn gc(&self, keep: u64, pinned: &[String], dry_run: bool) -> Result<GcReport, CacheError> {
        let lock = lock_file(&self.root);
        if let Some(own) = &self.in_use {
            let _ = own.unlock();
        }
        let alone = lock.as_ref().is_some_and(|file| file.try_lock().is_ok());
        let result = if alone || dry_run {
            self.collect(keep, pinned, dry_run)
        } else {
            let path = self.root.join("in-use");
            Err(CacheError::io(
                "collecting",
                &path,
                std::io::Error::other("another neuroflow process uses this cache; try again when it has ended"),
            ))
        };
        if let Some(lock) = lock {
            let _ = lock.unlock();
        }
        if let Some(own) = &self.in_use {
            let _ = own.lock_shared();
        }
        result
    }

    fn collect(&self, keep: u64, pinned: &[String], dry_run: bool) -> Result<GcReport, CacheError> {
        // The newest run that names an object; 0 for none.
        let mut recency: BTreeMap<Digest, usize> = BTreeMap::new();
        let mut held: BTreeSet<Digest> = BTreeSet::new();
        let runs = self.runs()?;
        for (age, id) in runs.iter().enumerate().rev() {
            let Ok(record) = self.run(id) else { continue };
            let mut named = Vec::new();
            digests_in(&record, &mut named);
            for digest in named {
                recency.insert(digest, runs.len() - age);
                if pinned.contains(id) {
                    held.insert(digest);
                }
            }
        }
        let mut objects = self.objects.all()?;
        let mut total: u64 = objects.iter().map(|(_, size)| size).sum();
        objects.sort_by_key(|(digest, _)| (recency.get(digest).copied().unwrap_or(0), *digest));
        let mut report = GcReport::default();
        for (digest, size) in objects {
            if total <= keep {
                break;
            }
            if held.contains(&digest) {
                report.pinned += size;
                continue;
            }
            if !dry_run {
                self.objects.remove(&digest)?;
            }
            report.removed += 1;
            report.freed += size;
            total -= size;
        }
        report.kept = total;
        Ok(report)
    }
}

fn lock_file(root: &Path) -> Option<File> {
    File::options().create(true).truncate(false).write(true).open(root.join("in-use")).ok()
}

fn digests_in(value: &serde_json::Value, found: &mut Vec<Digest>) {
    match value {
        serde_json::Value::String(text) => found.extend(text.parse::<Digest>().ok()),
        serde_json::Value::Array(values) => values.iter().for_each(|value| digests_in(value, found)),
        serde_json::Value::Object(values) => values.values().for_each(|value| digests_in(value, found)),
        _ => {}
    }
}
