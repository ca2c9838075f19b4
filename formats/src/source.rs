//! Where the bytes of a file come from: memory, a mapped file, an open file, or blocks fetched from afar.

use arrow::buffer::Buffer;
use neuroflow_data::FileTree;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Place};
use std::borrow::Cow;
use std::fmt::Debug;
use std::io;
use std::ops::Range;
use std::sync::Arc;

/// The bytes of one file.
pub trait Source: Debug + Send + Sync {
    /// The number of bytes.
    fn len(&self) -> u64;

    /// Whether there is none.
    fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The bytes in `range`, which must lie in the file: borrowed when they stand in memory, read or fetched otherwise.
    ///
    /// # Errors
    /// When the range is not in the file, or the bytes can't be had.
    fn bytes(&self, range: Range<u64>) -> io::Result<Cow<'_, [u8]>>;

    /// All bytes, when they stand in memory already.
    fn whole(&self) -> Option<&[u8]> {
        None
    }
}

impl Source for Buffer {
    fn len(&self) -> u64 {
        Buffer::len(self) as u64
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Cow<'_, [u8]>> {
        let part = usize::try_from(range.start).ok().zip(usize::try_from(range.end).ok());
        part.and_then(|(start, end)| self.as_slice().get(start..end)).map(Cow::Borrowed).ok_or_else(|| beyond(&range, Source::len(self)))
    }

    fn whole(&self) -> Option<&[u8]> {
        Some(self.as_slice())
    }
}

/// The error for a range that is not in the file.
pub fn beyond(range: &Range<u64>, len: u64) -> io::Error {
    io::Error::new(io::ErrorKind::UnexpectedEof, format!("bytes {} to {} were asked for, the file has {len}", range.start, range.end))
}

/// The bytes in `range`, or an error of `format` that says where the file ends too early.
///
/// # Errors
/// [`FormatError`] at the range's first byte.
pub fn part<'s>(source: &'s dyn Source, format: Format, range: Range<u64>) -> Result<Cow<'s, [u8]>, FormatError> {
    let at = Place::Byte(range.start);
    source.bytes(range).map_err(|error| match error.kind() {
        io::ErrorKind::UnexpectedEof => FormatError::new(format, at, error.to_string(), COPY_AGAIN),
        _ => FormatError::new(format, at, format!("the bytes can't be read: {error}"), "see that the file is still there and try again"),
    })
}

/// Files that belong together, by their paths below one folder, with `/` between names on every system. Nothing above the folder can be named.
pub trait Folder: Debug + Send + Sync {
    /// The paths of all files, sorted.
    ///
    /// # Errors
    /// When the folder can't be listed.
    fn paths(&self) -> io::Result<Vec<String>>;

    /// A file; `None` when there is none of that path.
    ///
    /// # Errors
    /// When it is there and can't be opened.
    fn open(&self, path: &str) -> io::Result<Option<Arc<dyn Source>>>;
}

impl Folder for FileTree {
    fn paths(&self) -> io::Result<Vec<String>> {
        Ok(self.iter().map(|(path, _)| path.to_owned()).collect())
    }

    fn open(&self, path: &str) -> io::Result<Option<Arc<dyn Source>>> {
        Ok(self.get(path).map(|bytes| Arc::new(bytes.clone()) as Arc<dyn Source>))
    }
}

/// The path that `relative` names when it is written in a file at `base`; `None` when it leads out of the folder, is absolute, or names a drive or an
/// address. This is the only way from a path inside a file to another file.
pub fn inside(base: &str, relative: &str) -> Option<String> {
    let relative = relative.replace('\\', "/");
    if relative.is_empty() || relative.starts_with('/') || relative.contains(':') || relative.contains('\0') {
        return None;
    }
    let mut parts: Vec<&str> = base.split('/').collect();
    parts.pop();
    for part in relative.split('/') {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop()?;
            }
            name => parts.push(name),
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_in_files_stay_in_the_folder() {
        assert_eq!(inside("sub/a.vhdr", "a.eeg").as_deref(), Some("sub/a.eeg"));
        assert_eq!(inside("sub/a.vhdr", "./x/../a.eeg").as_deref(), Some("sub/a.eeg"));
        assert_eq!(inside("sub/a.vhdr", "..\\a.eeg").as_deref(), Some("a.eeg"));
        for out in ["../../etc/passwd", "/etc/passwd", "C:\\a.eeg", "http://x/a.eeg", "", ".."] {
            assert_eq!(inside("sub/a.vhdr", out).filter(|path| !path.is_empty()), None, "{out}");
        }
    }

    #[test]
    fn a_range_past_the_end_is_an_error_with_its_place() {
        let buffer = Buffer::from_vec(vec![1u8, 2, 3]);
        assert_eq!(part(&buffer, Format::Edf, 1..3).unwrap().as_ref(), [2, 3]);
        let error = part(&buffer, Format::Edf, 2..9).unwrap_err().to_string();
        assert!(error.starts_with("EDF: byte 2: bytes 2 to 9 were asked for, the file has 3"), "{error}");
    }
}
