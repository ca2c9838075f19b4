//! Codecs on bytes, each undone with a leash: no more comes out than the chunk can hold.

use crate::codecs::{blosc, lz4, shuffle, zstd};
use neuroflow_data::formats::inflate::{Wrapping, inflate_likely};
use neuroflow_data::formats::{Budget, Limits};
use serde_json::Value;
use std::borrow::Cow;

/// A codec on bytes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Codec {
    Gzip,
    Zlib,
    Zstd,
    /// numcodecs' way: four bytes of length, then a block.
    Lz4,
    Blosc,
    /// Bytes of values by their place, values of so many bytes.
    Shuffle(usize),
    Crc32c,
}

impl Codec {
    /// The codec of a name, when it is one of these.
    pub fn named(name: &str, configuration: &Value) -> Option<Codec> {
        Some(match name {
            "gzip" => Codec::Gzip,
            "zlib" => Codec::Zlib,
            "zstd" => Codec::Zstd,
            "lz4" => Codec::Lz4,
            "blosc" => Codec::Blosc,
            "crc32c" => Codec::Crc32c,
            "shuffle" => {
                Codec::Shuffle(configuration.get("elementsize").and_then(Value::as_u64).and_then(|size| usize::try_from(size).ok())?)
            }
            _ => return None,
        })
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
            Codec::Crc32c => {
                let (data, stated) = bytes.split_last_chunk::<4>().ok_or("the checksum is missing")?;
                if crc32c(data) != u32::from_le_bytes(*stated) {
                    return Err("the checksum does not match the bytes".into());
                }
                Ok(match bytes {
                    Cow::Borrowed(own) => Cow::Borrowed(own.get(..own.len() - 4).unwrap_or_default()),
                    Cow::Owned(mut own) => {
                        own.truncate(own.len() - 4);
                        Cow::Owned(own)
                    }
                })
            }
        }
    }
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
