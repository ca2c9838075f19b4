//! Real files, where the shared folder is at hand. Values were compared with pynwb and h5py: see `tests/reference`.

use crate::reading::source;
use neuroflow_data::formats::{Format, Limits};
use neuroflow_formats::{Document, What, hdf5, nwb};
use std::path::{Path, PathBuf};

fn data() -> Option<PathBuf> {
    let shared =
        std::env::var_os("NEUROFLOW_SHARED").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), Into::into);
    let folder = shared.join("data");
    if !folder.is_dir() {
        println!("skipped: no shared folder at {}", shared.display());
        return None;
    }
    Some(folder)
}

fn open(path: &Path) -> nwb::NwbDocument {
    nwb::open(source(std::fs::read(path).unwrap()), &Limits::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn units_and_trials_of_the_amygdala() {
    let Some(folder) = data() else { return };
    let document = open(&folder.join("nwb/dandi000207_sub-4_ses-4_ecephys+image.nwb"));
    assert_eq!(document.contents().version, "2.4.0");
    assert_eq!(document.contents().facts["subject_species"], "Homo sapiens");
    let spikes = document.spikes("").unwrap();
    assert_eq!((spikes.len(), spikes.all_times().len()), (35, 214_278));
    let trials = document.events("intervals/encoding_table").unwrap();
    assert_eq!(trials.len(), 90);
    let rows = document.rows("intervals/recognition_table").unwrap();
    assert_eq!(rows.count(), 180);
    let electrodes = document.rows("general/extracellular_ephys/electrodes").unwrap();
    assert_eq!(electrodes.count(), 19);
}

#[test]
fn clamps_and_worms() {
    let Some(folder) = data() else { return };
    let document = open(&folder.join("nwb/LantyerEtAl2018_171220_NC_156_ST100_C.nwb"));
    let clamps: Vec<&str> = document
        .contents()
        .items
        .iter()
        .filter(|item| matches!(item.what, What::Recording { .. }))
        .map(|item| item.path.as_str())
        .collect();
    assert!(clamps.contains(&"acquisition/VoltageClampSeries_01"), "{clamps:?}");
    let signals = document.signals("acquisition/VoltageClampSeries_01").unwrap();
    assert_eq!((signals.samples(0), signals.channels()[0].unit.as_str()), (55_000, "amperes"));
    signals.recording(Format::Nwb, "", &[0]).unwrap();

    let document = open(&folder.join("worm-wholebrain-scholz/ScholzEtAl2018.AML175_moving.BrainScanner20180223_142554.nwb"));
    let activities = document.contents().items.iter().filter(|item| item.path.starts_with("acquisition/Activity_")).count();
    assert_eq!(activities, 59);
    assert_eq!(document.rows("acquisition/Activity_0000").unwrap().count(), 3690);
}

#[test]
fn older_schemas_open() {
    let Some(folder) = data() else { return };
    for (name, version) in [
        ("1.0.2_nwbfile", "2.0b"),
        ("1.1.2_nwbfile", "2.1.0"),
        ("1.5.1_timeseries_no_unit", "2.3.0"),
        ("2.1.0_nwbfile_with_extension", "2.5.0"),
        ("2.2.0_subject_no_age__reference", "2.5.0"),
    ] {
        let document = open(&folder.join(format!("nwb/pynwb_back_compat_{name}.nwb")));
        assert_eq!(document.contents().version, version, "{name}");
        assert!(!document.contents().facts["identifier"].is_empty());
    }
}

#[test]
fn the_atlas_has_its_arrays() {
    let Some(folder) = data() else { return };
    let bytes = std::fs::read(folder.join("worm-atlas/funatlas.h5")).unwrap();
    let document = hdf5::open(source(bytes), &Limits::default()).unwrap();
    for strain in ["wt", "unc31"] {
        let tensor = document.tensor(&format!("{strain}/q"), None).unwrap();
        assert_eq!(tensor.shape(), [300, 300]);
        let ragged = document.rows(&format!("{strain}/dFF_all")).unwrap();
        assert_eq!((ragged.count(), ragged.schema().fields().len()), (300, 300));
        ragged.read(&[0, 299], 10..12).unwrap();
    }
}
