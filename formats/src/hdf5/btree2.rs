//! B-trees of version 2: links and attributes of large groups, large objects of heaps, chunks.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", III.A.2.

use super::cursor::Cursor;
use super::file::{File, bad};
use neuroflow_data::formats::FormatError;
use std::collections::HashSet;

/// Bytes of a node beside records and pointers: signature, version, type, checksum.
const NODE: u64 = 10;

/// What the header of a tree says.
struct Tree {
    node_size: u64,
    record: usize,
    /// Bytes for the number of records of a child.
    width: usize,
    /// Bytes for the number of all records below a child, by depth.
    totals: Vec<usize>,
}

/// Bytes that a number up to `most` takes.
fn bytes_for(most: u64) -> usize {
    1 + (most.max(1).ilog2() / 8) as usize
}

/// Calls `record` with every record of the tree at `address` and its place in the file, in order.
pub(super) fn walk(file: &File, address: u64, record: &mut dyn FnMut(&[u8], u64) -> Result<(), FormatError>) -> Result<(), FormatError> {
    let size = 4 + 1 + 1 + 4 + 2 + 2 + 1 + 1 + file.offsets as u64 + 2 + file.lengths as u64 + 4;
    let bytes = file.checked(address, size, b"BTHD", "a B-tree's header")?;
    let at = file.byte(address);
    let mut cursor = Cursor::new(&bytes, at);
    cursor.skip(6)?;
    let (node_size, record_size, depth) = (u64::from(cursor.u32()?), cursor.u16()?, usize::from(cursor.u16()?));
    cursor.skip(2)?;
    let root = cursor.address(file.offsets)?;
    let in_root = u64::from(cursor.u16()?);
    let record_size = u64::from(record_size);
    if record_size == 0 || node_size < NODE + record_size || depth > 32 {
        return Err(bad(at, format!("a B-tree of depth {depth} with nodes of {node_size} and records of {record_size} bytes")));
    }
    let most = (node_size - NODE) / record_size;
    let mut tree = Tree { node_size, record: record_size as usize, width: bytes_for(most), totals: vec![0] };
    let mut all = most;
    for level in 1..=depth {
        let pointer = (file.offsets + tree.width + tree.totals.get(level - 1).copied().unwrap_or(0)) as u64;
        let room = node_size.checked_sub(NODE + pointer).ok_or_else(|| bad(at, "a B-tree with nodes that are too small"))?;
        let most = room / (record_size + pointer);
        all = most.saturating_add(1).saturating_mul(all).saturating_add(most);
        tree.totals.push(bytes_for(all));
    }
    let Some(root) = root else { return Ok(()) };
    node(file, &tree, root, in_root, depth, &mut HashSet::new(), record)
}

fn node(
    file: &File,
    tree: &Tree,
    address: u64,
    count: u64,
    depth: usize,
    seen: &mut HashSet<u64>,
    record: &mut dyn FnMut(&[u8], u64) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let at = file.byte(address);
    if !seen.insert(address) {
        return Err(bad(at, "a B-tree has the same node twice"));
    }
    let total = if depth > 1 { tree.totals.get(depth - 1).copied().unwrap_or(0) } else { 0 };
    let pointer = if depth > 0 { file.offsets + tree.width + total } else { 0 };
    let pointers = if depth > 0 { (count + 1) * pointer as u64 } else { 0 };
    // The checksum follows the records at once; what is left of the node is not part of it.
    let size = NODE + count * tree.record as u64 + pointers;
    if size > tree.node_size {
        return Err(bad(at, format!("a B-tree's node with {count} records has {} bytes", tree.node_size)));
    }
    let (signature, what) = if depth > 0 { (b"BTIN", "a B-tree's inner node") } else { (b"BTLF", "a B-tree's leaf") };
    let bytes = file.checked(address, size, signature, what)?;
    let mut cursor = Cursor::new(&bytes, at);
    cursor.skip(6)?;
    let start = cursor.here();
    let records = cursor.take(count as usize * tree.record)?;
    let mut own = records.chunks_exact(tree.record).zip((0..).map(|place| start + place * tree.record as u64));
    for place in 0..=count {
        if depth > 0 {
            let child = cursor.address(file.offsets)?;
            let below = cursor.uint(tree.width)?;
            cursor.skip(total)?;
            let child = child.ok_or_else(|| bad(at, format!("child {place} of a B-tree's node has no address")))?;
            node(file, tree, child, below, depth - 1, seen, record)?;
        }
        if let Some((bytes, at)) = own.next() {
            record(bytes, at)?;
        }
    }
    Ok(())
}
