//! What the tests of this crate share: planted sessions, golden arrays, recorded sessions.

use neuroflow_compute::Matrix;
use neuroflow_data::formats::Limits;
use neuroflow_data::formats::npy::read_npy;
use neuroflow_data::formats::npz::read_npz;
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Responses, Table, Tensor, Typed, columns};
use neuroflow_stage::{AnyStage, Context, Inputs, Outputs, StageError, Value};
use std::path::PathBuf;

/// A session with planted tuning: each class moves each unit by a random amount times `signal` after time 0; noise is 1.
pub(crate) struct Planted {
    pub(crate) classes: usize,
    pub(crate) trials_per_class: usize,
    pub(crate) units: usize,
    pub(crate) signal: f64,
    pub(crate) seed: u64,
}

impl Default for Planted {
    fn default() -> Planted {
        Planted { classes: 4, trials_per_class: 12, units: 10, signal: 1.5, seed: 1 }
    }
}

/// Bin times of planted sessions, in seconds.
pub(crate) fn bin_times() -> Vec<f64> {
    (0..12).map(|bin| -1.0 + 0.25 * f64::from(bin)).collect()
}

impl Planted {
    /// The session, with the class of each trial in columns `direction` (degrees) and `name` (text).
    pub(crate) fn responses(&self) -> Responses {
        let mut stream = Stream::new(self.seed);
        let tuning: Vec<f64> = (0..self.classes * self.units).map(|_| stream.normal()).collect();
        let mut labels: Vec<usize> = (0..self.classes * self.trials_per_class).map(|trial| trial % self.classes).collect();
        stream.shuffle(&mut labels);
        self.with_tuning(&tuning, &labels, &mut stream)
    }

    /// A session with given tuning `[class × unit]` and order of classes.
    pub(crate) fn with_tuning(&self, tuning: &[f64], labels: &[usize], stream: &mut Stream) -> Responses {
        let times = bin_times();
        let mut values = Vec::new();
        for &label in labels {
            for unit in 0..self.units {
                let mean = self.signal * tuning[label * self.units + unit];
                values.extend(times.iter().map(|time| if *time >= 0.0 { mean + stream.normal() } else { stream.normal() }));
            }
        }
        session("planted", labels, self.units, values)
    }
}

/// A session from labels and values `[trial × unit × bin]`.
pub(crate) fn session(name: &str, labels: &[usize], units: usize, values: Vec<f64>) -> Responses {
    let axes = vec![Axis::count("trial", labels.len()), Axis::count("unit", units), Axis::numbers("bin", Some("s"), bin_times())];
    let names: Vec<String> = labels.iter().map(|label| format!("class {label}")).collect();
    let trials = Table::from_columns(vec![
        columns::from_numbers("direction", labels.iter().map(|&label| 45.0 * label as f64).collect()),
        columns::from_texts("name", &names),
    ])
    .unwrap();
    Responses::new(name, Tensor::new(axes, None, values).unwrap(), trials, None).unwrap()
}

/// Runs a stage on sessions with parameters as they stand in a pipeline.
pub(crate) fn run(stage: &dyn AnyStage, sessions: &[Responses], params: &[(&str, Value)], context: &Context) -> Result<Outputs, StageError> {
    let mut inputs = Inputs::new();
    for (position, responses) in sessions.iter().enumerate() {
        let label = if sessions.len() == 1 { String::new() } else { format!("mouse{position}") };
        inputs.push("responses", &label, responses.clone().into_artifact().unwrap());
    }
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    stage.run(&inputs, &params, context)
}

/// The error of a run that must fail, with its advice.
pub(crate) fn refusal(stage: &dyn AnyStage, sessions: &[Responses], params: &[(&str, Value)]) -> String {
    let error = run(stage, sessions, params, &Context::quiet(1)).unwrap_err();
    format!("{error}; {}", error.help().unwrap_or_default())
}

/// A file of the shared folder; none, said plainly, when the folder is not there.
pub(crate) fn shared(path: &str) -> Option<PathBuf> {
    let folder = std::env::var_os("NEUROFLOW_SHARED")
        .map_or_else(|| PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/../../../shared")), PathBuf::from);
    if folder.is_dir() {
        Some(folder.join(path))
    } else {
        println!("skipped: no shared folder at {}", folder.display());
        None
    }
}

/// An array of a golden case: its shape and values.
pub(crate) fn golden(case: &str, name: &str) -> Option<(Vec<usize>, Vec<f64>)> {
    let path = shared(&format!("golden/{case}/{name}.npy"))?;
    let array = read_npy(&std::fs::read(path).unwrap(), &Limits::default()).unwrap();
    let values = array.to_f64().unwrap().into_owned();
    Some((array.shape, values))
}

/// A golden classification problem cut into training and test part by `split` (1 for training when `train_is`, else for test).
pub(crate) struct GoldenProblem {
    pub(crate) train: Matrix,
    pub(crate) labels: Vec<usize>,
    pub(crate) test: Matrix,
    pub(crate) n_classes: usize,
}

impl GoldenProblem {
    pub(crate) fn open(case: &str, x: &str, y: &str, split: &str, train_is: f64) -> Option<GoldenProblem> {
        let (shape, values) = golden(case, x)?;
        let (_, y) = golden(case, y)?;
        let (_, split) = golden(case, split)?;
        let features = Matrix::new(shape[0], shape[1], values).unwrap();
        let part = |train: bool| (0..shape[0]).filter(|&trial| (split[trial] == train_is) == train).collect::<Vec<_>>();
        let labels: Vec<usize> = part(true).into_iter().map(|trial| y[trial] as usize).collect();
        let n_classes = labels.iter().max().unwrap() + 1;
        Some(GoldenProblem { train: features.take_rows(&part(true)), labels, test: features.take_rows(&part(false)), n_classes })
    }
}

/// Fails unless all values agree within a tolerance relative to the larger of 1 and the expected value.
#[track_caller]
pub(crate) fn all_close(found: &[f64], expected: &[f64], tolerance: f64) {
    assert_eq!(found.len(), expected.len());
    for (position, (found, expected)) in found.iter().zip(expected).enumerate() {
        assert!((found - expected).abs() <= tolerance * expected.abs().max(1.0), "at {position}: found {found}, expected {expected}");
    }
}

/// The five recorded sessions (Park et al. 2024), in the order 24, 26, 28, 29, 30, with speed and pupil.
pub(crate) fn recorded() -> Option<Vec<Responses>> {
    let folder = shared("data/v1-gratings-calcium")?;
    let files = ["230803_mrcuts24_fov1", "230804_mrcuts26_fov5", "230809_mrcuts28_fov4", "230810_mrcuts29_fov2", "230814_mrcuts30_fov1"];
    Some(files.iter().map(|file| recording(&folder.join(format!("{file}_grat-000.npz")), &file[7..15])).collect())
}

fn recording(path: &std::path::Path, name: &str) -> Responses {
    let file = read_npz(&std::fs::read(path).unwrap(), &Limits::default()).unwrap();
    let array = |name: &str| file.get(name).unwrap().to_f64().unwrap().into_owned();
    let shape = file.get("X").unwrap().shape.clone();
    let (units, trials, bins) = (shape[0], shape[1], shape[2]);
    let activity = array("X");
    let mut values = Vec::with_capacity(activity.len());
    for trial in 0..trials {
        for unit in 0..units {
            values.extend_from_slice(&activity[(unit * trials + trial) * bins..(unit * trials + trial + 1) * bins]);
        }
    }
    let (speed, pupil) = (array("speed"), array("pupil_zscore"));
    let beside = (0..trials).flat_map(|trial| [&speed, &pupil].map(|signal| signal[trial * bins..(trial + 1) * bins].to_vec())).flatten();
    let bin = Axis::numbers("bin", Some("s"), array("t"));
    let covariate = Axis::labels("covariate", vec!["speed".into(), "pupil".into()]);
    let covariates = Tensor::new(vec![Axis::count("trial", trials), covariate, bin.clone()], None, beside.collect::<Vec<_>>()).unwrap();
    let axes = vec![Axis::count("trial", trials), Axis::count("unit", units), bin];
    let table = Table::from_columns(vec![columns::from_numbers("direction", array("direction"))]).unwrap();
    Responses::new(name, Tensor::new(axes, None, values).unwrap(), table, Some(covariates)).unwrap()
}
