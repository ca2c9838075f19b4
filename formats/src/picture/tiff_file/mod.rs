//! TIFF and BigTIFF, by the crate `tiff`: strips and tiles, uncompressed, LZW, deflate or PackBits; whole numbers of 8 to 64 bits and floats.

use super::{Described, Shape};
use crate::reading::{broken, shortened};
use crate::source::Source;
use neuroflow_data::formats::{Format, FormatError, Limits, OR_ACCEPT, Place, within_border};
use std::collections::BTreeMap;
use std::io::{self, Read, Seek, SeekFrom};
use tiff::ColorType;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::Tag;

/// A file that can be sought in; small reads are served from one block.
struct Cursor<'s> {
    source: &'s dyn Source,
    at: u64,
    block: (u64, Vec<u8>),
}

impl Read for Cursor<'_> {
    fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
        const BLOCK: u64 = 1 << 16;
        let left = self.source.len().saturating_sub(self.at);
        let count = left.min(into.len() as u64);
        if count == 0 {
            return Ok(0);
        }
        if self.source.whole().is_none() && count < BLOCK {
            let inside = self.at.checked_sub(self.block.0).filter(|start| start + count <= self.block.1.len() as u64);
            let start = match inside {
                Some(start) => start,
                None => {
                    let end = self.at.saturating_add(BLOCK).min(self.source.len());
                    self.block = (self.at, self.source.bytes(self.at..end)?.into_owned());
                    0
                }
            };
            let from = self.block.1.get(start as usize..(start + count) as usize).ok_or(io::ErrorKind::UnexpectedEof)?;
            into.get_mut(..count as usize).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(from);
        } else {
            let from = self.source.bytes(self.at..self.at + count)?;
            into.get_mut(..count as usize).ok_or(io::ErrorKind::UnexpectedEof)?.copy_from_slice(&from);
        }
        self.at += count;
        Ok(count as usize)
    }
}

impl Seek for Cursor<'_> {
    fn seek(&mut self, to: SeekFrom) -> io::Result<u64> {
        let place = match to {
            SeekFrom::Start(place) => Some(place),
            SeekFrom::End(offset) => self.source.len().checked_add_signed(offset),
            SeekFrom::Current(offset) => self.at.checked_add_signed(offset),
        };
        self.at = place.ok_or(io::ErrorKind::InvalidInput)?;
        Ok(self.at)
    }
}

fn decoder(source: &dyn Source, most: u64) -> Result<Decoder<Cursor<'_>>, String> {
    let mut limits = tiff::decoder::Limits::default();
    limits.decoding_buffer_size = usize::try_from(most).unwrap_or(usize::MAX);
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    limits.ifd_value_size = usize::try_from(source.len()).unwrap_or(usize::MAX).clamp(1 << 16, 64 << 20);
    let cursor = Cursor { source, at: 0, block: (0, Vec::new()) };
    Ok(Decoder::new(cursor).map_err(|error| error.to_string())?.with_limits(limits))
}

fn shape(decoder: &mut Decoder<Cursor<'_>>) -> Result<Shape, String> {
    let (width, height) = decoder.dimensions().map_err(|error| error.to_string())?;
    let colour = decoder.colortype().map_err(|error| error.to_string())?;
    let format = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).ok().flatten().and_then(|all| all.first().copied()).unwrap_or(1);
    let (channels, bits) = match colour {
        ColorType::Gray(bits) | ColorType::Palette(bits) => (1, bits),
        ColorType::GrayA(bits) => (2, bits),
        ColorType::RGB(bits) | ColorType::YCbCr(bits) | ColorType::Lab(bits) => (3, bits),
        ColorType::RGBA(bits) | ColorType::CMYK(bits) => (4, bits),
        ColorType::CMYKA(bits) => (5, bits),
        ColorType::Multiband { bit_depth, num_samples } => (u32::from(num_samples), bit_depth),
        other => return Err(format!("pixels of the sort {other:?} are not read")),
    };
    let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok().flatten().unwrap_or(1);
    if planar == 2 && channels > 1 {
        return Err("colours in planes of their own are not read, save them pixel by pixel".into());
    }
    let element = match (format, bits) {
        (2, 8) => "int8",
        (2, 16) => "int16",
        (2, 32) => "int32",
        (2, 64) => "int64",
        (3, 16) => "float16",
        (3, 32) => "float32",
        (3, 64) => "float64",
        (_, 8) => "uint8",
        (_, 16) => "uint16",
        (_, 32) => "uint32",
        (_, 64) => "uint64",
        _ => return Err(format!("pixels of {bits} bits are not read")),
    };
    Ok(Shape { width, height, channels, element })
}

/// Shapes of all pages, and what the first says in words.
pub(super) fn describe(source: &dyn Source, limits: &Limits) -> Result<Described, FormatError> {
    let described = within_border(|| {
        let mut decoder = decoder(source, limits.free_bytes)?;
        let mut out = Described::default();
        let texts = [(Tag::Software, "software"), (Tag::DateTime, "time"), (Tag::Artist, "artist"), (Tag::ImageDescription, "description")];
        for (tag, name) in texts {
            if let Ok(text) = decoder.get_tag_ascii_string(tag) {
                described_by(name, &text, &mut out);
            }
        }
        if let Ok(Some(orientation)) = decoder.find_tag_unsigned::<u16>(Tag::Orientation)
            && orientation > 1
        {
            out.notes.push(format!("the orientation {orientation} is not followed"));
        }
        // A page takes 14 bytes at least, so this ends.
        let most = source.len() / 14 + 1;
        loop {
            out.pages.push(shape(&mut decoder).map_err(|reason| format!("page {}: {reason}", out.pages.len() + 1))?);
            if !decoder.more_images() || out.pages.len() as u64 > most {
                break;
            }
            if let Err(error) = decoder.next_image() {
                let reason = format!("the file breaks off after page {} ({error})", out.pages.len());
                out.damage.push(FormatError::new(Format::Picture, Place::File, reason, OR_ACCEPT));
                break;
            }
        }
        if matches!(decoder.colortype(), Ok(ColorType::Palette(_))) {
            out.notes.push("positions in a palette are given, not its colours".into());
        }
        Ok(out)
    });
    described.map_err(|reason| broken(Format::Picture, reason))
}

/// What ImageJ (`key=value`) and ScanImage (`SI.key = value`) write into descriptions are facts of their own.
fn described_by(name: &str, text: &str, out: &mut Described) {
    let pairs: BTreeMap<&str, &str> =
        text.lines().filter_map(|line| line.split_once('=')).map(|(key, value)| (key.trim(), value.trim())).collect();
    if text.starts_with("ImageJ=") || pairs.keys().any(|key| key.starts_with("SI.")) {
        let wanted = |key: &str| !key.starts_with("SI.") || SCAN_IMAGE.contains(&key);
        for (key, value) in pairs.into_iter().filter(|(key, _)| wanted(key)) {
            out.facts.insert(key.to_owned(), shortened(value, 200));
        }
        return;
    }
    out.facts.insert(name.to_owned(), shortened(text.trim(), 1000));
}

/// The settings of ScanImage that say how the pictures were taken.
const SCAN_IMAGE: [&str; 10] = [
    "SI.VERSION_MAJOR",
    "SI.VERSION_MINOR",
    "SI.hRoiManager.scanFrameRate",
    "SI.hRoiManager.scanVolumeRate",
    "SI.hRoiManager.scanZoomFactor",
    "SI.hChannels.channelSave",
    "SI.hStackManager.numSlices",
    "SI.hStackManager.framesPerSlice",
    "SI.hFastZ.numFramesPerVolume",
    "SI.objectiveResolution",
];

/// All values of some pages, one after the other, each given to `take`. `needed` bytes of floats bound what the pixels of a page take.
///
/// The pages are walked once: to find the last page of a file, all before it must be looked at.
pub(super) fn decode(
    source: &dyn Source,
    pages: std::ops::Range<usize>,
    needed: u64,
    mut take: impl FnMut(Vec<f64>) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let opened = within_border(|| {
        let mut decoder = decoder(source, needed.saturating_add(1 << 20))?;
        decoder.seek_to_image(pages.start).map_err(|error| error.to_string())?;
        Ok(decoder)
    });
    let mut decoder = opened.map_err(|reason| broken(Format::Picture, reason))?;
    for page in pages.clone() {
        let values = within_border(|| {
            if page > pages.start {
                decoder.next_image().map_err(|error| format!("page {}: {error}", page + 1))?;
            }
            let pixels = decoder.read_image().map_err(|error| format!("page {}: {error}", page + 1))?;
            Ok(floats(pixels))
        });
        take(values.map_err(|reason| broken(Format::Picture, reason))?)?;
    }
    Ok(())
}

fn floats(pixels: DecodingResult) -> Vec<f64> {
    match pixels {
        DecodingResult::U8(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::U16(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::U32(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::U64(values) => values.into_iter().map(|value| value as f64).collect(),
        DecodingResult::I8(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::I16(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::I32(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::I64(values) => values.into_iter().map(|value| value as f64).collect(),
        DecodingResult::F16(values) => values.into_iter().map(|value| value.to_f64()).collect(),
        DecodingResult::F32(values) => values.into_iter().map(f64::from).collect(),
        DecodingResult::F64(values) => values,
    }
}
