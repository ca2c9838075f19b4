//! The shape of a `.mat` file without its numbers: names, sizes and classes of all values, with the bytes of arrays skipped as they are inflated.
//!
//! Values come as [`MatValue`]s that hold no numbers. Texts are kept, they are short. Follows "MAT-File Format" (The MathWorks, R2019b), chapter 1.

use neuroflow_data::formats::bytes::{ByteOrder, number_at};
use neuroflow_data::formats::mat5::{MatClass, MatNumbers, MatValue, numeric_class};
use neuroflow_data::formats::{Budget, COPY_AGAIN, Format, FormatError, Limits, Place, RAISE_LIMIT};
use std::io::Read;
use std::ops::Range;

/// Bytes before the first variable.
pub(super) const HEADER: usize = 128;

/// The longest text that is kept.
const LONGEST: u64 = 1 << 16;

/// A variable: its name, its value without numbers, and where its element is in the file.
#[derive(Debug)]
pub(super) struct Outlined {
    pub name: String,
    pub value: MatValue,
    pub element: Range<usize>,
}

/// The byte order of a file.
pub(super) fn order(bytes: &[u8]) -> ByteOrder {
    if bytes.get(126..128) == Some(b"MI") { ByteOrder::Big } else { ByteOrder::Little }
}

/// The variables of a file.
pub(super) fn outline(bytes: &[u8], limits: &Limits, notes: &mut Vec<String>) -> Result<Vec<Outlined>, FormatError> {
    let refuse = |byte: usize, reason: String, help: &str| FormatError::new(Format::Mat5, Place::Byte(byte as u64), reason, help);
    let order = order(bytes);
    // Four times the file and a little, for what is known of values and for texts.
    let mut budget = Budget::new((bytes.len() as u64).saturating_mul(3).saturating_add(32 << 20).min(limits.max_total_bytes));
    let mut variables = Vec::new();
    let mut at = HEADER;
    while at < bytes.len() {
        let (Some(kind), Some(size)) = (number_at::<u32>(bytes, at, order), number_at::<u32>(bytes, at + 4, order)) else {
            return Err(refuse(at, "an element's tag is cut short".into(), COPY_AGAIN));
        };
        let end = (at + 8).checked_add(size as usize).filter(|end| *end <= bytes.len());
        let data = end.and_then(|end| bytes.get(at + 8..end));
        let (Some(data), Some(end)) = (data, end) else {
            return Err(refuse(at, format!("an element claims {size} bytes, {} follow", bytes.len() - at - 8), COPY_AGAIN));
        };
        let mut plain = data;
        let mut inflated = flate2::bufread::ZlibDecoder::new(data);
        let (reader, size): (&mut dyn Read, Option<u64>) = match kind {
            14 => (&mut plain, Some(u64::from(size))),
            15 => (&mut inflated, None),
            other => return Err(refuse(at, format!("a variable is expected here, found an element of type {other}"), COPY_AGAIN)),
        };
        let mut walk = Walk { reader, at: 0, order, depth: limits.max_depth, budget: &mut budget, to_the_end: kind == 14 };
        let read = walk.variable(size).map_err(|reason| {
            let help = if reason.contains("deeper") || reason.contains("may hold") { RAISE_LIMIT } else { COPY_AGAIN };
            refuse(at, format!("a variable is damaged, {} bytes into it: {reason}", walk.at), help)
        })?;
        match read {
            (name, _) if name.is_empty() => {
                notes.push("left out an unnamed variable (MATLAB's own data on functions and objects)".to_owned());
            }
            (name, value) => variables.push(Outlined { name, value, element: at..end }),
        }
        at = if kind == 14 { end.next_multiple_of(8) } else { end };
    }
    Ok(variables)
}

/// A walk over the bytes of one variable.
struct Walk<'r> {
    reader: &'r mut dyn Read,
    at: u64,
    order: ByteOrder,
    depth: usize,
    budget: &'r mut Budget,
    /// Whether what stands behind the sizes of a variable of numbers is passed, too. Of a compressed one it is not: that would be inflating it to drop it.
    to_the_end: bool,
}

/// A tag: the type, and the data when they are in the tag.
struct Tag {
    kind: u32,
    size: u64,
    small: Option<[u8; 4]>,
}

impl Walk<'_> {
    fn take(&mut self, count: u64) -> Result<Vec<u8>, String> {
        let mut own = Vec::new();
        let got = self.reader.take(count).read_to_end(&mut own).map_err(|error| format!("it breaks off ({error})"))? as u64;
        self.at += got;
        if got < count { Err("it breaks off".into()) } else { Ok(own) }
    }

    fn skip(&mut self, count: u64) -> Result<(), String> {
        let got = std::io::copy(&mut self.reader.take(count), &mut std::io::sink()).map_err(|error| format!("it breaks off ({error})"))?;
        self.at += got;
        if got < count { Err("it breaks off".into()) } else { Ok(()) }
    }

    fn tag(&mut self) -> Result<Tag, String> {
        let bytes = self.take(8)?;
        let first: u32 = number_at(&bytes, 0, self.order).unwrap_or_default();
        if first >> 16 != 0 {
            let small = bytes.get(4..8).and_then(|small| small.try_into().ok());
            return Ok(Tag { kind: first & 0xffff, size: u64::from(first >> 16).min(4), small });
        }
        Ok(Tag { kind: first, size: number_at::<u32>(&bytes, 4, self.order).map(u64::from).unwrap_or_default(), small: None })
    }

    /// The data of an element, at most `most` bytes of them.
    fn data(&mut self, tag: &Tag, most: u64) -> Result<Vec<u8>, String> {
        if let Some(small) = tag.small {
            return Ok(small.get(..tag.size as usize).unwrap_or_default().to_vec());
        }
        let own = self.take(tag.size.min(most))?;
        self.skip(tag.size.next_multiple_of(8) - tag.size.min(most))?;
        Ok(own)
    }

    fn variable(&mut self, size: Option<u64>) -> Result<(String, MatValue), String> {
        let size = match size {
            Some(size) => size,
            None => {
                let tag = self.tag()?;
                if tag.kind != 14 {
                    return Err("a compressed element holds no variable".into());
                }
                tag.size
            }
        };
        self.matrix(size, 0)
    }

    /// A matrix of `size` bytes, to its end.
    fn matrix(&mut self, size: u64, depth: usize) -> Result<(String, MatValue), String> {
        self.budget.charge(size_of::<MatValue>() as u64 + 64)?;
        if size == 0 {
            return Ok((String::new(), numeric(vec![0, 0], MatClass::Double, false)));
        }
        if depth > self.depth {
            return Err(format!("structs and cells nest deeper than {}", self.depth));
        }
        let end = self.at.saturating_add(size);
        let flags = self.tag()?;
        let flags = self.data(&flags, 8)?;
        let bits: u32 = number_at(&flags, 0, self.order).ok_or("the array flags are missing")?;
        let class = bits & 0xff;
        let mut dims = Vec::new();
        if class != 17 {
            let own = self.tag()?;
            let bytes = self.data(&own, 1024)?;
            for place in 0..bytes.len() / 4 {
                let length: i32 = number_at(&bytes, 4 * place, self.order).unwrap_or(-1);
                dims.push(usize::try_from(length).map_err(|_| "a dimension is negative")?);
            }
            if dims.len() < 2 || (!dims.contains(&0) && dims.iter().try_fold(1usize, |count, own| count.checked_mul(*own)).is_none()) {
                return Err("the dimensions are not two or more that can be counted".into());
            }
        }
        let tag = self.tag()?;
        let name = self.data(&tag, 1024)?;
        let name = crate::reading::text(name.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
        let value = self.value(class, bits, dims, end, depth)?;
        if depth == 0 && !self.to_the_end && matches!(value, MatValue::Numeric { .. }) {
            return Ok((name, value));
        }
        let left = end.checked_sub(self.at).ok_or("a value is longer than the variable that holds it")?;
        self.skip(left)?;
        Ok((name, value))
    }

    fn nested(&mut self, end: u64, depth: usize) -> Result<MatValue, String> {
        let tag = self.tag()?;
        if tag.kind != 14 || self.at.saturating_add(tag.size) > end {
            return Err("an array is expected inside of a struct or cell".into());
        }
        Ok(self.matrix(tag.size, depth + 1)?.1)
    }

    fn value(&mut self, class: u32, bits: u32, dims: Vec<usize>, end: u64, depth: usize) -> Result<MatValue, String> {
        let count = if dims.contains(&0) { 0 } else { dims.iter().fold(1usize, |count, own| count.saturating_mul(*own)) };
        let complex = bits & 0x0800 != 0;
        let class = match class {
            1 => {
                let mut values = Vec::new();
                for _ in 0..count {
                    values.push(self.nested(end, depth)?);
                }
                return Ok(MatValue::Cell { dims, values });
            }
            2 => return self.structure(dims, count, end, depth),
            4 => return self.characters(dims, count),
            5 => return self.sparse(&dims, complex, bits & 0x0200 != 0),
            16 => return Ok(MatValue::Skipped { class_name: "function handle".into() }),
            3 | 17 => return Ok(MatValue::Skipped { class_name: "object".into() }),
            class => numeric_class(class, bits).ok_or_else(|| format!("an array has the class number {class}, 1 to 17 are known"))?,
        };
        Ok(numeric(dims, class, complex))
    }

    fn structure(&mut self, dims: Vec<usize>, count: usize, end: u64, depth: usize) -> Result<MatValue, String> {
        let tag = self.tag()?;
        let length = self.data(&tag, 4)?;
        let length = number_at::<i32>(&length, 0, self.order).and_then(|length| usize::try_from(length).ok()).unwrap_or_default();
        let tag = self.tag()?;
        let most = self.budget.left().min(tag.size);
        self.budget.charge(most)?;
        let names = self.data(&tag, most)?;
        if length == 0 && !names.is_empty() {
            return Err("the field names have no length".into());
        }
        let text = |own: &[u8]| crate::reading::text(own.split(|byte| *byte == 0).next().unwrap_or_default()).into_owned();
        let mut fields: Vec<(String, Vec<MatValue>)> = names.chunks_exact(length.max(1)).map(|own| (text(own), Vec::new())).collect();
        for _ in 0..if fields.is_empty() { 0 } else { count } {
            for (_, values) in &mut fields {
                values.push(self.nested(end, depth)?);
            }
        }
        Ok(MatValue::Struct { dims, fields })
    }

    /// One line of text is kept; of several only the number.
    fn characters(&mut self, dims: Vec<usize>, count: usize) -> Result<MatValue, String> {
        let lines = dims.first().copied().unwrap_or(1);
        if count == 0 {
            return Ok(MatValue::Char { dims, rows: Vec::new() });
        }
        let tag = self.tag()?;
        self.budget.charge(tag.size.min(LONGEST).saturating_mul(4))?;
        let bytes = self.data(&tag, LONGEST)?;
        if lines != 1 {
            self.budget.charge((lines as u64).saturating_mul(size_of::<String>() as u64))?;
            return Ok(MatValue::Char { dims, rows: vec![String::new(); lines] });
        }
        let text = match tag.kind {
            4 | 17 => {
                let units = bytes.chunks_exact(2).map(|own| number_at::<u16>(own, 0, self.order).unwrap_or_default());
                char::decode_utf16(units).map(|own| own.unwrap_or(char::REPLACEMENT_CHARACTER)).collect()
            }
            18 => bytes.chunks_exact(4).filter_map(|own| char::from_u32(number_at(own, 0, self.order)?)).collect(),
            _ => crate::reading::text(&bytes).into_owned(),
        };
        Ok(MatValue::Char { dims, rows: vec![text] })
    }

    /// A sparse matrix by the number of its entries, which is the last of the column starts.
    fn sparse(&mut self, dims: &[usize], complex: bool, logical: bool) -> Result<MatValue, String> {
        let &[rows, columns] = dims else { return Err("a sparse matrix has two dimensions".into()) };
        Ok(MatValue::Sparse {
            dims: [rows, columns],
            rows: Vec::new(),
            column_starts: Vec::new(),
            data: Vec::new(),
            imaginary: complex.then(Vec::new),
            logical,
        })
    }
}

fn numeric(dims: Vec<usize>, class: MatClass, complex: bool) -> MatValue {
    let none = MatNumbers::F64(Vec::new());
    MatValue::Numeric { dims, class, imaginary: complex.then(|| none.clone()), data: none }
}
