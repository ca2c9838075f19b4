//! `similarity.encode`: how well a model's features predict each unit.
//!
//! For what: a voxel- or unit-wise encoding model. Promises: cross-validated ridge regression in which penalties are chosen inside the training
//! side, one for all units or one for each, and one for each band of features when asked; Pearson's r per fold, averaged, and relative to what
//! noise allows. Refuses: fewer conditions than folds, features that don't name the conditions. From: Naselaris et al. 2011; Dupré la Tour et al.
//! 2022 (banded ridge by random search); Gifford et al. 2023 (the Algonauts' noise-normalised score).

use crate::conditions::Observations;
use crate::failure::numerical;
use crate::paired::{Paired, Samples};
use crate::unit_ceilings::{Ceiling, noise_ceilings, noise_normalised};
use neuroflow_compute::geometry::Precision;
use neuroflow_compute::product::gemm_nt;
use neuroflow_compute::ridge_path::{
    HeldOut, KernelRidge, PathScores, Preparation, RidgeOptions, RidgePath, cross_validate, cross_validate_kernel,
};
use neuroflow_compute::statistics::{mean, median, pearson};
use neuroflow_compute::{Matrix, with_threads};
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Coordinates, Features, Kind, Responses, Score, Scores, Table, Tensor, columns};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

words! {
    /// For whom a penalty is chosen.
    pub enum Choice {
        /// One for each unit.
        PerUnit = "per_unit" {},
        /// One for all units.
        Shared = "shared" {},
    }
}

words! {
    /// How features are grouped.
    pub enum Bands {
        /// All features have the same penalty.
        One = "one" {},
        /// The features of each layer (the features' property of that name) have a weight of their own, found by random search.
        Layers = "layers" {
            /// Weightings that are tried: even weights, each layer alone, then random ones.
            candidates: usize = 20, in 1.0..=10000.0;
        },
    }
}

words! {
    /// What a fold holds out.
    pub enum HoldOut {
        /// Conditions: predictions are of conditions that were never seen.
        Conditions = "conditions" {},
        /// Samples: other repeats of a condition may have been seen.
        Samples = "samples" {},
    }
}

params! {
    /// Parameters of `similarity.encode`.
    pub struct EncodeParams {
        /// The column that names the condition.
        by: String = "direction";
        /// The window over which responses are averaged, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// What a sample is: a condition's mean response, or a trial (`rows`).
        samples: Samples = Value::word("conditions");
        /// What a fold holds out.
        hold_out: HoldOut = Value::word("conditions");
        /// Folds that are predicted in turn.
        folds: usize = 5, in 2.0..=1000.0;
        /// Folds of the training side by which penalties are chosen.
        inner_folds: usize = 5, in 2.0..=1000.0;
        /// The penalties that are tried; the λ of `‖Y − X W‖² + λ ‖W‖²`.
        penalties: Vec<f64> = vec![1.0, 7.74263682681127, 59.9484250318941, 464.158883361278, 3593.8136638046, 27825.5940220712, 215443.469003188, 1668100.53720006, 12915496.6501488, 100000000.0], in 0.0..=1e300;
        /// For whom a penalty is chosen.
        choose: Choice = Value::word("per_unit");
        /// How features are grouped.
        bands: Bands = Value::word("one");
        /// Bring each feature to mean 0 and standard deviation 1 on the training side.
        standardise: bool = true;
        /// Predict every bin of the window by itself, not the mean over the window.
        each_bin: bool = false;
        /// The property of the units that names their region, for the mean of each region; empty for none.
        region: String = "";
    }
}

/// The stage `similarity.encode`.
pub struct Encode;

const DOC: &str = r#"Predicts the responses of each unit from features of the stimuli. `r` is Pearson's correlation of prediction and response in
each held-out fold, averaged over folds, then over units. `normalised` is the median over units of `100 · r² / NC`, at most 100, with negative r as
0 (Gifford et al. 2023). The ceiling NC is the share of a sample's variance that repeats of the same condition have in common; it needs two trials
of each condition. A ceiling that is near zero by chance would make any r look like all that can be explained, so only units whose ceiling is
reliably above zero are counted: those that differ between conditions by an F test over trials, at a false discovery rate of 5 % over units (and
bins). The others have no `normalised`, and the score's note says how many they are; where no unit has one it is 0, as there is nothing to explain.
`units` has a row for each unit (and bin), `times` the mean over units for each bin, `regions` for each region, `predicted` the held-out predictions.

With `standardise`, each feature has mean 0 and standard deviation 1 over the training samples, as by scikit-learn's `StandardScaler`. A held-out
value further from the training samples than they are from one another is brought to that distance: a feature that hardly varies in training, as that
of a filter which one stimulus passes, has a tiny deviation, by which that stimulus would stand at millions and its prediction with it.

```nf
pipeline example
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
gabor = train.features(responses)
encoding = similarity.encode(responses, gabor, samples = rows, folds = 4, inner_folds = 3)
report example { encoding }
```"#;

impl Stage for Encode {
    type Params = EncodeParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "similarity.encode",
            version: 2,
            summary: "Predicts each unit's responses from a model's features by cross-validated ridge regression.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity."),
                InputSpec::one("features", &[Kind::Features], "stimulus × feature", "The model's features of the conditions."),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "Mean correlation, explained share and noise-normalised score."),
                OutputSpec::new("units", Kind::Table, "", "The score of each unit, and bin."),
                OutputSpec::new("times", Kind::Table, "", "The mean score over units at each bin."),
                OutputSpec::new("regions", Kind::Table, "", "The mean score over the units of each region."),
                OutputSpec::new("predicted", Kind::Features, "stimulus × feature", "Held-out predictions; features are units."),
            ],
            params: Vec::new(),
            metrics: &["r", "r2", "normalised", "normalised_mean"],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("responses") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &EncodeParams, context: &Context) -> Result<Outputs, StageError> {
        if params.penalties.is_empty() {
            return Err(StageError::refused("there is no penalty to try"));
        }
        let responses: Responses = inputs.one("responses")?;
        let features: Features = inputs.one("features")?;
        let problem = Problem::of(&responses, &features, inputs, params)?;
        context.cancel.check()?;
        with_threads(context.threads, || problem.solve(params, context)).map_err(numerical)?
    }
}

/// Targets, features and who is held out.
struct Problem {
    /// `[sample × target]`; targets are units, or bins of units.
    targets: Matrix,
    /// `[sample × feature]`
    features: Matrix,
    /// The band of each feature, and their names.
    band: Vec<usize>,
    bands: Vec<String>,
    condition: Vec<usize>,
    conditions: Vec<String>,
    /// The fold that tests each sample.
    fold: Vec<usize>,
    /// What noise allows of each target; none without repeats.
    ceiling: Option<Vec<Ceiling>>,
    units: Vec<String>,
    regions: Option<Vec<String>>,
    /// The time of each bin, when bins are predicted by themselves.
    times: Option<Vec<f64>>,
}

impl Problem {
    fn of(responses: &Responses, features: &Features, inputs: &Inputs, params: &EncodeParams) -> Result<Problem, StageError> {
        let model = Observations::of(inputs, "features", &params.by, &params.window)?;
        let whole = Observations::of_responses(responses, &params.by, &params.window)?;
        let times: Option<Vec<f64>> = params.each_bin.then(|| {
            responses.bins_within(params.window.start.0, params.window.end.0).iter().map(|&bin| responses.bin_times()[bin]).collect()
        });
        let activity = if params.each_bin {
            let bins = responses.bins_within(params.window.start.0, params.window.end.0);
            let (units, each) = (responses.n_units(), bins.len());
            let rows = Matrix::from_fn(responses.n_trials(), units * each, |trial, target| {
                responses.trace(trial, target / each)[bins[target % each]]
            });
            Observations { rows, ..whole }
        } else {
            whole
        };
        let paired = Paired::of_observations(&activity, &model, &params.samples)?;
        let ceiling = noise_ceilings(&activity, &params.samples)?;
        let fold = folds(&paired, params)?;
        let (band, bands) = bands_of(features);
        let axis = responses.units();
        let regions = match params.region.as_str() {
            "" => None,
            name => match axis.property(name) {
                Some(property) => Some((0..axis.len()).map(|unit| property.label(unit)).collect()),
                None => {
                    let known = axis.properties.iter().map(|(name, _)| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                    let known = if known.is_empty() { "they have none".to_owned() } else { format!("they have {known}") };
                    return Err(StageError::refused(format!("the units have no property `{name}`; {known}")));
                }
            },
        };
        Ok(Problem {
            targets: paired.x,
            features: paired.y,
            band,
            bands,
            condition: paired.condition,
            conditions: paired.conditions,
            fold,
            ceiling,
            units: (0..axis.len()).map(|unit| axis.coordinates.label(unit)).collect(),
            regions,
            times,
        })
    }

    fn solve(&self, params: &EncodeParams, context: &Context) -> Result<Outputs, StageError> {
        let n_folds = params.folds;
        let (samples, n_targets) = self.targets.shape();
        let mut predicted = Matrix::zeros(samples, n_targets);
        let mut r = Matrix::zeros(n_folds, n_targets);
        let mut r2 = vec![0.0; n_targets];
        let mut logs = vec![0.0; n_targets];
        for fold in 0..n_folds {
            context.cancel.check()?;
            let side = |inside: bool| (0..samples).filter(|&sample| (self.fold[sample] != fold) == inside).collect::<Vec<usize>>();
            let (train, test) = (side(true), side(false));
            let seed = Stream::new(context.seed).split("inner").split_index(fold as u64);
            let (found, penalties) = self.fit_and_predict(&train, &test, params, &seed)?;
            for (row, &sample) in test.iter().enumerate() {
                predicted.row_mut(sample).copy_from_slice(found.row(row));
            }
            if found.values().iter().any(|value| !value.is_finite()) {
                return Err(StageError::refused("predictions pass the largest number; bring the responses to a smaller scale first"));
            }
            let measured = self.targets.take_rows(&test);
            for target in 0..n_targets {
                let (p, m) = (found.column(target), measured.column(target));
                let correlation = pearson(&p, &m).map_err(numerical)?;
                r[(fold, target)] = if correlation.is_finite() { correlation } else { 0.0 };
                let middle = mean(&m);
                let all: f64 = m.iter().map(|value| (value - middle) * (value - middle)).sum();
                let left: f64 = p.iter().zip(&m).map(|(p, m)| (p - m) * (p - m)).sum();
                r2[target] += if all > 0.0 && (left / all).is_finite() { 1.0 - left / all } else { 0.0 } / n_folds as f64;
                logs[target] += penalties[target].max(1e-300).log10() / n_folds as f64;
            }
            context.progress.report(fold as u64 + 1, n_folds as u64);
        }
        self.outputs(params, &r, r2, logs, predicted)
    }

    /// Predictions of the test samples `[test sample × target]` and the penalty of each target, chosen on the training samples.
    fn fit_and_predict(
        &self,
        train: &[usize],
        test: &[usize],
        params: &EncodeParams,
        stream: &Stream,
    ) -> Result<(Matrix, Vec<f64>), StageError> {
        let (x, y) = (self.features.take_rows(train), self.targets.take_rows(train));
        let outside = self.features.take_rows(test);
        let inner = self.inner_folds(train, params, stream)?;
        let options = RidgeOptions { intercept: true, standardise: params.standardise };
        let Bands::Layers { candidates } = params.bands else {
            let chosen = if params.penalties.len() == 1 {
                vec![0; y.cols()]
            } else {
                best(
                    &[cross_validate(&x, &y, &inner, &params.penalties, options, Precision::Double).map_err(numerical)?],
                    &params.choose,
                    y.cols(),
                )
                .into_iter()
                .map(|(_, penalty)| penalty)
                .collect()
            };
            let penalties: Vec<f64> = chosen.iter().map(|&place| params.penalties[place]).collect();
            let predicted = RidgePath::fit(&x, &y, options).and_then(|path| path.predict(&outside, &penalties)).map_err(numerical)?;
            return Ok((predicted, penalties));
        };
        // Bands: a kernel of each, of features brought to one scale on the training side.
        let preparation = params.standardise.then(|| Preparation::of(&x, options));
        let (x, outside) = preparation.map_or((x.clone(), outside.clone()), |of| (of.apply(&x), of.apply(&outside)));
        let kernels = (0..self.bands.len())
            .map(|band| {
                let columns: Vec<usize> = (0..self.band.len()).filter(|&feature| self.band[feature] == band).collect();
                let (x, outside) = (x.take_columns(&columns), outside.take_columns(&columns));
                Ok((gemm_nt(&x, &x).map_err(numerical)?, gemm_nt(&outside, &x).map_err(numerical)?))
            })
            .collect::<Result<Vec<_>, StageError>>()?;
        let weightings = weightings(candidates, kernels.len(), &stream.split("weights"));
        let summed = |weights: &[f64], of: fn(&(Matrix, Matrix)) -> &Matrix| {
            let (rows, cols) = of(&kernels[0]).shape();
            let mut sum = Matrix::zeros(rows, cols);
            for (weight, pair) in weights.iter().zip(&kernels) {
                sum.values_mut().iter_mut().zip(of(pair).values()).for_each(|(sum, value)| *sum += weight * value);
            }
            sum
        };
        let scores = weightings
            .iter()
            .map(|weights| {
                cross_validate_kernel(&summed(weights, |pair| &pair.0), &y, &inner, &params.penalties, true, Precision::Double)
                    .map_err(numerical)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let chosen = best(&scores, &params.choose, y.cols());
        let mut predicted = Matrix::zeros(test.len(), y.cols());
        let penalties: Vec<f64> = chosen.iter().map(|&(_, penalty)| params.penalties[penalty]).collect();
        for (candidate, weights) in weightings.iter().enumerate() {
            let targets: Vec<usize> = (0..y.cols()).filter(|&target| chosen[target].0 == candidate).collect();
            if targets.is_empty() {
                continue;
            }
            let own: Vec<f64> = targets.iter().map(|&target| penalties[target]).collect();
            let part = KernelRidge::fit(&summed(weights, |pair| &pair.0), &y.take_columns(&targets), true)
                .and_then(|fit| fit.predict(&summed(weights, |pair| &pair.1), &own))
                .map_err(numerical)?;
            for row in 0..test.len() {
                targets.iter().enumerate().for_each(|(place, &target)| predicted[(row, target)] = part[(row, place)]);
            }
        }
        Ok((predicted, penalties))
    }

    /// Folds of the training samples, by what is held out.
    fn inner_folds(&self, train: &[usize], params: &EncodeParams, stream: &Stream) -> Result<Vec<usize>, StageError> {
        let groups: Vec<usize> = match params.hold_out {
            HoldOut::Conditions {} => train.iter().map(|&sample| self.condition[sample]).collect(),
            HoldOut::Samples {} => (0..train.len()).collect(),
        };
        let mut known = groups.clone();
        known.sort_unstable();
        known.dedup();
        if known.len() < 2 {
            return Err(StageError::refused(
                "a training side has a single condition: no penalty can be chosen on it; use fewer folds or more conditions",
            ));
        }
        Ok(deal(&groups, &known, params.inner_folds.min(known.len()), stream))
    }

    fn outputs(&self, params: &EncodeParams, r: &Matrix, r2: Vec<f64>, logs: Vec<f64>, predicted: Matrix) -> Result<Outputs, StageError> {
        let (samples, n_targets) = self.targets.shape();
        let mean_r: Vec<f64> = (0..n_targets).map(|target| mean(&r.column(target))).collect();
        let mut score = Score::new("r", mean(&mean_r), samples);
        score.chance = Some(0.0);
        score.folds = r.row_iter().map(mean).collect();
        score.notes.push(format!("{} units, {} conditions, {} folds", self.units.len(), self.conditions.len(), params.folds));
        let mut scores = vec![score, Score::new("r2", mean(&r2), samples)];
        let normalised: Option<Vec<Option<f64>>> =
            self.ceiling.as_ref().map(|ceilings| ceilings.iter().zip(&mean_r).map(|(ceiling, &r)| noise_normalised(r, ceiling)).collect());
        if let Some(normalised) = &normalised {
            let defined: Vec<f64> = normalised.iter().flatten().copied().collect();
            let without = n_targets - defined.len();
            // A value even where no target has one: a null draw, whose ceilings are gone, stands below what was found.
            let of_all = |of: fn(&[f64]) -> f64| if defined.is_empty() { 0.0 } else { of(&defined) };
            for (name, value) in [("normalised", of_all(median)), ("normalised_mean", of_all(mean))] {
                let mut score = Score::new(name, value, samples);
                score.unit = Some("% of ceiling".into());
                score.notes.push(match without {
                    0 => format!("over {n_targets} targets"),
                    _ if defined.is_empty() => {
                        format!("none of {n_targets} targets has a noise ceiling that is reliably above zero: there is nothing to explain")
                    }
                    _ => format!(
                        "over {} of {n_targets} targets; the ceiling of the other {without} is not reliably above zero",
                        defined.len()
                    ),
                });
                scores.push(score);
            }
        }
        let each = self.times.as_ref().map_or(1, Vec::len).max(1);
        let unit_of = |target: usize| target / each;
        let mut table =
            vec![columns::from_texts("unit", &(0..n_targets).map(|target| self.units[unit_of(target)].as_str()).collect::<Vec<_>>())];
        if let Some(regions) = &self.regions {
            table.push(columns::from_texts("region", &(0..n_targets).map(|target| regions[unit_of(target)].as_str()).collect::<Vec<_>>()));
        }
        if let Some(times) = &self.times {
            table.push(columns::from_numbers("time", (0..n_targets).map(|target| times[target % each]).collect()));
        }
        table.push(columns::from_numbers("score", mean_r.clone()));
        table.push(columns::from_numbers("r2", r2));
        table.push(columns::from_optional_numbers(
            "ceiling",
            (0..n_targets).map(|target| self.ceiling.as_ref().map(|ceiling| ceiling[target].share)).collect(),
        ));
        table.push(columns::from_optional_numbers(
            "normalised",
            (0..n_targets).map(|target| normalised.as_ref().and_then(|of| of[target])).collect(),
        ));
        table.push(columns::from_numbers("log10_penalty", logs));
        let means = |of: &dyn Fn(usize) -> usize, count: usize| -> Vec<f64> {
            let (mut sums, mut counts) = (vec![0.0; count], vec![0.0; count]);
            for (target, value) in mean_r.iter().enumerate() {
                sums[of(target)] += value;
                counts[of(target)] += 1.0;
            }
            sums.iter().zip(&counts).map(|(sum, count)| sum / f64::max(*count, 1.0)).collect()
        };
        let times = match &self.times {
            Some(times) => {
                vec![columns::from_numbers("time", times.clone()), columns::from_numbers("score", means(&|target| target % each, each))]
            }
            None => vec![columns::from_numbers("time", Vec::new()), columns::from_numbers("score", Vec::new())],
        };
        let mut known = self.regions.clone().unwrap_or_default();
        known.sort();
        known.dedup();
        let place =
            |target: usize| self.regions.as_ref().and_then(|regions| known.binary_search(&regions[unit_of(target)]).ok()).unwrap_or(0);
        let by_region = if known.is_empty() { Vec::new() } else { means(&place, known.len()) };
        let regions = vec![columns::from_texts("region", &known), columns::from_numbers("score", by_region)];
        let names: Vec<String> = (0..n_targets)
            .map(|target| match &self.times {
                Some(times) => format!("{} {} s", self.units[unit_of(target)], times[target % each]),
                None => self.units[target].clone(),
            })
            .collect();
        let labels: Vec<&str> = self.condition.iter().map(|&condition| self.conditions[condition].as_str()).collect();
        let axes = vec![Axis::count("stimulus", samples), Axis::labels("feature", names)];
        // Numbers where all are numbers, as the conditions were.
        let column = match labels.iter().map(|label| label.parse::<f64>()).collect::<Result<Vec<f64>, _>>() {
            Ok(numbers) => columns::from_numbers(&params.by, numbers),
            Err(_) => columns::from_texts(&params.by, &labels),
        };
        let stimuli = Table::from_columns(vec![column])?;
        Outputs::new()
            .with("scores", Scores::new(scores))?
            .with("units", Table::from_columns(table)?)?
            .with("times", Table::from_columns(times)?)?
            .with("regions", Table::from_columns(regions)?)?
            .with("predicted", Features::new(Tensor::new(axes, None, predicted.into_values())?, stimuli)?)
    }
}

/// The folds of samples, by what is held out.
fn folds(paired: &Paired, params: &EncodeParams) -> Result<Vec<usize>, StageError> {
    let (groups, what): (Vec<usize>, &str) = match params.hold_out {
        HoldOut::Conditions {} => (paired.condition.clone(), "conditions"),
        HoldOut::Samples {} => ((0..paired.len()).collect(), "samples"),
    };
    let mut known = groups.clone();
    known.sort_unstable();
    known.dedup();
    if known.len() <= params.folds {
        return Err(StageError::refused_with_help(
            format!(
                "{} has {} {what}; {} folds need more than that, so that each side has 2 at least",
                paired.names[0],
                known.len(),
                params.folds
            ),
            format!("at most `folds = {}` works here", known.len().saturating_sub(1)),
        ));
    }
    // The split is that of the conditions alone, so that steps over the same conditions share it.
    Ok(deal(&groups, &known, params.folds, &Stream::new(0).split("folds")))
}

/// Deals groups to folds in random order, as evenly as they go.
fn deal(groups: &[usize], known: &[usize], folds: usize, stream: &Stream) -> Vec<usize> {
    let order = stream.clone().permutation(known.len());
    let mut fold_of = vec![0; known.len()];
    order.into_iter().enumerate().for_each(|(place, group)| fold_of[group] = place % folds);
    groups.iter().map(|group| fold_of[known.binary_search(group).unwrap_or(0)]).collect()
}

/// For each target the candidate and penalty of best mean held-out R², the first of equals.
fn best(candidates: &[PathScores], choose: &Choice, n_targets: usize) -> Vec<(usize, usize)> {
    let means: Vec<Matrix> = candidates.iter().map(|scores| scores.mean(HeldOut::Explained)).collect();
    let best_by = |value: &dyn Fn(&Matrix, usize) -> f64| {
        let mut best = (0, 0, f64::NEG_INFINITY);
        for (candidate, mean) in means.iter().enumerate() {
            for penalty in 0..mean.rows() {
                let value = value(mean, penalty);
                if value > best.2 {
                    best = (candidate, penalty, value);
                }
            }
        }
        (best.0, best.1)
    };
    match choose {
        Choice::PerUnit {} => (0..n_targets).map(|target| best_by(&|mean, penalty| mean[(penalty, target)])).collect(),
        Choice::Shared {} => vec![best_by(&|means, penalty| mean(means.row(penalty))); n_targets],
    }
}

/// Even weights, each band alone, then random ones (uniform on the simplex).
fn weightings(count: usize, bands: usize, stream: &Stream) -> Vec<Vec<f64>> {
    let mut stream = stream.clone();
    let mut weightings = vec![vec![1.0 / bands as f64; bands]];
    weightings.extend((0..bands).map(|band| (0..bands).map(|other| f64::from(band == other)).collect::<Vec<f64>>()));
    while weightings.len() < count {
        let draws: Vec<f64> = (0..bands).map(|_| stream.exponential()).collect();
        let all: f64 = draws.iter().sum();
        weightings.push(draws.into_iter().map(|draw| draw / all).collect());
    }
    weightings.truncate(count.max(1));
    if bands == 1 {
        weightings.truncate(1);
    }
    weightings
}

/// The band of each feature by the `layer` property, in the order of first appearance.
fn bands_of(features: &Features) -> (Vec<usize>, Vec<String>) {
    let axis = &features.values().axes()[1];
    let label = |feature: usize| axis.property("layer").map_or_else(|| "all".to_owned(), |layer: &Coordinates| layer.label(feature));
    let mut names: Vec<String> = Vec::new();
    let band = (0..axis.len())
        .map(|feature| {
            let label = label(feature);
            names.iter().position(|name| *name == label).unwrap_or_else(|| {
                names.push(label);
                names.len() - 1
            })
        })
        .collect();
    (band, names)
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::Typed;
    use neuroflow_stage::{AnyStage, Control};
    use std::collections::BTreeMap;

    /// Responses of `units` units to `conditions` stimuli that are a linear map of features, with noise; two layers of features, of which only the
    /// second counts.
    fn planted(conditions: usize, repeats: usize, units: usize, noise: f64) -> (Responses, Features) {
        let mut stream = Stream::new(11);
        let (useless, useful) = (6, 4);
        let values: Vec<f64> = (0..conditions * (useless + useful)).map(|_| stream.normal()).collect();
        let weights: Vec<f64> = (0..useful * units).map(|_| stream.normal()).collect();
        let signal = |condition: usize, unit: usize| {
            (0..useful)
                .map(|feature| values[condition * (useless + useful) + useless + feature] * weights[feature * units + unit])
                .sum::<f64>()
        };
        let mut activity = Vec::new();
        for trial in 0..conditions * repeats {
            for unit in 0..units {
                for bin in 0..2 {
                    activity.push(f64::from(bin) * signal(trial % conditions, unit) + noise * stream.normal());
                }
            }
        }
        let region = Coordinates::Labels((0..units).map(|unit| if unit % 2 == 0 { "V1" } else { "LM" }.to_owned()).collect());
        let axes = vec![
            Axis::count("trial", conditions * repeats),
            Axis::count("unit", units).with_property("region", region),
            Axis::numbers("bin", Some("s"), vec![0.0, 0.5]),
        ];
        let directions = |count: usize| columns::from_numbers("direction", (0..count).map(|row| (row % conditions) as f64).collect());
        let trials = Table::from_columns(vec![directions(conditions * repeats)]).unwrap();
        let responses = Responses::new("s", Tensor::new(axes, None, activity).unwrap(), trials, None).unwrap();
        let layer =
            Coordinates::Labels((0..useless + useful).map(|feature| if feature < useless { "low" } else { "high" }.to_owned()).collect());
        let axes = vec![Axis::count("stimulus", conditions), Axis::count("feature", useless + useful).with_property("layer", layer)];
        let features =
            Features::new(Tensor::new(axes, None, values).unwrap(), Table::from_columns(vec![directions(conditions)]).unwrap()).unwrap();
        (responses, features)
    }

    fn run(responses: &Responses, features: &Features, params: &[(&str, Value)]) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        inputs.push("responses", "", responses.clone().into_artifact()?);
        inputs.push("features", "", features.clone().into_artifact()?);
        let params: BTreeMap<String, Value> = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        AnyStage::run(&Encode, &inputs, &params, &Context::quiet(2))
    }

    fn penalties() -> (&'static str, Value) {
        ("penalties", Value::from(vec![0.01, 0.1, 1.0, 10.0, 100.0]))
    }

    #[test]
    fn a_planted_linear_code_is_found_and_its_normalised_score_is_near_the_ceiling() {
        let (responses, features) = planted(60, 4, 6, 1.0);
        let outputs =
            run(&responses, &features, &[penalties(), ("window", Value::window(0.4, 1.0)), ("region", Value::from("region"))]).unwrap();
        let scores: Scores = outputs.one("scores").unwrap();
        assert!(scores.get("r").unwrap().value > 0.9, "{:?}", scores.get("r"));
        assert!(scores.get("normalised").unwrap().value > 88.0, "{:?}", scores.get("normalised"));
        let regions: Table = outputs.one("regions").unwrap();
        assert_eq!(regions.texts("region").unwrap(), ["LM", "V1"]);
        let predicted: Features = outputs.one("predicted").unwrap();
        assert_eq!(predicted.values().shape(), [60, 6]);
        assert_eq!(predicted.stimuli().numbers("direction").unwrap()[7], 7.0);
    }

    #[test]
    fn bands_leave_a_useless_layer_out() {
        let (responses, features) = planted(24, 3, 5, 1.0);
        let r = |bands: Value| {
            let params = [penalties(), ("bands", bands), ("window", Value::window(0.4, 1.0))];
            run(&responses, &features, &params).unwrap().one::<Scores>("scores").unwrap().get("r").unwrap().value
        };
        let (one, banded) = (r(Value::word("one")), r(Value::call("layers", vec![("candidates", Value::Int(6))])));
        assert!(banded > one - 0.02 && banded > 0.7, "{one} {banded}");
    }

    #[test]
    fn bins_are_predicted_by_themselves_and_a_shared_penalty_is_one() {
        let (responses, features) = planted(30, 3, 4, 0.5);
        let params = [penalties(), ("each_bin", true.into()), ("choose", Value::word("shared")), ("samples", Value::word("rows"))];
        let outputs = run(&responses, &features, &params).unwrap();
        let times: Table = outputs.one("times").unwrap();
        let score = times.numbers("score").unwrap();
        assert_eq!(times.numbers("time").unwrap(), [0.0, 0.5]);
        assert!(score[1] > 0.8 && score[0].abs() < 0.3, "{score:?}");
        let units: Table = outputs.one("units").unwrap();
        let penalty = units.numbers("log10_penalty").unwrap();
        assert!(units.rows() == 8 && penalty.iter().all(|value| *value == penalty[0]));
    }

    #[test]
    fn shuffled_conditions_score_at_chance() {
        let (responses, features) = planted(8, 8, 12, 0.5);
        let control = Control::parse(&Value::call("shuffle", vec![("column", Value::from("direction")), ("n", Value::Int(20))])).unwrap();
        let artifact = responses.into_artifact().unwrap();
        let mut values = Vec::new();
        for draw in 0..20 {
            let changed = Responses::from_artifact(&control.change(&artifact, draw).unwrap()).unwrap();
            let params = [("samples", Value::word("rows")), ("folds", Value::Int(4)), ("inner_folds", Value::Int(3)), penalties()];
            values.push(run(&changed, &features, &params).unwrap().one::<Scores>("scores").unwrap().scores[0].value);
        }
        let error = neuroflow_compute::statistics::standard_deviation(&values, 1) / (20.0f64).sqrt();
        assert!(mean(&values).abs() <= 4.0 * error.max(0.005), "{} ± {error}", mean(&values));
    }

    #[test]
    fn noise_has_no_ceiling_and_no_normalised_score() {
        for seed in 0..5 {
            let (planted, features) = planted(30, 3, 20, 1.0);
            let mut stream = Stream::new(seed);
            let values = (0..planted.values().values().len()).map(|_| stream.normal()).collect::<Vec<_>>();
            let noise = Tensor::new(planted.values().axes().to_vec(), None, values).unwrap();
            let responses = planted.with_values(noise, None).unwrap();
            for samples in ["rows", "conditions"] {
                let outputs = run(&responses, &features, &[penalties(), ("samples", Value::word(samples))]).unwrap();
                let units: Table = outputs.one("units").unwrap();
                let defined = units.numbers("normalised").unwrap().iter().filter(|value| !value.is_nan()).count();
                let scores: Scores = outputs.one("scores").unwrap();
                let normalised = scores.get("normalised").unwrap();
                assert!(defined <= 1 && normalised.value < 10.0, "{seed} {samples}: {defined} {normalised:?}");
                assert!(defined == 1 || normalised.notes[0].contains("none of 20 targets has a noise ceiling"), "{:?}", normalised.notes);
            }
        }
    }

    #[test]
    fn a_feature_that_hardly_varies_in_training_does_not_ruin_what_is_held_out() {
        // Two features, as of a filter that one stimulus passes and the others do not: rounding everywhere, and 1 for one condition.
        let (responses, features) = planted(30, 3, 4, 0.5);
        let width = features.values().shape()[1];
        let mut stream = Stream::new(4);
        let mut values = features.values().values().to_vec();
        for (feature, condition) in [(0, 7), (1, 19)] {
            (0..30).for_each(|row| values[row * width + feature] = if row == condition { 1.0 } else { 1e-9 * stream.normal() });
        }
        let axes = features.values().axes().to_vec();
        let changed = Features::new(Tensor::new(axes, None, values).unwrap(), features.stimuli().clone()).unwrap();
        let bands = Value::call("layers", vec![("candidates", Value::Int(4))]);
        for route in [vec![], vec![("bands", bands)], vec![("samples", Value::word("rows"))]] {
            let mut params = vec![penalties(), ("window", Value::window(0.4, 1.0))];
            params.extend(route.clone());
            let scores: Scores = run(&responses, &changed, &params).unwrap().one("scores").unwrap();
            let r2 = scores.get("r2").unwrap().value;
            assert!(r2 > 0.5, "{route:?}: {r2}");
        }
    }

    #[test]
    fn too_many_folds_and_unknown_properties_are_refused() {
        let (responses, features) = planted(6, 2, 3, 0.5);
        let said = |params: &[(&str, Value)]| run(&responses, &features, params).unwrap_err().to_string();
        assert!(said(&[("folds", Value::Int(6))]).contains("6 conditions"));
        assert!(said(&[("region", Value::from("area"))]).contains("they have `region`"));
        assert!(said(&[("penalties", Value::List(vec![]))]).contains("no penalty"));
    }
}
