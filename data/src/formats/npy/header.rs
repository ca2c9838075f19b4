//! The header of a `.npy` file: a Python dictionary with three keys, read by hand so that nothing in it can recurse or run.

use super::super::bytes::{ByteOrder, number_at};
use super::super::error::COPY_AGAIN;
use super::super::{Format, FormatError, Place};
use std::collections::BTreeSet;

/// NumPy arrays have at most 64 axes.
const MOST_AXES: usize = 64;

/// The type of one value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[allow(missing_docs, reason = "the variants are named after their element type")]
pub enum Scalar {
    Bool,
    I8,
    U8,
    I16,
    U16,
    I32,
    U32,
    I64,
    U64,
    F16,
    F32,
    F64,
    /// A string of so many bytes.
    Bytes(usize),
    /// A string of so many bytes, four for each character.
    Unicode(usize),
}

impl Scalar {
    /// Bytes one value takes in the file.
    pub fn size(self) -> usize {
        match self {
            Scalar::Bool | Scalar::I8 | Scalar::U8 => 1,
            Scalar::I16 | Scalar::U16 | Scalar::F16 => 2,
            Scalar::I32 | Scalar::U32 | Scalar::F32 => 4,
            Scalar::I64 | Scalar::U64 | Scalar::F64 => 8,
            Scalar::Bytes(size) | Scalar::Unicode(size) => size,
        }
    }
}

/// What the header says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Header {
    /// The type of one value.
    pub scalar: Scalar,
    /// The order of the bytes of a value.
    pub order: ByteOrder,
    /// Whether the first axis varies fastest.
    pub fortran_order: bool,
    /// The length of every axis; empty for a scalar.
    pub shape: Vec<usize>,
    /// Where the values begin.
    pub data_start: usize,
}

/// What the header of an array of records says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Records {
    /// The fields, in the order of the file; bytes between them that mean nothing are left out.
    pub fields: Vec<Field>,
    /// Bytes of one record.
    pub size: usize,
    /// The length of every axis; empty for a single record.
    pub shape: Vec<usize>,
    /// Where the records begin.
    pub data_start: usize,
}

/// A field of records.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: String,
    /// The type of one value.
    pub scalar: Scalar,
    /// The order of the bytes of a value.
    pub order: ByteOrder,
    /// Values that a record has of it.
    pub count: usize,
    /// Whether it is an array, be it of one value.
    pub is_array: bool,
    /// Where it begins in a record.
    pub offset: usize,
}

/// What an element is.
enum Described {
    Plain(Scalar, ByteOrder),
    Records(Vec<Field>, usize),
}

/// Reads the header of single values.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, FormatError> {
    let (described, fortran_order, shape, data_start) = whole(bytes)?;
    match described {
        Described::Plain(scalar, order) => Ok(Header { scalar, order, fortran_order, shape, data_start }),
        Described::Records(..) => {
            let help = "read it with `file(…)` and `ingest.table`, which has a column for each field";
            let reason = "the array has a structured type (several named fields)";
            Err(FormatError::new(Format::Npy, Place::Byte(0), reason, help))
        }
    }
}

/// Reads the header of records; none for one of single values.
pub(super) fn records(bytes: &[u8]) -> Result<Option<Records>, FormatError> {
    Ok(match whole(bytes)? {
        (Described::Plain(..), ..) => None,
        // Along one axis, both orders are the same.
        (Described::Records(fields, size), _, shape, data_start) => Some(Records { fields, size, shape, data_start }),
    })
}

/// Reads the magic, the version and the dictionary.
fn whole(bytes: &[u8]) -> Result<(Described, bool, Vec<usize>, usize), FormatError> {
    let refuse = |byte: usize, reason: &str, help: &str| FormatError::new(Format::Npy, Place::Byte(byte as u64), reason, help);
    if !bytes.starts_with(b"\x93NUMPY") {
        return Err(refuse(0, "the file does not begin with NumPy's mark", "check that the path names a file written by `numpy.save`"));
    }
    let (length, text_start): (Option<usize>, usize) = match bytes.get(6) {
        Some(1) => (number_at::<u16>(bytes, 8, ByteOrder::Little).map(usize::from), 10),
        Some(2 | 3) => (number_at::<u32>(bytes, 8, ByteOrder::Little).and_then(|length| usize::try_from(length).ok()), 12),
        Some(_) => return Err(refuse(6, "the format version is none of 1, 2 and 3", "save the array again with a released NumPy")),
        None => (None, 0),
    };
    let text = length.and_then(|length| text_start.checked_add(length)).and_then(|end| Some((bytes.get(text_start..end)?, end)));
    let Some((text, data_start)) = text else {
        return Err(refuse(bytes.len(), "the file ends inside its header", COPY_AGAIN));
    };
    let mut scanner = Scanner { text, position: 0, base: text_start };
    let (mut described, mut fortran_order, mut shape) = (None, None, None);
    scanner.take(b'{', "a dictionary")?;
    while !scanner.take_if(b'}') {
        let key = scanner.string()?;
        scanner.take(b':', "a colon")?;
        match key {
            b"descr" => described = Some(scanner.described()?),
            b"fortran_order" => fortran_order = Some(scanner.boolean()?),
            b"shape" => shape = Some(scanner.shape()?),
            _ => return Err(scanner.problem("the header has a key other than `descr`, `fortran_order` and `shape`")),
        }
        if !scanner.take_if(b',') {
            scanner.take(b'}', "a comma or the end of the dictionary")?;
            break;
        }
    }
    match (described, fortran_order, shape) {
        (Some(described), Some(fortran_order), Some(shape)) => Ok((described, fortran_order, shape, data_start)),
        _ => Err(scanner.problem("the header lacks one of `descr`, `fortran_order` and `shape`")),
    }
}

/// Reads the few Python literals that a header may hold.
struct Scanner<'a> {
    text: &'a [u8],
    position: usize,
    base: usize,
}

impl<'a> Scanner<'a> {
    fn problem(&self, reason: impl Into<String>) -> FormatError {
        self.refuse(reason, COPY_AGAIN)
    }

    fn refuse(&self, reason: impl Into<String>, help: &str) -> FormatError {
        FormatError::new(Format::Npy, Place::Byte((self.base + self.position) as u64), reason, help)
    }

    fn rest(&mut self) -> &'a [u8] {
        let left = self.text.get(self.position..).unwrap_or_default();
        let blank = left.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        self.position += blank;
        left.get(blank..).unwrap_or_default()
    }

    fn take_if(&mut self, wanted: u8) -> bool {
        let there = self.rest().first() == Some(&wanted);
        self.position += usize::from(there);
        there
    }

    fn take(&mut self, wanted: u8, what: &str) -> Result<(), FormatError> {
        if self.take_if(wanted) { Ok(()) } else { Err(self.problem(format!("{what} is expected in the header"))) }
    }

    fn string(&mut self) -> Result<&'a [u8], FormatError> {
        let rest = self.rest();
        let quote = match rest.first() {
            Some(quote @ (b'\'' | b'"')) => *quote,
            _ => return Err(self.problem("a quoted word is expected in the header")),
        };
        let inner = rest.get(1..).unwrap_or_default();
        let Some(length) = inner.iter().position(|byte| *byte == quote) else {
            return Err(self.problem("a quoted word in the header does not end"));
        };
        self.position += length + 2;
        Ok(inner.get(..length).unwrap_or_default())
    }

    fn boolean(&mut self) -> Result<bool, FormatError> {
        let rest = self.rest();
        for (word, value) in [(&b"True"[..], true), (&b"False"[..], false)] {
            if rest.starts_with(word) {
                self.position += word.len();
                return Ok(value);
            }
        }
        Err(self.problem("`True` or `False` is expected in the header"))
    }

    fn shape(&mut self) -> Result<Vec<usize>, FormatError> {
        let mut shape = Vec::new();
        self.take(b'(', "a shape in brackets")?;
        while !self.take_if(b')') {
            let digits: &[u8] = self.rest();
            let length = digits.iter().take_while(|byte| byte.is_ascii_digit()).count();
            let number = std::str::from_utf8(digits.get(..length).unwrap_or_default()).ok().and_then(|digits| digits.parse().ok());
            let Some(number) = number else {
                return Err(self.problem("a length is expected in the shape"));
            };
            shape.push(number);
            if shape.len() > MOST_AXES {
                return Err(self.problem(format!("the shape has more than {MOST_AXES} axes")));
            }
            self.position += length;
            // Python 2 wrote long integers with an L.
            self.take_if(b'L');
            if !self.take_if(b',') {
                self.take(b')', "a comma or the end of the shape")?;
                break;
            }
        }
        Ok(shape)
    }

    fn described(&mut self) -> Result<Described, FormatError> {
        if self.rest().first() != Some(&b'[') {
            return self.scalar().map(|(scalar, order)| Described::Plain(scalar, order));
        }
        let (fields, size) = self.fields()?;
        Ok(Described::Records(fields, size))
    }

    /// The list of fields, and the bytes that a record takes.
    fn fields(&mut self) -> Result<(Vec<Field>, usize), FormatError> {
        let (mut fields, mut offset) = (Vec::new(), 0usize);
        let mut names = BTreeSet::new();
        self.take(b'[', "a list of fields")?;
        while !self.take_if(b']') {
            self.take(b'(', "a field in brackets")?;
            // A field may have a title before its name.
            let name = if self.take_if(b'(') {
                self.string()?;
                self.take(b',', "a comma")?;
                let name = self.string()?;
                self.take(b')', "the end of a name")?;
                name
            } else {
                self.string()?
            };
            let name = std::str::from_utf8(name).map_or_else(|_| name.iter().map(|byte| char::from(*byte)).collect(), str::to_owned);
            self.take(b',', "a comma")?;
            if self.rest().first() == Some(&b'[') {
                let reason = format!("the field `{}` has fields of its own", name.escape_debug());
                return Err(self.refuse(reason, "save it as an array of its own"));
            }
            let padding = if name.is_empty() { self.padding() } else { None };
            let value = if padding.is_some() { None } else { Some(self.scalar()?) };
            let (mut count, mut is_array) = (1usize, false);
            if self.take_if(b',') && self.rest().first() == Some(&b'(') {
                is_array = true;
                let shape = self.shape()?;
                let product = shape.iter().try_fold(1usize, |product, length| product.checked_mul(*length));
                count = product.ok_or_else(|| self.problem("a field has more values than a computer can count"))?;
            }
            self.take(b')', "the end of a field")?;
            let size = padding.or(value.map(|(scalar, _)| scalar.size())).unwrap_or_default();
            let end = size.checked_mul(count).and_then(|size| offset.checked_add(size));
            let end = end.ok_or_else(|| self.problem("a record has more bytes than a computer can count"))?;
            if let Some((scalar, order)) = value {
                if !names.insert(name.clone()) {
                    return Err(self.problem(format!("the field `{}` is there twice", name.escape_debug())));
                }
                fields.push(Field { name, scalar, order, count, is_array, offset });
            }
            offset = end;
            if !self.take_if(b',') {
                self.take(b']', "a comma or the end of the fields")?;
                break;
            }
        }
        Ok((fields, offset))
    }

    /// The size of bytes that mean nothing, which NumPy writes as `|V4`.
    fn padding(&mut self) -> Option<usize> {
        let before = self.position;
        let size = self.string().ok().and_then(|word| std::str::from_utf8(word.strip_prefix(b"|V")?).ok()?.parse().ok());
        if size.is_none() {
            self.position = before;
        }
        size
    }

    fn scalar(&mut self) -> Result<(Scalar, ByteOrder), FormatError> {
        let written = self.string()?;
        let (order, rest) = match written.split_first() {
            Some((b'<' | b'|' | b'=', rest)) => (ByteOrder::Little, rest),
            Some((b'>', rest)) => (ByteOrder::Big, rest),
            _ => (ByteOrder::Little, written),
        };
        let name = String::from_utf8_lossy(written).into_owned();
        let Some((kind, digits)) = rest.split_first() else {
            return Err(self.problem("the type of the values is empty"));
        };
        let size: Option<usize> = std::str::from_utf8(digits).ok().and_then(|digits| digits.parse().ok());
        let scalar = match (kind, size) {
            (b'O', _) => {
                let reason =
                    format!("the values have type `{name}`: Python objects, kept as a pickle, and reading a pickle can run any program");
                return Err(self.refuse(reason, "save numbers or strings instead, for example `numpy.asarray(values, dtype=float)`"));
            }
            (b'b', Some(1)) => Scalar::Bool,
            (b'i', Some(1)) => Scalar::I8,
            (b'i', Some(2)) => Scalar::I16,
            (b'i', Some(4)) => Scalar::I32,
            (b'i', Some(8)) => Scalar::I64,
            (b'u', Some(1)) => Scalar::U8,
            (b'u', Some(2)) => Scalar::U16,
            (b'u', Some(4)) => Scalar::U32,
            (b'u', Some(8)) => Scalar::U64,
            (b'f', Some(2)) => Scalar::F16,
            (b'f', Some(4)) => Scalar::F32,
            (b'f', Some(8)) => Scalar::F64,
            (b'S' | b'a', Some(size)) => Scalar::Bytes(size),
            (b'U', Some(size)) if size.checked_mul(4).is_some() => Scalar::Unicode(size * 4),
            (b'c', Some(_)) => {
                return Err(self.refuse(format!("the values are complex (`{name}`)"), "save `real` and `imag`, or `abs`, of the array"));
            }
            (b'M' | b'm', _) => {
                return Err(self.refuse(format!("the values are dates or durations (`{name}`)"), "save them as seconds in float64"));
            }
            _ => {
                return Err(self.refuse(
                    format!("the values have type `{name}`, which is not read"),
                    "save them as bool, int8 to int64, uint8 to uint64, float16 to float64, S or U",
                ));
            }
        };
        Ok((scalar, order))
    }
}
