//! `similarity.cca`: canonical correlations of two representations.
//!
//! For what: which directions do two populations share, whatever the linear map between them? Promises: the mean canonical correlation, plain, of
//! the strongest directions (SVCCA) or weighted by what they account for (PWCCA), all correlations, and p over permuted conditions. Refuses: so
//! many directions that correlations of 1 follow by construction. From: Raghu et al. 2017 (SVCCA); Morcos et al. 2018 (PWCCA).

use crate::failure::numerical;
use crate::paired::{Paired, Samples};
use crate::resampling::permuted;
use neuroflow_compute::geometry::{canonical_correlations, pwcca, svcca};
use neuroflow_compute::statistics::mean;
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::{Kind, Score, Scores, Table, columns};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

words! {
    /// Which canonical correlations count, and how much.
    pub enum Method {
        /// Those of the strongest directions of each side, alike.
        Svcca = "svcca" {
            /// The share of each side's variance that is kept.
            variance: f64 = 0.99, in 0.01..=1.0;
        },
        /// All, alike.
        Cca = "cca" {},
        /// All, weighted by how much of the first side each direction accounts for. Not symmetric.
        Pwcca = "pwcca" {},
    }
}

params! {
    /// Parameters of `similarity.cca`.
    pub struct CcaParams {
        /// The column that names the condition.
        by: String = "direction";
        /// The window over which responses are averaged, from stimulus onset; features have none.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// What a sample is.
        samples: Samples = Value::word("conditions");
        /// Which canonical correlations count, and how much.
        method: Method = Value::word("svcca");
        /// Permutations of conditions for p; 0 for none.
        permutations: usize = 200, in 0.0..=100000.0;
    }
}

/// The stage `similarity.cca`.
pub struct Cca;

const DOC: &str = r#"The mean canonical correlation of two sets of features. It is high by chance when directions are many and samples few, and
exactly 1 for some when the ranks of both sides sum to as many as there are samples, which is refused: keep fewer directions with `method =
svcca(variance = 0.8)`, use more samples, or `similarity.cka`. The null and p beside the score are those of the second side's conditions permuted.

```nf
pipeline example
input sessions = ingest.simulate()
one = ingest.trials(sessions["sim1"])
other = ingest.trials(sessions["sim2"])
shared = similarity.cca(one, other, by = "direction", method = svcca(variance = 0.4), permutations = 50)
report example { shared }
```"#;

impl Stage for Cca {
    type Params = CcaParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.cca",
            version: 2,
            summary: "Measures how strongly the shared directions of two representations correlate.",
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
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The mean correlation."),
                OutputSpec::new("correlations", Kind::Table, "", "Every canonical correlation."),
            ],
            params: Vec::new(),
            metrics: &["correlation"],
            sites: vec![ControlSite { control: "window", at: SiteAt::Parameter("window") }],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &CcaParams, context: &Context) -> Result<Outputs, StageError> {
        let paired = Paired::of(inputs, ["first", "second"], &params.by, &params.window, &params.samples)?;
        let of = |x: &Matrix, y: &Matrix| measure(&params.method, x, y);
        with_threads(context.threads, || {
            let found = of(&paired.x, &paired.y)?.ok_or_else(|| paired.constant("it has no correlations"))?;
            let [left, right] = found.directions;
            if left + right >= paired.len() {
                return Err(StageError::refused_with_help(
                    format!(
                        "{left} directions of {} and {right} of {} over {} samples: with as many directions as samples some correlations are 1 by construction",
                        paired.names[0],
                        paired.names[1],
                        paired.len()
                    ),
                    "keep fewer with `method = svcca(variance = …)`, use more samples with `samples = rows`, or use `similarity.cka`",
                ));
            }
            let mut score = Score::new("correlation", found.mean, paired.len());
            score.notes.push(format!("{left} and {right} directions"));
            let null = paired.null(params.permutations, context, |x, y| Ok(of(x, y)?.map(|found| found.mean)))?;
            permuted(&mut score, "conditions", found.mean, &null, |draw| draw);
            let ranks = (1..=found.correlations.len() as i64).collect();
            let table = Table::from_columns(vec![
                columns::from_integers("direction", ranks),
                columns::from_numbers("correlation", found.correlations),
            ])?;
            Outputs::new().with("scores", Scores::new(vec![score]))?.with("correlations", table)
        })
        .map_err(numerical)?
    }
}

struct Found {
    mean: f64,
    correlations: Vec<f64>,
    directions: [usize; 2],
}

fn measure(method: &Method, x: &Matrix, y: &Matrix) -> Result<Option<Found>, StageError> {
    if let Method::Svcca { variance } = method {
        let found = svcca(x, y, *variance).map_err(numerical)?;
        return Ok(found.map(|found| Found { mean: found.mean(), directions: found.kept, correlations: found.correlations }));
    }
    let Some(found) = canonical_correlations(x, y).map_err(numerical)? else { return Ok(None) };
    let mean = match method {
        Method::Pwcca {} => pwcca(x, y).map_err(numerical)?,
        _ => Some(mean(&found.correlations)),
    };
    Ok(mean.map(|mean| Found { mean, directions: found.ranks, correlations: found.correlations }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{features, golden_features, run_pair};

    #[test]
    fn means_are_those_of_the_formulas() {
        let Some((a, b)) = golden_features("subspace_tall") else { return };
        for (method, expected) in [("cca", 0.502_292_992_130_895), ("svcca", 0.512_150_664_174_602_3), ("pwcca", 0.696_529_083_836_544_8)] {
            let params = [("method", Value::word(method)), ("permutations", Value::Int(0))];
            let outputs = run_pair(&Cca, &a, &b, &params).unwrap();
            let scores: Scores = outputs.one("scores").unwrap();
            assert!((scores.scores[0].value - expected).abs() < 1e-9, "{method}");
            let table: Table = outputs.one("correlations").unwrap();
            assert!(table.numbers("correlation").unwrap().is_sorted_by(|a, b| a >= b));
        }
    }

    #[test]
    fn correlations_by_construction_and_constants_are_refused() {
        let Some((a, b)) = golden_features("subspace_wide") else { return };
        let said = run_pair(&Cca, &a, &b, &[("method", Value::word("cca"))]).unwrap_err().to_string();
        assert!(said.contains("1 by construction"), "{said}");
        let (a, flat) = (features(1, 20, 3, 0.0), features(2, 20, 1, f64::NAN));
        assert!(run_pair(&Cca, &a, &flat, &[]).unwrap_err().to_string().contains("does not vary"));
    }
}
