//! A reader of what the writer writes, for tests.

use super::super::*;
use crate::lookup3::lookup3;

/// A small reader of what the writer writes, by the places that the specification gives. It checks sums, and panics on whatever it does not know.
pub(in crate::write) struct Reader<'b>(pub(in crate::write) &'b [u8]);

#[derive(Debug)]
pub(in crate::write) struct Read {
    pub(in crate::write) shape: Vec<u64>,
    pub(in crate::write) datatype: Vec<u8>,
    /// Values as bytes; texts as their bytes with a zero after each.
    pub(in crate::write) bytes: Vec<u8>,
}

impl Reader<'_> {
    fn number(&self, at: u64, bytes: usize) -> u64 {
        let mut number = [0; 8];
        number[..bytes].copy_from_slice(&self.0[at as usize..at as usize + bytes]);
        u64::from_le_bytes(number)
    }

    fn sum(&self, start: u64, end: u64) {
        assert_eq!(self.number(end, 4), u64::from(lookup3(&self.0[start as usize..end as usize], 0)));
    }

    fn root(&self) -> u64 {
        assert_eq!(&self.0[..12], b"\x89HDF\r\n\x1a\n\x02\x08\x08\x00");
        self.sum(0, 44);
        assert_eq!(self.number(28, 8), self.0.len() as u64, "the end of the file");
        self.number(36, 8)
    }

    pub(in crate::write) fn messages(&self, header: u64) -> Vec<(u8, &[u8])> {
        assert_eq!(&self.0[header as usize..header as usize + 6], b"OHDR\x02\x02");
        let end = header + 10 + self.number(header + 6, 4);
        self.sum(header, end);
        let (mut at, mut messages) = (header + 10, Vec::new());
        while at < end {
            let length = self.number(at + 1, 2) as usize;
            messages.push((self.0[at as usize], &self.0[at as usize + 4..at as usize + 4 + length]));
            at += 4 + length as u64;
        }
        assert_eq!(at, end);
        messages
    }

    pub(in crate::write) fn find(&self, path: &str) -> u64 {
        let mut at = self.root();
        for name in path.split('/').filter(|name| !name.is_empty()) {
            let links = self.messages(at).into_iter().filter(|(kind, message)| *kind == kind::LINK && message[1] == 0x11);
            let mut named = links.filter(|(_, message)| &message[5..message.len() - 8] == name.as_bytes());
            let (_, message) = named.next().unwrap_or_else(|| panic!("no {path}"));
            at = u64::from_le_bytes(message[message.len() - 8..].try_into().unwrap());
        }
        at
    }

    fn shape(space: &[u8]) -> Vec<u64> {
        assert_eq!((space[0], space[2], space[3]), (2, 0, u8::from(space[1] > 0)));
        space[4..].as_chunks().0.iter().map(|&length| u64::from_le_bytes(length)).collect()
    }

    pub(in crate::write) fn dataset(&self, path: &str) -> Read {
        let messages = self.messages(self.find(path));
        let one = |wanted: u8| messages.iter().find(|(kind, _)| *kind == wanted).map(|(_, message)| *message);
        let (shape, datatype) = (Self::shape(one(kind::DATASPACE).unwrap()), one(kind::DATATYPE).unwrap().to_vec());
        let size = u32::from_le_bytes(datatype[4..8].try_into().unwrap()) as usize;
        let layout = one(kind::LAYOUT).unwrap();
        let address = |at: usize| u64::from_le_bytes(layout[at..at + 8].try_into().unwrap());
        let total = shape.iter().product::<u64>() as usize * size;
        let bytes = match layout[1] {
            1 => {
                assert_eq!(address(10), total as u64);
                let start = if total == 0 { 0 } else { address(2) as usize };
                self.0[start..start + total].to_vec()
            }
            2 => {
                let lengths: Vec<u64> = layout[11..].as_chunks().0.iter().map(|&length| u64::from(u32::from_le_bytes(length))).collect();
                let (chunk, last) = lengths.split_at(lengths.len() - 1);
                assert_eq!(last, [size as u64]);
                let mut whole = vec![0xEE; total];
                if address(3) != UNDEFINED {
                    let chunks = self.tree(address(3), shape.len());
                    let starts: Vec<&Vec<u64>> = chunks.iter().map(|(start, ..)| start).collect();
                    assert!(starts.windows(2).all(|pair| pair[0] < pair[1]), "chunks rise");
                    for (start, at, length) in &chunks {
                        let stored = &self.0[*at as usize..(*at + *length) as usize];
                        let plain = unfiltered(stored, one(kind::FILTERS), size);
                        place(&plain, &mut whole, &shape, chunk, start, size);
                    }
                }
                whole
            }
            other => panic!("layout {other}"),
        };
        Read { shape, bytes: self.resolved(&datatype, bytes), datatype }
    }

    /// Chunks below a node: first position, address, length.
    fn tree(&self, node: u64, rank: usize) -> Vec<(Vec<u64>, u64, u64)> {
        assert_eq!(self.number(node, 5), u64::from_le_bytes(*b"TREE\x01\0\0\0"));
        let (level, used) = (self.number(node + 5, 1), self.number(node + 6, 2));
        let key = 8 + 8 * (rank as u64 + 1);
        let start = |entry: u64| -> Vec<u64> {
            (0..rank as u64).map(|axis| self.number(node + 24 + entry * (key + 8) + 8 + axis * 8, 8)).collect()
        };
        let mut chunks = Vec::new();
        for entry in 0..used {
            let at = node + 24 + entry * (key + 8);
            let child = self.number(at + key, 8);
            if level == 0 {
                chunks.push((start(entry), child, self.number(at, 4)));
            } else {
                let below = self.tree(child, rank);
                assert_eq!(below[0].0, start(entry), "a key is its first chunk");
                chunks.extend(below);
            }
            assert!(chunks.last().unwrap().0 < start(entry + 1), "the next key is past a node's chunks");
        }
        chunks
    }

    /// Texts out of the heap.
    fn resolved(&self, datatype: &[u8], bytes: Vec<u8>) -> Vec<u8> {
        if datatype[0] != 0x19 {
            return bytes;
        }
        let mut texts = Vec::new();
        for element in bytes.as_chunks::<16>().0 {
            let length = u32::from_le_bytes(element[..4].try_into().unwrap()) as u64;
            let collection = u64::from_le_bytes(element[4..12].try_into().unwrap());
            let wanted = u32::from_le_bytes(element[12..].try_into().unwrap()) as u64;
            if length > 0 {
                assert_eq!(self.number(collection, 5), u64::from_le_bytes(*b"GCOL\x01\0\0\0"));
                let end = collection + self.number(collection + 8, 8);
                let mut at = collection + 16;
                while self.number(at, 2) != wanted {
                    assert!(at < end && self.number(at, 2) != 0, "object {wanted} of a heap");
                    at += 16 + self.number(at + 8, 8).next_multiple_of(8);
                }
                assert_eq!(self.number(at + 8, 8), length);
                assert!(at + 16 + length <= end);
                texts.extend(&self.0[at as usize + 16..(at + 16 + length) as usize]);
            }
            texts.push(0);
        }
        texts
    }

    pub(in crate::write) fn attribute(&self, path: &str, name: &str) -> Read {
        for (kind, message) in self.messages(self.find(path)) {
            let length = |at: usize| u16::from_le_bytes(message[at..at + 2].try_into().unwrap()) as usize;
            if kind == kind::ATTRIBUTE && message[9..9 + length(2) - 1] == *name.as_bytes() {
                let (datatype, rest) = message[9 + length(2)..].split_at(length(4));
                let (space, data) = rest.split_at(length(6));
                return Read { shape: Self::shape(space), datatype: datatype.to_vec(), bytes: self.resolved(datatype, data.to_vec()) };
            }
        }
        panic!("no attribute {name}")
    }
}

fn unfiltered(stored: &[u8], pipeline: Option<&[u8]>, size: usize) -> Vec<u8> {
    let mut bytes = stored.to_vec();
    let Some(pipeline) = pipeline else { return bytes };
    assert_eq!((pipeline[0], pipeline.len()), (2, 2 + 10 * usize::from(pipeline[1])));
    for filter in pipeline[2..].as_chunks::<10>().0.iter().rev() {
        match filter[0] {
            1 => {
                let mut plain = Vec::new();
                std::io::Read::read_to_end(&mut flate2::read::ZlibDecoder::new(bytes.as_slice()), &mut plain).unwrap();
                bytes = plain;
            }
            2 => {
                assert_eq!(usize::from(filter[6]), size);
                let count = bytes.len() / size;
                bytes = (0..bytes.len()).map(|at| bytes[(at % size) * count + at / size]).collect();
            }
            other => panic!("filter {other}"),
        }
    }
    bytes
}

/// Puts a chunk's values in their places, one at a time.
fn place(chunk_bytes: &[u8], whole: &mut [u8], shape: &[u64], chunk: &[u64], start: &[u64], size: usize) {
    assert_eq!(chunk_bytes.len() as u64, chunk.iter().product::<u64>() * size as u64);
    'values: for (flat, value) in chunk_bytes.chunks(size).enumerate() {
        let (mut rest, mut at, mut stride) = (flat as u64, 0u64, 1u64);
        for axis in (0..shape.len()).rev() {
            let position = start[axis] + rest % chunk[axis];
            rest /= chunk[axis];
            if position >= shape[axis] {
                assert!(value.iter().all(|&byte| byte == 0), "past the end there are zeros");
                continue 'values;
            }
            at += position * stride;
            stride *= shape[axis];
        }
        whole[at as usize * size..(at as usize + 1) * size].copy_from_slice(value);
    }
}

impl Read {
    /// The values as numbers of double precision.
    pub(in crate::write) fn numbers(&self) -> Vec<f64> {
        assert_eq!(self.datatype, Element::F64.datatype());
        self.bytes.as_chunks().0.iter().map(|&value| f64::from_le_bytes(value)).collect()
    }

    /// The values as whole numbers of 64 bits.
    pub(in crate::write) fn integers(&self) -> Vec<i64> {
        assert!(
            self.datatype == Element::I64.datatype()
                || self.datatype == Element::U64.datatype()
                || self.datatype == Element::Reference.datatype()
        );
        self.bytes.as_chunks().0.iter().map(|&value| i64::from_le_bytes(value)).collect()
    }

    /// The values as texts.
    pub(in crate::write) fn texts(&self) -> Vec<&str> {
        assert_eq!(self.datatype, Element::Text.datatype());
        let mut texts: Vec<&str> = std::str::from_utf8(&self.bytes).unwrap().split('\0').collect();
        texts.pop();
        texts
    }
}
