//! A walk over thrift's compact protocol, in which Parquet writes its footer and the heads of its pages.
//!
//! The walk believes nothing: lists, strings and nesting are held against the bytes that are there. It yields the integers with the
//! path of field numbers that leads to them, which is all that the checks of Parquet files need.

/// Deepest nesting; Parquet's own structures nest about eight deep.
const DEEPEST: usize = 32;

/// What the walk meets.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Event {
    /// An integer field.
    Integer(i64),
    /// The end of a struct.
    End,
}

/// What a walk calls for each event, with the field numbers that lead to it; an error ends the walk.
pub(super) type Meet<'m> = &'m mut dyn FnMut(&[i16], Event) -> Result<(), String>;

/// Walks one struct at the start of `bytes` and returns its length. Errors carry the byte and the reason.
pub(super) fn walk_struct(bytes: &[u8], meet: Meet<'_>) -> Result<usize, (usize, String)> {
    let mut walk = Walk { bytes, position: 0, path: Vec::with_capacity(8), meet };
    match walk.structure(0) {
        Ok(()) => Ok(walk.position),
        Err(reason) => Err((walk.position, reason)),
    }
}

struct Walk<'a, 'm> {
    bytes: &'a [u8],
    position: usize,
    path: Vec<i16>,
    meet: Meet<'m>,
}

impl Walk<'_, '_> {
    fn byte(&mut self) -> Result<u8, String> {
        let byte = self.bytes.get(self.position).copied().ok_or("the data end inside a structure")?;
        self.position += 1;
        Ok(byte)
    }

    fn skip(&mut self, count: u64) -> Result<(), String> {
        let left = self.left();
        if count > left {
            return Err(format!("a structure claims {count} bytes, {left} are left"));
        }
        self.position += count as usize;
        Ok(())
    }

    fn left(&self) -> u64 {
        self.bytes.len().saturating_sub(self.position) as u64
    }

    fn varint(&mut self) -> Result<u64, String> {
        let mut value = 0u64;
        for shift in (0..64).step_by(7) {
            let byte = self.byte()?;
            value |= u64::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return Ok(value);
            }
        }
        Err("an integer takes more than ten bytes".to_owned())
    }

    fn zigzag(&mut self) -> Result<i64, String> {
        let value = self.varint()?;
        Ok((value >> 1) as i64 ^ -((value & 1) as i64))
    }

    fn structure(&mut self, depth: usize) -> Result<(), String> {
        if depth > DEEPEST {
            return Err(format!("structures nest deeper than {DEEPEST}"));
        }
        let mut id = 0i16;
        loop {
            let head = self.byte()?;
            if head & 0x0f == 0 {
                return (self.meet)(&self.path, Event::End);
            }
            id = match i16::from(head >> 4) {
                0 => i16::try_from(self.zigzag()?).map_err(|_| "a field number is too large".to_owned())?,
                step => id.checked_add(step).ok_or("a field number is too large")?,
            };
            self.path.push(id);
            // In a struct the value of a boolean is its type.
            if !matches!(head & 0x0f, 1 | 2) {
                self.value(head & 0x0f, depth)?;
            }
            self.path.pop();
        }
    }

    fn value(&mut self, kind: u8, depth: usize) -> Result<(), String> {
        match kind {
            1..=3 => self.skip(1),
            4..=6 => {
                let value = self.zigzag()?;
                (self.meet)(&self.path, Event::Integer(value))
            }
            7 => self.skip(8),
            8 => {
                let length = self.varint()?;
                self.skip(length)
            }
            9 | 10 => {
                let head = self.byte()?;
                let count = if head >> 4 == 15 { self.varint()? } else { u64::from(head >> 4) };
                self.repeated(count, depth, &[head & 0x0f])
            }
            11 => match self.varint()? {
                0 => Ok(()),
                count => {
                    let kinds = self.byte()?;
                    self.repeated(count, depth, &[kinds >> 4, kinds & 0x0f])
                }
            },
            12 => self.structure(depth + 1),
            13 => self.skip(16),
            other => Err(format!("a value has the unknown type {other}")),
        }
    }

    fn repeated(&mut self, count: u64, depth: usize, kinds: &[u8]) -> Result<(), String> {
        // Every element takes at least one byte, so a count beyond them is a lie.
        if count > self.left() {
            return Err(format!("a list claims {count} elements, {} bytes are left", self.left()));
        }
        if depth >= DEEPEST {
            return Err(format!("structures nest deeper than {DEEPEST}"));
        }
        for _ in 0..count {
            for kind in kinds {
                self.value(*kind, depth + 1)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn integers_come_with_the_path_that_leads_to_them() {
        // Field 1: i32 = -3; field 2: list of two structs, each with field 5: i32 = 7 and 8; end.
        let bytes = [0x15, 0x05, 0x19, 0x2c, 0x55, 0x0e, 0x00, 0x55, 0x10, 0x00, 0x00, 0xaa];
        let mut met = Vec::new();
        let length = walk_struct(&bytes, &mut |path, event| {
            met.push((path.to_vec(), event));
            Ok(())
        });
        assert_eq!(length, Ok(11));
        let expected = [
            (vec![1], Event::Integer(-3)),
            (vec![2, 5], Event::Integer(7)),
            (vec![2], Event::End),
            (vec![2, 5], Event::Integer(8)),
            (vec![2], Event::End),
            (vec![], Event::End),
        ];
        assert_eq!(met, expected);
    }

    #[test]
    fn lists_longer_than_the_file_and_endless_nesting_are_refused() {
        let long_list = [0x19, 0xf5, 0xff, 0xff, 0xff, 0x0f];
        assert!(walk_struct(&long_list, &mut |_, _| Ok(())).unwrap_err().1.contains("claims"));
        let nested = vec![0x1c; 10_000];
        assert!(walk_struct(&nested, &mut |_, _| Ok(())).unwrap_err().1.contains("deeper"));
        let lists = vec![0x19; 10_000];
        assert!(walk_struct(&lists, &mut |_, _| Ok(())).is_err());
    }
}
