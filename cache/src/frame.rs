//! Frames: what segments are made of.
//!
//! A frame is a header of 64 bytes and a payload, filled up with zeros to a multiple of eight bytes:
//!
//! | bytes | what |
//! |---|---|
//! | 0..4 | `NFR2` |
//! | 4 | the kind |
//! | 5..8 | zeros |
//! | 8..12 | the payload's length |
//! | 12..16 | the length of a record's tail |
//! | 16..24 | where the tail's frame begins in the cold file |
//! | 24..56 | the key |
//! | 56..64 | the first eight bytes of the BLAKE3 of the header so far and the payload |
//!
//! Whoever reads a frame checks it; whoever scans a file only looks at headers. After a damaged header the next frame is looked for, so damage costs
//! what it hits and no more.

use crate::digest::Digest;

pub(crate) const HEADER: usize = 64;
const MAGIC: &[u8; 4] = b"NFR2";
/// Nothing that is put into a frame is larger.
const MOST_PAYLOAD: usize = 1 << 28;

/// What a frame holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// The answer to a key, less its tail. In hot files.
    Record = 1,
    /// A small object. In cold files.
    Object = 2,
    /// The tail of a record. In cold files.
    Tail = 3,
    /// Up to where the hot file, and all that its records name, was on the disk at some time. In hot files.
    Synced = 5,
    /// Who writes this segment, and since which start of the machine. The first in a hot file.
    Begin = 6,
    /// The digest of a run's record. In hot files.
    Run = 7,
}

impl Kind {
    fn of(byte: u8) -> Option<Kind> {
        let all = [Kind::Record, Kind::Object, Kind::Tail, Kind::Synced, Kind::Begin, Kind::Run];
        all.into_iter().find(|kind| *kind as u8 == byte)
    }
}

/// A header whose lengths fit the bytes that are there. Not checked against the payload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Header {
    pub(crate) kind: Kind,
    pub(crate) key: Digest,
    pub(crate) payload: usize,
    pub(crate) tail: usize,
    pub(crate) tail_at: u64,
}

impl Header {
    /// The whole frame's length.
    pub(crate) fn total(&self) -> usize {
        (HEADER + self.payload).next_multiple_of(8)
    }
}

/// Appends a frame.
pub(crate) fn write(into: &mut Vec<u8>, kind: Kind, key: &Digest, tail: (usize, u64), payload: &[u8]) {
    let start = into.len();
    into.extend(MAGIC);
    into.extend([kind as u8, 0, 0, 0]);
    // Callers hold payloads below `MOST_PAYLOAD`; a longer one would be refused by every reader.
    into.extend(u32::try_from(payload.len()).unwrap_or(u32::MAX).to_le_bytes());
    into.extend(u32::try_from(tail.0).unwrap_or(u32::MAX).to_le_bytes());
    into.extend(tail.1.to_le_bytes());
    into.extend(key.as_bytes());
    let check = check(&into[start..], payload);
    into.extend(check);
    into.extend(payload);
    into.resize(start + (HEADER + payload.len()).next_multiple_of(8), 0);
}

/// Whether a payload may stand in a frame.
pub(crate) fn fits(payload: usize) -> bool {
    payload <= MOST_PAYLOAD
}

fn check(header: &[u8], payload: &[u8]) -> [u8; 8] {
    let mut hasher = blake3::Hasher::new();
    hasher.update(header);
    hasher.update(payload);
    let mut short = [0; 8];
    short.copy_from_slice(&hasher.finalize().as_bytes()[..8]);
    short
}

fn number<const N: usize>(bytes: &[u8], at: usize) -> [u8; N] {
    bytes.get(at..at + N).and_then(|bytes| bytes.try_into().ok()).unwrap_or([0; N])
}

/// The header at `at`, when a whole frame can stand there.
pub(crate) fn header(bytes: &[u8], at: usize) -> Option<Header> {
    let head = bytes.get(at..at.checked_add(HEADER)?)?;
    if &head[..4] != MAGIC {
        return None;
    }
    let header = Header {
        kind: Kind::of(head[4])?,
        payload: u32::from_le_bytes(number(head, 8)) as usize,
        tail: u32::from_le_bytes(number(head, 12)) as usize,
        tail_at: u64::from_le_bytes(number(head, 16)),
        key: Digest::from_bytes(number(head, 24)),
    };
    (fits(header.payload) && bytes.len() - at >= header.total()).then_some(header)
}

/// The frame at `at` with its payload, when it is what was written.
pub(crate) fn whole(bytes: &[u8], at: usize) -> Option<(Header, &[u8])> {
    let header = header(bytes, at)?;
    let frame = bytes.get(at..at + header.total())?;
    let payload = &frame[HEADER..HEADER + header.payload];
    let padded = frame[HEADER + header.payload..].iter().all(|byte| *byte == 0);
    (padded && check(&frame[..56], payload) == frame[56..64]).then_some((header, payload))
}

/// Looks at every frame from `from` on; gives where the last one ended, and how many bytes before that belong to none.
pub(crate) fn scan(bytes: &[u8], from: usize, mut each: impl FnMut(usize, Header)) -> (usize, usize) {
    let (mut at, mut end, mut lost) = (from, from, 0);
    while at + HEADER <= bytes.len() {
        match header(bytes, at) {
            Some(header) => {
                lost += at - end;
                each(at, header);
                at += header.total();
                end = at;
            }
            None => at += 8,
        }
    }
    (end, lost)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn file(payloads: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = Vec::new();
        for payload in payloads {
            write(&mut bytes, Kind::Object, &Digest::of(payload), (0, 0), payload);
        }
        bytes
    }

    fn found(bytes: &[u8]) -> Vec<Vec<u8>> {
        let mut found = Vec::new();
        scan(bytes, 0, |at, _| found.extend(whole(bytes, at).map(|(_, payload)| payload.to_vec())));
        found
    }

    proptest! {
        #[test]
        fn frames_read_back_and_damage_costs_what_it_hits(
            payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..100), 1..6), at in any::<prop::sample::Index>(), bit in 0..8u32,
        ) {
            let bytes = file(&payloads);
            prop_assert_eq!(&found(&bytes), &payloads);
            let mut damaged = bytes.clone();
            let at = at.index(bytes.len());
            damaged[at] ^= 1 << bit;
            let left = found(&damaged);
            // A flipped length may hide the frames behind it, but none before it.
            let mut end = 0;
            let before = payloads.iter().take_while(|payload| {
                end += (HEADER + payload.len()).next_multiple_of(8);
                end <= at
            });
            let before: Vec<Vec<u8>> = before.cloned().collect();
            prop_assert!(left.starts_with(&before) && left.len() < payloads.len(), "{} of {}", left.len(), payloads.len());
            prop_assert!(left.iter().all(|payload| payloads.contains(payload)));
        }

        #[test]
        fn any_bytes_are_scanned_without_harm(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            prop_assert!(found(&bytes).is_empty());
        }

        #[test]
        fn a_cut_file_gives_the_frames_before_the_cut(payloads in prop::collection::vec(prop::collection::vec(any::<u8>(), 0..60), 1..5), cut in any::<prop::sample::Index>()) {
            let bytes = file(&payloads);
            let cut = cut.index(bytes.len());
            let left = found(&bytes[..cut]);
            prop_assert_eq!(&left[..], &payloads[..left.len()]);
        }
    }
}
