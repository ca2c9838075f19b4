//! Images built in code: every type, both byte orders, both versions, gzip and pairs, and damage.

use super::*;
use arrow::buffer::Buffer;
use neuroflow_data::{FileTree, Typed};
use std::io::Write;

/// A NIfTI-1 header of 348 bytes, and the mark of no extensions.
fn one(shape: &[i16], code: i16, bits: i16, big: bool, single: bool) -> Vec<u8> {
    let mut bytes = vec![0u8; 352];
    let mut put = |at: usize, own: &[u8]| {
        let mut own = own.to_vec();
        if big {
            own.reverse();
        }
        bytes[at..at + own.len()].copy_from_slice(&own);
    };
    put(0, &348i32.to_le_bytes());
    put(40, &(shape.len() as i16).to_le_bytes());
    for (axis, length) in shape.iter().enumerate() {
        put(42 + 2 * axis, &length.to_le_bytes());
    }
    put(70, &code.to_le_bytes());
    put(72, &bits.to_le_bytes());
    for (axis, size) in [1.0f32, 2.0, 2.5, 3.0, 1350.0].iter().enumerate() {
        put(76 + 4 * axis, &size.to_le_bytes());
    }
    put(108, &(if single { 352.0f32 } else { 0.0 }).to_le_bytes());
    bytes[123] = 2 | 16;
    bytes[344..348].copy_from_slice(if single { b"n+1\0" } else { b"ni1\0" });
    bytes
}

fn opened(bytes: &[u8]) -> Result<NiftiDocument, FormatError> {
    open(Arc::new(Buffer::from_vec(bytes.to_vec())), &Limits::default())
}

fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

/// Values 0, 1, 2, … of every type, as the file has them: the first axis fastest.
fn values(code: i16, count: usize, big: bool) -> Vec<u8> {
    (0..count)
        .flat_map(|value| {
            let mut own = match code {
                2 => vec![value as u8],
                256 => vec![value as i8 as u8],
                4 => (value as i16).to_le_bytes().to_vec(),
                512 => (value as u16).to_le_bytes().to_vec(),
                8 => (value as i32).to_le_bytes().to_vec(),
                768 => (value as u32).to_le_bytes().to_vec(),
                1024 => (value as i64).to_le_bytes().to_vec(),
                1280 => (value as u64).to_le_bytes().to_vec(),
                16 => (value as f32).to_le_bytes().to_vec(),
                _ => (value as f64).to_le_bytes().to_vec(),
            };
            if big {
                own.reverse();
            }
            own
        })
        .collect()
}

#[test]
fn every_type_in_both_orders_plain_and_gzip_is_row_major() {
    let types = [(2, 8), (256, 8), (4, 16), (512, 16), (8, 32), (768, 32), (1024, 64), (1280, 64), (16, 32), (64, 64)];
    for (code, bits) in types {
        for big in [false, true] {
            let mut file = one(&[2, 3, 2, 2], code, bits, big, true);
            file.extend(values(code, 24, big));
            for bytes in [file.clone(), gzip(&file)] {
                let document = opened(&bytes).unwrap();
                let tensor = document.tensor("image", None).unwrap();
                assert_eq!(tensor.shape(), [2, 3, 2, 2]);
                // image[x, y, z, t] is number x + 2 y + 6 z + 12 t of the file.
                assert_eq!(&tensor.values()[..6], [0.0, 12.0, 6.0, 18.0, 2.0, 14.0], "type {code}");
                let part = document.tensor("", Some(&[1..2, 0..3, 0..1, 1..2])).unwrap();
                assert_eq!(part.values(), [13.0, 15.0, 17.0]);
            }
        }
    }
}

#[test]
fn axes_have_units_and_times_are_seconds() {
    let mut file = one(&[2, 1, 1, 3], 2, 8, false, true);
    file.extend([0; 6]);
    let document = opened(&file).unwrap();
    let tensor = document.tensor("image", Some(&[0..2, 0..1, 0..1, 1..3])).unwrap();
    assert_eq!(tensor.axes()[0], Axis::numbers("x", Some("mm"), vec![0.0, 2.0]));
    assert_eq!(tensor.axes()[3], Axis::numbers("time", Some("s"), vec![1.35, 2.7]));
    assert_eq!(document.contents().facts["repetition time"], "1.35 s");
    assert_eq!(document.contents().facts["voxel size"], "2 × 2.5 × 3 mm");
    assert_eq!(document.contents().version, "NIfTI-1");
}

#[test]
fn scaling_counts_only_where_the_slope_does() {
    let of = |slope: f32, inter: f32| {
        let mut file = one(&[2], 4, 16, false, true);
        file[112..116].copy_from_slice(&slope.to_le_bytes());
        file[116..120].copy_from_slice(&inter.to_le_bytes());
        file.extend(values(4, 2, false));
        opened(&file).unwrap().tensor("image", None).map(|tensor| tensor.values().to_vec())
    };
    assert_eq!(of(0.1, -3.5).unwrap(), [-3.5, f64::from(0.1f32) - 3.5]);
    assert_eq!(of(0.0, 5.0).unwrap(), [0.0, 1.0]);
    assert_eq!(of(f32::NAN, 5.0).unwrap(), [0.0, 1.0]);
    assert_eq!(of(1.0, 5.0).unwrap(), [5.0, 6.0]);
    assert!(of(2.0, f32::INFINITY).unwrap_err().to_string().contains("byte 116: there is a slope, but the intercept is no number"));
}

#[test]
fn the_affine_comes_from_sform_then_qform_then_voxel_sizes() {
    let affine = |file: &[u8]| {
        let document = opened(file).unwrap();
        (document.tensor("affine", None).unwrap().values().to_vec(), document.contents().facts["affine from"].clone())
    };
    let mut file = one(&[3, 1, 1], 2, 8, false, true);
    file.extend([0; 3]);
    let (rows, from) = affine(&file);
    assert_eq!(from, "voxel sizes");
    assert_eq!(rows, [-2.0, 0.0, 0.0, 2.0, 0.0, 2.5, 0.0, 0.0, 0.0, 0.0, 3.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    file[252] = 1;
    // Half a turn about z: the quaternion (0, 0, 0, 1), and the other hand.
    file[264..268].copy_from_slice(&1f32.to_le_bytes());
    file[76..80].copy_from_slice(&(-1f32).to_le_bytes());
    let (rows, from) = affine(&file);
    assert_eq!(from, "qform");
    assert_eq!(rows, [-2.0, 0.0, 0.0, 0.0, 0.0, -2.5, 0.0, 0.0, 0.0, 0.0, -3.0, 0.0, 0.0, 0.0, 0.0, 1.0]);
    file[254] = 4;
    file[280..284].copy_from_slice(&7f32.to_le_bytes());
    let (rows, from) = affine(&file);
    assert_eq!((rows[0], from.as_str()), (7.0, "sform"));
    // A quaternion longer than one is no rotation.
    file[254] = 0;
    file[260..264].copy_from_slice(&1f32.to_le_bytes());
    let document = opened(&file).unwrap();
    assert_eq!(document.contents().notes, ["the qform is no rotation, so there is no affine"]);
    assert!(document.tensor("affine", None).is_err());
}

#[test]
fn what_belongs_to_an_image_goes_along_to_another_with_its_units() {
    let mut file = one(&[2, 1, 1, 2], 4, 16, false, true);
    file.extend(values(4, 4, false));
    // An sform of 25 along each axis, aligned (2), and a qform that says 2, 2.5 and 3 (1): two places.
    (file[254], file[252]) = (2, 1);
    for (row, at) in [280, 300, 320].into_iter().enumerate() {
        file[at..at + 4].copy_from_slice(&25f32.to_le_bytes());
        assert_eq!(at, 280 + 20 * row);
    }
    // xyzt_units: micron and milliseconds; 1,350 of them are 1.35 s.
    for (units, unit, back) in [(3u8 | 16, "µm", 3u8 | 8), (1 | 16, "m", 1 | 8), (16, "", 8), (3, "µm", 3)] {
        file[123] = units;
        let document = opened(&file).unwrap();
        let said = document.attributes("image", None);
        assert_eq!((&said[SPACE_UNIT], &said[FORMS], &said[SPACE]), (&json!(unit), &json!([0, 2]), &json!(2)), "{units}");
        let made = document.tensor("image", None).unwrap().into_artifact().unwrap();
        let mut meta = made.meta().clone();
        meta.attributes = said;
        let kind = neuroflow_data::Kind::Tensor;
        let artifact = neuroflow_data::Artifact::from_batch(kind, made.batch_of(kind).unwrap().clone(), meta);
        let written = crate::write::artifact_bytes(crate::write::Form::Nifti, "image", &artifact, &Default::default()).unwrap();
        assert_eq!(written[123], back, "{units}");
        assert_eq!((written[252], written[254]), (0, 2));
        let again = opened(&written).unwrap();
        assert_eq!(again.affine, document.affine);
        let step = f32::from_le_bytes(written[92..96].try_into().unwrap());
        assert_eq!(step, if units & 16 == 16 { 1.35 } else { 1350.0 });
    }
}

#[test]
fn cifti_is_a_matrix_with_the_axes_that_its_xml_says() {
    let matrix = |xml: &str, shape: [i64; 2], intent: i32| {
        let mut bytes = vec![0u8; 544];
        bytes[..4].copy_from_slice(&540i32.to_le_bytes());
        bytes[4..12].copy_from_slice(b"n+2\0\r\n\x1a\n");
        bytes[12..14].copy_from_slice(&4i16.to_le_bytes());
        bytes[14..16].copy_from_slice(&16i16.to_le_bytes());
        for (axis, length) in [6, 1, 1, 1, 1, shape[0], shape[1]].iter().enumerate() {
            bytes[16 + 8 * axis..24 + 8 * axis].copy_from_slice(&length.to_le_bytes());
        }
        bytes[504..508].copy_from_slice(&intent.to_le_bytes());
        bytes[540] = 1;
        let size = (xml.len() + 8).next_multiple_of(16);
        bytes.extend((size as i32).to_le_bytes());
        bytes.extend(32i32.to_le_bytes());
        bytes.extend(xml.as_bytes());
        bytes.resize(544 + size, 0);
        bytes[168..176].copy_from_slice(&(544 + size as i64).to_le_bytes());
        bytes.extend(values(4, (shape[0] * shape[1]) as usize, false));
        bytes
    };
    let series = "<CIFTI Version=\"2.0\"><Matrix><MatrixIndicesMap AppliesToMatrixDimension=\"0\" IndicesMapToDataType=\"CIFTI_INDEX_TYPE_SERIES\" \
        NumberOfSeriesPoints=\"2\" SeriesExponent=\"-3\" SeriesStart=\"1000\" SeriesStep=\"720\" SeriesUnit=\"SECOND\"/>\
        <MatrixIndicesMap AppliesToMatrixDimension=\"1\" IndicesMapToDataType=\"CIFTI_INDEX_TYPE_BRAIN_MODELS\">\
        <BrainModel IndexOffset=\"0\" IndexCount=\"2\" BrainStructure=\"CIFTI_STRUCTURE_CORTEX_LEFT\"><VertexIndices>0 7</VertexIndices></BrainModel>\
        <BrainModel IndexOffset=\"2\" IndexCount=\"1\" BrainStructure=\"CIFTI_STRUCTURE_THALAMUS_LEFT\"/></MatrixIndicesMap></Matrix></CIFTI>";
    let file = matrix(series, [2, 3], 3002);
    for bytes in [file.clone(), gzip(&file)] {
        let document = opened(&bytes).unwrap();
        let contents = document.contents();
        assert_eq!((contents.version.as_str(), contents.items.len(), contents.meant.as_str()), ("CIFTI-2", 1, "matrix"));
        assert_eq!(contents.facts["structures"], "CORTEX_LEFT 2, THALAMUS_LEFT 1");
        assert!(!contents.facts.contains_key("repetition time") && document.attributes("matrix", None).is_empty());
        let tensor = document.tensor("", None).unwrap();
        // matrix[time, position] is number time + 2 position of the file.
        assert_eq!((tensor.shape(), tensor.values()), (vec![2, 3], &[0.0, 2.0, 4.0, 1.0, 3.0, 5.0][..]));
        assert_eq!(tensor.axes()[0], Axis::numbers("time", Some("s"), vec![1.0, 1.72]));
        let part = document.tensor("matrix", Some(&[1..2, 1..3])).unwrap();
        let structures = Coordinates::Labels(vec!["CORTEX_LEFT".into(), "THALAMUS_LEFT".into()]);
        assert_eq!(part.axes()[1], Axis::count("grayordinate", 2).with_property("structure", structures));
        assert_eq!(part.values(), [3.0, 5.0]);
    }
    let maps = "<CIFTI Version=\"2\"><Matrix><MatrixIndicesMap AppliesToMatrixDimension=\"0\" IndicesMapToDataType=\"CIFTI_INDEX_TYPE_SCALARS\">\
        <NamedMap><MapName>a &amp; b</MapName></NamedMap><NamedMap><MapName>c</MapName></NamedMap></MatrixIndicesMap>\
        <MatrixIndicesMap AppliesToMatrixDimension=\"1\" IndicesMapToDataType=\"CIFTI_INDEX_TYPE_PARCELS\"><Parcel Name=\"V1\"/>\
        <Parcel Name=\"V2\"/></MatrixIndicesMap></Matrix></CIFTI>";
    let tensor = opened(&matrix(maps, [2, 2], 3008)).unwrap().tensor("matrix", None).unwrap();
    assert_eq!(tensor.axes()[0], Axis::labels("map", vec!["a & b".into(), "c".into()]));
    assert_eq!(tensor.axes()[1], Axis::labels("parcel", vec!["V1".into(), "V2".into()]));
    // XML that does not fit, or is none.
    for xml in [maps, "<CIFTI Version=\"2\"><Mat", "<CIFTI Version=\"1\"/>"] {
        let document = opened(&matrix(xml, [2, 3], 3008)).unwrap();
        assert!(document.contents().notes.iter().any(|note| note.contains("XML of CIFTI-2")), "{:?}", document.contents().notes);
        assert_eq!(document.tensor("matrix", None).unwrap().axes()[1].name, "axis 2");
    }
    assert_eq!(opened(&matrix(series, [2, 3], 0)).unwrap().contents().version, "NIfTI-2");
}

#[test]
fn colours_are_the_last_axis_and_complex_voxels_are_refused() {
    let mut file = one(&[2, 2], 128, 24, false, true);
    file.extend(0u8..12);
    let tensor = opened(&file).unwrap().tensor("image", None).unwrap();
    assert_eq!(tensor.shape(), [2, 2, 3]);
    assert_eq!(&tensor.values()[..6], [0.0, 1.0, 2.0, 6.0, 7.0, 8.0]);
    assert_eq!(tensor.axes()[2].name, "colour");
    let mut file = one(&[1], 32, 64, false, true);
    file.extend([0; 8]);
    let document = opened(&file).unwrap();
    assert!(document.tensor("image", None).unwrap_err().to_string().contains("object `image`: the voxels are complex64"));
}

#[test]
fn the_second_version_and_extensions() {
    let mut bytes = vec![0u8; 544];
    bytes[..4].copy_from_slice(&540i32.to_be_bytes());
    bytes[4..12].copy_from_slice(b"n+2\0\r\n\x1a\n");
    bytes[12..14].copy_from_slice(&64i16.to_be_bytes());
    bytes[14..16].copy_from_slice(&64i16.to_be_bytes());
    for (axis, length) in [1i64, 2].iter().enumerate() {
        bytes[16 + 8 * axis..24 + 8 * axis].copy_from_slice(&length.to_be_bytes());
    }
    bytes[168..176].copy_from_slice(&560i64.to_be_bytes());
    bytes[540] = 1;
    bytes.extend(16i32.to_be_bytes());
    bytes.extend(6i32.to_be_bytes());
    bytes.extend(b"hi there");
    bytes.extend(values(64, 2, true));
    for bytes in [bytes.clone(), gzip(&bytes)] {
        let document = opened(&bytes).unwrap();
        assert_eq!(document.contents().version, "NIfTI-2");
        assert_eq!(document.contents().facts["extensions"], "comment (8 bytes)");
        assert_eq!(document.tensor("image", None).unwrap().values(), [0.0, 1.0]);
    }
}

#[test]
fn pairs_are_found_side_by_side_and_stay_in_the_folder() {
    let header = one(&[2], 4, 16, false, false);
    let image = values(4, 2, false);
    let tree = |files: &[(&str, Vec<u8>)]| -> Arc<dyn Folder> {
        let mut tree = FileTree::default();
        files.iter().for_each(|(name, bytes)| tree.insert(*name, Buffer::from_vec(bytes.clone())).unwrap());
        Arc::new(tree)
    };
    let limits = Limits::default();
    let both = tree(&[("sub/a.hdr", header.clone()), ("sub/a.img.gz", gzip(&image))]);
    for path in ["sub/a.hdr", "sub/a.img.gz"] {
        let document = open_in(&both, path, &limits).unwrap();
        assert_eq!(document.tensor("image", None).unwrap().values(), [0.0, 1.0]);
        assert_eq!(document.contents().version, "NIfTI-1 pair");
    }
    // Both gzip; the partner that is packed alike comes first.
    let packed = tree(&[("a.hdr.gz", gzip(&header)), ("a.img.gz", gzip(&image)), ("a.img", vec![0; image.len()])]);
    for path in ["a.hdr.gz", "a.img.gz"] {
        assert_eq!(open_in(&packed, path, &limits).unwrap().tensor("image", None).unwrap().values(), [0.0, 1.0], "{path}");
    }
    let alone = tree(&[("a.hdr", header.clone())]);
    assert!(open_in(&alone, "a.hdr", &limits).unwrap_err().to_string().contains("there is no file `a.img`"));
    assert!(opened(&header).unwrap_err().to_string().contains("this is the header of a pair"));
}

#[test]
fn damage_is_told_with_its_place() {
    let mut good = one(&[2, 2], 4, 16, false, true);
    good.extend(values(4, 4, false));
    let error = |change: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = good.clone();
        change(&mut bytes);
        opened(&bytes).and_then(|document| document.tensor("image", None)).unwrap_err().to_string()
    };
    assert!(error(&|bytes| bytes[0] = 1).starts_with("NIfTI: byte 0: the file does not begin with the length"));
    assert!(error(&|bytes| bytes.truncate(100)).contains("byte 100: the file ends inside its header of 348 bytes"));
    assert!(error(&|bytes| bytes.truncate(2)).contains("byte 2: the file ends inside its header"));
    assert!(error(&|bytes| bytes[344] = 0).contains("byte 344: NIfTI's mark"));
    assert!(error(&|bytes| bytes[40] = 9).contains("byte 40: the image has 9 axes"));
    assert!(error(&|bytes| bytes[43] = 0xff).contains("byte 42: axis 1 has the length"));
    assert!(error(&|bytes| bytes[70] = 3).contains("byte 70: the data type 3"));
    assert!(error(&|bytes| bytes[72] = 8).contains("byte 72: 8 bits a voxel are stated"));
    assert!(error(&|bytes| bytes[108..112].copy_from_slice(&100f32.to_le_bytes())).contains("inside of the header"));
    assert!(error(&|bytes| bytes[108..112].copy_from_slice(&f32::NAN.to_le_bytes())).contains("can't begin at byte NaN"));
    assert!(error(&|bytes| bytes.truncate(355)).contains("reach beyond the end of the file"));
    let short = opened(&good[..355]).unwrap();
    assert_eq!(short.contents().damage[0].reason, "the file ends within the voxels, which need 360 bytes");
    let packed = gzip(&good);
    let cut = opened(&packed[..packed.len() - 8]).unwrap().tensor("image", None).unwrap_err().to_string();
    assert!(cut.contains("break off or are damaged"), "{cut}");
    let mut wrong = packed.clone();
    let place = wrong.len() - 6;
    wrong[place] ^= 1;
    assert!(opened(&wrong).unwrap().tensor("image", None).is_err(), "the checksum is compared");
    let bomb = gzip(&one(&[i16::MAX, i16::MAX, i16::MAX], 64, 64, false, true));
    assert!(opened(&bomb).unwrap().tensor("image", None).unwrap_err().to_string().contains("may be held"));
    let bomb = gzip(&one(&[i16::MAX, 1000, 10], 64, 64, false, true));
    assert!(opened(&bomb).unwrap().tensor("image", None).unwrap_err().to_string().contains("claim to hold"));
}
