//! Tables of a dataset: tab separated, `n/a` for what is missing (BIDS 1.10, "Common principles: Tabular files").
//!
//! Only `n/a` and an empty cell are missing: `null`, `NA` and `NaN` are words that people use as labels. A column is whole numbers or numbers when
//! all of its values are, and text otherwise; columns that name something are text whatever they look like, so that channel `1` stays `1`.

use super::{MOST_COLUMNS, fault};
use ::csv::{ByteRecord, ReaderBuilder};
use arrow::array::{ArrayRef, Float64Builder, Int64Builder, RecordBatch, RecordBatchOptions, StringBuilder};
use arrow::datatypes::{Field, Schema};
use neuroflow_data::formats::{FormatError, Limits};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Columns whose values are names or words.
const WORDS: &[&str] = &[
    "name",
    "type",
    "units",
    "status",
    "status_description",
    "description",
    "group",
    "reference",
    "trial_type",
    "participant_id",
    "session_id",
    "sample_id",
    "filename",
    "acq_time",
    "stim_file",
    "HED",
    "channel",
    "hemisphere",
    "material",
    "manufacturer",
    "sex",
    "handedness",
    "hand",
    "species",
    "strain",
];

const TABS: &str = "save the table as UTF-8 text with a tab between cells, one line of column names, and as many cells in each row";

/// What kind of values a column has.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Kind {
    Whole,
    Number,
    Word,
}

/// Whether a cell says that there is no value.
pub(super) fn missing(cell: &str) -> bool {
    cell.is_empty() || cell == "n/a"
}

/// A number as tables have it; words such as `inf` and `nan` are not numbers here.
pub(super) fn number(cell: &str) -> Option<f64> {
    let first = cell.bytes().find(|byte| *byte != b'-' && *byte != b'+')?;
    if first.is_ascii_digit() || first == b'.' { cell.parse().ok() } else { None }
}

fn whole(cell: &str) -> Option<i64> {
    let digits = cell.strip_prefix('-').unwrap_or(cell);
    if digits.len() > 1 && digits.starts_with('0') { None } else { cell.parse().ok() }
}

/// Zeros in front, as in `007`, make a name of digits.
fn padded(cell: &str) -> bool {
    cell.len() > 1 && cell.starts_with('0') && cell.bytes().all(|byte| byte.is_ascii_digit())
}

/// The text of a table without its byte order mark.
pub(super) fn text<'t>(bytes: &'t [u8], path: &str) -> Result<&'t str, FormatError> {
    let bytes = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(bytes);
    std::str::from_utf8(bytes)
        .map_err(|error| fault(path, format!("the text is not UTF-8 at byte {}", error.valid_up_to()), "save the table as UTF-8"))
}

/// Goes through the rows: the line (counted from 1) and the cells of each, the first being the names.
pub(super) fn each_row(
    text: &str,
    path: &str,
    mut each: impl FnMut(u64, &ByteRecord) -> Result<(), FormatError>,
) -> Result<(), FormatError> {
    let mut reader = ReaderBuilder::new().delimiter(b'\t').has_headers(false).flexible(true).from_reader(text.as_bytes());
    let mut record = ByteRecord::new();
    while reader.read_byte_record(&mut record).map_err(|error| fault(path, error.to_string(), TABS))? {
        each(record.position().map_or(1, ::csv::Position::line), &record)?;
    }
    Ok(())
}

fn cell(bytes: &[u8]) -> &str {
    // The whole text was checked; cells are cut at ASCII bytes.
    std::str::from_utf8(bytes).unwrap_or("").trim_matches(' ')
}

/// The names of the columns: not empty, each once.
fn names(record: &ByteRecord, path: &str) -> Result<Vec<String>, FormatError> {
    if record.len() > MOST_COLUMNS {
        return Err(fault(path, format!("the table has {} columns, at most {MOST_COLUMNS} are read", record.len()), TABS));
    }
    let mut seen = BTreeSet::new();
    let mut names = Vec::with_capacity(record.len());
    for (column, name) in record.iter().map(cell).enumerate() {
        if name.is_empty() {
            return Err(fault(path, format!("column {} has no name (Tabular files)", column + 1), "name each column in the first line"));
        }
        if !seen.insert(name) {
            return Err(fault(
                path,
                format!("two columns are called `{}` (Tabular files)", name.escape_debug()),
                "give each column a name of its own",
            ));
        }
        names.push(name.to_owned());
    }
    Ok(names)
}

/// Reads a table. `columns` are the names when the file has none, as those of physiological recordings.
///
/// # Errors
/// When the text is not UTF-8, a column has no name or that of another, or rows differ in length.
pub(super) fn read(bytes: &[u8], path: &str, columns: Option<&[String]>, limits: &Limits) -> Result<RecordBatch, FormatError> {
    let text = text(bytes, path)?;
    let mut found: Option<Vec<String>> = columns.map(<[String]>::to_vec);
    let mut kinds: Vec<Option<Kind>> = vec![None; columns.map_or(0, <[String]>::len)];
    let mut rows = 0u64;
    each_row(text, path, |line, record| {
        let Some(names) = &found else {
            let names = names(record, path)?;
            kinds = names.iter().map(|name| WORDS.contains(&name.as_str()).then_some(Kind::Word)).collect();
            found = Some(names);
            return Ok(());
        };
        if record.len() != names.len() {
            let reason = format!("line {line} has {} cells, there are {} columns (Tabular files)", record.len(), names.len());
            return Err(fault(path, reason, TABS));
        }
        rows += 1;
        for (kind, value) in kinds.iter_mut().zip(record.iter().map(cell)) {
            if *kind == Some(Kind::Word) || missing(value) {
                continue;
            }
            let own = match () {
                () if whole(value).is_some() => Kind::Whole,
                () if !padded(value) && number(value).is_some() => Kind::Number,
                () => Kind::Word,
            };
            *kind = (*kind).max(Some(own));
        }
        Ok(())
    })?;
    let Some(names) = found else {
        return Err(fault(path, "the table is empty (Tabular files)", "a table begins with a line of column names"));
    };
    let held = rows.saturating_mul(names.len() as u64).saturating_mul(9).saturating_add(text.len() as u64);
    if held > limits.max_total_bytes {
        let reason = format!("its values would take {held} bytes, more than the {} allowed", limits.max_total_bytes);
        return Err(fault(path, reason, "if you trust this file, raise the reader's limits"));
    }
    let mut filling: Vec<Filling> = kinds.iter().map(|kind| Filling::new(*kind)).collect();
    let mut skip = columns.is_none();
    each_row(text, path, |line, record| {
        if std::mem::take(&mut skip) {
            return Ok(());
        }
        for (column, value) in filling.iter_mut().zip(record.iter().map(cell)) {
            column.append(value).map_err(|reason| fault(path, format!("line {line}: {reason}"), TABS))?;
        }
        Ok(())
    })?;
    let (fields, arrays): (Vec<Field>, Vec<ArrayRef>) = names
        .iter()
        .zip(&mut filling)
        .map(|(name, column)| {
            let array = column.finish();
            (Field::new(name, array.data_type().clone(), true), array)
        })
        .unzip();
    let options = RecordBatchOptions::new().with_row_count(usize::try_from(rows).ok());
    RecordBatch::try_new_with_options(Arc::new(Schema::new(fields)), arrays, &options).map_err(|error| fault(path, error.to_string(), TABS))
}

/// A column while it grows. One without any value is text.
enum Filling {
    Whole(Int64Builder),
    Number(Float64Builder),
    Word(StringBuilder),
}

impl Filling {
    fn new(kind: Option<Kind>) -> Filling {
        match kind {
            Some(Kind::Whole) => Filling::Whole(Int64Builder::with_capacity(0)),
            Some(Kind::Number) => Filling::Number(Float64Builder::with_capacity(0)),
            Some(Kind::Word) | None => Filling::Word(StringBuilder::with_capacity(0, 0)),
        }
    }

    fn append(&mut self, value: &str) -> Result<(), &'static str> {
        let value = (!missing(value)).then_some(value);
        match self {
            Filling::Whole(builder) => builder.append_option(value.and_then(whole)),
            Filling::Number(builder) => builder.append_option(value.and_then(number)),
            Filling::Word(builder) => {
                // Arrow counts the bytes of a text column in 31 bits and asserts it.
                if builder.values_slice().len().saturating_add(value.map_or(0, str::len)) > i32::MAX as usize {
                    return Err("a column holds more than 2 GiB of text");
                }
                builder.append_option(value);
            }
        }
        Ok(())
    }

    fn finish(&mut self) -> ArrayRef {
        match self {
            Filling::Whole(builder) => Arc::new(builder.finish()),
            Filling::Number(builder) => Arc::new(builder.finish()),
            Filling::Word(builder) => Arc::new(builder.finish()),
        }
    }
}

/// The same table whose columns know what the JSON beside it says: its `Description` and `Units` stand in a field's metadata as `description` and
/// `unit`, its `Levels` as JSON text in `levels`.
pub(super) fn described(batch: &RecordBatch, said: &serde_json::Map<String, serde_json::Value>) -> RecordBatch {
    let field = |field: &Arc<Field>| {
        let mut metadata = BTreeMap::new();
        if let Some(column) = said.get(field.name()).and_then(|value| value.as_object()) {
            for (key, own) in [("Description", "description"), ("Units", "unit")] {
                if let Some(text) = column.get(key).and_then(|value| value.as_str()) {
                    metadata.insert(own.to_owned(), text.to_owned());
                }
            }
            if let Some(levels) = column.get("Levels").filter(|levels| levels.is_object()) {
                metadata.insert("levels".to_owned(), levels.to_string());
            }
        }
        if metadata.is_empty() { Arc::clone(field) } else { Arc::new(field.as_ref().clone().with_metadata(metadata.into_iter().collect())) }
    };
    let schema = Arc::new(Schema::new(batch.schema().fields().iter().map(field).collect::<Vec<_>>()));
    RecordBatch::try_new_with_options(schema, batch.columns().to_vec(), &RecordBatchOptions::new().with_row_count(Some(batch.num_rows())))
        .unwrap_or_else(|_| batch.clone())
}

#[cfg(test)]
mod tests {
    use super::*;
    use arrow::array::{Array, AsArray};
    use arrow::datatypes::{DataType, Float64Type, Int64Type};

    fn table(text: &str) -> Result<RecordBatch, FormatError> {
        read(text.as_bytes(), "a_events.tsv", None, &Limits::default())
    }

    #[test]
    fn columns_are_numbers_only_when_all_values_are() {
        let batch = table("\u{feff}onset\tduration\ttrial_type\tcode\tname\nn/a\t1\tnull\t007\t1\n0.5\tn/a\tNA\t8\t2\n").unwrap();
        let onset = batch.column(0).as_primitive::<Float64Type>();
        assert!(onset.is_null(0) && onset.value(1) == 0.5);
        assert_eq!(batch.column(1).as_primitive::<Int64Type>().value(0), 1);
        assert_eq!(batch.column(2).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("null"), Some("NA")]);
        assert!([3, 4].iter().all(|place| batch.schema().field(*place).data_type() == &DataType::Utf8));
    }

    #[test]
    fn tables_that_break_the_rules_are_refused_with_line_and_rule() {
        let said = |text: &str| table(text).unwrap_err().to_string();
        assert!(
            said("a\tb\n1\t2\n3\n").starts_with("BIDS: object `a_events.tsv`: line 3 has 1 cells, there are 2 columns"),
            "{}",
            said("a\tb\n1\t2\n3\n")
        );
        assert!(said("a\ta\n").contains("two columns are called `a`"));
        assert!(said("a\t\n").contains("column 2 has no name"));
        assert!(said("").contains("the table is empty"));
        let error = read(b"a\n\xff\n", "x.tsv", None, &Limits::default()).unwrap_err().to_string();
        assert!(error.contains("not UTF-8 at byte 2"), "{error}");
        let small = Limits { max_total_bytes: 10, ..Limits::default() };
        assert!(read(b"a\n1\n2\n", "x.tsv", None, &small).unwrap_err().to_string().contains("more than the 10 allowed"));
    }
}
