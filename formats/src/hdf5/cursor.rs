//! Reading along bytes of the file, knowing where in the file they stand.

use super::file::bad;
use neuroflow_data::formats::FormatError;

/// A place in some bytes of the file. All numbers are little-endian, as everywhere in HDF5's own structures.
#[derive(Debug, Clone)]
pub(super) struct Cursor<'b> {
    bytes: &'b [u8],
    at: usize,
    start: u64,
}

impl<'b> Cursor<'b> {
    /// A cursor at the begin of `bytes`, which stand at `start` in the file.
    pub fn new(bytes: &'b [u8], start: u64) -> Cursor<'b> {
        Cursor { bytes, at: 0, start }
    }

    /// The byte of the file at which the cursor stands.
    pub fn here(&self) -> u64 {
        self.start.saturating_add(self.at as u64)
    }

    /// The number of bytes that are left.
    pub fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.at)
    }

    /// What is left, without moving.
    pub fn rest(&self) -> &'b [u8] {
        self.bytes.get(self.at..).unwrap_or_default()
    }

    /// The next `count` bytes.
    pub fn take(&mut self, count: usize) -> Result<&'b [u8], FormatError> {
        let end = self.at.checked_add(count).filter(|end| *end <= self.bytes.len());
        let taken = end.and_then(|end| self.bytes.get(self.at..end));
        match (taken, end) {
            (Some(taken), Some(end)) => {
                self.at = end;
                Ok(taken)
            }
            _ => Err(bad(self.here(), format!("{count} more bytes are needed here, the structure has {}", self.left()))),
        }
    }

    /// Passes over `count` bytes.
    pub fn skip(&mut self, count: usize) -> Result<(), FormatError> {
        self.take(count).map(|_| ())
    }

    /// An unsigned number of `size` bytes, at most eight.
    pub fn uint(&mut self, size: usize) -> Result<u64, FormatError> {
        let bytes = self.take(size)?;
        Ok(bytes.iter().rev().take(8).fold(0u64, |number, &byte| (number << 8) | u64::from(byte)))
    }

    pub fn u8(&mut self) -> Result<u8, FormatError> {
        self.uint(1).map(|number| number as u8)
    }

    pub fn u16(&mut self) -> Result<u16, FormatError> {
        self.uint(2).map(|number| number as u16)
    }

    pub fn u32(&mut self) -> Result<u32, FormatError> {
        self.uint(4).map(|number| number as u32)
    }

    /// An address of `size` bytes; `None` when it is the undefined one, all bits set.
    pub fn address(&mut self, size: usize) -> Result<Option<u64>, FormatError> {
        let number = self.uint(size)?;
        let undefined = if size >= 8 { u64::MAX } else { (1u64 << (8 * size)) - 1 };
        Ok((number != undefined).then_some(number))
    }

    /// A name that ends with a zero byte, which is passed over; with `padded`, up to a multiple of eight bytes.
    pub fn name(&mut self, padded: bool) -> Result<String, FormatError> {
        let rest = self.rest();
        let Some(length) = rest.iter().position(|byte| *byte == 0) else {
            return Err(bad(self.here(), "a name has no end"));
        };
        let name = String::from_utf8_lossy(rest.get(..length).unwrap_or_default()).into_owned();
        let whole = if padded { (length + 8) / 8 * 8 } else { length + 1 };
        self.skip(whole)?;
        Ok(name)
    }
}
