//! ONNX models as documents: what goes in and out, and the initialisers as arrays.
//!
//! | item | what |
//! |---|---|
//! | `inputs/NAME`, `outputs/NAME` | the type and shape, as text; unknown lengths by their names |
//! | `initializers/NAME` | an array; parts of raw values are read from their bytes alone |
//! | `constants/NAME` | the value of a node `Constant`, by the name of its output |
//!
//! Producer, versions, operator sets and the number of nodes of each operator are facts. Nothing is run. Values in other files are refused.
//! The layout is that of `onnx.proto3` of ONNX 1.17.

use super::protobuf::{Carried, Field, Fields};
use crate::document::{Contents, Document, Item, What};
use crate::grid::{Element, Grid, Named, Scale, brain, half, ranges, tensor, wrong_part};
use crate::reading::{at_byte, in_object, shortened, unique, whole};
use crate::source::Source;
use arrow::buffer::Buffer;
use neuroflow_data::Tensor;
use neuroflow_data::formats::bytes::ByteOrder;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// An opened model: its messages have been walked, values of initialisers were skipped.
#[derive(Debug)]
pub struct OnnxDocument {
    contents: Contents,
    source: Arc<dyn Source>,
    initializers: BTreeMap<String, Initializer>,
    limits: Limits,
}

/// Where the values of an initialiser are.
#[derive(Debug)]
struct Initializer {
    shape: Vec<u64>,
    element: Option<Element>,
    values: Values,
}

#[derive(Debug)]
enum Values {
    /// Raw bytes at a place of the file.
    Raw(u64, u64),
    /// Fields of numbers, by their places: `float_data`, `int32_data`, `int64_data`, `double_data`, `uint64_data`.
    Typed(Range<u64>),
    /// In another file.
    Elsewhere,
}

/// Opens a model.
///
/// # Errors
/// When the bytes are no messages of this sort, or there is no graph.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<OnnxDocument, FormatError> {
    let mut contents = Contents::new(Format::Onnx, "");
    let mut initializers = BTreeMap::new();
    {
        let bytes = whole(source.as_ref(), Format::Onnx, limits)?;
        let mut graphs = 0;
        let mut opsets = Vec::new();
        for field in Fields::new(&bytes) {
            let field = field.map_err(damaged)?;
            let mut fact = |name: &str, text: String| {
                if !text.is_empty() {
                    contents.facts.insert(name.into(), shortened(&text, 1000));
                }
            };
            match field.number {
                1 => contents.version = format!("IR {}", field.number()),
                2 => fact("producer", field.text()),
                3 => fact("producer version", field.text()),
                4 => fact("domain", field.text()),
                5 => fact("model version", field.number().to_string()),
                6 => fact("description", field.text()),
                7 => {
                    graphs += 1;
                    graph(field.message(), &mut contents, &mut initializers)?;
                }
                8 => {
                    let (domain, version) = pair(field.message())?;
                    let domain = if domain.is_empty() { "ai.onnx".to_owned() } else { domain };
                    opsets.push(format!("{domain} {version}"));
                }
                14 => {
                    let mut texts = [String::new(), String::new()];
                    for field in field.message() {
                        let field = field.map_err(damaged)?;
                        if let Some(text) = usize::try_from(field.number).ok().and_then(|number| texts.get_mut(number.checked_sub(1)?)) {
                            *text = field.text();
                        }
                    }
                    let [name, value] = texts;
                    fact(&name, value);
                }
                _ => {}
            }
        }
        if graphs != 1 {
            let help = "check that the path names an ONNX model";
            return Err(FormatError::new(Format::Onnx, Place::File, format!("the model holds {graphs} graphs, not one"), help));
        }
        contents.facts.insert("operator sets".into(), opsets.join(", "));
    }
    Ok(OnnxDocument { contents, source, initializers, limits: limits.clone() })
}

fn damaged(byte: u64) -> FormatError {
    at_byte(Format::Onnx, byte, "a field of a message breaks off or is of no known sort")
}

/// A text in field 1 and a number in field 2.
fn pair(fields: Fields<'_>) -> Result<(String, u64), FormatError> {
    let (mut text, mut number) = (String::new(), 0);
    for field in fields {
        let field = field.map_err(damaged)?;
        match field.number {
            1 => text = field.text(),
            2 => number = field.number(),
            _ => {}
        }
    }
    Ok((text, number))
}

fn graph(fields: Fields<'_>, contents: &mut Contents, initializers: &mut BTreeMap<String, Initializer>) -> Result<(), FormatError> {
    let mut operators: BTreeMap<String, u64> = BTreeMap::new();
    let (mut inputs, mut outputs, mut values, mut constants) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    let mut taken = BTreeMap::new();
    let mut total = 0u64;
    for field in fields {
        let field = field.map_err(damaged)?;
        match field.number {
            1 => {
                let (operator, constant) = node(field.message())?;
                if let Some((name, initializer)) = constant {
                    let path = unique(&format!("constants/{name}"), &mut taken);
                    total = total.saturating_add(initializer.count());
                    constants.push(Item { path: path.clone(), what: initializer.what(), about: String::new() });
                    initializers.insert(path, initializer);
                }
                *operators.entry(operator).or_default() += 1;
            }
            2 => {
                contents.facts.insert("graph".into(), shortened(&field.text(), 1000));
            }
            5 => {
                let (name, initializer) = initializer(&field)?;
                let path = unique(&format!("initializers/{name}"), &mut taken);
                total = total.saturating_add(initializer.count());
                values.push(Item { path: path.clone(), what: initializer.what(), about: String::new() });
                initializers.insert(path, initializer);
            }
            11 => inputs.push(value_info(field.message())?),
            12 => outputs.push(value_info(field.message())?),
            _ => {}
        }
    }
    let nodes: u64 = operators.values().sum();
    let listed: Vec<String> = operators.iter().map(|(name, count)| format!("{name} {count}")).collect();
    contents.facts.insert("nodes".into(), nodes.to_string());
    contents.facts.insert("operators".into(), shortened(&listed.join(", "), 4000));
    contents.facts.insert("values".into(), total.to_string());
    for (group, listed) in [("inputs", inputs), ("outputs", outputs)] {
        contents.items.push(Item { path: group.into(), what: What::Group, about: String::new() });
        for (name, described) in listed {
            let path = unique(&format!("{group}/{name}"), &mut taken);
            contents.items.push(Item { path, what: What::Value(described), about: String::new() });
        }
    }
    for (group, mut listed) in [("initializers", values), ("constants", constants)] {
        if !listed.is_empty() {
            contents.items.push(Item { path: group.into(), what: What::Group, about: String::new() });
            contents.items.append(&mut listed);
        }
    }
    Ok(())
}

/// The operator of a node, and the value of a `Constant` under the name of its output.
fn node(fields: Fields<'_>) -> Result<(String, Option<(String, Initializer)>), FormatError> {
    let (mut operator, mut output, mut value) = (String::new(), String::new(), None);
    for field in fields {
        let field = field.map_err(damaged)?;
        match field.number {
            2 if output.is_empty() => output = field.text(),
            4 => operator = field.text(),
            5 => {
                for part in field.message() {
                    let part = part.map_err(damaged)?;
                    if part.number == 5 {
                        value = Some(part);
                    }
                }
            }
            _ => {}
        }
    }
    let constant = match value.filter(|_| operator == "Constant") {
        Some(value) => Some((output, initializer(&value)?.1)),
        None => None,
    };
    Ok((operator, constant))
}

/// The name, and `float32 [N × 3 × 48 × 192]`.
fn value_info(fields: Fields<'_>) -> Result<(String, String), FormatError> {
    let (mut name, mut element, mut axes) = (String::new(), String::from("value"), None::<Vec<String>>);
    for field in fields {
        let field = field.map_err(damaged)?;
        match field.number {
            1 => name = field.text(),
            2 => {
                for sort in field.message() {
                    let sort = sort.map_err(damaged)?;
                    if sort.number != 1 {
                        element = ["", "tensor", "", "", "sequence", "map"].get(sort.number as usize).copied().unwrap_or("value").into();
                        continue;
                    }
                    for part in sort.message() {
                        let part = part.map_err(damaged)?;
                        match part.number {
                            1 => {
                                element =
                                    element_of(part.number()).map_or_else(|| format!("type {}", part.number()), |own| own.name().into())
                            }
                            2 => axes = Some(shape(part.message())?),
                            _ => {}
                        }
                    }
                }
            }
            _ => {}
        }
    }
    let described = match axes {
        Some(axes) => format!("{element} [{}]", axes.join(" × ")),
        None => element,
    };
    Ok((name, described))
}

fn shape(fields: Fields<'_>) -> Result<Vec<String>, FormatError> {
    let mut axes = Vec::new();
    for dimension in fields {
        let dimension = dimension.map_err(damaged)?;
        if dimension.number != 1 {
            continue;
        }
        let mut text = String::from("?");
        for part in dimension.message() {
            let part = part.map_err(damaged)?;
            match (part.number, part.carried) {
                (1, Carried::Varint(length)) => text = (length as i64).to_string(),
                (2, _) => text = part.text(),
                _ => {}
            }
        }
        axes.push(text);
    }
    Ok(axes)
}

/// The type of a `TensorProto.DataType`.
fn element_of(code: u64) -> Option<Element> {
    Some(match code {
        1 => Element::F32,
        2 => Element::U8,
        3 => Element::I8,
        4 => Element::U16,
        5 => Element::I16,
        6 => Element::I32,
        7 => Element::I64,
        9 => Element::Bool,
        10 => Element::F16,
        11 => Element::F64,
        12 => Element::U32,
        13 => Element::U64,
        16 => Element::Bf16,
        _ => return None,
    })
}

fn initializer(message: &Field<'_>) -> Result<(String, Initializer), FormatError> {
    let (mut name, mut shape, mut element, mut raw, mut elsewhere) = (String::new(), Vec::new(), None, None, false);
    for field in message.message() {
        let field = field.map_err(damaged)?;
        match (field.number, field.carried) {
            (1, _) => shape.extend(field.numbers()),
            (2, _) => element = element_of(field.number()),
            (8, _) => name = field.text(),
            (9, Carried::Bytes(bytes, at)) => raw = Some(Values::Raw(at, bytes.len() as u64)),
            (13, _) => elsewhere = true,
            (14, _) => elsewhere |= field.number() == 1,
            _ => {}
        }
    }
    let values = match (elsewhere, raw, message.carried) {
        (true, ..) => Values::Elsewhere,
        (_, Some(raw), _) => raw,
        (_, None, Carried::Bytes(bytes, at)) => Values::Typed(at..at + bytes.len() as u64),
        _ => Values::Elsewhere,
    };
    Ok((name, Initializer { shape, element, values }))
}

impl Initializer {
    fn count(&self) -> u64 {
        self.shape.iter().fold(1u64, |count, length| count.saturating_mul(*length))
    }

    fn what(&self) -> What {
        let element = self.element.map_or("other", Element::name).to_owned();
        What::Array { shape: self.shape.clone(), element, unit: String::new(), axes: Vec::new() }
    }
}

impl OnnxDocument {
    /// Values that stand in fields of their own type.
    fn typed(&self, path: &str, span: &Range<u64>, initializer: &Initializer) -> Result<Vec<f64>, FormatError> {
        let bytes = crate::source::part(self.source.as_ref(), Format::Onnx, span.clone())?;
        let mut values: Vec<f64> = Vec::new();
        for field in Fields::new(&bytes) {
            let field = field.map_err(|byte| damaged(span.start + byte))?;
            match (field.number, field.carried) {
                (4, Carried::Four(bits)) => values.push(f64::from(f32::from_le_bytes(bits))),
                (4, Carried::Bytes(packed, _)) => {
                    values.extend(packed.chunks_exact(4).map(|bits| f64::from(f32::from_le_bytes(bits.try_into().unwrap_or_default()))))
                }
                (10, Carried::Eight(bits)) => values.push(f64::from_le_bytes(bits)),
                (10, Carried::Bytes(packed, _)) => {
                    values.extend(packed.chunks_exact(8).map(|bits| f64::from_le_bytes(bits.try_into().unwrap_or_default())));
                }
                // Halves stand in `int32_data` by their bits.
                (5, _) if matches!(initializer.element, Some(Element::F16 | Element::Bf16)) => {
                    let float = if initializer.element == Some(Element::F16) { half } else { brain };
                    for number in field.numbers() {
                        let bits = u16::try_from(number).map_err(|_| {
                            let place = Place::Object { path: path.into(), byte: Some(span.start) };
                            FormatError::new(
                                Format::Onnx,
                                place,
                                format!("a half has the bits {number}, of which there are 16"),
                                COPY_AGAIN,
                            )
                        })?;
                        values.push(float(bits));
                    }
                }
                (5, _) => values.extend(field.numbers().into_iter().map(|number| f64::from(number as i32))),
                (7, _) => values.extend(field.numbers().into_iter().map(|number| number as i64 as f64)),
                (11, _) => values.extend(field.numbers().into_iter().map(|number| number as f64)),
                _ => {}
            }
        }
        Ok(values)
    }
}

impl Document for OnnxDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let path = self.contents.path_of(path, "array", |what| what.word() == "array")?;
        let Some(initializer) = self.initializers.get(path) else { return Err(self.contents.none("array", path)) };
        let Some(element) = initializer.element else {
            return Err(in_object(Format::Onnx, path, "values of this type are not read as numbers", "save them as float32"));
        };
        let axes = Grid::row_major(&initializer.shape);
        let grid = |start, axes| Grid { element, order: ByteOrder::Little, start, axes, scale: Scale::NONE };
        let named = |grid| Named { path: path.to_owned(), grid, axes: Vec::new(), unit: String::new() };
        let count = initializer.shape.iter().try_fold(1u64, |count, length| count.checked_mul(*length));
        let wrong = |have: u64, what: &str| {
            let reason = format!("the shape {:?} does not fit its {have} {what}", initializer.shape);
            in_object(Format::Onnx, path, reason, COPY_AGAIN)
        };
        match &initializer.values {
            Values::Raw(start, bytes) => match (axes, count.and_then(|count| count.checked_mul(element.size()))) {
                (Some(axes), Some(needed)) if needed == *bytes => {
                    named(grid(*start, axes)).tensor(self.source.as_ref(), Format::Onnx, part, &self.limits)
                }
                _ => Err(wrong(*bytes, "bytes")),
            },
            Values::Typed(span) => {
                let values = self.typed(path, span, initializer)?;
                if count != Some(values.len() as u64) {
                    return Err(wrong(values.len() as u64, "values"));
                }
                let ranges = ranges(&initializer.shape, part).map_err(|reason| wrong_part(Format::Onnx, path, reason))?;
                if part.is_none() {
                    return tensor(Format::Onnx, &[], &ranges, "", values);
                }
                let bytes: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                let mut own = grid(0, axes.unwrap_or_default());
                own.element = Element::F64;
                named(own).tensor(&Buffer::from_vec(bytes), Format::Onnx, part, &self.limits)
            }
            Values::Elsewhere => {
                let help = "save the model with its values inside";
                Err(in_object(Format::Onnx, path, "the values are in another file, which is not opened", help))
            }
        }
    }
}
