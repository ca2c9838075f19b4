//! Workbooks: `.xlsx`, `.xls`, `.xlsb` and `.ods`. Each sheet is an item under its name.
//!
//! A sheet is a table, and an array of its numbers: `tensor("Sheet", part)` has the axes `row` and `column`, counted from the first cell of the
//! sheet (A1 is 0, 0),
//! and no number (NaN) where a cell holds none. So a matrix with labels around it is a part of its sheet.
//!
//! The first row names the columns when it is all text (every column that has a cell below has a text there, or is the first column), or has a text over
//! nothing but numbers. Otherwise
//! columns are called
//! A, B, …, as in the sheet. Columns are whole numbers, numbers, truth values or text; a column that mixes them is text. Dates are text,
//! `2020-01-31` or
//! `2020-01-31T12:00:00`; durations are `PT1.5S`; errors are nulls and are counted in a note.
//!
//! `.xlsx`, `.xls` and `.xlsb` are read by calamine, after the archive has been inflated once against what it says of itself, and a sheet whose
//! cells lie
//! too far apart has been refused. `.ods` is read here.

mod cells;
mod ods;
mod table;
#[cfg(test)]
mod tests;
mod xls_check;

#[cfg(test)]
pub(crate) use tests::zip as zip_of;

use crate::document::{Contents, Document, Item, Rows, What};
use crate::grid::{ranges, tensor, wrong_part};
use crate::reading::{HeldRows, columns_of, unique, whole};
use crate::source::Source;
use cells::Sheet;
use neuroflow_data::Tensor;
use neuroflow_data::formats::zip_directory::{check_member, members};
use neuroflow_data::formats::{COPY_AGAIN, Format, FormatError, Limits, Place, RAISE_LIMIT};
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

/// Which row names the columns.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Header {
    /// The first, when it is all text.
    #[default]
    Guessed,
    /// None: columns are A, B, ….
    Absent,
    /// This one, counted from 1; rows above it are left out.
    Row(u32),
}

/// An opened workbook.
#[derive(Debug)]
pub struct ExcelDocument {
    contents: Contents,
    sheets: BTreeMap<String, Held>,
    limits: Limits,
}

#[derive(Debug)]
struct Held {
    rows: Arc<HeldRows>,
    numbers: Vec<(u32, u32, f64)>,
    shape: [u64; 2],
}

/// Opens a workbook.
///
/// # Errors
/// When it is damaged, protected by a password, or inflates to more than it may.
pub fn open(source: Arc<dyn Source>, limits: &Limits) -> Result<ExcelDocument, FormatError> {
    open_with(source, Header::Guessed, limits)
}

/// Opens a workbook, with the row that names columns as told.
///
/// # Errors
/// As [`open`].
pub fn open_with(source: Arc<dyn Source>, header: Header, limits: &Limits) -> Result<ExcelDocument, FormatError> {
    let bytes = whole(source.as_ref(), Format::Excel, limits)?;
    let (version, sheets) = if bytes.starts_with(&[0xd0, 0xcf, 0x11, 0xe0]) {
        let clean = xls_check::cleaned(&bytes);
        let clean = clean.map_err(|(byte, reason)| FormatError::new(Format::Excel, Place::Byte(byte), reason, COPY_AGAIN))?;
        ("Excel 97–2003 (.xls)", cells::xls(&clean)?)
    } else if bytes.starts_with(b"PK") {
        archive(&bytes, limits)?
    } else {
        let help = "check that the path names an .xlsx, .xls, .xlsb or .ods file";
        return Err(FormatError::new(Format::Excel, Place::Byte(0), "the file is neither a zip archive nor a compound file", help));
    };
    let mut document = ExcelDocument { contents: Contents::new(Format::Excel, version), sheets: BTreeMap::new(), limits: limits.clone() };
    let mut taken = BTreeMap::new();
    for sheet in sheets {
        document.add(sheet, header, &mut taken)?;
    }
    Ok(document)
}

/// Checks a zip archive against its directory and reads the sheets in it.
fn archive(bytes: &[u8], limits: &Limits) -> Result<(&'static str, Vec<Sheet>), FormatError> {
    let broken = |(byte, reason): (u64, String)| FormatError::new(Format::Excel, Place::Byte(byte), reason, COPY_AGAIN);
    let directory = members(bytes).map_err(broken)?;
    let inflated = directory.iter().fold(0u64, |sum, member| sum.saturating_add(member.inflated()));
    let allowed = limits.expansion(bytes.len() as u64);
    if inflated > allowed {
        let reason = format!("the workbook claims to inflate to {inflated} bytes, more than the {allowed} allowed");
        return Err(FormatError::new(Format::Excel, Place::File, reason, RAISE_LIMIT));
    }
    for member in &directory {
        // Pictures and the like are never read.
        let lower = member.name.to_lowercase();
        if [".xml", ".rels", ".bin"].iter().any(|ending| lower.ends_with(ending)) || lower == "mimetype" {
            check_member(bytes, member, limits).map_err(|(byte, reason)| {
                FormatError::new(Format::Excel, Place::Member { name: member.name.clone(), byte }, reason, COPY_AGAIN)
            })?;
        }
    }
    let has = |name: &str| directory.iter().any(|member| member.name == name);
    if has("content.xml") {
        return Ok(("OpenDocument (.ods)", ods::sheets(bytes, &directory, limits)?));
    }
    if has("xl/workbook.bin") {
        return Ok(("Excel binary (.xlsb)", cells::xlsb(bytes)?));
    }
    if directory.iter().any(|member| member.name.eq_ignore_ascii_case("xl/workbook.xml")) {
        return Ok(("Excel (.xlsx)", cells::xlsx(bytes)?));
    }
    let help = "check that the path names a workbook";
    Err(FormatError::new(Format::Excel, Place::File, "the archive holds no workbook", help))
}

impl ExcelDocument {
    fn add(&mut self, sheet: Sheet, header: Header, taken: &mut BTreeMap<String, u64>) -> Result<(), FormatError> {
        let path = unique(&sheet.name, taken);
        let place = Place::Object { path: path.clone(), byte: None };
        let (mut width, mut height) = (0u64, 0u64);
        for (row, column, _) in &sheet.cells {
            height = height.max(u64::from(*row) + 1);
            width = width.max(u64::from(*column) + 1);
        }
        // A few cells at the far ends of a sheet would make a table of billions.
        let most = (sheet.cells.len() as u64).saturating_mul(64).saturating_add(1 << 21);
        if width.saturating_mul(height) > most {
            let reason = format!("the {} cells of the sheet are spread over {height} rows and {width} columns", sheet.cells.len());
            return Err(FormatError::new(Format::Excel, place, reason, "delete the cells at the far ends of the sheet"));
        }
        if sheet.errors > 0 {
            self.contents.notes.push(format!("sheet `{path}`: {} cells hold errors and read as missing", sheet.errors));
        }
        let numbers = table::numbers(&sheet.cells);
        let batch = table::table(sheet.cells, height as usize, width as usize, header)
            .map_err(|reason| FormatError::new(Format::Excel, place, reason, COPY_AGAIN))?;
        let what = What::Table { rows: Some(batch.num_rows() as u64), columns: columns_of(&batch.schema()) };
        self.contents.items.push(Item { path: path.clone(), what, about: format!("{height} × {width} cells") });
        let rows = Arc::new(HeldRows { format: Format::Excel, batch });
        self.sheets.insert(path, Held { rows, numbers, shape: [height, width] });
        Ok(())
    }

    fn sheet(&self, path: &str) -> Result<(&str, &Held), FormatError> {
        let path =
            if self.sheets.contains_key(path) { path } else { self.contents.path_of(path, "table", |what| what.word() == "table")? };
        match self.sheets.get_key_value(path) {
            Some((path, held)) => Ok((path, held)),
            None => Err(self.contents.none("table", path)),
        }
    }
}

impl Document for ExcelDocument {
    fn contents(&self) -> &Contents {
        &self.contents
    }

    fn rows(&self, path: &str) -> Result<Arc<dyn Rows>, FormatError> {
        Ok(Arc::<HeldRows>::clone(&self.sheet(path)?.1.rows))
    }

    fn tensor(&self, path: &str, part: Option<&[Range<u64>]>) -> Result<Tensor, FormatError> {
        let (path, held) = self.sheet(path)?;
        let ranges = ranges(&held.shape, part).map_err(|reason| wrong_part(Format::Excel, path, reason))?;
        let (Some(down), Some(across)) = (ranges.first(), ranges.get(1)) else { return Err(self.contents.none("table", path)) };
        let width = across.end - across.start;
        let count = (down.end - down.start).saturating_mul(width);
        if count.saturating_mul(8) > self.limits.max_total_bytes {
            let place = Place::Object { path: path.into(), byte: None };
            return Err(FormatError::new(Format::Excel, place, "the cells take more than may be held", RAISE_LIMIT));
        }
        let mut values = vec![f64::NAN; usize::try_from(count).unwrap_or_default()];
        for (row, column, number) in &held.numbers {
            let (row, column) = (u64::from(*row), u64::from(*column));
            if down.contains(&row)
                && across.contains(&column)
                && let Some(place) = values.get_mut(((row - down.start) * width + column - across.start) as usize)
            {
                *place = *number;
            }
        }
        tensor(Format::Excel, &["row".into(), "column".into()], &ranges, "", values)
    }
}
