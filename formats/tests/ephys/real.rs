//! Real recordings, where the shared folder is at hand. What is expected was read with pyEDFlib, MNE and NumPy.

use super::build::folder;
use super::damage::Sample;
use arrow::buffer::Buffer;
use neuroflow_data::columns;
use neuroflow_formats::spike_text::TimeUnit;
use neuroflow_formats::{Document, Limits, Source, What, brainvision, edf, gdf, position_tracking, spike_text, suite2p};
use sha2::{Digest, Sha256};
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The folder of recordings, or `None` after saying so.
fn recordings() -> Option<PathBuf> {
    let shared =
        std::env::var_os("NEUROFLOW_SHARED").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let data = shared.join("data");
    if !data.is_dir() {
        println!("skipped: no shared folder at {}", shared.display());
        return None;
    }
    Some(data)
}

fn file(path: &Path) -> Arc<dyn Source> {
    Arc::new(Buffer::from_vec(std::fs::read(path).unwrap()))
}

fn values(document: &dyn Document, path: &str, channel: usize) -> Vec<f64> {
    let mut values = Vec::new();
    document.signals(path).unwrap().read(channel, 0..u64::MAX, &mut values).unwrap();
    values
}

/// The first eight bytes of the digest of 64-bit floats.
fn digest(values: &[f64]) -> String {
    let bytes: Vec<u8> = values.iter().flat_map(|value| (value + 0.0).to_le_bytes()).collect();
    Sha256::digest(&bytes).iter().take(8).map(|byte| format!("{byte:02x}")).collect()
}

/// Real files below 2 MB, for damage.
pub fn small() -> Vec<Sample> {
    let Some(data) = recordings() else { return Vec::new() };
    let mut all = Vec::new();
    let mut add = |kind: &'static str, paths: &[&str], head: usize| {
        let read = |path: &&str| ((*path).rsplit('/').next().unwrap_or_default().to_owned(), std::fs::read(data.join(path)).unwrap());
        let files: Vec<(String, Vec<u8>)> = paths.iter().map(read).collect();
        if files[0].1.len() < 2 << 20 {
            all.push(Sample { name: paths[0].into(), kind, head: head.min(files[0].1.len()), files });
        }
    };
    for name in [
        "mne_SC4001EC-Hypnogram.edf",
        "mne_chtypes_edf.edf",
        "mne_test_bdf_stim_channel.bdf",
        "mne_test_reduced.edf",
        "pyedflib_test_generator.bdf",
        "pyedflib_test_generator_datarec_generator_0_5.bdf",
        "pyedflib_test_subsecond.edf",
        "pyedflib_test_utf8.edf",
    ] {
        add("edf", &[&format!("eeg-format-files/{name}")], 6000);
    }
    add("gdf", &["eeg-format-files/mne_test_1ch.gdf"], 600);
    let base = "ecog-gripforce/sub-testsub_ses-EphysMedOff_task-gripforce_run-0_ieeg";
    add("brainvision", &[&format!("{base}.vhdr"), &format!("{base}.eeg"), &format!("{base}.vmrk")], 1000);
    add("position", &["hippocampus-linear-track/trajectory.videoPositionTracking"], 300);
    add("spikes", &["songbird-hvc/songbird_spikes.txt"], 1000);
    add("spikes", &["nitime/grasshopper_spike_times1.txt"], 1000);
    all
}

#[test]
fn physionet_runs_are_edf_plus() {
    let Some(data) = recordings() else { return };
    for run in 3..=10 {
        let document = edf::open(file(&data.join(format!("eeg-physionet-mi-s001/S001R{run:02}.edf"))), &Limits::default()).unwrap();
        let contents = document.contents();
        assert_eq!((contents.version.as_str(), contents.notes.as_slice()), ("EDF+C", &[][..]));
        let What::Recording { channels, samples, rate, unit, .. } = &contents.items[0].what else { panic!() };
        assert_eq!((*channels, *samples, *rate, unit.as_str()), (64, 20_000, 160.0, "uV"));
        let signals = document.signals("").unwrap();
        assert!(signals.channels().iter().all(|channel| channel.role == "eeg"));
        let events = document.events("").unwrap();
        assert_eq!(events.len(), 30);
        assert!(events.labels().iter().all(|label| ["T0", "T1", "T2"].contains(&label.as_str())));
    }
}

#[test]
fn format_files_read_as_the_reference_packages_read_them() {
    let Some(data) = recordings() else { return };
    let open = |name: &str| edf::open(file(&data.join("eeg-format-files").join(name)), &Limits::default()).unwrap();
    let hypnogram = open("mne_SC4001EC-Hypnogram.edf");
    assert_eq!(hypnogram.events("").unwrap().len(), 154);
    assert_eq!(hypnogram.contents().items.len(), 1);
    let generator = open("pyedflib_test_generator.edf");
    let signals = generator.signals("").unwrap();
    assert_eq!((signals.channels().len(), signals.channels()[0].rate, signals.samples(0)), (11, 200.0, 120_000));
    assert_eq!(signals.channels()[0].name, "squarewave");
    let subsecond = open("pyedflib_test_subsecond.edf");
    assert!(subsecond.signals("").unwrap().channels()[0].time_of(0) > 0.0);
    let reduced = open("mne_test_reduced.edf");
    assert_eq!(reduced.signals("").unwrap().channels().len(), 139);
    let rates: Vec<f64> = reduced.signals("").unwrap().channels().iter().map(|channel| channel.rate).collect();
    assert_eq!((rates[0], rates.iter().filter(|rate| **rate == 512.0).count()), (1.0, 126));
    let one = gdf::open(file(&data.join("eeg-format-files/mne_test_1ch.gdf")), &Limits::default()).unwrap();
    assert_eq!((one.signals("").unwrap().channels().len(), one.signals("").unwrap().channels()[0].rate), (1, 150.0));
    let stim = open("mne_test_bdf_stim_channel.bdf");
    assert!(!stim.events("triggers").unwrap().is_empty());
}

#[test]
fn the_grip_force_recording_reads_whole() {
    let Some(data) = recordings() else { return };
    let name = "sub-testsub_ses-EphysMedOff_task-gripforce_run-0_ieeg";
    let read = |ending: &str| (format!("{name}.{ending}"), std::fs::read(data.join(format!("ecog-gripforce/{name}.{ending}"))).unwrap());
    let files = [read("vhdr"), read("vmrk"), read("eeg")];
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let document = brainvision::open(&folder(&files), &format!("{name}.vhdr"), &Limits::default()).unwrap();
    let signals = document.signals("").unwrap();
    assert_eq!((signals.channels().len(), signals.samples(0), signals.channels()[0].rate), (10, 19_001, 1000.0));
    assert_eq!(signals.channels()[9].name, "MOV_RIGHT");
    assert_eq!(signals.channels()[3].role, "ecog");
}

#[test]
fn spikes_positions_and_regions_read_whole() {
    let Some(data) = recordings() else { return };
    let document = spike_text::open(file(&data.join("songbird-hvc/songbird_spikes.txt")), &Limits::default()).unwrap();
    let spikes = document.spikes("").unwrap();
    assert_eq!((spikes.len(), spikes.all_times().len()), (74, 3336));
    for place in 1..=2 {
        let path = data.join(format!("nitime/grasshopper_spike_times{place}.txt"));
        let document = spike_text::open_with(file(&path), TimeUnit::Microseconds, &Limits::default()).unwrap();
        assert!(document.spikes("").unwrap().all_times().iter().all(|time| (0.0..10.0).contains(time)));
    }
    let document =
        position_tracking::open(file(&data.join("hippocampus-linear-track/trajectory.videoPositionTracking")), &Limits::default()).unwrap();
    let rows = document.rows("").unwrap();
    assert_eq!(rows.count(), 118_965);
    let batch = rows.read(&[0, 1, 2, 3, 4], 0..rows.count()).unwrap();
    assert!(columns::numbers(&batch, "time").unwrap().windows(2).all(|pair| pair[0] <= pair[1]));
    let read = |name: &str| (name.to_owned(), std::fs::read(data.join("suite2p-mouse").join(name)).unwrap());
    let files = [read("F.npy"), read("spks.npy"), read("iscell.npy")];
    let files: Vec<(&str, Vec<u8>)> = files.iter().map(|(name, bytes)| (name.as_str(), bytes.clone())).collect();
    let document = suite2p::open_with(&folder(&files), "", Some(30.0), &Limits::default()).unwrap();
    assert_eq!((document.signals("F").unwrap().channels().len(), document.signals("spks").unwrap().samples(0)), (219, 2000));
    assert_eq!(document.rows("iscell").unwrap().count(), 219);
    assert_eq!(digest(&values(&document, "F", 0)).len(), 16);
}
