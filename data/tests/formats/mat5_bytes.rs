//! Writes small MATLAB 5 files for tests: only what the reader has to cope with, in either byte order.
#![allow(dead_code, reason = "the fuzz seeds use this file too, and not all of it")]

use std::io::Write;

/// Type numbers of elements.
pub const INT8: u32 = 1;
pub const UINT8: u32 = 2;
pub const UINT16: u32 = 4;
pub const INT32: u32 = 5;
pub const UINT32: u32 = 6;
pub const DOUBLE: u32 = 9;
pub const MATRIX: u32 = 14;
pub const COMPRESSED: u32 = 15;
pub const UTF8: u32 = 16;

/// Class numbers of arrays.
pub const CELL: u32 = 1;
pub const STRUCT: u32 = 2;
pub const CHAR: u32 = 4;
pub const SPARSE: u32 = 5;
pub const CLASS_DOUBLE: u32 = 6;
pub const CLASS_UINT8: u32 = 9;
pub const FUNCTION: u32 = 16;
pub const OPAQUE: u32 = 17;

/// Bits beside the class.
pub const LOGICAL: u32 = 0x0200;
pub const COMPLEX: u32 = 0x0800;

/// Writes in one byte order.
#[derive(Clone, Copy)]
pub struct Mat5 {
    pub big_endian: bool,
}

impl Mat5 {
    pub fn u32(self, value: u32) -> [u8; 4] {
        if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }
    }

    pub fn doubles(self, values: &[f64]) -> Vec<u8> {
        values.iter().flat_map(|value| if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }).collect()
    }

    pub fn ints(self, values: &[i32]) -> Vec<u8> {
        values.iter().flat_map(|value| self.u32(*value as u32)).collect()
    }

    pub fn shorts(self, values: &[u16]) -> Vec<u8> {
        values.iter().flat_map(|value| if self.big_endian { value.to_be_bytes() } else { value.to_le_bytes() }).collect()
    }

    /// An element with an eight-byte tag.
    pub fn element(self, kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = [self.u32(kind), self.u32(data.len() as u32)].concat();
        bytes.extend_from_slice(data);
        if kind != COMPRESSED {
            bytes.resize(bytes.len().next_multiple_of(8), 0);
        }
        bytes
    }

    /// An element of at most four bytes, packed with its tag.
    pub fn small(self, kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = self.u32((data.len() as u32) << 16 | kind).to_vec();
        bytes.extend_from_slice(data);
        bytes.resize(8, 0);
        bytes
    }

    /// An array: flags, dimensions, name, parts.
    pub fn array(self, name: &str, class: u32, dims: &[i32], parts: &[Vec<u8>]) -> Vec<u8> {
        let mut data = self.element(UINT32, &[self.u32(class), self.u32(0)].concat());
        data.extend(self.element(INT32, &self.ints(dims)));
        data.extend(if (1..=4).contains(&name.len()) { self.small(INT8, name.as_bytes()) } else { self.element(INT8, name.as_bytes()) });
        data.extend(parts.concat());
        self.element(MATRIX, &data)
    }

    /// A column of doubles.
    pub fn column(self, name: &str, values: &[f64]) -> Vec<u8> {
        self.array(name, CLASS_DOUBLE, &[values.len() as i32, 1], &[self.element(DOUBLE, &self.doubles(values))])
    }

    /// A row of text.
    pub fn text(self, name: &str, text: &str) -> Vec<u8> {
        let units: Vec<u16> = text.encode_utf16().collect();
        self.array(name, CHAR, &[1, units.len() as i32], &[self.element(UINT16, &self.shorts(&units))])
    }

    pub fn cells(self, name: &str, cells: &[Vec<u8>]) -> Vec<u8> {
        self.array(name, CELL, &[1, cells.len() as i32], cells)
    }

    /// A struct array; `values` go through all fields of the first element, then of the second, and so on.
    pub fn structs(self, name: &str, dims: &[i32], fields: &[&str], values: &[Vec<u8>]) -> Vec<u8> {
        // Names have one length, with a zero at the end.
        let width = fields.iter().map(|field| field.len() + 1).fold(8, usize::max);
        let padded = |field: &&str| field.bytes().chain(std::iter::repeat(0)).take(width).collect::<Vec<u8>>();
        let names: Vec<u8> = fields.iter().flat_map(padded).collect();
        let mut parts = vec![self.small(INT32, &self.u32(width as u32)), self.element(INT8, &names)];
        parts.extend_from_slice(values);
        self.array(name, STRUCT, dims, &parts)
    }

    /// An element that holds another one, deflated.
    pub fn compressed(self, element: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(element).unwrap();
        self.element(COMPRESSED, &encoder.finish().unwrap())
    }

    /// A file of these variables.
    pub fn file(self, variables: &[Vec<u8>]) -> Vec<u8> {
        let mut bytes = b"MATLAB 5.0 MAT-file, Platform: none, Created by: a test".to_vec();
        bytes.resize(124, b' ');
        bytes.extend_from_slice(if self.big_endian { b"\x01\x00MI" } else { b"\x00\x01IM" });
        bytes.extend(variables.concat());
        bytes
    }

    /// A file with one of everything, compressed or not.
    pub fn sampler(self, compress: bool) -> Vec<u8> {
        let trial = |start: f64| self.column("", &[start, start + 0.5, -1.0]);
        let cells = |from: f64| self.cells("", &[trial(from), trial(from + 1.0), self.element(MATRIX, &[])]);
        let variables = [
            self.structs("D", &[1, 1], &["neuron1", "neuron2"], &[cells(0.0), cells(10.0)]),
            self.structs(
                "RDMs",
                &[1, 2],
                &["name", "n"],
                &[self.text("", "IT"), self.column("", &[1.0]), self.text("", "V1é"), self.column("", &[2.0])],
            ),
            // A double stored as bytes, as MATLAB does with small integers.
            self.array("small", CLASS_DOUBLE, &[2, 2], &[self.small(UINT8, &[1, 2, 3, 4])]),
            self.array("flags", CLASS_UINT8 | LOGICAL, &[1, 3], &[self.small(UINT8, &[1, 0, 1])]),
            self.array(
                "z",
                CLASS_DOUBLE | COMPLEX,
                &[1, 2],
                &[self.element(DOUBLE, &self.doubles(&[1.0, 2.0])), self.element(DOUBLE, &self.doubles(&[3.0, 4.0]))],
            ),
            self.array(
                "sparse",
                SPARSE,
                &[3, 2],
                &[
                    self.element(INT32, &self.ints(&[0, 2, 1])),
                    self.element(INT32, &self.ints(&[0, 2, 3])),
                    self.element(DOUBLE, &self.doubles(&[5.0, 6.0, 7.0])),
                ],
            ),
            self.array("rows", CHAR, &[2, 3], &[self.element(UTF8, b"adbecf")]),
            self.array("empty", CLASS_DOUBLE, &[0, 5], &[self.element(DOUBLE, &[])]),
            self.array("f", FUNCTION, &[1, 1], &[self.text("", "@sin")]),
        ];
        let written: Vec<Vec<u8>> =
            variables.iter().map(|variable| if compress { self.compressed(variable) } else { variable.clone() }).collect();
        self.file(&written)
    }
}
