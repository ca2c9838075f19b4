//! Object headers: the messages that describe a group, a dataset or a committed type.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", IV.A "Data Object Headers".

use super::cursor::Cursor;
use super::file::{File, bad};
use neuroflow_data::formats::FormatError;

/// Kinds of messages.
pub(super) mod kind {
    pub const DATASPACE: u16 = 0x01;
    pub const LINK_INFO: u16 = 0x02;
    pub const DATATYPE: u16 = 0x03;
    pub const FILL_OLD: u16 = 0x04;
    pub const FILL: u16 = 0x05;
    pub const LINK: u16 = 0x06;
    pub const EXTERNAL: u16 = 0x07;
    pub const LAYOUT: u16 = 0x08;
    pub const FILTERS: u16 = 0x0b;
    pub const ATTRIBUTE: u16 = 0x0c;
    pub const CONTINUATION: u16 = 0x10;
    pub const SYMBOLS: u16 = 0x11;
    pub const ATTRIBUTE_INFO: u16 = 0x15;
}

/// One message.
#[derive(Debug, Clone)]
pub(super) struct Message {
    pub kind: u16,
    /// Whether the data only say where the message really is.
    pub shared: bool,
    /// Where the data stand in the file.
    pub at: u64,
    pub data: Vec<u8>,
}

/// The messages of an object.
#[derive(Debug, Clone)]
pub(super) struct Header {
    pub messages: Vec<Message>,
}

impl Header {
    /// The first message of a kind.
    pub fn first(&self, kind: u16) -> Option<&Message> {
        self.messages.iter().find(|message| message.kind == kind)
    }
}

/// Bytes that are read at once in the hope that a header ends in them.
const USUAL: u64 = 512;

/// Reads the header at an address.
pub(super) fn read(file: &File, address: u64) -> Result<Header, FormatError> {
    let first = file.read_up_to(address, USUAL)?;
    let start = file.byte(address);
    let mut blocks: Vec<(u64, u64)> = Vec::new();
    let mut messages = Vec::new();
    if first.starts_with(b"OHDR") {
        let mut cursor = Cursor::new(&first, start);
        cursor.skip(4)?;
        let (version, flags) = (cursor.u8()?, cursor.u8()?);
        if version != 2 {
            return Err(bad(start + 4, format!("an object header of version {version}")));
        }
        cursor.skip(if flags & 0x20 != 0 { 16 } else { 0 } + if flags & 0x10 != 0 { 4 } else { 0 })?;
        let size = cursor.uint(1 << (flags & 3))?;
        let prefix = cursor.here() - start;
        let whole = prefix.saturating_add(size).saturating_add(4);
        let bytes = file.summed(address, whole, "an object header")?;
        let ordered = flags & 4 != 0;
        let body = bytes.get(prefix as usize..).unwrap_or_default();
        messages_2(body, start + prefix, ordered, &mut messages)?;
        follow(file, &mut blocks, &mut messages, |file, messages, address, length| {
            let bytes = file.checked(address, length, b"OCHK", "a block of an object header")?;
            messages_2(bytes.get(4..).unwrap_or_default(), file.byte(address) + 4, ordered, messages)
        })?;
    } else {
        let mut cursor = Cursor::new(&first, start);
        let version = cursor.u8()?;
        if version != 1 {
            return Err(bad(start, format!("an object header should begin here, byte {version:#04x} does")));
        }
        cursor.skip(1 + 2 + 4)?;
        let size = u64::from(cursor.u32()?);
        let bytes = file.read(address.saturating_add(16), size)?;
        messages_1(&bytes, start + 16, &mut messages)?;
        follow(file, &mut blocks, &mut messages, |file, messages, address, length| {
            let bytes = file.read(address, length)?;
            messages_1(&bytes, file.byte(address), messages)
        })?;
    }
    Ok(Header { messages })
}

/// Reads the blocks in which a header goes on, each once.
fn follow(
    file: &File,
    seen: &mut Vec<(u64, u64)>,
    messages: &mut Vec<Message>,
    block: impl Fn(&File, &mut Vec<Message>, u64, u64) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut next = 0;
    while let Some(message) = messages.get(next) {
        next += 1;
        if message.kind != kind::CONTINUATION {
            continue;
        }
        let at = message.at;
        let mut cursor = Cursor::new(&message.data, at);
        let (Some(address), length) = (cursor.address(file.offsets)?, cursor.uint(file.lengths)?) else { continue };
        let end = address.saturating_add(length);
        if seen.iter().any(|(from, to)| address < *to && *from < end) {
            return Err(bad(at, "an object header goes on in a block that it had already"));
        }
        seen.push((address, end));
        block(file, messages, address, length)?;
    }
    Ok(())
}

fn messages_1(bytes: &[u8], start: u64, messages: &mut Vec<Message>) -> Result<(), FormatError> {
    let mut cursor = Cursor::new(bytes, start);
    while cursor.left() >= 8 {
        let (kind, size, flags) = (cursor.u16()?, cursor.u16()?, cursor.u8()?);
        cursor.skip(3)?;
        let at = cursor.here();
        let data = cursor.take(usize::from(size))?;
        push(messages, kind, flags, at, data);
    }
    Ok(())
}

fn messages_2(bytes: &[u8], start: u64, ordered: bool, messages: &mut Vec<Message>) -> Result<(), FormatError> {
    let mut cursor = Cursor::new(bytes, start);
    let prefix = if ordered { 6 } else { 4 };
    while cursor.left() >= prefix {
        let (kind, size, flags) = (u16::from(cursor.u8()?), cursor.u16()?, cursor.u8()?);
        cursor.skip(prefix - 4)?;
        let at = cursor.here();
        let data = cursor.take(usize::from(size))?;
        push(messages, kind, flags, at, data);
    }
    Ok(())
}

fn push(messages: &mut Vec<Message>, kind: u16, flags: u8, at: u64, data: &[u8]) {
    // Kind 0 is room that nothing uses.
    if kind != 0 {
        messages.push(Message { kind, shared: flags & 2 != 0, at, data: data.to_vec() });
    }
}
