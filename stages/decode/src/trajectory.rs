//! `decode.trajectory`: what the animal does from bin to bin, read from the activity of those bins.
//!
//! For what: running speed, pupil, the position of a hand: signals that move within the trial and were recorded beside the units.
//! Promises: folds are of whole trials, so that neighbouring bins never stand on both sides; everything is learned on the training side; a decoder
//! that knows nothing scores 0. Refuses: signals that are not there, have gaps or do not move; fewer trials than folds; trials of one bin.
//! Method: Wiener filter, which is ridge regression on the last bins (Carmena et al. 2003, PLoS Biol 1:e42), and Kalman filter (Wu et al. 2006, Neural
//! Comput 18:80).

use crate::agreement::{Agreement, over_folds};
use crate::cross_validate::in_order;
use crate::folds::Folds;
use crate::kalman::Kalman;
use crate::place::{Place, require_usable};
use crate::regress::split_of;
use crate::ridge::RidgePath;
use crate::spectral::numerical;
use crate::split::{Split, Tests, split_slot};
use crate::trial_features::bins_in;
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Kind, Responses, Scores, Tensor};
use neuroflow_stage::{
    Auto, Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

/// The stage `decode.trajectory`.
pub struct Trajectory;

words! {
    /// The filter.
    pub enum Filter {
        /// Ridge regression on the activity of this bin and of those before it.
        Wiener = "wiener" {
            /// How many bins are seen, this one included. Before the first bin of a trial its first bin stands.
            lags: usize = 5, in 1.0..=1000.0;
            /// The penalty λ of ‖y − Xw‖² + λ‖w‖²; `auto` takes the one of half decades 10⁻⁴ … 10⁴ times the summed variance of a feature with the least error on
            /// folds of whole trials inside the training trials, for each signal.
            penalty: Auto<f64> = Value::word("auto"), in 0.0..=1e300;
            /// The number of folds inside the training trials for `penalty = auto`; fewer where there are fewer trials.
            inner: usize = 4, in 2.0..=100.0;
        },
        /// The Kalman filter: the signals follow their own past, and the activity of a bin follows the signals.
        Kalman = "kalman" {},
    }
}

params! {
    /// Parameters of `decode.trajectory`.
    pub struct TrajectoryParams {
        /// The signals to predict, by their names among the covariates, such as `["speed"]`.
        target: Vec<String>;
        /// The bins in which they are predicted, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// The number of folds, to which trials are dealt at random. Not used when a split is given.
        folds: usize = 5, in 2.0..=1000.0;
        /// The filter.
        model: Filter = Value::word("wiener");
    }
}

const DOC: &str = r#"A filter learns the relation of the units' activity to signals of the animal on the trials of all folds but one, and follows the signals through the trials of that
one, for each fold in turn, from the present and the past only.

Scores, all with chance 0: `r`, the correlation of truth and prediction over all tested bins, and `r2`, 1 − error / error of the training mean, both as deviations from the mean of
the training trials and averaged over signals. With several signals `r@speed`, `r2@speed` and so on are the signals. `predicted` is [trial × covariate × bin] in the
signals' own units; a trial that no fold tests is NaN there, one that several test has the mean.

The control that fits is `circular_shift`, which breaks the timing between units and behaviour and keeps that of each unit.

Not for: numbers that a trial has once (`decode.regress`).

```nf
pipeline running "Is running speed in the population?"
input sessions = ingest.simulate(trials_per_direction = 6)
responses = ingest.trials(sessions["sim2"])
speed = decode.trajectory(responses, target = ["speed"], model = kalman) with control = circular_shift(n = 5), seed = 7
```"#;

impl Stage for Trajectory {
    type Params = TrajectoryParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "decode.trajectory",
            version: 1,
            summary: "Follows signals of the animal from bin to bin by the activity of the population.",
            doc: DOC,
            inputs: vec![
                InputSpec::one(
                    "responses",
                    &[Kind::Responses],
                    "trial × unit × bin",
                    "The activity of one session, with the signals as covariates.",
                ),
                split_slot(),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "r and R², over all signals and for each."),
                OutputSpec::new("predicted", Kind::Tensor, "trial × covariate × bin", "The signals as they were predicted."),
            ],
            params: Vec::new(),
            metrics: &["r", "r2"],
            sites: vec![
                ControlSite { control: "circular_shift", at: SiteAt::Input("responses") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &TrajectoryParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        if responses.n_trials() == 0 {
            return Err(StageError::refused_with_help(
                format!("{} has no trials", Place(&responses)),
                "look at the step that cut the recording into trials, or leave the session out",
            ));
        }
        require_usable(&responses)?;
        let bins = bins_in(&responses, &params.window)?;
        if bins.len() < 2 {
            return Err(StageError::refused_with_help(
                format!("{}: the window holds one bin, and what moves needs at least two", Place(&responses)),
                "choose a longer `window`, or `decode.regress` for one number a trial",
            ));
        }
        let signals = signals(&responses, &params.target, &bins)?;
        let split = split_of(inputs, &responses, params.folds, context.seed)?;
        let lags = if let Filter::Wiener { lags, .. } = params.model { lags } else { 1 };
        let trials: Vec<(Matrix, Matrix)> =
            (0..responses.n_trials()).map(|trial| (history(&responses, trial, &bins, lags), signals[trial].clone())).collect();
        let found = in_order(split.n_folds(), Some(context.threads), context, |fold| decode(&trials, &split, fold, params, context))?;
        let scores = scores(&trials, &split, &found, &params.target);
        let predicted = predicted(&responses, &bins, &split, &found, &params.target)?;
        Outputs::new().with("scores", scores)?.with("predicted", predicted)
    }
}

/// The signals of each trial `[bin × signal]`.
fn signals(responses: &Responses, names: &[String], bins: &[usize]) -> Result<Vec<Matrix>, StageError> {
    let available: Vec<String> = responses
        .covariates()
        .map(|covariates| (0..covariates.axes()[1].len()).map(|place| covariates.axes()[1].coordinates.label(place)).collect())
        .unwrap_or_default();
    if names.is_empty() {
        return Err(StageError::refused_with_help("`target` names no signal", "name one, as in `target = [\"speed\"]`"));
    }
    if let Some(place) = (1..names.len()).find(|&place| names[..place].contains(&names[place])) {
        return Err(StageError::refused(format!("`target` names `{}` twice", names[place])));
    }
    let n_bins = responses.n_bins();
    let mut columns = Vec::with_capacity(names.len());
    for name in names {
        let Some(values) = responses.covariate(name) else {
            let there = if available.is_empty() { "no signals".to_owned() } else { available.join(", ") };
            let near = neuroflow_stage::nearest(name, available.iter().map(String::as_str));
            let message = format!("{} has no signal `{name}` beside its units; it has {there}", Place(responses));
            return Err(match near {
                Some(near) => StageError::refused_with_help(message, format!("did you mean `{near}`?")),
                None => StageError::refused(message),
            });
        };
        let seen: Vec<f64> = values.chunks_exact(n_bins).flat_map(|trial| bins.iter().map(|&bin| trial[bin])).collect();
        let gaps = seen.iter().filter(|value| !value.is_finite()).count();
        if gaps > 0 {
            return Err(StageError::refused_with_help(
                format!("{}: `{name}` has {gaps} values that are not finite", Place(responses)),
                "leave out the trials with gaps, or fill the gaps, before this step",
            ));
        }
        if seen.windows(2).all(|pair| pair[0] == pair[1]) {
            return Err(StageError::refused_with_help(
                format!("{}: `{name}` never moves in this window: there is nothing to follow", Place(responses)),
                "choose another signal or window",
            ));
        }
        columns.push(seen);
    }
    Ok((0..responses.n_trials())
        .map(|trial| Matrix::from_fn(bins.len(), names.len(), |bin, signal| columns[signal][trial * bins.len() + bin]))
        .collect())
}

/// What a filter sees of a trial: the units in each bin and in the `lags − 1` bins before it `[bin × (lag, unit)]`.
fn history(responses: &Responses, trial: usize, bins: &[usize], lags: usize) -> Matrix {
    let n_units = responses.n_units();
    Matrix::from_fn(bins.len(), n_units * lags, |bin, place| {
        let (lag, unit) = (place / n_units, place % n_units);
        responses.trace(trial, unit)[bins[bin].saturating_sub(lag)]
    })
}

/// What one fold predicts: of each tested trial `[bin × signal]`, and the mean of each signal over the training trials.
struct OfFold {
    predicted: Vec<Matrix>,
    baseline: Vec<f64>,
}

fn decode(
    trials: &[(Matrix, Matrix)],
    split: &Split,
    fold: usize,
    params: &TrajectoryParams,
    context: &Context,
) -> Result<OfFold, StageError> {
    let train = &split.train[fold];
    let (features, states) = under_each_other(trials, train)?;
    let n = states.rows().max(1) as f64;
    let baseline = (0..states.cols()).map(|signal| states.column(signal).iter().sum::<f64>() / n).collect();
    let predicted = match &params.model {
        Filter::Kalman {} => {
            let own: Vec<(Matrix, Matrix)> = train.iter().map(|&trial| trials[trial].clone()).collect();
            let fitted = Kalman::fit(&own)?;
            split.test[fold].iter().map(|&trial| fitted.filter(&trials[trial].0)).collect::<Result<_, _>>()?
        }
        Filter::Wiener { penalty, inner, .. } => {
            let path = RidgePath::of(&features)?;
            let penalties = match penalty {
                Auto::Given(penalty) => vec![*penalty; states.cols()],
                Auto::Auto => {
                    let stream = Stream::new(context.seed).split("model").split_index(fold as u64);
                    choose_penalties(trials, train, &path.grid(), *inner, &stream, context)?
                }
            };
            let fitted = path.fit(&path.project(states)?, &penalties)?;
            split.test[fold].iter().map(|&trial| fitted.predict(&trials[trial].0)).collect::<Result<_, _>>()?
        }
    };
    Ok(OfFold { predicted, baseline })
}

/// Features `[(trial, bin) × feature]` and signals `[(trial, bin) × signal]` of some trials.
fn under_each_other(trials: &[(Matrix, Matrix)], chosen: &[usize]) -> Result<(Matrix, Matrix), StageError> {
    let stack = |pick: fn(&(Matrix, Matrix)) -> &Matrix| {
        let columns = trials.first().map_or(0, |trial| pick(trial).cols());
        let values: Vec<f64> = chosen.iter().flat_map(|&trial| pick(&trials[trial]).values().iter().copied()).collect();
        Matrix::new(values.len() / columns.max(1), columns, values).map_err(numerical)
    };
    Ok((stack(|trial| &trial.0)?, stack(|trial| &trial.1)?))
}

/// For each signal, the penalty of `grid` with the least squared error on folds of whole trials inside `train`; the first of equals.
fn choose_penalties(
    trials: &[(Matrix, Matrix)],
    train: &[usize],
    grid: &[f64],
    inner: usize,
    stream: &Stream,
    context: &Context,
) -> Result<Vec<f64>, StageError> {
    let n_folds = inner.min(train.len());
    if n_folds < 2 {
        return Err(StageError::refused_with_help(
            "`penalty = auto` needs at least 2 training trials",
            "give a number, such as `wiener(penalty = 1)`, or use more trials",
        ));
    }
    let folds = Folds::stratified(&vec![0; train.len()], 1, n_folds, stream.split("penalty").seed());
    let n_signals = trials[train[0]].1.cols();
    let mut errors = vec![vec![0.0; n_signals]; grid.len()];
    for fold in 0..n_folds {
        context.cancel.check()?;
        let side = |places: Vec<usize>| places.into_iter().map(|place| train[place]).collect::<Vec<_>>();
        let (features, states) = under_each_other(trials, &side(folds.train(fold)))?;
        let (test, truth) = under_each_other(trials, &side(folds.test(fold)))?;
        let path = RidgePath::of(&features)?;
        let projected = path.project(states)?;
        for (errors, &penalty) in errors.iter_mut().zip(grid) {
            let predicted = path.fit(&projected, &vec![penalty; n_signals])?.predict(&test)?;
            for (predicted, truth) in predicted.row_iter().zip(truth.row_iter()) {
                errors.iter_mut().zip(predicted.iter().zip(truth)).for_each(|(sum, (a, b))| *sum += (a - b).powi(2));
            }
        }
    }
    Ok((0..n_signals)
        .map(|signal| {
            let best = (1..grid.len()).fold(0, |best, place| if errors[place][signal] < errors[best][signal] { place } else { best });
            grid[best]
        })
        .collect())
}

fn scores(trials: &[(Matrix, Matrix)], split: &Split, found: &[OfFold], names: &[String]) -> Scores {
    // [signal × fold].
    let mut agreements = vec![vec![Agreement::default(); split.n_folds()]; names.len()];
    for (fold, of_fold) in found.iter().enumerate() {
        for (predicted, &trial) in of_fold.predicted.iter().zip(&split.test[fold]) {
            for (predicted, truth) in predicted.row_iter().zip(trials[trial].1.row_iter()) {
                for (signal, of_signal) in agreements.iter_mut().enumerate() {
                    of_signal[fold].add(truth[signal], predicted[signal], of_fold.baseline[signal]);
                }
            }
        }
    }
    let total = |of_signal: &[Agreement]| {
        let mut all = Agreement::default();
        of_signal.iter().for_each(|fold| all.merge(*fold));
        all
    };
    let metrics: [(&str, fn(&Agreement) -> f64); 2] = [("r", Agreement::r), ("r2", Agreement::r2)];
    let Tests { trials: tested, shared } = split.tests();
    // Bins of a trial that several folds test count once.
    let n = agreements.first().map_or(0, |of_signal| total(of_signal).n()) * tested / split.tested().len().max(1);
    let mut scores = Vec::new();
    for (metric, of) in metrics {
        let mean = |values: Vec<f64>| values.iter().sum::<f64>() / values.len().max(1) as f64;
        let value = mean(agreements.iter().map(|of_signal| of(&total(of_signal))).collect());
        let folds = (0..split.n_folds()).map(|fold| mean(agreements.iter().map(|of_signal| of(&of_signal[fold])).collect())).collect();
        scores.push(over_folds(metric, value, folds, shared, n));
    }
    if names.len() > 1 {
        for (metric, of) in metrics {
            for (name, of_signal) in names.iter().zip(&agreements) {
                scores.push(over_folds(format!("{metric}@{name}"), of(&total(of_signal)), of_signal.iter().map(of).collect(), shared, n));
            }
        }
    }
    Scores::new(scores)
}

fn predicted(responses: &Responses, bins: &[usize], split: &Split, found: &[OfFold], names: &[String]) -> Result<Tensor, StageError> {
    let length = names.len() * bins.len();
    let mut sums = vec![0.0; responses.n_trials() * length];
    let mut times = vec![0usize; responses.n_trials()];
    for (fold, of_fold) in found.iter().enumerate() {
        for (predicted, &trial) in of_fold.predicted.iter().zip(&split.test[fold]) {
            times[trial] += 1;
            for (bin, row) in predicted.row_iter().enumerate() {
                row.iter().enumerate().for_each(|(signal, value)| sums[trial * length + signal * bins.len() + bin] += value);
            }
        }
    }
    for (values, times) in sums.chunks_exact_mut(length.max(1)).zip(times) {
        values.iter_mut().for_each(|value| *value /= times as f64);
    }
    let at: Vec<f64> = bins.iter().filter_map(|&bin| responses.bin_times().get(bin).copied()).collect();
    let axes =
        vec![Axis::count("trial", responses.n_trials()), Axis::labels("covariate", names.to_vec()), Axis::numbers("bin", Some("s"), at)];
    Ok(Tensor::new(axes, None, sums)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{recorded, refusal, run, session};
    use neuroflow_data::Typed;
    use neuroflow_stage::Control;

    /// A slow signal `x`, another `y`, and units that read them two bins late.
    fn planted(delay: usize, noise: f64) -> Responses {
        let mut stream = Stream::new(6);
        let (n_trials, n_units, n_bins) = (40, 6, 12);
        let (mut values, mut signals) = (Vec::new(), Vec::new());
        for _ in 0..n_trials {
            let mut walk = |_: usize| {
                let mut level = stream.normal();
                (0..n_bins)
                    .map(|_| {
                        level = 0.8 * level + 0.6 * stream.normal();
                        level
                    })
                    .collect::<Vec<f64>>()
            };
            let of_trial: Vec<Vec<f64>> = (0..2).map(&mut walk).collect();
            for unit in 0..n_units {
                let own = &of_trial[unit % 2];
                values.extend((0..n_bins).map(|bin: usize| own[bin.saturating_sub(delay)] + noise * stream.normal()));
            }
            signals.extend(of_trial.into_iter().flatten());
        }
        let responses = session("planted", &vec![0; n_trials], n_units, values);
        let axes = vec![
            Axis::count("trial", n_trials),
            Axis::labels("covariate", vec!["x".into(), "y".into()]),
            responses.values().axes()[2].clone(),
        ];
        let covariates = Tensor::new(axes, None, signals).unwrap();
        responses.with_values(responses.values().clone(), Some(covariates)).unwrap()
    }

    fn target(names: &[&str]) -> (&'static str, Value) {
        ("target", Value::from(names.iter().map(|name| Value::from(*name)).collect::<Vec<_>>()))
    }

    fn all_time() -> (&'static str, Value) {
        ("window", Value::window(-1.0, 2.0))
    }

    fn scores(responses: &Responses, params: &[(&str, Value)]) -> Scores {
        run(&Trajectory, std::slice::from_ref(responses), params, &Context::quiet(5)).unwrap().one("scores").unwrap()
    }

    #[test]
    fn planted_signals_are_followed_by_both_filters() {
        let responses = planted(0, 0.5);
        for model in ["wiener", "kalman"] {
            let params = [target(&["x", "y"]), all_time(), ("model", Value::word(model))];
            let outputs = run(&Trajectory, std::slice::from_ref(&responses), &params, &Context::quiet(5)).unwrap();
            let scores: Scores = outputs.one("scores").unwrap();
            let names: Vec<&str> = scores.scores.iter().map(|score| score.metric.as_str()).collect();
            assert_eq!(names, ["r", "r2", "r@x", "r@y", "r2@x", "r2@y"]);
            assert!(scores.get("r2").unwrap().value > 0.85, "{model} {}", scores.get("r2").unwrap().value);
            assert_eq!(scores.scores[0].n, 480);
            let predicted: Tensor = outputs.one("predicted").unwrap();
            predicted.require_axes(&["trial", "covariate", "bin"]).unwrap();
            let truth = responses.covariates().unwrap().values();
            let error: f64 = predicted.values().iter().zip(truth).map(|(a, b)| (a - b).powi(2)).sum::<f64>() / truth.len() as f64;
            assert!(error < 0.15, "{model} {error}");
        }
    }

    #[test]
    fn history_makes_up_for_noise_and_is_of_no_use_where_units_only_follow() {
        let responses = planted(0, 2.0);
        let r2 = |model: Value| scores(&responses, &[target(&["x"]), all_time(), ("model", model)]).get("r2").unwrap().value;
        let lags = |n: i64| Value::call("wiener", vec![("lags", n.into())]);
        assert!(r2(lags(4)) > r2(lags(1)) + 0.03);
        assert!(r2(Value::word("kalman")) > r2(lags(1)) + 0.03);
    }

    #[test]
    fn units_that_shift_around_the_session_score_nothing() {
        let artifact = planted(0, 0.5).into_artifact().unwrap();
        let control = Control::parse(&Value::word("circular_shift")).unwrap();
        for model in ["wiener", "kalman"] {
            let null: Vec<f64> = (0..10)
                .map(|draw| {
                    let shifted = Responses::from_artifact(&control.change(&artifact, draw).unwrap()).unwrap();
                    scores(&shifted, &[target(&["x"]), all_time(), ("model", Value::word(model))]).get("r").unwrap().value
                })
                .collect();
            let mean = null.iter().sum::<f64>() / 10.0;
            assert!(mean.abs() < 0.15, "{model} {mean}");
        }
    }

    #[test]
    fn recorded_running_is_followed() {
        let Some(sessions) = recorded() else { return };
        let found = scores(&sessions[2], &[target(&["speed", "pupil"]), ("model", Value::word("kalman"))]);
        println!("{:?}", found.scores.iter().map(ToString::to_string).collect::<Vec<_>>());
        assert!(found.get("r").unwrap().value > 0.1);
    }

    #[test]
    fn what_can_not_be_followed_is_refused_in_the_users_words() {
        let responses = planted(0, 1.0);
        let said = |params: &[(&str, Value)]| refusal(&Trajectory, std::slice::from_ref(&responses), params);
        assert!(said(&[target(&["z"])]).contains("session planted has no signal `z` beside its units; it has x, y"));
        assert!(said(&[target(&[])]).contains("`target` names no signal"));
        assert!(said(&[target(&["x", "x"])]).contains("`target` names `x` twice"));
        assert!(said(&[target(&["x"]), ("window", Value::window(0.0, 0.2))]).contains("the window holds one bin"));
        assert!(said(&[target(&["x"]), ("folds", 41.into())]).contains("has 40 trials: 41 folds need at least as many"));
        let none = session("bare", &[0; 12], 3, vec![0.5; 12 * 3 * 12]);
        assert!(refusal(&Trajectory, &[none], &[target(&["x"])]).contains("it has no signals"));
        let flat = responses.covariates().unwrap();
        let flat = Tensor::new(flat.axes().to_vec(), None, vec![1.0; flat.values().len()]).unwrap();
        let still = responses.with_values(responses.values().clone(), Some(flat)).unwrap();
        assert!(refusal(&Trajectory, &[still], &[target(&["x"])]).contains("`x` never moves in this window"));
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let responses = planted(0, 1.0);
        for model in ["wiener", "kalman"] {
            let bytes = |threads| {
                let context = Context { threads, ..Context::quiet(4) };
                let params = [target(&["x", "y"]), ("model", Value::word(model))];
                let outputs = run(&Trajectory, std::slice::from_ref(&responses), &params, &context).unwrap();
                outputs.into_artifacts().into_values().map(|artifact| artifact.encode().unwrap()).collect::<Vec<_>>()
            };
            assert!(bytes(1) == bytes(8));
        }
    }
}
