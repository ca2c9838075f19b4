//! Object headers of version 2 (specification, "IV.A.1.b. Version 2 Data Object Header Prefix") and their messages. None has a time in it.

use super::{UNDEFINED, bad, too_large};
use crate::lookup3::lookup3;
use neuroflow_data::formats::FormatError;

/// A message's type and bytes.
pub(super) type Message = (u8, Vec<u8>);

/// Which message a type is.
pub(super) mod kind {
    pub(in super::super) const DATASPACE: u8 = 0x01;
    pub(in super::super) const LINK_INFO: u8 = 0x02;
    pub(in super::super) const DATATYPE: u8 = 0x03;
    pub(in super::super) const FILL: u8 = 0x05;
    pub(in super::super) const LINK: u8 = 0x06;
    pub(in super::super) const LAYOUT: u8 = 0x08;
    pub(in super::super) const GROUP_INFO: u8 = 0x0a;
    pub(in super::super) const FILTERS: u8 = 0x0b;
    pub(in super::super) const ATTRIBUTE: u8 = 0x0c;
}

/// The bytes of a header around its messages: signature, version, flags, length; checksum.
const FRAME: usize = 4 + 1 + 1 + 4 + 4;

/// The most bytes that one message can have.
pub(super) const MOST: usize = u16::MAX as usize;

/// The length of a header with these messages.
pub(super) fn length(messages: &[Message]) -> u64 {
    messages.iter().map(|(_, bytes)| bytes.len() as u64 + 4).sum::<u64>() + FRAME as u64
}

/// A header's bytes.
pub(super) fn encode(path: &str, messages: &[Message]) -> Result<Vec<u8>, FormatError> {
    let chunk = length(messages) - FRAME as u64;
    let chunk = u32::try_from(chunk).map_err(|_| too_large(path))?;
    // Flags: the length of the chunk stands in four bytes; no times, no order of attributes.
    let mut bytes = b"OHDR\x02\x02".to_vec();
    bytes.extend(chunk.to_le_bytes());
    for (kind, message) in messages {
        let length = u16::try_from(message.len()).map_err(|_| {
            bad(
                path,
                format!("a header message of {} bytes is more than the 65535 possible", message.len()),
                "use shorter names and attributes",
            )
        })?;
        bytes.push(*kind);
        bytes.extend(length.to_le_bytes());
        bytes.push(0);
        bytes.extend(message);
    }
    bytes.extend(lookup3(&bytes, 0).to_le_bytes());
    Ok(bytes)
}

/// The dataspace message, version 2: of a scalar when the shape is empty.
pub(super) fn dataspace(shape: &[u64]) -> Vec<u8> {
    let mut bytes = vec![2, shape.len() as u8, 0, u8::from(!shape.is_empty())];
    shape.iter().for_each(|length| bytes.extend(length.to_le_bytes()));
    bytes
}

/// The messages that make a group whose links stand in its header.
pub(super) fn group() -> [Message; 2] {
    let mut info = vec![0, 0];
    info.extend(UNDEFINED.to_le_bytes());
    info.extend(UNDEFINED.to_le_bytes());
    [(kind::LINK_INFO, info), (kind::GROUP_INFO, vec![0, 0])]
}

/// A hard link with a name in UTF-8.
pub(super) fn link(name: &str, address: u64) -> Message {
    // Flags: the character set is given, the name's length stands in two bytes.
    let mut bytes = vec![1, 0x11, 1];
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend(address.to_le_bytes());
    (kind::LINK, bytes)
}

/// A soft link with a name in UTF-8.
pub(super) fn soft_link(name: &str, target: &str) -> Message {
    // As above, and the link's type is given: 1.
    let mut bytes = vec![1, 0x19, 1, 1];
    bytes.extend((name.len() as u16).to_le_bytes());
    bytes.extend(name.as_bytes());
    bytes.extend((target.len() as u16).to_le_bytes());
    bytes.extend(target.as_bytes());
    (kind::LINK, bytes)
}

/// The fill value message, version 3: none but zero, written when room is taken if one is set.
pub(super) fn fill(chunked: bool) -> Message {
    (kind::FILL, vec![3, if chunked { 0x0b } else { 0x0a }])
}

/// The layout message, version 3, of values in one piece.
pub(super) fn piece(address: u64, bytes: u64) -> Message {
    let mut message = vec![3, 1];
    message.extend(address.to_le_bytes());
    message.extend(bytes.to_le_bytes());
    (kind::LAYOUT, message)
}

/// The layout message, version 3, of values in chunks.
pub(super) fn chunked(address: u64, chunk: &[u64], size: usize) -> Message {
    let mut message = vec![3, 2, chunk.len() as u8 + 1];
    message.extend(address.to_le_bytes());
    chunk.iter().for_each(|&length| message.extend((length as u32).to_le_bytes()));
    message.extend((size as u32).to_le_bytes());
    (kind::LAYOUT, message)
}

/// The attribute message, version 3, with a name in UTF-8.
pub(super) fn attribute(name: &str, datatype: &[u8], shape: &[u64], data: &[u8]) -> Message {
    let space = dataspace(shape);
    let mut bytes = vec![3, 0];
    for length in [name.len() + 1, datatype.len(), space.len()] {
        bytes.extend((length as u16).to_le_bytes());
    }
    bytes.push(1);
    bytes.extend(name.as_bytes());
    bytes.push(0);
    for part in [datatype, &space, data] {
        bytes.extend(part);
    }
    (kind::ATTRIBUTE, bytes)
}

/// The superblock, version 2 (specification, "II.A. Disk Format: Level 0A - Format Signature and Superblock").
pub(super) fn superblock(end: u64, root: u64) -> Vec<u8> {
    let mut bytes = b"\x89HDF\r\n\x1a\n\x02\x08\x08\x00".to_vec();
    for address in [0, UNDEFINED, end, root] {
        bytes.extend(address.to_le_bytes());
    }
    bytes.extend(lookup3(&bytes, 0).to_le_bytes());
    bytes
}

/// The superblock's length.
pub(super) const SUPERBLOCK: u64 = 48;
