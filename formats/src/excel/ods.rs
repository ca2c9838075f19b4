//! Sheets of OpenDocument spreadsheets (ODF 1.3, part 3, section 9): cells and rows may repeat, which is unfolded only as far as the cells hold
//! something.

use super::cells::{Cell, Sheet};
use neuroflow_data::formats::zip_directory::{Member, member_bytes};
use neuroflow_data::formats::{Budget, COPY_AGAIN, Format, FormatError, Limits, Place};
use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

/// Rows and columns that a sheet can have.
const MOST_ROWS: u32 = 1 << 20;
const MOST_COLUMNS: u32 = 1 << 14;

fn refuse(byte: u64, reason: impl Into<String>) -> FormatError {
    FormatError::new(Format::Excel, Place::Member { name: "content.xml".into(), byte }, reason, COPY_AGAIN)
}

/// A cell that is being read.
#[derive(Default)]
struct Open {
    sort: String,
    value: String,
    text: String,
    paragraphs: usize,
    repeated: u32,
}

pub(super) fn sheets(bytes: &[u8], directory: &[Member], limits: &Limits) -> Result<Vec<Sheet>, FormatError> {
    let Some(member) = directory.iter().find(|member| member.name == "content.xml") else { return Ok(Vec::new()) };
    let mut budget = Budget::new(limits.expansion(bytes.len() as u64));
    let content = member_bytes(bytes, member, limits, &mut budget).map_err(|(byte, reason)| refuse(byte, reason))?;
    let most = content.len().saturating_mul(4).saturating_add(1 << 16);
    let mut reader = Reader::from_reader(content.as_slice());
    let mut sheets: Vec<Sheet> = Vec::new();
    let (mut row, mut column, mut rows_repeated) = (0u32, 0u32, 1u32);
    let mut own_row: Vec<(u32, Cell)> = Vec::new();
    let mut cell: Option<Open> = None;
    let (mut in_paragraph, mut in_note, mut total) = (false, 0usize, 0usize);
    loop {
        let at = reader.buffer_position();
        let event = reader.read_event().map_err(|error| refuse(at, format!("the XML is damaged ({error})")))?;
        let empty = matches!(event, Event::Empty(_));
        match event {
            Event::Start(element) | Event::Empty(element) => match element.name().as_ref() {
                b"table:table" if !empty => {
                    sheets.push(Sheet::new(attribute(&element, b"table:name").unwrap_or_default()));
                    row = 0;
                }
                b"table:table-row" => {
                    rows_repeated = number(&element, b"table:number-rows-repeated");
                    column = 0;
                    own_row.clear();
                    if empty {
                        row = row.saturating_add(rows_repeated);
                    }
                }
                b"table:table-cell" | b"table:covered-table-cell" => {
                    let open = Open {
                        sort: attribute(&element, b"office:value-type").unwrap_or_default(),
                        value: ["office:value", "office:date-value", "office:time-value", "office:boolean-value", "office:string-value"]
                            .iter()
                            .find_map(|name| attribute(&element, name.as_bytes()))
                            .unwrap_or_default(),
                        repeated: number(&element, b"table:number-columns-repeated"),
                        ..Open::default()
                    };
                    if empty {
                        column = closed(open, column, &mut own_row, at)?;
                    } else {
                        cell = Some(open);
                    }
                }
                b"office:annotation" if !empty => in_note += 1,
                b"text:p" if in_note == 0 => {
                    if let Some(cell) = &mut cell {
                        if cell.paragraphs > 0 {
                            cell.text.push('\n');
                        }
                        cell.paragraphs += 1;
                    }
                    in_paragraph = !empty;
                }
                b"text:s" => {
                    if let Some(cell) = &mut cell {
                        cell.text.extend(std::iter::repeat_n(' ', number(&element, b"text:c").min(1024) as usize));
                    }
                }
                _ => {}
            },
            Event::End(element) => match element.name().as_ref() {
                b"table:table-cell" | b"table:covered-table-cell" => {
                    if let Some(open) = cell.take() {
                        column = closed(open, column, &mut own_row, at)?;
                    }
                }
                b"table:table-row" => {
                    if own_row.is_empty() {
                        row = row.saturating_add(rows_repeated);
                        continue;
                    }
                    for _ in 0..rows_repeated {
                        total = total.saturating_add(own_row.len());
                        if row >= MOST_ROWS || total > most {
                            return Err(refuse(at, "rows and cells repeat to more than a sheet of this length can hold"));
                        }
                        if let Some(sheet) = sheets.last_mut() {
                            own_row.iter().for_each(|(column, cell)| sheet.push(row, *column, cell.clone()));
                        }
                        row += 1;
                    }
                    own_row.clear();
                }
                b"office:annotation" => in_note = in_note.saturating_sub(1),
                b"text:p" => in_paragraph = false,
                _ => {}
            },
            Event::Text(text) if in_paragraph && in_note == 0 => {
                if let Some(cell) = &mut cell {
                    cell.text.push_str(&text.decode().map_err(|error| refuse(at, format!("text is damaged ({error})")))?);
                }
            }
            Event::GeneralRef(reference) if in_paragraph && in_note == 0 => {
                if let Some(cell) = &mut cell {
                    let name = format!("&{};", String::from_utf8_lossy(&reference));
                    cell.text
                        .push_str(&quick_xml::escape::unescape(&name).map_err(|error| refuse(at, format!("text is damaged ({error})")))?);
                }
            }
            Event::Eof => return Ok(sheets),
            _ => {}
        }
    }
}

fn attribute(element: &BytesStart<'_>, name: &[u8]) -> Option<String> {
    let own = element.attributes().flatten().find(|own| own.key.as_ref() == name)?;
    let text = String::from_utf8_lossy(&own.value).into_owned();
    Some(quick_xml::escape::unescape(&text).map(std::borrow::Cow::into_owned).unwrap_or(text))
}

fn number(element: &BytesStart<'_>, name: &[u8]) -> u32 {
    attribute(element, name).and_then(|text| text.parse().ok()).unwrap_or(1)
}

/// Puts a cell into its row, as often as it repeats, and returns the next column.
fn closed(open: Open, column: u32, row: &mut Vec<(u32, Cell)>, at: u64) -> Result<u32, FormatError> {
    let next = column.saturating_add(open.repeated);
    let text = if open.text.is_empty() && open.sort == "string" { open.value.clone() } else { open.text };
    let number = || open.value.parse::<f64>().map_err(|_| refuse(at, format!("`{}` is no number", open.value.escape_debug())));
    let cell = match open.sort.as_str() {
        "float" | "percentage" | "currency" => Cell::Number(number()?),
        "boolean" => Cell::Truth(open.value == "true"),
        "date" => Cell::Date(open.value.strip_suffix("T00:00:00").unwrap_or(&open.value).to_owned()),
        "time" => Cell::Date(open.value),
        _ if text.is_empty() => return Ok(next),
        _ => Cell::Text(text),
    };
    if next > MOST_COLUMNS {
        return Err(refuse(at, format!("a row has more than {MOST_COLUMNS} columns")));
    }
    (column..next).for_each(|column| row.push((column, cell.clone())));
    Ok(next)
}
