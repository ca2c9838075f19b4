//! The container of Blosc 1: blocks that were shuffled by bytes or bits, cut into streams, and compressed.
//!
//! The layout is that of c-blosc's `README_CHUNK_FORMAT.rst`: 16 bytes of header, the starts of the blocks, and each block as one or more streams behind
//! their lengths.

use super::shuffle::{bits_unshuffled, unshuffled};
use super::{lz4, snappy, zstd};
use neuroflow_data::formats::bytes::{ByteOrder, number_at};
use neuroflow_data::formats::inflate::{Wrapping, inflate_likely};
use neuroflow_data::formats::{Budget, Limits};

const HEADER: usize = 16;

fn u32_at(bytes: &[u8], at: usize) -> Option<usize> {
    number_at::<u32>(bytes, at, ByteOrder::Little).and_then(|number| usize::try_from(number).ok())
}

/// The bytes in a container, at most `most`.
pub(crate) fn decompress(bytes: &[u8], most: u64, limits: &Limits) -> Result<Vec<u8>, String> {
    let (Some([version, _, flags, size]), Some(length), Some(block), Some(stated)) =
        (bytes.first_chunk::<4>(), u32_at(bytes, 4), u32_at(bytes, 8), u32_at(bytes, 12))
    else {
        return Err("the header of a blosc chunk is cut short".into());
    };
    if !(1..=2).contains(version) {
        return Err(format!("blosc's format {version} is not read, only 1 and 2"));
    }
    if length as u64 > most {
        return Err(format!("a blosc chunk claims to hold {length} bytes, more than the {most} of a chunk"));
    }
    let bytes = bytes
        .get(..stated)
        .filter(|_| stated >= HEADER)
        .ok_or_else(|| format!("a blosc chunk of {stated} bytes is cut at {}", bytes.len()))?;
    if flags & 2 != 0 {
        let plain = bytes.get(HEADER..).and_then(|plain| plain.get(..length));
        return plain.map(<[u8]>::to_vec).ok_or_else(|| "a stored blosc chunk is cut short".into());
    }
    if length == 0 {
        return Ok(Vec::new());
    }
    let size = usize::from(*size).max(1);
    if block == 0 || block > length.next_multiple_of(size) {
        return Err(format!("a blosc chunk of {length} bytes has blocks of {block}"));
    }
    let mut out = Vec::new();
    let mut left = length;
    for number in 0..length.div_ceil(block) {
        let start = u32_at(bytes, HEADER + 4 * number).filter(|start| *start >= HEADER);
        let streams =
            start.and_then(|start| bytes.get(start..)).ok_or_else(|| format!("block {number} of a blosc chunk lies outside of it"))?;
        let own = block.min(left);
        let whole = own == block;
        let split = flags & 0x10 == 0 && whole && size <= 16 && block / size >= 128 && block.is_multiple_of(size);
        let plain = streams_of(streams, own, if split { size } else { 1 }, flags >> 5, limits)?;
        // Blocks are appended as they come out, so that memory grows with what is there.
        match flags {
            flags if flags & 1 != 0 && size > 1 => out.extend(unshuffled(&plain, size)),
            flags if flags & 4 != 0 && own >= size => out.extend(bits_unshuffled(&plain, size)),
            _ => out.extend_from_slice(&plain),
        }
        left -= own;
    }
    Ok(out)
}

/// The streams of a block, one after the other.
fn streams_of(mut bytes: &[u8], length: usize, count: usize, format: u8, limits: &Limits) -> Result<Vec<u8>, String> {
    let each = length / count;
    let mut out = Vec::with_capacity(length.min(bytes.len().saturating_mul(256)));
    for _ in 0..count {
        let stored = u32_at(bytes, 0).and_then(|stored| bytes.get(4..)?.get(..stored));
        let stream = stored.ok_or("a stream of a blosc block is cut short")?;
        let before = out.len();
        if stream.len() == each {
            out.extend_from_slice(stream);
        } else {
            match format {
                0 => blosclz(stream, each, &mut out)?,
                1 => out.extend(lz4(stream, each as u64, each as u64)?),
                3 => out.extend(inflate_likely(Wrapping::Zlib, stream, each as u64, limits, &mut Budget::new(each as u64))?),
                4 => out.extend(zstd(stream, each as u64)?),
                2 => out.extend(snappy(stream, each as u64)?),
                other => return Err(format!("blosc's compressor {other} is not known")),
            }
        }
        if out.len() - before != each {
            return Err(format!("a stream of a blosc block holds {} bytes, not {each}", out.len() - before));
        }
        bytes = bytes.get(4 + stream.len()..).unwrap_or_default();
    }
    Ok(out)
}

/// Blosclz: runs of literals, and matches of a length and a distance; the codes are those of FastLZ, level 2.
fn blosclz(bytes: &[u8], length: usize, out: &mut Vec<u8>) -> Result<(), String> {
    /// Distances from here on stand in two more bytes.
    const FAR: usize = 8191;
    let cut = || "blosclz data are cut short".to_owned();
    let start = out.len();
    let end = start.saturating_add(length);
    let mut input = bytes.iter().copied();
    let mut control = input.next().ok_or_else(cut)? & 31;
    loop {
        if control < 32 {
            let count = usize::from(control) + 1;
            let before = out.len();
            out.extend(input.by_ref().take(count));
            if out.len() - before < count {
                return Err(cut());
            }
        } else {
            let mut count = usize::from(control >> 5) + 2;
            if control >> 5 == 7 {
                loop {
                    let more = input.next().ok_or_else(cut)?;
                    count += usize::from(more);
                    if more != 255 {
                        break;
                    }
                }
            }
            let low = input.next().ok_or_else(cut)?;
            let mut distance = (usize::from(control & 31) << 8) + usize::from(low);
            if distance == FAR {
                let (high, low) = (input.next().ok_or_else(cut)?, input.next().ok_or_else(cut)?);
                distance = FAR + (usize::from(high) << 8) + usize::from(low);
            }
            let distance = distance + 1;
            if out.len() - start < distance {
                return Err("a match of blosclz reaches before the start".into());
            }
            if out.len() + count > end {
                return Err(format!("blosclz data hold more than the {length} bytes of a stream"));
            }
            let mut left = count;
            while left > 0 {
                // What was copied may be copied again: the source grows with the copy.
                let from = out.len() - distance;
                let now = left.min(distance);
                out.extend_from_within(from..from + now);
                left -= now;
            }
        }
        if out.len() > end {
            return Err(format!("blosclz data hold more than the {length} bytes of a stream"));
        }
        match input.next() {
            Some(next) => control = next,
            None => return Ok(()),
        }
    }
}
