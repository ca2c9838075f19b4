//! JPEG, by the crate `zune-jpeg`: grey as one channel, all others as red, green and blue.

use super::{Described, Shape};
use crate::reading::broken;
use neuroflow_data::formats::{Format, FormatError, within_border};
use zune_jpeg::JpegDecoder;
use zune_jpeg::zune_core::bytestream::ZCursor;
use zune_jpeg::zune_core::colorspace::ColorSpace;
use zune_jpeg::zune_core::options::DecoderOptions;

fn decoder(bytes: &[u8]) -> Result<JpegDecoder<ZCursor<&[u8]>>, String> {
    let options = DecoderOptions::default().set_max_width(1 << 16).set_max_height(1 << 16).set_strict_mode(true);
    let mut decoder = JpegDecoder::new_with_options(ZCursor::new(bytes), options);
    decoder.decode_headers().map_err(|error| error.to_string())?;
    let colours = match decoder.input_colorspace() {
        Some(ColorSpace::Luma | ColorSpace::LumaA) => ColorSpace::Luma,
        _ => ColorSpace::RGB,
    };
    decoder.set_options(options.jpeg_set_out_colorspace(colours));
    Ok(decoder)
}

/// The shape.
pub(super) fn describe(bytes: &[u8]) -> Result<Described, FormatError> {
    let described = within_border(|| {
        let decoder = decoder(bytes)?;
        let info = decoder.info().ok_or("the header has no size")?;
        let grey = matches!(decoder.input_colorspace(), Some(ColorSpace::Luma | ColorSpace::LumaA));
        let channels = if grey { 1 } else { 3 };
        let mut out = Described::default();
        out.pages.push(Shape { width: info.width.into(), height: info.height.into(), channels, element: "uint8" });
        if let Some(colours) = decoder.input_colorspace() {
            out.facts.insert("stored colours".into(), format!("{colours:?}"));
        }
        if decoder.exif().is_some() {
            out.notes.push("the Exif block is not followed: a camera's orientation stays as it is".into());
        }
        Ok(out)
    });
    described.map_err(|reason| broken(Format::Picture, reason))
}

/// All values, row by row.
pub(super) fn decode(bytes: &[u8]) -> Result<Vec<f64>, FormatError> {
    let decoded = within_border(|| {
        let pixels = decoder(bytes)?.decode().map_err(|error| error.to_string())?;
        Ok(pixels.into_iter().map(f64::from).collect())
    });
    decoded.map_err(|reason| broken(Format::Picture, reason))
}
