//! `ingest.deconvolve`: the strength of spikes from fluorescence.
//!
//! For what: calcium outlasts spikes by far; deconvolved traces tell when cells were active. Promises: the sparsest non-negative spikes that explain a trace up to
//! its noise, or those of a given penalty; each stretch between pauses by itself. Refuses: short stretches, traces without variation, values that are not
//! finite. From: OASIS (Friedrich, Zhou & Paninski 2017), as in CaImAn; with `penalty = 0, baseline = 0` the deconvolution of Suite2p.

use crate::recorded::{as_stored, each_channel, rebuilt, stretches};
use neuroflow_compute::ComputeError;
use neuroflow_compute::deconvolution::{Decay, Deconvolved, Offset, Sparsity, decay_coefficients, deconvolve, noise_from_spectrum};
use neuroflow_data::{Channel, Kind, Recording, Samples, Table, columns};
use neuroflow_stage::{
    Auto, Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Seconds, Signature, Stage, StageError, Value, params, words,
};

/// The stage `ingest.deconvolve`.
pub struct Deconvolve;

words! {
    /// How calcium answers a spike.
    pub enum Model {
        /// It jumps, and decays exponentially.
        Ar1 = "ar1" {
            /// The time constant of the decay.
            decay: Auto<Seconds> = Value::word("auto");
        },
        /// It rises and decays, both exponentially: for indicators that are slow against the sampling rate. Takes ten times as long.
        Ar2 = "ar2" {
            /// The time constant of the decay; to be given together with `rise`.
            decay: Auto<Seconds> = Value::word("auto");
            /// The time constant of the rise, shorter than that of the decay.
            rise: Auto<Seconds> = Value::word("auto");
        },
    }
}

params! {
    /// Parameters of `ingest.deconvolve`.
    pub struct DeconvolveParams {
        /// How calcium answers a spike; `auto` estimates its coefficients from the autocovariance of each stretch.
        model: Model = Value::word("ar1");
        /// The penalty on the sum of spikes, in the unit of the trace; `auto` is that at which the noise is left unexplained.
        penalty: Auto<f64> = Value::word("auto"), in 0.0..=1e12;
        /// The standard deviation of the noise; `auto` estimates it from the spectrum above a quarter of the sampling rate.
        noise: Auto<f64> = Value::word("auto"), in 0.0..=1e12;
        /// What the trace stands on; `auto` finds it together with the penalty, so a given penalty needs a given baseline.
        baseline: Auto<f64> = Value::word("auto"), in -1e12..=1e12;
        /// The smallest spike, for `ar1` with a given penalty; 0 allows any.
        least: f64 = 0.0, in 0.0..=1e12;
        /// What estimated decays are multiplied by, per sample; below 1 it corrects their bias towards slowness.
        fudge: f64 = 0.98, in 0.5..=1.0;
    }
}

const DOC: &str = r#"Each trace is taken as a baseline, calcium and white noise; calcium decays, and jumps (`ar1`) or rises (`ar2`) with each spike. `spikes` holds the
strength of spikes by sample, `calcium` the trace without noise and baseline, both in the unit of the trace; `parameters` has a row for each channel and
stretch: coefficients of decay, noise, baseline, penalty. The first sample of a stretch is never a spike: what is there was there before.

The strengths are relative: without recordings of the cell's membrane nobody knows what one spike looks like. Their times are good to a sample or two. Where
activity is dense, estimated decays come out too long; give the indicator's (`ar1(decay = 700 ms)` for GCaMP6s, 250 ms for GCaMP6f in mouse cortex).

`ar1(decay = …)` with `penalty = 0, baseline = 0` after `ingest.dff` (`maximin`) is what Suite2p does.

```nf
pipeline spiking "When cells were active"
session = ingest.simulate_signals()
active = ingest.deconvolve(session.fluorescence)
report spiking { active }
```"#;

impl Stage for Deconvolve {
    type Params = DeconvolveParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.deconvolve",
            version: 1,
            summary: "Finds the strength of spikes by sample in traces of calcium.",
            doc: DOC,
            inputs: vec![InputSpec::one(
                "fluorescence",
                &[Kind::Recording],
                "channel × sample",
                "Fluorescence or ΔF/F₀; channels are cells.",
            )],
            outputs: vec![
                OutputSpec::new("spikes", Kind::Recording, "channel × sample", "The strength of spikes."),
                OutputSpec::new("calcium", Kind::Recording, "channel × sample", "The trace without noise and baseline."),
                OutputSpec::new("parameters", Kind::Table, "", "What was estimated, for each channel and stretch."),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &DeconvolveParams, context: &Context) -> Result<Outputs, StageError> {
        let recording: Recording = inputs.one("fluorescence")?;
        if matches!(params.penalty, Auto::Given(_)) && params.baseline == Auto::Auto {
            return Err(StageError::refused_with_help(
                "a given `penalty` does not tell the baseline from slow calcium",
                "give the baseline too: `baseline = 0` for traces whose baseline was taken off, as `ingest.dff` does",
            ));
        }
        if params.least > 0.0 && (params.penalty == Auto::Auto || matches!(params.model, Model::Ar2 { .. })) {
            return Err(StageError::refused_with_help(
                "`least` works for `model = ar1` with a given penalty only",
                "give `penalty = 0` and a `baseline`, or leave `least` at 0",
            ));
        }
        let one = |place: usize| -> Result<Channels, StageError> {
            let (channel, stored) = recording.channel(place).ok_or_else(|| StageError::Bug(format!("there is no channel {place}")))?;
            let mut found = Found::default();
            for (number, range) in stretches(channel, stored.len()).into_iter().enumerate().filter(|(_, range)| !range.is_empty()) {
                let values = recording.values(place, range);
                let (decay, noise, deconvolved) =
                    trace(&values, channel.rate, params).map_err(|error| crate::recorded::in_channel(&recording, place, number, error))?;
                found.push(&channel.name, number, channel.rate, decay, noise, deconvolved);
            }
            let plain = Channel { gain: 1.0, offset: 0.0, ..channel.clone() };
            let (spikes, calcium) =
                (as_stored(stored, std::mem::take(&mut found.spikes)), as_stored(stored, std::mem::take(&mut found.calcium)));
            Ok(Channels { spikes: (plain.clone(), spikes), calcium: (plain, calcium), rows: found.rows })
        };
        let channels = each_channel(recording.len(), context, one)?;
        let (mut spikes, mut calcium, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for channel in channels {
            spikes.push(channel.spikes);
            calcium.push(channel.calcium);
            rows.extend(channel.rows);
        }
        Outputs::new()
            .with("spikes", rebuilt(&recording, spikes)?)?
            .with("calcium", rebuilt(&recording, calcium)?)?
            .with("parameters", table(&rows)?)
    }
}

/// What one channel gives.
struct Channels {
    spikes: (Channel, Samples),
    calcium: (Channel, Samples),
    rows: Vec<Row>,
}

#[derive(Default)]
struct Found {
    spikes: Vec<f64>,
    calcium: Vec<f64>,
    rows: Vec<Row>,
}

/// A row of the table of parameters.
struct Row {
    channel: String,
    stretch: usize,
    coefficients: [f64; 2],
    decay: f64,
    noise: f64,
    baseline: f64,
    penalty: f64,
}

impl Found {
    fn push(&mut self, channel: &str, stretch: usize, rate: f64, decay: Decay, noise: f64, deconvolved: Deconvolved) {
        let (coefficients, slow) = match decay {
            Decay::First(g) => ([g, 0.0], g),
            Decay::Second(first, second) => ([first, second], 0.5 * (first + (first * first + 4.0 * second).max(0.0).sqrt())),
        };
        self.rows.push(Row {
            channel: channel.to_owned(),
            stretch,
            coefficients,
            decay: -1.0 / (slow.ln() * rate),
            noise,
            baseline: deconvolved.baseline,
            penalty: deconvolved.penalty,
        });
        self.spikes.extend(deconvolved.spikes);
        self.calcium.extend(deconvolved.calcium);
    }
}

fn table(rows: &[Row]) -> Result<Table, neuroflow_data::DataError> {
    let numbers = |name: &str, of: fn(&Row) -> f64| columns::from_numbers(name, rows.iter().map(of).collect());
    Table::from_columns(vec![
        columns::from_texts("channel", &rows.iter().map(|row| row.channel.as_str()).collect::<Vec<_>>()),
        columns::from_integers("stretch", rows.iter().map(|row| i64::try_from(row.stretch).unwrap_or(i64::MAX)).collect()),
        numbers("g1", |row| row.coefficients[0]),
        numbers("g2", |row| row.coefficients[1]),
        numbers("decay", |row| row.decay),
        numbers("noise", |row| row.noise),
        numbers("baseline", |row| row.baseline),
        numbers("penalty", |row| row.penalty),
    ])
}

/// Noise and decay as given or estimated, and the spikes of a stretch.
fn trace(values: &[f64], rate: f64, params: &DeconvolveParams) -> Result<(Decay, f64, Deconvolved), ComputeError> {
    let noise = match params.noise {
        Auto::Given(noise) => noise,
        Auto::Auto => noise_from_spectrum(values)?,
    };
    // The share that is left after one sample.
    let kept = |time: &Seconds| (-1.0 / (time.0 * rate)).exp();
    let decay = match &params.model {
        Model::Ar1 { decay: Auto::Given(decay) } => Decay::First(kept(decay)),
        Model::Ar1 { decay: Auto::Auto } => decay_coefficients(values, 1, noise, params.fudge)?,
        Model::Ar2 { decay: Auto::Auto, rise: Auto::Auto } => decay_coefficients(values, 2, noise, params.fudge)?,
        Model::Ar2 { decay: Auto::Given(decay), rise: Auto::Given(rise) } if rise.0 < decay.0 => {
            Decay::Second(kept(decay) + kept(rise), -kept(decay) * kept(rise))
        }
        Model::Ar2 { .. } => {
            let reason = "`ar2` takes `decay` and a shorter `rise` together, or estimates both";
            return Err(ComputeError::Value { operation: "deconvolution", reason: reason.into() });
        }
    };
    let offset = if let Auto::Given(baseline) = params.baseline { Offset::Known(baseline) } else { Offset::Free };
    let sparsity = match params.penalty {
        Auto::Given(lambda) => Sparsity::Penalty { lambda, least: params.least },
        Auto::Auto => Sparsity::Noise(noise),
    };
    Ok((decay, noise, deconvolve(values, decay, offset, sparsity)?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{artifact, recording, run_with, said, with_pauses};

    fn run(recording: &Recording, params: &[(&str, Value)]) -> Result<Outputs, StageError> {
        run_with(&Deconvolve, &[("fluorescence", artifact(recording))], params)
    }

    fn spikes(n: usize) -> Vec<f64> {
        (0..n).map(|at| if at % 29 == 7 || at % 41 == 11 { 1.0 } else { 0.0 }).collect()
    }

    /// Calcium of those spikes on a baseline, without noise.
    fn calcium(spikes: &[f64], g: f64, baseline: f64) -> Vec<f64> {
        let mut now = 0.0;
        spikes
            .iter()
            .map(|spike| {
                now = g * now + spike;
                baseline + now
            })
            .collect()
    }

    #[test]
    fn spikes_without_noise_come_back_as_they_were_in_each_stretch() {
        let truth = spikes(300);
        let halves = [calcium(&truth[..150], 0.9, 0.0), calcium(&truth[150..], 0.9, 0.0)].concat();
        let recording = with_pauses(10.0, &[halves], &[(0, 0.0), (150, 100.0)]);
        let decay = Value::seconds(-1.0 / (10.0 * 0.9f64.ln()));
        let params = [("model", Value::call("ar1", vec![("decay", decay)])), ("penalty", 0.into()), ("baseline", 0.into())];
        let outputs = run(&recording, &params).unwrap();
        let found: Recording = outputs.one("spikes").unwrap();
        for (at, (found, truth)) in found.values(0, 0..300).iter().zip(&truth).enumerate().filter(|(at, _)| at % 150 > 0) {
            assert!((found - truth).abs() < 1e-9, "{at}: {found} {truth}");
        }
        let table: Table = outputs.one("parameters").unwrap();
        assert_eq!((table.rows(), table.integers("stretch").unwrap()), (2, vec![0, 1]));
        assert!(table.numbers("g1").unwrap().iter().all(|g| (g - 0.9).abs() < 1e-12));
        assert!((table.numbers("decay").unwrap()[0] - 0.949).abs() < 1e-3);
        assert_eq!(found.channels().next().unwrap().stretches, recording.channels().next().unwrap().stretches);
    }

    #[test]
    fn noise_baseline_and_decay_are_found() {
        let mut state = 1u64;
        let mut noise = || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            ((state >> 33) as f64 / f64::from(1u32 << 31) - 0.5) * 0.2 * 12f64.sqrt()
        };
        let truth = spikes(3000);
        let values: Vec<f64> = calcium(&truth, 0.93, 4.0).into_iter().map(|value| value + noise()).collect();
        let recording = recording(30.0, &[values]);
        for model in ["ar1", "ar2"] {
            let outputs = run(&recording, &[("model", Value::word(model))]).unwrap();
            let found: Recording = outputs.one("spikes").unwrap();
            let smooth = |values: &[f64]| neuroflow_compute::signal::gaussian_smoothed(values, 1.0).unwrap();
            let r = neuroflow_compute::statistics::pearson(&smooth(&found.values(0, 0..3000)), &smooth(&truth)).unwrap();
            assert!(r > 0.85, "{model}: {r}");
            let table: Table = outputs.one("parameters").unwrap();
            let of = |name: &str| table.numbers(name).unwrap()[0];
            assert!((of("noise") - 0.2).abs() < 0.06, "{model}: {}", of("noise"));
            // oasis-deconv 0.3.2 on the same trace: g = 0.80703308, sn = 0.24500409, b = 4.585286. Overlapping calcium raises the baseline there as here.
            if model == "ar1" {
                assert!(
                    (of("noise") - 0.245_004_09).abs() < 1e-7 && (of("g1") - 0.807_033_08).abs() < 1e-7,
                    "{} {}",
                    of("noise"),
                    of("g1")
                );
                assert!((of("baseline") - 4.585_286).abs() < 2e-3, "{}", of("baseline"));
            }
        }
    }

    #[test]
    fn settings_that_do_not_go_together_are_refused() {
        let recording = recording(10.0, &[calcium(&spikes(100), 0.9, 0.0)]);
        let refused = |params: &[(&str, Value)]| said(run(&recording, params));
        assert!(refused(&[("penalty", 0.into())]).contains("give the baseline too"));
        assert!(refused(&[("least", 0.5.into())]).contains("`least` works for `model = ar1`"));
        let half = Value::call("ar2", vec![("decay", Value::seconds(1.0))]);
        assert!(refused(&[("model", half)]).contains("takes `decay` and a shorter `rise` together"));
        let flat = crate::testing::recording(10.0, &[vec![2.0; 100]]);
        assert!(said(run(&flat, &[])).contains("session `recorded`, channel `C1`: "));
    }
}
