//! Data elements: a type, a length, and bytes padded to eight; or a "small" element with both packed into its first four bytes.

use super::super::bytes::{ByteOrder, number_at};
use super::super::error::COPY_AGAIN;
use super::super::{Format, FormatError, Place};

pub(super) const MI_INT8: u32 = 1;
pub(super) const MI_UINT8: u32 = 2;
pub(super) const MI_INT16: u32 = 3;
pub(super) const MI_UINT16: u32 = 4;
pub(super) const MI_INT32: u32 = 5;
pub(super) const MI_UINT32: u32 = 6;
pub(super) const MI_SINGLE: u32 = 7;
pub(super) const MI_DOUBLE: u32 = 9;
pub(super) const MI_INT64: u32 = 12;
pub(super) const MI_UINT64: u32 = 13;
pub(super) const MI_MATRIX: u32 = 14;
pub(super) const MI_COMPRESSED: u32 = 15;
pub(super) const MI_UTF8: u32 = 16;
pub(super) const MI_UTF16: u32 = 17;
pub(super) const MI_UTF32: u32 = 18;

/// One data element.
#[derive(Debug, Clone, Copy)]
pub(super) struct Element<'a> {
    /// Its type, one of the `MI_` numbers.
    pub kind: u32,
    /// Its data without padding.
    pub data: &'a [u8],
    /// Where its data begin, counted from the start of the file (or of the inflated variable).
    pub offset: usize,
}

/// Something wrong at a byte, before the path of the variable is known. Each level on the way up puts its own part in front.
///
/// Boxed, so that the `Result`s of the hot path stay small.
#[derive(Debug)]
pub(super) struct Problem(Box<Details>);

#[derive(Debug)]
struct Details {
    byte: u64,
    path: String,
    reason: String,
    help: &'static str,
}

impl Problem {
    pub(super) fn new(byte: u64, reason: impl Into<String>, help: &'static str) -> Problem {
        Problem(Box::new(Details { byte, path: String::new(), reason: reason.into(), help }))
    }

    /// The same problem, seen from one level further out.
    pub(super) fn inside(mut self, part: impl std::fmt::Display) -> Problem {
        self.0.path = format!("{part}{}", self.0.path);
        self
    }

    /// The error of a problem between variables.
    pub(super) fn at_top(self) -> FormatError {
        FormatError::new(Format::Mat5, Place::Byte(self.0.byte), self.0.reason, self.0.help)
    }

    /// The error with the path as place; `remark` is appended to the reason.
    pub(super) fn into_error(self, remark: &str) -> FormatError {
        let Details { byte, path, reason, help } = *self.0;
        let place = if path.is_empty() { Place::Byte(byte) } else { Place::Variable { path, byte: Some(byte) } };
        FormatError::new(Format::Mat5, place, format!("{reason}{remark}"), help)
    }
}

/// Walks over the elements of a file or of a matrix.
#[derive(Debug)]
pub(super) struct Cursor<'a> {
    bytes: &'a [u8],
    position: usize,
    /// What to add to a position to get the byte in the file.
    base: usize,
    order: ByteOrder,
}

impl<'a> Cursor<'a> {
    /// Over the elements of a file, from `position` on.
    pub(super) fn new(bytes: &'a [u8], position: usize, order: ByteOrder) -> Cursor<'a> {
        Cursor { bytes, position, base: 0, order }
    }

    /// Over the elements of a matrix whose data begin at byte `base`.
    pub(super) fn within(bytes: &'a [u8], base: usize, order: ByteOrder) -> Cursor<'a> {
        Cursor { bytes, position: 0, base, order }
    }

    /// The byte the next element begins at.
    pub(super) fn byte(&self) -> u64 {
        self.base.saturating_add(self.position) as u64
    }

    /// Bytes that are left.
    pub(super) fn left(&self) -> usize {
        self.bytes.len().saturating_sub(self.position)
    }

    /// The next element, or `None` at the end.
    pub(super) fn next_element(&mut self) -> Result<Option<Element<'a>>, Problem> {
        if self.left() == 0 {
            return Ok(None);
        }
        let start = self.position;
        let cut_short = |what: &str| Problem::new((self.base.saturating_add(start)) as u64, what, COPY_AGAIN);
        let tag: u32 = number_at(self.bytes, start, self.order).ok_or_else(|| cut_short("the data end inside the tag of an element"))?;
        let (kind, length, data_start, small) = match tag >> 16 {
            0 => {
                let length: u32 =
                    number_at(self.bytes, start + 4, self.order).ok_or_else(|| cut_short("the data end inside the tag of an element"))?;
                (tag, length as usize, start + 8, false)
            }
            length @ 1..=4 => (tag & 0xffff, length as usize, start + 4, true),
            length => return Err(cut_short(&format!("a small element claims {length} bytes, at most 4 fit"))),
        };
        let data = data_start.checked_add(length).and_then(|end| self.bytes.get(data_start..end)).ok_or_else(|| {
            let there = self.bytes.len().saturating_sub(data_start);
            cut_short(&format!("an element of type {kind} claims {length} bytes, {there} are left"))
        })?;
        // Everything but compressed variables is padded; the padding of the very last element may be missing.
        let used = match (small, kind) {
            (true, _) => 8,
            (false, MI_COMPRESSED) => 8 + length,
            (false, _) => 8 + length.next_multiple_of(8),
        };
        self.position = start.saturating_add(used).min(self.bytes.len());
        Ok(Some(Element { kind, data, offset: self.base.saturating_add(data_start) }))
    }

    /// The next element, which has to be there.
    pub(super) fn expect(&mut self, what: &str) -> Result<Element<'a>, Problem> {
        let byte = self.byte();
        self.next_element()?.ok_or_else(|| Problem::new(byte, format!("the data end where {what} should be"), COPY_AGAIN))
    }
}
