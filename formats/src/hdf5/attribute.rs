//! Attributes: small named values of an object.
//!
//! Layout: "HDF5 File Format Specification Version 3.0", IV.A.2.m and IV.A.2.v.

use super::cursor::Cursor;
use super::datatype::{self, Datatype};
use super::file::{File, bad, lock, unread};
use super::group::dense;
use super::header::{self, Header, Message, kind};
use super::message::{self, Space};
use neuroflow_data::formats::FormatError;
use std::sync::Arc;

/// An attribute, its value as it is stored.
#[derive(Debug, Clone)]
pub(crate) struct Attribute {
    pub name: String,
    pub datatype: Arc<Datatype>,
    pub space: Space,
    pub value: Vec<u8>,
    /// Where it stands in the file.
    pub at: u64,
}

/// All attributes of an object, by name.
pub(super) fn attributes(file: &File, header: &Header) -> Result<Vec<Attribute>, FormatError> {
    let mut attributes = Vec::new();
    for message in &header.messages {
        match message.kind {
            kind::ATTRIBUTE if message.shared => {
                return Err(unread(message.at, "attributes that several objects share are not read", "rewrite the file with `h5repack`"));
            }
            kind::ATTRIBUTE => attributes.push(attribute(file, &message.data, message.at)?),
            kind::ATTRIBUTE_INFO => {
                let mut cursor = Cursor::new(&message.data, message.at);
                cursor.skip(1)?;
                let flags = cursor.u8()?;
                cursor.skip(if flags & 1 != 0 { 2 } else { 0 })?;
                let (heap, tree) = (cursor.address(file.offsets)?, cursor.address(file.offsets)?);
                if let (Some(heap), Some(tree)) = (heap, tree) {
                    dense(file, heap, tree, &mut |bytes, at| {
                        attributes.push(attribute(file, bytes, at)?);
                        Ok(())
                    })?;
                }
            }
            _ => {}
        }
    }
    attributes.sort_by(|one, other| one.name.cmp(&other.name));
    Ok(attributes)
}

fn attribute(file: &File, bytes: &[u8], at: u64) -> Result<Attribute, FormatError> {
    let mut cursor = Cursor::new(bytes, at);
    let (version, flags) = (cursor.u8()?, cursor.u8()?);
    if !(1..=3).contains(&version) {
        return Err(bad(at, format!("an attribute of version {version}")));
    }
    let (name_size, type_size, space_size) = (usize::from(cursor.u16()?), usize::from(cursor.u16()?), usize::from(cursor.u16()?));
    cursor.skip(if version == 3 { 1 } else { 0 })?;
    // Version 1 fills each part up to a multiple of eight bytes.
    let padded = |size: usize| if version == 1 { size.div_ceil(8) * 8 } else { size };
    let name = cursor.take(padded(name_size))?;
    let name = name.get(..name_size).unwrap_or_default().split(|byte| *byte == 0).next().unwrap_or_default();
    let name = String::from_utf8_lossy(name).into_owned();
    let type_at = cursor.here();
    let data = cursor.take(padded(type_size))?.to_vec();
    let shared = version > 1 && flags & 1 != 0;
    let datatype = datatype_of(file, &Message { kind: kind::DATATYPE, shared, at: type_at, data })?;
    let space_at = cursor.here();
    let space = cursor.take(padded(space_size))?;
    if version > 1 && flags & 2 != 0 {
        return Err(unread(space_at, "shapes that several objects share are not read", "rewrite the file with `h5repack`"));
    }
    let space = message::space(file, &mut Cursor::new(space, space_at))?;
    let size = space.count().and_then(|count| count.checked_mul(datatype.size as u64)).and_then(|size| usize::try_from(size).ok());
    let size = size.ok_or_else(|| bad(space_at, format!("attribute `{}` is too large", name.escape_debug())))?;
    let value = cursor.take(size)?.to_vec();
    file.hold(160 + (name.len() + value.len()) as u64 + 16 * space.dims.len() as u64, at)?;
    Ok(Attribute { name, datatype, space, value, at })
}

/// The datatype in a message, which may be a committed one that stands elsewhere.
pub(super) fn datatype_of(file: &File, message: &Message) -> Result<Arc<Datatype>, FormatError> {
    if !message.shared {
        let datatype = datatype::read(&mut Cursor::new(&message.data, message.at))?;
        file.hold(datatype.held(), message.at)?;
        return Ok(Arc::new(datatype));
    }
    let address = shared_address(file, message)?;
    if let Some(known) = lock(&file.types).get(&address) {
        return Ok(Arc::clone(known));
    }
    let committed = header::read(file, address)?;
    let own = committed.first(kind::DATATYPE).filter(|own| !own.shared);
    let own = own.ok_or_else(|| bad(file.byte(address), "a committed datatype should stand here"))?;
    let datatype = datatype_of(file, own)?;
    lock(&file.types).insert(address, Arc::clone(&datatype));
    Ok(datatype)
}

/// The address of the object that holds a shared message.
fn shared_address(file: &File, message: &Message) -> Result<u64, FormatError> {
    let mut cursor = Cursor::new(&message.data, message.at);
    let (version, sort) = (cursor.u8()?, cursor.u8()?);
    match (version, sort) {
        (1, _) => cursor.skip(6)?,
        (2, _) | (3, 2) => {}
        (3, 1) => {
            let help = "rewrite the file with `h5repack`, which gives each object its own messages";
            return Err(unread(message.at, "messages in the file's shared table are not read", help));
        }
        _ => return Err(bad(message.at, format!("a shared message of version {version} and kind {sort}"))),
    }
    cursor.address(file.offsets)?.ok_or_else(|| bad(message.at, "a shared message without an address"))
}
