//! TIFF and BigTIFF, by the crate `tiff`: strips and tiles, uncompressed, LZW, deflate or PackBits; whole numbers of 1, 2, 4 and 8 to 64 bits and floats, colours
//! pixel by pixel or in planes of their own.
//!
//! Values are those that stand in the file, whatever they mean as colours: of a palette the positions, and where 0 is white the numbers as they are.

mod cursor;
mod description;
mod directories;
mod frames;
mod ome;

use super::{Described, Shape};
use crate::reading::broken;
use crate::source::Source;
use cursor::Cursor;
use directories::Directories;
use neuroflow_data::formats::{Format, FormatError, Limits, OR_ACCEPT, Place, within_border};
use std::collections::BTreeMap;
use tiff::decoder::{Decoder, DecodingResult};
use tiff::tags::{PlanarConfiguration, Tag};
use tiff::{ColorType, TiffError};

/// Why a page is not read.
enum Failure {
    /// The file breaks a rule.
    Broken(String),
    /// The file is whole as far as is known, and stored in a way that is not read.
    Unread(String),
}

impl From<TiffError> for Failure {
    fn from(error: TiffError) -> Failure {
        match error {
            TiffError::UnsupportedError(error) => Failure::Unread(error.to_string()),
            error => Failure::Broken(error.to_string()),
        }
    }
}

impl Failure {
    /// The same, of a page.
    fn of_page(self, page: usize) -> Failure {
        match self {
            Failure::Broken(reason) => Failure::Broken(format!("page {page}: {reason}")),
            Failure::Unread(reason) => Failure::Unread(format!("page {page}: {reason}")),
        }
    }

    fn told(self) -> FormatError {
        const SAVE: &str = "save it in a way that is read, in Python: `tifffile.imwrite(\"new.tif\", tifffile.imread(\"old.tif\"), compression=\"deflate\")`";
        match self {
            Failure::Broken(reason) => broken(Format::Picture, reason),
            Failure::Unread(reason) => FormatError::new(Format::Picture, Place::File, reason, SAVE),
        }
    }
}

/// As [`within_border`], for what may fail for two reasons.
fn guarded<T>(decode: impl FnOnce() -> Result<T, Failure>) -> Result<T, FormatError> {
    match within_border(|| Ok(decode())) {
        Ok(result) => result.map_err(Failure::told),
        Err(panic) => Err(broken(Format::Picture, panic)),
    }
}

fn decoder<'s>(source: &'s dyn Source, instead: &'s BTreeMap<u64, [u8; 2]>, most: u64) -> Result<Decoder<Cursor<'s>>, Failure> {
    let mut limits = tiff::decoder::Limits::default();
    limits.decoding_buffer_size = usize::try_from(most).unwrap_or(usize::MAX);
    limits.intermediate_buffer_size = limits.decoding_buffer_size;
    limits.ifd_value_size = usize::try_from(source.len()).unwrap_or(usize::MAX).clamp(1 << 16, 64 << 20);
    Ok(Decoder::new(Cursor::new(source, instead))?.with_limits(limits))
}

/// The word for a way to compress that is not read; `None` of those that are.
fn unread_compression(code: u16) -> Option<String> {
    let word = match code {
        1 | 5 | 8 | 32946 | 32773 => return None,
        2..=4 => "fax (CCITT)",
        6 | 7 => "JPEG",
        33003 | 33005 | 34712 => "JPEG 2000",
        34887 => "LERC",
        34925 => "LZMA",
        34926 | 50000 => "Zstandard",
        34927 | 50001 => "WebP",
        50002 | 52546 => "JPEG XL",
        other => return Some(format!("the method {other}")),
    };
    Some(word.to_owned())
}

fn is_planar(decoder: &mut Decoder<Cursor<'_>>) -> bool {
    let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok().flatten();
    planar == Some(PlanarConfiguration::Planar.to_u16())
}

/// The shape of a page, and the bits of a value.
fn shape(decoder: &mut Decoder<Cursor<'_>>) -> Result<(Shape, u8), Failure> {
    let unread = |reason: String| Err(Failure::Unread(reason));
    let (width, height) = decoder.dimensions()?;
    let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression).ok().flatten().unwrap_or(1);
    if let Some(method) = unread_compression(compression) {
        return unread(format!("pixels that are compressed with {method} are not read"));
    }
    let colour = decoder.colortype()?;
    let format = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).ok().flatten().and_then(|all| all.first().copied()).unwrap_or(1);
    let (channels, bits) = match colour {
        ColorType::Gray(bits) | ColorType::Palette(bits) => (1, bits),
        ColorType::GrayA(bits) => (2, bits),
        ColorType::RGB(bits) | ColorType::YCbCr(bits) | ColorType::Lab(bits) => (3, bits),
        ColorType::RGBA(bits) | ColorType::CMYK(bits) => (4, bits),
        ColorType::CMYKA(bits) => (5, bits),
        ColorType::Multiband { bit_depth, num_samples } => (u32::from(num_samples), bit_depth),
        other => return unread(format!("pixels of the sort {other:?} are not read")),
    };
    let packed = channels == 1 && decoder.find_tag(Tag::TileWidth).ok().flatten().is_none();
    let element = match (format, bits) {
        (2, 8) => "int8",
        (2, 16) => "int16",
        (2, 32) => "int32",
        (2, 64) => "int64",
        (3, 16) => "float16",
        (3, 32) => "float32",
        (3, 64) => "float64",
        (1 | 4, 1 | 2 | 4) if packed => "uint8",
        (_, 8) => "uint8",
        (_, 16) => "uint16",
        (_, 32) => "uint32",
        (_, 64) => "uint64",
        _ => return unread(format!("pixels of {bits} bits are not read")),
    };
    Ok((Shape { width, height, channels, element }, bits))
}

/// Shapes of all pages, and what the first says in words.
pub(super) fn describe(source: &dyn Source, limits: &Limits) -> Result<Described, FormatError> {
    let directories = Directories::read(source);
    guarded(|| {
        let mut decoder = decoder(source, &directories.instead, limits.free_bytes)?;
        let mut out = Described::default();
        let texts = [(Tag::Software, "software"), (Tag::DateTime, "time"), (Tag::Artist, "artist")];
        for (tag, name) in texts {
            if let Ok(text) = decoder.get_tag_ascii_string(tag) {
                out.facts.insert(name.to_owned(), crate::reading::shortened(text.trim(), 1000));
            }
        }
        let description = decoder.get_tag_ascii_string(Tag::ImageDescription).unwrap_or_default();
        if let Ok(Some(orientation)) = decoder.find_tag_unsigned::<u16>(Tag::Orientation)
            && orientation > 1
        {
            out.notes.push(format!("the orientation {orientation} is not followed"));
        }
        let (first, bits) = shape(&mut decoder).map_err(|failure| failure.of_page(1))?;
        out.pages.push(first);
        let said = description::read(&description, first, &mut out);
        if !decoder.more_images()
            && let Some(images) = said.images.filter(|images| *images > 1)
        {
            frames::one_directory(&mut decoder, source.len(), bits, images, &mut out);
        }
        // A page takes 14 bytes at least, so this ends.
        let most = source.len() / 14 + 1;
        let mut fewest = bits;
        while decoder.more_images() && out.pages.len() as u64 <= most {
            if let Err(error) = decoder.next_image() {
                let reason = format!("the file breaks off after page {} ({error})", out.pages.len());
                out.damage.push(FormatError::new(Format::Picture, Place::File, reason, OR_ACCEPT));
                break;
            }
            let (page, bits) = shape(&mut decoder).map_err(|failure| failure.of_page(out.pages.len() + 1))?;
            fewest = fewest.min(bits);
            out.pages.push(page);
        }
        if fewest < 8 {
            out.notes.push(format!("values of {fewest} bits are given as they are, 0 to {}", (1u16 << fewest) - 1));
        }
        out.notes.extend(directories.notes.iter().map(|note| (*note).to_owned()));
        description::arrange(said, &mut out);
        out.instead = directories.instead.clone();
        Ok(out)
    })
}

/// All values of some pages, one after the other, each given to `take`. `needed` bytes of floats bound what the pixels of a page take.
///
/// The pages are walked once: to find the last page of a file, all before it must be looked at.
pub(super) fn decode(
    source: &dyn Source,
    instead: &BTreeMap<u64, [u8; 2]>,
    pages: impl Iterator<Item = usize>,
    needed: u64,
    mut take: impl FnMut(Vec<f64>) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut decoder = guarded(|| decoder(source, instead, needed.saturating_add(1 << 20)))?;
    let mut next = 0;
    for page in pages {
        let values = guarded(|| {
            if page > 0 && page == next {
                decoder.next_image().map_err(|error| Failure::from(error).of_page(page + 1))?;
            } else {
                decoder.seek_to_image(page)?;
            }
            pixels(&mut decoder).map_err(|failure| failure.of_page(page + 1))
        });
        next = page + 1;
        take(values?)?;
    }
    Ok(())
}

/// The values of the page that the decoder stands at, colours of a pixel side by side.
fn pixels(decoder: &mut Decoder<Cursor<'_>>) -> Result<Vec<f64>, Failure> {
    let (shape, bits) = shape(decoder)?;
    let mut pixels = DecodingResult::U8(Vec::new());
    decoder.read_image_to_buffer(&mut pixels)?;
    if bits < 8 {
        let DecodingResult::U8(bytes) = pixels else { return Err(Failure::Unread(format!("pixels of {bits} bits are not read"))) };
        return Ok(unpacked(&bytes, shape.width as usize, bits));
    }
    let values = floats(pixels);
    let (channels, planar) = (shape.channels as usize, is_planar(decoder));
    if !planar || channels < 2 {
        return Ok(values);
    }
    let plane = values.len() / channels;
    let of = |pixel: usize, channel: usize| values.get(channel * plane + pixel).copied().unwrap_or(f64::NAN);
    Ok((0..plane).flat_map(|pixel| (0..channels).map(move |channel| (pixel, channel))).map(|(pixel, channel)| of(pixel, channel)).collect())
}

/// Values of fewer than eight bits, the highest bits of a byte first; each row begins with a byte.
fn unpacked(bytes: &[u8], width: usize, bits: u8) -> Vec<f64> {
    let (bits, mask) = (usize::from(bits), (1u16 << bits) - 1);
    let row = (width * bits).div_ceil(8).max(1);
    let value = |row: &[u8], place: usize| {
        let (byte, shift) = (place * bits / 8, 8 - bits - place * bits % 8);
        f64::from(u16::from(row.get(byte).copied().unwrap_or_default()) >> shift & mask)
    };
    bytes.chunks_exact(row).flat_map(|row| (0..width).map(move |place| value(row, place))).collect()
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
