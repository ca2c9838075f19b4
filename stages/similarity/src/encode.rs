//! `similarity.encode`: how well a model's features predict each unit.
//!
//! For what: a voxel- or unit-wise encoding model. Promises: cross-validated ridge regression in which penalties are chosen inside the training
//! side, one for all units or one for each, and one for each band of features when asked; Pearson's r per fold, averaged, and relative to what
//! noise allows. Refuses: fewer conditions than folds, features that don't name the conditions. From: Naselaris et al. 2011; Dupré la Tour et al.
//! 2022 (banded ridge by random search); Gifford et al. 2023 (the Algonauts' noise-normalised score).

mod folds;
mod penalties;
mod problem;
mod tables;

use crate::failure::numerical;
use crate::paired::Samples;
use neuroflow_compute::with_threads;
use neuroflow_data::{Features, Kind, Responses};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};
use problem::Problem;

words! {
    /// For whom a penalty is chosen.
    pub enum Choice {
        /// One for each unit.
        PerUnit = "per_unit" {},
        /// One for all units.
        Shared = "shared" {},
    }
}

words! {
    /// How features are grouped.
    pub enum Bands {
        /// All features have the same penalty.
        One = "one" {},
        /// The features of each layer (the features' property of that name) have a weight of their own, found by random search.
        Layers = "layers" {
            /// Weightings that are tried: even weights, each layer alone, then random ones.
            candidates: usize = 20, in 1.0..=10000.0;
        },
    }
}

words! {
    /// What a fold holds out.
    pub enum HoldOut {
        /// Conditions: predictions are of conditions that were never seen.
        Conditions = "conditions" {},
        /// Samples: other repeats of a condition may have been seen.
        Samples = "samples" {},
    }
}

params! {
    /// Parameters of `similarity.encode`.
    pub struct EncodeParams {
        /// The column that names the condition.
        by: String = "direction";
        /// The window over which responses are averaged, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// What a sample is: a condition's mean response, or a trial (`rows`).
        samples: Samples = Value::word("conditions");
        /// What a fold holds out.
        hold_out: HoldOut = Value::word("conditions");
        /// Folds that are predicted in turn.
        folds: usize = 5, in 2.0..=1000.0;
        /// Folds of the training side by which penalties are chosen.
        inner_folds: usize = 5, in 2.0..=1000.0;
        /// The penalties that are tried; the λ of `‖Y − X W‖² + λ ‖W‖²`.
        penalties: Vec<f64> = vec![1.0, 7.74263682681127, 59.9484250318941, 464.158883361278, 3593.8136638046, 27825.5940220712, 215443.469003188, 1668100.53720006, 12915496.6501488, 100000000.0], in 0.0..=1e300;
        /// For whom a penalty is chosen.
        choose: Choice = Value::word("per_unit");
        /// How features are grouped.
        bands: Bands = Value::word("one");
        /// Bring each feature to mean 0 and standard deviation 1 on the training side.
        standardise: bool = true;
        /// Predict every bin of the window by itself, not the mean over the window.
        each_bin: bool = false;
        /// The property of the units that names their region, for the mean of each region; empty for none.
        region: String = "";
    }
}

/// The stage `similarity.encode`.
pub struct Encode;

const DOC: &str = r#"Predicts the responses of each unit from features of the stimuli. `r` is Pearson's correlation of prediction and response in
each held-out fold, averaged over folds, then over units. `normalised` is the median over units of `100 · r² / NC`, at most 100, with negative r as
0 (Gifford et al. 2023). The ceiling NC is the share of a sample's variance that repeats of the same condition have in common; it needs two trials
of each condition. A ceiling that is near zero by chance would make any r look like all that can be explained, so only units whose ceiling is
reliably above zero are counted: those that differ between conditions by an F test over trials, at a false discovery rate of 5 % over units (and
bins). The others have no `normalised`, and the score's note says how many they are; where no unit has one it is 0, as there is nothing to explain.
`units` has a row for each unit (and bin), `times` the mean over units for each bin, `regions` for each region, `predicted` the held-out predictions.

With `standardise`, each feature has mean 0 and standard deviation 1 over the training samples, as by scikit-learn's `StandardScaler`. A held-out
value further from the training samples than they are from one another is brought to that distance: a feature that hardly varies in training, as that
of a filter which one stimulus passes, has a tiny deviation, by which that stimulus would stand at millions and its prediction with it.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
gabor = train.features(responses)
encoding = similarity.encode(responses, gabor, samples = rows, folds = 4, inner_folds = 3)
report example { encoding }
```"#;

impl Stage for Encode {
    type Params = EncodeParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.encode",
            version: 2,
            summary: "Predicts each unit's responses from a model's features by cross-validated ridge regression.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity."),
                InputSpec::one("features", &[Kind::Features], "stimulus × feature", "The model's features of the conditions."),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "Mean correlation, explained share and noise-normalised score."),
                OutputSpec::new("units", Kind::Table, "", "The score of each unit, and bin."),
                OutputSpec::new("times", Kind::Table, "", "The mean score over units at each bin."),
                OutputSpec::new("regions", Kind::Table, "", "The mean score over the units of each region."),
                OutputSpec::new("predicted", Kind::Features, "stimulus × feature", "Held-out predictions; features are units."),
            ],
            params: Vec::new(),
            metrics: &["r", "r2", "normalised", "normalised_mean"],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("responses") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &EncodeParams, context: &Context) -> Result<Outputs, StageError> {
        if params.penalties.is_empty() {
            return Err(StageError::refused("there is no penalty to try"));
        }
        let responses: Responses = inputs.one("responses")?;
        let features: Features = inputs.one("features")?;
        let problem = Problem::of(&responses, &features, inputs, params)?;
        context.cancel.check()?;
        with_threads(context.threads, || problem.solve(params, context)).map_err(numerical)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_compute::statistics::mean;
    use neuroflow_data::random::Stream;
    use neuroflow_data::{Axis, Coordinates, Scores, Table, Tensor, Typed, columns};
    use neuroflow_stage::{AnyStage, Control};
    use std::collections::BTreeMap;

    /// Responses of `units` units to `conditions` stimuli that are a linear map of features, with noise; two layers of features, of which only the
    /// second counts.
    fn planted(conditions: usize, repeats: usize, units: usize, noise: f64) -> (Responses, Features) {
        let mut stream = Stream::new(11);
        let (useless, useful) = (6, 4);
        let values: Vec<f64> = (0..conditions * (useless + useful)).map(|_| stream.normal()).collect();
        let weights: Vec<f64> = (0..useful * units).map(|_| stream.normal()).collect();
        let signal = |condition: usize, unit: usize| {
            (0..useful)
                .map(|feature| values[condition * (useless + useful) + useless + feature] * weights[feature * units + unit])
                .sum::<f64>()
        };
        let mut activity = Vec::new();
        for trial in 0..conditions * repeats {
            for unit in 0..units {
                for bin in 0..2 {
                    activity.push(f64::from(bin) * signal(trial % conditions, unit) + noise * stream.normal());
                }
            }
        }
        let region = Coordinates::Labels((0..units).map(|unit| if unit % 2 == 0 { "V1" } else { "LM" }.to_owned()).collect());
        let axes = vec![
            Axis::count("trial", conditions * repeats),
            Axis::count("unit", units).with_property("region", region),
            Axis::numbers("bin", Some("s"), vec![0.0, 0.5]),
        ];
        let directions = |count: usize| columns::from_numbers("direction", (0..count).map(|row| (row % conditions) as f64).collect());
        let trials = Table::from_columns(vec![directions(conditions * repeats)]).unwrap();
        let responses = Responses::new("s", Tensor::new(axes, None, activity).unwrap(), trials, None).unwrap();
        let layer =
            Coordinates::Labels((0..useless + useful).map(|feature| if feature < useless { "low" } else { "high" }.to_owned()).collect());
        let axes = vec![Axis::count("stimulus", conditions), Axis::count("feature", useless + useful).with_property("layer", layer)];
        let features =
            Features::new(Tensor::new(axes, None, values).unwrap(), Table::from_columns(vec![directions(conditions)]).unwrap()).unwrap();
        (responses, features)
    }

    fn run(responses: &Responses, features: &Features, params: &[(&str, Value)]) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        inputs.push("responses", "", responses.clone().into_artifact()?);
        inputs.push("features", "", features.clone().into_artifact()?);
        let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        AnyStage::run(&Encode, &inputs, &params, &Context::quiet(2))
    }

    fn penalties() -> (&'static str, Value) {
        ("penalties", Value::from(vec![0.01, 0.1, 1.0, 10.0, 100.0]))
    }

    #[test]
    fn a_planted_linear_code_is_found_and_its_normalised_score_is_near_the_ceiling() {
        let (responses, features) = planted(60, 4, 6, 1.0);
        let outputs =
            run(&responses, &features, &[penalties(), ("window", Value::window(0.4, 1.0)), ("region", Value::from("region"))]).unwrap();
        let scores: Scores = outputs.one("scores").unwrap();
        assert!(scores.get("r").unwrap().value > 0.9, "{:?}", scores.get("r"));
        assert!(scores.get("normalised").unwrap().value > 88.0, "{:?}", scores.get("normalised"));
        let regions: Table = outputs.one("regions").unwrap();
        assert_eq!(regions.texts("region").unwrap(), ["LM", "V1"]);
        let predicted: Features = outputs.one("predicted").unwrap();
        assert_eq!(predicted.values().shape(), [60, 6]);
        assert_eq!(predicted.stimuli().numbers("direction").unwrap()[7], 7.0);
    }

    #[test]
    fn bands_leave_a_useless_layer_out() {
        let (responses, features) = planted(24, 3, 5, 1.0);
        let r = |bands: Value| {
            let params = [penalties(), ("bands", bands), ("window", Value::window(0.4, 1.0))];
            run(&responses, &features, &params).unwrap().one::<Scores>("scores").unwrap().get("r").unwrap().value
        };
        let (one, banded) = (r(Value::word("one")), r(Value::call("layers", vec![("candidates", Value::Int(6))])));
        assert!(banded > one - 0.02 && banded > 0.7, "{one} {banded}");
    }

    #[test]
    fn bins_are_predicted_by_themselves_and_a_shared_penalty_is_one() {
        let (responses, features) = planted(30, 3, 4, 0.5);
        let params = [penalties(), ("each_bin", true.into()), ("choose", Value::word("shared")), ("samples", Value::word("rows"))];
        let outputs = run(&responses, &features, &params).unwrap();
        let times: Table = outputs.one("times").unwrap();
        let score = times.numbers("score").unwrap();
        assert_eq!(times.numbers("time").unwrap(), [0.0, 0.5]);
        assert!(score[1] > 0.8 && score[0].abs() < 0.3, "{score:?}");
        let units: Table = outputs.one("units").unwrap();
        let penalty = units.numbers("log10_penalty").unwrap();
        assert!(units.rows() == 8 && penalty.iter().all(|value| *value == penalty[0]));
    }

    #[test]
    fn shuffled_conditions_score_at_chance() {
        let (responses, features) = planted(8, 8, 12, 0.5);
        let control = Control::parse(&Value::call("shuffle", vec![("column", Value::from("direction")), ("n", Value::Int(20))])).unwrap();
        let artifact = responses.into_artifact().unwrap();
        let mut values = Vec::new();
        for draw in 0..20 {
            let changed = Responses::from_artifact(&control.change(&artifact, draw).unwrap()).unwrap();
            let params = [("samples", Value::word("rows")), ("folds", Value::Int(4)), ("inner_folds", Value::Int(3)), penalties()];
            values.push(run(&changed, &features, &params).unwrap().one::<Scores>("scores").unwrap().scores[0].value);
        }
        let error = neuroflow_compute::statistics::standard_deviation(&values, 1) / (20.0f64).sqrt();
        assert!(mean(&values).abs() <= 4.0 * error.max(0.005), "{} ± {error}", mean(&values));
    }

    #[test]
    fn noise_has_no_ceiling_and_no_normalised_score() {
        for seed in 0..5 {
            let (planted, features) = planted(30, 3, 20, 1.0);
            let mut stream = Stream::new(seed);
            let values = (0..planted.values().values().len()).map(|_| stream.normal()).collect::<Vec<_>>();
            let noise = Tensor::new(planted.values().axes().to_vec(), None, values).unwrap();
            let responses = planted.with_values(noise, None).unwrap();
            for samples in ["rows", "conditions"] {
                let outputs = run(&responses, &features, &[penalties(), ("samples", Value::word(samples))]).unwrap();
                let units: Table = outputs.one("units").unwrap();
                let defined = units.numbers("normalised").unwrap().iter().filter(|value| !value.is_nan()).count();
                let scores: Scores = outputs.one("scores").unwrap();
                let normalised = scores.get("normalised").unwrap();
                assert!(defined <= 1 && normalised.value < 10.0, "{seed} {samples}: {defined} {normalised:?}");
                assert!(defined == 1 || normalised.notes[0].contains("none of 20 targets has a noise ceiling"), "{:?}", normalised.notes);
            }
        }
    }

    #[test]
    fn a_feature_that_hardly_varies_in_training_does_not_ruin_what_is_held_out() {
        // Two features, as of a filter that one stimulus passes and the others do not: rounding everywhere, and 1 for one condition.
        let (responses, features) = planted(30, 3, 4, 0.5);
        let width = features.values().shape()[1];
        let mut stream = Stream::new(4);
        let mut values = features.values().values().to_vec();
        for (feature, condition) in [(0, 7), (1, 19)] {
            (0..30).for_each(|row| values[row * width + feature] = if row == condition { 1.0 } else { 1e-9 * stream.normal() });
        }
        let axes = features.values().axes().to_vec();
        let changed = Features::new(Tensor::new(axes, None, values).unwrap(), features.stimuli().clone()).unwrap();
        let bands = Value::call("layers", vec![("candidates", Value::Int(4))]);
        for route in [vec![], vec![("bands", bands)], vec![("samples", Value::word("rows"))]] {
            let mut params = vec![penalties(), ("window", Value::window(0.4, 1.0))];
            params.extend(route.clone());
            let scores: Scores = run(&responses, &changed, &params).unwrap().one("scores").unwrap();
            let r2 = scores.get("r2").unwrap().value;
            assert!(r2 > 0.5, "{route:?}: {r2}");
        }
    }

    #[test]
    fn too_many_folds_and_unknown_properties_are_refused() {
        let (responses, features) = planted(6, 2, 3, 0.5);
        let said = |params: &[(&str, Value)]| run(&responses, &features, params).unwrap_err().to_string();
        assert!(said(&[("folds", Value::Int(6))]).contains("6 conditions"));
        assert!(said(&[("region", Value::from("area"))]).contains("they have `region`"));
        assert!(said(&[("penalties", Value::List(vec![]))]).contains("no penalty"));
    }
}
