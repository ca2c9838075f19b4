//! `similarity.procrustes`: how far two representations remain apart after the best rotation.
//!
//! For what: a distance between populations that is a true metric and, unlike CKA, counts directions of little variance too. Promises: similarity,
//! squared distance and angle of the centred, unit-norm sides, and p over permuted conditions. Refuses: a side that does not vary. From: Williams
//! et al. 2021; Ding et al. 2021.

use crate::failure::numerical;
use crate::paired::{Paired, Samples};
use crate::resampling::permuted;
use neuroflow_compute::geometry::procrustes;
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::{Kind, Score, Scores};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params,
};

params! {
    /// Parameters of `similarity.procrustes`.
    pub struct ProcrustesParams {
        /// The column that names the condition.
        by: String = "direction";
        /// The window over which responses are averaged, from stimulus onset; features have none.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// What a sample is.
        samples: Samples = Value::word("conditions");
        /// Permutations of conditions for p; 0 for none.
        permutations: usize = 200, in 0.0..=100000.0;
    }
}

/// The stage `similarity.procrustes`.
pub struct ProcrustesStage;

const DOC: &str = r#"Both sides are centred and brought to unit Frobenius norm; `similarity` is then the nuclear norm of their product, 1 when a
rotation makes them equal. `distance` is `2 − 2 · similarity`, `angle` its arc cosine in radians. Numbers of features may differ. It is above zero
for any two representations: look at the null and p beside it, which are those of the second side's conditions permuted.

```nf
pipeline example
input sessions = ingest.simulate()
one = ingest.trials(sessions["sim1"])
other = ingest.trials(sessions["sim2"])
apart = similarity.procrustes(one, other, by = "direction", permutations = 50)
report example { apart }
```"#;

impl Stage for ProcrustesStage {
    type Params = ProcrustesParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.procrustes",
            version: 2,
            summary: "Measures how far two representations remain apart after the best rotation.",
            doc: DOC,
            inputs: vec![
                InputSpec::one(
                    "first",
                    &[Kind::Responses, Kind::Features],
                    "trial × unit × bin, or stimulus × feature",
                    "A representation.",
                ),
                InputSpec::one("second", &[Kind::Responses, Kind::Features], "trial × unit × bin, or stimulus × feature", "Another one."),
            ],
            outputs: vec![OutputSpec::new("scores", Kind::Scores, "", "Similarity, distance and angle.")],
            params: Vec::new(),
            metrics: &["similarity", "distance", "angle"],
            sites: vec![ControlSite { control: "window", at: SiteAt::Parameter("window") }],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &ProcrustesParams, context: &Context) -> Result<Outputs, StageError> {
        let paired = Paired::of(inputs, ["first", "second"], &params.by, &params.window, &params.samples)?;
        let of = |x: &Matrix, y: &Matrix| procrustes(x, y).map_err(numerical);
        with_threads(context.threads, || {
            let found = of(&paired.x, &paired.y)?.ok_or_else(|| paired.constant("there is nothing to rotate"))?;
            let mut score = Score::new("similarity", found.similarity, paired.len());
            let mut distance = Score::new("distance", found.distance, paired.len());
            let mut angle = Score::new("angle", found.angle, paired.len());
            angle.unit = Some("rad".into());
            let null = paired.null(params.permutations, context, |x, y| Ok(of(x, y)?.map(|found| found.similarity)))?;
            permuted(&mut score, "conditions", found.similarity, &null, |draw| draw);
            permuted(&mut distance, "conditions", found.similarity, &null, |draw| 2.0 - 2.0 * draw);
            permuted(&mut angle, "conditions", found.similarity, &null, |draw| draw.clamp(-1.0, 1.0).acos());
            Outputs::new().with("scores", Scores::new(vec![score, distance, angle]))
        })
        .map_err(numerical)?
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{features, golden_features, run_pair};

    #[test]
    fn distances_are_those_of_the_formulas() {
        for (case, distance, angle) in [
            ("subspace_tall", 0.570_515_419_797_142_9, 0.774_540_768_889_860_7),
            ("subspace_wide", 0.213_298_693_428_194_4, 0.466_049_055_873_539_34),
        ] {
            let Some((a, b)) = golden_features(case) else { return };
            let scores: Scores = run_pair(&ProcrustesStage, &a, &b, &[("permutations", Value::Int(0))]).unwrap().one("scores").unwrap();
            assert!((scores.get("distance").unwrap().value - distance).abs() < 1e-9);
            assert!((scores.get("angle").unwrap().value - angle).abs() < 1e-9);
        }
    }

    #[test]
    fn related_sides_are_told_from_chance_and_constants_are_refused() {
        let (a, b) = (features(1, 20, 4, 0.0), features(1, 20, 4, 0.4));
        let scores: Scores = run_pair(&ProcrustesStage, &a, &b, &[]).unwrap().one("scores").unwrap();
        // All three say the same, each in its own terms.
        for score in &scores.scores {
            let control = &score.controls[0];
            assert!(control.p < 0.01 && control.control == "permutation(conditions)", "{score:?}");
            assert!((score.metric == "similarity") == (control.mean() < score.value), "{score:?}");
            assert!(score.to_string().contains("permutation null"), "{score}");
        }
        let plain: Scores = run_pair(&ProcrustesStage, &a, &b, &[("permutations", Value::Int(0))]).unwrap().one("scores").unwrap();
        assert!(plain.scores[0].to_string().ends_with("(uncontrolled)"));
        assert!(run_pair(&ProcrustesStage, &a, &features(2, 20, 1, f64::NAN), &[]).unwrap_err().to_string().contains("does not vary"));
    }
}
