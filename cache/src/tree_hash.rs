//! BLAKE3 on all cores.
//!
//! BLAKE3 is a tree: pieces whose size is a power of two are hashed apart, each knowing where it stands, and joined in pairs. Each thread takes the next piece, so the
//! next is read while the last is hashed. The digest is the one that hashing in one go gives.

use crate::digest::Digest;
use crate::disk::Source;
use blake3::hazmat::{ChainingValue, HasherExt, Mode, left_subtree_len, merge_subtrees_non_root, merge_subtrees_root};
use std::io;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

/// A power of two; small enough to stay in a core's cache between being read and being hashed.
const PIECE: usize = 128 * 1024;

/// Asked once: the answer takes reading several files of the system.
fn threads() -> usize {
    static THREADS: LazyLock<usize> = LazyLock::new(|| std::thread::available_parallelism().map_or(1, usize::from));
    *THREADS
}

/// The value of a piece of a larger whole.
fn value_of(piece: &[u8], at: u64) -> ChainingValue {
    blake3::Hasher::new().set_input_offset(at).update(piece).finalize_non_root()
}

/// Joins the values of consecutive pieces, `length` bytes in all; at least two of them.
fn root(values: &[ChainingValue], length: u64) -> Digest {
    let (left, right, left_length) = halves(values, length);
    let hash = merge_subtrees_root(&join(left, left_length), &join(right, length - left_length), Mode::Hash);
    Digest::from_bytes(*hash.as_bytes())
}

fn halves(values: &[ChainingValue], length: u64) -> (&[ChainingValue], &[ChainingValue], u64) {
    let left_length = left_subtree_len(length);
    let (left, right) = values.split_at((left_length / PIECE as u64) as usize);
    (left, right, left_length)
}

fn join(values: &[ChainingValue], length: u64) -> ChainingValue {
    match values {
        [one] => *one,
        _ => {
            let (left, right, left_length) = halves(values, length);
            merge_subtrees_non_root(&join(left, left_length), &join(right, length - left_length), Mode::Hash)
        }
    }
}

/// The digest of bytes.
pub(crate) fn of(bytes: &[u8]) -> Digest {
    let length = bytes.len() as u64;
    if length <= 2 * PIECE as u64 {
        return Digest::of(bytes);
    }
    let value = |_: &mut Vec<u8>, at: u64, size: usize| Ok(Some(value_of(&bytes[at as usize..][..size], at)));
    // Bytes in memory are all there.
    in_pieces(length, value).ok().flatten().unwrap_or_else(|| Digest::of(bytes))
}

/// The digest of the first `length` bytes of an open file; none when it has fewer.
pub(crate) fn of_source(source: &dyn Source, length: u64) -> io::Result<Option<Digest>> {
    if length <= PIECE as u64 {
        let mut whole = vec![0; length as usize];
        return Ok(fill(source, &mut whole, 0)?.then(|| Digest::of(&whole)));
    }
    in_pieces(length, |buffer, at, size| {
        buffer.resize(size, 0);
        Ok(fill(source, buffer, at)?.then(|| value_of(buffer, at)))
    })
}

/// The digest of `length` bytes, more than a piece, on all threads. `value` gives the value of the piece of so many bytes at a place, and may use the buffer
/// of its thread; when it has none, or fails, the whole has none, or fails.
fn in_pieces(
    length: u64,
    value: impl Fn(&mut Vec<u8>, u64, usize) -> io::Result<Option<ChainingValue>> + Sync,
) -> io::Result<Option<Digest>> {
    let count = length.div_ceil(PIECE as u64);
    let next = AtomicU64::new(0);
    let work = || -> io::Result<Option<Vec<(u64, ChainingValue)>>> {
        let (mut buffer, mut values) = (Vec::new(), Vec::new());
        loop {
            let number = next.fetch_add(1, Ordering::Relaxed);
            if number >= count {
                return Ok(Some(values));
            }
            let at = number * PIECE as u64;
            match value(&mut buffer, at, (length - at).min(PIECE as u64) as usize) {
                Ok(Some(value)) => values.push((number, value)),
                other => {
                    // There is no need for the others to go on.
                    next.store(count, Ordering::Relaxed);
                    return other.map(|_| None);
                }
            }
        }
    };
    // A thread that has less than a few pieces to do is not worth its start.
    let helpers = (threads() - 1).min((count / 4) as usize);
    let found = std::thread::scope(|scope| {
        let helping: Vec<_> = (0..helpers).map(|_| scope.spawn(work)).collect();
        let own = work();
        let theirs = helping.into_iter().map(|helper| helper.join().unwrap_or_else(|panic| std::panic::resume_unwind(panic)));
        std::iter::once(own).chain(theirs).collect::<io::Result<Option<Vec<_>>>>()
    })?;
    let Some(found) = found else { return Ok(None) };
    let mut values = vec![ChainingValue::default(); found.iter().map(Vec::len).sum()];
    for (number, value) in found.into_iter().flatten() {
        values[number as usize] = value;
    }
    Ok(Some(root(&values, length)))
}

/// Reads what stands at a place, wholly; false when the file ends before that.
fn fill(source: &dyn Source, mut into: &mut [u8], mut at: u64) -> io::Result<bool> {
    while !into.is_empty() {
        match source.read_at(into, at) {
            Ok(0) => return Ok(false),
            Ok(read) => {
                at += read as u64;
                into = &mut into[read..];
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Disk;

    #[test]
    fn pieces_give_the_digest_of_the_whole() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("file");
        for length in [0, 1, 1024, PIECE - 1, PIECE, PIECE + 1, 2 * PIECE, 3 * PIECE + 7, 4 * PIECE, 5 * PIECE + 1024] {
            let bytes: Vec<u8> = (0..length).map(|at| (at % 251) as u8).collect();
            assert_eq!(of(&bytes), Digest::of(&bytes), "{length}");
            std::fs::write(&path, &bytes).unwrap();
            let source = crate::OsDisk::new().open(&path).unwrap();
            assert_eq!(of_source(source.as_ref(), length as u64).unwrap(), Some(Digest::of(&bytes)), "{length}");
            assert_eq!(of_source(source.as_ref(), length as u64 + 1).unwrap(), None, "{length}");
            assert_eq!(of_source(source.as_ref(), length as u64 / 2).unwrap(), Some(Digest::of(&bytes[..length / 2])), "{length}");
        }
    }
}
