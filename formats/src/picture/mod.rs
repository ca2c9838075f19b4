//! Pictures: PNG, JPEG and TIFF, and stacks of them.
//!
//! One picture is the item `image`, with the axes `y`, `x`, `channel`: grey (1), grey and alpha (2), red, green, blue (3), and alpha (4). A TIFF
//! of several
//! pages of one size is `stack`, with the axes `page`, `y`, `x`, `channel`; pages of several sizes are `page 1`, `page 2`, …. [`stack`] puts files of
//! equal size together as `image`, `y`, `x`, `channel`.
//!
//! Where ImageJ, OME-XML or tifffile say what the pages run along, those axes stand in place of `page`: `time`, `z`, `channel`, as many as there are.
//! With `channel` among them, the colours of a pixel are `sample`, and no axis where there is one.
//!
//! Values are as stored: 0 to 255, 0 to 65535, or the floats of a TIFF, whose palettes are not looked up. PNG with a palette or with fewer than 8 bits is
//! widened to 8 bits. An orientation in the Exif block is noted and not followed. Texts of a PNG, and what ImageJ, ScanImage and OME write into a TIFF, are
//! facts.

mod jpeg;
mod png_file;
#[cfg(test)]
mod tests;
mod tiff_file;

use crate::document::{Contents, Document, Item, What};
use crate::floats::Floats;
use crate::grid::{Element, Grid, Scale, ranges, wrong_part};
use crate::reading::{broken, head, whole};
use crate::source::{Folder, Source};
use neuroflow_data::formats::bytes::ByteOrder;
use neuroflow_data::formats::{Format, FormatError, Limits, Place, RAISE_LIMIT};
use neuroflow_data::{Axis, Coordinates, Tensor};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// What a picture is before it is decoded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Shape {
    pub width: u32,
    pub height: u32,
    pub channels: u32,
    /// What one value is: `uint8`, `uint16`, `float32`, ….
    pub element: &'static str,
}

impl Shape {
    fn values(self) -> u64 {
        u64::from(self.width).saturating_mul(u64::from(self.height)).saturating_mul(u64::from(self.channels))
    }
}

/// What was read of a file without its pixels.
#[derive(Debug, Clone, Default)]
pub(crate) struct Described {
    pub pages: Vec<Shape>,
    pub facts: BTreeMap<String, String>,
    pub notes: Vec<String>,
    pub damage: Vec<FormatError>,
    /// What the pages of a TIFF run along, the slowest first; nothing where that is not said.
    pub leads: Vec<Lead>,
    /// Images of a TIFF of which only the first has a directory.
    pub frames: Option<Frames>,
    /// Bytes of a TIFF that its decoder is to read otherwise.
    pub instead: BTreeMap<u64, [u8; 2]>,
}

/// An axis of a stack, along which its pages lie.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Lead {
    pub name: String,
    pub length: u64,
    /// The unit of the step; empty when unknown.
    pub unit: String,
    /// From a position to the next.
    pub step: Option<f64>,
}

impl Lead {
    /// A part of the axis.
    fn axis(&self, range: &Range<u64>) -> Axis {
        let coordinates = match self.step {
            Some(step) => Coordinates::Numbers(range.clone().map(|place| place as f64 * step).collect()),
            None => Coordinates::Count((range.end - range.start) as usize),
        };
        let unit = (self.step.is_some() && !self.unit.is_empty()).then(|| self.unit.clone());
        Axis { name: self.name.clone(), unit, coordinates, properties: Vec::new() }
    }
}

/// Images of one size that lie behind each other, uncompressed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Frames {
    /// The first byte of the first.
    pub start: u64,
    pub count: u64,
    pub element: Element,
    pub order: ByteOrder,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Sort {
    Png,
    Jpeg,
    Tiff,
}

/// An opened picture: its header has been read.
#[derive(Debug)]
pub struct PictureDocument {
    contents: Contents,
    source: Arc<dyn Source>,
    sort: Sort,
    pages: Vec<Shape>,
    /// The axes of a stack before `y`; empty for pictures.
    leads: Vec<Lead>,
    frames: Option<Frames>,
    instead: BTreeMap<u64, [u8; 2]>,
    limits: Limits,
}

/// Opens a picture, or a stack in one TIFF.
///
/// # Errors
/// When the bytes are none of PNG, JPEG and TIFF, or the header is damaged.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<PictureDocument, FormatError> {
    let sort = sort(&head(source.as_ref(), Format::Picture, 8)?)?;
    let described = match sort {
        Sort::Png => png_file::describe(&whole(source.as_ref(), Format::Picture, limits)?, limits)?,
        Sort::Jpeg => jpeg::describe(&whole(source.as_ref(), Format::Picture, limits)?)?,
        Sort::Tiff => tiff_file::describe(source.as_ref(), limits)?,
    };
    let mut contents = Contents::new(
        Format::Picture,
        match sort {
            Sort::Png => "PNG",
            Sort::Jpeg => "JPEG",
            Sort::Tiff => "TIFF",
        },
    );
    contents.facts = described.facts;
    (contents.notes, contents.damage) = (described.notes, described.damage);
    let Described { pages, mut leads, frames, instead, .. } = described;
    match pages.as_slice() {
        [only] if frames.is_none() => {
            contents.items.push(picture("image".into(), *only));
            leads.clear();
        }
        [] => return Err(broken(Format::Picture, "the file holds no picture")),
        [first, rest @ ..] if rest.iter().all(|page| page == first) => {
            let count = frames.map_or(pages.len() as u64, |frames| frames.count);
            if leads.is_empty() {
                leads.push(Lead { name: "page".into(), length: count, unit: String::new(), step: None });
            }
            let inner = inner(*first, &leads);
            let shape = leads.iter().map(|lead| lead.length).chain(inner.iter().map(|(_, length)| *length)).collect();
            let axes = leads.iter().map(|lead| lead.name.clone()).chain(inner.iter().map(|(name, _)| (*name).to_owned())).collect();
            let what = What::Array { shape, element: first.element.into(), unit: String::new(), axes };
            contents.items.push(Item { path: "stack".into(), what, about: format!("{count} pages of one size") });
        }
        several => {
            leads.clear();
            for (place, page) in several.iter().enumerate() {
                contents.items.push(picture(format!("page {}", place + 1), *page));
            }
        }
    }
    Ok(PictureDocument { contents, source, sort, pages, leads, frames, instead, limits: limits.clone() })
}

/// The axes of a page with their lengths, below those of its stack.
fn inner(shape: Shape, leads: &[Lead]) -> Vec<(&'static str, u64)> {
    let mut axes = vec![("y", u64::from(shape.height)), ("x", u64::from(shape.width))];
    match (leads.iter().any(|lead| lead.name == "channel"), shape.channels) {
        (false, channels) => axes.push(("channel", channels.into())),
        (true, 1) => {}
        (true, samples) => axes.push(("sample", samples.into())),
    }
    axes
}

fn sort(first: &[u8]) -> Result<Sort, FormatError> {
    match first {
        [0x89, b'P', b'N', b'G', ..] => Ok(Sort::Png),
        [0xff, 0xd8, 0xff, ..] => Ok(Sort::Jpeg),
        [b'I', b'I', 42 | 43, 0, ..] | [b'M', b'M', 0, 42 | 43, ..] => Ok(Sort::Tiff),
        _ => {
            let help = "check that the path names a PNG, JPEG or TIFF file";
            Err(FormatError::new(Format::Picture, Place::Byte(0), "the file begins like none of PNG, JPEG and TIFF", help))
        }
    }
}

fn picture(path: String, shape: Shape) -> Item {
    let what = What::Picture { width: shape.width, height: shape.height, channels: shape.channels };
    Item { path, what, about: shape.element.to_owned() }
}

/// Pictures of one size from a folder, one after the other, as `image × y × x × channel`; images are labelled by their paths.
///
/// # Errors
/// When a picture is missing or damaged, or has another size than the first.
pub fn stack(folder: &Arc<dyn Folder>, paths: &[&str], limits: &Limits) -> Result<Tensor, FormatError> {
    let mut values = Vec::new();
    let mut size: Option<Shape> = None;
    for path in paths {
        let within = |error: FormatError| {
            let place = Place::Object { path: (*path).to_owned(), byte: None };
            FormatError::new(Format::Picture, place, error.reason, error.help)
        };
        let refuse = |reason: String, help: &str| within(FormatError::new(Format::Picture, Place::File, reason, help));
        let source = match folder.open(path) {
            Ok(Some(source)) => source,
            Ok(None) => return Err(refuse("there is no such file".into(), "check the path")),
            Err(error) => return Err(refuse(format!("the file can't be opened ({error})"), "check the file")),
        };
        let document = open(source, limits).map_err(within)?;
        let ([page], None) = (document.pages.as_slice(), document.frames) else {
            let count = document.frames.map_or(document.pages.len() as u64, |frames| frames.count);
            return Err(refuse(format!("the file holds {count} pages, one is needed"), "open it by itself"));
        };
        let first = *size.get_or_insert(*page);
        if (first.width, first.height, first.channels) != (page.width, page.height, page.channels) {
            let of = |shape: Shape| format!("{} × {} × {}", shape.height, shape.width, shape.channels);
            let reason = format!("the picture is {}, those before it are {}", of(*page), of(first));
            return Err(refuse(reason, "bring all pictures to one size"));
        }
        let held = (values.len() as u64).saturating_add(page.values()).saturating_mul(8);
        if held > limits.max_total_bytes {
            return Err(refuse(format!("the stack takes more than the {} bytes that may be held", limits.max_total_bytes), RAISE_LIMIT));
        }
        let mut add = |pixels: Vec<f64>| {
            values.extend(pixels);
            Ok(())
        };
        document.pixels(std::iter::once(0), &mut add).map_err(within)?;
    }
    let Some(shape) = size else {
        return Err(FormatError::new(Format::Picture, Place::File, "a stack of no pictures", "name at least one"));
    };
    let labels = paths.iter().map(|path| (*path).to_owned()).collect();
    let axes = vec![
        Axis::labels("image", labels),
        Axis::count("y", shape.height as usize),
        Axis::count("x", shape.width as usize),
        Axis::count("channel", shape.channels as usize),
    ];
    Tensor::new(axes, None, values).map_err(|error| broken(Format::Picture, error.to_string()))
}

/// Picks a part of one picture: rows, columns and colours.
fn cut(values: &[f64], shape: Shape, [down, across, colours]: [&Range<u64>; 3], out: &mut Vec<f64>) {
    let (width, channels) = (u64::from(shape.width), u64::from(shape.channels));
    for y in down.clone() {
        if *colours == (0..channels) {
            let (start, end) = ((y * width + across.start) * channels, (y * width + across.end) * channels);
            out.extend_from_slice(values.get(start as usize..end as usize).unwrap_or_default());
            continue;
        }
        for x in across.clone() {
            let start = (y * width + x) * channels;
            out.extend_from_slice(values.get((start + colours.start) as usize..(start + colours.end) as usize).unwrap_or_default());
        }
    }
}

impl PictureDocument {
    /// The values of some pages of one size, each given to `take`.
    fn pixels(
        &self,
        pages: impl Iterator<Item = usize> + Clone,
        mut take: impl FnMut(Vec<f64>) -> Result<(), FormatError>,
    ) -> Result<(), FormatError> {
        let Some(shape) = pages.clone().next().and_then(|first| self.pages.get(first)) else { return Ok(()) };
        // What a picture may take once decoded, whatever its header claims.
        let allowed = self.limits.expansion(self.source.len());
        let needed = shape.values().saturating_mul(8);
        if needed > allowed {
            let reason = format!("the picture claims {} × {} pixels, more than the {allowed} bytes allowed", shape.width, shape.height);
            return Err(FormatError::new(Format::Picture, Place::File, reason, RAISE_LIMIT));
        }
        let mut checked = |values: Vec<f64>| {
            if values.len() as u64 != shape.values() {
                let reason = format!("{} values were decoded, the header calls for {}", values.len(), shape.values());
                return Err(broken(Format::Picture, reason));
            }
            take(values)
        };
        match self.sort {
            Sort::Png => checked(png_file::decode(&whole(self.source.as_ref(), Format::Picture, &self.limits)?, needed)?),
            Sort::Jpeg => checked(jpeg::decode(&whole(self.source.as_ref(), Format::Picture, &self.limits)?)?),
            Sort::Tiff => tiff_file::decode(self.source.as_ref(), &self.instead, pages, needed, checked),
        }
    }
}

impl Document for PictureDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = self.contents.path_of(path, "picture", |what| matches!(what, What::Picture { .. } | What::Array { .. }))?;
        let page = path.strip_prefix("page ").and_then(|number| number.parse::<usize>().ok()).map_or(0, |number| number.saturating_sub(1));
        let Some(shape) = self.pages.get(page).copied() else { return Err(self.contents.none("picture", path)) };
        let leads = if path == "stack" { self.leads.as_slice() } else { &[] };
        let inner = inner(shape, leads);
        let lengths: Vec<u64> = leads.iter().map(|lead| lead.length).chain(inner.iter().map(|(_, length)| *length)).collect();
        let ranges = ranges(&lengths, part).map_err(|reason| wrong_part(Format::Picture, path, reason))?;
        let count = ranges.iter().fold(1u64, |count, range| count.saturating_mul(range.end - range.start));
        if count.saturating_mul(8) > self.limits.max_total_bytes {
            let place = Place::Object { path: path.into(), byte: None };
            let reason = format!("the values asked for take more than the {} bytes that may be held", self.limits.max_total_bytes);
            return Err(FormatError::new(Format::Picture, place, reason, "ask for a part of the stack, or raise the reader's limits"));
        }
        let (outer, within) = ranges.split_at_checked(leads.len()).unwrap_or((&[], &ranges));
        let mut axes: Vec<Axis> = leads.iter().zip(outer).map(|(lead, range)| lead.axis(range)).collect();
        axes.extend(inner.iter().zip(within).map(|((name, _), range)| Axis::count(*name, (range.end - range.start) as usize)));
        let made = |values: Floats| Tensor::new(axes, None, values).map_err(|error| broken(Format::Picture, error.to_string()));
        if let (Some(frames), false) = (self.frames, leads.is_empty()) {
            let Some(steps) = Grid::row_major(&lengths) else { return Err(self.contents.none("picture", path)) };
            let grid = Grid { element: frames.element, order: frames.order, start: frames.start, axes: steps, scale: Scale::NONE };
            return made(grid.read(self.source.as_ref(), Format::Picture, path, part, &self.limits)?.1);
        }
        let pages = if leads.is_empty() { vec![page] } else { pages(leads, outer) };
        let all = 0..u64::from(shape.channels);
        let [down, across, colours] = [0, 1, 2].map(|axis| within.get(axis).unwrap_or(&all));
        let mut values = Vec::new();
        self.pixels(pages.into_iter(), |pixels| {
            if part.is_none() && leads.is_empty() {
                values = pixels;
            } else {
                cut(&pixels, shape, [down, across, colours], &mut values);
            }
            Ok(())
        })?;
        made(Floats::from(values))
    }
}

/// The pages of a part of a stack, in the order of the file; `part` has a range for each of its axes before `y`.
fn pages(leads: &[Lead], part: &[Range<u64>]) -> Vec<usize> {
    let each = leads.iter().zip(part);
    let step = |pages: Vec<usize>, (lead, range): (&Lead, &Range<u64>)| {
        let within =
            |before: usize| range.clone().map(move |place| (before as u64).saturating_mul(lead.length).saturating_add(place) as usize);
        pages.into_iter().flat_map(within).collect()
    };
    each.fold(vec![0], step)
}
