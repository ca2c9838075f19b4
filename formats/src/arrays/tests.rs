//! Documents over arrays: npy and npz by parts, MATLAB in its own order, Parquet and Arrow by columns and rows, safetensors, ONNX.

use super::*;
use crate::document::{Document, What};
use arrow::array::{ArrayRef, AsArray, Float64Array, Int64Array, RecordBatch, StringArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{Float64Type, Int64Type};
use neuroflow_data::formats::arrow_ipc::write_arrow_ipc;
use neuroflow_data::formats::npy::write_npy_f64;
use neuroflow_data::formats::parquet::write_parquet;
use neuroflow_data::formats::{FormatError, Limits};
use std::sync::Arc;

fn source(bytes: &[u8]) -> Arc<Buffer> {
    Arc::new(Buffer::from_vec(bytes.to_vec()))
}

fn limits() -> Limits {
    Limits::default()
}

/// `.npy` with any header.
fn npy_file(descr: &str, fortran: bool, shape: &str, values: &[u8]) -> Vec<u8> {
    let fortran = if fortran { "True" } else { "False" };
    let header = format!("{{'descr': '{descr}', 'fortran_order': {fortran}, 'shape': {shape}, }}\n");
    [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), values].concat()
}

#[test]
fn npy_reads_parts_in_both_orders_and_text_as_rows() {
    let values: Vec<u8> = (0u8..24).collect();
    let straight = npy::open(source(&npy_file("|u1", false, "(2, 3, 4)", &values)), &limits()).unwrap();
    assert_eq!(straight.tensor("", Some(&[1..2, 0..3, 3..4])).unwrap().values(), [15.0, 19.0, 23.0]);
    let turned = npy::open(source(&npy_file("|u1", true, "(2, 3, 4)", &values)), &limits()).unwrap();
    assert_eq!(turned.tensor("array", Some(&[1..2, 0..3, 3..4])).unwrap().values(), [19.0, 21.0, 23.0]);
    let scalar = npy::open(source(&write_npy_f64(&[], &[3.5]).unwrap()), &limits()).unwrap();
    assert_eq!(scalar.tensor("", None).unwrap().values(), [3.5]);
    let text = npy::open(source(&npy_file("|S2", false, "(2,)", b"abc\0")), &limits()).unwrap();
    assert_eq!(text.rows("").unwrap().read(&[0], 0..2).unwrap().column(0).as_string::<i32>().value(1), "c");
    let error = npy::open(source(&npy_file("|u1", false, "(2, 3)", &values)), &limits()).unwrap_err().to_string();
    assert!(error.contains("calls for a file of") && error.contains("it has"), "{error}");
    let huge = npy_file("<f8", false, "(4294967296, 4294967296, 4)", &[]);
    assert!(npy::open(source(&huge), &limits()).unwrap_err().to_string().contains("more than a computer can count"));
}

/// As NumPy 2.4 writes records, with bytes between fields, an array in a field, and both orders of bytes.
#[test]
fn records_of_npy_are_a_table() {
    let file = |fields: &str, shape: &str, values: &[u8]| {
        let header = format!("{{'descr': {fields}, 'fortran_order': False, 'shape': {shape}, }}\n");
        [&b"\x93NUMPY\x01\x00"[..], &(header.len() as u16).to_le_bytes(), header.as_bytes(), values].concat()
    };
    let fields = "[('id', '<i4'), ('', '|V4'), ('t', '>f8'), ('name', '<U2'), (('a title', 'pair'), '<u2', (2,))]";
    let mut values = Vec::new();
    for (id, time, name, pair) in [(1i32, 2.5f64, ['a', 'b'], [7u16, 8]), (-2, 3.5, ['ü', '\0'], [9, 10])] {
        values.extend(id.to_le_bytes());
        values.extend([0xff; 4]);
        values.extend(time.to_be_bytes());
        values.extend(name.iter().flat_map(|letter| u32::from(*letter).to_le_bytes()));
        values.extend(pair.iter().flat_map(|number| number.to_le_bytes()));
    }
    let document = npy::open(source(&file(fields, "(2,)", &values)), &limits()).unwrap();
    let columns = [("id", "int32"), ("t", "float64"), ("name", "text"), ("pair", "2 × uint16")];
    let columns = columns.map(|(name, word)| (name.to_owned(), word.to_owned())).to_vec();
    assert_eq!(document.contents().items[0].what, What::Table { rows: Some(2), columns });
    let rows = document.rows("").unwrap();
    let batch = rows.read(&[2, 0, 1, 3], 0..9).unwrap();
    assert_eq!(batch.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["ab", "ü"]);
    assert_eq!(batch.column(1).as_primitive::<arrow::datatypes::Int32Type>().values().as_ref(), [1, -2]);
    assert_eq!(batch.column(2).as_primitive::<Float64Type>().values().as_ref(), [2.5, 3.5]);
    let pairs = batch.column(3).as_fixed_size_list().value(1);
    assert_eq!(pairs.as_primitive::<arrow::datatypes::UInt16Type>().values().as_ref(), [9, 10]);
    assert_eq!(rows.read(&[1], 1..2).unwrap().column(0).as_primitive::<Float64Type>().values().as_ref(), [3.5]);
    assert!(document.tensor("", None).is_err());

    let refusal =
        |fields: &str, shape: &str, values: &[u8]| npy::open(source(&file(fields, shape, values)), &limits()).unwrap_err().to_string();
    assert!(refusal(fields, "(3,)", &values).contains("3 records of 28 bytes do not fill the file"));
    assert!(refusal(fields, "(1, 2)", &values).contains("records of 2 axes are no table; save them along one axis"));
    assert!(refusal("[('a', [('b', '<i4')])]", "(1,)", &[0; 4]).contains("the field `a` has fields of its own"));
    assert!(refusal("[('a', '<M8[ns]')]", "(1,)", &[0; 8]).contains("the values are dates or durations (`<M8[ns]`)"));
    assert!(refusal("[('a', '<i4'), ('a', '<i4')]", "(1,)", &[0; 8]).contains("the field `a` is there twice"));
    assert!(refusal("[('a', '<i4', (4294967296, 4294967296, 8))]", "(1,)", &[0; 4]).contains("more values than a computer can count"));
    assert!(refusal("[('a', '|S0')]", "(9000000000,)", &[]).contains("9000000000 records of 0 bytes"));
    for cut in 1..fields.len() {
        assert!(npy::open(source(&file(&fields[..cut], "(2,)", &values)), &limits()).is_err(), "{cut}");
    }
}

#[test]
fn npz_lists_members_and_reads_one_at_a_time() {
    // The mark of a `.npy` is no text, so this member has none and is listed with what is wrong.
    let bytes = crate::excel::zip_of(&[("x.npy", "NUMPY"), ("readme.txt", "hello")]);
    let listed = npz::open(source(&bytes), &limits()).unwrap();
    assert_eq!(listed.contents().notes.len(), 2, "{:?}", listed.contents());
    assert!(listed.contents().items[0].about.contains("does not begin with NumPy's mark"));
    let error = npz::open(source(&bytes[..bytes.len() - 3]), &limits()).unwrap_err().to_string();
    assert!(error.contains("the directory at the end of the archive is missing"), "{error}");
}

fn table() -> RecordBatch {
    let columns: [(&str, ArrayRef); 3] = [
        ("a", Arc::new(Int64Array::from_iter_values(0..1000))),
        ("b", Arc::new(Float64Array::from_iter_values((0..1000).map(|row| f64::from(row) / 2.0)))),
        ("c", Arc::new(StringArray::from_iter_values((0..1000).map(|row| format!("t{row}"))))),
    ];
    RecordBatch::try_from_iter(columns).unwrap()
}

#[test]
fn parquet_and_arrow_read_the_columns_and_rows_that_are_asked_for() {
    let batch = table();
    let parts: Vec<RecordBatch> = (0..10).map(|part| batch.slice(part * 100, 100)).collect();
    let documents: [Box<dyn Document>; 2] = [
        Box::new(parquet::open(source(&write_parquet(&batch.schema(), &parts).unwrap()), &limits()).unwrap()),
        Box::new(arrow_ipc::open(source(&write_arrow_ipc(&batch.schema(), &parts).unwrap()), &limits()).unwrap()),
    ];
    for document in documents {
        let Some(What::Table { rows, columns }) = document.contents().item("table").map(|item| item.what.clone()) else { panic!() };
        assert_eq!((rows, columns[2].clone()), (Some(1000), ("c".to_owned(), "text".to_owned())));
        let rows = document.rows("").unwrap();
        let read = rows.read(&[2, 0], 195..305).unwrap();
        assert_eq!((read.num_rows(), read.schema().field(0).name().as_str()), (110, "c"));
        assert_eq!(read.column(1).as_primitive::<Int64Type>().values()[0], 195);
        assert_eq!(read.column(0).as_string::<i32>().value(109), "t304");
        assert_eq!(rows.read(&[1], 990..5000).unwrap().column(0).as_primitive::<Float64Type>().values()[9], 499.5);
        assert_eq!(rows.read(&[1], 5000..6000).unwrap().num_rows(), 0);
        assert!(rows.read(&[7], 0..1).unwrap_err().to_string().contains("there is no column 7"));
    }
    let document = parquet::open(source(&write_parquet(&batch.schema(), &parts).unwrap()), &limits()).unwrap();
    assert_eq!(document.rows("").unwrap().bounds(0, 0..1000), Some((0.0, 999.0)));
    assert_eq!(document.rows("").unwrap().bounds(2, 0..1000), None);
}

#[test]
fn csv_is_a_table() {
    let document = csv::open(source(b"x,y\n1,a\n2,b\n"), &limits()).unwrap();
    assert_eq!(document.rows("table").unwrap().read(&[0], 1..2).unwrap().column(0).as_primitive::<Int64Type>().values(), &[2]);
    assert!(document.tensor("table", None).unwrap_err().to_string().contains("this is a table, not an array"));
}

#[test]
fn safetensors_reads_parts_and_refuses_what_does_not_fit() {
    let file = |header: &str, data: &[u8]| [&(header.len() as u64).to_le_bytes()[..], header.as_bytes(), data].concat();
    let good = r#"{"__metadata__":{"format":"np"},
        "a/b":{"dtype":"I16","shape":[2,2],"data_offsets":[0,8]},"c":{"dtype":"BF16","shape":[],"data_offsets":[8,10]}}"#;
    let data = [1, 0, 2, 0, 3, 0, 4, 0, 0x20, 0xc0];
    let document = safetensors::open(source(&file(good, &data)), &limits()).unwrap();
    assert_eq!(document.contents().facts["format"], "np");
    assert_eq!(document.tensor("a/b", Some(&[0..2, 1..2])).unwrap().values(), [2.0, 4.0]);
    assert_eq!(document.tensor("c", None).unwrap().values(), [-2.5]);
    let error = |header: &str| safetensors::open(source(&file(header, &data)), &limits()).unwrap_err().to_string();
    assert!(error("{").contains("byte 8: the header is no JSON of tensors"));
    assert!(error(r#"{"a":{"dtype":"I16","shape":[3],"data_offsets":[0,8]}}"#).contains("does not fill its 8 bytes"));
    assert!(error(r#"{"a":{"dtype":"I16","shape":[9],"data_offsets":[0,18]}}"#).contains("are not in the file"));
    assert!(error(r#"{"a":{"dtype":"I16","shape":[1],"data_offsets":[2,0]}}"#).contains("are not in the file"));
    let twice = r#"{"a":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},"a":{"dtype":"U8","shape":[1],"data_offsets":[1,2]}}"#;
    assert!(error(twice).contains("object `a`: the tensor stands twice"));
    let over = r#"{"a":{"dtype":"U8","shape":[4],"data_offsets":[0,4]},"b":{"dtype":"U8","shape":[4],"data_offsets":[3,7]}}"#;
    assert!(error(over).contains("overlap"));
    assert!(safetensors::open(source(&[255; 20]), &limits()).unwrap_err().to_string().contains("byte 0: the header claims"));
}

/// A field of a message.
fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, bytes.len() as u8][..], bytes].concat()
}

#[test]
fn onnx_lists_inputs_and_reads_initialisers() {
    let raw: Vec<u8> = [1.5f32, -2.0].iter().flat_map(|value| value.to_le_bytes()).collect();
    let of = |body: Vec<u8>| [vec![8, 2, 16, 1], body].concat();
    let weights = of([field(8, b"w"), field(9, &raw)].concat());
    let packed = of([field(8, b"v"), field(4, &raw)].concat());
    let far = of([field(8, b"u"), field(13, b"x")].concat());
    let short = of([field(8, b"s"), field(9, &raw[..4])].concat());
    let dimension = |body: &[u8]| field(1, body);
    let shape = [dimension(&field(2, b"N")), dimension(&[8, 3])].concat();
    let tensor_type = [vec![8, 1], field(2, &shape)].concat();
    let input = [field(1, b"x"), field(2, &field(1, &tensor_type))].concat();
    let graph: Vec<u8> = [&weights, &packed, &far, &short].iter().flat_map(|own| field(5, own)).collect();
    let graph = [graph, field(11, &input), field(1, &field(4, b"Conv"))].concat();
    let model = [vec![8, 8], field(2, b"by hand"), field(7, &graph), field(8, &[16, 17])].concat();
    let document = onnx::open(source(&model), &limits()).unwrap();
    let contents = document.contents();
    assert_eq!(
        (contents.version.as_str(), contents.facts["operator sets"].as_str(), contents.facts["operators"].as_str()),
        ("IR 8", "ai.onnx 17", "Conv 1")
    );
    assert_eq!(contents.item("inputs/x").unwrap().what, What::Value("float32 [N × 3]".into()));
    for path in ["initializers/w", "initializers/v"] {
        assert_eq!(document.tensor(path, None).unwrap().values(), [1.5, -2.0]);
        let second = std::slice::from_ref(&(1..2));
        assert_eq!(document.tensor(path, Some(second)).unwrap().values(), [-2.0]);
    }
    let error = |path: &str| document.tensor(path, None).unwrap_err().to_string();
    assert!(error("initializers/u").contains("the values are in another file, which is not opened"));
    assert!(error("initializers/s").contains("the shape [2] does not fit its 4 bytes"));
    let cut: FormatError = onnx::open(source(&model[..model.len() - 1]), &limits()).unwrap_err();
    assert!(cut.to_string().contains("a field of a message breaks off"), "{cut}");
    assert!(onnx::open(source(&[]), &limits()).unwrap_err().to_string().contains("holds 0 graphs"));
}

#[test]
fn matlab_values_keep_their_order_and_structs_are_groups() {
    use mat5_bytes::Mat;
    let file = mat5_bytes::file(&[
        ("A", Mat::numbers(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0])),
        (
            "D",
            Mat::structure(&[
                ("rate", Mat::numbers(&[1, 1], &[30.0])),
                ("names", Mat::cell(&[1, 2], vec![Mat::text("a"), Mat::text("bc")])),
            ]),
        ),
        ("C", Mat::cell(&[1, 2], vec![Mat::numbers(&[3, 1], &[1.0, 2.0, 3.0]), Mat::numbers(&[3, 1], &[4.0, 5.0, 6.0])])),
        ("R", Mat::cell(&[1, 2], vec![Mat::numbers(&[1, 1], &[7.0]), Mat::text("x")])),
        ("w", Mat::text("hello")),
    ]);
    let document = mat5::open(source(&file), &limits()).unwrap();
    assert_eq!(document.tensor("A", None).unwrap().values(), [1.0, 3.0, 5.0, 2.0, 4.0, 6.0]);
    assert_eq!(document.tensor("A", Some(&[1..2, 1..3])).unwrap().values(), [4.0, 6.0]);
    assert_eq!(document.contents().item("D").unwrap().what, What::Group);
    assert_eq!(document.tensor("D/rate", None).unwrap().values(), [30.0]);
    assert_eq!(document.rows("D/names").unwrap().read(&[0], 0..2).unwrap().column(0).as_string::<i32>().value(1), "bc");
    let cells = document.tensor("C", None).unwrap();
    assert_eq!((cells.shape(), cells.values()), (vec![2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0][..]));
    assert_eq!(document.tensor("C", Some(&[1..2, 0..2])).unwrap().values(), [4.0, 5.0]);
    assert_eq!(document.tensor("R/1", None).unwrap().values(), [7.0]);
    assert_eq!(document.contents().item("R/2").unwrap().what, What::Value("x".into()));
    assert_eq!(document.contents().item("w").unwrap().what, What::Value("hello".into()));
}

/// A small writer of MATLAB 5.
mod mat5_bytes {
    pub struct Mat(Box<dyn Fn(&str) -> Vec<u8>>);

    fn element(kind: u32, bytes: &[u8]) -> Vec<u8> {
        let mut own = [kind.to_le_bytes(), (bytes.len() as u32).to_le_bytes()].concat();
        own.extend(bytes);
        own.resize(own.len().next_multiple_of(8), 0);
        own
    }

    fn matrix(class: u32, dims: &[i32], name: &str, rest: &[u8]) -> Vec<u8> {
        let flags: Vec<u8> = [class, 0].iter().flat_map(|own| own.to_le_bytes()).collect();
        let dims: Vec<u8> = dims.iter().flat_map(|own| own.to_le_bytes()).collect();
        element(14, &[element(6, &flags), element(5, &dims), element(1, name.as_bytes()), rest.to_vec()].concat())
    }

    impl Mat {
        pub fn numbers(dims: &[i32], values: &[f64]) -> Mat {
            let (dims, values) = (dims.to_vec(), element(9, &values.iter().flat_map(|own| own.to_le_bytes()).collect::<Vec<u8>>()));
            Mat(Box::new(move |name| matrix(6, &dims, name, &values)))
        }

        pub fn text(text: &str) -> Mat {
            let codes: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            let (length, codes) = (text.len() as i32, element(4, &codes));
            Mat(Box::new(move |name| matrix(4, &[1, length], name, &codes)))
        }

        pub fn cell(dims: &[i32], cells: Vec<Mat>) -> Mat {
            let (dims, cells) = (dims.to_vec(), cells.iter().flat_map(|own| own.0("")).collect::<Vec<u8>>());
            Mat(Box::new(move |name| matrix(1, &dims, name, &cells)))
        }

        pub fn structure(fields: &[(&str, Mat)]) -> Mat {
            let mut names = vec![0u8; 32 * fields.len()];
            for (own, (name, _)) in names.chunks_mut(32).zip(fields) {
                own[..name.len()].copy_from_slice(name.as_bytes());
            }
            let mut rest = element(5, &32i32.to_le_bytes());
            rest.extend(element(1, &names));
            fields.iter().for_each(|(_, value)| rest.extend(value.0("")));
            Mat(Box::new(move |name| matrix(2, &[1, 1], name, &rest)))
        }
    }

    pub fn file(variables: &[(&str, Mat)]) -> Vec<u8> {
        let mut bytes = vec![b' '; 124];
        bytes.extend([0, 1]);
        bytes.extend(b"IM");
        variables.iter().for_each(|(name, value)| bytes.extend(value.0(name)));
        bytes
    }
}
