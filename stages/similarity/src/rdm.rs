//! `similarity.rdm`: how different the responses to each pair of conditions are.
//!
//! For what: the geometry of a representation, which can be compared across animals and models although units differ. Promises: one matrix over sorted
//! conditions, in rsatoolbox's conventions (condition means first; squared distances divided by the number of channels). Refuses: gaps, a single condition.

use crate::conditions::Observations;
use crate::dissimilarity::{correlation, crossnobis, euclidean, mahalanobis, noise_precision};
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_data::{Kind, Rdm};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

words! {
    /// How two conditions are compared.
    pub enum Measure {
        /// 1 − Pearson correlation over units.
        Correlation = "correlation" {},
        /// Mean squared difference over units.
        Euclidean = "euclidean" {},
        /// As euclidean, in units of the noise between trials (covariance shrunk after Ledoit & Wolf).
        Mahalanobis = "mahalanobis" {},
        /// As mahalanobis, cross-validated over folds of trials: zero where there is no difference, on average.
        Crossnobis = "crossnobis" {
            /// Folds of trials.
            folds: usize = 4, in 2.0..=1000.0;
        },
    }
}

params! {
    /// Parameters of `similarity.rdm`.
    pub struct RdmParams {
        /// The column that names the condition.
        by: String = "direction";
        /// The window over which responses are averaged, from stimulus onset; features have none.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// How two conditions are compared.
        measure: Measure = Value::word("correlation");
    }
}

/// The stage `similarity.rdm`.
pub struct RdmStage;

const DOC: &str = r#"The representational dissimilarity matrix of a population or of a model's features (Kriegeskorte et al. 2008). Conditions are averaged over trials first.
Correlation distance ignores overall strength; `crossnobis` is the one to use when noise is strong, because its expected value is zero where there is no difference.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
brain = similarity.rdm(responses, by = "direction")
report example { brain }
```"#;

impl Stage for RdmStage {
    type Params = RdmParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.rdm",
            version: 1,
            summary: "Measures how different the responses to each pair of conditions are.",
            doc: DOC,
            inputs: vec![InputSpec::one(
                "of",
                &[Kind::Responses, Kind::Features],
                "trial × unit × bin, or stimulus × feature",
                "Responses, or a model's features.",
            )],
            outputs: vec![OutputSpec::new("rdm", Kind::Rdm, "rdm × condition × condition", "The dissimilarities.")],
            params: Vec::new(),
            metrics: &[],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("of") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &RdmParams, context: &Context) -> Result<Outputs, StageError> {
        let observations = Observations::of(inputs, "of", &params.by, &params.window)?;
        let values = dissimilarities(&observations, &params.measure, context.seed)?;
        let name = match params.measure {
            Measure::Correlation {} => "correlation",
            Measure::Euclidean {} => "euclidean",
            Measure::Mahalanobis {} => "mahalanobis",
            Measure::Crossnobis { .. } => "crossnobis",
        };
        let rdm = Rdm::from_triangles(vec![observations.name.clone()], observations.axis.clone(), name, &[values])?;
        Outputs::new().with("rdm", rdm)
    }
}

fn dissimilarities(observations: &Observations, measure: &Measure, seed: u64) -> Result<Vec<f64>, StageError> {
    let means = observations.means(|_| true);
    match measure {
        Measure::Correlation {} => correlation(&means),
        Measure::Euclidean {} => euclidean(&means),
        Measure::Mahalanobis {} => mahalanobis(&means, &noise_precision(&residuals(observations, &means)?)?),
        Measure::Crossnobis { folds } => {
            let fewest = observations.members().iter().map(Vec::len).min().unwrap_or(0);
            if fewest < *folds {
                return Err(StageError::refused(format!(
                    "{}: the rarest condition has {fewest} trials, {folds} folds need at least {folds}",
                    observations.name
                )));
            }
            let mut fold = vec![0usize; observations.condition.len()];
            let stream = Stream::new(seed).split("folds");
            for (condition, members) in observations.members().iter().enumerate() {
                let order = stream.split_index(condition as u64).permutation(members.len());
                order.iter().enumerate().for_each(|(place, &member)| fold[members[member]] = place % folds);
            }
            let precision = noise_precision(&residuals(observations, &means)?)?;
            let parts: Vec<Matrix> = (0..*folds).map(|wanted| observations.means(|row| fold[row] == wanted)).collect();
            crossnobis(&parts, Some(&precision))
        }
    }
}

fn residuals(observations: &Observations, means: &Matrix) -> Result<Matrix, StageError> {
    if observations.members().iter().any(|members| members.len() < 2) {
        return Err(StageError::refused(format!(
            "{}: noise can't be estimated, a condition has a single trial; use `correlation` or `euclidean`",
            observations.name
        )));
    }
    let rows = observations.rows.rows();
    Ok(Matrix::from_fn(rows, observations.rows.cols(), |row, column| {
        observations.rows.row(row)[column] - means.row(observations.condition[row])[column]
    }))
}
