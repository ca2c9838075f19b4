//! `cache verify`: everything is read again.

use crate::digest::Digest;
use crate::error::CacheError;
use crate::frame::{self, Kind};
use crate::merge::{Merge, merge};
use crate::objects::Objects;
use crate::record::Head;
use crate::runs::{Naming, Runs};
use crate::segments::frames;
use std::collections::{BTreeSet, HashMap};
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicUsize, Ordering};

/// What [`crate::Cache::verify`] found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// Objects that are what their name says.
    pub good: usize,
    /// Objects that were not, now in quarantine.
    pub damaged: Vec<Digest>,
    /// Action records that are what was written.
    pub good_records: usize,
    /// Places in segments where a record was damaged; what it answered is computed again.
    pub damaged_records: usize,
    /// Runs whose record was not what was written, now in quarantine.
    pub damaged_runs: Vec<String>,
    /// Indexes that were damaged and have been made anew.
    pub mended_indexes: usize,
}

impl VerifyReport {
    /// Whether everything was as it should be.
    pub fn is_whole(&self) -> bool {
        self.damaged.is_empty() && self.damaged_records == 0 && self.damaged_runs.is_empty() && self.mended_indexes == 0
    }
}

/// Whether a run's record is what was written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunState {
    /// It is, byte for byte.
    AsWritten,
    /// It is not.
    Changed,
    /// Its digest was not noted, or the note is gone.
    Unnoted,
}

/// What a run's record is, by the digest that was noted when it was written.
pub(crate) fn run_state(objects: &Objects, runs: &Runs, id: &str) -> Result<RunState, CacheError> {
    let bytes = runs.bytes(id)?;
    objects.segments.refresh_now()?;
    let state = objects.segments.reading();
    let mut noted = None;
    for segment in state.segments.iter().filter(|segment| !segment.gone) {
        for (at, header) in frames(segment).0 {
            if header.kind == Kind::Run
                && header.key == Digest::of(id.as_bytes())
                && let Some((_, content)) = frame::whole(segment.hot_at(at), 0)
            {
                noted = content.try_into().ok().map(Digest::from_bytes);
            }
        }
    }
    Ok(match noted {
        Some(noted) if noted == Digest::of(&bytes) => RunState::AsWritten,
        Some(_) => RunState::Changed,
        None => RunState::Unnoted,
    })
}

pub(crate) fn verify(objects: &Objects, runs: &Runs) -> Result<VerifyReport, CacheError> {
    let mut report = VerifyReport::default();
    objects.segments.refresh_now()?;
    files(objects, &mut report)?;
    let noted = segments(objects, &mut report)?;
    for id in runs.ids()? {
        if !is_good_run(runs, &id, noted.get(&Digest::of(id.as_bytes())))? {
            objects.put_run_aside(runs, &id)?;
            report.damaged_runs.push(id);
        }
    }
    report.mended_indexes = objects.segments.mended();
    report.damaged.sort_unstable();
    report.damaged.dedup();
    Ok(report)
}

/// Whether a run's record is what was written, as far as that is known.
fn is_good_run(runs: &Runs, id: &str, noted: Option<&Digest>) -> Result<bool, CacheError> {
    match runs.bytes(id) {
        Ok(bytes) => {
            let is_document = serde_json::from_slice::<Naming>(&bytes).is_ok();
            Ok(is_document && noted.is_none_or(|content| Digest::of(&bytes) == *content))
        }
        // Somebody removed it meanwhile.
        Err(CacheError::Io { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => Ok(true),
        // One that may not be read is not known to be damaged.
        Err(error @ CacheError::NoPermission { .. }) => Err(error),
        Err(_) => Ok(false),
    }
}

/// Objects in files of their own, on all cores.
fn files(objects: &Objects, report: &mut VerifyReport) -> Result<(), CacheError> {
    let all = objects.files()?;
    let next = AtomicUsize::new(0);
    let found = Mutex::new((0usize, Vec::new(), None));
    let look = || {
        while let Some((digest, _)) = all.get(next.fetch_add(1, Ordering::Relaxed)) {
            let looked = objects.disk.read(&objects.path(digest)).map(|bytes| Digest::of(&bytes) == *digest);
            let mut found = found.lock().unwrap_or_else(PoisonError::into_inner);
            match looked {
                Ok(true) => found.0 += 1,
                Ok(false) => found.1.push(*digest),
                // Collected meanwhile.
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => found.2 = Some(CacheError::io("reading", &objects.path(digest), error)),
            }
        }
    };
    let threads = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| (0..threads).for_each(|_| drop(scope.spawn(look))));
    let (good, damaged, failed) = found.into_inner().unwrap_or_else(PoisonError::into_inner);
    report.good += good;
    for digest in &damaged {
        objects.quarantine(digest, None)?;
    }
    report.damaged.extend(damaged);
    failed.map_or(Ok(()), Err)
}

/// Records and small objects. Segments that are damaged are written anew without what is damaged, unless their process lives.
fn segments(objects: &Objects, report: &mut VerifyReport) -> Result<HashMap<Digest, Digest>, CacheError> {
    let segments = &objects.segments;
    let (mut runs, mut broken, mut damaged, mut good) = (HashMap::new(), BTreeSet::new(), Vec::new(), BTreeSet::new());
    {
        // Before the lock on the state is taken: whoever appends takes the two the other way round.
        let own = segments.own_name();
        let state = segments.reading();
        for segment in state.segments.iter().filter(|segment| !segment.gone && Some(&segment.name) != own.as_ref()) {
            let (hot, cold, lost) = frames(segment);
            let mut bad = usize::from(lost > 0);
            for (at, _) in hot {
                match frame::whole(segment.hot_at(at), 0) {
                    Some((header, head)) if header.kind == Kind::Record => {
                        let tail =
                            usize::try_from(header.tail_at).ok().map(|at| segment.cold_at(at)).and_then(|bytes| frame::whole(bytes, 0));
                        let is_good = Head::new(head).record().is_some()
                            && (header.tail == 0 || tail.is_some_and(|(tail, _)| tail.key == header.key));
                        *(if is_good { &mut report.good_records } else { &mut bad }) += 1;
                    }
                    Some((header, content)) if header.kind == Kind::Run => {
                        runs.extend(content.try_into().ok().map(|content| (header.key, Digest::from_bytes(content))));
                    }
                    Some(_) => {}
                    None => bad += 1,
                }
            }
            let mut is_broken = bad > 0;
            for (at, header) in cold.into_iter().filter(|(_, header)| header.kind == Kind::Object) {
                let whole = frame::whole(segment.cold_at(at), 0).is_some_and(|(_, bytes)| Digest::of(bytes) == header.key);
                if whole {
                    good.insert(header.key);
                    continue;
                }
                is_broken = true;
                let bytes = segment.cold_at(at).get(frame::HEADER..frame::HEADER + header.payload).unwrap_or_default();
                damaged.push((header.key, bytes.to_vec()));
            }
            report.damaged_records += bad;
            if is_broken && segment.closed {
                broken.insert(segment.name.clone());
            }
        }
    }
    report.good += good.len();
    for (digest, bytes) in damaged {
        objects.quarantine(&digest, Some(&bytes))?;
        report.damaged.push(digest);
    }
    if !broken.is_empty() {
        merge(segments, &Merge { only: Some(&broken), ..Merge::default() })?;
    }
    Ok(runs)
}
