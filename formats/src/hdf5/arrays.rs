//! Fixed and extensible arrays, the indexes of chunks in files of HDF5 1.10 and later.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", VII.C and VII.D.

use super::chunks::{Chunk, Grid};
use super::cursor::Cursor;
use super::file::{File, bad};
use neuroflow_data::formats::FormatError;

type Found<'a> = &'a mut dyn FnMut(u64, Chunk);

/// How an element of an array is stored.
struct Element {
    bytes: usize,
    filtered: bool,
    chunk: u64,
}

impl Element {
    fn new(file: &File, grid: &Grid, client: u8, bytes: usize, at: u64) -> Result<Element, FormatError> {
        let filtered = client == 1;
        let right = if filtered { (file.offsets + 5..=file.offsets + 12).contains(&bytes) } else { bytes == file.offsets };
        if !right || client > 1 || filtered != grid.filtered {
            return Err(bad(at, format!("an array of chunks with elements of {bytes} bytes, sort {client}")));
        }
        Ok(Element { bytes, filtered, chunk: grid.bytes })
    }

    /// Reads `count` elements, the first of which is number `first`.
    fn read(&self, file: &File, cursor: &mut Cursor<'_>, first: u64, count: u64, found: Found<'_>) -> Result<(), FormatError> {
        for number in first..first.saturating_add(count) {
            let address = cursor.address(file.offsets)?;
            let (size, mask) = if self.filtered { (cursor.uint(self.bytes - file.offsets - 4)?, cursor.u32()?) } else { (self.chunk, 0) };
            if let Some(address) = address {
                found(number, Chunk { place: 0, address, size, mask });
            }
        }
        Ok(())
    }

    /// Reads elements in pages, each with its checksum; a page whose bit is not set was never written.
    fn pages(&self, file: &File, address: u64, bits: &[u8], page: u64, range: (u64, u64), found: Found<'_>) -> Result<(), FormatError> {
        let (first, count) = range;
        let mut address = address;
        let mut done = 0;
        let mut number = 0usize;
        while done < count {
            let own = page.min(count - done);
            let size = own.checked_mul(self.bytes as u64).and_then(|size| size.checked_add(4));
            let size = size.ok_or_else(|| bad(file.byte(address), "a page of an array that is too large"))?;
            let written = bits.get(number / 8).is_some_and(|byte| byte & (0x80 >> (number % 8)) != 0);
            if written {
                let bytes = file.summed(address, size, "a page of an array of chunks")?;
                self.read(file, &mut Cursor::new(&bytes, file.byte(address)), first.saturating_add(done), own, found)?;
            }
            address = address.saturating_add(size);
            done += own;
            number += 1;
        }
        Ok(())
    }
}

/// Calls `found` with the number of each element of a fixed array and its chunk.
pub(super) fn fixed(file: &File, address: u64, grid: &Grid, found: Found<'_>) -> Result<(), FormatError> {
    let size = 4 + 1 + 1 + 1 + 1 + file.lengths as u64 + file.offsets as u64 + 4;
    let bytes = file.checked(address, size, b"FAHD", "a fixed array's header")?;
    let at = file.byte(address);
    let mut cursor = Cursor::new(&bytes, at);
    cursor.skip(5)?;
    let (client, width, page_bits) = (cursor.u8()?, usize::from(cursor.u8()?), cursor.u8()?);
    let count = cursor.uint(file.lengths)?;
    let element = Element::new(file, grid, client, width, at)?;
    let Some(block) = cursor.address(file.offsets)? else { return Ok(()) };
    let fits = count.checked_mul(width as u64).is_some_and(|bytes| bytes <= file.len());
    if page_bits > 40 || !fits {
        return Err(bad(at, format!("a fixed array of {count} elements in a file of {} bytes", file.len())));
    }
    let page = 1u64 << page_bits;
    let head = 6 + file.offsets as u64;
    if count <= page {
        let bytes = file.checked(block, head + count * width as u64 + 4, b"FADB", "a fixed array's block")?;
        let mut cursor = Cursor::new(&bytes, file.byte(block));
        cursor.skip(head as usize)?;
        return element.read(file, &mut cursor, 0, count, found);
    }
    let bits = count.div_ceil(page).div_ceil(8);
    let bytes = file.checked(block, head + bits + 4, b"FADB", "a fixed array's block")?;
    let bits = bytes.get(head as usize..).unwrap_or_default().to_vec();
    element.pages(file, block.saturating_add(bytes.len() as u64 + 4), &bits, page, (0, count), found)
}

/// What the header of an extensible array says.
struct Extensible {
    element: Element,
    /// Elements of the smallest data block.
    smallest: u64,
    page: u64,
    /// Bytes of an element's number.
    offset_bytes: u64,
    /// Elements that were ever set.
    set: u64,
}

/// Calls `found` with the number of each element of an extensible array and its chunk.
pub(super) fn extensible(file: &File, address: u64, grid: &Grid, found: Found<'_>) -> Result<(), FormatError> {
    let (o, l) = (file.offsets as u64, file.lengths as u64);
    let bytes = file.checked(address, 12 + 6 * l + o + 4, b"EAHD", "an extensible array's header")?;
    let at = file.byte(address);
    let mut cursor = Cursor::new(&bytes, at);
    cursor.skip(5)?;
    let (client, width, bits) = (cursor.u8()?, usize::from(cursor.u8()?), u64::from(cursor.u8()?));
    let (in_index, smallest, pointers, page_bits) =
        (u64::from(cursor.u8()?), u64::from(cursor.u8()?), u64::from(cursor.u8()?), u64::from(cursor.u8()?));
    cursor.skip(4 * file.lengths)?;
    let set = cursor.uint(file.lengths)?;
    cursor.skip(file.lengths)?;
    let Some(index) = cursor.address(file.offsets)? else { return Ok(()) };
    let powers = smallest.is_power_of_two() && pointers.is_power_of_two();
    if !powers || bits == 0 || bits > 64 || page_bits > 40 || bits < u64::from(smallest.ilog2()) {
        return Err(bad(at, "an extensible array whose blocks have sizes that are not possible"));
    }
    let element = Element::new(file, grid, client, width, at)?;
    let array = Extensible { element, smallest, page: 1 << page_bits, offset_bytes: bits.div_ceil(8), set };
    // Super blocks up to this one have their data blocks in the index block.
    let direct = 2 * u64::from(pointers.ilog2());
    let n_super = 1 + bits - u64::from(smallest.ilog2());
    let (n_data, n_super) = (2 * (pointers - 1), n_super.saturating_sub(direct));
    let size = 6 + o + in_index * width as u64 + (n_data + n_super) * o + 4;
    let bytes = file.checked(index, size, b"EAIB", "an extensible array's index")?;
    let mut cursor = Cursor::new(&bytes, file.byte(index));
    cursor.skip(6 + file.offsets)?;
    array.element.read(file, &mut cursor, 0, in_index, found)?;
    let mut first = in_index;
    for level in 0..direct {
        let (blocks, elements) = array.level(level);
        for _ in 0..blocks {
            let address = cursor.address(file.offsets)?;
            array.data_block(file, address, first, elements, None, found)?;
            first = first.saturating_add(elements);
        }
    }
    for level in direct..direct + n_super {
        let address = cursor.address(file.offsets)?;
        let (blocks, elements) = array.level(level);
        if let Some(address) = address.filter(|_| first < set) {
            array.super_block(file, address, first, blocks, elements, found)?;
        }
        first = first.saturating_add(blocks.saturating_mul(elements));
    }
    Ok(())
}

impl Extensible {
    /// The number of data blocks of a super block and the elements of each.
    fn level(&self, level: u64) -> (u64, u64) {
        let doubled = |by: u64, number: u64| number.checked_shl(by as u32).unwrap_or(u64::MAX);
        (doubled(level / 2, 1), doubled(level.div_ceil(2), self.smallest))
    }

    fn super_block(&self, file: &File, address: u64, first: u64, blocks: u64, elements: u64, found: Found<'_>) -> Result<(), FormatError> {
        let head = 6 + file.offsets as u64 + self.offset_bytes;
        let bits = if elements > self.page { (elements / self.page).div_ceil(8) } else { 0 };
        let size =
            bits.checked_add(file.offsets as u64).and_then(|own| own.checked_mul(blocks)).and_then(|size| size.checked_add(head + 4));
        let size = size.filter(|size| *size <= file.len());
        let size = size.ok_or_else(|| bad(file.byte(address), "a block of an extensible array reaches past the file's end"))?;
        let bytes = file.checked(address, size, b"EASB", "an extensible array's block")?;
        let mut cursor = Cursor::new(&bytes, file.byte(address));
        cursor.skip(head as usize)?;
        let pages = cursor.take((bits * blocks) as usize)?;
        let mut pages = pages.chunks(bits.max(1) as usize);
        for block in 0..blocks {
            let address = cursor.address(file.offsets)?;
            let own = if bits > 0 { pages.next() } else { None };
            self.data_block(file, address, first.saturating_add(block.saturating_mul(elements)), elements, own, found)?;
        }
        Ok(())
    }

    fn data_block(
        &self,
        file: &File,
        address: Option<u64>,
        first: u64,
        elements: u64,
        pages: Option<&[u8]>,
        found: Found<'_>,
    ) -> Result<(), FormatError> {
        let Some(address) = address.filter(|_| first < self.set) else { return Ok(()) };
        let head = 6 + file.offsets as u64 + self.offset_bytes;
        let own = elements.checked_mul(self.element.bytes as u64).filter(|own| *own <= file.len());
        let own = own.ok_or_else(|| bad(file.byte(address), "a block of an extensible array reaches past the file's end"))?;
        if elements > self.page {
            file.checked(address, head + 4, b"EADB", "an extensible array's block")?;
            let all = vec![0xffu8; (elements / self.page).div_ceil(8) as usize];
            let bits = pages.unwrap_or(&all);
            return self.element.pages(file, address.saturating_add(head + 4), bits, self.page, (first, elements), found);
        }
        let bytes = file.checked(address, head + own + 4, b"EADB", "an extensible array's block")?;
        let mut cursor = Cursor::new(&bytes, file.byte(address));
        cursor.skip(head as usize)?;
        self.element.read(file, &mut cursor, first, elements, found)
    }
}
