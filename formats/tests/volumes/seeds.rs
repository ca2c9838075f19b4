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
    // What no test would write by hand: `reference/small_files.py` has.
    let kept: [(&str, &[u8]); 11] = [
        ("picture", include_bytes!("../files/small/deep.png")),
        ("picture", include_bytes!("../files/small/palette.png")),
        ("picture", include_bytes!("../files/small/alpha.png")),
        ("picture", include_bytes!("../files/small/colours.jpg")),
        ("picture", include_bytes!("../files/small/progressive.jpg")),
        ("picture", include_bytes!("../files/small/lzw.tif")),
        ("picture", include_bytes!("../files/small/deflate.tif")),
        ("picture", include_bytes!("../files/small/packbits.tif")),
        ("picture", include_bytes!("../files/small/tiles.tif")),
        ("picture", include_bytes!("../files/small/imagej.tif")),
        ("excel", include_bytes!("../files/small/book.xls")),
    ];
    seeds.extend(kept.map(|(format, bytes)| (format, bytes.to_vec())));
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

/// The members of a workbook as `.xlsx` and of one as `.ods`: cells of every kind, shared strings, dates, spans.
pub fn workbooks() -> [Vec<(&'static str, &'static str)>; 2] {
    let xlsx = vec![
        ("[Content_Types].xml", "<Types xmlns='http://schemas.openxmlformats.org/package/2006/content-types'/>"),
        (
            "_rels/.rels",
            "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'><Relationship Id='r1' \
             Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/officeDocument' Target='xl/workbook.xml'/></Relationships>",
        ),
        (
            "xl/workbook.xml",
            "<workbook xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main' \
             xmlns:r='http://schemas.openxmlformats.org/officeDocument/2006/relationships'><workbookPr date1904='0'/>\
             <sheets><sheet name='One' sheetId='1' r:id='r1'/></sheets><definedNames><definedName name='all'>One!$A$1:$B$3</definedName>\
             </definedNames></workbook>",
        ),
        (
            "xl/_rels/workbook.xml.rels",
            "<Relationships xmlns='http://schemas.openxmlformats.org/package/2006/relationships'><Relationship Id='r1' \
             Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/worksheet' Target='worksheets/sheet1.xml'/>\
             <Relationship Id='r2' Type='http://schemas.openxmlformats.org/officeDocument/2006/relationships/sharedStrings' \
             Target='sharedStrings.xml'/></Relationships>",
        ),
        (
            "xl/styles.xml",
            "<styleSheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'><numFmts><numFmt numFmtId='164' \
             formatCode='yyyy-mm-dd hh:mm'/></numFmts><cellXfs><xf numFmtId='0'/><xf numFmtId='14'/><xf numFmtId='164'/><xf numFmtId='46'/></cellXfs>\
             </styleSheet>",
        ),
        (
            "xl/sharedStrings.xml",
            "<sst xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main' count='2' uniqueCount='2'><si><t>unit</t></si>\
             <si><r><t xml:space='preserve'>ra </t></r><r><t>te</t></r></si></sst>",
        ),
        (
            "xl/worksheets/sheet1.xml",
            "<worksheet xmlns='http://schemas.openxmlformats.org/spreadsheetml/2006/main'><dimension ref='A1:D3'/><sheetData>\
             <row r='1'><c r='A1' t='s'><v>0</v></c><c r='B1' t='s'><v>1</v></c></row>\
             <row r='2'><c r='A2' t='inlineStr'><is><t>a</t></is></c><c r='B2'><v>1.5</v></c><c r='C2' t='b'><v>1</v></c><c r='D2' s='1'><v>43861</v></c></row>\
             <row r='3'><c r='A3' t='str'><f>B2</f><v>x</v></c><c r='B3' t='e'><v>#N/A</v></c><c r='C3' s='3'><v>0.5</v></c><c r='D3' t='d'><v>2020-01-31</v></c></row>\
             </sheetData><mergeCells count='1'><mergeCell ref='A1:B1'/></mergeCells></worksheet>",
        ),
    ];
    let ods = vec![
        ("mimetype", "application/vnd.oasis.opendocument.spreadsheet"),
        (
            "content.xml",
            "<office:document-content xmlns:office='urn:oasis:names:tc:opendocument:xmlns:office:1.0' \
             xmlns:table='urn:oasis:names:tc:opendocument:xmlns:table:1.0' xmlns:text='urn:oasis:names:tc:opendocument:xmlns:text:1.0'>\
             <office:body><office:spreadsheet><table:table table:name='One'>\
             <table:table-row><table:table-cell office:value-type='string'><text:p>unit</text:p></table:table-cell>\
             <table:table-cell office:value-type='string'><text:p>a<text:s text:c='2'/>b</text:p></table:table-cell></table:table-row>\
             <table:table-row table:number-rows-repeated='2'><table:table-cell office:value-type='float' office:value='1.5' \
             table:number-columns-repeated='3'/><table:covered-table-cell/><table:table-cell office:value-type='date' office:date-value='2020-01-31'/>\
             <table:table-cell office:value-type='boolean' office:boolean-value='true'/></table:table-row></table:table></office:spreadsheet>\
             </office:body></office:document-content>",
        ),
    ];
    [xlsx, ods]
}
