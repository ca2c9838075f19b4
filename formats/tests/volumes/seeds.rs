//! Small files of every format, made by code: what damage tests and fuzzing begin with.

use serde_json::json;

/// A file of each format that is one file.
pub fn seeds() -> Vec<(&'static str, Vec<u8>)> {
    let mut seeds: Vec<(&'static str, Vec<u8>)> = vec![
        ("idx", [&[0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3][..], &[1, 2, 3, 4, 5, 6]].concat()),
        ("gml", b"graph [ directed 1 node [ id 1 label \"a\" x [ y 1 ] ] node [ id 2 ] edge [ source 1 target 2 value 3.5 ] ]".to_vec()),
        (
            "graphml",
            b"<graphml><key id='k' for='node' attr.type='int'><default>1</default></key><graph edgedefault='directed'><node id='a'>\
              <data key='k'>3</data></node><node id='b'/><edge source='a' target='b'/></graph></graphml>"
                .to_vec(),
        ),
        ("edge_list", b"# c\n0 1 2.5\n1 2 3\n".to_vec()),
        ("csv", b"a,b\n1,x\n2,y\n".to_vec()),
        (
            "gifti",
            b"<GIFTI Version='1.0' NumberOfDataArrays='1'><LabelTable><Label Key='1'>x</Label></LabelTable><DataArray Intent='NIFTI_INTENT_SHAPE' \
              DataType='NIFTI_TYPE_UINT8' Dimensionality='1' Dim0='3' Encoding='ASCII' Endian='LittleEndian'><Data>1 2 3</Data></DataArray></GIFTI>"
                .to_vec(),
        ),
        (
            "safetensors",
            [&(58u64.to_le_bytes())[..], br#"{"a":{"dtype":"F32","shape":[2],"data_offsets":[0,8]}}    "#, &[0, 0, 128, 63, 0, 0, 0, 64]].concat(),
        ),
        ("npy", neuroflow_data::formats::npy::write_npy_f64(&[2, 3], &[1.0, 2.0, 3.0, 4.0, 5.0, 6.0]).unwrap()),
        // A model of one graph with one initialiser of two floats.
        ("onnx", vec![8, 8, 58, 21, 42, 19, 8, 2, 16, 1, 66, 1, b'w', 74, 8, 0, 0, 128, 63, 0, 0, 0, 64, 24, 1]),
    ];
    let mut nifti = vec![0u8; 352];
    nifti[..4].copy_from_slice(&348i32.to_le_bytes());
    nifti[40..46].copy_from_slice(&[2, 0, 2, 0, 3, 0]);
    nifti[70] = 4;
    nifti[72] = 16;
    nifti[108..112].copy_from_slice(&352f32.to_le_bytes());
    nifti[344..347].copy_from_slice(b"n+1");
    nifti.extend([1; 12]);
    seeds.push(("nifti", nifti));
    let table =
        arrow::array::RecordBatch::try_from_iter([("a", std::sync::Arc::new(arrow::array::Int64Array::from(vec![1, 2, 3])) as _)]).unwrap();
    seeds.push(("parquet", neuroflow_data::formats::parquet::write_parquet(&table.schema(), std::slice::from_ref(&table)).unwrap()));
    seeds.push(("arrow_ipc", neuroflow_data::formats::arrow_ipc::write_arrow_ipc(&table.schema(), &[table]).unwrap()));
    seeds
}

/// A hierarchy of Zarr with blosc, zstd and shards.
pub fn zarr_files() -> Vec<(String, Vec<u8>)> {
    let three = |name: &str, codecs: serde_json::Value| {
        let own = json!({"zarr_format": 3, "node_type": "array", "shape": [3, 4], "data_type": "int16", "fill_value": 1,
            "codecs": codecs, "attributes": {},
            "chunk_grid": {"name": "regular", "configuration": {"chunk_shape": [2, 4]}},
            "chunk_key_encoding": {"name": "default", "configuration": {"separator": "/"}}});
        (format!("{name}/zarr.json"), own.to_string().into_bytes())
    };
    let bytes = json!({"name": "bytes", "configuration": {"endian": "little"}});
    let shards = json!([{"name": "sharding_indexed", "configuration": {"chunk_shape": [1, 4], "codecs": [bytes],
        "index_codecs": [bytes, {"name": "crc32c"}]}}]);
    let mut index: Vec<u8> = [0u64, 8, 8, 8].iter().flat_map(|own| own.to_le_bytes()).collect();
    index.extend([0; 4]);
    // One block, stored: blosc that is not compressed.
    let mut blosc = vec![2, 1, 1 | (1 << 5), 2];
    [16u32, 16, 40, 20, 16].iter().for_each(|own| blosc.extend(own.to_le_bytes()));
    blosc.extend(0u8..16);
    vec![
        ("zarr.json".to_owned(), br#"{"zarr_format": 3, "node_type": "group", "attributes": {"a": 1}}"#.to_vec()),
        three("a", json!([bytes, {"name": "blosc", "configuration": {}}])),
        ("a/c/0/0".to_owned(), blosc),
        three("b", shards),
        ("b/c/0/0".to_owned(), [&[1; 16][..], &index].concat()),
        three("c", json!([bytes, {"name": "zstd", "configuration": {}}])),
        ("c/c/1/0".to_owned(), vec![0x28, 0xb5, 0x2f, 0xfd, 0x20, 0x10, 0x81, 0, 0]),
    ]
}
