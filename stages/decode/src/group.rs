//! `decode.group`: one score of many sessions, animals or subjects, with an interval for new ones.
//!
//! For what: the step from "in each session" to "in this kind of animal", when sessions are nested in animals and so not independent. Promises: the mean
//! or median score, an interval from groups resampled within groups, the null of the members' own controls at the level of the group, and p of each
//! member corrected over members. Refuses: members without the metric, labels that do not nest. From: Saravanan, Berman & Sober 2020 (Neurons,
//! Behavior, Data analysis, and Theory 3) for the bootstrap; Benjamini & Hochberg 1995 and Holm 1979 for the corrections.

use crate::spectral::numerical;
use neuroflow_compute::statistics::{HierarchicalBootstrap, benjamini_hochberg, hierarchical_bootstrap, holm, mean, median};
use neuroflow_data::random::Stream;
use neuroflow_data::{ControlResult, Interval, Kind, Score, Scores, Table, columns};
use neuroflow_stage::control::is_better_when_small;
use neuroflow_stage::{Context, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, Stage, StageError, Value, params, words};

/// The stage `decode.group`.
pub struct Group;

words! {
    /// What sums up the members.
    pub enum Statistic {
        /// The mean over members; an animal with more sessions weighs more.
        Mean = "mean" {},
        /// The median over members.
        Median = "median" {},
    }
}

words! {
    /// How the p values of the members are corrected for their number.
    pub enum Correction {
        /// The rate of false discoveries (Benjamini & Hochberg 1995).
        Fdr = "fdr" {},
        /// The chance of any false discovery (Holm 1979).
        Holm = "holm" {},
    }
}

params! {
    /// Parameters of `decode.group`.
    pub struct GroupParams {
        /// The metric, such as `accuracy`; empty for the first one of the first member.
        metric: String = "";
        /// What sums up the members.
        statistic: Statistic = Value::word("mean");
        /// Resamples for the interval; 0 for none.
        bootstrap: usize = 10_000, in 0.0..=1000000.0;
        /// The coverage of the interval.
        level: f64 = 0.95, in 0.5..=0.999;
        /// How the members' p values are corrected.
        correction: Correction = Value::word("fdr");
    }
}

/// Below so many outermost groups a bootstrap's intervals are too narrow.
const FEW: usize = 10;

const DOC: &str = r#"`score` is the mean (or median) of one metric over the members of a family; `above_chance` is that of the distance of each from its own chance level, where
all have one.

In nested loops the outer ones are groups: with `for mouse in … { for day in … { … } }` animals are drawn with replacement, and days within each drawn animal.
The members of one loop are drawn by themselves. A table `groups` tells the groups of members whose labels do not: its column `member` has the labels, its other columns
are the groups, outermost first. A bootstrap that takes sessions of one animal for independent finds effects in noise.

The null of each control that all members have stands beside the score: draw by draw, the mean of the members' draws. Where a control permutes labels, its p is that of the
hypothesis that no member has an effect; the interval is about new animals, p says nothing about those. The note at `above_chance` has the bootstrap's own p
(two-sided) for a mean at chance. `members` has a row for each member: its value, chance level, p of its first control, and that p corrected over members by
`correction`.

Not for: few animals. With fewer than ten or so outermost groups intervals are too narrow (a note says so), and there is no remedy in resampling.

```nf
pipeline animals "Do the animals know the direction?"
input sessions = ingest.simulate(trials_per_direction = 8)
for mouse in sessions {
  responses = ingest.trials(sessions[mouse])
  direction = decode.classify(responses, target = "direction", folds = 4) with control = shuffle("direction", n = 20), seed = 7
}
animals = decode.group(gather(direction), bootstrap = 500) with seed = 7
report animals { animals }
```"#;

impl Stage for Group {
    type Params = GroupParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "decode.group",
            version: 1,
            summary: "Sums up one score over sessions and animals, with an interval for new ones.",
            doc: DOC,
            inputs: vec![
                InputSpec::many("scores", &[Kind::Scores], "", "The scores, one step for each member."),
                InputSpec::optional("groups", &[Kind::Table], "", "The groups of each `member`, outermost first."),
            ],
            outputs: vec![
                OutputSpec::new("scores", Kind::Scores, "", "The score over members, and its distance from chance."),
                OutputSpec::new("members", Kind::Table, "", "The value, chance, p and corrected p of each member."),
            ],
            params: Vec::new(),
            metrics: &["score", "above_chance"],
            sites: Vec::new(),
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &GroupParams, context: &Context) -> Result<Outputs, StageError> {
        let members = Members::of(&inputs.many("scores")?, &params.metric)?;
        let levels = match inputs.optional::<Table>("groups")? {
            Some(groups) => levels_of_table(&members.labels, &groups)?,
            None => levels_of_labels(&members.labels),
        };
        context.cancel.check()?;
        let family = Family { members: &members, levels: &levels, params, stream: Stream::new(context.seed).split("group") };
        let mut scores = vec![family.score("score", &vec![0.0; members.scores.len()])?];
        if let Some(chances) = members.scores.iter().map(|score| score.chance).collect::<Option<Vec<f64>>>() {
            scores[0].chance = Some(family.statistic(&chances));
            scores.push(family.score("above_chance", &chances)?);
        }
        Outputs::new().with("scores", Scores::new(scores))?.with("members", members.table(&params.correction)?)
    }
}

/// One metric of each member.
struct Members {
    metric: String,
    labels: Vec<String>,
    scores: Vec<Score>,
}

impl Members {
    fn of(family: &[(String, Scores)], metric: &str) -> Result<Members, StageError> {
        let Some((_, first)) = family.first() else {
            return Err(StageError::refused_with_help(
                "there is no member",
                "gather the scores of a loop: `decode.group(gather(direction))`",
            ));
        };
        let metric = match metric {
            "" => first.scores.first().map(|score| score.metric.clone()).unwrap_or_default(),
            metric => metric.to_owned(),
        };
        let mut found = Members { metric, labels: Vec::new(), scores: Vec::new() };
        for (label, scores) in family {
            let Some(score) = scores.get(&found.metric) else {
                let known: Vec<String> = scores.scores.iter().map(|score| format!("`{}`", score.metric)).collect();
                let known = if known.is_empty() { "nothing".to_owned() } else { known.join(", ") };
                return Err(StageError::refused_with_help(
                    format!("member `{label}` has no score `{}`; it has {known}", found.metric),
                    "give a `metric` that all members have",
                ));
            };
            found.labels.push(label.clone());
            found.scores.push(score.clone());
        }
        Ok(found)
    }

    fn table(&self, correction: &Correction) -> Result<Table, StageError> {
        let p: Vec<Option<f64>> = self.scores.iter().map(|score| score.controls.first().map(|control| control.p)).collect();
        let known: Vec<f64> = p.iter().flatten().copied().collect();
        let corrected = match correction {
            Correction::Fdr {} => benjamini_hochberg(&known),
            Correction::Holm {} => holm(&known),
        };
        let mut corrected = corrected.map_err(numerical)?.into_iter();
        let corrected: Vec<Option<f64>> = p.iter().map(|p| p.and_then(|_| corrected.next())).collect();
        Ok(Table::from_columns(vec![
            columns::from_texts("member", &self.labels),
            columns::from_numbers("value", self.scores.iter().map(|score| score.value).collect()),
            columns::from_optional_numbers("chance", self.scores.iter().map(|score| score.chance).collect()),
            columns::from_optional_numbers("p", p),
            columns::from_optional_numbers("p_corrected", corrected),
        ])?)
    }
}

/// Members of nested loops have labels of as many parts: all parts but the last are groups. Labels of one part, or of different numbers, have no groups.
fn levels_of_labels(labels: &[String]) -> Vec<Vec<usize>> {
    let parts: Vec<Vec<&str>> = labels.iter().map(|label| label.split(", ").collect()).collect();
    let depth = parts.first().map_or(1, Vec::len);
    if parts.iter().any(|parts| parts.len() != depth) {
        return Vec::new();
    }
    (0..depth - 1).map(|level| numbered(&parts.iter().map(|parts| parts[level]).collect::<Vec<_>>())).collect()
}

/// The groups of a table's columns.
fn levels_of_table(labels: &[String], groups: &Table) -> Result<Vec<Vec<usize>>, StageError> {
    let members = groups.texts("member")?;
    let mut rows = Vec::with_capacity(labels.len());
    for label in labels {
        let mut found = (0..members.len()).filter(|&row| members[row] == *label);
        match (found.next(), found.next()) {
            (Some(row), None) => rows.push(row),
            (None, _) => {
                return Err(StageError::refused_with_help(
                    format!("`groups` has no row for member `{label}`"),
                    "its column `member` needs the labels of the family, as `gather` has them",
                ));
            }
            (Some(first), Some(second)) => {
                return Err(StageError::refused(format!(
                    "`groups` has member `{label}` twice, in rows {first} and {second} (counted from 0)"
                )));
            }
        }
    }
    let mut levels = Vec::new();
    for name in groups.column_names().into_iter().filter(|name| name != "member") {
        let values = groups.texts(&name)?;
        levels.push(numbered(&rows.iter().map(|&row| values[row].as_str()).collect::<Vec<_>>()));
    }
    Ok(levels)
}

/// A number for each different name, in order of appearance.
fn numbered(names: &[&str]) -> Vec<usize> {
    let mut known: Vec<&str> = Vec::new();
    names
        .iter()
        .map(|name| {
            known.iter().position(|other| other == name).unwrap_or_else(|| {
                known.push(name);
                known.len() - 1
            })
        })
        .collect()
}

struct Family<'a> {
    members: &'a Members,
    levels: &'a [Vec<usize>],
    params: &'a GroupParams,
    stream: Stream,
}

impl Family<'_> {
    fn statistic(&self, values: &[f64]) -> f64 {
        match self.params.statistic {
            Statistic::Mean {} => mean(values),
            Statistic::Median {} => median(values),
        }
    }

    /// The score of the members' values minus `from`.
    fn score(&self, name: &str, from: &[f64]) -> Result<Score, StageError> {
        let scores = &self.members.scores;
        let minus = |values: Vec<f64>| values.iter().zip(from).map(|(value, from)| value - from).collect::<Vec<f64>>();
        let values = minus(scores.iter().map(|score| score.value).collect());
        let mut score = Score::new(name, self.statistic(&values), values.len());
        score.unit = scores.first().and_then(|score| score.unit.clone());
        let word = match self.params.statistic {
            Statistic::Mean {} => "mean",
            Statistic::Median {} => "median",
        };
        score.notes.push(format!("{word} of `{}` over {} members{}", self.members.metric, values.len(), self.groups()));
        if let Some(found) = self.resampled(&values)? {
            let (low, high) = found.interval(self.params.level).map_err(numerical)?;
            score.interval = Some(Interval { low, high, level: self.params.level, method: self.method() });
            if name == "above_chance" {
                score.notes.push(format!("p = {:.4} of the bootstrap for chance itself, two-sided", found.p_value(0.0)));
            }
            if self.outermost() < FEW {
                score.notes.push(format!("{} groups at the outermost level: the interval is too narrow below ten or so", self.outermost()));
            }
        }
        let first = scores.first().map_or(&[][..], |score| &score.controls);
        for control in first {
            if let Some(draws) = self.draws(control) {
                let null: Vec<f64> = draws
                    .into_iter()
                    // A draw in which a member has no number has none for the group, which counts against the score.
                    .map(|draw| if draw.iter().any(|value| value.is_nan()) { f64::NAN } else { self.statistic(&minus(draw)) })
                    .collect();
                let sign = if is_better_when_small(&self.members.metric) { -1.0 } else { 1.0 };
                let p = ControlResult::new("", sign * score.value, null.iter().map(|value| sign * value).collect()).p;
                score.controls.push(ControlResult { p, p_corrected: p, ..ControlResult::new(&*control.control, score.value, null) });
            }
        }
        Ok(score)
    }

    /// The draws of a control, each with the values of all members; none unless all members have it with as many draws.
    fn draws(&self, control: &ControlResult) -> Option<Vec<Vec<f64>>> {
        let of_member = |score: &Score| {
            let found = score.controls.iter().find(|other| other.control == control.control)?;
            (found.null.len() == control.null.len()).then(|| found.null.clone())
        };
        let nulls = self.members.scores.iter().map(of_member).collect::<Option<Vec<Vec<f64>>>>()?;
        Some((0..control.null.len()).map(|draw| nulls.iter().map(|null| null[draw]).collect()).collect())
    }

    /// None where nothing is to be drawn: one member, or no resamples.
    fn resampled(&self, values: &[f64]) -> Result<Option<HierarchicalBootstrap>, StageError> {
        if values.len() < 2 || self.params.bootstrap == 0 {
            return Ok(None);
        }
        let levels: Vec<&[usize]> = self.levels.iter().map(Vec::as_slice).collect();
        let statistic = |drawn: &[f64]| self.statistic(drawn);
        hierarchical_bootstrap(values, &levels, self.params.bootstrap, &self.stream, statistic).map(Some).map_err(numerical)
    }

    /// The number of what is drawn first.
    fn outermost(&self) -> usize {
        self.levels.first().map_or(self.members.labels.len(), |level| level.iter().max().map_or(0, |most| most + 1))
    }

    fn groups(&self) -> String {
        if self.levels.is_empty() { String::new() } else { format!(" in {} groups", self.outermost()) }
    }

    fn method(&self) -> String {
        match self.levels.len() {
            0 => "bootstrap over members".into(),
            1 => "bootstrap over groups and members within them".into(),
            depth => format!("bootstrap over groups of {depth} levels and members within them"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::Typed;
    use neuroflow_stage::AnyStage;

    fn member(value: f64, null: &[f64]) -> Scores {
        let mut score = Score { chance: Some(0.25), ..Score::new("accuracy", value, 40) };
        if !null.is_empty() {
            score.controls.push(ControlResult::new("shuffle(column = \"x\")", value, null.to_vec()));
        }
        Scores::new(vec![score, Score::new("loss", 1.0 - value, 40)])
    }

    fn run(members: &[(String, Scores)], groups: Option<Table>, params: &[(&str, Value)]) -> Result<Outputs, StageError> {
        let mut inputs = Inputs::new();
        for (label, scores) in members {
            inputs.push("scores", label, scores.clone().into_artifact().unwrap());
        }
        if let Some(groups) = groups {
            inputs.push("groups", "", groups.into_artifact().unwrap());
        }
        let params = params.iter().map(|(name, value)| ((*name).to_owned(), value.clone())).collect();
        AnyStage::run(&Group, &inputs, &params, &Context::quiet(3))
    }

    fn scores(members: &[(String, Scores)], groups: Option<Table>, params: &[(&str, Value)]) -> Scores {
        run(members, groups, params).unwrap().one("scores").unwrap()
    }

    /// `sessions` of each of `mice`, with a deviation over mice and one within.
    fn nested(mice: usize, sessions: usize, between: f64, within: f64, seed: u64) -> Vec<(String, Scores)> {
        let mut stream = Stream::new(seed);
        (0..mice)
            .flat_map(|mouse| {
                let own = between * stream.normal();
                (0..sessions)
                    .map(|session| (format!("m{mouse}, {session}"), member(0.25 + own + within * stream.normal(), &[])))
                    .collect::<Vec<_>>()
            })
            .collect()
    }

    fn width(score: &Score) -> f64 {
        let interval = score.interval.as_ref().unwrap();
        interval.high - interval.low
    }

    #[test]
    fn sessions_of_one_animal_are_not_taken_for_independent() {
        let members = nested(20, 8, 0.1, 0.02, 1);
        let found = scores(&members, None, &[("bootstrap", 2000.into())]);
        let flat: Vec<(String, Scores)> = members.iter().enumerate().map(|(place, (_, one))| (place.to_string(), one.clone())).collect();
        let naive = scores(&flat, None, &[("bootstrap", 2000.into())]);
        // The error of the mean is that of 20 animals, 0.1 / √20, and not that of 160 sessions.
        let right = 2.0 * 1.96 * 0.1 / 20f64.sqrt();
        let (nested, plain) = (&found.scores[0], &naive.scores[0]);
        assert!(
            (width(nested) / right - 1.0).abs() < 0.35 && width(plain) < 0.5 * width(nested),
            "{} {} {right}",
            width(nested),
            width(plain)
        );
        assert!((nested.value - plain.value).abs() < 1e-15);
        assert_eq!(nested.interval.as_ref().unwrap().method, "bootstrap over groups and members within them");
        assert_eq!(plain.interval.as_ref().unwrap().method, "bootstrap over members");
        assert_eq!((nested.chance, nested.n), (Some(0.25), 160));
        assert!((found.scores[1].value - (nested.value - 0.25)).abs() < 1e-15);
    }

    #[test]
    fn a_table_tells_groups_that_labels_do_not() {
        let members = nested(12, 4, 0.1, 0.02, 2);
        let flat: Vec<(String, Scores)> = members.iter().enumerate().map(|(place, (_, one))| (format!("s{place}"), one.clone())).collect();
        // In any order, and with rows of members that are not there.
        let names: Vec<String> = (0..50).rev().map(|place| format!("s{place}")).collect();
        let mice: Vec<String> = (0..50).rev().map(|place| format!("m{}", place / 4)).collect();
        let table = Table::from_columns(vec![columns::from_texts("member", &names), columns::from_texts("mouse", &mice)]).unwrap();
        let found = scores(&flat, Some(table.clone()), &[]);
        let expected = scores(&members, None, &[]);
        assert_eq!(found.scores[0].interval, expected.scores[0].interval);
        let said = run(&nested(2, 2, 0.1, 0.1, 1), Some(table), &[]).unwrap_err().to_string();
        assert!(said.contains("`groups` has no row for member `m0, 0`"), "{said}");
        let twice = Table::from_columns(vec![columns::from_texts("member", &["s0", "s0"])]).unwrap();
        let said = run(&flat[..1], Some(twice), &[]).unwrap_err().to_string();
        assert!(said.contains("member `s0` twice, in rows 0 and 1"), "{said}");
    }

    #[test]
    fn where_nothing_is_true_animals_at_chance_are_found_at_the_rate_of_the_interval() {
        let misses = |nested_levels: bool| {
            (0..100)
                .filter(|&seed| {
                    let mut members = nested(20, 5, 0.1, 0.03, seed);
                    if !nested_levels {
                        members.iter_mut().enumerate().for_each(|(place, (label, _))| *label = place.to_string());
                    }
                    let found = scores(&members, None, &[("bootstrap", 400.into())]);
                    let interval = found.scores[1].interval.clone().unwrap();
                    interval.low > 0.0 || interval.high < 0.0
                })
                .count()
        };
        // Five of 100 are right; few animals make it a little more. A rate of 8 % gives more than 19 once in ten thousand.
        assert!(misses(true) <= 19, "{}", misses(true));
        // The test could fail: taken for independent, half of all data sets have an effect.
        assert!(misses(false) > 25, "{}", misses(false));
    }

    #[test]
    fn the_null_of_the_group_is_that_of_its_members_draw_by_draw() {
        let members = [("a".to_owned(), member(0.5, &[0.1, 0.3, 0.2])), ("b".to_owned(), member(0.3, &[0.3, 0.1, 0.6]))];
        let found = scores(&members, None, &[]);
        let control = &found.scores[0].controls[0];
        assert!(control.null.iter().zip([0.2, 0.2, 0.4]).all(|(found, expected)| (found - expected).abs() < 1e-15), "{control:?}");
        // 0.4 is reached by one of three draws.
        assert_eq!(control.p, 0.5);
        assert_eq!(found.scores[1].controls[0].p, 0.5);
        assert!((found.scores[1].controls[0].null[2] - 0.15).abs() < 1e-15);
        // A member without the control, or with fewer draws: there is no null of the group.
        for other in [member(0.3, &[]), member(0.3, &[0.1])] {
            assert!(scores(&[members[0].clone(), ("b".to_owned(), other)], None, &[]).scores[0].controls.is_empty());
        }
    }

    #[test]
    fn members_have_p_values_that_are_corrected_over_members() {
        let mut members: Vec<(String, Scores)> = Vec::new();
        for (at, p) in [0.01, 0.04, 0.03, 0.5].into_iter().enumerate() {
            let mut scores = member(0.5, &[0.1, 0.2]);
            scores.scores[0].controls[0].p = p;
            members.push((at.to_string(), scores));
        }
        members.push(("without".to_owned(), member(0.5, &[])));
        for (correction, expected) in [("fdr", [0.04, 0.16 / 3.0, 0.16 / 3.0, 0.5]), ("holm", [0.04, 0.09, 0.09, 0.5])] {
            let table: Table = run(&members, None, &[("correction", Value::word(correction))]).unwrap().one("members").unwrap();
            let found = table.numbers("p_corrected").unwrap();
            assert!(found[..4].iter().zip(expected).all(|(found, expected)| (found - expected).abs() < 1e-15), "{found:?}");
            assert!(found[4].is_nan());
            assert_eq!(table.texts("member").unwrap()[4], "without");
        }
    }

    #[test]
    fn one_member_other_metrics_and_the_median() {
        let one = scores(&[(String::new(), member(0.5, &[]))], None, &[]);
        assert!(one.scores[0].interval.is_none() && one.scores[0].value == 0.5);
        let members: Vec<(String, Scores)> = [0.1, 0.2, 0.9].iter().map(|value| (value.to_string(), member(*value, &[]))).collect();
        let median = scores(&members, None, &[("statistic", Value::word("median"))]);
        assert_eq!(median.scores[0].value, 0.2);
        assert!(median.scores[0].notes[0].contains("median of `accuracy` over 3 members"), "{:?}", median.scores[0].notes);
        assert!(median.scores[0].notes[1].contains("3 groups at the outermost level"), "{:?}", median.scores[0].notes);
        // A metric without a chance level has no distance from it.
        let loss = scores(&members, None, &[("metric", "loss".into()), ("bootstrap", 0.into())]);
        assert!(loss.scores.len() == 1 && loss.scores[0].interval.is_none());
        let said = run(&members, None, &[("metric", "r".into())]).unwrap_err().to_string();
        assert_eq!(said, "member `0.1` has no score `r`; it has `accuracy`, `loss`");
        assert!(run(&[], None, &[]).unwrap_err().to_string().contains("there is no member"));
        // Labels of different depth do not nest, and names count within their parent.
        assert!(levels_of_labels(&["a, 1".into(), "b".into()]).is_empty());
        assert_eq!(levels_of_labels(&["a, x, 1".into(), "b, x, 1".into(), "a, y, 1".into()]), [[0, 1, 0], [0, 0, 1]]);
    }
}
