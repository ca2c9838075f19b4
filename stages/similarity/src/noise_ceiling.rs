//! `similarity.noise_ceiling`: how well the data's own geometry repeats, which is the most that a model can be asked for.
//!
//! Promises: trials of each condition are split in random halves, an RDM is computed from each half, the two are compared, and the result is
//! corrected for the halved number of trials (Spearman & Brown); the mean over splits. Refuses: conditions with a single trial.

use crate::comparison::Comparison;
use crate::conditions::Observations;
use crate::dissimilarity::{correlation, euclidean};
use neuroflow_compute::statistics::quantile;
use neuroflow_data::random::Stream;
use neuroflow_data::{Interval, Kind, Responses, Score, Scores};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

words! {
    /// How two conditions are compared.
    pub enum HalfMeasure {
        /// 1 − Pearson correlation over units.
        Correlation = "correlation" {},
        /// Mean squared difference over units.
        Euclidean = "euclidean" {},
    }
}

params! {
    /// Parameters of `similarity.noise_ceiling`.
    pub struct CeilingParams {
        /// The column that names the condition.
        by: String = "direction";
        /// The window over which responses are averaged, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// How two conditions are compared.
        measure: HalfMeasure = Value::word("correlation");
        /// How the halves' RDMs are compared.
        compare: Comparison = Value::word("spearman");
        /// Random splits of the trials.
        splits: usize = 100, in 1.0..=100000.0;
    }
}

/// The stage `similarity.noise_ceiling`.
pub struct NoiseCeiling;

const DOC: &str = r#"Split-half reliability of an RDM over trials, corrected by Spearman and Brown's formula 2r / (1 + r). A negative half-half
likeness counts as it is, so that noise averages to zero. Use the same measure and comparison as for the RSA that it stands beside.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
ceiling = similarity.noise_ceiling(responses, by = "direction", splits = 20)
report example { ceiling }
```"#;

impl Stage for NoiseCeiling {
    type Params = CeilingParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.noise_ceiling",
            version: 1,
            summary: "Measures how well the data's own geometry repeats: the most that a model can be asked for.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity.")],
            outputs: vec![OutputSpec::new("scores", Kind::Scores, "", "The ceiling.")],
            params: Vec::new(),
            metrics: &["ceiling"],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("responses") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &CeilingParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let observations = Observations::of_responses(&responses, &params.by, &params.window)?;
        let members = observations.members();
        if let Some(single) = members.iter().position(|rows| rows.len() < 2) {
            let label = observations.axis.coordinates.label(single);
            return Err(StageError::refused(format!(
                "{}: condition {label} has {} trial; halves need at least 2",
                observations.name,
                members[single].len()
            )));
        }
        let stream = Stream::new(context.seed).split("halves");
        let mut values = Vec::with_capacity(params.splits);
        for split in 0..params.splits {
            context.cancel.check()?;
            let mut first = vec![false; observations.condition.len()];
            for (condition, rows) in members.iter().enumerate() {
                let order = stream.split_index(split as u64).split_index(condition as u64).permutation(rows.len());
                order.iter().take(rows.len() / 2).for_each(|&place| first[rows[place]] = true);
            }
            let half = |wanted: bool| {
                let means = observations.means(|row| first[row] == wanted);
                match params.measure {
                    HalfMeasure::Correlation {} => correlation(&means),
                    HalfMeasure::Euclidean {} => euclidean(&means),
                }
            };
            if let Some(r) = params.compare.of(members.len(), &half(true)?, &half(false)?)? {
                // At r = −1 the formula has no value; it is approached, never reached, by real data.
                values.push(2.0 * r / (1.0 + r).max(1e-3));
            }
        }
        if values.is_empty() {
            return Err(StageError::refused(format!("{}: the halves' RDMs are constant, so there is no ceiling", observations.name)));
        }
        let mut score = Score::new("ceiling", values.iter().sum::<f64>() / values.len() as f64, observations.condition.len());
        score.chance = params.compare.chance();
        let (low, high) = (quantile(&values, 0.025), quantile(&values, 0.975));
        score.interval = Some(Interval { low, high, level: 0.95, method: format!("{} random splits", values.len()) });
        Outputs::new().with("scores", Scores::new(vec![score]))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Axis, Table, Tensor, Typed, columns};
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    fn ceiling(noise: f64) -> f64 {
        let (units, per) = (30, 12);
        let mut stream = Stream::new(2);
        let patterns: Vec<f64> = (0..6 * units).map(|_| stream.normal()).collect();
        let directions: Vec<f64> = (0..6 * per).map(|trial| f64::from(trial as u32 % 6)).collect();
        let values: Vec<f64> = directions
            .iter()
            .flat_map(|d| patterns[*d as usize * units..(*d as usize + 1) * units].to_vec())
            .map(|v| v + noise * stream.normal())
            .collect();
        let axes = vec![Axis::count("trial", 6 * per), Axis::count("unit", units), Axis::numbers("bin", Some("s"), vec![0.5])];
        let table = Table::from_columns(vec![columns::from_numbers("direction", directions)]).unwrap();
        let responses = Responses::new("s", Tensor::new(axes, None, values).unwrap(), table, None).unwrap();
        let mut inputs = Inputs::new();
        inputs.push("responses", "", responses.into_artifact().unwrap());
        let scores: Scores = AnyStage::run(&NoiseCeiling, &inputs, &BTreeMap::new(), &Context::quiet(4)).unwrap().one("scores").unwrap();
        scores.scores[0].value
    }

    #[test]
    fn the_ceiling_is_one_without_noise_and_falls_with_it() {
        assert!((ceiling(0.0) - 1.0).abs() < 1e-9);
        let (some, much) = (ceiling(1.5), ceiling(30.0));
        assert!(some < 0.999 && some > 0.5 && much < 0.5, "{some} {much}");
    }
}
