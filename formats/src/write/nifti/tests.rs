use super::*;
use flate2::read::GzDecoder;
use proptest::prelude::*;
use std::io::Read;

fn image(shape: &[usize], values: Vec<f64>) -> Tensor {
    let axes = ["x", "y", "z", "t", "u", "v", "w", "q"].iter().zip(shape).map(|(name, &length)| Axis::count(*name, length)).collect();
    Tensor::new(axes, None, values).unwrap()
}

fn written(tensor: &Tensor, options: &Options) -> Vec<u8> {
    write_nifti(Vec::new(), tensor, options).unwrap()
}

fn refused(tensor: &Tensor, options: &Options) -> String {
    write_nifti(Vec::new(), tensor, options).unwrap_err().to_string()
}

fn i16_at(bytes: &[u8], at: usize) -> i16 {
    i16::from_le_bytes(bytes[at..at + 2].try_into().unwrap())
}

fn f32_at(bytes: &[u8], at: usize) -> f32 {
    f32::from_le_bytes(bytes[at..at + 4].try_into().unwrap())
}

/// Reads a file of either version by the places that the headers' documentation gives: shape, values with the first axis fastest.
fn read(bytes: &[u8]) -> (Vec<usize>, Vec<f64>) {
    let i64_at = |at: usize| i64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let f64_at = |at: usize| f64::from_le_bytes(bytes[at..at + 8].try_into().unwrap());
    let first = bytes[..4] == 348i32.to_le_bytes();
    let (rank, dims, kind, start, inter) = if first {
        assert_eq!(&bytes[344..348], b"n+1\0");
        let dims: Vec<usize> = (0..8).map(|axis| i16_at(bytes, 40 + 2 * axis) as usize).collect();
        (dims[0], dims, i16_at(bytes, 70), f32_at(bytes, 108) as usize, f64::from(f32_at(bytes, 116)))
    } else {
        assert_eq!(&bytes[4..12], b"n+2\0\r\n\x1a\n");
        let dims: Vec<usize> = (0..8).map(|axis| i64_at(16 + 8 * axis) as usize).collect();
        (dims[0], dims, i16_at(bytes, 12), i64_at(168) as usize, f64_at(184))
    };
    let data = &bytes[start..];
    let values = match kind {
        4 => data.as_chunks().0.iter().map(|&value| f64::from(i16::from_le_bytes(value)) + inter).collect(),
        16 => data.as_chunks().0.iter().map(|&value| f64::from(f32::from_le_bytes(value))).collect(),
        64 => data.as_chunks().0.iter().map(|&value| f64::from_le_bytes(value)).collect(),
        other => panic!("datatype {other}"),
    };
    (dims[1..=rank].to_vec(), values)
}

/// The values of an array with the first axis fastest, the slow way.
fn fastest_first(shape: &[usize], values: &[f64]) -> Vec<f64> {
    let mut out = Vec::new();
    for mut rest in 0..values.len() {
        let mut place = vec![0; shape.len()];
        for (at, length) in place.iter_mut().zip(shape) {
            *at = rest % length;
            rest /= length;
        }
        out.push(values[place.iter().zip(shape).fold(0, |flat, (at, length)| flat * length + at)]);
    }
    out
}

#[test]
fn a_header_has_everything_in_its_place() {
    let options = Options {
        affine: Some([[-2.0, 0.0, 0.0, 90.0], [0.0, 2.5, 0.0, -126.0], [0.0, 0.0, 3.0, -72.0]]),
        code: Some(4),
        repetition_time: Some(1.5),
        description: "what it is".into(),
        ..Options::default()
    };
    let bytes = written(&image(&[2, 1, 1, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), &options);
    assert_eq!(bytes.len(), 352 + 12);
    assert_eq!([40, 42, 44, 46, 48, 50].map(|at| i16_at(&bytes, at)), [4, 2, 1, 1, 3, 1]);
    assert_eq!((i16_at(&bytes, 70), i16_at(&bytes, 72)), (4, 16));
    assert_eq!([76, 80, 84, 88, 92].map(|at| f32_at(&bytes, at)), [-1.0, 2.0, 2.5, 3.0, 1.5]);
    assert_eq!([108, 112, 116].map(|at| f32_at(&bytes, at)), [352.0, 1.0, 0.0]);
    assert_eq!(bytes[123], 2 | 8);
    assert_eq!(&bytes[148..159], b"what it is\0");
    assert_eq!((i16_at(&bytes, 252), i16_at(&bytes, 254)), (4, 4));
    // A mirrored first axis: half a turn around the second, and a mirrored third.
    assert_eq!([256, 260, 264].map(|at| f32_at(&bytes, at)), [0.0, 1.0, 0.0]);
    assert_eq!([268, 272, 276].map(|at| f32_at(&bytes, at)), [90.0, -126.0, -72.0]);
    assert_eq!([280, 292, 300, 324].map(|at| f32_at(&bytes, at)), [-2.0, 90.0, 2.5, -72.0]);
    assert_eq!(&bytes[344..352], b"n+1\0\0\0\0\0");
    assert_eq!([352, 354, 356, 358].map(|at| i16_at(&bytes, at)), [1, 4, 2, 5]);
}

#[test]
fn an_affine_keeps_its_unit_and_the_codes_of_both_forms() {
    let affine = Some([[25.0, 0.0, 0.0, 0.0], [0.0, 25.0, 0.0, 0.0], [0.0, 0.0, 25.0, 0.0]]);
    let of = |space_unit: &str, forms: Option<[i16; 2]>| {
        let options = Options { affine, space_unit: space_unit.into(), code: Some(2), forms, ..Options::default() };
        let bytes = written(&image(&[2, 1, 1], vec![1.0, 2.0]), &options);
        (bytes[123], i16_at(&bytes, 252), i16_at(&bytes, 254))
    };
    // NIFTI_UNITS_METER, _MM, _MICRON, _UNKNOWN.
    assert_eq!(["m", "mm", "µm", "", "inch"].map(|unit| of(unit, None)), [(1, 2, 2), (2, 2, 2), (3, 2, 2), (0, 2, 2), (0, 2, 2)]);
    assert_eq!([[0, 2], [1, 0], [1, 2]].map(|forms| of("mm", Some(forms))), [(2, 0, 2), (2, 1, 0), (2, 1, 2)]);
    // What shears has no quaternion, so the rows say where the qform was to lead.
    let sheared = Some([[1.0, 1.0, 0.0, 0.0], [0.0, 1.0, 0.0, 0.0], [0.0, 0.0, 1.0, 0.0]]);
    let bytes = written(&image(&[1], vec![1.0]), &Options { affine: sheared, forms: Some([1, 0]), ..Options::default() });
    assert_eq!((i16_at(&bytes, 252), i16_at(&bytes, 254)), (0, 1));
}

#[test]
fn the_smallest_type_that_has_all_values_is_taken() {
    let kind = |values: Vec<f64>| {
        let bytes = written(&image(&[values.len()], values.clone()), &Options::default());
        let back = read(&bytes).1;
        assert!(back.iter().zip(&values).all(|(one, two)| one.to_bits() == two.to_bits() || (one.is_nan() && two.is_nan())), "{values:?}");
        i16_at(&bytes, 70)
    };
    assert_eq!(kind(vec![-32768.0, 32767.0]), 4);
    assert_eq!(kind(vec![0.0, 65535.0]), 4);
    assert_eq!(kind(vec![0.0, 65536.0]), 16);
    assert_eq!(kind(vec![0.5, f64::NAN, f64::INFINITY]), 16);
    assert_eq!(kind(vec![0.0, -0.0]), 16);
    assert_eq!(kind(vec![0.1]), 64);
    // What would be added is no single-precision number.
    assert_eq!(kind(vec![123_456_789.0, 123_456_790.0]), 64);
    assert_eq!(kind(vec![1e300]), 64);
}

#[test]
fn long_axes_need_the_second_version() {
    let tensor = image(&[2, 32768], (0..65536).map(f64::from).collect());
    let bytes = written(&tensor, &Options { comment: "from run 1".into(), ..Options::default() });
    assert_eq!(bytes.len(), 544 + 32 + 2 * 65536);
    assert_eq!(read(&bytes), (vec![2, 32768], fastest_first(&[2, 32768], tensor.values())));
    assert_eq!(&bytes[540..552], [1, 0, 0, 0, 32, 0, 0, 0, 6, 0, 0, 0]);
    assert_eq!(&bytes[552..562], b"from run 1");
}

#[test]
fn named_axes_may_stand_in_any_order_and_say_where_voxels_lie() {
    let axes = vec![
        Axis::numbers("time", Some("ms"), vec![500.0, 1000.0]),
        Axis::numbers("z", Some("mm"), vec![5.0]),
        Axis::numbers("y", Some("mm"), vec![0.0, 2.0]),
        Axis::numbers("X", Some("mm"), vec![1.0, 0.0, -1.0]),
    ];
    let bytes = written(&Tensor::new(axes, None, (0..12).map(f64::from).collect::<Vec<_>>()).unwrap(), &Options::default());
    assert_eq!(read(&bytes), (vec![3, 2, 1, 2], (0..12).map(f64::from).collect()));
    assert_eq!([280, 292, 300, 308, 320, 324].map(|at| f32_at(&bytes, at)), [-1.0, 1.0, 2.0, 0.0, 1.0, 5.0]);
    assert_eq!((f32_at(&bytes, 92), f32_at(&bytes, 136), bytes[123]), (500.0, 500.0, 2 | 16));
}

#[test]
fn what_nifti_has_no_place_for_is_refused() {
    let said = refused(&image(&[1; 8], vec![0.0]), &Options::default());
    assert_eq!(said, "NIfTI: the file: NIfTI has at most seven axes, this has 8; join some of them, or take a part");
    assert!(refused(&image(&[2, 0], vec![]), &Options::default()).contains("axis `y` is empty"));
    let uneven = Tensor::new(vec![Axis::numbers("x", None, vec![0.0, 1.0, 3.0])], None, vec![0.0; 3]).unwrap();
    assert!(refused(&uneven, &Options::default()).contains("axis `x` is not evenly spaced"));
    let affine = Some([[f64::NAN; 4]; 3]);
    assert!(refused(&image(&[1], vec![0.0]), &Options { affine, ..Options::default() }).contains("numbers that are not finite"));
    let stored = Stored::I16;
    assert!(refused(&image(&[1], vec![0.5]), &Options { stored, ..Options::default() }).contains("values from 0.5 to 0.5 are not whole"));
    let repetition_time = Some(0.0);
    assert!(refused(&image(&[1; 4], vec![0.5]), &Options { repetition_time, ..Options::default() }).contains("repetition time of 0 s"));
}

/// Takes so many bytes and then fails.
struct Full(usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        let taken = bytes.len().min(self.0);
        self.0 -= taken;
        if taken == 0 && !bytes.is_empty() { Err(std::io::Error::other("the disk is full")) } else { Ok(taken) }
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

#[test]
fn a_full_disk_is_an_error_at_every_byte() {
    for gzip in [false, true] {
        let (tensor, options) = (image(&[3, 4], (0..12).map(f64::from).collect()), Options { gzip, ..Options::default() });
        for room in 0..written(&tensor, &options).len() {
            let error = write_nifti(Full(room), &tensor, &options).err().unwrap().to_string();
            assert_eq!(
                error,
                "NIfTI: the file: the file can't be written: the disk is full; see that the place has room and may be written to"
            );
        }
    }
}

proptest! {
    #[test]
    fn any_image_comes_back(shape in proptest::collection::vec(1usize..6, 1..6), scale in prop_oneof![Just(1.0), Just(0.25), Just(0.1)], gzip: bool) {
        let values: Vec<f64> = (0..shape.iter().product::<usize>()).map(|value| (value as f64 - 40.0) * scale).collect();
        let tensor = image(&shape, values.clone());
        let options = Options { gzip, ..Options::default() };
        let mut bytes = written(&tensor, &options);
        prop_assert_eq!(&bytes, &written(&tensor, &options));
        if gzip {
            let mut plain = Vec::new();
            GzDecoder::new(bytes.as_slice()).read_to_end(&mut plain).unwrap();
            bytes = plain;
        }
        prop_assert_eq!(read(&bytes), (shape.clone(), fastest_first(&shape, &values)));
    }
}
