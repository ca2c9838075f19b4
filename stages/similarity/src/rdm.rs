//! `similarity.rdm`: how different the responses to each pair of conditions are.
//!
//! For what: the geometry of a representation, which can be compared across animals and models although units differ. Promises: one matrix over
//! sorted conditions, in rsatoolbox's conventions (condition means first; squared distances divided by the number of channels). Refuses: gaps, a
//! single condition.

use crate::conditions::Observations;
use crate::dissimilarity::{correlation, cosine, defined, euclidean, noise_covariance, noise_factor};
use crate::failure::numerical;
use neuroflow_compute::geometry::{crossnobis_distances, crossnobis_distances_by_pairs, mahalanobis_distances};
use neuroflow_compute::statistics::mean;
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::random::Stream;
use neuroflow_data::{Kind, Rdm};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

words! {
    /// Whose covariance the noise between trials has.
    pub enum Noise {
        /// One covariance of all residuals about condition means.
        Pooled = "pooled" {},
        /// A covariance of each fold; a pair of folds is whitened by the mean of its two.
        PerFold = "per_fold" {},
        /// None: units count alike.
        None = "none" {},
    }
}

words! {
    /// How two conditions are compared.
    pub enum Measure {
        /// 1 − Pearson correlation over units.
        Correlation = "correlation" {},
        /// 1 − cosine of the angle between the two patterns.
        Cosine = "cosine" {},
        /// Mean squared difference over units.
        Euclidean = "euclidean" {},
        /// As euclidean, in units of the noise between trials (covariance shrunk after Ledoit & Wolf).
        Mahalanobis = "mahalanobis" {},
        /// As mahalanobis, cross-validated over folds of trials: zero where there is no difference, on average.
        Crossnobis = "crossnobis" {
            /// Random folds of trials, when no column names the runs.
            folds: usize = 4, in 2.0..=1000.0;
            /// The column that names the run of each trial; every run is a fold and has every condition. Empty for random folds.
            runs: String = "";
            /// The noise that distances are measured in (covariances shrunk after Ledoit & Wolf).
            noise: Noise = Value::word("pooled");
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
        /// Take each condition's mean over units off first, so that overall strength does not count.
        remove_mean: bool = false;
    }
}

/// The stage `similarity.rdm`.
pub struct RdmStage;

const DOC: &str = r#"The representational dissimilarity matrix of a population or of a model's features (Kriegeskorte et al. 2008). Conditions are
averaged over trials first. Correlation distance ignores overall strength; `crossnobis` is the one to use when noise is strong, because its expected
value is zero where there is no difference. At most 65536 conditions, 16 GiB of dissimilarities.

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
            version: 2,
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
        let values = with_threads(context.threads, || dissimilarities(&observations, params, context.seed)).map_err(numerical)??;
        let name = match params.measure {
            Measure::Correlation {} => "correlation",
            Measure::Cosine {} => "cosine",
            Measure::Euclidean {} => "euclidean",
            Measure::Mahalanobis {} => "mahalanobis",
            Measure::Crossnobis { .. } => "crossnobis",
        };
        let rdm = Rdm::from_triangles(vec![observations.name.clone()], observations.axis.clone(), name, &[values])?;
        Outputs::new().with("rdm", rdm)
    }
}

fn dissimilarities(observations: &Observations, params: &RdmParams, seed: u64) -> Result<Vec<f64>, StageError> {
    let means = observations.means(|_| true);
    let flat = |patterns: Matrix| if params.remove_mean { without_row_means(&patterns) } else { patterns };
    let huge = "the distances pass the largest number; bring the responses to a smaller scale first";
    match &params.measure {
        Measure::Correlation {} => correlation(&flat(means)),
        Measure::Cosine {} => cosine(&flat(means)),
        Measure::Euclidean {} => euclidean(&flat(means)),
        Measure::Mahalanobis {} => {
            let noise = noise_factor(&residuals(observations, &means)?)?;
            defined(mahalanobis_distances(&flat(means), &noise).map_err(numerical)?, huge)
        }
        Measure::Crossnobis { folds, runs, noise } => {
            let (fold, count) =
                if runs.is_empty() { (random_folds(observations, *folds, seed)?, *folds) } else { folds_of_runs(observations, runs)? };
            let patterns: Vec<Matrix> = (0..count).map(|wanted| observations.means(|row| fold[row] == wanted)).collect();
            let found = match noise {
                Noise::Pooled {} => {
                    let noise = noise_factor(&residuals(observations, &means)?)?;
                    crossnobis_distances(&patterns.into_iter().map(flat).collect::<Vec<_>>(), Some(&noise))
                }
                Noise::None {} => crossnobis_distances(&patterns.into_iter().map(flat).collect::<Vec<_>>(), None),
                Noise::PerFold {} => {
                    let covariances = (0..count)
                        .map(|wanted| noise_covariance(&fold_residuals(observations, &fold, wanted, &patterns[wanted])?))
                        .collect::<Result<Vec<_>, _>>()?;
                    crossnobis_distances_by_pairs(&patterns.into_iter().map(flat).collect::<Vec<_>>(), &covariances)
                }
            };
            defined(found.map_err(numerical)?, huge)
        }
    }
}

/// Each condition's trials, dealt to folds in random order.
fn random_folds(observations: &Observations, folds: usize, seed: u64) -> Result<Vec<usize>, StageError> {
    let fewest = observations.members().iter().map(Vec::len).min().unwrap_or(0);
    if fewest < folds {
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
    Ok(fold)
}

/// The runs as folds, and their number.
fn folds_of_runs(observations: &Observations, column: &str) -> Result<(Vec<usize>, usize), StageError> {
    let labels = observations.table.texts(column)?;
    let mut runs = labels.clone();
    runs.sort();
    runs.dedup();
    if runs.len() < 2 {
        return Err(StageError::refused(format!(
            "{}: the column `{column}` names a single run; cross-validation needs at least 2",
            observations.name
        )));
    }
    let fold: Vec<usize> = labels.iter().map(|label| runs.binary_search(label).unwrap_or(0)).collect();
    let conditions = observations.axis.len();
    let mut there = vec![false; runs.len() * conditions];
    fold.iter().zip(&observations.condition).for_each(|(fold, condition)| there[fold * conditions + condition] = true);
    if let Some(missing) = there.iter().position(|there| !there) {
        return Err(StageError::refused_with_help(
            format!(
                "{}: run {} has no trial of condition {}; every run needs every condition",
                observations.name,
                runs[missing / conditions],
                observations.axis.coordinates.label(missing % conditions)
            ),
            "leave the run or the condition out, or use random folds",
        ));
    }
    Ok((fold, runs.len()))
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

/// Residuals of one fold's trials about the fold's own condition means.
fn fold_residuals(observations: &Observations, fold: &[usize], wanted: usize, means: &Matrix) -> Result<Matrix, StageError> {
    let rows: Vec<usize> = (0..fold.len()).filter(|&row| fold[row] == wanted).collect();
    if rows.len() <= means.rows() {
        return Err(StageError::refused_with_help(
            format!(
                "{}: fold {wanted} has {} trials of {} conditions: no noise is left to estimate",
                observations.name,
                rows.len(),
                means.rows()
            ),
            "use `noise = pooled`, or fewer folds",
        ));
    }
    Ok(Matrix::from_fn(rows.len(), observations.rows.cols(), |row, column| {
        observations.rows.row(rows[row])[column] - means.row(observations.condition[rows[row]])[column]
    }))
}

fn without_row_means(patterns: &Matrix) -> Matrix {
    let means: Vec<f64> = patterns.row_iter().map(mean).collect();
    Matrix::from_fn(patterns.rows(), patterns.cols(), |row, column| patterns.row(row)[column] - means[row])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::golden;
    use neuroflow_data::{Axis, Responses, Table, Tensor, Typed, columns};
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    /// The golden observations as a session: trials, conditions and runs.
    fn recorded() -> Option<Responses> {
        let (shape, values) = golden::array("../more/similarity/rdm_methods", "in_Z")?;
        let list = |name: &str| golden::array("../more/similarity/rdm_methods", name).unwrap().1;
        let axes = vec![Axis::count("trial", shape[0]), Axis::count("unit", shape[1]), Axis::numbers("bin", Some("s"), vec![0.5])];
        let trials = Table::from_columns(vec![
            columns::from_numbers("direction", list("in_condition")),
            columns::from_numbers("run", list("in_run")),
        ]);
        Some(Responses::new("s", Tensor::new(axes, None, values).unwrap(), trials.unwrap(), None).unwrap())
    }

    fn triangle(responses: &Responses, params: &[(&str, Value)]) -> Result<Vec<f64>, StageError> {
        let mut inputs = Inputs::new();
        inputs.push("of", "", responses.clone().into_artifact()?);
        let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        let rdm: Rdm = AnyStage::run(&RdmStage, &inputs, &params, &Context::quiet(3))?.one("rdm")?;
        Ok(rdm.triangle(0))
    }

    #[test]
    fn runs_and_means_are_those_of_rsatoolbox() {
        let Some(responses) = recorded() else { return };
        let crossnobis =
            |noise: &str| ("measure", Value::call("crossnobis", vec![("runs", Value::from("run")), ("noise", Value::word(noise))]));
        let flat = ("remove_mean", Value::from(true));
        for (name, params) in [
            ("out_correlation", vec![]),
            ("out_euclidean", vec![("measure", Value::word("euclidean"))]),
            ("out_euclidean_rm", vec![("measure", Value::word("euclidean")), flat]),
            ("out_crossnobis_identity", vec![crossnobis("none")]),
        ] {
            let expected = golden::array("../more/similarity/rdm_methods", name).unwrap().1;
            let found = triangle(&responses, &params).unwrap();
            assert!(found.iter().zip(&expected).all(|(a, b)| (a - b).abs() < 1e-9 * b.abs().max(1.0)), "{name}");
        }
        // One trial a condition and run: each run alone tells nothing of the noise.
        let said = triangle(&responses, &[crossnobis("per_fold")]).unwrap_err().to_string();
        assert!(said.contains("no noise is left"), "{said}");
        assert_eq!(triangle(&responses, &[crossnobis("pooled")]).unwrap().len(), 66);
    }

    /// Eight conditions of which the last two are the same.
    fn planted(per: usize, noise: f64) -> Responses {
        let mut stream = Stream::new(5);
        let units = 12;
        let patterns: Vec<f64> = (0..7 * units).map(|_| stream.normal()).collect();
        let conditions: Vec<usize> = (0..8 * per).map(|trial| trial % 8).collect();
        let values: Vec<f64> = conditions
            .iter()
            .flat_map(|&condition| (0..units).map(move |unit| condition.min(6) * units + unit))
            .map(|place| patterns[place] + noise * stream.normal())
            .collect();
        let axes = vec![Axis::count("trial", 8 * per), Axis::count("unit", units), Axis::numbers("bin", Some("s"), vec![0.5])];
        let trials = Table::from_columns(vec![
            columns::from_numbers("direction", conditions.iter().map(|&condition| condition as f64).collect()),
            columns::from_integers("run", (0..8 * per).map(|trial| (trial / 8 % 3) as i64).collect()),
        ]);
        Responses::new("s", Tensor::new(axes, None, values).unwrap(), trials.unwrap(), None).unwrap()
    }

    #[test]
    fn crossnobis_is_near_zero_where_there_is_no_difference_and_mahalanobis_is_not() {
        let responses = planted(30, 2.0);
        for noise in ["pooled", "per_fold"] {
            let measure = Value::call("crossnobis", vec![("runs", Value::from("run")), ("noise", Value::word(noise))]);
            let found = triangle(&responses, &[("measure", measure)]).unwrap();
            let others = found[..27].iter().sum::<f64>() / 27.0;
            assert!(found[27].abs() < 0.2 * others, "{noise}: {} {others}", found[27]);
        }
        let biased = triangle(&responses, &[("measure", Value::word("mahalanobis"))]).unwrap();
        assert!(biased[27] > 0.02);
    }

    #[test]
    fn runs_without_a_condition_and_single_trials_are_refused_by_name() {
        let responses = planted(3, 1.0);
        let said = |params: &[(&str, Value)]| triangle(&responses, params).unwrap_err().to_string();
        let measure = |runs: &str, folds: i64| {
            ("measure", Value::call("crossnobis", vec![("runs", Value::from(runs)), ("folds", Value::Int(folds))]))
        };
        assert!(said(&[measure("direction", 2)]).contains("has no trial of condition 1; every run"));
        assert!(said(&[measure("", 4)]).contains("the rarest condition has 3 trials"));
        assert!(said(&[measure("animal", 4)]).contains("animal"));
        let single = planted(1, 1.0);
        let said = triangle(&single, &[("measure", Value::word("mahalanobis"))]).unwrap_err().to_string();
        assert!(said.contains("a single trial"), "{said}");
    }
}
