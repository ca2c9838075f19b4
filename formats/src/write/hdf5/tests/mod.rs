//! The writer against a small reader, a full disk, and a file past four gibibytes.

pub(in crate::write) mod reader;

use super::*;
use proptest::prelude::*;
use reader::Reader;
use std::io::{Cursor, SeekFrom};

fn writer() -> Hdf5Writer<Cursor<Vec<u8>>> {
    Hdf5Writer::new(Cursor::new(Vec::new())).unwrap()
}

fn bytes(file: Hdf5Writer<Cursor<Vec<u8>>>) -> Vec<u8> {
    file.finish().unwrap().into_inner()
}

#[test]
fn groups_links_references_and_attributes_are_found_again() {
    let mut file = writer();
    file.dataset("/a/b/numbers", &Data::I16(&[1, -2, 3]), &[3], &Storage::plain()).unwrap();
    file.dataset("/a/refs", &Data::References(vec!["/", "/a/b/numbers", "/late"]), &[3], &Storage::plain()).unwrap();
    file.attribute("/a/b/numbers", "unit", &Data::Text("µV"), &[]).unwrap();
    file.attribute("/a/b/numbers", "names", &Data::Texts(vec!["x", "", "zz"]), &[3]).unwrap();
    file.attribute("/a/b/numbers", "to", &Data::References(vec!["/late"]), &[]).unwrap();
    file.attribute("/", "scale", &Data::F64(&[0.5]), &[]).unwrap();
    file.attribute("/", "fixed", &Data::FixedTexts(3, vec!["ab", "é"]), &[2]).unwrap();
    file.group("/late").unwrap();
    file.soft_link("/a/soft", "/late").unwrap();
    let bytes = bytes(file);
    let reader = Reader(&bytes);
    let numbers = reader.dataset("/a/b/numbers");
    assert_eq!((numbers.shape, numbers.bytes), (vec![3], vec![1, 0, 254, 255, 3, 0]));
    let addresses = ["/", "/a/b/numbers", "/late"].map(|path| reader.find(path));
    assert_eq!(reader.dataset("/a/refs").bytes, addresses.map(u64::to_le_bytes).concat());
    assert_eq!(reader.attribute("/a/b/numbers", "unit").bytes, "µV\0".as_bytes());
    assert_eq!(reader.attribute("/a/b/numbers", "names").bytes, b"x\0\0zz\0");
    assert_eq!(reader.attribute("/a/b/numbers", "to").bytes, addresses[2].to_le_bytes());
    let scale = reader.attribute("/", "scale");
    assert_eq!((scale.shape, scale.datatype, scale.bytes), (vec![], Element::F64.datatype(), 0.5f64.to_le_bytes().to_vec()));
    assert_eq!(reader.attribute("/", "fixed").bytes, "ab\0é\0".as_bytes());
    let soft = reader.messages(reader.find("/a")).into_iter().find(|(_, message)| message[1] == 0x19).unwrap().1;
    assert_eq!(soft, b"\x01\x19\x01\x01\x04\0soft\x05\0/late");
}

#[test]
fn what_can_not_be_written_is_refused_with_path_and_remedy() {
    let plain = Storage::plain();
    let said = |of: &dyn Fn(&mut Hdf5Writer<Cursor<Vec<u8>>>) -> Result<(), FormatError>| {
        let mut file = writer();
        file.dataset("/taken", &Data::F64(&[1.0]), &[], &plain).unwrap();
        let error = of(&mut file).unwrap_err();
        assert_eq!(error.format, Format::Hdf5);
        // What was refused leaves a file that can be finished.
        Reader(&bytes(file)).dataset("/taken");
        error.to_string()
    };
    let two = Data::F64(&[1.0, 2.0]);
    let chunked = |chunk: &[u64]| Storage { chunk: Some(chunk.to_vec()), shuffle: true, deflate: Some(1) };
    for (found, expected) in [
        (said(&|file| file.dataset("/taken", &two, &[2], &plain)), "HDF5: object `/taken`: it is there already; choose another name"),
        (said(&|file| file.dataset("/taken/x", &two, &[2], &plain)), "object `/taken`: a dataset stands where a group is wanted"),
        (said(&|file| file.group("/taken")), "object `/taken`: a dataset stands where a group is wanted"),
        (said(&|file| file.dataset("x", &two, &[2], &plain)), "object `x`: a path begins with `/`"),
        (said(&|file| file.group("/a//b")), "`` is no name of an object"),
        (said(&|file| file.group("//a")), "`a` is no name of an object"),
        (said(&|file| file.group(&"/a".repeat(100_000))), "object `/`: a path has more than 256 names"),
        (said(&|file| file.group("/a/../b")), "`..` is no name of an object"),
        (said(&|file| file.group("/a\0")), "`a\\0` is no name of an object"),
        (said(&|file| file.dataset("/x", &two, &[3], &plain)), "the shape [3] has 3 values, 2 were given; give as many values"),
        (said(&|file| file.dataset("/x", &two, &[u64::MAX, u64::MAX], &plain)), "larger than HDF5 or this machine can address"),
        (said(&|file| file.dataset("/x", &Data::U8(&[1]), &[1; 33], &plain)), "HDF5 has at most 32 axes"),
        (said(&|file| file.dataset("/x", &two, &[2], &chunked(&[0]))), "the chunk [0] does not fit the shape [2]"),
        (said(&|file| file.dataset("/x", &two, &[2], &chunked(&[1, 1]))), "the chunk [1, 1] does not fit the shape [2]"),
        (said(&|file| file.dataset("/x", &two, &[2], &Storage { chunk: None, ..chunked(&[1]) })), "values in one piece can't be shuffled"),
        (said(&|file| file.dataset("/x", &two, &[2], &Storage { deflate: Some(10), ..chunked(&[1]) })), "deflate has levels 0 to 9"),
        (said(&|file| file.dataset("/x", &Data::References(vec!["/"]), &[1], &chunked(&[1]))), "references stand in one piece"),
        (said(&|file| file.dataset("/x", &Data::FixedTexts(2, vec!["abc"]), &[1], &plain)), "`abc` has 3 bytes, each text may have 2"),
        (said(&|file| file.dataset("/x", &Data::FixedTexts(0, vec![""]), &[1], &plain)), "a text of fixed length needs a byte"),
        (said(&|file| file.dataset("/x", &Data::Text("a\0b"), &[], &plain)), "a text has a zero byte in it"),
        (said(&|file| file.attribute("/none", "a", &two, &[2])), "there is no such object to have an attribute"),
        (said(&|file| file.attribute("/taken", "", &two, &[2])), "`` is no name of an attribute"),
        (said(&|file| file.attribute("/taken", "a", &Data::U8(&[0; 70_000]), &[70_000])), "more than the 64 KiB that stand in a header"),
        (
            said(&|file| {
                file.attribute("/taken", "a", &two, &[2])?;
                file.attribute("/taken", "a", &two, &[2])
            }),
            "attribute `a` is there already",
        ),
        (
            said(&|file| file.dataset_rows("/x", Element::F64, &[2], &plain, &mut |_, _| Ok(()))),
            "rows 0 to 2 came with 0 bytes, the shape needs 16",
        ),
        (
            said(&|file| file.dataset_rows("/x", Element::Text, &[2], &plain, &mut |_, _| Ok(()))),
            "only the writer knows the bytes of texts",
        ),
    ] {
        assert!(found.contains(expected), "{found}\nis not: {expected}");
    }
    let mut file = writer();
    file.dataset("/x", &Data::References(vec!["/nowhere"]), &[1], &plain).unwrap();
    assert!(file.finish().unwrap_err().to_string().contains("object `/x`: it refers to `/nowhere`, which is not there"));
}

/// Counts what it is asked to keep, without keeping it: files larger than memory can be written into it.
#[derive(Default)]
struct Nowhere {
    at: u64,
    end: u64,
    heads: Vec<(u64, Vec<u8>)>,
}

impl Write for Nowhere {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if bytes.len() < 4096 {
            self.heads.push((self.at, bytes.to_vec()));
        }
        self.at += bytes.len() as u64;
        self.end = self.end.max(self.at);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Nowhere {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        let SeekFrom::Start(at) = to else { return Err(std::io::Error::other("only from the start")) };
        self.at = at;
        Ok(at)
    }
}

#[test]
fn addresses_past_four_gibibytes_are_kept_whole() {
    const ROWS: u64 = 5 << 20;
    let mut file = Hdf5Writer::new(Nowhere::default()).unwrap();
    let row = [7u8; 1024];
    let mut rows = |rows: Range<u64>, into: &mut Vec<u8>| {
        (rows.start..rows.end).for_each(|_| into.extend(row));
        Ok(())
    };
    file.dataset_rows("/large", Element::U8, &[ROWS, 1024], &Storage::plain(), &mut rows).unwrap();
    file.dataset("/after", &Data::U8(&[1, 2, 3]), &[3], &Storage::plain()).unwrap();
    let out = file.finish().unwrap();
    assert!(out.end > ROWS * 1024);
    let superblock = &out.heads.iter().rev().find(|(at, _)| *at == 0).unwrap().1;
    assert_eq!(u64::from_le_bytes(superblock[28..36].try_into().unwrap()), out.end);
    let at = out.heads.iter().find(|(_, bytes)| bytes == &[1, 2, 3]).unwrap().0;
    assert_eq!(at, 48 + ROWS * 1024);
    assert!(out.heads.iter().any(|(_, bytes)| bytes.starts_with(b"OHDR") && bytes.windows(8).any(|part| part == at.to_le_bytes())));
}

/// A disk with little room.
struct Full(Cursor<Vec<u8>>, usize);

impl Write for Full {
    fn write(&mut self, bytes: &[u8]) -> std::io::Result<usize> {
        if self.1 == 0 {
            return Err(std::io::Error::other("the disk is full"));
        }
        self.1 -= 1;
        self.0.write(bytes)
    }

    fn flush(&mut self) -> std::io::Result<()> {
        Ok(())
    }
}

impl Seek for Full {
    fn seek(&mut self, to: SeekFrom) -> std::io::Result<u64> {
        self.0.seek(to)
    }
}

#[test]
fn a_full_disk_is_an_error_wherever_it_comes_and_what_is_left_is_no_hdf5_file() {
    let write = |room: usize| -> Result<Full, FormatError> {
        let mut file = Hdf5Writer::new(Full(Cursor::new(Vec::new()), room))?;
        file.dataset("/texts", &Data::Texts(vec!["a", "b"]), &[2], &Storage::plain())?;
        let storage = Storage { chunk: Some(vec![2]), shuffle: true, deflate: Some(1) };
        file.dataset("/values", &Data::F64(&[1.0; 9]), &[9], &storage)?;
        file.finish()
    };
    let mut failed = 0;
    for room in 0..100 {
        match write(room) {
            Ok(done) => assert!(Reader(done.0.get_ref()).dataset("/values").bytes.len() == 72),
            Err(error) => {
                failed += 1;
                assert!(error.to_string().contains("the file can't be written: the disk is full"), "{error}");
            }
        }
    }
    assert!((5..50).contains(&failed), "{failed}");
}

#[test]
fn every_array_of_the_recordings_at_hand_comes_back() {
    use neuroflow_data::formats::{Limits, npz::read_npz};
    let here = || std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared");
    let folder = std::env::var_os("NEUROFLOW_SHARED").map_or_else(here, std::path::PathBuf::from).join("data");
    if !folder.is_dir() {
        println!("skipped: no shared folder at {}", folder.display());
        return;
    }
    let (mut waiting, mut arrays) = (vec![folder], 0);
    while let Some(folder) = waiting.pop() {
        let paths: Vec<_> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        waiting.extend(paths.iter().filter(|path| path.is_dir()).cloned());
        for path in paths.iter().filter(|path| path.extension().is_some_and(|ending| ending == "npz")) {
            let file = read_npz(&std::fs::read(path).unwrap(), &Limits::default()).unwrap();
            for (name, array) in &file.arrays {
                let Ok(values) = array.to_f64() else { continue };
                let shape: Vec<u64> = array.shape.iter().map(|&length| length as u64).collect();
                let mut out = writer();
                out.dataset("/x", &Data::F64(&values), &shape, &Storage::packed(&shape, 8)).unwrap();
                let bytes = bytes(out);
                let back = Reader(&bytes).dataset("/x");
                let same = back.numbers().iter().zip(values.iter()).all(|(one, two)| one.to_bits() == two.to_bits());
                assert!(same && back.shape == shape, "{} {name}", path.display());
                arrays += 1;
            }
        }
    }
    assert!(arrays > 20, "{arrays}");
}

fn any_storage(rank: usize) -> impl Strategy<Value = Storage> {
    let chunk = proptest::collection::vec(1u64..7, rank);
    (proptest::option::of(chunk), any::<bool>(), proptest::option::of(0u32..10)).prop_map(|(chunk, shuffle, deflate)| match chunk {
        Some(chunk) if !chunk.is_empty() => Storage { chunk: Some(chunk), shuffle, deflate },
        _ => Storage::plain(),
    })
}

fn any_form() -> impl Strategy<Value = (Vec<u64>, Storage)> {
    (0usize..5).prop_flat_map(|rank| (proptest::collection::vec(0u64..9, rank), any_storage(rank)))
}

proptest! {
    #[test]
    fn any_numbers_come_back((shape, storage) in any_form(), seed: u64, which in 0usize..11) {
        let count = shape.iter().product::<u64>() as usize;
        let seeds: Vec<u64> = (0..count as u64).map(|value| (value + 1).wrapping_mul(seed | 1)).collect();
        macro_rules! written {
            ($name:ident, $of:expr) => {{
                let values: Vec<_> = seeds.iter().map($of).collect();
                let expected: Vec<u8> = values.iter().flat_map(|value| value.to_le_bytes()).collect();
                let write = || {
                    let mut file = writer();
                    file.dataset("/x", &Data::$name(&values), &shape, &storage).unwrap();
                    bytes(file)
                };
                (write(), write(), expected, Element::$name)
            }};
        }
        let (file, again, expected, element) = match which {
            0 => written!(I8, |&seed| seed as i8),
            1 => written!(I16, |&seed| seed as i16),
            2 => written!(I32, |&seed| seed as i32),
            3 => written!(I64, |&seed| seed as i64),
            4 => written!(U8, |&seed| seed as u8),
            5 => written!(U16, |&seed| seed as u16),
            6 => written!(U32, |&seed| seed as u32),
            7 => written!(U64, |&seed| seed),
            8 => written!(F32, |&seed| f32::from_bits(seed as u32)),
            9 => written!(F64, |&seed| f64::from_bits(seed)),
            _ => {
                let values: Vec<bool> = seeds.iter().map(|seed| seed >> 63 == 1).collect();
                let mut file = writer();
                file.dataset("/x", &Data::Bools(&values), &shape, &storage).unwrap();
                let file = bytes(file);
                (file.clone(), file, values.iter().map(|&value| u8::from(value)).collect(), Element::Bool)
            }
        };
        prop_assert_eq!(&file, &again);
        let read = Reader(&file).dataset("/x");
        prop_assert_eq!((read.shape, read.datatype, read.bytes), (shape, element.datatype(), expected));
    }

    #[test]
    fn any_texts_come_back(texts in proptest::collection::vec("[^\0]{0,12}", 0..40), long in 0usize..70_000, chunk in proptest::option::of(1u64..9)) {
        let long = "y".repeat(long);
        let mut texts: Vec<&str> = texts.iter().map(String::as_str).collect();
        texts.insert(texts.len() / 2, &long);
        let storage = Storage { shuffle: false, deflate: chunk.map(|_| 3), chunk: chunk.map(|chunk| vec![chunk]) };
        let mut file = writer();
        file.dataset("/x", &Data::Texts(texts.clone()), &[texts.len() as u64], &storage).unwrap();
        file.attribute("/x", "first", &Data::Text(texts[0]), &[]).unwrap();
        let bytes = bytes(file);
        let expected: Vec<u8> = texts.iter().flat_map(|text| text.bytes().chain([0])).collect();
        prop_assert_eq!(Reader(&bytes).dataset("/x").bytes, expected);
        prop_assert_eq!(Reader(&bytes).attribute("/x", "first").bytes, format!("{}\0", texts[0]).into_bytes());
    }

    #[test]
    fn any_names_are_found(names in proptest::collection::btree_set("[^/\0]{1,20}", 0..30)) {
        let mut file = writer();
        let names: Vec<String> = names.into_iter().filter(|name| name != "." && name != "..").collect();
        for (place, name) in names.iter().enumerate() {
            file.dataset(&format!("/g/{name}"), &Data::U64(&[place as u64]), &[], &Storage::plain()).unwrap();
        }
        let bytes = bytes(file);
        for (place, name) in names.iter().enumerate() {
            prop_assert_eq!(Reader(&bytes).dataset(&format!("/g/{name}")).bytes, (place as u64).to_le_bytes());
        }
    }
}
