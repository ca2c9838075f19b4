//! The wire format of Protocol Buffers, as far as ONNX needs it: fields one after the other, with no way to go past the end.
//!
//! From "Protocol Buffers: Encoding" (protobuf.dev).

/// What a field carries.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) enum Carried<'b> {
    /// A number of variable length.
    Varint(u64),
    /// Eight bytes.
    Eight([u8; 8]),
    /// Text, bytes, a message, or packed numbers, with its place in the file.
    Bytes(&'b [u8], u64),
    /// Four bytes.
    Four([u8; 4]),
}

/// One field.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Field<'b> {
    pub number: u64,
    pub carried: Carried<'b>,
}

impl<'b> Field<'b> {
    /// The bytes it carries; empty if it carries a number.
    pub fn bytes(&self) -> &'b [u8] {
        if let Carried::Bytes(bytes, _) = self.carried { bytes } else { &[] }
    }

    /// A message in it.
    pub fn message(&self) -> Fields<'b> {
        match self.carried {
            Carried::Bytes(bytes, at) => Fields { rest: bytes, at },
            _ => Fields { rest: &[], at: 0 },
        }
    }

    /// The number it carries; 0 if it carries none.
    pub fn number(&self) -> u64 {
        if let Carried::Varint(number) = self.carried { number } else { 0 }
    }

    /// Text in it, without what is no UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(self.bytes()).into_owned()
    }

    /// The numbers of a repeated field: one, or packed ones.
    pub fn numbers(&self) -> Vec<u64> {
        match self.carried {
            Carried::Varint(number) => vec![number],
            Carried::Bytes(mut bytes, _) => std::iter::from_fn(|| varint(&mut bytes)).collect(),
            _ => Vec::new(),
        }
    }
}

/// The fields of a message: an error, with the byte, ends them.
#[derive(Debug, Clone)]
pub(super) struct Fields<'b> {
    rest: &'b [u8],
    at: u64,
}

impl<'b> Fields<'b> {
    /// The fields of a whole file.
    pub fn new(bytes: &'b [u8]) -> Fields<'b> {
        Fields { rest: bytes, at: 0 }
    }

    fn field(&mut self) -> Option<Field<'b>> {
        let before = self.rest.len();
        let key = varint(&mut self.rest)?;
        let carried = match key & 7 {
            0 => Carried::Varint(varint(&mut self.rest)?),
            1 => {
                let (own, rest) = self.rest.split_first_chunk::<8>()?;
                self.rest = rest;
                Carried::Eight(*own)
            }
            2 => {
                let length = usize::try_from(varint(&mut self.rest)?).ok()?;
                let own = self.rest.get(..length)?;
                let at = self.at + (before - self.rest.len()) as u64;
                self.rest = self.rest.get(length..)?;
                Carried::Bytes(own, at)
            }
            5 => {
                let (own, rest) = self.rest.split_first_chunk::<4>()?;
                self.rest = rest;
                Carried::Four(*own)
            }
            _ => return None,
        };
        self.at += (before - self.rest.len()) as u64;
        (key >> 3 != 0).then_some(Field { number: key >> 3, carried })
    }
}

impl<'b> Iterator for Fields<'b> {
    type Item = Result<Field<'b>, u64>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let at = self.at;
        match self.field() {
            Some(field) => Some(Ok(field)),
            None => {
                self.rest = &[];
                Some(Err(at))
            }
        }
    }
}

/// A number of variable length, at most ten bytes.
fn varint(bytes: &mut &[u8]) -> Option<u64> {
    let mut value = 0u64;
    for (place, byte) in bytes.iter().enumerate().take(10) {
        value |= u64::from(byte & 0x7f).checked_shl(7 * place as u32).unwrap_or(0);
        if byte & 0x80 == 0 {
            *bytes = bytes.get(place + 1..)?;
            return Some(value);
        }
    }
    None
}
