//! `ingest.dff`: fluorescence as change from its baseline, ΔF/F₀.
//!
//! For what: traces of cells with different brightness are brought to one scale, slow bleaching taken off. Promises: `(F − F₀) / F₀` with a baseline that is
//! an output of its own; each stretch between pauses by itself. Refuses: a baseline that is not above zero, neuropil that does not go with the cells. From:
//! the running percentile of CaImAn and of Jia et al. (2011), and the `maximin` baseline of Suite2p (Pachitariu et al. 2017).

use crate::recorded::{as_stored, each_channel, rebuilt, stretches};
use neuroflow_compute::ComputeError;
use neuroflow_compute::signal::{gaussian_smoothed, running_maximum, running_mean, running_minimum, running_quantile};
use neuroflow_data::{Channel, Kind, Recording, Responses, Samples, Tensor, Typed};
use neuroflow_stage::params::Share;
use neuroflow_stage::{
    Context, Dimension, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Quantity, Seconds, Signature, Stage, StageError, TimeWindow,
    Value, params, words,
};

/// The stage `ingest.dff`.
pub struct Dff;

words! {
    /// What fluorescence is measured against.
    pub enum Baseline {
        /// A low percentile within a window that moves along.
        Percentile = "percentile" {
            /// The percentile.
            share: Share = Quantity { value: 0.08, dimension: Dimension::Ratio }, in 0.0..=1.0;
            /// The length of the window, centred on each sample and cut at the ends.
            window: Seconds = Value::seconds(60.0), in 1e-6..=1e9;
        },
        /// The mean within a window that moves along.
        Mean = "mean" {
            /// The length of the window, centred on each sample and cut at the ends.
            window: Seconds = Value::seconds(60.0), in 1e-6..=1e9;
        },
        /// Smoothed by a Gaussian, then the running minimum, then the running maximum of that: the floor that a trace returns to.
        Maximin = "maximin" {
            /// The length of the window, centred on each sample and cut at the ends.
            window: Seconds = Value::seconds(60.0), in 1e-6..=1e9;
            /// The standard deviation of the Gaussian.
            smooth: Seconds = Value::seconds(0.3), in 1e-9..=1e6;
        },
        /// The mean of the first seconds of each stretch.
        First = "first" {
            /// How many.
            duration: Seconds = Value::seconds(10.0), in 1e-6..=1e9;
        },
        /// The mean of a window of each trial, for responses.
        Trial = "trial" {
            /// The window, from the event, half-open.
            window: TimeWindow = Value::window(-1.0, 0.0);
        },
    }
}

params! {
    /// Parameters of `ingest.dff`.
    pub struct DffParams {
        /// What fluorescence is measured against. Responses take `trial`; recordings take the others.
        baseline: Baseline = Value::word("percentile");
        /// How much of the neuropil's fluorescence is taken off the cells' before, when neuropil is given.
        neuropil_share: f64 = 0.7, in 0.0..=10.0;
    }
}

const DOC: &str = r#"`(F − F₀) / F₀` for each channel of a recording of fluorescence, or each trial and unit of responses. With a second recording, the
fluorescence around each cell, `neuropil_share` of it is taken off first, less its own median times that share, so that the cell's level stays (a baseline near
zero would make ΔF/F₀ meaningless).

`percentile` is the default: the 8th percentile within 60 s, by linear interpolation, with windows cut at the ends. `maximin` is Suite2p's. Windows
should be several times longer than the cells' activity, and shorter than bleaching.

The output `baseline` is F₀. A baseline that is zero or below is refused: traces that were normalised or had their background taken off before are no
fluorescence, and dividing by their baseline would flip or blow up their sign.

```nf
pipeline relative "Fluorescence against its baseline"
session = ingest.simulate_signals()
relative = ingest.dff(session.fluorescence, baseline = percentile(8 %, 20 s))
report relative { relative }
```"#;

impl Stage for Dff {
    type Params = DffParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.dff",
            version: 1,
            summary: "Turns fluorescence into its change from a baseline, ΔF/F₀.",
            doc: DOC,
            inputs: vec![
                InputSpec::one(
                    "fluorescence",
                    &[Kind::Recording, Kind::Responses],
                    "",
                    "Fluorescence: a recording with a channel for each cell, or responses.",
                ),
                InputSpec::optional(
                    "neuropil",
                    &[Kind::Recording],
                    "channel × sample",
                    "The fluorescence around each cell, in the same order.",
                ),
            ],
            outputs: vec![
                OutputSpec::like("dff", "fluorescence", Kind::Recording, "", "ΔF/F₀."),
                OutputSpec::like("baseline", "fluorescence", Kind::Recording, "", "F₀, in the unit of the fluorescence."),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &DffParams, context: &Context) -> Result<Outputs, StageError> {
        let given = inputs.artifact("fluorescence").ok_or_else(|| StageError::Bug("input `fluorescence` was not given".into()))?;
        let neuropil: Option<Recording> = inputs.optional("neuropil")?;
        match given.kind() {
            Kind::Responses if neuropil.is_some() => Err(StageError::refused_with_help(
                "neuropil goes with a recording, not with responses",
                "use `ingest.dff` before trials are cut",
            )),
            Kind::Responses => of_responses(&Responses::from_artifact(given)?, params),
            _ => of_recording(&Recording::from_artifact(given)?, neuropil.as_ref(), params, context),
        }
    }
}

fn of_recording(recording: &Recording, neuropil: Option<&Recording>, params: &DffParams, context: &Context) -> Result<Outputs, StageError> {
    if let Baseline::Trial { .. } = params.baseline {
        return Err(StageError::refused_with_help("a recording has no trials", "use `percentile`, `mean`, `maximin` or `first`"));
    }
    if let Some(neuropil) = neuropil {
        goes_with(recording, neuropil)?;
    }
    let one = |place: usize| -> Result<[(Channel, Samples); 2], StageError> {
        let (channel, stored) = recording.channel(place).ok_or_else(|| StageError::Bug(format!("there is no channel {place}")))?;
        let (mut relative, mut baselines) = (Vec::with_capacity(stored.len()), Vec::with_capacity(stored.len()));
        for (number, range) in stretches(channel, stored.len()).into_iter().enumerate().filter(|(_, range)| !range.is_empty()) {
            let refused = |error| crate::recorded::in_channel(recording, place, number, error);
            let first = range.start;
            let mut values = recording.values(place, range.clone());
            if let Some(neuropil) = neuropil {
                let around = neuropil.values(place, range);
                let level = neuroflow_compute::statistics::median(&around);
                values.iter_mut().zip(around).for_each(|(value, around)| *value -= params.neuropil_share * (around - level));
            }
            let baseline = baseline_of(&values, channel.rate, &params.baseline).map_err(refused)?;
            if let Some(place) = baseline.iter().position(|value| value.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater)) {
                return Err(not_above_zero(
                    &format!("session `{}`, channel `{}`", recording.session, channel.name),
                    baseline.get(place).copied().unwrap_or(0.0),
                    &format!("{} s", channel.time_of((first + place) as u64)),
                ));
            }
            relative.extend(values.iter().zip(&baseline).map(|(value, baseline)| (value - baseline) / baseline));
            baselines.extend(baseline);
        }
        let plain = Channel { gain: 1.0, offset: 0.0, ..channel.clone() };
        let share = Channel { unit: "ΔF/F".into(), ..plain.clone() };
        Ok([(share, as_stored(stored, relative)), (plain, as_stored(stored, baselines))])
    };
    let (relative, baselines) =
        each_channel(recording.len(), context, one)?.into_iter().map(|[relative, baseline]| (relative, baseline)).unzip();
    Outputs::new().with("dff", rebuilt(recording, relative)?)?.with("baseline", rebuilt(recording, baselines)?)
}

fn goes_with(recording: &Recording, neuropil: &Recording) -> Result<(), StageError> {
    let help = "give the neuropil of the same cells in the same order";
    if neuropil.len() != recording.len() {
        let message = format!("session `{}` has {} channels, the neuropil {}", recording.session, recording.len(), neuropil.len());
        return Err(StageError::refused_with_help(message, help));
    }
    for place in 0..recording.len() {
        if let (Some((own, samples)), Some((other, around))) = (recording.channel(place), neuropil.channel(place))
            && (own.rate != other.rate || samples.len() != around.len() || own.stretches != other.stretches)
        {
            let message =
                format!("session `{}`: the neuropil of channel `{}` has other samples than the channel", recording.session, own.name);
            return Err(StageError::refused_with_help(message, help));
        }
    }
    Ok(())
}

/// F₀ of a stretch.
fn baseline_of(values: &[f64], rate: f64, baseline: &Baseline) -> Result<Vec<f64>, ComputeError> {
    // Half a window to each side: an odd number of samples.
    let half = |window: &Seconds| (0.5 * window.0 * rate).round().min(values.len() as f64) as usize;
    Ok(match baseline {
        Baseline::Percentile { share, window } => running_quantile(values, half(window), share.0)?,
        Baseline::Mean { window } => running_mean(values, half(window)),
        Baseline::Maximin { window, smooth } => {
            let smoothed = gaussian_smoothed(values, smooth.0 * rate)?;
            running_maximum(&running_minimum(&smoothed, half(window)), half(window))
        }
        Baseline::First { duration } => {
            let n = ((duration.0 * rate).round() as usize).clamp(1, values.len().max(1));
            let first = values.get(..n).unwrap_or(values);
            vec![first.iter().sum::<f64>() / first.len() as f64; values.len()]
        }
        Baseline::Trial { .. } => Vec::new(),
    })
}

fn not_above_zero(whose: &str, baseline: f64, place: &str) -> StageError {
    StageError::refused_with_help(
        format!("{whose}: the baseline is {baseline} at {place}; ΔF/F₀ divides by it, so it must be above zero"),
        "give raw fluorescence, or leave the channel out with `ingest.select`",
    )
}

fn of_responses(responses: &Responses, params: &DffParams) -> Result<Outputs, StageError> {
    let session = &responses.session;
    let Baseline::Trial { window } = &params.baseline else {
        return Err(StageError::refused_with_help(
            format!("session `{session}` has trials, whose baseline is a window of each"),
            "use `baseline = trial(-1 s .. 0 s)`, or `ingest.dff` before trials are cut",
        ));
    };
    neuroflow_stage::error::require_finite(&format!("session `{session}`"), responses.values())?;
    let bins = crate::window::bins_in(responses, window)?;
    let n = responses.n_bins();
    let (mut relative, mut baselines) = (Vec::with_capacity(responses.values().values().len()), Vec::new());
    for trial in 0..responses.n_trials() {
        for unit in 0..responses.n_units() {
            let trace = responses.trace(trial, unit);
            let baseline = bins.iter().filter_map(|&bin| trace.get(bin)).sum::<f64>() / bins.len() as f64;
            if baseline.partial_cmp(&0.0) != Some(std::cmp::Ordering::Greater) {
                let name = responses.units().coordinates.label(unit);
                return Err(not_above_zero(
                    &format!("session `{session}`, unit `{name}`"),
                    baseline,
                    &format!("trial {trial} (counted from 0)"),
                ));
            }
            relative.extend(trace.iter().map(|value| (value - baseline) / baseline));
            baselines.extend(std::iter::repeat_n(baseline, n));
        }
    }
    let axes = responses.values().axes().to_vec();
    let of = |unit: Option<&str>, values: Vec<f64>| {
        responses.with_values(Tensor::new(axes.clone(), unit, values)?, responses.covariates().cloned())
    };
    Outputs::new().with("dff", of(Some("ΔF/F"), relative)?)?.with("baseline", of(responses.values().unit(), baselines)?)
}

#[cfg(test)]
#[path = "dff_tests.rs"]
mod tests;
