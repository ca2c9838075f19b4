//! MATLAB 5 files written by the test itself.

use neuroflow_data::formats::mat5::{MatClass, MatNumbers, MatValue, read_mat5};
use neuroflow_data::formats::{FormatError, Limits, Place};

use super::mat5_bytes::*;

const LITTLE: Mat5 = Mat5 { big_endian: false };

fn error_of(bytes: &[u8]) -> FormatError {
    read_mat5(bytes, &Limits::default()).unwrap_err()
}

#[test]
fn every_kind_of_value_comes_back_in_both_byte_orders_plain_and_compressed() {
    for big_endian in [false, true] {
        for compress in [false, true] {
            let file = read_mat5(&Mat5 { big_endian }.sampler(compress), &Limits::default()).unwrap();
            let neuron2 = file.get("D").unwrap().field("neuron2").unwrap();
            assert_eq!(neuron2.dims(), [1, 3]);
            assert_eq!(neuron2.cell(1).unwrap().numbers().unwrap().as_ref(), [11.0, 11.5, -1.0]);
            assert_eq!(neuron2.cell(2).unwrap().dims(), [0, 0]);
            let names: Vec<&str> =
                file.get("RDMs").unwrap().field_values("name").unwrap().iter().map(|name| name.text().unwrap()).collect();
            assert_eq!(names, ["IT", "V1é"]);
            assert_eq!(file.get("RDMs").unwrap().field_values("n").unwrap()[1].number().unwrap(), 2.0);
            assert_eq!(
                file.get("small").unwrap(),
                &MatValue::Numeric {
                    dims: vec![2, 2],
                    class: MatClass::Double,
                    data: MatNumbers::F64(vec![1.0, 2.0, 3.0, 4.0]),
                    imaginary: None
                }
            );
            assert!(matches!(file.get("flags").unwrap(), MatValue::Numeric { class: MatClass::Logical, .. }));
            assert!(
                matches!(file.get("z").unwrap(), MatValue::Numeric { imaginary: Some(MatNumbers::F64(parts)), .. } if parts == &[3.0, 4.0])
            );
            assert_eq!(file.get("sparse").unwrap().dense(&Limits::default()).unwrap(), [5.0, 0.0, 6.0, 0.0, 7.0, 0.0]);
            assert!(matches!(file.get("rows").unwrap(), MatValue::Char { rows, .. } if rows == &["abc", "def"]));
            assert_eq!(file.get("empty").unwrap().dims(), [0, 5]);
            assert!(matches!(file.get("f").unwrap(), MatValue::Skipped { class_name } if class_name == "function handle"));
            assert_eq!(file.notes, ["left out a function handle"]);
        }
    }
}

#[test]
fn a_cell_that_is_cut_short_is_named_with_its_path_and_byte() {
    let liar = LITTLE.array("", CLASS_DOUBLE, &[3, 1], &[LITTLE.element(DOUBLE, &LITTLE.doubles(&[1.0, 2.0]))]);
    let cells = LITTLE.cells("", &[LITTLE.column("", &[1.0]), liar]);
    let file = LITTLE.file(&[LITTLE.structs("D", &[1, 1], &["neuron3"], &[cells])]);
    let error = error_of(&file);
    assert!(matches!(&error.place, Place::Variable { path, byte: Some(_) } if path == "D.neuron3{2}"), "{error}");
    assert!(error.reason.contains("call for 3 numbers, there are 2"), "{error}");
    let array = LITTLE.structs("R", &[1, 2], &["rdm"], &[LITTLE.column("", &[1.0]), LITTLE.element(UINT8, &[1])]);
    let error = error_of(&LITTLE.file(&[array]));
    assert!(matches!(&error.place, Place::Variable { path, .. } if path == "R(2).rdm"), "{error}");
}

#[test]
fn other_versions_of_the_format_are_told_what_to_do() {
    let mut newer = LITTLE.sampler(false);
    newer[124..126].copy_from_slice(&[0, 2]);
    newer[..10].copy_from_slice(b"MATLAB 7.3");
    assert!(error_of(&newer).help.contains("save -v7"));
    let older = [&[0u8, 0, 0, 0, 3, 0, 0, 0][..], &[0; 200]].concat();
    let error = error_of(&older);
    assert!(error.reason.contains("MATLAB 4") && error.help.contains("save -v7"), "{error}");
    assert!(error_of(b"").reason.contains("header"));
    assert!(error_of(&[b'x'; 300]).reason.contains("no MATLAB 5 file"));
}

#[test]
fn nesting_is_read_to_the_limit_and_refused_beyond_it() {
    let nested = |depth: usize| (0..depth).fold(LITTLE.column("", &[1.0]), |inner, _| LITTLE.cells("", &[inner]));
    let limits = Limits { max_depth: 5, ..Limits::default() };
    assert!(read_mat5(&LITTLE.file(&[nested(5)]), &limits).is_ok());
    let error = read_mat5(&LITTLE.file(&[nested(6)]), &limits).unwrap_err();
    assert!(error.reason.contains("deeper than 5") && error.help.contains("limits"), "{error}");
    assert!(error_of(&LITTLE.file(&[LITTLE.compressed(&nested(1000))])).reason.contains("deeper than 64"));
}

#[test]
fn claims_that_the_file_does_not_back_are_refused() {
    let huge = LITTLE.array("x", CLASS_DOUBLE, &[i32::MAX, i32::MAX, i32::MAX], &[LITTLE.element(DOUBLE, &[])]);
    assert!(error_of(&LITTLE.file(&[huge])).reason.contains("more than a computer can count"));
    let negative = LITTLE.array("x", CLASS_DOUBLE, &[-1, 1], &[LITTLE.element(DOUBLE, &[])]);
    assert!(error_of(&LITTLE.file(&[negative])).reason.contains("negative"));
    let cells = LITTLE.array("c", CELL, &[1, i32::MAX], &[LITTLE.column("", &[1.0])]);
    let error = error_of(&LITTLE.file(&[cells]));
    assert!(matches!(&error.place, Place::Variable { path, .. } if path == "c{2}"), "{error}");
    // No fields, so nothing to read however many elements there are.
    let hollow = LITTLE.array("s", STRUCT, &[i32::MAX, i32::MAX], &[LITTLE.small(INT32, &LITTLE.u32(8)), LITTLE.element(INT8, &[])]);
    assert!(read_mat5(&LITTLE.file(&[hollow]), &Limits::default()).is_ok());
    let text = LITTLE.array("t", CHAR, &[i32::MAX, 0], &[]);
    assert_eq!(read_mat5(&LITTLE.file(&[text]), &Limits::default()).unwrap().get("t").unwrap().text().unwrap(), "");
    let outside = LITTLE.array(
        "s",
        SPARSE,
        &[3, 1],
        &[
            LITTLE.element(INT32, &LITTLE.ints(&[7])),
            LITTLE.element(INT32, &LITTLE.ints(&[0, 1])),
            LITTLE.element(DOUBLE, &LITTLE.doubles(&[1.0])),
        ],
    );
    assert!(error_of(&LITTLE.file(&[outside])).reason.contains("beyond them"));
    let sparse = LITTLE.array(
        "s",
        SPARSE,
        &[i32::MAX, 1],
        &[
            LITTLE.element(INT32, &LITTLE.ints(&[7])),
            LITTLE.element(INT32, &LITTLE.ints(&[0, 1])),
            LITTLE.element(DOUBLE, &LITTLE.doubles(&[1.0])),
        ],
    );
    let file = read_mat5(&LITTLE.file(&[sparse]), &Limits::default()).unwrap();
    assert!(file.get("s").unwrap().dense(&Limits::default()).unwrap_err().help.contains("limits"));
}

#[test]
fn a_bomb_is_refused_at_the_limit() {
    let zeros = LITTLE.array("x", CLASS_UINT8, &[1, 1 << 24], &[LITTLE.element(UINT8, &vec![0; 1 << 24])]);
    let file = LITTLE.file(&[LITTLE.compressed(&zeros)]);
    assert!(file.len() < 1 << 15);
    let limits = Limits { max_total_bytes: 1 << 20, ..Limits::default() };
    let error = read_mat5(&file, &limits).unwrap_err();
    assert!(error.reason.contains("more than the 1048576 allowed") && error.help.contains("limits"), "{error}");
    assert!(read_mat5(&file, &Limits::default()).is_ok());
}

#[test]
fn objects_are_left_out_with_a_note() {
    let name = |text: &str| LITTLE.element(INT8, text.as_bytes());
    let mut data = LITTLE.element(UINT32, &[LITTLE.u32(OPAQUE), LITTLE.u32(0)].concat());
    data.extend([name("when"), name("MCOS"), name("datetime"), LITTLE.column("", &[1.0])].concat());
    let file = read_mat5(&LITTLE.file(&[LITTLE.element(MATRIX, &data), LITTLE.column("after", &[2.0])]), &Limits::default()).unwrap();
    assert!(file.notes[0].contains("`when`, a datetime object"), "{:?}", file.notes);
    assert_eq!(file.get("after").unwrap().number().unwrap(), 2.0);
}

#[test]
fn asking_for_the_wrong_thing_says_what_is_there() {
    let file = read_mat5(&LITTLE.sampler(false), &Limits::default()).unwrap();
    assert!(file.get("E").unwrap_err().help.contains("D, RDMs, small"));
    let d = file.get("D").unwrap();
    let error = d.field("neuron9").map_err(|error| error.within("D")).unwrap_err();
    assert_eq!(error.place, Place::Variable { path: "D".to_owned(), byte: None });
    assert!(d.field("neuron9").unwrap_err().help.contains("neuron1, neuron2"));
    assert!(d.numbers().unwrap_err().reason.contains("a 1×1 struct array"));
    assert!(file.get("z").unwrap().numbers().unwrap_err().help.contains("real"));
    assert!(file.get("RDMs").unwrap().field("name").is_err());
    assert!(d.field("neuron1").unwrap().cell(3).unwrap_err().help.contains("3 cells"));
}
