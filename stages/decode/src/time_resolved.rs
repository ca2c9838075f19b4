//! `decode.time_resolved`: when the population knows the condition, and whether it says it in the same way throughout.
//!
//! For what: the accuracy of a decoder in each of many short windows, and of a decoder that learned in one window and is asked in another. A code that
//! stays the same generalises to all times; one that moves from units to units is decoded near the diagonal only.
//! Promises: the same folds at all times, so that a tested trial trained no decoder at any time; with a control, p values corrected over all
//! windows. Refuses: what `decode.classify` refuses, windows without bins. Method: King & Dehaene 2014 (Trends Cogn Sci 18:203); correction by the
//! largest statistic of each null draw, Nichols & Holmes 2002 (Hum Brain Mapp 15:1).

use crate::classify::split_of;
use crate::confusion::{around, wilson};
use crate::cross_validate::{Learner, in_order};
use crate::linear::largest;
use crate::model::Model;
use crate::place::{Place, require_usable};
use crate::scaling::Scale;
use crate::spectral::numerical;
use crate::split::{Split, Tests, split_slot};
use crate::target::{Target, count};
use crate::trial_features::mean_at;
use neuroflow_compute::Matrix;
use neuroflow_data::random::Stream;
use neuroflow_data::{Axis, Kind, Responses, Score, Scores, Table, Tensor, columns};
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Seconds, Signature, SiteAt, Stage, StageError, TimeWindow,
    Value, params,
};

/// The stage `decode.time_resolved`.
pub struct TimeResolved;

params! {
    /// Parameters of `decode.time_resolved`.
    pub struct TimeResolvedParams {
        /// The trial column to predict. Each of its values, numbers or text, is a class.
        target: String;
        /// The time that is looked at, from stimulus onset.
        window: TimeWindow = Value::window(-1.0, 2.0);
        /// The width of the window that slides over it; the decoder sees each unit's mean in it.
        width: Seconds = Value::seconds(0.25);
        /// From one window to the next.
        step: Seconds = Value::seconds(0.25);
        /// The number of stratified folds; every class needs as many trials. Not used when a split is given.
        folds: usize = 5, in 2.0..=1000.0;
        /// Scaling of features, learned on the training side of each fold.
        scale: Scale = Value::word("none");
        /// The classifier.
        model: Model = Value::word("lda");
    }
}

/// The most windows: their square is the size of the generalisation matrix.
const MOST_WINDOWS: usize = 2000;

const DOC: &str = r#"A window of `width` slides over the trial in steps of `step`. In each, a decoder learns `target` from the units' means on the training trials, and is asked
about the tested trials in every window.

Scores: `accuracy` is the mean over all windows (chance: the share of the largest class), `peak_accuracy` the largest. `accuracy@0.125s` and so on are the windows,
named by their centre. Under a control their p is corrected over windows by the largest accuracy of each null draw. `table` has a row for each window;
`generalisation` is the accuracy [train × test] of a decoder that learned at one time and is asked at another; its diagonal is the accuracy of the windows.

Not for: comparing latencies between sessions of different accuracy, where the first significant window follows the number of trials.

```nf
pipeline when "When does the population know the direction?"
input sessions = ingest.simulate(trials_per_direction = 8)
responses = ingest.trials(sessions["sim1"])
course = decode.time_resolved(responses, target = "direction", step = 500 ms) with control = shuffle("direction", n = 10), seed = 7
```"#;

impl Stage for TimeResolved {
    type Params = TimeResolvedParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "decode.time_resolved",
            version: 1,
            summary: "Predicts each trial's condition in every short window of time, and across time.",
            doc: DOC,
            inputs: vec![
                InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity of one session, cut into trials."),
                split_slot(),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The mean accuracy, the largest, and that of each window."),
                OutputSpec::new("table", Kind::Table, "", "For each window its time in s, accuracy, chance and interval."),
                OutputSpec::new(
                    "generalisation",
                    Kind::Tensor,
                    "train × test",
                    "The accuracy of learning at one time and being asked at another.",
                ),
            ],
            params: Vec::new(),
            metrics: &["accuracy", "peak_accuracy"],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("responses") },
                ControlSite { control: "circular_shift", at: SiteAt::Input("responses") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &TimeResolvedParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let target = Target::of(&responses, &params.target)?;
        require_usable(&responses)?;
        let windows = windows(&responses, params)?;
        let split = split_of(inputs, &responses, &target, params.folds, context.seed)?;
        let features: Vec<Matrix> = windows.iter().map(|window| features(&responses, &window.bins)).collect::<Result<_, _>>()?;
        let course = Course { features: &features, target: &target, split: &split, params };
        let heavy = params.model.is_heavy(responses.n_trials() * windows.len(), responses.n_units());
        let right = in_order(windows.len(), heavy.then_some(context.threads), context, |window| course.right(window, context))?;
        outputs(&windows, &right, &split, &target)
    }
}

/// One place of the sliding window.
struct Window {
    /// Its centre, in seconds from onset.
    centre: f64,
    bins: Vec<usize>,
}

fn windows(responses: &Responses, params: &TimeResolvedParams) -> Result<Vec<Window>, StageError> {
    let (width, step) = (params.width.0, params.step.0);
    if !(width > 0.0 && width.is_finite() && step > 0.0 && step.is_finite()) {
        return Err(StageError::refused_with_help(
            format!("a window of {width} s in steps of {step} s is none: both must be positive durations"),
            "give durations such as `width = 250 ms, step = 50 ms`",
        ));
    }
    let (start, end) = (params.window.start.0, params.window.end.0);
    // A nanosecond of slack, as for windows: 3 / 0.25 must be 12 whatever the last bit says.
    let places = ((end - start - width + 1e-9) / step).floor();
    if places.is_nan() || places < 0.0 {
        return Err(StageError::refused_with_help(
            format!("a window of {width} s does not fit into {start} s .. {end} s"),
            "choose a smaller `width` or a longer `window`",
        ));
    }
    if places >= MOST_WINDOWS as f64 {
        return Err(StageError::refused_with_help(
            format!("steps of {step} s cut {start} s .. {end} s into more than {MOST_WINDOWS} windows"),
            "choose a longer `step` or a shorter `window`",
        ));
    }
    let mut windows = Vec::new();
    for place in 0..=places as usize {
        let from = start + step * place as f64;
        let bins = responses.bins_within(from, from + width);
        if bins.is_empty() {
            let times = responses.bin_times();
            let covered = match (times.first(), times.last()) {
                (Some(first), Some(last)) => format!("its {} bins lie from {first} s to {last} s", times.len()),
                _ => "it has no bins".to_owned(),
            };
            return Err(StageError::refused_with_help(
                format!("{} has no bins in {from} s .. {} s from stimulus onset; {covered}", Place(responses), from + width),
                "choose a `window` inside the recorded time, or a larger `width`",
            ));
        }
        // Times are shown and compared: steps such as 0.1 s must not end in a tail of digits.
        windows.push(Window { centre: ((from + width / 2.0) * 1e6).round() / 1e6, bins });
    }
    Ok(windows)
}

/// Each unit's mean over some bins `[trial × unit]`.
fn features(responses: &Responses, bins: &[usize]) -> Result<Matrix, StageError> {
    let (n_trials, n_units) = (responses.n_trials(), responses.n_units());
    let mut values = Vec::with_capacity(n_trials * n_units);
    for trial in 0..n_trials {
        values.extend((0..n_units).map(|unit| mean_at(responses.trace(trial, unit), bins)));
    }
    Matrix::new(n_trials, n_units, values).map_err(numerical)
}

struct Course<'a> {
    /// Of each window `[trial × unit]`.
    features: &'a [Matrix],
    target: &'a Target,
    split: &'a Split,
    params: &'a TimeResolvedParams,
}

impl Course<'_> {
    /// How many trials decoders that learned in `window` predict right, `[fold × window that is asked]`.
    fn right(&self, window: usize, context: &Context) -> Result<Vec<Vec<usize>>, StageError> {
        let n_classes = self.target.n_classes();
        let labels = &self.target.labels;
        let stream = Stream::new(context.seed).split("model").split_index(window as u64);
        (0..self.split.n_folds())
            .map(|fold| {
                context.cancel.check()?;
                let train = &self.split.train[fold];
                let train_labels: Vec<usize> = train.iter().map(|&trial| labels[trial]).collect();
                let learner = Learner::fit(
                    &self.params.model,
                    self.features[window].take_rows(train),
                    &train_labels,
                    n_classes,
                    &self.params.scale,
                    &stream.split_index(fold as u64),
                    context,
                )?;
                let test = &self.split.test[fold];
                let right = |features: &Matrix| {
                    let scores = learner.scores(features.take_rows(test));
                    scores.chunks_exact(n_classes).zip(test).filter(|(scores, trial)| largest(scores) == labels[**trial]).count()
                };
                Ok(self.features.iter().map(right).collect())
            })
            .collect()
    }
}

fn outputs(windows: &[Window], right: &[Vec<Vec<usize>>], split: &Split, target: &Target) -> Result<Outputs, StageError> {
    let n_classes = target.n_classes();
    let tested: Vec<usize> = split.tested().into_iter().map(|(trial, _)| target.labels[trial]).collect();
    let n = tested.len();
    let chance = count(&tested, n_classes).into_iter().max().unwrap_or(0) as f64 / n.max(1) as f64;
    let Tests { trials, shared } = split.tests();
    let sizes: Vec<f64> = split.test.iter().map(|trials| trials.len().max(1) as f64).collect();
    let total = |train: usize, test: usize| right[train].iter().map(|fold| fold[test]).sum::<usize>();
    let in_fold = |window: usize, fold: usize| right[window][fold][window] as f64 / sizes[fold];

    let mut courses = Vec::with_capacity(windows.len());
    for (place, window) in windows.iter().enumerate() {
        let correct = total(place, place);
        courses.push(Score {
            chance: Some(chance),
            interval: Some(wilson(correct as f64 / n.max(1) as f64, trials)),
            n_classes: Some(n_classes as u64),
            folds: (0..split.n_folds()).map(|fold| in_fold(place, fold)).collect(),
            ..Score::new(format!("accuracy@{}s", window.centre), correct as f64 / n.max(1) as f64, trials)
        });
    }
    let accuracies: Vec<f64> = courses.iter().map(|score| score.value).collect();
    let folds: Vec<f64> = (0..split.n_folds())
        .map(|fold| (0..windows.len()).map(|window| in_fold(window, fold)).sum::<f64>() / windows.len() as f64)
        .collect();
    let mean = accuracies.iter().sum::<f64>() / accuracies.len().max(1) as f64;
    let accuracy = Score {
        chance: Some(chance),
        interval: around(mean, &folds, shared, "folds"),
        n_classes: Some(n_classes as u64),
        folds,
        ..Score::new("accuracy", mean, trials)
    };
    let best = largest(&accuracies);
    let peak = Score {
        n_classes: Some(n_classes as u64),
        notes: windows.get(best).map(|window| format!("at {} s", window.centre)).into_iter().collect(),
        ..Score::new("peak_accuracy", accuracies.get(best).copied().unwrap_or(0.0), trials)
    };

    let ends = |pick: fn(&neuroflow_data::Interval) -> f64| {
        courses.iter().map(|score| score.interval.as_ref().map_or(f64::NAN, pick)).collect::<Vec<f64>>()
    };
    let times: Vec<f64> = windows.iter().map(|window| window.centre).collect();
    let table = Table::from_columns(vec![
        columns::from_numbers("time", times.clone()),
        columns::from_numbers("accuracy", accuracies),
        columns::from_numbers("chance", vec![chance; windows.len()]),
        columns::from_numbers("low", ends(|interval| interval.low)),
        columns::from_numbers("high", ends(|interval| interval.high)),
    ])?;
    let across = (0..windows.len())
        .flat_map(|train| (0..windows.len()).map(move |test| (train, test)))
        .map(|(train, test)| total(train, test) as f64 / n.max(1) as f64)
        .collect::<Vec<_>>();
    let axes = vec![Axis::numbers("train", Some("s"), times.clone()), Axis::numbers("test", Some("s"), times)];
    let mut scores = vec![accuracy, peak];
    scores.extend(courses);
    Outputs::new()
        .with("scores", Scores::new(scores))?
        .with("table", table)?
        .with("generalisation", Tensor::new(axes, Some("accuracy"), across)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Planted, refusal, run, session};
    use neuroflow_data::Typed;
    use neuroflow_stage::Control;
    use neuroflow_stage::control::join;

    fn direction() -> (&'static str, Value) {
        ("target", "direction".into())
    }

    fn run_on(responses: &Responses, params: &[(&str, Value)], seed: u64) -> Outputs {
        run(&TimeResolved, std::slice::from_ref(responses), params, &Context::quiet(seed)).unwrap()
    }

    #[test]
    fn what_is_planted_after_onset_is_found_there_and_generalises() {
        let outputs = run_on(&Planted::default().responses(), &[direction()], 3);
        let table: Table = outputs.one("table").unwrap();
        let (times, accuracy) = (table.numbers("time").unwrap(), table.numbers("accuracy").unwrap());
        assert_eq!((times.len(), times[0], times[11]), (12, -0.875, 1.875));
        for (time, accuracy) in times.iter().zip(&accuracy) {
            assert!(if *time > 0.0 { *accuracy > 0.7 } else { *accuracy < 0.5 }, "{time} {accuracy}");
        }
        let across: Tensor = outputs.one("generalisation").unwrap();
        across.require_axes(&["train", "test"]).unwrap();
        for (window, accuracy) in accuracy.iter().enumerate() {
            assert_eq!(across.row(window)[window], *accuracy);
        }
        // The planted code does not change after onset.
        assert!((4..12).all(|train| (4..12).all(|test| across.row(train)[test] > 0.7)));
        assert!((4..12).all(|train| (0..4).all(|test| across.row(train)[test] < 0.55)));
        let scores: Scores = outputs.one("scores").unwrap();
        assert_eq!(scores.scores.len(), 14);
        assert!((scores.get("accuracy").unwrap().value - accuracy.iter().sum::<f64>() / 12.0).abs() < 1e-12);
        assert_eq!(scores.get("accuracy@0.125s").unwrap().value, accuracy[4]);
        assert_eq!(scores.get("peak_accuracy").unwrap().value, accuracy.iter().copied().fold(0.0, f64::max));
    }

    #[test]
    fn a_code_that_moves_from_units_to_units_is_decoded_on_the_diagonal_only() {
        let labels: Vec<usize> = (0..60).map(|trial| trial % 2).collect();
        let mut stream = Stream::new(5);
        // Unit u tells the class in bin u only.
        let mut values = Vec::new();
        for &label in &labels {
            for unit in 0..12 {
                values.extend((0..12).map(|bin| stream.normal() + if bin == unit { 4.0 * label as f64 } else { 0.0 }));
            }
        }
        let outputs = run_on(&session("moving", &labels, 12, values), &[direction()], 1);
        let across: Tensor = outputs.one("generalisation").unwrap();
        for train in 0..12 {
            assert!(across.row(train)[train] > 0.85);
            let others = (0..12).filter(|test| *test != train).map(|test| across.row(train)[test]).sum::<f64>() / 11.0;
            assert!((others - 0.5).abs() < 0.15, "{others}");
        }
    }

    #[test]
    fn under_a_shuffle_only_windows_after_onset_stand_out_over_all_windows() {
        let responses = Planted { trials_per_class: 8, ..Planted::default() }.responses();
        let artifact = responses.clone().into_artifact().unwrap();
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        let scores = |responses: &Responses| run_on(responses, &[direction()], 2).one::<Scores>("scores").unwrap();
        let nulls: Vec<Scores> =
            (0..39).map(|draw| scores(&Responses::from_artifact(&control.change(&artifact, draw).unwrap()).unwrap())).collect();
        let joined = join(scores(&responses), &control, &nulls);
        for score in &joined.scores[2..] {
            let control = &score.controls[0];
            let time: f64 = score.metric.trim_start_matches("accuracy@").trim_end_matches('s').parse().unwrap();
            assert_eq!(control.n_tests, 12);
            assert!(control.p_corrected >= control.p);
            assert!(if time > 0.0 { control.p_corrected < 0.05 } else { control.p_corrected > 0.1 }, "{time} {}", control.p_corrected);
        }
        let mean = nulls.iter().map(|draw| draw.scores[0].value).sum::<f64>() / 39.0;
        assert!((mean - 0.25).abs() < 0.03, "{mean}");
    }

    #[test]
    fn steps_smaller_than_the_width_overlap_and_bad_windows_are_refused() {
        let responses = Planted { trials_per_class: 6, ..Planted::default() }.responses();
        let params = [direction(), ("width", Value::seconds(0.5)), ("step", Value::seconds(0.25)), ("window", Value::window(0.0, 1.5))];
        let table: Table = run_on(&responses, &params, 1).one("table").unwrap();
        assert_eq!(table.numbers("time").unwrap(), [0.25, 0.5, 0.75, 1.0, 1.25]);
        let said = |params: &[(&str, Value)]| refusal(&TimeResolved, std::slice::from_ref(&responses), params);
        assert!(said(&[direction(), ("width", Value::seconds(5.0))]).contains("a window of 5 s does not fit into -1 s .. 2 s"));
        assert!(said(&[direction(), ("step", Value::seconds(0.0))]).contains("both must be positive durations"));
        assert!(said(&[direction(), ("step", Value::seconds(1e-4))]).contains("into more than 2000 windows"));
        assert!(
            said(&[direction(), ("width", Value::seconds(0.05)), ("step", Value::seconds(0.1))]).contains("session planted has no bins in")
        );
    }

    #[test]
    fn the_same_seed_gives_the_same_bytes_on_any_number_of_threads() {
        let responses = Planted { trials_per_class: 6, signal: 0.5, ..Planted::default() }.responses();
        for model in [Value::word("lda"), Value::call("logistic", vec![("strength", 0.1.into())])] {
            let bytes = |threads| {
                let context = Context { threads, ..Context::quiet(4) };
                let params = [direction(), ("model", model.clone()), ("step", Value::seconds(0.5))];
                let outputs = run(&TimeResolved, std::slice::from_ref(&responses), &params, &context).unwrap();
                outputs.into_artifacts().into_values().map(|artifact| artifact.encode().unwrap()).collect::<Vec<_>>()
            };
            assert!(bytes(1) == bytes(8));
        }
    }
}
