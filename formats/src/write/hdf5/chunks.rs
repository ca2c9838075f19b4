//! Values in chunks, and the tree that finds them (specification, "III.A.1. Disk Format: Level 1A1 - Version 1 B-trees").

use super::sink::Sink;
use super::storage::Storage;
use super::{UNDEFINED, bad, too_large};
use neuroflow_data::formats::FormatError;
use rayon::iter::{IntoParallelRefIterator, ParallelIterator};
use std::io::{Seek, Write};
use std::ops::Range;

/// Gives the bytes of rows of the first axis.
pub(super) type RowSource<'r> = dyn FnMut(Range<u64>, &mut Vec<u8>) -> Result<(), FormatError> + 'r;

/// A dataset's form.
pub(super) struct Form<'f> {
    pub(super) path: &'f str,
    pub(super) shape: &'f [u64],
    pub(super) size: usize,
}

/// Bytes of rows that are held at a time.
const BATCH: u64 = 4 << 20;

impl Form<'_> {
    /// The bytes of one position of the first axis.
    pub(super) fn row_bytes(&self) -> Result<u64, FormatError> {
        super::storage::bytes_of(self.path, self.shape.get(1..).unwrap_or(&[]), self.size)
    }

    /// The bytes of `rows`, which must be as many as the shape says.
    fn rows(&self, rows: Range<u64>, source: &mut RowSource<'_>, bytes: &mut Vec<u8>) -> Result<(), FormatError> {
        let expected = self.row_bytes()?.checked_mul(rows.end - rows.start).and_then(|bytes| usize::try_from(bytes).ok());
        let expected = expected.ok_or_else(|| too_large(self.path))?;
        bytes.clear();
        source(rows.clone(), bytes)?;
        if bytes.len() != expected {
            let reason = format!("rows {} to {} came with {} bytes, the shape needs {expected}", rows.start, rows.end, bytes.len());
            return Err(bad(self.path, reason, "give as many values as the shape says"));
        }
        Ok(())
    }

    /// Writes values in one piece; their address.
    pub(super) fn write_piece<W: Write + Seek>(&self, sink: &mut Sink<W>, source: &mut RowSource<'_>) -> Result<u64, FormatError> {
        let total = super::storage::bytes_of(self.path, self.shape, self.size)?;
        if total == 0 {
            return Ok(UNDEFINED);
        }
        let address = sink.reserve(self.path, total)?;
        let (rows, row) = (self.shape.first().copied().unwrap_or(1), self.row_bytes()?);
        let step = (BATCH / row.max(1)).max(1);
        let (mut first, mut at) = (0, address);
        let mut bytes = Vec::new();
        while first < rows {
            let last = first.saturating_add(step).min(rows);
            self.rows(first..last, source, &mut bytes)?;
            sink.write(at, &bytes)?;
            at += bytes.len() as u64;
            first = last;
        }
        Ok(address)
    }

    /// Writes values in chunks; the address of their tree. The chunks of several slabs are filtered side by side and written in order.
    pub(super) fn write_chunks<W: Write + Seek>(
        &self,
        chunk: &[u64],
        storage: &Storage,
        sink: &mut Sink<W>,
        source: &mut RowSource<'_>,
    ) -> Result<u64, FormatError> {
        if self.shape.contains(&0) {
            return Ok(UNDEFINED);
        }
        let (rows, row) = (self.shape.first().copied().unwrap_or(1), self.row_bytes()?);
        let height = chunk.first().copied().unwrap_or(1);
        let step = (BATCH / row.saturating_mul(height).max(1)).max(1).saturating_mul(height);
        let mut written = Vec::new();
        let mut bytes = Vec::new();
        let mut first = 0;
        while first < rows {
            let last = first.saturating_add(step).min(rows);
            self.rows(first..last, source, &mut bytes)?;
            let slab = Slab { bytes: &bytes, first, rows: last - first };
            // Rows wider than a batch have many chunks side by side: they are taken a group at a time, so that few are held twice.
            let mut starts = Starts::new(self.shape, chunk, first..last);
            loop {
                let group: Vec<Vec<u64>> = starts.by_ref().take(64).collect();
                if group.is_empty() {
                    break;
                }
                let filter = |start: &Vec<u64>| storage.filter(self.path, self.cut(chunk, &slab, start)?, self.size);
                let filtered: Vec<Result<Vec<u8>, FormatError>> = group.par_iter().map(filter).collect();
                for (start, bytes) in group.into_iter().zip(filtered) {
                    let bytes = bytes?;
                    let length = u32::try_from(bytes.len()).map_err(|_| too_large(self.path))?;
                    written.push(Entry { start, length, address: sink.append(self.path, &bytes)? });
                }
            }
            first = last;
        }
        tree(self, chunk, &written, sink)
    }

    /// The bytes of one chunk out of a slab; zeros where it goes past the dataset.
    fn cut(&self, chunk: &[u64], slab: &Slab<'_>, start: &[u64]) -> Result<Vec<u8>, FormatError> {
        let damaged = || bad(self.path, "a chunk does not lie in its rows", "write the values in one piece");
        let whole = super::storage::bytes_of(self.path, chunk, self.size)?;
        let whole = usize::try_from(whole).map_err(|_| too_large(self.path))?;
        let axes = || self.shape.iter().zip(chunk).zip(start).enumerate();
        // What the chunk really has along each axis, and what the slab has.
        let there: Vec<usize> = axes().map(|(_, ((&length, &chunk), &start))| (length - start).min(chunk) as usize).collect();
        let within: Vec<usize> = axes().map(|(axis, ((&length, _), _))| if axis == 0 { slab.rows } else { length } as usize).collect();
        let begin: Vec<usize> = axes().map(|(axis, (_, &start))| if axis == 0 { start - slab.first } else { start } as usize).collect();
        let chunk: Vec<usize> = chunk.iter().map(|&length| length as usize).collect();
        // Trailing axes that the chunk has whole are one run.
        let rank = chunk.len();
        let split = (1..rank).rev().find(|&axis| chunk.get(axis) != within.get(axis)).unwrap_or(0);
        let tail: usize = chunk.iter().skip(split + 1).product::<usize>() * self.size;
        let run = there.get(split).copied().unwrap_or(1) * tail;
        let mut out = vec![0u8; whole];
        let mut place = vec![0usize; split];
        loop {
            let (mut from, mut into) = (0usize, 0usize);
            for axis in 0..=split {
                let at = place.get(axis).copied().unwrap_or(0);
                let (begin, within) = (begin.get(axis).copied().unwrap_or(0), within.get(axis).copied().unwrap_or(1));
                from = from * within + begin + at;
                into = into * chunk.get(axis).copied().unwrap_or(1) + at;
            }
            let source = slab.bytes.get(from * tail..from * tail + run).ok_or_else(damaged)?;
            out.get_mut(into * tail..into * tail + run).ok_or_else(damaged)?.copy_from_slice(source);
            // The next place, last axis first.
            let mut more = false;
            for (at, &length) in place.iter_mut().zip(&there).rev() {
                *at += 1;
                if *at < length {
                    more = true;
                    break;
                }
                *at = 0;
            }
            if !more {
                return Ok(out);
            }
        }
    }
}

/// Rows of a dataset that are at hand.
struct Slab<'s> {
    bytes: &'s [u8],
    first: u64,
    rows: u64,
}

/// The first positions of all chunks in some rows, row-major.
struct Starts<'s> {
    shape: &'s [u64],
    chunk: &'s [u64],
    end: u64,
    next: Option<Vec<u64>>,
}

impl<'s> Starts<'s> {
    fn new(shape: &'s [u64], chunk: &'s [u64], rows: Range<u64>) -> Starts<'s> {
        let mut start = vec![0; shape.len()];
        start.iter_mut().take(1).for_each(|place| *place = rows.start);
        Starts { shape, chunk, end: rows.end, next: Some(start) }
    }
}

impl Iterator for Starts<'_> {
    type Item = Vec<u64>;

    fn next(&mut self) -> Option<Vec<u64>> {
        let this = self.next.take()?;
        let mut next = this.clone();
        for (axis, (place, (&length, &chunk))) in next.iter_mut().zip(self.shape.iter().zip(self.chunk)).enumerate().rev() {
            *place = place.saturating_add(chunk);
            if *place < if axis == 0 { self.end } else { length } {
                self.next = Some(next);
                break;
            }
            *place = 0;
        }
        Some(this)
    }
}

/// A chunk in the file.
#[derive(Debug, Clone)]
struct Entry {
    start: Vec<u64>,
    length: u32,
    address: u64,
}

/// Children that a node has room for: twice the K of 32 that a superblock without extension stands for.
const CHILDREN: usize = 64;

/// Writes the tree over chunks, level by level, and gives its root.
fn tree<W: Write + Seek>(form: &Form<'_>, chunk: &[u64], entries: &[Entry], sink: &mut Sink<W>) -> Result<u64, FormatError> {
    let rank = form.shape.len();
    let node_bytes = 24 + (CHILDREN + 1) * (8 + 8 * (rank + 1)) + CHILDREN * 8;
    let key = |entry: &Entry, bytes: &mut Vec<u8>| {
        bytes.extend(entry.length.to_le_bytes());
        bytes.extend([0; 4]);
        entry.start.iter().for_each(|start| bytes.extend(start.to_le_bytes()));
        bytes.extend([0; 8]);
    };
    // Past all chunks: one chunk further along the first axis.
    let mut past = Entry { start: vec![0; rank], length: 0, address: UNDEFINED };
    if let (Some(place), Some(last), Some(&height)) = (past.start.first_mut(), entries.last(), chunk.first()) {
        *place = last.start.first().copied().unwrap_or(0).saturating_add(height);
    }
    let mut level = entries.to_vec();
    let mut depth = 0u8;
    loop {
        let nodes = level.len().div_ceil(CHILDREN);
        let first = sink.reserve(form.path, (nodes * node_bytes.next_multiple_of(8)) as u64)?;
        let address = |node: usize| first + (node * node_bytes.next_multiple_of(8)) as u64;
        let mut above = Vec::with_capacity(nodes);
        for (node, children) in level.chunks(CHILDREN).enumerate() {
            let mut bytes = b"TREE\x01".to_vec();
            bytes.push(depth);
            bytes.extend((children.len() as u16).to_le_bytes());
            bytes.extend(node.checked_sub(1).map_or(UNDEFINED, address).to_le_bytes());
            bytes.extend(if node + 1 < nodes { address(node + 1) } else { UNDEFINED }.to_le_bytes());
            for child in children {
                key(child, &mut bytes);
                bytes.extend(child.address.to_le_bytes());
            }
            key(level.get((node + 1) * CHILDREN).unwrap_or(&past), &mut bytes);
            bytes.resize(node_bytes, 0);
            sink.write(address(node), &bytes)?;
            if let Some(leftmost) = children.first() {
                above.push(Entry { address: address(node), ..leftmost.clone() });
            }
        }
        if nodes <= 1 {
            return Ok(first);
        }
        level = above;
        depth = depth.checked_add(1).ok_or_else(|| too_large(form.path))?;
    }
}
