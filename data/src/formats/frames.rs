//! How much a frame of LZ4 or Zstandard can hold, told from the heads of its blocks. Nothing is unpacked, and no length that the frame states is believed.
//!
//! The layouts are those of "LZ4 Frame Format Description" 1.6 and RFC 8878.

use super::bytes::{ByteOrder, number_at};

/// The most that a block of Zstandard unfolds to.
const ZSTD_BLOCK: u64 = 128 << 10;

/// The most bytes that a frame can hold, and how much less it may be: its last block need not be full.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Most {
    pub bytes: u64,
    pub block: u64,
}

/// Bytes as a number, little-endian.
fn number(bytes: &[u8]) -> u64 {
    bytes.iter().rev().fold(0, |number, byte| number << 8 | u64::from(*byte))
}

/// What one whole LZ4 frame can hold; none for anything else.
pub(super) fn lz4(frame: &[u8]) -> Option<Most> {
    if number_at::<u32>(frame, 0, ByteOrder::Little) != Some(0x184d_2204) {
        return None;
    }
    let (flags, sizes) = (*frame.get(4)?, *frame.get(5)?);
    let has = |bit: u8| usize::from(flags >> bit & 1);
    let block = match sizes >> 4 & 7 {
        4 => 64 << 10,
        5 => 256 << 10,
        6 => 1 << 20,
        7 => 4 << 20,
        _ => return None,
    };
    // Flags, sizes, the length and the number of a dictionary where they are, a checksum.
    let mut at = 4 + 2 + 8 * has(3) + 4 * has(0) + 1;
    let mut bytes = 0u64;
    loop {
        let head = number_at::<u32>(frame, at, ByteOrder::Little)?;
        at += 4;
        if head == 0 {
            return (at + 4 * has(2) == frame.len()).then_some(Most { bytes, block });
        }
        let length = usize::try_from(head & 0x7fff_ffff).ok()?;
        let plain = head >> 31 == 1;
        at = at.checked_add(length)?.checked_add(4 * has(4)).filter(|at| *at <= frame.len())?;
        // A byte of a block stands for 255 at most.
        bytes = bytes.saturating_add(if plain { length as u64 } else { block.min(255 * length as u64) });
    }
}

/// What one whole frame of Zstandard can hold; none for anything else.
pub(super) fn zstd(frame: &[u8]) -> Option<Most> {
    if number_at::<u32>(frame, 0, ByteOrder::Little) != Some(0xfd2f_b528) {
        return None;
    }
    let flags = *frame.get(4)?;
    let (single, checksum) = (flags >> 5 & 1 == 1, flags >> 2 & 1 == 1);
    let dictionary = [0, 1, 2, 4].get(usize::from(flags & 3)).copied()?;
    let stated = [usize::from(single), 2, 4, 8].get(usize::from(flags >> 6)).copied()?;
    let mut at = 4 + 1 + usize::from(!single) + dictionary + stated;
    let mut bytes = 0u64;
    loop {
        let head = number(frame.get(at..at.checked_add(3)?)?);
        at += 3;
        let size = head >> 3;
        let (taken, held) = match head >> 1 & 3 {
            0 => (size, size),
            1 => (1, size),
            2 => (size, ZSTD_BLOCK),
            _ => return None,
        };
        at = at.checked_add(usize::try_from(taken).ok()?).filter(|at| *at <= frame.len())?;
        bytes = bytes.saturating_add(held.min(ZSTD_BLOCK));
        if head & 1 == 1 {
            return (at + 4 * usize::from(checksum) == frame.len()).then_some(Most { bytes, block: ZSTD_BLOCK });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_say_what_a_lz4_frame_holds() {
        // Two blocks of at most 64 KiB: one packed, of 2 bytes, and one plain, of 3.
        let frame = [0x04, 0x22, 0x4d, 0x18, 0x60, 0x40, 0x82, 2, 0, 0, 0, 9, 9, 3, 0, 0, 0x80, 1, 2, 3, 0, 0, 0, 0];
        assert_eq!(lz4(&frame), Some(Most { bytes: 513, block: 64 << 10 }));
        for end in 0..frame.len() {
            assert_eq!(lz4(&frame[..end]), None, "{end}");
        }
        assert_eq!(lz4(&[&frame[..], &[0]].concat()), None, "something comes after it");
        let mut long = frame;
        long[7..11].copy_from_slice(&0x7fff_ffffu32.to_le_bytes());
        assert_eq!(lz4(&long), None);
    }

    #[test]
    fn blocks_say_what_a_frame_of_zstandard_holds() {
        // A single segment of a stated size: a run, a plain block of 2 bytes, and a last packed one of 1.
        let block = |last: u32, kind: u32, size: u32| (last | kind << 1 | size << 3).to_le_bytes()[..3].to_vec();
        let frame =
            [vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 99], block(0, 1, 1000), vec![7], block(0, 0, 2), vec![1, 2], block(1, 2, 1), vec![0]]
                .concat();
        assert_eq!(zstd(&frame), Some(Most { bytes: 1002 + ZSTD_BLOCK, block: ZSTD_BLOCK }));
        for end in 0..frame.len() {
            assert_eq!(zstd(&frame[..end]), None, "{end}");
        }
        let run = [vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 99], block(1, 1, (1 << 21) - 1), vec![7]].concat();
        assert_eq!(zstd(&run).map(|most| most.bytes), Some(ZSTD_BLOCK));
    }
}
