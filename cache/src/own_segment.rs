//! The segment that this process appends to.
//!
//! Small objects and tails go to the cold file, heads to the hot file, in this order: a record that can be read has what it names. Nothing waits for the
//! disk here; [`Segments::commit`] does, for all that was appended since it was last called.

use crate::digest::Digest;
use crate::disk::Appender;
use crate::error::CacheError;
use crate::frame::{self, Kind};
use crate::record::{ActionRecord, write_head};
use crate::segments::{Segment, Segments, WORTH_A_TABLE, table_of};
use crate::table::Spot;

/// So much of what was appended is kept in memory until the files are mapped anew.
const MAP_AGAIN: usize = 1 << 20;

/// Where this process appends; nothing before the first append.
#[derive(Default)]
pub(crate) struct Own {
    open: Option<Open>,
    /// How many segments this process began.
    begun: u64,
}

struct Open {
    name: String,
    position: u32,
    hot: Box<dyn Appender>,
    cold: Box<dyn Appender>,
    hot_len: usize,
    cold_len: usize,
    /// How much of the hot and the cold file is known to be on the disk, with all that it names.
    safe: (usize, usize),
}

impl Own {
    /// Begins another segment at the next append: this one was removed under us.
    pub(crate) fn abandon(&mut self) {
        self.open = None;
    }

    pub(crate) fn name(&self) -> Option<String> {
        self.open.as_ref().map(|open| open.name.clone())
    }

    /// What a commit that begins now makes safe.
    pub(crate) fn extent(&self) -> Extent {
        let Some(open) = &self.open else { return Extent { is_safe: true, ..Extent::default() } };
        Extent { name: open.name.clone(), hot: open.hot_len, cold: open.cold_len, is_safe: open.safe == (open.hot_len, open.cold_len) }
    }
}

/// How far the own segment reached at some time.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Extent {
    name: String,
    hot: usize,
    cold: usize,
    /// Nothing was appended since the last commit.
    pub(crate) is_safe: bool,
}

impl Segments {
    /// Appends a record; what it names must have been put before.
    pub(crate) fn put_record(&self, key: &Digest, record: &ActionRecord) -> Result<(), CacheError> {
        let head = write_head(record);
        let summary = if record.summary.is_null() { Vec::new() } else { serde_json::to_vec(&record.summary)? };
        self.append(key, &head, &summary)
    }

    /// Appends a record as it was read elsewhere.
    pub(crate) fn append(&self, key: &Digest, head: &[u8], summary: &[u8]) -> Result<(), CacheError> {
        let size = frame::HEADER + summary.len();
        if !frame::fits(summary.len()) || !frame::fits(head.len()) {
            return Err(CacheError::io("appending to", &self.folder, std::io::Error::other("a record of more than 256 MiB")));
        }
        let mut own = self.own();
        let (mut cold, mut tail) = (Vec::new(), (0, 0));
        if !summary.is_empty() {
            tail = (size, self.opened(&mut own)?.cold_len as u64);
            frame::write(&mut cold, Kind::Tail, key, (0, 0), summary);
            self.grow_own(&mut own, &cold, false)?;
        }
        let mut hot = Vec::with_capacity(frame::HEADER + head.len() + 8);
        frame::write(&mut hot, Kind::Record, key, tail, head);
        let (position, at) = self.grow_own(&mut own, &hot, true)?;
        if let Some(spot) = Spot::new(Kind::Record, at, 0) {
            self.writing().records.insert(key.prefix(), (position, spot));
        }
        Ok(())
    }

    /// Appends a small object.
    pub(crate) fn put_object(&self, digest: &Digest, bytes: &[u8]) -> Result<(), CacheError> {
        let mut frame = Vec::with_capacity(frame::HEADER + bytes.len() + 8);
        frame::write(&mut frame, Kind::Object, digest, (0, 0), bytes);
        let mut own = self.own();
        let (position, at) = self.grow_own(&mut own, &frame, false)?;
        let mut state = self.writing();
        if let Some(spot) = Spot::new(Kind::Object, at, bytes.len()) {
            state.objects.insert(digest.prefix(), (position, spot));
        }
        state.denied.remove(digest);
        Ok(())
    }

    /// Notes the digest of a run's record, so that a change of it can be seen.
    pub(crate) fn put_run(&self, run: &Digest, content: &Digest) -> Result<(), CacheError> {
        let mut hot = Vec::new();
        frame::write(&mut hot, Kind::Run, run, (0, 0), content.as_bytes());
        self.grow_own(&mut self.own(), &hot, true).map(|_| ())
    }

    /// Appends frames to one of the two files; gives the segment's position and where the frames begin.
    fn grow_own(&self, own: &mut Own, bytes: &[u8], hot: bool) -> Result<(u32, usize), CacheError> {
        let open = self.opened(own)?;
        let (position, at) = (open.position, if hot { open.hot_len } else { open.cold_len });
        if let Err(error) = if hot { open.hot.append(bytes) } else { open.cold.append(bytes) } {
            let path = self.path(&open.name, if hot { "hot" } else { "cold" });
            // What follows a torn frame has to be looked for by every reader: another segment is begun instead.
            own.open = None;
            return Err(CacheError::io("appending to", &path, error));
        }
        *(if hot { &mut open.hot_len } else { &mut open.cold_len }) += bytes.len();
        let mut state = self.writing();
        if let Some(segment) = state.segments.get_mut(position as usize) {
            if hot { &mut segment.hot_tail } else { &mut segment.cold_tail }.extend_from_slice(bytes);
            segment.entries += 1;
            self.map_again(segment);
        }
        Ok((position, at))
    }

    /// Lets go of memory by mapping what was written. When that fails it stays in memory.
    fn map_again(&self, segment: &mut Segment) {
        for (ending, mapped, tail) in
            [("hot", &mut segment.hot, &mut segment.hot_tail), ("cold", &mut segment.cold, &mut segment.cold_tail)]
        {
            if tail.len() >= MAP_AGAIN
                && let Ok(read) = self.disk.read(&self.path(&segment.name, ending))
                && read.len() == mapped.len() + tail.len()
            {
                *mapped = read;
                *tail = Vec::new();
            }
        }
    }

    fn opened<'a>(&self, own: &'a mut Own) -> Result<&'a mut Open, CacheError> {
        if own.open.is_none() {
            own.begun += 1;
            let name = format!("{}.{}", self.users.own_id(), own.begun);
            let open = |ending: &str| {
                let path = self.path(&name, ending);
                self.disk.appender(&path).map_err(|error| CacheError::io("making", &path, error))
            };
            let (cold, mut hot) = (open("cold")?, open("hot")?);
            let mut begin = Vec::new();
            frame::write(&mut begin, Kind::Begin, &Digest::of(name.as_bytes()), (0, 0), self.users.boot().as_bytes());
            hot.append(&begin).map_err(|error| CacheError::io("appending to", &self.path(&name, "hot"), error))?;
            let mut state = self.writing();
            let position = state.segments.len() as u32;
            let segment = Segment { name: name.clone(), boot: self.users.boot().to_owned(), hot_tail: begin.clone(), ..Segment::default() };
            state.segments.push(segment);
            own.open = Some(Open { name, position, hot, cold, hot_len: begin.len(), cold_len: 0, safe: (0, 0) });
        }
        own.open.as_mut().ok_or_else(|| CacheError::io("opening", &self.folder, std::io::Error::other("no segment")))
    }

    /// Waits until everything up to `extent` is on the disk, and notes it. What the records name must be there already. Appending goes on meanwhile.
    pub(crate) fn commit(&self, extent: &Extent) -> Result<(), CacheError> {
        if extent.is_safe {
            return Ok(());
        }
        for ending in ["cold", "hot"] {
            let path = self.path(&extent.name, ending);
            self.disk.sync_file(&path).map_err(|error| CacheError::io("syncing", &path, error))?;
        }
        let mut own = self.own();
        let Some(open) = own.open.as_mut().filter(|open| open.name == extent.name) else { return Ok(()) };
        let mut mark = Vec::new();
        frame::write(&mut mark, Kind::Synced, &Digest::of(b""), (0, 0), &(extent.hot as u64).to_le_bytes());
        // The mark itself needs no sync: without it, what it vouches for is only looked at once more.
        let all = open.hot_len == extent.hot;
        open.safe = (if all { extent.hot + mark.len() } else { extent.hot }, extent.cold);
        self.grow_own(&mut own, &mark, true).map(|_| ())
    }

    /// Ends the own segment: with a table when it is worth one. What fails here is made up for by whoever reads the segment.
    pub(crate) fn close(&self) {
        let Some(open) = self.own().open.take() else { return };
        let mut state = self.writing();
        let Some(segment) = state.segments.get_mut(open.position as usize).filter(|segment| segment.entries >= WORTH_A_TABLE) else {
            return;
        };
        for (ending, mapped, tail) in
            [("hot", &mut segment.hot, &mut segment.hot_tail), ("cold", &mut segment.cold, &mut segment.cold_tail)]
        {
            let Ok(read) = self.disk.read(&self.path(&open.name, ending)) else { return };
            (*mapped, *tail) = (read, Vec::new());
        }
        // A table says that all is on the disk: without that there is none.
        if open.safe != (open.hot_len, open.cold_len) {
            return;
        }
        if let Some(table) = table_of(&state, open.position) {
            drop(state);
            self.publish_table(&open.name, &table);
        }
    }

    /// Writes a table beside its segment; one that can't be written is missed by nobody but the clock.
    pub(crate) fn publish_table(&self, name: &str, table: &[u8]) {
        let temporary = self.path(name, "new");
        let _ = self.disk.remove(&temporary);
        let written = self.disk.write_synced(&temporary, table).and_then(|()| self.disk.rename(&temporary, &self.path(name, "table")));
        if written.is_err() {
            let _ = self.disk.remove(&temporary);
        }
    }
}
