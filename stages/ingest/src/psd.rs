//! `ingest.psd`: power by frequency.
//!
//! For what: which rhythms a session has, and how much power each trial has in given bands. Promises: densities whose sum times the distance of
//! frequencies is the variance. Refuses: gaps, bins without a common step, trials that are shorter than a segment, bands without a frequency. From:
//! Welch's method as `scipy.signal.welch`, multitaper as MNE-Python's `psd_array_multitaper`.

use crate::recorded::{Common, each_channel, in_channel, is_marks};
use crate::traces::{each_trace, refused, sampling_rate};
use neuroflow_compute::signal::{Multitaper, Spectrum, Welch, band_power};
use neuroflow_data::{Axis, Kind, Recording, Responses, Tensor, Typed};
use neuroflow_stage::params::{Hertz, Seconds};
use neuroflow_stage::{
    Context, Dimension, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Quantity, Signature, Stage, StageError, Value, params, words,
};

/// The stage `ingest.psd`.
pub struct Psd;

words! {
    /// How power is estimated.
    pub enum Method {
        /// The mean over segments that overlap by half, under a Hann window, each segment's mean taken off.
        Welch = "welch" {
            /// The length of a segment; its inverse is the distance of frequencies.
            segment: Seconds = Value::seconds(1.0), in 1e-6..=1e6;
        },
        /// The mean over Slepian tapers of the whole trial.
        Multitaper = "multitaper" {
            /// The full width in hertz over which power is smoothed.
            bandwidth: Hertz = Quantity { value: 4.0, dimension: Dimension::Frequency }, in 1e-6..=1e6;
            /// Weigh tapers at each frequency by how little leaks into them from elsewhere (Thomson 1982): for spectra that fall over orders of
            /// magnitude. Needs three tapers, a bandwidth of two or more cycles over the trial.
            adaptive: bool = false;
        },
    }
}

params! {
    /// Parameters of `ingest.psd`.
    pub struct PsdParams {
        /// How power is estimated.
        method: Method = Value::word("welch");
        /// The bands whose power is summed, half-open; the default are δ, θ, α, β and γ of the EEG.
        bands: Vec<std::ops::Range<Hertz>> = default_bands();
        /// Divide each trace's band powers by their sum.
        relative: bool = false;
    }
}

fn default_bands() -> Value {
    let hertz = |value| Box::new(Value::Quantity(Quantity { value, dimension: Dimension::Frequency }));
    let bands = [(1.0, 4.0), (4.0, 8.0), (8.0, 12.0), (12.0, 30.0), (30.0, 80.0)];
    Value::List(bands.map(|(low, high)| Value::Range(hertz(low), hertz(high))).into())
}

const DOC: &str = r#"`spectrum` is the power spectral density of each unit, in the squared unit of the activity per hertz, mean over trials. `bands`
is the power of each trial and unit in each band: the sum of the density times the distance of frequencies. Of a recording, units are channels and each
stretch between pauses is what a trial is of responses; it weighs in the mean by its length.

`welch` averages over segments and so needs trials of several segments; `multitaper` uses the whole of short trials. The numbers are those of
`scipy.signal.welch` and of MNE-Python's `psd_array_multitaper`.

A power that follows the stimulus in time adds to the spectrum as well as a rhythm does: subtract each condition's mean first to see the rhythm alone.

```nf
pipeline rhythms "Power by frequency"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
power = ingest.psd(responses, bands = [1 Hz .. 4 Hz, 4 Hz .. 8 Hz])
report rhythms { power }
```"#;

impl Stage for Psd {
    type Params = PsdParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.psd",
            version: 1,
            summary: "Measures power by frequency and in bands.",
            doc: DOC,
            inputs: vec![InputSpec::one(
                "responses",
                &[Kind::Responses, Kind::Recording],
                "",
                "The activity of one session, or a recording.",
            )],
            outputs: vec![
                OutputSpec::new("spectrum", Kind::Tensor, "unit × frequency", "Power spectral density, mean over trials."),
                OutputSpec::new("bands", Kind::Tensor, "trial × unit × band", "Power in each band."),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &PsdParams, context: &Context) -> Result<Outputs, StageError> {
        let given = inputs.artifact("responses").ok_or_else(|| StageError::Bug("input `responses` was not given".into()))?;
        if given.kind() == Kind::Recording {
            return of_recording(&Recording::from_artifact(given)?, params, context);
        }
        let responses = Responses::from_artifact(given)?;
        let rate = sampling_rate(&responses)?;
        let session = responses.session.as_str();
        if responses.n_trials() == 0 {
            return Err(StageError::refused(format!("session `{session}` has no trials")));
        }
        let estimator = Estimator::of(params, responses.n_bins(), rate).map_err(|error| refused(session, error))?;
        let frequencies = estimator.frequencies();
        check_bands(session, params, rate, &frequencies)?;
        let densities =
            each_trace(session, responses.values(), context, |trace| estimator.spectrum(trace).map(|spectrum| spectrum.density))?;
        let axes = responses.values().axes();
        let weights = vec![1.0 / responses.n_trials() as f64; responses.n_trials()];
        outputs(&axes[0], &axes[1], &frequencies, &densities, &weights, responses.values().unit(), params)
    }
}

/// A recording: each stretch is what a trial is of responses, and weighs in the mean spectrum by its length.
fn of_recording(recording: &Recording, params: &PsdParams, context: &Context) -> Result<Outputs, StageError> {
    let session = recording.session.as_str();
    let signals: Vec<usize> = recording.channels().enumerate().filter(|(_, channel)| !is_marks(channel)).map(|(place, _)| place).collect();
    let common = Common::of(recording, &signals)?;
    let stretches: Vec<std::ops::Range<usize>> = common.stretches().into_iter().filter(|range| !range.is_empty()).collect();
    if stretches.is_empty() {
        return Err(StageError::refused(format!("session `{session}` has no samples")));
    }
    if let (Method::Multitaper { .. }, true) = (&params.method, stretches.len() > 1) {
        return Err(StageError::refused_with_help(
            format!("session `{session}` has {} stretches of different lengths, whose tapers have different frequencies", stretches.len()),
            "use `method = welch`",
        ));
    }
    let longest = stretches.iter().map(std::ops::Range::len).max().unwrap_or(0);
    let estimator = Estimator::of(params, longest, common.rate).map_err(|error| refused(session, error))?;
    let frequencies = estimator.frequencies();
    check_bands(session, params, common.rate, &frequencies)?;
    let one = |place: usize| -> Result<Vec<Vec<f64>>, StageError> {
        let channel = signals.get(place).copied().unwrap_or(0);
        let of = |(number, range): (usize, &std::ops::Range<usize>)| {
            let spectrum = estimator.spectrum(&recording.values(channel, range.clone()));
            spectrum.map(|spectrum| spectrum.density).map_err(|error| in_channel(recording, channel, number, error))
        };
        stretches.iter().enumerate().map(of).collect()
    };
    let channels = each_channel(signals.len(), context, one)?;
    let densities: Vec<f64> =
        (0..stretches.len()).flat_map(|stretch| channels.iter().filter_map(move |own| own.get(stretch)).flatten().copied()).collect();
    let samples: usize = stretches.iter().map(std::ops::Range::len).sum();
    let weights: Vec<f64> = stretches.iter().map(|range| range.len() as f64 / samples as f64).collect();
    let trials = Axis::count("trial", stretches.len());
    outputs(&trials, &common.unit_axis(recording, &signals), &frequencies, &densities, &weights, common.unit.as_deref(), params)
}

/// Refuses bands beyond half the sampling rate, or between two frequencies.
fn check_bands(session: &str, params: &PsdParams, rate: f64, frequencies: &[f64]) -> Result<(), StageError> {
    for band in &params.bands {
        if band.end.0 > rate / 2.0 {
            return Err(StageError::refused_with_help(
                format!(
                    "session `{session}`: the band {} Hz .. {} Hz passes {} Hz, half of its sampling rate, above which it knows nothing",
                    band.start.0,
                    band.end.0,
                    rate / 2.0
                ),
                "give `bands` that end there at the latest",
            ));
        }
        if !frequencies.iter().any(|frequency| (band.start.0..band.end.0).contains(frequency)) {
            let step = frequencies.get(1).copied().unwrap_or(0.0);
            return Err(StageError::refused_with_help(
                format!(
                    "session `{session}`: the band {} Hz .. {} Hz has no frequency: they reach from 0 Hz to {} Hz in steps of {step} Hz",
                    band.start.0,
                    band.end.0,
                    rate / 2.0
                ),
                "give `bands` that the sampling rate and the length of a segment can resolve",
            ));
        }
    }
    Ok(())
}

/// The mean spectrum and the powers of densities `[trial × unit × frequency]`.
fn outputs(
    trials: &Axis,
    units: &Axis,
    frequencies: &[f64],
    densities: &[f64],
    weights: &[f64],
    unit: Option<&str>,
    params: &PsdParams,
) -> Result<Outputs, StageError> {
    let (n_units, n) = (units.len(), frequencies.len());
    let mut mean = vec![0.0; n_units * n];
    let mut powers = Vec::with_capacity(trials.len() * n_units * params.bands.len());
    for (trace, density) in densities.chunks_exact(n).enumerate() {
        let (trial, unit) = (trace / n_units, trace % n_units);
        let weight = weights.get(trial).copied().unwrap_or(0.0);
        mean[unit * n..(unit + 1) * n].iter_mut().zip(density).for_each(|(sum, value)| *sum += value * weight);
        let spectrum = Spectrum { frequencies: frequencies.to_vec(), density: density.to_vec() };
        let of_trace: Vec<f64> = params.bands.iter().map(|band| band_power(&spectrum, band.start.0, band.end.0)).collect();
        let whole = if params.relative { of_trace.iter().sum() } else { 1.0 };
        // A trace without any power has no shares either: each counts as 0.
        powers.extend(of_trace.into_iter().map(|power| if whole > 0.0 { power / whole } else { 0.0 }));
    }
    let square = unit.map(|unit| format!("({unit})²"));
    let density_unit = square.as_ref().map(|unit| format!("{unit}/Hz"));
    let labels = params.bands.iter().map(|band| format!("{}–{} Hz", band.start.0, band.end.0)).collect();
    let axes = vec![units.clone(), Axis::numbers("frequency", Some("Hz"), frequencies.to_vec())];
    let spectrum = Tensor::new(axes, density_unit.as_deref(), mean)?;
    let power_unit = if params.relative { None } else { square.as_deref() };
    let bands = Tensor::new(vec![trials.clone(), units.clone(), Axis::labels("band", labels)], power_unit, powers)?;
    Outputs::new().with("spectrum", spectrum)?.with("bands", bands)
}

/// Either method.
enum Estimator {
    Welch(Welch),
    Multitaper(Multitaper),
}

impl Estimator {
    fn of(params: &PsdParams, samples: usize, rate: f64) -> Result<Estimator, neuroflow_compute::ComputeError> {
        match &params.method {
            Method::Welch { segment } => Welch::new((segment.0 * rate).round() as usize, rate).map(Estimator::Welch),
            Method::Multitaper { bandwidth, adaptive } => {
                let plain = Multitaper::new(samples, rate, bandwidth.0);
                if *adaptive { plain.and_then(Multitaper::adaptive) } else { plain }.map(Estimator::Multitaper)
            }
        }
    }

    fn frequencies(&self) -> Vec<f64> {
        match self {
            Estimator::Welch(welch) => welch.frequencies(),
            Estimator::Multitaper(multitaper) => multitaper.frequencies(),
        }
    }

    fn spectrum(&self, trace: &[f64]) -> Result<Spectrum, neuroflow_compute::ComputeError> {
        match self {
            Estimator::Welch(welch) => welch.spectrum(trace),
            Estimator::Multitaper(multitaper) => multitaper.spectrum(trace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, refusal, run, session};
    use std::f64::consts::TAU;

    fn bands(edges: &[(f64, f64)]) -> (&'static str, Value) {
        let hertz = |value| Box::new(Value::Quantity(Quantity { value, dimension: Dimension::Frequency }));
        ("bands", Value::List(edges.iter().map(|(low, high)| Value::Range(hertz(*low), hertz(*high))).collect()))
    }

    #[test]
    fn a_planted_rhythm_has_its_power_in_its_band_and_unit() {
        // Two trials, two units at 4 Hz: unit 2 has 0.5 Hz of amplitude 3, unit 1 has 1.5 Hz of amplitude 1.
        let sine =
            |amplitude: f64, frequency: f64| (0..160).map(move |bin| 5.0 + amplitude * (TAU * frequency * f64::from(bin) / 4.0).sin());
        let values: Vec<f64> = (0..2).flat_map(|_| sine(1.0, 1.5).chain(sine(3.0, 0.5))).collect();
        let responses = session(&[0.0, 45.0], 2, values, 160);
        for method in [
            Value::call("welch", vec![("segment", Value::seconds(10.0))]),
            Value::call("multitaper", vec![("bandwidth", default_hertz(0.2))]),
            Value::call("multitaper", vec![("bandwidth", default_hertz(0.2)), ("adaptive", true.into())]),
        ] {
            let params = [("method", method.clone()), bands(&[(0.2, 0.8), (1.2, 1.8)])];
            let outputs = run(&Psd, &responses, &params, 0).unwrap();
            let power: Tensor = outputs.one("bands").unwrap();
            for (found, expected) in power.values().iter().zip([0.0, 0.5, 4.5, 0.0].repeat(2)) {
                assert!((found - expected).abs() < 0.1 * expected.max(0.2), "{method}: {found} {expected}");
            }
            let spectrum: Tensor = outputs.one("spectrum").unwrap();
            spectrum.require_axes(&["unit", "frequency"]).unwrap();
            let peak = |unit: usize| {
                let row = spectrum.row(unit);
                let best = (0..row.len()).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
                spectrum.axes()[1].coordinates.label(best).parse::<f64>().unwrap()
            };
            assert!((peak(0) - 1.5).abs() < 0.11 && (peak(1) - 0.5).abs() < 0.11, "{} {}", peak(0), peak(1));
            let shares: Tensor =
                run(&Psd, &responses, &[params[0].clone(), params[1].clone(), ("relative", true.into())], 0).unwrap().one("bands").unwrap();
            assert!(shares.values().chunks(2).all(|pair| (pair[0] + pair[1] - 1.0).abs() < 1e-12));
        }
    }

    #[test]
    fn a_recording_is_a_trial_for_each_stretch() {
        let sine = |n: usize, amplitude: f64| (0..n).map(move |at| amplitude * (TAU * 0.5 * at as f64 / 4.0).sin()).collect::<Vec<f64>>();
        let recording = crate::testing::with_pauses(4.0, &[[sine(160, 3.0), sine(80, 1.0)].concat()], &[(0, 0.0), (160, 90.0)]);
        let given = [("responses", crate::testing::artifact(&recording))];
        let params = [("method", Value::call("welch", vec![("segment", Value::seconds(10.0))])), bands(&[(0.2, 0.8)])];
        let outputs = crate::testing::run_with(&Psd, &given, &params).unwrap();
        let power: Tensor = outputs.one("bands").unwrap();
        assert_eq!((power.shape(), power.unit()), (vec![2, 1, 1], Some("(uV)²")));
        assert!((power.values()[0] - 4.5).abs() < 0.05 && (power.values()[1] - 0.5).abs() < 0.05, "{:?}", power.values());
        let spectrum: Tensor = outputs.one("spectrum").unwrap();
        let all: f64 = spectrum.values().iter().sum::<f64>() * 0.1;
        assert!((all - (4.5 * 160.0 + 0.5 * 80.0) / 240.0).abs() < 0.05, "{all}");
        let tapers = [("method", Value::word("multitaper")), bands(&[(0.2, 0.8)])];
        assert!(crate::testing::said(crate::testing::run_with(&Psd, &given, &tapers)).contains("use `method = welch`"));
    }

    fn default_hertz(value: f64) -> Value {
        Value::Quantity(Quantity { value, dimension: Dimension::Frequency })
    }

    #[test]
    fn bands_and_segments_that_are_impossible_are_refused() {
        let message = refusal(&Psd, &counted(2, 2, 40), &[]);
        assert!(message.contains("the band 1 Hz .. 4 Hz passes 2 Hz, half of its sampling rate"), "{message}");
        let narrow = refusal(&Psd, &counted(2, 2, 40), &[bands(&[(0.2, 0.3)])]);
        assert!(narrow.contains("the band 0.2 Hz .. 0.3 Hz has no frequency: they reach from 0 Hz to 2 Hz in steps of"), "{narrow}");
        let long = ("method", Value::call("welch", vec![("segment", Value::seconds(20.0))]));
        assert!(refusal(&Psd, &counted(2, 2, 40), &[long, bands(&[(1.0, 2.0)])]).contains("40 samples, a segment 80"));
        let narrow = ("method", Value::call("multitaper", vec![("bandwidth", default_hertz(0.01))]));
        assert!(refusal(&Psd, &counted(2, 2, 40), &[narrow, bands(&[(1.0, 2.0)])]).contains("bandwidth"));
        assert!(refusal(&Psd, &session(&[], 1, vec![], 40), &[bands(&[(1.0, 2.0)])]).contains("no trials"));
        let flat: Tensor = run(&Psd, &session(&[0.0], 1, vec![2.0; 40], 40), &[bands(&[(1.0, 2.0)]), ("relative", true.into())], 0)
            .unwrap()
            .one("bands")
            .unwrap();
        assert_eq!(flat.values(), [0.0]);
        let none: Tensor = run(&Psd, &counted(2, 2, 40), &[bands(&[])], 0).unwrap().one("bands").unwrap();
        assert_eq!(none.shape(), [2, 2, 0]);
    }
}
