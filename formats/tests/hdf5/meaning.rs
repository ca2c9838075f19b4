//! What values and times of a file mean: factors of netCDF and NWB, marks of intervals, and what stands beside the samples of a series.

use super::made_file;
use crate::reading::source;
use arrow::array::AsArray;
use arrow::datatypes::{Float64Type, UInt8Type};
use neuroflow_formats::hdf5::Hdf5Document;
use neuroflow_formats::nwb::NwbDocument;
use neuroflow_formats::{Document, Limits, What, hdf5, nwb};

fn packed() -> Hdf5Document {
    hdf5::open(source(made_file("packed_values.h5")), &Limits::default()).unwrap()
}

fn series() -> NwbDocument {
    nwb::open(source(made_file("series.nwb")), &Limits::default()).unwrap()
}

fn values(document: &dyn Document, path: &str) -> Vec<f64> {
    document.tensor(path, None).unwrap().values().to_vec()
}

fn column(document: &dyn Document, path: &str, name: &str) -> Vec<f64> {
    let rows = document.rows(path).unwrap();
    let place = rows.schema().index_of(name).unwrap();
    rows.read(&[place], 0..rows.count()).unwrap().column(0).as_primitive::<Float64Type>().values().to_vec()
}

/// As xarray 2026.9 decodes them.
#[test]
fn packed_values_of_netcdf_are_unpacked() {
    let document = packed();
    let lfp = values(&document, "lfp");
    assert_eq!([lfp[0], lfp[1], lfp[3]], [53.0 * 0.01 + 1.0, -90.0 * 0.01 + 1.0, 7.0 * 0.01 + 1.0]);
    assert!(lfp[2].is_nan());
    assert_eq!(document.tensor("lfp", Some(&[1..2, 1..2])).unwrap().values(), [1.07]);
    assert_eq!(document.tensor("lfp", None).unwrap().unit(), Some("uV"));
    let second = column(&document, "lfp", "column_2");
    assert_eq!(second, [lfp[1], lfp[3]]);
    assert!(column(&document, "lfp", "column_1")[1].is_nan());
    let gap = values(&document, "gap");
    assert!(gap[0] == 1.5 && gap[1].is_nan());
    assert_eq!(values(&document, "byte"), [127.0, 1.5, 127.5]);
    assert_eq!(values(&document, "volts"), [3.0 * 1e-6 + 0.5, 4.0 * 1e-6 + 0.5]);
    // Without a conversion an offset is no summand: others call a place so.
    assert_eq!(values(&document, "offset"), [3.0, 4.0]);
    let item = document.contents().item("lfp").unwrap();
    assert!(matches!(&item.what, What::Array { element, .. } if element == "int16"));
    assert_eq!(item.about, "values are the stored ones × 0.01 + 1; stored -32768 is missing");
}

#[test]
fn what_is_no_array_of_numbers_names_what_reads_it() {
    let document = packed();
    let refusal = |path: &str| document.tensor(path, None).unwrap_err();
    let (words, line, plane) = (refusal("words"), refusal("line"), refusal("plane"));
    assert_eq!((words.reason.as_str(), words.help.as_str()), ("this holds text, not numbers", "`ingest.table(…, of = \"words\")` has it"));
    assert_eq!(line.help, "`ingest.table(…, of = \"line\")` has it");
    assert_eq!(
        (plane.reason.as_str(), plane.help.as_str()),
        ("this holds complex numbers, not numbers", "save `real` and `imag`, or `abs`, of it")
    );
    assert_eq!(document.rows("plane").unwrap_err().help, "save `real` and `imag`, or `abs`, of it");
    assert_eq!((column(&document, "line", "r"), column(&document, "line", "i")), (vec![1.0, 3.0], vec![2.0, -4.0]));
    let what = |path: &str| document.contents().item(path).unwrap().what.clone();
    let columns = vec![("r".to_owned(), "float64".to_owned()), ("i".to_owned(), "float64".to_owned())];
    assert_eq!(what("line"), What::Table { rows: Some(2), columns });
    assert!(matches!(what("plane"), What::Array { element, .. } if element == "complex64"));
}

#[test]
fn series_with_other_timestamps_than_samples_have_no_rows() {
    let document = series();
    let told = [
        ("acquisition/transposed", "the data has 2 samples along its first axis and 50 timestamps: it may be transposed"),
        ("acquisition/short", "the data has 3 samples along its first axis and 4 timestamps"),
    ];
    for (path, reason) in told {
        let error = document.rows(path).unwrap_err();
        assert_eq!(error.reason, reason);
        assert!(error.help.contains(&format!("`ingest.array(…, of = \"{path}\")`")) && !error.is_damage(), "{error}");
        assert!(document.contents().notes.contains(&format!("`/{path}`: {reason}")), "{:?}", document.contents().notes);
        assert!(matches!(&document.contents().item(path).unwrap().what, What::Array { axes, .. } if axes.is_empty()));
    }
    assert_eq!(document.tensor("acquisition/transposed", None).unwrap().shape(), [2, 50]);
}

/// As pynwb's `get_data_in_units` has them, whichever path asks.
#[test]
fn values_of_a_series_are_scaled_once() {
    let document = series();
    let expected = [1.25, 2.0, 1.75, 3.0, 2.25, 4.0];
    assert_eq!(values(&document, "acquisition/scaled"), expected);
    assert_eq!(values(&document, "acquisition/scaled/data"), expected);
    let error = document.rows("acquisition/scaled/data").unwrap_err().to_string();
    assert!(error.contains("each of its channels has a gain of its own; `ingest.table(…, of = \"acquisition/scaled\")`"), "{error}");
}

#[test]
fn marks_of_intervals_are_events() {
    let document = series();
    let path = "processing/behavior/epochs/run";
    assert_eq!(document.contents().item(path).unwrap().what, What::Events { count: 3 });
    let events = document.events(path).unwrap();
    assert_eq!((events.times(), events.labels()), (vec![0.0, 1.0, 9.0], vec!["1".to_owned(), "2".into(), "1".into()]));
    let durations = events.table().batch().column_by_name("duration").unwrap().clone();
    let durations: Vec<Option<f64>> = durations.as_primitive::<Float64Type>().iter().collect();
    assert_eq!(durations, [Some(1.5), Some(3.0), None]);
    // Marks that make no intervals are a table.
    let odd = "processing/behavior/epochs/odd";
    assert!(matches!(document.contents().item(odd).unwrap().what, What::Recording { .. } | What::Table { .. }));
    assert!(document.contents().notes.iter().any(|note| note.contains("mark 1 of -1 ends an interval that has not begun")));
    assert_eq!(column(&document, odd, "odd"), [-1.0, 1.0]);
}

#[test]
fn what_stands_beside_the_samples_is_there() {
    let document = series();
    let nose = "processing/behavior/pose/nose";
    assert_eq!(column(&document, nose, "confidence"), [0.5, 1.0, 0.25, 0.75]);
    assert_eq!(column(&document, nose, "y"), [1.0, 3.0, 5.0, 7.0]);
    let both = document.rows(nose).unwrap().read(&[3, 0, 2], 1..3).unwrap();
    let taken = |place: usize| both.column(place).as_primitive::<Float64Type>().values().to_vec();
    assert_eq!((taken(0), taken(1), taken(2)), (vec![1.0, 0.25], vec![0.02, 0.04], vec![3.0, 5.0]));
    assert_eq!(values(&document, &format!("{nose}/confidence")), [0.5, 1.0, 0.25, 0.75]);
    assert!(document.contents().item(&format!("{nose}/confidence")).is_some());
    let control = document.rows("acquisition/controlled").unwrap();
    let place = control.schema().index_of("control").unwrap();
    let control = control.read(&[place], 0..3).unwrap();
    assert_eq!(control.column(0).as_primitive::<UInt8Type>().values().as_ref(), [0, 1, 0]);
    let below = |path: &str| document.contents().items.iter().filter(|item| item.path.starts_with(path)).count();
    assert_eq!(below("acquisition/controlled/"), 2);
    assert_eq!(below("acquisition/scaled/"), 0);
}

#[test]
fn things_stand_below_the_group_that_holds_them() {
    for document in [series(), nwb::open(source(made_file("times.nwb")), &Limits::default()).unwrap()] {
        let paths: Vec<&str> = document.contents().items.iter().map(|item| item.path.as_str()).collect();
        for (place, path) in paths.iter().enumerate() {
            let Some((group, _)) = path.rsplit_once('/') else { continue };
            // Between a group and what it holds stands nothing else.
            let above = paths[..place].iter().rposition(|own| *own == group).unwrap();
            assert!(paths[above..place].iter().skip(1).all(|own| own.starts_with(&format!("{group}/"))), "{path} in {paths:?}");
        }
    }
}
