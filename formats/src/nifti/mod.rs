//! NIfTI-1 and NIfTI-2 images: `.nii`, `.nii.gz`, and pairs of `.hdr` and `.img`, either of them gzip or not, in either byte order.
//!
//! | item | what | axes |
//! |---|---|---|
//! | `image` | voxels, in their scaled units | x, y, z, then time or the fourth axis, then `axis 5` … |
//! | `affine` | 4 × 4, from voxel positions to the space of the scan | `row`, `column` |
//!
//! The order of indices is nibabel's `get_fdata`: `image[x, y, z, t]`. Values are row-major, so the last axis varies fastest. Values are
//! `stored × scl_slope + scl_inter`; a slope of zero or one that is no number means that values are as stored. Coordinates along x, y, z are
//! multiples of the
//! voxel size, not positions in space: those come from the affine. Times are in seconds, whatever the header's unit is. Colours (RGB, RGBA) are a
//! last
//! axis `colour`.
//!
//! CIFTI-2 (`.dscalar.nii`, `.dtseries.nii`, …) is `matrix`, with the axes that its XML says: `time`, `grayordinate`, `parcel`, `map`. There is no affine.
//!
//! Listed and not given as numbers: complex voxels and floats of 128 bits. Refused: Analyze 7.5, which has no mark.
//!
//! The layout is that of `nifti1.h` (2007) and `nifti2.h` (2011); the affine is that of nibabel's `get_best_affine`.

mod cifti;
mod header;
mod space;
#[cfg(test)]
mod tests;

use crate::document::{AFFINE, Contents, Document, FORMS, Item, REPETITION_TIME, SPACE, SPACE_UNIT, What};
use crate::floats::Floats;
use crate::grid::{Element, Grid, Scale, Step, ranges, wrong_part};
use crate::reading::{Stream, at_byte, head, is_gzip};
use crate::source::{Folder, Source};
use arrow::buffer::Buffer;
use cifti::Matrix;
use header::{Header, LONGEST, SHORTEST, Version, Voxel};
use neuroflow_data::formats::bytes::{ByteOrder, number_at};
use neuroflow_data::formats::inflate::{GzipMembers, gzip_at_once};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, OR_ACCEPT, Place};
use neuroflow_data::{Axis, Coordinates, Tensor};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Read;
use std::ops::Range;
use std::sync::Arc;

/// Header extensions that are listed at most.
const MOST_EXTENSIONS: usize = 64;

/// An opened image: its header has been read.
#[derive(Debug)]
pub struct NiftiDocument {
    contents: Contents,
    header: Header,
    image: Arc<dyn Source>,
    gzip: bool,
    affine: Option<[[f64; 4]; 4]>,
    /// What stands along the axes of CIFTI-2.
    matrix: Option<Matrix>,
    limits: Limits,
}

/// What follows the header.
#[derive(Debug, Default)]
struct Extensions {
    /// Codes and lengths.
    listed: Vec<(i32, u64)>,
    /// The XML of CIFTI-2.
    cifti: Option<Vec<u8>>,
}

/// Opens a `.nii` or `.nii.gz`.
///
/// # Errors
/// When the header is damaged, or belongs to a pair of files.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<NiftiDocument, FormatError> {
    let (header, extensions) = read_header(source.as_ref())?;
    if !header.single {
        let place = Place::Byte(if header.version == Version::One { 344 } else { 4 });
        let help = "open the folder that holds both files, by the path of the .hdr";
        return Err(FormatError::new(Format::Nifti, place, "this is the header of a pair, the voxels are in an .img file", help));
    }
    NiftiDocument::new(header, extensions, source, limits)
}

/// Opens an image in a folder: a `.nii`, or a pair by the path of either file. The partner has the same name with `.img` or `.hdr`, and may be gzip.
///
/// # Errors
/// When a file is missing, or the header is damaged.
pub fn open_in(folder: &Arc<dyn Folder>, path: &str, limits: &Limits) -> Result<NiftiDocument, FormatError> {
    let Some((stem, sort)) = stem(path) else { return open(file(folder, path)?, limits) };
    let of = |ending: &str| -> Result<Arc<dyn Source>, FormatError> {
        let plain = format!("{stem}.{ending}");
        let packed = format!("{plain}.gz");
        // Both are gzip, or neither is; then whatever is there.
        let both = if path.to_ascii_lowercase().ends_with(".gz") { [packed, plain.clone()] } else { [plain.clone(), packed] };
        for name in both.into_iter().chain([format!("{stem}.{}", ending.to_uppercase())]) {
            if let Ok(Some(source)) = folder.open(&name) {
                return Ok(source);
            }
        }
        file(folder, &plain)
    };
    let own = file(folder, path)?;
    let (head, image) = if sort == "hdr" { (own, of("img")?) } else { (of("hdr")?, own) };
    let (header, extensions) = read_header(head.as_ref())?;
    if header.single {
        return NiftiDocument::new(header, extensions, head, limits);
    }
    NiftiDocument::new(header, extensions, image, limits)
}

/// The name without its ending and the ending, for `.hdr` and `.img`.
fn stem(path: &str) -> Option<(&str, &'static str)> {
    let inner = if path.to_ascii_lowercase().ends_with(".gz") { path.get(..path.len() - 3)? } else { path };
    let stem = inner.get(..inner.len().checked_sub(4)?)?;
    match inner.get(inner.len() - 4..)?.to_ascii_lowercase().as_str() {
        ".hdr" => Some((stem, "hdr")),
        ".img" => Some((stem, "img")),
        _ => None,
    }
}

fn file(folder: &Arc<dyn Folder>, path: &str) -> Result<Arc<dyn Source>, FormatError> {
    let missing = |reason: String| FormatError::new(Format::Nifti, Place::File, reason, "put header and image side by side");
    match folder.open(path) {
        Ok(Some(source)) => Ok(source),
        Ok(None) => Err(missing(format!("there is no file `{path}`"))),
        Err(error) => Err(missing(format!("`{path}` can't be opened ({error})"))),
    }
}

/// The header and its extensions.
fn read_header(source: &dyn Source) -> Result<(Header, Extensions), FormatError> {
    let first = head(source, Format::Nifti, 1 << 12)?;
    if !is_gzip(&first) {
        let header = header::parse(&first)?;
        let extensions =
            extensions(&header, |range| source.bytes(range.start..range.end.min(source.len())).ok().map(|bytes| bytes.into_owned()));
        return Ok((header, extensions));
    }
    // Enough for the header and for extensions of an honest size; nothing is held for what the header claims.
    const AHEAD: u64 = 1 << 24;
    let mut inflated = Vec::new();
    let taken = GzipMembers::new(Stream::new(source)).take(LONGEST as u64).read_to_end(&mut inflated);
    // A short image may end before the longer header would: what is there may be enough.
    if let (Err(error), true) = (taken, inflated.len() < SHORTEST) {
        let reason = format!("the compressed header breaks off or is damaged after {} bytes ({error})", inflated.len());
        return Err(at_byte(Format::Nifti, 0, reason));
    }
    let header = header::parse(&inflated)?;
    inflated.clear();
    let until = header.offset.min(AHEAD);
    // A damaged stream shows again, with its place, when the voxels are read.
    let _ = GzipMembers::new(Stream::new(source)).take(until).read_to_end(&mut inflated);
    let extensions = extensions(&header, |range| {
        let (start, end) = (usize::try_from(range.start).ok()?, usize::try_from(range.end).ok()?);
        inflated.get(start..end.min(inflated.len())).map(<[u8]>::to_vec)
    });
    Ok((header, extensions))
}

/// The extensions between header and voxels.
fn extensions(header: &Header, bytes: impl Fn(Range<u64>) -> Option<Vec<u8>>) -> Extensions {
    /// Bytes of XML that are read at most.
    const MOST_XML: u64 = 32 << 20;
    let start = if header.version == Version::One { 348 } else { 540 };
    let mut found = Extensions::default();
    if bytes(start..start + 4).and_then(|mark| mark.first().copied()).is_none_or(|mark| mark == 0) {
        return found;
    }
    let mut at = start + 4;
    while found.listed.len() < MOST_EXTENSIONS && (!header.single || at.saturating_add(8) <= header.offset) {
        let Some(tag) = bytes(at..at + 8) else { break };
        let (Some(size), Some(code)) = (number_at::<i32>(&tag, 0, header.order), number_at::<i32>(&tag, 4, header.order)) else { break };
        let Ok(size) = u64::try_from(size) else { break };
        if size < 8 || (header.single && at.saturating_add(size) > header.offset) {
            break;
        }
        found.listed.push((code, size - 8));
        if code == cifti::EXTENSION && found.cifti.is_none() && size <= MOST_XML {
            found.cifti = bytes(at.saturating_add(8)..at.saturating_add(size));
        }
        at = at.saturating_add(size);
    }
    found
}

impl NiftiDocument {
    fn new(mut header: Header, extensions: Extensions, image: Arc<dyn Source>, limits: &Limits) -> Result<NiftiDocument, FormatError> {
        let gzip = is_gzip(&head(image.as_ref(), Format::Nifti, 2)?);
        let is_matrix = cifti::is_matrix(&header, extensions.listed.iter().any(|(code, _)| *code == cifti::EXTENSION));
        let matrix = is_matrix.then(|| Matrix::new(&mut header, &extensions.cifti.unwrap_or_default()));
        let version = match (header.version, header.single) {
            _ if matrix.is_some() => "CIFTI-2",
            (Version::One, true) => "NIfTI-1",
            (Version::One, false) => "NIfTI-1 pair",
            (Version::Two, true) => "NIfTI-2",
            (Version::Two, false) => "NIfTI-2 pair",
        };
        let mut contents = Contents::new(Format::Nifti, version);
        let affine = space::affine(&header).filter(|_| matrix.is_none());
        match &matrix {
            None => placed(&header, affine.map(|(_, from)| from), &mut contents),
            Some(matrix) => {
                contents.notes.extend(matrix.notes.iter().cloned());
                let structures = matrix.structures();
                if !structures.is_empty() {
                    contents.facts.insert("structures".into(), crate::reading::shortened(&structures, 1000));
                }
            }
        }
        facts(&header, &extensions.listed, &mut contents);
        let (shape, element) = match header.voxel {
            Voxel::Number(element) => (header.shape.clone(), element.name()),
            Voxel::Colours(colours) => (header.shape.iter().copied().chain([colours]).collect(), "uint8"),
            Voxel::Other(name) => (header.shape.clone(), name),
        };
        let axes = matrix.as_ref().map_or_else(|| axis_names(&header), Matrix::names);
        let about = header.description.clone();
        let path = if matrix.is_some() { "matrix" } else { "image" };
        contents.meant = path.into();
        contents.items.push(Item {
            path: path.into(),
            what: What::Array { shape, element: element.into(), unit: String::new(), axes },
            about,
        });
        if affine.is_some() {
            let what = What::Array {
                shape: vec![4, 4],
                element: "float64".into(),
                unit: space::units(header.units).0.into(),
                axes: vec!["row".into(), "column".into()],
            };
            contents.items.push(Item { path: "affine".into(), what, about: "from voxel positions to space".into() });
        } else if matrix.is_none() {
            contents.notes.push("the qform is no rotation, so there is no affine".into());
        }
        let document =
            NiftiDocument { contents, header, image, gzip, affine: affine.map(|(rows, _)| rows), matrix, limits: limits.clone() };
        document.noted()
    }

    /// Adds notes about voxels that are not all there.
    fn noted(mut self) -> Result<NiftiDocument, FormatError> {
        let Some(grid) = self.grid() else { return Ok(self) };
        match grid.end() {
            Some(end) if !self.gzip && end > self.image.len() => {
                let reason = format!("the file ends within the voxels, which need {end} bytes");
                self.contents.damage.push(FormatError::new(Format::Nifti, Place::Byte(self.image.len()), reason, OR_ACCEPT));
            }
            None => {
                let place = if self.header.version == Version::One { 40 } else { 16 };
                return Err(at_byte(Format::Nifti, place, "the axes multiply to more voxels than can be counted"));
            }
            Some(_) => {}
        }
        Ok(self)
    }

    /// The voxels in the file, when they are numbers.
    fn grid(&self) -> Option<Grid> {
        let header = &self.header;
        let (element, shape) = match header.voxel {
            Voxel::Number(element) => (element, header.shape.clone()),
            Voxel::Colours(colours) => (Element::U8, std::iter::once(colours).chain(header.shape.iter().copied()).collect()),
            Voxel::Other(_) => return None,
        };
        // An image that can't be counted is told by its end.
        let axes = Grid::column_major(&shape).unwrap_or_else(|| shape.iter().map(|len| Step { len: *len, stride: u64::MAX }).collect());
        let mut grid = Grid { element, order: header.order, start: header.offset, axes, scale: header.scale };
        if matches!(header.voxel, Voxel::Colours(_)) {
            // Colours lie together in the file and are the last axis of the array.
            grid.axes.rotate_left(1);
            grid.scale = Scale::NONE;
        }
        Some(grid)
    }

    fn image(&self, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = self.contents.meant.as_str();
        if let Voxel::Other(name) = self.header.voxel {
            let place = Place::Object { path: path.into(), byte: None };
            let reason = format!("the voxels are {name}, which is not read as real numbers");
            return Err(FormatError::new(Format::Nifti, place, reason, "save magnitude or phase, or convert the image to float64"));
        }
        if self.header.inter_is_broken {
            let byte = if self.header.version == Version::One { 116 } else { 184 };
            return Err(at_byte(Format::Nifti, byte, "there is a slope, but the intercept is no number"));
        }
        let Some(grid) = self.grid() else { return Err(self.contents.none("array", path)) };
        let (ranges, values) = if self.gzip {
            self.inflated(&grid, path, part)?
        } else {
            grid.read(self.image.as_ref(), Format::Nifti, path, part, &self.limits)?
        };
        let axes = self.matrix.as_ref().map_or_else(|| self.axes(&ranges), |matrix| matrix.axes(&ranges));
        Tensor::new(axes, None, values).map_err(|error| FormatError::new(Format::Nifti, Place::File, error.to_string(), COPY_AGAIN))
    }

    fn inflated(&self, grid: &Grid, path: &str, part: Option<&[Range<u64>]>) -> Result<(Vec<Range<u64>>, Floats), FormatError> {
        let broken = |byte: u64, error: std::io::Error| {
            let reason = format!("the compressed data break off or are damaged ({error})");
            FormatError::new(Format::Nifti, Place::Object { path: path.into(), byte: Some(byte) }, reason, COPY_AGAIN)
        };
        if part.is_none()
            && let Some(plain) = self.image.whole().and_then(|bytes| gzip_at_once(bytes, &self.limits))
            && grid.end().is_some_and(|end| end <= plain.len() as u64)
        {
            return grid.read(&Buffer::from_vec(plain), Format::Nifti, path, part, &self.limits);
        }
        let mut stream = GzipMembers::new(Stream::new(self.image.as_ref()));
        let passed = std::io::copy(&mut (&mut stream).take(grid.start), &mut std::io::sink()).map_err(|error| broken(0, error))?;
        if passed < grid.start {
            return Err(at_byte(
                Format::Nifti,
                passed,
                format!("the inflated file ends before its voxels, which begin at byte {}", grid.start),
            ));
        }
        let read = grid.read_stream(&mut stream, self.image.len(), Format::Nifti, path, part, &self.limits)?;
        // Asking for one byte more makes the decoder compare the checksum when the end is reached.
        let to_the_end = read.0.last().zip(grid.axes.last()).is_some_and(|(range, axis)| range.end == axis.len);
        if to_the_end {
            stream.read(&mut [0u8; 1]).map_err(|error| broken(grid.end().unwrap_or_default(), error))?;
        }
        Ok(read)
    }

    /// The axes of a part, with coordinates.
    fn axes(&self, ranges: &[Range<u64>]) -> Vec<Axis> {
        let names = axis_names(&self.header);
        let (space, time, factor) = space::units(self.header.units);
        ranges
            .iter()
            .zip(names)
            .enumerate()
            .map(|(axis, (range, name))| {
                let size = self.header.pixdim.get(axis + 1).copied().filter(|_| axis < self.header.shape.len()).unwrap_or(0.0);
                let count = usize::try_from(range.end - range.start).unwrap_or_default();
                if axis > 3 || size == 0.0 || !size.is_finite() || axis >= self.header.shape.len() {
                    return Axis::count(name, count);
                }
                let (first, step, unit) = if axis == 3 {
                    let first = if self.header.toffset.is_finite() { seconds_of(self.header.toffset, factor) } else { 0.0 };
                    (first, seconds_of(size, factor), time)
                } else {
                    (0.0, size, space)
                };
                let numbers: Vec<f64> = range.clone().map(|place| first + place as f64 * step).collect();
                Axis {
                    name,
                    unit: (!unit.is_empty()).then(|| unit.to_owned()),
                    coordinates: Coordinates::Numbers(numbers),
                    properties: Vec::new(),
                }
            })
            .collect()
    }

    fn affine(&self, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let Some(rows) = self.affine else { return Err(self.contents.none("array", "affine")) };
        let ranges = ranges(&[4, 4], part).map_err(|reason| wrong_part(Format::Nifti, "affine", reason))?;
        let (Some(down), Some(across)) = (ranges.first(), ranges.get(1)) else { return Err(self.contents.none("array", "affine")) };
        let cut = |range: &Range<u64>| (range.start as usize, (range.end - range.start) as usize);
        let ((top, height), (left, width)) = (cut(down), cut(across));
        let values: Vec<f64> = rows.iter().skip(top).take(height).flat_map(|row| row.iter().skip(left).take(width).copied()).collect();
        let unit = space::units(self.header.units).0;
        let axes = vec![Axis::count("row", height), Axis::count("column", width)];
        let tensor = Tensor::new(axes, (!unit.is_empty()).then_some(unit), values);
        tensor.map_err(|error| FormatError::new(Format::Nifti, Place::File, error.to_string(), COPY_AGAIN))
    }
}

fn seconds_of(value: f64, factor: f64) -> f64 {
    space::seconds(value, factor)
}

/// Names of the axes of the image.
fn axis_names(header: &Header) -> Vec<String> {
    let fourth = match header.units & 0x38 {
        32 | 40 | 48 => "frequency",
        _ => "time",
    };
    let mut names: Vec<String> =
        ["x", "y", "z", fourth, "axis 5", "axis 6", "axis 7"].iter().take(header.shape.len()).map(|name| (*name).into()).collect();
    if matches!(header.voxel, Voxel::Colours(_)) {
        names.push("colour".into());
    }
    names
}

/// What the header says of places and times.
fn placed(header: &Header, from: Option<&str>, contents: &mut Contents) {
    let mut fact = |name: &str, text: String| {
        if !text.is_empty() {
            contents.facts.insert(name.into(), text);
        }
    };
    let (space, time, factor) = space::units(header.units);
    let sizes: Vec<String> = header.pixdim.iter().skip(1).take(header.shape.len().min(3)).map(f64::to_string).collect();
    fact("voxel size", if space.is_empty() { sizes.join(" × ") } else { format!("{} {space}", sizes.join(" × ")) });
    if header.shape.len() > 3 {
        let step = space::seconds(header.pixdim[4], factor);
        let name = if time == "s" || time.is_empty() { "repetition time" } else { "step of axis 4" };
        fact(name, if time.is_empty() { step.to_string() } else { format!("{step} {time}") });
    }
    fact("affine from", from.unwrap_or_default().into());
    if header.qform.0 != 0 {
        fact("qform", space::space(header.qform.0));
    }
    if header.sform.0 != 0 {
        fact("sform", space::space(header.sform.0));
    }
    if header.slice_duration > 0.0 {
        fact("slice duration", format!("{} {time}", space::seconds(header.slice_duration, factor)).trim().to_owned());
    }
}

/// What the header says beside the shape, and beside places and times.
fn facts(header: &Header, extensions: &[(i32, u64)], contents: &mut Contents) {
    let mut fact = |name: &str, text: String| {
        if !text.is_empty() {
            contents.facts.insert(name.into(), text);
        }
    };
    fact("description", header.description.clone());
    fact("auxiliary file", header.auxiliary.clone());
    if header.intent.0 != 0 {
        let parameters: Vec<String> = header.intent.1.iter().filter(|value| **value != 0.0).map(f64::to_string).collect();
        let word = space::intent(header.intent.0);
        fact("intent", if parameters.is_empty() { word } else { format!("{word} ({})", parameters.join(", ")) });
    }
    fact("intent name", header.intent.2.clone());
    if header.scale != Scale::NONE {
        fact("scaling", format!("stored × {} + {}", header.scale.slope, header.scale.inter));
    }
    if header.range.1 > header.range.0 {
        fact("display range", format!("{} to {}", header.range.0, header.range.1));
    }
    if header.slices.0 > 0 {
        let order = ["", "sequential increasing", "sequential decreasing", "alternating increasing", "alternating decreasing"];
        let more = ["alternating increasing from 2", "alternating decreasing from the one before the last"];
        let word = usize::try_from(header.slices.0).ok().and_then(|code| order.iter().chain(&more).nth(code));
        fact("slice order", word.map_or_else(|| header.slices.0.to_string(), |word| (*word).to_owned()));
    }
    if header.order == ByteOrder::Big {
        fact("byte order", "big".into());
    }
    if !extensions.is_empty() {
        let listed: Vec<String> = extensions.iter().map(|(code, bytes)| format!("{} ({bytes} bytes)", space::extension(*code))).collect();
        fact("extensions", listed.join(", "));
    }
}

impl Document for NiftiDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        match path.trim_matches('/') {
            own if own.is_empty() || own == self.contents.meant => self.image(part),
            "affine" => self.affine(part),
            _ => Err(self.contents.none("array", path)),
        }
    }

    /// Where the voxels lie, of a part from its first voxel on.
    fn attributes(&self, path: &str, part: Option<&[Range<u64>]>) -> BTreeMap<String, Value> {
        let (Some([x, y, z, _]), "" | "image") = (self.affine, path.trim_matches('/')) else { return BTreeMap::new() };
        let mut rows = [x, y, z];
        for row in &mut rows {
            let moved: f64 = part.unwrap_or_default().iter().zip(&*row).take(3).map(|(range, step)| range.start as f64 * step).sum();
            row[3] += moved;
        }
        let code = if self.header.sform.0 != 0 { self.header.sform.0 } else { self.header.qform.0 };
        let (space_unit, unit, factor) = space::units(self.header.units);
        let mut said = BTreeMap::from([
            (AFFINE.to_owned(), json!(rows)),
            (SPACE.to_owned(), json!(code)),
            (SPACE_UNIT.to_owned(), json!(space_unit)),
            (FORMS.to_owned(), json!(space::forms(&self.header))),
        ]);
        // An axis of one volume has no step that would say it.
        let step = self.header.pixdim.get(4).map(|step| space::seconds(*step, factor));
        if let Some(step) = step.filter(|step| unit == "s" && self.header.shape.len() > 3 && *step > 0.0 && step.is_finite()) {
            said.insert(REPETITION_TIME.to_owned(), json!(step));
        }
        said
    }
}
