//! Which format a cache folder has.
//!
//! The file `format` in the cache's root says `neuroflow cache N`. A folder without it that has records has format 1, whose records are read once and written anew
//! (`legacy`). A format that is not known is refused: what can't be understood is neither read nor changed.

use crate::disk::{Disk, Lock};
use crate::error::CacheError;
use std::path::Path;

/// The format that is written.
pub const FORMAT: u32 = 2;
const NAME: &str = "format";
const WORDS: &str = "neuroflow cache ";

/// What a format file says; none when it is not one.
pub fn parse(bytes: &[u8]) -> Option<u32> {
    let text = std::str::from_utf8(bytes).ok()?;
    let digits = text.strip_prefix(WORDS)?.strip_suffix('\n').filter(|digits| digits.bytes().all(|byte| byte.is_ascii_digit()))?;
    digits.parse().ok()
}

/// What is in a folder.
pub(crate) enum Found {
    /// Nothing: it was marked with the present format.
    Fresh,
    /// A cache of the present format.
    Present,
    /// A cache of format 1, not marked yet.
    First,
}

/// Finds out the format of a cache's folder.
pub(crate) fn look(root: &Path, disk: &dyn Disk) -> Result<Found, CacheError> {
    let path = root.join(NAME);
    match disk.read(&path) {
        Ok(bytes) => match parse(&bytes) {
            Some(FORMAT) => Ok(Found::Present),
            Some(1) => Ok(Found::First),
            // What a crash of the disk, or a tool that copies, leaves of it.
            None if format!("{WORDS}{FORMAT}\n").as_bytes().starts_with(&bytes) => Err(CacheError::CutFormat { path: root.to_path_buf() }),
            found => Err(CacheError::Format {
                path: root.to_path_buf(),
                found: found.map_or_else(|| "of an unknown kind".into(), |number| number.to_string()),
            }),
        },
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => {
            let actions = root.join("actions");
            let old = disk.list(&actions).map_err(|error| CacheError::io("listing", &actions, error))?;
            let has_records = old.iter().any(|path| path.extension().is_some_and(|ending| ending == "log"));
            if has_records || disk.stat(&root.join("stat.json")).is_ok() {
                return Ok(Found::First);
            }
            mark(root, disk)?;
            Ok(Found::Fresh)
        }
        Err(error) => Err(CacheError::io("reading", &path, error)),
    }
}

/// Marks a folder with the present format.
pub(crate) fn mark(root: &Path, disk: &dyn Disk) -> Result<(), CacheError> {
    let path = root.join(NAME);
    let temporary = root.join(format!("format-{}-{:x}", std::process::id(), disk.now_ns()));
    let written = disk.write_synced(&temporary, format!("{WORDS}{FORMAT}\n").as_bytes()).and_then(|()| disk.rename(&temporary, &path));
    if written.is_err() {
        let _ = disk.remove(&temporary);
    }
    written.map_err(|error| CacheError::io("writing", &path, error))
}

/// The lock under which one process brings a folder to the present format.
pub(crate) fn lock(root: &Path, disk: &dyn Disk) -> Option<Box<dyn crate::disk::Held>> {
    disk.lock(&root.join("format.lock"), Lock::Exclusive, true).ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn a_format_file_says_one_number() {
        assert_eq!(parse(b"neuroflow cache 2\n"), Some(2));
        for wrong in
            [&b"neuroflow cache 2"[..], b"neuroflow cache +2\n", b"neuroflow cache \n", b"\xff", b"", b"neuroflow cache 99999999999\n"]
        {
            assert_eq!(parse(wrong), None);
        }
    }
}
