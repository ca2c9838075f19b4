//! `connectome.ntf`: motifs, groups of units that are active together in the same trials at the same times.
//!
//! For what: patterns that trial averages hide. Promises: non-negative components with unit-length columns, weights in descending order, the rank by the
//! effective-number rule when a range is given, and how well restarts agree. Refuses: gaps unless they are masked, and negative values unless they are scaled. From:
//! non-negative CP by extrapolated HALS (Ang et al. 2020), multiplicative updates or bounded quasi-Newton steps; the rank rule of Dyballa et al. (companion code of "Neural Encoding Manifolds", `choosing-n-of-components`).

use crate::factorise::{Activity, Counting, Fit, Method, Misfit, Scale, check_method, fit, where_growth_stops};
use crate::stability::stability;
use neuroflow_compute::nonnegative::Stopping;
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Kind, Responses, Score, Scores, Table, Tensor, columns};
use neuroflow_stage::params::Either;
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, Value, params, words,
};

words! {
    /// What becomes of gaps (NaN).
    pub enum Gaps {
        /// They are refused.
        Refuse = "refuse" {},
        /// They are left out of the fit: nothing is put in their place.
        Mask = "mask" {},
    }
}

words! {
    /// How values are held.
    pub enum Storage {
        /// Listed when fewer than a tenth is not zero, else all.
        Auto = "auto" {},
        /// All values.
        Dense = "dense" {},
        /// Only those that are not zero: for spikes in fine bins. Not with gaps or weights.
        Sparse = "sparse" {},
    }
}

words! {
    /// In which precision the activity is held and contracted.
    pub enum Precision {
        /// 64 bits.
        Double = "double" {},
        /// 32 bits, in half the time or less: the error of a fit is the same to about four digits. For method `hals` on dense activity without gaps or weights.
        Single = "single" {},
    }
}

params! {
    /// Parameters of `connectome.ntf`.
    pub struct NtfParams {
        /// The number of components, or a range (half-open) from which the effective-number rule picks. See `connectome.rank` for other rules.
        rank: Either<usize, std::ops::Range<usize>> = 4, in 1.0..=64.0;
        /// How activity is made non-negative.
        scale: Scale = Value::word("minmax");
        /// How the factors are found.
        method: Method = Value::word("hals");
        /// What they make small.
        loss: Misfit = Value::word("frobenius");
        /// What becomes of gaps (NaN).
        gaps: Gaps = Value::word("refuse");
        /// How much each value counts.
        weights: Counting = Value::word("equal");
        /// How values are held.
        storage: Storage = Value::word("auto");
        /// In which precision the activity is held and contracted. In single precision, a step with `gpu = prefer` or `gpu = require` runs its starts on a graphics card.
        precision: Precision = Value::word("double");
        /// Random starts for each rank.
        restarts: usize = 5, in 1.0..=1000.0;
        /// The most sweeps over all modes (for `lbfgsb`, steps).
        sweeps: usize = 200, in 1.0..=100000.0;
        /// Stop when the relative error (for `kl`, the divergence over the sum of the data) changes less than this in a sweep.
        tolerance: f64 = 1e-5, in 0.0..=1.0;
    }
}

/// The stage `connectome.ntf`.
pub struct Ntf;

const DOC: &str = r#"Activity `[unit × trial × bin]` is modelled as a sum of components, each a loading of units, of trials and a time course, all non-negative. With a range of ranks, each
rank is fitted from several starts; the effective number of components (normalised singular values of the unit factors) grows until the data hold no more, and the rank where it
stops growing is taken. `stability` is the factor match score of the restarts (components paired, product of cosines over modes, mean); below 0.8 they disagree: then the rank is too
high; a single start has none. Spike counts are best fitted by `loss = kl, method = mu, scale = none`; `gaps = mask` leaves missing values out instead of taking them for 0.
Not for activity whose timing differs from trial to trial: a component has one time course.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
motifs = connectome.ntf(responses, rank = 3, restarts = 2)
report example { motifs }
```"#;

impl Stage for Ntf {
    type Params = NtfParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "connectome.ntf",
            version: 3,
            summary: "Finds motifs: groups of units that are active together in the same trials at the same times.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity.")],
            outputs: vec![
                OutputSpec::new("time", Kind::Tensor, "component × bin", "The time course of each component."),
                OutputSpec::new("units", Kind::Tensor, "component × unit", "How much each unit takes part."),
                OutputSpec::new("trials", Kind::Tensor, "component × trial", "How active each component is in each trial."),
                OutputSpec::new("motifs", Kind::Table, "", "Weight and share of each component, and how well other starts have it."),
                OutputSpec::new("ranks", Kind::Table, "", "Error, effective number and stability by rank."),
                OutputSpec::new("scores", Kind::Scores, "", "How much is explained, and how well restarts agree."),
            ],
            params: Vec::new(),
            metrics: &["explained", "stability", "deviance_explained"],
            sites: vec![ControlSite { control: "circular_shift", at: SiteAt::Input("responses") }],
            transductive: false,
            exactness: Exactness::OnGpu(1e-3),
        }
    }

    fn run(&self, inputs: &Inputs, params: &NtfParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let mut activity = Activity::new(&responses, &params.scale, matches!(params.gaps, Gaps::Mask {}), &params.weights)?;
        let single = matches!(params.precision, Precision::Single {});
        if single {
            check_single(params, &activity)?;
            activity.make_single();
        }
        match params.storage {
            Storage::Sparse {} if activity.weights.is_some() || matches!(params.gaps, Gaps::Mask {}) => {
                return Err(StageError::refused_with_help(
                    "sparse storage takes every value that is not listed for 0, so it knows neither gaps nor weights",
                    "write `storage = dense`, or leave out `gaps = mask` and `weights`",
                ));
            }
            Storage::Sparse {} => activity.make_sparse()?,
            Storage::Auto {}
                if !single && activity.weights.is_none() && activity.density() < 0.1 && !matches!(params.method, Method::Lbfgsb {}) =>
            {
                activity.make_sparse()?;
            }
            Storage::Auto {} | Storage::Dense {} => {}
        }
        check_method(&params.method, &params.loss, activity.sparse.is_some())?;
        let data = activity.data()?;
        let ranks: Vec<usize> = match &params.rank {
            Either::Left(rank) => vec![*rank],
            Either::Right(range) => range.clone().collect(),
        };
        let stream = Stream::new(context.seed).split("ntf");
        let stopping = Stopping { sweeps: params.sweeps, tolerance: params.tolerance };
        let mut fits = Vec::with_capacity(ranks.len());
        for (done, &rank) in ranks.iter().enumerate() {
            context.cancel.check()?;
            fits.push(fit(data, rank, &params.method, params.loss.loss(), stopping, params.restarts, &stream, context)?);
            context.progress.report(done as u64 + 1, ranks.len() as u64);
        }
        let chosen = where_growth_stops(&fits);
        outputs(&responses, &activity, params, &fits, &fits[chosen])
    }
}

/// Refuses what single precision is not for.
fn check_single(params: &NtfParams, activity: &Activity) -> Result<(), StageError> {
    let (what, help) = if !matches!(params.method, Method::Hals { .. }) {
        ("single precision is for method `hals`", "leave out `precision` or `method`")
    } else if activity.weights.is_some() {
        ("single precision knows neither gaps nor weights", "leave out `precision`")
    } else if matches!(params.storage, Storage::Sparse {}) {
        ("single precision is for dense storage", "leave out `precision` or `storage`")
    } else {
        return Ok(());
    };
    Err(StageError::refused_with_help(what, help))
}

fn outputs(responses: &Responses, activity: &Activity, params: &NtfParams, fits: &[Fit], chosen: &Fit) -> Result<Outputs, StageError> {
    let rank = chosen.rank;
    let components = Axis::labels("component", (1..=rank).map(|component| format!("motif {component}")).collect());
    let by_component = |mode: usize, axis: &Axis| -> Result<Tensor, StageError> {
        let factor = &chosen.best.factors[mode];
        let values: Vec<f64> = (0..rank).flat_map(|component| (0..axis.len()).map(move |at| factor.row(at)[component])).collect();
        Ok(Tensor::new(vec![components.clone(), axis.clone()], None, values)?)
    };
    let axes = responses.values().axes();
    let total: f64 = chosen.best.weights.iter().sum();
    let motifs = Table::from_columns(vec![
        columns::from_texts("component", &(1..=rank).map(|component| format!("motif {component}")).collect::<Vec<_>>()),
        columns::from_numbers("weight", chosen.best.weights.clone()),
        columns::from_numbers("share", chosen.best.weights.iter().map(|weight| weight / total.max(f64::MIN_POSITIVE)).collect()),
        columns::from_optional_numbers("match", chosen.matches.clone()),
    ])?;
    let ranks = Table::from_columns(vec![
        columns::from_integers("rank", fits.iter().map(|fit| fit.rank as i64).collect()),
        columns::from_numbers("relative_error", fits.iter().map(|fit| fit.best.relative_error).collect()),
        columns::from_numbers("effective_number", fits.iter().map(|fit| fit.effective_number).collect()),
        columns::from_optional_numbers("stability", fits.iter().map(|fit| fit.stability).collect()),
    ])?;
    let n = responses.n_units() * responses.n_trials() * responses.n_bins();
    let mut explained = Score::new("explained", 1.0 - chosen.best.relative_error.powi(2), n);
    explained.notes.push(format!("rank {rank}: share of the squared norm that the components explain"));
    explained.notes.extend(chosen.place.clone());
    let mut scores = vec![explained];
    let unstable = "restarts find different components, the rank is too high for these data";
    let agreement = stability(chosen.stability.as_slice(), unstable);
    scores.extend(agreement.map(|score| Score { n: n as u64, ..score }));
    if matches!(params.loss, Misfit::Kl {}) {
        let mut deviance = Score::new("deviance_explained", 1.0 - chosen.best.loss / divergence_of_the_mean(activity), n);
        deviance.chance = Some(0.0);
        deviance.notes.push("share of the Poisson deviance of one common rate that the components explain".into());
        scores.push(deviance);
    }
    Outputs::new()
        .with("time", by_component(2, &axes[2])?)?
        .with("units", by_component(0, &axes[1])?)?
        .with("trials", by_component(1, &axes[0])?)?
        .with("motifs", motifs)?
        .with("ranks", ranks)?
        .with("scores", Scores::new(scores))
}

/// The divergence of the values from their weighted mean.
fn divergence_of_the_mean(activity: &Activity) -> f64 {
    let weight = |place: usize| activity.weights.as_ref().map_or(1.0, |weights| weights[place]);
    let (mut sum, mut total) = (0.0, 0.0);
    for (place, value) in activity.values.iter().enumerate() {
        sum += weight(place) * value;
        total += weight(place);
    }
    let mean = sum / total;
    let terms = activity.values.iter().enumerate().map(|(place, x)| {
        let logarithm = if *x > 0.0 { x * (x / mean).ln() } else { 0.0 };
        weight(place) * (logarithm - x + mean)
    });
    terms.sum::<f64>().max(f64::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::Typed;
    use neuroflow_stage::{AnyStage, GpuPolicy};
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
    fn every_method_and_loss_finds_the_motifs() {
        for (method, loss) in [("mu", "frobenius"), ("lbfgsb", "frobenius"), ("mu", "kl"), ("lbfgsb", "kl")] {
            let params = [
                ("rank", 2.into()),
                ("scale", Value::word("none")),
                ("method", Value::word(method)),
                ("loss", Value::word(loss)),
                ("sweeps", 500.into()),
                ("tolerance", 1e-8.into()),
            ];
            let outputs = run(planted(0.01), &params, 1).unwrap();
            let scores: Scores = outputs.one("scores").unwrap();
            assert!(scores.get("explained").unwrap().value > 0.98, "{method} {loss}: {}", scores.get("explained").unwrap().value);
            assert_eq!(scores.get("deviance_explained").is_some_and(|score| score.value > 0.9), loss == "kl");
        }
        let error = run(planted(0.0), &[("loss", Value::word("kl"))], 1).unwrap_err();
        assert!(error.help().is_some_and(|help| help.contains("method = mu")));
    }

    #[test]
    fn a_single_start_has_no_stability_and_sparse_storage_takes_no_mask() {
        let params = |restarts: i64| [("rank", 2.into()), ("scale", Value::word("none")), ("restarts", restarts.into())];
        let outputs = run(planted(0.01), &params(1), 1).unwrap();
        assert!(outputs.one::<Scores>("scores").unwrap().get("stability").is_none());
        for (table, column) in [("motifs", "match"), ("ranks", "stability")] {
            assert!(outputs.one::<Table>(table).unwrap().numbers(column).unwrap().iter().all(|value| value.is_nan()));
        }
        assert!(run(planted(0.01), &params(2), 1).unwrap().one::<Scores>("scores").unwrap().get("stability").unwrap().value > 0.9);
        // Also where nothing happens to be missing: the next session may have a gap.
        let sparse = [("storage", Value::word("sparse")), ("gaps", Value::word("mask")), ("scale", Value::word("none"))];
        let error = run(planted(0.01), &sparse, 1).unwrap_err().to_string();
        assert!(error.contains("it knows neither gaps nor weights"), "{error}");
    }

    #[test]
    fn gaps_are_left_out_when_asked_and_sparse_storage_changes_nothing() {
        let whole = planted(0.0);
        let values: Vec<f64> =
            whole.values().values().iter().enumerate().map(|(at, value)| if at % 6 == 1 { f64::NAN } else { *value }).collect();
        let gappy = whole.clone().with_values(Tensor::new(whole.values().axes().to_vec(), None, values).unwrap(), None).unwrap();
        let fixed = [("rank", 2.into()), ("scale", Value::word("none"))];
        assert!(run(gappy.clone(), &fixed, 1).unwrap_err().to_string().contains("not finite"));
        let mut masked = fixed.to_vec();
        masked.push(("gaps", Value::word("mask")));
        let outputs = run(gappy, &masked, 2).unwrap();
        assert!(outputs.one::<Scores>("scores").unwrap().get("explained").unwrap().value > 0.98);
        let explained = |storage: &str| {
            let mut params = fixed.to_vec();
            params.push(("storage", Value::word(storage)));
            run(whole.clone(), &params, 1).unwrap().one::<Scores>("scores").unwrap().get("explained").unwrap().value
        };
        assert!((explained("sparse") - explained("dense")).abs() < 1e-6);
    }

    #[test]
    fn single_precision_explains_as_much_and_refuses_what_it_is_not_for() {
        let fixed = [("rank", 2.into()), ("scale", Value::word("none"))];
        let with = |more: &[(&'static str, Value)]| [&fixed[..], &[("precision", Value::word("single"))], more].concat();
        let explained = |params: &[(&str, Value)]| {
            run(planted(0.1), params, 1).unwrap().one::<Scores>("scores").unwrap().get("explained").unwrap().value
        };
        assert!((explained(&fixed) - explained(&with(&[]))).abs() < 1e-4);
        let (one, four) = (run(planted(0.1), &with(&[]), 1).unwrap(), run(planted(0.1), &with(&[]), 4).unwrap());
        for name in ["time", "units", "trials", "ranks", "scores"] {
            assert_eq!(one.get(name).unwrap().encode().unwrap(), four.get(name).unwrap().encode().unwrap());
        }
        for (name, word, said) in [("method", "mu", "method `hals`"), ("weights", "trials", "weights"), ("storage", "sparse", "dense")] {
            let error = run(planted(0.1), &with(&[(name, Value::word(word))]), 1).unwrap_err();
            assert!(error.to_string().contains(said) && error.help().is_some_and(|help| help.contains("precision")), "{error}");
        }
    }

    #[test]
    fn a_graphics_card_finds_the_same_and_where_there_is_none_that_is_said() {
        let params = [("rank", 2.into()), ("scale", Value::word("none")), ("precision", Value::word("single"))];
        let score = |gpu| {
            let mut inputs = Inputs::new();
            inputs.push("responses", "", planted(0.1).into_artifact().unwrap());
            let params: BTreeMap<String, Value> =
                params.iter().map(|(name, value): &(&str, Value)| ((*name).to_owned(), value.clone())).collect();
            let outputs = AnyStage::run(&Ntf, &inputs, &params, &Context { gpu, ..Context::quiet(3) })?;
            Ok::<Score, StageError>(outputs.one::<Scores>("scores")?.get("explained").unwrap().clone())
        };
        let cpu = score(GpuPolicy::Never).unwrap();
        assert!(!cpu.notes.iter().any(|note| note.contains("done on")));
        let preferred = score(GpuPolicy::Prefer).unwrap();
        assert!(preferred.notes.iter().any(|note| note.contains("done on the")) && (preferred.value - cpu.value).abs() < 1e-3);
        match score(GpuPolicy::Require) {
            Ok(required) => {
                assert!(required.notes.iter().any(|note| note.contains("done on the GPU")), "{:?}", required.notes);
                assert!((required.value - cpu.value).abs() < 1e-3, "{} {}", required.value, cpu.value);
            }
            Err(error) => {
                assert!(std::env::var_os("NEUROFLOW_TEST_GPU").is_none(), "{error}");
                assert!(error.help().is_some_and(|help| help.contains("gpu = prefer")));
            }
        }
    }

    #[test]
    fn a_unit_that_was_never_seen_is_refused_and_loud_trials_can_count_less() {
        let whole = planted(0.1);
        let per_trial = 10 * 8;
        let values: Vec<f64> =
            whole.values().values().iter().enumerate().map(|(at, value)| if at % per_trial / 8 == 3 { f64::NAN } else { *value }).collect();
        let gappy = whole.clone().with_values(Tensor::new(whole.values().axes().to_vec(), None, values).unwrap(), None).unwrap();
        let error = run(gappy, &[("gaps", Value::word("mask"))], 1).unwrap_err().to_string();
        assert!(error.contains("unit 3 has no value at all"), "{error}");
        let equal = run(whole, &[("rank", 2.into()), ("weights", Value::word("trials"))], 1).unwrap();
        assert!(equal.one::<Scores>("scores").unwrap().get("explained").unwrap().value > 0.8);
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
