//! A dataset: its shape and type, and parts of its values.

use super::attribute::datatype_of;
use super::chunks::{self, Chunk, Grid};
use super::cursor::Cursor;
use super::datatype::Datatype;
use super::file::{File, bad, too_much, unread};
use super::filters;
use super::header::{Header, kind};
use super::message::{self, Filter, Layout, Space};
use super::virtual_dataset::{self, Mapping};
use neuroflow_data::formats::{Budget, FormatError};
use rayon::prelude::*;
use std::borrow::Cow;
use std::ops::Range;
use std::sync::{Arc, OnceLock};

/// Chunks that are decoded side by side, at most.
const TOGETHER: usize = 16;

/// Bytes of a dataset in one piece that are fetched at once when only a part of each row is wanted.
const AT_ONCE: u64 = 16 << 20;

/// A dataset, without its values.
#[derive(Debug)]
pub(crate) struct Dataset {
    pub space: Space,
    pub datatype: Arc<Datatype>,
    pub layout: Layout,
    pub filters: Vec<Filter>,
    /// What it is made of, when it is a virtual one.
    pub mappings: Vec<Mapping>,
    /// One element that stands where nothing was written; zeros when none is given.
    fill: Option<Vec<u8>>,
    /// Where its header is.
    pub(super) at: u64,
    index: OnceLock<Arc<Vec<Chunk>>>,
}

/// Reads what the header says of a dataset; `None` when it is not one of a dataset.
pub(super) fn read(file: &File, header: &Header, at: u64) -> Result<Option<Dataset>, FormatError> {
    let (Some(space), Some(datatype)) = (header.first(kind::DATASPACE), header.first(kind::DATATYPE)) else { return Ok(None) };
    let Some(layout) = header.first(kind::LAYOUT) else { return Ok(None) };
    if header.first(kind::EXTERNAL).is_some() {
        let help = "copy the values into the file, as `h5repack` does";
        return Err(unread(at, "the values are in other files, which are never opened", help));
    }
    for message in [space, layout] {
        if message.shared {
            return Err(unread(message.at, "shapes that several objects share are not read", "rewrite the file with `h5repack`"));
        }
    }
    let space = message::space(file, &mut Cursor::new(&space.data, space.at))?;
    let datatype = datatype_of(file, datatype)?;
    let layout_at = layout.at;
    let layout = message::layout(file, layout)?;
    if let Layout::Chunked { chunk, .. } = &layout
        && chunk.len() != space.dims.len()
    {
        return Err(bad(layout_at, format!("chunks of {} axes in a dataset of {}", chunk.len(), space.dims.len())));
    }
    let filters = header.first(kind::FILTERS).map(message::filters).transpose()?.unwrap_or_default();
    let fill = match (header.first(kind::FILL), header.first(kind::FILL_OLD)) {
        (Some(fill), _) if !fill.shared => message::fill(fill)?,
        (None, Some(fill)) if !fill.shared => message::fill_old(fill)?,
        _ => None,
    };
    let fill = fill.filter(|fill| fill.len() == datatype.size);
    file.hold(256 + 64 * space.dims.len() as u64 + layout_bytes(&layout), at)?;
    let mappings = match layout {
        Layout::Virtual { heap, number } => virtual_dataset::mappings(file, heap, number, layout_at)?,
        _ => Vec::new(),
    };
    Ok(Some(Dataset { space, datatype, layout, filters, mappings, fill, at, index: OnceLock::new() }))
}

fn layout_bytes(layout: &Layout) -> u64 {
    if let Layout::Compact(bytes) = layout { bytes.len() as u64 } else { 0 }
}

impl Dataset {
    /// The length along each axis.
    pub fn dims(&self) -> &[u64] {
        &self.space.dims
    }

    /// The number of elements.
    pub fn count(&self) -> u64 {
        self.space.count().unwrap_or(u64::MAX)
    }

    /// The ranges that take all of the dataset.
    pub fn everything(&self) -> Vec<Range<u64>> {
        self.dims().iter().map(|dim| 0..*dim).collect()
    }

    /// The rows of the first axis in `rows`, whole.
    pub fn rows(&self, rows: Range<u64>) -> Vec<Range<u64>> {
        let mut part = self.everything();
        if let Some(first) = part.first_mut() {
            *first = rows.start.min(first.end)..rows.end.min(first.end);
        }
        part
    }

    /// The elements in `part`, row-major, as they are stored.
    pub fn read<'f>(&'f self, file: &'f File, part: &[Range<u64>], budget: &mut Budget) -> Result<Cow<'f, [u8]>, FormatError> {
        self.read_within(file, part, budget, 0)
    }

    /// As [`Dataset::read`], for a dataset that `depth` virtual ones are made of.
    pub(super) fn read_within<'f>(
        &'f self,
        file: &'f File,
        part: &[Range<u64>],
        budget: &mut Budget,
        depth: usize,
    ) -> Result<Cow<'f, [u8]>, FormatError> {
        let dims = self.dims();
        if part.len() != dims.len() || part.iter().zip(dims).any(|(range, dim)| range.start > range.end || range.end > *dim) {
            return Err(unread(self.at, format!("the part {part:?} is not in an array of the shape {dims:?}"), "ask for a smaller part"));
        }
        if self.space.null {
            return Ok(Cow::Borrowed(&[]));
        }
        let size = self.datatype.size as u64;
        let wanted = part.iter().try_fold(size, |bytes, range| bytes.checked_mul(range.end - range.start));
        let wanted = wanted.ok_or_else(|| too_much(self.at, "more values are asked for than memory can have"))?;
        if wanted == 0 {
            return Ok(Cow::Borrowed(&[]));
        }
        match &self.layout {
            Layout::Compact(bytes) => self.contiguous(bytes.len() as u64, part, wanted, budget, &|start, count| {
                let own = usize::try_from(start).ok().and_then(|start| bytes.get(start..start.checked_add(count as usize)?));
                own.map(Cow::Borrowed).ok_or_else(|| bad(self.at, "a dataset in the header is shorter than its shape"))
            }),
            Layout::Contiguous { address: Some(address), size } => {
                self.contiguous(*size, part, wanted, budget, &|start, count| file.read(address.saturating_add(start), count))
            }
            Layout::Contiguous { address: None, .. } => self.filled(wanted, budget).map(Cow::Owned),
            Layout::Chunked { chunk, address, index, raw_edges } => {
                let grid = self.grid(chunk)?;
                let index = match self.index.get() {
                    Some(index) => Arc::clone(index),
                    None => {
                        let read = Arc::new(chunks::chunks(file, &grid, index, *address)?);
                        Arc::clone(self.index.get_or_init(|| read))
                    }
                };
                self.chunked(file, &grid, &index, *raw_edges, part, wanted, budget).map(Cow::Owned)
            }
            Layout::Virtual { .. } => {
                let mut out = self.filled(wanted, budget)?;
                virtual_dataset::fill(self, file, part, &mut out, budget, depth)?;
                Ok(Cow::Owned(out))
            }
        }
    }

    /// `bytes` of fill values.
    fn filled(&self, bytes: u64, budget: &mut Budget) -> Result<Vec<u8>, FormatError> {
        budget.charge(bytes).map_err(|reason| too_much(self.at, reason))?;
        let length = usize::try_from(bytes).map_err(|_| too_much(self.at, "more values are asked for than memory can have"))?;
        let mut out = vec![0u8; length];
        if let Some(fill) = self.fill.as_ref().filter(|fill| fill.iter().any(|byte| *byte != 0)) {
            for element in out.chunks_exact_mut(fill.len()) {
                element.copy_from_slice(fill);
            }
        }
        Ok(out)
    }

    /// A part of values that lie in one piece of `whole` bytes, fetched by `fetch`.
    fn contiguous<'f>(
        &self,
        whole: u64,
        part: &[Range<u64>],
        wanted: u64,
        budget: &mut Budget,
        fetch: &dyn Fn(u64, u64) -> Result<Cow<'f, [u8]>, FormatError>,
    ) -> Result<Cow<'f, [u8]>, FormatError> {
        let dims = self.dims();
        let size = self.datatype.size as u64;
        let total = dims.iter().try_fold(size, |bytes, dim| bytes.checked_mul(*dim));
        if total.is_none_or(|total| total > whole) {
            return Err(bad(self.at, format!("an array of the shape {dims:?} with elements of {size} bytes stands in {whole} bytes")));
        }
        // Axes after the last one that is cut are taken whole: the part is made of runs of that many bytes.
        let cut = part.iter().zip(dims).rposition(|(range, dim)| range.end - range.start < *dim).unwrap_or(0);
        let inner: u64 = dims.iter().skip(cut + 1).product::<u64>() * size;
        let outer_is_one = part.iter().take(cut).all(|range| range.end - range.start == 1);
        let start_of = |position: &[u64]| -> u64 { position.iter().zip(dims).fold(0, |place, (own, dim)| place * dim + own) * inner };
        let starts: Vec<u64> = part.iter().take(cut + 1).map(|range| range.start).collect();
        if outer_is_one {
            return fetch(start_of(&starts), wanted);
        }
        budget.charge(wanted).map_err(|reason| too_much(self.at, reason))?;
        let mut out = Vec::with_capacity(wanted as usize);
        let run = part.get(cut).map_or(0, |range| range.end - range.start) * inner;
        let mut position = starts;
        let mut window: (u64, Cow<'f, [u8]>) = (0, Cow::Borrowed(&[]));
        loop {
            let start = start_of(&position);
            let inside = start.checked_sub(window.0).filter(|from| from + run <= window.1.len() as u64);
            let from = match inside {
                Some(from) => from,
                None => {
                    // What follows is likely wanted next, so more than this run is fetched, and parted then.
                    let ahead = run.max(AT_ONCE.min(whole - start));
                    window = (start, fetch(start, ahead)?);
                    0
                }
            };
            out.extend_from_slice(window.1.get(from as usize..(from + run) as usize).unwrap_or_default());
            // The next position of the outer axes.
            let mut axis = cut;
            loop {
                let Some(next) = axis.checked_sub(1) else { return Ok(Cow::Owned(out)) };
                axis = next;
                if let (Some(own), Some(range)) = (position.get_mut(axis), part.get(axis)) {
                    *own += 1;
                    if *own < range.end {
                        break;
                    }
                    *own = range.start;
                }
            }
        }
    }

    fn grid(&self, chunk: &[u64]) -> Result<Grid, FormatError> {
        let per_axis = |lengths: &[u64]| -> Vec<u64> {
            lengths.iter().zip(chunk).map(|(length, chunk)| if *length == u64::MAX { u64::MAX } else { length.div_ceil(*chunk) }).collect()
        };
        let bytes = chunk.iter().try_fold(self.datatype.size as u64, |bytes, length| bytes.checked_mul(*length));
        let bytes = bytes.filter(|bytes| *bytes <= u64::from(u32::MAX) * 2);
        let bytes = bytes.ok_or_else(|| bad(self.at, format!("chunks of the shape {chunk:?} are too large")))?;
        Ok(Grid {
            counts: per_axis(self.dims()),
            most: per_axis(&self.space.most),
            chunk: chunk.to_vec(),
            bytes,
            filtered: !self.filters.is_empty(),
        })
    }

    fn chunked(
        &self,
        file: &File,
        grid: &Grid,
        index: &[Chunk],
        raw_edges: bool,
        part: &[Range<u64>],
        wanted: u64,
        budget: &mut Budget,
    ) -> Result<Vec<u8>, FormatError> {
        let dims = self.dims();
        let mut out = self.filled(wanted, budget)?;
        // Chunks along each axis that the part touches.
        let touched: Vec<Range<u64>> =
            part.iter().zip(&grid.chunk).map(|(range, chunk)| range.start / chunk..range.end.div_ceil(*chunk)).collect();
        let per_row: u64 = grid.counts.iter().skip(1).fold(1u64, |product, count| product.saturating_mul(*count));
        let rows = touched.first().cloned().unwrap_or(0..1);
        let from = index.partition_point(|chunk| chunk.place < rows.start.saturating_mul(per_row));
        let to = index.partition_point(|chunk| chunk.place < rows.end.saturating_mul(per_row));
        let mut wanted_chunks = index.get(from..to).unwrap_or_default().iter().filter_map(|chunk| {
            let mut rest = chunk.place;
            let mut position = vec![0u64; dims.len()];
            for (own, count) in position.iter_mut().rev().zip(grid.counts.iter().rev()) {
                *own = rest % count;
                rest /= count;
            }
            position.iter().zip(&touched).all(|(own, range)| range.contains(own)).then_some((position, *chunk))
        });
        // As many as fit in a modest room are decoded at once.
        let together = ((64 << 20) / grid.bytes.max(1)).clamp(1, TOGETHER as u64) as usize;
        let mut group = Vec::with_capacity(together);
        loop {
            group.clear();
            group.extend(wanted_chunks.by_ref().take(together));
            let decode = |(position, chunk): &(Vec<u64>, Chunk)| self.decoded(file, grid, position, chunk, raw_edges);
            let decoded: Vec<Result<Decoded<'_>, FormatError>> = match group.as_slice() {
                [] => return Ok(out),
                group if self.filters.is_empty() || group.len() == 1 => group.iter().map(decode).collect(),
                group => group.par_iter().map(decode).collect(),
            };
            for ((position, _), bytes) in group.iter().zip(decoded) {
                self.place(grid, position, part, bytes?.bytes(), &mut out);
            }
        }
    }

    /// The bytes of a chunk, filters undone.
    fn decoded<'f>(
        &self,
        file: &'f File,
        grid: &Grid,
        position: &[u64],
        chunk: &Chunk,
        raw_edges: bool,
    ) -> Result<Decoded<'f>, FormatError> {
        if self.filters.is_empty() {
            return Ok(Decoded::Own(file.read(chunk.address, grid.bytes)?));
        }
        if let Some(kept) = file.kept(chunk.address).filter(|kept| kept.len() as u64 == grid.bytes) {
            return Ok(Decoded::Kept(kept));
        }
        let at = file.byte(chunk.address);
        let stored = file.read(chunk.address, chunk.size)?;
        let edge = position.iter().zip(&grid.chunk).zip(self.dims()).any(|((own, length), dim)| (own + 1) * length > *dim);
        let plain =
            if raw_edges && edge { stored } else { filters::undo(&self.filters, chunk.mask, stored, grid.bytes, &file.limits, at)? };
        if plain.len() as u64 != grid.bytes {
            return Err(bad(at, format!("a chunk has {} bytes, {} are expected", plain.len(), grid.bytes)));
        }
        Ok(match plain {
            Cow::Borrowed(_) => Decoded::Own(plain),
            Cow::Owned(plain) => {
                let plain = Arc::new(plain);
                file.keep(chunk.address, &plain);
                Decoded::Kept(plain)
            }
        })
    }

    /// Copies what of a chunk lies in `part` to where it belongs in `out`.
    fn place(&self, grid: &Grid, position: &[u64], part: &[Range<u64>], bytes: &[u8], out: &mut [u8]) {
        let size = self.datatype.size as u64;
        let rank = part.len();
        // Where the shared block begins in the chunk and in the part, and its lengths.
        let (mut in_chunk, mut in_part, mut lengths) = (vec![0u64; rank], vec![0u64; rank], vec![0u64; rank]);
        let mut widths = vec![0u64; rank];
        let own = position.iter().zip(&grid.chunk).zip(part);
        let slots = in_chunk.iter_mut().zip(in_part.iter_mut()).zip(lengths.iter_mut().zip(widths.iter_mut()));
        for (((own, chunk), range), ((in_chunk, in_part), (length, width))) in own.zip(slots) {
            let start = own * chunk;
            let from = start.max(range.start);
            let to = (start + chunk).min(range.end);
            (*in_chunk, *in_part) = (from - start, from - range.start);
            (*length, *width) = (to.saturating_sub(from), range.end - range.start);
        }
        if lengths.contains(&0) {
            return;
        }
        // Axes that are whole in both are copied at once.
        let whole = |axis: usize| lengths.get(axis) == grid.chunk.get(axis) && lengths.get(axis) == widths.get(axis);
        let inner = (1..rank).rev().find(|axis| !whole(*axis)).unwrap_or(0);
        let run = lengths.iter().skip(inner).product::<u64>() * size;
        let mut offset = vec![0u64; rank];
        loop {
            let place = |start: &[u64], widths: &[u64]| -> u64 {
                start.iter().zip(&offset).zip(widths).fold(0, |place, ((start, offset), width)| place * width + start + offset) * size
            };
            let (from, to) = (place(&in_chunk, &grid.chunk) as usize, place(&in_part, &widths) as usize);
            if let (Some(source), Some(target)) = (bytes.get(from..from + run as usize), out.get_mut(to..to + run as usize)) {
                target.copy_from_slice(source);
            }
            let mut axis = inner;
            loop {
                let Some(next) = axis.checked_sub(1) else { return };
                axis = next;
                if let (Some(own), Some(length)) = (offset.get_mut(axis), lengths.get(axis)) {
                    *own += 1;
                    if *own < *length {
                        break;
                    }
                    *own = 0;
                }
            }
        }
    }
}

/// A chunk's bytes: the file's own, or decoded ones that may be kept.
enum Decoded<'f> {
    Own(Cow<'f, [u8]>),
    Kept(Arc<Vec<u8>>),
}

impl Decoded<'_> {
    fn bytes(&self) -> &[u8] {
        match self {
            Decoded::Own(bytes) => bytes,
            Decoded::Kept(bytes) => bytes,
        }
    }
}
