//! The file as HDF5 sees it: superblock, addresses, and what reading it may hold.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", II "Superblock".

use super::cursor::Cursor;
use super::datatype::Datatype;
use super::heap::Collection;
use crate::lookup3::lookup3;
use crate::source::{Source, part};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, OR_ACCEPT, Place, RAISE_LIMIT};
use std::borrow::Cow;
use std::collections::{BTreeMap, HashMap};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};

/// The eight bytes that begin a superblock.
pub(crate) const SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Decoded chunks that are kept for the next read, in bytes.
const KEPT_CHUNKS: u64 = 32 << 20;

/// The error for bytes that break HDF5's layout.
pub(super) fn bad(at: u64, reason: impl Into<String>) -> FormatError {
    FormatError::new(Format::Hdf5, Place::Byte(at), reason, COPY_AGAIN)
}

/// The error for something that is asked of the file and is beyond what it may hold.
pub(super) fn too_much(at: u64, reason: impl Into<String>) -> FormatError {
    FormatError::new(Format::Hdf5, Place::Byte(at), reason, RAISE_LIMIT)
}

/// The error for something whole that is not read.
pub(super) fn unread(at: u64, reason: impl Into<String>, help: impl Into<String>) -> FormatError {
    FormatError::new(Format::Hdf5, Place::Byte(at), reason, help)
}

/// The same error with the object that was being read.
pub(crate) fn in_object(mut error: FormatError, path: &str) -> FormatError {
    match error.place {
        Place::Byte(byte) => error.place = Place::Object { path: format!("/{path}"), byte: Some(byte) },
        Place::File => error.place = Place::Object { path: format!("/{path}"), byte: None },
        _ => {}
    }
    error
}

/// A lock that is never held while something can panic.
pub(super) fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Chunks that were decoded, the latest last.
#[derive(Debug, Default)]
struct Kept {
    chunks: Vec<(u64, Arc<Vec<u8>>)>,
    bytes: u64,
}

/// An opened file.
#[derive(Debug)]
pub(crate) struct File {
    source: Arc<dyn Source>,
    /// Where the superblock stands: addresses count from here.
    base: u64,
    /// Bytes of an address.
    pub(super) offsets: usize,
    /// Bytes of a length.
    pub(super) lengths: usize,
    /// The address of the root group's header.
    pub(super) root: u64,
    /// The version of the superblock.
    pub(crate) version: u8,
    /// What the superblock says of the end of the file, where it lies beyond it.
    pub(crate) cut_short: Option<FormatError>,
    /// The header with further facts on the file.
    pub(super) extension: Option<u64>,
    pub(crate) limits: Limits,
    held: AtomicU64,
    allowed: u64,
    pub(super) collections: Mutex<BTreeMap<u64, Arc<Collection>>>,
    pub(super) types: Mutex<HashMap<u64, Arc<Datatype>>>,
    /// Addresses of the datasets that virtual ones are made of, by path; set once all objects are known.
    pub(super) sources: OnceLock<HashMap<String, u64>>,
    kept: Mutex<Kept>,
}

impl File {
    /// Reads the superblock, which stands at byte 0, 512, 1024, 2048 and so on.
    pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<File, FormatError> {
        let mut base = 0u64;
        loop {
            if base.saturating_add(8) > source.len() {
                let help = "check that the path names an HDF5 file that was copied to its end";
                return Err(FormatError::new(Format::Hdf5, Place::File, "there is no HDF5 signature at byte 0, 512, 1024 …", help));
            }
            if part(source.as_ref(), Format::Hdf5, base..base + 8)?.as_ref() == SIGNATURE {
                break;
            }
            base = if base == 0 { 512 } else { base.saturating_mul(2) };
        }
        let end = source.len().min(base.saturating_add(256));
        let bytes = part(source.as_ref(), Format::Hdf5, base..end)?.into_owned();
        let mut cursor = Cursor::new(&bytes, base);
        cursor.skip(8)?;
        let version = cursor.u8()?;
        let allowed = source.len().saturating_mul(3).saturating_add(32 << 20).min(limits.max_total_bytes);
        let mut file = File {
            source,
            base,
            offsets: 8,
            lengths: 8,
            root: 0,
            version,
            cut_short: None,
            extension: None,
            limits: limits.clone(),
            held: AtomicU64::new(0),
            allowed,
            collections: Mutex::default(),
            types: Mutex::default(),
            sources: OnceLock::new(),
            kept: Mutex::default(),
        };
        match version {
            0 | 1 => file.superblock_0(&mut cursor)?,
            2 | 3 => file.superblock_2(&mut cursor, &bytes)?,
            _ => return Err(unread(base + 8, format!("superblock version {version} is not read"), "rewrite the file with `h5repack`")),
        }
        Ok(file)
    }

    fn sizes(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FormatError> {
        let at = cursor.here();
        (self.offsets, self.lengths) = (usize::from(cursor.u8()?), usize::from(cursor.u8()?));
        if ![2, 4, 8].contains(&self.offsets) || ![2, 4, 8].contains(&self.lengths) {
            return Err(bad(at, format!("addresses of {} and lengths of {} bytes are none that HDF5 has", self.offsets, self.lengths)));
        }
        Ok(())
    }

    fn superblock_0(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FormatError> {
        cursor.skip(4)?;
        self.sizes(cursor)?;
        // A reserved byte, the sizes of leaves and nodes, flags, and in version 1 the size of nodes of chunks.
        cursor.skip(1 + 4 + 4 + if self.version == 1 { 4 } else { 0 })?;
        self.addresses(cursor)?;
        // The root group's entry: the offset of its name, then its header.
        cursor.skip(self.offsets)?;
        let at = cursor.here();
        self.root = cursor.address(self.offsets)?.ok_or_else(|| bad(at, "the root group has no address"))?;
        Ok(())
    }

    fn superblock_2(&mut self, cursor: &mut Cursor<'_>, bytes: &[u8]) -> Result<(), FormatError> {
        self.sizes(cursor)?;
        cursor.skip(1)?;
        let at = cursor.here();
        let base = cursor.address(self.offsets)?;
        self.extension = cursor.address(self.offsets)?;
        self.ends(base, cursor)?;
        self.root = cursor.address(self.offsets)?.ok_or_else(|| bad(at, "the root group has no address"))?;
        let sum_at = (cursor.here() - self.base) as usize;
        if cursor.u32()? != lookup3(bytes.get(..sum_at).unwrap_or_default(), 0) {
            return Err(bad(self.base + sum_at as u64, "the superblock's checksum is wrong"));
        }
        Ok(())
    }

    /// Base address, free space, end of file, driver. The base address that is written counts only where the superblock was found, for users
    /// move whole files behind blocks of their own.
    fn addresses(&mut self, cursor: &mut Cursor<'_>) -> Result<(), FormatError> {
        let base = cursor.address(self.offsets)?;
        cursor.skip(self.offsets)?;
        self.ends(base, cursor)?;
        cursor.skip(self.offsets)
    }

    /// Compares the end of the file, which is counted from the file's first byte, with the bytes that are there, as HDF5's library does.
    fn ends(&mut self, base: Option<u64>, cursor: &mut Cursor<'_>) -> Result<(), FormatError> {
        let there = (self.len() - self.base).saturating_add(base.unwrap_or(0));
        if let Some(end) = cursor.address(self.offsets)?.filter(|end| *end > there) {
            let reason = format!("the file ends here, its superblock says that it has {end} bytes");
            self.cut_short = Some(FormatError::new(Format::Hdf5, Place::Byte(self.len()), reason, OR_ACCEPT));
        }
        Ok(())
    }

    /// The number of bytes of the file.
    pub fn len(&self) -> u64 {
        self.source.len()
    }

    /// The bytes before the superblock, at most 512.
    pub fn user_block(&self) -> Result<Cow<'_, [u8]>, FormatError> {
        part(self.source.as_ref(), Format::Hdf5, 0..self.base.min(512))
    }

    /// Where an address stands in the file.
    pub(super) fn byte(&self, address: u64) -> u64 {
        self.base.saturating_add(address)
    }

    /// `count` bytes at an address.
    pub(super) fn read(&self, address: u64, count: u64) -> Result<Cow<'_, [u8]>, FormatError> {
        let start = self.byte(address);
        part(self.source.as_ref(), Format::Hdf5, start..start.saturating_add(count))
    }

    /// At most `count` bytes at an address, fewer at the end of the file.
    pub(super) fn read_up_to(&self, address: u64, count: u64) -> Result<Cow<'_, [u8]>, FormatError> {
        let start = self.byte(address);
        if start >= self.len() {
            return Err(bad(start, format!("an address points there, the file has {} bytes", self.len())));
        }
        part(self.source.as_ref(), Format::Hdf5, start..start.saturating_add(count).min(self.len()))
    }

    /// A structure of `count` bytes that begins with `signature` and version 0 and ends with its checksum; the bytes before the checksum.
    pub(super) fn checked(&self, address: u64, count: u64, signature: &[u8; 4], what: &str) -> Result<Cow<'_, [u8]>, FormatError> {
        let bytes = self.read(address, count)?;
        let start = self.byte(address);
        if bytes.get(..4) != Some(signature.as_slice()) {
            return Err(bad(start, format!("{what} should begin with `{}`", String::from_utf8_lossy(signature))));
        }
        summed(bytes, start, what)
    }

    /// Bytes that end with their checksum; the bytes before it.
    pub(super) fn summed(&self, address: u64, count: u64, what: &str) -> Result<Cow<'_, [u8]>, FormatError> {
        summed(self.read(address, count)?, self.byte(address), what)
    }

    /// Notes that `bytes` more are held for as long as the file is open.
    pub(super) fn hold(&self, bytes: u64, at: u64) -> Result<(), FormatError> {
        let before = self.held.fetch_add(bytes, Ordering::Relaxed);
        if before.saturating_add(bytes) > self.allowed {
            return Err(too_much(at, format!("what is in the file takes more than {} bytes to list", self.allowed)));
        }
        Ok(())
    }

    /// A chunk that was decoded lately.
    pub(super) fn kept(&self, address: u64) -> Option<Arc<Vec<u8>>> {
        let mut kept = lock(&self.kept);
        let place = kept.chunks.iter().position(|(own, _)| *own == address)?;
        let found = kept.chunks.remove(place);
        let bytes = Arc::clone(&found.1);
        kept.chunks.push(found);
        Some(bytes)
    }

    /// Keeps a decoded chunk for the next read, as long as there is room.
    pub(super) fn keep(&self, address: u64, bytes: &Arc<Vec<u8>>) {
        let size = bytes.len() as u64;
        if size > KEPT_CHUNKS / 4 {
            return;
        }
        let mut kept = lock(&self.kept);
        kept.bytes = kept.bytes.saturating_add(size);
        kept.chunks.push((address, Arc::clone(bytes)));
        while kept.bytes > KEPT_CHUNKS && !kept.chunks.is_empty() {
            let (_, oldest) = kept.chunks.remove(0);
            kept.bytes = kept.bytes.saturating_sub(oldest.len() as u64);
        }
    }
}

fn summed<'b>(bytes: Cow<'b, [u8]>, start: u64, what: &str) -> Result<Cow<'b, [u8]>, FormatError> {
    let Some(body) = bytes.len().checked_sub(4) else { return Err(bad(start, format!("{what} is too short"))) };
    let (own, sum) = bytes.split_at(body);
    if sum != lookup3(own, 0).to_le_bytes() {
        return Err(bad(start, format!("the checksum of {what} is wrong")));
    }
    Ok(match bytes {
        Cow::Borrowed(bytes) => Cow::Borrowed(bytes.get(..body).unwrap_or_default()),
        Cow::Owned(mut bytes) => {
            bytes.truncate(body);
            Cow::Owned(bytes)
        }
    })
}
