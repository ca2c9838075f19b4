//! Where action records and small objects are kept: pairs of files that only grow.
//!
//! A process appends to a segment of its own: the *hot* file has the heads of records, which planning reads; the *cold* file has their tails and small
//! objects. A closed segment of some size has a [`Table`], an index that is used as it lies on the disk; smaller ones are scanned when the store is opened. All
//! segments together are the store, and any whole record of a key is an answer. What is cut off or damaged is passed over and computed again.

use crate::digest::Digest;
use crate::disk::Disk;
use crate::error::CacheError;
use crate::frame::{self, Kind};
use crate::own_segment::Own;
use crate::record::{ActionRecord, Brief, Head};
use crate::table::{self, Covered, Spot, Table};
use crate::users::Users;
use arrow::buffer::Buffer;
use std::collections::{HashMap, HashSet};
use std::hash::{BuildHasherDefault, Hasher};
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A segment with fewer entries is scanned sooner than its table is read.
pub(crate) const WORTH_A_TABLE: usize = 2048;
/// Coarser than the time stamps of any file system in use.
const GRANULARITY_NS: i64 = 2_000_000_000;
/// How often a listing is tried again because segments were merged away under it.
const MOST_LISTINGS: usize = 8;

/// Prefixes of digests are as good as hashes.
#[derive(Default)]
pub(crate) struct AsItIs(u64);

impl Hasher for AsItIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        bytes.iter().for_each(|byte| self.0 = self.0.rotate_left(8) ^ u64::from(*byte));
    }

    fn write_u64(&mut self, value: u64) {
        self.0 = value;
    }
}

type Index = HashMap<u64, (u32, Spot), BuildHasherDefault<AsItIs>>;

/// The two files of a segment as far as they were read.
#[derive(Default)]
pub(crate) struct Segment {
    pub(crate) name: String,
    pub(crate) hot: Buffer,
    pub(crate) cold: Buffer,
    /// What was appended since the files were last mapped: by this process, or by another as far as it was read. A file that grows under others is never mapped.
    pub(crate) hot_tail: Vec<u8>,
    pub(crate) cold_tail: Vec<u8>,
    pub(crate) hot_end: usize,
    pub(crate) cold_end: usize,
    pub(crate) table: Option<Table>,
    pub(crate) entries: usize,
    /// Nobody appends to it any more.
    pub(crate) closed: bool,
    /// It was merged away.
    pub(crate) gone: bool,
    /// The start of the machine in which it was written, and up to where it was on the disk then.
    pub(crate) boot: String,
    pub(crate) safe_until: usize,
    /// Where its last record begins.
    pub(crate) last_record: Option<usize>,
}

impl Segment {
    /// The hot file from `at` on, to the end of the mapped part or of the tail.
    pub(crate) fn hot_at(&self, at: usize) -> &[u8] {
        part(&self.hot, &self.hot_tail, at)
    }

    /// The cold file from `at` on, to the end of the mapped part or of the tail.
    pub(crate) fn cold_at(&self, at: usize) -> &[u8] {
        part(&self.cold, &self.cold_tail, at)
    }

    fn hot_len(&self) -> usize {
        self.hot.len() + self.hot_tail.len()
    }

    /// From where on the files are read when they have grown: behind the last frame that was whole, so that a torn one is read again.
    fn unread(&self) -> (usize, usize) {
        (self.hot_end.max(self.hot.len()), self.cold_end.max(self.cold.len()))
    }

    /// Takes in what was read from [`Segment::unread`] on.
    fn extend(&mut self, (hot, cold): (&[u8], &[u8])) {
        let (hot_from, cold_from) = self.unread();
        self.hot_tail.truncate(hot_from - self.hot.len());
        self.hot_tail.extend_from_slice(hot);
        self.cold_tail.truncate(cold_from - self.cold.len());
        self.cold_tail.extend_from_slice(cold);
    }

    /// Whether a loss of power may have taken away what its last records name.
    pub(crate) fn is_unsure(&self, boot: &str) -> bool {
        self.closed && self.table.is_none() && self.boot != boot && self.last_record.is_some_and(|last| last >= self.safe_until)
    }

    pub(crate) fn bytes(&self) -> u64 {
        (self.hot.len() + self.hot_tail.len() + self.cold.len() + self.cold_tail.len()) as u64
    }
}

fn part<'a>(mapped: &'a Buffer, tail: &'a [u8], at: usize) -> &'a [u8] {
    match at.checked_sub(mapped.len()) {
        None => &mapped.as_slice()[at..],
        Some(at) => tail.get(at..).unwrap_or(&[]),
    }
}

/// Looks at every frame of a file from `from` on, in its mapped part and in its tail, which begins with a frame; gives what [`frame::scan`] gives.
fn scan_parts(mapped: &Buffer, tail: &[u8], from: usize, mut each: impl FnMut(usize, frame::Header)) -> (usize, usize) {
    let (mut end, mut lost) = (from, 0);
    if from < mapped.len() {
        (end, lost) = frame::scan(mapped, from, &mut each);
    }
    if !tail.is_empty() {
        let begin = from.max(mapped.len()) - mapped.len();
        let (tail_end, tail_lost) = frame::scan(tail, begin, |at, header| each(at + mapped.len(), header));
        (end, lost) = (tail_end + mapped.len(), lost + tail_lost);
    }
    (end, lost)
}

#[derive(Default)]
pub(crate) struct State {
    /// Grows only, so that positions stay good.
    pub(crate) segments: Vec<Segment>,
    pub(crate) records: Index,
    pub(crate) objects: Index,
    /// Objects that were found damaged.
    pub(crate) denied: HashSet<Digest>,
    /// When the folder last changed, and when it was listed.
    listed: Option<(i64, i64)>,
}

pub(crate) struct Segments {
    pub(crate) folder: PathBuf,
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) users: Arc<Users>,
    state: RwLock<State>,
    own: Mutex<Own>,
    /// Tables that were there and could not be used.
    mended: AtomicUsize,
    /// Held while listing: one thread takes in what is new.
    refreshing: Mutex<()>,
}

impl Segments {
    pub(crate) fn open(root: &Path, disk: Arc<dyn Disk>, users: Arc<Users>) -> Result<Segments, CacheError> {
        let folder = root.join("segments");
        disk.create_dir_all(&folder).map_err(|error| CacheError::io("making", &folder, error))?;
        let segments = Segments {
            folder,
            disk,
            users,
            state: RwLock::default(),
            own: Mutex::default(),
            mended: AtomicUsize::new(0),
            refreshing: Mutex::default(),
        };
        segments.refresh()?;
        segments.tidy();
        Ok(segments)
    }

    /// Writes tables that are missing, and removes what killed processes left half-written. What fails here is only done again by the next process.
    fn tidy(&self) {
        let wanting: Vec<(String, Vec<u8>)> = {
            let state = self.reading();
            let boot = self.users.boot();
            let is_merged = |segment: &Segment| segment.safe_until == usize::MAX;
            let wants = |segment: &Segment| {
                segment.closed
                    && segment.table.is_none()
                    && (segment.entries >= WORTH_A_TABLE || is_merged(segment))
                    && !segment.is_unsure(boot)
            };
            let tables = state.segments.iter().enumerate().filter(|(_, segment)| wants(segment));
            tables.filter_map(|(position, segment)| Some((segment.name.clone(), table_of(&state, position as u32)?))).collect()
        };
        for (name, table) in wanting {
            self.publish_table(&name, &table);
        }
        let paths = self.disk.list(&self.folder).unwrap_or_default();
        let hot: HashSet<String> = paths.iter().filter_map(|path| name_of(path)).collect();
        let ours = |path: &PathBuf| {
            path.file_stem().and_then(|name| name.to_str()).is_some_and(|name| hot.contains(name) || self.is_in_work(name))
        };
        let is_part =
            |path: &PathBuf| path.extension().is_some_and(|ending| ["cold", "table", "hotnew", "new"].iter().any(|part| ending == *part));
        for path in paths.iter().filter(|path| is_part(path) && !ours(path)) {
            let _ = self.disk.remove(path);
        }
    }

    /// Whether a living process may be writing a segment of this name.
    fn is_in_work(&self, name: &str) -> bool {
        let owner = owner_of(name);
        let merging = owner.strip_prefix('m').and_then(|rest| rest.split_once('-')).map(|(_, owner)| owner);
        self.users.is_alive(merging.unwrap_or(owner))
    }

    // The state is consistent between any two statements that could panic, so a poisoned lock is still good.
    pub(crate) fn reading(&self) -> RwLockReadGuard<'_, State> {
        self.state.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn writing(&self) -> RwLockWriteGuard<'_, State> {
        self.state.write().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn own(&self) -> MutexGuard<'_, Own> {
        self.own.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn path(&self, name: &str, ending: &str) -> PathBuf {
        self.folder.join(format!("{name}.{ending}"))
    }

    /// Takes in what other processes appended, and what was merged.
    pub(crate) fn refresh(&self) -> Result<(), CacheError> {
        let _alone = self.refreshing.lock().unwrap_or_else(PoisonError::into_inner);
        for _ in 0..MOST_LISTINGS {
            if self.try_refresh()? {
                return Ok(());
            }
        }
        // Others merge faster than we list; what is missing now is found by the next refresh.
        Ok(())
    }

    /// Lists the folder again, however lately that was done.
    pub(crate) fn refresh_now(&self) -> Result<(), CacheError> {
        self.writing().listed = None;
        self.refresh()
    }

    /// False when a segment was merged away between listing and reading: what it held is in a segment that the listing lacks.
    fn try_refresh(&self) -> Result<bool, CacheError> {
        let failed = |error| CacheError::io("listing", &self.folder, error);
        let changed = self.disk.stat(&self.folder).map_err(failed)?.mtime_ns;
        let now = self.disk.now_ns();
        // A folder that did not change since it was listed, and was listed clearly later than it changed, has the same files.
        let same =
            self.reading().listed.is_some_and(|(then, when)| then == changed && when > then.saturating_add(GRANULARITY_NS) && when <= now);
        if !same {
            let own = self.own_name();
            let known: HashSet<String> =
                self.reading().segments.iter().filter(|segment| !segment.gone).map(|segment| segment.name.clone()).collect();
            let paths = self.disk.list(&self.folder).map_err(failed)?;
            let names: HashSet<String> = paths.iter().filter_map(|path| name_of(path)).collect();
            // One that this process has begun since is no stranger: its name is asked for again.
            let begun = self.own_name();
            if own.as_ref().is_some_and(|own| !names.contains(own)) {
                self.own().abandon();
            }
            let mut missed = false;
            let mut fresh: Vec<&String> = names.difference(&known).filter(|name| Some(*name) != begun.as_ref()).collect();
            fresh.sort_unstable();
            for name in fresh {
                match self.load(name) {
                    Ok(segment) => self.take_in(segment),
                    Err(error) if error.kind() == std::io::ErrorKind::NotFound => missed = true,
                    Err(error) => return Err(CacheError::io("reading", &self.path(name, "hot"), error)),
                }
            }
            if missed {
                return Ok(false);
            }
            let mut state = self.writing();
            for segment in state.segments.iter_mut().filter(|segment| known.contains(&segment.name) && !names.contains(&segment.name)) {
                *segment = Segment { name: std::mem::take(&mut segment.name), gone: true, ..Segment::default() };
            }
            state.listed = Some((changed, now));
        }
        self.grow()?;
        Ok(true)
    }

    /// How many tables could not be used since the store was opened.
    pub(crate) fn mended(&self) -> usize {
        self.mended.load(Ordering::Relaxed)
    }

    pub(crate) fn own_name(&self) -> Option<String> {
        self.own().name()
    }

    /// Reads what was appended to segments of living processes, and no more than that.
    fn grow(&self) -> Result<(), CacheError> {
        let own = self.own_name();
        let growing: Vec<(usize, String, usize, (usize, usize))> = {
            let state = self.reading();
            let open = state
                .segments
                .iter()
                .enumerate()
                .filter(|(_, segment)| !segment.closed && !segment.gone && Some(&segment.name) != own.as_ref());
            open.map(|(position, segment)| (position, segment.name.clone(), segment.hot_len(), segment.unread())).collect()
        };
        for (position, name, length, (hot_from, cold_from)) in growing {
            // One that this process has begun meanwhile is its own, and is in memory already.
            if self.own_name().as_ref() == Some(&name) {
                continue;
            }
            let path = self.path(&name, "hot");
            // One that was merged away meanwhile is noticed by the next listing.
            let Ok(stat) = self.disk.stat(&path) else { continue };
            if stat.size == length as u64 {
                continue;
            }
            // The hot file first: what its records name stands in the cold file by then.
            let Ok(hot) = self.disk.read_from(&path, hot_from as u64) else { continue };
            let Ok(cold) = or_empty(self.disk.read_from(&self.path(&name, "cold"), cold_from as u64)) else { continue };
            let mut state = self.writing();
            let State { segments, records, objects, .. } = &mut *state;
            let Some(segment) = segments.get_mut(position) else { continue };
            segment.extend((hot.as_slice(), cold.as_slice()));
            index(segment, position as u32, records, objects);
        }
        Ok(())
    }

    /// A file of a closed segment, mapped where files are. One that was taken for closed and grows all the same, which some ways of mapping refuse, is read.
    fn read_closed(&self, path: &Path) -> std::io::Result<Buffer> {
        match self.disk.read(path) {
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => self.disk.read_from(path, 0).map(Buffer::from_vec),
            read => read,
        }
    }

    /// Reads a segment. The hot file first: what its records name stands in the cold file by then.
    fn load(&self, name: &str) -> std::io::Result<Segment> {
        let closed = !self.users.is_alive(owner_of(name));
        let mut segment = Segment { name: name.to_owned(), closed, ..Segment::default() };
        let (hot, cold) = (self.path(name, "hot"), self.path(name, "cold"));
        if closed {
            segment.hot = self.read_closed(&hot)?;
            segment.cold = or_empty(self.read_closed(&cold))?;
            let covered = Covered::of(&segment.hot, segment.cold.len() as u64);
            if let Ok(bytes) = self.disk.read(&self.path(name, "table")) {
                segment.table = Table::read(bytes).filter(|table| table.covered() == covered);
                self.mended.fetch_add(usize::from(segment.table.is_none()), Ordering::Relaxed);
            }
            segment.entries = segment.table.as_ref().map_or(0, Table::entries);
        } else {
            segment.hot_tail = self.disk.read_from(&hot, 0)?;
            segment.cold_tail = or_empty(self.disk.read_from(&cold, 0))?;
        }
        Ok(segment)
    }

    fn take_in(&self, mut segment: Segment) {
        let mut state = self.writing();
        let State { segments, records, objects, .. } = &mut *state;
        if segment.table.is_none() {
            index(&mut segment, segments.len() as u32, records, objects);
        }
        segments.push(segment);
    }

    /// Shows heads and tails of the records of a key, newest first, as far as they are whole, until `see` has seen enough.
    ///
    /// `see` must not ask this cache for anything: the lock is held, and a second reader waits behind a writer that waits for the first.
    fn visit(&self, key: &Digest, mut see: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) {
        let state = self.reading();
        let prefix = key.prefix();
        let recent = state.records.get(&prefix).copied();
        let tables =
            state.segments.iter().enumerate().rev().filter_map(|(position, segment)| Some((position as u32, segment.table.as_ref()?)));
        let older = tables.flat_map(|(position, table)| table.find(prefix, Kind::Record).map(move |spot| (position, spot)));
        for (position, spot) in recent.into_iter().chain(older) {
            let Some(segment) = state.segments.get(position as usize) else { continue };
            let whole = frame::whole(segment.hot_at(spot.at()), 0).filter(|(header, _)| header.key == *key);
            let Some((header, head)) = whole else { continue };
            let tail = match usize::try_from(header.tail_at) {
                _ if header.tail == 0 => &[],
                Ok(at) => segment.cold_at(at),
                Err(_) => continue,
            };
            if see(head, tail).is_break() {
                return;
            }
        }
    }

    /// What `read` makes of the first record of a key that it takes.
    fn find<T>(&self, key: &Digest, read: impl Fn(&[u8], &[u8]) -> Option<T>) -> Option<T> {
        let mut found = None;
        self.visit(key, |head, tail| {
            found = read(head, tail);
            if found.is_some() { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
        });
        found
    }

    /// The first that `fits`; this is asked when the lock is free again, since it asks the cache.
    fn first_that_fits<T>(&self, key: &Digest, read: impl Fn(&[u8], &[u8]) -> Option<T>, fits: impl Fn(&T) -> bool) -> Option<T> {
        let first = self.find(key, &read)?;
        if fits(&first) {
            return Some(first);
        }
        let mut all = Vec::new();
        self.visit(key, |head, tail| {
            all.extend(read(head, tail));
            ControlFlow::Continue(())
        });
        all.into_iter().find(|found| fits(found))
    }

    /// What planning needs of the first record of a key that `fits`.
    pub(crate) fn brief(&self, key: &Digest, fits: impl Fn(&Brief) -> bool) -> Option<Brief> {
        self.first_that_fits(key, |head, _| Head::new(head).brief(), fits)
    }

    /// The first record of a key that `fits`, with its summary.
    pub(crate) fn record(&self, key: &Digest, fits: impl Fn(&ActionRecord) -> bool) -> Option<ActionRecord> {
        let read = |head: &[u8], tail: &[u8]| {
            let mut record = Head::new(head).record()?;
            if !tail.is_empty() {
                let (header, summary) = frame::whole(tail, 0)?;
                record.summary = serde_json::from_slice(summary).ok().filter(|_| header.key == *key)?;
            }
            Some(record)
        };
        self.first_that_fits(key, read, fits)
    }

    /// A record as it was written: with its head and its summary.
    pub(crate) fn raw(&self, key: &Digest) -> Option<(ActionRecord, Vec<u8>, Vec<u8>)> {
        self.find(key, |head, tail| {
            let record = Head::new(head).record()?;
            let summary = if tail.is_empty() { &[] } else { frame::whole(tail, 0).filter(|(header, _)| header.key == *key)?.1 };
            Some((record, head.to_vec(), summary.to_vec()))
        })
    }

    fn spots(state: &State, digest: &Digest) -> impl Iterator<Item = (u32, Spot)> {
        let prefix = digest.prefix();
        let recent = state.objects.get(&prefix).copied();
        let tables =
            state.segments.iter().enumerate().rev().filter_map(|(position, segment)| Some((position as u32, segment.table.as_ref()?)));
        let older = tables.flat_map(move |(position, table)| table.find(prefix, Kind::Object).map(move |spot| (position, spot)));
        let is_there = |(position, _): &(u32, Spot)| state.segments.get(*position as usize).is_some_and(|segment| !segment.gone);
        recent.into_iter().chain(older).filter(is_there)
    }

    /// The size of a small object. Its bytes are not looked at: [`Segments::object`] does that.
    pub(crate) fn object_size(&self, digest: &Digest) -> Option<u64> {
        let state = self.reading();
        let denied = !state.denied.is_empty() && state.denied.contains(digest);
        let found = Segments::spots(&state, digest).next().filter(|_| !denied);
        found.map(|(_, spot)| spot.size())
    }

    /// A small object. One that is damaged is not served, and is missing from now on.
    pub(crate) fn object(&self, digest: &Digest) -> Option<Buffer> {
        let state = self.reading();
        if state.denied.contains(digest) {
            return None;
        }
        let (mut found, mut damaged) = (None, false);
        for (position, spot) in Segments::spots(&state, digest) {
            let bytes = state.segments.get(position as usize).and_then(|segment| frame::whole(segment.cold_at(spot.at()), 0));
            found =
                bytes.filter(|(header, bytes)| header.key == *digest && Digest::of(bytes) == *digest).map(|(_, bytes)| Buffer::from(bytes));
            if found.is_some() {
                return found;
            }
            damaged = true;
        }
        let other = if damaged { Segments::any_whole(&state, digest) } else { None };
        drop(state);
        match other {
            Some((position, spot, bytes)) => {
                self.writing().objects.insert(digest.prefix(), (position, spot));
                return Some(bytes);
            }
            None if damaged => self.deny(digest),
            None => {}
        }
        found
    }

    /// A whole copy of a small object, looked for frame by frame in segments without a table: the index knows one copy of each, and that one may be damaged.
    fn any_whole(state: &State, digest: &Digest) -> Option<(u32, Spot, Buffer)> {
        state.segments.iter().enumerate().filter(|(_, segment)| !segment.gone && segment.table.is_none()).find_map(|(position, segment)| {
            let mut found = None;
            scan_parts(&segment.cold, &segment.cold_tail, 0, |at, header| {
                if found.is_none() && header.kind == Kind::Object && header.key == *digest {
                    found = frame::whole(segment.cold_at(at), 0)
                        .filter(|(_, bytes)| Digest::of(bytes) == *digest)
                        .and_then(|(_, bytes)| Some((position as u32, Spot::new(Kind::Object, at, bytes.len())?, Buffer::from(bytes))));
                }
            });
            found
        })
    }

    /// The bytes that stand in a small object's place, whatever they are; none when it has no place.
    pub(crate) fn as_found(&self, digest: &Digest) -> Option<Vec<u8>> {
        let state = self.reading();
        let (position, spot) = Segments::spots(&state, digest).next()?;
        let bytes = state.segments.get(position as usize)?.cold_at(spot.at());
        let payload = frame::header(bytes, 0).and_then(|header| bytes.get(frame::HEADER..frame::HEADER + header.payload));
        Some(payload.unwrap_or_default().to_vec())
    }

    /// Whether an object was found damaged and was not put again since.
    pub(crate) fn is_denied(&self, digest: &Digest) -> bool {
        self.reading().denied.contains(digest)
    }

    /// Serves an object no more, until it is put again.
    pub(crate) fn deny(&self, digest: &Digest) {
        self.writing().denied.insert(*digest);
    }

    /// The number of small objects and the sum of their sizes; one that stands in several segments may count as often.
    pub(crate) fn small(&self) -> (usize, u64) {
        let state = self.reading();
        let tables = state.segments.iter().filter_map(|segment| segment.table.as_ref());
        let in_tables = tables
            .flat_map(|table| table.all())
            .filter(|(prefix, spot)| spot.is(Kind::Object) && !state.objects.contains_key(prefix))
            .map(|(_, spot)| spot);
        let recent =
            state.objects.values().filter(|(position, _)| state.segments.get(*position as usize).is_some_and(|segment| !segment.gone));
        in_tables.chain(recent.map(|(_, spot)| *spot)).fold((0, 0), |(count, bytes), spot| (count + 1, bytes + spot.size()))
    }

    /// The number of answered keys; a key that was answered in several segments may count as often.
    pub(crate) fn len(&self) -> usize {
        let state = self.reading();
        let tables = state.segments.iter().filter_map(|segment| segment.table.as_ref());
        let in_tables: usize = tables
            .map(|table| table.all().filter(|(prefix, spot)| spot.is(Kind::Record) && !state.records.contains_key(prefix)).count())
            .sum();
        in_tables + state.records.len()
    }
}

/// A file that is missing is empty.
fn or_empty<T: Default>(read: std::io::Result<T>) -> std::io::Result<T> {
    match read {
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(T::default()),
        read => read,
    }
}

/// Puts into the index what stands in a segment behind what is in it already.
fn index(segment: &mut Segment, position: u32, records: &mut Index, objects: &mut Index) {
    let Segment { hot, cold, hot_tail, cold_tail, boot, safe_until, last_record, entries, .. } = segment;
    let (hot_end, _) = scan_parts(hot, hot_tail, segment.hot_end, |at, header| match header.kind {
        Kind::Record => {
            *last_record = Some(at);
            *entries += 1;
            if let Some(spot) = Spot::new(Kind::Record, at, 0) {
                records.insert(header.key.prefix(), (position, spot));
            }
        }
        Kind::Synced => {
            *safe_until = frame::whole(part(hot, hot_tail, at), 0)
                .and_then(|(_, safe)| safe.try_into().ok())
                .map_or(*safe_until, |safe| u64::from_le_bytes(safe) as usize)
        }
        Kind::Begin => {
            let begin = frame::whole(part(hot, hot_tail, at), 0);
            *boot = begin.map(|(_, boot)| String::from_utf8_lossy(boot).into_owned()).unwrap_or_default();
        }
        Kind::Run | Kind::Object | Kind::Tail => {}
    });
    let (cold_end, _) = scan_parts(cold, cold_tail, segment.cold_end, |at, header| {
        if header.kind == Kind::Object
            && let Some(spot) = Spot::new(Kind::Object, at, header.payload)
        {
            *entries += 1;
            objects.insert(header.key.prefix(), (position, spot));
        }
    });
    (segment.hot_end, segment.cold_end) = (hot_end, cold_end);
}

/// A segment's name from the path of its hot file.
pub(crate) fn name_of(path: &Path) -> Option<String> {
    let hot = path.extension().is_some_and(|ending| ending == "hot");
    hot.then(|| path.file_stem().map(|name| name.to_string_lossy().into_owned())).flatten()
}

/// The process that writes a segment.
pub(crate) fn owner_of(name: &str) -> &str {
    name.rsplit_once('.').map_or(name, |(owner, _)| owner)
}

/// Every record of a segment in the order it was written, and every small object: what a merge and a check go through.
pub(crate) fn frames(segment: &Segment) -> (Vec<(usize, frame::Header)>, Vec<(usize, frame::Header)>, usize) {
    let (mut hot, mut cold) = (Vec::new(), Vec::new());
    let (_, lost_hot) = scan_parts(&segment.hot, &segment.hot_tail, 0, |at, header| hot.push((at, header)));
    let (_, lost_cold) = scan_parts(&segment.cold, &segment.cold_tail, 0, |at, header| cold.push((at, header)));
    (hot, cold, lost_hot + lost_cold)
}

/// The table of a segment that was scanned.
pub(crate) fn table_of(state: &State, position: u32) -> Option<Vec<u8>> {
    let segment = state.segments.get(position as usize)?;
    let mut entries = Vec::with_capacity(segment.entries);
    let here =
        |index: &Index| index.iter().filter(|(_, (at, _))| *at == position).map(|(prefix, (_, spot))| (*prefix, *spot)).collect::<Vec<_>>();
    entries.extend(here(&state.records));
    entries.extend(here(&state.objects));
    Some(table::write(&entries, Covered::of(&segment.hot, segment.cold.len() as u64)))
}
