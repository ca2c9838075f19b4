//! Cells of `.xlsx`, `.xlsb` and `.xls` by calamine: one cell after the other where it can, so that empty space takes none.

use crate::reading::broken;
use calamine::{Data, DataRef, ExcelDateTime, Reader, Xls, Xlsb, Xlsx};
use neuroflow_data::formats::{Format, FormatError, within_border};
use std::io::Cursor;

/// What a cell holds.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Cell {
    Number(f64),
    Truth(bool),
    Text(String),
    /// A date or a duration, as text.
    Date(String),
}

/// A sheet: row, column and content of every cell that has one, in rows.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Sheet {
    pub name: String,
    pub cells: Vec<(u32, u32, Cell)>,
    pub errors: u64,
}

impl Sheet {
    pub(super) fn new(name: String) -> Sheet {
        Sheet { name, cells: Vec::new(), errors: 0 }
    }

    pub(super) fn push(&mut self, row: u32, column: u32, cell: Cell) {
        self.cells.push((row, column, cell));
    }

    fn push_data(&mut self, (row, column): (u32, u32), data: Data) {
        let cell = match data {
            Data::Int(value) => Cell::Number(value as f64),
            Data::Float(value) => Cell::Number(value),
            Data::Bool(value) => Cell::Truth(value),
            Data::String(value) => Cell::Text(value),
            Data::DateTime(value) => Cell::Date(date(&value)),
            Data::DateTimeIso(value) | Data::DurationIso(value) => Cell::Date(value),
            Data::Error(_) => {
                self.errors += 1;
                return;
            }
            Data::Empty => return,
        };
        // Cells that were formatted and hold nothing.
        if cell != Cell::Text(String::new()) {
            self.push(row, column, cell);
        }
    }
}

/// `2020-01-31`, with the time of day where it is not midnight, or a duration in seconds.
fn date(value: &ExcelDateTime) -> String {
    if value.is_duration() {
        return format!("PT{}S", (value.as_f64() * 86_400_000.0).round() / 1000.0);
    }
    let (year, month, day, hour, minute, second, milli) = value.to_ymd_hms_milli();
    let day = format!("{year:04}-{month:02}-{day:02}");
    match (hour, minute, second, milli) {
        (0, 0, 0, 0) => day,
        (_, _, _, 0) => format!("{day}T{hour:02}:{minute:02}:{second:02}"),
        _ => format!("{day}T{hour:02}:{minute:02}:{second:02}.{milli:03}"),
    }
}

/// What calamine says, as an error. What slips through our checks may panic in there; that is an error too.
fn bordered<T>(read: impl FnOnce() -> Result<T, String>) -> Result<T, FormatError> {
    within_border(read).map_err(|reason| broken(Format::Excel, reason))
}

/// Sheets read cell by cell; the readers of both formats have the same methods and no common trait.
macro_rules! by_cells {
    ($book:ty, $bytes:expr) => {
        bordered(|| {
            let mut book: $book = <$book>::new(Cursor::new($bytes)).map_err(|error| error.to_string())?;
            let mut sheets = Vec::new();
            for name in worksheets(&book) {
                let mut sheet = Sheet::new(name.clone());
                let mut cells = book.worksheet_cells_reader(&name).map_err(|error| format!("sheet `{name}`: {error}"))?;
                while let Some(cell) = cells.next_cell().map_err(|error| format!("sheet `{name}`: {error}"))? {
                    sheet.push_data(cell.get_position(), owned(cell.get_value()));
                }
                sheets.push(sheet);
            }
            Ok(sheets)
        })
    };
}

pub(super) fn xlsx(bytes: &[u8]) -> Result<Vec<Sheet>, FormatError> {
    by_cells!(Xlsx<Cursor<&[u8]>>, bytes)
}

pub(super) fn xlsb(bytes: &[u8]) -> Result<Vec<Sheet>, FormatError> {
    by_cells!(Xlsb<Cursor<&[u8]>>, bytes)
}

pub(super) fn xls(bytes: &[u8]) -> Result<Vec<Sheet>, FormatError> {
    bordered(|| {
        let mut book: Xls<_> = Xls::new(Cursor::new(bytes)).map_err(|error| error.to_string())?;
        let mut sheets = Vec::new();
        for name in worksheets(&book) {
            let range = book.worksheet_range(&name).map_err(|error| format!("sheet `{name}`: {error}"))?;
            let mut sheet = Sheet::new(name);
            let (top, left) = range.start().unwrap_or_default();
            for (row, column, data) in range.used_cells() {
                sheet.push_data((top.saturating_add(row as u32), left.saturating_add(column as u32)), data.clone());
            }
            sheets.push(sheet);
        }
        Ok(sheets)
    })
}

/// Sheets of cells; charts and macros have none.
fn worksheets<R: std::io::Read + std::io::Seek>(book: &impl Reader<R>) -> Vec<String> {
    book.sheets_metadata().iter().filter(|sheet| sheet.typ == calamine::SheetType::WorkSheet).map(|sheet| sheet.name.clone()).collect()
}

fn owned(data: &DataRef<'_>) -> Data {
    data.clone().into()
}
