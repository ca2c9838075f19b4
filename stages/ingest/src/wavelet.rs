//! `ingest.wavelet`: power, amplitude or phase over time and frequency.
//!
//! For what: which rhythms rise and fall when in a trial, and whether their phase is the same in every trial. Promises: no shift in time; power of
//! single trials beside the mean over trials. Refuses: gaps, bins without a common step, wavelets longer than a trial, frequencies beyond half the
//! sampling rate, baselines without power where power is divided by them. From: Morlet wavelets as MNE-Python's `tfr_morlet` with `zero_mean`;
//! consistency of phases: Tallon-Baudry et al. 1996 (J Neurosci 16:4240).

use crate::traces::{refused, sampling_rate};
use crate::window::bins_in;
use neuroflow_compute::parallel::map_in_order;
use neuroflow_compute::signal::{Complex, Morlet, morlet_transform};
use neuroflow_compute::statistics::{mean, standard_deviation};
use neuroflow_compute::with_threads;
use neuroflow_data::{Axis, Coordinates, Kind, Responses, Tensor};
use neuroflow_stage::params::{Either, Hertz};
use neuroflow_stage::{
    Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, TimeWindow, Value, params, words,
};

/// The stage `ingest.wavelet`.
pub struct Wavelet;

words! {
    /// What is measured at every frequency and bin.
    pub enum Measure {
        /// The squared magnitude of the transform, in the squared unit of the activity.
        Power = "power" {},
        /// The magnitude, in the unit of the activity.
        Amplitude = "amplitude" {},
        /// The angle in radians, −π to π; that of the mean over trials is the angle of the summed unit vectors.
        Phase = "phase" {},
    }
}

words! {
    /// How a course is set against a window in which nothing happens, at each frequency by itself.
    pub enum Baseline {
        /// It is left as it is.
        None = "none" {},
        /// Minus the window's mean.
        Subtract = "subtract" {
            /// The window, from stimulus onset.
            window: TimeWindow = Value::window(-1.0, 0.0);
        },
        /// Divided by the window's mean.
        Ratio = "ratio" {
            /// The window, from stimulus onset.
            window: TimeWindow = Value::window(-1.0, 0.0);
        },
        /// Ten times the logarithm to base 10 of the ratio; a value of zero counts as the least positive number.
        Decibel = "decibel" {
            /// The window, from stimulus onset.
            window: TimeWindow = Value::window(-1.0, 0.0);
        },
        /// Minus the window's mean, over the standard deviation (n) of its bins.
        ZScore = "zscore" {
            /// The window, from stimulus onset.
            window: TimeWindow = Value::window(-1.0, 0.0);
        },
    }
}

params! {
    /// Parameters of `ingest.wavelet`.
    pub struct WaveletParams {
        /// The frequencies, one wavelet each.
        frequencies: Vec<Hertz>;
        /// How many cycles a wavelet has, for all or for each frequency: more resolve frequencies better and times worse.
        cycles: Either<f64, Vec<f64>> = 7.0, in 0.1..=1000.0;
        /// What is measured.
        measure: Measure = Value::word("power");
        /// What it is compared with.
        baseline: Baseline = Value::word("none");
    }
}

const DOC: &str = r#"Each trace is convolved with a Morlet wavelet of each frequency: `cycles` oscillations under a Gaussian, whose standard deviation is
cycles / (2π frequency) seconds. Seven cycles at 10 Hz see 0.11 s and 1.4 Hz (one standard deviation); `cycles = [3, 6, 12]` gives each frequency its own.

`average` is the mean over trials; `consistency` is the length of the mean unit vector of the phases, 0 to 1 (inter-trial coherence). `responses` has
every trial, a unit of the input at a frequency being a unit of the output, such as `Cz 10 Hz`, with the property `frequency`: decoders and tests take it.

A `baseline` is taken of each trial in `responses`, and of the mean over trials in `average`, as MNE-Python does. The mean of ratios of single trials
is drawn up by trials with little power in the window: read `average` for the size of an effect.

Not for: the ends of a trial. Beyond them the signal counts as zero, and what lies within half a wavelet of an end (five standard deviations) is too low:
cut trials wider than the window that is analysed. Consistency of few trials is large by chance, about 1 / √n: compare conditions at equal numbers.
What follows the stimulus in every trial has power and consistency without being a rhythm.

```nf
pipeline rhythms "Power at 4 and 6 Hz over time"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
rhythms = ingest.wavelet(responses, frequencies = [4 Hz, 6 Hz], cycles = 2, baseline = decibel)
report rhythms { rhythms }
```"#;

impl Stage for Wavelet {
    type Params = WaveletParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.wavelet",
            version: 1,
            summary: "Measures power, amplitude or phase over time and frequency.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity of one session.")],
            outputs: vec![
                OutputSpec::new("average", Kind::Tensor, "unit × frequency × bin", "The mean over trials."),
                OutputSpec::new("consistency", Kind::Tensor, "unit × frequency × bin", "How alike the phases of the trials are, 0 to 1."),
                OutputSpec::new("responses", Kind::Responses, "trial × unit × bin", "Every trial; each frequency of a unit is a unit."),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &WaveletParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let rate = sampling_rate(&responses)?;
        let session = responses.session.as_str();
        let (n_trials, n_units, n_bins) = (responses.n_trials(), responses.n_units(), responses.n_bins());
        if n_trials == 0 {
            return Err(StageError::refused(format!("session `{session}` has no trials")));
        }
        let wavelets = wavelets(session, params, rate)?;
        let baseline = Reference::of(&responses, params)?;
        let course = wavelets.len() * n_bins;
        let (mut average, mut consistency) = (Vec::with_capacity(n_units * course), Vec::with_capacity(n_units * course));
        let mut single = vec![0.0; n_trials * n_units * course];
        for unit in 0..n_units {
            context.cancel.check()?;
            let transform = |trial: usize| match context.cancel.is_cancelled() {
                true => Ok(Vec::new()),
                false => morlet_transform(responses.trace(trial, unit), &wavelets),
            };
            let transforms =
                with_threads(context.threads, || map_in_order(n_trials, transform)).map_err(|error| refused(session, error))?;
            context.cancel.check()?;
            let mut sum = vec![0.0; course];
            let mut direction = vec![Complex::new(0.0, 0.0); course];
            for (trial, transform) in transforms.into_iter().enumerate() {
                let transform: Vec<Complex<f64>> = transform.map_err(|error| refused(session, error))?.into_iter().flatten().collect();
                for (sum, value) in direction.iter_mut().zip(&transform) {
                    let length = value.norm();
                    // A transform of exactly zero has no phase and points nowhere.
                    *sum += if length > 0.0 { value / length } else { Complex::new(0.0, 0.0) };
                }
                let mut values: Vec<f64> = transform.iter().map(|value| measured(&params.measure, *value)).collect();
                sum.iter_mut().zip(&values).for_each(|(sum, value)| *sum += value);
                baseline.apply(&mut values, n_bins, |frequency| place(&responses, unit, params, frequency, Some(trial)))?;
                let at = (trial * n_units + unit) * course;
                single[at..at + course].copy_from_slice(&values);
            }
            let mut mean: Vec<f64> = match params.measure {
                Measure::Phase {} => direction.iter().map(|value| value.arg()).collect(),
                Measure::Power {} | Measure::Amplitude {} => sum.iter().map(|sum| sum / n_trials as f64).collect(),
            };
            baseline.apply(&mut mean, n_bins, |frequency| place(&responses, unit, params, frequency, None))?;
            average.extend(mean);
            // Rounding must not carry a length past 1.
            consistency.extend(direction.iter().map(|value| (value.norm() / n_trials as f64).min(1.0)));
        }
        let unit = unit_of(responses.values().unit(), params);
        let frequency = Axis::numbers("frequency", Some("Hz"), params.frequencies.iter().map(|frequency| frequency.0).collect());
        let [trials, units, bins] = [0, 1, 2].map(|axis| responses.values().axes()[axis].clone());
        let axes = vec![units.clone(), frequency, bins.clone()];
        let single = Tensor::new(vec![trials, at_frequencies(&units, params), bins], unit.as_deref(), single)?;
        Outputs::new()
            .with("average", Tensor::new(axes.clone(), unit.as_deref(), average)?)?
            .with("consistency", Tensor::new(axes, None, consistency)?)?
            .with("responses", responses.with_values(single, responses.covariates().cloned())?)
    }
}

fn wavelets(session: &str, params: &WaveletParams, rate: f64) -> Result<Vec<Morlet>, StageError> {
    let n = params.frequencies.len();
    let cycles = match &params.cycles {
        Either::Left(cycles) => vec![*cycles; n],
        Either::Right(cycles) => cycles.clone(),
    };
    if n == 0 || cycles.len() != n {
        return Err(StageError::refused_with_help(
            format!("session `{session}`: {n} frequencies and {} numbers of cycles", cycles.len()),
            "give at least one frequency, and one number of `cycles` for all or as many as there are frequencies",
        ));
    }
    let one = |(frequency, cycles): (&Hertz, f64)| Morlet::new(frequency.0, cycles, rate).map_err(|error| refused(session, error));
    params.frequencies.iter().zip(cycles).map(one).collect()
}

fn measured(measure: &Measure, value: Complex<f64>) -> f64 {
    match measure {
        Measure::Power {} => value.norm_sqr(),
        Measure::Amplitude {} => value.norm(),
        Measure::Phase {} => value.arg(),
    }
}

/// Where a course comes from, for refusals: frequencies are counted from 0, and so are trials.
fn place(responses: &Responses, unit: usize, params: &WaveletParams, frequency: usize, trial: Option<usize>) -> String {
    let trials = trial.map_or_else(|| "the mean over trials".to_owned(), |trial| format!("trial {trial} (counted from 0)"));
    let hertz = params.frequencies.get(frequency).map_or(f64::NAN, |frequency| frequency.0);
    format!("session `{}`: {trials} of unit `{}` at {hertz} Hz", responses.session, responses.units().coordinates.label(unit))
}

/// A baseline with its bins.
struct Reference<'a> {
    baseline: &'a Baseline,
    bins: Vec<usize>,
}

impl<'a> Reference<'a> {
    fn of(responses: &Responses, params: &'a WaveletParams) -> Result<Reference<'a>, StageError> {
        let bins = match &params.baseline {
            Baseline::None {} => Vec::new(),
            Baseline::Subtract { window } | Baseline::Ratio { window } | Baseline::Decibel { window } | Baseline::ZScore { window } => {
                bins_in(responses, window)?
            }
        };
        if let (Measure::Phase {}, false) = (&params.measure, bins.is_empty()) {
            return Err(StageError::refused_with_help(
                format!("session `{}`: a phase is an angle and has no baseline", responses.session),
                "leave `baseline` out, or give `measure = power`",
            ));
        }
        Ok(Reference { baseline: &params.baseline, bins })
    }

    /// Sets the course of each frequency `[frequency × bin]` against its own baseline.
    fn apply(&self, values: &mut [f64], n_bins: usize, place: impl Fn(usize) -> String) -> Result<(), StageError> {
        for (frequency, course) in values.chunks_exact_mut(n_bins).enumerate() {
            let before: Vec<f64> = self.bins.iter().map(|&bin| course[bin]).collect();
            let above_zero = |value: f64, what: &str| match value > 0.0 {
                true => Ok(value),
                false => Err(StageError::refused_with_help(
                    format!("{}: {what} in the baseline is {value}, and nothing can be divided by it", place(frequency)),
                    "choose a window with activity, or `baseline = subtract`",
                )),
            };
            match self.baseline {
                Baseline::None {} => {}
                Baseline::Subtract { .. } => {
                    let level = mean(&before);
                    course.iter_mut().for_each(|value| *value -= level);
                }
                Baseline::Ratio { .. } => {
                    let level = above_zero(mean(&before), "the mean")?;
                    course.iter_mut().for_each(|value| *value /= level);
                }
                Baseline::Decibel { .. } => {
                    let level = above_zero(mean(&before), "the mean")?;
                    course.iter_mut().for_each(|value| *value = 10.0 * (*value / level).max(f64::MIN_POSITIVE).log10());
                }
                Baseline::ZScore { .. } => {
                    let (level, deviation) = (mean(&before), above_zero(standard_deviation(&before, 0), "the standard deviation")?);
                    course.iter_mut().for_each(|value| *value = (*value - level) / deviation);
                }
            }
        }
        Ok(())
    }
}

fn unit_of(unit: Option<&str>, params: &WaveletParams) -> Option<String> {
    match (&params.baseline, &params.measure) {
        (Baseline::Decibel { .. }, _) => Some("dB".into()),
        (Baseline::Ratio { .. } | Baseline::ZScore { .. }, _) => None,
        (Baseline::None {} | Baseline::Subtract { .. }, Measure::Power {}) => unit.map(|unit| format!("({unit})²")),
        (Baseline::None {} | Baseline::Subtract { .. }, Measure::Amplitude {}) => unit.map(str::to_owned),
        (_, Measure::Phase {}) => Some("rad".into()),
    }
}

/// The units of the output: each unit at each frequency, with what is known of the unit.
fn at_frequencies(units: &Axis, params: &WaveletParams) -> Axis {
    let n = params.frequencies.len();
    let hertz: Vec<f64> = (0..units.len()).flat_map(|_| params.frequencies.iter().map(|frequency| frequency.0)).collect();
    let labels = hertz.iter().enumerate().map(|(at, hertz)| format!("{} {hertz} Hz", units.coordinates.label(at / n))).collect();
    let mut axis = units.select(&(0..units.len() * n).map(|at| at / n).collect::<Vec<_>>());
    axis.coordinates = Coordinates::Labels(labels);
    axis.unit = None;
    // A transform of a transform: the frequency is that of the last one.
    axis.properties.retain(|(name, _)| name != "frequency");
    axis.with_property("frequency", Coordinates::Numbers(hertz))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, refusal, run, session};
    use neuroflow_stage::{Dimension, Quantity};
    use std::f64::consts::TAU;

    fn frequencies(hertz: &[f64]) -> (&'static str, Value) {
        let one = |value: &f64| Value::Quantity(Quantity { value: *value, dimension: Dimension::Frequency });
        ("frequencies", Value::List(hertz.iter().map(one).collect()))
    }

    fn cycles(cycles: &[f64]) -> (&'static str, Value) {
        ("cycles", Value::List(cycles.iter().map(|cycles| Value::Number(*cycles)).collect()))
    }

    fn against(mode: &str) -> (&'static str, Value) {
        ("baseline", Value::call(mode, vec![("window", Value::window(10.0, 15.0))]))
    }

    /// Three trials of two units at 4 Hz, with a rhythm whose phase is the same in every trial in the first unit only.
    fn rhythms() -> Responses {
        let trace = |trial: f64, unit: f64, bin: f64| {
            (TAU * 0.5 * bin / 4.0 + 0.9 * trial * unit).sin() * (1.0 + 0.01 * bin)
                + 0.5 * (TAU * 1.2 * bin / 4.0 + trial * trial).cos()
                + 0.1 * trial
        };
        let values = (0..720).map(|at| trace(f64::from(at / 240), f64::from(at / 120 % 2), f64::from(at % 120))).collect();
        session(&[0.0, 45.0, 90.0], 2, values, 120)
    }

    /// Unit, frequency and bin of the reference's numbers.
    const POINTS: [[usize; 3]; 4] = [[0, 0, 40], [0, 1, 60], [1, 0, 75], [1, 1, 80]];

    fn at_points(tensor: &Tensor) -> Vec<f64> {
        POINTS.iter().map(|[unit, frequency, bin]| tensor.row(*unit)[frequency * 120 + bin]).collect()
    }

    /// Of trial 2: a unit at a frequency is a unit.
    fn single_at_points(responses: &Responses) -> Vec<f64> {
        POINTS.iter().map(|[unit, frequency, bin]| responses.trace(2, unit * 2 + frequency)[*bin]).collect()
    }

    #[track_caller]
    fn alike(what: &str, found: &[f64], expected: [f64; 4]) {
        for (found, expected) in found.iter().zip(expected) {
            assert!((found - expected).abs() <= 1e-9 * expected.abs().max(1.0), "{what}: {found} {expected}");
        }
    }

    #[test]
    fn power_consistency_phases_and_baselines_are_those_of_mne() {
        // `tfr_array_morlet([0.5, 1.2], n_cycles=[2, 4], zero_mean=True)` and `mne.baseline.rescale` of MNE-Python 1.13.2.
        let of = |more: &[(&'static str, Value)]| {
            let params = [vec![frequencies(&[0.5, 1.2]), cycles(&[2.0, 4.0])], more.to_vec()].concat();
            run(&Wavelet, &rhythms(), &params, 0).unwrap()
        };
        let plain = of(&[]);
        let average: Tensor = plain.one("average").unwrap();
        average.require_axes(&["unit", "frequency", "bin"]).unwrap();
        let power = [9.619045875297907, 0.9967527854417911, 14.507268657473617, 0.852470240366467];
        alike("power", &at_points(&average), power);
        let consistency = [0.9999878624337405, 0.27010121896409267, 0.759276496300648, 0.41662168016888873];
        alike("consistency", &at_points(&plain.one("consistency").unwrap()), consistency);
        let single: Responses = plain.one("responses").unwrap();
        alike("one trial", &single_at_points(&single), [9.72630410811283, 0.6745911451213733, 14.233012897823585, 0.6408984672021285]);
        let phase: Responses = of(&[("measure", Value::word("phase"))]).one("responses").unwrap();
        alike("phase", &single_at_points(&phase), [-1.5767060222358977, -2.440320661934992, 2.562747082375961, -2.107774722437567]);
        for (mode, mean, one) in [
            (
                "subtract",
                [-1.1237214646044045, 0.0278141230518546, 3.7668401966620486, -0.11676044073159608],
                [-1.0217878909136466, -0.306936375722182, 3.4804855276290567, -0.3696032584343194],
            ),
            (
                "ratio",
                [0.8953973935160525, 1.0287057624300486, 1.350716008249211, 0.879532867656113],
                [0.904933090356298, 0.6872870406543554, 1.3236899947148044, 0.6342378750501085],
            ),
            (
                "decibel",
                [-0.4798417417330541, 0.12291172598836383, 1.305640470122328, -0.557479265590277],
                [-0.4338353080948614, -1.6286184498278353, 1.217862861996514, -1.9774782658816303],
            ),
            (
                "zscore",
                [-1.242379457701534, 0.3591194121341714, 4.535462183236048, -0.798310979332355],
                [-1.135783592777261, -1.1682255185548696, 4.193468628235935, -1.412188821367619],
            ),
        ] {
            let outputs = of(&[against(mode)]);
            alike(mode, &at_points(&outputs.one("average").unwrap()), mean);
            alike(mode, &single_at_points(&outputs.one("responses").unwrap()), one);
        }
    }

    #[test]
    fn units_at_frequencies_keep_what_is_known_of_them() {
        let params = [frequencies(&[0.5, 1.0]), ("cycles", 2.0.into()), ("measure", Value::word("amplitude"))];
        let found: Responses = run(&Wavelet, &counted(3, 2, 60), &params, 0).unwrap().one("responses").unwrap();
        let labels: Vec<String> = (0..4).map(|unit| found.units().coordinates.label(unit)).collect();
        assert_eq!(labels, ["neuron1 0.5 Hz", "neuron1 1 Hz", "neuron2 0.5 Hz", "neuron2 1 Hz"]);
        assert_eq!(found.units().property("frequency"), Some(&Coordinates::Numbers(vec![0.5, 1.0, 0.5, 1.0])));
        assert!(found.covariate("speed").is_some() && found.sources == counted(1, 1, 1).sources);
        // Again: the frequency is that of the last transform, and stands once.
        let again: Responses = run(&Wavelet, &found, &params, 0).unwrap().one("responses").unwrap();
        assert_eq!(again.units().coordinates.label(1), "neuron1 0.5 Hz 1 Hz");
        assert_eq!(again.units().properties.len(), 1);
    }

    #[test]
    fn phases_that_are_random_are_consistent_by_chance_alone() {
        let mut stream = neuroflow_data::random::Stream::new(1);
        let n = 200;
        let values = (0..n)
            .flat_map(|_| {
                let phase = TAU * stream.uniform();
                (0..60).map(move |bin| (TAU * 0.5 * f64::from(bin) / 4.0 + phase).sin())
            })
            .collect();
        let responses = session(&vec![0.0; n], 1, values, 60);
        let found: Tensor =
            run(&Wavelet, &responses, &[frequencies(&[0.5]), ("cycles", 3.0.into())], 0).unwrap().one("consistency").unwrap();
        // The mean unit vector of n random angles has a length of about √(π / 4n) = 0.063.
        assert!(found.values()[30] < 0.2, "{}", found.values()[30]);
    }

    #[test]
    fn what_is_no_wavelet_and_no_baseline_is_refused() {
        let said = |params: &[(&str, Value)]| refusal(&Wavelet, &rhythms(), params);
        assert!(said(&[frequencies(&[])]).contains("give at least one frequency"));
        assert!(said(&[frequencies(&[0.5, 1.0]), cycles(&[2.0])]).contains("2 frequencies and 1 numbers of cycles"));
        assert!(said(&[frequencies(&[2.5])]).contains("half the sampling rate, 2 Hz"));
        assert!(said(&[frequencies(&[0.1])]).contains("use fewer cycles or a higher frequency"));
        let phase = [frequencies(&[1.0]), ("measure", Value::word("phase")), against("subtract")];
        assert!(said(&phase).contains("a phase is an angle and has no baseline"));
        let flat = session(&[0.0], 1, vec![0.0; 120], 120);
        let message = refusal(&Wavelet, &flat, &[frequencies(&[1.0]), against("ratio")]);
        assert!(message.contains("trial 0 (counted from 0) of unit `neuron1` at 1 Hz: the mean in the baseline is 0"), "{message}");
        assert!(
            refusal(&Wavelet, &flat, &[frequencies(&[1.0]), against("zscore")]).contains("the standard deviation in the baseline is 0")
        );
        assert!(refusal(&Wavelet, &session(&[], 1, vec![], 120), &[frequencies(&[1.0])]).contains("no trials"));
        // Nothing at all has no phase, and no power.
        let outputs = run(&Wavelet, &flat, &[frequencies(&[1.0])], 0).unwrap();
        for name in ["average", "consistency"] {
            assert!(outputs.one::<Tensor>(name).unwrap().values().iter().all(|value| *value == 0.0));
        }
    }
}
