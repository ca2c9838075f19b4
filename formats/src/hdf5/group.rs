//! Links of groups: symbol tables, link messages, and links in heaps.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", III.A.1, III.B, III.C, IV.A.2.g.

use super::btree1::btree1_node;
use super::btree2;
use super::cursor::Cursor;
use super::file::{File, bad};
use super::fractal::Fractal;
use super::header::{Header, kind};
use super::heap;
use neuroflow_data::formats::FormatError;
use std::collections::HashSet;

/// A name in a group and what it leads to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Link {
    pub name: String,
    pub target: Target,
    /// Where it stands in the order of making, if the file keeps that.
    order: Option<u64>,
}

/// What a link leads to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Target {
    /// An object's header.
    Object(u64),
    /// A path in this file.
    Soft(String),
    /// A path in another file, which is never opened.
    External { file: String, path: String },
    /// Something else.
    Unknown(u8),
}

/// The links of a group; `None` when the header is not one of a group.
pub(super) fn links(file: &File, header: &Header) -> Result<Option<Vec<Link>>, FormatError> {
    let mut links = Vec::new();
    let mut group = false;
    let mut ordered = false;
    for message in &header.messages {
        match message.kind {
            kind::SYMBOLS => {
                group = true;
                let mut cursor = Cursor::new(&message.data, message.at);
                let (tree, names) = (cursor.address(file.offsets)?, cursor.address(file.offsets)?);
                if let (Some(tree), Some(names)) = (tree, names) {
                    let (names, names_at) = heap::local(file, names)?;
                    symbols(file, tree, None, &names, names_at, &mut HashSet::new(), &mut links)?;
                }
            }
            kind::LINK => {
                group = true;
                links.push(link(file, &mut Cursor::new(&message.data, message.at))?);
            }
            kind::LINK_INFO => {
                group = true;
                let mut cursor = Cursor::new(&message.data, message.at);
                cursor.skip(1)?;
                let flags = cursor.u8()?;
                ordered = flags & 1 != 0;
                cursor.skip(if ordered { 8 } else { 0 })?;
                let (heap, tree) = (cursor.address(file.offsets)?, cursor.address(file.offsets)?);
                if let (Some(heap), Some(tree)) = (heap, tree) {
                    dense(file, heap, tree, &mut |bytes, at| {
                        links.push(link(file, &mut Cursor::new(bytes, at))?);
                        Ok(())
                    })?;
                }
            }
            _ => {}
        }
    }
    // The order of making where it is kept, by name otherwise, as h5py lists them.
    if ordered && links.iter().all(|link| link.order.is_some()) {
        links.sort_by_key(|link| link.order);
    } else {
        links.sort_by(|one, other| one.name.cmp(&other.name));
    }
    distinct(file, header, &links)?;
    Ok(group.then_some(links))
}

/// Every link has a name of its own, with no `/` in it: a path leads to one object, and a group is not below itself under its own path.
fn distinct(file: &File, header: &Header, links: &[Link]) -> Result<(), FormatError> {
    let at = header.messages.first().map_or_else(|| file.byte(0), |message| message.at);
    let mut names = HashSet::with_capacity(links.len());
    for link in links {
        let shown = link.name.escape_debug();
        if link.name.is_empty() || link.name.contains('/') {
            return Err(bad(at, format!("a link is called `{shown}`, which is no name")));
        }
        if !names.insert(link.name.as_str()) {
            return Err(bad(at, format!("two links of one group are called `{shown}`")));
        }
    }
    Ok(())
}

/// Calls `object` with each object that the records of the tree name in the heap.
pub(super) fn dense(
    file: &File,
    heap: u64,
    tree: u64,
    object: &mut dyn FnMut(&[u8], u64) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let heap = Fractal::open(file, heap)?;
    btree2::walk(file, tree, &mut |record, at| {
        // The tree by name: links have a hash before the identifier, attributes have flags, order and hash after it.
        let id = heap.id_length();
        let own = if record.len() == 4 + id { record.get(4..) } else { record.get(..id) };
        let own = own.ok_or_else(|| bad(at, format!("a record of {} bytes for an identifier of {id}", record.len())))?;
        let (bytes, at) = heap.object(file, own)?;
        object(&bytes, at)
    })
}

fn link(file: &File, cursor: &mut Cursor<'_>) -> Result<Link, FormatError> {
    let at = cursor.here();
    let (version, flags) = (cursor.u8()?, cursor.u8()?);
    if version != 1 {
        return Err(bad(at, format!("a link of version {version}")));
    }
    let sort = if flags & 8 != 0 { cursor.u8()? } else { 0 };
    let order = if flags & 4 != 0 { Some(cursor.uint(8)?) } else { None };
    cursor.skip(if flags & 16 != 0 { 1 } else { 0 })?;
    let length = cursor.uint(1 << (flags & 3))?;
    let name = text(cursor, length, at)?;
    let target = match sort {
        0 => Target::Object(cursor.address(file.offsets)?.ok_or_else(|| bad(at, "a link without an address"))?),
        1 => {
            let length = u64::from(cursor.u16()?);
            Target::Soft(text(cursor, length, at)?)
        }
        64 => {
            let length = usize::from(cursor.u16()?);
            let value = cursor.take(length)?;
            let mut parts = value.get(1..).unwrap_or_default().split(|byte| *byte == 0);
            let mut part = || String::from_utf8_lossy(parts.next().unwrap_or_default()).into_owned();
            Target::External { file: part(), path: part() }
        }
        other => Target::Unknown(other),
    };
    file.hold(64 + 2 * name.len() as u64, at)?;
    Ok(Link { name, target, order })
}

fn text(cursor: &mut Cursor<'_>, length: u64, at: u64) -> Result<String, FormatError> {
    let length = usize::try_from(length).map_err(|_| bad(at, "a name that is too long"))?;
    Ok(String::from_utf8_lossy(cursor.take(length)?).into_owned())
}

/// Walks a B-tree of version 1 whose leaves are nodes of symbols.
fn symbols(
    file: &File,
    address: u64,
    level: Option<u8>,
    names: &[u8],
    names_at: u64,
    seen: &mut HashSet<u64>,
    links: &mut Vec<Link>,
) -> Result<(), FormatError> {
    let (at, own, count, prefix) = btree1_node(file, address, 0, level, seen)?;
    let bytes = file.read(address.saturating_add(prefix), count * (file.lengths + file.offsets) as u64 + file.lengths as u64)?;
    let mut cursor = Cursor::new(&bytes, at + prefix);
    for _ in 0..count {
        cursor.skip(file.lengths)?;
        let child = cursor.address(file.offsets)?.ok_or_else(|| bad(at, "a B-tree's child has no address"))?;
        if own > 0 {
            symbols(file, child, Some(own - 1), names, names_at, seen, links)?;
        } else if seen.insert(child) {
            symbol_node(file, child, names, names_at, links)?;
        } else {
            return Err(bad(at, "a B-tree has the same node twice"));
        }
    }
    Ok(())
}

fn symbol_node(file: &File, address: u64, names: &[u8], names_at: u64, links: &mut Vec<Link>) -> Result<(), FormatError> {
    let at = file.byte(address);
    let head = file.read(address, 8)?;
    let mut cursor = Cursor::new(&head, at);
    if cursor.take(4)? != b"SNOD" {
        return Err(bad(at, "a node of symbols should begin with `SNOD`"));
    }
    cursor.skip(2)?;
    let count = u64::from(cursor.u16()?);
    let size = 2 * file.offsets as u64 + 4 + 4 + 16;
    let bytes = file.read(address.saturating_add(8), count * size)?;
    let mut cursor = Cursor::new(&bytes, at + 8);
    let in_heap = |offset: u64, at: u64| -> Result<String, FormatError> {
        let rest = usize::try_from(offset).ok().and_then(|offset| names.get(offset..));
        let rest = rest.ok_or_else(|| bad(at, format!("a name at {offset} of a heap of {} bytes", names.len())))?;
        Cursor::new(rest, names_at.saturating_add(offset)).name(false)
    };
    for _ in 0..count {
        let at = cursor.here();
        let name = in_heap(cursor.uint(file.offsets)?, at)?;
        let object = cursor.address(file.offsets)?;
        let cache = cursor.u32()?;
        cursor.skip(4)?;
        let target = if cache == 2 {
            let offset = u64::from(cursor.u32()?);
            cursor.skip(12)?;
            Target::Soft(in_heap(offset, at)?)
        } else {
            cursor.skip(16)?;
            Target::Object(object.ok_or_else(|| bad(at, "a symbol without an address"))?)
        };
        file.hold(64 + 2 * name.len() as u64, at)?;
        links.push(Link { name, target, order: None });
    }
    Ok(())
}
