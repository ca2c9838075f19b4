//! Stacks with one directory: its strips are the first image, and the others follow without any.
//!
//! ImageJ writes stacks beyond 4 GB so, and tifffile where it is told to (`truncate=True`).

use super::cursor::Cursor;
use crate::grid::Element;
use crate::picture::{Described, Frames};
use neuroflow_data::formats::bytes::ByteOrder;
use neuroflow_data::formats::{Format, FormatError, OR_ACCEPT, Place};
use tiff::decoder::Decoder;
use tiff::tags::Tag;

/// Finds the images that follow the only one with a directory. What is stated and not there is damage, with what is left.
pub(super) fn one_directory(decoder: &mut Decoder<Cursor<'_>>, length: u64, bits: u8, images: u64, out: &mut Described) {
    let Some(shape) = out.pages.first().copied() else { return };
    let mut missing = |reason: String| out.damage.push(FormatError::new(Format::Picture, Place::File, reason, OR_ACCEPT));
    let Some((start, bytes)) = contiguous(decoder, bits, shape.values()) else {
        missing(format!(
            "{images} images are stated, one has a directory, and the others can't follow it, since it is compressed or in pieces"
        ));
        return;
    };
    let Some(element) = Element::named(shape.element) else { return };
    let whole = length.saturating_sub(start) / bytes;
    if whole < images {
        missing(format!("{images} images are stated, the file ends after {whole}"));
    }
    let count = whole.min(images);
    if count > 1 {
        let order = match decoder.byte_order() {
            tiff::tags::ByteOrder::LittleEndian => ByteOrder::Little,
            tiff::tags::ByteOrder::BigEndian => ByteOrder::Big,
        };
        out.frames = Some(Frames { start, count, element, order });
    }
}

/// Where the values of the only page begin and how many bytes they take, when they lie in the file as one piece.
fn contiguous(decoder: &mut Decoder<Cursor<'_>>, bits: u8, values: u64) -> Option<(u64, u64)> {
    let mut one = |tag: Tag, usual: u64| decoder.find_tag_unsigned::<u64>(tag).ok().map(|own| own.unwrap_or(usual));
    let plain = one(Tag::Compression, 1)? == 1 && one(Tag::Predictor, 1)? == 1 && one(Tag::TileWidth, 0)? == 0;
    // Planes of their own would be another order of axes.
    let together = one(Tag::PlanarConfiguration, 1)? == 1 || one(Tag::SamplesPerPixel, 1)? == 1;
    let bytes = values.checked_mul(u64::from(bits))? / 8;
    if !plain || !together || bits < 8 || bytes == 0 {
        return None;
    }
    let starts = decoder.find_tag_unsigned_vec::<u64>(Tag::StripOffsets).ok().flatten()?;
    let lengths = decoder.find_tag_unsigned_vec::<u64>(Tag::StripByteCounts).ok().flatten()?;
    let first = *starts.first()?;
    let mut at = first;
    for (start, length) in starts.iter().zip(&lengths) {
        if *start != at {
            return None;
        }
        at = at.checked_add(*length)?;
    }
    // Some writers count the strip of all images.
    (starts.len() == lengths.len() && at - first >= bytes).then_some((first, bytes))
}
