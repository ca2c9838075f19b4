//! Undoing the filters that chunks went through.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", IV.A.2.l, and the registry of filters of The HDF Group.

use super::checksum::fletcher32;
use super::file::{bad, unread};
use super::lzf;
use super::message::Filter;
use super::{scale_offset, szip};
use crate::codecs;
use crate::codecs::shuffle::{self, Packer};
use neuroflow_data::formats::inflate::{Wrapping, inflate_likely};
use neuroflow_data::formats::{Budget, FormatError, Limits};
use std::borrow::Cow;

/// The bytes of a chunk after all filters but those in `mask` are undone. They are at most `whole` long, the size of an unfiltered chunk.
pub(super) fn undo<'b>(
    filters: &[Filter],
    mask: u32,
    stored: Cow<'b, [u8]>,
    whole: u64,
    limits: &Limits,
    at: u64,
) -> Result<Cow<'b, [u8]>, FormatError> {
    let mut bytes = stored;
    for (place, filter) in filters.iter().enumerate().rev() {
        if mask.checked_shr(place as u32).unwrap_or(0) & 1 == 1 {
            continue;
        }
        // Before this filter, checksums may have been added to the chunk.
        let most = whole.saturating_add(64);
        let input = bytes.len();
        bytes = match filter.id {
            1 => {
                let inflated = inflate_likely(Wrapping::Zlib, &bytes, whole, limits, &mut Budget::new(most.min(limits.max_total_bytes)));
                Cow::Owned(inflated.map_err(|reason| bad(at, format!("a chunk can't be inflated: {reason}")))?)
            }
            2 => {
                let size = filter.values.first().copied().unwrap_or(1) as usize;
                if size > 1 { Cow::Owned(shuffle::unshuffled(&bytes, size)) } else { bytes }
            }
            3 => checked(bytes, at)?,
            4 => Cow::Owned(szip::undo(&filter.values, &bytes, most).map_err(|reason| bad(at, reason))?),
            6 => Cow::Owned(scale_offset::undo(&filter.values, &bytes, whole).map_err(|reason| bad(at, reason))?),
            32000 => Cow::Owned(lzf::undo(&bytes, most).map_err(|reason| bad(at, reason))?),
            32004 => Cow::Owned(lz4(&bytes, most, at)?),
            307 => Cow::Owned(codecs::bzip2(&bytes, most.min(limits.max_total_bytes)).map_err(|reason| bad(at, reason))?),
            32001 => {
                Cow::Owned(codecs::blosc::decompress(&bytes, most.min(limits.max_total_bytes), limits).map_err(|reason| bad(at, reason))?)
            }
            32008 => Cow::Owned(bitshuffled(&filter.values, &bytes, most, at)?),
            32015 => Cow::Owned(codecs::zstd(&bytes, most.min(limits.max_total_bytes)).map_err(|reason| bad(at, reason))?),
            id => {
                let name = match (id, filter.name.as_str()) {
                    (5, _) => "nbit",
                    (32013, _) => "zfp",
                    (32026, _) => "blosc2",
                    (_, "") => "unknown",
                    (_, name) => name,
                };
                let help = "rewrite the dataset with another filter, as `h5repack -f GZIP=4` does";
                return Err(unread(at, format!("the filter {id} ({}) is not read", name.escape_debug()), help));
            }
        };
        if bytes.len() as u64 > most {
            return Err(bad(at, format!("{input} bytes became more than a chunk of {whole}")));
        }
    }
    Ok(bytes)
}

/// Checks and takes off the four bytes of a checksum.
fn checked(bytes: Cow<'_, [u8]>, at: u64) -> Result<Cow<'_, [u8]>, FormatError> {
    let body = bytes.len().checked_sub(4).ok_or_else(|| bad(at, "a chunk with a checksum is shorter than four bytes"))?;
    let (own, sum) = bytes.split_at(body);
    let expected = fletcher32(own);
    let stored = sum.iter().rev().fold(0u32, |number, byte| (number << 8) | u32::from(*byte));
    // HDF5 1.6.2 and before wrote the bytes of each half the other way round.
    let swapped = ((expected & 0x00ff_00ff) << 8) | ((expected & 0xff00_ff00) >> 8);
    if stored != expected && stored != swapped {
        return Err(bad(at, "the checksum (fletcher32) of a chunk is wrong"));
    }
    Ok(match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..body).unwrap_or_default()),
        Cow::Owned(mut bytes) => {
            bytes.truncate(body);
            Cow::Owned(bytes)
        }
    })
}

/// The filter 32004: a length of eight bytes, the length of a block of four, both with the greatest byte first, then blocks with their lengths.
fn lz4(bytes: &[u8], most: u64, at: u64) -> Result<Vec<u8>, FormatError> {
    let short = || bad(at, "a chunk of LZ4 ends too early");
    let number = |from: usize, count: usize| -> Result<u64, FormatError> {
        let own = bytes.get(from..from + count).ok_or_else(short)?;
        Ok(own.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte)))
    };
    let (whole, block) = (number(0, 8)?, number(8, 4)?);
    if whole > most || block == 0 {
        return Err(bad(at, format!("a chunk of LZ4 claims {whole} bytes in blocks of {block}")));
    }
    let mut out = Vec::new();
    let mut from = 12usize;
    while (out.len() as u64) < whole {
        let own = block.min(whole - out.len() as u64) as usize;
        let stored = number(from, 4)? as usize;
        from += 4;
        let data = from.checked_add(stored).and_then(|end| bytes.get(from..end)).ok_or_else(short)?;
        from += stored;
        if stored == own {
            out.extend_from_slice(data);
        } else {
            let mut plain = vec![0u8; own.min(stored.saturating_mul(256))];
            let length = lz4_flex::block::decompress_into(data, &mut plain).map_err(|error| bad(at, format!("a chunk of LZ4: {error}")))?;
            if length != own {
                return Err(bad(at, format!("a block of LZ4 has {length} bytes, {own} are expected")));
            }
            plain.truncate(length);
            out.append(&mut plain);
        }
    }
    Ok(out)
}

/// The filter 32008: the bits of blocks of elements by their rank, each block compressed or not. Its values are a version, the size of an element, the elements
/// of a block (0: as many as its library takes), and the compressor. A compressed chunk begins like one of LZ4.
fn bitshuffled(values: &[u32], bytes: &[u8], most: u64, at: u64) -> Result<Vec<u8>, FormatError> {
    let value = |place: usize| values.get(place).copied().unwrap_or(0) as usize;
    let (size, compressor) = (value(2), value(4));
    if size == 0 {
        return Err(bad(at, "a chunk of bitshuffle has elements of no bytes"));
    }
    let undone = match compressor {
        0 => shuffle::bitshuffle_undone(bytes, size, value(3)),
        2 | 3 => {
            let (head, body) = bytes.split_first_chunk::<12>().ok_or_else(|| bad(at, "a chunk of bitshuffle ends too early"))?;
            let (head, block) = head.split_at(8);
            let number = |bytes: &[u8]| bytes.iter().fold(0u64, |number, byte| (number << 8) | u64::from(*byte));
            let (whole, block) = (number(head), number(block));
            if whole > most {
                return Err(bad(at, format!("a chunk of bitshuffle claims {whole} bytes")));
            }
            shuffle::bitshuffle_unpacked(body, size, block, whole, if compressor == 2 { Packer::Lz4 } else { Packer::Zstd })
        }
        other => Err(format!("the compressor {other} of bitshuffle is not known")),
    };
    undone.map_err(|reason| bad(at, reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_that_are_not_read_are_named() {
        let filter = |id: u16, name: &str| vec![Filter { id, name: name.into(), values: vec![] }];
        let text = |filters: Vec<Filter>| undo(&filters, 0, Cow::Borrowed(&[0; 8]), 8, &Limits::default(), 40).unwrap_err().to_string();
        assert!(text(filter(5, "")).starts_with("HDF5: byte 40: the filter 5 (nbit) is not read; rewrite"));
        assert!(text(filter(32026, "blosc2")).contains("the filter 32026 (blosc2)"));
        assert!(text(filter(40000, "mine")).contains("the filter 40000 (mine)"));
        assert!(undo(&filter(3, ""), 0, Cow::Borrowed(&[1; 8]), 8, &Limits::default(), 40).unwrap_err().to_string().contains("fletcher32"));
        // A filter that was left out for a chunk does nothing.
        assert_eq!(undo(&filter(5, ""), 1, Cow::Borrowed(&[7; 8]), 8, &Limits::default(), 40).unwrap().as_ref(), [7; 8]);
    }

    #[test]
    fn deflate_stops_at_the_size_of_a_chunk() {
        use std::io::Write;
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(&[0u8; 100_000]).unwrap();
        let bytes = encoder.finish().unwrap();
        let filters = [Filter { id: 1, name: String::new(), values: vec![] }];
        assert_eq!(undo(&filters, 0, Cow::Borrowed(&bytes), 100_000, &Limits::default(), 0).unwrap().len(), 100_000);
        let error = undo(&filters, 0, Cow::Borrowed(&bytes), 99_000, &Limits::default(), 5).unwrap_err().to_string();
        assert!(error.starts_with("HDF5: byte 5: a chunk can't be inflated"), "{error}");
    }
}
