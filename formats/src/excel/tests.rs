//! Workbooks built in code, one archive with stored members at a time, and damage.

use super::*;
use arrow::array::{Array, AsArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{Float64Type, Int64Type};

/// A zip archive of stored members.
pub(crate) fn zip(members: &[(&str, &str)]) -> Vec<u8> {
    let (mut out, mut directory) = (Vec::new(), Vec::new());
    for (name, text) in members {
        let mut checksum = flate2::Crc::new();
        checksum.update(text.as_bytes());
        let mut common = vec![20, 0, 0, 0, 0, 0, 0, 0, 0, 0];
        common.extend(checksum.sum().to_le_bytes());
        common.extend((text.len() as u32).to_le_bytes());
        common.extend((text.len() as u32).to_le_bytes());
        common.extend((name.len() as u16).to_le_bytes());
        common.extend([0, 0]);
        directory.extend(b"PK\x01\x02\x14\0");
        directory.extend(&common);
        directory.extend([0; 10]);
        directory.extend((out.len() as u32).to_le_bytes());
        directory.extend(name.as_bytes());
        out.extend(b"PK\x03\x04");
        out.extend(&common);
        out.extend(name.as_bytes());
        out.extend(text.as_bytes());
    }
    let start = out.len() as u32;
    out.extend(&directory);
    out.extend(b"PK\x05\x06\0\0\0\0");
    out.extend((members.len() as u16).to_le_bytes());
    out.extend((members.len() as u16).to_le_bytes());
    out.extend((directory.len() as u32).to_le_bytes());
    out.extend(start.to_le_bytes());
    out.extend([0, 0]);
    out
}

fn xlsx(rows: &str) -> Vec<u8> {
    let sheet =
        format!("<worksheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><sheetData>{rows}</sheetData></worksheet>");
    zip(&[
        ("[Content_Types].xml", "<Types xmlns=\"http://schemas.openxmlformats.org/package/2006/content-types\"/>"),
        (
            "_rels/.rels",
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"r1\" \
             Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument\" Target=\"xl/workbook.xml\"/></Relationships>",
        ),
        (
            "xl/workbook.xml",
            "<workbook xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\" \
             xmlns:r=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships\">\
             <sheets><sheet name=\"One\" sheetId=\"1\" r:id=\"r1\"/></sheets></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships xmlns=\"http://schemas.openxmlformats.org/package/2006/relationships\"><Relationship Id=\"r1\" \
             Type=\"http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet\" \
             Target=\"worksheets/sheet1.xml\"/></Relationships>",
        ),
        (
            "xl/styles.xml",
            "<styleSheet xmlns=\"http://schemas.openxmlformats.org/spreadsheetml/2006/main\"><cellXfs><xf numFmtId=\"0\"/><xf numFmtId=\"14\"/>\
             <xf numFmtId=\"22\"/></cellXfs></styleSheet>",
        ),
        ("xl/worksheets/sheet1.xml", &sheet),
    ])
}

fn text(place: &str, text: &str) -> String {
    format!("<c r=\"{place}\" t=\"inlineStr\"><is><t>{text}</t></is></c>")
}

fn number(place: &str, value: &str) -> String {
    format!("<c r=\"{place}\"><v>{value}</v></c>")
}

fn table() -> Vec<u8> {
    xlsx(&format!(
        "<row r=\"1\">{}{}{}{}{}</row><row r=\"2\">{}{}{}<c r=\"D2\" t=\"b\"><v>1</v></c><c r=\"E2\" s=\"1\"><v>43831</v></c></row>\
         <row r=\"3\">{}{}<c r=\"C3\" t=\"e\"><v>#N/A</v></c><c r=\"E3\" s=\"2\"><v>43831.5</v></c></row>",
        text("A1", "name"),
        text("B1", "count"),
        text("C1", "ratio"),
        text("D1", "good"),
        text("E1", "when"),
        text("A2", "x"),
        number("B2", "3"),
        number("C2", "0.5"),
        text("A3", "y"),
        number("B3", "4"),
    ))
}

fn opened(bytes: &[u8]) -> Result<ExcelDocument, FormatError> {
    open(Arc::new(Buffer::from_vec(bytes.to_vec())), &Limits::default())
}

#[test]
fn a_table_with_a_header_has_typed_columns() {
    let document = opened(&table()).unwrap();
    assert_eq!(document.contents().version, "Excel (.xlsx)");
    assert_eq!(document.contents().notes, ["sheet `One`: 1 cells hold errors and read as missing"]);
    let rows = document.rows("One").unwrap();
    let columns: Vec<(String, String)> = columns_of(&rows.schema());
    let wanted = [("name", "text"), ("count", "int64"), ("ratio", "float64"), ("good", "bool"), ("when", "text")];
    assert_eq!(columns, wanted.map(|(name, sort)| (name.to_owned(), sort.to_owned())));
    let read = rows.read(&[1, 2, 4], 0..2).unwrap();
    assert_eq!(read.column(0).as_primitive::<Int64Type>().values(), &[3, 4]);
    assert!(read.column(1).is_null(1) && read.column(1).as_primitive::<Float64Type>().value(0) == 0.5);
    let dates = read.column(2).as_string::<i32>();
    assert_eq!((dates.value(0), dates.value(1)), ("2020-01-01", "2020-01-01T12:00:00"));
    assert_eq!(rows.read(&[0], 1..9).unwrap().num_rows(), 1);
}

#[test]
fn a_matrix_with_labels_around_it_is_a_part_of_the_numbers() {
    let rows = format!(
        "<row r=\"2\">{}{}</row><row r=\"3\">{}{}{}</row>",
        text("B2", "a"),
        text("C2", "b"),
        text("A3", "a"),
        number("B3", "1"),
        number("C3", "2.5")
    );
    let document = opened(&xlsx(&rows)).unwrap();
    let names: Vec<String> = document.rows("").unwrap().schema().fields().iter().map(|field| field.name().clone()).collect();
    assert_eq!(names, ["A", "B", "C"]);
    let tensor = document.tensor("One", Some(&[2..3, 1..3])).unwrap();
    assert_eq!(tensor.values(), [1.0, 2.5]);
    let whole = document.tensor("One", None).unwrap();
    assert_eq!(whole.shape(), [3, 3]);
    assert!(whole.values()[0].is_nan());
    let told = open_with(Arc::new(Buffer::from_vec(xlsx(&rows))), Header::Row(2), &Limits::default()).unwrap();
    let rows = told.rows("").unwrap();
    assert_eq!(rows.schema().field(1).name(), "a");
    assert_eq!(rows.read(&[2], 0..1).unwrap().column(0).as_primitive::<Float64Type>().value(0), 2.5);
    let error = open_with(Arc::new(Buffer::from_vec(table())), Header::Row(9), &Limits::default()).unwrap_err().to_string();
    assert!(error.contains("object `One`: row 9 is to name the columns, the sheet has 3 rows"), "{error}");
}

#[test]
fn open_documents_unfold_what_repeats() {
    let content = "<office:document-content xmlns:office=\"o\" xmlns:table=\"t\" xmlns:text=\"x\"><table:table table:name=\"One\">\
        <table:table-row><table:table-cell office:value-type=\"string\"><text:p>a</text:p></table:table-cell>\
        <table:table-cell office:value-type=\"string\"><text:p>b &amp; c</text:p></table:table-cell></table:table-row>\
        <table:table-row table:number-rows-repeated=\"2\">\
        <table:table-cell office:value-type=\"float\" office:value=\"1.5\" table:number-columns-repeated=\"2\"/>\
        </table:table-row><table:table-row table:number-rows-repeated=\"1048000\">\
        <table:table-cell table:number-columns-repeated=\"16384\"/></table:table-row>\
        <table:table-row><table:table-cell office:value-type=\"date\" office:date-value=\"2020-01-31\" table:number-columns-repeated=\"3\">\
        <text:p>31.1.</text:p></table:table-cell></table:table-row>\
        </table:table></office:document-content>";
    let error = opened(&zip(&[("content.xml", content)])).unwrap_err().to_string();
    assert!(error.contains("object `One`: the 9 cells of the sheet are spread over 1048004 rows"), "{error}");
    let near = content.replace("1048000", "1").replace(" table:number-columns-repeated=\"3\"", "");
    let document = opened(&zip(&[("content.xml", &near)])).unwrap();
    let rows = document.rows("One").unwrap();
    assert_eq!((rows.schema().field(1).name().as_str(), rows.count()), ("b & c", 4));
    assert_eq!(rows.read(&[1], 0..2).unwrap().column(0).as_primitive::<Float64Type>().values(), &[1.5, 1.5]);
    let bomb = near.replace("number-rows-repeated=\"2\"", "number-rows-repeated=\"1000000\"");
    assert!(opened(&zip(&[("content.xml", &bomb)])).unwrap_err().to_string().contains("repeat to more than"));
}

#[test]
fn damage_and_bombs_are_told() {
    let error = |bytes: &[u8]| opened(bytes).unwrap_err().to_string();
    assert!(error(b"abc").starts_with("Excel: byte 0: the file is neither a zip archive nor"));
    assert!(error(&[0xd0, 0xcf, 0x11, 0xe0, 1, 2]).contains("the compound file is damaged"));
    let good = table();
    assert!(error(&good[..good.len() - 5]).contains("the directory at the end of the archive is missing"));
    assert!(error(&zip(&[("a.xml", "x")])).contains("the archive holds no workbook"));
    let mut wrong = good.clone();
    let place = good.windows(9).position(|own| own == b"<v>0.5</v").unwrap();
    wrong[place + 3] = b'9';
    assert!(error(&wrong).contains("member `xl/worksheets/sheet1.xml`") && error(&wrong).contains("checksum"));
    let far = xlsx(&format!("<row r=\"1\">{}</row><row r=\"1048576\">{}</row>", number("A1", "1"), number("XFD1048576", "2")));
    assert!(error(&far).contains("the 2 cells of the sheet are spread over 1048576 rows and 16384 columns"));
    let strict = Limits { free_bytes: 10, max_inflation: 0, ..Limits::default() };
    let error = open(Arc::new(Buffer::from_vec(good)), &strict).unwrap_err().to_string();
    assert!(error.contains("claims to inflate to"), "{error}");
    assert_eq!(
        (table::letters(0), table::letters(25), table::letters(26), table::letters(16383)),
        ("A".into(), "Z".into(), "AA".into(), "XFD".into())
    );
}

#[test]
fn no_room_is_made_for_what_a_sheet_says_of_its_size() {
    let book = include_bytes!("../../tests/files/small/book.xls");
    let size = book.windows(4).position(|own| own == [0x00, 0x02, 0x0e, 0x00]).unwrap() + 4;
    // 2^32 rows and 256 columns; and rows that end before they begin.
    for rows in [[0, u32::MAX], [7, 3]] {
        let mut bytes = book.to_vec();
        bytes[size..size + 8].copy_from_slice(&rows.map(u32::to_le_bytes).concat());
        bytes[size + 8..size + 12].copy_from_slice(&[0, 0, 0xff, 0]);
        let document = opened(&bytes).unwrap();
        assert_eq!(document.tensor("One", None).unwrap().shape(), opened(book).unwrap().tensor("One", None).unwrap().shape());
    }
}
