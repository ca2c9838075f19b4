//! `ingest.resample`: another number of bins per second.
//!
//! For what: recordings at different rates are brought to one, or a high rate to what an analysis needs. Promises: what the new rate can't hold is
//! filtered out first, without a shift in time; the first bin keeps its time. Refuses: gaps, bins without a common step, rates whose ratio is not one
//! of whole numbers. From: `scipy.signal.resample_poly`, whose numbers these are for traces with a mean of zero.

use crate::recorded::{each_stretch, is_marks};
use crate::traces::{each_trace, sampling_rate};
use neuroflow_compute::ComputeError;
use neuroflow_compute::signal::resample_poly;
use neuroflow_compute::statistics::mean;
use neuroflow_data::{Axis, Channel, Kind, Recording, Responses, Tensor, Typed};
use neuroflow_stage::params::Hertz;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, params};

/// The stage `ingest.resample`.
pub struct Resample;

/// The largest whole number in a ratio of rates.
const MOST: u64 = 10_000;
/// How far apart a ratio of rates and one of whole numbers may be, relative to it: less than the clocks of amplifiers are apart, a third of a millisecond in an
/// hour.
const NEAR: f64 = 1e-7;
/// How many times the old rate the new one may be: it holds nothing that the old one did not.
const FASTER: usize = 100;

params! {
    /// Parameters of `ingest.resample`.
    pub struct ResampleParams {
        /// The new sampling rate.
        rate: Hertz, in 1e-6..=1e9;
    }
}

const DOC: &str = r#"Each trace, of the activity and of the animal's signals, is brought to a new sampling rate by a polyphase filter (a Kaiser window
over 10 samples of the lower rate to each side): frequencies above half the lower rate are removed first. Its mean is taken off before and added again
after, so that its ends are not pulled to zero; the ends, some 10 samples of the lower rate wide, are still estimates.

Each stretch of a recording is resampled by itself and keeps the time of its first sample; of channels of marks (role `trig`) the nearest samples are kept.

The new bins start at the time of the first bin. The rates must be to each other as whole numbers up to 10 000, such as 250 Hz and 100 Hz, or within
1e-7 of that, as nearly all are (600.615 Hz and 200 Hz).
A rate above 100 times the old one is refused: nothing new is in it, only more of it.

Not for: spike counts, which are summed into wider bins and not filtered.

```nf
pipeline slower "Half the sampling rate"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
slower = ingest.resample(responses, rate = 8 Hz)
report slower { slower }
```"#;

impl Stage for Resample {
    type Params = ResampleParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.resample",
            version: 1,
            summary: "Changes the sampling rate of each trace.",
            doc: DOC,
            inputs: vec![InputSpec::one(
                "responses",
                &[Kind::Responses, Kind::Recording],
                "",
                "The activity of one session, or a recording.",
            )],
            outputs: vec![OutputSpec::like("responses", "responses", Kind::Responses, "", "The activity at the new rate.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &ResampleParams, context: &Context) -> Result<Outputs, StageError> {
        let new = params.rate.0;
        let given = inputs.artifact("responses").ok_or_else(|| StageError::Bug("input `responses` was not given".into()))?;
        if given.kind() == Kind::Recording {
            return Outputs::new().with("responses", of_recording(&Recording::from_artifact(given)?, new, context)?);
        }
        let responses = Responses::from_artifact(given)?;
        let old = sampling_rate(&responses)?;
        let (up, down) = steps(&responses.session, old, new, responses.values().values().len())?;
        let first = responses.bin_times().first().copied().unwrap_or(0.0);
        let bins = (responses.n_bins() * up).div_ceil(down);
        let axis = Axis::numbers(
            "bin",
            responses.values().axes().get(2).and_then(|axis| axis.unit.as_deref()),
            (0..bins).map(|bin| first + bin as f64 / new).collect(),
        );
        let resampled = |tensor: &Tensor| -> Result<Tensor, StageError> {
            let values = each_trace(&responses.session, tensor, context, |trace| about_mean(trace, up, down))?;
            let mut axes = tensor.axes().to_vec();
            axes[2] = axis.clone();
            Ok(Tensor::new(axes, tensor.unit(), values)?)
        };
        let covariates = responses.covariates().map(resampled).transpose()?;
        Outputs::new().with("responses", responses.with_values(resampled(responses.values())?, covariates)?)
    }
}

/// A trace at `up / down` times its rate, its mean taken off before and added after.
fn about_mean(trace: &[f64], up: usize, down: usize) -> Result<Vec<f64>, ComputeError> {
    let centre = mean(trace);
    let centred: Vec<f64> = trace.iter().map(|value| value - centre).collect();
    Ok(resample_poly(&centred, up, down)?.into_iter().map(|value| value + centre).collect())
}

/// A recording at another rate, each stretch from its own first sample. Of channels of marks, the nearest samples are kept.
fn of_recording(recording: &Recording, new: f64, context: &Context) -> Result<Recording, StageError> {
    let mut ratios = Vec::with_capacity(recording.len());
    for place in 0..recording.len() {
        let Some((channel, samples)) = recording.channel(place) else { continue };
        ratios.push(steps(&recording.session, channel.rate, new, samples.len())?);
    }
    let work = |place: usize, channel: &Channel, _: usize, values: &[f64]| {
        let (up, down) = ratios.get(place).copied().unwrap_or((1, 1));
        if !is_marks(channel) {
            return about_mean(values, up, down);
        }
        let nearest = |sample: usize| values.get(((sample * down + up / 2) / up).min(values.len().saturating_sub(1))).copied();
        Ok((0..(values.len() * up).div_ceil(down)).filter_map(nearest).collect())
    };
    each_stretch(recording, context, work, |channel| channel.rate = new)
}

/// By what a rate goes up and down; refuses rates that are not to each other as small whole numbers, and far higher ones.
fn steps(session: &str, old: f64, new: f64, values: usize) -> Result<(usize, usize), StageError> {
    let Some((up, down)) = ratio(new / old) else {
        return Err(StageError::refused_with_help(
            format!("session `{session}`: {new} Hz and its {old} Hz are not to each other as whole numbers up to {MOST}"),
            format!("choose a rate that is a simple part or multiple of it, such as {} Hz", old / (old / new).round().max(1.0)),
        ));
    };
    if up > FASTER * down {
        return Err(StageError::refused_with_help(
            format!(
                "session `{session}`: {new} Hz is more than {FASTER} times its {old} Hz; a higher rate shows nothing new, and would take {:.1} GB",
                8e-9 * values as f64 * (up as f64 / down as f64)
            ),
            format!("choose a rate of at most {} Hz", FASTER as f64 * old),
        ));
    }
    Ok((up, down))
}

/// The whole numbers that are to each other as the rates, by continued fractions: the smallest that are within 1e-9 of it, else the best within [`NEAR`].
fn ratio(value: f64) -> Option<(usize, usize)> {
    let (mut before, mut now) = ((0u64, 1u64), (1u64, 0u64));
    let mut rest = value;
    let apart = |(up, down): (u64, u64)| (up as f64 / down as f64 - value).abs() / value;
    for _ in 0..40 {
        let whole = rest.floor();
        if !(0.0..=MOST as f64).contains(&whole) {
            break;
        }
        let next = (whole as u64 * now.0 + before.0, whole as u64 * now.1 + before.1);
        if next.0 > MOST || next.1 > MOST {
            break;
        }
        (before, now) = (now, next);
        if now.0 > 0 && apart(now) <= 1e-9 {
            break;
        }
        rest = 1.0 / (rest - whole);
    }
    let found = now.0 > 0 && now.1 > 0 && apart(now) <= NEAR;
    found.then_some((usize::try_from(now.0).ok()?, usize::try_from(now.1).ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, refusal, run, session};
    use neuroflow_stage::{Dimension, Quantity, Value};
    use std::f64::consts::TAU;

    fn to(value: f64) -> [(&'static str, Value); 1] {
        [("rate", Value::Quantity(Quantity { value, dimension: Dimension::Frequency }))]
    }

    #[test]
    fn each_stretch_of_a_recording_keeps_its_time_at_the_new_rate() {
        let sine = |n: usize| (0..n).map(|at| 3.0 + (TAU * 0.2 * at as f64 / 8.0).sin()).collect::<Vec<f64>>();
        let recording = crate::testing::with_pauses(8.0, &[[sine(401), sine(200)].concat()], &[(0, 0.0), (401, 90.0)]);
        let given = [("responses", crate::testing::artifact(&recording))];
        let found: Recording = crate::testing::run_with(&Resample, &given, &to(4.0)).unwrap().one("responses").unwrap();
        let (channel, samples) = found.channel(0).unwrap();
        assert_eq!((channel.rate, samples.len(), channel.stretches[1].first, channel.stretches[1].time), (4.0, 301, 201, 90.0));
        for at in 30..170 {
            assert!((found.values(0, at..at + 1)[0] - (3.0 + (TAU * 0.2 * at as f64 / 4.0).sin())).abs() < 5e-3, "{at}");
        }
        assert!(crate::testing::said(crate::testing::run_with(&Resample, &given, &to(4.0 * 0.999_999))).contains("whole numbers"));
    }

    #[test]
    fn a_slow_sine_stays_the_same_at_any_rate_with_its_offset_and_its_times() {
        let sine = |time: f64| 7.0 + (TAU * 0.2 * (time + 0.25)).sin();
        let values: Vec<f64> = (0..400).map(|bin| sine(-0.25 + 0.25 * f64::from(bin))).collect();
        for rate in [2.0, 4.0, 6.0, 10.0] {
            let found: Responses =
                run(&Resample, &session(&[0.0], 1, values.clone(), 400), &to(rate), 0).unwrap().one("responses").unwrap();
            assert_eq!((found.sampling_rate().unwrap(), found.bin_times()[0]), (rate, -0.25));
            assert_eq!(found.n_bins(), (100.0 * rate) as usize);
            for (time, value) in found.bin_times().iter().zip(found.trace(0, 0)).filter(|(time, _)| (10.0..85.0).contains(*time)) {
                assert!((value - sine(*time)).abs() < 5e-3, "{rate} {time}: {value}");
            }
        }
    }

    #[test]
    fn signals_of_the_animal_come_along_and_the_same_rate_changes_nothing() {
        let responses = counted(3, 2, 40);
        let found: Responses = run(&Resample, &responses, &to(2.0), 0).unwrap().one("responses").unwrap();
        assert_eq!((found.n_bins(), found.covariates().unwrap().shape()), (20, vec![3, 2, 20]));
        let same: Responses = run(&Resample, &responses, &to(4.0), 0).unwrap().one("responses").unwrap();
        let close = same.values().values().iter().zip(responses.values().values()).all(|(found, value)| (found - value).abs() < 1e-9);
        assert!(close && same.bin_times() == responses.bin_times());
    }

    #[test]
    fn ratios_are_those_of_whole_numbers() {
        for (value, expected) in
            [(0.5, (1, 2)), (100.0 / 250.0, (2, 5)), (1000.0 / 3.0 / 250.0, (4, 3)), (441.0 / 480.0, (147, 160)), (3.0, (3, 1))]
        {
            assert_eq!(ratio(value), Some(expected));
        }
        // Nearly all rates are near enough to such a ratio; those far apart are not.
        for value in [200.0 / 600.614990234375, 100.0 / 512.3f32 as f64, std::f64::consts::PI] {
            let (up, down) = ratio(value).unwrap();
            assert!((up as f64 / down as f64 / value - 1.0).abs() <= NEAR && up.max(down) <= MOST as usize, "{value}: {up} {down}");
        }
        assert_eq!((ratio(1e-6), ratio(12_345.678), ratio(0.999_999), ratio(f64::NAN), ratio(0.0)), (None, None, None, None, None));
        assert!(refusal(&Resample, &counted(1, 1, 40), &to(4.0 / 1e6)).contains("not to each other as whole numbers"));
        let absurd = refusal(&Resample, &counted(2, 3, 40), &to(404.0));
        assert!(absurd.contains("404 Hz is more than 100 times its 4 Hz"), "{absurd}");
        assert!(absurd.contains("choose a rate of at most 400 Hz"), "{absurd}");
        assert!(refusal(&Resample, &counted(1, 1, 1), &to(4.0)).contains("a sampling rate needs two"));
    }
}
