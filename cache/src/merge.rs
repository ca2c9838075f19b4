//! Many segments become one.
//!
//! Closed segments are written together into a new one, less what is damaged, answered twice, or asked to be left out; then the old ones are removed. The new hot file
//! gets its name last, when everything is on the disk: before that the old ones count, afterwards both do, and they say the same. Readers that have the old ones
//! mapped are not disturbed.

use crate::digest::Digest;
use crate::disk::{Appender, Lock};
use crate::error::CacheError;
use crate::frame::{self, Header, Kind};
use crate::record::{ActionRecord, Head};
use crate::segments::{Segment, Segments, frames};
use crate::table::{self, Covered, Spot};
use std::collections::{BTreeSet, HashSet};

/// So many segments are read before they are merged.
const MOST_SEGMENTS: usize = 16;
/// A segment of this size is not written again only because there are many.
const LARGE: u64 = 64 << 20;
const WRITE_AT_ONCE: usize = 1 << 20;

/// What is merged, and what is left out.
#[derive(Default)]
pub(crate) struct Merge<'a> {
    /// These segments; else all that are closed and not large.
    pub(crate) only: Option<&'a BTreeSet<String>>,
    /// Records and small objects that are left out when this names them.
    pub(crate) without: Option<&'a HashSet<Digest>>,
}

/// A merged segment that has no name yet.
pub(crate) struct Prepared {
    name: String,
    old: Vec<String>,
    /// Keys of whole records that were left out on demand.
    pub(crate) left_out: Vec<Digest>,
    /// Small objects that were not what their names say, as they were found.
    pub(crate) damaged_objects: Vec<(Digest, Vec<u8>)>,
    /// Records, tails and stretches between frames that could not be read.
    pub(crate) damaged_records: usize,
    /// Kept until the new segment counts: one process merges at a time.
    _lock: Box<dyn crate::disk::Held>,
}

/// Merges and publishes. Nothing when another process merges just now.
pub(crate) fn merge(segments: &Segments, what: &Merge<'_>) -> Result<Option<Prepared>, CacheError> {
    match prepare(segments, what)? {
        Some(prepared) => {
            publish(segments, &prepared)?;
            Ok(Some(prepared))
        }
        None => Ok(None),
    }
}

/// Merges when there are many segments.
pub(crate) fn merge_if_many(segments: &Segments) -> Result<(), CacheError> {
    let many = segments.reading().segments.iter().filter(|segment| is_mergeable(segment)).count() > MOST_SEGMENTS;
    if many { merge(segments, &Merge::default()).map(|_| ()) } else { Ok(()) }
}

fn is_mergeable(segment: &Segment) -> bool {
    segment.closed && !segment.gone && segment.bytes() < LARGE
}

/// Writes the merged segment. Only one process does at a time; none is given when another is at it, or there is nothing to merge.
pub(crate) fn prepare(segments: &Segments, what: &Merge<'_>) -> Result<Option<Prepared>, CacheError> {
    let path = segments.folder.join("merge.lock");
    // Tidying up is left to whoever does it already; what must be done waits its turn.
    let Some(lock) =
        segments.disk.lock(&path, Lock::Exclusive, what.only.is_some()).map_err(|error| CacheError::io("locking", &path, error))?
    else {
        return Ok(None);
    };
    // Others may have merged before the lock was ours.
    segments.refresh()?;
    let state = segments.reading();
    let wanted = |segment: &&Segment| match what.only {
        Some(only) => segment.closed && !segment.gone && only.contains(&segment.name),
        None => is_mergeable(segment),
    };
    let chosen: Vec<&Segment> = state.segments.iter().filter(wanted).collect();
    if chosen.is_empty() {
        return Ok(None);
    }
    let name = format!("m{:x}-{}", segments.disk.now_ns(), segments.users.own_id());
    let mut prepared = Prepared {
        old: chosen.iter().map(|segment| segment.name.clone()).collect(),
        name,
        left_out: Vec::new(),
        damaged_objects: Vec::new(),
        damaged_records: 0,
        _lock: lock,
    };
    let written = Writer::new(segments, &prepared.name).and_then(|mut writer| {
        // The newest first: its answer counts.
        for segment in chosen.into_iter().rev() {
            writer.copy(segment, what, &mut prepared)?;
        }
        writer.finish()
    });
    if let Err(error) = written {
        prepared.discard(segments);
        return Err(error);
    }
    Ok(Some(prepared))
}

/// Gives the merged segment its name and removes the old ones.
pub(crate) fn publish(segments: &Segments, prepared: &Prepared) -> Result<(), CacheError> {
    let (from, to) = (segments.path(&prepared.name, "hotnew"), segments.path(&prepared.name, "hot"));
    if let Err(error) = segments.disk.rename(&from, &to) {
        prepared.discard(segments);
        return Err(CacheError::io("publishing", &to, error));
    }
    segments.disk.sync_dir(&segments.folder).map_err(|error| CacheError::io("syncing", &segments.folder, error))?;
    for old in &prepared.old {
        // The hot file first: without it the others mean nothing, and are removed by whoever opens the cache next. One that stays says what the new one says.
        for ending in ["hot", "table", "cold"] {
            let _ = segments.disk.remove(&segments.path(old, ending));
        }
    }
    segments.refresh_now()
}

impl Prepared {
    /// Removes what was written.
    pub(crate) fn discard(&self, segments: &Segments) {
        for ending in ["hotnew", "table", "cold"] {
            let _ = segments.disk.remove(&segments.path(&self.name, ending));
        }
    }
}

/// One of the two files, written in large pieces.
struct File<'a> {
    segments: &'a Segments,
    path: std::path::PathBuf,
    file: Box<dyn Appender>,
    fresh: Vec<u8>,
    written: usize,
}

impl<'a> File<'a> {
    fn new(segments: &'a Segments, path: std::path::PathBuf) -> Result<File<'a>, CacheError> {
        let file = segments.disk.appender(&path).map_err(|error| CacheError::io("making", &path, error))?;
        Ok(File { segments, path, file, fresh: Vec::new(), written: 0 })
    }

    /// Where the next frame begins.
    fn at(&self) -> usize {
        self.written + self.fresh.len()
    }

    fn flush(&mut self, at_least: usize) -> Result<(), CacheError> {
        if self.fresh.len() >= at_least {
            self.file.append(&self.fresh).map_err(|error| CacheError::io("writing", &self.path, error))?;
            self.written += self.fresh.len();
            self.fresh.clear();
        }
        Ok(())
    }

    fn finish(mut self) -> Result<arrow::buffer::Buffer, CacheError> {
        self.flush(1)?;
        self.file.sync().map_err(|error| CacheError::io("syncing", &self.path, error))?;
        self.segments.disk.read(&self.path).map_err(|error| CacheError::io("reading", &self.path, error))
    }
}

struct Writer<'a> {
    segments: &'a Segments,
    name: String,
    hot: File<'a>,
    cold: File<'a>,
    entries: Vec<(u64, Spot)>,
    seen: HashSet<(u8, Digest)>,
}

impl<'a> Writer<'a> {
    fn new(segments: &'a Segments, name: &str) -> Result<Writer<'a>, CacheError> {
        let mut hot = File::new(segments, segments.path(name, "hotnew"))?;
        let cold = File::new(segments, segments.path(name, "cold"))?;
        // All of it is on the disk before it has a name.
        frame::write(&mut hot.fresh, Kind::Begin, &Digest::of(name.as_bytes()), (0, 0), segments.users.boot().as_bytes());
        frame::write(&mut hot.fresh, Kind::Synced, &Digest::of(b""), (0, 0), &u64::MAX.to_le_bytes());
        Ok(Writer { segments, name: name.to_owned(), hot, cold, entries: Vec::new(), seen: HashSet::new() })
    }

    fn copy(&mut self, segment: &Segment, what: &Merge<'_>, found: &mut Prepared) -> Result<(), CacheError> {
        let (hot, cold, lost) = frames(segment);
        found.damaged_records += usize::from(lost > 0);
        for (at, header) in hot.into_iter().rev() {
            match (header.kind, frame::whole(&segment.hot, at)) {
                (Kind::Begin | Kind::Synced, Some(_)) => {}
                (Kind::Run, Some((_, content))) => {
                    if self.seen.insert((Kind::Run as u8, header.key)) {
                        frame::write(&mut self.hot.fresh, Kind::Run, &header.key, (0, 0), content);
                    }
                }
                (Kind::Record, Some((header, head))) => self.record(segment, &header, head, what, found),
                _ => found.damaged_records += 1,
            }
            self.hot.flush(WRITE_AT_ONCE)?;
            self.cold.flush(WRITE_AT_ONCE)?;
        }
        for (at, header) in cold.into_iter().filter(|(_, header)| header.kind != Kind::Tail) {
            self.object(segment, at, &header, what, found);
            self.cold.flush(WRITE_AT_ONCE)?;
        }
        Ok(())
    }

    fn record(&mut self, segment: &Segment, header: &Header, head: &[u8], what: &Merge<'_>, found: &mut Prepared) {
        let Some(record) = Head::new(head).record() else {
            found.damaged_records += 1;
            return;
        };
        if what.without.is_some_and(|without| names_any(&record, without)) {
            found.left_out.push(header.key);
            return;
        }
        let tail =
            usize::try_from(header.tail_at).ok().and_then(|at| frame::whole(&segment.cold, at)).filter(|(tail, _)| tail.key == header.key);
        if header.tail > 0 && tail.is_none() {
            // Without its tail it would answer, and could not say why.
            found.damaged_records += 1;
            return;
        }
        if !self.seen.insert((Kind::Record as u8, header.key)) {
            return;
        }
        let place = tail.filter(|_| header.tail > 0).map_or((0, 0), |(_, summary)| {
            let at = self.cold.at();
            frame::write(&mut self.cold.fresh, Kind::Tail, &header.key, (0, 0), summary);
            (header.tail, at as u64)
        });
        self.entries.extend(Spot::new(Kind::Record, self.hot.at(), 0).map(|spot| (header.key.prefix(), spot)));
        frame::write(&mut self.hot.fresh, Kind::Record, &header.key, place, head);
    }

    fn object(&mut self, segment: &Segment, at: usize, header: &Header, what: &Merge<'_>, found: &mut Prepared) {
        let whole =
            frame::whole(&segment.cold, at).filter(|(header, bytes)| header.kind == Kind::Object && Digest::of(bytes) == header.key);
        let Some((_, bytes)) = whole else {
            let bytes = segment.cold.get(at + frame::HEADER..at + frame::HEADER + header.payload).unwrap_or_default();
            found.damaged_objects.push((header.key, bytes.to_vec()));
            return;
        };
        let unwanted = what.without.is_some_and(|without| without.contains(&header.key));
        if unwanted || !self.seen.insert((Kind::Object as u8, header.key)) {
            return;
        }
        self.entries.extend(Spot::new(Kind::Object, self.cold.at(), bytes.len()).map(|spot| (header.key.prefix(), spot)));
        frame::write(&mut self.cold.fresh, Kind::Object, &header.key, (0, 0), bytes);
    }

    fn finish(self) -> Result<(), CacheError> {
        let cold = self.cold.finish()?;
        let hot = self.hot.finish()?;
        let table = table::write(&self.entries, Covered::of(&hot, cold.len() as u64));
        let path = self.segments.path(&self.name, "table");
        self.segments.disk.write_synced(&path, &table).map_err(|error| CacheError::io("writing", &path, error))
    }
}

/// Whether a record names one of these objects.
fn names_any(record: &ActionRecord, objects: &HashSet<Digest>) -> bool {
    record.outputs.iter().map(|output| &output.digest).chain(&record.log).any(|digest| objects.contains(digest))
}
