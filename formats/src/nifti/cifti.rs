//! CIFTI-2: a matrix of brain positions and what is measured there, in the fifth and the following axes of a NIfTI-2 image. XML in a header extension
//! says what stands along each axis; the affine and the steps of the image mean nothing.
//!
//! The layout is that of "CIFTI-2: Connectivity File Format" (2014); the order of axes is nibabel's.

use super::header::{Header, Version};
use neuroflow_data::{Axis, Coordinates};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::ops::Range;

/// The code of the header extension that holds the XML.
pub(super) const EXTENSION: i32 = 32;
/// Axes of the image before those of the matrix, each of length 1.
const BEFORE: usize = 4;
/// Axes of a matrix at most.
const AXES: usize = 3;
/// Positions whose structures are written out.
const MOST_NAMED: u64 = 1_000_000;

/// What stands along an axis of the matrix.
#[derive(Debug, Clone, PartialEq)]
enum Along {
    /// Evenly spaced measurements: the first, the step, the unit.
    Series(f64, f64, &'static str),
    /// Positions in the brain: structures with how many positions each has.
    Models(Vec<(String, u64)>),
    /// Things with names: parcels, maps.
    Names(&'static str, Vec<String>),
}

/// The axes of a matrix, the first to the last; `None` for those of which the XML says nothing that fits.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Matrix {
    axes: Vec<(u64, Option<Along>)>,
    /// What was left out.
    pub notes: Vec<String>,
}

/// Whether an image is one of CIFTI-2, which its intent and the extension say together.
pub(super) fn is_matrix(header: &Header, has_extension: bool) -> bool {
    let before = header.shape.get(..BEFORE).is_some_and(|axes| axes.iter().all(|length| *length == 1));
    header.version == Version::Two && (3000..3100).contains(&header.intent.0) && has_extension && before && header.shape.len() > BEFORE
}

impl Matrix {
    /// The matrix of an image, by its header and the XML; the header keeps the axes of the matrix only.
    pub fn new(header: &mut Header, xml: &[u8]) -> Matrix {
        header.shape.drain(..BEFORE.min(header.shape.len()));
        let (mut axes, mut notes): (Vec<(u64, Option<Along>)>, Vec<String>) =
            (header.shape.iter().map(|length| (*length, None)).collect(), Vec::new());
        match parse(xml) {
            Ok(found) => {
                for (applies, along) in found {
                    for place in applies {
                        let Some((length, own)) = axes.get_mut(place) else { continue };
                        if along.len().is_none_or(|count| count == *length) {
                            *own = Some(along.clone());
                        }
                    }
                }
            }
            Err(reason) => notes.push(format!("the XML of CIFTI-2 is not read: {reason}")),
        }
        if axes.iter().any(|(_, along)| along.is_none()) && notes.is_empty() {
            notes.push("the XML of CIFTI-2 does not fit the matrix; axes that it does not fit are only counted".into());
        }
        if axes.iter().any(|(_, along)| matches!(along, Some(Along::Models(_)))) {
            notes
                .push("of brain models, structures are read; numbers of vertices, places of voxels and the volume's affine are not".into());
        }
        if axes.iter().any(|(_, along)| matches!(along, Some(Along::Names(_, _)))) {
            notes.push("of parcels and maps, names are read; what parcels are made of and the tables of labels are not".into());
        }
        Matrix { axes, notes }
    }

    /// Names of the axes.
    pub fn names(&self) -> Vec<String> {
        let mut names: Vec<String> = Vec::new();
        for (place, (_, along)) in self.axes.iter().enumerate() {
            let name = match along {
                Some(Along::Series(_, _, "s")) => "time",
                Some(Along::Series(_, _, "Hz")) => "frequency",
                Some(Along::Series(..)) => "series",
                Some(Along::Models(_)) => "grayordinate",
                Some(Along::Names(name, _)) => name,
                None => "axis",
            };
            let taken = *name == *"axis" || names.iter().any(|own| own == name);
            names.push(if taken { format!("{name} {}", place + 1) } else { name.to_owned() });
        }
        names
    }

    /// Structures with how many positions each has, in words.
    pub fn structures(&self) -> String {
        let models = self.axes.iter().find_map(|(_, along)| if let Some(Along::Models(models)) = along { Some(models) } else { None });
        let listed = models.into_iter().flatten().map(|(structure, count)| format!("{structure} {count}"));
        listed.collect::<Vec<_>>().join(", ")
    }

    /// Parts of the axes, with coordinates.
    pub fn axes(&self, ranges: &[Range<u64>]) -> Vec<Axis> {
        self.axes
            .iter()
            .zip(self.names())
            .zip(ranges)
            .map(|(((length, along), name), range)| part(*length, along.as_ref(), &name, range))
            .collect()
    }
}

/// A part of an axis.
fn part(length: u64, along: Option<&Along>, name: &str, range: &Range<u64>) -> Axis {
    let count = usize::try_from(range.end - range.start).unwrap_or_default();
    let chosen =
        |names: &[String]| names.iter().skip(usize::try_from(range.start).unwrap_or(usize::MAX)).take(count).cloned().collect::<Vec<_>>();
    match along {
        Some(Along::Series(start, step, unit)) => {
            let numbers = range.clone().map(|place| start + place as f64 * step).collect();
            Axis::numbers(name, (!unit.is_empty()).then_some(*unit), numbers)
        }
        Some(Along::Names(_, names)) => Axis::labels(name, chosen(names)),
        Some(Along::Models(models)) if length <= MOST_NAMED => {
            let each = models.iter().flat_map(|(structure, count)| (0..*count).map(move |_| structure));
            let each = each.skip(usize::try_from(range.start).unwrap_or(usize::MAX)).take(count).cloned().collect();
            Axis::count(name, count).with_property("structure", Coordinates::Labels(each))
        }
        _ => Axis::count(name, count),
    }
}

impl Along {
    /// How many positions it has; none where any number fits.
    fn len(&self) -> Option<u64> {
        match self {
            Along::Series(..) => None,
            Along::Models(models) => Some(models.iter().fold(0u64, |sum, (_, count)| sum.saturating_add(*count))),
            Along::Names(_, names) => Some(names.len() as u64),
        }
    }
}

/// What the XML says of axes: the places of those it applies to, and what stands along them.
fn parse(xml: &[u8]) -> Result<Vec<(Vec<usize>, Along)>, String> {
    let end = xml.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let mut reader = Reader::from_reader(xml.get(..end).unwrap_or_default());
    let mut found: Vec<(Vec<usize>, Along)> = Vec::new();
    // The name of a map, while it is being read.
    let mut name: Option<String> = None;
    loop {
        match reader.read_event().map_err(|error| error.to_string())? {
            Event::Start(element) | Event::Empty(element) => match element.local_name().as_ref() {
                b"CIFTI" if attribute(&element, "Version").and_then(|own| own.parse().ok()) != Some(2.0) => {
                    return Err("it is not of version 2".into());
                }
                b"MatrixIndicesMap" => found.extend(map(&element)),
                b"BrainModel" => {
                    if let Some((_, Along::Models(models))) = found.last_mut() {
                        let count =
                            attribute(&element, "IndexCount").and_then(|count| count.parse().ok()).ok_or("a brain model has no count")?;
                        let structure = attribute(&element, "BrainStructure").unwrap_or_default();
                        models.push((structure.strip_prefix("CIFTI_STRUCTURE_").unwrap_or(&structure).to_owned(), count));
                    }
                }
                b"Parcel" => {
                    if let Some((_, Along::Names("parcel", names))) = found.last_mut() {
                        names.push(attribute(&element, "Name").unwrap_or_default());
                    }
                }
                b"MapName" => name = Some(String::new()),
                _ => {}
            },
            Event::Text(text) => {
                if let Some(name) = &mut name {
                    name.push_str(&text.decode().map_err(|error| error.to_string())?);
                }
            }
            Event::GeneralRef(reference) => {
                if let Some(name) = &mut name {
                    let own = format!("&{};", String::from_utf8_lossy(&reference));
                    name.push_str(&quick_xml::escape::unescape(&own).map_err(|error| error.to_string())?);
                }
            }
            Event::End(element) if element.local_name().as_ref() == b"MapName" => {
                if let (Some(name), Some((_, Along::Names("map", names)))) = (name.take(), found.last_mut()) {
                    names.push(name.trim().to_owned());
                }
            }
            Event::Eof if found.is_empty() => return Err("it describes no matrix".into()),
            Event::Eof => return Ok(found),
            _ => {}
        }
    }
}

/// What a `MatrixIndicesMap` begins.
fn map(element: &BytesStart<'_>) -> Option<(Vec<usize>, Along)> {
    let applies = attribute(element, "AppliesToMatrixDimension")?;
    let mut applies: Vec<usize> = applies.split(',').filter_map(|place| place.trim().parse().ok()).filter(|place| *place < AXES).collect();
    applies.sort_unstable();
    applies.dedup();
    let along = match attribute(element, "IndicesMapToDataType")?.as_str() {
        "CIFTI_INDEX_TYPE_SERIES" => {
            let number = |name: &str| attribute(element, name).and_then(|own| own.parse::<f64>().ok()).filter(|own| own.is_finite());
            let power = attribute(element, "SeriesExponent").and_then(|own| own.parse::<i32>().ok()).unwrap_or(0);
            let factor = 10f64.powi(power);
            let unit = match attribute(element, "SeriesUnit").as_deref() {
                Some("SECOND") => "s",
                Some("HERTZ") => "Hz",
                Some("METER") => "m",
                Some("RADIAN") => "rad",
                _ => "",
            };
            Along::Series(number("SeriesStart")? * factor, number("SeriesStep")? * factor, unit)
        }
        "CIFTI_INDEX_TYPE_BRAIN_MODELS" => Along::Models(Vec::new()),
        "CIFTI_INDEX_TYPE_PARCELS" => Along::Names("parcel", Vec::new()),
        "CIFTI_INDEX_TYPE_SCALARS" | "CIFTI_INDEX_TYPE_LABELS" => Along::Names("map", Vec::new()),
        _ => return None,
    };
    Some((applies, along))
}

fn attribute(element: &BytesStart<'_>, name: &str) -> Option<String> {
    let own =
        element.attributes().with_checks(false).filter_map(Result::ok).find(|own| own.key.local_name().as_ref() == name.as_bytes())?;
    Some(quick_xml::escape::unescape(std::str::from_utf8(&own.value).ok()?).ok()?.into_owned())
}
