//! One gzip member (RFC 1952) whose blocks are deflated side by side. It has neither time nor name in it.

use flate2::{Compress, Compression, Crc, FlushCompress, Status};
use rayon::iter::ParallelIterator;
use rayon::slice::ParallelSlice;
use std::io::{self, Write};

/// Bytes that are deflated by themselves: much more than deflate looks back, so little is lost.
const BLOCK: usize = 1 << 18;
/// Blocks that are held before they are deflated together.
const HELD: usize = 16;
/// Half of the usual level's time or less, for a file that is a tenth larger.
const LEVEL: u32 = 2;

/// Writes what it is given as gzip. [`GzipWriter::finish`] ends the file.
#[derive(Debug)]
pub(super) struct GzipWriter<W> {
    out: W,
    held: Vec<u8>,
    sum: Crc,
}

impl<W: Write> GzipWriter<W> {
    /// Begins a file.
    pub(super) fn new(mut out: W) -> io::Result<GzipWriter<W>> {
        // Deflate; no flags; no time; no word on level or system.
        out.write_all(&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 255])?;
        Ok(GzipWriter { out, held: Vec::new(), sum: Crc::new() })
    }

    /// Deflates and writes what is held.
    fn put(&mut self) -> io::Result<()> {
        let blocks: Vec<io::Result<(Vec<u8>, Crc)>> = self.held.par_chunks(BLOCK).map(block).collect();
        for block in blocks {
            let (bytes, sum) = block?;
            self.out.write_all(&bytes)?;
            self.sum.combine(&sum);
        }
        self.held.clear();
        Ok(())
    }

    /// Ends the file and gives the output back.
    pub(super) fn finish(mut self) -> io::Result<W> {
        self.put()?;
        // An empty last block of fixed codes.
        self.out.write_all(&[3, 0])?;
        self.out.write_all(&self.sum.sum().to_le_bytes())?;
        self.out.write_all(&self.sum.amount().to_le_bytes())?;
        self.out.flush()?;
        Ok(self.out)
    }
}

impl<W: Write> Write for GzipWriter<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = BLOCK * HELD - self.held.len();
        let taken = bytes.get(..room).unwrap_or(bytes);
        self.held.extend_from_slice(taken);
        if self.held.len() >= BLOCK * HELD {
            self.put()?;
        }
        Ok(taken.len())
    }

    /// Nothing is flushed before the end: blocks of other lengths would give other bytes.
    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Deflated bytes that end at a byte's border, so that others can follow, and the sum of what they hold.
fn block(bytes: &[u8]) -> io::Result<(Vec<u8>, Crc)> {
    let mut sum = Crc::new();
    sum.update(bytes);
    let mut packer = Compress::new(Compression::new(LEVEL), false);
    let mut out = Vec::with_capacity(bytes.len() + bytes.len() / 1000 + 64);
    loop {
        let taken = usize::try_from(packer.total_in()).map_err(io::Error::other)?;
        let rest = bytes.get(taken..).unwrap_or_default();
        let status = packer.compress_vec(rest, &mut out, FlushCompress::Sync).map_err(io::Error::other)?;
        // All is taken and there was room to spare: the border is written too.
        if out.len() < out.capacity() && packer.total_in() == bytes.len() as u64 {
            return Ok((out, sum));
        }
        if status == Status::StreamEnd {
            return Err(io::Error::other("deflate ended by itself"));
        }
        out.reserve(out.capacity().max(64));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use flate2::read::GzDecoder;
    use proptest::prelude::*;
    use std::io::Read;

    fn packed(parts: &[&[u8]]) -> Vec<u8> {
        let mut writer = GzipWriter::new(Vec::new()).unwrap();
        parts.iter().for_each(|part| writer.write_all(part).unwrap());
        writer.finish().unwrap()
    }

    fn unpacked(bytes: &[u8]) -> Vec<u8> {
        let mut plain = Vec::new();
        let mut reader = GzDecoder::new(bytes);
        reader.read_to_end(&mut plain).unwrap();
        assert!(reader.into_inner().is_empty(), "one member and nothing after it");
        plain
    }

    #[test]
    fn files_of_many_blocks_come_back_and_do_not_depend_on_how_they_were_given() {
        let mut state = 1u32;
        let mut noise = |mask: u32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            ((state >> 16) & mask) as u8
        };
        for (length, mask) in [(0, 0), (1, 255), (BLOCK, 255), (BLOCK * HELD, 3), (BLOCK * HELD * 2 + 12_345, 15)] {
            let plain: Vec<u8> = (0..length).map(|_| noise(mask)).collect();
            let whole = packed(&[&plain]);
            assert!(unpacked(&whole) == plain, "{length}");
            let (one, two) = plain.split_at(length / 3);
            assert!(packed(&[one, two]) == whole, "{length}");
        }
    }

    proptest! {
        #[test]
        fn any_bytes_come_back(parts in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 0..2000), 0..8)) {
            let parts: Vec<&[u8]> = parts.iter().map(Vec::as_slice).collect();
            prop_assert_eq!(unpacked(&packed(&parts)), parts.concat());
        }
    }
}
