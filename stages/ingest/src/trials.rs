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
