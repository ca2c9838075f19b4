//! Fractal heaps: links and attributes of large groups, and shared messages.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", III.G.

use super::btree2;
use super::cursor::Cursor;
use super::file::{File, bad, unread};
use neuroflow_data::formats::FormatError;
use std::borrow::Cow;

/// A heap's header.
#[derive(Debug)]
pub(super) struct Fractal {
    at: u64,
    id_length: usize,
    filtered: bool,
    checked: bool,
    huge: Option<u64>,
    width: u64,
    first_block: u64,
    largest_direct: u64,
    root: Option<u64>,
    rows: u64,
    offset_bytes: usize,
    length_bytes: usize,
}

impl Fractal {
    /// Reads the header at an address.
    pub fn open(file: &File, address: u64) -> Result<Fractal, FormatError> {
        let (o, l) = (file.offsets as u64, file.lengths as u64);
        let plain = 4 + 1 + 2 + 2 + 1 + 4 + 12 * l + 3 * o + 2 + 2 + 2 + 2 + 4;
        let at = file.byte(address);
        let prefix = file.read_up_to(address, 9)?;
        let filter_bytes = u64::from(Cursor::new(prefix.get(7..).unwrap_or_default(), at + 7).u16()?);
        let size = plain + if filter_bytes > 0 { l + 4 + filter_bytes } else { 0 };
        let bytes = file.checked(address, size, b"FRHP", "a fractal heap's header")?;
        let mut cursor = Cursor::new(&bytes, at);
        cursor.skip(5)?;
        let id_length = usize::from(cursor.u16()?);
        cursor.skip(2)?;
        let flags = cursor.u8()?;
        let largest_object = u64::from(cursor.u32()?);
        cursor.skip(file.lengths)?;
        let huge = cursor.address(file.offsets)?;
        cursor.skip(file.lengths + file.offsets + 8 * file.lengths)?;
        let width = u64::from(cursor.u16()?);
        let (first_block, largest_direct) = (cursor.uint(file.lengths)?, cursor.uint(file.lengths)?);
        let bits = usize::from(cursor.u16()?);
        cursor.skip(2)?;
        let root = cursor.address(file.offsets)?;
        let rows = u64::from(cursor.u16()?);
        let sizes = first_block.is_power_of_two() && largest_direct.is_power_of_two() && width.is_power_of_two();
        if !sizes || largest_direct < first_block || bits == 0 || bits > 64 || rows > 64 {
            return Err(bad(at, "a fractal heap whose blocks have sizes that are not possible"));
        }
        let length_bytes = |most: u64| (most.max(1).ilog2() as usize).div_ceil(8);
        Ok(Fractal {
            at,
            id_length,
            filtered: filter_bytes > 0,
            checked: flags & 2 != 0,
            huge,
            width,
            first_block,
            largest_direct,
            root,
            rows,
            offset_bytes: bits.div_ceil(8),
            length_bytes: length_bytes(largest_direct).min(length_bytes(largest_object)).max(1),
        })
    }

    /// The bytes of an identifier.
    pub fn id_length(&self) -> usize {
        self.id_length
    }

    /// The object that an identifier names, with its place in the file.
    pub fn object<'f>(&self, file: &'f File, id: &[u8]) -> Result<(Cow<'f, [u8]>, u64), FormatError> {
        let Some((&first, rest)) = id.split_first() else { return Err(bad(self.at, "an empty identifier of a heap's object")) };
        if self.filtered {
            return Err(unread(self.at, "fractal heaps with filters are not read", "rewrite the file with `h5repack`"));
        }
        match (first >> 4) & 3 {
            0 => {
                let mut cursor = Cursor::new(rest, self.at);
                let (offset, length) = (cursor.uint(self.offset_bytes)?, cursor.uint(self.length_bytes)?);
                let address = self.managed(file, offset, length)?;
                Ok((file.read(address, length)?, file.byte(address)))
            }
            1 => {
                let (address, length) = self.huge_object(file, rest)?;
                Ok((file.read(address, length)?, file.byte(address)))
            }
            2 => {
                // A longer length, in identifiers that have room for more than 16 bytes.
                let long = self.id_length > 18;
                let length = if long {
                    (usize::from(first & 0x0f) << 8) | usize::from(rest.first().copied().unwrap_or(0))
                } else {
                    usize::from(first & 0x0f)
                };
                let from = usize::from(long);
                let tiny = rest.get(from..from + length + 1).ok_or_else(|| bad(self.at, "a tiny object longer than its identifier"))?;
                Ok((Cow::Owned(tiny.to_vec()), self.at))
            }
            other => Err(bad(self.at, format!("an object of kind {other} in a fractal heap"))),
        }
    }

    fn huge_object(&self, file: &File, rest: &[u8]) -> Result<(u64, u64), FormatError> {
        if self.id_length > file.offsets + file.lengths {
            let mut cursor = Cursor::new(rest, self.at);
            let address = cursor.address(file.offsets)?.ok_or_else(|| bad(self.at, "a large object without an address"))?;
            return Ok((address, cursor.uint(file.lengths)?));
        }
        let key = Cursor::new(rest, self.at).uint(rest.len().min(file.lengths))?;
        let tree = self.huge.ok_or_else(|| bad(self.at, "a large object in a heap that has none"))?;
        let mut found = None;
        btree2::walk(file, tree, &mut |record, at| {
            let mut cursor = Cursor::new(record, at);
            let (address, length, own) = (cursor.address(file.offsets)?, cursor.uint(file.lengths)?, cursor.uint(file.lengths)?);
            if own == key {
                found = address.map(|address| (address, length));
            }
            Ok(())
        })?;
        found.ok_or_else(|| bad(self.at, format!("a fractal heap has no large object {key}")))
    }

    /// The size of a block in a row of the doubling table, and where the row begins in the heap.
    fn row(&self, row: u64) -> Option<(u64, u64)> {
        if row == 0 {
            return Some((self.first_block, 0));
        }
        let size = self.first_block.checked_shl((row - 1) as u32).filter(|size| size >> (row - 1) == self.first_block)?;
        Some((size, size.checked_mul(self.width)?))
    }

    /// The address of the object at `offset` of the heap.
    fn managed(&self, file: &File, offset: u64, length: u64) -> Result<u64, FormatError> {
        let lost = || bad(self.at, format!("a fractal heap has no object at offset {offset}"));
        let mut address = self.root.ok_or_else(lost)?;
        let mut rows = self.rows;
        // Where the block begins in the heap. Each step goes into a smaller block, so the loop ends.
        let mut begin = 0u64;
        let mut size = if rows == 0 { self.first_block } else { u64::MAX };
        let direct_rows = u64::from(self.largest_direct.ilog2() - self.first_block.ilog2()) + 2;
        while rows > 0 {
            let direct = rows.min(direct_rows) * self.width;
            let indirect = rows.saturating_sub(direct_rows) * self.width;
            let head = 5 + file.offsets as u64 + self.offset_bytes as u64;
            let bytes = file.checked(address, head + (direct + indirect) * file.offsets as u64 + 4, b"FHIB", "a fractal heap's block")?;
            let inside = offset.checked_sub(begin).ok_or_else(lost)?;
            let row = (0..rows).rev().find(|row| self.row(*row).is_some_and(|(_, start)| start <= inside)).ok_or_else(lost)?;
            let (block, start) = self.row(row).ok_or_else(lost)?;
            let column = (inside - start) / block;
            if column >= self.width {
                return Err(lost());
            }
            let place = head + (row * self.width + column) * file.offsets as u64;
            let mut cursor = Cursor::new(bytes.get(place as usize..).unwrap_or_default(), file.byte(address) + place);
            address = cursor.address(file.offsets)?.ok_or_else(lost)?;
            begin = begin.checked_add(start + column * block).ok_or_else(lost)?;
            size = block;
            rows = if row < direct_rows {
                0
            } else {
                let below = u64::from(block.ilog2()).checked_sub(u64::from(self.first_block.ilog2() + self.width.ilog2()));
                below.ok_or_else(lost)? + 1
            };
        }
        let inside = offset.checked_sub(begin).ok_or_else(lost)?;
        let head = 5 + file.offsets as u64 + self.offset_bytes as u64 + if self.checked { 4 } else { 0 };
        if inside < head || inside.checked_add(length).is_none_or(|end| end > size) {
            return Err(lost());
        }
        let begin = file.read(address, 5 + file.offsets as u64)?;
        let mut cursor = Cursor::new(&begin, file.byte(address));
        if cursor.take(4)? != b"FHDB" {
            return Err(bad(file.byte(address), "a fractal heap's block should begin with `FHDB`"));
        }
        cursor.skip(1)?;
        if cursor.address(file.offsets)?.map(|owner| file.byte(owner)) != Some(self.at) {
            return Err(bad(file.byte(address), "a fractal heap's block says that it belongs to another heap"));
        }
        address.checked_add(inside).ok_or_else(lost)
    }
}
