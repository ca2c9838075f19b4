//! `export --as bids`: runs on BIDS trees as derivative datasets, looked at by our own validator and by the community's.

use crate::formats::edf;
use crate::support::{Place, python, said, shared_data};
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::Command;

/// A tree of two subjects, one of whom came twice.
fn tree(place: &Place) {
    let description = r#"{"Name": "rest", "BIDSVersion": "1.10.0", "DatasetType": "raw", "License": "CC0", "Authors": ["A", "B"]}"#;
    place.write("ds/dataset_description.json", description);
    place.write("ds/participants.tsv", "participant_id\tage\tgroup\nsub-01\t30\ta\nsub-02\tn/a\tb\nsub-03\t40\ta\n");
    place.write("ds/participants.json", r#"{"age": {"Description": "Age at the first session", "Units": "year"}}"#);
    let sidecar = r#"{"TaskName": "rest", "SamplingFrequency": 100, "PowerLineFrequency": 50, "EEGReference": "Cz"}"#;
    place.write("ds/task-rest_eeg.json", sidecar);
    for (subject, session) in [("01", "pre"), ("01", "post"), ("02", "pre")] {
        let stem = format!("ds/sub-{subject}/ses-{session}/eeg/sub-{subject}_ses-{session}_task-rest_run-01");
        place.write(&format!("{stem}_eeg.edf"), edf());
        place.write(&format!("{stem}_events.tsv"), format!("onset\tduration\ttrial_type\n1\t1\tgo{subject}\n3\t1\tstop\n"));
    }
}

const PIPELINE: &str = r#"pipeline rest "Rest, each session"
param low = 1 Hz
input runs = bids("ds", task = "rest", subject = all)
input sessions = ingest.simulate(trials_per_direction = 4, units = [6, 5, 5], communities = 2)
for run in runs {
  eeg = ingest.recording(runs[run])
  cues = ingest.events(runs[run])
  for band in ["theta", "alpha"] {
    power = ingest.psd(eeg, bands = [param.low .. 8 Hz])
  }
}
both = sql("select one.label from one, other where one.label = other.label", one = cues["sub-01_ses-pre_task-rest_run-01_eeg"], other = cues["sub-01_ses-post_task-rest_run-01_eeg"])
all_cues = sql("select run, label from cues order by run, label", cues = gather(cues))
lines = exec("wc -c < {{ all_cues }} > {{ out }}", all_cues = all_cues) -> file("n.txt")
apart = ingest.trials(sessions["sim1"])
report rest { cues, power, all_cues }
"#;

fn text(place: &Place, name: &str) -> String {
    std::fs::read_to_string(place.path().join(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

fn json(place: &Place, name: &str) -> Value {
    serde_json::from_str(&text(place, name)).unwrap()
}

/// Every file below a folder, by its path there.
fn files(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    let (mut files, mut folders) = (BTreeMap::new(), vec![folder.to_path_buf()]);
    while let Some(inner) = folders.pop() {
        for entry in std::fs::read_dir(inner).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                folders.push(path);
            } else {
                files.insert(path.strip_prefix(folder).unwrap().to_str().unwrap().to_owned(), std::fs::read(&path).unwrap());
            }
        }
    }
    files
}

/// What the community's validator calls an error.
fn faults(folder: &Path) -> Option<Vec<String>> {
    let bin = python("bids", &["bids-validator-deno==3.0.2"])?;
    let found = Command::new(bin.join("bids-validator-deno")).arg(folder).args(["--json", "--ignoreNiftiHeaders"]).output().unwrap();
    let found: Value =
        serde_json::from_slice(&found.stdout).unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&found.stderr)));
    let issues = found["issues"]["issues"].as_array().unwrap().iter();
    Some(issues.filter(|issue| issue["severity"] == "error").map(ToString::to_string).collect())
}

#[test]
fn a_run_on_a_tree_becomes_a_dataset_called_after_its_recordings() {
    let place = Place::new();
    tree(&place);
    place.write("rest.nf", PIPELINE);
    place.run(&["run", "rest.nf", "--quiet"]).exits(0);
    let out = "ds/derivatives/rest";
    place.run(&["export", "--as", "bids", "--out", out]).exits(0).says("as a derivative dataset of BIDS: ").says(out);
    let all = files(&place.path().join(out));
    let own = |subject: &str, session: &str| format!("sub-{subject}/ses-{session}/eeg/sub-{subject}_ses-{session}_task-rest_run-01_desc-");
    let mut wanted: Vec<String> = Vec::new();
    for (subject, session) in [("01", "post"), ("01", "pre"), ("02", "pre")] {
        for name in [
            "cues_events.tsv",
            "eeg_eeg.vhdr",
            "eeg_channels.tsv",
            "powerAlpha_psd.npy",
            "powerAlphaBands_bands.npy",
            "powerTheta_psd.npy",
            "powerThetaBands_bands.npy",
        ] {
            wanted.push(format!("{}{name}", own(subject, session)));
        }
    }
    // What two sessions of a subject share, what both subjects share, and what no recording is behind.
    wanted.push("sub-01/eeg/sub-01_task-rest_run-01_desc-both_table.tsv".into());
    wanted.extend(
        ["task-rest_run-01_desc-allCues_table.tsv", "task-rest_run-01_desc-lines_file.txt", "desc-apart_epochs.nwb"].map(str::to_owned),
    );
    for name in &wanted {
        assert!(all.contains_key(name), "{name} is not there: {:?}", all.keys());
        let (stem, _) = name.rsplit_once('.').unwrap();
        assert!(all.contains_key(&format!("{stem}.json")) || stem.ends_with("_channels"), "{name} has no JSON");
        for part in [".vmrk", ".eeg"].into_iter().filter(|_| name.ends_with(".vhdr")) {
            assert!(all.contains_key(&format!("{stem}{part}")), "{name} has no {part}");
        }
    }
    for name in all.keys().filter(|name| name.contains("desc-") && !name.ends_with(".json")) {
        assert!(wanted.contains(name) || name.ends_with(".vmrk") || name.ends_with(".eeg"), "{name} was not expected");
    }
    // The dataset.
    let description = json(&place, &format!("{out}/dataset_description.json"));
    assert_eq!((&description["DatasetType"], &description["Name"]), (&"derivative".into(), &"Rest, each session".into()));
    assert_eq!(description["GeneratedBy"][0]["Name"], "neuroflow");
    assert_eq!(description["GeneratedBy"][1]["Name"], "rest");
    assert_eq!(description["DatasetLinks"]["ds"], "../..");
    assert_eq!(description["SourceDatasets"][0]["URL"], "../..");
    // Who took part: the rows of those who are there, with what was said of the columns.
    assert_eq!(text(&place, &format!("{out}/participants.tsv")), "participant_id\tage\tgroup\nsub-01\t30\ta\nsub-02\tn/a\tb\n");
    assert_eq!(json(&place, &format!("{out}/participants.json"))["age"]["Units"], "year");
    // One result with its JSON: what it is, where it comes from, how to read it.
    let cues = format!("{out}/{}cues_events", own("01", "pre"));
    assert_eq!(text(&place, &format!("{cues}.tsv")), "onset\tduration\ttrial_type\n1.0\t1.0\tgo01\n3.0\t1.0\tstop\n");
    let said = json(&place, &format!("{cues}.json"));
    assert_eq!(said["Sources"], serde_json::json!(["bids:ds:sub-01/ses-pre/eeg/sub-01_ses-pre_task-rest_run-01_eeg.edf"]));
    assert_eq!((&said["onset"]["Units"], &said["Software"]["Stage"]), (&"s".into(), &"ingest.events".into()));
    let power = json(&place, &format!("{out}/{}powerAlpha_psd.json", own("02", "pre")));
    assert_eq!(power["Sources"], serde_json::json!([format!("bids::{}eeg_eeg.vhdr", own("02", "pre"))]));
    assert!(power["Parameters"]["bands"].as_str().unwrap().contains("1 Hz"), "{power}");
    let axes = power["Axes"].as_array().unwrap();
    assert!(axes.iter().any(|axis| axis["Name"] == "frequency" && axis["Units"] == "Hz" && axis["Values"][1].is_f64()), "{power}");
    assert!(power["Units"].is_string(), "{power}");
    let group = json(&place, &format!("{out}/task-rest_run-01_desc-allCues_table.json"));
    assert_eq!(group["Sources"].as_array().unwrap().len(), 3, "{group}");
    assert!(group["run"]["Description"].is_string(), "{group}");
    assert!(json(&place, &format!("{out}/desc-apart_epochs.json"))["Sources"].is_null());
    // Nothing tells of this machine, and the same run gives the same bytes.
    let own = place.path().to_str().unwrap();
    for (name, bytes) in &all {
        assert!(!String::from_utf8_lossy(bytes).contains(own), "{name} tells of this machine");
    }
    place.run(&["export", "--as", "bids", "--out", "again/derivatives/rest"]).exits(0);
    let again = files(&place.path().join("again/derivatives/rest"));
    assert_eq!(all.keys().collect::<Vec<_>>(), again.keys().collect::<Vec<_>>());
    for (name, bytes) in all.iter().filter(|(name, _)| *name != "dataset_description.json") {
        assert!(again[name] == *bytes, "{name} has other bytes");
    }
    // Both validators have nothing against it, alone and within the tree.
    place.run(&["inspect", out]).exits(0).says("checked against BIDS: 0 errors, 0 warnings");
    assert_eq!(faults(&place.path().join(out)).unwrap_or_default(), Vec::<String>::new());
}

#[test]
fn what_can_not_be_a_dataset_is_refused_and_nothing_is_overwritten() {
    let place = Place::new();
    tree(&place);
    place.write("rest.nf", PIPELINE);
    place.run(&["run", "rest.nf", "--quiet"]).exits(0);
    place.write("mine/notes.txt", "mine");
    place.run(&["export", "--as", "bids", "--out", "mine"]).exits(4).says("not empty");
    assert_eq!(files(&place.path().join("mine")).len(), 1);
    place.run(&["export", "--as", "bids", "--out", "ds"]).exits(4).says("not empty");
    place.run(&["export", "--as", "bids", "--bundle", "--out", "x"]).exits(4).says("`--bundle`");
    // Steps whose names differ only in what a name of BIDS can't have.
    let alike = "pipeline alike \"A\"\ninput runs = bids(\"ds\", task = \"rest\", subject = all)\nfor run in runs {\n  my_cues = ingest.events(runs[run])\n  \
                 myCues = ingest.events(runs[run])\n}\n";
    place.write("alike.nf", alike);
    place.run(&["run", "alike.nf", "--quiet"]).exits(0);
    let refused = place.run(&["export", "--as", "bids", "--out", "x"]).exits(4).says("would both be sub-01/").says("another name");
    assert!(refused.err.contains("my_cues") && refused.err.contains("myCues"), "{}", refused.err);
    // A run that no tree is behind.
    place.write("plain.nf", "pipeline plain \"P\"\ninput runs = edf(\"ds/sub-02/ses-pre/eeg/sub-02_ses-pre_task-rest_run-01_eeg.edf\")\ncues = ingest.events(runs)\n");
    place.run(&["run", "plain.nf", "--quiet"]).exits(0);
    place
        .run(&["export", "--as", "bids", "--out", "x"])
        .exits(4)
        .says("took no recording from a BIDS tree")
        .says("bids(\"FOLDER\", subject = all)");
    assert!(!place.path().join("x").exists());
    let left =
        std::fs::read_dir(place.path()).unwrap().filter(|entry| entry.as_ref().unwrap().file_name().to_string_lossy().ends_with(".new"));
    assert_eq!(left.count(), 0);
    // Without the tree, the run still has what it took.
    std::fs::remove_dir_all(place.path().join("ds")).unwrap();
    place.write("rest.nf", PIPELINE);
    let runs = place.run(&["runs"]).exits(0).out;
    let first = runs.lines().last().unwrap().split(' ').next().unwrap().to_owned();
    place.run(&["export", &first, "--as", "bids", "--out", "later"]).exits(0);
    assert!(text(&place, "later/participants.tsv").contains("sub-02\tn/a\tb"));
}

/// A real recording of the field: BrainVision with electrodes, in the layout of its dataset.
#[test]
fn a_real_tree_becomes_a_dataset() {
    let Some(data) = shared_data() else { return };
    let place = Place::new();
    for entry in std::fs::read_dir(data.join("ecog-gripforce")).unwrap() {
        let name = entry.unwrap().file_name().into_string().unwrap();
        let folder = match name.as_str() {
            name if name.ends_with("scans.tsv") => "sub-testsub/ses-EphysMedOff/",
            name if name.starts_with("sub-") => "sub-testsub/ses-EphysMedOff/ieeg/",
            _ => "",
        };
        place.write(&format!("ds/{folder}{name}"), std::fs::read(data.join("ecog-gripforce").join(&name)).unwrap());
    }
    let text = "pipeline grip \"Grip force\"\ninput runs = bids(\"ds\", subject = all)\nfor run in runs {\n  ecog = ingest.recording(runs[run])\n  \
                calm = ingest.filter(ecog, keep = band_pass(1 Hz, 40 Hz))\n  power = ingest.psd(calm)\n}\n";
    place.write("grip.nf", text);
    place.run(&["run", "grip.nf", "--quiet"]).exits(0);
    place.run(&["export", "--as", "bids", "--out", "out"]).exits(0);
    let all = files(&place.path().join("out"));
    let stem = "sub-testsub/ses-EphysMedOff/ieeg/sub-testsub_ses-EphysMedOff_task-gripforce_run-0_desc-";
    for name in ["ecog_ieeg.vhdr", "calm_ieeg.vhdr", "power_psd.npy"] {
        assert!(all.contains_key(&format!("{stem}{name}")), "{name}: {:?}", all.keys());
    }
    place.run(&["inspect", "out"]).exits(0).says("checked against BIDS: 0 errors, 0 warnings");
    assert_eq!(faults(&place.path().join("out")).unwrap_or_default(), Vec::<String>::new());
    // What was written is read again.
    let again = place.path().join(format!("out/{stem}calm_ieeg.vhdr"));
    said(place.command().args(["inspect", again.to_str().unwrap()]).output().unwrap()).exits(0).says("calm");
}
