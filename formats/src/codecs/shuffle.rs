//! Bytes and bits of values that were put together by their rank, and the container of bitshuffle.

use super::{lz4, zstd};

/// Bytes of equal rank together become elements again.
pub(crate) fn unshuffled(bytes: &[u8], size: usize) -> Vec<u8> {
    let count = bytes.len() / size;
    let mut out = vec![0u8; bytes.len()];
    let (elements, rest) = out.split_at_mut(count * size);
    if let Some(tail) = bytes.get(count * size..) {
        rest.copy_from_slice(tail);
    }
    let planes: Vec<&[u8]> = if count > 0 { bytes.chunks_exact(count).take(size).collect() } else { Vec::new() };
    match planes.as_slice() {
        [a, b] => gather(elements, [a, b]),
        [a, b, c, d] => gather(elements, [a, b, c, d]),
        [a, b, c, d, e, f, g, h] => gather(elements, [a, b, c, d, e, f, g, h]),
        planes => {
            for (rank, plane) in planes.iter().enumerate() {
                for (element, byte) in elements.chunks_exact_mut(size).zip(plane.iter()) {
                    if let Some(slot) = element.get_mut(rank) {
                        *slot = *byte;
                    }
                }
            }
        }
    }
    out
}

/// The usual sizes with their number of planes known, so that the inner loop has no branches.
fn gather<const N: usize>(elements: &mut [u8], planes: [&[u8]; N]) {
    // Blocks small enough for the first cache, plane by plane.
    const BLOCK: usize = 1024;
    for (number, block) in elements.chunks_mut(BLOCK * N).enumerate() {
        let start = number * BLOCK;
        for (rank, plane) in planes.iter().enumerate() {
            let own = plane.get(start..).unwrap_or_default();
            for (slot, byte) in block.iter_mut().skip(rank).step_by(N).zip(own) {
                *slot = *byte;
            }
        }
    }
}

/// Values out of planes of bits: the first bits of all values, eight values a byte, then the second bits, and so on.
///
/// Blocks whose values are no multiple of eight were left as they are.
pub(super) fn bits_unshuffled(bytes: &[u8], size: usize) -> Vec<u8> {
    let count = bytes.len() / size;
    if !count.is_multiple_of(8) || count == 0 {
        return bytes.to_vec();
    }
    let (planes, rest) = bytes.split_at(count * size);
    let row = count / 8;
    let mut out = vec![0u8; count * size];
    let rows: Vec<&[u8]> = planes.chunks_exact(row).collect();
    for (byte, rows) in rows.chunks_exact(8).enumerate() {
        for eight in 0..row {
            let mut bits = [0u8; 8];
            for (own, row) in bits.iter_mut().zip(rows) {
                *own = row.get(eight).copied().unwrap_or_default();
            }
            let turned = transposed(u64::from_le_bytes(bits)).to_le_bytes();
            for (value, own) in turned.iter().enumerate() {
                if let Some(place) = out.get_mut((eight * 8 + value) * size + byte) {
                    *place = *own;
                }
            }
        }
    }
    out.extend_from_slice(rest);
    out
}

/// An 8 × 8 matrix of bits, turned about its diagonal, in three exchanges.
fn transposed(bits: u64) -> u64 {
    let swap = |bits: u64, mask: u64, by: u32| {
        let moved = (bits ^ (bits >> by)) & mask;
        bits ^ moved ^ (moved << by)
    };
    swap(swap(swap(bits, 0x00aa_00aa_00aa_00aa, 7), 0x0000_cccc_0000_cccc, 14), 0x0000_0000_f0f0_f0f0, 28)
}

/// How blocks of bitshuffle are compressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Packer {
    Lz4,
    Zstd,
}

/// Elements that bitshuffle takes at once: what the file says, or as many as fit into 8 KiB.
fn elements_of(block: usize, size: usize) -> usize {
    match block {
        0 => (8192 / size / 8 * 8).max(128),
        block => block,
    }
}

/// Undoes bitshuffle on blocks of `block` elements of `size` bytes (0: its own choice). The last block is the largest multiple of eight elements that is left;
/// what is less stands as it was.
pub(crate) fn bitshuffle_undone(bytes: &[u8], size: usize, block: usize) -> Result<Vec<u8>, String> {
    let block = elements_of(block, size);
    if !block.is_multiple_of(8) {
        return Err(format!("bitshuffle has blocks of {block} elements, which is no multiple of 8"));
    }
    let mut out = Vec::with_capacity(bytes.len());
    let mut left = bytes;
    while left.len() / size >= 8 {
        let own = (left.len() / size).min(block) / 8 * 8 * size;
        let (now, rest) = left.split_at(own);
        out.extend(bits_unshuffled(now, size));
        left = rest;
    }
    out.extend_from_slice(left);
    Ok(out)
}

/// As [`bitshuffle_undone`], where each block of `block` bytes stands compressed behind its length (four bytes, the greatest first). Gives `whole` bytes.
pub(crate) fn bitshuffle_unpacked(mut bytes: &[u8], size: usize, block: u64, whole: u64, packer: Packer) -> Result<Vec<u8>, String> {
    let cut = || "a chunk of bitshuffle ends too early".to_owned();
    let block = elements_of(usize::try_from(block).unwrap_or(usize::MAX) / size, size);
    if !block.is_multiple_of(8) {
        return Err(format!("bitshuffle has blocks of {block} elements, which is no multiple of 8"));
    }
    let whole = usize::try_from(whole).map_err(|_| cut())?;
    let mut out = Vec::new();
    while (whole - out.len()) / size >= 8 {
        let own = ((whole - out.len()) / size).min(block) / 8 * 8 * size;
        let (length, rest) = bytes.split_first_chunk::<4>().ok_or_else(cut)?;
        let (packed, rest) = rest.split_at_checked(u32::from_be_bytes(*length) as usize).ok_or_else(cut)?;
        let plain = match packer {
            Packer::Lz4 => lz4(packed, own as u64, own as u64)?,
            Packer::Zstd => zstd(packed, own as u64)?,
        };
        if plain.len() != own {
            return Err(format!("a block of bitshuffle holds {} bytes, not {own}", plain.len()));
        }
        out.extend(bits_unshuffled(&plain, size));
        bytes = rest;
    }
    let left = whole - out.len();
    out.extend_from_slice(bytes.get(..left).ok_or_else(cut)?);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shuffling_is_undone_for_every_size() {
        for size in [2usize, 3, 4, 8, 16] {
            let plain: Vec<u8> = (0..size * 1500 + 1).map(|value| (value * 7 % 251) as u8).collect();
            let count = plain.len() / size;
            let mut mixed: Vec<u8> =
                (0..size).flat_map(|rank| (0..count).map(move |own| (own, rank))).map(|(own, rank)| plain[own * size + rank]).collect();
            mixed.extend(&plain[count * size..]);
            assert_eq!(unshuffled(&mixed, size), plain, "{size}");
        }
    }

    /// The way there, bit by bit.
    fn bits_shuffled(plain: &[u8], size: usize) -> Vec<u8> {
        let count = plain.len() / size;
        let mut out = vec![0u8; plain.len()];
        for bit in 0..size * 8 {
            for element in 0..count {
                let set = plain[element * size + bit / 8] >> (bit % 8) & 1;
                out[bit * count / 8 + element / 8] |= set << (element % 8);
            }
        }
        out
    }

    #[test]
    fn bits_are_put_back_in_blocks_of_any_size() {
        for size in [1usize, 2, 4, 8, 3] {
            for count in [8usize, 128, 131, 1000, 5003] {
                let plain: Vec<u8> = (0..size * count).map(|value| (value * value % 251) as u8).collect();
                for block in [64, 0] {
                    let (own, mut mixed) = (elements_of(block, size) * size, Vec::new());
                    for part in plain.chunks(own) {
                        let (even, rest) = part.split_at(part.len() / size / 8 * 8 * size);
                        mixed.extend(bits_shuffled(even, size));
                        mixed.extend(rest);
                    }
                    assert_eq!(bitshuffle_undone(&mixed, size, block).unwrap(), plain, "{size} {count} {block}");
                }
            }
        }
        assert!(bitshuffle_undone(&[0; 64], 2, 12).unwrap_err().contains("no multiple of 8"));
        assert!(bitshuffle_unpacked(&[0, 0, 0, 9, 1], 2, 0, 64, Packer::Lz4).unwrap_err().contains("too early"));
    }
}
