//! Texts of any length: global heap collections (specification, "III.E. Disk Format: Level 1E - Global Heap").

use super::sink::Sink;
use super::{bad, too_large};
use neuroflow_data::formats::FormatError;
use std::io::{Seek, Write};

/// The collection that takes texts now. Its room in the file is taken when it begins, so that texts have addresses before it is written.
#[derive(Debug, Default)]
pub(super) struct Heap {
    address: u64,
    bytes: Vec<u8>,
    capacity: usize,
    objects: u16,
    /// Bytes of the next collection: small files have small heaps.
    next: usize,
}

const HEADER: usize = 16;
const LEAST: usize = 1 << 12;
const MOST: usize = 1 << 16;

impl Heap {
    /// Keeps a text, and gives the 16 bytes that stand for it in a dataset: its length, the collection's address, its number there.
    pub(super) fn keep<W: Write + Seek>(&mut self, text: &str, path: &str, sink: &mut Sink<W>) -> Result<[u8; 16], FormatError> {
        let mut element = [0u8; 16];
        if text.is_empty() {
            return Ok(element);
        }
        if text.contains('\0') {
            return Err(bad(path, "a text has a zero byte in it, and HDF5 texts end there", "take the zero byte out of the text"));
        }
        let length = u32::try_from(text.len()).map_err(|_| too_large(path))?;
        let needed = HEADER + text.len().next_multiple_of(8);
        if self.bytes.len() + needed > self.capacity || self.objects == u16::MAX {
            self.close(sink)?;
            self.next = (self.next * 2).clamp(LEAST, MOST);
            self.capacity = self.next.max(HEADER + needed);
            self.address = sink.reserve(path, self.capacity as u64)?;
            self.objects = 0;
            self.bytes.extend(b"GCOL\x01\0\0\0");
            self.bytes.extend((self.capacity as u64).to_le_bytes());
        }
        self.objects += 1;
        // Its number, one reference to it, four bytes for nothing, and its length.
        self.bytes.extend(self.objects.to_le_bytes());
        self.bytes.extend([1, 0, 0, 0, 0, 0]);
        self.bytes.extend(u64::from(length).to_le_bytes());
        self.bytes.extend(text.as_bytes());
        self.bytes.resize(self.bytes.len().next_multiple_of(8), 0);
        let parts = length.to_le_bytes().into_iter().chain(self.address.to_le_bytes()).chain(u32::from(self.objects).to_le_bytes());
        element.iter_mut().zip(parts).for_each(|(place, byte)| *place = byte);
        Ok(element)
    }

    /// Writes the collection that is open.
    pub(super) fn close<W: Write + Seek>(&mut self, sink: &mut Sink<W>) -> Result<(), FormatError> {
        if self.bytes.is_empty() {
            return Ok(());
        }
        let free = self.capacity.saturating_sub(self.bytes.len());
        if free >= HEADER {
            // Object 0 is what is free, its own header counted.
            self.bytes.extend([0; 8]);
            self.bytes.extend((free as u64).to_le_bytes());
        }
        self.bytes.resize(self.capacity, 0);
        sink.write(self.address, &self.bytes)?;
        self.bytes.clear();
        self.capacity = 0;
        Ok(())
    }
}
