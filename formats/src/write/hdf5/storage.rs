//! How a dataset's values are laid out, and the filters they go through.

use super::{bad, too_large};
use flate2::{Compress, Compression, FlushCompress, Status};
use neuroflow_data::formats::FormatError;

/// How a dataset's values stand in the file.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Storage {
    /// The shape of a chunk; `None` for values in one piece, which no filter touches.
    pub chunk: Option<Vec<u64>>,
    /// Whether bytes of equal rank are put together before deflating: numbers deflate better.
    pub shuffle: bool,
    /// The level of deflate, 0 to 9; `None` for none.
    pub deflate: Option<u32>,
}

/// Bytes of a chunk that is chosen for the caller.
const CHUNK: u64 = 1 << 18;
/// The level for the caller: half of the usual level's time, for a file that is a twentieth larger.
const LEVEL: u32 = 2;

impl Storage {
    /// Values in one piece.
    pub fn plain() -> Storage {
        Storage::default()
    }

    /// Chunks of at most a quarter of a MiB that are long in the last axes, shuffled and deflated. Values that fit one chunk stay in one piece.
    pub fn packed(shape: &[u64], size: usize) -> Storage {
        let size = size.max(1) as u64;
        let bytes = shape.iter().fold(size, |bytes, &length| bytes.saturating_mul(length));
        if shape.is_empty() || bytes <= CHUNK {
            return Storage::plain();
        }
        let mut chunk = vec![1; shape.len()];
        for (axis, place) in chunk.iter_mut().enumerate() {
            let rest = shape.iter().skip(axis + 1).fold(size, |bytes, &length| bytes.saturating_mul(length));
            let length = shape.get(axis).copied().unwrap_or(1);
            if rest <= CHUNK {
                *place = (CHUNK / rest).clamp(1, length.max(1));
                // Whole from here on.
                let fits = chunk.iter_mut().zip(shape).skip(axis + 1);
                fits.for_each(|(place, &length)| *place = length.max(1));
                break;
            }
        }
        Storage { chunk: Some(chunk), shuffle: size > 1, deflate: Some(LEVEL) }
    }

    /// The chunk's shape, checked against the dataset's and cut to it.
    pub(super) fn checked_chunk(&self, path: &str, shape: &[u64], size: usize) -> Result<Option<Vec<u64>>, FormatError> {
        let Some(chunk) = &self.chunk else {
            if self.shuffle || self.deflate.is_some() {
                return Err(bad(path, "values in one piece can't be shuffled or deflated", "give a chunk shape"));
            }
            return Ok(None);
        };
        if chunk.len() != shape.len() || chunk.is_empty() || chunk.contains(&0) {
            let reason = format!("the chunk {chunk:?} does not fit the shape {shape:?}");
            return Err(bad(path, reason, "give each axis a chunk length of at least 1"));
        }
        if self.deflate.is_some_and(|level| level > 9) {
            return Err(bad(path, "deflate has levels 0 to 9", "choose one of them"));
        }
        let cut: Vec<u64> = chunk.iter().zip(shape).map(|(&chunk, &length)| chunk.min(length.max(1))).collect();
        let bytes = cut.iter().try_fold(size as u64, |bytes, &length| bytes.checked_mul(length));
        match bytes {
            Some(bytes) if bytes < 1 << 32 => Ok(Some(cut)),
            _ => Err(bad(path, "a chunk may have less than 4 GiB", "choose a smaller chunk")),
        }
    }

    /// The filter pipeline message (specification, "IV.A.2.l. The Data Storage - Filter Pipeline Message"), version 2.
    pub(super) fn pipeline(&self, size: usize) -> Option<Vec<u8>> {
        const SHUFFLE: u16 = 2;
        const DEFLATE: u16 = 1;
        let mut filters = Vec::new();
        if self.shuffle {
            filters.push((SHUFFLE, size as u32));
        }
        if let Some(level) = self.deflate {
            filters.push((DEFLATE, level));
        }
        if filters.is_empty() {
            return None;
        }
        let mut bytes = vec![2, filters.len() as u8];
        for (filter, value) in filters {
            bytes.extend(filter.to_le_bytes());
            // Optional: a file without the filter can still be opened, though not read. One client value.
            bytes.extend([1, 0, 1, 0]);
            bytes.extend(value.to_le_bytes());
        }
        Some(bytes)
    }

    /// A chunk's bytes after the filters.
    pub(super) fn filter(&self, path: &str, mut chunk: Vec<u8>, size: usize) -> Result<Vec<u8>, FormatError> {
        if self.shuffle && size > 1 {
            chunk = shuffled(&chunk, size);
        }
        match self.deflate {
            Some(level) => zlib(&chunk, level).ok_or_else(|| bad(path, "a chunk could not be deflated", "write it without deflate")),
            None => Ok(chunk),
        }
    }
}

/// First bytes of all elements, then second bytes, and so on.
fn shuffled(bytes: &[u8], size: usize) -> Vec<u8> {
    let count = bytes.len() / size;
    let mut out = vec![0; bytes.len()];
    for (rank, plane) in out.chunks_exact_mut(count.max(1)).enumerate().take(size) {
        for (place, element) in plane.iter_mut().zip(bytes.chunks_exact(size)) {
            *place = element.get(rank).copied().unwrap_or(0);
        }
    }
    out
}

/// A zlib stream of `bytes`.
fn zlib(bytes: &[u8], level: u32) -> Option<Vec<u8>> {
    let mut packer = Compress::new(Compression::new(level), true);
    // The most that deflate can make of incompressible bytes, and room for its frame.
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 1000 + 64);
    loop {
        let taken = usize::try_from(packer.total_in()).ok()?;
        match packer.compress_vec(bytes.get(taken..)?, &mut out, FlushCompress::Finish).ok()? {
            Status::StreamEnd => return Some(out),
            _ => out.reserve(out.capacity().max(64)),
        }
    }
}

/// The product of a shape and the size of an element.
pub(super) fn bytes_of(path: &str, shape: &[u64], size: usize) -> Result<u64, FormatError> {
    shape.iter().try_fold(size as u64, |bytes, &length| bytes.checked_mul(length)).ok_or_else(|| too_large(path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn chosen_chunks_are_small_and_long_in_the_last_axes() {
        assert_eq!(Storage::packed(&[10], 8), Storage::plain());
        assert_eq!(Storage::packed(&[1 << 20], 8).chunk, Some(vec![1 << 15]));
        assert_eq!(Storage::packed(&[1 << 20, 64], 2).chunk, Some(vec![2048, 64]));
        assert_eq!(Storage::packed(&[4, 1 << 20, 2], 8).chunk, Some(vec![1, 1 << 14, 2]));
        assert_eq!(Storage::packed(&[0, 1 << 20], 8), Storage::plain());
    }

    #[test]
    fn shuffling_puts_bytes_of_a_rank_together() {
        assert_eq!(shuffled(&[1, 2, 3, 4, 5, 6], 2), [1, 3, 5, 2, 4, 6]);
        assert_eq!(shuffled(&[], 8), [0u8; 0]);
    }
}
