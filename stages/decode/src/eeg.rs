//! `decode.eeg`: which condition a trial belongs to, from the power and coupling of channels.
//!
//! For what: rhythms whose strength or place tells conditions apart, as in imagined movement; what matters is the covariance of channels in a trial,
//! not its mean. Promises: covariances are taken once; everything that is learned (alignment, filters, means, classifier) is learned on the training
//! side of each fold; the same seed gives the same bytes on any number of threads. Refuses: gaps, one class only, fewer trials of a class than folds,
//! covariances without an inverse where a method needs one. From: Ramoser et al. 2000 and Grosse-Wentrup & Buss 2008 (common spatial patterns),
//! Barachant et al. 2012 (minimum distance, tangent space), He & Wu 2020 (Euclidean alignment); MNE-Python and pyRiemann, whose numbers these are.

use crate::classify::{split_of, table};
use crate::cross_validate::{Predictions, collect};
use crate::lda::Shrinkage;
use crate::linear::softmax;
use crate::model::Model;
use crate::place::{Place, require_usable};
use crate::scaling::Scale;
use crate::split::{Split, split_slot};
use crate::target::{Target, count};
use crate::trial_features::bins_in;
use neuroflow_compute::parallel::map_in_order;
use neuroflow_compute::riemann::{
    CommonSpatialPatterns, CovarianceEstimator, EuclideanAlignment, MinimumDistance, SharedStart, TangentSpace, euclidean_mean,
    geometric_mean, trial_covariances,
};
use neuroflow_compute::{ComputeError, Matrix, MatrixRef, with_threads};
use neuroflow_data::random::Stream;
use neuroflow_data::{Kind, Responses};
use neuroflow_stage::{
    Auto, Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};
use std::sync::atomic::{AtomicU64, Ordering};

/// The stage `decode.eeg`.
pub struct Eeg;

words! {
    /// How covariances become classes.
    pub enum EegModel {
        /// Common spatial patterns, the logarithm of their power, and linear discriminant analysis.
        Csp = "csp" {
            /// The number of spatial filters; no more than the channels span.
            components: usize = 6, in 1.0..=10000.0;
            /// The shrinkage of the discriminant analysis: an estimator as in `decode.classify`, or a share from 0 to 1.
            shrinkage: Shrinkage = 0.0, in 0.0..=1.0;
        },
        /// Minimum distance to the geometric mean of each class: nothing to tune.
        Mdm = "mdm" {},
        /// Logistic regression in the tangent space at the geometric mean of the training trials.
        TangentSpace = "tangent_space" {
            /// The weight of the data against the penalty (scikit-learn's `C`), or `auto` by folds inside the training trials.
            strength: Auto<f64> = 1.0, in 1e-12..=1e12;
        },
    }
}

words! {
    /// How a trial's covariance is estimated.
    pub enum Covariance {
        /// Shrunk by the oracle approximation of Chen et al. 2010: for few samples and referenced channels.
        Oas = "oas" {},
        /// Shrunk by the lemma of Ledoit & Wolf 2004.
        LedoitWolf = "ledoit_wolf" {},
        /// The sample covariance, divided by the number of samples.
        Sample = "sample" {},
        /// As the sample covariance, with nothing taken off: for filtered signals, whose mean is zero. What MNE-Python's CSP uses.
        SecondMoment = "second_moment" {},
    }
}

words! {
    /// How groups of trials, such as sessions, are brought together.
    pub enum Align {
        /// Not at all.
        None = "none" {},
        /// By the inverse root of each group's mean covariance, over its training trials: without labels.
        Euclidean = "euclidean" {
            /// The trial column that names the group.
            by: String;
        },
    }
}

params! {
    /// Parameters of `decode.eeg`.
    pub struct EegParams {
        /// The trial column to predict. Each of its values, numbers or text, is a class.
        target: String;
        /// The bins whose covariance is taken, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// How covariances become classes.
        model: EegModel = Value::word("csp");
        /// How a trial's covariance is estimated.
        covariance: Covariance = Value::word("oas");
        /// How groups of trials are brought together.
        align: Align = Value::word("none");
        /// The number of stratified folds; every class needs as many trials.
        folds: usize = 5, in 2.0..=1000.0;
    }
}

const DOC: &str = r#"The covariance of channels in the window of each trial is all that is used: what is in phase with the stimulus counts as
everything else does. Filter to the band of the rhythm first (`ingest.filter`), over trials that are wider than the window.

* `csp`: filters over channels whose power differs most between classes. With `covariance = second_moment` the numbers are those of MNE-Python's `CSP`
  and scikit-learn's discriminant analysis.
* `mdm` and `tangent_space`: covariances as points of a curved space, in which mixing channels changes no distance. The numbers are those of
  pyRiemann. They need covariances with an inverse: more samples than channels, or shrinkage.

`align = euclidean(by = "session")` takes out what differs between sessions or people as a whole; a group needs training trials in every fold.

Scores, `confusion` and `predictions` are those of `decode.classify`. Not for: conditions in long blocks, which slow changes of power tell apart, nor
channels of eyes and muscles, unless these are the question.

```nf
pipeline rhythms "Which way did the grating drift, by power and coupling?"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
rhythms = decode.eeg(responses, target = "direction") with control = shuffle("direction", n = 20), seed = 7
```"#;

impl Stage for Eeg {
    type Params = EegParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "decode.eeg",
            version: 2,
            summary: "Predicts each trial's condition from the power and coupling of channels, cross-validated.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity, cut into trials; units are channels."),
                split_slot(),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "Accuracy, balanced accuracy and κ."),
                OutputSpec::new("confusion", Kind::Tensor, "true × predicted", "Counts of trials."),
                OutputSpec::new(
                    "predictions",
                    Kind::Table,
                    "",
                    "For each trial its fold, true and predicted class, and the probability of each class.",
                ),
            ],
            params: Vec::new(),
            metrics: &["accuracy", "balanced_accuracy", "kappa"],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("responses") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::OnGpu(1e-2),
        }
    }

    fn run(&self, inputs: &Inputs, params: &EegParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let target = Target::of(&responses, &params.target)?;
        require_usable(&responses)?;
        let groups = match &params.align {
            Align::None {} => None,
            Align::Euclidean { by } => Some(Target::any(&responses, by)?.labels),
        };
        if let Some(groups) = &groups {
            require_mixed(&responses, &target, groups)?;
        }
        let split = split_of(inputs, &responses, &target, params.folds, context.seed)?;
        context.cancel.check()?;
        let predictions = with_threads(context.threads, || {
            let covariances = covariances(&responses, &params.window, &params.covariance)?;
            cross_validate(
                &Problem { covariances: &covariances, target: &target, groups: groups.as_deref(), responses: &responses },
                &split,
                &params.model,
                context,
            )
        })
        .map_err(|error| refused(&responses, error))??;
        let confusion = predictions.confusion();
        Outputs::new()
            .with("scores", predictions.scores())?
            .with("confusion", confusion.tensor(&target.names())?)?
            .with("predictions", table(&predictions, &target, true)?)
    }
}

/// Refuses groups of which one lacks a class: knowing the group would tell the class, and taking out what differs between groups would bring it in.
fn require_mixed(responses: &Responses, target: &Target, groups: &[usize]) -> Result<(), StageError> {
    let n_groups = groups.iter().max().map_or(0, |group| group + 1);
    let mut has = vec![false; n_groups * target.n_classes()];
    groups.iter().zip(&target.labels).for_each(|(group, label)| has[group * target.n_classes() + label] = true);
    if has.iter().all(|&has| has) {
        return Ok(());
    }
    Err(StageError::refused_with_help(
        format!("{}: not every group that is to be aligned has trials of all {} classes", Place(responses), target.n_classes()),
        "align by what does not depend on the class, as a session, a run or a person",
    ))
}

/// A kernel's refusal with the session's name.
fn refused(responses: &Responses, error: ComputeError) -> StageError {
    StageError::refused_with_help(
        format!("{}: {error}", Place(responses)),
        "`covariance = oas` shrinks covariances of few samples; a channel without any variance is left out before this step",
    )
}

/// The covariance of the channels in the window of each trial.
fn covariances(responses: &Responses, window: &TimeWindow, covariance: &Covariance) -> Result<Vec<Matrix>, StageError> {
    let bins = bins_in(responses, window)?;
    let (n_units, n_bins) = (responses.n_units(), responses.n_bins());
    let estimator = match covariance {
        Covariance::Oas {} => CovarianceEstimator::OracleApproximating,
        Covariance::LedoitWolf {} => CovarianceEstimator::LedoitWolf,
        Covariance::Sample {} => CovarianceEstimator::Sample,
        Covariance::SecondMoment {} => CovarianceEstimator::SecondMoment,
    };
    let refused = |error| refused(responses, error);
    let (first, last) = (bins.first().copied().unwrap_or(0), bins.last().copied().unwrap_or(0));
    let trials: Vec<MatrixRef<'_>> = (0..responses.n_trials())
        .map(|trial| MatrixRef::new(n_units, n_bins, responses.values().row(trial)))
        .collect::<Result<_, _>>()
        .map_err(refused)?;
    if last + 1 - first == bins.len() {
        let trials: Vec<MatrixRef<'_>> = trials.into_iter().map(|trial| trial.column_range(first..last + 1)).collect();
        return trial_covariances(&trials, estimator).map_err(refused);
    }
    // Times that do not ascend: the bins of the window are gathered.
    let gathered: Vec<Matrix> =
        trials.iter().map(|trial| Matrix::from_fn(n_units, bins.len(), |unit, place| trial.get(unit, bins[place]))).collect();
    trial_covariances(&gathered.iter().map(Matrix::view).collect::<Vec<_>>(), estimator).map_err(refused)
}

/// What is to be decoded.
struct Problem<'a> {
    covariances: &'a [Matrix],
    target: &'a Target,
    /// The group of each trial that is aligned by itself.
    groups: Option<&'a [usize]>,
    responses: &'a Responses,
}

/// Each trial predicted by a rule that did not see it.
fn cross_validate(problem: &Problem<'_>, split: &Split, model: &EegModel, context: &Context) -> Result<Predictions, StageError> {
    let n_classes = problem.target.n_classes();
    let done = AtomicU64::new(0);
    let starts = Starts::of(problem, model)?;
    let results = map_in_order(split.n_folds(), |fold| {
        context.cancel.check()?;
        let (train, test) = (&split.train[fold], &split.test[fold]);
        let aligned = problem.aligned(train)?;
        let side = |trials: &[usize]| {
            trials.iter().map(|&trial| aligned.as_deref().unwrap_or(problem.covariances).get(trial)).collect::<Option<Vec<&Matrix>>>()
        };
        let (Some(train_side), Some(test_side)) = (side(train), side(test)) else {
            return Err(StageError::Bug("a fold without its trials".into()));
        };
        let labels: Vec<usize> = train.iter().map(|&trial| problem.target.labels[trial]).collect();
        if let Some(class) = count(&labels, n_classes).iter().position(|&trials| trials == 0) {
            return Err(StageError::refused_with_help(
                format!("{}: no fold may be without training trials of {}", Place(problem.responses), problem.target.names()[class]),
                "use a split whose every fold trains on all classes",
            ));
        }
        let stream = Stream::new(context.seed).split("model").split_index(fold as u64);
        let probabilities = problem.predict(&train_side, train, &test_side, model, &starts, &stream, context)?;
        context.progress.report(done.fetch_add(1, Ordering::Relaxed) + 1, split.n_folds() as u64);
        Ok(probabilities)
    });
    let of_folds = results.into_iter().collect::<Result<Vec<Vec<f64>>, StageError>>()?;
    Ok(collect(split, &problem.target.labels, n_classes, &of_folds))
}

/// Where the search for geometric means starts: near all of them, so that each fold has a short way. A mean is unique, so the start decides how long
/// the search takes, not what it finds. Nothing for aligned covariances, which are others in each fold.
#[derive(Default)]
struct Starts<'a> {
    of_classes: Vec<Matrix>,
    /// All covariances, and what is known of them from their mean.
    of_all: Option<(Vec<&'a Matrix>, SharedStart)>,
}

impl<'a> Starts<'a> {
    fn of(problem: &Problem<'a>, model: &EegModel) -> Result<Starts<'a>, StageError> {
        let refused = |error| refused(problem.responses, error);
        let labelled = || problem.covariances.iter().zip(&problem.target.labels);
        match model {
            EegModel::TangentSpace { .. } if problem.groups.is_none() => {
                let all: Vec<&Matrix> = problem.covariances.iter().collect();
                let start = SharedStart::around(&all).map_err(refused)?;
                Ok(Starts { of_all: Some((all, start)), ..Starts::default() })
            }
            EegModel::Mdm {} if problem.groups.is_none() => {
                let means = map_in_order(problem.target.n_classes(), |class| {
                    let members: Vec<&Matrix> = labelled().filter(|(_, label)| **label == class).map(|(matrix, _)| matrix).collect();
                    geometric_mean(&members, None).map_err(refused)
                });
                Ok(Starts { of_classes: means.into_iter().collect::<Result<_, _>>()?, ..Starts::default() })
            }
            _ => Ok(Starts::default()),
        }
    }
}

impl Problem<'_> {
    /// The covariances of all trials, each group by the mean of its training trials; none when nothing is aligned.
    fn aligned(&self, train: &[usize]) -> Result<Option<Vec<Matrix>>, StageError> {
        let Some(groups) = self.groups else { return Ok(None) };
        let n_groups = groups.iter().max().map_or(0, |group| group + 1);
        let alignments = (0..n_groups)
            .map(|group| {
                let members: Vec<&Matrix> =
                    train.iter().filter(|trial| groups[**trial] == group).map(|&trial| &self.covariances[trial]).collect();
                if members.is_empty() {
                    return Err(StageError::refused_with_help(
                        format!("{}: a group that is to be aligned has no training trials in one of the folds", Place(self.responses)),
                        "use fewer `folds`, or groups of more trials",
                    ));
                }
                EuclideanAlignment::fit(&members).map_err(|error| refused(self.responses, error))
            })
            .collect::<Result<Vec<EuclideanAlignment>, StageError>>()?;
        let aligned = groups.iter().zip(self.covariances).map(|(&group, covariance)| alignments[group].covariance(covariance));
        aligned.collect::<Result<Vec<Matrix>, ComputeError>>().map(Some).map_err(|error| refused(self.responses, error))
    }

    /// The probability of each class for each trial of `test`, by what is learned from `train`, which are the trials at the places `trials`.
    fn predict(
        &self,
        train: &[&Matrix],
        trials: &[usize],
        test: &[&Matrix],
        model: &EegModel,
        starts: &Starts<'_>,
        stream: &Stream,
        context: &Context,
    ) -> Result<Vec<f64>, StageError> {
        let n_classes = self.target.n_classes();
        let labels: Vec<usize> = trials.iter().map(|&trial| self.target.labels[trial]).collect();
        let refused = |error| refused(self.responses, error);
        let (classifier, train, test) = match model {
            EegModel::Mdm {} => {
                let fitted = MinimumDistance::fit(train, &labels, n_classes, &starts.of_classes).map_err(refused)?;
                let mut scores = fitted.squared_distances(test).map_err(refused)?.map(|square| -square).into_values();
                scores.chunks_exact_mut(n_classes).for_each(|row| {
                    softmax(row);
                });
                return Ok(scores);
            }
            EegModel::Csp { components, shrinkage } => {
                let classes: Vec<Vec<&Matrix>> = (0..n_classes)
                    .map(|class| train.iter().zip(&labels).filter(|(_, label)| **label == class).map(|(matrix, _)| *matrix).collect())
                    .collect();
                let means = classes.iter().map(|members| euclidean_mean(members)).collect::<Result<Vec<Matrix>, _>>().map_err(refused)?;
                let weights: Vec<f64> = classes.iter().map(|members| members.len() as f64).collect();
                let fitted = CommonSpatialPatterns::fit(&means, &weights, *components).map_err(refused)?;
                let features = |side: &[&Matrix]| fitted.log_power(side).map_err(refused);
                (Model::Lda { shrinkage: shrinkage.clone() }, features(train)?, features(test)?)
            }
            EegModel::TangentSpace { strength } => {
                let mean = match &starts.of_all {
                    Some((all, start)) => start.geometric_mean(all, trials),
                    None => geometric_mean(train, None),
                };
                let space = mean.and_then(|mean| TangentSpace::at(&mean)).map_err(refused)?;
                let classifier = Model::Logistic { strength: strength.clone(), inner: 4, tolerance: 1e-6, steps: 5000 };
                (classifier, space.vectors(train).map_err(refused)?, space.vectors(test).map_err(refused)?)
            }
        };
        let fitted = classifier.fit(train, &labels, n_classes, &Scale::None {}, stream, context)?;
        Ok(fitted.scores(test, n_classes))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{golden, refusal, run, session};
    use neuroflow_compute::product::gemm;
    use neuroflow_data::{Axis, Scores, Table, Tensor, columns};

    /// Trials whose class is the source that is strong, mixed over channels; 12 bins of which the last 8 lie in the window.
    fn rhythms(n_trials: usize, classes: usize, strength: f64, channels: usize) -> Responses {
        let mut stream = Stream::new(3);
        let mixing = Matrix::from_fn(channels, channels, |_, _| stream.normal());
        let mut labels: Vec<usize> = (0..n_trials).map(|trial| trial % classes).collect();
        stream.shuffle(&mut labels);
        let mut values = Vec::new();
        for &label in &labels {
            let sources =
                Matrix::from_fn(channels, 12, |source, _| if source == label { strength * stream.normal() } else { stream.normal() });
            values.extend(gemm(&mixing, &sources).unwrap().into_values());
        }
        session("rhythms", &labels, channels, values)
    }

    fn target() -> (&'static str, Value) {
        ("target", "direction".into())
    }

    fn models() -> [(&'static str, Value); 3] {
        ["csp", "mdm", "tangent_space"].map(|name| ("model", Value::word(name)))
    }

    fn accuracy(responses: &Responses, params: &[(&str, Value)]) -> f64 {
        let outputs = run(&Eeg, std::slice::from_ref(responses), params, &Context::quiet(7)).unwrap();
        outputs.one::<Scores>("scores").unwrap().get("accuracy").unwrap().value
    }

    #[test]
    fn every_model_finds_planted_rhythms_of_two_and_three_classes_and_nothing_where_there_is_none() {
        for classes in [2, 3] {
            let (planted, nothing) = (rhythms(72, classes, 6.0, 5), rhythms(72, classes, 1.0, 5));
            for model in models() {
                let found = accuracy(&planted, &[target(), model.clone()]);
                assert!(found > 0.85, "{classes} {model:?}: {found}");
                let chance = accuracy(&nothing, &[target(), model.clone()]);
                assert!((chance - 1.0 / classes as f64).abs() < 0.2, "{classes} {model:?}: {chance}");
            }
        }
    }

    #[test]
    fn nearest_means_of_the_golden_trials_are_those_of_pyriemann() {
        let Some((shape, values)) = golden("signal/csp_riemann", "epochs") else { return };
        let labels: Vec<usize> = golden("signal/csp_riemann", "labels").unwrap().1.into_iter().map(|label| label as usize).collect();
        let expected: Vec<usize> = golden("signal/csp_riemann", "mdm_pred").unwrap().1.into_iter().map(|label| label as usize).collect();
        let axes = vec![
            Axis::count("trial", shape[0]),
            Axis::count("unit", shape[1]),
            Axis::numbers("bin", Some("s"), (0..shape[2]).map(|bin| bin as f64 * 0.01).collect()),
        ];
        let table = Table::from_columns(vec![columns::from_numbers("class", labels.iter().map(|&label| label as f64).collect())]).unwrap();
        let responses = Responses::new("golden", Tensor::new(axes, None, values).unwrap(), table, None).unwrap();
        let window = neuroflow_stage::Seconds(0.0)..neuroflow_stage::Seconds(9.0);
        let covariances = covariances(&responses, &window, &Covariance::Sample {}).unwrap();
        let target = Target::of(&responses, "class").unwrap();
        let problem = Problem { covariances: &covariances, target: &target, groups: None, responses: &responses };
        let half = shape[0] / 2;
        let split = Split { n_trials: shape[0], train: vec![(0..half).collect()], test: vec![(half..shape[0]).collect()] };
        let found = cross_validate(&problem, &split, &EegModel::Mdm {}, &Context::quiet(1)).unwrap();
        assert_eq!(found.predicted, expected);
    }

    #[test]
    fn mixing_channels_and_their_order_change_no_prediction() {
        let responses = rhythms(60, 3, 2.5, 4);
        let mut stream = Stream::new(8);
        let mixing = Matrix::from_fn(4, 4, |row, column| f64::from(row == column) * 2.0 + 0.5 * stream.normal());
        let mut values = Vec::new();
        for trial in 0..60 {
            values.extend(gemm(&mixing, MatrixRef::new(4, 12, responses.values().row(trial)).unwrap()).unwrap().into_values());
        }
        let mixed = responses.with_values(Tensor::new(responses.values().axes().to_vec(), None, values).unwrap(), None).unwrap();
        let predicted = |responses: &Responses, model: &(&str, Value)| {
            let params = [target(), model.clone(), ("covariance", Value::word("sample"))];
            let outputs = run(&Eeg, std::slice::from_ref(responses), &params, &Context::quiet(2)).unwrap();
            outputs.one::<Table>("predictions").unwrap().numbers("predicted").unwrap()
        };
        for model in models() {
            assert_eq!(predicted(&responses, &model), predicted(&mixed, &model), "{model:?}");
        }
    }

    #[test]
    fn alignment_takes_out_what_differs_between_sessions() {
        // The second half of the trials was recorded with another gain and mixing.
        let responses = rhythms(80, 2, 2.5, 4);
        let mut stream = Stream::new(4);
        let other = Matrix::from_fn(4, 4, |_, _| 3.0 * stream.normal());
        let mut values = Vec::new();
        for trial in 0..80 {
            let channels = MatrixRef::new(4, 12, responses.values().row(trial)).unwrap();
            values.extend(if trial < 40 { channels.to_matrix() } else { gemm(&other, channels).unwrap() }.into_values());
        }
        let table = responses.trials().clone();
        let (field, column) = columns::from_texts("day", &(0..80).map(|trial| if trial < 40 { "one" } else { "two" }).collect::<Vec<_>>());
        let values = Tensor::new(responses.values().axes().to_vec(), None, values).unwrap();
        let both = Responses::new("days", values, table.with_column(field, column).unwrap(), None).unwrap();
        let align = ("align", Value::call("euclidean", vec![("by", "day".into())]));
        let params = [target(), ("model", Value::word("mdm"))];
        let (apart, aligned) = (accuracy(&both, &params), accuracy(&both, &[params.clone().to_vec(), vec![align]].concat()));
        assert!(aligned > apart + 0.1 && aligned > 0.7, "{apart} {aligned}");
        // Groups that tell the class would bring it in.
        let by_class = ("align", Value::call("euclidean", vec![("by", target().1)]));
        let said = refusal(&Eeg, std::slice::from_ref(&both), &[target(), by_class]);
        assert!(said.contains("all 2 classes"), "{said}");
        // Of one group alone, alignment changes nothing for what is blind to mixing.
        let one = ("align", Value::call("euclidean", vec![("by", "name".into())]));
        let single = both
            .with_trials(table.with_column(columns::from_texts("name", &["x"; 80]).0, columns::from_texts("name", &["x"; 80]).1).unwrap())
            .unwrap();
        let mdm = ("model", Value::word("mdm"));
        assert_eq!(accuracy(&single, &[target(), mdm.clone(), one]), accuracy(&single, &[target(), mdm]));
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let responses = rhythms(48, 3, 2.0, 4);
        for model in models() {
            let bytes = |threads| {
                let context = Context { threads, ..Context::quiet(4) };
                let outputs = run(&Eeg, std::slice::from_ref(&responses), &[target(), model.clone()], &context).unwrap();
                outputs.into_artifacts().into_values().map(|artifact| artifact.encode().unwrap()).collect::<Vec<_>>()
            };
            assert!(bytes(1) == bytes(8));
        }
    }

    #[test]
    fn what_can_not_be_decoded_is_refused_in_the_users_words() {
        let responses = rhythms(40, 2, 3.0, 4);
        let flat = session("flat", &(0..20).map(|trial| trial % 2).collect::<Vec<_>>(), 3, vec![2.5; 20 * 36]);
        for (_, model) in models() {
            let message = refusal(&Eeg, std::slice::from_ref(&flat), &[target(), ("model", model)]);
            assert!(
                message.contains("session flat") && (message.contains("positive definite") || message.contains("variance")),
                "{message}"
            );
        }
        // 12 channels, 8 bins: the sample covariance has no inverse, a shrunken one has.
        let wide = rhythms(40, 2, 4.0, 12);
        let sample = ("covariance", Value::word("sample"));
        let message = refusal(&Eeg, std::slice::from_ref(&wide), &[target(), ("model", Value::word("mdm")), sample.clone()]);
        assert!(message.contains("12 channels is not positive definite") && message.contains("`covariance = oas`"), "{message}");
        accuracy(&wide, &[target(), ("model", Value::word("mdm"))]);
        accuracy(&wide, &[target(), sample]);
        let window = ("window", Value::window(5.0, 6.0));
        assert!(refusal(&Eeg, std::slice::from_ref(&responses), &[target(), window]).contains("has no bins in 5 s .. 6 s"));
        let align = ("align", Value::call("euclidean", vec![("by", "day".into())]));
        assert!(refusal(&Eeg, std::slice::from_ref(&responses), &[target(), align]).contains("no trial column `day`"));
        let few = ("folds", 30.into());
        assert!(refusal(&Eeg, std::slice::from_ref(&responses), &[target(), few]).contains("30 folds need at least 30 trials"));
        let mut values = responses.values().values().to_vec();
        values[5] = f64::INFINITY;
        let gap = responses.with_values(Tensor::new(responses.values().axes().to_vec(), None, values).unwrap(), None).unwrap();
        assert!(refusal(&Eeg, &[gap], &[target()]).contains("1 values that are not finite"));
        let context = Context::quiet(1);
        context.cancel.cancel();
        assert!(matches!(run(&Eeg, &[responses], &[target()], &context), Err(StageError::Cancelled)));
    }
}
