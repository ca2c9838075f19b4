//! The header of NIfTI-1 (348 bytes) and NIfTI-2 (540 bytes), as in `nifti1.h` and `nifti2.h`.

use crate::grid::{Element, Scale};
use crate::reading::at_byte;
use neuroflow_data::formats::bytes::{ByteOrder, number_at};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Place};

/// Bytes of the longer header.
pub(super) const LONGEST: usize = 540;

/// Bytes of the shorter header.
pub(super) const SHORTEST: usize = 348;

/// Which of the two layouts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Version {
    One,
    Two,
}

/// What one voxel is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Voxel {
    /// One number.
    Number(Element),
    /// So many colours of a byte each.
    Colours(u64),
    /// Something that is listed and not given as numbers.
    Other(&'static str),
}

/// What the header says.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Header {
    pub version: Version,
    pub order: ByteOrder,
    /// Header and image in one file.
    pub single: bool,
    pub shape: Vec<u64>,
    pub voxel: Voxel,
    pub pixdim: [f64; 8],
    pub offset: u64,
    pub scale: Scale,
    /// A slope with an intercept that is no number.
    pub inter_is_broken: bool,
    pub intent: (i64, [f64; 3], String),
    pub slice_duration: f64,
    pub toffset: f64,
    pub units: u8,
    pub range: (f64, f64),
    pub description: String,
    pub auxiliary: String,
    pub qform: (i64, [f64; 3], [f64; 3]),
    pub sform: (i64, [[f64; 4]; 3]),
    pub slices: (i64, u8),
}

/// Reads fields at their places in either layout.
struct Fields<'b> {
    bytes: &'b [u8],
    order: ByteOrder,
    version: Version,
}

impl Fields<'_> {
    /// A real number: 32 bits in the first layout, 64 in the second.
    fn real(&self, one: usize, two: usize, index: usize) -> f64 {
        match self.version {
            Version::One => number_at::<f32>(self.bytes, one + 4 * index, self.order).map(f64::from),
            Version::Two => number_at::<f64>(self.bytes, two + 8 * index, self.order),
        }
        .unwrap_or(f64::NAN)
    }

    /// A code: 16 bits in the first layout, 32 in the second.
    fn code(&self, one: usize, two: usize) -> i64 {
        match self.version {
            Version::One => number_at::<i16>(self.bytes, one, self.order).map(i64::from),
            Version::Two => number_at::<i32>(self.bytes, two, self.order).map(i64::from),
        }
        .unwrap_or_default()
    }

    fn short(&self, one: usize, two: usize) -> i16 {
        number_at(self.bytes, if self.version == Version::One { one } else { two }, self.order).unwrap_or_default()
    }

    fn extent(&self, index: usize) -> i64 {
        match self.version {
            Version::One => number_at::<i16>(self.bytes, 40 + 2 * index, self.order).map(i64::from),
            Version::Two => number_at::<i64>(self.bytes, 16 + 8 * index, self.order),
        }
        .unwrap_or(-1)
    }

    fn text(&self, one: usize, two: usize, length: usize) -> String {
        let start = if self.version == Version::One { one } else { two };
        let bytes = self.bytes.get(start..start + length).unwrap_or_default();
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
        crate::reading::text(bytes.get(..end).unwrap_or_default()).trim().to_owned()
    }
}

/// Reads the header out of the first bytes of the file.
pub(super) fn parse(bytes: &[u8]) -> Result<Header, FormatError> {
    let (version, order) = layout(bytes)?;
    let fields = Fields { bytes, order, version };
    let magic_at = if version == Version::One { 344 } else { 4 };
    let single = match bytes.get(magic_at..magic_at + 3) {
        Some(b"n+1" | b"n+2") => true,
        Some(b"ni1" | b"ni2") => false,
        _ => {
            let help = "an Analyze 7.5 header has no mark: convert it with `nibabel` or `fslchfiletype NIFTI_GZ`";
            let place = Place::Byte(magic_at as u64);
            return Err(FormatError::new(Format::Nifti, place, "NIfTI's mark `n+1`, `ni1`, `n+2` or `ni2` is missing", help));
        }
    };
    let axes = fields.extent(0);
    let dims_at = if version == Version::One { 40 } else { 16 };
    if !(1..=7).contains(&axes) {
        return Err(at_byte(Format::Nifti, dims_at, format!("the image has {axes} axes, 1 to 7 are possible")));
    }
    let mut shape = Vec::with_capacity(7);
    for axis in 1..=axes as usize {
        match u64::try_from(fields.extent(axis)) {
            Ok(length) if length > 0 => shape.push(length),
            _ => {
                let width = if version == Version::One { 2 } else { 8 };
                return Err(at_byte(
                    Format::Nifti,
                    dims_at + width * axis as u64,
                    format!("axis {axis} has the length {}", fields.extent(axis)),
                ));
            }
        }
    }
    let mut pixdim = [0.0; 8];
    for (index, place) in pixdim.iter_mut().enumerate() {
        *place = fields.real(76, 104, index);
    }
    let (slope, inter) = (fields.real(112, 176, 0), fields.real(116, 184, 0));
    let scaled = slope != 0.0 && slope.is_finite();
    let unit_code = if version == Version::One {
        bytes.get(123).copied().unwrap_or_default()
    } else {
        number_at::<u32>(bytes, 500, order).unwrap_or_default() as u8
    };
    let slice_code = if version == Version::One {
        bytes.get(122).copied().map_or(0, i64::from)
    } else {
        number_at::<i32>(bytes, 496, order).map_or(0, i64::from)
    };
    let triple = |one: usize, two: usize| [fields.real(one, two, 0), fields.real(one, two, 1), fields.real(one, two, 2)];
    let row = |one: usize, two: usize| [0, 1, 2, 3].map(|index| fields.real(one, two, index));
    Ok(Header {
        version,
        order,
        single,
        shape,
        voxel: voxel(&fields)?,
        pixdim,
        offset: offset(&fields, single)?,
        scale: if scaled { Scale { slope, inter } } else { Scale::NONE },
        inter_is_broken: scaled && !inter.is_finite(),
        intent: (fields.code(68, 504), triple(56, 80), fields.text(328, 508, 16)),
        slice_duration: fields.real(132, 208, 0),
        toffset: fields.real(136, 216, 0),
        units: unit_code,
        range: (fields.real(128, 200, 0), fields.real(124, 192, 0)),
        description: fields.text(148, 240, 80),
        auxiliary: fields.text(228, 320, 24),
        qform: (fields.code(252, 344), triple(256, 352), triple(268, 376)),
        sform: (fields.code(254, 348), [row(280, 400), row(296, 432), row(312, 464)]),
        slices: (slice_code, bytes.get(if version == Version::One { 39 } else { 524 }).copied().unwrap_or_default()),
    })
}

/// The layout and the byte order, by the header's length in its first four bytes.
fn layout(bytes: &[u8]) -> Result<(Version, ByteOrder), FormatError> {
    for order in [ByteOrder::Little, ByteOrder::Big] {
        let (version, length) = match number_at::<i32>(bytes, 0, order) {
            Some(348) => (Version::One, 348),
            Some(540) => (Version::Two, 540),
            _ => continue,
        };
        if bytes.len() < length {
            return Err(at_byte(Format::Nifti, bytes.len() as u64, format!("the file ends inside its header of {length} bytes")));
        }
        return Ok((version, order));
    }
    if bytes.len() < 4 {
        return Err(at_byte(Format::Nifti, bytes.len() as u64, "the file ends inside its header"));
    }
    let reason = "the file does not begin with the length of a NIfTI header, 348 or 540";
    Err(FormatError::new(Format::Nifti, Place::Byte(0), reason, "check that the path names a .nii, .nii.gz or .hdr file"))
}

fn voxel(fields: &Fields<'_>) -> Result<Voxel, FormatError> {
    let code = fields.short(70, 12);
    let (voxel, bits) = match code {
        2 => (Voxel::Number(Element::U8), 8),
        4 => (Voxel::Number(Element::I16), 16),
        8 => (Voxel::Number(Element::I32), 32),
        16 => (Voxel::Number(Element::F32), 32),
        32 => (Voxel::Other("complex64"), 64),
        64 => (Voxel::Number(Element::F64), 64),
        128 => (Voxel::Colours(3), 24),
        256 => (Voxel::Number(Element::I8), 8),
        512 => (Voxel::Number(Element::U16), 16),
        768 => (Voxel::Number(Element::U32), 32),
        1024 => (Voxel::Number(Element::I64), 64),
        1280 => (Voxel::Number(Element::U64), 64),
        1536 => (Voxel::Other("float128"), 128),
        1792 => (Voxel::Other("complex128"), 128),
        2048 => (Voxel::Other("complex256"), 256),
        2304 => (Voxel::Colours(4), 32),
        _ => {
            let place = if fields.version == Version::One { 70 } else { 12 };
            return Err(at_byte(Format::Nifti, place, format!("the data type {code} is none of NIfTI's")));
        }
    };
    let stated = fields.short(72, 14);
    if stated != 0 && stated != bits {
        let place = if fields.version == Version::One { 72 } else { 14 };
        return Err(at_byte(Format::Nifti, place, format!("{stated} bits a voxel are stated, the data type {code} has {bits}")));
    }
    Ok(voxel)
}

/// Where the voxels begin.
fn offset(fields: &Fields<'_>, single: bool) -> Result<u64, FormatError> {
    let (place, stated) = match fields.version {
        Version::One => (108u64, fields.real(108, 0, 0)),
        Version::Two => (168, number_at::<i64>(fields.bytes, 168, fields.order).unwrap_or(-1) as f64),
    };
    if !stated.is_finite() || !(0.0..9e15).contains(&stated) {
        return Err(at_byte(Format::Nifti, place, format!("the voxels can't begin at byte {stated}")));
    }
    let offset = stated as u64;
    let least = if fields.version == Version::One { 352 } else { 544 };
    match (single, offset) {
        // Writers that leave it out mean the first byte that is possible.
        (true, 0) => Ok(least),
        (true, offset) if offset < least => {
            let reason = format!("the voxels begin at byte {offset}, inside of the header, which ends at {least}");
            Err(FormatError::new(Format::Nifti, Place::Byte(place), reason, COPY_AGAIN))
        }
        (_, offset) => Ok(offset),
    }
}
