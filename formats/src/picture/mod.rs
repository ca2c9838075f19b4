//! Pictures: PNG, JPEG and TIFF, and stacks of them.
//!
//! One picture is the item `image`, with the axes `y`, `x`, `channel`: grey (1), grey and alpha (2), red, green, blue (3), and alpha (4). A TIFF
//! of several
//! pages of one size is `stack`, with the axes `page`, `y`, `x`, `channel`; pages of several sizes are `page 1`, `page 2`, …. [`stack`] puts files of
//! equal size together as `image`, `y`, `x`, `channel`.
//!
//! Values are as stored: 0 to 255, 0 to 65535, or the floats of a TIFF. PNG with a palette or with fewer than 8 bits is widened to 8 bits. An
//! orientation in the
//! Exif block is noted and not followed. Texts of a PNG, and what ImageJ and ScanImage write into a TIFF, are facts.

mod jpeg;
mod png_file;
#[cfg(test)]
mod tests;
mod tiff_file;

use crate::document::{Contents, Document, Item, What};
use crate::grid::{ranges, wrong_part};
use crate::reading::{broken, head, whole};
use crate::source::{Folder, Source};
use neuroflow_data::formats::{Format, FormatError, Limits, Place, RAISE_LIMIT};
use neuroflow_data::{Axis, Tensor};
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
    let pages = described.pages;
    match pages.as_slice() {
        [] => return Err(broken(Format::Picture, "the file holds no picture")),
        [only] => contents.items.push(picture("image".into(), *only)),
        [first, rest @ ..] if rest.iter().all(|page| page == first) => {
            let shape = vec![pages.len() as u64, first.height.into(), first.width.into(), first.channels.into()];
            let axes = ["page", "y", "x", "channel"].map(String::from).to_vec();
            let what = What::Array { shape, element: first.element.into(), unit: String::new(), axes };
            contents.items.push(Item { path: "stack".into(), what, about: format!("{} pages of one size", pages.len()) });
        }
        several => {
            for (place, page) in several.iter().enumerate() {
                contents.items.push(picture(format!("page {}", place + 1), *page));
            }
        }
    }
    Ok(PictureDocument { contents, source, sort, pages, limits: limits.clone() })
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
        let [page] = document.pages.as_slice() else {
            return Err(refuse(format!("the file holds {} pages, one is needed", document.pages.len()), "open it by itself"));
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
        document.pixels(0..1, &mut add).map_err(within)?;
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

/// Picks a part of one picture.
fn cut(values: &[f64], shape: Shape, part: &[Range<u64>], out: &mut Vec<f64>) {
    let [down, across, colours] = part else { return };
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
    fn pixels(&self, pages: Range<usize>, mut take: impl FnMut(Vec<f64>) -> Result<(), FormatError>) -> Result<(), FormatError> {
        let Some(shape) = self.pages.get(pages.start) else { return Ok(()) };
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
            Sort::Tiff => tiff_file::decode(self.source.as_ref(), pages, needed, checked),
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
        let mut lengths = vec![u64::from(shape.height), u64::from(shape.width), u64::from(shape.channels)];
        let mut names = vec!["y", "x", "channel"];
        let stacked = path == "stack";
        if stacked {
            lengths.insert(0, self.pages.len() as u64);
            names.insert(0, "page");
        }
        let ranges = ranges(&lengths, part).map_err(|reason| wrong_part(Format::Picture, path, reason))?;
        let count = ranges.iter().fold(1u64, |count, range| count.saturating_mul(range.end - range.start));
        if count.saturating_mul(8) > self.limits.max_total_bytes {
            let place = Place::Object { path: path.into(), byte: None };
            let reason = format!("the values asked for take more than the {} bytes that may be held", self.limits.max_total_bytes);
            return Err(FormatError::new(Format::Picture, place, reason, "ask for a part of the stack, or raise the reader's limits"));
        }
        let mut values = Vec::new();
        let (pages, inner) = match ranges.split_first() {
            Some((pages, inner)) if stacked => (pages.start as usize..pages.end as usize, inner),
            _ => (page..page + 1, ranges.as_slice()),
        };
        self.pixels(pages, |pixels| {
            if part.is_none() && values.is_empty() && !stacked {
                values = pixels;
            } else {
                cut(&pixels, shape, inner, &mut values);
            }
            Ok(())
        })?;
        let axes = names.iter().zip(&ranges).map(|(name, range)| Axis::count(*name, (range.end - range.start) as usize)).collect();
        Tensor::new(axes, None, values).map_err(|error| broken(Format::Picture, error.to_string()))
    }
}
