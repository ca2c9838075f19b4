//! IDX arrays, plain or gzip, as MNIST and its kin are published.
//!
//! One array, `array`. The mark is two zero bytes, the type of the values and the number of axes; then follow the lengths, big-endian, and the
//! values.
//! The layout is that of Yann LeCun's page "The MNIST database", section "File formats".

use crate::document::{Contents, Document};
use crate::grid::{Element, Grid, Named, Scale, tensor};
use crate::reading::{Stream, at_byte, head, is_gzip};
use crate::source::Source;
use neuroflow_data::Tensor;
use neuroflow_data::formats::bytes::{ByteOrder, number_at};
use neuroflow_data::formats::inflate::GzipMembers;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

/// An opened IDX file.
#[derive(Debug)]
pub struct IdxDocument {
    contents: Contents,
    source: Arc<dyn Source>,
    array: Named,
    gzip: bool,
    limits: Limits,
}

/// Opens an IDX file.
///
/// # Errors
/// When the mark, the type or the axes are damaged, or the file's length is not what they say.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<IdxDocument, FormatError> {
    /// The mark and 255 lengths.
    const HEADER: u64 = 4 + 4 * 255;
    let first = head(source.as_ref(), Format::Idx, HEADER)?;
    let gzip = is_gzip(&first);
    let header = if gzip {
        let mut inflated = Vec::new();
        let read = GzipMembers::new(Stream::new(source.as_ref())).take(HEADER).read_to_end(&mut inflated);
        // What is there may be enough, however the stream ends.
        if let (Err(error), true) = (read, inflated.len() < 4) {
            return Err(at_byte(Format::Idx, 0, format!("the compressed data break off or are damaged ({error})")));
        }
        inflated
    } else {
        first.into_owned()
    };
    let array = parse(&header)?;
    if !gzip && array.grid.end() != Some(source.len()) {
        let reason = format!(
            "the axes {:?} call for {} bytes, the file has {}",
            array.grid.shape(),
            array.grid.end().unwrap_or(u64::MAX),
            source.len()
        );
        return Err(at_byte(Format::Idx, array.grid.start, reason));
    }
    let mut contents = Contents::new(Format::Idx, "");
    contents.items.push(array.item(""));
    Ok(IdxDocument { contents, source, array, gzip, limits: limits.clone() })
}

fn parse(header: &[u8]) -> Result<Named, FormatError> {
    let (Some([0, 0]), Some(code), Some(axes)) = (header.get(..2), header.get(2), header.get(3)) else {
        let help = "check that the path names an IDX file, such as `t10k-images-idx3-ubyte`";
        return Err(FormatError::new(Format::Idx, Place::Byte(0), "the file does not begin with IDX's mark, two zero bytes", help));
    };
    let element = match code {
        0x08 => Element::U8,
        0x09 => Element::I8,
        0x0b => Element::I16,
        0x0c => Element::I32,
        0x0d => Element::F32,
        0x0e => Element::F64,
        _ => return Err(at_byte(Format::Idx, 2, format!("the type {code:#04x} is none of IDX's"))),
    };
    if *axes == 0 {
        return Err(at_byte(Format::Idx, 3, "the array has no axis"));
    }
    let lengths: Option<Vec<u64>> =
        (0..usize::from(*axes)).map(|axis| number_at::<u32>(header, 4 + 4 * axis, ByteOrder::Big).map(u64::from)).collect();
    let Some(lengths) = lengths else {
        return Err(at_byte(Format::Idx, header.len() as u64, format!("the file ends inside the lengths of its {axes} axes")));
    };
    let names = match (element, lengths.len()) {
        (Element::U8, 3) => vec!["image".into(), "y".into(), "x".into()],
        (_, 1) => vec!["item".into()],
        (_, count) => (1..=count).map(|axis| format!("axis {axis}")).collect(),
    };
    let grid = Grid::row_major(&lengths)
        .map(|axes| Grid { element, order: ByteOrder::Big, start: 4 + 4 * u64::from(*axes_of(header)), axes, scale: Scale::NONE })
        .filter(|grid| grid.end().is_some());
    match grid {
        Some(grid) => Ok(Named { path: "array".into(), grid, axes: names, unit: String::new() }),
        None => Err(at_byte(Format::Idx, 4, format!("the axes {lengths:?} multiply to more than can be counted"))),
    }
}

fn axes_of(header: &[u8]) -> &u8 {
    header.get(3).unwrap_or(&0)
}

impl Document for IdxDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        self.contents.path_of(path, "array", |what| what.word() == "array")?;
        if !self.gzip {
            return self.array.tensor(self.source.as_ref(), Format::Idx, part, &self.limits);
        }
        let grid = &self.array.grid;
        let damaged = |error: &std::io::Error| {
            let reason = format!("the compressed data break off or are damaged ({error})");
            FormatError::new(Format::Idx, Place::Object { path: "array".into(), byte: grid.end() }, reason, COPY_AGAIN)
        };
        let mut stream = GzipMembers::new(Stream::new(self.source.as_ref()));
        std::io::copy(&mut (&mut stream).take(grid.start), &mut std::io::sink()).map_err(|error| damaged(&error))?;
        let (ranges, values) = grid.read_stream(&mut stream, self.source.len(), Format::Idx, "array", part, &self.limits)?;
        if ranges.first().zip(grid.axes.first()).is_some_and(|(range, axis)| range.end == axis.len) {
            // One byte more is asked for so that the checksum is compared.
            match stream.read(&mut [0u8; 1]) {
                Ok(0) => {}
                Ok(_) => return Err(at_byte(Format::Idx, grid.end().unwrap_or_default(), "more bytes follow after the last value")),
                Err(error) => return Err(damaged(&error)),
            }
        }
        tensor(Format::Idx, &self.array.axes, &ranges, "", values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::buffer::Buffer;
    use std::io::Write;

    fn file(code: u8, lengths: &[u32], values: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0, 0, code, lengths.len() as u8];
        lengths.iter().for_each(|length| bytes.extend(length.to_be_bytes()));
        bytes.extend(values);
        bytes
    }

    fn opened(bytes: &[u8]) -> Result<IdxDocument, FormatError> {
        open(Arc::new(Buffer::from_vec(bytes.to_vec())), &Limits::default())
    }

    fn gzip(bytes: &[u8]) -> Vec<u8> {
        let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
        encoder.write_all(bytes).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn every_type_reads_plain_and_gzip() {
        let values: [(u8, Vec<u8>); 6] = [
            (8, vec![1, 2, 250]),
            (9, vec![1, 2, 250]),
            (0xb, [1i16, 2, -6].iter().flat_map(|v| v.to_be_bytes()).collect()),
            (0xc, [1i32, 2, -6].iter().flat_map(|v| v.to_be_bytes()).collect()),
            (0xd, [1f32, 2.0, -6.0].iter().flat_map(|v| v.to_be_bytes()).collect()),
            (0xe, [1f64, 2.0, -6.0].iter().flat_map(|v| v.to_be_bytes()).collect()),
        ];
        for (code, bytes) in values {
            for bytes in [file(code, &[3], &bytes), gzip(&file(code, &[3], &bytes))] {
                let tensor = opened(&bytes).unwrap().tensor("", None).unwrap();
                let last = if code == 8 { 250.0 } else { -6.0 };
                assert_eq!(tensor.values(), [1.0, 2.0, last]);
                assert_eq!(tensor.axes()[0].name, "item");
            }
        }
        let images = gzip(&file(8, &[2, 2, 3], &[0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11]));
        let part = opened(&images).unwrap().tensor("array", Some(&[1..2, 0..2, 2..3])).unwrap();
        assert_eq!((part.shape(), part.values()), (vec![1, 2, 1], &[8.0, 11.0][..]));
    }

    #[test]
    fn damage_is_told_with_its_place() {
        let error = |bytes: &[u8]| opened(bytes).and_then(|document| document.tensor("", None)).unwrap_err().to_string();
        let good = file(8, &[2, 2], &[1, 2, 3, 4]);
        assert!(error(&[1, 0, 8, 1]).starts_with("IDX: byte 0: the file does not begin"));
        assert!(error(&[0, 0, 7, 1]).contains("byte 2: the type 0x07"));
        assert!(error(&[0, 0, 8, 0]).contains("byte 3: the array has no axis"));
        assert!(error(&good[..9]).contains("byte 9: the file ends inside the lengths of its 2 axes"));
        assert!(error(&good[..13]).contains("call for 16 bytes, the file has 13"));
        assert!(error(&[&good[..], &[1]].concat()).contains("the file has 17"));
        assert!(error(&file(8, &[u32::MAX, u32::MAX, u32::MAX], &[])).contains("more than can be counted"));
        let packed = gzip(&good);
        assert!(error(&packed[..packed.len() - 9]).contains("object `array`"), "{}", error(&packed[..packed.len() - 9]));
        assert!(error(&gzip(&good[..14])).contains("end 2 bytes early"));
        assert!(error(&gzip(&[&good[..], &[1]].concat())).contains("more bytes follow"));
        assert!(error(&gzip(&file(8, &[1 << 10, 1 << 18], &[]))).contains("compressed bytes claim to hold"));
    }
}
