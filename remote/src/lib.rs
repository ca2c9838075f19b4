//! Files from afar as [`Source`]s: `https://` and `s3://`, DANDI and OpenNeuro.
//!
//! [`open`] takes an address and gives a file of which only the blocks that are asked for are fetched; [`open_folder`] gives the files below an
//! address. [`resolve()`] says what an address of an archive stands for.
//!
//! * Bytes are fetched in blocks of [`BLOCK`] bytes, several at once where they follow each other, and kept in a folder of this machine when
//!   [`Options::cache`] names one.
//! * A file is pinned when it is opened, by its `ETag` or `Last-Modified` and its length: one that changes while it is read is an error, never a
//!   mixture. A digest, from the archive or from [`Options::pin`], is checked once all of the file was read, or by [`RemoteFile::verify`].
//! * Nothing that an answer says leads from a public address to this machine or its network.
//! * No message shows what an address may keep secret.

mod address;
mod blocks;
mod error;
mod file;
mod folder;
mod net;
mod resolve;
mod store;
mod web;

pub use error::RemoteError;
pub use file::RemoteFile;
pub use folder::{RemoteFolder, open_folder};
pub use neuroflow_formats::source::{Folder, Source};
pub use resolve::{Resolved, resolve};

use sha2::Digest as _;
use std::path::PathBuf;
use std::time::Duration;

/// The bytes that are fetched and kept together.
pub const BLOCK: u64 = 1 << 20;

/// How files from afar are read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Options {
    /// The folder in which blocks are kept; none keeps them in memory only.
    pub cache: Option<PathBuf>,
    /// The most bytes that the folder may hold; the oldest blocks go first (default 20 GiB).
    pub cache_limit: u64,
    /// Whether the network is off: only what the cache holds can be read.
    pub offline: bool,
    /// How often a request that failed by what may pass is made again (default 3).
    pub retries: u32,
    /// How long one request may go without an answer or a further byte (default 30 seconds).
    pub timeout: Duration,
    /// The longest that is waited because a server asks for it (default 20 seconds).
    pub longest_wait: Duration,
    /// The most bytes that are fetched at once from a server that can't send parts of a file (default 256 MiB).
    pub whole_limit: u64,
    /// The digest that the file must have.
    pub pin: Option<Pin>,
    /// The address of DANDI's API.
    pub dandi: String,
    /// The address of the store that speaks S3; none for Amazon's own.
    pub s3: Option<String>,
    /// The region of buckets, where the environment does not name one (default `us-east-1`).
    pub s3_region: String,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            cache: None,
            cache_limit: 20 << 30,
            offline: false,
            retries: 3,
            timeout: Duration::from_secs(30),
            longest_wait: Duration::from_secs(20),
            whole_limit: 256 << 20,
            pin: None,
            dandi: "https://api.dandiarchive.org/api".into(),
            s3: None,
            s3_region: "us-east-1".into(),
        }
    }
}

/// A digest that a file must have.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Pin {
    /// SHA-256.
    Sha256([u8; 32]),
    /// BLAKE3.
    Blake3([u8; 32]),
}

impl Pin {
    /// Whether these bytes have it.
    pub fn fits(&self, bytes: &[u8]) -> bool {
        match self {
            Pin::Sha256(digest) => <[u8; 32]>::from(sha2::Sha256::digest(bytes)) == *digest,
            Pin::Blake3(digest) => blake3::hash(bytes).as_bytes() == digest,
        }
    }

    /// A digest as text: `sha256:…` or `blake3:…` and 64 hexadecimal digits.
    ///
    /// # Errors
    /// When it is written in another way, in words.
    pub fn parse(text: &str) -> Result<Pin, String> {
        let wrong = || "a digest is written `sha256:` or `blake3:` and 64 hexadecimal digits".to_owned();
        let (kind, digits) = text.split_once(':').ok_or_else(wrong)?;
        let digest = hex(digits).ok_or_else(wrong)?;
        match kind {
            "sha256" => Ok(Pin::Sha256(digest)),
            "blake3" => Ok(Pin::Blake3(digest)),
            _ => Err(wrong()),
        }
    }
}

/// 64 hexadecimal digits as bytes.
fn hex(digits: &str) -> Option<[u8; 32]> {
    let mut bytes = [0u8; 32];
    if digits.len() != 64 || !digits.bytes().all(|digit| digit.is_ascii_hexdigit()) {
        return None;
    }
    for (byte, at) in bytes.iter_mut().zip((0..64).step_by(2)) {
        *byte = u8::from_str_radix(digits.get(at..at + 2)?, 16).ok()?;
    }
    Some(bytes)
}

/// Opens a file: `https://…`, `http://…`, `s3://bucket/key`, `dandi:000021[@version]/path` or `openneuro:ds000117/path`.
///
/// One request is made for an address, two or three more for DANDI; nothing more is read than the first block.
///
/// # Errors
/// When the address is of no known kind, the file is not there, or the network is off and the cache does not know it.
pub fn open(address: &str, options: &Options) -> Result<RemoteFile, RemoteError> {
    RemoteFile::open(&resolve(address, options)?, options)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn digests_are_read_from_text() {
        let digits = "0f".repeat(32);
        assert_eq!(Pin::parse(&format!("sha256:{digits}")).unwrap(), Pin::Sha256([15; 32]));
        assert_eq!(Pin::parse(&format!("blake3:{digits}")).unwrap(), Pin::Blake3([15; 32]));
        for wrong in ["", "sha256", "md5:00", "sha256:0", &format!("sha256:+{}", "f".repeat(63)), &format!("sha256:{}", "é".repeat(32))] {
            assert!(Pin::parse(wrong).is_err(), "{wrong}");
        }
    }
}
