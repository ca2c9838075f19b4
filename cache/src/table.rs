//! The index of a segment: a hash table in a file, used as it lies there.
//!
//! | bytes | what |
//! |---|---|
//! | 0..8 | `NFTABLE2` |
//! | 8..16 | the number of places |
//! | 16..24 | the number of entries |
//! | 24..32, 32..40 | the lengths of the hot and the cold file that it covers |
//! | 40..48 | a stamp of the hot file |
//! | 48..64 | zeros |
//! | 64.. | the places: 16 bytes each, the first eight bytes of a key and a [`Spot`]; zeros where nothing is |
//! | the last 32 | the BLAKE3 of everything before |
//!
//! A key stands at the place that its first bytes name, or at the next free one. The table only says where to look: the frame there holds the whole key
//! and a checksum, so a wrong table can hide an answer and can't give a wrong one.

use crate::digest::Digest;
use crate::frame::Kind;
use arrow::buffer::Buffer;

const MAGIC: &[u8; 8] = b"NFTABLE2";
const HEADER: usize = 64;
const ENTRY: usize = 16;
const CHECK: usize = 32;

/// Where a frame is, what it is, and for an object how large: packed into eight bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Spot(u64);

impl Spot {
    /// Frames begin at multiples of eight bytes, below 8 TiB. An object in a frame is smaller than 64 KiB.
    pub(crate) fn new(kind: Kind, at: usize, size: usize) -> Option<Spot> {
        let eighth = (at / 8) as u64;
        (eighth < 1 << 40 && size < 1 << 16).then_some(Spot(eighth | (size as u64) << 40 | (kind as u64) << 56))
    }

    pub(crate) fn at(self) -> usize {
        ((self.0 & ((1 << 40) - 1)) * 8) as usize
    }

    pub(crate) fn size(self) -> u64 {
        (self.0 >> 40) & 0xffff
    }

    pub(crate) fn is(self, kind: Kind) -> bool {
        self.0 >> 56 == kind as u64
    }
}

/// What a table covers; it is stale when this is not what is there.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Covered {
    pub(crate) hot: u64,
    pub(crate) cold: u64,
    pub(crate) stamp: u64,
}

impl Covered {
    /// What a table of these files covers.
    pub(crate) fn of(hot: &[u8], cold: u64) -> Covered {
        Covered { hot: hot.len() as u64, cold, stamp: stamp(hot) }
    }
}

/// Tells a file from another of the same length: the digest of its beginning and its end.
pub(crate) fn stamp(hot: &[u8]) -> u64 {
    let ends = hot.len().min(256);
    Digest::of(&[&hot[..ends], &hot[hot.len() - ends..]].concat()).prefix()
}

/// The table's file.
pub(crate) fn write(entries: &[(u64, Spot)], covered: Covered) -> Vec<u8> {
    let places = (entries.len() + entries.len() / 2 + 1).max(8);
    let mut bytes = vec![0; HEADER + places * ENTRY];
    bytes[..8].copy_from_slice(MAGIC);
    for (at, value) in [(8, places as u64), (16, entries.len() as u64), (24, covered.hot), (32, covered.cold), (40, covered.stamp)] {
        bytes[at..at + 8].copy_from_slice(&value.to_le_bytes());
    }
    for (prefix, spot) in entries {
        let mut place = place_of(*prefix, places);
        while word(&bytes, HEADER + place * ENTRY + 8) != 0 {
            place = (place + 1) % places;
        }
        let at = HEADER + place * ENTRY;
        bytes[at..at + 8].copy_from_slice(&prefix.to_le_bytes());
        bytes[at + 8..at + 16].copy_from_slice(&spot.0.to_le_bytes());
    }
    let check = Digest::of_many(&bytes);
    bytes.extend(check.as_bytes());
    bytes
}

/// Spreads prefixes over the places, without a division.
fn place_of(prefix: u64, places: usize) -> usize {
    ((u128::from(prefix) * places as u128) >> 64) as usize
}

fn word(bytes: &[u8], at: usize) -> u64 {
    bytes.get(at..at + 8).and_then(|bytes| bytes.try_into().ok()).map_or(0, u64::from_le_bytes)
}

/// A table that was read and found whole.
pub(crate) struct Table {
    bytes: Buffer,
    places: usize,
    covered: Covered,
    entries: usize,
}

impl Table {
    /// Reads a table; none when it is not one, or damaged.
    pub(crate) fn read(bytes: Buffer) -> Option<Table> {
        let all = bytes.as_slice();
        let body = all.len().checked_sub(CHECK).filter(|body| *body >= HEADER)?;
        if &all[..8] != MAGIC || Digest::of_many(&all[..body]).as_bytes() != &all[body..] {
            return None;
        }
        let places = usize::try_from(word(all, 8)).ok()?;
        let entries = usize::try_from(word(all, 16)).ok()?;
        if places == 0 || entries >= places || places.checked_mul(ENTRY)? != body - HEADER {
            return None;
        }
        let covered = Covered { hot: word(all, 24), cold: word(all, 32), stamp: word(all, 40) };
        Some(Table { places, covered, entries, bytes })
    }

    pub(crate) fn covered(&self) -> Covered {
        self.covered
    }

    pub(crate) fn entries(&self) -> usize {
        self.entries
    }

    /// The frames of a kind that may be those of a key.
    pub(crate) fn find(&self, prefix: u64, kind: Kind) -> impl Iterator<Item = Spot> + '_ {
        let first = place_of(prefix, self.places);
        let entry = move |step: usize| {
            let at = HEADER + (first + step) % self.places * ENTRY;
            let bytes = self.bytes.as_slice();
            (word(bytes, at), Spot(word(bytes, at + 8)))
        };
        let filled = (0..self.places).map(entry).take_while(|(_, spot)| spot.0 != 0);
        filled.filter(move |(found, spot)| *found == prefix && spot.is(kind)).map(|(_, spot)| spot)
    }

    /// All entries.
    pub(crate) fn all(&self) -> impl Iterator<Item = (u64, Spot)> + '_ {
        let bytes = self.bytes.as_slice();
        (0..self.places)
            .map(move |place| (word(bytes, HEADER + place * ENTRY), Spot(word(bytes, HEADER + place * ENTRY + 8))))
            .filter(|(_, spot)| spot.0 != 0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    const COVERED: Covered = Covered { hot: 1, cold: 2, stamp: 3 };

    proptest! {
        #[test]
        fn what_was_put_in_is_found_and_damage_is_noticed(
            prefixes in prop::collection::vec(any::<u64>(), 0..200), at in any::<prop::sample::Index>(), bit in 0..8u32,
        ) {
            let entries: Vec<(u64, Spot)> =
                prefixes.iter().enumerate().map(|(n, prefix)| (*prefix, Spot::new(Kind::Object, n * 8, n).unwrap())).collect();
            let mut bytes = write(&entries, COVERED);
            let table = Table::read(Buffer::from(bytes.as_slice())).unwrap();
            prop_assert_eq!(table.covered(), COVERED);
            prop_assert_eq!(table.all().count(), entries.len());
            for (prefix, spot) in &entries {
                prop_assert!(table.find(*prefix, Kind::Object).any(|found| found == *spot && found.at() / 8 == found.size() as usize));
                prop_assert!(table.find(*prefix, Kind::Record).next().is_none());
            }
            let at = at.index(bytes.len());
            bytes[at] ^= 1 << bit;
            prop_assert!(Table::read(Buffer::from(bytes.as_slice())).is_none());
        }
    }

    #[test]
    fn keys_that_begin_alike_stand_beside_each_other() {
        let entries: Vec<(u64, Spot)> = (0..50).map(|n| (u64::MAX, Spot::new(Kind::Record, n * 8, 0).unwrap())).collect();
        let table = Table::read(Buffer::from(write(&entries, COVERED).as_slice())).unwrap();
        assert_eq!(table.find(u64::MAX, Kind::Record).count(), 50);
        assert!(Spot::new(Kind::Object, 0, 1 << 16).is_none());
    }
}
