//! OME-XML in the description of the first page, as OME-TIFF has it: sizes, the order of the pages, and steps.

use crate::picture::{Described, Lead, Shape};
use crate::reading::shortened;
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::BTreeMap;

/// Attributes of an element, by their names.
type Attributes = BTreeMap<String, String>;

/// A dimension that pages run along: its letter in OME, its name, its length.
type Dimension = (char, &'static str, u64);

/// What the pages run along, the slowest first.
pub(super) fn read(text: &str, shape: Shape, out: &mut Described) -> Result<Vec<Lead>, String> {
    let found = elements(text, shape)?;
    out.facts.extend(found.pixels.iter().filter_map(|(key, value)| Some((fact(key)?.to_owned(), shortened(value, 200)))));
    if !found.channels.is_empty() {
        out.facts.insert("channels".into(), shortened(&found.channels.join(", "), 200));
    }
    if found.images != 1 {
        return Err(format!("the OME-XML describes {} series", found.images));
    }
    let fastest_first = found.dimensions?;
    if found.is_out_of_order {
        return Err("the OME-XML gives pages another order than their number".into());
    }
    let step = |key: &str| found.pixels.get(key).and_then(|own| own.parse::<f64>().ok()).filter(|step| step.is_finite() && *step > 0.0);
    let unit = |key: &str, usual: &str| found.pixels.get(key).cloned().unwrap_or_else(|| usual.to_owned());
    let leads = fastest_first.into_iter().rev().filter(|(.., length)| *length > 1).map(|(letter, name, length)| {
        let (unit, step) = match letter {
            'T' => match (unit("TimeIncrementUnit", "s").as_str(), step("TimeIncrement")) {
                ("ms", Some(step)) => ("s".to_owned(), Some(step / 1000.0)),
                (own, step) => (own.to_owned(), step),
            },
            'Z' => (unit("PhysicalSizeZUnit", "µm"), step("PhysicalSizeZ")),
            _ => (String::new(), None),
        };
        Lead { name: name.into(), length, unit, step }
    });
    Ok(leads.collect())
}

/// The dimensions behind x and y, the fastest first.
fn dimensions(pixels: &Attributes, shape: Shape) -> Result<Vec<Dimension>, String> {
    let size = |letter: char| pixels.get(&format!("Size{letter}")).and_then(|own| own.parse::<u64>().ok()).filter(|size| *size > 0);
    let order = pixels.get("DimensionOrder").map(String::as_str).unwrap_or_default();
    let behind = order.strip_prefix("XY").filter(|behind| behind.len() == 3).ok_or("the OME-XML has no order of dimensions")?;
    let dimension = |letter: char| {
        let length = size(letter).ok_or("the OME-XML lacks a size")?;
        match letter {
            'T' => Ok((letter, "time", length)),
            'Z' => Ok((letter, "z", length)),
            // Colours of a pixel are channels too.
            'C' => Ok((letter, "channel", length.checked_div(shape.channels.into()).filter(|rest| *rest > 0).unwrap_or(length))),
            _ => Err("the OME-XML has an order of dimensions that is none".to_owned()),
        }
    };
    behind.chars().map(dimension).collect()
}

/// The fact that an attribute of `Pixels` is.
fn fact(key: &str) -> Option<&'static str> {
    let named = [
        ("DimensionOrder", "dimension order"),
        ("SizeX", "size x"),
        ("SizeY", "size y"),
        ("SizeZ", "size z"),
        ("SizeC", "size c"),
        ("SizeT", "size t"),
        ("PhysicalSizeX", "pixel size x"),
        ("PhysicalSizeY", "pixel size y"),
        ("PhysicalSizeZ", "pixel size z"),
        ("TimeIncrement", "time increment"),
    ];
    named.into_iter().find(|(own, _)| *own == key).map(|(_, fact)| fact)
}

/// What is looked at of the text.
#[derive(Debug)]
struct Found {
    images: usize,
    pixels: Attributes,
    channels: Vec<String>,
    dimensions: Result<Vec<Dimension>, String>,
    is_out_of_order: bool,
}

fn elements(text: &str, shape: Shape) -> Result<Found, String> {
    /// Names of channels that are kept.
    const MOST: usize = 64;
    let mut reader = Reader::from_str(text);
    let dimensions_of = |pixels: &Attributes| dimensions(pixels, shape);
    let mut found = Found {
        images: 0,
        pixels: Attributes::new(),
        channels: Vec::new(),
        dimensions: Err("the OME-XML describes no pixels".into()),
        is_out_of_order: false,
    };
    loop {
        match reader.read_event() {
            Ok(Event::Start(element) | Event::Empty(element)) => {
                let first = found.images <= 1;
                let name = element.local_name();
                match name.as_ref() {
                    b"Image" => found.images += 1,
                    b"Pixels" if first => {
                        found.pixels = attributes(&element);
                        found.dimensions = dimensions_of(&found.pixels);
                    }
                    b"Channel" if first && found.channels.len() < MOST => found.channels.extend(attributes(&element).remove("Name")),
                    b"TiffData" if first => {
                        let dimensions = found.dimensions.as_deref().unwrap_or_default();
                        found.is_out_of_order |= !is_in_order(&attributes(&element), dimensions);
                    }
                    b"BinaryOnly" => return Err("what they are stands in another file".into()),
                    _ => {}
                }
            }
            Ok(Event::Eof) => return Ok(found),
            Ok(_) => {}
            Err(error) => return Err(format!("the OME-XML is damaged ({error})")),
        }
    }
}

fn attributes(element: &BytesStart<'_>) -> Attributes {
    /// More than any element of OME has.
    const MOST: usize = 64;
    let mut all = element.attributes();
    let own = all.with_checks(false).take(MOST).filter_map(Result::ok);
    own.filter_map(|own| {
        let value = quick_xml::escape::unescape(std::str::from_utf8(&own.value).ok()?).ok()?.into_owned();
        Some((String::from_utf8_lossy(own.key.local_name().as_ref()).into_owned(), value))
    })
    .collect()
}

/// Whether a page stands in the file where the order of the dimensions has it, as far as that is said.
fn is_in_order(page: &Attributes, fastest_first: &[Dimension]) -> bool {
    let number = |key: &str| page.get(key).and_then(|own| own.parse::<u64>().ok()).unwrap_or(0);
    let place = fastest_first
        .iter()
        .rev()
        .fold(0u64, |place, (letter, _, length)| place.saturating_mul(*length).saturating_add(number(&format!("First{letter}"))));
    !page.contains_key("IFD") || number("IFD") == place
}
