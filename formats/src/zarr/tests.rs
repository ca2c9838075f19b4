//! Hierarchies built in code: both versions, every codec, shards, missing chunks, text, and damage.

use super::*;
use arrow::array::AsArray;
use arrow::buffer::Buffer;
use neuroflow_data::FileTree;
use serde_json::json;
use std::io::Write;

/// How a chunk is compressed.
type Pack<'a> = &'a dyn Fn(&[u8]) -> Vec<u8>;

fn tree(files: &[(&str, Vec<u8>)]) -> Arc<dyn Folder> {
    let mut tree = FileTree::default();
    files.iter().for_each(|(name, bytes)| tree.insert(*name, Buffer::from_vec(bytes.clone())).unwrap());
    Arc::new(tree)
}

fn opened(files: &[(&str, Vec<u8>)]) -> Result<ZarrDocument, FormatError> {
    open(tree(files), "", &Limits::default())
}

fn zlib(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::ZlibEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

fn shorts(values: impl IntoIterator<Item = i16>) -> Vec<u8> {
    values.into_iter().flat_map(i16::to_le_bytes).collect()
}

/// Metadata of version 2 for a 3 × 4 array in chunks of 2 × 3.
fn two(extra: &[(&str, Value)]) -> Vec<u8> {
    let mut own = json!({"zarr_format": 2, "shape": [3, 4], "chunks": [2, 3], "dtype": "<i2", "compressor": null, "fill_value": -7, "order": "C",
        "filters": null});
    extra.iter().for_each(|(name, value)| own[*name] = value.clone());
    own.to_string().into_bytes()
}

/// Metadata of version 3 for the same array.
fn three(codecs: Value) -> Vec<u8> {
    json!({"zarr_format": 3, "node_type": "array", "shape": [3, 4], "data_type": "int16", "fill_value": -7, "codecs": codecs,
        "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 3]}}, "dimension_names": ["a", null],
        "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}, "attributes": {"units": "mV"}})
    .to_string()
    .into_bytes()
}

/// A container of blosc with lz4 streams: shuffled bytes in `typesize` streams, as c-blosc writes a whole block.
fn blosc(bytes: &[u8], size: usize) -> Vec<u8> {
    let count = bytes.len() / size;
    let mut planes: Vec<u8> =
        (0..size).flat_map(|byte| (0..count).map(move |value| (value, byte))).map(|(value, byte)| bytes[value * size + byte]).collect();
    let split = count >= 128;
    let mut body = Vec::new();
    let each = if split { count } else { planes.len() };
    for plane in planes.chunks_mut(each) {
        let packed = lz4_flex::block::compress(plane);
        let stream = if packed.len() < plane.len() { packed } else { plane.to_vec() };
        body.extend((stream.len() as u32).to_le_bytes());
        body.extend(stream);
    }
    let mut out = vec![2, 1, 1 | (1 << 5), size as u8];
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend((bytes.len() as u32).to_le_bytes());
    out.extend((16 + 4 + body.len() as u32).to_le_bytes());
    out.extend(20u32.to_le_bytes());
    out.extend(body);
    out
}

/// What the array is: number `10 row + column` where the chunk is there, the fill value elsewhere.
const WHOLE: [f64; 12] = [0.0, 1.0, 2.0, -7.0, 10.0, 11.0, 12.0, -7.0, 20.0, 21.0, 22.0, -7.0];

/// The same with another fill value.
fn filled(fill: f64) -> [f64; 12] {
    WHOLE.map(|value| if value == -7.0 { fill } else { value })
}

fn chunk(first: i16) -> Vec<u8> {
    shorts((0..2).flat_map(|row| (0..3).map(move |column| first + 10 * row + column)))
}

fn check(files: &[(&str, Vec<u8>)], path: &str) {
    check_filled(files, path, -7.0);
}

fn check_filled(files: &[(&str, Vec<u8>)], path: &str, fill: f64) {
    let document = opened(files).unwrap();
    let tensor = document.tensor(path, None).unwrap();
    assert_eq!((tensor.shape(), tensor.values()), (vec![3, 4], &filled(fill)[..]));
    let part = document.tensor(path, Some(&[1..3, 2..4])).unwrap();
    assert_eq!(part.values(), [12.0, fill, 22.0, fill]);
    assert!(document.tensor(path, Some(&[0..9, 0..1])).unwrap_err().to_string().contains("does not fit axis 0"));
}

#[test]
fn version_two_with_every_compressor_order_and_key() {
    let codecs: [(Value, Pack); 6] = [
        (Value::Null, &|bytes| bytes.to_vec()),
        (json!({"id": "zlib", "level": 1}), &zlib),
        (json!({"id": "gzip", "level": 1}), &gzip),
        (json!({"id": "zstd", "level": 1}), &|bytes| zstd::bulk::compress(bytes, 1).unwrap()),
        (json!({"id": "lz4"}), &|bytes| [&(bytes.len() as u32).to_le_bytes()[..], &lz4_flex::block::compress(bytes)].concat()),
        (json!({"id": "blosc"}), &|bytes| blosc(bytes, 2)),
    ];
    for (codec, pack) in codecs {
        let files = [(".zarray", two(&[("compressor", codec)])), ("0.0", pack(&chunk(0))), ("1.0", pack(&chunk(20)))];
        check(&files, "array");
    }
    let turned = |first: i16| shorts((0..3).flat_map(|column| (0..2).map(move |row| first + 10 * row + column)));
    check(&[(".zarray", two(&[("order", json!("F"))])), ("0.0", turned(0)), ("1.0", turned(20))], "");
    check(&[(".zarray", two(&[("dimension_separator", json!("/"))])), ("0/0", chunk(0)), ("1/0", chunk(20))], "");
    let swapped = |first: i16| chunk(first).chunks(2).flat_map(|two| [two[1], two[0]]).collect::<Vec<u8>>();
    check(&[(".zarray", two(&[("dtype", json!(">i2"))])), ("0.0", swapped(0)), ("1.0", swapped(20))], "");
    let shuffled = |bytes: &[u8]| bytes.iter().step_by(2).chain(bytes.iter().skip(1).step_by(2)).copied().collect::<Vec<u8>>();
    let filter = json!([{"id": "shuffle", "elementsize": 2}]);
    check(&[(".zarray", two(&[("filters", filter)])), ("0.0", shuffled(&chunk(0))), ("1.0", shuffled(&chunk(20)))], "");
}

fn hex(text: &str) -> Vec<u8> {
    text.as_bytes().chunks(2).map(|two| u8::from_str_radix(std::str::from_utf8(two).unwrap(), 16).unwrap()).collect()
}

fn bzip2(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = bzip2::write::BzEncoder::new(Vec::new(), bzip2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// What numcodecs 0.16.6 makes of both chunks.
fn filtered() -> Vec<(&'static str, Value, [Vec<u8>; 2])> {
    let scaled = json!({"scale": 10, "offset": 5, "dtype": "<i2", "astype": "<i4"});
    vec![
        ("delta", json!({"dtype": "<i2", "astype": "|i1"}), [hex("000101080101"), hex("140101080101")]),
        (
            "fixedscaleoffset",
            scaled,
            [hex("ceffffffd8ffffffe2ffffff320000003c00000046000000"), hex("96000000a0000000aa000000fa000000040100000e010000")],
        ),
        (
            "astype",
            json!({"encode_dtype": ">f4", "decode_dtype": "<i2"}),
            [hex("000000003f80000040000000412000004130000041400000"), hex("41a0000041a8000041b0000041f0000041f8000042000000")],
        ),
        ("crc32", json!({}), [hex("47411d0c0000010002000a000b000c00"), hex("6c62baab1400150016001e001f002000")]),
        ("adler32", json!({}), [hex("2500a6000000010002000a000b000c00"), hex("9d00ee031400150016001e001f002000")]),
        ("fletcher32", json!({}), [hex("0000010002000a000b000c000024004d"), hex("1400150016001e001f002000009c01f1")]),
        ("jenkins_lookup3", json!({"initval": 7}), [hex("0000010002000a000b000c000049ad1c"), hex("1400150016001e001f002000758fca35")]),
        ("crc32c", json!({}), [hex("0000010002000a000b000c00d1c43c8e"), hex("1400150016001e001f002000a1a2cb15")]),
    ]
}

#[test]
fn filters_of_numcodecs_in_both_versions() {
    let little = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let pack = json!({"name": "numcodecs.bz2", "configuration": {"level": 1}});
    for (name, configuration, [first, second]) in filtered() {
        let mut own = configuration.clone();
        own["id"] = json!(name);
        let two = two(&[("filters", json!([own])), ("compressor", json!({"id": "bz2", "level": 1}))]);
        check(&[(".zarray", two), ("0.0", bzip2(&first)), ("1.0", bzip2(&second))], "array");
        // Of an array in version 3 `bytes` says the order of what a filter made.
        let (given, order) = if name == "astype" { (true, "big") } else { (!name.contains("32") && !name.contains("lookup"), "little") };
        let own = json!({"name": format!("numcodecs.{name}"), "configuration": configuration});
        let bytes = json!({"name": "bytes", "configuration": {"endian": order}});
        let codecs = if given { json!([own, bytes, pack]) } else { json!([little, own, pack]) };
        check(&[("zarr.json", three(codecs)), ("c/0/0", bzip2(&first)), ("c/1/0", bzip2(&second))], "array");
    }
}

#[test]
fn filters_that_do_not_fit_are_told() {
    let of = |filter: Value, chunk: Vec<u8>| {
        let files = [(".zarray", two(&[("filters", json!([filter]))])), ("0.0", chunk)];
        opened(&files).and_then(|document| document.tensor("", None)).unwrap_err().to_string()
    };
    let delta = |dtype: &str, astype: &str| json!({"id": "delta", "dtype": dtype, "astype": astype});
    assert!(of(delta("<i2", "<i4"), vec![0; 23]).contains("chunk `0.0`: 23 bytes are no numbers of 4 bytes, as its filter makes them"));
    assert!(of(delta("<i4", "<i4"), vec![0; 24]).contains("its filter makes 24 bytes, more than the 12 of a chunk"));
    assert!(of(delta("<i8", "|i1"), vec![0; 24]).contains("its filter makes 192 bytes, more than the 12 of a chunk"));
    assert!(of(delta("<i2", "<f4"), vec![0; 24]).contains("int16 by the codec `delta`"));
    assert!(of(delta("<i2", "<q9"), vec![0; 24]).contains("int16 by the codec `delta`"));
    assert!(of(json!({"id": "fixedscaleoffset", "dtype": "<i2"}), vec![0; 12]).contains("by the codec `fixedscaleoffset`"));
    assert!(of(json!({"id": "packbits"}), vec![]).contains("packed bits have no first byte"));
    assert!(of(json!({"id": "packbits"}), vec![9, 1]).contains("packed bits have 9 bits too many"));
    assert!(of(json!({"id": "shuffle", "elementsize": 0}), vec![0; 12]).contains("by the codec `shuffle`"));
    assert!(of(json!({"id": "adler32"}), vec![0; 16]).contains("the checksum does not match the bytes"));
    let bz2 = |bytes: Vec<u8>| {
        let files = [(".zarray", two(&[("compressor", json!({"id": "bz2"}))])), ("0.0", bytes)];
        opened(&files).unwrap().tensor("", None).unwrap_err().to_string()
    };
    assert!(bz2(bzip2(&[0; 13])).contains("more than the 12 bytes of a chunk"));
    assert!(bz2(vec![1; 40]).contains("the bzip2 data break off or are damaged"));
    // Differences of a transposed array have an order that is not told.
    let transposed = json!([{"name": "transpose", "configuration": {"order": [1, 0]}},
        {"name": "numcodecs.delta", "configuration": {"dtype": "<i2"}}, {"name": "bytes", "configuration": {"endian": "little"}}]);
    let error = opened(&[("zarr.json", three(transposed))]).unwrap().tensor("", None).unwrap_err().to_string();
    assert!(error.contains("by differences or bits of a transposed array"), "{error}");
}

#[test]
fn version_three_with_every_codec_and_shards() {
    let little = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let crc = |bytes: &[u8]| [bytes, &codecs::crc32c(bytes).to_le_bytes()].concat();
    let chains: [(Value, Pack); 4] = [
        (json!([little]), &|bytes| bytes.to_vec()),
        (json!([little, {"name": "gzip", "configuration": {"level": 1}}]), &gzip),
        (json!([little, {"name": "zstd", "configuration": {"level": 1}}, {"name": "crc32c"}]), &|bytes| {
            crc(&zstd::bulk::compress(bytes, 1).unwrap())
        }),
        (json!([{"name": "transpose", "configuration": {"order": [1, 0]}}, little]), &|bytes| {
            (0..3).flat_map(|column| [0, 3].map(|row| row + column)).flat_map(|place| [bytes[2 * place], bytes[2 * place + 1]]).collect()
        }),
    ];
    for (codecs, pack) in chains {
        let files = [("zarr.json", three(codecs)), ("c/0/0", pack(&chunk(0))), ("c/1/0", pack(&chunk(20)))];
        check(&files, "array");
    }
    // Shards of inner chunks of 1 × 3: the second row of the second shard is not there.
    for at_end in [true, false] {
        let shard = |first: i16, rows: usize| {
            let body: Vec<Vec<u8>> = (0..rows).map(|row| zlib_row(first + 10 * row as i16)).collect();
            let mut index = Vec::new();
            let mut at = if at_end { 0u64 } else { 36 };
            for row in 0..2 {
                match body.get(row) {
                    Some(own) => {
                        index.extend(at.to_le_bytes());
                        index.extend((own.len() as u64).to_le_bytes());
                        at += own.len() as u64;
                    }
                    None => index.extend([0xff; 16]),
                }
            }
            let index = crc(&index);
            if at_end { [body.concat(), index].concat() } else { [index, body.concat()].concat() }
        };
        let codecs = json!([{"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 3],
            "index_location": if at_end { "end" } else { "start" },
            "codecs": [little, {"name": "gzip", "configuration": {"level": 1}}], "index_codecs": [little, {"name": "crc32c"}]}}]);
        let files = [("zarr.json", three(codecs)), ("c/0/0", shard(0, 2)), ("c/1/0", shard(20, 1))];
        check(&files, "array");
        let mut broken = files.clone();
        let place = if at_end { broken[1].1.len() - 5 } else { 0 };
        broken[1].1[place] ^= 1;
        let error = opened(&broken).unwrap().tensor("", None).unwrap_err().to_string();
        assert!(error.contains("chunk `c/0/0`: its index: the checksum does not match"), "{error}");
    }
}

fn zlib_row(first: i16) -> Vec<u8> {
    gzip(&shorts([first, first + 1, first + 2]))
}

#[test]
fn groups_attributes_and_consolidated_metadata() {
    let group = br#"{"zarr_format": 2}"#.to_vec();
    let attributes = br#"{"subject": "m1", "gain": NaN, "note": "NaN \" stays"}"#.to_vec();
    // Beside names of axes, any other fill value would stand for what is missing.
    let array = two(&[("fill_value", json!(0))]);
    let own = br#"{"_ARRAY_DIMENSIONS": ["time", "unit"], "units": "mV", "description": "what it is"}"#.to_vec();
    let files = [
        (".zgroup", group.clone()),
        (".zattrs", attributes.clone()),
        ("raw/.zgroup", group.clone()),
        ("raw/lfp/.zarray", array.clone()),
        ("raw/lfp/.zattrs", own.clone()),
        ("raw/lfp/0.0", chunk(0)),
        ("raw/lfp/1.0", chunk(20)),
    ];
    check_filled(&files, "raw/lfp", 0.0);
    let document = opened(&files).unwrap();
    let contents = document.contents();
    assert_eq!(
        (contents.facts["subject"].as_str(), contents.facts["gain"].as_str(), contents.facts["note"].as_str()),
        ("m1", "NaN", "NaN \" stays")
    );
    assert_eq!(contents.items.iter().map(|item| item.path.as_str()).collect::<Vec<_>>(), ["raw", "raw/lfp"]);
    assert_eq!(contents.items[1].about, "what it is");
    let tensor = document.tensor("raw/lfp", None).unwrap();
    assert_eq!((tensor.axes()[1].name.as_str(), tensor.unit()), ("unit", Some("mV")));
    let parse = |bytes: &[u8]| serde_json::from_slice::<Value>(&lenient(bytes)).unwrap();
    let all = json!({"metadata": {".zgroup": parse(&group), "raw/lfp/.zarray": parse(&array)}, "zarr_consolidated_format": 1});
    check_filled(&[(".zmetadata", all.to_string().into_bytes()), ("raw/lfp/0.0", chunk(0)), ("raw/lfp/1.0", chunk(20))], "raw/lfp", 0.0);
    let below =
        open(tree(&files.map(|(name, bytes)| (format!("x/y.zarr/{name}").leak() as &str, bytes))), "x/y.zarr", &Limits::default()).unwrap();
    assert_eq!(below.tensor("raw/lfp", None).unwrap().values(), filled(0.0));
}

#[test]
fn text_of_fixed_and_of_variable_length() {
    let wide: Vec<u8> = ["ab", "é"]
        .iter()
        .flat_map(|text| {
            let mut codes: Vec<u32> = text.chars().map(u32::from).collect();
            codes.resize(2, 0);
            codes.into_iter().flat_map(u32::to_le_bytes)
        })
        .collect();
    let files = [
        (".zarray", two(&[("shape", json!([3])), ("chunks", json!([2])), ("dtype", json!("<U2")), ("fill_value", json!(""))])),
        ("0", wide),
    ];
    let read = |files: &[(&str, Vec<u8>)]| {
        let rows = opened(files).unwrap().rows("").unwrap().read(&[0], 0..9).unwrap();
        rows.column(0).as_string::<i32>().iter().map(|text| text.unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    assert_eq!(read(&files), ["ab", "é", ""]);
    let mut packed = 2u32.to_le_bytes().to_vec();
    for text in ["hello", "ü"] {
        packed.extend((text.len() as u32).to_le_bytes());
        packed.extend(text.as_bytes());
    }
    let dtype = [("shape", json!([2])), ("chunks", json!([2])), ("dtype", json!("|O")), ("filters", json!([{"id": "vlen-utf8"}]))];
    assert_eq!(read(&[(".zarray", two(&dtype)), ("0", packed)]), ["hello", "ü"]);
}

#[test]
fn an_array_of_far_more_chunks_than_files_reads_those_that_are_there() {
    let metadata = two(&[("shape", json!([100_000_000])), ("chunks", json!([1])), ("fill_value", json!("NaN"))]);
    let document = opened(&[(".zarray", metadata), ("77", shorts([5])), ("99999999", shorts([6])), ("x", vec![1])]).unwrap();
    let values = document.tensor("", None).unwrap();
    assert_eq!((values.values()[77], values.values()[99_999_999]), (5.0, 6.0));
    assert!(values.values()[78].is_nan());
}

#[test]
fn damage_is_told_with_its_array_and_chunk() {
    let of = |metadata: Vec<u8>, chunk: Vec<u8>| {
        opened(&[(".zarray", metadata), ("0.0", chunk)]).and_then(|document| document.tensor("", None)).unwrap_err().to_string()
    };
    assert!(
        opened(&[("a", vec![])]).unwrap_err().to_string().starts_with("Zarr: the file: the folder has no metadata"),
        "{}",
        opened(&[("a", vec![])]).unwrap_err()
    );
    assert!(of(b"{".to_vec(), vec![]).contains("the metadata are no JSON"));
    assert!(of(b"[]".to_vec(), vec![]).contains("no JSON object"));
    assert!(of(two(&[("chunks", json!([2]))]), vec![]).contains("has 2 axes, its chunks have 1"));
    assert!(of(two(&[("chunks", json!([0, 3]))]), vec![]).contains("an axis of length 0"));
    assert!(of(two(&[("shape", json!([-1, 3]))]), vec![]).contains("`shape` is no list of lengths"));
    assert!(of(two(&[("dtype", json!("<q9"))]), vec![]).contains("the type `<q9` is not known"));
    assert!(of(two(&[("dtype", json!("<c16"))]), vec![]).contains("complex c16, which is not read as numbers"));
    assert!(of(two(&[("order", json!("X"))]), vec![]).contains("neither C nor F"));
    assert!(of(two(&[("compressor", json!({"id": "lzma"}))]), vec![]).contains("by the codec `lzma`"));
    assert!(of(two(&[]), vec![1]).contains("chunk `0.0`: it holds 1 bytes, its shape [2, 3] calls for 12"));
    assert!(
        of(two(&[("compressor", json!({"id": "zlib"}))]), zlib(&[0; 13])).contains("more than the 12 allowed"),
        "{}",
        of(two(&[("compressor", json!({"id": "zlib"}))]), zlib(&[0; 13]))
    );
    assert!(
        of(two(&[("compressor", json!({"id": "zstd"}))]), zstd::bulk::compress(&[0; 13], 1).unwrap()).contains("more than the 12 bytes")
    );
    let lz4 = json!({"id": "lz4"});
    assert!(of(two(&[("compressor", lz4)]), vec![255, 255, 255, 255, 0]).contains("claims to hold 4294967295"));
    let mut packed = blosc(&chunk(0), 2);
    packed[4] = 200;
    let container = json!({"id": "blosc"});
    assert!(of(two(&[("compressor", container.clone())]), packed).contains("a blosc chunk claims to hold 200 bytes"));
    assert!(of(two(&[("compressor", container)]), vec![2, 1]).contains("header of a blosc chunk is cut short"));
    let huge = two(&[("shape", json!([u64::MAX, 2])), ("chunks", json!([u64::MAX, 2]))]);
    assert!(of(huge, vec![]).contains("may be held"));
    let codecs = |codecs: Value| opened(&[("zarr.json", three(codecs))]).unwrap_err().to_string();
    assert!(codecs(json!([])).contains("no codec makes bytes"));
    assert!(codecs(json!([{"name": "transpose", "configuration": {"order": [0, 0]}}, "bytes"])).contains("no permutation"));
    assert!(open(tree(&[]), "../x", &Limits::default()).unwrap_err().to_string().contains("leads out of the folder"));
}

/// As `xarray.open_zarr` 2026.9 has them.
#[test]
fn packed_values_are_unpacked() {
    let packed = |metadata: Vec<u8>, attributes: Value| {
        let mut own: Value = serde_json::from_slice(&metadata).unwrap();
        own["attributes"] = attributes;
        own.to_string().into_bytes()
    };
    let codecs = json!([{"name": "bytes", "configuration": {"endian": "little"}}]);
    let attributes = json!({"scale_factor": 0.5, "add_offset": 1.0, "_FillValue": 11, "units": "uV"});
    let files = [("zarr.json", packed(three(codecs), attributes)), ("c/0/0", chunk(0)), ("c/1/0", chunk(20))];
    let document = opened(&files).unwrap();
    let tensor = document.tensor("array", None).unwrap();
    assert_eq!((tensor.unit(), &tensor.values()[..5]), (Some("uV"), &[1.0, 1.5, 2.0, -2.5, 6.0][..]));
    assert!(tensor.values()[5].is_nan());
    assert_eq!(document.tensor("array", Some(&[2..3, 0..2])).unwrap().values(), [11.0, 11.5]);
    let item = document.contents().item("array").unwrap();
    assert!(matches!(&item.what, What::Array { element, .. } if element == "int16"));
    assert!(item.about.starts_with("values are the stored ones × 0.5 + 1; stored 11 is missing"), "{}", item.about);

    // Version 2 has `_FillValue` in `fill_value`, where xarray wrote it.
    let read = |fill: Value, attributes: Value| {
        let files = [
            (".zarray", two(&[("fill_value", fill)])),
            (".zattrs", attributes.to_string().into_bytes()),
            ("0.0", chunk(0)),
            ("1.0", chunk(20)),
        ];
        opened(&files).unwrap().tensor("array", None).unwrap().values().to_vec()
    };
    let axes = json!(["a", "b"]);
    let masked = read(json!(0), json!({"_ARRAY_DIMENSIONS": axes, "scale_factor": 2.0}));
    assert!(masked[0].is_nan() && masked[3].is_nan() && masked[1] == 2.0);
    let masked = read(json!(-7), json!({"_ARRAY_DIMENSIONS": axes}));
    assert!(masked[3].is_nan() && masked[0] == 0.0);
    // Others leave zero as the fill value, or name no axes: these are values.
    assert_eq!(read(json!(0), json!({"_ARRAY_DIMENSIONS": axes}))[..4], [0.0, 1.0, 2.0, 0.0]);
    assert_eq!(read(json!(-7), json!({"units": "mV"}))[..4], [0.0, 1.0, 2.0, -7.0]);
    let volts = read(json!(0), json!({"_ARRAY_DIMENSIONS": axes, "conversion": 0.5, "offset": 3.0, "unit": "V"}));
    assert_eq!(volts[..5], [3.0, 3.5, 4.0, 3.0, 8.0]);
}

#[test]
fn what_is_no_number_says_how_to_save_it() {
    let refusal =
        |extra: &[(&str, Value)]| opened(&[(".zarray", two(extra)), ("0.0", chunk(0))]).unwrap().tensor("array", None).unwrap_err().help;
    let codec = |id: &str| [("dtype", json!("|O")), ("filters", json!([{"id": id}]))];
    assert!(refusal(&[("dtype", json!("<M8[ns]"))]).contains("microseconds since 1970"));
    assert!(refusal(&[("dtype", json!("<m8[s]"))]).contains("are seconds"));
    assert!(refusal(&[("dtype", json!("<c16"))]).contains("`real` and `imag`"));
    assert!(refusal(&[("dtype", json!([["a", "<i4"]]))]).contains("each of its fields"));
    assert!(refusal(&codec("json2")).contains("vlen-utf8"));
    assert!(refusal(&codec("categorize")).contains("the words as text"));
    assert!(refusal(&[("compressor", json!({"id": "unheard"}))]).contains("the codec gzip, zstd or blosc"));
}
