//! Files and folders on a disk as sources. Parts are read when they are asked for, so that a file of any size can be looked into.

use crate::open::{Opened, Options, is_beside, open_as, open_folder_as};
use crate::source::{Folder, Source, beyond};
use neuroflow_data::formats::{Format, FormatError, Place};
use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// So many files of a folder are listed; a folder with more is no recording.
const MOST_FILES: usize = 200_000;

/// So deep folders are listed.
const DEEPEST: usize = 32;

/// Names that begin with a point and belong to a format all the same. Others are a system's or a person's own, and no format's.
pub const HIDDEN: [&str; 5] = [".zarray", ".zattrs", ".zgroup", ".zmetadata", ".bidsignore"];

/// Whether a name is hidden, and no format's.
pub fn is_hidden(name: &str) -> bool {
    name.starts_with('.') && !HIDDEN.contains(&name)
}

/// What a path named, opened.
#[derive(Debug)]
pub struct OnDisk {
    /// What is in it.
    pub document: Opened,
    /// Its size in bytes; none of a folder.
    pub size: Option<u64>,
    /// The folder, when it is one.
    pub folder: Option<Arc<dyn Folder>>,
}

/// Opens a file, a header with what it names beside it, or a folder, for a reader or by what is in it.
///
/// # Errors
/// When there is nothing, it is of no format that is known, or it is damaged.
pub fn open_path(path: &Path, reader: Option<&str>, options: &Options) -> Result<OnDisk, FormatError> {
    let told =
        |error: io::Error| FormatError::new(Format::Unknown, Place::File, error.to_string(), "name a file or a folder that is there");
    let about = std::fs::metadata(path).map_err(told)?;
    if about.is_dir() {
        let folder: Arc<dyn Folder> = Arc::new(DiskFolder::new(path));
        let document = open_folder_as(reader, Arc::clone(&folder), "", options)?;
        return Ok(OnDisk { document, size: None, folder: Some(folder) });
    }
    let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let document = match is_beside(reader, &name) {
        // What lies beside a header belongs to it, and nothing else of the folder.
        true => {
            let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
            open_folder_as(reader, Arc::new(DiskFolder::new(folder)), &name, options)?
        }
        false => open_as(reader, &name, Arc::new(OpenFile::open(path).map_err(told)?), options)?,
    };
    Ok(OnDisk { document, size: Some(about.len()), folder: None })
}

/// An open file.
#[derive(Debug)]
pub struct OpenFile {
    file: File,
    len: u64,
}

impl OpenFile {
    /// The file at a path.
    ///
    /// # Errors
    /// When it can't be opened or is no file.
    pub fn open(path: &Path) -> io::Result<OpenFile> {
        let file = File::open(path)?;
        let about = file.metadata()?;
        if !about.is_file() {
            return Err(io::Error::new(io::ErrorKind::InvalidInput, "it is no file"));
        }
        Ok(OpenFile { file, len: about.len() })
    }

    #[cfg(unix)]
    fn fill(&self, into: &mut [u8], at: u64) -> io::Result<()> {
        std::os::unix::fs::FileExt::read_exact_at(&self.file, into, at)
    }

    #[cfg(windows)]
    fn fill(&self, mut into: &mut [u8], mut at: u64) -> io::Result<()> {
        while !into.is_empty() {
            match std::os::windows::fs::FileExt::seek_read(&self.file, into, at)? {
                0 => return Err(io::ErrorKind::UnexpectedEof.into()),
                read => {
                    into = &mut into[read..];
                    at += read as u64;
                }
            }
        }
        Ok(())
    }
}

impl Source for OpenFile {
    fn len(&self) -> u64 {
        self.len
    }

    fn bytes(&self, range: Range<u64>) -> io::Result<Cow<'_, [u8]>> {
        let length = range.end.checked_sub(range.start).filter(|_| range.end <= self.len).ok_or_else(|| beyond(&range, self.len))?;
        let length = usize::try_from(length).map_err(io::Error::other)?;
        let mut bytes = vec![0; length];
        self.fill(&mut bytes, range.start)?;
        Ok(Cow::Owned(bytes))
    }
}

/// A folder on a disk. Links are not followed: they can lead out of it, or in circles. What is hidden is not in it, but for [`HIDDEN`].
#[derive(Debug)]
pub struct DiskFolder {
    root: PathBuf,
}

impl DiskFolder {
    /// The folder at a path.
    pub fn new(root: impl Into<PathBuf>) -> DiskFolder {
        DiskFolder { root: root.into() }
    }

    fn list(&self, below: &str, depth: usize, into: &mut Vec<String>) -> io::Result<()> {
        if depth > DEEPEST {
            return Err(io::Error::other(format!("folders lie more than {DEEPEST} deep")));
        }
        for entry in std::fs::read_dir(self.root.join(below))? {
            let entry = entry?;
            let Some(name) = entry.file_name().to_str().map(str::to_owned).filter(|name| !is_hidden(name)) else { continue };
            let path = if below.is_empty() { name } else { format!("{below}/{name}") };
            let kind = entry.file_type()?;
            if kind.is_dir() {
                self.list(&path, depth + 1, into)?;
            } else if kind.is_file() {
                if into.len() >= MOST_FILES {
                    return Err(io::Error::other(format!("there are more than {MOST_FILES} files")));
                }
                into.push(path);
            }
        }
        Ok(())
    }
}

impl Folder for DiskFolder {
    fn paths(&self) -> io::Result<Vec<String>> {
        let mut paths = Vec::new();
        self.list("", 0, &mut paths)?;
        paths.sort();
        Ok(paths)
    }

    fn open(&self, path: &str) -> io::Result<Option<Arc<dyn Source>>> {
        let mut place = self.root.clone();
        for part in path.split('/') {
            if part.is_empty() || is_hidden(part) || part.contains(['\\', ':', '\0']) {
                return Ok(None);
            }
            place.push(part);
            match std::fs::symlink_metadata(&place) {
                Ok(about) if about.is_symlink() => return Ok(None),
                Ok(_) => {}
                Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
                Err(error) => return Err(error),
            }
        }
        Ok(if place.is_file() { Some(Arc::new(OpenFile::open(&place)?)) } else { None })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_gives_its_own_files_and_no_others() {
        let outer = tempfile::tempdir().unwrap();
        let root = outer.path().join("root");
        std::fs::create_dir_all(root.join("sub")).unwrap();
        std::fs::write(outer.path().join("secret"), "x").unwrap();
        std::fs::write(root.join("sub/a.bin"), [1, 2, 3, 4]).unwrap();
        std::fs::write(root.join("sub/.zattrs"), "{}").unwrap();
        std::fs::write(root.join(".secret"), "x").unwrap();
        #[cfg(unix)]
        std::os::unix::fs::symlink(outer.path(), root.join("out")).unwrap();
        let folder = DiskFolder::new(&root);
        assert_eq!(folder.paths().unwrap(), ["sub/.zattrs", "sub/a.bin"]);
        let file = folder.open("sub/a.bin").unwrap().unwrap();
        assert_eq!((file.len(), file.bytes(1..3).unwrap().into_owned()), (4, vec![2, 3]));
        assert_eq!(file.bytes(3..9).unwrap_err().kind(), io::ErrorKind::UnexpectedEof);
        for path in ["../secret", "out/secret", "sub/../../secret", "sub", "nothing", "", ".secret", "sub/../.secret"] {
            assert!(folder.open(path).unwrap().is_none(), "{path}");
        }
    }
}
