//! The XML of a GIFTI file: what its arrays are and where their data stand.

use crate::grid::Element;
use neuroflow_data::formats::bytes::ByteOrder;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use std::collections::BTreeMap;
use std::ops::Range;

/// How data are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Encoding {
    Ascii,
    Base64,
    Gzip,
    External,
}

/// A data array.
#[derive(Debug, Clone)]
pub(super) struct DataArray {
    pub intent: String,
    pub element: Element,
    pub shape: Vec<u64>,
    pub column_major: bool,
    pub encoding: Encoding,
    pub order: ByteOrder,
    /// Where its data are in the file.
    pub data: Range<u64>,
    pub about: String,
    pub transform: Option<[f64; 16]>,
    pub spaces: String,
}

/// A line of the table of labels.
#[derive(Debug, Clone, Default)]
pub(super) struct Label {
    pub key: i64,
    pub name: String,
    pub colour: [Option<f64>; 4],
}

/// All of a file but its data.
#[derive(Debug, Default)]
pub(super) struct Parsed {
    pub version: String,
    pub stated: Option<u64>,
    pub facts: BTreeMap<String, String>,
    pub arrays: Vec<DataArray>,
    pub labels: Vec<Label>,
}

fn refuse(byte: u64, reason: impl Into<String>) -> FormatError {
    FormatError::new(Format::Gifti, Place::Byte(byte), reason, COPY_AGAIN)
}

fn attributes(element: &BytesStart<'_>, at: u64) -> Result<BTreeMap<String, String>, FormatError> {
    let mut all = BTreeMap::new();
    for own in element.attributes() {
        let own = own.map_err(|error| refuse(at, format!("an attribute is damaged ({error})")))?;
        let value = String::from_utf8_lossy(&own.value).into_owned();
        let value = quick_xml::escape::unescape(&value).map(std::borrow::Cow::into_owned).unwrap_or(value);
        all.insert(String::from_utf8_lossy(own.key.as_ref()).into_owned(), value);
    }
    Ok(all)
}

/// What is being read.
#[derive(Default)]
struct State {
    text: String,
    name: String,
    meta: Vec<(String, String)>,
    array: Option<DataArray>,
    label: Option<Label>,
    spaces: [String; 2],
    data_start: Option<u64>,
}

/// Walks the file once.
pub(super) fn parse(bytes: &[u8], limits: &Limits) -> Result<Parsed, FormatError> {
    let mut reader = Reader::from_reader(bytes);
    let mut parsed = Parsed::default();
    let mut state = State::default();
    let (mut depth, mut seen) = (0usize, false);
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| refuse(at, format!("the XML is damaged ({error})")))?;
        match event {
            Event::Start(element) | Event::Empty(element) if element.name().as_ref() == b"GIFTI" => {
                let own = attributes(&element, at)?;
                parsed.version = own.get("Version").cloned().unwrap_or_default();
                parsed.stated = own.get("NumberOfDataArrays").and_then(|number| number.parse().ok());
                seen = true;
                depth += 1;
            }
            Event::Start(element) => {
                depth += 1;
                if depth > limits.max_depth {
                    return Err(refuse(at, format!("elements nest deeper than {}", limits.max_depth)));
                }
                state.text.clear();
                start(&element, at, &mut state)?;
                if element.name().as_ref() == b"Data" {
                    state.data_start = Some(reader.buffer_position());
                }
            }
            Event::Empty(element) => {
                start(&element, at, &mut state)?;
                if element.name().as_ref() == b"Data" {
                    state.data_start = Some(at);
                }
                end(element.name().as_ref(), at, &mut state, &mut parsed)?;
            }
            Event::End(element) => {
                depth = depth.saturating_sub(1);
                end(element.name().as_ref(), at, &mut state, &mut parsed)?;
            }
            // Data are left where they are.
            Event::Text(text) if state.data_start.is_none() => state.text.push_str(&String::from_utf8_lossy(&text)),
            Event::CData(text) => state.text.push_str(&String::from_utf8_lossy(&text)),
            Event::GeneralRef(reference) => {
                let name = format!("&{};", String::from_utf8_lossy(&reference));
                let text = quick_xml::escape::unescape(&name).map_err(|_| {
                    refuse(at, format!("the entity `{}` is none of XML's own; others are not unfolded", name.escape_debug()))
                })?;
                state.text.push_str(&text);
            }
            Event::Eof => break,
            _ => {}
        }
    }
    if !seen {
        let help = "check that the path names a GIFTI file";
        return Err(FormatError::new(Format::Gifti, Place::Byte(0), "the file has no element `GIFTI`", help));
    }
    if depth > 1 {
        return Err(refuse(bytes.len() as u64, format!("the file ends inside of {depth} elements")));
    }
    Ok(parsed)
}

fn start(element: &BytesStart<'_>, at: u64, state: &mut State) -> Result<(), FormatError> {
    match element.name().as_ref() {
        b"DataArray" => {
            state.meta.clear();
            state.array = Some(array(&attributes(element, at)?, at)?);
        }
        b"Label" => {
            let own = attributes(element, at)?;
            let key = own.get("Key").or(own.get("Index")).and_then(|key| key.trim().parse().ok());
            let Some(key) = key else { return Err(refuse(at, "a label has no number as its key")) };
            let colour = ["Red", "Green", "Blue", "Alpha"].map(|name| own.get(name).and_then(|value| value.trim().parse().ok()));
            state.label = Some(Label { key, name: String::new(), colour });
        }
        _ => {}
    }
    Ok(())
}

fn array(own: &BTreeMap<String, String>, at: u64) -> Result<DataArray, FormatError> {
    let get = |name: &str| own.get(name).map(|value| value.trim()).unwrap_or_default();
    let element = match get("DataType") {
        "NIFTI_TYPE_UINT8" => Element::U8,
        "NIFTI_TYPE_INT8" => Element::I8,
        "NIFTI_TYPE_INT16" => Element::I16,
        "NIFTI_TYPE_UINT16" => Element::U16,
        "NIFTI_TYPE_INT32" => Element::I32,
        "NIFTI_TYPE_UINT32" => Element::U32,
        "NIFTI_TYPE_INT64" => Element::I64,
        "NIFTI_TYPE_UINT64" => Element::U64,
        "NIFTI_TYPE_FLOAT32" => Element::F32,
        "NIFTI_TYPE_FLOAT64" => Element::F64,
        other => return Err(refuse(at, format!("the data type `{}` is not read", other.escape_debug()))),
    };
    let axes: usize = get("Dimensionality")
        .parse()
        .ok()
        .filter(|axes| (1..=6).contains(axes))
        .ok_or_else(|| refuse(at, format!("an array has `{}` axes, 1 to 6 are possible", get("Dimensionality").escape_debug())))?;
    let mut shape = Vec::with_capacity(axes);
    for axis in 0..axes {
        let length = get(&format!("Dim{axis}"));
        shape.push(length.parse().map_err(|_| refuse(at, format!("the length `{}` of axis {axis} is no number", length.escape_debug())))?);
    }
    let encoding = match get("Encoding") {
        "ASCII" => Encoding::Ascii,
        "Base64Binary" => Encoding::Base64,
        "GZipBase64Binary" => Encoding::Gzip,
        "ExternalFileBinary" => Encoding::External,
        other => return Err(refuse(at, format!("the encoding `{}` is not known", other.escape_debug()))),
    };
    let order = if get("Endian") == "BigEndian" { ByteOrder::Big } else { ByteOrder::Little };
    let intent = get("Intent").trim_start_matches("NIFTI_INTENT_").to_lowercase().replace('_', " ");
    let intent = if intent.is_empty() { "none".to_owned() } else { intent };
    let column_major = get("ArrayIndexingOrder") == "ColumnMajorOrder";
    let (about, spaces) = (String::new(), String::new());
    Ok(DataArray { intent, element, shape, column_major, encoding, order, data: 0..0, about, transform: None, spaces })
}

fn end(name: &[u8], at: u64, state: &mut State, parsed: &mut Parsed) -> Result<(), FormatError> {
    let text = std::mem::take(&mut state.text);
    let text = text.trim();
    match name {
        b"Name" => state.name = text.to_owned(),
        b"Value" => {
            let name = std::mem::take(&mut state.name);
            if state.array.is_some() {
                state.meta.push((name, text.to_owned()));
            } else {
                parsed.facts.insert(name, text.to_owned());
            }
        }
        b"Label" => {
            if let Some(mut label) = state.label.take() {
                text.clone_into(&mut label.name);
                parsed.labels.push(label);
            }
        }
        b"DataSpace" => state.spaces[0] = text.to_owned(),
        b"TransformedSpace" => state.spaces[1] = text.to_owned(),
        b"MatrixData" => {
            let numbers: Option<Vec<f64>> = text.split_ascii_whitespace().map(|word| word.parse().ok()).collect();
            let matrix = numbers.and_then(|numbers| <[f64; 16]>::try_from(numbers).ok());
            if let Some(array) = &mut state.array
                && array.transform.is_none()
            {
                array.transform = Some(matrix.ok_or_else(|| refuse(at, "a transform is no matrix of 16 numbers"))?);
                array.spaces = state.spaces.join(" → ");
            }
        }
        b"Data" => {
            let start = state.data_start.take().unwrap_or(at);
            if let Some(array) = &mut state.array {
                array.data = start..at.max(start);
            }
        }
        b"DataArray" => {
            if let Some(mut array) = state.array.take() {
                let said = state.meta.iter().filter(|(_, value)| !value.is_empty());
                array.about = said.map(|(name, value)| format!("{name}: {value}")).collect::<Vec<_>>().join("; ");
                parsed.arrays.push(array);
            }
        }
        _ => {}
    }
    Ok(())
}
