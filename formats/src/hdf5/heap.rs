//! Local heaps, which hold names of old groups, and global heaps, which hold lists and texts of any length.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", III.D and III.E.

use super::cursor::Cursor;
use super::file::{File, bad, lock};
use neuroflow_data::formats::FormatError;
use std::borrow::Cow;
use std::sync::Arc;

/// The bytes of a local heap and where they stand.
pub(super) fn local<'f>(file: &'f File, address: u64) -> Result<(Cow<'f, [u8]>, u64), FormatError> {
    let head = file.read(address, 8 + 2 * file.lengths as u64 + file.offsets as u64)?;
    let at = file.byte(address);
    if head.get(..4) != Some(b"HEAP") {
        return Err(bad(at, "a local heap should begin with `HEAP`"));
    }
    let mut cursor = Cursor::new(&head, at);
    cursor.skip(8)?;
    let size = cursor.uint(file.lengths)?;
    cursor.skip(file.lengths)?;
    let data = cursor.address(file.offsets)?.ok_or_else(|| bad(at, "a local heap without an address"))?;
    Ok((file.read(data, size)?, file.byte(data)))
}

/// The objects of one collection of a global heap.
#[derive(Debug)]
pub(crate) struct Collection {
    /// Where it ends, as an address.
    end: u64,
    /// Number, address and length of each object, sorted by number.
    objects: Vec<(u16, u64, u64)>,
}

/// The address and the length of object `number` in the collection at `address`.
pub(super) fn global(file: &File, address: u64, number: u32, at: u64) -> Result<(u64, u64), FormatError> {
    let known = lock(&file.collections).get(&address).map(Arc::clone);
    let collection = match known {
        Some(collection) => collection,
        None => read_collection(file, address, at)?,
    };
    let place = u16::try_from(number).ok().and_then(|number| collection.objects.binary_search_by_key(&number, |object| object.0).ok());
    match place.and_then(|place| collection.objects.get(place)) {
        Some((_, address, length)) => Ok((*address, *length)),
        None => Err(bad(file.byte(address), format!("a global heap has no object {number}"))),
    }
}

fn read_collection(file: &File, address: u64, at: u64) -> Result<Arc<Collection>, FormatError> {
    let start = file.byte(address);
    let prefix = 8 + file.lengths as u64;
    let head = file.read(address, prefix).map_err(|_| bad(at, format!("a list points to a heap at byte {start}, past the file's end")))?;
    if head.get(..4) != Some(b"GCOL") {
        return Err(bad(start, "a global heap should begin with `GCOL`"));
    }
    let mut cursor = Cursor::new(&head, start);
    cursor.skip(8)?;
    let size = cursor.uint(file.lengths)?;
    let end = address.saturating_add(size);
    {
        // Collections never overlap, so that reading each once reads no byte of the file twice.
        let known = lock(&file.collections);
        let before = known.range(..=address).next_back().is_some_and(|(_, before)| before.end > address);
        if before || known.range(address..).next().is_some_and(|(after, _)| *after < end) {
            return Err(bad(start, "a global heap lies over another one"));
        }
    }
    let bytes = file.read(address, size)?;
    let mut cursor = Cursor::new(&bytes, start);
    cursor.skip(prefix as usize)?;
    let mut objects = Vec::new();
    while cursor.left() >= prefix as usize {
        let number = cursor.u16()?;
        cursor.skip(6)?;
        let length = cursor.uint(file.lengths)?;
        // Object 0 is the room that is left.
        if number == 0 {
            break;
        }
        let place = cursor.here() - file.byte(0);
        let padded = length.checked_add(7).map(|length| length / 8 * 8);
        let padded = padded.and_then(|length| usize::try_from(length).ok()).unwrap_or(usize::MAX);
        if padded > cursor.left() {
            return Err(bad(cursor.here(), format!("an object of {length} bytes in a global heap reaches past its end")));
        }
        cursor.skip(padded)?;
        objects.push((number, place, length));
    }
    objects.sort_unstable();
    file.hold(64 + 24 * objects.len() as u64, start)?;
    let collection = Arc::new(Collection { end, objects });
    lock(&file.collections).insert(address, Arc::clone(&collection));
    Ok(collection)
}
