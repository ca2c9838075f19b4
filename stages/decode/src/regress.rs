//! `decode.regress`: a number that belongs to each trial, predicted from the activity of that trial.
//!
//! For what: how much a population tells about a continuous quantity: contrast, position, reaction time, an angle, a count.
//! Promises: scaling, penalty and weights are learned on the training side of each fold; a decoder that knows nothing scores 0; the same seed gives the
//! same bytes on any number of threads. Refuses: gaps, columns that are not numbers, a constant target, fewer trials than folds.
//! Method: ridge regression with scikit-learn's numbers and the left-out error in closed form (Allen 1974), kernel ridge regression with its numbers
//! for a given width and penalty, or penalised Poisson regression with the numbers of `PoissonRegressor`. An angle is predicted as a point on the circle (Fisher 1993).

use crate::agreement::{Agreement, over_folds};
use crate::cross_validate::in_order;
use crate::kernel_regression;
use crate::place::{Place, require_usable};
use crate::poisson_glm::{self, PoissonGlm};
use crate::ridge::RidgePath;
use crate::scaling::{Scale, Scaling};
use crate::spectral::numerical;
use crate::split::{Split, Tests, split_slot};
use crate::split_trials::shuffled;
use crate::target::Target;
use crate::trial_features::{Features, of_units};
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_data::{Kind, Responses, Score, Scores, Table, Tensor, Typed, columns};
use neuroflow_stage::{
    Auto, Context, Control, ControlSite, Draws, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError,
    TimeWindow, Value, params, words,
};

/// The stage `decode.regress`.
pub struct Regress;

words! {
    /// Where the values of a target lie.
    pub enum Geometry {
        /// On a line.
        Line = "line" {},
        /// On a circle: an angle, a direction, a time of day.
        Circle = "circle" {
            /// After how much the target begins again, in its own unit: 360 for directions, 180 for orientations.
            period: f64 = 360.0, in 1e-9..=1e9;
        },
    }
}

words! {
    /// The regression.
    pub enum Regression {
        /// Ridge regression.
        Ridge = "ridge" {
            /// The penalty λ of ‖y − Xw‖² + λ‖w‖²; `auto` takes the one with the least error when each training trial is left out, of half decades
            /// 10⁻⁴ … 10⁴ times the summed variance of a feature.
            penalty: Auto<f64> = Value::word("auto"), in 0.0..=1e300;
        },
        /// Kernel ridge regression: the target is a smooth function of the activity, with a Gaussian kernel. For what no weighted sum of units tells.
        Kernel = "kernel" {
            /// The kernel's standard deviation, in median distances of the training trials; `auto` chooses among ½, 1, 2 and 4.
            width: Auto<f64> = Value::word("auto"), in 1e-6..=1e6;
            /// The penalty λ; `auto` chooses among whole decades 10⁻⁴ … 10², with the width, on five folds inside the training trials.
            penalty: Auto<f64> = Value::word("auto"), in 0.0..=1e300;
        },
        /// Poisson regression, for targets that are counts: the logarithm of the mean is linear in the features.
        Poisson = "poisson" {
            /// The penalty α of mean loss + ½ α ‖w‖²; `auto` takes the one of half decades 10⁻⁴ … 10² with the least deviance on folds inside the training trials.
            penalty: Auto<f64> = Value::word("auto"), in 0.0..=1e300;
            /// The number of folds inside the training trials for `penalty = auto`.
            inner: usize = 4, in 2.0..=100.0;
            /// The largest entry of the gradient of the mean loss at which the fit is done.
            tolerance: f64 = 1e-8, in 1e-14..=0.1;
            /// The largest number of steps of the optimiser.
            steps: usize = 2000, in 1.0..=1e6;
        },
    }
}

params! {
    /// Parameters of `decode.regress`.
    pub struct RegressParams {
        /// The trial column to predict: numbers.
        target: String;
        /// Where its values lie: on a `line`, or on a `circle(period = 360)`.
        geometry: Geometry = Value::word("line");
        /// The bins that the decoder sees, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// What it sees of a trial: each unit's `mean` or `sum`, its mean in `bins(width = 250 ms)`, or every bin (`flatten`).
        features: Features = Value::word("mean");
        /// The number of folds, to which trials are dealt at random. Not used when a split is given.
        folds: usize = 8, in 2.0..=1000.0;
        /// Scaling of features, learned on the training side of each fold.
        scale: Scale = Value::word("none");
        /// The regression.
        model: Regression = Value::word("ridge");
    }
}

const DOC: &str = r#"A regression learns `target` from population activity on the trials of all folds but one and predicts the trials of that one, for each fold in turn. A second
input, made by `decode.split`, replaces these folds by any other cross-validation.

Scores, all with chance 0: `r`, the correlation of truth and prediction, and `r2`, 1 − error / error of the training mean; both as deviations from the mean of the
training trials, so that a decoder without knowledge scores 0 (r2 less, when it guesses; and r in small sessions, by a few hundredths, because what is left out of
training pulls the fit the other way: the null of a control shows both). On a circle both are taken over cosine and sine, and
`cosine` is the mean cosine of the angle between truth and prediction. With `poisson`, `deviance_explained` is 1 − deviance / deviance of the training mean.
`predictions` has a row for each tested trial.

Not for: targets that move within the trial (`decode.trajectory`), nor a few conditions in no order (`decode.classify`).

```nf
pipeline angle "How far off is the decoded direction?"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
angle = decode.regress(responses, target = "direction", geometry = circle(period = 360)) with control = shuffle("direction", n = 20), seed = 7
```"#;

impl Stage for Regress {
    type Params = RegressParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "decode.regress",
            version: 2,
            summary: "Predicts a number of each trial from population activity, cross-validated.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity of one session, cut into trials."),
                split_slot(),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "r, R², and what else the geometry and the model have."),
                OutputSpec::new("predictions", Kind::Table, "", "For each tested trial its fold, its true and its predicted value."),
            ],
            params: Vec::new(),
            metrics: &["r", "r2", "cosine", "deviance_explained"],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("responses") },
                ControlSite { control: "circular_shift", at: SiteAt::Input("responses") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &RegressParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let values = values(&responses, params)?;
        require_usable(&responses)?;
        let features = of_units(&responses, &params.window, &params.features)?;
        let split = split_of(inputs, &responses, params.folds, context.seed)?;
        let targets = coordinates(&values, &params.geometry);
        let of_folds = predict(&features, &targets, &split, params, context)?;
        let scores = scores(&values, &targets, &split, &of_folds, params);
        Outputs::new().with("scores", Scores::new(scores))?.with("predictions", table(&values, &split, &of_folds, params)?)
    }

    /// A shuffle moves targets and nothing else: ridge regression decomposes each training side once and predicts all targets by one product.
    fn run_draws(
        &self,
        inputs: &Inputs,
        params: &RegressParams,
        draws: &Draws<'_>,
        context: &Context,
    ) -> Result<Option<Vec<Scores>>, StageError> {
        let (Control::Shuffle { .. }, "responses", Some(artifact)) = (draws.control, draws.slot, inputs.artifact("responses")) else {
            return Ok(None);
        };
        if !matches!(params.model, Regression::Ridge { .. }) {
            return Ok(None);
        }
        let all = draws.seeds.iter().map(|&seed| {
            context.cancel.check()?;
            values(&Responses::from_artifact(&draws.control.change(artifact, seed)?)?, params)
        });
        let all = all.collect::<Result<Vec<_>, StageError>>()?;
        let responses: Responses = inputs.one("responses")?;
        require_usable(&responses)?;
        let features = of_units(&responses, &params.window, &params.features)?;
        let split = split_of(inputs, &responses, params.folds, context.seed)?;
        let mut scored = Vec::with_capacity(all.len());
        for some in all.chunks(MOST_TOGETHER) {
            let targets: Vec<Matrix> = some.iter().map(|values| coordinates(values, &params.geometry)).collect();
            let width = targets.first().map_or(0, Matrix::cols);
            let side_by_side =
                Matrix::from_fn(features.rows(), width * some.len(), |trial, column| targets[column / width][(trial, column % width)]);
            let of_folds = predict(&features, &side_by_side, &split, params, context)?;
            for (draw, (values, targets)) in some.iter().zip(&targets).enumerate() {
                let columns: Vec<usize> = (draw * width..(draw + 1) * width).collect();
                let own: Vec<OfFold> = of_folds
                    .iter()
                    .map(|fold| OfFold {
                        predicted: fold.predicted.take_columns(&columns),
                        baseline: columns.iter().map(|&column| fold.baseline[column]).collect(),
                    })
                    .collect();
                scored.push(Scores::new(scores(values, targets, &split, &own, params)));
            }
        }
        Ok(Some(scored))
    }
}

/// How often an angle may go around its circle. Beyond it a period in another unit than the column's is likelier.
const MOST_TURNS: f64 = 1e6;

/// Targets that are regressed together: bounds the memory.
const MOST_TOGETHER: usize = 512;

/// The split that was given, or folds to which trials are dealt at random.
///
/// # Errors
/// When the split is not of this session, or there are fewer trials than folds.
pub(crate) fn split_of(inputs: &Inputs, responses: &Responses, folds: usize, seed: u64) -> Result<Split, StageError> {
    match inputs.optional::<Tensor>("split")? {
        Some(split) => Split::of_tensor(&split, responses),
        None => Ok(Split::from(&shuffled(responses, folds, seed)?)),
    }
}

/// The target of each trial.
fn values(responses: &Responses, params: &RegressParams) -> Result<Vec<f64>, StageError> {
    let target = Target::of(responses, &params.target)?;
    let values = responses.trials().numbers(&target.column).map_err(|error| {
        StageError::refused_with_help(format!("{}: {error}", Place(responses)), "`decode.classify` predicts columns of text")
    })?;
    if matches!((&params.model, &params.geometry), (Regression::Poisson { .. }, Geometry::Circle { .. })) {
        return Err(StageError::refused_with_help(
            "`model = poisson` predicts counts, and `geometry = circle` says that the target is an angle",
            "use `model = ridge` for an angle",
        ));
    }
    if let Geometry::Circle { period } = params.geometry {
        let furthest = values.iter().fold(0.0f64, |furthest, value| furthest.max(value.abs()));
        if furthest > MOST_TURNS * period {
            return Err(StageError::refused_with_help(
                format!(
                    "{}: `{}` reaches {furthest}, more than {MOST_TURNS:e} turns of `circle(period = {period})`: where on the circle it is, is rounding",
                    Place(responses),
                    params.target
                ),
                "give the period in the unit of the column, such as 360 for degrees",
            ));
        }
    }
    Ok(values)
}

/// What is regressed `[trial × coordinate]`: the value, or cosine and sine of an angle.
fn coordinates(values: &[f64], geometry: &Geometry) -> Matrix {
    match geometry {
        Geometry::Line {} => Matrix::from_fn(values.len(), 1, |trial, _| values[trial]),
        Geometry::Circle { period } => Matrix::from_fn(values.len(), 2, |trial, axis| {
            let angle = (values[trial] / period).fract() * std::f64::consts::TAU;
            if axis == 0 { angle.cos() } else { angle.sin() }
        }),
    }
}

/// What one fold predicts.
struct OfFold {
    /// `[tested trial × coordinate]`.
    predicted: Matrix,
    /// The mean of each coordinate over the training trials.
    baseline: Vec<f64>,
}

/// The predictions of each fold. Coordinates `[trial × coordinate]` do not know of each other, so that any number of targets can stand side by side.
fn predict(
    features: &Matrix,
    targets: &Matrix,
    split: &Split,
    params: &RegressParams,
    context: &Context,
) -> Result<Vec<OfFold>, StageError> {
    let stream = Stream::new(context.seed).split("model");
    let one = |fold: usize| -> Result<OfFold, StageError> {
        let (mut train, mut test) = (features.take_rows(&split.train[fold]), features.take_rows(&split.test[fold]));
        if matches!(params.scale, Scale::ZScore {}) {
            let scaling = Scaling::fit(&train);
            scaling.apply(&mut train);
            scaling.apply(&mut test);
        }
        let own = targets.take_rows(&split.train[fold]);
        let n = own.rows().max(1) as f64;
        let baseline: Vec<f64> = (0..own.cols()).map(|axis| own.column(axis).iter().sum::<f64>() / n).collect();
        let predicted = match &params.model {
            Regression::Ridge { penalty } => {
                let path = RidgePath::of(&train)?;
                let projected = path.project(own)?;
                let penalties = path.penalties(&projected, penalty)?;
                path.fit(&projected, &penalties)?.predict(&test)?
            }
            Regression::Kernel { width, penalty } => {
                let options = kernel_regression::Options { width, penalty };
                kernel_regression::predict(&train, &own, &test, &options, &stream.split_index(fold as u64))?
            }
            Regression::Poisson { penalty, inner, tolerance, steps } => {
                let options = poisson_glm::Options { inner: *inner, tolerance: *tolerance, steps: *steps };
                let fitted = PoissonGlm::fit(&train, own.values(), penalty, &options, &stream.split_index(fold as u64), context)?;
                let means = test.row_iter().map(|row| fitted.mean(row)).collect();
                Matrix::new(test.rows(), 1, means).map_err(numerical)?
            }
        };
        Ok(OfFold { predicted, baseline })
    };
    let (n_trials, n_features) = features.shape();
    let heavy = !matches!(params.model, Regression::Ridge { .. }) || n_trials * n_features * n_trials.min(n_features) > 1 << 22;
    in_order(split.n_folds(), heavy.then_some(context.threads), context, one)
}

fn scores(values: &[f64], targets: &Matrix, split: &Split, of_folds: &[OfFold], params: &RegressParams) -> Vec<Score> {
    let mut folds = vec![Agreement::default(); split.n_folds()];
    let (mut cosines, mut deviances) = (vec![(0.0, 0usize); split.n_folds()], vec![(0.0, 0.0); split.n_folds()]);
    for (fold, found) in of_folds.iter().enumerate() {
        for (row, &trial) in found.predicted.row_iter().zip(&split.test[fold]) {
            for ((predicted, truth), baseline) in row.iter().zip(targets.row(trial)).zip(&found.baseline) {
                folds[fold].add(*truth, *predicted, *baseline);
            }
            match &params.geometry {
                Geometry::Circle { .. } => {
                    let length = row.iter().map(|value| value * value).sum::<f64>().sqrt();
                    let cosine: f64 = row.iter().zip(targets.row(trial)).map(|(predicted, truth)| predicted * truth).sum();
                    // A prediction in the middle of the circle says nothing of the angle.
                    cosines[fold].0 += if length > 0.0 { cosine / length } else { 0.0 };
                    cosines[fold].1 += 1;
                }
                Geometry::Line {} => {
                    if let (Regression::Poisson { .. }, [mean], [baseline]) = (&params.model, row, found.baseline.as_slice()) {
                        deviances[fold].0 += poisson_glm::deviance(values[trial], *mean);
                        deviances[fold].1 += poisson_glm::deviance(values[trial], *baseline);
                    }
                }
            }
        }
    }
    let mut all = Agreement::default();
    folds.iter().for_each(|fold| all.merge(*fold));
    let Tests { trials: n, shared } = split.tests();
    let mut scores = vec![
        over_folds("r", all.r(), folds.iter().map(Agreement::r).collect(), shared, n),
        over_folds("r2", all.r2(), folds.iter().map(Agreement::r2).collect(), shared, n),
    ];
    if matches!(params.geometry, Geometry::Circle { .. }) {
        let mean = |(sum, count): (f64, usize)| sum / count.max(1) as f64;
        let total = cosines.iter().fold((0.0, 0), |sum, fold| (sum.0 + fold.0, sum.1 + fold.1));
        // Without a control nobody knows what guessing gives: it depends on how often each angle is shown.
        scores.push(Score { chance: None, ..over_folds("cosine", mean(total), cosines.into_iter().map(mean).collect(), shared, n) });
    }
    if matches!(params.model, Regression::Poisson { .. }) {
        let explained = |(model, mean): (f64, f64)| if mean > 0.0 { 1.0 - model / mean } else { 0.0 };
        let total = deviances.iter().fold((0.0, 0.0), |sum, fold| (sum.0 + fold.0, sum.1 + fold.1));
        scores.push(over_folds("deviance_explained", explained(total), deviances.into_iter().map(explained).collect(), shared, n));
    }
    scores
}

/// One row a tested trial.
fn table(values: &[f64], split: &Split, of_folds: &[OfFold], params: &RegressParams) -> Result<Table, StageError> {
    let mut next = vec![0; split.n_folds()];
    let (mut trials, mut folds, mut truth, mut predicted) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
    for (trial, fold) in split.tested() {
        let row = of_folds[fold].predicted.row(next[fold]);
        next[fold] += 1;
        trials.push(i64::try_from(trial).unwrap_or(i64::MAX));
        folds.push(i64::try_from(fold).unwrap_or(i64::MAX));
        truth.push(values[trial]);
        predicted.push(match (&params.geometry, row) {
            (Geometry::Circle { period }, [cosine, sine]) => {
                let turn = sine.atan2(*cosine) / std::f64::consts::TAU;
                (turn.rem_euclid(1.0) * period).min(*period)
            }
            (_, row) => row.first().copied().unwrap_or(f64::NAN),
        });
    }
    Ok(Table::from_columns(vec![
        columns::from_integers("trial", trials),
        columns::from_integers("fold", folds),
        columns::from_numbers("true", truth),
        columns::from_numbers("predicted", predicted),
    ])?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Planted, all_close, refusal, run, session};

    /// Units that follow the number `x`, the count `n` and the angle `angle` of each trial after onset.
    fn planted(noise: f64) -> Responses {
        let mut stream = Stream::new(4);
        let n_trials = 64;
        let (mut values, mut x, mut n, mut angle) = (Vec::new(), Vec::new(), Vec::new(), Vec::new());
        for trial in 0..n_trials {
            let (number, turn) = (stream.normal(), (trial % 16) as f64 / 16.0);
            x.push(number);
            n.push(stream.poisson((0.7 + 0.8 * number).exp()) as f64);
            angle.push(180.0 * turn);
            for unit in 0..8 {
                let phase = std::f64::consts::TAU * (turn - unit as f64 / 8.0);
                let mean = if unit % 2 == 0 { number * 0.5 } else { 0.0 } + phase.cos();
                values.extend((0..12).map(|bin| noise * stream.normal() + if bin >= 4 { mean } else { 0.0 }));
            }
        }
        let responses = session("planted", &vec![0; n_trials], 8, values);
        let mut table = responses.trials().clone();
        for (name, column) in [("x", x), ("n", n), ("angle", angle)] {
            let (field, column) = columns::from_numbers(name, column);
            table = table.with_column(field, column).unwrap();
        }
        responses.with_trials(table).unwrap()
    }

    fn scores(responses: &Responses, params: &[(&str, Value)]) -> Scores {
        run(&Regress, std::slice::from_ref(responses), params, &Context::quiet(5)).unwrap().one("scores").unwrap()
    }

    #[test]
    fn a_period_in_another_unit_than_the_angle_is_refused() {
        let params = |period: f64| [("target", "direction".into()), ("geometry", Value::call("circle", vec![("period", period.into())]))];
        let responses = Planted::default().responses();
        let message = refusal(&Regress, std::slice::from_ref(&responses), &params(1e-9));
        assert!(message.contains("`direction` reaches 135, more than 1e6 turns of `circle(period = 0.000000001)`"), "{message}");
        assert!(run(&Regress, &[responses], &params(360.0), &Context::quiet(1)).is_ok());
    }

    #[test]
    fn a_kernel_finds_what_is_no_weighted_sum() {
        let responses = planted(0.5);
        let (field, column) = columns::from_numbers("square", responses.trials().numbers("x").unwrap().iter().map(|x| x * x).collect());
        let responses = responses.with_trials(responses.trials().with_column(field, column).unwrap()).unwrap();
        let r2 = |model: &str, target: &str| {
            scores(&responses, &[("target", target.into()), ("model", Value::word(model))]).get("r2").unwrap().value
        };
        assert!(r2("kernel", "square") > r2("ridge", "square") + 0.2, "{} {}", r2("kernel", "square"), r2("ridge", "square"));
        assert!(r2("kernel", "x") > 0.6, "{}", r2("kernel", "x"));
    }

    #[test]
    fn a_number_an_angle_and_a_count_are_found() {
        let responses = planted(0.5);
        let found = scores(&responses, &[("target", "x".into())]);
        assert!(found.get("r2").unwrap().value > 0.8 && found.get("r").unwrap().value > 0.9, "{:?}", found.scores);
        assert_eq!((found.scores.len(), found.scores[0].n, found.scores[0].folds.len()), (2, 64, 8));
        let circle = ("geometry", Value::call("circle", vec![("period", 180.into())]));
        let params = [("target", Value::from("angle")), circle];
        let outputs = run(&Regress, std::slice::from_ref(&responses), &params, &Context::quiet(5)).unwrap();
        assert!(outputs.one::<Scores>("scores").unwrap().get("cosine").unwrap().value > 0.95);
        let table: Table = outputs.one("predictions").unwrap();
        for (truth, predicted) in table.numbers("true").unwrap().into_iter().zip(table.numbers("predicted").unwrap()) {
            let off = (truth - predicted + 90.0).rem_euclid(180.0) - 90.0;
            assert!(off.abs() < 25.0 && (0.0..=180.0).contains(&predicted), "{truth} {predicted}");
        }
        let counts = scores(&responses, &[("target", "n".into()), ("model", Value::word("poisson"))]);
        let explained = counts.get("deviance_explained").unwrap().value;
        assert!(explained > 0.35, "{explained}");
    }

    #[test]
    fn an_angle_has_no_seam() {
        let responses = planted(0.5);
        let circle = ("geometry", Value::call("circle", vec![("period", 180.into())]));
        let turned: Vec<f64> = responses.trials().numbers("angle").unwrap().iter().map(|angle| (angle + 85.0) % 180.0 + 360.0).collect();
        let (field, column) = columns::from_numbers("angle", turned);
        let table = responses.trials().with_column(field, column).unwrap();
        let (a, b) = (
            scores(&responses, &[("target", "angle".into()), circle.clone()]),
            scores(&responses.with_trials(table).unwrap(), &[("target", "angle".into()), circle]),
        );
        assert!((a.get("cosine").unwrap().value - b.get("cosine").unwrap().value).abs() < 0.02);
    }

    #[test]
    fn shuffled_targets_score_nothing() {
        let artifact = planted(0.5).into_artifact().unwrap();
        let circle = ("geometry", Value::call("circle", vec![("period", 180.into())]));
        for (target, more) in [("x", None), ("angle", Some(circle))] {
            let control = Control::parse(&Value::call("shuffle", vec![("column", target.into())])).unwrap();
            let null: Vec<f64> = (0..30)
                .map(|draw| {
                    let shuffled = Responses::from_artifact(&control.change(&artifact, draw).unwrap()).unwrap();
                    let mut params = vec![("target", Value::from(target))];
                    params.extend(more.clone());
                    scores(&shuffled, &params).get("r").unwrap().value
                })
                .collect();
            let mean = null.iter().sum::<f64>() / 30.0;
            // Under the null r is a little below 0 (see the manual), its numerator is not.
            assert!((-0.2..0.07).contains(&mean), "{target} {mean}");
        }
    }

    #[test]
    fn draws_together_score_as_draws_one_by_one() {
        let artifact = planted(1.0).into_artifact().unwrap();
        let mut inputs = Inputs::new();
        inputs.push("responses", "", artifact);
        let context = Context { threads: 2, ..Context::quiet(6) };
        let circle = ("geometry", Value::call("circle", vec![("period", 180.into())]));
        for (target, more) in [("x", ("scale", Value::word("zscore"))), ("angle", circle)] {
            let control = Control::parse(&Value::call("shuffle", vec![("column", target.into())])).unwrap();
            let params = [("target", target.into()), more].into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let draws = Draws { control: &control, slot: "responses", seeds: &[3, 4, 5] };
            let together = neuroflow_stage::AnyStage::run_draws(&Regress, &inputs, &params, &draws, &context).unwrap().unwrap();
            for (seed, together) in [3, 4, 5].into_iter().zip(together) {
                let mut inputs = inputs.clone();
                inputs.change("responses", |artifact| control.change(artifact, seed)).unwrap();
                let alone: Scores = neuroflow_stage::AnyStage::run(&Regress, &inputs, &params, &context).unwrap().one("scores").unwrap();
                assert_eq!(together.scores.len(), alone.scores.len());
                for (together, alone) in together.scores.iter().zip(&alone.scores) {
                    assert_eq!(together.metric, alone.metric);
                    assert!((together.value - alone.value).abs() < 1e-12, "{target} {together} {alone}");
                }
            }
        }
    }

    #[test]
    fn shifting_and_scaling_the_target_does_not_change_its_scores() {
        let responses = planted(1.0);
        let moved: Vec<f64> = responses.trials().numbers("x").unwrap().iter().map(|x| 40.0 - 3.0 * x).collect();
        let (field, column) = columns::from_numbers("x", moved);
        let table = responses.trials().with_column(field, column).unwrap();
        let of =
            |responses: &Responses| scores(responses, &[("target", "x".into())]).scores.iter().map(|score| score.value).collect::<Vec<_>>();
        all_close(&of(&responses), &of(&responses.with_trials(table).unwrap()), 1e-9);
    }

    #[test]
    fn activity_without_any_variance_predicts_the_training_mean_and_scores_nothing() {
        let responses = planted(1.0);
        let flat = Tensor::new(responses.values().axes().to_vec(), None, vec![2.5; responses.values().values().len()]).unwrap();
        let flat = responses.with_values(flat, None).unwrap();
        for (target, geometry) in [("x", Value::word("line")), ("angle", Value::call("circle", vec![("period", 180.into())]))] {
            let found = scores(&flat, &[("target", target.into()), ("geometry", geometry)]);
            assert_eq!(found.get("r").unwrap().value, 0.0);
            assert!(found.get("r2").unwrap().value.abs() < 1e-12);
        }
    }

    #[test]
    fn what_can_not_be_regressed_is_refused_in_the_users_words() {
        let responses = planted(1.0);
        let said = |params: &[(&str, Value)]| refusal(&Regress, std::slice::from_ref(&responses), params);
        assert!(said(&[("target", "direction".into())]).contains("every trial has the same `direction`, 0"));
        let poisson = ("model", Value::word("poisson"));
        assert!(said(&[("target", "x".into()), poisson.clone()]).contains("predicts counts, which are never negative"));
        let circle = ("geometry", Value::word("circle"));
        assert!(said(&[("target", "angle".into()), poisson, circle]).contains("use `model = ridge` for an angle"));
        assert!(said(&[("target", "x".into()), ("folds", 65.into())]).contains("has 64 trials: 65 folds need at least as many"));
        let text = Planted::default().responses();
        assert!(refusal(&Regress, &[text], &[("target", "name".into())]).contains("`decode.classify` predicts columns of text"));
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let responses = planted(1.0);
        for (target, model) in [("x", "ridge"), ("n", "poisson")] {
            let bytes = |threads| {
                let context = Context { threads, ..Context::quiet(4) };
                let params = [("target", Value::from(target)), ("model", Value::word(model)), ("features", Value::word("flatten"))];
                let outputs = run(&Regress, std::slice::from_ref(&responses), &params, &context).unwrap();
                outputs.into_artifacts().into_values().map(|artifact| artifact.encode().unwrap()).collect::<Vec<_>>()
            };
            assert!(bytes(1) == bytes(8));
        }
    }
}
