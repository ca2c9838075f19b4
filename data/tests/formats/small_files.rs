//! Small files of every format, made in memory.
#![allow(dead_code, reason = "shared by several test binaries and the fuzz seeds, none of which uses all of it")]

use std::io::Write;
use std::sync::Arc;

use arrow::array::{
    ArrayRef, BooleanArray, DictionaryArray, Float64Array, Int32Array, Int64Array, ListArray, NullArray, RecordBatch, StringArray,
    StructArray,
};
use arrow::datatypes::{DataType, Field, Float64Type, Int32Type};
use arrow::ipc::CompressionType;
use arrow::ipc::writer::{FileWriter, IpcWriteOptions};
use neuroflow_data::formats::arrow_ipc::write_arrow_ipc;
use neuroflow_data::formats::npy::write_npy_f64;
use neuroflow_data::formats::parquet::write_parquet;

use super::mat5_bytes::Mat5;

/// A version 1 `.npy` file in C order with `shape` as Python text.
pub fn npy(kind: &str, shape: &str, data: &[u8]) -> Vec<u8> {
    npy_version(1, kind, shape, false, data)
}

/// A `.npy` file of any version and order.
pub fn npy_version(version: u8, kind: &str, shape: &str, fortran_order: bool, data: &[u8]) -> Vec<u8> {
    let order = if fortran_order { "True" } else { "False" };
    let header = format!("{{'descr': '{kind}', 'fortran_order': {order}, 'shape': {shape}, }}\n");
    let mut file = [b"\x93NUMPY".as_slice(), &[version, 0]].concat();
    if version == 1 {
        file.extend_from_slice(&(header.len() as u16).to_le_bytes());
    } else {
        file.extend_from_slice(&(header.len() as u32).to_le_bytes());
    }
    file.extend_from_slice(header.as_bytes());
    file.extend_from_slice(data);
    file
}

/// A zip archive.
pub fn zip(members: &[(&str, &[u8])], deflate: bool) -> Vec<u8> {
    let (mut file, mut directory) = (Vec::new(), Vec::new());
    for (name, data) in members {
        let mut checksum = flate2::Crc::new();
        checksum.update(data);
        let stored = if deflate {
            let mut encoder = flate2::write::DeflateEncoder::new(Vec::new(), flate2::Compression::default());
            encoder.write_all(data).unwrap();
            encoder.finish().unwrap()
        } else {
            data.to_vec()
        };
        let mut common = vec![20, 0, 0, 0];
        common.extend_from_slice(&(if deflate { 8u16 } else { 0 }).to_le_bytes());
        common.extend_from_slice(&[0, 0, 0x21, 0]);
        common.extend_from_slice(&checksum.sum().to_le_bytes());
        common.extend_from_slice(&(stored.len() as u32).to_le_bytes());
        common.extend_from_slice(&(data.len() as u32).to_le_bytes());
        common.extend_from_slice(&(name.len() as u16).to_le_bytes());
        common.extend_from_slice(&[0, 0]);
        directory.extend_from_slice(b"PK\x01\x02\x14\x00");
        directory.extend_from_slice(&common);
        directory.extend_from_slice(&[0; 10]);
        directory.extend_from_slice(&(file.len() as u32).to_le_bytes());
        directory.extend_from_slice(name.as_bytes());
        file.extend_from_slice(b"PK\x03\x04");
        file.extend_from_slice(&common);
        file.extend_from_slice(name.as_bytes());
        file.extend_from_slice(&stored);
    }
    let start = file.len() as u32;
    file.extend_from_slice(&directory);
    file.extend_from_slice(b"PK\x05\x06\0\0\0\0");
    file.extend_from_slice(&(members.len() as u16).to_le_bytes());
    file.extend_from_slice(&(members.len() as u16).to_le_bytes());
    file.extend_from_slice(&(directory.len() as u32).to_le_bytes());
    file.extend_from_slice(&start.to_le_bytes());
    file.extend_from_slice(&[0, 0]);
    file
}

/// A table with a column of every kind that artifacts use, and some that strangers do.
pub fn batch() -> RecordBatch {
    let list = ListArray::from_iter_primitive::<Float64Type, _, _>([Some(vec![Some(1.0), None]), None, Some(vec![])]);
    let words = DictionaryArray::<Int32Type>::from_iter(["face", "house", "face"]);
    let inner: ArrayRef = Arc::new(Int32Array::from(vec![1, 2, 3]));
    let point = StructArray::from(vec![(Arc::new(Field::new("x", DataType::Int32, false)), inner)]);
    RecordBatch::try_from_iter_with_nullable([
        ("trial", Arc::new(Int64Array::from(vec![1, 2, 3])) as ArrayRef, false),
        ("response", Arc::new(Float64Array::from(vec![Some(0.1), None, Some(-1e300)])), true),
        ("correct", Arc::new(BooleanArray::from(vec![Some(true), Some(false), None])), true),
        ("stimulus", Arc::new(StringArray::from(vec![Some("a,b"), Some("say \"hi\""), None])), true),
        ("category", Arc::new(words), true),
        ("spikes", Arc::new(list), true),
        ("place", Arc::new(point), true),
        ("nothing", Arc::new(NullArray::new(3)), true),
    ])
    .unwrap()
}

/// The columns of [`batch`] that CSV can hold.
pub fn flat_batch() -> RecordBatch {
    batch().project(&[0, 1, 2, 3]).unwrap()
}

/// An Arrow file with packed columns.
pub fn packed_arrow(batches: &[RecordBatch], with: CompressionType) -> Vec<u8> {
    let options = IpcWriteOptions::default().try_with_compression(Some(with)).unwrap();
    let mut writer = FileWriter::try_new_with_options(Vec::new(), &batches[0].schema(), options).unwrap();
    batches.iter().for_each(|batch| writer.write(batch).unwrap());
    writer.into_inner().unwrap()
}

/// One small file for each reader, and further ones: name and bytes.
pub fn all() -> Vec<(&'static str, Vec<u8>)> {
    let array = write_npy_f64(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap();
    let text = npy("<U2", "(2,)", &[b'a', 0, 0, 0, 0, 0, 0, 0, b'b', 0, 0, 0, b'c', 0, 0, 0]);
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    gzip.write_all(b"subject,signal\ns1,0.5\ns2,NA\n\"s,3\",1e3\n").unwrap();
    let batch = batch();
    let schema = batch.schema();
    vec![
        ("mat5", Mat5 { big_endian: false }.sampler(false)),
        ("mat5", Mat5 { big_endian: true }.sampler(true)),
        ("npz", zip(&[("X.npy", &array), ("names.npy", &text)], false)),
        ("npz", zip(&[("X.npy", &array), ("names.npy", &text)], true)),
        ("npy", npy_version(2, ">f4", "(2, 2)", true, &[0; 16])),
        ("npy", array),
        ("npy", text),
        ("csv", b"subject,signal,ok\ns1,0.5,true\ns2,NA,false\n\"s,3\",1e3,true\n".to_vec()),
        ("csv", gzip.finish().unwrap()),
        ("parquet", write_parquet(&schema, &[batch.clone(), batch.clone()]).unwrap()),
        ("arrow_ipc", write_arrow_ipc(&schema, &[batch.clone(), batch.clone()]).unwrap()),
        ("arrow_ipc", packed_arrow(&[batch.clone(), batch.clone()], CompressionType::LZ4_FRAME)),
        ("arrow_ipc", packed_arrow(&[batch.clone(), batch], CompressionType::ZSTD)),
    ]
}
