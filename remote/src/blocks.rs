//! Blocks of files, kept in a folder of this machine.
//!
//! `blocks/<version>/<number>` holds a block with its BLAKE3 digest in front, `<version>` being the digest of address, tag and length, so that
//! another version of a file is another folder. `addresses/<digest of the address>` says which version was seen last, for when the network is off.
//! Everything is written aside and renamed, and a block is believed only when its digest fits, so any number of processes may share the folder and
//! any of them may die.

use crate::BLOCK;
use crate::file::Identity;
use std::fs;
use std::io::{self, Read, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::SystemTime;

/// Tells files that are written at once apart.
static WRITTEN: AtomicU64 = AtomicU64::new(0);
/// Bytes that this process has written since it last looked how much the folder holds; the first write looks.
static SINCE: AtomicU64 = AtomicU64::new(u64::MAX / 2);

const DIGEST: usize = 32;

/// The blocks of one version of a file.
#[derive(Debug, Clone)]
pub(crate) struct Blocks {
    root: PathBuf,
    folder: PathBuf,
    limit: u64,
}

fn address_file(root: &Path, address: &str) -> PathBuf {
    root.join("addresses").join(blake3::hash(address.as_bytes()).to_hex().as_str())
}

/// Writes a file whole or not at all.
fn publish(path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let folder = path.parent().unwrap_or(path);
    fs::create_dir_all(folder)?;
    let aside = folder.join(format!(".{}-{}", std::process::id(), WRITTEN.fetch_add(1, Ordering::Relaxed)));
    let written = fs::File::create(&aside).and_then(|mut file| parts.iter().try_for_each(|part| file.write_all(part)));
    let done = written.and_then(|()| fs::rename(&aside, path));
    if done.is_err() {
        let _ = fs::remove_file(&aside);
    }
    done
}

/// The version of an address that was seen last.
pub(crate) fn last_seen(root: &Path, address: &str) -> Option<Identity> {
    let text = fs::read_to_string(address_file(root, address)).ok()?;
    let (length, tag) = text.split_once('\n')?;
    Some(Identity { length: length.parse().ok()?, tag: tag.to_owned() })
}

impl Blocks {
    /// The place of a version. Nothing is written before there is a block.
    pub(crate) fn of(root: &Path, address: &str, identity: &Identity, limit: u64) -> Blocks {
        let mut hasher = blake3::Hasher::new();
        for part in [address, &identity.tag, &identity.length.to_string()] {
            hasher.update(&(part.len() as u64).to_le_bytes());
            hasher.update(part.as_bytes());
        }
        let folder = root.join("blocks").join(hasher.finalize().to_hex().as_str());
        Blocks { root: root.to_owned(), folder, limit }
    }

    /// Remembers that this version was seen. A folder that can't be written to only costs what it would have saved.
    pub(crate) fn remember(&self, address: &str, identity: &Identity) {
        let text = format!("{}\n{}", identity.length, identity.tag);
        let _ = publish(&address_file(&self.root, address), &[text.as_bytes()]);
    }

    fn path(&self, block: u64) -> PathBuf {
        self.folder.join(block.to_string())
    }

    /// Whether there is a block, believed unread.
    pub(crate) fn has(&self, block: u64) -> bool {
        self.path(block).is_file()
    }

    /// A block of `length` bytes; none when it is not there, or not what was written.
    pub(crate) fn get(&self, block: u64, length: u64) -> Option<Vec<u8>> {
        let path = self.path(block);
        let file = fs::File::open(&path).ok()?;
        let mut bytes = Vec::new();
        file.take(BLOCK + DIGEST as u64 + 1).read_to_end(&mut bytes).ok()?;
        let sound = bytes
            .split_at_checked(DIGEST)
            .is_some_and(|(digest, content)| content.len() as u64 == length && blake3::hash(content).as_bytes() == digest);
        if !sound {
            let _ = fs::remove_file(&path);
            return None;
        }
        Some(bytes.split_off(DIGEST))
    }

    /// Keeps a block.
    pub(crate) fn put(&self, block: u64, content: &[u8]) {
        if publish(&self.path(block), &[blake3::hash(content).as_bytes(), content]).is_ok() {
            let since = SINCE.fetch_add(content.len() as u64, Ordering::Relaxed);
            // Looking takes longer than writing a block, so it is done once in a while.
            if since >= (self.limit / 16).min(64 * BLOCK) {
                SINCE.store(0, Ordering::Relaxed);
                let _ = self.make_room();
            }
        }
    }

    /// Removes the oldest blocks until the folder holds nine tenths of what it may.
    fn make_room(&self) -> io::Result<()> {
        let mut blocks: Vec<(SystemTime, u64, PathBuf)> = Vec::new();
        for folder in fs::read_dir(self.root.join("blocks"))?.flatten() {
            // Another process may remove what is listed here.
            for file in fs::read_dir(folder.path()).into_iter().flatten().flatten() {
                if let Ok(meta) = file.metadata() {
                    blocks.push((meta.modified().unwrap_or(SystemTime::UNIX_EPOCH), meta.len(), file.path()));
                }
            }
        }
        let mut held: u64 = blocks.iter().map(|(_, length, _)| length).sum();
        if held <= self.limit {
            return Ok(());
        }
        blocks.sort();
        for (_, length, path) in blocks {
            if held <= self.limit / 10 * 9 {
                break;
            }
            if fs::remove_file(&path).is_ok() {
                held = held.saturating_sub(length);
                // Goes only when it is empty.
                let _ = path.parent().map(fs::remove_dir);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_damaged_ones_do_not() {
        let root = tempfile::tempdir().unwrap();
        let identity = Identity { length: 5, tag: "etag \"1\"".into() };
        let blocks = Blocks::of(root.path(), "https://h/f", &identity, 1 << 40);
        assert_eq!(blocks.get(0, 5), None);
        blocks.put(0, b"hello");
        assert!(blocks.has(0));
        assert_eq!(blocks.get(0, 5).unwrap(), b"hello");
        let other = Blocks::of(root.path(), "https://h/f", &Identity { length: 5, tag: "etag \"2\"".into() }, 1 << 40);
        assert_eq!(other.get(0, 5), None);
        fs::write(blocks.path(0), [0u8; 37]).unwrap();
        assert_eq!(blocks.get(0, 5), None);
        assert!(!blocks.has(0), "what is damaged is removed");
        blocks.remember("https://h/f", &identity);
        assert_eq!(last_seen(root.path(), "https://h/f"), Some(identity));
        assert_eq!(last_seen(root.path(), "https://h/g"), None);
    }

    #[test]
    fn the_oldest_blocks_go_first() {
        let root = tempfile::tempdir().unwrap();
        let blocks = Blocks::of(root.path(), "a", &Identity { length: 0, tag: String::new() }, 1000);
        for block in 0..20 {
            publish(&blocks.path(block), &[&[0u8; 100]]).unwrap();
            let old = SystemTime::UNIX_EPOCH + std::time::Duration::from_secs(1000 + block);
            fs::File::options().write(true).open(blocks.path(block)).unwrap().set_modified(old).unwrap();
        }
        blocks.make_room().unwrap();
        assert!((0..11).all(|block| !blocks.has(block)) && (11..20).all(|block| blocks.has(block)));
    }
}
