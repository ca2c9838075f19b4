//! Files as read-only Arrow buffers, without a copy.
//!
//! Meant for files of the object store: immutable, written once, and replaced only by rename. Small files are read instead, because a mapping
//! costs at least a page and two system calls.
#![allow(unsafe_code)]

use std::fs::File;
use std::io::{Error, ErrorKind, Result};
use std::ptr::NonNull;
use std::sync::Arc;

use arrow::buffer::{Buffer, MutableBuffer};
use memmap2::MmapOptions;

/// Files below this many bytes are read, not mapped.
const READ_BELOW: u64 = 16 * 1024;

/// The whole file of `len` bytes as a buffer: mapped when it has 16 KiB or more, else read.
///
/// Fails when the file does not have exactly `len` bytes: then it is not the object that the caller takes it for. The mapping lives as long as the buffer and
/// its slices; the file may be closed or unlinked meanwhile.
pub fn map_file(file: &File, len: u64) -> Result<Buffer> {
    let found = file.metadata()?.len();
    if found != len {
        return Err(Error::new(
            ErrorKind::InvalidData,
            format!("the file has {found} bytes, {len} are recorded; it was cut or changed after it was written"),
        ));
    }
    if len < READ_BELOW {
        return read_whole(file, len as usize);
    }
    let bytes = usize::try_from(len)
        .map_err(|_| Error::new(ErrorKind::OutOfMemory, format!("{len} bytes don't fit this machine's address space")))?;
    // SAFETY: a mapping is undefined behaviour only if the file's bytes change or vanish under it. Files of the object store are made read-only
    // before they are published, are never opened for writing again, and are replaced or removed only by rename and unlink, which keep
    // the mapped inode alive. Its length was checked above to be exactly the mapped length.
    let mapping = unsafe { MmapOptions::new().len(bytes).map(file)? };
    let start = NonNull::new(mapping.as_ptr().cast_mut()).ok_or_else(|| Error::other("the system mapped the file at address zero"))?;
    // SAFETY: `start` points at `bytes` readable bytes that stay mapped until the `Mmap` is dropped; the buffer owns it through the `Arc`, a move
    // of the `Mmap` into the `Arc` does not move the mapped pages, and a `Buffer` gives out shared references only.
    Ok(unsafe { Buffer::from_custom_allocation(start, bytes, Arc::new(mapping)) })
}

/// Reads the file from its start into aligned memory.
fn read_whole(file: &File, len: usize) -> Result<Buffer> {
    let mut buffer = MutableBuffer::from_len_zeroed(len);
    #[cfg(unix)]
    std::os::unix::fs::FileExt::read_exact_at(file, buffer.as_slice_mut(), 0)?;
    #[cfg(not(unix))]
    {
        use std::io::{Read, Seek, SeekFrom};
        let mut reader = file;
        reader.seek(SeekFrom::Start(0))?;
        reader.read_exact(buffer.as_slice_mut())?;
    }
    Ok(buffer.into())
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn file_of(bytes: &[u8]) -> File {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(bytes).unwrap();
        file
    }

    #[test]
    fn small_and_large_files_come_back_byte_for_byte() {
        for len in [0usize, 1, 63, 16 * 1024 - 1, 16 * 1024, 100_001] {
            let bytes: Vec<u8> = (0..len).map(|position| (position * 31 % 251) as u8).collect();
            let buffer = map_file(&file_of(&bytes), len as u64).unwrap();
            assert_eq!(buffer.as_slice(), bytes);
        }
    }

    #[test]
    fn a_wrong_length_is_an_error_and_not_a_fault() {
        for recorded in [99_999, 100_001, u64::MAX] {
            let error = map_file(&file_of(&[7; 100_000]), recorded).unwrap_err();
            assert!(error.to_string().contains("the file has 100000 bytes"), "{error}");
        }
    }

    #[test]
    fn slices_outlive_the_file_and_the_buffer() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("object");
        std::fs::write(&path, vec![5u8; 50_000]).unwrap();
        let file = File::open(&path).unwrap();
        let slice = map_file(&file, 50_000).unwrap().slice_with_length(40_000, 100);
        drop(file);
        std::fs::remove_file(&path).unwrap();
        assert_eq!(slice.as_slice(), [5; 100]);
    }
}
