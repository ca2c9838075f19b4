//! Messages of datasets: shape, where the values are, how they were filtered, what stands where nothing was written.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", IV.A.2.

use super::cursor::Cursor;
use super::file::{File, bad};
use super::header::Message;
use neuroflow_data::formats::FormatError;

/// The shape of a dataset or an attribute.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Space {
    /// The length along each axis; empty for a single value.
    pub dims: Vec<u64>,
    /// The greatest length along each axis; `u64::MAX` where there is none.
    pub most: Vec<u64>,
    /// Whether there is nothing, not even one value.
    pub null: bool,
}

impl Space {
    /// The number of elements.
    pub fn count(&self) -> Option<u64> {
        if self.null {
            return Some(0);
        }
        self.dims.iter().try_fold(1u64, |product, dim| product.checked_mul(*dim))
    }
}

/// How the values of a dataset lie.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Layout {
    /// In the header.
    Compact(Vec<u8>),
    /// In one piece; nowhere when nothing was written.
    Contiguous { address: Option<u64>, size: u64 },
    /// In chunks.
    Chunked { chunk: Vec<u64>, address: Option<u64>, index: Index, raw_edges: bool },
    /// In other datasets; which, an object of a global heap says.
    Virtual { heap: Option<u64>, number: u32 },
}

/// How chunks are found.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Index {
    /// A B-tree of version 1.
    Tree1,
    /// There is one chunk; its size and filter mask when filtered.
    Single { filtered: Option<(u64, u32)> },
    /// Chunks follow each other.
    Implicit,
    /// A fixed array.
    Fixed,
    /// An extensible array.
    Extensible,
    /// A B-tree of version 2.
    Tree2,
}

/// A filter with its parameters.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Filter {
    pub id: u16,
    pub name: String,
    pub values: Vec<u32>,
}

/// Reads a dataspace.
pub(super) fn space(file: &File, cursor: &mut Cursor<'_>) -> Result<Space, FormatError> {
    let at = cursor.here();
    let (version, rank, flags) = (cursor.u8()?, usize::from(cursor.u8()?), cursor.u8()?);
    let null = match version {
        1 => {
            cursor.skip(5)?;
            false
        }
        2 => cursor.u8()? == 2,
        other => return Err(bad(at, format!("a dataspace of version {other}"))),
    };
    if rank > 32 {
        return Err(bad(at, format!("a dataspace of {rank} axes")));
    }
    let dims = (0..rank).map(|_| cursor.uint(file.lengths)).collect::<Result<Vec<_>, _>>()?;
    let most = if flags & 1 != 0 {
        let widest = if file.lengths >= 8 { u64::MAX } else { (1u64 << (8 * file.lengths)) - 1 };
        let most = (0..rank).map(|_| cursor.uint(file.lengths)).collect::<Result<Vec<_>, _>>()?;
        most.into_iter().map(|most| if most == widest { u64::MAX } else { most }).collect()
    } else {
        dims.clone()
    };
    Ok(Space { dims, most, null })
}

/// Reads a layout.
pub(super) fn layout(file: &File, message: &Message) -> Result<Layout, FormatError> {
    let mut cursor = Cursor::new(&message.data, message.at);
    let at = message.at;
    let version = cursor.u8()?;
    match version {
        1 | 2 => {
            let (rank, class) = (usize::from(cursor.u8()?), cursor.u8()?);
            cursor.skip(5)?;
            let address = if class == 0 { None } else { cursor.address(file.offsets)? };
            let dims = (0..rank).map(|_| cursor.u32().map(u64::from)).collect::<Result<Vec<_>, _>>()?;
            match class {
                0 => {
                    let size = cursor.u32()? as usize;
                    Ok(Layout::Compact(cursor.take(size)?.to_vec()))
                }
                1 => {
                    let size = dims.iter().try_fold(1u64, |product, dim| product.checked_mul(*dim));
                    // The last of the dimensions is the size of an element.
                    Ok(Layout::Contiguous { address, size: size.ok_or_else(|| bad(at, "a dataset that is too large"))? })
                }
                2 => chunked(dims, address, Index::Tree1, false, at),
                other => Err(bad(at, format!("a layout of class {other}"))),
            }
        }
        3..=5 => match cursor.u8()? {
            0 => {
                let size = usize::from(cursor.u16()?);
                Ok(Layout::Compact(cursor.take(size)?.to_vec()))
            }
            1 => Ok(Layout::Contiguous { address: cursor.address(file.offsets)?, size: cursor.uint(file.lengths)? }),
            2 if version == 3 => {
                let rank = usize::from(cursor.u8()?);
                let address = cursor.address(file.offsets)?;
                let dims = (0..rank).map(|_| cursor.u32().map(u64::from)).collect::<Result<Vec<_>, _>>()?;
                chunked(dims, address, Index::Tree1, false, at)
            }
            2 => layout_4(file, &mut cursor, at),
            3 => Ok(Layout::Virtual { heap: cursor.address(file.offsets)?, number: cursor.u32()? }),
            other => Err(bad(at, format!("a layout of class {other}"))),
        },
        other => Err(bad(at, format!("a layout of version {other}"))),
    }
}

fn layout_4(file: &File, cursor: &mut Cursor<'_>, at: u64) -> Result<Layout, FormatError> {
    let (flags, rank, width) = (cursor.u8()?, usize::from(cursor.u8()?), usize::from(cursor.u8()?));
    if width == 0 || width > 8 {
        return Err(bad(at, format!("lengths of chunks in {width} bytes")));
    }
    let dims = (0..rank).map(|_| cursor.uint(width)).collect::<Result<Vec<_>, _>>()?;
    let index = match cursor.u8()? {
        1 => Index::Single { filtered: if flags & 2 != 0 { Some((cursor.uint(file.lengths)?, cursor.u32()?)) } else { None } },
        2 => Index::Implicit,
        3 => {
            cursor.skip(1)?;
            Index::Fixed
        }
        4 => {
            cursor.skip(5)?;
            Index::Extensible
        }
        5 => {
            cursor.skip(6)?;
            Index::Tree2
        }
        other => return Err(bad(at, format!("a chunk index of kind {other}"))),
    };
    let address = cursor.address(file.offsets)?;
    chunked(dims, address, index, flags & 1 != 0, at)
}

/// The last of the dimensions is the size of an element, which the datatype says too.
fn chunked(mut dims: Vec<u64>, address: Option<u64>, index: Index, raw_edges: bool, at: u64) -> Result<Layout, FormatError> {
    dims.pop();
    if dims.is_empty() || dims.contains(&0) {
        return Err(bad(at, format!("chunks of the shape {dims:?}")));
    }
    Ok(Layout::Chunked { chunk: dims, address, index, raw_edges })
}

/// Reads a list of filters, in the order in which they were applied.
pub(super) fn filters(message: &Message) -> Result<Vec<Filter>, FormatError> {
    let mut cursor = Cursor::new(&message.data, message.at);
    let (version, count) = (cursor.u8()?, cursor.u8()?);
    match version {
        1 => cursor.skip(6)?,
        2 => {}
        other => return Err(bad(message.at, format!("a list of filters of version {other}"))),
    }
    let mut filters = Vec::new();
    for _ in 0..count {
        let id = cursor.u16()?;
        let name_length = if version == 1 || id >= 256 { usize::from(cursor.u16()?) } else { 0 };
        cursor.skip(2)?;
        let n_values = usize::from(cursor.u16()?);
        let name_length = if version == 1 { name_length.div_ceil(8) * 8 } else { name_length };
        let name = cursor.take(name_length)?.split(|byte| *byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        let values = (0..n_values).map(|_| cursor.u32()).collect::<Result<Vec<_>, _>>()?;
        cursor.skip(if version == 1 && n_values % 2 == 1 { 4 } else { 0 })?;
        filters.push(Filter { id, name, values });
    }
    Ok(filters)
}

/// Reads a fill value; none when it is the usual zero.
pub(super) fn fill(message: &Message) -> Result<Option<Vec<u8>>, FormatError> {
    let mut cursor = Cursor::new(&message.data, message.at);
    let version = cursor.u8()?;
    let defined = match version {
        1 | 2 => {
            cursor.skip(2)?;
            cursor.u8()? != 0 || version == 1
        }
        3 => cursor.u8()? & 0x20 != 0,
        other => return Err(bad(message.at, format!("a fill value of version {other}"))),
    };
    if !defined {
        return Ok(None);
    }
    let size = cursor.u32()? as usize;
    Ok(if size == 0 || size == u32::MAX as usize { None } else { Some(cursor.take(size)?.to_vec()) })
}

/// Reads a fill value of the first sort.
pub(super) fn fill_old(message: &Message) -> Result<Option<Vec<u8>>, FormatError> {
    let mut cursor = Cursor::new(&message.data, message.at);
    let size = cursor.u32()? as usize;
    Ok(if size == 0 { None } else { Some(cursor.take(size)?.to_vec()) })
}
