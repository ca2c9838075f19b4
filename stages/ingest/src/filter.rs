//! `ingest.filter`: only some frequencies of each trace.
//!
//! For what: drift, mains hum and rhythms outside of a band are removed before power, phase or covariance is measured. Promises: no shift in time;
//! each trial is filtered by itself. Refuses: gaps, bins without a common step, edges beyond half the sampling rate, trials that are too short. From:
//! `scipy.signal` (`butter` and `sosfiltfilt`, `iirnotch`, `firwin`), whose numbers these are.

use crate::recorded::{each_stretch, is_marks};
use crate::traces::{each_trace, refused, sampling_rate};
use neuroflow_compute::ComputeError;
use neuroflow_compute::signal::{Band, Sections, butterworth, fir_window, notch, zero_phase_fir};
use neuroflow_data::{Kind, Recording, Responses, Tensor, Typed};
use neuroflow_stage::params::Hertz;
use neuroflow_stage::{
    Context, Dimension, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Quantity, Signature, Stage, StageError, Value, params, words,
};

/// The stage `ingest.filter`.
pub struct Filter;

words! {
    /// The frequencies that are kept.
    pub enum Keep {
        /// Those below an edge.
        LowPass = "low_pass" {
            /// The edge.
            edge: Hertz;
        },
        /// Those above an edge.
        HighPass = "high_pass" {
            /// The edge.
            edge: Hertz;
        },
        /// Those between two edges.
        BandPass = "band_pass" {
            /// The lower edge.
            low: Hertz;
            /// The upper edge.
            high: Hertz;
        },
        /// Those outside of two edges.
        BandStop = "band_stop" {
            /// The lower edge.
            low: Hertz;
            /// The upper edge.
            high: Hertz;
        },
        /// All but one, such as that of the mains; the filter is recursive, of order 2.
        Notch = "notch" {
            /// The frequency that is removed.
            frequency: Hertz = Quantity { value: 50.0, dimension: Dimension::Frequency };
            /// The frequency divided by the width of the notch at half power.
            quality: f64 = 30.0, in 0.1..=10000.0;
        },
    }
}

words! {
    /// The filter.
    pub enum Design {
        /// Recursive and smooth, run forwards and backwards. At the edges the amplitude is halved in all, because each run halves the power.
        Butterworth = "butterworth" {
            /// The order of the prototype; the two runs double it, and a band has twice as many poles.
            order: usize = 4, in 1.0..=20.0;
        },
        /// Of finite length under a Hamming window, run once, its delay taken off. At the edges the amplitude is halved.
        Fir = "fir" {
            /// The number of coefficients, odd: about 3.3 sampling rates over the width in hertz within which it passes from keeping to removing.
            taps: usize = 31, in 3.0..=1000001.0;
        },
    }
}

params! {
    /// Parameters of `ingest.filter`.
    pub struct FilterParams {
        /// The frequencies that are kept: `low_pass(30 Hz)`, `high_pass(1 Hz)`, `band_pass(8 Hz, 12 Hz)`, `band_stop(48 Hz, 52 Hz)`, `notch(50 Hz)`.
        keep: Keep;
        /// The filter; a notch has its own.
        design: Design = Value::word("butterworth");
    }
}

const DOC: &str = r#"Each unit's trace in each trial is filtered by itself, without a shift in time. At its ends it is continued by its point
reflection; what lies within a few cycles of an end is still an estimate, so cut trials wider than the window that is analysed. The sampling rate is
that of the bins' times, which must be evenly spaced. Signals of the animal stay as they are. Of a recording, each channel is filtered at its own rate, each
stretch between pauses by itself; channels of marks (role `trig`) stay as they are.

The numbers are those of SciPy: `butter(order, …, output="sos")` with `sosfiltfilt`, `iirnotch` with `filtfilt`, `firwin`.

Not for: spike counts and other signals whose zeros mean something; nor before an analysis of what comes first, because a filter without delay spreads
an effect backwards in time too.

```nf
pipeline slow "Slow changes only"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
slow = ingest.filter(responses, keep = low_pass(3 Hz))
report slow { slow }
```"#;

impl Stage for Filter {
    type Params = FilterParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.filter",
            version: 1,
            summary: "Keeps some frequencies of each trace, without a shift in time.",
            doc: DOC,
            inputs: vec![InputSpec::one(
                "responses",
                &[Kind::Responses, Kind::Recording],
                "",
                "The activity of one session, or a recording.",
            )],
            outputs: vec![OutputSpec::like("responses", "responses", Kind::Responses, "", "The filtered activity.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &FilterParams, context: &Context) -> Result<Outputs, StageError> {
        let given = inputs.artifact("responses").ok_or_else(|| StageError::Bug("input `responses` was not given".into()))?;
        if given.kind() == Kind::Recording {
            let recording = Recording::from_artifact(given)?;
            let filtered = each_stretch(
                &recording,
                context,
                |_, channel, _, values| {
                    if is_marks(channel) { Ok(values.to_vec()) } else { Filtering::of(params, channel.rate)?.apply(values) }
                },
                |_| {},
            )?;
            return Outputs::new().with("responses", filtered);
        }
        let responses = Responses::from_artifact(given)?;
        let rate = sampling_rate(&responses)?;
        let session = responses.session.as_str();
        let filter = Filtering::of(params, rate).map_err(|error| refused(session, error))?;
        let values = each_trace(session, responses.values(), context, |trace| filter.apply(trace))?;
        let filtered = Tensor::new(responses.values().axes().to_vec(), responses.values().unit(), values)?;
        Outputs::new().with("responses", responses.with_values(filtered, responses.covariates().cloned())?)
    }
}

/// A filter at one sampling rate.
enum Filtering {
    Recursive(Sections),
    Finite(Vec<f64>),
}

impl Filtering {
    fn of(params: &FilterParams, rate: f64) -> Result<Filtering, ComputeError> {
        let band = match &params.keep {
            Keep::LowPass { edge } => Some(Band::Low(edge.0)),
            Keep::HighPass { edge } => Some(Band::High(edge.0)),
            Keep::BandPass { low, high } => Some(Band::Pass(low.0, high.0)),
            Keep::BandStop { low, high } => Some(Band::Stop(low.0, high.0)),
            Keep::Notch { .. } => None,
        };
        match (band, &params.keep, &params.design) {
            (None, Keep::Notch { frequency, quality }, _) => Ok(Filtering::Recursive(notch(frequency.0, *quality, rate)?)),
            (Some(band), _, Design::Butterworth { order }) => Ok(Filtering::Recursive(butterworth(*order, band, rate)?)),
            (Some(band), _, Design::Fir { taps }) => Ok(Filtering::Finite(fir_window(*taps, band, rate)?)),
            (None, ..) => Err(ComputeError::Value { operation: "filter", reason: "there is neither a band nor a notch".into() }),
        }
    }

    fn apply(&self, trace: &[f64]) -> Result<Vec<f64>, ComputeError> {
        match self {
            Filtering::Recursive(filter) => filter.zero_phase(trace),
            Filtering::Finite(filter) => zero_phase_fir(filter, trace),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, refusal, run, session};
    use std::f64::consts::TAU;

    fn hertz(value: f64) -> Value {
        Value::Quantity(Quantity { value, dimension: Dimension::Frequency })
    }

    /// Two trials of two units at 4 Hz: a slow and a fast sine each, of amplitudes that tell the traces apart.
    fn rhythms(n_bins: usize) -> (Responses, Vec<f64>) {
        let slow: Vec<f64> =
            (0..4).flat_map(|trace| (0..n_bins).map(move |bin| f64::from(trace + 1) * (TAU * 0.1 * bin as f64 / 4.0).sin())).collect();
        let both = slow.iter().enumerate().map(|(place, slow)| slow + (TAU * 1.5 * (place % n_bins) as f64 / 4.0).sin()).collect();
        (session(&[0.0, 45.0], 2, both, n_bins), slow)
    }

    #[test]
    fn every_design_keeps_what_is_asked_for_of_each_trace() {
        let (responses, slow) = rhythms(200);
        for design in [Value::word("butterworth"), Value::call("fir", vec![("taps", 31.into())])] {
            for keep in [
                Value::call("low_pass", vec![("edge", hertz(0.5))]),
                Value::call("band_stop", vec![("low", hertz(0.8)), ("high", hertz(1.9))]),
            ] {
                let outputs = run(&Filter, &responses, &[("keep", keep), ("design", design.clone())], 0).unwrap();
                let found: Responses = outputs.one("responses").unwrap();
                for (place, (found, slow)) in found.values().values().iter().zip(&slow).enumerate() {
                    let bin = place % 200;
                    assert!(!(30..170).contains(&bin) || (found - slow).abs() < 0.05, "{place}: {found} {slow}");
                }
            }
        }
        for keep in [
            Value::call("high_pass", vec![("edge", hertz(0.5))]),
            Value::call("notch", vec![("frequency", hertz(0.1)), ("quality", 3.into())]),
        ] {
            let found: Responses = run(&Filter, &responses, &[("keep", keep)], 0).unwrap().one("responses").unwrap();
            let fast = found.trace(0, 0)[60..140].iter().fold(0.0f64, |largest, value| largest.max(value.abs()));
            assert!((fast - 1.0).abs() < 0.3, "{fast}");
        }
    }

    #[test]
    fn signals_of_the_animal_and_trials_stay_and_threads_change_nothing() {
        let responses = counted(3, 2, 60);
        let keep = ("keep", Value::call("low_pass", vec![("edge", hertz(1.0))]));
        let run_on = |threads| {
            let mut inputs = Inputs::new();
            inputs.push("responses", "", Typed::into_artifact(responses.clone()).unwrap());
            let context = Context { threads, ..Context::quiet(0) };
            crate::testing::run_on(&Filter, &inputs, std::slice::from_ref(&keep), &context).unwrap().one::<Responses>("responses").unwrap()
        };
        let found = run_on(1);
        assert_eq!(found, run_on(8));
        assert_eq!((found.covariates(), found.trials(), &found.sources), (responses.covariates(), responses.trials(), &responses.sources));
    }

    #[test]
    fn what_can_not_be_filtered_is_refused_in_the_users_words() {
        let low = |edge: f64| [("keep", Value::call("low_pass", vec![("edge", hertz(edge))]))];
        let message = refusal(&Filter, &counted(1, 1, 60), &low(2.0));
        assert!(message.contains("session `counted`") && message.contains("half the sampling rate, 2 Hz"), "{message}");
        let message = refusal(&Filter, &counted(1, 1, 10), &low(1.0));
        assert!(message.contains("10 samples; this filter needs more than 15"), "{message}");
        assert!(refusal(&Filter, &counted(1, 1, 1), &low(1.0)).contains("1 bins; a sampling rate needs two"));
        let mut values = vec![0.0; 60];
        values[3] = f64::NAN;
        assert!(refusal(&Filter, &session(&[0.0], 1, values, 60), &low(1.0)).contains("1 values that are not finite"));
    }

    #[test]
    fn each_stretch_of_a_recording_is_filtered_by_itself_and_marks_are_not() {
        let (responses, _) = rhythms(200);
        let halves = [responses.trace(0, 0), responses.trace(1, 1)].concat();
        let recording = crate::testing::with_pauses(4.0, &[halves.clone(), halves.clone()], &[(0, 0.0), (200, 90.0)]);
        let channels = (0..2).map(|place| {
            let (channel, samples) = recording.channel(place).unwrap();
            let role = if place == 0 { "eeg" } else { "trig" };
            (neuroflow_data::Channel { role: role.into(), ..channel.clone() }, samples.clone())
        });
        let recording = Recording::new("recorded", channels.collect()).unwrap();
        let keep = ("keep", Value::call("low_pass", vec![("edge", hertz(0.5))]));
        let given = [("responses", crate::testing::artifact(&recording))];
        let found: Recording = crate::testing::run_with(&Filter, &given, std::slice::from_ref(&keep)).unwrap().one("responses").unwrap();
        let trials: Responses = run(&Filter, &responses, &[keep], 0).unwrap().one("responses").unwrap();
        assert_eq!(found.values(0, 0..400), [trials.trace(0, 0), trials.trace(1, 1)].concat());
        assert_eq!(found.values(1, 0..400), halves);
        assert_eq!(found.channel(0).unwrap().0, recording.channel(0).unwrap().0);
        let fast = [("keep", Value::call("low_pass", vec![("edge", hertz(5.0))]))];
        let message = crate::testing::said(crate::testing::run_with(&Filter, &given, &fast));
        assert!(message.contains("session `recorded`, channel `C1`, stretch 0 (counted from 0)") && message.contains("2 Hz"), "{message}");
    }

    #[test]
    fn a_session_without_trials_or_units_stays_empty() {
        let keep = [("keep", Value::call("low_pass", vec![("edge", hertz(1.0))]))];
        for responses in [session(&[], 2, vec![], 60), session(&[0.0], 0, vec![], 60)] {
            let found: Responses = run(&Filter, &responses, &keep, 0).unwrap().one("responses").unwrap();
            assert_eq!(found, responses);
        }
    }
}
