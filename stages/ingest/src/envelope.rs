//! `ingest.envelope`: the amplitude of a rhythm over time.
//!
//! For what: how strong a band of frequencies is at every moment of each trial. Promises: no shift in time. Refuses: gaps, bins without a common
//! step, a band beyond half the sampling rate, trials that are too short. From: `scipy.signal`: `butter`, `sosfiltfilt`, `hilbert`.

use crate::traces::{each_trace, refused, sampling_rate};
use neuroflow_compute::signal::{Band, analytic_signal, butterworth};
use neuroflow_data::{Kind, Responses, Tensor};
use neuroflow_stage::params::Hertz;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params, words};

/// The stage `ingest.envelope`.
pub struct Envelope;

words! {
    /// What is given for every bin.
    pub enum Strength {
        /// The amplitude, in the unit of the activity.
        Amplitude = "amplitude" {},
        /// The squared amplitude; half of it is the mean power of the rhythm.
        Power = "power" {},
        /// The natural logarithm of the squared amplitude; an amplitude of zero counts as the least positive number.
        LogPower = "log_power" {},
    }
}

params! {
    /// Parameters of `ingest.envelope`.
    pub struct EnvelopeParams {
        /// The band of frequencies.
        band: std::ops::Range<Hertz>;
        /// What is given for every bin.
        strength: Strength = Value::word("amplitude");
        /// The order of the Butterworth filter, run forwards and backwards.
        order: usize = 4, in 1.0..=20.0;
    }
}

const DOC: &str = r#"Each trace is filtered to the band without a shift in time and made an analytic signal (Hilbert transform), whose magnitude is
the amplitude of the rhythm at each bin.

A band that is narrow against its middle gives an amplitude that means one rhythm; its course can't change faster than the band is wide. What lies
within a few cycles of the ends of a trial is an estimate: cut trials wider than the window that is analysed.

```nf
pipeline rhythm "The amplitude of 2 to 6 Hz"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
rhythm = ingest.envelope(responses, band = 2 Hz .. 6 Hz)
report rhythm { rhythm }
```"#;

impl Stage for Envelope {
    type Params = EnvelopeParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.envelope",
            version: 1,
            summary: "Gives the amplitude of a band of frequencies over time.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity of one session.")],
            outputs: vec![OutputSpec::new("responses", Kind::Responses, "trial × unit × bin", "The amplitude, or power, in the band.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &EnvelopeParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let rate = sampling_rate(&responses)?;
        let session = responses.session.as_str();
        let band = Band::Pass(params.band.start.0, params.band.end.0);
        let filter = butterworth(params.order, band, rate).map_err(|error| refused(session, error))?;
        let values = each_trace(session, responses.values(), context, |trace| {
            let analytic = analytic_signal(&filter.zero_phase(trace)?)?;
            Ok(analytic
                .into_iter()
                .map(|value| match params.strength {
                    Strength::Amplitude {} => value.norm(),
                    Strength::Power {} => value.norm_sqr(),
                    Strength::LogPower {} => value.norm_sqr().max(f64::MIN_POSITIVE).ln(),
                })
                .collect())
        })?;
        let unit = responses.values().unit();
        let unit = match params.strength {
            Strength::Amplitude {} => unit.map(str::to_owned),
            Strength::Power {} => unit.map(|unit| format!("({unit})²")),
            Strength::LogPower {} => unit.map(|unit| format!("ln ({unit})²")),
        };
        let strength = Tensor::new(responses.values().axes().to_vec(), unit.as_deref(), values)?;
        Outputs::new().with("responses", responses.with_values(strength, responses.covariates().cloned())?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, refusal, run, session};
    use neuroflow_stage::{Dimension, Quantity};
    use std::f64::consts::TAU;

    fn band(low: f64, high: f64) -> (&'static str, Value) {
        let hertz = |value| Box::new(Value::Quantity(Quantity { value, dimension: Dimension::Frequency }));
        ("band", Value::Range(hertz(low), hertz(high)))
    }

    #[test]
    fn a_rhythm_that_grows_has_the_envelope_that_was_planted() {
        let amplitude = |bin: usize| 1.0 + 0.01 * bin as f64;
        let values = (0..300).map(|bin| 50.0 + amplitude(bin) * (TAU * 0.5 * bin as f64 / 4.0).sin()).collect();
        let responses = session(&[0.0], 1, values, 300);
        for (strength, of) in [("amplitude", (|x| x) as fn(f64) -> f64), ("power", |x| x * x), ("log_power", |x| (x * x).ln())] {
            let params = [band(0.3, 0.8), ("strength", Value::word(strength))];
            let found: Responses = run(&Envelope, &responses, &params, 0).unwrap().one("responses").unwrap();
            for bin in 50..250 {
                let (found, expected) = (found.trace(0, 0)[bin], of(amplitude(bin)));
                assert!((found - expected).abs() < 0.03 * expected.abs().max(1.0), "{strength} {bin}: {found} {expected}");
            }
        }
    }

    #[test]
    fn a_band_that_is_none_is_refused() {
        let message = refusal(&Envelope, &counted(1, 1, 60), &[band(0.5, 3.0)]);
        assert!(message.contains("0.5 Hz and 3 Hz") && message.contains("half the sampling rate, 2 Hz"), "{message}");
        assert!(refusal(&Envelope, &counted(1, 1, 20), &[band(0.5, 1.0)]).contains("needs more than 27"));
    }
}
