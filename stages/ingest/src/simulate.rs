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
pipeline simulated "Sessions with known truth"
input sessions = ingest.simulate(noise = 1.5, communities = 3)
responses = ingest.trials(sessions["sim1"])
report simulated { responses }
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
    Ok([design("sim1", well, 0.8, 2.5, 0.0), design("sim2", weakly, 0.35, 1.5, 0.9), design("sim3", not, 0.0, 1.0, 0.0)])
}
