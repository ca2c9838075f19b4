//! What each page says its values mean as colours. The decoder would turn them round where 0 is white, and refuses palettes; it is told that all are
//! grey, so that values are those in the file.

use crate::source::Source;
use std::collections::{BTreeMap, HashSet};

/// `PhotometricInterpretation`.
const MEANING: u16 = 262;
/// Tags stand in the order of their numbers, so the meaning is among the first.
const LOOKED_AT: u64 = 64;

/// What was found in the directories of a file.
#[derive(Debug, Default)]
pub(super) struct Directories {
    /// Where a page says that its values are positions in a palette, or turned round: there the decoder is to read that they are grey.
    pub instead: BTreeMap<u64, [u8; 2]>,
    /// What to say about it.
    pub notes: Vec<&'static str>,
}

/// Numbers of the file in its byte order, by their places.
struct Numbers<'s> {
    source: &'s dyn Source,
    big_end: bool,
    /// BigTIFF, where places have eight bytes.
    wide: bool,
}

impl Numbers<'_> {
    fn at(&self, place: u64, bytes: u64) -> Option<u64> {
        let end = place.checked_add(bytes).filter(|end| *end <= self.source.len())?;
        let own = self.source.bytes(place..end).ok()?;
        let add = |number: u64, byte: &u8| number << 8 | u64::from(*byte);
        Some(if self.big_end { own.iter().fold(0, add) } else { own.iter().rev().fold(0, add) })
    }

    /// The place of the value of a page's meaning, with the value; and where the next page begins.
    fn page(&self, start: u64) -> Option<(Option<(u64, u64)>, u64)> {
        let (counted, entry, place) = if self.wide { (8, 20, 8) } else { (2, 12, 4) };
        let count = self.at(start, counted)?;
        let first = start.checked_add(counted)?;
        let mut meaning = None;
        for number in 0..count.min(LOOKED_AT) {
            let at = first.checked_add(number * entry)?;
            let tag = self.at(at, 2)?;
            if tag >= u64::from(MEANING) {
                let width = if self.at(at + 2, 2)? == 4 { 4 } else { 2 };
                // One value stands in the entry itself, from its first byte on.
                let value = at + entry - place;
                let low = if self.big_end { value + width - 2 } else { value };
                meaning = (tag == u64::from(MEANING)).then_some((low, self.at(low, 2)?));
                break;
            }
        }
        let next = self.at(count.checked_mul(entry)?.checked_add(first)?, place)?;
        Some((meaning, next))
    }
}

impl Directories {
    /// Looks at every page; what can't be followed is left to the decoder.
    pub fn read(source: &dyn Source) -> Directories {
        let mut found = Directories::default();
        let Ok(head) = source.bytes(0..source.len().min(8)) else { return found };
        let (big_end, wide) = match head.get(..4) {
            Some(b"II*\0") => (false, false),
            Some(b"MM\0*") => (true, false),
            Some(b"II+\0") => (false, true),
            Some(b"MM\0+") => (true, true),
            _ => return found,
        };
        let numbers = Numbers { source, big_end, wide };
        let mut next = if wide { numbers.at(8, 8) } else { numbers.at(4, 4) };
        let mut seen = HashSet::new();
        while let Some(start) = next.filter(|start| *start != 0 && seen.insert(*start)) {
            let Some((meaning, after)) = numbers.page(start) else { break };
            next = Some(after);
            let Some((place, value)) = meaning else { continue };
            let note = match value {
                0 => "0 is white here; values are given as they stand in the file",
                3 => "positions in a palette are given, not its colours",
                4 => "this is a mask; values are given as they stand in the file",
                _ => continue,
            };
            if !found.notes.contains(&note) {
                found.notes.push(note);
            }
            found.instead.insert(place, if big_end { [0, 1] } else { [1, 0] });
        }
        found
    }
}
