//! Controls: the same analysis where the effect can't be.
//!
//! `with control = shuffle("direction", n = 200)` expands a scoring step into null draws. A control takes hold at a *site*: an input that it changes,
//! or a parameter that it replaces, of the scoring step itself or of the nearest step above it that declares the site; every step between is run
//! again in each draw, so that everything tuned on the data is tuned again inside the null.

use crate::correction::corrected;
use crate::error::StageError;
use crate::params::{ParamSpec, Parameter, Seconds, Share};
use crate::signature::SiteAt;
use crate::value::Value;
use crate::words;
use neuroflow_data::random::Stream;
use neuroflow_data::{Artifact, ControlResult, Features, Kind, Responses, Score, Scores, Table, Tensor, Typed};
use std::collections::BTreeMap;

words! {
    /// A control, as written after `control =`.
    pub enum Control {
        /// Permutes a column over the trials: breaks the link between stimulus and response.
        Shuffle = "shuffle" {
            /// The column to permute.
            column: String;
            /// The number of null draws.
            n: u64 = 200, in 1.0..=100000.0;
            /// Permute only among trials with the same value of this column; empty for all trials.
            within: String = "";
        },
        /// Shifts each unit's trace around its recording by a lag of its own: breaks the timing between units, keeps each unit's autocorrelation.
        CircularShift = "circular_shift" {
            /// The smallest lag, as a share of the recording.
            min: Share = crate::Quantity { value: 0.1, dimension: crate::Dimension::Ratio }, in 0.0..=0.5;
            /// The number of null draws.
            n: u64 = 100, in 1.0..=100000.0;
        },
        /// The same analysis in another window of time, where no signal can be, such as before the stimulus.
        Window = "window" {
            /// The window, from stimulus onset.
            at: std::ops::Range<Seconds>;
        },
        /// The model with random weights of the same shape: breaks what the model has by design or learning.
        RandomWeights = "random_weights" {
            /// The number of null draws.
            n: u64 = 20, in 1.0..=100000.0;
        },
    }
}

impl Control {
    /// The control from a value.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(value: &Value) -> Result<Control, String> {
        // `window(-1 s .. 0 s)` and `shuffle("direction")` are calls; a bare word is a control with all its defaults.
        Control::from_value(value)
    }

    /// The arguments that a control takes; none when there is no such control.
    pub fn params(name: &str) -> Option<Vec<ParamSpec>> {
        Control::variants().into_iter().find(|variant| variant.name == name).map(|variant| variant.params)
    }

    /// The control's word.
    pub fn name(&self) -> &'static str {
        match self {
            Control::Shuffle { .. } => "shuffle",
            Control::CircularShift { .. } => "circular_shift",
            Control::Window { .. } => "window",
            Control::RandomWeights { .. } => "random_weights",
        }
    }

    /// The number of null draws; 1 for a control without chance in it.
    pub fn draws(&self) -> u64 {
        match self {
            Control::Shuffle { n, .. } | Control::CircularShift { n, .. } | Control::RandomWeights { n } => *n,
            Control::Window { .. } => 1,
        }
    }

    /// The control without its number of draws: what a draw depends on, so that a draw is the same whatever the number.
    pub fn identity(&self) -> Value {
        match self {
            Control::Shuffle { column, within, .. } if within.is_empty() => {
                Value::call("shuffle", vec![("column", Value::from(column.as_str()))])
            }
            Control::Shuffle { column, within, .. } => {
                Value::call("shuffle", vec![("column", Value::from(column.as_str())), ("within", Value::from(within.as_str()))])
            }
            Control::CircularShift { min, .. } => {
                let min = crate::Quantity { value: min.0, dimension: crate::Dimension::Ratio };
                Value::call("circular_shift", vec![("min", min.into())])
            }
            Control::Window { at } => Value::call("window", vec![("at", Value::window(at.start.0, at.end.0))]),
            Control::RandomWeights { .. } => Value::word("random_weights"),
        }
    }

    /// The value that replaces the parameter at a [`SiteAt::Parameter`].
    pub fn replacement(&self) -> Option<Value> {
        match self {
            Control::Window { at } => Some(Value::window(at.start.0, at.end.0)),
            Control::RandomWeights { .. } => Some(Value::word("random")),
            Control::Shuffle { .. } | Control::CircularShift { .. } => None,
        }
    }

    /// Changes the artifact at a [`SiteAt::Input`] for one draw.
    ///
    /// # Errors
    /// When the artifact has not what the control needs, such as the column to permute.
    pub fn change(&self, artifact: &Artifact, draw_seed: u64) -> Result<Artifact, StageError> {
        let stream = Stream::new(draw_seed).split("control").split(self.name());
        match self {
            Control::Shuffle { column, within, .. } => shuffle(artifact, column, within, stream),
            Control::CircularShift { min, .. } => circular_shift(artifact, min.0, stream),
            Control::Window { .. } | Control::RandomWeights { .. } => {
                Err(StageError::Bug(format!("`{}` replaces a parameter, not an input", self.name())))
            }
        }
    }

    /// Whether this control takes hold at such a site.
    pub fn fits(&self, site: SiteAt) -> bool {
        matches!(site, SiteAt::Parameter(_)) == self.replacement().is_some()
    }
}

/// The seed of a null draw: depends on the step's seed, the control and the draw's number, not on how draws are grouped into tasks.
pub fn draw_seed(step_seed: u64, control: &Control, draw: u64) -> u64 {
    Stream::new(step_seed).split("null").split(&control.identity().to_string()).split_index(draw).seed()
}

/// Scores with a control's null values joined: p for every score, and p corrected for the number of scores.
///
/// Scores whose names differ only after an `@`, such as `accuracy@0.25s`, are one question asked at many places. They are corrected together as their
/// [`Correction`](neuroflow_data::Correction) says: unless told otherwise by the largest of them in each draw (Westfall & Young 1993; Nichols & Holmes
/// 2002), which holds the chance of any false discovery and costs little where neighbours are alike. The other scores of a step are few and are
/// corrected by their number (Bonferroni).
///
/// `nulls` has, for each draw, the scores of that draw. A metric that a draw lacks has no number there.
pub fn join(mut scores: Scores, control: &Control, nulls: &[Scores]) -> Scores {
    let label = control.identity().to_string();
    // Families can have thousands of members: each draw is looked into by name.
    let draws: Vec<BTreeMap<&str, f64>> =
        nulls.iter().map(|draw| draw.scores.iter().rev().map(|score| (score.metric.as_str(), score.value)).collect()).collect();
    let of_draws = |metric: &str| draws.iter().map(|draw| draw.get(metric).copied().unwrap_or(f64::NAN)).collect::<Vec<_>>();
    let mut families: BTreeMap<String, Vec<usize>> = BTreeMap::new();
    let mut alone = 0u64;
    for (place, score) in scores.scores.iter_mut().enumerate() {
        let sign = if is_better_when_small(&score.metric) { -1.0 } else { 1.0 };
        let null = of_draws(&score.metric);
        let p = ControlResult::new("", sign * score.value, null.iter().map(|value| sign * value).collect()).p;
        score.controls.push(ControlResult { p, ..ControlResult::new(label.clone(), score.value, null) });
        match family(&score.metric) {
            Some(family) => families.entry(family.to_owned()).or_default().push(place),
            None => alone += 1,
        }
    }
    for (family, places) in families {
        let sign = if is_better_when_small(&family) { -1.0 } else { 1.0 };
        let members: Vec<&Score> = places.iter().map(|&place| &scores.scores[place]).collect();
        let observed: Vec<f64> = members.iter().map(|score| sign * score.value).collect();
        let null =
            |score: &&Score| score.controls.last().map_or_else(Vec::new, |control| control.null.iter().map(|value| sign * value).collect());
        let correction = members.first().map(|score| score.correction).unwrap_or_default();
        let p = corrected(correction, &observed, &members.iter().map(null).collect::<Vec<Vec<f64>>>());
        for (&place, p) in places.iter().zip(p) {
            if let Some(control) = scores.scores[place].controls.last_mut() {
                (control.n_tests, control.p_corrected) = (places.len() as u64, p);
            }
        }
    }
    for score in scores.scores.iter_mut().filter(|score| family(&score.metric).is_none()) {
        if let Some(control) = score.controls.last_mut() {
            // The metrics of one step are few and strongly dependent, so this is safe and needs no more draws.
            (control.n_tests, control.p_corrected) = (alone, (control.p * alone as f64).min(1.0));
        }
    }
    scores
}

/// So few draws can be the scores of the data by chance, where scores have few values.
const TELLING: usize = 5;

/// Refuses null draws that all are the scores of the data: what the control changes is not what the steps read, and p would be 1 whatever the data.
/// Scores at their chance level are let through: data that say nothing give the same in every draw.
///
/// # Errors
/// When all of at least five draws have the value of the data in every metric.
pub fn require_effect(scores: &Scores, control: &Control, nulls: &[Scores]) -> Result<(), StageError> {
    let same = |value: f64, other: f64| (value - other).abs() <= 1e-12 * value.abs();
    let as_observed =
        |draw: &Scores| scores.scores.iter().all(|score| draw.get(&score.metric).is_some_and(|null| same(score.value, null.value)));
    let at_chance = scores.scores.iter().any(|score| score.chance.is_some_and(|chance| (score.value - chance).abs() <= 1e-9));
    if scores.scores.is_empty() || nulls.len() < TELLING || at_chance || !nulls.iter().all(as_observed) {
        return Ok(());
    }
    let help = match control {
        Control::Shuffle { .. } => {
            "shuffle the column that the steps read, such as their `target` or `by`, `within` a column that leaves it room"
        }
        _ => "choose another control, or one of another place",
    };
    Err(StageError::refused_with_help(
        format!(
            "each of the {} draws of the control `{}` gives the scores of the data: it changes nothing that the steps read, so it compares nothing",
            nulls.len(),
            control.identity()
        ),
        help,
    ))
}

/// Whether less of a metric is more of what was looked for, such as the `mean_rank` of a retrieval or the `distance` of two geometries.
#[must_use]
pub fn is_better_when_small(metric: &str) -> bool {
    matches!(family(metric).unwrap_or(metric), "mean_rank" | "held_out_error" | "distance" | "angle")
}

/// What the scores of one family have in common: the part of the name before the `@`.
fn family(metric: &str) -> Option<&str> {
    metric.split_once('@').map(|(family, _)| family)
}

fn shuffle(artifact: &Artifact, column: &str, within: &str, stream: Stream) -> Result<Artifact, StageError> {
    let permuted = |rows: &Table| -> Result<Table, StageError> {
        let field = rows.batch().schema().field_with_name(column).cloned().map_err(|_| neuroflow_data::DataError::NoColumn {
            column: column.to_owned(),
            available: rows.column_names().iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", "),
        })?;
        let groups = if within.is_empty() { vec![String::new(); rows.rows()] } else { rows.texts(within)? };
        let order = permute_within(&groups, stream.clone());
        let shuffled = rows.select(&order)?;
        let values = neuroflow_data::columns::column(shuffled.batch(), column)?.clone();
        Ok(rows.with_column(field, values)?)
    };
    let changed = match artifact.kind() {
        Kind::Responses => {
            let responses = Responses::from_artifact(artifact)?;
            responses.with_trials(permuted(responses.trials())?)?.into_artifact()?
        }
        Kind::Features => {
            let features = Features::from_artifact(artifact)?;
            Features::new(features.values().clone(), permuted(features.stimuli())?)?.into_artifact()?
        }
        Kind::Table => permuted(&Table::from_artifact(artifact)?)?.into_artifact()?,
        other => return Err(StageError::refused(format!("`shuffle` can't permute a column of a {other}"))),
    };
    let meta = artifact.meta().clone();
    Ok(changed.with_meta(meta))
}

/// For each row, the row whose value it gets: a uniform permutation inside each group.
fn permute_within(groups: &[String], mut stream: Stream) -> Vec<usize> {
    let mut names: Vec<&String> = groups.iter().collect();
    names.sort();
    names.dedup();
    let mut order: Vec<usize> = (0..groups.len()).collect();
    for name in names {
        let members: Vec<usize> = (0..groups.len()).filter(|&row| &groups[row] == name).collect();
        let permutation = stream.permutation(members.len());
        for (slot, pick) in members.iter().zip(permutation) {
            order[*slot] = members[pick];
        }
    }
    order
}

/// Each unit's trace, trials laid end to end in their order, rotated by a random lag of at least `min` of its length in either direction.
fn circular_shift(artifact: &Artifact, min: f64, mut stream: Stream) -> Result<Artifact, StageError> {
    let responses = Responses::from_artifact(artifact)?;
    let (trials, units, bins) = (responses.n_trials(), responses.n_units(), responses.n_bins());
    let length = trials * bins;
    let least = ((min * length as f64).ceil() as usize).max(1);
    if length < 2 || 2 * least > length {
        return Err(StageError::refused(format!("`circular_shift` needs a longer recording: {length} samples a unit")));
    }
    let mut shifted = vec![0.0; trials * units * bins];
    for unit in 0..units {
        let lag = least + stream.below((length - 2 * least + 1) as u64) as usize;
        for sample in 0..length {
            let from = (sample + lag) % length;
            shifted[((sample / bins) * units + unit) * bins + sample % bins] = responses.trace(from / bins, unit)[from % bins];
        }
    }
    let values = Tensor::new(responses.values().axes().to_vec(), responses.values().unit(), shifted)?;
    let changed = responses.with_values(values, responses.covariates().cloned())?.into_artifact()?;
    let meta = artifact.meta().clone();
    Ok(changed.with_meta(meta))
}

#[cfg(test)]
mod tests {
    use super::*;
    use neuroflow_data::{Axis, columns};

    fn responses() -> Artifact {
        let axes = vec![Axis::count("trial", 6), Axis::count("unit", 2), Axis::numbers("bin", Some("s"), vec![0.0, 0.1, 0.2, 0.3, 0.4])];
        let values = Tensor::new(axes, None, (0..60).map(f64::from).collect::<Vec<_>>()).unwrap();
        let trials = Table::from_columns(vec![
            columns::from_numbers("direction", vec![0.0, 1.0, 2.0, 3.0, 4.0, 5.0]),
            columns::from_texts("block", &["a", "a", "a", "b", "b", "b"]),
        ]);
        Responses::new("s", values, trials.unwrap(), None).unwrap().into_artifact().unwrap()
    }

    #[test]
    fn a_shuffle_permutes_labels_and_touches_nothing_else() {
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        let before = Responses::from_artifact(&responses()).unwrap();
        let after = Responses::from_artifact(&control.change(&responses(), 3).unwrap()).unwrap();
        assert_eq!(before.values(), after.values());
        let mut labels = after.trials().numbers("direction").unwrap();
        assert_ne!(labels, before.trials().numbers("direction").unwrap());
        labels.sort_by(f64::total_cmp);
        assert_eq!(labels, before.trials().numbers("direction").unwrap());
        assert_eq!(before.trials().texts("block").unwrap(), after.trials().texts("block").unwrap());
    }

    #[test]
    fn p_is_small_for_small_values_where_less_is_better() {
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direction".into())])).unwrap();
        let scores = |value: f64| Scores::new(["mean_rank", "accuracy"].map(|metric| Score::new(metric, value, 8)).to_vec());
        let nulls: Vec<Scores> = (0..19).map(|draw| scores(4.0 + f64::from(draw))).collect();
        let p = |value: f64| join(scores(value), &control, &nulls).scores.iter().map(|score| score.controls[0].p).collect::<Vec<_>>();
        assert_eq!(p(3.0), [0.05, 1.0]);
        assert_eq!(p(30.0), [1.0, 0.05]);
    }

    #[test]
    fn draws_that_are_the_scores_of_the_data_are_refused() {
        let control = Control::parse(&Value::call("shuffle", vec![("column", "block".into())])).unwrap();
        let scores = |accuracy: f64, kappa: f64| {
            let score = |metric: &str, value: f64, chance: f64| Score { chance: Some(chance), ..Score::new(metric, value, 8) };
            Scores::new(vec![score("accuracy", accuracy, 0.25), score("kappa", kappa, 0.0)])
        };
        let found = scores(0.8, 0.7);
        let said = require_effect(&found, &control, &vec![found.clone(); 20]).unwrap_err().to_string();
        assert!(
            said.starts_with("each of the 20 draws of the control `shuffle(column = \"block\")` gives the scores of the data"),
            "{said}"
        );
        // One draw that differs, few draws, and data that say nothing are no such thing.
        let mut nulls = vec![found.clone(); 20];
        nulls[7] = scores(0.8, 0.69);
        assert!(require_effect(&found, &control, &nulls).is_ok());
        assert!(require_effect(&found, &control, &nulls[..4]).is_ok());
        assert!(require_effect(&scores(0.25, 0.0), &control, &vec![scores(0.25, 0.0); 20]).is_ok());
    }

    #[test]
    fn a_shuffle_within_groups_stays_within_them() {
        let value = Value::call("shuffle", vec![("column", "direction".into()), ("within", "block".into())]);
        let control = Control::parse(&value).unwrap();
        for seed in 0..20 {
            let after = Responses::from_artifact(&control.change(&responses(), seed).unwrap()).unwrap();
            let labels = after.trials().numbers("direction").unwrap();
            assert!(labels[..3].iter().all(|label| *label < 3.0) && labels[3..].iter().all(|label| *label >= 3.0));
        }
    }

    #[test]
    fn a_shuffle_of_a_missing_column_names_those_that_exist() {
        let control = Control::parse(&Value::call("shuffle", vec![("column", "direktion".into())])).unwrap();
        let message = control.change(&responses(), 0).unwrap_err().to_string();
        assert_eq!(message, "there is no column `direktion`; there are: `direction`, `block`");
    }

    #[test]
    fn a_circular_shift_keeps_each_units_values_in_cyclic_order_and_moves_them_far() {
        let control = Control::parse(&Value::word("circular_shift")).unwrap();
        let before = Responses::from_artifact(&responses()).unwrap();
        let after = Responses::from_artifact(&control.change(&responses(), 5).unwrap()).unwrap();
        let trace = |responses: &Responses, unit| (0..6).flat_map(|trial| responses.trace(trial, unit).to_vec()).collect::<Vec<_>>();
        for unit in 0..2 {
            let (old, new) = (trace(&before, unit), trace(&after, unit));
            let lag = old.iter().position(|value| *value == new[0]).unwrap();
            assert!((3..=27).contains(&lag), "{lag}");
            assert!((0..30).all(|sample| new[sample] == old[(sample + lag) % 30]));
        }
    }

    #[test]
    fn a_draw_does_not_depend_on_the_number_of_draws() {
        let few = Control::parse(&Value::call("shuffle", vec![("column", "direction".into()), ("n", 10.into())])).unwrap();
        let many = Control::parse(&Value::call("shuffle", vec![("column", "direction".into()), ("n", 500.into())])).unwrap();
        assert_eq!(draw_seed(7, &few, 4), draw_seed(7, &many, 4));
        assert_ne!(draw_seed(7, &few, 4), draw_seed(7, &few, 5));
    }

    #[test]
    fn one_question_at_many_places_is_corrected_by_the_largest_answer_of_each_draw() {
        let control = Control::parse(&Value::call("shuffle", vec![("column", "x".into())])).unwrap();
        let scores = |values: [f64; 3]| {
            let names = ["accuracy", "accuracy@0s", "accuracy@1s"];
            Scores::new(names.iter().zip(values).map(|(name, value)| Score::new(*name, value, 1)).collect())
        };
        // Of three draws the larger of both places is 5, 2 and 4.
        let nulls = [scores([0.0, 1.0, 5.0]), scores([9.0, 2.0, 1.0]), scores([1.0, 4.0, 0.0])];
        let joined = join(scores([3.0, 4.5, 2.0]), &control, &nulls);
        let found: Vec<(f64, f64, u64)> =
            joined.scores.iter().map(|score| (score.controls[0].p, score.controls[0].p_corrected, score.controls[0].n_tests)).collect();
        assert_eq!(found, [(0.5, 0.5, 1), (0.25, 0.5, 2), (0.5, 1.0, 2)]);
    }

    #[test]
    fn every_identity_is_a_control_that_is_understood() {
        let share = crate::Quantity { value: 0.25, dimension: crate::Dimension::Ratio };
        let values = [
            Value::call("shuffle", vec![("column", "direction".into())]),
            Value::call("shuffle", vec![("column", "direction".into()), ("within", "block".into())]),
            Value::word("circular_shift"),
            Value::call("circular_shift", vec![("min", share.into()), ("n", 3.into())]),
            Value::call("window", vec![("at", Value::window(-1.0, 0.0))]),
            Value::word("random_weights"),
        ];
        for value in values {
            let control = Control::parse(&value).unwrap();
            let again = Control::parse(&control.identity()).unwrap();
            assert_eq!(again.identity(), control.identity());
            assert_eq!(draw_seed(1, &again, 0), draw_seed(1, &control, 0));
        }
    }

    #[test]
    fn unknown_controls_and_arguments_are_refused_with_a_suggestion() {
        assert!(Control::parse(&Value::word("shufle")).unwrap_err().contains("did you mean `shuffle`?"));
        assert!(Control::parse(&Value::call("shuffle", vec![("colum", "x".into())])).unwrap_err().contains("`column`"));
    }
}
