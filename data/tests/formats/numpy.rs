//! `.npy` and `.npz` files written by the test itself.

use neuroflow_data::formats::npy::{NpyArray, NpyData, read_npy, write_npy_f64};
use neuroflow_data::formats::npz::read_npz;
use neuroflow_data::formats::{Limits, Place};
use proptest::prelude::*;

use super::small_files::{npy, npy_version, zip};

fn read(bytes: &[u8]) -> NpyArray {
    read_npy(bytes, &Limits::default()).unwrap()
}

fn reason(bytes: &[u8]) -> String {
    read_npy(bytes, &Limits::default()).unwrap_err().to_string()
}

#[test]
fn every_type_is_read_in_both_byte_orders() {
    let shape = "(2,)";
    assert_eq!(read(&npy("|b1", shape, &[1, 0])).data, NpyData::Bool(vec![true, false]));
    assert_eq!(read(&npy("|i1", shape, &[255, 1])).data, NpyData::I8(vec![-1, 1]));
    assert_eq!(read(&npy("<u2", shape, &[1, 0, 0, 1])).data, NpyData::U16(vec![1, 256]));
    assert_eq!(read(&npy(">u2", shape, &[1, 0, 0, 1])).data, NpyData::U16(vec![256, 1]));
    assert_eq!(read(&npy(">i4", shape, &[255, 255, 255, 255, 0, 0, 0, 7])).data, NpyData::I32(vec![-1, 7]));
    assert_eq!(read(&npy("<i8", "()", &5i64.to_le_bytes())).data, NpyData::I64(vec![5]));
    assert_eq!(read(&npy("<f2", shape, &[0x00, 0x3c, 0x00, 0xc1])).data, NpyData::F32(vec![1.0, -2.5]));
    assert_eq!(read(&npy(">f4", "(1,)", &1.5f32.to_be_bytes())).data, NpyData::F32(vec![1.5]));
    assert_eq!(read(&npy(">f8", "(1L,)", &1.5f64.to_be_bytes())).data, NpyData::F64(vec![1.5]));
    assert_eq!(read(&npy("|S3", shape, b"ab\0cde")).to_text().unwrap(), ["ab", "cde"]);
    let unicode: Vec<u8> = ['é', 'x', '\0', '\0'].iter().flat_map(|character| u32::from(*character).to_le_bytes()).collect();
    assert_eq!(read(&npy("<U2", shape, &unicode)).to_text().unwrap(), ["éx", ""]);
    assert_eq!(read(&npy("<f8", "(0, 3)", &[])).shape, [0, 3]);
    for version in [1, 2, 3] {
        assert_eq!(read(&npy_version(version, "|u1", "(2,)", false, &[1, 2])).to_f64().unwrap().as_ref(), [1.0, 2.0]);
    }
}

#[test]
fn fortran_order_comes_back_in_c_order() {
    let array = read(&npy_version(1, "|u1", "(2, 3, 2)", true, &[0, 6, 2, 8, 4, 10, 1, 7, 3, 9, 5, 11]));
    assert_eq!(array.shape, [2, 3, 2]);
    assert_eq!(array.data, NpyData::U8((0..12).collect()));
}

#[test]
fn what_can_not_be_read_says_why() {
    assert!(reason(&npy("|O", "(1,)", &[0; 8])).contains("pickle can run any program"));
    assert!(
        reason(b"\x93NUMPY\x01\x00\x44\x00{'descr': [('a', '<f8')], 'fortran_order': False, 'shape': (1,), }   ").contains("structured")
    );
    assert!(reason(&npy("<c16", "(1,)", &[0; 16])).contains("complex"));
    assert!(reason(&npy("<M8[ns]", "(1,)", &[0; 8])).contains("dates"));
    assert!(reason(&npy("<f8", "(3,)", &[0; 16])).contains("calls for 24 bytes of values, 16 are there"));
    assert!(reason(&npy("<f8", "(1,)", &[0; 16])).contains("8 bytes follow"));
    assert!(reason(&npy("<f8", "(4294967296, 4294967296, 4294967296)", &[])).contains("more than a computer can count"));
    assert!(reason(&npy("<U0", "(1000000000000,)", &[])).contains("empty strings"));
    assert!(reason(b"PK").contains("NumPy's mark"));
    let big = read(&npy("<u8", "(1,)", &u64::MAX.to_le_bytes()));
    assert!(big.to_f64().unwrap_err().reason.contains("2^53"));
    let limits = Limits { max_total_bytes: 4, ..Limits::default() };
    assert!(read_npy(&npy("<f8", "(1,)", &[0; 8]), &limits).unwrap_err().help.contains("limits"));
}

#[test]
fn archives_are_read_stored_and_deflated() {
    let first = write_npy_f64(&[2], &[1.0, 2.0]).unwrap();
    let second = npy("|u1", "(2, 2)", &[1, 2, 3, 4]);
    for deflate in [false, true] {
        let file = read_npz(&zip(&[("X.npy", &first), ("labels.npy", &second)], deflate), &Limits::default()).unwrap();
        assert_eq!(file.get("X").unwrap().to_f64().unwrap().as_ref(), [1.0, 2.0]);
        assert_eq!(file.get("labels").unwrap().shape, [2, 2]);
        assert!(file.get("Y").unwrap_err().help.contains("X, labels"));
    }
}

#[test]
fn a_bad_member_is_named() {
    let objects = npy("|O", "(1,)", &[0; 8]);
    let error = read_npz(&zip(&[("a.npy", &objects)], true), &Limits::default()).unwrap_err();
    assert!(matches!(&error.place, Place::Member { name, .. } if name == "a.npy"), "{error}");
    assert!(error.reason.contains("pickle"));
    assert!(read_npz(&zip(&[("notes.txt", b"hello")], false), &Limits::default()).unwrap_err().reason.contains("no .npy"));
    let mut wrong = zip(&[("a.npy", &npy("|u1", "(2,)", &[1, 2]))], false);
    let last_value = wrong.windows(4).position(|window| window == b"PK\x01\x02").unwrap() - 1;
    wrong[last_value] ^= 1;
    assert!(read_npz(&wrong, &Limits::default()).unwrap_err().reason.contains("checksum"));
}

#[test]
fn a_member_that_claims_too_much_is_refused_before_it_is_inflated() {
    let mut archive = zip(&[("a.npy", &npy("|u1", "(2,)", &[1, 2]))], true);
    let entry = archive.windows(4).position(|window| window == b"PK\x01\x02").unwrap();
    archive[entry + 24..entry + 28].copy_from_slice(&0xf000_0000u32.to_le_bytes());
    let error = read_npz(&archive, &Limits::default()).unwrap_err();
    assert!(error.reason.contains("deflate can't do"), "{error}");
}

proptest! {
    #[test]
    fn what_is_written_reads_back_to_the_same_bits(values in proptest::collection::vec(any::<f64>(), 0..40)) {
        let file = write_npy_f64(&[values.len(), 1], &values).unwrap();
        let array = read(&file);
        prop_assert_eq!(array.shape, vec![values.len(), 1]);
        let NpyData::F64(back) = array.data else { panic!("not f64") };
        prop_assert_eq!(back.iter().map(|v| v.to_bits()).collect::<Vec<_>>(), values.iter().map(|v| v.to_bits()).collect::<Vec<_>>());
    }
}

#[test]
fn headers_are_written_as_numpy_writes_them() {
    let file = write_npy_f64(&[3], &[1.0, 2.0, 3.0]).unwrap();
    assert_eq!(file.len(), 128 + 24);
    assert!(file[10..].starts_with(b"{'descr': '<f8', 'fortran_order': False, 'shape': (3,), }"));
    assert_eq!(file[127], b'\n');
    assert!(write_npy_f64(&[2, 2], &[1.0]).is_err());
    assert_eq!(read(&write_npy_f64(&[], &[7.0]).unwrap()).shape, Vec::<usize>::new());
}
