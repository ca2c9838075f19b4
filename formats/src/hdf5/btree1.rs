//! The head of a node of a B-tree of version 1, which groups and chunks have alike ("Disk Format: Level 1A1").

use super::cursor::Cursor;
use super::file::{File, bad};
use neuroflow_data::formats::FormatError;
use std::collections::HashSet;

/// Reads the head of the node at `address`: its byte in the file, its level, the number of its entries, and the bytes of the head.
///
/// # Errors
/// When the node was seen before (a tree that points in circles), is no node, or is of another type or level than belongs there.
pub(super) fn btree1_node(
    file: &File,
    address: u64,
    wanted: u8,
    level: Option<u8>,
    seen: &mut HashSet<u64>,
) -> Result<(u64, u8, u64, u64), FormatError> {
    let at = file.byte(address);
    if !seen.insert(address) {
        return Err(bad(at, "a B-tree has the same node twice"));
    }
    let head = file.read(address, 8 + 2 * file.offsets as u64)?;
    let mut cursor = Cursor::new(&head, at);
    if cursor.take(4)? != b"TREE" {
        return Err(bad(at, "a B-tree should begin with `TREE`"));
    }
    let (sort, own, count) = (cursor.u8()?, cursor.u8()?, u64::from(cursor.u16()?));
    if sort != wanted || level.is_some_and(|level| own != level) {
        return Err(bad(at, format!("a B-tree's node of type {sort} and level {own} does not belong here")));
    }
    Ok((at, own, count, head.len() as u64))
}
