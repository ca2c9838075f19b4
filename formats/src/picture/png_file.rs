//! PNG, by the crate `png`.

use super::{Described, Shape};
use crate::reading::{broken, shortened};
use neuroflow_data::formats::{Format, FormatError, Limits, within_border};
use png::{BitDepth, ColorType, Decoder, Transformations};
use std::io::Cursor;

fn reader(bytes: &[u8], most: u64) -> Result<png::Reader<Cursor<&[u8]>>, String> {
    let limits = png::Limits { bytes: usize::try_from(most).unwrap_or(usize::MAX) };
    let mut decoder = Decoder::new_with_limits(Cursor::new(bytes), limits);
    // Palettes, and fewer than eight bits, become eight bits a colour.
    decoder.set_transformations(Transformations::EXPAND);
    decoder.read_info().map_err(|error| error.to_string())
}

/// The shape, and the texts among the chunks.
pub(super) fn describe(bytes: &[u8], limits: &Limits) -> Result<Described, FormatError> {
    let most = limits.free_bytes.min(64 << 20);
    let described = within_border(|| {
        let reader = reader(bytes, most)?;
        let (colour, depth) = reader.output_color_type();
        let info = reader.info();
        let mut out = Described::default();
        let channels = colour.samples() as u32;
        let element = if depth == BitDepth::Sixteen { "uint16" } else { "uint8" };
        out.pages.push(Shape { width: info.width, height: info.height, channels, element });
        if info.color_type == ColorType::Indexed {
            out.notes.push("colours of a palette are given as red, green and blue".into());
        }
        if (info.bit_depth as u8) < 8 && info.color_type == ColorType::Grayscale {
            out.notes.push(format!("{} bits a pixel are widened to 0 to 255", info.bit_depth as u8));
        }
        if info.exif_metadata.is_some() {
            out.notes.push("the Exif block is not followed".into());
        }
        if let Some(size) = info.pixel_dims {
            let unit = if size.unit == png::Unit::Meter { " per metre" } else { "" };
            out.facts.insert("pixels".into(), format!("{} × {}{unit}", size.xppu, size.yppu));
        }
        if let Some(animation) = info.animation_control {
            out.notes.push(format!("the file is animated, the first of {} frames is read", animation.num_frames));
        }
        for chunk in &info.uncompressed_latin1_text {
            out.facts.insert(chunk.keyword.clone(), shortened(&chunk.text, 1000));
        }
        for chunk in &info.compressed_latin1_text {
            if let Ok(text) = chunk.get_text() {
                out.facts.insert(chunk.keyword.clone(), shortened(&text, 1000));
            }
        }
        for chunk in &info.utf8_text {
            if let Ok(text) = chunk.get_text() {
                out.facts.insert(chunk.keyword.clone(), shortened(&text, 1000));
            }
        }
        Ok(out)
    });
    described.map_err(|reason| broken(Format::Picture, reason))
}

/// All values, row by row. `needed` bytes of floats bound what the pixels take.
pub(super) fn decode(bytes: &[u8], needed: u64) -> Result<Vec<f64>, FormatError> {
    let decoded = within_border(|| {
        let mut reader = reader(bytes, needed.saturating_add(64 << 20))?;
        let size = reader.output_buffer_size().filter(|size| *size as u64 <= needed).ok_or("the picture is too large")?;
        let mut pixels = vec![0u8; size];
        let info = reader.next_frame(&mut pixels).map_err(|error| error.to_string())?;
        pixels.truncate(info.buffer_size());
        Ok(if info.bit_depth == BitDepth::Sixteen {
            pixels.as_chunks::<2>().0.iter().map(|two| f64::from(u16::from_be_bytes(*two))).collect()
        } else {
            pixels.into_iter().map(f64::from).collect::<Vec<f64>>()
        })
    });
    decoded.map_err(|reason| broken(Format::Picture, reason))
}
