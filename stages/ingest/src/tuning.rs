//! `ingest.tuning`: the mean response of each unit to each condition.
//!
//! For what: what single units prefer, before a population is decoded. Promises: means and standard errors over trials of the mean over a window; indices
//! of selectivity with their source; an analysis of variance a unit. Refuses: gaps, and conditions with a single trial, which have no standard error.

use crate::selectivity::{Circle, Indices, indices};
use crate::window::bins_in;
use neuroflow_compute::statistics::anova;
use neuroflow_data::{Axis, Coordinates, DataError, Kind, Responses, Table, Tensor, columns};
use neuroflow_stage::error::require_finite;
use neuroflow_stage::{
    Context, ControlSite, Exactness, InputSpec, Inputs, OutputSpec, Outputs, Signature, SiteAt, Stage, StageError, TimeWindow, Value,
    params, words,
};

/// The stage `ingest.tuning`.
pub struct Tuning;

words! {
    /// What angles the conditions are, for the indices of selectivity.
    pub enum Angle {
        /// Directions when `by` is `direction`, orientations when it is `orientation`, otherwise none.
        Auto = "auto" {},
        /// Directions of motion in degrees; 360 is the same as 0.
        Direction = "direction" {},
        /// Orientations in degrees; 180 is the same as 0.
        Orientation = "orientation" {},
        /// No angles: no indices.
        None = "none" {},
    }
}

words! {
    /// What is subtracted from each trial's response.
    pub enum Baseline {
        /// Nothing.
        None = "none" {},
        /// The unit's mean over a window of the same trial.
        Before = "before" {
            /// The window, from stimulus onset.
            window: TimeWindow = Value::window(-1.0, 0.0);
        },
    }
}

params! {
    /// Parameters of `ingest.tuning`.
    pub struct TuningParams {
        /// The trial column whose values are the conditions.
        by: String;
        /// The window over which a trial's response is averaged, from stimulus onset.
        window: TimeWindow = Value::window(0.0, 2.0);
        /// What is subtracted from each trial's response.
        baseline: Baseline = Value::word("none");
        /// What angles the conditions are.
        angle: Angle = Value::word("auto");
    }
}

const DOC: &str = r#"A trial's response is the mean of a unit over the bins in `window` (minus the mean over the `baseline` window, if asked). `tuning` has its mean over the
trials of each condition, `sem` the standard error (standard deviation with n − 1, over √n). Conditions are the values of the column `by`, in rising order.

`selectivity` has a row for each unit:

* `preferred`: the condition with the largest mean (the first of equals); `response`: that mean.
* `osi`, `dsi`: orientation and direction selectivity as 1 − circular variance, `|Σ r e^(2iθ)| / Σ r` and `|Σ r e^(iθ)| / Σ r` (Ringach et al. 2002; Mazurek et al.
  2014); `mean_angle`: the angle of that mean vector, in degrees.
* `osi_ratio`, `dsi_ratio`: `(preferred − orthogonal) / (preferred + orthogonal)` and `(preferred − null) / (preferred + null)` (Niell & Stryker 2008).
* `anova_f`, `anova_p`: one-way analysis of variance over trials.

Negative means count as 0 in the indices. An index without meaning is a gap (no response, conditions unevenly spaced, no opposite condition). With few
trials the indices are biased upwards: compare with shuffled labels before calling a unit selective. p values are not corrected for the number of units.

```nf
pipeline curves "What do single units prefer?"
input sessions = ingest.simulate()
responses = ingest.trials(sessions["sim1"])
tuning = ingest.tuning(responses, by = "direction", window = 0 s .. 2 s)
report curves { tuning }
```"#;

impl Stage for Tuning {
    type Params = TuningParams;

    fn signature(&self) -> Signature {
        Signature {
            name: "ingest.tuning",
            version: 1,
            summary: "Gives each unit's mean response to each condition, and how selective it is.",
            doc: DOC,
            inputs: vec![InputSpec::one("responses", &[Kind::Responses], "trial × unit × bin", "The activity of one session.")],
            outputs: vec![
                OutputSpec::new("tuning", Kind::Tensor, "unit × condition", "Mean response over trials."),
                OutputSpec::new("sem", Kind::Tensor, "unit × condition", "Standard error of that mean."),
                OutputSpec::new(
                    "selectivity",
                    Kind::Table,
                    "",
                    "Preferred condition, indices of selectivity and analysis of variance of each unit.",
                ),
            ],
            params: Vec::new(),
            metrics: &[],
            sites: vec![
                ControlSite { control: "shuffle", at: SiteAt::Input("responses") },
                ControlSite { control: "circular_shift", at: SiteAt::Input("responses") },
                ControlSite { control: "window", at: SiteAt::Parameter("window") },
            ],
            transductive: false,
            exactness: Exactness::Bitwise,
        }
    }

    fn run(&self, inputs: &Inputs, params: &TuningParams, context: &Context) -> Result<Outputs, StageError> {
        let responses: Responses = inputs.one("responses")?;
        require_finite(&format!("session `{}`", responses.session), responses.values())?;
        let conditions = Conditions::of(&responses, &params.by)?;
        let circle = circle(params, &conditions)?;
        let bins = bins_in(&responses, &params.window)?;
        let before = match &params.baseline {
            Baseline::None {} => None,
            Baseline::Before { window } => Some(bins_in(&responses, window)?),
        };
        let response = |trial: usize, unit: usize| {
            let trace = responses.trace(trial, unit);
            mean_of(trace, &bins) - before.as_ref().map_or(0.0, |bins| mean_of(trace, bins))
        };

        let (mut means, mut errors, mut rows) = (Vec::new(), Vec::new(), Vec::new());
        for unit in 0..responses.n_units() {
            context.cancel.check()?;
            let groups: Vec<Vec<f64>> =
                conditions.trials.iter().map(|trials| trials.iter().map(|&trial| response(trial, unit)).collect()).collect();
            let curve: Vec<f64> = groups.iter().map(|group| mean(group)).collect();
            errors.extend(groups.iter().zip(&curve).map(|(group, mean)| standard_error(group, *mean)));
            rows.push(Row::of(&curve, &groups, circle, &conditions.axis));
            means.extend(curve);
        }
        let axes = vec![responses.units().clone(), conditions.axis.clone()];
        let unit = responses.values().unit();
        Outputs::new()
            .with("tuning", Tensor::new(axes.clone(), unit, means)?)?
            .with("sem", Tensor::new(axes, unit, errors)?)?
            .with("selectivity", table(&rows, responses.units(), &conditions.axis)?)
    }
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

fn mean_of(trace: &[f64], bins: &[usize]) -> f64 {
    bins.iter().filter_map(|&bin| trace.get(bin)).sum::<f64>() / bins.len() as f64
}

fn standard_error(group: &[f64], mean: f64) -> f64 {
    let n = group.len() as f64;
    (group.iter().map(|value| (value - mean) * (value - mean)).sum::<f64>() / (n - 1.0) / n).sqrt()
}

fn circle(params: &TuningParams, conditions: &Conditions) -> Result<Option<Circle>, StageError> {
    let circle = match (&params.angle, params.by.as_str()) {
        (Angle::Direction {}, _) | (Angle::Auto {}, "direction") => Some(Circle::Direction),
        (Angle::Orientation {}, _) | (Angle::Auto {}, "orientation") => Some(Circle::Orientation),
        _ => None,
    };
    match (&conditions.axis.coordinates, &params.angle) {
        (Coordinates::Numbers(_), _) => Ok(circle),
        (_, Angle::Direction {} | Angle::Orientation {}) => Err(StageError::refused_with_help(
            format!("column `{}` is text, so its values are no angles", params.by),
            "give a column of numbers in degrees, or `angle = none`",
        )),
        _ => Ok(None),
    }
}

/// The values of a trial column, and the trials of each.
struct Conditions {
    /// `condition`, with the number of trials of each as property `trials`.
    axis: Axis,
    trials: Vec<Vec<usize>>,
}

impl Conditions {
    fn of(responses: &Responses, column: &str) -> Result<Conditions, StageError> {
        let session = &responses.session;
        let (axis, trials) = match responses.trials().numbers(column) {
            Ok(values) => Conditions::of_numbers(session, column, &values)?,
            Err(DataError::ColumnType { .. }) => {
                let values = responses.trials().texts(column)?;
                let mut names = values.clone();
                names.sort();
                names.dedup();
                let trials =
                    names.iter().map(|name| (0..values.len()).filter(|&trial| values.get(trial) == Some(name)).collect()).collect();
                (Axis::labels("condition", names), trials)
            }
            Err(other) => return Err(other.into()),
        };
        if trials.is_empty() {
            return Err(StageError::refused(format!("session `{session}` has no trials, so there is no tuning")));
        }
        if let Some((condition, few)) = trials.iter().enumerate().find(|(_, trials): &(usize, &Vec<usize>)| trials.len() < 2) {
            return Err(StageError::refused_with_help(
                format!(
                    "session `{session}`: `{column}` {} has {} trial; a standard error needs 2",
                    axis.coordinates.label(condition),
                    few.len()
                ),
                "give a column that groups trials, or a session with more trials",
            ));
        }
        let counts = trials.iter().map(|trials| trials.len() as f64).collect();
        Ok(Conditions { axis: axis.with_property("trials", Coordinates::Numbers(counts)), trials })
    }

    fn of_numbers(session: &str, column: &str, values: &[f64]) -> Result<(Axis, Vec<Vec<usize>>), StageError> {
        if let Some(trial) = values.iter().position(|value| !value.is_finite()) {
            return Err(StageError::refused_with_help(
                format!("session `{session}`: column `{column}` has no finite value in trial {trial}"),
                "leave out the trials without a condition before this step",
            ));
        }
        let mut levels = values.to_vec();
        levels.sort_by(f64::total_cmp);
        levels.dedup();
        let trials = levels.iter().map(|level| (0..values.len()).filter(|&trial| values.get(trial) == Some(level)).collect()).collect();
        let degrees = matches!(column, "direction" | "orientation").then_some("deg");
        Ok((Axis::numbers("condition", degrees, levels), trials))
    }
}

/// One unit's row of the selectivity table.
struct Row {
    preferred: usize,
    response: f64,
    indices: Indices,
    f: Option<f64>,
    p: Option<f64>,
}

impl Row {
    fn of(curve: &[f64], groups: &[Vec<f64>], circle: Option<Circle>, axis: &Axis) -> Row {
        let (preferred, response) = curve
            .iter()
            .enumerate()
            .fold((0, f64::NEG_INFINITY), |best, (condition, &mean)| if mean > best.1 { (condition, mean) } else { best });
        let indices = match (circle, &axis.coordinates) {
            (Some(circle), Coordinates::Numbers(angles)) => indices(circle, angles, curve),
            _ => Indices::default(),
        };
        let anova = anova(groups);
        Row { preferred, response, indices, f: anova.f, p: anova.p }
    }
}

fn table(rows: &[Row], units: &Axis, conditions: &Axis) -> Result<Table, DataError> {
    let labels: Vec<String> = (0..units.len()).map(|unit| units.coordinates.label(unit)).collect();
    let chosen: Vec<usize> = rows.iter().map(|row| row.preferred).collect();
    let preferred = match conditions.coordinates.select(&chosen) {
        Coordinates::Numbers(numbers) => columns::from_numbers("preferred", numbers),
        _ => columns::from_texts("preferred", &chosen.iter().map(|&condition| conditions.coordinates.label(condition)).collect::<Vec<_>>()),
    };
    let optional = |name: &str, of: fn(&Row) -> Option<f64>| columns::from_optional_numbers(name, rows.iter().map(of).collect());
    Table::from_columns(vec![
        columns::from_texts("unit", &labels),
        preferred,
        columns::from_numbers("response", rows.iter().map(|row| row.response).collect()),
        optional("mean_angle", |row| row.indices.mean_angle),
        optional("osi", |row| row.indices.osi),
        optional("dsi", |row| row.indices.dsi),
        optional("osi_ratio", |row| row.indices.osi_ratio),
        optional("dsi_ratio", |row| row.indices.dsi_ratio),
        optional("anova_f", |row| row.f),
        optional("anova_p", |row| row.p),
    ])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{counted, recorded_sessions, refusal, run, run_on, session};
    use crate::trials::Trials;
    use neuroflow_data::Artifact;

    /// Two trials at each of four directions; unit 1 responds to 90° by 4 after onset, unit 2 to nothing.
    fn planted() -> Responses {
        let directions = [0.0, 90.0, 180.0, 270.0, 270.0, 180.0, 90.0, 0.0];
        let values = directions
            .iter()
            .enumerate()
            .flat_map(|(trial, direction)| {
                let jitter = if trial < 4 { 0.5 } else { -0.5 };
                let evoked = if *direction == 90.0 { 4.0 } else { 0.0 };
                [[1.0, 1.0 + evoked + jitter, 1.0 + evoked + jitter], [2.0, 2.0, 2.0]].concat()
            })
            .collect();
        session(&directions, 2, values, 3)
    }

    fn tuned(params: &[(&str, Value)]) -> (Tensor, Tensor, Table) {
        let outputs = run(&Tuning, &planted(), params, 0).unwrap();
        (outputs.one("tuning").unwrap(), outputs.one("sem").unwrap(), outputs.one("selectivity").unwrap())
    }

    #[test]
    fn means_errors_and_preferences_are_those_planted() {
        let (tuning, sem, selectivity) = tuned(&[("by", "direction".into())]);
        assert_eq!(tuning.axes()[1].coordinates, Coordinates::Numbers(vec![0.0, 90.0, 180.0, 270.0]));
        assert_eq!(tuning.axes()[0].coordinates.label(1), "neuron2");
        assert_eq!(tuning.values(), [1.0, 5.0, 1.0, 1.0, 2.0, 2.0, 2.0, 2.0]);
        // Standard deviation of ±0.5 with n − 1 is 1/√2; over √2 trials 0.5.
        assert!(sem.values()[..4].iter().all(|error| (error - 0.5).abs() < 1e-12) && sem.values()[4..] == [0.0; 4]);
        assert_eq!(selectivity.numbers("preferred").unwrap(), [90.0, 0.0]);
        let of_first = |name: &str| selectivity.numbers(name).unwrap()[0];
        // Vectors: (5 − 1) e^(i 90°) over 8; with doubled angles (1 + 1) − (5 + 1) over 8.
        assert!((of_first("dsi") - 0.5).abs() < 1e-12 && (of_first("mean_angle") - 90.0).abs() < 1e-9);
        assert!((of_first("osi") - 0.5).abs() < 1e-12);
        assert!((of_first("dsi_ratio") - 4.0 / 6.0).abs() < 1e-12 && (of_first("osi_ratio") - 2.0 / 4.0).abs() < 1e-12);
        // Between: 2 · (3² + 3 · 1²) = 24 over 3; within: 8 · 0.25 = 2 over 4.
        assert!((of_first("anova_f") - 16.0).abs() < 1e-9 && of_first("anova_p") < 0.02);
        assert!(selectivity.numbers("anova_p").unwrap()[1].is_nan());
    }

    #[test]
    fn a_baseline_is_subtracted_trial_by_trial() {
        let (tuning, ..) =
            tuned(&[("by", "direction".into()), ("baseline", Value::call("before", vec![("window", Value::window(-0.25, 0.0))]))]);
        assert_eq!(tuning.values(), [0.0, 4.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn orientation_pools_opposite_directions_and_has_no_direction_index() {
        let (tuning, _, selectivity) = tuned(&[("by", "orientation".into())]);
        assert_eq!(tuning.values()[..2], [1.0, 3.0]);
        assert_eq!(selectivity.numbers("preferred").unwrap()[0], 90.0);
        assert!(selectivity.numbers("dsi").unwrap()[0].is_nan());
        assert!((selectivity.numbers("osi_ratio").unwrap()[0] - 0.5).abs() < 1e-12);
    }

    #[test]
    fn conditions_may_be_text_without_indices() {
        let responses = planted();
        let names = columns::from_texts("side", &["left", "right", "left", "left", "left", "left", "right", "left"]);
        let responses = responses.with_trials(responses.trials().with_column(names.0, names.1).unwrap()).unwrap();
        let outputs = run(&Tuning, &responses, &[("by", "side".into())], 0).unwrap();
        let selectivity: Table = outputs.one("selectivity").unwrap();
        assert_eq!(selectivity.texts("preferred").unwrap(), ["right", "left"]);
        assert!(selectivity.numbers("osi").unwrap()[0].is_nan());
        let message = refusal(&Tuning, &responses, &[("by", "side".into()), ("angle", Value::word("direction"))]);
        assert!(message.contains("`side` is text"), "{message}");
    }

    #[test]
    fn single_trials_missing_columns_and_gaps_are_refused() {
        let by = [("by", Value::from("direction"))];
        assert!(refusal(&Tuning, &counted(3, 2, 5), &by).contains("`direction` 0 has 1 trial; a standard error needs 2"));
        assert!(refusal(&Tuning, &session(&[], 2, vec![], 5), &by).contains("no trials"));
        assert!(
            refusal(&Tuning, &planted(), &[("by", "direktion".into())]).contains("there is no column `direktion`; there are: `direction`")
        );
        assert!(refusal(&Tuning, &session(&[f64::NAN; 2], 1, vec![0.0; 10], 5), &by).contains("no finite value in trial 0"));
        assert!(refusal(&Tuning, &session(&[0.0; 2], 1, vec![f64::NAN; 10], 5), &by).contains("10 values that are not finite"));
    }

    #[test]
    fn a_recorded_unit_has_the_numbers_of_numpy_and_scipy() {
        let Some(folder) = recorded_sessions() else { return };
        let mut inputs = Inputs::new();
        let bytes = std::fs::read(folder.join("230809_mrcuts28_fov4_grat-000_data.mat")).unwrap();
        inputs.push("session", "", Artifact::from_bytes(arrow::buffer::Buffer::from_vec(bytes)));
        let responses: Responses = run_on(&Trials, &inputs, &[], &Context::quiet(0)).unwrap().one("responses").unwrap();
        let outputs = run(&Tuning, &responses, &[("by", "direction".into())], 0).unwrap();
        // Unit neuron11: NumPy 2 means, SciPy 1.17.1 `sem` and `f_oneway`.
        let means = [
            0.17109474276209302,
            0.14849198877204095,
            0.2127647696793286,
            0.08644883577087258,
            0.15416646019806768,
            0.12789038153524607,
            0.14508461473439752,
            0.03072817470264594,
        ];
        let errors = [
            0.05990295053580263,
            0.04773621153222341,
            0.047636689188429414,
            0.02662942489977397,
            0.04051286841511816,
            0.032589488919813635,
            0.030870923892128758,
            0.0314719786789784,
        ];
        let close = |found: &[f64], expected: &[f64]| found.iter().zip(expected).all(|(a, b)| (a - b).abs() <= 1e-10 * b.abs());
        assert!(close(outputs.one::<Tensor>("tuning").unwrap().row(10), &means));
        assert!(close(outputs.one::<Tensor>("sem").unwrap().row(10), &errors));
        let selectivity: Table = outputs.one("selectivity").unwrap();
        let of_unit = |name: &str| selectivity.numbers(name).unwrap()[10];
        let found = ["osi", "dsi", "anova_f", "anova_p"].map(of_unit);
        assert!(close(&found, &[0.15093429153330146, 0.11322383025257611, 1.8025245571933717, 0.09282213431688822]), "{found:?}");
        assert_eq!(selectivity.numbers("anova_p").unwrap().iter().filter(|p| **p < 0.01).count(), 37);
    }
}
