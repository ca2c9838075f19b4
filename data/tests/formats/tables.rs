//! CSV, Parquet and Arrow files made by the test itself.

use std::io::Write;
use std::sync::Arc;

use arrow::array::{Array, AsArray, Float64Array, RecordBatch, StringArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{DataType, Float64Type, Int64Type, Schema};
use arrow::ipc::CompressionType;
use neuroflow_data::export::{ExportFormat, export};
use neuroflow_data::formats::arrow_ipc::{ArrowFile, read_arrow_ipc, write_arrow_ipc};
use neuroflow_data::formats::csv::{CsvOptions, Decimal, Delimiter, HeaderRow, read_csv, write_csv};
use neuroflow_data::formats::parquet::{read_parquet, write_parquet};
use neuroflow_data::formats::{FormatError, Limits, Place};
use neuroflow_data::{Artifact, Kind, Table, Typed};
use proptest::prelude::*;

use super::small_files::{batch, flat_batch, packed_arrow};

fn read(text: &str) -> RecordBatch {
    read_csv(text.as_bytes(), &CsvOptions::default(), &Limits::default()).unwrap()
}

fn error_of(text: &str) -> FormatError {
    read_csv(text.as_bytes(), &CsvOptions::default(), &Limits::default()).unwrap_err()
}

fn types(batch: &RecordBatch) -> Vec<DataType> {
    batch.schema().fields().iter().map(|field| field.data_type().clone()).collect()
}

fn names(batch: &RecordBatch) -> Vec<String> {
    batch.schema().fields().iter().map(|field| field.name().clone()).collect()
}

#[test]
fn types_come_from_all_rows_and_missing_values_are_nulls() {
    let table = read("id,n,x,ok,word,none\n007,1, 2 ,true,a,\n008,,NaN,FALSE,NA,NA\n009,3,1e3,,\"b,\"\"c\"\"\",\n");
    assert_eq!(types(&table), [DataType::Utf8, DataType::Int64, DataType::Float64, DataType::Boolean, DataType::Utf8, DataType::Null]);
    assert_eq!(table.column(1).as_primitive::<Int64Type>().iter().collect::<Vec<_>>(), [Some(1), None, Some(3)]);
    assert_eq!(table.column(2).as_primitive::<Float64Type>().iter().collect::<Vec<_>>(), [Some(2.0), None, Some(1000.0)]);
    assert_eq!(table.column(4).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("a"), None, Some("b,\"c\"")]);
    assert_eq!(table.column(5).logical_null_count(), 3);
    assert_eq!(types(&read("x\n99999999999999999999\n1\n")), [DataType::Utf8]);
}

#[test]
fn delimiters_and_headers_are_found() {
    assert_eq!(names(&read("pre\tpost\tn\na\tb c\t1\n")), ["pre", "post", "n"]);
    assert_eq!(types(&read("a;b\n1,5;2,5\n")), [DataType::Utf8, DataType::Utf8]);
    assert_eq!(read("0 4 16\n1 2 3\n").num_rows(), 2);
    assert_eq!(names(&read("27.6,15\n214,16\n")), ["column_1", "column_2"]);
    assert_eq!(read("K\nK\nP\n").num_rows(), 3);
    assert_eq!(names(&read(",a,b\n0,1,2\n")), ["column_1", "a", "b"]);
    assert_eq!(names(&read("participant,sex\nsub-1,male\nsub-2,female\n")), ["participant", "sex"]);
    let options = CsvOptions { delimiter: Delimiter::Byte(b'|'), header: HeaderRow::Present, ..CsvOptions::default() };
    let table = read_csv(b"\xef\xbb\xbf1|2\n3|4\n", &options, &Limits::default()).unwrap();
    assert_eq!(names(&table), ["1", "2"]);
    let options = CsvOptions { header: HeaderRow::Absent, ..CsvOptions::default() };
    let matrix = read_csv(b"0 4 16\n1 2 3\n", &options, &Limits::default()).unwrap();
    assert_eq!((names(&matrix), matrix.num_rows()), (["column_1", "column_2", "column_3"].map(String::from).to_vec(), 2));
    assert_eq!(types(&matrix), [DataType::Int64, DataType::Int64, DataType::Int64]);
}

fn numbers(batch: &RecordBatch) -> Vec<Vec<f64>> {
    let columns = batch.columns().iter();
    columns
        .map(|column| arrow::compute::cast(column, &DataType::Float64).unwrap().as_primitive::<Float64Type>().values().to_vec())
        .collect()
}

#[test]
fn columns_that_blanks_align_are_columns() {
    // Movement parameters as SPM and FSL write them, and a list with a header.
    let spm = "  0.0000000e+00  -1.5000000e-02\n -2.5000000e+00   3.0000000e-03\n";
    assert_eq!(numbers(&read(spm)), [[0.0, -2.5], [-0.015, 0.003]]);
    let fsl = "0.001  -0.02  0  \n0.1  2  -3  \n";
    assert_eq!(numbers(&read(fsl)), [[0.001, 0.1], [-0.02, 2.0], [0.0, -3.0]]);
    let named = read("unit\t  rate   area\n7      1.5 \"V1 left\"\r\n12  20   LM\r\n");
    assert_eq!(names(&named), ["unit", "rate", "area"]);
    assert_eq!(named.column(2).as_string::<i32>().iter().collect::<Vec<_>>(), [Some("V1 left"), Some("LM")]);
    // An empty field between single spaces stays one where rows have as many fields only so.
    assert_eq!(read("a b c\n1  3\n").column(1).logical_null_count(), 1);
    let error = error_of("  1  2\n  3  4\n  5\n");
    assert_eq!(error.place, Place::Line { line: 3, field: None }, "{error}");
    let told = CsvOptions { delimiter: Delimiter::Blanks, ..CsvOptions::default() };
    assert_eq!(numbers(&read_csv(b" 1 \n  2\n", &told, &Limits::default()).unwrap()), [[1.0, 2.0]]);
}

#[test]
fn lines_with_a_hash_above_a_table_are_comments_or_its_header() {
    let table = read("# written by a script\n# time signal\n0 1.5\n1 2.5\n");
    assert_eq!((names(&table), table.num_rows()), (["time", "signal"].map(String::from).to_vec(), 2));
    assert_eq!(names(&read("#chrom\tstart\tend\n1\t2\t3\n")), ["chrom", "start", "end"]);
    assert_eq!(names(&read("# six parameters, in mm and degrees\n 1  2\n 3  4\n")), ["column_1", "column_2"]);
    assert_eq!(names(&read("# rt\n0.5\n0.7\n")), ["rt"]);
    assert_eq!((names(&read("# made by me\n0.5\n")), read("# made by me\n0.5\n").num_rows()), (vec!["column_1".to_owned()], 1));
    // Lines keep their numbers.
    assert_eq!(error_of("# a\n# b c d\n1,2\n1,2\n1\n").place, Place::Line { line: 5, field: None });
    // Names that begin with a hash are rows.
    let rows = read("#1,foo,3\nA,baz,5\n");
    assert_eq!((rows.num_rows(), names(&rows)[0].as_str()), (2, "column_1"));
    assert_eq!(read("#1,foo,3\n#2,bar,4\nA,baz,5\n").num_rows(), 3);
    assert_eq!(names(&read("#,name\n1,a\n2,b\n")), ["#", "name"]);
    assert_eq!(read("#a\n#b\n").num_rows(), 1, "nothing but hashes is a table of them");
    let absent = CsvOptions { header: HeaderRow::Absent, ..CsvOptions::default() };
    let table = read_csv(b"# x y\n1 2\n", &absent, &Limits::default()).unwrap();
    assert_eq!((table.num_rows(), table.num_columns()), (1, 2));
}

#[test]
fn names_of_rows_need_no_name_of_their_own() {
    // As R's `write.table` writes a data frame, in quotes or not, with blanks or tabs.
    for text in ["\"mpg\" \"cyl\"\n\"Mazda RX4\" 21 6\n\"Datsun 710\" 22.8 4\n", "mpg\tcyl\nMazda RX4\t21\t6\nDatsun 710\t22.8\t4\n"] {
        let table = read(text);
        assert_eq!(names(&table), ["column_1", "mpg", "cyl"]);
        assert_eq!(table.column(0).as_string::<i32>().value(0), "Mazda RX4");
        assert_eq!(types(&table), [DataType::Utf8, DataType::Float64, DataType::Int64]);
    }
    assert_eq!(read("a b\n1 0.5 6\n2 0.7 4\n").column(1).as_primitive::<Float64Type>().value(1), 0.7, "rows that are counted");
    // A comma too many, or a last column without a name: which column is which, nobody can tell.
    for text in ["a,b\n1,2,3\n1,2\n", "a,b\nx,2,\ny,4,\n", "onset,duration\n0.5,1,go\n1.5,1,stop\n"] {
        assert!(error_of(text).to_string().contains("line 2: this row has 3 fields"), "{text}");
    }
}

#[test]
fn comments_are_no_header_over_a_header_and_end_a_table() {
    let table = read("# Recorded 2020-01-01, by Anna\ntime,rate\n0.1,2\n0.2,3\n");
    assert_eq!((names(&table), table.num_rows()), (["time", "rate"].map(String::from).to_vec(), 2));
    assert_eq!(read("# <matrix\n# >\n 1 2\n 3 4\n# </matrix>\n").num_rows(), 2);
    assert_eq!(read("# a b\n1 2\n# pause, long\n3 4\n").num_rows(), 2);
}

#[test]
fn decimal_commas_are_read_when_they_are_told() {
    let told = CsvOptions { decimal: Decimal::Comma, ..CsvOptions::default() };
    let table = |text: &str| read_csv(text.as_bytes(), &told, &Limits::default()).unwrap();
    assert_eq!(numbers(&table("a;b\n1,5;2\n-0,25;1e3\n")), [[1.5, -0.25], [2.0, 1000.0]]);
    assert_eq!(numbers(&table("1,5 2,5\n3,5 4\n")), [[1.5, 3.5], [2.5, 4.0]]);
    assert_eq!(numbers(&table("rt\n0,5\n0,7\n")), [[0.5, 0.7]]);
    // A point may group digits: it is no number then.
    assert_eq!(types(&table("a;b\n1.234,5;x\n")), [DataType::Utf8, DataType::Utf8]);
    assert_eq!(types(&table("a;b\n1.5;1,2,3\n")), [DataType::Utf8, DataType::Utf8]);
}

#[test]
fn decimal_commas_between_blanks_are_never_the_ends_of_fields() {
    let table = read("1,5 2,5\n3,5 4,25\n");
    assert_eq!((table.num_columns(), table.column(0).as_string::<i32>().value(1)), (2, "3,5"));
    assert_eq!(numbers(&read("1, 2\n3, 4\n")), [[1.0, 3.0], [2.0, 4.0]]);
    assert_eq!(read("1,a b\n2,c d\n").column(1).as_string::<i32>().value(1), "c d");
}

#[test]
fn what_stands_behind_numbers_and_a_hash_is_a_note() {
    for text in [
        "1 2 # first\n3 4\n",
        "x y\n1 2 #first\n3 4\n",
        " 1  2  # a\n 3  4  # b, c\n",
        "1,2 # a\n3,4 # b\n",
        "% made by me\n1 2 # a\n3 4\n",
    ] {
        assert_eq!(numbers(&read(text)), [[1.0, 3.0], [2.0, 4.0]], "{text}");
    }
    // Where words stand in the rows, or every row has such a word, it is theirs.
    for text in ["a 2 #1\nb 3 #2\n", "1 2 #ff0000\n3 4 #00ff00\n", "1,2,#1\n3,4,\n", "1\t2\t# 1\n3\t4\t\n"] {
        assert_eq!(read(text).num_columns(), 3, "{text}");
    }
}

#[test]
fn comments_of_matlab_and_freesurfer_are_comments() {
    let table = read("% Exported on 2020-01-01\n%\n% t x\n0 1.5\n1 2.5\n");
    assert_eq!((names(&table), numbers(&table)), (["t", "x"].map(String::from).to_vec(), vec![vec![0.0, 1.0], vec![1.5, 2.5]]));
    assert_eq!(names(&read("%change,roi\n1.5,a\n2,b\n")), ["%change", "roi"]);
    assert_eq!(names(&read("%change\n1.5\n2\n")), ["%change"]);
    let stats = "# Title Segmentation\n# hemi lh\n# ColHeaders  StructName NumVert\nbankssts   1157\ncuneus  2000\n";
    assert_eq!(names(&read(stats)), ["StructName", "NumVert"]);
    // Empty lines among comments are none of the table, and count.
    assert_eq!(names(&read("\n# a b\n\n1 2\n3 4\n")), ["a", "b"]);
    assert_eq!(error_of("# x\n\n# a b\n\n1 2\n3 4\n5\n").place, Place::Line { line: 7, field: None });
}

#[test]
fn a_first_row_with_numbers_names_columns_where_a_word_stands_over_numbers_or_it_counts() {
    for text in ["time,1,2,3\n0.1,5,6,7\n0.2,8,9,10\n", "t,true,false,x\n0.1,5,6,7\n0.2,8,9,10\n", "roi,inf,sup,n\nV1,1,2,3\nV2,4,5,6\n"] {
        let table = read(text);
        assert_eq!((table.num_rows(), names(&table)[0].as_str()), (2, &text[..text.find(',').unwrap()]), "{text}");
        assert!(types(&table)[1..].iter().all(|kind| kind.is_numeric()));
    }
    assert_eq!(names(&read("subject,2023,2024\nS01,1,2\nS02,3,4\n")), ["subject", "2023", "2024"]);
    assert_eq!(names(&read(",0,1,2\n0,5,0,7\n1,8,1,9\n")), ["column_1", "0", "1", "2"]);
    // Rows of data that look alike.
    for text in ["a,1,2\nb,3,4\n", "1,2,3\n4,5,6\n", "x,1,1\n0.5,2,3\n", "-,1,2\n0.5,2,3\n", ",0.5,1\n1,2,3\n", "7;1,5\n8;2,5\n"] {
        assert_eq!((read(text).num_rows(), names(&read(text))[0].as_str()), (2, "column_1"), "{text}");
    }
}

#[test]
fn what_programs_write_beside_a_table_is_none_of_it() {
    // Excel says how fields are separated; blanks stand before quotes; bars separate.
    assert_eq!(numbers(&read("sep=;\na;b\n1;2\n")), [[1.0], [2.0]]);
    assert_eq!(error_of("sep=;\na;b\n1;2\n3\n").place, Place::Line { line: 4, field: None });
    let quoted = read("a, b\n1, \"x, y\"\n2,  \"z\"\n");
    assert_eq!((names(&quoted), quoted.column(1).as_string::<i32>().value(0)), (["a", "b"].map(String::from).to_vec(), "x, y"));
    assert_eq!(numbers(&read("a|b\n1|2\n")), [[1.0], [2.0]]);
    assert_eq!(names(&read("% time amp\n0.1,5\n0.2,6\n")), ["time", "amp"]);
    // What is missing, as spreadsheets and pandas write it.
    assert_eq!(types(&read("x\n1\n#N/A\n<NA>\nNone\n2.5\n")), [DataType::Float64]);
}

#[test]
fn poses_of_deeplabcut_have_one_line_of_names() {
    let poses = "scorer,DLC,DLC,DLC\nbodyparts,nose,nose,nose\ncoords,x,y,likelihood\n0,1.5,2,0.9\n1,1.6,2.5,0.8\n";
    let table = read(poses);
    assert_eq!((names(&table), table.num_rows()), (["frame", "nose_x", "nose_y", "nose_likelihood"].map(String::from).to_vec(), 2));
    assert_eq!(error_of(&format!("{poses}2,1\n")).place, Place::Line { line: 6, field: None });
    let animals = poses.replace("bodyparts", "individuals,a,a,b\nbodyparts").replace("DLC,DLC,DLC", "D,D,E");
    assert_eq!(names(&read(&animals)), ["frame", "D_a_nose_x", "D_a_nose_y", "E_b_nose_likelihood"]);
    assert_eq!(names(&read("scorer,rate\nDLC,1\n")), ["scorer", "rate"]);
}

#[test]
fn names_of_several_levels_become_one() {
    let levels = "network,1,1,2\nnode,1,1,1\nhemi,lh,rh,lh\n,,,\n0,56.05,92.03,3.39\n1,55.5,43.6,26.5\n";
    let table = read(levels);
    assert_eq!((names(&table), table.num_rows()), (["column_1", "1_1_lh", "1_1_rh", "2_1_lh"].map(String::from).to_vec(), 2));
    assert_eq!(types(&table)[1], DataType::Float64);
    assert_eq!(names(&read(&levels.replace("\n,,,", "\ntime,,,")))[0], "time");
    assert_eq!(error_of(&format!("{levels}2,1\n")).place, Place::Line { line: 7, field: None });
    // A table with a row that is empty has one line of names.
    for text in ["unit,rate\na,\nb,2\n", "unit,rate\na,3\n,\nb,2\n"] {
        assert_eq!(names(&read(text)), ["unit", "rate"], "{text}");
    }
}

#[test]
fn identifiers_with_zeros_before_them_are_no_names_of_columns() {
    let ids = read("000\tADAL\n001\tADAR\n");
    assert_eq!((ids.num_rows(), ids.column(0).as_string::<i32>().value(0)), (2, "000"));
}

#[test]
fn text_of_sixteen_bits_is_text() {
    for unit in [u16::to_le_bytes, u16::to_be_bytes] {
        let wide: Vec<u8> = "\u{feff}Größe\tb\r\n1\t𝛼\r\n".encode_utf16().flat_map(unit).collect();
        let table = read_csv(&wide, &CsvOptions::default(), &Limits::default()).unwrap();
        assert_eq!((names(&table), table.column(1).as_string::<i32>().value(0)), (["Größe", "b"].map(String::from).to_vec(), "𝛼"));
    }
}

#[test]
fn a_header_without_rows_is_an_empty_table() {
    for text in ["area,units\n", "area,units", "area,units\r\n\n"] {
        let table = read(text);
        assert_eq!((names(&table), table.num_rows()), (vec!["area".to_owned(), "units".to_owned()], 0), "{text:?}");
        assert_eq!(types(&table), [DataType::Null, DataType::Null]);
        let bytes = Table::from_batch(table.clone()).into_artifact().unwrap().encode().unwrap();
        let back = Artifact::decode(Kind::Table, &Buffer::from_vec(bytes)).unwrap();
        assert_eq!(back.batch_of(Kind::Table).unwrap(), &table);
    }
    // So do columns without a value, with rows.
    let table = read("area,units\nV1,\nLM,NA\n");
    assert_eq!(types(&table), [DataType::Utf8, DataType::Null]);
    let artifact = Table::from_batch(table.clone()).into_artifact().unwrap();
    let back = Artifact::decode(Kind::Table, &Buffer::from_vec(artifact.encode().unwrap())).unwrap();
    assert_eq!(back.batch_of(Kind::Table).unwrap(), &table);
    assert_eq!(String::from_utf8(export(&artifact, ExportFormat::Csv).unwrap()).unwrap(), "area,units\nV1,\nLM,\n");
    let parquet = Buffer::from_vec(export(&artifact, ExportFormat::Parquet).unwrap());
    assert_eq!(read_parquet(&parquet, &Limits::default()).unwrap().n_rows(), 2);
    let table = Table::from_artifact(&artifact).unwrap();
    assert!(table.numbers("units").unwrap().iter().all(|value| value.is_nan()));
    assert_eq!(table.texts("units").unwrap(), ["", ""]);
    assert_eq!(table.select(&[1]).unwrap().rows(), 1);
}

#[test]
fn mistakes_are_told_with_their_line() {
    let ragged = error_of("a,b\n1,2\n3\n4,5\n");
    assert_eq!(ragged.place, Place::Line { line: 3, field: None });
    assert!(ragged.reason.contains("1 fields, the rows above have 2"), "{ragged}");
    assert_eq!(error_of("a,b\n1,\"2\n3,4\n").place, Place::Line { line: 2, field: None });
    assert!(error_of("").reason.contains("empty"));
    let twice = error_of("a,b, a\n1,2,3\n");
    assert_eq!(twice.place, Place::Line { line: 1, field: Some(3) });
    assert!(twice.reason.contains("column `a` stands twice in the header"), "{twice}");
    assert!(twice.help.contains("a name of its own"), "{twice}");
    let error = read_csv(b"a,b\nx,1\n\xff\xfey,2\n", &CsvOptions::default(), &Limits::default()).unwrap_err();
    assert_eq!(error.place, Place::Line { line: 3, field: Some(1) });
    for broken in [&b"\xff\xfea\0\n\0\x00\xd8,\0"[..], b"\xff\xfea\0\n\0b"] {
        let error = read_csv(broken, &CsvOptions::default(), &Limits::default()).unwrap_err();
        assert!(error.reason.contains("UTF-16") && error.place == Place::Line { line: 2, field: None }, "{error}");
    }
}

#[test]
fn gzip_is_taken_and_its_bombs_are_not() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(b"x\n").unwrap();
    for _ in 0..200_000 {
        encoder.write_all(b"1\n").unwrap();
    }
    let file = encoder.finish().unwrap();
    assert_eq!(read_csv(&file, &CsvOptions::default(), &Limits::default()).unwrap().num_rows(), 200_000);
    let limits = Limits { max_total_bytes: 1000, ..Limits::default() };
    assert!(read_csv(&file, &CsvOptions::default(), &limits).unwrap_err().help.contains("limits"));
    let cut = read_csv(&file[..file.len() - 4], &CsvOptions::default(), &Limits::default()).unwrap_err();
    assert!(cut.reason.contains("inflated"), "{cut}");
}

#[test]
fn tables_read_back_as_they_were_written() {
    let batch = batch();
    for copies in 0..3 {
        let batches = vec![batch.clone(); copies];
        let parquet = Buffer::from_vec(write_parquet(&batch.schema(), &batches).unwrap());
        let back = read_parquet(&parquet, &Limits::default()).unwrap();
        assert_eq!(back.n_rows(), 3 * copies);
        assert_eq!(back.schema, batch.schema());
        if copies == 1 {
            assert_eq!(back.into_one().unwrap(), batch);
        }
        let arrow = Buffer::from_vec(write_arrow_ipc(&batch.schema(), &batches).unwrap());
        let back = read_arrow_ipc(&arrow, &Limits::default()).unwrap();
        assert_eq!((back.schema, back.batches), (batch.schema(), batches));
    }
    let flat = flat_batch();
    let back = read_csv(&write_csv(&flat).unwrap(), &CsvOptions::default(), &Limits::default()).unwrap();
    assert_eq!(back.columns(), flat.columns());
    // Lists and structs are JSON in their field, and a column without values is empty.
    let nested = batch.project(&[0, 5, 6, 7]).unwrap();
    let text = String::from_utf8(write_csv(&nested).unwrap()).unwrap();
    assert_eq!(text, "trial,spikes,place,nothing\n1,\"[1.0,null]\",\"{\"\"x\"\":1}\",\n2,,\"{\"\"x\"\":2}\",\n3,[],\"{\"\"x\"\":3}\",\n");
}

#[test]
fn arrow_columns_point_into_the_file() {
    let values: RecordBatch = RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(vec![1.5; 1000])) as _)]).unwrap();
    let file = Buffer::from_vec(write_arrow_ipc(&values.schema(), std::slice::from_ref(&values)).unwrap());
    let back = read_arrow_ipc(&file, &Limits::default()).unwrap().into_one().unwrap();
    let column = back.column(0).as_primitive::<Float64Type>().values().inner().as_ptr() as usize;
    let start = file.as_ptr() as usize;
    assert!((start..start + file.len()).contains(&column));
}

/// Where in a file a frame begins whose uncompressed length stands before it.
fn frame_of(file: &[u8], length: u64) -> usize {
    file.windows(8).position(|own| own == length.to_le_bytes()).unwrap()
}

#[test]
fn packed_arrow_columns_are_unpacked_and_bombs_are_not() {
    let many: Vec<f64> = (0..200_000).map(|number| f64::from(number / 7)).collect();
    let many: RecordBatch = RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(many)) as _)]).unwrap();
    let constant: RecordBatch = RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(vec![1.5; 1 << 20])) as _)]).unwrap();
    for with in [CompressionType::LZ4_FRAME, CompressionType::ZSTD] {
        for batch in [batch(), many.clone(), constant.clone(), RecordBatch::new_empty(many.schema())] {
            let batches = vec![batch.clone(), batch];
            let back = read_arrow_ipc(&Buffer::from_vec(packed_arrow(&batches, with)), &Limits::default()).unwrap();
            assert_eq!(back.batches, batches, "{with:?}");
        }
        let file = packed_arrow(std::slice::from_ref(&constant), with);
        assert!(file.len() < 64 << 10, "{}", file.len());
        // Each batch is within the limit, both together are not.
        let limits = Limits { free_bytes: 12 << 20, max_inflation: 4, ..Limits::default() };
        let twice = Buffer::from_vec(packed_arrow(&[constant.clone(), constant.clone()], with));
        let error = read_arrow_ipc(&twice, &limits).unwrap_err();
        assert!(error.help.contains("limits"), "{error}");
        let read = ArrowFile::open(&twice, &limits).unwrap().read(Some(&[0])).unwrap();
        assert_eq!(read.map(|batch| batch.unwrap().num_rows()).sum::<usize>(), 2 << 20);
        // A length that is another than the blocks can hold.
        let at = frame_of(&file, 8 << 20);
        let claiming = |length: i64| {
            let mut lying = file.clone();
            lying[at..at + 8].copy_from_slice(&length.to_le_bytes());
            read_arrow_ipc(&Buffer::from_vec(lying), &Limits::default()).unwrap_err().reason
        };
        assert_eq!(claiming(1 << 40), "a packed column claims more bytes than its blocks can hold");
        assert_eq!(claiming(-2), "a packed column has a negative length");
        let less = claiming(1 << 20);
        match with {
            CompressionType::LZ4_FRAME => assert_eq!(less, "the blocks of a packed column can hold more bytes than it claims"),
            _ => assert!(!less.is_empty()),
        }
        let mut broken = file.clone();
        broken[at + 8] ^= 1;
        let error = read_arrow_ipc(&Buffer::from_vec(broken), &Limits::default()).unwrap_err();
        assert_eq!(error.reason, "a packed column is no whole frame of blocks");
    }
}

#[test]
fn other_files_are_told_apart() {
    let arrow = |bytes: &[u8]| read_arrow_ipc(&Buffer::from(bytes), &Limits::default()).unwrap_err();
    assert!(arrow(&[0xff; 40]).reason.contains("stream"));
    assert!(arrow(b"PAR1").reason.contains("Arrow's mark"));
    assert!(read_parquet(&Buffer::from(b"ARROW1"), &Limits::default()).unwrap_err().reason.contains("Parquet's mark"));
    assert!(read_parquet(&Buffer::from(b"PARE"), &Limits::default()).unwrap_err().reason.contains("encrypted"));
}

#[test]
fn a_parquet_column_that_unfolds_without_end_is_refused() {
    let constant: RecordBatch = RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(vec![1.5; 1 << 20])) as _)]).unwrap();
    let file = Buffer::from_vec(write_parquet(&constant.schema(), std::slice::from_ref(&constant)).unwrap());
    assert!(file.len() < 4096, "{}", file.len());
    assert_eq!(read_parquet(&file, &Limits::default()).unwrap().n_rows(), 1 << 20);
    let limits = Limits { free_bytes: 1 << 20, ..Limits::default() };
    let error = read_parquet(&file, &limits).unwrap_err();
    assert!(error.help.contains("limits"), "{error}");
    let long: String = "long ".repeat(20_000);
    let repeated = StringArray::from_iter_values(std::iter::repeat_n(long.as_str(), 2000));
    let repeated: RecordBatch = RecordBatch::try_from_iter([("word", Arc::new(repeated) as _)]).unwrap();
    let file = Buffer::from_vec(write_parquet(&repeated.schema(), std::slice::from_ref(&repeated)).unwrap());
    let error = read_parquet(&file, &limits).unwrap_err();
    assert!(error.help.contains("limits"), "{error}");
}

#[test]
fn empty_tables_keep_their_columns() {
    let schema = Arc::new(Schema::new(vec![arrow::datatypes::Field::new("x", DataType::Float64, true)]));
    let file = Buffer::from_vec(write_parquet(&schema, &[]).unwrap());
    assert_eq!(read_parquet(&file, &Limits::default()).unwrap().into_one().unwrap(), RecordBatch::new_empty(Arc::clone(&schema)));
    let file = Buffer::from_vec(write_arrow_ipc(&schema, &[]).unwrap());
    assert_eq!(read_arrow_ipc(&file, &Limits::default()).unwrap().into_one().unwrap(), RecordBatch::new_empty(schema));
}

proptest! {
    #[test]
    fn floats_survive_csv_to_the_last_bit(values in proptest::collection::vec(any::<f64>().prop_filter("NaN is a missing value", |v| !v.is_nan()), 1..30)) {
        let column = Arc::new(Float64Array::from(values.clone())) as _;
        let batch: RecordBatch = RecordBatch::try_from_iter([("x", column)]).unwrap();
        let back = read_csv(&write_csv(&batch).unwrap(), &CsvOptions::default(), &Limits::default()).unwrap();
        let back = back.column(0).as_primitive::<Float64Type>();
        prop_assert_eq!(back.values().iter().map(|v| v.to_bits()).collect::<Vec<_>>(), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }

    #[test]
    fn text_survives_csv(words in proptest::collection::vec("[a-z\",\n;é ]{1,8}x", 1..20)) {
        let column = Arc::new(StringArray::from(words.clone())) as _;
        let batch: RecordBatch = RecordBatch::try_from_iter([("a column", column)]).unwrap();
        let options = CsvOptions { delimiter: Delimiter::Byte(b','), header: HeaderRow::Present, ..CsvOptions::default() };
        let back = read_csv(&write_csv(&batch).unwrap(), &options, &Limits::default()).unwrap();
        prop_assert_eq!(back.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), words);
    }
}
