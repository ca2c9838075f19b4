//! `connectome.coupling`: how closely the rhythms of each pair of channels keep step.
//!
//! For what: a graph of channels whose phases are locked in a band. Promises: a symmetric matrix with a zero diagonal, and the edges above a
//! threshold; nothing is shifted in time. Refuses: gaps, bins without a common step, channels without any amplitude in the band. From: Lachaux et al.
//! 1999 (phase locking), Nolte et al. 2004 (imaginary coherence), Vinck et al. 2011 (weighted phase lag), `scipy.signal` (filter, Hilbert transform,
//! Welch's coherence).

use neuroflow_compute::parallel::map_in_order;
use neuroflow_compute::signal::{
    Band, Welch, analytic_signal, butterworth, coherence, imaginary_coherence, phase_locking, weighted_phase_lag,
};
use neuroflow_compute::{ComputeError, Matrix, with_threads};
use neuroflow_data::{Edge, Graph, Kind, Responses, Tensor};
use neuroflow_stage::error::require_finite;
use neuroflow_stage::params::{Hertz, Seconds};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

words! {
    /// What is measured between two channels; all lie from 0 to 1.
    pub enum Measure {
        /// The length of the mean difference of phases: 1 for a constant difference, whatever it is. A source that reaches both channels counts.
        PhaseLocking = "phase_locking" {},
        /// Magnitude-squared coherence, mean over the frequencies of the band. A source that reaches both channels counts.
        Coherence = "coherence" {
            /// The length of a segment of Welch's method; its inverse is the distance of frequencies.
            segment: Seconds = Value::seconds(1.0), in 1e-6..=1e6;
        },
        /// The imaginary part of coherency: only what has a lag counts.
        ImaginaryCoherence = "imaginary_coherence" {},
        /// The weighted phase-lag index: how consistently one channel leads; only what has a lag counts.
        WeightedPhaseLag = "weighted_phase_lag" {},
    }
}

params! {
    /// Parameters of `connectome.coupling`.
    pub struct CouplingParams {
        /// The band of frequencies.
        band: std::ops::Range<Hertz>;
        /// What is measured between two channels.
        measure: Measure = Value::word("phase_locking");
        /// The bins that count, from stimulus onset; the filter sees the whole trial.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// The order of the Butterworth filter, run forwards and backwards; coherence has no filter.
        order: usize = 4, in 1.0..=20.0;
        /// Only coupling above this becomes an edge: a graph with every edge has no topology.
        threshold: f64 = 0.3, in 0.0..=1.0;
    }
}

/// The stage `connectome.coupling`.
pub struct Coupling;

const DOC: &str = r#"Each trace is filtered to the band and made an analytic signal; every bin of the window in every trial is an observation of the
difference of two channels' phases. `coherence` takes Welch's segments of the window instead. Edges are pairs above `threshold`.

Potentials spread through tissue, so neighbouring channels share sources and are locked without any coupling: compare `phase_locking` with a measure
that only counts lags. A response that follows the stimulus locks phases too. Few observations give large values by chance: compare with
`circular_shift`, which keeps each channel's own rhythm.

```nf
pipeline locked "Which units keep step at 1 to 4 Hz?"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
coupling = connectome.coupling(responses, band = 1 Hz .. 4 Hz)
report locked { coupling }
```"#;

impl Stage for Coupling {
    type Params = CouplingParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "connectome.coupling",
            version: 1,
            summary: "Measures how closely the rhythms of each pair of channels keep step.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity; units are channels.")],
            outputs: vec![
                OutputSpec::new("affinity", Kind::Graph, "", "The channels and the edges above the threshold."),
                OutputSpec::new("matrix", Kind::Tensor, "unit × unit", "The coupling of every pair; zero on the diagonal."),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: vec![
                ControlSite { control: "circular_shift", at: SiteAt::Input("responses") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &CouplingParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        require_finite(&format!("session {}", responses.session), responses.values())?;
        context.cancel.check()?;
        let bins = responses.bins_within(params.window.start.0, params.window.end.0);
        if bins.is_empty() || responses.n_trials() == 0 {
            let (start, end) = (params.window.start.0, params.window.end.0);
            let message = format!(
                "session {}: {} trials, {} bins in {start} s .. {end} s; at least one of each is needed",
                responses.session,
                responses.n_trials(),
                bins.len()
            );
            return Err(StageError::refused(message));
        }
        let rate = responses.sampling_rate()?;
        let matrix = with_threads(context.threads, || matrix(&responses, params, rate, &bins))
            .and_then(|matrix| matrix)
            .map_err(|error| StageError::refused(format!("session {}: {error}", responses.session)))?;
        context.cancel.check()?;
        let (n, units) = (matrix.rows(), responses.units().clone());
        let mut values = matrix.into_values();
        (0..n).for_each(|unit| values[unit * n + unit] = 0.0);
        let pairs = (0..n).flat_map(|source| (source + 1..n).map(move |target| (source, target)));
        let edges = pairs
            .map(|(source, target)| Edge { source, target, weight: values[source * n + target] })
            .filter(|edge| edge.weight > params.threshold)
            .collect();
        let name = match params.measure {
            Measure::PhaseLocking {} => "phase locking",
            Measure::Coherence { .. } => "coherence",
            Measure::ImaginaryCoherence {} => "imaginary coherence",
            Measure::WeightedPhaseLag {} => "weighted phase lag",
        };
        let graph = Graph::new(units.clone(), edges, name)?;
        Outputs::new().with("affinity", graph)?.with("matrix", Tensor::new(vec![units.clone(), units], None, values)?)
    }
}

/// The coupling of every pair.
fn matrix(responses: &Responses, params: &CouplingParams, rate: f64, bins: &[usize]) -> Result<Matrix, ComputeError> {
    let (trials, units) = (responses.n_trials(), responses.n_units());
    let band = Band::Pass(params.band.start.0, params.band.end.0);
    if let Measure::Coherence { segment } = &params.measure {
        let welch = Welch::new((segment.0 * rate).round() as usize, rate)?;
        let inside: Vec<usize> = (0..)
            .zip(welch.frequencies())
            .filter(|(_, frequency)| (params.band.start.0..params.band.end.0).contains(frequency))
            .map(|(place, _)| place)
            .collect();
        if inside.is_empty() {
            let (low, high) = (params.band.start.0, params.band.end.0);
            let reason = format!(
                "no frequency lies in {low} Hz .. {high} Hz: with segments of {} s they are {} Hz apart, up to {} Hz",
                segment.0,
                1.0 / segment.0,
                rate / 2.0
            );
            return Err(ComputeError::Value { operation: "coherence", reason });
        }
        let windows: Vec<Matrix> =
            (0..trials).map(|trial| Matrix::from_fn(units, bins.len(), |unit, place| responses.trace(trial, unit)[bins[place]])).collect();
        let by_frequency = coherence(&windows, &welch)?;
        let mut mean = Matrix::zeros(units, units);
        for place in &inside {
            mean.values_mut().iter_mut().zip(by_frequency[*place].values()).for_each(|(sum, value)| *sum += value / inside.len() as f64);
        }
        return Ok(mean);
    }
    let filter = butterworth(params.order, band, rate)?;
    let analytic = map_in_order(units, |unit| {
        let mut observations = Vec::with_capacity(trials * bins.len());
        for trial in 0..trials {
            let analytic = analytic_signal(&filter.zero_phase(responses.trace(trial, unit))?)?;
            observations.extend(bins.iter().map(|&bin| analytic[bin]));
        }
        Ok(observations)
    });
    let analytic = analytic.into_iter().collect::<Result<Vec<_>, ComputeError>>()?;
    let columns = trials * bins.len();
    let real = Matrix::new(units, columns, analytic.iter().flatten().map(|value| value.re).collect())?;
    let imaginary = Matrix::new(units, columns, analytic.iter().flatten().map(|value| value.im).collect())?;
    match params.measure {
        Measure::PhaseLocking {} => phase_locking(&real, &imaginary),
        Measure::ImaginaryCoherence {} => imaginary_coherence(&real, &imaginary),
        _ => weighted_phase_lag(&real, &imaginary),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::random::Stream;
    use neuroflow_data::{Axis, Table, Typed, columns};
    use neuroflow_stage::{AnyStage, Dimension, Quantity};
    use std::collections::BTreeMap;
    use std::f64::consts::TAU;

    /// Channels 0 and 1 share a rhythm of 10 Hz with a lag of a sixth of a cycle, 2 and 3 without a lag, 4 has its own; 200 Hz, from 0 s to 2 s, with
    /// noise.
    fn session(trials: usize) -> Responses {
        let mut stream = Stream::new(5);
        let mut values = Vec::new();
        for _ in 0..trials {
            // Phases drift, so that different rhythms do not stay in step by themselves.
            let mut drift = || {
                let mut phase = TAU * stream.uniform();
                (0..400)
                    .map(|_| {
                        phase += TAU * 10.0 / 200.0 + 0.1 * stream.normal();
                        phase
                    })
                    .collect::<Vec<f64>>()
            };
            let (first, second, third) = (drift(), drift(), drift());
            for (phases, lag) in [(&first, 0.0), (&first, TAU / 6.0), (&second, 0.0), (&second, 0.0), (&third, 0.0)] {
                values.extend(phases.iter().map(|phase| (phase - lag).sin() + 0.2 * stream.normal()));
            }
        }
        responses(trials, 5, 400, values)
    }

    fn responses(trials: usize, units: usize, bins: usize, values: Vec<f64>) -> Responses {
        let times = (0..bins).map(|bin| bin as f64 / 200.0).collect();
        let axes = vec![Axis::count("trial", trials), Axis::count("unit", units), Axis::numbers("bin", Some("s"), times)];
        let table = Table::from_columns(vec![columns::from_numbers("direction", vec![0.0; trials])]).unwrap();
        Responses::new("s", Tensor::new(axes, None, values).unwrap(), table, None).unwrap()
    }

    fn run(responses: &Responses, measure: Value, threads: usize) -> Result<Outputs, StageError> {
        let hertz = |value| Box::new(Value::Quantity(Quantity { value, dimension: Dimension::Frequency }));
        let params: BTreeMap<String, Value> =
            [("band", Value::Range(hertz(8.0), hertz(12.0))), ("measure", measure)].map(|(name, value)| (name.to_owned(), value)).into();
        let mut inputs = Inputs::new();
        inputs.push("responses", "", responses.clone().into_artifact()?);
        AnyStage::run(&Coupling, &inputs, &params, &Context { threads, ..Context::quiet(0) })
    }

    #[test]
    fn planted_pairs_are_the_edges_and_only_a_lag_counts_for_the_lagged_measures() {
        let session = session(30);
        for (measure, expected) in [
            (Value::word("phase_locking"), vec![(0, 1), (2, 3)]),
            (Value::call("coherence", vec![("segment", Value::seconds(0.5))]), vec![(0, 1), (2, 3)]),
            (Value::word("imaginary_coherence"), vec![(0, 1)]),
            (Value::word("weighted_phase_lag"), vec![(0, 1)]),
        ] {
            let outputs = run(&session, measure.clone(), 1).unwrap();
            let graph: Graph = outputs.one("affinity").unwrap();
            let edges: Vec<(usize, usize)> = graph.edges().iter().map(|edge| (edge.source, edge.target)).collect();
            assert_eq!(edges, expected, "{measure}");
            let matrix: Tensor = outputs.one("matrix").unwrap();
            for row in 0..5 {
                assert!((0..5).all(|column| matrix.row(row)[column] == matrix.row(column)[row]) && matrix.row(row)[row] == 0.0);
            }
            let other: Tensor = run(&session, measure, 8).unwrap().one("matrix").unwrap();
            assert_eq!(matrix, other);
        }
    }

    #[test]
    fn what_can_not_be_measured_is_refused() {
        let said = |responses: &Responses, measure: Value| run(responses, measure, 1).unwrap_err().to_string();
        let locking = || Value::word("phase_locking");
        assert!(said(&responses(1, 2, 400, vec![0.0; 800]), locking()).contains("channel 0 has no amplitude"));
        assert!(said(&responses(1, 2, 20, vec![0.0; 40]), locking()).contains("needs more than 27"));
        assert!(said(&responses(0, 2, 400, vec![]), locking()).contains("0 trials"));
        assert!(said(&responses(1, 1, 400, vec![f64::NAN; 400]), locking()).contains("not finite"));
        let segment = |seconds: f64| Value::call("coherence", vec![("segment", Value::seconds(seconds))]);
        assert!(said(&session(1), segment(0.02)).contains("no frequency lies in 8 Hz .. 12 Hz"));
        assert!(said(&session(1), segment(3.0)).contains("400 samples, a segment 600"));
    }
}
