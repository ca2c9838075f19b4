//! Where bytes of a file go: room is taken at the end, and may be filled later.

use super::too_large;
use neuroflow_data::formats::{Format, FormatError, Place};
use std::io::{Seek, SeekFrom, Write};

/// The output, and how far it is taken.
#[derive(Debug)]
pub(super) struct Sink<W> {
    out: W,
    /// Where the output stands, to seek only when needed.
    at: u64,
    /// The first byte that nothing has taken.
    end: u64,
}

impl<W: Write + Seek> Sink<W> {
    /// An output from its first byte.
    pub(super) fn new(out: W) -> Sink<W> {
        Sink { out, at: u64::MAX, end: 0 }
    }

    /// Takes `bytes` at the end, at a multiple of eight.
    pub(super) fn reserve(&mut self, path: &str, bytes: u64) -> Result<u64, FormatError> {
        let start = self.end.checked_next_multiple_of(8).ok_or_else(|| too_large(path))?;
        self.end = start.checked_add(bytes).filter(|&end| end < u64::MAX / 2).ok_or_else(|| too_large(path))?;
        Ok(start)
    }

    /// Writes at an address.
    pub(super) fn write(&mut self, address: u64, bytes: &[u8]) -> Result<(), FormatError> {
        let failed = |error: std::io::Error| {
            let reason = format!("the file can't be written: {error}");
            FormatError::new(Format::Hdf5, Place::Byte(address), reason, "see that the place has room and may be written to")
        };
        if self.at != address {
            self.out.seek(SeekFrom::Start(address)).map_err(failed)?;
        }
        // Unknown until the write has gone well.
        self.at = u64::MAX;
        self.out.write_all(bytes).map_err(failed)?;
        self.at = address.saturating_add(bytes.len() as u64);
        Ok(())
    }

    /// Takes room at the end and fills it.
    pub(super) fn append(&mut self, path: &str, bytes: &[u8]) -> Result<u64, FormatError> {
        let address = self.reserve(path, bytes.len() as u64)?;
        self.write(address, bytes)?;
        Ok(address)
    }

    /// The end of the file, and what it was written to, with nothing held back.
    pub(super) fn finish(mut self) -> Result<W, FormatError> {
        let flushed = self.out.flush();
        flushed.map_err(|error| {
            let reason = format!("the file can't be written: {error}");
            FormatError::new(Format::Hdf5, Place::File, reason, "see that the place has room and may be written to")
        })?;
        Ok(self.out)
    }
}
