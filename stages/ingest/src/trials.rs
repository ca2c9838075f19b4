//! `ingest.trials`: a session file becomes responses `[trial × unit × bin]`.
//!
//! For what: every analysis of trials starts here. Promises: values as they stand in the file, units in the order of their numbers, trial columns
//! `direction`, `orientation`, `trial`, `time`. Refuses: files of other shapes, lengths that disagree, and, unless asked to leave them out, values
//! that are not finite; always with the path of the variable. Formats: the MATLAB sessions of Park et al. 2024 (read by `matlab_session`), and Arrow
//! files that hold Responses.

use crate::gaps::{self, ByName};
use crate::matlab_session::{self, MatlabPaths};
use neuroflow_data::{Artifact, Kind, Responses, Typed};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params};

pub use crate::gaps::Gaps;

/// The stage `ingest.trials`.
pub struct Trials;

params! {
    /// Parameters of `ingest.trials`.
    pub struct TrialsParams {
        /// The session's name in messages and reports. Empty for the name in the file, or `session` when the file has none (MATLAB files have none).
        session: String = "";
        /// What to do with values that are not finite.
        gaps: Gaps = Value::word("refuse");
    }
}

const DOC: &str = r#"Reads one session and lays it out as activity `[trial × unit × bin]`, a table with a row for each trial, and the animal's signals.

* MATLAB files (`save -v6`, `-v7`) shaped like the sessions of Park et al. 2024: `D.neuron1`, `D.neuron2`, … (cell arrays, one trace a trial),
  `D.speed` and `D.pupil_zscore` when there are any, `TE.direction` in degrees, `t` in seconds from stimulus onset.
* Arrow files that hold Responses, as `ingest.simulate` and `neuroflow get … --as arrow` write them. They keep their own trial columns.

Trial columns of a MATLAB session: `direction` (deg), `orientation` (deg, direction modulo 180), `trial` (from 0) and `time`: seconds from the session's
start as if trials followed each other without a pause (such files do not hold the pauses). Covariates: `speed` and `pupil`.

Values are not changed: no scaling, no baseline, no filling of gaps. Not for continuous recordings or spike times.

```nf
pipeline reading "One session"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
report reading { responses }
```"#;

impl Stage for Trials {
    type Params = TrialsParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.trials",
            version: 1,
            summary: "Reads a session file into activity by trial, unit and time bin.",
            doc: DOC,
            inputs: vec![InputSpec::one("session", &[Kind::File], "", "A session file: MATLAB 5, or Arrow with Responses.")],
            outputs: vec![OutputSpec::new(
                "responses",
                Kind::Responses,
                "trial × unit × bin",
                "The activity, the trials' columns, and the animal's signals.",
            )],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &TrialsParams, _context: &Context) -> Result<Outputs, StageError> {
        let file = inputs.artifact("session").ok_or_else(|| StageError::Bug("input `session` was not given".into()))?;
        let responses = read(file, params)?;
        if responses.units().is_empty() && responses.n_trials() > 0 {
            return Err(StageError::refused(format!("session `{}` has no units", responses.session)));
        }
        Outputs::new().with("responses", responses)
    }
}

fn read(file: &Artifact, params: &TrialsParams) -> Result<Responses, StageError> {
    let bytes = file.bytes()?;
    let content = bytes.as_slice();
    if content.is_empty() {
        return Err(StageError::refused_with_help("the session file is empty", "copy or download it again"));
    }
    if content.starts_with(b"ARROW1") {
        let artifact = Artifact::decode_described(bytes)?;
        if artifact.kind() != Kind::Responses {
            return Err(StageError::refused_with_help(
                format!("the Arrow file holds a {}, Responses are needed", artifact.kind()),
                "give the file of a step that ends in responses",
            ));
        }
        let mut responses = Responses::from_artifact(&artifact)?;
        if !params.session.is_empty() {
            responses.session.clone_from(&params.session);
        } else if responses.session.is_empty() {
            "session".clone_into(&mut responses.session);
        }
        return gaps::resolve(responses, &params.gaps, &ByName);
    }
    if !content.starts_with(b"MATLAB") && content.get(126..128).is_none_or(|mark| mark != b"IM" && mark != b"MI") {
        return Err(StageError::refused_with_help(
            "the session file is neither a MATLAB 5 file nor an Arrow file",
            "in MATLAB, write it with `save -v7 file.mat D TE t`; other formats need another step",
        ));
    }
    let name = if params.session.is_empty() { "session" } else { &params.session };
    gaps::resolve(matlab_session::read(content, name)?, &params.gaps, &MatlabPaths)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::matlab::{Mat, file};
    use crate::testing::{counted, recorded_sessions, run_on, said};
    use arrow::buffer::Buffer;
    use neuroflow_data::formats::Limits;
    use neuroflow_data::formats::npz::read_npz;
    use neuroflow_data::{Table, columns};

    fn read_bytes(bytes: Vec<u8>, params: &[(&str, Value)]) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        inputs.push("session", "", Artifact::from_bytes(Buffer::from_vec(bytes)));
        run_on(&Trials, &inputs, params, &Context::quiet(0))
    }

    fn responses(result: Result<Outputs, StageError>) -> Responses {
        result.unwrap().one("responses").unwrap()
    }

    /// Value of a unit in a trial and bin of [`parts`].
    fn value(unit: usize, trial: usize, bin: usize) -> f64 {
        (100 * unit + 10 * trial + bin) as f64
    }

    /// Variables of a good file: units 1, 2 and 10 (not in this order), 3 trials, 4 bins.
    fn parts() -> Vec<(String, Mat)> {
        let traces =
            |unit: usize| Mat::Cells((0..3).map(|trial| Mat::column((0..4).map(|bin| value(unit, trial, bin)).collect())).collect());
        let recording = [("neuron2", 2), ("neuron10", 10), ("neuron1", 1), ("pupil_zscore", 50), ("speed", 60)];
        let recording = recording.map(|(name, unit)| (name.to_owned(), traces(unit)));
        let design = [("direction", Mat::UInt16s(vec![0, 225, 90])), ("nTrials", Mat::row(vec![3.0])), ("dt", Mat::row(vec![0.5]))];
        let design = design.map(|(name, value)| (name.to_owned(), value));
        vec![
            ("D".to_owned(), Mat::Struct(recording.into())),
            ("TE".to_owned(), Mat::Struct(design.into())),
            ("t".to_owned(), Mat::row(vec![-0.5, 0.0, 0.5, 1.0])),
        ]
    }

    /// The file with the value at a path (`D.neuron1`, `t`) changed; removed when the change gives none.
    fn changed(path: &str, change: impl FnOnce(Mat) -> Option<Mat>) -> Vec<u8> {
        let mut variables = parts();
        let (variable, field) = path.split_once('.').map_or((path, None), |(variable, field)| (variable, Some(field)));
        let position = variables.iter().position(|(name, _)| name == variable).unwrap();
        match (&mut variables[position].1, field) {
            (Mat::Struct(fields), Some(field)) => {
                let position = fields.iter().position(|(name, _)| name == field).unwrap();
                let (name, old) = fields.remove(position);
                if let Some(new) = change(old) {
                    fields.insert(position, (name, new));
                }
            }
            _ => {
                let (name, old) = variables.remove(position);
                if let Some(new) = change(old) {
                    variables.insert(position, (name, new));
                }
            }
        }
        file(&variables)
    }

    fn with_trace(path: &str, trial: usize, trace: Mat) -> Vec<u8> {
        changed(path, |cells| {
            let Mat::Cells(mut cells) = cells else { panic!("{path} is no cell array") };
            cells[trial] = trace;
            Some(Mat::Cells(cells))
        })
    }

    #[test]
    fn a_matlab_session_keeps_values_times_units_and_signals() {
        let session = responses(read_bytes(file(&parts()), &[("session", "mouse".into())]));
        assert_eq!((session.n_trials(), session.n_units(), session.n_bins()), (3, 3, 4));
        assert_eq!((0..3).map(|unit| session.units().coordinates.label(unit)).collect::<Vec<_>>(), ["neuron1", "neuron2", "neuron10"]);
        for (unit, number) in [1, 2, 10].into_iter().enumerate() {
            for trial in 0..3 {
                assert_eq!(session.trace(trial, unit), (0..4).map(|bin| value(number, trial, bin)).collect::<Vec<_>>());
            }
        }
        assert_eq!(session.bin_times(), [-0.5, 0.0, 0.5, 1.0]);
        let numbers = |name: &str| session.trials().numbers(name).unwrap();
        assert_eq!((numbers("direction"), numbers("orientation")), (vec![0.0, 225.0, 90.0], vec![0.0, 45.0, 90.0]));
        assert_eq!((numbers("trial"), numbers("time")), (vec![0.0, 1.0, 2.0], vec![0.0, 2.0, 4.0]));
        assert_eq!(session.covariate("speed").unwrap()[4..8], [6010.0, 6011.0, 6012.0, 6013.0]);
        assert_eq!(session.covariate("pupil").unwrap()[0], 5000.0);
        assert_eq!(session.session, "mouse");
        assert_eq!(responses(read_bytes(file(&parts()), &[])).session, "session");
    }

    #[test]
    fn a_session_without_signals_or_optional_fields_is_read() {
        for path in ["D.speed", "D.pupil_zscore", "TE.nTrials", "TE.dt"] {
            let session = responses(read_bytes(changed(path, |_| None), &[]));
            assert_eq!(session.n_units(), 3);
            assert_eq!(session.covariate("speed").is_none(), path == "D.speed");
        }
    }

    #[test]
    fn what_is_missing_or_of_another_class_is_named_by_its_path() {
        let cases: Vec<(Vec<u8>, &str)> = vec![
            (changed("D", |_| None), "there is no variable `D`; the file holds: TE, t"),
            (changed("t", |_| None), "there is no variable `t`"),
            (changed("TE.direction", |_| None), "`TE`: a struct with the field `direction` is expected"),
            (changed("D", |_| Some(Mat::row(vec![1.0]))), "`D` is a 1×1 double array"),
            (
                changed("D", |_| Some(Mat::Struct(vec![("neurone".into(), Mat::row(vec![1.0]))]))),
                "`D` has no fields `neuron1`, `neuron2`, …; its first fields are `neurone`",
            ),
            (changed("D.neuron10", |_| Some(Mat::row(vec![1.0]))), "`D.neuron10`: a cell array is expected"),
            (with_trace("D.neuron2", 1, Mat::Char("text".into())), "`D.neuron2{2}`: a numeric array is expected, this is a 1×4 char array"),
            (with_trace("D.speed", 0, Mat::column(vec![1.0; 5])), "`D.speed{1}` has 5 bins, `t` has 4"),
            (
                changed("D.neuron1", |_| Some(Mat::Cells(vec![Mat::column(vec![0.0; 4]); 2]))),
                "`D.neuron1` has 2 cells, `TE.direction` has 3 trials",
            ),
            (changed("TE.nTrials", |_| Some(Mat::row(vec![4.0]))), "`TE.nTrials` is 4, `TE.direction` has 3 trials"),
            (changed("TE.dt", |_| Some(Mat::row(vec![0.4]))), "`TE.dt` is 0.4 s, the bins of `t` are 0.5 s apart"),
            (changed("TE.direction", |_| Some(Mat::row(vec![0.0, f64::NAN, 1.0]))), "`TE.direction(2)` is not finite"),
            (changed("TE.direction", |_| Some(Mat::row(vec![]))), "the session has no trials"),
            (changed("t", |_| Some(Mat::row(vec![0.0, 1.0, 1.0, 2.0]))), "`t(3)` is not later than `t(2)`"),
            (changed("t", |_| Some(Mat::row(vec![0.0, f64::INFINITY, 1.0, 2.0]))), "`t(2)` is not finite"),
            (changed("t", |_| Some(Mat::row(vec![]))), "`t` is empty"),
        ];
        for (bytes, expected) in cases {
            let message = said(read_bytes(bytes, &[]));
            assert!(message.contains(expected), "{message}\nshould have: {expected}");
        }
    }

    #[test]
    fn other_files_and_damaged_ones_are_refused_at_every_length() {
        assert!(said(read_bytes(Vec::new(), &[])).contains("is empty"));
        assert!(said(read_bytes(b"unit,trial\n1,2\n".to_vec(), &[])).contains("neither a MATLAB 5 file nor an Arrow file"));
        let whole = file(&parts());
        let arrow = counted(2, 2, 3).into_artifact().unwrap().encode().unwrap();
        for bytes in [whole, arrow] {
            for length in (0..bytes.len()).step_by(7) {
                let result = read_bytes(bytes[..length].to_vec(), &[]);
                assert!(result.is_err(), "{length}");
            }
        }
        let table = Table::from_columns(vec![columns::from_numbers("x", vec![1.0])]).unwrap().into_artifact().unwrap();
        assert!(said(read_bytes(table.encode().unwrap(), &[])).contains("the Arrow file holds a Table, Responses are needed"));
    }

    #[test]
    fn an_arrow_session_comes_as_it_is_with_its_name_and_sources() {
        let session = counted(3, 2, 4);
        let bytes = session.clone().into_artifact().unwrap().encode().unwrap();
        assert_eq!(responses(read_bytes(bytes.clone(), &[])), session);
        assert_eq!(responses(read_bytes(bytes, &[("session", "other".into())])).session, "other");
    }

    #[test]
    fn sessions_without_trials_or_with_one_are_read() {
        for trials in [0, 1] {
            let bytes = counted(trials, 2, 4).into_artifact().unwrap().encode().unwrap();
            assert_eq!(responses(read_bytes(bytes, &[])).n_trials(), trials);
        }
    }

    #[test]
    fn gaps_are_refused_with_count_and_place() {
        let bytes = with_trace("D.neuron2", 1, Mat::column(vec![1.0, f64::NAN, 2.0, f64::INFINITY]));
        let message = said(read_bytes(bytes, &[]));
        let expected =
            "the traces have 2 values that are not finite, in 1 of 3 trials and 1 of 3 rows; the first is in `D.neuron2{2}`, bin 1 (0 s)";
        assert!(message.contains(expected) && message.contains("gaps = drop_trials"), "{message}");
        let message = said(read_bytes(with_trace("D.pupil_zscore", 2, Mat::column(vec![f64::NAN; 4])), &[]));
        assert!(message.contains("the animal's signals have 4 values") && message.contains("`D.pupil_zscore{3}`"), "{message}");
        let mut values = vec![0.5; 2 * 4];
        values[6] = f64::NAN;
        let session = crate::testing::session(&[0.0, 45.0], 1, values, 4).into_artifact().unwrap();
        assert!(
            said(read_bytes(session.encode().unwrap(), &[]))
                .contains("the first is in `neuron1`, trial 1 (counted from 0), bin 2 (0.25 s)")
        );
    }

    #[test]
    fn gaps_can_be_left_out_by_trial_or_by_unit() {
        let bytes = with_trace("D.neuron2", 1, Mat::column(vec![1.0, f64::NAN, 2.0, 3.0]));
        let fewer = responses(read_bytes(bytes.clone(), &[("gaps", Value::word("drop_trials"))]));
        assert_eq!((fewer.trials().integers("trial").unwrap(), fewer.n_units()), (vec![0, 2], 3));
        assert_eq!(fewer.trace(1, 1), [220.0, 221.0, 222.0, 223.0]);
        let fewer = responses(read_bytes(bytes, &[("gaps", Value::word("drop_units"))]));
        assert_eq!((fewer.n_trials(), fewer.units().coordinates.label(1)), (3, "neuron10".to_owned()));
        assert_eq!(fewer.trace(2, 1), [1020.0, 1021.0, 1022.0, 1023.0]);
        let signal = with_trace("D.speed", 0, Mat::column(vec![f64::NAN; 4]));
        let fewer = responses(read_bytes(signal, &[("gaps", Value::word("drop_units"))]));
        assert_eq!((fewer.n_units(), fewer.covariate("speed").is_some(), fewer.covariate("pupil").is_some()), (3, false, true));
        let nothing = changed("D.neuron1", |_| Some(Mat::Cells(vec![Mat::column(vec![f64::NAN; 4]); 3])));
        assert!(said(read_bytes(nothing, &[("gaps", Value::word("drop_trials"))])).contains("every trial has values that are not finite"));
    }

    #[test]
    fn the_recorded_sessions_have_the_values_of_their_derived_copies() {
        let Some(folder) = recorded_sessions() else { return };
        let sessions = [
            ("230803_mrcuts24_fov1", 28),
            ("230804_mrcuts26_fov5", 74),
            ("230809_mrcuts28_fov4", 56),
            ("230810_mrcuts29_fov2", 18),
            ("230814_mrcuts30_fov1", 39),
        ];
        for (name, n_units) in sessions {
            let session = responses(read_bytes(std::fs::read(folder.join(format!("{name}_grat-000_data.mat"))).unwrap(), &[]));
            assert_eq!((session.n_trials(), session.n_units(), session.n_bins()), (128, n_units, 49), "{name}");
            let copy = read_npz(&std::fs::read(folder.join(format!("{name}_grat-000.npz"))).unwrap(), &Limits::default()).unwrap();
            let array = |name: &str| copy.get(name).unwrap().to_f64().unwrap().into_owned();
            // The copies are [unit × trial × bin], in single precision.
            for (position, copied) in array("X").chunks(49).enumerate() {
                let own = session.trace(position % 128, position / 128);
                assert!(own.iter().zip(copied).all(|(own, copied)| f64::from(*own as f32) == *copied), "{name}, trace {position}");
            }
            for (signal, copied) in [("speed", "speed"), ("pupil", "pupil_zscore")] {
                let own = session.covariate(signal).unwrap();
                assert!(own.iter().map(|value| f64::from(*value as f32)).eq(array(copied)), "{name}, {signal}");
            }
            assert_eq!(session.bin_times(), array("t"));
            assert_eq!((session.bin_times()[0], session.bin_times()[48]), (-1.0, 2.0));
            let directions = session.trials().numbers("direction").unwrap();
            assert_eq!(directions, array("direction"));
            for condition in 0..8 {
                let shown = directions.iter().filter(|direction| **direction == 45.0 * f64::from(condition)).count();
                assert_eq!(shown, 16, "{name}, {condition}");
            }
            assert_eq!(session.trials().numbers("time").unwrap()[1], 49.0 * 0.0625);
        }
    }
}
