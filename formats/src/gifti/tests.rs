//! Surfaces built in code: every encoding and order, labels, metadata, and damage.

use super::*;
use arrow::array::AsArray;
use std::io::Write;

fn opened(text: &str) -> Result<GiftiDocument, FormatError> {
    open(Arc::new(Buffer::from_vec(text.as_bytes().to_vec())), &Limits::default())
}

fn packed(bytes: &[u8]) -> String {
    base64::engine::general_purpose::STANDARD.encode(bytes)
}

fn array(intent: &str, sort: &str, shape: &[usize], encoding: &str, more: &str, data: &str) -> String {
    let lengths: String = shape.iter().enumerate().map(|(axis, length)| format!(" Dim{axis}=\"{length}\"")).collect();
    format!(
        "<DataArray Intent=\"NIFTI_INTENT_{intent}\" DataType=\"NIFTI_TYPE_{sort}\" Dimensionality=\"{}\"{lengths} Encoding=\"{encoding}\" {more}>\
         <MetaData><MD><Name><![CDATA[Name]]></Name><Value><![CDATA[left & right]]></Value></MD></MetaData>\
         <CoordinateSystemTransformMatrix><DataSpace>A</DataSpace><TransformedSpace>B</TransformedSpace>\
         <MatrixData>2 0 0 0 0 1 0 0 0 0 1 0 0 0 0 1</MatrixData></CoordinateSystemTransformMatrix><Data>{data}</Data></DataArray>",
        shape.len()
    )
}

fn file(inner: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?><!DOCTYPE GIFTI SYSTEM \"http://x/gifti.dtd\"><GIFTI Version=\"1.0\" NumberOfDataArrays=\"1\">\
         <MetaData><MD><Name>Subject</Name>\
         <Value>s1</Value></MD></MetaData><LabelTable><Label Key=\"3\" Red=\"0.5\" Alpha=\"1\">V1 &amp; V2</Label></LabelTable>{inner}</GIFTI>"
    )
}

#[test]
fn every_encoding_and_order_gives_the_same_values() {
    let numbers = [0.5f32, 1.5, -2.0, 3.25, 4.0, 5.0];
    let little: Vec<u8> = numbers.iter().flat_map(|value| value.to_le_bytes()).collect();
    let big: Vec<u8> = numbers.iter().flat_map(|value| value.to_be_bytes()).collect();
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(&little).unwrap();
    let deflated = packed(&encoder.finish().unwrap());
    let (little, big) = (packed(&little), packed(&big));
    let broken_lines = format!("\n{}\n{}\n", &little[..10], &little[10..]);
    let cases = [
        ("ASCII", "", " 0.5 1.5\n-2 3.25 4 5 "),
        ("Base64Binary", "Endian=\"LittleEndian\"", little.as_str()),
        ("Base64Binary", "Endian=\"LittleEndian\"", broken_lines.as_str()),
        ("Base64Binary", "Endian=\"BigEndian\"", big.as_str()),
        ("GZipBase64Binary", "Endian=\"LittleEndian\"", deflated.as_str()),
    ];
    for (encoding, more, data) in cases {
        let document = opened(&file(&array("POINTSET", "FLOAT32", &[2, 3], encoding, more, data))).unwrap();
        let tensor = document.tensor("pointset", None).unwrap();
        assert_eq!(tensor.values(), numbers.map(f64::from), "{encoding}");
        assert_eq!((tensor.unit(), tensor.axes()[0].name.as_str()), (Some("mm"), "vertex"));
        assert_eq!(document.tensor("pointset", Some(&[1..2, 0..2])).unwrap().values(), [3.25, 4.0]);
        assert_eq!(document.tensor("pointset/transform", None).unwrap().values()[0], 2.0);
    }
    let turned = array("TRIANGLE", "INT32", &[2, 3], "ASCII", "ArrayIndexingOrder=\"ColumnMajorOrder\"", "0 3 1 4 2 5");
    assert_eq!(opened(&file(&turned)).unwrap().tensor("triangle", None).unwrap().values(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
}

#[test]
fn a_surface_that_is_gzip_is_known_and_inflated() {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(file(&array("SHAPE", "FLOAT32", &[2], "ASCII", "", "0.5 2")).as_bytes()).unwrap();
    let source = Arc::new(Buffer::from_vec(encoder.finish().unwrap()));
    let document = crate::open(source, &crate::Options::default()).unwrap();
    assert_eq!(document.tensor("shape", None).unwrap().values(), [0.5, 2.0]);
    assert_eq!(crate::reader_of_name("a.gii.gz").map(|reader| reader.word), Some("gifti"));
}

#[test]
fn metadata_labels_and_several_arrays_of_one_intent() {
    let one = array("TIME_SERIES", "UINT8", &[2], "ASCII", "", "1 2");
    let document = opened(&file(&format!("{one}{one}"))).unwrap();
    let contents = document.contents();
    assert_eq!(contents.facts["Subject"], "s1");
    assert_eq!(contents.notes, ["1 arrays are stated, 2 are there"]);
    let paths: Vec<&str> = contents.items.iter().map(|item| item.path.as_str()).collect();
    assert_eq!(paths, ["time series", "time series/transform", "time series_2", "time series_2/transform", "labels"]);
    assert_eq!(contents.items[0].about, "Name: left & right");
    let labels = document.rows("labels").unwrap().read(&[1, 2, 3], 0..1).unwrap();
    assert_eq!(labels.column(0).as_string::<i32>().value(0), "V1 & V2");
    assert_eq!(labels.column(2).null_count(), 1);
}

use arrow::array::Array;

#[test]
fn damage_is_told_with_its_place() {
    let error = |text: &str| opened(text).and_then(|document| document.tensor("", None)).unwrap_err().to_string();
    // Without a transform and labels there is one array, so that the empty path is it.
    let of = |sort: &str, shape: &str, encoding: &str, data: &str| {
        let intent = "Intent=\"NIFTI_INTENT_SHAPE\"";
        error(&format!(
            "<GIFTI><DataArray {intent} DataType=\"NIFTI_TYPE_{sort}\" {shape} Encoding=\"{encoding}\"><Data>{data}</Data></DataArray></GIFTI>"
        ))
    };
    let flat = "Dimensionality=\"1\" Dim0=\"2\"";
    assert!(error("<x/>").starts_with("GIFTI: byte 0: the file has no element `GIFTI`"));
    assert!(error("<GIFTI><MetaData>").contains("ends inside of 2 elements"));
    assert!(error("<GIFTI></x>").contains("the XML is damaged"));
    assert!(of("COMPLEX64", flat, "ASCII", "").contains("the data type `NIFTI_TYPE_COMPLEX64` is not read"));
    assert!(of("UINT8", "Dimensionality=\"9\"", "ASCII", "").contains("an array has `9` axes"));
    assert!(of("UINT8", "Dimensionality=\"1\" Dim0=\"x\"", "ASCII", "").contains("the length `x` of axis 0"));
    assert!(of("UINT8", flat, "Paper", "").contains("the encoding `Paper`"));
    assert!(of("UINT8", flat, "ASCII", "1 a").contains("`a` is no number"));
    assert!(of("UINT8", flat, "ASCII", "1").contains("object `shape`: the data have 1 bytes, the shape [2] calls for 2"));
    assert!(of("UINT8", flat, "Base64Binary", "!!!!").contains("no Base64"));
    assert!(of("UINT8", flat, "GZipBase64Binary", "AAAA").contains("break off or are damaged"));
    assert!(of("UINT8", flat, "ExternalFileBinary", "").contains("in another file, which is not opened"));
    assert!(of("FLOAT64", "Dimensionality=\"2\" Dim0=\"4294967296\" Dim1=\"4294967296\"", "ASCII", "1").contains("can be counted"));
    assert!(of("FLOAT64", "Dimensionality=\"1\" Dim0=\"4294967296\"", "GZipBase64Binary", "eJwDAAAAAAE=").contains("claim to hold"));
    assert!(error(&format!("<GIFTI>{}", "<a>".repeat(100))).contains("nest deeper"));
}
