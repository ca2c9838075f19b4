//! `decode.transfer`: a classifier that learned from other animals, asked about a new one.
//!
//! For what: whether animals represent the conditions in the same geometry. Each animal is left out in turn; the others train the classifier in a space
//! that they share, and the new animal is brought into it by few of its own trials, never by those that are tested.
//! Promises: alignment, adaptor and classifier never see a tested trial; the same seed gives the same bytes. Refuses: fewer than two animals, fewer than
//! two common classes, more dimensions than conditions or units allow, fewer trials of a class than the alignment needs, gaps.
//! Method: orthogonal Procrustes (Schönemann 1966; Gower 1975) on condition means, or a ridge adaptor per animal; protocol of section 2 of the project's
//! algorithm notes (after Iqbal et al. 2019).

use crate::adaptor::Calibration;
use crate::confusion::{Confusion, around};
use crate::folds::Folds;
use crate::model::{Model, most_probable};
use crate::place::{Place, require_usable};
use crate::scaling::Scale;
use crate::shared_space::{OwnSpace, condition_means, consensus};
use crate::spectral::numerical;
use crate::target::{Target, count};
use crate::trial_features::{Features, of_units};
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_data::{Kind, Responses, Score, Scores, Table, columns};
use neuroflow_stage::{
    Auto, Context, ControlSite, Dimension, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Quantity, Signature, SiteAt, Stage,
    StageError, TimeWindow, Value, params, params::Share, words,
};

/// The stage `decode.transfer`.
pub struct Transfer;

words! {
    /// How a new animal is brought into the space of the others.
    pub enum Align {
        /// Orthogonal Procrustes of condition means: each animal's means are turned, as a whole, onto the consensus of the training animals.
        /// The new animal's trials are cut into folds; those of all folds but one give its condition means, and that one is tested, each in turn.
        Procrustes = "procrustes" {
            /// The dimensions of the shared space; at most classes − 1, and at most the units of any animal.
            dimensions: usize = 6, in 1.0..=1000.0;
            /// The number of folds of the new animal's trials.
            folds: usize = 8, in 2.0..=1000.0;
        },
        /// A linear map units → shared space for each animal, fitted by ridge regression on a share of its trials (stratified) to the places of
        /// their conditions; all other trials are tested. The trials are cut into 1/share parts (1/(1 − share) above one half), which take turns,
        /// and the classifier learned from animals that went through the same.
        Adaptor = "adaptor" {
            /// The share of trials that the map is fitted on.
            share: Share = Quantity { value: 0.25, dimension: Dimension::Ratio }, in 0.01..=0.99;
            /// The dimensions of the shared space; at most classes − 1, and at most the units of any animal.
            dimensions: usize = 6, in 1.0..=1000.0;
            /// Ridge penalty as a multiple of ‖X‖²/units; `auto` chooses by leaving out one calibration trial at a time.
            penalty: Auto<f64> = Value::word("auto"), in 1e-9..=1e9;
        },
    }
}

params! {
    /// Parameters of `decode.transfer`.
    pub struct TransferParams {
        /// The trial column to predict; classes that all animals have are used.
        target: String;
        /// The bins that are averaged, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// How the new animal is brought into the space of the others.
        align: Align = Value::word("procrustes");
        /// The classifier in the shared space.
        model: Model = Value::word("lda");
    }
}

const DOC: &str = r#"Each animal is left out in turn. The condition means of the other animals are laid over each other (generalised Procrustes), which gives a shared
space in which their trials train one classifier. The new animal is brought into that space by calibration trials of its own, and its other trials are predicted.

Which trials align: with `align = procrustes`, the new animal's trials are cut into stratified folds; condition means from all folds but one align it, that one is
tested, and every fold takes its turn. With `align = adaptor(share = 25 %)`, a quarter of the trials fits a linear map and the other three quarters are tested;
the four quarters take turns. A tested trial never has a part in its own alignment, and no trial of the new animal in the classifier.

`accuracy` is the mean over animals; its folds are the animals, its interval is mean ± t·SD/√animals; chance is the mean share of each animal's largest class.
`table` has a row for each animal.

Not for: animals that saw different conditions, or conditions that only differ in an order that alignment could invent from noise: look at the shuffle null, which is
aligned again in every draw.

```nf
pipeline transfer "Do animals share a geometry?"
input sessions = ingest.simulate()
for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
}
transfer = decode.transfer(gather(responses), target = "direction")
```"#;

/// One animal, ready to be aligned.
struct Animal {
    name: String,
    n_units: usize,
    features: Matrix,
    labels: Vec<usize>,
    /// Which part of its trials each trial belongs to.
    parts: Folds,
}

impl Stage for Transfer {
    type Params = TransferParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "decode.transfer",
            version: 2,
            summary: "Predicts each animal's conditions with a classifier that learned from the other animals.",
            doc: DOC,
            inputs: vec![InputSpec::many(
                "responses",
                &[Kind::Responses],
                "trial × unit × bin",
                "One session of each animal, two at least.",
            )],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The mean accuracy over animals left out."),
                OutputSpec::new("table", Kind::Table, "", "The accuracy of each animal."),
            ],
            params: Vec::new(),
            metrics: &["accuracy"],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("responses") },
                ControlSite { control: "circular_shift", at: SiteAt::Input("responses") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::OnGpu(1e-2),
        }
    }

    fn run(&self, inputs: &Inputs, params: &TransferParams, context: &Context) -> Result<Outputs, StageError> {
        let members: Vec<(String, Responses)> = inputs.many("responses")?;
        if members.len() < 2 {
            let found = members
                .first()
                .map_or("none was given".to_owned(), |(label, responses)| format!("only {} was given", name_of(label, responses)));
            return Err(StageError::refused_with_help(
                format!("`decode.transfer` needs at least two animals, {found}"),
                "gather the sessions of a loop: `decode.transfer(gather(responses), …)`",
            ));
        }
        let (animals, classes, dropped) = prepare(&members, params, context)?;
        let n_classes = classes.len();
        let mut confusions = Vec::with_capacity(animals.len());
        let shared = match &params.align {
            Align::Procrustes { dimensions, .. } | Align::Adaptor { dimensions, .. } => *dimensions,
        };
        require_dimensions(&animals, n_classes, shared)?;
        let spaces = animals
            .iter()
            .map(|animal| {
                let all: Vec<usize> = (0..animal.features.rows()).collect();
                own_space(animal, &all, n_classes, shared)
            })
            .collect::<Result<Vec<_>, _>>()?;
        let calibrations = match &params.align {
            Align::Procrustes { .. } => Vec::new(),
            Align::Adaptor { share, .. } => animals
                .iter()
                .map(|animal| {
                    (0..animal.parts.n_folds)
                        .map(|part| Calibration::of(&animal.features, adaptor_trials(animal, part, share.0).0))
                        .collect()
                })
                .collect::<Result<Vec<Vec<Calibration>>, _>>()?,
        };
        for held_out in 0..animals.len() {
            context.cancel.check()?;
            let training: Vec<usize> = (0..animals.len()).filter(|&animal| animal != held_out).collect();
            let places = consensus(&training.iter().map(|&animal| &spaces[animal]).collect::<Vec<_>>())?;
            let task = Task {
                animals: &animals,
                training: &training,
                held_out,
                places: &places,
                n_classes,
                shared,
                model: &params.model,
                context,
            };
            confusions.push(match &params.align {
                Align::Procrustes { .. } => task.procrustes(&spaces)?,
                Align::Adaptor { share, penalty, .. } => task.adaptor(&calibrations, share.0, penalty)?,
            });
            context.progress.report(held_out as u64 + 1, animals.len() as u64);
        }
        let mut score = score(&animals, &confusions, n_classes);
        if !dropped.is_empty() {
            score.notes.push(format!("classes that not every animal has are left out: {}", dropped.join(", ")));
        }
        Outputs::new().with("scores", Scores::new(vec![score]))?.with("table", table(&animals, &confusions)?)
    }
}

fn name_of(label: &str, responses: &Responses) -> String {
    if !label.is_empty() { label.to_owned() } else { Place(responses).to_string() }
}

/// The score over animals.
fn score(animals: &[Animal], confusions: &[Confusion], n_classes: usize) -> Score {
    let accuracies: Vec<f64> = confusions.iter().map(Confusion::accuracy).collect();
    let mean = |values: &[f64]| values.iter().sum::<f64>() / values.len() as f64;
    let chances: Vec<f64> = animals
        .iter()
        .map(|animal| count(&animal.labels, n_classes).into_iter().max().unwrap_or(0) as f64 / animal.labels.len() as f64)
        .collect();
    let n_trials = animals.iter().map(|animal| animal.labels.len()).sum();
    Score {
        chance: Some(mean(&chances)),
        interval: around(mean(&accuracies), &accuracies, 0.0, "animals").map(|mut interval| {
            interval.low = interval.low.max(0.0);
            interval.high = interval.high.min(1.0);
            interval
        }),
        n_classes: Some(n_classes as u64),
        folds: accuracies.clone(),
        ..Score::new("accuracy", mean(&accuracies), n_trials)
    }
}

fn table(animals: &[Animal], confusions: &[Confusion]) -> Result<Table, StageError> {
    let whole = |value: usize| i64::try_from(value).unwrap_or(i64::MAX);
    Ok(Table::from_columns(vec![
        columns::from_texts("animal", &animals.iter().map(|animal| animal.name.as_str()).collect::<Vec<_>>()),
        columns::from_numbers("accuracy", confusions.iter().map(Confusion::accuracy).collect()),
        columns::from_numbers("balanced_accuracy", confusions.iter().map(Confusion::balanced_accuracy).collect()),
        columns::from_numbers("chance", confusions.iter().map(Confusion::largest_share).collect()),
        columns::from_integers("trials", animals.iter().map(|animal| whole(animal.labels.len())).collect()),
        columns::from_integers("units", animals.iter().map(|animal| whole(animal.n_units)).collect()),
    ])?)
}

/// Reads all animals, keeps the classes that all have, and cuts each animal's trials into the parts that take turns. Also the classes' names, and those
/// that were left out.
fn prepare(
    members: &[(String, Responses)],
    params: &TransferParams,
    context: &Context,
) -> Result<(Vec<Animal>, Vec<String>, Vec<String>), StageError> {
    let targets = members.iter().map(|(_, responses)| Target::any(responses, &params.target)).collect::<Result<Vec<_>, _>>()?;
    let names: Vec<Vec<String>> = targets.iter().map(Target::names).collect();
    let everywhere = |class: &String| names.iter().all(|names| names.contains(class));
    // Sorted as the first animal's classes are: numbers by value, text by its characters.
    let classes: Vec<String> =
        names.first().map_or_else(Vec::new, |first| first.iter().filter(|class| everywhere(class)).cloned().collect());
    let mut dropped: Vec<String> = names.iter().flatten().filter(|class| !classes.contains(class)).cloned().collect();
    dropped.sort();
    dropped.dedup();
    if classes.len() < 2 {
        let lists = members
            .iter()
            .zip(&names)
            .map(|((label, responses), names)| format!("{} has {}", name_of(label, responses), names.join(", ")))
            .collect::<Vec<_>>()
            .join("; ");
        return Err(StageError::refused_with_help(
            format!("the animals have {} classes of `{}` in common, at least two are needed: {lists}", classes.len(), params.target),
            "transfer only between animals that saw the same conditions",
        ));
    }
    let n_parts = match &params.align {
        Align::Procrustes { folds, .. } => *folds,
        Align::Adaptor { share, .. } => (1.0 / share.0.min(1.0 - share.0)).round().max(2.0) as usize,
    };
    let stream = Stream::new(context.seed).split("animals");
    let mut animals = Vec::with_capacity(members.len());
    for (position, ((label, responses), (target, names))) in members.iter().zip(targets.iter().zip(&names)).enumerate() {
        require_usable(responses)?;
        let class_of: Vec<Option<usize>> = names.iter().map(|name| classes.iter().position(|class| class == name)).collect();
        let kept: Vec<usize> = (0..target.labels.len()).filter(|&trial| class_of[target.labels[trial]].is_some()).collect();
        let labels: Vec<usize> = kept.iter().filter_map(|&trial| class_of[target.labels[trial]]).collect();
        let counts = count(&labels, classes.len());
        if let Some(rarest) = (0..classes.len()).min_by_key(|&class| counts[class]).filter(|&class| counts[class] < n_parts) {
            let what = match &params.align {
                Align::Procrustes { folds, .. } => format!("alignment in {folds} folds"),
                Align::Adaptor { share, .. } => format!("an adaptor on {} % of the trials", share.0 * 100.0),
            };
            return Err(StageError::refused_with_help(
                format!(
                    "{} has {} trials of class {} of `{}`: {what} needs at least {n_parts} of every class",
                    name_of(label, responses),
                    counts[rarest],
                    classes[rarest],
                    params.target
                ),
                "use fewer folds or a share nearer to one half, or leave that animal or class out",
            ));
        }
        let features = of_units(responses, &params.window, &Features::Mean {})?.take_rows(&kept);
        let parts = Folds::stratified(&labels, classes.len(), n_parts, stream.split_index(position as u64).seed());
        animals.push(Animal { name: name_of(label, responses), n_units: responses.n_units(), features, labels, parts });
    }
    Ok((animals, classes, dropped))
}

fn require_dimensions(animals: &[Animal], n_classes: usize, dimensions: usize) -> Result<(), StageError> {
    let Some(smallest) = animals.iter().min_by_key(|animal| animal.n_units) else { return Ok(()) };
    let most = smallest.n_units.min(n_classes - 1);
    if dimensions <= most {
        return Ok(());
    }
    let why = if smallest.n_units < n_classes - 1 {
        format!("{} has {} units", smallest.name, smallest.n_units)
    } else {
        format!("the means of {n_classes} classes span {} dimensions", n_classes - 1)
    };
    Err(StageError::refused_with_help(
        format!("`dimensions = {dimensions}` is too many: {why}"),
        format!("at most `dimensions = {most}` works here"),
    ))
}

fn own_space(animal: &Animal, trials: &[usize], n_classes: usize, n_dimensions: usize) -> Result<OwnSpace, StageError> {
    let means = condition_means(&animal.features, &animal.labels, trials, n_classes);
    OwnSpace::of_means(means, n_dimensions)
}

/// The trials that fit the adaptor when it is `part`'s turn, and those that are tested.
fn adaptor_trials(animal: &Animal, part: usize, share: f64) -> (Vec<usize>, Vec<usize>) {
    let (inside, outside) = (animal.parts.test(part), animal.parts.train(part));
    if share <= 0.5 { (inside, outside) } else { (outside, inside) }
}

/// One animal left out.
struct Task<'a> {
    animals: &'a [Animal],
    training: &'a [usize],
    held_out: usize,
    /// The conditions' places in the shared space.
    places: &'a Matrix,
    n_classes: usize,
    shared: usize,
    model: &'a Model,
    context: &'a Context,
}

impl Task<'_> {
    fn procrustes(&self, spaces: &[OwnSpace]) -> Result<Confusion, StageError> {
        let mut train = Vec::new();
        for &animal in self.training {
            let all: Vec<usize> = (0..self.animals[animal].features.rows()).collect();
            let rotation = spaces[animal].rotation_onto(self.places)?;
            train.push((spaces[animal].project(&self.animals[animal].features, &all, &rotation)?, self.animals[animal].labels.clone()));
        }
        let new = &self.animals[self.held_out];
        let mut test = Vec::new();
        for part in 0..new.parts.n_folds {
            let (calibration, tested) = (new.parts.train(part), new.parts.test(part));
            let space = own_space(new, &calibration, self.n_classes, self.shared)?;
            let rotation = space.rotation_onto(self.places)?;
            test.push((space.project(&new.features, &tested, &rotation)?, labels_at(new, &tested)));
        }
        self.predict(train, test)
    }

    fn adaptor(&self, calibrations: &[Vec<Calibration>], share: f64, penalty: &Auto<f64>) -> Result<Confusion, StageError> {
        let mapped = |animal: usize, pieces: &mut Vec<(Matrix, Vec<usize>)>| -> Result<(), StageError> {
            let own = &self.animals[animal];
            for (part, calibration) in calibrations[animal].iter().enumerate() {
                let tested = adaptor_trials(own, part, share).1;
                let adaptor = calibration.fit(&own.labels, self.places, penalty)?;
                pieces.push((adaptor.map(&own.features, &tested)?, labels_at(own, &tested)));
            }
            Ok(())
        };
        let (mut train, mut test) = (Vec::new(), Vec::new());
        for &animal in self.training {
            mapped(animal, &mut train)?;
        }
        mapped(self.held_out, &mut test)?;
        self.predict(train, test)
    }

    /// Trains on trials in the shared space and predicts others.
    fn predict(&self, train: Vec<(Matrix, Vec<usize>)>, test: Vec<(Matrix, Vec<usize>)>) -> Result<Confusion, StageError> {
        let stream = Stream::new(self.context.seed).split("model").split_index(self.held_out as u64);
        let (features, labels) = stack(train, self.shared)?;
        let fitted = self.model.fit(features, &labels, self.n_classes, &Scale::None {}, &stream, self.context)?;
        let (features, truth) = stack(test, self.shared)?;
        let probabilities = fitted.scores(features, self.n_classes);
        Ok(Confusion::of(self.n_classes, truth.into_iter().zip(most_probable(&probabilities, self.n_classes))))
    }
}

fn labels_at(animal: &Animal, trials: &[usize]) -> Vec<usize> {
    trials.iter().map(|&trial| animal.labels[trial]).collect()
}

fn stack(pieces: Vec<(Matrix, Vec<usize>)>, n_features: usize) -> Result<(Matrix, Vec<usize>), StageError> {
    let (mut values, mut labels) = (Vec::new(), Vec::new());
    for (features, of_features) in pieces {
        values.extend(features.into_values());
        labels.extend(of_features);
    }
    Ok((Matrix::new(labels.len(), n_features, values).map_err(numerical)?, labels))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lda::Estimator;
    use crate::testing::{Planted, recorded, refusal, run, session};
    use neuroflow_data::Typed;
    use neuroflow_stage::Control;
    use neuroflow_stage::params::Either;

    fn target() -> (&'static str, Value) {
        ("target", "direction".into())
    }

    fn procrustes(dimensions: i64) -> (&'static str, Value) {
        ("align", Value::call("procrustes", vec![("dimensions", dimensions.into())]))
    }

    fn adaptor(dimensions: i64) -> (&'static str, Value) {
        ("align", Value::call("adaptor", vec![("dimensions", dimensions.into())]))
    }

    /// Animals whose units read a shared code of five classes through random weights of their own.
    fn animals(n: usize, shared: bool) -> Vec<Responses> {
        let mut stream = Stream::new(12);
        let (classes, latent) = (5, 4);
        let code = |stream: &mut Stream| (0..classes * latent).map(|_| stream.normal()).collect::<Vec<f64>>();
        let common = code(&mut stream);
        (0..n)
            .map(|animal| {
                let planted = Planted { classes, trials_per_class: 16, units: 14 + 3 * animal, signal: 0.7, seed: 0 };
                let own = if shared { common.clone() } else { code(&mut stream) };
                let reads: Vec<f64> = (0..latent * planted.units).map(|_| stream.normal()).collect();
                let tuning: Vec<f64> = (0..classes * planted.units)
                    .map(|place| {
                        (0..latent)
                            .map(|axis| own[place / planted.units * latent + axis] * reads[axis * planted.units + place % planted.units])
                            .sum()
                    })
                    .collect();
                let mut labels: Vec<usize> = (0..classes * 16).map(|trial| trial % classes).collect();
                stream.shuffle(&mut labels);
                planted.with_tuning(&tuning, &labels, &mut stream)
            })
            .collect()
    }

    fn score(sessions: &[Responses], params: &[(&str, Value)], seed: u64) -> Score {
        let scores: Scores = run(&Transfer, sessions, params, &Context::quiet(seed)).unwrap().one("scores").unwrap();
        scores.get("accuracy").unwrap().clone()
    }

    #[test]
    fn a_shared_code_transfers_by_either_alignment() {
        for align in [procrustes(4), adaptor(4)] {
            let outputs = run(&Transfer, &animals(4, true), &[target(), align.clone()], &Context::quiet(2)).unwrap();
            let scores: Scores = outputs.one("scores").unwrap();
            let accuracy = scores.get("accuracy").unwrap();
            assert!(accuracy.value > 0.85, "{align:?} {accuracy}");
            assert_eq!((accuracy.chance, accuracy.n, accuracy.n_classes, accuracy.folds.len()), (Some(0.2), 320, Some(5), 4));
            assert_eq!(accuracy.interval.as_ref().unwrap().method, "animals");
            let table: Table = outputs.one("table").unwrap();
            assert_eq!(table.numbers("accuracy").unwrap(), accuracy.folds);
            assert_eq!(table.texts("animal").unwrap()[1], "mouse1");
            assert_eq!(table.integers("units").unwrap(), [14, 17, 20, 23]);
        }
    }

    #[test]
    fn two_animals_are_enough() {
        assert!(score(&animals(2, true), &[target(), procrustes(4)], 2).value > 0.8);
    }

    #[test]
    fn shuffled_labels_score_at_chance_by_either_alignment() {
        let artifacts: Vec<_> = animals(3, true).into_iter().map(|animal| animal.into_artifact().unwrap()).collect();
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        for align in [procrustes(4), adaptor(4)] {
            let null: Vec<f64> = (0..30)
                .map(|draw| {
                    let sessions: Vec<Responses> = artifacts
                        .iter()
                        .enumerate()
                        .map(|(animal, artifact)| {
                            Responses::from_artifact(&control.change(artifact, draw * 10 + animal as u64).unwrap()).unwrap()
                        })
                        .collect();
                    score(&sessions, &[target(), align.clone()], draw).value
                })
                .collect();
            let mean = null.iter().sum::<f64>() / null.len() as f64;
            assert!((mean - 0.2).abs() < 0.025, "{align:?} {mean}");
        }
    }

    #[test]
    fn a_tested_trial_never_changes_its_own_alignment() {
        // Wild values in one trial of the new animal may change the prediction of that trial, and of trials that it helps to align; with the fold that
        // tests it, it must not: all trials of that fold other than itself are predicted as before.
        let sessions = animals(3, true);
        let members: Vec<(String, Responses)> = sessions.iter().map(|session| (String::new(), session.clone())).collect();
        let params = TransferParams {
            target: "direction".into(),
            window: neuroflow_stage::Seconds(0.0)..neuroflow_stage::Seconds(2.0),
            align: Align::Procrustes { dimensions: 4, folds: 8 },
            model: Model::Lda { shrinkage: Either::Left(Estimator::Auto {}) },
        };
        let context = Context::quiet(3);
        let (animals, classes, _) = prepare(&members, &params, &context).unwrap();
        let mut changed = animals[0].features.clone();
        let trial = animals[0].parts.test(2)[0];
        changed.row_mut(trial).iter_mut().for_each(|value| *value += 1e3);
        let project = |features: &Matrix| {
            let (calibration, tested) = (animals[0].parts.train(2), animals[0].parts.test(2));
            let means = condition_means(features, &animals[0].labels, &calibration, classes.len());
            let space = OwnSpace::of_means(means, 4).unwrap();
            let rotation = space.rotation_onto(&consensus(&[&space]).unwrap()).unwrap();
            space.project(features, &tested[1..], &rotation).unwrap()
        };
        assert_eq!(project(&animals[0].features), project(&changed));
        for share in [0.25, 0.8] {
            for part in 0..animals[0].parts.n_folds {
                let (fitted, tested) = adaptor_trials(&animals[0], part, share);
                assert!(tested.iter().all(|trial| !fitted.contains(trial)));
                assert_eq!(fitted.len() + tested.len(), animals[0].labels.len());
            }
        }
    }

    #[test]
    fn rotating_an_animals_code_does_not_change_what_transfers() {
        // Units in another order are a rotation of the space of units.
        let sessions = animals(3, true);
        let mut turned = sessions.clone();
        let mut values = Vec::new();
        for trial in 0..turned[0].n_trials() {
            (0..turned[0].n_units()).rev().for_each(|unit| values.extend_from_slice(turned[0].trace(trial, unit)));
        }
        let tensor = neuroflow_data::Tensor::new(turned[0].values().axes().to_vec(), None, values).unwrap();
        turned[0] = turned[0].with_values(tensor, None).unwrap();
        for align in [procrustes(4), adaptor(4)] {
            let (a, b) = (score(&sessions, &[target(), align.clone()], 5), score(&turned, &[target(), align], 5));
            assert_eq!(a.folds, b.folds);
        }
    }

    #[test]
    fn classes_that_not_every_animal_has_are_left_out_and_named() {
        let mut sessions = animals(3, true);
        let labels: Vec<usize> = (0..60).map(|trial| trial % 4).collect();
        let mut stream = Stream::new(1);
        sessions.push(session("four", &labels, 9, (0..60 * 9 * 12).map(|_| stream.normal()).collect()));
        let score = score(&sessions, &[target(), procrustes(3)], 1);
        assert_eq!((score.n_classes, score.chance), (Some(4), Some(0.25)));
        assert_eq!(score.notes, ["classes that not every animal has are left out: 180"]);
    }

    #[test]
    fn recorded_mice_transfer_above_chance() {
        let Some(sessions) = recorded() else { return };
        for align in [procrustes(6), adaptor(6)] {
            let score = score(&sessions, &[target(), align.clone()], 7);
            println!("{:?} {score} {:.3?}", align.1.to_string(), score.folds);
            assert!(score.value > 0.125);
        }
    }

    #[test]
    fn too_little_to_transfer_is_refused_in_the_users_words() {
        let sessions = animals(3, true);
        let one = refusal(&Transfer, &sessions[..1], &[target()]);
        assert!(one.contains("needs at least two animals, only session planted was given"), "{one}");
        assert!(refusal(&Transfer, &[], &[target()]).contains("none was given"));
        let many = refusal(&Transfer, &sessions, &[target(), procrustes(5)]);
        assert_eq!(many, "`dimensions = 5` is too many: the means of 5 classes span 4 dimensions; at most `dimensions = 4` works here");
        let labels: Vec<usize> = (0..60).map(|trial| trial % 5).collect();
        let small = session("small", &labels, 2, vec![0.5; 60 * 2 * 12]);
        let message = refusal(&Transfer, &[sessions[0].clone(), small], &[target(), procrustes(4)]);
        assert!(message.contains("mouse1 has 2 units; at most `dimensions = 2` works here"), "{message}");
        let other = session("other", &[8, 9, 8, 9], 2, vec![0.5; 4 * 2 * 12]);
        let message = refusal(&Transfer, &[sessions[0].clone(), other], &[target()]);
        assert!(message.contains("0 classes of `direction` in common") && message.contains("mouse1 has 360, 405"), "{message}");
        let few = session("few", &[0, 1, 0, 1, 2, 2, 3, 3, 4, 4], 9, vec![0.5; 10 * 9 * 12]);
        let message = refusal(&Transfer, &[sessions[0].clone(), few.clone()], &[target(), procrustes(4)]);
        assert!(
            message.contains("mouse1 has 2 trials of class 0 of `direction`: alignment in 8 folds needs at least 8 of every class"),
            "{message}"
        );
        let message = refusal(&Transfer, &[sessions[0].clone(), few], &[target(), adaptor(4)]);
        assert!(message.contains("an adaptor on 25 % of the trials needs at least 4 of every class"), "{message}");
        for labels in [&[][..], &[0][..]] {
            let tiny = session("tiny", labels, 2, vec![0.0; labels.len() * 24]);
            assert!(!refusal(&Transfer, &[sessions[0].clone(), tiny], &[target()]).is_empty());
        }
    }

    #[test]
    fn animals_without_any_signal_are_predicted_without_a_panic() {
        let labels: Vec<usize> = (0..60).map(|trial| trial % 3).collect();
        let flat = |level: f64| session("flat", &labels, 4, vec![level; 60 * 4 * 12]);
        for align in [procrustes(2), adaptor(2)] {
            let score = score(&[flat(0.0), flat(2.0), flat(1.0)], &[target(), align], 1);
            assert!((score.value - 1.0 / 3.0).abs() < 1e-12, "{score}");
        }
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let sessions = animals(3, true);
        for align in [procrustes(4), adaptor(4)] {
            let bytes = |threads| {
                let context = Context { threads, ..Context::quiet(4) };
                let outputs = run(&Transfer, &sessions, &[target(), align.clone()], &context).unwrap();
                outputs.into_artifacts().into_values().map(|artifact| artifact.encode().unwrap()).collect::<Vec<_>>()
            };
            assert!(bytes(1) == bytes(8));
        }
    }
}
