//! Files that `tests/reference/small_files.py` made.

use super::made_file;
use crate::reading::{damage, source};
use arrow::array::{Array, AsArray};
use arrow::datatypes::{Float64Type, Int16Type, Int32Type};
use neuroflow_data::formats::mat5::{MatClass, MatNumbers, MatValue};
use neuroflow_data::formats::{Format, Limits};
use neuroflow_formats::{Document, Source, What, arrays, hdf5, mat73, nwb};
use std::borrow::Cow;
use std::ops::Range;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

#[test]
fn datasets_read_alike_whatever_the_layout() {
    for name in ["earliest.h5", "latest.h5"] {
        let document = hdf5::open(source(made_file(name)), &Limits::default()).unwrap();
        let expected: Vec<f64> = (0..35).map(f64::from).collect();
        for path in ["plain", "gzip", "free", "both", "soft", "sub/up/plain"] {
            let tensor = document.tensor(path, None).unwrap();
            assert_eq!((tensor.shape(), tensor.values()), (vec![7, 5], expected.as_slice()), "{name} {path}");
            let part = document.tensor(path, Some(&[2..6, 1..4])).unwrap();
            let own: Vec<f64> = (2..6).flat_map(|row| (1..4).map(move |column| f64::from(row * 5 + column))).collect();
            assert_eq!((part.shape(), part.values()), (vec![4, 3], own.as_slice()), "{name} {path}");
            let rows = document.rows(path).unwrap();
            let batch = rows.read(&[4, 0], 5..99).unwrap();
            assert_eq!(batch.column(0).as_primitive::<Int16Type>().values().as_ref(), [29, 34]);
            assert_eq!(batch.column(1).as_primitive::<Int16Type>().values().as_ref(), [25, 30]);
            assert_eq!(batch.schema().field(0).name(), "column_5");
        }
        assert_eq!(document.tensor("plain", None).unwrap().unit(), Some("mV"));
        assert!(document.tensor("lzf", None).unwrap().values().iter().all(|value| *value == 0.0));
        let words = document.rows("words").unwrap().read(&[0], 0..3).unwrap();
        assert_eq!(words.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["a", "übung", ""]);
        let table = document.rows("table").unwrap().read(&[1, 2, 0], 0..2).unwrap();
        assert_eq!(table.column(0).as_primitive::<Int32Type>().values().as_ref(), [2, -3]);
        assert_eq!(table.column(1).as_string::<i32>().value(0), "ab");
        assert_eq!(table.column(2).as_primitive::<Float64Type>().values().as_ref(), [1.5, 2.5]);
        let flag = document.rows("flag").unwrap().read(&[0], 0..2).unwrap();
        assert_eq!(flag.column(0).as_boolean().iter().flatten().collect::<Vec<_>>(), [true, false]);
        let refs = document.rows("refs").unwrap().read(&[0], 0..2).unwrap();
        assert_eq!(refs.column(0).as_string::<i32>().iter().flatten().collect::<Vec<_>>(), ["/table", ""]);
    }
}

/// Filters that are no part of HDF5 itself, as the package hdf5plugin 7.1 applies them.
#[test]
fn chunks_of_the_usual_plugins_are_unpacked() {
    let document = hdf5::open(source(made_file("packed.h5")), &Limits::default()).unwrap();
    let expected: Vec<f64> = (0..1200).map(|number| f64::from(number / 5 % 97 + number % 3)).collect();
    let mut seen = 0;
    for item in document.contents().items.iter().filter(|item| matches!(item.what, What::Array { .. })) {
        let tensor = document.tensor(&item.path, None).unwrap_or_else(|error| panic!("{}: {error}", item.path));
        assert_eq!((tensor.shape(), tensor.values()), (vec![400, 3], expected.as_slice()), "{}", item.path);
        seen += 1;
    }
    assert_eq!(seen, 39);
    let document = hdf5::open(source(made_file("packed_small.h5")), &Limits::default()).unwrap();
    for path in ["a", "b", "c", "d", "e", "f"] {
        assert!(document.tensor(path, None).unwrap().values().iter().copied().eq((0..300).map(|number| f64::from(number / 7))), "{path}");
    }
}

/// Every array below `plain` is what h5py 3.16 read of the one under its own path.
fn equal_to_plain(document: &dyn Document, below: &str) -> usize {
    let mut seen = 0;
    for item in document.contents().items.iter().filter(|item| matches!(item.what, What::Array { .. })) {
        let Some(path) = item.path.strip_prefix("plain/") else { continue };
        let own = format!("{below}{path}");
        let read = |path: &str, part: Option<&[Range<u64>]>| document.tensor(path, part).unwrap_or_else(|error| panic!("{path}: {error}"));
        let bits = |tensor: &neuroflow_data::Tensor| tensor.values().iter().map(|value| value.to_bits()).collect::<Vec<u64>>();
        let (plain, tensor) = (read(&item.path, None), read(&own, None));
        assert_eq!((tensor.shape(), bits(&tensor)), (plain.shape(), bits(&plain)), "{own}");
        // Parts of every size from several corners.
        let shape = plain.shape();
        for (skip, take) in [(0, 1), (1, 2), (2, 3), (1, 1000), (3, 7)] {
            let part: Vec<Range<u64>> = shape
                .iter()
                .map(|length| {
                    let start = skip.min(*length as u64 - 1);
                    start..(start + take).min(*length as u64)
                })
                .collect();
            assert_eq!(bits(&read(&own, Some(&part))), bits(&read(&item.path, Some(&part))), "{own} {part:?}");
        }
        seen += 1;
    }
    seen
}

#[test]
fn virtual_datasets_are_put_together_from_the_same_file() {
    for name in ["virtual_early.h5", "virtual_late.h5"] {
        let document = hdf5::open(source(made_file(name)), &Limits::default()).unwrap();
        assert_eq!(equal_to_plain(&document, ""), 7, "{name}");
        let note = "`/elsewhere` is put together from datasets in other files, which are not opened: `../other.h5`";
        assert_eq!(document.contents().notes, [note]);
        // What is here of it can be read.
        assert_eq!(document.tensor("elsewhere", Some(&[0..1, 3..5])).unwrap().values(), [3.0, 4.0]);
        let error = document.tensor("elsewhere", None).unwrap_err();
        assert!(
            error.to_string().contains("values of a virtual dataset are in another file, which is not opened: `../other.h5`"),
            "{error}"
        );
        assert!(!error.is_damage());
        let error = document.tensor("itself", None).unwrap_err().to_string();
        assert!(error.contains("virtual datasets are made of each other more than 4 deep"), "{error}");
    }
}

/// As libaec 1.1 codes them for h5py 3.16.
#[test]
fn chunks_of_szip_are_decoded() {
    let document = hdf5::open(source(made_file("szip.h5")), &Limits::default()).unwrap();
    assert_eq!(equal_to_plain(&document, "szip/"), 30);
}

#[test]
fn single_numbers_are_arrays_of_one() {
    let document = nwb::open(source(made_file("small.nwb")), &Limits::default()).unwrap();
    let tensor = document.tensor("acquisition/raw/starting_time", None).unwrap();
    assert_eq!((tensor.shape(), tensor.values()), (vec![1], [2.0].as_slice()));
    let error = document.tensor("identifier", None).unwrap_err().to_string();
    assert!(error.contains("text"), "{error}");
}

#[test]
fn contents_tell_attributes_and_links_and_follow_none_out_of_the_file() {
    for (name, below) in [("earliest.h5", 1), ("latest.h5", 25)] {
        let document = hdf5::open(source(made_file(name)), &Limits::default()).unwrap();
        let contents = document.contents();
        let what = |path: &str| contents.item(path).map(|item| item.what.clone());
        assert_eq!(what("plain@unit"), Some(What::Value("mV".into())));
        assert_eq!(contents.item("soft").unwrap().about, "the same as `/plain`");
        assert_eq!(contents.item("sub/up").unwrap().about, "the same as `/`");
        assert_eq!(what("out"), Some(What::Value("../other.h5:/x".into())));
        assert_eq!(contents.notes, ["`/out` is a link to another file, which is not opened: `../other.h5`"]);
        assert_eq!(
            contents.items.iter().filter(|item| item.path.starts_with("sub/") || item.path.starts_with("sub@")).count(),
            below,
            "{name}"
        );
        let paths: std::collections::BTreeSet<&str> = contents.items.iter().map(|item| item.path.as_str()).collect();
        assert_eq!(paths.len(), contents.items.len());
        for (path, text) in [
            ("out", "object `out`: this is a text, not an array; name one of"),
            ("nothing", "there is no array of this name; there are"),
            ("words", "object `/words`: this holds text, not numbers; `ingest.table(…, of = \"words\")` has it"),
        ] {
            let error = document.tensor(path, None).unwrap_err().to_string();
            assert!(error.starts_with("HDF5: ") && error.contains(text), "{error}");
        }
        let error = document.tensor("plain", Some(&[0..8, 0..1])).unwrap_err().to_string();
        assert!(error.contains("the part [0..8, 0..1] is not in an array of the shape [7, 5]"), "{error}");
    }
}

/// A source that counts what is read from it.
#[derive(Debug)]
struct Counted(Vec<u8>, AtomicU64, AtomicU64);

impl Source for Counted {
    fn len(&self) -> u64 {
        self.0.len() as u64
    }

    fn bytes(&self, range: Range<u64>) -> std::io::Result<Cow<'_, [u8]>> {
        self.1.fetch_add(1, Ordering::Relaxed);
        self.2.fetch_add(range.end.saturating_sub(range.start), Ordering::Relaxed);
        let own = self.0.get(range.start as usize..range.end as usize);
        own.map(|bytes| Cow::Owned(bytes.to_vec())).ok_or_else(|| std::io::ErrorKind::UnexpectedEof.into())
    }
}

#[test]
fn only_the_chunks_that_a_part_touches_are_read() {
    let counted = Arc::new(Counted(made_file("latest.h5"), AtomicU64::new(0), AtomicU64::new(0)));
    let document = hdf5::open(Arc::clone(&counted) as Arc<dyn Source>, &Limits::default()).unwrap();
    document.tensor("free", None).unwrap();
    let reset = || (counted.1.swap(0, Ordering::Relaxed), counted.2.swap(0, Ordering::Relaxed));
    reset();
    // Chunks of 3 × 2 numbers of two bytes: one of them, then two.
    document.tensor("free", Some(&[0..3, 2..4])).unwrap();
    assert_eq!(reset(), (1, 12));
    document.tensor("free", Some(&[2..4, 0..1])).unwrap();
    assert_eq!(reset(), (2, 24));
    document.tensor("plain", Some(&[3..5, 0..5])).unwrap();
    // Two rows, and the unit, a text of two bytes in a heap that is known by now.
    assert_eq!(reset(), (2, 22));
}

#[test]
fn an_nwb_file_has_its_parts() {
    let document = nwb::open(source(made_file("small.nwb")), &Limits::default()).unwrap();
    let contents = document.contents();
    assert_eq!((contents.format, contents.version.as_str()), (Format::Nwb, "2.7.0"));
    assert_eq!(contents.facts["subject_subject_id"], "m1");
    assert_eq!(contents.notes, ["the pictures of `/stimulus/movie` are in other files, which are not opened: `../movie.avi`"]);
    // `Wide` extends `TimeSeries` in the namespace that the file carries.
    let expected = What::Recording { channels: 2, samples: 4, rate: 10.0, span: (2.0, 2.3), unit: "volts".into() };
    assert_eq!(contents.item("acquisition/raw").unwrap().what, expected);
    let signals = document.signals("").unwrap();
    let mut values = Vec::new();
    signals.read(1, 1..9, &mut values).unwrap();
    assert_eq!(values, [1.5, 2.5, 3.5]);
    let recording = signals.recording(Format::Nwb, "s", &[0, 1]).unwrap();
    assert_eq!(recording.values(0, 0..4), [0.0, 1.0, 2.0, 3.0]);
    assert_eq!(recording.channels().map(|channel| channel.name.clone()).collect::<Vec<_>>(), ["raw_1", "raw_2"]);
    let rows = document.rows("acquisition/raw").unwrap();
    assert_eq!(rows.bounds(0, 1..3), Some((2.1, 2.2)));
    assert_eq!(document.tensor("acquisition/raw", Some(&[1..2, 0..2])).unwrap().values(), [1.0, 1.5]);

    let odd = document.rows("acquisition/odd").unwrap().read(&[0, 1], 1..3).unwrap();
    assert_eq!(odd.column(0).as_primitive::<Float64Type>().values().as_ref(), [1.0, 5.0]);
    assert!(document.signals("acquisition/odd").err().unwrap().to_string().contains("this is a table, not a recording"));

    let trials = document.events("intervals/trials").unwrap();
    assert_eq!((trials.times(), trials.labels()), (vec![1.0, 2.0], vec!["left".to_owned(), "right".to_owned()]));
    assert_eq!(trials.table().numbers("duration").unwrap(), [0.5, 0.75]);
    assert_eq!(trials.table().column_names(), ["time", "duration", "label", "id", "stop_time", "side"]);
    assert_eq!(document.events("stimulus/notes").unwrap().labels(), ["go", "stop"]);

    let spikes = document.spikes("units").unwrap();
    assert_eq!((spikes.names(), spikes.times(0), spikes.times(1)), (vec!["3".into(), "5".into()], [0.1, 0.2].as_slice(), [0.3].as_slice()));
    assert_eq!(spikes.units().texts("quality").unwrap(), ["good", "mua"]);
    let units = document.rows("units").unwrap();
    let place = units.schema().index_of("nested").unwrap();
    let nested = units.read(&[place], 1..2).unwrap();
    let nested = nested.column(0).as_list::<i64>().value(0);
    let inner = nested.as_list::<i64>();
    assert_eq!(inner.len(), 1);
    assert_eq!(inner.value(0).as_primitive::<Float64Type>().values().as_ref(), [2.0, 3.0]);
}

#[test]
fn times_that_were_rounded_or_pause_make_a_recording() {
    let document = nwb::open(source(made_file("times.nwb")), &Limits::default()).unwrap();
    let what = |name: &str| document.contents().item(&format!("acquisition/{name}")).unwrap().what.clone();
    let expected = What::Recording { channels: 1, samples: 17_000, rate: 1000.0, span: (100.25, 117.249), unit: "m".into() };
    assert_eq!(what("rounded"), expected);
    let expected = What::Recording { channels: 2, samples: 150, rate: 100.0, span: (0.0, 5.79), unit: "m".into() };
    assert_eq!(what("paused"), expected);
    assert!(matches!(what("licks"), What::Table { rows: Some(40), .. }), "{:?}", what("licks"));
    let stretches = |name: &str| -> Vec<(u64, f64)> {
        let signals = document.signals(&format!("acquisition/{name}")).unwrap();
        signals.channels()[0].stretches.iter().map(|stretch| (stretch.first, stretch.time)).collect()
    };
    assert_eq!(stretches("rounded"), [(0, 100.25)]);
    assert_eq!(stretches("paused"), [(0, 0.0), (50, 2.0), (120, 5.5)]);
    let recording = document.signals("acquisition/paused").unwrap().recording(Format::Nwb, "s", &[1]).unwrap();
    assert_eq!(recording.values(0, 48..52), [97.0, 99.0, 101.0, 103.0]);
    let (channel, _) = recording.channel(0).unwrap();
    assert_eq!((channel.time_of(49), channel.time_of(50), channel.time_of(149)), (0.49, 2.0, 5.79));
    // Rows keep the times as they stand in the file.
    let rows = document.rows("acquisition/rounded").unwrap().read(&[0], 0..17_000).unwrap();
    let times = rows.column(0).as_primitive::<Float64Type>().values();
    assert_eq!((times[0], times[16_999]), (100.25, 117.249));
    // Only some times are looked at when the file is opened; all are before samples are read.
    assert!(matches!(what("late"), What::Recording { .. }));
    let error = document.signals("acquisition/late").err().unwrap().to_string();
    assert!(error.contains("its timestamps are not regular, so it is no recording at a rate; `ingest.table(…, of = \"acquisition/late\")` has what stands there"), "{error}");
    assert_eq!(document.rows("acquisition/late").unwrap().count(), 17_000);
}

#[test]
fn parts_of_series_that_rows_refer_to_are_texts() {
    let document = nwb::open(source(made_file("times.nwb")), &Limits::default()).unwrap();
    let trials = document.rows("intervals/trials").unwrap();
    let place = trials.schema().index_of("timeseries").unwrap();
    let parts = trials.read(&[place], 0..3).unwrap();
    assert_eq!(parts.schema(), Arc::new(trials.schema().project(&[place]).unwrap()));
    let parts = parts.column(0).as_list::<i64>();
    let of = |row: usize| parts.value(row).as_string::<i32>().iter().flatten().map(str::to_owned).collect::<Vec<_>>();
    assert_eq!(of(0), ["/acquisition/paused[0:50]"]);
    assert_eq!(of(1), ["/acquisition/paused[50:100]", "/acquisition/rounded[7:8]"]);
    assert_eq!(of(2), [""]);
    assert_eq!(document.events("intervals/trials").unwrap().times(), [0.0, 2.0, 5.5]);
}

#[test]
fn a_plain_hdf5_file_is_no_nwb() {
    let error = nwb::open(source(made_file("latest.h5")), &Limits::default()).unwrap_err().to_string();
    assert_eq!(error, "NWB: the file: the root group has no attribute `nwb_version`; read it as plain HDF5");
}

#[test]
fn matlab_values_have_their_size_and_order() {
    let bytes = made_file("small.mat");
    assert!(mat73::is_mat73(&bytes) && !mat73::is_mat73(&made_file("latest.h5")));
    let file = mat73::read_mat73(source(bytes.clone()), &Limits::default()).unwrap();
    let m = file.get("m").unwrap();
    assert_eq!((m.dims(), m.numbers().unwrap().as_ref()), ([2, 3].as_slice(), [1.0, 4.0, 2.0, 5.0, 3.0, 6.0].as_slice()));
    let flag = MatValue::Numeric { dims: vec![1, 2], class: MatClass::Logical, data: MatNumbers::U8(vec![1, 0]), imaginary: None };
    assert_eq!(*file.get("flag").unwrap(), flag);
    assert_eq!(file.get("word").unwrap().text().unwrap(), "grün");
    assert_eq!(file.get("none").unwrap().dims(), [0, 3]);
    let cell = file.get("cell").unwrap();
    assert_eq!((cell.dims(), cell.cell(0).unwrap().number().unwrap()), ([1, 2].as_slice(), 7.0));
    assert_eq!(cell.cell(1).unwrap().text().unwrap(), "x");
    let many = file.get("many").unwrap();
    assert_eq!((many.dims(), many.field_values("f").unwrap().len()), ([1, 2].as_slice(), 2));
    let sparse = file.get("sparse").unwrap();
    assert_eq!(sparse.dense(&Limits::default()).unwrap(), [0.0, 0.0, 5.0, 6.0, 0.0, 0.0]);

    let document = mat73::open(source(bytes), &Limits::default()).unwrap();
    assert_eq!(document.tensor("m", None).unwrap().values(), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
    assert_eq!(document.tensor("m", Some(&[1..2, 0..2])).unwrap().values(), [4.0, 5.0]);
    assert_eq!(document.contents().item("word").unwrap().what, What::Value("grün".into()));
    assert!(document.contents().facts["header"].starts_with("MATLAB 7.3 MAT-file"));
}

/// One file, written by SciPy as MATLAB 5 and by h5py in MATLAB's layout of 7.3.
#[test]
fn both_sorts_of_matlab_files_give_the_same() {
    let limits = Limits::default();
    let old = arrays::mat5::open(source(made_file("values5.mat")), &limits).unwrap();
    let new = mat73::open(source(made_file("values73.mat")), &limits).unwrap();
    let listed = |document: &dyn Document| -> Vec<(String, What)> {
        document.contents().items.iter().map(|item| (item.path.clone(), item.what.clone())).collect()
    };
    assert_eq!(listed(&new), listed(&old));
    let (mut arrays, mut tables) = (0, 0);
    for (path, what) in listed(&old) {
        match what {
            What::Array { shape, .. } => {
                let text = |tensor: Result<neuroflow_data::Tensor, neuroflow_formats::FormatError>| match tensor {
                    Ok(tensor) => format!("{:?} {:?} {:?}", tensor.shape(), tensor.axes(), tensor.values()),
                    Err(error) => error.reason,
                };
                assert_eq!(text(new.tensor(&path, None)), text(old.tensor(&path, None)), "{path}");
                if shape.iter().all(|length| *length > 0) {
                    let part: Vec<Range<u64>> = shape.iter().map(|length| length / 2..*length).collect();
                    assert_eq!(text(new.tensor(&path, Some(&part))), text(old.tensor(&path, Some(&part))), "{path}");
                }
                arrays += 1;
            }
            What::Table { .. } => {
                let read = |document: &dyn Document| document.rows(&path).unwrap().read(&[0], 0..99).unwrap();
                assert_eq!(read(&new), read(&old), "{path}");
                tables += 1;
            }
            _ => {}
        }
    }
    assert_eq!((arrays, tables), (23, 4));
    let about = |path: &str| new.contents().item(path).unwrap().about.clone();
    assert_eq!((about("large"), about("number")), ("9223372036854775808".into(), "250.5".into()));
    assert_eq!(new.tensor("units/x", None).unwrap().values(), [0.0, 0.0, 1.0, 10.0, 2.0, 20.0]);
    assert_eq!(new.tensor("units/part/3", None).unwrap().values(), [1.0, 2.0, 3.0]);
    assert_eq!(new.tensor("sparse", None).unwrap().values(), [0.0, 5.0, 0.0, 0.0, 7.0, 0.0]);
    for path in ["units/part/4", "units/part/0", "mixed/3/9", "mixed/x", "number/1", "#refs#/r0"] {
        assert!(new.tensor(path, None).unwrap_err().to_string().contains("there is no array of this name"), "{path}");
    }
}

#[test]
fn checksums_and_circles_are_told_with_their_place() {
    let limits = Limits::default();
    let good = made_file("latest.h5");
    // The superblock's checksum.
    let mut bytes = good.clone();
    bytes[40] ^= 1;
    let error = hdf5::open(source(bytes), &limits).unwrap_err().to_string();
    assert_eq!(error, "HDF5: byte 44: the superblock's checksum is wrong; the file looks cut short or damaged: copy or download it again");
    // The header of the root group, which stands first.
    let at = good.windows(4).position(|own| own == b"OHDR").unwrap();
    let mut bytes = good.clone();
    bytes[at + 8] ^= 0x10;
    let error = hdf5::open(source(bytes), &limits).unwrap_err().to_string();
    assert!(error.contains("an object header"), "{error}");
    let error = hdf5::open(source(good[..good.len() / 2].to_vec()), &limits);
    assert!(error.is_err() || damage(&error.unwrap()).iter().any(|reason| reason.contains("were asked for, the file has")));
    let error = hdf5::open(source(b"not a file of this sort at all".repeat(40)), &limits).unwrap_err().to_string();
    assert!(error.starts_with("HDF5: the file: there is no HDF5 signature at byte 0, 512, 1024 …"), "{error}");
    // A B-tree of version 1 whose first child is itself, that of the group `sub`.
    let mut bytes = made_file("earliest.h5");
    let tree = bytes.windows(6).rposition(|own| own == b"TREE\x00\x00").unwrap();
    bytes[tree + 5] = 1;
    let address = (tree as u64).to_le_bytes();
    bytes[tree + 32..tree + 40].copy_from_slice(&address);
    let error = hdf5::open(source(bytes), &limits).map(|document| damage(&document).join("; "));
    let text = error.unwrap_or_else(|error| error.to_string());
    assert!(text.contains("a B-tree has the same node twice"), "{text}");
}
