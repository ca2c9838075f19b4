//! `cache export` and `cache import`: a run with everything it names, in one file.
//!
//! The file is a plain tar archive that every system can list. In this order: `neuroflow-export` (the text `1`), `objects/DIGEST`, `records/KEY` (the frames of the
//! record and its tail), `run/ID.json`, and `end` (the digest of all names and contents before it). An import believes none of it: objects must be what
//! their names say, records must be whole and name only what is there, nothing but these names is accepted, and nothing is ever unpacked by the archive's
//! say. The run is published last, when the end fits; what a cut archive leaves behind are whole objects and true answers.

use crate::digest::Digest;
use crate::disk::{Appender, Source};
use crate::error::CacheError;
use crate::frame::{self, Kind};
use crate::objects::{Objects, SMALL};
use crate::record::{ActionRecord, Head};
use crate::runs::{Naming, Runs, named_by};
use std::collections::BTreeSet;
use std::io::{self, Read, Write};
use std::path::Path;

/// What an export holds, or an import took in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Moved {
    /// The run.
    pub run: String,
    /// The number of objects.
    pub objects: usize,
    /// The sum of their sizes in bytes.
    pub bytes: u64,
    /// The number of answered keys.
    pub records: usize,
    /// Objects that the run names and that were not there any more.
    pub missing: usize,
}

const FIRST: &str = "neuroflow-export";
const VERSION: &[u8] = b"1\n";
const MOST_RECORD: u64 = 64 << 20;
const MOST_RUN: u64 = 512 << 20;
const PIECE: usize = 1 << 20;

/// A record as it stands in an archive or in a remote cache: its frame, and its tail's.
pub(crate) fn write_record(key: &Digest, head: &[u8], summary: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(head.len() + summary.len() + 160);
    let tail =
        if summary.is_empty() { (0, 0) } else { (frame::HEADER + summary.len(), (frame::HEADER + head.len()).next_multiple_of(8) as u64) };
    frame::write(&mut bytes, Kind::Record, key, tail, head);
    if !summary.is_empty() {
        frame::write(&mut bytes, Kind::Tail, key, (0, 0), summary);
    }
    bytes
}

/// Reads what [`write_record`] wrote: the record, its head and its summary; none when it is anything else.
pub(crate) fn read_record<'a>(key: &Digest, bytes: &'a [u8]) -> Option<(ActionRecord, &'a [u8], &'a [u8])> {
    let (header, head) = frame::whole(bytes, 0).filter(|(header, _)| header.kind == Kind::Record && header.key == *key)?;
    let record = Head::new(head).record()?;
    let rest = bytes.get(header.total()..)?;
    if header.tail == 0 {
        return rest.is_empty().then_some((record, head, &[]));
    }
    let (tail, summary) = frame::whole(rest, 0).filter(|(tail, _)| tail.kind == Kind::Tail && tail.key == *key)?;
    let is_json = serde_json::from_slice::<serde_json::Value>(summary).is_ok();
    (is_json && tail.total() == rest.len()).then_some((record, head, summary))
}

/// Writes through a disk into a tar archive.
struct Out<'a> {
    file: Box<dyn Appender>,
    path: &'a Path,
    end: blake3::Hasher,
}

impl Out<'_> {
    fn failed(&self, error: io::Error) -> CacheError {
        CacheError::io("writing", self.path, error)
    }

    fn entry(&mut self, name: &str, content: &[u8]) -> Result<(), CacheError> {
        self.end.update(name.as_bytes()).update(b"\0").update(Digest::of_many(content).as_bytes());
        let mut header = tar::Header::new_ustar();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        header.set_mtime(0);
        header.set_path(name).map_err(|error| self.failed(error))?;
        header.set_cksum();
        let padding = content.len().next_multiple_of(512) - content.len();
        let parts = std::iter::once(&header.as_bytes()[..]).chain(content.chunks(PIECE)).chain([&[0; 512][..padding]]);
        for part in parts {
            self.file.append(part).map_err(|error| CacheError::io("writing", self.path, error))?;
        }
        Ok(())
    }
}

/// Writes a run and everything it names to a file.
pub(crate) fn export(objects: &Objects, runs: &Runs, id: &str, path: &Path) -> Result<Moved, CacheError> {
    let disk = objects.disk.as_ref();
    let temporary = path.with_added_extension("part");
    let _ = disk.remove(&temporary);
    let file = disk.appender(&temporary).map_err(|error| CacheError::io("making", &temporary, error))?;
    let mut out = Out { file, path: &temporary, end: blake3::Hasher::new() };
    let written = write_all(objects, runs, id, &mut out)
        .and_then(|moved| out.file.sync().map(|()| moved).map_err(|error| CacheError::io("syncing", &temporary, error)))
        .and_then(|moved| disk.rename(&temporary, path).map(|()| moved).map_err(|error| CacheError::io("publishing", path, error)));
    if written.is_err() {
        let _ = disk.remove(&temporary);
    }
    written
}

fn write_all(objects: &Objects, runs: &Runs, id: &str, out: &mut Out<'_>) -> Result<Moved, CacheError> {
    let mut moved = Moved { run: id.to_owned(), ..Moved::default() };
    let named = named_by(runs.read(id)?, objects).digests;
    // A digest in a run's record names a key or an object; what it names tells which.
    let keys: BTreeSet<Digest> = named.iter().copied().filter(|digest| objects.segments.raw(digest).is_some()).collect();
    let mut contents: BTreeSet<Digest> = named.into_iter().filter(|digest| !keys.contains(digest)).collect();
    let records: Vec<(Digest, ActionRecord, Vec<u8>, Vec<u8>)> =
        keys.iter().filter_map(|key| objects.segments.raw(key).map(|(record, head, summary)| (*key, record, head, summary))).collect();
    contents.extend(records.iter().flat_map(|(_, record, _, _)| record.outputs.iter().map(|output| output.digest).chain(record.log)));
    out.entry(FIRST, VERSION)?;
    let mut here = BTreeSet::new();
    for digest in contents {
        match objects.get(&digest)?.filter(|bytes| Digest::of_many(bytes) == digest) {
            Some(bytes) => {
                moved.objects += 1;
                moved.bytes += bytes.len() as u64;
                out.entry(&format!("objects/{digest}"), &bytes)?;
                here.insert(digest);
            }
            None => moved.missing += 1,
        }
    }
    for (key, record, head, summary) in records {
        if record.outputs.iter().all(|output| here.contains(&output.digest)) {
            moved.records += 1;
            out.entry(&format!("records/{key}"), &write_record(&key, &head, &summary))?;
        }
    }
    out.entry(&format!("run/{id}.json"), &runs.bytes(id)?)?;
    let end = Digest::from_bytes(*out.end.clone().finalize().as_bytes());
    out.entry("end", end.to_string().as_bytes())?;
    out.file.append(&[0; 1024]).map_err(|error| CacheError::io("writing", out.path, error))?;
    Ok(moved)
}

/// What an entry's name says it is.
enum Entry {
    First,
    Object(Digest),
    Record(Digest),
    Run(String),
    End,
}

fn entry_of(name: &[u8]) -> Option<Entry> {
    let name = std::str::from_utf8(name).ok()?;
    let digest = |name: &str| name.parse::<Digest>().ok().filter(|digest| digest.to_string() == name);
    match name.split_once('/') {
        None if name == FIRST => Some(Entry::First),
        None if name == "end" => Some(Entry::End),
        Some(("objects", name)) => digest(name).map(Entry::Object),
        Some(("records", name)) => digest(name).map(Entry::Record),
        Some(("run", name)) => name.strip_suffix(".json").filter(|id| is_run_id(id)).map(|id| Entry::Run(id.to_owned())),
        _ => None,
    }
}

/// A run's id is the name of a file and nothing else.
fn is_run_id(id: &str) -> bool {
    (1..=100).contains(&id.len()) && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_')
}

/// Where what is taken in goes.
pub(crate) struct Import<'a> {
    pub(crate) objects: &'a Objects,
    pub(crate) runs: &'a Runs,
    /// Publishes the run.
    pub(crate) publish: &'a dyn Fn(&str, &[u8]) -> Result<(), CacheError>,
}

impl Import<'_> {
    /// Takes in an archive.
    pub(crate) fn import(&self, path: &Path) -> Result<Moved, CacheError> {
        let source = self.objects.disk.open(path).map_err(|error| CacheError::io("reading", path, error))?;
        let wrong = |reason: String| CacheError::Archive { path: path.to_path_buf(), reason };
        self.read(source, path).map_err(|error| match error {
            Wrong::Archive(reason) => wrong(reason),
            Wrong::Cache(error) => error,
        })
    }

    fn read(&self, source: Box<dyn Source>, path: &Path) -> Result<Moved, Wrong> {
        let read = |error: io::Error| match error.kind() {
            io::ErrorKind::UnexpectedEof => Wrong::Archive("it is cut off".into()),
            io::ErrorKind::Other | io::ErrorKind::InvalidData | io::ErrorKind::InvalidInput => {
                Wrong::Archive(format!("it is no tar archive that `cache export` wrote: {error}"))
            }
            _ => Wrong::Cache(CacheError::io("reading", path, error)),
        };
        let mut archive = tar::Archive::new(source);
        let (mut moved, mut run, mut end, mut is_first) = (Moved::default(), None, blake3::Hasher::new(), true);
        let mut ended = false;
        // Raw: no entry may change how another is read.
        for entry in archive.entries().map_err(read)?.raw(true) {
            let mut entry = entry.map_err(read)?;
            let name = entry.path_bytes().into_owned();
            let shown = String::from_utf8_lossy(&name).chars().take(100).collect::<String>().escape_debug().to_string();
            let kind = entry_of(&name).filter(|_| entry.header().entry_type() == tar::EntryType::Regular);
            let kind = kind.ok_or_else(|| Wrong::Archive(format!("`{shown}` does not belong into an export")))?;
            if is_first != matches!(kind, Entry::First) || ended {
                return Err(Wrong::Archive("it does not begin as `cache export` begins".into()));
            }
            is_first = false;
            let size = entry.size();
            let digest = match kind {
                Entry::First => {
                    let content = limited(&mut entry, size, 16).map_err(read)?.unwrap_or_default();
                    if content != VERSION {
                        return Err(Wrong::Archive(format!(
                            "it is of another version than {}; use the neuroflow that wrote it",
                            String::from_utf8_lossy(VERSION).trim()
                        )));
                    }
                    Digest::of(&content)
                }
                Entry::Object(digest) => {
                    self.object(&mut entry, size, &digest, read)?;
                    moved.objects += 1;
                    moved.bytes += size;
                    digest
                }
                Entry::Record(key) => {
                    let content = limited(&mut entry, size, MOST_RECORD)
                        .map_err(read)?
                        .ok_or_else(|| Wrong::Archive(format!("`{shown}` is too large")))?;
                    self.record(&key, &content)?;
                    moved.records += 1;
                    Digest::of_many(&content)
                }
                Entry::Run(id) => {
                    let content = limited(&mut entry, size, MOST_RUN)
                        .map_err(read)?
                        .ok_or_else(|| Wrong::Archive(format!("`{shown}` is too large")))?;
                    let digest = Digest::of_many(&content);
                    if run.replace((id, content)).is_some() {
                        return Err(Wrong::Archive("it holds several runs".into()));
                    }
                    digest
                }
                Entry::End => {
                    let content = limited(&mut entry, size, 64).map_err(read)?.unwrap_or_default();
                    let fits = content == Digest::from_bytes(*end.clone().finalize().as_bytes()).to_string().as_bytes();
                    if !fits {
                        return Err(Wrong::Archive("it was changed: its end does not fit what is before".into()));
                    }
                    ended = true;
                    continue;
                }
            };
            end.update(&name).update(b"\0").update(digest.as_bytes());
        }
        let (id, content) = run.filter(|_| ended).ok_or_else(|| Wrong::Archive("it is cut off".into()))?;
        self.run(&id, &content)?;
        moved.run = id;
        Ok(moved)
    }

    fn object(&self, entry: &mut impl Read, size: u64, digest: &Digest, read: impl Fn(io::Error) -> Wrong) -> Result<(), Wrong> {
        let wrong = || Wrong::Archive(format!("object {digest} is not what its name says"));
        if size <= SMALL as u64 {
            let content =
                limited(entry, size, SMALL as u64).map_err(&read)?.filter(|content| Digest::of(content) == *digest).ok_or_else(wrong)?;
            self.objects.put(&content)?;
            return Ok(());
        }
        let temporary = self.objects.temporary();
        let copied = self.copy(entry, size, &temporary, read).and_then(|found| if found == *digest { Ok(()) } else { Err(wrong()) });
        if copied.is_err() {
            let _ = self.objects.disk.remove(&temporary);
        }
        copied?;
        self.objects.publish(&temporary, digest, Ok(()))?;
        self.objects.commit.note(*digest);
        Ok(())
    }

    /// Writes exactly `size` bytes to a file; gives their digest.
    fn copy(&self, entry: &mut impl Read, size: u64, to: &Path, read: impl Fn(io::Error) -> Wrong) -> Result<Digest, Wrong> {
        let failed = |error| Wrong::Cache(CacheError::io("writing", to, error));
        let mut file = self.objects.disk.appender(to).map_err(failed)?;
        let (mut hasher, mut left) = (blake3::Hasher::new(), size);
        let mut piece = Vec::with_capacity(PIECE);
        while left > 0 {
            piece.clear();
            entry.take(left.min(PIECE as u64)).read_to_end(&mut piece).map_err(&read)?;
            if piece.is_empty() {
                return Err(Wrong::Archive("it is cut off".into()));
            }
            hasher.write_all(&piece).map_err(&read)?;
            file.append(&piece).map_err(failed)?;
            left -= piece.len() as u64;
        }
        Ok(Digest::from_bytes(*hasher.finalize().as_bytes()))
    }

    fn record(&self, key: &Digest, content: &[u8]) -> Result<(), Wrong> {
        let (record, head, summary) =
            read_record(key, content).ok_or_else(|| Wrong::Archive(format!("the record of key {key} is damaged")))?;
        let is_there = |output: &crate::ActionOutput| self.objects.size(&output.digest) == Some(output.size);
        if !record.outputs.iter().all(is_there) {
            return Err(Wrong::Archive(format!("the record of key {key} names objects that are not in it")));
        }
        // What this cache has computed itself stands.
        if self.objects.segments.brief(key, |brief| brief.outputs.iter().all(is_there)).is_none() {
            self.objects.segments.append(key, head, summary)?;
        }
        Ok(())
    }

    fn run(&self, id: &str, content: &[u8]) -> Result<(), Wrong> {
        if serde_json::from_slice::<Naming>(content).is_err() {
            return Err(Wrong::Archive("the run's record is damaged".into()));
        }
        if self.runs.ids()?.iter().any(|known| known == id) {
            let is_same = self.runs.bytes(id)? == content;
            return if is_same { Ok(()) } else { Err(Wrong::Archive(format!("there is another run `{id}` in this cache"))) };
        }
        Ok((self.publish)(id, content)?)
    }
}

/// Why an archive is refused.
enum Wrong {
    Archive(String),
    Cache(CacheError),
}

impl From<CacheError> for Wrong {
    fn from(error: CacheError) -> Wrong {
        Wrong::Cache(error)
    }
}

/// All of an entry; none when it is larger than `most`. Cut-off entries are errors.
fn limited(entry: &mut impl Read, size: u64, most: u64) -> io::Result<Option<Vec<u8>>> {
    if size > most {
        return Ok(None);
    }
    let mut content = Vec::new();
    entry.take(size).read_to_end(&mut content)?;
    if (content.len() as u64) < size { Err(io::ErrorKind::UnexpectedEof.into()) } else { Ok(Some(content)) }
}
