//! Real recordings, where the shared folder is at hand.

use std::path::{Path, PathBuf};

use arrow::array::AsArray;
use arrow::datatypes::Float64Type;
use neuroflow_data::formats::csv::{CsvOptions, read_csv};
use neuroflow_data::formats::mat5::{MatClass, MatFile, MatValue, read_mat5};
use neuroflow_data::formats::npy::read_npy;
use neuroflow_data::formats::npz::{NpzFile, read_npz};
use neuroflow_data::formats::{Limits, Place};

/// The folder of recordings, or `None` after saying so.
fn recordings() -> Option<PathBuf> {
    let shared =
        std::env::var_os("NEUROFLOW_SHARED").map_or_else(|| Path::new(env!("CARGO_MANIFEST_DIR")).join("../../shared"), PathBuf::from);
    let folder = shared.join("data");
    if !folder.is_dir() {
        println!("skipped: no shared folder at {}", shared.display());
        return None;
    }
    Some(folder)
}

/// All files below `folder` whose name ends in `ending`, sorted.
fn files(folder: &Path, ending: &str) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut waiting = vec![folder.to_owned()];
    while let Some(folder) = waiting.pop() {
        for entry in std::fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                waiting.push(path);
            } else if path.to_string_lossy().ends_with(ending) {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn mat(path: &Path) -> MatFile {
    read_mat5(&std::fs::read(path).unwrap(), &Limits::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn npz(path: &Path) -> NpzFile {
    read_npz(&std::fs::read(path).unwrap(), &Limits::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_mat_file_opens() {
    let Some(folder) = recordings() else { return };
    let files = files(&folder, ".mat");
    assert!(files.len() >= 160, "{}", files.len());
    for path in files {
        let file = mat(&path);
        assert!(!file.variables.is_empty(), "{}", path.display());
        assert_eq!(file.notes, Vec::<String>::new(), "{}", path.display());
    }
}

#[test]
fn every_numpy_file_opens() {
    let Some(folder) = recordings() else { return };
    for path in files(&folder, ".npy") {
        let array =
            read_npy(&std::fs::read(&path).unwrap(), &Limits::default()).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        assert!(!array.shape.is_empty());
    }
    for path in files(&folder, ".npz") {
        assert!(!npz(&path).arrays.is_empty());
    }
    let regions = read_npy(&std::fs::read(folder.join("zebrafish-regions/region_acronyms.npy")).unwrap(), &Limits::default()).unwrap();
    assert_eq!(regions.to_text().unwrap().len(), regions.shape.iter().product::<usize>());
}

#[test]
fn every_table_opens_or_says_which_line_is_ragged() {
    let Some(folder) = recordings() else { return };
    let mut paths = files(&folder, ".csv");
    paths.extend(files(&folder, ".csv.gz"));
    assert!(paths.len() >= 18, "{}", paths.len());
    for path in paths {
        let table = read_csv(&std::fs::read(&path).unwrap(), &CsvOptions::default(), &Limits::default());
        if path.ends_with("zf_20151104-f1_assembly_assignments.csv") {
            // One assembly a line, each of its own size.
            assert_eq!(table.unwrap_err().place, Place::Line { line: 2, field: None });
            continue;
        }
        let table = table.unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let expected = match name.as_str() {
            "digits.csv.gz" => (1797, 65),
            "fmri.csv" => (1064, 5),
            "fmri_timeseries.csv" => (250, 31),
            "event_related_fmri.csv" => (3360, 2),
            "zf_20151104-f1_activity_matrix.csv" => (114, 4245),
            "zf_20151104-f1_cell_coordinates.csv" => (114, 2),
            "herm_full_edgelist.csv" => (7379, 4),
            "aconnectome_white_1986_whole.csv" => (2961, 4),
            "aconnectome_witvliet_2020_7.csv" => (2500, 4),
            "left_adjacency.csv" => (209, 209),
            "right_adjacency.csv" => (213, 213),
            "left_cell_labels.csv" => (209, 1),
            "right_cell_labels.csv" => (213, 1),
            "participants.csv" => (24, 3),
            _ => continue,
        };
        assert_eq!((table.num_rows(), table.num_columns()), expected, "{name}");
    }
}

#[test]
fn gratings_sessions_equal_their_derived_arrays() {
    let Some(folder) = recordings() else { return };
    let files = files(&folder.join("v1-gratings-calcium"), "_data.mat");
    assert_eq!(files.len(), 5);
    for path in files {
        let session = mat(&path);
        let derived = npz(Path::new(&path.to_string_lossy().replace("_data.mat", ".npz")));
        let responses = derived.get("X").unwrap();
        let &[n_units, n_trials, n_bins] = responses.shape.as_slice() else { panic!("X has axes {:?}", responses.shape) };
        let expected = responses.to_f64().unwrap();
        let d = session.get("D").unwrap();
        for unit in 0..n_units {
            let trials = d.field(&format!("neuron{}", unit + 1)).unwrap();
            assert_eq!(trials.dims(), [1, n_trials]);
            for trial in 0..n_trials {
                let values = trials.cell(trial).unwrap();
                assert_eq!(values.dims(), [n_bins, 1]);
                let start = (unit * n_trials + trial) * n_bins;
                // The derived arrays were rounded to 32 bits.
                let same = values
                    .numbers()
                    .unwrap()
                    .iter()
                    .zip(&expected[start..start + n_bins])
                    .all(|(full, rounded)| f64::from(*full as f32) == *rounded);
                assert!(same, "{} neuron{} trial {}", path.display(), unit + 1, trial + 1);
            }
        }
        let direction = session.get("TE").unwrap().field("direction").unwrap().numbers().unwrap();
        assert_eq!(direction, derived.get("direction").unwrap().to_f64().unwrap());
        assert_eq!(session.get("t").unwrap().numbers().unwrap(), derived.get("t").unwrap().to_f64().unwrap());
    }
}

#[test]
fn hippocampal_spikes_equal_their_derived_arrays() {
    let Some(folder) = recordings() else { return };
    let folder = folder.join("hippocampus-linear-track");
    let file = mat(&folder.join("spikes.mat"));
    let tetrodes = file.get("spikes").unwrap().cell(0).unwrap().cell(0).unwrap().cells().unwrap();
    assert_eq!(tetrodes.len(), 13);
    let mut units: Vec<Vec<f64>> = Vec::new();
    for tetrode in tetrodes {
        for unit in tetrode.cells().unwrap_or_default() {
            if matches!(unit, MatValue::Struct { .. }) {
                let times = unit.field("time").unwrap().numbers().unwrap();
                if !times.is_empty() {
                    units.push(times.to_vec());
                }
            }
        }
    }
    assert_eq!(units.len(), 31);
    assert_eq!(units.iter().map(Vec::len).sum::<usize>(), 28_829);
    let mut times: Vec<f64> = units.concat();
    let mut expected = npz(&folder.join("spikes_position.npz")).get("spike_times").unwrap().to_f64().unwrap().into_owned();
    times.sort_by(f64::total_cmp);
    expected.sort_by(f64::total_cmp);
    assert_eq!(times, expected);
}

#[test]
fn rasters_and_connectomes_have_their_shapes() {
    let Some(folder) = recordings() else { return };
    let rasters = files(&folder.join("it-zhang-desimone-7objects"), ".mat");
    assert_eq!(rasters.len(), 132);
    for path in rasters {
        let file = mat(&path);
        let raster = file.get("raster_data").unwrap();
        // Stored as bytes, but of class double.
        assert!(matches!(raster, MatValue::Numeric { class: MatClass::Double, .. }), "{}", raster.describe());
        let &[n_trials, n_bins] = raster.dims() else { panic!("{}", raster.describe()) };
        assert!((413..=420).contains(&n_trials) && n_bins == 1000, "{}: {}", path.display(), raster.describe());
        let labels = file.get("raster_labels").unwrap().field("stimulus_ID").unwrap().cells().unwrap();
        assert_eq!(labels.len(), n_trials);
        let mut objects: Vec<&str> = labels.iter().map(|label| label.text().unwrap()).collect();
        objects.sort_unstable();
        objects.dedup();
        assert_eq!(objects.len(), 7);
    }
    for path in files(&folder.join("human-sc-fc"), ".mat") {
        let file = mat(&path);
        let [(name, value)] = file.variables.as_slice() else { panic!("{}: {} variables", path.display(), file.variables.len()) };
        let n_columns = match path.file_name().and_then(|name| name.to_str()) {
            Some("TC_rsfMRI_REST1_LR.mat") => 1200,
            Some("BOLD_rsfMRI.mat") => 355,
            _ => 94,
        };
        assert_eq!(value.dims(), [94, n_columns], "{} {name}", path.display());
        assert!(value.numbers().unwrap().iter().all(|number| number.is_finite()));
    }
}

#[test]
fn the_tectum_table_equals_its_matlab_twin() {
    let Some(folder) = recordings() else { return };
    let folder = folder.join("zebrafish-tectum");
    let file = mat(&folder.join("zf_20151104-f1.mat"));
    let activity = file.get("activity_matrix").unwrap();
    let &[n_cells, n_frames] = activity.dims() else { panic!("{}", activity.describe()) };
    let values = activity.numbers().unwrap();
    let bytes = std::fs::read(folder.join("zf_20151104-f1_activity_matrix.csv")).unwrap();
    let table = read_csv(&bytes, &CsvOptions::default(), &Limits::default()).unwrap();
    for frame in 0..n_frames {
        let column = table.column(frame).as_primitive::<Float64Type>().values();
        for cell in 0..n_cells {
            // The text was written with five digits.
            let (exact, written) = (values[frame * n_cells + cell], column[cell]);
            assert!((exact - written).abs() <= 1e-4 * exact.abs().max(1e-5), "cell {cell} frame {frame}: {exact} and {written}");
        }
    }
}
