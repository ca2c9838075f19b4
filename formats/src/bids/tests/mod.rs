//! Trees built in memory.

mod damage;

use super::*;
use crate::document::Document;
use arrow::array::{Array, AsArray};
use arrow::buffer::Buffer;
use arrow::datatypes::{Float64Type, Int64Type};
use neuroflow_data::{Channel, FileTree};
use std::io::Write;

pub(super) const EEG: &str = r#"{"TaskName":"rest","EEGReference":"Cz","SamplingFrequency":250,
    "PowerLineFrequency":50,"SoftwareFilters":"n/a","EEGChannelCount":2}"#;

/// A tree that breaks no rule.
pub(super) fn valid() -> Vec<(&'static str, Vec<u8>)> {
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
    let rows: String =
        (0..1000).map(|row| format!("{}.5\t{}\n", row, if row == 3 { "n/a".into() } else { (row * 2).to_string() })).collect();
    gzip.write_all(rows.as_bytes()).unwrap();
    let text = |text: &str| text.as_bytes().to_vec();
    vec![
        ("dataset_description.json", text(r#"{"Name":"Two tasks","BIDSVersion":"1.10.0","License":"CC0","DatasetType":"raw"}"#)),
        ("README", text("Two tasks.")),
        (".bidsignore", text("*_notes.txt\n/extra/\n")),
        ("extra/anything.bin", vec![0]),
        ("participants.tsv", text("participant_id\tage\tsex\nsub-01\t34\tF\nsub-02\tn/a\tM\n")),
        (
            "participants.json",
            text(r#"{"age":{"Description":"age at the first session","Units":"year"},"sex":{"Levels":{"F":"female","M":"male"}}}"#),
        ),
        ("task-rest_eeg.json", text(EEG)),
        ("task-nback_bold.json", text(r#"{"TaskName":"n-back","RepetitionTime":2.0,"FlipAngle":90}"#)),
        ("task-rest_events.json", text(r#"{"trial_type":{"Description":"what was shown","Levels":{"go":"press"}}}"#)),
        (
            "sub-01/ses-1/sub-01_ses-1_scans.tsv",
            text("filename\tacq_time\neeg/sub-01_ses-1_task-rest_run-01_eeg.vhdr\t2020-01-02T03:04:05\n"),
        ),
        ("sub-01/sub-01_sessions.tsv", text("session_id\tacq_time\nses-1\t2020-01-02T03:04:05\n")),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_eeg.vhdr",
            text("[Common Infos]\nDataFile=x\n[Channel Infos]\nCh1=Fz,,0.1,µV\nCh2=EOG,,0.1\n[Comment]\n"),
        ),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_eeg.eeg", vec![0; 8]),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_eeg.vmrk", text("x")),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_eeg.json", text(r#"{"SamplingFrequency":500,"EEGChannelCount":1}"#)),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-rest_channels.tsv", text("name\ttype\tunits\tstatus\nFz\tEEG\tuV\tgood\nEOG\tEOG\tuV\tbad\n")),
        ("sub-01/ses-1/eeg/sub-01_ses-1_space-CapTrak_electrodes.tsv", text("name\tx\ty\tz\nFz\t0\t1.5\t2\n")),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_space-CapTrak_coordsystem.json",
            text(r#"{"EEGCoordinateSystem":"CapTrak","EEGCoordinateUnits":"mm"}"#),
        ),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_events.tsv",
            text("onset\tduration\ttrial_type\tvalue\ttime\n0.5\tn/a\tgo\t7\t1\n2\t0.25\tn/a\t8\t2\n"),
        ),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_physio.tsv.gz", gzip.finish().unwrap()),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_physio.json",
            text(r#"{"SamplingFrequency":100,"StartTime":-1.5,"Columns":["cardiac","trigger"],"cardiac":{"Units":"mV"}}"#),
        ),
        ("sub-02/func/sub-02_task-nback_run-1_bold.nii.gz", vec![0; 4]),
        ("sub-02/func/sub-02_task-nback_run-1_events.tsv", text("onset\tduration\n1\t1\n")),
        ("sub-02/fmap/sub-02_phasediff.nii.gz", vec![0; 4]),
        (
            "sub-02/fmap/sub-02_phasediff.json",
            text(r#"{"EchoTime1":0.005,"EchoTime2":0.007,"IntendedFor":["bids::sub-02/func/sub-02_task-nback_run-1_bold.nii.gz"]}"#),
        ),
        ("sub-02/dwi/sub-02_dwi.nii.gz", vec![0; 4]),
        ("dwi.bval", text("0 1000\n")),
        ("dwi.bvec", text("0 1\n0 0\n0 0\n")),
        (
            "derivatives/prep/dataset_description.json",
            text(
                r#"{"Name":"p","BIDSVersion":"1.10.0","DatasetType":"derivative","License":"CC0",
                "GeneratedBy":[{"Name":"prep"}],"SourceDatasets":[{"URL":"file://x","Version":"1"}]}"#,
            ),
        ),
        ("derivatives/prep/README", text("Prepared.")),
        ("derivatives/prep/sub-02/func/sub-02_task-nback_run-1_space-MNI_desc-preproc_bold.nii.gz", vec![0; 4]),
        ("code/run.py", text("pass")),
        ("sourcedata/whatever.dcm", vec![1]),
    ]
}

pub(super) fn tree_of(files: Vec<(&str, Vec<u8>)>) -> BidsTree {
    let mut tree = FileTree::default();
    for (path, bytes) in files {
        tree.insert(path, Buffer::from_vec(bytes)).unwrap();
    }
    open(Arc::new(tree), &Limits::default()).unwrap()
}

fn changed(path: &'static str, bytes: &str) -> BidsTree {
    let mut files = valid();
    files.retain(|(own, _)| *own != path);
    files.push((path, bytes.as_bytes().to_vec()));
    tree_of(files)
}

const DATA: &str = "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_eeg.vhdr";

#[test]
fn a_participant_whose_files_are_all_ignored_has_a_folder() {
    let files = [
        (
            "dataset_description.json",
            "{\"Name\": \"x\", \"BIDSVersion\": \"1.10.0\", \"DatasetType\": \"derivative\", \"License\": \"CC0\", \"GeneratedBy\": [{\"Name\": \"y\"}]}",
        ),
        ("README", "Derived."),
        (".bidsignore", "*_psd.*\n"),
        ("participants.tsv", "participant_id\nsub-01\nsub-02\n"),
        ("sub-01/eeg/sub-01_task-rest_desc-x_psd.npy", "x"),
    ];
    let findings = tree_of(files.map(|(path, text)| (path, text.as_bytes().to_vec())).to_vec()).validate();
    let said: Vec<String> = findings.iter().map(|finding| finding.message.clone()).collect();
    assert_eq!(said, ["line 3: `sub-02` is listed, but has no folder"]);
}

#[test]
fn a_valid_tree_has_no_finding() {
    let findings = tree_of(valid()).validate();
    assert!(findings.is_empty(), "{}", findings.iter().map(|finding| format!("{finding}\n")).collect::<String>());
}

#[test]
fn the_table_of_files_has_entities_and_participants() {
    let tree = tree_of(valid());
    let rows = tree.rows("files").unwrap();
    let schema = rows.schema();
    let names: Vec<&str> = schema.fields().iter().map(|field| field.name().as_str()).collect();
    assert_eq!(
        names,
        [
            "path",
            "dataset",
            "datatype",
            "suffix",
            "extension",
            "subject",
            "session",
            "task",
            "run",
            "space",
            "description",
            "participant_age",
            "participant_sex"
        ]
    );
    let batch = tree.files().unwrap();
    let row = batch.column(0).as_string::<i32>().iter().position(|path| path == Some(DATA)).unwrap();
    assert_eq!(batch.column_by_name("run").unwrap().as_primitive::<Int64Type>().value(row), 1);
    assert_eq!(batch.column_by_name("participant_age").unwrap().as_primitive::<Int64Type>().value(row), 34);
    assert_eq!(batch.schema().field_with_name("participant_age").unwrap().metadata()["unit"], "year");
    assert_eq!(rows.read(&[5, 0], 2..4).unwrap().num_rows(), 2);
    assert_eq!(tree.contents().version, "1.10.0");
    assert_eq!(tree.contents().facts["subjects"], "01, 02");
    assert_eq!(tree.contents().facts["datasets_below"], "derivatives/prep");
    let derived = tree.datasets().iter().find(|dataset| dataset.path == "derivatives/prep").unwrap();
    assert_eq!((derived.kind(), derived.sources()), ("derivative", vec!["file://x".to_owned()]));
    let mut paths: Vec<&str> = tree.contents().items.iter().map(|item| item.path.as_str()).collect();
    paths.sort_unstable();
    paths.dedup();
    assert_eq!(paths.len(), tree.contents().items.len());
}

#[test]
fn files_are_selected_by_short_and_long_names_and_unknown_ones_are_answered() {
    let tree = tree_of(valid());
    let paths = |conditions: &[(&str, &str)]| tree.select(conditions).unwrap().iter().map(|file| file.path.clone()).collect::<Vec<_>>();
    assert_eq!(paths(&[("suffix", "eeg"), ("extension", "vhdr"), ("run", "1"), ("sub", "sub-01")]), [DATA]);
    assert_eq!(paths(&[("subject", "01,02"), ("session", ""), ("suffix", "bold")]), ["sub-02/func/sub-02_task-nback_run-1_bold.nii.gz"]);
    assert_eq!(paths(&[("subject", "all"), ("suffix", "bold,dwi"), ("extension", ".nii.gz")]).len(), 2);
    assert_eq!(paths(&[("dataset", "derivatives/prep"), ("desc", "preproc")]).len(), 1);
    assert_eq!(paths(&[("task", "nback"), ("subject", "all"), ("suffix", "bold")]).len(), 1, "derivatives are left out");
    let told = |conditions: &[(&str, &str)]| tree.select(conditions).unwrap_err().to_string();
    assert_eq!(told(&[("task", "motor")]), "BIDS: object `.`: no file has the task `motor`; there are `nback`, `rest`");
    assert!(
        told(&[("colour", "red")])
            .contains("`colour` is not an entity of BIDS (appendix Entities); this tree has datatype, suffix, extension, dataset, subject")
    );
}

#[test]
fn sidecars_are_merged_and_the_nearest_wins() {
    let tree = tree_of(valid());
    let sidecar = tree.sidecar(DATA).unwrap();
    assert_eq!(sidecar.number("SamplingFrequency"), Some(500.0));
    assert_eq!(sidecar.text("TaskName"), Some("rest"));
    assert_eq!(sidecar.files, ["task-rest_eeg.json", "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_eeg.json"]);
    assert_eq!(sidecar.from["TaskName"], "task-rest_eeg.json");
    let two = changed("eeg.json", "{}");
    let error = two.sidecar(DATA).unwrap_err().to_string();
    assert!(
        error.contains("`eeg.json` and `task-rest_eeg.json` apply at one level") && error.contains("The Inheritance Principle, rule 4"),
        "{error}"
    );
    let error = changed("task-rest_eeg.json", "{\"a\": }").sidecar(DATA).unwrap_err().to_string();
    assert!(error.contains("object `task-rest_eeg.json`: line 1, column 7: it is not JSON"), "{error}");
    assert!(changed("task-rest_eeg.json", "[]").sidecar(DATA).unwrap_err().to_string().contains("not a JSON object"));
    let deep = format!("{{\"a\":{}", "[".repeat(5000));
    assert!(changed("task-rest_eeg.json", &deep).sidecar(DATA).unwrap_err().to_string().contains("not JSON"));
    let error = tree.sidecar("sub-09/x").unwrap_err().to_string();
    assert!(error.contains("no such file in the tree"), "{error}");
    // Nothing is inherited from the dataset above.
    let derived = "derivatives/prep/sub-02/func/sub-02_task-nback_run-1_space-MNI_desc-preproc_bold.nii.gz";
    assert_eq!(tree.sidecar(derived).unwrap(), Sidecar::default());
}

#[test]
fn events_channels_and_electrodes_are_found_by_name() {
    let tree = tree_of(valid());
    let events = tree.events(DATA).unwrap();
    assert_eq!(events.times(), [0.5, 2.0]);
    assert_eq!(events.labels(), ["go", ""]);
    assert_eq!(events.table().column_names(), ["time", "duration", "label", "value", "events_time"]);
    let batch = events.table().batch();
    let duration = batch.column(1).as_primitive::<Float64Type>();
    assert!(duration.is_null(0) && duration.value(1) == 0.25 && batch.column(2).is_null(1));
    assert!(batch.schema().field(2).metadata()["levels"].contains("press"));
    let channels = tree.channels(DATA).unwrap();
    assert_eq!(channels.texts("name").unwrap(), ["Fz", "EOG"]);
    let mut own = [Channel::new("EOG", "", 500.0), Channel::new("Fz", "V", 500.0)];
    assert_eq!(tree.describe_channels(DATA, &mut own).unwrap(), ["EOG"]);
    assert_eq!((own[0].role.as_str(), own[0].unit.as_str(), own[1].unit.as_str()), ("eog", "uV", "V"));
    assert!(
        tree.describe_channels(DATA, &mut [Channel::new("Pz", "V", 1.0)])
            .unwrap_err()
            .to_string()
            .contains("channel `Pz` of the recording is not in")
    );
    assert_eq!(tree.electrodes(DATA, None).unwrap().rows(), 1);
    assert_eq!(tree.coordsystem(DATA, Some("CapTrak")).unwrap()["EEGCoordinateUnits"], "mm");
    assert!(
        tree.electrodes(DATA, Some("MNI"))
            .unwrap_err()
            .to_string()
            .contains("no electrodes in the space `MNI`; there are the spaces `CapTrak`")
    );
    let missing = tree.channels("sub-02/func/sub-02_task-nback_run-1_bold.nii.gz").unwrap_err().to_string();
    assert!(
        missing.contains("no channels.tsv applies to it") && missing.contains("add `sub-02_task-nback_run-1_channels.tsv` beside it"),
        "{missing}"
    );
    assert_eq!(tree.scan(DATA).unwrap()["acq_time"], "2020-01-02T03:04:05");
    assert_eq!(tree.sessions("sub-01").unwrap().unwrap().rows(), 1);
    assert!(tree.sessions("02").unwrap().is_none());
}

#[test]
fn events_that_break_the_rules_are_refused() {
    let path = "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_events.tsv";
    let said = |text: &str| changed(path, text).events(DATA).unwrap_err().to_string();
    assert!(said("onset\ttrial_type\n1\tgo\n").contains("there is no column `duration`"));
    assert!(said("onset\tduration\n1\t1\nn/a\t1\n").contains("line 3: the onset is `n/a`"));
    assert!(said("onset\tduration\nsoon\t1\n").contains("line 2: `onset` is not a number"));
    assert!(changed(path, "onset\tduration\n1\tn/a\n").events(DATA).unwrap().labels() == [""]);
}

#[test]
fn companions_are_listed() {
    let tree = tree_of(valid());
    let of = |path: &str| tree.associated(path).unwrap().into_iter().map(|own| (own.what, own.path)).collect::<Vec<_>>();
    let kinds: Vec<&str> = of(DATA).iter().map(|(what, _)| *what).collect();
    assert_eq!(kinds, ["json", "json", "data", "markers", "events", "channels", "electrodes", "coordsystem", "physio", "scans"]);
    assert_eq!(of("sub-02/dwi/sub-02_dwi.nii.gz"), [("bval", "dwi.bval".to_owned()), ("bvec", "dwi.bvec".to_owned())]);
    let kinds = of("sub-02/func/sub-02_task-nback_run-1_bold.nii.gz");
    assert_eq!(kinds.iter().map(|(what, _)| *what).collect::<Vec<_>>(), ["json", "events", "fieldmap"]);
}

#[test]
fn continuous_recordings_read_the_asked_rows_and_columns() {
    let tree = tree_of(valid());
    let path = "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_physio.tsv.gz";
    let rows = tree.rows(path).unwrap();
    assert_eq!(rows.count(), 1000);
    assert_eq!(rows.bounds(0, 100..200), Some((-0.5, 0.49)));
    assert_eq!(rows.bounds(1, 0..2), None);
    let part = rows.read(&[2, 0], 2..5).unwrap();
    assert_eq!(part.schema().field(0).name(), "trigger");
    let trigger = part.column(0).as_primitive::<Float64Type>();
    assert!(trigger.value(0) == 4.0 && trigger.is_null(1) && trigger.value(2) == 8.0);
    assert_eq!(part.column(1).as_primitive::<Float64Type>().values().to_vec(), [-1.48, -1.47, -1.46]);
    assert_eq!(rows.read(&[1], 998..2000).unwrap().num_rows(), 2);
    assert_eq!(rows.read(&[1], 5000..6000).unwrap().num_rows(), 0);
    assert_eq!(rows.schema().field(1).metadata()["unit"], "mV");
    let signals = tree.signals(path).unwrap();
    let mut values = Vec::new();
    signals.read(0, 600..602, &mut values).unwrap();
    assert_eq!(values, [600.5, 601.5]);
    assert_eq!(signals.channels()[0].time_of(150), 0.0);
    assert!(signals.recording(Format::Bids, "", &[0, 1]).is_ok());
    let json = "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_physio.json";
    let said = |text: &str| changed(json, text).rows(path).unwrap_err().to_string();
    assert!(said("{\"StartTime\":0,\"Columns\":[\"a\"]}").contains("does not give `SamplingFrequency`"));
    assert!(said("{\"StartTime\":0,\"SamplingFrequency\":1,\"Columns\":[\"a\",\"a\"]}").contains("not a list of different names"));
    let three = changed(json, "{\"StartTime\":0,\"SamplingFrequency\":1,\"Columns\":[\"a\",\"b\",\"c\"]}");
    assert!(
        three.rows(path).unwrap().read(&[1], 0..1).unwrap_err().to_string().contains("line 1 has 2 cells, `Columns` in the JSON has 3")
    );
}

/// What is broken, and a part of the finding that tells it.
#[test]
fn each_broken_rule_is_found_and_cited() {
    let cases: &[(&str, &str, &str, &str)] = &[
        ("dataset_description.json", "{\"Name\":\"x\"}", "the field `BIDSVersion` is missing", "Dataset description"),
        ("dataset_description.json", "{", "it is not JSON", "Common principles"),
        ("stray.txt", "x", "there is no file `stray.txt` at the top", "Filesystem structure"),
        ("stray/x.txt", "x", "there is no folder `stray` at the top", "Filesystem structure"),
        ("sub-01_task-rest_eeg.edf", "x", "stands at the top", "Filesystem structure"),
        ("sub-01/ses-1/eeg/sub-02_ses-1_task-rest_eeg.edf", "x", "its name says `sub-02`, its folder `sub-01`", "Filesystem structure"),
        ("sub-01/eeg/sub-01_ses-1_task-rest_eeg.edf", "x", "not in a folder of that session", "Filesystem structure"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_run-1_task-a_eeg.edf", "x", "`task` stands after `run`", "Entity table"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-a_run-b_eeg.edf", "x", "`run-b` is not a whole number", "Entities"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-a_b_eeg.edf", "x", "`b` in its name is neither", "Filenames"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-a.b_eeg.edf", "x", "its name has no suffix", "Filenames"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-a_task-a_eeg.edf", "x", "`task` stands twice", "Filenames"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-a_hue-3_eeg.edf", "x", "there is no entity `hue`", "Entities"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_subject-3_task-a_eeg.edf", "x", "write `sub-3`", "Entities"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_eeg.edf", "x", "lacks the entity `task`", "Electroencephalography"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-a_echo-1_eeg.edf", "x", "has no entity `echo`", "Electroencephalography"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-a_bold.nii", "x", "the suffix `bold` is not one of `eeg`", "Electroencephalography"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-a_eeg.mat", "x", "does not end in `.mat`", "Electroencephalography"),
        ("sub-01/ses-1/sub-01_ses-1_task-a_eeg.edf", "x", "its folder `ses-1` is not that of a datatype", "Filesystem structure"),
        ("sub-02/func/sub-02_task-nback_run-01_bold.nii", "x", "its name says the same as that of", "Filenames"),
        ("Participants.tsv", "participant_id\n", "differs from", "Case collision"),
        ("sub-02/anat/sub-02_part-both_T1w.nii", "x", "`part` can't be `both`", "Entities"),
        (
            "sub-02/func/sub-02_task-motor_bold.nii",
            "x",
            "its JSON lacks the field `RepetitionTime` or `VolumeTiming`",
            "Magnetic Resonance",
        ),
        ("task-nback_bold.json", "{\"TaskName\":\"n-back\",\"RepetitionTime\":2000}", "too long for seconds", "Magnetic Resonance"),
        (
            "task-nback_bold.json",
            "{\"TaskName\":\"other\",\"RepetitionTime\":2}",
            "from which the label `other` would follow",
            "Magnetic Resonance",
        ),
        ("task-rest_eeg.json", "{\"TaskName\":\"rest\"}", "lacks the field `EEGReference`", "Electroencephalography"),
        ("task-gone_eeg.json", "{}", "it applies to no data file", "Inheritance Principle"),
        ("eeg.json", "{}", "apply at one level", "Inheritance Principle"),
        ("participants.tsv", "participant_id\nsub-01\nsub-02\nsub-03\n", "`sub-03` is listed, but has no folder", "Participants file"),
        ("participants.tsv", "participant_id\nsub-01\n", "`sub-02` has a folder, but is not listed", "Participants file"),
        ("participants.tsv", "participant_id\nsub-01\n02\n", "`02` is not `sub-<label>`", "Participants file"),
        ("participants.tsv", "age\tparticipant_id\n1\tsub-01\n2\tsub-02\n", "first columns are not participant_id", "Participants file"),
        ("participants.tsv", "id\nsub-01\n", "no column `participant_id`", "Common principles"),
        ("participants.tsv", "participant_id\nsub-01\nsub-01\nsub-02\n", "stands twice in the column", "Tabular files"),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_events.tsv",
            "onset\tduration\n1\t\n",
            "the cell of `duration` is empty",
            "Tabular files",
        ),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_events.tsv", "onset\tduration\nNaN\t1\n", "the onset is `NaN`", "Events"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_events.tsv", "onset\tduration\n1\t-1\n", "the duration is `-1`", "Events"),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_events.tsv",
            "onset\tduration\n2\t1\n1\t1\n",
            "before that of the line above",
            "Events",
        ),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_events.tsv", "onset\tduration\n2\t1\t3\n", "line 2 has 3 cells", "Tabular files"),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_channels.tsv",
            "name\ttype\tunits\nFz\teeg\tV\nEOG\tEOG\tV\n",
            "write `EEG`",
            "Electroencephalography",
        ),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_channels.tsv",
            "name\ttype\tunits\nCz\tEEG\tV\nEOG\tEOG\tV\n",
            "channel `Fz` is not in the table",
            "Electroencephalography",
        ),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_channels.tsv",
            "name\ttype\tunits\nFz\tEEG\tV\nEOG\tEEG\tV\n",
            "`EEGChannelCount` of",
            "Electroencephalography",
        ),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_channels.tsv",
            "name\ttype\nFz\tEEG\nEOG\tEOG\n",
            "column `units` is missing",
            "Electroencephalography",
        ),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_task-rest_channels.tsv",
            "name\ttype\tunits\tstatus\nFz\tEEG\tV\tok\nEOG\tEOG\tV\tgood\n",
            "neither `good`",
            "Electroencephalography",
        ),
        ("sub-01/ses-1/sub-01_ses-1_scans.tsv", "filename\neeg/gone.edf\n", "`eeg/gone.edf`, which is not there", "Scans file"),
        (
            "sub-02/fmap/sub-02_phasediff.json",
            "{\"EchoTime1\":1,\"EchoTime2\":2,\"IntendedFor\":\"func/gone.nii\"}",
            "`IntendedFor` names `func/gone.nii`",
            "Magnetic Resonance",
        ),
        (
            "sub-01/ses-1/eeg/sub-01_ses-1_space-CapTrak_coordsystem.json",
            "{\"EEGCoordinateSystem\":\"Other\"}",
            "lacks the field `EEGCoordinateUnits`",
            "Electroencephalography",
        ),
        (
            "derivatives/prep/dataset_description.json",
            "{\"Name\":\"p\",\"BIDSVersion\":\"1\",\"DatasetType\":\"derivative\"}",
            "`GeneratedBy` is missing",
            "Dataset description",
        ),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-b_eeg.vhdr", "x", "ends in `.vmrk` is missing", "Electroencephalography"),
    ];
    for (path, text, message, rule) in cases {
        let findings = changed(path, text).validate();
        let found = findings
            .iter()
            .any(|finding| finding.rule.contains(rule) && (finding.message.contains(message) || finding.remedy.contains(message)));
        assert!(found, "{path}: {message}\n{}", findings.iter().map(|finding| format!("  {finding}\n")).collect::<String>());
    }
    for (gone, message) in [
        ("dataset_description.json", "the dataset has no description"),
        ("README", "no README"),
        ("participants.tsv", "no participants.tsv"),
        ("dwi.bval", "no `.bval` file applies"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-rest_run-01_eeg.vmrk", "ends in `.vmrk` is missing"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_space-CapTrak_coordsystem.json", "no coordsystem.json applies"),
        ("sub-01/ses-1/eeg/sub-01_ses-1_task-rest_channels.tsv", "no channels.tsv applies"),
        ("sub-02/func/sub-02_task-nback_run-1_events.tsv", "no events.tsv applies"),
        (".bidsignore", "there is no folder `extra`"),
    ] {
        let findings = tree_of(valid().into_iter().filter(|(path, _)| *path != gone).collect()).validate();
        assert!(findings.iter().any(|finding| finding.message.contains(message)), "{gone}: {findings:#?}");
    }
}

#[test]
fn folders_that_count_as_files_are_one_file() {
    let tree = tree_of(vec![
        ("sub-01/meg/sub-01_task-a_meg.ds/x.meg4", vec![0]),
        ("sub-01/meg/sub-01_task-a_meg.ds/x.res4", vec![0]),
        ("sub-01/meg/sub-01_task-b_meg/config", vec![0]),
        ("sub-01/micr/sub-01_sample-a_SPIM.ome.zarr/0/0", vec![0]),
    ]);
    let names: Vec<(&str, &str)> = tree.all().iter().map(|file| (file.path.as_str(), file.name.extension.as_str())).collect();
    assert_eq!(
        names,
        [
            ("sub-01/meg/sub-01_task-a_meg.ds/", ".ds/"),
            ("sub-01/meg/sub-01_task-b_meg/", "/"),
            ("sub-01/micr/sub-01_sample-a_SPIM.ome.zarr/", ".ome.zarr/")
        ]
    );
    assert!(tree.all().iter().all(|file| !file.datatype.is_empty()));
    assert!(tree.source("sub-01/meg/sub-01_task-a_meg.ds/").unwrap_err().to_string().contains("it is a folder"));
}

#[test]
fn what_can_not_be_a_tree_is_refused() {
    let empty = open(Arc::new(FileTree::default()), &Limits::default()).unwrap_err().to_string();
    assert_eq!(empty, "BIDS: the file: the folder has no file; name the folder that holds `dataset_description.json`");
    let none = tree_of(vec![("a.txt", vec![])]);
    assert!(none.contents().notes.iter().any(|note| note.contains("may not be a BIDS dataset")));
    assert!(
        none.rows("gone").is_err()
            && none.events("a.txt").is_err()
            && none.signals("a.txt").is_err()
            && none.tensor("a.txt", None).is_err()
    );
    let large = changed("task-rest_eeg.json", &" ".repeat(2 << 20));
    assert!(large.sidecar(DATA).unwrap_err().to_string().contains("at most 1048576 are read"));
}
