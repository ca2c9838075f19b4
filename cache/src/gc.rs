//! Garbage collection: which objects go, and how they go while others work.
//!
//! *Which*: never what a pinned run names, nor what a living process uses. Of the rest, first what was not used for longest, by whole days; within a day
//! first what is cheapest to compute again, byte for byte. An object was last used by the newest run that names it, or when
//! it was made. The log of an answer is kept for as long as the answer's outputs are, since without it the answer would go as well.
//!
//! *How*: first everything is planned and the segments are written anew without the records and small objects that go. Then the collector enters the
//! [gate](crate::gate) alone, reads what is in use, puts back what it had left out of that, publishes the new segments, and removes files in batches. Records
//! go before their objects; a record that stays in a living process's segment is a miss as soon as an object is gone. Run records stay.

use crate::digest::Digest;
use crate::error::CacheError;
use crate::gate::Gate;
use crate::merge::{Merge, prepare, publish};
use crate::objects::Objects;
use crate::record::{ActionRecord, Head};
use crate::runs::{Naming, Runs, named_by};
use crate::segments::frames;
use crate::{frame, frame::Kind};
use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::time::Duration;

/// What is to be collected.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcWish {
    /// So many bytes may stay; none for no limit.
    pub keep: Option<u64>,
    /// Objects that no run used for so long go.
    pub older_than: Option<Duration>,
    /// Runs whose objects stay, beside those that are pinned.
    pub pinned: Vec<String>,
    /// Say what would go; remove nothing.
    pub dry_run: bool,
}

/// What a collection did, or would do.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct GcReport {
    /// Objects removed.
    pub removed: usize,
    /// Bytes freed.
    pub freed: u64,
    /// Bytes kept.
    pub kept: u64,
    /// Bytes that are kept although they should go, because they are pinned.
    pub pinned: u64,
    /// Bytes that are kept although they should go, because a process that runs now uses them.
    pub in_use: u64,
    /// What it would take to compute again what goes, in milliseconds, as far as that was recorded.
    pub cost_ms: f64,
}

const A_DAY_NS: i64 = 86_400_000_000_000;
/// How often segments are chosen anew that another process merged meanwhile.
const MOST_TRIES: usize = 10;
/// So many files are removed before others may look for objects again.
const BATCH: usize = 1000;

#[derive(Debug, Clone, Copy)]
struct Object {
    digest: Digest,
    size: u64,
    /// It stands in a segment.
    small: bool,
    /// When it was last used.
    used_ns: i64,
    cost_ms: f64,
    /// What it takes to compute again, a byte. A log has its answer's.
    worth: f64,
    /// The log of an answer: it goes behind the outputs.
    is_log: bool,
    pinned: bool,
}

/// An answer that has a log.
struct Logged {
    key: Digest,
    outputs: Vec<Digest>,
    log: Digest,
}

/// What the segments say about objects.
#[derive(Default)]
struct Said {
    /// What each output took to compute, and when that began.
    made: HashMap<Digest, (f64, i64)>,
    /// The small objects of closed segments with their sizes.
    small: BTreeMap<Digest, u64>,
    logged: Vec<Logged>,
}

/// What was chosen to go.
struct Chosen {
    objects: Vec<Object>,
    digests: HashSet<Digest>,
    /// Answers whose logs are among them.
    logged: Vec<Logged>,
}

impl Chosen {
    /// With what is in use, the logs of answers whose outputs all stay because of that. Who only asks whether there is an answer does not name its log.
    fn with_logs(&self, mut used: HashSet<u64>) -> HashSet<u64> {
        if used.is_empty() {
            return used;
        }
        let is_used = |digest: &Digest| used.contains(&digest.prefix());
        let stays = |digest: &Digest| !self.digests.contains(digest) || is_used(digest);
        let kept = self.logged.iter().filter(|answer| answer.outputs.iter().any(is_used) && answer.outputs.iter().all(stays));
        let logs: Vec<u64> = kept.map(|answer| answer.log.prefix()).collect();
        used.extend(logs);
        used
    }
}

pub(crate) struct Collector<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) runs: &'a Runs,
    pub(crate) gate: &'a Gate,
}

impl Collector<'_> {
    pub(crate) fn collect(&self, wish: &GcWish) -> Result<GcReport, CacheError> {
        self.objects.segments.refresh_now()?;
        let mut report = GcReport::default();
        let chosen = self.choose(wish, &mut report)?;
        let candidates = &chosen.objects;
        if wish.dry_run {
            let used = chosen.with_logs(self.uses_now()?);
            self.account(candidates.iter().filter(|object| used.contains(&object.digest.prefix())), true, &mut report);
            self.account(candidates.iter().filter(|object| !used.contains(&object.digest.prefix())), false, &mut report);
            return Ok(report);
        }
        if !candidates.is_empty() {
            self.remove(&chosen, &mut report)?;
        }
        Ok(report)
    }

    /// What living processes have written down. Without going in alone this may lack their latest uses.
    fn uses_now(&self) -> Result<HashSet<u64>, CacheError> {
        self.gate.enter_alone()?.in_use()
    }

    fn account<'b>(&self, objects: impl Iterator<Item = &'b Object>, kept: bool, report: &mut GcReport) {
        for object in objects {
            if kept {
                report.in_use += object.size;
                report.kept += object.size;
            } else {
                report.removed += 1;
                report.freed += object.size;
                report.cost_ms += object.cost_ms;
            }
        }
    }

    /// What should go, least valuable first.
    fn choose(&self, wish: &GcWish, report: &mut GcReport) -> Result<Chosen, CacheError> {
        let (mut objects, mut logged) = self.all(&wish.pinned)?;
        let now_ns = self.objects.disk.now_ns();
        let day = |object: &Object| now_ns.saturating_sub(object.used_ns) / A_DAY_NS;
        objects.sort_by(|a, b| {
            let by_worth = day(b).cmp(&day(a)).then(a.worth.total_cmp(&b.worth)).then(a.used_ns.cmp(&b.used_ns));
            by_worth.then(a.is_log.cmp(&b.is_log)).then(a.digest.cmp(&b.digest))
        });
        let oldest = wish.older_than.map(|age| now_ns.saturating_sub(i64::try_from(age.as_nanos()).unwrap_or(i64::MAX)));
        let mut total: u64 = objects.iter().map(|object| object.size).sum();
        let mut gone = Vec::new();
        for object in objects {
            let is_old = oldest.is_some_and(|oldest| object.used_ns < oldest);
            let is_too_much = wish.keep.is_some_and(|keep| total > keep);
            if !is_old && !is_too_much {
                continue;
            }
            if object.pinned {
                report.pinned += object.size;
                continue;
            }
            total -= object.size;
            gone.push(object);
        }
        report.kept = total;
        let digests: HashSet<Digest> = gone.iter().map(|object| object.digest).collect();
        logged.retain(|answer| digests.contains(&answer.log));
        Ok(Chosen { objects: gone, digests, logged })
    }

    /// Every object with what is known about its worth, and the answers that have logs.
    fn all(&self, pinned: &[String]) -> Result<(Vec<Object>, Vec<Logged>), CacheError> {
        let mut used: HashMap<Digest, i64> = HashMap::new();
        let mut held: BTreeSet<Digest> = BTreeSet::new();
        let mut moments: HashMap<i64, i64> = HashMap::new();
        // The newest first.
        let ids = self.runs.ids()?;
        // What a pinned run names has to be known before anything is collected; another run that can't be read holds nothing.
        let unprotected = |run: &str, what| CacheError::Unprotected { run: run.to_owned(), what };
        if let Some(run) = pinned.iter().find(|run| !ids.contains(run)) {
            return Err(unprotected(run, "there is no record of it any more"));
        }
        for id in ids {
            let record = match self.runs.read::<Naming>(&id) {
                Ok(record) => record,
                Err(_) if pinned.contains(&id) => return Err(unprotected(&id, "its record can't be read or is damaged")),
                Err(_) => continue,
            };
            let named = named_by(record, self.objects);
            if !named.is_whole && pinned.contains(&id) {
                return Err(unprotected(&id, "the list of its tasks is missing or damaged"));
            }
            // File systems tell only every few milliseconds; of runs within one moment, the later is the newer.
            let recorded_ns = self.runs.recorded_ns(&id);
            let later = moments.entry(recorded_ns).or_insert(0);
            let recorded_ns = recorded_ns - *later;
            *later += 1;
            for digest in named.digests {
                let last = used.entry(digest).or_insert(recorded_ns);
                *last = recorded_ns.max(*last);
                if pinned.contains(&id) {
                    held.insert(digest);
                }
            }
        }
        let Said { made, small, logged } = self.in_segments();
        let files = self.objects.files()?.into_iter().map(|(digest, stat)| (digest, stat.size, stat.mtime_ns, false));
        let all = files.chain(small.into_iter().map(|(digest, size)| (digest, size, 0, true)));
        let object = |(digest, size, written_ns, small): (Digest, u64, i64, bool)| {
            let (cost_ms, made_ns) = made.get(&digest).copied().unwrap_or((0.0, 0));
            // What an interrupted run made was used when it was made.
            let used_ns = used.get(&digest).copied().unwrap_or(0).max(made_ns).max(written_ns);
            let worth = cost_ms / (size.max(1) as f64);
            Object { digest, size, small, used_ns, cost_ms, worth, is_log: false, pinned: held.contains(&digest) }
        };
        let mut objects: Vec<Object> = all.map(object).collect();
        follow_answers(&mut objects, &logged, &held, &used);
        Ok((objects, logged))
    }

    /// Goes through all records, and through the small objects of closed segments.
    fn in_segments(&self) -> Said {
        let mut said = Said::default();
        let state = self.objects.segments.reading();
        for segment in state.segments.iter().filter(|segment| !segment.gone) {
            let (hot, cold, _) = frames(segment);
            for (at, header) in hot {
                let head = frame::whole(segment.hot_at(at), 0).filter(|_| header.kind == Kind::Record);
                let Some(record) = head.and_then(|(_, head)| Head::new(head).record()) else { continue };
                let bytes: u64 = record.outputs.iter().map(|output| output.size).sum();
                for output in &record.outputs {
                    let cost_ms = record.wall_ms * output.size as f64 / bytes.max(1) as f64;
                    said.made.insert(output.digest, (cost_ms, record.started_unix_ms.saturating_mul(1_000_000)));
                }
                if let Some(log) = record.log {
                    let outputs = record.outputs.iter().map(|output| output.digest).collect();
                    said.logged.push(Logged { key: header.key, outputs, log });
                }
            }
            if segment.closed {
                let objects = cold.into_iter().filter(|(_, header)| header.kind == Kind::Object);
                said.small.extend(objects.map(|(_, header)| (header.key, header.payload as u64)));
            }
        }
        said
    }

    fn remove(&self, chosen: &Chosen, report: &mut GcReport) -> Result<(), CacheError> {
        let segments = &self.objects.segments;
        let candidates = chosen.objects.as_slice();
        let without = &chosen.digests;
        let mut prepared = None;
        for attempt in 1.. {
            let only: BTreeSet<String> = segments
                .reading()
                .segments
                .iter()
                .filter(|segment| segment.closed && !segment.gone)
                .map(|segment| segment.name.clone())
                .collect();
            prepared = prepare(segments, &Merge { only: Some(&only), without: Some(without) })?;
            if prepared.is_some() || only.is_empty() {
                break;
            }
            // Another process has merged all of them meanwhile: the choice is made again.
            if attempt == MOST_TRIES {
                return Err(CacheError::InUse { by: "another collection".into() });
            }
            segments.refresh_now()?;
        }
        let mut left = candidates;
        let mut is_first = true;
        while is_first || !left.is_empty() {
            let alone = match self.gate.enter_alone() {
                Ok(alone) => alone,
                Err(error) => {
                    if let Some(prepared) = &prepared {
                        prepared.discard(segments);
                    }
                    return Err(error);
                }
            };
            let used = chosen.with_logs(alone.in_use()?);
            if let Some(prepared) = prepared.take() {
                // Records first: everything of theirs that goes, goes after them.
                self.put_back(&prepared.left_out, candidates, without, &used)?;
                publish(segments, &prepared)?;
                alone.changed()?;
            }
            is_first = false;
            let (batch, rest) = left.split_at(left.len().min(BATCH));
            left = rest;
            for object in batch.iter().filter(|object| !object.small && !used.contains(&object.digest.prefix())) {
                self.objects.remove(&object.digest)?;
            }
            self.account(batch.iter().filter(|object| used.contains(&object.digest.prefix())), true, report);
            self.account(batch.iter().filter(|object| !used.contains(&object.digest.prefix())), false, report);
            drop(alone);
        }
        Ok(())
    }

    /// Small objects that are in use, and records that name nothing that goes after all, are written into the own segment.
    fn put_back(
        &self,
        left_out: &[Digest],
        candidates: &[Object],
        without: &HashSet<Digest>,
        used: &HashSet<u64>,
    ) -> Result<(), CacheError> {
        let segments = &self.objects.segments;
        let stays = |digest: &Digest| !without.contains(digest) || used.contains(&digest.prefix());
        for object in candidates.iter().filter(|object| object.small && used.contains(&object.digest.prefix())) {
            if let Some(bytes) = segments.object(&object.digest) {
                segments.put_object(&object.digest, &bytes)?;
            }
        }
        let all_stay = |record: &ActionRecord| record.outputs.iter().map(|output| &output.digest).chain(&record.log).all(stays);
        for key in left_out {
            if let Some(record) = segments.record(key, all_stay) {
                segments.put_record(key, &record)?;
            }
        }
        Ok(())
    }
}

/// Logs go with their answers: they are as valuable as the outputs, were used when those were, and are held with them.
fn follow_answers(objects: &mut [Object], logged: &[Logged], held: &BTreeSet<Digest>, used: &HashMap<Digest, i64>) {
    if logged.is_empty() {
        return;
    }
    let places: HashMap<Digest, usize> = objects.iter().enumerate().map(|(place, object)| (object.digest, place)).collect();
    for Logged { key, outputs, log } in logged {
        let Some(place) = places.get(log).copied() else { continue };
        let found = outputs.iter().filter_map(|output| places.get(output)).filter_map(|place| objects.get(*place).copied());
        let (used_ns, worth) = found.fold((used.get(key).copied().unwrap_or(0), 0.0f64), |(used_ns, worth), output| {
            (used_ns.max(output.used_ns), worth.max(output.worth))
        });
        let is_held = held.contains(key) || (!outputs.is_empty() && outputs.iter().all(|output| held.contains(output)));
        if let Some(object) = objects.get_mut(place) {
            object.used_ns = object.used_ns.max(used_ns);
            object.worth = object.worth.max(worth);
            object.is_log = true;
            object.pinned |= is_held;
        }
    }
}
