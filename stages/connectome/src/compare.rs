//! `connectome.compare`: how well two partitions agree.

use crate::failure::numerical;
use neuroflow_compute::statistics::{
    adjusted_mutual_information, adjusted_rand_index, element_centric_similarity, normalised_mutual_information, variation_of_information,
};
use neuroflow_data::{Communities, Kind, Score, Scores};
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, params};

params! {
    /// Parameters of `connectome.compare`.
    pub struct CompareParams {
        /// The property of the units to compare with, when no second partition is given.
        truth: String = "community";
    }
}

/// The stage `connectome.compare`.
pub struct Compare;

const DOC: &str = r#"Normalised mutual information (arithmetic), adjusted Rand index, adjusted mutual information, element-centric similarity and variation of information between a
partition and another one, or a property of the units such as the community that a simulator planted. All are 1 for the same partition but the variation of information, a
distance in nats, which is 0. NMI favours many blocks; `ari` and `ami` are corrected for chance, `element_centric` is not biased by the number or the sizes of blocks.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
communities = connectome.sbm(connections)
connections = connectome.affinity(responses)
recovered = connectome.compare(communities)
report example { recovered }
```"#;

impl Stage for Compare {
    type Params = CompareParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "connectome.compare",
            version: 2,
            summary: "Measures how well a partition agrees with another one or with a property of the units.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("communities", &[Kind::Communities], "", "A partition."),
                InputSpec::optional("other", &[Kind::Communities], "", "Another partition of the same units."),
            ],
            outputs: vec![OutputSpec::new("scores", Kind::Scores, "", "Agreement; 1 is the same partition (for `vi`, 0).")],
            params: Vec::new(),
            metrics: &["nmi", "ari", "ami", "element_centric", "vi"],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &CompareParams, _context: &Context) -> Result<Outputs, StageError> {
        let found: Communities = inputs.one("communities")?;
        let other: Option<Communities> = inputs.optional("other")?;
        let n = found.nodes().len();
        let truth: Vec<usize> = match &other {
            Some(other) if other.nodes().coordinates == found.nodes().coordinates => other.membership().to_vec(),
            Some(other) => {
                return Err(StageError::refused(format!(
                    "the partitions are of different units ({n} and {} of them)",
                    other.nodes().len()
                )));
            }
            None => {
                let Some(property) = found.nodes().property(&params.truth) else {
                    let known = found.nodes().properties.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                    let known = if known.is_empty() { "they have none".to_owned() } else { format!("they have {known}") };
                    return Err(StageError::refused(format!("the units have no property `{}`; {known}", params.truth)));
                };
                let labels: Vec<String> = (0..n).map(|node| property.label(node)).collect();
                labels.iter().map(|label| labels.iter().position(|first| first == label).unwrap_or(0)).collect()
            }
        };
        let score = |metric: &str, value: f64| {
            let mut score = Score::new(metric, value, n);
            score.chance = ["ari", "ami"].contains(&metric).then_some(0.0);
            score
        };
        let membership = found.membership();
        let mut distance = score("vi", variation_of_information(membership, &truth).map_err(numerical)?);
        distance.unit = Some("nats".into());
        let scores = Scores::new(vec![
            score("nmi", normalised_mutual_information(membership, &truth).map_err(numerical)?),
            score("ari", adjusted_rand_index(membership, &truth).map_err(numerical)?),
            score("ami", adjusted_mutual_information(membership, &truth).map_err(numerical)?),
            score("element_centric", element_centric_similarity(membership, &truth).map_err(numerical)?),
            distance,
        ]);
        Outputs::new().with("scores", scores)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Axis, Coordinates, Typed};
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    #[test]
    fn the_planted_partition_scores_one_and_a_missing_property_is_named() {
        let axis = Axis::count("unit", 4).with_property("community", Coordinates::Labels(["a", "a", "b", "b"].map(String::from).to_vec()));
        let mut inputs = Inputs::new();
        inputs.push("communities", "", Communities::new(axis, &[1, 1, 0, 0]).unwrap().into_artifact().unwrap());
        let scores: Scores = AnyStage::run(&Compare, &inputs, &BTreeMap::new(), &Context::quiet(0)).unwrap().one("scores").unwrap();
        assert!(scores.scores.iter().all(|score| (score.value - if score.metric == "vi" { 0.0 } else { 1.0 }).abs() < 1e-12));
        let params = BTreeMap::from([("truth".to_owned(), "layer".into())]);
        let error = AnyStage::run(&Compare, &inputs, &params, &Context::quiet(0)).unwrap_err().to_string();
        assert_eq!(error, "the units have no property `layer`; they have `community`");
    }
}
