//! Tags: everything in a FIF file is a tag of 16 bytes (kind, type, size, where the next one is) and its data.

use crate::source::{Source, part};
use crate::text;
use neuroflow_data::formats::bytes::{ByteOrder, decode, number_at};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, OR_ACCEPT, Place};
use std::sync::Arc;

const FILE_ID: i32 = 100;
const DIR_POINTER: i32 = 101;
const DIR: i32 = 102;
pub(super) const HEAD: u64 = 16;

/// A small tag's data may be this long; larger ones are samples and read by ranges.
const MOST_BYTES: u32 = 16 << 20;
/// A text, which may be a list of short names.
const MOST_TEXT: u32 = 2 << 20;

/// A tag's head.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Tag {
    pub kind: i32,
    /// What its data are: a simple type, with flags for matrices in the upper byte.
    pub form: u32,
    pub size: u32,
    /// Where the head stands.
    pub at: u64,
}

impl Tag {
    /// The first byte of its data.
    pub(super) fn data(&self) -> u64 {
        self.at + HEAD
    }
}

/// The tags of a file.
#[derive(Debug)]
pub(super) struct Tags {
    pub source: Arc<dyn Source>,
    pub all: Vec<Tag>,
    pub damage: Vec<FormatError>,
}

pub(super) fn wrong(at: u64, reason: impl Into<String>, help: &str) -> FormatError {
    FormatError::new(Format::Fif, Place::Byte(at), reason, help)
}

impl Tags {
    /// All tags, from the directory at the end or, without one, by walking from tag to tag.
    pub(super) fn read(source: Arc<dyn Source>) -> Result<Tags, FormatError> {
        let head = part(source.as_ref(), Format::Fif, 0..source.len().min(64))?;
        let first = tag_in(&head, 0).filter(|tag| tag.kind == FILE_ID && tag.form == 31 && tag.size == 20);
        if first.is_none() {
            return Err(wrong(0, "the file does not begin with FIF's file identifier", "check that the path names a .fif file"));
        }
        let second = tag_in(&head, 36).filter(|tag| tag.kind == DIR_POINTER);
        let Some(_) = second else {
            return Err(wrong(36, "the second tag is not the pointer to the directory", COPY_AGAIN));
        };
        let pointer = number_at::<i32>(&head, 52, ByteOrder::Big).unwrap_or(-1);
        let mut damage = Vec::new();
        let all = match u64::try_from(pointer).ok().filter(|pointer| *pointer > 0) {
            Some(pointer) if pointer < source.len() => directory(source.as_ref(), pointer)?,
            Some(_) => {
                let reason = format!("the directory should stand at byte {pointer}, the file has {}; the tags are walked", source.len());
                damage.push(wrong(52, reason, OR_ACCEPT));
                walk(source.as_ref(), &mut damage)?
            }
            None => walk(source.as_ref(), &mut damage)?,
        };
        Ok(Tags { source, all, damage })
    }

    fn bytes(&self, tag: &Tag) -> Result<Vec<u8>, FormatError> {
        if tag.size > MOST_BYTES {
            return Err(wrong(tag.at, format!("a tag of kind {} has {} bytes", tag.kind, tag.size), COPY_AGAIN));
        }
        Ok(part(self.source.as_ref(), Format::Fif, tag.data()..tag.data() + u64::from(tag.size))?.into_owned())
    }

    pub(super) fn raw(&self, tag: &Tag) -> Result<Vec<u8>, FormatError> {
        self.bytes(tag)
    }

    pub(super) fn ints(&self, tag: &Tag) -> Result<Vec<i32>, FormatError> {
        Ok(decode(&self.bytes(tag)?, ByteOrder::Big, |value: i32| value))
    }

    pub(super) fn int(&self, tag: &Tag) -> Result<i32, FormatError> {
        self.ints(tag)?.first().copied().ok_or_else(|| wrong(tag.at, format!("a tag of kind {} has no number", tag.kind), COPY_AGAIN))
    }

    /// Numbers of single or double precision.
    pub(super) fn floats(&self, tag: &Tag) -> Result<Vec<f64>, FormatError> {
        let bytes = self.bytes(tag)?;
        Ok(match tag.form & 0xff {
            5 => decode(&bytes, ByteOrder::Big, |value: f64| value),
            3 => decode(&bytes, ByteOrder::Big, |value: i32| f64::from(value)),
            _ => decode(&bytes, ByteOrder::Big, |value: f32| f64::from(value)),
        })
    }

    pub(super) fn float(&self, tag: &Tag) -> Result<f64, FormatError> {
        let first = self.floats(tag)?.first().copied();
        first.ok_or_else(|| wrong(tag.at, format!("a tag of kind {} has no number", tag.kind), COPY_AGAIN))
    }

    pub(super) fn text(&self, tag: &Tag) -> Result<String, FormatError> {
        if tag.size > MOST_TEXT {
            return Err(wrong(tag.at, format!("a text of kind {} has {} bytes", tag.kind, tag.size), COPY_AGAIN));
        }
        Ok(text::field(&self.bytes(tag)?))
    }
}

fn tag_in(bytes: &[u8], at: usize) -> Option<Tag> {
    let number = |place: usize| number_at::<i32>(bytes, at + place, ByteOrder::Big);
    let (kind, form, size) = (number(0)?, number(4)?, number(8)?);
    Some(Tag { kind, form: form.cast_unsigned(), size: u32::try_from(size).ok()?, at: at as u64 })
}

/// The tags that a directory lists.
fn directory(source: &dyn Source, at: u64) -> Result<Vec<Tag>, FormatError> {
    let head = part(source, Format::Fif, at..at.saturating_add(HEAD))?;
    let tag = tag_in(&head, 0).filter(|tag| tag.kind == DIR && tag.form == 32);
    let Some(tag) = tag else { return Err(wrong(at, "there is no directory where the file points to one", COPY_AGAIN)) };
    let from = at + HEAD;
    let bytes = part(source, Format::Fif, from..from + u64::from(tag.size))?;
    let mut tags = Vec::with_capacity(bytes.len() / 16);
    for (place, entry) in bytes.chunks_exact(16).enumerate() {
        let at_entry = from + place as u64 * 16;
        let pos = number_at::<i32>(entry, 12, ByteOrder::Big).and_then(|pos| u64::try_from(pos).ok());
        // A directory ends with an entry of kind -1.
        if number_at::<i32>(entry, 0, ByteOrder::Big) == Some(-1) {
            break;
        }
        let tag = tag_in(entry, 0).zip(pos).map(|(tag, at)| Tag { at, ..tag });
        let inside = tag.filter(|tag| tag.data() + u64::from(tag.size) <= source.len());
        tags.push(inside.ok_or_else(|| wrong(at_entry, "an entry of the directory points beyond the file", COPY_AGAIN))?);
    }
    Ok(tags)
}

/// The tags in the order in which each points to the next. A file that was not closed has no directory.
fn walk(source: &dyn Source, damage: &mut Vec<FormatError>) -> Result<Vec<Tag>, FormatError> {
    let mut tags = Vec::new();
    let mut at = 0u64;
    while at.saturating_add(HEAD) <= source.len() {
        let head = part(source, Format::Fif, at..at + HEAD)?;
        let Some(tag) = tag_in(&head, 0).map(|tag| Tag { at, ..tag }) else {
            return Err(wrong(at, "a tag has a negative size", COPY_AGAIN));
        };
        let end = tag.data() + u64::from(tag.size);
        if end > source.len() {
            damage.push(wrong(at, format!("the file ends within a tag of {} bytes, which is left out", tag.size), OR_ACCEPT));
            break;
        }
        tags.push(tag);
        at = match number_at::<i32>(&head, 12, ByteOrder::Big).unwrap_or(-1) {
            0 => end,
            // Only forward, so that no file leads around in a circle.
            next if u64::try_from(next).is_ok_and(|next| next > at) => u64::try_from(next).unwrap_or(u64::MAX),
            -1 => break,
            next => return Err(wrong(at + 12, format!("the tag says that the next one stands at byte {next}, before it"), COPY_AGAIN)),
        };
    }
    Ok(tags)
}
