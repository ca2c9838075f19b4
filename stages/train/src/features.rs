//! `train.features`: what a model says about each stimulus.
//!
//! For what: the model side of a comparison with a brain. Promises: a bank of motion-energy filters on gratings generated from each trial's direction; opposite directions differ. Refuses: a
//! column that holds no angles. From: Adelson & Bergen 1985 (spatio-temporal energy); gratings as in the experiment, phase averaged.

use crate::gabor::{bank, phases};
use crate::grating::Grating;
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Coordinates, Features, Kind, Responses, Table, Tensor, columns};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, Value, params, words,
};

words! {
    /// What a unit of the bank gives.
    pub enum Output {
        /// Motion energy: like a complex cell, blind to phase.
        Energy = "energy" {},
        /// A rectified linear filter: like a simple cell.
        Simple = "simple" {},
    }
}

words! {
    /// The model.
    pub enum Model {
        /// Spatio-temporal Gabor filters in quadrature.
        Gabor = "gabor" {
            /// Directions that filters prefer, evenly spaced.
            directions: usize = 16, in 2.0..=360.0;
            /// Spatial frequencies, in cycles across the picture.
            frequencies: Vec<f64> = vec![2.0, 3.0, 4.5], in 0.1..=100.0;
            /// What a unit of the bank gives.
            output: Output = Value::word("energy");
            /// Pixels along each side of the stimulus.
            size: usize = 24, in 4.0..=512.0;
            /// Frames of the stimulus.
            frames: usize = 8, in 2.0..=512.0;
        },
    }
}

words! {
    /// Where weights come from.
    pub enum Weights {
        /// As the model says.
        Designed = "designed" {},
        /// Random, of the same shape and length: what the architecture alone gives.
        Random = "random" {},
    }
}

params! {
    /// Parameters of `train.features`.
    pub struct FeaturesParams {
        /// The column of angles in degrees that the stimuli are made from.
        by: String = "direction";
        /// The model.
        model: Model = Value::word("gabor");
        /// Where weights come from.
        weights: Weights = Value::word("designed");
        /// The gratings' spatial frequency, in cycles across the picture.
        cycles: f64 = 3.0, in 0.1..=100.0;
        /// Phases of the grating over which features are averaged.
        phases: usize = 4, in 1.0..=64.0;
    }
}

/// The stage `train.features`.
pub struct FeaturesStage;

const DOC: &str = r#"One stimulus for each distinct angle in the column: a sinusoidal grating that drifts one cycle. Features are the responses of the bank, averaged over phases.
The control `random_weights` replaces every filter by noise of the same shape and length.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
gabor = train.features(responses, by = "direction")
model = similarity.rdm(gabor, by = "direction")
report example { model }
```"#;

impl Stage for FeaturesStage {
    type Params = FeaturesParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "train.features",
            version: 1,
            summary: "Gives a model's features of each stimulus: a bank of motion-energy filters on drifting gratings.",
            doc: DOC,
            inputs: vec![InputSpec::one(
                "responses",
                &[Kind::Responses],
                "trial × unit × bin",
                "The session whose trials name the stimuli.",
            )],
            outputs: vec![OutputSpec::new("features", Kind::Features, "stimulus × feature", "The bank's response to each stimulus.")],
            params: Vec::new(),
            metrics: &[],
            sites: vec![ControlSite { control: "random_weights", at: SiteAt::Parameter("weights") }],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &FeaturesParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let mut angles = responses.trials().numbers(&params.by)?;
        if angles.is_empty() || angles.iter().any(|angle| !angle.is_finite()) {
            return Err(StageError::refused(format!(
                "session {}: the column `{}` holds no angle for every trial",
                responses.session, params.by
            )));
        }
        angles.sort_by(f64::total_cmp);
        angles.dedup();
        let Model::Gabor { directions, frequencies, output, size, frames } = &params.model;
        if frequencies.is_empty() {
            return Err(StageError::refused("the bank needs at least one spatial frequency"));
        }
        if size * size * frames > 4_000_000 {
            return Err(StageError::refused(format!("a film of {size} × {size} pixels and {frames} frames is too large")));
        }
        let shape = Grating { size: *size, frames: *frames, cycles: params.cycles, turns: 1.0 };
        let random = matches!(params.weights, Weights::Random {}).then(|| Stream::new(context.seed).split("random weights"));
        let pairs = bank(shape, *directions, frequencies, random.as_ref());
        let mut values = Vec::with_capacity(angles.len() * pairs.len());
        for &angle in &angles {
            context.cancel.check()?;
            let films: Vec<Vec<f64>> = phases(params.phases).map(|phase| shape.film(angle, phase)).collect();
            for pair in &pairs {
                let one = |film: &Vec<f64>| match output {
                    Output::Energy {} => pair.energy(film),
                    Output::Simple {} => pair.simple(film),
                };
                values.push(films.iter().map(one).sum::<f64>() / films.len() as f64);
            }
        }
        let labels = pairs.iter().map(|pair| format!("{}° {} cycles", pair.direction, pair.cycles)).collect();
        let layer = Coordinates::Labels(vec!["gabor".into(); pairs.len()]);
        let axes =
            vec![Axis::numbers("stimulus", Some("deg"), angles.clone()), Axis::labels("feature", labels).with_property("layer", layer)];
        let stimuli = Table::from_columns(vec![columns::from_numbers(&params.by, angles)])?;
        Outputs::new().with("features", Features::new(Tensor::new(axes, None, values)?, stimuli)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::Typed;
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    fn features(angles: &[f64], params: &[(&str, Value)]) -> Result<Features, StageError> {
        let axes = vec![Axis::count("trial", angles.len()), Axis::count("unit", 1), Axis::numbers("bin", Some("s"), vec![0.0])];
        let table = Table::from_columns(vec![columns::from_numbers("direction", angles.to_vec())]).unwrap();
        let responses = Responses::new("s", Tensor::new(axes, None, vec![0.0; angles.len()]).unwrap(), table, None).unwrap();
        let mut inputs = Inputs::new();
        inputs.push("responses", "", responses.into_artifact()?);
        let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        AnyStage::run(&FeaturesStage, &inputs, &params, &Context::quiet(3))?.one("features")
    }

    const EIGHT: [f64; 8] = [0.0, 45.0, 90.0, 135.0, 180.0, 225.0, 270.0, 315.0];

    #[test]
    fn the_filter_that_prefers_the_direction_responds_most_and_the_opposite_one_little() {
        let found = features(&EIGHT, &[]).unwrap();
        for (stimulus, angle) in EIGHT.iter().enumerate() {
            // The second frequency is the gratings' own; sixteen directions, 22.5° apart.
            let row = &found.values().row(stimulus)[16..32];
            let best = (0..16).max_by(|&a, &b| row[a].total_cmp(&row[b])).unwrap();
            assert_eq!(best as f64 * 22.5, *angle);
            assert!(row[(best + 8) % 16] < 0.2 * row[best], "opposite motion: {} of {}", row[(best + 8) % 16], row[best]);
        }
    }

    #[test]
    fn neighbouring_directions_are_more_alike_than_distant_ones() {
        let found = features(&EIGHT, &[]).unwrap();
        let distance =
            |a: usize, b: usize| found.values().row(a).iter().zip(found.values().row(b)).map(|(x, y)| (x - y).powi(2)).sum::<f64>();
        assert!(distance(0, 1) < distance(0, 2) && distance(0, 1) < distance(0, 4));
    }

    #[test]
    fn turning_all_stimuli_by_a_step_of_the_bank_turns_the_features() {
        let (a, b) = (features(&[0.0, 30.0, 70.0], &[]).unwrap(), features(&[90.0, 120.0, 160.0], &[]).unwrap());
        for stimulus in 0..3 {
            for feature in 0..48 {
                let turned = (feature / 16) * 16 + (feature % 16 + 4) % 16;
                let (x, y) = (a.values().row(stimulus)[feature], b.values().row(stimulus)[turned]);
                assert!((x - y).abs() < 1e-6 * x.abs().max(1.0), "{x} {y}");
            }
        }
    }

    #[test]
    fn random_weights_depend_on_the_seed_and_are_not_constant() {
        let found = features(&EIGHT, &[("weights", Value::word("random"))]).unwrap();
        assert_ne!(found.values().row(0), found.values().row(1));
        assert_ne!(found.values().values(), features(&EIGHT, &[]).unwrap().values().values());
    }

    #[test]
    fn a_column_that_is_not_there_is_named() {
        let error = features(&EIGHT, &[("by", "direktion".into())]).unwrap_err().to_string();
        assert!(error.contains("there is no column `direktion`; there are: `direction`"));
    }
}
