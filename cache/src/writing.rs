//! Objects that are written piece by piece, so that a large one is never in memory twice.

use crate::digest::Digest;
use crate::disk::Appender;
use crate::error::CacheError;
use crate::objects::Objects;
use std::io::{self, Write};
use std::path::PathBuf;

/// Up to this size an object is gathered in memory: most are small, and a file costs more than they do.
const GATHERED: usize = 256 * 1024;

/// Publishes what `write` writes; gives its digest and size.
///
/// # Errors
/// When the disk refuses, or `write` fails; then nothing is published.
pub(crate) fn put_written(objects: &Objects, write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> Result<(Digest, u64), CacheError> {
    let mut sink = Sink { objects, gathered: Vec::new(), file: None, hasher: blake3::Hasher::new(), size: 0, refused: None };
    let written = write(&mut sink);
    let Sink { gathered, file, hasher, size, refused, .. } = sink;
    let Some((temporary, appender)) = file else {
        written.map_err(|error| refused.unwrap_or_else(|| CacheError::io("writing", &objects.temporary(), error)))?;
        return Ok((objects.put(&gathered)?, size));
    };
    drop(appender);
    let digest = Digest::from_bytes(*hasher.finalize().as_bytes());
    let written = written.map_err(|error| refused.unwrap_or_else(|| CacheError::io("writing", &temporary, error)));
    objects.publish(&temporary, &digest, written)?;
    objects.commit.note(digest);
    Ok((digest, size))
}

/// The digest and size of what `write` writes, which goes nowhere.
///
/// # Errors
/// When `write` fails.
pub(crate) fn hash_written(write: impl FnOnce(&mut dyn Write) -> io::Result<()>) -> io::Result<(Digest, u64)> {
    struct Counted(blake3::Hasher);
    impl Write for Counted {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.update(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }
    let mut counted = Counted(blake3::Hasher::new());
    write(&mut counted)?;
    Ok((Digest::from_bytes(*counted.0.finalize().as_bytes()), counted.0.count()))
}

struct Sink<'a> {
    objects: &'a Objects,
    gathered: Vec<u8>,
    file: Option<(PathBuf, Box<dyn Appender>)>,
    hasher: blake3::Hasher,
    size: u64,
    /// What the disk said, which is more than a writer can be told.
    refused: Option<CacheError>,
}

impl Sink<'_> {
    fn refuse(&mut self, error: CacheError) -> io::Error {
        let told = io::Error::other(error.to_string());
        self.refused = Some(error);
        told
    }

    fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some((path, appender)) = &mut self.file else { return Err(io::Error::other("no file")) };
        self.hasher.update(bytes);
        appender.append(bytes).map_err(|error| CacheError::io("writing", path, error)).map_err(|error| self.refuse(error))
    }
}

impl Write for Sink<'_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.size += bytes.len() as u64;
        if self.file.is_none() {
            if self.gathered.len() + bytes.len() <= GATHERED {
                self.gathered.extend_from_slice(bytes);
                return Ok(bytes.len());
            }
            let path = self.objects.temporary();
            let appender = self.objects.disk.appender(&path).map_err(|error| CacheError::io("writing", &path, error));
            self.file = Some((path, appender.map_err(|error| self.refuse(error))?));
            let gathered = std::mem::take(&mut self.gathered);
            self.append(&gathered)?;
        }
        self.append(bytes)?;
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
