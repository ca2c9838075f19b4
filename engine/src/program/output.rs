//! Taking the one file that a program declared: a plain file of its own folder, and nothing that only looks like one.

use super::scratch::{TEMPORARY, disk};
use super::{Ending, refused};
use crate::task::ExecCall;
use neuroflow_data::Artifact;
use neuroflow_stage::StageError;
use std::fs::{File, Metadata};
use std::io::Read;
use std::path::Path;

/// Names in a program's folder that are not its own.
const GIVEN: [&str; 2] = ["in", TEMPORARY];

/// Reads what a program wrote.
///
/// # Errors
/// When it wrote nothing, something else than a file, or a file that is not what it declared.
pub(super) fn take(call: &ExecCall, folder: &Path) -> Result<Artifact, Ending> {
    let path = folder.join(&call.file);
    let found = match std::fs::symlink_metadata(&path) {
        Ok(found) => found,
        Err(_) => return Err(nothing(call, folder)),
    };
    if let Some(what) = no_file(&found) {
        return Err(refused(
            format!("the program ended well, but `{}` is {what} and no file", call.file),
            "write the file itself to the path that `{{ out }}` gives",
        ));
    }
    let size = found.len();
    if let Some(free) = free_memory().filter(|free| size > *free) {
        let message = format!(
            "the program wrote {} into `{}`, and this machine has {} of memory left to read it",
            bytes(size),
            call.file,
            bytes(free)
        );
        return Err(refused(message, "write less, or write it in parts as steps of their own"));
    }
    let content = read(&path, size).map_err(|error| Ending::World(disk("reading", &path, &error)))?;
    let reader =
        crate::readers::reader(&call.reader).ok_or_else(|| Ending::Refused(StageError::Bug(format!("no reader `{}`", call.reader))))?;
    crate::readers::read(&reader, &content.into()).map_err(|reason| {
        Ending::Failed(StageError::refused(format!("`{}`, which the program wrote, is not what it declared: {reason}", call.file)))
    })
}

fn nothing(call: &ExecCall, folder: &Path) -> Ending {
    let is_own = |name: &String| {
        !GIVEN.contains(&name.as_str()) && !call.scripts.iter().any(|script| script.path.split('/').next() == Some(name.as_str()))
    };
    let mut found: Vec<String> = std::fs::read_dir(folder)
        .into_iter()
        .flatten()
        .flatten()
        .map(|entry| entry.file_name().to_string_lossy().into_owned())
        .filter(is_own)
        .take(10)
        .collect();
    found.sort();
    let found = if found.is_empty() { "it wrote nothing".to_owned() } else { format!("it wrote {}", found.join(", ")) };
    refused(
        format!("the program ended well but did not write the file `{}`; {found}", call.file),
        "write to the path that `{{ out }}` gives",
    )
}

fn no_file(found: &Metadata) -> Option<&'static str> {
    let kind = found.file_type();
    if kind.is_file() {
        return None;
    }
    #[cfg(unix)]
    {
        use std::os::unix::fs::FileTypeExt;
        let special = [
            (kind.is_fifo(), "a named pipe"),
            (kind.is_socket(), "a socket"),
            (kind.is_char_device() || kind.is_block_device(), "a device"),
        ];
        if let Some((_, what)) = special.into_iter().find(|(is, _)| *is) {
            return Some(what);
        }
    }
    Some(if kind.is_symlink() {
        "a symbolic link"
    } else if kind.is_dir() {
        "a folder"
    } else {
        "something else"
    })
}

/// Reads a file of a known size. Nothing that the program started is alive, so the file is what it was when it was looked at.
fn read(path: &Path, size: u64) -> std::io::Result<Vec<u8>> {
    let mut content = Vec::new();
    content.try_reserve_exact(usize::try_from(size).map_err(std::io::Error::other)?)?;
    File::open(path)?.take(size).read_to_end(&mut content)?;
    Ok(content)
}

/// Bytes of memory that are free or can be freed; unknown elsewhere than on Linux.
fn free_memory() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/meminfo").ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix("MemAvailable:"))?;
    line.trim().trim_end_matches(" kB").parse::<u64>().ok().map(|kibibytes| kibibytes << 10)
}

/// A number of bytes for a person.
pub(super) fn bytes(bytes: u64) -> String {
    let value = bytes as f64;
    for (unit, size) in [("TiB", 40), ("GiB", 30), ("MiB", 20), ("KiB", 10)] {
        if bytes >= 1 << size {
            let value = value / (1u64 << size) as f64;
            return if value < 10.0 { format!("{value:.1} {unit}") } else { format!("{value:.0} {unit}") };
        }
    }
    format!("{bytes} bytes")
}
