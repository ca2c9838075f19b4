//! Scores: a number is not a result without its chance level, its uncertainty and its control.

use crate::artifact::{Artifact, Meta, Typed};
use crate::columns;
use crate::error::DataError;
use crate::kind::Kind;
use crate::table::Table;
use serde::{Deserialize, Serialize};
use std::fmt;

/// An interval and how it was obtained.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Interval {
    /// Lower end.
    pub low: f64,
    /// Upper end.
    pub high: f64,
    /// Coverage, such as 0.95.
    pub level: f64,
    /// What was resampled or repeated: `folds`, `bootstrap over trials`, ….
    pub method: String,
}

impl Interval {
    /// Half its width.
    pub fn half(&self) -> f64 {
        (self.high - self.low) / 2.0
    }
}

/// Null draws in short.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct NullSummary {
    /// Their number.
    pub draws: u64,
    /// Their mean; NaN when none has a number.
    #[serde(with = "gap")]
    pub mean: f64,
    /// Their standard deviation (n − 1); NaN below two.
    #[serde(with = "gap")]
    pub sd: f64,
}

/// What a control gave: the null distribution of a score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ControlResult {
    /// The control as written, such as `shuffle("direction")`, or what a stage permutes by itself, such as `permutation(conditions)`.
    pub control: String,
    /// The score in each null draw; NaN where a draw had none. Empty where only a summary was kept.
    #[serde(with = "gaps")]
    pub null: Vec<f64>,
    /// What is left of null draws that were not kept one by one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub summary: Option<NullSummary>,
    /// `(1 + #{null ≥ observed}) / (1 + n)`.
    pub p: f64,
    /// p after correction for the number of tests in the family; the same as `p` for a single test.
    pub p_corrected: f64,
    /// The number of tests in the family.
    pub n_tests: u64,
}

/// How the p values of one question that is asked at many places (scores named alike up to an `@`) are corrected for their number.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Correction {
    /// By the largest score over all places in each null draw: holds the chance of any false discovery.
    #[default]
    Max,
    /// Benjamini and Hochberg: holds the rate of false discoveries.
    Fdr,
    /// By the largest cluster of places next to each other in each null draw: holds the chance of any false cluster.
    Cluster {
        /// What a score must exceed to be in a cluster, in standard deviations of the null.
        threshold: f64,
        /// The places are a grid of so many columns, row by row; as many as there are places for a line.
        columns: usize,
    },
}

impl Correction {
    fn is_max(&self) -> bool {
        matches!(self, Correction::Max)
    }
}

/// One score.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The metric's name, such as `accuracy`.
    pub metric: String,
    /// The value.
    pub value: f64,
    /// The value's unit, when it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unit: Option<String>,
    /// What guessing gives, when that is known without a control.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub chance: Option<f64>,
    /// The most that noise in the data allows, when it was estimated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ceiling: Option<f64>,
    /// Uncertainty.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub interval: Option<Interval>,
    /// The number of observations behind the value.
    pub n: u64,
    /// The number of classes, for classification.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub n_classes: Option<u64>,
    /// The value in each fold.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub folds: Vec<f64>,
    /// Further words: `transductive`, a warning.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub notes: Vec<String>,
    /// What the controls gave, those of the pipeline before a stage's own permutations; empty means uncontrolled.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub controls: Vec<ControlResult>,
    /// How p is corrected over the scores that are named alike up to an `@`, when a control is joined.
    #[serde(default, skip_serializing_if = "Correction::is_max")]
    pub correction: Correction,
}

impl Score {
    /// A score with a name, a value and the number of observations; everything else is set on the result.
    pub fn new(metric: impl Into<String>, value: f64, n: usize) -> Score {
        Score {
            metric: metric.into(),
            value,
            unit: None,
            chance: None,
            ceiling: None,
            interval: None,
            n: n as u64,
            n_classes: None,
            folds: Vec::new(),
            notes: Vec::new(),
            controls: Vec::new(),
            correction: Correction::Max,
        }
    }
}

impl ControlResult {
    /// A result from null values: p by the (1 + b) / (1 + m) rule, larger scores being better.
    ///
    /// A null draw that has no number counts as at least as large as the observed value, so that it can't make p smaller.
    pub fn new(control: impl Into<String>, observed: f64, null: Vec<f64>) -> ControlResult {
        let at_least = null.iter().filter(|value| value.is_nan() || **value >= observed).count();
        let p = (1.0 + at_least as f64) / (1.0 + null.len() as f64);
        ControlResult { control: control.into(), null, summary: None, p, p_corrected: p, n_tests: 1 }
    }

    /// The number of null draws.
    pub fn draws(&self) -> usize {
        self.summary.map_or(self.null.len(), |summary| usize::try_from(summary.draws).unwrap_or(usize::MAX))
    }

    /// The mean of the null values that there are; NaN when there are none.
    pub fn mean(&self) -> f64 {
        if let Some(summary) = self.summary {
            return summary.mean;
        }
        let (sum, count) =
            self.null.iter().filter(|value| !value.is_nan()).fold((0.0, 0.0), |(sum, count), value| (sum + value, count + 1.0));
        sum / count
    }

    /// The standard deviation of the null values that there are (n − 1); NaN below two.
    pub fn sd(&self) -> f64 {
        if let Some(summary) = self.summary {
            return summary.sd;
        }
        let (mean, there) = (self.mean(), || self.null.iter().filter(|value| !value.is_nan()));
        let squares: f64 = there().map(|value| (value - mean).powi(2)).sum();
        (squares / (there().count() as f64 - 1.0)).sqrt()
    }

    /// Whether the control is a distribution, for which p means something, or a single look where no signal can be.
    pub fn is_distribution(&self) -> bool {
        self.draws() > 1
    }
}

impl fmt::Display for Score {
    /// The line that the report and the terminal print:
    /// `accuracy 0.812 ±0.03 (8 classes, chance 0.125; shuffle null 0.124, p = 0.005, n = 200)`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.metric, short_number(self.value))?;
        if let Some(unit) = &self.unit {
            write!(f, " {unit}")?;
        }
        if let Some(interval) = &self.interval {
            write!(f, " ±{}", short_number(interval.half()))?;
        }
        let mut parts = Vec::new();
        if let Some(n_classes) = self.n_classes {
            parts.push(format!("{n_classes} classes"));
        }
        if let Some(chance) = self.chance {
            parts.push(format!("chance {}", short_number(chance)));
        }
        if let Some(ceiling) = self.ceiling {
            parts.push(format!("ceiling {}", short_number(ceiling)));
        }
        let facts = parts.join(", ");
        let controls = if self.controls.is_empty() {
            "uncontrolled".to_owned()
        } else {
            let one = |control: &ControlResult| {
                let name = control.control.split('(').next().unwrap_or(&control.control);
                if control.is_distribution() {
                    // One place of many: what it is worth among the others belongs beside it.
                    let corrected = if self.metric.contains('@') {
                        format!(", corrected {}", short_number(control.p_corrected))
                    } else {
                        String::new()
                    };
                    format!(
                        "{name} null {}, p = {}{corrected}, n = {}",
                        short_number(control.mean()),
                        short_number(control.p),
                        control.draws()
                    )
                } else {
                    format!("{name} {}", short_number(control.mean()))
                }
            };
            self.controls.iter().map(one).collect::<Vec<_>>().join("; ")
        };
        match facts.is_empty() {
            true => write!(f, " ({controls})"),
            false => write!(f, " ({facts}; {controls})"),
        }
    }
}

/// JSON has no NaN: what has no number stands as null.
mod gap {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(value: &f64, serializer: S) -> Result<S::Ok, S::Error> {
        Some(*value).filter(|value| value.is_finite()).serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<f64, D::Error> {
        Option::<f64>::deserialize(deserializer).map(|value| value.unwrap_or(f64::NAN))
    }
}

/// JSON has no NaN: a draw without a number stands as null.
mod gaps {
    use serde::{Deserialize, Deserializer, Serialize, Serializer};

    pub(super) fn serialize<S: Serializer>(values: &[f64], serializer: S) -> Result<S::Ok, S::Error> {
        values.iter().map(|value| value.is_finite().then_some(*value)).collect::<Vec<_>>().serialize(serializer)
    }

    pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<f64>, D::Error> {
        Ok(Vec::<Option<f64>>::deserialize(deserializer)?.into_iter().map(|value| value.unwrap_or(f64::NAN)).collect())
    }
}

/// A number as scores are printed: three places, or two digits where that would be nothing.
pub fn short_number(value: f64) -> String {
    if value != 0.0 && value.abs() < 0.0005 { format!("{value:.1e}") } else { format!("{value:.3}") }
}

/// The scores of one step.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Scores {
    /// The scores, the headline first.
    pub scores: Vec<Score>,
}

impl Scores {
    /// Scores, the headline first.
    pub fn new(scores: Vec<Score>) -> Scores {
        Scores { scores }
    }

    /// A score by its metric's name.
    pub fn get(&self, metric: &str) -> Option<&Score> {
        self.scores.iter().find(|score| score.metric == metric)
    }
}

impl Typed for Scores {
    const KIND: Kind = Kind::Scores;

    fn into_artifact(self) -> Result<Artifact, DataError> {
        let rows = &self.scores;
        let finite = |score: &Score| score.value.is_finite() && score.folds.iter().all(|fold| fold.is_finite());
        if let Some(score) = rows.iter().find(|score| !finite(score)) {
            return Err(DataError::Invalid(format!("the score `{}` is not a finite number", score.metric)));
        }
        let first = |score: &Score| score.controls.first().cloned();
        let table = Table::from_columns(vec![
            columns::from_texts("metric", &rows.iter().map(|score| score.metric.as_str()).collect::<Vec<_>>()),
            columns::from_numbers("value", rows.iter().map(|score| score.value).collect()),
            columns::from_optional_numbers("chance", rows.iter().map(|score| score.chance).collect()),
            columns::from_optional_numbers("ceiling", rows.iter().map(|score| score.ceiling).collect()),
            columns::from_optional_numbers("interval_low", rows.iter().map(|score| score.interval.as_ref().map(|i| i.low)).collect()),
            columns::from_optional_numbers("interval_high", rows.iter().map(|score| score.interval.as_ref().map(|i| i.high)).collect()),
            columns::from_integers("n", rows.iter().map(|score| i64::try_from(score.n).unwrap_or(i64::MAX)).collect()),
            columns::from_optional_numbers("null_mean", rows.iter().map(|score| first(score).map(|c| c.mean())).collect()),
            columns::from_optional_numbers("p", rows.iter().map(|score| first(score).map(|c| c.p)).collect()),
        ])?;
        let mut meta = Meta::default();
        // The nested parts (folds, nulls, notes) stand in the description; the columns are for those who read the file as a table.
        let details = serde_json::to_value(rows).map_err(|error| DataError::Invalid(error.to_string()))?;
        meta.attributes.insert("scores".into(), details);
        Ok(Artifact::from_batch(Kind::Scores, table.batch().clone(), meta))
    }

    fn from_artifact(artifact: &Artifact) -> Result<Scores, DataError> {
        artifact.batch_of(Kind::Scores)?;
        let details = artifact.meta().attributes.get("scores").cloned().unwrap_or_else(|| serde_json::json!([]));
        let scores = serde_json::from_value(details).map_err(|error| DataError::Decode(error.to_string()))?;
        Ok(Scores { scores })
    }
}
