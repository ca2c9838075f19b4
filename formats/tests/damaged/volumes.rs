//! Volumes, surfaces, pictures, and Zarr.

use super::bytes::{cut, field, find, put, swap};
use super::{Case, asked, one, several};
use crate::volumes::seeds::{seeds, zarr_files};
use std::io::Write;

pub fn cases() -> Vec<Case> {
    [nifti(), gifti(), pictures(), zarr(), idx()].into_iter().flatten().collect()
}

fn seed(sort: &str) -> Vec<u8> {
    seeds().into_iter().find(|(own, _)| *own == sort).map(|(_, bytes)| bytes).unwrap()
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn nifti() -> Vec<Case> {
    let whole = seed("nifti");
    let at = |damage: &str, at: usize, own: &[u8]| one("a.nii", damage, put(&whole, at, own));
    let packed = gzip(&whole);
    let pair = {
        let mut header = whole[..348].to_vec();
        header[344..348].copy_from_slice(b"ni1\0");
        header
    };
    let huge = [40, 7, 0, 0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f, 0xff, 0x7f];
    vec![
        one("a.nii", "cut in the header", cut(&whole, 200)),
        one("a.nii", "cut before the volume", cut(&whole, 352)),
        one("a.nii", "cut in the volume", cut(&whole, 360)),
        at("eight axes", 40, &[8, 0]),
        at("no axes", 40, &[0, 0]),
        at("an axis of minus one", 42, &[0xff, 0xff]),
        at("an axis of none", 42, &[0, 0]),
        at("2^105 voxels", 40, &huge[1..]),
        at("a type that is none", 70, &[99, 0]),
        at("bits that are not those of the type", 72, &[64, 0]),
        at("a volume inside the header", 108, &10f32.to_le_bytes()),
        at("a volume beyond the end", 108, &1e9f32.to_le_bytes()),
        at("a volume at no number", 108, &f32::NAN.to_le_bytes()),
        one("a.nii.gz", "gzip cut short", cut(&packed, packed.len() - 12)),
        one("a.nii.gz", "gzip with another checksum", put(&packed, packed.len() - 8, &[1, 2, 3, 4])),
        one("a.nii.gz", "gzip with a broken body", put(&packed, 30, &[0xff; 8])),
        one("a.nii.gz", "a bomb: 64 MB of zeros for a header", gzip(&vec![0; 64 << 20])),
        several("a.hdr", "a header without its image", vec![("a.hdr", pair.clone())]),
        several("a.hdr.gz", "a header without its image", vec![("a.hdr.gz", gzip(&pair))]),
        several("a.hdr.gz", "a header cut short", vec![("a.hdr.gz", cut(&gzip(&pair), 40)), ("a.img.gz", gzip(&[0; 24]))]),
        several("a.hdr.gz", "a header with its image cut short", vec![("a.hdr.gz", gzip(&pair)), ("a.img.gz", cut(&gzip(&[7; 24]), 12))]),
        several("a.hdr", "a header with its image cut short", vec![("a.hdr", pair), ("a.img", vec![0; 5])]),
    ]
}

fn gifti() -> Vec<Case> {
    let whole = seed("gifti");
    let changed = |damage: &str, old: &str, new: &str| one("a.gii", damage, swap(&whole, old.as_bytes(), new.as_bytes()));
    let laughs = "<?xml version='1.0'?><!DOCTYPE x [<!ENTITY a 'ha'><!ENTITY b '&a;&a;&a;&a;'>]><GIFTI Version='1.0' NumberOfDataArrays='0'><MetaData>\
                  <MD><Name>&b;</Name><Value>1</Value></MD></MetaData></GIFTI>";
    vec![
        one("a.gii", "cut in an array", cut(&whole, find(&whole, b"1 2 3"))),
        one("a.gii", "entities of its own", laughs.as_bytes().to_vec()),
        changed("2^63 numbers", "Dim0='3'", "Dim0='9223372036854775807'"),
        changed("more numbers than there are", "Dim0='3'", "Dim0='4'"),
        changed("fewer numbers than there are", "Dim0='3'", "Dim0='2'"),
        changed("a negative length", "Dim0='3'", "Dim0='-3'"),
        changed("200 axes", "Dimensionality='1'", "Dimensionality='200'"),
        changed("a type that is none", "NIFTI_TYPE_UINT8", "NIFTI_TYPE_UINT9"),
        changed("an encoding that is none", "'ASCII'", "'Morse'"),
        changed(
            "base64 that is none",
            "Encoding='ASCII' Endian='LittleEndian'><Data>1 2 3",
            "Encoding='Base64Binary' Endian='LittleEndian'><Data>####",
        ),
        changed(
            "deflate that is none",
            "Encoding='ASCII' Endian='LittleEndian'><Data>1 2 3",
            "Encoding='GZipBase64Binary' Endian='LittleEndian'><Data>AAAA",
        ),
        asked(changed(
            "an external file out of the folder",
            "Encoding='ASCII'",
            "Encoding='ExternalFileBinary' ExternalFileName='../../etc/passwd' ExternalFileOffset='0'",
        )),
        changed("a word among numbers", "1 2 3", "1 x 3"),
    ]
}

fn png() -> Vec<u8> {
    let mut bytes = Vec::new();
    let mut encoder = png::Encoder::new(&mut bytes, 4, 3);
    encoder.set_color(png::ColorType::Grayscale);
    encoder.write_header().unwrap().write_image_data(&[7; 12]).unwrap();
    bytes
}

/// A TIFF of one grey page of 4 × 3, or of a page that says other things of itself.
fn tiff(width: u32, height: u32, bits: u32, data_at: u32, bytes: u32, next: u32) -> Vec<u8> {
    let mut out = b"II\x2a\0\x08\0\0\0".to_vec();
    let tags = [(256u16, width), (257, height), (258, bits), (259, 1), (262, 1), (273, data_at), (278, height), (279, bytes)];
    out.extend((tags.len() as u16).to_le_bytes());
    for (tag, value) in tags {
        out.extend(tag.to_le_bytes());
        out.extend([4, 0, 1, 0, 0, 0]);
        out.extend(value.to_le_bytes());
    }
    out.extend(next.to_le_bytes());
    out.extend([9; 12]);
    out
}

fn pictures() -> Vec<Case> {
    let png = png();
    let (sound, at) = (tiff(4, 3, 8, 110, 12, 0), 110);
    assert_eq!(sound.len(), at + 12);
    vec![
        one("a.png", "cut in the header", cut(&png, 20)),
        one("a.png", "cut in the pixels", cut(&png, png.len() - 20)),
        one("a.png", "2^31 - 1 pixels each way", put(&png, 16, &[0x7f, 0xff, 0xff, 0xff, 0x7f, 0xff, 0xff, 0xff])),
        one("a.png", "a width of none", put(&png, 16, &[0; 4])),
        one("a.png", "another checksum of the header", put(&png, 29, &[1, 2, 3, 4])),
        one("a.png", "a depth that is none", put(&png, 24, &[3])),
        one("a.png", "pixels that are no deflate", put(&png, find(&png, b"IDAT") + 4, &[0xff; 4])),
        one("a.tif", "cut in the tags", cut(&sound, 40)),
        one("a.tif", "cut in the pixels", cut(&sound, at + 5)),
        one("a.tif", "pages in a circle", tiff(4, 3, 8, 110, 12, 8)),
        one("a.tif", "tags beyond the end", put(&sound, 4, &u32::MAX.to_le_bytes())),
        asked(one("a.tif", "2^32 - 1 pixels each way", tiff(u32::MAX, u32::MAX, 8, 110, 12, 0))),
        one("a.tif", "pixels beyond the end", tiff(4, 3, 8, 1 << 30, 12, 0)),
        one("a.tif", "values of 7 bits", tiff(4, 3, 7, 110, 12, 0)),
        one("a.jpg", "nothing after the first marker", vec![0xff, 0xd8, 0xff]),
        one("a.jpg", "cut in a table", vec![0xff, 0xd8, 0xff, 0xdb, 0, 67, 0, 1, 2]),
    ]
}

fn zarr() -> Vec<Case> {
    let changed = |damage: &str, path: &str, change: &dyn Fn(&[u8]) -> Option<Vec<u8>>| {
        let files = zarr_files()
            .into_iter()
            .filter_map(|(name, bytes)| if name == path { change(&bytes).map(|bytes| (name, bytes)) } else { Some((name, bytes)) })
            .collect();
        Case { damage: format!("Zarr: {damage}"), named: String::new(), reader: Some("zarr"), asked: false, files }
    };
    let text = |damage: &str, old: &'static str, new: &'static str| {
        changed(damage, "a/zarr.json", &|bytes: &[u8]| {
            let own = String::from_utf8(bytes.to_vec()).unwrap();
            assert!(own.contains(old), "{own}");
            Some(own.replace(old, new).into_bytes())
        })
    };
    let deep = format!("{}{}", "[".repeat(100_000), "]".repeat(100_000));
    vec![
        changed("metadata cut short", "a/zarr.json", &|bytes| Some(cut(bytes, 40))),
        changed("metadata 100000 deep", "a/zarr.json", &|_| Some(deep.clone().into_bytes())),
        text("2^63 rows", "\"shape\":[3,4]", "\"shape\":[9223372036854775807,4]"),
        text("minus one row", "\"shape\":[3,4]", "\"shape\":[-1,4]"),
        text("chunks of none", "\"chunk_shape\":[2,4]", "\"chunk_shape\":[0,4]"),
        text("chunks of 2^62", "\"chunk_shape\":[2,4]", "\"chunk_shape\":[4611686018427387904,4]"),
        text("chunks of another number of axes", "\"chunk_shape\":[2,4]", "\"chunk_shape\":[2]"),
        text("a type that is none", "int16", "int17"),
        text("a codec that is none", "blosc", "zipped"),
        text("a version that is none", "\"zarr_format\":3", "\"zarr_format\":9"),
        changed("a chunk cut in its header", "a/c/0/0", &|bytes| Some(cut(bytes, 10))),
        changed("a chunk cut in its values", "a/c/0/0", &|bytes| Some(cut(bytes, 30))),
        changed("a chunk of 2^32 - 1 bytes", "a/c/0/0", &|bytes| Some(put(bytes, 4, &u32::MAX.to_le_bytes()))),
        changed("blocks of no bytes", "a/c/0/0", &|bytes| Some(put(bytes, 8, &[0; 4]))),
        changed("a shard cut in its index", "b/c/0/0", &|bytes| Some(cut(bytes, 30))),
        changed("a shard whose index has another checksum", "b/c/0/0", &|bytes| Some(put(bytes, bytes.len() - 4, &[9; 4]))),
        changed("zstd that is none", "c/c/1/0", &|_| Some(vec![1; 9])),
    ]
}

fn idx() -> Vec<Case> {
    let whole = seed("idx");
    vec![
        one("a-idx2-ubyte", "cut in the lengths", cut(&whole, 7)),
        one("a-idx2-ubyte", "cut in the values", cut(&whole, whole.len() - 1)),
        one("a-idx2-ubyte", "2^64 values", put(&whole, 4, &[0xff; 8])),
        one("a-idx2-ubyte", "more than it says", [whole.as_slice(), &[7]].concat()),
        one("a-idx2-ubyte.gz", "gzip of something cut short", gzip(&cut(&whole, 9))),
        one("a.hdr", "a header of an older kind, with no axes", field(&vec![0; 348], 0, 4, "\x5c\x01\0\0")),
    ]
}
