//! `ingest.sample_entropy`: how unpredictable each trace is from its own recent past.
//!
//! For what: to compare the complexity of activity between conditions, states or units. Promises: the definition's own number, of each trial by
//! itself. Refuses: gaps, trials with fewer bins than a stretch and two more. From: Richman & Moorman 2000 (Am J Physiol 278:H2039).

use crate::traces::each_trace;
use neuroflow_compute::signal::sample_entropy;
use neuroflow_compute::statistics::standard_deviation;
use neuroflow_data::{Kind, Responses, Table, Tensor, columns};
use neuroflow_stage::error::require_finite;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params, words};

/// The stage `ingest.sample_entropy`.
pub struct SampleEntropy;

words! {
    /// Whose standard deviation the tolerance is a share of.
    pub enum Scale {
        /// That of each trace, in its trial: a scale of a trial's own does not matter.
        Trial = "trial" {},
        /// That of all values of the unit, in all trials: a trial that varies less is more predictable.
        Unit = "unit" {},
    }
}

params! {
    /// Parameters of `ingest.sample_entropy`.
    pub struct SampleEntropyParams {
        /// The number of bins in the stretches that are compared, m.
        length: usize = 2, in 1.0..=1000.0;
        /// How far apart two bins may be and count as alike, r: a share of a standard deviation.
        tolerance: f64 = 0.2, in 1e-6..=10.0;
        /// Which standard deviation (n).
        scale: Scale = Value::word("trial");
    }
}

const DOC: &str = r#"`−ln(A / B)`: `B` counts the pairs of different stretches of `length` bins that are alike, `A` those that are still alike a bin later.
Alike means that no bin differs by more than `tolerance` standard deviations. A trace that repeats itself has 0; noise of a normal distribution has about 2.2
at the defaults.

`units` has the mean over trials of each unit, `trials` every trial. Where no stretch is like another, or none stays so, there is no number and the trial is
a gap, which the mean leaves out; `n` says how many trials it is of. Such gaps are the unpredictable trials: where they are many, raise `tolerance` or lower
`length`. A trace that is constant repeats itself and has 0.

Not for: short trials. A number of few matches varies much, and some 10^length to 20^length bins are advised. Slow drifts and oversampling make any signal
predictable: filter and resample alike what is compared. The time grows with the square of the number of bins.

```nf
pipeline complexity "How unpredictable is each unit?"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
entropy = ingest.sample_entropy(responses, length = 1, tolerance = 0.5)
report complexity { entropy }
```"#;

impl Stage for SampleEntropy {
    type Params = SampleEntropyParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.sample_entropy",
            version: 1,
            summary: "Measures how unpredictable each trace is from its own recent past.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity of one session.")],
            outputs: vec![
                OutputSpec::new("units", Kind::Table, "", "For each unit the mean entropy in nats and the number of trials with one."),
                OutputSpec::new("trials", Kind::Table, "", "For each trial and unit the entropy in nats; trials are counted from 0."),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &SampleEntropyParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let session = responses.session.as_str();
        require_finite(&format!("session `{session}`"), responses.values())?;
        let (n_trials, n_units, length) = (responses.n_trials(), responses.n_units(), params.length);
        if n_trials == 0 {
            return Err(StageError::refused(format!("session `{session}` has no trials")));
        }
        if responses.n_bins() < length + 2 {
            return Err(StageError::refused_with_help(
                format!(
                    "session `{session}`: its trials have {} bins; stretches of {length} need at least {}",
                    responses.n_bins(),
                    length + 2
                ),
                "choose a smaller `length`, or cut longer trials",
            ));
        }
        // A gap travels as NaN until it stands in a table.
        let entropy = |trace: &[f64], deviation: f64| {
            if trace.windows(2).all(|pair| pair[0] == pair[1]) {
                return Ok(vec![0.0]);
            }
            Ok(vec![sample_entropy(trace, length, params.tolerance * deviation)?.unwrap_or(f64::NAN)])
        };
        let entropies = match params.scale {
            Scale::Trial {} => each_trace(session, responses.values(), context, |trace| entropy(trace, standard_deviation(trace, 0)))?,
            Scale::Unit {} => {
                let of_unit = |unit: usize| {
                    let all: Vec<f64> = (0..n_trials).flat_map(|trial| responses.trace(trial, unit).to_vec()).collect();
                    standard_deviation(&all, 0)
                };
                let deviations: Vec<f64> = (0..n_units).map(of_unit).collect();
                // Each value over its unit's deviation: then the tolerance is the same for all traces.
                let mut scaled = Vec::with_capacity(responses.values().values().len());
                for trace in 0..n_trials * n_units {
                    let deviation = deviations[trace % n_units];
                    let over = if deviation > 0.0 { deviation } else { 1.0 };
                    scaled.extend(responses.trace(trace / n_units, trace % n_units).iter().map(|value| value / over));
                }
                let scaled = Tensor::new(responses.values().axes().to_vec(), None, scaled)?;
                each_trace(session, &scaled, context, |trace| entropy(trace, 1.0))?
            }
        };
        let label = |unit: usize| responses.units().coordinates.label(unit);
        let number = |value: f64| (!value.is_nan()).then_some(value);
        let (mut means, mut counts) = (Vec::with_capacity(n_units), Vec::with_capacity(n_units));
        for unit in 0..n_units {
            let known: Vec<f64> = (0..n_trials).filter_map(|trial| number(entropies[trial * n_units + unit])).collect();
            means.push((!known.is_empty()).then(|| known.iter().sum::<f64>() / known.len() as f64));
            counts.push(known.len() as i64);
        }
        let units = Table::from_columns(vec![
            columns::from_texts("unit", &(0..n_units).map(label).collect::<Vec<_>>()),
            columns::from_optional_numbers("entropy", means),
            columns::from_integers("n", counts),
        ])?;
        let trials = Table::from_columns(vec![
            columns::from_integers("trial", (0..n_trials * n_units).map(|trace| (trace / n_units) as i64).collect()),
            columns::from_texts("unit", &(0..n_trials * n_units).map(|trace| label(trace % n_units)).collect::<Vec<_>>()),
            columns::from_optional_numbers("entropy", entropies.into_iter().map(number).collect()),
        ])?;
        Outputs::new().with("units", units)?.with("trials", trials)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, refusal, run, session};
    use neuroflow_data::random::Stream;
    use std::f64::consts::TAU;

    fn noise(n: usize) -> Vec<f64> {
        let mut stream = Stream::new(3);
        (0..n).map(|_| stream.normal()).collect()
    }

    #[test]
    fn noise_has_the_entropy_of_its_distribution_and_a_rhythm_nearly_none() {
        // Two values of N(0, σ²) are within 0.2 σ with a chance of erf(0.1) = 0.1125, whatever came before: −ln 0.1125 = 2.185.
        let rhythm = (0..4000).map(|bin| (TAU * f64::from(bin) / 40.0).sin());
        let responses = session(&[0.0], 2, noise(4000).into_iter().chain(rhythm).collect(), 4000);
        let units: Table = run(&SampleEntropy, &responses, &[], 0).unwrap().one("units").unwrap();
        let found = units.numbers("entropy").unwrap();
        assert!((found[0] - 2.185).abs() < 0.05 && found[1] < 0.3, "{found:?}");
        assert_eq!(
            (units.texts("unit").unwrap(), units.integers("n").unwrap()),
            (vec!["neuron1".to_owned(), "neuron2".to_owned()], vec![1, 1])
        );
    }

    #[test]
    fn a_trials_own_scale_does_not_matter_unless_it_is_that_of_the_unit() {
        // The same course at two scales, in two trials.
        let small: Vec<f64> = noise(300).iter().map(|value| 0.05 * value).collect();
        let responses = session(&[0.0, 1.0], 1, [noise(300), small].concat(), 300);
        let of = |scale: &str| -> Vec<f64> {
            let trials: Table = run(&SampleEntropy, &responses, &[("scale", Value::word(scale))], 0).unwrap().one("trials").unwrap();
            assert_eq!(trials.integers("trial").unwrap(), [0, 1]);
            trials.numbers("entropy").unwrap()
        };
        let own = of("trial");
        assert!((own[0] - own[1]).abs() < 1e-12, "{own:?}");
        let common = of("unit");
        // Nearly all of the small trial lies within the tolerance.
        assert!(common[0] > 1.4 && common[1] < 0.3, "{common:?}");
    }

    #[test]
    fn what_is_too_unlike_is_a_gap_that_the_mean_leaves_out_and_constants_have_none() {
        let unlike: Vec<f64> = (0..10).map(|bin| f64::from(bin * bin * bin)).collect();
        let even: Vec<f64> = (0..10).map(|bin| f64::from(bin % 2)).collect();
        let values = [unlike.clone(), vec![2.0; 10], even, vec![0.1; 10]].concat();
        let params = [("tolerance", 1e-3.into())];
        let outputs = run(&SampleEntropy, &session(&[0.0, 1.0], 2, values, 10), &params, 0).unwrap();
        let units: Table = outputs.one("units").unwrap();
        assert_eq!(units.integers("n").unwrap(), [1, 2]);
        assert_eq!(units.numbers("entropy").unwrap(), [0.0, 0.0]);
        let trials: Table = outputs.one("trials").unwrap();
        assert_eq!(columns::column(trials.batch(), "entropy").unwrap().null_count(), 1);
        let none = run(&SampleEntropy, &session(&[0.0], 1, unlike, 10), &params, 0).unwrap().one::<Table>("units").unwrap();
        assert_eq!(columns::column(none.batch(), "entropy").unwrap().null_count(), 1);
        assert_eq!(none.integers("n").unwrap(), [0]);
    }

    #[test]
    fn short_trials_and_gaps_are_refused() {
        let message = refusal(&SampleEntropy, &counted(2, 2, 3), &[]);
        assert!(message.contains("its trials have 3 bins; stretches of 2 need at least 4; choose a smaller `length`"), "{message}");
        assert!(refusal(&SampleEntropy, &session(&[], 1, vec![], 9), &[]).contains("no trials"));
        assert!(refusal(&SampleEntropy, &session(&[0.0], 1, vec![f64::NAN; 9], 9), &[]).contains("not finite"));
    }
}
