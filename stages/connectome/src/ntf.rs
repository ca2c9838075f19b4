//! `connectome.ntf`: motifs, groups of units that are active together in the same trials at the same times.
//!
//! For what: patterns that trial averages hide. Promises: non-negative components with unit-length columns, weights in descending order, the rank by the
//! effective-number rule when a range is given, and how well restarts agree. Refuses: gaps, and negative values unless they are scaled. From: non-negative
//! CP by HALS; the rank rule of Dyballa et al. (companion code of "Neural Encoding Manifolds", `choosing-n-of-components`).

use crate::factorise::{Factors, Stopping, factor_match, factorise};
use crate::failure::numerical;
use neuroflow_compute::factor::thin_svd;
use neuroflow_compute::tensor::TensorRef;
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Kind, Responses, Score, Scores, Table, Tensor, columns};
use neuroflow_stage::error::require_finite;
use neuroflow_stage::params::Either;
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, Value, params, words,
};
use rayon::prelude::*;

words! {
    /// How activity is made non-negative.
    pub enum Scale {
        /// Not at all: negative values are refused.
        None = "none" {},
        /// Each unit to 0 to 1 over all its trials and bins.
        MinMax = "minmax" {},
    }
}

params! {
    /// Parameters of `connectome.ntf`.
    pub struct NtfParams {
        /// The number of components, or a range (half-open) from which the effective-number rule picks.
        rank: Either<usize, std::ops::Range<usize>> = 4, in 1.0..=64.0;
        /// How activity is made non-negative.
        scale: Scale = Value::word("minmax");
        /// Random starts for each rank.
        restarts: usize = 5, in 1.0..=1000.0;
        /// The most sweeps over all modes.
        sweeps: usize = 200, in 1.0..=100000.0;
        /// Stop when the relative error changes less than this in a sweep.
        tolerance: f64 = 1e-5, in 0.0..=1.0;
    }
}

/// The stage `connectome.ntf`.
pub struct Ntf;

const DOC: &str = r#"Activity `[unit × trial × bin]` is modelled as a sum of components, each a loading of units, of trials and a time course, all non-negative. With a range of ranks, each
rank is fitted from several starts; the effective number of components (normalised singular values of the unit factors) grows until the data hold no more, and the rank where it
stops growing is taken. `stability` below 0.8 says that the restarts disagree: then the rank is too high.
Not for activity whose timing differs from trial to trial: a component has one time course.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
motifs = connectome.ntf(responses, rank = 3, restarts = 2)
report example { motifs }
```"#;

/// What one rank came to.
struct Fit {
    rank: usize,
    best: Factors,
    effective_number: f64,
    stability: f64,
}

impl Stage for Ntf {
    type Params = NtfParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "connectome.ntf",
            version: 1,
            summary: "Finds motifs: groups of units that are active together in the same trials at the same times.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity.")],
            outputs: vec![
                OutputSpec::new("time", Kind::Tensor, "component × bin", "The time course of each component."),
                OutputSpec::new("units", Kind::Tensor, "component × unit", "How much each unit takes part."),
                OutputSpec::new("trials", Kind::Tensor, "component × trial", "How active each component is in each trial."),
                OutputSpec::new("motifs", Kind::Table, "", "Weight and share of each component."),
                OutputSpec::new("ranks", Kind::Table, "", "Error, effective number and stability by rank."),
                OutputSpec::new("scores", Kind::Scores, "", "How much is explained, and how well restarts agree."),
            ],
            params: Vec::new(),
            metrics: &["explained", "stability"],
            sites: vec![ControlSite { control: "circular_shift", at: SiteAt::Input("responses") }],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &NtfParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        require_finite(&format!("session {}", responses.session), responses.values())?;
        let (units, trials, bins) = (responses.n_units(), responses.n_trials(), responses.n_bins());
        if units * trials * bins == 0 {
            return Err(StageError::refused(format!(
                "session {} has {units} units, {trials} trials and {bins} bins: nothing to factorise",
                responses.session
            )));
        }
        let values = arranged(&responses, &params.scale)?;
        if values.iter().all(|value| *value == 0.0) {
            return Err(StageError::refused(format!(
                "session {}: all activity is the same, there is nothing to factorise",
                responses.session
            )));
        }
        let ranks: Vec<usize> = match &params.rank {
            Either::Left(rank) => vec![*rank],
            Either::Right(range) => range.clone().collect(),
        };
        let shape = [units, trials, bins];
        let tensor = TensorRef::new(&shape, &values).map_err(numerical)?;
        let stream = Stream::new(context.seed).split("ntf");
        let mut fits = Vec::with_capacity(ranks.len());
        for (done, &rank) in ranks.iter().enumerate() {
            context.cancel.check()?;
            fits.push(fit(tensor, rank, params, &stream, context)?);
            context.progress.report(done as u64 + 1, ranks.len() as u64);
        }
        let chosen = choose(&fits);
        let fit = &fits[chosen];
        outputs(&responses, &fits, fit)
    }
}

/// Activity as `[unit × trial × bin]`, non-negative.
fn arranged(responses: &Responses, scale: &Scale) -> Result<Vec<f64>, StageError> {
    let trials = responses.n_trials();
    let mut values = Vec::with_capacity(responses.values().values().len());
    for unit in 0..responses.n_units() {
        let start = values.len();
        (0..trials).for_each(|trial| values.extend_from_slice(responses.trace(trial, unit)));
        let trace = &mut values[start..];
        let (low, high) = trace.iter().fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| (low.min(*value), high.max(*value)));
        match scale {
            Scale::MinMax {} => {
                let span = if high > low { high - low } else { 1.0 };
                trace.iter_mut().for_each(|value| *value = (*value - low) / span);
            }
            Scale::None {} if low < 0.0 => {
                let label = responses.units().coordinates.label(unit);
                return Err(StageError::refused_with_help(
                    format!(
                        "session {}: unit {label} has negative values ({low}), a non-negative factorisation can't have them",
                        responses.session
                    ),
                    "write `scale = minmax`",
                ));
            }
            Scale::None {} => {}
        }
    }
    Ok(values)
}

fn fit(tensor: TensorRef<'_>, rank: usize, params: &NtfParams, stream: &Stream, context: &Context) -> Result<Fit, StageError> {
    let stopping = Stopping { sweeps: params.sweeps, tolerance: params.tolerance };
    let one = |restart: usize| factorise(tensor, rank, stopping, stream.split_index(rank as u64).split_index(restart as u64));
    // Each restart has a stream of its own, so the threads' number does not matter.
    let runs = with_threads(context.threads, || (0..params.restarts).into_par_iter().map(one).collect::<Result<Vec<_>, _>>())
        .map_err(numerical)?;
    let runs = runs.map_err(numerical)?;
    let numbers = runs.iter().map(|run| effective_number(&run.modes[0])).collect::<Result<Vec<_>, _>>()?;
    let mut best = 0;
    for (position, run) in runs.iter().enumerate() {
        if run.relative_error < runs[best].relative_error {
            best = position;
        }
    }
    let others: Vec<f64> = runs
        .iter()
        .enumerate()
        .filter(|(position, _)| *position != best)
        .map(|(_, run)| factor_match(&runs[best].modes, &run.modes))
        .collect::<Result<_, _>>()
        .map_err(numerical)?;
    let stability = if others.is_empty() { 1.0 } else { others.iter().sum::<f64>() / others.len() as f64 };
    let effective_number = numbers.iter().sum::<f64>() / numbers.len() as f64;
    Ok(Fit { rank, best: runs[best].clone(), effective_number, stability })
}

/// Unit-length columns as `[component × unit]`, the mean over components taken away; the squared singular values over their largest, summed.
fn effective_number(units: &Matrix) -> Result<f64, StageError> {
    let (rows, rank) = units.shape();
    if rank < 2 {
        return Ok(1.0);
    }
    let centred = Matrix::from_fn(rank, rows, |component, unit| {
        let row = units.row(unit);
        row[component] - row.iter().sum::<f64>() / rank as f64
    });
    let values = thin_svd(&centred).map_err(numerical)?.values;
    let most = values.iter().fold(0.0f64, |most, value| most.max(value * value));
    Ok(if most > 0.0 { values.iter().map(|value| value * value / most).sum() } else { 1.0 })
}

/// The rank after which the effective number, smoothed by a Gaussian of 1.5 ranks, stops growing by at least a tenth of its steepest growth.
fn choose(fits: &[Fit]) -> usize {
    if fits.len() < 2 {
        return 0;
    }
    let smooth: Vec<f64> = (0..fits.len())
        .map(|at| {
            let weights: Vec<f64> =
                fits.iter().map(|fit| (-0.5 * ((fit.rank as f64 - fits[at].rank as f64) / 1.5).powi(2)).exp()).collect();
            weights.iter().zip(fits).map(|(weight, fit)| weight * fit.effective_number).sum::<f64>() / weights.iter().sum::<f64>()
        })
        .collect();
    let growth: Vec<f64> = smooth.windows(2).map(|pair| pair[1] - pair[0]).collect();
    let steepest = growth.iter().copied().fold(0.0, f64::max);
    growth.iter().position(|growth| *growth < 0.1 * steepest).unwrap_or(fits.len() - 1)
}

fn outputs(responses: &Responses, fits: &[Fit], chosen: &Fit) -> Result<Outputs, StageError> {
    let rank = chosen.rank;
    let components = Axis::labels("component", (1..=rank).map(|component| format!("motif {component}")).collect());
    let by_component = |mode: usize, axis: &Axis| -> Result<Tensor, StageError> {
        let factor = &chosen.best.modes[mode];
        let values: Vec<f64> = (0..rank).flat_map(|component| (0..axis.len()).map(move |at| factor.row(at)[component])).collect();
        Ok(Tensor::new(vec![components.clone(), axis.clone()], None, values)?)
    };
    let axes = responses.values().axes();
    let total: f64 = chosen.best.weights.iter().sum();
    let motifs = Table::from_columns(vec![
        columns::from_texts("component", &(1..=rank).map(|component| format!("motif {component}")).collect::<Vec<_>>()),
        columns::from_numbers("weight", chosen.best.weights.clone()),
        columns::from_numbers("share", chosen.best.weights.iter().map(|weight| weight / total.max(f64::MIN_POSITIVE)).collect()),
    ])?;
    let ranks = Table::from_columns(vec![
        columns::from_integers("rank", fits.iter().map(|fit| fit.rank as i64).collect()),
        columns::from_numbers("relative_error", fits.iter().map(|fit| fit.best.relative_error).collect()),
        columns::from_numbers("effective_number", fits.iter().map(|fit| fit.effective_number).collect()),
        columns::from_numbers("stability", fits.iter().map(|fit| fit.stability).collect()),
    ])?;
    let n = responses.n_units() * responses.n_trials() * responses.n_bins();
    let mut explained = Score::new("explained", 1.0 - chosen.best.relative_error.powi(2), n);
    explained.notes.push(format!("rank {rank}: share of the squared norm that the components explain"));
    let mut stability = Score::new("stability", chosen.stability, n);
    if chosen.stability < 0.8 {
        stability.notes.push("unstable: restarts find different components, the rank is too high for these data".into());
    }
    Outputs::new()
        .with("time", by_component(2, &axes[2])?)?
        .with("units", by_component(0, &axes[1])?)?
        .with("trials", by_component(1, &axes[0])?)?
        .with("motifs", motifs)?
        .with("ranks", ranks)?
        .with("scores", Scores::new(vec![explained, stability]))
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::Typed;
    use neuroflow_stage::AnyStage;
    use std::collections::BTreeMap;

    fn planted(noise: f64) -> Responses {
        let (trials, units, bins) = (12, 10, 8);
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
                    let first = if unit < 5 && trial % 2 == 0 { (bin as f64 - 2.0).powi(2) * -0.2 + 1.0 } else { 0.0 };
                    let second = if unit >= 5 && trial % 3 == 0 { 0.3 * bin as f64 } else { 0.0 };
                    values.push(first.max(0.0) + second + noise * stream.uniform());
                }
            }
        }
        let table = Table::from_columns(vec![columns::from_numbers("direction", vec![0.0; trials])]).unwrap();
        Responses::new("s", Tensor::new(axes, None, values).unwrap(), table, None).unwrap()
    }

    fn run(responses: Responses, params: &[(&str, Value)], threads: usize) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        inputs.push("responses", "", responses.into_artifact()?);
        let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        AnyStage::run(&Ntf, &inputs, &params, &Context { threads, ..Context::quiet(3) })
    }

    #[test]
    fn two_planted_motifs_are_found_with_their_units() {
        let outputs = run(planted(0.01), &[("rank", 2.into()), ("scale", Value::word("none"))], 1).unwrap();
        let scores: Scores = outputs.one("scores").unwrap();
        assert!(scores.get("explained").unwrap().value > 0.99);
        let units: Tensor = outputs.one("units").unwrap();
        let share = |component: usize| units.row(component)[..5].iter().sum::<f64>() / units.row(component).iter().sum::<f64>();
        let (a, b) = (share(0), share(1));
        assert!((a > 0.95 && b < 0.05) || (a < 0.05 && b > 0.95), "{a} {b}");
    }

    #[test]
    fn the_same_bytes_on_any_number_of_threads() {
        let range = Value::Range(Box::new(1.into()), Box::new(4.into()));
        let one = run(planted(0.1), &[("rank", range.clone())], 1).unwrap();
        let four = run(planted(0.1), &[("rank", range)], 4).unwrap();
        for name in ["time", "units", "trials", "ranks", "scores"] {
            assert_eq!(one.get(name).unwrap().encode().unwrap(), four.get(name).unwrap().encode().unwrap());
        }
    }

    #[test]
    fn negative_values_without_scaling_are_refused() {
        let responses = planted(0.0);
        let values: Vec<f64> = responses.values().values().iter().map(|value| value - 0.5).collect();
        let shifted = responses.with_values(Tensor::new(responses.values().axes().to_vec(), None, values).unwrap(), None).unwrap();
        let error = run(shifted, &[("scale", Value::word("none"))], 1).unwrap_err();
        assert!(error.to_string().contains("negative values") && error.help() == Some("write `scale = minmax`"));
    }
}
