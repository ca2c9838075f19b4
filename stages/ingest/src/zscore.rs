//! `ingest.zscore`: each unit in standard deviations from its mean.
//!
//! For what: traces of units with different brightness are made comparable. Promises: mean 0 and standard deviation 1 of each unit over the values it is
//! fitted on. Refuses: gaps, and units without variation unless asked to set them to 0.

use crate::recorded::{as_stored, each_channel, is_marks, rebuilt};
use crate::window::bins_in;
use neuroflow_data::{Channel, Kind, Recording, Responses, Samples, Tensor, Typed};
use neuroflow_stage::error::require_finite;
use neuroflow_stage::{
    Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, TimeWindow, Value, params, words,
};

/// The stage `ingest.zscore`.
pub struct ZScore;

words! {
    /// The values that mean and standard deviation are taken of.
    pub enum Over {
        /// All bins of all trials.
        Trials = "trials" {},
        /// The bins within a window, of all trials.
        Baseline = "baseline" {
            /// The window, from stimulus onset.
            window: TimeWindow = Value::window(-1.0, 0.0);
        },
    }
}

words! {
    /// What to do with a unit that does not vary.
    pub enum Constant {
        /// Refuse, naming the units.
        Refuse = "refuse" {},
        /// Set it to 0 everywhere.
        Zero = "zero" {},
    }
}

params! {
    /// Parameters of `ingest.zscore`.
    pub struct ZScoreParams {
        /// The values that mean and standard deviation are taken of.
        over: Over = Value::word("trials");
        /// What to do with a unit that does not vary over them.
        constant: Constant = Value::word("refuse");
    }
}

const DOC: &str = r#"Subtracts each unit's mean and divides by its standard deviation (of the population: divided by n). Both are taken over all bins of all trials, or with
`over = baseline(-1 s .. 0 s)` over a window of all trials. Each channel of a recording is scaled over all of its samples; channels of marks (role `trig`) stay.

Fitted on **all** trials, so a decoder that is trained on some and tested on others has seen the scale of its test trials: scores after this step are marked
as transductive. For decoding leave this step out and let the decoder scale by its training trials (`scale = zscore`).

```nf
pipeline deviations "Units in standard deviations"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
scaled = ingest.zscore(responses, over = baseline(-1 s .. 0 s))
report deviations { scaled }
```"#;

impl Stage for ZScore {
    type Params = ZScoreParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.zscore",
            version: 1,
            summary: "Gives each unit mean 0 and standard deviation 1.",
            doc: DOC,
            inputs: vec![InputSpec::one(
                "responses",
                &[Kind::Responses, Kind::Recording],
                "",
                "The activity of one session, or a recording.",
            )],
            outputs: vec![OutputSpec::like(
                "responses",
                "responses",
                Kind::Responses,
                "",
                "The activity in standard deviations from each unit's mean; unit `z`.",
            )],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: true,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &ZScoreParams, context: &Context) -> Result<Outputs, StageError> {
        let given = inputs.artifact("responses").ok_or_else(|| StageError::Bug("input `responses` was not given".into()))?;
        if given.kind() == Kind::Recording {
            return Outputs::new().with("responses", of_recording(&Recording::from_artifact(given)?, params, context)?);
        }
        let responses = Responses::from_artifact(given)?;
        let session = &responses.session;
        require_finite(&format!("session `{session}`"), responses.values())?;
        let bins = match &params.over {
            Over::Trials {} => (0..responses.n_bins()).collect(),
            Over::Baseline { window } => bins_in(&responses, window)?,
        };
        let (n_trials, n_units, n_bins) = (responses.n_trials(), responses.n_units(), responses.n_bins());
        let mut values = responses.values().values().to_vec();
        let mut constant = Vec::new();
        for unit in 0..n_units {
            context.cancel.check()?;
            let scale = Scale::of(&responses, unit, &bins);
            if scale.deviation.is_none() && n_trials * n_bins > 0 {
                constant.push(unit);
            }
            for trial in 0..n_trials {
                let start = (trial * n_units + unit) * n_bins;
                for value in values.get_mut(start..start + n_bins).unwrap_or(&mut []) {
                    *value = scale.deviation.map_or(0.0, |deviation| (*value - scale.mean) / deviation);
                }
            }
        }
        if params.constant == (Constant::Refuse {}) && !constant.is_empty() {
            return Err(refuse_constant(&responses, &constant));
        }
        let scaled = Tensor::new(responses.values().axes().to_vec(), Some("z"), values)?;
        Outputs::new().with("responses", responses.with_values(scaled, responses.covariates().cloned())?)
    }
}

/// Each channel of a recording by mean and standard deviation over all of its samples; channels of marks stay as they are.
fn of_recording(recording: &Recording, params: &ZScoreParams, context: &Context) -> Result<Recording, StageError> {
    let session = &recording.session;
    if let Over::Baseline { .. } = params.over {
        return Err(StageError::refused_with_help(
            format!("session `{session}` is a recording, which has no baseline of trials"),
            "use `over = trials`, which takes all samples, or cut trials first",
        ));
    }
    let one = |place: usize| -> Result<(Channel, Samples, bool), StageError> {
        let (channel, stored) = recording.channel(place).ok_or_else(|| StageError::Bug(format!("there is no channel {place}")))?;
        let mut values = recording.values(place, 0..stored.len());
        let plain = Channel { gain: 1.0, offset: 0.0, ..channel.clone() };
        if is_marks(channel) || values.is_empty() {
            return Ok((plain, as_stored(stored, values), false));
        }
        if let Some(sample) = values.iter().position(|value| !value.is_finite()) {
            let message = format!("session `{session}`, channel `{}`: sample {sample} is not finite", channel.name);
            return Err(StageError::refused_with_help(message, "leave the channel out with `ingest.select`"));
        }
        let (mean, deviation) =
            (neuroflow_compute::statistics::mean(&values), neuroflow_compute::statistics::standard_deviation(&values, 0));
        let largest = values.iter().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        let varies = deviation > 1e-13 * largest;
        values.iter_mut().for_each(|value| *value = if varies { (*value - mean) / deviation } else { 0.0 });
        Ok((Channel { unit: "z".into(), ..plain }, as_stored(stored, values), !varies))
    };
    let channels = each_channel(recording.len(), context, one)?;
    let constant: Vec<&str> = channels.iter().filter(|(.., constant)| *constant).map(|(channel, ..)| channel.name.as_str()).collect();
    if params.constant == (Constant::Refuse {}) && !constant.is_empty() {
        return Err(StageError::refused_with_help(
            format!(
                "session `{session}`: {} channels do not vary: {}",
                constant.len(),
                constant.iter().take(5).copied().collect::<Vec<_>>().join(", ")
            ),
            "leave them out with `ingest.select`, or set them to 0 with `constant = zero`",
        ));
    }
    rebuilt(recording, channels.into_iter().map(|(channel, samples, _)| (channel, samples)).collect())
}

fn refuse_constant(responses: &Responses, constant: &[usize]) -> StageError {
    let names: Vec<String> = constant.iter().take(5).map(|&unit| responses.units().coordinates.label(unit)).collect();
    let more = if constant.len() > names.len() { ", …" } else { "" };
    StageError::refused_with_help(
        format!(
            "session `{}`: {} of {} units do not vary, so they have no standard deviation to divide by: {}{more}",
            responses.session,
            constant.len(),
            responses.n_units(),
            names.join(", ")
        ),
        "remove these units, or set them to 0 with `constant = zero`",
    )
}

/// Mean and standard deviation of a unit.
struct Scale {
    mean: f64,
    /// None when the unit does not vary.
    deviation: Option<f64>,
}

impl Scale {
    /// In two passes: the sum of squared differences from the mean does not cancel as the difference of sums would.
    fn of(responses: &Responses, unit: usize, bins: &[usize]) -> Scale {
        let each = || {
            (0..responses.n_trials()).flat_map(move |trial| {
                let trace = responses.trace(trial, unit);
                bins.iter().filter_map(move |&bin| trace.get(bin).copied())
            })
        };
        let n = (responses.n_trials() * bins.len()) as f64;
        let mean = each().sum::<f64>() / n;
        let deviation = (each().map(|value| (value - mean) * (value - mean)).sum::<f64>() / n).sqrt();
        let largest = each().fold(0.0, |largest: f64, value| largest.max(value.abs()));
        // Rounding leaves a constant trace a deviation of some ulps of its values.
        Scale { mean, deviation: (deviation > 1e-13 * largest).then_some(deviation) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, refusal, run, session};
    use proptest::prelude::*;

    fn moments(values: &[f64]) -> (f64, f64) {
        let mean = values.iter().sum::<f64>() / values.len() as f64;
        (mean, (values.iter().map(|value| (value - mean).powi(2)).sum::<f64>() / values.len() as f64).sqrt())
    }

    fn scaled(responses: &Responses, params: &[(&str, Value)]) -> Responses {
        run(&ZScore, responses, params, 0).unwrap().one("responses").unwrap()
    }

    fn of_unit(responses: &Responses, unit: usize, bins: std::ops::Range<usize>) -> Vec<f64> {
        (0..responses.n_trials()).flat_map(|trial| responses.trace(trial, unit)[bins.clone()].to_vec()).collect()
    }

    proptest! {
        #[test]
        fn each_unit_has_mean_zero_and_deviation_one_whatever_its_offset_and_scale(
            values in proptest::collection::vec(-1.0f64..1.0, 4 * 2 * 5), offset in -1e3f64..1e3, scale in 0.01f64..1e3,
        ) {
            let (one, other) = (session(&[0.0; 4], 2, values.clone(), 5), session(&[0.0; 4], 2, values.iter().map(|v| offset + scale * v).collect(), 5));
            let (one, other) = (scaled(&one, &[]), scaled(&other, &[]));
            for unit in 0..2 {
                let (mean, deviation) = moments(&of_unit(&one, unit, 0..5));
                prop_assert!(mean.abs() < 1e-12 && (deviation - 1.0).abs() < 1e-12);
            }
            for (a, b) in one.values().values().iter().zip(other.values().values()) {
                prop_assert!((a - b).abs() < 1e-6);
            }
        }
    }

    #[test]
    fn a_baseline_is_fitted_on_its_bins_only() {
        let responses = counted(4, 2, 5);
        let scaled = scaled(
            &responses,
            &[(
                "over",
                Value::Call(neuroflow_stage::Call { name: "baseline".into(), positional: vec![Value::window(-1.0, 0.5)], named: vec![] }),
            )],
        );
        let within = responses.bins_within(-1.0, 0.5).len();
        assert!((1..5).contains(&within));
        for unit in 0..2 {
            let (mean, deviation) = moments(&of_unit(&scaled, unit, 0..within));
            assert!(mean.abs() < 1e-12 && (deviation - 1.0).abs() < 1e-12);
            assert!(moments(&of_unit(&scaled, unit, 0..5)).0 > 0.01, "later bins are larger");
        }
        assert_eq!(scaled.values().unit(), Some("z"));
        assert_eq!(scaled.covariates(), responses.covariates());
    }

    #[test]
    fn a_constant_unit_is_refused_by_name_or_set_to_zero() {
        let mut values: Vec<f64> = (0..4 * 2 * 5).map(f64::from).collect();
        (0..4).for_each(|trial| values[(trial * 2 + 1) * 5..(trial * 2 + 2) * 5].fill(0.1));
        let responses = session(&[0.0; 4], 2, values, 5);
        let message = refusal(&ZScore, &responses, &[]);
        assert!(
            message.contains("1 of 2 units do not vary") && message.contains("neuron2") && message.contains("constant = zero"),
            "{message}"
        );
        let scaled = scaled(&responses, &[("constant", Value::word("zero"))]);
        assert!(of_unit(&scaled, 1, 0..5).iter().all(|value| *value == 0.0));
        assert!(of_unit(&scaled, 0, 0..5).iter().any(|value| *value != 0.0));
    }

    #[test]
    fn gaps_are_refused_and_a_session_without_trials_stays_empty() {
        let mut values = vec![0.5; 20];
        values[7] = f64::NAN;
        assert!(refusal(&ZScore, &session(&[0.0, 1.0], 2, values, 5), &[]).contains("1 values that are not finite"));
        assert_eq!(scaled(&session(&[], 2, vec![], 5), &[]).n_trials(), 0);
    }

    #[test]
    fn each_channel_of_a_recording_is_scaled_over_all_its_samples() {
        let recording = crate::testing::recording(10.0, &[vec![1.0, 3.0, 5.0, 3.0], vec![2.0; 4]]);
        let given = [("responses", crate::testing::artifact(&recording))];
        let zero = [("constant", Value::word("zero"))];
        let found: Recording = crate::testing::run_with(&ZScore, &given, &zero).unwrap().one("responses").unwrap();
        let root = 2f64.sqrt();
        assert!(found.values(0, 0..4).iter().zip([-root, 0.0, root, 0.0]).all(|(found, expected)| (found - expected).abs() < 1e-12));
        assert_eq!((found.values(1, 0..4), found.channel(0).unwrap().0.unit.as_str()), (vec![0.0; 4], "z"));
        assert!(crate::testing::said(crate::testing::run_with(&ZScore, &given, &[])).contains("1 channels do not vary: C2"));
    }
}
