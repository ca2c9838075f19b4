//! Positions from video, as SpikeGadgets' Trodes writes them (`.videoPositionTracking`).
//!
//! A text header ends with `<End settings>`; its line `Fields: <name type>…` says how each of the little-endian records that follow is made.
//! [`open`] gives
//! one item, the table `position`: `time` in seconds on the recorder's clock (ticks over `clockrate`), and the other fields under the names the
//! file gives
//! them, `xloc`, `yloc`, `xloc2`, `yloc2` in pixels. What the header says besides stands in the facts.
//!
//! The layout is that of "Trodes extracted files" in the SpikeGadgets manual.

use crate::document::{Contents, Document, Item, Rows, What};
use crate::series::{Element, Lane, Layout, Number, Section, Series};
use crate::source::{Source, part};
use crate::text;
use arrow::array::{ArrayRef, Float64Array, RecordBatch, RecordBatchOptions};
use arrow::datatypes::{DataType, Field, Schema, SchemaRef};
use neuroflow_data::Channel;
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place};
use std::ops::Range;
use std::sync::Arc;

const POSITION: &str = "position";
/// The header is a few lines.
const MOST_HEADER: u64 = 64 << 10;
const MOST_FIELDS: usize = 1024;
const END: &[u8] = b"<End settings>";

/// A file of positions, opened.
#[derive(Debug)]
pub struct PositionDocument {
    contents: Contents,
    rows: Arc<PositionRows>,
}

#[derive(Debug)]
struct PositionRows {
    series: Series,
    count: u64,
    /// Ticks a second, and the field that counts them.
    clock: Option<(f64, usize)>,
    schema: SchemaRef,
}

fn wrong(at: u64, reason: impl Into<String>, help: &str) -> FormatError {
    FormatError::new(Format::PositionTracking, Place::Byte(at), reason, help)
}

/// Opens a file of positions. Reads the header.
///
/// # Errors
/// When the header is missing, has no fields, or has a type that is not read.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<PositionDocument, FormatError> {
    let head = part(source.as_ref(), Format::PositionTracking, 0..source.len().min(MOST_HEADER))?;
    if !head.trim_ascii_start().starts_with(b"<Start settings>") {
        return Err(wrong(0, "the file does not begin with `<Start settings>`", "check that the path names a .videoPositionTracking file"));
    }
    let end = head.windows(END.len()).position(|window| window == END);
    let end = end.ok_or_else(|| wrong(head.len() as u64, "the settings do not end with `<End settings>`", COPY_AGAIN))?;
    let after = head.get(end + END.len()..).unwrap_or_default();
    let line = after.iter().position(|&byte| byte == b'\n').map_or(0, |at| at + 1);
    let data = (end + END.len() + line) as u64;
    let settings = text::decoded(head.get(..end).unwrap_or_default());
    let mut contents = Contents::new(Format::PositionTracking, "");
    let (mut fields, mut rate) = (None, None);
    for line in settings.lines().skip(1) {
        let Some((key, value)) = line.split_once(':') else { continue };
        let (key, value) = (key.trim(), value.trim());
        if key.eq_ignore_ascii_case("fields") {
            fields = Some(value.to_owned());
        } else {
            if key.eq_ignore_ascii_case("clockrate") {
                rate = text::number(value).filter(|rate| *rate > 0.0);
            }
            contents.facts.insert(key.to_owned(), value.to_owned());
        }
    }
    let fields = fields.ok_or_else(|| wrong(0, "the settings have no line `Fields:`", COPY_AGAIN))?;
    let mut lanes = Vec::new();
    let mut offset = 0;
    for field in fields.split('<').skip(1) {
        let (lane, name) = lane(field, offset)?;
        offset += lane.element.size() as u64 * lane.count;
        lanes.push((Lane { count: 1, ..lane }, Channel::new(name, "px", 1.0)));
        if lanes.len() > MOST_FIELDS {
            return Err(wrong(0, format!("there are more than {MOST_FIELDS} fields"), COPY_AGAIN));
        }
    }
    if lanes.is_empty() {
        return Err(wrong(0, "the settings name no field", COPY_AGAIN));
    }
    let mut names: Vec<String> = lanes.iter().map(|(_, channel)| channel.name.clone()).collect();
    crate::series::unique(&mut names);
    let time = names.iter().position(|name| name == "time");
    if time.is_some() && rate.is_none() {
        contents.notes.push("the settings give no clock rate, so that `time` counts ticks".into());
    }
    let there = source.len().saturating_sub(data);
    let count = there / offset;
    if !there.is_multiple_of(offset) {
        contents.notes.push(format!("{} bytes after the last whole record are left out", there % offset));
    }
    let columns = names.iter().map(|name| (name.clone(), "float64".to_owned())).collect();
    let about = "positions in pixels, and their times".into();
    contents.items.push(Item { path: POSITION.into(), what: What::Table { rows: Some(count), columns }, about });
    let layout = Layout { sections: vec![Section { at: data, frames: count }], frame_bytes: offset };
    let series = Series::new(source, Format::PositionTracking, limits, layout, lanes)?;
    let schema = Arc::new(Schema::new(names.into_iter().map(|name| Field::new(name, DataType::Float64, false)).collect::<Vec<_>>()));
    let rows = PositionRows { series, count, clock: rate.zip(time), schema };
    Ok(PositionDocument { contents, rows: Arc::new(rows) })
}

/// One field, `name type>`; an array `name 4*type>` is read by its first value.
fn lane(field: &str, offset: u64) -> Result<(Lane, String), FormatError> {
    let inner = field.trim().trim_end_matches('>');
    let refuse = |reason: String| wrong(0, reason, "only plain numbers are read");
    let (name, kind) = inner.rsplit_once(' ').ok_or_else(|| refuse(format!("the field `{}` has no type", inner.escape_debug())))?;
    let (count, kind) = match kind.split_once('*') {
        Some((count, kind)) => (count.parse::<u32>().ok().filter(|count| *count > 0), kind),
        None => (Some(1), kind),
    };
    let number = match kind {
        "int8" => Number::I8,
        "uint8" => Number::U8,
        "int16" => Number::I16,
        "uint16" => Number::U16,
        "int32" => Number::I32,
        "uint32" => Number::U32,
        "int64" => Number::I64,
        "uint64" => Number::U64,
        "single" | "float" | "float32" => Number::F32,
        "double" | "float64" => Number::F64,
        other => return Err(refuse(format!("the field `{name}` is of type `{}`, which is not read", other.escape_debug()))),
    };
    let count = count.ok_or_else(|| refuse(format!("the field `{name}` has no count of values that can be read")))?;
    let element = Element::little(number);
    Ok((Lane { element, offset, count: u64::from(count), stride: element.size() as u64 }, name.trim().to_owned()))
}

impl Rows for PositionRows {
    fn schema(&self) -> SchemaRef {
        Arc::clone(&self.schema)
    }

    fn count(&self) -> u64 {
        self.count
    }

    fn read(&self, columns: &[usize], rows: Range<u64>) -> Result<RecordBatch, FormatError> {
        let wrong = |reason: String| FormatError::new(Format::PositionTracking, Place::File, reason, "count columns from 0");
        let schema = Arc::new(self.schema.project(columns).map_err(|error| wrong(error.to_string()))?);
        let rows = rows.start.min(self.count)..rows.end.min(self.count);
        let mut arrays: Vec<ArrayRef> = Vec::with_capacity(columns.len());
        for (mut values, column) in self.series.values(columns, rows.clone())?.into_iter().zip(columns) {
            if let Some((rate, _)) = self.clock.filter(|(_, time)| time == column) {
                values.iter_mut().for_each(|ticks| *ticks /= rate);
            }
            arrays.push(Arc::new(Float64Array::from(values)));
        }
        let options = RecordBatchOptions::new().with_row_count(usize::try_from(rows.end.saturating_sub(rows.start)).ok());
        RecordBatch::try_new_with_options(schema, arrays, &options).map_err(|error| wrong(error.to_string()))
    }
}

impl Document for PositionDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        match path {
            "" | POSITION => Ok(Arc::clone(&self.rows) as Arc<dyn Rows>),
            _ => Err(self.contents.none("table", path)),
        }
    }
}
