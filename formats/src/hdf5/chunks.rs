//! Where the chunks of a dataset are: B-trees of both versions, a single chunk, chunks in a row, and the two sorts of arrays.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", III.A.1, VII "Appendix C: Types of Indexes for Dataset Chunks".

use super::arrays;
use super::btree1::btree1_node;
use super::btree2;
use super::cursor::Cursor;
use super::file::{File, bad};
use super::message::Index;
use neuroflow_data::formats::FormatError;
use std::collections::HashSet;

/// One chunk that is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Chunk {
    /// Its place in the grid of chunks, row-major.
    pub place: u64,
    pub address: u64,
    /// Bytes that it takes in the file.
    pub size: u64,
    /// A bit for each filter that was left out.
    pub mask: u32,
}

/// The grid of chunks over a dataset.
#[derive(Debug, Clone)]
pub(super) struct Grid {
    /// Chunks along each axis that the dataset has now.
    pub counts: Vec<u64>,
    /// Chunks along each axis at most; `u64::MAX` where there is no limit.
    pub most: Vec<u64>,
    /// The shape of a chunk.
    pub chunk: Vec<u64>,
    /// Bytes of a chunk before filters.
    pub bytes: u64,
    /// Whether chunks went through filters.
    pub filtered: bool,
}

impl Grid {
    /// The place of a chunk by its position along each axis; `None` outside the dataset.
    pub fn place(&self, position: impl Iterator<Item = u64>) -> Option<u64> {
        let mut place = 0u64;
        for (own, count) in position.zip(&self.counts) {
            if own >= *count {
                return None;
            }
            place = place.checked_mul(*count)?.checked_add(own)?;
        }
        Some(place)
    }

    /// The position along each axis of the chunk that is number `number` in an array over axes of `lengths`.
    fn position(number: u64, lengths: &[u64]) -> Vec<u64> {
        let mut rest = number;
        let mut position: Vec<u64> = lengths
            .iter()
            .rev()
            .map(|&length| {
                let own = rest.checked_rem(length).unwrap_or(0);
                rest = rest.checked_div(length).unwrap_or(0);
                own
            })
            .collect();
        position.reverse();
        position
    }
}

/// All chunks that are there, sorted by place.
pub(super) fn chunks(file: &File, grid: &Grid, index: &Index, address: Option<u64>) -> Result<Vec<Chunk>, FormatError> {
    let mut chunks = Vec::new();
    let Some(address) = address else { return Ok(chunks) };
    let at = file.byte(address);
    match index {
        Index::Tree1 => tree_1(file, grid, address, None, &mut HashSet::new(), &mut chunks)?,
        Index::Single { filtered } => {
            let (size, mask) = filtered.unwrap_or((grid.bytes, 0));
            if grid.counts.iter().all(|count| *count > 0) {
                chunks.push(Chunk { place: 0, address, size, mask });
            }
        }
        Index::Implicit => implicit(file, grid, address, &mut chunks)?,
        Index::Fixed => {
            let lengths = &grid.most;
            arrays::fixed(file, address, grid, &mut |number, chunk| {
                push(grid, Grid::position(number, lengths).into_iter(), chunk, &mut chunks);
            })?;
        }
        Index::Extensible => {
            // The axis without a limit comes first in the array, the others keep their order.
            let free = grid.most.iter().position(|most| *most == u64::MAX).unwrap_or(0);
            let mut lengths = grid.most.clone();
            let first = if free < lengths.len() { lengths.remove(free) } else { 0 };
            lengths.insert(0, first);
            arrays::extensible(file, address, grid, &mut |number, chunk| {
                let mut position = Grid::position(number, &lengths);
                let own = if position.is_empty() { 0 } else { position.remove(0) };
                position.insert(free.min(position.len()), own);
                push(grid, position.into_iter(), chunk, &mut chunks);
            })?;
        }
        Index::Tree2 => btree2::walk(file, address, &mut |record, at| {
            let rank = grid.chunk.len();
            let mut cursor = Cursor::new(record, at);
            let address = cursor.address(file.offsets)?;
            let (size, mask) = if grid.filtered {
                let width = record.len().checked_sub(file.offsets + 4 + 8 * rank).filter(|width| (1..=8).contains(width));
                let width = width.ok_or_else(|| bad(at, format!("a chunk's record of {} bytes", record.len())))?;
                (cursor.uint(width)?, cursor.u32()?)
            } else {
                (grid.bytes, 0)
            };
            let position = (0..rank).map(|_| cursor.uint(8)).collect::<Result<Vec<_>, _>>()?;
            if let Some(address) = address {
                push(grid, position.into_iter(), Chunk { place: 0, address, size, mask }, &mut chunks);
            }
            Ok(())
        })?,
    }
    chunks.sort_unstable_by_key(|chunk| chunk.place);
    if chunks.windows(2).any(|pair| matches!(pair, [one, next] if one.place == next.place)) {
        return Err(bad(at, "a chunk is there twice"));
    }
    Ok(chunks)
}

fn push(grid: &Grid, position: impl Iterator<Item = u64>, chunk: Chunk, chunks: &mut Vec<Chunk>) {
    // Chunks outside are what is left of a dataset that was made smaller.
    if let Some(place) = grid.place(position) {
        chunks.push(Chunk { place, ..chunk });
    }
}

fn implicit(file: &File, grid: &Grid, address: u64, chunks: &mut Vec<Chunk>) -> Result<(), FormatError> {
    let at = file.byte(address);
    let count = grid.most.iter().try_fold(1u64, |product, count| product.checked_mul(*count));
    let count = count.filter(|count| count.checked_mul(grid.bytes).is_some_and(|bytes| bytes <= file.len()));
    let count = count.ok_or_else(|| bad(at, format!("chunks of {} bytes in a row reach past the file's end", grid.bytes)))?;
    for number in 0..count {
        let address = address.saturating_add(number * grid.bytes);
        push(grid, Grid::position(number, &grid.most).into_iter(), Chunk { place: 0, address, size: grid.bytes, mask: 0 }, chunks);
    }
    Ok(())
}

fn tree_1(
    file: &File,
    grid: &Grid,
    address: u64,
    level: Option<u8>,
    seen: &mut HashSet<u64>,
    chunks: &mut Vec<Chunk>,
) -> Result<(), FormatError> {
    let (at, own, count, prefix) = btree1_node(file, address, 1, level, seen)?;
    // A key has the size, the filter mask, and the offset along each axis and within an element.
    let key = 8 + 8 * (grid.chunk.len() as u64 + 1);
    let bytes = file.read(address.saturating_add(prefix), count * (key + file.offsets as u64))?;
    let mut cursor = Cursor::new(&bytes, at + prefix);
    for _ in 0..count {
        let here = cursor.here();
        let (size, mask) = (u64::from(cursor.u32()?), cursor.u32()?);
        let offsets = (0..grid.chunk.len()).map(|_| cursor.uint(8)).collect::<Result<Vec<_>, _>>()?;
        cursor.skip(8)?;
        let Some(child) = cursor.address(file.offsets)? else { continue };
        if own > 0 {
            tree_1(file, grid, child, Some(own - 1), seen, chunks)?;
            continue;
        }
        if offsets.iter().zip(&grid.chunk).any(|(offset, chunk)| offset % chunk != 0) {
            return Err(bad(here, format!("a chunk begins at {offsets:?}, which is not a multiple of {:?}", grid.chunk)));
        }
        let position = offsets.iter().zip(&grid.chunk).map(|(offset, chunk)| offset / chunk);
        push(grid, position, Chunk { place: 0, address: child, size, mask }, chunks);
    }
    Ok(())
}
