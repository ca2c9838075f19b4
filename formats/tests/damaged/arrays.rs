//! Arrays, tables of columns, and weights of models.

use super::bytes::{cut, find, put, swap};
use super::{Case, asked, one};
use crate::mat5_bytes::{CLASS_DOUBLE, COMPRESSED, DOUBLE, INT32, MATRIX, Mat5, UINT32};
use crate::small_files::{all, npy, npy_version, packed_arrow, zip};
use arrow::array::{Float64Array, RecordBatch};
use arrow::ipc::CompressionType;
use std::io::Write;
use std::sync::Arc;

pub fn cases() -> Vec<Case> {
    [mat5(), numpy(), columns(), models()].into_iter().flatten().collect()
}

fn deflate(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn mat5() -> Vec<Case> {
    let mat = Mat5 { big_endian: false };
    let whole = mat.file(&[mat.column("x", &[1.0, 2.0, 3.0])]);
    let at = |damage: &str, at: usize, own: &[u8]| one("a.mat", damage, put(&whole, at, own));
    let packed = mat.file(&[mat.compressed(&mat.column("x", &[1.0, 2.0, 3.0]))]);
    let nested = (0..200).fold(mat.column("", &[1.0]), |inner, _| mat.cells("", &[inner]));
    let bomb = mat.element(COMPRESSED, &deflate(&[&mat.u32(MATRIX)[..], &mat.u32(0xffff_fff0), &vec![0; 64 << 20]].concat()));
    let sparse = mat.array(
        "s",
        crate::mat5_bytes::SPARSE,
        &[3, 2],
        &[
            mat.element(INT32, &mat.ints(&[0, 9])),
            mat.element(INT32, &mat.ints(&[0, 1, 2])),
            mat.element(DOUBLE, &mat.doubles(&[1.0, 2.0])),
        ],
    );
    vec![
        one("a.mat", "cut in the header", cut(&whole, 100)),
        one("a.mat", "cut in the tag of a variable", cut(&whole, 132)),
        one("a.mat", "cut in the dimensions", cut(&whole, 128 + 8 + 16 + 10)),
        one("a.mat", "cut in the values", cut(&whole, whole.len() - 12)),
        at("an order of bytes that is none", 126, b"XX"),
        at("a variable of 2^32 - 1 bytes", 132, &u32::MAX.to_le_bytes()),
        at("a variable of a type that is none", 128, &99u32.to_le_bytes()),
        at("a class that is none", 128 + 16, &[77]),
        at("2^62 elements", 128 + 8 + 16 + 8, &[0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff, 0x7f]),
        at("minus one row", 128 + 8 + 16 + 8, &(-1i32).to_le_bytes()),
        at("dimensions of 3 bytes", 128 + 8 + 16 + 4, &3u32.to_le_bytes()),
        at("values of a type that is none", whole.len() - 32, &55u32.to_le_bytes()),
        one(
            "a.mat",
            "more values than it has",
            mat.file(&[mat.array("x", CLASS_DOUBLE, &[4, 1], &[mat.element(DOUBLE, &mat.doubles(&[1.0, 2.0, 3.0]))])]),
        ),
        one("a.mat", "a compressed variable cut short", cut(&packed, packed.len() - 9)),
        one("a.mat", "a compressed variable that is no deflate", put(&packed, 136, &[0xff; 6])),
        one("a.mat", "a bomb: 64 MB of zeros for a variable", mat.file(&[bomb])),
        one("a.mat", "cells 200 deep", mat.file(&[mat.cells("c", &[nested])])),
        one("a.mat", "a sparse row that is not there", mat.file(&[sparse])),
        one("a.mat", "a struct with field names of no length", {
            let sound = mat.file(&[mat.structs("s", &[1, 1], &["a"], &[mat.column("", &[1.0])])]);
            let small = [INT32 as u8, 0, 4, 0, 8, 0, 0, 0];
            put(&sound, find(&sound, &small) + 4, &[0, 0, 0, 0])
        }),
        one("a.mat", "flags that are missing", mat.file(&[mat.element(MATRIX, &mat.element(UINT32, &[0; 4]))])),
    ]
}

fn numpy() -> Vec<Case> {
    let whole = npy("<f8", "(2, 3)", &[0; 48]);
    let archive = |name: &str, bytes: &[u8]| zip(&[(name, bytes)], true);
    let packed = archive("X.npy", &whole);
    let central = find(&packed, b"PK\x01\x02");
    vec![
        one("a.npy", "cut in the header", cut(&whole, 30)),
        one("a.npy", "cut in the values", cut(&whole, whole.len() - 1)),
        one("a.npy", "a version that is none", put(&whole, 6, &[9])),
        one("a.npy", "a header of 2^32 - 1 bytes", put(&npy_version(2, "<f8", "(2, 3)", false, &[0; 48]), 8, &u32::MAX.to_le_bytes())),
        one("a.npy", "2^64 values", npy("<f8", "(4294967296, 4294967296)", &[0; 48])),
        one("a.npy", "minus two rows", npy("<f8", "(-2, 3)", &[0; 48])),
        one("a.npy", "objects, which are programs", npy("|O", "(2,)", b"\x80\x04c__builtin__\neval\n")),
        one("a.npy", "a type that is none", npy("<q9", "(2,)", &[0; 48])),
        one("a.npy", "a header that calls", swap(&whole, b"'<f8'", b"__import__('os')")),
        one("a.npy", "a header without a shape", swap(&whole, b"'shape'", b"'shade'")),
        one("a.npz", "cut in a member", cut(&packed, 60)),
        one("a.npz", "cut in the directory", cut(&packed, packed.len() - 30)),
        one("a.npz", "another checksum", put(&put(&packed, 14, &[1, 2, 3, 4]), central + 16, &[1, 2, 3, 4])),
        one("a.npz", "a member that claims 2^32 - 2 bytes", put(&packed, central + 24, &0xffff_fffeu32.to_le_bytes())),
        one("a.npz", "a member beyond the end", put(&packed, central + 42, &0x7fff_ffffu32.to_le_bytes())),
        asked(one("a.npz", "a bomb: 64 MB of zeros for six numbers", archive("X.npy", &[whole.as_slice(), &vec![0; 64 << 20]].concat()))),
    ]
}

fn columns() -> Vec<Case> {
    let of = |sort: &str| all().into_iter().find(|(own, _)| *own == sort).map(|(_, bytes)| bytes).unwrap();
    let (parquet, arrow) = (of("parquet"), of("arrow_ipc"));
    let zeros = RecordBatch::try_from_iter([("x", Arc::new(Float64Array::from(vec![0.0; 1000])) as _)]).unwrap();
    let lz4 = packed_arrow(&[zeros], CompressionType::LZ4_FRAME);
    let length = find(&lz4, &8000u64.to_le_bytes());
    let footer = u32::from_le_bytes(parquet[parquet.len() - 8..parquet.len() - 4].try_into().unwrap()) as usize;
    vec![
        one("a.parquet", "cut in the first column", cut(&parquet, 60)),
        one("a.parquet", "cut in the footer", cut(&parquet, parquet.len() - 6)),
        one("a.parquet", "a footer of 2^31 bytes", put(&parquet, parquet.len() - 8, &0x7fff_ffffu32.to_le_bytes())),
        one("a.parquet", "a footer that is none", put(&parquet, parquet.len() - 8 - footer, &[0xff; 16])),
        one("a.parquet", "pages that are none", put(&parquet, 4, &[0xff; 24])),
        one("a.arrow", "cut in the schema", cut(&arrow, 100)),
        one("a.arrow", "cut in the footer", cut(&arrow, arrow.len() - 12)),
        one("a.arrow", "a footer of 2^31 bytes", put(&arrow, arrow.len() - 10, &0x7fff_ffffu32.to_le_bytes())),
        one("a.feather", "a packed column that claims 2^40 bytes", put(&lz4, length, &(1u64 << 40).to_le_bytes())),
        one("a.feather", "a packed column of no frame", put(&lz4, length + 8, &[0; 4])),
        one("a.feather", "a packed column of minus two bytes", put(&lz4, length, &(-2i64).to_le_bytes())),
    ]
}

fn models() -> Vec<Case> {
    let header = |text: &str, data: usize| [&(text.len() as u64).to_le_bytes()[..], text.as_bytes(), &vec![0; data]].concat();
    let tensor = |offsets: &str| header(&format!("{{\"a\":{{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":{offsets}}}}}"), 8);
    let deep = format!("{{\"a\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000));
    let onnx = |tensor: &[u8]| {
        let graph = [&[42, tensor.len() as u8][..], tensor].concat();
        [&[8, 8, 58, graph.len() as u8][..], &graph].concat()
    };
    vec![
        one("a.safetensors", "cut in the header", cut(&tensor("[0,8]"), 20)),
        one("a.safetensors", "cut in the values", cut(&tensor("[0,8]"), tensor("[0,8]").len() - 3)),
        one("a.safetensors", "a header of 2^63 bytes", put(&tensor("[0,8]"), 0, &(1u64 << 63).to_le_bytes())),
        one("a.safetensors", "a tensor beyond the end", tensor("[0,800]")),
        one("a.safetensors", "a tensor that ends before it begins", tensor("[8,0]")),
        one("a.safetensors", "a tensor of the wrong length", tensor("[0,4]")),
        one(
            "a.safetensors",
            "2^63 elements",
            header("{\"a\":{\"dtype\":\"F32\",\"shape\":[9223372036854775807],\"data_offsets\":[0,8]}}", 8),
        ),
        asked(one("a.safetensors", "a type that is none", header("{\"a\":{\"dtype\":\"F33\",\"shape\":[2],\"data_offsets\":[0,8]}}", 8))),
        one("a.safetensors", "a header 100000 deep", header(&deep, 8)),
        one("a.onnx", "cut in the graph", cut(&onnx(&[8, 2, 16, 1, 66, 1, b'w', 74, 8, 0, 0, 128, 63, 0, 0, 0, 64]), 12)),
        one(
            "a.onnx",
            "a weight that claims 2^62 elements",
            onnx(&[8, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0x3f, 16, 1, 66, 1, b'w', 74, 0]),
        ),
        one("a.onnx", "a weight with too few bytes", onnx(&[8, 2, 16, 1, 66, 1, b'w', 74, 3, 0, 0, 128])),
        one("a.onnx", "a field longer than the file", vec![8, 8, 58, 0xff, 0xff, 0xff, 0xff, 0x0f, 1]),
        asked(one("a.onnx", "weights in a file out of the folder", {
            // data_location = EXTERNAL, with an entry `location`.
            let entry = [&[10, 8][..], b"location", &[18, 16], b"../../etc/passwd"].concat();
            onnx(&[&[8, 2, 16, 1, 66, 1, b'w', 112, 1, 106, entry.len() as u8][..], &entry].concat())
        })),
    ]
}
