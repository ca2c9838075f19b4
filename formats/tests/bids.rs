//! A real folder with BIDS content, where the shared folder is at hand.

use crate::ephys::build::{Edf, annotations, signal, tal};
use arrow::array::AsArray;
use arrow::buffer::Buffer;
use arrow::datatypes::Float64Type;
use neuroflow_data::FileTree;
use neuroflow_formats::bids::{self, BidsTree, Severity};
use neuroflow_formats::{Document, Limits};
use std::path::{Path, PathBuf};
use std::sync::Arc;

fn folder() -> Option<PathBuf> {
    let shared =
        std::env::var_os("NEUROFLOW_SHARED").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("data/ecog-gripforce");
    if !folder.is_dir() {
        println!("skipped: no folder {}", folder.display());
        return None;
    }
    Some(folder)
}

/// The files of the folder under the names that `place` gives them.
fn tree(folder: &Path, place: impl Fn(&str) -> String) -> BidsTree {
    let mut tree = FileTree::default();
    for entry in std::fs::read_dir(folder).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        tree.insert(place(name), Buffer::from_vec(std::fs::read(&path).unwrap())).unwrap();
    }
    bids::open(Arc::new(tree), &Limits::default()).unwrap()
}

#[test]
fn a_flat_folder_is_read_and_what_is_wrong_with_it_is_said() {
    let Some(folder) = folder() else { return };
    let tree = tree(&folder, str::to_owned);
    let header = "sub-testsub_ses-EphysMedOff_task-gripforce_run-0_ieeg.vhdr";
    let sidecar = tree.sidecar(header).unwrap();
    assert_eq!((sidecar.number("SamplingFrequency"), sidecar.text("TaskName")), (Some(1000.0), Some("gripforce")));
    let channels = tree.channels(header).unwrap();
    assert_eq!(channels.rows(), 10);
    assert_eq!(channels.texts("type").unwrap()[9], "MISC");
    assert_eq!(channels.texts("units").unwrap()[0], "µV");
    let electrodes = tree.electrodes(header, None).unwrap();
    assert_eq!(electrodes.batch().column(1).as_primitive::<Float64Type>().value(0), 0.0118280802308701);
    assert!(electrodes.numbers("z").unwrap()[9].is_nan());
    assert_eq!(tree.coordsystem(header, Some("mni")).unwrap()["iEEGCoordinateUnits"], "m");
    assert_eq!(tree.select(&[("session", "EphysMedOff"), ("suffix", "ieeg"), ("run", "0")]).unwrap().len(), 4);
    let findings = tree.validate();
    let flat = findings.iter().filter(|finding| finding.message.contains("a file of a subject stands at the top"));
    assert_eq!(flat.count(), 8);
    let remedy = &findings.iter().find(|finding| finding.path == header).unwrap().remedy;
    assert_eq!(remedy, &format!("move it to `sub-testsub/ses-EphysMedOff/ieeg/{header}`"));
    assert!(findings.iter().any(|finding| finding.message.contains("`sub-testsub` is listed, but has no folder")));
}

#[test]
fn the_same_files_in_their_places_break_one_rule_of_content() {
    let Some(folder) = folder() else { return };
    let place = |name: &str| match name {
        name if name.ends_with("_scans.tsv") => format!("sub-testsub/ses-EphysMedOff/{name}"),
        name if name.starts_with("sub-") => format!("sub-testsub/ses-EphysMedOff/ieeg/{name}"),
        name => name.to_owned(),
    };
    let tree = tree(&folder, place);
    let findings = tree.validate();
    let errors: Vec<&str> =
        findings.iter().filter(|finding| finding.severity == Severity::Error).map(|finding| finding.message.as_str()).collect();
    // The data set's name is one blank.
    assert_eq!(errors, ["the field `Name` is missing or blank"]);
    let files = tree.rows("files").unwrap();
    assert_eq!(files.count(), 12);
    assert_eq!(tree.contents().facts["holds"], "1 ieeg/channels, 1 ieeg/coordsystem, 1 ieeg/electrodes, 4 ieeg/ieeg");
}

#[test]
fn onsets_count_from_the_first_sample_whenever_the_recordings_clock_says_that_was() {
    let mut edf = Edf::new(false, vec![signal("Cz", 2), annotations("EDF Annotations", 30)]);
    (edf.reserved, edf.records) = ("EDF+C", "2");
    let record = |time: &str| vec![vec![1, 2], tal(false, time.as_bytes(), 30)];
    let mut tree = FileTree::default();
    let mut add = |path: &str, bytes: Vec<u8>| tree.insert(path, Buffer::from_vec(bytes)).unwrap();
    add("dataset_description.json", br#"{"Name": "a set", "BIDSVersion": "1.9.0"}"#.to_vec());
    add("sub-01/eeg/sub-01_task-a_eeg.edf", edf.file(&[record("+0.75\u{14}\u{14}\0"), record("+1.75\u{14}\u{14}\0")]));
    add("sub-01/eeg/sub-01_task-a_events.tsv", b"onset\tduration\ttrial_type\n0.5\t0\tgo\n1\tn/a\tstop\n".to_vec());
    let tree = bids::open(Arc::new(tree), &Limits::default()).unwrap();
    let run = bids::open_run(tree, &neuroflow_formats::Options::default()).unwrap();
    assert_eq!(run.signals("").unwrap().channels()[0].time_of(1), 1.25);
    // The first event is at the second sample, half a second after the first.
    assert_eq!(run.events("").unwrap().times(), [1.25, 1.75]);
    assert_eq!(run.events("").unwrap().table().numbers("duration").unwrap()[0], 0.0);
}
