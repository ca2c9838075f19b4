//! `similarity.rsa`: how alike two representations are.
//!
//! For what: does the population resemble the model? Promises: the likeness of two RDMs over the conditions that both have, an interval from
//! resampled conditions, and p over permuted conditions. Refuses: fewer than four common conditions, and an RDM that is constant. From:
//! Kriegeskorte et al. 2008; Nili et al. 2014; permutation of conditions and not of entries, because n(n−1)/2 entries are not so many independent
//! values.

use crate::comparison::Comparison;
use crate::failure::numerical;
use crate::resampling::{draws, permutations, permuted};
use neuroflow_compute::statistics::quantile;
use neuroflow_compute::with_threads;
use neuroflow_data::random::Stream;
use neuroflow_data::{Interval, Kind, Rdm, Score, Scores, Table, columns};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params};

params! {
    /// Parameters of `similarity.rsa`.
    pub struct RsaParams {
        /// How two RDMs are compared.
        compare: Comparison = Value::word("spearman");
        /// Resamples of conditions for the interval.
        bootstrap: usize = 1000, in 0.0..=1000000.0;
        /// Permutations of conditions for p.
        permutations: usize = 1000, in 0.0..=1000000.0;
    }
}

/// The stage `similarity.rsa`.
pub struct Rsa;

const DOC: &str = r#"Compares two RDMs over the conditions that both have. The interval resamples conditions (pairs of one condition with itself are
left out); the null and p beside the likeness are those of the model's conditions permuted. Give a noise ceiling as third input to see what noise allows; `normalised` is the likeness divided by
the square root of the ceiling, for data that are noisy on one side only. The control `random_weights` runs the model again with random weights: a
likeness that random weights reach says nothing about the model.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
brain = similarity.rdm(responses, by = "direction")
gabor = train.features(responses)
model = similarity.rdm(gabor, by = "direction")
likeness = similarity.rsa(brain, model) with control = random_weights(n = 10)
report likeness_report { likeness }
```"#;

impl Stage for Rsa {
    type Params = RsaParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.rsa",
            version: 3,
            summary: "Measures how alike two representations are.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("brain", &[Kind::Rdm], "rdm × condition × condition", "The data's RDM."),
                InputSpec::one("model", &[Kind::Rdm], "rdm × condition × condition", "The model's RDM."),
                InputSpec::optional("ceiling", &[Kind::Scores], "", "What noise allows, from `similarity.noise_ceiling`."),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The likeness."),
                OutputSpec::new("table", Kind::Table, "", "Both dissimilarities of each pair of conditions."),
            ],
            params: Vec::new(),
            metrics: &["similarity", "normalised"],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &RsaParams, context: &Context) -> Result<Outputs, StageError> {
        let (brain, model): (Rdm, Rdm) = (inputs.one("brain")?, inputs.one("model")?);
        let ceiling: Option<Scores> = inputs.optional("ceiling")?;
        let (names, left, right) = common(&brain, &model)?;
        let n = names.len();
        let pairs: Vec<(usize, usize)> = (0..n).flat_map(|a| (a + 1..n).map(move |b| (a, b))).collect();
        let vector = |matrix: &[f64]| pairs.iter().map(|&(a, b)| matrix[a * n + b]).collect::<Vec<f64>>();
        let (x, y) = (vector(&left), vector(&right));
        let pair = params.compare.pair(n, &x, &y)?;
        let value = pair
            .value()
            .ok_or_else(|| StageError::refused("one of the RDMs is constant: its geometry says nothing, so there is nothing to compare"))?;
        let stream = Stream::new(context.seed);
        let mut score = Score::new("similarity", value, pairs.len());
        score.chance = params.compare.chance();
        let (resampled, null) = with_threads(context.threads, || -> Result<_, StageError> {
            let resampled = pair.resampled_all(&draws(params.bootstrap, n, &stream.split("bootstrap"))).map_err(numerical)?;
            context.cancel.check()?;
            Ok((resampled, pair.permuted_all(&permutations(params.permutations, n, &stream.split("permutation"))).map_err(numerical)?))
        })
        .map_err(numerical)??;
        let resampled: Vec<f64> = resampled.into_iter().flatten().collect();
        if resampled.len() >= 20 {
            let (low, high) = (quantile(&resampled, 0.025), quantile(&resampled, 0.975));
            score.interval = Some(Interval { low, high, level: 0.95, method: "bootstrap over conditions".into() });
        }
        permuted(&mut score, "conditions", value, &null, |draw| draw);
        let mut scores = vec![score];
        if let Some(reached) = ceiling.as_ref().and_then(|scores| scores.get("ceiling")) {
            scores[0].ceiling = Some(reached.value);
            if reached.value > 0.0 {
                let mut normalised = Score::new("normalised", value / reached.value.sqrt(), pairs.len());
                normalised.chance = Some(0.0);
                permuted(&mut normalised, "conditions", value, &null, |draw| draw / reached.value.sqrt());
                normalised.notes.push("likeness divided by the square root of the noise ceiling".into());
                scores.push(normalised);
            } else {
                scores[0].notes.push("the noise ceiling is not above zero: the data's own geometry does not repeat".into());
            }
        }
        let table = Table::from_columns(vec![
            columns::from_texts("condition", &pairs.iter().map(|&(a, _)| names[a].as_str()).collect::<Vec<_>>()),
            columns::from_texts("other", &pairs.iter().map(|&(_, b)| names[b].as_str()).collect::<Vec<_>>()),
            columns::from_numbers("brain", x),
            columns::from_numbers("model", y),
        ])?;
        Outputs::new().with("scores", Scores::new(scores))?.with("table", table)
    }
}

/// The conditions that both RDMs have, and their matrices over them (means over several matrices).
fn common(brain: &Rdm, model: &Rdm) -> Result<(Vec<String>, Vec<f64>, Vec<f64>), StageError> {
    let (left, right) = (brain.condition_names(), model.condition_names());
    let names: Vec<String> = left.iter().filter(|name| right.contains(name)).cloned().collect();
    if names.len() < 4 {
        return Err(StageError::refused_with_help(
            format!(
                "the RDMs have {} conditions in common ({} and {} of their own); at least 4 are needed",
                names.len(),
                left.len(),
                right.len()
            ),
            "compute both by the same column",
        ));
    }
    let matrix = |rdm: &Rdm, own: &[String]| -> Vec<f64> {
        let places: Vec<usize> = names.iter().filter_map(|name| own.iter().position(|other| other == name)).collect();
        let size = own.len();
        let count = rdm.len().max(1) as f64;
        places
            .iter()
            .flat_map(|&a| places.iter().map(move |&b| (a, b)))
            .map(|(a, b)| (0..rdm.len()).map(|at| rdm.values().row(at)[a * size + b]).sum::<f64>() / count)
            .collect()
    };
    let (x, y) = (matrix(brain, &left), matrix(model, &right));
    Ok((names, x, y))
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Axis, Typed};
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    fn rdm(values: &[f64]) -> Rdm {
        Rdm::from_triangles(
            vec!["x".into()],
            Axis::numbers("condition", Some("deg"), vec![0.0, 45.0, 90.0, 135.0, 180.0]),
            "correlation",
            &[values.to_vec()],
        )
        .unwrap()
    }

    fn run(brain: Rdm, model: Rdm) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        inputs.push("brain", "", brain.into_artifact()?);
        inputs.push("model", "", model.into_artifact()?);
        AnyStage::run(&Rsa, &inputs, &BTreeMap::new(), &Context::quiet(1))
    }

    const VALUES: [f64; 10] = [0.1, 0.5, 0.9, 0.4, 0.2, 0.6, 0.8, 0.3, 0.7, 0.15];

    #[test]
    fn a_representation_is_like_itself_whatever_its_scale() {
        let scores: Scores = run(rdm(&VALUES), rdm(&VALUES.map(|value| 3.0 * value))).unwrap().one("scores").unwrap();
        assert!((scores.scores[0].value - 1.0).abs() < 1e-12);
    }

    #[test]
    fn a_constant_model_and_strange_conditions_are_refused() {
        assert!(run(rdm(&VALUES), rdm(&[0.5; 10])).unwrap_err().to_string().contains("constant"));
        let other = Rdm::from_triangles(
            vec!["x".into()],
            Axis::labels("condition", ["a", "b", "c", "d"].map(String::from).to_vec()),
            "m",
            &[vec![0.1; 6]],
        );
        assert!(run(rdm(&VALUES), other.unwrap()).unwrap_err().to_string().contains("0 conditions in common"));
    }
}
