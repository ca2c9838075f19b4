//! What the tests of this crate share.

use crate::session_columns::{bin_axis, covariates, trial_table};
use neuroflow_data::{Artifact, Axis, Channel, Events, Recording, Responses, Samples, Spikes, Stretch, Table, Tensor, Typed, columns};
use neuroflow_stage::{AnyStage, Context, Dimension, Inputs, Outputs, Quantity, StageError, Value};
use std::path::PathBuf;

/// A session of units `neuron1`, … with values `[trial × unit × bin]`, bins from −0.25 s every 0.25 s, and no signals of the animal.
pub(crate) fn session(directions: &[f64], n_units: usize, values: Vec<f64>, n_bins: usize) -> Responses {
    with_signals(directions, n_units, values, n_bins, Vec::new())
}

fn with_signals(directions: &[f64], n_units: usize, values: Vec<f64>, n_bins: usize, signals: Vec<(String, Vec<f64>)>) -> Responses {
    let times: Vec<f64> = (0..n_bins).map(|bin| -0.25 + 0.25 * bin as f64).collect();
    let labels = (1..=n_units).map(|unit| format!("neuron{unit}")).collect();
    let axes = vec![Axis::count("trial", directions.len()), Axis::labels("unit", labels), bin_axis(times.clone())];
    let animal = covariates(signals, directions.len(), &times).unwrap();
    Responses::new("counted", Tensor::new(axes, None, values).unwrap(), trial_table(directions, None).unwrap(), animal).unwrap()
}

/// A session whose values all differ, with speed and pupil and a source.
pub(crate) fn counted(n_trials: usize, n_units: usize, n_bins: usize) -> Responses {
    let directions: Vec<f64> = (0..n_trials).map(|trial| 45.0 * trial as f64).collect();
    let values = (0..n_trials * n_units * n_bins).map(|position| position as f64).collect();
    let signal = |sign: f64| (0..n_trials * n_bins).map(|position| sign * position as f64).collect();
    let signals = vec![("speed".to_owned(), signal(1.0)), ("pupil".to_owned(), signal(-1.0))];
    let mut responses = with_signals(&directions, n_units, values, n_bins, signals);
    responses.sources.insert("counted: for tests".into());
    responses
}

/// Runs a stage on a session with parameters as they stand in a pipeline.
pub(crate) fn run(stage: &dyn AnyStage, responses: &Responses, params: &[(&str, Value)], seed: u64) -> Result<Outputs, StageError> {
    let mut inputs = Inputs::new();
    inputs.push("responses", "", responses.clone().into_artifact().unwrap());
    run_on(stage, &inputs, params, &Context::quiet(seed))
}

/// Spikes of units `a`, `b`, … with an `area` each, and the spans in which they were observed.
pub(crate) fn spikes(times: &[Vec<f64>], observed: &[(f64, f64)]) -> Spikes {
    let names: Vec<String> = (0..times.len()).map(|unit| char::from(b'a' + unit as u8).to_string()).collect();
    let areas: Vec<&str> = (0..times.len()).map(|unit| if unit % 2 == 0 { "VISp" } else { "VISl" }).collect();
    let units = Table::from_columns(vec![columns::from_texts("unit", &names), columns::from_texts("area", &areas)]).unwrap();
    let ends: Vec<usize> = times
        .iter()
        .scan(0, |end, own| {
            Some({
                *end += own.len();
                *end
            })
        })
        .collect();
    let mut spikes = Spikes::new("spiking", units, &ends, times.concat()).unwrap();
    spikes.observed = observed.to_vec();
    spikes
}

/// Events at times, labelled `T0`, `T1`, `T0`, … and with a `side` by turns of two.
pub(crate) fn events(times: &[f64]) -> Events {
    let labels: Vec<String> = (0..times.len()).map(|row| format!("T{}", row % 2)).collect();
    let sides: Vec<&str> = (0..times.len()).map(|row| if row / 2 % 2 == 0 { "left" } else { "right" }).collect();
    let events = Events::new(times.to_vec(), vec![Some(0.5); times.len()], &labels).unwrap();
    let (field, array) = columns::from_texts("side", &sides);
    Events::from_table(events.table().with_column(field, array).unwrap()).unwrap()
}

/// A recording of channels `C1`, `C2`, … in µV with one stretch from time 0 each.
pub(crate) fn recording(rate: f64, channels: &[Vec<f64>]) -> Recording {
    with_pauses(rate, channels, &[(0, 0.0)])
}

/// A recording whose channels have stretches at samples and times.
pub(crate) fn with_pauses(rate: f64, channels: &[Vec<f64>], stretches: &[(u64, f64)]) -> Recording {
    let stretches: Vec<Stretch> = stretches.iter().map(|&(first, time)| Stretch { first, time }).collect();
    let channel = |(number, values): (usize, &Vec<f64>)| {
        let channel = Channel { role: "eeg".into(), stretches: stretches.clone(), ..Channel::new(format!("C{}", number + 1), "uV", rate) };
        (channel, Samples::F64(values.clone().into()))
    };
    let mut recording = Recording::new("recorded", channels.iter().enumerate().map(channel).collect()).unwrap();
    recording.sources.insert("recorded: for tests".into());
    recording
}

/// Runs a stage on named artifacts.
pub(crate) fn run_with(stage: &dyn AnyStage, given: &[(&str, Artifact)], params: &[(&str, Value)]) -> Result<Outputs, StageError> {
    let mut inputs = Inputs::new();
    given.iter().for_each(|(slot, artifact)| inputs.push(slot, "", artifact.clone()));
    run_on(stage, &inputs, params, &Context::quiet(0))
}

/// A value as an artifact.
pub(crate) fn artifact<T: Typed + Clone>(value: &T) -> Artifact {
    value.clone().into_artifact().unwrap()
}

pub(crate) fn hertz(value: f64) -> Value {
    Value::Quantity(Quantity { value, dimension: Dimension::Frequency })
}

/// Texts as a list.
pub(crate) fn list(texts: &[&str]) -> Value {
    Value::List(texts.iter().map(|text| Value::from(*text)).collect())
}

/// Runs a stage on any inputs.
pub(crate) fn run_on(stage: &dyn AnyStage, inputs: &Inputs, params: &[(&str, Value)], context: &Context) -> Result<Outputs, StageError> {
    let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
    stage.run(inputs, &params, context)
}

/// The message of a run that must fail, with its advice.
pub(crate) fn refusal(stage: &dyn AnyStage, responses: &Responses, params: &[(&str, Value)]) -> String {
    said(run(stage, responses, params, 0))
}

/// The message of an error, with its advice.
pub(crate) fn said(result: Result<Outputs, StageError>) -> String {
    let error = result.expect_err("the stage must refuse");
    match error.help() {
        Some(help) => format!("{error}; {help}"),
        None => error.to_string(),
    }
}

/// The folder with recorded sessions; says so and gives none when it is not there.
pub(crate) fn recorded_sessions() -> Option<PathBuf> {
    let folder = std::env::var_os("NEUROFLOW_SHARED")
        .map_or_else(|| PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../../shared"), PathBuf::from)
        .join("data/v1-gratings-calcium");
    if folder.is_dir() {
        return Some(folder);
    }
    println!("skipped: no shared folder at {}", folder.display());
    None
}

/// Small MATLAB 5 files, written as the format's document says ("MAT-File Format", The MathWorks), for tests of what sessions may lack.
pub(crate) mod matlab {
    /// A value to write.
    #[derive(Clone)]
    pub(crate) enum Mat {
        /// A double array with rows and columns.
        Doubles(usize, usize, Vec<f64>),
        /// A row of unsigned 16-bit integers.
        UInt16s(Vec<u16>),
        /// A row of characters.
        Char(String),
        /// A row of cells.
        Cells(Vec<Mat>),
        /// A plain struct.
        Struct(Vec<(String, Mat)>),
    }

    impl Mat {
        pub(crate) fn row(values: Vec<f64>) -> Mat {
            Mat::Doubles(usize::from(!values.is_empty()), values.len(), values)
        }

        pub(crate) fn column(values: Vec<f64>) -> Mat {
            Mat::Doubles(values.len(), 1, values)
        }
    }

    const INT8: u32 = 1;
    const UINT16: u32 = 4;
    const INT32: u32 = 5;
    const UINT32: u32 = 6;
    const DOUBLE: u32 = 9;
    const MATRIX: u32 = 14;
    /// Field names take this many bytes each, the end mark included.
    const NAME_BYTES: usize = 32;

    /// A file of variables.
    pub(crate) fn file(variables: &[(String, Mat)]) -> Vec<u8> {
        let mut bytes = b"MATLAB 5.0 MAT-file, written by a test".to_vec();
        bytes.resize(124, b' ');
        bytes.extend([0, 1, b'I', b'M']);
        for (name, value) in variables {
            bytes.extend(matrix(name, value));
        }
        bytes
    }

    fn element(kind: u32, data: &[u8]) -> Vec<u8> {
        let mut bytes = [kind.to_le_bytes(), (data.len() as u32).to_le_bytes()].concat();
        bytes.extend(data);
        bytes.resize(bytes.len().next_multiple_of(8), 0);
        bytes
    }

    fn matrix(name: &str, value: &Mat) -> Vec<u8> {
        let (class, rows, columns): (u32, usize, usize) = match value {
            Mat::Cells(cells) => (1, 1, cells.len()),
            Mat::Struct(_) => (2, 1, 1),
            Mat::Char(text) => (4, 1, text.len()),
            Mat::Doubles(rows, columns, _) => (6, *rows, *columns),
            Mat::UInt16s(values) => (11, 1, values.len()),
        };
        let mut content = element(UINT32, &[class.to_le_bytes(), 0u32.to_le_bytes()].concat());
        content.extend(element(INT32, &[(rows as u32).to_le_bytes(), (columns as u32).to_le_bytes()].concat()));
        content.extend(element(INT8, name.as_bytes()));
        match value {
            Mat::Doubles(_, _, values) => {
                content.extend(element(DOUBLE, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()))
            }
            Mat::UInt16s(values) => {
                content.extend(element(UINT16, &values.iter().flat_map(|value| value.to_le_bytes()).collect::<Vec<_>>()))
            }
            Mat::Char(text) => content.extend(element(UINT16, &text.encode_utf16().flat_map(u16::to_le_bytes).collect::<Vec<_>>())),
            Mat::Cells(cells) => cells.iter().for_each(|cell| content.extend(matrix("", cell))),
            Mat::Struct(fields) => {
                content.extend(element(INT32, &(NAME_BYTES as u32).to_le_bytes()));
                let names = fields.iter().flat_map(|(name, _)| {
                    let mut name = name.clone().into_bytes();
                    name.resize(NAME_BYTES, 0);
                    name
                });
                content.extend(element(INT8, &names.collect::<Vec<_>>()));
                fields.iter().for_each(|(_, field)| content.extend(matrix("", field)));
            }
        }
        element(MATRIX, &content)
    }
}
