//! A file as the decoder sees it.

use crate::source::Source;
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};

/// A file that can be sought in; small reads are served from one block.
pub(super) struct Cursor<'s> {
    source: &'s dyn Source,
    /// What stands at some places for the decoder, in place of what the file has there.
    instead: &'s BTreeMap<u64, [u8; 2]>,
    at: u64,
    block: (u64, Vec<u8>),
}

impl<'s> Cursor<'s> {
    /// A cursor at the file's begin.
    pub fn new(source: &'s dyn Source, instead: &'s BTreeMap<u64, [u8; 2]>) -> Cursor<'s> {
        Cursor { source, instead, at: 0, block: (0, Vec::new()) }
    }
}

impl Read for Cursor<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        const BLOCK: u64 = 1 << 16;
        let left = self.source.len().saturating_sub(self.at);
        let count = left.min(into.len() as u64);
        if count == 0 {
            return Ok(0);
        }
        if self.source.whole().is_none() && count < BLOCK {
            let inside = self.at.checked_sub(self.block.0).filter(|start| start + count <= self.block.1.len() as u64);
            let start = match inside {
                Some(start) => start,
                None => {
                    let end = self.at.saturating_add(BLOCK).min(self.source.len());
                    self.block = (self.at, self.source.bytes(self.at..end)?.into_owned());
                    0
                }
            };
            let from = self.block.1.get(start as usize..(start + count) as usize).ok_or(io::ErrorKind::UnexpectedEof)?;
            into.get_mut(..count as usize).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(from);
        } else {
            let from = self.source.bytes(self.at..self.at + count)?;
            into.get_mut(..count as usize).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(&from);
        }
        for (place, own) in self.instead.range(self.at.saturating_sub(1)..self.at + count) {
            for (byte, at) in own.iter().zip(*place..) {
                let within = at.checked_sub(self.at).and_then(|within| into.get_mut(..count as usize)?.get_mut(within as usize));
                if let Some(within) = within {
                    *within = *byte;
                }
            }
        }
        self.at += count;
        Ok(count as usize)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.source.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}
