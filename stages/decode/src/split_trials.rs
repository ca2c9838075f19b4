//! `decode.split`: who trains and who is tested, as a value.
//!
//! For what: steps that are to be compared must be tested on the same trials by decoders that saw the same trials. A split is made once, stored, and given
//! to each of them. Promises: a trial never trains and is tested in the same fold; the same seed gives the same split, and `stratified` and
//! `kfold` those that steps make themselves. Refuses: columns that are not there, fewer trials or groups than folds, gaps that leave nothing to train on.
//! Method: Varoquaux et al. 2017 (NeuroImage 145:166) on why neighbouring trials and trials of one group must not stand on both sides.

use crate::folds::Folds;
use crate::place::Place;
use crate::split::Split;
use crate::target::Target;
use neuroflow_data::random::Stream;
use neuroflow_data::{Kind, Responses, Table, columns};
use neuroflow_stage::params::{Either, Share};
use neuroflow_stage::{
    Context, Dimension, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Quantity, Seconds, Signature, Stage, StageError, Value, params,
    words,
};

/// The stage `decode.split`.
pub struct SplitTrials;

words! {
    /// How trials are divided.
    pub enum SplitBy {
        /// Trials dealt at random to folds of equal size, whatever their condition.
        KFold = "kfold" {
            /// The number of folds.
            folds: usize = 8, in 2.0..=1000.0;
        },
        /// As `kfold`, with each class of `target` spread evenly over the folds.
        Stratified = "stratified" {
            /// The number of folds; every class needs as many trials.
            folds: usize = 8, in 2.0..=1000.0;
        },
        /// Folds of whole groups: trials with the same value of a column are never on both sides. Groups go, the largest first, to the smallest fold.
        Group = "group" {
            /// The column that says which trials belong together.
            column: String;
            /// The number of folds; at most as many as there are groups.
            folds: usize = 5, in 2.0..=1000.0;
        },
        /// Stretches of the session, each tested by the rest of it, without the trials less than `gap` away from a tested one: neighbours in time resemble each other.
        Blocked = "blocked" {
            /// The time around the tested stretch in which no trial trains.
            gap: Seconds = Value::seconds(5.0), in 0.0..=1e9;
            /// The number of stretches.
            folds: usize = 5, in 2.0..=1000.0;
            /// The column with the time of each trial, in seconds.
            clock: String = "time";
        },
        /// Each value of a column tested in turn by trials of all others: an animal, a day, a block, a stimulus.
        LeaveOneOut = "leave_one_out" {
            /// The column.
            column: String;
        },
        /// One fold: trials with a value of a column are tested by all others.
        Holdout = "holdout" {
            /// The column.
            column: String;
            /// The value of the tested trials.
            equals: Either<f64, String>;
        },
        /// Few trials train: a share of each class of `target`, at least one, drawn at random; the others are tested; several times.
        FewShot = "fewshot" {
            /// The share of each class that trains.
            share: Share = Quantity { value: 0.3, dimension: Dimension::Ratio }, in 0.001..=0.999;
            /// How often it is drawn.
            repeats: usize = 10, in 1.0..=1000.0;
        },
    }
}

params! {
    /// Parameters of `decode.split`.
    pub struct SplitParams {
        /// How trials are divided.
        by: SplitBy = Value::word("stratified");
        /// The trial column whose values are spread evenly by `stratified` and `fewshot`; the others do not need it.
        target: String = "";
    }
}

const DOC: &str = r#"Divides the trials of a session into training and tested ones, fold by fold. `decode.classify`, `decode.regress`, `decode.time_resolved`,
`decode.trajectory` and `decode.eeg` take the result as their second input in place of folds of their own.

`split` is [fold × trial]: 1 where the fold trains on a trial, 2 where it tests it, 0 where it does neither (the gap around a block). `table` has a row for each fold.

A split knows its trials: it keeps the session's name and the trials' columns, and a step whose responses are of another session, or of other trials,
refuses it. Steps between may add columns, and the step may decode another column than the split spreads.

`stratified`, the default, and `fewshot` need a `target`. `stratified` with the seed and the number of folds of a step is what the step does by itself. Use `blocked` where activity drifts, `group` or
`leave_one_out` where trials of one animal, day or block resemble each other. In the null draws of a step the split stays as it is.

The draws of `fewshot` test the same trials again and again. Accuracies are over all tests, but their interval counts each trial once, and intervals
over draws allow for what draws share (Nadeau & Bengio 2003): more draws make the estimate steadier, not the session longer.

Not for: making scores better. The split that answers the question is the one whose training side is as far from the tested trials as new data would be.

```nf
pipeline drift "Does the code hold over time?"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
split = decode.split(responses, by = blocked(gap = 10 s))
direction = decode.classify(responses, split, target = "direction") with control = shuffle("direction", n = 20), seed = 7
```"#;

impl Stage for SplitTrials {
    type Params = SplitParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "decode.split",
            version: 2,
            summary: "Divides trials into training and tested ones, as a value that steps share.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The session whose trials are divided.")],
            outputs: vec![
                OutputSpec::new(
                    "split",
                    Kind::Tensor,
                    "fold × trial",
                    "1 where the fold trains on the trial, 2 where it tests it, else 0.",
                ),
                OutputSpec::new(
                    "table",
                    Kind::Table,
                    "",
                    "For each fold its name and how many trials it trains on, tests, and leaves out.",
                ),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &SplitParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        if responses.n_trials() == 0 {
            return Err(StageError::refused_with_help(
                format!("{} has no trials", Place(&responses)),
                "look at the step that cut the recording into trials, or leave the session out",
            ));
        }
        let (split, names) = divide(&responses, params, context.seed)?;
        split.require_sides(&responses)?;
        let counts = |sides: &[Vec<usize>]| sides.iter().map(|side| i64::try_from(side.len()).unwrap_or(i64::MAX)).collect::<Vec<_>>();
        let (trained, tested) = (counts(&split.train), counts(&split.test));
        let all = i64::try_from(split.n_trials).unwrap_or(i64::MAX);
        let neither = trained.iter().zip(&tested).map(|(trained, tested)| all - trained - tested).collect();
        let table = Table::from_columns(vec![
            columns::from_texts("fold", &names),
            columns::from_integers("trained", trained),
            columns::from_integers("tested", tested),
            columns::from_integers("left_out", neither),
        ])?;
        Outputs::new().with("split", split.tensor(&responses)?)?.with("table", table)
    }
}

/// The split and the name of each fold.
fn divide(responses: &Responses, params: &SplitParams, seed: u64) -> Result<(Split, Vec<String>), StageError> {
    let numbered = |n: usize| (0..n).map(|fold| fold.to_string()).collect::<Vec<_>>();
    let stream = Stream::new(seed).split("folds");
    match &params.by {
        SplitBy::KFold { folds } => Ok((Split::from(&shuffled(responses, *folds, seed)?), numbered(*folds))),
        SplitBy::Stratified { folds } => {
            let target = classes(responses, &params.target, "stratified")?;
            Ok((Split::from(&Folds::of_session(responses, &target, *folds, seed)?), numbered(*folds)))
        }
        SplitBy::Group { column, folds } => {
            let groups = Target::any(responses, column)?;
            let n_groups = groups.n_classes();
            if n_groups < *folds {
                return Err(StageError::refused_with_help(
                    format!("{} has {n_groups} values of `{column}`: {folds} folds need at least as many", Place(responses)),
                    if n_groups < 2 {
                        "choose a column with more values".to_owned()
                    } else {
                        format!("at most `folds = {n_groups}` works here")
                    },
                ));
            }
            let counts = groups.counts();
            let mut order: Vec<usize> = (0..n_groups).collect();
            order.sort_by_key(|&group| (std::cmp::Reverse(counts[group]), group));
            let (mut fold_of_group, mut sizes) = (vec![0; n_groups], vec![0; *folds]);
            for group in order {
                let smallest = (0..*folds).min_by_key(|&fold| (sizes[fold], fold)).unwrap_or(0);
                fold_of_group[group] = smallest;
                sizes[smallest] += counts[group];
            }
            let of_trial = groups.labels.iter().map(|&group| fold_of_group[group]).collect();
            Ok((Split::from(&Folds { of_trial, n_folds: *folds }), numbered(*folds)))
        }
        SplitBy::Blocked { gap, folds, clock } => Ok((blocked(responses, gap.0, *folds, clock)?, numbered(*folds))),
        SplitBy::LeaveOneOut { column } => {
            let groups = Target::of(responses, column)?;
            let n_folds = groups.n_classes();
            let names = groups.names();
            Ok((Split::from(&Folds { of_trial: groups.labels, n_folds }), names))
        }
        SplitBy::Holdout { column, equals } => {
            let groups = Target::of(responses, column)?;
            let wanted = match equals {
                Either::Left(number) => (number + 0.0).to_string(),
                Either::Right(text) => text.clone(),
            };
            let Some(place) = groups.names().iter().position(|name| *name == wanted) else {
                return Err(StageError::refused_with_help(
                    format!("{}: no trial has `{column}` = {wanted}", Place(responses)),
                    format!("it has the values {}", groups.names().join(", ")),
                ));
            };
            let side = |tested: bool| (0..groups.labels.len()).filter(|&trial| (groups.labels[trial] == place) == tested).collect();
            Ok((Split { n_trials: groups.labels.len(), train: vec![side(false)], test: vec![side(true)] }, vec![wanted]))
        }
        SplitBy::FewShot { share, repeats } => {
            let target = classes(responses, &params.target, "fewshot")?;
            let counts = target.counts();
            if let Some(class) = counts.iter().position(|&count| count < 2) {
                return Err(StageError::refused_with_help(
                    format!("{} has one trial of class {} of `{}`", Place(responses), target.names().swap_remove(class), target.column),
                    "`fewshot` needs at least 2 trials of every class, one to train and one to test: leave the class out",
                ));
            }
            let (mut train, mut test) = (Vec::new(), Vec::new());
            for repeat in 0..*repeats {
                let stream = stream.split_index(repeat as u64);
                let mut trains = vec![false; target.labels.len()];
                for (class, &count) in counts.iter().enumerate() {
                    let members: Vec<usize> = (0..target.labels.len()).filter(|&trial| target.labels[trial] == class).collect();
                    let chosen = ((share.0 * count as f64).round() as usize).clamp(1, count - 1);
                    let order = stream.split_index(class as u64).permutation(count);
                    order.iter().take(chosen).for_each(|&place| trains[members[place]] = true);
                }
                train.push((0..trains.len()).filter(|&trial| trains[trial]).collect());
                test.push((0..trains.len()).filter(|&trial| !trains[trial]).collect());
            }
            Ok((Split { n_trials: target.labels.len(), train, test }, numbered(*repeats)))
        }
    }
}

fn classes(responses: &Responses, target: &str, word: &str) -> Result<Target, StageError> {
    if target.is_empty() {
        return Err(StageError::refused_with_help(
            format!("`{word}` spreads the classes of a trial column evenly, and no column is named"),
            format!(
                "name one with `target = \"…\"` ({} has {}), or use `by = kfold`, which needs none",
                Place(responses),
                responses.trials().column_names().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
            ),
        ));
    }
    Target::of(responses, target)
}

/// Trials dealt at random: the folds of steps that predict numbers.
///
/// # Errors
/// When there are fewer trials than folds.
pub(crate) fn shuffled(responses: &Responses, folds: usize, seed: u64) -> Result<Folds, StageError> {
    let n_trials = responses.n_trials();
    if n_trials < folds {
        return Err(StageError::refused_with_help(
            format!("{} has {n_trials} trials: {folds} folds need at least as many", Place(responses)),
            if n_trials < 2 { "record more trials".to_owned() } else { format!("at most `folds = {n_trials}` works here") },
        ));
    }
    Ok(Folds::stratified(&vec![0; n_trials], 1, folds, seed))
}

fn blocked(responses: &Responses, gap: f64, folds: usize, clock: &str) -> Result<Split, StageError> {
    let n_trials = responses.n_trials();
    let times = responses.trials().numbers(clock).map_err(|error| {
        StageError::refused_with_help(
            format!("{}: `blocked` needs the time of each trial: {error}", Place(responses)),
            "name the column with `clock = \"…\"`, in seconds",
        )
    })?;
    if let Some(trial) = times.iter().position(|time| !time.is_finite()) {
        return Err(StageError::refused_with_help(
            format!("{}: `{clock}` has no value in trial {trial}", Place(responses)),
            "leave that trial out, or fill the column, before this step",
        ));
    }
    if n_trials < folds {
        return Err(StageError::refused_with_help(
            format!("{} has {n_trials} trials: {folds} stretches need at least as many", Place(responses)),
            "choose fewer `folds`",
        ));
    }
    let mut order: Vec<usize> = (0..n_trials).collect();
    order.sort_by(|&a, &b| times[a].total_cmp(&times[b]).then(a.cmp(&b)));
    let (mut train, mut test) = (Vec::new(), Vec::new());
    for fold in 0..folds {
        let (start, end) = (fold * n_trials / folds, (fold + 1) * n_trials / folds);
        let mut tested = order[start..end].to_vec();
        let (first, last) = (times[tested[0]], times[tested[tested.len() - 1]]);
        let mut trained: Vec<usize> = order[..start].iter().chain(&order[end..]).copied().collect();
        trained.retain(|&trial| first - times[trial] >= gap || times[trial] - last >= gap);
        tested.sort_unstable();
        trained.sort_unstable();
        train.push(trained);
        test.push(tested);
    }
    Ok(Split { n_trials, train, test })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::classify::Classify;
    use crate::testing::{Planted, refusal, run};
    use neuroflow_data::{Tensor, Typed};

    /// A session with trial columns `time` (one trial every 3 s) and `day`.
    fn session() -> Responses {
        let responses = Planted::default().responses();
        let n = responses.n_trials();
        let (field, times) = columns::from_numbers("time", (0..n).map(|trial| 3.0 * trial as f64).collect());
        let table = responses.trials().with_column(field, times).unwrap();
        let days: Vec<String> = (0..n).map(|trial| format!("day {}", trial * trial % 5)).collect();
        let (field, days) = columns::from_texts("day", &days);
        responses.with_trials(table.with_column(field, days).unwrap()).unwrap()
    }

    fn split(by: Value) -> (Split, Table) {
        let responses = session();
        let params = [("by", by), ("target", Value::from("direction"))];
        let outputs = run(&SplitTrials, std::slice::from_ref(&responses), &params, &Context::quiet(3)).unwrap();
        let tensor: Tensor = outputs.one("split").unwrap();
        (Split::of_tensor(&tensor, &responses).unwrap(), outputs.one("table").unwrap())
    }

    fn all_kinds() -> Vec<Value> {
        vec![
            Value::word("kfold"),
            Value::word("stratified"),
            Value::call("group", vec![("column", "day".into()), ("folds", 3.into())]),
            Value::word("blocked"),
            Value::call("leave_one_out", vec![("column", "day".into())]),
            Value::call("holdout", vec![("column", "day".into()), ("equals", "day 1".into())]),
            Value::call("holdout", vec![("column", "direction".into()), ("equals", 45.into())]),
            Value::word("fewshot"),
        ]
    }

    #[test]
    fn no_trial_is_on_both_sides_and_the_table_counts_them() {
        for by in all_kinds() {
            let (split, table) = split(by.clone());
            for fold in 0..split.n_folds() {
                assert!(split.train[fold].iter().all(|trial| !split.test[fold].contains(trial)), "{by}");
                assert_eq!(table.integers("trained").unwrap()[fold], split.train[fold].len() as i64);
                let sum = |name: &str| table.integers(name).unwrap()[fold];
                assert_eq!(sum("trained") + sum("tested") + sum("left_out"), 48, "{by}");
            }
        }
    }

    #[test]
    fn every_trial_is_tested_once_where_folds_share_them_out() {
        for by in &all_kinds()[..5] {
            let tested: Vec<usize> = split(by.clone()).0.tested().into_iter().map(|(trial, _)| trial).collect();
            assert_eq!(tested, (0..48).collect::<Vec<_>>(), "{by}");
        }
    }

    #[test]
    fn groups_stay_together_and_a_gap_is_kept() {
        let days = session().trials().texts("day").unwrap();
        let (grouped, _) = split(all_kinds()[2].clone());
        for fold in 0..3 {
            assert!(grouped.train[fold].iter().all(|&a| grouped.test[fold].iter().all(|&b| days[a] != days[b])));
        }
        let (blocked, _) = split(Value::call("blocked", vec![("gap", Value::seconds(9.0)), ("folds", 4.into())]));
        for fold in 0..4 {
            let nearest = blocked.train[fold]
                .iter()
                .flat_map(|&a| blocked.test[fold].iter().map(move |&b| 3.0 * (a as f64 - b as f64).abs()))
                .fold(f64::INFINITY, f64::min);
            assert_eq!(nearest, 9.0);
        }
        let (few, table) = split(Value::call("fewshot", vec![("share", Quantity { value: 0.25, dimension: Dimension::Ratio }.into())]));
        assert_eq!((few.n_folds(), table.integers("trained").unwrap()[0]), (10, 12));
        assert_ne!(few.train[0], few.train[1]);
        let (_, names) = split(all_kinds()[4].clone());
        assert_eq!(names.texts("fold").unwrap(), ["day 0", "day 1", "day 4"]);
    }

    #[test]
    fn a_stratified_split_is_what_a_step_makes_itself_and_any_split_can_be_given() {
        let responses = session();
        let params = [("target", Value::from("direction")), ("by", Value::word("stratified"))];
        let made = run(&SplitTrials, std::slice::from_ref(&responses), &params, &Context::quiet(3)).unwrap();
        let classify = |split: Option<&Outputs>| {
            let mut inputs = Inputs::new();
            inputs.push("responses", "", responses.clone().into_artifact().unwrap());
            if let Some(split) = split {
                inputs.push("split", "", split.get("split").unwrap().clone());
            }
            let params = [("target".to_owned(), Value::from("direction"))].into();
            let outputs = neuroflow_stage::AnyStage::run(&Classify, &inputs, &params, &Context::quiet(3)).unwrap();
            outputs.one::<Table>("predictions").unwrap()
        };
        assert_eq!(classify(Some(&made)), classify(None));
        for by in all_kinds() {
            let params = [("target", Value::from("direction")), ("by", by.clone())];
            let made = run(&SplitTrials, std::slice::from_ref(&responses), &params, &Context::quiet(3)).unwrap();
            let tested = Split::of_tensor(&made.one("split").unwrap(), &responses).unwrap().tested();
            let predictions = classify(Some(&made));
            assert_eq!(predictions.integers("trial").unwrap(), tested.iter().map(|pair| pair.0 as i64).collect::<Vec<_>>(), "{by}");
        }
        // The class that is held out is never seen in training: it is never predicted, and its probability is 0.
        let params = [("by", all_kinds()[6].clone())];
        let made = run(&SplitTrials, std::slice::from_ref(&responses), &params, &Context::quiet(3)).unwrap();
        let predictions = classify(Some(&made));
        assert!(predictions.numbers("predicted").unwrap().iter().all(|class| *class != 45.0));
        assert!(predictions.numbers("probability_45").unwrap().iter().all(|value| *value == 0.0));
    }

    #[test]
    fn what_can_not_be_split_is_refused_in_the_users_words() {
        let responses = session();
        let said = |params: &[(&str, Value)]| refusal(&SplitTrials, std::slice::from_ref(&responses), params);
        let unnamed = said(&[]);
        assert!(unnamed.contains("`stratified` spreads the classes of a trial column evenly, and no column is named"), "{unnamed}");
        assert!(unnamed.contains("name one with `target = \"…\"` (session planted has `direction`, `name`, `time`, `day`)"), "{unnamed}");
        assert!(said(&[("by", Value::call("group", vec![("column", "dai".into())]))]).contains("did you mean `day`?"));
        let groups = said(&[("by", Value::call("group", vec![("column", "day".into()), ("folds", 4.into())]))]);
        assert!(groups.contains("has 3 values of `day`: 4 folds need at least as many; at most `folds = 3` works here"), "{groups}");
        let held = said(&[("by", Value::call("holdout", vec![("column", "day".into()), ("equals", "day 9".into())]))]);
        assert!(held.contains("no trial has `day` = day 9; it has the values day 0, day 1, day 4"), "{held}");
        let gap = said(&[("by", Value::call("blocked", vec![("gap", Value::seconds(1e6))]))]);
        assert!(gap.contains("fold 0 of the split of session planted trains on no trial"), "{gap}");
        assert!(
            said(&[("by", Value::call("blocked", vec![("clock", "clock".into())]))]).contains("`blocked` needs the time of each trial")
        );
        assert!(
            said(&[("by", Value::call("kfold", vec![("folds", 49.into())]))]).contains("has 48 trials: 49 folds need at least as many")
        );
        let other = Planted { trials_per_class: 3, ..Planted::default() }.responses();
        let (made, _) = split(Value::word("kfold"));
        let message = Split::of_tensor(&made.tensor(&responses).unwrap(), &other).unwrap_err().to_string();
        assert_eq!(message, "the split is of 48 trials, session planted has 12");
    }

    #[test]
    fn a_split_of_another_session_or_of_other_trials_is_refused() {
        let responses = session();
        let tensor = split(Value::word("stratified")).0.tensor(&responses).unwrap();
        let said = |other: &Responses| Split::of_tensor(&tensor, other).unwrap_err().to_string();
        let renamed = Responses::new("b", responses.values().clone(), responses.trials().clone(), None).unwrap();
        assert_eq!(said(&renamed), "the split is of session planted, the responses are of session b");
        // The same name and as many trials, whose directions, days and times differ.
        let order: Vec<usize> = (0..48).rev().collect();
        let turned = responses.with_trials(responses.trials().select(&order).unwrap()).unwrap();
        assert!(said(&turned).contains("the split is of other trials than session planted has: trial 0 has"), "{}", said(&turned));
        let mut times = responses.trials().numbers("time").unwrap();
        times[4] += 1.0;
        let (field, column) = columns::from_numbers("time", times);
        let late = responses.with_trials(responses.trials().with_column(field, column).unwrap()).unwrap();
        let message = "the split is of other trials than session planted has: trial 4 has `time` = 13, in the split it has 12";
        assert_eq!(said(&late), message);
        // A null draw's permuted column, a new column, and one that is gone are no other trials.
        let control = neuroflow_stage::Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        let drawn = Responses::from_artifact(&control.change(&responses.clone().into_artifact().unwrap(), 3).unwrap()).unwrap();
        let (field, column) = columns::from_numbers("reward", vec![1.0; 48]);
        let more = responses.with_trials(responses.trials().with_column(field, column).unwrap()).unwrap();
        let fewer = Planted::default().responses();
        for same in [drawn, more, fewer] {
            assert!(Split::of_tensor(&tensor, &same).is_ok());
        }
    }

    #[test]
    fn an_interval_of_repeated_draws_holds_the_expected_accuracy_as_often_as_it_says() {
        // Of sessions with the same code, the mean accuracy of few-shot decoding is what each session estimates. Tests that repeat each other are no
        // further trials: counted as such, the intervals held it in about half of the sessions.
        let mut found = Vec::new();
        for seed in 0..120 {
            let mut stream = Stream::new(seed);
            let planted = Planted { classes: 2, trials_per_class: 20, units: 2, signal: 0.3, seed };
            let labels: Vec<usize> = (0..40).map(|trial| trial % 2).collect();
            let responses = planted.with_tuning(&[1.0, 0.0, -1.0, 0.0], &labels, &mut stream);
            let params = [("by", Value::word("fewshot")), ("target", Value::from("direction"))];
            let made = run(&SplitTrials, std::slice::from_ref(&responses), &params, &Context::quiet(seed)).unwrap();
            let mut inputs = Inputs::new();
            inputs.push("responses", "", responses.into_artifact().unwrap());
            inputs.push("split", "", made.get("split").unwrap().clone());
            let params = [("target".to_owned(), Value::from("direction"))].into();
            let outputs = neuroflow_stage::AnyStage::run(&Classify, &inputs, &params, &Context::quiet(seed)).unwrap();
            let scores: neuroflow_data::Scores = outputs.one("scores").unwrap();
            assert_eq!(scores.scores[0].n, 40);
            found.push(scores);
        }
        for metric in ["accuracy", "balanced_accuracy"] {
            let of = |scores: &neuroflow_data::Scores| scores.get(metric).unwrap().clone();
            let expected = found.iter().map(|scores| of(scores).value).sum::<f64>() / found.len() as f64;
            let holds = found.iter().filter(|scores| {
                let interval = of(scores).interval.unwrap();
                interval.low <= expected && expected <= interval.high
            });
            let share = holds.count() as f64 / found.len() as f64;
            assert!(share >= 0.9, "{metric}: {share} around {expected}");
        }
    }
}
