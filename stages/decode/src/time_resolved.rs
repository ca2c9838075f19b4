//! `decode.time_resolved`: when the population knows the condition, and whether it says it in the same way throughout.
//!
//! For what: the accuracy of a decoder in each of many short windows, and of a decoder that learned in one window and is asked in another. A code that
//! stays the same generalises to all times; one that moves from units to units is decoded near the diagonal only.
//! Promises: the same folds at all times, so that a tested trial trained no decoder at any time; with a control, p values corrected over all
//! windows. Refuses: what `decode.classify` refuses, windows without bins. Method: King & Dehaene 2014 (Trends Cogn Sci 18:203); correction by the
//! largest statistic of each null draw, Nichols & Holmes 2002 (Hum Brain Mapp 15:1), by the rate of false discoveries, Benjamini & Hochberg 1995 (J R
//! Stat Soc B 57:289), or by clusters, Maris & Oostenveld 2007 (J Neurosci Methods 164:177).

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
    Value, params, words,
};

/// The stage `decode.time_resolved`.
pub struct TimeResolved;

words! {
    /// How p values under a control are corrected over windows, and over pairs of windows.
    pub enum Correction {
        /// By the largest accuracy of each null draw: the chance of any false window. Finds peaks.
        Max = "max" {},
        /// By the rate of false windows among those found (Benjamini & Hochberg). Needs more draws than windows: p of one window can't be below 1 / (1 + draws).
        Fdr = "fdr" {},
        /// By the largest cluster of each null draw: windows next to each other that exceed the threshold, weighed by the sum of their z. Finds wide
        /// effects; its p says that there is a cluster, not where it begins and ends. Windows in no cluster have 1.
        Cluster = "cluster" {
            /// What a window's accuracy must exceed, in standard deviations of the null from its mean; 1.645 is 5 % of one side of a normal
            /// distribution. It shapes the clusters (low: wide and weak, high: small and strong) and does not change the chance of a false one: choose it beforehand.
            threshold: f64 = 1.645, in 0.1..=10.0;
        },
    }
}

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
        /// How p under a control is corrected over windows.
        correction: Correction = Value::word("max");
        /// Score every pair of windows too, so that a control gives generalisation its p. The number of scores is the square of that of windows.
        score_pairs: bool = false;
    }
}

/// The most windows whose pairs are scored: each is a score with all its null draws.
const MOST_PAIRED: usize = 64;
/// The most windows: their square is the size of the generalisation matrix.
const MOST_WINDOWS: usize = 2000;

const DOC: &str = r#"A window of `width` slides over the trial in steps of `step`. In each, a decoder learns `target` from the units' means on the training trials, and is asked
about the tested trials in every window.

Scores: `accuracy` is the mean over all windows (chance: the share of the largest class), `peak_accuracy` the largest. `accuracy@0.125s` and so on are the windows,
named by their centre. Under a control their p is corrected over windows by `correction`. `table` has a row for each window;
`generalisation` is the accuracy [train × test] of a decoder that learned at one time and is asked at another; its diagonal is the accuracy of the windows.
With `score_pairs` each of its places is a score as well, such as `generalisation@0.125s,0.375s` for a decoder that learned at the first time and is asked at the
second, and p is corrected over all pairs; clusters are then of pairs that are next to each other in either time.

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
            version: 2,
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
            exactness: Exactness::OnGpu(1e-2),
        }
    }

    fn run(&self, inputs: &Inputs, params: &TimeResolvedParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        let target = Target::of(&responses, &params.target)?;
        require_usable(&responses)?;
        let windows = windows(&responses, params)?;
        if params.score_pairs && windows.len() > MOST_PAIRED {
            return Err(StageError::refused_with_help(
                format!(
                    "{} windows have {} pairs; those of at most {MOST_PAIRED} windows can be scored",
                    windows.len(),
                    windows.len().pow(2)
                ),
                "choose a longer `step` or a shorter `window`, or leave `score_pairs` out",
            ));
        }
        let split = split_of(inputs, &responses, &target, params.folds, context.seed)?;
        let features: Vec<Matrix> = windows.iter().map(|window| features(&responses, &window.bins)).collect::<Result<_, _>>()?;
        let course = Course { features: &features, target: &target, split: &split, params };
        let heavy = params.model.is_heavy(responses.n_trials() * windows.len(), responses.n_units());
        let right = in_order(windows.len(), heavy.then_some(context.threads), context, |window| course.right(window, context))?;
        outputs(&windows, &right, &split, &target, params)
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

fn outputs(
    windows: &[Window],
    right: &[Vec<Vec<usize>>],
    split: &Split,
    target: &Target,
    params: &TimeResolvedParams,
) -> Result<Outputs, StageError> {
    let correction = match params.correction {
        Correction::Max {} => neuroflow_data::Correction::Max,
        Correction::Fdr {} => neuroflow_data::Correction::Fdr,
        Correction::Cluster { threshold } => neuroflow_data::Correction::Cluster { threshold, columns: windows.len() },
    };
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
            correction,
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
    let mut scores = vec![accuracy, peak];
    scores.extend(courses);
    if params.score_pairs {
        scores.extend(across.iter().enumerate().map(|(place, &value)| Score {
            chance: Some(chance),
            n_classes: Some(n_classes as u64),
            correction,
            ..Score::new(format!("generalisation@{}s,{}s", times[place / times.len()], times[place % times.len()]), value, trials)
        }));
    }
    let axes = vec![Axis::numbers("train", Some("s"), times.clone()), Axis::numbers("test", Some("s"), times)];
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

    /// The scores of a session with the null of a shuffle joined.
    fn under_a_shuffle(responses: &Responses, params: &[(&str, Value)], draws: u64) -> Scores {
        let artifact = responses.clone().into_artifact().unwrap();
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        let scores = |responses: &Responses| run_on(responses, params, 2).one::<Scores>("scores").unwrap();
        let nulls: Vec<Scores> =
            (0..draws).map(|draw| scores(&Responses::from_artifact(&control.change(&artifact, draw).unwrap()).unwrap())).collect();
        join(scores(responses), &control, &nulls)
    }

    /// Time and corrected p of each window.
    fn course(joined: &Scores) -> Vec<(f64, f64)> {
        let one = |score: &Score| {
            let time = score.metric.strip_prefix("accuracy@")?.trim_end_matches('s').parse().unwrap();
            Some((time, score.controls[0].p_corrected))
        };
        joined.scores.iter().filter_map(one).collect()
    }

    #[test]
    fn clusters_and_rates_find_what_is_planted_and_nothing_before_it() {
        let responses = Planted { trials_per_class: 8, ..Planted::default() }.responses();
        for correction in ["fdr", "cluster"] {
            let joined = under_a_shuffle(&responses, &[direction(), ("correction", Value::word(correction))], 59);
            let course = course(&joined);
            assert_eq!(course.len(), 12);
            for (time, p) in course {
                assert!(if time > 0.0 { p < 0.05 } else { p > 0.1 }, "{correction}: {time} {p}");
            }
        }
    }

    #[test]
    fn pairs_of_windows_are_scored_with_clusters_in_both_times() {
        let responses = Planted { trials_per_class: 8, ..Planted::default() }.responses();
        let params = [
            direction(),
            ("correction", Value::word("cluster")),
            ("score_pairs", true.into()),
            ("step", Value::seconds(0.5)),
            ("width", Value::seconds(0.5)),
        ];
        let joined = under_a_shuffle(&responses, &params, 39);
        let pairs: Vec<&Score> = joined.scores.iter().filter(|score| score.metric.starts_with("generalisation@")).collect();
        assert_eq!(pairs.len(), 36);
        assert_eq!(pairs[1].metric, "generalisation@-0.75s,-0.25s");
        for (place, score) in pairs.iter().enumerate() {
            // The planted code begins at 0 s, with the third window, and does not change.
            let planted = place / 6 >= 2 && place % 6 >= 2;
            let control = &score.controls[0];
            assert_eq!(control.n_tests, 36);
            assert!(if planted { control.p_corrected == 1.0 / 40.0 } else { control.p_corrected > 0.05 }, "{} {control:?}", score.metric);
        }
        let many = [direction(), ("score_pairs", true.into()), ("step", Value::seconds(0.01))];
        assert!(refusal(&TimeResolved, std::slice::from_ref(&responses), &many).contains("those of at most 64 windows can be scored"));
    }

    #[test]
    fn where_labels_say_nothing_no_correction_finds_more_than_its_rate() {
        let (mut any, mut uncorrected) = ([0; 3], 0);
        for seed in 0..40 {
            let responses = Planted { classes: 2, trials_per_class: 8, units: 4, signal: 0.0, seed }.responses();
            for (place, correction) in ["max", "fdr", "cluster"].into_iter().enumerate() {
                let params = [direction(), ("correction", Value::word(correction)), ("folds", Value::Int(2))];
                let joined = under_a_shuffle(&responses, &params, 19);
                any[place] += usize::from(course(&joined).iter().any(|(_, p)| *p <= 0.05 + 1e-12));
                uncorrected += usize::from(place == 0 && joined.scores[2..].iter().any(|score| score.controls[0].p <= 0.05 + 1e-12));
            }
        }
        // Two of 40 are right; a right test gives more than 8 once in ten thousand.
        assert!(any.iter().all(|found| *found <= 8), "{any:?}");
        assert!(uncorrected > 8, "{uncorrected}");
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
