//! `ingest.simulate`: sessions of a simulated V1 population whose truth is known.
//!
//! For what: a pipeline runs without any recording at hand, and every analysis can be asked whether it finds what was planted and nothing else.
//! Promises: the same seed gives the same bytes; every session says in its sources that it is simulated, and so does all that is computed from it.
//! Refuses: numbers of units, communities or trials that make no session. The model is described in `simulated_session`.

use crate::population::Tuning;
use crate::simulated_session::{DIRECTIONS, Design, n_bins, simulate};
use arrow::buffer::Buffer;
use neuroflow_data::random::Stream;
use neuroflow_data::{Artifact, FileTree, Kind, Typed};
use neuroflow_stage::params::Hertz;
use neuroflow_stage::{Context, Dimension, Exactness, Inputs, OutputSpec, Outputs, Quantity, Signature, Stage, StageError, params};

/// The stage `ingest.simulate`.
pub struct Simulate;

/// What every simulated session says of its origin.
pub const SOURCE: &str = "simulated: ingest.simulate (V1 population with known truth)";

/// The most values a simulation may have, over all sessions: 800 MB.
const MOST_VALUES: usize = 100_000_000;

params! {
    /// Parameters of `ingest.simulate`.
    pub struct SimulateParams {
        /// How often each of the 8 directions is shown.
        trials_per_direction: usize = 16, in 1.0..=10000.0;
        /// The number of units of `sim1`, `sim2` and `sim3`.
        units: Vec<usize> = vec![56, 40, 30], in 1.0..=100000.0;
        /// Strength of each unit's own noise; 1 for sessions that resemble recordings, 0 for none.
        noise: f64 = 1.0, in 0.0..=1000.0;
        /// The number of planted communities.
        communities: usize = 4, in 1.0..=1000.0;
        /// Time bins per second.
        sampling: Hertz = Quantity { value: 16.0, dimension: Dimension::Frequency }, in 1.0..=10000.0;
    }
}

const DOC: &str = r#"Three sessions of a population in mouse V1 that is shown drifting gratings: 8 directions × `trials_per_direction` trials in random order, from 1 s
before to 2 s after onset, as calcium traces in units of about one standard deviation. Each is an Arrow file that `ingest.trials` reads.

* `sim1`: well tuned units (von Mises over direction and orientation).
* `sim2`: weakly tuned units, and an animal that runs more, and whose pupil is wider, for some directions; both move the activity. An audit must find it.
* `sim3`: units without any stimulus information. Decoding must stay within its null.

All have a gain shared over units, slow drift, and planted functional communities: units of one share fluctuations that have nothing to do with the
stimulus. Truth stands on the unit axis as properties: `community`, `preferred_direction` (deg), `amplitude`, `concentration`, `direction_share`, `baseline`.

Results say wherever they go that they were simulated. Not for claims about brains: the model has no anatomy, no history of stimuli and no eye movements.

```nf
pipeline planted "Sessions with known truth"
input sessions = ingest.simulate(noise = 1.5, communities = 3)
responses = ingest.trials(sessions["sim1"])
report planted { responses }
```"#;

impl Stage for Simulate {
    type Params = SimulateParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.simulate",
            version: 1,
            summary: "Simulates three sessions of a V1 population whose truth is known.",
            doc: DOC,
            inputs: Vec::new(),
            outputs: vec![OutputSpec::new("sessions", Kind::Dir, "", "Arrow files `sim1`, `sim2`, `sim3` with Responses.")],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, _inputs: &Inputs, params: &SimulateParams, context: &Context) -> Result<Outputs, StageError> {
        let designs = designs(params)?;
        let stream = Stream::new(context.seed).split("ingest.simulate");
        let mut tree = FileTree::new();
        for (session, design) in designs.iter().enumerate() {
            let mut responses = simulate(design, &stream.split(design.name), &context.cancel)?;
            responses.sources.insert(SOURCE.to_owned());
            tree.insert(design.name, Buffer::from_vec(responses.into_artifact()?.encode()?))?;
            context.progress.report(session as u64 + 1, designs.len() as u64);
        }
        Ok(Outputs::new().with_artifact("sessions", Artifact::from_tree(tree)))
    }
}

fn designs(params: &SimulateParams) -> Result<[Design; 3], StageError> {
    let &[well, weakly, not] = params.units.as_slice() else {
        return Err(StageError::refused_with_help(
            format!("`units` has {} numbers, there are three sessions", params.units.len()),
            "give the number of units of sim1, sim2 and sim3, as in `units = [56, 40, 30]`",
        ));
    };
    let fewest = well.min(weakly).min(not);
    if fewest < params.communities {
        return Err(StageError::refused_with_help(
            format!("{fewest} units can't be in {} communities", params.communities),
            "ask for fewer `communities` or more `units`",
        ));
    }
    let bins = n_bins(params.sampling.0);
    let total =
        [params.trials_per_direction, DIRECTIONS.len(), bins, well + weakly + not].iter().try_fold(1usize, |a, b| a.checked_mul(*b));
    if total.is_none_or(|total| total > MOST_VALUES) {
        return Err(StageError::refused_with_help(
            format!(
                "{} trials of {bins} bins for {} units are more than {MOST_VALUES} values",
                params.trials_per_direction * DIRECTIONS.len(),
                well + weakly + not
            ),
            "ask for fewer `units`, `trials_per_direction` or a lower `sampling`",
        ));
    }
    let design = |name, n_units, amplitude, concentration, confound| Design {
        name,
        n_units,
        communities: params.communities,
        tuning: Tuning { amplitude, concentration },
        confound,
        trials_per_direction: params.trials_per_direction,
        noise: params.noise,
        sampling: params.sampling.0,
    };
    Ok([design("sim1", well, 0.8, 2.5, 0.0), design("sim2", weakly, 0.32, 1.5, 1.1), design("sim3", not, 0.0, 1.0, 0.0)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{run_on, said};
    use crate::trials::Trials;
    use neuroflow_data::Responses;
    use neuroflow_stage::{GpuPolicy, Value};
    use std::sync::Arc;

    fn bytes(params: &[(&str, Value)], context: &Context) -> Vec<u8> {
        run_on(&Simulate, &Inputs::new(), params, context).unwrap().get("sessions").unwrap().encode().unwrap()
    }

    /// `sim1`, `sim2` and `sim3` as `ingest.trials` reads them.
    fn sessions(params: &[(&str, Value)], seed: u64) -> Vec<Responses> {
        let outputs = run_on(&Simulate, &Inputs::new(), params, &Context::quiet(seed)).unwrap();
        let tree = outputs.get("sessions").unwrap().tree().unwrap().clone();
        tree.iter()
            .map(|(name, bytes)| {
                let mut inputs = Inputs::new();
                inputs.push("session", name, Artifact::from_bytes(bytes.clone()));
                run_on(&Trials, &inputs, &[], &Context::quiet(0)).unwrap().one("responses").unwrap()
            })
            .collect()
    }

    /// Features `[trial][feature]`: the mean of each unit in a window.
    fn activity(responses: &Responses, start: f64, end: f64) -> Vec<Vec<f64>> {
        let bins = responses.bins_within(start, end);
        let mean = |trace: &[f64]| bins.iter().map(|&bin| trace[bin]).sum::<f64>() / bins.len() as f64;
        (0..responses.n_trials()).map(|trial| (0..responses.n_units()).map(|unit| mean(responses.trace(trial, unit))).collect()).collect()
    }

    /// Features `[trial][feature]`: speed and pupil while the stimulus lasts.
    fn behaviour(responses: &Responses) -> Vec<Vec<f64>> {
        let bins = responses.bins_within(0.0, 2.0);
        let signals = ["speed", "pupil"].map(|name| responses.covariate(name).unwrap());
        let mean =
            |signal: &[f64], trial: usize| bins.iter().map(|bin| signal[trial * responses.n_bins() + bin]).sum::<f64>() / bins.len() as f64;
        (0..responses.n_trials()).map(|trial| signals.iter().map(|signal| mean(signal, trial)).collect()).collect()
    }

    /// Accuracy of the nearest class mean (features in units of their spread within classes), each trial left out in turn.
    fn accuracy(features: &[Vec<f64>], directions: &[f64]) -> f64 {
        let n_features = features[0].len();
        let class = |trial: usize| (directions[trial] / 45.0) as usize;
        let hits = (0..features.len()).filter(|&left_out| {
            let mut means = vec![vec![0.0; n_features]; 8];
            let mut counts = [0.0; 8];
            for trial in (0..features.len()).filter(|trial| *trial != left_out) {
                counts[class(trial)] += 1.0;
                means[class(trial)].iter_mut().zip(&features[trial]).for_each(|(mean, value)| *mean += value);
            }
            means.iter_mut().zip(counts).for_each(|(mean, count)| mean.iter_mut().for_each(|value| *value /= count));
            let mut spread = vec![0.0; n_features];
            for trial in (0..features.len()).filter(|trial| *trial != left_out) {
                for (feature, spread) in spread.iter_mut().enumerate() {
                    *spread += (features[trial][feature] - means[class(trial)][feature]).powi(2);
                }
            }
            let distance = |mean: &Vec<f64>| (0..n_features).map(|f| (features[left_out][f] - mean[f]).powi(2) / spread[f]).sum::<f64>();
            (0..8).min_by(|a, b| distance(&means[*a]).total_cmp(&distance(&means[*b]))) == Some(class(left_out))
        });
        hits.count() as f64 / features.len() as f64
    }

    /// Mean accuracy of `features` in each of the three sessions over five seeds.
    fn accuracies(features: impl Fn(&Responses) -> Vec<Vec<f64>>) -> [f64; 3] {
        let mut means = [0.0; 3];
        for seed in 0..5 {
            for (session, mean) in sessions(&[], seed).iter().zip(&mut means) {
                *mean += accuracy(&features(session), &session.trials().numbers("direction").unwrap()) / 5.0;
            }
        }
        means
    }

    /// Chance is 1/8; five sessions of 128 trials give a standard error of 0.013.
    fn at_chance(accuracy: f64) -> bool {
        (accuracy - 0.125).abs() < 0.045
    }

    #[test]
    fn the_stimulus_is_decoded_where_it_was_planted_and_nowhere_else() {
        let [well, weakly, not] = accuracies(|responses| activity(responses, 0.0, 2.0));
        assert!(well > 0.5 && (0.2..0.5).contains(&weakly) && at_chance(not), "{well} {weakly} {not}");
    }

    #[test]
    fn before_the_stimulus_only_the_confounded_session_knows_the_direction() {
        let [well, weakly, not] = accuracies(|responses| activity(responses, -1.0, 0.0));
        assert!(at_chance(well) && weakly > 0.17 && at_chance(not), "{well} {weakly} {not}");
    }

    #[test]
    fn behaviour_tells_the_direction_in_the_confounded_session_only() {
        let [well, weakly, not] = accuracies(behaviour);
        assert!(at_chance(well) && weakly > 0.22 && at_chance(not), "{well} {weakly} {not}");
    }

    #[test]
    fn units_correlate_with_their_community_in_every_session() {
        for responses in sessions(&[], 3) {
            let units = responses.n_units();
            let traces: Vec<Vec<f64>> = (0..units)
                .map(|unit| {
                    let trace: Vec<f64> = (0..responses.n_trials()).flat_map(|trial| responses.trace(trial, unit).to_vec()).collect();
                    let mean = trace.iter().sum::<f64>() / trace.len() as f64;
                    let norm = trace.iter().map(|value| (value - mean).powi(2)).sum::<f64>().sqrt();
                    trace.iter().map(|value| (value - mean) / norm).collect()
                })
                .collect();
            let community = |unit: usize| responses.units().property("community").unwrap().label(unit);
            let (mut within, mut between) = (Vec::new(), Vec::new());
            for a in 0..units {
                for b in 0..a {
                    let correlation = traces[a].iter().zip(&traces[b]).map(|(x, y)| x * y).sum::<f64>();
                    if community(a) == community(b) { within.push(correlation) } else { between.push(correlation) }
                }
            }
            let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
            assert!(mean(&within) > 0.3 && mean(&between).abs() < 0.1, "{}: {} {}", responses.session, mean(&within), mean(&between));
        }
    }

    #[test]
    fn sessions_are_shaped_like_recordings_and_say_that_they_are_simulated() {
        let sessions = sessions(&[], 0);
        for (session, (name, n_units)) in sessions.iter().zip([("sim1", 56), ("sim2", 40), ("sim3", 30)]) {
            assert_eq!((session.session.as_str(), session.n_trials(), session.n_units(), session.n_bins()), (name, 128, n_units, 49));
            assert_eq!((session.bin_times()[0], session.bin_times()[16], session.bin_times()[48]), (-1.0, 0.0, 2.0));
            assert!(session.sources.contains(SOURCE));
            let directions = session.trials().numbers("direction").unwrap();
            assert!(DIRECTIONS.iter().all(|shown| directions.iter().filter(|direction| *direction == shown).count() == 16));
            assert_ne!(directions[..16], [0.0; 16]);
            assert!(session.values().values().iter().all(|value| value.is_finite() && value.abs() < 20.0));
            assert!(session.values().values().iter().any(|value| *value < -1.0));
            assert!(session.covariate("speed").unwrap().iter().all(|speed| *speed >= 0.0));
        }
        let amplitudes = sessions[2].units().property("amplitude").unwrap().clone();
        assert_eq!(amplitudes, neuroflow_data::Coordinates::Numbers(vec![0.0; 30]));
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads_and_another_seed_others() {
        let on = |threads, seed| Context { threads, gpu: GpuPolicy::Never, progress: Arc::new(()), ..Context::quiet(seed) };
        let one = bytes(&[], &on(1, 7));
        assert_eq!(one, bytes(&[], &on(4, 7)));
        assert_ne!(one, bytes(&[], &on(1, 8)));
    }

    #[test]
    fn numbers_and_rate_are_those_asked_for() {
        let sampling = Quantity { value: 30.0, dimension: Dimension::Frequency };
        let params =
            [("units", vec![6, 5, 4].into()), ("trials_per_direction", 1.into()), ("communities", 2.into()), ("sampling", sampling.into())];
        let sessions = sessions(&params, 0);
        assert_eq!(sessions.iter().map(Responses::n_units).collect::<Vec<_>>(), [6, 5, 4]);
        assert!(sessions.iter().all(|session| session.n_trials() == 8 && session.n_bins() == 91));
        assert!(sessions.iter().all(|session| session.bins_within(0.0, 2.0).len() == 60));
    }

    #[test]
    fn numbers_that_make_no_session_are_refused() {
        let refused = |params: &[(&str, Value)]| said(run_on(&Simulate, &Inputs::new(), params, &Context::quiet(0)));
        assert!(refused(&[("units", vec![10, 10].into())]).contains("`units` has 2 numbers, there are three sessions"));
        assert!(refused(&[("units", vec![10, 3, 10].into())]).contains("3 units can't be in 4 communities"));
        assert!(
            refused(&[("trials_per_direction", 10_000.into()), ("units", vec![1000, 4, 4].into())])
                .contains("are more than 100000000 values")
        );
        assert!(refused(&[("noise", (-1.0).into())]).contains("noise"));
    }

    #[test]
    fn a_cancelled_simulation_stops() {
        let context = Context::quiet(0);
        context.cancel.cancel();
        assert!(matches!(run_on(&Simulate, &Inputs::new(), &[], &context), Err(StageError::Cancelled)));
    }
}
