//! Codecs on bytes, each undone with a leash: no more comes out than the chunk can hold.

use super::filters::Filter;
use crate::codecs::{blosc, bzip2, lz4, shuffle, zstd};
use crate::hdf5::checksum::fletcher32;
use crate::lookup3::lookup3;
use neuroflow_data::formats::inflate::{Wrapping, inflate_likely};
use neuroflow_data::formats::{Budget, Limits};
use serde_json::Value;
use std::borrow::Cow;

/// A checksum of four bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Sum {
    Crc32,
    Crc32c,
    Adler32,
    Fletcher32,
    /// With its seed.
    Lookup3(u32),
}

/// A codec on bytes.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Codec {
    Gzip,
    Zlib,
    Zstd,
    /// numcodecs' way: four bytes of length, then a block.
    Lz4,
    Blosc,
    /// Bytes of values by their place, values of so many bytes.
    Shuffle(usize),
    Bzip2,
    /// A checksum behind the bytes, or before them.
    Check(Sum, Place),
    Numbers(Filter),
}

/// Where a checksum stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    Before,
    Behind,
}

impl Codec {
    /// The codec of a name, when it is one of these.
    pub fn named(name: &str, configuration: &Value) -> Option<Codec> {
        let place = |usual: Place| match configuration.get("location").and_then(Value::as_str) {
            Some("start") => Some(Place::Before),
            Some("end") => Some(Place::Behind),
            Some(_) => None,
            None => Some(usual),
        };
        Some(match name {
            "gzip" => Codec::Gzip,
            "zlib" => Codec::Zlib,
            "zstd" => Codec::Zstd,
            "lz4" => Codec::Lz4,
            "blosc" => Codec::Blosc,
            "bz2" => Codec::Bzip2,
            "crc32c" => Codec::Check(Sum::Crc32c, place(Place::Behind)?),
            "crc32" => Codec::Check(Sum::Crc32, place(Place::Before)?),
            "adler32" => Codec::Check(Sum::Adler32, place(Place::Before)?),
            "fletcher32" => Codec::Check(Sum::Fletcher32, Place::Behind),
            "jenkins_lookup3" if configuration.get("prefix").is_none_or(Value::is_null) => {
                let seed = configuration.get("initval").map_or(Some(0), |seed| seed.as_u64().and_then(|seed| u32::try_from(seed).ok()));
                Codec::Check(Sum::Lookup3(seed?), Place::Behind)
            }
            "shuffle" => {
                let size = configuration.get("elementsize").filter(|size| !size.is_null()).map_or(Some(4), Value::as_u64)?;
                Codec::Shuffle(usize::try_from(size).ok().filter(|size| *size > 0)?)
            }
            _ => Codec::Numbers(Filter::named(name, configuration, None)?),
        })
    }

    /// Bytes that `bytes` before the codec are after it, as far as the codec alone says: filters make others of them.
    pub fn after(self, bytes: u64) -> u64 {
        match self {
            Codec::Numbers(filter) => filter.after(bytes),
            _ => bytes,
        }
    }

    /// The bytes before this codec was applied, at most `most`.
    pub fn undo<'b>(self, bytes: Cow<'b, [u8]>, most: u64, limits: &Limits) -> Result<Cow<'b, [u8]>, String> {
        let mut budget = Budget::new(most);
        match self {
            Codec::Gzip => inflate_likely(Wrapping::Gzip, &bytes, most, limits, &mut budget).map(Cow::Owned),
            Codec::Zlib => inflate_likely(Wrapping::Zlib, &bytes, most, limits, &mut budget).map(Cow::Owned),
            Codec::Zstd => zstd(&bytes, most).map(Cow::Owned),
            Codec::Lz4 => {
                let (length, block) = bytes.split_first_chunk::<4>().ok_or("an lz4 block has no length")?;
                lz4(block, u64::from(u32::from_le_bytes(*length)), most).map(Cow::Owned)
            }
            Codec::Blosc => blosc::decompress(&bytes, most, limits).map(Cow::Owned),
            Codec::Shuffle(size) => Ok(Cow::Owned(shuffle::unshuffled(&bytes, size))),
            Codec::Bzip2 => bzip2(&bytes, most).map(Cow::Owned),
            Codec::Check(sum, place) => checked(bytes, sum, place),
            Codec::Numbers(filter) => Ok(match filter.undo(&bytes, most)? {
                Some(undone) => Cow::Owned(undone),
                None => bytes,
            }),
        }
    }
}

/// Bytes without their checksum, which is right.
fn checked(bytes: Cow<'_, [u8]>, sum: Sum, place: Place) -> Result<Cow<'_, [u8]>, String> {
    let missing = || "the checksum is missing".to_owned();
    let (data, stated) = match place {
        Place::Behind => bytes.split_last_chunk::<4>().ok_or_else(missing)?,
        Place::Before => bytes.split_first_chunk::<4>().map(|(stated, data)| (data, stated)).ok_or_else(missing)?,
    };
    let own = match sum {
        Sum::Crc32c => crc32c(data),
        Sum::Crc32 => {
            let mut crc = flate2::Crc::new();
            crc.update(data);
            crc.sum()
        }
        Sum::Adler32 => adler32(data),
        Sum::Fletcher32 => fletcher32(data),
        Sum::Lookup3(seed) => lookup3(data, seed),
    };
    if own != u32::from_le_bytes(*stated) {
        return Err("the checksum does not match the bytes".into());
    }
    let range = if place == Place::Before { 4..bytes.len() } else { 0..bytes.len() - 4 };
    Ok(match bytes {
        Cow::Borrowed(own) => Cow::Borrowed(own.get(range).unwrap_or_default()),
        Cow::Owned(mut own) => {
            own.truncate(range.end);
            own.drain(..range.start);
            Cow::Owned(own)
        }
    })
}

/// Adler-32, as in RFC 1950.
fn adler32(bytes: &[u8]) -> u32 {
    let (mut low, mut high) = (1u32, 0u32);
    // So many bytes can't pass 32 bits.
    for block in bytes.chunks(5552) {
        for byte in block {
            low += u32::from(*byte);
            high += low;
        }
        (low, high) = (low % 65_521, high % 65_521);
    }
    (high << 16) | low
}

/// CRC-32C (Castagnoli), as in RFC 3720, appendix B.4.
pub(super) fn crc32c(bytes: &[u8]) -> u32 {
    const TABLE: [u32; 256] = {
        let mut table = [0u32; 256];
        let mut byte = 0usize;
        while byte < 256 {
            let mut value = byte as u32;
            let mut bit = 0;
            while bit < 8 {
                value = if value & 1 == 1 { (value >> 1) ^ 0x82f6_3b78 } else { value >> 1 };
                bit += 1;
            }
            table[byte] = value;
            byte += 1;
        }
        table
    };
    !bytes
        .iter()
        .fold(u32::MAX, |sum, byte| TABLE.get(((sum ^ u32::from(*byte)) & 0xff) as usize).copied().unwrap_or_default() ^ (sum >> 8))
}
