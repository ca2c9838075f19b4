//! Jobs that other runs submitted: those of a run that was killed are waited for, not submitted again. What counts is the key, not who asked.

use super::client::{JobId, JobState, Seen};
use super::folder::ArrayFolder;
use super::journal::{self, Entry, Noted, RunFolder};
use neuroflow_cache::Digest;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime};

/// How long the journal of a run that is over is kept.
const KEPT: Duration = Duration::from_secs(30 * 86400);

/// An array of another run.
#[derive(Debug)]
pub(super) struct Other {
    pub(super) noted: Noted,
    pub(super) folder: ArrayFolder,
    pub(super) job: Option<JobId>,
    /// The keys of each element.
    pub(super) keys: Vec<Vec<Digest>>,
    /// Elements that wait or run.
    live: BTreeSet<usize>,
    /// The run, when it is over and we have taken it over.
    pub(super) run: Option<Arc<RunFolder>>,
}

/// Arrays of other runs.
#[derive(Debug, Default)]
pub(super) struct Others {
    others: Vec<Other>,
    places: HashMap<Digest, Vec<(usize, usize)>>,
    /// Whether the scheduler has been asked which of them live.
    pub(super) checked: bool,
}

impl Others {
    /// Looks through the journals of a cache, and removes those that are long over.
    pub(super) fn find(cache: &Path) -> Others {
        let mut others = Others::default();
        for path in journal::runs(cache) {
            let unfinished = journal::unfinished(&path);
            let run = RunFolder::take_over(&path).map(Arc::new);
            if unfinished.is_empty() {
                if run.is_some() && is_old(&path) {
                    // What can't be removed now is removed another time.
                    let _ = std::fs::remove_dir_all(&path);
                }
                continue;
            }
            for noted in unfinished {
                let folder = ArrayFolder::at(noted.folder.clone());
                let keys = folder.keys().unwrap_or_default();
                let job = noted.job.clone().map(JobId);
                others.others.push(Other { noted, folder, job, keys, live: BTreeSet::new(), run: run.clone() });
            }
        }
        for (at, other) in others.others.iter().enumerate() {
            for (index, keys) in other.keys.iter().enumerate() {
                keys.iter().for_each(|key| others.places.entry(*key).or_default().push((at, index)));
            }
        }
        others
    }

    pub(super) fn is_empty(&self) -> bool {
        self.others.is_empty()
    }

    pub(super) fn tags(&self) -> impl Iterator<Item = String> {
        self.others.iter().filter(|other| !self.checked || !other.live.is_empty()).map(|other| other.noted.tag.clone())
    }

    /// Takes in which jobs live. Arrays of runs that are over and have none are over as well.
    pub(super) fn see(&mut self, seen: &[Seen]) {
        for other in &mut self.others {
            let was_live = !other.live.is_empty();
            other.live.clear();
            for seen in seen.iter().filter(|seen| seen.tag == other.noted.tag) {
                other.job.get_or_insert_with(|| seen.element.job.clone());
                if other.job.as_ref() == Some(&seen.element.job) && !matches!(seen.state, JobState::Ended(_)) {
                    other.live.insert(seen.element.index);
                }
            }
            if let Some(run) = &other.run
                && other.live.is_empty()
                && (was_live || !self.checked)
                && run.note(&Entry::Ended { tag: other.noted.tag.clone() }).is_ok()
                && !was_live
            {
                other.folder.remove();
            }
        }
        self.checked = true;
    }

    /// The array and element that will answer a key.
    pub(super) fn place(&self, key: &Digest) -> Option<(&Other, usize)> {
        let places = self.places.get(key)?;
        places.iter().find_map(|(at, index)| {
            let other = self.others.get(*at)?;
            other.live.contains(index).then_some((other, *index))
        })
    }
}

fn is_old(path: &Path) -> bool {
    let changed = std::fs::metadata(path).and_then(|metadata| metadata.modified());
    changed.is_ok_and(|changed| SystemTime::now().duration_since(changed).is_ok_and(|age| age > KEPT))
}
