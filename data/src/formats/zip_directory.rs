//! The directory of a zip archive, read so that every claim is checked against the bytes before it is believed.
//!
//! Stored and deflated members, with 64-bit sizes where needed. Refused: encryption, archives in several parts, other compressions.
//! The layout is that of PKWARE's APPNOTE 6.3.10, sections 4.3 to 4.5.

use super::bytes::{ByteOrder, number_at};
use super::inflate::{Wrapping, inflate};
use super::limits::{Budget, Limits};
use std::io::Read;

const LOCAL: &[u8] = b"PK\x03\x04";
const CENTRAL: &[u8] = b"PK\x01\x02";
const END: &[u8] = b"PK\x05\x06";
const END_64: &[u8] = b"PK\x06\x06";
const END_64_LOCATOR: &[u8] = b"PK\x06\x07";

/// One member, as the directory describes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Member {
    /// Its name with folders.
    pub name: String,
    method: u16,
    checksum: u32,
    compressed: u64,
    inflated: u64,
    header: u64,
}

impl Member {
    /// The bytes that it says it holds once inflated.
    pub fn inflated(&self) -> u64 {
        self.inflated
    }

    /// The bytes that it takes in the archive.
    pub fn compressed(&self) -> u64 {
        self.compressed
    }
}

/// Something wrong in the archive: the byte and the reason.
pub type ZipProblem = (u64, String);

fn u16_at(bytes: &[u8], offset: usize) -> Option<u16> {
    number_at(bytes, offset, ByteOrder::Little)
}

fn u32_at(bytes: &[u8], offset: usize) -> Option<u32> {
    number_at(bytes, offset, ByteOrder::Little)
}

fn u64_at(bytes: &[u8], offset: usize) -> Option<u64> {
    number_at(bytes, offset, ByteOrder::Little)
}

/// All members, in the directory's order.
pub fn members(bytes: &[u8]) -> Result<Vec<Member>, ZipProblem> {
    let end = find_end(bytes).ok_or((bytes.len() as u64, "the directory at the end of the archive is missing".to_owned()))?;
    let cut = |byte: usize| (byte as u64, "the directory of the archive breaks off".to_owned());
    let mut count = u16_at(bytes, end + 10).map(u64::from).ok_or(cut(end))?;
    let mut offset = u32_at(bytes, end + 16).map(u64::from).ok_or(cut(end))?;
    if count == 0xffff || offset == 0xffff_ffff {
        (count, offset) = end_64(bytes, end).ok_or((end as u64, "the 64-bit directory of the archive is damaged".to_owned()))?;
    }
    let mut position = usize::try_from(offset).ok().filter(|offset| *offset <= bytes.len()).ok_or(cut(end))?;
    let mut members = Vec::new();
    for _ in 0..count {
        let (member, next) = central_entry(bytes, position)?;
        members.push(member);
        position = next;
    }
    // Entries that share their bytes are how a small archive inflates to a huge one.
    let stored = members.iter().fold(0u64, |sum, member| sum.saturating_add(member.compressed));
    if stored > bytes.len() as u64 {
        return Err((offset, "the members of the archive claim more bytes than it has, so they overlap".to_owned()));
    }
    Ok(members)
}

/// The end record, searched backwards through the archive's comment.
fn find_end(bytes: &[u8]) -> Option<usize> {
    let last = bytes.len().checked_sub(22)?;
    let first = last.saturating_sub(usize::from(u16::MAX));
    (first..=last).rev().find(|position| bytes.get(*position..position + 4) == Some(END))
}

fn end_64(bytes: &[u8], end: usize) -> Option<(u64, u64)> {
    let locator = end.checked_sub(20)?;
    if bytes.get(locator..locator + 4)? != END_64_LOCATOR {
        return None;
    }
    let record = usize::try_from(u64_at(bytes, locator + 8)?).ok()?;
    if bytes.get(record..record.checked_add(4)?)? != END_64 {
        return None;
    }
    Some((u64_at(bytes, record.checked_add(32)?)?, u64_at(bytes, record.checked_add(48)?)?))
}

fn central_entry(bytes: &[u8], position: usize) -> Result<(Member, usize), ZipProblem> {
    let problem = |reason: &str| (position as u64, reason.to_owned());
    let cut = || problem("the directory of the archive breaks off");
    let entry = bytes.get(position..).unwrap_or_default();
    if !entry.starts_with(CENTRAL) {
        return Err(problem("an entry of the archive's directory is expected here"));
    }
    let field16 = |offset| u16_at(entry, offset).ok_or_else(cut);
    let field32 = |offset| u32_at(entry, offset).ok_or_else(cut);
    let (flags, method, checksum) = (field16(8)?, field16(10)?, field32(16)?);
    let (name_length, extra_length, comment_length) = (usize::from(field16(28)?), usize::from(field16(30)?), usize::from(field16(32)?));
    let name = entry.get(46..46 + name_length).ok_or_else(cut)?;
    let extra = entry.get(46 + name_length..46 + name_length + extra_length).ok_or_else(cut)?;
    if flags & 1 != 0 {
        return Err(problem("a member is encrypted"));
    }
    let (mut inflated, mut compressed, mut header) = (u64::from(field32(24)?), u64::from(field32(20)?), u64::from(field32(42)?));
    let mut wide = wide_fields(extra);
    // Only the fields that are all ones in the entry are in the 64-bit block, in this order.
    for field in [&mut inflated, &mut compressed, &mut header] {
        if *field == 0xffff_ffff {
            let value = u64_at(wide, 0).ok_or_else(|| problem("the 64-bit sizes of a member are missing"))?;
            *field = value;
            wide = wide.get(8..).unwrap_or_default();
        }
    }
    let name = String::from_utf8_lossy(name).into_owned();
    Ok((Member { name, method, checksum, compressed, inflated, header }, position + 46 + name_length + extra_length + comment_length))
}

/// The 64-bit block among the extra fields; empty if there is none.
fn wide_fields(mut extra: &[u8]) -> &[u8] {
    while let (Some(id), Some(length)) = (u16_at(extra, 0), u16_at(extra, 2)) {
        let end = 4 + usize::from(length);
        if id == 1 {
            return extra.get(4..end).unwrap_or_default();
        }
        extra = extra.get(end..).unwrap_or_default();
    }
    &[]
}

/// The bytes of a member as they lie in the archive.
fn stored<'b>(bytes: &'b [u8], member: &Member) -> Result<&'b [u8], ZipProblem> {
    let problem = |reason: String| (member.header, reason);
    let cut = || problem("the archive ends before the member does".to_owned());
    let header = usize::try_from(member.header).ok().and_then(|start| bytes.get(start..)).ok_or_else(cut)?;
    if !header.starts_with(LOCAL) {
        return Err(problem("the header of the member is expected here".to_owned()));
    }
    let name_length = usize::from(u16_at(header, 26).ok_or_else(cut)?);
    let extra_length = usize::from(u16_at(header, 28).ok_or_else(cut)?);
    let start = 30 + name_length + extra_length;
    usize::try_from(member.compressed).ok().and_then(|length| header.get(start..start.checked_add(length)?)).ok_or_else(cut)
}

/// The first bytes of a member, at most `most`: inflated, but not compared with the checksum, which is of all of them.
pub fn member_start(bytes: &[u8], member: &Member, most: u64) -> Result<Vec<u8>, ZipProblem> {
    let data = stored(bytes, member)?;
    let mut start = Vec::new();
    let read = match member.method {
        0 => data.take(most).read_to_end(&mut start),
        8 => flate2::bufread::DeflateDecoder::new(data).take(most).read_to_end(&mut start),
        other => {
            return Err((member.header, format!("the member is compressed by method {other}, only stored and deflated ones are read")));
        }
    };
    read.map_err(|error| (member.header, format!("the compressed data break off or are damaged ({error})")))?;
    Ok(start)
}

/// Inflates a member without keeping it, and compares length and checksum with what the directory says: for archives that other crates read.
///
/// # Errors
/// When the member holds more or other bytes than it says, or claims what deflate can't do.
pub fn check_member(bytes: &[u8], member: &Member, limits: &Limits) -> Result<(), ZipProblem> {
    let problem = |reason: String| (member.header, reason);
    let data = stored(bytes, member)?;
    if member.inflated > (data.len() as u64).saturating_mul(limits.max_inflation) {
        return Err(problem(format!("{} compressed bytes claim to hold {}, which deflate can't do", data.len(), member.inflated)));
    }
    let mut reader: Box<dyn Read + '_> = match member.method {
        0 => Box::new(data),
        8 => Box::new(flate2::bufread::DeflateDecoder::new(data)),
        other => return Err(problem(format!("the member is compressed by method {other}, only stored and deflated ones are read"))),
    };
    let mut checksum = flate2::Crc::new();
    let mut block = vec![0u8; 1 << 16];
    let mut length = 0u64;
    while length <= member.inflated {
        let read = reader.read(&mut block).map_err(|error| problem(format!("the compressed data break off or are damaged ({error})")))?;
        if read == 0 {
            break;
        }
        length += read as u64;
        checksum.update(block.get(..read).unwrap_or_default());
    }
    if length != member.inflated {
        return Err(problem(format!("the compressed data do not hold the {} bytes they declare", member.inflated)));
    }
    if checksum.sum() != member.checksum {
        return Err(problem("the checksum of the member does not match its bytes".to_owned()));
    }
    Ok(())
}

/// The bytes of a member, inflated and checked; charged to `budget`.
pub fn member_bytes(bytes: &[u8], member: &Member, limits: &Limits, budget: &mut Budget) -> Result<Vec<u8>, ZipProblem> {
    let problem = |reason: String| (member.header, reason);
    let data = stored(bytes, member)?;
    let inflated = match member.method {
        0 if member.compressed == member.inflated => {
            budget.charge(member.inflated).map_err(problem)?;
            data.to_vec()
        }
        0 => return Err(problem("a stored member has two different sizes".to_owned())),
        8 => inflate(Wrapping::Raw, data, Some(member.inflated), limits, budget).map_err(problem)?,
        other => return Err(problem(format!("the member is compressed by method {other}, only stored and deflated ones are read"))),
    };
    let mut checksum = flate2::Crc::new();
    checksum.update(&inflated);
    if checksum.sum() != member.checksum {
        return Err(problem("the checksum of the member does not match its bytes".to_owned()));
    }
    Ok(inflated)
}
