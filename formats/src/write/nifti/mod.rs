//! A writer of NIfTI images, in one file: NIfTI-1, or NIfTI-2 where an axis is longer than 32767.
//!
//! Values stand as the smallest type that has them exactly, unless the caller wants another. Compressed files have no time and no name in them:
//! equal images give equal bytes. Layout: `nifti1.h` and `nifti2.h`, <https://nifti.nimh.nih.gov>.

mod header;
mod space;
#[cfg(test)]
mod tests;

use super::gzip::GzipWriter;
use super::hdf5::little_endian;
use header::Header;
use neuroflow_data::formats::{Format, FormatError, Place};
use neuroflow_data::{Axis, Tensor};
use space::Space;
use std::io::Write;
use std::ops::Range;

/// What one value is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Stored {
    /// The smallest of the following that has every value exactly.
    #[default]
    Exact,
    /// 16 bits, for whole numbers that span no more than 65535; where they do not lie around 0, `scl_inter` moves them.
    I16,
    /// Single precision. Values are rounded to it.
    F32,
    /// Double precision.
    F64,
}

/// How an image is written.
#[derive(Debug, Clone, PartialEq)]
pub struct Options {
    /// From voxel to places, three rows. Without it, the coordinates of the axes say where voxels lie.
    pub affine: Option<[[f64; 4]; 3]>,
    /// What the affine's places are counted in: `m`, `mm`, `µm`; nothing where that is not known.
    pub space_unit: String,
    /// What space that is: 0 none that is known, 1 scanner, 2 aligned to another image, 3 Talairach, 4 MNI 152. Without it, 2 where an affine is given or an axis
    /// begins elsewhere than at 0, which makes it a place, and 0 where there are only voxels and their sizes.
    pub code: Option<i16>,
    /// The codes of qform and sform where they are not both [`Options::code`].
    pub forms: Option<[i16; 2]>,
    /// Seconds from a volume to the next. Without it, the coordinates of the time axis say so.
    pub repetition_time: Option<f64>,
    /// What one value is.
    pub stored: Stored,
    /// A description; 79 bytes are kept.
    pub description: String,
    /// A text for the header extension "comment", of any length: where the values come from.
    pub comment: String,
    /// Whether the file is compressed, as `.nii.gz`.
    pub gzip: bool,
}

impl Default for Options {
    fn default() -> Options {
        Options {
            affine: None,
            space_unit: "mm".into(),
            code: None,
            forms: None,
            repetition_time: None,
            stored: Stored::Exact,
            description: String::new(),
            comment: String::new(),
            gzip: false,
        }
    }
}

fn bad(reason: impl Into<String>, help: impl Into<String>) -> FormatError {
    FormatError::new(Format::Nifti, Place::File, reason, help)
}

/// Values that are turned into bytes at a time.
const PIECE: usize = 1 << 16;

/// Writes an array as an image. Axes that are named `x`, `y`, `z` and `t` (or `i`, `j`, `k`; `time`, `volume`) may stand in any order; otherwise
/// the first three axes are space and the fourth is time. The image's axes are x, y, z, t and then the others.
///
/// # Errors
/// When there are more than seven axes or one is empty, an axis is not evenly spaced and no affine is given, values are not whole numbers that
/// fit where 16 bits were asked for, or the output can't be written.
pub fn write_nifti<W: Write>(out: W, tensor: &Tensor, options: &Options) -> Result<W, FormatError> {
    let order = order(tensor.axes());
    let axes: Vec<&Axis> = order.iter().filter_map(|&place| tensor.axes().get(place)).collect();
    let dims: Vec<u64> = axes.iter().map(|axis| axis.len() as u64).collect();
    if dims.len() > 7 {
        return Err(bad(format!("NIfTI has at most seven axes, this has {}", dims.len()), "join some of them, or take a part"));
    }
    if let Some(empty) = axes.iter().find(|axis| axis.is_empty()) {
        return Err(bad(format!("axis `{}` is empty, and NIfTI has no empty axis", empty.name), "leave the axis out"));
    }
    let space = Space::new(&axes, options)?;
    let comment = comment(&options.comment)?;
    let second = dims.iter().any(|&length| length > header::MOST);
    let (stored, inter) = choose(tensor.values(), options.stored, second)?;
    let datatype = match stored {
        Stored::I16 => (4, 16),
        Stored::F32 => (16, 32),
        Stored::F64 | Stored::Exact => (64, 64),
    };
    let header = Header { dims: &dims, datatype, inter, space: &space, description: &options.description, extension: comment.len() as u64 };
    let mut head = header.encode();
    head.extend(comment);
    let failed =
        |error: std::io::Error| bad(format!("the file can't be written: {error}"), "see that the place has room and may be written to");
    if options.gzip {
        let mut out = GzipWriter::new(out).map_err(failed)?;
        out.write_all(&head).map_err(failed)?;
        body(&mut out, tensor, &order, stored, inter).map_err(failed)?;
        out.finish().map_err(failed)
    } else {
        let mut out = out;
        out.write_all(&head).map_err(failed)?;
        body(&mut out, tensor, &order, stored, inter).map_err(failed)?;
        out.flush().map_err(failed)?;
        Ok(out)
    }
}

/// Where the image's axes stand among the array's.
fn order(axes: &[Axis]) -> Vec<usize> {
    let named = |names: &[&str]| axes.iter().position(|axis| names.contains(&axis.name.to_lowercase().as_str()));
    let (Some(x), Some(y), Some(z)) = (named(&["x", "i"]), named(&["y", "j"]), named(&["z", "k"])) else {
        return (0..axes.len()).collect();
    };
    let mut order = vec![x, y, z];
    order.extend(named(&["t", "time", "volume", "frame"]));
    let rest: Vec<usize> = (0..axes.len()).filter(|place| !order.contains(place)).collect();
    order.extend(rest);
    order
}

/// The extension of ecode 6, "plain ASCII text" in the standard, UTF-8 here; a multiple of 16 bytes.
fn comment(text: &str) -> Result<Vec<u8>, FormatError> {
    if text.is_empty() {
        return Ok(Vec::new());
    }
    let length = (text.len() + 8).next_multiple_of(16);
    // NIfTI-1 gives the first value's place as a single-precision number, which has whole numbers up to 2^24.
    let told = i32::try_from(length).ok().filter(|&length| length < 1 << 23);
    let told = told.ok_or_else(|| bad(format!("a comment of {} bytes is too long", text.len()), "shorten it to 8 MB"))?;
    let mut bytes = told.to_le_bytes().to_vec();
    bytes.extend(6i32.to_le_bytes());
    bytes.extend(text.as_bytes());
    bytes.resize(length, 0);
    Ok(bytes)
}

/// The type for values, and what is to be added to whole numbers.
fn choose(values: &[f64], wanted: Stored, second: bool) -> Result<(Stored, f64), FormatError> {
    let (mut least, mut most, mut whole, mut single) = (f64::INFINITY, f64::NEG_INFINITY, true, true);
    if matches!(wanted, Stored::Exact | Stored::I16) {
        for values in values.chunks(PIECE) {
            for &value in values {
                least = least.min(value);
                most = most.max(value);
                // Zero has two signs, and whole numbers have one.
                whole &= (value as i64 as f64).to_bits() == value.to_bits();
                single &= f64::from(value as f32) == value || value.is_nan();
            }
            if wanted == Stored::Exact && !whole && !single {
                break;
            }
        }
    }
    let inter = if least >= f64::from(i16::MIN) && most <= f64::from(i16::MAX) { 0.0 } else { least - f64::from(i16::MIN) };
    // What is added must stand in the header exactly, and adding it must not round.
    let held = second || f64::from(inter as f32) == inter;
    let fits = whole && most - least <= 65535.0 && held && least.abs().max(most.abs()) <= (1u64 << 53) as f64;
    match wanted {
        Stored::Exact | Stored::I16 if fits => Ok((Stored::I16, inter)),
        Stored::I16 => {
            let reason = format!("values from {least} to {most} are not whole numbers that stand exactly in 16 bits");
            Err(bad(reason, "take single or double precision"))
        }
        Stored::Exact if single => Ok((Stored::F32, 0.0)),
        Stored::Exact => Ok((Stored::F64, 0.0)),
        other => Ok((other, 0.0)),
    }
}

/// An axis of the image: its length, and how far apart its positions stand in the array.
type Stride = (usize, usize);

/// Writes the values, the image's first axis fastest.
fn body<W: Write>(out: &mut W, tensor: &Tensor, order: &[usize], stored: Stored, inter: f64) -> std::io::Result<()> {
    let shape = tensor.shape();
    let mut strides = vec![1usize; shape.len()];
    for place in (0..shape.len().saturating_sub(1)).rev() {
        let next = strides.get(place + 1).copied().unwrap_or(1) * shape.get(place + 1).copied().unwrap_or(1);
        strides.iter_mut().skip(place).take(1).for_each(|stride| *stride = next);
    }
    let at = |of: &[usize], place: usize| of.get(place).copied().unwrap_or(1);
    let mut axes: Vec<Stride> = order.iter().map(|&place| (at(&shape, place), at(&strides, place))).collect();
    // The image's slowest axis is most often the array's fastest. Some of its positions are taken together, so that each piece of memory is read
    // once.
    let outer = match axes.as_slice() {
        [_, .., (length, 1)] => *length,
        _ => 1,
    };
    if outer > 1 {
        axes.pop();
    }
    let volume = axes.iter().map(|(length, _)| length).product::<usize>().max(1);
    let together = (TOGETHER / volume).clamp(1, 8);
    let mut volumes: Vec<Vec<f64>> = vec![Vec::new(); together.min(outer)];
    let mut bytes = Vec::new();
    for first in (0..outer).step_by(together) {
        let last = (first + together).min(outer);
        gather(tensor.values(), &axes, first..last, &mut volumes);
        for volume in volumes.iter_mut().take(last - first) {
            for piece in volume.chunks(PIECE) {
                bytes.clear();
                match stored {
                    Stored::I16 => little_endian(piece, &mut bytes, |value| ((value - inter) as i16).to_le_bytes()),
                    Stored::F32 => little_endian(piece, &mut bytes, |value| (value as f32).to_le_bytes()),
                    Stored::F64 | Stored::Exact => little_endian(piece, &mut bytes, f64::to_le_bytes),
                }
                out.write_all(&bytes)?;
            }
            volume.clear();
        }
    }
    Ok(())
}

/// Values of volumes that are taken together.
const TOGETHER: usize = 1 << 23;

/// Appends to each volume the values at one of `positions` of the array's fastest axis, the first of `axes` fastest.
fn gather(values: &[f64], axes: &[Stride], positions: Range<usize>, volumes: &mut [Vec<f64>]) {
    let (&(length, stride), further) = axes.split_first().unwrap_or((&(1, 1), &[]));
    let mut at = vec![0usize; further.len()];
    let mut start = 0usize;
    let count = axes.iter().map(|(length, _)| length).product::<usize>();
    volumes.iter_mut().take(positions.len()).for_each(|volume| volume.reserve(count));
    loop {
        for step in 0..length {
            let place = start + step * stride;
            let found = values.get(place + positions.start..place + positions.end).unwrap_or(&[]);
            volumes.iter_mut().zip(found).for_each(|(volume, value)| volume.push(*value));
        }
        let mut more = false;
        for (place, &(length, stride)) in at.iter_mut().zip(further) {
            *place += 1;
            start += stride;
            if *place < length {
                more = true;
                break;
            }
            start -= stride * length;
            *place = 0;
        }
        if !more {
            return;
        }
    }
}
