//! `decode.classify`: which condition was shown, from the activity of one trial.
//!
//! For what: how much a population tells about the stimulus, as the share of trials whose condition a classifier predicts that did not see the trial.
//! Promises: folds are stratified and seeded; everything learned (scaling, shrinkage, penalty) is learned on the training side; the same seed gives the
//! same bytes on any number of threads. Refuses: gaps in activity or target, one class only, fewer trials of a class than folds, an empty window.
//! Method: shrinkage discriminant analysis after Ledoit & Wolf 2004 with scikit-learn's numbers, penalised logistic regression with scikit-learn's
//! numbers, linear support vector machine, ridge classifier, Gaussian and Poisson naive Bayes, nearest neighbours, or a multilayer perceptron.

use crate::cross_validate::{Predictions, cross_validate};
use crate::folds::Folds;
use crate::lda::steady_features;
use crate::model::Model;
use crate::permutations::{Labelling, cross_validate_all};
use crate::place::require_usable;
use crate::scaling::Scale;
use crate::split::{Split, split_slot};
use crate::target::Target;
use crate::trial_features::{Features, of_units};
use neuroflow_data::{Kind, Responses, Scores, Table, Tensor, Typed, columns};
use neuroflow_stage::{
    Context, Control, ControlSite, Draws, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError,
    TimeWindow, Value, params,
};

/// The stage `decode.classify`.
pub struct Classify;

params! {
    /// Parameters of `decode.classify`.
    pub struct ClassifyParams {
        /// The trial column to predict. Each of its values, numbers or text, is a class.
        target: String;
        /// The bins that the classifier sees, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// What it sees of a trial: each unit's `mean` or `sum`, its mean in `bins(width = 250 ms)`, or every bin (`flatten`).
        features: Features = Value::word("mean");
        /// The number of stratified folds; every class needs as many trials. Not used when a split is given.
        folds: usize = 8, in 2.0..=1000.0;
        /// Scaling of features, learned on the training side of each fold.
        scale: Scale = Value::word("none");
        /// The classifier.
        model: Model = Value::word("lda");
    }
}

const DOC: &str = r#"A classifier learns the relation of population activity to `target` on the trials of all folds but one and predicts the trials of that one, for
each fold in turn. A second input, made by `decode.split`, replaces the stratified folds by any other cross-validation; steps that share it can be compared.

Scores: `accuracy` (chance: the share of the largest class; Wilson's interval over trials), `balanced_accuracy` (chance: 1/classes), `kappa` (chance: 0; both
with mean ± t·SD/√folds). `confusion` counts trials [true × predicted]; `predictions` has a row for each tested trial with its fold and
the probability of each class (`svm` and `ridge` have no probabilities: there it is the decision value, `score_…`). A class that a fold did not train on is never predicted there.

Method: `lda` gives the numbers of scikit-learn's LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto") (Ledoit & Wolf 2004), `logistic` those of
LogisticRegression(C), `svm` those of LinearSVC(C), `ridge` RidgeClassifier(alpha), `bayes` GaussianNB, `knn` KNeighborsClassifier; `poisson` is naive Bayes on spike
counts; `mlp` is a multilayer perceptron trained with Adam. What is `auto` is chosen on the training side of each fold.

Not for: conditions shown in long blocks, where slow drift alone tells them apart (run `decode.audit` beside it), nor for continuous targets.

```nf
pipeline direction "Which way did the grating drift?"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
direction = decode.classify(responses, target = "direction") with control = shuffle("direction", n = 20), seed = 7
```"#;

impl Stage for Classify {
    type Params = ClassifyParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "decode.classify",
            version: 3,
            summary: "Predicts each trial's condition from population activity, cross-validated.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity of one session, cut into trials."),
                split_slot(),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "Accuracy, balanced accuracy and κ."),
                OutputSpec::new("confusion", Kind::Tensor, "true × predicted", "Counts of trials."),
                OutputSpec::new(
                    "predictions",
                    Kind::Table,
                    "",
                    "For each tested trial its fold, true and predicted class, and the probability (or score) of each class.",
                ),
            ],
            params: Vec::new(),
            metrics: &["accuracy", "balanced_accuracy", "kappa"],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("responses") },
                ControlSite { control: "circular_shift", at: SiteAt::Input("responses") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::OnGpu(1e-2),
        }
    }

    fn run(&self, inputs: &Inputs, params: &ClassifyParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let target = Target::of(&responses, &params.target)?;
        require_usable(&responses)?;
        let features = of_units(&responses, &params.window, &params.features)?;
        let split = split_of(inputs, &responses, &target, params.folds, context.seed)?;
        let predictions = cross_validate(&features, &target.labels, target.n_classes(), &split, &params.model, &params.scale, context)?;
        let confusion = predictions.confusion();
        let mut scores = predictions.scores();
        if let Model::Lda { .. } = params.model
            && let steady @ 1.. = steady_features(&features, &target.labels, target.n_classes())
        {
            let note = format!(
                "{steady} of {} features have one value within each class and another between classes: lda divides by the variance within classes, \
                 and leaves them out; another model, such as `svm`, uses them",
                features.cols()
            );
            scores.scores.iter_mut().take(1).for_each(|score| score.notes.push(note.clone()));
        }
        Outputs::new()
            .with("scores", scores)?
            .with("confusion", confusion.tensor(&target.names())?)?
            .with("predictions", table(&predictions, &target, params.model.has_probabilities())?)
    }

    /// A shuffle moves labels and nothing else: features are made once, and what the model can reuse is.
    fn run_draws(
        &self,
        inputs: &Inputs,
        params: &ClassifyParams,
        draws: &Draws<'_>,
        context: &Context,
    ) -> Result<Option<Vec<Scores>>, StageError> {
        let (Control::Shuffle { .. }, "responses", Some(artifact)) = (draws.control, draws.slot, inputs.artifact("responses")) else {
            return Ok(None);
        };
        let labellings = draws.seeds.iter().map(|&seed| {
            context.cancel.check()?;
            let shuffled = Responses::from_artifact(&draws.control.change(artifact, seed)?)?;
            let target = Target::of(&shuffled, &params.target)?;
            let split = split_of(inputs, &shuffled, &target, params.folds, context.seed)?;
            Ok(Labelling { n_classes: target.n_classes(), labels: target.labels, split })
        });
        let labellings = labellings.collect::<Result<Vec<_>, StageError>>()?;
        let responses: Responses = inputs.one("responses")?;
        require_usable(&responses)?;
        let features = of_units(&responses, &params.window, &params.features)?;
        let (predictions, note) = cross_validate_all(&features, &labellings, &params.model, &params.scale, context)?;
        let scores = predictions.iter().map(|predictions| {
            let mut scores = predictions.scores();
            scores.scores.iter_mut().take(1).for_each(|score| score.notes.extend(note.clone()));
            scores
        });
        Ok(Some(scores.collect()))
    }
}

/// The split that was given, or stratified folds.
///
/// # Errors
/// When the split is not of this session, or a class has fewer trials than there are folds.
pub(crate) fn split_of(inputs: &Inputs, responses: &Responses, target: &Target, folds: usize, seed: u64) -> Result<Split, StageError> {
    match inputs.optional::<Tensor>("split")? {
        Some(split) => Split::of_tensor(&split, responses),
        None => Ok(Split::from(&Folds::of_session(responses, target, folds, seed)?)),
    }
}

/// One row a tested trial.
pub(crate) fn table(predictions: &Predictions, target: &Target, has_probabilities: bool) -> Result<Table, StageError> {
    let whole = |pick: fn(&(usize, usize)) -> usize| {
        predictions.tested.iter().map(|pair| i64::try_from(pick(pair)).unwrap_or(i64::MAX)).collect::<Vec<_>>()
    };
    let mut pairs = vec![
        columns::from_integers("trial", whole(|pair| pair.0)),
        columns::from_integers("fold", whole(|pair| pair.1)),
        target.values_of("true", &predictions.truth),
        target.values_of("predicted", &predictions.predicted),
    ];
    for (class, name) in target.names().iter().enumerate() {
        let scores = predictions.scores.iter().skip(class).step_by(predictions.n_classes).copied().collect();
        let what = if has_probabilities { "probability" } else { "score" };
        pairs.push(columns::from_numbers(&format!("{what}_{name}"), scores));
    }
    Ok(Table::from_columns(pairs)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Planted, recorded, refusal, run, session};
    use neuroflow_data::random::Stream;
    use neuroflow_stage::GpuPolicy;

    fn scores(sessions: &[Responses], params: &[(&str, Value)], seed: u64) -> Scores {
        run(&Classify, sessions, params, &Context::quiet(seed)).unwrap().one("scores").unwrap()
    }

    fn accuracy(sessions: &[Responses], params: &[(&str, Value)], seed: u64) -> f64 {
        scores(sessions, params, seed).get("accuracy").unwrap().value
    }

    fn direction() -> (&'static str, Value) {
        ("target", "direction".into())
    }

    #[test]
    fn features_that_never_vary_within_a_class_are_told() {
        let responses = Planted::default().responses();
        let target = Target::of(&responses, "direction").unwrap();
        // Every value is its trial's class: what no noise covers, lda can't weigh.
        let per_trial = responses.values().values().len() / responses.n_trials();
        let values: Vec<f64> = target.labels.iter().flat_map(|&label| vec![label as f64; per_trial]).collect();
        let tensor = Tensor::new(responses.values().axes().to_vec(), None, values).unwrap();
        let steady = responses.with_values(tensor, None).unwrap();
        let told = scores(std::slice::from_ref(&steady), &[direction()], 0);
        assert!(told.scores[0].notes.iter().any(|note| note.contains("have one value within each class")), "{:?}", told.scores[0].notes);
        let svm = scores(std::slice::from_ref(&steady), &[direction(), ("model", Value::word("svm"))], 0);
        assert!(svm.scores[0].notes.is_empty() && svm.get("accuracy").unwrap().value == 1.0, "{:?}", svm.scores);
        let noisy = scores(std::slice::from_ref(&responses), &[direction()], 0);
        assert!(noisy.scores[0].notes.is_empty(), "{:?}", noisy.scores[0].notes);
    }

    #[test]
    fn values_whose_squares_are_no_numbers_are_refused() {
        let responses = Planted::default().responses();
        for (factor, said) in [(1e200, "e200"), (1e-200, "e-200")] {
            let values = responses.values().values().iter().map(|value| value * factor).collect::<Vec<_>>();
            let tensor = Tensor::new(responses.values().axes().to_vec(), None, values).unwrap();
            let scaled = responses.with_values(tensor, None).unwrap();
            for model in ["svm", "bayes", "knn", "lda"] {
                let message =
                    refusal(&Classify, std::slice::from_ref(&scaled), &[("target", "direction".into()), ("model", Value::word(model))]);
                assert!(message.contains("the largest value is") && message.contains(said), "{model}: {message}");
            }
        }
    }

    #[test]
    fn recorded_mice_decode_as_published_for_the_same_recipe() {
        let Some(sessions) = recorded() else { return };
        for (session, expected) in sessions.iter().zip([0.23, 0.07, 0.81, 0.39, 0.36]) {
            // The expected numbers come from one set of folds; the mean of five seeds is nearer to what it estimates.
            let found: Vec<f64> = (0..5).map(|seed| accuracy(std::slice::from_ref(session), &[direction()], seed)).collect();
            let mean = found.iter().sum::<f64>() / 5.0;
            println!("{} {mean:.3} {found:.3?}", session.session);
            assert!((mean - expected).abs() <= 0.05, "{} {mean} {expected}", session.session);
        }
    }

    #[test]
    fn planted_tuning_is_found_and_every_output_agrees_with_it() {
        let responses = Planted::default().responses();
        let outputs = run(&Classify, std::slice::from_ref(&responses), &[direction()], &Context::quiet(7)).unwrap();
        let scores: Scores = outputs.one("scores").unwrap();
        let accuracy = scores.get("accuracy").unwrap();
        assert!(accuracy.value > 0.95, "{accuracy}");
        assert_eq!((accuracy.chance, accuracy.n, accuracy.n_classes, accuracy.folds.len()), (Some(0.25), 48, Some(4), 8));
        assert!(accuracy.interval.as_ref().is_some_and(|interval| interval.low <= accuracy.value && accuracy.value <= interval.high));
        assert_eq!((scores.get("balanced_accuracy").unwrap().chance, scores.get("kappa").unwrap().chance), (Some(0.25), Some(0.0)));
        assert_eq!(scores.scores.iter().map(|score| score.metric.as_str()).collect::<Vec<_>>(), Stage::signature(&Classify).metrics);

        let confusion: Tensor = outputs.one("confusion").unwrap();
        confusion.require_axes(&["true", "predicted"]).unwrap();
        assert_eq!(confusion.axes()[0].coordinates.label(1), "45");
        assert_eq!(confusion.values().iter().sum::<f64>(), 48.0);
        let right: f64 = (0..4).map(|class| confusion.row(class)[class]).sum();
        assert_eq!(right / 48.0, accuracy.value);

        let predictions: Table = outputs.one("predictions").unwrap();
        assert_eq!(predictions.numbers("true").unwrap(), responses.trials().numbers("direction").unwrap());
        let names = ["trial", "fold", "true", "predicted", "probability_0", "probability_45", "probability_90", "probability_135"];
        assert_eq!(predictions.column_names(), names);
        let probabilities: Vec<Vec<f64>> = names[4..].iter().map(|name| predictions.numbers(name).unwrap()).collect();
        for (trial, predicted) in predictions.numbers("predicted").unwrap().into_iter().enumerate() {
            let of_trial: Vec<f64> = probabilities.iter().map(|class| class[trial]).collect();
            assert!((of_trial.iter().sum::<f64>() - 1.0).abs() < 1e-12);
            assert!(of_trial.iter().all(|value| *value <= of_trial[(predicted / 45.0) as usize]));
        }
    }

    #[test]
    fn shuffled_labels_score_at_chance() {
        let artifact = Planted { trials_per_class: 20, ..Planted::default() }.responses().into_artifact().unwrap();
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        for model in ["lda", "logistic(strength = 1)"] {
            let model = if model == "lda" { Value::word("lda") } else { Value::call("logistic", vec![("strength", 1.0.into())]) };
            let null: Vec<f64> = (0..40)
                .map(|draw| {
                    let shuffled = Responses::from_artifact(&control.change(&artifact, draw).unwrap()).unwrap();
                    accuracy(&[shuffled], &[direction(), ("model", model.clone())], draw)
                })
                .collect();
            let mean = null.iter().sum::<f64>() / 40.0;
            // SD of one draw ≈ 0.05, of the mean ≈ 0.008.
            assert!((mean - 0.25).abs() < 0.03, "{mean}");
        }
    }

    /// Every model, those with something to choose also with it given.
    fn models() -> Vec<Value> {
        vec![
            Value::word("lda"),
            Value::call("lda", vec![("shrinkage", Value::word("oas"))]),
            Value::call("lda", vec![("shrinkage", Value::word("pooled"))]),
            Value::call("lda", vec![("shrinkage", 0.2.into())]),
            Value::call("logistic", vec![("strength", 0.1.into())]),
            Value::call("svm", vec![("strength", 0.1.into())]),
            Value::word("ridge"),
            Value::call("ridge", vec![("penalty", 3.0.into())]),
            Value::word("bayes"),
            Value::word("knn"),
            Value::call("knn", vec![("k", 3.into())]),
        ]
    }

    #[test]
    fn every_model_finds_planted_tuning_and_the_order_of_classes_does_not_matter() {
        let responses = Planted::default().responses();
        let reversed = {
            let numbers = responses.trials().numbers("direction").unwrap().iter().map(|direction| -direction).collect();
            let (field, column) = columns::from_numbers("direction", numbers);
            responses.with_trials(responses.trials().with_column(field, column).unwrap()).unwrap()
        };
        for model in models() {
            let found = |responses: &Responses| {
                accuracy(std::slice::from_ref(responses), &[direction(), ("model", model.clone()), ("scale", Value::word("zscore"))], 3)
            };
            assert!(found(&responses) > 0.9, "{model} {}", found(&responses));
            assert!((found(&responses) - found(&reversed)).abs() < 0.09, "{model}");
        }
    }

    #[test]
    fn spike_counts_are_decoded_by_poisson_bayes_from_sums() {
        let mut stream = Stream::new(8);
        let labels: Vec<usize> = (0..60).map(|trial| trial % 3).collect();
        let mut values = Vec::new();
        for &label in &labels {
            for unit in 0..6 {
                let rate = if unit % 3 == label { 0.9 } else { 0.3 };
                values.extend((0..12).map(|_| stream.poisson(rate) as f64));
            }
        }
        let responses = session("spikes", &labels, 6, values);
        let params = [direction(), ("model", Value::word("poisson")), ("features", Value::word("sum")), ("folds", 5.into())];
        assert!(accuracy(std::slice::from_ref(&responses), &params, 1) > 0.85);
        let negative = Planted::default().responses();
        assert!(refusal(&Classify, &[negative], &params).contains("`model = poisson` needs spike counts"));
    }

    #[test]
    fn draws_together_score_as_draws_one_by_one() {
        let responses = Planted { signal: 0.4, ..Planted::default() }.responses();
        let artifact = responses.clone().into_artifact().unwrap();
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        let context = Context { threads: 2, ..Context::quiet(6) };
        let by = Value::call("kfold", vec![("folds", 6.into())]);
        let split = run(&crate::SplitTrials, std::slice::from_ref(&responses), &[("by", by)], &context).unwrap();
        let seeds: Vec<u64> = (0..12).collect();
        for model in models() {
            for scale in ["none", "zscore"] {
                for with_split in [false, true] {
                    let mut inputs = Inputs::new();
                    inputs.push("responses", "", artifact.clone());
                    if with_split {
                        inputs.push("split", "", split.get("split").unwrap().clone());
                    }
                    let params = [direction(), ("model", model.clone()), ("scale", Value::word(scale)), ("folds", 4.into())];
                    let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
                    let draws = Draws { control: &control, slot: "responses", seeds: &seeds };
                    let together = neuroflow_stage::AnyStage::run_draws(&Classify, &inputs, &params, &draws, &context).unwrap().unwrap();
                    for (seed, together) in seeds.iter().zip(together) {
                        let mut inputs = inputs.clone();
                        inputs.change("responses", |artifact| control.change(artifact, *seed)).unwrap();
                        let alone = neuroflow_stage::AnyStage::run(&Classify, &inputs, &params, &context).unwrap();
                        assert_eq!(together, alone.one::<Scores>("scores").unwrap(), "{model} {scale} {with_split} {seed}");
                    }
                }
            }
        }
    }

    #[test]
    fn draws_on_the_gpu_score_as_on_the_cpu_and_where_there_is_none_that_is_said() {
        let responses = Planted { signal: 0.4, trials_per_class: 20, ..Planted::default() }.responses();
        let by = Value::call("kfold", vec![("folds", 6.into())]);
        let split = run(&crate::SplitTrials, std::slice::from_ref(&responses), &[("by", by)], &Context::quiet(6)).unwrap();
        let mut inputs = Inputs::new();
        inputs.push("responses", "", responses.into_artifact().unwrap());
        inputs.push("split", "", split.get("split").unwrap().clone());
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        let seeds: Vec<u64> = (0..40).collect();
        let lda = |shrinkage: Value| Value::call("lda", vec![("shrinkage", shrinkage)]);
        let models = [
            (Value::word("ridge"), "zscore"),
            (Value::call("ridge", vec![("penalty", 3.0.into())]), "none"),
            (lda(Value::word("pooled")), "none"),
            (lda(0.2.into()), "none"),
        ];
        for (model, scale) in models {
            let params = [direction(), ("model", model), ("scale", Value::word(scale))];
            let params = params.into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
            let scores = |gpu| {
                let draws = Draws { control: &control, slot: "responses", seeds: &seeds };
                neuroflow_stage::AnyStage::run_draws(&Classify, &inputs, &params, &draws, &Context { gpu, threads: 2, ..Context::quiet(6) })
            };
            let cpu = scores(GpuPolicy::Never).unwrap().unwrap();
            assert!(cpu.iter().all(|draw| !draw.scores[0].notes.iter().any(|note| note.contains("done on"))));
            let same = |found: Vec<Scores>, said: &str| {
                for (mut found, cpu) in found.into_iter().zip(&cpu) {
                    let note = found.scores[0].notes.pop().unwrap();
                    assert!(note.contains(said), "{note}");
                    assert_eq!(&found, cpu);
                }
            };
            same(scores(GpuPolicy::Prefer).unwrap().unwrap(), "done on the");
            match scores(GpuPolicy::Require) {
                Ok(required) => same(required.unwrap(), "done on the GPU"),
                Err(error) => {
                    assert!(std::env::var_os("NEUROFLOW_TEST_GPU").is_none(), "{error}");
                    assert!(error.help().is_some_and(|help| help.contains("gpu = prefer")));
                }
            }
        }
    }

    #[test]
    fn draws_of_activity_without_variance_and_of_another_control_are_as_one_by_one() {
        let labels: Vec<usize> = (0..32).map(|trial| trial % 4).collect();
        let flat = session("flat", &labels, 3, vec![2.5; 32 * 3 * 12]).into_artifact().unwrap();
        let mut inputs = Inputs::new();
        inputs.push("responses", "", flat);
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        let pooled = Value::call("lda", vec![("shrinkage", Value::word("pooled"))]);
        let params = [direction(), ("model", pooled)].into_iter().map(|(name, value)| (name.to_owned(), value)).collect();
        let draws = Draws { control: &control, slot: "responses", seeds: &[1, 2] };
        let context = Context::quiet(1);
        let together = neuroflow_stage::AnyStage::run_draws(&Classify, &inputs, &params, &draws, &context).unwrap().unwrap();
        assert!(together.iter().all(|scores| scores.scores[0].value == 0.25));
        let shift = Control::parse(&Value::word("circular_shift")).unwrap();
        let draws = Draws { control: &shift, ..draws };
        assert!(neuroflow_stage::AnyStage::run_draws(&Classify, &inputs, &params, &draws, &context).unwrap().is_none());
    }

    #[test]
    fn the_window_before_the_stimulus_knows_nothing() {
        let responses = Planted { trials_per_class: 40, ..Planted::default() }.responses();
        assert!((accuracy(std::slice::from_ref(&responses), &[direction(), ("window", Value::window(-1.0, 0.0))], 3) - 0.25).abs() < 0.12);
        assert!(accuracy(&[responses], &[direction(), ("window", Value::window(0.0, 1.0))], 3) > 0.95);
    }

    #[test]
    fn the_order_of_units_does_not_change_predictions() {
        let planted = Planted { signal: 0.4, ..Planted::default() };
        let responses = planted.responses();
        let order = Stream::new(9).permutation(planted.units);
        let mut values = Vec::new();
        for trial in 0..responses.n_trials() {
            order.iter().for_each(|&unit| values.extend_from_slice(responses.trace(trial, unit)));
        }
        let permuted = responses.with_values(Tensor::new(responses.values().axes().to_vec(), None, values).unwrap(), None).unwrap();
        for model in [Value::word("lda"), Value::call("logistic", vec![("strength", 0.1.into())])] {
            let predicted = |responses: &Responses| {
                let outputs =
                    run(&Classify, std::slice::from_ref(responses), &[direction(), ("model", model.clone())], &Context::quiet(2)).unwrap();
                outputs.one::<Table>("predictions").unwrap().numbers("predicted").unwrap()
            };
            assert_eq!(predicted(&responses), predicted(&permuted));
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let responses = Planted { signal: 0.5, ..Planted::default() }.responses();
        for model in ["lda", "logistic"] {
            let bytes = |threads| {
                let context = Context { threads, ..Context::quiet(4) };
                let outputs = run(
                    &Classify,
                    std::slice::from_ref(&responses),
                    &[direction(), ("model", Value::word(model)), ("folds", 4.into())],
                    &context,
                )
                .unwrap();
                outputs.into_artifacts().into_values().map(|artifact| artifact.encode().unwrap()).collect::<Vec<_>>()
            };
            assert!(bytes(1) == bytes(8) && bytes(1) == bytes(1));
        }
    }

    #[test]
    fn text_and_numbers_make_the_same_classes() {
        let responses = Planted::default().responses();
        let text = scores(std::slice::from_ref(&responses), &[("target", "name".into())], 5);
        assert_eq!(text, scores(std::slice::from_ref(&responses), &[direction()], 5));
        let outputs = run(&Classify, &[responses], &[("target", "name".into())], &Context::quiet(5)).unwrap();
        assert_eq!(outputs.one::<Tensor>("confusion").unwrap().axes()[1].coordinates.label(3), "class 3");
    }

    #[test]
    fn features_of_time_see_what_the_mean_can_not() {
        // Two classes whose units fire early or late, with the same mean.
        let labels: Vec<usize> = (0..40).map(|trial| trial % 2).collect();
        let mut stream = Stream::new(3);
        let mut values = Vec::new();
        for &label in &labels {
            for _ in 0..5 {
                values.extend((0..12).map(|bin| {
                    let early = (4..8).contains(&bin);
                    let sign = if early == (label == 0) { 2.0 } else { -2.0 };
                    stream.normal() + if bin >= 4 { sign } else { 0.0 }
                }));
            }
        }
        let responses = session("early or late", &labels, 5, values);
        let with =
            |features: Value| accuracy(std::slice::from_ref(&responses), &[direction(), ("features", features), ("folds", 5.into())], 1);
        assert!(with(Value::word("mean")) < 0.8);
        assert!(with(Value::call("bins", vec![("width", Value::seconds(1.0))])) > 0.95);
        assert!(with(Value::word("flatten")) > 0.95);
    }

    #[test]
    fn too_few_trials_of_a_class_name_the_session_the_class_and_the_remedy() {
        let mut labels = vec![0; 10];
        labels.extend([1; 9]);
        labels.extend([2; 3]);
        let few = session("mrcuts29", &labels, 2, vec![0.5; 22 * 2 * 12]);
        let message = refusal(&Classify, &[few], &[direction()]);
        let expected = "session mrcuts29 has 2 units, 22 trials and 3 classes of `direction`; class 90 has 3 trials: 8 folds need at least 8 trials of every class; \
                        at most `folds = 3` works here";
        assert_eq!(message, expected);
        let single = session("s", &[0, 0, 1], 1, vec![0.0; 36]);
        assert!(
            refusal(&Classify, &[single], &[direction(), ("folds", 2.into())])
                .contains("no number of folds works with a single trial of a class")
        );
    }

    #[test]
    fn what_can_not_be_decoded_is_refused_in_the_users_words() {
        let responses = Planted::default().responses();
        let cases: [(&[(&str, Value)], &str); 5] = [
            (
                &[("target", "direktion".into())],
                "there is no trial column `direktion`; there are: `direction`, `name`; did you mean `direction`?",
            ),
            (
                &[direction(), ("window", Value::window(5.0, 6.0))],
                "session planted has no bins in 5 s .. 6 s from stimulus onset; its 12 bins lie from -1 s to 1.75 s",
            ),
            (&[direction(), ("features", Value::call("bins", vec![("width", Value::seconds(0.01))]))], "holds only 8 bins"),
            (&[direction(), ("model", Value::call("lda", vec![("shrinkage", 1.5.into())]))], "1.5 is outside 0 to 1"),
            (&[direction(), ("folds", 1.into())], "1 is outside"),
        ];
        for (params, expected) in cases {
            let message = refusal(&Classify, std::slice::from_ref(&responses), params);
            assert!(message.contains(expected), "{message}");
        }
        let same = session("s", &[1; 20], 1, vec![0.0; 240]);
        assert!(refusal(&Classify, &[same], &[direction()]).contains("every trial has the same `direction`, 45"));
    }

    #[test]
    fn gaps_and_empty_sessions_are_refused_without_a_panic() {
        let responses = Planted::default().responses();
        let mut values = responses.values().values().to_vec();
        values[12 * 10 * 3 + 5] = f64::NAN;
        let gap = responses.with_values(Tensor::new(responses.values().axes().to_vec(), None, values).unwrap(), None).unwrap();
        assert!(
            refusal(&Classify, &[gap], &[direction()])
                .contains("session planted has 1 values that are not finite; the first is at trial 3")
        );

        let mut directions = responses.trials().numbers("direction").unwrap();
        directions[6] = f64::NAN;
        let (field, values) = columns::from_numbers("direction", directions);
        let unknown = responses.with_trials(responses.trials().with_column(field, values).unwrap()).unwrap();
        assert!(refusal(&Classify, &[unknown], &[direction()]).contains("`direction` has no value in 1 trials; the first is trial 6"));

        for (labels, units) in [(&[][..], 3), (&[0][..], 3), (&[0, 1][..], 0), (&[0, 1][..], 1)] {
            let message = refusal(&Classify, &[session("tiny", labels, units, vec![0.0; labels.len() * units * 12])], &[direction()]);
            assert!(message.contains("session tiny"), "{message}");
        }
    }

    #[test]
    fn activity_without_any_variance_scores_at_chance() {
        let labels: Vec<usize> = (0..32).map(|trial| trial % 4).collect();
        let flat = session("flat", &labels, 3, vec![2.5; 32 * 3 * 12]);
        for model in [
            Value::word("lda"),
            Value::call("lda", vec![("shrinkage", 0.0.into())]),
            Value::call("logistic", vec![("strength", 1.0.into())]),
        ] {
            assert_eq!(accuracy(std::slice::from_ref(&flat), &[direction(), ("model", model)], 1), 0.25);
        }
    }

    #[test]
    fn a_network_finds_planted_tuning_and_nothing_in_shuffled_labels() {
        let planted = Planted { trials_per_class: 16, ..Planted::default() };
        let params = [("target", Value::from("direction")), ("model", Value::word("mlp")), ("folds", Value::Int(4))];
        let score = |session: &Responses, gpu| {
            let context = Context { gpu, ..Context::quiet(3) };
            let outputs = run(&Classify, std::slice::from_ref(session), &params, &context).unwrap();
            outputs.one::<Scores>("scores").unwrap().get("accuracy").unwrap().value
        };
        assert!(score(&planted.responses(), GpuPolicy::Never) > 0.8);
        // Where no adapter is, this is the CPU again.
        assert!(score(&planted.responses(), GpuPolicy::Prefer) > 0.8);
        let nothing = Planted { signal: 0.0, ..planted };
        let found = score(&nothing.responses(), GpuPolicy::Never);
        assert!((found - 0.25).abs() < 0.16, "{found}");
    }

    #[test]
    fn a_cancelled_run_stops() {
        let context = Context::quiet(1);
        context.cancel.cancel();
        assert!(matches!(run(&Classify, &[Planted::default().responses()], &[direction()], &context), Err(StageError::Cancelled)));
    }
}
