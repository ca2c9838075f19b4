//! `connectome.rank`: how many motifs the data hold.
//!
//! For what: the one number that a factorisation does not find by itself. Promises: for every rank the error on entries that the fit did not see, core consistency, how
//! well restarts agree, and the effective number of components; a choice by one of them. Refuses: gaps, and negative values unless they are scaled. From: held-out
//! entries as in Wold (1978) and Owen & Perry (2009), one standard error rule (Breiman et al. 1984); core consistency (Bro & Kiers 2003); stability by the factor match
//! score (Williams et al. 2018); effective number after Dyballa et al. (2024).

use crate::factorise::{Activity, Counting, Fit, Method, Scale, agreement, fit, one, where_growth_stops};
use crate::failure::numerical;
use neuroflow_compute::nonnegative::{Decomposition, Entries, Loss, Stopping, core_consistency};
use neuroflow_compute::with_threads;
use neuroflow_data::random::Stream;
use neuroflow_data::{Kind, Responses, Score, Scores, Table, columns};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, Value, params, words,
};
use rayon::prelude::*;

words! {
    /// What decides.
    pub enum Criterion {
        /// The smallest rank whose error on held-out entries is within one standard error of the least.
        HeldOut = "held_out" {},
        /// The largest rank whose core consistency is at least this many percent.
        CoreConsistency = "core_consistency" {
            /// In percent.
            least: f64 = 50.0, in 0.0..=100.0;
        },
        /// The largest rank whose restarts match at least this well.
        Stability = "stability" {
            /// The factor match score.
            least: f64 = 0.8, in 0.0..=1.0;
        },
        /// Where the effective number of components stops growing.
        EffectiveNumber = "effective_number" {},
    }
}

params! {
    /// Parameters of `connectome.rank`.
    pub struct RankParams {
        /// The ranks that are tried (half-open).
        ranks: std::ops::Range<usize> = Value::Range(Box::new(1.into()), Box::new(9.into())), in 1.0..=65.0;
        /// What decides.
        criterion: Criterion = Value::word("held_out");
        /// How activity is made non-negative.
        scale: Scale = Value::word("minmax");
        /// Parts that the entries are cut into at random; each is held out once.
        folds: usize = 5, in 2.0..=50.0;
        /// Random starts for each rank.
        restarts: usize = 4, in 1.0..=1000.0;
        /// The most sweeps over all modes.
        sweeps: usize = 200, in 1.0..=100000.0;
        /// Stop when the relative error changes less than this in a sweep.
        tolerance: f64 = 1e-5, in 0.0..=1.0;
    }
}

/// The stage `connectome.rank`.
pub struct Rank;

const DOC: &str = r#"Every rank is fitted to all entries from several starts, and to the entries outside of each fold. The error on entries that were held out falls while components find
structure and rises when they find noise; the error on all entries always falls. Core consistency near 100 % says that components stand on their own. Look at all columns: where they disagree,
the data do not decide. Entries of one trace are correlated, so held-out entries are not quite new: the rank found is rather too high than too low.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
choice = connectome.rank(responses, ranks = 1 .. 3, restarts = 1, folds = 2, sweeps = 10)
report example { choice }
```"#;

impl Stage for Rank {
    type Params = RankParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "connectome.rank",
            version: 2,
            summary: "Finds how many motifs the data hold: held-out error, core consistency and stability by rank.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity.")],
            outputs: vec![
                OutputSpec::new("ranks", Kind::Table, "", "Errors, core consistency, stability and effective number by rank."),
                OutputSpec::new("scores", Kind::Scores, "", "The rank that was chosen, and its numbers."),
            ],
            params: Vec::new(),
            metrics: &["rank", "held_out_error", "core_consistency", "stability"],
            sites: vec![ControlSite { control: "circular_shift", at: SiteAt::Input("responses") }],
            transductive: false,
            exactness: Exactness::OnGpu(1e-3),
        }
    }

    fn run(&self, inputs: &Inputs, params: &RankParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let activity = Activity::new(&responses, &params.scale, false, &Counting::Equal {})?;
        let n = activity.values.len();
        if n < 2 * params.folds {
            return Err(StageError::refused(format!(
                "session {} has {n} values; {} folds need at least {}",
                responses.session,
                params.folds,
                2 * params.folds
            )));
        }
        if params.restarts < 2 && matches!(params.criterion, Criterion::Stability { .. }) {
            return Err(StageError::refused_with_help(
                "`criterion = stability` asks how well restarts agree, and a single one agrees with nobody",
                "write `restarts = 2` or more, or choose another criterion",
            ));
        }
        let stopping = Stopping { sweeps: params.sweeps, tolerance: params.tolerance };
        let method = Method::Hals { extrapolate: true, passes: 5 };
        let stream = Stream::new(context.seed).split("rank");
        let fold = folds(n, params.folds, &stream);
        let ranks: Vec<usize> = params.ranks.clone().collect();
        let mut rows = Vec::with_capacity(ranks.len());
        for (done, &rank) in ranks.iter().enumerate() {
            context.cancel.check()?;
            let entries = Entries::Dense(activity.tensor()?);
            let fitted = fit(entries.into(), rank, &method, Loss::Frobenius, stopping, params.restarts, &stream, context)?;
            let consistency = core_consistency(activity.tensor()?, &fitted.best).map_err(numerical)?;
            let (errors, found) = held_out(&activity, &fold, rank, &method, params, &stream, context)?;
            let mean = errors.iter().sum::<f64>() / errors.len() as f64;
            let variance = errors.iter().map(|error| (error - mean).powi(2)).sum::<f64>() / (errors.len() - 1) as f64;
            rows.push(Row { fit: fitted, consistency, mean, error: (variance / errors.len() as f64).sqrt(), between: agreement(&found)? });
            context.progress.report(done as u64 + 1, ranks.len() as u64);
        }
        let chosen = choose(&rows, &params.criterion);
        outputs(&rows, chosen, params.folds, n)
    }
}

/// What is known of a rank.
struct Row {
    fit: Fit,
    consistency: f64,
    /// Mean and standard error of the held-out error over folds.
    mean: f64,
    error: f64,
    /// How well the fits of the folds match each other.
    between: f64,
}

/// The fold of each entry: parts of equal size but for one, at random.
fn folds(n: usize, folds: usize, stream: &Stream) -> Vec<usize> {
    let mut fold = vec![0; n];
    for (place, entry) in stream.split("folds").permutation(n).into_iter().enumerate() {
        fold[entry] = place % folds;
    }
    fold
}

/// For each fold the relative error on its entries of a fit to all others, the best of the restarts by what they saw; and the fits.
fn held_out(
    activity: &Activity,
    fold: &[usize],
    rank: usize,
    method: &Method,
    params: &RankParams,
    stream: &Stream,
    context: &Context,
) -> Result<(Vec<f64>, Vec<Decomposition>), StageError> {
    let tensor = activity.tensor()?;
    let jobs: Vec<(usize, usize)> = (0..params.folds).flat_map(|part| (0..params.restarts).map(move |restart| (part, restart))).collect();
    let stopping = Stopping { sweeps: params.sweeps, tolerance: params.tolerance };
    let run = |&(part, restart): &(usize, usize)| {
        if context.cancel.check().is_err() {
            return Ok(None);
        }
        let weights: Vec<f64> = fold.iter().map(|own| f64::from(*own != part)).collect();
        let stream = stream.split("held out").split_index(rank as u64).split_index(part as u64).split_index(restart as u64);
        one(Entries::Weighted(tensor, &weights).into(), rank, method, Loss::Frobenius, stopping, stream).map(Some)
    };
    let runs = with_threads(context.threads, || jobs.par_iter().map(run).collect::<Result<Option<Vec<_>>, _>>())
        .map_err(numerical)?
        .map_err(numerical)?;
    let Some(runs) = runs else {
        context.cancel.check()?;
        return Err(StageError::refused("no fold came to an end"));
    };
    let mut errors = Vec::with_capacity(params.folds);
    let mut found = Vec::with_capacity(params.folds);
    for (part, runs) in runs.chunks(params.restarts).enumerate() {
        let Some(best) = runs.iter().min_by(|a, b| a.loss.total_cmp(&b.loss)) else { continue };
        let mut factors = best.factors.clone();
        for row in 0..factors[0].rows() {
            factors[0].row_mut(row).iter_mut().zip(&best.weights).for_each(|(value, weight)| *value *= weight);
        }
        let model = neuroflow_compute::tensor::reconstruct(&factors).map_err(numerical)?;
        let (mut square, mut norm) = (0.0, 0.0);
        for ((value, model), _) in activity.values.iter().zip(&model).zip(fold).filter(|(_, own)| **own == part) {
            square += (value - model).powi(2);
            norm += value * value;
        }
        errors.push(if norm > 0.0 { (square / norm).sqrt() } else { 0.0 });
        found.push(best.clone());
    }
    Ok((errors, found))
}

fn choose(rows: &[Row], criterion: &Criterion) -> usize {
    let largest = |good: &dyn Fn(&Row) -> bool| rows.iter().rposition(good).unwrap_or(0);
    match criterion {
        Criterion::HeldOut {} => {
            let least = rows.iter().min_by(|a, b| a.mean.total_cmp(&b.mean)).map_or(f64::INFINITY, |row| row.mean + row.error);
            rows.iter().position(|row| row.mean <= least).unwrap_or(0)
        }
        Criterion::CoreConsistency { least } => largest(&|row| row.consistency >= *least),
        Criterion::Stability { least } => largest(&|row| row.fit.stability.is_some_and(|stability| stability >= *least)),
        Criterion::EffectiveNumber {} => where_growth_stops(&rows.iter().map(|row| row.fit.clone()).collect::<Vec<_>>()),
    }
}

fn outputs(rows: &[Row], chosen: usize, folds: usize, n: usize) -> Result<Outputs, StageError> {
    let column = |of: &dyn Fn(&Row) -> f64| rows.iter().map(of).collect::<Vec<f64>>();
    let ranks = Table::from_columns(vec![
        columns::from_integers("rank", rows.iter().map(|row| row.fit.rank as i64).collect()),
        columns::from_numbers("relative_error", column(&|row| row.fit.best.relative_error)),
        columns::from_numbers("held_out_error", column(&|row| row.mean)),
        columns::from_numbers("held_out_standard_error", column(&|row| row.error)),
        columns::from_numbers("core_consistency", column(&|row| row.consistency)),
        columns::from_optional_numbers("stability", rows.iter().map(|row| row.fit.stability).collect()),
        columns::from_numbers("stability_over_folds", column(&|row| row.between)),
        columns::from_numbers("effective_number", column(&|row| row.fit.effective_number)),
    ])?;
    let Some(row) = rows.get(chosen) else { return Err(StageError::refused("there is no rank to choose from")) };
    let mut error = Score::new("held_out_error", row.mean, folds);
    error.notes.push("relative error on entries that the fit did not see; 1 is that of no model at all".into());
    let mut consistency = Score::new("core_consistency", row.consistency, n);
    consistency.unit = Some("%".into());
    let mut scores = vec![Score::new("rank", row.fit.rank as f64, rows.len()), error, consistency];
    scores.extend(row.fit.stability.map(|stability| Score::new("stability", stability, n)));
    Outputs::new().with("ranks", ranks)?.with("scores", Scores::new(scores))
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Axis, Tensor, Typed};
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    /// Three groups of units, each with its own trials and its own time.
    fn planted() -> Responses {
        let (trials, units, bins) = (9, 9, 8);
        let mut stream = Stream::new(5);
        let axes = vec![
            Axis::count("trial", trials),
            Axis::count("unit", units),
            Axis::numbers("bin", Some("s"), (0..bins).map(|b| b as f64).collect()),
        ];
        let mut values = Vec::new();
        for trial in 0..trials {
            for unit in 0..units {
                for bin in 0..bins {
                    let active = (trial + unit / 3) % 3 == 0;
                    let course = [bin as f64 / 7.0, 1.0 - bin as f64 / 7.0, f64::from(bin % 2 == 0)][unit / 3];
                    values.push(if active { course } else { 0.0 } + 0.1 * stream.uniform());
                }
            }
        }
        let table = Table::from_columns(vec![columns::from_numbers("direction", vec![0.0; trials])]).unwrap();
        Responses::new("s", Tensor::new(axes, None, values).unwrap(), table, None).unwrap()
    }

    fn run(responses: Responses, params: &[(&str, Value)], threads: usize) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        inputs.push("responses", "", responses.into_artifact()?);
        let mut given: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        given.entry("ranks".into()).or_insert(Value::Range(Box::new(1.into()), Box::new(6.into())));
        given.entry("scale".into()).or_insert(Value::word("none"));
        AnyStage::run(&Rank, &inputs, &given, &Context { threads, ..Context::quiet(3) })
    }

    fn chosen(criterion: &str) -> f64 {
        let outputs = run(planted(), &[("criterion", Value::word(criterion))], 1).unwrap();
        outputs.one::<Scores>("scores").unwrap().get("rank").unwrap().value
    }

    #[test]
    fn the_planted_rank_is_chosen_by_held_out_entries_and_by_core_consistency() {
        // The constant part of the noise may count as one component more.
        assert!([3.0, 4.0].contains(&chosen("held_out")), "{}", chosen("held_out"));
        assert!([3.0, 4.0].contains(&chosen("core_consistency")), "{}", chosen("core_consistency"));
    }

    #[test]
    fn the_error_on_all_entries_falls_and_the_same_bytes_come_on_any_number_of_threads() {
        let (one, four) = (run(planted(), &[], 1).unwrap(), run(planted(), &[], 4).unwrap());
        for name in ["ranks", "scores"] {
            assert_eq!(one.get(name).unwrap().encode().unwrap(), four.get(name).unwrap().encode().unwrap());
        }
        let table: Table = one.one("ranks").unwrap();
        let column = |name: &str| columns::numbers(table.batch(), name).unwrap();
        assert!(column("relative_error").windows(2).all(|pair| pair[1] <= pair[0] + 1e-3));
        assert!(column("held_out_error").iter().zip(column("relative_error")).all(|(held, own)| *held > own - 0.02));
        assert_eq!(column("core_consistency")[0], 100.0);
    }

    #[test]
    fn too_few_values_are_refused() {
        let axes = vec![Axis::count("trial", 1), Axis::count("unit", 2), Axis::numbers("bin", Some("s"), vec![0.0, 1.0])];
        let table = Table::from_columns(vec![columns::from_numbers("direction", vec![0.0])]).unwrap();
        let few = Responses::new("s", Tensor::new(axes, None, vec![1.0, 2.0, 3.0, 4.0]).unwrap(), table, None).unwrap();
        assert!(run(few, &[], 1).unwrap_err().to_string().contains("5 folds need at least 10"));
    }
}
