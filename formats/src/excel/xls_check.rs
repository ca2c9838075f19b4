//! A look at an `.xls` before it is read: how far apart the cells of its sheets lie, and whether its sectors lead in circles.
//!
//! Its reader makes a full table of each sheet, so that two cells at the far ends take half a gibibyte, and follows chains of sectors without an
//! end. Here the workbook's stream is followed through the
//! compound file ([MS-CFB], sections 2.2 to 2.6) and its records ([MS-XLS], section 2.1) are walked.

use neuroflow_data::formats::bytes::{ByteOrder, number_at};

type Problem = (u64, String);

fn u16_at(bytes: &[u8], at: usize) -> Option<u16> {
    number_at(bytes, at, ByteOrder::Little)
}

fn u32_at(bytes: &[u8], at: usize) -> Option<u32> {
    number_at(bytes, at, ByteOrder::Little)
}

/// Sectors of a compound file.
struct Compound<'b> {
    bytes: &'b [u8],
    size: usize,
    table: Vec<u32>,
}

impl Compound<'_> {
    fn sector(&self, number: u32) -> Option<&[u8]> {
        let start = (number as usize).checked_add(1)?.checked_mul(self.size)?;
        // The last sector of a file may be cut.
        self.bytes.get(start..start.checked_add(self.size)?.min(self.bytes.len()))
    }

    /// The bytes of a chain of sectors.
    fn chain(&self, first: u32) -> Option<Vec<u8>> {
        let mut out = Vec::new();
        let mut sector = first;
        let mut steps = 0usize;
        while sector < 0xffff_fffa {
            out.extend_from_slice(self.sector(sector)?);
            sector = *self.table.get(sector as usize)?;
            steps += 1;
            if steps > self.table.len() {
                return None;
            }
        }
        Some(out)
    }
}

/// A compound file with the workbook's stream alone, when no sheet of it is much larger than its cells.
///
/// Other streams (macros, properties) and chains that lead in circles stay behind.
pub(super) fn cleaned(bytes: &[u8]) -> Result<Vec<u8>, Problem> {
    let (name, mut stream) = workbook(bytes).ok_or_else(|| (0, "the compound file is damaged, or holds no workbook".to_owned()))?;
    check(&mut stream)?;
    compound(name, &stream).ok_or_else(|| (0, "the workbook is longer than is read".to_owned()))
}

/// Records of a stream from a place on: kind, data, and the place of the next.
fn record(stream: &[u8], at: usize) -> Option<(u16, &[u8], usize)> {
    let (kind, length) = (u16_at(stream, at)?, usize::from(u16_at(stream, at + 2)?));
    let start = at + 4;
    Some((kind, stream.get(start..start + length).unwrap_or_default(), start + length))
}

/// Follows every sheet from where the workbook says it begins, as its reader will. What a sheet says of its own size is taken out, for its reader would
/// make room for that before it has seen a cell.
fn check(stream: &mut [u8]) -> Result<(), Problem> {
    let mut starts = Vec::new();
    let (mut at, mut depth) = (0usize, 0usize);
    while let Some((kind, data, next)) = record(stream, at) {
        match kind {
            0x0809 | 0x0409 | 0x0209 | 0x0009 => depth += 1,
            0x000a if depth <= 1 => break,
            0x000a => depth -= 1,
            0x0085 => starts.extend(u32_at(data, 0)),
            _ => {}
        }
        at = next;
    }
    let count = starts.len();
    starts.sort_unstable();
    starts.dedup();
    if starts.len() < count {
        return Err((at as u64, "two sheets of the workbook are the same bytes".to_owned()));
    }
    let mut total = 0u64;
    let ends = starts.iter().skip(1).map(|next| *next as usize).chain([usize::MAX]);
    for (start, end) in starts.iter().zip(ends) {
        let extent = sheet(stream, *start as usize, end)?;
        let area = extent.area();
        total = total.saturating_add(area);
        let most = extent.cells.saturating_mul(64).saturating_add(1 << 18);
        if area > most || total > (stream.len() as u64).saturating_mul(2).saturating_add(1 << 20) {
            return Err((u64::from(*start), format!("the {} cells of a sheet are spread over {area} places", extent.cells)));
        }
    }
    Ok(())
}

/// One sheet from its start to the record that ends it, which lies before the next sheet.
fn sheet(stream: &mut [u8], start: usize, next_sheet: usize) -> Result<Extent, Problem> {
    let mut extent = Extent::default();
    let (mut at, mut begun, mut nested) = (start, false, 0usize);
    while let Some((kind, data, next)) = record(stream, at) {
        match kind {
            // What is embedded, such as a chart, is no part of the sheet.
            0x0809 if begun => nested += 1,
            0x0809 => begun = true,
            0x000a if nested == 0 => break,
            0x000a => nested -= 1,
            _ if nested > 0 => {}
            // The size.
            0x0200 => {
                let length = data.len();
                if let Some(size) = stream.get_mut(at + 4..at + 4 + length) {
                    size.fill(0);
                }
            }
            // Cells of one column: numbers, texts, truth values, formulas, blanks.
            0x0203 | 0x027e | 0x00fd | 0x0204 | 0x0205 | 0x0006 | 0x0206 | 0x0406 | 0x00d6 | 0x0201 | 0x0003 | 0x0004 | 0x0002 => {
                if let (Some(row), Some(column)) = (u16_at(data, 0), u16_at(data, 2)) {
                    extent.cell(row, column, column);
                }
            }
            // Cells of several columns: the last stands at the end.
            0x00bd | 0x00be => {
                let last = data.len().checked_sub(2).and_then(|end| u16_at(data, end));
                if let (Some(row), Some(column), Some(last)) = (u16_at(data, 0), u16_at(data, 2), last) {
                    extent.cell(row, column, last.max(column));
                }
            }
            _ => {}
        }
        at = next;
        if at > next_sheet {
            return Err((at as u64, "sheets of the workbook overlap".to_owned()));
        }
    }
    Ok(extent)
}

/// A compound file of one stream: its header, the allocation table, a directory of two entries, and the stream.
fn compound(name: &str, stream: &[u8]) -> Option<Vec<u8>> {
    const SECTOR: usize = 4096;
    const END: u32 = 0xffff_fffe;
    // Streams of less than a sector would lie in small sectors; zeros behind the last record are never looked at.
    let length = stream.len().max(SECTOR);
    let data = length.div_ceil(SECTOR);
    let mut tables = 1;
    while tables * (SECTOR / 4) < tables + 1 + data {
        tables += 1;
    }
    if tables > 109 {
        return None;
    }
    let mut out = vec![0u8; SECTOR];
    let mut put = |at: usize, own: &[u8]| {
        if let Some(place) = out.get_mut(at..at + own.len()) {
            place.copy_from_slice(own);
        }
    };
    put(0, &[0xd0, 0xcf, 0x11, 0xe0, 0xa1, 0xb1, 0x1a, 0xe1]);
    put(24, &[0x3e, 0, 3, 0, 0xfe, 0xff, 12, 0, 6, 0]);
    put(44, &(tables as u32).to_le_bytes());
    put(48, &(tables as u32).to_le_bytes());
    put(56, &4096u32.to_le_bytes());
    put(60, &END.to_le_bytes());
    put(68, &END.to_le_bytes());
    for place in 0..109 {
        let own = if place < tables { place as u32 } else { u32::MAX };
        put(76 + 4 * place, &own.to_le_bytes());
    }
    let mut table: Vec<u32> = vec![0xffff_fffd; tables];
    table.push(END);
    let first = table.len() as u32;
    table.extend((1..data as u32).map(|next| first + next));
    table.push(END);
    table.resize(tables * (SECTOR / 4), u32::MAX);
    table.iter().for_each(|own| out.extend(own.to_le_bytes()));
    let entry = |name: &str, sort: u8, start: u32, length: u64| {
        let mut own: Vec<u8> = name.encode_utf16().flat_map(u16::to_le_bytes).collect();
        let bytes = own.len() as u16 + 2;
        own.resize(64, 0);
        own.extend(bytes.to_le_bytes());
        own.extend([sort, 1]);
        own.extend([0xff; 8]);
        own.extend(if sort == 5 { 1u32 } else { u32::MAX }.to_le_bytes());
        own.resize(116, 0);
        own.extend(start.to_le_bytes());
        own.extend(length.to_le_bytes());
        own
    };
    out.extend(entry("Root Entry", 5, END, 0));
    out.extend(entry(name, 2, first, length as u64));
    out.resize((1 + tables + 1) * SECTOR, 0);
    out.extend(stream);
    out.resize((1 + tables + 1 + data) * SECTOR, 0);
    Some(out)
}

/// Where the cells of a sheet lie.
#[derive(Default)]
struct Extent {
    cells: u64,
    rows: Option<(u16, u16)>,
    columns: Option<(u16, u16)>,
}

impl Extent {
    fn cell(&mut self, row: u16, first: u16, last: u16) {
        let joined = |own: Option<(u16, u16)>, low: u16, high: u16| own.map_or((low, high), |(a, b)| (a.min(low), b.max(high)));
        self.cells += u64::from(last - first) + 1;
        self.rows = Some(joined(self.rows, row, row));
        self.columns = Some(joined(self.columns, first, last));
    }

    fn area(&self) -> u64 {
        let length = |ends: Option<(u16, u16)>| ends.map_or(0, |(low, high)| u64::from(high - low) + 1);
        length(self.rows) * length(self.columns)
    }
}

/// The bytes of the stream `Workbook` or `Book`.
fn workbook(bytes: &[u8]) -> Option<(&'static str, Vec<u8>)> {
    let shift = u16_at(bytes, 30)?;
    if !(7..=16).contains(&shift) {
        return None;
    }
    let size = 1usize << shift;
    let mut file = Compound { bytes, size, table: Vec::new() };
    // Sectors of the allocation table: 109 in the header, more in a chain.
    let mut sectors: Vec<u32> = (0..109).filter_map(|place| u32_at(bytes, 76 + 4 * place)).collect();
    let mut next = u32_at(bytes, 68)?;
    let most = bytes.len() / size + 1;
    let mut steps = 0;
    while next < 0xffff_fffa && steps <= most {
        let sector = file.sector(next)?;
        sectors.extend((0..size / 4 - 1).filter_map(|place| u32_at(sector, 4 * place)));
        next = u32_at(sector, size - 4)?;
        steps += 1;
    }
    for sector in sectors.into_iter().filter(|sector| *sector < 0xffff_fffa).take(most) {
        let own: Vec<u32> = match file.sector(sector) {
            Some(sector) => (0..size / 4).filter_map(|place| u32_at(sector, 4 * place)).collect(),
            None => continue,
        };
        file.table.extend(own);
    }
    let directory = file.chain(u32_at(bytes, 48)?)?;
    let cutoff = u32_at(bytes, 56)?;
    let mut found = None;
    for entry in directory.chunks_exact(128) {
        let length = usize::from(u16_at(entry, 64)?).saturating_sub(2).min(64);
        let name: Vec<u16> = entry.get(..length)?.chunks_exact(2).map(|two| u16_at(two, 0).unwrap_or_default()).collect();
        let name = String::from_utf16_lossy(&name);
        if let Some(name) = ["Workbook", "Book"].into_iter().find(|own| own.eq_ignore_ascii_case(&name)) {
            found = Some((name, u32_at(entry, 116)?, u32_at(entry, 120)?));
            break;
        }
    }
    let (name, first, length) = found?;
    if length >= cutoff {
        let mut stream = file.chain(first)?;
        stream.truncate(length as usize);
        return Some((name, stream));
    }
    // A short stream lies in small sectors inside of the root's stream.
    let small = 1usize << u16_at(bytes, 32).filter(|shift| (3..=12).contains(shift))?;
    let root = file.chain(u32_at(&directory, 116)?)?;
    let table = file.chain(u32_at(bytes, 60)?)?;
    let (mut out, mut sector, mut steps) = (Vec::new(), first, 0usize);
    while sector < 0xffff_fffa && out.len() < length as usize {
        let start = (sector as usize).checked_mul(small)?;
        out.extend_from_slice(root.get(start..start.checked_add(small)?.min(root.len()))?);
        sector = u32_at(&table, (sector as usize).checked_mul(4)?)?;
        steps += 1;
        if steps > table.len() {
            return None;
        }
    }
    out.truncate(length as usize);
    Some((name, out))
}
